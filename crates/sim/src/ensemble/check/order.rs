//! One order for all: I3 prefix consistency, I4 integrity, I5 agreement, I6 total order, I7 and I8
//! primary orders, I9 primary integrity, D1 durability, D7 contiguity, D8 one state for each history.
//!
//! All that was ever delivered by anybody is one sequence. A server delivers when it serves: what it
//! applied before that may still be taken back.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use zooid_proto::zxid::{counter, epoch, make};
use zooid_zab::Proposal;

use crate::ensemble::history::{Chain, EMPTY, Histories, digest};

/// The sequence, and who made it.
#[derive(Debug)]
pub struct Order {
    /// The longest history that anybody has delivered.
    delivered: Chain,
    /// What primaries broadcast: zxid, and digests of what was broadcast under it.
    broadcast: BTreeMap<i64, Vec<u64>>,
    /// The sum of the state behind each history.
    sums: HashMap<Chain, u64, FixedState>,
    /// The initial history of each epoch whose leader was established.
    established: BTreeMap<i64, Chain>,
}

impl Default for Order {
    fn default() -> Self {
        Order {
            delivered: EMPTY,
            broadcast: BTreeMap::new(),
            sums: HashMap::with_hasher(FixedState::with_seed(2)),
            established: BTreeMap::new(),
        }
    }
}

/// Whether `next` follows `before` without a gap.
pub fn follows(before: i64, next: i64) -> bool {
    next == before + 1 || (epoch(next) > epoch(before) && counter(next) == 1)
}

impl Order {
    /// The longest delivered history.
    pub fn delivered(&self) -> Chain {
        self.delivered
    }

    /// A leader serves from now on with this history.
    pub fn established(
        &mut self,
        leader_epoch: i64,
        chain: Chain,
        histories: &Histories,
    ) -> Result<(), String> {
        // Only what older epochs delivered: a leader may hear late that a quorum has its history, when
        // another one leads a newer epoch. It commits nothing any more.
        let older = histories.upto(self.delivered, make(leader_epoch, 0));
        if !histories.contains(chain, older) {
            return Err(format!(
                "D1: the leader of epoch {leader_epoch} has {} but {} was delivered",
                histories.tail(chain, 6),
                histories.tail(self.delivered, 6)
            ));
        }
        self.established.insert(leader_epoch, chain);
        Ok(())
    }

    /// A primary broadcasts.
    pub fn broadcast(&mut self, txn: &Proposal, before: i64) -> Result<(), String> {
        if !follows(before, txn.zxid) {
            return Err(format!("I7: {:x} is broadcast behind {before:x}", txn.zxid));
        }
        let all = self.broadcast.entry(txn.zxid).or_default();
        if !all.is_empty() {
            return Err(format!("I1: {:x} is broadcast twice", txn.zxid));
        }
        all.push(digest(&txn.bytes));
        Ok(())
    }

    /// A server applies a transaction, before it serves or while it does.
    pub fn applied(&mut self, before: i64, txn: &Proposal) -> Result<(), String> {
        let known = self.broadcast.get(&txn.zxid);
        if !known.is_some_and(|all| all.contains(&digest(&txn.bytes))) {
            return Err(format!("I4: nobody broadcast this {:x}", txn.zxid));
        }
        if !follows(before, txn.zxid) {
            return Err(format!("D7: {:x} is applied behind {before:x}", txn.zxid));
        }
        Ok(())
    }

    /// A state is the same wherever the history is the same.
    pub fn state(&mut self, chain: Chain, sum: u64) -> Result<(), String> {
        let known = *self.sums.entry(chain).or_insert(sum);
        if known != sum {
            return Err("D8: one history, two states".into());
        }
        Ok(())
    }

    /// A server that serves has delivered all of this. True if nobody had before.
    pub fn deliver(&mut self, chain: Chain, histories: &Histories) -> Result<bool, String> {
        let (old, new) = (self.delivered, chain);
        if histories.length(new) <= histories.length(old) {
            if histories.contains(old, new) {
                return Ok(false);
            }
        } else if histories.contains(new, old) {
            self.delivered = new;
            let zxid = histories.last(new);
            // What an older epoch delivers late, later leaders must have had from the beginning.
            for (&later, &initial) in self.established.range(epoch(zxid) + 1..) {
                if !histories.contains(initial, new) {
                    return Err(format!(
                        "I9: {zxid:x} is delivered, and the leader of epoch {later} began with {}",
                        histories.tail(initial, 6)
                    ));
                }
            }
            return Ok(true);
        }
        Err(format!(
            "I3: delivered {} where others delivered {}",
            histories.tail(new, 8),
            histories.tail(old, 8)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn(zxid: i64, byte: u8) -> Proposal {
        Proposal {
            zxid,
            bytes: vec![byte].into(),
        }
    }

    #[test]
    fn a_split_history_is_seen() {
        let mut histories = Histories::default();
        let mut order = Order::default();
        let one = histories.extend(EMPTY, &txn(0x1_0000_0001, 1));
        let two = histories.extend(one, &txn(0x1_0000_0002, 2));
        let other = histories.extend(one, &txn(0x1_0000_0002, 3));
        assert_eq!(order.deliver(two, &histories), Ok(true));
        assert_eq!(order.deliver(one, &histories), Ok(false));
        assert!(order.deliver(other, &histories).unwrap_err().contains("I3"));
        assert!(order.established(2, one, &histories).is_err());
        assert!(order.established(2, two, &histories).is_ok());
        assert!(order.established(1, one, &histories).is_ok());
    }

    #[test]
    fn what_nobody_broadcast_is_not_applied() {
        let mut order = Order::default();
        let first = txn(0x1_0000_0001, 1);
        assert!(order.applied(0, &first).is_err());
        assert_eq!(order.broadcast(&first, 0x1_0000_0000), Ok(()));
        assert_eq!(order.applied(0, &first), Ok(()));
        assert!(order.applied(0, &txn(0x1_0000_0001, 2)).is_err());
        assert!(order.broadcast(&first, 0x1_0000_0000).is_err());
    }
}
