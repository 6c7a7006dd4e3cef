"""One directory handed from Zooid to Apache ZooKeeper and back: each must find what the other acknowledged."""

import os

import wire
from harness import NO_REAPING, Server, check, compare, contains, copy_of, eventually, require, same, sessions, tree
from load import Load, seed, settle

LINES = ("snapCount=200", "preAllocSize=64", "maxSessionTimeout=3600000", "minSessionTimeout=500",
         "extendedTypesEnabled=true")
REAPING = "-Dznode.container.checkIntervalMs=500"
WRITES = 1500


def is_count_of_quota(path):
    """Java counts these in memory; a snapshot taken under load may hold them at another moment than their nodes."""
    return path.startswith("/zookeeper/quota/") and path.endswith("/zookeeper_stats")


def files(folder, kind):
    names = os.listdir(os.path.join(folder, "data", "version-2"))
    return [name for name in names if name.startswith(kind)]


def no_longer(server, path):
    reader = server.client()

    def gone():
        try:
            reader.call(wire.EXISTS, wire.reading(path))
        except wire.Refused as refused:
            same(refused.code, -101, path)
            return True
        return False

    eventually(gone, "%s goes with its session" % path)
    reader.close()


def written_until_killed(kind, folder, lines, load_seed, lists):
    """Serves a load and is killed in the middle of it. Returns the load."""
    server = Server(kind, folder, *lines, flags=REAPING)
    settle(server)
    # Long enough for the requests below on a busy machine.
    dying = server.client(timeout_ms=3000)
    dying.create("/load/shared/of-a-dead-client", flags=wire.EPHEMERAL)
    # The server itself deletes these: their transactions have no client.
    for op, body in ((wire.CONTAINER, wire.create("/load/swept", flags=wire.AS_CONTAINER)),
                     (wire.CREATE, wire.create("/load/swept/child")),
                     (wire.DELETE, wire.versioned("/load/swept/child")),
                     (wire.TTL, wire.create_ttl("/load/expired", b"", wire.OPEN, 1))):
        dying.call(op, body)
    dying.drop()
    load = Load(server, load_seed, lists)
    load.start()
    load.wait_for(WRITES)
    for path in ("/load/shared/of-a-dead-client", "/load/swept", "/load/expired"):
        no_longer(server, path)
    server.kill()
    load.join()
    return load


def opened(kind, folder, lines, known):
    """Starts on a directory, looks at everything, is killed. Returns zxid, tree, sessions."""
    server = Server(kind, folder, *lines, flags=NO_REAPING)
    seen = server.zxid(), tree(server), sessions(server, known)
    digests_agree(server)
    server.kill()
    return seen


def digests_agree(server):
    log = server.log().lower()
    for line in log.splitlines():
        require("digest" not in line or "superdigest" in line or "digestauthenticationprovider" in line,
                "%s complains of a digest: %s" % (server.kind, line))
    if server.kind == "java":
        contains(wire.word(server.port, "mntr"), "zk_digest_mismatches_count\t0")


def both_open(folder, lines, load):
    """Zooid and Java open copies of one directory and must see the same, and all that was acknowledged."""
    a, b = copy_of(folder), copy_of(folder)
    zxid, nodes, alive = opened("zooid", a, lines, load.sessions)
    java_zxid, java_nodes, java_alive = opened("java", b, lines, load.sessions)
    compare(nodes, java_nodes, "Zooid and Java on one directory")
    same(java_zxid, zxid, "zxid")
    same(java_alive, alive, "sessions")
    same(sorted(alive), sorted(load.sessions), "sessions that were not closed")
    require(zxid >= load.acknowledged_zxid, "zxid 0x%x, but 0x%x was acknowledged" % (zxid, load.acknowledged_zxid))
    all_kinds_are_there(nodes)


def all_kinds_are_there(nodes):
    """The comparison says little unless the load left some of everything."""
    require(len(nodes) > 200, "only %d nodes" % len(nodes))
    owner = wire.STAT_FIELDS.index("ephemeralOwner")
    kinds = {
        "nodes without data": [path for path, (data, _, _) in nodes.items() if data is None],
        "nodes with empty data": [path for path, (data, _, _) in nodes.items() if data == b""],
        "nodes with much data": [path for path, (data, _, _) in nodes.items() if len(data or b"") > 1000],
        "nodes with an ACL": [path for path, (_, _, acl) in nodes.items() if acl != wire.OPEN],
        "containers": [path for path in nodes if path.startswith("/load/containers/")],
        "nodes with a time to live": [path for path in nodes if path.endswith("-t")],
        "sequential nodes": [path for path in nodes if path[-10:].isdigit()],
        "sessions with ephemeral nodes": {stat[owner] for _, stat, _ in nodes.values() if stat[owner]},
        "counts of quotas": [path for path in nodes if is_count_of_quota(path)],
    }
    for kind, found in kinds.items():
        require(len(found) >= 2, "the load left %d %s" % (len(found), kind))


def handed_over(folder, method):
    load_seed = seed()
    lines = LINES + (("snapshot.compression.method=" + method,) if method else ())
    try:
        # Zooid writes, is killed under load; both open it.
        load = written_until_killed("zooid", folder, lines, load_seed, lists=True)
        require(len(files(folder, "snapshot.")) >= 3, "no snapshots under load")
        require(len(files(folder, "log.")) >= 3, "logs did not roll")
        if method:
            compressed = [name for name in files(folder, "snapshot.") if name.endswith("." + method)]
            require(len(compressed) >= 3, "snapshots are not compressed")
        both_open(folder, lines, load)

        # Java goes on with what Zooid wrote, is killed under load; both open it.
        known = load.sessions
        load = written_until_killed("java", folder, lines, load_seed + " java", lists=False)
        load.sessions.update(known)
        both_open(folder, lines, load)

        # Each of them at rest, seen by clients, then killed; the other one shows the same.
        known = load.sessions
        for kind, other in (("zooid", "java"), ("java", "zooid"), ("zooid", "zooid")):
            server = Server(kind, folder, *lines, flags=NO_REAPING)
            load = Load(server, "%s at rest %s" % (load_seed, kind), lists=kind == "zooid")
            load.start()
            load.wait_for(400)
            load.stop()
            known.update(load.sessions)
            seen = tree(server)
            zxid = server.zxid()
            if kind == "zooid":
                digests_agree(server)
            server.kill()
            found_zxid, found, alive = opened(other, folder, lines, known)
            leave_out = is_count_of_quota if kind == "java" else lambda path: False
            compare(seen, found, "what clients of %s saw, and %s behind it" % (kind, other), leave_out)
            same(found_zxid, zxid, "zxid of %s behind %s" % (other, kind))
            same(sorted(alive), sorted(known), "sessions")
    except Exception:
        print("# SEED=%s" % load_seed, flush=True)
        raise


@check
def one_directory_both_ways(folder):
    handed_over(folder, None)


@check
def one_directory_both_ways_gzip(folder):
    handed_over(folder, "gz")


@check
def one_directory_both_ways_snappy(folder):
    handed_over(folder, "snappy")
