//! A client of ZooKeeper servers.
//!
//! - [`Client`]: the public API on tokio; [`Op`], [`ReadOp`] for transactions; [`Watch`],
//!   [`WatchStream`] for events
//! - [`session`]: one session without socket or clock
//! - `driver`: the task that gives a session sockets and a clock
//! - `watches`: whom to tell of an event, and what to register again after a reconnect
//! - `address`: the connect string
//!
//! ```no_run
//! # async fn example() -> Result<(), zooid_client::Error> {
//! use zooid_client::{Client, CreateMode, Options, acl};
//!
//! let client = Client::connect("localhost:2181", Options::default()).await?;
//! client.create("/hello", b"world", &acl::open(), CreateMode::Persistent).await?;
//! let (data, stat, watch) = client.get_watch("/hello").await?;
//! client.set("/hello", b"again", Some(stat.version)).await?;
//! println!("{data:?} until {:?}", watch.event().await?);
//! client.close().await;
//! # Ok(())
//! # }
//! ```

mod address;
mod client;
mod driver;
mod error;
mod multi;
mod options;
pub mod session;
mod types;
mod watch;
mod watches;

pub use address::DEFAULT_PORT;
pub use client::Client;
pub use error::{Attempt, Error, Loss};
pub use multi::{Op, OpResult, ReadOp, ReadResult};
pub use options::{Options, acl};
pub use types::{
    AddWatchMode, CreateMode, Data, EventKind, Identity, Reconfig, SessionCredentials,
    SessionState, WatchKind, WatchedEvent,
};
pub use watch::{SessionEvents, Watch, WatchStream};
pub use watches::WatcherId;
pub use zooid_proto::ErrorCode;
pub use zooid_proto::records::{Acl, Id, Stat, perms};
