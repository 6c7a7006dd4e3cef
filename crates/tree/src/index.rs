//! Finds a node by the hash of its full path.
//!
//! 1024 tables instead of one: a table that grows moves one part in 1024 of the entries, so the worst
//! insert into a large tree stays short. They have unequal shares of the paths, the largest twice the
//! smallest: equal ones would all grow at the same number of nodes, and just behind it a tree would
//! have an index twice as large as it needs. The tables hold ids alone, since half of their slots are
//! empty at worst; a part of the hash stays with whoever owns the path, where it costs nothing.

use crate::arena::NodeId;
use foldhash::quality::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

const SHARDS: usize = 1024;

/// The hash of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathHash(u64);

impl PathHash {
    /// x (4 - x) / 3 of the hash as a part x of one: steeper where it begins, so shards there are
    /// narrower.
    fn shard(self) -> usize {
        const ONE: u64 = 1 << 16;
        let x = self.0 >> 48;
        (x * (4 * ONE - x) * SHARDS as u64 / (3 * ONE * ONE)) as usize
    }

    /// 32 bits, of which those that find the shard have but a few.
    pub(crate) fn tag(self) -> u32 {
        (self.0 >> 20) as u32
    }
}

/// Makes the hashes of an index.
#[derive(Debug, Clone)]
pub(crate) struct PathHasher(FixedState);

impl PathHasher {
    pub(crate) fn hash(&self, path: &str) -> PathHash {
        let mut hasher = self.0.build_hasher();
        hasher.write(path.as_bytes());
        PathHash(hasher.finish())
    }
}

#[derive(Debug)]
pub(crate) struct PathIndex {
    shards: Vec<HashTable<NodeId>>,
    hasher: PathHasher,
}

impl PathIndex {
    pub(crate) fn new(seed: u64) -> PathIndex {
        PathIndex {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            hasher: PathHasher(FixedState::with_seed(seed)),
        }
    }

    pub(crate) fn hash(&self, path: &str) -> PathHash {
        self.hasher.hash(path)
    }

    pub(crate) fn hasher(&self) -> PathHasher {
        self.hasher.clone()
    }

    /// `is_it` compares the path of a candidate; one in a hundred is another one, so it looks at the
    /// tag first.
    pub(crate) fn find(&self, hash: PathHash, is_it: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let shard = &self.shards[hash.shard()];
        shard.find(spread(hash.tag()), |&id| is_it(id)).copied()
    }

    /// The path must not be in the index yet. `tag_of` tells the tag of an id that is.
    pub(crate) fn insert(&mut self, hash: PathHash, id: NodeId, tag_of: impl Fn(NodeId) -> u32) {
        let shard = &mut self.shards[hash.shard()];
        shard.insert_unique(spread(hash.tag()), id, |&id| spread(tag_of(id)));
    }

    /// The path must be in the index.
    pub(crate) fn remove(&mut self, hash: PathHash, id: NodeId) {
        let entry = self.shards[hash.shard()]
            .find_entry(spread(hash.tag()), |&entry| entry == id)
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
    fn shards_have_shares_between_one_and_two() {
        let mut shares = [0u64; SHARDS];
        for top in 0..1 << 16 {
            shares[PathHash(top << 48 | 0x0000_FFFF_FFFF_FFFF).shard()] += 1;
        }
        // Of 65,536 equal parts of all hashes.
        let (least, most) = (shares.iter().min(), shares.iter().max());
        assert_eq!((least, most), (Some(&48), Some(&96)));
    }

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let paths: Vec<String> = (0..20_000).map(|n| format!("/dir{}/n{n}", n % 7)).collect();
        let mut index = PathIndex::new(1);
        let tags: Vec<u32> = paths.iter().map(|path| index.hash(path).tag()).collect();
        for (id, path) in paths.iter().enumerate() {
            index.insert(index.hash(path), id as u32, |id| tags[id as usize]);
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
