"""Members of ensembles whose lists of members change. A server writes its configuration file itself here, so that it
is written once and then left to it."""

import base64
import contextlib
import hashlib
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

import processes  # noqa: E402
from processes import DEADLINE_S, ORACLE, ZOOID, Failure, Process, eventually, free_ports, require, same, wire  # noqa: E402,F401

RECONFIG = 16
CONFIG = "/zookeeper/config"
SUPER = "super:secret"

# Times are long, so that a machine which stands still for seconds changes nothing.
SETTINGS = """\
# written by hand
tickTime=500
initLimit=60
syncLimit=20
maxSessionTimeout=600000
maxClientCnxns=0
4lw.commands.whitelist=*
admin.enableServer=false
preAllocSize=64
DigestAuthenticationProvider.superDigest=super:%s
""" % base64.b64encode(hashlib.sha1(SUPER.encode()).digest()).decode()

JAVA = processes.java(os.path.join(HERE, "logback.xml"))


class Member(Process):
    """One server: a folder with its files, and a process at times."""

    def __init__(self, sid, kind, folder):
        super().__init__(os.path.join(folder, "member-%d" % sid))
        self.sid, self.kind = sid, kind
        self.port, self.quorum_port, self.election_port = free_ports(3)
        os.makedirs(self.data)
        with open(os.path.join(self.data, "myid"), "w") as file:
            file.write("%d\n" % sid)

    def __repr__(self):
        return "%s%d" % (self.kind, self.sid)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def line(self, role="participant"):
        """Its line in a list of members, as it is printed."""
        return "server.%d=127.0.0.1:%d:%d:%s;127.0.0.1:%d" % (
            self.sid, self.quorum_port, self.election_port, role, self.port)

    def configure(self, lines, static_client=False, *settings):
        with open(self.config, "w") as file:
            file.write(SETTINGS + "reconfigEnabled=true\ndataDir=%s\n" % self.data)
            if static_client:
                file.write("clientPort=%d\nclientPortAddress=127.0.0.1\n" % self.port)
            file.write("".join(line + "\n" for line in (*settings, *lines)))

    def start(self):
        if self.kind == "j":
            command = processes.server_of(self.config, JAVA)
        else:
            command = [ZOOID, "serve", "--config", self.config]
        self.launch(command, process_group=0)

    def session(self, port=None, auth=True):
        """A session, as soon as there is one to be had."""
        def opened():
            with contextlib.suppress(wire.Gone, OSError):
                return Session(port or self.port)
        session = eventually(opened, "%r takes a client: %s" % (self, self.mode()))
        if auth:
            session.call(wire.AUTH, struct.pack(">i", 0) + wire.buffer("digest") + wire.buffer(SUPER), xid=-4)
        return session

    def read(self, path=CONFIG):
        """Data and state of a node, as this member has them now."""
        with contextlib.closing(self.session(auth=False)) as session:
            session.call(wire.SYNC, wire.buffer(path))
            return session.read(path)

    def files(self):
        """Its configuration file and those beside it."""
        found = {}
        for name in os.listdir(self.folder):
            # Drafts and proposals go while one looks.
            if not name.startswith("zoo.cfg") or name.endswith(".tmp"):
                continue
            with contextlib.suppress(FileNotFoundError):
                with open(os.path.join(self.folder, name)) as file:
                    found[name[len("zoo.cfg"):]] = file.read()
        return found


class Session(wire.Client):
    """A session whose events are kept in order; `call` gives replies only."""

    def __init__(self, port):
        self.events = []
        super().__init__(port, 120_000, patience_s=DEADLINE_S)

    def receive(self):
        while True:
            reply = super().receive()
            if reply.xid != -1:
                return reply
            self.events.append((reply.int(), reply.int(), reply.text()))

    def read(self, path, watch=False):
        reply = self.call(wire.GET, wire.buffer(path) + (b"\1" if watch else b"\0"))
        return reply.buffer(), dict(zip(wire.STAT_FIELDS, reply.stat()))

    def reconfig(self, joining=None, leaving=None, members=None, version=-1):
        """The new list and the state of its node."""
        reply = self.call(RECONFIG, b"".join(map(wire.buffer, (joining, leaving, members))) + struct.pack(">q", version))
        return reply.buffer().decode(), dict(zip(wire.STAT_FIELDS, reply.stat()))


class Ensemble:
    """Members by their letters: "jzz" is Java with id 1 and Zooid with ids 2 and 3. Of equals the highest id leads, and
    the last is started with the first: the letters say who leads."""

    def __init__(self, kinds, folder, static_client=False, settings=()):
        self.kinds, self.folder, self.settings = kinds, folder, settings
        self.members = [Member(at + 1, kind, folder) for at, kind in enumerate(kinds)]
        lines = [member.line() for member in self.members]
        if static_client:
            lines = [line.partition(";")[0] for line in lines]
        for member in self.members:
            member.configure(lines, static_client, *settings)

    def begin(self):
        last = self.members[-1]
        first = [last] + self.members[:len(self.members) // 2]
        for member in first:
            member.start()
        eventually(lambda: last.mode() == "leader", lambda: "%r leads: %s" % (last, self.state()))
        for member in self.members:
            if member not in first:
                member.start()
        return self.whole()

    def joiner(self, kind, role="participant"):
        """A new member, started, which is not in the list yet."""
        member = Member(len(self.members) + 1, kind, self.folder)
        known = self.members[0].read()[0].decode().splitlines()
        lines = [line for line in known if line.startswith("server.")]
        member.configure(lines + [member.line(role)], False, *self.settings)
        self.members.append(member)
        member.start()
        eventually(lambda: member.mode() in ("follower", "observer"), lambda: "%r follows: %s" % (member, self.state()))
        return member

    def running(self):
        return [member for member in self.members if member.process]

    def state(self):
        return ", ".join("%r %s" % (member, member.srvr() and member.mode()) for member in self.members)

    def whole(self):
        """Waits until all that run serve and one of them leads; returns the leader."""
        def leader():
            modes = {member: member.mode() for member in self.running()}
            leaders = [member for member, mode in modes.items() if mode == "leader"]
            return len(leaders) == 1 and all(modes.values()) and leaders[0]
        return eventually(leader, lambda: "the ensemble is whole: %s" % self.state())

    def followers(self):
        leader = self.whole()
        return [member for member in self.running() if member is not leader and member.mode() == "follower"]

    def end(self):
        for member in self.members:
            member.kill()
