//! Every fixture: read as expected.json says, started or refused as Java does, and written again
//! byte for byte.

use crate::model::{Model, fixtures, fixtures_dir, load, number, start};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use zooid_proto::txn::TxnHeader;
use zooid_proto::{Jute, Reader};
use zooid_store::files::Files;
use zooid_store::log::{LogBatch, LogOptions, LogWriter, MAX_PAYLOAD};
use zooid_store::log_reader::{EndReason, LogReader};
use zooid_store::mem::MemFiles;
use zooid_store::snapshot::{
    Compression, SnapshotMeta, SnapshotNode, SnapshotSink, SnapshotWriter, read_file,
};

/// Files of all fixtures that expected.json describes.
fn described(prefix: &str) -> Vec<(String, MemFiles, String, Value)> {
    let mut found = Vec::new();
    for (fixture, expected) in fixtures() {
        let (files, _) = load(&fixture);
        for (path, expected) in expected["files"].as_object().unwrap() {
            if path.contains(prefix) {
                let path = format!("/{path}");
                found.push((fixture.clone(), files.clone(), path, expected.clone()));
            }
        }
    }
    assert!(found.len() > 20, "{} files with {prefix}", found.len());
    found
}

#[test]
fn logs_hold_the_expected_entries() {
    for (fixture, files, path, expected) in described("/log.") {
        let name = format!("{fixture}{path}");
        let bytes = files.get(&path).unwrap();
        assert_eq!(bytes.len() as i64, number(&expected["size"]), "{name}");
        if expected["size"] == 0 {
            assert!(LogReader::open(&files, Path::new(&path), MAX_PAYLOAD).is_err());
            continue;
        }
        let mut reader = LogReader::open(&files, Path::new(&path), MAX_PAYLOAD).unwrap();
        if let Some(error) = expected["error"].as_str() {
            let refused = loop {
                match reader.advance() {
                    Ok(true) => {}
                    Ok(false) => panic!("{name} has an end"),
                    Err(refused) => break refused.to_string(),
                }
            };
            let offset = error.trim_start_matches("CRC @");
            assert!(
                refused.contains(&format!("at offset {offset} ")),
                "{name}: {refused}"
            );
            continue;
        }
        let mut zxids = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            if let Some(rows) = expected["list"].as_array() {
                let row = &rows[zxids.len()];
                let header = TxnHeader::read(&mut Reader::new(entry.payload)).unwrap();
                let adler = u32::from_str_radix(row[2].as_str().unwrap(), 16).unwrap();
                assert_eq!(entry.offset as i64, number(&row[0]), "{name}");
                assert_eq!(entry.payload.len() as i64, number(&row[1]), "{name}");
                assert_eq!(entry.checksum, adler, "{name}");
                assert_eq!(
                    (entry.zxid, header.zxid),
                    (number(&row[3]), number(&row[3]))
                );
                assert_eq!(header.client_id, number(&row[5]), "{name}");
                assert_eq!(i64::from(header.cxid), number(&row[6]), "{name}");
                assert_eq!(header.time_ms, number(&row[7]), "{name}");
                if let Some(digest) = row[8].as_i64() {
                    assert!(entry.payload.ends_with(&digest.to_be_bytes()), "{name}");
                }
            }
            zxids.push(entry.zxid);
        }
        assert_eq!(zxids.len() as i64, number(&expected["entries"]), "{name}");
        assert_eq!(
            zxids.first(),
            Some(&number(&expected["firstZxid"])),
            "{name}"
        );
        assert_eq!(zxids.last(), Some(&number(&expected["lastZxid"])), "{name}");
        let end = reader.end().unwrap();
        assert_eq!(end.offset as i64, number(&expected["endOffset"]), "{name}");
        let reason = match end.reason {
            EndReason::Eof => "eof",
            EndReason::ZeroLength => "zero length",
            EndReason::NoEndByte => "no EOR",
        };
        assert_eq!(expected["endReason"], reason, "{name}");
    }
}

#[test]
fn snapshots_hold_the_expected_sections() {
    for (fixture, files, path, expected) in described("/snapshot.") {
        let name = format!("{fixture}{path}");
        let mut model = Model::default();
        let read = read_file(&files, Path::new(&path), &mut model);
        assert_eq!(
            files.get(&path).unwrap().len() as i64,
            number(&expected["size"]),
            "{name}"
        );
        if !expected["error"].is_null() {
            assert!(read.is_err(), "{name}");
            continue;
        }
        let meta = read.unwrap();
        assert_eq!(
            meta.content_len as i64,
            number(&expected["plainSize"]),
            "{name}"
        );
        assert_eq!(meta.nodes as i64, number(&expected["nodes"]), "{name}");
        assert_eq!(
            (model.paths.len() as u64, meta.trailing),
            (meta.nodes, 0),
            "{name}"
        );
        assert_eq!(meta.sessions as usize, model.sessions.len(), "{name}");
        assert_eq!(
            model
                .sessions
                .iter()
                .map(|(id, t)| (*id, i64::from(*t)))
                .collect::<Vec<_>>(),
            sorted(expected["sessions"].as_object().unwrap()),
            "{name}"
        );
        if let Some(ids) = expected["aclIds"].as_array() {
            assert_eq!(model.acls, ids.iter().map(number).collect(), "{name}");
        }
        let digest = &expected["digest"];
        match meta.digest {
            None => assert!(digest.is_null(), "{name}"),
            Some(found) => {
                assert_eq!(found.zxid, number(&digest["zxid"]), "{name}");
                assert_eq!(
                    i64::from(found.version),
                    number(&digest["version"]),
                    "{name}"
                );
                assert_eq!(found.value, number(&digest["value"]), "{name}");
            }
        }
        let last = &expected["lastZxid"];
        assert_eq!(
            meta.last_zxid,
            (!last.is_null()).then(|| number(last)),
            "{name}"
        );
        let seals = expected["seals"].as_array().unwrap();
        let found: Vec<_> = meta
            .seals
            .iter()
            .map(|seal| (seal.offset as i64, format!("{:08x}", seal.adler)))
            .collect();
        let wanted: Vec<_> = seals
            .iter()
            .map(|seal| (number(&seal[1]), seal[2].as_str().unwrap().to_string()))
            .collect();
        assert_eq!(found, wanted, "{name}");
    }
}

fn sorted(sessions: &serde_json::Map<String, Value>) -> Vec<(i64, i64)> {
    let mut sorted: Vec<_> = sessions
        .iter()
        .map(|(id, t)| (number(&id.as_str().into()), number(t)))
        .collect();
    sorted.sort();
    sorted
}

/// Java refuses two fixtures that the files themselves do not forbid to read.
const READABLE_HERE: [&str; 2] = ["digest-off-lastzxid-on", "fuzzy-snapshot-acl-fatal"];

#[test]
fn each_directory_starts_or_is_refused_as_java_does() {
    for (fixture, expected) in fixtures() {
        let (files, dirs) = load(&fixture);
        let before = files.contents();
        let starts = expected["javaStarts"].as_bool().unwrap();
        let result = start(&files, &dirs);
        if !starts && !READABLE_HERE.contains(&fixture.as_str()) {
            let refused = result.expect_err(&fixture).to_string();
            assert!(
                refused.contains("/data/version-2/log."),
                "{fixture}: {refused}"
            );
            let place = match expected["damagedOffset"].as_i64() {
                Some(offset) => format!("at offset {offset} "),
                None => "behind 0x1c are missing".to_string(),
            };
            assert!(refused.contains(&place), "{fixture}: {refused}");
            let last_good = expected["lastZxidBeforeDamage"].as_str().unwrap();
            assert!(
                refused.contains(&format!("zxid {last_good};")),
                "{fixture}: {refused}"
            );
            let mut after = files.contents();
            after.remove(Path::new("/data/zooid.lock"));
            assert_eq!(after, before, "{fixture} was changed");
            continue;
        }
        let (model, recovered) = result.unwrap_or_else(|error| panic!("{fixture}: {error}"));
        assert_eq!(
            recovered.last_zxid,
            number(&expected["lastZxid"]),
            "{fixture}"
        );
        assert_eq!(
            model.zxids.last().copied(),
            recovered.log.range.map(|(_, last)| last)
        );
        let attempts = if fixture == "bad-newest-snapshots" {
            2
        } else {
            1
        };
        assert_eq!(model.attempts, attempts, "{fixture}");
        // A second start finds the same.
        let (again, second) = start(&files, &dirs).unwrap();
        assert_eq!(
            (again.zxids, again.paths),
            (model.zxids, model.paths),
            "{fixture}"
        );
        assert_eq!(
            (second.torn_tail, second.empty_log),
            (None, None),
            "{fixture}"
        );
    }
}

#[test]
fn repairs_are_made_and_told() {
    for (fixture, torn_at) in [
        ("torn-tail-truncated", Some(6527)),
        ("torn-tail-padded", Some(6527)),
        ("standalone-all", None),
    ] {
        let (files, dirs) = load(fixture);
        let (_, recovered) = start(&files, &dirs).unwrap();
        assert_eq!(
            recovered.torn_tail.as_ref().map(|torn| torn.offset),
            torn_at,
            "{fixture}"
        );
        if let Some(offset) = torn_at {
            assert_eq!(
                files.get("/data/version-2/log.1").unwrap().len() as u64,
                offset
            );
            let told = recovered.warnings[0].to_string();
            assert!(told.contains("offset 6527 behind zxid 0x37"), "{told}");
        }
    }
    let (files, dirs) = load("empty-tail-log");
    let (_, recovered) = start(&files, &dirs).unwrap();
    assert!(recovered.empty_log.is_some());
    assert_eq!(files.get("/data/version-2/log.39"), None);
    assert!(files.get("/data/version-2/log.1").is_some());
}

#[test]
fn logs_are_written_again_byte_for_byte() {
    let mut identical = 0;
    for (fixture, files, path, expected) in described("/log.") {
        if expected["entries"].is_null() {
            continue;
        }
        let name = format!("{fixture}{path}");
        let original = files.get(&path).unwrap();
        let copy = MemFiles::default();
        copy.create_dirs(Path::new("/copy")).unwrap();
        let options = LogOptions {
            pre_alloc: pre_alloc(&fixture),
            ..LogOptions::default()
        };
        let mut log = LogWriter::new(Arc::new(copy.clone()), "/copy", options, None);
        let mut reader = LogReader::open(&files, Path::new(&path), MAX_PAYLOAD).unwrap();
        let mut batch = LogBatch::default();
        while let Some(entry) = reader.next_entry().unwrap() {
            batch.clear();
            batch.push(entry.payload).unwrap();
            log.write(&batch).unwrap();
            log.sync().unwrap();
        }
        let copied = copy.get(log.current_file().unwrap()).unwrap();
        let end = number(&expected["endOffset"]) as usize;
        assert!(copied[..end] == original[..end], "{name}: entries differ");
        assert!(
            copied[end..] == vec![0; copied.len() - end],
            "{name}: padding is not zero"
        );
        let name_of = |path: &Path| path.file_name().unwrap().to_owned();
        assert_eq!(
            name_of(log.current_file().unwrap()),
            name_of(Path::new(&path))
        );
        identical += usize::from(copied == original);
    }
    // The others were cut or damaged by hand, or a batch overran their padding.
    assert!(
        identical >= 24,
        "only {identical} files are identical with their padding"
    );
}

/// preAllocSize of a fixture, in bytes.
fn pre_alloc(fixture: &str) -> u64 {
    let config = std::fs::read_to_string(fixtures_dir().join(fixture).join("zoo.cfg")).unwrap();
    let line = config
        .lines()
        .find_map(|line| line.strip_prefix("preAllocSize="));
    line.map_or(64 << 20, |kib| kib.trim().parse::<u64>().unwrap() << 10)
}

/// Everything in a snapshot, in its order.
#[derive(Default)]
struct Copy {
    sessions: Vec<(i64, i32)>,
    acls: Vec<(i64, Vec<zooid_proto::records::Acl<'static>>)>,
    nodes: Vec<(
        String,
        Option<Vec<u8>>,
        i64,
        zooid_proto::records::StatPersisted,
    )>,
}

impl SnapshotSink for Copy {
    fn session(&mut self, id: i64, timeout_ms: i32) -> Result<(), String> {
        self.sessions.push((id, timeout_ms));
        Ok(())
    }
    fn acl(&mut self, id: i64, acl: &[zooid_proto::records::Acl<'_>]) -> Result<(), String> {
        self.acls
            .push((id, acl.iter().map(|acl| acl.clone().into_owned()).collect()));
        Ok(())
    }
    fn node(&mut self, node: &SnapshotNode<'_>) -> Result<(), String> {
        let data = node.data.map(<[u8]>::to_vec);
        self.nodes
            .push((node.path.clone().into_owned(), data, node.acl_id, node.stat));
        Ok(())
    }
}

impl Copy {
    fn write(&self, files: &MemFiles, zxid: i64, how: Compression, meta: &SnapshotMeta) -> String {
        let dir = Path::new("/copy");
        files.create_dirs(dir).unwrap();
        let sessions = self.sessions.iter().copied();
        let acls = self.acls.iter().map(|(id, acl)| (*id, &acl[..]));
        let files = Arc::new(files.clone());
        let mut writer = SnapshotWriter::create(files, dir, zxid, how, sessions, acls).unwrap();
        for (path, data, acl_id, stat) in &self.nodes {
            let (path, data) = (path.into(), data.as_deref());
            writer
                .node(&SnapshotNode {
                    path,
                    data,
                    acl_id: *acl_id,
                    stat: *stat,
                })
                .unwrap();
        }
        let written = writer.finish(meta.digest, meta.last_zxid).unwrap();
        written.path.to_str().unwrap().to_string()
    }
}

#[test]
fn snapshots_are_written_again_byte_for_byte_and_survive_each_compression() {
    for (fixture, files, path, expected) in described("/snapshot.") {
        if !expected["error"].is_null() {
            continue;
        }
        let name = format!("{fixture}{path}");
        let mut copy = Copy::default();
        let meta = read_file(&files, Path::new(&path), &mut copy).unwrap();
        for how in [Compression::Plain, Compression::Gz, Compression::Snappy] {
            let target = MemFiles::default();
            let written = copy.write(&target, 0x38, how, &meta);
            assert_eq!(
                target.contents().len(),
                1,
                "{name}: something was left over"
            );
            if how == Compression::Plain && Compression::of_name(&path) == how {
                assert!(target.get(&written) == files.get(&path), "{name} differs");
            }
            let mut again = Copy::default();
            let read = read_file(&target, Path::new(&written), &mut again).unwrap();
            assert_eq!(read, meta, "{name} as {how:?}");
            assert!(
                again.nodes == copy.nodes && again.acls == copy.acls,
                "{name} as {how:?}"
            );
            assert_eq!(again.sessions, copy.sessions);
            let head = &target.get(&written).unwrap()[..10];
            match how {
                Compression::Plain => assert_eq!(head[..4], *b"ZKSN"),
                Compression::Gz => assert_eq!(head, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]),
                Compression::Snappy => assert_eq!(head[..8], *b"\x82SNAPPY\0"),
            }
        }
    }
}
