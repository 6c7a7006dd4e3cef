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


def throughput(kind, base, seconds):
    """Requests in a second of three servers, a third of the connections on each."""
    ensemble = Ensemble(kind * 3, os.path.join(base, "throughput-" + kind))
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
            print("# %s, %s: %.0f /s" % (NAMES[kind], load[0], found[load[0]]), file=sys.stderr, flush=True)
    finally:
        ensemble.end()
    return found


def report(words, failover, speeds):
    load = os.getloadavg()[0]
    lines = [
        "# Fail-over of three servers: Zooid beside Apache ZooKeeper 3.9.5",
        "",
        "Made by `interop/failover/run --rounds %d`. The same `zoo.cfg` (tickTime=500, initLimit=20, syncLimit=4), all"
        % words.rounds,
        "servers and the client on one machine of %d cores, fsync on, load average %.1f at the end. One client on a server"
        % (os.cpu_count(), load),
        "that survives writes without a pause, one write at a time, and reconnects at once. Times are ms: from the fault to",
        "the next acknowledged write behind the longest gap; for a follower and for a clean stop the longest gap itself.",
        "",
        "| fault | " + " | ".join("%s median | %s worst" % (NAMES[kind], NAMES[kind]) for kind in words.kinds) + " |",
        "|---|" + "---|" * (2 * len(words.kinds)),
    ]
    for fault in words.faults:
        cells = ["%.0f | %.0f" % (statistics.median(failover[kind][fault]), max(failover[kind][fault]))
                 for kind in words.kinds]
        lines.append("| %s | %s |" % (FAULTS[fault], " | ".join(cells)))
    if speeds:
        lines += ["", "Throughput of three servers, requests in a second, 10 connections x 16 outstanding on each:", "",
                  "| load | " + " | ".join(NAMES[kind] for kind in words.kinds) + " | ratio |",
                  "|---|" + "---|" * (len(words.kinds) + 1)]
        for load in LOADS:
            values = [speeds[kind][load[0]] for kind in words.kinds]
            lines.append("| %s | %s | %.2f |" % (load[0], " | ".join("%.0f" % value for value in values),
                                                values[0] / values[-1]))
    return "\n".join(lines) + "\n"


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--rounds", type=int, default=30)
    words.add_argument("--kinds", default="zj")
    words.add_argument("--faults", type=lambda text: text.split(","), default=list(FAULTS))
    words.add_argument("--seconds", type=int, default=5, help="of each load")
    words.add_argument("--no-throughput", action="store_true")
    words.add_argument("--out", help="where the table goes, beside the output")
    words = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="zooid-failover-") as base:
        failover = {kind: rounds_of(kind, words.faults, words.rounds, base) for kind in words.kinds}
        speeds = None if words.no_throughput else {
            kind: throughput(kind, base, words.seconds) for kind in words.kinds}
    text = report(words, failover, speeds)
    print(text)
    if words.out:
        with open(words.out, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
