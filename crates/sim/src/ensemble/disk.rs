//! The disk of one server at the level of a peer's operations: what is durable, what is on its way,
//! and what of that a crash leaves.

use std::collections::VecDeque;

use zooid_zab::{DiskOp, Proposal, Token};

use super::history::{Chain, Histories};
use super::machine::Machine;
use super::scenarios::Driver;
use crate::dice::hash;

/// What survives.
#[derive(Debug, Clone)]
pub struct Image {
    /// `acceptedEpoch`.
    pub accepted: i64,
    /// `currentEpoch`.
    pub current: i64,
    /// The newest state: its zxid as the ensemble counts it, and the state.
    pub snapshots: Vec<(i64, Machine)>,
    /// All behind the oldest snapshot that logs go back to.
    pub log: Vec<Proposal>,
    /// `*.dynamic`
    pub config: String,
    /// `*.dynamic.next`
    pub next_config: Option<String>,
}

/// What a peer has asked for and is not durable yet.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its number.
    pub token: Token,
    /// The operation.
    pub op: DiskOp,
    /// The state that [`DiskOp::InstallSnapshot`] installs, or [`DiskOp::Keep`] writes.
    pub state: Option<Machine>,
    /// When it is durable, µs.
    pub done_us: u64,
    /// When it begins, µs: what is appended until then is written with it.
    pub begins_us: u64,
    /// It fails, and nobody notices.
    pub fails: bool,
}

/// How an operation ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// As asked.
    Durable,
    /// The state machine is a new one: after a truncation or an installed snapshot.
    Replaced,
    /// Nothing to go back to: the server is empty.
    Emptied,
}

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// What survives.
    pub image: Image,
    /// What is on its way, in order.
    pub pending: VecDeque<Pending>,
    /// A promise that is broken on purpose.
    pub breaks: Option<Driver>,
    /// What was cut last, behind which zxid.
    cut: (i64, Vec<Proposal>),
    /// The epochs before the last one was written.
    older: (i64, i64),
    /// The next operation fails, and nobody notices.
    pub fail_next: bool,
}

impl Image {
    /// A fresh server.
    pub fn new(config: &str) -> Image {
        Image {
            accepted: 0,
            current: 0,
            snapshots: vec![(0, Machine::default())],
            log: Vec::new(),
            config: config.to_owned(),
            next_config: None,
        }
    }

    /// The last zxid in log or snapshot.
    pub fn last_zxid(&self) -> i64 {
        let logged = self.log.last().map_or(0, |txn| txn.zxid);
        logged.max(self.snapshots.last().map_or(0, |(zxid, _)| *zxid))
    }

    /// The newest state that log and snapshots give.
    pub fn recover(&self, histories: &mut Histories) -> Result<Machine, String> {
        let (zxid, machine) = self.snapshots.last().cloned().unwrap_or_default();
        let mut machine = machine;
        for txn in self.log.iter().filter(|txn| txn.zxid > zxid) {
            machine.apply(txn, histories)?;
        }
        Ok(machine)
    }

    /// The name of the history that log and snapshots give.
    pub fn chain(&self, histories: &mut Histories) -> Chain {
        let (zxid, machine) = match self.snapshots.last() {
            Some((zxid, machine)) => (*zxid, machine.chain),
            None => (0, super::history::EMPTY),
        };
        let newer = self.log.partition_point(|txn| txn.zxid <= zxid);
        self.log[newer..]
            .iter()
            .fold(machine, |chain, txn| histories.extend(chain, txn))
    }

    /// Whether it holds this transaction, or a state that came after it.
    pub fn holds(&self, txn: &Proposal) -> bool {
        match self.log.binary_search_by_key(&txn.zxid, |txn| txn.zxid) {
            Ok(at) => self.log[at].bytes == txn.bytes,
            Err(_) => {
                let newest = self.snapshots.last().map_or(0, |(zxid, _)| *zxid);
                newest >= txn.zxid
            }
        }
    }

    /// Keeps a state so that older logs may go.
    pub fn snapshot(&mut self, machine: &Machine) {
        if machine.zxid > self.snapshots.last().map_or(0, |(zxid, _)| *zxid) {
            self.snapshots.push((machine.zxid, machine.clone()));
        }
    }

    /// Removes all but the newest `keep` snapshots, and the logs behind them. The first zxid that is
    /// left.
    pub fn purge(&mut self, keep: usize) -> i64 {
        let too_many = self.snapshots.len().saturating_sub(keep);
        self.snapshots.drain(..too_many);
        let oldest = self.snapshots.first().map_or(0, |(zxid, _)| *zxid);
        self.log.retain(|txn| txn.zxid > oldest);
        self.log.first().map_or(oldest + 1, |txn| txn.zxid)
    }

    fn truncate(&mut self, zxid: i64) -> Done {
        self.log.retain(|txn| txn.zxid <= zxid);
        self.snapshots.retain(|(at, _)| *at <= zxid);
        if self.snapshots.is_empty() {
            self.log.clear();
            self.snapshots.push((0, Machine::default()));
            return Done::Emptied;
        }
        Done::Replaced
    }

    fn carry_out(&mut self, op: DiskOp, state: Option<Machine>) -> Done {
        match op {
            DiskOp::AcceptedEpoch(epoch) => self.accepted = epoch,
            DiskOp::CurrentEpoch(epoch) => self.current = epoch,
            DiskOp::Append(txn) => self.log.push(txn),
            DiskOp::Truncate { zxid } => return self.truncate(zxid),
            DiskOp::InstallSnapshot { zxid } => {
                self.log.clear();
                self.snapshots = vec![(zxid, state.expect("a received state"))];
                return Done::Replaced;
            }
            DiskOp::Keep { zxid } => {
                self.log.clear();
                self.snapshots = vec![(zxid, state.expect("the state of this server"))];
            }
            DiskOp::NextConfig(text) => self.next_config = Some(text),
            DiskOp::CommitConfig(text) => {
                self.config = text;
                self.next_config = None;
            }
        }
        Done::Durable
    }
}

impl Disk {
    /// A fresh server.
    pub fn new(config: &str) -> Disk {
        Disk {
            image: Image::new(config),
            pending: VecDeque::new(),
            breaks: None,
            cut: (0, Vec::new()),
            older: (0, 0),
            fail_next: false,
        }
    }

    /// Takes an operation; it takes `latency_us` once it begins. When it will be durable.
    pub fn ask(
        &mut self,
        token: Token,
        op: DiskOp,
        state: Option<Machine>,
        now_us: u64,
        latency_us: u64,
    ) -> u64 {
        let (mut begins_us, mut done_us) = (now_us, now_us + latency_us);
        if let Some(last) = self.pending.back() {
            let both = matches!((&last.op, &op), (DiskOp::Append(_), DiskOp::Append(_)));
            if both && last.begins_us > now_us {
                (begins_us, done_us) = (last.begins_us, last.done_us);
            } else {
                begins_us = last.done_us.max(now_us);
                done_us = begins_us + latency_us;
            }
        }
        self.pending.push_back(Pending {
            token,
            op,
            state,
            done_us,
            begins_us,
            fails: std::mem::take(&mut self.fail_next),
        });
        done_us
    }

    /// The next operation that is durable by now.
    pub fn complete(&mut self, now_us: u64) -> Option<(Token, DiskOp, Done)> {
        if self.pending.front()?.done_us > now_us {
            return None;
        }
        let pending = self.pending.pop_front()?;
        let done = self.carry_out(&pending);
        Some((pending.token, pending.op, done))
    }

    fn carry_out(&mut self, pending: &Pending) -> Done {
        if pending.fails {
            return Done::Durable;
        }
        match &pending.op {
            DiskOp::Truncate { zxid } => {
                let from = self.image.log.partition_point(|txn| txn.zxid <= *zxid);
                self.cut = (*zxid, self.image.log[from..].to_vec());
                if self.breaks == Some(Driver::TruncationDropsStates) {
                    self.image.log.truncate(from);
                    return Done::Replaced;
                }
            }
            DiskOp::AcceptedEpoch(_) | DiskOp::CurrentEpoch(_) => {
                self.older = (self.image.accepted, self.image.current);
            }
            _ => {}
        }
        self.image
            .carry_out(pending.op.clone(), pending.state.clone())
    }

    /// All of it as the running process sees it, what is only in memory included.
    pub fn logged(&self, after: i64, upto: i64) -> Vec<Proposal> {
        let pending = self.pending.iter().filter_map(|pending| match &pending.op {
            DiskOp::Append(txn) => Some(txn),
            _ => None,
        });
        let all = self.image.log.iter().chain(pending);
        let range = all.filter(|txn| txn.zxid > after && txn.zxid <= upto);
        range.cloned().collect()
    }

    /// A crash: of what was not durable, the first few operations have happened all the same, and
    /// the one behind them perhaps in part. True if something was lost.
    pub fn crash(&mut self, choice: u64) -> bool {
        let pending = std::mem::take(&mut self.pending);
        let kept = match choice % 4 {
            0 => 0,
            1 => pending.len(),
            _ => hash(choice, 1, 0) as usize % (pending.len() + 1),
        };
        let lost = kept < pending.len();
        for (n, pending) in pending.into_iter().enumerate() {
            if n < kept {
                self.carry_out(&pending);
            } else if n == kept
                && let DiskOp::Truncate { zxid } = pending.op
            {
                // Cut in part: from the end, as files are shortened and removed from the newest on.
                let doomed = self.image.log.iter().filter(|txn| txn.zxid > zxid).count();
                let cut = hash(choice, 2, 0) as usize % (doomed + 1);
                let newest = self.image.snapshots.last().map_or(0, |(zxid, _)| *zxid);
                if newest <= zxid {
                    self.image.log.truncate(self.image.log.len() - cut);
                }
            }
        }
        match self.breaks {
            Some(Driver::TruncationDurable) if self.image.last_zxid() == self.cut.0 => {
                self.image.log.append(&mut self.cut.1);
            }
            Some(Driver::EpochDurable) => {
                (self.image.accepted, self.image.current) = self.older;
            }
            _ => {}
        }
        lost
    }
}
