package zooid.interop;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** The official client with its events kept. */
final class Client implements AutoCloseable {
    final ZooKeeper zk;
    /** Node events of the default watcher. */
    final Recorder events = new Recorder();
    private final BlockingQueue<Watcher.Event.KeeperState> states = new LinkedBlockingQueue<>();

    Client(String hosts, int timeoutMs) throws Exception {
        zk = new ZooKeeperAdmin(hosts, timeoutMs, this::process);
    }

    /** Takes over a session. */
    Client(String hosts, int timeoutMs, long sessionId, byte[] password) throws Exception {
        zk = new ZooKeeper(hosts, timeoutMs, this::process, sessionId, password);
    }

    private void process(WatchedEvent event) {
        if (event.getType() == Watcher.Event.EventType.None) {
            states.add(event.getState());
        }
        events.process(event);
    }

    Client connected() throws Exception {
        state(Watcher.Event.KeeperState.SyncConnected);
        return this;
    }

    /** The next connection state must be this one. */
    void state(Watcher.Event.KeeperState expected) throws Exception {
        Suite.eq("connection state", expected, states.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
    }

    /** Waits for this connection state and skips others: repeated failures to connect may tell the same one twice. */
    void untilState(Watcher.Event.KeeperState expected) throws Exception {
        Watcher.Event.KeeperState got;
        do {
            got = states.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS);
            Suite.that("connection state " + expected + " never came", got != null);
        } while (got != expected);
    }

    String create(String path) throws Exception {
        return create(path, CreateMode.PERSISTENT);
    }

    String create(String path, CreateMode mode) throws Exception {
        return zk.create(path, path.getBytes(), ZooDefs.Ids.OPEN_ACL_UNSAFE, mode);
    }

    void set(String path, String data) throws Exception {
        zk.setData(path, data.getBytes(), -1);
    }

    String get(String path) throws Exception {
        return new String(zk.getData(path, false, null));
    }

    Stat stat(String path) throws Exception {
        return zk.exists(path, false);
    }

    List<String> children(String path) throws Exception {
        return zk.getChildren(path, false).stream().sorted().toList();
    }

    /**
     * Waits until every event of changes that are done has reached its watcher. The reply to a read comes behind the
     * events of all it can show, and its callback goes through the same queue as they do.
     */
    void drain() throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        zk.exists("/", false, (rc, path, ctx, stat) -> done.countDown(), null);
        Suite.that("no reply to the draining read", done.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
    }

    /** No event of a done change may be left. */
    void quiet(Recorder recorder) throws Exception {
        drain();
        Suite.eq("events left", List.of(), recorder.rest());
    }

    @Override
    public void close() throws Exception {
        zk.close();
    }
}
