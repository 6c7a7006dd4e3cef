//! What operators see of a peer.

use crate::io::{Role, Sid};

/// How far a peer is in its role (`ZabState` of Java).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It looks for a leader.
    Election,
    /// Leader and learners agree on an epoch.
    Discovery,
    /// The initial history is spread.
    Synchronization,
    /// It serves.
    Broadcast,
}

impl Progress {
    /// The name that Java has for it.
    pub fn name(self) -> &'static str {
        match self {
            Progress::Election => "election",
            Progress::Discovery => "discovery",
            Progress::Synchronization => "synchronization",
            Progress::Broadcast => "broadcast",
        }
    }
}

/// Something that a leader has measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A learner has acknowledged a proposal.
    Ack {
        /// Which.
        learner: Sid,
        /// How many proposals waited for it, this one with them.
        queued: u64,
        /// How long this one did, ms.
        ms: u64,
    },
    /// A learner is sent what it lacks: how many are at the same time, itself with them.
    Syncs {
        /// Those that are sent a whole state; 0 if this is another one.
        snaps: u64,
        /// Those that are sent transactions; 0 if this is another one.
        diffs: u64,
    },
}

/// A learner of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerStatus {
    /// Its number.
    pub sid: Sid,
    /// Whether it is an observer.
    pub observer: bool,
    /// Whether its vote counts.
    pub voting: bool,
    /// Whether it is up to date.
    pub synced: bool,
    /// Proposals that it has not acknowledged.
    pub lag: u64,
    /// The last proposal that it acknowledged on this connection, 0 if none.
    pub acked_zxid: i64,
    /// When it was heard of, ms of the peer's clock.
    pub heard_ms: u64,
}

/// A peer, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub sid: Sid,
    /// Its role.
    pub role: Role,
    /// How far it is.
    pub progress: Progress,
    /// Who leads, if that is known.
    pub leader: Option<Sid>,
    /// Its `acceptedEpoch`.
    pub accepted_epoch: i64,
    /// Its `currentEpoch`.
    pub current_epoch: i64,
    /// The last transaction that was applied; of a leader without any, the zxid of its epoch.
    pub last_zxid: i64,
    /// The last transaction that was proposed or logged.
    pub last_proposed: i64,
    /// Transactions that wait for a quorum.
    pub outstanding: u64,
    /// `sync` requests that wait.
    pub pending_syncs: u64,
    /// How long the last election took, ms.
    pub election_ms: Option<u64>,
    /// Voters in the configuration in force.
    pub quorum_size: u64,
    /// Version of the configuration in force.
    pub config_version: i64,
    /// Of a learner: who tells it what is committed, the leader or a master of observers.
    pub master: Option<Sid>,
    /// How many learners it has sent what they lacked,
    pub diffs_sent: u64,
    /// and how many its whole state, since the start.
    pub snapshots_sent: u64,
    /// Of a leader: its learners. Of a follower that is a master of observers: these.
    pub learners: Vec<LearnerStatus>,
}
