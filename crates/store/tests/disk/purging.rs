//! What was recoverable stays recoverable.

use crate::model::{edit, load, start};
use std::collections::BTreeSet;
use std::path::Path;
use zooid_store::files::Files;
use zooid_store::purge::{purge, verify};

fn names(files: &zooid_store::mem::MemFiles) -> BTreeSet<String> {
    let names = files.list(Path::new("/data/version-2")).unwrap();
    names.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn section_12_what_java_keeps() {
    let (files, dirs) = load("rolled-logs");
    let purged = purge(&files, &dirs, 3, |snapshot| verify(&files, snapshot)).unwrap();
    let kept = [
        "log.2c",
        "log.49",
        "log.6c",
        "log.8b",
        "snapshot.47",
        "snapshot.6a",
        "snapshot.89",
    ];
    assert_eq!(names(&files), kept.map(String::from).into());
    assert_eq!((purged.oldest_kept, purged.removed.len()), (Some(0x47), 5));
    assert_eq!(start(&files, &dirs).unwrap().1.last_zxid, 0x98);
    // Nothing more to do, and fewer than three are not kept.
    let again = purge(&files, &dirs, 1, |snapshot| verify(&files, snapshot)).unwrap();
    assert!(again.removed.is_empty());
}

#[test]
fn zookeeper_2420_bad_snapshots_do_not_count() {
    let (files, dirs) = load("rolled-logs");
    for name in ["snapshot.89", "snapshot.6a", "snapshot.47"] {
        edit(&files, &format!("/data/version-2/{name}"), |bytes| {
            bytes[400] ^= 4
        });
    }
    let before = names(&files);
    let purged = purge(&files, &dirs, 3, |snapshot| verify(&files, snapshot)).unwrap();
    assert_eq!(
        (purged.removed.len(), purged.bad.len(), purged.oldest_kept),
        (0, 3, Some(0))
    );
    assert_eq!(names(&files), before);
    for name in ["snapshot.2a", "snapshot.15", "snapshot.0"] {
        edit(&files, &format!("/data/version-2/{name}"), |bytes| {
            bytes[100] ^= 4
        });
    }
    let purged = purge(&files, &dirs, 3, |snapshot| verify(&files, snapshot)).unwrap();
    assert_eq!((purged.oldest_kept, names(&files)), (None, before));
}

#[test]
fn zookeeper_2574_recoverable_before_is_recoverable_after_each_step() {
    // Every subset of bad snapshots; a crash after every file that is removed.
    let all = [
        "snapshot.0",
        "snapshot.15",
        "snapshot.2a",
        "snapshot.47",
        "snapshot.6a",
        "snapshot.89",
    ];
    for bad in 0..1u32 << all.len() {
        let (files, dirs) = load("rolled-logs");
        for (i, name) in all.iter().enumerate() {
            if bad >> i & 1 == 1 {
                edit(&files, &format!("/data/version-2/{name}"), |bytes| {
                    bytes[100] ^= 4
                });
            }
        }
        let before = files.fork();
        let expected = start(&before, &dirs).map(|(model, _)| (model.snapshot, model.zxids));
        let purged = purge(&files, &dirs, 3, |snapshot| verify(&files, snapshot)).unwrap();
        for removed in purged.removed {
            before.remove(&removed).unwrap();
            let found = start(&before, &dirs).map(|(model, _)| (model.snapshot, model.zxids));
            assert_eq!(
                found.ok(),
                expected.as_ref().ok().cloned(),
                "{bad:b} {removed:?}"
            );
        }
    }
}

#[test]
fn names_that_do_not_parse_stay() {
    let (files, dirs) = load("rolled-logs");
    files.put("/data/version-2/log.foo", "mine");
    files.put("/data/version-2/snapshot.old", "mine");
    files.put(
        "/data/version-2/log.1.bak",
        files.get("/data/version-2/log.1").unwrap(),
    );
    purge(&files, &dirs, 3, |snapshot| verify(&files, snapshot)).unwrap();
    let left = names(&files);
    assert!(left.contains("log.foo") && left.contains("snapshot.old"));
    assert!(!left.contains("log.1.bak"));
}
