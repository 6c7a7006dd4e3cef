"""One-shot watches, their order, and the two watching recipes."""

import queue

from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType
from kazoo.recipe.watchers import PatientChildrenWatch

from harness import check, equal, eventually, raises


class Seen:
    """Collects what a callback gets, in order."""

    def __init__(self):
        self._queue = queue.Queue()

    def __call__(self, *what):
        self._queue.put(what[0] if len(what) == 1 else what)

    def next(self):
        return self._queue.get(timeout=10)

    def nothing_more(self, zk):
        """A round trip and the callback thread's turn come first: what was sent before has arrived."""
        zk.sync("/")
        done = queue.Queue()
        zk.handler.callback_queue.put(lambda: done.put(None))
        done.get(timeout=10)
        assert self._queue.empty(), "unexpected %r" % (self._queue.get(),)


@check
def watch_events(env):
    zk, other = env.client(), env.client()
    path = env.path
    seen = Seen()

    def expect(kind, where=path):
        event = seen.next()
        equal((event.type, event.state, event.path), (kind, "CONNECTED", where))
        seen.nothing_more(zk)

    equal(zk.exists(path, watch=seen), None)
    other.create(path)
    expect(EventType.CREATED)
    other.set(path, b"no watch is left")
    seen.nothing_more(zk)

    zk.get(path, watch=seen)
    other.set(path, b"1")
    expect(EventType.CHANGED)
    zk.exists(path, watch=seen)
    other.set(path, b"2")
    expect(EventType.CHANGED)

    zk.get_children(path, watch=seen)
    other.create(path + "/child")
    expect(EventType.CHILD)
    zk.get_children(path, watch=seen)
    other.set(path + "/child", b"is no change of the list")
    seen.nothing_more(zk)
    other.delete(path + "/child")
    expect(EventType.CHILD)

    raises(NoNodeError, zk.get, path + "/missing", seen)
    other.create(path + "/missing")
    seen.nothing_more(zk)

    zk.get(path + "/missing", watch=seen)
    other.delete(path + "/missing")
    expect(EventType.DELETED, path + "/missing")
    zk.get_children(path, watch=seen)
    other.delete(path)
    expect(EventType.DELETED)


@check
def watch_of_own_change_and_of_a_transaction(env):
    zk = env.client()
    path = env.path
    seen = Seen()
    zk.create(path)
    zk.get(path, watch=seen)
    zk.set(path, b"mine")
    equal(seen.next().type, EventType.CHANGED)

    zk.get(path, watch=seen)
    zk.get_children(path, watch=seen)
    transaction = zk.transaction()
    transaction.create(path + "/a")
    transaction.set_data(path, b"tx")
    transaction.commit()
    equal({seen.next().type, seen.next().type}, {EventType.CHILD, EventType.CHANGED})
    failing = zk.transaction()
    zk.get(path, watch=seen)
    failing.set_data(path, b"rolled back")
    failing.check(path, 99)
    failing.commit()
    seen.nothing_more(zk)


@check
def watch_of_an_ephemeral_that_ends_with_its_session(env):
    zk, owner = env.client(), env.client()
    seen = Seen()
    owner.create(env.path, ephemeral=True)
    zk.exists(env.path, watch=seen)
    owner.stop()
    event = seen.next()
    equal((event.type, event.path), (EventType.DELETED, env.path))


@check
def many_watchers_of_one_node(env):
    clients = [env.client() for _ in range(8)]
    clients[0].create(env.path)
    seen = Seen()
    for zk in clients:
        zk.get(env.path, watch=seen)
    clients[0].set(env.path, b"1")
    equal([seen.next().type for _ in clients], [EventType.CHANGED] * len(clients))


@check
def data_watch(env):
    zk, other = env.client(), env.client()
    seen = Seen()

    @zk.DataWatch(env.path)
    def watcher(data, stat, event):
        seen(data, stat and stat.version, event and event.type)
        return data != b"last"

    equal(seen.next(), (None, None, None))
    other.create(env.path, b"a")
    equal(seen.next(), (b"a", 0, EventType.CREATED))
    for number in range(1, 20):
        other.set(env.path, b"%d" % number)
        equal(seen.next(), (b"%d" % number, number, EventType.CHANGED))
    other.delete(env.path)
    equal(seen.next(), (None, None, EventType.DELETED))
    other.create(env.path, b"again")
    equal(seen.next(), (b"again", 0, EventType.CREATED))
    other.set(env.path, b"last")
    equal(seen.next(), (b"last", 1, EventType.CHANGED))
    other.set(env.path, b"the watch was stopped by its return value")
    seen.nothing_more(zk)


@check
def data_watch_ends_at_the_newest_value(env):
    zk, other = env.client(), env.client()
    zk.create(env.path)
    versions = []
    zk.DataWatch(env.path, lambda data, stat: versions.append(stat.version))
    for result in [other.set_async(env.path, b"%d" % number) for number in range(300)]:
        result.get()
    eventually(lambda: versions[-1] == 300, "version 300 seen")
    equal(versions, sorted(set(versions)), "versions only grow")


@check
def children_watch(env):
    zk, other = env.client(), env.client()
    zk.create(env.path)
    seen = Seen()
    zk.ChildrenWatch(env.path, lambda children, event: seen(sorted(children), event and event.type), send_event=True)
    equal(seen.next(), ([], None))
    other.create(env.path + "/a")
    equal(seen.next(), (["a"], EventType.CHILD))
    other.create(env.path + "/b", ephemeral=True)
    equal(seen.next(), (["a", "b"], EventType.CHILD))
    other.delete(env.path + "/a")
    equal(seen.next(), (["b"], EventType.CHILD))
    other.stop()
    equal(seen.next(), ([], EventType.CHILD))
    seen.nothing_more(zk)


@check
def patient_children_watch(env):
    zk = env.client()
    zk.create(env.path)
    settled = PatientChildrenWatch(zk, env.path, 0.3).start()
    for name in "abc":
        zk.create(env.path + "/" + name)
    children, changed = settled.get(timeout=10)
    equal(sorted(children), ["a", "b", "c"])
    assert not changed.ready()
    zk.delete(env.path + "/a")
    changed.get(timeout=10)
