package zooid.interop;

import static zooid.interop.Curators.bytes;
import static zooid.interop.Curators.open;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;

/** The server is killed with -9 and started again under what is held. Each check has a server of its own. */
final class Crashes {
    static void add(Suite suite, Server[] servers) {
        suite.check("crash_while_lock_is_held", servers[0], Crashes::lock);
        suite.check("crash_under_latch_cache_and_node", servers[1], Crashes::others);
    }

    private static void lock(Ctx ctx) throws Exception {
        CuratorFramework holder = open(ctx);
        CuratorFramework waiter = open(ctx);
        InterProcessMutex held = new InterProcessMutex(holder, ctx.path);
        held.acquire();
        String node = held.getParticipantNodes().iterator().next();
        long session = Curators.session(holder);
        InterProcessMutex wanted = new InterProcessMutex(waiter, ctx.path);
        List<ConnectionState> states = Collections.synchronizedList(new ArrayList<>());
        holder.getConnectionStateListenable().addListener((client, state) -> states.add(state));
        ExecutorService pool = Executors.newSingleThreadExecutor();
        Future<Boolean> got = pool.submit(() -> wanted.acquire(30, TimeUnit.SECONDS));
        until("in the queue", () -> held.getParticipantNodes().size() == 2);

        ctx.server.kill();
        until("suspended", () -> states.contains(ConnectionState.SUSPENDED));
        ctx.server.start();
        until("reconnected", () -> states.contains(ConnectionState.RECONNECTED));

        eq("not lost", false, states.contains(ConnectionState.LOST));
        eq("session", session, Curators.session(holder));
        eq("the lock's node", session, holder.checkExists().forPath(node).getEphemeralOwner());
        until("the queue is whole", () -> held.getParticipantNodes().size() == 2);
        that("still held", !got.isDone());
        that("a third waits too", !new InterProcessMutex(open(ctx), ctx.path).acquire(300, TimeUnit.MILLISECONDS));
        held.release();
        that("the waiter has it", got.get(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        pool.shutdown();
    }

    private static void others(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        CuratorFramework d = open(ctx);
        LeaderLatch a = ctx.keep(new LeaderLatch(c, ctx.path + "/latch", "a"));
        a.start();
        that("leader", a.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        LeaderLatch b = ctx.keep(new LeaderLatch(d, ctx.path + "/latch", "b"));
        b.start();
        PersistentNode node = ctx.keep(new PersistentNode(c, CreateMode.EPHEMERAL, false, ctx.path + "/node",
                bytes("x")));
        node.start();
        that("created", node.waitForInitialCreate(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        c.create().creatingParentsIfNeeded().forPath(ctx.path + "/tree/a", bytes("1"));
        CuratorCache cache = ctx.keep(CuratorCache.build(d, ctx.path + "/tree"));
        cache.start();
        until("filled", () -> cache.size() == 2);
        DistributedAtomicLong number = new DistributedAtomicLong(c, ctx.path + "/n", new RetryNTimes(10, 10));
        for (int i = 0; i < 10; i++) {
            that("added", number.increment().succeeded());
        }
        until("both take part", () -> a.getParticipants().size() == 2);

        ctx.server.kill();
        until("the leader steps down while it cannot know", () -> !a.hasLeadership());
        ctx.server.start();

        until("one leader again", () -> a.hasLeadership() != b.hasLeadership());
        // Both still take part, each once: nothing that was given up stayed behind.
        until("participants", () -> a.getParticipants().size() == 2);
        c.create().forPath(ctx.path + "/tree/b", bytes("2"));
        c.setData().forPath(ctx.path + "/tree/a", bytes("3"));
        until("the cache follows", () -> cache.size() == 3
                && cache.get(ctx.path + "/tree/a").map(n -> new String(n.getData())).orElse("").equals("3"));
        eq("counter", 11L, number.increment().postValue());
        that("node", d.checkExists().forPath(ctx.path + "/node") != null);
        (a.hasLeadership() ? a : b).close();
        until("the other leads", () -> a.hasLeadership() || b.hasLeadership());
    }
}
