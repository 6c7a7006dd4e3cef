"""A disk that reports an error to a serving server: no word to any client behind it, and the end of the process."""

import os
import signal

import wire
from disks import Process, zooid_only
from harness import check, contains, require, same

SHIM = os.path.join(os.environ["INTEROP_OUT"], "crash", "failing.so")
CLIENTS = 4
# Requests of each client that are under way when the disk fails.
UNDER_WAY = 20
LOG, SNAPSHOT = "version-2/log.", "zooid-unfinished.snapshot"


class Failing(Process):
    """A server whose disk can be told to fail."""

    def __init__(self, folder, *lines):
        self.trigger = os.path.join(folder, "failing")
        wrap = ("env", "LD_PRELOAD=" + SHIM, "FAILING=" + self.trigger)
        super().__init__(folder, *lines, wrap=wrap)

    def fail(self, op, part):
        with open(self.trigger + ".new", "w") as file:
            file.write("%s %s" % (op, part))
        os.rename(self.trigger + ".new", self.trigger)

    def calls(self):
        """What the failing disk was asked for, and forgets about it."""
        os.remove(self.trigger)
        with open(self.trigger + ".calls") as file:
            calls = file.read().split()
        os.remove(self.trigger + ".calls")
        return calls


def the_log_fails(folder, op, *expected):
    process = Failing(folder)
    process.wait_for_port()
    clients = [wire.Client(process.port) for _ in range(CLIENTS)]
    for at, client in enumerate(clients):
        client.create("/v%d" % at, b"0")
        client.create("/e%d" % at, b"e", flags=wire.EPHEMERAL)
        client.set("/v%d" % at, b"1")
    # Nothing is under way: what is sent from here on cannot become durable.
    process.fail(op, LOG)
    for at, client in enumerate(clients):
        try:
            for number in range(2, 2 + UNDER_WAY):
                client.send(wire.SET, wire.set_data("/v%d" % at, b"%d" % number))
        except (wire.Gone, OSError):
            # The server is gone already.
            pass
    for client in clients:
        try:
            reply = client.receive()
            raise AssertionError("answered with %d behind the failure of the disk" % reply.code)
        except (wire.Gone, OSError):
            pass
    code = process.ended()
    same(code, 1, "exit code")
    contains(process.said(), *expected, "Input/output error", os.path.join(folder, "data", LOG),
             "nothing more is acknowledged")
    same(process.calls(), ["fails"], "what the log asked of the disk, which is never asked again")

    process = Failing(folder)
    process.wait_for_port()
    for at, client in enumerate(clients):
        again = wire.Client(process.port, session=(client.id, client.password))
        same(again.id, client.id, "a session")
        same(again.get("/e%d" % at), b"e", "an ephemeral node")
        require(1 <= int(again.get("/v%d" % at)) < 2 + UNDER_WAY, "an acknowledged set is lost")
        again.set("/v%d" % at, b"done")
    same(process.end(signal.SIGKILL), -signal.SIGKILL, "exit code")


@check
@zooid_only
def failed_fsync(folder):
    the_log_fails(folder, "sync", "cannot sync")


@check
@zooid_only
def failed_write(folder):
    the_log_fails(folder, "write", "cannot write to")


@check
@zooid_only
def torn_write(folder):
    the_log_fails(folder, "torn", "cannot write to")


@check
@zooid_only
def failed_fsync_of_a_new_log(folder):
    """The log rolls, and the first sync of the next file fails."""
    the_log_fails_at_the_roll(folder, "zooid-unfinished.log")


def the_log_fails_at_the_roll(folder, part):
    process = Failing(folder, "snapCount=4", "preAllocSize=64")
    process.wait_for_port()
    client = wire.Client(process.port)
    client.create("/a", b"0")
    process.fail("sync", part)
    acked = 0
    try:
        for number in range(1, 100):
            client.set("/a", b"%d" % number)
            acked = number
    except (wire.Gone, OSError):
        pass
    same(process.ended(), 1, "exit code")
    contains(process.said(), "cannot sync", part, "Input/output error")
    same(process.calls(), ["fails"], "what the log asked of the disk")
    process = Failing(folder)
    process.wait_for_port()
    require(int(wire.Client(process.port).get("/a")) in (acked, acked + 1), "not the acknowledged state")
    process.end(signal.SIGKILL)


@check
@zooid_only
def failed_fsync_of_a_snapshot(folder):
    """The log goes on: it reaches back to the snapshot before."""
    from harness import eventually
    process = Failing(folder, "snapCount=10", "preAllocSize=64")
    process.wait_for_port()
    client = wire.Client(process.port)
    client.create("/a", b"0")
    process.fail("sync", SNAPSHOT)
    for number in range(1, 40):
        client.set("/a", b"%d" % number)
    eventually(lambda: "the snapshot could not be written" in process.said(), "a word about the snapshot")
    contains(process.said(), "cannot sync", SNAPSHOT, "Input/output error")
    client.set("/a", b"last")
    names = os.listdir(os.path.join(folder, "data", "version-2"))
    same([name for name in names if name.startswith("snapshot.")], ["snapshot.0"], "snapshots")
    process.end(signal.SIGKILL)
    require("fails" in process.calls(), "nothing failed")
    process = Failing(folder)
    process.wait_for_port()
    same(wire.Client(process.port).get("/a"), b"last", "the last acknowledged set")
    process.end(signal.SIGKILL)
