"""Runs every check on every ensemble; names of checks as arguments run only those."""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

import checks
from members import Ensemble, Failure

JAVA = os.environ["SERVER"] == "java"

# What is killed and brought up again needs a start of a server each, and Java takes its time for that: everything is
# for Zooid alone, mixed ensembles have what two kinds can misunderstand. A session that expires takes its seconds.
BASIC = ("election", "writes-through-each-member", "sync-reads-what-another-member-acknowledged",
         "ephemerals-and-sequential-nodes", "watches-across-members", "multi", "sessions-move-between-members",
         "the-same-tree-everywhere", "figures-of-members")
ALL = tuple(name for name, _ in checks.CHECKS if name != "observers") + ("random-kills",)
SYNCS = ("diff", "snap", "trunc", "a-tail-and-other-writes")
OBSERVED = BASIC + ("observers", "a-lost-quorum")

PLAN = [
    ("jjj", ALL),
    ("jjjjj", BASIC + ("diff", "killed-leader")),
    ("jjj+j", OBSERVED),
] if JAVA else [
    ("zzz", ALL),
    ("zzzzz", BASIC + SYNCS + ("killed-leader", "killed-in-both-orders", "random-kills")),
    ("jjz", BASIC + SYNCS + ("sessions-expire", "killed-leader", "a-lost-quorum")),
    ("zzj", BASIC + SYNCS + ("sessions-expire", "long-behind", "killed-leader")),
    ("jzz", BASIC + ("trunc", "a-tail-and-other-writes", "killed-leader", "random-kills")),
    ("zjj", BASIC + ("diff", "trunc", "a-lost-quorum", "killed-leader")),
    ("jzzjz", BASIC + ("diff", "killed-leader")),
    ("8jz", BASIC + SYNCS + ("killed-leader",)),
    ("z8j", BASIC + SYNCS + ("killed-leader",)),
    ("jz8", BASIC + SYNCS + ("killed-leader",)),
    ("zzz+z", OBSERVED),
    ("zzz+j", ("observers",)),
    ("jjj+z", ("observers",)),
]


class Runner:
    def __init__(self, base, words):
        self.base, self.words = base, words
        self.passed = self.failed = 0

    def wanted(self, name):
        return not self.words.names or name in self.words.names

    def one(self, name, function, *arguments):
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

    def ensemble(self, kinds, names):
        """One ensemble for all checks, a new one behind a check that failed."""
        ensemble = None
        try:
            for name, function in self.functions(names):
                if ensemble is None:
                    ensemble = self.begin(kinds)
                    if ensemble is None:
                        return
                if not self.one("%s %s" % (kinds, name), function, ensemble):
                    self.keep(ensemble)
                    ensemble = None
        finally:
            if ensemble:
                ensemble.end()
                shutil.rmtree(ensemble.folder)

    def functions(self, names):
        table = dict(checks.CHECKS)
        table["random-kills"] = self.random_kills
        return [(name, table[name]) for name in names if self.wanted(name)]

    def random_kills(self, ensemble):
        seed = "%d %s" % (self.words.seed, ensemble.kinds)
        print("# random kills of %s: --seed %d --rounds %d" % (ensemble.kinds, self.words.seed, self.words.rounds),
              file=sys.stderr, flush=True)
        writes, gap = checks.random_kills(ensemble, random.Random(seed), self.words.rounds)
        return "%d writes acknowledged, the longest gap %.1f s" % (writes, gap)

    def begin(self, kinds):
        folder = tempfile.mkdtemp(dir=self.base, prefix=kinds + "-")
        ensemble = Ensemble(kinds, folder)
        try:
            ensemble.begin()
            return ensemble
        except Exception as error:
            self.failed += 1
            print("FAIL %s starts: %s" % (kinds, error), flush=True)
            self.keep(ensemble)
            return None

    def keep(self, ensemble):
        """Ends it; shows what its members said, and keeps it when asked to."""
        ensemble.end()
        for member in ensemble.members:
            print("# the end of the log of %r:" % member, file=sys.stderr)
            for line in (member.log() if os.path.exists(member.log_file) else "").splitlines()[-25:]:
                print("#   %s" % line[:300], file=sys.stderr)
        if os.environ.get("KEEP"):
            kept = tempfile.mkdtemp(prefix="zooid-ensemble-failed-")
            shutil.copytree(ensemble.folder, kept, dirs_exist_ok=True)
            print("# kept: %s" % kept, file=sys.stderr)
        sys.stderr.flush()
        shutil.rmtree(ensemble.folder, ignore_errors=True)


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    words.add_argument("--rounds", type=int, default=checks.ROUNDS)
    words.add_argument("--kinds", help="these ensembles, with all checks")
    words.add_argument("names", nargs="*")
    words = words.parse_args()
    plan = PLAN
    if words.kinds:
        plan = [(kinds, ALL + (("observers",) if "+" in kinds else ())) for kinds in words.kinds.split(",")]
    # A run that is interrupted still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="zooid-ensemble-") as base:
        runner = Runner(base, words)
        for kinds, names in plan:
            runner.ensemble(kinds, names)
    print("%d passed, %d failed" % (runner.passed, runner.failed), flush=True)
    return 0 if runner.passed and not runner.failed else 1


if __name__ == "__main__":
    sys.exit(main())
