"""The move itself: one planned step after the other, kills between them, and what must hold behind all."""

import os
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "ensemble"))

import members  # noqa: E402
from checks import Writer, same_trees  # noqa: E402
from members import eventually, require  # noqa: E402
from parties import Keeper, Locks, Watcher, programs  # noqa: E402

# All logs stay, so that what is in them can be counted.
members.SETTINGS = members.SETTINGS.replace("snapCount=100\n", "snapCount=2000\nautopurge.purgeInterval=0\n")
WRITERS = 3
PACE_S = 0.008
"""Between two writes of a client: it shares the cores with the servers."""


class Step:
    """A member that was replaced or restarted: how long nothing was acknowledged meanwhile."""

    def __init__(self, member, before, role, gap, client_gap):
        self.member, self.before, self.role, self.gap, self.client_gap = member, before, role, gap, client_gap
        self.kind = member.kind

    def __str__(self):
        return "%s%d to %s, %s: %.2f s (of one client %.2f s)" % (
            self.before, self.member.sid, self.kind, self.role, self.gap, self.client_gap)


class Move:
    def __init__(self, ensemble, dice):
        self.ensemble, self.dice = ensemble, dice
        self.writers = [Writer(ensemble, number, "/mover-%d" % number, PACE_S) for number in range(WRITERS)]
        self.watcher = Watcher(ensemble, 3, "/mover-0")
        self.parties = self.writers + [Keeper(ensemble, 1), Keeper(ensemble, 2), self.watcher]
        self.programs, self.locks = [], None

    def begin(self):
        for writer in self.writers:
            writer.thread.start()
        self.go_on()
        for party in self.parties[WRITERS:]:
            party.thread.start()
        self.programs = programs(self.ensemble, self.ensemble.folder)
        for program in self.programs:
            program.answer("ready")
        self.locks = Locks(self.ensemble)

    def through(self, kind, kill=False):
        """All members become of that kind, in a random order; with a kill of any of them on the way."""
        order = list(self.ensemble.voters)
        self.dice.shuffle(order)
        killed = self.dice.choice(order) if kill else None
        steps = []
        for member in order:
            if member is killed:
                self.kill(member, kind)
            else:
                steps.append(self.step(member, kind))
        return steps

    def step(self, member, kind):
        """A planned step, as an operator does it."""
        before, role = member.kind, member.mode()
        self.mark()
        member.stop()
        member.kind = kind
        self.ensemble.start(member)
        self.go_on()
        return Step(member, before, role, self.gap(), max(writer.gap for writer in self.writers))

    def kill(self, member, kind):
        """A member is replaced, and one is killed: itself, or another one before, while or after it is away."""
        victim = self.dice.choice(self.ensemble.voters)
        moment = self.dice.choice(("before", "while", "after"))
        others = [other for other in self.ensemble.voters if other is not member]
        two_away = moment == "while" and victim is not member
        if two_away and (kind == "j" or any(other.keeps_a_tail() for other in others)):
            moment = "after"
        if moment == "before":
            victim.kill()
            self.ensemble.start(victim)
            self.go_on()
        if victim is member and moment == "while":
            member.kill()
        else:
            member.stop()
        together = [member]
        if moment == "while" and victim is not member:
            # There is no quorum until one of them is back.
            victim.kill()
            together.append(victim)
        member.kind = kind
        self.dice.shuffle(together)
        self.ensemble.start(*together)
        self.go_on()
        if moment == "after":
            victim.kill()
            self.ensemble.start(victim)
            self.go_on()

    def mark(self):
        self.since = time.monotonic()
        for writer in self.writers:
            writer.gap = 0
            writer.times.clear()

    def gap(self):
        """The longest time since the mark in which nobody's write was acknowledged."""
        times = sorted([self.since] + [at for writer in self.writers for at in list(writer.times)])
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def wrong(self):
        return next((party.wrong for party in self.parties + self.programs if party.wrong), None)

    def go_on(self):
        """The ensemble is whole, and all clients go on."""
        if self.ensemble.running():
            self.ensemble.whole()
        before = [writer.acknowledged for writer in self.writers]
        eventually(lambda: self.wrong() or all(
            writer.acknowledged > seen + 20 for writer, seen in zip(self.writers, before)), "writes go on")
        if self.wrong():
            raise self.wrong()
        if self.locks:
            self.locks.step()

    def report(self):
        """What the programs did since the last time; each of them goes on."""
        found = {}
        for program in self.programs:
            found[program.name] = program.ask("round", "round")
        return found

    def end(self):
        """Everything that was acknowledged is there, no session was lost, no event was lost or came twice."""
        for writer in self.writers:
            writer.end()
        last = eventually(self.version, "the version of %s" % self.watcher.watched)
        eventually(lambda: self.watcher.wrong or self.watcher.version == last, lambda: (
            "the watcher is at %d, the node at %d" % (self.watcher.version, last)))
        for party in self.parties:
            party.end()
        found = [program.ask("end", "ok") for program in self.programs]
        self.locks.end()
        for party in self.parties:
            for member in self.ensemble.running():
                party.settle(member)
        same_trees(self.ensemble)
        count = continuous(self.ensemble)
        writes = sum(writer.acknowledged for writer in self.writers) + sum(each["writes"] for each in found)
        events = self.watcher.events + sum(each["events"] for each in found)
        locks = sum(each["locks"] for each in found)
        return "%d acknowledged writes, %d events, %d turns with locks, %d transactions without a hole" % (
            writes, events, locks, count)

    def version(self):
        client = self.ensemble.running()[0].client()
        client.sync()
        version = client.exists(self.watcher.watched)["version"]
        client.close()
        return version

    def close(self):
        for party in self.parties:
            party.ending.set()
        for program in self.programs:
            program.kill()
        if self.locks:
            self.locks.close()


def logged(member):
    """The zxids in the logs of a member."""
    folder = os.path.join(member.data, "version-2")
    for name in sorted(os.listdir(folder)):
        if not name.startswith("log."):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            file.seek(16)
            while len(head := file.read(12)) == 12:
                length = struct.unpack(">8xi", head)[0]
                body = file.read(length + 1)
                # Space that was taken ahead, or a transaction that is being written.
                if length <= 0 or len(body) <= length or body[length:] != b"B":
                    break
                yield struct.unpack_from(">q", body, 12)[0]


def continuous(ensemble):
    """All logs together have each zxid of each epoch from the first to the last; returns how many."""
    epochs = {}
    for member in ensemble.members:
        for zxid in logged(member):
            epochs.setdefault(zxid >> 32, set()).add(zxid & 0xffffffff)
    for epoch, counters in epochs.items():
        missing = set(range(1, max(counters) + 1)) - counters
        require(not missing, "epoch %d has no transaction %s" % (epoch, sorted(missing)[:5]))
    return sum(map(len, epochs.values()))
