//! Reading one log file, with the end-of-log rules of FileTxnLog.

use crate::error::{Context, CorruptLog, Damage, StoreError};
use crate::files::{File, Files};
use crate::log::{END_BYTE, ENTRY_HEAD, HEADER_LEN, MAGIC, TXN_HEADER, payload_zxid};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes that a disk writes as a whole.
const SECTOR: u64 = 512;
/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// One entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// Where it starts in the file.
    pub offset: u64,
    /// Its zxid.
    pub zxid: i64,
    /// Adler-32 of the payload.
    pub checksum: u32,
    /// Transaction header, record and digest.
    pub payload: &'a [u8],
}

/// Why a file has no further entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The file ends, before the entry or inside it.
    Eof,
    /// An entry of length 0: padding.
    ZeroLength,
    /// An entry that does not end with `B`: it was not written to its end.
    NoEndByte,
}

/// Where and why a file has no further entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// Behind the last entry.
    pub offset: u64,
    /// Why.
    pub reason: EndReason,
}

/// Reads the entries of one file.
#[derive(Debug)]
pub struct LogReader {
    file: Box<dyn File>,
    path: PathBuf,
    len: u64,
    max_payload: usize,
    /// Where the next entry starts.
    at: u64,
    last_zxid: Option<i64>,
    last_entry: Option<u64>,
    end: Option<LogEnd>,
    /// The entry before `at`, its payload as a range of `buf`.
    entry: Option<Found>,
    buf: Vec<u8>,
    /// Offset of `buf[0]` in the file.
    buf_at: u64,
}

#[derive(Debug)]
struct Found {
    offset: u64,
    zxid: i64,
    checksum: u32,
    payload: Range<usize>,
}

enum Step {
    End(EndReason),
    Entry { len: usize, checksum: u32 },
}

impl LogReader {
    /// Opens a file and checks its magic; version and dbid do not matter, as for Java.
    ///
    /// `max_payload` is the limit of Java's reader (jute.maxbuffer plus its extra size). Java
    /// writes longer entries without a check and then cannot start on them (ZOOKEEPER-4306):
    /// here they are read if they are whole.
    pub fn open(
        files: &dyn Files,
        path: &Path,
        max_payload: usize,
    ) -> Result<LogReader, StoreError> {
        let file = files.open_read(path).on("open", path)?;
        let len = file.len().on("read", path)?;
        let mut reader = LogReader {
            file,
            path: path.to_path_buf(),
            len,
            max_payload,
            at: 0,
            last_zxid: None,
            last_entry: None,
            end: None,
            entry: None,
            buf: Vec::new(),
            buf_at: 0,
        };
        let have = reader.fill(HEADER_LEN as usize)?;
        if have < HEADER_LEN as usize {
            return Err(reader.corrupt(None, Damage::ShortHeader { len }));
        }
        if reader.buf[..4] != MAGIC {
            let found = reader.buf[..4].try_into().expect("four bytes");
            return Err(reader.corrupt(None, Damage::Magic(found)));
        }
        reader.at = HEADER_LEN;
        Ok(reader)
    }

    /// The next entry, `None` at the end of the log.
    pub fn next_entry(&mut self) -> Result<Option<LogEntry<'_>>, StoreError> {
        self.advance()?;
        Ok(self.entry())
    }

    /// Goes to the next entry; `false` at the end of the log.
    pub fn advance(&mut self) -> Result<bool, StoreError> {
        self.entry = None;
        if self.end.is_some() {
            return Ok(false);
        }
        let (len, checksum) = match self.check_next()? {
            Step::Entry { len, checksum } => (len, checksum),
            Step::End(reason) => {
                self.end = Some(LogEnd {
                    offset: self.at,
                    reason,
                });
                return Ok(false);
            }
        };
        let start = self.index() + ENTRY_HEAD;
        let payload = start..start + len;
        let Some(zxid) = payload_zxid(&self.buf[payload.clone()]) else {
            return Err(self.corrupt(None, Damage::TooShort(len)));
        };
        self.entry = Some(Found {
            offset: self.at,
            zxid,
            checksum,
            payload,
        });
        self.last_entry = Some(self.at);
        self.at += entry_len(len);
        self.last_zxid = Some(zxid);
        Ok(true)
    }

    /// The entry that [`LogReader::advance`] went to.
    pub fn entry(&self) -> Option<LogEntry<'_>> {
        let found = self.entry.as_ref()?;
        Some(LogEntry {
            offset: found.offset,
            zxid: found.zxid,
            checksum: found.checksum,
            payload: &self.buf[found.payload.clone()],
        })
    }

    /// Where the log ended, once it did.
    pub fn end(&self) -> Option<LogEnd> {
        self.end
    }

    /// Where the next entry would start.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The last zxid read.
    pub fn last_zxid(&self) -> Option<i64> {
        self.last_zxid
    }

    /// Where the last entry read starts.
    pub fn last_entry(&self) -> Option<u64> {
        self.last_entry
    }

    /// Length of the file, padding included, when it was opened.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_next(&mut self) -> Result<Step, StoreError> {
        if self.fill(ENTRY_HEAD)? < ENTRY_HEAD {
            return Ok(Step::End(EndReason::Eof));
        }
        let (stored, declared) = head(&self.buf[self.index()..]);
        let len = match usize::try_from(declared) {
            Ok(0) => return Ok(Step::End(EndReason::ZeroLength)),
            Ok(len) => len,
            Err(_) => return Err(self.corrupt(None, Damage::Length(declared))),
        };
        if len > self.max_payload && !self.is_whole(self.at)? {
            return Err(self.corrupt(None, Damage::Length(declared)));
        }
        let total = ENTRY_HEAD + len + 1;
        if self.fill(total)? < total {
            return Ok(Step::End(EndReason::Eof));
        }
        let entry = &self.buf[self.index()..][..total];
        if entry[total - 1] != END_BYTE {
            return Ok(Step::End(EndReason::NoEndByte));
        }
        let payload = &entry[ENTRY_HEAD..total - 1];
        let computed = simd_adler32::adler32(&payload);
        if stored != u64::from(computed) {
            let zxid = payload_zxid(payload);
            return Err(self.corrupt(zxid, Damage::Checksum { stored, computed }));
        }
        Ok(Step::Entry {
            len,
            checksum: computed,
        })
    }

    /// Whether the bytes at `offset` are an entry with its end byte and checksum; nothing is kept
    /// in memory, whatever length they declare.
    fn is_whole(&self, offset: u64) -> Result<bool, StoreError> {
        Ok(self.whole_at(offset, i32::MAX as usize)?.is_some())
    }

    /// The zxid of the whole entry at `offset`, if there is one of at most `max` bytes.
    fn whole_at(&self, offset: u64, max: usize) -> Result<Option<i64>, StoreError> {
        let mut fixed = [0; ENTRY_HEAD + TXN_HEADER];
        if self.read_at(&mut fixed, offset)? < fixed.len() {
            return Ok(None);
        }
        let (stored, declared) = head(&fixed);
        let len = match usize::try_from(declared) {
            Ok(len) if len >= TXN_HEADER && len <= max && stored >> 32 == 0 => len,
            _ => return Ok(None),
        };
        let mut last = [0];
        let last_at = offset + entry_len(len) - 1;
        if self.read_at(&mut last, last_at)? == 0 || last[0] != END_BYTE {
            return Ok(None);
        }
        let sum = self.sum(offset + ENTRY_HEAD as u64, len)?;
        let good = sum.is_some_and(|sum| u64::from(sum) == stored);
        Ok(if good {
            payload_zxid(&fixed[ENTRY_HEAD..])
        } else {
            None
        })
    }

    /// Adler-32 of `len` bytes at `from`, `None` if the file ends before.
    fn sum(&self, from: u64, len: usize) -> Result<Option<u32>, StoreError> {
        let mut adler = simd_adler32::Adler32::new();
        let mut chunk = vec![0; len.min(CHUNK)];
        let mut left = len;
        while left > 0 {
            let want = left.min(CHUNK);
            let have = self.read_at(&mut chunk[..want], from + (len - left) as u64)?;
            if have == 0 {
                return Ok(None);
            }
            adler.write(&chunk[..have]);
            left -= have;
        }
        Ok(Some(adler.finish()))
    }

    /// The first whole entry behind `from` that continues the log behind `last`, at whatever
    /// byte it starts: a damaged length must not hide what follows.
    pub fn find_entry_behind(
        &self,
        from: u64,
        last: Option<i64>,
    ) -> Result<Option<(u64, i64)>, StoreError> {
        let mut window = vec![0; CHUNK];
        let mut at = from;
        while at + (ENTRY_HEAD + TXN_HEADER) as u64 <= self.len {
            let have = self.read_at(&mut window, at)?;
            if have < ENTRY_HEAD {
                break;
            }
            for i in candidates(&window[..have]) {
                let offset = at + i as u64;
                if offset == from {
                    continue;
                }
                if let Some(zxid) = self.whole_at(offset, self.max_payload)?
                    && last.is_none_or(|last| zxid > last)
                {
                    return Ok(Some((offset, zxid)));
                }
            }
            at += (have - (ENTRY_HEAD - 1)) as u64;
        }
        Ok(None)
    }

    /// Whether there is nothing but zeros from `offset` on.
    pub fn is_zero_behind(&self, offset: u64) -> Result<bool, StoreError> {
        let zeros = vec![0; CHUNK];
        let mut chunk = vec![0; CHUNK];
        let mut at = offset;
        while at < self.len {
            let have = self.read_at(&mut chunk, at)?;
            if chunk[..have] != zeros[..have] {
                return Ok(false);
            }
            if have < CHUNK {
                break;
            }
            at += have as u64;
        }
        Ok(true)
    }

    /// Where the run of whole entries that starts at `offset` ends.
    pub fn end_of_entries(&self, mut offset: u64) -> Result<u64, StoreError> {
        while self.whole_at(offset, self.max_payload)?.is_some() {
            let mut fixed = [0; ENTRY_HEAD];
            self.read_at(&mut fixed, offset)?;
            let (_, declared) = head(&fixed);
            offset += entry_len(usize::try_from(declared).unwrap_or(0));
        }
        Ok(offset)
    }

    /// Whether the entry at `offset` lacks a part that a disk writes at once: from some point on,
    /// but not before the entry and not behind `until`, a sector of 512 bytes holds zeros only.
    /// That is what a crash leaves of a batch that was never synced. Flipped bits and short runs
    /// of zeros are damage of another kind.
    pub fn lacks_sector(&self, offset: u64, until: u64) -> Result<bool, StoreError> {
        let mut fixed = [0; ENTRY_HEAD];
        if self.read_at(&mut fixed, offset)? < fixed.len() {
            return Ok(true);
        }
        let (stored, declared) = head(&fixed);
        let len = usize::try_from(declared).unwrap_or(0).min(self.max_payload);
        let end = (offset + entry_len(len)).min(until).min(self.len);
        let mut sector = [0; SECTOR as usize];
        let mut at = offset;
        while at < end {
            let next = (at / SECTOR + 1) * SECTOR;
            let want = &mut sector[..(next - at) as usize];
            let have = self.read_at(want, at)?;
            let zero = want[..have].iter().all(|byte| *byte == 0);
            let proves = match (at == offset, have) {
                // The upper half of a checksum is always zero.
                (true, ..=4) => false,
                // A part of the checksum is missing: the other part must be right.
                (true, 5..=7) => {
                    let rest = u32::MAX >> (8 * (have - 4));
                    let sum = self.sum(offset + ENTRY_HEAD as u64, len)?;
                    sum.is_some_and(|sum| u64::from(sum & rest) == stored)
                }
                _ => true,
            };
            if zero && proves {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }

    /// Whether a single flipped bit explains why the entry at `offset` is damaged, `next` being
    /// where the following one starts, if there is one. A crash does not flip bits; it can look
    /// like it where a missing sector held only a few bytes of the entry.
    pub fn is_one_bit_off(&self, offset: u64, next: Option<u64>) -> Result<bool, StoreError> {
        let mut fixed = [0; ENTRY_HEAD];
        if self.read_at(&mut fixed, offset)? < fixed.len() {
            return Ok(false);
        }
        let (stored, declared) = head(&fixed);
        let payload = offset + ENTRY_HEAD as u64;
        // The length, or the end byte, when the following entry shows how long this one is.
        if let Some(len) = next.and_then(|next| next.checked_sub(payload + 1))
            && let Ok(len) = i32::try_from(len)
            && (len ^ declared).count_ones() <= 1
            && self
                .sum(payload, len.cast_unsigned() as usize)?
                .map(u64::from)
                == Some(stored)
        {
            let changed = if len == declared {
                payload + u64::from(len.cast_unsigned())
            } else {
                let bit = (len ^ declared).trailing_zeros();
                payload - 1 - u64::from(bit / 8)
            };
            return self.is_written(offset, changed);
        }
        let len = match usize::try_from(declared) {
            Ok(len) if len <= self.max_payload => len,
            _ => return Ok(false),
        };
        let Some(computed) = self.sum(payload, len)? else {
            return Ok(false);
        };
        let difference = stored ^ u64::from(computed);
        if difference.count_ones() == 1 {
            return self.is_written(
                offset,
                offset + 7 - u64::from(difference.trailing_zeros() / 8),
            );
        }
        let Ok(stored) = u32::try_from(stored) else {
            return Ok(false);
        };
        for at in flipped_bytes(stored, computed, len) {
            if self.is_written(offset, payload + at as u64)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the entry at `offset`, the last one, would be whole if one bit of its length or of
    /// its end byte were turned around. No crash leaves that; taken for the end of the log, it
    /// would take something acknowledged away.
    pub fn lacks_one_bit(&self, offset: u64) -> Result<bool, StoreError> {
        let mut fixed = [0; ENTRY_HEAD];
        if self.read_at(&mut fixed, offset)? < fixed.len() {
            return Ok(false);
        }
        let (stored, declared) = head(&fixed);
        let flipped = (0..31).map(|bit| (declared ^ 1 << bit, 0));
        for (len, bits) in std::iter::once((declared, 1)).chain(flipped) {
            let len = match usize::try_from(len) {
                Ok(len) if len >= TXN_HEADER && len <= self.max_payload => len,
                _ => continue,
            };
            let mut end = [0];
            let end_at = offset + entry_len(len) - 1;
            if end_at < self.len
                && self.read_at(&mut end, end_at)? == 1
                && (end[0] ^ END_BYTE).count_ones() == bits
                && self.sum(offset + ENTRY_HEAD as u64, len)?.map(u64::from) == Some(stored)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the sector of the byte at `at`, as far as it lies behind `start`, holds anything but
    /// zeros.
    fn is_written(&self, start: u64, at: u64) -> Result<bool, StoreError> {
        let mut sector = [0; SECTOR as usize];
        let begin = (at / SECTOR * SECTOR).max(start);
        let part = &mut sector[..(SECTOR - begin % SECTOR) as usize];
        let have = self.read_at(part, begin)?;
        Ok(part[..have].iter().any(|byte| *byte != 0))
    }

    /// Makes at least `want` bytes from the current position on available, fewer only at the end
    /// of the file. Memory grows to bytes that are there.
    fn fill(&mut self, want: usize) -> Result<usize, StoreError> {
        let start = self.index();
        let have = self.buf.len() - start;
        if have >= want {
            return Ok(have);
        }
        let left = self.len.saturating_sub(self.at + have as u64);
        let more = (want - have).max(CHUNK);
        let more = usize::try_from(left).map_or(more, |left| left.min(more));
        self.buf.drain(..start);
        self.buf_at = self.at;
        self.buf.resize(have + more, 0);
        let mut filled = have;
        while filled < self.buf.len() {
            let offset = self.buf_at + filled as u64;
            match self
                .file
                .read_at(&mut self.buf[filled..], offset)
                .on("read", &self.path)?
            {
                0 => break,
                n => filled += n,
            }
        }
        self.buf.truncate(filled);
        Ok(filled)
    }

    fn index(&self) -> usize {
        usize::try_from(self.at - self.buf_at).map_or(self.buf.len(), |i| i.min(self.buf.len()))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        let mut have = 0;
        while have < buf.len() {
            match self.file.read_at(&mut buf[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) => return Err(error).on("read", &self.path),
            }
        }
        Ok(have)
    }

    fn corrupt(&self, zxid: Option<i64>, what: Damage) -> StoreError {
        let after = self.last_zxid;
        let file = self.path.clone();
        CorruptLog {
            file,
            offset: self.at,
            zxid,
            after,
            what,
        }
        .into()
    }
}

impl From<CorruptLog> for StoreError {
    fn from(damage: CorruptLog) -> Self {
        StoreError::CorruptLog(Box::new(damage))
    }
}

/// Positions in `len` bytes at which a flipped bit turns their Adler-32 from `stored` into
/// `computed`. The lower sum then differs by a power of two, the upper by that times the distance
/// to the end.
fn flipped_bytes(stored: u32, computed: u32, len: usize) -> impl Iterator<Item = usize> {
    const MODULUS: u64 = 65521;
    let minus = |a: u32, b: u32| (u64::from(a) + MODULUS - u64::from(b)) % MODULUS;
    let low = minus(stored & 0xffff, computed & 0xffff);
    let high = minus(stored >> 16, computed >> 16);
    let power = |low: u64| low.is_power_of_two() && low <= 0x80;
    let distance = match power(low) || power(MODULUS - low) {
        // The inverse by Fermat: the modulus is prime.
        true => high * power_mod(low, MODULUS - 2, MODULUS) % MODULUS,
        false => len as u64 + 1,
    };
    let first = if distance == 0 { MODULUS } else { distance };
    (first..=len as u64)
        .step_by(MODULUS as usize)
        .map(move |distance| len - distance as usize)
}

fn power_mod(mut base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent >>= 1;
    }
    result
}

/// Positions at which an entry could start: the upper half of the checksum is zero, the length is
/// positive and not absurd.
fn candidates(window: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let mut i = 0;
    std::iter::from_fn(move || {
        while i + ENTRY_HEAD <= window.len() {
            let here = i;
            i += 1;
            let bytes = &window[here..here + ENTRY_HEAD];
            if bytes[..4] != [0; 4] {
                continue;
            }
            match i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) {
                // Inside padding: the next length can only start behind the zeros.
                0 if bytes[4..8] == [0; 4] => {
                    let zeros = window[here..].iter().take_while(|byte| **byte == 0).count();
                    i = (here + zeros).saturating_sub(ENTRY_HEAD).max(here + 1);
                }
                len if len >= TXN_HEADER as i32 => return Some(here),
                _ => {}
            }
        }
        None
    })
}

fn head(bytes: &[u8]) -> (u64, i32) {
    let stored = bytes[..8].try_into().expect("eight bytes");
    let declared = bytes[8..12].try_into().expect("four bytes");
    (u64::from_be_bytes(stored), i32::from_be_bytes(declared))
}

fn entry_len(payload: usize) -> u64 {
    (ENTRY_HEAD + payload + 1) as u64
}
