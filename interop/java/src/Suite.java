package zooid.interop;

import java.io.OutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.zookeeper.KeeperException;

/**
 * A list of named checks. Each prints {@code ok NAME} or {@code FAIL NAME: why}, in the order of declaration, and the
 * last line counts them. ONLY=REGEX in the environment selects checks by name.
 */
final class Suite {
    /** Milliseconds that one check may take; a check that hangs is a failure with the place where it hangs. */
    private static final long CHECK_LIMIT_MS = 45_000;
    /** Milliseconds to wait for a condition that must come true. */
    static final long DEADLINE_MS = 15_000;

    interface Body {
        void run(Ctx ctx) throws Exception;
    }

    interface Call {
        void run() throws Exception;
    }

    private record Check(String name, Server server, Body body) {}

    private final PrintStream out = System.out;
    private final List<Check> checks = new ArrayList<>();
    private final String only = System.getenv("ONLY");

    /** A check that runs beside others on a shared server, in its own subtree. */
    void check(String name, Server server, Body body) {
        if (only == null || name.matches(only)) {
            checks.add(new Check(name, server, body));
        }
    }

    /** Runs all checks, {@code width} at a time, and returns the exit code. */
    int run(int width) throws InterruptedException {
        // Some of the classes under test talk; the lines of the suite are for programs to read.
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        ExecutorService pool = Executors.newFixedThreadPool(width, Suite::daemon);
        List<Future<String>> results = new ArrayList<>();
        for (Check check : checks) {
            results.add(pool.submit(() -> outcome(check)));
        }
        int failed = 0;
        for (int i = 0; i < checks.size(); i++) {
            String why;
            try {
                why = results.get(i).get();
            } catch (ExecutionException e) {
                why = e.getCause().toString();
            }
            if (why == null) {
                out.println("ok " + checks.get(i).name);
            } else {
                failed++;
                out.println("FAIL " + checks.get(i).name + ": " + why.replaceAll("\\s+", " "));
            }
            out.flush();
        }
        pool.shutdownNow();
        out.println((checks.size() - failed) + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    private static Thread daemon(Runnable r) {
        Thread t = new Thread(r);
        t.setDaemon(true);
        return t;
    }

    /** Null when the check held, else why not. */
    private static String outcome(Check check) throws InterruptedException {
        Thread[] self = new Thread[1];
        ExecutorService own = Executors.newSingleThreadExecutor(r -> self[0] = daemon(r));
        Future<String> result = own.submit(() -> {
            try (Ctx ctx = new Ctx(check.server, check.name)) {
                check.body.run(ctx);
                return null;
            } catch (Throwable e) {
                return e.getMessage() + at(e.getStackTrace(), e instanceof AssertionError ? "" : e.getClass().getName());
            }
        });
        try {
            return result.get(CHECK_LIMIT_MS, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            return "no end after " + CHECK_LIMIT_MS + " ms" + at(self[0].getStackTrace(), "");
        } catch (ExecutionException e) {
            return e.getCause().toString();
        } finally {
            own.shutdownNow();
        }
    }

    /** The line of the check itself, not of a helper in this file. */
    private static String at(StackTraceElement[] stack, String what) {
        for (StackTraceElement frame : stack) {
            boolean helper = frame.getFileName() != null
                    && List.of("Suite.java", "Client.java", "Ctx.java", "Recorder.java").contains(frame.getFileName());
            if (frame.getClassName().startsWith("zooid.interop.") && !helper) {
                return " [" + what + " " + frame.getFileName() + ":" + frame.getLineNumber() + "]";
            }
        }
        return " [" + what + "]";
    }

    static void eq(String what, Object expected, Object actual) {
        if (!java.util.Objects.deepEquals(expected, actual)) {
            throw new AssertionError(what + ": expected " + show(expected) + ", got " + show(actual));
        }
    }

    private static String show(Object value) {
        return value instanceof byte[] bytes ? java.util.Arrays.toString(bytes) : String.valueOf(value);
    }

    static void that(String what, boolean holds) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** The call must fail with exactly this code. */
    static KeeperException code(KeeperException.Code expected, Call call) throws Exception {
        try {
            call.run();
        } catch (KeeperException e) {
            if (e.code() != expected) {
                throw new AssertionError("expected " + expected + ", got " + e.code(), e);
            }
            return e;
        }
        throw new AssertionError("expected " + expected + ", got success");
    }

    /** Waits until the condition holds. */
    static void until(String what, Callable<Boolean> holds) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(DEADLINE_MS);
        while (!holds.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not within " + DEADLINE_MS + " ms: " + what);
            }
            Thread.sleep(20);
        }
    }
}
