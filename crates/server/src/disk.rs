//! The log thread: takes all that waits, writes it with one write, syncs it once, says so. While
//! it syncs, the next batch gathers: that is the whole of group commit.

use crate::snapshots::{SnapshotRule, Snapshots};
use crate::state::CoreInput;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use zooid_node::Append;
use zooid_store::StoreError;
use zooid_store::log::{LogBatch, LogWriter};

/// The way to the log thread.
pub struct Disk {
    jobs: Option<Sender<Vec<Append>>>,
    thread: Option<JoinHandle<()>>,
}

/// What the log thread measures.
#[derive(Debug, Default)]
pub struct DiskStats {
    /// Syncs done.
    pub syncs: AtomicU64,
    /// Time they took, microseconds.
    pub sync_us: AtomicU64,
    /// The longest of them, microseconds.
    pub longest_sync_us: AtomicU64,
    /// Transactions logged.
    pub transactions: AtomicU64,
    /// Syncs that took longer than the threshold for a warning.
    pub slow_syncs: AtomicU64,
}

/// What the log thread is told once.
pub struct DiskOptions {
    /// A sync that takes longer is warned of.
    pub slow_sync: Duration,
    /// When to take snapshots.
    pub rule: SnapshotRule,
}

impl Disk {
    /// Starts the thread.
    pub fn start(
        writer: LogWriter,
        options: DiskOptions,
        snapshots: Arc<Snapshots>,
        stats: Arc<DiskStats>,
        core: UnboundedSender<CoreInput>,
    ) -> std::io::Result<Disk> {
        let (jobs, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || {
                let mut log = LogThread {
                    writer,
                    options,
                    snapshots,
                    stats,
                };
                if let Err(error) = log.run(&inbox, &core) {
                    // Never tried again: what a failed sync leaves in the cache nobody knows.
                    let _ = core.send(CoreInput::DiskFailed(error));
                }
            })?;
        Ok(Disk {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Hands over transactions to log.
    pub fn append(&self, appends: Vec<Append>) {
        // A thread that ended has said why to the core.
        let _ = self.jobs.as_ref().expect("open until stop").send(appends);
    }

    /// Waits until all that was handed over is on disk.
    pub fn stop(mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct LogThread {
    writer: LogWriter,
    options: DiskOptions,
    snapshots: Arc<Snapshots>,
    stats: Arc<DiskStats>,
}

impl LogThread {
    fn run(
        &mut self,
        inbox: &Receiver<Vec<Append>>,
        core: &UnboundedSender<CoreInput>,
    ) -> Result<(), StoreError> {
        let mut batch = LogBatch::new(i32::MAX as usize);
        while let Ok(first) = inbox.recv() {
            batch.clear();
            let mut last_zxid = 0;
            let mut appends = Some(first);
            while let Some(more) = appends {
                for append in more {
                    batch.push(&append.payload)?;
                    last_zxid = append.zxid;
                }
                appends = if batch.is_full() {
                    None
                } else {
                    inbox.try_recv().ok()
                };
            }
            self.writer.write(&batch)?;
            self.sync()?;
            self.stats
                .transactions
                .fetch_add(batch.entries() as u64, Ordering::Relaxed);
            if core.send(CoreInput::Durable(last_zxid)).is_err() {
                return Ok(());
            }
            let padded = self.writer.padded_len();
            if self.options.rule.is_due(batch.entries() as u64, padded) {
                self.writer.roll()?;
                self.snapshots.start_in_background();
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let start = Instant::now();
        self.writer.sync()?;
        let took = start.elapsed();
        let us = took.as_micros() as u64;
        self.stats.syncs.fetch_add(1, Ordering::Relaxed);
        self.stats.sync_us.fetch_add(us, Ordering::Relaxed);
        self.stats.longest_sync_us.fetch_max(us, Ordering::Relaxed);
        if took > self.options.slow_sync {
            self.stats.slow_syncs.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                ms = took.as_millis() as u64,
                file = ?self.writer.current_file(),
                "syncing the transaction log took long: writes wait for it"
            );
        }
        Ok(())
    }
}
