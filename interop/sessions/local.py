"""Local sessions, and how they become global."""

from client import (EPHEMERAL_ON_LOCAL, EXPIRED, SHORT_MS, attach, counted, error, eventually, expect_counts, gone, level,
                    require, same, sets, wait_closed, wire)


def ephemeral(path):
    return wire.CREATE, wire.create(path, flags=wire.EPHEMERAL)


def others(ensemble, member):
    return [other for other in ensemble.running() if other is not member]


def known_to_one_member(ensemble):
    before = level(ensemble)
    clients = {member: member.client() for member in ensemble.running()}
    expect_counts(ensemble.running(), {member: 1 for member in clients}, 0)
    for member, client in clients.items():
        client.create("/local-%d" % member.sid, b"1")
        client.set("/local-%d" % member.sid, b"2")
        client.sync()
        same(client.get("/local-%d" % member.sid), b"2", "what a local session of %r wrote" % member)
    for member, client in clients.items():
        client.delete("/local-%d" % member.sid)
        client.close()
    expect_counts(ensemble.running(), {}, 0)
    same(level(ensemble) - before, 3 * len(clients) + 1, "transactions: sessions make none")


def comes_back_to_its_member_only(ensemble):
    for member in ensemble.running():
        client = member.client()
        for other in others(ensemble, member):
            same(attach(other, client).id, 0, "a local session of %r on %r" % (member, other))
        client.ping()
        again = attach(member, client)
        same((again.id, again.password), (client.id, client.password), "a local session on its own %r" % member)
        wait_closed(client, "the connection before")
        same(error(again.create, "/back"), 0, "a write behind that")
        again.delete("/back")
        again.close()
        same(attach(member, again).id, 0, "a closed local session on %r" % member)


def ends_with_its_member(ensemble):
    """A member ends its silent local sessions by itself, and nobody else hears of it."""
    before = level(ensemble)
    silent = [member.client(timeout_ms=SHORT_MS) for member in ensemble.running()]
    for client in silent:
        wait_closed(client, "a silent local session")
    expect_counts(ensemble.running(), {}, 0)
    for member, client in zip(ensemble.running(), silent):
        same(attach(member, client).id, 0, "an expired local session on %r" % member)
    same(level(ensemble) - before, 1, "transactions")


def an_ephemeral_node_makes_it_global(ensemble):
    for member in ensemble.running():
        before = level(ensemble)
        client = member.client()
        # What makes the session global is a transaction before the first of them.
        replies = client.pipeline([ephemeral("/up-a"), ephemeral("/up-b"), (wire.SET, wire.set_data("/", b""))])
        same([reply.code for reply in replies], [0, 0, 0], "codes")
        same([reply.zxid - before for reply in replies], [2, 3, 4], "transactions of a session on %r" % member)
        same(client.exists("/up-a")["ephemeralOwner"], client.id, "the owner")
        expect_counts(ensemble.running(), {}, 1)
        moved = attach(others(ensemble, member)[0], client)
        same((moved.id, moved.password), (client.id, client.password), "a global session elsewhere")
        moved.sync()
        require(moved.exists("/up-b"), "its nodes went with its move")
        # Late words of the old connection do nothing.
        require(gone(client.create, "/up-late"), "a late write is answered")
        same(error(moved.create, "/up-c", b"", wire.OPEN, wire.EPHEMERAL), 0, "another one")
        moved.close()
        witness = member.client()
        witness.sync()
        same([path for path in ("/up-a", "/up-b", "/up-c", "/up-late") if witness.exists(path)], [], "left behind")
        witness.close()
        expect_counts(ensemble.running(), {}, 0)


def a_multi_makes_it_global(ensemble):
    for member in ensemble.running():
        before = level(ensemble)
        client = member.client()
        persistent = wire.CREATE, wire.create("/multi-a")
        same(client.call(wire.MULTI, wire.multi([persistent])).zxid - before, 1, "a multi without ephemeral nodes")
        same(counted(member), (1, 0), "sessions of %r" % member)
        parts = [(wire.DELETE, wire.versioned("/multi-a")), (wire.CREATE2, ephemeral("/multi-b")[1])]
        same(client.call(wire.MULTI, wire.multi(parts)).zxid - before, 3, "one with an ephemeral node")
        expect_counts(ensemble.running(), {}, 1)
        client.close()


def other_creates_do_not(ensemble):
    """Java looks at create and create2 only."""
    for member in ensemble.running():
        client = member.client()
        code = error(client.call, wire.CONTAINER, wire.create("/other", flags=wire.EPHEMERAL))
        same(code, EXPIRED, "an ephemeral node by createContainer on %r" % member)
        same(counted(member), (1, 0), "sessions of %r" % member)
        client.close()


def a_global_one_expires(ensemble):
    # All at once: each takes its time.
    silent = {member: member.client(timeout_ms=SHORT_MS) for member in ensemble.running()}
    for member, client in silent.items():
        client.create("/dies-%d" % member.sid, flags=wire.EPHEMERAL)
    for member, client in silent.items():
        wait_closed(client, "a silent session")
        witness = member.client()
        eventually(lambda: witness.exists("/dies-%d" % member.sid) is None, "its node is gone")
        witness.close()
        same(attach(member, client).id, 0, "an expired session")
    expect_counts(ensemble.running(), {}, 0)


def both_kinds_are_dumped(ensemble):
    leader = ensemble.leader()
    for member in ensemble.running():
        here, upgraded = member.client(), member.client()
        upgraded.create("/dumped", flags=wire.EPHEMERAL)
        expect_counts(ensemble.running(), {member: 1}, 1)
        lines = member.word("dump").splitlines()
        same(sets(lines, "Local"), ["0x%x" % here.id], "local sessions of %r" % member)
        if member is leader:
            same(sets(lines, "Global"), ["0x%x" % upgraded.id], "global sessions")
        else:
            at = lines.index("Global Sessions(1):")
            same(lines[at + 1], "0x%x\t%dms" % (upgraded.id, upgraded.timeout_ms), "global sessions")
        here.close()
        upgraded.close()
        expect_counts(ensemble.running(), {}, 0)


def a_new_leader_ends_local_ones(ensemble):
    """Global sessions outlive a leader, local ones do not, on whatever server."""
    leader = ensemble.leader()
    stays = others(ensemble, leader)[0]
    here, upgraded = stays.client(), stays.client()
    upgraded.create("/outlives", flags=wire.EPHEMERAL)
    leader.kill()
    wait_closed(here, "a local session")
    wait_closed(upgraded, "a global session")
    ensemble.whole()
    same(attach(stays, here).id, 0, "the local session behind the election")
    again = attach(stays, upgraded)
    same(again.id, upgraded.id, "the global session behind the election")
    require(again.exists("/outlives"), "its node")
    again.close()
    ensemble.start(leader)
    ensemble.whole()
    level(ensemble)


def ephemeral_nodes_are_refused(ensemble):
    leader = ensemble.leader()
    for member in ensemble.running():
        before = level(ensemble)
        client = member.client()
        requests = [ephemeral("/no"), (wire.CREATE2, ephemeral("/no")[1]),
                    (wire.CREATE, wire.create("/no-", flags=wire.EPHEMERAL_SEQUENTIAL)), (wire.SET, wire.set_data("/", b""))]
        replies = client.pipeline(requests)
        same([reply.code for reply in replies], [EPHEMERAL_ON_LOCAL] * 3 + [0], "codes on %r" % member)
        same([reply.zxid - before for reply in replies], [1, 2, 3, 4], "transactions: each of the errors is one")
        # Only who makes the transaction puts the reason into a multi.
        reply = client.call(wire.MULTI, wire.multi([ephemeral("/no")]))
        reply.take(9)
        same(reply.int(), EPHEMERAL_ON_LOCAL if member is leader else EXPIRED, "in a multi on %r" % member)
        client.close()
        expect_counts(ensemble.running(), {}, 0)


UPGRADED = [
    known_to_one_member, comes_back_to_its_member_only, ends_with_its_member, an_ephemeral_node_makes_it_global,
    a_multi_makes_it_global, other_creates_do_not, a_global_one_expires, both_kinds_are_dumped, a_new_leader_ends_local_ones]
REFUSED = [known_to_one_member, ephemeral_nodes_are_refused]
