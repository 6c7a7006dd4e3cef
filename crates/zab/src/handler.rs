//! One connection of a learner, as its leader sees it.

use std::collections::VecDeque;

use zooid_proto::quorum::{ForwardedRequest, Limits, PacketDecoder, kind};

use crate::core::Core;
use crate::io::{Effect, Forwarded, Sid, SyncReport};
use crate::quorum::Tracker;

/// Bytes that a learner may have sent before it is known: its introduction is some 50.
const MAX_GREETING: usize = 4 << 10;

/// How far a learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is known of it.
    Stranger,
    /// It has told its number, which another connection has that was heard of lately.
    Twin {
        /// Its accepted epoch.
        accepted: i64,
    },
    /// It waits for the epoch.
    Waiting,
    /// LEADERINFO is on its way to it.
    Informed,
    /// It has told its position, and waits for a quorum to have done so.
    Placed {
        /// Its last zxid.
        position: i64,
    },
    /// It was sent what it lacks, and NEWLEADER.
    Syncing,
    /// It has acknowledged NEWLEADER, and waits for a quorum to have done so.
    Synced,
    /// It is up to date.
    Live,
}

/// A learner.
#[derive(Debug)]
pub(crate) struct Handler {
    /// Its number; before it has told it, meaningless.
    pub(crate) sid: Sid,
    /// Whether it wants INFORM instead of PROPOSAL and COMMIT.
    pub(crate) observer: bool,
    pub(crate) stage: Stage,
    /// Of a stranger: how many bytes have come, and the first of them.
    greeting: (usize, [u8; 4]),
    /// Taken out while its packets are looked at.
    pub(crate) decoder: Option<PacketDecoder>,
    /// When it was heard of, ms.
    pub(crate) heard: u64,
    /// It counts as alive until this tick of the leader.
    pub(crate) deadline_tick: u64,
    /// Proposals that it has not acknowledged, and when they were sent, ms.
    pub(crate) unacked: VecDeque<(i64, u64)>,
    /// The last proposal that it acknowledged before NEWLEADER (ZOOKEEPER-4685).
    pub(crate) early_ack: Option<i64>,
    /// The last transaction that it is known to have.
    pub(crate) acked: i64,
    /// What it was sent and has not acknowledged, and since when, ms.
    pub(crate) sync: Option<(u64, SyncReport)>,
}

impl Handler {
    pub(crate) fn new(now: u64, deadline_tick: u64, limits: Limits) -> Handler {
        Handler {
            sid: 0,
            observer: false,
            stage: Stage::Stranger,
            greeting: (0, [0; 4]),
            decoder: Some(PacketDecoder::new(limits)),
            heard: now,
            deadline_tick,
            unacked: VecDeque::new(),
            early_ack: None,
            acked: 0,
            sync: None,
        }
    }

    /// Takes note of what a stranger says: no more than an introduction, and nothing else. Who took the
    /// wrong port is not waited for.
    pub(crate) fn greets(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (come, first) = &mut self.greeting;
        for byte in bytes {
            if let Some(place) = first.get_mut(*come) {
                *place = *byte;
            }
            *come += 1;
        }
        let number = i32::from_be_bytes(*first);
        if *come >= first.len() && !matches!(number, kind::FOLLOWER_INFO | kind::OBSERVER_INFO) {
            return Err(format!(
                "its first packet is of kind {number}, it is no learner"
            ));
        }
        if *come > MAX_GREETING {
            return Err(format!("{come} bytes, and it has not said who it is"));
        }
        Ok(())
    }

    /// Whether its number is known, and is its own.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.stage, Stage::Stranger | Stage::Twin { .. })
    }

    /// Whether what is proposed and committed is sent to it.
    pub(crate) fn is_forwarding(&self) -> bool {
        matches!(self.stage, Stage::Syncing | Stage::Synced | Stage::Live)
    }

    /// Whether it has the initial history of the epoch.
    pub(crate) fn is_synced(&self) -> bool {
        matches!(self.stage, Stage::Synced | Stage::Live)
    }

    /// How long it may be silent, in ticks: loading a state takes its time, and while others do that
    /// it has nothing to say.
    pub(crate) fn patience(&self, init_limit: u64, sync_limit: u64) -> u64 {
        if self.stage == Stage::Live {
            sync_limit
        } else {
            init_limit
        }
    }

    /// It has acknowledged all that it lacked.
    pub(crate) fn brought_up(&mut self, core: &mut Core) {
        self.report(true, core);
    }

    /// It will not acknowledge what it was sent: the connection is at its end.
    pub(crate) fn give_up_sync(&mut self, core: &mut Core) {
        self.report(false, core);
    }

    fn report(&mut self, done: bool, core: &mut Core) {
        if let Some((since, report)) = self.sync.take() {
            let ms = core.now - since;
            core.out
                .push(Effect::BroughtUp(SyncReport { ms, done, ..report }));
        }
    }

    /// It has acknowledged a proposal.
    pub(crate) fn acknowledged(&mut self, zxid: i64) {
        self.acked = self.acked.max(zxid);
        while self.unacked.front().is_some_and(|sent| sent.0 <= zxid) {
            self.unacked.pop_front();
        }
    }
}

/// The same tracker without the word of one server.
pub(crate) fn retracted(tracker: &Tracker, sid: Sid) -> Tracker {
    let mut sets = tracker.sets().iter();
    let (first, acked) = sets.next().expect("a tracker has a configuration");
    let mut other = Tracker::new(first, None);
    let mut all = acked.clone();
    for (verifier, acked) in sets {
        other.require(verifier);
        all.extend(acked);
    }
    all.remove(&sid);
    all.into_iter().for_each(|sid| {
        other.add(sid);
    });
    other
}

/// A request as it goes to the state machine.
pub(crate) fn forwarded(request: ForwardedRequest<'_>) -> Forwarded {
    let text = |text: Option<std::borrow::Cow<'_, str>>| text.unwrap_or_default().into_owned();
    Forwarded {
        session: request.session_id,
        cxid: request.cxid,
        op: request.op,
        body: request.body.into_owned(),
        identities: request
            .authinfo
            .into_iter()
            .flatten()
            .map(|id| (text(id.scheme), text(id.id)))
            .collect(),
    }
}
