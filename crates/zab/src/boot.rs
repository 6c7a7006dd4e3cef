//! What a peer starts with.

use crate::io::{Proposal, Sid};

/// Settings that do not change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// Own number.
    pub sid: Sid,
    /// Length of a tick, ms.
    pub tick_ms: u64,
    /// Ticks that discovery and synchronisation may take.
    pub init_limit: u64,
    /// Ticks that a leader and a learner may be out of touch.
    pub sync_limit: u64,
    /// Ticks that a learner tries to reach its leader; 0: as `init_limit`.
    pub connect_limit: u64,
    /// To give up connecting for votes after, ms (`zookeeper.cnxTimeout`).
    pub election_connect_ms: u64,
    /// How long an election waits for a better vote where one can still come, ms. Java: 200.
    pub finalize_wait_ms: u64,
    /// The first pause before votes are sent again, ms. Java: 200.
    pub min_notification_ms: u64,
    /// The longest pause before votes are sent again, ms. Java: 60000.
    pub max_notification_ms: u64,
    /// Whether members may change at run time (`reconfigEnabled`).
    pub reconfig: bool,
    /// Whether a single participant may be left (`standaloneEnabled`).
    pub standalone_enabled: bool,
    /// Whether this server is configured as an observer (`peerType`, where the list is silent).
    pub observer: bool,
    /// Where a voter that follows takes observers, and where an observer finds those that do
    /// (`observerMasterPort`). 0: observers go to the leader.
    pub observer_master_port: u16,
    /// How long an observer waits at most before it turns to those that it has been with, ms
    /// (`observer.reconnectDelayMs`).
    pub reconnect_delay_ms: u64,
    /// Whether two voters have an oracle, that may let one of them decide alone (`oraclePath`).
    pub oracle: bool,
    /// The longest packet that is accepted, bytes.
    pub max_packet: usize,
    /// Transactions that are kept in memory for learners that were away, and their bytes.
    pub history_entries: usize,
    /// Their bytes.
    pub history_bytes: usize,
    /// How far a learner may be behind to get transactions from the log (`snapshotSizeFactor`).
    pub from_log: FromLog,
    /// Whether learners always get the whole state (`forceSnapshotSync`).
    pub force_snapshot: bool,
    /// How many learners may be getting the state before an observer is refused
    /// (`leader.maxConcurrentSnapSyncs`).
    pub max_snap_syncs: usize,
    /// How many may be getting transactions (`leader.maxConcurrentDiffSyncs`).
    pub max_diff_syncs: usize,
    /// How long a connection for votes may take to say who it is, ms (`quorumCnxnTimeoutMs`). 0: as
    /// `sync_limit`.
    pub greeting_ms: u64,
    /// Between two tries to reach a leader, ms (`leaderConnectDelayDuringRetryMs`). Java: 100.
    pub connect_retry_ms: u64,
    /// How long an elected leader that refuses must be without a connection for votes to be taken for
    /// one that has ended, ms. A Java leader opens its port up to half a second after it is elected,
    /// and ends that connection for another one that it has asked for (`QuorumCnxManager`).
    pub leader_down_ms: u64,
    /// How long an observer without a leader waits at most before it looks for one, ms
    /// (`observer.election.DelayMs`).
    pub observer_election_delay_ms: u64,
    /// Whether this server writes its log while it is an observer (`syncEnabled`). If not, it has on
    /// the disk what it last got as a whole.
    pub observer_logs: bool,
    /// Seed of all random choices.
    pub seed: u64,
}

impl Params {
    /// What an ensemble has whose `zoo.cfg` says nothing else, with ticks of 2 s and the limits of the
    /// sample file of Apache ZooKeeper.
    pub fn of(sid: Sid) -> Params {
        Params {
            sid,
            tick_ms: 2000,
            init_limit: 10,
            sync_limit: 5,
            connect_limit: 0,
            election_connect_ms: 5000,
            finalize_wait_ms: 200,
            min_notification_ms: 200,
            max_notification_ms: 60_000,
            reconfig: false,
            standalone_enabled: true,
            observer: false,
            observer_master_port: 0,
            reconnect_delay_ms: 0,
            oracle: false,
            max_packet: 1 << 20,
            history_entries: 500,
            history_bytes: 1 << 20,
            from_log: FromLog::Usual,
            force_snapshot: false,
            max_snap_syncs: 10,
            max_diff_syncs: 100,
            greeting_ms: 0,
            connect_retry_ms: 25,
            leader_down_ms: 0,
            observer_election_delay_ms: 0,
            observer_logs: true,
            seed: sid as u64,
        }
    }
}

/// How far a learner may be behind to get transactions from the log and not the whole state. What is
/// in memory it gets in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromLog {
    /// One transaction for three nodes of the state, or `history_entries`: a learner takes up to three
    /// times as long for a transaction as for a node. Java compares bytes, with the same fraction.
    Usual,
    /// So many transactions for 1000 nodes of the state.
    PerMille(u64),
    /// As far as the log reaches.
    Always,
    /// Not at all.
    Never,
}

/// What the disk held, after it was made durable: the tail of the log that was read may not have
/// been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Settings.
    pub params: Params,
    /// The configuration in force, as text (`server.N=…` and `version=`).
    pub config: String,
    /// A newer one that was seen but not committed.
    pub next_config: Option<String>,
    /// `acceptedEpoch`.
    pub accepted_epoch: i64,
    /// `currentEpoch`.
    pub current_epoch: i64,
    /// The last zxid in log or snapshot; the state machine has everything up to it.
    pub last_zxid: i64,
    /// What the log on disk holds, as runs without a gap in them, oldest first: first and last
    /// zxid of each. A run is of one epoch. Only what lies behind the newest state that a leader sent
    /// belongs here.
    pub log: Vec<(i64, i64)>,
    /// The newest entries of the log, without a gap, ending with `last_zxid`; may be empty.
    pub recent: Vec<Proposal>,
    /// The server has lost its data, or may have: it does not vote for anyone.
    pub may_have_lost_data: bool,
}
