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
//! - [`error`]: error codes of the wire
//! - [`path`], [`zxid`]: the rules of paths and transaction ids

#[macro_use]
pub mod jute;
pub mod client;
pub mod error;
pub mod ops;
pub mod path;
pub mod records;
pub mod txn;
pub mod zxid;

pub use error::ErrorCode;
pub use jute::{Buf, Jute, JuteError, Reader, Str, Writer};
pub use ops::{OpClass, OpCode};
