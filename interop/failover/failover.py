"""Rounds of faults, and a client that writes one node as fast as it gets answers."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "ensemble"))

import members  # noqa: E402
import planned  # noqa: E402
import sync  # noqa: E402
from members import Ensemble, Session, eventually, require, wire  # noqa: E402

NAMES = {"z": "Zooid", "j": "Java"}
FAULTS = {
    "kill-leader": "kill -9 of the leader",
    "kill-follower": "kill -9 of a follower",
    "pause-leader": "SIGSTOP of the leader",
    "stop-leader": "clean stop (TERM) of the leader",
}
PAUSE_S = 0.002
"""Between two tries to connect: the client shares the cores with the servers."""

# As an operator runs it: both compilers, and few lines in the log.
members.JAVA = ["java", "-Xmx512m", "-Dzookeeper.admin.enableServer=false", "-Dzookeeper.log.level=WARN"]
members.SETTINGS = """\
tickTime=500
initLimit=20
syncLimit=4
maxClientCnxns=0
4lw.commands.whitelist=*
admin.enableServer=false
"""


class Client:
    """Writes without a pause, one at a time; when its connection ends it goes to those that are left."""

    def __init__(self, first, others):
        self.targets = [first] + others
        self.acknowledged = []
        self.ending = False
        self.wrong = None
        self.session = Session(first.port, members.SESSION_MS)
        self.session.send(wire.CREATE, wire.create("/failover"))
        require(self.session.receive().code in (0, -110), "no node to write to")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        client, turn = self.session, 0
        try:
            while not self.ending:
                try:
                    while not self.ending:
                        client.set("/failover", b"x")
                        self.acknowledged.append(time.monotonic())
                except wire.Gone:
                    client.drop()
                while not self.ending:
                    turn += 1
                    port = self.targets[turn % len(self.targets)].port
                    try:
                        again = Session(port, members.SESSION_MS, session=(client.id, client.password), patience_s=20)
                    except wire.Gone:
                        time.sleep(PAUSE_S)
                        continue
                    require(again.id == client.id, "the session is lost")
                    client = again
                    break
        except Exception as error:
            self.wrong = error

    def go_on(self, count):
        """Waits for so many writes more."""
        want = len(self.acknowledged) + count
        eventually(lambda: self.wrong or len(self.acknowledged) >= want, "%d writes" % count)
        if self.wrong:
            raise self.wrong

    def end(self):
        self.ending = True
        self.thread.join(60)
        if self.wrong:
            raise self.wrong


def one_round(ensemble, fault):
    """Milliseconds from the fault to the write that ends the longest gap behind it."""
    leader = ensemble.whole()
    followers = ensemble.followers()
    survivors = followers[1:] + ([leader] if fault == "kill-follower" else followers[:1])
    victim = followers[0] if fault == "kill-follower" else leader
    client = Client(survivors[0], survivors[1:])
    client.go_on(30)
    begin = time.monotonic()
    if fault == "pause-leader":
        victim.process.send_signal(signal.SIGSTOP)
    elif fault == "stop-leader":
        victim.process.terminate()
    else:
        victim.process.kill()
    if fault in ("kill-leader", "pause-leader"):
        process, victim.process = victim.process, None
        ensemble.whole()
        victim.process = process
    elif fault == "stop-leader":
        victim.stop()
        ensemble.whole()
    client.go_on(100)
    client.end()
    victim.kill()
    times = [at for at in client.acknowledged if at > begin]
    gaps = [(later - earlier, later) for earlier, later in zip([begin] + times, times)]
    ensemble.start(victim)
    ensemble.whole()
    if fault == "stop-leader":
        return max(gaps)[0] * 1000
    return (max(gaps)[1] - begin) * 1000 if fault != "kill-follower" else max(gaps)[0] * 1000


def rounds_of(kind, faults, rounds, base):
    ensemble = Ensemble(kind * 3, os.path.join(base, "failover-" + kind))
    found = {}
    try:
        ensemble.begin()
        for fault in faults:
            found[fault] = [one_round(ensemble, fault) for _ in range(rounds)]
            print("# %s, %s: median %.0f ms, worst %.0f ms of %d" % (
                NAMES[kind], FAULTS[fault], statistics.median(found[fault]), max(found[fault]), rounds),
                file=sys.stderr, flush=True)
    finally:
        ensemble.end()
    return found


LOADS = (("set",), ("create",), ("get",), ("mixed", "--writes", "10"))


def throughput(kinds, base, seconds):
    """Requests in a second of an ensemble, the same number of connections on each server."""
    ensemble = Ensemble(kinds, os.path.join(base, "throughput-" + kinds))
    found = {}
    try:
        ensemble.begin()
        for load in LOADS:
            loads = [subprocess.Popen(
                [members.ZOOID, "bench", *load, "--server", "127.0.0.1:%d" % member.port, "--connections", "10",
                 "--warm-up", "2", "--seconds", str(seconds), "--json"], stdout=subprocess.PIPE, text=True)
                for member in ensemble.members]
            answers = [json.loads(one.communicate()[0].strip().splitlines()[-1]) for one in loads]
            wrong = sum(answer["errors"] for answer in answers)
            require(wrong == 0, "%d requests failed under %s" % (wrong, load[0]))
            found[load[0]] = sum(answer["rate"] for answer in answers)
            print("# %s, %s: %.0f /s" % (kinds, load[0], found[load[0]]), file=sys.stderr, flush=True)
    finally:
        ensemble.end()
    return found


HEAD = [
    "# An ensemble of three: Zooid beside Apache ZooKeeper 3.9.5",
    "",
    "Made by `interop/failover/run`: all servers and clients on one machine, fsync on, the same `zoo.cfg` for both kinds",
    "(tickTime=500, initLimit=20, syncLimit=4). Each section tells the load average of the machine at its end.",
]


def conditions():
    return "%d cores, load average %.1f" % (os.cpu_count(), os.getloadavg()[0])


def fail_over(words, base):
    found = {kind: rounds_of(kind, words.faults, words.rounds, base) for kind in words.kinds}
    lines = [
        "## Fail-over",
        "",
        "%d rounds of each fault (%s). One client on a server that survives writes without a pause, one write at a time,"
        % (words.rounds, conditions()),
        "and reconnects at once. Times are ms: from the fault to the next acknowledged write behind the longest gap; for a",
        "follower and for a clean stop the longest gap itself.",
        "",
        "| fault | " + " | ".join("%s median | %s worst" % (NAMES[kind], NAMES[kind]) for kind in words.kinds) + " |",
        "|---|" + "---|" * (2 * len(words.kinds)),
    ]
    for fault in words.faults:
        cells = ["%.0f | %.0f" % (statistics.median(found[kind][fault]), max(found[kind][fault]))
                 for kind in words.kinds]
        lines.append("| %s | %s |" % (FAULTS[fault], " | ".join(cells)))
    return lines


def speeds(words, base):
    found = {observers: {kind: throughput(kind * 3 + "+" + kind * observers, base, words.seconds) for kind in words.kinds}
             for observers in (0, 1)}
    lines = ["## Throughput", "",
             "Requests in a second, 10 connections x 16 outstanding on each server (%s)." % conditions(), "",
             "| servers | load | " + " | ".join(NAMES[kind] for kind in words.kinds) + " | ratio |",
             "|---|---|" + "---|" * (len(words.kinds) + 1)]
    for observers, by_kind in found.items():
        for load in LOADS:
            values = [by_kind[kind][load[0]] for kind in words.kinds]
            lines.append("| %s | %s | %s | %.2f |" % (
                "3 voters, 1 observer" if observers else "3 voters", load[0],
                " | ".join("%.0f" % value for value in values), values[0] / values[-1]))
    return lines


MIXED = ("jjj", "zjj", "jjz", "zzj", "jzz")
"""Their last member leads."""


def mixed_speeds(words, base):
    found = {kinds: throughput(kinds, base, words.seconds) for kinds in MIXED}
    lines = ["## Throughput of mixed ensembles", "",
             "Requests in a second, 10 connections x 16 outstanding on each server (%s)." % conditions(),
             "In brackets: how many times the ensemble of Java.", "",
             "| two followers, leader | " + " | ".join(load[0] for load in LOADS) + " |",
             "|---|" + "---|" * len(LOADS)]
    for kinds, rates in found.items():
        cells = ["%.0f (%.2f)" % (rates[load[0]], rates[load[0]] / found["jjj"][load[0]]) for load in LOADS]
        lines.append("| %s | %s |" % (", ".join(NAMES[kind] for kind in kinds), " | ".join(cells)))
    return lines


def planned_steps(words, base):
    found = planned.measure(base, Client, words.move_rounds, words.seed)
    return ["## Planned steps", "",
            "The longest gap of acknowledged writes, ms, while one of three members is stopped (TERM) and comes back on its own",
            "directory, %d rounds of all members in a random order (%s). `Java becomes Java` is Java's own rolling restart; in"
            % (words.move_rounds, conditions()),
            "the steps from one kind to the other both are in the ensemble.", ""] + planned.table(found, NAMES)


def sync_times(words, base):
    # A million znodes do not fit into the heap of the other sections, and the kinds of sync are told at INFO.
    members.JAVA = ["java", "-Xmx2g", "-Dzookeeper.admin.enableServer=false",
                    "-Dlogback.configurationFile=" + os.path.join(HERE, "..", "ensemble", "logback.xml")]
    # Both need more than ten seconds for a million transactions where the machine is slow.
    members.SETTINGS = members.SETTINGS.replace("initLimit=20", "initLimit=600")
    found = {kind: sync.measure(kind, base, words.transactions, words.sync_rounds) for kind in words.kinds}
    return ["## Until a follower serves", "",
            "Seconds from the start of its process until it serves what the leader has, median of %d (%s); `of it sync`: from"
            % (words.sync_rounds, conditions()),
            "the begin of its election on, without the start of the process and the recovery of its own data. The other two have",
            "made the transactions and were not restarted. initLimit=600, values of 100 bytes, Java with -Xmx2g. The kind of sync",
            "is the one in the leader's log.", ""] + sync.table(found, NAMES, words.transactions)


PARTS = {"failover": fail_over, "planned": planned_steps, "throughput": speeds, "mixed": mixed_speeds, "sync": sync_times}


def kept(file):
    """The sections of an older report, by their titles."""
    if not file or not os.path.exists(file):
        return {}
    found, title = {}, None
    for line in open(file).read().splitlines():
        if line.startswith("## "):
            title = line
            found[title] = []
        if title:
            found[title].append(line)
    return found


def main():
    words = argparse.ArgumentParser()
    for part in PARTS:
        words.add_argument("--" + part, action="store_true", help="only this and others so named")
    words.add_argument("--rounds", type=int, default=30, help="of each fault")
    words.add_argument("--kinds", default="zj")
    words.add_argument("--faults", type=lambda text: text.split(","), default=list(FAULTS))
    words.add_argument("--move-rounds", type=int, default=5)
    words.add_argument("--seed", type=int, default=1, help="of the order of planned steps")
    words.add_argument("--seconds", type=int, default=5, help="of each load")
    words.add_argument("--transactions", type=int, default=1_000_000, help="that a follower lacks")
    words.add_argument("--sync-rounds", type=int, default=3)
    words.add_argument("--out", help="where the tables go, beside the output; sections that are not measured stay")
    words = words.parse_args()
    chosen = [part for part in PARTS if getattr(words, part)] or list(PARTS)
    sections = kept(words.out)
    for part in chosen:
        with tempfile.TemporaryDirectory(prefix="zooid-failover-") as base:
            lines = PARTS[part](words, base)
        print("\n".join(lines) + "\n", flush=True)
        sections[lines[0]] = lines
        if words.out:
            with open(words.out, "w") as file:
                for lines in [HEAD] + list(sections.values()):
                    file.write("\n".join(lines).rstrip() + "\n" + ("" if lines is list(sections.values())[-1] else "\n"))


if __name__ == "__main__":
    main()
