import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** The official client, which is content with a server that has no leader: `ReadOnly SERVER PATH`. */
public final class ReadOnly {
    private static final int SESSION_MS = 60_000;
    private static final int PATIENCE_S = 60;

    public static void main(String[] arguments) throws Exception {
        String path = arguments[1];
        // A line says that the server has lost its leader.
        System.in.read();
        BlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();
        ZooKeeper client = new ZooKeeper(arguments[0], SESSION_MS, event -> states.add(event.getState()), true);
        await(states, KeeperState.ConnectedReadOnly);
        byte[] data = client.getData(path, false, null);
        try {
            client.setData(path, new byte[] {'2'}, -1);
            fail("a write is done");
        } catch (KeeperException.NotReadOnlyException expected) {
            System.out.println("reads " + new String(data));
        }
        await(states, KeeperState.SyncConnected);
        client.setData(path, new byte[] {'2'}, -1);
        System.out.println("has written");
        client.close();
    }

    private static void await(BlockingQueue<KeeperState> states, KeeperState wanted) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        for (KeeperState state = null; state != wanted;) {
            state = states.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (state == null || state == KeeperState.Expired) {
                fail("it is " + state + ", not " + wanted);
            }
        }
    }

    private static void fail(String why) {
        System.out.println(why);
        System.exit(1);
    }
}
