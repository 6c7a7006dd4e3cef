//! Agreement between servers: election, discovery, synchronisation, broadcast. No socket, no
//! clock, no disk: [`io::Input`] goes in, [`io::Effect`] comes out.
//!
//! Transactions are opaque here but for their header.

pub mod boot;
pub mod io;
#[allow(dead_code, reason = "its users come with the next commits")]
mod election;
#[allow(dead_code, reason = "its users come with the next commits")]
mod out;
#[allow(dead_code, reason = "its users come with the next commits")]
mod quorum;

pub use boot::{Boot, Params};
pub use io::{ConnId, DiskOp, Effect, Forwarded, Input, Port, Proposal, Role, Sid, Token};
