package zooid.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;

/** A watcher that keeps what it is told, as text such as {@code NodeCreated /a}. */
final class Recorder implements Watcher {
    private final BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();

    /** Connection states are the default watcher's matter, and every watcher hears them. */
    @Override
    public void process(WatchedEvent event) {
        if (event.getType() != Event.EventType.None) {
            events.add(event);
        }
    }

    /** The next event must be this one. Returns the zxid that the server put into it. */
    long expect(String event) throws InterruptedException {
        WatchedEvent got = events.poll(Suite.DEADLINE_MS, TimeUnit.MILLISECONDS);
        Suite.eq("event", event, got == null ? "none" : text(got));
        return got.getZxid();
    }

    /** All that has come and was not yet looked at. Call {@link Client#drain} before. */
    List<String> rest() {
        List<WatchedEvent> taken = new ArrayList<>();
        events.drainTo(taken);
        return taken.stream().map(Recorder::text).toList();
    }

    private static String text(WatchedEvent event) {
        return event.getType() + " " + event.getPath();
    }
}
