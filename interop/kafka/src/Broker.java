import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** One Kafka broker process; its log is DIR/broker-ID.log, its process id in DIR/broker-ID.pid. */
final class Broker {
    static final int SESSION_TIMEOUT_MS = 10_000;

    final int id;
    private final Path dir;
    private final Path properties;
    private Process process;

    Broker(int id, Path dir, String zookeeper) throws IOException {
        this(id, dir, zookeeper, SESSION_TIMEOUT_MS);
    }

    Broker(int id, Path dir, String zookeeper, int sessionTimeoutMs) throws IOException {
        this.id = id;
        this.dir = dir;
        this.properties = dir.resolve("broker-" + id + ".properties");
        // Port 0: the broker takes a free one and publishes it in /brokers/ids, where we read it.
        Files.writeString(properties, """
                broker.id=%1$d
                listeners=PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0
                sasl.enabled.mechanisms=PLAIN
                listener.name.sasl_plaintext.plain.sasl.jaas.config=\
                org.apache.kafka.common.security.plain.PlainLoginModule required \
                user_%5$s="%6$s";
                log.dirs=%2$s
                zookeeper.connect=%3$s
                zookeeper.session.timeout.ms=%4$d
                zookeeper.connection.timeout.ms=60000
                offsets.topic.replication.factor=1
                offsets.topic.num.partitions=3
                transaction.state.log.replication.factor=1
                transaction.state.log.min.isr=1
                log.cleaner.dedupe.buffer.size=4194304
                group.initial.rebalance.delay.ms=0
                auto.create.topics.enable=false
                num.network.threads=2
                num.io.threads=4
                authorizer.class.name=kafka.security.authorizer.AclAuthorizer
                super.users=User:ANONYMOUS
                allow.everyone.if.no.acl.found=true
                """.formatted(id, dir.resolve("broker-" + id), zookeeper, sessionTimeoutMs,
                Acls.USER, Acls.PASSWORD));
    }

    Path log() {
        return dir.resolve("broker-" + id + ".log");
    }

    void start() throws IOException {
        // The shell writes the pid before it becomes the broker: the trap of `run` never misses it.
        process = new ProcessBuilder("sh", "-c", "echo $$ > \"$0\" && exec \"$@\"",
                dir.resolve("broker-" + id + ".pid").toString(),
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dlog4j.configuration=" + System.getProperty("log4j.configuration"),
                "-cp", System.getProperty("java.class.path"),
                "kafka.Kafka", properties.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log().toFile()))
                .start();
    }

    boolean alive() {
        return process != null && process.isAlive();
    }

    /** SIGKILL. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** SIGTERM: a controlled shutdown, which closes the session. */
    void terminate() {
        process.destroy();
    }

    boolean logContains(String text) throws IOException {
        try (var lines = Files.lines(log())) {
            return lines.anyMatch(line -> line.contains(text));
        }
    }
}
