//! Snapshots of every shape: sections, compression, damage, lies.

use crate::model::{Model, load};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use zooid_proto::records::{Acl, StatPersisted};
use zooid_store::layout::NamedFile;
use zooid_store::mem::MemFiles;
use zooid_store::snapshot::{
    CheckOnly, Compression, SnapshotDigest, SnapshotEncoder, SnapshotMeta, SnapshotNode,
    SnapshotSink, passes_precheck, read_content, read_file, snapshot_name,
};

const SNAPSHOT: &str = "/data/version-2/snapshot.38";

fn read(bytes: &[u8]) -> Result<(Model, SnapshotMeta), String> {
    let mut model = Model::default();
    let meta = read_content(bytes, &mut model).map_err(|error| error.to_string())?;
    Ok((model, meta))
}

fn tree_only() -> Vec<u8> {
    let encoder = SnapshotEncoder::new(Vec::new(), [(7, 4000)].into_iter(), [].into_iter());
    let mut encoder = encoder.unwrap();
    for path in ["", "/a", "/a/b"] {
        let stat = StatPersisted {
            czxid: 5,
            mzxid: 9,
            ..StatPersisted::default()
        };
        let node = SnapshotNode {
            path: path.into(),
            data: None,
            acl_id: -1,
            stat,
        };
        encoder.node(&node).unwrap();
    }
    encoder.finish(None, None).unwrap()
}

/// Adds a section and its seal, computed independently of the encoder.
fn with_section(mut bytes: Vec<u8>, section: &[u8]) -> Vec<u8> {
    bytes.extend_from_slice(section);
    let (mut a, mut b) = (1u32, 0u32);
    for byte in &bytes {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    bytes.extend_from_slice(&u64::from(b << 16 | a).to_be_bytes());
    bytes.extend_from_slice(b"\0\0\0\x01/");
    bytes
}

fn digest_section(version: i32, value: i64) -> Vec<u8> {
    [
        &9i64.to_be_bytes()[..],
        &version.to_be_bytes(),
        &value.to_be_bytes(),
    ]
    .concat()
}

#[test]
fn section_6_2_the_bytes_that_follow_tell_which_sections_there_are() {
    let none = tree_only();
    let digest = with_section(none.clone(), &digest_section(2, -3));
    let last = with_section(none.clone(), &11i64.to_be_bytes());
    let both = with_section(digest.clone(), &11i64.to_be_bytes());
    let found = Some(SnapshotDigest {
        zxid: 9,
        version: 2,
        value: -3,
    });
    for (bytes, tail, digest, last_zxid, window) in [
        (&none, 0, None, None, 9),
        (&digest, 33, found, None, 9),
        (&last, 21, None, Some(11), 11),
        (&both, 54, found, Some(11), 11),
    ] {
        assert_eq!(bytes.len() - none.len(), tail);
        let (model, meta) = read(bytes).unwrap();
        assert_eq!((meta.digest, meta.last_zxid), (digest, last_zxid));
        assert_eq!(
            (meta.nodes, meta.sessions, model.sessions[&7]),
            (3, 1, 4000)
        );
        assert_eq!(
            (meta.end_of_window(5), meta.end_of_window(20)),
            (window, 20)
        );
        assert_eq!(meta.content_len, bytes.len() as u64);
    }
    let behind = [&both[..], b"left over"].concat();
    assert_eq!(read(&behind).unwrap().1.trailing, 9);
}

#[test]
fn digests_before_version_2_are_text() {
    for text in ["0", "7f", "cafebabe", "ffffffffffffffff"] {
        let mut section = [&9i64.to_be_bytes()[..], &1i32.to_be_bytes()].concat();
        section.extend_from_slice(&(text.len() as i32).to_be_bytes());
        section.extend_from_slice(text.as_bytes());
        let value = u64::from_str_radix(text, 16).unwrap() as i64;
        let digest = with_section(tree_only(), &section);
        let both = with_section(digest.clone(), &11i64.to_be_bytes());
        for (bytes, last_zxid) in [(digest, None), (both, Some(11))] {
            let (_, meta) = read(&bytes).unwrap();
            assert_eq!(
                meta.digest,
                Some(SnapshotDigest {
                    zxid: 9,
                    version: 1,
                    value
                })
            );
            assert_eq!(meta.last_zxid, last_zxid, "{text}");
        }
    }
}

#[test]
fn section_6_4_the_precheck() {
    for (name, bytes, passes) in [
        ("snapshot.1", &b"ZKSNxxxxx\0\0\0\x01/"[..], true),
        ("snapshot.1", b"ZKSNx\0\0\0\x01/", true),
        ("snapshot.1", b"KSNx\0\0\0\x01/", false),
        ("snapshot.1", b"ZKSNxxxxx\0\0\0\x01x", false),
        ("snapshot.1", b"", false),
        ("snapshot.1.tmp", b"ZKSNxxxxx\0\0\0\x01/", true),
        ("snapshot.1.gz", b"\x1f\x8b", true),
        ("snapshot.1.GZ", b"\x1f\x8b", true),
        ("snapshot.1.gz", b"\x1f", false),
        ("snapshot.1.gz", b"ZKSNxxxxx\0\0\0\x01/", false),
        ("snapshot.1.snappy", b"\x82SNAPPY\0", true),
        ("snapshot.1.snappy", b"\x82SNAPPY", false),
    ] {
        let files = MemFiles::default();
        let path = PathBuf::from("/v").join(name);
        files.put(&path, bytes);
        let file = NamedFile {
            path,
            zxid: 1,
            len: bytes.len() as u64,
        };
        assert_eq!(
            passes_precheck(&files, &file).unwrap(),
            passes,
            "{name} {bytes:?}"
        );
    }
    assert_eq!(
        snapshot_name(0x1_0000_002a, Compression::Snappy),
        "snapshot.10000002a.snappy"
    );
    assert_eq!(Compression::from_method("GZ"), Compression::Plain);
}

#[test]
fn nothing_shorter_is_taken_for_the_whole() {
    let (files, _) = load("standalone-snapshot");
    let whole = files.get(SNAPSHOT).unwrap();
    let (model, meta) = read(&whole).unwrap();
    // Behind each seal the content is a whole snapshot of an older layout.
    let ends: Vec<u64> = meta.seals.iter().map(|seal| seal.offset + 13).collect();
    for len in 0..whole.len() {
        match read(&whole[..len]) {
            Ok((cut, _)) => {
                assert!(ends.contains(&(len as u64)), "{len} bytes were taken");
                assert_eq!(cut, model);
            }
            Err(_) => assert!(!ends.contains(&(len as u64)), "{len} bytes were refused"),
        }
    }
}

#[test]
fn a_flipped_bit_is_never_taken() {
    let (files, _) = load("standalone-snapshot");
    let whole = files.get(SNAPSHOT).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(read(&bytes).is_err(), "byte {at} bit {}", at % 8);
    }
}

#[test]
fn compressed_damage_is_refused_or_harmless() {
    for fixture in [
        "standalone-gz/data/version-2/snapshot.38.gz",
        "standalone-snappy/data/version-2/snapshot.38.snappy",
    ] {
        let (fixture, path) = fixture.split_once('/').unwrap();
        let (files, _) = load(fixture);
        let path = Path::new("/").join(path);
        let whole = files.get(&path).unwrap();
        let mut good = Model::default();
        let meta = read_file(&files, &path, &mut good).unwrap();
        let check = |bytes: Vec<u8>, what: String| {
            let files = MemFiles::default();
            files.put(&path, bytes);
            let mut model = Model::default();
            if let Ok(found) = read_file(&files, &path, &mut model) {
                assert!(found == meta && model == good, "{fixture} {what}");
                return true;
            }
            false
        };
        for len in 0..whole.len() {
            assert!(
                !check(whole[..len].to_vec(), format!("cut at {len}")),
                "{fixture} {len}"
            );
        }
        let mut harmless = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            harmless += usize::from(check(bytes, format!("byte {at}")));
        }
        // Times and flags of gzip, the version of snappy-java, another way to the same copy.
        assert!(harmless < whole.len() / 20, "{fixture}: {harmless}");
    }
}

#[test]
fn a_child_without_its_parent_is_refused() {
    let mut encoder = SnapshotEncoder::new(Vec::new(), [].into_iter(), [].into_iter()).unwrap();
    for path in ["", "/a/b"] {
        let stat = StatPersisted::default();
        encoder
            .node(&SnapshotNode {
                path: path.into(),
                data: None,
                acl_id: -1,
                stat,
            })
            .unwrap();
    }
    let bytes = encoder.finish(None, None).unwrap();
    assert!(
        read(&bytes)
            .unwrap_err()
            .contains("/a/b comes before its parent")
    );
}

#[test]
fn declared_lengths_reserve_nothing() {
    let head = [&b"ZKSN"[..], &[0; 12]].concat();
    let huge = i32::MAX.to_be_bytes();
    let id = 1i64.to_be_bytes();
    for content in [
        [&head[..], &huge].concat(),
        [&head[..], &[0; 4], &huge].concat(),
        [&head[..], &[0; 4], &1i32.to_be_bytes(), &id, &huge].concat(),
        [&head[..], &[0; 8], &huge].concat(),
        [&head[..], &[0; 12], &huge].concat(),
    ] {
        assert!(read(&content).is_err());
    }
}

/// Keeps the scheme ids of the ACL table.
#[derive(Default)]
struct Ids(Vec<String>);

impl SnapshotSink for Ids {
    fn session(&mut self, _id: i64, _timeout_ms: i32) -> Result<(), String> {
        Ok(())
    }
    fn acl(&mut self, _id: i64, acl: &[Acl<'_>]) -> Result<(), String> {
        self.0
            .extend(acl.iter().map(|acl| acl.id.name().to_string()));
        Ok(())
    }
    fn node(&mut self, _node: &SnapshotNode<'_>) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn ids_that_java_wrote_as_surrogates_are_read() {
    // Java's own reader loses them.
    let java = b"\xed\xa0\xbd\xed\xba\x80";
    let mut bytes = [
        &b"ZKSN"[..],
        &[0; 12],
        &[0; 4],
        &1i32.to_be_bytes(),
        &1i64.to_be_bytes(),
    ]
    .concat();
    bytes.extend_from_slice(&1i32.to_be_bytes());
    bytes.extend_from_slice(&31i32.to_be_bytes());
    bytes.extend_from_slice(&6i32.to_be_bytes());
    bytes.extend_from_slice(b"digest");
    bytes.extend_from_slice(&(java.len() as i32).to_be_bytes());
    bytes.extend_from_slice(java);
    bytes.extend_from_slice(b"\0\0\0\x01/");
    let bytes = with_section(bytes, b"");
    let mut ids = Ids::default();
    read_content(&bytes[..], &mut ids).unwrap();
    assert_eq!(ids.0, ["🚀"]);
    let acl = [Acl::new(31, "digest", "🚀")];
    let acls = [(1, &acl[..])].into_iter();
    let encoder = SnapshotEncoder::new(Vec::new(), [].into_iter(), acls).unwrap();
    let written = encoder.finish(None, None).unwrap();
    assert!(written.windows(4).any(|bytes| bytes == "🚀".as_bytes()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        magic in any::<bool>(),
        bytes in proptest::collection::vec(prop_oneof![4 => Just(0u8), 1 => any::<u8>()], 0..600),
        name in prop_oneof![Just("snapshot.1"), Just("snapshot.1.gz"), Just("snapshot.1.snappy")],
    ) {
        let files = MemFiles::default();
        let head: &[u8] = match (magic, name) {
            (false, _) => b"",
            (true, "snapshot.1") => b"ZKSN",
            (true, "snapshot.1.gz") => b"\x1f\x8b\x08\0\0\0\0\0\0\0",
            (true, _) => b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01",
        };
        files.put(Path::new("/v").join(name), [head, &bytes].concat());
        prop_assert!(read_file(&files, &Path::new("/v").join(name), &mut CheckOnly).is_err());
    }
}
