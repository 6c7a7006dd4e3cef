//! Ensembles of peers in one thread and simulated time, and all that can happen to them.
//!
//! - [`plan`]: what goes wrong and when, made from a seed beforehand
//! - [`world`]: time and events; `net`, `server`, `lead`, `clients` are what happens in it
//! - [`disk`]: what a crash leaves of the operations of a peer
//! - [`machine`] and [`request`]: a small state, its requests and transactions
//! - [`history`]: every history that any server ever had
//! - [`check`]: what must always be true
//! - [`run`]: a run, and what of its plan a failure needs

pub mod check;
mod clients;
pub mod disk;
pub mod history;
mod lead;
pub mod machine;
mod net;
pub mod plan;
pub mod request;
pub mod run;
pub mod scenarios;
mod server;
mod tally;
pub mod world;
