"""How long a follower takes until it serves: one that was away for a million transactions, and one without data."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import members
from members import Ensemble, eventually, require, sync_kinds

ROOT = "/sync"
CASES = {
    "creates": "{n} creates behind",
    "empty": "empty disk, {n} znodes",
    "sets": "{n} sets behind, with {n} znodes of its own",
}
LOAD = ("--size", "100", "--connections", "10", "--warm-up", "0")


def bench(member, *words):
    """One run of the load generator."""
    run = subprocess.run(
        [members.ZOOID, "bench", *words, *LOAD, "--server", "127.0.0.1:%d" % member.port, "--root", ROOT, "--keep",
         "--json"], stdout=subprocess.PIPE, text=True, check=True)
    wrong = json.loads(run.stdout.strip().splitlines()[-1])["errors"]
    require(wrong == 0, "%d requests failed under %s" % (wrong, words[0]))


def watched_start(ensemble, member):
    """Starts the member; seconds from the start, and from its first word of an election, until it serves."""
    since = member.log_size() if os.path.exists(member.log_file) else 0
    begin, looked = time.monotonic(), None
    ensemble.start(member)
    while True:
        if looked is None and "LOOKING" in member.log(since):
            looked = time.monotonic()
        if member.mode() == "follower":
            end = time.monotonic()
            return end - begin, end - (looked or begin)
        require(end_of_patience(begin), "%r serves: %s" % (member, member.last_words()))
        time.sleep(0.005)


def end_of_patience(begin):
    return time.monotonic() < begin + 300


def rounds_of(ensemble, away, own, rounds):
    """Of each round: from the start of the process, from its first election, and the kind of sync."""
    leader, found = ensemble.whole(), []
    zxid = leader.zxid()
    for _ in range(rounds):
        shutil.rmtree(away.data)
        shutil.copytree(own, away.data)
        since = leader.log_size()
        took = watched_start(ensemble, away)
        require(away.zxid() >= zxid, "%r serves 0x%x of 0x%x" % (away, away.zxid(), zxid))
        kinds = eventually(lambda: sync_kinds(leader, away, since), "a line about the sync")
        found.append((*took, "+".join(kinds)))
        ensemble.whole()
        away.stop()
    return found


def measure(kind, base, count, rounds):
    """case -> rounds. Two members make the transactions and stay; the third one was away."""
    ensemble = Ensemble(kind * 3, os.path.join(base, "sync-" + kind))
    away, writer = ensemble.members[0], ensemble.members[1]
    own = os.path.join(ensemble.folder, "own")
    found = {}

    def case(name):
        found[name] = rounds_of(ensemble, away, own, rounds)
        print("# %s, %s: %s" % (kind, name, ", ".join("%.2f s (%.2f s) %s" % one for one in found[name])),
              file=sys.stderr, flush=True)

    def copy():
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(away.data, own)

    try:
        ensemble.begin()
        away.stop()
        copy()
        bench(writer, "fill", "--keys", str(count))
        case("creates")
        away.wipe()
        copy()
        case("empty")
        copy()
        end = writer.zxid() + count
        while writer.zxid() < end:
            bench(writer, "set", "--existing", "--keys", str(count), "--seconds", "2")
        case("sets")
    finally:
        ensemble.end()
    shutil.rmtree(ensemble.folder)
    return found


def table(found, names, count):
    kinds = list(found)
    text = "{:,}".format(count)
    lines = [
        "| follower | " + " | ".join("%s | of it sync | kind" % names[kind] for kind in kinds) + " | ratio |",
        "|---|" + "---|" * (3 * len(kinds) + 1),
    ]
    for case, what in CASES.items():
        cells, medians = [], []
        for kind in kinds:
            rounds = found[kind][case]
            medians.append(statistics.median(one[0] for one in rounds))
            cells.append("%.2f | %.2f | %s" % (
                medians[-1], statistics.median(one[1] for one in rounds), "/".join(sorted({one[2] for one in rounds}))))
        lines.append("| %s | %s | %.2f |" % (what.format(n=text), " | ".join(cells), medians[0] / medians[-1]))
    return lines
