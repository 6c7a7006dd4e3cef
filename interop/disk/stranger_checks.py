"""Bytes on the client port that are no ZooKeeper: closed, named in the log, unnoticed by clients."""

import os
import random
import socket
import struct
import threading
import time

import wire
from harness import Failure, Server, check, contains, eventually, require, same
from load import seed

HTTP = b"GET /commands HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\n\r\n"
TLS = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))
KAFKA = struct.pack(">ihhi", 34, 18, 3, 1) + b"\x00\x07rdkafka\x00\x0blibrdkafka\x062.3.0\x00"
TWO_GIGABYTES = struct.pack(">i", 2 ** 31 - 1) + b"x" * 100
HELLO = struct.pack(">iiqiqi", 44, 0, 0, 30_000, 0, 16) + bytes(16)


class Neighbour:
    """A client that must notice nothing."""

    def __init__(self, server):
        self.client = server.client()
        self.client.create("/neighbour", flags=wire.EPHEMERAL)
        self.rounds, self.longest_s, self.error = 0, 0.0, None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._over.is_set():
                start = time.monotonic()
                self.client.set("/neighbour", b"%d" % self.rounds)
                self.client.get("/neighbour")
                self.rounds += 1
                self.longest_s = max(self.longest_s, time.monotonic() - start)
        except Exception as error:
            self.error = error

    def noticed_nothing(self):
        rounds = self.rounds
        eventually(lambda: self.rounds > rounds + 3 or self.error, "the neighbour goes on")
        self._over.set()
        self._thread.join(30)
        require(self.error is None, "the neighbour: %r" % self.error)
        self.client.close()


def send(server, chunks, patience_s=20):
    """Sends bytes and reads until the server closes. Returns what it answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience_s) as stranger:
        answer = b""
        try:
            for chunk in chunks:
                stranger.sendall(chunk)
            while chunk := stranger.recv(65536):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer


def memory_kib(server):
    with open("/proc/%d/status" % server.pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@check
def strangers_are_closed_and_named(folder):
    server = Server("zooid", os.path.join(folder, "server"))
    neighbour = Neighbour(server)
    for bytes_sent, name in ((HTTP, "HTTP"), (TLS, "TLS"), (KAFKA, "Kafka"), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
                             (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"), (b"*1\r\n$4\r\nPING\r\n", "Redis"),
                             (TWO_GIGABYTES, "2147483647"), (b"\xff" * 64, "no ZooKeeper client")):
        before = len(server.log())
        same(send(server, [bytes_sent]), b"", name)
        contains(eventually(lambda: server.log()[before:], "a line about %s in the log" % name), name, "127.0.0.1:")
    neighbour.noticed_nothing()


@check
def byte_by_byte(folder):
    server = Server("zooid", os.path.join(folder, "server"))
    for bytes_sent in (HTTP, KAFKA, TWO_GIGABYTES):
        same(send(server, [bytes([byte]) for byte in bytes_sent[:64]]), b"", "answer")
    slow = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    for byte in HELLO:
        slow.sendall(bytes([byte]))
    length = struct.unpack(">i", slow.recv(4))[0]
    same(length, 36, "length of the answer to a slow handshake")
    slow.close()


@check
def a_declared_length_takes_no_memory(folder):
    server = Server("zooid", os.path.join(folder, "server"), flags="-Djute.maxbuffer=2147483647")
    neighbour = Neighbour(server)
    before = memory_kib(server)
    # 100 requests of "2 GB" of which a little arrives, in front of a handshake and behind one.
    held = []
    for number in range(100):
        stranger = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        if number % 2:
            stranger.sendall(HELLO)
            stranger.recv(40)
        stranger.sendall(struct.pack(">i", 2 ** 31 - 1) + b"x" * 1000)
        held.append(stranger)
    # Lengths of a path, of data, of an ACL inside a request.
    huge = struct.pack(">i", 2 ** 31 - 1)
    bodies = [huge + b"/a", wire.buffer("/a") + huge, wire.buffer("/a") + wire.buffer(b"") + huge]
    requests = [(op, body) for body in bodies for op in (wire.CREATE, wire.CREATE2, wire.TTL)]
    requests += [(wire.MULTI, wire.multi([request])) for request in requests]
    requests += [(wire.SET, bodies[0]), (wire.SET, bodies[1]), (wire.SET_ACL, bodies[1]), (wire.GET, bodies[0])]
    client = server.client()
    for op, body in requests:
        try:
            client.call(op, body)
            raise Failure("op %d took a broken body %r" % (op, body))
        except wire.Refused as refused:
            same(refused.code, -5, "error of op %d" % op)
    neighbour.noticed_nothing()
    grown = memory_kib(server) - before
    require(grown < 64 * 1024, "memory grew by %d KiB" % grown)
    for stranger in held:
        stranger.close()


@check
def silence(folder):
    """Thousands would be a matter of ulimit; a few hundred that say nothing must be nobody's concern."""
    server = Server("zooid", os.path.join(folder, "server"))
    neighbour = Neighbour(server)
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(300)]
    for number, one in enumerate(silent):
        one.sendall(HELLO[:number % len(HELLO)])
    neighbour.noticed_nothing()
    same(wire.word(server.port, "ruok"), "imok", "ruok")
    for one in silent:
        one.close()


@check
def random_bytes(folder):
    bytes_seed = seed()
    rng = random.Random(bytes_seed)
    server = Server("zooid", os.path.join(folder, "server"))
    neighbour = Neighbour(server)
    try:
        for _ in range(300):
            noise = rng.randbytes(rng.randrange(1, 400))
            kind = rng.random()
            if kind < 0.3:
                send_and_leave(server, noise)
            elif kind < 0.6:
                # A frame of a likely length, then one of noise behind a handshake.
                send_and_leave(server, struct.pack(">i", len(noise)) + noise)
            else:
                op = rng.choice([-11, *range(0, 26), 100, 101, 102, 103, 104, 105, 106, 107, rng.getrandbits(31)])
                frame = struct.pack(">ii", rng.getrandbits(31), op) + noise
                send_and_leave(server, HELLO + struct.pack(">i", len(frame)) + frame)
        neighbour.noticed_nothing()
    except Exception:
        print("# SEED=%s" % bytes_seed, flush=True)
        raise
    require("panicked" not in server.log(), "a panic: " + server.log()[-2000:])


def send_and_leave(server, bytes_sent):
    """Sends, takes what comes within a moment, leaves without a word."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as stranger:
        try:
            stranger.sendall(bytes_sent)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(65536):
                pass
        except OSError:
            pass
