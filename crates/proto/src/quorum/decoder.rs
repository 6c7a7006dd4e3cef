//! Finds packets in a stream of bytes.

use super::QuorumPacket;
use crate::jute::{Jute, JuteError, Reader};

/// Java's default of `jute.maxbuffer`, bytes.
const MAX_BUFFER: usize = 0xF_FFFF;

/// Java takes at least so many bytes more than `jute.maxbuffer`.
const MIN_EXTRA: usize = 1024;

/// How large the fields of a packet may be. All members of an ensemble need the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in a buffer or a string.
    pub field: usize,
}

impl Limits {
    /// From `jute.maxbuffer` and, if it is set, `zookeeper.jute.maxbuffer.extrasize`, both in bytes.
    pub fn new(max_buffer: usize, extra: Option<usize>) -> Limits {
        let extra = extra.unwrap_or(max_buffer).max(MIN_EXTRA);
        Limits {
            field: max_buffer.saturating_add(extra),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new(MAX_BUFFER, None)
    }
}

/// The stream is not one of packets. Nothing behind it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A field is longer than the limit, or its length is below -1.
    #[error("{what} of {length} bytes, at most {limit} are allowed (jute.maxbuffer)")]
    Length {
        /// Which field.
        what: &'static str,
        /// Its length as declared.
        length: i64,
        /// The limit.
        limit: usize,
    },
    /// A packet does not read as one.
    #[error("not a packet: {0}")]
    Jute(#[from] JuteError),
}

/// Finds packets in a stream of bytes.
///
/// It keeps the bytes of one unfinished packet, and whatever else was pushed and not asked for. A
/// length that is declared reserves nothing. Each byte is looked at once, however it arrives.
#[derive(Debug, Clone)]
pub struct PacketDecoder {
    limits: Limits,
    bytes: Vec<u8>,
    /// Where the packet begins that is not finished.
    begin: usize,
    /// Where its first field begins that is not known to be there.
    scanned: usize,
    field: Field,
    /// Bytes of the identities of the unfinished packet.
    authinfo: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    IdCount,
    /// Strings that are still to come.
    Strings(u64),
}

/// Kind and zxid.
const FRONT: usize = 12;

impl PacketDecoder {
    /// A decoder at the start of a stream.
    pub fn new(limits: Limits) -> PacketDecoder {
        PacketDecoder {
            limits,
            bytes: Vec::new(),
            begin: 0,
            scanned: FRONT,
            field: Field::Data,
            authinfo: 0,
        }
    }

    /// Takes in what has arrived.
    pub fn push(&mut self, arrived: &[u8]) {
        if self.begin > 0 {
            self.bytes.drain(..self.begin);
            self.scanned -= self.begin;
            self.begin = 0;
        }
        self.bytes.extend_from_slice(arrived);
    }

    /// The next packet, `None` until more has arrived.
    ///
    /// Identities count as one field together: Java has no bound on their number.
    ///
    /// # Errors
    /// The stream is broken. Every later call says so again.
    pub fn next_packet(&mut self) -> Result<Option<QuorumPacket<'_>>, StreamError> {
        let Some(end) = self.find_end()? else {
            return Ok(None);
        };
        let from = &mut Reader::new(&self.bytes[self.begin..end]);
        let packet = QuorumPacket::read(from)?;
        assert_eq!(from.remaining(), 0, "the packet ends where its fields end");
        self.begin = end;
        self.scanned = end + FRONT;
        self.field = Field::Data;
        self.authinfo = 0;
        Ok(Some(packet))
    }

    /// Takes what has arrived behind the last packet, for a stream that goes on as something else.
    ///
    /// Afterwards the decoder is empty and stands at the start of a packet.
    pub fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.begin);
        *self = PacketDecoder::new(self.limits);
        rest
    }

    /// Bytes that have arrived behind the last packet.
    pub fn buffered(&self) -> usize {
        self.bytes.len() - self.begin
    }

    /// Goes on where the last call stopped for want of bytes.
    fn find_end(&mut self) -> Result<Option<usize>, StreamError> {
        loop {
            if self.field == Field::Strings(0) {
                return Ok(Some(self.scanned));
            }
            let Some(&length) = self
                .bytes
                .get(self.scanned..)
                .and_then(<[u8]>::first_chunk::<4>)
            else {
                return Ok(None);
            };
            let length = i32::from_be_bytes(length);
            let next = match self.field {
                Field::IdCount => {
                    self.scanned += 4;
                    // A negative count is of an empty list.
                    self.field = Field::Strings(2 * u64::try_from(length).unwrap_or(0));
                    continue;
                }
                Field::Data => Field::IdCount,
                Field::Strings(left) => Field::Strings(left - 1),
            };
            let what = if next == Field::IdCount {
                "a body"
            } else {
                "an identity"
            };
            let size = self.field_size(what, length)?;
            if next != Field::IdCount && self.authinfo + size > self.limits.field {
                return Err(StreamError::Length {
                    what: "identities",
                    length: (self.authinfo + size) as i64,
                    limit: self.limits.field,
                });
            }
            if self.bytes.len() - self.scanned < size {
                return Ok(None);
            }
            if next != Field::IdCount {
                self.authinfo += size;
            }
            self.scanned += size;
            self.field = next;
        }
    }

    /// Bytes of a field with its length.
    fn field_size(&self, what: &'static str, length: i32) -> Result<usize, StreamError> {
        match usize::try_from(length) {
            Ok(n) if n <= self.limits.field => Ok(4 + n),
            Err(_) if length == -1 => Ok(4),
            _ => Err(StreamError::Length {
                what,
                length: i64::from(length),
                limit: self.limits.field,
            }),
        }
    }
}
