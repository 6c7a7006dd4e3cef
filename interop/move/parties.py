"""Clients that live through a move; those in Python are here, those in Java and Go are programs."""

import logging
import os
import queue
import subprocess
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException

from members import DEADLINE_S, Failure, Session, eventually, require, same, wire

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.environ["INTEROP_OUT"]
SESSION_S = 60


class Keeper:
    """A session with an ephemeral node that does nothing but live, going from member to member."""

    def __init__(self, ensemble, number):
        self.ensemble, self.number = ensemble, number
        self.path = "/keeper-%d" % number
        self.client = None
        self.session = (0, bytes(16))
        self.zxid = 0
        self.wrong = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.ending.is_set():
                try:
                    self._connect()
                    while not self.ending.is_set():
                        self._live()
                except (wire.Gone, OSError):
                    self.ending.wait(0.05)
        except Exception as error:
            self.wrong = error

    def _connect(self):
        members = self.ensemble.members
        self.number += 1
        member = members[self.number % len(members)]
        if member.process is None:
            raise wire.Gone("killed")
        self.client = Session(member.port, SESSION_S * 1000, session=self.session, patience_s=8)
        require(not self.session[0] or self.client.id == self.session[0], "the session of %s is lost" % self.path)
        if not self.session[0]:
            self.session = (self.client.id, self.client.password)
            self.client.create(self.path, flags=wire.EPHEMERAL)
        self.connected()

    def connected(self):
        pass

    def _live(self):
        self.ending.wait(0.2)
        self.client.ping()

    def end(self):
        self.ending.set()
        self.thread.join(120)
        require(not self.thread.is_alive(), "%s hangs" % self.path)
        if self.wrong:
            raise self.wrong

    def settle(self, member):
        client = member.client()
        client.sync()
        stat = client.exists(self.path)
        require(stat, "%s is gone" % self.path)
        same(stat["ephemeralOwner"], self.session[0], "owner of %s" % self.path)
        client.close()


class Watcher(Keeper):
    """Sees each state of a node at most once, by one-shot watches that it takes along; none is lost, none comes
    twice."""

    SET_WATCHES = 101

    def __init__(self, ensemble, number, path):
        super().__init__(ensemble, number)
        self.watched = path
        self.armed = False
        """A watch is set, and its event has not come."""
        self.version = -1
        self.events = 0

    def connected(self):
        # This member may be behind the one that was left.
        self.client.sync()
        if self.armed:
            body = wire.struct.pack(">qi", self.zxid, 1) + wire.buffer(self.watched) + wire.struct.pack(">ii", 0, 0)
            self.client.call(self.SET_WATCHES, body, xid=-8)
        self._look()

    def _look(self):
        """Takes what has come, and sets a watch where none is."""
        self.client.ping()
        while self.client.events:
            event = self.client.events.pop(0)
            require(self.armed, "an event without a watch: %r" % (event,))
            same(event[2], self.watched, "path of an event")
            self.armed = False
            self.events += 1
        if not self.armed:
            self.client.send(wire.GET, wire.buffer(self.watched) + b"\1")
            reply = self.client.receive()
            require(reply.code == 0, "%s: error %d" % (self.watched, reply.code))
            self.zxid = max(self.zxid, reply.zxid)
            reply.buffer()
            version = dict(zip(wire.STAT_FIELDS, reply.stat()))["version"]
            require(version >= self.version, "version %d behind %d" % (version, self.version))
            if self.events:
                require(version > self.version, "an event without a change of version %d" % version)
            self.armed, self.version = True, version

    def _live(self):
        self.ending.wait(0.02)
        self._look()

    def settle(self, member):
        super().settle(member)
        client = member.client()
        client.sync()
        same(client.exists(self.watched)["version"], self.version, "the last version that the watcher heard of")
        client.close()


class Locks:
    """kazoo: one client holds a lock all the time, another wants it; a third makes nodes."""

    def __init__(self, ensemble):
        logging.getLogger("kazoo").setLevel(logging.CRITICAL)
        hosts = ",".join("127.0.0.1:%d" % member.port for member in ensemble.members)
        self.lost = []
        self.clients = []
        for at in range(2):
            client = KazooClient(hosts, timeout=SESSION_S, connection_retry={"max_tries": -1, "max_delay": 1},
                                 command_retry={"max_tries": -1, "max_delay": 1})
            client.add_listener(lambda state, at=at: self.lost.append(at) if state == KazooState.LOST else None)
            client.start(timeout=DEADLINE_S)
            self.clients.append(client)
        self.holder, self.other = self.clients
        self.lock = self.holder.Lock("/lock", "holder")
        require(self.lock.acquire(timeout=DEADLINE_S), "the lock is not to be had")
        self.ids = [client.client_id[0] for client in self.clients]
        self.taken = threading.Event()
        self.thread = threading.Thread(target=self._want, daemon=True)
        self.thread.start()
        self.made = []

    def _want(self):
        lock = self.other.Lock("/lock", "other")
        while not self.taken.is_set():
            try:
                if lock.acquire(timeout=600):
                    self.taken.set()
            except KazooException:
                continue

    def step(self):
        require(not self.taken.is_set(), "two have the lock")
        self.made.append(self.holder.retry(self.holder.create, "/kazoo/n-", makepath=True, sequence=True))

    def end(self):
        require(not self.taken.is_set(), "two have the lock")
        self.lock.release()
        eventually(self.taken.is_set, "the other has the lock")
        same(self.lost, [], "kazoo's lost sessions")
        same([client.client_id[0] for client in self.clients], self.ids, "kazoo's sessions")
        names = self.other.get_children("/kazoo")
        lost = {path.rpartition("/")[2] for path in self.made} - set(names)
        require(not lost, "acknowledged and lost: %s" % lost)
        require(self.made == sorted(set(self.made)), "sequential names: %s" % self.made)

    def close(self):
        for client in self.clients:
            client.stop()
            client.close()


class Program:
    """Clients in another language: see `src/Mover.java` and `mover.go`."""

    def __init__(self, name, command, ensemble, folder):
        self.name = name
        self.lines = queue.Queue()
        self.wrong = None
        hosts = ",".join("127.0.0.1:%d" % member.port for member in ensemble.members)
        self.words = os.path.join(folder, name + ".log")
        with open(self.words, "wb") as log:
            self.process = subprocess.Popen(
                [*command, hosts, "/" + name, str(SESSION_S * 1000)], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, process_group=0)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("FAIL"):
                self.wrong = Failure("%s: %s" % (self.name, line.strip()))
            self.lines.put(line.strip())
        self.wrong = self.wrong or Failure("%s has ended" % self.name)
        self.lines.put("")

    def answer(self, word):
        """What it says next, which must begin like that; as name to number."""
        try:
            line = self.lines.get(timeout=3 * DEADLINE_S)
        except queue.Empty:
            raise Failure("%s does not answer" % self.name) from None
        if not line.startswith(word):
            raise self.wrong or Failure("%s says %r instead of %s" % (self.name, line, word))
        return {name: int(number) for name, _, number in (part.partition("=") for part in line.split()[1:])}

    def ask(self, order, word):
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # It says by itself why it has ended.
        return self.answer(word)

    def kill(self):
        self.process.kill()
        self.process.wait()


def programs(ensemble, folder):
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.log.level=OFF", "-cp",
            ":".join((OUT + "/move/classes", OUT + "/curator/lib/*", OUT + "/oracle/lib", OUT + "/oracle/lib/*")),
            "Mover"]
    return [Program("java", java, ensemble, folder), Program("go", [OUT + "/move/mover"], ensemble, folder)]
