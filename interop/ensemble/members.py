"""Ensembles of real processes: each member is Apache ZooKeeper or Zooid, with the same keys in its zoo.cfg."""

import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

import processes  # noqa: E402
from processes import DEADLINE_S, ZOOID, Process, eventually, require, same, wire  # noqa: E402,F401
from processes import Failure  # noqa: E402,F401

TICK_MS = 500
SYNC_LIMIT = 24
"""Ticks. Generous, so that a machine which stands still for seconds does not cost a member its leader."""
SESSION_MS = 120_000
"""Sessions that must not expire, whatever a check does."""

SETTINGS = """\
tickTime=%d
initLimit=60
syncLimit=%d
minSessionTimeout=1000
maxSessionTimeout=600000
maxClientCnxns=0
4lw.commands.whitelist=*
admin.enableServer=false
snapCount=100
preAllocSize=64
""" % (TICK_MS, SYNC_LIMIT)

JAVA = processes.java(os.path.join(HERE, "logback.xml"))
LIBRARIES = {"j": processes.ORACLE, "8": processes.ORACLE_38}
"""Apache ZooKeeper by the letters of an ensemble: 3.9 and 3.8."""


class Member(Process):
    """One server of an ensemble: a folder with data, and a process at times."""

    def __init__(self, sid, kind, observer, folder):
        super().__init__(folder)
        self.sid, self.kind, self.observer = sid, kind, observer
        self.port, self.quorum_port, self.election_port = processes.free_ports(3)
        self.settings = {}
        self.flags = ()
        os.makedirs(self.data)
        with open(os.path.join(self.data, "myid"), "w") as file:
            file.write("%d\n" % sid)

    def __repr__(self):
        return "%s%d" % (self.kind, self.sid)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def keeps_a_tail(self):
        """A server of Java that comes into an election with a transaction which nobody acknowledged may write it into a
        snapshot before others follow; when these then follow another one, the transaction is cut off its log, and comes
        back from that snapshot (ZOOKEEPER-1549, open). So no quorum is lost under load while such a server is there."""
        return self.kind in LIBRARIES

    def line(self):
        return "server.%d=127.0.0.1:%d:%d:%s" % (
            self.sid, self.quorum_port, self.election_port, "observer" if self.observer else "participant")

    def start(self, members, flags=()):
        with open(self.config, "w") as file:
            file.write(SETTINGS)
            file.write("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\n" % (self.data, self.port))
            if self.observer:
                file.write("peerType=observer\n")
            for key, value in self.settings.items():
                file.write("%s=%s\n" % (key, value))
            for member in members:
                file.write(member.line() + "\n")
        if self.kind in LIBRARIES:
            command = processes.server_of(self.config, [*JAVA, *self.flags, *flags], LIBRARIES[self.kind])
        else:
            command = [ZOOID, "serve", "--config", self.config]
        # Out of reach of ^C, and no session of its own: Linux schedules sessions as groups, and lets one stand still for
        # seconds on few cores that others keep busy.
        self.launch(command, process_group=0)

    def wipe(self):
        """As after the loss of a disk: only the id is left."""
        shutil.rmtree(os.path.join(self.data, "version-2"), ignore_errors=True)

    def client(self, timeout_ms=SESSION_MS, patience_s=DEADLINE_S, **options):
        return Session(self.port, timeout_ms, patience_s=patience_s, **options)

    def read(self, path):
        """What a node has here, behind a sync."""
        client = self.client()
        client.sync()
        data = client.get(path)
        client.close()
        return data


class Event(tuple):
    """(type, state, path) of a watch."""


class Session(wire.Client):
    """A session whose events are kept in order; `call` gives replies only."""

    def __init__(self, port, *words, **options):
        self.events = []
        self.port = port
        super().__init__(port, *words, **options)

    def receive(self):
        while True:
            reply = super().receive()
            if reply.xid != -1:
                return reply
            self.events.append(Event((reply.int(), reply.int(), reply.text())))

    def ping(self):
        self.send(wire.PING, xid=-2)
        self.receive()

    def sync(self, path="/"):
        self.call(wire.SYNC, wire.buffer(path))

    def exists(self, path, watch=False):
        """The stat, None without the node."""
        self.send(wire.EXISTS, wire.buffer(path) + (b"\1" if watch else b"\0"))
        reply = self.receive()
        if reply.code == -101:
            return None
        if reply.code:
            raise wire.Refused(reply.code)
        return dict(zip(wire.STAT_FIELDS, reply.stat()))

    def read(self, path, watch=False):
        """Data and stat."""
        reply = self.call(wire.GET, wire.buffer(path) + (b"\1" if watch else b"\0"))
        return reply.buffer(), dict(zip(wire.STAT_FIELDS, reply.stat()))

    def children(self, path, watch=False):
        return sorted(self.call(wire.CHILDREN, wire.buffer(path) + (b"\1" if watch else b"\0")).names())

    def delete(self, path, version=-1):
        self.call(wire.DELETE, wire.versioned(path, version))

    def await_events(self, count):
        """The first `count` events, which are taken."""
        def there():
            self.ping()
            return len(self.events) >= count
        eventually(there, lambda: "%d events, there are %r" % (count, self.events))
        taken, self.events = self.events[:count], self.events[count:]
        return taken


class Ensemble:
    """Members by their letters: "jzz" is Java with id 1 and Zooid with ids 2 and 3; "zzz+j" has an observer; "8" is Java
    of the line 3.8.

    With equal data the highest id of those that elect leads. So the last voter leads when it is started among the
    first, and the letters say who leads."""

    MEMBER = Member

    def __init__(self, kinds, folder):
        self.kinds, self.folder = kinds, folder
        voters, _, observers = kinds.partition("+")
        self.members = [
            self.MEMBER(at + 1, kind, at >= len(voters), os.path.join(folder, "member-%d" % (at + 1)))
            for at, kind in enumerate(voters + observers)]
        self.voters = [member for member in self.members if not member.observer]
        self.observers = [member for member in self.members if member.observer]

    def start(self, *members):
        for member in members or self.members:
            member.start(self.members)

    def begin(self):
        """Starts all, so that the last voter leads."""
        last = self.voters[-1]
        first = [last] + self.voters[:len(self.voters) // 2]
        self.start(*first)
        eventually(lambda: last.mode() == "leader", lambda: "%r leads: %s" % (last, self.state()))
        rest = [member for member in self.members if member not in first]
        if rest:
            self.start(*rest)
        return self.whole()

    def running(self):
        return [member for member in self.members if member.process]

    def state(self):
        return ", ".join("%r %s" % (member, member.srvr() and member.mode()) for member in self.members)

    def whole(self, deadline_s=DEADLINE_S):
        """Waits until all that run serve and one of them leads; returns the leader."""
        def leader():
            found = None
            for member in self.running():
                mode = member.mode()
                if mode == "leader" and found is None and not member.observer:
                    found = member
                elif mode != ("observer" if member.observer else "follower"):
                    return None
            # A member that follows may follow one that is gone.
            return found and self.synced(found) and found
        return eventually(leader, lambda: "the ensemble is whole: %s" % self.state(), deadline_s)

    def synced(self, leader):
        told = leader.monitor()
        running = self.running()
        return (told.get("zk_synced_followers"), told.get("zk_synced_observers", "0")) == (
            str(sum(not member.observer for member in running) - 1), str(sum(member.observer for member in running)))

    def leader(self):
        """The one that leads now."""
        return self.whole()

    def followers(self):
        leader = self.whole()
        return [member for member in self.voters if member.process and member is not leader]

    def level(self):
        """Writes, and waits until all that run have come to the same zxid; returns it."""
        # Java's learners tell the zxid of a new epoch only when a transaction of it has come.
        self.running()[0].client().close()

        def equal():
            found = {member.zxid() for member in self.running()}
            return len(found) == 1 and found.pop()
        return eventually(equal, lambda: "the same zxid everywhere: %s" % [
            "%r 0x%x" % (member, member.zxid()) for member in self.running()])

    def again(self, purged=False):
        """Stops all and starts them anew, so that the last voter leads, with old logs thrown away if asked for."""
        self.whole()
        # The same last transaction everywhere, so that the ids decide.
        self.level()
        for member in self.running():
            member.stop()
        if purged:
            for member in self.members:
                purge(member)
        return self.begin()

    def end(self):
        for member in self.members:
            member.kill()


def purge(member):
    """Keeps the newest snapshot and what of the log is needed behind it (`PurgeTxnLog`)."""
    folder = os.path.join(member.data, "version-2")

    def files(prefix):
        return sorted((int(name[len(prefix):], 16), name) for name in os.listdir(folder) if name.startswith(prefix))
    newest = files("snapshot.")[-1][0]
    logs = files("log.")
    needed = max((zxid for zxid, _ in logs if zxid <= newest), default=0)
    for zxid, name in [file for file in logs if file[0] < needed] + files("snapshot.")[:-1]:
        os.remove(os.path.join(folder, name))


JAVA_SYNC = {"DIFF": "Sending DIFF ", "SNAP": "Sending snapshot ", "TRUNC": "Sending TRUNC "}


def sync_kinds(leader, learner, since=0):
    """The kinds of sync, in order, that the leader's log says were sent to the learner."""
    found, handlers = [], set()
    for line in leader.log(since).splitlines():
        words = line.split()
        if leader.kind == "z":
            if "learner=%d" % learner.sid in words:
                found += [word for word in words if word in JAVA_SYNC]
            continue
        # Not each line of Java names the learner: its thread does.
        thread = next((word for word in words if word.startswith("[LearnerHandler-")), None)
        if "Synchronizing with Learner sid: " in line:
            same_sid = "sid: %d " % learner.sid in line
            handlers = handlers | {thread} if same_sid else handlers - {thread}
        elif thread in handlers:
            found += [kind for kind, text in JAVA_SYNC.items() if text in line]
    return found
