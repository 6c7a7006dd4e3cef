import java.io.IOException;
import java.nio.charset.StandardCharsets;
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

    private final ZooKeeper client;

    Tree(String address) throws IOException {
        client = new ZooKeeper(address, 30_000, event -> {});
    }

    boolean exists(String path) throws KeeperException, InterruptedException {
        return client.exists(path, false) != null;
    }

    String data(String path) throws KeeperException, InterruptedException {
        return new String(client.getData(path, false, null), StandardCharsets.UTF_8);
    }

    List<String> children(String path) throws KeeperException, InterruptedException {
        return client.getChildren(path, false).stream().sorted().toList();
    }

    Life life(String path) throws KeeperException, InterruptedException {
        Stat stat = new Stat();
        client.getData(path, false, stat);
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

    private static String find(String pattern, String json) {
        Matcher matcher = Pattern.compile(pattern).matcher(json);
        if (!matcher.find()) {
            throw new IllegalStateException("no " + pattern + " in " + json);
        }
        return matcher.group(1);
    }
}
