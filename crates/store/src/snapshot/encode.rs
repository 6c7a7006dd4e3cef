//! Values to the content of a snapshot.

use super::{SnapshotDigest, SnapshotNode};
use simd_adler32::Adler32;
use std::io::{self, Write};
use zooid_proto::records::Acl;
use zooid_proto::{Jute, Writer};

/// First bytes of the content.
pub(super) const MAGIC: [u8; 4] = *b"ZKSN";
const VERSION: i32 = 2;
const DBID: i64 = -1;

/// Bytes gathered before they are summed and handed on.
const CHUNK: usize = 64 << 10;

/// Writes the content of a snapshot to anything that takes bytes.
pub struct SnapshotEncoder<W> {
    out: W,
    buf: Vec<u8>,
    adler: Adler32,
}

impl<W: Write> SnapshotEncoder<W> {
    /// Writes the header, the sessions with their timeouts in ms, and the ACL table.
    pub fn new<'a>(
        out: W,
        sessions: impl ExactSizeIterator<Item = (i64, i32)>,
        acls: impl ExactSizeIterator<Item = (i64, &'a [Acl<'a>])>,
    ) -> io::Result<SnapshotEncoder<W>> {
        let mut encoder = SnapshotEncoder {
            out,
            buf: Vec::new(),
            adler: Adler32::new(),
        };
        encoder.buf.extend_from_slice(&MAGIC);
        let mut to = Writer::disk(&mut encoder.buf);
        to.i32(VERSION);
        to.i64(DBID);
        to.count(Some(sessions.len()));
        for (id, timeout_ms) in sessions {
            encoder.put(|to| {
                to.i64(id);
                to.i32(timeout_ms);
            })?;
        }
        Writer::disk(&mut encoder.buf).count(Some(acls.len()));
        for (id, acl) in acls {
            encoder.put(|to| {
                to.i64(id);
                to.count(Some(acl.len()));
                for entry in acl {
                    entry.write(to);
                }
            })?;
        }
        Ok(encoder)
    }

    /// Writes a node; the root (the empty path) comes first, parents before children.
    pub fn node(&mut self, node: &SnapshotNode<'_>) -> io::Result<()> {
        put_node(&mut self.buf, node);
        self.drain_if_full()
    }

    /// Writes nodes that [`put_node`] encoded.
    pub fn nodes(&mut self, encoded: &[u8]) -> io::Result<()> {
        self.drain()?;
        self.adler.write(encoded);
        self.out.write_all(encoded)
    }

    /// Writes the end of the nodes, the optional sections, and a seal behind each.
    pub fn finish(
        mut self,
        digest: Option<SnapshotDigest>,
        last_zxid: Option<i64>,
    ) -> io::Result<W> {
        Writer::disk(&mut self.buf).str(Some("/"));
        self.seal()?;
        if let Some(digest) = digest {
            let mut to = Writer::disk(&mut self.buf);
            to.i64(digest.zxid);
            to.i32(digest.version);
            // The calculation before version 2 was kept as text.
            if digest.version < 2 {
                to.str(Some(&format!("{:x}", digest.value)));
            } else {
                to.i64(digest.value);
            }
            self.seal()?;
        }
        if let Some(zxid) = last_zxid {
            Writer::disk(&mut self.buf).i64(zxid);
            self.seal()?;
        }
        self.drain()?;
        Ok(self.out)
    }

    fn put(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> io::Result<()> {
        write(&mut Writer::disk(&mut self.buf));
        self.drain_if_full()
    }

    /// One running sum over everything before, earlier seals included.
    fn seal(&mut self) -> io::Result<()> {
        self.drain()?;
        let sum = i64::from(self.adler.finish());
        let mut to = Writer::disk(&mut self.buf);
        to.i64(sum);
        to.str(Some("/"));
        Ok(())
    }

    fn drain_if_full(&mut self) -> io::Result<()> {
        if self.buf.len() < CHUNK {
            Ok(())
        } else {
            self.drain()
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.adler.write(&self.buf);
        self.out.write_all(&self.buf)?;
        self.buf.clear();
        Ok(())
    }
}

/// Appends the bytes of one node, for callers that encode under a lock and write outside of it.
pub fn put_node(out: &mut Vec<u8>, node: &SnapshotNode<'_>) {
    let mut to = Writer::disk(out);
    to.str(Some(&node.path));
    to.buf(node.data);
    to.i64(node.acl_id);
    node.stat.write(&mut to);
}
