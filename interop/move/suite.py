"""Rounds of the whole move on one ensemble, whose clients stay through all of them."""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from move import Move
from members import Ensemble, Failure

JAVA = os.environ["SERVER"] == "java"
NAMES = {"z": "Zooid", "j": "Java", "8": "Java 3.8"}


class Suite:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, function, *arguments):
        start = time.monotonic()
        try:
            note = function(*arguments)
        except Exception as error:
            self.failed += 1
            detail = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print("FAIL %s: %s" % (name, " | ".join(detail.strip().splitlines())), flush=True)
            return False
        self.passed += 1
        print("ok %s%s" % (name, " (%s)" % note if note else ""), flush=True)
        print("# %s took %.1f s" % (name, time.monotonic() - start), file=sys.stderr, flush=True)
        return True


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
            "%s %d writes, %d events, %d locks, longest gap %.2f s" % (
                name, each["writes"], each["events"], each["locks"], each["gap_ms"] / 1000)
            for name, each in found.items()))

    def said(self):
        return "longest gap of acknowledged writes in a planned step: %.2f s; in Java's own rolling restart: %.2f s" % (
            longest(self.moves), longest(self.restart))


def keep(ensemble):
    """Shows what its members said, and keeps it when asked to."""
    ensemble.end()
    for member in ensemble.members:
        print("# the end of the log of %r:" % member, file=sys.stderr)
        for line in (member.log() if os.path.exists(member.log_file) else "").splitlines()[-40:]:
            print("#   %s" % line[:300], file=sys.stderr)
    for name in ("java.log", "go.log"):
        path = os.path.join(ensemble.folder, name)
        if os.path.exists(path):
            with open(path, errors="replace") as file:
                for line in file.read().splitlines()[-10:]:
                    print("# %s: %s" % (name, line[:300]), file=sys.stderr)
    if os.environ.get("KEEP"):
        kept = tempfile.mkdtemp(prefix="zooid-move-failed-")
        shutil.copytree(ensemble.folder, kept, dirs_exist_ok=True)
        print("# kept: %s" % kept, file=sys.stderr)
    sys.stderr.flush()


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--from", dest="first", default="jjj", help="the letters of the first members")
    words = words.parse_args()
    print("# --seed %d --rounds %d --from %s" % (words.seed, words.rounds, words.first), flush=True)
    # A run that is interrupted still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    suite, gaps, dice = Suite(), Gaps(), random.Random(words.seed)
    kinds = "jj" if JAVA else "zj"
    with tempfile.TemporaryDirectory(prefix="zooid-move-", ignore_cleanup_errors=True) as base:
        ensemble = Ensemble(words.first, os.path.join(base, "ensemble"))
        move = Move(ensemble, dice)
        try:
            good = suite.check("it-starts", lambda: ensemble.begin() and move.begin())
            good = good and suite.check("rolling-restart-of-java", gaps.rolling_restart, move)
            for at in range(words.rounds):
                good = good and suite.check("round-%d" % (at + 1), gaps.round, move, kinds)
            good = good and suite.check("everything-is-there", move.end)
            if good:
                print("# " + gaps.said(), flush=True)
            else:
                keep(ensemble)
        finally:
            move.close()
            ensemble.end()
    print("%d passed, %d failed" % (suite.passed, suite.failed), flush=True)
    return 0 if suite.passed and not suite.failed else 1


if __name__ == "__main__":
    sys.exit(main())
