"""Runs every check; names of checks as arguments run only those."""

import sys

import handover_checks  # noqa: F401  (registers its checks)
import refusal_checks  # noqa: F401
import stranger_checks  # noqa: F401
from harness import run_all

if __name__ == "__main__":
    sys.exit(run_all(set(sys.argv[1:])))
