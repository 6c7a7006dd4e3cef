//! What a leader and a learner say to each other, in order: I10 state, I11 proposals, I12 commits,
//! I13 acknowledgements, I14 direction and role.

use std::collections::VecDeque;

use zooid_proto::quorum::{FromLeader, FromLearner, Limits, PacketDecoder};
use zooid_proto::zxid::{counter, epoch};

use super::order::follows;
use crate::ensemble::plan::Member;

/// One connection on the quorum port, as it was said on the side of each sender.
#[derive(Debug, Default)]
pub struct Talk {
    /// What the learner is, and the leader.
    kinds: [Member; 2],
    decoders: [Option<PacketDecoder>; 2],
    observer: bool,
    said_info: bool,
    /// Who the learner is, and which epoch it had accepted.
    introduced: Option<(i64, i64)>,
    /// Epoch of LEADERINFO.
    epoch: Option<i64>,
    position: Option<i64>,
    sync: Option<Sync>,
    /// The last transaction that the learner has, or will have when it has read everything.
    proposed: i64,
    pending: VecDeque<i64>,
    sent: VecDeque<i64>,
    new_leader: Option<i64>,
    new_leader_acked: bool,
    up_to_date: bool,
    acked: i64,
    revalidations: u64,
}

/// How a learner is synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// By what it lacks.
    Diff,
    /// By cutting its log.
    Trunc,
    /// By a state.
    Snap,
}

/// What a packet means to the checks that know more than one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// LEADERINFO.
    LeaderInfo(i64),
    /// DIFF, TRUNC or SNAP in an epoch.
    Syncs(i64, Sync, i64),
    /// NEWLEADER.
    NewLeader(i64),
    /// UPTODATE.
    UpToDate(i64),
    /// A proposal, before or after NEWLEADER.
    Proposal {
        /// Its zxid.
        zxid: i64,
        /// Whether it belongs to the initial history.
        initial: bool,
    },
    /// COMMIT or INFORM; `early` between NEWLEADER and UPTODATE.
    Commit {
        /// Its zxid.
        zxid: i64,
        /// Whether the learner does not serve yet.
        early: bool,
    },
    /// A counted ACKEPOCH for an epoch; `None` if it only tells the position.
    AckEpoch(i64, bool),
    /// ACK of the initial history.
    AckHistory(i64),
    /// The second ACK.
    AckUpToDate,
    /// ACK of a transaction.
    Ack(i64),
    /// COMMITANDACTIVATE or INFORMANDACTIVATE.
    Activate(i64, i64),
    /// Anything else.
    Other,
}

type Checked = Result<Said, String>;

impl Talk {
    /// A learner (side 0) or a leader (side 1) sends bytes; what they say.
    pub fn sends(&mut self, side: usize, bytes: &[u8], kind: Member) -> Result<Vec<Said>, String> {
        self.kinds[side] = kind;
        let mut decoder = self.decoders[side]
            .take()
            .unwrap_or_else(|| PacketDecoder::new(Limits::new(1 << 20, None)));
        decoder.push(bytes);
        let mut all = Vec::new();
        while let Some(packet) = decoder
            .next_packet()
            .map_err(|error| format!("I14: not a packet: {error}"))?
        {
            let kind = packet.kind;
            let said = if side == 0 {
                let packet = FromLearner::read(packet).map_err(|error| format!("I14: {error}"))?;
                self.learner(packet)
            } else {
                let packet = FromLeader::read(packet).map_err(|error| format!("I14: {error}"))?;
                self.leader(packet)
            };
            let name = zooid_proto::quorum::kind::name(kind);
            all.push(said.map_err(|error| format!("{error} ({name})"))?);
        }
        self.decoders[side] = Some(decoder);
        Ok(all)
    }

    /// Who the learner is, and which epoch it had accepted when it came.
    pub fn introduced(&self) -> Option<(i64, i64)> {
        self.introduced
    }

    /// A snapshot goes to the learner here.
    pub fn sends_snapshot(&self) -> Result<(), String> {
        match self.sync {
            Some(Sync::Snap) => Ok(()),
            other => Err(format!("I10: a snapshot is sent after {other:?}")),
        }
    }

    fn learner(&mut self, packet: FromLearner<'_>) -> Checked {
        match packet {
            FromLearner::Info {
                observer,
                accepted_epoch,
                info,
            } => {
                demand(!self.said_info, "I10: a second introduction")?;
                self.introduced = info.sid.map(|sid| (sid, accepted_epoch));
                self.said_info = true;
                self.observer = observer;
                Ok(Said::Other)
            }
            FromLearner::AckEpoch {
                last_zxid,
                current_epoch,
            } => {
                let epoch = self.epoch.ok_or("I10: no LEADERINFO before")?;
                demand(self.position.is_none(), "I10: a second ACKEPOCH")?;
                self.position = Some(last_zxid);
                Ok(Said::AckEpoch(epoch, current_epoch.is_some()))
            }
            FromLearner::Ack { zxid } => self.ack(zxid),
            FromLearner::Ping { .. } | FromLearner::Revalidate(_) | FromLearner::Request(_) => {
                demand(self.new_leader_acked, "I10: not synchronised yet")?;
                if matches!(packet, FromLearner::Revalidate(_)) {
                    self.revalidations += 1;
                }
                Ok(Said::Other)
            }
            FromLearner::Other { kind } => Err(format!("I14: kind {kind} from a learner")),
        }
    }

    fn ack(&mut self, zxid: i64) -> Checked {
        let new_leader = self.new_leader.ok_or("I13: nothing to acknowledge")?;
        if !self.new_leader_acked {
            demand(
                zxid == new_leader,
                &format!("I13: {zxid:x} acknowledged instead of NEWLEADER {new_leader:x}"),
            )?;
            self.new_leader_acked = true;
            return Ok(Said::AckHistory(epoch(zxid)));
        }
        if zxid == new_leader {
            return Ok(Said::AckUpToDate);
        }
        demand(!self.observer, "I13: an observer acknowledges")?;
        let next = loop {
            match self.sent.pop_front() {
                Some(sent) if sent < zxid && self.acked == 0 => {}
                other => break other,
            }
        };
        demand(
            next == Some(zxid),
            &format!(
                "I13: {zxid:x} acknowledged after {:x}, next is {next:x?}",
                self.acked
            ),
        )?;
        self.acked = zxid;
        Ok(Said::Ack(zxid))
    }

    fn leader(&mut self, packet: FromLeader<'_>) -> Checked {
        match packet {
            FromLeader::LeaderInfo { epoch, .. } => {
                demand(self.said_info, "I10: to a learner that said nothing")?;
                demand(self.epoch.is_none(), "I10: a second LEADERINFO")?;
                self.epoch = Some(epoch);
                Ok(Said::LeaderInfo(epoch))
            }
            FromLeader::Diff { zxid } => self.begins(Sync::Diff, zxid),
            FromLeader::Trunc { zxid } => self.begins(Sync::Trunc, zxid),
            FromLeader::Snap { zxid } => self.begins(Sync::Snap, zxid),
            FromLeader::NewLeader { zxid, .. } => {
                demand(self.sync.is_some(), "I10: not synchronised")?;
                demand(self.new_leader.is_none(), "I10: a second NEWLEADER")?;
                demand(
                    Some(epoch(zxid)) == self.epoch && counter(zxid) == 0,
                    "I10: of another epoch",
                )?;
                // Java sends what is outstanding before.
                demand(
                    self.pending.is_empty() || self.kinds[1].is_java(),
                    "I10: the initial history is not committed",
                )?;
                self.new_leader = Some(zxid);
                Ok(Said::NewLeader(epoch(zxid)))
            }
            FromLeader::UpToDate => {
                demand(self.new_leader_acked, "I10: without an acknowledgement")?;
                demand(!self.up_to_date, "I10: a second UPTODATE")?;
                self.up_to_date = true;
                Ok(Said::UpToDate(self.epoch.unwrap_or_default()))
            }
            FromLeader::Proposal { zxid, .. } => {
                self.proposal(zxid)?;
                self.pending.push_back(zxid);
                if self.new_leader.is_some() {
                    demand(!self.observer, "I14: a proposal to an observer")?;
                }
                // Those of the initial history may be acknowledged one by one, too: 3.8.5 does that.
                if Some(epoch(zxid)) == self.epoch || self.kinds[0] == Member::Java38 {
                    self.sent.push_back(zxid);
                }
                let initial = self.new_leader.is_none();
                Ok(Said::Proposal { zxid, initial })
            }
            FromLeader::Commit { zxid } => self.commit(zxid),
            FromLeader::CommitAndActivate {
                zxid,
                designated_leader,
            } => {
                self.commit(zxid)?;
                Ok(Said::Activate(zxid, designated_leader))
            }
            FromLeader::Inform { zxid, .. } => {
                self.inform(zxid)?;
                let early = !self.up_to_date;
                Ok(Said::Commit { zxid, early })
            }
            FromLeader::InformAndActivate {
                zxid,
                designated_leader,
                ..
            } => {
                self.inform(zxid)?;
                Ok(Said::Activate(zxid, designated_leader))
            }
            FromLeader::Ping { .. } => {
                demand(self.sync.is_some(), "I10: before the synchronisation")?;
                Ok(Said::Other)
            }
            FromLeader::Revalidated { .. } => {
                demand(self.revalidations > 0, "I10: nobody asked")?;
                self.revalidations -= 1;
                Ok(Said::Other)
            }
            FromLeader::Sync => {
                demand(self.up_to_date, "I10: not synchronised")?;
                Ok(Said::Other)
            }
            FromLeader::Other { kind } => Err(format!("I14: kind {kind} from a leader")),
        }
    }

    fn begins(&mut self, sync: Sync, zxid: i64) -> Checked {
        let position = self.position.ok_or("I10: no ACKEPOCH before")?;
        demand(self.sync.is_none(), "I10: synchronised twice")?;
        self.sync = Some(sync);
        self.proposed = match sync {
            Sync::Diff => position,
            Sync::Trunc | Sync::Snap => zxid,
        };
        if sync == Sync::Trunc {
            demand(
                zxid < position,
                &format!("I11: TRUNC to {zxid:x} at {position:x}"),
            )?;
        }
        Ok(Said::Syncs(self.epoch.unwrap_or_default(), sync, zxid))
    }

    fn proposal(&mut self, zxid: i64) -> Result<(), String> {
        demand(self.sync.is_some(), "I10: not synchronised")?;
        demand(
            follows(self.proposed, zxid),
            &format!("I11: {zxid:x} behind {:x}", self.proposed),
        )?;
        self.proposed = zxid;
        Ok(())
    }

    fn inform(&mut self, zxid: i64) -> Result<(), String> {
        demand(self.observer, "I14: INFORM to a follower")?;
        self.proposal(zxid)
    }

    fn commit(&mut self, zxid: i64) -> Checked {
        let head = self.pending.pop_front();
        demand(
            head == Some(zxid),
            &format!("I12: {zxid:x} committed, next is {head:x?}"),
        )?;
        let early = self.new_leader.is_some() && !self.up_to_date;
        Ok(Said::Commit { zxid, early })
    }
}

fn demand(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}
