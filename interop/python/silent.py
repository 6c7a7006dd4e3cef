"""A client process of its own: makes an ephemeral node, then prints its states as they come.

Lines: the session id; then each state; after a CONNECTED the id of the session then.
"""

import logging
import sys
import threading

from kazoo.client import KazooClient

logging.disable()
zk = KazooClient(sys.argv[1], timeout=4.0)
zk.start()
zk.create(sys.argv[2], ephemeral=True)


def changed(state):
    print(state, flush=True)
    if state == "CONNECTED":
        print(zk.client_id[0], flush=True)


zk.add_listener(changed)
# Last: whoever reads this may stop the process at once.
print(zk.client_id[0], flush=True)
threading.Event().wait()
