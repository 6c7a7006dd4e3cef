//! A file system in memory, for tests that need no disk.

use crate::files::{File, Files, Listed, Lock, LockError, Meta};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Content = Arc<Mutex<Vec<u8>>>;

/// Files in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemFiles {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Content>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct MemFile(Content);

#[derive(Debug)]
struct MemLock {
    files: MemFiles,
    path: PathBuf,
}

impl MemFiles {
    /// Every file with its content, by path.
    pub fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        state
            .files
            .iter()
            .map(|(path, content)| (path.clone(), guard(content).clone()))
            .collect()
    }

    /// Puts a file there, with its directories.
    pub fn put(&self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) {
        let path = path.into();
        if let Some(dir) = path.parent() {
            let _ = self.create_dirs(dir);
        }
        self.state()
            .files
            .insert(path, Arc::new(Mutex::new(bytes.into())));
    }

    /// The content of a file.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        state
            .files
            .get(path.as_ref())
            .map(|content| guard(content).clone())
    }

    /// A copy that shares nothing.
    pub fn fork(&self) -> MemFiles {
        let copy = MemFiles::default();
        for (path, bytes) in self.contents() {
            copy.put(path, bytes);
        }
        copy.state().dirs.extend(self.state().dirs.iter().cloned());
        copy
    }

    fn state(&self) -> MutexGuard<'_, State> {
        guard(&self.state)
    }

    fn content(&self, path: &Path) -> io::Result<Content> {
        self.state()
            .files
            .get(path)
            .cloned()
            .ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files for MemFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let state = self.state();
        if !state.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let name = |path: &Path| {
            let inside = path.parent() == Some(dir);
            inside.then(|| {
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            })
        };
        let files = state.files.iter().filter_map(|(path, content)| {
            let len = guard(content).len() as u64;
            Some(Listed {
                name: name(path)?,
                len,
                is_dir: false,
            })
        });
        let dirs = state.dirs.iter().filter_map(|path| {
            Some(Listed {
                name: name(path)?,
                len: 0,
                is_dir: true,
            })
        });
        Ok(files.chain(dirs).collect())
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        for dir in dir.ancestors() {
            state.dirs.insert(dir.to_path_buf());
        }
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Meta>> {
        let state = self.state();
        if state.dirs.contains(path) {
            return Ok(Some(Meta {
                len: 0,
                is_dir: true,
                modified_s: 0,
            }));
        }
        let found = state
            .files
            .get(path)
            .map(|content| guard(content).len() as u64);
        Ok(found.map(|len| Meta {
            len,
            is_dir: false,
            modified_s: 0,
        }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(MemFile(self.content(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(MemFile(self.content(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        if path.parent().is_some_and(|dir| !state.dirs.contains(dir)) {
            return Err(ErrorKind::NotFound.into());
        }
        let content = state.files.entry(path.to_path_buf()).or_default().clone();
        guard(&content).clear();
        Ok(Box::new(MemFile(content)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let content = state.files.remove(from).ok_or(ErrorKind::NotFound)?;
        state.files.insert(to.to_path_buf(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().files.remove(path);
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn same(&self, a: &Path, b: &Path) -> bool {
        a == b
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        self.create(path)?;
        if !self.state().locks.insert(path.to_path_buf()) {
            return Err(LockError::Held { holder: None });
        }
        Ok(Box::new(MemLock {
            files: self.clone(),
            path: path.to_path_buf(),
        }))
    }
}

impl File for MemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(guard(&self.0).len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = guard(&self.0);
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|at| content.get(at..))
            .unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = guard(&self.0);
        let start = usize::try_from(offset).map_err(|_| ErrorKind::InvalidInput)?;
        let end = start
            .checked_add(bytes.len())
            .ok_or(ErrorKind::InvalidInput)?;
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
        guard(&self.0).resize(len, 0);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.files.state().locks.remove(&self.path);
    }
}
