//! The transactions that this server has, as an index of the log and the newest ones in memory, and
//! what a learner at some position lacks of them.
//!
//! All decisions are arithmetic on runs without a gap: no file is opened to find one out, and none
//! reaches over a state that was received whole (ZOOKEEPER-2846: there the log has a hole).

use std::collections::VecDeque;

use zooid_proto::zxid::{counter, epoch, follows};

use crate::io::Proposal;
use crate::mutations::{Guard, without};

/// Runs of the log, and its newest entries.
#[derive(Debug)]
pub(crate) struct History {
    /// First and last zxid of each run, each within one epoch, each continued by the next.
    runs: Vec<(i64, i64)>,
    /// A position with nothing between it and the first run, other than the one that its zxid tells.
    base: Option<i64>,
    /// The newest entries, a tail of the runs.
    recent: VecDeque<Proposal>,
    recent_bytes: usize,
    /// The last zxid, of an entry or of a state.
    end: i64,
    max_entries: usize,
    max_bytes: usize,
}

/// How a learner is brought to where the leader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncPlan {
    /// It keeps what it has; what lies behind `after` follows.
    Diff {
        /// zxid of the packet.
        zxid: i64,
        /// The position to go on from.
        after: i64,
    },
    /// It drops what lies behind `zxid`; what the leader has behind it follows.
    Trunc {
        /// zxid of the packet, and the position to go on from.
        zxid: i64,
    },
    /// It gets the whole state.
    Snap,
}

/// Entries to send: first from the log, then from memory.
#[derive(Debug)]
pub(crate) struct Feed<'h> {
    /// Behind the first, up to the second and with it.
    pub(crate) from_log: Option<(i64, i64)>,
    /// The rest.
    pub(crate) from_memory: Vec<&'h Proposal>,
    /// All of them.
    pub(crate) entries: u64,
}

impl History {
    pub(crate) fn new(
        log: &[(i64, i64)],
        recent: &[Proposal],
        end: i64,
        max_entries: usize,
        max_bytes: usize,
    ) -> History {
        let mut history = History {
            runs: Vec::new(),
            base: Some(end),
            recent: VecDeque::new(),
            recent_bytes: 0,
            end,
            max_entries,
            max_bytes,
        };
        for &(first, last) in log {
            let sound = first <= last && epoch(first) == epoch(last) && last <= end;
            if !sound {
                continue;
            }
            if history
                .runs
                .last()
                .is_some_and(|run| !follows(run.1, first))
            {
                history.runs.clear();
            }
            history.add_run(first, last);
        }
        if history.runs.last().is_some_and(|run| run.1 != end) {
            history.runs.clear();
        }
        for (at, proposal) in recent.iter().enumerate() {
            if at > 0 && !follows(recent[at - 1].zxid, proposal.zxid) {
                history.recent.clear();
            }
            history.recent.push_back(proposal.clone());
        }
        if history.recent.back().is_none_or(|last| last.zxid != end) {
            history.recent.clear();
        }
        if history.runs.is_empty() {
            let zxids: Vec<i64> = history.recent.iter().map(|entry| entry.zxid).collect();
            zxids.iter().for_each(|&zxid| history.add_run(zxid, zxid));
        }
        if let Some(&(first, _)) = history.runs.first() {
            history.base = None;
            while history.recent.front().is_some_and(|old| old.zxid < first) {
                history.recent.pop_front();
            }
        }
        history.recent_bytes = history.recent.iter().map(|entry| entry.bytes.len()).sum();
        history
    }

    /// The last zxid.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Takes in a new entry.
    ///
    /// # Panics
    /// There would be a gap (invariant D7).
    pub(crate) fn push(&mut self, proposal: Proposal) {
        let zxid = proposal.zxid;
        assert!(
            follows(self.end, zxid),
            "0x{zxid:x} does not follow 0x{:x}",
            self.end
        );
        self.add_run(zxid, zxid);
        self.end = zxid;
        self.recent_bytes += proposal.bytes.len();
        self.recent.push_back(proposal);
    }

    /// Forgets entries in memory that exceed the limits, but none behind `done`: what lies behind it
    /// is not applied, or not in the log yet.
    pub(crate) fn evict(&mut self, done: i64) {
        while self.recent.len() > self.max_entries || self.recent_bytes > self.max_bytes {
            let Some(oldest) = self.recent.front().filter(|oldest| oldest.zxid <= done) else {
                return;
            };
            self.recent_bytes -= oldest.bytes.len();
            self.recent.pop_front();
        }
    }

    /// Forgets what lies behind `zxid`.
    pub(crate) fn truncate(&mut self, zxid: i64) {
        while let Some(last) = self.recent.back().filter(|last| last.zxid > zxid) {
            self.recent_bytes -= last.bytes.len();
            self.recent.pop_back();
        }
        self.runs.retain(|run| run.0 <= zxid);
        if let Some(last) = self.runs.last_mut() {
            last.1 = last.1.min(zxid);
        }
        if self.runs.is_empty() {
            self.base = Some(zxid);
        }
        self.end = zxid;
    }

    /// The state up to `zxid` was received whole: nothing before it is there as entries.
    pub(crate) fn reset(&mut self, zxid: i64) {
        if !without(Guard::BarrierAtState) {
            self.runs.clear();
        }
        self.recent.clear();
        self.recent_bytes = 0;
        self.base = Some(zxid);
        self.end = zxid;
    }

    /// Entries before `zxid` are no longer in the log.
    pub(crate) fn starts_at(&mut self, zxid: i64) {
        let Some(&(first, _)) = self.runs.first() else {
            return;
        };
        if zxid <= first {
            return;
        }
        self.base = None;
        self.runs.retain(|run| run.1 >= zxid);
        match self.runs.first_mut() {
            Some(run) => run.0 = run.0.max(zxid),
            None => self.base = Some(self.end),
        }
        let gone = self.recent.partition_point(|entry| entry.zxid < zxid);
        for entry in self.recent.drain(..gone) {
            self.recent_bytes -= entry.bytes.len();
        }
    }

    /// Whether the state after `zxid` is one that this history went through, as far as it reaches.
    pub(crate) fn went_through(&self, zxid: i64) -> bool {
        self.is_before_first(zxid)
            || zxid == self.end
            || self.run_of(zxid).is_some()
            || (counter(zxid) == 0 && self.runs.first().is_some_and(|run| run.0 < zxid))
    }

    /// The first entry behind `zxid`, if it is in memory.
    pub(crate) fn next_after(&self, zxid: i64) -> Option<&Proposal> {
        self.recent
            .get(self.recent.partition_point(|entry| entry.zxid <= zxid))
    }

    /// What a learner whose last zxid is `position` gets, where `top` is the last entry that is
    /// committed (`LearnerHandler.syncFollower`).
    pub(crate) fn plan(&self, position: i64, top: i64) -> SyncPlan {
        let diff = |after| SyncPlan::Diff { zxid: top, after };
        if position == top {
            return diff(top);
        }
        if position > top {
            return match counter(position) {
                // It has led an epoch without a transaction, or been sent such a state: that is
                // what a quorum had then, so nothing of it is wrong here. Java sends a snapshot.
                0 => diff(top),
                // An empty leader: nothing could be kept, which is not to be asked for by TRUNC.
                _ if top <= 0 => SyncPlan::Snap,
                _ => SyncPlan::Trunc { zxid: top },
            };
        }
        if position < 0 {
            return SyncPlan::Snap;
        }
        if self.run_of(position).is_some() || self.is_before_first(position) {
            return diff(position);
        }
        let behind = self.runs.partition_point(|run| run.0 <= position);
        let Some(before) = behind.checked_sub(1).map(|at| self.runs[at]) else {
            return SyncPlan::Snap;
        };
        if counter(position) == 0 {
            return diff(before.1);
        }
        if epoch(before.1) == epoch(position) {
            return SyncPlan::Trunc { zxid: before.1 };
        }
        SyncPlan::Snap
    }

    /// The entries behind `after`, up to `top` and with it.
    pub(crate) fn feed(&self, after: i64, top: i64) -> Feed<'_> {
        let entries = self
            .runs
            .iter()
            .map(|&(first, last)| {
                let first = first.max(after.saturating_add(1));
                u64::try_from(last.min(top) - first + 1).unwrap_or(0)
            })
            .sum();
        let from_memory: Vec<&Proposal> = self
            .recent
            .iter()
            .filter(|entry| entry.zxid > after && entry.zxid <= top)
            .collect();
        let from_log = if from_memory.len() as u64 == entries {
            None
        } else {
            let upto = match from_memory.first() {
                Some(first) => self.before(first.zxid),
                None => top,
            };
            Some((after, upto))
        };
        Feed {
            from_log,
            from_memory,
            entries,
        }
    }

    /// The entry before one that is there and not the first.
    fn before(&self, zxid: i64) -> i64 {
        let at = self.runs.partition_point(|run| run.1 < zxid);
        if self.runs[at].0 < zxid {
            zxid - 1
        } else {
            self.runs[at - 1].1
        }
    }

    /// Whether the first run goes on from exactly this position.
    fn is_before_first(&self, zxid: i64) -> bool {
        self.base == Some(zxid) || self.runs.first().is_some_and(|run| run.0 - 1 == zxid)
    }

    fn run_of(&self, zxid: i64) -> Option<(i64, i64)> {
        let at = self.runs.partition_point(|run| run.1 < zxid);
        self.runs.get(at).copied().filter(|run| run.0 <= zxid)
    }

    fn add_run(&mut self, first: i64, last: i64) {
        match self.runs.last_mut() {
            Some(run) if epoch(run.1) == epoch(first) && run.1 + 1 == first => run.1 = last,
            _ => self.runs.push((first, last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zooid_proto::zxid::make;

    fn entry(zxid: i64) -> Proposal {
        Proposal {
            zxid,
            bytes: vec![0; 40].into(),
        }
    }

    /// (1,1)..(1,5), (3,1)..(3,4): epoch 2 had no transaction.
    fn history(keep: usize) -> History {
        let mut history = History::new(&[], &[], 0, keep, usize::MAX);
        for counter in 1..=5 {
            history.push(entry(make(1, counter)));
        }
        for counter in 1..=4 {
            history.push(entry(make(3, counter)));
        }
        history.evict(i64::MAX);
        history
    }

    #[test]
    fn each_position_gets_what_it_lacks() {
        let history = history(100);
        let top = make(3, 3);
        let diff = |after| SyncPlan::Diff { zxid: top, after };
        for (position, plan) in [
            (0, diff(0)),
            (-1, SyncPlan::Snap),
            (make(1, 2), diff(make(1, 2))),
            (make(1, 5), diff(make(1, 5))),
            (make(1, 7), SyncPlan::Trunc { zxid: make(1, 5) }),
            (make(2, 0), diff(make(1, 5))),
            (make(2, 1), SyncPlan::Snap),
            (make(3, 0), diff(make(1, 5))),
            (make(3, 1), diff(make(3, 1))),
            (make(3, 3), diff(make(3, 3))),
            (make(3, 4), SyncPlan::Trunc { zxid: top }),
            (make(4, 0), diff(top)),
            (make(4, 9), SyncPlan::Trunc { zxid: top }),
        ] {
            assert_eq!(history.plan(position, top), plan, "at 0x{position:x}");
        }
    }

    #[test]
    fn nothing_reaches_over_a_state_that_came_whole() {
        // ZOOKEEPER-2846, 2418: the log goes on behind a snapshot, and lacks what that one had.
        let mut history = history(100);
        history.reset(make(4, 7));
        history.push(entry(make(4, 8)));
        history.push(entry(make(5, 1)));
        let top = make(5, 1);
        assert_eq!(history.plan(make(3, 4), top), SyncPlan::Snap);
        assert_eq!(history.plan(make(4, 6), top), SyncPlan::Snap);
        let after = make(4, 7);
        assert_eq!(
            history.plan(after, top),
            SyncPlan::Diff { zxid: top, after }
        );
        assert_eq!(history.feed(after, top).entries, 2);
        assert!(!history.went_through(make(4, 6)));
    }

    #[test]
    fn a_log_on_disk_with_a_hole_is_used_from_behind_it() {
        let log = [
            (make(1, 1), make(1, 9)),
            (make(1, 11), make(1, 12)),
            (make(2, 1), make(2, 3)),
        ];
        let history = History::new(&log, &[], make(2, 3), 10, 1000);
        let top = make(2, 3);
        assert_eq!(history.plan(make(1, 9), top), SyncPlan::Snap);
        let after = make(1, 10);
        assert_eq!(
            history.plan(after, top),
            SyncPlan::Diff { zxid: top, after }
        );
    }

    #[test]
    fn a_log_that_ends_before_the_state_is_not_used() {
        let history = History::new(&[(1, 9)], &[], 12, 10, 1000);
        assert_eq!(history.plan(5, 12), SyncPlan::Snap);
    }

    #[test]
    fn what_memory_lacks_comes_from_the_log() {
        let history = history(3);
        let feed = history.feed(make(1, 3), make(3, 3));
        assert_eq!(feed.from_log, Some((make(1, 3), make(3, 1))));
        let zxids: Vec<i64> = feed.from_memory.iter().map(|entry| entry.zxid).collect();
        assert_eq!(zxids, [make(3, 2), make(3, 3)]);
        assert_eq!(feed.entries, 5);
        assert_eq!(history.feed(make(3, 1), make(3, 3)).from_log, None);
        let feed = history.feed(make(1, 3), make(1, 5));
        assert_eq!(feed.from_log, Some((make(1, 3), make(1, 5))));
    }

    #[test]
    fn what_is_not_done_stays_in_memory() {
        let mut history = History::new(&[], &[], 0, 2, usize::MAX);
        (1..=5).for_each(|zxid| history.push(entry(zxid)));
        history.evict(1);
        assert_eq!(history.next_after(1).map(|entry| entry.zxid), Some(2));
        history.evict(5);
        assert_eq!(history.next_after(1).map(|entry| entry.zxid), Some(4));
    }

    #[test]
    fn truncation_is_exact_and_purging_moves_the_start() {
        let mut history = history(100);
        history.truncate(make(1, 4));
        assert_eq!(history.end(), make(1, 4));
        assert!(history.next_after(make(1, 4)).is_none());
        history.push(entry(make(2, 1)));
        history.starts_at(make(1, 3));
        assert_eq!(history.plan(make(1, 1), make(2, 1)), SyncPlan::Snap);
        assert!(matches!(
            history.plan(make(1, 2), make(2, 1)),
            SyncPlan::Diff { .. }
        ));
        assert!(!history.went_through(make(1, 1)));
        assert!(history.went_through(make(1, 3)) && history.went_through(make(2, 0)));
    }

    #[test]
    fn the_next_transaction_is_the_next_number_or_the_first_of_a_later_epoch() {
        assert!(follows(0, 1) && follows(0, make(1, 1)) && follows(make(1, 3), make(1, 4)));
        assert!(follows(make(1, 3), make(4, 1)) && follows(make(1, 0), make(1, 1)));
        assert!(!follows(make(1, 3), make(1, 5)) && !follows(make(1, 3), make(2, 2)));
        assert!(!follows(make(1, u32::MAX), make(2, 0)) && !follows(make(2, 1), make(1, 2)));
        assert!(!follows(i64::MAX, i64::MIN));
    }
}
