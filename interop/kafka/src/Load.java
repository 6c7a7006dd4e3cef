import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.IntegerDeserializer;
import org.apache.kafka.common.serialization.IntegerSerializer;

/**
 * A producer that goes on through every failure of the test, numbers its messages and remembers
 * which ones were acknowledged by all replicas.
 */
final class Load implements AutoCloseable {
    private final String topic;
    private final KafkaProducer<Integer, Integer> producer;
    private final BitSet acknowledged = new BitSet();
    private final AtomicInteger count = new AtomicInteger();
    private final AtomicReference<Exception> error = new AtomicReference<>();
    private final Thread thread = new Thread(this::produce, "load");
    private volatile boolean running = true;

    Load(String topic, String bootstrap) {
        this.topic = topic;
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        // The default of five minutes would hide the second broker from a producer that knows the first.
        settings.put(ProducerConfig.METADATA_MAX_AGE_CONFIG, 2000);
        producer = new KafkaProducer<>(settings, new IntegerSerializer(), new IntegerSerializer());
        thread.start();
    }

    /** How many messages were acknowledged so far. */
    int acknowledged() {
        return count.get();
    }

    /** The first failure of a send, or null. */
    Exception error() {
        return error.get();
    }

    /** Stops sending; returns when every message sent has its answer. */
    void stop() throws InterruptedException {
        running = false;
        thread.join();
        producer.flush();
    }

    @Override
    public void close() {
        running = false;
        producer.close(Duration.ofSeconds(5));
    }

    /** The numbers acknowledged so far. */
    BitSet promised() {
        synchronized (acknowledged) {
            return (BitSet) acknowledged.clone();
        }
    }

    /** What is wrong between messages that were promised and those in the topic; empty when nothing. */
    static String compare(BitSet promised, List<Integer> found) {
        BitSet seen = new BitSet();
        int twice = 0;
        for (int number : found) {
            twice += seen.get(number) ? 1 : 0;
            seen.set(number);
        }
        BitSet lost = (BitSet) promised.clone();
        lost.andNot(seen);
        if (lost.isEmpty() && twice == 0) {
            return "";
        }
        return lost.cardinality() + " acknowledged messages lost (first: " + lost.nextSetBit(0) + "), "
                + twice + " delivered twice";
    }

    private void produce() {
        for (int number = 0; running; number++) {
            int sent = number;
            try {
                producer.send(new ProducerRecord<>(topic, sent, sent), (meta, failure) -> {
                    if (failure != null) {
                        error.compareAndSet(null, failure);
                        return;
                    }
                    synchronized (acknowledged) {
                        acknowledged.set(sent);
                    }
                    count.incrementAndGet();
                });
            } catch (RuntimeException e) {
                error.compareAndSet(null, e);
                return;
            }
            // A pace, so that the machine has time left for what is tested.
            LockSupport.parkNanos(1_000_000);
        }
    }

    /** A consumer of the group; offsets are committed only when asked. */
    static KafkaConsumer<Integer, Integer> consumer(String bootstrap, String group) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return new KafkaConsumer<>(settings, new IntegerDeserializer(), new IntegerDeserializer());
    }

    /** Every message of the topic from its beginning to the end it had when this was called. */
    static List<Integer> readAll(String topic, String bootstrap, Duration limit) {
        try (KafkaConsumer<Integer, Integer> consumer = consumer(bootstrap, "reader")) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> end = consumer.endOffsets(partitions);
            List<Integer> found = new ArrayList<>();
            long deadline = System.nanoTime() + limit.toNanos();
            while (partitions.stream().anyMatch(p -> consumer.position(p) < end.get(p))) {
                if (System.nanoTime() - deadline > 0) {
                    throw new IllegalStateException("read only " + found.size() + " messages of " + end
                            + " in " + limit.toSeconds() + " s");
                }
                for (ConsumerRecord<Integer, Integer> record : consumer.poll(Duration.ofMillis(200))) {
                    found.add(record.value());
                }
            }
            return found;
        }
    }
}
