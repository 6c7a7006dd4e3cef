//! A member of an ensemble without its sockets and disks: agreement and state machine, joined.
//!
//! A driver hands in what clients submit ([`Member::submit`]), what peers and disks say
//! ([`Member::input`]) and the time ([`Member::tick`]), and then takes [`Member::poll`] until it is
//! empty, carrying out each [`Effect`] before it takes the next: an effect means the state at its
//! own moment. What is between agreement and state machine alone never leaves here.

mod measure;

use crate::conn::Submit;
use crate::core::{Append, Core, Made, Question};
use crate::shared::Shared;
use crate::time::Now;
use measure::Measure;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zooid_proto::OpCode;
use zooid_zab::{Boot, ConnId, DiskOp, Effect, Input, Peer, Proposal, Role, Token};

/// A member.
pub struct Member {
    shared: Arc<Shared>,
    core: Core,
    peer: Peer,
    /// The operation that makes a new state of the tree; nothing is applied to the old one.
    rebuilding: Option<Token>,
    /// What is committed meanwhile.
    held: VecDeque<Proposal>,
    /// What is to be done outside, held back until what came with it is applied.
    outward: VecDeque<Effect>,
    role: Role,
    config: String,
    /// When the leader was last told of clients, monotonic ms.
    told_ms: i64,
    /// Since when there is no leader, monotonic ms.
    alone_since_ms: i64,
    /// Whether it serves reads meanwhile.
    read_only: bool,
    stopping: bool,
    measure: Measure,
}

/// How long a server looks for a leader at least before it serves reads without one, ms.
const READ_ONLY_GRACE_MS: i64 = 2000;

impl Member {
    /// A member around a recovered state.
    pub fn new(shared: Arc<Shared>, boot: Boot, now: Now) -> Member {
        let config = boot.config.clone();
        let mut core = Core::new(shared.clone(), now);
        core.rest();
        let member = Member {
            peer: Peer::new(boot, now.mono_ms as u64),
            shared,
            core,
            rebuilding: None,
            held: VecDeque::new(),
            outward: VecDeque::new(),
            role: Role::Looking,
            config,
            told_ms: now.mono_ms,
            alone_since_ms: now.mono_ms,
            read_only: false,
            stopping: false,
            measure: Measure::new(now),
        };
        member.write_config(now);
        member
    }

    /// What it is now.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The agreement, for what operators ask.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Takes what a connection submits.
    pub fn submit(&mut self, submit: Submit, now: Now) {
        if matches!(&submit, Submit::Write(request) if request.op == OpCode::Reconfig) {
            // One change at a time: the agreement must know of one that is still on its way.
            self.pass_on(now);
        }
        self.core.submit_with(submit, Some(&self.peer), now);
    }

    /// Takes what a peer or a disk says. After [`DiskOp::Truncate`] and
    /// [`DiskOp::InstallSnapshot`] the driver has replaced the tree before it says so.
    pub fn input(&mut self, input: Input<'_>, now: Now) {
        if let Input::Persisted { token } | Input::CannotTruncate { token } = input
            && self
                .rebuilding
                .is_some_and(|rebuilding| rebuilding <= token)
        {
            self.rebuilding = None;
            self.write_config(now);
            for proposal in std::mem::take(&mut self.held) {
                self.commit(proposal, now);
            }
        }
        if let Input::Persisted { token } = input {
            self.measure.persisted(&self.shared, token, now);
        }
        self.stopping |= matches!(input, Input::Stop);
        self.peer.handle(input, now.mono_ms as u64);
    }

    /// Does what time asks for.
    pub fn tick(&mut self, now: Now) {
        if self.read_only_at().is_some_and(|at| now.mono_ms >= at) {
            tracing::info!("no leader is found: serving reads to those who are content with them");
            self.read_only = true;
            self.core.serve_read_only(now);
        }
        self.core.tick(now);
        if now.mono_ms - self.told_ms >= self.tell_every_ms() {
            self.told_ms = now.mono_ms;
            for (session, timeout_ms) in self.shared.sessions.take_heard() {
                let touch = Input::Touch {
                    session,
                    timeout_ms,
                };
                self.peer.handle(touch, now.mono_ms as u64);
            }
        }
        let nodes = self.shared.tree.read().len() as u64;
        let now_ms = now.mono_ms as u64;
        self.peer.handle(Input::StateSize { nodes }, now_ms);
        self.peer.handle(Input::Tick, now_ms);
    }

    /// When [`Member::tick`] has something to do at the earliest, monotonic ms.
    pub fn next_tick_ms(&self, now: Now) -> i64 {
        let peer = self.peer.poll_timeout().map_or(i64::MAX, |at| at as i64);
        let tell = self.told_ms + self.tell_every_ms();
        let read_only = self.read_only_at().unwrap_or(i64::MAX);
        self.core
            .next_tick_ms(now)
            .min(peer)
            .min(tell)
            .min(read_only)
    }

    /// When it gives up on a leader for a while, and serves reads (`QuorumPeer.run` in Java).
    fn read_only_at(&self) -> Option<i64> {
        let settings = &self.shared.settings;
        let wants = settings.read_only_mode && !self.read_only && !self.stopping;
        let may = wants && self.role == Role::Looking && self.rebuilding.is_none();
        let grace_ms = READ_ONLY_GRACE_MS.max(settings.tick_time_ms.into());
        may.then_some(self.alone_since_ms + grace_ms)
    }

    /// The next thing to do outside; when there is none, all that is committed is applied, and
    /// answered.
    ///
    /// What others are told of is applied here first: whoever has an answer from another member, and
    /// then asks this one, sees it. On a leader a `sync` stands on that.
    pub fn poll(&mut self, now: Now) -> Option<Effect> {
        loop {
            if let Some(effect) = self.outward.pop_front() {
                return Some(effect);
            }
            self.pass_on(now);
            let mut idle = true;
            while let Some(effect) = self.peer.poll_effect() {
                idle = false;
                if let Some(effect) = self.carry_out(effect, now) {
                    let waits = matches!(effect, Effect::Send { .. });
                    self.outward.push_back(effect);
                    if !waits {
                        break;
                    }
                }
            }
            self.core.advance();
            if idle && !self.core.wants_out() {
                for sample in self.peer.take_samples() {
                    self.shared.ensemble.note(sample);
                }
                return None;
            }
        }
    }

    /// What the core wants of the ensemble.
    fn pass_on(&mut self, now: Now) {
        if !self.core.wants_out() {
            return;
        }
        let now_ms = now.mono_ms as u64;
        for made in self.core.take_made() {
            let input = match made {
                Made::Proposal(append) => {
                    self.measure.proposed(&self.shared, append.payload.len());
                    Input::Propose(Proposal {
                        zxid: append.zxid,
                        bytes: append.payload,
                    })
                }
                Made::Sync { learner } => Input::LearnerSync {
                    conn: ConnId(learner),
                },
            };
            self.peer.handle(input, now_ms);
        }
        for question in self.core.take_questions() {
            let input = match question {
                Question::Forward(request) => Input::Forward(request),
                Question::Revalidate {
                    session,
                    timeout_ms,
                } => Input::AskRevalidation {
                    session,
                    timeout_ms,
                },
            };
            self.peer.handle(input, now_ms);
        }
    }

    /// Does what concerns the state machine, and gives back what does not.
    fn carry_out(&mut self, effect: Effect, now: Now) -> Option<Effect> {
        match effect {
            Effect::Apply(proposal) => {
                if self.rebuilding.is_some() {
                    self.held.push_back(proposal);
                } else {
                    self.commit(proposal, now);
                }
            }
            Effect::Request { conn, request } => {
                if request.op == OpCode::Reconfig.code() {
                    self.pass_on(now);
                }
                self.core.learner_request(conn.0, &request, &self.peer, now);
            }
            Effect::Revalidate {
                conn,
                session,
                timeout_ms,
            } => {
                let asked = &self.shared.ensemble.revalidations;
                asked.fetch_add(1, Ordering::Relaxed);
                let valid = self.core.revalidate(conn.0, session, timeout_ms, now);
                let answer = Input::Revalidated {
                    conn,
                    session,
                    valid,
                };
                self.peer.handle(answer, now.mono_ms as u64);
            }
            Effect::Touched {
                session,
                timeout_ms,
            } => self.core.touched(session, timeout_ms, now),
            Effect::Synced => {
                self.core.advance();
                self.core.synced();
            }
            Effect::RevalidationDone { session, valid } => {
                self.core.advance();
                self.core.revalidation_done(session, valid, now);
            }
            Effect::Role(role) => {
                self.change(role, now);
                return Some(effect);
            }
            Effect::Config(ref text) => {
                self.config.clone_from(text);
                self.core.advance();
                // A transaction that has made it wrote the node, with the state that all have.
                if !self.has_config() {
                    self.write_config(now);
                }
                return Some(effect);
            }
            Effect::Disk { token, ref op } => {
                if let DiskOp::Append(proposal) = op {
                    let (shared, role) = (&self.shared, self.role);
                    self.measure.logged(shared, role, token, proposal, now);
                }
                if matches!(op, DiskOp::Truncate { .. } | DiskOp::InstallSnapshot { .. }) {
                    self.core.advance();
                    self.rebuilding = Some(token);
                }
                return Some(effect);
            }
            Effect::SendSnapshot { .. } => {
                self.core.advance();
                return Some(effect);
            }
            _ => return Some(effect),
        }
        None
    }

    fn commit(&mut self, proposal: Proposal, now: Now) {
        let (shared, role) = (&self.shared, self.role);
        self.measure.committed(shared, role, &proposal, now);
        self.core.committed(Append {
            zxid: proposal.zxid,
            payload: proposal.bytes,
        });
    }

    fn change(&mut self, role: Role, now: Now) {
        let was_serving = serves(self.role);
        let election_ms = self.peer.status().election_ms;
        let before = self.role;
        self.measure
            .role(&self.shared, before, role, election_ms, now);
        if role == Role::Looking && self.role != Role::Looking {
            self.alone_since_ms = now.mono_ms;
        }
        if role != Role::Looking && self.read_only {
            // Its clients look for a server that can do more.
            self.read_only = false;
            self.core.rest();
        }
        self.role = role;
        match (was_serving, serves(role)) {
            (true, false) => self.core.rest(),
            (false, true) => {
                self.core.advance();
                self.write_config(now);
                match role {
                    Role::Leading { epoch, .. } => self.core.lead(epoch, now),
                    _ => self.core.learn(now),
                }
            }
            // Nobody serves at all times from one role to another.
            _ => {}
        }
    }

    /// Whether the node says what is in force.
    fn has_config(&self) -> bool {
        let tree = self.shared.tree.read();
        let node = tree.get("/zookeeper/config");
        let data = node.and_then(|node| node.data());
        data == Some(self.config.as_bytes())
    }

    /// Every member writes the configuration in force into `/zookeeper/config` for itself.
    fn write_config(&self, now: Now) {
        let version = self
            .config
            .lines()
            .find_map(|line| line.strip_prefix("version="))
            .and_then(|text| i64::from_str_radix(text, 16).ok())
            .unwrap_or(0);
        let mut tree = self.shared.tree.write();
        tree.set_config(self.config.as_bytes(), version, now.wall_ms);
    }

    /// A leader asks twice a tick who was heard of.
    fn tell_every_ms(&self) -> i64 {
        (i64::from(self.shared.settings.tick_time_ms) / 4).max(1)
    }
}

fn serves(role: Role) -> bool {
    match role {
        Role::Looking => false,
        Role::Leading { serving, .. }
        | Role::Following { serving, .. }
        | Role::Observing { serving, .. } => serving,
    }
}
