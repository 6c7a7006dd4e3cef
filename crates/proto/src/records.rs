//! Records that requests, replies, transactions and files share.

use crate::jute::Str;

/// Permission bits of an ACL entry.
pub mod perms {
    /// Read data, list children.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the ACL.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

records! {
    /// Who somebody is, under an authentication scheme.
    Id<'a> {
        /// `world`, `digest`, `ip`, `sasl`, `x509`, ...
        scheme: Str<'a>,
        /// The name under that scheme.
        id: Str<'a>,
    }

    /// One entry of an access control list.
    Acl<'a> {
        /// Bits of [`perms`].
        perms: i32,
        /// Whom the entry grants them to.
        id: Id<'a>,
    }

    /// The state of a node as clients see it (68 bytes).
    Stat {
        /// zxid of the create.
        czxid: i64,
        /// zxid of the last change of data.
        mzxid: i64,
        /// Time of the create, ms since 1970.
        ctime: i64,
        /// Time of the last change of data, ms since 1970.
        mtime: i64,
        /// Number of changes of data.
        version: i32,
        /// Number of creates and deletes of children.
        cversion: i32,
        /// Number of changes of the ACL.
        aversion: i32,
        /// Session that owns an ephemeral node, else 0.
        ephemeral_owner: i64,
        /// Bytes of data; 0 for null.
        data_length: i32,
        /// Number of children.
        num_children: i32,
        /// zxid of the last create or delete of a child.
        pzxid: i64,
    }

    /// The state of a node as files keep it (60 bytes).
    StatPersisted {
        /// zxid of the create.
        czxid: i64,
        /// zxid of the last change of data.
        mzxid: i64,
        /// Time of the create, ms since 1970.
        ctime: i64,
        /// Time of the last change of data, ms since 1970.
        mtime: i64,
        /// Number of changes of data.
        version: i32,
        /// Number of creates of children: the next sequence number.
        cversion: i32,
        /// Number of changes of the ACL.
        aversion: i32,
        /// 0, a session, or the mark of a container or TTL node.
        ephemeral_owner: i64,
        /// zxid of the last create or delete of a child.
        pzxid: i64,
    }
}

impl<'a> Acl<'a> {
    /// An entry from its parts.
    pub fn new(perms: i32, scheme: &'a str, id: &'a str) -> Acl<'a> {
        Acl {
            perms,
            id: Id {
                scheme: Some(scheme.into()),
                id: Some(id.into()),
            },
        }
    }
}

impl Id<'_> {
    /// The scheme, empty when null.
    pub fn scheme(&self) -> &str {
        self.scheme.as_deref().unwrap_or("")
    }

    /// The name, empty when null.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Jute, Writer};

    #[test]
    fn stats_have_the_sizes_of_the_wire_and_the_file() {
        let mut out = Vec::new();
        Stat::default().write(&mut Writer::wire(&mut out));
        assert_eq!((out.len(), Stat::MIN_BYTES), (68, 68));
        out.clear();
        StatPersisted::default().write(&mut Writer::disk(&mut out));
        assert_eq!((out.len(), StatPersisted::MIN_BYTES), (60, 60));
    }
}
