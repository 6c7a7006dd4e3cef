//! One server without sockets: what a request means.
//!
//! - [`conn`]: one client: frames, handshake, authentication, order of replies
//! - [`core`]: writes become transactions, transactions become the tree, watches fire
//! - `prep`: the checks that a write must pass; `multi`: its parts; `view`: the tree with all that is under way
//! - `read`: what is answered from the tree; `reply`: frames for clients
//! - [`recover`]: the tree from a data directory; [`log`], [`snapshot`]: the way to the disk
//! - [`sessions`], [`auth`], [`acl`]: who asks, and what they may
//! - [`link`], [`shared`]: what connections and the core share
//! - [`throttle`]: how many may connect; [`stats`], [`settings`], [`time`]
//!
//! The way of a read: `conn` takes a frame, holds the tree for reading, empties its mailbox, and
//! `read` appends the reply. The way of a write: `conn` submits it, [`core::Core`] makes a
//! transaction of it and leaves it to be logged; once it is durable it is applied under the tree's
//! write lock, events and reply go into mailboxes, and the connections are woken.

pub mod acl;
pub mod auth;
pub mod conn;
pub mod core;
pub mod ensemble_stats;
pub mod link;
pub mod log;
pub mod member;
mod multi;
mod prep;
mod read;
pub mod recover;
mod reply;
pub mod sessions;
pub mod settings;
pub mod shared;
pub mod snapshot;
pub mod stats;
pub mod throttle;
pub mod time;
pub mod transfer;
mod view;

pub use conn::{Closing, Conn, Next, Progress, Submit};
pub use core::{Append, Core};
pub use link::{Close, ConnId, Link, Wake};
pub use settings::{DigestAlgorithm, Settings};
pub use shared::Shared;
pub use time::Now;
