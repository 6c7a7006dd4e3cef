"""Clients of these checks, and what members tell of sessions."""

from members import Session, eventually, require, same, wire

NO_NODE, NOT_READ_ONLY, EPHEMERAL_ON_LOCAL, EXPIRED = -101, -119, -120, -112
SHORT_MS = 4000
"""Of sessions that expire. Long enough for a loaded machine to do with them what comes before."""


def error(function, *words):
    """The code of the error that a call ends with, 0 without one."""
    try:
        function(*words)
    except wire.Refused as refused:
        return refused.code
    return 0


def attach(member, client, **more):
    """The session of a client, asked for from a member; its id is 0 when it is refused."""
    return Session(member.port, client.timeout_ms or 10_000, session=(client.id, client.password), **more)


def counted(member):
    """How many local and how many global sessions a member tells of."""
    told = member.monitor()
    return int(told.get("zk_local_sessions", -1)), int(told.get("zk_global_sessions", -1))


def expect_counts(members, local, everywhere):
    """`local`: by member; `everywhere`: global sessions."""
    for member in members:
        want = (local.get(member, 0), everywhere)
        eventually(lambda: counted(member) == want, lambda: "local and global sessions on %r: %r, not %r" % (
            member, counted(member), want))


def wait_closed(client, what):
    """Until the server closes a connection; nothing but events may come before."""
    try:
        while True:
            reply = client.receive()
            require(False, "%s: a reply with code %d" % (what, reply.code))
    except wire.Gone:
        client.drop()


def gone(function, *words, **more):
    """Whether a call ends with the connection."""
    try:
        function(*words, **more)
    except wire.Gone:
        return True
    return False


def sets(dump, kind):
    """The sessions of a kind in a dump that shows them by their end. Java also shows ends that nobody has any more."""
    head = next(at for at, line in enumerate(dump) if line.startswith("%s Session Sets (" % kind))
    found = []
    for line in dump[head + 1:]:
        if line.startswith("\t"):
            found.append(line.strip())
        elif " expire at " not in line:
            break
    same(dump[head].rpartition("/")[2], "(%d):" % len(found), "the number of sessions in %r" % dump[head])
    return found


def level(ensemble):
    """One write, and the zxid that it leaves everywhere: a local session makes none."""
    client = ensemble.running()[0].client()
    client.set("/", b"")
    client.close()

    def equal():
        found = {member.zxid() for member in ensemble.running()}
        return len(found) == 1 and found.pop()
    return eventually(equal, lambda: "the same zxid everywhere: %s" % [
        "%r 0x%x" % (member, member.zxid()) for member in ensemble.running()])


__all__ = ["Session", "eventually", "require", "same", "wire"]
