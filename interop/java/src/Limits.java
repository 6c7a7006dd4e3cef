package zooid.interop;

import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Quotas;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.cli.DelQuotaCommand;
import org.apache.zookeeper.cli.ListQuotaCommand;
import org.apache.zookeeper.cli.SetQuotaCommand;
import org.apache.zookeeper.data.Stat;

/** Sizes, quotas, chroots, and what a standalone server refuses. */
final class Limits {
    /** The largest frame, zookeeper's jute.maxbuffer. */
    private static final int FRAME_MAX = 0xFFFFF;

    static void add(Suite suite, Server server, Server reconfigurable) {
        suite.check("one_megabyte_is_the_end", server, Limits::megabyte);
        suite.check("large_data_round_trip", server, Limits::large);
        suite.check("chroot", server, Limits::chroot);
        suite.check("chroot_watches_and_multi", server, Limits::chrootWatches);
        suite.check("quota_usage_is_counted", server, Limits::quotaUsage);
        suite.check("quota_enforced", server, Limits::quotaEnforced);
        suite.check("quota_commands", server, Limits::quotaCommands);
        suite.check("reconfig_disabled", server, Limits::reconfigDisabled);
        suite.check("reconfig_on_standalone", reconfigurable, Limits::reconfigStandalone);
    }

    /** A setData frame is header 8, path 4 + n, data 4 + n, version 4. */
    private static void megabyte(Ctx ctx) throws Exception {
        Client c = ctx.base();
        c.create(ctx.path + "/e", CreateMode.EPHEMERAL);
        int fits = FRAME_MAX - 8 - 4 - ctx.path.length() - 4 - 4;
        eq("the largest frame", fits, c.zk.setData(ctx.path, new byte[fits], -1).getDataLength());
        code(Code.CONNECTIONLOSS, () -> c.zk.setData(ctx.path, new byte[fits + 1], -1));
        c.state(KeeperState.Disconnected);
        c.state(KeeperState.SyncConnected);
        eq("nothing changed", List.of(fits, 1),
                List.of(c.stat(ctx.path).getDataLength(), c.stat(ctx.path).getVersion()));
        that("the session lives", c.stat(ctx.path + "/e") != null);
        code(Code.CONNECTIONLOSS, () -> c.zk.create(ctx.path + "/big", new byte[3 << 20], Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT));
    }

    private static void large(Ctx ctx) throws Exception {
        Client c = ctx.base();
        byte[] data = new byte[1_000_000];
        new java.util.Random(7).nextBytes(data);
        c.zk.setData(ctx.path, data, -1);
        eq("data", data, c.zk.getData(ctx.path, false, null));
        CountDownLatch left = new CountDownLatch(30);
        for (int i = 0; i < 30; i++) {
            c.zk.getData(ctx.path, false, (rc, path, x, got, stat) -> {
                if (java.util.Arrays.equals(got, data)) {
                    left.countDown();
                }
            }, null);
        }
        that("30 large replies", left.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
    }

    private static void chroot(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client d = ctx.client(ctx.server.hosts() + ctx.path, Ctx.TIMEOUT_MS);
        eq("created", "/a", d.create("/a"));
        eq("sequential", "/s0000000001", d.create("/s", CreateMode.PERSISTENT_SEQUENTIAL));
        eq("outside", "/a", c.get(ctx.path + "/a"));
        eq("children", List.of("a", "s0000000001"), d.children("/"));
        d.set("/", "root");
        eq("root", "root", c.get(ctx.path));
        eq("number", 2, d.zk.getAllChildrenNumber("/"));
        d.zk.delete("/a", -1);
        eq("deleted", null, c.stat(ctx.path + "/a"));
        d.zk.sync("/");
        eq("acl", Ids.OPEN_ACL_UNSAFE, d.zk.getACL("/", null));
        Client nowhere = ctx.client(ctx.server.hosts() + ctx.path + "/no/such", Ctx.TIMEOUT_MS);
        code(Code.NONODE, () -> nowhere.create("/a"));
        code(Code.NONODE, () -> nowhere.get("/"));
    }

    private static void chrootWatches(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client d = ctx.client(ctx.server.hosts() + ctx.path, Ctx.TIMEOUT_MS);
        d.zk.getChildren("/", true);
        d.zk.exists("/a", true);
        d.zk.multi(List.of(Multis.create("/a"), Op.check("/", 0)));
        d.events.expect("NodeCreated /a");
        d.events.expect("NodeChildrenChanged /");
        d.zk.addWatch("/", d.events, org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE);
        c.set(ctx.path + "/a", "x");
        c.zk.delete(ctx.path + "/a", -1);
        d.events.expect("NodeDataChanged /a");
        d.events.expect("NodeDeleted /a");
        d.zk.removeWatches("/", d.events, org.apache.zookeeper.Watcher.WatcherType.Any, false);
    }

    private static StatsTrack limit(long count, long bytes, long countHard, long bytesHard) {
        StatsTrack track = new StatsTrack();
        track.setCount(count);
        track.setBytes(bytes);
        track.setCountHardLimit(countHard);
        track.setByteHardLimit(bytesHard);
        return track;
    }

    /** The usage that the server keeps: number of nodes and of bytes. */
    private static List<Long> usage(Client c, String path) throws Exception {
        StatsTrack track = new StatsTrack(c.zk.getData(Quotas.statPath(path), false, null));
        return List.of(track.getCount(), track.getBytes());
    }

    private static void quotaUsage(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        c.zk.create(p + "/a", new byte[10], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        SetQuotaCommand.createQuota(c.zk, p, limit(100, 1_000, -1, -1));
        eq("what was there", List.of(2L, 10L), usage(c, p));
        Stat stats = c.stat(Quotas.statPath(p));
        c.zk.setData(p + "/a", new byte[25], -1);
        eq("set", List.of(2L, 25L), usage(c, p));
        c.zk.create(p + "/a/b", new byte[5], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        eq("create", List.of(3L, 30L), usage(c, p));
        c.zk.delete(p + "/a/b", -1);
        eq("delete", List.of(2L, 25L), usage(c, p));
        c.zk.multi(List.of(Op.create(p + "/m", new byte[1], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData(p + "/m", new byte[3], -1)));
        eq("multi", List.of(3L, 28L), usage(c, p));
        eq("the statistics have no version", stats.getVersion(), c.stat(Quotas.statPath(p)).getVersion());
        eq("nor a new zxid", stats.getMzxid(), c.stat(Quotas.statPath(p)).getMzxid());
    }

    private static void quotaEnforced(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        SetQuotaCommand.createQuota(c.zk, p, limit(-1, -1, 3, 20));
        c.zk.create(p + "/a", new byte[20], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        code(Code.QUOTAEXCEEDED, () -> c.zk.setData(p + "/a", new byte[21], -1));
        code(Code.QUOTAEXCEEDED, () -> c.zk.create(p + "/b", new byte[1], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        c.zk.setData(p + "/a", new byte[2], -1);
        c.zk.create(p + "/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        code(Code.QUOTAEXCEEDED, () -> c.zk.create(p + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        KeeperException e = code(Code.QUOTAEXCEEDED, () -> c.zk.multi(List.of(Op.delete(p + "/a", -1),
                Op.create(p + "/c", new byte[19], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT))));
        eq("results", 2, e.getResults().size());
        c.zk.delete(p + "/b", -1);
        c.zk.create(p + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        eq("usage", List.of(3L, 2L), usage(c, p));
    }

    private static void quotaCommands(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String p = ctx.path;
        SetQuotaCommand.createQuota(c.zk, p, limit(1, 2, -1, -1));
        c.create(p + "/over-the-soft-limits");
        List<StatsTrack> list = ListQuotaCommand.listQuota(c.zk, p);
        eq("limits", limit(1, 2, -1, -1), list.get(0));
        eq("usage", List.of(2L, (long) (p + "/over-the-soft-limits").length()),
                List.of(list.get(1).getCount(), list.get(1).getBytes()));
        SetQuotaCommand.createQuota(c.zk, p, limit(-1, 5, 7, -1));
        eq("changed", limit(1, 5, 7, -1), ListQuotaCommand.listQuota(c.zk, p).get(0));
        that("deleted in part", DelQuotaCommand.delQuota(c.zk, p, limit(1, 1, -1, -1)));
        eq("left", limit(-1, -1, 7, -1), ListQuotaCommand.listQuota(c.zk, p).get(0));
        that("deleted", DelQuotaCommand.delQuota(c.zk, p, null));
        eq("nothing left", null, c.stat("/zookeeper/quota" + p));
        c.create(p + "/a");
    }

    private static void reconfigDisabled(Ctx ctx) throws Exception {
        Client c = ctx.client();
        ZooKeeperAdmin admin = (ZooKeeperAdmin) c.zk;
        code(Code.RECONFIGDISABLED, () -> admin.reconfigure("server.2=127.0.0.1:1:2;3", null, null, -1, new Stat()));
        code(Code.RECONFIGDISABLED, () -> admin.reconfigure(null, List.of("1"), null, -1, new Stat()));
        c.stat("/");
    }

    private static void reconfigStandalone(Ctx ctx) throws Exception {
        Client c = ctx.client();
        ZooKeeperAdmin admin = (ZooKeeperAdmin) c.zk;
        code(Code.UNIMPLEMENTED, () -> admin.reconfigure("server.2=127.0.0.1:1:2;3", null, null, -1, new Stat()));
        c.zk.addAuthInfo("digest", "super:test".getBytes());
        code(Code.UNIMPLEMENTED, () -> admin.reconfigure(null, null, List.of("server.1=127.0.0.1:1:2;3"), -1,
                new Stat()));
        eq("alive", 0, c.zk.getConfig(false, null).length);
    }
}
