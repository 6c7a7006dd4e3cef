package zooid.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** The same job on several threads at once. */
final class Threads {
    interface Job {
        void run(int index) throws Exception;
    }

    /** Returns when all are done; the first failure is thrown. */
    static void run(int count, Job job) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(count);
        try {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                int index = i;
                all.add(pool.submit(() -> {
                    job.run(index);
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get();
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw (Exception) e.getCause();
        } finally {
            pool.shutdownNow();
        }
    }
}
