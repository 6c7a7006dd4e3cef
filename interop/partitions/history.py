"""What is checked of a history by ourselves. Porcupine sees the same history: see linearizable.go."""

import heapq
import os
import subprocess

import wire
from clients import Connection
from servers import require

PORCUPINE = os.path.join(os.environ["INTEROP_OUT"], "partitions", "linearizable")


def write(history, file, reads):
    """The operations that are linearizable: writes, and with `reads` those behind a `sync`."""
    with open(file, "w") as out:
        for op in history:
            if op.kind != "get" or op.synced and reads:
                out.write("%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%d\n" % (
                    op.key, op.kind, op.client, op.invoked, op.returned, op.outcome, op.value, op.expected,
                    op.version))


def linearizable(file):
    """What porcupine says; fails if it is not."""
    done = subprocess.run([PORCUPINE, file], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError("%s: %s%s" % (PORCUPINE, done.stdout, done.stderr))
    require(done.returncode == 0, "not linearizable: %s%s" % (done.stdout, done.stderr))
    return done.stdout.strip()


def no_version_twice(history):
    """A version of a register has one value, whoever tells of it."""
    seen = {}
    for op in history:
        if op.outcome == "ok":
            before = seen.setdefault((op.key, op.version), op)
            require(before.value == op.value, "two values of one version: %s and %s" % (before, op))


def members_never_go_back(history):
    """A read at a member shows no older version than a read there which had ended before it began; also without
    `sync`, and whoever asks."""
    newest, running = {}, []
    for op in history:
        if op.kind != "get":
            continue
        while running and running[0][0] <= op.invoked:
            _, _, done = heapq.heappop(running)
            place = done.member, done.key
            if place not in newest or newest[place].version < done.version:
                newest[place] = done
        before = newest.get((op.member, op.key))
        require(before is None or op.version >= before.version,
                lambda: "member %d went back: %s, then %s" % (op.member, before, op))
        heapq.heappush(running, (op.returned, id(op), op))


def sessions_keep_order(history):
    """A client sees its own writes, and never an older version than it has seen, wherever it reads."""
    newest = {}
    for op in history:
        place = op.client, op.key
        if op.outcome == "ok":
            before = newest.get(place)
            require(before is None or op.version >= before.version, lambda: "client %d went back: %s, then %s" % (
                op.client, before, op))
            newest[place] = op
        elif op.outcome == "fail" and op.version == -1:
            require(place not in newest, lambda: "client %d no longer sees %s: %s" % (
                op.client, newest[place], op))


def tree(member):
    """All nodes of the clients as this member has them: path to data and stat."""
    found = {}
    connection = Connection(member.address, (0, bytes(16)), 0)
    connection.call(wire.SYNC, wire.buffer("/"))
    folders = ["/keys"] + ["/own/" + name for name in children(connection, "/own")]
    for folder in folders:
        paths = ["%s/%s" % (folder, name) for name in children(connection, folder)]
        for path, reply in zip(paths, connection.pipeline([(wire.GET, wire.reading(path)) for path in paths])):
            require(reply.code == 0, "%r: error %d for %s" % (member, reply.code, path))
            found[path] = reply.buffer(), dict(zip(wire.STAT_FIELDS, reply.stat()))
    connection.close()
    return found


def children(connection, path):
    return connection.call(wire.CHILDREN, wire.reading(path)).names()


def same_everywhere(trees):
    first, *others = trees
    for other in others:
        wrong = sorted(path for path in first.keys() | other.keys() if first.get(path) != other.get(path))
        require(not wrong, lambda: "members differ in %d nodes: %s: %r and %r" % (
            len(wrong), wrong[0], first.get(wrong[0]), other.get(wrong[0])))


def nothing_lost(found, clients, history):
    """Each acknowledged write is in the tree, and nothing is there that nobody asked for."""
    asked = set()
    for client in clients:
        last = 0
        for name, outcome in client.made:
            asked.add(name)
            require(outcome != "ok" or name in found, "%s was acknowledged and is lost" % name)
            if name in found:
                zxid = found[name][1]["czxid"]
                require(zxid > last, "client %d: %s came before what was asked before it" % (client.number, name))
                last = zxid
    newest = {}
    values = {}
    for op in history:
        if op.kind != "get" and op.outcome != "fail":
            values.setdefault(op.key, set()).add(op.value)
        if op.outcome == "ok":
            newest[op.key] = max(newest.get(op.key, (-1, 0)), (op.version, op.value))
    for key, (version, value) in newest.items():
        require(key in found, "%s was acknowledged and is lost" % key)
        data, stat = found[key]
        require(stat["version"] >= version, "%s has version %d, %d was seen" % (key, stat["version"], version))
        require(stat["version"] > version or int(data) == value, "%s: the last write was %d, found %s" % (
            key, value, data))
        require(int(data) in values[key], "%s: nobody wrote %s" % (key, data))
    stray = sorted(path for path in found if path.startswith("/own/") and path not in asked)
    require(not stray, "nobody made %s" % stray[:3])
