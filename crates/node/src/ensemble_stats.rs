//! What a member of an ensemble counts and measures, for operators.

use crate::stats::{Summary, SummaryView};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use zooid_zab::Sample;

/// Numbers and times since the start, or since `srst`. Latencies begin with the time in the header
/// of a transaction, which its leader has made by its own wall clock: as in Java they are as good as
/// clocks agree, and negative ones are left out (`Request.logLatency`).
#[derive(Debug, Default)]
pub struct EnsembleStats {
    /// Leading: transactions proposed.
    pub proposals: AtomicU64,
    /// Leading: transactions committed.
    pub commits: AtomicU64,
    /// Following: proposals of a leader that serves.
    pub learner_proposals: AtomicU64,
    /// Learning: commits of a leader that serves.
    pub learner_commits: AtomicU64,
    /// Leading: sessions that clients of learners came back to.
    pub revalidations: AtomicU64,
    /// Elections, ms. Observers have none.
    pub election_ms: Summary,
    /// From losing, or not having, a leader to serving, ms.
    pub unavailable_ms: Summary,
    /// The same of those that came to lead.
    pub leader_unavailable_ms: Summary,
    /// From following to serving, ms.
    pub follower_sync_ms: Summary,
    /// The same of an observer.
    pub observer_sync_ms: Summary,
    /// Following: until a proposal came, ms.
    pub proposal_ms: Summary,
    /// Voting: until it was on the disk, ms.
    pub ack_creation_ms: Summary,
    /// Leading: until a quorum had it, ms.
    pub quorum_ack_ms: Summary,
    /// Learning: until the commit came, ms.
    pub commit_ms: Summary,
    /// Until it was to be applied, ms.
    pub applied_ms: Summary,
    /// Leading: learners that were sent a whole state at the same time.
    pub inflight_snaps: Summary,
    /// The same of those that were sent what they lacked.
    pub inflight_diffs: Summary,
    /// Leading: by the number of the learner.
    learners: Mutex<BTreeMap<i64, LearnerTimes>>,
}

/// Learners that are measured at most: whoever introduces himself is one.
const MAX_LEARNERS: usize = 64;

/// How a learner takes what is proposed.
#[derive(Debug, Default)]
struct LearnerTimes {
    queued: Summary,
    ack_ms: Summary,
}

impl EnsembleStats {
    /// Takes in what a peer has measured.
    pub fn note(&self, sample: Sample) {
        match sample {
            Sample::Ack {
                learner,
                queued,
                ms,
            } => {
                let mut learners = self.learners.lock();
                if learners.len() < MAX_LEARNERS || learners.contains_key(&learner) {
                    let times = learners.entry(learner).or_default();
                    times.queued.add(i64::try_from(queued).unwrap_or(i64::MAX));
                    times.ack_ms.add(i64::try_from(ms).unwrap_or(i64::MAX));
                }
            }
            Sample::Syncs { snaps, diffs } => {
                for (summary, count) in
                    [(&self.inflight_snaps, snaps), (&self.inflight_diffs, diffs)]
                {
                    if count > 0 {
                        summary.add(i64::try_from(count).unwrap_or(i64::MAX));
                    }
                }
            }
        }
    }

    /// Of a learner: proposals that waited for its acknowledgement, and how long each did, ms.
    pub fn learner(&self, sid: i64) -> (SummaryView, SummaryView) {
        let learners = self.learners.lock();
        let times = learners.get(&sid);
        times.map_or_else(Default::default, |times| {
            (times.queued.view(), times.ack_ms.view())
        })
    }

    /// Starts from zero again.
    pub fn reset(&self) {
        for counter in [
            &self.proposals,
            &self.commits,
            &self.learner_proposals,
            &self.learner_commits,
            &self.revalidations,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        for summary in [
            &self.election_ms,
            &self.unavailable_ms,
            &self.leader_unavailable_ms,
            &self.follower_sync_ms,
            &self.observer_sync_ms,
            &self.proposal_ms,
            &self.ack_creation_ms,
            &self.quorum_ack_ms,
            &self.commit_ms,
            &self.applied_ms,
            &self.inflight_snaps,
            &self.inflight_diffs,
        ] {
            summary.reset();
        }
        self.learners.lock().clear();
    }
}
