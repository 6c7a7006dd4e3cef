"""What operators set of how members connect, catch up and serve. Each check has ensembles of its own."""

import os
import shutil
import socket

from members import Ensemble, eventually, require, same, wire

NOT_SERVING = "This ZooKeeper instance is not currently serving requests\n"

CHECKS = []


def check(*kinds):
    """A check with the ensembles that it runs on; of these SERVER=java has those of Apache ZooKeeper alone."""
    def add(function):
        CHECKS.append((function.__name__.replace("_", "-"), kinds, function))
        return function
    return add


def counted(member, name):
    return int(member.monitor()["zk_" + name])


def write(member, path, data=b""):
    client = member.client()
    client.create(path, data)
    client.close()


def logs(member):
    folder = os.path.join(member.data, "version-2")
    return [name for name in os.listdir(folder) if name.startswith("log.")]


def led(members):
    """A member that has something from a leader that is there: `mode` may be that of a moment ago."""
    for member in members:
        try:
            same(member.read("/a"), b"one", "what was written before")
            return member
        except wire.Gone:
            pass
    return None


@check("zzz", "jjz", "jjj")
def a_leader_without_clients(ensemble):
    """`leaderServes=no`: the leader is to its clients as a server without a leader."""
    for member in ensemble.members:
        member.settings["leaderServes"] = "no"
    ensemble.start()

    def followers():
        found = [member for member in ensemble.running() if member.mode() == "follower"]
        return len(found) == 2 and found
    served = eventually(followers, lambda: "two followers: %s" % ensemble.state())
    leader, = [member for member in ensemble.members if member not in served]
    client = served[0].client()
    client.create("/a", b"one")
    same(served[1].read("/a"), b"one", "what the other follower has")
    for word in ("srvr", "mntr", "stat"):
        same(leader.word(word), NOT_SERVING, "%s of the leader" % word)
    try:
        leader.client().drop()
        require(False, "the leader takes a client")
    except wire.Gone:
        pass
    client.drop()
    # One that begins to lead sends its clients away.
    clients = {member: member.client() for member in served}
    leader.kill()
    follower = eventually(lambda: led(served), lambda: "one follows: %s" % ensemble.state())
    second, = [member for member in served if member is not follower]
    same(second.word("srvr"), NOT_SERVING, "srvr of the next leader")
    try:
        clients[second].get("/a")
        require(False, "the next leader keeps a client")
    except wire.Gone:
        pass
    # The one that led takes clients when it follows.
    leader.start(ensemble.members)
    served = eventually(followers, lambda: "two followers: %s" % ensemble.state())
    eventually(lambda: led(served[:1]) and led(served[1:]), lambda: "both have all: %s" % ensemble.state())


@check("zzz", "zzj", "jjj")
def several_addresses(ensemble):
    """Members that are reached at 127.0.0.2 when nobody answers at the port that is listed first."""
    for member in ensemble.members:
        member.flags = ("-Dzookeeper.multiAddress.enabled=true",)
        if member.kind == "z":
            member.settings["multiAddress.enabled"] = "true"
    lines = {member: member.line() for member in ensemble.members}
    for member in ensemble.members:
        _, _, own = lines[member].partition("127.0.0.1")
        ports = own.split(":")
        second = "127.0.0.2:%s:%s:%s" % (ports[1], ports[2], ports[3])
        both = "server.%d=127.0.0.1%s|%s" % (member.sid, own, second)
        member.line = lambda both=both: both
    ensemble.begin()
    for member in ensemble.members:
        hosts = {host for host in ("127.0.0.1", "127.0.0.2") if listens(host, member.election_port)}
        same(hosts, {"127.0.0.1", "127.0.0.2"}, "addresses of the election port of %r" % member)
    write(ensemble.members[0], "/a", b"one")
    same(ensemble.members[1].read("/a"), b"one", "what another member has")


def listens(host, port):
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


@check("zzz")
def an_address_that_nobody_answers(ensemble):
    """In the files of the others, the first address of each member is one where nothing is."""
    everyone = list(ensemble.members)
    for member in everyone:
        member.settings["multiAddress.enabled"] = "true"

    class Seen:
        """A member as others have it in their files."""

        def __init__(self, member, own):
            self.member, self.own = member, own

        def line(self):
            line = self.member.line()
            if self.own:
                return line
            name, _, address = line.partition("=")
            return "%s=127.0.0.3%s|%s" % (name, address.partition("127.0.0.1")[2], address)

    def start(member):
        member.start([Seen(other, other is member) for other in everyone])
    for member in everyone:
        start(member)
    leader = ensemble.whole()
    write(leader, "/a", b"one")
    leader.kill()
    ensemble.whole()
    start(leader)
    ensemble.whole()
    for member in everyone:
        same(member.read("/a"), b"one", "what %r has" % member)


@check("zzz")
def a_port_that_is_taken(ensemble):
    member = ensemble.members[0]
    member.settings["electionPortBindRetry"] = "2"
    with socket.create_server(("127.0.0.1", member.election_port)):
        ensemble.start()
        eventually(lambda: member.process.poll() is not None, "it ends")
        same(member.process.returncode, 14, "exit code")
    require("electionPortBindRetry" in member.last_words(), lambda: member.last_words())
    member.kill()
    ensemble.whole()
    member.settings["electionPortBindRetry"] = "0"
    with socket.create_server(("127.0.0.1", member.election_port)):
        member.start(ensemble.members)
        eventually(lambda: "not to be had" in member.log(), lambda: member.last_words())
    ensemble.whole()


@check("zzz", "jjz", "jjj")
def whole_states(ensemble):
    """`forceSnapshotSync`: a member that is one transaction behind gets the state."""
    for member in ensemble.members:
        member.settings["forceSnapshotSync"] = "true"
    leader = ensemble.begin()
    behind = ensemble.followers()[0]
    behind.stop()
    before = counted(leader, "snap_count"), counted(leader, "diff_count")
    write(leader, "/a", b"one")
    behind.start(ensemble.members)
    same(ensemble.whole(), leader, "leader")
    same((counted(leader, "snap_count"), counted(leader, "diff_count")), (before[0] + 1, before[1]), "syncs")
    same(behind.read("/a"), b"one", "what it got")


@check("zzz")
def how_far_behind_the_log_is_used(ensemble):
    """`commitLogCount` and `snapshotSizeFactor` decide between transactions and state."""
    for settings, kind in [
            ({"commitLogCount": "500"}, "snap_count"),
            ({"commitLogCount": "1000"}, "diff_count"),
            ({"commitLogCount": "500", "snapshotSizeFactor": "0"}, "diff_count"),
            ({"commitLogCount": "1000", "snapshotSizeFactor": "-1"}, "diff_count"),
            ({"commitLogCount": "500", "snapshotSizeFactor": "-1"}, "snap_count"),
            ({}, "diff_count")]:
        for member in ensemble.members:
            member.settings = {"autopurge.purgeInterval": "0", **settings}
        leader = ensemble.again() if ensemble.running() else ensemble.begin()
        behind = ensemble.followers()[0]
        behind.stop()
        client = leader.client()
        if not client.exists("/a"):
            client.create("/a")
        client.pipeline([(wire.SET, wire.set_data("/a", b"x"))] * 700)
        client.close()
        before = counted(leader, kind)
        behind.start(ensemble.members)
        same(ensemble.whole(), leader, "leader")
        same(counted(leader, kind), before + 1, "%s with %s" % (kind, settings))
        ensemble.level()


@check("zzz+z", "jjj+z", "jjj+j")
def an_observer_without_a_log(ensemble):
    """`syncEnabled=false`: what an observer has got since its last state is not on its disk."""
    observer = ensemble.members[-1]
    observer.settings["syncEnabled"] = "false"
    leader = ensemble.begin()
    write(leader, "/a", b"one")
    ensemble.level()
    same(logs(observer), [], "logs of the observer")
    require(logs(leader), "the leader has logs")
    same(observer.read("/a"), b"one", "what it has")
    for ending in (observer.kill, observer.stop):
        ending()
        write(leader, "/%s" % ending.__name__, b"two")
        observer.start(ensemble.members)
        ensemble.whole()
        same(observer.read("/%s" % ending.__name__), b"two", "what it has got since")
        same(observer.read("/a"), b"one", "what it had")
    same(logs(observer), [], "logs of the observer")
    # It can write a log from now on.
    observer.settings["syncEnabled"] = "true"
    observer.stop()
    observer.start(ensemble.members)
    ensemble.whole()
    write(leader, "/c", b"three")
    ensemble.level()
    require(logs(observer), "the observer has a log")
    observer.kill()
    observer.start(ensemble.members)
    ensemble.whole()
    for path in ("/a", "/kill", "/stop", "/c"):
        require(observer.read(path), "%s is there" % path)


def run(runner, java, names):
    for name, kinds, function in CHECKS:
        for kind in kinds:
            if (set(kind) <= {"j", "+"}) != java or names and name not in names:
                continue
            ensemble = Ensemble(kind, runner.folder(kind))
            if runner.one("%s %s" % (kind, name), function, ensemble):
                ensemble.end()
                shutil.rmtree(ensemble.folder, ignore_errors=True)
            else:
                runner.keep(ensemble)
