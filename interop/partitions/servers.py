"""Ensembles of members that live in network namespaces, each with a small disk of its own."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

import net  # noqa: E402
import processes  # noqa: E402
from links import entrance  # noqa: E402
from processes import ZOOID, Failure, Process, eventually, require  # noqa: E402,F401

KIND = os.environ["SERVER"]

CLIENT_PORT, QUORUM_PORT, ELECTION_PORT = 2181, 2888, 3888
DISK = "256m"
# Debian's path; the name of the folder in the middle is that of the architecture.
FAKETIME = ["/usr/lib/%s-linux-gnu/faketime/libfaketimeMT.so.1" % os.uname().machine]

# Four seconds without a word end a connection between members: faults shall be noticed while they last, and a machine
# that stands still for a moment is none.
SETTINGS = """\
tickTime=500
initLimit=40
syncLimit=8
minSessionTimeout=1000
maxSessionTimeout=120000
maxClientCnxns=0
4lw.commands.whitelist=*
admin.enableServer=false
snapCount=1000
preAllocSize=64
"""

JAVA = processes.java(os.path.join(HERE, "..", "oracle", "logback.xml"))


class Member(Process):
    def __init__(self, sid, ensemble):
        super().__init__(os.path.join(ensemble.folder, "member-%d" % sid))
        self.sid, self.ensemble = sid, ensemble
        self.disk = os.path.join(self.folder, "disk")
        self.data = os.path.join(self.disk, "data")
        self.clock_file = os.path.join(self.folder, "clock")
        os.makedirs(self.disk)
        net.command("mount", "-t", "tmpfs", "-o", "size=" + DISK, "member", self.disk)
        os.mkdir(self.data)
        with open(os.path.join(self.data, "myid"), "w") as file:
            file.write("%d\n" % sid)
        with open(self.config, "w") as file:
            file.write(SETTINGS)
            file.write("dataDir=%s\nclientPort=%d\n" % (self.data, CLIENT_PORT))
            for other in ensemble.network.sids:
                file.write("server.%d=%s:%d:%d\n" % (
                    other, ensemble.way(sid, other), QUORUM_PORT, ELECTION_PORT))

    def __repr__(self):
        return "member %d" % self.sid

    @property
    def address(self):
        return self.ensemble.network.address(self.sid), CLIENT_PORT

    def start(self, own_clock=False):
        if KIND == "java":
            words = processes.server_of(self.config, JAVA)
        else:
            words = [ZOOID, "serve", "--config", self.config]
        environment = dict(os.environ)
        if own_clock:
            self.set_clock(0)
            library = next((path for path in FAKETIME if os.path.exists(path)), None)
            require(library, "libfaketime is missing (Debian package faketime)")
            # The clock of the wall is wrong; the one that only counts seconds is the machine's.
            environment.update(LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=self.clock_file,
                               FAKETIME_CACHE_DURATION="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
        self.launch(self.ensemble.network.inside(self.sid, words), env=environment)

    def set_clock(self, ahead_s):
        """What its clock shows from now on, if it has one of its own."""
        with open(self.clock_file + ".new", "w") as file:
            file.write("%+d\n" % ahead_s)
        os.replace(self.clock_file + ".new", self.clock_file)

    def fill_disk(self):
        """Leaves no room: the disk becomes as small as what is on it."""
        # While it stands still nothing is added to what was counted: a disk cannot become smaller than that.
        self.pause()
        stat = os.statvfs(self.disk)
        used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        net.command("mount", "-o", "remount,size=%d" % used, self.disk)
        self.resume()

    def free_disk(self):
        net.command("mount", "-o", "remount,size=" + DISK, self.disk)


class SlowLinks:
    """The program that stands between members: see links.py."""

    def __init__(self, count):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "links.py"), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        require(self.process.stdout.readline() == "ready\n", "no links")

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def delay(self, ms, jitter_ms):
        require(self._ask("delay %d %d" % (ms, jitter_ms)) == "ok", "the links are gone")

    def reset(self):
        """Ends all connections between members; returns how many there were."""
        return int(self._ask("reset"))

    def end(self):
        self.process.kill()
        self.process.wait()


class Ensemble:
    """So many members; if asked for, with links between them that can be slow."""

    def __init__(self, count, folder, slow=False):
        self.folder = folder
        self.network = net.Network(count)
        self.links = None
        if slow:
            self.network.detour()
            self.links = SlowLinks(count)
        self.members = [Member(sid, self) for sid in self.network.sids]
        self.by_sid = {member.sid: member for member in self.members}

    def way(self, sid, other):
        """The address by which a member knows another, or itself."""
        return entrance(sid, other) if self.links and sid != other else self.network.address(other)

    def start(self):
        for member in self.members:
            member.start()
        return self.whole()

    def state(self):
        return ", ".join("%r %s" % (member, member.mode()) for member in self.members)

    def leads(self, among):
        """The one of these members that leads and that a majority follows, None without."""
        for member in among:
            if member.mode() == "leader":
                synced = int(member.monitor().get("zk_synced_followers", "0"))
                if synced + 1 > len(self.members) // 2:
                    return member
        return None

    def whole(self):
        """Waits until all that run serve and all follow one leader; returns it."""
        def leader():
            running = [member for member in self.members if member.process]
            modes = {member: member.mode() for member in running}
            leaders = [member for member, mode in modes.items() if mode == "leader"]
            if len(leaders) != 1 or sum(mode == "follower" for mode in modes.values()) != len(running) - 1:
                return None
            # One that follows may follow a leader that is gone.
            synced = int(leaders[0].monitor().get("zk_synced_followers", "-1"))
            return leaders[0] if synced == len(running) - 1 else None
        return eventually(leader, lambda: "the ensemble is whole: %s" % self.state())

    def end(self):
        for member in self.members:
            member.kill()
        for member in self.members:
            # A process that is gone may hold its mounts for a moment.
            net.command("umount", "-l", member.disk)
        if self.links:
            self.links.end()
        self.network.remove()
