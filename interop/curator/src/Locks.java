package zooid.interop;

import static zooid.interop.Curators.open;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.shared.SharedCount;

/** Locks and semaphores, contested by several clients. */
final class Locks {
    private static final long WAIT_MS = Suite.DEADLINE_MS;

    static void add(Suite suite, Server server) {
        suite.check("mutex_contested", server, ctx -> exclusive(ctx, c -> new InterProcessMutex(c, ctx.path + "/l")));
        suite.check("semaphore_mutex_contested", server,
                ctx -> exclusive(ctx, c -> new InterProcessSemaphoreMutex(c, ctx.path + "/l")));
        suite.check("multi_lock_contested", server, ctx -> exclusive(ctx, c -> new InterProcessMultiLock(List.of(
                new InterProcessMutex(c, ctx.path + "/l1"), new InterProcessSemaphoreMutex(c, ctx.path + "/l2")))));
        suite.check("mutex_reentrant_and_fair", server, Locks::fair);
        suite.check("mutex_timeout", server, Locks::timeout);
        suite.check("mutex_revocation", server, Locks::revocation);
        suite.check("mutex_freed_by_expiry", server, Locks::expiry);
        suite.check("multi_lock_all_or_nothing", server, Locks::allOrNothing);
        suite.check("read_write_lock", server, Locks::readWrite);
        suite.check("read_write_lock_contested", server, Locks::readWriteContested);
        suite.check("semaphore_leases", server, Locks::leases);
        suite.check("semaphore_contested", server, Locks::semaphoreContested);
        suite.check("semaphore_shared_count", server, Locks::sharedCount);
    }

    private interface Maker {
        InterProcessLock make(CuratorFramework client);
    }

    /** Four clients, one inside at a time. */
    private static void exclusive(Ctx ctx, Maker maker) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger entered = new AtomicInteger();
        Threads.run(4, i -> {
            InterProcessLock lock = maker.make(open(ctx));
            for (int k = 0; k < 10; k++) {
                that("acquired", lock.acquire(WAIT_MS, TimeUnit.MILLISECONDS));
                eq("others inside", 0, inside.getAndIncrement());
                that("mine", lock.isAcquiredInThisProcess());
                entered.incrementAndGet();
                Thread.yield();
                inside.decrementAndGet();
                lock.release();
            }
        });
        eq("entered", 40, entered.get());
    }

    private static void fair(Ctx ctx) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(open(ctx), ctx.path);
        mine.acquire();
        mine.acquire();
        eq("one node for two holds", 1, mine.getParticipantNodes().size());
        List<Integer> order = Collections.synchronizedList(new ArrayList<>());
        ExecutorService pool = Executors.newCachedThreadPool();
        List<Future<?>> waiters = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            int me = i;
            CuratorFramework other = open(ctx);
            waiters.add(pool.submit(() -> {
                InterProcessMutex lock = new InterProcessMutex(other, ctx.path);
                lock.acquire();
                order.add(me);
                lock.release();
                return null;
            }));
            until("in the queue", () -> mine.getParticipantNodes().size() == me + 2);
        }
        mine.release();
        eq("still held", List.of(), List.copyOf(order));
        mine.release();
        for (Future<?> waiter : waiters) {
            waiter.get(WAIT_MS, TimeUnit.MILLISECONDS);
        }
        pool.shutdown();
        eq("first come, first served", List.of(0, 1, 2, 3), order);
    }

    private static void timeout(Ctx ctx) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(open(ctx), ctx.path);
        InterProcessMutex other = new InterProcessMutex(open(ctx), ctx.path);
        mine.acquire();
        that("not while held", !other.acquire(300, TimeUnit.MILLISECONDS));
        eq("the node of who gave up", 1, mine.getParticipantNodes().size());
        mine.release();
        that("free", other.acquire(WAIT_MS, TimeUnit.MILLISECONDS));
        other.release();
    }

    private static void revocation(Ctx ctx) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(open(ctx), ctx.path);
        CountDownLatch asked = new CountDownLatch(1);
        mine.makeRevocable(lock -> asked.countDown());
        mine.acquire();
        CuratorFramework other = open(ctx);
        Revoker.attemptRevoke(other, mine.getParticipantNodes().iterator().next());
        that("asked to release", asked.await(WAIT_MS, TimeUnit.MILLISECONDS));
        mine.release();
        that("free", new InterProcessMutex(other, ctx.path).acquire(WAIT_MS, TimeUnit.MILLISECONDS));
    }

    private static void expiry(Ctx ctx) throws Exception {
        CuratorFramework holder = open(ctx);
        InterProcessMutex held = new InterProcessMutex(holder, ctx.path);
        held.acquire();
        CuratorFramework other = open(ctx);
        ExecutorService pool = Executors.newSingleThreadExecutor();
        InterProcessMutex waiting = new InterProcessMutex(other, ctx.path);
        Future<Boolean> got = pool.submit(() -> waiting.acquire(WAIT_MS, TimeUnit.MILLISECONDS));
        until("in the queue", () -> waiting.getParticipantNodes().size() == 2);
        Curators.expire(ctx, holder);
        that("the lock of a dead session is free", got.get(WAIT_MS, TimeUnit.MILLISECONDS));
        pool.shutdown();
    }

    private static void allOrNothing(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        InterProcessMutex first = new InterProcessMutex(c, ctx.path + "/1");
        InterProcessMutex second = new InterProcessMutex(c, ctx.path + "/2");
        InterProcessMutex taken = new InterProcessMutex(open(ctx), ctx.path + "/2");
        taken.acquire();
        InterProcessMultiLock both = new InterProcessMultiLock(List.of(first, second));
        that("not both", !both.acquire(300, TimeUnit.MILLISECONDS));
        that("the first was given back", new InterProcessMutex(open(ctx), ctx.path + "/1").acquire(WAIT_MS,
                TimeUnit.MILLISECONDS));
    }

    private static void readWrite(Ctx ctx) throws Exception {
        InterProcessReadWriteLock a = new InterProcessReadWriteLock(open(ctx), ctx.path);
        InterProcessReadWriteLock b = new InterProcessReadWriteLock(open(ctx), ctx.path);
        a.readLock().acquire();
        that("readers share", b.readLock().acquire(WAIT_MS, TimeUnit.MILLISECONDS));
        that("a writer waits", !b.writeLock().acquire(300, TimeUnit.MILLISECONDS));
        a.readLock().release();
        b.readLock().release();
        that("a writer alone", b.writeLock().acquire(WAIT_MS, TimeUnit.MILLISECONDS));
        that("a reader waits", !a.readLock().acquire(300, TimeUnit.MILLISECONDS));
        that("a writer may read", b.readLock().acquire(WAIT_MS, TimeUnit.MILLISECONDS));
        b.writeLock().release();
        that("and become a reader", a.readLock().acquire(WAIT_MS, TimeUnit.MILLISECONDS));
    }

    private static void readWriteContested(Ctx ctx) throws Exception {
        AtomicInteger readers = new AtomicInteger();
        AtomicInteger writers = new AtomicInteger();
        // Both readers meet inside: proof that they share. No writer in the queue may part them before.
        CountDownLatch met = new CountDownLatch(2);
        Threads.run(4, i -> {
            InterProcessReadWriteLock lock = new InterProcessReadWriteLock(open(ctx), ctx.path);
            if (i < 2) {
                lock.readLock().acquire();
                met.countDown();
                that("readers meet", met.await(WAIT_MS, TimeUnit.MILLISECONDS));
                lock.readLock().release();
            } else {
                that("readers met", met.await(WAIT_MS, TimeUnit.MILLISECONDS));
            }
            for (int k = 0; k < 8; k++) {
                if (i < 2) {
                    lock.readLock().acquire();
                    readers.incrementAndGet();
                    eq("writers beside a reader", 0, writers.get());
                    readers.decrementAndGet();
                    lock.readLock().release();
                } else {
                    lock.writeLock().acquire();
                    eq("writers beside a writer", 1, writers.incrementAndGet());
                    eq("readers beside a writer", 0, readers.get());
                    writers.decrementAndGet();
                    lock.writeLock().release();
                }
            }
        });
    }

    private static void leases(Ctx ctx) throws Exception {
        InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(open(ctx), ctx.path, 3);
        InterProcessSemaphoreV2 b = new InterProcessSemaphoreV2(open(ctx), ctx.path, 3);
        List<Lease> two = List.copyOf(a.acquire(2));
        Lease third = b.acquire(WAIT_MS, TimeUnit.MILLISECONDS);
        that("third", third != null);
        eq("fourth", null, b.acquire(300, TimeUnit.MILLISECONDS));
        eq("leases", 3, b.getParticipantNodes().size());
        a.returnLease(two.get(0));
        Lease fourth = b.acquire(WAIT_MS, TimeUnit.MILLISECONDS);
        that("after a return", fourth != null);
        b.returnAll(List.of(third, fourth));
    }

    private static void semaphoreContested(Ctx ctx) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        Threads.run(5, i -> {
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(open(ctx), ctx.path, 2);
            for (int k = 0; k < 5; k++) {
                try (Lease lease = semaphore.acquire(WAIT_MS, TimeUnit.MILLISECONDS)) {
                    that("lease", lease != null);
                    that("two at most", inside.incrementAndGet() <= 2);
                    inside.decrementAndGet();
                }
            }
        });
    }

    private static void sharedCount(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        SharedCount count = ctx.keep(new SharedCount(c, ctx.path + "/count", 1));
        count.start();
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(c, ctx.path + "/leases", count);
        semaphore.acquire();
        eq("one only", null, semaphore.acquire(300, TimeUnit.MILLISECONDS));
        ExecutorService pool = Executors.newSingleThreadExecutor();
        Future<Lease> second = pool.submit(() -> semaphore.acquire(WAIT_MS, TimeUnit.MILLISECONDS));
        count.setCount(2);
        that("more now", second.get(WAIT_MS, TimeUnit.MILLISECONDS) != null);
        pool.shutdown();
    }
}
