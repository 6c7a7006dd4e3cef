package zooid.interop;

import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;

import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/** Several operations as one. */
final class Multis {
    static void add(Suite suite, Server server) {
        suite.check("multi_every_write", server, Multis::everyWrite);
        suite.check("multi_sees_itself", server, Multis::seesItself);
        suite.check("multi_sequential", server, Multis::sequential);
        suite.check("multi_ttl_and_container", server, Multis::ttlAndContainer);
        suite.check("multi_failing_changes_nothing", server, Multis::failing);
        suite.check("multi_each_error", server, Multis::eachError);
        suite.check("multi_empty", server, Multis::empty);
        suite.check("multi_one_zxid", server, Multis::oneZxid);
        suite.check("multi_watch_events", server, Multis::events);
        suite.check("multi_read", server, Multis::read);
        suite.check("multi_read_partial_errors", server, Multis::readErrors);
        suite.check("multi_mixed_read_write_refused", server, Multis::mixed);
        suite.check("multi_contested_transfer", server, Multis::transfer);
        suite.check("transaction_builder", server, Multis::builder);
        suite.check("multi_large", server, Multis::large);
    }

    static Op create(String path) {
        return Op.create(path, path.getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private static void everyWrite(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.create(p + "/old");
        List<OpResult> results = c.zk.multi(List.of(
                create(p + "/a"),
                Op.create(p + "/e", new byte[2], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL.toFlag()),
                Op.setData(p + "/old", new byte[5], 0),
                Op.check(p + "/old", 1),
                Op.delete(p + "/old", 1)));
        eq("path", p + "/a", ((OpResult.CreateResult) results.get(0)).getPath());
        eq("path", p + "/e", ((OpResult.CreateResult) results.get(1)).getPath());
        Stat set = ((OpResult.SetDataResult) results.get(2)).getStat();
        eq("stat of set", List.of(1, 5), List.of(set.getVersion(), set.getDataLength()));
        that("check", results.get(3) instanceof OpResult.CheckResult);
        that("delete", results.get(4) instanceof OpResult.DeleteResult);
        eq("children", List.of("a", "e"), c.children(p));
        eq("owner", c.zk.getSessionId(), c.stat(p + "/e").getEphemeralOwner());
        eq("ephemerals", List.of(p + "/e"), c.zk.getEphemerals());
    }

    private static void seesItself(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        c.zk.multi(List.of(create(a), create(a + "/b"), Op.setData(a, "1".getBytes(), 0), Op.check(a, 1),
                Op.setData(a, "2".getBytes(), 1), Op.delete(a + "/b", 0), Op.delete(a, 2), create(a),
                Op.setData(a, "3".getBytes(), 0)));
        eq("data", "3", c.get(a));
        eq("version", 1, c.stat(a).getVersion());
        eq("children", List.of(), c.children(a));
        eq("cversion of the parent", 3, c.stat(ctx.path).getCversion());
    }

    private static void sequential(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Op op = Op.create(ctx.path + "/s", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
        List<OpResult> results = c.zk.multi(List.of(op, op));
        eq("first", ctx.path + "/s0000000000", ((OpResult.CreateResult) results.get(0)).getPath());
        eq("second", ctx.path + "/s0000000001", ((OpResult.CreateResult) results.get(1)).getPath());
        code(Code.BADVERSION, () -> c.zk.multi(List.of(op, op, Op.check(ctx.path, 7))));
        eq("a failed multi takes no number", ctx.path + "/s0000000002",
                ((OpResult.CreateResult) c.zk.multi(List.of(op)).get(0)).getPath());
    }

    private static void ttlAndContainer(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        List<OpResult> results = c.zk.multi(List.of(
                Op.create(p + "/t", new byte[4], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 600),
                Op.create(p + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                create(p + "/c/child")));
        OpResult.CreateResult ttl = (OpResult.CreateResult) results.get(0);
        eq("stat of the ttl node", 4, ttl.getStat().getDataLength());
        eq("path of the container", p + "/c", ((OpResult.CreateResult) results.get(1)).getPath());
        Recorder watch = new Recorder();
        if (c.zk.exists(p + "/t", watch) != null) {
            watch.expect("NodeDeleted " + p + "/t");
        }
        eq("children", List.of("c"), c.children(p));
        that("container", c.zk.exists(p + "/c", watch) != null);
        c.zk.delete(p + "/c/child", -1);
        watch.expect("NodeDeleted " + p + "/c");
    }

    private static List<Object> codes(KeeperException e) {
        List<Object> codes = new ArrayList<>();
        for (OpResult result : e.getResults()) {
            codes.add(result instanceof OpResult.ErrorResult error ? Code.get(error.getErr()) : result.getClass());
        }
        return codes;
    }

    private static void failing(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Stat before = c.stat(p);
        c.zk.getChildren(p, true);
        KeeperException e = code(Code.NONODE, () -> c.zk.multi(List.of(
                create(p + "/a"), Op.setData(p, new byte[9], 0), Op.delete(p + "/no", -1), create(p + "/b"),
                Op.check(p, 99))));
        eq("results", List.of(Code.OK, Code.OK, Code.NONODE, Code.RUNTIMEINCONSISTENCY, Code.RUNTIMEINCONSISTENCY),
                codes(e));
        eq("stat", before, c.stat(p));
        eq("children", List.of(), c.children(p));
        c.quiet(c.events);
        // What the failed multi did on paper must not be seen by the next one.
        c.zk.multi(List.of(create(p + "/a"), Op.check(p, 0)));
    }

    private static void eachError(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.create(p + "/parent");
        c.create(p + "/parent/child");
        c.create(p + "/e", CreateMode.EPHEMERAL);
        c.zk.create(p + "/closed", null, Acls.of(new ACL(Perms.ADMIN, Ids.ANYONE_ID_UNSAFE)), CreateMode.PERSISTENT);
        code(Code.NODEEXISTS, () -> c.zk.multi(List.of(create(p + "/parent"))));
        code(Code.NONODE, () -> c.zk.multi(List.of(create(p + "/no/a"))));
        code(Code.NOCHILDRENFOREPHEMERALS, () -> c.zk.multi(List.of(create(p + "/e/a"))));
        code(Code.NOTEMPTY, () -> c.zk.multi(List.of(Op.delete(p + "/parent", -1))));
        code(Code.BADVERSION, () -> c.zk.multi(List.of(Op.setData(p, null, 5))));
        code(Code.BADVERSION, () -> c.zk.multi(List.of(Op.check(p, 5))));
        code(Code.NONODE, () -> c.zk.multi(List.of(Op.check(p + "/no", -1))));
        code(Code.NOAUTH, () -> c.zk.multi(List.of(Op.setData(p + "/closed", null, -1))));
        code(Code.NOAUTH, () -> c.zk.multi(List.of(Op.check(p + "/closed", -1))));
        code(Code.NOAUTH, () -> c.zk.multi(List.of(create(p + "/closed/a"))));
        code(Code.INVALIDACL, () -> c.zk.multi(List.of(
                Op.create(p + "/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT))));
    }

    private static void empty(Ctx ctx) throws Exception {
        Client c = ctx.base();
        eq("results", List.of(), c.zk.multi(List.of()));
        eq("alive", "", c.get(ctx.path));
    }

    private static void oneZxid(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.zk.multi(List.of(create(p + "/a"), create(p + "/b"), Op.setData(p, null, -1)));
        Stat a = c.stat(p + "/a");
        Stat b = c.stat(p + "/b");
        Stat parent = c.stat(p);
        eq("zxid", a.getCzxid(), b.getCzxid());
        eq("zxid", a.getCzxid(), parent.getMzxid());
        eq("zxid", a.getCzxid(), parent.getPzxid());
        eq("time", List.of(a.getCtime(), a.getCtime()), List.of(b.getCtime(), parent.getMtime()));
    }

    private static void events(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.create(p + "/b");
        Client d = ctx.client();
        d.zk.addWatch(p, d.events, org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE);
        c.zk.multi(List.of(create(p + "/a"), Op.setData(p + "/b", null, -1), Op.delete(p + "/a", -1),
                Op.setData(p, null, -1)));
        long zxid = d.events.expect("NodeCreated " + p + "/a");
        eq("zxid", zxid, d.events.expect("NodeDataChanged " + p + "/b"));
        eq("zxid", zxid, d.events.expect("NodeDeleted " + p + "/a"));
        eq("zxid", zxid, d.events.expect("NodeDataChanged " + p));
        d.quiet(d.events);
    }

    private static void read(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.create(p + "/a");
        c.create(p + "/b");
        List<OpResult> results = c.zk.multi(List.of(Op.getChildren(p), Op.getData(p + "/a"), Op.getData(p)));
        eq("children", List.of("a", "b"),
                ((OpResult.GetChildrenResult) results.get(0)).getChildren().stream().sorted().toList());
        OpResult.GetDataResult data = (OpResult.GetDataResult) results.get(1);
        eq("data", p + "/a", new String(data.getData()));
        eq("stat", c.stat(p + "/a"), data.getStat());
        eq("count", 2, ((OpResult.GetDataResult) results.get(2)).getStat().getNumChildren());
    }

    private static void readErrors(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.zk.create(p + "/closed", null, Acls.of(new ACL(Perms.ADMIN, Ids.ANYONE_ID_UNSAFE)), CreateMode.PERSISTENT);
        List<OpResult> results = c.zk.multi(List.of(Op.getData(p + "/no"), Op.getChildren(p),
                Op.getData(p + "/closed"), Op.getChildren(p + "/no"), Op.getData(p)));
        List<Object> seen = new ArrayList<>();
        for (OpResult result : results) {
            seen.add(result instanceof OpResult.ErrorResult error ? Code.get(error.getErr())
                    : result.getClass().getSimpleName());
        }
        eq("results", List.of(Code.NONODE, "GetChildrenResult", Code.NOAUTH, Code.NONODE, "GetDataResult"), seen);
    }

    private static void mixed(Ctx ctx) throws Exception {
        Client c = ctx.base();
        boolean refused = false;
        try {
            c.zk.multi(List.of(create(ctx.path + "/a"), Op.getData(ctx.path)));
        } catch (IllegalArgumentException e) {
            refused = true;
        }
        that("refused by the client", refused);
        eq("nothing made", List.of(), c.children(ctx.path));
    }

    /** Money moves between two accounts; no reader ever sees it on the way. */
    private static void transfer(Ctx ctx) throws Exception {
        Client base = ctx.base();
        String a = ctx.path + "/a";
        String b = ctx.path + "/b";
        base.zk.multi(List.of(create(a), create(b), Op.setData(a, "100".getBytes(), -1),
                Op.setData(b, "0".getBytes(), -1)));
        Threads.run(4, i -> {
            Client c = ctx.client();
            for (int done = 0; done < 15; ) {
                List<OpResult> both = c.zk.multi(List.of(Op.getData(a), Op.getData(b)));
                OpResult.GetDataResult from = (OpResult.GetDataResult) both.get(0);
                OpResult.GetDataResult to = (OpResult.GetDataResult) both.get(1);
                int left = Integer.parseInt(new String(from.getData()));
                int right = Integer.parseInt(new String(to.getData()));
                eq("sum", 100, left + right);
                try {
                    c.zk.multi(List.of(
                            Op.setData(a, Integer.toString(left - 1).getBytes(), from.getStat().getVersion()),
                            Op.setData(b, Integer.toString(right + 1).getBytes(), to.getStat().getVersion())));
                    done++;
                } catch (KeeperException.BadVersionException e) {
                    continue;
                }
            }
        });
        eq("moved", List.of("40", "60"), List.of(base.get(a), base.get(b)));
    }

    private static void builder(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        List<OpResult> results = c.zk.transaction()
                .create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                .check(p, 0)
                .setData(p, new byte[1], 0)
                .delete(p + "/a", 0)
                .commit();
        eq("results", 4, results.size());
        eq("version", 1, c.stat(p).getVersion());
        code(Code.BADVERSION, () -> c.zk.transaction().setData(p, null, 0).commit());
    }

    private static void large(Ctx ctx) throws Exception {
        Client c = ctx.base();
        List<Op> ops = new ArrayList<>();
        for (int i = 0; i < 1_000; i++) {
            ops.add(create(ctx.path + "/" + i));
        }
        eq("results", 1_000, c.zk.multi(ops).size());
        eq("number", 1_000, c.zk.getAllChildrenNumber(ctx.path));
        ops.replaceAll(op -> Op.delete(op.getPath(), 0));
        c.zk.multi(ops);
        eq("number", 0, c.zk.getAllChildrenNumber(ctx.path));
    }
}
