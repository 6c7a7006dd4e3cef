import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;

/**
 * Kafka in ZooKeeper mode on the server under test: two brokers, a producer that never pauses, and
 * SIGKILL for the server (twice) and for a broker.
 *
 * <p>Arguments: the path of server.sh, the kind of server, its port, its directory, a directory for
 * the brokers.
 */
public final class Demo {
    private static final Duration LIMIT = Duration.ofSeconds(40);
    private static final String ORDERS = "orders";
    private static final String GROUP = "billing";
    private static final String OFFSETS = "__consumer_offsets";

    private final Checks checks = new Checks();
    private final Server server;
    private final Broker first;
    private final Broker second;
    private final Tree tree;
    private Load load;

    private Demo(Server server, Path dir) throws Exception {
        this.server = server;
        first = new Broker(1, dir, server.address());
        second = new Broker(2, dir, server.address());
        tree = new Tree(server.address());
    }

    public static void main(String[] args) throws Exception {
        Server server = new Server(Path.of(args[0]), args[1], Integer.parseInt(args[2]), Path.of(args[3]), List.of());
        Demo demo = new Demo(server, Path.of(args[4]));
        // Clients that hang in close() must not keep a failed run alive.
        Runtime.getRuntime().halt(demo.run() ? 0 : 1);
    }

    private boolean run() {
        try {
            firstBroker();
            produceAndConsume();
            serverKilled();
            topicsChange();
            secondBroker();
            acls();
            controllerKilled();
            serverKilledAgain();
            firstBrokerReturns();
            everythingKept();
            brokerEnds();
        } catch (Checks.Failed e) {
            checks.fail(e.check, e.getMessage());
        } catch (Exception e) {
            e.printStackTrace();
            checks.fail("scenario", e.toString());
        }
        return checks.summary();
    }

    private void firstBroker() throws Exception {
        checks.say("broker 1 starts");
        first.start();
        awaitBrokers("broker-1-registers", "1");
        awaitController("broker-1-is-controller", 1);
    }

    private void produceAndConsume() throws Exception {
        checks.say("a topic, a producer with acks=all that never pauses, a consumer group");
        try (Admin admin = admin(1)) {
            done("create-topic", create(admin, ORDERS, 3).all());
        }
        checks.check("create-topic", tree.exists("/brokers/topics/" + ORDERS), () -> "no node of the topic");
        load = new Load(ORDERS, endpoint(1));
        awaitMessages("produce", 500);
        try (KafkaConsumer<Integer, Integer> consumer = Load.consumer(endpoint(1), GROUP)) {
            consumer.subscribe(List.of(ORDERS));
            Set<Integer> found = new HashSet<>();
            checks.await("consume-in-a-group", LIMIT, () -> {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> found.add(record.value()));
                return found.size() >= 500;
            }, () -> found.size() + " messages");
            consumer.commitSync();
        }
    }

    private void serverKilled() throws Exception {
        Tree.Life broker = tree.life("/brokers/ids/1");
        Tree.Life controller = tree.life("/controller");
        int epoch = tree.controllerEpoch();
        try (Admin admin = admin(1)) {
            checks.say("kill -9 of the ZooKeeper server; %d messages acknowledged, broker 1 has %s",
                    load.acknowledged(), broker);
            server.kill();
            CreateTopicsResult pending = create(admin, "asked-while-down", 2);
            awaitMessages("produce-while-the-server-is-down", 300);
            checks.check("no-topic-while-the-server-is-down", !pending.all().isDone(), () -> "it was created");
            checks.say("the server starts again");
            server.start();
            done("topic-asked-while-down-is-created", pending.all());
            checks.check("topic-asked-while-down-is-created", tree.exists("/brokers/topics/asked-while-down"),
                    () -> "no node of the topic");
        }
        checks.equal("broker-session-kept", broker, tree.life("/brokers/ids/1"));
        checks.equal("controller-kept", controller, tree.life("/controller"));
        checks.equal("controller-epoch-kept", epoch, tree.controllerEpoch());
        checks.check("broker-saw-no-expiry", !first.logContains("Session expired"), () -> "see its log");
        awaitMessages("produce-after-the-restart", 300);
        compare("no-message-lost", 1);
    }

    private void topicsChange() throws Exception {
        checks.say("topics are created, configured, deleted after the restart");
        try (Admin admin = admin(1)) {
            done("create-topic-after-restart", create(admin, "second", 2).all());
            checks.check("create-topic-after-restart", tree.exists("/brokers/topics/second"),
                    () -> "no node of the topic");
            ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, ORDERS);
            AlterConfigOp set = new AlterConfigOp(
                    new ConfigEntry("min.insync.replicas", "1"), AlterConfigOp.OpType.SET);
            done("configure-topic", admin.incrementalAlterConfigs(Map.of(topic, List.of(set))).all());
            String stored = tree.data("/config/topics/" + ORDERS);
            checks.check("configure-topic", stored.contains("min.insync.replicas"), () -> "found " + stored);
            done("delete-topic", admin.deleteTopics(List.of("asked-while-down")).all());
            checks.await("delete-topic", LIMIT,
                    () -> !tree.exists("/brokers/topics/asked-while-down")
                            && tree.children("/admin/delete_topics").isEmpty(),
                    () -> tree.children("/admin/delete_topics"));
        }
    }

    private void secondBroker() throws Exception {
        checks.say("broker 2 starts; the partitions are reassigned");
        second.start();
        awaitBrokers("broker-2-registers", "1", "2");
        try (Admin admin = admin(1)) {
            Map<TopicPartition, List<Integer>> plan = new HashMap<>();
            plan.put(new TopicPartition(ORDERS, 0), List.of(1, 2));
            plan.put(new TopicPartition(ORDERS, 1), List.of(2, 1));
            plan.put(new TopicPartition(ORDERS, 2), List.of(1, 2));
            for (int partition = 0; partition < 3; partition++) {
                plan.put(new TopicPartition(OFFSETS, partition), List.of(1, 2));
            }
            plan.put(new TopicPartition("second", 0), List.of(2));
            plan.put(new TopicPartition("second", 1), List.of(2));
            awaitKnown(admin, 2);
            done("reassignment-begins", admin.alterPartitionReassignments(plan.entrySet().stream().collect(
                    Collectors.toMap(Map.Entry::getKey,
                            entry -> Optional.of(new NewPartitionReassignment(entry.getValue()))))).all());
            checks.await("reassignment-ends", LIMIT,
                    () -> admin.listPartitionReassignments().reassignments().get().isEmpty(),
                    () -> admin.listPartitionReassignments().reassignments().get());
            awaitInSync(admin, "two-replicas-in-sync", ORDERS, Set.of(1, 2));
            awaitInSync(admin, "offsets-in-sync", OFFSETS, Set.of(1, 2));
            awaitInSync(admin, "topic-moved-to-broker-2", "second", Set.of(2));
            done("preferred-leader-elected", admin.electLeaders(
                    ElectionType.PREFERRED, Set.of(new TopicPartition(ORDERS, 1))).all());
            checks.await("preferred-leader-elected", LIMIT,
                    () -> partitions(admin, ORDERS).get(1).leader().id() == 2,
                    () -> partitions(admin, ORDERS));
        }
    }

    private void acls() throws Exception {
        checks.say("ACLs: alice loses a right and gets it back, on both brokers");
        String one = tree.endpoint(1, "SASL_PLAINTEXT");
        String two = tree.endpoint(2, "SASL_PLAINTEXT");
        try (Admin admin = admin(1)) {
            Acls acls = new Acls(admin, "second");
            checks.check("allowed-without-acl", acls.mayWrite(one), () -> "refused");
            acls.denyWriting();
            String stored = tree.data("/kafka-acl/Topic/second");
            checks.check("acl-stored", stored.contains("User:" + Acls.USER), () -> "found " + stored);
            checks.await("acl-refuses-on-broker-1", LIMIT, () -> !acls.mayWrite(one), () -> stored);
            checks.await("acl-refuses-on-broker-2", LIMIT, () -> !acls.mayWrite(two), () -> stored);
            acls.allowWriting();
            checks.check("acl-removed", !tree.exists("/kafka-acl/Topic/second"), () -> "the node is still there");
            checks.await("acl-allows-on-broker-2", LIMIT, () -> acls.mayWrite(two),
                    () -> tree.children("/kafka-acl-changes"));
        }
    }

    private void controllerKilled() throws Exception {
        Tree.Life lost = tree.life("/controller");
        int epoch = tree.controllerEpoch();
        Map<TopicPartition, OffsetAndMetadata> committed = committed(1);
        checks.say("kill -9 of broker 1, the controller (%s); %d messages acknowledged", lost,
                load.acknowledged());
        first.kill();
        long killed = System.nanoTime();
        awaitController("broker-2-takes-the-controller-over", 2);
        double seconds = (System.nanoTime() - killed) / 1e9;
        checks.say("broker 2 is the controller after %.1f s (session timeout %.0f s)", seconds,
                Broker.SESSION_TIMEOUT_MS / 1e3);
        // A ping is at most a third of the timeout old; far earlier means that a lost connection ended it.
        checks.check("session-outlives-its-connection", seconds > 2, () -> "gone after " + seconds + " s");
        awaitBrokers("broker-1-is-gone", "2");
        checks.equal("controller-belongs-to-broker-2", tree.life("/brokers/ids/2").ephemeralOwner(),
                tree.life("/controller").ephemeralOwner());
        checks.equal("controller-epoch-grows", epoch + 1, tree.controllerEpoch());
        try (Admin admin = admin(2)) {
            awaitInSync(admin, "broker-2-leads-alone", ORDERS, Set.of(2));
            done("create-topic-after-takeover", create(admin, "third", 2).all());
            checks.check("create-topic-after-takeover", tree.exists("/brokers/topics/third"),
                    () -> "no node of the topic");
        }
        awaitMessages("produce-after-takeover", 300);
        compare("no-message-lost-by-takeover", 2);
        checks.equal("group-offsets-kept", committed, committed(2));
    }

    private void serverKilledAgain() throws Exception {
        Tree.Life broker = tree.life("/brokers/ids/2");
        Tree.Life controller = tree.life("/controller");
        checks.say("kill -9 of the ZooKeeper server again; it stays down for longer than the session timeout");
        long killed = System.nanoTime();
        server.kill();
        awaitMessages("produce-while-down-again", 300);
        // No synchronisation: the length of the outage is what is tested. Sessions do not age
        // while there is no server, and one that had ended does not come back with it.
        long left = Broker.SESSION_TIMEOUT_MS + 1000 - (System.nanoTime() - killed) / 1_000_000;
        Thread.sleep(Math.max(0, left));
        checks.say("the server starts again");
        server.start();
        awaitBrokers("broker-2-alone-after-restart", "2");
        checks.equal("broker-2-session-kept", broker, tree.life("/brokers/ids/2"));
        checks.equal("controller-2-kept", controller, tree.life("/controller"));
    }

    private void firstBrokerReturns() throws Exception {
        checks.say("broker 1 comes back and catches up");
        first.start();
        awaitBrokers("broker-1-registers-again", "1", "2");
        try (Admin admin = admin(2)) {
            awaitInSync(admin, "two-replicas-in-sync-again", ORDERS, Set.of(1, 2));
        }
        checks.equal("controller-stays", 2, tree.controller());
    }

    private void everythingKept() throws Exception {
        load.stop();
        checks.say("the producer stops; %d messages acknowledged", load.acknowledged());
        checks.check("every-send-acknowledged", load.error() == null, () -> "" + load.error());
        compare("no-message-lost-at-all", 1);
        load.close();
    }

    private void brokerEnds() throws Exception {
        checks.say("broker 2 is told to end: it closes its session itself");
        second.terminate();
        checks.await("broker-2-ends", LIMIT, () -> !second.alive(), () -> "a running broker");
        // Not awaited: its closeSession was answered before it ended.
        checks.equal("ephemerals-gone-with-the-session", List.of("1"), tree.children("/brokers/ids"));
        awaitController("broker-1-is-controller-again", 1);
    }

    private void awaitBrokers(String name, String... ids) throws Exception {
        checks.await(name, LIMIT, () -> {
            for (Broker broker : List.of(first, second)) {
                if (List.of(ids).contains(Integer.toString(broker.id)) && !broker.alive()) {
                    throw new Checks.Failed(name, "broker " + broker.id + " ended, see its log");
                }
            }
            return tree.children("/brokers/ids").equals(List.of(ids));
        }, () -> tree.children("/brokers/ids"));
    }

    private void awaitController(String name, int id) throws Exception {
        checks.await(name, LIMIT, () -> tree.controller() == id, tree::controller);
    }

    /** So many acknowledgements more than now. */
    private void awaitMessages(String name, int more) throws Exception {
        int goal = load.acknowledged() + more;
        checks.await(name, LIMIT, () -> load.acknowledged() >= goal,
                () -> load.acknowledged() + " of " + goal + " acknowledged, first error " + load.error());
    }

    private void awaitKnown(Admin admin, int id) throws Exception {
        checks.await("broker-" + id + "-is-known", LIMIT,
                () -> admin.describeCluster().nodes().get().stream().anyMatch(node -> node.id() == id),
                () -> admin.describeCluster().nodes().get());
    }

    private void awaitInSync(Admin admin, String name, String topic, Set<Integer> brokers) throws Exception {
        checks.await(name, LIMIT,
                () -> partitions(admin, topic).stream().allMatch(partition -> brokers.equals(
                        partition.isr().stream().map(node -> node.id()).collect(Collectors.toSet()))),
                () -> partitions(admin, topic));
    }

    private void compare(String name, int broker) throws Exception {
        BitSet promised = load.promised();
        List<Integer> found = Load.readAll(ORDERS, endpoint(broker), LIMIT);
        String wrong = Load.compare(promised, found);
        checks.say("%d messages were acknowledged, %d are in the topic", promised.cardinality(), found.size());
        checks.check(name, wrong.isEmpty(), () -> wrong);
    }

    private Map<TopicPartition, OffsetAndMetadata> committed(int broker) throws Exception {
        try (Admin admin = admin(broker)) {
            return done("group-offsets-kept",
                    admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata());
        }
    }

    private String endpoint(int broker) throws Exception {
        return tree.endpoint(broker, "PLAINTEXT");
    }

    private Admin admin(int broker) throws Exception {
        return Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, endpoint(broker)));
    }

    /** The answer to a request that belongs to a check. */
    private static <T> T done(String check, KafkaFuture<T> answer) throws Checks.Failed, InterruptedException {
        try {
            return answer.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new Checks.Failed(check, "" + e.getCause());
        } catch (TimeoutException e) {
            throw new Checks.Failed(check, "no answer from Kafka within " + LIMIT.toSeconds() + " s");
        }
    }

    private static CreateTopicsResult create(Admin admin, String topic, int partitions) {
        return admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1)));
    }

    private static List<TopicPartitionInfo> partitions(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get(10, TimeUnit.SECONDS)
                .get(topic).partitions();
    }
}
