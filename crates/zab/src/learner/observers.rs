//! A follower as the master of observers (`ObserverMaster`): they get from it what is committed, and
//! it passes on what they ask of the leader.
//!
//! Java keeps what was committed lately, because a learner's state lags behind; here an observer is
//! brought to what is committed at one moment, and gets all that is committed after it.

use zooid_proto::quorum::{ForwardedRequest, FromLeader, Touch};
use zooid_proto::zxid::{counter, epoch, make};

use super::{Learner, Phase};
use crate::core::Core;
use crate::handler::{Handler, Stage};
use crate::handlers::{Handlers, Master};
use crate::io::{ConnId, Proposal, Sid};

/// A question to the leader that is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) session: i64,
    pub(super) timeout_ms: i32,
    /// The observer that asks, if it is not this server.
    pub(super) by: Option<ConnId>,
}

impl Learner {
    /// Whether observers may come, now or when this server is up to date. Java's observers and leaders
    /// have no such port either.
    pub(crate) fn is_master(&self, core: &Core) -> bool {
        !self.observer && core.params.observer_master_port != 0
    }

    pub(crate) fn observers(&self) -> impl Iterator<Item = &Handler> {
        self.observers.values()
    }

    /// Something is committed.
    pub(super) fn inform(&mut self, proposal: &Proposal, designated: Option<Sid>, core: &mut Core) {
        let zxid = proposal.zxid;
        let txn = proposal.bytes.as_ref().into();
        let packet = match designated {
            None => FromLeader::Inform { zxid, txn },
            Some(designated_leader) => FromLeader::InformAndActivate {
                zxid,
                designated_leader,
                txn,
            },
        };
        for (conn, handler) in self.observers.iter() {
            if handler.is_forwarding() {
                core.tell_learner(conn, &packet);
            }
        }
        let reached: Vec<(ConnId, i64)> = self
            .observers
            .iter()
            .filter_map(|(conn, handler)| match handler.stage {
                Stage::Placed { position } if position <= zxid => Some((conn, position)),
                _ => None,
            })
            .collect();
        for (conn, position) in reached {
            self.bring_up(conn, position, core);
        }
    }

    /// This server is up to date: those that wait for it may have its epoch.
    pub(super) fn take_observers(&mut self, core: &mut Core) {
        self.observers.inform(self.epoch, core);
    }

    pub(super) fn observer_tick(&mut self, core: &mut Core) {
        if core.leaving.is_some() || !self.observers.half_tick(core) {
            return;
        }
        self.drop_silent(core);
        // While this server is not up to date, others may be.
        let late = |one: &Handler| {
            one.stage == Stage::Waiting && core.now >= one.heard + core.params.tick_ms
        };
        for conn in self.observers.which(late) {
            self.refuse(
                conn,
                "an observer came before there was anything to see",
                core,
            );
        }
        self.observers.ping(core.store.applied(), core);
    }

    /// A `sync` that was passed on is done.
    pub(super) fn synced(&mut self, conn: ConnId, core: &mut Core) {
        if self.observers.is_live(conn) {
            core.tell_learner(conn, &FromLeader::Sync);
        }
    }

    /// The leader has answered a question that was passed on.
    pub(super) fn revalidated(&mut self, asked: Asked, valid: bool, core: &mut Core) {
        let session_id = asked.session;
        if valid {
            self.touch(session_id, asked.timeout_ms);
        }
        if let Some(conn) = asked.by.filter(|&conn| self.observers.is_live(conn)) {
            core.tell_learner(conn, &FromLeader::Revalidated { session_id, valid });
        }
    }

    fn bring_up(&mut self, conn: ConnId, position: i64, core: &mut Core) {
        let begun = self.observers.bring_up(conn, position, self.epoch, core);
        if let Err(why) = begun {
            self.refuse(conn, why, core);
        }
    }
}

impl Master for Learner {
    fn handlers(&mut self) -> &mut Handlers {
        &mut self.observers
    }

    fn takes_followers(&self) -> bool {
        false
    }

    fn joined(&mut self, _: ConnId, _: i64, core: &mut Core) {
        if self.phase == Phase::Live {
            self.take_observers(core);
        }
    }

    fn placed(&mut self, conn: ConnId, position: i64, _: Option<i32>, core: &mut Core) {
        let ahead = position > core.store.applied() && counter(position) != 0;
        if ahead && epoch(position) == self.epoch {
            // It was with a server that is ahead of this one. What is committed in this epoch comes
            // here, too; Java takes it back from the observer, and its clients see the past.
            return;
        }
        self.bring_up(conn, position, core);
    }

    fn ack(&mut self, conn: ConnId, zxid: i64, core: &mut Core) {
        if counter(zxid) != 0 {
            return self.refuse(conn, "an observer acknowledges a transaction", core);
        }
        let handler = self.observers.at(conn);
        if handler.stage == Stage::Syncing && zxid == make(self.epoch, 0) {
            handler.brought_up(core);
            self.observers.up_to_date(conn, core);
        }
    }

    fn touched(&mut self, touch: Touch, _: &mut Core) {
        self.touch(touch.session_id, touch.timeout_ms);
    }

    fn revalidate(&mut self, conn: ConnId, touch: Touch, core: &mut Core) {
        self.ask(touch, Some(conn), core);
    }

    fn request(&mut self, conn: ConnId, request: ForwardedRequest<'_>, core: &mut Core) {
        self.pass_on(request, Some(conn), core);
    }

    fn lost(&mut self, _: ConnId, _: bool, _: &mut Core) {}
}

/// Which of the voters an observer goes to, where they are masters: all in turn, in an order of its
/// own (`QuorumPeer.nextObserverMaster`).
#[derive(Debug, Default)]
pub(crate) struct Masters {
    order: Vec<Sid>,
    next: usize,
}

impl Masters {
    /// The next one; whether all have had their turn before.
    pub(super) fn next(core: &mut Core) -> Option<(Sid, bool)> {
        let voters = core.committed.voters();
        let masters = &mut core.masters;
        let same = masters.order.len() == voters.len()
            && masters.order.iter().all(|sid| voters.contains(sid));
        if !same {
            masters.order = voters.iter().copied().collect();
            masters.next = 0;
            for at in (1..masters.order.len()).rev() {
                let other = core.out.random(at as u64 + 1) as usize;
                masters.order.swap(at, other);
            }
        }
        let again = masters.next >= masters.order.len();
        let at = if again { 0 } else { masters.next };
        masters.next = at + 1;
        masters.order.get(at).map(|&sid| (sid, again))
    }
}
