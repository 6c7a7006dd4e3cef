"""Data that are not what was served: the digests in the log tell."""

import os
import signal
import struct
import subprocess
import zlib

import wire
from disks import Process, zooid_only
from harness import ZOOID, check, contains, eventually, require, same

OFF = "-Dzookeeper.digest.enabled=false"
HEADER, HEAD = 16, 12


def entries(log):
    """Offset and payload of each entry."""
    at = HEADER
    while True:
        _, length = struct.unpack_from(">qi", log, at)
        if length == 0:
            return
        yield at, log[at + HEAD:at + HEAD + length]
        at += HEAD + length + 1


def only_log(folder):
    inner = os.path.join(folder, "data", "version-2")
    logs = [name for name in os.listdir(inner) if name.startswith("log.")]
    same(len(logs), 1, "logs")
    return os.path.join(inner, logs[0])


def contents(folder):
    found = {}
    for directory, _, names in os.walk(os.path.join(folder, "data")):
        for name in names:
            # The lock says who was there last.
            if name not in ("zooid.lock", "zooid.reserve"):
                with open(os.path.join(directory, name), "rb") as file:
                    found[os.path.join(directory, name)] = file.read()
    return found


def verified(folder, *words):
    return subprocess.run([ZOOID, "verify", os.path.join(folder, "data"), *words], capture_output=True, text=True)


@check
@zooid_only
def digest_mismatch(folder):
    process = Process(folder, "preAllocSize=64")
    process.wait_for_port()
    client = wire.Client(process.port)
    client.create("/a", b"0")
    client.set("/a", b"served")
    for number in range(20):
        client.create("/n%d" % number)
    process.end(signal.SIGKILL)

    # Another value, with a checksum that fits; and a torn write at the end, which a start would cut off.
    path = only_log(folder)
    with open(path, "rb") as file:
        log = bytearray(file.read())
    at, payload = next((at, payload) for at, payload in entries(log) if b"served" in payload)
    other = payload.replace(b"served", b"forged")
    log[at:at + 8] = struct.pack(">q", zlib.adler32(other))
    log[at + HEAD:at + HEAD + len(other)] = other
    end = max(at + HEAD + len(payload) + 1 for at, payload in entries(log))
    log[end:end + 30] = bytes(8) + struct.pack(">i", 60) + b"torn" * 4 + bytes(2)
    with open(path, "wb") as file:
        file.write(log)
    before = contents(folder)

    zxid = struct.unpack_from(">q", payload, 12)[0]
    told = (path, "offset %d (zxid 0x%x)" % (at, zxid), "0x%x" % struct.unpack(">q", payload[-8:])[0],
            "restore the directory from a backup", OFF)
    process = Process(folder, "preAllocSize=64")
    same(process.ended(), 1, "exit code")
    contains(process.said(), *told, "zooid verify")
    require(contents(folder) == before, "a refused start changed files")
    done = verified(folder)
    same(done.returncode, 1, "exit code of zooid verify")
    contains(done.stdout, *told, "would NOT start")

    # An operator may decide to take what is there; the snapshot of it is what later starts begin with.
    done = verified(folder, OFF)
    same(done.returncode, 0, "exit code of zooid verify without digests")
    process = Process(folder, "preAllocSize=64", "digest.enabled=false")
    process.wait_for_port()
    eventually(lambda: "snapshot written" in process.said(), "a snapshot")
    same(wire.Client(process.port).get("/a"), b"forged", "the value in the log")
    process.end(signal.SIGTERM)
    process = Process(folder, "preAllocSize=64")
    process.wait_for_port()
    client = wire.Client(process.port)
    client.set("/a", b"1")
    process.end(signal.SIGKILL)
    process = Process(folder, "preAllocSize=64")
    process.wait_for_port()
    same(wire.Client(process.port).get("/a"), b"1", "the last acknowledged set")
    process.end(signal.SIGTERM)


@check
def digests_behind_a_restart(folder):
    """The word `hash` knows the digests of replayed transactions."""
    from harness import Server
    kind = os.environ["SERVER"]
    # Without a snapshot on the way, so that the log is replayed from its start.
    server = Server(kind, folder)
    client = server.client()
    client.create("/a")
    client.pipeline([(wire.SET, wire.set_data("/a", b"%d" % number)) for number in range(300)])
    before = wire.word(server.port, "hash")
    server.kill()
    server = Server(kind, folder)
    same(wire.word(server.port, "hash"), before, "hash behind the restart")
    require(len(before.splitlines()) >= 2, "no digests: %s" % before)
    server.kill()
