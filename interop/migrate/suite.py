"""`zooid migrate` sees real ensembles as they are, forbids what is not safe, and leads through a whole move."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading

from members import HELPER, ZOOID, Ensemble, eventually, free_ports, migrate, require, same, wire
from runner import main as run

JAVA = os.environ["SERVER"] == "java"

DIGEST = [(31, "digest", "somebody:AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
READER = [(31, "digest", "somebody:AAAAAAAAAAAAAAAAAAAAAAAAAAA="), (1, "world", "anyone")]


# --- without any server ---------------------------------------------------------------------------------------------

def wrong_input(folder):
    nowhere = "127.0.0.1:%d" % free_ports(1)[0]
    ran = migrate(folder, "plan", nowhere)
    require(ran.code == 2 and nowhere in ran.err and "refused" in ran.err, lambda: "nobody listens: %r" % ran)
    ran = migrate(folder, "plan", "no-such-host.invalid:2181")
    require(ran.code == 2 and "no-such-host.invalid" in ran.err, lambda: "no such host: %r" % ran)
    for words in (["plan", "127.0.0.1:x"], ["plan", "$(true):1"], ["plan"], ["plan", "--config", "/none/zoo.cfg"],
                  ["follow", nowhere, "--yes"], ["plan", nowhere, "--to", "etcd"]):
        ran = migrate(folder, *words)
        require(ran.code == 2 and ran.err, lambda: "%s: %r" % (words, ran))
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        def serve():
            while True:
                try:
                    client, _ = stranger.accept()
                except OSError:
                    return
                with client:
                    client.recv(1024)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        threading.Thread(target=serve, daemon=True).start()
        ran = migrate(folder, "plan", "127.0.0.1:%d" % stranger.getsockname()[1])
        stranger.shutdown(socket.SHUT_RDWR)
    require(ran.code == 2 and "no ZooKeeper server" in ran.err and "HTTP/1.1 400" in ran.err,
            lambda: "a stranger: %r" % ran)


# --- an ensemble of Java: three voters, the second is of the line 3.8, the third leads; the fourth observes -------------

KINDS = ["java", "java38", "java", "java"]

def fill(ensemble):
    client = ensemble.members[0].session()
    client.create("/app", b"x")
    client.create("/app/hidden", b"x", acl=DIGEST)
    client.create("/app/mixed", b"x", acl=READER)
    client.close()


def plan(ensemble):
    # More clients than the second has, even if a session of the tool itself is not quite gone there.
    keepers = [ensemble.members[0].session(timeout_ms=120_000) for _ in range(4)]
    keepers[0].create("/keeper", flags=wire.EPHEMERAL)
    first, second, quiet = (ensemble.members[at] for at in (0, 1, 3))
    older = second.srvr()["Zookeeper version"].partition("-")[0]
    require(older.startswith("3.8."), older)
    words = (ensemble.addresses, "--config", first.config)
    ran = migrate(ensemble.folder, "plan", *words, "--json")
    found = ran.json()
    require(ran.code == 0 and found["safe"], lambda: repr(ran))
    same([(one["id"], one["kind"], one["version"], one["role"]) for one in found["members"]],
         [(1, "java", "3.9.5", "follower"), (2, "java", older, "follower"), (3, "java", "3.9.5", "leader"),
          (4, "java", "3.9.5", "observer")], "members")
    same([one["id"] for one in found["steps"]], [4, 2, 1, 3], "order")
    same(found["sizes"]["ephemerals_count"], 1, "ephemeral nodes")
    same((found["acls"]["schemes"], found["acls"]["hidden"]), ({"world": 4, "digest": 1}, 1), "ACLs")
    same([one for one in found["findings"] if one["level"] == "risk"], [], "risks")
    require("4394" in notes(found, second), lambda: "what is known of 3.8: %r" % found)
    require("mntr, conf, cons, hash" in notes(found, quiet), lambda: "words that are missed: %r" % found)
    # Its admin server tells some of it.
    told = migrate(ensemble.folder, "plan", *words, "--json", "--admin-port", str(quiet.admin_port)).json()
    require("does not answer conf, cons:" in notes(told, quiet), lambda: "the admin server is asked: %r" % told)
    text = migrate(ensemble.folder, "plan", *words).out
    require("Java 3.9.5" in text and "1. server.4" in text and "Safe" in text, lambda: text)
    for keeper in keepers:
        keeper.close()


def notes(found, member):
    """What is noted of a member."""
    return " ".join(one["text"] for one in found["findings"]
                    if one["level"] == "note" and one["about"].startswith("server.%d " % member.sid))


def blockers(ensemble):
    ran = migrate(ensemble.folder, "plan", ensemble.addresses, "--json")
    risks = [one for one in ran.json()["findings"] if one["level"] == "risk"]
    require(ran.code == 0 and any("no configuration file" in one["text"] for one in risks), lambda: repr(ran))
    config = os.path.join(ensemble.folder, "sasl.cfg")
    with open(ensemble.members[0].config) as file, open(config, "w") as to:
        to.write(file.read() + "quorum.auth.enableSasl=true\n")
    ran = migrate(ensemble.folder, "plan", ensemble.addresses, "--config", config)
    require(ran.code == 1 and "BLOCKER" in ran.out and "sasl.cfg" in ran.out and "quorum.auth.enableSasl" in ran.out,
            lambda: repr(ran))
    ran = migrate(ensemble.folder, "follow", ensemble.addresses, "--config", config, "--yes", "--accept-risks",
                  "--start-command", "touch %s/touched" % ensemble.folder)
    require(ran.code == 1 and "quorum.auth.enableSasl" in ran.err, lambda: repr(ran))
    require(not os.path.exists(os.path.join(ensemble.folder, "touched")), "a command ran in spite of a blocker")
    # One address for three voters: where the others are is not known.
    ran = migrate(ensemble.folder, "plan", ensemble.members[0].address)
    require(ran.code == 1 and "server.2" in ran.out and "not known" in ran.out, lambda: repr(ran))


def check(ensemble):
    ran = migrate(ensemble.folder, "check", ensemble.addresses)
    require(ran.code == 0 and ran.out.rstrip().endswith("whole"), lambda: repr(ran))
    require("2 of 2 followers and 1 of 1 observers are in step" in ran.out, lambda: ran.out)
    paused = ensemble.members[0]
    paused.pause()
    ran = migrate(ensemble.folder, "check", ensemble.addresses)
    paused.resume()
    require(ran.code == 1 and "server.1" in ran.out and "does not answer" in ran.out, lambda: repr(ran))
    eventually(lambda: migrate(ensemble.folder, "check", ensemble.addresses).code == 0, "whole again")


def digests(ensemble):
    """Enough transactions for two entries in the digest log of each member, which then are compared."""
    client = ensemble.members[1].session()
    for _ in client.pipeline((wire.SET, wire.set_data("/app", b"%d" % at)) for at in range(300)):
        pass
    client.close()
    ran = migrate(ensemble.folder, "check", ensemble.addresses)
    require(ran.code == 0 and "digests: equal, last at zxid 0x" in ran.out.replace("\n", " "), lambda: repr(ran))


class Life:
    """A session with an ephemeral node that writes, and goes on at the next member when its own is gone."""

    def __init__(self, ensemble):
        self.ensemble, self.at, self.written, self.wrong = ensemble, 0, 0, None
        self.client = ensemble.members[0].session(timeout_ms=120_000)
        self.session = (self.client.id, self.client.password)
        self.client.create("/life", b"0", flags=wire.EPHEMERAL)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.ending.is_set():
                try:
                    self.client.set("/life", b"%d" % (self.written + 1))
                    self.written += 1
                    self.ending.wait(0.02)
                except (wire.Gone, OSError):
                    self._connect()
        except Exception as error:
            self.wrong = error

    def _connect(self):
        while not self.ending.is_set():
            self.at += 1
            member = self.ensemble.members[self.at % 3]
            try:
                self.client = wire.Client(member.port, 120_000, session=self.session, patience_s=10)
            except (wire.Gone, OSError):
                self.ending.wait(0.1)
                continue
            require(self.client.id == self.session[0], "the session is lost")
            return

    def end(self):
        self.ending.set()
        self.thread.join(120)
        if self.wrong:
            raise self.wrong


COMMANDS = ("--yes", "--accept-risks", "--stop-command", HELPER + " stop {folder}",
            "--start-command", HELPER + " start {{to}} {folder}", "--patience", "240")


def commands(ensemble):
    return [word.format(folder=os.path.join(ensemble.folder, "member-{id}")) for word in COMMANDS]


def move(ensemble):
    """There and back under a client that keeps its session."""
    folder, config = ensemble.folder, ensemble.members[0].config
    ran = migrate(folder, "follow", ensemble.addresses, "--config", config, "--json", *commands(ensemble), "--dry-run")
    would = ran.events("would")
    require(ran.code == 0 and [one["id"] for one in would][0] == 4 and would[-1]["id"] == 3, lambda: repr(ran))
    same({member.kind() for member in ensemble.members}, {"java"}, "kinds after a dry run")

    life = Life(ensemble)
    ran = migrate(folder, "follow", ensemble.addresses, "--config", config, "--json", *commands(ensemble),
                  "--steps", "1")
    require(ran.code == 0 and ran.events("stopped"), lambda: repr(ran))
    same([member.kind() for member in ensemble.members], ["java"] * 3 + ["zooid"], "kinds after one step")

    # The start command fails once: the member is down then.
    broken = commands(ensemble)
    broken[5] = "exit 7"
    ran = migrate(folder, "follow", ensemble.addresses, "--config", config, "--json", *broken)
    require(ran.code == 4 and ran.events("failed")[0]["what"] == "start", lambda: repr(ran))
    down = ran.events("failed")[0]["id"]
    require(ensemble.members[down - 1].mode() is None, "server %d is down" % down)
    # Begun anew, it brings back what is down, and goes on.
    ran = migrate(folder, "follow", ensemble.addresses, "--config", config, "--json", *commands(ensemble))
    require(ran.code == 0 and ran.events("done"), lambda: repr(ran))
    same(ran.events("start")[0]["id"], down, "the first to be started")
    same([one["id"] for one in ran.events("step")], [3 - down, 3], "steps that were left")
    same({member.kind() for member in ensemble.members}, {"zooid"}, "kinds behind the move")
    check_life(ensemble, life)

    ran = migrate(folder, "follow", ensemble.addresses, "--to", "java", "--json", *commands(ensemble))
    require(ran.code == 0 and ran.events("done"), lambda: repr(ran))
    steps = ran.events("step")
    same(steps[0]["id"], 4, "the first step back")
    same([one["role"] for one in steps], ["observer", "follower", "follower", "leader"], "roles of the way back")
    same({member.kind() for member in ensemble.members}, {"java"}, "kinds behind the way back")
    check_life(ensemble, life)
    life.end()
    client = ensemble.members[0].session()
    client.call(wire.SYNC, wire.buffer("/"))
    same(client.get("/life"), b"%d" % life.written, "what was written last")
    client.close()
    life.client.close()
    return "%d writes of one session" % life.written


def check_life(ensemble, life):
    before = life.written
    eventually(lambda: life.wrong or life.written > before + 20, "writes go on")
    if life.wrong:
        raise life.wrong


def follow_by_hand(ensemble):
    """Without --yes nothing is touched: it names the member, and goes on when somebody has replaced it."""
    path = os.path.join(ensemble.folder, "by-hand.out")
    with open(path, "w") as out:
        process = subprocess.Popen([ZOOID, "migrate", "follow", ensemble.addresses, "--config",
                                    ensemble.members[0].config, "--json", "--steps", "1"],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)

    def events():
        with open(path) as file:
            return [json.loads(line) for line in file.read().splitlines(True) if line.endswith("\n")]
    try:
        step = eventually(lambda: next((one for one in events() if one["event"] == "step"), None), "a step")
        same(step["id"], 4, "the first step")
        same({member.kind() for member in ensemble.members}, {"java"}, "kinds while nobody does anything")
        member = ensemble.members[3]
        member.stop()
        member.start("zooid")
        same(process.wait(300), 0, "exit code")
        names = [one["event"] for one in events()]
        # The leader may count it a moment after it serves.
        same([name for name in names if name != "waiting"], ["whole", "step", "whole", "stopped"], "events")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def member_down(ensemble):
    ensemble.members[0].kill()
    ran = migrate(ensemble.folder, "plan", ensemble.addresses, "--json")
    found = ran.json()
    require(ran.code == 1 and not found["safe"], lambda: repr(ran))
    require(any(one["about"].startswith("server.1 ") and one["level"] == "blocker" for one in found["findings"]),
            lambda: repr(ran))
    # It waits, touches nobody, and gives up.
    ran = migrate(ensemble.folder, "follow", ensemble.addresses, "--config", ensemble.members[0].config, "--json",
                  "--patience", "3")
    require(ran.code == 3 and not ran.events("step") and ran.events("waiting"), lambda: repr(ran))


def half_down(ensemble):
    """Two of three voters are gone: nobody serves, and nothing can be said."""
    ensemble.members[1].kill()
    survivors = [ensemble.members[2], ensemble.members[3]]
    eventually(lambda: all(one.mode() is None for one in survivors), "nobody serves")
    ran = migrate(ensemble.folder, "plan", ensemble.addresses)
    require(ran.code == 2 and "no member serves" in ran.err and "has no leader" in ran.err, lambda: repr(ran))
    ran = migrate(ensemble.folder, "check", ensemble.addresses)
    require(ran.code == 2, lambda: repr(ran))


# --- other data -----------------------------------------------------------------------------------------------------

def another_history(runner, kinds):
    """A member that has other data under the same zxid, as a disk that was swapped has: no synchronisation sees it."""
    folder = runner.folder(kinds[0])
    ensemble = Ensemble(folder, 3, named=True)
    try:
        for member in ensemble.members:
            member.configure([])
            member.start("zooid")
            client = member.session()
            client.create("/seed", b"other" if member.sid == 1 else b"equal")
            client.close()
            member.stop()
            member.configure(ensemble.lines)
        # Times are of the data, too: all but the first have the same history.
        second, third = (os.path.join(member.data, "version-2") for member in ensemble.members[1:])
        shutil.rmtree(second)
        shutil.copytree(third, second)
        ensemble.begin(kinds, ensemble.members[1:])
        # One is named; where the others are, the list of members says.
        ran = migrate(folder, "check", ensemble.members[1].address)
        require(ran.code == 1 and "server.1 " in ran.out and "DIFFER" in ran.out, lambda: repr(ran))
        to = "java" if kinds[0] == "zooid" else "zooid"
        marks = ["touch %s/touched" % folder] * 2
        ran = migrate(folder, "follow", ensemble.addresses, "--config", ensemble.members[1].config, "--to", to,
                      "--json", "--yes", "--accept-risks", "--stop-command", marks[0], "--start-command", marks[1],
                      "--patience", "3")
        require(ran.code in (1, 3) and not ran.events("step"), lambda: repr(ran))
        require(not os.path.exists(os.path.join(folder, "touched")), "a member was touched")
    except Exception:
        runner.keep(ensemble)
        raise
    finally:
        ensemble.end()


# In this order: the last ones leave an ensemble that is broken.
CHECKS = [("plan", plan), ("blockers", blockers), ("check", check), ("digests", digests)]
MOVES = [("move", move), ("by-hand", follow_by_hand)]
ENDS = [("a-member-down", member_down), ("half-down", half_down)]


def main(runner):
    names = sys.argv[1:]

    def wanted(name):
        return not names or name in names

    if wanted("wrong-input"):
        runner.one("wrong-input", wrong_input, runner.base)
    checks = [(name, check) for name, check in CHECKS + ([] if JAVA else MOVES) + ENDS if wanted(name)]
    if checks:
        ensemble = Ensemble(runner.folder("ensemble"), 3, observers=1)
        try:
            if runner.one("begin", lambda: (ensemble.begin(KINDS, ensemble.members[1:3]), fill(ensemble))[2:]):
                for name, function in checks:
                    # What comes behind one that failed finds members as that one left them.
                    if not runner.one(name, function, ensemble):
                        runner.keep(ensemble)
                        break
            else:
                runner.keep(ensemble)
        finally:
            ensemble.end()
    for kinds in [] if JAVA else [["java"] * 3, ["zooid"] * 3]:
        name = "another-history-" + kinds[0]
        if wanted(name):
            runner.one(name, another_history, runner, kinds)


if __name__ == "__main__":
    sys.exit(run("migrate", main))
