package zooid.interop;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A wire that can be cut: bytes go both ways until {@link #cut}, connections are refused until {@link #heal}. */
final class Proxy implements AutoCloseable {
    final int port = Server.freePort();
    private final int target;
    private final ServerSocket listener = new ServerSocket();
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private volatile boolean whole = true;

    Proxy(int target) throws IOException {
        this.target = target;
        listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        background(this::accept);
    }

    String hosts() {
        return "127.0.0.1:" + port;
    }

    void cut() throws IOException {
        whole = false;
        for (Socket socket : sockets) {
            socket.close();
        }
    }

    void heal() {
        whole = true;
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }

    private void accept() throws IOException {
        while (true) {
            Socket near = listener.accept();
            if (!whole) {
                near.close();
                continue;
            }
            Socket far;
            try {
                far = new Socket(InetAddress.getLoopbackAddress(), target);
            } catch (IOException e) {
                near.close();
                continue;
            }
            sockets.add(near);
            sockets.add(far);
            if (!whole) {
                cut();
            }
            background(() -> pump(near, far));
            background(() -> pump(far, near));
        }
    }

    private void pump(Socket from, Socket to) throws IOException {
        byte[] buffer = new byte[64 * 1024];
        try (from; to) {
            from.setTcpNoDelay(true);
            to.setTcpNoDelay(true);
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            int n;
            while ((n = in.read(buffer)) >= 0) {
                out.write(buffer, 0, n);
            }
        } finally {
            sockets.remove(from);
            sockets.remove(to);
        }
    }

    private interface Job {
        void run() throws IOException;
    }

    private static void background(Job job) {
        Thread thread = new Thread(() -> {
            try {
                job.run();
            } catch (IOException e) {
                // A closed socket is the normal end of a wire.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
