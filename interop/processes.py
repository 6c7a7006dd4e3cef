"""What suites of ensembles share: waiting for a condition, ports, and one server of an ensemble as a process."""

import os
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# The client and its bytes are those of the suite of directories.
sys.path.insert(0, os.path.join(HERE, "disk"))

import wire  # noqa: E402,F401

ZOOID = os.environ["ZOOID"]
ORACLE, ORACLE_38 = [os.path.join(os.environ["INTEROP_OUT"], name, "lib") for name in ("oracle", "oracle38")]
DEADLINE_S = 120
"""A machine that stands still for seconds must not fail a check: this is how long each condition may take."""


class Failure(Exception):
    pass


def require(condition, what):
    """`what` may be a function that says it."""
    if not condition:
        raise Failure(what() if callable(what) else what)


def same(got, want, what):
    require(got == want, lambda: "%s: got %r, want %r" % (what, got, want))


def eventually(condition, what, deadline_s=DEADLINE_S):
    """Polls until `condition()` is true and returns its value; `what` may be a function that says it."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        require(time.monotonic() < end,
                lambda: "not in %d s: %s" % (deadline_s, what() if callable(what) else what))
        time.sleep(0.02)
    return value


def free_ports(count):
    """Ports that nobody else gets: one that is down on purpose comes back to its own."""
    printed = subprocess.check_output([os.path.join(HERE, "ports.sh"), str(count)])
    return [int(port) for port in printed.split()]


def java(logback, *flags):
    """The words before the class path: small, and quick to start rather than to run."""
    return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-Dzookeeper.admin.enableServer=false", "-Dlogback.configurationFile=" + logback, *flags]


def server_of(config, words, lib=ORACLE):
    """The command of Apache ZooKeeper."""
    return [*words, "-cp", "%s:%s/*" % (lib, lib), "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]


LAUNCHED = set()
"""Processes that may run."""


def end_all():
    """However a suite ends, none of its servers stays."""
    for process in LAUNCHED:
        process.kill()
        process.wait()


class Process:
    """A server with a folder of its own that runs at times. Who inherits says `address` and `__repr__`."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None

    @property
    def log_file(self):
        return os.path.join(self.folder, "server.log")

    @property
    def config(self):
        return os.path.join(self.folder, "zoo.cfg")

    @property
    def address(self):
        return "127.0.0.1", self.port

    def launch(self, command, **options):
        require(self.process is None, "%r runs" % self)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        LAUNCHED.add(self.process)

    def kill(self):
        """Ends the process as a crash does, also one that was stopped or has ended by itself."""
        if self.process:
            self.process.kill()
            self.process.wait()
            LAUNCHED.discard(self.process)
            self.process = None

    def stop(self):
        """Ends it as an operator does; returns how it ended."""
        self.process.terminate()
        try:
            code = self.process.wait(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure("%r ignored TERM" % self) from None
        LAUNCHED.discard(self.process)
        self.process = None
        return code

    def pause(self):
        """SIGSTOP; returns when the process stands still."""
        self.process.send_signal(signal.SIGSTOP)

        def stopped():
            with open("/proc/%d/stat" % self.process.pid) as file:
                return file.read().rpartition(")")[2].split()[0] == "T"
        eventually(stopped, "%r stands still" % self)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def ended(self):
        return self.process.poll() is not None

    def alive(self):
        """False when it was ended; a failure when it ended by itself."""
        if self.process is None:
            return False
        if self.ended():
            raise Failure("%r ended by itself with %d: %s" % (self, self.process.returncode, self.last_words()))
        return True

    def word(self, text):
        """The answer to a four-letter word, "" when there is none."""
        answer = b""
        try:
            with socket.create_connection(self.address, timeout=2) as to:
                to.sendall(text.encode())
                while chunk := to.recv(65536):
                    answer += chunk
        except OSError:
            # An answer that breaks off is none: half of a number is another number.
            return ""
        return answer.decode(errors="replace")

    def srvr(self):
        """Lines of `srvr` by their names, empty when it does not serve."""
        if not self.alive():
            return {}
        lines = (line.partition(": ") for line in self.word("srvr").splitlines())
        return {name: value for name, _, value in lines}

    def mode(self):
        """leader, follower, observer, or None when it does not serve."""
        return self.srvr().get("Mode")

    def zxid(self):
        return int(self.srvr().get("Zxid", "0"), 16)

    def monitor(self):
        """What `mntr` says, by name."""
        lines = (line.partition("\t") for line in self.word("mntr").splitlines())
        return {name: value for name, _, value in lines}

    def log(self, since=0):
        with open(self.log_file, errors="replace") as file:
            file.seek(since)
            return file.read()

    def log_size(self):
        return os.path.getsize(self.log_file)

    def last_words(self):
        return " / ".join(self.log().splitlines()[-6:])
