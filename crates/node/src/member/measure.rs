//! What a member measures of itself as it goes: nothing of it decides anything.

use crate::shared::Shared;
use crate::stats::Summary;
use crate::time::Now;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use zooid_proto::txn::TxnHeader;
use zooid_proto::{Jute, Reader};
use zooid_zab::{Proposal, Role, Token};

/// Times that are not over, monotonic ms, and transactions on their way to the disk.
pub(super) struct Measure {
    unavailable_since: Option<i64>,
    following_since: Option<i64>,
    /// Operation, and the time in the header, wall clock.
    writing: VecDeque<(Token, i64)>,
}

impl Measure {
    pub(super) fn new(now: Now) -> Measure {
        Measure {
            unavailable_since: Some(now.mono_ms),
            following_since: None,
            writing: VecDeque::new(),
        }
    }

    /// A role begins. `election_ms`: how long the election before it took.
    pub(super) fn role(
        &mut self,
        shared: &Shared,
        before: Role,
        role: Role,
        election_ms: Option<u64>,
        now: Now,
    ) {
        let stats = &shared.ensemble;
        let (is_voter, serving) = match role {
            Role::Looking => (false, false),
            Role::Leading { serving, .. } | Role::Following { serving, .. } => (true, serving),
            Role::Observing { serving, .. } => (false, serving),
        };
        if before == Role::Looking
            && is_voter
            && let Some(ms) = election_ms
        {
            stats.election_ms.add(i64::try_from(ms).unwrap_or(i64::MAX));
        }
        if !serving {
            self.unavailable_since.get_or_insert(now.mono_ms);
            if role == Role::Looking {
                self.following_since = None;
            } else {
                self.following_since.get_or_insert(now.mono_ms);
            }
            return;
        }
        if let Some(since) = self.unavailable_since.take() {
            stats.unavailable_ms.add(now.mono_ms - since);
            if matches!(role, Role::Leading { .. }) {
                stats.leader_unavailable_ms.add(now.mono_ms - since);
            }
        }
        let followed = self.following_since.take().map(|since| now.mono_ms - since);
        match (role, followed) {
            (Role::Following { .. }, Some(ms)) => stats.follower_sync_ms.add(ms),
            (Role::Observing { .. }, Some(ms)) => stats.observer_sync_ms.add(ms),
            _ => {}
        }
    }

    /// A leader has made a transaction.
    pub(super) fn proposed(&self, shared: &Shared, bytes: usize) {
        shared.proposal_sizes.note(bytes);
        bump(&shared.ensemble.proposals);
    }

    /// A transaction is to be logged.
    pub(super) fn logged(
        &mut self,
        shared: &Shared,
        role: Role,
        token: Token,
        proposal: &Proposal,
        now: Now,
    ) {
        let Some(made_ms) = made_ms(proposal) else {
            return;
        };
        match role {
            Role::Leading { serving: true, .. } => {}
            Role::Following { serving: true, .. } => {
                bump(&shared.ensemble.learner_proposals);
                since(&shared.ensemble.proposal_ms, made_ms, now);
            }
            _ => return,
        }
        self.writing.push_back((token, made_ms));
    }

    /// Disk operations up to this one are done.
    pub(super) fn persisted(&mut self, shared: &Shared, token: Token, now: Now) {
        while let Some((first, made_ms)) = self.writing.front() {
            if *first > token {
                return;
            }
            since(&shared.ensemble.ack_creation_ms, *made_ms, now);
            self.writing.pop_front();
        }
    }

    /// A transaction is committed.
    pub(super) fn committed(&self, shared: &Shared, role: Role, proposal: &Proposal, now: Now) {
        let stats = &shared.ensemble;
        let (count, latency) = match role {
            Role::Leading { serving: true, .. } => (&stats.commits, &stats.quorum_ack_ms),
            Role::Following { serving: true, .. } | Role::Observing { serving: true, .. } => {
                (&stats.learner_commits, &stats.commit_ms)
            }
            _ => return,
        };
        bump(count);
        if let Some(made_ms) = made_ms(proposal) {
            since(latency, made_ms, now);
            since(&stats.applied_ms, made_ms, now);
        }
    }
}

fn made_ms(proposal: &Proposal) -> Option<i64> {
    let header = TxnHeader::read(&mut Reader::new(&proposal.bytes));
    header.ok().map(|header| header.time_ms)
}

fn since(summary: &Summary, made_ms: i64, now: Now) {
    let ms = now.wall_ms - made_ms;
    if ms >= 0 {
        summary.add(ms);
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
