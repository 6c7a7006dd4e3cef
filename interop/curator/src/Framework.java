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
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorEvent;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.api.transaction.OperationType;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.data.Stat;

/** The fluent interface itself, below the recipes. */
final class Framework {
    static void add(Suite suite, Server server) {
        suite.check("framework_create_read_update_delete", server, Framework::crud);
        suite.check("framework_protected_and_idempotent", server, Framework::protection);
        suite.check("framework_background", server, Framework::background);
        suite.check("framework_namespace", server, Framework::namespace);
        suite.check("framework_containers", server, Framework::containers);
        suite.check("framework_ttl", server, Framework::ttl);
        suite.check("framework_transaction", server, Framework::transaction);
        suite.check("framework_watchers", server, Framework::watchers);
        suite.check("framework_persistent_watcher", server, Framework::persistentWatcher);
        suite.check("framework_connection_states", server, Framework::states);
        suite.check("framework_new_session_after_expiry", server, Framework::expiry);
    }

    private static void crud(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        String a = ctx.path + "/a/b/c";
        eq("path", a, c.create().creatingParentsIfNeeded().forPath(a, bytes("one")));
        Stat stat = new Stat();
        eq("data", "one", new String(c.getData().storingStatIn(stat).forPath(a)));
        eq("set", 1, c.setData().withVersion(stat.getVersion()).forPath(a, bytes("two")).getVersion());
        c.create().orSetData().forPath(a, bytes("three"));
        eq("data", "three", new String(c.getData().forPath(a)));
        eq("children", List.of("c"), c.getChildren().forPath(ctx.path + "/a/b"));
        eq("missing", null, c.checkExists().forPath(ctx.path + "/no"));
        c.create().storingStatIn(stat).withMode(CreateMode.EPHEMERAL).forPath(ctx.path + "/e", bytes("12345"));
        eq("owner", Curators.session(c), stat.getEphemeralOwner());
        c.create().compressed().forPath(ctx.path + "/z", new byte[100_000]);
        that("compressed", c.checkExists().forPath(ctx.path + "/z").getDataLength() < 1_000);
        eq("decompressed", 100_000, c.getData().decompressed().forPath(ctx.path + "/z").length);
        eq("acl", ZooDefs.Ids.OPEN_ACL_UNSAFE, c.getACL().forPath(a));
        c.setACL().withACL(ZooDefs.Ids.READ_ACL_UNSAFE).forPath(ctx.path + "/z");
        c.sync().forPath(a);
        c.delete().quietly().forPath(ctx.path + "/no");
        c.delete().guaranteed().deletingChildrenIfNeeded().forPath(ctx.path);
        eq("deleted", null, c.checkExists().forPath(ctx.path));
    }

    private static void protection(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().forPath(ctx.path);
        String made = c.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                .forPath(ctx.path + "/p-");
        that("name " + made, made.matches(ctx.path + "/_c_[0-9a-f-]{36}-p-0000000000"));
        c.create().idempotent().forPath(ctx.path + "/i", bytes("x"));
        c.create().idempotent().forPath(ctx.path + "/i", bytes("x"));
        c.setData().idempotent().withVersion(0).forPath(ctx.path + "/i", bytes("y"));
        c.setData().idempotent().withVersion(0).forPath(ctx.path + "/i", bytes("y"));
        c.delete().idempotent().forPath(ctx.path + "/i");
        c.delete().idempotent().forPath(ctx.path + "/i");
    }

    private static void background(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        BlockingQueue<CuratorEvent> events = new LinkedBlockingQueue<>();
        c.create().inBackground((client, event) -> events.add(event)).forPath(ctx.path, bytes("x"));
        c.getData().inBackground((client, event) -> events.add(event)).forPath(ctx.path);
        c.getChildren().inBackground((client, event) -> events.add(event)).forPath(ctx.path + "/no");
        c.delete().inBackground((client, event) -> events.add(event)).forPath(ctx.path);
        List<String> got = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            CuratorEvent event = events.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS);
            got.add(event.getType() + " " + KeeperException.Code.get(event.getResultCode()));
        }
        eq("events", List.of("CREATE OK", "GET_DATA OK", "CHILDREN NONODE", "DELETE OK"), got);
    }

    private static void namespace(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        CuratorFramework inside = c.usingNamespace(ctx.path.substring(1) + "/ns");
        eq("path", "/a", inside.create().forPath("/a", bytes("x")));
        eq("outside", "x", new String(c.getData().forPath(ctx.path + "/ns/a")));
        eq("children", List.of("a"), inside.getChildren().forPath("/"));
    }

    private static void containers(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        String parent = ctx.path + "/parent";
        c.createContainers(parent);
        CountDownLatch gone = new CountDownLatch(1);
        c.create().forPath(parent + "/child");
        that("there", c.checkExists().usingWatcher((org.apache.curator.framework.api.CuratorWatcher) e ->
                gone.countDown()).forPath(parent) != null);
        c.delete().forPath(parent + "/child");
        that("container deleted", gone.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        c.create().creatingParentContainersIfNeeded().withMode(CreateMode.EPHEMERAL).forPath(ctx.path + "/p/q/e");
        c.delete().forPath(ctx.path + "/p/q/e");
        // The last of the chain makes even the check's own node an empty container.
        until("the whole chain deleted", () -> c.checkExists().forPath(ctx.path) == null);
    }

    private static void ttl(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().withTtl(500).creatingParentsIfNeeded().withMode(CreateMode.PERSISTENT_WITH_TTL)
                .forPath(ctx.path + "/t", bytes("x"));
        String sequential = c.create().withTtl(3_600_000).withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL)
                .forPath(ctx.path + "/s");
        eq("name", ctx.path + "/s0000000001", sequential);
        until("deleted", () -> c.checkExists().forPath(ctx.path + "/t") == null);
        that("stays", c.checkExists().forPath(sequential) != null);
    }

    private static void transaction(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().forPath(ctx.path);
        String a = ctx.path + "/a";
        List<CuratorTransactionResult> results = c.transaction().forOperations(
                c.transactionOp().create().withMode(CreateMode.PERSISTENT).forPath(a, bytes("one")),
                c.transactionOp().setData().withVersion(0).forPath(a, bytes("two")),
                c.transactionOp().check().withVersion(1).forPath(a),
                c.transactionOp().create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(a + "/s"),
                c.transactionOp().delete().forPath(a + "/s0000000000"));
        eq("types", List.of(OperationType.CREATE, OperationType.SET_DATA, OperationType.CHECK, OperationType.CREATE,
                OperationType.DELETE), results.stream().map(CuratorTransactionResult::getType).toList());
        eq("path", a + "/s0000000000", results.get(3).getResultPath());
        eq("version", 1, results.get(1).getResultStat().getVersion());
        try {
            c.transaction().forOperations(
                    c.transactionOp().setData().forPath(a, bytes("three")),
                    c.transactionOp().check().withVersion(9).forPath(a));
            throw new AssertionError("a wrong version passed");
        } catch (KeeperException.BadVersionException e) {
            eq("results", 2, e.getResults().size());
        }
        eq("data", "two", new String(c.getData().forPath(a)));
    }

    private static void watchers(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().forPath(ctx.path);
        Recorder recursive = new Recorder();
        Recorder persistent = new Recorder();
        Recorder once = new Recorder();
        c.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(recursive).forPath(ctx.path);
        c.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(persistent).forPath(ctx.path);
        c.getData().usingWatcher(once).forPath(ctx.path);
        c.create().forPath(ctx.path + "/a");
        c.setData().forPath(ctx.path, bytes("x"));
        recursive.expect("NodeCreated " + ctx.path + "/a");
        recursive.expect("NodeDataChanged " + ctx.path);
        persistent.expect("NodeChildrenChanged " + ctx.path);
        persistent.expect("NodeDataChanged " + ctx.path);
        once.expect("NodeDataChanged " + ctx.path);
        c.watchers().remove(recursive).forPath(ctx.path);
        recursive.expect("PersistentWatchRemoved " + ctx.path);
        c.watchers().removeAll().forPath(ctx.path);
        persistent.expect("PersistentWatchRemoved " + ctx.path);
    }

    private static void persistentWatcher(Ctx ctx) throws Exception {
        CuratorFramework observer = open(ctx);
        observer.create().forPath(ctx.path);
        Proxy proxy = ctx.proxy();
        CuratorFramework c = open(ctx, proxy.hosts(), Ctx.TIMEOUT_MS);
        Recorder recorder = new Recorder();
        PersistentWatcher watcher = ctx.keep(new PersistentWatcher(c, ctx.path, true));
        CountDownLatch registered = new CountDownLatch(1);
        watcher.getResetListenable().addListener(registered::countDown);
        watcher.getListenable().addListener(recorder);
        watcher.start();
        that("registered", registered.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        observer.create().forPath(ctx.path + "/a");
        recorder.expect("NodeCreated " + ctx.path + "/a");
        List<ConnectionState> states = changes(c);
        proxy.cut();
        until("suspended", () -> states.contains(ConnectionState.SUSPENDED));
        proxy.heal();
        until("reconnected", () -> states.contains(ConnectionState.RECONNECTED));
        // The reply comes behind the one that puts the watch back, and what happened before that is never told.
        c.checkExists().forPath(ctx.path);
        observer.delete().forPath(ctx.path + "/a");
        recorder.expect("NodeDeleted " + ctx.path + "/a");
    }

    /** The states to come. CONNECTED, of the first connection, may still be on its way and is left out. */
    private static List<ConnectionState> changes(CuratorFramework client) {
        List<ConnectionState> states = Collections.synchronizedList(new ArrayList<>());
        client.getConnectionStateListenable().addListener((c, state) -> {
            if (state != ConnectionState.CONNECTED) {
                states.add(state);
            }
        });
        return states;
    }

    private static void states(Ctx ctx) throws Exception {
        Proxy proxy = ctx.proxy();
        CuratorFramework c = open(ctx, proxy.hosts(), Ctx.TIMEOUT_MS);
        List<ConnectionState> states = changes(c);
        long session = Curators.session(c);
        proxy.cut();
        until("suspended", () -> states.contains(ConnectionState.SUSPENDED));
        proxy.heal();
        until("reconnected", () -> states.contains(ConnectionState.RECONNECTED));
        eq("states", List.of(ConnectionState.SUSPENDED, ConnectionState.RECONNECTED), states);
        eq("session", session, Curators.session(c));
    }

    private static void expiry(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        List<ConnectionState> states = changes(c);
        long session = Curators.session(c);
        c.create().withMode(CreateMode.EPHEMERAL).forPath(ctx.path);
        Curators.expire(ctx, c);
        until("lost and back", () -> states.contains(ConnectionState.LOST)
                && states.get(states.size() - 1) == ConnectionState.RECONNECTED);
        that("a new session", Curators.session(c) != session);
        eq("the ephemeral", null, c.checkExists().forPath(ctx.path));
    }
}
