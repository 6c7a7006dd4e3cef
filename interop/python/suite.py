"""Runs every check; names of checks as arguments run only those."""

import logging
import os
import sys

import client_checks  # noqa: F401  (registers its checks)
import recipe_checks  # noqa: F401
import session_checks  # noqa: F401
import watch_checks  # noqa: F401
from harness import run_all

if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    code = run_all(set(sys.argv[1:]))
    # A check that hangs leaves threads behind, which must not keep the suite alive.
    sys.stdout.flush()
    os._exit(code)
