//! Elections as a peer sees them: connections to the other servers and FastLeaderElection on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use zooid_proto::vote::PeerState;

use crate::boot::Params;
use crate::io::{ConnId, Sid};
use crate::out::Out;
use crate::quorum::Verifier;

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
    /// reconfiguration is on. The peer makes it its own and calls [`Elections::reconfigure`]. If its
    /// members are others than before, this is the last event, and nothing is heard until that call.
    NewerConfig(String),
    /// This server leads, and one that had voted for it is looking again (ZOOKEEPER-3109): it will
    /// not come.
    LookingAgain {
        /// Which.
        sid: Sid,
    },
}

/// Elections. Every call may send, dial and close through `out`, and says what came of it, in order.
/// The caller carries on as if nothing had changed until it has seen the events.
#[derive(Debug)]
pub(crate) struct Elections {
    _params: Params,
    _supporters: BTreeSet<Sid>,
}

impl Elections {
    /// Neither looking nor connected: before [`Elections::look`] it refuses nobody and says nothing.
    pub(crate) fn new(
        params: &Params,
        committed: Arc<Verifier>,
        seen: Option<Arc<Verifier>>,
    ) -> Elections {
        let _ = (committed, seen);
        Elections {
            _params: params.clone(),
            _supporters: BTreeSet::new(),
        }
    }

    /// Whether a connection is one of those: accepted or dialed for votes, and not closed.
    pub(crate) fn owns(&self, conn: ConnId) -> bool {
        let _ = conn;
        false
    }

    /// A connection was accepted on the election port.
    pub(crate) fn accepted(&mut self, conn: ConnId, now: u64, out: &mut Out) {
        let _ = (conn, now, out);
    }

    /// A connection of its own was dialed.
    pub(crate) fn dialed(&mut self, conn: ConnId, now: u64, out: &mut Out) -> Vec<ElectionEvent> {
        let _ = (conn, now, out);
        Vec::new()
    }

    /// Bytes have arrived on a connection of its own.
    pub(crate) fn received(
        &mut self,
        conn: ConnId,
        bytes: &[u8],
        now: u64,
        out: &mut Out,
    ) -> Vec<ElectionEvent> {
        let _ = (conn, bytes, now, out);
        Vec::new()
    }

    /// A connection is gone or could not be opened. `None` if it is not its own.
    pub(crate) fn closed(
        &mut self,
        conn: ConnId,
        now: u64,
        out: &mut Out,
    ) -> Option<Vec<ElectionEvent>> {
        let _ = (conn, now, out);
        None
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: u64, out: &mut Out) -> Vec<ElectionEvent> {
        let _ = (now, out);
        Vec::new()
    }

    /// When the next [`Elections::tick`] matters.
    pub(crate) fn next_timeout(&self) -> Option<u64> {
        None
    }

    /// Starts an election: state LOOKING, one round on. May decide at once (a server alone).
    pub(crate) fn look(
        &mut self,
        standing: Standing,
        now: u64,
        out: &mut Out,
    ) -> Vec<ElectionEvent> {
        let _ = (standing, now, out);
        Vec::new()
    }

    /// Publishes state and vote outside an election: after a designated leader was named, and with the
    /// epoch once it is established (ZOOKEEPER-1732: all must say the same then). Not for LOOKING.
    pub(crate) fn settle(&mut self, state: PeerState, vote: Vote, now: u64, out: &mut Out) {
        let _ = (state, vote, now, out);
    }

    /// The vote that is published while not looking; while looking that of the term before.
    pub(crate) fn current_vote(&self) -> Vote {
        Vote {
            leader: 0,
            zxid: 0,
            round: 0,
            epoch: 0,
        }
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
        let _ = (committed, seen, now, out);
        false
    }
}
