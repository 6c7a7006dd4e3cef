//! Finds a node by the hash of its full path.
//!
//! 256 tables instead of one, and the hash kept beside the id: a table that grows moves one part in
//! 256 of the entries and touches no node, so the worst insert into a large tree stays short.

use crate::arena::NodeId;
use foldhash::quality::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

const SHARDS: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    id: NodeId,
}

/// The hash of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathHash(u64);

impl PathHash {
    fn shard(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// 32 bits that are not those of the shard.
    fn tag(self) -> u32 {
        (self.0 >> 20) as u32
    }
}

#[derive(Debug)]
pub(crate) struct PathIndex {
    shards: Vec<HashTable<Slot>>,
    state: FixedState,
}

impl PathIndex {
    pub(crate) fn new(seed: u64) -> PathIndex {
        PathIndex {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            state: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn hash(&self, path: &str) -> PathHash {
        let mut hasher = self.state.build_hasher();
        hasher.write(path.as_bytes());
        PathHash(hasher.finish())
    }

    /// `is_it` compares the path of a candidate.
    pub(crate) fn find(&self, hash: PathHash, is_it: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let tag = hash.tag();
        self.shards[hash.shard()]
            .find(spread(tag), |slot| slot.tag == tag && is_it(slot.id))
            .map(|slot| slot.id)
    }

    /// The path must not be in the index yet.
    pub(crate) fn insert(&mut self, hash: PathHash, id: NodeId) {
        let tag = hash.tag();
        let slot = Slot { tag, id };
        self.shards[hash.shard()].insert_unique(spread(tag), slot, |slot| spread(slot.tag));
    }

    /// The path must be in the index.
    pub(crate) fn remove(&mut self, hash: PathHash, id: NodeId) {
        let entry = self.shards[hash.shard()]
            .find_entry(spread(hash.tag()), |slot| slot.id == id)
            .expect("every node but the root is in the index");
        entry.remove();
    }
}

/// The table wants its control bits from the top and its place from the bottom of 64 bits.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let paths: Vec<String> = (0..20_000).map(|n| format!("/dir{}/n{n}", n % 7)).collect();
        let mut index = PathIndex::new(1);
        for (id, path) in paths.iter().enumerate() {
            index.insert(index.hash(path), id as u32);
        }
        let find = |index: &PathIndex, path: &str| {
            index.find(index.hash(path), |id| paths[id as usize] == path)
        };
        for (id, path) in paths.iter().enumerate() {
            assert_eq!(find(&index, path), Some(id as u32));
        }
        assert_eq!(find(&index, "/dir0/n20000"), None);
        index.remove(index.hash(&paths[77]), 77);
        assert_eq!(find(&index, &paths[77]), None);
        assert_eq!(find(&index, &paths[78]), Some(78));
    }
}
