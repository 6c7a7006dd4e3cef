"""A load of random writes from several clients, which remembers what was acknowledged."""

import os
import random
import threading

import wire
from harness import eventually, require
from wire import (AS_CONTAINER, CHECK, CONTAINER, CREATE, CREATE2, DELETE, EPHEMERAL, EPHEMERAL_SEQUENTIAL, MULTI, OPEN,
                  PERSISTENT, SEQUENTIAL, SET, SET_ACL, TTL)

# Requests that a client has under way at most.
WINDOW = 8
CLIENTS = 4
ALICE = "alice:secret"
# Lists that every phase may use; see `settle`.
LISTS = [
    OPEN,
    [(31, "digest", "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E="), (1, "world", "anyone")],
    [(31, "ip", "127.0.0.1"), (5, "world", "anyone")],
    [(31, "world", "anyone"), (31, "digest", "bob:pHKbDpcMZ1U7cUxhUi8eLr+sAhM=")],
    [(31, "auth", "")],
]


class Load:
    """Clients that write until `stop`, or until the server is gone. `lists` is whether new ACLs come up: Java writes
    snapshots under such a load that it refuses to read itself (fixture fuzzy-snapshot-acl-fatal)."""

    def __init__(self, server, seed, lists=True):
        self.server = server
        self.sessions = {}
        self.acknowledged = 0
        self.acknowledged_zxid = 0
        self.errors = []
        self._lists = lists
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number, random.Random("%s %d" % (seed, number))), daemon=True)
            for number in range(CLIENTS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def wait_for(self, writes):
        goal = self.acknowledged + writes
        eventually(lambda: self.acknowledged >= goal or self.errors, "%d acknowledged writes" % writes, deadline_s=120)
        require(not self.errors, "a client of the load failed: %s" % self.errors[:1])

    def join(self):
        """Waits for the clients, whose server is gone."""
        for thread in self._threads:
            thread.join(60)
            require(not thread.is_alive(), "a client of the load hangs")
        require(not self.errors, "a client of the load failed: %s" % self.errors[:1])

    def stop(self):
        """Lets every client wait for its replies and leave its session to its timeout."""
        self._stopping.set()
        self.join()

    def _run(self, number, rng):
        try:
            Writer(self, number, rng, self._lists).run(self._stopping)
        except wire.Gone:
            pass
        except Exception as error:
            self.errors.append(repr(error))

    def opened(self, client):
        with self._lock:
            self.sessions[client.id] = client.password

    def closed(self, session):
        with self._lock:
            self.sessions.pop(session, None)

    def note(self, replies):
        with self._lock:
            self.acknowledged += len(replies)
            self.acknowledged_zxid = max(self.acknowledged_zxid, max(reply.zxid for reply in replies))


class Writer:
    """One client at a time of the load, with a directory of its own and one that all share."""

    def __init__(self, load, number, rng, lists):
        self._load, self._rng, self._lists = load, rng, lists
        self._number = number
        self._own = "/load/own-%d" % number
        self._known = []
        self._client = None

    def run(self, stopping):
        self._open()
        while not stopping.is_set():
            if self._rng.random() < 0.02:
                self._change_session()
            requests = [self._request() for _ in range(self._rng.randint(1, WINDOW))]
            replies = self._client.pipeline(requests, WINDOW)
            self._load.note(replies)
            for (op, _), reply in zip(requests, replies):
                if reply.code == 0 and op in (CREATE, CREATE2, CONTAINER, TTL):
                    self._known.append(reply.text())
            del self._known[:-200]
        self._client.drop()

    def _open(self):
        self._client = self._load.server.client()
        self._load.opened(self._client)
        self._client.auth("digest", ALICE)

    def _change_session(self):
        """Half of the sessions end with their nodes, the others are left as by a killed client."""
        if self._rng.random() < 0.5:
            # Unanswered writes of the session in front of its end.
            for _ in range(3):
                self._client.send(*self._ephemeral())
            self._client.send(wire.CLOSE)
            while self._client.receive().xid != self._client._xid:
                pass
            self._load.closed(self._client.id)
        self._client.drop()
        self._open()

    def _path(self):
        place = self._rng.choice((self._own, self._own, "/load/shared"))
        return "%s/n%d" % (place, self._rng.randrange(60))

    def _some(self):
        if self._known and self._rng.random() < 0.7:
            return self._rng.choice(self._known)
        return self._path()

    def _data(self):
        kind = self._rng.random()
        if kind < 0.1:
            return None
        if kind < 0.2:
            return b""
        if kind < 0.25:
            return self._rng.randbytes(self._rng.randrange(20_000))
        return self._rng.randbytes(self._rng.randrange(200))

    def _acl(self):
        if self._lists and self._rng.random() < 0.3:
            return OPEN + [(self._rng.randrange(1, 32), "ip", "10.0.%d.0/24" % self._rng.randrange(200))]
        return self._rng.choice(LISTS)

    def _ephemeral(self):
        flags = self._rng.choice((EPHEMERAL, EPHEMERAL_SEQUENTIAL))
        return CREATE, wire.create(self._path() + "-e", self._data(), self._acl(), flags)

    def _request(self):
        rng = self._rng
        kind = rng.random()
        if kind < 0.18:
            op = rng.choice((CREATE, CREATE2))
            return op, wire.create(self._path(), self._data(), self._acl(), rng.choice((PERSISTENT, SEQUENTIAL)))
        if kind < 0.28:
            return self._ephemeral()
        if kind < 0.32:
            parent = rng.choice(("/load/containers/c%d" % rng.randrange(30), "/load/containers"))
            return CONTAINER, wire.create("%s/c%d" % (parent, rng.randrange(30)), self._data(), OPEN, AS_CONTAINER)
        if kind < 0.36:
            ttl_ms = rng.choice((1, 3_600_000, 2 ** 39))
            return TTL, wire.create_ttl(self._path() + "-t", self._data(), OPEN, ttl_ms)
        if kind < 0.40:
            # Below a node that exists, at times.
            return CREATE, wire.create(self._some() + "/below", self._data(), self._acl())
        if kind < 0.62:
            return SET, wire.set_data(self._some(), self._data(), rng.choice((-1, -1, -1, 0, 1)))
        if kind < 0.70:
            return SET_ACL, wire.set_acl(self._some(), self._acl(), rng.choice((-1, -1, 0)))
        if kind < 0.88:
            return DELETE, wire.versioned(self._some(), rng.choice((-1, -1, -1, 0)))
        return MULTI, wire.multi([self._part() for _ in range(rng.randint(0, 5))])

    def _part(self):
        rng = self._rng
        kind = rng.random()
        if kind < 0.35:
            flags = rng.choice((PERSISTENT, SEQUENTIAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL))
            return CREATE, wire.create(self._path() + "-m", self._data(), self._acl(), flags)
        if kind < 0.5:
            return DELETE, wire.versioned(self._some())
        if kind < 0.9:
            return SET, wire.set_data(self._own, self._data())
        return CHECK, wire.versioned(self._own)


def settle(server):
    """Makes what every load expects. A node for each list keeps the ids of the lists in Java's table."""
    client = server.superuser()
    client.auth("digest", ALICE)
    paths = ["/load", "/load/shared", "/load/containers", "/load/lists"]
    paths += ["/load/own-%d" % number for number in range(CLIENTS)]
    requests = [(CREATE, wire.create(path, b"settled")) for path in paths]
    requests += [
        (CREATE, wire.create("/load/lists/%d" % number, b"", acl)) for number, acl in enumerate(LISTS)]
    # Counts and bytes of two directories are kept by the server itself.
    for path in ("/load/own-0", "/load/shared"):
        quota = "/zookeeper/quota" + path
        parts = quota.split("/")
        requests += [(CREATE, wire.create("/".join(parts[:end]))) for end in range(4, len(parts) + 1)]
        requests.append((CREATE, wire.create(quota + "/zookeeper_limits", "count=100000,bytes=-1")))
        requests.append((CREATE, wire.create(quota + "/zookeeper_stats", "count=0,bytes=0")))
    for reply in client.pipeline(requests):
        require(reply.code in (0, -110), "error %d while settling" % reply.code)
    client.close()


def seed():
    """With CI=true always the same: what a change broke must not hang on chance."""
    fixed = "1" if os.environ.get("CI") == "true" else None
    return os.environ.get("SEED") or fixed or "%08x" % random.SystemRandom().getrandbits(32)
