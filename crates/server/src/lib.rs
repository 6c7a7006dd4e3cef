//! The machine room: sockets, threads, the clock, the disk.
//!
//! - [`run`]: a server from its configuration to its end
//! - [`state`]: what all parts of a running server share
//! - [`net::clients`]: listens, and drives one task for each client
//! - [`ensemble`]: a member of an ensemble: connections to other members, its disk
//! - [`disk`]: the log thread; [`snapshots`]: the snapshot thread; [`purge`]: old files
//! - [`space`]: room on the disks; [`descriptors`]: open files
//! - [`admin`]: four-letter words
//! - [`settings`]: from the configuration to the settings of the node
//! - [`strangers`]: names what speaks to the port and is no ZooKeeper client
//! - [`clock`]

pub mod admin;
pub mod clock;
pub mod descriptors;
pub mod disk;
pub mod ensemble;
pub mod net;
pub mod purge;
pub mod run;
pub mod settings;
pub mod snapshots;
pub mod space;
pub mod state;
pub mod strangers;

pub use run::{StartError, serve};
pub use state::Server;

/// The version of Apache ZooKeeper whose behaviour this is, as commands show it.
pub const COMPATIBLE_VERSION: &str =
    "3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC";

/// The version of Zooid.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
