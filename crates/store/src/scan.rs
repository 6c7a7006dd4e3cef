//! Reading across log files: which files count, holes between entries, and what the end of the
//! newest file means.

use crate::error::{CorruptLog, Damage, StoreError};
use crate::files::Files;
use crate::layout::NamedFile;
use crate::log::MAX_UNSYNCED;
use crate::log_reader::{EndReason, LogEnd, LogEntry, LogReader};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use zooid_proto::zxid::epoch;

const ONE_BIT: &str =
    "but for one flipped bit the last entry is whole, and may have been acknowledged";

/// Reads the entries of several log files from a zxid on.
#[derive(Debug)]
pub struct LogScan<'f> {
    files: &'f dyn Files,
    queue: VecDeque<NamedFile>,
    from: i64,
    max_payload: usize,
    reader: Option<LogReader>,
    /// Highest zxid seen, for the check of holes.
    previous: Option<i64>,
    ended: Vec<Ended>,
    empty_newest: Option<PathBuf>,
    torn: Option<TornTail>,
    end: Option<EndOfLog>,
    stats: ScanStats,
}

/// What a scan came across.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Files opened.
    pub files: usize,
    /// Entries from the start zxid on.
    pub entries: u64,
    /// Entries before it.
    pub skipped: u64,
    /// First and last zxid from the start zxid on, in file order.
    pub range: Option<(i64, i64)>,
    /// Entries with a zxid below one that came before, as a copied log gives.
    pub backwards: u64,
    /// Files that hold such entries.
    pub backwards_in: Vec<PathBuf>,
}

/// The file with the last entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfLog {
    /// The file.
    pub file: PathBuf,
    /// Where the last entry starts.
    pub last_entry: u64,
    /// Where it ends.
    pub offset: u64,
}

/// The end of the log is not clean: something was being written when the server died. It was
/// never acknowledged, and it may be cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: PathBuf,
    /// Where the last good entry ends.
    pub offset: u64,
    /// Length of the file.
    pub len: u64,
    /// The last good zxid in the file.
    pub last_zxid: Option<i64>,
    /// A whole entry behind the tear: the batch reached the disk in part. Java would not see it,
    /// or not start.
    pub entry_behind: Option<i64>,
}

#[derive(Debug)]
struct Ended {
    reader: LogReader,
    end: LogEnd,
}

impl<'f> LogScan<'f> {
    /// Entries with a zxid of at least `from` in `logs` (oldest first): the files named `from` or
    /// higher and the last ones named below it.
    ///
    /// `base` is the last zxid that is known already. An entry of the same epoch that does not
    /// follow it is a hole. (Java lets a hole pass between the snapshot and the first entry.)
    ///
    /// A newest file without a byte is passed over: a crash came between its creation and its
    /// header.
    pub fn new(
        files: &'f dyn Files,
        mut logs: Vec<NamedFile>,
        from: i64,
        base: Option<i64>,
        max_payload: usize,
    ) -> LogScan<'f> {
        let empty_newest = logs
            .pop_if(|newest| newest.len == 0)
            .map(|newest| newest.path);
        let first = logs
            .iter()
            .rev()
            .find(|log| log.zxid < from)
            .map(|log| log.zxid);
        let queue = logs
            .into_iter()
            .filter(|log| first.is_none_or(|first| log.zxid >= first));
        LogScan {
            files,
            queue: queue.collect(),
            from,
            max_payload,
            reader: None,
            previous: base,
            ended: Vec::new(),
            empty_newest,
            torn: None,
            end: None,
            stats: ScanStats::default(),
        }
    }

    /// The files that will be read, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Path> {
        self.queue.iter().map(|log| log.path.as_path())
    }

    /// The next entry, `None` at the end of the last file.
    pub fn next_entry(&mut self) -> Result<Option<ScanEntry<'_>>, StoreError> {
        self.advance()?;
        let Some(reader) = &self.reader else {
            return Ok(None);
        };
        Ok(reader.entry().map(|entry| ScanEntry {
            file: reader.path(),
            entry,
        }))
    }

    /// Goes to the next entry; `false` at the end of the last file.
    pub fn advance(&mut self) -> Result<bool, StoreError> {
        loop {
            if self.reader.is_none() && !self.open_next()? {
                return Ok(false);
            }
            let reader = self.reader.as_mut().expect("opened above");
            let found = match reader.advance() {
                Ok(found) => found,
                Err(StoreError::CorruptLog(damage)) if self.queue.is_empty() => {
                    let torn = self.torn_batch(*damage)?;
                    self.note_end(torn.offset);
                    self.torn = Some(torn);
                    self.reader = None;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            if !found {
                self.leave_file()?;
                continue;
            }
            let zxid = reader.entry().expect("advanced to it").zxid;
            if zxid < self.from {
                self.stats.skipped += 1;
                continue;
            }
            self.check_order(zxid)?;
            self.stats.entries += 1;
            self.stats.range = Some((self.stats.range.map_or(zxid, |(first, _)| first), zxid));
            return Ok(true);
        }
    }

    /// The entry that [`LogScan::advance`] went to.
    pub fn entry(&self) -> Option<LogEntry<'_>> {
        self.reader.as_ref()?.entry()
    }

    /// The file being read.
    pub fn file(&self) -> Option<&Path> {
        self.reader.as_ref().map(LogReader::path)
    }

    /// Position in that file.
    pub fn position(&self) -> u64 {
        self.reader.as_ref().map_or(0, LogReader::position)
    }

    /// The highest zxid so far, that of the base included.
    pub fn highest_zxid(&self) -> Option<i64> {
        self.previous
    }

    /// Counts so far.
    pub fn stats(&self) -> &ScanStats {
        &self.stats
    }

    /// A newest file without a byte, which may be removed.
    pub fn empty_newest(&self) -> Option<&Path> {
        self.empty_newest.as_deref()
    }

    /// After the last entry: where the log ends.
    pub fn end_of_log(&self) -> Option<&EndOfLog> {
        self.end.as_ref()
    }

    /// After the last entry: an unfinished write at the end of the log.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    fn open_next(&mut self) -> Result<bool, StoreError> {
        let Some(next) = self.queue.pop_front() else {
            self.check_tail()?;
            return Ok(false);
        };
        self.reader = Some(LogReader::open(self.files, &next.path, self.max_payload)?);
        self.stats.files += 1;
        Ok(true)
    }

    /// The file being read ends at `offset`: the log does, if no entry is behind.
    fn note_end(&mut self, offset: u64) {
        if let Some(reader) = &self.reader
            && let Some(last_entry) = reader.last_entry()
        {
            self.end = Some(EndOfLog {
                file: reader.path().to_path_buf(),
                last_entry,
                offset,
            });
        }
    }

    fn leave_file(&mut self) -> Result<(), StoreError> {
        if let Some(end) = self.reader.as_ref().and_then(LogReader::end) {
            self.note_end(end.offset);
        }
        if let Some(reader) = self.reader.take()
            && let Some(end) = reader.end()
        {
            // Only files behind the last entry matter for the tail.
            if reader.last_zxid().is_some() {
                self.ended.clear();
            }
            self.ended.push(Ended { reader, end });
        }
        Ok(())
    }

    fn check_order(&mut self, zxid: i64) -> Result<(), StoreError> {
        let Some(previous) = self.previous else {
            self.previous = Some(zxid);
            return Ok(());
        };
        if epoch(zxid) == epoch(previous) && zxid > previous + 1 {
            return Err(self.hole(previous, zxid).into());
        }
        if zxid < previous {
            self.stats.backwards += 1;
            let file = self.file().map(Path::to_path_buf);
            if let Some(file) = file
                && self.stats.backwards_in.last() != Some(&file)
            {
                self.stats.backwards_in.push(file);
            }
        }
        self.previous = Some(previous.max(zxid));
        Ok(())
    }

    fn hole(&self, previous: i64, zxid: i64) -> CorruptLog {
        let torn = self
            .ended
            .iter()
            .rev()
            .find(|ended| match ended.end.reason {
                EndReason::NoEndByte => true,
                EndReason::Eof => ended.end.offset < ended.reader.file_len(),
                EndReason::ZeroLength => false,
            });
        let place = |ended: &Ended| (ended.reader.path().to_path_buf(), ended.end.offset);
        let torn = torn.map(place);
        let before = self.ended.last().map(place);
        let (file, offset) = match (&self.reader, self.entry()) {
            (Some(reader), Some(entry)) => (reader.path().to_path_buf(), entry.offset),
            _ => (PathBuf::new(), 0),
        };
        let what = Damage::Hole {
            previous,
            torn,
            before,
        };
        CorruptLog {
            file,
            offset,
            zxid: Some(zxid),
            after: Some(previous),
            what,
        }
    }

    /// Looks behind the end of the newest file: Java does not, and drops whole entries behind a
    /// damaged one without a word.
    fn check_tail(&mut self) -> Result<(), StoreError> {
        for Ended { reader, end } in std::mem::take(&mut self.ended).into_iter().rev() {
            if reader.is_zero_behind(end.offset)? {
                continue;
            }
            let mut damage = CorruptLog {
                file: reader.path().to_path_buf(),
                offset: end.offset,
                zxid: None,
                after: reader.last_zxid(),
                what: Damage::Content(String::new()),
            };
            let torn = match reader.find_entry_behind(end.offset, self.previous)? {
                None if reader.lacks_one_bit(end.offset)? => {
                    damage.what = Damage::Content(ONE_BIT.to_owned());
                    return Err(damage.into());
                }
                None => torn_at(&reader, end.offset, None),
                Some(behind) => unsynced_batch(&reader, damage, Some(behind))?,
            };
            self.torn = Some(torn);
        }
        Ok(())
    }

    /// A damaged entry in the newest file: refused, unless it is what a crash leaves of a batch
    /// that was never synced.
    fn torn_batch(&self, damage: CorruptLog) -> Result<TornTail, StoreError> {
        let reader = self.reader.as_ref().expect("it found the damage");
        if !matches!(damage.what, Damage::Checksum { .. }) {
            return Err(damage.into());
        }
        let behind = reader.find_entry_behind(damage.offset, self.previous)?;
        unsynced_batch(reader, damage, behind)
    }
}

/// One entry and its file.
#[derive(Debug, Clone, Copy)]
pub struct ScanEntry<'a> {
    /// The file.
    pub file: &'a Path,
    /// The entry.
    pub entry: LogEntry<'a>,
}

/// The writer never leaves more than [`MAX_UNSYNCED`] bytes unsynced, and a disk writes sectors
/// whole. So a crash can only explain damage in which a sector is missing (zeros) and behind which
/// no entry lies farther than that. Everything else is damage to data that may have been
/// acknowledged; so is a flipped bit in an entry whose own data are zeros.
fn unsynced_batch(
    reader: &LogReader,
    mut damage: CorruptLog,
    behind: Option<(u64, i64)>,
) -> Result<TornTail, StoreError> {
    let start = damage.offset;
    let mut end = start;
    let mut next = behind;
    while let Some((offset, zxid)) = next {
        end = reader.end_of_entries(offset)?;
        if end - start > MAX_UNSYNCED {
            break;
        }
        next = reader.find_entry_behind(end.saturating_sub(1), Some(zxid))?;
    }
    let next = behind.map(|(offset, _)| offset);
    if end - start <= MAX_UNSYNCED
        && reader.lacks_sector(start, next.unwrap_or(u64::MAX))?
        && !reader.is_one_bit_off(start, next)?
        && !(next.is_none() && reader.lacks_one_bit(start)?)
    {
        return Ok(torn_at(reader, start, behind.map(|(_, zxid)| zxid)));
    }
    if let (Some((offset, zxid)), Damage::Content(_)) = (behind, &damage.what) {
        damage.what = Damage::EntriesFollow { offset, zxid };
    }
    Err(damage.into())
}

fn torn_at(reader: &LogReader, offset: u64, entry_behind: Option<i64>) -> TornTail {
    TornTail {
        file: reader.path().to_path_buf(),
        offset,
        len: reader.file_len(),
        last_zxid: reader.last_zxid(),
        entry_behind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogBatch, LogOptions, LogWriter, MAX_PAYLOAD, TXN_HEADER};
    use crate::mem::MemFiles;
    use std::sync::Arc;

    fn payload(zxid: i64, extra: usize) -> Vec<u8> {
        let mut bytes = vec![7; TXN_HEADER + extra];
        bytes[12..20].copy_from_slice(&zxid.to_be_bytes());
        bytes
    }

    fn write(files: &MemFiles, zxids: std::ops::RangeInclusive<i64>, extra: usize) -> Vec<u64> {
        files.create_dirs(Path::new("/d")).unwrap();
        let options = LogOptions {
            pre_alloc: 1 << 16,
            ..LogOptions::default()
        };
        let mut log = LogWriter::new(Arc::new(files.clone()), "/d", options, None);
        let mut batch = LogBatch::default();
        let mut offsets = Vec::new();
        for zxid in zxids {
            offsets.push(16 + batch.bytes().len() as u64);
            batch.push(&payload(zxid, extra)).unwrap();
        }
        log.write(&batch).unwrap();
        log.sync().unwrap();
        offsets
    }

    fn logs(files: &MemFiles) -> Vec<NamedFile> {
        crate::DataDirs::new("/", None)
            .logs(files)
            .unwrap_or_default();
        let named = files.contents().into_iter().filter_map(|(path, bytes)| {
            let name = path.file_name()?.to_str()?;
            let zxid = crate::layout::zxid_of(name, "log")?;
            Some(NamedFile {
                zxid,
                len: bytes.len() as u64,
                path,
            })
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by_key(|log| log.zxid);
        named
    }

    fn scan(files: &MemFiles, from: i64) -> Result<(Vec<i64>, Option<TornTail>), StoreError> {
        let mut scan = LogScan::new(files, logs(files), from, None, MAX_PAYLOAD);
        let mut zxids = Vec::new();
        while let Some(found) = scan.next_entry()? {
            zxids.push(found.entry.zxid);
        }
        Ok((zxids, scan.torn_tail().cloned()))
    }

    fn edit(files: &MemFiles, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = files.get(path).unwrap();
        change(&mut bytes);
        files.put(path, bytes);
    }

    #[test]
    fn files_from_the_last_one_below_the_start_are_read() {
        let files = MemFiles::default();
        for range in [1..=3, 4..=6, 7..=9] {
            write(&files, range, 10);
        }
        assert_eq!(scan(&files, 1).unwrap().0, (1..=9).collect::<Vec<_>>());
        assert_eq!(scan(&files, 5).unwrap().0, (5..=9).collect::<Vec<_>>());
        assert_eq!(scan(&files, 7).unwrap().0, (7..=9).collect::<Vec<_>>());
        assert_eq!(scan(&files, 99).unwrap().0, []);
        let mut from_seven = LogScan::new(&files, logs(&files), 7, None, MAX_PAYLOAD);
        while from_seven.advance().unwrap() {}
        let stats = from_seven.stats();
        assert_eq!((stats.files, stats.skipped, stats.entries), (2, 3, 3));
    }

    #[test]
    fn zookeeper_4925_a_hole_is_refused_at_load() {
        let files = MemFiles::default();
        write(&files, 1..=3, 10);
        write(&files, 5..=6, 10);
        let error = scan(&files, 1).unwrap_err().to_string();
        assert!(
            error.contains("behind 0x3 are missing") && error.contains("log.5"),
            "{error}"
        );
        assert_eq!(scan(&files, 5).unwrap().0, [5, 6]);
        let mut based = LogScan::new(&files, logs(&files), 4, Some(3), MAX_PAYLOAD);
        assert!(matches!(based.advance(), Err(StoreError::CorruptLog(_))));
        let mut based = LogScan::new(&files, logs(&files), 5, Some(4), MAX_PAYLOAD);
        assert!(based.advance().unwrap());
    }

    #[test]
    fn a_torn_older_file_is_named_in_the_hole() {
        let files = MemFiles::default();
        let offsets = write(&files, 1..=3, 100);
        edit(&files, "/d/log.1", |bytes| {
            bytes[offsets[2] as usize + 60..].fill(0)
        });
        write(&files, 4..=5, 10);
        let error = scan(&files, 1).unwrap_err().to_string();
        let place = format!("log.1 ends inside an entry at {}", offsets[2]);
        assert!(error.contains(&place), "{error}");
        // The usual way of a crash: the zxid is given out again by the next run.
        files.remove(Path::new("/d/log.4")).unwrap();
        write(&files, 3..=4, 10);
        assert_eq!(scan(&files, 1).unwrap().0, [1, 2, 3, 4]);
    }

    #[test]
    fn copies_of_a_log_are_read_again_and_counted() {
        let files = MemFiles::default();
        write(&files, 1..=3, 10);
        files.put("/d/log.1.bak", files.get("/d/log.1").unwrap());
        write(&files, 4..=4, 10);
        let mut scan = LogScan::new(&files, logs(&files), 1, None, MAX_PAYLOAD);
        while scan.advance().unwrap() {}
        assert_eq!((scan.stats().entries, scan.stats().backwards), (7, 2));
        assert_eq!(scan.stats().backwards_in, [Path::new("/d/log.1.bak")]);
    }

    #[test]
    fn entries_behind_a_damaged_end_byte_are_not_dropped() {
        let files = MemFiles::default();
        let offsets = write(&files, 1..=9, 100);
        edit(&files, "/d/log.1", |bytes| {
            bytes[offsets[4] as usize - 1] = b'C'
        });
        let error = scan(&files, 1).unwrap_err().to_string();
        assert!(error.contains("a whole one (zxid 0x5) follows"), "{error}");
        assert!(error.contains("last good entry is zxid 0x3"), "{error}");
    }

    #[test]
    fn a_batch_with_a_missing_sector_is_torn_not_damaged() {
        let files = MemFiles::default();
        let offsets = write(&files, 1..=40, 100);
        // Sector 2 of the batch never reached the disk, those around it did.
        edit(&files, "/d/log.1", |bytes| bytes[1024..1536].fill(0));
        let (zxids, torn) = scan(&files, 1).unwrap();
        let good = offsets
            .iter()
            .filter(|offset| **offset + 145 <= 1024)
            .count();
        assert_eq!(zxids.len(), good);
        let torn = torn.unwrap();
        assert_eq!(
            (torn.offset, torn.last_zxid),
            (offsets[good], Some(good as i64))
        );
        assert!(torn.entry_behind.is_some());
        // The same hole in something acknowledged long ago is damage.
        let files = MemFiles::default();
        write(&files, 1..=40, 500_000);
        edit(&files, "/d/log.1", |bytes| bytes[1024..1536].fill(0));
        assert!(matches!(scan(&files, 1), Err(StoreError::CorruptLog(_))));
    }

    #[test]
    fn a_flipped_bit_among_zeros_is_no_missing_sector() {
        let files = MemFiles::default();
        files.create_dirs(Path::new("/d")).unwrap();
        let mut log = LogWriter::new(Arc::new(files.clone()), "/d", LogOptions::default(), None);
        let mut batch = LogBatch::default();
        let mut starts = Vec::new();
        for zxid in 1..=3 {
            starts.push(16 + batch.bytes().len());
            let header = payload(zxid, 0);
            batch
                .push(&[&header[..], &[0; 3000], b"end"].concat())
                .unwrap();
        }
        log.write(&batch).unwrap();
        log.sync().unwrap();
        edit(&files, "/d/log.1", |bytes| bytes.truncate(20_000));
        let clean = files.get("/d/log.1").unwrap();
        let mut inside: Vec<usize> = (starts[1]..starts[1] + 60).collect();
        inside.extend((starts[1] + 60..starts[2]).step_by(97));
        inside.push(starts[2] - 1);
        for at in inside {
            for bit in [0, 5] {
                edit(&files, "/d/log.1", |bytes| bytes[at] ^= 1 << bit);
                assert!(
                    matches!(scan(&files, 1), Err(StoreError::CorruptLog(_))),
                    "{at} {bit}"
                );
                files.put("/d/log.1", clean.clone());
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_damage_wherever_it_is() {
        let files = MemFiles::default();
        let offsets = write(&files, 1..=6, 40);
        let clean = files.get("/d/log.1").unwrap();
        let end = offsets[5] + 12 + TXN_HEADER as u64 + 40 + 1;
        for at in offsets[0] as usize..end as usize {
            for bit in [0, 7] {
                edit(&files, "/d/log.1", |bytes| bytes[at] ^= 1 << bit);
                let entry = offsets
                    .iter()
                    .rposition(|offset| *offset <= at as u64)
                    .unwrap();
                match scan(&files, 1) {
                    Err(StoreError::CorruptLog(damage)) => {
                        assert_eq!(damage.offset, offsets[entry], "byte {at} bit {bit}");
                    }
                    other => panic!("byte {at} bit {bit}: {other:?}"),
                }
                files.put("/d/log.1", clean.clone());
            }
        }
    }
}
