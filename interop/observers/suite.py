"""Runs every check on every ensemble; ensembles by their letters as arguments run only those."""

import os
import sys

import masters
import pairs
from servers import Observed, Pair
from runner import main as run

JAVA = os.environ["SERVER"] == "java"

# Ensembles by their letters: voters, the last of which leads, and observers; pairs have an oracle.
OBSERVED = ["jjj+j"] if JAVA else ["zzz+z", "zzz+j", "jjj+z", "zjz+jz"]
PAIRS = ["jj"] if JAVA else ["zz", "zj", "jz"]


def main(runner):
    wanted = sys.argv[1:]
    for of, letters, checks in ((Observed, OBSERVED, masters.ALL), (Pair, PAIRS, pairs.ALL)):
        for kinds in letters:
            if not wanted or kinds in wanted:
                runner.each(kinds, lambda folder: of(kinds, folder), checks)


if __name__ == "__main__":
    sys.exit(run("observers", main))
