//! A number that two equal trees share (`DigestCalculator` in Java): the sum over all nodes of a
//! checksum of path, data and stored stat. ACLs are not covered.

use crc32fast::Hasher;
use zooid_proto::records::StatPersisted;

/// Version of the calculation, in transactions and snapshots.
pub const DIGEST_VERSION: i32 = 2;

/// Up to this many bytes of a node are put together first: the checksum is far quicker over one
/// piece than over five, of which none is long.
const JOINED: usize = 512;

/// Most nodes have no more: clearing the room for more costs as much as the checksum.
const MOSTLY: usize = 256;

/// What a node adds to the digest of its tree. The root is `/` or empty.
pub fn node_digest(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> u64 {
    let path = if path == "/" { "" } else { path };
    if path.starts_with("/zookeeper/") {
        return 0;
    }
    checksum([path.as_bytes(), b"", b""], data, stat)
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
    checksum([dir.as_bytes(), b"/", name], data, stat)
}

fn checksum(path: [&[u8]; 3], data: Option<&[u8]>, stat: &StatPersisted) -> u64 {
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
    let [dir, slash, name] = path;
    let pieces = [dir, slash, name, data.unwrap_or_default(), &fixed];
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    u64::from(if length <= MOSTLY {
        joined::<MOSTLY>(pieces)
    } else if length <= JOINED {
        joined::<JOINED>(pieces)
    } else {
        let mut crc = Hasher::new();
        pieces.iter().for_each(|piece| crc.update(piece));
        crc.finalize()
    })
}

fn joined<const ROOM: usize>(pieces: [&[u8]; 5]) -> u32 {
    let mut joined = [0; ROOM];
    let mut at = 0;
    for piece in pieces {
        joined[at..at + piece.len()].copy_from_slice(piece);
        at += piece.len();
    }
    crc32fast::hash(&joined[..at])
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

    #[test]
    fn data_of_any_length_are_one_checksum() {
        let stat = StatPersisted {
            czxid: 7,
            ..StatPersisted::default()
        };
        let edges = [MOSTLY - 64, MOSTLY - 63, JOINED - 64, JOINED - 63, JOINED];
        for length in [0, 1, 100, 5000].into_iter().chain(edges) {
            let data = vec![b'd'; length];
            let mut bytes = [b"/a/b", &*data].concat();
            bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 7]);
            bytes.extend_from_slice(&[0; 52]);
            let whole = u64::from(crc32fast::hash(&bytes));
            assert_eq!(node_digest("/a/b", Some(&data), &stat), whole, "{length}");
            assert_eq!(child_digest("/a", b"b", Some(&data), &stat), whole);
        }
    }
}
