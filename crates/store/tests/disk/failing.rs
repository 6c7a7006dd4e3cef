//! The disk refuses: what was promised stays, what was not promised is not claimed.

use crate::model::{Model, load, payload, start};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use zooid_proto::records::StatPersisted;
use zooid_store::files::{File, Files, Listed, Lock, LockError, Meta};
use zooid_store::log::{LogBatch, LogOptions, LogWriter, MAX_PAYLOAD};
use zooid_store::mem::MemFiles;
use zooid_store::purge::{purge, verify};
use zooid_store::snapshot::{Compression, SnapshotDigest, SnapshotNode, SnapshotWriter};
use zooid_store::truncate::truncate;
use zooid_store::{DataDirs, StoreError, epochs};

/// Files whose changes fail from the n-th on, as after a power cut, or once, as with a bad sector.
#[derive(Debug, Clone)]
struct Failing {
    inner: MemFiles,
    left: Arc<AtomicI64>,
    only_once: Arc<AtomicBool>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Failing {
    fn after(inner: &MemFiles, changes: i64) -> Failing {
        Failing {
            inner: inner.clone(),
            left: Arc::new(AtomicI64::new(changes)),
            only_once: Arc::default(),
            calls: Arc::default(),
        }
    }

    fn change(&self, call: &str, path: &Path) -> io::Result<()> {
        let left = self.left.fetch_sub(1, SeqCst);
        if left == 0 || left < 0 && !self.only_once.load(SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.calls
            .lock()
            .unwrap()
            .push(format!("{call} {}", path.display()));
        Ok(())
    }
}

#[derive(Debug)]
struct FailingFile {
    inner: Box<dyn File>,
    files: Failing,
    path: std::path::PathBuf,
}

impl Files for Failing {
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.inner.list(dir)
    }
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dirs(dir)
    }
    fn stat(&self, path: &Path) -> io::Result<Option<Meta>> {
        self.inner.stat(path)
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.inner.open_read(path)
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let (inner, files) = (self.inner.open_write(path)?, self.clone());
        Ok(Box::new(FailingFile {
            inner,
            files,
            path: path.to_path_buf(),
        }))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.change("create", path)?;
        let (inner, files) = (self.inner.create(path)?, self.clone());
        Ok(Box::new(FailingFile {
            inner,
            files,
            path: path.to_path_buf(),
        }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change("rename", to)?;
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change("remove", path)?;
        self.inner.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change("sync_dir", dir)
    }
    fn same(&self, a: &Path, b: &Path) -> bool {
        a == b
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        self.inner.lock(path)
    }
}

impl File for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.files.change("write", &self.path)?;
        self.inner.write_at(bytes, offset)
    }
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.files.change("set_len", &self.path)?;
        self.inner.set_len(len)
    }
    fn sync_data(&mut self) -> io::Result<()> {
        self.files.change("sync", &self.path)
    }
}

fn batch(zxids: impl IntoIterator<Item = i64>) -> LogBatch {
    let mut batch = LogBatch::default();
    for zxid in zxids {
        batch.push(&payload(zxid, 30)).unwrap();
    }
    batch
}

fn log(files: &Failing, last: i64) -> LogWriter {
    let options = LogOptions {
        pre_alloc: 4096,
        ..LogOptions::default()
    };
    LogWriter::new(
        Arc::new(files.clone()),
        "/data/version-2",
        options,
        Some(last),
    )
}

#[test]
fn a_failed_sync_is_never_repeated() {
    let (inner, _) = load("standalone-all");
    // create, write, sync, rename, sync_dir, extend, write, then the sync of the batch.
    let files = Failing::after(&inner, 7);
    files.only_once.store(true, SeqCst);
    let mut log = log(&files, 0x38);
    log.write(&batch([0x39])).unwrap();
    let error = log.sync().unwrap_err().to_string();
    assert!(
        error.contains("cannot sync /data/version-2/log.39"),
        "{error}"
    );
    assert!(matches!(log.sync(), Err(StoreError::GivenUp)));
    assert!(matches!(
        log.write(&batch([0x3a])),
        Err(StoreError::GivenUp)
    ));
    assert!(matches!(log.roll(), Err(StoreError::GivenUp)));
    assert!(log.is_given_up());
    let calls = files.calls.lock().unwrap();
    assert_eq!(calls.len(), 7, "{calls:?}");
}

#[test]
fn a_batch_is_one_write_and_one_sync_and_a_name_comes_after_its_header() {
    let (inner, _) = load("standalone-all");
    let files = Failing::after(&inner, i64::MAX);
    let mut log = log(&files, 0x38);
    log.write(&batch(0x39..0x3c)).unwrap();
    log.sync().unwrap();
    log.sync().unwrap();
    log.write(&batch(0x3c..0x40)).unwrap();
    log.sync().unwrap();
    let file = "/data/version-2/log.39";
    let draft = "/data/version-2/zooid-unfinished.log.39";
    let expected = [
        format!("create {draft}"),
        format!("write {draft}"),
        format!("sync {draft}"),
        format!("rename {file}"),
        "sync_dir /data/version-2".to_string(),
    ];
    let calls = files.calls.lock().unwrap();
    assert_eq!(calls[..5], expected);
    // Twice: extend, write, sync.
    let kinds: Vec<_> = calls[5..]
        .iter()
        .map(|call| call.split(' ').next().unwrap())
        .collect();
    assert_eq!(kinds, ["write", "write", "sync", "write", "write", "sync"]);
}

/// Runs `work` with a disk that is gone after each number of changes; `check` sees what is left.
fn at_every_step(
    fixture: &str,
    mut work: impl FnMut(&Failing, &DataDirs) -> Result<(), StoreError>,
    mut check: impl FnMut(&MemFiles, &DataDirs, bool),
) -> i64 {
    for changes in 0.. {
        let (inner, dirs) = load(fixture);
        let files = Failing::after(&inner, changes);
        let done = work(&files, &dirs).is_ok();
        check(&inner, &dirs, done);
        if done {
            return changes;
        }
    }
    unreachable!()
}

#[test]
fn logs_that_stop_anywhere_hold_what_was_acknowledged() {
    let acknowledged = std::cell::Cell::new(0);
    let steps = at_every_step(
        "standalone-all",
        |files, _| {
            acknowledged.set(0x38);
            let mut log = log(files, 0x38);
            for zxids in [0x39..0x3b, 0x3b..0x3c, 0x3c..0x50] {
                let last = zxids.end - 1;
                log.write(&batch(zxids))?;
                log.sync()?;
                acknowledged.set(last);
                log.roll()?;
            }
            Ok(())
        },
        |files, dirs, _| {
            let (model, recovered) = start(files, dirs).unwrap();
            assert!(recovered.last_zxid >= acknowledged.get());
            assert_eq!(model.zxids.len() as i64, recovered.last_zxid);
            dirs.remove_unfinished(files).unwrap();
            // The next run goes on.
            let last = recovered.last_zxid;
            let mut log = log(&Failing::after(files, i64::MAX), last);
            log.write(&batch([last + 1])).unwrap();
            log.sync().unwrap();
            assert_eq!(start(files, dirs).unwrap().1.last_zxid, last + 1);
        },
    );
    assert_eq!(steps, 24);
}

fn snapshot(files: &Failing, dirs: &DataDirs, nodes: usize) -> Result<(), StoreError> {
    let dir = dirs.snap_dir();
    let shared = Arc::new(files.clone());
    let (none, plain) = ([].into_iter(), Compression::Plain);
    let mut writer = SnapshotWriter::create(shared, &dir, 0x38, plain, none, [].into_iter())?;
    let stat = StatPersisted::default();
    for i in 0..nodes {
        let path = if i == 0 {
            String::new()
        } else {
            format!("/{i}")
        };
        let node = SnapshotNode {
            path: path.into(),
            data: Some(&[1; 4000]),
            acl_id: -1,
            stat,
        };
        writer.node(&node)?;
    }
    let digest = SnapshotDigest {
        zxid: 0x38,
        version: 2,
        value: 7,
    };
    writer.finish(Some(digest), Some(0x38)).map(drop)
}

#[test]
fn a_snapshot_replaces_an_older_one_whole_or_not_at_all() {
    let steps = at_every_step(
        "standalone-snapshot",
        |files, dirs| snapshot(files, dirs, 300),
        |files, dirs, done| {
            let (model, recovered) = start(files, dirs).unwrap();
            assert_eq!((model.snapshot, recovered.last_zxid), (Some(0x38), 0x40));
            assert!(model.paths.len() == 300 || !done && model.paths.len() == 35);
            dirs.remove_unfinished(files).unwrap();
            let names = files.list(&dirs.snap_dir()).unwrap();
            assert_eq!(names.len(), 4, "{names:?}");
        },
    );
    assert!(steps > 7, "{steps}");
}

#[test]
fn a_snapshot_that_is_given_up_leaves_nothing() {
    let (inner, dirs) = load("standalone-all");
    let before = inner.contents();
    let files = Arc::new(inner.clone());
    let (none, gz) = ([].into_iter(), Compression::Gz);
    let dir = dirs.snap_dir();
    let writer = SnapshotWriter::create(files, &dir, 0x38, gz, none, [].into_iter()).unwrap();
    assert_ne!(inner.contents(), before);
    drop(writer);
    assert_eq!(inner.contents(), before);
}

#[test]
fn zookeeper_2678_a_truncation_that_stops_anywhere_recovers() {
    for (fixture, end, zxid) in [
        ("standalone-snapshot", 0x40, 0x20),
        ("rolled-logs", 0x98, 0x30),
        ("rolled-logs", 0x98, 0x48),
    ] {
        at_every_step(
            fixture,
            |files, dirs| truncate(files, dirs, zxid, MAX_PAYLOAD).map(drop),
            |files, dirs, done| {
                let (model, recovered) = start(files, dirs).unwrap();
                let last = recovered.last_zxid;
                assert!(last >= zxid && last <= end && (!done || last == zxid));
                let first = model.snapshot.unwrap() + 1;
                assert_eq!(model.zxids, (first..=last).collect::<Vec<_>>());
                // Asked again, it ends where it should.
                truncate(files, dirs, zxid, MAX_PAYLOAD).unwrap();
                assert_eq!(start(files, dirs).unwrap().1.last_zxid, zxid);
            },
        );
    }
}

#[test]
fn a_purge_that_stops_anywhere_takes_nothing_that_is_needed() {
    at_every_step(
        "rolled-logs",
        |files, dirs| purge(files, dirs, 3, |snapshot| verify(files, snapshot)).map(drop),
        |files, dirs, _| {
            let (model, recovered) = start(files, dirs).unwrap();
            assert_eq!((model.snapshot, recovered.last_zxid), (Some(0x89), 0x98));
        },
    );
}

#[test]
fn an_epoch_file_has_the_old_value_or_the_new_one() {
    let steps = at_every_step(
        "ensemble/s1",
        |files, dirs| epochs::write(files, &dirs.snap_dir(), epochs::CURRENT, 3),
        |files, dirs, done| {
            let found = epochs::read(files, &dirs.snap_dir(), epochs::CURRENT).unwrap();
            assert!(found == Some(3) || !done && found == Some(2), "{found:?}");
        },
    );
    assert_eq!(steps, 5);
}

#[test]
fn a_start_that_cannot_repair_says_so() {
    let (inner, dirs) = load("torn-tail-padded");
    let files = Failing::after(&inner, 0);
    let mut model = Model::default();
    let options = zooid_store::recover::RecoverOptions::default();
    let recovered = zooid_store::recover::recover(&files, &dirs, &options, &mut model).unwrap();
    let error = recovered.make_good(&files, &dirs).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot cut /data/version-2/log.1"),
        "{error}"
    );
}

/// Whoever syncs the log on the same disk waits for no more than a part.
#[test]
fn a_large_snapshot_is_synced_in_parts() {
    let files = Failing::after(&MemFiles::default(), i64::MAX);
    files.create_dirs(Path::new("/data")).unwrap();
    let mut writer = SnapshotWriter::create(
        Arc::new(files.clone()),
        Path::new("/data"),
        1,
        Compression::Plain,
        std::iter::empty(),
        std::iter::empty(),
    )
    .unwrap();
    writer.nodes(&[7; 100]).unwrap();
    for _ in 0..36 {
        writer.nodes(&[7; 1 << 20]).unwrap();
    }
    let syncs = |files: &Failing| {
        let calls = files.calls.lock().unwrap();
        calls
            .iter()
            .filter(|call| call.starts_with("sync "))
            .count()
    };
    assert_eq!(syncs(&files), 4);
    writer.finish(None, None).unwrap();
    assert_eq!(syncs(&files), 5);
}
