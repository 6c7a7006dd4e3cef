"""Runs every check; ensembles by their letters as arguments run only those."""

import os
import shutil
import sys

import checks
import tools
from runner import main as run
from servers import Ensemble

JAVA = os.environ["SERVER"] == "java"


def story(joiner, *more):
    """Checks of one ensemble, each on what the one before left."""
    return [
        ("the-first-list", checks.first_list),
        ("a-member-joins", lambda ensemble: checks.a_member_joins(ensemble, joiner) and None),
        ("the-new-vote-counts", checks.the_new_vote_counts),
        ("an-observer-and-back", checks.an_observer_and_back),
        ("a-member-leaves", checks.a_member_leaves),
        ("wrong-requests", checks.wrong_requests),
        *more,
        ("the-leader-leaves", checks.the_leader_leaves),
        ("the-whole-list-at-once", checks.whole_list_at_once),
        ("a-proposal-outlives-all", checks.a_proposal_outlives_all),
        ("new-ports-for-members", checks.new_ports_for_members),
    ]


TOOLS = [("shells", tools.shells), ("kazoo", tools.kazoo)]
SWAP = [
    ("the-other-kind-finds-a-proposal", lambda ensemble: checks.a_proposal_outlives_all(ensemble, True)),
    ("other-kinds-take-over", checks.other_kinds_take_over),
]

ALONE = {"settings": ("standaloneEnabled=false",)}
STATIC = {"static_client": True}


def grows(kinds):
    return [("one-grows-and-shrinks", lambda ensemble: checks.one_grows_and_shrinks(ensemble, kinds))]


KEEPS = [("ports-in-the-static-file", checks.ports_in_the_static_file)]

# Ensembles by their letters: how they are set up, and their checks.
PLAN = [
    ("jjj", {}, story("j", *TOOLS)),
    ("j", ALONE, grows("jj")),
    ("jjj", STATIC, KEEPS),
] if JAVA else [
    ("zzz", {}, story("z", *TOOLS) + SWAP),
    ("zjz", {}, story("j")),
    ("zzj", {}, story("z") + SWAP),
    ("jjz", {}, story("z")),
    ("z", ALONE, grows("zj")),
    ("zzj", STATIC, KEEPS),
]


def ensemble(runner, kinds, options, steps):
    """One ensemble for all checks; behind one that failed nothing is known any more."""
    ensemble = Ensemble(kinds, runner.folder(kinds), **options)
    try:
        for name, function in steps:
            if not runner.one("%s %s" % (kinds, name), function, ensemble):
                runner.keep(ensemble)
                return
    finally:
        ensemble.end()
        shutil.rmtree(ensemble.folder, ignore_errors=True)


def main(runner):
    wanted = sys.argv[1:]
    for kinds, options, steps in PLAN:
        if not wanted or kinds in wanted:
            ensemble(runner, kinds, options, steps)


if __name__ == "__main__":
    sys.exit(run("reconfig", main))
