"""Runs the faults on an ensemble of three, on one of five and on one with slow links, and judges what clients saw; names run only those."""

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

HERE = os.path.dirname(os.path.abspath(__file__))
# The bytes of the client protocol are those of the suite of directories.
sys.path.insert(0, os.path.join(HERE, "..", "disk"))

import faults  # noqa: E402
import history  # noqa: E402
import judges  # noqa: E402
import net  # noqa: E402
from clients import Crowd  # noqa: E402
from servers import KIND, Ensemble, Failure, require  # noqa: E402

# Its members, and what happens to it.
ENSEMBLES = {
    "3": (3, faults.OF_THREE),
    "5": (5, faults.OF_FIVE),
    "slow": (3, faults.ON_SLOW_LINKS),
}
AT_A_TIME = 30


class Suite:
    def __init__(self, base, words):
        self.base, self.words = base, words
        self.passed = self.failed = self.made = 0

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

    def run(self, kind):
        names = [name for name in ENSEMBLES[kind][1] if not self.words.names or name in self.words.names]
        if not names:
            return
        dice = random.Random("%d %s" % (self.words.seed, kind))
        self.ensemble(kind, names, dice)
        # A new ensemble at times, because trees and histories grow.
        for done in range(0, self.words.rounds, AT_A_TIME):
            self.ensemble(kind, [dice.choice(names) for _ in range(min(AT_A_TIME, self.words.rounds - done))], dice)

    def ensemble(self, kind, names, dice):
        """One ensemble, one fault after the other under load that never ends."""
        count, label = ENSEMBLES[kind][0], "%s %s" % (kind, KIND)
        before = self.failed
        self.made += 1
        ensemble = Ensemble(count, os.path.join(self.base, "%s-%d" % (kind, self.made)), slow=kind == "slow")
        crowd = None
        try:
            if ensemble.links:
                ensemble.links.delay(faults.SLOW_MS, faults.SLOW_MS // 2)
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
            for member in ensemble.members:
                member.kill()
            if self.failed > before or os.environ.get("KEEP") == "all":
                self.keep(ensemble)
            ensemble.end()

    @staticmethod
    def fault(scene, function):
        scene.go_on(*scene.members, count=5)
        try:
            function(scene)
        finally:
            hit = scene.network.heal()
        require(hit != 0, "the fault did not hit a single packet")
        start = time.monotonic()
        scene.leader()
        scene.go_on(*scene.members, count=5)
        return "%swhole and writing at all members %.1f s after its end" % (
            "%d packets hit, " % hit if hit else "", time.monotonic() - start)

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
        history.write(ops, file, reads=False)
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
            return "%d acknowledged writes" % crowd.acknowledged()
        self.check(label + " the-same-tree-everywhere", everywhere)
        self.check(label + " nothing-acknowledged-is-lost", lost)
        self.check(label + " one-value-per-version", lambda: history.no_version_twice(ops))
        self.check(label + " sessions-keep-order", lambda: history.sessions_keep_order(ops))
        self.check(label + " members-never-go-back", lambda: history.members_never_go_back(ops))
        self.check(label + " writes-are-linearizable-by-porcupine", lambda: history.linearizable(file))
        # ZooKeeper promises less of `sync`: a leader that stood still, or was cut off, answers it before it
        # knows that there is another one. So this is told, and not held against anybody.
        history.write(ops, file, reads=True)
        try:
            print("# %s with what was read behind sync: %s" % (label, history.linearizable(file)), flush=True)
        except Failure as error:
            print("# %s with what was read behind sync: %s" % (label, str(error)[:200]), flush=True)

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
    words.add_argument("--kinds", default=",".join(ENSEMBLES))
    words.add_argument("names", nargs="*")
    words = words.parse_args()
    # A run that is interrupted still removes its folders; all else goes with its namespaces.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("# --seed %d --rounds %d" % (words.seed, words.rounds), file=sys.stderr, flush=True)
    net.prepare()
    with tempfile.TemporaryDirectory(prefix="zooid-partitions-") as base:
        suite = Suite(base, words)
        if not words.names:
            suite.check("judges-are-awake", lambda: judges.awake(base))
        for kind in words.kinds.split(","):
            suite.run(kind)
    print("%d passed, %d failed" % (suite.passed, suite.failed), flush=True)
    return 0 if suite.passed and not suite.failed else 1


if __name__ == "__main__":
    sys.exit(main())
