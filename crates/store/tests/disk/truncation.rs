//! Taking transactions back, and what a crash in between leaves.

use crate::model::{load, start};
use std::path::Path;
use zooid_store::files::Files;
use zooid_store::log::MAX_PAYLOAD;
use zooid_store::mem::MemFiles;
use zooid_store::truncate::truncate;
use zooid_store::{DataDirs, StoreError};

fn cut(files: &MemFiles, dirs: &DataDirs, zxid: i64) -> Result<i64, StoreError> {
    truncate(files, dirs, zxid, MAX_PAYLOAD).map(|done| done.base)
}

#[test]
fn zookeeper_1549_a_newer_snapshot_does_not_bring_back_what_was_taken_back() {
    let (files, dirs) = load("standalone-snapshot");
    assert_eq!(cut(&files, &dirs, 0x20).unwrap(), 0);
    let (model, recovered) = start(&files, &dirs).unwrap();
    assert_eq!((model.snapshot, recovered.last_zxid), (Some(0), 0x20));
    assert_eq!(model.zxids, (1..=0x20).collect::<Vec<_>>());
    let left: Vec<_> = dirs
        .logs(&files)
        .unwrap()
        .into_iter()
        .map(|log| log.zxid)
        .collect();
    assert_eq!(left, [1]);
    // Once more is nothing.
    assert_eq!(cut(&files, &dirs, 0x20).unwrap(), 0);
}

#[test]
fn every_zxid_of_the_fixtures_can_be_the_last() {
    for (fixture, range) in [("standalone-snapshot", 1..=0x40), ("rolled-logs", 1..=0x98)] {
        for zxid in range {
            let (files, dirs) = load(fixture);
            cut(&files, &dirs, zxid).unwrap();
            let (model, recovered) = start(&files, &dirs).unwrap();
            assert_eq!(recovered.last_zxid, zxid, "{fixture}");
            assert!(model.snapshot.unwrap() <= zxid);
            assert_eq!(model.zxids.last().copied().or(model.snapshot), Some(zxid));
        }
    }
}

#[test]
fn a_fuzzy_snapshot_with_later_effects_goes_too() {
    // snapshot.28a holds effects up to 0x2ac, and no older one is left.
    let (files, dirs) = load("fuzzy-snapshot");
    let before = files.contents();
    let refused = cut(&files, &dirs, 0x29a).unwrap_err().to_string();
    assert!(refused.contains("no good snapshot"), "{refused}");
    assert_eq!(files.contents(), before);
    cut(&files, &dirs, 0x2ac).unwrap();
    assert_eq!(start(&files, &dirs).unwrap().1.last_zxid, 0x2ac);
}

#[test]
fn a_zxid_that_is_not_there_changes_nothing() {
    for (fixture, zxid) in [
        ("corrupt-zxid-gap", 0x1d),
        ("standalone-snapshot", 0x41),
        ("standalone-snapshot", 0x1_0000_0001),
        ("standalone-gz", 0x37),
    ] {
        let (files, dirs) = load(fixture);
        let before = files.contents();
        assert!(cut(&files, &dirs, zxid).is_err(), "{fixture}");
        assert_eq!(files.contents(), before, "{fixture}");
    }
}

#[test]
fn damage_in_front_of_the_cut_fails_and_damage_behind_it_goes() {
    let (files, dirs) = load("corrupt-crc-middle");
    assert!(cut(&files, &dirs, 0x20).is_err());
    cut(&files, &dirs, 0x1e).unwrap();
    assert_eq!(start(&files, &dirs).unwrap().1.last_zxid, 0x1e);
    let (files, dirs) = load("corrupt-zxid-gap");
    cut(&files, &dirs, 0x1c).unwrap();
    assert_eq!(start(&files, &dirs).unwrap().1.last_zxid, 0x1c);
    assert!(
        files
            .stat(Path::new("/data/version-2/log.1f"))
            .unwrap()
            .is_none()
    );
}
