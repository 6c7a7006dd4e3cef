//! Following and observing: discovery, synchronisation and broadcast from a learner's side.

mod java;
mod observers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tracing::{debug, info, warn};
use zooid_proto::quorum::{
    ForwardedRequest, FromLeader, FromLearner, LearnerInfo, PROTOCOL_VERSION, PacketDecoder, Touch,
};
use zooid_proto::records::Id;
use zooid_proto::vote::PeerState;
use zooid_proto::zxid::{follows, make};

use crate::core::{Core, Next};
use crate::election::Vote;

use crate::handlers::{Handlers, Master};
use crate::incoming::Incoming;
use crate::io::{ConnId, Effect, Forwarded, Port, Proposal, Role, Sid};
use crate::mutations::{Guard, without};
use crate::quorum::Verifier;
use crate::reconfig;
use crate::store::{Durable, Pending};
use observers::Asked;
pub(crate) use observers::Masters;

/// How long a learner goes on trying to reach a leader that does not answer, ms, unless `initLimit`
/// ends before. Java makes five tries in half a second; a leader may need more than that to find out
/// that it is one, while one that died since must not cost a whole `initLimit`.
const PATIENCE_MS: u64 = 2_000;

/// What a member of Java does: five tries with so many ms between them.
const JAVA_RETRY_MS: u64 = 100;
const JAVA_PATIENCE_MS: u64 = 500;

/// A packet without its body: kind, zxid, length of the body, no identities.
const FRAME: u64 = 20;

/// How far a learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is no connection to the leader.
    Connecting,
    /// It has told who it is.
    Introduced,
    /// LEADERINFO is there; the epoch is on its way to the disk.
    Accepting,
    /// It has told its position.
    Placed,
    /// DIFF, TRUNC or SNAP is there.
    Syncing,
    /// NEWLEADER is there.
    Entering,
    /// UPTODATE is there.
    Live,
}

/// What it waits for before it looks at the next packet.
#[derive(Debug)]
enum Wait {
    /// The promise to an epoch.
    Accepted(Pending<i64>),
    /// History and state are those of a zxid.
    Placed(Pending<i64>),
}

/// How it is brought to where its leader is.
#[derive(Debug)]
struct Sync {
    /// DIFF, TRUNC or SNAP.
    kind: &'static str,
    /// The last transaction that it had.
    from: i64,
    /// The one that it had to go back to.
    back_to: Option<i64>,
    /// Since when, ms.
    since: u64,
    /// The end of what came.
    to: i64,
    /// Bytes of transactions, commits and state.
    bytes: u64,
}

/// A follower or an observer.
#[derive(Debug)]
pub(crate) struct Learner {
    vote: Vote,
    observer: bool,
    phase: Phase,
    /// Who tells it what is committed: the leader, or a master of observers.
    master: Sid,
    conn: Option<ConnId>,
    /// Whether a dialed connection is there.
    connected: bool,
    give_up_at: u64,
    retry_at: Option<u64>,
    /// When the leader refused first while its connection for votes was gone, too.
    down_since: Option<u64>,
    heard: u64,
    decoder: Option<PacketDecoder>,
    incoming: Option<Incoming>,
    wait: Option<Wait>,
    sync: Option<Box<Sync>>,
    epoch: i64,
    /// Transactions up to here came with the state.
    in_snapshot: i64,
    /// The configuration of NEWLEADER.
    config: Option<Arc<Verifier>>,
    /// ACK of NEWLEADER, and of transactions behind it.
    entering: Option<Pending<i64>>,
    acks: VecDeque<Pending<i64>>,
    touched: BTreeMap<i64, i32>,
    /// Each `sync` that is not done, oldest first, and the observer that wants it, if not this server.
    syncs: VecDeque<Option<ConnId>>,
    /// Questions about sessions, oldest first.
    asked: VecDeque<Asked>,
    observers: Handlers,
    /// A member of Java: what it was sent before UPTODATE and has not logged, and which of that is
    /// committed.
    unlogged: VecDeque<Proposal>,
    committed: VecDeque<(i64, Option<Sid>)>,
}

impl Learner {
    pub(crate) fn new(core: &mut Core, vote: Vote) -> Learner {
        let position = core.store.position();
        let limit = match core.params.connect_limit {
            0 => core.params.init_limit,
            limit => limit,
        };
        let observer = core.is_observer();
        let patience_ms = match core.model.is_java() {
            true => JAVA_PATIENCE_MS,
            false => PATIENCE_MS,
        };
        let mut learner = Learner {
            vote,
            observer,
            phase: Phase::Connecting,
            master: vote.leader,
            conn: None,
            connected: false,
            give_up_at: core.now + core.ticks(limit).min(patience_ms),
            retry_at: None,
            down_since: None,
            heard: core.now,
            decoder: Some(PacketDecoder::new(core.limits())),
            incoming: None,
            wait: None,
            sync: None,
            epoch: core.store.current(),
            in_snapshot: i64::MIN,
            config: None,
            entering: None,
            acks: VecDeque::new(),
            touched: BTreeMap::new(),
            syncs: VecDeque::new(),
            asked: VecDeque::new(),
            observers: Handlers::new(core),
            unlogged: VecDeque::new(),
            committed: VecDeque::new(),
        };
        info!(
            sid = core.params.sid,
            leader = vote.leader,
            zxid = format_args!("0x{position:x}"),
            "{} server {}: connecting",
            learner.name(),
            vote.leader
        );
        core.out.push(Effect::Role(learner.role(false)));
        learner.dial_next(0, core);
        learner
    }

    fn role(&self, serving: bool) -> Role {
        let (leader, epoch) = (self.vote.leader, self.epoch);
        if self.observer {
            Role::Observing {
                leader,
                epoch,
                serving,
            }
        } else {
            Role::Following {
                leader,
                epoch,
                serving,
            }
        }
    }

    fn name(&self) -> &'static str {
        if self.observer {
            "OBSERVING"
        } else {
            "FOLLOWING"
        }
    }

    /// Turns to the next master, or to the leader, in `pause` ms. An observer that has been with all
    /// masters, or knows the leader only, waits some time more, so that not all of them come at once.
    fn dial_next(&mut self, pause: u64, core: &mut Core) {
        self.phase = Phase::Connecting;
        let mut pause = pause;
        let may_wait = if self.observer && core.params.observer_master_port != 0 {
            let (master, again) = Masters::next(core).unwrap_or((self.vote.leader, true));
            self.master = master;
            again
        } else {
            self.observer && pause == 0
        };
        if may_wait && core.params.reconnect_delay_ms > 0 {
            let wait = core.out.random(core.params.reconnect_delay_ms);
            self.give_up_at += wait;
            pause += wait;
        }
        if pause == 0 {
            self.dial(core);
        } else {
            self.retry_at = Some(core.now + pause);
        }
    }

    fn dial(&mut self, core: &mut Core) {
        let timeout_ms = self.give_up_at.saturating_sub(core.now).max(1);
        self.retry_at = None;
        self.connected = false;
        let port = if self.observer && core.params.observer_master_port != 0 {
            Port::ObserverMaster
        } else {
            Port::Quorum
        };
        self.conn = Some(core.dial_master(self.master, port, timeout_ms));
    }

    pub(crate) fn dialed(&mut self, conn: ConnId, core: &mut Core) {
        if self.conn != Some(conn) || self.connected {
            return;
        }
        self.connected = true;
        self.heard = core.now;
        self.phase = Phase::Introduced;
        self.decoder = Some(PacketDecoder::new(core.limits()));
        let packet = FromLearner::Info {
            observer: self.observer,
            accepted_epoch: core.store.accepted(),
            info: LearnerInfo::new(core.params.sid, core.committed.version()),
        };
        core.tell_leader(conn, &packet);
    }

    /// The connection is gone, or could not be opened.
    pub(crate) fn closed(&mut self, conn: ConnId, core: &mut Core) {
        if self.conn != Some(conn) {
            return Master::closed(self, conn, core);
        }
        self.conn = None;
        // A server that does not know yet that it leads closes, or refuses. One whose connection for
        // votes is gone as well has ended since.
        let (again, wait_ms) = match core.model.is_java() {
            true => (self.phase == Phase::Connecting, JAVA_RETRY_MS),
            false => {
                let ended = !self.observer && self.leader_is_down(core);
                let early = matches!(self.phase, Phase::Connecting | Phase::Introduced);
                (early && !ended, core.params.connect_retry_ms)
            }
        };
        if again && core.now < self.give_up_at {
            self.dial_next(wait_ms, core);
            return;
        }
        core.leave(Next::Look, format!("server {} is gone", self.master));
    }

    /// Whether there was no connection for votes with the leader for long enough.
    fn leader_is_down(&mut self, core: &Core) -> bool {
        if !core.elections.is_down(self.vote.leader) {
            self.down_since = None;
            return false;
        }
        let since = *self.down_since.get_or_insert(core.now);
        core.now.saturating_sub(since) >= core.params.leader_down_ms
    }

    pub(crate) fn received(&mut self, conn: ConnId, bytes: &[u8], core: &mut Core) {
        if self.conn != Some(conn) {
            return Master::received(self, conn, bytes, core);
        }
        if !self.connected {
            return;
        }
        self.heard = core.now;
        let mut decoder = self.decoder.take().expect("it is put back");
        match self.incoming.take() {
            Some(incoming) => self.take_snapshot(incoming, bytes, &mut decoder, core),
            None => decoder.push(bytes),
        }
        self.take_packets(&mut decoder, core);
        self.decoder = Some(decoder);
    }

    fn take_packets(&mut self, decoder: &mut PacketDecoder, core: &mut Core) {
        while core.leaving.is_none() && self.wait.is_none() && self.incoming.is_none() {
            let packet = match decoder.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return,
                Err(error) => return core.leave(Next::Look, format!("the leader sends {error}")),
            };
            let packet = match FromLeader::read(packet) {
                Ok(packet) => packet,
                Err(error) => return core.leave(Next::Look, format!("the leader sends {error}")),
            };
            if let FromLeader::Snap { zxid } = packet {
                if self.phase == Phase::Placed {
                    self.begin_snapshot(zxid, decoder, core);
                    continue;
                }
                return core.leave(Next::Look, "SNAP at the wrong time");
            }
            self.packet(packet, core);
        }
    }

    fn packet(&mut self, packet: FromLeader<'_>, core: &mut Core) {
        let kind = packet.kind();
        match (self.phase, packet) {
            (
                Phase::Introduced,
                FromLeader::LeaderInfo {
                    epoch,
                    protocol_version,
                },
            ) => self.leader_info(epoch, protocol_version, core),
            (Phase::Placed, FromLeader::Diff { zxid }) => self.diff(zxid, core),
            (Phase::Placed, FromLeader::Trunc { zxid }) => self.trunc(zxid, core),
            (
                Phase::Syncing | Phase::Entering | Phase::Live,
                FromLeader::Proposal { zxid, txn },
            ) => self.proposal(proposal(zxid, &txn), core),
            (Phase::Syncing | Phase::Entering | Phase::Live, FromLeader::Commit { zxid }) => {
                self.commit(zxid, None, core);
            }
            (
                Phase::Syncing | Phase::Entering | Phase::Live,
                FromLeader::CommitAndActivate {
                    zxid,
                    designated_leader,
                },
            ) => self.commit(zxid, Some(designated_leader), core),
            (Phase::Syncing | Phase::Entering | Phase::Live, FromLeader::Inform { zxid, txn }) => {
                self.proposal(proposal(zxid, &txn), core);
                if core.leaving.is_none() {
                    self.commit(zxid, None, core);
                }
            }
            (
                Phase::Syncing | Phase::Entering | Phase::Live,
                FromLeader::InformAndActivate {
                    zxid,
                    designated_leader,
                    txn,
                },
            ) => {
                self.proposal(proposal(zxid, &txn), core);
                if core.leaving.is_none() {
                    self.commit(zxid, Some(designated_leader), core);
                }
            }
            (Phase::Syncing, FromLeader::NewLeader { zxid, config }) => {
                self.new_leader(zxid, config.as_deref(), core);
            }
            (Phase::Entering, FromLeader::UpToDate) => self.up_to_date(core),
            (Phase::Live, FromLeader::Ping { zxid }) => self.ping(zxid, core),
            (Phase::Live, FromLeader::Sync) => {
                // One that nobody asked for on this connection answers nothing.
                match self.syncs.pop_front() {
                    Some(Some(observer)) => self.synced(observer, core),
                    Some(None) => core.out.push(Effect::Synced),
                    None => {}
                }
            }
            (Phase::Live, FromLeader::Revalidated { session_id, valid }) => {
                self.answered(session_id, valid, core);
            }
            (Phase::Syncing | Phase::Entering | Phase::Live, _) => {
                debug!("ignored a packet of kind {kind} of the leader");
            }
            (phase, _) => {
                let name = zooid_proto::quorum::kind::name(kind);
                core.leave(
                    Next::Look,
                    format!("the leader sends {name} while {phase:?}"),
                );
            }
        }
    }

    fn leader_info(&mut self, epoch: i64, protocol_version: i32, core: &mut Core) {
        if protocol_version < PROTOCOL_VERSION || epoch < 0 {
            return core.leave(Next::Look, "the leader speaks another protocol");
        }
        self.epoch = epoch;
        let accepted = core.store.accepted();
        if epoch < accepted {
            let why = format!("the leader has epoch {epoch}, promised is {accepted}");
            return core.leave(Next::Look, why);
        }
        if epoch == accepted {
            // It promised before, perhaps to another server: this is no second promise.
            return self.tell_position(None, core);
        }
        self.phase = Phase::Accepting;
        let pending = core.store.accept_epoch(epoch, &mut core.out);
        if let Some(durable) = core.store.settled(&pending, Guard::PromiseAfterFlush) {
            return self.tell_position(Some(durable), core);
        }
        self.wait = Some(Wait::Accepted(pending));
    }

    /// ACKEPOCH. A promise needs the proof that it is on the disk (release rule).
    fn tell_position(&mut self, promise: Option<Durable<i64>>, core: &mut Core) {
        let Some(conn) = self.conn else {
            return;
        };
        self.phase = Phase::Placed;
        let current = i32::try_from(core.store.current()).unwrap_or(i32::MAX);
        // -1 makes the leader send its whole state, and keeps it from counting this server as one
        // whose history it has compared with its own.
        let last_zxid = if std::mem::take(&mut core.want_snapshot) {
            -1
        } else {
            core.store.position()
        };
        let packet = FromLearner::AckEpoch {
            last_zxid,
            current_epoch: (promise.is_some() || without(Guard::NoSecondPromise))
                .then_some(current),
        };
        core.tell_leader(conn, &packet);
    }

    fn diff(&mut self, zxid: i64, core: &mut Core) {
        debug!("DIFF up to 0x{zxid:x}");
        self.begin_sync("DIFF", None, core);
        self.phase = Phase::Syncing;
        if without(Guard::EpochAfterHistory) {
            core.store.enter_epoch(self.epoch, &mut core.out);
        }
    }

    fn trunc(&mut self, zxid: i64, core: &mut Core) {
        let position = core.store.end();
        let known = zxid > 0 && zxid <= position && core.store.history().went_through(zxid);
        if !known || core.store.is_ahead() {
            // To cut there would leave something that no server ever was (spec 14: TRUNC to what is
            // not in the log).
            core.want_snapshot = true;
            let why = format!("cannot go back from 0x{position:x} to 0x{zxid:x}");
            return core.leave(Next::Look, why);
        }
        self.begin_sync("TRUNC", Some(zxid), core);
        self.phase = Phase::Syncing;
        let pending = core.store.truncate(zxid, &mut core.out);
        self.wait = Some(Wait::Placed(pending));
    }

    fn begin_snapshot(&mut self, zxid: i64, decoder: &mut PacketDecoder, core: &mut Core) {
        if zxid < 0 {
            return core.leave(Next::Look, "the leader sends a state without a zxid");
        }
        self.begin_sync("SNAP", None, core);
        self.phase = Phase::Syncing;
        core.out.push(Effect::SnapshotBegin);
        let rest = decoder.take_rest();
        let incoming = Incoming::new(zxid, core.now, core.limits());
        self.take_snapshot(incoming, &rest, decoder, core);
    }

    fn take_snapshot(
        &mut self,
        mut incoming: Incoming,
        bytes: &[u8],
        decoder: &mut PacketDecoder,
        core: &mut Core,
    ) {
        match incoming.push(bytes) {
            Ok(part) => {
                if !part.bytes.is_empty() {
                    core.out.push(Effect::SnapshotBytes(part.bytes));
                }
                let Some(rest) = part.rest else {
                    self.incoming = Some(incoming);
                    return;
                };
                decoder.push(&rest);
                let zxid = incoming.zxid();
                debug!(
                    sid = core.params.sid,
                    bytes = incoming.total(),
                    ms = core.now - incoming.began(),
                    "the whole state at 0x{zxid:x} is here"
                );
                self.synced_bytes(incoming.total());
                self.in_snapshot = zxid;
                let pending = core.store.install(zxid, &mut core.out);
                self.wait = Some(Wait::Placed(pending));
            }
            Err(error) => {
                self.incoming = Some(incoming);
                core.leave(Next::Look, format!("the state is broken: {error}"));
            }
        }
    }

    fn begin_sync(&mut self, kind: &'static str, back_to: Option<i64>, core: &Core) {
        self.sync = Some(Box::new(Sync {
            kind,
            from: core.store.end(),
            back_to,
            since: core.now,
            to: core.store.end(),
            bytes: 0,
        }));
    }

    /// Counts what belongs to the sync.
    fn synced_bytes(&mut self, bytes: u64) {
        if let Some(sync) = &mut self.sync
            && self.phase == Phase::Syncing
        {
            sync.bytes += bytes;
        }
    }

    /// Says how this server was brought to where its leader is, or that it was not.
    fn end_sync(&mut self, done: bool, core: &Core) {
        let Some(sync) = self.sync.take() else {
            return;
        };
        info!(
            sid = core.params.sid,
            from = format_args!("0x{:x}", sync.from),
            back_to = sync.back_to.map(|zxid| tracing::field::display(Hex(zxid))),
            to = format_args!("0x{:x}", sync.to),
            bytes = sync.bytes,
            ms = core.now - sync.since,
            "{} {} server {}",
            sync.kind,
            if done { "from" } else { "broken off, from" },
            self.master
        );
    }

    /// A transaction goes into history and log at once; what is acknowledged when is another
    /// question.
    fn proposal(&mut self, proposal: Proposal, core: &mut Core) {
        let end = self.unlogged.back().map(|last| last.zxid);
        self.synced_bytes(FRAME + proposal.bytes.len() as u64);
        let (zxid, end) = (proposal.zxid, end.unwrap_or(core.store.end()));
        if zxid <= self.in_snapshot && self.phase != Phase::Live {
            return;
        }
        if reconfig::header(&proposal).is_none() {
            let why = format!("transaction 0x{zxid:x} has another header");
            return core.leave(Next::Look, why);
        }
        if !follows(end, zxid) {
            // A hole in what the leader sends: not to be logged, and not to be asked for again.
            core.want_snapshot = true;
            let why = format!("the leader sends 0x{zxid:x} behind 0x{end:x}");
            return core.leave(Next::Look, why);
        }
        core.see_config_of(&proposal);
        if core.leaving.is_some() {
            return;
        }
        if core.model.is_java() && self.phase != Phase::Live {
            self.unlogged.push_back(proposal);
            return;
        }
        self.append(proposal, core);
    }

    fn append(&mut self, proposal: Proposal, core: &mut Core) {
        let logs = core.params.observer_logs || (core.shall_vote() && !core.store.is_ahead());
        if self.observer && !logs {
            return core.store.keep_in_memory(proposal);
        }
        let pending = core.store.append(proposal, &mut core.out);
        if !self.observer {
            self.acks.push_back(pending);
            if without(Guard::AckAfterFlush) {
                self.acknowledge(core);
            }
        }
    }

    fn commit(&mut self, zxid: i64, designated: Option<Sid>, core: &mut Core) {
        self.synced_bytes(FRAME);
        if self.phase == Phase::Entering && without(Guard::EarlyCommitKept) {
            return;
        }
        if core.model.is_java() && self.phase != Phase::Live {
            return self.java_commit(zxid, designated, core);
        }
        let applied = core.store.applied();
        let next = core.store.history().next_after(applied);
        match next.map(|next| next.zxid) {
            Some(next) if next == zxid => {}
            // The state that was received has it.
            _ if zxid <= self.in_snapshot => return,
            None if self.phase == Phase::Live => {
                warn!("ignored COMMIT of 0x{zxid:x}: nothing waits for one");
                return;
            }
            next if self.phase == Phase::Live => {
                let next = next.unwrap_or_default();
                let why = format!("COMMIT of 0x{zxid:x}, but 0x{next:x} is next");
                return core.fatal(why);
            }
            _ => {
                let why = format!("COMMIT of 0x{zxid:x} behind 0x{applied:x}");
                return core.leave(Next::Look, why);
            }
        }
        self.apply(zxid, designated, core);
    }

    /// Applies what is next, and takes the configuration into force that it may be.
    fn apply(&mut self, zxid: i64, designated: Option<Sid>, core: &mut Core) {
        let proposal = core.store.apply_next(&mut core.out);
        let proposal = proposal.expect("it was looked at");
        self.inform(&proposal, designated, core);
        // What comes committed within the initial history is acknowledged by the ACK of NEWLEADER.
        if self.phase == Phase::Syncing && !core.model.is_java_38() {
            self.acks.retain(|pending| *pending.value() != zxid);
        }
        let Some(designated) = designated else {
            return;
        };
        if !core.params.reconfig {
            return;
        }
        match reconfig::config_of(&proposal) {
            Ok(config) => {
                let config = Arc::new(config);
                if let Some(next) = core.activate(&config, Some((designated, zxid))) {
                    core.leave(next, format!("server {designated} shall lead"));
                }
            }
            Err(why) => core.fatal(format!("transaction 0x{zxid:x} is activated, but: {why}")),
        }
    }

    /// NEWLEADER: all of the initial history was asked of the disk before; behind it the epoch.
    fn new_leader(&mut self, zxid: i64, config: Option<&str>, core: &mut Core) {
        if zxid != make(self.epoch, 0) {
            let why = format!("NEWLEADER of 0x{zxid:x} in epoch {}", self.epoch);
            return core.leave(Next::Look, why);
        }
        if let Some(text) = config.filter(|_| core.params.reconfig) {
            match Verifier::parse(text) {
                Ok(config) => {
                    core.agree_on_config(config.clone());
                    self.config = Some(Arc::new(config));
                }
                Err(error) => {
                    let why = format!("the leader's configuration does not read: {error}");
                    return core.leave(Next::Look, why);
                }
            }
        }
        if core.model.is_java() {
            self.java_new_leader(core);
        }
        if core.store.is_ahead() && core.shall_vote() {
            // The leader counts this server for a list that is not committed, and what it says now
            // stands for its disk.
            let why = "a proposed list makes this server a voter, and its disk lacks its state";
            return core.leave(Next::Look, why);
        }
        if let Some(sync) = &mut self.sync {
            sync.to = core.store.end();
        }
        self.phase = Phase::Entering;
        let pending = core.store.enter_epoch(self.epoch, &mut core.out);
        self.entering = Some(pending.with(zxid));
        if without(Guard::HistoryAckAfterFlush) || core.store.is_done(&pending) {
            self.acknowledge(core);
        }
        if without(Guard::ServeAfterUpToDate) {
            core.out.push(Effect::Role(self.role(true)));
        }
    }

    fn up_to_date(&mut self, core: &mut Core) {
        if self.entering.is_some() {
            return core.leave(Next::Look, "UPTODATE before NEWLEADER was acknowledged");
        }
        if let Some(config) = self.config.take()
            && let Some(next) = core.activate(&config, None)
        {
            return core.leave(
                next,
                "the leader's configuration has another leader or role",
            );
        }
        let Some(conn) = self.conn else {
            return;
        };
        self.phase = Phase::Live;
        core.store.found();
        core.tell_leader(
            conn,
            &FromLearner::Ack {
                zxid: make(self.epoch, 0),
            },
        );
        self.vote.epoch = self.epoch;
        let state = if self.observer {
            PeerState::Observing
        } else {
            PeerState::Following
        };
        core.elections
            .settle(state, self.vote, core.now, &mut core.out);
        core.out.push(Effect::Role(self.role(true)));
        info!(
            sid = core.params.sid,
            leader = self.vote.leader,
            epoch = self.epoch,
            zxid = format_args!("0x{:x}", core.store.end()),
            "{} server {}: up to date, clients are served",
            self.name(),
            self.vote.leader
        );
        self.take_observers(core);
        if core.model.is_java() {
            self.java_up_to_date(core);
        }
    }

    fn ping(&mut self, zxid: i64, core: &mut Core) {
        let Some(conn) = self.conn else {
            return;
        };
        let touched = std::mem::take(&mut self.touched)
            .into_iter()
            .map(|(session_id, timeout_ms)| Touch {
                session_id,
                timeout_ms,
            })
            .collect();
        core.tell_leader(conn, &FromLearner::Ping { zxid, touched });
    }

    /// ACK of all that is on the disk by now.
    fn acknowledge(&mut self, core: &mut Core) {
        if let Some(pending) = &self.entering
            && let Some(durable) = core.store.settled(pending, Guard::HistoryAckAfterFlush)
        {
            self.entering = None;
            self.heard = core.now;
            self.end_sync(true, core);
            self.send_ack(durable, core);
        }
        // Nothing overtakes the ACK of NEWLEADER (ZOOKEEPER-4685).
        let acknowledged = match core.model.is_java() {
            true => self.phase == Phase::Live,
            false => matches!(self.phase, Phase::Entering | Phase::Live),
        };
        while acknowledged
            && self.entering.is_none()
            && let Some(pending) = self.acks.front()
            && let Some(durable) = core.store.settled(pending, Guard::AckAfterFlush)
        {
            self.acks.pop_front();
            self.send_ack(durable, core);
        }
    }

    /// The disk has done something.
    pub(crate) fn persisted(&mut self, core: &mut Core) {
        self.acknowledge(core);
        match &self.wait {
            Some(Wait::Accepted(pending)) => {
                let Some(durable) = core.store.settled(pending, Guard::PromiseAfterFlush) else {
                    return;
                };
                self.wait = None;
                self.tell_position(Some(durable), core);
            }
            Some(Wait::Placed(pending)) => {
                if !core.store.is_done(pending) {
                    return;
                }
                if core.store.end() != *pending.value() {
                    // There was nothing to go back to, and nothing is left.
                    return core.leave(Next::Look, "the data of this server are discarded");
                }
                self.wait = None;
                self.heard = core.now;
            }
            None => return,
        }
        let mut decoder = self.decoder.take().expect("it is put back");
        self.take_packets(&mut decoder, core);
        self.decoder = Some(decoder);
    }

    /// ACK, of what is on the disk (release rule).
    fn send_ack(&mut self, zxid: Durable<i64>, core: &mut Core) {
        let Some(conn) = self.conn else {
            return;
        };
        core.tell_leader(conn, &FromLearner::Ack { zxid: zxid.get() });
    }

    /// A request of a client of this server.
    pub(crate) fn forward(&mut self, request: &Forwarded, core: &mut Core) {
        let authinfo: Vec<Id<'_>> = request
            .identities
            .iter()
            .map(|(scheme, id)| Id {
                scheme: Some(scheme.as_str().into()),
                id: Some(id.as_str().into()),
            })
            .collect();
        let request = ForwardedRequest {
            session_id: request.session,
            cxid: request.cxid,
            op: request.op,
            body: request.body.as_slice().into(),
            authinfo: (!authinfo.is_empty()).then_some(authinfo),
        };
        self.pass_on(request, None, core);
    }

    fn pass_on(&mut self, request: ForwardedRequest<'_>, by: Option<ConnId>, core: &mut Core) {
        if let (Phase::Live, Some(conn)) = (self.phase, self.conn) {
            if request.op == zooid_proto::OpCode::Sync as i32 {
                self.syncs.push_back(by);
            }
            core.tell_leader(conn, &FromLearner::Request(request));
        }
    }

    pub(crate) fn ask_revalidation(&mut self, session_id: i64, timeout_ms: i32, core: &mut Core) {
        let touch = Touch {
            session_id,
            timeout_ms,
        };
        self.ask(touch, None, core);
    }

    fn ask(&mut self, touch: Touch, by: Option<ConnId>, core: &mut Core) {
        if let (Phase::Live, Some(conn)) = (self.phase, self.conn) {
            self.asked.push_back(Asked {
                session: touch.session_id,
                timeout_ms: touch.timeout_ms,
                by,
            });
            core.tell_leader(conn, &FromLearner::Revalidate(touch));
        }
    }

    /// The leader answers in the order in which it was asked, and the oldest question about that
    /// session is the one.
    fn answered(&mut self, session: i64, valid: bool, core: &mut Core) {
        let at = self.asked.iter().position(|one| one.session == session);
        match at.and_then(|at| self.asked.remove(at)) {
            Some(asked) if asked.by.is_some() => self.revalidated(asked, valid, core),
            _ => core.out.push(Effect::RevalidationDone { session, valid }),
        }
    }

    pub(crate) fn touch(&mut self, session: i64, timeout_ms: i32) {
        if self.phase == Phase::Live {
            self.touched.insert(session, timeout_ms);
        }
    }

    /// When the leader is given up.
    fn silent_at(&self, core: &Core) -> u64 {
        let limit =
            if matches!(self.phase, Phase::Entering | Phase::Live) && self.entering.is_none() {
                core.params.sync_limit
            } else {
                core.params.init_limit
            };
        self.heard + core.ticks(limit)
    }

    pub(crate) fn next_timeout(&self, core: &Core) -> u64 {
        let due = match (self.retry_at, self.phase) {
            (Some(retry_at), _) => retry_at.min(self.give_up_at),
            (None, Phase::Connecting) => self.give_up_at,
            (None, _) => self.silent_at(core) + 1,
        };
        if self.is_master(core) {
            due.min(self.observers.next_half_tick())
        } else {
            due
        }
    }

    pub(crate) fn tick(&mut self, core: &mut Core) {
        if self.phase == Phase::Connecting {
            if core.now >= self.give_up_at {
                let why = format!("server {} is not reached", self.master);
                core.leave(Next::Look, why);
            } else if self.retry_at.is_some_and(|retry_at| core.now >= retry_at) {
                self.dial(core);
            }
        } else if core.now > self.silent_at(core)
            && self.wait.is_none()
            && !without(Guard::SilentLeaderLeft)
        {
            let why = format!("server {} is silent", self.master);
            core.leave(Next::Look, why);
        }
        if self.is_master(core) {
            self.observer_tick(core);
        }
    }

    /// Closes the connection, and drops a state that is not whole.
    pub(crate) fn end(&mut self, core: &mut Core) {
        self.end_sync(false, core);
        if let Some(conn) = self.conn.take() {
            core.out.close(conn);
        }
        if self.incoming.take().is_some() {
            core.out.push(Effect::SnapshotAbort);
        }
        self.observers.end(core);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it is an observer.
    pub(crate) fn is_observing(&self) -> bool {
        self.observer
    }

    pub(crate) fn leader(&self) -> Sid {
        self.vote.leader
    }

    /// Who tells this server what is committed.
    pub(crate) fn master(&self) -> Sid {
        self.master
    }

    pub(crate) fn pending_syncs(&self) -> u64 {
        self.syncs.len() as u64
    }
}

/// A zxid as it is told.
struct Hex(i64);

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

fn proposal(zxid: i64, txn: &[u8]) -> Proposal {
    Proposal {
        zxid,
        bytes: txn.into(),
    }
}
