"""Clients that write and read registers and remember what they saw: a history, for porcupine and for `history.py`.

Nothing is asked twice. What got no answer may have happened."""

import collections
import contextlib
import random
import socket
import struct
import threading
import time

import wire
from servers import Failure

SESSION_MS = 120_000
"""Longer than any fault: a session that is lost was lost by the servers."""
PATIENCE_S = 8
"""For one answer. Longer than a member needs to notice that it has lost the others."""
PACE_S = 0.003
KEYS = 3
"""Registers that are in use at a time."""

NO_NODE, BAD_VERSION, EXISTS = -101, -103, -110
# What is told of a register by a refusal: see linearizable.go.
REFUSALS = {NO_NODE: -1, BAD_VERSION: -2, EXISTS: -3}

Op = collections.namedtuple("Op", "key kind client member invoked returned outcome value expected version zxid synced")
"""One operation. `outcome` is ok, fail or unknown; times are ns of one clock; `zxid` is that of the reply."""


class Connection(wire.Client):
    """A session of `wire` on the address of a member; it tells the last zxid that was seen, as real clients do."""

    def __init__(self, address, session, zxid):
        self._lock, self._xid = threading.Lock(), 0
        try:
            self.socket = socket.create_connection(address, timeout=PATIENCE_S)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._from = self.socket.makefile("rb")
            hello = struct.pack(">iqiq", 0, zxid, SESSION_MS, session[0]) + wire.buffer(session[1]) + b"\0"
            self.socket.sendall(wire.buffer(hello))
            frame = self._frame()
        except OSError as error:
            raise wire.Gone(str(error)) from error
        _, self.timeout_ms, self.id = struct.unpack_from(">iiq", frame)
        self.password = frame[20:36]


class Keys:
    """The registers of now. Each round has its own, so that histories stay short."""

    def __init__(self):
        self.round = 0

    def now(self):
        return ["/keys/%d-%d" % (self.round, number) for number in range(KEYS)]


class Client:
    """One thread, one session. Pinned to a member, or at another with each connection."""

    def __init__(self, number, ensemble, home, keys, seed):
        self.number, self.ensemble, self.home, self.keys = number, ensemble, home, keys
        self.random = random.Random(seed)
        self.folder = "/own/%d" % number
        self.session, self.zxid = (0, bytes(16)), 0
        self.connection = self.member = None
        self.history = []
        # Nodes of its own: (name, "ok" or "unknown"), in the order of their requests.
        self.made = []
        self.versions = {}
        self.values = 0
        self.acknowledged = 0
        self.sessions_lost = self.losses = 0
        self.wrong = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.stopping.is_set():
                try:
                    if self.connection is None:
                        self._connect()
                    self._operation()
                    self.stopping.wait(PACE_S)
                except wire.Gone:
                    self._drop()
                    self.losses += 1
                    self.stopping.wait(0.1)
        except Exception as error:
            self.wrong = error
        finally:
            self._drop()

    def _drop(self):
        if self.connection:
            with contextlib.suppress(OSError):
                self.connection.drop()
            self.connection = None

    def _connect(self):
        self.member = self.home or self.random.choice(self.ensemble.members)
        connection = Connection(self.member.address, self.session, self.zxid)
        if connection.id == 0:
            self.sessions_lost += 1
            self.session = (0, bytes(16))
            connection.drop()
            raise wire.Gone("the session is over")
        self.connection = connection
        self.session = (connection.id, connection.password)

    def _operation(self):
        pick = self.random.random()
        key = self.random.choice(self.keys.now())
        known = self.versions.get(key, -1)
        if pick < 0.15:
            self._create_own()
        elif pick < 0.55:
            self._read(key, synced=pick < 0.40)
        elif known < 0 and pick < 0.65:
            value = self._value()
            self._write(key, "create", value, -9, wire.CREATE, wire.create(key, b"%d" % value))
        elif pick < 0.85:
            value = self._value()
            self._write(key, "set", value, -9, wire.SET, wire.set_data(key, b"%d" % value))
        elif known >= 0:
            value = self._value()
            self._write(key, "cas", value, known, wire.SET, wire.set_data(key, b"%d" % value, known))

    def _value(self):
        """Values are unique, so that each tells which write it is of."""
        self.values += 1
        return self.number * 1_000_000 + self.values

    def _write(self, key, kind, value, expected, op, body):
        invoked = time.monotonic_ns()
        version = zxid = -1
        outcome = "unknown"
        try:
            reply = self._ask([(op, body)])[0]
            if reply.code == 0:
                self.acknowledged += 1
                outcome, version = "ok", 0
                if kind != "create":
                    version = reply.stat()[4]
                self.versions[key] = version
            elif reply.code in REFUSALS:
                outcome, version = "fail", REFUSALS[reply.code]
            zxid = reply.zxid
            self._not_back(reply)
        finally:
            self.history.append(Op(key, kind, self.number, self.member.sid, invoked, time.monotonic_ns(), outcome,
                                   value, expected, version, zxid, False))
        if outcome == "unknown":
            raise wire.Gone("error %d" % reply.code)

    def _read(self, key, synced):
        invoked = time.monotonic_ns()
        requests = [(wire.SYNC, wire.buffer(key))] if synced else []
        replies = self._ask(requests + [(wire.GET, wire.reading(key))])
        returned = time.monotonic_ns()
        if any(reply.code not in (0, NO_NODE) for reply in replies) or replies[0].code and synced:
            raise wire.Gone("error %s" % [reply.code for reply in replies])
        for reply in replies:
            self._not_back(reply)
        reply = replies[-1]
        value, version = 0, -1
        if reply.code == 0:
            value, version = int(reply.buffer()), reply.stat()[4]
        self.versions[key] = version
        self.history.append(Op(key, "get", self.number, self.member.sid, invoked, returned,
                               "fail" if reply.code else "ok", value, -9, version, reply.zxid, synced))

    def _create_own(self):
        name = "%s/n%08d" % (self.folder, len(self.made))
        self.made.append((name, "unknown"))
        data = self.random.randbytes(self.random.choice((10, 100, 400)))
        reply = self._ask([(wire.CREATE, wire.create(name, data))])[0]
        if reply.code == 0:
            self.made[-1] = (name, "ok")
            self.acknowledged += 1
        self._not_back(reply)
        if reply.code:
            raise wire.Gone("error %d" % reply.code)

    def _ask(self, requests):
        for op, body in requests:
            self.connection.send(op, body)
        return [self.connection.receive() for _ in requests]

    def _not_back(self, reply):
        """What a session is shown never goes back, wherever it is connected."""
        if reply.code in (0, NO_NODE, BAD_VERSION, EXISTS):
            if reply.zxid < self.zxid:
                raise Failure("client %d saw zxid 0x%x after 0x%x, at %r" % (
                    self.number, reply.zxid, self.zxid, self.member))
            self.zxid = reply.zxid


class Crowd:
    """Two clients at each member and two that move."""

    def __init__(self, ensemble, seed):
        self.keys = Keys()
        dice = random.Random(seed)
        homes = [member for member in ensemble.members for _ in range(2)] + [None, None]
        self.clients = [Client(number + 1, ensemble, home, self.keys, dice.random())
                        for number, home in enumerate(homes)]
        first = Connection(ensemble.members[0].address, (0, bytes(16)), 0)
        for path in ["/keys", "/own"] + [client.folder for client in self.clients]:
            first.create(path)
        first.close()

    def start(self):
        for client in self.clients:
            client.thread.start()

    def next_round(self):
        self.keys.round += 1

    def check(self):
        """Raises what a client found wrong."""
        for client in self.clients:
            if client.wrong:
                raise client.wrong

    def acknowledged(self, *members):
        """Writes that were acknowledged to those who are at one of these members."""
        self.check()
        return sum(client.acknowledged for client in self.clients if not members or client.home in members)

    def end(self):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            if client.thread.ident:
                client.thread.join(timeout=120)
        self.check()
        stuck = [client.number for client in self.clients if client.thread.is_alive()]
        if stuck:
            raise Failure("clients %s do not end" % stuck)

    def history(self):
        return sorted((op for client in self.clients for op in client.history), key=lambda op: op.invoked)
