"""Runs every check on every ensemble; names of checks as arguments run only those."""

import argparse
import os
import random
import sys

import checks
import figures
import impossible
import settings
import strangers
import told
from members import Ensemble
from runner import default_seed, main as run, note

JAVA = os.environ["SERVER"] == "java"

# What is killed and brought up again needs a start of a server each, and Java takes its time for that: everything is
# for Zooid alone, mixed ensembles have what two kinds can misunderstand. A session that expires takes its seconds.
BASIC = ("election", "writes-through-each-member", "sync-reads-what-another-member-acknowledged",
         "ephemerals-and-sequential-nodes", "watches-across-members", "multi", "sessions-move-between-members",
         "the-same-tree-everywhere", "figures-of-members")
ALL = tuple(name for name, _ in checks.CHECKS if name != "observers") + ("random-kills",)
# In this order none needs more starts than its own: each finds the last voter leading.
SYNCS = ("trunc", "diff", "snap", "a-tail-and-other-writes")
# Of Zooid alone: what Java does with such, and how it says so, is its own. The last one reads what all have said.
ALONE = strangers.CHECKS + impossible.CHECKS + told.CHECKS
ALONE_NAMES = tuple(name for name, _ in ALONE)
OBSERVED = BASIC + ("observers", "a-lost-quorum")

PLAN = [
    ("jjj", ALL),
    ("jjjjj", BASIC + ("diff", "killed-leader")),
    ("jjj+j", OBSERVED),
] if JAVA else [
    ("zzz", ALL + ALONE_NAMES),
    ("zzzzz", BASIC + SYNCS + ("killed-leader", "killed-in-both-orders", "random-kills")),
    ("jjz", BASIC + ("diff", "sessions-expire", "killed-leader", "a-lost-quorum")),
    ("zzj", BASIC + ("trunc", "diff", "sessions-expire", "long-behind", "killed-leader")),
    ("jzz", BASIC + ("killed-leader", "random-kills")),
    ("zjj", BASIC + ("diff", "a-lost-quorum", "killed-leader")),
    ("jzzjz", BASIC + ("diff", "killed-leader")),
    ("8jz", BASIC + SYNCS + ("killed-leader",)),
    ("z8j", BASIC + SYNCS + ("killed-leader",)),
    ("jz8", BASIC + SYNCS + ("killed-leader",)),
    ("zzz+z", OBSERVED),
    # Leader, followers and observer of either kind: the second one compares them.
    ("zzz+j", ("observers", "figures-have-the-names-of-java")),
    ("jjj+z", ("observers", "figures-have-the-names-of-java")),
]


def random_kills(words):
    def check(ensemble):
        seed = "%d %s" % (words.seed, ensemble.kinds)
        note("random kills of %s: --seed %d --rounds %d" % (ensemble.kinds, words.seed, words.rounds))
        writes, gap = checks.random_kills(ensemble, random.Random(seed), words.rounds)
        return "%d writes acknowledged, the longest gap %.1f s" % (writes, gap)
    return check


def main(runner):
    words = argparse.ArgumentParser()
    words.add_argument("--seed", type=int, default=default_seed())
    words.add_argument("--rounds", type=int, default=checks.ROUNDS)
    words.add_argument("--kinds", help="these ensembles, with all checks")
    words.add_argument("names", nargs="*")
    words = words.parse_args()
    plan = PLAN
    if words.kinds:
        own = {kinds: ALONE_NAMES if set(kinds) <= set("z+") else () for kinds in words.kinds.split(",")}
        plan = [(kinds, ALL + (("observers", "figures-have-the-names-of-java") if "+" in kinds else ()) + own[kinds])
                for kinds in own]
    table = dict(checks.CHECKS + ALONE + figures.CHECKS)
    table["random-kills"] = random_kills(words)
    for kinds, names in plan:
        wanted = [(name, table[name]) for name in names if not words.names or name in words.names]
        runner.each(kinds, lambda folder: Ensemble(kinds, folder), wanted)
    if not words.kinds:
        settings.run(runner, JAVA, words.names)


if __name__ == "__main__":
    sys.exit(run("ensemble", main))
