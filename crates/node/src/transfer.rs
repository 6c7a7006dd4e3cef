//! A whole state on its way from a leader to a learner (SNAP): the body of a snapshot file without
//! its header and its sums.

use crate::recover::Recovery;
use crate::settings::Settings;
use crate::shared::Shared;
use zooid_proto::quorum::{Limits, SnapshotDecoder, SnapshotEncoder, SnapshotItem, Touch};
use zooid_store::recover::Restore;
use zooid_store::snapshot::{SnapshotMeta, SnapshotNode, SnapshotSink};
use zooid_tree::{Tree, Walk};

/// The state of a server as it was at one moment, sent in steps.
pub struct Outgoing {
    walk: Walk,
    generation: u64,
    started: bool,
    ended: bool,
}

impl Outgoing {
    /// The state as it is now.
    pub fn begin(shared: &Shared) -> Outgoing {
        let tree = shared.tree.read();
        Outgoing {
            walk: tree.begin_walk(),
            generation: shared.generation(),
            started: false,
            ended: false,
        }
    }

    /// The last transaction that is in it.
    pub fn zxid(&self) -> i64 {
        self.walk.zxid
    }

    /// Number of nodes in all.
    pub fn node_count(&self) -> usize {
        self.walk.node_count
    }

    /// Appends the next part, about `nodes` nodes; `false` when nothing was left.
    ///
    /// # Errors
    /// When another tree has taken the place of this one: the connection is of no use any more.
    pub fn step(
        &mut self,
        shared: &Shared,
        nodes: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Superseded> {
        if !self.started {
            self.started = true;
            self.head(out);
            return Ok(true);
        }
        if self.ended {
            return Ok(false);
        }
        let tree = shared.tree.read();
        if shared.generation() != self.generation {
            return Err(Superseded);
        }
        if !tree.walk_step(&mut self.walk, nodes, out) {
            self.ended = true;
            SnapshotEncoder.end(out);
        }
        Ok(true)
    }

    /// Sessions and ACLs.
    fn head(&self, out: &mut Vec<u8>) {
        SnapshotEncoder.sessions(self.walk.sessions.len(), out);
        for &(session_id, timeout_ms) in &self.walk.sessions {
            let session = Touch {
                session_id,
                timeout_ms,
            };
            SnapshotEncoder.session(session, out);
        }
        SnapshotEncoder.acls(self.walk.acls.len(), out);
        for (id, list) in &self.walk.acls {
            SnapshotEncoder.acl(*id, list, out);
        }
    }
}

/// The tree was replaced while it was being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superseded;

/// The state of another server on its way in.
pub struct Incoming<'p> {
    decoder: SnapshotDecoder,
    recovery: Recovery<'p>,
    nodes: u64,
    ended: bool,
}

impl<'p> Incoming<'p> {
    /// Nothing yet.
    pub fn new(settings: &Settings) -> Incoming<'p> {
        let mut recovery = Recovery::new(settings, |_| {});
        recovery.begin();
        Incoming {
            // The peer has looked at the lengths before it passed them on.
            decoder: SnapshotDecoder::new(Limits {
                field: i32::MAX as usize,
            }),
            recovery,
            nodes: 0,
            ended: false,
        }
    }

    /// Takes the next part, cut anywhere.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.decoder.push(bytes);
        while let Some(item) = self
            .decoder
            .next_item()
            .map_err(|error| error.to_string())?
        {
            match item {
                SnapshotItem::Session(Touch {
                    session_id,
                    timeout_ms,
                }) => self.recovery.session(session_id, timeout_ms)?,
                SnapshotItem::Acl { id, acl } => self.recovery.acl(id, &acl)?,
                SnapshotItem::Node(node) => {
                    self.nodes += 1;
                    self.recovery.node(&SnapshotNode {
                        path: node.path,
                        data: node.data.as_deref(),
                        acl_id: node.acl_id,
                        stat: node.stat,
                    })?;
                }
                SnapshotItem::End => self.ended = true,
            }
        }
        Ok(())
    }

    /// Nodes that have come.
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// The tree as it was behind `zxid`.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn finish(mut self, zxid: i64) -> Result<Tree, String> {
        if !self.ended {
            return Err(format!("the state ends behind {} nodes", self.nodes));
        }
        if self.decoder.buffered() > 0 {
            let more = self.decoder.buffered();
            return Err(format!("{more} bytes follow the end"));
        }
        self.recovery.end_snapshot(zxid, &SnapshotMeta::default())?;
        Ok(self.recovery.into_tree())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Now;
    use zooid_proto::txn::{CreateTxn, Txn, TxnHeader};
    use zooid_tree::TreeOptions;

    fn tree() -> Tree {
        let mut tree = Tree::new(TreeOptions::default());
        for n in 0..100 {
            let txn = Txn::Create(CreateTxn {
                path: format!("/node-{n}").into(),
                data: Some(vec![n as u8; n * 7].into()),
                acl: None,
                ephemeral: false,
                parent_cversion: n as i32 + 1,
            });
            let header = TxnHeader {
                client_id: 7,
                cxid: n as i32,
                zxid: n as i64 + 1,
                time_ms: 1,
                kind: txn.kind(),
            };
            tree.apply(&header, &txn, &mut ());
        }
        tree
    }

    #[test]
    fn what_arrives_is_what_was_sent_however_it_is_cut() {
        let shared = Shared::new(Settings::default(), tree(), Now::default());
        let (digest, count) = {
            let tree = shared.tree.read();
            (tree.digest(), tree.len())
        };
        let mut outgoing = Outgoing::begin(&shared);
        let mut bytes = Vec::new();
        while outgoing.step(&shared, 3, &mut bytes).unwrap() {}
        for cut in [1, 3, 64, 1000, usize::MAX] {
            let mut incoming = Incoming::new(&Settings::default());
            for part in bytes.chunks(cut.min(bytes.len())) {
                incoming.take(part).unwrap();
            }
            let tree = incoming.finish(outgoing.zxid()).unwrap();
            assert_eq!((tree.digest(), tree.len()), (digest, count), "cut at {cut}");
            assert_eq!(tree.last_processed_zxid(), 100);
        }
        let mut incoming = Incoming::new(&Settings::default());
        incoming.take(&bytes[..bytes.len() - 1]).unwrap();
        assert!(incoming.finish(100).is_err());
    }
}
