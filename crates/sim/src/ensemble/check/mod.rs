//! What must always be true, by the names that the specification of the protocol gives it.

pub mod clients;
pub mod commit;
pub mod disk;
pub mod epochs;
pub mod order;
pub mod packets;
pub mod quorum;
pub mod reconfig;
pub mod sessions;
