"""Runs the faults on an ensemble of three and on one of five, and judges what clients saw; names run only those."""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

import faults
import history
import net
from clients import Crowd
from servers import KIND, Ensemble, Failure, require


class Suite:
    def __init__(self, base, words):
        self.base, self.words = base, words
        self.passed = self.failed = 0

    def check(self, name, function):
        """Its value; None if it failed."""
        start = time.monotonic()
        try:
            note = function()
        except Exception as error:
            self.failed += 1
            detail = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print("FAIL %s: %s" % (name, " | ".join(detail.strip().splitlines())), flush=True)
            return None
        self.passed += 1
        print("ok %s%s" % (name, " (%s)" % note if note else ""), flush=True)
        print("# %s took %.1f s" % (name, time.monotonic() - start), file=sys.stderr, flush=True)
        return note or "ok"

    def run(self, count, names):
        """One ensemble, one fault after the other under load that never ends."""
        label = "%d %s" % (count, KIND)
        dice = random.Random("%d %d" % (self.words.seed, count))
        names = [name for name in names if not self.words.names or name in self.words.names]
        table = [name for name in names if name in faults.FAULTS]
        names += [dice.choice(table) for _ in range(self.words.rounds if table else 0)]
        if not names:
            return
        before = self.failed
        ensemble = Ensemble(count, os.path.join(self.base, str(count)))
        crowd = None
        try:
            ensemble.start()
            crowd = Crowd(ensemble, dice.random())
            crowd.start()
            scene = faults.Scene(ensemble, crowd, dice)
            for name in names:
                crowd.next_round()
                if not self.check("%s %s" % (label, name), lambda: self.fault(scene, faults.FAULTS[name])):
                    # What comes behind would say nothing new.
                    break
            self.judge(label, ensemble, crowd)
        except Exception as error:
            self.failed += 1
            print("FAIL %s: %s" % (label, " | ".join(traceback.format_exc().strip().splitlines())
                                   if not isinstance(error, Failure) else error), flush=True)
        finally:
            if crowd:
                with contextlib.suppress(Exception):
                    crowd.end()
            ensemble.end()
            if self.failed > before:
                self.keep(ensemble)

    @staticmethod
    def fault(scene, function):
        scene.go_on(*scene.members, count=5)
        try:
            function(scene)
        finally:
            scene.network.heal()
        start = time.monotonic()
        scene.leader()
        scene.go_on(*scene.members, count=5)
        return "whole and writing at all members %.1f s after its end" % (time.monotonic() - start)

    def judge(self, label, ensemble, crowd):
        def ended():
            crowd.end()
            lost = sum(client.sessions_lost for client in crowd.clients)
            require(lost == 0, "%d sessions were lost" % lost)
            return "%d clients lost %d connections and no session; what a session saw never went back" % (
                len(crowd.clients), sum(client.losses for client in crowd.clients))
        self.check(label + " sessions-survive", ended)
        ops = crowd.history()
        file = os.path.join(ensemble.folder, "history.tsv")
        history.write(ops, file, reads=True)
        trees = []

        def everywhere():
            ensemble.whole()
            trees.extend(history.tree(member) for member in ensemble.members)
            history.same_everywhere(trees)
            return "%d nodes" % len(trees[0])

        def lost():
            require(trees, "no tree")
            for tree in trees:
                history.nothing_lost(tree, crowd.clients, ops)
            return "%d acknowledged creations, %d acknowledged writes of registers" % (
                crowd.acknowledged(), sum(op.outcome == "ok" and op.kind != "get" for op in ops))
        self.check(label + " the-same-tree-everywhere", everywhere)
        self.check(label + " nothing-acknowledged-is-lost", lost)
        self.check(label + " one-value-per-version", lambda: history.no_version_twice(ops))
        self.check(label + " sessions-keep-order", lambda: history.sessions_keep_order(ops))
        self.check(label + " members-never-go-back", lambda: history.members_never_go_back(ops))
        self.check(label + " linearizable-by-porcupine", lambda: history.linearizable(file))

    def keep(self, ensemble):
        for member in ensemble.members:
            print("# the end of the log of %r:" % member, file=sys.stderr)
            for line in (member.log() if os.path.exists(member.log_file) else "").splitlines()[-25:]:
                print("#   %s" % line[:300], file=sys.stderr)
        if os.environ.get("KEEP"):
            kept = tempfile.mkdtemp(prefix="zooid-partitions-failed-")
            shutil.copytree(ensemble.folder, kept, dirs_exist_ok=True)
            print("# kept: %s" % kept, file=sys.stderr)
        sys.stderr.flush()


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    words.add_argument("--rounds", type=int, default=0)
    words.add_argument("--kinds", default="3,5")
    words.add_argument("names", nargs="*")
    words = words.parse_args()
    # A run that is interrupted still removes its folders; all else goes with its namespaces.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("# --seed %d --rounds %d" % (words.seed, words.rounds), file=sys.stderr, flush=True)
    net.prepare()
    with tempfile.TemporaryDirectory(prefix="zooid-partitions-") as base:
        suite = Suite(base, words)
        for count in words.kinds.split(","):
            suite.run(int(count), faults.OF_FIVE if int(count) > 3 else faults.OF_THREE)
    print("%d passed, %d failed" % (suite.passed, suite.failed), flush=True)
    return 0 if suite.passed and not suite.failed else 1


if __name__ == "__main__":
    sys.exit(main())
