//! What the store asks of a file system, small enough that a simulated disk can answer it: every
//! call is one step that can fail or be the last one before a crash.

use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A file system.
///
/// A write is durable once [`File::sync_data`] returned; a name is durable once
/// [`Files::sync_dir`] of its directory returned.
pub trait Files: Send + Sync + fmt::Debug {
    /// The entries of a directory, in any order. Names that are not Unicode come with U+FFFD.
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>>;
    /// Creates a directory and its parents; existing ones are fine.
    fn create_dirs(&self, dir: &Path) -> io::Result<()>;
    /// What a path is, `None` if it is nothing.
    fn stat(&self, path: &Path) -> io::Result<Option<Meta>>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing file for writing; its content stays.
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Creates a file, or empties an existing one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a file's name away. One that is gone already is no error: a purge runs beside the rest.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Whether two paths name one existing directory.
    fn same(&self, a: &Path, b: &Path) -> bool;
    /// Takes an exclusive lock on a file, created if need be, that ends with the returned guard or
    /// with the process, and writes the process id into it.
    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, LockError>;
}

/// An open file.
pub trait File: Send + fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads at most `buf.len()` bytes at an offset; 0 means end of file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at an offset; a gap before it reads as zeros.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Makes the content durable (fdatasync). After an error the file must not be used any more:
    /// the kernel may have dropped the pages and report success the next time.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// A lock that is held.
pub trait Lock: Send + fmt::Debug {}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Name without the directory.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Length in bytes.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Time of the last change, s since 1970; 0 where the file system keeps none.
    pub modified_s: i64,
}

/// Why a lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("has it, process {}", .holder.map_or("?".to_string(), |pid| pid.to_string()))]
    Held {
        /// Process id found in the file.
        holder: Option<u32>,
    },
    /// The file could not be created or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The file system of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFiles;

#[derive(Debug)]
struct OsFile(fs::File);

#[derive(Debug)]
struct OsLock {
    _file: fs::File,
}

impl Lock for OsLock {}

impl Files for OsFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // The target counts, as for Java: operators do link files between directories.
            let meta = match fs::metadata(entry.path()) {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(Listed {
                name: entry.file_name().to_string_lossy().into_owned(),
                len: meta.len(),
                is_dir: meta.is_dir(),
            });
        }
        Ok(entries)
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Meta>> {
        match fs::metadata(path) {
            Ok(meta) => {
                let modified = meta.modified().ok();
                let modified = modified.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
                Ok(Some(Meta {
                    len: meta.len(),
                    is_dir: meta.is_dir(),
                    modified_s: modified.map_or(0, |d| d.as_secs().cast_signed()),
                }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(OsFile(fs::File::open(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut how = fs::OpenOptions::new();
        how.read(true).write(true).create(true).truncate(true);
        Ok(Box::new(OsFile(how.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn same(&self, a: &Path, b: &Path) -> bool {
        a == b || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        let mut how = fs::OpenOptions::new();
        how.read(true).write(true).create(true).truncate(false);
        let mut file = how.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.take(32).read_to_string(&mut text);
                let holder = text.trim().parse().ok();
                return Err(LockError::Held { holder });
            }
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Box::new(OsLock { _file: file }))
    }
}

#[cfg(unix)]
impl File for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match std::os::unix::fs::FileExt::read_at(&self.0, buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Reads a small file whole, at most `limit` bytes of it.
pub(crate) fn read_small(files: &dyn Files, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = files.open_read(path)?;
    let mut bytes = vec![0; limit];
    let mut have = 0;
    while have < limit {
        match file.read_at(&mut bytes[have..], have as u64)? {
            0 => break,
            n => have += n,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// A path beside `path` that means nothing to Java: its name starts with neither `log.` nor
/// `snapshot.`, so that no reader takes an unfinished file for a finished one.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{UNFINISHED}{name}"))
}

/// Start of the names of unfinished files.
pub(crate) const UNFINISHED: &str = "zooid-unfinished.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zooid.lock");
        let held = OsFiles.lock(&path).unwrap();
        match OsFiles.lock(&path) {
            Err(LockError::Held { holder }) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(held);
        OsFiles.lock(&path).unwrap();
    }

    #[test]
    fn writing_past_the_end_leaves_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = OsFiles.create(&path).unwrap();
        file.write_at(b"x", 9).unwrap();
        file.write_at(b"ab", 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(
            read_small(&OsFiles, &path, 64).unwrap(),
            b"ab\0\0\0\0\0\0\0x"
        );
        assert_eq!(OsFiles.stat(&path).unwrap().unwrap().len, 10);
        assert_eq!(OsFiles.stat(&dir.path().join("no")).unwrap(), None);
    }
}
