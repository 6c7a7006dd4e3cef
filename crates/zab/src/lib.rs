//! Agreement between servers: election, discovery, synchronisation, broadcast. No socket, no
//! clock, no disk: [`io::Input`] goes in, [`io::Effect`] comes out.
//!
//! Transactions are opaque here but for their header.

pub mod boot;
mod core;
#[allow(dead_code, reason = "its users come with the next commits")]
mod election;
mod handler;
mod history;
mod incoming;
pub mod io;
mod leader;
mod learner;
#[allow(dead_code, reason = "its users come with the next commits")]
mod links;
#[allow(dead_code, reason = "its users come with the next commits")]
mod out;
mod peer;
#[allow(dead_code, reason = "its users come with the next commits")]
mod quorum;
mod reconfig;
pub mod status;
mod store;
mod sync;
#[allow(dead_code, reason = "its users come with the next commits")]
mod vote;
#[cfg(test)]
mod vote_testing;

pub use boot::{Boot, Params};
pub use io::{ConnId, DiskOp, Effect, Forwarded, Input, Port, Proposal, Role, Sid, Token};
pub use peer::Peer;
pub use reconfig::ReconfigRequest;
pub use status::{LearnerStatus, Progress, Status};
