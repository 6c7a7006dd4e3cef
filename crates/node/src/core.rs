//! The one place where writes become transactions and transactions become the tree. It is driven
//! by inputs and leaves what must be logged; it never waits.

mod ensemble;
mod local;

pub(crate) use ensemble::{Made, Question};
use local::Need;

use crate::acl;
use crate::conn::{Submit, WriteRequest};
use crate::link::{Answered, Close, Link, SESSION_OPENED};
use crate::prep::{Asker, Payload, Prep};
use crate::reply;
use crate::sessions::{Expiry, Owner, Session};
use crate::shared::Shared;
use crate::time::Now;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zooid_proto::Jute;
use zooid_proto::client::{MultiHeader, SyncRequest, SyncResponse};
use zooid_proto::records::perms;
use zooid_proto::txn::{LogEntry, Txn, kind};
use zooid_proto::{ErrorCode, OpCode, Reader, Writer};
use zooid_tree::{AclId, Applied, Change, Fired, Tree};
use zooid_zab::Peer;

/// What counters show for a write that failed: Java notes no operation before it knows that there
/// is one (`FinalRequestProcessor`).
const FAILED: i32 = 0;

/// Transactions applied under one hold of the tree, so that readers never wait for more.
const APPLIED_PER_HOLD: usize = 256;

/// A transaction to log. Nothing that follows from it happens before [`Core::durable`] says that
/// it is on disk.
#[derive(Debug, Clone)]
pub struct Append {
    /// Its zxid.
    pub zxid: i64,
    /// Header, record and digest.
    pub payload: Arc<[u8]>,
}

/// Who makes transactions, and when they may be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// This server, once they are on its disk.
    Alone,
    /// This server, once a quorum has them.
    Leader,
    /// Another server; they come back with its commits.
    Learner,
    /// Nobody: there is no leader.
    Nobody,
    /// The same, and reads are answered meanwhile.
    ReadOnly,
}

/// The core of a server.
pub struct Core {
    shared: Arc<Shared>,
    part: Part,
    /// What this server waits for its leader to answer.
    asked: ensemble::Asked,
    prep: Prep,
    expiry: Expiry,
    /// What is under way, in order.
    queue: VecDeque<InFlight>,
    durable_zxid: i64,
    next_sweep_ms: Option<i64>,
    appends: Vec<Append>,
    woken: Vec<Arc<Link>>,
    changes: Vec<Change>,
    fired: Vec<Fired>,
    /// Of the last [`Core::is_now`].
    wall_ms: i64,
}

struct InFlight {
    /// What to log and apply. Without it the entry only waits for its turn to be answered.
    append: Option<Append>,
    answer: Answer,
    large_bytes: i64,
}

enum Answer {
    /// Nobody asked: expiry, or the sweeper.
    Nobody,
    Write {
        link: Arc<Link>,
        session: Arc<Session>,
        op: OpCode,
        xid: i32,
        received_ms: i64,
        /// What its client is told in place of the error in the transaction.
        refusal: Option<ErrorCode>,
    },
    Open {
        link: Arc<Link>,
        session: Arc<Session>,
        received_ms: i64,
    },
    /// A request that could not be decoded.
    Refused {
        link: Arc<Link>,
        session: Arc<Session>,
        xid: i32,
        received_ms: i64,
        code: ErrorCode,
    },
    /// A client ends a session that only this server knows of.
    CloseLocal {
        link: Arc<Link>,
        session: Arc<Session>,
        xid: i32,
        received_ms: i64,
    },
    /// A `sync` of a learner's client.
    Sync {
        link: Arc<Link>,
        session: Arc<Session>,
        xid: i32,
        received_ms: i64,
        path: Vec<u8>,
    },
}

impl Core {
    /// The core around a recovered state.
    pub fn new(shared: Arc<Shared>, now: Now) -> Core {
        let zxid = shared.tree.read().last_processed_zxid();
        let interval = shared.settings.container_check_interval_ms;
        Core {
            shared,
            part: Part::Alone,
            asked: ensemble::Asked::default(),
            prep: Prep::new(zxid),
            expiry: Expiry::default(),
            queue: VecDeque::new(),
            durable_zxid: zxid,
            next_sweep_ms: (interval > 0).then(|| now.mono_ms + interval),
            appends: Vec::new(),
            woken: Vec::new(),
            changes: Vec::new(),
            fired: Vec::new(),
            wall_ms: i64::MIN,
        }
    }

    /// Takes what a connection submits.
    pub fn submit(&mut self, submit: Submit, now: Now) {
        self.submit_with(submit, None, now);
    }

    /// The same for a member, whose agreement judges changes of the members.
    pub(crate) fn submit_with(&mut self, submit: Submit, peer: Option<&Peer>, now: Now) {
        let submit = match (self.part, submit) {
            (Part::Nobody, submit) => return self.drop_submit(submit),
            // Whoever serves opens them, and asks nobody.
            (
                _,
                Submit::Open {
                    link,
                    timeout_ms,
                    received_ms,
                },
            ) if self.shared.settings.local_sessions => {
                let session = self.shared.sessions.create_local(timeout_ms, &link, now);
                return self.answer_handshake(&link, Some(session), received_ms);
            }
            (Part::ReadOnly, submit) => return self.submit_read_only(submit),
            (Part::Learner, submit) => return self.ask(submit, now),
            (Part::Alone | Part::Leader, submit) => submit,
        };
        match submit {
            Submit::Write(request) => self.write(request, peer, now),
            Submit::Revalidate {
                link,
                session,
                timeout_ms,
                received_ms,
            } => {
                // The term began while the handshake was on its way here.
                let sessions = &self.shared.sessions;
                let attached = sessions.attach_known(session, timeout_ms, &link, now);
                self.answer_handshake(&link, attached.ok(), received_ms);
            }
            Submit::Open {
                link,
                timeout_ms,
                received_ms,
            } => {
                let session = self.shared.sessions.create(timeout_ms, &link, now);
                let entry = self.opening(&session, now);
                self.enqueue(
                    entry,
                    Answer::Open {
                        link,
                        session,
                        received_ms,
                    },
                    0,
                );
            }
        }
    }

    /// Whether there are transactions to log.
    pub fn has_appends(&self) -> bool {
        !self.appends.is_empty()
    }

    /// The transactions to log now, in order.
    pub fn take_appends(&mut self) -> Vec<Append> {
        std::mem::take(&mut self.appends)
    }

    /// Notes that all transactions up to `zxid` are on disk, and applies them.
    pub fn durable(&mut self, zxid: i64) {
        self.durable_zxid = self.durable_zxid.max(zxid);
        self.advance();
    }

    /// What the clock says, for what is measured.
    pub fn is_now(&mut self, now: Now) {
        self.wall_ms = now.wall_ms;
    }

    /// Applies what is on disk and answers what waits for nothing.
    pub fn advance(&mut self) {
        while self.ready() {
            let shared = self.shared.clone();
            let mut tree = shared.tree.write();
            for _ in 0..APPLIED_PER_HOLD {
                if !self.ready() {
                    break;
                }
                let item = self
                    .queue
                    .pop_front()
                    .expect("ready says that there is one");
                self.finish(&mut tree, item);
            }
            drop(tree);
            for link in self.woken.drain(..) {
                link.wake();
            }
        }
    }

    /// Does what time asks for: expiry of sessions, the sweep of containers and TTL nodes. Called
    /// at least once a tick.
    pub fn tick(&mut self, now: Now) {
        match self.part {
            Part::Alone | Part::Leader => {}
            Part::Learner | Part::ReadOnly => return self.expire_local(now),
            // Whose sessions outlive the time without a leader, the next term says.
            Part::Nobody => return,
        }
        for session in self.expiry.due(&self.shared.sessions, now) {
            self.tell_expired(&session);
            if session.is_local() {
                self.end_local(&session);
            } else {
                self.internal(OpCode::CloseSession, Some(&session), &[], now);
            }
        }
        if let Some(at) = self.next_sweep_ms.filter(|at| *at <= now.mono_ms) {
            let settings = &self.shared.settings;
            self.next_sweep_ms = Some(at.max(now.mono_ms) + settings.container_check_interval_ms);
            let per_sweep = settings.container_max_per_minute as i64
                * settings.container_check_interval_ms
                / 60_000;
            let candidates = self
                .shared
                .tree
                .read()
                .reap_candidates(now.wall_ms, settings.container_max_never_used_ms);
            for path in candidates.into_iter().take(per_sweep.max(1) as usize) {
                let mut body = Vec::new();
                Writer::wire(&mut body).buf(Some(path.as_bytes()));
                self.internal(OpCode::DeleteContainer, None, &body, now);
            }
        }
        self.advance();
    }

    fn tell_expired(&self, session: &Session) {
        tracing::info!(
            session = format_args!("0x{:x}", session.id),
            timeout_ms = session.timeout_ms(),
            local = session.is_local(),
            "session expired"
        );
        let expired = &self.shared.stats.events.sessions_expired;
        expired.fetch_add(1, Ordering::Relaxed);
    }

    fn makes_transactions(&self) -> bool {
        matches!(self.part, Part::Alone | Part::Leader)
    }

    /// When [`Core::tick`] has something to do at the earliest, monotonic ms.
    pub fn next_tick_ms(&self, now: Now) -> i64 {
        let tick = i64::from(self.shared.settings.tick_time_ms.max(1));
        let boundary = (now.mono_ms / tick + 1) * tick;
        // Only who makes transactions sweeps: for the others the time passes by.
        let next_sweep_ms = self.next_sweep_ms.filter(|_| self.makes_transactions());
        next_sweep_ms.map_or(boundary, |sweep| sweep.clamp(now.mono_ms, boundary))
    }

    /// Requests and internal transactions that are not applied yet.
    pub fn in_flight(&self) -> usize {
        self.queue.len()
    }

    fn write(&mut self, request: WriteRequest, peer: Option<&Peer>, now: Now) {
        let WriteRequest {
            link,
            session,
            op,
            xid,
            body,
            ids,
            received_ms,
        } = request;
        let large_bytes = self.large_bytes(body.len());
        if !self.is_current(&session) {
            self.uncount_large(large_bytes);
            return self.drop_request(&link);
        }
        if op == OpCode::CloseSession && !self.shared.sessions.begin_close(&session) {
            // Expiry came first; its transaction closes the connection.
            self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
            self.uncount_large(large_bytes);
            return;
        }
        if session.is_local() && op == OpCode::CloseSession {
            session.begin_write();
            return self.answer_in_turn(Answer::CloseLocal {
                link,
                session,
                xid,
                received_ms,
            });
        }
        let wait_ms = self.shared.settings.throttled_op_wait_ms;
        let made =
            if wait_ms > 0 && now.mono_ms - received_ms > wait_ms && op != OpCode::CloseSession {
                let throttled = &self.shared.stats.events.throttled_ops;
                throttled.fetch_add(1, Ordering::Relaxed);
                Err(ErrorCode::ThrottledOp)
            } else {
                let need = self.need(&session, op, &body);
                if need == Need::Upgrade && self.shared.sessions.make_global(&session, now) {
                    self.open_for_all(&session, now);
                }
                let tree = self.shared.tree.read();
                let standing = session.ask(Owner::Here);
                let asker = Asker {
                    session: Some(session.id),
                    standing,
                    owning: match need {
                        Need::Refused => Err(ErrorCode::EphemeralOnLocalSession),
                        _ if session.is_local() => Err(ErrorCode::SessionExpired),
                        _ => standing,
                    },
                    xid,
                    ids: &ids,
                    peer,
                };
                let settings = &self.shared.settings;
                self.prep.request(settings, &tree, &asker, op, &body, now)
            };
        session.begin_write();
        match made {
            Ok(entry) => {
                let answer = Answer::Write {
                    link,
                    session,
                    op,
                    xid,
                    received_ms,
                    refusal: None,
                };
                self.enqueue(entry, answer, large_bytes);
            }
            Err(code) => {
                let answer = Answer::Refused {
                    link,
                    session,
                    xid,
                    received_ms,
                    code,
                };
                self.queue.push_back(InFlight {
                    append: None,
                    answer,
                    large_bytes,
                });
            }
        }
    }

    /// The transaction that tells all of a session.
    fn opening(&mut self, session: &Session, now: Now) -> Payload {
        let tree = self.shared.tree.read();
        let settings = &self.shared.settings;
        self.prep
            .open_session(settings, &tree, session.id, session.timeout_ms(), now)
    }

    fn open_for_all(&mut self, session: &Session, now: Now) {
        let entry = self.opening(session, now);
        self.enqueue(entry, Answer::Nobody, 0);
    }

    /// Answers behind all that was asked before, without a transaction.
    fn answer_in_turn(&mut self, answer: Answer) {
        self.queue.push_back(InFlight {
            append: None,
            answer,
            large_bytes: 0,
        });
    }

    fn internal(&mut self, op: OpCode, session: Option<&Session>, body: &[u8], now: Now) {
        let made = {
            let tree = self.shared.tree.read();
            let asker = Asker {
                session: session.map(|session| session.id),
                standing: Ok(()),
                owning: Ok(()),
                xid: 0,
                ids: &[],
                peer: None,
            };
            self.prep
                .request(&self.shared.settings, &tree, &asker, op, body, now)
        };
        if let Ok(entry) = made {
            self.enqueue(entry, Answer::Nobody, 0);
        }
    }

    fn enqueue(&mut self, made: Payload, answer: Answer, large_bytes: i64) {
        let append = Append {
            zxid: made.zxid,
            payload: made.bytes.into(),
        };
        self.appends.push(append.clone());
        self.queue.push_back(InFlight {
            append: Some(append),
            answer,
            large_bytes,
        });
    }

    fn ready(&self) -> bool {
        self.queue.front().is_some_and(|item| {
            item.append
                .as_ref()
                .is_none_or(|append| append.zxid <= self.durable_zxid)
        })
    }

    /// Applies and answers the head of the queue.
    fn finish(&mut self, tree: &mut Tree, item: InFlight) {
        let InFlight {
            append,
            answer,
            large_bytes,
        } = item;
        self.uncount_large(large_bytes);
        let Some(append) = append else {
            return self.finish_unlogged(tree.last_processed_zxid(), answer);
        };
        let entry = LogEntry::decode(&append.payload).expect("what was encoded here decodes");
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        let applied = tree.apply(&entry.header, &entry.txn, &mut changes);
        self.prep.applied(append.zxid);
        self.check_digest(tree, &entry);
        // A member measures that itself, with its role.
        if self.part == Part::Alone && self.wall_ms >= entry.header.time_ms {
            let ms = self.wall_ms - entry.header.time_ms;
            self.shared.ensemble.applied_ms.add(ms);
        }
        // Events go out before the reply, and before anyone can read what they tell.
        self.deliver(tree, &changes, append.zxid);
        self.changes = changes;
        match answer {
            Answer::Nobody => {}
            Answer::Open {
                link,
                session,
                received_ms,
            } => {
                let wake = link.post(|mailbox| {
                    mailbox.established = Some(session);
                    mailbox.answered.push(Answered {
                        op: SESSION_OPENED,
                        xid: 0,
                        zxid: append.zxid,
                        received_ms,
                    });
                });
                self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
                self.woken.extend(wake.then_some(link));
            }
            Answer::Write {
                link,
                session,
                op,
                xid,
                received_ms,
                refusal,
            } => {
                session.end_write();
                let zxid = append.zxid;
                let shown = match entry.txn {
                    Txn::Error { .. } => FAILED,
                    _ => op.code(),
                };
                let moved = matches!(entry.txn, Txn::Error { err } if err == ErrorCode::SessionMoved.code());
                if moved {
                    // The client has gone elsewhere: Java closes without a word.
                    self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
                } else {
                    self.post(&link, shown, xid, zxid, received_ms, |out| match refusal {
                        Some(code) if shown == FAILED => reply::header(out, xid, zxid, code),
                        _ => write_reply(out, op, xid, zxid, &entry, &applied),
                    });
                }
                if op == OpCode::CloseSession || moved {
                    let wake = link.post(|mailbox| {
                        mailbox.close.get_or_insert(Close::Flush);
                    });
                    self.woken.extend(wake.then_some(link));
                }
            }
            Answer::Refused { .. } => unreachable!("refusals are not logged"),
            Answer::Sync { .. } | Answer::CloseLocal { .. } => {
                unreachable!("what changes no state is not logged")
            }
        }
        if let Txn::CreateSession { timeout_ms } = entry.txn
            && self.part == Part::Learner
        {
            self.learn_session(entry.header.client_id, timeout_ms);
        }
        if matches!(entry.txn, Txn::CloseSession { .. }) {
            let session = self.shared.sessions.remove(entry.header.client_id);
            if let Some(link) = session.and_then(|session| session.link()) {
                let wake = link.post(|mailbox| {
                    mailbox.close.get_or_insert(Close::Now);
                });
                self.woken.extend(wake.then_some(link));
            }
        }
    }

    /// Answers what made no transaction.
    fn finish_unlogged(&mut self, zxid: i64, answer: Answer) {
        match answer {
            Answer::Refused {
                link,
                session,
                xid,
                received_ms,
                code,
            } => {
                session.end_write();
                self.post(&link, FAILED, xid, zxid, received_ms, |out| {
                    reply::header(out, xid, zxid, code);
                });
            }
            Answer::CloseLocal {
                link,
                session,
                xid,
                received_ms,
            } => {
                session.end_write();
                self.shared.sessions.remove(session.id);
                let op = OpCode::CloseSession.code();
                self.post(&link, op, xid, zxid, received_ms, |out| {
                    reply::header(out, xid, zxid, ErrorCode::Ok);
                });
                link.post(|mailbox| {
                    mailbox.close.get_or_insert(Close::Flush);
                });
                self.woken.push(link);
            }
            Answer::Sync {
                link,
                session,
                xid,
                received_ms,
                path,
            } => {
                session.end_write();
                let op = OpCode::Sync.code();
                self.post(&link, op, xid, zxid, received_ms, |out| {
                    // The reply is the request: a path.
                    reply::reply_with_error(out, xid, zxid, ErrorCode::Ok, |to| {
                        if let Ok(request) = SyncRequest::read(&mut Reader::of_request(&path)) {
                            SyncResponse { path: request.path }.write(to);
                        }
                    });
                });
            }
            Answer::Nobody | Answer::Write { .. } | Answer::Open { .. } => {
                unreachable!("only refusals, syncs and ends of local sessions are not logged")
            }
        }
    }

    /// The bytes with which a request counts among the large ones.
    fn large_bytes(&self, body: usize) -> i64 {
        let length = body as i64 + 8;
        let threshold = self.shared.settings.large_request_threshold;
        if threshold >= 0 && length > threshold {
            length
        } else {
            0
        }
    }

    fn uncount_large(&self, bytes: i64) {
        if bytes > 0 {
            let counter = &self.shared.large_request_bytes;
            counter.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn post(
        &mut self,
        link: &Arc<Link>,
        op: i32,
        xid: i32,
        zxid: i64,
        received_ms: i64,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let wake = link.post(|mailbox| {
            write(&mut mailbox.frames);
            mailbox.answered.push(Answered {
                op,
                xid,
                zxid,
                received_ms,
            });
        });
        self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
        self.woken.extend(wake.then(|| link.clone()));
    }

    /// The digest made before logging and the one behind applying must agree: a difference means
    /// that what is in memory is not what was logged.
    fn check_digest(&self, tree: &Tree, entry: &LogEntry<'_>) {
        let zxid = entry.header.zxid;
        if !self.shared.settings.digest {
            return;
        }
        self.shared.digest_log.lock().note(zxid, tree.digest());
        let Some(expected) = entry.digest.map(|digest| digest.tree_digest) else {
            return;
        };
        if expected != tree.digest() {
            let before = self
                .shared
                .digest_mismatches
                .fetch_add(1, Ordering::Relaxed);
            if before == 0 {
                tracing::error!(
                    zxid = format_args!("0x{zxid:x}"),
                    expected,
                    found = tree.digest(),
                    "the tree differs from what the log says"
                );
            }
        }
    }

    fn deliver(&mut self, tree: &Tree, changes: &[Change], zxid: i64) {
        if changes.is_empty() {
            return;
        }
        {
            let mut watches = self.shared.watches.lock();
            for change in changes {
                let before = self.fired.len();
                watches.trigger(change, &mut self.fired);
                count_fired(&self.shared.stats.events, &self.fired[before..]);
            }
        }
        if self.fired.is_empty() {
            return;
        }
        let links = self.shared.links.read();
        let settings = &self.shared.settings;
        // A crowd of watchers is told the same: one frame, copied.
        let mut frame = Vec::new();
        let mut told: Option<(i32, Arc<str>)> = None;
        let mut open: Option<AclId> = None;
        for fired in self.fired.drain(..) {
            let Some(link) = links.get(&fired.conn) else {
                continue;
            };
            if open != Some(fired.acl) {
                let list = tree.acl(fired.acl);
                if acl::allows(settings, list, perms::READ, &[]) {
                    open = Some(fired.acl);
                } else if !acl::allows(settings, list, perms::READ, &link.identities()) {
                    continue;
                }
            }
            let is_told = told.as_ref().is_some_and(|(event_type, path)| {
                *event_type == fired.event_type && Arc::ptr_eq(path, &fired.path)
            });
            if !is_told {
                frame.clear();
                reply::notification(&mut frame, zxid, fired.event_type, &fired.path);
                told = Some((fired.event_type, fired.path));
            }
            let bytes = &self.shared.stats.events.watch_bytes;
            bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
            let wake = link.post(|mailbox| {
                mailbox.events += 1;
                mailbox.event_bytes += frame.len();
                mailbox.frames.extend_from_slice(&frame);
            });
            self.woken.extend(wake.then(|| link.clone()));
        }
    }
}

/// Notes how many watches each event of a change fired (`WatchManager.triggerWatch`).
fn count_fired(events: &crate::stats::Events, fired: &[Fired]) {
    // Created, deleted, changed, children: 1 to 4.
    for (summary, event_type) in events.fired.iter().zip(1..) {
        let count = fired
            .iter()
            .filter(|one| one.event_type == event_type)
            .count();
        if count > 0 {
            summary.add(count as i64);
        }
    }
}

fn write_reply(
    out: &mut Vec<u8>,
    op: OpCode,
    xid: i32,
    zxid: i64,
    entry: &LogEntry<'_>,
    applied: &Applied<'_>,
) {
    if let Txn::Error { err } = entry.txn {
        let code = ErrorCode::from_i32(err).unwrap_or(ErrorCode::SystemError);
        reply::header(out, xid, zxid, code);
        return;
    }
    if let Txn::Multi(txns) = &entry.txn {
        reply::reply_with_error(out, xid, zxid, ErrorCode::Ok, |to| {
            for (txn, applied) in txns.iter().zip(&applied.multi) {
                multi_result(to, txn, applied);
            }
            MultiHeader {
                op: -1,
                done: true,
                err: -1,
            }
            .write(to);
        });
        return;
    }
    let code = ErrorCode::from_i32(applied.err).unwrap_or(ErrorCode::SystemError);
    if code != ErrorCode::Ok {
        reply::header(out, xid, zxid, code);
        return;
    }
    reply::reply_with_error(out, xid, zxid, ErrorCode::Ok, |to| match op {
        OpCode::Create => to.str(applied.path),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            to.str(applied.path);
            applied.stat.unwrap_or_default().write(to);
        }
        OpCode::SetData | OpCode::SetAcl => applied.stat.unwrap_or_default().write(to),
        // As a read of the node: the members in force from here on.
        OpCode::Reconfig => {
            let Txn::Reconfig(set) = &entry.txn else {
                unreachable!("a change of the members makes its own kind of transaction");
            };
            to.buf(set.data.as_deref());
            applied.stat.unwrap_or_default().write(to);
        }
        _ => {}
    });
}

/// One part of the reply to a multi (`OpResult` in Java).
fn multi_result(to: &mut Writer<'_>, txn: &Txn<'_>, applied: &Applied<'_>) {
    if applied.kind == kind::ERROR || applied.err != 0 {
        MultiHeader {
            op: -1,
            done: false,
            err: applied.err,
        }
        .write(to);
        to.i32(applied.err);
        return;
    }
    // All creates but the first kind answer as create2.
    let op = match txn.kind() {
        kind::CREATE_CONTAINER | kind::CREATE_TTL => kind::CREATE2,
        kind => kind,
    };
    MultiHeader {
        op,
        done: false,
        err: 0,
    }
    .write(to);
    match op {
        kind::CREATE => to.str(applied.path),
        kind::CREATE2 => {
            to.str(applied.path);
            applied.stat.unwrap_or_default().write(to);
        }
        kind::SET_DATA => applied.stat.unwrap_or_default().write(to),
        _ => {}
    }
}
