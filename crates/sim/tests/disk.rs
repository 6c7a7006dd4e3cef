//! The disk loses what it may lose, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use zooid_sim::disk::{Crash, Disk, Faults, FaultyFiles, Op, SECTOR};
use zooid_store::files::Files;

const FILE: &str = "/d/f";

fn fresh() -> FaultyFiles {
    FaultyFiles::new(Disk::new(5, ["/d"]))
}

/// A file of one synced sector, with its name.
fn synced() -> FaultyFiles {
    let files = fresh();
    let mut file = files.create(Path::new(FILE)).unwrap();
    file.write_at(&[1; SECTOR], 0).unwrap();
    file.sync_data().unwrap();
    files.sync_dir(Path::new("/d")).unwrap();
    files
}

fn after(files: &FaultyFiles, crash: Crash) -> Option<Vec<u8>> {
    let disk = files.disk().crash(crash);
    disk.content(Path::new(FILE))
        .map(|content| content.to_vec())
}

fn outcomes(files: &FaultyFiles) -> BTreeSet<Option<Vec<u8>>> {
    (0..400)
        .map(|seed| after(files, Crash::Power(seed)))
        .collect()
}

#[test]
fn what_is_synced_stays() {
    assert_eq!(outcomes(&synced()), [Some(vec![1; SECTOR])].into());
}

#[test]
fn a_process_that_ends_loses_nothing_and_keeps_nothing() {
    let files = synced();
    let mut file = files.open_write(Path::new(FILE)).unwrap();
    file.write_at(&[2; SECTOR], 0).unwrap();
    assert_eq!(after(&files, Crash::Kill), Some(vec![2; SECTOR]));
    let next = FaultyFiles::new(files.disk().crash(Crash::Kill));
    assert_eq!(after(&next, Crash::PowerNothingKept), Some(vec![1; SECTOR]));
}

#[test]
fn each_sector_and_the_length_are_kept_or_not() {
    let files = synced();
    let mut file = files.open_write(Path::new(FILE)).unwrap();
    file.write_at(&[2; 3 * SECTOR], 0).unwrap();
    let mut expected = BTreeSet::new();
    for kept in 0..8 {
        let mut content = vec![0; 3 * SECTOR];
        for sector in 0..3 {
            let byte = match (kept >> sector & 1, sector) {
                (1, _) => 2,
                (_, 0) => 1,
                _ => 0,
            };
            content[sector * SECTOR..(sector + 1) * SECTOR].fill(byte);
        }
        expected.insert(Some(content[..SECTOR].to_vec()));
        expected.insert(Some(content));
    }
    assert_eq!(outcomes(&files), expected);
}

#[test]
fn a_name_comes_with_the_sync_of_its_directory() {
    let files = synced();
    let draft = Path::new("/d/draft");
    let mut file = files.create(draft).unwrap();
    file.write_at(&[3; 4], 0).unwrap();
    file.sync_data().unwrap();
    files.rename(draft, Path::new(FILE)).unwrap();
    let either = [Some(vec![1; SECTOR]), Some(vec![3; 4])];
    assert_eq!(outcomes(&files), either.into());
    files.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(outcomes(&files), [Some(vec![3; 4])].into());
    files.remove(Path::new(FILE)).unwrap();
    assert_eq!(outcomes(&files), [Some(vec![3; 4]), None].into());
}

#[test]
fn a_new_directory_goes_with_its_name() {
    let files = fresh();
    files.create_dirs(Path::new("/d/sub")).unwrap();
    files.sync_dir(Path::new("/d/sub")).unwrap();
    let lost = files.disk().crash(Crash::PowerNothingKept);
    let lost = FaultyFiles::new(lost).stat(Path::new("/d/sub")).unwrap();
    assert_eq!(lost, None);
}

#[test]
fn a_failed_sync_leaves_clean_pages_that_are_nowhere() {
    let files = synced();
    let fails = Some((Op::Sync, 0));
    files.set_faults(Faults {
        fails,
        ..Faults::default()
    });
    let mut file = files.open_write(Path::new(FILE)).unwrap();
    file.write_at(&[2; 64 * SECTOR], 0).unwrap();
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(after(&files, Crash::Kill), Some(vec![2; 64 * SECTOR]));
    assert_ne!(
        after(&files, Crash::PowerAllKept),
        Some(vec![2; 64 * SECTOR])
    );
    // Written again, they are dirty again.
    file.write_at(&[2; 64 * SECTOR], 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(
        after(&files, Crash::PowerNothingKept),
        Some(vec![2; 64 * SECTOR])
    );
}

#[test]
fn a_full_disk_takes_whole_blocks_or_nothing() {
    let files = synced();
    files.set_faults(Faults {
        full_from: Some(0),
        ..Faults::default()
    });
    let mut file = files.open_write(Path::new(FILE)).unwrap();
    let mut lens = BTreeSet::new();
    for _ in 0..100 {
        let end = file.len().unwrap();
        let error = file.write_at(&[2; 2 * SECTOR + 9], end).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        lens.insert(file.len().unwrap() - end);
    }
    let block = SECTOR as u64;
    assert_eq!(lens, [0, block, 2 * block].into());
    assert!(files.create(Path::new("/d/g")).is_err());
    assert!(files.remove(Path::new(FILE)).is_ok());
}
