"""What must hold while the members of an ensemble change."""

import contextlib
import os
import socket

from servers import CONFIG, RECONFIG, Failure, Session, eventually, free_ports, require, same, wire


def version_of(text):
    return int(text.rpartition("version=")[2], 16)


def lines_of(text):
    return sorted(text.splitlines()[:-1])


def everywhere(ensemble, text, members=None):
    """All members have this list, in one state, and in their files."""
    members = members or ensemble.running()
    found = {}

    def agreed():
        found.clear()
        found.update({member: member.read() for member in members})
        return all(data.decode() == text for data, _ in found.values())
    eventually(agreed, lambda: "%r everywhere: %r" % (text, found))
    want = found[members[0]][1]
    for member, (_, stat) in found.items():
        for field in ("mzxid", "version", "dataLength"):
            same(stat[field], want[field], "%s of the node at %r" % (field, member))
        # Java writes the node of a list that comes without a transaction with the time of each member.
    dynamic = ".dynamic.%x" % version_of(text)
    for member in members:
        pointer = "dynamicConfigFile=%s%s\n" % (os.path.realpath(member.config), dynamic)

        def written():
            files = member.files()
            static = files.get("", "")
            return (files.get(dynamic) == "\n".join(lines_of(text)) and ".dynamic.next" not in files
                    and static.endswith(pointer) and "server." not in static)
        eventually(written, lambda: "%r has the list %r in its files: %r" % (member, text, member.files()))


def writes_through(member, name):
    with contextlib.closing(member.session()) as session:
        same(session.create("/" + name), "/" + name, "a write through %r" % member)


def refused(code, function, *arguments, **named):
    try:
        answer = function(*arguments, **named)
    except wire.Refused as error:
        return same(error.code, code, "the refusal")
    raise Failure("done instead of refused with %d: %r" % (code, answer))


def first_list(ensemble):
    """A list that stood in the static file gets a version and files."""
    ensemble.begin()
    text = ensemble.members[0].read()[0].decode()
    same(lines_of(text), sorted(member.line() for member in ensemble.members), "the first list")
    same(version_of(text) & 0xffffffff, 0, "the counter of the first version")
    require(version_of(text) > 0, "the first version")
    everywhere(ensemble, text)
    for member in ensemble.members:
        files = member.files()
        require("server.1=" in files[".bak"] and files[".bak"].startswith("# written by hand"), "the copy of %r" % member)
        same(sorted(files), ["", ".bak", ".dynamic.%x" % version_of(text)], "the files of %r" % member)


def a_member_joins(ensemble, kind):
    """A new member follows first, and votes behind the change. Watches see it at each member."""
    joiner = ensemble.joiner(kind)
    watching = [member.session() for member in ensemble.members]
    for session in watching:
        session.read(CONFIG, watch=True)
    through = ensemble.followers()[0]
    with contextlib.closing(through.session()) as session:
        text, stat = session.reconfig(joining=joiner.line())
        same(session.read(CONFIG), (text.encode(), stat), "the answer is what a read says")
        same((stat["version"], stat["mzxid"]), (-1, version_of(text)), "version and mzxid of the node")
    require(joiner.line() in lines_of(text), "the new member is in the list: %r" % text)
    for session in watching:
        def seen():
            session.send(wire.PING, xid=-2)
            session.receive()
            return session.events
        eventually(seen, "an event of the node")
        same(session.events, [(3, 3, CONFIG)], "the events of a watch")
        session.close()
    everywhere(ensemble, text)
    writes_through(joiner, "by-the-new-one")
    return text


def the_new_vote_counts(ensemble):
    """Of four members three are needed: without the new one and another one nothing is written."""
    joiner = ensemble.members[-1]
    leader = ensemble.whole()
    others = [member for member in ensemble.running() if member not in (joiner, leader)]
    others[0].kill()
    writes_through(joiner, "with-three-of-four")
    others[0].start()
    ensemble.whole()


def an_observer_and_back(ensemble):
    """Roles change without an election for the others."""
    member = ensemble.members[-1]
    leader = ensemble.whole()
    for role, mode in (("observer", "observer"), ("participant", "follower")):
        with contextlib.closing(leader.session()) as session:
            text, _ = session.reconfig(joining=member.line(role))
        eventually(lambda: member.mode() == mode, lambda: "%r becomes %s: %s" % (member, role, ensemble.state()))
        everywhere(ensemble, text)
        writes_through(member, "as-" + role)
    same(ensemble.whole(), leader, "the leader")


def a_member_leaves(ensemble):
    """Who is not in the list any more still follows, and does not count."""
    member = ensemble.members[-1]
    with contextlib.closing(ensemble.whole().session()) as session:
        text, _ = session.reconfig(leaving=str(member.sid))
    require(member.line() not in lines_of(text), "the member is gone from the list: %r" % text)
    everywhere(ensemble, text)
    eventually(lambda: member.mode() == "follower", lambda: "%r follows: %s" % (member, ensemble.state()))
    writes_through(member, "by-who-has-no-vote")
    member.stop()
    ensemble.members.remove(member)
    # All that are left are needed and enough.
    writes_through(ensemble.whole(), "without-it")


def the_leader_leaves(ensemble):
    """Another one leads at once, and all that was written is there."""
    old = ensemble.whole()
    through = ensemble.followers()[0]
    writes_through(old, "before-the-leader-left")
    session = through.session()
    try:
        session.reconfig(leaving=str(old.sid))
    except wire.Gone:
        # A member that follows another leader from here on cuts its clients off, with Java at times before the answer.
        require(through.kind == "j", "the answer comes before the end of the connection")
    session.drop()
    rest = [member for member in ensemble.members if member is not old]
    new = eventually(lambda: next((member for member in rest if member.mode() == "leader"), None),
                     lambda: "another one leads: %s" % ensemble.state())
    ensemble.whole()
    text = rest[0].read()[0].decode()
    same(lines_of(text), sorted(member.line() for member in rest), "the list without the leader")
    everywhere(ensemble, text)
    for member in ensemble.members:
        with contextlib.closing(member.session()) as session:
            session.read("/before-the-leader-left")
    writes_through(new, "behind-the-leader")
    with contextlib.closing(new.session()) as session:
        text, _ = session.reconfig(joining=old.line())
    everywhere(ensemble, text)


def other_kinds_take_over(ensemble):
    """Each member is started as the other kind, from the files that the first one wrote."""
    ensemble.whole()
    before = ensemble.members[0].read()[0].decode()
    for member in ensemble.members:
        member.stop()
        member.kind = "z" if member.kind == "j" else "j"
    for member in ensemble.members:
        member.start()
    leader = ensemble.whole()
    everywhere(ensemble, before)
    with contextlib.closing(leader.session()) as session:
        # Nothing changes but the version.
        text, _ = session.reconfig(version=version_of(before))
    same(lines_of(text), lines_of(before), "the list")
    everywhere(ensemble, text)


def whole_list_at_once(ensemble):
    """All members instead of what changes, with a new port for clients; those that are there stay connected."""
    moved = ensemble.whole()
    stays = moved.session()
    stays.create("/before-the-port-moved")
    old = moved.port
    moved.port = free_ports(1)[0]
    text, _ = stays.reconfig(members=",".join(member.line() for member in ensemble.members))
    same(lines_of(text), sorted(member.line() for member in ensemble.members), "the list")
    ensemble.whole()
    everywhere(ensemble, text)
    stays.read("/before-the-port-moved")
    stays.close()

    def closed():
        with contextlib.suppress(wire.Gone, OSError):
            Session(old).drop()
            return False
        return True
    eventually(closed, "the old port is closed")


def a_proposal_outlives_all(ensemble, other_kind=False):
    """A change that was proposed when all fell is found beside the configuration file, and made."""
    leader = ensemble.whole()
    followers = ensemble.followers()
    leaving = followers[0]
    session = leader.session()
    for member in followers:
        member.pause()
    session.send(RECONFIG, wire.buffer(None) + wire.buffer(str(leaving.sid)) + wire.buffer(None) + b"\xff" * 8)
    proposal = eventually(lambda: leader.files().get(".dynamic.next"), "%r keeps the proposal" % leader)
    for member in ensemble.members:
        member.kill()
    session.drop()
    if other_kind:
        leader.kind = "z" if leader.kind == "j" else "j"
    # Alone with the one that has it: it is needed in both lists.
    for member in ensemble.members:
        if member is not leaving:
            member.start()
    ensemble.whole()
    text = leader.read()[0].decode()
    same(sorted(text.splitlines()), sorted(proposal.splitlines()), "the list that was proposed")
    leaving.start()
    ensemble.whole()
    everywhere(ensemble, text)
    with contextlib.closing(leader.session()) as session:
        text, _ = session.reconfig(joining=leaving.line())
    everywhere(ensemble, text)


def new_ports_for_members(ensemble):
    """A follower and then the leader are moved to other ports, where the others find them."""
    for member in (ensemble.followers()[0], ensemble.whole()):
        through = next(other for other in ensemble.members if other is not member)
        member.quorum_port, member.election_port = free_ports(2)
        session = through.session()
        with contextlib.suppress(wire.Gone):
            # A leader at another address is another one: it has to be elected.
            session.reconfig(joining=member.line())
        session.drop()

        def changed():
            return member.line() in lines_of(through.read()[0].decode())
        eventually(changed, "the list has the new ports")
        ensemble.whole()
        everywhere(ensemble, through.read()[0].decode())
        # It is found at its new ports also by those that start.
        other = next(other for other in ensemble.followers() if other is not member)
        other.stop()
        other.start()
        leader = ensemble.whole()
        if leader is not member:
            leader.kill()
            leader.start()
            ensemble.whole()
        writes_through(member, "from-port-%d" % member.quorum_port)


def one_grows_and_shrinks(ensemble, kinds):
    """An ensemble of one, as operators of clusters begin, gets two more members and loses them again."""
    only = ensemble.members[0]
    only.start()
    eventually(lambda: only.mode() == "leader", lambda: "one leads alone: %s" % ensemble.state())
    everywhere(ensemble, only.read()[0].decode())
    for kind in kinds:
        joiner = ensemble.joiner(kind, "observer")
        with contextlib.closing(only.session()) as session:
            text, _ = session.reconfig(joining=joiner.line("observer"))
            eventually(lambda: joiner.mode() == "observer", ensemble.state)
            if len(ensemble.members) == 2:
                # Observers do not count for the quorum of the new list. Who is in no list is none.
                refused(-13, session.reconfig, joining=joiner.line())
                session.reconfig(leaving=str(joiner.sid))
                eventually(lambda: joiner.mode() == "follower", ensemble.state)
            text, _ = session.reconfig(joining=joiner.line())
        eventually(lambda: joiner.mode() == "follower", ensemble.state)
        everywhere(ensemble, text)
        writes_through(joiner, "by-%d" % joiner.sid)
    for member in ensemble.members[1:]:
        with contextlib.closing(only.session()) as session:
            text, _ = session.reconfig(leaving=str(member.sid))
        member.stop()
        ensemble.members.remove(member)
        everywhere(ensemble, text)
    writes_through(only, "alone-again")
    with contextlib.closing(only.session()) as session:
        refused(-8, session.reconfig, leaving="1")
    only.stop()
    only.start()
    eventually(lambda: only.mode() == "leader", lambda: "it leads again: %s" % ensemble.state())
    everywhere(ensemble, text)
    with contextlib.closing(only.session()) as session:
        session.read("/by-2")


def ports_in_the_static_file(ensemble):
    """Where the own line has no address for clients, the static file keeps it, and the node does not show it."""
    ensemble.begin()
    text = ensemble.members[0].read()[0].decode()
    require(";" not in text, "no address for clients: %r" % text)
    everywhere(ensemble, text)
    for member in ensemble.members:
        require("clientPort=%d\n" % member.port in member.files()[""], "%r keeps its port" % member)
    first = ensemble.members[0]
    with contextlib.closing(first.session()) as session:
        text, _ = session.reconfig(joining=first.line())
        session.read(CONFIG)
    everywhere(ensemble, text)
    require("clientPort" not in first.files()[""], "the own line of %r has its port now" % first)
    # The same port at all addresses: the old listener is in the way of the new one.
    with contextlib.closing(first.session()) as session:
        text, _ = session.reconfig(joining=first.line().replace(";127.0.0.1:", ";0.0.0.0:"))
    everywhere(ensemble, text)

    def at_all_addresses():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.2", first.port), timeout=5):
            return True
    eventually(at_all_addresses, "%r takes clients at another address" % first)
    for member in ensemble.members:
        member.stop()
    for member in ensemble.members:
        member.start()
    ensemble.whole()
    everywhere(ensemble, text)


def wrong_requests(ensemble):
    """What is refused, with the code that Java has for it."""
    leader = ensemble.whole()
    ports = iter(range(40001, 40100))

    def new(sid=9, role="participant"):
        return "server.%d=127.0.0.9:%d:%d:%s;127.0.0.9:%d" % (sid, next(ports), next(ports), role, next(ports))
    listed = [member.line() for member in ensemble.members]
    version = version_of(leader.read()[0].decode())
    first = ensemble.members[0]
    two = ",".join(member.line() for member in ensemble.members[:2])
    observers = ",".join(member.line("observer") for member in ensemble.members)
    cases = [
        (-103, dict(version=version + 1)),
        (-103, dict(version=0)),
        (-103, dict(joining="server.x", version=5)),
        (-5, dict(leaving="x")),
        (-5, dict(leaving="1,,y")),
        (-5, dict(joining="server.x=127.0.0.9:1:2;3")),
        (-8, dict(joining="server.9")),
        (-8, dict(joining="server.9=127.0.0.9:1:2:participant")),
        (-8, dict(joining="server.9=127.0.0.9:1:1;3")),
        (-8, dict(joining="server.9=127.0.0.9:1;3")),
        (-8, dict(joining="server.9=127.0.0.9:1:2:voter;3")),
        (-8, dict(joining="nonsense")),
        (-8, dict(leaving="1,2")),
        (-8, dict(leaving=",".join(str(member.sid) for member in ensemble.members))),
        (-8, dict(members=first.line())),
        (-8, dict(members="what=ever")),
        (-8, dict(members="server.1=127.0.0.1:1:1;3")),
        (-5, dict(members="server.x=127.0.0.9:1:2;3")),
        (-13, dict(joining=",".join(new(sid) for sid in (11, 12, 13, 14)))),
        (-13, dict(members=",".join([first.line(), new(11), new(12)]))),
        (-8, dict(members="")),
        # Java fails on these as on what cannot be read.
        (-5, dict(members=observers)),
        (-5, dict(members="%s,%s" % (first.line(), new(11, "observer")))),
        (-5, dict(members="%s,group.1=1:x" % two)),
        (-5, dict(members="%s,weight.1=x" % two)),
        (-5, dict(members="%s,version=x" % two)),
        (-8, dict(members="%s,group.1=1" % two)),
        (-8, dict(members="%s,group.1=1:2,group.2=2" % two)),
        # Several addresses need multiAddress.enabled.
        (-8, dict(joining="server.9=127.0.0.9:1:2|127.0.0.8:1:2;3")),
        (-8, dict(members="%s,server.9=127.0.0.9:1:2|127.0.0.8:1:2;3" % two)),
        # An address that another member has, on this machine for the loopback alone.
        (-8, dict(joining="server.9=10.1.2.3:1:2;3,server.10=10.1.2.3:2:4;5")),
    ]
    for through in (leader, ensemble.followers()[0]):
        with contextlib.closing(through.session()) as session:
            for code, request in cases:
                try:
                    refused(code, session.reconfig, **request)
                except Failure as error:
                    raise Failure("%r through %r: %s" % (request, through, error)) from None
        with contextlib.closing(through.session(auth=False)) as session:
            refused(-102, session.reconfig)
            refused(-103, session.reconfig, version=1)
            refused(-13, session.reconfig, joining=",".join(new(sid) for sid in (11, 12, 13, 14)))
    text = leader.read()[0].decode()
    same((lines_of(text), version_of(text)), (sorted(listed), version), "the list behind all that was refused")
    with contextlib.closing(leader.session()) as session:
        # Numbers that nobody has may leave; the lists may be empty.
        text, _ = session.reconfig(joining="", leaving="77", version=version)
    same(lines_of(text), sorted(listed), "the list")
    everywhere(ensemble, text)
