import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;

/**
 * Puts the answers of Apache ZooKeeper into java-configs.jsonl. Each line there is a name, the files
 * of the case, and the answer. With the jars of ZooKeeper 3.9.5 in lib:
 *
 *   java -cp 'lib/*' JavaConfigs.java java-configs.jsonl
 */
public class JavaConfigs {
    public static void main(String[] args) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        Path base = Files.createTempDirectory("configs");
        List<String> answered = new ArrayList<>();
        for (String line : Files.readAllLines(Paths.get(args[0]))) {
            ArrayNode row = (ArrayNode) mapper.readTree(line);
            Path dir = base.resolve(row.get(0).asText().replace('/', '_'));
            Files.createDirectories(dir.resolve("data"));
            for (Map.Entry<String, JsonNode> file : row.get(1).properties()) {
                String name = file.getKey().equals("myid") ? "data/myid" : file.getKey();
                String text = file.getValue().asText().replace("$DIR", dir.toString());
                Files.write(dir.resolve(name), text.getBytes(StandardCharsets.UTF_8));
            }
            String answer = answer(dir).replace(dir.toString(), "$DIR");
            answered.add(mapper.writeValueAsString(List.of(row.get(0), row.get(1), answer)));
        }
        Files.write(Paths.get(args[0]), answered);
    }

    /** What a start would have; the state of earlier cases is taken back first. */
    private static String answer(Path dir) {
        for (String name : System.getProperties().stringPropertyNames()) {
            if (name.startsWith("zookeeper.")) {
                System.clearProperty(name);
            }
        }
        QuorumPeerConfig.setStandaloneEnabled(true);
        QuorumPeerConfig.setReconfigEnabled(false);
        QuorumPeerConfig c = new QuorumPeerConfig();
        try {
            c.parse(dir.resolve("zoo.cfg").toString());
        } catch (Throwable t) {
            return "fails: " + (t.getCause() == null ? t : t.getCause()).getMessage();
        }
        StringBuilder properties = new StringBuilder();
        for (String name : new TreeSet<>(System.getProperties().stringPropertyNames())) {
            if (name.startsWith("zookeeper.")) {
                properties.append(' ').append(name);
            }
        }
        return (c.isDistributed() ? "ensemble" : "standalone")
            + " port=" + (c.getClientPortAddress() == null ? "none" : c.getClientPortAddress().getPort())
            + " tick=" + c.getTickTime()
            + " min=" + c.getMinSessionTimeout()
            + " max=" + c.getMaxSessionTimeout()
            + " cnxns=" + c.getMaxClientCnxns()
            + " backlog=" + c.getClientPortListenBacklog()
            + " retain=" + c.getSnapRetainCount()
            + " id=" + (c.getServerId() == -1 ? "none" : c.getServerId())
            + " members=" + c.getQuorumVerifier().getAllMembers().size()
            + " data=" + c.getDataDir()
            + " log=" + c.getDataLogDir()
            + " properties:" + properties;
    }
}
