"""Ensembles whose observers are with followers, and pairs of voters with an oracle."""

import base64
import hashlib
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "ensemble"))

import checks  # noqa: E402,F401
import members  # noqa: E402
from members import Failure, JAVA_SYNC, Session, eventually, require, same, wire  # noqa: E402,F401
from processes import free_ports  # noqa: E402

SUPER = "super:secret"
SUPER_DIGEST = "super:" + base64.b64encode(hashlib.sha1(SUPER.encode()).digest()).decode()


class Member(members.Member):
    """One with an address of its own: the port for observers is the same for all."""

    def __init__(self, sid, kind, observer, folder):
        super().__init__(sid, kind, observer, folder)
        self.oracle_file = os.path.join(self.folder, "oracle")

    def line(self):
        return "server.%d=127.0.0.%d:%d:%d:%s;127.0.0.1:%d" % (
            self.sid, self.sid, self.quorum_port, self.election_port,
            "observer" if self.observer else "participant", self.port)

    def oracle(self, answer):
        """Makes the oracle say 1 or 0 to this member."""
        draft = self.oracle_file + ".new"
        with open(draft, "w") as file:
            file.write("%d\n" % answer)
        os.replace(draft, self.oracle_file)

    def serves(self):
        return self.mode() is not None

    def served(self):
        """How many observers it has."""
        return int(self.monitor().get("zk_synced_observers", -1))

    def master(self):
        """The id of the member that tells this observer what is committed."""
        return int(self.monitor().get("zk_observer_master_id", -1))


class Observed(members.Ensemble):
    """Observers are with followers."""

    MEMBER = Member

    def __init__(self, kinds, folder):
        super().__init__(kinds, folder)
        port, = free_ports(1)
        for member in self.members:
            member.settings.update({
                "observerMasterPort": port, "reconfigEnabled": "true",
                "DigestAuthenticationProvider.superDigest": SUPER_DIGEST})

    def synced(self, leader):
        followers = [member for member in self.voters if member.process and member is not leader]
        if leader.monitor().get("zk_synced_followers") != str(len(followers)):
            return False
        for observer in self.observers:
            if observer.process and observer.master() not in [member.sid for member in followers]:
                return False
        # One that has gone may still be counted.
        return sum(member.served() for member in followers) >= sum(bool(member.process) for member in self.observers)

    def master_of(self, observer):
        """The follower that it is with."""
        sid = eventually(lambda: (found := observer.master()) > 0 and found, "%r has a master" % observer)
        return self.members[sid - 1]


class Pair(members.Ensemble):
    """Two voters, each with an oracle of its own."""

    MEMBER = Member

    def __init__(self, kinds, folder):
        super().__init__(kinds, folder)
        for member in self.members:
            member.settings["oraclePath"] = member.oracle_file
            member.oracle(0)

    def other(self, member):
        return self.members[1 - self.members.index(member)]


class Super(Session):
    """A session that may change the members."""

    def __init__(self, port):
        super().__init__(port, members.SESSION_MS)
        self.call(wire.AUTH, struct.pack(">i", 0) + wire.buffer("digest") + wire.buffer(SUPER), xid=-4)

    def reconfig(self, joining=None, leaving=None):
        body = b"".join(map(wire.buffer, (joining, leaving, None))) + struct.pack(">q", -1)
        return self.call(16, body).buffer().decode()


def sync_kinds(master, observer, since=0):
    return members.sync_kinds(master, observer, since)
