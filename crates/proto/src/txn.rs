//! Transactions: what a write becomes, in the log and between peers.
//!
//! The payload of a log entry is a [`TxnHeader`], the record of its kind and, mostly, a
//! [`TxnDigest`].

use crate::jute::{Buf, Jute, JuteError, List, Reader, Str, Writer};
use crate::records::Acl;
use std::borrow::Cow;

/// Kinds of transactions.
pub mod kind {
    /// A write that was refused.
    pub const ERROR: i32 = -1;
    /// A session begins.
    pub const CREATE_SESSION: i32 = -10;
    /// A session ends.
    pub const CLOSE_SESSION: i32 = -11;
    /// create.
    pub const CREATE: i32 = 1;
    /// delete.
    pub const DELETE: i32 = 2;
    /// setData.
    pub const SET_DATA: i32 = 5;
    /// setACL.
    pub const SET_ACL: i32 = 7;
    /// check, inside a multi only.
    pub const CHECK: i32 = 13;
    /// multi.
    pub const MULTI: i32 = 14;
    /// create2.
    pub const CREATE2: i32 = 15;
    /// reconfig.
    pub const RECONFIG: i32 = 16;
    /// createContainer.
    pub const CREATE_CONTAINER: i32 = 19;
    /// deleteContainer.
    pub const DELETE_CONTAINER: i32 = 20;
    /// createTTL.
    pub const CREATE_TTL: i32 = 21;
}

records! {
    /// In front of every transaction (32 bytes).
    TxnHeader {
        /// Session that asked, 0 for the server itself.
        client_id: i64,
        /// xid of the request.
        cxid: i32,
        /// Its place in the order of all transactions.
        zxid: i64,
        /// Clock of the server that made it, ms since 1970.
        time_ms: i64,
        /// See [`kind`].
        kind: i32,
    }

    /// What the tree must add up to behind the transaction.
    TxnDigest {
        /// Version of the calculation; 2 is the only one in use.
        version: i32,
        /// Sum over all nodes.
        tree_digest: i64,
    }

    /// A node is created.
    CreateTxn<'a> {
        /// Final path.
        path: Cow<'a, str>,
        /// Data.
        data: Buf<'a>,
        /// Expanded access control list; null is open.
        acl: List<Acl<'a>>,
        /// Whether the session of the header owns it.
        ephemeral: bool,
        /// cversion of the parent from now on; -1: one more than it was.
        parent_cversion: i32,
    }

    /// A container is created.
    CreateContainerTxn<'a> {
        /// Final path.
        path: Cow<'a, str>,
        /// Data.
        data: Buf<'a>,
        /// Expanded access control list.
        acl: List<Acl<'a>>,
        /// cversion of the parent from now on.
        parent_cversion: i32,
    }

    /// A node with a time to live is created.
    CreateTtlTxn<'a> {
        /// Final path.
        path: Cow<'a, str>,
        /// Data.
        data: Buf<'a>,
        /// Expanded access control list.
        acl: List<Acl<'a>>,
        /// cversion of the parent from now on.
        parent_cversion: i32,
        /// Time to live, ms.
        ttl_ms: i64,
    }

    /// A node is deleted.
    DeleteTxn<'a> {
        /// Path.
        path: Cow<'a, str>,
    }

    /// Data are replaced.
    SetDataTxn<'a> {
        /// Path.
        path: Cow<'a, str>,
        /// New data.
        data: Buf<'a>,
        /// New version.
        version: i32,
    }

    /// An ACL is replaced.
    SetAclTxn<'a> {
        /// Path.
        path: Cow<'a, str>,
        /// New list, expanded.
        acl: List<Acl<'a>>,
        /// New ACL version.
        version: i32,
    }

    /// A version was checked.
    CheckVersionTxn<'a> {
        /// Path.
        path: Cow<'a, str>,
        /// One more than the version that was found.
        version: i32,
    }
}

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txn<'a> {
    /// A session begins.
    CreateSession {
        /// Its timeout, ms.
        timeout_ms: i32,
    },
    /// A session ends.
    CloseSession {
        /// Ephemeral nodes to delete, in order. `None`: those that the reader knows of.
        paths: Option<Vec<Str<'a>>>,
    },
    /// create.
    Create(CreateTxn<'a>),
    /// create2.
    Create2(CreateTxn<'a>),
    /// createContainer.
    CreateContainer(CreateContainerTxn<'a>),
    /// createTTL.
    CreateTtl(CreateTtlTxn<'a>),
    /// delete.
    Delete(DeleteTxn<'a>),
    /// deleteContainer.
    DeleteContainer(DeleteTxn<'a>),
    /// setData.
    SetData(SetDataTxn<'a>),
    /// reconfig.
    Reconfig(SetDataTxn<'a>),
    /// setACL.
    SetAcl(SetAclTxn<'a>),
    /// check, inside a multi only.
    Check(CheckVersionTxn<'a>),
    /// A refused write.
    Error {
        /// Error code.
        err: i32,
    },
    /// Several as one; inside, no sessions and no further multi.
    Multi(Vec<Txn<'a>>),
}

impl<'a> Txn<'a> {
    /// The kind, as headers and multis name it.
    pub fn kind(&self) -> i32 {
        match self {
            Txn::CreateSession { .. } => kind::CREATE_SESSION,
            Txn::CloseSession { .. } => kind::CLOSE_SESSION,
            Txn::Create(_) => kind::CREATE,
            Txn::Create2(_) => kind::CREATE2,
            Txn::CreateContainer(_) => kind::CREATE_CONTAINER,
            Txn::CreateTtl(_) => kind::CREATE_TTL,
            Txn::Delete(_) => kind::DELETE,
            Txn::DeleteContainer(_) => kind::DELETE_CONTAINER,
            Txn::SetData(_) => kind::SET_DATA,
            Txn::Reconfig(_) => kind::RECONFIG,
            Txn::SetAcl(_) => kind::SET_ACL,
            Txn::Check(_) => kind::CHECK,
            Txn::Error { .. } => kind::ERROR,
            Txn::Multi(_) => kind::MULTI,
        }
    }

    /// The path that it concerns, if it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Txn::Create(txn) | Txn::Create2(txn) => Some(&txn.path),
            Txn::CreateContainer(txn) => Some(&txn.path),
            Txn::CreateTtl(txn) => Some(&txn.path),
            Txn::Delete(txn) | Txn::DeleteContainer(txn) => Some(&txn.path),
            Txn::SetData(txn) | Txn::Reconfig(txn) => Some(&txn.path),
            Txn::SetAcl(txn) => Some(&txn.path),
            Txn::Check(txn) => Some(&txn.path),
            Txn::CreateSession { .. }
            | Txn::CloseSession { .. }
            | Txn::Error { .. }
            | Txn::Multi(_) => None,
        }
    }

    fn read(kind_at: usize, txn_kind: i32, from: &mut Reader<'a>) -> Result<Txn<'a>, JuteError> {
        Ok(match txn_kind {
            kind::CREATE_SESSION => Txn::CreateSession {
                timeout_ms: from.i32()?,
            },
            kind::CLOSE_SESSION => Txn::CloseSession {
                paths: read_closed_paths(from)?,
            },
            kind::CREATE => Txn::Create(read_create(from)?),
            kind::CREATE2 => Txn::Create2(Jute::read(from)?),
            kind::CREATE_CONTAINER => Txn::CreateContainer(Jute::read(from)?),
            kind::CREATE_TTL => Txn::CreateTtl(Jute::read(from)?),
            kind::DELETE => Txn::Delete(Jute::read(from)?),
            kind::DELETE_CONTAINER => Txn::DeleteContainer(Jute::read(from)?),
            kind::SET_DATA => Txn::SetData(Jute::read(from)?),
            kind::RECONFIG => Txn::Reconfig(Jute::read(from)?),
            kind::SET_ACL => Txn::SetAcl(Jute::read(from)?),
            kind::ERROR => Txn::Error { err: from.i32()? },
            kind::MULTI => Txn::Multi(read_multi(from)?),
            value => {
                return Err(JuteError::Unknown {
                    what: "transaction",
                    value,
                    at: kind_at,
                });
            }
        })
    }

    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Txn::CreateSession { timeout_ms } => to.i32(*timeout_ms),
            Txn::CloseSession { paths: None } => {}
            Txn::CloseSession { paths } => paths.write(to),
            Txn::Create(txn) | Txn::Create2(txn) => txn.write(to),
            Txn::CreateContainer(txn) => txn.write(to),
            Txn::CreateTtl(txn) => txn.write(to),
            Txn::Delete(txn) | Txn::DeleteContainer(txn) => txn.write(to),
            Txn::SetData(txn) | Txn::Reconfig(txn) => txn.write(to),
            Txn::SetAcl(txn) => txn.write(to),
            Txn::Check(txn) => txn.write(to),
            Txn::Error { err } => to.i32(*err),
            Txn::Multi(txns) => {
                to.count(Some(txns.len()));
                let mut body = Vec::new();
                for txn in txns {
                    to.i32(txn.kind());
                    body.clear();
                    txn.write(&mut Writer::disk(&mut body));
                    to.buf(Some(&body));
                }
            }
        }
    }

    /// The same transaction without borrowed parts.
    pub fn into_owned(self) -> Txn<'static> {
        match self {
            Txn::CreateSession { timeout_ms } => Txn::CreateSession { timeout_ms },
            Txn::CloseSession { paths } => Txn::CloseSession {
                paths: paths.into_owned(),
            },
            Txn::Create(txn) => Txn::Create(txn.into_owned()),
            Txn::Create2(txn) => Txn::Create2(txn.into_owned()),
            Txn::CreateContainer(txn) => Txn::CreateContainer(txn.into_owned()),
            Txn::CreateTtl(txn) => Txn::CreateTtl(txn.into_owned()),
            Txn::Delete(txn) => Txn::Delete(txn.into_owned()),
            Txn::DeleteContainer(txn) => Txn::DeleteContainer(txn.into_owned()),
            Txn::SetData(txn) => Txn::SetData(txn.into_owned()),
            Txn::Reconfig(txn) => Txn::Reconfig(txn.into_owned()),
            Txn::SetAcl(txn) => Txn::SetAcl(txn.into_owned()),
            Txn::Check(txn) => Txn::Check(txn.into_owned()),
            Txn::Error { err } => Txn::Error { err },
            Txn::Multi(txns) => Txn::Multi(txns.into_iter().map(Txn::into_owned).collect()),
        }
    }
}

/// Servers up to 3.3 wrote no parent cversion (`CreateTxnV0` in Java).
fn read_create<'a>(from: &mut Reader<'a>) -> Result<CreateTxn<'a>, JuteError> {
    Ok(CreateTxn {
        path: Jute::read(from)?,
        data: from.buf()?,
        acl: Jute::read(from)?,
        ephemeral: from.bool()?,
        parent_cversion: if from.remaining() < 4 {
            -1
        } else {
            from.i32()?
        },
    })
}

/// A closeSession without a body was written before 3.6, and is written with
/// `closeSessionTxn.enabled=false`; what follows it is nothing, or a digest of version 2. Two
/// paths in 12 bytes would be two empty ones, and there are no empty paths.
fn read_closed_paths<'a>(from: &mut Reader<'a>) -> Result<Option<Vec<Str<'a>>>, JuteError> {
    let rest = from.rest();
    if rest.is_empty() || (rest.len() == TxnDigest::MIN_BYTES && rest.starts_with(&[0, 0, 0, 2])) {
        return Ok(None);
    }
    Ok(Some(List::<Str<'a>>::read(from)?.unwrap_or_default()))
}

fn read_multi<'a>(from: &mut Reader<'a>) -> Result<Vec<Txn<'a>>, JuteError> {
    let count = from.count()?.unwrap_or(0);
    let mut txns = Vec::with_capacity(count.min(from.remaining() / 8));
    for _ in 0..count {
        let at = from.position();
        let txn_kind = from.i32()?;
        let body_at = from.position();
        let body = from.raw()?.ok_or(JuteError::Null {
            what: "part of a multi",
            at: body_at,
        })?;
        let from = &mut Reader::new(body);
        txns.push(match txn_kind {
            kind::CHECK => Txn::Check(Jute::read(from)?),
            kind::MULTI | kind::CREATE_SESSION | kind::CLOSE_SESSION => {
                return Err(JuteError::Unknown {
                    what: "part of a multi",
                    value: txn_kind,
                    at,
                });
            }
            _ => Txn::read(at, txn_kind, from)?,
        });
    }
    Ok(txns)
}

/// The payload of a log entry, and of a proposal between peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// Who, when, and which place in the order.
    pub header: TxnHeader,
    /// What.
    pub txn: Txn<'a>,
    /// What the tree must add up to behind it; absent from refused writes.
    pub digest: Option<TxnDigest>,
}

impl<'a> LogEntry<'a> {
    /// Decodes a payload. Whether a digest follows is told by the bytes that remain.
    pub fn decode(payload: &'a [u8]) -> Result<LogEntry<'a>, JuteError> {
        let from = &mut Reader::new(payload);
        let header = TxnHeader::read(from)?;
        let txn = Txn::read(TxnHeader::MIN_BYTES - 4, header.kind, from)?;
        let digest = if from.remaining() > 0 {
            Some(TxnDigest::read(from)?)
        } else {
            None
        };
        Ok(LogEntry {
            header,
            txn,
            digest,
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert_eq!(
            self.header.kind,
            self.txn.kind(),
            "the header names another transaction"
        );
        let to = &mut Writer::disk(out);
        self.header.write(to);
        self.txn.write(to);
        if let Some(digest) = &self.digest {
            digest.write(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(txn: Txn<'static>, digest: bool) -> LogEntry<'static> {
        LogEntry {
            header: TxnHeader {
                client_id: 7,
                cxid: 2,
                zxid: 9,
                time_ms: 5,
                kind: txn.kind(),
            },
            txn,
            digest: digest.then_some(TxnDigest {
                version: 2,
                tree_digest: 0x51C6_D660,
            }),
        }
    }

    #[test]
    fn every_kind_survives_the_way() {
        let acl = || Some(vec![Acl::new(31, "world", "anyone")]);
        let delete = || DeleteTxn { path: "/a".into() };
        let set = || SetDataTxn {
            path: "/a".into(),
            data: None,
            version: 3,
        };
        let create = || CreateTxn {
            path: "/a".into(),
            data: Some(b"d".as_slice().into()),
            acl: acl(),
            ephemeral: true,
            parent_cversion: 4,
        };
        let txns = [
            Txn::CreateSession { timeout_ms: 30_000 },
            Txn::CloseSession { paths: None },
            Txn::CloseSession {
                paths: Some(vec![]),
            },
            Txn::CloseSession {
                paths: Some(vec![Some("/a".into()), Some("/b".into())]),
            },
            Txn::Create(create()),
            Txn::Create2(create()),
            Txn::CreateContainer(CreateContainerTxn {
                path: "/c".into(),
                ..Default::default()
            }),
            Txn::CreateTtl(CreateTtlTxn {
                path: "/t".into(),
                ttl_ms: 9,
                ..Default::default()
            }),
            Txn::Delete(delete()),
            Txn::DeleteContainer(delete()),
            Txn::SetData(set()),
            Txn::Reconfig(set()),
            Txn::SetAcl(SetAclTxn {
                path: "/a".into(),
                acl: acl(),
                version: 1,
            }),
            Txn::Error { err: -101 },
            Txn::Multi(vec![
                Txn::Create(create()),
                Txn::Check(CheckVersionTxn {
                    path: "/a".into(),
                    version: 1,
                }),
                Txn::Error { err: -2 },
            ]),
            Txn::Multi(vec![]),
        ];
        for txn in txns {
            for digest in [false, true] {
                let entry = entry(txn.clone(), digest);
                let mut bytes = Vec::new();
                entry.encode(&mut bytes);
                assert_eq!(LogEntry::decode(&bytes).as_ref(), Ok(&entry));
            }
        }
    }

    #[test]
    fn a_create_of_3_3_has_no_parent_cversion() {
        let mut bytes = Vec::new();
        let create = CreateTxn {
            path: "/a".into(),
            parent_cversion: 1,
            ..Default::default()
        };
        entry(Txn::Create(create), false).encode(&mut bytes);
        bytes.truncate(bytes.len() - 4);
        let Txn::Create(read) = LogEntry::decode(&bytes).unwrap().txn else {
            panic!("a create")
        };
        assert_eq!(read.parent_cversion, -1);
    }

    #[test]
    fn a_check_stands_in_a_multi_only() {
        let check = entry(Txn::Check(CheckVersionTxn::default()), false);
        let mut bytes = Vec::new();
        check.encode(&mut bytes);
        assert!(matches!(
            LogEntry::decode(&bytes),
            Err(JuteError::Unknown { value: 13, .. })
        ));
    }
}
