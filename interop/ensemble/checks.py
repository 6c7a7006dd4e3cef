"""What an ensemble must do, whatever its members are. Each check leaves the ensemble whole."""

import itertools
import os
import re
import threading
import time

from members import SYNC_LIMIT, TICK_MS, Failure, Session, eventually, require, same, sync_kinds, wire

NO_NODE, SESSION_MOVED, EXPIRED = -101, -118, -112
CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4
SHORT_MS, LONGER_MS = 3000, 10_000

CHECKS = []


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


def refused(code, function, *words):
    try:
        function(*words)
    except wire.Refused as error:
        same(error.code, code, "error code")
        return
    raise Failure("done, where error %d was due" % code)


def no_session(member, session, what):
    try:
        client = member.client(session=session)
    except wire.Gone:
        # The thread of Java that hears from the leader may end the connection under the one that answers
        # (`CancelledKeyException` of `NIOServerCnxn`): to the client that is no answer.
        require(member.kind != "z", "%s: %r does not answer" % (what, member))
        return
    same(client.id, 0, what)
    client.drop()


def tree(member):
    """All that a client of the member sees, after a sync: path to (data, stat, ACL)."""
    client = member.client()
    client.sync()
    found, level = {}, ["/"]
    while level:
        requests = [request for path in level for request in (
            (wire.GET, wire.reading(path)), (wire.GET_ACL, wire.buffer(path)), (wire.CHILDREN, wire.reading(path)))]
        replies = iter(client.pipeline(requests))
        below = []
        for path in level:
            data, acl, children = next(replies), next(replies), next(replies)
            for reply in (data, acl, children):
                require(reply.code == 0, "%s of %r: error %d" % (path, member, reply.code))
            found[path] = (data.buffer(), data.stat(), acl.acl())
            below += [path.rstrip("/") + "/" + name for name in children.names()]
        level = below
    client.close()
    # Each member makes this one from its own zoo.cfg, with its own time.
    del found["/zookeeper/config"]
    return found


DIGEST_EVERY = 128
"""Each member remembers the digest of its tree at every transaction of such a number, and tells it by `hash`."""


def same_trees(ensemble):
    """Trees must be equal everywhere, and so the digests at a transaction that comes behind all of them."""
    zxid = ensemble.level()
    members = ensemble.running()
    first = tree(members[0])
    for member in members[1:]:
        other = tree(member)
        wrong = ["%s: %r, %r" % (path, first.get(path), other.get(path))
                 for path in sorted(first.keys() | other.keys()) if first.get(path) != other.get(path)]
        require(not wrong, "%r and %r differ in %d nodes: %s" % (members[0], member, len(wrong), "; ".join(wrong[:3])))
    # Digests of Java from before may be those of a state that was sent while it changed (a fuzzy snapshot).
    client = members[0].client()
    client.pipeline([(wire.SET, wire.set_data("/", b""))] * DIGEST_EVERY)
    client.close()
    ensemble.level()
    told = [{line for line in member.word("hash").splitlines() if int(line.partition(":")[0], 16) > zxid}
            for member in members]
    require(told[0], "no digest on %r" % members[0])
    for member, digests in zip(members, told):
        same(digests, told[0], "digests on %r" % member)
        if member.kind == "z":
            same(member.monitor().get("zk_digest_mismatches_count"), "0", "wrong digests on %r" % member)
    return first


def fill(member, path, count, data=b"x"):
    """`count` nodes below a new one."""
    client = member.client()
    client.create(path)
    replies = client.pipeline((wire.CREATE, wire.create("%s/%d" % (path, at), data)) for at in range(count))
    require(all(reply.code == 0 for reply in replies), "a create failed")
    client.close()


def serves(ensemble, path):
    """A write through each member is read on all others."""
    clients = [member.client() for member in ensemble.running()]
    for at, client in enumerate(clients):
        client.create("%s-%d" % (path, at), b"%d" % at)
        for other in clients:
            other.sync()
            same(other.get("%s-%d" % (path, at)), b"%d" % at, "what %d wrote" % at)
    for client in clients:
        client.close()


@check
def election(ensemble):
    leader = ensemble.leader()
    require(leader is ensemble.voters[-1], "%r leads: %s" % (leader, ensemble.state()))
    same(leader.monitor()["zk_server_state"], "leader", "state of the leader")
    for member in ensemble.followers():
        same(member.monitor()["zk_server_state"], "follower", "state of %r" % member)
    require(leader.zxid() >> 32 >= 1, "no epoch in zxid 0x%x" % leader.zxid())


@check
def writes_through_each_member(ensemble):
    serves(ensemble, "/w")
    clients = [member.client() for member in ensemble.running()]
    clients[0].create("/counted", b"0")
    for at in range(50):
        for client in clients:
            client.set("/counted", b"%d" % at)
    zxids = set()
    for client in clients:
        client.sync()
        data, stat = client.read("/counted")
        same((data, stat["version"]), (b"49", 50 * len(clients)), "the node that all wrote")
        zxids.add(stat["mzxid"])
        client.close()
    same(len(zxids), 1, "number of last zxids")


@check
def sync_reads_what_another_member_acknowledged(ensemble):
    writers = [member.client() for member in ensemble.running()]
    # A leader of Java tells others of a commit before it has applied it, and answers its own clients' `sync` at once.
    leader = ensemble.leader()
    readers = [member.client() for member in ensemble.running() if member is not leader or leader.kind == "z"]
    writers[0].create("/sync", b"")
    for at in range(40):
        for writer in writers:
            data = b"%d-%d" % (at, writer.id)
            writer.set("/sync", data)
            for reader in readers:
                # Both under way at once: the answer to the read must come behind that to the sync.
                reader.send(wire.SYNC, wire.buffer("/sync"))
                reader.send(wire.GET, wire.reading("/sync"))
            for reader in readers:
                same(reader.receive().code, 0, "the sync")
                same(reader.receive().buffer(), data, "what a sync shows")
    for client in writers + readers:
        client.close()


@check
def ephemerals_and_sequential_nodes(ensemble):
    clients = [member.client() for member in ensemble.running()]
    clients[0].create("/seq")
    names = []
    for at in range(30):
        flags = wire.SEQUENTIAL if at % 2 else wire.EPHEMERAL_SEQUENTIAL
        names.append(clients[at % len(clients)].create("/seq/n-", flags=flags))
    same(names, ["/seq/n-%010d" % at for at in range(30)], "sequential names")
    owners = []
    for client in clients:
        client.sync()
        owners.append([client.exists(name)["ephemeralOwner"] for name in names])
    same(owners, [[0 if at % 2 else clients[at % len(clients)].id for at in range(30)]] * len(clients), "owners")
    refused(-108, clients[-1].create, names[0] + "/below")
    # The end of a session is the end of its nodes on all members.
    for client in clients[1:]:
        client.close()
    clients[0].sync()
    left = [name for at, name in enumerate(names) if at % 2 or at % len(clients) == 0]
    same(clients[0].children("/seq"), sorted(name[5:] for name in left), "what is left")
    clients[0].close()
    for member in ensemble.running():
        client = member.client()
        client.sync()
        same(client.children("/seq"), ["n-%010d" % at for at in range(1, 30, 2)], "what stays on %r" % member)
        client.close()


@check
def watches_across_members(ensemble):
    members = ensemble.running()
    for at, member in enumerate(members):
        watcher, writer = member.client(), members[at - 1].client()
        path = "/watched-%d" % at
        require(watcher.exists(path, watch=True) is None, "%s is there" % path)
        watcher.children("/", watch=True)
        writer.create(path, b"1")
        events = watcher.await_events(2)
        same({(event[0], event[2]) for event in events}, {(CREATED, path), (CHILDREN, "/")}, "events of a create")
        # The event comes before what a read shows.
        same(watcher.read(path, watch=True)[0], b"1", "behind the event")
        writer.set(path, b"2")
        writer.set(path, b"3")
        same([event[0] for event in watcher.await_events(1)], [CHANGED], "events of a set")
        watcher.sync()
        same(watcher.events, [], "events without a watch")
        watcher.read(path, watch=True)
        writer.delete(path)
        same([(event[0], event[2]) for event in watcher.await_events(1)], [(DELETED, path)], "events of a delete")
        watcher.close()
        writer.close()


@check
def multi(ensemble):
    clients = [member.client() for member in ensemble.running()]
    clients[0].create("/multi")
    for at, client in enumerate(clients):
        path = "/multi/%d" % at
        client.call(wire.MULTI, wire.multi([
            (wire.CREATE, wire.create(path, b"a")), (wire.SET, wire.set_data(path, b"b", 0)),
            (wire.CREATE, wire.create(path + "/s-", flags=wire.SEQUENTIAL)), (wire.CHECK, wire.versioned(path, 1))]))
        # All or nothing: the second part is refused.
        client.send(wire.MULTI, wire.multi([
            (wire.CREATE, wire.create(path + "/not")), (wire.CHECK, wire.versioned(path, 7))]))
        reply = client.receive()
        codes = []
        while True:
            kind, done, code = reply.int(), reply.take(1) == b"\1", reply.int()
            if done:
                break
            codes.append((kind, code, reply.int()))
        same(codes, [(-1, 0, 0), (-1, -103, -103)], "results of a refused multi")
    for client in clients:
        client.sync()
        for at in range(len(clients)):
            same(client.get("/multi/%d" % at), b"b", "data of a multi")
            same(client.children("/multi/%d" % at), ["s-0000000000"], "nodes of a multi")
    for client in clients:
        client.close()


@check
def sessions_move_between_members(ensemble):
    members = ensemble.running()
    watcher = members[0].client()
    for at, member in enumerate(members):
        to = members[(at + 1) % len(members)]
        path = "/moved-%d" % at
        here = member.client()
        here.create(path, flags=wire.EPHEMERAL)
        there = to.client(session=(here.id, here.password))
        same((there.id, there.password), (here.id, here.password), "the session on %r" % to)
        there.sync()
        same(there.exists(path)["ephemeralOwner"], here.id, "owner of the node")
        there.create(path + "-there", flags=wire.EPHEMERAL)
        # The old connection is no longer the session's.
        try:
            here.create(path + "-late")
        except wire.Refused as error:
            same(error.code, SESSION_MOVED, "a write where the session was")
        except wire.Gone:
            pass
        else:
            raise Failure("a write where the session was is done")
        here.drop()
        no_session(member, (here.id, bytes(16)), "the session without its password")
        there.ping()
        there.close()
        watcher.sync()
        for name in (path, path + "-there", path + "-late"):
            require(watcher.exists(name) is None, "%s is left" % name)
        no_session(member, (here.id, here.password), "a closed session")
    watcher.close()


@check
def sessions_expire(ensemble):
    """The leader ends sessions that are silent on any member, and only those."""
    members = ensemble.running()
    dead, alive = [[member.client(timeout_ms=timeout_ms) for member in members]
                   for timeout_ms in (SHORT_MS, LONGER_MS)]
    watchers = [member.client() for member in members]
    for client in dead + alive:
        client.create("/expire-%x" % client.id, flags=wire.EPHEMERAL)
    for watcher in watchers:
        watcher.sync()
        for client in dead:
            watcher.exists("/expire-%x" % client.id, watch=True)
    for client in dead:
        client.drop()

    def gone():
        for client in alive:
            client.ping()
        for watcher in watchers:
            watcher.ping()
        return all(len(watcher.events) == len(dead) for watcher in watchers)
    start = time.monotonic()
    eventually(gone, lambda: "the end of silent sessions: %s" % [len(watcher.events) for watcher in watchers])
    for watcher in watchers:
        same({event[2] for event in watcher.events}, {"/expire-%x" % client.id for client in dead}, "what went away")
    # Sessions that only speak live on for longer than their timeout.
    while time.monotonic() - start < 1.2 * LONGER_MS / 1000:
        for client in alive:
            client.ping()
        time.sleep(0.05)
    for client in alive:
        same(client.exists("/expire-%x" % client.id)["ephemeralOwner"], client.id, "owner of a session that speaks")
    for client, member in zip(dead, members[1:] + members[:1]):
        no_session(member, (client.id, client.password), "an expired session")
    for client in alive + watchers:
        client.close()


@check
def the_same_tree_everywhere(ensemble):
    fill(ensemble.running()[0], "/many", 150, b"data")
    same_trees(ensemble)


def missing(ensemble, member, count):
    """Kills a member, and writes what it then lacks; returns the leader and how long its log is."""
    member.kill()
    leader = ensemble.whole()
    fill(leader, "/without-%r-%x" % (member, leader.zxid()), count)
    return leader, leader.log_size()


@check
def diff(ensemble):
    """A follower that was away gets what it lacks."""
    # One that has no transaction yet would get the whole state.
    ensemble.level()
    for member in ensemble.followers():
        leader, since = missing(ensemble, member, 20)
        ensemble.start(member)
        ensemble.whole()
        same(sync_kinds(leader, member, since)[:1], ["DIFF"], "how %r brought %r up" % (leader, member))
    same_trees(ensemble)


@check
def snap(ensemble):
    """A follower with an empty disk gets the whole state from a leader whose log does not begin at the beginning."""
    fill(ensemble.leader(), "/for-snapshots", 250)
    leader = ensemble.again(purged=True)
    for member in ensemble.followers():
        member.kill()
        member.wipe()
        since = leader.log_size()
        ensemble.start(member)
        ensemble.whole()
        same(sync_kinds(leader, member, since)[:1], ["SNAP"], "how %r brought %r up" % (leader, member))
    same_trees(ensemble)
    # What was sent must be on the disk of those that got it: they go on without the one that sent it.
    before = tree(leader)
    if len(ensemble.voters) > 2 and len(ensemble.running()) > 2:
        leader.kill()
        ensemble.whole()
        same(tree(ensemble.running()[0]).keys(), before.keys(), "nodes without the old leader")
        ensemble.start(leader)
        ensemble.whole()


@check
def long_behind(ensemble):
    """A follower that was away for longer than the others keep their logs: they have purged, at their start."""
    ensemble.again()
    member = ensemble.followers()[0]
    lacks = ensemble.level()
    member.kill()
    leader = ensemble.whole()
    batches = itertools.count()

    def snapshots_behind():
        # Writes may be faster than snapshots.
        fill(leader, "/long-behind-%x-%d" % (lacks, next(batches)), 100)
        return all(sum(zxid > lacks for zxid in numbers(other, "snapshot.")) >= 5 for other in ensemble.running())
    eventually(snapshots_behind, "more snapshots behind 0x%x than are kept" % lacks)
    for other in ensemble.running():
        other.stop()
    for other in ensemble.members:
        if other is not member:
            other.settings["autopurge.purgeInterval"] = "1"
    leader = without(ensemble, member)
    # Of the logs only those stay that three snapshots need.
    eventually(lambda: all(min(numbers(other, "log."), default=0) > lacks for other in ensemble.running()), "a purge")
    since = leader.log_size()
    ensemble.start(member)
    ensemble.whole()
    require(sync_kinds(leader, member, since)[-1:] == ["SNAP"], "%r brought %r up by %s" % (
        leader, member, sync_kinds(leader, member, since)))
    same_trees(ensemble)


def numbers(member, prefix):
    """The zxids in the names of its logs or snapshots."""
    names = os.listdir(os.path.join(member.data, "version-2"))
    return [int(name[len(prefix):], 16) for name in names if re.fullmatch(re.escape(prefix) + "[0-9a-f]+", name)]


def tail_of(ensemble, path):
    """Kills all voters so that only the leader has a transaction that nobody acknowledged; returns that leader."""
    leader = ensemble.leader()
    followers = ensemble.followers()
    client = leader.client()
    for member in followers:
        member.pause()
    client.send(wire.CREATE, wire.create(path, b"nobody acknowledged it"))

    def logged():
        folder = os.path.join(leader.data, "version-2")
        for name in os.listdir(folder):
            if name.startswith("log."):
                with open(os.path.join(folder, name), "rb") as file:
                    if path.encode() in file.read():
                        return True
        return False
    eventually(logged, "the transaction in the log of the leader", SYNC_LIMIT * TICK_MS / 1000)
    leader.kill()
    # With what waits for them in their sockets.
    for member in followers:
        member.kill()
    try:
        client.receive()
        raise Failure("a write was acknowledged without a quorum")
    except wire.Gone:
        client.drop()
    return leader


def without(ensemble, left_out):
    """Starts a quorum without that member."""
    rest = [member for member in ensemble.members if member is not left_out and not member.process]
    ensemble.start(*rest)
    return ensemble.whole()


@check
def trunc(ensemble):
    """A leader that comes back with a transaction which the others never saw must drop it."""
    if ensemble.leader() is not ensemble.voters[-1]:
        ensemble.again()
    fill(ensemble.leader(), "/before-trunc", 10)
    old = tail_of(ensemble, "/tail")
    leader = without(ensemble, old)
    since = leader.log_size()
    ensemble.start(old)
    ensemble.whole()
    same(sync_kinds(leader, old, since)[:1], ["TRUNC"], "how %r brought %r up" % (leader, old))
    require("/tail" not in same_trees(ensemble), "a transaction that nobody acknowledged came back")
    # The truncation is on the disk, too: it leads after a restart, with what it has.
    require(ensemble.again() is old, "another leads")
    require("/tail" not in same_trees(ensemble), "a transaction that nobody acknowledged came back from the disk")


@check
def a_tail_and_other_writes(ensemble):
    """The same, where the others have gone on in the meantime."""
    old = tail_of(ensemble, "/tail-2")
    leader = without(ensemble, old)
    fill(leader, "/gone-on", 30)
    since = leader.log_size()
    ensemble.start(old)
    ensemble.whole()
    kinds = sync_kinds(leader, old, since)[:1]
    require(kinds in (["SNAP"], ["TRUNC"]), "%r brought %r up by %s" % (leader, old, kinds))
    found = same_trees(ensemble)
    require("/tail-2" not in found and "/gone-on/29" in found, "another history")


@check
def killed_follower(ensemble):
    leader = ensemble.leader()
    client = leader.client()
    client.create("/killed-follower", b"")
    for member in ensemble.followers():
        member.kill()
        # Without a pause: the others are a quorum.
        client.set("/killed-follower", b"%d" % member.sid)
        ensemble.start(member)
        ensemble.whole()
        client.set("/killed-follower", b"%d again" % member.sid)
    same(ensemble.leader(), leader, "the leader")
    client.close()
    serves(ensemble, "/behind-killed-follower-%x" % leader.zxid())


@check
def killed_leader(ensemble):
    for at in range(2):
        leader = ensemble.leader()
        client = leader.client()
        path = "/killed-leader-%d" % at
        client.create(path, b"")
        acknowledged = [client.create(path + "/n-", flags=wire.SEQUENTIAL) for _ in range(20)]
        client.create(path + "/mine", flags=wire.EPHEMERAL)
        epoch = leader.zxid() >> 32
        leader.kill()
        other = ensemble.whole()
        require(other.zxid() >> 32 > epoch, "the epoch stays at %d" % epoch)
        # The session goes on elsewhere, with its node.
        client.drop()
        there = other.client(session=(client.id, client.password))
        same(there.id, client.id, "the session on %r" % other)
        there.sync()
        same(there.exists(path + "/mine")["ephemeralOwner"], client.id, "owner of the node")
        same([path + "/" + name for name in there.children(path) if name != "mine"], acknowledged, "what is there")
        serves(ensemble, path + "-elsewhere")
        ensemble.start(leader)
        same(ensemble.whole(), other, "the leader")
        there.close()
    same_trees(ensemble)


@check
def killed_in_both_orders(ensemble):
    """Leader and follower are killed, either first; the quorum is lost and comes back with either."""
    for leader_first in (True, False):
        for leader_back_first in (True, False):
            leader, follower = ensemble.leader(), ensemble.followers()[0]
            path = "/orders-%d-%d" % (leader_first, leader_back_first)
            client = leader.client()
            client.create(path, b"kept")
            client.close()
            first, second = (leader, follower) if leader_first else (follower, leader)
            first.kill()
            second.kill()
            back = (leader, follower) if leader_back_first else (follower, leader)
            ensemble.start(back[0])
            ensemble.whole()
            client = back[0].client()
            client.sync()
            same(client.get(path), b"kept", "what was acknowledged")
            client.close()
            ensemble.start(back[1])
            ensemble.whole()
    same_trees(ensemble)


@check
def a_leader_that_stands_still(ensemble):
    """The others go on without it; what it had under way is not acknowledged twice or lost; it comes back as one of
    them."""
    leader = ensemble.leader()
    others = ensemble.followers()
    client = leader.client()
    client.create("/still", b"1")
    leader.pause()
    client.send(wire.SET, wire.set_data("/still", b"late"))
    process, leader.process = leader.process, None
    try:
        other = eventually(
            lambda: next((member for member in others if member.mode() == "leader"), None), "another leader")
        ensemble.whole()
        there = other.client()
        there.set("/still", b"2")
    finally:
        leader.process = process
        leader.resume()
    same(ensemble.whole(), other, "the leader")
    try:
        code = client.receive().code
        require(code != 0, "the old leader acknowledged a write")
    except wire.Gone:
        pass
    client.drop()
    there.sync()
    same(there.read("/still")[0], b"2", "what the quorum wrote")
    there.close()
    same_trees(ensemble)


@check
def a_lost_quorum(ensemble):
    """Without a quorum nothing is acknowledged, and clients are sent away."""
    for lost_leader in (False, True):
        leader = ensemble.leader()
        followers = ensemble.followers()
        stays = followers[0] if lost_leader else leader
        client = stays.client()
        path = "/lost-%d" % lost_leader
        client.create(path, b"1")
        rest = [member for member in ensemble.voters if member is not stays]
        # With leader and half of the others away, the rest are no quorum; those that stay beside it are killed first.
        gone = rest[:len(ensemble.voters) // 2]
        if lost_leader and leader not in gone:
            gone = [leader] + gone[:-1]
        while len(rest) - len(gone) + 1 > len(ensemble.voters) // 2:
            gone.append(next(member for member in rest if member not in gone))
        for member in gone:
            member.kill()
        acknowledged = False
        try:
            if lost_leader or not leader.keeps_a_tail():
                client.send(wire.SET, wire.set_data(path, b"2"))
            acknowledged = client.receive().code == 0
        except wire.Gone:
            pass
        require(not acknowledged, "a write was acknowledged without a quorum")
        client.drop()
        for member in ensemble.running():
            eventually(lambda member=member: member.mode() is None, "%r does not serve" % member)
            try:
                member.client()
                raise Failure("%r takes a client without a quorum" % member)
            except wire.Gone:
                pass
        ensemble.start(*gone)
        back = ensemble.whole().client(session=(client.id, client.password))
        same(back.id, client.id, "the session")
        back.close()
    same_trees(ensemble)


LEADS = ("proposal_count", "commit_count", "cnt_quorum_ack_latency", "cnt_proposal_ack_creation_latency")
FOLLOWS = ("learner_proposal_received_count", "learner_commit_received_count", "cnt_proposal_latency",
           "cnt_proposal_ack_creation_latency", "cnt_commit_propagation_latency")
OBSERVES = ("learner_commit_received_count", "cnt_commit_propagation_latency")
ALL_DO = ("cnt_propagation_latency", "sync_processor_request_queued")
ONCE = ("cnt_unavailable_time", "looking_count")


@check
def figures_of_members(ensemble):
    """What operators watch moves with the writes, on each member as its role has it."""
    leader = ensemble.leader()
    figures = {}
    for member in ensemble.running():
        of_role = LEADS if member is leader else OBSERVES if member.observer else FOLLOWS
        figures[member] = ["zk_" + name for name in of_role + ALL_DO]
    writer = ensemble.running()[0].client()
    ensemble.level()

    def told(member):
        monitor = member.monitor()
        return [int(monitor[name]) for name in figures[member]]
    # Proposals that a quorum had without a member may still be on their way to its disk.
    before = {}
    for member in figures:
        def steady():
            seen = told(member)
            return seen == before.get(member) or before.update({member: seen})
        eventually(steady, lambda: "figures of %r stand still" % member)
    count = 20
    for _ in range(count):
        writer.set("/", b"")
    for member, was in before.items():
        eventually(lambda: [now - then for now, then in zip(told(member), was)] == [count] * len(was),
                   lambda: "each by %d more on %r: %s from %s to %s" % (count, member, figures[member], was, told(member)))
        monitor = member.monitor()
        if member is leader:
            synced = sum(not other.observer for other in figures) - 1
            same((monitor["zk_learners"], monitor["zk_synced_followers"]), (str(len(figures) - 1), str(synced)), "learners")
            require(int(monitor["zk_diff_count"]) + int(monitor["zk_snap_count"]) >= len(figures) - 1, "learners it synced")
        same(monitor["zk_quorum_size"], str(len(ensemble.voters)), "voters")
        led = ("cnt_leader_unavailable_time", "cnt_election_time") if member is leader else (
            "cnt_observer_sync_time",) if member.observer else ("cnt_follower_sync_time", "cnt_election_time")
        zero = [name for name in ONCE + led if monitor["zk_" + name] == "0"]
        same(zero, [], "what is 0 on %r" % member)
    writer.close()


@check
def observers(ensemble):
    """They come back, whoever leads, and have no vote."""
    for observer in ensemble.observers:
        # What it has ends with a transaction: Java sends others the whole state.
        ensemble.level()
        leader, since = missing(ensemble, observer, 20)
        ensemble.start(observer)
        ensemble.whole()
        same(sync_kinds(leader, observer, since)[:1], ["DIFF"], "how %r brought %r up" % (leader, observer))
        observer.kill()
        observer.wipe()
        ensemble.start(observer)
        ensemble.whole()
        client = observer.client()
        client.create("/through-%r" % observer, flags=wire.EPHEMERAL)
        leader.kill()
        ensemble.whole()
        client.drop()
        client = observer.client(session=(client.id, client.password))
        same(client.exists("/through-%r" % observer)["ephemeralOwner"], client.id, "owner of the node")
        client.close()
        ensemble.start(leader)
        ensemble.whole()
    same_trees(ensemble)


@check
def stopped_one_after_the_other(ensemble):
    """A rolling restart by TERM under a client that goes from member to member."""
    client, epoch = None, ensemble.leader().zxid() >> 32
    path = "/rolling-%d" % epoch
    count = 0
    for member in ensemble.voters:
        at = next(other for other in ensemble.voters if other is not member)
        client = at.client(session=(client.id, client.password) if client else (0, bytes(16)))
        if count == 0:
            client.create(path, flags=wire.EPHEMERAL)
        client.set(path, b"%d" % count)
        count += 1
        client.drop()
        code = member.stop()
        require(code in (0, 143), "%r ended with %d" % (member, code))
        ensemble.whole()
        ensemble.start(member)
        ensemble.whole()
    client = member.client(session=(client.id, client.password))
    client.sync()
    same(client.read(path)[0], b"%d" % (count - 1), "what was written last")
    client.close()
    same_trees(ensemble)


class Writer:
    """A client that remembers what was acknowledged, and goes from member to member with its session."""

    def __init__(self, ensemble, number, path, pace_s=0):
        self.ensemble, self.number = ensemble, number
        self.path, self.pace_s = path, pace_s
        self.acknowledged = self.sent = 0
        self.names = []
        self.unsure = 0
        self.session = (0, bytes(16))
        self.wrong = None
        self.gap = self.zxid = 0
        self.times = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            last = time.monotonic()
            while not self.ending.is_set():
                try:
                    client = self._connect()
                except (wire.Gone, OSError):
                    # Nobody is there: as a client does, not at full speed.
                    self.ending.wait(0.02)
                    continue
                try:
                    while not self.ending.is_set():
                        self._write(client)
                        now = time.monotonic()
                        self.gap, last = max(self.gap, now - last), now
                        self.times.append(now)
                        self.ending.wait(self.pace_s)
                except wire.Gone:
                    client.drop()
        except Exception as error:
            self.wrong = error

    def _connect(self):
        members = self.ensemble.members
        self.number += 1
        member = members[self.number % len(members)]
        if member.process is None:
            raise wire.Gone("killed")
        client = Session(member.port, 120_000, session=self.session, patience_s=8)
        require(not self.session[0] or client.id == self.session[0], "the session of %s is lost" % self.path)
        if not self.session[0]:
            self.session = (client.id, client.password)
        client.send(wire.CREATE, wire.create(self.path))
        require(client.receive().code in (0, -110), "no node to write to")
        client.sync()
        # A write without an answer may have happened or not, but none that was answered is missing.
        data = client.read(self.path)[0]
        found = int(data or b"0")
        require(self.acknowledged <= found <= self.sent, "%s holds %d, acknowledged are %d, sent %d" % (
            self.path, found, self.acknowledged, self.sent))
        self.acknowledged = self.sent = found
        return client

    def _write(self, client):
        self.sent += 1
        client.send(wire.SET, wire.set_data(self.path, b"%d" % self.sent))
        reply = client.receive()
        require(reply.code == 0, "a set of %s: error %d" % (self.path, reply.code))
        require(reply.zxid > self.zxid, "zxid 0x%x behind 0x%x" % (reply.zxid, self.zxid))
        self.acknowledged, self.zxid = self.sent, reply.zxid
        if self.sent % 10 == 0:
            self.unsure += 1
            name = client.create(self.path + "/n-", flags=wire.SEQUENTIAL)
            self.unsure -= 1
            self.names.append(name.rpartition("/")[2])

    def end(self):
        self.ending.set()
        self.thread.join(120)
        require(not self.thread.is_alive(), "%s hangs" % self.path)
        if self.wrong:
            raise self.wrong

    def settle(self, member):
        client = member.client()
        client.sync()
        found = int(client.read(self.path)[0] or b"0")
        require(self.acknowledged <= found <= self.sent, "%s holds %d, acknowledged are %d" % (
            self.path, found, self.acknowledged))
        names = client.children(self.path)
        lost = set(self.names) - set(names)
        require(not lost, "acknowledged and lost: %s" % sorted(lost)[:5])
        require(len(names) <= len(self.names) + self.unsure, "%s has %d nodes, %d are acknowledged, %d unsure" % (
            self.path, len(names), len(self.names), self.unsure))
        # The counter of a node has no holes, whoever led.
        same(names, ["n-%010d" % at for at in range(len(names))], "sequential names below %s" % self.path)
        client.close()


ROUNDS = 6


def random_kills(ensemble, dice, rounds):
    """Acknowledged writes survive kills, pauses and stops of random members, up to all of them."""
    writers = [Writer(ensemble, number, "/writer-%d" % number) for number in range(4)]
    for writer in writers:
        writer.thread.start()
    try:
        for at in range(rounds):
            before = [writer.acknowledged for writer in writers]
            eventually(lambda: all(
                writer.wrong or writer.acknowledged >= seen + 20 for writer, seen in zip(writers, before)),
                "writes go on: %s" % ensemble.state())
            for writer in writers:
                if writer.wrong:
                    raise writer.wrong
            # The moment is what this is about, not a wait for anything.
            time.sleep(dice.uniform(0, 0.3))
            victims = dice.sample(ensemble.voters, dice.choice((1, 1, 1, 2, len(ensemble.voters))))
            if any(member.keeps_a_tail() for member in ensemble.voters):
                del victims[(len(ensemble.voters) - 1) // 2:]
            for victim in victims:
                if dice.random() < 0.8:
                    victim.kill()
                else:
                    victim.stop()
            dice.shuffle(victims)
            ensemble.start(*victims)
            ensemble.whole()
    finally:
        for writer in writers:
            writer.ending.set()
    for writer in writers:
        writer.end()
        for member in ensemble.running():
            writer.settle(member)
    same_trees(ensemble)
    return sum(writer.acknowledged for writer in writers), max(writer.gap for writer in writers)
