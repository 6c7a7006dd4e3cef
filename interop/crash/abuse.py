"""Clients that do what a client should not. A well-behaved one measures how long its requests take meanwhile, and the
system how much memory the server takes."""

import multiprocessing
import os
import platform
import random
import resource
import select
import socket
import struct
import subprocess
import sys
import time

import wire
from harness import CHECKS, ZOOID, Server, check, eventually, require

KIND = os.environ["SERVER"]
AS_TABLE = False
MEASURE_S = float(os.environ.get("MEASURE_S", "5"))
HALF_OPEN = 10_000
SLOW_READERS = 50
DEAF = 20
CONNECTS_PER_S = 1000
# What no abuse may cost a well-behaved client, or the machine. A loaded one is much slower than a free one.
LONGEST_P99_MS = 2000
MOST_MIB = 1024
MIB = 1 << 20
# One event of a node with a long name fills what waits for a deaf client soon.
LONG = "/deaf/" + "n" * 200_000


def memory_mib(pid, field="VmRSS"):
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise AssertionError("no %s" % field)


def well_behaved(server, seconds):
    """Latencies in ms of a set, a get and so on, one after the other, 1 KB each; the most memory on the way."""
    client = server.client()
    latencies, most = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for request in ((wire.SET, wire.set_data("/good", bytes(1000))), (wire.GET, wire.reading("/good"))):
            start = time.perf_counter()
            client.call(*request)
            latencies.append((time.perf_counter() - start) * 1000)
        most = max(most, memory_mib(server.pid))
    client.close()
    latencies.sort()
    return {"requests": len(latencies), "p50": latencies[len(latencies) // 2],
            "p99": latencies[len(latencies) * 99 // 100], "max": latencies[-1], "rss": most}


def plain_socket(port):
    to = socket.socket()
    to.connect(("127.0.0.1", port))
    return to


def nobody(port, ready, stop):
    ready.set()
    stop.wait()


def half_open(port, ready, stop):
    """Connections that send the first half of a handshake, and nothing more."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100
    held = []
    for _ in range(min(HALF_OPEN, limit)):
        to = plain_socket(port)
        to.sendall(struct.pack(">iiq", 45, 0, 0))
        held.append(to)
    ready.set()
    stop.wait()


def slow_readers(port, ready, stop):
    """They watch everything and read a little of it now and then; a writer of theirs keeps the watches firing."""
    readers = []
    for _ in range(SLOW_READERS):
        reader = wire.Client(port, 30_000)
        reader.call(106, wire.buffer("/good") + struct.pack(">i", 1))
        reader.socket.settimeout(0.001)
        readers.append(reader)
    writer = wire.Client(port, 30_000)
    ready.set()
    while not stop.is_set():
        writer.pipeline([(wire.SET, wire.set_data("/good", b"x"))] * 100)
        for reader in readers:
            try:
                reader.socket.recv(64)
            except OSError:
                pass


def declared_lengths(port, ready, stop):
    """Lengths of 2 GB with a few bytes behind them: before a handshake, in it, and in requests."""
    ready.set()
    handshake = struct.pack(">iiqiqi", 45, 0, 0, 30_000, 0, 0x7fffffff)
    create = struct.pack(">iii", 1, wire.CREATE, 0x7fffffff) + b"/"
    counted = struct.pack(">ii", 1, wire.CREATE) + wire.buffer("/x") + wire.buffer(b"") + struct.pack(">i", 0x7fffffff)
    while not stop.is_set():
        held = []
        for first in (struct.pack(">i", 0x7fffffff) + bytes(1000), handshake + bytes(17), handshake):
            to = plain_socket(port)
            to.sendall(first)
            held.append(to)
        for body in (create, counted, None):
            try:
                client = wire.Client(port, 30_000)
                if body is None:
                    client.socket.sendall(struct.pack(">i", 0x7fffffff) + bytes(1000))
                else:
                    client.socket.sendall(wire.buffer(body))
                held.append(client)
            except wire.Gone:
                pass
        time.sleep(0.01)
        for one in held:
            (one.socket if hasattr(one, "socket") else one).close()


def deaf(port, ready, stop):
    """They watch a node with a long name, ask for more, and never read a byte. The server cuts them off: others come."""
    writer = wire.Client(port, 30_000)
    while not stop.is_set():
        held, poll = [], select.poll()
        for _ in range(DEAF):
            client = wire.Client(port, 30_000)
            client.call(106, wire.buffer("/deaf") + struct.pack(">i", 1))
            client.socket.setblocking(False)
            try:
                for _ in range(1000):
                    client.send(wire.GET, wire.reading("/big"))
            except wire.Gone:
                pass
            held.append(client)
            poll.register(client.socket, select.POLLRDHUP)
        # Measured are the worst ones: those of which some were cut off already, while others fill up.
        while len(poll.poll(0)) < DEAF and not stop.is_set():
            writer.call(wire.SET, wire.set_data(LONG, b"x"))
            if len(poll.poll(0)) >= DEAF // 2:
                ready.set()
        for client in held:
            client.drop()


def connects(port, ready, stop):
    """Connections at a rate: every third opens a session, the others leave at once or send rubbish."""
    ready.set()
    start, made = time.monotonic(), 0
    while not stop.is_set():
        try:
            if made % 3 == 0:
                wire.Client(port, 5_000).drop()
            else:
                to = plain_socket(port)
                if made % 3 == 1:
                    to.sendall(random.randbytes(100))
                to.close()
        except (wire.Gone, OSError):
            pass
        made += 1
        ahead = made / CONNECTS_PER_S - (time.monotonic() - start)
        if ahead > 0:
            time.sleep(ahead)


ABUSES = (
    ("nobody else", nobody),
    ("%d half-open connections" % HALF_OPEN, half_open),
    ("%d slow readers, watches firing at them" % SLOW_READERS, slow_readers),
    ("declared lengths of 2 GB", declared_lengths),
    ("%d clients that never read, watches and replies of 1 MB for them" % DEAF, deaf),
    ("%d connects a second" % CONNECTS_PER_S, connects),
)


def measure(server, abuse):
    """One kind of abuse, in a process of its own."""
    fork = multiprocessing.get_context("fork")
    ready, stop = fork.Event(), fork.Event()
    abuser = fork.Process(target=abuse, args=(server.port, ready, stop), daemon=True)
    abuser.start()
    try:
        require(ready.wait(60), "the abuse does not get going")
        return well_behaved(server, MEASURE_S)
    finally:
        stop.set()
        abuser.join(10)
        if abuser.is_alive():
            abuser.kill()
            abuser.join()


def table(lines):
    print("| meanwhile | requests/s | p50 ms | p99 ms | longest ms | memory MiB |")
    print("|---|---|---|---|---|---|")
    for name, found in lines:
        print("| %s | %d | %.2f | %.2f | %.1f | %d |" % (
            name, found["requests"] / MEASURE_S, found["p50"], found["p99"], found["max"], found["rss"]))


def machine():
    version = "Apache ZooKeeper 3.9.5"
    if KIND == "zooid":
        version = subprocess.run([ZOOID, "--version"], capture_output=True, text=True).stdout.strip()
    print("%s, %d cores, Linux %s" % (version, os.cpu_count(), platform.release()))


@check
def abuse(folder):
    server = Server(KIND, folder, "maxSessionTimeout=30000")
    setup = server.client()
    for path, data in (("/good", b""), ("/deaf", b""), (LONG, b""), ("/big", bytes(1_000_000))):
        setup.create(path, data)
    setup.close()
    found = []
    for name, kind in ABUSES:
        found.append((name, measure(server, kind)))
        print("# %s: %s" % (name, {k: round(v, 2) for k, v in found[-1][1].items()}), file=sys.stderr, flush=True)
    if AS_TABLE:
        machine()
        table(found)
        print("Most memory ever: %d MiB" % memory_mib(server.pid, "VmHWM"))
    client = server.client()
    client.set("/good", b"still")
    if KIND == "zooid":
        require("waits for a client that does not read" in server.log(), "no deaf client was cut off")
        for name, one in found:
            require(one["p99"] < LONGEST_P99_MS, "%s: p99 %.1f ms" % (name, one["p99"]))
        most = memory_mib(server.pid, "VmHWM")
        require(most < MOST_MIB, "the server took %d MiB" % most)

        def alone():
            lines = wire.word(server.port, "mntr").splitlines()
            counts = dict(line.split("\t") for line in lines if "\t" in line)
            return int(counts["zk_num_alive_connections"]) <= 2
        eventually(alone, "the end of all abusive connections", 40)
    server.kill()


# The lines are Zooid's own; Java queues without end for those that never read.
CHECKS[-1][1].zooid_only = True
