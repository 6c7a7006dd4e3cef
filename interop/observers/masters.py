"""What observers at followers must do. Each check leaves the ensemble whole."""

import contextlib
import time

from servers import Super, checks, eventually, require, same, sync_kinds, wire

fill, same_trees = checks.fill, checks.same_trees

SHORT_MS = 6000


def observers_are_with_followers(ensemble):
    """The leader has nothing to do with them, and says so."""
    leader = ensemble.whole()
    same(leader.served(), 0, "observers at the leader %r" % leader)
    same(leader.monitor().get("zk_learners"), str(len(ensemble.followers())), "learners of %r" % leader)
    for observer in ensemble.observers:
        master = ensemble.master_of(observer)
        require(master is not leader and master in ensemble.voters, "%r is with %r" % (observer, master))
        same(observer.monitor()["zk_server_state"], "observer", "state of %r" % observer)
        require(master.served() > 0, "%r says it has none" % master)


def sync_of(ensemble, observer, sizes):
    """How the master that the observer is with now brought it up."""
    master = ensemble.master_of(observer)
    return sync_kinds(master, observer, sizes[master])[-1:]


def logs(ensemble):
    return {member: member.log_size() for member in ensemble.voters}


def what_it_lacks(ensemble):
    """An observer that was away gets what it lacks."""
    for observer in ensemble.observers:
        ensemble.level()
        observer.kill()
        leader = ensemble.whole()
        fill(leader, "/without-%r" % observer, 20)
        ensemble.level()
        sizes = logs(ensemble)
        ensemble.start(observer)
        ensemble.whole()
        same(sync_of(ensemble, observer, sizes), ["DIFF"], "how %r was brought up" % observer)
    same_trees(ensemble)


def the_whole_state(ensemble):
    """An observer with an empty disk gets the whole state from followers whose logs do not begin at the beginning."""
    fill(ensemble.leader(), "/for-snapshots", 250)
    ensemble.again(purged=True)
    for observer in ensemble.observers:
        observer.kill()
        observer.wipe()
        sizes = logs(ensemble)
        ensemble.start(observer)
        ensemble.whole()
        same(sync_of(ensemble, observer, sizes), ["SNAP"], "how %r was brought up" % observer)
    same_trees(ensemble)


def speak(clients, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for client in clients:
            client.ping()
        time.sleep(0.1)


def again(observer, client):
    """The session of a client that was disconnected, at the same observer."""
    def back():
        with contextlib.suppress(wire.Gone):
            return observer.client(session=(client.id, client.password))
    client.drop()
    renewed = eventually(back, "%r takes the client back" % observer)
    same(renewed.id, client.id, "session at %r" % observer)
    return renewed


def goes_on(ensemble, observer, lost):
    """A client of the observer outlives the end of that member: session, ephemeral node, watch and writes."""
    client = observer.client()
    path = "/outlives-%r-%r-%x" % (lost, observer, client.id)
    client.create(path, b"0", flags=wire.EPHEMERAL)
    lost.kill()
    client = again(observer, client)
    ensemble.whole()
    same(client.exists(path, watch=True)["ephemeralOwner"], client.id, "owner of %s" % path)
    other = ensemble.leader().client()
    other.set(path, b"1")
    same(client.await_events(1)[0][2], path, "what the watch tells")
    same(client.get(path), b"1", "data of %s" % path)
    client.close()
    other.sync()
    same(other.exists(path), None, "the node of a closed session")
    other.close()


def its_master_dies(ensemble):
    for observer in ensemble.observers:
        master = ensemble.master_of(observer)
        goes_on(ensemble, observer, master)
        require(ensemble.master_of(observer) is not master, "%r is with the dead" % observer)
        ensemble.start(master)
        ensemble.whole()
    same_trees(ensemble)


def the_leader_dies(ensemble):
    leader = ensemble.whole()
    goes_on(ensemble, ensemble.observers[0], leader)
    ensemble.start(leader)
    ensemble.whole()
    same_trees(ensemble)


def sessions_through_the_master(ensemble):
    """Sessions of observers' clients live while these speak, and end when they are silent."""
    held = {observer: observer.client(timeout_ms=SHORT_MS) for observer in ensemble.observers}
    paths = {observer: "/through-%r-%x" % (observer, client.id) for observer, client in held.items()}
    for observer, client in held.items():
        client.create(paths[observer], flags=wire.EPHEMERAL)
    speak(held.values(), 1.3 * SHORT_MS / 1000)
    # And those that come from another member: the leader is asked, by way of the master.
    moved = []
    for observer in ensemble.observers:
        away = ensemble.leader().client(timeout_ms=SHORT_MS)
        away.drop()
        moved.append(observer.client(timeout_ms=SHORT_MS, session=(away.id, away.password)))
        require(moved[-1].id, "a session that moved to %r" % observer)
        speak([*held.values(), *moved], 0.5)
    for observer, client in held.items():
        same(client.exists(paths[observer])["ephemeralOwner"], client.id, "owner of %s" % paths[observer])
    for client in (*held.values(), *moved):
        client.drop()
    watcher = ensemble.leader().client()
    for observer, client in held.items():
        eventually(lambda: watcher.exists(paths[observer]) is None, "the end of a silent session of %r" % observer)
        gone = observer.client(session=(client.id, client.password))
        same(gone.id, 0, "an expired session at %r" % observer)
        gone.drop()
    watcher.close()


def members_change(ensemble):
    """Observers hear of a new list of members from their masters."""
    leader = ensemble.whole()
    masters = [ensemble.master_of(observer) for observer in ensemble.observers]
    leaving = next((member for member in ensemble.voters if member is not leader and member not in masters), None)
    if leaving is None:
        return
    session = Super(leader.port)

    def known(text):
        version = text.rpartition("version=")[2]

        def everywhere():
            for observer in ensemble.observers:
                with contextlib.closing(observer.client()) as client:
                    if client.get("/zookeeper/config").decode().rpartition("version=")[2] != version:
                        return False
            return True
        eventually(everywhere, "observers know version %s" % version)
    text = session.reconfig(leaving=str(leaving.sid))
    require("server.%d=" % leaving.sid not in text, text)
    known(text)
    text = session.reconfig(joining=leaving.line())
    require("server.%d=" % leaving.sid in text, text)
    known(text)
    session.drop()
    ensemble.whole()
    same_trees(ensemble)


# Not how sessions move: between a follower and an observer behind it the leader, of either kind, sees no move.
BORROWED = [(name, function) for name, function in checks.CHECKS if name in (
    "writes-through-each-member", "sync-reads-what-another-member-acknowledged", "ephemerals-and-sequential-nodes",
    "watches-across-members", "multi", "the-same-tree-everywhere")]

OWN = [(function.__name__.replace("_", "-"), function) for function in (
    observers_are_with_followers, sessions_through_the_master, what_it_lacks, the_whole_state, its_master_dies,
    the_leader_dies, members_change)]

ALL = OWN[:1] + BORROWED + OWN[1:]
