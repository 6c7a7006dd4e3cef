"""Runs every check; names of checks as arguments run only those."""

import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

import checks
import tools
from servers import Ensemble, Failure

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


class Runner:
    def __init__(self, base, names):
        self.base, self.names = base, names
        self.passed = self.failed = 0

    def one(self, name, function, *arguments):
        start = time.monotonic()
        try:
            function(*arguments)
        except Exception as error:
            self.failed += 1
            detail = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print("FAIL %s: %s" % (name, " | ".join(detail.strip().splitlines())), flush=True)
            return False
        self.passed += 1
        print("ok %s" % name, flush=True)
        print("# %s took %.1f s" % (name, time.monotonic() - start), file=sys.stderr, flush=True)
        return True

    def ensemble(self, kinds, options, steps):
        """One ensemble for all checks; behind one that failed nothing is known any more."""
        if self.names and not any(kinds == name.partition(" ")[0] for name in self.names):
            return
        ensemble = Ensemble(kinds, tempfile.mkdtemp(dir=self.base, prefix=kinds + "-"), **options)
        try:
            for name, function in steps:
                if not self.one("%s %s" % (kinds, name), function, ensemble):
                    self.keep(ensemble)
                    return
        finally:
            ensemble.end()
            shutil.rmtree(ensemble.folder, ignore_errors=True)

    def keep(self, ensemble):
        """Ends it; shows what its members said, and keeps it when asked to."""
        ensemble.end()
        for member in ensemble.members:
            print("# the end of the log of %r:" % member, file=sys.stderr)
            with open(member.log_file, errors="replace") as file:
                for line in file.read().splitlines()[-25:]:
                    print("#   %s" % line[:300], file=sys.stderr)
        if os.environ.get("KEEP"):
            kept = tempfile.mkdtemp(prefix="zooid-reconfig-failed-")
            shutil.copytree(ensemble.folder, kept, dirs_exist_ok=True)
            print("# kept: %s" % kept, file=sys.stderr)
        sys.stderr.flush()


def main():
    # A run that is interrupted still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="zooid-reconfig-") as base:
        runner = Runner(base, sys.argv[1:])
        for kinds, options, steps in PLAN:
            runner.ensemble(kinds, options, steps)
    print("%d passed, %d failed" % (runner.passed, runner.failed), flush=True)
    return 0 if runner.passed and not runner.failed else 1


if __name__ == "__main__":
    sys.exit(main())
