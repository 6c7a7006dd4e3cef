"""Runs every check; names of checks as arguments run only those."""

import argparse
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# The client and the servers are those of the suite of directories.
sys.path.insert(0, os.path.join(HERE, "..", "disk"))

import abuse  # noqa: E402  (registers its checks, as the others do)
import crashes  # noqa: E402
import digests  # noqa: E402,F401
import disks  # noqa: E402,F401
import failing  # noqa: E402,F401
import inputs  # noqa: E402,F401
from harness import CHECKS, run_all  # noqa: E402


def main():
    java = os.environ["SERVER"] == "java"
    words = argparse.ArgumentParser()
    words.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 10 if java else 150)))
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    words.add_argument("--limits", action="store_true")
    words.add_argument("names", nargs="*")
    words = words.parse_args()
    crashes.ROUNDS, crashes.SEED = words.rounds, words.seed
    abuse.AS_TABLE = words.limits
    only = set(words.names) or ({"abuse"} if words.limits else set())
    if java:
        CHECKS[:] = [(name, function) for name, function in CHECKS if not getattr(function, "zooid_only", False)]
    return run_all(only)


if __name__ == "__main__":
    sys.exit(main())
