package zooid.interop;

import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.data.ACL;

/** Lists of ACLs as the client wants them: it asks them whether they contain null, which List.of does not bear. */
final class Acls {
    static List<ACL> of(ACL... entries) {
        return Arrays.asList(entries);
    }
}
