//! Agreement between servers: election, discovery, synchronisation, broadcast. No socket, no
//! clock, no disk: [`io::Input`] goes in, [`io::Effect`] comes out.
//!
//! Transactions are opaque here but for their header.

pub mod boot;
#[allow(dead_code, reason = "its users come with the next commits")]
mod election;
pub mod io;
#[allow(dead_code, reason = "its users come with the next commits")]
mod links;
#[allow(dead_code, reason = "its users come with the next commits")]
mod out;
#[allow(dead_code, reason = "its users come with the next commits")]
mod quorum;
#[allow(dead_code, reason = "its users come with the next commits")]
mod vote;
#[cfg(test)]
mod vote_testing;

pub use boot::{Boot, Params};
pub use io::{ConnId, DiskOp, Effect, Forwarded, Input, Port, Proposal, Role, Sid, Token};
