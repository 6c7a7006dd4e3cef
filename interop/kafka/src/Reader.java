import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** A consumer of a group that goes on through every failure of the test and counts the numbers that it has seen. */
final class Reader {
    private final KafkaConsumer<Integer, Integer> consumer;
    private final BitSet seen = new BitSet();
    private final AtomicReference<Exception> error = new AtomicReference<>();
    private final Thread thread = new Thread(this::consume, "reader");
    private volatile boolean running = true;
    private volatile int count;

    Reader(String topic, String bootstrap) {
        consumer = Load.consumer(bootstrap, "readers");
        consumer.subscribe(List.of(topic));
        thread.setDaemon(true);
        thread.start();
    }

    /** How many different numbers it has seen. */
    int count() {
        return count;
    }

    Exception error() {
        return error.get();
    }

    void stop() throws InterruptedException {
        running = false;
        thread.join();
    }

    private void consume() {
        try (consumer) {
            while (running) {
                for (ConsumerRecord<Integer, Integer> each : consumer.poll(Duration.ofMillis(200))) {
                    seen.set(each.value());
                }
                count = seen.cardinality();
            }
        } catch (RuntimeException e) {
            error.set(e);
        }
    }
}
