"""Rounds of the whole move on one ensemble, whose clients stay through all of them."""

import argparse
import os
import random
import sys

from move import Move
from members import Ensemble
from runner import default_seed, main as run

JAVA = os.environ["SERVER"] == "java"


def told(steps):
    for step in steps:
        print("# %s" % step, flush=True)
    return steps


def longest(steps):
    return max((step.gap for step in steps), default=0.0)


class Gaps:
    """Longest times without an acknowledged write in planned steps."""

    def __init__(self):
        self.restart, self.moves = [], []

    def rolling_restart(self, move):
        self.restart = told(move.through("j"))
        return "the longest gap of a step %.2f s" % longest(self.restart)

    def round(self, move, kinds):
        steps = []
        for kind in kinds:
            steps += told(move.through(kind, kill=True))
        self.moves += steps
        found = move.report()
        return "the longest gap of a planned step %.2f s; %s" % (longest(steps), "; ".join(
            "%s %d writes, %d events, %d locks%s, longest gap %.2f s" % (
                name, each["writes"], each["events"], each["locks"],
                " (%d left behind by the library)" % each["swept"] if each.get("swept") else "", each["gap_ms"] / 1000)
            for name, each in found.items()))

    def said(self):
        return "longest gap of acknowledged writes in a planned step: %.2f s; in Java's own rolling restart: %.2f s" % (
            longest(self.moves), longest(self.restart))


def main(runner):
    words = argparse.ArgumentParser()
    words.add_argument("--seed", type=int, default=default_seed())
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--from", dest="first", default="jjj", help="the letters of the first members")
    words = words.parse_args()
    print("# --seed %d --rounds %d --from %s" % (words.seed, words.rounds, words.first), flush=True)
    gaps, dice = Gaps(), random.Random(words.seed)
    kinds = "jj" if JAVA else "zj"
    ensemble = Ensemble(words.first, os.path.join(runner.base, "ensemble"))
    move = Move(ensemble, dice)
    try:
        good = runner.one("it-starts", lambda: ensemble.begin() and move.begin())
        good = good and runner.one("rolling-restart-of-java", gaps.rolling_restart, move)
        for at in range(words.rounds):
            good = good and runner.one("round-%d" % (at + 1), gaps.round, move, kinds)
        good = good and runner.one("everything-is-there", move.end)
        if good:
            print("# " + gaps.said(), flush=True)
        else:
            runner.keep(ensemble, 40, ("java.log", "go.log"))
    finally:
        move.close()
        ensemble.end()


if __name__ == "__main__":
    sys.exit(run("move", main))
