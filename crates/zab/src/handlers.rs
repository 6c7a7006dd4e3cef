//! All learners of one server, as far as it does not matter who that is: a leader, or a follower with
//! its observers (`LearnerMaster` in Java).

use std::collections::BTreeMap;

use tracing::{debug, info};
use zooid_proto::quorum::{
    ForwardedRequest, FromLeader, FromLearner, LearnerInfo, PROTOCOL_VERSION, PacketDecoder, Touch,
};
use zooid_proto::zxid::make;

use crate::core::Core;
use crate::handler::{Handler, Stage};
use crate::history::SyncPlan;
use crate::io::{ConnId, Sid};
use crate::mutations::{Guard, without};
use crate::status::Sample;

/// Connections of learners at most: those that are configured are far fewer, and each stranger may
/// hold a packet in memory.
pub(crate) const MAX_LEARNERS: usize = 1024;

/// The highest epoch: zxids are signed, and the packets have it in 32 bits.
pub(crate) const LAST_EPOCH: i64 = i32::MAX as i64;

/// The learners, by connection, and the clock that they are measured with.
#[derive(Debug)]
pub(crate) struct Handlers {
    by_conn: BTreeMap<ConnId, Handler>,
    next_half_tick: u64,
    half: bool,
    tick: u64,
}

impl Handlers {
    pub(crate) fn new(core: &Core) -> Handlers {
        Handlers {
            by_conn: BTreeMap::new(),
            next_half_tick: core.now + core.params.tick_ms / 2,
            half: false,
            tick: 0,
        }
    }

    pub(crate) fn get(&self, conn: ConnId) -> Option<&Handler> {
        self.by_conn.get(&conn)
    }

    /// One that is known to be there.
    pub(crate) fn at(&mut self, conn: ConnId) -> &mut Handler {
        self.by_conn.get_mut(&conn).expect("the caller has it")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnId, &Handler)> {
        self.by_conn.iter().map(|(&conn, handler)| (conn, handler))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnId, &mut Handler)> {
        let handlers = self.by_conn.iter_mut();
        handlers.map(|(&conn, handler)| (conn, handler))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Handler> {
        self.by_conn.values()
    }

    /// The connections of those that are so.
    pub(crate) fn which(&self, so: impl Fn(&Handler) -> bool) -> Vec<ConnId> {
        let those = self.iter().filter(|(_, handler)| so(handler));
        those.map(|(conn, _)| conn).collect()
    }

    pub(crate) fn is_live(&self, conn: ConnId) -> bool {
        self.get(conn)
            .is_some_and(|handler| handler.stage == Stage::Live)
    }

    /// Whether it is in touch: was heard of within `syncLimit`, or has only just come.
    pub(crate) fn in_touch(&self, handler: &Handler) -> bool {
        handler.is_known() && self.tick <= handler.deadline_tick
    }

    /// When [`Handlers::half_tick`] is so.
    pub(crate) fn next_half_tick(&self) -> u64 {
        self.next_half_tick
    }

    /// Whether another half tick has passed.
    pub(crate) fn half_tick(&mut self, core: &Core) -> bool {
        if core.now < self.next_half_tick {
            return false;
        }
        // After a pause of this process one round is enough: what came meanwhile is not heard yet.
        let half = (core.params.tick_ms / 2).max(1);
        self.next_half_tick = (self.next_half_tick + half).max(core.now + 1);
        self.half = !self.half;
        if !self.half {
            self.tick += 1;
        }
        true
    }

    /// Whether the last half tick was the second half of a tick.
    pub(crate) fn is_whole_tick(&self) -> bool {
        !self.half
    }

    /// PING with the last zxid that was sent.
    pub(crate) fn ping(&self, zxid: i64, core: &mut Core) {
        for (conn, handler) in self.iter() {
            if handler.is_forwarding() {
                core.tell_learner(conn, &FromLeader::Ping { zxid });
            }
        }
    }

    /// LEADERINFO to all that wait for it.
    pub(crate) fn inform(&mut self, epoch: i64, core: &mut Core) {
        for (&conn, handler) in &mut self.by_conn {
            if handler.stage == Stage::Waiting {
                handler.stage = Stage::Informed;
                let packet = FromLeader::LeaderInfo {
                    epoch,
                    protocol_version: PROTOCOL_VERSION,
                };
                core.tell_learner(conn, &packet);
            }
        }
    }

    /// What a learner at `position` lacks of what is committed, and NEWLEADER. From now on the caller
    /// sends it all that comes: in one step, so that nothing is lost or comes twice.
    ///
    /// # Errors
    /// Why an observer has to come again later. Members that vote need not wait, and count
    /// (`LearnerSyncThrottler` in Java).
    pub(crate) fn bring_up(
        &mut self,
        conn: ConnId,
        position: i64,
        epoch: i64,
        core: &mut Core,
    ) -> Result<(), String> {
        let top = core.store.applied();
        let plan = crate::sync::plan(core, position, top);
        let gets_state = plan == SyncPlan::Snap;
        let limit = match gets_state {
            true => core.params.max_snap_syncs,
            false => core.params.max_diff_syncs,
        };
        let same = |one: &Handler| {
            let sync = one.sync.as_ref().filter(|_| one.stage == Stage::Syncing);
            sync.is_some_and(|(_, sync)| (sync.kind == "SNAP") == gets_state)
        };
        let under_way = self.values().filter(|one| same(one)).count();
        let handler = self.at(conn);
        let sid = handler.sid;
        if handler.observer && under_way >= limit && !core.model.is_java() {
            let what = if gets_state {
                "the state"
            } else {
                "transactions"
            };
            return Err(format!(
                "observer {sid} has to wait: {under_way} members are being sent {what}"
            ));
        }
        handler.stage = Stage::Syncing;
        let late = newleader_comes_last(handler, core);
        let observer = handler.observer;
        let sent = crate::sync::send(core, plan, conn, sid, observer, position, top);
        self.at(conn).sync = Some((core.now, sent));
        let count = under_way as u64 + 1;
        let (snaps, diffs) = if gets_state { (count, 0) } else { (0, count) };
        core.measured(Sample::Syncs { snaps, diffs });
        if !late {
            newleader(conn, epoch, core);
        }
        Ok(())
    }

    /// NEWLEADER behind what is outstanding, for members that send it so late.
    pub(crate) fn bring_in(&mut self, conn: ConnId, epoch: i64, core: &mut Core) {
        if newleader_comes_last(self.at(conn), core) {
            newleader(conn, epoch, core);
        }
    }

    /// UPTODATE.
    pub(crate) fn up_to_date(&mut self, conn: ConnId, core: &mut Core) {
        if let Some(handler) = self.by_conn.get_mut(&conn) {
            handler.stage = Stage::Live;
            handler.heard = core.now;
            for sent in &mut handler.unacked {
                sent.1 = core.now;
            }
            core.tell_learner(conn, &FromLeader::UpToDate);
        }
    }

    /// Closes all connections.
    pub(crate) fn end(&mut self, core: &mut Core) {
        for (conn, mut handler) in std::mem::take(&mut self.by_conn) {
            handler.give_up_sync(core);
            core.out.close(conn);
        }
    }

    /// The connection that has the number of another one.
    fn twin_of(&self, conn: ConnId, sid: Sid) -> Option<(ConnId, u64)> {
        let mut known = self.iter().filter(|(_, handler)| handler.is_known());
        known
            .find(|(other, handler)| *other != conn && handler.sid == sid)
            .map(|(other, handler)| (other, handler.heard))
    }
}

/// Who has learners. What it does with what they say is its own; how they introduce themselves, how
/// long they may be silent, and what is refused, is the same for all.
pub(crate) trait Master {
    fn handlers(&mut self) -> &mut Handlers;

    /// Whether it takes followers, or observers only.
    fn takes_followers(&self) -> bool;

    /// One has a number that is its own, and waits for LEADERINFO.
    fn joined(&mut self, conn: ConnId, accepted: i64, core: &mut Core);

    /// ACKEPOCH.
    fn placed(&mut self, conn: ConnId, position: i64, current: Option<i32>, core: &mut Core);

    /// ACK: of NEWLEADER first, of proposals then.
    fn ack(&mut self, conn: ConnId, zxid: i64, core: &mut Core);

    /// A client was heard of.
    fn touched(&mut self, touch: Touch, core: &mut Core);

    /// A client comes back to a session.
    fn revalidate(&mut self, conn: ConnId, touch: Touch, core: &mut Core);

    /// A write or `sync` of a client.
    fn request(&mut self, conn: ConnId, request: ForwardedRequest<'_>, core: &mut Core);

    /// One that was known is gone; whether another one with its number has come in its place.
    fn lost(&mut self, conn: ConnId, replaced: bool, core: &mut Core);

    /// A server has connected.
    fn accept(&mut self, conn: ConnId, core: &mut Core) {
        let handlers = self.handlers();
        if handlers.by_conn.len() >= MAX_LEARNERS {
            let strangers = handlers.iter().filter(|one| one.1.stage == Stage::Stranger);
            let oldest = strangers.min_by_key(|one| one.1.heard).map(|one| one.0);
            let Some(oldest) = oldest else {
                core.refuse(conn, None, "too many learners");
                return;
            };
            handlers.by_conn.remove(&oldest);
            core.refuse(oldest, None, "many connections do not say who they are");
        }
        let handlers = self.handlers();
        let deadline_tick = handlers.tick + core.params.init_limit + core.params.sync_limit;
        let handler = Handler::new(core.now, deadline_tick, core.limits());
        handlers.by_conn.insert(conn, handler);
    }

    fn received(&mut self, conn: ConnId, bytes: &[u8], core: &mut Core) {
        let Some(handler) = self.handlers().by_conn.get_mut(&conn) else {
            return;
        };
        if handler.stage == Stage::Stranger
            && let Err(why) = handler.greets(bytes)
        {
            return self.refuse(conn, why, core);
        }
        let Some(mut decoder) = handler.decoder.take() else {
            return;
        };
        decoder.push(bytes);
        self.take_packets(conn, &mut decoder, core);
        if let Some(handler) = self.handlers().by_conn.get_mut(&conn) {
            handler.decoder = Some(decoder);
        }
    }

    fn take_packets(&mut self, conn: ConnId, decoder: &mut PacketDecoder, core: &mut Core) {
        while core.leaving.is_none() {
            let handlers = self.handlers();
            let Some(handler) = handlers.by_conn.get_mut(&conn) else {
                return;
            };
            let packet = match decoder.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return,
                Err(error) => return self.refuse(conn, error, core),
            };
            handler.heard = core.now;
            if handler.is_known() {
                let deadline = handlers.tick + core.params.sync_limit;
                handler.deadline_tick = handler.deadline_tick.max(deadline);
            }
            match FromLearner::read(packet) {
                Ok(packet) => self.packet(conn, packet, core),
                Err(error) => return self.refuse(conn, error, core),
            }
        }
    }

    fn packet(&mut self, conn: ConnId, packet: FromLearner<'_>, core: &mut Core) {
        let kind = packet.kind();
        match (self.handlers().at(conn).stage, packet) {
            (
                Stage::Stranger,
                FromLearner::Info {
                    observer,
                    accepted_epoch,
                    info,
                },
            ) => self.introduced(conn, observer, accepted_epoch, info, core),
            (
                Stage::Informed,
                FromLearner::AckEpoch {
                    last_zxid,
                    current_epoch,
                },
            ) => {
                self.handlers().at(conn).stage = Stage::Placed {
                    position: last_zxid,
                };
                self.placed(conn, last_zxid, current_epoch, core);
            }
            (Stage::Syncing | Stage::Synced | Stage::Live, FromLearner::Ack { zxid }) => {
                self.ack(conn, zxid, core);
            }
            (Stage::Live, FromLearner::Ping { touched, .. }) => {
                for touch in touched {
                    self.touched(touch, core);
                }
            }
            (Stage::Live, FromLearner::Revalidate(touch)) => self.revalidate(conn, touch, core),
            (Stage::Live, FromLearner::Request(request)) => self.request(conn, request, core),
            (Stage::Live, _) => debug!("ignored a packet of kind {kind} of a learner"),
            (stage, _) => {
                let name = zooid_proto::quorum::kind::name(kind);
                self.refuse(conn, format!("{name} while {stage:?}"), core);
            }
        }
    }

    /// FOLLOWERINFO or OBSERVERINFO.
    fn introduced(
        &mut self,
        conn: ConnId,
        observer: bool,
        accepted: i64,
        info: LearnerInfo,
        core: &mut Core,
    ) {
        let Some(sid) = info.sid else {
            return self.refuse(conn, "a learner without a number", core);
        };
        if sid == core.params.sid {
            return self.refuse(conn, format!("server {sid} has this server's number"), core);
        }
        if !observer && !self.takes_followers() {
            let why = format!("server {sid} is no observer, and comes for what observers get");
            return self.refuse(conn, why, core);
        }
        if info.protocol_version < PROTOCOL_VERSION {
            let version = info.protocol_version;
            return self.refuse(conn, format!("server {sid} speaks 0x{version:x}"), core);
        }
        // All that the wire tells of a release: those since 3.5 send it.
        if info.config_version.is_none() {
            let what = format!(
                "server {sid} does not know lists of members, as releases before 3.5: nobody has tried \
                 them beside Zooid; upgrade it to 3.8 or 3.9 (docs/migrate.md)"
            );
            core.remark(conn, Some(sid), what);
        }
        // Its configuration is one that this server does not know: who is the leader then?
        if info.config_version.unwrap_or(0) > core.committed.version() {
            return self.refuse(conn, format!("server {sid} is ahead of its leader"), core);
        }
        if !(0..LAST_EPOCH - 1).contains(&accepted) {
            return self.refuse(conn, format!("server {sid} has epoch {accepted}"), core);
        }
        if core.last_seen().member(sid).is_none() {
            let what = format!(
                "server {sid} is in no list of members: it gets what is committed, and has no vote"
            );
            core.remark(conn, None, what);
        }
        let twin = self.handlers().twin_of(conn, sid);
        let handler = self.handlers().at(conn);
        handler.sid = sid;
        handler.observer = observer;
        match twin {
            // Two servers with one number, or one that is back before its old connection is seen to
            // be gone: the old one first.
            Some((_, heard)) if core.now < heard + core.params.tick_ms => {
                handler.stage = Stage::Twin { accepted };
            }
            Some((other, _)) => {
                self.refuse(other, anew(sid), core);
                self.wait_for_epoch(conn, accepted, core);
            }
            None => self.wait_for_epoch(conn, accepted, core),
        }
    }

    fn wait_for_epoch(&mut self, conn: ConnId, accepted: i64, core: &mut Core) {
        self.handlers().at(conn).stage = Stage::Waiting;
        self.joined(conn, accepted, core);
    }

    /// A connection is gone.
    fn closed(&mut self, conn: ConnId, core: &mut Core) {
        if let Some(handler) = self.handlers().get(conn)
            && handler.is_synced()
        {
            let (sid, learner) = (core.params.sid, handler.sid);
            info!(sid, learner, "server {learner} is gone");
        }
        self.forget(conn, core);
    }

    fn forget(&mut self, conn: ConnId, core: &mut Core) {
        let Some(mut handler) = self.handlers().by_conn.remove(&conn) else {
            return;
        };
        if !handler.is_known() {
            return;
        }
        handler.give_up_sync(core);
        let twin = self
            .handlers()
            .iter()
            .find_map(|(twin, other)| match other.stage {
                Stage::Twin { accepted } if other.sid == handler.sid => Some((twin, accepted)),
                _ => None,
            });
        if let Some((twin, accepted)) = twin {
            self.wait_for_epoch(twin, accepted, core);
        }
        self.lost(conn, twin.is_some(), core);
    }

    fn refuse(&mut self, conn: ConnId, why: impl std::fmt::Display, core: &mut Core) {
        let handler = self.handlers().by_conn.get_mut(&conn);
        let sid = handler.and_then(|handler| {
            handler.give_up_sync(core);
            (handler.stage != Stage::Stranger).then_some(handler.sid)
        });
        core.refuse(conn, sid, why);
        self.forget(conn, core);
    }

    /// Closes connections that say nothing, or do not acknowledge.
    fn drop_silent(&mut self, core: &mut Core) {
        let (init, sync) = (core.params.init_limit, core.params.sync_limit);
        let mut gone = Vec::new();
        for (conn, handler) in self.handlers().iter() {
            let patience = core.ticks(handler.patience(init, sync));
            let lag = handler.unacked.front().map(|sent| sent.1);
            let lags = handler.stage == Stage::Live
                && lag.is_some_and(|since| core.now > since + core.ticks(sync));
            if lags {
                gone.push((conn, format!("server {} does not acknowledge", handler.sid)));
            } else if core.now > handler.heard + patience && handler.stage != Stage::Waiting {
                gone.push((conn, silent(handler)));
            }
        }
        for (conn, why) in gone {
            self.refuse(conn, why, core);
        }
        let twins: Vec<(ConnId, Sid, i64)> = self
            .handlers()
            .iter()
            .filter_map(|(conn, handler)| match handler.stage {
                Stage::Twin { accepted } => Some((conn, handler.sid, accepted)),
                _ => None,
            })
            .collect();
        for (conn, sid, accepted) in twins {
            match self.handlers().twin_of(conn, sid) {
                Some((old, heard)) if core.now >= heard + core.params.tick_ms => {
                    // Its place goes to the one that waits.
                    self.refuse(old, anew(sid), core);
                }
                Some(_) => {}
                None => self.wait_for_epoch(conn, accepted, core),
            }
        }
    }
}

/// Why the older of two connections with one number goes.
fn anew(sid: Sid) -> String {
    format!("server {sid} has come anew: it was cut off, or two servers have its number (myid)")
}

fn silent(handler: &Handler) -> String {
    let sid = handler.sid;
    match handler.stage {
        Stage::Stranger => "it does not say who it is".to_owned(),
        Stage::Twin { .. } => {
            format!("server {sid} is here already: two servers have its number (myid)")
        }
        _ => format!("server {sid} is silent"),
    }
}

/// Java sends a follower what is outstanding before NEWLEADER; its learners of 3.8 then fail over the
/// COMMIT between NEWLEADER and UPTODATE (ZOOKEEPER-4394).
fn newleader_comes_last(handler: &Handler, core: &Core) -> bool {
    !handler.observer && (core.model.is_java() || without(Guard::OutstandingBehind))
}

fn newleader(conn: ConnId, epoch: i64, core: &mut Core) {
    let packet = FromLeader::NewLeader {
        zxid: make(epoch, 0),
        config: Some(core.last_seen().text().into()),
    };
    core.tell_learner(conn, &packet);
}
