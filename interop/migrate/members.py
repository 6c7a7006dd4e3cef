"""Members of real ensembles, started and stopped as an operator does, and `zooid migrate` beside them."""

import json
import os
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

from processes import ZOOID, Failure, eventually, free_ports, require, same, wire  # noqa: E402,F401

HELPER = os.path.join(HERE, "member.sh")

# Times are long, so that a machine which stands still for seconds changes nothing.
SETTINGS = """\
tickTime=500
initLimit=60
syncLimit=60
minSessionTimeout=1000
maxSessionTimeout=600000
maxClientCnxns=0
preAllocSize=64
"""


def ask(host, port, word):
    """The answer to a word. Java closes before it has read what is behind one, which resets the connection."""
    answer = b""
    with socket.create_connection((host, port), timeout=2) as to:
        to.sendall(word.encode())
        try:
            while chunk := to.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    return answer.decode(errors="replace")


class Member:
    """`quiet`: it has a host of its own, where only `srvr` is allowed and the admin server runs. `named`: its line in
    the list of members says where clients reach it."""

    def __init__(self, sid, folder, observer=False, quiet=False, named=False):
        self.sid, self.observer, self.quiet, self.named = sid, observer, quiet, named
        self.folder = os.path.join(folder, "member-%d" % sid)
        self.host = "127.0.0.%d" % sid if quiet else "127.0.0.1"
        self.port, self.quorum_port, self.election_port, self.admin_port = free_ports(4)
        self.address = "%s:%d" % (self.host, self.port)
        self.data = os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "zoo.cfg")
        self.log_file = os.path.join(self.folder, "server.log")
        self.paused = None
        os.makedirs(self.data)
        with open(os.path.join(self.data, "myid"), "w") as file:
            file.write("%d\n" % sid)

    def __repr__(self):
        return "server %d" % self.sid

    def line(self):
        return "server.%d=%s:%d:%d:%s%s" % (
            self.sid, self.host, self.quorum_port, self.election_port,
            "observer" if self.observer else "participant", ";" + self.address if self.named else "")

    def configure(self, lines):
        """Without lines it is a server alone."""
        with open(self.config, "w") as file:
            file.write(SETTINGS + "dataDir=%s\n" % self.data)
            if not (lines and self.named):
                file.write("clientPort=%d\nclientPortAddress=%s\n" % (self.port, self.host))
            file.write("4lw.commands.whitelist=%s\n" % ("srvr" if self.quiet else "*"))
            file.write("admin.enableServer=%s\nadmin.serverAddress=%s\nadmin.serverPort=%d\n" % (
                str(self.quiet).lower(), self.host, self.admin_port))
            if self.observer:
                file.write("peerType=observer\n")
            file.writelines(line + "\n" for line in lines)

    def start(self, kind):
        subprocess.run([HELPER, "start", kind, self.folder], check=True)

    def stop(self):
        self.resume()
        subprocess.run([HELPER, "stop", self.folder], check=True)

    def kill(self):
        subprocess.run([HELPER, "kill", self.folder], check=True)

    def pid(self):
        with open(os.path.join(self.folder, "server.pid")) as file:
            return int(file.read())

    def pause(self):
        """SIGSTOP; returns when the process stands still."""
        self.paused = self.pid()
        os.kill(self.paused, signal.SIGSTOP)

        def stopped():
            with open("/proc/%d/stat" % self.paused) as file:
                return file.read().rpartition(")")[2].split()[0] == "T"
        eventually(stopped, "server %d stands still" % self.sid)

    def resume(self):
        if self.paused:
            os.kill(self.paused, signal.SIGCONT)
            self.paused = None

    def srvr(self):
        """Lines of `srvr` by their names, empty when it does not serve."""
        try:
            text = ask(self.host, self.port, "srvr zooid")
        except OSError:
            return {}
        return {name: value for name, _, value in (line.partition(": ") for line in text.splitlines())}

    def mode(self):
        return self.srvr().get("Mode")

    def monitor(self):
        """What `mntr` says, by name; empty where it is not allowed."""
        try:
            text = ask(self.host, self.port, "mntr")
        except OSError:
            return {}
        return {name: value for name, _, value in (line.partition("\t") for line in text.splitlines())}

    def kind(self):
        return "zooid" if "Zooid version" in self.srvr() else "java"

    def session(self, timeout_ms=60_000, session=(0, bytes(16))):
        """A session, as soon as there is one to be had."""
        def opened():
            try:
                return wire.Client(self.port, timeout_ms, session=session, patience_s=30)
            except (wire.Gone, OSError):
                return None
        return eventually(opened, "server %d takes a client: %s" % (self.sid, self.mode()))


class Ensemble:
    """Observers are quiet members."""

    def __init__(self, folder, voters, observers=0, named=False):
        self.folder = folder
        self.members = [Member(at + 1, folder, at >= voters, at >= voters, named) for at in range(voters + observers)]
        self.addresses = ",".join(member.address for member in self.members)
        self.lines = [member.line() for member in self.members]
        for member in self.members:
            member.configure(self.lines)

    def begin(self, kinds, first):
        """Starts those in `first` alone, of which the highest then leads, then the others."""
        for group in (first, [one for one in self.members if one not in first]):
            for member in group:
                member.start(kinds[member.sid - 1])
            self.await_roles(group if group is first else self.members)

    def await_roles(self, members):
        def there():
            modes = [member.mode() for member in members]
            if None in modes or modes.count("leader") != 1:
                return False
            # The leader may count one a moment after it serves.
            told = members[modes.index("leader")].monitor()
            return all(told.get("zk_synced_%ss" % role) == str(modes.count(role)) for role in ("follower", "observer"))
        eventually(there, lambda: "roles: %s" % {member.sid: member.mode() for member in members})

    def leader(self):
        return next(member for member in self.members if member.mode() == "leader")

    def end(self):
        for member in self.members:
            member.resume()
            member.kill()


class Ran:
    """What `zooid migrate` said and how it ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def events(self, name=None):
        found = [json.loads(line) for line in self.out.splitlines()]
        return [event for event in found if name is None or event["event"] == name]

    def __repr__(self):
        return "exit %d, said %s / %s" % (self.code, self.out[-3000:], self.err[-3000:])


def migrate(folder, *words, deadline_s=400):
    """Runs it to its end. Its streams are files: servers that it starts keep them open."""
    paths = [os.path.join(folder, name) for name in ("migrate.out", "migrate.err")]
    with open(paths[0], "w") as out, open(paths[1], "w") as err:
        process = subprocess.Popen([ZOOID, "migrate", *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            code = process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = -1
    texts = []
    for path in paths:
        with open(path) as file:
            texts.append(file.read())
    ran = Ran(code, *texts)
    require(code != -1, lambda: "`zooid migrate %s` hangs: %r" % (" ".join(words), ran))
    return ran
