package zooid.interop;

import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs;

/** What one check has: its server, its own subtree, and clients that end with it. */
final class Ctx implements AutoCloseable {
    /** Milliseconds; the suites' servers tick every 500 ms, so this is inside their bounds of 2 to 20 ticks. */
    static final int TIMEOUT_MS = 10_000;

    final Server server;
    /** The check's own node, made by {@link #base}. */
    final String path;
    private final List<AutoCloseable> open = new ArrayList<>();

    Ctx(Server server, String name) {
        this.server = server;
        this.path = "/" + name;
    }

    Client client() throws Exception {
        return client(server.hosts(), TIMEOUT_MS);
    }

    Client client(String hosts, int timeoutMs) throws Exception {
        return keep(new Client(hosts, timeoutMs)).connected();
    }

    /** A client that has created the check's own node. */
    Client base() throws Exception {
        Client client = client();
        client.zk.create(path, new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        return client;
    }

    Proxy proxy() throws Exception {
        return keep(new Proxy(server.port));
    }

    synchronized <T extends AutoCloseable> T keep(T resource) {
        open.add(resource);
        return resource;
    }

    @Override
    public synchronized void close() {
        for (int i = open.size() - 1; i >= 0; i--) {
            try {
                open.get(i).close();
            } catch (Exception e) {
                // What a check has closed itself may complain, and the rest must end all the same.
                continue;
            }
        }
    }
}
