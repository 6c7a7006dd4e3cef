import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/**
 * Java clients that live through changes of their servers: the official one writes a counter, sequential nodes and
 * multis, another watches the counter and has an ephemeral node, two of Curator take turns with a lock.
 *
 * <p>Arguments: the servers, a path, the session timeout in ms. A line {@code round} on the input is answered with
 * what was done since; {@code end} with {@code ok}, when all that was acknowledged is there. {@code FAIL why} comes at
 * any time.
 */
public final class Mover {
    /** Between two writes: the clients share the cores with the servers. */
    private static final long PACE_MS = 8;
    private static final long PATIENCE_S = 120;

    private final String servers;
    private final String root;
    private final int timeoutMs;
    private final AtomicBoolean ending = new AtomicBoolean();
    private final AtomicInteger writes = new AtomicInteger();
    private final AtomicInteger events = new AtomicInteger();
    private final AtomicInteger locks = new AtomicInteger();
    private volatile long longestGapNs;

    private Mover(String[] args) {
        servers = args[0];
        root = args[1];
        timeoutMs = Integer.parseInt(args[2]);
    }

    public static void main(String[] args) throws Exception {
        new Mover(args).run();
    }

    private void run() throws Exception {
        Session writer = new Session();
        Session watcher = new Session();
        for (String path : List.of("", "/counter", "/counter/n", "/multi", "/lock", "/locked")) {
            writer.create(root + path, "0");
        }
        watcher.zk.create(root + "/alive", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        List<CuratorFramework> curators = List.of(curator(), curator());
        List<Long> ids = new ArrayList<>();
        for (CuratorFramework curator : curators) {
            ids.add(curator.getZookeeperClient().getZooKeeper().getSessionId());
        }
        Counter counter = new Counter(writer);
        Watch watch = new Watch(watcher);
        List<Thread> threads = new ArrayList<>();
        threads.add(start(counter::run));
        threads.add(start(watch::run));
        AtomicInteger inside = new AtomicInteger();
        for (CuratorFramework curator : curators) {
            threads.add(start(() -> lock(curator, inside)));
        }
        System.out.println("ready");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String order;
        while ((order = orders.readLine()) != null && !order.equals("end")) {
            long gap = longestGapNs;
            longestGapNs = 0;
            System.out.println("round " + said(gap));
        }
        ending.set(true);
        // The last change of the counter is the last event, too.
        for (Thread thread : threads) {
            thread.join(TimeUnit.SECONDS.toMillis(PATIENCE_S));
            require(!thread.isAlive(), "a client hangs");
        }
        counter.settle();
        watch.settle();
        Stat alive = watcher.settled().exists(root + "/alive", false);
        require(alive != null && alive.getEphemeralOwner() == watcher.id, "the ephemeral node: " + alive);
        byte[] locked = writer.settled().getData(root + "/locked", false, null);
        require(number(locked) == locks.get(), number(locked) + " turns with the lock, " + locks + " were counted");
        for (int at = 0; at < ids.size(); at++) {
            require(curators.get(at).getZookeeperClient().getZooKeeper().getSessionId() == ids.get(at),
                    "a session of Curator is another one");
            curators.get(at).close();
        }
        writer.zk.close();
        watcher.zk.close();
        System.out.println("ok " + said(longestGapNs));
        Runtime.getRuntime().halt(0);
    }

    private String said(long gapNs) {
        return "writes=" + writes + " events=" + events + " locks=" + locks + " gap_ms=" + gapNs / 1_000_000;
    }

    /** A session of the official client, which must never expire. */
    private final class Session implements Watcher {
        final ZooKeeper zk;
        final long id;
        private final CountDownLatch connected = new CountDownLatch(1);

        Session() throws Exception {
            zk = new ZooKeeper(servers, timeoutMs, this);
            require(connected.await(PATIENCE_S, TimeUnit.SECONDS), "no connection");
            id = zk.getSessionId();
        }

        @Override
        public void process(WatchedEvent event) {
            if (event.getState() == Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
            if (event.getState() == Event.KeeperState.Expired && !ending.get()) {
                fail("session 0x" + Long.toHexString(id) + " expired");
            }
        }

        void create(String path, String data) throws Exception {
            for (;;) {
                try {
                    zk.create(path, data.getBytes(StandardCharsets.UTF_8), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                    return;
                } catch (KeeperException.NodeExistsException e) {
                    return;
                } catch (KeeperException.ConnectionLossException e) {
                    pause();
                }
            }
        }

        /** The client, as soon as its server has all that was written before. */
        ZooKeeper settled() throws Exception {
            settle(zk);
            return zk;
        }
    }

    /** Returns when the server of this client has all that was written before. */
    private static void settle(ZooKeeper zk) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        for (;;) {
            require(System.nanoTime() < end, "no connection in " + PATIENCE_S + " s");
            CountDownLatch done = new CountDownLatch(1);
            int[] code = new int[1];
            zk.sync("/", (rc, path, context) -> {
                code[0] = rc;
                done.countDown();
            }, null);
            require(done.await(PATIENCE_S, TimeUnit.SECONDS), "no answer to a sync");
            if (code[0] == KeeperException.Code.OK.intValue()) {
                return;
            }
            require(code[0] == KeeperException.Code.CONNECTIONLOSS.intValue(), "a sync: error " + code[0]);
            pause();
        }
    }

    /** Writes, and knows what was acknowledged. */
    private final class Counter {
        private final Session session;
        private long acknowledged;
        private long sent;
        private long mzxid;
        private long total;
        private int unsure;
        private final TreeSet<String> names = new TreeSet<>();
        private long last;

        Counter(Session session) {
            this.session = session;
        }

        void run() throws Exception {
            last = System.nanoTime();
            while (!ending.get()) {
                try {
                    one();
                    long now = System.nanoTime();
                    longestGapNs = Math.max(longestGapNs, now - last);
                    last = now;
                    writes.incrementAndGet();
                    Thread.sleep(PACE_MS);
                } catch (KeeperException.ConnectionLossException e) {
                    settle();
                }
            }
        }

        private void one() throws Exception {
            sent++;
            Stat stat = session.zk.setData(root + "/counter", bytes(sent), -1);
            require(stat.getMzxid() > mzxid, "zxid 0x" + Long.toHexString(stat.getMzxid()) + " behind 0x"
                    + Long.toHexString(mzxid));
            mzxid = stat.getMzxid();
            acknowledged = sent;
            if (sent % 10 == 0) {
                unsure++;
                String name = session.zk.create(root + "/counter/n/s-", new byte[0], Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT_SEQUENTIAL);
                unsure--;
                require(names.isEmpty() || name.compareTo(names.last()) > 0, name + " behind " + names);
                names.add(name);
            }
            if (sent % 10 == 5) {
                total++;
                session.zk.multi(List.of(
                        Op.setData(root + "/multi", bytes(total), -1),
                        Op.create(root + "/multi/" + total, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
            }
        }

        /** What is there beside what was acknowledged; goes on from that. */
        void settle() throws Exception {
            for (;;) {
                try {
                    ZooKeeper zk = session.settled();
                    long found = number(zk.getData(root + "/counter", false, null));
                    require(acknowledged <= found && found <= sent, "the counter is " + found + ", acknowledged are "
                            + acknowledged + ", sent " + sent);
                    acknowledged = found;
                    sent = found;
                    long made = number(zk.getData(root + "/multi", false, null));
                    require(made == total || made == total - 1, made + " multis, made were " + total);
                    total = made;
                    int parts = zk.getChildren(root + "/multi", false).size();
                    require(parts == made, parts + " nodes of " + made + " multis");
                    List<String> there = zk.getChildren(root + "/counter/n", false);
                    TreeSet<String> numbers = new TreeSet<>();
                    there.forEach(name -> numbers.add(root + "/counter/n/" + name));
                    require(numbers.containsAll(names), "an acknowledged sequential node is lost");
                    require(there.size() <= names.size() + unsure, there.size() + " sequential nodes, acknowledged are "
                            + names.size() + ", unsure " + unsure);
                    require(numbers.isEmpty() || numbers.last().endsWith(String.format("%010d", there.size() - 1)),
                            "the numbers have a hole: " + there.size() + " nodes, the last is " + numbers);
                    return;
                } catch (KeeperException.ConnectionLossException e) {
                    pause();
                }
            }
        }
    }

    /** Sees each state of the counter at most once: an event comes for each change behind a read, and once. */
    private final class Watch implements Watcher {
        private final Session session;
        private int version = -1;
        private boolean armed;
        private boolean fired;

        Watch(Session session) {
            this.session = session;
        }

        @Override
        public synchronized void process(WatchedEvent event) {
            if (event.getType() == Event.EventType.None) {
                return;
            }
            require(armed && !fired, "an event without a watch: " + event);
            require(event.getType() == Event.EventType.NodeDataChanged, "" + event);
            fired = true;
            events.incrementAndGet();
            notifyAll();
        }

        void run() throws Exception {
            while (!ending.get()) {
                look();
                synchronized (this) {
                    while (!fired && !ending.get()) {
                        wait(100);
                    }
                }
            }
        }

        private void look() throws Exception {
            synchronized (this) {
                if (armed && !fired) {
                    return;
                }
                // The event may come before the reply is seen here.
                armed = true;
                fired = false;
            }
            for (;;) {
                Stat stat = new Stat();
                try {
                    session.zk.getData(root + "/counter", this, stat);
                } catch (KeeperException.ConnectionLossException e) {
                    pause();
                    continue;
                }
                require(stat.getVersion() > version, "an event at version " + version + ", the node has "
                        + stat.getVersion());
                version = stat.getVersion();
                return;
            }
        }

        void settle() throws Exception {
            int goal = session.settled().exists(root + "/counter", false).getVersion();
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
            while (version < goal) {
                require(System.nanoTime() < end, "an event is lost: read was version " + version + ", there is " + goal);
                synchronized (this) {
                    if (!fired) {
                        wait(100);
                    }
                }
                look();
            }
        }
    }

    private CuratorFramework curator() throws Exception {
        CuratorFramework curator = CuratorFrameworkFactory.builder().connectString(servers).sessionTimeoutMs(timeoutMs)
                .connectionTimeoutMs(15_000).retryPolicy(new RetryForever(50)).ensembleTracker(false).build();
        curator.getConnectionStateListenable().addListener((client, state) -> {
            if (state == ConnectionState.LOST) {
                fail("Curator lost a session");
            }
        });
        curator.start();
        require(curator.blockUntilConnected((int) PATIENCE_S, TimeUnit.SECONDS), "no connection of Curator");
        return curator;
    }

    private void lock(CuratorFramework curator, AtomicInteger inside) throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(curator, root + "/lock");
        while (!ending.get()) {
            try {
                mutex.acquire();
            } catch (NullPointerException e) {
                // The search for a node that an attempt without an answer may have left ends Curator's loop around
                // the attempts, too (`RetryLoop.markComplete`): a second one without an answer is the last, and is
                // taken for one that made the node null.
                free(curator.getZookeeperClient().getZooKeeper());
                continue;
            }
            require(inside.incrementAndGet() == 1, "two have the lock");
            // Without a version: only the lock keeps turns from getting lost. Tried again it writes the same.
            curator.sync().forPath(root + "/locked");
            long turns = number(curator.getData().forPath(root + "/locked"));
            curator.setData().forPath(root + "/locked", bytes(turns + 1));
            locks.incrementAndGet();
            inside.decrementAndGet();
            mutex.release();
            Thread.sleep(5 * PACE_MS);
        }
    }

    /** Deletes what attempts to take the lock have left of this session. */
    private void free(ZooKeeper zk) throws Exception {
        for (;;) {
            try {
                settle(zk);
                for (String name : zk.getChildren(root + "/lock", false)) {
                    Stat stat = zk.exists(root + "/lock/" + name, false);
                    if (stat != null && stat.getEphemeralOwner() == zk.getSessionId()) {
                        zk.delete(root + "/lock/" + name, -1);
                    }
                }
                return;
            } catch (KeeperException.ConnectionLossException | KeeperException.NoNodeException e) {
                pause();
            }
        }
    }

    private interface Work {
        void run() throws Exception;
    }

    private Thread start(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception e) {
                e.printStackTrace();
                fail(e.toString());
            }
        });
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private static void pause() throws InterruptedException {
        Thread.sleep(20);
    }

    private static byte[] bytes(long value) {
        return Long.toString(value).getBytes(StandardCharsets.UTF_8);
    }

    private static long number(byte[] data) {
        return Long.parseLong(new String(data, StandardCharsets.UTF_8));
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            fail(what);
        }
    }

    private static void fail(String what) {
        System.out.println("FAIL " + what.replace('\n', ' '));
        System.out.flush();
        Runtime.getRuntime().halt(1);
    }
}
