package zooid.interop;

import static org.apache.zookeeper.KeeperException.Code;
import static zooid.interop.Suite.code;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;

import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** Who may do what. The server's superDigest is that of super:test. */
final class Auth {
    static void add(Suite suite, Server server) {
        suite.check("auth_digest", server, Auth::digest);
        suite.check("auth_scheme_auth", server, Auth::schemeAuth);
        suite.check("auth_world_each_permission", server, Auth::eachPermission);
        suite.check("auth_ip", server, Auth::ip);
        suite.check("auth_super", server, Auth::superUser);
        suite.check("auth_several_identities", server, Auth::several);
        suite.check("auth_invalid_acls", server, Auth::invalid);
        suite.check("auth_get_acl_masks_digest", server, Auth::masked);
        suite.check("auth_unknown_scheme", server, Auth::unknownScheme);
        suite.check("auth_repeated_after_reconnect", server, Auth::afterReconnect);
        suite.check("who_am_i", server, Auth::whoAmI);
    }

    private static String hash(String idPassword) throws Exception {
        return DigestAuthenticationProvider.generateDigest(idPassword);
    }

    private static List<ACL> only(int perms, String scheme, String id) {
        return Acls.of(new ACL(perms, new Id(scheme, id)));
    }

    private static void digest(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        c.zk.create(a, null, only(Perms.ALL, "digest", hash("ann:secret")), CreateMode.PERSISTENT);
        code(Code.NOAUTH, () -> c.get(a));
        code(Code.NOAUTH, () -> c.zk.exists(a, false));
        code(Code.NOAUTH, () -> c.zk.setData(a, null, -1));
        code(Code.NOAUTH, () -> c.children(a));
        code(Code.NOAUTH, () -> c.create(a + "/b"));
        code(Code.NOAUTH, () -> c.zk.getACL(a, null));
        code(Code.NOAUTH, () -> c.zk.setACL(a, Ids.OPEN_ACL_UNSAFE, -1));
        code(Code.NOAUTH, () -> c.zk.getAllChildrenNumber(a));
        Client wrong = ctx.client();
        wrong.zk.addAuthInfo("digest", "ann:wrong".getBytes());
        code(Code.NOAUTH, () -> wrong.set(a, "x"));
        c.zk.addAuthInfo("digest", "ann:secret".getBytes());
        c.set(a, "x");
        eq("data", "x", c.get(a));
        c.create(a + "/b");
        c.zk.delete(a + "/b", -1);
        c.zk.setACL(a, Ids.READ_ACL_UNSAFE, -1);
        eq("data", "x", wrong.get(a));
        code(Code.NOAUTH, () -> c.set(a, "y"));
    }

    private static void schemeAuth(Ctx ctx) throws Exception {
        Client c = ctx.base();
        code(Code.INVALIDACL, () -> c.zk.create(ctx.path + "/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        c.zk.addAuthInfo("digest", "ann:1".getBytes());
        c.zk.addAuthInfo("digest", "bob:2".getBytes());
        c.zk.create(ctx.path + "/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        List<String> ids = c.zk.getACL(ctx.path + "/a", null).stream()
                .map(acl -> acl.getPerms() + acl.getId().getScheme() + ":" + acl.getId().getId()).sorted().toList();
        eq("one entry for each identity", List.of("31digest:" + hash("ann:1"), "31digest:" + hash("bob:2")), ids);
        Client bob = ctx.client();
        bob.zk.addAuthInfo("digest", "bob:2".getBytes());
        bob.set(ctx.path + "/a", "x");
        code(Code.NOAUTH, () -> ctx.client().get(ctx.path + "/a"));
    }

    private static void eachPermission(Ctx ctx) throws Exception {
        Client c = ctx.base();
        Client admin = ctx.client();
        admin.zk.addAuthInfo("digest", "super:test".getBytes());
        for (int perms : new int[] {Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE, Perms.ADMIN}) {
            String a = ctx.path + "/" + perms;
            c.create(a);
            c.create(a + "/child");
            c.zk.setACL(a, only(perms, "world", "anyone"), -1);
            may(perms == Perms.READ, () -> c.get(a));
            may(perms == Perms.READ, () -> c.children(a));
            may(perms == Perms.READ, () -> c.stat(a));
            may(perms == Perms.WRITE, () -> c.set(a, "x"));
            may(perms == Perms.CREATE, () -> c.create(a + "/new"));
            may(perms == Perms.DELETE, () -> c.zk.delete(a + "/child", -1));
            may(perms == Perms.READ || perms == Perms.ADMIN, () -> c.zk.getACL(a, null));
            may(perms == Perms.ADMIN, () -> c.zk.setACL(a, Ids.OPEN_ACL_UNSAFE, -1));
            // Deleting a node is a matter of its parent.
            admin.zk.setACL(a, only(perms, "world", "anyone"), -1);
            for (String child : admin.children(a)) {
                admin.zk.delete(a + "/" + child, -1);
            }
            c.zk.delete(a, -1);
        }
    }

    private static void may(boolean allowed, Suite.Call call) throws Exception {
        if (allowed) {
            call.run();
        } else {
            code(Code.NOAUTH, call);
        }
    }

    private static void ip(Ctx ctx) throws Exception {
        Client c = ctx.base();
        for (String id : List.of("127.0.0.1", "127.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0")) {
            String a = c.zk.create(ctx.path + "/in", null, only(Perms.ALL, "ip", id), CreateMode.PERSISTENT_SEQUENTIAL);
            c.set(a, "x");
        }
        for (String id : List.of("127.0.0.2", "10.0.0.0/8", "126.0.0.0/8")) {
            String a = c.zk.create(ctx.path + "/out", null, only(Perms.ALL, "ip", id), CreateMode.PERSISTENT_SEQUENTIAL);
            code(Code.NOAUTH, () -> c.set(a, "x"));
            code(Code.NOAUTH, () -> c.get(a));
        }
    }

    private static void superUser(Ctx ctx) throws Exception {
        eq("digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=", hash("super:test"));
        Client c = ctx.base();
        String a = ctx.path + "/a";
        c.zk.create(a, null, only(Perms.ALL, "digest", hash("ann:secret")), CreateMode.PERSISTENT);
        Client root = ctx.client();
        root.zk.addAuthInfo("digest", "super:test".getBytes());
        root.set(a, "x");
        eq("data", "x", root.get(a));
        eq("acl unmasked", only(Perms.ALL, "digest", hash("ann:secret")), root.zk.getACL(a, null));
        root.zk.setACL(a, only(Perms.READ, "world", "anyone"), -1);
        root.create(a + "/b");
        root.zk.delete(a + "/b", -1);
        code(Code.BADARGUMENTS, () -> root.zk.delete("/zookeeper/config", -1));
    }

    private static void several(Ctx ctx) throws Exception {
        Client c = ctx.base();
        List<ACL> acl = Acls.of(new ACL(Perms.READ, new Id("digest", hash("ann:1"))),
                new ACL(Perms.WRITE, new Id("digest", hash("bob:2"))),
                new ACL(Perms.ADMIN, new Id("ip", "127.0.0.1")));
        c.zk.create(ctx.path + "/a", new byte[0], acl, CreateMode.PERSISTENT);
        code(Code.NOAUTH, () -> c.get(ctx.path + "/a"));
        c.zk.addAuthInfo("digest", "ann:1".getBytes());
        c.get(ctx.path + "/a");
        code(Code.NOAUTH, () -> c.set(ctx.path + "/a", "x"));
        c.zk.addAuthInfo("digest", "bob:2".getBytes());
        c.set(ctx.path + "/a", "x");
        eq("acl", acl, c.zk.getACL(ctx.path + "/a", null));
    }

    private static void invalid(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        String[][] wrong = {{"digest", "nocolon"}, {"digest", "a:b:c"}, {"digest", ""}, {"world", "nobody"},
            {"ip", "127.0.0.1/33"}, {"ip", "10.0.0.1/-1"}, {"ip", "localhost"}, {"ip", "1.2.3"}, {"nosuch", "x"},
            {"super", "x"}, {"", "x"}};
        for (String[] id : wrong) {
            try {
                code(Code.INVALIDACL, () -> c.zk.create(a, null, only(Perms.ALL, id[0], id[1]), CreateMode.PERSISTENT));
            } catch (AssertionError e) {
                throw new AssertionError(id[0] + ":" + id[1] + " " + e.getMessage(), e);
            }
        }
        // Twice the same entry is one.
        ACL open = Ids.OPEN_ACL_UNSAFE.get(0);
        c.zk.create(a, null, Acls.of(open, open), CreateMode.PERSISTENT);
        eq("acl", Acls.of(open), c.zk.getACL(a, null));
        code(Code.INVALIDACL, () -> c.zk.setACL(a, only(Perms.ALL, "digest", "nocolon"), -1));
    }

    private static void masked(Ctx ctx) throws Exception {
        Client c = ctx.base();
        String a = ctx.path + "/a";
        List<ACL> acl = Acls.of(new ACL(Perms.ALL, new Id("digest", hash("ann:1"))),
                new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE));
        c.zk.create(a, null, acl, CreateMode.PERSISTENT);
        List<ACL> shown = Acls.of(new ACL(Perms.ALL, new Id("digest", "ann:x")),
                new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE));
        eq("without ADMIN", shown, c.zk.getACL(a, new Stat()));
        c.zk.addAuthInfo("digest", "ann:1".getBytes());
        eq("with ADMIN", acl, c.zk.getACL(a, new Stat()));
    }

    private static void unknownScheme(Ctx ctx) throws Exception {
        Client c = ctx.base();
        c.zk.addAuthInfo("nosuch", "x".getBytes());
        c.untilState(KeeperState.AuthFailed);
        code(Code.AUTHFAILED, () -> c.get(ctx.path));
    }

    private static void afterReconnect(Ctx ctx) throws Exception {
        ctx.base();
        Proxy proxy = ctx.proxy();
        Client c = ctx.client(proxy.hosts(), Ctx.TIMEOUT_MS);
        c.zk.addAuthInfo("digest", "ann:1".getBytes());
        c.zk.create(ctx.path + "/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        proxy.cut();
        c.state(KeeperState.Disconnected);
        proxy.heal();
        c.state(KeeperState.SyncConnected);
        c.set(ctx.path + "/a", "x");
        eq("identities", 2, c.zk.whoAmI().size());
    }

    private static void whoAmI(Ctx ctx) throws Exception {
        Client c = ctx.client();
        eq("at first", List.of("ip:127.0.0.1"), who(c));
        c.zk.addAuthInfo("digest", "ann:secret".getBytes());
        eq("with digest", List.of("digest:ann", "ip:127.0.0.1"), who(c));
        c.zk.addAuthInfo("digest", "super:test".getBytes());
        eq("with super", List.of("digest:ann", "digest:super", "ip:127.0.0.1", "super:"), who(c));
        that("others are not me", who(ctx.client()).size() == 1);
    }

    private static List<String> who(Client c) throws Exception {
        return c.zk.whoAmI().stream().map(i -> i.getAuthScheme() + ":" + i.getUser()).sorted().toList();
    }
}
