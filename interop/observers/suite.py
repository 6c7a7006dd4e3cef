"""Runs every check on every ensemble; ensembles by their letters as arguments run only those."""

import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

import masters
import pairs
from servers import Failure, Observed, Pair

JAVA = os.environ["SERVER"] == "java"

# Ensembles by their letters: voters, the last of which leads, and observers; pairs have an oracle.
OBSERVED = ["jjj+j"] if JAVA else ["zzz+z", "zzz+j", "jjj+z", "zjz+jz"]
PAIRS = ["jj"] if JAVA else ["zz", "zj", "jz"]


class Runner:
    def __init__(self, base, wanted):
        self.base, self.wanted = base, wanted
        self.passed = self.failed = 0

    def one(self, name, function, ensemble):
        start = time.monotonic()
        try:
            function(ensemble)
        except Exception as error:
            self.failed += 1
            detail = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print("FAIL %s: %s" % (name, " | ".join(detail.strip().splitlines())), flush=True)
            return False
        self.passed += 1
        print("ok %s" % name, flush=True)
        print("# %s took %.1f s" % (name, time.monotonic() - start), file=sys.stderr, flush=True)
        return True

    def ensemble(self, kinds, of, table):
        """One ensemble for all checks, a new one behind a check that failed."""
        if self.wanted and kinds not in self.wanted:
            return
        ensemble = None
        try:
            for name, function in table:
                if ensemble is None:
                    ensemble = of(kinds, tempfile.mkdtemp(dir=self.base, prefix=kinds + "-"))
                    if not self.one("%s starts" % kinds, lambda it: it.begin(), ensemble):
                        self.keep(ensemble)
                        ensemble = None
                        return
                if not self.one("%s %s" % (kinds, name), function, ensemble):
                    self.keep(ensemble)
                    ensemble = None
        finally:
            if ensemble:
                ensemble.end()
                shutil.rmtree(ensemble.folder, ignore_errors=True)

    def keep(self, ensemble):
        """Ends it; shows what its members said, and keeps it when asked to."""
        ensemble.end()
        for member in ensemble.members:
            print("# the end of the log of %r:" % member, file=sys.stderr)
            for line in (member.log() if os.path.exists(member.log_file) else "").splitlines()[-25:]:
                print("#   %s" % line[:300], file=sys.stderr)
        if os.environ.get("KEEP"):
            kept = tempfile.mkdtemp(prefix="zooid-observers-failed-")
            shutil.copytree(ensemble.folder, kept, dirs_exist_ok=True)
            print("# kept: %s" % kept, file=sys.stderr)
        sys.stderr.flush()


def main():
    # A run that is interrupted still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="zooid-observers-") as base:
        runner = Runner(base, sys.argv[1:])
        for kinds in OBSERVED:
            runner.ensemble(kinds, Observed, masters.ALL)
        for kinds in PAIRS:
            runner.ensemble(kinds, Pair, pairs.ALL)
    print("%d passed, %d failed" % (runner.passed, runner.failed), flush=True)
    return 0 if runner.passed and not runner.failed else 1


if __name__ == "__main__":
    sys.exit(main())
