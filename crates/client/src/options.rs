//! How to connect, and common access control lists.

use std::time::Duration;

use crate::types::SessionCredentials;

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// Session timeout to ask for; servers grant 2 to 20 of their ticks by default.
    pub session_timeout: Duration,
    /// How long the first connection is tried, once each server has failed. Zero: each server is
    /// tried once.
    pub patience: Duration,
    /// Whether a server that only reads will do.
    pub read_only: bool,
    /// Longest reply to accept, bytes.
    pub max_reply: usize,
    /// A session to attach to again; `None` for a new one.
    pub attach: Option<SessionCredentials>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            session_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            read_only: false,
            max_reply: 256 * 1024 * 1024,
            attach: None,
        }
    }
}

/// Common access control lists.
pub mod acl {
    use zooid_proto::records::{Acl, perms};

    /// Everybody may do everything.
    pub fn open() -> [Acl<'static>; 1] {
        [Acl::new(perms::ALL, "world", "anyone")]
    }

    /// Everybody may read.
    pub fn read() -> [Acl<'static>; 1] {
        [Acl::new(perms::READ, "world", "anyone")]
    }

    /// Whoever this connection is authenticated as may do everything.
    pub fn creator() -> [Acl<'static>; 1] {
        [Acl::new(perms::ALL, "auth", "")]
    }
}
