//! Snapshots while serving: the thread that writes them, one at a time.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use zooid_node::Shared;
use zooid_node::snapshot::SnapshotTask;
use zooid_node::stats::Summary;
use zooid_store::layout::NamedFile;
use zooid_store::snapshot::Compression;
use zooid_store::{DataDirs, Files, StoreError};

/// Nodes written under one hold of the tree, so that a writer never waits for more.
const NODES_PER_HOLD: usize = 256;

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
        let mut task = SnapshotTask::begin(
            &self.shared,
            self.files.clone(),
            &self.dirs.snap_dir(),
            self.compression,
        )?;
        // Whoever serves goes first, also where there are fewer processors than threads.
        while task.step(&self.shared, NODES_PER_HOLD)? {
            std::thread::yield_now();
        }
        let count = task.node_count();
        let file = task.finish(&self.shared, self.last_zxid_section)?;
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
