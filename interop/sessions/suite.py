"""Runs every check on every ensemble; names of checks as arguments run only those."""

import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ensemble"))

import members  # noqa: E402
import local  # noqa: E402
import readonly  # noqa: E402
from members import Ensemble, Failure  # noqa: E402

JAVA = os.environ["SERVER"] == "java"

LOCAL = {"localSessionsEnabled": "true"}
UPGRADING = {"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"}

# Letters of an ensemble, the last of which leads at first; keys of its members; checks in order, each of which leaves
# it whole.
UPGRADED = UPGRADING, local.UPGRADED + readonly.WITH_LOCAL
OBSERVED = UPGRADING, local.UPGRADED + [readonly.serves_reads]
REFUSED = LOCAL, local.REFUSED
GLOBAL = {}, readonly.WITHOUT_LOCAL
PLAN = [
    ("jjj", *UPGRADED),
    ("jjj", *REFUSED),
    ("jjj", *GLOBAL),
    ("jjj+j", *OBSERVED),
] if JAVA else [
    ("zzz", *UPGRADED),
    ("zzz", *REFUSED),
    ("zzz", *GLOBAL),
    ("jzz", *UPGRADED),
    ("zjj", *UPGRADED),
    ("jzz", *REFUSED),
    ("zjj", *REFUSED),
    ("zjj+z", *OBSERVED),
    ("jzz+j", *OBSERVED),
]


class Runner:
    def __init__(self, base, names):
        self.base, self.names = base, names
        self.passed = self.failed = 0

    def ensemble(self, kinds, settings, checks):
        """One ensemble for all checks, a new one behind a check that failed."""
        ensemble = None
        try:
            for function in checks:
                name = function.__name__.replace("_", "-")
                if self.names and name not in self.names:
                    continue
                ensemble = ensemble or self.begin(kinds, settings)
                if ensemble is None:
                    return
                if not self.one("%s %s" % (kinds, name), function, ensemble):
                    self.keep(ensemble)
                    ensemble = None
        finally:
            if ensemble:
                ensemble.end()
                shutil.rmtree(ensemble.folder)

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

    def begin(self, kinds, settings):
        ensemble = Ensemble(kinds, tempfile.mkdtemp(dir=self.base, prefix=kinds + "-"))
        for member in ensemble.members:
            member.settings.update(settings)
        try:
            ensemble.begin()
            return ensemble
        except Exception as error:
            self.failed += 1
            print("FAIL %s starts: %s" % (kinds, error), flush=True)
            self.keep(ensemble)
            return None

    def keep(self, ensemble):
        """Ends it; shows what its members said, and keeps it when asked to."""
        ensemble.end()
        for member in ensemble.members:
            print("# the end of the log of %r:" % member, file=sys.stderr)
            for line in (member.log() if os.path.exists(member.log_file) else "").splitlines()[-25:]:
                print("#   %s" % line[:300], file=sys.stderr)
        if os.environ.get("KEEP"):
            kept = tempfile.mkdtemp(prefix="zooid-sessions-failed-")
            shutil.copytree(ensemble.folder, kept, dirs_exist_ok=True)
            print("# kept: %s" % kept, file=sys.stderr)
        sys.stderr.flush()
        shutil.rmtree(ensemble.folder, ignore_errors=True)


def main():
    members.JAVA.insert(1, "-Dreadonlymode.enabled=true")
    # A run that is interrupted still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="zooid-sessions-") as base:
        runner = Runner(base, sys.argv[1:])
        for kinds, settings, checks in PLAN:
            runner.ensemble(kinds, settings, checks)
    print("%d passed, %d failed" % (runner.passed, runner.failed), flush=True)
    return 0 if runner.passed and not runner.failed else 1


if __name__ == "__main__":
    sys.exit(main())
