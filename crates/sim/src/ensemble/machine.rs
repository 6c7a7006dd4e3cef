//! The state that transactions make: sessions and a handful of nodes, beside the name of the
//! history that led there. It travels in the form of the SNAP stream.

use std::collections::BTreeMap;

use zooid_proto::jute::{Reader, Writer};
use zooid_proto::quorum::SnapshotEncoder;
use zooid_proto::txn::{LogEntry, Txn};
use zooid_zab::Proposal;

use super::history::{Chain, EMPTY, Histories, digest};
use crate::dice::hash;

/// One node of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    data: Vec<u8>,
    czxid: i64,
    mzxid: i64,
    version: i32,
    owner: i64,
}

/// A state machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// The last transaction that was applied.
    pub zxid: i64,
    /// All that were applied.
    pub chain: Chain,
    /// Timeouts of sessions, ms.
    pub sessions: BTreeMap<i64, i32>,
    nodes: BTreeMap<String, Node>,
}

/// Who asked for a transaction: session, xid and kind.
pub type Origin = (i64, i32, i32);

const CHAIN_NODE: &str = "/history";
const FILLER_NODE: &str = "/filler";

impl Machine {
    /// Applies a transaction and tells whose it was.
    pub fn apply(&mut self, txn: &Proposal, histories: &mut Histories) -> Result<Origin, String> {
        let entry = LogEntry::decode(&txn.bytes)
            .map_err(|error| format!("transaction {:x} cannot be read: {error}", txn.zxid))?;
        let header = entry.header;
        if header.zxid != txn.zxid {
            return Err(format!("{:x} holds {:x}", txn.zxid, header.zxid));
        }
        self.change(txn.zxid, header.client_id, &entry.txn);
        self.zxid = txn.zxid;
        self.chain = histories.extend(self.chain, txn);
        Ok((header.client_id, header.cxid, header.kind))
    }

    fn change(&mut self, zxid: i64, session: i64, txn: &Txn<'_>) {
        match txn {
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(session, *timeout_ms);
            }
            Txn::CloseSession { .. } => {
                self.sessions.remove(&session);
                self.nodes.retain(|_, node| node.owner != session);
            }
            Txn::Create(create) => {
                let node = Node {
                    data: create.data.as_deref().unwrap_or_default().to_vec(),
                    czxid: zxid,
                    mzxid: zxid,
                    version: 0,
                    owner: if create.ephemeral { session } else { 0 },
                };
                self.nodes.insert(create.path.to_string(), node);
            }
            Txn::SetData(set) => {
                let node = self.nodes.entry(set.path.to_string()).or_insert(Node {
                    data: Vec::new(),
                    czxid: zxid,
                    mzxid: zxid,
                    version: -1,
                    owner: 0,
                });
                node.data = set.data.as_deref().unwrap_or_default().to_vec();
                node.mzxid = zxid;
                node.version += 1;
            }
            Txn::Delete(delete) => {
                self.nodes.remove(&*delete.path);
            }
            _ => {}
        }
    }

    /// A sum over all that is there.
    pub fn sum(&self) -> u64 {
        let mut sum = self.chain;
        for (id, timeout) in &self.sessions {
            sum = hash(sum, *id as u64, *timeout as u64);
        }
        for (path, node) in &self.nodes {
            let place = hash(node.czxid as u64, node.mzxid as u64, node.owner as u64);
            sum = hash(
                sum ^ digest(path.as_bytes()),
                digest(&node.data),
                place ^ node.version as u64,
            );
        }
        sum
    }

    /// The state as a SNAP stream; `filler` bytes make it longer.
    pub fn write(&self, filler: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let to = &mut Writer::wire(&mut out);
        to.i32(self.sessions.len() as i32);
        for (id, timeout) in &self.sessions {
            to.i64(*id);
            to.i32(*timeout);
        }
        // One ACL, so that streams with a table are seen, too.
        to.i32(1);
        to.i64(1);
        to.i32(1);
        to.i32(31);
        to.str(Some("world"));
        to.str(Some("anyone"));
        let root = Node {
            data: Vec::new(),
            czxid: 0,
            mzxid: 0,
            version: 0,
            owner: 0,
        };
        write_node(to, "", &root);
        let mut history = self.zxid.to_be_bytes().to_vec();
        history.extend(self.chain.to_be_bytes());
        let history = Node {
            data: history,
            ..root.clone()
        };
        write_node(to, CHAIN_NODE, &history);
        let filler = Node {
            data: vec![0; filler],
            ..root
        };
        write_node(to, FILLER_NODE, &filler);
        for (path, node) in &self.nodes {
            write_node(to, path, node);
        }
        SnapshotEncoder.end(&mut out);
        out
    }

    /// Reads what [`Machine::write`] wrote.
    pub fn read(bytes: &[u8]) -> Result<Machine, String> {
        let from = &mut Reader::new(bytes);
        let machine = read(from).map_err(|error| format!("snapshot: {error}"))?;
        if from.remaining() > 0 {
            return Err(format!("snapshot: {} bytes too many", from.remaining()));
        }
        Ok(machine)
    }

    /// What a state that broke off would leave of this one: a mixture.
    pub fn mix_with(&mut self, bytes: &[u8]) {
        let mut part = Machine::default();
        // It ends anywhere.
        let _ = read_into(&mut part, &mut Reader::new(bytes));
        (self.sessions, self.nodes) = (part.sessions, part.nodes);
    }

    /// Whether nothing was ever applied.
    pub fn is_empty(&self) -> bool {
        self.chain == EMPTY
    }
}

fn write_node(to: &mut Writer<'_>, path: &str, node: &Node) {
    to.str(Some(path));
    to.buf(Some(&node.data));
    to.i64(if path.is_empty() { -1 } else { 1 });
    to.i64(node.czxid);
    to.i64(node.mzxid);
    to.i64(0);
    to.i64(0);
    to.i32(node.version);
    to.i32(0);
    to.i32(0);
    to.i64(node.owner);
    to.i64(node.czxid);
}

fn read(from: &mut Reader<'_>) -> Result<Machine, zooid_proto::jute::JuteError> {
    let mut machine = Machine::default();
    read_into(&mut machine, from)?;
    Ok(machine)
}

fn read_into(
    machine: &mut Machine,
    from: &mut Reader<'_>,
) -> Result<(), zooid_proto::jute::JuteError> {
    for _ in 0..from.i32()? {
        let id = from.i64()?;
        machine.sessions.insert(id, from.i32()?);
    }
    for _ in 0..from.i32()? {
        from.i64()?;
        for _ in 0..from.i32()? {
            from.i32()?;
            from.str()?;
            from.str()?;
        }
    }
    loop {
        let path = from.str()?.unwrap_or_default().into_owned();
        if path == "/" {
            // The peer has looked at the signature.
            from.str()?;
            return Ok(());
        }
        let data = from.buf()?.unwrap_or_default().into_owned();
        from.i64()?;
        let (czxid, mzxid) = (from.i64()?, from.i64()?);
        from.take(16)?;
        let version = from.i32()?;
        from.take(8)?;
        let owner = from.i64()?;
        from.i64()?;
        if path == CHAIN_NODE && data.len() == 16 {
            machine.zxid = i64::from_be_bytes(data[..8].try_into().expect("eight bytes"));
            machine.chain = Chain::from_be_bytes(data[8..].try_into().expect("eight bytes"));
        } else if !path.is_empty() && path != FILLER_NODE {
            let node = Node {
                data,
                czxid,
                mzxid,
                version,
                owner,
            };
            machine.nodes.insert(path, node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::request::{Write, transaction};

    #[test]
    fn a_state_survives_the_way() {
        let mut histories = Histories::default();
        let mut machine = Machine::default();
        let writes = [
            Write::Open { timeout_ms: 4000 },
            Write::Set { key: 1, value: 7 },
            Write::Ephemeral { n: 2 },
        ];
        for (n, write) in writes.iter().enumerate() {
            let txn = transaction(n as i64 + 1, 77, n as i32, 5, write);
            machine.apply(&txn, &mut histories).unwrap();
        }
        let read = Machine::read(&machine.write(100)).unwrap();
        assert_eq!(read, machine);
        assert_eq!(read.sum(), machine.sum());
        let close = transaction(9, 77, 9, 5, &Write::Close);
        machine.apply(&close, &mut histories).unwrap();
        assert_ne!(read.sum(), machine.sum());
        assert!(machine.sessions.is_empty() && machine.nodes.len() == 1);
    }
}
