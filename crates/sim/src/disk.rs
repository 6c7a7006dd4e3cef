//! A disk that does all that disks may do.
//!
//! What programs see (the page cache) and what a power cut leaves (the durable image) are kept
//! apart. Until a file is synced, each of its written sectors may have reached the disk or not, in
//! any version and any order, and so may its length; until a directory is synced, so may each
//! change of its names. Syncs and writes fail when they are told to, after having done a part.

use crate::dice::{Dice, hash};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zooid_store::files::{File, Files, Listed, Lock, LockError, Meta};

/// What a disk writes whole or not at all, bytes.
pub const SECTOR: usize = 512;

/// Files on a faulty disk; clones share it.
#[derive(Debug, Clone)]
pub struct FaultyFiles {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    disk: Disk,
    /// The disk as it was before each operation since the last look.
    boundaries: Option<Vec<Disk>>,
}

/// A disk with its cache at one moment. Copies share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    dirs: BTreeMap<PathBuf, Arc<Dir>>,
    inodes: BTreeMap<u64, Arc<Inode>>,
    next_inode: u64,
    locks: BTreeSet<PathBuf>,
    faults: Faults,
    seed: u64,
    /// Operations that change something, so far.
    ops: u64,
    /// Time that operations took, us.
    busy_us: u64,
    /// Faults that happened.
    happened: Happened,
}

/// What goes wrong, and when; operations are counted from the beginning of the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first operation of this kind from then on fails, once.
    pub fails: Option<(Op, u64)>,
    /// No room from then on: files cannot be made or get new content. A write gets a part done.
    pub full_from: Option<u64>,
    /// How many times longer than a good disk everything takes; 0 counts as 1.
    pub slowness: u64,
}

/// Kinds of operations that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// create
    Create,
    /// write_at
    Write,
    /// set_len
    SetLen,
    /// sync_data
    Sync,
    /// rename
    Rename,
    /// remove
    Remove,
    /// sync_dir
    SyncDir,
}

/// How often each fault happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Happened {
    /// Operations that failed once.
    pub failed: u64,
    /// Operations refused for want of room.
    pub full: u64,
    /// Writes of which a part was done before an error.
    pub short: u64,
}

/// How stored bytes rot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rot {
    /// One bit turns around.
    Bit,
    /// Several bits of one sector turn around.
    Bits,
    /// A sector reads as something else.
    Noise,
    /// A sector reads as zeros.
    Zeros,
}

/// All kinds of rot.
pub const ROT: [Rot; 4] = [Rot::Bit, Rot::Bits, Rot::Noise, Rot::Zeros];

/// What ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process alone: the cache stays, and what was not durable still is not.
    Kill,
    /// The power: nothing is kept but what was synced.
    PowerNothingKept,
    /// The power, just after the disk was done with everything.
    PowerAllKept,
    /// The power: any part is kept. The number chooses it.
    Power(u64),
}

#[derive(Debug, Clone, Default)]
struct Dir {
    cache: BTreeMap<String, Entry>,
    durable: BTreeMap<String, Entry>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(u64),
    Dir,
}

#[derive(Debug, Clone)]
enum Change {
    Link(String, Entry),
    Unlink(String),
    Rename(String, String, Entry),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    cache: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// What was written to each sector since the last sync, oldest first.
    dirty: BTreeMap<usize, Vec<Arc<[u8; SECTOR]>>>,
    /// Lengths since the last sync.
    lens: Vec<usize>,
}

#[derive(Debug)]
struct FaultyFile {
    files: FaultyFiles,
    inode: u64,
}

#[derive(Debug)]
struct FaultyLock {
    files: FaultyFiles,
    path: PathBuf,
}

impl Lock for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.files.lock_shared().disk.locks.remove(&self.path);
    }
}

impl FaultyFiles {
    /// The files on a disk.
    pub fn new(disk: Disk) -> FaultyFiles {
        FaultyFiles {
            shared: Arc::new(Mutex::new(Shared {
                disk,
                boundaries: None,
            })),
        }
    }

    /// From now on the disk is kept as it was before each operation.
    pub fn record(&self) {
        self.lock_shared().boundaries = Some(Vec::new());
    }

    /// What [`FaultyFiles::record`] has kept since the last call.
    pub fn take_boundaries(&self) -> Vec<Disk> {
        let mut shared = self.lock_shared();
        shared
            .boundaries
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The disk now.
    pub fn disk(&self) -> Disk {
        self.lock_shared().disk.clone()
    }

    /// Replaces what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock_shared().disk.faults = faults;
    }

    /// Operations so far.
    pub fn ops(&self) -> u64 {
        self.lock_shared().disk.ops
    }

    /// Time that operations took so far, us.
    pub fn busy_us(&self) -> u64 {
        self.lock_shared().disk.busy_us
    }

    /// Faults so far.
    pub fn happened(&self) -> Happened {
        self.lock_shared().disk.happened
    }

    fn lock_shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an operation that changes something; an error is the answer to it.
    fn begin(&self, op: Op) -> (MutexGuard<'_, Shared>, io::Result<()>) {
        let mut shared = self.lock_shared();
        let Shared { disk, boundaries } = &mut *shared;
        if let Some(boundaries) = boundaries {
            boundaries.push(disk.clone());
        }
        let answer = disk.begin(op);
        (shared, answer)
    }
}

impl Disk {
    /// An empty disk whose choices come from `seed`; `dirs` are on it from the beginning.
    pub fn new<'p>(seed: u64, dirs: impl IntoIterator<Item = &'p str>) -> Disk {
        let mut disk = Disk {
            seed,
            ..Disk::default()
        };
        disk.dirs.insert("/".into(), Arc::default());
        for dir in dirs {
            disk.make_dirs(Path::new(dir));
        }
        let everything = Crash::PowerAllKept;
        disk.crash(everything)
    }

    /// The disk as the next process finds it.
    pub fn crash(&self, how: Crash) -> Disk {
        let mut next = self.clone();
        next.locks.clear();
        next.faults = Faults::default();
        if how != Crash::Kill {
            let seed = match how {
                Crash::Power(seed) => seed,
                _ => 0,
            };
            next.inodes = BTreeMap::new();
            for (number, inode) in &self.inodes {
                let choice = Choice::new(how, hash(seed, 1, *number));
                next.inodes.insert(*number, Arc::new(inode.after(choice)));
            }
            next.dirs.clear();
            self.dir_after(Path::new("/"), how, seed, &mut next.dirs);
        }
        next.forget_unreachable();
        next
    }

    fn dir_after(
        &self,
        path: &Path,
        how: Crash,
        seed: u64,
        into: &mut BTreeMap<PathBuf, Arc<Dir>>,
    ) {
        let before = self.dirs.get(path).cloned().unwrap_or_default();
        let key = path.to_string_lossy().bytes().fold(0, |hash, byte| {
            u64::from(byte).wrapping_add(hash << 5).wrapping_sub(hash)
        });
        let mut choice = Choice::new(how, hash(seed, 2, key));
        let mut names = before.durable.clone();
        for change in &before.pending {
            if choice.keeps() {
                change.apply(&mut names);
            }
        }
        for (name, entry) in &names {
            if *entry == Entry::Dir {
                self.dir_after(&path.join(name), how, seed, into);
            }
        }
        let after = Dir {
            cache: names.clone(),
            durable: names,
            pending: Vec::new(),
        };
        into.insert(path.to_path_buf(), Arc::new(after));
    }

    fn forget_unreachable(&mut self) {
        let mut reachable = BTreeSet::new();
        for dir in self.dirs.values() {
            let pending = dir.pending.iter().filter_map(|change| match change {
                Change::Link(_, entry) | Change::Rename(_, _, entry) => Some(entry),
                Change::Unlink(_) => None,
            });
            for entry in dir
                .cache
                .values()
                .chain(dir.durable.values())
                .chain(pending)
            {
                if let Entry::File(inode) = entry {
                    reachable.insert(*inode);
                }
            }
        }
        self.inodes.retain(|inode, _| reachable.contains(inode));
    }

    /// Lets one sector of `range` of a file rot, in the cache and on the disk; the bytes that are
    /// others now. Nothing outside `range` changes. (Zeros that read as zeros change nothing.)
    pub fn rot(&mut self, path: &Path, range: Range<usize>, how: Rot, seed: u64) -> Range<usize> {
        let mut dice = Dice::new(seed, 6);
        let at = range.start + dice.below(range.len() as u64) as usize;
        let sector = at / SECTOR * SECTOR;
        let part = sector.max(range.start)..(sector + SECTOR).min(range.end);
        let before = self.content(path).expect("a file to damage");
        let mut bytes = before[part.clone()].to_vec();
        match how {
            Rot::Bit => bytes[at - part.start] ^= 1 << dice.below(8),
            Rot::Bits => {
                for _ in 0..2 + dice.below(15) {
                    let at = dice.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << dice.below(8);
                }
            }
            Rot::Noise => bytes.fill_with(|| 1 + dice.below(255) as u8),
            Rot::Zeros => bytes.fill(0),
        }
        let inode = self.file(path).expect("it has content");
        let inode = Arc::make_mut(self.inodes.get_mut(&inode).expect("an entry has an inode"));
        for content in [&mut inode.cache, &mut inode.durable] {
            if let Some(content) = Arc::make_mut(content).get_mut(part.clone()) {
                content.copy_from_slice(&bytes);
            }
        }
        let differs = |at: &usize| before[part.start + at] != bytes[*at];
        let first = (0..bytes.len()).find(differs).unwrap_or(0);
        let end = (0..bytes.len()).rfind(differs).map_or(first, |at| at + 1);
        part.start + first..part.start + end
    }

    /// The content of a file as programs see it.
    pub fn content(&self, path: &Path) -> Option<Arc<Vec<u8>>> {
        let inode = self.file(path).ok()?;
        Some(self.inodes.get(&inode)?.cache.clone())
    }

    /// Operations so far.
    pub fn ops(&self) -> u64 {
        self.ops
    }

    fn begin(&mut self, op: Op) -> io::Result<()> {
        self.ops += 1;
        let cost_us = match op {
            Op::Sync | Op::SyncDir => 500,
            _ => 5,
        };
        self.busy_us += cost_us * self.faults.slowness.max(1);
        if let Some((kind, from)) = self.faults.fails
            && kind == op
            && self.ops >= from
        {
            self.faults.fails = None;
            self.happened.failed += 1;
            return Err(io::Error::other("the disk reports an error"));
        }
        let needs_room = matches!(op, Op::Create | Op::Write);
        if needs_room && self.faults.full_from.is_some_and(|from| self.ops >= from) {
            self.happened.full += 1;
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn dir(&self, path: &Path) -> io::Result<&Arc<Dir>> {
        self.dirs
            .get(path)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn dir_of(&mut self, path: &Path) -> io::Result<&mut Dir> {
        let dir = path.parent().unwrap_or(Path::new("/"));
        let dir = self.dirs.get_mut(dir).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::make_mut(dir))
    }

    fn entry(&self, path: &Path) -> Option<Entry> {
        let Some(dir) = path.parent() else {
            return Some(Entry::Dir);
        };
        let dir = self.dirs.get(dir)?;
        dir.cache.get(&name(path)).copied()
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.entry(path) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn make_dirs(&mut self, path: &Path) {
        if self.dirs.contains_key(path) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.make_dirs(parent);
        }
        let dir = self.dir_of(path).expect("made above");
        dir.change(Change::Link(name(path), Entry::Dir));
        self.dirs.insert(path.to_path_buf(), Arc::default());
    }

    fn inode(&mut self, number: u64) -> &mut Inode {
        Arc::make_mut(self.inodes.entry(number).or_default())
    }
}

/// Which part of what is not durable a crash keeps.
struct Choice {
    how: Crash,
    dice: Dice,
    /// Of 16.
    likely: u64,
}

impl Choice {
    fn new(how: Crash, seed: u64) -> Choice {
        let mut dice = Dice::new(seed, 3);
        let likely = dice.of(&[1, 4, 8, 12, 15]);
        Choice { how, dice, likely }
    }

    fn keeps(&mut self) -> bool {
        match self.how {
            Crash::Kill | Crash::PowerAllKept => true,
            Crash::PowerNothingKept => false,
            Crash::Power(_) => self.dice.below(16) < self.likely,
        }
    }

    /// Which one of `n` that were written in this order is the last to have reached the disk.
    fn version(&mut self, n: usize) -> usize {
        match self.how {
            Crash::Power(_) if self.dice.once_in(4) => self.dice.below(n as u64) as usize,
            _ => n - 1,
        }
    }
}

impl Dir {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.cache);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Entry>) {
        match self {
            Change::Link(name, entry) => {
                names.insert(name.clone(), *entry);
            }
            Change::Unlink(name) => {
                names.remove(name);
            }
            Change::Rename(from, to, entry) => {
                if names.get(from) == Some(entry) {
                    names.remove(from);
                }
                names.insert(to.clone(), *entry);
            }
        }
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        let cache = Arc::make_mut(&mut self.cache);
        if cache.len() < end {
            cache.resize(end, 0);
            self.lens.push(end);
        } else if self.lens.is_empty() && cache.len() != self.durable.len() {
            // After a failed sync: a later write takes the length along again.
            self.lens.push(cache.len());
        }
        cache[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            self.touch(sector);
        }
    }

    fn set_len(&mut self, len: usize) {
        let before = self.cache.len();
        Arc::make_mut(&mut self.cache).resize(len, 0);
        self.lens.push(len);
        // What is cut off reads as zeros when the file grows again.
        for sector in len / SECTOR..before.div_ceil(SECTOR) {
            self.touch(sector);
        }
    }

    fn touch(&mut self, sector: usize) {
        let mut content = [0; SECTOR];
        let start = (sector * SECTOR).min(self.cache.len());
        let end = (start + SECTOR).min(self.cache.len());
        content[..end - start].copy_from_slice(&self.cache[start..end]);
        self.dirty
            .entry(sector)
            .or_default()
            .push(Arc::new(content));
    }

    /// The disk has what `choice` says of what is dirty; nothing is dirty any more. The cache
    /// stays: after a failed sync programs still read what is not on the disk.
    fn settle(&mut self, mut choice: Choice) {
        let durable = Arc::make_mut(&mut self.durable);
        if !self.lens.is_empty() && choice.keeps() {
            let len = self.lens[choice.version(self.lens.len())];
            durable.resize(len, 0);
        }
        for (sector, versions) in std::mem::take(&mut self.dirty) {
            if !choice.keeps() {
                continue;
            }
            let content = &versions[choice.version(versions.len())];
            let start = (sector * SECTOR).min(durable.len());
            let end = (start + SECTOR).min(durable.len());
            durable[start..end].copy_from_slice(&content[..end - start]);
        }
        self.lens.clear();
    }

    fn after(&self, choice: Choice) -> Inode {
        let mut after = self.clone();
        after.settle(choice);
        after.cache = after.durable.clone();
        after
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

impl Files for FaultyFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let shared = self.lock_shared();
        let disk = &shared.disk;
        let listed = disk.dir(dir)?.cache.iter().map(|(name, entry)| Listed {
            name: name.clone(),
            len: match entry {
                Entry::File(inode) => disk.inodes[inode].cache.len() as u64,
                Entry::Dir => 0,
            },
            is_dir: *entry == Entry::Dir,
        });
        Ok(listed.collect())
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        let (mut shared, answer) = self.begin(Op::Create);
        answer?;
        shared.disk.make_dirs(dir);
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Meta>> {
        let shared = self.lock_shared();
        let disk = &shared.disk;
        Ok(disk.entry(path).map(|entry| Meta {
            len: match entry {
                Entry::File(inode) => disk.inodes[&inode].cache.len() as u64,
                Entry::Dir => 0,
            },
            is_dir: entry == Entry::Dir,
            modified_s: 0,
        }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let inode = self.lock_shared().disk.file(path)?;
        let files = self.clone();
        Ok(Box::new(FaultyFile { files, inode }))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open_read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let (mut shared, answer) = self.begin(Op::Create);
        answer?;
        let disk = &mut shared.disk;
        let inode = match disk.file(path) {
            Ok(inode) => {
                disk.inode(inode).set_len(0);
                inode
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                disk.next_inode += 1;
                let inode = disk.next_inode;
                let dir = disk.dir_of(path)?;
                dir.change(Change::Link(name(path), Entry::File(inode)));
                disk.inodes.insert(inode, Arc::default());
                inode
            }
            Err(error) => return Err(error),
        };
        drop(shared);
        let files = self.clone();
        Ok(Box::new(FaultyFile { files, inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(from.parent(), to.parent(), "renames stay in a directory");
        let (mut shared, answer) = self.begin(Op::Rename);
        answer?;
        let entry = Entry::File(shared.disk.file(from)?);
        let dir = shared.disk.dir_of(from)?;
        dir.change(Change::Rename(name(from), name(to), entry));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut shared, answer) = self.begin(Op::Remove);
        answer?;
        shared.disk.file(path)?;
        shared.disk.dir_of(path)?.change(Change::Unlink(name(path)));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut shared, answer) = self.begin(Op::SyncDir);
        answer?;
        let dir = shared.disk.dirs.get_mut(dir).ok_or(ErrorKind::NotFound)?;
        let dir = Arc::make_mut(dir);
        dir.pending.clear();
        dir.durable = dir.cache.clone();
        Ok(())
    }

    fn same(&self, a: &Path, b: &Path) -> bool {
        a == b
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        if self.lock_shared().disk.locks.contains(path) {
            return Err(LockError::Held { holder: None });
        }
        self.create(path)?;
        self.lock_shared().disk.locks.insert(path.to_path_buf());
        Ok(Box::new(FaultyLock {
            files: self.clone(),
            path: path.to_path_buf(),
        }))
    }
}

impl File for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        let shared = self.files.lock_shared();
        Ok(shared.disk.inodes[&self.inode].cache.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let shared = self.files.lock_shared();
        let content = &shared.disk.inodes[&self.inode].cache;
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|at| content.get(at..))
            .unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut shared, answer) = self.files.begin(Op::Write);
        let disk = &mut shared.disk;
        let offset = usize::try_from(offset).map_err(|_| ErrorKind::InvalidInput)?;
        let done = match &answer {
            Ok(()) => bytes.len(),
            // File systems give room by blocks.
            Err(_) => {
                let end = offset + hash(disk.seed, 4, disk.ops) as usize % (bytes.len() + 1);
                (end / SECTOR * SECTOR).saturating_sub(offset)
            }
        };
        if done < bytes.len() {
            disk.happened.short += 1;
        }
        if done > 0 {
            disk.inode(self.inode).write(&bytes[..done], offset);
        }
        answer
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let (mut shared, answer) = self.files.begin(Op::SetLen);
        answer?;
        let len = usize::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
        shared.disk.inode(self.inode).set_len(len);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let (mut shared, answer) = self.files.begin(Op::Sync);
        let disk = &mut shared.disk;
        // After an error the kernel takes the pages for clean, whatever reached the disk.
        let how = match &answer {
            Ok(()) => Crash::PowerAllKept,
            Err(_) => Crash::Power(0),
        };
        let choice = Choice::new(how, hash(disk.seed, 5, disk.ops));
        disk.inode(self.inode).settle(choice);
        answer
    }
}
