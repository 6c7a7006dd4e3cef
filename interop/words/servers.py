"""Two servers with the same configuration: Apache ZooKeeper, and the one that is compared with it."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time

from zk import DEADLINE_S, Session, answer

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER_SH = os.path.join(HERE, "..", "server.sh")
PORTS_SH = os.path.join(HERE, "..", "ports.sh")
KIND = os.environ.get("SERVER", "zooid")

PATIENT_MS = 40000
"""Session timeout of checks that send no pings."""


class Server:
    def __init__(self, kind, folder, lines=(), flags=""):
        self.kind, self.folder = kind, folder
        self.port = int(subprocess.check_output([PORTS_SH]))
        self.clients = {}
        environment = dict(os.environ, JVMFLAGS=flags)
        lines = [line.replace("FOLDER", folder) for line in lines]
        self._call(["start", kind, str(self.port), folder, *lines], environment)

    def stop(self):
        self._call(["kill", self.folder], None)

    @staticmethod
    def _call(words, environment):
        done = subprocess.run([SERVER_SH, *words], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError("server.sh %s: %s" % (words[0], done.stdout + done.stderr))

    def ask(self, word, rest=b"", **how):
        return answer(self.port, word.encode(), rest, **how).decode()

    def session(self, name, timeout_ms=PATIENT_MS, **more):
        """A session that outputs are shown with its name for."""
        session = Session(self.port, timeout_ms, **more)
        self.clients[name] = session
        return session

    def nameless(self, text):
        """A text with the names of sessions for their ids and addresses, and of the rest what it is."""
        for name, session in self.clients.items():
            text = text.replace("0x%x" % session.id, name)
            text = text.replace(session.address + "[", "/%s[" % name).replace(session.address + " ", "/%s " % name)
        return text

    def close_clients(self):
        for session in self.clients.values():
            with contextlib.suppress(OSError, EOFError):
                session.close()
        self.clients.clear()


class Pair:
    """Apache ZooKeeper, and the server that is to be like it."""

    def __init__(self, lines=(), flags=""):
        self.folder = tempfile.mkdtemp(prefix="words-")
        self.servers = []
        try:
            for name, kind in (("oracle", "java"), ("other", KIND)):
                self.servers.append(Server(kind, os.path.join(self.folder, name), lines, flags))
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.folder)

    def both(self, function):
        """What a function of a server gives for each of them; it must be the same."""
        oracle, other = [function(server) for server in self.servers]
        assert oracle == other, "%r\n   where the oracle has %r" % (other, oracle)
        return oracle

    def agree(self, view):
        """Waits until both give the same: counters of a reply may follow the reply."""
        deadline = time.monotonic() + DEADLINE_S / 4
        while True:
            oracle, other = [view(server) for server in self.servers]
            if oracle == other:
                return oracle
            if time.monotonic() > deadline:
                raise AssertionError(difference(oracle, other))


def difference(oracle, other):
    if isinstance(oracle, (set, frozenset)):
        return "only here %r, only in the oracle %r" % (sorted(other - oracle), sorted(oracle - other))
    if isinstance(oracle, dict):
        keys = [key for key in {**oracle, **other} if oracle.get(key) != other.get(key)]
        return "; ".join("%s: %r, in the oracle %r" % (key, other.get(key), oracle.get(key)) for key in keys)
    return "%r\n   where the oracle has %r" % (other, oracle)
