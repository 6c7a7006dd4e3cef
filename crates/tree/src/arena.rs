//! Where nodes live: chunks that never move, so that growth copies nothing, and small nodes that
//! refer to each other by 32-bit ids.

use crate::acl::AclId;
use std::ops::{Index, IndexMut};

/// Index of a node in its slab.
pub(crate) type NodeId = u32;

/// The root is made first and never removed.
pub(crate) const ROOT: NodeId = 0;

/// No extension.
pub(crate) const NONE: u32 = u32::MAX;

/// What every node has. What only directories and owned nodes have is in [`Ext`].
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    /// Number of creates below the node, as files keep it.
    pub(crate) cversion: i32,
    pub(crate) aversion: i32,
    pub(crate) acl: AclId,
    pub(crate) parent: NodeId,
    /// Position among the parent's children, so that leaving costs the same in any directory.
    pub(crate) pos: u32,
    /// Index of the [`Ext`], or [`NONE`].
    pub(crate) ext: u32,
    pub(crate) payload: Payload,
}

// Millions of these are what a large tree costs; a new field must be worth its bytes.
const _: () = assert!(size_of::<Node>() <= 88);

/// What directories and owned nodes have in addition.
#[derive(Debug, Default)]
pub(crate) struct Ext {
    /// 0, a session, or the mark of a container or TTL node.
    pub(crate) owner: i64,
    /// Full path, empty without children and for the root: children find their own path here.
    pub(crate) path: Box<str>,
    pub(crate) children: Vec<NodeId>,
}

/// Name and data in one allocation: a head that holds the length of the name and whether the data
/// are null, then the name, then the data. Empty only in vacant slots.
#[derive(Debug, Default)]
pub(crate) struct Payload(Box<[u8]>);

/// Heads below this are the whole head; this one announces four bytes of length.
const LONG: u8 = 0xFE;

impl Payload {
    pub(crate) fn new(name: &[u8], data: Option<&[u8]>) -> Payload {
        let null = data.is_none();
        let data = data.unwrap_or_default();
        let mut bytes = Vec::with_capacity(head_len(name.len()) + name.len() + data.len());
        if name.len() < usize::from(LONG >> 1) {
            bytes.push((name.len() as u8) << 1 | u8::from(null));
        } else {
            let len = u32::try_from(name.len()).expect("a name is shorter than 4 GiB");
            bytes.push(LONG | u8::from(null));
            bytes.extend_from_slice(&len.to_le_bytes());
        }
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(data);
        Payload(bytes.into_boxed_slice())
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.0.is_empty()
    }

    /// Start and end of the name.
    fn name_range(&self) -> (usize, usize) {
        let head = self.0[0];
        if head < LONG {
            return (1, 1 + usize::from(head >> 1));
        }
        let len = u32::from_le_bytes([self.0[1], self.0[2], self.0[3], self.0[4]]);
        (5, 5 + len as usize)
    }

    pub(crate) fn name(&self) -> &[u8] {
        let (start, end) = self.name_range();
        &self.0[start..end]
    }

    pub(crate) fn data(&self) -> Option<&[u8]> {
        let (_, end) = self.name_range();
        if self.0[0] & 1 == 1 {
            return None;
        }
        Some(&self.0[end..])
    }

    /// Bytes of data, 0 for null.
    pub(crate) fn data_len(&self) -> usize {
        self.0.len() - self.name_range().1
    }

    pub(crate) fn set_data(&mut self, data: Option<&[u8]>) {
        let (_, end) = self.name_range();
        match data {
            // The usual case, values of one size, needs no new allocation.
            Some(data) if data.len() == self.0.len() - end => {
                self.0[0] &= !1;
                self.0[end..].copy_from_slice(data);
            }
            _ => *self = Payload::new(self.name(), data),
        }
    }
}

fn head_len(name_len: usize) -> usize {
    if name_len < usize::from(LONG >> 1) {
        1
    } else {
        5
    }
}

const CHUNK: usize = 4096;

/// Values under stable 32-bit ids, in chunks that never move.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T: Default> Slab<T> {
    /// Ids given out so far: every id is below this.
    pub(crate) fn end(&self) -> u32 {
        match self.chunks.last() {
            None => 0,
            Some(last) => ((self.chunks.len() - 1) * CHUNK + last.len()) as u32,
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop() {
            self[id] = value;
            return id;
        }
        let id = self.end();
        assert!(id < NONE, "a tree holds fewer than 2^32 - 1 nodes");
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.chunks.push(chunk);
            }
        }
        id
    }

    pub(crate) fn remove(&mut self, id: u32) -> T {
        self.free.push(id);
        std::mem::take(&mut self[id])
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, id: u32) -> &T {
        &self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        &mut self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_keep_null_and_empty_apart_for_names_of_any_length() {
        for len in [0usize, 1, 126, 127, 128, 300, 70_000] {
            let name = vec![b'n'; len];
            for data in [None, Some(&b""[..]), Some(b"d"), Some(b"data")] {
                let mut payload = Payload::new(&name, data);
                assert_eq!((payload.name(), payload.data()), (&name[..], data));
                for next in [
                    None,
                    Some(&b""[..]),
                    Some(b"x"),
                    None,
                    Some(b"xy"),
                    Some(b"zz"),
                ] {
                    payload.set_data(next);
                    assert_eq!((payload.name(), payload.data()), (&name[..], next));
                    assert_eq!(payload.data_len(), next.map_or(0, <[u8]>::len));
                }
                assert!(!payload.is_vacant());
            }
        }
    }

    #[test]
    fn slabs_reuse_ids_and_keep_the_others() {
        let mut slab = Slab::default();
        let ids: Vec<u32> = (0..10_000u64).map(|n| slab.insert(n)).collect();
        assert_eq!((ids[9_999], slab.end()), (9_999, 10_000));
        assert_eq!(slab.remove(5_000), 5_000);
        assert_eq!(
            (slab.insert(7), slab[5_000], slab[5_001]),
            (5_000, 7, 5_001)
        );
        assert_eq!(slab.end(), 10_000);
    }
}
