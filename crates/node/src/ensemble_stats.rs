//! What a member of an ensemble counts and measures, for operators.

use crate::stats::Summary;
use std::sync::atomic::{AtomicU64, Ordering};

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
}

impl EnsembleStats {
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
        ] {
            summary.reset();
        }
    }
}
