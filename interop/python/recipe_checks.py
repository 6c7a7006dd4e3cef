"""kazoo's recipes, contested by several clients where that is what they are for."""

import datetime
import threading
import time

from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.cache import TreeCache, TreeEvent

from harness import check, equal, eventually, raises, together


class Inside:
    """Counts who is inside a protected section at the same time."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.entries = 0

    def __enter__(self):
        with self._lock:
            self._now += 1
            self.entries += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *_):
        with self._lock:
            self._now -= 1


@check
def lock_contested(env):
    """A read and a write without a version, so that only the lock keeps increments from getting lost."""
    clients = [env.client() for _ in range(4)]
    clients[0].create(env.path, b"0")
    inside = Inside()

    def worker(zk, name):
        lock = zk.Lock(env.path + "/lock", name)
        for _ in range(6):
            with lock, inside:
                value = int(zk.get(env.path)[0])
                zk.set(env.path, b"%d" % (value + 1))

    together(*[lambda zk=zk, i=i: worker(zk, "w%d" % i) for i, zk in enumerate(clients * 2)])
    equal(clients[0].get(env.path)[0], b"48")
    equal((inside.entries, inside.most), (48, 1))
    equal(clients[0].get_children(env.path + "/lock"), [])


@check
def lock_calls(env):
    one, two = env.client(), env.client()
    first, second = one.Lock(env.path, "first"), two.Lock(env.path, "second")
    assert first.acquire()
    equal(first.acquire(blocking=False), False, "not re-entrant")
    equal(second.acquire(blocking=False), False)
    raises(LockTimeout, second.acquire, timeout=0.2)
    equal(second.contenders(), ["first"])

    waiting = threading.Thread(target=second.acquire, daemon=True)
    waiting.start()
    eventually(lambda: first.contenders() == ["first", "second"], "two contenders")
    first.release()
    waiting.join(10)
    assert second.is_acquired

    outcome = []
    third = one.Lock(env.path, "third")
    cancelled = threading.Thread(target=lambda: outcome.append(raises(CancelledError, third.acquire)), daemon=True)
    cancelled.start()
    eventually(lambda: "third" in second.contenders(), "the third waits")
    third.cancel()
    cancelled.join(10)
    equal(len(outcome), 1, "cancelled waits")
    equal(second.contenders(), ["second"])


@check
def lock_is_freed_by_the_end_of_a_session(env):
    one, two = env.client(), env.client()
    assert one.Lock(env.path, "one").acquire()
    second = two.Lock(env.path, "two")
    waiting = threading.Thread(target=second.acquire, daemon=True)
    waiting.start()
    eventually(lambda: second.contenders() == ["one", "two"], "two contenders")
    one.stop()
    waiting.join(10)
    assert second.is_acquired


@check
def lock_survives_a_killed_server(env):
    server = env.own_server()
    one, two = env.client(), env.client()
    first, second = one.Lock("/lock", "first"), two.Lock("/lock", "second")
    assert first.acquire()
    waiting = threading.Thread(target=second.acquire, daemon=True)
    waiting.start()
    eventually(lambda: first.contenders() == ["first", "second"], "two contenders")
    server.kill()
    server.start()
    eventually(lambda: one.connected and two.connected, "connected again")
    equal(one.retry(first.contenders), ["first", "second"], "both kept their places")
    equal(second.is_acquired, False)
    first.release()
    waiting.join(15)
    assert second.is_acquired


@check
def read_and_write_locks(env):
    clients = [env.client() for _ in range(3)]
    readers = [zk.ReadLock(env.path, "r%d" % i) for i, zk in enumerate(clients)]
    writer = clients[0].WriteLock(env.path, "w")
    for reader in readers:
        assert reader.acquire(timeout=5), "readers share"
    equal(writer.acquire(blocking=False), False)

    waiting = threading.Thread(target=writer.acquire, daemon=True)
    waiting.start()
    eventually(lambda: "w" in writer.contenders(), "the writer waits")
    late = clients[1].ReadLock(env.path, "late")
    equal(late.acquire(blocking=False), False, "a reader behind a waiting writer")
    for reader in readers:
        equal(writer.is_acquired, False)
        reader.release()
    waiting.join(10)
    assert writer.is_acquired
    raises(LockTimeout, late.acquire, timeout=0.2)
    writer.release()
    assert late.acquire(timeout=5)


@check
def read_and_write_locks_contested(env):
    clients = [env.client() for _ in range(3)]
    reading, writing = Inside(), Inside()

    def read(zk):
        for _ in range(4):
            with zk.ReadLock(env.path, "r"), reading:
                equal(writing._now, 0, "writers beside a reader")

    def write(zk):
        for _ in range(4):
            with zk.WriteLock(env.path, "w"), writing:
                equal(reading._now, 0, "readers beside a writer")

    together(*[lambda zk=zk, f=f: f(zk) for zk in clients for f in (read, write)])
    equal((reading.entries, writing.entries, writing.most), (12, 12, 1))


@check
def semaphore_contested(env):
    clients = [env.client() for _ in range(4)]
    inside = Inside()
    full = threading.Barrier(3)

    def worker(zk, name):
        semaphore = zk.Semaphore(env.path, name, max_leases=3)
        for turn in range(3):
            with semaphore, inside:
                if turn == 0:
                    # Three wait here for each other: all leases can be held at once.
                    full.wait(15)

    together(*[lambda zk=zk, i=i: worker(zk, "w%d" % i) for i, zk in enumerate(clients + clients[:2])])
    equal((inside.entries, inside.most), (18, 3))


@check
def semaphore_calls(env):
    one, two = env.client(), env.client()
    first, second = one.Semaphore(env.path, "first"), two.Semaphore(env.path, "second")
    assert first.acquire()
    equal(second.acquire(blocking=False), False)
    raises(LockTimeout, second.acquire, timeout=0.2)
    equal(second.lease_holders(), ["first"])
    one.stop()
    assert second.acquire(timeout=10), "the lease of an ended session is free"
    equal(second.lease_holders(), ["second"])
    raises(ValueError, two.Semaphore(env.path, "other", max_leases=2).acquire)


@check
def election(env):
    clients = [env.client() for _ in range(4)]
    inside, led = Inside(), []
    elections = [zk.Election(env.path, "c%d" % i) for i, zk in enumerate(clients)]
    go = threading.Event()

    def lead(name):
        with inside:
            led.append(name)
            if len(led) == 1:
                go.wait(15)

    threads = [
        threading.Thread(target=election.run, args=(lead, "c%d" % i), daemon=True)
        for i, election in enumerate(elections)
    ]
    for thread in threads:
        thread.start()
    everyone = {"c0", "c1", "c2", "c3"}
    eventually(lambda: set(elections[0].contenders()) == everyone, "four contenders")
    order = elections[0].contenders()
    eventually(lambda: led == order[:1], "the first leads")
    quitter = int(order[2][1:])
    elections[quitter].cancel()
    threads[quitter].join(10)
    go.set()
    for thread in threads:
        thread.join(10)
    equal(led, [name for name in order if name != order[2]], "leaders in the order of their coming")
    equal(inside.most, 1)


@check
def barrier(env):
    one, two = env.client(), env.client()
    gate, other = one.Barrier(env.path), two.Barrier(env.path)
    equal(other.wait(1), True, "no barrier, no wait")
    gate.create()
    equal(other.wait(0.2), False)
    released = []
    waiting = threading.Thread(target=lambda: released.append(other.wait(10)), daemon=True)
    waiting.start()
    equal(gate.remove(), True)
    waiting.join(10)
    equal(released, [True])
    equal(gate.remove(), False)


@check
def double_barrier(env):
    clients = [env.client() for _ in range(4)]
    entered, left = [], []

    def member(zk, name):
        gate = zk.DoubleBarrier(env.path, len(clients), name)
        entered.append(name)
        gate.enter()
        equal(len(entered), len(clients), "members that came before anybody is in")
        left.append(name)
        gate.leave()
        equal(len(left), len(clients), "members that left before anybody is out")

    together(*[lambda zk=zk, i=i: member(zk, "m%d" % i) for i, zk in enumerate(clients)])
    equal(clients[0].get_children(env.path), [])


@check
def queue_contested(env):
    clients = [env.client() for _ in range(4)]
    items = [b"%03d" % number for number in range(80)]

    def put(zk, part):
        for item in part:
            zk.Queue(env.path).put(item)

    together(*[lambda zk=zk, i=i: put(zk, items[i::4]) for i, zk in enumerate(clients)])
    equal(len(clients[0].Queue(env.path)), 80)
    taken = []

    def take(zk):
        own = zk.Queue(env.path)
        while (item := own.get()) is not None:
            taken.append(item)

    together(*[lambda zk=zk: take(zk) for zk in clients])
    # kazoo reads, then deletes: a second consumer is told NoNode and goes on, so nothing comes twice.
    equal(sorted(taken), items)


@check
def queue_priorities(env):
    own = env.client().Queue(env.path)
    for value, priority in [(b"low", 200), (b"middle-1", 100), (b"high", 1), (b"middle-2", 100)]:
        own.put(value, priority)
    equal([own.get() for _ in range(5)], [b"high", b"middle-1", b"middle-2", b"low", None])


@check
def locking_queue(env):
    one, two = env.client(), env.client()
    first, second = one.LockingQueue(env.path), two.LockingQueue(env.path)
    first.put_all([b"b", b"c"], priority=50)
    first.put(b"a", priority=1)
    equal(len(first), 3)
    equal((first.get(), second.get()), (b"a", b"b"))
    equal((first.holds_lock(), first.get()), (True, b"a"))
    equal((first.consume(), first.consume()), (True, False))
    equal(second.release(), True)
    equal((first.get(), second.get(), second.consume()), (b"b", b"c", True))
    equal(second.get(timeout=0.2), None, "all entries are taken")

    outcome = []
    waiting = threading.Thread(target=lambda: outcome.append(second.get(10)), daemon=True)
    waiting.start()
    one.stop()
    waiting.join(10)
    equal(outcome, [b"b"], "an entry of an ended session is free again")
    equal((second.consume(), len(second)), (True, 0))


@check
def locking_queue_contested(env):
    clients = [env.client() for _ in range(3)]
    items = [b"%02d" % number for number in range(24)]
    clients[0].LockingQueue(env.path).put_all(items)
    done = []

    def work(zk):
        own = zk.LockingQueue(env.path)
        while len(own) > 0:
            item = own.get(timeout=0.5)
            if item is not None:
                assert own.consume()
                done.append(item)

    together(*[lambda zk=zk: work(zk) for zk in clients])
    equal(sorted(done), items)


@check
def counter(env):
    clients = [env.client() for _ in range(4)]

    def add(zk):
        own = zk.Counter(env.path + "-int")
        for _ in range(5):
            own += 3
            own -= 1

    together(*[lambda zk=zk: add(zk) for zk in clients])
    equal(clients[0].Counter(env.path + "-int").value, 40)

    fraction = clients[0].Counter(env.path + "-float", default=0.5)
    fraction += 2.25
    equal((fraction.value, fraction.pre_value, fraction.post_value), (2.75, 0.5, 2.75))

    curator = clients[0].Counter(env.path + "-curator", support_curator=True)
    curator += 7
    equal(clients[1].Counter(env.path + "-curator", support_curator=True).value, 7)
    equal(clients[1].get(env.path + "-curator")[0], b"\0\0\0\x07")


@check
def party(env):
    for kind in ("Party", "ShallowParty"):
        path = env.path + "/" + kind
        clients = [env.client() for _ in range(3)]
        members = [getattr(zk, kind)(path, "m%d" % i) for i, zk in enumerate(clients)]
        for member in members:
            equal(member.participating, False)
            member.join()
            equal(member.participating, True)
        equal((sorted(members[0]), len(members[0])), (["m0", "m1", "m2"], 3))
        members[1].leave()
        equal(sorted(members[0]), ["m0", "m2"])
        clients[2].stop()
        equal(sorted(members[0]), ["m0"], kind)


@check
def set_partitioner(env):
    clients = [env.client() for _ in range(3)]
    wanted = tuple("part-%d" % number for number in range(7))
    state = {"stop": False}
    partitioners = {}

    def drive(zk, name):
        own = zk.SetPartitioner(env.path, set=wanted, identifier=name, time_boundary=0.5)
        partitioners[name] = own
        while not state["stop"] and not own.failed:
            if own.release:
                own.release_set()
            elif own.allocating:
                own.wait_for_acquire(0.1)
            else:
                time.sleep(0.02)

    threads = [
        threading.Thread(target=drive, args=(zk, "p%d" % i), daemon=True) for i, zk in enumerate(clients)
    ]
    for thread in threads:
        thread.start()

    def shares(names):
        owners = [partitioners.get(name) for name in names]
        if not all(owner is not None and owner.acquired for owner in owners):
            return None
        parts = [list(owner) for owner in owners]
        # Each member sees a change at its own time: only a whole division counts.
        return parts if sorted(sum(parts, [])) == sorted(wanted) else None

    parts = eventually(lambda: shares(["p0", "p1", "p2"]), "divided by three")
    equal(sorted(map(len, parts)), [2, 2, 3])
    partitioners["p1"].finish()
    parts = eventually(lambda: shares(["p0", "p2"]), "divided by two after a member left")
    equal(sorted(map(len, parts)), [3, 4])
    clients[2].stop()
    parts = eventually(lambda: shares(["p0"]), "one holds all after a session ended")
    equal(len(parts[0]), 7)
    state["stop"] = True
    for thread in threads:
        thread.join(10)


@check
def leases(env):
    one, two = env.client(), env.client()
    hour = datetime.timedelta(hours=1)
    path = env.path + "/one"
    assert one.NonBlockingLease(path, hour, identifier="a")
    assert not two.NonBlockingLease(path, hour, identifier="b"), "held by another"
    assert two.NonBlockingLease(path, hour, identifier="a"), "renewed by its holder"
    later = datetime.datetime(2100, 1, 1)
    assert two.NonBlockingLease(path, hour, identifier="b", utcnow=lambda: later), "the old lease has ended"

    names = ["a", "b", "c", "d"]
    taken = together(
        *[
            lambda zk=zk, name=name: bool(zk.MultiNonBlockingLease(2, env.path + "/many", hour, identifier=name))
            for zk, name in zip([one, two, one, two], names)
        ]
    )
    equal(sum(taken), 2, "holders of two leases")


@check
def tree_cache(env):
    zk, other = env.client(), env.client()
    zk.create(env.path, b"root")
    zk.create(env.path + "/a", b"1")
    cache = TreeCache(zk, env.path)
    events, faults = [], []
    cache.listen(lambda event: events.append((event.event_type, event.event_data and event.event_data.path)))
    cache.listen_fault(faults.append)
    cache.start()
    eventually(lambda: (TreeEvent.INITIALIZED, None) in events, "initialized")
    equal(cache.get_data(env.path + "/a").data, b"1")
    equal(cache.get_children(env.path), frozenset(["a"]))

    other.ensure_path(env.path + "/b/c/d")
    other.set(env.path + "/b/c/d", b"deep")
    eventually(lambda: (node := cache.get_data(env.path + "/b/c/d")) and node.data == b"deep", "a deep node")
    other.set(env.path + "/a", b"2")
    eventually(lambda: cache.get_data(env.path + "/a").data == b"2", "a change")
    other.delete(env.path + "/b", recursive=True)
    eventually(lambda: cache.get_children(env.path) == frozenset(["a"]), "a removal")
    eventually(lambda: (TreeEvent.NODE_REMOVED, env.path + "/b/c/d") in events, "its event")
    assert (TreeEvent.NODE_ADDED, env.path + "/b/c/d") in events
    assert (TreeEvent.NODE_UPDATED, env.path + "/a") in events

    for number in range(100):
        other.create_async("%s/n%d" % (env.path, number), b"x")
    eventually(lambda: len(cache.get_children(env.path)) == 101, "a hundred more")
    cache.close()
    equal(faults, [])


@check
def tree_cache_over_a_killed_server(env):
    server = env.own_server()
    zk, other = env.client(), env.client()
    zk.create("/t", b"root")
    cache = TreeCache(zk, "/t")
    events = []
    cache.listen(lambda event: events.append(event.event_type))
    cache.start()
    eventually(lambda: TreeEvent.INITIALIZED in events, "initialized")
    server.kill()
    eventually(lambda: TreeEvent.CONNECTION_SUSPENDED in events, "suspended")
    server.start()
    eventually(lambda: other.connected, "connected again")
    other.retry(other.create, "/t/new", b"made after the restart")
    eventually(lambda: cache.get_data("/t/new"), "the new node")
    assert TreeEvent.CONNECTION_RECONNECTED in events
    cache.close()
