"""Sessions: hand-over, expiry, and a server that is killed and started again."""

import os
import signal
import socket
import time

from kazoo.client import KazooState
from kazoo.exceptions import NoNodeError
from kazoo.security import make_digest_acl

from harness import HERE, check, equal, eventually, raises


def listen(zk):
    """The list of states that the client goes through from now on."""
    states = []
    zk.add_listener(states.append)
    return states


@check
def stop_ends_the_session(env):
    zk, other = env.client(), env.client()
    zk.create(env.path)
    for number in range(20):
        zk.create("%s/%d" % (env.path, number), ephemeral=True)
    before = zk.client_id
    zk.stop()
    equal(other.get_children(env.path), [], "ephemerals are gone with the reply to the close")
    late = env.client(client_id=before)
    assert late.client_id[0] != before[0], "a closed session came back"


@check
def restart_makes_a_new_session(env):
    zk = env.client()
    before = zk.client_id
    zk.create(env.path, ephemeral=True)
    zk.restart()
    assert zk.client_id[0] != before[0]
    equal(zk.exists(env.path), None)


@check
def reattach_moves_the_session(env):
    first, watcher = env.client(), env.client()
    first.create(env.path, ephemeral=True)
    session = first.client_id
    # A client object whose connection is cut, as when its process ends without a close.
    states = listen(first)
    first._connection._socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: states == [KazooState.SUSPENDED, KazooState.CONNECTED], "connected again")
    equal(first.client_id, session)
    equal(first.exists(env.path).ephemeralOwner, session[0])

    second = env.client(client_id=session)
    equal(second.client_id, session)
    equal(second.exists(env.path).ephemeralOwner, session[0])
    second.stop()
    equal(watcher.exists(env.path), None)


@check
def wrong_password_is_refused(env):
    zk = env.client()
    zk.create(env.path, ephemeral=True)
    session = zk.client_id
    thief = env.client(client_id=(session[0], b"\1" * 16))
    assert thief.client_id[0] != session[0], "the wrong password was taken"
    eventually(lambda: zk.connected, "the owner is back")
    equal(zk.client_id, session)
    equal(zk.retry(zk.exists, env.path).ephemeralOwner, session[0])


@check
def closed_by_another_connection_is_lost(env):
    zk = env.client()
    states = listen(zk)
    zk.create(env.path, ephemeral=True)
    session = zk.client_id
    env.client(client_id=session).stop()
    eventually(lambda: states[-1:] == [KazooState.CONNECTED], "a new session")
    equal(states, [KazooState.SUSPENDED, KazooState.LOST, KazooState.CONNECTED])
    assert zk.client_id[0] != session[0]
    equal(zk.exists(env.path), None)


@check
def silent_session_expires(env):
    """A stopped process (SIGSTOP) sends no pings; when it goes on it learns that its session ended."""
    zk = env.client()
    zk.create(env.path)
    node = env.path + "/e"
    child = env.process(os.path.join(HERE, "silent.py"), env.server.hosts, node)
    session = int(child.stdout.readline())
    equal(zk.exists(node).ephemeralOwner, session)
    os.kill(child.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    eventually(lambda: zk.exists(node) is None, "the ephemeral is gone")
    lived = time.monotonic() - stopped
    # The last ping may be up to a third of the timeout (4 s) old, and expiry comes in steps of a tick (2 s).
    assert 2.5 <= lived <= 8, "expired after %.1f s" % lived
    os.kill(child.pid, signal.SIGCONT)
    equal([child.stdout.readline().strip() for _ in range(3)], ["SUSPENDED", "LOST", "CONNECTED"])
    assert int(child.stdout.readline()) != session, "a new session after the expiry"


@check
def pings_keep_a_session(env):
    zk, other = env.client(timeout=4.0), env.client()
    zk.create(env.path, ephemeral=True)
    states = listen(zk)
    end = time.monotonic() + 7
    while time.monotonic() < end:
        assert other.exists(env.path) is not None, "an idle session expired"
        time.sleep(0.2)
    equal(states, [])


@check
def killed_server_comes_back_with_all(env):
    """kill -9 and a start: the same session, ephemerals and data, watches seen again, numbers go on."""
    server = env.own_server()
    zk, other = env.client(), env.client()
    states = listen(zk)
    session = zk.client_id
    zk.add_auth("digest", "ann:secret")
    zk.create("/e", b"mine", ephemeral=True)
    zk.create("/q")
    for number in range(100):
        equal(zk.create("/q/n-", sequence=True), "/q/n-%010d" % number)
    zk.create("/secret", b"s", acl=[make_digest_acl("ann", "secret", all=True)])
    stats = {path: zk.exists(path) for path in ["/e", "/q", "/secret"]}
    data, children = [], []
    zk.DataWatch("/e", lambda value, stat: data.append(value))
    zk.ChildrenWatch("/q", lambda names: children.append(len(names)))

    server.kill()
    eventually(lambda: states == [KazooState.SUSPENDED], "suspended")
    server.start()
    eventually(lambda: states == [KazooState.SUSPENDED, KazooState.CONNECTED], "connected again")
    equal(zk.client_id, session, "session")
    for path, stat in stats.items():
        equal(zk.exists(path), stat, path)
    equal(zk.get("/secret")[0], b"s", "auth was sent again")
    equal(zk.create("/q/n-", sequence=True), "/q/n-%010d" % 100)
    eventually(lambda: other.connected, "the other client is back")
    other.retry(other.set, "/e", b"changed")
    eventually(lambda: data[-1] == b"changed", "the data watch works on")
    eventually(lambda: children[-1] == 101, "the children watch works on")

    zk.stop()
    eventually(lambda: other.exists("/e") is None, "the ephemeral ends with its session")
    raises(NoNodeError, other.get, "/e")


@check
def sessions_of_dead_clients_expire_after_a_restart(env):
    server = env.own_server()
    zk = env.client()
    child = env.process(os.path.join(HERE, "silent.py"), server.hosts, "/dead")
    session = int(child.stdout.readline())
    equal(zk.exists("/dead").ephemeralOwner, session)
    child.kill()
    child.wait()
    server.kill()
    server.start()
    eventually(lambda: zk.connected, "connected again")
    equal(zk.retry(zk.exists, "/dead").ephemeralOwner, session, "owner after the restart")
    eventually(lambda: zk.exists("/dead") is None, "the ephemeral is gone")


@check
def acknowledged_writes_survive_kills(env):
    """A writer counts what was acknowledged while the server is killed under it, three times."""
    server = env.own_server()
    zk = env.client()
    zk.create("/log")
    acknowledged = []
    for _ in range(3):
        results = [zk.create_async("/log/n-", b"x", sequence=True) for _ in range(200)]
        results[20].get()
        server.kill()
        for result in results:
            try:
                acknowledged.append(result.get(timeout=20))
            except Exception:
                break
        server.start()
        eventually(lambda: zk.connected, "connected again")
    present = {"/log/" + name for name in zk.retry(zk.get_children, "/log")}
    assert len(acknowledged) >= 60
    equal(set(acknowledged) - present, set(), "acknowledged and lost")
