package zooid.interop;

import java.nio.file.Path;

/** Curator and its recipes against one standalone server. The argument is a directory for the servers. */
final class CuratorSuite {
    // Fast ticks, so that sessions and TTL nodes end soon; Curator needs the extended types for TTL nodes.
    private static final String[] CONFIG = {"tickTime=500", "extendedTypesEnabled=true"};
    private static final String FLAGS = "-Dznode.container.checkIntervalMs=200";

    public static void main(String[] args) throws Exception {
        Path tmp = Path.of(args[0]);
        Server[] servers = new Server[3];
        Threads.run(servers.length, i -> servers[i] = Server.start(tmp, "server" + i, FLAGS, CONFIG));

        Suite suite = new Suite();
        Server main = servers[0];
        Crashes.add(suite, new Server[] {servers[1], servers[2]});
        Framework.add(suite, main);
        Locks.add(suite, main);
        Leaders.add(suite, main);
        Values.add(suite, main);
        Caches.add(suite, main);
        Discovery.add(suite, main);
        System.exit(suite.run(6));
    }
}
