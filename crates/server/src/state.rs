//! What all parts of a running server share.

use crate::clock::Clock;
use crate::disk::DiskStats;
use crate::ensemble::members::Place;
use crate::ensemble::net::PeerEvent;
use crate::snapshots::Snapshots;
use parking_lot::{Mutex, RwLock};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;
use zooid_config::Config;
use zooid_node::{Now, Shared, Submit};
use zooid_store::{DataDirs, StoreError};
use zooid_zab::Token;

/// A running server.
pub struct Server {
    /// Its configuration.
    pub config: Config,
    /// The state that connections and the core share.
    pub shared: Arc<Shared>,
    /// The clocks.
    pub clock: Clock,
    /// When it started.
    pub started: Now,
    /// Where its files are.
    pub dirs: DataDirs,
    /// Where it listens for clients.
    pub client_address: RwLock<SocketAddr>,
    /// The way into the core.
    pub core: UnboundedSender<CoreInput>,
    /// What the log thread measures.
    pub disk: Arc<DiskStats>,
    /// Snapshots, taken and under way.
    pub snapshots: Arc<Snapshots>,
    /// What the ensemble was like a moment ago; `None` for a server that stands alone.
    pub ensemble: Option<Arc<Mutex<Seen>>>,
}

/// A member of an ensemble, as operators see it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Agreement.
    pub status: zooid_zab::Status,
    /// Since when it leads and serves, monotonic ms.
    pub leading_since_ms: Option<i64>,
    /// How often it looked for a leader.
    pub elections: u64,
}

impl Server {
    /// The ensemble, if there is one.
    pub fn seen(&self) -> Option<Seen> {
        self.ensemble.as_ref().map(|seen| seen.lock().clone())
    }
}

/// What reaches the core.
pub enum CoreInput {
    /// Requests of one connection, in order.
    Submit(Vec<Submit>),
    /// Transactions up to this zxid are on disk.
    Durable(i64),
    /// Disk operations up to this one are done.
    Persisted(Token),
    /// There was nothing left to build an earlier state from; all data are gone.
    CannotTruncate(Token),
    /// Old logs have been removed; the first that is left begins with this zxid.
    LogStartsAt(i64),
    /// Another member did something.
    Peer(PeerEvent),
    /// A port for members is not to be had.
    PortGivenUp(Place, std::io::Error),
    /// What the oracle of two voters says now.
    Oracle {
        /// Whether this server may decide alone.
        alone: bool,
    },
    /// The log cannot be written: nothing may be acknowledged any more.
    DiskFailed(StoreError),
    /// The operator asks for the end.
    Stop,
}
