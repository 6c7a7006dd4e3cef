//! The directories of a server: where files are, which name means what, who may work in them.

use crate::error::{Context, StoreError};
use crate::files::{Files, Listed, Lock, LockError, UNFINISHED};
use std::io::ErrorKind::{InvalidInput, NotFound, PermissionDenied, Unsupported};
use std::path::{Path, PathBuf};

/// Start of the names of logs, without the dot.
pub const LOG: &str = "log";
/// Start of the names of snapshots, without the dot.
pub const SNAPSHOT: &str = "snapshot";
/// Name of the lock file in each of the two directories.
pub const LOCK_FILE: &str = "zooid.lock";
/// Name of the marker by which an operator lets an empty server vote.
pub const INITIALIZE: &str = "initialize";

const VERSION_DIR: &str = "version-2";

/// dataDir and dataLogDir of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirs {
    data: PathBuf,
    log: PathBuf,
}

/// The right to work in the directories; ends when dropped.
#[derive(Debug)]
pub struct DirLocks {
    _locks: Vec<Box<dyn Lock>>,
}

/// A log or snapshot, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The zxid in its name, 0 or more.
    pub zxid: i64,
    /// Length in bytes.
    pub len: u64,
}

impl DataDirs {
    /// The directories of a configuration; `data_log_dir` defaults to `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>, data_log_dir: Option<PathBuf>) -> DataDirs {
        let data = data_dir.into();
        let log = data_log_dir.unwrap_or_else(|| data.clone());
        DataDirs { data, log }
    }

    /// dataDir itself.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// dataLogDir itself.
    pub fn data_log_dir(&self) -> &Path {
        &self.log
    }

    /// Where snapshots and epoch files are.
    pub fn snap_dir(&self) -> PathBuf {
        self.data.join(VERSION_DIR)
    }

    /// Where logs are.
    pub fn log_dir(&self) -> PathBuf {
        self.log.join(VERSION_DIR)
    }

    /// The marker "an empty database may vote", beside the log directory.
    pub fn initialize_marker(&self) -> PathBuf {
        self.log.join(INITIALIZE)
    }

    /// Creates what is missing (unless `autocreate` is off), refuses directories that were
    /// swapped, and takes the locks. Every error here is one of the configuration (Java: exit
    /// code 3).
    pub fn open(&self, files: &dyn Files, autocreate: bool) -> Result<DirLocks, StoreError> {
        for dir in [self.log_dir(), self.snap_dir()] {
            match files.stat(&dir).on("look at", &dir)? {
                Some(meta) if meta.is_dir => {}
                Some(_) => return Err(directory(&dir, "is not a directory")),
                None if autocreate => create(files, &dir)?,
                None => {
                    return Err(directory(
                        &dir,
                        "does not exist, and zookeeper.datadir.autocreate=false forbids to \
                         create it",
                    ));
                }
            }
        }
        self.check_separation(files)?;
        let locks = self.lock(files)?;
        for dir in [&self.data, &self.log] {
            keep_name(files, dir)?;
        }
        Ok(locks)
    }

    /// Refuses snapshots in a separate log directory and logs in a separate snapshot directory:
    /// dataDir and dataLogDir were swapped, or one was joined to the other without moving the
    /// files. The test is on the start of the name alone, as in FileTxnSnapLog.
    pub fn check_separation(&self, files: &dyn Files) -> Result<(), StoreError> {
        let (log_dir, snap_dir) = (self.log_dir(), self.snap_dir());
        if self.same_dir(files) {
            return Ok(());
        }
        for (dir, prefix, advice) in [
            (
                &log_dir,
                "snapshot.",
                "the log directory (dataLogDir) must not hold snapshots",
            ),
            (
                &snap_dir,
                "log.",
                "the snapshot directory (dataDir) must not hold logs",
            ),
        ] {
            let names = list(files, dir)?;
            if let Some(found) = names.iter().find(|entry| entry.name.starts_with(prefix)) {
                return Err(directory(
                    dir,
                    &format!(
                        "holds {}: {advice}; were dataDir and dataLogDir swapped, or files left \
                         behind when dataLogDir was introduced?",
                        found.name
                    ),
                ));
            }
        }
        Ok(())
    }

    fn lock(&self, files: &dyn Files) -> Result<DirLocks, StoreError> {
        let mut dirs = vec![&self.data];
        if !self.same_dir(files) {
            dirs.push(&self.log);
        }
        let mut locks = Vec::new();
        for dir in dirs {
            let path = dir.join(LOCK_FILE);
            match files.lock(&path) {
                Ok(lock) => locks.push(lock),
                Err(LockError::Io(error)) => {
                    return Err(directory(dir, &format!("is not writable: {error}")));
                }
                Err(source) => return Err(StoreError::Locked { path, source }),
            }
        }
        Ok(DirLocks { _locks: locks })
    }

    fn same_dir(&self, files: &dyn Files) -> bool {
        files.same(&self.data, &self.log)
    }

    /// Logs that count, oldest first. Names whose zxid does not parse, or is negative, are not
    /// logs; `log.1.bak` is one, as for Java.
    pub fn logs(&self, files: &dyn Files) -> Result<Vec<NamedFile>, StoreError> {
        named(files, &self.log_dir(), LOG)
    }

    /// Snapshots by name, newest first, without a look inside.
    pub fn snapshots(&self, files: &dyn Files) -> Result<Vec<NamedFile>, StoreError> {
        let mut found = named(files, &self.snap_dir(), SNAPSHOT)?;
        found.reverse();
        Ok(found)
    }

    /// Removes files that a crash left unfinished. They have no name that a reader looks at.
    pub fn remove_unfinished(&self, files: &dyn Files) -> Result<Vec<PathBuf>, StoreError> {
        let mut dirs = vec![self.log_dir()];
        if !self.same_dir(files) {
            dirs.push(self.snap_dir());
        }
        let mut removed = Vec::new();
        for dir in dirs {
            for entry in list(files, &dir)? {
                if entry.name.starts_with(UNFINISHED) && !entry.is_dir {
                    let path = dir.join(entry.name);
                    files.remove(&path).on("remove", &path)?;
                    removed.push(path);
                }
            }
        }
        Ok(removed)
    }
}

/// The zxid in a file name: the second part between dots, as hex, whatever follows. `None` if the
/// first part is another one, or the second is no 63-bit number (Java's parser lets a sign pass
/// and then ignores negative zxids, or those of 2^63 and more).
pub fn zxid_of(name: &str, prefix: &str) -> Option<i64> {
    let mut parts = name.split('.');
    if parts.next() != Some(prefix) {
        return None;
    }
    let zxid = i64::from_str_radix(parts.next()?, 16).ok()?;
    (zxid >= 0).then_some(zxid)
}

/// The name of the log whose first entry is `zxid`.
pub fn log_name(zxid: i64) -> String {
    format!("{LOG}.{zxid:x}")
}

fn named(files: &dyn Files, dir: &Path, prefix: &str) -> Result<Vec<NamedFile>, StoreError> {
    let mut found: Vec<NamedFile> = list(files, dir)?
        .into_iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| {
            let zxid = zxid_of(&entry.name, prefix)?;
            let path = dir.join(&entry.name);
            Some(NamedFile {
                path,
                zxid,
                len: entry.len,
            })
        })
        .collect();
    // Java leaves files of one zxid in the order of the directory; a fixed order repeats.
    found.sort_by(|a, b| (a.zxid, &a.path).cmp(&(b.zxid, &b.path)));
    Ok(found)
}

/// Creates a directory with its parents, so that it stays.
fn create(files: &dyn Files, dir: &Path) -> Result<(), StoreError> {
    let mut missing = Vec::new();
    for parent in dir.ancestors().skip(1) {
        if files.stat(parent).on("look at", parent)?.is_some() {
            break;
        }
        missing.push(parent);
    }
    files
        .create_dirs(dir)
        .map_err(|error| directory(dir, &format!("cannot be created: {error}")))?;
    for parent in missing {
        keep_name(files, parent)?;
    }
    Ok(())
}

/// Makes the names in a directory, and its own name, durable: whoever created it may have been
/// killed before that, and everything acknowledged in it would go with the name.
fn keep_name(files: &dyn Files, dir: &Path) -> Result<(), StoreError> {
    files.sync_dir(dir).on("sync directory", dir)?;
    let Some(parent) = dir.parent().filter(|parent| *parent != Path::new("")) else {
        return Ok(());
    };
    match files.sync_dir(parent) {
        // Somebody else made the directory for us, and with time its name is durable: the parent
        // may be out of reach, or on a file system that cannot do this.
        Err(error) if matches!(error.kind(), PermissionDenied | InvalidInput | Unsupported) => {
            Ok(())
        }
        result => result.on("sync directory", parent),
    }
}

/// The entries of a directory; a directory that does not exist has none.
pub(crate) fn list(files: &dyn Files, dir: &Path) -> Result<Vec<Listed>, StoreError> {
    match files.list(dir) {
        Err(error) if error.kind() == NotFound => Ok(Vec::new()),
        result => result.on("list", dir),
    }
}

fn directory(path: &Path, what: &str) -> StoreError {
    StoreError::Directory {
        path: path.to_path_buf(),
        what: what.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::MemFiles;

    #[test]
    fn names_parse_as_java_reads_them() {
        for (name, zxid) in [
            ("log.1", Some(1)),
            ("log.1.bak", Some(1)),
            ("log.ABC", Some(0xabc)),
            ("log.100000001", Some(0x1_0000_0001)),
            ("log.0", Some(0)),
            ("log.", None),
            ("log", None),
            ("log.foo", None),
            ("log.-5", None),
            ("log.ffffffffffffffff", None),
            ("logs.1", None),
            ("snapshot.1", None),
            ("zooid-unfinished.log.1", None),
        ] {
            assert_eq!(zxid_of(name, LOG), zxid, "{name}");
        }
        assert_eq!(zxid_of("snapshot.d.tmp", SNAPSHOT), Some(0xd));
        assert_eq!(log_name(0x1_0000_002a), "log.10000002a");
    }

    #[test]
    fn missing_directories_are_made_only_when_allowed() {
        let files = MemFiles::default();
        let dirs = DataDirs::new("/a/data", None);
        let refused = dirs.open(&files, false).unwrap_err();
        assert!(
            refused.to_string().contains("datadir.autocreate"),
            "{refused}"
        );
        drop(dirs.open(&files, true).unwrap());
        dirs.open(&files, false).unwrap();
    }

    #[test]
    fn zookeeper_2967_swapped_directories_are_refused() {
        let files = MemFiles::default();
        let dirs = DataDirs::new("/data", Some("/log".into()));
        drop(dirs.open(&files, true).unwrap());
        files
            .create(Path::new("/log/version-2/snapshot.foo"))
            .unwrap();
        let refused = dirs.open(&files, true).unwrap_err().to_string();
        assert!(
            refused.contains("snapshot.foo") && refused.contains("/log/version-2"),
            "{refused}"
        );
        files
            .remove(Path::new("/log/version-2/snapshot.foo"))
            .unwrap();
        files.create(Path::new("/data/version-2/log.1")).unwrap();
        assert!(
            dirs.open(&files, true)
                .unwrap_err()
                .to_string()
                .contains("log.1")
        );
        // One directory for both may hold both.
        DataDirs::new("/data", None).open(&files, true).unwrap();
    }

    #[test]
    fn a_second_server_is_refused_in_either_directory() {
        let files = MemFiles::default();
        let first = DataDirs::new("/data", Some("/log".into()));
        let _held = first.open(&files, true).unwrap();
        for other in [
            DataDirs::new("/data", None),
            DataDirs::new("/other", Some("/log".into())),
        ] {
            let refused = other.open(&files, true).unwrap_err();
            assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
            assert!(refused.to_string().contains("process"), "{refused}");
        }
    }
}
