package zooid.interop;

import static zooid.interop.Curators.open;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

/** Elections and barriers. */
final class Leaders {
    static void add(Suite suite, Server server) {
        suite.check("leader_latch_succession", server, Leaders::latch);
        suite.check("leader_latch_expiry", server, Leaders::latchExpiry);
        suite.check("leader_selector_each_in_turn", server, Leaders::selector);
        suite.check("leader_selector_requeue", server, Leaders::requeue);
        suite.check("leader_selector_interrupted", server, Leaders::interrupted);
        suite.check("barrier", server, Leaders::barrier);
        suite.check("double_barrier", server, Leaders::doubleBarrier);
    }

    private static void latch(Ctx ctx) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            LeaderLatch latch = new LeaderLatch(open(ctx), ctx.path, "id" + i);
            latch.start();
            latches.add(latch);
        }
        until("all take part", () -> latches.get(0).getParticipants().size() == 5);
        while (!latches.isEmpty()) {
            until("a leader", () -> latches.stream().anyMatch(LeaderLatch::hasLeadership));
            List<LeaderLatch> leaders = latches.stream().filter(LeaderLatch::hasLeadership).toList();
            eq("leaders", 1, leaders.size());
            LeaderLatch leader = leaders.get(0);
            for (LeaderLatch latch : latches) {
                eq("leader as others see it", leader.getId(), latch.getLeader().getId());
            }
            that("await", leader.await(1, TimeUnit.SECONDS));
            latches.remove(leader);
            leader.close();
        }
    }

    private static void latchExpiry(Ctx ctx) throws Exception {
        CuratorFramework first = open(ctx);
        LeaderLatch a = ctx.keep(new LeaderLatch(first, ctx.path, "a"));
        a.start();
        that("first", a.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        LeaderLatch b = ctx.keep(new LeaderLatch(open(ctx), ctx.path, "b"));
        b.start();
        until("both take part", () -> b.getParticipants().size() == 2);
        Curators.expire(ctx, first);
        that("succession", b.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        until("the old leader knows, and stands in the queue again", () ->
                !a.hasLeadership() && b.getParticipants().size() == 2);
    }

    private static LeaderSelectorListenerAdapter leading(Suite.Call term) {
        return new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework client) throws Exception {
                term.run();
            }
        };
    }

    private static void selector(Ctx ctx) throws Exception {
        AtomicInteger leading = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        CountDownLatch terms = new CountDownLatch(4);
        for (int i = 0; i < 4; i++) {
            LeaderSelector selector = ctx.keep(new LeaderSelector(open(ctx), ctx.path, leading(() -> {
                most.accumulateAndGet(leading.incrementAndGet(), Math::max);
                Thread.sleep(20);
                leading.decrementAndGet();
                terms.countDown();
            })));
            selector.start();
        }
        that("each had its term", terms.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        eq("leaders at once", 1, most.get());
    }

    private static void requeue(Ctx ctx) throws Exception {
        BlockingQueue<Integer> terms = new LinkedBlockingQueue<>();
        for (int i = 0; i < 3; i++) {
            int me = i;
            LeaderSelector selector = ctx.keep(new LeaderSelector(open(ctx), ctx.path, leading(() -> terms.add(me))));
            selector.autoRequeue();
            selector.start();
        }
        Map<Integer, Integer> counts = new HashMap<>();
        until("each three terms", () -> {
            Integer term = terms.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS);
            counts.merge(term, 1, Integer::sum);
            return counts.size() == 3 && counts.values().stream().allMatch(n -> n >= 3);
        });
    }

    private static void interrupted(Ctx ctx) throws Exception {
        CuratorFramework first = open(ctx);
        CountDownLatch leads = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        LeaderSelector a = ctx.keep(new LeaderSelector(first, ctx.path, leading(() -> {
            leads.countDown();
            try {
                new CountDownLatch(1).await();
            } finally {
                ended.countDown();
            }
        })));
        a.setId("a");
        a.start();
        that("leads", leads.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        CountDownLatch next = new CountDownLatch(1);
        LeaderSelector b = ctx.keep(new LeaderSelector(open(ctx), ctx.path, leading(next::countDown)));
        b.start();
        eq("leader", "a", b.getLeader().getId());
        Curators.expire(ctx, first);
        that("the leader is told", ended.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        that("succession", next.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
    }

    private static void barrier(Ctx ctx) throws Exception {
        DistributedBarrier keeper = new DistributedBarrier(open(ctx), ctx.path);
        keeper.setBarrier();
        AtomicInteger through = new AtomicInteger();
        CountDownLatch waiting = new CountDownLatch(4);
        Threads.run(5, i -> {
            if (i == 4) {
                that("all wait", waiting.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
                eq("through a closed barrier", 0, through.get());
                keeper.removeBarrier();
                return;
            }
            DistributedBarrier barrier = new DistributedBarrier(open(ctx), ctx.path);
            that("closed", !barrier.waitOnBarrier(100, TimeUnit.MILLISECONDS));
            waiting.countDown();
            that("opened", barrier.waitOnBarrier(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
            through.incrementAndGet();
        });
        eq("through", 4, through.get());
        that("no barrier", keeper.waitOnBarrier(1, TimeUnit.SECONDS));
    }

    private static void doubleBarrier(Ctx ctx) throws Exception {
        int members = 4;
        AtomicInteger came = new AtomicInteger();
        AtomicInteger done = new AtomicInteger();
        Threads.run(members, i -> {
            DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(open(ctx), ctx.path, members);
            came.incrementAndGet();
            that("entered", barrier.enter(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
            eq("all came", members, came.get());
            done.incrementAndGet();
            that("left", barrier.leave(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
            // Curator lets the others go when the node of one is left, whose thread may be late.
            that("all done but one", done.get() >= members - 1);
        });
    }
}
