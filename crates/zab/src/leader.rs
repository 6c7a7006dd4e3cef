//! Leading: agreement on an epoch, bringing learners up to date, broadcast.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tracing::{debug, info};
use zooid_proto::quorum::{ForwardedRequest, FromLeader, Touch};
use zooid_proto::vote::PeerState;
use zooid_proto::zxid::{counter, epoch, make};

use crate::core::{Core, Next};
use crate::election::Vote;
use crate::handler::{Handler, Stage, forwarded, retracted};
use crate::handlers::{Handlers, LAST_EPOCH, Master};
use crate::io::{ConnId, Effect, Proposal, Role, Sid};
use crate::mutations::{Guard, without};
use crate::quorum::{Tracker, Verifier};
use crate::reconfig;
use crate::status::Sample;
use crate::store::{Durable, Pending};

/// How far ahead of its leader the promise of a voter can be, in epochs: each attempt to lead that
/// failed is one.
const MAX_AHEAD: i64 = 1000;

/// A voter that is refused comes again within so many ticks: after a tick here
/// (`Peer`'s back-off), and a second or two for an election of Java.
const VISIT_TICKS: u64 = 4;

/// How far a leader has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Waits for a quorum to say which epochs it has accepted.
    Discovery,
    /// The epoch is chosen, and not on the disk.
    Accepting,
    /// Waits for a quorum to promise to the epoch.
    Electing,
    /// Waits for a quorum to have the initial history.
    Synchronizing,
    /// Established.
    Broadcast,
}

/// A transaction that is not committed.
#[derive(Debug)]
struct Outstanding {
    zxid: i64,
    tracker: Tracker,
    own: Pending<i64>,
    /// The configuration that it makes.
    config: Option<Arc<Verifier>>,
}

/// A leader.
#[derive(Debug)]
pub(crate) struct Leader {
    vote: Vote,
    phase: Phase,
    /// When it gives up waiting, before broadcast.
    deadline: u64,
    /// When to give up because too few are connected of those that came.
    deserted_at: Option<u64>,
    /// The epoch to be, at least.
    proposed: i64,
    connecting: BTreeSet<Sid>,
    electing: Tracker,
    newleader: Tracker,
    /// What ACKEPOCH is compared with: current epoch and last zxid at the start.
    summary: (i64, i64),
    accepting: Option<Pending<i64>>,
    /// The epoch, once it may be told (release rule of LEADERINFO).
    accepted: Option<Durable<i64>>,
    entering: Option<Pending<i64>>,
    handlers: Handlers,
    last_proposed: i64,
    /// The last own transaction that was counted.
    own_acked: i64,
    outstanding: VecDeque<Outstanding>,
    syncs: VecDeque<(i64, ConnId)>,
    /// Until when it waits for followers to have everything, before it gives up leading, and for what:
    /// [`Input::Stop`](crate::Input::Stop) was given, or it steps aside.
    stopping: Option<(u64, Next)>,
    /// Voters that have promised themselves to a later epoch than this: their first visit of those
    /// that follow on each other, and the last one, ms.
    ahead: BTreeMap<Sid, (u64, u64)>,
    /// Servers whose epoch cannot be, and of which that was said.
    implausible: BTreeSet<Sid>,
}

impl Leader {
    pub(crate) fn new(core: &mut Core, vote: Vote) -> Leader {
        let sid = core.params.sid;
        let position = core.store.position();
        core.out.push(Effect::Role(Role::Leading {
            epoch: core.store.current(),
            serving: false,
        }));
        info!(sid, "LEADING: waiting for a quorum of followers");
        let voters_only = Tracker::new(&core.committed, None);
        let mut leader = Leader {
            vote,
            phase: Phase::Discovery,
            deadline: core.now + core.ticks(core.params.init_limit),
            deserted_at: None,
            proposed: core.store.accepted().max(core.yielded_to) + 1,
            connecting: BTreeSet::from([sid]),
            electing: voters_only.clone(),
            newleader: voters_only,
            summary: (core.store.current(), position),
            accepting: None,
            accepted: None,
            entering: None,
            handlers: Handlers::new(core),
            last_proposed: position,
            own_acked: position,
            outstanding: VecDeque::new(),
            syncs: VecDeque::new(),
            stopping: None,
            ahead: BTreeMap::new(),
            implausible: BTreeSet::new(),
        };
        leader.try_fix_epoch(core);
        leader
    }

    /// Whether a quorum has its history.
    pub(crate) fn is_established(&self) -> bool {
        self.phase == Phase::Broadcast
    }

    fn try_fix_epoch(&mut self, core: &mut Core) {
        let quorum = match without(Guard::VotersOnly) {
            true => self.connecting.len() > core.committed.voters().len() / 2,
            false => core.committed.decides(&self.connecting, self.alone(core)),
        };
        let counted = self.connecting.contains(&core.params.sid) && quorum;
        if self.phase != Phase::Discovery || !counted {
            return;
        }
        if self.proposed >= LAST_EPOCH {
            core.fatal("there is no epoch left".to_owned());
            return;
        }
        self.phase = Phase::Accepting;
        self.accepting = Some(core.store.accept_epoch(self.proposed, &mut core.out));
        if without(Guard::LeaderInfoAfterFlush) {
            self.persisted(core);
        }
    }

    /// LEADERINFO to all that wait for it. Needs the proof that the epoch is on the disk.
    fn inform(&mut self, core: &mut Core) {
        if let Some(accepted) = self.accepted {
            self.handlers.inform(accepted.get(), core);
        }
    }

    /// The disk has done something.
    pub(crate) fn persisted(&mut self, core: &mut Core) {
        if self.phase == Phase::Accepting
            && let Some(pending) = &self.accepting
            && let Some(durable) = core.store.settled(pending, Guard::LeaderInfoAfterFlush)
        {
            self.accepted = Some(durable);
            self.phase = Phase::Electing;
            self.deadline = core.now + core.ticks(core.params.init_limit);
            self.electing.add(core.params.sid);
            self.inform(core);
            self.try_elect(core);
        }
        if self.phase == Phase::Synchronizing
            && let Some(pending) = &self.entering
            && let Some(own) = core.store.settled(pending, Guard::OwnAckAfterFlush)
        {
            self.count_own_newleader(own, core);
        }
        if self.phase == Phase::Broadcast {
            self.count_own_acks(core);
        }
    }

    fn try_elect(&mut self, core: &mut Core) {
        if self.phase != Phase::Electing || !self.electing.is_decided(self.alone(core)) {
            return;
        }
        let e = self.epoch();
        self.phase = Phase::Synchronizing;
        self.deadline = core.now + core.ticks(core.params.init_limit);
        // The first leader with configurations that can change gives the one from the files a
        // version (ZOOKEEPER-1783).
        if core.last_seen().version() == 0 {
            let config = core.committed.with_version(make(e, 0));
            core.see_config(config);
        }
        self.newleader = core.tracker();
        self.entering = Some(core.store.enter_epoch(e, &mut core.out));
        let placed: Vec<(ConnId, i64)> = self
            .handlers
            .iter()
            .filter_map(|(conn, handler)| match handler.stage {
                Stage::Placed { position } => Some((conn, position)),
                _ => None,
            })
            .collect();
        for (conn, position) in placed {
            self.synchronize(conn, position, core);
        }
    }

    /// Sends a learner what it lacks, NEWLEADER, and what is not committed yet, and all that comes
    /// from now on: one step, so that nothing is lost or comes twice.
    fn synchronize(&mut self, conn: ConnId, position: i64, core: &mut Core) {
        let epoch = self.epoch();
        if let Err(why) = self.handlers.bring_up(conn, position, epoch, core) {
            return self.refuse(conn, why, core);
        }
        let handler = self.handlers.at(conn);
        let (sid, observer) = (handler.sid, handler.observer);
        // What it acknowledged on an older connection may have been cut off just now.
        for entry in &mut self.outstanding {
            entry.tracker = retracted(&entry.tracker, sid);
        }
        let forwarded = !observer && !without(Guard::OutstandingForwarded);
        let mut after = match forwarded {
            true => core.store.applied(),
            false => i64::MAX,
        };
        while let Some(proposal) = core.store.history().next_after(after).cloned() {
            after = proposal.zxid;
            let handler = self.handlers.at(conn);
            handler.unacked.push_back((proposal.zxid, core.now));
            send_proposal(core, conn, &proposal);
        }
        self.handlers.bring_in(conn, epoch, core);
    }

    /// Takes the proof that the own history and the epoch are on the disk.
    fn count_own_newleader(&mut self, own: Durable<i64>, core: &mut Core) {
        assert_eq!(own.get(), self.epoch(), "the epoch that was entered");
        self.entering = None;
        self.newleader.add(core.params.sid);
        self.try_establish(core);
    }

    fn try_establish(&mut self, core: &mut Core) {
        // Java, too, goes on only with its own acknowledgement, whatever a quorum has said.
        let own = self.entering.is_none();
        let quorum =
            self.newleader.is_decided(self.alone(core)) || without(Guard::HistoryNeedsQuorum);
        if self.phase != Phase::Synchronizing || !own || !quorum {
            return;
        }
        let e = self.epoch();
        self.phase = Phase::Broadcast;
        self.last_proposed = make(e, 0);
        core.store.found();
        core.want_snapshot = false;
        if core.params.reconfig {
            let seen = core.last_seen().clone();
            let acked = self.newleader.sets().last().map(|set| set.1.clone());
            let designated = self.designated(&seen, acked.unwrap_or_default(), core);
            if let Some(next) = core.activate(&seen, Some((designated, make(e, 0)))) {
                core.leave(next, "another server shall lead");
                return;
            }
        }
        self.vote.epoch = e;
        core.elections
            .settle(PeerState::Leading, self.vote, core.now, &mut core.out);
        core.out.push(Effect::Role(Role::Leading {
            epoch: e,
            serving: true,
        }));
        info!(
            sid = core.params.sid,
            epoch = e,
            "LEADING: established, a quorum has the history of epoch {e}"
        );
        for conn in self.handlers.which(|one| one.stage == Stage::Synced) {
            self.up_to_date(conn, core);
        }
    }

    /// UPTODATE. The epoch is established (release rule).
    fn up_to_date(&mut self, conn: ConnId, core: &mut Core) {
        assert_eq!(self.phase, Phase::Broadcast, "UPTODATE needs a quorum");
        self.handlers.up_to_date(conn, core);
    }

    /// A transaction of the state machine.
    pub(crate) fn propose(&mut self, proposal: Proposal, core: &mut Core) {
        let zxid = proposal.zxid;
        if self.phase != Phase::Broadcast || epoch(zxid) != self.epoch() {
            debug!("ignored transaction 0x{zxid:x} of another term");
            return;
        }
        if self.stopping.is_some() {
            return;
        }
        if zxid != self.last_proposed + 1 {
            let why = format!("0x{zxid:x} proposed behind 0x{:x}", self.last_proposed);
            core.fatal(why);
            return;
        }
        if counter(zxid) == core.model.last_counter() {
            // The last number of an epoch is never given (ZOOKEEPER-1277).
            core.leave(Next::Look, "the numbers of this epoch are used up");
            return;
        }
        core.see_config_of(&proposal);
        if core.leaving.is_some() {
            return;
        }
        let config = core
            .seen
            .clone()
            .filter(|seen| seen.version() == zxid && reconfig::is_reconfig(&proposal));
        self.last_proposed = zxid;
        let tracker = core.tracker();
        let own = core.store.append(proposal.clone(), &mut core.out);
        self.outstanding.push_back(Outstanding {
            zxid,
            tracker,
            own,
            config,
        });
        for (conn, handler) in self.handlers.iter_mut() {
            if handler.is_forwarding() && !handler.observer {
                handler.unacked.push_back((zxid, core.now));
                send_proposal(core, conn, &proposal);
            }
        }
        if without(Guard::OwnAckAfterFlush) {
            self.count_own_acks(core);
        }
    }

    /// Own acknowledgements, for what is on the disk (release rule of ACK).
    fn count_own_acks(&mut self, core: &mut Core) {
        let counted = self.own_acked;
        let from = self
            .outstanding
            .partition_point(|entry| entry.zxid <= counted);
        for entry in self.outstanding.range_mut(from..) {
            let Some(durable) = core.store.settled(&entry.own, Guard::OwnAckAfterFlush) else {
                break;
            };
            assert_eq!(durable.get(), entry.zxid, "the proof of this transaction");
            entry.tracker.add(core.params.sid);
            self.own_acked = entry.zxid;
        }
        self.try_commit(core);
    }

    fn count_ack(&mut self, sid: Sid, zxid: i64) {
        let at = self.outstanding.partition_point(|entry| entry.zxid < zxid);
        if let Some(entry) = self.outstanding.get_mut(at)
            && entry.zxid == zxid
        {
            entry.tracker.add(sid);
        }
    }

    /// Commits in order what all quorums have.
    fn try_commit(&mut self, core: &mut Core) {
        while core.leaving.is_none() && self.head_is_agreed(core) {
            let head = self.outstanding.pop_front().expect("it was there");
            self.commit(head, core);
        }
        self.try_stop(core);
    }

    fn head_is_agreed(&self, core: &Core) -> bool {
        let alone = self.alone(core);
        let agreed = |entry: &Outstanding| {
            entry.tracker.is_decided(alone) || without(Guard::CommitNeedsQuorum)
        };
        self.outstanding.front().is_some_and(agreed)
    }

    fn commit(&mut self, head: Outstanding, core: &mut Core) {
        let zxid = head.zxid;
        assert_eq!(
            self.phase,
            Phase::Broadcast,
            "COMMIT needs an established epoch"
        );
        let designated = head.config.as_ref().map(|config| {
            let acked = head.tracker.sets().last().map(|set| set.1.clone());
            self.designated(config, acked.unwrap_or_default(), core)
        });
        let proposal = core.store.apply_next(&mut core.out);
        let proposal = proposal.expect("what is outstanding is in memory");
        assert_eq!(proposal.zxid, zxid, "commits are in order (I12)");
        let txn = || proposal.bytes.as_ref().into();
        let (commit, inform) = match designated {
            None => (
                FromLeader::Commit { zxid },
                FromLeader::Inform { zxid, txn: txn() },
            ),
            Some(designated_leader) => (
                FromLeader::CommitAndActivate {
                    zxid,
                    designated_leader,
                },
                FromLeader::InformAndActivate {
                    zxid,
                    designated_leader,
                    txn: txn(),
                },
            ),
        };
        for (conn, handler) in self.handlers.iter() {
            if handler.is_forwarding() {
                core.tell_learner(conn, if handler.observer { &inform } else { &commit });
            }
        }
        while self.syncs.front().is_some_and(|sync| sync.0 <= zxid) {
            let (_, conn) = self.syncs.pop_front().expect("it was there");
            self.answer_sync(conn, core);
        }
        if let (Some(designated), Some(config)) = (designated, head.config)
            && let Some(next) = core.activate(&config, Some((designated, zxid)))
            && !without(Guard::HandOverEnds)
        {
            // Nothing is committed from here on (R2).
            core.leave(next, format!("server {designated} shall lead"));
        }
    }

    /// Who leads a new configuration: this server if it votes there at the same address, or else one
    /// that has acknowledged most of what is outstanding (`Leader.getDesignatedLeader`).
    fn designated(&self, config: &Verifier, acked: BTreeSet<Sid>, core: &Core) -> Sid {
        let own = core.params.sid;
        if let (Some(new), Some(old)) = (config.member(own), core.committed.member(own))
            && reconfig::votes(new)
            && new.has_addresses_of(old)
        {
            return own;
        }
        let mut candidates: BTreeSet<Sid> = acked
            .into_iter()
            .filter(|&sid| sid != own && config.is_voter(sid))
            .collect();
        for entry in &self.outstanding {
            if candidates.len() <= 1 {
                break;
            }
            let kept: BTreeSet<Sid> = candidates
                .iter()
                .copied()
                .filter(|&sid| entry.tracker.contains(sid))
                .collect();
            if kept.is_empty() {
                break;
            }
            candidates = kept;
        }
        candidates.first().copied().unwrap_or(own)
    }

    /// A `sync` of a learner has come to its turn.
    pub(crate) fn learner_sync(&mut self, conn: ConnId, core: &mut Core) {
        if self.outstanding.is_empty() {
            self.answer_sync(conn, core);
        } else {
            self.syncs.push_back((self.last_proposed, conn));
        }
    }

    fn answer_sync(&mut self, conn: ConnId, core: &mut Core) {
        if self.handlers.is_live(conn) {
            core.tell_learner(conn, &FromLeader::Sync);
        }
    }

    pub(crate) fn revalidated(&mut self, conn: ConnId, session: i64, valid: bool, core: &mut Core) {
        if self.handlers.is_live(conn) {
            let packet = FromLeader::Revalidated {
                session_id: session,
                valid,
            };
            core.tell_learner(conn, &packet);
        }
    }

    /// Whether those that are connected can be a quorum.
    fn may_be_established(&self, core: &Core) -> bool {
        let known = self.handlers.values().filter(|handler| handler.is_known());
        let mut sids: BTreeSet<Sid> = known.map(|handler| handler.sid).collect();
        sids.insert(core.params.sid);
        let voters = sids.iter().filter(|sid| core.committed.is_voter(**sid));
        let voters: BTreeSet<Sid> = voters.copied().collect();
        core.committed.decides(&voters, self.alone(core))
    }

    pub(crate) fn next_timeout(&self) -> u64 {
        let waiting = (self.phase != Phase::Broadcast).then_some(self.deadline);
        let deserted = self.deserted_at.filter(|_| self.phase != Phase::Broadcast);
        [waiting, deserted, self.stopping.map(|stopping| stopping.0)]
            .into_iter()
            .flatten()
            .fold(self.handlers.next_half_tick(), u64::min)
    }

    pub(crate) fn tick(&mut self, core: &mut Core) {
        if self.phase != Phase::Broadcast && core.now >= self.deadline {
            let why = format!("no quorum within initLimit ({:?})", self.phase);
            core.leave(Next::Look, why);
            return;
        }
        let deserted = self.deserted_at.is_some_and(|at| core.now >= at);
        if self.phase != Phase::Broadcast && deserted {
            core.leave(Next::Look, "those who came have gone");
            return;
        }
        self.try_stop(core);
        if core.leaving.is_none() && self.handlers.half_tick(core) {
            self.half_tick(core);
        }
    }

    fn half_tick(&mut self, core: &mut Core) {
        self.drop_silent(core);
        self.reconsider(core);
        if self.phase != Phase::Broadcast {
            return;
        }
        let lonely = self.handlers.is_whole_tick() && !self.has_synced_quorums(core);
        if lonely && !without(Guard::LonelyLeaderStops) {
            core.leave(Next::Look, "a quorum of followers is out of touch");
            return;
        }
        self.handlers.ping(self.last_proposed, core);
    }

    /// This server, if the oracle lets it decide alone, and it is: no voter that is in touch gets what
    /// is proposed (`QuorumOracleMaj.updateNeedOracle`).
    fn alone(&self, core: &Core) -> Option<Sid> {
        let voter = |one: &Handler| {
            one.is_forwarding() && core.committed.is_voter(one.sid) && self.handlers.in_touch(one)
        };
        let alone = core.oracle && !self.handlers.values().any(voter);
        alone.then_some(core.params.sid)
    }

    /// Whatever waited for others: the oracle may have spoken, or who was waited for is gone.
    pub(crate) fn reconsider(&mut self, core: &mut Core) {
        if core.oracle {
            self.try_fix_epoch(core);
            self.try_elect(core);
            self.try_establish(core);
            self.try_commit(core);
        }
    }

    /// Whether quorums of both configurations are in touch.
    fn has_synced_quorums(&self, core: &Core) -> bool {
        let mut tracker = core.tracker();
        tracker.add(core.params.sid);
        for handler in self.handlers.values() {
            if self.handlers.in_touch(handler) {
                tracker.add(handler.sid);
            }
        }
        tracker.is_decided(self.alone(core))
    }

    /// Stops once the followers have everything.
    pub(crate) fn stop(&mut self, core: &mut Core) {
        let until = self.stopping.map(|stopping| stopping.0);
        self.stopping = Some((until.unwrap_or(core.now + core.ticks(1)), Next::Stop));
        self.try_stop(core);
    }

    /// A voter comes that has promised itself to a later epoch: its own attempts to lead ended before
    /// they had a quorum. It must not follow this leader, and with Java it is out until somebody else
    /// ends the epoch, perhaps for months, with the ensemble one failure from a standstill. An election
    /// costs less: if it keeps coming for `syncLimit`, so that no election is under way that ends
    /// this by itself, the leader steps aside as for a stop. Its next epoch is above that promise, so
    /// that it does so once at most for each. Who comes may be anyone: no claim uses up the epochs.
    fn meet(&mut self, conn: ConnId, accepted: i64, core: &mut Core) {
        let handler = self.handlers.at(conn);
        let sid = handler.sid;
        let counts = !handler.observer && core.committed.is_voter(sid);
        let ahead = accepted > self.epoch() && core.committed.weight(sid) != 0;
        if !counts || !ahead || self.stopping.is_some() || core.model.is_java() {
            return;
        }
        if accepted > self.epoch() + MAX_AHEAD {
            if self.implausible.insert(sid) {
                let what = format!(
                    "server {sid} says that it has promised itself to epoch {accepted}, this is \
                     epoch {}: no failed elections explain that, and this server goes on leading",
                    self.epoch()
                );
                core.remark(conn, Some(sid), what);
            }
            return;
        }
        let patience = core.ticks(VISIT_TICKS);
        let visits = self.ahead.entry(sid).or_insert((core.now, core.now));
        if core.now > visits.1 + patience {
            visits.0 = core.now;
        }
        visits.1 = core.now;
        let since = visits.0;
        if core.now < since + core.ticks(core.params.sync_limit) {
            return;
        }
        info!(
            sid = core.params.sid,
            learner = sid,
            "stepping aside: server {sid} has promised itself to epoch {accepted}, this is epoch {}",
            self.epoch()
        );
        core.yielded_to = core.yielded_to.max(accepted);
        self.stopping = Some((core.now + core.ticks(1), Next::Look));
        self.try_stop(core);
    }

    fn try_stop(&mut self, core: &mut Core) {
        let Some((until, next)) = self.stopping else {
            return;
        };
        let all_acked = self.handlers.values().all(|handler| {
            handler.stage != Stage::Live
                || !core.committed.is_voter(handler.sid)
                || handler.unacked.is_empty()
        });
        let done = self.phase != Phase::Broadcast || (self.outstanding.is_empty() && all_acked);
        if done || core.now >= until {
            let why = match next {
                Next::Stop => "the server stops",
                _ => "for an epoch that all can follow",
            };
            core.leave(next, why);
        }
    }

    /// Closes all connections.
    pub(crate) fn end(&mut self, core: &mut Core) {
        self.handlers.end(core);
    }

    /// The epoch that is being agreed on, or is.
    pub(crate) fn epoch(&self) -> i64 {
        self.accepted.map_or(self.proposed, Durable::get)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn learners(&self) -> impl Iterator<Item = &Handler> {
        self.handlers.values()
    }

    pub(crate) fn last_proposed(&self) -> i64 {
        self.last_proposed
    }

    pub(crate) fn pending_syncs(&self) -> usize {
        self.syncs.len()
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// The participants that are up to date, and this server if it votes.
    pub(crate) fn synced_participants(&self, core: &Core) -> BTreeSet<Sid> {
        let mut synced: BTreeSet<Sid> = self
            .handlers
            .values()
            .filter(|handler| handler.stage == Stage::Live && !handler.observer)
            .map(|handler| handler.sid)
            .collect();
        synced.insert(core.params.sid);
        synced
    }
}

impl Master for Leader {
    fn handlers(&mut self) -> &mut Handlers {
        &mut self.handlers
    }

    fn takes_followers(&self) -> bool {
        true
    }

    fn joined(&mut self, conn: ConnId, accepted: i64, core: &mut Core) {
        let sid = self.handlers.at(conn).sid;
        if self.may_be_established(core) {
            self.deserted_at = None;
        }
        if self.phase == Phase::Discovery {
            // Whoever comes may raise the epoch, but only voters are counted.
            if !without(Guard::EpochAboveAll) {
                self.proposed = self.proposed.max(accepted + 1);
            }
            self.connecting.insert(sid);
            self.try_fix_epoch(core);
        }
        if self.phase == Phase::Broadcast {
            self.meet(conn, accepted, core);
        }
        self.inform(core);
    }

    fn placed(&mut self, conn: ConnId, position: i64, current: Option<i32>, core: &mut Core) {
        let sid = self.handlers.at(conn).sid;
        if self.phase > Phase::Electing {
            self.synchronize(conn, position, core);
            return;
        }
        // Without an epoch it tells its position only: it had promised itself to this epoch before.
        if let Some(current) = current {
            let more = (i64::from(current), position) > self.summary;
            if more && !without(Guard::PositionsCompared) {
                let why = format!(
                    "server {sid} has seen more: epoch {current}, 0x{position:x} against {}, 0x{:x}",
                    self.summary.0, self.summary.1
                );
                self.refuse(conn, why, core);
                return;
            }
            if position != -1 {
                self.electing.add(sid);
            }
        }
        self.try_elect(core);
    }

    fn ack(&mut self, conn: ConnId, zxid: i64, core: &mut Core) {
        let newleader = make(self.epoch(), 0);
        let handler = self.handlers.at(conn);
        let sid = handler.sid;
        if handler.stage != Stage::Syncing {
            // That with counter 0 answers UPTODATE.
            if counter(zxid) != 0 {
                let queued = handler.unacked.len() as u64;
                if let Some(sent) = handler.unacked.front().filter(|sent| sent.0 == zxid) {
                    core.measured(Sample::Ack {
                        learner: sid,
                        queued,
                        ms: core.now - sent.1.min(core.now),
                    });
                }
                handler.acknowledged(zxid);
                self.count_ack(sid, zxid);
                self.try_commit(core);
            }
            return;
        }
        if zxid != newleader {
            // Learners of 3.9.0 and 3.9.1 may say this first. It counts when the history before it
            // is known to be there.
            if epoch(zxid) == epoch(newleader) {
                handler.early_ack = handler.early_ack.max(Some(zxid));
            }
            return;
        }
        handler.stage = Stage::Synced;
        let early = handler.early_ack.take();
        handler.brought_up(core);
        let handler = self.handlers.at(conn);
        if let Some(early) = early {
            handler.acknowledged(early);
            let acked: Vec<i64> = self
                .outstanding
                .iter()
                .map(|entry| entry.zxid)
                .take_while(|&zxid| zxid <= early)
                .collect();
            acked.into_iter().for_each(|zxid| self.count_ack(sid, zxid));
        }
        self.newleader.add(sid);
        if self.phase == Phase::Broadcast {
            self.up_to_date(conn, core);
            self.try_commit(core);
        } else {
            self.try_establish(core);
        }
    }

    fn touched(&mut self, touch: Touch, core: &mut Core) {
        core.out.push(Effect::Touched {
            session: touch.session_id,
            timeout_ms: touch.timeout_ms,
        });
    }

    fn revalidate(&mut self, conn: ConnId, touch: Touch, core: &mut Core) {
        core.out.push(Effect::Revalidate {
            conn,
            session: touch.session_id,
            timeout_ms: touch.timeout_ms,
        });
    }

    fn request(&mut self, conn: ConnId, request: ForwardedRequest<'_>, core: &mut Core) {
        core.out.push(Effect::Request {
            conn,
            request: forwarded(request),
        });
    }

    fn lost(&mut self, conn: ConnId, replaced: bool, core: &mut Core) {
        self.syncs.retain(|sync| sync.1 != conn);
        let deserted = !replaced && self.phase != Phase::Broadcast;
        if deserted && !self.may_be_established(core) && !core.model.is_java() {
            // Those that are left may have lost their voter for good: a tick for it to come back,
            // not all of initLimit.
            let at = core.now + core.params.tick_ms;
            self.deserted_at.get_or_insert(at);
        }
        self.try_stop(core);
    }
}

fn send_proposal(core: &mut Core, conn: ConnId, proposal: &Proposal) {
    let packet = FromLeader::Proposal {
        zxid: proposal.zxid,
        txn: proposal.bytes.as_ref().into(),
    };
    core.tell_learner(conn, &packet);
}
