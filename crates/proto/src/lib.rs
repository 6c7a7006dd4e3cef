//! Everything that travels or is stored, as bytes and as values.
//!
//! The crate knows no socket, file or clock. Two tables carry it: [`records!`](crate::jute) lists
//! records in wire order, [`ops`] lists the operations a client can ask for.
//!
//! - [`jute`]: the codec of ZooKeeper's records
//! - [`records`]: the records shared by requests, replies, transactions and files
//! - [`ops`]: operation codes, one line each
//! - [`client`]: handshake, headers, requests, replies, events
//! - [`txn`]: transactions, as logged and as proposed
//! - [`quorum`]: packets between a leader and its learners
//! - [`vote`]: frames between members that elect a leader
//! - [`members`]: the members of an ensemble, as text
//! - [`error`]: error codes of the wire
//! - [`path`], [`zxid`]: the rules of paths and transaction ids
//! - [`properties`]: the text format of configurations

#[macro_use]
pub mod jute;
pub mod client;
pub mod error;
mod java;
pub mod members;
pub mod ops;
pub mod path;
pub mod properties;
pub mod quorum;
pub mod records;
pub mod txn;
pub mod vote;
pub mod zxid;

pub use error::ErrorCode;
pub use jute::{Buf, Jute, JuteError, Reader, Str, Writer};
pub use ops::{OpClass, OpCode};
