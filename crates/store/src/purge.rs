//! Taking away what no recovery needs any more.

use crate::error::{Context, StoreError};
use crate::files::Files;
use crate::layout::{DataDirs, NamedFile};
use crate::snapshot::{CheckOnly, passes_precheck, read_file};
use std::path::{Path, PathBuf};

/// Fewest snapshots that are kept (autopurge.snapRetainCount).
pub const MIN_RETAIN: usize = 3;

/// What a purge did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Files that are gone, oldest first.
    pub removed: Vec<PathBuf>,
    /// Bytes that they had, padding included.
    pub bytes: u64,
    /// The oldest snapshot that counts; everything needed to start from it is kept. `None`: no
    /// snapshot is good, nothing was removed.
    pub oldest_kept: Option<i64>,
    /// Snapshots that did not count.
    pub bad: Vec<PathBuf>,
}

/// Keeps the newest `retain` good snapshots (at least [`MIN_RETAIN`]) and the logs behind the
/// oldest of them, removes what is older.
///
/// PurgeTxnLog counts snapshots that merely end like one, and so can remove the only good one.
/// Here `is_good` decides; answer from memory for snapshots that this process wrote or loaded, and
/// with [`verify`] for others. Names whose zxid does not parse stay: Java removes them.
pub fn purge(
    files: &dyn Files,
    dirs: &DataDirs,
    retain: usize,
    mut is_good: impl FnMut(&NamedFile) -> bool,
) -> Result<Purged, StoreError> {
    let snapshots = dirs.snapshots(files)?;
    let mut purged = Purged::default();
    let mut good = 0;
    for snapshot in &snapshots {
        if good == retain.max(MIN_RETAIN) {
            break;
        }
        if is_good(snapshot) {
            purged.oldest_kept = Some(snapshot.zxid);
            good += 1;
        } else {
            purged.bad.push(snapshot.path.clone());
        }
    }
    let Some(oldest) = purged.oldest_kept else {
        return Ok(purged);
    };
    // The log that starts at or below the snapshot may go on behind it.
    let logs = dirs.logs(files)?;
    let first_log = logs
        .iter()
        .rev()
        .find(|log| log.zxid <= oldest)
        .map_or(0, |log| log.zxid);
    let old_logs = logs.iter().filter(|log| log.zxid < first_log);
    let old_snapshots = snapshots
        .iter()
        .rev()
        .filter(|snapshot| snapshot.zxid < oldest);
    for old in old_snapshots.chain(old_logs) {
        files.remove(&old.path).on("remove", &old.path)?;
        purged.removed.push(old.path.clone());
        purged.bytes += old.len;
    }
    if !purged.removed.is_empty() {
        for dir in [dirs.log_dir(), dirs.snap_dir()] {
            files.sync_dir(&dir).on("sync directory", &dir)?;
        }
    }
    Ok(purged)
}

/// Reads a snapshot whole and checks its seals.
pub fn verify(files: &dyn Files, snapshot: &NamedFile) -> bool {
    let whole = |path: &Path| read_file(files, path, &mut CheckOnly).is_ok();
    passes_precheck(files, snapshot).unwrap_or(false) && whole(&snapshot.path)
}
