package zooid.interop;

import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** The asynchronous form of every call, and the order of what comes back. */
final class Async {
    static final AsyncCallback.StringCallback IGNORE = (rc, path, ctx, name) -> {};

    static void add(Suite suite, Server server) {
        suite.check("async_every_call", server, Async::everyCall);
        suite.check("async_pipelined_order", server, Async::pipelinedOrder);
        suite.check("async_pipelined_dependent_writes", server, Async::dependentWrites);
        suite.check("async_own_event_before_reply", server, Async::eventBeforeReply);
        suite.check("async_event_before_read_of_change", server, Async::eventBeforeRead);
    }

    /** What came back, in order. */
    private static final class Replies {
        private final List<String> list = Collections.synchronizedList(new ArrayList<>());
        private final CountDownLatch left;

        Replies(int count) {
            left = new CountDownLatch(count);
        }

        void add(String what, int rc) {
            list.add(what + " " + Code.get(rc));
            left.countDown();
        }

        List<String> all() throws InterruptedException {
            that("replies missing, have " + list, left.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
            return list;
        }
    }

    private static void everyCall(Ctx ctx) throws Exception {
        Client client = ctx.base();
        ZooKeeper zk = client.zk;
        String p = ctx.path;
        Recorder w = new Recorder();
        Replies r = new Replies(27);
        zk.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                (rc, path, c, name) -> r.add("create " + name.substring(p.length()), rc), null);
        zk.create(p + "/e", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL,
                (rc, path, c, name, stat) -> r.add("create2 " + stat.getDataLength(), rc), null);
        zk.create(p + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                (rc, path, c, name, stat) -> r.add("createTTL " + stat.getVersion(), rc), null, 3_600_000);
        zk.create(p + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER,
                (rc, path, c, name, stat) -> r.add("createContainer " + stat.getVersion(), rc), null);
        zk.setData(p + "/a", new byte[3], 0, (rc, path, c, stat) -> r.add("setData " + stat.getVersion(), rc), null);
        zk.exists(p + "/a", w, (rc, path, c, stat) -> r.add("exists " + stat.getDataLength(), rc), null);
        zk.exists(p + "/no", false, (rc, path, c, stat) -> r.add("exists " + stat, rc), null);
        zk.getData(p + "/a", w, (rc, path, c, data, stat) -> r.add("getData " + data.length, rc), null);
        zk.getData(p + "/no", false, (rc, path, c, data, stat) -> r.add("getData", rc), null);
        zk.getChildren(p, w, (rc, path, c, names) -> r.add("getChildren " + names.size(), rc), null);
        zk.getChildren(p, false, (rc, path, c, names, stat) -> r.add("getChildren2 " + stat.getNumChildren(), rc),
                null);
        zk.getACL(p, new Stat(), (rc, path, c, acl, stat) -> r.add("getACL " + acl.size(), rc), null);
        zk.setACL(p + "/a", Ids.OPEN_ACL_UNSAFE, 0, (rc, path, c, stat) -> r.add("setACL " + stat.getAversion(), rc),
                null);
        zk.getAllChildrenNumber(p, (rc, path, c, number) -> r.add("getAllChildrenNumber " + number, rc), null);
        zk.getEphemerals((rc, c, paths) -> r.add("getEphemerals " + paths.size(), rc), null);
        zk.getEphemerals(p + "/x", (rc, c, paths) -> r.add("getEphemerals " + paths.size(), rc), null);
        zk.sync(p, (rc, path, c) -> r.add("sync", rc), null);
        zk.getConfig(false, (rc, path, c, data, stat) -> r.add("getConfig", rc), null);
        zk.multi(List.of(Op.create(p + "/m", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT), Op.check(p, 0)),
                (rc, path, c, results) -> r.add("multi " + results.size(), rc), null);
        zk.multi(List.of(Op.getData(p), Op.getChildren(p)),
                (rc, path, c, results) -> r.add("multiRead " + results.size(), rc), null);
        zk.multi(List.of(Op.check(p, 9)), (rc, path, c, results) -> r.add("multi " + results.size(), rc), null);
        zk.transaction().check(p, 0).setData(p, null, 0)
                .commit((rc, path, c, results) -> r.add("transaction " + results.size(), rc), null);
        zk.addWatch(p + "/w", w, AddWatchMode.PERSISTENT, (rc, path, c) -> r.add("addWatch", rc), null);
        zk.addWatch(p + "/v", AddWatchMode.PERSISTENT_RECURSIVE, (rc, path, c) -> r.add("addWatch", rc), null);
        zk.delete(p + "/a", 0, (rc, path, c) -> r.add("delete", rc), null);
        zk.delete(p + "/a", 1, (rc, path, c) -> r.add("delete", rc), null);
        zk.delete(p + "/a", 1, (rc, path, c) -> r.add("delete", rc), null);
        eq("replies", List.of("create /a OK", "create2 0 OK", "createTTL 0 OK", "createContainer 0 OK",
                "setData 1 OK", "exists 3 OK", "exists null NONODE", "getData 3 OK", "getData NONODE",
                "getChildren 4 OK", "getChildren2 4 OK", "getACL 1 OK", "setACL 1 OK", "getAllChildrenNumber 4 OK",
                "getEphemerals 1 OK", "getEphemerals 0 OK", "sync OK", "getConfig OK", "multi 2 OK", "multiRead 2 OK",
                "multi 1 BADVERSION", "transaction 2 OK", "addWatch OK", "addWatch OK", "delete BADVERSION",
                "delete OK", "delete NONODE"), r.all());
        client.drain();
        // The data watch and the child watch of the first calls; the one on /a stood in the table twice.
        eq("events", List.of("NodeChildrenChanged " + p, "NodeDeleted " + p + "/a"), w.rest());
        Replies removed = new Replies(2);
        zk.removeWatches(p + "/w", w, Watcher.WatcherType.Any, false, (rc, path, c) -> removed.add("remove", rc), null);
        zk.removeAllWatches(p + "/v", Watcher.WatcherType.Any, false, (rc, path, c) -> removed.add("removeAll", rc),
                null);
        eq("removals", List.of("remove OK", "removeAll OK"), removed.all());
    }

    private static void pipelinedOrder(Ctx ctx) throws Exception {
        Client client = ctx.base();
        int count = 1_000;
        Replies r = new Replies(count);
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int k = i;
            switch (i % 4) {
                case 0 -> {
                    client.zk.setData(ctx.path, new byte[i], -1,
                            (rc, path, c, stat) -> r.add("set " + k + " " + stat.getDataLength(), rc), null);
                    expected.add("set " + k + " " + k + " OK");
                }
                case 1 -> {
                    client.zk.getData(ctx.path, false, (rc, path, c, data, stat) -> r.add("get " + data.length, rc),
                            null);
                    expected.add("get " + (k - 1) + " OK");
                }
                case 2 -> {
                    client.zk.delete(ctx.path + "/no", -1, (rc, path, c) -> r.add("delete " + k, rc), null);
                    expected.add("delete " + k + " NONODE");
                }
                default -> {
                    client.zk.sync(ctx.path, (rc, path, c) -> r.add("sync " + k, rc), null);
                    expected.add("sync " + k + " OK");
                }
            }
        }
        eq("replies", expected, r.all());
    }

    /** Writes are judged against what the writes before them will have done. */
    private static void dependentWrites(Ctx ctx) throws Exception {
        Client client = ctx.base();
        ZooKeeper zk = client.zk;
        String a = ctx.path + "/a";
        Replies r = new Replies(8);
        AsyncCallback.VoidCallback del = (rc, path, c) -> r.add("delete", rc);
        zk.create(a, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, p, c, n) -> r.add("create", rc), null);
        zk.create(a + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, p, c, n) -> r.add("create", rc),
                null);
        zk.setData(a, new byte[1], 0, (rc, p, c, stat) -> r.add("set", rc), null);
        zk.delete(a, -1, del, null);
        zk.delete(a + "/b", -1, del, null);
        zk.delete(a, 0, del, null);
        zk.delete(a, 1, del, null);
        zk.create(a + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, p, c, n) -> r.add("create", rc),
                null);
        eq("replies", List.of("create OK", "create OK", "set OK", "delete NOTEMPTY", "delete OK", "delete BADVERSION",
                "delete OK", "create NONODE"), r.all());
    }

    private static void eventBeforeReply(Ctx ctx) throws Exception {
        Client client = ctx.base();
        int rounds = 50;
        Replies r = new Replies(2 * rounds);
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < rounds; i++) {
            client.zk.getData(ctx.path, e -> r.add("event", 0), (rc, path, c, data, stat) -> {}, null);
            client.zk.setData(ctx.path, null, -1, (rc, path, c, stat) -> r.add("reply", rc), null);
            expected.add("event OK");
            expected.add("reply OK");
        }
        eq("order", expected, r.all());
    }

    /** A reader learns of a change by its watch before it can read the change. */
    private static void eventBeforeRead(Ctx ctx) throws Exception {
        Client writer = ctx.base();
        Client reader = ctx.client();
        writer.set(ctx.path, "0");
        for (int i = 1; i <= 30; i++) {
            Replies r = new Replies(2);
            String now = Integer.toString(i);
            String before = Integer.toString(i - 1);
            eq("before", before, new String(reader.zk.getData(ctx.path, e -> r.add("event", 0), null)));
            writer.zk.setData(ctx.path, now.getBytes(), -1, (rc, path, c, stat) -> {}, null);
            CountDownLatch seen = new CountDownLatch(1);
            AsyncCallback.DataCallback[] read = new AsyncCallback.DataCallback[1];
            read[0] = (rc, path, c, data, stat) -> {
                if (new String(data).equals(now)) {
                    r.add("read", rc);
                    seen.countDown();
                } else {
                    reader.zk.getData(ctx.path, false, read[0], null);
                }
            };
            reader.zk.getData(ctx.path, false, read[0], null);
            that("change seen", seen.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
            eq("order", List.of("event OK", "read OK"), r.all());
        }
    }
}
