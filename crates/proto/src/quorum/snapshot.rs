//! The snapshot that follows a SNAP packet: sessions, ACLs, nodes with parents first, a mark of the
//! end and a signature. It is the content of a snapshot file without its header and seals.

use super::decoder::Limits;
use super::{StreamError, Touch};
use crate::jute::{Buf, Jute, JuteError, List, Reader, Writer};
use crate::records::{Acl, StatPersisted};
use std::borrow::Cow;

/// The path that ends the nodes; no node has it, since the root is the empty path.
const END: &str = "/";

/// What stands behind the snapshot; Java fails the synchronisation without it.
const SIGNATURE: &str = "BenWasHere";

/// What a snapshot stream holds, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotItem<'a> {
    /// A session and its timeout.
    Session(Touch),
    /// An entry of the ACL table.
    Acl {
        /// Its id, which nodes refer to.
        id: i64,
        /// The list.
        acl: Vec<Acl<'a>>,
    },
    /// A node.
    Node(StreamedNode<'a>),
    /// The end, with the signature: what follows are packets again.
    End,
}

records! {
    /// A node of a snapshot stream.
    StreamedNode<'a> {
        /// Its path; the root is the empty path.
        path: Cow<'a, str>,
        /// Its data; null and empty differ.
        data: Buf<'a>,
        /// Id in the table of ACLs, -1 for world:anyone with all permissions.
        acl_id: i64,
        /// Its state.
        stat: StatPersisted,
    }
}

/// The bytes are not a snapshot. The synchronisation has failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotStreamError {
    /// A field is longer than the limit, or its length is below -1, or null where it must not be.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The end has no signature.
    #[error("the snapshot ends with {0:?} and not with {SIGNATURE:?}")]
    Signature(String),
}

/// Finds the items of a snapshot in a stream of bytes.
///
/// It keeps the bytes of one unfinished item, and whatever else was pushed and not asked for. A
/// declared length or count reserves nothing.
#[derive(Debug, Clone)]
pub struct SnapshotDecoder {
    limits: Limits,
    bytes: Vec<u8>,
    begin: usize,
    /// Bytes from `begin` without which the item cannot be complete.
    wanted: usize,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    SessionCount,
    Sessions(i32),
    AclCount,
    Acls(i32),
    Nodes,
    Signature,
    Done,
}

impl SnapshotDecoder {
    /// A decoder for what follows a SNAP packet.
    pub fn new(limits: Limits) -> SnapshotDecoder {
        SnapshotDecoder {
            limits,
            bytes: Vec::new(),
            begin: 0,
            wanted: 0,
            part: Part::SessionCount,
        }
    }

    /// Takes in what has arrived.
    pub fn push(&mut self, arrived: &[u8]) {
        self.bytes.drain(..self.begin);
        self.begin = 0;
        self.bytes.extend_from_slice(arrived);
    }

    /// The next item, `None` until more has arrived and behind [`SnapshotItem::End`].
    ///
    /// # Errors
    /// The stream is broken. Every later call says so again.
    pub fn next_item(&mut self) -> Result<Option<SnapshotItem<'_>>, SnapshotStreamError> {
        // Twice: the borrow of a complete item lasts until the caller drops it.
        if !self.is_complete()? {
            return Ok(None);
        }
        let from = &mut Reader::new(&self.bytes[self.begin..]);
        let item = match &mut self.part {
            Part::Sessions(left) => {
                *left -= 1;
                SnapshotItem::Session(read(from)?)
            }
            Part::Acls(left) => {
                *left -= 1;
                let id = read(from)?;
                let acl = read::<List<Acl<'_>>>(from)?;
                let acl = acl.ok_or(StreamError::Jute(JuteError::Null {
                    what: "access control list",
                    at: 8,
                }))?;
                SnapshotItem::Acl { id, acl }
            }
            Part::Nodes => SnapshotItem::Node(read(from)?),
            Part::Signature => {
                let signature: Cow<'_, str> = read(from)?;
                if signature != SIGNATURE {
                    return Err(SnapshotStreamError::Signature(signature.into_owned()));
                }
                self.part = Part::Done;
                SnapshotItem::End
            }
            Part::SessionCount | Part::AclCount | Part::Done => {
                unreachable!("these are no items")
            }
        };
        self.begin += from.position();
        Ok(Some(item))
    }

    /// Takes what has arrived behind the end of the snapshot.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.bytes.split_off(self.begin)
    }

    /// Bytes that have arrived and belong to no item that was handed out.
    pub fn buffered(&self) -> usize {
        self.bytes.len() - self.begin
    }

    /// Whether an item is there; goes past counts and the mark of the end.
    fn is_complete(&mut self) -> Result<bool, SnapshotStreamError> {
        loop {
            if self.bytes.len() - self.begin < self.wanted || self.part == Part::Done {
                return Ok(false);
            }
            let scan = &mut Scan {
                bytes: &self.bytes[self.begin..],
                at: 0,
                limit: self.limits.field,
            };
            let scanned = match self.part {
                Part::SessionCount | Part::AclCount => scan.int().map(|_| false),
                Part::Sessions(0) | Part::Acls(0) => Ok(false),
                Part::Sessions(_) => scan.skip(12).map(|()| true),
                Part::Acls(_) => scan.acl_entry().map(|()| true),
                Part::Nodes => scan.node(),
                Part::Signature => scan.field("a signature").map(|_| true),
                Part::Done => unreachable!("returned above"),
            };
            let at = scan.at;
            match scanned {
                Ok(true) => {
                    self.wanted = 0;
                    return Ok(true);
                }
                Err(Stop::Wanted(wanted)) => {
                    self.wanted = wanted;
                    return Ok(false);
                }
                Err(Stop::Broken(error)) => return Err(error.into()),
                Ok(false) => {}
            }
            // Java counts down while the number is above zero.
            let count = Reader::new(&self.bytes[self.begin..]).i32().unwrap_or(0);
            self.wanted = 0;
            self.begin += at;
            self.part = match self.part {
                Part::SessionCount => Part::Sessions(count.max(0)),
                Part::Sessions(_) => Part::AclCount,
                Part::AclCount => Part::Acls(count.max(0)),
                Part::Acls(_) => Part::Nodes,
                Part::Nodes => Part::Signature,
                Part::Signature | Part::Done => unreachable!("these end otherwise"),
            };
        }
    }
}

/// Writes a snapshot stream: sessions, ACLs, nodes and the end, in this order. Text is written as in
/// files: what Java writes of characters beyond the Basic Multilingual Plane it does not read back.
#[derive(Debug, Clone, Copy, Default)]
pub struct SnapshotEncoder;

impl SnapshotEncoder {
    /// Appends the number of sessions; as many [`session`](Self::session)s must follow.
    pub fn sessions(self, count: usize, out: &mut Vec<u8>) {
        Writer::disk(out).count(Some(count));
    }

    /// Appends a session.
    pub fn session(self, session: Touch, out: &mut Vec<u8>) {
        session.write(&mut Writer::disk(out));
    }

    /// Appends the number of ACLs; as many [`acl`](Self::acl)s must follow.
    pub fn acls(self, count: usize, out: &mut Vec<u8>) {
        Writer::disk(out).count(Some(count));
    }

    /// Appends an entry of the ACL table.
    pub fn acl(self, id: i64, acl: &[Acl<'_>], out: &mut Vec<u8>) {
        let to = &mut Writer::disk(out);
        to.i64(id);
        to.count(Some(acl.len()));
        acl.iter().for_each(|entry| entry.write(to));
    }

    /// Appends a node; its parent must be there already.
    pub fn node(self, node: &StreamedNode<'_>, out: &mut Vec<u8>) {
        node.write(&mut Writer::disk(out));
    }

    /// Appends the end.
    pub fn end(self, out: &mut Vec<u8>) {
        let to = &mut Writer::disk(out);
        to.str(Some(END));
        to.str(Some(SIGNATURE));
    }
}

fn read<'a, T: Jute<'a>>(from: &mut Reader<'a>) -> Result<T, StreamError> {
    T::read(from).map_err(StreamError::Jute)
}

/// Why a scan stops.
enum Stop {
    /// So many bytes from the start of the item are needed to go on.
    Wanted(usize),
    Broken(StreamError),
}

/// Looks for the end of an item without keeping anything of it.
struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
    limit: usize,
}

impl Scan<'_> {
    fn skip(&mut self, n: usize) -> Result<(), Stop> {
        let end = self.at + n;
        if end > self.bytes.len() {
            return Err(Stop::Wanted(end));
        }
        self.at = end;
        Ok(())
    }

    fn int(&mut self) -> Result<i32, Stop> {
        let begin = self.at;
        self.skip(4)?;
        Ok(Reader::new(&self.bytes[begin..])
            .i32()
            .expect("four bytes are there"))
    }

    /// Skips a string or buffer; returns what it holds.
    fn field(&mut self, what: &'static str) -> Result<&[u8], Stop> {
        let length = self.int()?;
        let n = match usize::try_from(length) {
            Ok(n) if n <= self.limit => n,
            Err(_) if length == -1 => 0,
            _ => return Err(self.too_long(what, i64::from(length))),
        };
        let begin = self.at;
        self.skip(n)?;
        Ok(&self.bytes[begin..self.at])
    }

    /// A list counts as one field: Java has no bound on the number of its entries.
    fn acl_entry(&mut self) -> Result<(), Stop> {
        self.skip(8)?;
        let count = self.int()?;
        for _ in 0..count {
            self.skip(4)?;
            self.field("a scheme")?;
            self.field("an identity")?;
            if self.at > 12 + self.limit {
                return Err(self.too_long("an access control list", self.at as i64));
            }
        }
        Ok(())
    }

    /// Whether it is a node and not the mark of the end.
    fn node(&mut self) -> Result<bool, Stop> {
        if self.field("a path")? == END.as_bytes() {
            return Ok(false);
        }
        self.field("the data of a node")?;
        self.skip(8 + StatPersisted::MIN_BYTES)?;
        Ok(true)
    }

    fn too_long(&self, what: &'static str, length: i64) -> Stop {
        Stop::Broken(StreamError::Length {
            what,
            length,
            limit: self.limit,
        })
    }
}
