//! The content of a snapshot to values. The parser is given bytes and says how many it used or
//! needs, so it serves files and sockets alike.

use super::{SnapshotDigest, SnapshotNode, encode::MAGIC};
use simd_adler32::Adler32;
use zooid_proto::records::{Acl, StatPersisted};
use zooid_proto::{Jute, JuteError, Reader};

/// Longest string, buffer or vector element that is waited for. Java stops at jute.maxbuffer plus
/// its extra size (2 MiB by default); operators raise and lower that, and a file that was once
/// written should be read.
pub const MAX_FIELD: usize = 64 << 20;

/// Most bytes that the sections behind the first seal take.
pub const MAX_TAIL: usize = 4096;

const SEAL: usize = 13;

/// Turns content into items, step by step, and sums it up.
pub struct SnapshotParser {
    state: State,
    at: u64,
    adler: Adler32,
    meta: SnapshotMeta,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Header,
    SessionCount,
    Sessions { left: i32 },
    Acls { left: i32 },
    Nodes,
    Tail,
}

/// What one step gave.
#[derive(Debug)]
pub enum Step<'a> {
    /// An item, made of the first `consumed` bytes.
    Item {
        /// What it is.
        item: SnapshotItem<'a>,
        /// Bytes that are done with.
        consumed: usize,
    },
    /// Nothing before this many bytes are there.
    More {
        /// Bytes needed from the current position on.
        want: usize,
    },
    /// All nodes were read and their seal is right. All that follows (or [`MAX_TAIL`] bytes of
    /// it) belongs to [`SnapshotParser::finish`].
    Tail,
}

/// One part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotItem<'a> {
    /// A part without a value of its own: the header, a count, the end of the nodes.
    Header,
    /// A session.
    Session {
        /// Its id.
        id: i64,
        /// Its negotiated timeout.
        timeout_ms: i32,
    },
    /// An entry of the ACL table.
    Acl {
        /// Id that nodes refer to.
        id: i64,
        /// The list.
        acl: Vec<Acl<'a>>,
    },
    /// A node.
    Node(SnapshotNode<'a>),
}

/// What is known of a snapshot after it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// Number of sessions.
    pub sessions: u64,
    /// Entries of the ACL table.
    pub acls: u64,
    /// Number of nodes, the root included.
    pub nodes: u64,
    /// Highest zxid in any node: the state includes effects up to there.
    pub max_zxid: i64,
    /// The digest section, if there is one.
    pub digest: Option<SnapshotDigest>,
    /// The last-zxid section, if there is one.
    pub last_zxid: Option<i64>,
    /// The seals, in the order of the file.
    pub seals: Vec<Seal>,
    /// Bytes of content behind the last section that belong to nothing.
    pub trailing: usize,
    /// Bytes of content that were used.
    pub content_len: u64,
}

/// A running sum in the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Offset of the sum.
    pub offset: u64,
    /// Adler-32 of all content before it.
    pub adler: u32,
}

impl Default for SnapshotParser {
    fn default() -> Self {
        SnapshotParser::new()
    }
}

impl SnapshotMeta {
    /// The highest transaction of which the snapshot may hold an effect: at least `zxid`, the one
    /// in its name, and more if it was taken while transactions were applied.
    pub fn end_of_window(&self, zxid: i64) -> i64 {
        let digest = self.digest.map_or(0, |digest| digest.zxid);
        zxid.max(self.max_zxid)
            .max(digest)
            .max(self.last_zxid.unwrap_or(0))
    }
}

impl SnapshotParser {
    /// A parser at the start of the content.
    pub fn new() -> SnapshotParser {
        SnapshotParser {
            state: State::Header,
            at: 0,
            adler: Adler32::new(),
            meta: SnapshotMeta::default(),
        }
    }

    /// Bytes of content used so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Takes the next item from `bytes`, which start at the current position.
    pub fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, String> {
        let mut from = Reader::new(bytes);
        let item = match self.item(&mut from) {
            Ok(Some(item)) => item,
            Ok(None) => return Ok(Step::Tail),
            Err(Wrong::Jute(JuteError::Truncated { at, wanted, .. })) if wanted <= MAX_FIELD => {
                return Ok(Step::More { want: at + wanted });
            }
            Err(Wrong::Jute(error)) => return Err(error.to_string()),
            Err(Wrong::Content(what)) => return Err(what),
        };
        let consumed = from.position();
        if matches!(self.state, State::Tail) {
            let end = consumed.checked_sub(SEAL).expect("the seal was read");
            self.consume(&bytes[..end]);
            self.check_seal(&bytes[end..consumed])?;
        } else {
            self.consume(&bytes[..consumed]);
        }
        Ok(Step::Item { item, consumed })
    }

    fn item<'a>(&mut self, from: &mut Reader<'a>) -> Result<Option<SnapshotItem<'a>>, Wrong> {
        let item = match self.state {
            State::Header => {
                let magic = from.take(16)?;
                if magic[..4] != MAGIC {
                    let found = &magic[..4];
                    return Err(Wrong::Content(format!(
                        "starts with {found:02x?}, not with ZKSN"
                    )));
                }
                self.state = State::SessionCount;
                SnapshotItem::Header
            }
            State::SessionCount => {
                self.state = State::Sessions { left: from.i32()? };
                SnapshotItem::Header
            }
            State::Sessions { left } if left > 0 => {
                let (id, timeout_ms) = (from.i64()?, from.i32()?);
                self.state = State::Sessions { left: left - 1 };
                self.meta.sessions += 1;
                SnapshotItem::Session { id, timeout_ms }
            }
            State::Sessions { .. } => {
                self.state = State::Acls { left: from.i32()? };
                SnapshotItem::Header
            }
            State::Acls { left } if left > 0 => {
                let id = from.i64()?;
                let acl = Option::<Vec<Acl<'a>>>::read(from)?
                    .ok_or_else(|| Wrong::Content(format!("the ACL with id {id} is null")))?;
                self.state = State::Acls { left: left - 1 };
                self.meta.acls += 1;
                SnapshotItem::Acl { id, acl }
            }
            State::Acls { .. } | State::Nodes => {
                let item = self.node(from)?;
                self.state = if item.is_some() {
                    State::Nodes
                } else {
                    State::Tail
                };
                item.map_or(SnapshotItem::Header, SnapshotItem::Node)
            }
            State::Tail => return Ok(None),
        };
        Ok(Some(item))
    }

    /// A node, or, at the path `/`, the seal that ends them.
    fn node<'a>(&mut self, from: &mut Reader<'a>) -> Result<Option<SnapshotNode<'a>>, Wrong> {
        let Some(path) = from.str()? else {
            return Err(Wrong::Content("a path is null".to_string()));
        };
        if path == "/" {
            from.take(SEAL)?;
            return Ok(None);
        }
        let data = from.raw()?;
        let acl_id = from.i64()?;
        let stat = StatPersisted::read(from)?;
        let zxids = stat.czxid.max(stat.mzxid).max(stat.pzxid);
        self.meta.max_zxid = self.meta.max_zxid.max(zxids);
        self.meta.nodes += 1;
        Ok(Some(SnapshotNode {
            path,
            data,
            acl_id,
            stat,
        }))
    }

    /// Reads the sections behind the nodes from `tail`, which is all that follows. They carry no
    /// tags: how many bytes follow says which are there. (Java expects what its own configuration
    /// says, and so cannot read what another configuration wrote.)
    pub fn finish(mut self, tail: &[u8]) -> Result<SnapshotMeta, String> {
        assert!(
            matches!(self.state, State::Tail),
            "the nodes were not read to their end"
        );
        let mut from = Reader::new(tail);
        let version = tail
            .get(8..12)
            .map(|v| i32::from_be_bytes([v[0], v[1], v[2], v[3]]));
        let (digest, last_zxid) = match (tail.len(), version) {
            (0, _) => (false, false),
            (21, _) => (false, true),
            (33, Some(2..)) => (true, false),
            (54.., Some(2..)) => (true, true),
            // The digest before version 2 is text, 1 to 16 hexadecimal digits.
            (30..=45, Some(..2)) => (true, false),
            (46.., Some(..2)) => (true, true),
            (n, _) => return Err(format!("{n} bytes behind the nodes are no known sections")),
        };
        self.sections(&mut from, tail, digest, last_zxid)
            .map_err(|wrong| match wrong {
                Wrong::Jute(error) => error.to_string(),
                Wrong::Content(what) => what,
            })?;
        self.meta.trailing = from.remaining();
        self.meta.content_len = self.at;
        Ok(self.meta)
    }

    fn sections(
        &mut self,
        from: &mut Reader<'_>,
        tail: &[u8],
        digest: bool,
        last_zxid: bool,
    ) -> Result<(), Wrong> {
        if digest {
            let (zxid, version) = (from.i64()?, from.i32()?);
            let value = if version < 2 {
                let text = from.str()?.unwrap_or_default();
                u64::from_str_radix(&text, 16).unwrap_or(0).cast_signed()
            } else {
                from.i64()?
            };
            self.meta.digest = Some(SnapshotDigest {
                zxid,
                version,
                value,
            });
            self.section_seal(from, tail, 0)?;
        }
        if last_zxid {
            let start = from.position();
            self.meta.last_zxid = Some(from.i64()?);
            self.section_seal(from, tail, start)?;
        }
        Ok(())
    }

    fn section_seal(
        &mut self,
        from: &mut Reader<'_>,
        tail: &[u8],
        start: usize,
    ) -> Result<(), Wrong> {
        self.consume(&tail[start..from.position()]);
        let seal = from.take(SEAL)?;
        self.check_seal(seal).map_err(Wrong::Content)
    }

    fn check_seal(&mut self, seal: &[u8]) -> Result<(), String> {
        let adler = self.adler.finish();
        let stored = seal[..8]
            .try_into()
            .map(u64::from_be_bytes)
            .expect("eight bytes");
        if stored != u64::from(adler) {
            let at = self.at;
            return Err(format!(
                "the checksum at {at} is {stored:08x}, that of the content is {adler:08x}"
            ));
        }
        if seal[8..] != [0, 0, 0, 1, b'/'] {
            return Err(format!("the seal at {} does not end with \"/\"", self.at));
        }
        self.meta.seals.push(Seal {
            offset: self.at,
            adler,
        });
        self.consume(seal);
        Ok(())
    }

    fn consume(&mut self, bytes: &[u8]) {
        self.adler.write(bytes);
        self.at += bytes.len() as u64;
    }
}

enum Wrong {
    Jute(JuteError),
    Content(String),
}

impl From<JuteError> for Wrong {
    fn from(error: JuteError) -> Self {
        Wrong::Jute(error)
    }
}
