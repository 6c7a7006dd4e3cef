//! Snapshots while serving: when one is due, and the thread that writes it.

use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use zooid_node::Shared;
use zooid_node::stats::Summary;
use zooid_proto::records::Acl;
use zooid_store::layout::NamedFile;
use zooid_store::snapshot::{Compression, SnapshotDigest, SnapshotWriter};
use zooid_store::{DataDirs, Files, StoreError};
use zooid_tree::DIGEST_VERSION;

/// Nodes written under one hold of the tree, so that a writer never waits for more.
const NODES_PER_HOLD: usize = 256;

/// When to take a snapshot: after a number of transactions or bytes of log that is drawn anew each
/// time between half and all of the limit, so that the servers of an ensemble do not do it at
/// once (`SyncRequestProcessor.shouldSnapshot` in Java).
#[derive(Debug)]
pub struct SnapshotRule {
    snap_count: u64,
    size_limit_bytes: Option<u64>,
    transactions: u64,
    random_count: u64,
    random_size: u64,
}

impl SnapshotRule {
    /// A rule for limits of transactions and of log bytes.
    pub fn new(snap_count: u64, size_limit_bytes: Option<u64>) -> SnapshotRule {
        let mut rule = SnapshotRule {
            snap_count,
            size_limit_bytes,
            transactions: 0,
            random_count: 0,
            random_size: 0,
        };
        rule.draw();
        rule
    }

    fn draw(&mut self) {
        let random = RandomState::new();
        self.random_count = random.hash_one(0) % (self.snap_count / 2).max(1);
        let half = self.size_limit_bytes.unwrap_or(0) / 2;
        self.random_size = random.hash_one(1) % half.max(1);
    }

    /// Counts transactions that were logged, and says whether a snapshot is due.
    pub fn is_due(&mut self, transactions: u64, log_bytes: u64) -> bool {
        self.transactions += transactions;
        let by_count = self.transactions > self.snap_count / 2 + self.random_count;
        let by_size = self
            .size_limit_bytes
            .is_some_and(|limit| log_bytes > limit / 2 + self.random_size);
        if by_count || by_size {
            self.transactions = 0;
            self.draw();
        }
        by_count || by_size
    }
}

/// Takes snapshots of one server, one at a time.
pub struct Snapshots {
    shared: Arc<Shared>,
    files: Arc<dyn Files>,
    dirs: DataDirs,
    compression: Compression,
    /// Whether the last-zxid section is written.
    last_zxid_section: bool,
    running: AtomicBool,
    /// Snapshots written by this process: they are known to be good.
    written: Mutex<Vec<NamedFile>>,
    /// How long each one took, ms.
    pub time_ms: Summary,
}

impl Snapshots {
    /// Snapshots of `shared` into `dirs`.
    pub fn new(
        shared: Arc<Shared>,
        files: Arc<dyn Files>,
        dirs: DataDirs,
        compression: Compression,
        last_zxid_section: bool,
    ) -> Snapshots {
        Snapshots {
            shared,
            files,
            dirs,
            compression,
            last_zxid_section,
            running: AtomicBool::new(false),
            written: Mutex::default(),
            time_ms: Summary::default(),
        }
    }

    /// Whether this process wrote the file.
    pub fn is_known_good(&self, file: &NamedFile) -> bool {
        self.written
            .lock()
            .iter()
            .any(|known| known.path == file.path && known.len == file.len)
    }

    /// Starts a thread that takes a snapshot, unless one is running.
    pub fn start_in_background(self: &Arc<Self>) {
        if self.running.swap(true, Ordering::AcqRel) {
            tracing::warn!("a snapshot is due while one is being written; it is left out");
            return;
        }
        let this = self.clone();
        let started = std::thread::Builder::new()
            .name("snapshot".into())
            .spawn(move || {
                if let Err(error) = this.take() {
                    // The log goes on and reaches back to the snapshot before.
                    tracing::error!(%error, "the snapshot could not be written");
                }
                this.running.store(false, Ordering::Release);
            });
        if let Err(error) = started {
            self.running.store(false, Ordering::Release);
            tracing::error!(%error, "no thread for a snapshot");
        }
    }

    /// Takes a snapshot of the tree as it is now, while it is being changed.
    pub fn take(&self) -> Result<NamedFile, StoreError> {
        let start = Instant::now();
        let mut walk = self.shared.tree.read().begin_walk();
        let sessions = walk.sessions.clone();
        let acls: Vec<(i64, &[Acl<'_>])> =
            walk.acls.iter().map(|(id, list)| (*id, &**list)).collect();
        let mut writer = SnapshotWriter::create(
            self.files.clone(),
            &self.dirs.snap_dir(),
            walk.zxid,
            self.compression,
            sessions.into_iter(),
            acls.into_iter(),
        )?;
        let mut nodes = Vec::new();
        loop {
            nodes.clear();
            let more = self
                .shared
                .tree
                .read()
                .walk_step(&mut walk, NODES_PER_HOLD, &mut nodes);
            writer.nodes(&nodes)?;
            if !more {
                break;
            }
        }
        // Without a transaction there is no digest to speak of: Java writes zeros.
        let digest = self.shared.settings.digest.then_some(SnapshotDigest {
            zxid: walk.zxid,
            version: DIGEST_VERSION,
            value: if walk.zxid == 0 { 0 } else { walk.digest },
        });
        let last_zxid = self.last_zxid_section.then_some(walk.zxid);
        let count = walk.node_count;
        drop(walk);
        let file = writer.finish(digest, last_zxid)?;
        let ms = start.elapsed().as_millis() as u64;
        self.time_ms.add(ms as i64);
        tracing::info!(
            file = %file.path.display(),
            nodes = count,
            bytes = file.len,
            ms,
            "snapshot written"
        );
        self.written.lock().push(file.clone());
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_between_half_and_all_of_the_count() {
        for _ in 0..100 {
            let mut rule = SnapshotRule::new(100, None);
            let at = (1..).find(|_| rule.is_due(1, 0)).unwrap();
            assert!((51..=100).contains(&at), "{at}");
        }
    }

    #[test]
    fn a_snapshot_is_due_by_size() {
        let mut rule = SnapshotRule::new(u64::MAX, Some(1000));
        assert!(!rule.is_due(1, 500));
        assert!(rule.is_due(1, 1000));
    }
}
