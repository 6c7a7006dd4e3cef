//! The disk formats of Apache ZooKeeper 3.9.5 and the promise of durability.
//!
//! A snapshot body is a stream of sessions, ACLs and nodes; the payload of a log entry is opaque
//! bytes with a zxid. What they mean is the tree's matter, so this crate does not know the tree.
//!
//! - [`files`]: what is asked of a file system; the real one and one in memory
//! - [`layout`]: the directories, which name means what, who may use them
//! - [`log`]: writing the transaction log, [`log_reader`]: reading one file of it
//! - [`scan`]: reading across log files, the end of the log, holes and torn tails
//! - [`snapshot`]: writing and reading snapshots, plain, gzip and snappy
//! - [`recover`]: from a directory to a state: which snapshot, which entries
//! - [`purge`], [`truncate`]: taking away what is old, and what never was
//! - [`epochs`]: the epoch files of a quorum member
//!
//! Nothing here knows a clock or starts a thread. Memory grows with bytes that were read, never
//! with a length that a file claims.

pub mod epochs;
pub mod error;
pub mod files;
pub mod layout;
pub mod log;
pub mod log_reader;
pub mod mem;
pub mod purge;
pub mod recover;
pub mod scan;
pub mod snapshot;
pub mod truncate;

pub use error::{CorruptLog, Damage, StoreError};
pub use files::{Files, OsFiles};
pub use layout::DataDirs;
