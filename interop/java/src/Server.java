package zooid.interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A server under test, driven through server.sh. The directory is ended by the suite's `run` script too. */
final class Server {
    private static final String KIND = System.getenv().getOrDefault("SERVER", "zooid");
    private static final String SCRIPT = System.getProperty("zooid.server.sh");

    final int port = freePort();
    private final Path dir;
    private final String flags;
    private final List<String> lines;

    /** {@code flags} are -Dname=value words, {@code lines} are added to the configuration file. */
    static Server start(Path tmp, String name, String flags, String... lines) throws Exception {
        Server server = new Server(tmp.resolve(name), flags, Arrays.asList(lines));
        server.start();
        return server;
    }

    private Server(Path dir, String flags, List<String> lines) {
        this.dir = dir;
        this.flags = flags;
        this.lines = lines;
    }

    void start() throws Exception {
        List<String> words = new ArrayList<>(List.of("start", KIND, Integer.toString(port), dir.toString()));
        words.addAll(lines);
        script(words);
    }

    /** As a crash: kill -9. */
    void kill() throws Exception {
        script(List.of("kill", dir.toString()));
    }

    /** As an operator: TERM. */
    void stop() throws Exception {
        script(List.of("stop", dir.toString()));
    }

    String hosts() {
        return "127.0.0.1:" + port;
    }

    private void script(List<String> words) throws Exception {
        Files.createDirectories(dir);
        List<String> command = new ArrayList<>(List.of("bash", SCRIPT));
        command.addAll(words);
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("JVMFLAGS", flags);
        int code = builder.start().waitFor();
        if (code != 0) {
            throw new IOException("server.sh " + words.get(0) + " ended with code " + code);
        }
    }

    /** Nobody else gets it, also while the server is down. */
    static int freePort() {
        String script = Path.of(SCRIPT).resolveSibling("ports.sh").toString();
        ProcessBuilder builder = new ProcessBuilder("bash", script).redirectError(ProcessBuilder.Redirect.INHERIT);
        try (BufferedReader printed = builder.start().inputReader()) {
            return Integer.parseInt(printed.readLine());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
