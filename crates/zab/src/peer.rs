//! A peer: one server of an ensemble, without sockets, disk and clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{debug, info};
use zooid_proto::ErrorCode;
use zooid_proto::members::Membership;
use zooid_proto::vote::PeerState;
use zooid_proto::zxid::make;

use crate::boot::Boot;
use crate::core::{Core, Next};
use crate::election::{ElectionEvent, Elections, Standing, Vote};
use crate::handler::Handler;
use crate::handlers::Master;
use crate::io::{ConnId, Effect, Input, Port, Role};
use crate::leader::{self, Leader};
use crate::learner::{self, Learner};
use crate::quorum::Verifier;
use crate::reconfig::{self, ReconfigRequest};
use crate::status::{LearnerStatus, Progress, Sample, Status};
use crate::store::Store;

/// Connections that wait for this server to know its role, at most: more than learners that an
/// ensemble has.
const MAX_PARKED: usize = 128;

/// Bytes that such a connection may have sent: its first packet, which is all that a learner sends
/// before it is answered.
const MAX_PARKED_BYTES: usize = 4 << 10;

/// How long such a connection waits, ms, and at least a tick. Java has no socket then, and a learner of
/// Java tries for half a second: it only has to bridge what separates two decisions of one election.
/// Who follows a server that did not become leader must not wait for it longer.
const PARKING_MS: u64 = 1000;

/// Between two elections whose leaders did not take this server in, ms, doubled each time up to a
/// tick: one that promised itself to a later epoch is refused until there is another leader. Java's
/// elections take longer than that by themselves.
const BACK_OFF_MS: u64 = 25;

#[derive(Debug)]
enum State {
    /// The disk finishes what the role before asked for, and it is not too early; then this follows.
    Draining(Next),
    Looking,
    Leading(Leader),
    Learning(Learner),
    /// Nothing is done any more.
    Over,
}

/// A connection on the quorum port that nobody has answered.
#[derive(Debug)]
struct Parked {
    since: u64,
    bytes: Vec<u8>,
}

/// One server of an ensemble. What goes in and comes out is in [`io`](crate::io).
#[derive(Debug)]
pub struct Peer {
    core: Core,
    state: State,
    role: Role,
    parked: BTreeMap<ConnId, Parked>,
    looking_since: u64,
    election_ms: Option<u64>,
    /// Roles in a row that came to nothing.
    failures: u32,
    /// When the next election may begin.
    not_before: u64,
}

impl Peer {
    /// Starts at `now` (ms), looking for a leader. Where what was on the disk cannot be, all that it
    /// says is [`Effect::Fatal`].
    pub fn new(boot: Boot, now: u64) -> Peer {
        let (committed, seen, wrong) = match configurations(&boot) {
            Ok((committed, seen)) => (committed, seen, None),
            Err(wrong) => (Verifier::new(Membership::default()), None, Some(wrong)),
        };
        let (committed, seen) = (Arc::new(committed), seen.map(Arc::new));
        let elections = Elections::new(&boot.params, committed.clone(), seen.clone());
        let store = Store::new(&boot);
        let mut peer = Peer {
            core: Core::new(boot.params, store, elections, committed, seen, now),
            state: State::Draining(Next::Look),
            role: Role::Looking,
            parked: BTreeMap::new(),
            looking_since: now,
            election_ms: None,
            failures: 0,
            not_before: now,
        };
        match wrong {
            Some(wrong) => peer.core.fatal(wrong),
            None => peer.tell(Next::Look),
        }
        peer.settle();
        peer
    }

    /// From now on this peer does what a member of Java does, for simulations.
    #[cfg(feature = "mutations")]
    pub fn imitate(&mut self, java: crate::java::Java) {
        self.core.model.java = Some(java);
        self.core.elections.imitate(self.core.model);
    }

    /// An epoch of this leader ends with this counter, for simulations: a real one has 2^32.
    #[cfg(feature = "mutations")]
    pub fn end_epochs_at(&mut self, counter: u32) {
        self.core.model.last_counter = Some(counter);
    }

    /// Takes in what has happened, at `now` (ms, never less than before).
    pub fn handle(&mut self, input: Input<'_>, now: u64) {
        self.core.now = self.core.now.max(now);
        if matches!(self.state, State::Over) {
            return;
        }
        self.take(input);
        self.settle();
    }

    /// What is to be done next. To be asked until there is nothing more.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.core.out.pop()?;
        if let Effect::Role(role) = &effect {
            self.role = *role;
        }
        Some(effect)
    }

    /// What was measured since the last call, or since there was no room for more.
    pub fn take_samples(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.core.samples)
    }

    /// When [`Input::Tick`] is due at the latest, ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        if matches!(self.state, State::Over) {
            return None;
        }
        let role = match &self.state {
            State::Leading(leader) => Some(leader.next_timeout()),
            State::Learning(learner) => Some(learner.next_timeout(&self.core)),
            State::Draining(_) if self.core.store.may_vote() => Some(self.not_before),
            _ => None,
        };
        let parked = self.parked.values().map(|parked| parked.since).min();
        let parked = parked.map(|since| since + self.parking_ms());
        let elections = self.core.elections.next_timeout();
        [role, parked, elections].into_iter().flatten().min()
    }

    fn take(&mut self, input: Input<'_>) {
        let core = &mut self.core;
        match (input, &mut self.state) {
            (Input::Accepted { conn, port }, _) => self.accepted(conn, port),
            (Input::Dialed { conn }, state) => {
                if core.elections.owns(conn) {
                    let events = core.elections.dialed(conn, core.now, &mut core.out);
                    core.events.extend(events);
                } else if let State::Learning(learner) = state {
                    learner.dialed(conn, core);
                }
            }
            (Input::Received { conn, bytes }, _) => self.received(conn, bytes),
            (Input::Closed { conn }, state) => {
                match core.elections.closed(conn, core.now, &mut core.out) {
                    Some(events) => core.events.extend(events),
                    None => match state {
                        State::Leading(leader) => leader.closed(conn, core),
                        State::Learning(learner) => learner.closed(conn, core),
                        _ => {}
                    },
                }
                self.parked.remove(&conn);
            }
            (Input::Persisted { token }, state) => {
                core.store.persisted(token);
                match state {
                    State::Leading(leader) => leader.persisted(core),
                    State::Learning(learner) => learner.persisted(core),
                    _ => {}
                }
            }
            (Input::CannotTruncate { token }, state) => {
                core.store.cannot_truncate(token);
                if let State::Learning(learner) = state {
                    learner.persisted(core);
                }
            }
            (Input::LogStartsAt { zxid }, _) => core.store.starts_at(zxid),
            (Input::StateSize { nodes }, _) => core.state_nodes = nodes,
            (Input::Oracle { alone }, state) if core.params.oracle => {
                core.oracle = alone;
                let events = core.elections.oracle(alone, core.now, &mut core.out);
                core.events.extend(events);
                if let State::Leading(leader) = state {
                    leader.reconsider(core);
                }
            }
            (Input::Tick, _) => self.tick(),
            (Input::Stop, State::Leading(leader)) if !core.model.is_java() => leader.stop(core),
            (Input::Stop, _) => core.leave(Next::Stop, "the server stops"),
            (Input::Propose(proposal), State::Leading(leader)) => leader.propose(proposal, core),
            (Input::LearnerSync { conn }, State::Leading(leader)) => {
                leader.learner_sync(conn, core);
            }
            (
                Input::Revalidated {
                    conn,
                    session,
                    valid,
                },
                State::Leading(leader),
            ) => leader.revalidated(conn, session, valid, core),
            (Input::Forward(request), State::Learning(learner)) => learner.forward(&request, core),
            (
                Input::AskRevalidation {
                    session,
                    timeout_ms,
                },
                State::Learning(learner),
            ) => learner.ask_revalidation(session, timeout_ms, core),
            (
                Input::Touch {
                    session,
                    timeout_ms,
                },
                State::Learning(learner),
            ) => learner.touch(session, timeout_ms),
            // What belongs to a role that is over is forgotten with it.
            (_, _) => {}
        }
    }

    fn accepted(&mut self, conn: ConnId, port: Port) {
        let core = &mut self.core;
        match (port, &mut self.state) {
            (Port::Election, State::Draining(Next::Stop)) => core.out.close(conn),
            (Port::Election, _) => core.elections.accepted(conn, core.now, &mut core.out),
            (Port::Quorum, State::Leading(leader)) => leader.accept(conn, core),
            (Port::Quorum, State::Looking | State::Draining(_)) if !core.model.is_java() => {
                if self.parked.len() >= MAX_PARKED {
                    // A member comes again, and in a moment there is a leader to take it. It says at
                    // once who it is: those that say nothing go first.
                    let parked = self.parked.iter();
                    let oldest = parked.min_by_key(|(_, one)| (!one.bytes.is_empty(), one.since));
                    let oldest = oldest.map(|(&conn, _)| conn).expect("there are some");
                    self.parked.remove(&oldest);
                    core.refuse(oldest, None, "too many connections wait for a leader");
                }
                let parked = Parked {
                    since: core.now,
                    bytes: Vec::new(),
                };
                self.parked.insert(conn, parked);
            }
            (Port::ObserverMaster, State::Learning(learner)) if learner.is_master(core) => {
                learner.accept(conn, core);
            }
            // Java has no socket there then.
            (Port::Quorum, State::Learning(learner)) if !core.model.is_java() => {
                let why = format!("this server leads nobody, it follows {}", learner.leader());
                core.refuse(conn, None, why);
            }
            (Port::Quorum | Port::ObserverMaster, _) => core.out.close(conn),
        }
    }

    fn received(&mut self, conn: ConnId, bytes: &[u8]) {
        let core = &mut self.core;
        if core.elections.owns(conn) {
            let events = core
                .elections
                .received(conn, bytes, core.now, &mut core.out);
            core.events.extend(events);
            return;
        }
        if let Some(parked) = self.parked.get_mut(&conn) {
            if parked.bytes.len() + bytes.len() > MAX_PARKED_BYTES {
                self.parked.remove(&conn);
                core.refuse(conn, None, "more than a first packet before an answer");
            } else {
                parked.bytes.extend_from_slice(bytes);
            }
            return;
        }
        match &mut self.state {
            State::Leading(leader) => leader.received(conn, bytes, core),
            State::Learning(learner) => learner.received(conn, bytes, core),
            _ => {}
        }
    }

    fn tick(&mut self) {
        let core = &mut self.core;
        let events = core.elections.tick(core.now, &mut core.out);
        core.events.extend(events);
        match &mut self.state {
            State::Leading(leader) => leader.tick(core),
            State::Learning(learner) => learner.tick(core),
            _ => {}
        }
        let (now, parking) = (self.core.now, self.parking_ms());
        let late: Vec<ConnId> = self
            .parked
            .iter()
            .filter(|(_, parked)| now >= parked.since + parking)
            .map(|(&conn, _)| conn)
            .collect();
        for conn in late {
            self.parked.remove(&conn);
            let why = "there was no leader in time for it";
            self.core.refuse(conn, None, why);
        }
    }

    fn parking_ms(&self) -> u64 {
        let patience = PARKING_MS.max(self.core.params.tick_ms);
        self.core.ticks(self.core.params.init_limit).min(patience)
    }

    /// Changes roles until there is nothing to change.
    fn settle(&mut self) {
        loop {
            if let Some(next) = self.core.leaving.take() {
                self.leave(next);
            } else if let State::Draining(next) = self.state
                && self.core.store.may_vote()
                && (next != Next::Look || self.core.now >= self.not_before)
            {
                self.drained(next);
            } else if let Some(event) = self.core.events.pop_front() {
                self.event(event);
            } else {
                return;
            }
        }
    }

    fn leave(&mut self, next: Next) {
        match next {
            // Before the learners know that there is an election: they need not wait for this vote.
            Next::Stop => self.core.elections.stop(&mut self.core.out),
            _ => self.core.elections.rest(),
        }
        match &mut self.state {
            State::Leading(leader) => leader.end(&mut self.core),
            State::Learning(learner) => learner.end(&mut self.core),
            State::Over => return,
            State::Looking | State::Draining(_) => {}
        }
        self.tell(next);
        let served = match &self.state {
            State::Leading(leader) => Some(leader.phase() == leader::Phase::Broadcast),
            State::Learning(learner) => Some(learner.phase() == learner::Phase::Live),
            _ => None,
        };
        if let Some(served) = served {
            // The first failure costs nothing: another leader may be there at once.
            self.not_before = match self.failures {
                0 => self.core.now,
                n => self.core.now + (BACK_OFF_MS << n.min(10)).min(self.core.params.tick_ms),
            };
            self.failures = if served { 0 } else { self.failures + 1 };
            let delay_ms = self.core.params.observer_election_delay_ms;
            if delay_ms > 0 && matches!(&self.state, State::Learning(it) if it.is_observing()) {
                self.not_before += self.core.out.random(delay_ms);
            }
            self.looking_since = self.core.now;
            self.core.out.push(Effect::Role(Role::Looking));
        }
        if next == Next::Die {
            self.state = State::Over;
            return;
        }
        let core = &mut self.core;
        if core.store.is_ahead() && !core.is_observer() {
            // It votes now: what it has must be on the disk first.
            while core.store.apply_next(&mut core.out).is_some() {}
            core.store.keep(&mut core.out);
        }
        self.state = State::Draining(next);
    }

    /// Why this server gives up what it does. A role that follows at once says so itself, and what is
    /// fatal is told by the one who ends the server.
    fn tell(&self, next: Next) {
        let core = &self.core;
        let what = match next {
            Next::Look => "LOOKING",
            // Who stops this server knows, and says so.
            Next::Stop | Next::Lead(_) | Next::Follow(_) | Next::Die => return,
        };
        info!(
            sid = core.params.sid,
            zxid = format_args!("0x{:x}", core.store.end()),
            epoch = core.store.current(),
            "{what}: {}",
            core.why
        );
    }

    /// Nothing of the last role is on its way to the disk any more (ZOOKEEPER-4712, 4541). What is in
    /// the log counts as history from here on: the state machine gets it, so that state, log and vote
    /// are of one position (ZOOKEEPER-2845).
    fn drained(&mut self, next: Next) {
        let core = &mut self.core;
        while core.store.apply_next(&mut core.out).is_some() {}
        if core.store.is_ahead() && core.shall_vote() {
            // A proposed list makes it a voter, and a leader counts it in that: what it has must be on
            // the disk first. Not before the disk is quiet: the synchronisation may have ended anywhere,
            // and a leader's state on its way to the disk takes the place of this one.
            core.store.keep(&mut core.out);
            self.state = State::Draining(next);
            return;
        }
        self.state = State::Looking;
        match next {
            Next::Look => self.look(),
            Next::Lead(vote) => self.become_role(PeerState::Leading, vote, true),
            Next::Follow(vote) => {
                let state = if core.is_observer() {
                    PeerState::Observing
                } else {
                    PeerState::Following
                };
                self.become_role(state, vote, true);
            }
            Next::Stop => {
                for conn in std::mem::take(&mut self.parked).into_keys() {
                    core.out.close(conn);
                }
                core.out.push(Effect::Stopped);
                self.state = State::Over;
            }
            Next::Die => self.state = State::Over,
        }
    }

    fn look(&mut self) {
        let core = &mut self.core;
        let standing = Standing {
            zxid: core.store.position(),
            current_epoch: core.store.current(),
            observer: core.is_observer(),
        };
        core.events.clear();
        let events = core.elections.look(standing, core.now, &mut core.out);
        core.events.extend(events);
    }

    fn event(&mut self, event: ElectionEvent) {
        match event {
            ElectionEvent::Decided { state, vote } => {
                if matches!(self.state, State::Looking) {
                    self.become_role(state, vote, false);
                }
            }
            ElectionEvent::NewerConfig(text) => {
                if !matches!(self.state, State::Looking) {
                    return;
                }
                match Verifier::parse(&text) {
                    Ok(config) => {
                        // Whether the leader or the role changes does not matter: it looks again.
                        let _ = self.core.activate(&Arc::new(config), None);
                        self.core
                            .leave(Next::Look, "others have a newer configuration");
                    }
                    Err(error) => debug!("ignored a configuration: {error}"),
                }
            }
            // Those who elected this server are no quorum any more: without this it would wait for
            // them until initLimit (ZOOKEEPER-3109).
            ElectionEvent::LookingAgain { sid } => {
                debug!("server {sid} is looking again");
                if let State::Leading(leader) = &self.state
                    && !leader.is_established()
                    && !self.core.model.is_java()
                {
                    let why = "those who voted for it look for another leader";
                    self.core.leave(Next::Look, why);
                }
            }
        }
    }

    fn become_role(&mut self, state: PeerState, vote: Vote, publish: bool) {
        let core = &mut self.core;
        if publish {
            core.elections.settle(state, vote, core.now, &mut core.out);
            info!(
                sid = core.params.sid,
                leader = vote.leader,
                "server {} leads without an election: {}",
                vote.leader,
                core.why
            );
        } else {
            let took = core.now - self.looking_since;
            self.election_ms = Some(took);
            info!(
                sid = core.params.sid,
                leader = vote.leader,
                zxid = format_args!("0x{:x}", vote.zxid),
                epoch = vote.epoch,
                round = vote.round,
                ms = took,
                "elected server {}: {}",
                vote.leader,
                core.elections.reason()
            );
        }
        let parked = std::mem::take(&mut self.parked);
        if state == PeerState::Leading {
            let mut leader = Leader::new(core, vote);
            for (conn, parked) in parked {
                leader.accept(conn, core);
                leader.received(conn, &parked.bytes, core);
            }
            self.state = State::Leading(leader);
        } else {
            for conn in parked.into_keys() {
                core.out.close(conn);
            }
            self.state = State::Learning(Learner::new(core, vote));
        }
    }

    /// Checks a request to change the members, and makes the text of the configuration for the
    /// transaction `zxid`. The caller has checked that the client may write `/zookeeper/config`.
    ///
    /// # Errors
    /// As `PrepRequestProcessor` answers it.
    pub fn reconfigure(
        &self,
        request: &ReconfigRequest<'_>,
        zxid: i64,
    ) -> Result<String, ErrorCode> {
        if !self.core.params.reconfig {
            return Err(ErrorCode::ReconfigDisabled);
        }
        let State::Leading(leader) = &self.state else {
            return Err(ErrorCode::SystemError);
        };
        let config = reconfig::check(
            request,
            &self.core.committed,
            self.core.seen.as_deref(),
            self.core.params.standalone_enabled,
            &leader.synced_participants(&self.core),
            zxid,
        )?;
        Ok(config.text())
    }

    /// The configuration in force, as text with its version.
    pub fn config(&self) -> String {
        self.core.committed.text()
    }

    fn learner_status<'h>(
        &self,
        handlers: impl Iterator<Item = &'h Handler>,
    ) -> Vec<LearnerStatus> {
        handlers
            .filter(|handler| handler.is_known())
            .map(|handler| LearnerStatus {
                sid: handler.sid,
                observer: handler.observer,
                voting: self.core.committed.is_voter(handler.sid),
                synced: handler.is_synced(),
                lag: handler.unacked.len() as u64,
                acked_zxid: handler.acked,
                heard_ms: handler.heard,
            })
            .collect()
    }

    /// What operators see.
    pub fn status(&self) -> Status {
        let store = &self.core.store;
        let mut status = Status {
            sid: self.core.params.sid,
            role: self.role,
            progress: Progress::Election,
            leader: None,
            accepted_epoch: store.accepted(),
            current_epoch: store.current(),
            last_zxid: store.applied(),
            last_proposed: store.end(),
            outstanding: 0,
            pending_syncs: 0,
            election_ms: self.election_ms,
            quorum_size: self.core.committed.voters().len() as u64,
            config_version: self.core.committed.version(),
            master: None,
            diffs_sent: self.core.synced_by.0,
            snapshots_sent: self.core.synced_by.1,
            learners: Vec::new(),
        };
        match &self.state {
            State::Leading(leader) => {
                status.leader = Some(status.sid);
                status.progress = match leader.phase() {
                    leader::Phase::Discovery | leader::Phase::Accepting => Progress::Discovery,
                    leader::Phase::Electing | leader::Phase::Synchronizing => {
                        Progress::Synchronization
                    }
                    leader::Phase::Broadcast => Progress::Broadcast,
                };
                if leader.phase() == leader::Phase::Broadcast {
                    status.last_zxid = status.last_zxid.max(make(leader.epoch(), 0));
                    status.last_proposed = leader.last_proposed();
                }
                status.outstanding = leader.outstanding() as u64;
                status.pending_syncs = leader.pending_syncs() as u64;
                status.learners = self.learner_status(leader.learners());
            }
            State::Learning(learner) => {
                status.leader = Some(learner.leader());
                status.master = Some(learner.master());
                status.pending_syncs = learner.pending_syncs();
                status.learners = self.learner_status(learner.observers());
                status.progress = match learner.phase() {
                    learner::Phase::Connecting
                    | learner::Phase::Introduced
                    | learner::Phase::Accepting
                    | learner::Phase::Placed => Progress::Discovery,
                    learner::Phase::Syncing | learner::Phase::Entering => Progress::Synchronization,
                    learner::Phase::Live => Progress::Broadcast,
                };
            }
            State::Draining(_) | State::Looking | State::Over => {}
        }
        status
    }
}

/// The configurations of a boot: in force, and seen.
fn configurations(boot: &Boot) -> Result<(Verifier, Option<Verifier>), String> {
    let parse = |which, text: &str| {
        Verifier::parse(text).map_err(|error| format!("the {which} configuration: {error}"))
    };
    let (accepted, current) = (boot.accepted_epoch, boot.current_epoch);
    if accepted < current {
        return Err(format!(
            "acceptedEpoch {accepted} is below currentEpoch {current}: one of the two files is not \
             of this server, or was lost; restore both from one backup, or remove the data of this \
             server and let its leader fill it again"
        ));
    }
    let committed = parse("committed", &boot.config)?;
    let next = boot.next_config.as_deref().filter(|_| boot.params.reconfig);
    let next = next.map(|text| parse("next", text)).transpose()?;
    let next = next.filter(|next| next.version() > committed.version());
    Ok((committed, next))
}
