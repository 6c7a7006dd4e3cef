//! Taking back transactions that the leader never committed.

use crate::error::{Context, StoreError};
use crate::files::Files;
use crate::layout::{DataDirs, NamedFile};
use crate::log::HEADER_LEN;
use crate::scan::LogScan;
use crate::snapshot::{CheckOnly, SnapshotMeta, passes_precheck, read_file};
use std::path::PathBuf;

/// What a truncation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncated {
    /// The snapshot that recovery will start from.
    pub base: i64,
    /// Snapshots that held effects of what was taken back, and are gone.
    pub snapshots: Vec<PathBuf>,
    /// Logs that lay behind, and are gone.
    pub logs: Vec<PathBuf>,
    /// The log that was cut, and where.
    pub cut: Option<(PathBuf, u64)>,
}

/// Makes `zxid` the last transaction of the directory; the caller recovers afterwards.
///
/// It fails, before anything is changed, unless `zxid` is in the log (or is the zxid of a
/// snapshot), and a good snapshot without any effect of later transactions is left to start from.
/// (Java keeps newer snapshots, so that what was taken back returns with the next start, and keeps
/// the next larger entry if `zxid` is missing.) A crash in between leaves a directory that recovers
/// to `zxid` or to something later.
pub fn truncate(
    files: &dyn Files,
    dirs: &DataDirs,
    zxid: i64,
    max_payload: usize,
) -> Result<Truncated, StoreError> {
    let refused = |what: String| StoreError::Truncate { zxid, what };
    let snapshots = dirs.snapshots(files)?;
    let (base, newer) = choose_base(files, snapshots, zxid)?;
    let base = base.ok_or_else(|| {
        refused(format!(
            "no good snapshot in {} ends at or before it; fetch a snapshot from the leader instead",
            dirs.snap_dir().display()
        ))
    })?;
    let logs = dirs.logs(files)?;
    let cut = match find_cut(files, &logs, base, zxid, max_payload)? {
        Found::Missing => {
            let dir = dirs.log_dir();
            let dir = dir.display();
            return Err(refused(format!(
                "it is not in the logs of {dir} behind snapshot {base:#x}; fetch a snapshot from \
                 the leader instead"
            )));
        }
        Found::Last => None,
        Found::Before(file, offset) => Some((file, offset)),
    };

    // Snapshots first: until the logs are cut, an older one with all of the log gives what was
    // there before. Newest logs first, so that no hole comes up.
    let mut done = Truncated {
        base,
        snapshots: Vec::new(),
        logs: Vec::new(),
        cut: None,
    };
    for snapshot in newer {
        files.remove(&snapshot.path).on("remove", &snapshot.path)?;
        done.snapshots.push(snapshot.path);
    }
    let snap_dir = dirs.snap_dir();
    files.sync_dir(&snap_dir).on("sync directory", &snap_dir)?;
    let log_dir = dirs.log_dir();
    let Some((file, offset)) = cut else {
        return Ok(done);
    };
    let keeps_entries = offset > HEADER_LEN;
    for log in logs.into_iter().rev() {
        let is_cut = log.path == file;
        if !is_cut || !keeps_entries {
            files.remove(&log.path).on("remove", &log.path)?;
            files.sync_dir(&log_dir).on("sync directory", &log_dir)?;
            done.logs.push(log.path);
        }
        if is_cut {
            break;
        }
    }
    if keeps_entries {
        let mut log = files.open_write(&file).on("open", &file)?;
        log.set_len(offset).on("cut", &file)?;
        log.sync_data().on("sync", &file)?;
        done.cut = Some((file, offset));
    }
    Ok(done)
}

enum Found {
    /// Here starts what goes: the first later entry, or damage.
    Before(PathBuf, u64),
    /// The zxid is the last one already.
    Last,
    /// The zxid is not there.
    Missing,
}

/// The newest good snapshot without effects behind `zxid`, and all that have some.
fn choose_base(
    files: &dyn Files,
    snapshots: Vec<NamedFile>,
    zxid: i64,
) -> Result<(Option<i64>, Vec<NamedFile>), StoreError> {
    let mut newer = Vec::new();
    for snapshot in snapshots {
        if snapshot.zxid > zxid {
            newer.push(snapshot);
            continue;
        }
        match check(files, &snapshot)? {
            // A snapshot named by an earlier zxid may have been taken while later transactions
            // were applied.
            Some(meta) if meta.end_of_window(snapshot.zxid) > zxid => newer.push(snapshot),
            Some(_) => return Ok((Some(snapshot.zxid), newer)),
            None => {}
        }
    }
    Ok((None, newer))
}

fn check(files: &dyn Files, snapshot: &NamedFile) -> Result<Option<SnapshotMeta>, StoreError> {
    if !passes_precheck(files, snapshot)? {
        return Ok(None);
    }
    match read_file(files, &snapshot.path, &mut CheckOnly) {
        Ok(meta) => Ok(Some(meta)),
        Err(StoreError::CorruptSnapshot { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads from the base on, so that everything that stays is checked on the way.
fn find_cut(
    files: &dyn Files,
    logs: &[NamedFile],
    base: i64,
    zxid: i64,
    max_payload: usize,
) -> Result<Found, StoreError> {
    let mut scan = LogScan::new(files, logs.to_vec(), base + 1, Some(base), max_payload);
    let mut last = base;
    loop {
        match scan.advance() {
            Ok(true) => {}
            Ok(false) => break,
            // Damage behind the cut goes with the rest.
            Err(StoreError::CorruptLog(damage)) if last == zxid => {
                return Ok(Found::Before(damage.file, damage.offset));
            }
            Err(error) => return Err(error),
        }
        let (Some(entry), Some(file)) = (scan.entry(), scan.file()) else {
            break;
        };
        if entry.zxid > zxid {
            return Ok(match last == zxid {
                true => Found::Before(file.to_path_buf(), entry.offset),
                false => Found::Missing,
            });
        }
        last = last.max(entry.zxid);
    }
    Ok(if last == zxid {
        Found::Last
    } else {
        Found::Missing
    })
}
