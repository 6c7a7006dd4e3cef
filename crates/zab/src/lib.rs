//! Agreement between servers: election, discovery, synchronisation, broadcast. No socket, no
//! clock, no disk: [`io::Input`] goes in, [`io::Effect`] comes out.
//!
//! Transactions are opaque here but for their header.

pub mod boot;
mod core;
mod election;
mod handler;
mod handlers;
mod history;
mod incoming;
pub mod io;
#[cfg(feature = "mutations")]
pub mod java;
#[cfg(not(feature = "mutations"))]
mod java;
mod leader;
mod learner;
mod links;
#[cfg(feature = "mutations")]
pub mod mutations;
#[cfg(not(feature = "mutations"))]
mod mutations;
mod out;
mod peer;
mod quorum;
mod reconfig;
pub mod status;
mod store;
mod sync;
mod vote;
#[cfg(test)]
mod vote_testing;

pub use boot::{Boot, FromLog, Params};
pub use io::{
    ConnId, DiskOp, Effect, Forwarded, Input, Port, Proposal, Role, Sid, SyncReport, Token,
};
pub use peer::Peer;
pub use reconfig::ReconfigRequest;
pub use status::{LearnerStatus, Progress, Sample, Status};
