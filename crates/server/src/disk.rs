//! The log thread: takes all that waits, writes it with one write, syncs it once, says so. While
//! it syncs, the next batch gathers: that is the whole of group commit.

use crate::snapshots::Snapshots;
use crate::state::CoreInput;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use zooid_node::Append;
use zooid_node::log::Log;
use zooid_node::stats::Summary;
use zooid_store::StoreError;

/// The way to the log thread.
pub struct Disk {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<DiskStats>,
}

/// A log thread that panicked answers nobody any more: a server that seems to live is worse than one
/// that ends.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

struct Job {
    appends: Vec<Append>,
    queued: Instant,
}

/// What the log thread measures. Times are in whole ms, as Java has them.
#[derive(Debug, Default)]
pub struct DiskStats {
    /// Transactions handed over since the start.
    queued: AtomicU64,
    /// The same since the last reset.
    pub transactions: AtomicU64,
    /// Transactions that waited when the thread looked for work.
    pub queue_size: Summary,
    /// Transactions of each sync.
    pub batch_size: Summary,
    /// How long each transaction waited for the thread.
    pub queue_ms: Summary,
    /// How long each transaction took from being handed over to being safe.
    pub queue_and_flush_ms: Summary,
    /// Writes with their syncs.
    pub flush_ms: Summary,
    /// Syncs alone.
    pub sync_ms: Summary,
}

impl DiskStats {
    /// Notes transactions that are handed over.
    pub(crate) fn hand_over(&self, count: u64) {
        self.queued.fetch_add(count, Ordering::Relaxed);
        self.transactions.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes how many of them wait, `taken` having been taken so far.
    pub(crate) fn look(&self, taken: u64) {
        let waiting = self.queued.load(Ordering::Relaxed) - taken;
        self.queue_size.add(waiting as i64);
    }

    /// Starts from zero again.
    pub fn reset(&self) {
        self.transactions.store(0, Ordering::Relaxed);
        for summary in [
            &self.queue_size,
            &self.batch_size,
            &self.queue_ms,
            &self.queue_and_flush_ms,
            &self.flush_ms,
            &self.sync_ms,
        ] {
            summary.reset();
        }
    }
}

impl Disk {
    /// Starts the thread. A sync that takes longer than `slow_sync` is warned of.
    pub fn start(
        log: Log,
        slow_sync: Duration,
        snapshots: Arc<Snapshots>,
        stats: Arc<DiskStats>,
        core: UnboundedSender<CoreInput>,
    ) -> std::io::Result<Disk> {
        let (jobs, inbox) = channel();
        let thread_stats = stats.clone();
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || {
                let _guard = AbortOnPanic;
                let mut log = LogThread {
                    log,
                    slow_sync,
                    snapshots,
                    stats: thread_stats,
                    taken: 0,
                };
                if let Err(error) = log.run(&inbox, &core) {
                    // Never tried again: what a failed sync leaves in the cache nobody knows.
                    let _ = core.send(CoreInput::DiskFailed(error));
                }
            })?;
        Ok(Disk {
            jobs: Some(jobs),
            thread: Some(thread),
            stats,
        })
    }

    /// Hands over transactions to log.
    pub fn append(&self, appends: Vec<Append>) {
        self.stats.hand_over(appends.len() as u64);
        let job = Job {
            appends,
            queued: Instant::now(),
        };
        // A thread that ended has said why to the core.
        let _ = self.jobs.as_ref().expect("open until stop").send(job);
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
    log: Log,
    slow_sync: Duration,
    snapshots: Arc<Snapshots>,
    stats: Arc<DiskStats>,
    /// Transactions taken out of the queue since the start.
    taken: u64,
}

impl LogThread {
    fn run(
        &mut self,
        inbox: &Receiver<Job>,
        core: &UnboundedSender<CoreInput>,
    ) -> Result<(), StoreError> {
        let mut jobs = Vec::new();
        while let Ok(first) = inbox.recv() {
            jobs.clear();
            self.stats.look(self.taken);
            let mut job = Some(first);
            while let Some(Job { appends, queued }) = job {
                jobs.push((queued, appends.len() as u64));
                self.stats
                    .queue_ms
                    .add_many(ms(queued.elapsed()), appends.len() as u64);
                self.log.push(&appends)?;
                job = if self.log.is_full() {
                    None
                } else {
                    inbox.try_recv().ok()
                };
            }
            let entries = self.log.entries();
            self.taken += entries as u64;
            self.stats.batch_size.add(entries as i64);
            let start = Instant::now();
            self.log.write()?;
            let durable = self.sync()?;
            let end = Instant::now();
            if let Some(zxid) = durable
                && core.send(CoreInput::Durable(zxid)).is_err()
            {
                return Ok(());
            }
            self.stats.flush_ms.add(ms(end - start));
            for &(queued, count) in &jobs {
                self.stats
                    .queue_and_flush_ms
                    .add_many(ms(end - queued), count);
            }
            if self.log.roll_if_due()? {
                self.snapshots.start_in_background();
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<Option<i64>, StoreError> {
        let start = Instant::now();
        let durable = self.log.sync()?;
        let took = start.elapsed();
        self.stats.sync_ms.add(ms(took));
        if took > self.slow_sync {
            tracing::warn!(
                ms = took.as_millis() as u64,
                file = ?self.log.writer().current_file(),
                "syncing the transaction log took long: writes wait for it"
            );
        }
        Ok(durable)
    }
}

fn ms(took: Duration) -> i64 {
    took.as_millis() as i64
}
