//! The disk of a member: one thread does what agreement asks for, in order. Transactions that wait
//! together are written and synced together; every other operation stands for itself.

use super::members::ConfigFiles;
use crate::disk::{AbortOnPanic, DiskStats};
use crate::snapshots::Snapshots;
use crate::state::CoreInput;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use zooid_node::log::Log;
use zooid_node::recover::Recovery;
use zooid_node::transfer::Incoming;
use zooid_node::{Append, Settings, Shared};
use zooid_proto::zxid;
use zooid_store::error::Context;
use zooid_store::recover::{RecoverOptions, recover};
use zooid_store::truncate::truncate;
use zooid_store::{DataDirs, Files, StoreError, epochs};
use zooid_tree::{Tree, TreeOptions};
use zooid_zab::{DiskOp, Token};

/// The way to the thread.
pub struct MemberDisk {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<DiskStats>,
}

struct Job {
    token: Token,
    work: Work,
    queued: Instant,
}

enum Work {
    Append(Append),
    AcceptedEpoch(i64),
    CurrentEpoch(i64),
    Truncate(i64),
    Install(i64, Box<Incoming<'static>>),
    Keep(i64),
    NextConfig(String),
    CommitConfig(String),
}

/// What the thread works with.
pub struct Workshop {
    /// The log.
    pub log: Log,
    /// The disk.
    pub files: Arc<dyn Files>,
    /// Where everything is.
    pub dirs: DataDirs,
    /// The state.
    pub shared: Arc<Shared>,
    /// Snapshots of it.
    pub snapshots: Arc<Snapshots>,
    /// A sync that takes longer is warned of.
    pub slow_sync: Duration,
    /// What is measured.
    pub stats: Arc<DiskStats>,
    /// The configuration files, if there are any.
    pub config: Option<ConfigFiles>,
}

impl MemberDisk {
    /// Starts the thread.
    pub fn start(
        workshop: Workshop,
        core: UnboundedSender<CoreInput>,
    ) -> std::io::Result<MemberDisk> {
        let (jobs, inbox) = channel();
        let stats = workshop.stats.clone();
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || {
                let _guard = AbortOnPanic;
                let mut worker = Worker {
                    shop: workshop,
                    core: core.clone(),
                    batch: None,
                    queued: Vec::new(),
                    taken: 0,
                };
                if let Err(error) = worker.run(&inbox) {
                    let _ = core.send(CoreInput::DiskFailed(error));
                }
            })?;
        Ok(MemberDisk {
            jobs: Some(jobs),
            thread: Some(thread),
            stats,
        })
    }

    /// Asks for an operation. `incoming` is the state that a leader sent, for its installation.
    pub fn ask(&self, token: Token, op: DiskOp, incoming: &mut Option<Incoming<'static>>) {
        let work = match op {
            DiskOp::Append(proposal) => {
                self.stats.hand_over(1);
                Work::Append(Append {
                    zxid: proposal.zxid,
                    payload: proposal.bytes,
                })
            }
            DiskOp::AcceptedEpoch(epoch) => Work::AcceptedEpoch(epoch),
            DiskOp::CurrentEpoch(epoch) => Work::CurrentEpoch(epoch),
            DiskOp::Truncate { zxid } => Work::Truncate(zxid),
            DiskOp::InstallSnapshot { zxid } => {
                let incoming = incoming.take().expect("a state came before");
                Work::Install(zxid, Box::new(incoming))
            }
            DiskOp::Keep { zxid } => Work::Keep(zxid),
            DiskOp::NextConfig(text) => Work::NextConfig(text),
            DiskOp::CommitConfig(text) => Work::CommitConfig(text),
        };
        let job = Job {
            token,
            work,
            queued: Instant::now(),
        };
        // A thread that ended has said why to the core.
        let _ = self.jobs.as_ref().expect("open until stop").send(job);
    }

    /// Waits until all that was asked for is done.
    pub fn stop(mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    shop: Workshop,
    core: UnboundedSender<CoreInput>,
    /// The last token of the transactions gathered.
    batch: Option<Token>,
    /// When they were asked for.
    queued: Vec<Instant>,
    /// Transactions taken out of the queue since the start.
    taken: u64,
}

impl Worker {
    fn run(&mut self, inbox: &Receiver<Job>) -> Result<(), StoreError> {
        let mut next = inbox.recv().ok();
        while let Some(Job {
            token,
            work,
            queued,
        }) = next.take()
        {
            if let Work::Append(append) = work {
                if self.batch.is_none() {
                    self.shop.stats.look(self.taken);
                }
                self.taken += 1;
                self.queued.push(queued);
                let waited = queued.elapsed().as_millis() as i64;
                self.shop.stats.queue_ms.add(waited);
                self.shop.log.push(std::slice::from_ref(&append))?;
                self.batch = Some(token);
                if !self.shop.log.is_full() {
                    next = inbox.try_recv().ok();
                }
                if next.is_some() {
                    continue;
                }
            } else {
                self.flush()?;
                let input = self.work(token, work)?;
                if self.core.send(input).is_err() {
                    return Ok(());
                }
            }
            self.flush()?;
            if next.is_none() {
                next = inbox.recv().ok();
            }
        }
        self.flush()
    }

    /// Makes what was gathered durable, and says so.
    fn flush(&mut self) -> Result<(), StoreError> {
        let Some(token) = self.batch.take() else {
            return Ok(());
        };
        let shop = &mut self.shop;
        let start = Instant::now();
        shop.stats.batch_size.add(shop.log.entries() as i64);
        shop.log.write()?;
        let written = Instant::now();
        shop.log.sync()?;
        let took = written.elapsed();
        shop.stats.sync_ms.add(took.as_millis() as i64);
        shop.stats.flush_ms.add(start.elapsed().as_millis() as i64);
        for queued in self.queued.drain(..) {
            let ms = queued.elapsed().as_millis() as i64;
            shop.stats.queue_and_flush_ms.add(ms);
        }
        if took > shop.slow_sync {
            tracing::warn!(
                ms = took.as_millis() as u64,
                file = ?shop.log.writer().current_file(),
                "syncing the transaction log took long: writes wait for it"
            );
        }
        let _ = self.core.send(CoreInput::Persisted(token));
        if shop.log.roll_if_due()? && shop.shared.is_running() {
            shop.snapshots.start_in_background();
        }
        Ok(())
    }

    fn work(&mut self, token: Token, work: Work) -> Result<CoreInput, StoreError> {
        let shop = &mut self.shop;
        let dir = shop.dirs.snap_dir();
        match work {
            Work::Append(_) => unreachable!("gathered by the caller"),
            Work::AcceptedEpoch(epoch) => {
                epochs::write(&*shop.files, &dir, epochs::ACCEPTED, epoch)?;
            }
            Work::CurrentEpoch(epoch) => {
                epochs::write(&*shop.files, &dir, epochs::CURRENT, epoch)?;
            }
            Work::Truncate(zxid) => {
                if !self.truncate(zxid)? {
                    return Ok(CoreInput::CannotTruncate(token));
                }
            }
            Work::Install(zxid, incoming) => self.install(zxid, *incoming)?,
            Work::Keep(zxid) => {
                self.replace_files(zxid)?;
                tracing::info!(
                    zxid = format_args!("0x{zxid:x}"),
                    "an observer that has written no log votes: its state is on the disk"
                );
            }
            Work::NextConfig(text) => {
                if let Some(config) = &shop.config {
                    config.propose(&*shop.files, &text)?;
                }
            }
            Work::CommitConfig(text) => {
                if let Some(config) = &shop.config {
                    config.commit(&*shop.files, &text)?;
                }
            }
        }
        Ok(CoreInput::Persisted(token))
    }

    /// Cuts log and snapshots behind `zxid` and builds the state anew; `false` if there is nothing
    /// to build it from, and all is empty.
    fn truncate(&mut self, zxid: i64) -> Result<bool, StoreError> {
        let shop = &mut self.shop;
        shop.log.restart_after(zxid)?;
        match truncate(&*shop.files, &shop.dirs, zxid, i32::MAX as usize) {
            Ok(_) => {}
            Err(StoreError::Truncate { what, .. }) => {
                tracing::warn!(
                    zxid = format_args!("0x{zxid:x}"),
                    "transactions cannot be taken back: {what}; all data go, and come from the leader"
                );
                remove_all(shop)?;
                shop.log.restart_after(0)?;
                shop.shared.replace_tree(empty(&shop.shared.settings));
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let mut recovery = Recovery::new(&shop.shared.settings, |_| {});
        let options = RecoverOptions {
            max_payload: i32::MAX as usize,
            ..RecoverOptions::default()
        };
        let recovered = recover(&*shop.files, &shop.dirs, &options, &mut recovery)?;
        let tree = recovery.finish().map_err(|error| StoreError::Truncate {
            zxid,
            what: error.to_string(),
        })?;
        if recovered.last_zxid != zxid {
            return Err(StoreError::Truncate {
                zxid,
                what: format!("the data end at {:#x} behind it", recovered.last_zxid),
            });
        }
        recovered.make_good(&*shop.files, &shop.dirs)?;
        shop.shared.replace_tree(tree.tree);
        Ok(true)
    }

    /// Makes the state of the leader that of this server. What was there before is of no use any
    /// more: between its log and this state transactions are missing.
    fn install(&mut self, zxid: i64, incoming: Incoming<'static>) -> Result<(), StoreError> {
        let shop = &mut self.shop;
        let start = Instant::now();
        let nodes = incoming.nodes();
        let tree = incoming.finish(zxid).map_err(|what| StoreError::Truncate {
            zxid,
            what: format!("the state that the leader sent is not whole: {what}"),
        })?;
        shop.shared.replace_tree(tree);
        self.replace_files(zxid)?;
        tracing::debug!(
            zxid = format_args!("0x{zxid:x}"),
            nodes,
            ms = start.elapsed().as_millis() as u64,
            "installed the state of the leader"
        );
        Ok(())
    }

    /// Puts a snapshot of the state in the place of all that is there; the log goes on behind `zxid`.
    fn replace_files(&mut self, zxid: i64) -> Result<(), StoreError> {
        let shop = &mut self.shop;
        let (snapshots, logs) = (
            shop.dirs.snapshots(&*shop.files)?,
            shop.dirs.logs(&*shop.files)?,
        );
        let taken = shop.snapshots.take()?;
        shop.log.restart_after(zxid)?;
        for old in logs
            .iter()
            .chain(snapshots.iter().filter(|old| old.path != taken.path))
        {
            shop.files.remove(&old.path).on("remove", &old.path)?;
        }
        for dir in [shop.dirs.log_dir(), shop.dirs.snap_dir()] {
            shop.files.sync_dir(&dir).on("sync directory", &dir)?;
        }
        Ok(())
    }
}

fn remove_all(shop: &Workshop) -> Result<(), StoreError> {
    // Snapshots last: without its log a snapshot is a state, a log without its snapshot is none.
    for old in shop.dirs.logs(&*shop.files)?.iter().rev() {
        shop.files.remove(&old.path).on("remove", &old.path)?;
    }
    for old in shop.dirs.snapshots(&*shop.files)? {
        shop.files.remove(&old.path).on("remove", &old.path)?;
    }
    for dir in [shop.dirs.log_dir(), shop.dirs.snap_dir()] {
        shop.files.sync_dir(&dir).on("sync directory", &dir)?;
    }
    Ok(())
}

fn empty(settings: &Settings) -> Tree {
    Tree::new(TreeOptions {
        digest_enabled: settings.digest,
        extended_types: settings.extended_types,
        emulate353: settings.emulate353,
    })
}

/// The two epochs at the start of a member whose data end at `last_zxid`.
///
/// A crash between the state of a leader's epoch and the file that says so leaves the file behind
/// (ZOOKEEPER-2354, where Java refuses to start). The data then count as those of the older epoch,
/// which is safe: whoever holds them by right is preferred in every election.
pub fn load_epochs(
    files: &dyn Files,
    dirs: &DataDirs,
    last_zxid: i64,
) -> Result<epochs::Epochs, StoreError> {
    let dir = dirs.snap_dir();
    let current = epochs::read(files, &dir, epochs::CURRENT)?;
    let accepted = epochs::read(files, &dir, epochs::ACCEPTED)?;
    if let (Some(current), Some(accepted)) = (current, accepted)
        && current < zxid::epoch(last_zxid)
        && zxid::epoch(last_zxid) <= accepted
    {
        return Ok(epochs::Epochs { current, accepted });
    }
    epochs::load(files, &dir, last_zxid.max(0))
}
