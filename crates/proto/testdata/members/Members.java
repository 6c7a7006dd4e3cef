import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.util.Properties;
import org.apache.zookeeper.server.quorum.QuorumPeer;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;

/** Writes behind each line of its input what 3.9.5 makes of it: the canonical text, or ! for refused. */
public class Members {
    public static void main(String[] args) throws Exception {
        System.setProperty("zookeeper.multiAddress.enabled", "true");
        boolean whole = args[0].equals("texts");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String given = line.split("\t", 2)[0];
            String answer;
            try {
                if (whole) {
                    Properties properties = new Properties();
                    properties.load(new StringReader(given.replace("\\n", "\n")));
                    answer = QuorumPeerConfig.parseDynamicConfig(properties, 3, false, false, null).toString();
                } else {
                    answer = new QuorumPeer.QuorumServer(1, given).toString();
                }
            } catch (Exception e) {
                answer = "!";
            }
            System.out.println(given + "\t" + answer.replace("\n", "\\n"));
        }
    }
}
