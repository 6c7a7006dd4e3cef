//! A standalone server on a faulty disk, in one thread and repeatable from a seed.
//!
//! - [`dice`]: choices from a seed
//! - [`disk`]: a disk that loses, tears, refuses and rots
//! - [`history`]: the state behind every transaction, to compare with
//! - [`server`]: core, log, snapshots and purge, one step at a time
//! - [`workload`]: what clients ask for
//! - [`check`]: what a crash may leave
//! - [`run`]: a run with a crash at every step
//!
//! And whole ensembles of peers: [`ensemble`].

pub mod check;
pub mod dice;
pub mod disk;
pub mod ensemble;
pub mod history;
pub mod run;
pub mod server;
pub mod workload;
