//! Test vectors of the formats, as bytes in the source.

use std::path::Path;
use std::sync::Arc;
use zooid_proto::records::{Acl, StatPersisted};
use zooid_store::files::Files;
use zooid_store::log::{LogBatch, LogOptions, LogWriter};
use zooid_store::mem::MemFiles;
use zooid_store::snapshot::{Compression, SnapshotNode, SnapshotWriter};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// createSession, zxid 1.
const CREATE_SESSION: &str = "
    00000000d7430bfd 00000030
    0100003c76250000 00000000 0000000000000001 000001a1fc8dfb44 fffffff6
    000493e0 00000002 0000000051c6d660 42";

/// create /app, zxid 3.
const CREATE: &str = "
    00000000e49f109a 00000061
    0100003c76250000 00000001 0000000000000003 000001a1fc8dfb9f 00000001
    00000004 2f617070 00000009 726f6f742d64617461
    00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00 00000001
    00000002 000000013c0fe4df 42";

/// A create that failed, zxid 0x24.
const ERROR: &str = "
    000000006e8f0c82 00000024
    0100003c76250000 00000022 0000000000000024 000001a1fc8dfcb1 ffffffff
    ffffff92 42";

/// closeSession of a session with two ephemerals, zxid 0x2c.
const CLOSE_SESSION: &str = "
    000000009f8b1283 0000004e
    0100003c76250001 00000004 000000000000002c 000001a1fc8dfcda fffffff5
    00000002 0000000b 2f6170702f6570682d6232 0000000b 2f6170702f6570682d6231
    00000002 0000000f5dbe8c7d 42";

/// snapshot.0 of a new server, 478 bytes.
const SNAPSHOT_0: &str = "
    5a4b534e 00000002 ffffffffffffffff 00000000 00000001
    0000000000000001 00000001 00000001 00000005 776f726c64 00000006 616e796f6e65
    00000000 00000000 ffffffffffffffff
    00000000000000000000000000000000 00000000000000000000000000000000
    000000000000000000000000 00000000000000000000000000000000
    0000000a 2f7a6f6f6b6565706572 00000000 ffffffffffffffff
    00000000000000000000000000000000 00000000000000000000000000000000
    000000000000000000000000 00000000000000000000000000000000
    00000011 2f7a6f6f6b65657065722f636f6e666967 00000000 0000000000000001
    00000000000000000000000000000000 00000000000000000000000000000000
    0000000000000000ffffffff 00000000000000000000000000000000
    00000010 2f7a6f6f6b65657065722f71756f7461 00000000 ffffffffffffffff
    00000000000000000000000000000000 00000000000000000000000000000000
    000000000000000000000000 00000000000000000000000000000000
    00000001 2f
    00000000b8a23b49 00000001 2f
    0000000000000000 00000002 0000000000000000 0000000095b93d59 00000001 2f
    0000000000000000 00000000bde83f6d 00000001 2f";

#[test]
fn entries_are_framed_as_java_frames_them() {
    for (text, zxid) in [
        (CREATE_SESSION, 1),
        (CREATE, 3),
        (ERROR, 0x24),
        (CLOSE_SESSION, 0x2c),
    ] {
        let expected = hex(text);
        let mut batch = LogBatch::default();
        batch.push(&expected[12..expected.len() - 1]).unwrap();
        assert_eq!(batch.bytes(), expected, "{zxid:#x}");
        assert_eq!(batch.zxids(), Some((zxid, zxid)));
    }
}

#[test]
fn a_log_starts_with_the_header_of_java() {
    let files = MemFiles::default();
    files.create_dirs(Path::new("/d")).unwrap();
    let options = LogOptions {
        pre_alloc: 16 << 10,
        ..LogOptions::default()
    };
    let mut log = LogWriter::new(Arc::new(files.clone()), "/d", options, None);
    let mut batch = LogBatch::default();
    let entry = hex(CREATE_SESSION);
    batch.push(&entry[12..entry.len() - 1]).unwrap();
    log.write(&batch).unwrap();
    log.sync().unwrap();
    let mut expected = [hex("5a4b4c47 00000002 0000000000000000"), entry].concat();
    expected.resize(16 + (16 << 10), 0);
    assert!(files.get("/d/log.1").unwrap() == expected);
}

#[test]
fn the_snapshot_of_a_new_server_is_that_of_java() {
    let files = MemFiles::default();
    let dir = Path::new("/d");
    files.create_dirs(dir).unwrap();
    let acl = [Acl::new(1, "world", "anyone")];
    let acls = [(1, &acl[..])].into_iter();
    let shared = Arc::new(files.clone());
    let mut writer =
        SnapshotWriter::create(shared, dir, 0, Compression::Plain, [].into_iter(), acls).unwrap();
    for (path, acl_id, aversion) in [
        ("", -1, 0),
        ("/zookeeper", -1, 0),
        ("/zookeeper/config", 1, -1),
        ("/zookeeper/quota", -1, 0),
    ] {
        let stat = StatPersisted {
            aversion,
            ..StatPersisted::default()
        };
        let node = SnapshotNode {
            path: path.into(),
            data: Some(b""),
            acl_id,
            stat,
        };
        writer.node(&node).unwrap();
    }
    let digest = zooid_store::snapshot::SnapshotDigest {
        zxid: 0,
        version: 2,
        value: 0,
    };
    let written = writer.finish(Some(digest), Some(0)).unwrap();
    assert_eq!(
        (written.path.as_path(), written.len),
        (Path::new("/d/snapshot.0"), 478)
    );
    assert_eq!(files.get("/d/snapshot.0").unwrap(), hex(SNAPSHOT_0));
}

#[test]
fn an_epoch_file_is_one_digit_without_a_line_end() {
    let files = MemFiles::default();
    let dir = Path::new("/d");
    files.create_dirs(dir).unwrap();
    zooid_store::epochs::write(&files, dir, zooid_store::epochs::CURRENT, 2).unwrap();
    assert_eq!(files.get("/d/currentEpoch").unwrap(), [0x32]);
}
