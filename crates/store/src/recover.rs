//! From a data directory to a state: which snapshot, which log entries, what is repaired, what
//! stops the start.

use crate::error::{Context, CorruptLog, Damage, StoreError};
use crate::files::Files;
use crate::layout::{DataDirs, NamedFile};
use crate::log::{MAX_PAYLOAD, MAX_UNSYNCED};
use crate::log_reader::LogReader;
use crate::scan::{LogScan, ScanStats, TornTail};
use crate::snapshot::{SnapshotMeta, SnapshotSink, passes_precheck, read_file};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Candidates that are tried before giving up, as in FileSnap.
const MAX_CANDIDATES: usize = 100;
/// Bytes written again at once.
const CHUNK: u64 = 256 << 10;
/// Entries between two reports of progress.
const PROGRESS_EVERY: u64 = 1 << 14;

/// What the store fills: the tree and the session table.
///
/// The order of calls: `begin`, then the parts of a snapshot (see [`SnapshotSink`]) and
/// `end_snapshot`, or `fresh`; then `txn` for each entry behind. A snapshot that turns out bad
/// half-way is left by another `begin`.
pub trait Restore: SnapshotSink {
    /// Forget everything: a snapshot, or nothing, follows.
    fn begin(&mut self);

    /// The snapshot was read whole and its seals are right. `zxid` is the one in its name: replay
    /// goes on behind it. An error rejects the snapshot.
    fn end_snapshot(&mut self, zxid: i64, meta: &SnapshotMeta) -> Result<(), String>;

    /// There is no snapshot: start from the tree of a new server.
    fn fresh(&mut self);

    /// Applies one entry of the log: transaction header, record, digest. An error stops the
    /// recovery: the log is damaged in a way that its checksum does not show.
    fn txn(&mut self, at: EntryAt<'_>, payload: &[u8]) -> Result<(), String>;

    /// Called now and then.
    fn progress(&mut self, _progress: &Progress<'_>) {}
}

/// Which entry of which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryAt<'a> {
    /// The file.
    pub file: &'a Path,
    /// Where the entry starts in it.
    pub offset: u64,
    /// Its zxid.
    pub zxid: i64,
}

/// How far the recovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A snapshot is going to be read.
    Snapshot {
        /// The file.
        file: &'a Path,
        /// Its length in bytes.
        len: u64,
    },
    /// Entries are being replayed.
    Log {
        /// The file.
        file: &'a Path,
        /// The last one applied.
        zxid: i64,
        /// Entries applied so far.
        entries: u64,
    },
}

/// What recovery may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoverOptions {
    /// snapshot.trust.empty: logs without a snapshot are replayed on a new tree.
    pub trust_empty: bool,
    /// zookeeper.db.autocreate: an empty directory is a new database.
    pub autocreate: bool,
    /// Longest entry that is read without question (jute.maxbuffer plus its extra size).
    pub max_payload: usize,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        RecoverOptions {
            trust_empty: false,
            autocreate: true,
            max_payload: MAX_PAYLOAD,
        }
    }
}

/// What the state was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// A snapshot.
    Snapshot {
        /// The file.
        file: NamedFile,
        /// What it holds.
        meta: Box<SnapshotMeta>,
    },
    /// Nothing: the database is new. The caller writes `snapshot.0` before the first log entry,
    /// then calls [`remove_initialize_marker`].
    New,
    /// No snapshot, but logs that were trusted to reach back to the first transaction.
    Trusted,
    /// Nothing, and neither a marker nor db.autocreate allows to start from it. The last zxid is
    /// -1: such a server must not vote as if it had data.
    Uninitialised,
}

/// What recovery did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Where it started.
    pub base: Base,
    /// Last zxid of the state; -1 for [`Base::Uninitialised`].
    pub last_zxid: i64,
    /// What was read from the logs.
    pub log: ScanStats,
    /// An unfinished write at the end of the log, for [`Recovered::make_good`] to cut off.
    pub torn_tail: Option<TornTail>,
    /// A newest log without a byte, for [`Recovered::make_good`] to remove.
    pub empty_log: Option<PathBuf>,
    /// What an operator should know.
    pub warnings: Vec<Warning>,
    /// Files that the state was read from.
    sources: Vec<PathBuf>,
    /// The last log with entries, what of it may have been written but not synced.
    unsynced: Option<(PathBuf, Range<u64>)>,
}

/// Something that did not stop the recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A snapshot was passed over.
    BadSnapshot {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A snapshot does not look whole.
    UnfinishedSnapshot(PathBuf),
    /// Logs without a snapshot were trusted.
    TrustedLogs,
    /// See [`TornTail`].
    TornTail(TornTail),
    /// See [`Recovered::empty_log`].
    EmptyLog(PathBuf),
    /// Entries came again with a lower zxid and were applied again, as Java does.
    Backwards {
        /// How many.
        entries: u64,
        /// In which files.
        files: Vec<PathBuf>,
    },
    /// The snapshot was taken while transactions were applied, and the log ends before the last of
    /// them.
    WindowBeyondLog {
        /// The snapshot includes effects up to here.
        window: i64,
        /// The log ends here.
        log: i64,
    },
    /// The snapshot lacks the sections that its seals make certain (3.5 and older).
    NoDigest(PathBuf),
}

/// Builds the state of `dirs` in `into`. Nothing is written: who serves the state says so with
/// [`Recovered::make_good`], who only looks, or cannot serve it, leaves the directory as it was.
pub fn recover(
    files: &dyn Files,
    dirs: &DataDirs,
    options: &RecoverOptions,
    into: &mut dyn Restore,
) -> Result<Recovered, StoreError> {
    let mut warnings = Vec::new();
    let logs = dirs.logs(files)?;
    let base = match load_snapshot(files, dirs, options, into, &mut warnings)? {
        Some((file, meta)) => Base::Snapshot {
            file,
            meta: Box::new(meta),
        },
        None => without_snapshot(files, dirs, options, &logs, into)?,
    };
    let from = match &base {
        Base::Snapshot { file, .. } => Some(file.zxid),
        Base::Trusted => {
            warnings.push(Warning::TrustedLogs);
            None
        }
        Base::New | Base::Uninitialised => Some(0),
    };
    let mut scan = LogScan::new(
        files,
        logs,
        from.unwrap_or(0) + 1,
        from,
        options.max_payload,
    );
    let mut sources: Vec<PathBuf> = scan.pending().map(Path::to_path_buf).collect();
    if let Base::Snapshot { file, .. } = &base {
        sources.push(file.path.clone());
    }
    replay(&mut scan, into)?;

    let stats = scan.stats().clone();
    let last_zxid = match &base {
        Base::Uninitialised => -1,
        _ => scan.highest_zxid().unwrap_or(0),
    };
    let torn_tail = scan.torn_tail().cloned();
    let empty_log = scan.empty_newest().map(Path::to_path_buf);
    let unsynced = scan.end_of_log().map(|end| {
        let from = end.offset.saturating_sub(MAX_UNSYNCED).min(end.last_entry);
        (end.file.clone(), from..end.offset)
    });
    drop(scan);
    gather_warnings(
        &mut warnings,
        &base,
        last_zxid,
        &stats,
        &torn_tail,
        &empty_log,
    );
    Ok(Recovered {
        base,
        last_zxid,
        log: stats,
        torn_tail,
        empty_log,
        warnings,
        sources,
        unsynced,
    })
}

impl Recovered {
    /// Makes the directory what the state says, before anybody is served from it: cuts off what
    /// was never acknowledged, and makes durable what was read.
    pub fn make_good(&self, files: &dyn Files, dirs: &DataDirs) -> Result<(), StoreError> {
        self.repair(files, dirs)?;
        if let Some((file, range)) = &self.unsynced {
            write_again(files, file, range.clone())?;
        }
        keep(files, dirs, &self.sources)?;
        if !matches!(self.base, Base::New) {
            remove_initialize_marker(files, dirs)?;
        }
        Ok(())
    }

    /// What was never acknowledged must not stay behind: Java would find it behind the entries of
    /// the next run, or refuse to start on it.
    fn repair(&self, files: &dyn Files, dirs: &DataDirs) -> Result<(), StoreError> {
        if let Some(torn) = &self.torn_tail {
            let mut file = files.open_write(&torn.file).on("open", &torn.file)?;
            file.set_len(torn.offset).on("cut", &torn.file)?;
            file.sync_data().on("sync", &torn.file)?;
        }
        if let Some(path) = &self.empty_log {
            files.remove(path).on("remove", path)?;
            let dir = dirs.log_dir();
            files.sync_dir(&dir).on("sync directory", &dir)?;
        }
        Ok(())
    }
}

/// Removes the operator's marker "an empty database may vote". It has served once the database is
/// no longer empty.
pub fn remove_initialize_marker(files: &dyn Files, dirs: &DataDirs) -> Result<(), StoreError> {
    let marker = dirs.initialize_marker();
    if files.stat(&marker).on("look at", &marker)?.is_some() {
        files.remove(&marker).on("remove", &marker)?;
    }
    Ok(())
}

/// The last zxid in the logs; the name of the newest file counts when it holds no entry. `None`
/// without a log.
pub fn last_logged_zxid(
    files: &dyn Files,
    logs: &[NamedFile],
    max_payload: usize,
) -> Result<Option<i64>, StoreError> {
    let Some(newest) = logs.iter().rfind(|log| log.len > 0) else {
        return Ok(None);
    };
    let mut last = newest.zxid;
    let mut reader = LogReader::open(files, &newest.path, max_payload)?;
    while reader.advance()? {
        last = reader.last_zxid().unwrap_or(last);
    }
    Ok(Some(last))
}

fn load_snapshot(
    files: &dyn Files,
    dirs: &DataDirs,
    options: &RecoverOptions,
    into: &mut dyn Restore,
    warnings: &mut Vec<Warning>,
) -> Result<Option<(NamedFile, SnapshotMeta)>, StoreError> {
    let mut tried = Vec::new();
    let mut unfinished = Vec::new();
    let mut candidates = 0;
    for snapshot in dirs.snapshots(files)? {
        if candidates == MAX_CANDIDATES {
            break;
        }
        if !passes_precheck(files, &snapshot)? {
            if snapshot.zxid > 0 {
                let name = snapshot.path.display();
                unfinished.push(format!("{name} does not end like a whole snapshot"));
            }
            warnings.push(Warning::UnfinishedSnapshot(snapshot.path));
            continue;
        }
        candidates += 1;
        into.progress(&Progress::Snapshot {
            file: &snapshot.path,
            len: snapshot.len,
        });
        into.begin();
        match load_one(files, &snapshot, into) {
            Ok(meta) => {
                if meta.digest.is_none() {
                    warnings.push(Warning::NoDigest(snapshot.path.clone()));
                }
                return Ok(Some((snapshot, meta)));
            }
            Err(what) => {
                tried.push(format!("{}: {what}", snapshot.path.display()));
                warnings.push(Warning::BadSnapshot {
                    file: snapshot.path,
                    what,
                });
            }
        }
    }
    into.begin();
    // Java starts with an empty tree when all snapshots look unfinished and there is no log
    // (ZOOKEEPER-2325): everything that they held would be gone. Only the very first one may be
    // unfinished.
    let lost = !unfinished.is_empty() && !options.trust_empty && dirs.logs(files)?.is_empty();
    if candidates > 0 || lost {
        tried.extend(unfinished);
        return Err(StoreError::NoValidSnapshot {
            dir: dirs.snap_dir(),
            tried,
        });
    }
    Ok(None)
}

fn load_one(
    files: &dyn Files,
    snapshot: &NamedFile,
    into: &mut dyn Restore,
) -> Result<SnapshotMeta, String> {
    let meta = read_file(files, &snapshot.path, into).map_err(|error| match error {
        StoreError::CorruptSnapshot { offset, what, .. } => format!("at byte {offset}: {what}"),
        error => error.to_string(),
    })?;
    into.end_snapshot(snapshot.zxid, &meta)?;
    Ok(meta)
}

fn without_snapshot(
    files: &dyn Files,
    dirs: &DataDirs,
    options: &RecoverOptions,
    logs: &[NamedFile],
    into: &mut dyn Restore,
) -> Result<Base, StoreError> {
    into.begin();
    into.fresh();
    if let Some(last_zxid) = last_logged_zxid(files, logs, options.max_payload)? {
        if options.trust_empty {
            return Ok(Base::Trusted);
        }
        let (snap_dir, log_dir) = (dirs.snap_dir(), dirs.log_dir());
        return Err(StoreError::SnapshotMissing {
            snap_dir,
            log_dir,
            last_zxid,
        });
    }
    let marker = dirs.initialize_marker();
    let marked = files.stat(&marker).on("look at", &marker)?.is_some();
    Ok(if marked || options.autocreate {
        Base::New
    } else {
        Base::Uninitialised
    })
}

fn replay(scan: &mut LogScan<'_>, into: &mut dyn Restore) -> Result<(), StoreError> {
    while scan.advance()? {
        let (Some(entry), Some(file)) = (scan.entry(), scan.file()) else {
            break;
        };
        let at = EntryAt {
            file,
            offset: entry.offset,
            zxid: entry.zxid,
        };
        if let Err(what) = into.txn(at, entry.payload) {
            let damage = CorruptLog {
                file: file.to_path_buf(),
                offset: entry.offset,
                zxid: Some(entry.zxid),
                after: None,
                what: Damage::Content(what),
            };
            return Err(damage.into());
        }
        let entries = scan.stats().entries;
        if entries.is_multiple_of(PROGRESS_EVERY) {
            into.progress(&Progress::Log {
                file,
                zxid: entry.zxid,
                entries,
            });
        }
    }
    Ok(())
}

fn gather_warnings(
    warnings: &mut Vec<Warning>,
    base: &Base,
    last_zxid: i64,
    stats: &ScanStats,
    torn_tail: &Option<TornTail>,
    empty_log: &Option<PathBuf>,
) {
    if stats.backwards > 0 {
        let files = stats.backwards_in.clone();
        warnings.push(Warning::Backwards {
            entries: stats.backwards,
            files,
        });
    }
    if let Base::Snapshot { file, meta } = base {
        let window = meta.end_of_window(file.zxid);
        if window > last_zxid {
            warnings.push(Warning::WindowBeyondLog {
                window,
                log: last_zxid,
            });
        }
    }
    warnings.extend(torn_tail.clone().map(Warning::TornTail));
    warnings.extend(empty_log.clone().map(Warning::EmptyLog));
}

/// Writes the end of the log once more, unchanged. When a sync failed, the system keeps the pages
/// and takes them for clean: what was read here may be nowhere on the disk, and a sync alone would
/// not write it.
fn write_again(files: &dyn Files, path: &Path, range: Range<u64>) -> Result<(), StoreError> {
    let mut file = match files.open_write(path) {
        // Not one of ours, so not one whose sync failed here.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        file => file.on("open", path)?,
    };
    let Range { start: mut at, end } = range;
    let mut chunk = vec![0; (end - at).min(CHUNK) as usize];
    while at < end {
        let want = (end - at).min(CHUNK) as usize;
        match file.read_at(&mut chunk[..want], at).on("read", path)? {
            0 => break,
            have => {
                file.write_at(&chunk[..have], at).on("write to", path)?;
                at += have as u64;
            }
        }
    }
    Ok(())
}

/// Makes durable what was read. After the end of the process alone, it may come from the cache of
/// the system: written and never synced, or by a server that syncs no snapshots (Java). Clients are
/// going to see it, and what they do next goes into another file; a power cut must not leave a
/// hole between the two.
fn keep(files: &dyn Files, dirs: &DataDirs, sources: &[PathBuf]) -> Result<(), StoreError> {
    for path in sources {
        let mut file = files.open_read(path).on("open", path)?;
        file.sync_data().on("sync", path)?;
    }
    for dir in [dirs.log_dir(), dirs.snap_dir()] {
        if files.stat(&dir).on("look at", &dir)?.is_some() {
            files.sync_dir(&dir).on("sync directory", &dir)?;
        }
    }
    Ok(())
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::BadSnapshot { file, what } => {
                write!(f, "snapshot {} is damaged and passed over: {what}", file.display())
            }
            Warning::UnfinishedSnapshot(file) => {
                write!(f, "snapshot {} is not whole and passed over", file.display())
            }
            Warning::TrustedLogs => f.write_str(
                "no snapshot: the logs were replayed from their start, as snapshot.trust.empty asks",
            ),
            Warning::TornTail(torn) => {
                write!(
                    f,
                    "log {} ends with an unfinished write at offset {}",
                    torn.file.display(),
                    torn.offset
                )?;
                if let Some(zxid) = torn.last_zxid {
                    write!(f, " behind zxid {zxid:#x}")?;
                }
                f.write_str("; it was never acknowledged and is left out")
            }
            Warning::EmptyLog(file) => {
                write!(f, "log {} is empty, a crash came before its first byte", file.display())
            }
            Warning::Backwards { entries, files } => {
                write!(f, "{entries} log entries came again with lower zxids, in")?;
                files.iter().try_for_each(|file| write!(f, " {}", file.display()))?;
                f.write_str("; is that a copy of a log? Its name must not start with \"log.\"")
            }
            Warning::WindowBeyondLog { window, log } => write!(
                f,
                "the snapshot includes effects up to zxid {window:#x}, but the log ends at \
                 {log:#x}: transactions that were applied here never became durable"
            ),
            Warning::NoDigest(file) => write!(
                f,
                "snapshot {} has no digest; it was written with the digest disabled, or before 3.6",
                file.display()
            ),
        }
    }
}
