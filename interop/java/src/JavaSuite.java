package zooid.interop;

import java.nio.file.Path;

/** The official Java client against one standalone server. The argument is a directory for the servers. */
final class JavaSuite {
    private static final String[] CONFIG = {
        // Faster time than the default: sessions of 1 s, and expiry within half a second of it.
        "tickTime=500",
        "extendedTypesEnabled=true",
        "enforceQuota=true",
        "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
    };
    /** The sweeper's period has no key in the configuration file, it is a system property without prefix. */
    private static final String FLAGS = "-Dznode.container.checkIntervalMs=200";

    public static void main(String[] args) throws Exception {
        Path tmp = Path.of(args[0]);
        String[] reconfig = java.util.Arrays.copyOf(CONFIG, CONFIG.length + 1);
        reconfig[CONFIG.length] = "reconfigEnabled=true";
        Server[] servers = new Server[5];
        Threads.run(servers.length, i ->
                servers[i] = Server.start(tmp, "server" + i, FLAGS, i == 1 ? reconfig : CONFIG));

        Suite suite = new Suite();
        Server main = servers[0];
        // The slow checks first: they end while the quick ones run.
        Restarts.add(suite, new Server[] {servers[2], servers[3], servers[4]});
        Sessions.add(suite, main);
        Nodes.add(suite, main);
        Multis.add(suite, main);
        Watches.add(suite, main);
        Async.add(suite, main);
        Auth.add(suite, main);
        Limits.add(suite, main, servers[1]);
        System.exit(suite.run(6));
    }
}
