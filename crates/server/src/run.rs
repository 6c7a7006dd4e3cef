//! A standalone server from its configuration to its end.

use crate::clock::Clock;
use crate::descriptors;
use crate::disk::{Disk, DiskStats};
use crate::ensemble::disk::{MemberDisk, Workshop, load_epochs};
use crate::ensemble::members::{ConfigFiles, Ports};
use crate::ensemble::net::Net;
use crate::ensemble::{self, Runner};
use crate::net::clients;
use crate::purge;
use crate::settings;
use crate::snapshots::Snapshots;
use crate::space;
use crate::state::{CoreInput, Server};
use parking_lot::RwLock;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zooid_config::{ClientAddress, Compression, Config};
use zooid_node::log::{Log, SnapshotRule};
use zooid_node::member::Member;
use zooid_node::recover::{RecoveredTree, Recovery, RecoveryError, Stage};
use zooid_node::{Core, Settings, Shared};
use zooid_store::layout::DirLocks;
use zooid_store::log::{LogOptions, LogWriter};
use zooid_store::recover::{
    Base, Progress, RecoverOptions, Recovered, recover, remove_initialize_marker,
};
use zooid_store::{DataDirs, Files, OsFiles, StoreError, epochs};

/// Inputs that the core takes before it looks at the time and hands transactions to the disk.
const INPUTS_PER_TURN: usize = 1024;

/// Recovery speaks up when it takes longer than this, and again each time.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Hours between two purges when the configuration does not say.
const DEFAULT_PURGE_HOURS: u32 = 1;

/// How long a stop waits for connections to take over their last replies.
const LAST_REPLIES: Duration = Duration::from_millis(250);

/// How long a stop waits for what is under way.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Why a server did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directories cannot be used.
    #[error("{0}")]
    Directories(#[source] StoreError),
    /// The data cannot be trusted or read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What was recovered cannot be trusted.
    #[error("{source}; `zooid verify {dir}` reads all of the directory and says what is whole", dir = .dir.display())]
    Data {
        /// The data directory.
        dir: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// A disk is full.
    #[error("{source}: {why}")]
    DiskFull {
        /// Which, and what helps.
        why: String,
        /// What failed.
        source: Box<StartError>,
    },
    /// The data are whole, but not to be served like this.
    #[error("{dir}: {source}; `zooid verify {dir}` reads all of the directory", dir = .dir.display())]
    Recovery {
        /// The data directory.
        dir: PathBuf,
        /// Why not.
        source: RecoveryError,
    },
    /// The client port is not to be had.
    #[error("cannot listen on {address}: {source}{hint}")]
    Listen {
        /// Host and port.
        address: String,
        /// The answer of the system.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// No port for members is to be had.
    #[error(
        "cannot listen on {address}: {source}; it is the address of this member in the list of members, and electionPortBindRetry says how often it is tried"
    )]
    MemberPort {
        /// Host and port.
        address: String,
        /// The answer of the system.
        source: std::io::Error,
    },
    /// The configuration asks for what is not built.
    #[error("{0}")]
    NotBuilt(&'static str),
    /// The ensemble cannot go on with this member.
    #[error("{0}")]
    Ensemble(String),
    /// The system refused something else.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl StartError {
    /// What the process ends with: Java's codes where it has one (`ExitCode`).
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::NotBuilt(_) => 2,
            StartError::Directories(_) => 3,
            StartError::MemberPort { .. } => 14,
            StartError::DiskFull { source, .. } => source.exit_code(),
            _ => 1,
        }
    }

    /// Says more of what failed because a disk is full.
    fn explained(self, dirs: &DataDirs) -> StartError {
        if !matches!(
            self,
            StartError::Directories(_) | StartError::Store(_) | StartError::Io(_)
        ) {
            return self;
        }
        match space::explain_full(dirs) {
            Some(why) => StartError::DiskFull {
                why,
                source: Box::new(self),
            },
            None => self,
        }
    }
}

/// Serves until `stop` is done or the log cannot be written any more. What was acknowledged is on
/// disk when it returns, and sessions go on with the next start.
pub async fn serve(config: Config, stop: impl Future<Output = ()>) -> Result<(), StartError> {
    let Some(port) = config.client_port else {
        return Err(StartError::NotBuilt(
            "clientPort is missing: a server without a plain-text client port is not built yet",
        ));
    };
    let clock = Clock::start();
    descriptors::raise();
    let files: Arc<dyn Files> = Arc::new(OsFiles);
    let log_dir = (config.data_log_dir != config.data_dir).then(|| config.data_log_dir.clone());
    let dirs = DataDirs::new(config.data_dir.clone(), log_dir);
    tracing::info!(
        version = crate::VERSION,
        compatible = crate::COMPATIBLE_VERSION,
        data_dir = %dirs.data_dir().display(),
        data_log_dir = %dirs.data_log_dir().display(),
        member = config.ensemble.as_ref().map(|member| member.sid),
        "Zooid, {}",
        match &config.ensemble {
            None => "a standalone server",
            Some(_) => "a member of an ensemble",
        }
    );
    let ended = serve_in(&dirs, config, port, clock, files, stop).await;
    ended.map_err(|error| error.explained(&dirs))
}

async fn serve_in(
    dirs: &DataDirs,
    config: Config,
    port: u16,
    clock: Clock,
    files: Arc<dyn Files>,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let mut node_settings = settings::of(&config);
    if let Some(ensemble) = &config.ensemble {
        // Of the number only the lowest byte finds room in a session's id, as in Java.
        node_settings.server_id = ensemble.sid as u8;
    }
    let locks = lock(dirs, &*files, config.datadir_autocreate)?;
    let opened = open_data(files.clone(), dirs, &config, &node_settings).await?;
    if config.ensemble.is_some() && !matches!(opened.recovered.base, Base::New) {
        load_epochs(&*files, dirs, opened.recovered.last_zxid)?;
    }
    // Not before: a start that is refused leaves the directory as it is.
    for left in dirs.remove_unfinished(&*files)? {
        tracing::info!(file = %left.display(), "removed what a crash left unfinished");
    }
    let Opened {
        recovered,
        tree,
        load_ms,
    } = opened;
    let tree_tail = tree.tail;
    let is_new = matches!(recovered.base, Base::New);
    let last_zxid = recovered.last_zxid;
    let orphans = !tree.orphan_sessions.is_empty();
    let shared = Arc::new(Shared::new(node_settings, tree.tree, clock.now()));
    let mismatches = tree.mismatches.count;
    shared.digest_mismatches.store(mismatches, Relaxed);
    let events = &shared.stats.events;
    let loaded = i64::try_from(recovered.log.entries).unwrap_or(i64::MAX);
    events.startup_txns.add(loaded);
    events.startup_ms.add(load_ms);
    *shared.digest_log.lock() = tree.digest_log;
    let snapshots = Arc::new(Snapshots::new(
        shared.clone(),
        files.clone(),
        dirs.clone(),
        match config.snapshot.compression {
            Compression::None => zooid_store::snapshot::Compression::Plain,
            Compression::Gzip => zooid_store::snapshot::Compression::Gz,
            Compression::Snappy => zooid_store::snapshot::Compression::Snappy,
        },
        config.snapshot.serialize_last_processed_zxid,
    ));
    // Java purges when it is told to; a disk that fills up stops the server.
    let default_hours = (!config.purge.interval_is_set).then_some(DEFAULT_PURGE_HOURS);
    let purge_hours = config.purge.interval_hours.or(default_hours);
    make_room(dirs, &files, &config, purge_hours.is_some()).await?;
    if is_new {
        // A log without a snapshot before it would not be trusted.
        snapshots.take()?;
        remove_initialize_marker(&*files, dirs)?;
    } else if orphans {
        // No transaction says that they are gone: digests behind it would not be those of a tree
        // that is replayed from the snapshot before.
        snapshots.take()?;
    } else if recovered.log.entries > 0 && config.ensemble.is_none() {
        // What a member finds at the end of its log may have to be taken back.
        snapshots.start_in_background();
    }

    let listener = listen(&config, port).await?;
    let (core_inbox, inputs) = unbounded_channel();
    let disk_stats = Arc::new(DiskStats::default());
    let writer = LogWriter::new(
        files.clone(),
        dirs.log_dir(),
        LogOptions {
            pre_alloc: config.log.pre_alloc_bytes.unwrap_or(0),
            size_limit: config.log.size_limit_bytes,
            force_sync: config.log.force_sync,
        },
        Some(last_zxid),
    );
    let slow_sync_ms = u64::try_from(config.log.fsync_warning_threshold_ms).unwrap_or(0);
    let rule = SnapshotRule::new(
        u64::from(config.snapshot.snap_count),
        config.snapshot.size_limit_bytes,
        RandomState::new().hash_one(0),
    );
    let log = Log::new(writer, rule);
    let slow_sync = Duration::from_millis(slow_sync_ms);
    space::hold_reserve(dirs);
    tokio::spawn(space::watch(dirs.clone(), files.clone()));
    if let Some(hours) = purge_hours {
        let interval = Duration::from_secs(u64::from(hours) * 3600);
        let retain = config.purge.retain as usize;
        let (files, dirs, snapshots) = (files.clone(), dirs.clone(), snapshots.clone());
        let member = config.ensemble.is_some().then(|| core_inbox.clone());
        tokio::spawn(purge::run(files, dirs, snapshots, retain, interval, member));
    }
    let mut seen = None;
    let (moves, moved) = unbounded_channel();
    let running = match config.ensemble.clone() {
        None => {
            let core = Core::new(shared.clone(), clock.now());
            let (snapshots, stats) = (snapshots.clone(), disk_stats.clone());
            let disk = Disk::start(log, slow_sync, snapshots, stats, core_inbox.clone())?;
            // A task of its own: what polls from outside the workers' tasks pays for each wake-up.
            tokio::spawn(run_core(core, inputs, disk, clock))
        }
        Some(member) => {
            let had_epochs = epochs::read(&*files, &dirs.snap_dir(), epochs::CURRENT)?.is_some();
            let epochs = load_epochs(&*files, dirs, last_zxid)?;
            let seed = RandomState::new().hash_one(1);
            let mut boot = ensemble::boot(&config, &member, epochs, tree_tail, last_zxid, seed);
            // Epochs without a snapshot: whatever was promised and logged is gone.
            boot.may_have_lost_data |= is_new && had_epochs;
            let members = config.membership.clone().unwrap_or_default();
            let net = Net {
                core: core_inbox.clone(),
                shared: shared.clone(),
                dirs: dirs.clone(),
                files: files.clone(),
                keep_alive: member.keep_alive,
                reachability: (member.reachability_ms)
                    .map(|ms| Duration::from_millis(u64::from(ms))),
                several: Arc::default(),
            };
            let client = ClientAddress {
                host: config
                    .client_port_address
                    .clone()
                    .unwrap_or_else(|| "0.0.0.0".to_owned()),
                port,
            };
            let ports = Ports::open(&members, &member, net.clone(), client, moves);
            if let Some(path) = member.oracle_path.clone() {
                tokio::spawn(ensemble::oracle::watch(path, core_inbox.clone()));
            }
            let config_file = config.file.clone();
            let config_files = config_file.map(|path| ConfigFiles::new(path, member.sid));
            if config.reconfig_enabled
                && config.dynamic_config_file.is_none()
                && let Some(config_files) = &config_files
            {
                config_files.back_up(&*files)?;
            }
            let workshop = Workshop {
                log,
                files: files.clone(),
                dirs: dirs.clone(),
                shared: shared.clone(),
                snapshots: snapshots.clone(),
                slow_sync,
                stats: disk_stats.clone(),
                config: config_files,
            };
            let disk = MemberDisk::start(workshop, core_inbox.clone())?;
            let member = Member::new(shared.clone(), boot, clock.now());
            let runner = Runner::new(member, shared.clone(), net, disk, ports, clock);
            seen = Some(runner.seen());
            tokio::spawn(runner.run(inputs))
        }
    };
    let server = Arc::new(Server {
        client_address: RwLock::new(listener.local_addr()?),
        started: clock.now(),
        config,
        shared,
        clock,
        dirs: dirs.clone(),
        core: core_inbox.clone(),
        disk: disk_stats,
        snapshots,
        ensemble: seen,
    });
    tracing::info!(
        address = %server.client_address.read(),
        ms = clock.now().mono_ms,
        "{}",
        match &server.ensemble {
            None => "serving clients",
            Some(_) => "clients may connect; they are served once there is a leader",
        }
    );
    let accepting = tokio::spawn(clients::accept(listener, moved, server.clone()));
    tokio::pin!(stop, running);
    let ended = tokio::select! {
        () = &mut stop => {
            tracing::info!("stopping: no new requests, sessions stay valid");
            accepting.abort();
            server.shared.stop_serving();
            let _ = core_inbox.send(CoreInput::Stop);
            let ended = running.await;
            send_last_replies(&server).await;
            ended
        }
        ended = &mut running => ended,
    };
    accepting.abort();
    let ended = ended.map(|ended| ended.map_err(|error| error.explained(dirs)));
    if let Ok(Err(StartError::DiskFull { .. })) = &ended {
        space::give_up_reserve(dirs);
    }
    release(locks);
    match ended {
        Ok(ended) => ended,
        Err(error) => Err(StartError::Io(std::io::Error::other(error))),
    }
}

/// Connections that have been woken for their last replies get a moment to send them.
async fn send_last_replies(server: &Server) {
    let deadline = Instant::now() + LAST_REPLIES;
    let waits = || {
        server
            .shared
            .links
            .read()
            .values()
            .any(|link| link.has_mail())
    };
    while waits() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Takes the directories. On a full disk this start may use the reserve.
fn lock(dirs: &DataDirs, files: &dyn Files, autocreate: bool) -> Result<DirLocks, StartError> {
    let opened = match dirs.open(files, autocreate) {
        // Only who has the lock gets as far as to find no room: the reserve is ours.
        Err(StoreError::Directory { .. }) if space::explain_full(dirs).is_some() => {
            space::give_up_reserve(dirs);
            dirs.open(files, autocreate)
        }
        opened => opened,
    };
    let locks = opened.map_err(|error| StartError::Directories(error).explained(dirs))?;
    if let Some(why) = space::explain_full(dirs) {
        tracing::warn!("{why}");
        space::give_up_reserve(dirs);
    }
    Ok(locks)
}

/// A server on a full disk would end with the first client, which needs a session in the log. So it
/// does not start, unless old files can go.
async fn make_room(
    dirs: &DataDirs,
    files: &Arc<dyn Files>,
    config: &Config,
    may_purge: bool,
) -> Result<(), StartError> {
    if space::explain_full(dirs).is_some() && may_purge {
        purge::once(files, dirs, config.purge.retain as usize, |_| false).await;
    }
    match space::explain_full(dirs) {
        None => Ok(()),
        Some(_) => {
            let full = StartError::Io(std::io::ErrorKind::StorageFull.into());
            Err(full.explained(dirs))
        }
    }
}

fn release(locks: DirLocks) {
    drop(locks);
}

async fn listen(config: &Config, port: u16) -> Result<TcpListener, StartError> {
    let host = config.client_port_address.as_deref();
    let listener = clients::listen(host, port, config.client_port_listen_backlog).await;
    listener.map_err(|source| {
        let hint = match source.kind() {
            std::io::ErrorKind::AddrInUse => {
                "; another server uses the port: choose one with --client-port or clientPort"
            }
            std::io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
            _ => "",
        };
        let address = format!("{}:{port}", host.unwrap_or("*"));
        StartError::Listen {
            address,
            source,
            hint,
        }
    })
}

struct Opened {
    recovered: Recovered,
    tree: RecoveredTree,
    load_ms: i64,
}

async fn open_data(
    files: Arc<dyn Files>,
    dirs: &DataDirs,
    config: &Config,
    settings: &Settings,
) -> Result<Opened, StartError> {
    let options = RecoverOptions {
        trust_empty: config.snapshot.trust_empty,
        autocreate: config.db_autocreate,
        max_payload: i32::MAX as usize,
    };
    let (thread_dirs, settings) = (dirs.clone(), settings.clone());
    let keep = config.ensemble.as_ref().map(ensemble::history_entries);
    let opened = tokio::task::spawn_blocking(move || {
        let dirs = thread_dirs;
        let start = Instant::now();
        let mut said = start;
        let mut reading = String::new();
        let mut recovery = Recovery::new(&settings, |stage| {
            // What is begun is worth a line only if it takes long; it is told with the next one.
            if let Stage::Store(Progress::Snapshot { file, len }) = stage {
                reading = format!("{} ({len} bytes)", file.display());
            }
            if said.elapsed() < PROGRESS_EVERY {
                return;
            }
            said = Instant::now();
            match stage {
                Stage::Store(Progress::Snapshot { .. }) => {
                    tracing::info!(file = reading, "reading a snapshot");
                }
                Stage::Nodes(nodes) => tracing::info!(file = reading, nodes, "reading a snapshot"),
                Stage::Store(Progress::Log {
                    file,
                    zxid,
                    entries,
                }) => tracing::info!(
                    file = %file.display(),
                    zxid = format_args!("0x{zxid:x}"),
                    entries,
                    "replaying the log"
                ),
            }
        });
        if let Some(entries) = keep {
            recovery.keep_tail(entries, ensemble::HISTORY_BYTES);
        }
        let dir = dirs.data_dir().to_path_buf();
        let recovered = match recover(&*files, &dirs, &options, &mut recovery) {
            Ok(recovered) => recovered,
            Err(source @ StoreError::Io { .. }) => return Err(source.into()),
            Err(source) => return Err(StartError::Data { dir, source }),
        };
        let tree = recovery
            .finish()
            .map_err(|source| StartError::Recovery { dir, source })?;
        // Not before: a start that is refused leaves the directory as it is.
        recovered.make_good(&*files, &dirs)?;
        tell(&recovered, &tree, start.elapsed());
        Ok::<_, StartError>(Opened {
            recovered,
            tree,
            load_ms: start.elapsed().as_millis() as i64,
        })
    });
    match opened.await {
        Ok(opened) => opened,
        Err(error) => Err(StartError::Io(std::io::Error::other(error))),
    }
}

fn tell(recovered: &Recovered, tree: &RecoveredTree, took: Duration) {
    for warning in &recovered.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(first) = &tree.mismatches.first {
        tracing::warn!(
            count = tree.mismatches.count,
            file = %first.file.display(),
            offset = first.offset,
            zxid = format_args!("0x{:x}", first.zxid),
            "digests in the log differed from the tree, and agreed again behind that"
        );
    }
    if let Some(zxid) = tree.mismatches.snapshot {
        tracing::warn!(
            zxid = format_args!("0x{zxid:x}"),
            "the digest in the snapshot differs from its tree, and no transaction behind it decides"
        );
    }
    for session in &tree.orphan_sessions {
        tracing::warn!(
            session = format_args!("0x{session:x}"),
            "ephemeral nodes of an unknown session removed"
        );
    }
    let from = match &recovered.base {
        Base::Snapshot { file, .. } => file.path.display().to_string(),
        Base::New => "nothing: a new database".to_owned(),
        Base::Trusted => "the log alone (snapshot.trust.empty)".to_owned(),
        Base::Uninitialised => "nothing, and zookeeper.db.autocreate is off".to_owned(),
    };
    tracing::info!(
        from,
        log_entries = recovered.log.entries,
        zxid = format_args!("0x{:x}", tree.tree.last_processed_zxid()),
        nodes = tree.tree.len(),
        sessions = tree.tree.sessions().len(),
        ms = took.as_millis() as u64,
        "recovered"
    );
}

async fn run_core(
    mut core: Core,
    mut inputs: UnboundedReceiver<CoreInput>,
    disk: Disk,
    clock: Clock,
) -> Result<(), StartError> {
    let mut batch = Vec::with_capacity(INPUTS_PER_TURN);
    let mut stopping: Option<Instant> = None;
    let mut next_tick = core.next_tick_ms(clock.now());
    loop {
        let until = clock.instant(next_tick).into();
        tokio::select! {
            biased;
            _ = inputs.recv_many(&mut batch, INPUTS_PER_TURN) => {}
            () = tokio::time::sleep_until(until) => {}
        }
        let now = clock.now();
        core.is_now(now);
        for input in batch.drain(..) {
            match input {
                // Not executed and not answered: the client finds out by the end of its connection.
                CoreInput::Submit(_) if stopping.is_some() => {}
                CoreInput::Submit(submits) => {
                    for submit in submits {
                        core.submit(submit, now);
                    }
                }
                CoreInput::Durable(zxid) => core.durable(zxid),
                CoreInput::Persisted(_)
                | CoreInput::CannotTruncate(_)
                | CoreInput::LogStartsAt(_)
                | CoreInput::PortGivenUp(..)
                | CoreInput::Oracle { .. }
                | CoreInput::Peer(_) => {
                    unreachable!("a server that stands alone has no peers")
                }
                CoreInput::DiskFailed(error) => {
                    tracing::error!(%error, "the transaction log cannot be written: stopping, nothing more is acknowledged");
                    return Err(error.into());
                }
                CoreInput::Stop => stopping = Some(Instant::now() + STOP_PATIENCE),
            }
        }
        if now.mono_ms >= next_tick && stopping.is_none() {
            core.tick(now);
        }
        core.advance();
        if core.has_appends() {
            disk.append(core.take_appends());
        }
        if let Some(deadline) = stopping
            && (core.in_flight() == 0 || Instant::now() >= deadline)
        {
            disk.stop();
            return Ok(());
        }
        next_tick = core.next_tick_ms(clock.now());
    }
}
