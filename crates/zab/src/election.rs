//! Elections as a peer sees them: connections to the other servers ([`crate::links`]) and
//! FastLeaderElection on them ([`crate::vote`]).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use zooid_proto::vote::{Notification, PeerState};

use crate::boot::Params;
use crate::io::{ConnId, Sid};
#[cfg(feature = "mutations")]
use crate::java::Model;
use crate::links::{LinkEvent, Links};
use crate::out::Out;
use crate::quorum::Verifier;
use crate::vote::{FastLeaderElection, Step};

pub(crate) use crate::vote::{ElectionEvent, Standing, Vote};

/// Elections. Every call may send, dial and close through `out`, and says what came of it, in order.
/// The caller carries on as if nothing had changed until it has seen the events.
#[derive(Debug)]
pub(crate) struct Elections {
    links: Links,
    fle: FastLeaderElection,
    seen: Option<Arc<Verifier>>,
}

impl Elections {
    /// Neither looking nor connected: before [`Elections::look`] or [`Elections::settle`] it listens
    /// to who connects, and says nothing.
    pub(crate) fn new(
        params: &Params,
        committed: Arc<Verifier>,
        seen: Option<Arc<Verifier>>,
    ) -> Elections {
        let mut links = Links::new(params);
        links.configure(&committed, seen.as_ref());
        Elections {
            links,
            fle: FastLeaderElection::new(params, committed, seen.clone()),
            seen,
        }
    }

    /// See [`Peer::imitate`](crate::Peer::imitate).
    #[cfg(feature = "mutations")]
    pub(crate) fn imitate(&mut self, model: Model) {
        self.fle.model = model;
    }

    /// Whether a connection is one of those: accepted or dialed for votes, and not closed.
    pub(crate) fn owns(&self, conn: ConnId) -> bool {
        self.links.owns(conn)
    }

    /// A connection was accepted on the election port.
    pub(crate) fn accepted(&mut self, conn: ConnId, now: u64, out: &mut Out) {
        self.links.accepted(conn, now, out);
    }

    /// A connection of its own was dialed.
    pub(crate) fn dialed(&mut self, conn: ConnId, now: u64, out: &mut Out) -> Vec<ElectionEvent> {
        self.links.dialed(conn, now, out);
        self.work(now, out)
    }

    /// Bytes have arrived on a connection of its own.
    pub(crate) fn received(
        &mut self,
        conn: ConnId,
        bytes: &[u8],
        now: u64,
        out: &mut Out,
    ) -> Vec<ElectionEvent> {
        self.links.received(conn, bytes, now, out);
        self.work(now, out)
    }

    /// A connection is gone or could not be opened. `None` if it is not its own.
    pub(crate) fn closed(
        &mut self,
        conn: ConnId,
        now: u64,
        out: &mut Out,
    ) -> Option<Vec<ElectionEvent>> {
        self.links
            .closed(conn, now, out)
            .then(|| self.work(now, out))
    }

    /// What the oracle says.
    pub(crate) fn oracle(&mut self, alone: bool, now: u64, out: &mut Out) -> Vec<ElectionEvent> {
        let mut step = Step::default();
        self.fle.oracle(alone, now, &mut step);
        self.carry_out(step, now, out)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: u64, out: &mut Out) -> Vec<ElectionEvent> {
        self.links.tick(now, out);
        let mut step = Step::default();
        self.fle.tick(now, &mut step);
        let mut events = self.carry_out(step, now, out);
        events.extend(self.work(now, out));
        events
    }

    /// When the next [`Elections::tick`] matters.
    pub(crate) fn next_timeout(&self) -> Option<u64> {
        [self.links.next_timeout(), self.fle.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Starts an election: state LOOKING, one round on. May decide at once (a server alone).
    pub(crate) fn look(
        &mut self,
        standing: Standing,
        now: u64,
        out: &mut Out,
    ) -> Vec<ElectionEvent> {
        self.links.forget_waiting();
        let mut step = Step::default();
        self.fle.look(standing, now, &mut step);
        self.want(now, out);
        self.carry_out(step, now, out)
    }

    /// Publishes state and vote outside an election: after a designated leader was named, and with the
    /// epoch once it is established (ZOOKEEPER-1732: all must say the same then). Not for LOOKING.
    pub(crate) fn settle(&mut self, state: PeerState, vote: Vote, now: u64, out: &mut Out) {
        let mut step = Step::default();
        self.fle.settle(state, vote, &mut step);
        self.carry_out(step, now, out);
        self.links.forget_waiting();
        self.want(now, out);
    }

    /// The role is over: nothing is said until [`Elections::look`] or [`Elections::settle`].
    pub(crate) fn rest(&mut self) {
        self.fle.rest();
    }

    /// The server stops: it neither votes nor answers any more, and all connections are closed, so
    /// that nobody waits for its vote.
    pub(crate) fn stop(&mut self, out: &mut Out) {
        self.fle.rest();
        self.links.reset(out);
    }

    /// Why the last election ended as it did, for the log.
    pub(crate) fn reason(&self) -> &str {
        self.fle.reason()
    }

    /// Whether the connection with a server is known to be gone.
    pub(crate) fn is_down(&self, sid: Sid) -> bool {
        self.fle.is_down(sid)
    }

    /// The vote that is published while not looking; while looking that of the term before. `None`
    /// before the first election.
    pub(crate) fn current_vote(&self) -> Option<Vote> {
        self.fle.current()
    }

    /// Configurations have changed. If the members of the committed one are others than before, all
    /// connections are closed and the rounds begin anew, as Java restarts its election; a server that
    /// was looking must then call [`Elections::look`] again. Whether that is so.
    pub(crate) fn reconfigure(
        &mut self,
        committed: Arc<Verifier>,
        seen: Option<Arc<Verifier>>,
        now: u64,
        out: &mut Out,
    ) -> bool {
        self.links.configure(&committed, seen.as_ref());
        self.seen = seen.clone();
        let restart = self.fle.reconfigure(committed, seen);
        if restart {
            self.links.reset(out);
        }
        self.want(now, out);
        restart
    }

    /// Keeps the connections that votes need: all between voters, always; those from a server without
    /// a vote to voters while it looks for a leader.
    fn want(&mut self, now: u64, out: &mut Out) {
        let looking = self.fle.is_looking();
        let wanted = if looking || self.fle.is_voter() {
            self.fle.electorate().clone()
        } else {
            BTreeSet::new()
        };
        self.links.want(wanted, looking, now, out);
    }

    /// Works through what has happened on connections.
    fn work(&mut self, now: u64, out: &mut Out) -> Vec<ElectionEvent> {
        let mut all = Vec::new();
        // A link that is refused on the way is one more event.
        let mut events = VecDeque::from(self.links.take_events());
        while let Some(event) = events.pop_front() {
            let mut step = Step::default();
            match event {
                LinkEvent::Up(sid) => {
                    let waiting = self.links.take_waiting(sid);
                    if let Some(frame) = self.fle.link_up(sid).or(waiting) {
                        step.sends.push((sid, frame));
                    }
                }
                LinkEvent::Awaited(sid) => self.fle.link_awaited(sid),
                LinkEvent::Down(sid) => self.fle.link_down(sid, now, &mut step),
                LinkEvent::Frame { sid, first, body } => match Notification::read(&body) {
                    Ok(n) => self.fle.notified(sid, &n, first, now, &mut step),
                    Err(error) => {
                        let why = format!("a vote that does not read: {error}");
                        self.links.refuse_link(sid, &why, now, out);
                    }
                },
            }
            all.extend(self.carry_out(step, now, out));
            events.extend(self.links.take_events());
        }
        all
    }

    fn carry_out(&mut self, step: Step, now: u64, out: &mut Out) -> Vec<ElectionEvent> {
        let decided = |event: &ElectionEvent| matches!(event, ElectionEvent::Decided { .. });
        if step.events.iter().any(decided) {
            self.links.forget_waiting();
            self.want(now, out);
        }
        for (sid, frame) in step.sends {
            self.links.send(sid, frame, now, out);
        }
        step.events
    }
}

#[cfg(test)]
mod storm;
#[cfg(test)]
mod tests;
