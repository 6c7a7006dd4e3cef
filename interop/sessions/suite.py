"""Runs every check on every ensemble; names of checks as arguments run only those."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ensemble"))

import members  # noqa: E402
import local  # noqa: E402
import readonly  # noqa: E402
from members import Ensemble  # noqa: E402
from runner import main as run  # noqa: E402

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


def main(runner):
    members.JAVA.insert(1, "-Dreadonlymode.enabled=true")
    wanted = sys.argv[1:]
    for kinds, settings, checks in PLAN:
        def make(folder):
            ensemble = Ensemble(kinds, folder)
            for member in ensemble.members:
                member.settings.update(settings)
            return ensemble
        named = [(function.__name__.replace("_", "-"), function) for function in checks]
        runner.each(kinds, make, [(name, function) for name, function in named if not wanted or name in wanted])


if __name__ == "__main__":
    sys.exit(run("sessions", main))
