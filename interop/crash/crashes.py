"""Crash rounds: a server is killed at a random moment under load, again and again on the same directory, and may not
have lost or half done anything that it acknowledged.

Every worker writes below a node of its own and keeps a model of it. What it has sent and got no reply for may have
happened or not, but in order: what is found after the restart must be the acknowledged state with a prefix of the
requests under way."""

import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import wire
from disks import Process, zooid_only
from harness import ZOOID, Server, check, eventually, require

ROUNDS = 150
SEED = 0
KIND = os.environ["SERVER"]
WORKERS = 4
SESSION_MS = 60_000
SETTINGS = ("snapCount=200", "preAllocSize=64", "maxSessionTimeout=60000", "autopurge.purgeInterval=1")
# More nodes than this are thinned out, so that a round stays as short as the first.
MOST_NODES = 40
STOP_S = 5


class Model:
    """What the node of a worker holds: path to (data, version, owner), and the number of the next sequential node."""

    def __init__(self):
        self.nodes = {}
        self.number = 0

    def apply(self, op):
        kind = op[0]
        if kind == "create":
            self.nodes[op[1]] = (op[2], 0, op[3])
        elif kind == "sequential":
            self.nodes["%s%010d" % (op[1], self.number)] = (op[2], 0, op[3])
            self.number += 1
        elif kind == "set":
            _, version, owner = self.nodes[op[1]]
            self.nodes[op[1]] = (op[2], version + 1, owner)
        elif kind == "delete":
            del self.nodes[op[1]]
        elif kind == "multi":
            for part in op[1]:
                self.apply(part)
        elif kind == "close":
            self.nodes = {path: node for path, node in self.nodes.items() if node[2] != op[1]}


def encoded(op):
    """Operation code and body of a request."""
    kind = op[0]
    if kind in ("create", "sequential"):
        flags = (2 if kind == "sequential" else 0) | (1 if op[3] else 0)
        return wire.CREATE, wire.create(op[1], op[2], flags=flags)
    if kind == "set":
        return wire.SET, wire.set_data(op[1], op[2])
    if kind == "delete":
        return wire.DELETE, wire.versioned(op[1])
    if kind == "multi":
        return wire.MULTI, wire.multi(encoded(part) for part in op[1])
    if kind == "refused":
        return wire.CREATE, wire.create("/", b"")
    if kind == "refused-multi":
        # The first part would do, the second does not: neither may happen.
        return wire.MULTI, wire.multi([(wire.CREATE, wire.create(op[1])), (wire.CHECK, wire.versioned("/", 7777))])
    if kind == "close":
        return wire.CLOSE, b""
    raise AssertionError(op)


class Worker:
    def __init__(self, number, seed):
        self.root = "/w%d" % number
        self.random = random.Random(seed)
        self.acked, self.head = Model(), Model()
        self.pending = []
        self.session = (0, bytes(16))
        self.client = None
        self.made = 0
        self.done = 0
        self.zxid = 0
        self.wrong = None

    def connect(self, server):
        """Goes on with its session, which must be there unless its end was under way."""
        self.client = wire.Client(server.port, SESSION_MS, self.session)
        if self.session[0] and self.client.id != self.session[0]:
            return False
        self.session = (self.client.id, self.client.password)
        return True

    def prepare(self):
        for path in (self.root, self.root + "/q"):
            self.client.create(path)

    def next_op(self):
        pick, nodes = self.random.random(), self.head.nodes
        data = self.random.randbytes(self.random.choice((0, 10, 100, 3000)))
        owner = self.session[0] if self.random.random() < 0.3 else 0
        if len(nodes) > MOST_NODES:
            return "delete", self.random.choice(sorted(nodes))
        if pick < 0.25 or not nodes:
            self.made += 1
            return "create", "%s/n%d" % (self.root, self.made), data, owner
        if pick < 0.45:
            return "sequential", self.root + "/q/s-", data, owner
        if pick < 0.70:
            return "set", self.random.choice(sorted(nodes)), data
        if pick < 0.80:
            return "delete", self.random.choice(sorted(nodes))
        if pick < 0.84:
            return "refused",
        self.made += 1
        path = "%s/n%d" % (self.root, self.made)
        if pick < 0.88:
            return "refused-multi", path
        if pick < 0.90:
            return "close", self.session[0]
        old = self.random.sample(sorted(nodes), min(2, len(nodes)))
        parts = [("create", path, data, 0), ("set", path, data + b"+")]
        parts += [("sequential", self.root + "/q/s-", b"m", 0)]
        parts += [("set", old[0], data)] + [("delete", one) for one in old[1:]]
        return "multi", parts

    def work(self, server):
        """Sends requests until the server is gone; what was wrong is kept for the main thread."""
        try:
            while True:
                window = self.random.randrange(1, 17)
                while len(self.pending) < window:
                    op = self.next_op()
                    self.client.send(*encoded(op))
                    self.pending.append(op)
                    self.head.apply(op)
                    if op[0] == "close":
                        while self.pending:
                            self.take_reply()
                        self.client.drop()
                        self.session = (0, bytes(16))
                        self.client = wire.Client(server.port, SESSION_MS)
                        self.session = (self.client.id, self.client.password)
                self.take_reply()
        except wire.Gone:
            pass
        except Exception as error:
            self.wrong = error

    def take_reply(self):
        reply = self.client.receive()
        # In order: the replies of one connection come as its requests went.
        op = self.pending[0]
        kind = op[0]
        if kind == "refused":
            require(reply.code == -110, "creating the root: %d" % reply.code)
        else:
            require(reply.code == 0, "%s of %s: error %d" % (op, self.root, reply.code))
        if kind in ("multi", "refused-multi"):
            failed = reply.int() == -1
            require(failed == (kind == "refused-multi"), "%s went the wrong way" % (op,))
        if kind == "sequential":
            want = "%s%010d" % (op[1], self.acked.number)
            got = reply.text()
            require(got == want, "the next sequential node is %s, not %s" % (got, want))
        self.zxid = max(self.zxid, reply.zxid)
        self.pending.pop(0)
        self.acked.apply(op)
        self.done += 1

    def observe(self, reader):
        found = {}
        children = {}
        for directory in (self.root, self.root + "/q"):
            names = reader.call(wire.CHILDREN, wire.reading(directory)).names()
            children[directory] = ["%s/%s" % (directory, name) for name in names]
        paths = [path for paths in children.values() for path in paths if path != self.root + "/q"]
        for path, reply in zip(paths, reader.pipeline([(wire.GET, wire.reading(path)) for path in paths])):
            if reply.code == 0:
                data, stat = reply.buffer(), reply.stat()
                found[path] = (data, stat[4], stat[7])
        return found

    def settle(self, server, reader):
        """Compares what is there with what may be there, and takes it over."""
        attached = self.connect(server)
        found = self.observe(reader)
        state = copy.deepcopy(self.acked)
        candidates = [copy.deepcopy(state)]
        for op in self.pending:
            state.apply(op)
            candidates.append(copy.deepcopy(state))
        fitting = [at for at, candidate in enumerate(candidates) if candidate.nodes == found]
        if not fitting:
            raise AssertionError("%s: %d requests were under way, and no prefix of them gives what is there: %s" % (
                self.root, len(self.pending), "; ".join(difference(candidates[0].nodes, found))))
        closed = any(op[0] == "close" for op in self.pending)
        require(attached or closed, "the session 0x%x of %s is lost" % (self.session[0], self.root))
        if closed and attached:
            fitting = [at for at in fitting if all(op[0] != "close" for op in self.pending[:at])]
            require(fitting, "the nodes of %s are gone, its session is not" % self.root)
        if not attached:
            gone = [at for at in fitting if any(op[0] == "close" for op in self.pending[:at])]
            require(gone, "the session of %s is gone, its nodes are not" % self.root)
            fitting = gone
            self.session = (0, bytes(16))
            self.client.drop()
            require(self.connect(server), "no new session")
        # Which of several fitting prefixes it was only the number of the next sequential node tells.
        numbers = {candidates[at].number for at in fitting}
        number = reader.call(wire.GET, wire.reading(self.root + "/q"))
        number.buffer()
        stat = reader.call(wire.EXISTS, wire.reading(self.root + "/q")).stat()
        # A client is shown twice the number of creations less the children that are there.
        created = (stat[5] + stat[9]) // 2
        require(created in numbers, "%s/q counted to %d, possible: %s" % (self.root, created, sorted(numbers)))
        chosen = [at for at in fitting if candidates[at].number == created][-1]
        self.acked = candidates[chosen]
        self.head = copy.deepcopy(self.acked)
        self.pending = []


def difference(want, found):
    for path in sorted(want.keys() | found.keys()):
        if want.get(path) != found.get(path):
            yield "%s acknowledged %s, found %s" % (path, short(want.get(path)), short(found.get(path)))


def short(node):
    return node and ("%d bytes" % len(node[0] or b""), "version %d" % node[1], "owner 0x%x" % node[2])


class Churn:
    """Sessions that come and go. Those that ended stay ended; those that lost their connection go on."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.made = 0
        self.ended, self.kept = [], []
        self.wrong = None

    def work(self, server):
        try:
            while True:
                client = wire.Client(server.port, SESSION_MS)
                self.made += 1
                path = client.create("/c/e%d" % self.made, b"e", flags=wire.EPHEMERAL)
                if self.random.random() < 0.7:
                    client.close()
                    self.ended.append((path, client.id, client.password))
                elif len(self.kept) < 5:
                    client.drop()
                    self.kept.append((path, client.id, client.password))
                else:
                    client.drop()
        except wire.Gone:
            pass
        except Exception as error:
            self.wrong = error

    def settle(self, server, reader):
        for path, session, password in self.ended[-10:]:
            reply = reader.pipeline([(wire.EXISTS, wire.reading(path))])[0]
            require(reply.code == -101, "%s of an ended session is back" % path)
            client = wire.Client(server.port, SESSION_MS, (session, password))
            require(client.id == 0, "the ended session 0x%x is back" % session)
            client.drop()
        for path, session, password in self.kept:
            reply = reader.call(wire.GET, wire.reading(path))
            require((reply.buffer(), reply.stat()[7]) == (b"e", session), "%s changed" % path)
            client = wire.Client(server.port, SESSION_MS, (session, password))
            require(client.id == session, "the session 0x%x is lost" % session)
            client.close()
        self.ended, self.kept = [], []


def run_round(server, parties, dice):
    """Load until the end of the server: a crash, or an orderly stop. Returns how long the latter took, s."""
    threads = [threading.Thread(target=party.work, args=(server,)) for party in parties]
    for thread in threads:
        thread.start()
    # The moment is what this is about, not a wait for anything.
    time.sleep(dice.uniform(0.02, 0.4))
    took = None
    if dice.random() < 0.2:
        start = time.monotonic()
        server.stop()
        took = time.monotonic() - start
    else:
        os.kill(server.pid, signal.SIGKILL)
        server.kill()
    for thread in threads:
        thread.join(timeout=60)
        require(not thread.is_alive(), "a client hangs behind the end of its server")
    for party in parties:
        if party.wrong:
            raise party.wrong
    return took


def verified(folder):
    if KIND != "zooid":
        return
    done = subprocess.run([ZOOID, "verify", os.path.join(folder, "data")], capture_output=True, text=True)
    require(done.returncode == 0, "zooid verify: %s%s" % (done.stdout, done.stderr))


@check
def crash_rounds(folder):
    print("# crash rounds: --seed %d --rounds %d" % (SEED, ROUNDS), file=sys.stderr, flush=True)
    dice = random.Random(SEED)
    workers = [Worker(number, dice.random()) for number in range(WORKERS)]
    churn = Churn(dice.random())
    parties = workers + [churn]
    stops = []
    server = Server(KIND, folder, *SETTINGS)
    reader = server.client()
    reader.create("/c")
    reader.close()
    for worker in workers:
        worker.connect(server)
        worker.prepare()
    for at in range(ROUNDS):
        try:
            took = run_round(server, parties, dice)
            if took is not None:
                stops.append(took)
            if at % 10 == 0:
                verified(folder)
            server = Server(KIND, folder, *SETTINGS)
            reader = server.client()
            for party in parties:
                party.settle(server, reader)
            reader.close()
            zxid = server.zxid()
            acked = max(worker.zxid for worker in workers)
            require(zxid >= acked, "the server is at 0x%x, 0x%x was acknowledged" % (zxid, acked))
        except Exception as error:
            keep = tempfile.mkdtemp(prefix="zooid-crash-failed-")
            shutil.copytree(folder, keep, dirs_exist_ok=True)
            raise AssertionError("round %d of seed %d: %s (%s)" % (at, SEED, error, keep)) from error
    server.stop()
    verified(folder)
    print("# %d requests acknowledged in %d rounds; %d orderly stops under load, the longest %.2f s" % (
        sum(worker.done for worker in workers), ROUNDS, len(stops), max(stops, default=0)), file=sys.stderr)
    require(max(stops, default=0) < STOP_S, "a stop took %.2f s" % max(stops, default=0))


@check
@zooid_only
def orderly_stop(folder):
    """SIGTERM ends with 0 and soon, idle and under load; sessions and all that was acknowledged stay."""
    process = Process(folder)
    process.wait_for_port()
    start = time.monotonic()
    code = process.end(signal.SIGTERM)
    idle = time.monotonic() - start
    require(code == 0, "exit code %d" % code)

    process = Process(folder)
    process.wait_for_port()
    stay = wire.Client(process.port, SESSION_MS)
    stay.create("/stay", b"1", flags=wire.EPHEMERAL)
    writers = [wire.Client(process.port, SESSION_MS) for _ in range(4)]
    acked = [0] * len(writers)
    for at, writer in enumerate(writers):
        writer.create("/v%d" % at)

    def write(at):
        try:
            sent = 0
            while True:
                while sent - acked[at] < 100:
                    sent += 1
                    writers[at].send(wire.SET, wire.set_data("/v%d" % at, b"%d" % sent))
                require(writers[at].receive().code == 0, "a set failed")
                acked[at] += 1
        except wire.Gone:
            pass

    threads = [threading.Thread(target=write, args=(at,)) for at in range(len(writers))]
    for thread in threads:
        thread.start()
    eventually(lambda: min(acked) > 200, "load")
    start = time.monotonic()
    code = process.end(signal.SIGTERM)
    loaded = time.monotonic() - start
    require(code == 0, "exit code %d under load" % code)
    for thread in threads:
        thread.join()
    process = Process(folder)
    process.wait_for_port()
    again = wire.Client(process.port, SESSION_MS, (stay.id, stay.password))
    require(again.id == stay.id, "the session is lost")
    require(again.get("/stay") == b"1", "the ephemeral node is lost")
    for at, count in enumerate(acked):
        require(int(again.get("/v%d" % at)) >= count, "an acknowledged set is lost")
    process.end(signal.SIGKILL)
    print("# stops: %.2f s idle, %.2f s under load" % (idle, loaded), file=sys.stderr)
    require(max(idle, loaded) < STOP_S, "a stop took %.2f s and %.2f s" % (idle, loaded))
