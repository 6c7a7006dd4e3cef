import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * Kafka in ZooKeeper mode on an ensemble of three that moves: two brokers, a producer and a consumer that never pause.
 * The servers are Apache ZooKeeper and become the kind under test, one after the other; then SIGKILL for the leader of
 * the ensemble, again and again, until each server was killed; then the way back. No broker loses its session.
 *
 * <p>Arguments: the path of server.sh, the kind under test, a directory for the brokers, PORT=DIR of each of the
 * three servers, which run as Apache ZooKeeper, and further lines of their zoo.cfg.
 */
public final class Leaders {
    private static final Duration LIMIT = Duration.ofSeconds(120);
    private static final String ORDERS = "orders";
    private static final short REPLICAS = 2;
    private static final int LEADERS = 3;
    private static final String FIRST = "java";
    /** No broker may lose its session while a server is away, also on a machine that stands still for seconds. */
    private static final int BROKER_SESSION_MS = 60_000;

    private final Checks checks = new Checks();
    private final List<Server> servers = new ArrayList<>();
    private final List<Broker> brokers;
    private final Tree tree;
    private final String kind;
    private Load load;
    private Reader reader;

    private Leaders(String[] args) throws Exception {
        List<String> words = List.of(args);
        List<String> settings = words.subList(6, words.size());
        for (String place : words.subList(3, 6)) {
            int equals = place.indexOf('=');
            servers.add(new Server(Path.of(args[0]), FIRST, Integer.parseInt(place.substring(0, equals)),
                    Path.of(place.substring(equals + 1)), settings));
        }
        String all = servers.stream().map(Server::address).collect(Collectors.joining(","));
        Path dir = Path.of(args[2]);
        kind = args[1];
        brokers = List.of(new Broker(1, dir, all, BROKER_SESSION_MS), new Broker(2, dir, all, BROKER_SESSION_MS));
        tree = new Tree(all);
    }

    public static void main(String[] args) throws Exception {
        Leaders leaders = new Leaders(args);
        // Clients that hang in close() must not keep a failed run alive.
        Runtime.getRuntime().halt(leaders.run() ? 0 : 1);
    }

    private boolean run() {
        try {
            brokersStart();
            moved("move", kind);
            Set<Server> spared = new LinkedHashSet<>(servers);
            for (int kill = 1; kill <= LEADERS; kill++) {
                Server leader = leader("kill-" + kill);
                killed("kill-" + kill, leader);
                spared.remove(leader);
            }
            // Of equal servers the one with the highest number leads: the first may never come to that.
            for (Server server : spared) {
                killed("kill-of-a-follower", server);
            }
            moved("move-back", FIRST);
            everythingKept();
        } catch (Checks.Failed e) {
            checks.fail(e.check, e.getMessage());
        } catch (Exception e) {
            e.printStackTrace();
            checks.fail("scenario", e.toString());
        }
        return checks.summary();
    }

    private void brokersStart() throws Exception {
        checks.say("two brokers start; a topic with two replicas, a producer with acks=all that never pauses");
        for (Broker broker : brokers) {
            broker.start();
        }
        checks.await("brokers-register", LIMIT, () -> tree.children("/brokers/ids").equals(List.of("1", "2")),
                () -> tree.children("/brokers/ids"));
        try (Admin admin = admin()) {
            checks.await("brokers-know-each-other", LIMIT,
                    () -> admin.describeCluster().nodes().get().size() == brokers.size(),
                    () -> admin.describeCluster().nodes().get());
            create(admin, ORDERS);
        }
        load = new Load(ORDERS, endpoints());
        reader = new Reader(ORDERS, endpoints());
        awaitMessages("produce", 500);
    }

    /** Each server becomes another kind, the leader last, as an operator does it. */
    private void moved(String name, String to) throws Exception {
        Server last = leader(name);
        List<Server> order = new ArrayList<>(servers);
        order.remove(last);
        order.add(last);
        for (Server server : order) {
            String step = name + "-" + (order.indexOf(server) + 1);
            Map<String, Tree.Life> before = lives();
            int epoch = tree.controllerEpoch();
            checks.say("%s: %s, %s, becomes %s; %d messages acknowledged", step, server.address(), server.kind(), to,
                    load.acknowledged());
            server.stop();
            awaitMessages(step + "-produce-without-it", 200);
            server.become(to);
            server.start();
            kept(step, before, epoch);
        }
        leader(name + "-behind-it");
    }

    private void killed(String name, Server victim) throws Exception {
        Map<String, Tree.Life> before = lives();
        int epoch = tree.controllerEpoch();
        checks.say("%s: kill -9 of %s; %d messages acknowledged", name, victim.address(),
                load.acknowledged());
        victim.kill();
        long killed = System.nanoTime();
        try (Admin admin = admin()) {
            create(admin, name);
            checks.say("a topic is created %.2f s after the kill", (System.nanoTime() - killed) / 1e9);
        }
        checks.check(name + "-topic-is-created", tree.exists("/brokers/topics/" + name), () -> "no node of it");
        awaitMessages(name + "-produce-without-it", 500);
        Server next = leader(name);
        checks.check(name + "-another-leads", next != victim, () -> next.address() + " leads and is dead");
        victim.start();
        kept(name, before, epoch);
    }

    /** Messages go on with all servers, and nobody had to start anew. */
    private void kept(String name, Map<String, Tree.Life> before, int epoch) throws Exception {
        awaitMessages(name + "-produce-with-all", 300);
        int read = reader.count();
        checks.await(name + "-consume", LIMIT, () -> reader.count() > read, () -> reader.error());
        checks.equal(name + "-sessions-and-controller-kept", before, lives());
        checks.equal(name + "-controller-epoch-kept", epoch, tree.controllerEpoch());
        for (Broker broker : brokers) {
            checks.check(name + "-broker-" + broker.id + "-saw-no-expiry",
                    broker.alive() && !broker.logContains("Session expired"), () -> "see its log");
        }
    }

    private void everythingKept() throws Exception {
        load.stop();
        checks.await("the-consumer-has-all", LIMIT, () -> reader.count() >= load.acknowledged(), () -> reader.count());
        reader.stop();
        checks.check("no-poll-failed", reader.error() == null, () -> "" + reader.error());
        checks.check("no-send-failed", load.error() == null, () -> "" + load.error());
        String wrong = Load.compare(load.promised(), Load.readAll(ORDERS, endpoints(), LIMIT));
        checks.say("%d messages were acknowledged", load.acknowledged());
        checks.check("no-message-lost", wrong.isEmpty(), () -> wrong);
        for (Server server : servers) {
            try (Tree one = new Tree(server.address())) {
                checks.equal("same-topics-at-" + server.address(), tree.children("/brokers/topics"),
                        one.children("/brokers/topics"));
            }
        }
    }

    private Server leader(String name) throws Exception {
        Server[] found = new Server[1];
        checks.await(name + "-there-is-a-leader", LIMIT, () -> {
            found[0] = null;
            for (Server server : servers) {
                if (server.leads()) {
                    found[0] = server;
                }
            }
            return found[0] != null;
        }, () -> "nobody");
        return found[0];
    }

    /** What must not change while sessions live. */
    private Map<String, Tree.Life> lives() throws Exception {
        return Map.of("broker 1", tree.life("/brokers/ids/1"), "broker 2", tree.life("/brokers/ids/2"),
                "controller", tree.life("/controller"));
    }

    private static void create(Admin admin, String topic) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, 3, REPLICAS))).all().get(LIMIT.toSeconds(), TimeUnit.SECONDS);
    }

    private void awaitMessages(String name, int more) throws Exception {
        int goal = load.acknowledged() + more;
        checks.await(name, LIMIT, () -> load.acknowledged() >= goal,
                () -> load.acknowledged() + " of " + goal + " acknowledged, first error " + load.error());
    }

    private String endpoints() throws Exception {
        return tree.endpoint(1, "PLAINTEXT") + "," + tree.endpoint(2, "PLAINTEXT");
    }

    private Admin admin() throws Exception {
        return Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, endpoints()));
    }
}
