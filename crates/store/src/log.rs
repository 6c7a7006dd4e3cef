//! Writing the transaction log: batches of entries, one write and one fdatasync each.
//!
//! A file is a header of 16 bytes and entries back to back: checksum (Adler-32 of the payload
//! alone, in a long), length, payload, the byte `B`. Behind the last entry everything is zero.

use crate::error::{Context, EntryError, StoreError};
use crate::files::{File, Files, unfinished};
use crate::layout::log_name;
use crate::log_reader::LogReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zooid_proto::zxid::{counter, epoch};

/// First bytes of a log.
pub const MAGIC: [u8; 4] = *b"ZKLG";
/// Bytes before the first entry.
pub const HEADER_LEN: u64 = 16;
/// Bytes of an entry before its payload.
pub const ENTRY_HEAD: usize = 12;
/// Last byte of an entry.
pub const END_BYTE: u8 = b'B';
/// Bytes of a transaction header, with which every payload starts.
pub const TXN_HEADER: usize = 32;
/// Most payload bytes of an entry that a default Java server reads back: jute.maxbuffer plus its
/// extra size.
pub const MAX_PAYLOAD: usize = 2_097_150;
/// Most bytes of several entries that the writer leaves without fdatasync; a longer entry is synced
/// by itself. So no whole entry lies farther than this behind one that a crash has torn, which is
/// how recovery tells a torn batch from damage to something acknowledged.
pub const MAX_UNSYNCED: u64 = 8 << 20;

const VERSION: i32 = 2;
/// FilePadding extends the file when fewer bytes than this are left in it.
const PAD_MARGIN: u64 = 4096;

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// preAllocSize in bytes; files grow by this step. 0: no padding.
    pub pre_alloc: u64,
    /// A file longer than this many bytes of entries is not continued (txnLogSizeLimitInKb).
    /// Java compares the padded size, so that a limit below the padding makes a file per batch.
    pub size_limit: Option<u64>,
    /// Whether [`LogWriter::sync`] reaches the disk (forceSync).
    pub force_sync: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            pre_alloc: 64 << 20,
            size_limit: None,
            force_sync: true,
        }
    }
}

/// Entries in the form in which they are written, contiguous.
#[derive(Debug, Clone)]
pub struct LogBatch {
    bytes: Vec<u8>,
    zxids: Option<(i64, i64)>,
    entries: usize,
    /// Where pieces begin that are synced before more is written, with their first zxid; the first
    /// piece begins at 0.
    cuts: Vec<(usize, i64)>,
    max_payload: usize,
}

/// Writes the log of one directory.
///
/// After an error nothing is written any more: a failed fdatasync may report success when it is
/// repeated, although the pages are gone.
#[derive(Debug)]
pub struct LogWriter {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: LogOptions,
    current: Option<Current>,
    last_zxid: Option<i64>,
    given_up: bool,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: Box<dyn File>,
    /// End of the last entry.
    end: u64,
    /// Everything before is durable.
    synced: u64,
    /// Length of the file.
    padded: u64,
}

impl Default for LogBatch {
    fn default() -> Self {
        LogBatch::new(MAX_PAYLOAD)
    }
}

impl LogBatch {
    /// An empty batch whose entries have at most `max_payload` bytes (jute.maxbuffer plus its
    /// extra size, see [`MAX_PAYLOAD`]).
    pub fn new(max_payload: usize) -> LogBatch {
        let max_payload = max_payload.min(i32::MAX as usize);
        LogBatch {
            bytes: Vec::new(),
            zxids: None,
            entries: 0,
            cuts: Vec::new(),
            max_payload,
        }
    }

    /// Appends an entry. A refused one leaves the batch as it was.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), EntryError> {
        self.push_with(|out| out.extend_from_slice(payload))
    }

    /// Appends an entry whose payload `encode` appends to the vector it is given.
    pub fn push_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), EntryError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; ENTRY_HEAD]);
        encode(&mut self.bytes);
        let result = self.seal(start);
        if result.is_err() {
            self.bytes.truncate(start);
        }
        result
    }

    fn seal(&mut self, start: usize) -> Result<(), EntryError> {
        let payload = self.bytes.get(start + ENTRY_HEAD..).unwrap_or(&[]);
        let len = payload.len();
        let max = self.max_payload;
        if len > max {
            return Err(EntryError::TooLong { len, max });
        }
        let zxid = payload_zxid(payload).ok_or(EntryError::TooShort { len })?;
        if let Some((_, previous)) = self.zxids {
            check_order(previous, zxid)?;
        }
        let checksum = u64::from(simd_adler32::adler32(&payload));
        self.bytes[start..start + 8].copy_from_slice(&checksum.to_be_bytes());
        let len = u32::try_from(len).expect("no longer than max_payload");
        self.bytes[start + 8..start + 12].copy_from_slice(&len.to_be_bytes());
        self.bytes.push(END_BYTE);
        let piece = self.cuts.last().map_or(0, |(at, _)| *at);
        if start > piece && (self.bytes.len() - piece) as u64 > MAX_UNSYNCED {
            self.cuts.push((start, zxid));
        }
        self.zxids = Some((self.zxids.map_or(zxid, |(first, _)| first), zxid));
        self.entries += 1;
        Ok(())
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.zxids = None;
        self.entries = 0;
        self.cuts.clear();
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes that will be written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// First and last zxid.
    pub fn zxids(&self) -> Option<(i64, i64)> {
        self.zxids
    }

    /// Whether the batch should be written before more is added, so that one write mostly stays
    /// within [`MAX_UNSYNCED`]; a longer one is synced piece by piece.
    pub fn is_full(&self) -> bool {
        self.bytes.len() as u64 >= MAX_UNSYNCED / 2
    }
}

impl LogWriter {
    /// A writer that goes on behind `last_zxid`, the last one that the server knows (`None`: any
    /// zxid may come first). It never continues an existing file: the first batch makes a new
    /// one.
    pub fn new(
        files: Arc<dyn Files>,
        dir: impl Into<PathBuf>,
        options: LogOptions,
        last_zxid: Option<i64>,
    ) -> LogWriter {
        let dir = dir.into();
        LogWriter {
            files,
            dir,
            options,
            current: None,
            last_zxid,
            given_up: false,
        }
    }

    /// Writes a batch, with one write unless it is longer than [`MAX_UNSYNCED`]. It is not durable, and nobody may be told about it, before
    /// [`LogWriter::sync`] returned.
    pub fn write(&mut self, batch: &LogBatch) -> Result<(), StoreError> {
        let Some((first, last)) = batch.zxids else {
            return Ok(());
        };
        self.check_usable()?;
        if let Some(previous) = self.last_zxid {
            check_order(previous, first)?;
        }
        self.guarded(|log| {
            let mut piece = (0, first);
            for &next in &batch.cuts {
                log.write_bytes(&batch.bytes[piece.0..next.0], piece.1)?;
                piece = next;
            }
            log.write_bytes(&batch.bytes[piece.0..], piece.1)
        })?;
        self.last_zxid = Some(last);
        Ok(())
    }

    /// Makes everything written durable (fdatasync); nothing happens if it already is.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        self.guarded(LogWriter::sync_current)
    }

    /// Makes everything written durable and lets the next batch start a new file.
    pub fn roll(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        self.current = None;
        Ok(())
    }

    /// Length of the current file with its padding, 0 without one: what Java compares with
    /// snapSizeLimitInKb.
    pub fn padded_len(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.padded)
    }

    /// Bytes of header and entries in the current file, 0 without one.
    pub fn written_len(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.end)
    }

    /// The file that is being written.
    pub fn current_file(&self) -> Option<&Path> {
        self.current.as_ref().map(|current| current.path.as_path())
    }

    /// The last zxid written.
    pub fn last_zxid(&self) -> Option<i64> {
        self.last_zxid
    }

    /// Continues in a new file behind another zxid, after the state was replaced (a snapshot from
    /// the leader) or the log truncated.
    pub fn restart_after(&mut self, last_zxid: Option<i64>) -> Result<(), StoreError> {
        self.roll()?;
        self.last_zxid = last_zxid;
        Ok(())
    }

    /// Whether an earlier error made the writer useless.
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.given_up {
            Err(StoreError::GivenUp)
        } else {
            Ok(())
        }
    }

    fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut LogWriter) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = step(self);
        self.given_up |= result.is_err();
        result
    }

    fn write_bytes(&mut self, bytes: &[u8], first_zxid: i64) -> Result<(), StoreError> {
        let len = bytes.len() as u64;
        let over = |current: &Current| {
            let unsynced = current.end - current.synced;
            unsynced > 0 && unsynced + len > MAX_UNSYNCED
        };
        if self.options.force_sync && self.current.as_ref().is_some_and(over) {
            self.sync_current()?;
        }
        if self.current.is_none() {
            self.current = Some(self.create(first_zxid)?);
        }
        let pre_alloc = self.options.pre_alloc;
        let current = self.current.as_mut().expect("created above");
        current.pad(pre_alloc, len)?;
        current
            .file
            .write_at(bytes, current.end)
            .on("write to", &current.path)?;
        current.end += len;
        current.padded = current.padded.max(current.end);
        Ok(())
    }

    fn sync_current(&mut self) -> Result<(), StoreError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if current.synced < current.end {
            if self.options.force_sync {
                current.file.sync_data().on("sync", &current.path)?;
            }
            current.synced = current.end;
        }
        if self
            .options
            .size_limit
            .is_some_and(|limit| current.end > limit)
        {
            self.current = None;
        }
        Ok(())
    }

    /// The header is durable before the name is: a newest log of fewer than 16 bytes, or one of
    /// zeros, keeps Java from starting.
    fn create(&self, first_zxid: i64) -> Result<Current, StoreError> {
        let path = self.dir.join(log_name(first_zxid));
        self.check_replaceable(&path)?;
        let draft = unfinished(&path);
        let mut file = self.files.create(&draft).on("create", &draft)?;
        file.write_at(&header(), 0).on("write to", &draft)?;
        if self.options.force_sync {
            file.sync_data().on("sync", &draft)?;
        }
        self.files.rename(&draft, &path).on("rename", &draft)?;
        if self.options.force_sync {
            self.files
                .sync_dir(&self.dir)
                .on("sync directory", &self.dir)?;
        }
        Ok(Current {
            path,
            file,
            end: HEADER_LEN,
            synced: HEADER_LEN,
            padded: HEADER_LEN,
        })
    }

    /// A crash can leave a file of this name without a whole entry; the zxid is then given out
    /// again. Anything else in the way is not ours to replace.
    fn check_replaceable(&self, path: &Path) -> Result<(), StoreError> {
        match self.files.stat(path).on("look at", path)? {
            None => return Ok(()),
            Some(meta) if meta.len == 0 && !meta.is_dir => return Ok(()),
            Some(_) => {}
        }
        let mut old = LogReader::open(&*self.files, path, MAX_PAYLOAD)?;
        match old.next_entry()? {
            None => Ok(()),
            Some(entry) => Err(StoreError::WouldOverwrite {
                path: path.to_path_buf(),
                zxid: entry.zxid,
            }),
        }
    }
}

impl Current {
    /// Extends the file as FilePadding does, and further if the batch would not fit, so that
    /// writing entries does not change the length. One byte at the end makes a sparse file of
    /// zeros.
    fn pad(&mut self, step: u64, batch: u64) -> Result<(), StoreError> {
        if step == 0 || self.end + PAD_MARGIN < self.padded && self.end + batch <= self.padded {
            return Ok(());
        }
        let mut padded = self.padded;
        if self.end + PAD_MARGIN >= padded {
            padded = if self.end > padded {
                (self.end + step) / step * step
            } else {
                padded + step
            };
        }
        while padded < self.end + batch {
            padded += step;
        }
        self.file
            .write_at(&[0], padded - 1)
            .on("extend", &self.path)?;
        self.padded = padded;
        Ok(())
    }
}

/// The first 16 bytes of a log, as Java 3.9.5 writes them.
pub fn header() -> [u8; HEADER_LEN as usize] {
    let mut bytes = [0; HEADER_LEN as usize];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&VERSION.to_be_bytes());
    bytes
}

/// The zxid in a payload, `None` if it is too short for a transaction header.
pub fn payload_zxid(payload: &[u8]) -> Option<i64> {
    let bytes = payload.get(..TXN_HEADER)?.get(12..20)?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

/// Whether `zxid` may follow `previous` in a log that is being written: the next of its epoch, the
/// same again (a request that cannot be decoded is logged with the zxid before it), or one of a
/// later epoch.
pub fn check_order(previous: i64, zxid: i64) -> Result<(), EntryError> {
    let good = match epoch(zxid) == epoch(previous) {
        true => zxid == previous || zxid == previous + 1 && counter(zxid) != 0,
        false => zxid > previous,
    };
    if good {
        Ok(())
    } else {
        Err(EntryError::OutOfOrder { previous, zxid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::MemFiles;

    fn payload(zxid: i64, extra: usize) -> Vec<u8> {
        let mut bytes = vec![0; TXN_HEADER + extra];
        bytes[12..20].copy_from_slice(&zxid.to_be_bytes());
        bytes
    }

    fn batch(zxids: impl IntoIterator<Item = i64>) -> LogBatch {
        let mut batch = LogBatch::default();
        for zxid in zxids {
            batch.push(&payload(zxid, 20)).unwrap();
        }
        batch
    }

    fn writer(files: &MemFiles, pre_alloc: u64) -> LogWriter {
        files.create_dirs(Path::new("/d")).unwrap();
        let options = LogOptions {
            pre_alloc,
            ..LogOptions::default()
        };
        LogWriter::new(Arc::new(files.clone()), "/d", options, None)
    }

    #[test]
    fn entries_that_cannot_be_read_back_do_not_reach_the_log() {
        let mut batch = LogBatch::default();
        batch.push(&payload(5, MAX_PAYLOAD - TXN_HEADER)).unwrap();
        let before = batch.bytes().len();
        assert_eq!(
            batch.push(&payload(6, MAX_PAYLOAD - TXN_HEADER + 1)),
            Err(EntryError::TooLong {
                len: MAX_PAYLOAD + 1,
                max: MAX_PAYLOAD
            })
        );
        assert_eq!(batch.push(&[0; 31]), Err(EntryError::TooShort { len: 31 }));
        let hole = EntryError::OutOfOrder {
            previous: 5,
            zxid: 7,
        };
        assert_eq!(batch.push(&payload(7, 0)), Err(hole));
        assert_eq!((batch.bytes().len(), batch.entries()), (before, 1));
        batch.push(&payload(6, 0)).unwrap();
        assert_eq!(batch.zxids(), Some((5, 6)));
    }

    #[test]
    fn what_is_longer_than_a_crash_may_tear_is_synced_piece_by_piece() {
        // With a jute.maxbuffer above 4 MiB one entry alone may be longer.
        let long = MAX_UNSYNCED as usize + 100;
        let third = MAX_UNSYNCED as usize / 3;
        let entries = [third, third, third, third, long, 20];
        let mut batch = LogBatch::new(usize::MAX);
        for (zxid, extra) in (1..).zip(entries) {
            batch.push(&payload(zxid, extra)).unwrap();
        }
        let pieces = [1, 3, 5, 6];
        let cuts: Vec<i64> = batch.cuts.iter().map(|(_, zxid)| *zxid).collect();
        assert_eq!(cuts, pieces[1..]);
        // Where files are to be short, each piece has its own: it was synced before the next.
        let files = MemFiles::default();
        let mut log = writer(&files, 0);
        log.options.size_limit = Some(100);
        log.write(&batch).unwrap();
        log.sync().unwrap();
        let names: Vec<_> = files.contents().into_keys().collect();
        let expected = pieces.map(|zxid| PathBuf::from(format!("/d/log.{zxid:x}")));
        assert_eq!(names, expected);
        let mut zxids = Vec::new();
        for name in names {
            let mut reader = LogReader::open(&files, &name, usize::MAX).unwrap();
            while let Some(entry) = reader.next_entry().unwrap() {
                zxids.push(entry.zxid);
            }
        }
        assert_eq!(zxids, [1, 2, 3, 4, 5, 6]);
        batch.clear();
        assert!(batch.cuts.is_empty());
    }

    #[test]
    fn zookeeper_4925_a_hole_is_refused_at_write() {
        assert!(check_order(5, 6).is_ok());
        assert!(check_order(5, 5).is_ok());
        assert!(check_order(5, 7).is_err());
        assert!(check_order(5, 4).is_err());
        assert!(check_order(0x1_0000_0005, 0x2_0000_0001).is_ok());
        assert!(check_order(0x2_0000_0001, 0x1_0000_0006).is_err());
        assert!(check_order(0x1_ffff_ffff, 0x2_0000_0000).is_ok());
        let mut log = writer(&MemFiles::default(), 0);
        log.write(&batch([1, 2])).unwrap();
        assert!(matches!(log.write(&batch([4])), Err(StoreError::Entry(_))));
        // Refused before anything was written, so the writer goes on.
        log.write(&batch([3])).unwrap();
        log.sync().unwrap();
    }

    #[test]
    fn files_grow_in_the_steps_of_java() {
        let files = MemFiles::default();
        let mut log = writer(&files, 4096);
        log.write(&batch([1])).unwrap();
        assert_eq!(log.padded_len(), 16 + 4096);
        log.write(&batch([2])).unwrap();
        assert_eq!(log.padded_len(), 16 + 2 * 4096);
        log.write(&batch(3..200)).unwrap();
        assert_eq!(log.padded_len(), 16 + 4 * 4096);
        assert!(log.written_len() < log.padded_len());
        assert_eq!(
            files.get("/d/log.1").unwrap().len() as u64,
            log.padded_len()
        );
        let mut bare = writer(&files, 0);
        bare.write(&batch([0x1_0000_0001])).unwrap();
        assert_eq!(bare.padded_len(), bare.written_len());
    }

    #[test]
    fn a_file_is_made_by_its_first_entry_and_left_by_a_roll() {
        let files = MemFiles::default();
        let mut log = writer(&files, 64);
        log.sync().unwrap();
        assert!(files.contents().is_empty());
        log.write(&batch([10, 11])).unwrap();
        log.roll().unwrap();
        log.roll().unwrap();
        log.write(&batch([12])).unwrap();
        log.sync().unwrap();
        let names: Vec<_> = files.contents().into_keys().collect();
        assert_eq!(names, [Path::new("/d/log.a"), Path::new("/d/log.c")]);
    }

    #[test]
    fn the_size_limit_rolls_after_the_sync() {
        let files = MemFiles::default();
        let mut log = writer(&files, 1 << 20);
        log.options.size_limit = Some(100);
        for zxid in 1..=4 {
            log.write(&batch([zxid])).unwrap();
            log.sync().unwrap();
        }
        let names: Vec<_> = files.contents().into_keys().collect();
        assert_eq!(names, [Path::new("/d/log.1"), Path::new("/d/log.3")]);
    }

    #[test]
    fn a_file_with_entries_is_never_replaced() {
        let files = MemFiles::default();
        let mut log = writer(&files, 64);
        log.write(&batch([1, 2])).unwrap();
        log.sync().unwrap();
        let before = files.get("/d/log.1").unwrap();
        let mut again = writer(&files, 64);
        assert!(matches!(
            again.write(&batch([1])),
            Err(StoreError::WouldOverwrite { zxid: 1, .. })
        ));
        assert!(matches!(again.sync(), Err(StoreError::GivenUp)));
        assert_eq!(files.get("/d/log.1").unwrap(), before);
        // A header without entries, or a torn first entry, holds nothing.
        for len in [0, 16, 40] {
            files.put("/d/log.1", &before[..len]);
            let mut again = writer(&files, 64);
            again.write(&batch([1, 2])).unwrap();
            assert_eq!(files.get("/d/log.1").unwrap(), before);
        }
    }
}
