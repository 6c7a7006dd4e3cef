//! Every history that any server ever had, as one tree of transactions: a state is named by one
//! number, and two states are compared by walking up.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use zooid_zab::Proposal;

use crate::dice::hash;

/// The name of a history: a hash of all its transactions in order.
pub type Chain = u64;

/// The history without any transaction.
pub const EMPTY: Chain = 0;

#[derive(Debug, Clone, Copy)]
struct Link {
    before: Chain,
    zxid: i64,
    length: u64,
}

/// All histories of a run.
#[derive(Debug)]
pub struct Histories {
    links: HashMap<Chain, Link, FixedState>,
}

impl Default for Histories {
    fn default() -> Self {
        Histories {
            links: HashMap::with_hasher(FixedState::with_seed(1)),
        }
    }
}

impl Histories {
    /// The history `before` with one more transaction.
    pub fn extend(&mut self, before: Chain, txn: &Proposal) -> Chain {
        let chain = hash(before, txn.zxid as u64, digest(&txn.bytes)).max(1);
        let length = self.length(before) + 1;
        self.links.entry(chain).or_insert(Link {
            before,
            zxid: txn.zxid,
            length,
        });
        chain
    }

    /// Whether anybody had it.
    pub fn knows(&self, chain: Chain) -> bool {
        chain == EMPTY || self.links.contains_key(&chain)
    }

    /// How many transactions it has.
    pub fn length(&self, chain: Chain) -> u64 {
        self.links.get(&chain).map_or(0, |link| link.length)
    }

    /// Its last transaction, 0 if it has none.
    pub fn last(&self, chain: Chain) -> i64 {
        self.links.get(&chain).map_or(0, |link| link.zxid)
    }

    /// Its first `length` transactions.
    pub fn prefix(&self, mut chain: Chain, length: u64) -> Chain {
        while let Some(link) = self.links.get(&chain)
            && link.length > length
        {
            chain = link.before;
        }
        chain
    }

    /// Its transactions up to `zxid`.
    pub fn upto(&self, mut chain: Chain, zxid: i64) -> Chain {
        while let Some(link) = self.links.get(&chain)
            && link.zxid > zxid
        {
            chain = link.before;
        }
        chain
    }

    /// Whether `chain` begins with all of `prefix`.
    pub fn contains(&self, chain: Chain, prefix: Chain) -> bool {
        self.prefix(chain, self.length(prefix)) == prefix
    }

    /// The zxids of the last few transactions, oldest first, for messages.
    pub fn tail(&self, mut chain: Chain, count: usize) -> String {
        let mut zxids = Vec::new();
        while let Some(link) = self.links.get(&chain)
            && zxids.len() < count
        {
            zxids.push(format!("{:x}", link.zxid));
            chain = link.before;
        }
        if chain != EMPTY {
            zxids.push("..".into());
        }
        zxids.reverse();
        format!("[{}]", zxids.join(" "))
    }
}

/// A digest of bytes that is the same in all runs.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum ^= sum >> 29;
    }
    sum
}
