package zooid.interop;

import static org.apache.zookeeper.AddWatchMode.PERSISTENT;
import static org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE;
import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;

import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/** Who is told of which change, once or always, in which order. */
final class Watches {
    static void add(Suite suite, Server server) {
        suite.check("watch_data", server, Watches::data);
        suite.check("watch_exists", server, Watches::exists);
        suite.check("watch_children", server, Watches::children);
        suite.check("watch_data_and_children_one_delete", server, Watches::oneDelete);
        suite.check("watch_of_missing_not_kept", server, Watches::missing);
        suite.check("watch_default_watcher", server, Watches::defaultWatcher);
        suite.check("watch_not_fired_by_acl_or_failure", server, Watches::silent);
        suite.check("watch_event_zxid", server, Watches::zxid);
        suite.check("watch_many_clients", server, Watches::many);
        suite.check("watch_event_order", server, Watches::order);
        suite.check("watch_persistent", server, Watches::persistent);
        suite.check("watch_persistent_recursive", server, Watches::recursive);
        suite.check("watch_same_path_all_modes", server, Watches::allModes);
        suite.check("watch_ephemeral_of_closed_session", server, Watches::closedSession);
        suite.check("watch_without_read_permission", server, Watches::noRead);
        suite.check("remove_watches_each_type", server, Watches::removeEachType);
        suite.check("remove_watches_one_of_two", server, Watches::removeOneOfTwo);
        suite.check("remove_all_watches", server, Watches::removeAll);
        suite.check("remove_watches_errors", server, Watches::removeErrors);
        suite.check("remove_watches_while_disconnected", server, Watches::removeLocally);
    }

    private static void data(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Recorder w = new Recorder();
        c.zk.getData(p, w, null);
        c.create(p + "/child");
        c.set(p + "/child", "x");
        c.quiet(w);
        c.set(p, "one");
        c.set(p, "two");
        w.expect("NodeDataChanged " + p);
        c.quiet(w);
        c.zk.getData(p + "/child", w, null);
        c.zk.delete(p + "/child", -1);
        w.expect("NodeDeleted " + p + "/child");
        c.create(p + "/child");
        c.quiet(w);
    }

    private static void exists(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        Recorder w = new Recorder();
        eq("missing", null, c.zk.exists(a, w));
        c.create(a);
        w.expect("NodeCreated " + a);
        c.set(a, "x");
        c.quiet(w);
        that("there", c.zk.exists(a, w) != null);
        c.set(a, "y");
        w.expect("NodeDataChanged " + a);
        that("there", c.zk.exists(a, w) != null);
        c.zk.delete(a, -1);
        w.expect("NodeDeleted " + a);
        c.create(a);
        c.quiet(w);
    }

    private static void children(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Recorder w = new Recorder();
        Recorder w2 = new Recorder();
        c.zk.getChildren(p, w);
        c.zk.getChildren(p, w2, new Stat());
        c.set(p, "x");
        c.quiet(w);
        c.create(p + "/a");
        w.expect("NodeChildrenChanged " + p);
        w2.expect("NodeChildrenChanged " + p);
        c.zk.getChildren(p, w);
        c.set(p + "/a", "x");
        c.create(p + "/a/deep");
        c.quiet(w);
        c.zk.delete(p + "/a/deep", -1);
        c.zk.delete(p + "/a", -1);
        w.expect("NodeChildrenChanged " + p);
        c.zk.getChildren(p, w);
        c.zk.delete(p, -1);
        w.expect("NodeDeleted " + p);
        c.quiet(w);
        c.quiet(w2);
    }

    private static void oneDelete(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Recorder w = new Recorder();
        Recorder other = new Recorder();
        c.zk.getData(p, w, null);
        c.zk.getChildren(p, w);
        c.zk.exists(p, other);
        c.zk.delete(p, -1);
        w.expect("NodeDeleted " + p);
        other.expect("NodeDeleted " + p);
        c.quiet(w);
        c.quiet(other);
        c.create(p);
        c.set(p, "x");
        c.quiet(w);
    }

    private static void missing(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        Recorder w = new Recorder();
        code(Code.NONODE, () -> c.zk.getData(a, w, null));
        code(Code.NONODE, () -> c.zk.getChildren(a, w));
        c.create(a);
        c.set(a, "x");
        c.quiet(w);
    }

    private static void defaultWatcher(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.zk.getData(p, true, null);
        c.zk.getChildren(p, true);
        c.zk.exists(p + "/a", true);
        c.set(p, "x");
        c.create(p + "/a");
        c.events.expect("NodeDataChanged " + p);
        c.events.expect("NodeCreated " + p + "/a");
        c.events.expect("NodeChildrenChanged " + p);
        Recorder replaced = new Recorder();
        c.zk.register(replaced);
        c.zk.getData(p, true, null);
        c.set(p, "y");
        replaced.expect("NodeDataChanged " + p);
        c.quiet(c.events);
    }

    private static void silent(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.create(p + "/child");
        Recorder w = new Recorder();
        c.zk.getData(p, w, null);
        c.zk.getChildren(p, w);
        c.zk.setACL(p, Ids.OPEN_ACL_UNSAFE, -1);
        code(Code.BADVERSION, () -> c.zk.setData(p, null, 7));
        code(Code.NOTEMPTY, () -> c.zk.delete(p, -1));
        code(Code.NODEEXISTS, () -> c.create(p + "/child"));
        code(Code.NONODE, () -> c.zk.delete(p + "/no", -1));
        c.zk.sync(p);
        c.quiet(w);
    }

    private static void zxid(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Recorder w = new Recorder();
        c.zk.addWatch(p, w, PERSISTENT);
        Stat set = c.zk.setData(p, null, -1);
        eq("of set", set.getMzxid(), w.expect("NodeDataChanged " + p));
        Stat made = new Stat();
        c.zk.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, made);
        eq("of create", made.getCzxid(), w.expect("NodeChildrenChanged " + p));
        c.zk.delete(p + "/a", -1);
        eq("of delete", c.stat(p).getPzxid(), w.expect("NodeChildrenChanged " + p));
    }

    private static void many(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        for (int round = 0; round < 3; round++) {
            Recorder[] recorders = new Recorder[20];
            Client[] clients = new Client[recorders.length];
            for (int i = 0; i < recorders.length; i++) {
                recorders[i] = new Recorder();
                clients[i] = round == 0 ? ctx.client() : c;
                clients[i].zk.getData(p, recorders[i], null);
            }
            c.set(p, "round " + round);
            for (int i = 0; i < recorders.length; i++) {
                recorders[i].expect("NodeDataChanged " + p);
                clients[i].quiet(recorders[i]);
            }
        }
    }

    /** Events of one client come in the order of the changes, whichever watch they belong to. */
    private static void order(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client d = ctx.client();
        String p = ctx.path;
        Recorder w = new Recorder();
        int count = 60;
        for (int i = 0; i < count; i++) {
            c.create(p + "/" + i);
            switch (i % 3) {
                case 0 -> d.zk.getData(p + "/" + i, w, null);
                case 1 -> d.zk.exists(p + "/" + i, w);
                default -> d.zk.getChildren(p + "/" + i, w);
            }
        }
        for (int i = count - 1; i >= 0; i--) {
            c.zk.delete(p + "/" + i, -1, (rc, path, x) -> {}, null);
        }
        long last = 0;
        for (int i = count - 1; i >= 0; i--) {
            long zxid = w.expect("NodeDeleted " + p + "/" + i);
            that("zxids rise", zxid > last);
            last = zxid;
        }
        d.quiet(w);
    }

    private static void persistent(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        Recorder w = new Recorder();
        c.zk.addWatch(a, w, PERSISTENT);
        for (int round = 0; round < 2; round++) {
            c.create(a);
            c.create(a + "/b");
            c.set(a, "x");
            c.set(a + "/b", "not told");
            c.create(a + "/b/c");
            c.zk.delete(a + "/b/c", -1);
            c.zk.delete(a + "/b", -1);
            c.zk.delete(a, -1);
            w.expect("NodeCreated " + a);
            w.expect("NodeChildrenChanged " + a);
            w.expect("NodeDataChanged " + a);
            w.expect("NodeChildrenChanged " + a);
            w.expect("NodeDeleted " + a);
        }
        c.quiet(w);
    }

    private static void recursive(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        Recorder w = new Recorder();
        Recorder top = new Recorder();
        c.zk.addWatch(a, w, PERSISTENT_RECURSIVE);
        c.zk.addWatch(ctx.path, top, PERSISTENT_RECURSIVE);
        c.create(ctx.path + "/ab");
        top.expect("NodeCreated " + ctx.path + "/ab");
        for (int round = 0; round < 2; round++) {
            c.create(a);
            c.create(a + "/b");
            c.create(a + "/b/c", CreateMode.EPHEMERAL);
            c.set(a + "/b", "x");
            c.zk.delete(a + "/b/c", -1);
            c.zk.delete(a + "/b", -1);
            c.zk.delete(a, -1);
            for (Recorder r : List.of(w, top)) {
                r.expect("NodeCreated " + a);
                r.expect("NodeCreated " + a + "/b");
                r.expect("NodeCreated " + a + "/b/c");
                r.expect("NodeDataChanged " + a + "/b");
                r.expect("NodeDeleted " + a + "/b/c");
                r.expect("NodeDeleted " + a + "/b");
                r.expect("NodeDeleted " + a);
            }
        }
        c.quiet(w);
        c.quiet(top);
    }

    private static void allModes(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Recorder once = new Recorder();
        Recorder always = new Recorder();
        Recorder below = new Recorder();
        c.zk.getData(p, once, null);
        c.zk.getChildren(p, once);
        c.zk.addWatch(p, always, PERSISTENT);
        c.zk.addWatch(p, below, PERSISTENT_RECURSIVE);
        c.set(p, "x");
        c.create(p + "/a");
        c.set(p, "y");
        c.zk.delete(p + "/a", -1);
        c.drain();
        eq("one-shot", List.of("NodeDataChanged " + p, "NodeChildrenChanged " + p), once.rest());
        eq("persistent", List.of("NodeDataChanged " + p, "NodeChildrenChanged " + p, "NodeDataChanged " + p,
                "NodeChildrenChanged " + p), always.rest());
        eq("recursive", List.of("NodeDataChanged " + p, "NodeCreated " + p + "/a", "NodeDataChanged " + p,
                "NodeDeleted " + p + "/a"), below.rest());
    }

    private static void closedSession(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client d = ctx.client();
        String p = ctx.path;
        Recorder w = new Recorder();
        d.create(p + "/e1", CreateMode.EPHEMERAL);
        d.create(p + "/e2", CreateMode.EPHEMERAL);
        c.zk.exists(p + "/e1", w);
        c.zk.getData(p + "/e2", w, null);
        d.close();
        long zxid = c.stat(p).getPzxid();
        // Both go in one transaction; their order is not promised.
        List<String> expected = List.of("NodeDeleted " + p + "/e1", "NodeDeleted " + p + "/e2");
        c.drain();
        eq("events", expected, w.rest().stream().sorted().toList());
        eq("children", List.of(), c.children(p));
        that("pzxid", zxid > c.stat(p).getCzxid());
    }

    private static void noRead(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client d = ctx.client();
        String p = ctx.path;
        d.zk.addWatch(p, d.events, PERSISTENT_RECURSIVE);
        List<ACL> noRead = Acls.of(new ACL(Perms.ALL & ~Perms.READ, Ids.ANYONE_ID_UNSAFE));
        c.zk.create(p + "/hidden", null, noRead, CreateMode.PERSISTENT);
        c.create(p + "/hidden/seen");
        c.zk.setData(p + "/hidden", null, -1);
        c.set(p + "/hidden/seen", "x");
        d.events.expect("NodeCreated " + p + "/hidden/seen");
        d.events.expect("NodeDataChanged " + p + "/hidden/seen");
        d.quiet(d.events);
        // A one-shot watch is used up by the event that could not be told.
        Recorder w = new Recorder();
        c.zk.setACL(p + "/hidden", Ids.OPEN_ACL_UNSAFE, -1);
        d.zk.getData(p + "/hidden", w, null);
        c.zk.setACL(p + "/hidden", noRead, -1);
        c.zk.setData(p + "/hidden", null, -1);
        c.zk.setACL(p + "/hidden", Ids.OPEN_ACL_UNSAFE, -1);
        d.quiet(w);
    }

    private static void removeEachType(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        record Case(WatcherType type, String told, List<String> left) {}
        List<String> set = List.of("NodeDataChanged " + p);
        List<String> child = List.of("NodeChildrenChanged " + p);
        List<String> both = List.of("NodeDataChanged " + p, "NodeChildrenChanged " + p);
        for (Case k : List.of(
                new Case(WatcherType.Data, "DataWatchRemoved " + p, child),
                new Case(WatcherType.Children, "ChildWatchRemoved " + p, set))) {
            Recorder w = new Recorder();
            c.zk.getData(p, w, null);
            c.zk.getChildren(p, w);
            c.zk.removeWatches(p, w, k.type, false);
            w.expect(k.told);
            c.set(p, "x");
            c.zk.delete(c.create(p + "/a"), -1);
            c.drain();
            eq("left after " + k.type, k.left, w.rest());
        }
        Recorder w = new Recorder();
        c.zk.addWatch(p, w, PERSISTENT);
        c.zk.getData(p, w, null);
        c.zk.removeWatches(p, w, WatcherType.Data, false);
        w.expect("DataWatchRemoved " + p);
        c.set(p, "x");
        c.zk.delete(c.create(p + "/a"), -1);
        c.drain();
        eq("persistent goes on", List.of("NodeDataChanged " + p, "NodeChildrenChanged " + p,
                "NodeChildrenChanged " + p), w.rest());
        c.zk.removeWatches(p, w, WatcherType.Persistent, false);
        w.expect("PersistentWatchRemoved " + p);
        c.zk.addWatch(p, w, PERSISTENT_RECURSIVE);
        c.zk.removeWatches(p, w, WatcherType.PersistentRecursive, false);
        w.expect("PersistentWatchRemoved " + p);
        c.zk.getData(p, w, null);
        c.zk.getChildren(p, w);
        c.zk.removeWatches(p, w, WatcherType.Any, false);
        c.drain();
        eq("told", List.of("ChildWatchRemoved " + p, "DataWatchRemoved " + p), w.rest().stream().sorted().toList());
        c.set(p, "y");
        c.create(p + "/a");
        c.quiet(w);
    }

    private static void removeOneOfTwo(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Recorder w1 = new Recorder();
        Recorder w2 = new Recorder();
        c.zk.getData(p, w1, null);
        c.zk.getData(p, w2, null);
        c.zk.removeWatches(p, w1, WatcherType.Data, false);
        w1.expect("DataWatchRemoved " + p);
        c.set(p, "x");
        w2.expect("NodeDataChanged " + p);
        c.quiet(w1);
    }

    private static void removeAll(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client other = ctx.client();
        String p = ctx.path;
        Recorder kept = new Recorder();
        other.zk.getData(p, kept, null);
        for (WatcherType type : WatcherType.values()) {
            Recorder w = new Recorder();
            c.zk.getData(p, w, null);
            c.zk.getChildren(p, w);
            c.zk.exists(p + "/no", w);
            c.zk.addWatch(p, w, PERSISTENT);
            c.zk.addWatch(p, w, PERSISTENT_RECURSIVE);
            c.zk.removeAllWatches(p, type, false);
            c.drain();
            List<String> told = w.rest().stream().sorted().toList();
            c.zk.removeAllWatches(p + "/no", WatcherType.Any, false);
            w.expect("DataWatchRemoved " + p + "/no");
            String child = "ChildWatchRemoved " + p;
            String data = "DataWatchRemoved " + p;
            String persistent = "PersistentWatchRemoved " + p;
            eq("told for " + type, switch (type) {
                case Children -> List.of(child);
                case Data -> List.of(data);
                case Persistent, PersistentRecursive -> List.of(persistent);
                // The client tells one watcher of each kind of event once.
                case Any -> told.stream().distinct().toList().equals(List.of(child, data, persistent)) ? told : List.of();
            }, told);
            if (type != WatcherType.Any) {
                c.zk.removeAllWatches(p, WatcherType.Any, false);
            }
            c.drain();
            w.rest();
            c.create(p + "/no");
            c.zk.delete(p + "/no", -1);
            c.quiet(w);
            code(Code.NOWATCHER, () -> c.zk.removeAllWatches(p, WatcherType.Any, false));
        }
        c.set(p, "x");
        kept.expect("NodeDataChanged " + p);
    }

    private static void removeErrors(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Recorder w = new Recorder();
        code(Code.NOWATCHER, () -> c.zk.removeWatches(p, w, WatcherType.Any, false));
        code(Code.NOWATCHER, () -> c.zk.removeAllWatches(p, WatcherType.Any, false));
        c.zk.getChildren(p, w);
        code(Code.NOWATCHER, () -> c.zk.removeWatches(p, w, WatcherType.Data, false));
        code(Code.NOWATCHER, () -> c.zk.removeAllWatches(p, WatcherType.Data, false));
        code(Code.NOWATCHER, () -> c.zk.removeAllWatches(p, WatcherType.Persistent, false));
        c.create(p + "/a");
        w.expect("NodeChildrenChanged " + p);
        code(Code.NOWATCHER, () -> c.zk.removeAllWatches(p, WatcherType.Children, false));
    }

    /** A removal that only the client knew of: the watch must not come back with the connection. */
    private static void removeLocally(Ctx ctx) throws Exception {
        Client observer = ctx.base();
        Proxy proxy = ctx.proxy();
        Client c = ctx.client(proxy.hosts(), Ctx.TIMEOUT_MS);
        String p = ctx.path;
        Recorder w = new Recorder();
        c.zk.getData(p, w, null);
        c.zk.getChildren(p, w);
        proxy.cut();
        c.state(KeeperState.Disconnected);
        c.zk.removeWatches(p, w, WatcherType.Data, true);
        w.expect("DataWatchRemoved " + p);
        observer.set(p, "while away");
        proxy.heal();
        c.state(KeeperState.SyncConnected);
        c.quiet(w);
        observer.create(p + "/a");
        w.expect("NodeChildrenChanged " + p);
        observer.set(p, "again");
        c.quiet(w);
    }
}
