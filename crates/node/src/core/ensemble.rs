//! The core of a member of an ensemble: what a leader does for its learners, and what a learner
//! asks its leader.

use super::local::{Need, refusal};
use super::{Answer, Append, Core, InFlight, Part};
use crate::conn::{Submit, WriteRequest};
use crate::link::{Answered, Close, Link, SESSION_OPENED};
use crate::prep::{Asker, Prep};
use crate::sessions::{Expiry, Owner, Session};
use crate::time::Now;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zooid_proto::client::SyncRequest;
use zooid_proto::ops::Request;
use zooid_proto::records::Id;
use zooid_proto::txn::{TxnHeader, kind};
use zooid_proto::{ErrorCode, Jute, OpClass, OpCode, Reader, zxid};
use zooid_zab::{Forwarded, Peer};

/// What a learner asks, and who waits for the answers.
#[derive(Default)]
pub(super) struct Asked {
    questions: Vec<Question>,
    /// Requests under way, by session, in the order in which their replies leave.
    waiting: HashMap<i64, VecDeque<Waiting>, foldhash::fast::FixedState>,
    /// Sessions of the syncs under way, oldest first.
    syncs: VecDeque<i64>,
    /// Clients that came back to their sessions.
    revalidations: HashMap<i64, VecDeque<Returning>, foldhash::fast::FixedState>,
    /// Leading: syncs of learners, with the number of transactions made before each.
    learner_syncs: Vec<(usize, u64)>,
}

struct Waiting {
    /// xid of what comes back; `None` for what only waits for its turn.
    cxid: Option<i32>,
    answer: Answer,
    large_bytes: i64,
}

struct Returning {
    link: Arc<Link>,
    timeout_ms: i32,
    received_ms: i64,
}

/// What a learner wants of its leader.
#[derive(Debug)]
pub(crate) enum Question {
    /// A write or a sync.
    Forward(Forwarded),
    /// Is this session alive?
    Revalidate { session: i64, timeout_ms: i32 },
}

/// What a leader has made, in order.
pub(crate) enum Made {
    Proposal(Append),
    /// The turn of a learner's sync.
    Sync {
        learner: u64,
    },
}

impl Core {
    /// A quorum has the history of this server: from now on it makes the transactions of `epoch`.
    pub(crate) fn lead(&mut self, epoch: i64, now: Now) {
        let first = zxid::make(epoch, 0);
        self.shared.tree.write().set_last_processed_zxid(first);
        self.begin_term(Part::Leader, now);
        self.prep = Prep::new(first);
        self.durable_zxid = first;
        if !self.shared.settings.leader_serves {
            return self.shared.start_without_clients();
        }
        self.shared.start_serving(false);
    }

    /// The leader says that this server has its history: clients are served from it.
    pub(crate) fn learn(&mut self, now: Now) {
        self.begin_term(Part::Learner, now);
        self.shared.start_serving(true);
    }

    pub(super) fn begin_term(&mut self, part: Part, now: Now) {
        assert!(self.queue.is_empty(), "the term before has not ended");
        self.part = part;
        self.expiry = match part {
            Part::Leader => Expiry::default(),
            _ => Expiry::of_local(),
        };
        let tree = self.shared.tree.read();
        let stored = tree.sessions().iter().map(|(id, ms)| (*id, *ms));
        let reporting = part == Part::Learner;
        self.shared.sessions.begin_term(stored, reporting, now);
    }

    /// There is no leader: clients are cut off, and what they asked for is forgotten. What was
    /// proposed may still come back as a transaction of the next term.
    pub(crate) fn rest(&mut self) {
        self.advance();
        self.part = Part::Nobody;
        self.shared.stop_serving();
        for link in self.shared.links.read().values() {
            // What is committed is true whoever leads: a client that has removed its own server, or
            // the leader, gets to know that it has.
            link.close(if link.has_mail() {
                Close::Flush
            } else {
                Close::Now
            });
        }
        let asked = std::mem::take(&mut self.asked);
        let waiting = asked.waiting.into_values().flatten();
        let waiting = waiting.map(|waiting| (waiting.answer, waiting.large_bytes));
        let queued = std::mem::take(&mut self.queue).into_iter();
        let queued = queued.map(|item| (item.answer, item.large_bytes));
        let mut unanswered = asked.revalidations.values().map(VecDeque::len).sum();
        for (answer, large_bytes) in waiting.chain(queued) {
            unanswered += usize::from(!matches!(answer, Answer::Nobody));
            self.uncount_large(large_bytes);
        }
        let outstanding = &self.shared.outstanding;
        outstanding.fetch_sub(unanswered, Ordering::Relaxed);
        self.appends.clear();
        self.woken.clear();
    }

    /// Whether [`Core::take_made`] or [`Core::take_questions`] have something.
    pub(crate) fn wants_out(&self) -> bool {
        !self.appends.is_empty()
            || !self.asked.questions.is_empty()
            || !self.asked.learner_syncs.is_empty()
    }

    /// What a leader has made since the last look.
    pub(crate) fn take_made(&mut self) -> Vec<Made> {
        let mut syncs = std::mem::take(&mut self.asked.learner_syncs)
            .into_iter()
            .peekable();
        let mut made = Vec::with_capacity(self.appends.len() + syncs.len());
        for (at, append) in self.take_appends().into_iter().enumerate() {
            while let Some((_, learner)) = syncs.next_if(|(before, _)| *before <= at) {
                made.push(Made::Sync { learner });
            }
            made.push(Made::Proposal(append));
        }
        made.extend(syncs.map(|(_, learner)| Made::Sync { learner }));
        made
    }

    /// What a learner asks since the last look.
    pub(crate) fn take_questions(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.asked.questions)
    }

    /// A transaction is committed, or was found at the end of the log. It takes effect with the
    /// next [`Core::advance`].
    pub(crate) fn committed(&mut self, append: Append) {
        self.durable_zxid = append.zxid;
        if self.part == Part::Leader {
            assert!(
                append.zxid <= self.prep.last_zxid(),
                "a leader commits what it made"
            );
            return;
        }
        let header = TxnHeader::read(&mut Reader::new(&append.payload))
            .expect("the header of a transaction was read when it came");
        let session = header.client_id;
        let asked = self
            .asked
            .waiting
            .get_mut(&session)
            .and_then(|all| pop_if(all, |first| first.cxid == Some(header.cxid)));
        let (answer, large_bytes) = match asked {
            Some(asked) => (asked.answer, asked.large_bytes),
            None => (Answer::Nobody, 0),
        };
        self.queue.push_back(InFlight {
            append: Some(append),
            answer,
            large_bytes,
        });
        self.release(session);
    }

    /// The oldest sync under way is done.
    pub(crate) fn synced(&mut self) {
        let Some(session) = self.asked.syncs.pop_front() else {
            return;
        };
        let Some(all) = self.asked.waiting.get_mut(&session) else {
            return;
        };
        // The leader answers in order, so what stands before it has come.
        let sync = pop_if(all, |first| matches!(first.answer, Answer::Sync { .. }));
        if let Some(Waiting { answer, .. }) = sync {
            self.answer_now(answer, 0);
        }
        self.release(session);
    }

    /// Lets go of what waits for nobody else, when its turn has come.
    fn release(&mut self, session: i64) {
        let Some(all) = self.asked.waiting.get_mut(&session) else {
            return;
        };
        let mut due = Vec::new();
        while let Some(first) = pop_if(all, |first| {
            first.cxid.is_none() && !matches!(first.answer, Answer::Sync { .. })
        }) {
            due.push(first);
        }
        if all.is_empty() {
            self.asked.waiting.remove(&session);
        }
        for Waiting {
            answer,
            large_bytes,
            ..
        } in due
        {
            self.answer_now(answer, large_bytes);
        }
    }

    fn answer_now(&mut self, answer: Answer, large_bytes: i64) {
        self.queue.push_back(InFlight {
            append: None,
            answer,
            large_bytes,
        });
    }

    /// The leader's answer about a session.
    pub(crate) fn revalidation_done(&mut self, session: i64, valid: bool, now: Now) {
        let Some(all) = self.asked.revalidations.get_mut(&session) else {
            return;
        };
        let first = all.pop_front();
        if all.is_empty() {
            self.asked.revalidations.remove(&session);
        }
        let Some(Returning {
            link,
            timeout_ms,
            received_ms,
        }) = first
        else {
            return;
        };
        let sessions = &self.shared.sessions;
        let attached = valid
            .then(|| sessions.attach_valid(session, timeout_ms, &link, now))
            .and_then(Result::ok);
        self.answer_handshake(&link, attached, received_ms);
        link.wake();
    }

    pub(super) fn answer_handshake(
        &self,
        link: &Arc<Link>,
        session: Option<Arc<Session>>,
        received_ms: i64,
    ) {
        let zxid = self.shared.tree.read().last_processed_zxid();
        link.post(|mailbox| {
            mailbox.refused = session.is_none();
            if session.is_none() {
                mailbox.close.get_or_insert(Close::Flush);
            }
            mailbox.established = session;
            mailbox.answered.push(Answered {
                op: SESSION_OPENED,
                xid: 0,
                zxid,
                received_ms,
            });
        });
        self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
        link.wake();
    }

    /// A request of a learner's client, on its leader.
    pub(crate) fn learner_request(
        &mut self,
        learner: u64,
        request: &Forwarded,
        peer: &Peer,
        now: Now,
    ) {
        if self.part != Part::Leader {
            return;
        }
        if request.op == kind::CREATE_SESSION {
            return self.open_for_learner(learner, request, now);
        }
        let op = OpCode::from_i32(request.op).filter(|op| {
            op.class() == OpClass::Write && !matches!(op, OpCode::Check) || *op == OpCode::Sync
        });
        let Some(op) = op else {
            return self.refuse_learner(learner, request, ErrorCode::Unimplemented, now);
        };
        if op == OpCode::Sync {
            let turn = (self.appends.len(), learner);
            return self.asked.learner_syncs.push(turn);
        }
        let sessions = &self.shared.sessions;
        let session = sessions.get(request.session);
        if op == OpCode::CloseSession
            && let Some(session) = &session
        {
            // If expiry came first, its end is on its way; what is asked for here closes nothing.
            sessions.begin_close(session);
        }
        let standing = match &session {
            Some(session) => session.ask(Owner::Learner(learner)),
            // It may be local to the learner. One with this server's own number would be here.
            None if self.may_be_elsewhere(request.session) => Ok(()),
            None => Err(ErrorCode::SessionExpired),
        };
        let owning = match &session {
            Some(session) if !session.is_local() => standing,
            _ => Err(ErrorCode::SessionExpired),
        };
        let ids: Vec<Id<'static>> = request
            .identities
            .iter()
            .map(|(scheme, id)| Id {
                scheme: Some(scheme.clone().into()),
                id: Some(id.clone().into()),
            })
            .collect();
        let asker = Asker {
            session: Some(request.session),
            standing,
            owning,
            xid: request.cxid,
            ids: &ids,
            peer: Some(peer),
        };
        let tree = self.shared.tree.read();
        let settings = &self.shared.settings;
        let made = match self
            .prep
            .request(settings, &tree, &asker, op, &request.body, now)
        {
            Ok(made) => made,
            Err(code) => self.prep.refuse(&tree, &asker, code, now),
        };
        drop(tree);
        self.enqueue(made, Answer::Nobody, 0);
    }

    fn may_be_elsewhere(&self, session: i64) -> bool {
        let settings = &self.shared.settings;
        settings.local_sessions && (session >> 56) as u8 != settings.server_id
    }

    fn open_for_learner(&mut self, learner: u64, request: &Forwarded, now: Now) {
        let timeout_ms = Reader::new(&request.body).i32().unwrap_or_default();
        let sessions = &self.shared.sessions;
        sessions.open_for_learner(request.session, timeout_ms, learner, now);
        let tree = self.shared.tree.read();
        let settings = &self.shared.settings;
        let made = self
            .prep
            .open_session(settings, &tree, request.session, timeout_ms, now);
        drop(tree);
        self.enqueue(made, Answer::Nobody, 0);
    }

    fn refuse_learner(&mut self, learner: u64, request: &Forwarded, code: ErrorCode, now: Now) {
        tracing::warn!(
            learner,
            op = request.op,
            "a learner passed on an unknown operation"
        );
        let asker = Asker {
            session: Some(request.session),
            standing: Ok(()),
            owning: Ok(()),
            xid: request.cxid,
            ids: &[],
            peer: None,
        };
        let tree = self.shared.tree.read();
        let made = self.prep.refuse(&tree, &asker, code, now);
        drop(tree);
        self.enqueue(made, Answer::Nobody, 0);
    }

    /// Whether a session that a learner's client came back to is alive; it is the learner's then.
    pub(crate) fn revalidate(&self, learner: u64, session: i64, timeout_ms: i32, now: Now) -> bool {
        self.part == Part::Leader
            && self
                .shared
                .sessions
                .revalidate(session, timeout_ms, learner, now)
    }

    /// A learner has heard of a session.
    pub(crate) fn touched(&self, session: i64, timeout_ms: i32, now: Now) {
        if let Some(session) = self.shared.sessions.get(session) {
            self.shared.sessions.touch(&session, timeout_ms, now);
        }
    }

    /// A session was opened somewhere in the ensemble.
    pub(super) fn learn_session(&self, id: i64, timeout_ms: i32) {
        if self.shared.sessions.get(id).is_none() {
            // Nobody's session but a local one expires on a learner: the time is of no account.
            let sessions = &self.shared.sessions;
            sessions.restore(id, timeout_ms, Now::default());
        }
    }

    /// What a connection submits goes to the leader.
    pub(super) fn ask(&mut self, submit: Submit, now: Now) {
        match submit {
            Submit::Write(request) => self.forward(request, now),
            Submit::Open {
                link,
                timeout_ms,
                received_ms,
            } => {
                let session = self.shared.sessions.create(timeout_ms, &link, now);
                let answer = Answer::Open {
                    link,
                    session: session.clone(),
                    received_ms,
                };
                self.ask_to_open(&session, answer);
            }
            Submit::Revalidate {
                link,
                session,
                timeout_ms,
                received_ms,
            } => {
                let question = Question::Revalidate {
                    session,
                    timeout_ms,
                };
                self.asked.questions.push(question);
                let returning = Returning {
                    link,
                    timeout_ms,
                    received_ms,
                };
                let all = self.asked.revalidations.entry(session).or_default();
                all.push_back(returning);
            }
        }
    }

    fn ask_to_open(&mut self, session: &Session, answer: Answer) {
        self.asked.questions.push(Question::Forward(Forwarded {
            session: session.id,
            cxid: 0,
            op: kind::CREATE_SESSION,
            body: session.timeout_ms().to_be_bytes().to_vec(),
            identities: Vec::new(),
        }));
        self.wait(session.id, Some(0), 0, answer);
    }

    fn forward(&mut self, request: WriteRequest, now: Now) {
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
            self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
            self.uncount_large(large_bytes);
            return;
        }
        session.begin_write();
        let id = session.id;
        if session.is_local() && op == OpCode::CloseSession {
            let answer = Answer::CloseLocal {
                link,
                session,
                xid,
                received_ms,
            };
            self.wait(id, None, large_bytes, answer);
            return self.release(id);
        }
        // What cannot be read is not passed on: a Java leader makes nothing of it, and the client
        // would wait without end.
        let code = match op {
            OpCode::Sync => SyncRequest::read(&mut Reader::of_request(&body)).err(),
            _ => Request::decode(op, &body).err(),
        };
        if code.is_some() {
            let answer = Answer::Refused {
                link,
                session,
                xid,
                received_ms,
                code: ErrorCode::MarshallingError,
            };
            self.wait(id, None, large_bytes, answer);
            return self.release(id);
        }
        let need = self.need(&session, op, &body);
        if need == Need::Upgrade && self.shared.sessions.make_global(&session, now) {
            self.ask_to_open(&session, Answer::Nobody);
        }
        let (answer, cxid) = if op == OpCode::Sync {
            self.asked.syncs.push_back(id);
            let answer = Answer::Sync {
                link,
                session,
                xid,
                received_ms,
                path: body.clone(),
            };
            (answer, None)
        } else {
            let answer = Answer::Write {
                link,
                session,
                op,
                xid,
                received_ms,
                refusal: refusal(need, op),
            };
            (answer, Some(xid))
        };
        let identities = ids.iter().map(|id| {
            let text = |part: &Option<std::borrow::Cow<'static, str>>| {
                part.as_deref().unwrap_or_default().to_owned()
            };
            (text(&id.scheme), text(&id.id))
        });
        self.asked.questions.push(Question::Forward(Forwarded {
            session: id,
            cxid: xid,
            op: op.code(),
            body,
            identities: identities.collect(),
        }));
        self.wait(id, cxid, large_bytes, answer);
    }

    fn wait(&mut self, session: i64, cxid: Option<i32>, large_bytes: i64, answer: Answer) {
        let all = self.asked.waiting.entry(session).or_default();
        all.push_back(Waiting {
            cxid,
            answer,
            large_bytes,
        });
    }

    /// There is nobody to ask: the client finds out by the end of its connection.
    pub(super) fn drop_submit(&self, submit: Submit) {
        let link = match submit {
            Submit::Write(request) => {
                self.uncount_large(self.large_bytes(request.body.len()));
                request.link
            }
            Submit::Open { link, .. } | Submit::Revalidate { link, .. } => link,
        };
        self.drop_request(&link);
    }

    /// Nobody is to answer a request: its client finds out by the end of its connection.
    pub(super) fn drop_request(&self, link: &Link) {
        self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
        link.close(Close::Now);
    }
}

fn pop_if(all: &mut VecDeque<Waiting>, is_due: impl FnOnce(&Waiting) -> bool) -> Option<Waiting> {
    all.front().is_some_and(is_due).then(|| all.pop_front())?
}
