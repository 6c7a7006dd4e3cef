"""Runs the faults on an ensemble of three, on one of five and on one with slow links, and judges what clients saw; names
run only those."""

import argparse
import contextlib
import os
import random
import sys
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
from runner import default_seed, main as run, note  # noqa: E402

# Its members, and what happens to it.
ENSEMBLES = {
    "3": (3, faults.OF_THREE),
    "5": (5, faults.OF_FIVE),
    "slow": (3, faults.ON_SLOW_LINKS),
}
AT_A_TIME = 30


class Suite:
    def __init__(self, runner, words):
        self.runner, self.words = runner, words
        self.made = 0

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
        before = self.runner.failed
        self.made += 1
        ensemble = Ensemble(count, os.path.join(self.runner.base, "%s-%d" % (kind, self.made)), slow=kind == "slow")
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
                if not self.runner.one("%s %s" % (label, name), lambda: self.fault(scene, faults.FAULTS[name])):
                    # What comes behind would say nothing new.
                    break
            self.judge(label, ensemble, crowd)
        except Exception as error:
            self.runner.wrong(label, str(error) if isinstance(error, Failure) else traceback.format_exc())
        finally:
            if crowd:
                with contextlib.suppress(Exception):
                    crowd.end()
            if self.runner.failed > before or os.environ.get("KEEP") == "all":
                self.runner.keep(ensemble)
            else:
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
        self.runner.one(label + " sessions-survive", ended)
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
        self.runner.one(label + " the-same-tree-everywhere", everywhere)
        self.runner.one(label + " nothing-acknowledged-is-lost", lost)
        self.runner.one(label + " one-value-per-version", lambda: history.no_version_twice(ops))
        self.runner.one(label + " sessions-keep-order", lambda: history.sessions_keep_order(ops))
        self.runner.one(label + " members-never-go-back", lambda: history.members_never_go_back(ops))
        self.runner.one(label + " writes-are-linearizable-by-porcupine", lambda: history.linearizable(file))
        # ZooKeeper promises less of `sync`: a leader that stood still, or was cut off, answers it before it
        # knows that there is another one. So this is told, and not held against anybody.
        history.write(ops, file, reads=True)
        try:
            print("# %s with what was read behind sync: %s" % (label, history.linearizable(file)), flush=True)
        except Failure as error:
            print("# %s with what was read behind sync: %s" % (label, str(error)[:200]), flush=True)


def main(runner):
    words = argparse.ArgumentParser()
    words.add_argument("--seed", type=int, default=default_seed())
    words.add_argument("--rounds", type=int, default=0)
    words.add_argument("--kinds", default=",".join(ENSEMBLES))
    words.add_argument("names", nargs="*")
    words = words.parse_args()
    note("--seed %d --rounds %d" % (words.seed, words.rounds))
    net.prepare()
    if not words.names:
        runner.one("judges-are-awake", judges.awake, runner.base)
    suite = Suite(runner, words)
    for kind in words.kinds.split(","):
        suite.run(kind)


if __name__ == "__main__":
    sys.exit(run("partitions", main))
