//! R1: two configurations never have the same version, and what is in force only gets newer.

use std::collections::BTreeMap;

use zooid_proto::members::Membership;
use zooid_proto::txn::{LogEntry, Txn, TxnHeader, kind};
use zooid_proto::{Jute, jute::Reader};
use zooid_zab::Proposal;

/// All configurations that were ever in force.
#[derive(Debug, Default)]
pub struct Configurations {
    texts: BTreeMap<i64, String>,
    in_force: BTreeMap<usize, i64>,
    read: BTreeMap<String, Membership>,
}

impl Configurations {
    /// A server starts with what is on its disk.
    pub fn starts(&mut self, server: usize) {
        self.in_force.remove(&server);
    }

    /// The newest that anybody has put in force.
    pub fn newest(&self) -> Option<&str> {
        self.texts.last_key_value().map(|(_, text)| text.as_str())
    }

    /// The configurations of which a quorum each must hold a transaction before it is committed.
    pub fn needed(&mut self, in_force: &str, txn: &Proposal) -> Vec<Membership> {
        let mut texts = vec![in_force.to_owned()];
        let header = TxnHeader::read(&mut Reader::new(&txn.bytes));
        if header.is_ok_and(|header| header.kind == kind::RECONFIG)
            && let Ok(LogEntry {
                txn: Txn::Reconfig(set),
                ..
            }) = LogEntry::decode(&txn.bytes)
        {
            texts.extend(
                set.data
                    .map(|data| String::from_utf8_lossy(&data).into_owned()),
            );
        }
        texts.iter().map(|text| self.read(text)).collect()
    }

    /// The members of a text.
    pub fn read(&mut self, text: &str) -> Membership {
        if !self.read.contains_key(text) {
            let members = Membership::parse(text, true).unwrap_or_default();
            self.read.insert(text.to_owned(), members);
        }
        self.read[text].clone()
    }

    /// A server says that a configuration is in force.
    pub fn in_force(&mut self, server: usize, text: &str) -> Result<Membership, String> {
        let members = Membership::parse(text, true)
            .map_err(|error| format!("R1: a configuration that cannot be read: {error}"))?;
        let version = members.version;
        if version == 0 {
            // From a file, which an operator may have edited.
            return Ok(members);
        }
        let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.sort_unstable();
        let lines = lines.join("\n");
        let known = self.texts.entry(version).or_insert_with(|| lines.clone());
        if *known != lines {
            return Err(format!("R1: version {version:x} is\n{known}\nand\n{lines}"));
        }
        let newest = self.in_force.entry(server).or_insert(version);
        if *newest > version {
            return Err(format!(
                "D6: server {} goes from configuration {newest:x} to {version:x}",
                server + 1
            ));
        }
        *newest = version;
        Ok(members)
    }
}
