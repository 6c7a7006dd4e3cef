//! What every role of a peer works with: time, effects, disk, elections, configurations.

use std::collections::VecDeque;
use std::sync::Arc;

use tracing::info;
use zooid_proto::members::Role as MemberRole;
use zooid_proto::quorum::{FromLeader, FromLearner, Limits};

use crate::boot::Params;
use crate::election::{ElectionEvent, Elections, Vote};
use crate::io::{ConnId, Effect, Port, Proposal, Sid};
use crate::java::Model;
use crate::learner::Masters;
use crate::mutations::{Guard, without};
use crate::out::Out;
use crate::quorum::{Tracker, Verifier};
use crate::reconfig;
use crate::status::Sample;
use crate::store::Store;

/// Measurements that are kept for who takes them.
const MAX_SAMPLES: usize = 4096;

/// What follows on a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// An election.
    Look,
    /// Lead without one: designated by a reconfiguration.
    Lead(Vote),
    /// Follow or observe without one.
    Follow(Vote),
    /// Nothing: the server stops.
    Stop,
    /// Nothing: the server must not go on.
    Die,
}

/// What the roles share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) params: Params,
    pub(crate) now: u64,
    pub(crate) out: Out,
    pub(crate) store: Store,
    pub(crate) elections: Elections,
    /// What elections have to say and nobody has heard yet.
    pub(crate) events: VecDeque<ElectionEvent>,
    /// The configuration in force.
    pub(crate) committed: Arc<Verifier>,
    /// A newer one that waits for its commit.
    pub(crate) seen: Option<Arc<Verifier>>,
    /// The role is over; the first reason counts.
    pub(crate) leaving: Option<Next>,
    /// That reason, for the log.
    pub(crate) why: String,
    /// A leader's transactions did not fit to what is here: ask the next one for its whole state.
    pub(crate) want_snapshot: bool,
    /// Whether an oracle lets this server decide alone while it is.
    pub(crate) oracle: bool,
    /// The latest epoch for which this server stepped aside as a leader: its next one is above it.
    pub(crate) yielded_to: i64,
    /// An observer's: whom it goes to.
    pub(crate) masters: Masters,
    /// In simulations: whom this peer takes after.
    pub(crate) model: Model,
    /// Nodes of the state, as far as it is known.
    pub(crate) state_nodes: u64,
    /// What was measured and nobody has taken.
    pub(crate) samples: Vec<Sample>,
    /// Learners that were sent transactions, and those that were sent a whole state.
    pub(crate) synced_by: (u64, u64),
}

impl Core {
    pub(crate) fn new(
        params: Params,
        store: Store,
        elections: Elections,
        committed: Arc<Verifier>,
        seen: Option<Arc<Verifier>>,
        now: u64,
    ) -> Core {
        Core {
            out: Out::new(params.seed),
            params,
            now,
            store,
            elections,
            events: VecDeque::new(),
            committed,
            seen,
            leaving: None,
            why: "the server starts".to_owned(),
            want_snapshot: false,
            oracle: false,
            yielded_to: 0,
            masters: Masters::default(),
            model: Model::default(),
            state_nodes: u64::MAX,
            samples: Vec::new(),
            synced_by: (0, 0),
        }
    }

    /// The newest configuration that was seen.
    pub(crate) fn last_seen(&self) -> &Arc<Verifier> {
        self.seen.as_ref().unwrap_or(&self.committed)
    }

    /// Counts in all configurations that must agree.
    pub(crate) fn tracker(&self) -> Tracker {
        let seen = self.seen.as_ref().filter(|_| !without(Guard::BothQuorums));
        Tracker::new(&self.committed, seen)
    }

    /// Keeps a measurement, if somebody takes them.
    pub(crate) fn measured(&mut self, sample: Sample) {
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(sample);
        }
    }

    /// So many ticks, in ms.
    pub(crate) fn ticks(&self, n: u64) -> u64 {
        n.saturating_mul(self.params.tick_ms)
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            field: self.params.max_packet,
        }
    }

    /// Whether this server is an observer. One that is in no list is a follower without a vote, as in
    /// Java (`QuorumPeer.updateLearnerType`): a leader counts it among those that a new list may need.
    pub(crate) fn is_observer(&self) -> bool {
        let own = self.committed.member(self.params.sid);
        own.is_some_and(|own| own.role == MemberRole::Observer)
    }

    /// Whether this server votes, or would in a list that was proposed: its word may count then.
    pub(crate) fn shall_vote(&self) -> bool {
        !self.is_observer() || self.last_seen().is_voter(self.params.sid)
    }

    /// Opens a connection to a server that tells what is committed.
    pub(crate) fn dial_master(&mut self, sid: Sid, port: Port, timeout_ms: u64) -> ConnId {
        let member = self.committed.member(sid);
        let member = member.or_else(|| self.last_seen().member(sid));
        let addresses = member.map(|member| member.addresses.as_slice());
        let addresses = addresses
            .unwrap_or_default()
            .iter()
            .map(|address| {
                let number = match port {
                    Port::Election => address.election_port,
                    Port::Quorum => address.quorum_port,
                    // No list of members has it: it is the same everywhere.
                    Port::ObserverMaster => self.params.observer_master_port,
                };
                let host = &address.host;
                if host.contains(':') {
                    format!("[{host}]:{number}")
                } else {
                    format!("{host}:{number}")
                }
            })
            .collect();
        self.out.dial(sid, port, addresses, timeout_ms)
    }

    pub(crate) fn tell_learner(&mut self, conn: ConnId, packet: &FromLeader<'_>) {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        self.out.send_on(conn, bytes);
    }

    pub(crate) fn tell_leader(&mut self, conn: ConnId, packet: &FromLearner<'_>) {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        self.out.send_on(conn, bytes);
    }

    /// Ends the role.
    pub(crate) fn leave(&mut self, next: Next, why: impl std::fmt::Display) {
        if self.leaving.is_none() {
            self.why = why.to_string();
            self.leaving = Some(next);
        }
    }

    /// Ends the server.
    pub(crate) fn fatal(&mut self, why: String) {
        if self.leaving != Some(Next::Die) {
            self.leaving = Some(Next::Die);
            self.out.push(Effect::Fatal(why));
        }
    }

    /// Closes a connection that does not speak as a member does. `sid`: who it says it is.
    pub(crate) fn refuse(&mut self, conn: ConnId, sid: Option<Sid>, why: impl std::fmt::Display) {
        self.remark(conn, sid, format!("refused: {why}"));
        self.out.close(conn);
    }

    /// Says something about a connection to operators. Strangers may say that they are anyone: what
    /// they do is no remark on a member but for its number.
    pub(crate) fn remark(&mut self, conn: ConnId, sid: Option<Sid>, what: String) {
        let sid = sid.filter(|&sid| self.last_seen().member(sid).is_some());
        self.out.push(Effect::Remark { conn, sid, what });
    }

    /// A reconfiguration is about to be logged: from now on its quorum counts, too. Written before
    /// the transaction, so that whoever acknowledges this one has it (release rule of ACK).
    pub(crate) fn see_config_of(&mut self, proposal: &Proposal) {
        if !self.params.reconfig || !reconfig::is_reconfig(proposal) {
            return;
        }
        match reconfig::config_of(proposal) {
            Ok(config) => self.see_config(config),
            Err(why) => self.fatal(format!(
                "the configuration of transaction 0x{:x} does not read: {why}",
                proposal.zxid
            )),
        }
    }

    /// Takes note of a newer configuration, durably before all that is written after it.
    pub(crate) fn see_config(&mut self, config: Verifier) {
        if self.params.reconfig && config.version() > self.last_seen().version() {
            self.store.next_config(config.text(), &mut self.out);
            self.seen = Some(Arc::new(config));
            self.tell_elections();
        }
    }

    /// The list that comes with NEWLEADER. An older one takes the place of a newer that was never
    /// committed: this leader's history is without it, and a quorum has promised itself to that, so it
    /// never will be. Who kept it would ask its members in every election from then on, and put it in
    /// force as a leader. Java takes the older one, too (`QuorumPeer.setLastSeenQuorumVerifier`).
    pub(crate) fn agree_on_config(&mut self, config: Verifier) {
        let dead = self
            .seen
            .as_ref()
            .is_some_and(|seen| seen.version() > config.version());
        if dead && config.version() >= self.committed.version() && self.params.reconfig {
            info!(
                sid = self.params.sid,
                version = format_args!("0x{:x}", self.last_seen().version()),
                "a list of members that was proposed is taken back: the leader does not have it"
            );
            self.store.next_config(config.text(), &mut self.out);
            let pending = config.version() > self.committed.version();
            self.seen = pending.then(|| Arc::new(config));
            self.tell_elections();
            return;
        }
        self.see_config(config);
    }

    /// Puts a configuration in force. `designated`: who shall lead, and the zxid that says so; then
    /// there is no election. What follows on this role if it, or the leader, is another one now.
    pub(crate) fn activate(
        &mut self,
        config: &Arc<Verifier>,
        designated: Option<(Sid, i64)>,
    ) -> Option<Next> {
        if !self.params.reconfig {
            return None;
        }
        let vote = self.elections.current_vote();
        let was_observer = self.is_observer();
        let before = self.committed.clone();
        if config.version() > before.version() {
            info!(
                sid = self.params.sid,
                version = format_args!("0x{:x}", config.version()),
                "configuration in force"
            );
            self.store.commit_config(config.text(), &mut self.out);
            self.out.push(Effect::Config(config.text()));
            self.committed = config.clone();
            self.seen = self
                .seen
                .take()
                .filter(|seen| seen.version() > config.version());
            self.tell_elections();
        }
        let role_changed = was_observer != self.is_observer();
        let Some(vote) = vote else {
            // There was no leader yet.
            return Some(Next::Look);
        };
        let Some((leader, zxid)) = designated else {
            let address = |config: &Verifier| config.member(vote.leader).cloned();
            let (old, new) = (address(&before), address(&self.committed));
            let same_leader = self.committed.version() == before.version()
                || matches!((&old, &new), (Some(old), Some(new)) if new.has_addresses_of(old)
                    && self.committed.is_voter(vote.leader));
            return (role_changed || !same_leader).then_some(Next::Look);
        };
        if leader == vote.leader && !role_changed {
            return None;
        }
        let vote = if leader == vote.leader {
            vote
        } else {
            Vote {
                leader,
                zxid,
                round: -1,
                epoch: -1,
            }
        };
        Some(if leader == self.params.sid {
            Next::Lead(vote)
        } else {
            Next::Follow(vote)
        })
    }

    fn tell_elections(&mut self) {
        self.elections.reconfigure(
            self.committed.clone(),
            self.seen.clone(),
            self.now,
            &mut self.out,
        );
    }
}
