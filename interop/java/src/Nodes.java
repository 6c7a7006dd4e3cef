package zooid.interop;

import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/** Creating, reading, changing and deleting nodes. */
final class Nodes {
    static void add(Suite suite, Server server) {
        suite.check("create_modes", server, Nodes::createModes);
        suite.check("create_returns_stat", server, Nodes::createReturnsStat);
        suite.check("create_sequential_names", server, Nodes::sequentialNames);
        suite.check("create_sequential_contested", server, Nodes::sequentialContested);
        suite.check("create_errors", server, Nodes::createErrors);
        suite.check("null_and_empty_data", server, Nodes::nullAndEmptyData);
        suite.check("ttl_nodes", server, Nodes::ttl);
        suite.check("container_nodes", server, Nodes::container);
        suite.check("delete_and_its_errors", server, Nodes::delete);
        suite.check("set_data_versions", server, Nodes::setDataVersions);
        suite.check("stat_of_parent_and_child", server, Nodes::statOfParentAndChild);
        suite.check("exists", server, Nodes::exists);
        suite.check("get_data_missing", server, Nodes::getDataMissing);
        suite.check("get_children_both_forms", server, Nodes::getChildren);
        suite.check("get_children_many", server, Nodes::getChildrenMany);
        suite.check("get_all_children_number", server, Nodes::allChildrenNumber);
        suite.check("get_ephemerals", server, Nodes::ephemerals);
        suite.check("get_acl_set_acl", server, Nodes::acl);
        suite.check("sync", server, Nodes::sync);
        suite.check("get_config_standalone", server, Nodes::config);
        suite.check("reserved_paths", server, Nodes::reserved);
        suite.check("unicode_paths_and_binary_data", server, Nodes::unicode);
        suite.check("root_node", server, Nodes::root);
        suite.check("compare_and_set_contested", server, Nodes::compareAndSet);
    }

    private static void createModes(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        long session = c.zk.getSessionId();
        eq("persistent", p + "/p", c.create(p + "/p", CreateMode.PERSISTENT));
        eq("ephemeral", p + "/e", c.create(p + "/e", CreateMode.EPHEMERAL));
        eq("sequential", p + "/s0000000002", c.create(p + "/s", CreateMode.PERSISTENT_SEQUENTIAL));
        eq("ephemeral sequential", p + "/es0000000003", c.create(p + "/es", CreateMode.EPHEMERAL_SEQUENTIAL));
        eq("container", p + "/c", c.create(p + "/c", CreateMode.CONTAINER));
        Stat stat = new Stat();
        eq("ttl", p + "/t",
                c.zk.create(p + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 3_600_000));
        eq("owner in the reply for a ttl node", 0L, stat.getEphemeralOwner());
        eq("sequential ttl", p + "/ts0000000006", c.zk.create(p + "/ts", null, Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, stat, 3_600_000));
        eq("owner of persistent", 0L, c.stat(p + "/p").getEphemeralOwner());
        eq("owner of ephemeral", session, c.stat(p + "/e").getEphemeralOwner());
        eq("owner of sequential", 0L, c.stat(p + "/s0000000002").getEphemeralOwner());
        eq("owner of ephemeral sequential", session, c.stat(p + "/es0000000003").getEphemeralOwner());
        eq("owner of container", 0L, c.stat(p + "/c").getEphemeralOwner());
        eq("owner of ttl", 0L, c.stat(p + "/t").getEphemeralOwner());
        eq("data", p + "/e", c.get(p + "/e"));
        eq("children", List.of("c", "e", "es0000000003", "p", "s0000000002", "t", "ts0000000006"), c.children(p));
        c.close();
        Client d = ctx.client();
        eq("after the session", List.of("c", "p", "s0000000002", "t", "ts0000000006"), d.children(p));
    }

    private static void createReturnsStat(Ctx ctx) throws Exception {
        Client c = ctx.base();
        for (CreateMode mode : List.of(CreateMode.PERSISTENT, CreateMode.EPHEMERAL, CreateMode.CONTAINER)) {
            String path = ctx.path + "/" + mode;
            Stat made = new Stat();
            eq("path", path, c.zk.create(path, new byte[7], Ids.OPEN_ACL_UNSAFE, mode, made));
            Stat read = c.stat(path);
            eq("stat of " + mode, read, made);
            eq("mzxid", made.getCzxid(), made.getMzxid());
            eq("pzxid", made.getCzxid(), made.getPzxid());
            eq("mtime", made.getCtime(), made.getMtime());
            that("clock", Math.abs(System.currentTimeMillis() - made.getCtime()) < 60_000);
            eq("versions", List.of(0, 0, 0), List.of(made.getVersion(), made.getCversion(), made.getAversion()));
            eq("length", 7, made.getDataLength());
            eq("children", 0, made.getNumChildren());
        }
    }

    private static void sequentialNames(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        eq("first", p + "/x-0000000000", c.create(p + "/x-", CreateMode.PERSISTENT_SEQUENTIAL));
        eq("second", p + "/y-0000000001", c.create(p + "/y-", CreateMode.EPHEMERAL_SEQUENTIAL));
        c.create(p + "/plain");
        eq("a plain create counts", p + "/x-0000000003", c.create(p + "/x-", CreateMode.PERSISTENT_SEQUENTIAL));
        c.zk.delete(p + "/x-0000000003", -1);
        c.zk.delete(p + "/plain", -1);
        eq("a deletion does not", p + "/x-0000000004", c.create(p + "/x-", CreateMode.PERSISTENT_SEQUENTIAL));
        code(Code.NODEEXISTS, () -> c.create(p + "/y-0000000001"));
        eq("a failed create does not", p + "/x-0000000005", c.create(p + "/x-", CreateMode.PERSISTENT_SEQUENTIAL));
        eq("only a suffix", p + "/0000000006", c.create(p + "/", CreateMode.PERSISTENT_SEQUENTIAL));
        c.set(p + "/x-0000000000", "no create");
        c.create(p + "/x-0000000000/child");
        eq("others' changes do not", p + "/x-0000000007", c.create(p + "/x-", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void sequentialContested(Ctx ctx) throws Exception {
        ctx.base();
        List<String> names = Collections.synchronizedList(new ArrayList<>());
        Threads.run(4, i -> {
            Client c = ctx.client();
            for (int k = 0; k < 25; k++) {
                names.add(c.create(ctx.path + "/n", CreateMode.EPHEMERAL_SEQUENTIAL));
            }
        });
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            expected.add(String.format("%s/n%010d", ctx.path, i));
        }
        eq("names", expected, names.stream().sorted().toList());
    }

    private static void createErrors(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        code(Code.NODEEXISTS, () -> c.create(p));
        eq("path in the error", p + "/no/child", code(Code.NONODE, () -> c.create(p + "/no/child")).getPath());
        c.create(p + "/e", CreateMode.EPHEMERAL);
        code(Code.NOCHILDRENFOREPHEMERALS, () -> c.create(p + "/e/child"));
        code(Code.NOCHILDRENFOREPHEMERALS, () -> c.create(p + "/e/child", CreateMode.EPHEMERAL));
        code(Code.INVALIDACL, () -> c.zk.create(p + "/a", null, null, CreateMode.PERSISTENT));
        code(Code.INVALIDACL, () -> c.zk.create(p + "/a", null, List.of(), CreateMode.PERSISTENT));
        code(Code.INVALIDACL, () -> c.zk.create(p + "/a", null,
                Acls.of(new ACL(Perms.ALL, new org.apache.zookeeper.data.Id("nosuch", "x"))), CreateMode.PERSISTENT));
        code(Code.INVALIDACL, () -> c.zk.create(p + "/no/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        eq("nothing made", List.of("e"), c.children(p));
    }

    private static void nullAndEmptyData(Ctx ctx) throws Exception {
        Client c = ctx.base();
        c.zk.create(ctx.path + "/null", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        c.zk.create(ctx.path + "/empty", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Stat stat = new Stat();
        eq("null", null, c.zk.getData(ctx.path + "/null", false, stat));
        eq("length of null", 0, stat.getDataLength());
        eq("empty", new byte[0], c.zk.getData(ctx.path + "/empty", false, stat));
        c.zk.setData(ctx.path + "/empty", null, -1);
        eq("set to null", null, c.zk.getData(ctx.path + "/empty", false, stat));
    }

    private static void ttl(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        for (String name : List.of("/gone", "/parent")) {
            c.zk.create(p + name, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 600);
        }
        c.create(p + "/parent/child");
        c.zk.create(p + "/stays", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 3_600_000);
        Stat made = new Stat();
        c.zk.create(p + "/touched", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, made, 1_500);
        Recorder watch = new Recorder();
        that("seen", c.zk.exists(p + "/gone", watch) != null);
        watch.expect("NodeDeleted " + p + "/gone");
        Stat touched = c.zk.setData(p + "/touched", new byte[1], -1);
        eq("with a child", List.of("parent", "stays", "touched"), c.children(p));
        that("watch", c.zk.exists(p + "/touched", watch) != null);
        watch.expect("NodeDeleted " + p + "/touched");
        that("a write starts the time anew", System.currentTimeMillis() - touched.getMtime() >= 1_500);
        that("watch", c.zk.exists(p + "/parent", watch) != null);
        c.zk.delete(p + "/parent/child", -1);
        watch.expect("NodeDeleted " + p + "/parent");
        eq("left", List.of("stays"), c.children(p));
    }

    private static void container(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.create(p + "/unused", CreateMode.CONTAINER);
        c.create(p + "/outer", CreateMode.CONTAINER);
        c.create(p + "/outer/inner", CreateMode.CONTAINER);
        c.create(p + "/outer/inner/e", CreateMode.EPHEMERAL);
        Recorder inner = new Recorder();
        Recorder outer = new Recorder();
        c.zk.exists(p + "/outer/inner", inner);
        c.zk.exists(p + "/outer", outer);
        c.zk.delete(p + "/outer/inner/e", -1);
        inner.expect("NodeDeleted " + p + "/outer/inner");
        outer.expect("NodeDeleted " + p + "/outer");
        eq("a container that never had a child stays", List.of("unused"), c.children(p));
    }

    private static void delete(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.create(p + "/a");
        c.create(p + "/a/b");
        code(Code.NONODE, () -> c.zk.delete(p + "/no", -1));
        code(Code.NOTEMPTY, () -> c.zk.delete(p + "/a", -1));
        code(Code.BADVERSION, () -> c.zk.delete(p + "/a", 3));
        code(Code.BADVERSION, () -> c.zk.delete(p + "/a/b", 1));
        c.set(p + "/a/b", "x");
        code(Code.BADVERSION, () -> c.zk.delete(p + "/a/b", 0));
        c.zk.delete(p + "/a/b", 1);
        c.zk.delete(p + "/a", 0);
        code(Code.NONODE, () -> c.zk.delete(p + "/a", -1));
        eq("all gone", List.of(), c.children(p));
        code(Code.BADARGUMENTS, () -> c.zk.delete("/", -1));
        code(Code.BADARGUMENTS, () -> c.zk.delete("/zookeeper", -1));
        code(Code.BADARGUMENTS, () -> c.zk.delete("/zookeeper/quota", -1));
        code(Code.BADARGUMENTS, () -> c.zk.delete("/zookeeper/config", -1));
    }

    private static void setDataVersions(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        eq("version", 1, c.zk.setData(p, "one".getBytes(), 0).getVersion());
        code(Code.BADVERSION, () -> c.zk.setData(p, "no".getBytes(), 0));
        code(Code.BADVERSION, () -> c.zk.setData(p, "no".getBytes(), -2));
        eq("version", 2, c.zk.setData(p, "two".getBytes(), -1).getVersion());
        code(Code.NONODE, () -> c.zk.setData(p + "/no", null, -1));
        Stat stat = new Stat();
        eq("data", "two", new String(c.zk.getData(p, false, stat)));
        Stat set = c.zk.setData(p, "three".getBytes(), 2);
        eq("stat of the reply", c.stat(p), set);
        eq("czxid", stat.getCzxid(), set.getCzxid());
        that("mzxid", set.getMzxid() > stat.getMzxid());
        eq("pzxid", stat.getPzxid(), set.getPzxid());
        eq("length", 5, set.getDataLength());
    }

    private static void statOfParentAndChild(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Stat before = c.stat(p);
        Stat child = new Stat();
        c.zk.create(p + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, child);
        Stat after = c.stat(p);
        eq("pzxid", child.getCzxid(), after.getPzxid());
        eq("mzxid", before.getMzxid(), after.getMzxid());
        eq("version", 0, after.getVersion());
        eq("cversion", 1, after.getCversion());
        eq("children", 1, after.getNumChildren());
        c.set(p + "/a", "x");
        eq("a child's data is not the parent's matter", after, c.stat(p));
        c.zk.delete(p + "/a", -1);
        Stat last = c.stat(p);
        eq("cversion", 2, last.getCversion());
        eq("children", 0, last.getNumChildren());
        that("pzxid", last.getPzxid() > after.getPzxid());
        c.create(p + "/a");
        Stat again = c.stat(p + "/a");
        eq("a new life counts anew", List.of(0, 0), List.of(again.getVersion(), again.getCversion()));
    }

    private static void exists(Ctx ctx) throws Exception {
        Client c = ctx.base();
        eq("missing", null, c.zk.exists(ctx.path + "/no", false));
        eq("missing below missing", null, c.zk.exists(ctx.path + "/no/no", false));
        Stat stat = c.stat(ctx.path);
        Stat data = new Stat();
        c.zk.getData(ctx.path, false, data);
        eq("the same stat by getData", stat, data);
        c.zk.getChildren(ctx.path, false, data);
        eq("the same stat by getChildren", stat, data);
        c.zk.getACL(ctx.path, data);
        eq("the same stat by getACL", stat, data);
    }

    private static void getDataMissing(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String no = ctx.path + "/no";
        code(Code.NONODE, () -> c.zk.getData(no, false, null));
        code(Code.NONODE, () -> c.zk.getChildren(no, false));
        code(Code.NONODE, () -> c.zk.getChildren(no, false, null));
        code(Code.NONODE, () -> c.zk.getACL(no, null));
        code(Code.NONODE, () -> c.zk.setACL(no, Ids.OPEN_ACL_UNSAFE, -1));
        code(Code.NONODE, () -> c.zk.getAllChildrenNumber(no));
    }

    private static void getChildren(Ctx ctx) throws Exception {
        Client c = ctx.base();
        eq("none", List.of(), c.zk.getChildren(ctx.path, false));
        for (String name : List.of("b", "a", "c")) {
            c.create(ctx.path + "/" + name);
        }
        c.create(ctx.path + "/a/deep");
        eq("names", List.of("a", "b", "c"), c.children(ctx.path));
        Stat stat = new Stat();
        eq("names", List.of("a", "b", "c"), c.zk.getChildren(ctx.path, false, stat).stream().sorted().toList());
        eq("count", 3, stat.getNumChildren());
        eq("cversion", 3, stat.getCversion());
    }

    private static void getChildrenMany(Ctx ctx) throws Exception {
        Client c = ctx.base();
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 2_000; i++) {
            String name = String.format("child-with-a-long-name-%06d", i);
            expected.add(name);
            c.zk.create(ctx.path + "/" + name, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, Async.IGNORE, null);
        }
        eq("children", expected, c.children(ctx.path));
        eq("number", 2_000, c.zk.getAllChildrenNumber(ctx.path));
    }

    private static void allChildrenNumber(Ctx ctx) throws Exception {
        Client c = ctx.base();
        eq("leaf", 0, c.zk.getAllChildrenNumber(ctx.path));
        c.create(ctx.path + "/a");
        c.create(ctx.path + "/a/b");
        c.create(ctx.path + "/a/b/c");
        c.create(ctx.path + "/ab");
        eq("all", 4, c.zk.getAllChildrenNumber(ctx.path));
        eq("not those of a name that begins alike", 2, c.zk.getAllChildrenNumber(ctx.path + "/a"));
        that("root", c.zk.getAllChildrenNumber("/") >= 8);
    }

    private static void ephemerals(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        eq("none", List.of(), c.zk.getEphemerals());
        for (String name : List.of("/a", "/ab", "/b")) {
            c.create(p + name, CreateMode.EPHEMERAL);
        }
        c.create(p + "/persistent");
        Client other = ctx.client();
        other.create(p + "/other", CreateMode.EPHEMERAL);
        List<String> all = List.of(p + "/a", p + "/ab", p + "/b");
        eq("all", all, c.zk.getEphemerals().stream().sorted().toList());
        eq("all", all, c.zk.getEphemerals("/").stream().sorted().toList());
        eq("a prefix of the text", all.subList(0, 2), c.zk.getEphemerals(p + "/a").stream().sorted().toList());
        eq("another session", List.of(p + "/other"), other.zk.getEphemerals(p));
        c.zk.delete(p + "/a", -1);
        eq("after delete", all.subList(1, 3), c.zk.getEphemerals().stream().sorted().toList());
    }

    private static void acl(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        Stat stat = new Stat();
        eq("acl", Ids.OPEN_ACL_UNSAFE, c.zk.getACL(p, stat));
        eq("aversion", 0, stat.getAversion());
        List<ACL> readAndAdmin = Acls.of(new ACL(Perms.READ | Perms.ADMIN, Ids.ANYONE_ID_UNSAFE));
        Stat set = c.zk.setACL(p, readAndAdmin, 0);
        eq("aversion", 1, set.getAversion());
        eq("mzxid", stat.getMzxid(), set.getMzxid());
        eq("version", stat.getVersion(), set.getVersion());
        eq("acl", readAndAdmin, c.zk.getACL(p, stat));
        eq("stat", set, stat);
        code(Code.BADVERSION, () -> c.zk.setACL(p, Ids.OPEN_ACL_UNSAFE, 0));
        code(Code.INVALIDACL, () -> c.zk.setACL(p, List.of(), -1));
        code(Code.NOAUTH, () -> c.zk.setData(p, null, -1));
        code(Code.NOAUTH, () -> c.create(p + "/a"));
        c.zk.setACL(p, Ids.OPEN_ACL_UNSAFE, -1);
        c.set(p, "again");
        c.create(p + "/a");
    }

    private static void sync(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client d = ctx.client();
        for (int i = 0; i < 20; i++) {
            c.set(ctx.path, "v" + i);
            d.zk.sync(ctx.path);
            eq("after sync", "v" + i, d.get(ctx.path));
        }
        d.zk.sync("/");
        d.zk.sync(ctx.path + "/no/such/node");
    }

    private static void config(Ctx ctx) throws Exception {
        Client c = ctx.client();
        Stat stat = new Stat();
        eq("text", 0, c.zk.getConfig(false, stat).length);
        eq("versions", List.of(0, -1), List.of(stat.getVersion(), stat.getAversion()));
        eq("path", ZooDefs.CONFIG_NODE, "/zookeeper/config");
        eq("acl", Ids.READ_ACL_UNSAFE, c.zk.getACL(ZooDefs.CONFIG_NODE, null));
        code(Code.NOAUTH, () -> c.set(ZooDefs.CONFIG_NODE, "x"));
    }

    private static void reserved(Ctx ctx) throws Exception {
        Client c = ctx.client();
        eq("children", List.of("config", "quota"), c.children("/zookeeper"));
        that("root", c.children("/").contains("zookeeper"));
        for (String path : List.of("/zookeeper", "/zookeeper/quota", "/zookeeper/config")) {
            code(Code.NODEEXISTS, () -> c.create(path));
        }
        c.create("/zookeeper/reserved_paths");
        c.zk.delete("/zookeeper/reserved_paths", -1);
    }

    private static void unicode(Ctx ctx) throws Exception {
        Client c = ctx.base();
        List<String> names = List.of(" ", "...", "caf\u00e9", "\u4e2d\u6587", "a b", "..f", "\u00a0");
        byte[] data = new byte[256];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) i;
        }
        for (String name : names) {
            c.zk.create(ctx.path + "/" + name, data, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            eq("data of " + name, data, c.zk.getData(ctx.path + "/" + name, false, null));
        }
        eq("names", names.stream().sorted().toList(), c.children(ctx.path));
    }

    private static void root(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Stat before = c.stat("/");
        Stat set = c.zk.setData("/", "root".getBytes(), -1);
        eq("version", before.getVersion() + 1, set.getVersion());
        eq("data", "root", c.get("/"));
        that("children", c.children("/").contains(ctx.path.substring(1)));
        code(Code.NODEEXISTS, () -> c.create("/"));
        that("sequential", c.create("/root_node-", CreateMode.EPHEMERAL_SEQUENTIAL).matches("/root_node-\\d{10}"));
    }

    /** Versions make a counter that loses nothing. */
    private static void compareAndSet(Ctx ctx) throws Exception {
        Client base = ctx.base();
        base.set(ctx.path, "0");
        Threads.run(4, i -> {
            Client c = ctx.client();
            for (int done = 0; done < 25; ) {
                Stat stat = new Stat();
                int value = Integer.parseInt(new String(c.zk.getData(ctx.path, false, stat)));
                try {
                    c.zk.setData(ctx.path, Integer.toString(value + 1).getBytes(), stat.getVersion());
                    done++;
                } catch (org.apache.zookeeper.KeeperException.BadVersionException e) {
                    continue;
                }
            }
        });
        eq("sum", "100", base.get(ctx.path));
        eq("version", 101, base.stat(ctx.path).getVersion());
    }
}
