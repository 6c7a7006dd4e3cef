//! Room on the disks: a warning before there is none, a reserve for the start after that, and an
//! explanation for whoever starts a server on a full disk.

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zooid_store::{DataDirs, Files};

/// Free bytes below which operators are warned, unless the newest snapshot asks for more: the next
/// one is written beside it.
pub const LOW_BYTES: u64 = 256 << 20;

/// How many times the newest snapshot must fit.
const LOW_SNAPSHOTS: u64 = 3;

/// A disk with fewer free bytes is full: a server cannot start a log on it.
pub const FULL_BYTES: u64 = 1 << 20;

/// Bytes that are held back for the first start after the disk was full: lock, log and snapshot of
/// a small server fit, so that it comes up and its operator can delete nodes and files.
pub const RESERVE_BYTES: u64 = 8 << 20;

/// A reserve is held back where this many of it are free.
const RESERVE_DISK: u64 = 4;

/// Name of the reserve, beside the lock file. Java looks at no file there.
pub const RESERVE_FILE: &str = "zooid.reserve";

/// How often the free space is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Looks after which the warning is repeated while nothing changes.
const REPEAT_AFTER: u32 = 360;

/// What is free below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// Bytes that this process may still write.
    pub bytes: u64,
    /// Files that it may still create; `None` where the file system does not count them.
    pub files: Option<u64>,
}

/// The free space of the file system that holds `path`, or the nearest parent that exists.
pub fn free(path: &Path) -> io::Result<Free> {
    let mut path = path;
    let stat = loop {
        match (statvfs(path), path.parent()) {
            (Err(rustix::io::Errno::NOENT), Some(parent)) if !parent.as_os_str().is_empty() => {
                path = parent;
            }
            (stat, _) => break stat?,
        }
    };
    Ok(Free {
        bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        files: (stat.f_files > 0).then_some(stat.f_favail),
    })
}

/// Says that a disk is full, if one is: how much is free, where, and what helps.
pub fn explain_full(dirs: &DataDirs) -> Option<String> {
    for dir in [dirs.data_log_dir(), dirs.data_dir()] {
        let Ok(free) = free(dir) else { continue };
        let what = match free {
            Free { files: Some(0), .. } => "no file can be created any more".to_owned(),
            free if free.bytes < FULL_BYTES => format!("{} bytes are free", free.bytes),
            _ => continue,
        };
        return Some(format!(
            "the disk of {} is full: {what}; make room (the server itself removes snapshots and \
             logs that nothing needs once it runs, autopurge.snapRetainCount says how many stay), \
             then start again: everything acknowledged is on the disk",
            dir.display()
        ));
    }
    None
}

/// Holds the reserve back, unless the disk has no room to spare. Without it a server runs as well.
pub fn hold_reserve(dirs: &DataDirs) {
    let path = reserve_file(dirs);
    if let Err(error) = allocate(&path) {
        tracing::debug!(%error, file = %path.display(), "no reserve on this disk");
        give_up_reserve(dirs);
    }
}

/// Gives the reserve up, for the start that follows.
pub fn give_up_reserve(dirs: &DataDirs) {
    let _ = std::fs::remove_file(reserve_file(dirs));
}

fn reserve_file(dirs: &DataDirs) -> PathBuf {
    dirs.data_log_dir().join(RESERVE_FILE)
}

fn allocate(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() == RESERVE_BYTES) {
        return Ok(());
    }
    if free(path)?.bytes < RESERVE_DISK * RESERVE_BYTES {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let file = std::fs::File::create(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES)?;
    Ok(())
}

/// Warns while the space is low. Ends with the runtime.
pub async fn watch(dirs: DataDirs, files: std::sync::Arc<dyn Files>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut quiet = 0;
    loop {
        ticks.tick().await;
        let (dirs, files) = (dirs.clone(), files.clone());
        let low = tokio::task::spawn_blocking(move || low(&dirs, &*files)).await;
        match low {
            Ok(Some(low)) if quiet == 0 => {
                tracing::warn!(
                    dir = %low.dir.display(),
                    free_bytes = low.free,
                    wanted_bytes = low.wanted,
                    "the disk is getting full: the server stops when it cannot write its log"
                );
                quiet = REPEAT_AFTER;
            }
            Ok(Some(_)) => quiet -= 1,
            _ => quiet = 0,
        }
    }
}

struct Low {
    dir: PathBuf,
    free: u64,
    wanted: u64,
}

fn low(dirs: &DataDirs, files: &dyn Files) -> Option<Low> {
    let newest = dirs.snapshots(files).ok()?.first().map_or(0, |s| s.len);
    for (dir, wanted) in [
        (dirs.data_log_dir(), LOW_BYTES),
        (
            dirs.data_dir(),
            LOW_BYTES.max(newest.saturating_mul(LOW_SNAPSHOTS)),
        ),
    ] {
        let free = free(dir).ok()?.bytes;
        if free < wanted {
            return Some(Low {
                dir: dir.to_path_buf(),
                free,
                wanted,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_really_allocated_and_given_up() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let dirs = DataDirs::new(dir.path(), None);
        let file = dir.path().join(RESERVE_FILE);
        for _ in 0..2 {
            hold_reserve(&dirs);
            let meta = std::fs::metadata(&file).unwrap();
            assert_eq!(meta.len(), RESERVE_BYTES);
            assert!(meta.blocks() * 512 >= RESERVE_BYTES);
        }
        give_up_reserve(&dirs);
        assert!(!file.exists());
    }

    #[test]
    fn a_directory_that_is_to_be_made_is_as_free_as_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free(&dir.path().join("a/b")).unwrap().bytes > 0);
    }
}
