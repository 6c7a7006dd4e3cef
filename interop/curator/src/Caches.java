package zooid.interop;

import static zooid.interop.Curators.bytes;
import static zooid.interop.Curators.open;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCacheEvent;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.cache.TreeCacheEvent;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.zookeeper.CreateMode;

/** Caches of nodes and trees, and nodes that hold themselves up. */
@SuppressWarnings("deprecation")
final class Caches {
    static void add(Suite suite, Server server) {
        suite.check("path_children_cache", server, Caches::pathChildren);
        suite.check("node_cache", server, Caches::node);
        suite.check("tree_cache", server, Caches::tree);
        suite.check("curator_cache", server, Caches::curatorCache);
        suite.check("curator_cache_single_node", server, Caches::single);
        suite.check("curator_cache_follows_random_changes", server, Caches::random);
        suite.check("curator_cache_after_reconnect", server, Caches::reconnect);
        suite.check("persistent_node", server, Caches::persistentNode);
        suite.check("persistent_node_expiry", server, Caches::persistentNodeExpiry);
        suite.check("persistent_ttl_node", server, Caches::ttlNode);
        suite.check("group_member", server, Caches::group);
    }

    private static void next(BlockingQueue<String> events, String expected) throws Exception {
        eq("event", expected, events.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
    }

    private static void pathChildren(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().creatingParentsIfNeeded().forPath(ctx.path + "/old", bytes("1"));
        PathChildrenCache cache = ctx.keep(new PathChildrenCache(open(ctx), ctx.path, true));
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        cache.getListenable().addListener((client, event) -> {
            // Curator may tell of the first connection a moment after it has let us go on.
            if (event.getType() != PathChildrenCacheEvent.Type.CONNECTION_RECONNECTED) {
                events.add(event.getType() + (event.getData() == null ? "" : " " + event.getData().getPath()));
            }
        });
        cache.start(PathChildrenCache.StartMode.POST_INITIALIZED_EVENT);
        next(events, "CHILD_ADDED " + ctx.path + "/old");
        next(events, "INITIALIZED");
        c.create().forPath(ctx.path + "/a", bytes("x"));
        next(events, "CHILD_ADDED " + ctx.path + "/a");
        c.setData().forPath(ctx.path + "/a", bytes("y"));
        next(events, "CHILD_UPDATED " + ctx.path + "/a");
        eq("data", "y", new String(cache.getCurrentData(ctx.path + "/a").getData()));
        c.delete().forPath(ctx.path + "/a");
        next(events, "CHILD_REMOVED " + ctx.path + "/a");
        eq("left", List.of(ctx.path + "/old"), cache.getCurrentData().stream().map(ChildData::getPath).toList());
    }

    private static void node(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        NodeCache cache = ctx.keep(new NodeCache(open(ctx), ctx.path));
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        cache.getListenable().addListener(() -> events.add(cache.getCurrentData() == null ? "none"
                : new String(cache.getCurrentData().getData())));
        cache.start(true);
        eq("at first", null, cache.getCurrentData());
        c.create().forPath(ctx.path, bytes("one"));
        next(events, "one");
        c.setData().forPath(ctx.path, bytes("two"));
        next(events, "two");
        c.delete().forPath(ctx.path);
        next(events, "none");
        c.create().forPath(ctx.path, bytes("three"));
        next(events, "three");
    }

    private static void tree(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().creatingParentsIfNeeded().forPath(ctx.path + "/a/b", bytes("1"));
        TreeCache cache = ctx.keep(TreeCache.newBuilder(open(ctx), ctx.path).build());
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        CountDownLatch initialized = new CountDownLatch(1);
        cache.getListenable().addListener((client, event) -> {
            if (event.getType() == TreeCacheEvent.Type.INITIALIZED) {
                initialized.countDown();
            } else {
                events.add(event.getType() + " " + event.getData().getPath());
            }
        });
        cache.start();
        that("initialized", initialized.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        next(events, "NODE_ADDED " + ctx.path);
        next(events, "NODE_ADDED " + ctx.path + "/a");
        next(events, "NODE_ADDED " + ctx.path + "/a/b");
        c.create().forPath(ctx.path + "/a/b/c", bytes("2"));
        next(events, "NODE_ADDED " + ctx.path + "/a/b/c");
        c.setData().forPath(ctx.path + "/a/b", bytes("3"));
        next(events, "NODE_UPDATED " + ctx.path + "/a/b");
        eq("data", "3", new String(cache.getCurrentData(ctx.path + "/a/b").getData()));
        eq("children", List.of("c"), List.copyOf(cache.getCurrentChildren(ctx.path + "/a/b").keySet()));
        c.delete().forPath(ctx.path + "/a/b/c");
        next(events, "NODE_REMOVED " + ctx.path + "/a/b/c");
    }

    private static CuratorCache cache(Ctx ctx, CuratorFramework client, BlockingQueue<String> events,
            CuratorCache.Options... options) throws Exception {
        CuratorCache cache = ctx.keep(CuratorCache.build(client, ctx.path, options));
        CountDownLatch initialized = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(node -> events.add("created " + node.getPath()))
                .forChanges((old, node) -> events.add("changed " + node.getPath() + " " + new String(node.getData())))
                .forDeletes(node -> events.add("deleted " + node.getPath()))
                .forInitialized(initialized::countDown)
                .build());
        cache.start();
        that("initialized", initialized.await(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        return cache;
    }

    private static void curatorCache(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().creatingParentsIfNeeded().forPath(ctx.path + "/a", bytes("1"));
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        CuratorCache cache = cache(ctx, open(ctx), events);
        next(events, "created " + ctx.path);
        next(events, "created " + ctx.path + "/a");
        c.create().forPath(ctx.path + "/a/b", bytes("2"));
        next(events, "created " + ctx.path + "/a/b");
        c.setData().forPath(ctx.path + "/a", bytes("3"));
        next(events, "changed " + ctx.path + "/a 3");
        c.delete().forPath(ctx.path + "/a/b");
        next(events, "deleted " + ctx.path + "/a/b");
        eq("size", 2, cache.size());
        eq("data", "3", new String(cache.get(ctx.path + "/a").orElseThrow().getData()));
    }

    private static void single(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        CuratorCache cache = cache(ctx, open(ctx), events, CuratorCache.Options.SINGLE_NODE_CACHE);
        c.create().forPath(ctx.path, bytes("1"));
        next(events, "created " + ctx.path);
        c.create().forPath(ctx.path + "/child", bytes("1"));
        c.setData().forPath(ctx.path, bytes("2"));
        next(events, "changed " + ctx.path + " 2");
        eq("size", 1, cache.size());
    }

    private static Map<String, String> tree(CuratorFramework client, String path) throws Exception {
        Map<String, String> all = new TreeMap<>();
        all.put(path, new String(client.getData().forPath(path)));
        for (String child : client.getChildren().forPath(path)) {
            all.putAll(tree(client, path + "/" + child));
        }
        return all;
    }

    private static Map<String, String> tree(CuratorCache cache) {
        Map<String, String> all = new TreeMap<>();
        cache.stream().forEach(node -> all.put(node.getPath(), new String(node.getData())));
        return all;
    }

    private static void random(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().forPath(ctx.path, bytes(""));
        CuratorCache cache = cache(ctx, open(ctx), new LinkedBlockingQueue<>());
        Threads.run(3, i -> {
            CuratorFramework writer = open(ctx);
            Random random = new Random(i);
            for (int k = 0; k < 100; k++) {
                String path = ctx.path + "/" + random.nextInt(4) + (random.nextBoolean() ? "/" + random.nextInt(3) : "");
                try {
                    switch (random.nextInt(3)) {
                        case 0 -> writer.create().creatingParentsIfNeeded().forPath(path, bytes("c" + k));
                        case 1 -> writer.setData().forPath(path, bytes("s" + k));
                        default -> writer.delete().forPath(path);
                    }
                } catch (org.apache.zookeeper.KeeperException e) {
                    // Others were there before; the cache must follow whatever happened.
                    continue;
                }
            }
        });
        Map<String, String> truth = tree(c, ctx.path);
        until("the cache equals " + truth, () -> tree(cache).equals(truth));
    }

    private static void reconnect(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        c.create().creatingParentsIfNeeded().forPath(ctx.path + "/a", bytes("1"));
        c.create().forPath(ctx.path + "/b", bytes("1"));
        Proxy proxy = ctx.proxy();
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        CuratorCache cache = cache(ctx, open(ctx, proxy.hosts(), Ctx.TIMEOUT_MS), events);
        until("filled", () -> cache.size() == 3);
        proxy.cut();
        c.setData().forPath(ctx.path + "/a", bytes("2"));
        c.delete().forPath(ctx.path + "/b");
        c.create().forPath(ctx.path + "/c", bytes("3"));
        proxy.heal();
        Map<String, String> truth = tree(c, ctx.path);
        until("the cache equals " + truth, () -> tree(cache).equals(truth));
    }

    private static void persistentNode(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        PersistentNode node = ctx.keep(new PersistentNode(open(ctx), CreateMode.EPHEMERAL, false, ctx.path + "/n",
                bytes("1")));
        node.start();
        that("created", node.waitForInitialCreate(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        long first = c.checkExists().forPath(ctx.path + "/n").getCzxid();
        c.delete().forPath(ctx.path + "/n");
        until("made again", () -> c.checkExists().forPath(ctx.path + "/n") != null
                && c.checkExists().forPath(ctx.path + "/n").getCzxid() > first);
        node.setData(bytes("2"));
        until("set", () -> new String(c.getData().forPath(ctx.path + "/n")).equals("2"));
        node.close();
        eq("closed", null, c.checkExists().forPath(ctx.path + "/n"));
    }

    private static void persistentNodeExpiry(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        // Not left to the recipe, whose parent would be a container and go with its only child.
        c.create().forPath(ctx.path);
        CuratorFramework owner = open(ctx);
        PersistentNode node = ctx.keep(new PersistentNode(owner, CreateMode.EPHEMERAL_SEQUENTIAL, true, ctx.path + "/n",
                bytes("1")));
        node.start();
        that("created", node.waitForInitialCreate(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        long session = Curators.session(owner);
        Curators.expire(ctx, owner);
        until("made again by the new session", () -> {
            List<String> names = c.getChildren().forPath(ctx.path);
            return names.size() == 1
                    && c.checkExists().forPath(ctx.path + "/" + names.get(0)).getEphemeralOwner() != session;
        });
    }

    private static void ttlNode(Ctx ctx) throws Exception {
        CuratorFramework c = open(ctx);
        PersistentTtlNode node = ctx.keep(new PersistentTtlNode(open(ctx), ctx.path + "/n", 800, bytes("1")));
        node.start();
        that("created", node.waitForInitialCreate(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        long czxid = c.checkExists().forPath(ctx.path + "/n").getCzxid();
        long start = System.nanoTime();
        while (System.nanoTime() - start < TimeUnit.SECONDS.toNanos(2)) {
            that("held up", c.checkExists().forPath(ctx.path + "/n").getCzxid() == czxid);
            Thread.sleep(50);
        }
        node.close();
        until("gone when nobody holds it", () -> c.checkExists().forPath(ctx.path + "/n") == null);
    }

    private static void group(Ctx ctx) throws Exception {
        CuratorFramework third = open(ctx);
        GroupMember a = ctx.keep(new GroupMember(open(ctx), ctx.path, "a", bytes("first")));
        GroupMember b = ctx.keep(new GroupMember(open(ctx), ctx.path, "b"));
        GroupMember c = ctx.keep(new GroupMember(third, ctx.path, "c"));
        for (GroupMember member : List.of(a, b, c)) {
            member.start();
        }
        for (GroupMember member : List.of(a, b, c)) {
            until("three members", () -> member.getCurrentMembers().size() == 3);
        }
        eq("data", "first", new String(c.getCurrentMembers().get("a")));
        b.close();
        until("two members", () -> a.getCurrentMembers().keySet().equals(java.util.Set.of("a", "c")));
        Curators.expire(ctx, third);
        a.setThisData(bytes("new"));
        until("back after expiry, and data", () -> a.getCurrentMembers().size() == 2
                && "new".equals(new String(c.getCurrentMembers().getOrDefault("a", new byte[0]))));
    }
}
