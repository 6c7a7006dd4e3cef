package zooid.interop;

import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** What a crash of the server leaves. Each check has a server of its own; they are the slow ones. */
final class Restarts {
    static void add(Suite suite, Server[] servers) {
        suite.check("crash_keeps_tree_sessions_watches", servers[0], Restarts::crash);
        suite.check("crash_under_load_loses_no_answered_write", servers[1], Restarts::underLoad);
        suite.check("restart_by_term_keeps_all", servers[2], Restarts::term);
    }

    private static void crash(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.zk.addAuthInfo("digest", "ann:1".getBytes());
        c.zk.create(p + "/secret", "s".getBytes(), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        c.create(p + "/e", CreateMode.EPHEMERAL);
        for (int i = 0; i < 100; i++) {
            c.create(p + "/n" + i);
        }
        for (String name : List.of("/data", "/children", "/gone")) {
            c.create(p + name);
        }
        c.zk.create(p + "/container", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        c.set(p + "/n7", "seven");
        c.zk.delete(p + "/n8", -1);
        Stat before = c.stat(p + "/n7");
        Stat parent = c.stat(p);
        long session = c.zk.getSessionId();
        Recorder w = new Recorder();
        Recorder always = new Recorder();
        Recorder below = new Recorder();
        c.zk.getData(p + "/data", w, null);
        c.zk.getChildren(p + "/children", w);
        c.zk.exists(p + "/created", w);
        c.zk.addWatch(p + "/data", always, AddWatchMode.PERSISTENT);
        c.zk.addWatch(p + "/children", below, AddWatchMode.PERSISTENT_RECURSIVE);
        ctx.server.kill();
        c.state(KeeperState.Disconnected);
        code(Code.CONNECTIONLOSS, () -> c.get(p));
        ctx.server.start();
        c.untilState(KeeperState.SyncConnected);
        eq("session", session, c.zk.getSessionId());
        eq("stat", before, c.stat(p + "/n7"));
        eq("stat of the parent", parent, c.stat(p));
        eq("data", "seven", c.get(p + "/n7"));
        eq("identity", "s", c.get(p + "/secret"));
        eq("deleted", null, c.stat(p + "/n8"));
        eq("ephemerals", List.of(p + "/e"), c.zk.getEphemerals());
        eq("owner", session, c.stat(p + "/e").getEphemeralOwner());
        Client d = ctx.client();
        that("another session", d.zk.getSessionId() != session);
        code(Code.NOAUTH, () -> d.get(p + "/secret"));
        d.set(p + "/data", "x");
        d.create(p + "/children/a");
        d.create(p + "/created");
        w.expect("NodeDataChanged " + p + "/data");
        w.expect("NodeChildrenChanged " + p + "/children");
        w.expect("NodeCreated " + p + "/created");
        always.expect("NodeDataChanged " + p + "/data");
        below.expect("NodeCreated " + p + "/children/a");
        c.quiet(w);
        eq("the counter of names goes on", String.format("%s/s%010d", p, 107),
                d.create(p + "/s", CreateMode.PERSISTENT_SEQUENTIAL));
        c.close();
        eq("closed", null, d.stat(p + "/e"));
        d.create(p + "/container/child");
        d.zk.exists(p + "/container", d.events);
        d.zk.delete(p + "/container/child", -1);
        d.events.expect("NodeDeleted " + p + "/container");
    }

    private static void underLoad(Ctx ctx) throws Exception {
        ctx.base();
        int writers = 4;
        AtomicInteger[] answered = new AtomicInteger[writers];
        for (int i = 0; i < writers; i++) {
            answered[i] = new AtomicInteger(-1);
        }
        List<Client> clients = new ArrayList<>();
        for (int i = 0; i < writers; i++) {
            clients.add(ctx.client());
        }
        Threads.run(writers + 1, i -> {
            if (i == writers) {
                for (AtomicInteger a : answered) {
                    until("some writes answered", () -> a.get() > 30);
                }
                ctx.server.kill();
                return;
            }
            Client c = clients.get(i);
            try {
                for (int k = 0; ; k++) {
                    c.create(ctx.path + "/" + i + "-" + k);
                    answered[i].set(k);
                }
            } catch (KeeperException.ConnectionLossException e) {
                // The write in flight may or may not have happened.
            }
        });
        ctx.server.start();
        Client c = ctx.client();
        List<String> names = c.zk.getChildren(ctx.path, false);
        for (int i = 0; i < writers; i++) {
            String mine = i + "-";
            long there = names.stream().filter(n -> n.startsWith(mine)).count();
            long sure = answered[i].get() + 1;
            that("writer " + i + ": " + sure + " answered, " + there + " there", there == sure || there == sure + 1);
        }
        for (Client old : clients) {
            old.untilState(KeeperState.SyncConnected);
            old.create(ctx.path + "/back", CreateMode.EPHEMERAL_SEQUENTIAL);
        }
    }

    private static void term(Ctx ctx) throws Exception {
        Client c = ctx.base();
        c.create(ctx.path + "/e", CreateMode.EPHEMERAL);
        c.create("/parent");
        c.zk.create("/parent/ttl", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 2_000);
        for (int round = 0; round < 2; round++) {
            c.set(ctx.path, "round " + round);
            Stat before = c.stat(ctx.path);
            ctx.server.stop();
            c.untilState(KeeperState.Disconnected);
            ctx.server.start();
            c.untilState(KeeperState.SyncConnected);
            eq("stat", before, c.stat(ctx.path));
            eq("data", "round " + round, c.get(ctx.path));
            that("ephemeral", c.stat(ctx.path + "/e") != null);
        }
        until("the ttl goes on", () -> c.stat("/parent/ttl") == null);
    }
}
