package zooid.interop;

import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.ZooKeeper;

/** Curator clients as an application makes them. */
final class Curators {
    static CuratorFramework open(Ctx ctx) throws Exception {
        return open(ctx, ctx.server.hosts(), Ctx.TIMEOUT_MS);
    }

    static CuratorFramework open(Ctx ctx, String hosts, int timeoutMs) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(hosts)
                .sessionTimeoutMs(timeoutMs)
                .connectionTimeoutMs(5_000)
                .retryPolicy(new RetryNTimes(50, 100))
                .build();
        client.start();
        ctx.keep(client);
        Suite.that("connected", client.blockUntilConnected((int) Suite.DEADLINE_MS, TimeUnit.MILLISECONDS));
        return client;
    }

    static long session(CuratorFramework client) throws Exception {
        return client.getZookeeperClient().getZooKeeper().getSessionId();
    }

    /** Ends the session behind the client's back: somebody else takes it over and closes it. */
    static void expire(Ctx ctx, CuratorFramework client) throws Exception {
        ZooKeeper zk = client.getZookeeperClient().getZooKeeper();
        Client thief = new Client(ctx.server.hosts(), Ctx.TIMEOUT_MS, zk.getSessionId(), zk.getSessionPasswd());
        thief.connected();
        thief.close();
    }

    static byte[] bytes(String text) {
        return text.getBytes();
    }
}
