import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.function.Supplier;

/** The verdicts (one line per check) and the progress lines between them. */
final class Checks {
    /** A wait that ran out or a step that cannot go on: the steps after it would mean nothing. */
    static final class Failed extends Exception {
        final String check;

        Failed(String check, String why) {
            super(why);
            this.check = check;
        }
    }

    private final long started = System.nanoTime();
    private int passed;
    private int failed;

    /** A line for the human who watches; elapsed time in seconds since the start. */
    void say(String format, Object... args) {
        double seconds = (System.nanoTime() - started) / 1e9;
        System.out.printf("%5.1f s  %s%n", seconds, String.format(format, args));
    }

    void check(String name, boolean good, Supplier<String> why) {
        if (good) {
            passed++;
            System.out.println("ok " + name);
        } else {
            fail(name, why.get());
        }
    }

    void equal(String name, Object expected, Object actual) {
        check(name, expected.equals(actual), () -> "expected " + expected + ", found " + actual);
    }

    void fail(String name, String why) {
        failed++;
        System.out.println("FAIL " + name + ": " + why.replace('\n', ' '));
    }

    /**
     * Polls until the condition holds; a condition that throws does not hold yet, because in this
     * test servers and brokers are away on purpose. Failed ends the wait at once.
     */
    void await(String name, Duration limit, Callable<Boolean> condition, Callable<Object> found)
            throws Failed, InterruptedException {
        long deadline = System.nanoTime() + limit.toNanos();
        while (!holds(condition)) {
            if (System.nanoTime() - deadline > 0) {
                throw new Failed(name, "not within " + limit.toSeconds() + " s; " + describe(found));
            }
            Thread.sleep(50);
        }
        passed++;
        System.out.println("ok " + name);
    }

    /** Prints the last line of the suite; true when nothing failed. */
    boolean summary() {
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0;
    }

    private static boolean holds(Callable<Boolean> condition) throws Failed, InterruptedException {
        try {
            return condition.call();
        } catch (Failed | InterruptedException e) {
            throw e;
        } catch (Exception e) {
            return false;
        }
    }

    private static String describe(Callable<Object> found) {
        try {
            return "found " + found.call();
        } catch (Exception e) {
            return "last error " + e;
        }
    }
}
