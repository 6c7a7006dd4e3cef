"""Are the judges awake? Each is handed a history in which one thing is wrong, and must say so."""

import os

import history
from clients import Op
from servers import Failure, require

KEY = "/keys/0-0"
MS = 1_000_000


def op(at_ms, kind, client, value, version, outcome="ok", expected=-9, member=1, synced=True, took_ms=5):
    return Op(KEY, kind, client, member, at_ms * MS, (at_ms + took_ms) * MS, outcome, value, expected, version, 0, synced)


# Two clients at two members. The write of 13 got no answer and happened, that of 14 got none and did not.
GOOD = [
    op(0, "create", 1, 10, 0),
    op(1, "create", 2, 11, -3, "fail", member=2, took_ms=9),
    op(20, "set", 1, 12, 1),
    op(30, "cas", 2, 15, -2, "fail", expected=0, member=2),
    op(40, "set", 2, 13, -1, "unknown", member=2),
    op(41, "cas", 2, 14, -1, "unknown", expected=7, member=2),
    op(50, "get", 1, 13, 2),
    op(60, "cas", 1, 16, 3, expected=2),
    op(70, "get", 2, 13, 2, member=2, synced=False),
    op(80, "get", 2, 16, 3, member=2),
]


def changed(at, **values):
    return [one._replace(**values) if here == at else one for here, one in enumerate(GOOD)]


def without(*gone):
    return [one for here, one in enumerate(GOOD) if here not in gone]


class Maker:
    """A client, as far as `nothing_lost` looks at it."""
    number = 1
    made = [("/own/1/n0", "ok"), ("/own/1/n1", "unknown"), ("/own/1/n2", "ok")]


def tree(**changes):
    found = {"/own/1/n0": (b"", {"czxid": 5}), "/own/1/n2": (b"", {"czxid": 9}), KEY: (b"16", {"version": 3})}
    found.update({path.replace("_", "/"): node for path, node in changes.items()})
    return {path: node for path, node in found.items() if node}


def wrong(folder):
    """(what is wrong, the judge that must see it)."""
    file = os.path.join(folder, "judged.tsv")

    def porcupine(ops):
        history.write(ops, file, reads=True)
        history.linearizable(file)

    def lost(found, ops=GOOD):
        history.nothing_lost(found, [Maker], ops)

    # The good one first: who refuses everything sees nothing.
    porcupine(GOOD)
    for judge in (history.no_version_twice, history.members_never_go_back, history.sessions_keep_order):
        judge(GOOD)
    lost(tree())
    history.same_everywhere([tree(), tree()])
    return [
        ("a read behind `sync` that is too old", lambda: porcupine(changed(9, value=13, version=2))),
        ("a write that was acknowledged and lost", lambda: porcupine(changed(7, version=2))),
        ("a write that happened twice", lambda: porcupine(changed(7, version=4))),
        ("a write that was refused and happened", lambda: porcupine(changed(6, value=15))),
        ("a refusal without a reason", lambda: porcupine(changed(3, expected=1))),
        ("a creation beside another", lambda: porcupine(changed(1, outcome="ok", version=0))),
        ("a read of what was not yet asked for", lambda: porcupine(changed(6, value=16, version=3))),
        ("a value that nobody wrote", lambda: porcupine(without(4))),
        ("two values of one version", lambda: history.no_version_twice(changed(6, value=12, version=3))),
        ("a member that goes back", lambda: history.members_never_go_back(
            GOOD + [op(90, "get", 3, 13, 2, member=2, synced=False)])),
        ("a session that goes back", lambda: history.sessions_keep_order(
            GOOD + [op(90, "get", 1, 13, 2, member=2, synced=False)])),
        ("a node that a session no longer sees", lambda: history.sessions_keep_order(
            GOOD + [op(90, "get", 1, 0, -1, "fail", member=2, synced=False)])),
        ("a lost creation", lambda: lost(tree(_own_1_n2=None))),
        ("a creation before one that was asked for earlier", lambda: lost(tree(_own_1_n2=(b"", {"czxid": 4})))),
        ("a node that nobody made", lambda: lost(tree(_own_1_n7=(b"", {"czxid": 10})))),
        ("a register that went back", lambda: lost({**tree(), KEY: (b"13", {"version": 2})})),
        ("a register with another last write", lambda: lost({**tree(), KEY: (b"13", {"version": 3})})),
        ("members that differ", lambda: history.same_everywhere([tree(), tree(_own_1_n2=None)])),
    ]


def awake(folder):
    cases = wrong(folder)
    for what, judge in cases:
        try:
            judge()
        except Failure:
            continue
        require(False, "no judge sees %s" % what)
    return "%d wrong histories" % len(cases)
