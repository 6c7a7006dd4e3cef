//! The state that every server agrees on, and the watches on it. Pure: no clock, file, socket or
//! thread, and the same transactions give the same tree everywhere.
//!
//! - [`tree`]: the tree as readers see it; `arena`, `payload` and `index` are what it is made of
//! - [`apply`]: what a transaction does to the tree, live and in replay
//! - [`walk`]: a consistent snapshot in small steps while transactions are applied
//! - [`load`]: the tree from a snapshot
//! - [`acl`], [`owner`], [`quota`], [`digest`]: one idea each
//! - [`watch`]: who is told about a change

pub mod acl;
pub mod apply;
mod arena;
pub mod digest;
mod index;
pub mod load;
pub mod owner;
mod payload;
pub mod quota;
pub mod tree;
pub mod walk;
pub mod watch;

pub use acl::AclId;
pub use apply::{Applied, Change, ChangeKind, Changes};
pub use digest::{DIGEST_VERSION, node_digest};
pub use load::{LoadError, TreeLoader};
pub use owner::OwnerClass;
pub use quota::{QuotaStats, QuotaView};
pub use tree::{NodeRef, Tree, TreeOptions};
pub use walk::Walk;
pub use watch::{ConnId, Fired, Mode, WatchSummary, WatchType, Watches};
