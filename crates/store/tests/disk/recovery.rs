//! Which snapshot, which entries: every combination of what can be there.

use crate::model::{Model, edit, load, payload, start, start_with};
use std::path::Path;
use zooid_proto::records::Acl;
use zooid_store::files::Files;
use zooid_store::log::{LogBatch, MAX_PAYLOAD, header};
use zooid_store::mem::MemFiles;
use zooid_store::recover::{
    Base, EntryAt, RecoverOptions, Recovered, Restore, Warning, recover, remove_initialize_marker,
};
use zooid_store::snapshot::{SnapshotMeta, SnapshotNode, SnapshotSink};
use zooid_store::{Damage, DataDirs, StoreError};

const TRUST: RecoverOptions = RecoverOptions {
    trust_empty: true,
    autocreate: true,
    max_payload: MAX_PAYLOAD,
};

fn put_log(files: &MemFiles, path: &str, zxids: impl IntoIterator<Item = i64>) {
    let mut batch = LogBatch::default();
    for zxid in zxids {
        batch.push(&payload(zxid, 8)).unwrap();
    }
    files.put(path, [&header(), batch.bytes(), &[0; 64]].concat());
}

#[test]
fn section_9_what_is_there_decides_what_is_started_from() {
    // snapshot, log, trust.empty, db.autocreate, marker -> base
    for (snapshot, log, trust, autocreate, marker, expected) in [
        (true, true, false, true, false, "snapshot"),
        (true, false, false, false, false, "snapshot"),
        (false, true, false, true, false, "refused"),
        (false, true, false, true, true, "refused"),
        (false, true, true, true, false, "trusted"),
        (false, true, true, false, false, "trusted"),
        (false, false, false, true, false, "new"),
        (false, false, true, true, false, "new"),
        (false, false, false, false, true, "new"),
        (false, false, false, false, false, "uninitialised"),
        (false, false, true, false, false, "uninitialised"),
    ] {
        let case = format!("{snapshot} {log} {trust} {autocreate} {marker}");
        let (files, dirs) = load("standalone-all");
        if !snapshot {
            files
                .remove(Path::new("/data/version-2/snapshot.0"))
                .unwrap();
        }
        if !log {
            files.remove(Path::new("/data/version-2/log.1")).unwrap();
        }
        if marker {
            files.put("/data/initialize", "");
        }
        let options = RecoverOptions {
            trust_empty: trust,
            autocreate,
            ..TRUST
        };
        let last = if log { 0x38 } else { 0 };
        let result = start_with(&files, &dirs, &options);
        let (found, zxid, fresh) = match &result {
            Err(StoreError::SnapshotMissing { last_zxid, .. }) => ("refused", *last_zxid, false),
            Err(error) => panic!("{case}: {error}"),
            Ok((model, recovered)) => {
                let base = match recovered.base {
                    Base::Snapshot { .. } => "snapshot",
                    Base::Trusted => "trusted",
                    Base::New => "new",
                    Base::Uninitialised => "uninitialised",
                };
                assert_eq!(model.zxids.len(), last as usize, "{case}");
                (base, recovered.last_zxid, model.fresh)
            }
        };
        assert_eq!(found, expected, "{case}");
        assert_eq!(
            zxid,
            if expected == "uninitialised" {
                -1
            } else {
                last
            },
            "{case}"
        );
        assert_eq!(fresh, !matches!(expected, "snapshot" | "refused"), "{case}");
        // A new database keeps the marker until its first snapshot is there.
        let left = files.get("/data/initialize").is_some();
        assert_eq!(left, marker, "{case}");
    }
}

#[test]
fn the_initialize_marker_counts_beside_the_log_directory_only() {
    let files = MemFiles::default();
    let dirs = DataDirs::new("/data", Some("/log".into()));
    files.put("/data/initialize", "");
    let options = RecoverOptions {
        autocreate: false,
        ..RecoverOptions::default()
    };
    let (_, recovered) = start_with(&files, &dirs, &options).unwrap();
    assert_eq!(
        (recovered.base, recovered.last_zxid),
        (Base::Uninitialised, -1)
    );
    assert!(files.get("/data/initialize").is_some());
    files.put("/log/initialize", "");
    let (_, recovered) = start_with(&files, &dirs, &options).unwrap();
    assert_eq!(recovered.base, Base::New);
    remove_initialize_marker(&files, &dirs).unwrap();
    remove_initialize_marker(&files, &dirs).unwrap();
    assert!(files.get("/log/initialize").is_none());
    // With a snapshot it is consumed at once.
    let (files, dirs) = load("standalone-all");
    files.put("/data/initialize", "");
    start(&files, &dirs).unwrap();
    assert!(files.get("/data/initialize").is_none());
}

#[test]
fn zookeeper_2325_lost_snapshots_never_become_an_empty_tree() {
    let (files, dirs) = load("standalone-snapshot");
    edit(&files, "/data/version-2/snapshot.38", |bytes| {
        bytes.truncate(2000)
    });
    edit(&files, "/data/version-2/snapshot.0", |bytes| {
        bytes.truncate(200)
    });
    let refused = start(&files, &dirs).unwrap_err();
    assert!(
        matches!(refused, StoreError::SnapshotMissing { .. }),
        "{refused}"
    );
    // Java starts empty here: neither a log nor a snapshot that looks whole.
    for log in ["log.1", "log.39"] {
        files
            .remove(&Path::new("/data/version-2").join(log))
            .unwrap();
    }
    let refused = start(&files, &dirs).unwrap_err().to_string();
    assert!(
        refused.contains("snapshot.38 does not end like a whole snapshot"),
        "{refused}"
    );
    // The very first snapshot of a server may be unfinished: there was nothing before it.
    files
        .remove(Path::new("/data/version-2/snapshot.38"))
        .unwrap();
    assert_eq!(start(&files, &dirs).unwrap().1.base, Base::New);
}

#[test]
fn candidates_of_which_none_loads_stop_the_start_also_with_trust() {
    let (files, dirs) = load("standalone-snapshot");
    for name in ["snapshot.0", "snapshot.38"] {
        edit(&files, &format!("/data/version-2/{name}"), |bytes| {
            bytes[70] ^= 1
        });
    }
    let refused = start_with(&files, &dirs, &TRUST).unwrap_err();
    assert!(matches!(&refused, StoreError::NoValidSnapshot { tried, .. } if tried.len() == 2));
    assert!(
        refused.to_string().contains("snapshot.38: at byte"),
        "{refused}"
    );
}

#[test]
fn a_bad_newest_snapshot_is_told_and_passed_over() {
    let (files, dirs) = load("bad-newest-snapshots");
    let (model, recovered) = start(&files, &dirs).unwrap();
    assert_eq!((model.snapshot, model.attempts), (Some(0x47), 2));
    assert_eq!(model.zxids, (0x48..=0x98).collect::<Vec<_>>());
    let bad = |warning: &&Warning| {
        matches!(
            warning,
            Warning::BadSnapshot { .. } | Warning::UnfinishedSnapshot(_)
        )
    };
    assert_eq!(recovered.warnings.iter().filter(bad).count(), 2);
    assert_eq!(
        (recovered.log.files, recovered.log.skipped),
        (4, 0x48 - 0x2c)
    );
}

#[test]
fn a_copied_log_is_read_again_to_the_same_end() {
    let (files, dirs) = load("standalone-snapshot");
    files.put(
        "/data/version-2/log.1.bak",
        files.get("/data/version-2/log.1").unwrap(),
    );
    let (model, recovered) = start(&files, &dirs).unwrap();
    assert_eq!((model.zxids.len(), recovered.last_zxid), (8, 0x40));
    files
        .remove(Path::new("/data/version-2/snapshot.38"))
        .unwrap();
    let (model, recovered) = start(&files, &dirs).unwrap();
    assert_eq!(
        (model.zxids.len(), recovered.last_zxid),
        (0x38 + 0x40, 0x40)
    );
    let told = recovered
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    assert!(
        told.contains("log.1.bak") && told.contains("55 log entries"),
        "{told}"
    );
}

#[test]
fn names_that_are_no_snapshots_or_logs_are_left_alone() {
    let (files, dirs) = load("standalone-snapshot");
    for name in [
        "log.foo",
        "log.-5",
        "snapshot.zz",
        "snapshot.ffffffffffffffff",
        "notes",
    ] {
        files.put(format!("/data/version-2/{name}"), "nothing to read");
    }
    // A whole snapshot under a temporary name of Java is one.
    let newest = files.get("/data/version-2/snapshot.38").unwrap();
    files
        .remove(Path::new("/data/version-2/snapshot.38"))
        .unwrap();
    files.put("/data/version-2/snapshot.38.tmp", newest);
    let (model, recovered) = start(&files, &dirs).unwrap();
    assert_eq!((model.snapshot, recovered.last_zxid), (Some(0x38), 0x40));
    for name in ["log.foo", "log.-5", "snapshot.zz", "notes"] {
        assert!(
            files.get(format!("/data/version-2/{name}")).is_some(),
            "{name}"
        );
    }
}

#[test]
fn a_hole_between_snapshot_and_log_is_refused() {
    let (files, dirs) = load("standalone-snapshot");
    files
        .remove(Path::new("/data/version-2/snapshot.38"))
        .unwrap();
    files.remove(Path::new("/data/version-2/log.1")).unwrap();
    match start(&files, &dirs) {
        Err(StoreError::CorruptLog(damage)) => {
            assert_eq!(
                damage.what,
                Damage::Hole {
                    previous: 0,
                    torn: None,
                    before: None
                }
            );
            assert_eq!((damage.zxid, damage.offset), (Some(0x39), 16));
        }
        other => panic!("{other:?}"),
    }
    // Trusted logs may start anywhere.
    files
        .remove(Path::new("/data/version-2/snapshot.0"))
        .unwrap();
    let (model, _) = start_with(&files, &dirs, &TRUST).unwrap();
    assert_eq!(model.zxids, (0x39..=0x40).collect::<Vec<_>>());
}

#[test]
fn zookeeper_1621_and_2332_logs_without_a_whole_header() {
    for (bytes, starts) in [
        (vec![], true),
        (header()[..15].to_vec(), false),
        (header()[..1].to_vec(), false),
        (header().to_vec(), true),
        (vec![0; 16], false),
        (vec![0; 400], false),
        (b"ZKLX0000000000000000".to_vec(), false),
    ] {
        let (files, dirs) = load("standalone-snapshot");
        files.put("/data/version-2/log.41", bytes.clone());
        match start(&files, &dirs) {
            Ok((_, recovered)) => assert!(starts && recovered.last_zxid == 0x40, "{bytes:?}"),
            Err(StoreError::CorruptLog(damage)) => {
                assert!(
                    !starts && damage.file.ends_with("log.41"),
                    "{bytes:?}: {damage}"
                );
            }
            Err(error) => panic!("{bytes:?}: {error}"),
        }
        // The same in front of a newer log.
        let (files, dirs) = load("standalone-snapshot");
        files
            .remove(Path::new("/data/version-2/snapshot.38"))
            .unwrap();
        files.put("/data/version-2/log.38", bytes.clone());
        let only_header = bytes.len() == 16 && bytes[0] == b'Z';
        assert_eq!(start(&files, &dirs).is_ok(), only_header, "{bytes:?}");
    }
}

#[test]
fn zookeeper_4306_an_entry_over_the_limit_of_java_is_read_if_it_is_whole() {
    let (files, dirs) = load("standalone-snapshot");
    let mut batch = LogBatch::new(usize::MAX);
    batch.push(&payload(0x41, 2_400_048 - 32)).unwrap();
    batch.push(&payload(0x42, 0)).unwrap();
    let log = [&header()[..], batch.bytes(), &[0; 4096]].concat();
    files.put("/data/version-2/log.41", log);
    let (model, recovered) = start(&files, &dirs).unwrap();
    assert_eq!(
        (recovered.last_zxid, model.payloads[8].len()),
        (0x42, 2_400_048)
    );
    // One wrong byte, and it is the length that Java calls unreasonable.
    edit(&files, "/data/version-2/log.41", |bytes| {
        bytes[1_000_000] = 1
    });
    match start(&files, &dirs) {
        Err(StoreError::CorruptLog(damage)) => assert_eq!(damage.what, Damage::Length(2_400_048)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn epochs_follow_each_other_in_one_log() {
    let (files, dirs) = load("standalone-all");
    files.remove(Path::new("/data/version-2/log.1")).unwrap();
    let second = 0x1_0000_0001..=0x1_0000_0003;
    put_log(
        &files,
        "/data/version-2/log.1",
        (1..=5).chain(second).chain([0x3_0000_0001]),
    );
    let (model, recovered) = start(&files, &dirs).unwrap();
    assert_eq!((model.zxids.len(), recovered.last_zxid), (9, 0x3_0000_0001));
    // The same zxid again (a request that could not be decoded) is no hole.
    put_log(&files, "/data/version-2/log.1", [1, 2, 2, 3]);
    assert_eq!(start(&files, &dirs).unwrap().0.zxids, [1, 2, 2, 3]);
}

#[test]
fn looking_changes_nothing() {
    for fixture in ["torn-tail-padded", "empty-tail-log", "standalone-all"] {
        let (files, dirs) = load(fixture);
        files.put("/data/initialize", "");
        let before = files.contents();
        let options = RecoverOptions::default();
        let mut model = Model::default();
        let recovered = recover(&files, &dirs, &options, &mut model).unwrap();
        assert!(recovered.last_zxid >= 0x37);
        assert_eq!(files.contents(), before, "{fixture}");
    }
}

#[test]
fn a_window_beyond_the_log_is_told() {
    let (files, dirs) = load("fuzzy-snapshot");
    for log in ["log.1b7", "log.31a"] {
        files
            .remove(&Path::new("/data/version-2").join(log))
            .unwrap();
    }
    let (_, recovered) = start(&files, &dirs).unwrap();
    let expected = Warning::WindowBeyondLog {
        window: 0x2ac,
        log: 0x28a,
    };
    assert_eq!(recovered.warnings, [expected]);
}

/// A state that refuses what it is told to refuse.
struct Picky {
    model: Model,
    refuse_snapshot: i64,
    refuse_txn: i64,
}

impl SnapshotSink for Picky {
    fn session(&mut self, id: i64, timeout_ms: i32) -> Result<(), String> {
        self.model.session(id, timeout_ms)
    }
    fn acl(&mut self, id: i64, acl: &[Acl<'_>]) -> Result<(), String> {
        self.model.acl(id, acl)
    }
    fn node(&mut self, node: &SnapshotNode<'_>) -> Result<(), String> {
        self.model.node(node)
    }
}

impl Restore for Picky {
    fn begin(&mut self) {
        self.model.begin();
    }
    fn end_snapshot(&mut self, zxid: i64, meta: &SnapshotMeta) -> Result<(), String> {
        if zxid == self.refuse_snapshot {
            return Err("not this one".to_string());
        }
        self.model.end_snapshot(zxid, meta)
    }
    fn fresh(&mut self) {
        self.model.fresh();
    }
    fn txn(&mut self, at: EntryAt<'_>, payload: &[u8]) -> Result<(), String> {
        if at.zxid == self.refuse_txn {
            return Err("transaction type 77 is not known".to_string());
        }
        self.model.txn(at, payload)
    }
}

#[test]
fn the_state_may_refuse_a_snapshot_and_a_transaction() {
    let (files, dirs) = load("standalone-snapshot");
    let run = |refuse_snapshot, refuse_txn| -> Result<(Model, Recovered), StoreError> {
        let mut picky = Picky {
            model: Model::default(),
            refuse_snapshot,
            refuse_txn,
        };
        let recovered = recover(&files, &dirs, &RecoverOptions::default(), &mut picky)?;
        Ok((picky.model, recovered))
    };
    let (model, recovered) = run(0x38, -1).unwrap();
    assert_eq!(
        (model.snapshot, model.zxids.len(), recovered.last_zxid),
        (Some(0), 0x40, 0x40)
    );
    assert!(recovered.warnings[0].to_string().contains("not this one"));
    let refused = run(-1, 0x3a).unwrap_err().to_string();
    assert!(
        refused.contains("log.39 is damaged at offset 77 (zxid 0x3a)"),
        "{refused}"
    );
    assert!(refused.contains("type 77 is not known"), "{refused}");
}
