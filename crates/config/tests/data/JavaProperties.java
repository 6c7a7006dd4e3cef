import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.*;

/**
 * Makes java-properties.txt: random files and what java.util.Properties reads from them.
 *
 *   java JavaProperties.java > java-properties.txt
 */
public class JavaProperties {
    private static final byte[] ALPHABET =
        "aab\\\\\\\n\n\r  \t\f=:#!u041\u00e9".getBytes(StandardCharsets.ISO_8859_1);

    public static void main(String[] args) throws Exception {
        Random random = new Random(395);
        for (int kept = 0; kept < 800;) {
            byte[] input = new byte[1 + random.nextInt(24)];
            for (int i = 0; i < input.length; i++) {
                input[i] = ALPHABET[random.nextInt(ALPHABET.length)];
            }
            StringBuilder line = new StringBuilder(hex(input));
            try {
                Properties properties = new Properties();
                properties.load(new ByteArrayInputStream(input));
                for (String key : new TreeSet<>(properties.stringPropertyNames())) {
                    line.append(' ').append(hex(utf8(key)));
                    line.append('=').append(hex(utf8(properties.getProperty(key))));
                }
            } catch (IllegalArgumentException e) {
                if (random.nextInt(4) != 0) {
                    continue; // enough of these
                }
                line.append(" malformed");
            }
            System.out.println(line);
            kept++;
        }
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }
}
