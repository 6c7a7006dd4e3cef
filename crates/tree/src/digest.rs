//! A number that two equal trees share (`DigestCalculator` in Java): the sum over all nodes of a
//! checksum of path, data and stored stat. ACLs are not covered.

use crc32fast::Hasher;
use zooid_proto::records::StatPersisted;

/// Version of the calculation, in transactions and snapshots.
pub const DIGEST_VERSION: i32 = 2;

/// What a node adds to the digest of its tree. The root is `/` or empty.
pub fn node_digest(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> u64 {
    let path = if path == "/" { "" } else { path };
    if path.starts_with("/zookeeper/") {
        return 0;
    }
    let mut crc = Hasher::new();
    crc.update(path.as_bytes());
    finish(crc, data, stat)
}

/// The same, for a node that knows the path of its directory and its own name.
pub(crate) fn child_digest(
    dir: &str,
    name: &[u8],
    data: Option<&[u8]>,
    stat: &StatPersisted,
) -> u64 {
    if dir == "/zookeeper" || dir.starts_with("/zookeeper/") {
        return 0;
    }
    let mut crc = Hasher::new();
    crc.update(dir.as_bytes());
    crc.update(b"/");
    crc.update(name);
    finish(crc, data, stat)
}

fn finish(mut crc: Hasher, data: Option<&[u8]>, stat: &StatPersisted) -> u64 {
    crc.update(data.unwrap_or_default());
    let mut fixed = [0; 60];
    let longs = [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime];
    for (to, long) in fixed.chunks_exact_mut(8).zip(longs) {
        to.copy_from_slice(&long.to_be_bytes());
    }
    let ints = [stat.version, stat.cversion, stat.aversion];
    for (to, int) in fixed[40..52].chunks_exact_mut(4).zip(ints) {
        to.copy_from_slice(&int.to_be_bytes());
    }
    fixed[52..].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    crc.update(&fixed);
    u64::from(crc.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values_of_java() {
        let fresh = StatPersisted::default();
        let root = node_digest("/", Some(b""), &fresh);
        assert_eq!(root, node_digest("", Some(b""), &fresh));
        assert_eq!(root, node_digest("", None, &fresh));
        assert_eq!(
            root + node_digest("/zookeeper", Some(b""), &fresh),
            0x51C6_D660
        );
        assert_eq!(node_digest("/zookeeper/config", Some(b""), &fresh), 0);
        assert_ne!(node_digest("/zookeepers", Some(b""), &fresh), 0);
        let t4 = StatPersisted {
            czxid: 2,
            mzxid: 2,
            pzxid: 2,
            ctime: 1_795_236_150_324,
            mtime: 1_795_236_150_324,
            ..fresh
        };
        let root_then = StatPersisted {
            cversion: 1,
            pzxid: 2,
            ..fresh
        };
        let sum = node_digest("/", Some(b""), &root_then)
            + node_digest("/zookeeper", Some(b""), &fresh)
            + node_digest("/t4", Some(b""), &t4);
        assert_eq!(sum, 0x7681_C339);
        assert_eq!(
            node_digest("/a/b", Some(b"x"), &t4),
            child_digest("/a", b"b", Some(b"x"), &t4)
        );
    }
}
