"""How suites of ensembles run their checks: a line for each, what the members said behind one that failed, the sum."""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

import processes
from processes import Failure


def note(text):
    """For who reads the log: it is no result."""
    print("# " + text, file=sys.stderr, flush=True)


def default_seed():
    """Another one each time, but in CI, where a change should be judged and not the dice."""
    return 1 if os.environ.get("CI") == "true" else random.SystemRandom().randrange(1 << 32)


class Runner:
    """Counts checks. Folders are in `base`."""

    def __init__(self, suite, base):
        self.suite, self.base = suite, base
        self.passed = self.failed = 0

    def one(self, name, function, *arguments):
        """A check, whose value is printed behind its name; whether it passed."""
        start = time.monotonic()
        try:
            told = function(*arguments)
        except Exception as error:
            self.wrong(name, str(error) if isinstance(error, Failure) else traceback.format_exc())
            return False
        self.passed += 1
        print("ok %s%s" % (name, " (%s)" % told if told else ""), flush=True)
        note("%s took %.1f s" % (name, time.monotonic() - start))
        return True

    def wrong(self, name, why):
        self.failed += 1
        print("FAIL %s: %s" % (name, " | ".join(why.strip().splitlines())), flush=True)

    def each(self, kinds, make, checks):
        """Checks with their names on one ensemble, on a new one behind a check that failed. `make` gets a folder; each
        check leaves the ensemble whole."""
        ensemble = None
        try:
            for name, function in checks:
                if ensemble is None:
                    ensemble = self.begin(kinds, make)
                    if ensemble is None:
                        return
                if not self.one("%s %s" % (kinds, name), function, ensemble):
                    self.keep(ensemble)
                    ensemble = None
        finally:
            if ensemble:
                ensemble.end()
                shutil.rmtree(ensemble.folder, ignore_errors=True)

    def folder(self, kinds):
        return tempfile.mkdtemp(dir=self.base, prefix=kinds + "-")

    def begin(self, kinds, make):
        """An ensemble that is whole, None if it does not become so: that is a failure of its own."""
        ensemble = make(self.folder(kinds))
        try:
            ensemble.begin()
            return ensemble
        except Exception as error:
            self.wrong("%s starts" % kinds, str(error) if isinstance(error, Failure) else traceback.format_exc())
            self.keep(ensemble)
            return None

    def keep(self, ensemble, lines=25, beside=()):
        """Ends it; shows what its members said, and what is in the files beside them, and keeps it when asked to."""
        for member in ensemble.members:
            member.kill()
        files = [("the log of %r" % member, member.log_file) for member in ensemble.members]
        files += [(name, os.path.join(ensemble.folder, name)) for name in beside]
        for name, path in files:
            if os.path.exists(path):
                note("the end of %s:" % name)
                with open(path, errors="replace") as file:
                    for line in file.read().splitlines()[-lines:]:
                        note("  " + line[:300])
        if os.environ.get("KEEP"):
            kept = tempfile.mkdtemp(prefix="zooid-%s-failed-" % self.suite)
            shutil.copytree(ensemble.folder, kept, dirs_exist_ok=True)
            note("kept: " + kept)
        ensemble.end()
        shutil.rmtree(ensemble.folder, ignore_errors=True)


def main(suite, run):
    """Runs the suite in a folder of its own: `run` gets a Runner. The exit code."""
    # A run that is interrupted still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="zooid-%s-" % suite, ignore_cleanup_errors=True) as base:
        runner = Runner(suite, base)
        try:
            run(runner)
        finally:
            processes.end_all()
    print("%d passed, %d failed" % (runner.passed, runner.failed), flush=True)
    return 0 if runner.passed and not runner.failed else 1
