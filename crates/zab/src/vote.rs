//! FastLeaderElection: from votes to a leader. It knows voters and rounds, no connections: who sends
//! what to whom is [`Step`].
//!
//! An election is a hint, not a promise. Two servers may well come to different leaders; discovery
//! and synchronisation make sure that only one of them is established (one `acceptedEpoch`, a
//! quorum of ACKEPOCH from histories that are not newer). So whatever is done here to be fast can
//! cost time, never a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zooid_proto::vote::{MAX_FRAME, Notification, PeerState};

use crate::boot::Params;
use crate::io::Sid;
use crate::java::Model;
use crate::mutations::{Guard, without};
use crate::quorum::{Tracker, Verifier};

/// Whom a server wants to lead or follows: what Java calls `currentVote`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    /// The leader.
    pub(crate) leader: Sid,
    /// The leader's last zxid when it was elected.
    pub(crate) zxid: i64,
    /// The round in which it was elected; -1 where no election did it.
    pub(crate) round: i64,
    /// The leader's `currentEpoch` when it was elected; from its establishment on, its epoch.
    pub(crate) epoch: i64,
}

/// What a server starts an election with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The last zxid in its log, **durably**; -1 if it may have lost its data.
    pub(crate) zxid: i64,
    /// Its durable `currentEpoch`.
    pub(crate) current_epoch: i64,
    /// Whether it is an observer by its role, which decides between FOLLOWING and OBSERVING. A server
    /// that is in no list is not: it follows without a vote.
    pub(crate) observer: bool,
}

/// What comes of an election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ElectionEvent {
    /// The election is over; `state` is what this server is now. It has been published with `vote`
    /// already.
    Decided {
        /// LEADING, FOLLOWING or OBSERVING.
        state: PeerState,
        /// The winner.
        vote: Vote,
    },
    /// Another server has a newer configuration in force, while this one looks for a leader and
    /// reconfiguration is on. The peer makes it its own and calls
    /// [`Elections::reconfigure`](crate::election::Elections::reconfigure). If its members are others
    /// than before, this is the last event, and nothing is heard until that call.
    NewerConfig(String),
    /// This server leads, and one that had voted for it is looking again (ZOOKEEPER-3109): it will
    /// not come.
    LookingAgain {
        /// Which.
        sid: Sid,
    },
}

/// What one input brings: what to send, and what to tell the peer.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Frames and their receivers, in order.
    pub(crate) sends: Vec<(Sid, Vec<u8>)>,
    /// In order.
    pub(crate) events: Vec<ElectionEvent>,
}

/// A vote that was heard.
#[derive(Debug, Clone, Copy)]
struct Ballot {
    vote: Vote,
    state: PeerState,
    version: i32,
    /// Neither the first words on a new connection, which in Java may be the last ones of an old one,
    /// nor heard while this server had another role.
    fresh: bool,
}

impl Ballot {
    fn new(n: &Notification<'_>, state: PeerState, fresh: bool) -> Ballot {
        Ballot {
            vote: Vote {
                leader: n.leader,
                zxid: n.zxid,
                round: n.election_epoch,
                epoch: n.peer_epoch,
            },
            state,
            version: n.version,
            fresh,
        }
    }

    /// `Vote.equals` of Java. Those that have left the election agree on the leader and, where both
    /// say it, on its epoch: zxid and round are what each remembers of the election, if it took part
    /// (ZOOKEEPER-1732, ZOOKEEPER-1805).
    fn agrees(&self, with: &Ballot) -> bool {
        if self.state == PeerState::Looking || with.state == PeerState::Looking {
            self.vote == with.vote
        } else if (self.version > 0) != (with.version > 0) {
            self.vote.leader == with.vote.leader
        } else {
            self.vote.leader == with.vote.leader && self.vote.epoch == with.vote.epoch
        }
    }
}

/// How long after the last answer a server without a vote is not answered the same again, ms. Two
/// servers that do not know each other as voters would otherwise answer each other for ever.
const ANSWER_AGAIN_MS: u64 = 20;

/// How long a server without a vote waits at most before it asks again, ms. Java: up to a minute; but
/// voters answer such questions aside, and are not held up by them.
const ASK_AGAIN_MS: u64 = 1000;

/// Most bytes of a configuration in a notification: its frame would be refused.
const MAX_CONFIG: usize = MAX_FRAME - 44;

/// Why a server follows one that it has not voted for.
const LEADS_ALREADY: &str = "and it leads them already";

/// Servers without a vote whose questions are remembered at a time.
const MAX_ASKERS: usize = 64;

/// The state machine.
#[derive(Debug)]
pub(crate) struct FastLeaderElection {
    sid: Sid,
    finalize_wait_ms: u64,
    min_notification_ms: u64,
    max_notification_ms: u64,
    reconfig: bool,
    pub(crate) model: Model,
    /// Whether there is an oracle, and what it says.
    has_oracle: bool,
    oracle: bool,

    committed: Arc<Verifier>,
    seen: Option<Arc<Verifier>>,
    /// Voters of both.
    electorate: BTreeSet<Sid>,
    /// Text of the committed one.
    config: String,

    /// Nothing is said or heard: before the first election, between a role and the next election, and
    /// while a newer configuration waits to be taken over.
    idle: bool,
    state: PeerState,
    current: Option<Vote>,
    clock: i64,
    observer: bool,
    initial: Vote,
    proposal: Vote,
    /// Votes of this round.
    received: BTreeMap<Sid, Ballot>,
    /// Votes of those that have a leader.
    outside: BTreeMap<Sid, Ballot>,
    /// Who has answered that it has a leader since the proposal was sent to it: it did not count it.
    unheard: BTreeSet<Sid>,
    /// Votes that were heard before this server was looking, the last of each voter. Java drops them,
    /// and waits until they are sent again.
    early: BTreeMap<Sid, Ballot>,
    /// Whose connection is known to be gone.
    down: BTreeSet<Sid>,
    /// When to send the proposal again, and how long to wait after that.
    resend_at: u64,
    interval: u64,
    /// When to decide for the proposal if nothing better comes.
    decide_at: Option<u64>,
    /// Who voted for this leader.
    supporters: BTreeSet<Sid>,
    /// Why it was decided like this, for the log.
    reason: String,
    /// Who was answered while the answer was not final, and when.
    askers: BTreeMap<Sid, u64>,
}

impl FastLeaderElection {
    pub(crate) fn new(
        params: &Params,
        committed: Arc<Verifier>,
        seen: Option<Arc<Verifier>>,
    ) -> FastLeaderElection {
        let nobody = Vote {
            leader: i64::MIN,
            zxid: i64::MIN,
            round: -1,
            epoch: i64::MIN,
        };
        let mut fle = FastLeaderElection {
            sid: params.sid,
            finalize_wait_ms: params.finalize_wait_ms,
            min_notification_ms: params.min_notification_ms.max(1),
            max_notification_ms: params.max_notification_ms.max(1),
            reconfig: params.reconfig,
            model: Model::default(),
            has_oracle: params.oracle,
            oracle: false,
            electorate: BTreeSet::new(),
            config: String::new(),
            committed,
            seen,
            idle: true,
            state: PeerState::Looking,
            current: None,
            clock: 0,
            observer: params.observer,
            initial: nobody,
            proposal: nobody,
            received: BTreeMap::new(),
            outside: BTreeMap::new(),
            unheard: BTreeSet::new(),
            early: BTreeMap::new(),
            down: BTreeSet::new(),
            resend_at: 0,
            interval: 0,
            decide_at: None,
            supporters: BTreeSet::new(),
            reason: String::new(),
            askers: BTreeMap::new(),
        };
        fle.configured();
        fle
    }

    /// Voters of the committed configuration and of the newer one.
    pub(crate) fn electorate(&self) -> &BTreeSet<Sid> {
        &self.electorate
    }

    /// Whether votes are exchanged: an election is under way.
    pub(crate) fn is_looking(&self) -> bool {
        !self.idle && self.state == PeerState::Looking
    }

    /// See [`Elections::current_vote`](crate::election::Elections::current_vote).
    pub(crate) fn current(&self) -> Option<Vote> {
        self.current
    }

    /// One round on.
    pub(crate) fn look(&mut self, standing: Standing, now: u64, step: &mut Step) {
        self.idle = false;
        self.state = PeerState::Looking;
        // Java wraps around, too.
        self.clock = self.clock.wrapping_add(1);
        self.observer = standing.observer;
        self.initial = Vote {
            leader: if self.committed.is_voter(self.sid) {
                self.sid
            } else {
                i64::MIN
            },
            zxid: if standing.observer {
                i64::MIN
            } else {
                standing.zxid
            },
            round: self.clock,
            epoch: if standing.observer {
                i64::MIN
            } else {
                standing.current_epoch
            },
        };
        self.current.get_or_insert(Vote {
            leader: self.sid,
            zxid: standing.zxid,
            round: -1,
            epoch: standing.current_epoch,
        });
        self.received.clear();
        self.outside.clear();
        self.askers.clear();
        self.interval = self.min_notification_ms;
        self.propose(self.initial, now, step);
        self.conclude(now, step);
        for (from, ballot) in std::mem::take(&mut self.early) {
            // Older rounds have just been told of this one.
            if self.is_looking() && ballot.vote.round >= self.clock {
                self.candidate(from, ballot, now, step);
            }
        }
    }

    /// See [`Elections::settle`](crate::election::Elections::settle).
    pub(crate) fn settle(&mut self, state: PeerState, vote: Vote, step: &mut Step) {
        assert!(
            state != PeerState::Looking,
            "to look for a leader is not to settle"
        );
        let news = self.idle || self.state != state || self.current != Some(vote);
        if self.state != state {
            // Named by a reconfiguration: nobody has voted.
            self.supporters.clear();
        }
        self.idle = false;
        self.state = state;
        self.current = Some(vote);
        self.decide_at = None;
        if news {
            self.tell_askers(step);
        }
    }

    /// The role is over, and there is no election yet: to answer for it would make others follow a
    /// leader that is none any more, and wait for it.
    pub(crate) fn rest(&mut self) {
        self.idle = true;
    }

    /// Whether the last that was heard of a server is that nobody is there.
    pub(crate) fn is_down(&self, sid: Sid) -> bool {
        self.down.contains(&sid)
    }

    /// Whether votes begin anew, because the members are others than before.
    pub(crate) fn reconfigure(
        &mut self,
        committed: Arc<Verifier>,
        seen: Option<Arc<Verifier>>,
    ) -> bool {
        let restart = !self.committed.is_same(&committed);
        self.committed = committed;
        self.seen = seen;
        self.configured();
        if restart {
            self.clock = 0;
            self.idle |= self.state == PeerState::Looking;
            if self.idle {
                self.current = None;
            }
            self.received.clear();
            self.outside.clear();
            self.unheard.clear();
            self.early.clear();
            self.down.clear();
            self.askers.clear();
            self.decide_at = None;
        }
        restart
    }

    fn configured(&mut self) {
        self.electorate = self.committed.voters().clone();
        if let Some(seen) = &self.seen {
            self.electorate.extend(seen.voters());
        }
        self.config = self.committed.text();
        if self.config.len() > MAX_CONFIG {
            tracing::error!(
                bytes = self.config.len(),
                "the configuration is too long for votes, which go without it"
            );
            self.config = String::new();
        }
    }

    /// What to say first on a new connection: the proposal, if the other one is to count it. Java
    /// says its last words again, or what it did not come to say; those may be of an election that
    /// is over, and its readers take them for news (ZOOKEEPER-3537, ZOOKEEPER-975).
    pub(crate) fn link_up(&mut self, sid: Sid) -> Option<Vec<u8>> {
        self.down.remove(&sid);
        self.early.remove(&sid);
        (self.is_looking() && self.electorate.contains(&sid)).then(|| {
            self.unheard.remove(&sid);
            self.frame(self.proposal, PeerState::Looking)
        })
    }

    /// A connection is gone, or there is nobody to connect to.
    pub(crate) fn link_down(&mut self, sid: Sid, now: u64, step: &mut Step) {
        self.down.insert(sid);
        self.early.remove(&sid);
        self.askers.remove(&sid);
        if self.is_looking() {
            self.conclude(now, step);
        }
    }

    /// Someone is there after all, though there is no connection yet.
    pub(crate) fn link_awaited(&mut self, sid: Sid) {
        self.down.remove(&sid);
    }

    /// A notification; `first` if it is the first one on its connection.
    pub(crate) fn notified(
        &mut self,
        from: Sid,
        n: &Notification<'_>,
        first: bool,
        now: u64,
        step: &mut Step,
    ) {
        if from == self.sid {
            return;
        }
        self.keep_early(from, n, first);
        if self.idle || (self.state == PeerState::Looking && self.takes_config(n, step)) {
            return;
        }
        if !self.electorate.contains(&from) {
            self.answer_aside(from, n.state, now, step);
            return;
        }
        let Some(state) = n.state else { return };
        let ballot = Ballot::new(n, state, !first);
        match (self.state, state) {
            (PeerState::Looking, PeerState::Looking) => self.candidate(from, ballot, now, step),
            // Observers have no vote.
            (PeerState::Looking, PeerState::Observing) => {}
            (PeerState::Looking, _) => self.outsider(from, ballot, now, step),
            (_, PeerState::Looking) => {
                let current = self.current.expect("who has settled has a vote");
                step.sends.push((from, self.frame(current, self.state)));
                self.remember(from, now);
                // What was on its way when it voted for this server comes now: only a later round, or
                // a better vote of the same one, is a change of mind.
                let again = ballot.vote.round > current.round
                    || ballot.vote.round == current.round && self.better(&ballot.vote, &current);
                if self.state == PeerState::Leading
                    && again
                    && self.supporters.remove(&from)
                    && !self.is_quorum(&self.supporters)
                {
                    step.events.push(ElectionEvent::LookingAgain { sid: from });
                }
            }
            _ => {}
        }
    }

    /// When [`FastLeaderElection::tick`] matters.
    pub(crate) fn next_timeout(&self) -> Option<u64> {
        self.is_looking()
            .then(|| self.decide_at.unwrap_or(self.resend_at))
    }

    pub(crate) fn tick(&mut self, now: u64, step: &mut Step) {
        if self.next_timeout().is_none_or(|at| now < at) {
            return;
        }
        if self.decide_at.is_some() {
            let supporters = self.agreeing(&self.received, &self.own_ballot());
            let why = format!("nothing better came within {} ms", self.finalize_wait_ms);
            return self.decide(self.proposal, supporters, &why, step);
        }
        self.interval = (self.interval * 2).min(self.longest_interval());
        self.send_proposal(now, step);
    }

    /// Keeps a vote for the time when this server looks for a leader, too.
    fn keep_early(&mut self, from: Sid, n: &Notification<'_>, first: bool) {
        self.early.remove(&from);
        let looking = n.state == Some(PeerState::Looking);
        if looking && !self.is_looking() && self.electorate.contains(&from) {
            // Between a role and its election there is only the disk to wait for. Nobody is told then
            // that this vote was not counted, so it is not sent again.
            let resting = self.idle && self.state != PeerState::Looking;
            let ballot = Ballot::new(n, PeerState::Looking, resting && !first);
            self.early.insert(from, ballot);
        }
    }

    /// Makes another server's newer configuration known. Whether the notification ends with that.
    fn takes_config(&mut self, n: &Notification<'_>, step: &mut Step) -> bool {
        let Some(text) = n.config.as_deref().filter(|_| self.reconfig) else {
            return false;
        };
        if text == self.config {
            return false;
        }
        let config = match Verifier::parse(text) {
            Ok(config) => config,
            Err(error) => {
                tracing::debug!(%error, "a vote came with a configuration that does not read");
                return false;
            }
        };
        if config.version() <= self.committed.version() {
            return false;
        }
        step.events
            .push(ElectionEvent::NewerConfig(text.to_owned()));
        self.idle = !config.is_same(&self.committed);
        self.idle
    }

    /// Answers a server without a vote, whatever its state says, also one that is none.
    fn answer_aside(&mut self, from: Sid, state: Option<PeerState>, now: u64, step: &mut Step) {
        // Those that have a leader do not ask; they may have been asked by us.
        if !matches!(state, None | Some(PeerState::Looking)) {
            return;
        }
        let again = |&at: &u64| now < at + ANSWER_AGAIN_MS;
        if self.askers.get(&from).is_some_and(again) {
            return;
        }
        let Some(current) = self.current else { return };
        // The round is the one of now even where the vote is older, as Java has it.
        let vote = Vote {
            round: self.clock,
            ..current
        };
        step.sends.push((from, self.frame(vote, self.state)));
        self.remember(from, now);
    }

    fn remember(&mut self, from: Sid, now: u64) {
        if self.askers.len() < MAX_ASKERS || self.askers.contains_key(&from) {
            self.askers.insert(from, now);
        }
    }

    /// What those were told who asked has changed. They would ask again, in up to a minute.
    fn tell_askers(&mut self, step: &mut Step) {
        let current = self.current.expect("a vote is published");
        for &sid in self.askers.keys() {
            let vote = if self.electorate.contains(&sid) {
                current
            } else {
                Vote {
                    round: self.clock,
                    ..current
                }
            };
            step.sends.push((sid, self.frame(vote, self.state)));
        }
    }

    /// A vote of one that is looking, too.
    fn candidate(&mut self, from: Sid, ballot: Ballot, now: u64, step: &mut Step) {
        let vote = ballot.vote;
        if vote.round < self.clock {
            // It is told of the round even where its vote cannot count.
            step.sends
                .push((from, self.frame(self.proposal, PeerState::Looking)));
            self.unheard.remove(&from);
            return;
        }
        // Without a vote there is nothing to weigh: such a server asks who leads. What it is answered
        // meanwhile may be the leader of the term before, which Java then tries to follow.
        if !self.is_voter() || !self.electorate.contains(&vote.leader) {
            return;
        }
        if self.initial.zxid == -1 || vote.zxid == -1 {
            return;
        }
        if vote.round > self.clock {
            self.clock = vote.round;
            self.received.clear();
            self.initial.round = self.clock;
            let best = if self.better(&vote, &self.initial) {
                vote
            } else {
                self.initial
            };
            self.propose(best, now, step);
        } else if self.better(&vote, &self.proposal) {
            self.propose(vote, now, step);
        } else if self.unheard.remove(&from) {
            // It was not looking when it heard the proposal, and Java would let it wait for the next
            // time that all is sent again.
            step.sends
                .push((from, self.frame(self.proposal, PeerState::Looking)));
        }
        self.received.insert(from, ballot);
        self.conclude(now, step);
    }

    /// A vote of one that follows or leads.
    fn outsider(&mut self, from: Sid, ballot: Ballot, now: u64, step: &mut Step) {
        self.unheard.insert(from);
        if !self.electorate.contains(&ballot.vote.leader) {
            return;
        }
        if ballot.vote.round == self.clock {
            // Kept as version 0 and counted as what it is, in Java: so leaders alone are compared.
            let kept = Ballot {
                version: 0,
                ..ballot
            };
            self.received.insert(from, kept);
            if let Some(supporters) = self.established(&self.received, &ballot) {
                return self.decide(ballot.vote, supporters, LEADS_ALREADY, step);
            }
        }
        self.outside.insert(from, ballot);
        if let Some(supporters) = self.established(&self.outside, &ballot) {
            self.clock = ballot.vote.round;
            return self.decide(ballot.vote, supporters, LEADS_ALREADY, step);
        }
        if self.leads_by_oracle(from, &ballot) {
            self.clock = ballot.vote.round;
            let why = "it leads by the word of an oracle";
            return self.decide(ballot.vote, BTreeSet::from([from]), why, step);
        }
        self.conclude(now, step);
    }

    /// Whether it leads by the oracle's word: of two voters nobody else can follow it yet. Whatever the
    /// oracle says to this server: if it may decide alone, the other one may not any more, and is
    /// about to find out; Java follows it in both cases, too.
    fn leads_by_oracle(&self, from: Sid, ballot: &Ballot) -> bool {
        self.has_oracle
            && self.electorate.len() <= 2
            && ballot.state == PeerState::Leading
            && ballot.vote.leader == from
    }

    /// See [`Elections::oracle`](crate::election::Elections::oracle).
    pub(crate) fn oracle(&mut self, alone: bool, now: u64, step: &mut Step) {
        self.oracle = alone;
        if self.is_looking() {
            self.conclude(now, step);
        }
    }

    /// Who follows the leader of `ballot`, if that is a quorum and the leader says so, too: else
    /// servers that have not noticed its death would talk others into following it.
    ///
    /// A list that is not committed has no say in whom to follow, as it has in Java: a leader that was
    /// cut off with one would wait for it behind a new leader that never heard of it, until the next
    /// election (`FastLeaderElection.getVoteTracker`). To follow is no promise; whatever such a list
    /// must agree to, the leader that has it in its history asks it.
    fn established(&self, votes: &BTreeMap<Sid, Ballot>, ballot: &Ballot) -> Option<BTreeSet<Sid>> {
        let leader = ballot.vote.leader;
        let leads = if leader == self.sid {
            self.clock == ballot.vote.round
        } else {
            votes
                .get(&leader)
                .is_some_and(|ballot| ballot.state == PeerState::Leading)
        };
        let supporters = self.agreeing(votes, ballot);
        let enough = if leader == self.sid || self.model.is_java() {
            self.is_quorum(&supporters)
        } else {
            let alone = self.oracle.then_some(self.sid);
            self.committed.decides(&supporters, alone)
        };
        (leads && enough).then_some(supporters)
    }

    /// Decides for the proposal if a quorum agrees: at once if nothing better can come, else when
    /// nothing better has come for a while.
    ///
    /// Nothing better can come if each voter has the same vote in the same round, or cannot be
    /// reached: its connection broke or was refused. One that comes back at this moment with a better
    /// vote finds a leader elected; what it knows is committed only if it is in some server of the
    /// quorum as well, which the ACKEPOCH of that server proves to a leader that does not have it.
    /// So what is at stake is another election, and the wait would not have excluded that either.
    /// Votes that may be old do not count for this (see [`Ballot::fresh`]).
    ///
    /// The wait is not begun anew by notifications that change nothing: else a server that sends one
    /// every 100 ms keeps all others looking.
    fn conclude(&mut self, now: u64, step: &mut Step) {
        let own = self.own_ballot();
        let supporters = self.agreeing(&self.received, &own);
        if !self.is_quorum(&supporters) {
            self.decide_at = None;
            return;
        }
        let silent = |sid: &Sid| {
            self.down.contains(sid)
                || self
                    .received
                    .get(sid)
                    .is_some_and(|b| b.fresh && b.agrees(&own))
        };
        if self.model.is_java() {
            // It always waits, and anew behind each notification.
            self.decide_at = Some(now.saturating_add(self.finalize_wait_ms));
            return;
        }
        if self.electorate.iter().all(silent) {
            let why = "all others agree or are not to be reached";
            return self.decide(self.proposal, supporters, why, step);
        }
        self.decide_at
            .get_or_insert(now.saturating_add(self.finalize_wait_ms));
    }

    /// Why the last election ended as it did.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    fn decide(&mut self, vote: Vote, supporters: BTreeSet<Sid>, why: &str, step: &mut Step) {
        self.reason = format!("{supporters:?} are for it, {why}");
        self.state = if vote.leader == self.sid {
            PeerState::Leading
        } else if self.observer {
            PeerState::Observing
        } else {
            PeerState::Following
        };
        let vote = Vote {
            round: self.clock,
            ..vote
        };
        self.current = Some(vote);
        self.decide_at = None;
        self.supporters = supporters;
        step.events.push(ElectionEvent::Decided {
            state: self.state,
            vote,
        });
        self.tell_askers(step);
    }

    /// Changes the proposal and says so.
    fn propose(&mut self, vote: Vote, now: u64, step: &mut Step) {
        self.proposal = vote;
        self.decide_at = None;
        // Java sends to itself as well and hears it like any other vote.
        if self.is_voter() && self.initial.zxid != -1 {
            self.received.insert(self.sid, self.own_ballot());
        }
        self.send_proposal(now, step);
    }

    fn send_proposal(&mut self, now: u64, step: &mut Step) {
        self.unheard.clear();
        self.resend_at = now.saturating_add(self.interval.min(self.longest_interval()));
        let frame = self.frame(self.proposal, PeerState::Looking);
        for &sid in self.electorate.iter().filter(|&&sid| sid != self.sid) {
            step.sends.push((sid, frame.clone()));
        }
    }

    fn longest_interval(&self) -> u64 {
        if self.is_voter() {
            self.max_notification_ms
        } else {
            self.max_notification_ms.min(ASK_AGAIN_MS)
        }
    }

    /// Whether this server has a vote that others count.
    pub(crate) fn is_voter(&self) -> bool {
        self.electorate.contains(&self.sid)
    }

    fn own_ballot(&self) -> Ballot {
        Ballot {
            vote: self.proposal,
            state: PeerState::Looking,
            version: 0,
            fresh: true,
        }
    }

    /// Whether a vote is better than another: epoch, then zxid, then number of the leader. One whose
    /// leader weighs nothing never is.
    fn better(&self, new: &Vote, than: &Vote) -> bool {
        if without(Guard::BestVoteWins) {
            return new.leader > than.leader;
        }
        self.committed.weight(new.leader) != 0
            && (new.epoch, new.zxid, new.leader) > (than.epoch, than.zxid, than.leader)
    }

    fn agreeing(&self, votes: &BTreeMap<Sid, Ballot>, with: &Ballot) -> BTreeSet<Sid> {
        votes
            .iter()
            .filter(|(_, ballot)| ballot.agrees(with))
            .map(|(&sid, _)| sid)
            .collect()
    }

    fn is_quorum(&self, sids: &BTreeSet<Sid>) -> bool {
        let mut tracker = Tracker::new(&self.committed, self.seen.as_ref());
        for &sid in sids {
            tracker.add(sid);
        }
        tracker.is_decided(self.oracle.then_some(self.sid))
    }

    fn frame(&self, vote: Vote, state: PeerState) -> Vec<u8> {
        let mut frame = Vec::with_capacity(48 + self.config.len());
        Notification {
            state: Some(state),
            leader: vote.leader,
            zxid: vote.zxid,
            election_epoch: vote.round,
            peer_epoch: vote.epoch,
            version: 2,
            config: Some(self.config.as_str().into()),
        }
        .encode_frame(&mut frame);
        frame
    }
}

#[cfg(test)]
mod tests;
