//! One snapshot of the tree in steps, between which the tree changes.

use crate::shared::Shared;
use std::path::Path;
use std::sync::Arc;
use zooid_proto::records::Acl;
use zooid_store::layout::NamedFile;
use zooid_store::snapshot::{Compression, SnapshotDigest, SnapshotWriter};
use zooid_store::{Files, StoreError};
use zooid_tree::{DIGEST_VERSION, Walk};

/// A snapshot that is being written. It holds the tree as it was at the beginning. Dropped before
/// [`SnapshotTask::finish`], it leaves no file.
pub struct SnapshotTask {
    walk: Walk,
    generation: u64,
    writer: SnapshotWriter,
    nodes: Vec<u8>,
}

impl SnapshotTask {
    /// Begins a snapshot of the tree as it is now, in the directory `dir`.
    pub fn begin(
        shared: &Shared,
        files: Arc<dyn Files>,
        dir: &Path,
        compression: Compression,
    ) -> Result<SnapshotTask, StoreError> {
        let (walk, generation) = {
            let tree = shared.tree.read();
            (tree.begin_walk(), shared.generation())
        };
        let sessions = walk.sessions.clone();
        let acls: Vec<(i64, &[Acl<'_>])> =
            walk.acls.iter().map(|(id, list)| (*id, &**list)).collect();
        let writer = SnapshotWriter::create(
            files,
            dir,
            walk.zxid,
            compression,
            sessions.into_iter(),
            acls.into_iter(),
        )?;
        Ok(SnapshotTask {
            walk,
            generation,
            writer,
            nodes: Vec::new(),
        })
    }

    /// Writes about `nodes` more nodes, holding the tree as long as it takes to copy them; `false`
    /// when there is none left.
    pub fn step(&mut self, shared: &Shared, nodes: usize) -> Result<bool, StoreError> {
        self.nodes.clear();
        let tree = shared.tree.read();
        if shared.generation() != self.generation {
            return Err(StoreError::Superseded);
        }
        let more = tree.walk_step(&mut self.walk, nodes, &mut self.nodes);
        drop(tree);
        self.writer.nodes(&self.nodes)?;
        Ok(more)
    }

    /// Number of nodes in all.
    pub fn node_count(&self) -> usize {
        self.walk.node_count
    }

    /// Writes the end, makes the file durable and gives it its name. `last_zxid_section`: whether
    /// the section with the last zxid is written (`serializeLastProcessedZxid.enabled`).
    pub fn finish(self, shared: &Shared, last_zxid_section: bool) -> Result<NamedFile, StoreError> {
        let walk = self.walk;
        // Without a transaction there is no digest to speak of: Java writes zeros.
        let digest = shared.settings.digest.then_some(SnapshotDigest {
            zxid: walk.zxid,
            version: DIGEST_VERSION,
            value: if walk.zxid == 0 { 0 } else { walk.digest },
        });
        let last_zxid = last_zxid_section.then_some(walk.zxid);
        drop(walk);
        self.writer.finish(digest, last_zxid)
    }
}
