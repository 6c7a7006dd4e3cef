import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own ACLs, which its AclAuthorizer keeps in ZooKeeper and hands round with watches. */
final class Acls {
    static final String USER = "alice";
    static final String PASSWORD = "wonderland";

    private final Admin admin;
    private final String topic;
    private final AclBinding deny;

    Acls(Admin admin, String topic) {
        this.admin = admin;
        this.topic = topic;
        this.deny = new AclBinding(
                new ResourcePattern(ResourceType.TOPIC, topic, PatternType.LITERAL),
                new AccessControlEntry("User:" + USER, "*", AclOperation.WRITE, AclPermissionType.DENY));
    }

    void denyWriting() throws Exception {
        admin.createAcls(List.of(deny)).all().get(30, TimeUnit.SECONDS);
    }

    void allowWriting() throws Exception {
        admin.deleteAcls(List.of(deny.toFilter())).all().get(30, TimeUnit.SECONDS);
    }

    /** Whether alice may write one message to the topic; the endpoint is one with SASL/PLAIN. */
    boolean mayWrite(String endpoint) throws Exception {
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, endpoint);
        settings.put("security.protocol", "SASL_PLAINTEXT");
        settings.put("sasl.mechanism", "PLAIN");
        settings.put("sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required"
                + " username=\"" + USER + "\" password=\"" + PASSWORD + "\";");
        // Without idempotence no other right than WRITE on the topic is asked for.
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, false);
        settings.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, 15_000);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(topic, "hello")).get(15, TimeUnit.SECONDS);
            return true;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof TopicAuthorizationException) {
                return false;
            }
            throw e;
        }
    }
}
