"""Planned steps: members are stopped one by one and come back as the same kind or the other one, under load."""

import os
import random
import statistics
import sys

from members import Ensemble

# In this order, so that each begins with what the one before has left.
MOVES = ("jj", "jz", "zz", "zj")


def step(ensemble, client, member, kind):
    """Milliseconds of the longest gap of acknowledged writes, and whether the leader was stopped."""
    leads = ensemble.whole() is member
    client.go_on(30)
    since = len(client.acknowledged) - 1
    member.stop()
    member.kind = kind
    ensemble.start(member)
    ensemble.whole()
    client.go_on(100)
    times = client.acknowledged[since:]
    return max(later - earlier for earlier, later in zip(times, times[1:])) * 1000, leads


def measure(base, client_of, rounds, seed):
    """Each move -> (gap, whether it was the leader's) of all its steps."""
    dice = random.Random(seed)
    ensemble = Ensemble("jjj", os.path.join(base, "moves"))
    found = {move: [] for move in MOVES}
    client = None
    try:
        ensemble.begin()
        client = client_of(ensemble.members[0], ensemble.members[1:])
        for _ in range(rounds):
            for move in MOVES:
                for member in dice.sample(ensemble.members, 3):
                    found[move].append(step(ensemble, client, member, move[1]))
                print("# planned steps %s: %s" % (move, ", ".join(
                    "%.0f%s" % (gap, " (leader)" if leads else "") for gap, leads in found[move][-3:])),
                    file=sys.stderr, flush=True)
        client.end()
    finally:
        if client:
            client.ending = True
        ensemble.end()
    return found


def table(found, names):
    lines = ["| step | leader: median | worst | follower: median | worst |", "|---|---|---|---|---|"]
    for move, steps in found.items():
        cells = []
        for which in (True, False):
            gaps = [gap for gap, leads in steps if leads == which] or [float("nan")]
            cells.append("%.0f | %.0f" % (statistics.median(gaps), max(gaps)))
        lines.append("| %s becomes %s | %s |" % (names[move[0]], names[move[1]], " | ".join(cells)))
    return lines
