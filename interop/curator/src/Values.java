package zooid.interop;

import static zooid.interop.Curators.bytes;
import static zooid.interop.Curators.open;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.CachedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicValue;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

/** Counters, shared values and queues. */
final class Values {
    static void add(Suite suite, Server server) {
        suite.check("shared_count_contested", server, Values::sharedCount);
        suite.check("shared_count_listener", server, Values::sharedCountListener);
        suite.check("shared_value", server, Values::sharedValue);
        suite.check("atomic_long_contested", server, Values::atomicLong);
        suite.check("atomic_long_promoted_to_lock", server, Values::promoted);
        suite.check("atomic_integer_and_value", server, Values::atomicOthers);
        suite.check("cached_atomic_long", server, Values::cached);
        suite.check("simple_queue_order", server, Values::simpleOrder);
        suite.check("simple_queue_contested", server, Values::simpleContested);
        suite.check("queue_order", server, Values::queueOrder);
        suite.check("queue_contested_with_lock", server, Values::queueContested);
        suite.check("priority_queue", server, Values::priorityQueue);
        suite.check("delay_queue", server, Values::delayQueue);
        suite.check("id_queue", server, Values::idQueue);
    }

    private static void sharedCount(Ctx ctx) throws Exception {
        Threads.run(4, i -> {
            try (SharedCount count = new SharedCount(open(ctx), ctx.path, 0)) {
                count.start();
                for (int done = 0; done < 10; ) {
                    if (count.trySetCount(count.getVersionedValue(), count.getCount() + 1)) {
                        done++;
                    }
                }
            }
        });
        eq("sum", 40, java.nio.ByteBuffer.wrap(open(ctx).getData().forPath(ctx.path)).getInt());
    }

    private static void sharedCountListener(Ctx ctx) throws Exception {
        SharedCount a = ctx.keep(new SharedCount(open(ctx), ctx.path, 7));
        SharedCount b = ctx.keep(new SharedCount(open(ctx), ctx.path, 8));
        a.start();
        b.start();
        eq("the first seed counts", 7, b.getCount());
        BlockingQueue<Integer> heard = new LinkedBlockingQueue<>();
        b.addListener(new SharedCountListener() {
            @Override
            public void countHasChanged(SharedCountReader reader, int count) {
                heard.add(count);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        });
        for (int i = 10; i < 13; i++) {
            a.setCount(i);
            eq("heard", i, heard.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        }
        eq("count", 12, b.getCount());
    }

    private static void sharedValue(Ctx ctx) throws Exception {
        SharedValue a = ctx.keep(new SharedValue(open(ctx), ctx.path, bytes("seed")));
        SharedValue b = ctx.keep(new SharedValue(open(ctx), ctx.path, bytes("seed")));
        a.start();
        b.start();
        var old = b.getVersionedValue();
        a.setValue(bytes("new"));
        that("an old version", !b.trySetValue(old, bytes("lost")));
        until("seen", () -> new String(b.getValue()).equals("new"));
        that("the new version", b.trySetValue(b.getVersionedValue(), bytes("newer")));
        until("seen", () -> new String(a.getValue()).equals("newer"));
    }

    private static void atomicLong(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        that("initialized", new DistributedAtomicLong(c, ctx.path, new RetryNTimes(0, 0)).initialize(100L));
        that("once", !new DistributedAtomicLong(c, ctx.path, new RetryNTimes(0, 0)).initialize(5L));
        Threads.run(4, i -> {
            DistributedAtomicLong number = new DistributedAtomicLong(open(ctx), ctx.path, new RetryNTimes(1_000, 1));
            for (int k = 0; k < 10; k++) {
                AtomicValue<Long> value = i % 2 == 0 ? number.add(3L) : number.decrement();
                that("succeeded", value.succeeded());
                eq("step", i % 2 == 0 ? 3L : -1L, value.postValue() - value.preValue());
            }
        });
        DistributedAtomicLong number = new DistributedAtomicLong(c, ctx.path, new RetryNTimes(0, 0));
        eq("sum", 140L, number.get().postValue());
        that("wrong expectation", !number.compareAndSet(1L, 2L).succeeded());
        that("right expectation", number.compareAndSet(140L, 2L).succeeded());
        number.forceSet(9L);
        eq("forced", 9L, number.get().postValue());
    }

    private static void promoted(Ctx ctx) throws Exception {
        Threads.run(4, i -> {
            PromotedToLock lock = PromotedToLock.builder().lockPath(ctx.path + "/lock")
                    .timeout(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS).retryPolicy(new RetryNTimes(1_000, 1)).build();
            DistributedAtomicLong number =
                    new DistributedAtomicLong(open(ctx), ctx.path + "/n", new RetryNTimes(0, 0), lock);
            for (int k = 0; k < 10; k++) {
                that("succeeded", number.increment().succeeded());
            }
        });
        eq("sum", 40L, new DistributedAtomicLong(open(ctx), ctx.path + "/n", new RetryNTimes(0, 0)).get().postValue());
    }

    private static void atomicOthers(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        DistributedAtomicInteger number = new DistributedAtomicInteger(c, ctx.path + "/i", new RetryNTimes(3, 1));
        eq("add", 5, number.add(5).postValue());
        eq("subtract", 3, number.subtract(2).postValue());
        DistributedAtomicValue value = new DistributedAtomicValue(c, ctx.path + "/v", new RetryNTimes(3, 1));
        that("set", value.trySet(bytes("a")).succeeded());
        that("compare", value.compareAndSet(bytes("a"), bytes("b")).succeeded());
        eq("value", "b", new String(value.get().postValue()));
    }

    private static void cached(Ctx ctx) throws Exception {
        List<Long> numbers = Collections.synchronizedList(new ArrayList<>());
        Threads.run(3, i -> {
            CachedAtomicLong number = new CachedAtomicLong(
                    new DistributedAtomicLong(open(ctx), ctx.path, new RetryNTimes(1_000, 1)), 10);
            for (int k = 0; k < 25; k++) {
                numbers.add(number.next().postValue());
            }
        });
        eq("all different", 75L, numbers.stream().distinct().count());
    }

    private static void simpleOrder(Ctx ctx) throws Exception {
        SimpleDistributedQueue in = new SimpleDistributedQueue(open(ctx), ctx.path);
        SimpleDistributedQueue out = new SimpleDistributedQueue(open(ctx), ctx.path);
        eq("empty", null, out.poll());
        for (int i = 0; i < 12; i++) {
            that("offer", in.offer(bytes("item" + i)));
        }
        eq("peek", "item0", new String(out.peek()));
        eq("element", "item0", new String(out.element()));
        for (int i = 0; i < 12; i++) {
            eq("item", "item" + i, new String(i % 2 == 0 ? out.take() : out.poll(1, TimeUnit.SECONDS)));
        }
        eq("empty", null, out.poll(100, TimeUnit.MILLISECONDS));
    }

    private static void simpleContested(Ctx ctx) throws Exception {
        int items = 40;
        List<String> taken = Collections.synchronizedList(new ArrayList<>());
        Threads.run(4, i -> {
            SimpleDistributedQueue queue = new SimpleDistributedQueue(open(ctx), ctx.path);
            if (i == 0) {
                for (int k = 0; k < items; k++) {
                    queue.offer(bytes(String.format("%03d", k)));
                }
                return;
            }
            until("all taken", () -> {
                byte[] item = queue.poll(50, TimeUnit.MILLISECONDS);
                if (item != null) {
                    taken.add(new String(item));
                }
                return taken.size() >= items;
            });
        });
        eq("items", items, taken.size());
        eq("each once", (long) items, taken.stream().distinct().count());
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<>() {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes();
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes);
        }
    };

    private static QueueConsumer<String> into(BlockingQueue<String> list) {
        return new QueueConsumer<>() {
            @Override
            public void consumeMessage(String message) {
                list.add(message);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        };
    }

    private static void queueOrder(Ctx ctx) throws Exception {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        DistributedQueue<String> out =
                ctx.keep(QueueBuilder.builder(open(ctx), into(got), TEXT, ctx.path + "/q").buildQueue());
        DistributedQueue<String> in =
                ctx.keep(QueueBuilder.builder(open(ctx), null, TEXT, ctx.path + "/q").buildQueue());
        in.start();
        for (int i = 0; i < 15; i++) {
            in.put("before" + i);
        }
        that("flushed", in.flushPuts(10, TimeUnit.SECONDS));
        out.start();
        for (int i = 0; i < 15; i++) {
            in.put("after" + i);
        }
        for (int i = 0; i < 30; i++) {
            eq("item", i < 15 ? "before" + i : "after" + (i - 15),
                    got.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        }
    }

    private static void queueContested(Ctx ctx) throws Exception {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        for (int i = 0; i < 3; i++) {
            ctx.keep(QueueBuilder.builder(open(ctx), into(got), TEXT, ctx.path + "/q")
                    .lockPath(ctx.path + "/locks").buildQueue()).start();
        }
        DistributedQueue<String> in = QueueBuilder.builder(open(ctx), null, TEXT, ctx.path + "/q")
                .lockPath(ctx.path + "/locks").buildQueue();
        ctx.keep(in).start();
        for (int i = 0; i < 30; i++) {
            in.put("item" + i);
        }
        List<String> all = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            String item = got.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS);
            that("item " + i + " came", item != null);
            all.add(item);
        }
        eq("each once", 30L, all.stream().distinct().count());
    }

    private static void priorityQueue(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        DistributedPriorityQueue<String> in =
                ctx.keep(QueueBuilder.builder(c, null, TEXT, ctx.path + "/q").buildPriorityQueue(0));
        in.start();
        for (int priority : new int[] {5, -3, 9, 0, 1}) {
            in.put("p" + priority, priority);
        }
        that("flushed", in.flushPuts(10, TimeUnit.SECONDS));
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        ctx.keep(QueueBuilder.builder(open(ctx), into(got), TEXT, ctx.path + "/q").buildPriorityQueue(0)).start();
        for (int priority : new int[] {-3, 0, 1, 5, 9}) {
            eq("item", "p" + priority, got.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        }
    }

    private static void delayQueue(Ctx ctx) throws Exception {
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        DistributedDelayQueue<String> queue =
                ctx.keep(QueueBuilder.builder(open(ctx), into(got), TEXT, ctx.path + "/q").buildDelayQueue());
        queue.start();
        long now = System.currentTimeMillis();
        queue.put("late", now + 1_000);
        queue.put("soon", now + 300);
        eq("first", "soon", got.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        that("not before its time", System.currentTimeMillis() >= now + 300);
        eq("second", "late", got.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        that("not before its time", System.currentTimeMillis() >= now + 1_000);
    }

    private static void idQueue(Ctx ctx) throws Exception {
        DistributedIdQueue<String> in =
                ctx.keep(QueueBuilder.builder(open(ctx), null, TEXT, ctx.path + "/q").buildIdQueue());
        in.start();
        for (int i = 0; i < 4; i++) {
            in.put("item" + i, "id" + i);
        }
        that("flushed", in.flushPuts(10, TimeUnit.SECONDS));
        eq("removed", 1, in.remove("id2"));
        BlockingQueue<String> got = new LinkedBlockingQueue<>();
        ctx.keep(QueueBuilder.builder(open(ctx), into(got), TEXT, ctx.path + "/q").buildIdQueue()).start();
        for (String item : List.of("item0", "item1", "item3")) {
            eq("item", item, got.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        }
    }
}
