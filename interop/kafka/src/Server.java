import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The ZooKeeper server under test, through interop/server.sh. */
final class Server {
    private final Path script;
    private final String kind;
    private final int port;
    private final Path dir;

    Server(Path script, String kind, int port, Path dir) {
        this.script = script;
        this.kind = kind;
        this.port = port;
        this.dir = dir;
    }

    String address() {
        return "127.0.0.1:" + port;
    }

    void start() throws IOException, InterruptedException {
        call("start", kind, Integer.toString(port), dir.toString());
    }

    /** SIGKILL: whatever the server had acknowledged must be on disk by itself. */
    void kill() throws IOException, InterruptedException {
        call("kill", dir.toString());
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
