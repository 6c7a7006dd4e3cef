//! Stored bytes that read as others later, and a disk that takes its time.

use std::path::Path;
use zooid_node::Now;
use zooid_sim::disk::{Crash, Disk, Faults, FaultyFiles, ROT, Rot};
use zooid_sim::history::{History, State};
use zooid_sim::server::{Opened, Options, Server, Step, open};
use zooid_store::files::Files;
use zooid_store::log_reader::LogReader;
use zooid_store::recover::{Base, Warning};

const NOW: Now = Now {
    mono_ms: 1000,
    wall_ms: 1_800_000_000_000,
};

fn options() -> Options {
    Options {
        snap_count: 20,
        ..Options::default()
    }
}

/// What a server left behind: several logs, and snapshots between them.
fn some_life(faults: Faults) -> (FaultyFiles, History) {
    let files = FaultyFiles::new(Disk::new(3, ["/data"]));
    files.set_faults(faults);
    let mut history = History::new(options().tree());
    let mut server = Server::start(files.clone(), &options(), 5, NOW).unwrap();
    for _ in 0..12 {
        server.step(Step::Ask(8), NOW).unwrap();
        server.settle(&mut history, NOW).unwrap();
        while server.is_writing_snapshot() {
            server.step(Step::Snapshot(100), NOW).unwrap();
        }
    }
    assert!(server.counts().snapshots >= 3, "{:?}", server.counts());
    drop(server);
    (restarted(&files), history)
}

fn restarted(files: &FaultyFiles) -> FaultyFiles {
    FaultyFiles::new(files.disk().crash(Crash::PowerNothingKept))
}

fn is_whole(opened: &Opened, history: &History) {
    let zxid = history.last_zxid();
    assert_eq!(opened.recovered.last_zxid, zxid);
    assert_eq!(Some(State::of(&opened.tree.tree)), history.state(zxid));
}

/// Start and end of each entry.
fn entries(files: &FaultyFiles, log: &Path) -> Vec<(usize, usize)> {
    let mut reader = LogReader::open(files, log, i32::MAX as usize).unwrap();
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let start = entry.offset as usize;
        found.push((start, start + entry.payload.len() + 13));
    }
    found
}

#[test]
fn rot_in_the_middle_of_the_log_is_refused_with_file_and_offset() {
    let (files, _) = some_life(Faults::default());
    // With the first snapshot alone, all of the log counts.
    for snapshot in options().dirs.snapshots(&files).unwrap() {
        if snapshot.zxid > 0 {
            files.remove(&snapshot.path).unwrap();
        }
    }
    let logs = options().dirs.logs(&files).unwrap();
    assert!(logs.len() >= 3);
    let mut refused = [0; ROT.len()];
    for log in &logs[..logs.len() - 1] {
        for (start, end) in entries(&files, &log.path) {
            for (kind, how) in ROT.into_iter().enumerate() {
                let mut disk = files.disk();
                let changed = disk.rot(&log.path, start..end, how, start as u64);
                if changed.is_empty() {
                    continue;
                }
                let Err(error) = open(&FaultyFiles::new(disk), &options()) else {
                    panic!("{how:?} at {changed:?} of {} passed", log.path.display());
                };
                for part in [
                    log.path.to_str().unwrap(),
                    &start.to_string(),
                    "restore the",
                    "from a backup",
                ] {
                    assert!(error.contains(part), "{how:?}: no {part} in {error}");
                }
                refused[kind] += 1;
            }
        }
    }
    println!("refused {refused:?} of {ROT:?}");
    assert!(refused.iter().all(|count| *count > 20), "{refused:?}");
}

#[test]
fn rot_in_snapshots_costs_nothing_while_an_older_one_and_the_logs_are_there() {
    let (files, history) = some_life(Faults::default());
    let snapshots = options().dirs.snapshots(&files).unwrap();
    for how in [Rot::Bit, Rot::Bits, Rot::Noise] {
        for bad in 1..snapshots.len() {
            let mut disk = files.disk();
            for snapshot in &snapshots[..bad] {
                let len = snapshot.len as usize;
                disk.rot(&snapshot.path, len / 3..len / 2, how, snapshot.zxid as u64);
            }
            let opened = open(&FaultyFiles::new(disk), &options()).unwrap();
            is_whole(&opened, &history);
            let Base::Snapshot { file, .. } = &opened.recovered.base else {
                panic!("{:?}", opened.recovered.base);
            };
            assert_eq!(file, &snapshots[bad]);
            for snapshot in &snapshots[..bad] {
                let told = opened.recovered.warnings.iter().any(|warning| {
                    matches!(warning, Warning::BadSnapshot { file, .. } if *file == snapshot.path)
                });
                assert!(told, "{:?}", opened.recovered.warnings);
            }
        }
    }
}

#[test]
fn rot_in_a_snapshot_whose_log_is_gone_is_refused() {
    let (files, _) = some_life(Faults::default());
    let snapshots = options().dirs.snapshots(&files).unwrap();
    // As a purge would have left it, but for the first snapshot.
    for snapshot in &snapshots[1..snapshots.len() - 1] {
        files.remove(&snapshot.path).unwrap();
    }
    let newest_log = options().dirs.logs(&files).unwrap().pop().unwrap();
    for log in options().dirs.logs(&files).unwrap() {
        if log.path != newest_log.path {
            files.remove(&log.path).unwrap();
        }
    }
    let mut disk = files.disk();
    let len = snapshots[0].len as usize;
    disk.rot(&snapshots[0].path, len / 3..len / 2, Rot::Noise, 1);
    let error = open(&FaultyFiles::new(disk), &options()).err().unwrap();
    assert!(error.contains("are missing"), "{error}");
    assert!(error.contains(newest_log.path.to_str().unwrap()), "{error}");
}

#[test]
fn rot_in_all_snapshots_is_refused_with_their_names() {
    let (files, _) = some_life(Faults::default());
    let snapshots = options().dirs.snapshots(&files).unwrap();
    let mut disk = files.disk();
    for snapshot in &snapshots {
        let len = snapshot.len as usize;
        disk.rot(&snapshot.path, len / 3..len / 2, Rot::Noise, 1);
    }
    let error = open(&FaultyFiles::new(disk), &options()).err().unwrap();
    for snapshot in &snapshots {
        assert!(error.contains(snapshot.path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_slow_disk_takes_longer_and_nothing_else() {
    let (fast, history) = some_life(Faults::default());
    let (slow, _) = some_life(Faults {
        slowness: 2000,
        ..Faults::default()
    });
    assert_eq!(slow.ops(), fast.ops());
    assert_eq!(slow.busy_us(), 2000 * fast.busy_us());
    assert!(slow.busy_us() > 30_000_000, "{} us", slow.busy_us());
    is_whole(&open(&slow, &options()).unwrap(), &history);
}
