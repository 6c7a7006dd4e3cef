//! A member of an ensemble: its sockets, its disk and its clock around [`Member`].

pub mod disk;
pub mod members;
pub mod net;
pub mod oracle;
pub mod remarks;

use crate::clock::Clock;
use crate::run::StartError;
use crate::state::{CoreInput, Seen};
use disk::MemberDisk;
use members::Ports;
use net::{About, LinkHandle, Net, PeerEvent};
use parking_lot::Mutex;
use remarks::Remarks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use zooid_config::{Config, EnsembleConfig, Membership};
use zooid_node::member::Member;
use zooid_node::recover::Tail;
use zooid_node::transfer::{Incoming, Outgoing};
use zooid_node::{Settings, Shared};
use zooid_store::epochs::Epochs;
use zooid_zab::{Boot, ConnId, Effect, FromLog, Input, Params, Role, Sid, SyncReport};

/// Inputs that the core takes before it looks at the time and hands transactions to the disk.
const INPUTS_PER_TURN: usize = 1024;

/// Transactions that are kept in memory for members that were away. Java keeps 500 and sends a
/// whole state to all that were away longer.
pub const HISTORY_ENTRIES: usize = 100_000;

/// How many of them this member keeps: what `commitLogCount` says, if it says something.
pub fn history_entries(ensemble: &EnsembleConfig) -> usize {
    let count = ensemble.commit_log_count;
    count.map_or(HISTORY_ENTRIES, |count| count as usize)
}

/// Their bytes at most.
pub const HISTORY_BYTES: usize = 32 << 20;

/// How long an election waits for a better vote where one may still come, ms (Java: 200).
const FINALIZE_WAIT_MS: u64 = 200;

/// Between two tries to reach a leader, ms (Java: 100). A refusal costs nothing, and a leader binds its
/// port for good.
const CONNECT_RETRY_MS: u64 = 25;

/// How long a leader that refuses must be without a connection for votes to be taken for one that has
/// ended, ms. A busy Java server calls back within that time.
const LEADER_DOWN_MS: u64 = 1000;

/// How often what operators see is brought up to date, ms.
const SHOW_EVERY_MS: i64 = 50;

/// How long a stop waits for followers to have everything.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// What agreement starts with.
pub fn boot(
    config: &Config,
    ensemble: &EnsembleConfig,
    epochs: Epochs,
    tail: Tail,
    last_zxid: i64,
    seed: u64,
) -> Boot {
    let membership = config.membership.clone().unwrap_or_default();
    Boot {
        params: Params {
            sid: ensemble.sid,
            tick_ms: u64::from(config.tick_time_ms),
            init_limit: u64::from(ensemble.init_limit),
            sync_limit: u64::from(ensemble.sync_limit),
            connect_limit: u64::from(ensemble.connect_limit),
            election_connect_ms: u64::from(ensemble.election_connect_ms),
            finalize_wait_ms: FINALIZE_WAIT_MS,
            min_notification_ms: u64::from(ensemble.min_notification_ms),
            max_notification_ms: u64::from(ensemble.max_notification_ms),
            reconfig: config.reconfig_enabled,
            standalone_enabled: config.standalone_enabled,
            observer: ensemble.observer,
            observer_master_port: ensemble.observer_master_port,
            reconnect_delay_ms: ensemble.reconnect_delay_ms,
            oracle: ensemble.oracle_path.is_some(),
            max_packet: packet_limit(config),
            history_entries: history_entries(ensemble),
            history_bytes: HISTORY_BYTES,
            from_log: from_log(ensemble),
            force_snapshot: ensemble.force_snapshot_sync,
            max_snap_syncs: ensemble.max_snap_syncs as usize,
            max_diff_syncs: ensemble.max_diff_syncs as usize,
            greeting_ms: ensemble.greeting_ms.map_or(0, u64::from),
            connect_retry_ms: ensemble
                .connect_retry_ms
                .map_or(CONNECT_RETRY_MS, u64::from),
            leader_down_ms: LEADER_DOWN_MS,
            observer_election_delay_ms: ensemble.observer_election_delay_ms,
            observer_logs: ensemble.observer_logs,
            seed,
        },
        config: membership.to_string(),
        next_config: config.next_membership.as_ref().map(Membership::to_string),
        accepted_epoch: epochs.accepted,
        current_epoch: epochs.current,
        last_zxid,
        log: tail.runs,
        recent: tail.recent.into(),
        may_have_lost_data: last_zxid < 0,
    }
}

/// In Java, too, a factor of 0 is no limit.
fn from_log(ensemble: &EnsembleConfig) -> FromLog {
    match ensemble.snapshot_size_factor {
        None => FromLog::Usual,
        Some(0.0) => FromLog::Always,
        Some(factor) if factor < 0.0 => FromLog::Never,
        Some(factor) => FromLog::PerMille((factor * 1000.0).round() as u64),
    }
}

/// As Java: jute.maxbuffer and the same again.
fn packet_limit(config: &Config) -> usize {
    usize::try_from(config.jute_max_buffer)
        .unwrap_or(0)
        .max(1 << 20)
        .saturating_mul(2)
}

/// The one task that agreement and state machine run in.
pub struct Runner {
    member: Member,
    shared: Arc<Shared>,
    net: Net,
    disk: MemberDisk,
    ports: Ports,
    clock: Clock,
    settings: Settings,
    links: BTreeMap<ConnId, LinkHandle>,
    /// The last one that is gone: what comes of that is told with its address.
    gone: Option<(ConnId, About)>,
    remarks: Remarks,
    /// Connections that are being opened and still wanted.
    dialing: BTreeSet<ConnId>,
    incoming: Option<Incoming<'static>>,
    stopping: Option<Instant>,
    stopped: bool,
    seen: Arc<Mutex<Seen>>,
    /// When operators were last told, monotonic ms.
    told_ms: i64,
}

impl Runner {
    /// A runner that has heard of nobody yet.
    pub fn new(
        member: Member,
        shared: Arc<Shared>,
        net: Net,
        disk: MemberDisk,
        ports: Ports,
        clock: Clock,
    ) -> Runner {
        let seen = Arc::new(Mutex::new(Seen {
            status: member.peer().status(),
            leading_since_ms: None,
            elections: 1,
        }));
        Runner {
            seen,
            told_ms: i64::MIN,
            member,
            settings: shared.settings.clone(),
            shared,
            net,
            disk,
            ports,
            clock,
            links: BTreeMap::new(),
            gone: None,
            remarks: Remarks::default(),
            dialing: BTreeSet::new(),
            incoming: None,
            stopping: None,
            stopped: false,
        }
    }

    /// What operators see, brought up to date as it runs.
    pub fn seen(&self) -> Arc<Mutex<Seen>> {
        self.seen.clone()
    }

    /// Runs until it is stopped, or cannot go on.
    pub async fn run(mut self, mut inputs: UnboundedReceiver<CoreInput>) -> Result<(), StartError> {
        let mut batch = Vec::with_capacity(INPUTS_PER_TURN);
        loop {
            self.carry_out()?;
            if self.stopped
                || self
                    .stopping
                    .is_some_and(|deadline| Instant::now() >= deadline)
            {
                self.disk.stop();
                return Ok(());
            }
            self.show(false);
            let next = self.member.next_tick_ms(self.clock.now());
            let until = self.clock.instant(next).into();
            tokio::select! {
                biased;
                _ = inputs.recv_many(&mut batch, INPUTS_PER_TURN) => {}
                () = tokio::time::sleep_until(until) => {}
            }
            for input in batch.drain(..) {
                self.take(input)?;
            }
            let now = self.clock.now();
            if now.mono_ms >= self.member.next_tick_ms(now) {
                self.member.tick(now);
            }
        }
    }

    fn take(&mut self, input: CoreInput) -> Result<(), StartError> {
        let now = self.clock.now();
        match input {
            CoreInput::Submit(_) if self.stopping.is_some() => {}
            CoreInput::Submit(submits) => {
                for submit in submits {
                    self.member.submit(submit, now);
                }
            }
            CoreInput::Peer(event) => {
                let (input, _permit) = match event {
                    PeerEvent::Accepted(conn, port, handle) => {
                        self.links.insert(conn, handle);
                        (Input::Accepted { conn, port }, None)
                    }
                    PeerEvent::Dialed(conn, handle) => {
                        // One that was given up while it was being opened must not stay open: a Java
                        // server waits for its first words and takes no other connection meanwhile.
                        if !self.dialing.remove(&conn) {
                            return Ok(());
                        }
                        self.links.insert(conn, handle);
                        (Input::Dialed { conn }, None)
                    }
                    PeerEvent::Bytes(conn, ref bytes, permit) => {
                        let Some(link) = self.links.get_mut(&conn) else {
                            return Ok(());
                        };
                        link.about.keep_first(bytes);
                        let input = Input::Received { conn, bytes };
                        self.member.input(input, now);
                        drop(permit);
                        return self.carry_out();
                    }
                    PeerEvent::Closed(conn) => {
                        let known = self.take_link(conn);
                        // One that was never opened has no link.
                        if !known && !self.dialing.remove(&conn) {
                            return Ok(());
                        }
                        (Input::Closed { conn }, None::<()>)
                    }
                };
                self.member.input(input, now);
            }
            CoreInput::Persisted(token) => self.member.input(Input::Persisted { token }, now),
            CoreInput::CannotTruncate(token) => {
                self.member.input(Input::CannotTruncate { token }, now);
            }
            CoreInput::Oracle { alone } => self.member.input(Input::Oracle { alone }, now),
            CoreInput::LogStartsAt(zxid) => self.member.input(Input::LogStartsAt { zxid }, now),
            CoreInput::Durable(_) => unreachable!("only a server that stands alone is told so"),
            CoreInput::PortGivenUp(place, error) => self.ports.given_up(&place, error)?,
            CoreInput::DiskFailed(error) => {
                tracing::error!(%error, "the disk failed: stopping, nothing more is acknowledged");
                return Err(error.into());
            }
            CoreInput::Stop => {
                self.stopping = Some(Instant::now() + STOP_PATIENCE);
                self.member.input(Input::Stop, now);
            }
        }
        Ok(())
    }

    /// Does what the member wants done.
    fn carry_out(&mut self) -> Result<(), StartError> {
        let now = self.clock.now();
        while let Some(effect) = self.member.poll(now) {
            match effect {
                Effect::Dial {
                    conn,
                    port,
                    addresses,
                    timeout_ms,
                    ..
                } => {
                    let timeout = Duration::from_millis(timeout_ms);
                    self.dialing.insert(conn);
                    self.net.clone().dial(conn, port, addresses, timeout);
                }
                Effect::Send { conn, bytes } => {
                    if let Some(link) = self.links.get(&conn)
                        && !link.send(bytes)
                    {
                        let what = "cut off: it does not take what is sent";
                        self.remark(conn, None, what.to_owned());
                        self.take_link(conn);
                        self.member.input(Input::Closed { conn }, now);
                    }
                }
                Effect::SendSnapshot { conn, zxid } => {
                    if let Some(link) = self.links.get(&conn) {
                        let outgoing = Outgoing::begin(&self.shared);
                        // The first zxid of an epoch is no transaction: it only says who leads.
                        let at = outgoing.zxid();
                        assert!(
                            at == zxid || at > zxid && at & 0xffff_ffff == 0,
                            "a state is sent as it is: 0x{at:x} where 0x{zxid:x} is due"
                        );
                        link.send_snapshot(outgoing);
                    }
                }
                Effect::SendLog { conn, after, upto } => {
                    if let Some(link) = self.links.get(&conn) {
                        link.send_log(after, upto);
                    }
                }
                Effect::Remark { conn, sid, what } => self.remark(conn, sid, what),
                Effect::BroughtUp(report) => self.brought_up(&report),
                Effect::Close { conn } => {
                    self.dialing.remove(&conn);
                    if let Some(link) = self.links.remove(&conn) {
                        link.close();
                    }
                }
                Effect::Disk { token, op } => self.disk.ask(token, op, &mut self.incoming),
                Effect::SnapshotBegin => self.incoming = Some(Incoming::new(&self.settings)),
                Effect::SnapshotBytes(bytes) => {
                    if let Some(incoming) = &mut self.incoming
                        && let Err(what) = incoming.take(&bytes)
                    {
                        let what =
                            format!("the state that the leader sends cannot be read: {what}");
                        return Err(StartError::Ensemble(what));
                    }
                }
                Effect::SnapshotAbort => self.incoming = None,
                // Agreement says in the log why.
                Effect::Role(_) => self.show(true),
                Effect::Config(text) => {
                    tracing::info!(members = text, "a list of members is in force");
                    match Membership::parse(&text, true) {
                        Ok(membership) => self.ports.follow(&membership),
                        Err(error) => unreachable!("agreement has read it: {error}"),
                    }
                }
                Effect::Stopped => self.stopped = true,
                Effect::Fatal(what) => return Err(StartError::Ensemble(what)),
                other => unreachable!("{other:?} is the member's own"),
            }
        }
        Ok(())
    }
}

impl Runner {
    /// A connection is gone, if it was there.
    fn take_link(&mut self, conn: ConnId) -> bool {
        let Some(link) = self.links.remove(&conn) else {
            return false;
        };
        self.gone = Some((conn, link.cut()));
        true
    }

    /// What is known of a connection that is there, or has just gone.
    fn about(&self, conn: ConnId) -> Option<&About> {
        let gone = self.gone.as_ref().filter(|gone| gone.0 == conn);
        let link = self.links.get(&conn).map(|link| &link.about);
        link.or(gone.map(|gone| &gone.1))
    }

    /// Tells operators of a connection, if it is time to.
    fn remark(&mut self, conn: ConnId, sid: Option<Sid>, mut what: String) {
        let peer = match self.about(conn) {
            Some(about) => {
                if let Some(who) = remarks::name(&about.first) {
                    what = format!("{what}: looks like {who}");
                }
                about.peer()
            }
            None => "a member".to_owned(),
        };
        let now_ms = self.clock.now().mono_ms;
        if let Some(line) = self.remarks.note(sid, peer, what, now_ms) {
            Remarks::tell(&line);
        }
    }

    /// One line for each learner that was brought to where this server is, or was not.
    fn brought_up(&self, report: &SyncReport) {
        let about = self.about(report.conn);
        let fed = about.map_or(0, About::fed);
        let back_to = report.back_to.map(|zxid| format!("0x{zxid:x}"));
        tracing::info!(
            learner = report.learner,
            observer = report.observer,
            peer = about.map(|about| tracing::field::display(about.peer())),
            from = format_args!("0x{:x}", report.from),
            back_to = back_to.map(tracing::field::display),
            to = format_args!("0x{:x}", report.to),
            entries = report.entries,
            bytes = report.bytes + fed,
            ms = report.ms,
            "{} {} server {}",
            report.kind,
            if report.done { "to" } else { "broken off, to" },
            report.learner
        );
    }

    /// Brings up to date what operators see.
    fn show(&mut self, at_once: bool) {
        let now_ms = self.clock.now().mono_ms;
        if !at_once && now_ms < self.told_ms.saturating_add(SHOW_EVERY_MS) {
            return;
        }
        self.told_ms = now_ms;
        self.remarks.due(now_ms).iter().for_each(Remarks::tell);
        let mut seen = self.seen.lock();
        let status = self.member.peer().status();
        if status.role == Role::Looking && seen.status.role != Role::Looking {
            seen.elections += 1;
        }
        seen.leading_since_ms = match status.role {
            Role::Leading { serving: true, .. } => seen.leading_since_ms.or(Some(now_ms)),
            _ => None,
        };
        seen.status = status;
    }
}
