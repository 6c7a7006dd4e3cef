import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The ZooKeeper server under test, through interop/server.sh. */
final class Server {
    private final Path script;
    private String kind;
    private final int port;
    private final Path dir;
    private final List<String> settings;

    /** The settings are further lines of its zoo.cfg. */
    Server(Path script, String kind, int port, Path dir, List<String> settings) {
        this.script = script;
        this.kind = kind;
        this.port = port;
        this.dir = dir;
        this.settings = settings;
    }

    String address() {
        return "127.0.0.1:" + port;
    }

    void start() throws IOException, InterruptedException {
        List<String> words = new ArrayList<>(List.of("start", kind, Integer.toString(port), dir.toString()));
        words.addAll(settings);
        call(words.toArray(String[]::new));
    }

    /** What the next start starts, on the same data. */
    void become(String kind) {
        this.kind = kind;
    }

    String kind() {
        return kind;
    }

    /** SIGTERM, as an operator ends it. */
    void stop() throws IOException, InterruptedException {
        call("stop", dir.toString());
    }

    /** SIGKILL: whatever the server had acknowledged must be on disk by itself. */
    void kill() throws IOException, InterruptedException {
        call("kill", dir.toString());
    }

    /** Whether it says of itself that it leads an ensemble. */
    boolean leads() {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            socket.setSoTimeout(2000);
            socket.getOutputStream().write("srvr".getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII)
                    .contains("Mode: leader");
        } catch (IOException e) {
            return false;
        }
    }

    private void call(String... args) throws IOException, InterruptedException {
        String[] command = new String[args.length + 1];
        command[0] = script.toString();
        System.arraycopy(args, 0, command, 1, args.length);
        // A file and not a pipe: the server stays behind with the descriptors of its script.
        Path output = dir.resolveSibling("server.sh.log");
        int code = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()))
                .start()
                .waitFor();
        if (code != 0) {
            throw new IOException("server.sh " + args[0] + " ended with " + code + ": "
                    + Files.readString(output));
        }
    }
}
