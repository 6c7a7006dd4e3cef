//! Where nodes live: chunks that never move, so that growth copies nothing, and small nodes that
//! refer to each other by 32-bit ids.

use crate::acl::AclId;
use crate::payload::Payload;
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
    /// Of the hash of the path: the index keeps ids alone.
    pub(crate) tag: u32,
    pub(crate) payload: Payload,
}

// Millions of these are what a large tree costs; a new field must be worth its bytes.
const _: () = assert!(size_of::<Node>() <= 80);

/// What directories and owned nodes have in addition.
#[derive(Debug, Default)]
pub(crate) struct Ext {
    /// 0, a session, or the mark of a container or TTL node.
    pub(crate) owner: i64,
    /// Full path, empty without children and for the root: children find their own path here.
    pub(crate) path: Box<str>,
    pub(crate) children: Vec<NodeId>,
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
