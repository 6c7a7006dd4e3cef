//! The order in which transactions reach the disk, without the thread that waits for it: gather,
//! write, sync, and only then say so.

use crate::core::Append;
use zooid_store::StoreError;
use zooid_store::log::{LogBatch, LogWriter};

/// The log of one server. The calls of one round are [`Log::push`] until there is nothing to add
/// or [`Log::is_full`], [`Log::write`], [`Log::sync`], [`Log::roll_if_due`].
///
/// After an error the log takes nothing more: what a failed sync leaves in the cache nobody knows.
#[derive(Debug)]
pub struct Log {
    writer: LogWriter,
    rule: SnapshotRule,
    batch: LogBatch,
    /// The last zxid of the round.
    last_zxid: Option<i64>,
    /// Transactions synced in this round.
    synced: u64,
}

impl Log {
    /// A log that goes on with `writer`, and asks for snapshots by `rule`.
    pub fn new(writer: LogWriter, rule: SnapshotRule) -> Log {
        Log {
            writer,
            rule,
            // Longer ones than Java reads are kept out where requests become transactions; those
            // that got here were numbered, and must not leave a hole.
            batch: LogBatch::new(i32::MAX as usize),
            last_zxid: None,
            synced: 0,
        }
    }

    /// Adds transactions to the round.
    pub fn push(&mut self, appends: &[Append]) -> Result<(), StoreError> {
        for append in appends {
            self.batch.push(&append.payload)?;
            self.last_zxid = Some(append.zxid);
        }
        Ok(())
    }

    /// Whether the round is long enough to be written before more is added.
    pub fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Transactions of the round.
    pub fn entries(&self) -> usize {
        self.batch.entries()
    }

    /// Writes the round. Nobody may hear of it yet.
    pub fn write(&mut self) -> Result<(), StoreError> {
        self.writer.write(&self.batch)
    }

    /// Makes the round durable and returns its last zxid: up to there everything may be applied
    /// and acknowledged. `None` if there was nothing in it.
    pub fn sync(&mut self) -> Result<Option<i64>, StoreError> {
        self.writer.sync()?;
        self.synced = self.batch.entries() as u64;
        self.batch.clear();
        Ok(self.last_zxid.take())
    }

    /// Ends the round. Whether a snapshot is due; the log then goes on in a new file.
    pub fn roll_if_due(&mut self) -> Result<bool, StoreError> {
        let synced = std::mem::take(&mut self.synced);
        let due = self.rule.is_due(synced, self.writer.padded_len());
        if due {
            self.writer.roll()?;
        }
        Ok(due)
    }

    /// Goes on in a new file behind another zxid: the state was replaced, or the log cut.
    pub fn restart_after(&mut self, zxid: i64) -> Result<(), StoreError> {
        self.writer.restart_after(Some(zxid))
    }

    /// What writes the files.
    pub fn writer(&self) -> &LogWriter {
        &self.writer
    }
}

/// When to take a snapshot: after a number of transactions or bytes of log that is drawn anew each
/// time between half and all of the limit, so that the servers of an ensemble do not do it at
/// once (`SyncRequestProcessor.shouldSnapshot` in Java).
#[derive(Debug)]
pub struct SnapshotRule {
    snap_count: u64,
    size_limit_bytes: Option<u64>,
    seed: u64,
    draws: u64,
    transactions: u64,
    random_count: u64,
    random_size: u64,
}

impl SnapshotRule {
    /// A rule for limits of transactions and of log bytes. Servers need different seeds.
    pub fn new(snap_count: u64, size_limit_bytes: Option<u64>, seed: u64) -> SnapshotRule {
        let mut rule = SnapshotRule {
            snap_count,
            size_limit_bytes,
            seed,
            draws: 0,
            transactions: 0,
            random_count: 0,
            random_size: 0,
        };
        rule.draw();
        rule
    }

    fn draw(&mut self) {
        self.random_count = self.next() % (self.snap_count / 2).max(1);
        let half = self.size_limit_bytes.unwrap_or(0) / 2;
        self.random_size = self.next() % half.max(1);
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.draws += 1;
        let mut z = self
            .seed
            .wrapping_add(self.draws.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Counts transactions that were logged, and says whether a snapshot is due.
    pub fn is_due(&mut self, transactions: u64, log_bytes: u64) -> bool {
        self.transactions += transactions;
        let by_count = self.transactions > self.snap_count / 2 + self.random_count;
        let by_size = self
            .size_limit_bytes
            .is_some_and(|limit| log_bytes > limit / 2 + self.random_size);
        if by_count || by_size {
            self.transactions = 0;
            self.draw();
        }
        by_count || by_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_between_half_and_all_of_the_count() {
        let mut all = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut rule = SnapshotRule::new(100, None, seed);
            for _ in 0..3 {
                let at = (1..).find(|_| rule.is_due(1, 0)).unwrap();
                assert!((51..=100).contains(&at), "{at}");
                all.insert(at);
            }
        }
        assert!(all.len() > 40, "{all:?}");
    }

    #[test]
    fn a_snapshot_is_due_by_size() {
        let mut rule = SnapshotRule::new(u64::MAX, Some(1000), 7);
        assert!(!rule.is_due(1, 500));
        assert!(rule.is_due(1, 1000));
    }
}
