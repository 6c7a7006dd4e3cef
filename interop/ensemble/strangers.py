"""What comes to the ports for other members and is none: it is sent away, the log says so in few lines, and nobody
notices."""

import contextlib
import re
import socket
import struct
import time

from members import TICK_MS, eventually, require, same, wire

CHECKS = []

REMARK = re.compile(r"WARN (?:(\d+) more connections, the last one with|connection with) (.*)")
"""A line about connections: how many more, and the address, port and reason of the last one."""

WINDOW_S = 5
"""As often as that there is a line about strangers, and one about each member."""

FOLLOWER_INFO, OBSERVER_INFO, LEADER_INFO = 11, 16, 17
LONGEST = 2 ** 31 - 1

TLS = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLIENT = struct.pack(">iiqiqi", 44, 0, 0, 30_000, 0, 16) + bytes(16)


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


def hello(sid, address=b"127.0.0.1:1"):
    """How a member greets another one on its election port."""
    return struct.pack(">qqi", -65536, sid, len(address)) + address


def packet(kind, zxid, data):
    return struct.pack(">iqi", kind, zxid, len(data)) + data + struct.pack(">i", -1)


def introduction(sid, kind=FOLLOWER_INFO):
    """How a learner introduces itself on the quorum port of a leader."""
    return packet(kind, 0, struct.pack(">qiq", sid, 0x10000, 0))


NO_MEMBERS = {
    "HTTP": (HTTP, HTTP),
    "TLS": (TLS, TLS),
    "a client": (CLIENT, CLIENT),
    # On the election port: the length of an address, of a vote; on the quorum port: of a packet, of identities.
    "an absurd length": (struct.pack(">qqi", -65536, 1, LONGEST) + b"x" * 100,
                         struct.pack(">iqi", FOLLOWER_INFO, 0, LONGEST) + b"x" * 100),
    "another absurd length": (hello(77) + struct.pack(">i", LONGEST) + b"x" * 100,
                              struct.pack(">iqiii", FOLLOWER_INFO, 0, 0, 1, LONGEST)),
    "a negative length": (struct.pack(">qqi", -65536, 1, -5), struct.pack(">iqi", FOLLOWER_INFO, 0, -5)),
    "no number": (hello(-7), packet(FOLLOWER_INFO, 0, b"")),
    "another version": (struct.pack(">qq", -65530, 1), packet(FOLLOWER_INFO, 0, struct.pack(">qiq", 1, 1, 0))),
    "a packet that nobody may send": (hello(78) + struct.pack(">i", 1) + b"x", packet(LEADER_INFO, 0, b"")),
}
"""What to send to the election port, and what to the quorum port of a leader."""


def call(port, bytes_sent=b""):
    stranger = socket.create_connection(("127.0.0.1", port), timeout=60)
    if bytes_sent:
        with contextlib.suppress(OSError):
            stranger.sendall(bytes_sent)
    return stranger


def closed(stranger, patience_s=60):
    """Waits until it is closed from the other side."""
    stranger.settimeout(patience_s)
    try:
        while stranger.recv(4096):
            pass
    except ConnectionError:
        pass
    stranger.close()


def is_open(stranger):
    stranger.setblocking(False)
    try:
        return bool(stranger.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        stranger.setblocking(True)


def remarks(member, since):
    """(how many, the rest of the line) for each line about connections."""
    found = (REMARK.search(line) for line in member.log(since).splitlines())
    return [(int(line[1] or 1), line[2]) for line in found if line]


def counted(member, since, expected, what):
    """Waits until the lines of the log account for so many, each with an address and a reason."""
    def told():
        return sum(times for times, _ in remarks(member, since))
    eventually(lambda: told() >= expected, lambda: "%s on %r: %d of %d are told of" % (what, member, told(), expected))
    lines = remarks(member, since)
    for _, text in lines:
        require(re.search(r"127\.0\.0\.1:\d+ \((election|quorum) port\) .{10,}", text), "no address or reason: " + text)
    return lines


def few(lines, start):
    """The first at once, then one line in five seconds for strangers, and one for a member."""
    most = 2 * (2 + int((time.monotonic() - start) / WINDOW_S))
    require(len(lines) <= most, "%d lines, at most %d are due: %r" % (len(lines), most, lines))


def settled(member):
    """Waits until all that happened before is told: an election may have had its strangers. Returns where its log ends."""
    since = member.log_size()
    probe = call(member.election_port, HTTP)
    name = "127.0.0.1:%d (election port)" % probe.getsockname()[1]
    closed(probe)
    lines = eventually(lambda: [text for _, text in remarks(member, since) if text.startswith(name)],
                       lambda: "a line about %s on %r: %r" % (name, member, remarks(member, since)))
    require("HTTP" in lines[0], "who it was: " + lines[0])
    return member.log_size()


PATIENCE = 24
"""Ticks: how long a member may take to say who it is, on either port. A machine that stands still for less costs nobody its
leader."""


def impatient(ensemble):
    if any("initLimit" not in member.settings for member in ensemble.members):
        for member in ensemble.members:
            member.settings["initLimit"] = member.settings["syncLimit"] = PATIENCE
        ensemble.again()


class Neighbours:
    """A client on each member, but for one if it is given, that must notice nothing."""

    def __init__(self, ensemble, but=None):
        self.ensemble, self.at = ensemble, 0
        members = [member for member in ensemble.running() if member is not but]
        self.clients = [member.client() for member in members]
        self.path = "/neighbours-%x" % self.clients[0].id
        self.clients[0].create(self.path)
        self.roles = {member: (member.mode(), member.log_size()) for member in members}

    def write(self):
        self.at += 1
        for client in self.clients:
            client.set(self.path, b"%d" % self.at)

    def noticed_nothing(self):
        self.write()
        for client in self.clients:
            client.close()
        for member, (mode, since) in self.roles.items():
            same(member.mode(), mode, "role of %r" % member)
            require("LOOKING" not in member.log(since), "%r looked for a leader: %s" % (member, member.last_words()))


@check
def strangers_on_ports_of_members(ensemble):
    """A hundred that are no members: each is closed, and a few lines tell of all."""
    impatient(ensemble)
    leader, follower = ensemble.leader(), ensemble.followers()[0]
    for member in (leader, follower):
        neighbours = Neighbours(ensemble)
        since, start, sent = settled(member), time.monotonic(), 0
        for at in range(100 // (2 * len(NO_MEMBERS))):
            strangers = []
            for name, (to_election, to_quorum) in NO_MEMBERS.items():
                strangers.append((name, call(member.quorum_port, to_quorum)))
                strangers.append((name, call(member.election_port, to_election)))
            neighbours.write()
            for name, stranger in strangers:
                try:
                    closed(stranger)
                except TimeoutError:
                    require(False, "%r does not close %s" % (member, name))
            sent += len(strangers)
        lines = counted(member, since, sent, "strangers")
        same(sum(times for times, _ in lines), sent, "strangers on %r that %r tell of" % (member, lines))
        few(lines, start)
        neighbours.noticed_nothing()


@check
def numbers_that_are_not_theirs(ensemble):
    """This server's own number, one that another member has, one that nobody has."""
    impatient(ensemble)
    leader, follower = ensemble.leader(), ensemble.followers()[0]
    # A member that is not heard for a tick, as on a machine that stands still, gives its place to its twin for a while.
    neighbours = Neighbours(ensemble, but=follower)
    since = settled(leader)
    closed(call(leader.quorum_port, introduction(leader.sid)))
    closed(call(leader.election_port, hello(leader.sid)))
    # The second one is among those that are counted, and the last of them is told.
    lines = counted(leader, since, 2, "its own number")
    require("as this one" in lines[-1][1], "own number: %r" % lines)
    # A second server with the number of a follower waits, and the first one stays.
    since = settled(leader)
    twins = [call(leader.quorum_port, introduction(follower.sid)) for _ in range(5)]
    # Java lets any server follow that says who it is, so that lists of members may grow one by one; it has no vote.
    unknown = call(leader.quorum_port, introduction(55))
    unknown.settimeout(60)
    same(struct.unpack(">i", unknown.recv(4))[0], LEADER_INFO, "what a server of no list is answered")
    neighbours.write()
    unknown.close()
    # The one that greets with a member's number takes over the place of its connection for votes, as in Java. The member
    # calls again.
    for at in range(3):
        closed(call(follower.election_port, hello(leader.sid) + struct.pack(">i", LONGEST)))
        neighbours.write()
    for twin in twins:
        closed(twin, patience_s=120)
    lines = counted(leader, since, len(twins) + 1, "numbers of others")
    require(any("no list of members" in text for _, text in lines), "a number of nobody: %r" % lines)
    require(any("two servers have its number" in text for _, text in lines), "a number of another: %r" % lines)
    neighbours.noticed_nothing()
    ensemble.whole()
    # Votes still reach everybody.
    leader.kill()
    ensemble.whole()
    ensemble.start(leader)
    ensemble.whole()


SILENT = 50


@check
def silence_on_ports_of_members(ensemble):
    """Those that say nothing are closed in time. Meanwhile clients are served, and a member comes back."""
    impatient(ensemble)
    leader = ensemble.leader()
    follower, other = ensemble.followers()
    neighbours = Neighbours(ensemble)
    neighbours.roles.pop(other)
    sizes = {member: settled(member) for member in (leader, follower)}
    start = time.monotonic()
    # Some begin, and stop in the middle.
    to_quorum = [call(leader.quorum_port, introduction(9)[:at % 20]) for at in range(SILENT)]
    to_election = [call(member.election_port, hello(9)[:at % 20])
                   for member in (leader, follower) for at in range(SILENT)]
    # These say who they are, a number of nobody, and no more.
    to_election += [call(follower.election_port, hello(100 + at)) for at in range(10)]
    neighbours.write()
    other.kill()
    neighbours.clients.pop(ensemble.members.index(other)).drop()
    neighbours.write()
    ensemble.start(other)
    ensemble.whole()
    took_s = time.monotonic() - start
    left = sum(is_open(silent) for silent in to_quorum)
    # On a machine that stood still meanwhile this says nothing; else the member came back while they were there.
    require(left == SILENT or took_s > PATIENCE * TICK_MS / 1000, "%d of %d are open after %.1f s" % (left, SILENT, took_s))
    neighbours.write()
    for silent in to_quorum + to_election:
        closed(silent, patience_s=120)
    require(time.monotonic() - start > 1, "they were closed at once")
    for member, expected in ((leader, 2 * SILENT), (follower, SILENT + 10)):
        few(counted(member, sizes[member], expected, "silent ones"), start)
    neighbours.noticed_nothing()

