//! A server in steps: what its threads do, in their order, but one operation of one of them at a
//! time.

use crate::disk::FaultyFiles;
use crate::history::History;
use crate::workload::Client;
use std::fmt;
use std::sync::Arc;
use zooid_node::log::{Log, SnapshotRule};
use zooid_node::recover::{RecoveredTree, Recovery};
use zooid_node::snapshot::SnapshotTask;
use zooid_node::{Append, Core, Now, Settings, Shared, Submit};
use zooid_store::layout::{DirLocks, NamedFile};
use zooid_store::log::{LogOptions, LogWriter};
use zooid_store::purge::{MIN_RETAIN, purge, verify};
use zooid_store::recover::{Base, RecoverOptions, Recovered, recover, remove_initialize_marker};
use zooid_store::snapshot::Compression;
use zooid_store::{DataDirs, StoreError};
use zooid_tree::TreeOptions;

/// How a server is configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its files are.
    pub dirs: DataDirs,
    /// How snapshots are compressed.
    pub compression: Compression,
    /// How logs are written.
    pub log: LogOptions,
    /// snapCount.
    pub snap_count: u64,
    /// Log bytes after which a snapshot is due.
    pub snap_size: Option<u64>,
    /// snapshot.trust.empty.
    pub trust_empty: bool,
    /// Highest byte of session ids.
    pub server_id: u8,
}

impl Default for Options {
    /// One directory `/data`, plain snapshots, and only those that are asked for.
    fn default() -> Options {
        Options {
            dirs: DataDirs::new("/data", None),
            compression: Compression::Plain,
            log: LogOptions {
                pre_alloc: 4096,
                ..LogOptions::default()
            },
            snap_count: 1_000_000,
            snap_size: None,
            trust_empty: false,
            server_id: 1,
        }
    }
}

impl Options {
    /// The settings behind the sockets.
    pub fn settings(&self) -> Settings {
        Settings {
            extended_types: true,
            server_id: self.server_id,
            container_check_interval_ms: 5000,
            ..Settings::default()
        }
    }

    /// The same, for a tree.
    pub fn tree(&self) -> TreeOptions {
        TreeOptions {
            extended_types: true,
            ..TreeOptions::default()
        }
    }
}

/// A running server.
pub struct Server {
    files: FaultyFiles,
    options: Options,
    shared: Arc<Shared>,
    core: Core,
    log: Log,
    /// Made by the core, not taken by the log.
    queued: Vec<Append>,
    stage: Stage,
    /// Synced, but the core has not heard of it.
    durable: Option<i64>,
    snapshot: Option<SnapshotTask>,
    written: Vec<NamedFile>,
    client: Client,
    counts: Counts,
    _locks: DirLocks,
}

/// What a server did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rounds of the log.
    pub batches: u64,
    /// Log files that were ended for a snapshot.
    pub rolls: u64,
    /// Snapshots that were finished.
    pub snapshots: u64,
    /// Snapshots that failed.
    pub failed_snapshots: u64,
    /// Files that purges removed.
    pub purged: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Gather,
    Sync,
    Roll,
}

/// What happens next in a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Clients ask for so many writes.
    Ask(u64),
    /// The core hears of what is durable, and hands over what it made.
    Core,
    /// The log thread does the next thing: write, sync, roll.
    Log,
    /// The snapshot thread writes about so many nodes.
    Snapshot(usize),
    /// Old files go.
    Purge,
    /// The core looks at the time.
    Tick,
}

/// What a directory gave.
pub struct Opened {
    /// How it was read.
    pub recovered: Recovered,
    /// The state.
    pub tree: RecoveredTree,
}

/// Reads a directory as a starting server does.
pub fn open(files: &FaultyFiles, options: &Options) -> Result<Opened, String> {
    let dirs = &options.dirs;
    let locks = dirs.open(files, true).map_err(|error| error.to_string())?;
    dirs.remove_unfinished(files)
        .map_err(|error| error.to_string())?;
    let opened = load(files, options);
    drop(locks);
    opened
}

fn load(files: &FaultyFiles, options: &Options) -> Result<Opened, String> {
    let recovery_options = RecoverOptions {
        max_payload: i32::MAX as usize,
        trust_empty: options.trust_empty,
        ..RecoverOptions::default()
    };
    let mut recovery = Recovery::new(&options.settings(), |_| {});
    let recovered = recover(files, &options.dirs, &recovery_options, &mut recovery)
        .map_err(|error| error.to_string())?;
    let tree = recovery.finish().map_err(|error| error.to_string())?;
    recovered
        .make_good(files, &options.dirs)
        .map_err(|error| error.to_string())?;
    Ok(Opened { recovered, tree })
}

impl Server {
    /// Starts a server, step by step as the real one does. `seed` decides what clients will ask
    /// for.
    pub fn start(
        files: FaultyFiles,
        options: &Options,
        seed: u64,
        now: Now,
    ) -> Result<Server, String> {
        let text = |error: StoreError| error.to_string();
        let dirs = &options.dirs;
        let locks = dirs.open(&files, true).map_err(text)?;
        dirs.remove_unfinished(&files).map_err(text)?;
        let Opened { recovered, tree } = load(&files, options)?;
        let shared = Arc::new(Shared::new(options.settings(), tree.tree, now));
        let writer = LogWriter::new(
            Arc::new(files.clone()),
            dirs.log_dir(),
            options.log,
            Some(recovered.last_zxid),
        );
        let rule = SnapshotRule::new(options.snap_count, options.snap_size, seed);
        let mut server = Server {
            core: Core::new(shared.clone(), now),
            log: Log::new(writer, rule),
            queued: Vec::new(),
            stage: Stage::Gather,
            durable: None,
            snapshot: None,
            written: Vec::new(),
            client: Client::new(seed),
            counts: Counts::default(),
            _locks: locks,
            files,
            options: options.clone(),
            shared,
        };
        if matches!(recovered.base, Base::New) {
            let mut task = server.begin_snapshot().map_err(text)?;
            while task.step(&server.shared, 256).map_err(text)? {}
            let file = task.finish(&server.shared, true).map_err(text)?;
            server.written.push(file);
            remove_initialize_marker(&server.files, dirs).map_err(text)?;
        } else if recovered.log.entries > 0 {
            server.snapshot = server.begin_snapshot().ok();
        }
        Ok(server)
    }

    /// Does one step. An error ends the server: the log cannot be written.
    pub fn step(&mut self, step: Step, now: Now) -> Result<(), StoreError> {
        match step {
            Step::Ask(n) => {
                for _ in 0..n {
                    let submit = self.client.next(&self.shared, now);
                    self.core.submit(submit, now);
                }
            }
            Step::Core => {
                if let Some(zxid) = self.durable.take() {
                    self.core.durable(zxid);
                }
                self.core.advance();
            }
            Step::Tick => self.core.tick(now),
            Step::Log => self.log_step()?,
            Step::Snapshot(nodes) => self.snapshot_step(nodes),
            Step::Purge => self.purge(),
        }
        Ok(())
    }

    /// Takes one request.
    pub fn submit(&mut self, submit: Submit, now: Now) {
        self.core.submit(submit, now);
    }

    /// Goes on until everything asked for is acknowledged; snapshots stand still.
    pub fn settle(&mut self, history: &mut History, now: Now) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        loop {
            self.step(Step::Core, now).map_err(text)?;
            history.note(&self.take_made())?;
            let idle = self.queued.is_empty() && self.durable.is_none();
            if idle && self.stage == Stage::Gather {
                return Ok(());
            }
            self.step(Step::Log, now).map_err(text)?;
        }
    }

    /// Begins a snapshot of the state as it is now.
    pub fn start_snapshot(&mut self) -> Result<(), String> {
        let begun = self.begin_snapshot().map_err(|error| error.to_string())?;
        self.snapshot = Some(begun);
        Ok(())
    }

    /// Whether a snapshot is being written.
    pub fn is_writing_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// What the core made since the last call; the log gets it too.
    pub fn take_made(&mut self) -> Vec<Append> {
        let made = self.core.take_appends();
        self.queued.extend(made.iter().cloned());
        made
    }

    /// Every reply up to here may have been sent.
    pub fn acknowledged(&self) -> i64 {
        self.shared.tree.read().last_processed_zxid()
    }

    /// The files.
    pub fn files(&self) -> &FaultyFiles {
        &self.files
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What all parts share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn log_step(&mut self) -> Result<(), StoreError> {
        match self.stage {
            Stage::Gather => {
                if self.queued.is_empty() {
                    return Ok(());
                }
                self.log.push(&std::mem::take(&mut self.queued))?;
                self.log.write()?;
                self.stage = Stage::Sync;
            }
            Stage::Sync => {
                let durable = self.log.sync()?;
                self.durable = durable.or(self.durable);
                self.counts.batches += 1;
                self.stage = Stage::Roll;
            }
            Stage::Roll => {
                if self.log.roll_if_due()? {
                    self.counts.rolls += 1;
                    if self.snapshot.is_none() {
                        self.snapshot = self.begin_snapshot().ok();
                    }
                }
                self.stage = Stage::Gather;
            }
        }
        Ok(())
    }

    fn begin_snapshot(&mut self) -> Result<SnapshotTask, StoreError> {
        let begun = SnapshotTask::begin(
            &self.shared,
            Arc::new(self.files.clone()),
            &self.options.dirs.snap_dir(),
            self.options.compression,
        );
        self.counts.failed_snapshots += u64::from(begun.is_err());
        begun
    }

    /// A snapshot that fails stops nothing: the log reaches back to the one before.
    fn snapshot_step(&mut self, nodes: usize) {
        let Some(mut task) = self.snapshot.take() else {
            return;
        };
        let done = match task.step(&self.shared, nodes) {
            Ok(true) => {
                self.snapshot = Some(task);
                return;
            }
            Ok(false) => task.finish(&self.shared, true),
            Err(error) => Err(error),
        };
        match done {
            Ok(file) => {
                self.written.push(file);
                self.counts.snapshots += 1;
            }
            Err(_) => self.counts.failed_snapshots += 1,
        }
    }

    fn purge(&mut self) {
        let written = &self.written;
        let purged = purge(&self.files, &self.options.dirs, MIN_RETAIN, |file| {
            let known = |known: &NamedFile| known.path == file.path && known.len == file.len;
            written.iter().any(known) || verify(&self.files, file)
        });
        if let Ok(purged) = purged {
            self.counts.purged += purged.removed.len() as u64;
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
