//! What all connections and the core of one server share.

use crate::ensemble_stats::EnsembleStats;
use crate::link::{ConnId, Link};
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::stats::{Stats, Summary};
use crate::throttle::Throttle;
use crate::time::Now;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use zooid_tree::{Tree, Watches};

/// State of one server.
///
/// Locks are taken in the order tree, watches, links; a mailbox is the last.
pub struct Shared {
    /// Settings.
    pub settings: Settings,
    /// The tree. The core is the only one that writes.
    pub tree: RwLock<Tree>,
    /// Watches on the tree.
    pub watches: Mutex<Watches>,
    /// Sessions.
    pub sessions: Sessions,
    /// Connections.
    pub links: RwLock<HashMap<ConnId, Arc<Link>, foldhash::fast::FixedState>>,
    /// Packets and latencies.
    pub stats: Stats,
    /// Writes and handshakes in the pipeline.
    pub outstanding: AtomicUsize,
    /// Bytes of large requests in the pipeline.
    pub large_request_bytes: AtomicI64,
    /// Bytes of replies and events that wait for clients to read.
    pub waiting_bytes: Arc<AtomicI64>,
    /// Transactions whose digest was not that of the tree behind them.
    pub digest_mismatches: AtomicU64,
    /// Digests for the `hash` command.
    pub digest_log: Mutex<DigestLog>,
    /// How long the data took to load, ms: the clock starts with the server.
    pub load_ms: Summary,
    /// Lengths of the transactions that this server proposed.
    pub proposal_sizes: ProposalSizes,
    /// What a member of an ensemble counts and measures.
    pub ensemble: EnsembleStats,
    /// How many may connect.
    pub throttle: Mutex<Throttle>,
    /// How often the tree was replaced as a whole: whoever goes through it in steps looks.
    generation: AtomicU64,
    serving: AtomicBool,
    /// Whether there is a leader here or elsewhere.
    running: AtomicBool,
    /// Whether another server leads: what only a leader can answer goes through the core.
    learning: AtomicBool,
    /// Whether there is no leader, and only reads are answered.
    read_only: AtomicBool,
    next_conn: AtomicU64,
}

impl Shared {
    /// The state around a recovered tree.
    pub fn new(settings: Settings, tree: Tree, now: Now) -> Shared {
        let sessions = Sessions::new(settings.server_id, settings.tick_time_ms, now);
        for (id, timeout_ms) in tree.sessions() {
            sessions.restore(*id, *timeout_ms, now);
        }
        let throttle = Throttle::new(
            settings.connection_throttle.clone(),
            now.wall_ms as u64,
            now.mono_ms,
        );
        let load_ms = Summary::default();
        load_ms.add(now.mono_ms);
        Shared {
            throttle: Mutex::new(throttle),
            settings,
            tree: RwLock::new(tree),
            watches: Mutex::new(Watches::new()),
            sessions,
            links: RwLock::default(),
            stats: Stats::default(),
            outstanding: AtomicUsize::new(0),
            large_request_bytes: AtomicI64::new(0),
            waiting_bytes: Arc::default(),
            digest_mismatches: AtomicU64::new(0),
            digest_log: Mutex::default(),
            load_ms,
            proposal_sizes: ProposalSizes::default(),
            ensemble: EnsembleStats::default(),
            generation: AtomicU64::new(0),
            serving: AtomicBool::new(true),
            running: AtomicBool::new(true),
            learning: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            next_conn: AtomicU64::new(1),
        }
    }

    /// A number for a new connection.
    pub fn next_conn(&self) -> ConnId {
        self.next_conn.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts another tree in the place of the one that is there.
    pub fn replace_tree(&self, tree: Tree) {
        let mut current = self.tree.write();
        self.generation.fetch_add(1, Ordering::Relaxed);
        *current = tree;
    }

    /// Changes with [`Shared::replace_tree`]; steady while the tree is held.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether requests are taken.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    /// Whether transactions are made or followed, be it without clients of its own.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Stops taking requests: the server is about to end, or has no leader.
    pub fn stop_serving(&self) {
        self.serving.store(false, Ordering::Relaxed);
        self.running.store(false, Ordering::Relaxed);
    }

    /// Leads, and leaves clients to others (`leaderServes`): to those Java's leader is then a server
    /// that does not run.
    pub(crate) fn start_without_clients(&self) {
        self.learning.store(false, Ordering::Relaxed);
        self.read_only.store(false, Ordering::Relaxed);
        self.running.store(true, Ordering::Release);
    }

    /// Takes requests, of its own right or, when `learning`, for a leader elsewhere.
    pub(crate) fn start_serving(&self, learning: bool) {
        self.learning.store(learning, Ordering::Relaxed);
        self.read_only.store(false, Ordering::Relaxed);
        self.running.store(true, Ordering::Relaxed);
        self.serving.store(true, Ordering::Release);
    }

    /// Takes reads only, from clients that are content with them (`ReadOnlyZooKeeperServer`).
    pub(crate) fn start_read_only(&self) {
        self.learning.store(false, Ordering::Relaxed);
        self.read_only.store(true, Ordering::Relaxed);
        self.serving.store(true, Ordering::Release);
    }

    /// Whether there is no leader, and only reads are answered.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Whether another server leads.
    pub fn is_learning(&self) -> bool {
        self.learning.load(Ordering::Relaxed)
    }
}

/// Last, shortest and longest length of proposals, bytes; -1 before the first (`BufferStats` in
/// Java).
pub struct ProposalSizes([AtomicI64; 3]);

impl Default for ProposalSizes {
    fn default() -> ProposalSizes {
        ProposalSizes([const { AtomicI64::new(-1) }; 3])
    }
}

impl ProposalSizes {
    /// Only the core writes.
    pub(crate) fn note(&self, bytes: usize) {
        let bytes = bytes as i64;
        let [last, min, max] = &self.0;
        last.store(bytes, Ordering::Relaxed);
        let shortest = min.load(Ordering::Relaxed);
        if shortest == -1 || bytes < shortest {
            min.store(bytes, Ordering::Relaxed);
        }
        max.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Last, shortest, longest.
    pub fn get(&self) -> [i64; 3] {
        self.0.each_ref().map(|size| size.load(Ordering::Relaxed))
    }

    /// Forgets all.
    pub fn reset(&self) {
        for size in &self.0 {
            size.store(-1, Ordering::Relaxed);
        }
    }
}

/// Every 128th zxid with the digest of the tree behind it, the newest 1024 of them.
#[derive(Debug, Default)]
pub struct DigestLog {
    entries: std::collections::VecDeque<(i64, i64)>,
}

impl DigestLog {
    const INTERVAL: i64 = 128;
    const LIMIT: usize = 1024;

    /// Notes the digest behind a transaction, if it is one of those that are kept.
    pub fn note(&mut self, zxid: i64, digest: i64) {
        if zxid % Self::INTERVAL != 0 {
            return;
        }
        if self.entries.len() == Self::LIMIT {
            self.entries.pop_front();
        }
        self.entries.push_back((zxid, digest));
    }

    /// zxid and digest, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.entries.iter().copied()
    }
}
