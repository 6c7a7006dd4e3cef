//! What this server holds, and what of it is durable.
//!
//! The release rules live here as types: a packet that promises something takes a [`Durable`], and
//! only [`Store::settled`] makes one, from a disk operation that is done.

use std::collections::VecDeque;

use crate::boot::Boot;
use crate::history::History;
use crate::io::{DiskOp, Proposal, Token};
use crate::mutations::{Guard, without};
use crate::out::Out;

/// A value on its way to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending<T> {
    token: Token,
    value: T,
}

/// A value that is on the disk, with all that was written before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Durable<T>(T);

impl<T: Copy> Durable<T> {
    /// The value.
    pub(crate) fn get(self) -> T {
        self.0
    }
}

impl<T> Pending<T> {
    /// The value.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    /// The same disk operation as proof of another value.
    pub(crate) fn with<U>(&self, value: U) -> Pending<U> {
        Pending {
            token: self.token,
            value,
        }
    }
}

/// What a disk operation changes when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Accepted(i64),
    Current(i64),
    Logged(i64),
    Truncated(i64),
    Installed(i64),
    Kept(i64),
    Config,
}

/// Epochs, history and state of this server.
#[derive(Debug)]
pub(crate) struct Store {
    /// The transactions.
    history: History,
    /// `acceptedEpoch` on the disk (ZOOKEEPER-2307: memory follows the file).
    accepted: i64,
    /// `currentEpoch` on the disk.
    current: i64,
    /// What the state machine has been told to apply.
    applied: i64,
    /// The end of the log on the disk.
    logged: i64,
    /// The data of this server are gone, or may be: its position is nobody's proof of anything.
    lost: bool,
    /// State and epoch of this server, an observer then, are ahead of its disk.
    ahead: bool,
    pending: VecDeque<(Token, Change)>,
    issued: Token,
    done: Token,
}

impl Store {
    pub(crate) fn new(boot: &Boot) -> Store {
        let params = &boot.params;
        Store {
            history: History::new(
                &boot.log,
                &boot.recent,
                boot.last_zxid,
                params.history_entries,
                params.history_bytes,
            ),
            accepted: boot.accepted_epoch,
            current: boot.current_epoch,
            applied: boot.last_zxid,
            logged: boot.last_zxid,
            lost: boot.may_have_lost_data,
            ahead: false,
            pending: VecDeque::new(),
            issued: 0,
            done: 0,
        }
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn accepted(&self) -> i64 {
        self.accepted
    }

    pub(crate) fn current(&self) -> i64 {
        self.current
    }

    /// The last transaction that the state machine was given.
    pub(crate) fn applied(&self) -> i64 {
        self.applied
    }

    /// The end of the history, durable or not.
    pub(crate) fn end(&self) -> i64 {
        self.history.end()
    }

    /// The leader's history is here: nothing is missing any more.
    pub(crate) fn found(&mut self) {
        self.lost = false;
    }

    pub(crate) fn starts_at(&mut self, zxid: i64) {
        self.history.starts_at(zxid);
    }

    /// The position of a vote: the end of the log **on the disk**, which the state machine has
    /// reached (ZOOKEEPER-2845); -1 where data may be lost.
    ///
    /// # Panics
    /// Something is still on its way to the disk, or was not applied (release rule of role exits).
    pub(crate) fn position(&self) -> i64 {
        let quiet = self.may_vote() || without(Guard::PromiseAfterFlush);
        assert!(quiet, "a vote waits for the disk");
        assert_eq!(
            self.applied,
            self.history.end(),
            "a vote waits for the state"
        );
        if self.lost { -1 } else { self.history.end() }
    }

    /// Whether all that was asked of the disk is done.
    pub(crate) fn is_quiet(&self) -> bool {
        self.done >= self.issued
    }

    /// Whether a vote may be given: late writes of the role before would change what it said.
    pub(crate) fn may_vote(&self) -> bool {
        self.is_quiet() || without(Guard::QuietBeforeVote)
    }

    pub(crate) fn accept_epoch(&mut self, epoch: i64, out: &mut Out) -> Pending<i64> {
        assert!(epoch > self.accepted, "an accepted epoch never falls (D6)");
        self.write(
            DiskOp::AcceptedEpoch(epoch),
            Change::Accepted(epoch),
            epoch,
            out,
        )
    }

    /// Makes an epoch the current one. The disk does it behind all that was asked of it before, so
    /// that the history of that epoch is there first (ZOOKEEPER-4643, 4785).
    pub(crate) fn enter_epoch(&mut self, epoch: i64, out: &mut Out) -> Pending<i64> {
        assert!(epoch >= self.current, "a current epoch never falls (D6)");
        let early = without(Guard::PromiseAfterFlush) || without(Guard::LeaderInfoAfterFlush);
        let accepted = epoch <= self.accepted || early;
        assert!(accepted, "an epoch is accepted first (D2)");
        if self.ahead {
            // The history of that epoch is not on the disk, which must not say that it is.
            self.current = epoch;
            return Pending {
                token: self.issued,
                value: epoch,
            };
        }
        self.write(
            DiskOp::CurrentEpoch(epoch),
            Change::Current(epoch),
            epoch,
            out,
        )
    }

    /// Appends to history and log.
    ///
    /// # Panics
    /// There would be a gap: the caller asks [`follows`](crate::history::follows) before.
    pub(crate) fn append(&mut self, proposal: Proposal, out: &mut Out) -> Pending<i64> {
        let zxid = proposal.zxid;
        assert!(!self.ahead, "a log goes on where it ended (D7)");
        self.history.push(proposal.clone());
        self.write(DiskOp::Append(proposal), Change::Logged(zxid), zxid, out)
    }

    /// Appends to the history only, of an observer that writes no log.
    pub(crate) fn keep_in_memory(&mut self, proposal: Proposal) {
        self.ahead = true;
        self.logged = proposal.zxid;
        self.history.push(proposal);
    }

    /// Whether the disk lacks what this server has.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead
    }

    /// Makes durable what this server has, and its epoch.
    ///
    /// # Panics
    /// Something is not applied.
    pub(crate) fn keep(&mut self, out: &mut Out) {
        let zxid = self.history.end();
        assert_eq!(self.applied, zxid, "a snapshot is of what was applied");
        self.ahead = false;
        self.write(DiskOp::Keep { zxid }, Change::Kept(zxid), (), out);
        self.enter_epoch(self.current, out);
    }

    /// Forgets what lies behind `zxid`. History and state follow when it is done.
    pub(crate) fn truncate(&mut self, zxid: i64, out: &mut Out) -> Pending<i64> {
        self.write(
            DiskOp::Truncate { zxid },
            Change::Truncated(zxid),
            zxid,
            out,
        )
    }

    /// Puts a received state in the place of all there is. History and state follow when it is done.
    pub(crate) fn install(&mut self, zxid: i64, out: &mut Out) -> Pending<i64> {
        self.write(
            DiskOp::InstallSnapshot { zxid },
            Change::Installed(zxid),
            zxid,
            out,
        )
    }

    /// Writes the newest configuration that was seen.
    pub(crate) fn next_config(&mut self, text: String, out: &mut Out) {
        self.write(DiskOp::NextConfig(text), Change::Config, (), out);
    }

    /// Writes the configuration in force.
    pub(crate) fn commit_config(&mut self, text: String, out: &mut Out) {
        self.write(DiskOp::CommitConfig(text), Change::Config, (), out);
    }

    /// Tells the state machine the next transaction, if it is there: its zxid.
    pub(crate) fn apply_next(&mut self, out: &mut Out) -> Option<Proposal> {
        let next = self.history.next_after(self.applied)?.clone();
        self.applied = next.zxid;
        out.push(crate::io::Effect::Apply(next.clone()));
        self.history.evict(self.applied.min(self.logged));
        Some(next)
    }

    /// The disk has done this and all before.
    pub(crate) fn persisted(&mut self, token: Token) {
        self.done = self.done.max(token.min(self.issued));
        while let Some(&(token, change)) = self.pending.front() {
            if token > self.done {
                break;
            }
            self.pending.pop_front();
            self.changed(change);
        }
        self.history.evict(self.applied.min(self.logged));
    }

    /// The disk could not truncate, and nothing is left.
    pub(crate) fn cannot_truncate(&mut self, token: Token) {
        if let Some(write) = self.pending.iter_mut().find(|write| write.0 == token) {
            // What was acknowledged before is gone: until a leader's history is here, this server's
            // vote would stand for data that it does not have.
            write.1 = Change::Truncated(0);
            self.lost = true;
        }
        self.persisted(token);
    }

    /// The proof that a value is on the disk, once it is, for what `guard` keeps.
    pub(crate) fn settled<T: Copy>(
        &self,
        pending: &Pending<T>,
        guard: Guard,
    ) -> Option<Durable<T>> {
        (pending.token <= self.done || without(guard)).then_some(Durable(pending.value))
    }

    /// Whether a disk operation is done.
    pub(crate) fn is_done<T>(&self, pending: &Pending<T>) -> bool {
        pending.token <= self.done
    }

    fn write<T>(&mut self, op: DiskOp, change: Change, value: T, out: &mut Out) -> Pending<T> {
        let token = out.disk(op);
        assert!(token > self.issued, "disk operations are numbered in order");
        self.issued = token;
        self.pending.push_back((token, change));
        Pending { token, value }
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::Accepted(epoch) => self.accepted = epoch,
            Change::Current(epoch) => self.current = epoch,
            Change::Logged(zxid) => self.logged = zxid,
            Change::Truncated(zxid) => {
                self.history.truncate(zxid);
                self.applied = zxid;
                self.logged = zxid;
            }
            Change::Installed(zxid) => {
                self.history.reset(zxid);
                self.applied = zxid;
                self.logged = zxid;
                self.ahead = false;
            }
            Change::Kept(zxid) => {
                self.history.reset(zxid);
                self.logged = zxid;
            }
            Change::Config => {}
        }
    }
}
