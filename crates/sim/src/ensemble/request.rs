//! What clients of the model ask for, as bytes of requests and of transactions.

use zooid_proto::jute::{Jute, Reader, Writer};
use zooid_proto::txn::{CreateTxn, DeleteTxn, LogEntry, SetDataTxn, Txn, TxnDigest, TxnHeader};
use zooid_zab::Proposal;

/// The number of `sync` among the operations.
pub const SYNC: i32 = 9;

/// A write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A session begins.
    Open {
        /// Its timeout.
        timeout_ms: i32,
    },
    /// The session ends.
    Close,
    /// One of a few nodes gets a value that nobody else writes.
    Set {
        /// Which node.
        key: u64,
        /// Its value.
        value: u64,
    },
    /// An ephemeral node.
    Ephemeral {
        /// Its number in the session.
        n: u64,
    },
    /// A node goes.
    Delete {
        /// Which node.
        key: u64,
    },
    /// The leader says no; that is a transaction, too.
    Refused {
        /// The error.
        error: i32,
    },
    /// New members.
    Reconfig {
        /// The text without version.
        members: String,
    },
}

impl Write {
    /// The number of the operation.
    pub fn op(&self) -> i32 {
        self.txn(0, 0).kind()
    }

    /// As the body of a request: the record of the transaction that comes of it.
    pub fn body(&self) -> Vec<u8> {
        let entry = LogEntry {
            header: TxnHeader {
                kind: self.op(),
                ..TxnHeader::default()
            },
            txn: self.txn(0, 0),
            digest: None,
        };
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        bytes.split_off(TxnHeader::MIN_BYTES)
    }

    /// Reads what [`Write::body`] wrote.
    pub fn read(op: i32, body: &[u8]) -> Option<Write> {
        let header = TxnHeader {
            kind: op,
            ..TxnHeader::default()
        };
        let mut bytes = Vec::new();
        header.write(&mut Writer::wire(&mut bytes));
        bytes.extend(body);
        let number = |bytes: &[u8]| Reader::new(bytes).i64().ok().map(|n| n as u64);
        let key = |path: &str| path.strip_prefix("/k")?.parse().ok();
        Some(match LogEntry::decode(&bytes).ok()?.txn {
            Txn::CreateSession { timeout_ms } => Write::Open { timeout_ms },
            Txn::CloseSession { .. } => Write::Close,
            Txn::SetData(set) => Write::Set {
                key: key(&set.path)?,
                value: number(set.data.as_deref()?)?,
            },
            Txn::Create(create) => Write::Ephemeral {
                n: number(create.data.as_deref()?)?,
            },
            Txn::Delete(delete) => Write::Delete {
                key: key(&delete.path)?,
            },
            Txn::Reconfig(set) => Write::Reconfig {
                members: String::from_utf8(set.data?.into_owned()).ok()?,
            },
            _ => return None,
        })
    }

    fn txn(&self, zxid: i64, session: i64) -> Txn<'static> {
        let value = |n: u64| Some(n.to_be_bytes().to_vec().into());
        match self {
            Write::Open { timeout_ms } => Txn::CreateSession {
                timeout_ms: *timeout_ms,
            },
            Write::Close => Txn::CloseSession {
                paths: Some(Vec::new()),
            },
            Write::Set { key, value: n } => Txn::SetData(SetDataTxn {
                path: format!("/k{key}").into(),
                data: value(*n),
                version: 0,
            }),
            Write::Ephemeral { n } => Txn::Create(CreateTxn {
                path: format!("/e{session:x}-{n}").into(),
                data: value(*n),
                acl: None,
                ephemeral: true,
                parent_cversion: 0,
            }),
            Write::Delete { key } => Txn::Delete(DeleteTxn {
                path: format!("/k{key}").into(),
            }),
            Write::Refused { error } => Txn::Error { err: *error },
            Write::Reconfig { members } => Txn::Reconfig(SetDataTxn {
                path: "/zookeeper/config".into(),
                data: Some(
                    format!("{members}version={zxid:x}")
                        .trim_start_matches("version=0")
                        .as_bytes()
                        .to_vec()
                        .into(),
                ),
                version: -1,
            }),
        }
    }
}

/// The transaction that a leader makes of a write.
pub fn transaction(zxid: i64, session: i64, cxid: i32, time_ms: i64, write: &Write) -> Proposal {
    let txn = write.txn(zxid, session);
    let entry = LogEntry {
        header: TxnHeader {
            client_id: session,
            cxid,
            zxid,
            time_ms,
            kind: txn.kind(),
        },
        digest: (!matches!(txn, Txn::Error { .. })).then_some(TxnDigest {
            version: 2,
            tree_digest: zxid ^ session,
        }),
        txn,
    };
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    Proposal {
        zxid,
        bytes: bytes.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_way() {
        let writes = [
            Write::Open { timeout_ms: 4000 },
            Write::Close,
            Write::Set { key: 3, value: 9 },
            Write::Ephemeral { n: 4 },
            Write::Delete { key: 5 },
        ];
        for write in writes {
            let read = Write::read(write.op(), &write.body());
            assert_eq!(read, Some(write));
        }
    }
}
