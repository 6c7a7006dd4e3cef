//! Names what speaks to the client port and is no ZooKeeper client, so that the log says more than
//! "unreasonable length".

/// Who sends these first bytes, if it can be told.
pub fn name(first: &[u8]) -> Option<&'static str> {
    Some(match first {
        [b'G', b'E', b'T', b' ', ..]
        | [b'P', b'O', b'S', b'T', ..]
        | [b'P', b'U', b'T', b' ', ..]
        | [b'H', b'E', b'A', b'D', ..]
        | [b'O', b'P', b'T', b'I', ..]
        | [b'D', b'E', b'L', b'E', ..]
        | [b'P', b'A', b'T', b'C', ..]
        | [b'C', b'O', b'N', b'N', ..] => {
            "an HTTP client (is it looking for the admin port, 8080, or the metrics port, 7000?)"
        }
        [b'P', b'R', b'I', b' ', ..] => "an HTTP/2 or gRPC client (is it looking for etcd?)",
        [0x16, 0x03, ..] => "a TLS client (this port speaks plain text; see secureClientPort)",
        [b'S', b'S', b'H', b'-', ..] => "an SSH client",
        [b'*' | b'$', b'0'..=b'9', ..] => "a Redis client",
        [b'P', b'R', b'O', b'X', ..] => "a proxy that sends the PROXY protocol; switch it off",
        [0x0D, 0x0A, 0x0D, 0x0A, ..] => "a proxy that sends the PROXY protocol; switch it off",
        _ => return None,
    })
}

/// Who sends this first frame, which is no handshake. A Kafka request has an API key, a version, a
/// correlation id and a client id behind its length.
pub fn name_frame(frame: &[u8]) -> Option<&'static str> {
    match frame {
        [0, key, 0, version, _, _, _, _, ..] if *key <= 100 && *version <= 30 && *key > 0 => {
            Some("a Kafka client (is it looking for a broker?)")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_strangers_are_named() {
        assert!(name(b"GET / HTTP/1.1").unwrap().contains("HTTP"));
        assert!(name(&[0x16, 0x03, 0x01, 0x02]).unwrap().contains("TLS"));
        assert!(name(&[0, 0, 0, 45]).is_none());
        let api_versions = [0, 18, 0, 3, 0, 0, 0, 1, 0, 7];
        assert!(name_frame(&api_versions).unwrap().contains("Kafka"));
        assert!(name_frame(&[0; 44]).is_none());
    }
}
