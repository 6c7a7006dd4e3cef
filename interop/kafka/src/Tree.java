import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** What Kafka keeps in ZooKeeper, read with the official client. */
final class Tree implements AutoCloseable {
    /** What tells one life of an ephemeral node from the next. */
    record Life(long ephemeralOwner, long czxid) {
        @Override
        public String toString() {
            return "session 0x" + Long.toHexString(ephemeralOwner) + ", czxid 0x" + Long.toHexString(czxid);
        }
    }

    private static final int SESSION_TIMEOUT_MS = 60_000;

    private final ZooKeeper client;

    Tree(String address) throws IOException {
        client = new ZooKeeper(address, SESSION_TIMEOUT_MS, event -> {});
    }

    boolean exists(String path) throws KeeperException, InterruptedException {
        return read(() -> client.exists(path, false)) != null;
    }

    String data(String path) throws KeeperException, InterruptedException {
        return new String(read(() -> client.getData(path, false, null)), StandardCharsets.UTF_8);
    }

    List<String> children(String path) throws KeeperException, InterruptedException {
        return read(() -> client.getChildren(path, false)).stream().sorted().toList();
    }

    Life life(String path) throws KeeperException, InterruptedException {
        Stat stat = new Stat();
        read(() -> client.getData(path, false, stat));
        return new Life(stat.getEphemeralOwner(), stat.getCzxid());
    }

    /** The id of the broker that holds /controller. */
    int controller() throws KeeperException, InterruptedException {
        return Integer.parseInt(find("\"brokerid\":(\\d+)", data("/controller")));
    }

    int controllerEpoch() throws KeeperException, InterruptedException {
        return Integer.parseInt(data("/controller_epoch"));
    }

    /** HOST:PORT of a listener that the broker published. */
    String endpoint(int broker, String protocol) throws KeeperException, InterruptedException {
        return find('"' + protocol + "://([^\"]+)\"", data("/brokers/ids/" + broker));
    }

    @Override
    public void close() throws InterruptedException {
        client.close();
    }

    private interface Read<T> {
        T call() throws KeeperException, InterruptedException;
    }

    /**
     * A read is asked again after a lost connection: this client comes back a little after the
     * server, and a call before that is answered with the loss. Ends with the session at the latest.
     */
    private static <T> T read(Read<T> read) throws KeeperException, InterruptedException {
        long deadline = System.nanoTime() + Duration.ofMillis(SESSION_TIMEOUT_MS).toNanos();
        while (true) {
            try {
                return read.call();
            } catch (KeeperException.ConnectionLossException e) {
                if (System.nanoTime() - deadline > 0) {
                    throw e;
                }
            }
        }
    }

    private static String find(String pattern, String json) {
        Matcher matcher = Pattern.compile(pattern).matcher(json);
        if (!matcher.find()) {
            throw new IllegalStateException("no " + pattern + " in " + json);
        }
        return matcher.group(1);
    }
}
