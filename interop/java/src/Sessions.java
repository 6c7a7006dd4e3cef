package zooid.interop;

import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** The life of a session on one server. The servers tick every 500 ms: timeouts of 1 to 10 s. */
final class Sessions {
    private static final int SHORT_MS = 1_000;

    static void add(Suite suite, Server server) {
        suite.check("session_timeout_bounds", server, Sessions::bounds);
        suite.check("session_idle_is_kept_by_pings", server, Sessions::idle);
        suite.check("session_close_ends_ephemerals", server, Sessions::close);
        suite.check("session_expiry", server, Sessions::expiry);
        suite.check("session_reconnect_keeps_ephemerals_and_watches", server, Sessions::reconnect);
        suite.check("session_reconnect_catches_up_watches", server, Sessions::catchUp);
        suite.check("session_attach_with_password", server, Sessions::attach);
        suite.check("session_wrong_password_is_expired", server, Sessions::wrongPassword);
        suite.check("session_unknown_or_closed_is_expired", server, Sessions::unknown);
        suite.check("session_many", server, Sessions::many);
        suite.check("session_ids_differ", server, Sessions::ids);
        suite.check("session_read_only_client", server, Sessions::readOnlyClient);
    }

    private static void bounds(Ctx ctx) throws Exception {
        eq("too short", SHORT_MS, ctx.client(ctx.server.hosts(), 10).zk.getSessionTimeout());
        eq("too long", 10_000, ctx.client(ctx.server.hosts(), 3_600_000).zk.getSessionTimeout());
        eq("inside", 4_321, ctx.client(ctx.server.hosts(), 4_321).zk.getSessionTimeout());
    }

    private static void idle(Ctx ctx) throws Exception {
        ctx.base();
        Client idle = ctx.client(ctx.server.hosts(), SHORT_MS);
        long start = System.nanoTime();
        idle.create(ctx.path + "/e", CreateMode.EPHEMERAL);
        Client observer = ctx.client();
        while (System.nanoTime() - start < TimeUnit.MILLISECONDS.toNanos(4 * SHORT_MS)) {
            that("the ephemeral of an idle session", observer.stat(ctx.path + "/e") != null);
            Thread.sleep(100);
        }
        eq("still connected", ZooKeeper.States.CONNECTED, idle.zk.getState());
    }

    private static void close(Ctx ctx) throws Exception {
        Client c = ctx.base();
        for (int round = 0; round < 10; round++) {
            Client d = ctx.client();
            for (int i = 0; i < 20; i++) {
                d.create(ctx.path + "/e" + i, CreateMode.EPHEMERAL);
            }
            d.close();
            eq("gone when close returns", List.of(), c.children(ctx.path));
        }
    }

    private static void expiry(Ctx ctx) throws Exception {
        Client observer = ctx.base();
        Proxy proxy = ctx.proxy();
        Client c = ctx.client(proxy.hosts(), SHORT_MS);
        String e = ctx.path + "/e";
        c.create(e, CreateMode.EPHEMERAL);
        c.create(ctx.path + "/p");
        Recorder exists = new Recorder();
        Recorder children = new Recorder();
        observer.zk.exists(e, exists);
        observer.zk.getChildren(ctx.path, children);
        long start = System.nanoTime();
        proxy.cut();
        c.state(KeeperState.Disconnected);
        exists.expect("NodeDeleted " + e);
        children.expect("NodeChildrenChanged " + ctx.path);
        // The client's last sign of life may be a third of the timeout before the cut.
        long tookMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
        that("expired after " + tookMs + " ms", tookMs > SHORT_MS / 2 && tookMs < 5_000);
        eq("left", List.of("p"), observer.children(ctx.path));
        proxy.heal();
        c.state(KeeperState.Expired);
        code(Code.SESSIONEXPIRED, () -> c.get(ctx.path));
    }

    private static void reconnect(Ctx ctx) throws Exception {
        Client observer = ctx.base();
        Proxy proxy = ctx.proxy();
        Client c = ctx.client(proxy.hosts(), Ctx.TIMEOUT_MS);
        String p = ctx.path;
        c.create(p + "/e", CreateMode.EPHEMERAL);
        c.create(p + "/n");
        long session = c.zk.getSessionId();
        Recorder data = new Recorder();
        Recorder always = new Recorder();
        Recorder below = new Recorder();
        c.zk.getData(p + "/n", data, null);
        c.zk.exists(p + "/new", data);
        c.zk.getChildren(p + "/n", data);
        c.zk.addWatch(p + "/n", always, AddWatchMode.PERSISTENT);
        c.zk.addWatch(p, below, AddWatchMode.PERSISTENT_RECURSIVE);
        for (int round = 0; round < 2; round++) {
            proxy.cut();
            c.state(KeeperState.Disconnected);
            that("ephemeral", observer.stat(p + "/e") != null);
            proxy.heal();
            c.state(KeeperState.SyncConnected);
            eq("session", session, c.zk.getSessionId());
        }
        c.quiet(data);
        observer.set(p + "/n", "x");
        observer.create(p + "/n/child");
        observer.create(p + "/new");
        data.expect("NodeDataChanged " + p + "/n");
        data.expect("NodeChildrenChanged " + p + "/n");
        data.expect("NodeCreated " + p + "/new");
        always.expect("NodeDataChanged " + p + "/n");
        always.expect("NodeChildrenChanged " + p + "/n");
        below.expect("NodeDataChanged " + p + "/n");
        below.expect("NodeCreated " + p + "/n/child");
        below.expect("NodeCreated " + p + "/new");
        eq("owner", session, observer.stat(p + "/e").getEphemeralOwner());
        eq("ephemerals", List.of(p + "/e"), c.zk.getEphemerals());
    }

    /** What changed while the client was away is told on its return. */
    private static void catchUp(Ctx ctx) throws Exception {
        Client observer = ctx.base();
        Proxy proxy = ctx.proxy();
        Client c = ctx.client(proxy.hosts(), Ctx.TIMEOUT_MS);
        String p = ctx.path;
        Recorder w = new Recorder();
        for (String name : List.of("/set", "/deleted", "/parent", "/parentDeleted", "/same")) {
            c.create(p + name);
        }
        c.zk.getData(p + "/set", w, null);
        c.zk.getData(p + "/deleted", w, null);
        c.zk.getChildren(p + "/parent", w);
        c.zk.getChildren(p + "/parentDeleted", w);
        c.zk.exists(p + "/created", w);
        c.zk.exists(p + "/missing", w);
        c.zk.getData(p + "/same", w, null);
        c.zk.getChildren(p + "/same", w);
        proxy.cut();
        c.state(KeeperState.Disconnected);
        observer.set(p + "/set", "x");
        observer.zk.delete(p + "/deleted", -1);
        observer.create(p + "/parent/child");
        observer.zk.delete(p + "/parentDeleted", -1);
        observer.create(p + "/created");
        proxy.heal();
        c.state(KeeperState.SyncConnected);
        c.drain();
        eq("told on return", List.of("NodeChildrenChanged " + p + "/parent", "NodeCreated " + p + "/created",
                "NodeDataChanged " + p + "/set", "NodeDeleted " + p + "/deleted", "NodeDeleted " + p + "/parentDeleted"),
                w.rest().stream().sorted().toList());
        observer.create(p + "/missing");
        observer.set(p + "/same", "x");
        w.expect("NodeCreated " + p + "/missing");
        w.expect("NodeDataChanged " + p + "/same");
        c.quiet(w);
    }

    private static void attach(Ctx ctx) throws Exception {
        ctx.base();
        Proxy proxy = ctx.proxy();
        Client first = ctx.client(proxy.hosts(), Ctx.TIMEOUT_MS);
        first.create(ctx.path + "/e", CreateMode.EPHEMERAL);
        Client second = ctx.keep(new Client(ctx.server.hosts(), Ctx.TIMEOUT_MS, first.zk.getSessionId(),
                first.zk.getSessionPasswd())).connected();
        eq("session", first.zk.getSessionId(), second.zk.getSessionId());
        eq("password", first.zk.getSessionPasswd(), second.zk.getSessionPasswd());
        // The server closes the connection that had the session; its client must not come back and take it again.
        proxy.cut();
        first.state(KeeperState.Disconnected);
        eq("ephemerals", List.of(ctx.path + "/e"), second.zk.getEphemerals());
        second.create(ctx.path + "/e2", CreateMode.EPHEMERAL);
        second.close();
        Client observer = ctx.client();
        eq("closed", List.of(), observer.children(ctx.path));
        proxy.heal();
        first.untilState(KeeperState.Expired);
    }

    private static void wrongPassword(Ctx ctx) throws Exception {
        Client c = ctx.base();
        c.create(ctx.path + "/e", CreateMode.EPHEMERAL);
        byte[] password = c.zk.getSessionPasswd().clone();
        password[3] ^= 1;
        Client thief = ctx.keep(new Client(ctx.server.hosts(), Ctx.TIMEOUT_MS, c.zk.getSessionId(), password));
        thief.state(KeeperState.Expired);
        code(Code.SESSIONEXPIRED, () -> thief.get(ctx.path));
        Client observer = ctx.client();
        eq("the session lives", c.zk.getSessionId(), observer.stat(ctx.path + "/e").getEphemeralOwner());
        until("the owner works", () -> {
            try {
                c.set(ctx.path + "/e", "mine");
                return true;
            } catch (org.apache.zookeeper.KeeperException.ConnectionLossException e) {
                return false;
            }
        });
    }

    private static void unknown(Ctx ctx) throws Exception {
        Client c = ctx.base();
        long id = c.zk.getSessionId();
        byte[] password = c.zk.getSessionPasswd();
        c.close();
        Client closed = ctx.keep(new Client(ctx.server.hosts(), Ctx.TIMEOUT_MS, id, password));
        closed.state(KeeperState.Expired);
        Client never = ctx.keep(new Client(ctx.server.hosts(), Ctx.TIMEOUT_MS, 0x7700_0000_1234_5678L, new byte[16]));
        never.state(KeeperState.Expired);
    }

    private static void many(Ctx ctx) throws Exception {
        Client base = ctx.base();
        Threads.run(8, i -> {
            for (int k = 0; k < 10; k++) {
                ctx.client().create(ctx.path + "/e", CreateMode.EPHEMERAL_SEQUENTIAL);
            }
        });
        eq("ephemerals", 80, base.stat(ctx.path).getNumChildren());
    }

    private static void ids(Ctx ctx) throws Exception {
        java.util.Set<Long> ids = new java.util.HashSet<>();
        for (int i = 0; i < 20; i++) {
            Client c = ctx.client();
            that("a new id", ids.add(c.zk.getSessionId()));
            eq("a standalone server numbers as server 1", 1L, c.zk.getSessionId() >>> 56);
            eq("password", 16, c.zk.getSessionPasswd().length);
        }
    }

    private static void readOnlyClient(Ctx ctx) throws Exception {
        ctx.base();
        try (ZooKeeper zk = new ZooKeeper(ctx.server.hosts(), Ctx.TIMEOUT_MS, e -> {}, true)) {
            until("connected", () -> zk.getState() == ZooKeeper.States.CONNECTED);
            zk.setData(ctx.path, "may write".getBytes(), -1);
            eq("data", "may write", new String(zk.getData(ctx.path, false, null)));
        }
    }
}
