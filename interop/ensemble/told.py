"""What operators are told: a line in the log for each change of role, each election with its reason, and each sync with
its kind, range, bytes and time, on both sides."""

import os
import re

from members import eventually, require, same, sync_kinds

CHECKS = []

RUN, LOOKING, ELECTED, CONNECTING, SYNCED, BROKEN, FOLLOWING, WAITING, LEADING, SENT = range(10)

ZXID = r"0x[0-9a-f]+"
RANGE = r"from=(?P<from>(?:%s|0xf+)) (?:back_to=(?P<back>%s) )?to=(?P<to>%s) " % (ZXID, ZXID, ZXID)

LINES = [
    (RUN, r"Zooid, a member of an ensemble "),
    (LOOKING, r"LOOKING: .{5,} sid=\d+ zxid=%s epoch=-?\d+$" % ZXID),
    # Who is for it, and why nothing else was waited for.
    (ELECTED, r"elected server (?P<leader>\d+): \{[\d, ]*\} are for it, .{10,} sid=\d+ leader=(?P=leader) zxid=%s"
              r" epoch=-?\d+ round=\d+ ms=\d+$" % ZXID),
    (CONNECTING, r"(?:FOLLOWING|OBSERVING) server \d+: connecting sid="),
    (FOLLOWING, r"(?:FOLLOWING|OBSERVING) server \d+: up to date, clients are served sid=\d+ leader=\d+ epoch=\d+ zxid=%s$" % ZXID),
    (WAITING, r"LEADING: waiting for a quorum of followers sid="),
    (LEADING, r"LEADING: established, a quorum has the history of epoch \d+ "),
    (SYNCED, r"(?P<kind>DIFF|TRUNC|SNAP) from server (?P<leader>\d+) sid=\d+ %sbytes=(?P<bytes>\d+) ms=\d+$" % RANGE),
    (BROKEN, r"(?:DIFF|TRUNC|SNAP) broken off, from server "),
    (SENT, r"(?P<kind>DIFF|TRUNC|SNAP) to server (?P<learner>\d+) learner=(?P=learner) observer=(?:true|false) "
           r"peer=127\.0\.0\.1:\d+ \(\w+ port\) %sentries=(?P<entries>\d+) bytes=(?P<bytes>\d+) ms=\d+$" % RANGE),
]
LINES = [(kind, re.compile(r"^\S+ +(?:INFO|WARN) " + text)) for kind, text in LINES]

# A line like these that is not one of them is a line too many, or says too little.
ALIKE = re.compile(r"^\S+ +\w+ (?:LOOKING|LEADING|FOLLOWING|OBSERVING|elected|leading|following|observing|looking|"
                   r"(?:DIFF|TRUNC|SNAP) (?:from|to) )", re.I)

AFTER = {
    RUN: {LOOKING}, LOOKING: {ELECTED}, ELECTED: {CONNECTING, WAITING},
    CONNECTING: {SYNCED, BROKEN, LOOKING}, SYNCED: {FOLLOWING, LOOKING}, BROKEN: {LOOKING},
    FOLLOWING: {LOOKING}, WAITING: {LEADING, LOOKING}, LEADING: {LOOKING},
}
"""What may come after what: so there is one line for each change, and none is missing."""


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


def told(member, since=0):
    """(kind, match) of each line that is about roles, elections and syncs."""
    for text in member.log(since).splitlines():
        found = [(kind, match) for kind, line in LINES if (match := line.match(text))]
        require(found or not ALIKE.match(text), "what %r says there: %s" % (member, text))
        yield from found


def syncs(member, kind, since):
    return [match for line, match in told(member, since) if line == kind]


def both_tell(leader, learner, sizes, kind):
    """Both sides tell the same of the last sync."""
    eventually(lambda: syncs(learner, SYNCED, sizes[learner]) and syncs(leader, SENT, sizes[leader]),
               lambda: "%s of %r by %r is told by both" % (kind, learner, leader))
    got = syncs(learner, SYNCED, sizes[learner])[-1]
    sent = [one for one in syncs(leader, SENT, sizes[leader]) if one["learner"] == str(learner.sid)][-1]
    same((got["kind"], got["leader"]), (kind, str(leader.sid)), "what %r tells" % learner)
    for what in ("kind", "back", "to", "bytes"):
        same(got[what], sent[what], "%s of a %s to %r, on both sides" % (what, kind, learner))
    if kind != "SNAP":
        same(got["from"], sent["from"], "where a %s to %r begins, on both sides" % (kind, learner))
    return sent


def sizes_of(ensemble):
    return {member: member.log_size() if os.path.exists(member.log_file) else 0 for member in ensemble.members}


@check
def operators_are_told_of_syncs(ensemble):
    leader = ensemble.leader()
    away = ensemble.followers()[0]
    # DIFF
    away.kill()
    ensemble.whole()
    client = leader.client()
    path = "/told-%x" % client.id
    client.create(path)
    for at in range(10):
        client.set(path, b"%d" % at * 100)
    client.close()
    sizes = sizes_of(ensemble)
    ensemble.start(away)
    ensemble.whole()
    sent = both_tell(leader, away, sizes, "DIFF")
    require(int(sent["entries"]) >= 11 and int(sent["bytes"]) > 1000, "a DIFF of %r" % (sent.groupdict(),))
    same(int(sent["to"], 16), leader.zxid(), "the end of a DIFF")
    # SNAP: without the begin of the log.
    ensemble.again()
    leader = ensemble.again(purged=True)
    away = ensemble.followers()[0]
    away.kill()
    away.wipe()
    ensemble.whole()
    sizes = sizes_of(ensemble)
    ensemble.start(away)
    ensemble.whole()
    kinds = sync_kinds(leader, away, sizes[leader])
    sent = both_tell(leader, away, sizes, kinds[-1])
    require(kinds[-1] != "SNAP" or int(sent["bytes"]) > 300, "a SNAP of %r" % (sent.groupdict(),))


@check
def operators_are_told_of_roles(ensemble):
    """All that the members have said so far. Whatever happened to them, their words must fit together."""
    ensemble.whole()
    seen = set()
    for member in ensemble.members:
        before, looked = None, 0
        for kind, match in told(member):
            if kind == SENT:
                seen.add((SENT, match["kind"]))
                continue
            require(kind == RUN or kind in AFTER[before], lambda: "on %r behind %r: %s" % (member, before, match.string))
            before, looked = kind, (0 if kind == RUN else looked + (kind == LOOKING))
            seen.add((kind, match["kind"]) if kind == SYNCED else kind)
        # The server counts for itself.
        same(member.monitor()["zk_looking_count"], str(looked), "elections that %r tells of" % member)
        require(before == (LEADING if member.mode() == "leader" else FOLLOWING), "%r is a %s" % (member, member.mode()))
    expected = {LOOKING, ELECTED, CONNECTING, FOLLOWING, WAITING, LEADING}
    require(expected <= seen, "none of %s" % (expected - {one for one in seen if isinstance(one, int)}))
    return ", ".join(sorted({one[1] for one in seen if isinstance(one, tuple)}))
