//! One client connection: frames, handshake, authentication, order of replies. It reads no socket;
//! bytes come in, bytes go out, and writes go to the core.

use crate::auth;
use crate::link::{Answered, Close, Link, bump};
use crate::read::Reading;
use crate::reply;
use crate::sessions::{Session, is_password, password};
use crate::shared::Shared;
use crate::time::Now;
use parking_lot::RwLockReadGuard;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zooid_proto::client::{
    AuthPacket, ConnectRequest, ConnectResponse, RequestHeader, SaslRequest, xid,
};
use zooid_proto::records::Id;
use zooid_proto::{ErrorCode, Jute, OpClass, OpCode, Reader};
use zooid_tree::Tree;

/// Words that a fresh connection may send in place of a handshake.
pub const FOUR_LETTER_WORDS: [&[u8; 4]; 19] = [
    b"conf",
    b"cons",
    b"crst",
    b"dirs",
    b"dump",
    b"envi",
    b"gtmk",
    b"hash",
    b"isro",
    b"mntr",
    b"ruok",
    b"srst",
    b"srvr",
    b"stat",
    b"stmk",
    b"wchc",
    b"wchp",
    b"wchs",
    &TELNET_CLOSE,
];

/// What a telnet client sends when its user closes it.
pub const TELNET_CLOSE: [u8; 4] = [0xFF, 0xF4, 0xFF, 0xFD];

/// Reads answered under one hold of the tree, so that a writer never waits for more.
const READS_PER_HOLD: usize = 64;

/// Output after which the driver gets a chance to send, bytes.
const OUTPUT_STEP: usize = 64 * 1024;

/// Shortest frame that can hold a ConnectRequest, bytes.
const SHORTEST_HANDSHAKE: usize = 28;

/// What a connection hands to the core.
pub enum Submit {
    /// A write.
    Write(WriteRequest),
    /// A new session.
    Open {
        /// The connection that wants it.
        link: Arc<Link>,
        /// Negotiated timeout, ms.
        timeout_ms: i32,
        /// Monotonic time at which the handshake was read, ms.
        received_ms: i64,
    },
    /// A session that a client comes back to, for the leader to know.
    Revalidate {
        /// The connection that wants it.
        link: Arc<Link>,
        /// Its id; the password was right.
        session: i64,
        /// Negotiated timeout, ms.
        timeout_ms: i32,
        /// Monotonic time at which the handshake was read, ms.
        received_ms: i64,
    },
}

/// A write on its way to the core.
pub struct WriteRequest {
    /// Where the reply goes.
    pub link: Arc<Link>,
    /// The session that asks.
    pub session: Arc<Session>,
    /// What it asks for.
    pub op: OpCode,
    /// Number of the request.
    pub xid: i32,
    /// The request behind its header.
    pub body: Vec<u8>,
    /// Identities of the connection when the request was read.
    pub ids: Arc<[Id<'static>]>,
    /// Monotonic time at which it was read, ms.
    pub received_ms: i64,
}

/// How far [`Conn::receive`] got.
#[derive(Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Bytes of the output that are events of watches.
    pub event_bytes: usize,
    /// What to do now.
    pub next: Next,
}

/// What the driver of a connection does next, after it has sent the output.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Read more bytes.
    More,
    /// Call again with the same input: there was a lot of output.
    Again,
    /// Call again with the same input when woken: an unanswered write is in the way.
    Wait,
    /// Answer a four-letter word, then close.
    Word([u8; 4]),
    /// Close.
    Close(Closing),
}

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Closing {
    /// The protocol says so; what is queued is sent first.
    Flush,
    /// Somebody else said so, or the request does; nothing more is sent.
    Now,
    /// The bytes are not a frame of a ZooKeeper client.
    NotAFrame {
        /// The length as read.
        length: i32,
        /// Whether a handshake came before.
        established: bool,
    },
    /// The first frame is no handshake.
    NotAHandshake {
        /// Its length.
        length: usize,
    },
    /// The client has seen a newer state than this server has.
    ClientAhead {
        /// What the client has seen.
        seen: i64,
        /// What this server has.
        have: i64,
    },
    /// The server is not serving.
    NotServing,
    /// There is no leader, and the client wants more than reads, or its session is none of this
    /// server's alone.
    ReadOnly,
    /// Too much waits for a client that does not read.
    Overflow,
    /// Too many connect (`connection_throttle_tokens`).
    Throttled,
    /// Too many bytes of large requests are under way.
    LargeRequest {
        /// Length of the request.
        length: usize,
    },
}

/// One client connection.
pub struct Conn {
    shared: Arc<Shared>,
    link: Arc<Link>,
    state: State,
    /// Whether the client sent the readOnly byte, and so expects one.
    knows_read_only: bool,
    timeout_ms: i32,
    /// Writes that the core has and has not answered.
    unanswered: usize,
    /// Reads answered and not counted yet: nobody looks before their replies leave.
    reads: u64,
    /// Bytes of events in the output of this turn.
    event_bytes: usize,
    ids: Arc<[Id<'static>]>,
}

enum State {
    Handshake,
    Opening,
    Open(Arc<Session>),
    /// closeSession is on its way: what comes behind it is never executed.
    Leaving,
}

/// What a frame led to.
enum Step {
    Done,
    /// The frame stays where it is until the core has answered.
    Blocked,
    End(Next),
}

impl Conn {
    /// A connection that was just accepted. The caller has put `link` among the links.
    pub fn new(shared: Arc<Shared>, link: Arc<Link>) -> Conn {
        let ids = link.identities();
        Conn {
            shared,
            link,
            state: State::Handshake,
            knows_read_only: false,
            timeout_ms: 0,
            unanswered: 0,
            reads: 0,
            event_bytes: 0,
            ids,
        }
    }

    /// The half that the core knows.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Gives the session its full timeout again, for a sign of life that is no request.
    pub fn touch(&self, now: Now) {
        if let State::Open(session) = &self.state {
            self.shared.sessions.touch(session, self.timeout_ms, now);
        }
    }

    /// Whether a handshake was answered.
    pub fn has_session(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Leaving)
    }

    /// Handles as many frames of `input` as it can, and what the core left meanwhile. Replies and
    /// events are appended to `out`, writes to `submit`.
    pub fn receive(
        &mut self,
        input: &[u8],
        now: Now,
        out: &mut Vec<u8>,
        submit: &mut Vec<Submit>,
    ) -> Progress {
        let mut consumed = 0;
        let mut reads = 0;
        let mut frames = 0;
        let shared = self.shared.clone();
        let mut hold: Option<RwLockReadGuard<'_, Tree>> = None;
        let next = loop {
            if let Some(next) = self.collect(now, out) {
                break next;
            }
            if out.len() >= OUTPUT_STEP {
                break Next::Again;
            }
            if reads == READS_PER_HOLD {
                hold = None;
                reads = 0;
            }
            let frame = match self.next_frame(&input[consumed..]) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Next::More,
                Err(next) => break next,
            };
            let answered = match self.state {
                State::Handshake => self.handshake(frame, now, out, submit),
                State::Opening => Step::Blocked,
                State::Leaving => Step::Done,
                State::Open(_) => {
                    reads += 1;
                    self.request(frame, now, out, submit, &shared, &mut hold)
                }
            };
            match answered {
                Step::Done => {
                    frames += 1;
                    consumed += 4 + frame.len();
                }
                Step::Blocked => break Next::Wait,
                Step::End(next) => {
                    frames += 1;
                    consumed += 4 + frame.len();
                    break next;
                }
            }
        };
        if frames > 0 {
            bump(&self.link.counters.received, frames);
            shared.stats.received(self.link.id, frames, consumed as u64);
        }
        if self.reads > 0 {
            shared
                .stats
                .reads(self.link.id, std::mem::take(&mut self.reads));
        }
        Progress {
            consumed,
            event_bytes: std::mem::take(&mut self.event_bytes),
            next,
        }
    }

    /// Called once when the connection is gone.
    pub fn closed(&self) {
        self.shared.links.write().remove(&self.link.id);
        self.shared.watches.lock().remove_conn(self.link.id);
    }

    /// Takes over what the core left.
    fn collect(&mut self, now: Now, out: &mut Vec<u8>) -> Option<Next> {
        let mailbox = self.link.collect()?;
        if let Some(session) = mailbox.established {
            self.establish(session, out);
        }
        if mailbox.refused {
            self.refuse_session(out);
        }
        if out.is_empty() {
            *out = mailbox.frames;
        } else {
            out.extend_from_slice(&mailbox.frames);
        }
        self.unanswered -= mailbox.answered.len();
        let sent = mailbox.answered.len() as u64 + mailbox.events;
        bump(&self.link.counters.sent, mailbox.events);
        self.event_bytes += mailbox.event_bytes;
        for answered in &mailbox.answered {
            self.link.counters.answered(answered, now.mono_ms);
            let latency_ms = (now.mono_ms - answered.received_ms).max(0);
            self.shared.stats.update(self.link.id, latency_ms);
        }
        self.link
            .counters
            .outstanding
            .store(self.unanswered as u64, Ordering::Relaxed);
        self.shared.stats.sent(self.link.id, sent);
        mailbox.close.map(|close| {
            Next::Close(match close {
                Close::Flush => Closing::Flush,
                Close::Now => Closing::Now,
                Close::Overflow => Closing::Overflow,
            })
        })
    }

    fn next_frame<'i>(&self, input: &'i [u8]) -> Result<Option<&'i [u8]>, Next> {
        let Some((head, rest)) = input.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let established = !matches!(self.state, State::Handshake);
        if !established && FOUR_LETTER_WORDS.contains(&head) {
            return Err(Next::Word(*head));
        }
        let length = i32::from_be_bytes(*head);
        if length <= 0 || length > self.shared.settings.max_frame_bytes {
            return Err(Next::Close(Closing::NotAFrame {
                length,
                established,
            }));
        }
        Ok(rest.get(..length as usize))
    }

    fn handshake(
        &mut self,
        frame: &[u8],
        now: Now,
        out: &mut Vec<u8>,
        submit: &mut Vec<Submit>,
    ) -> Step {
        let refuse = |closing| Step::End(Next::Close(closing));
        let request = match ConnectRequest::read(&mut Reader::new(frame)) {
            Ok(request) if frame.len() >= SHORTEST_HANDSHAKE => request,
            _ => {
                return refuse(Closing::NotAHandshake {
                    length: frame.len(),
                });
            }
        };
        if !self.shared.is_serving() {
            return refuse(Closing::NotServing);
        }
        let events = &self.shared.stats.events;
        bump_shared(&events.connection_requests);
        let mut throttle = self.shared.throttle.lock();
        let admitted = throttle.admit(request.session_id != 0, now.mono_ms);
        events.token_deficit.add(throttle.deficit());
        drop(throttle);
        if !admitted {
            bump_shared(&events.connections_dropped);
            return refuse(Closing::Throttled);
        }
        let read_only = self.shared.is_read_only();
        if read_only && request.read_only != Some(true) {
            return refuse(Closing::ReadOnly);
        }
        let (seen, have) = (
            request.last_zxid_seen,
            self.shared.tree.read().last_processed_zxid(),
        );
        if seen > have {
            return refuse(Closing::ClientAhead { seen, have });
        }
        let settings = &self.shared.settings;
        // Not clamp(): the bounds are an operator's and may cross, and Java applies them in turn.
        self.timeout_ms = request
            .timeout_ms
            .max(settings.min_session_timeout_ms)
            .min(settings.max_session_timeout_ms);
        self.knows_read_only = request.read_only.is_some();
        self.link
            .counters
            .timeout_ms
            .store(self.timeout_ms, Ordering::Relaxed);
        if request.session_id == 0 {
            // Only a leader could tell all of a session. Java answers with a frame that is no
            // answer to a handshake, and leaves the client to itself.
            if read_only && !settings.local_sessions {
                return refuse(Closing::ReadOnly);
            }
            self.state = State::Opening;
            self.unanswered += 1;
            self.shared.outstanding.fetch_add(1, Ordering::Relaxed);
            submit.push(Submit::Open {
                link: self.link.clone(),
                timeout_ms: self.timeout_ms,
                received_ms: now.mono_ms,
            });
            return Step::Done;
        }
        bump_shared(&self.shared.stats.events.revalidations);
        let password = request.password.as_deref().unwrap_or_default();
        let (id, timeout_ms) = (request.session_id, self.timeout_ms);
        let known = self.shared.sessions.get(id);
        let is_local = known.as_ref().is_some_and(|session| session.is_local());
        if read_only && known.is_some() && !is_local {
            return refuse(Closing::ReadOnly);
        }
        if self.shared.is_learning() && !is_local && is_password(id, password) {
            self.state = State::Opening;
            self.unanswered += 1;
            self.shared.outstanding.fetch_add(1, Ordering::Relaxed);
            submit.push(Submit::Revalidate {
                link: self.link.clone(),
                session: id,
                timeout_ms,
                received_ms: now.mono_ms,
            });
            return Step::Done;
        }
        match self
            .shared
            .sessions
            .attach(id, password, timeout_ms, &self.link, now)
        {
            Ok(session) => {
                self.establish(session, out);
                self.sent();
                Step::Done
            }
            Err(_) => {
                self.refuse_session(out);
                self.sent();
                refuse(Closing::Flush)
            }
        }
    }

    fn refuse_session(&self, out: &mut Vec<u8>) {
        let refusal = ConnectResponse {
            timeout_ms: 0,
            session_id: 0,
            password: [0; 16],
            read_only: self.tells_read_only(),
        };
        reply::bare(out, |to| refusal.write(to));
    }

    fn tells_read_only(&self) -> Option<bool> {
        self.knows_read_only.then(|| self.shared.is_read_only())
    }

    fn establish(&mut self, session: Arc<Session>, out: &mut Vec<u8>) {
        let response = ConnectResponse {
            timeout_ms: self.timeout_ms,
            session_id: session.id,
            password: password(session.id),
            read_only: self.tells_read_only(),
        };
        reply::bare(out, |to| response.write(to));
        self.link
            .counters
            .session
            .store(session.id, Ordering::Relaxed);
        self.state = State::Open(session);
    }

    fn request<'s>(
        &mut self,
        frame: &[u8],
        now: Now,
        out: &mut Vec<u8>,
        submit: &mut Vec<Submit>,
        shared: &'s Shared,
        hold: &mut Option<RwLockReadGuard<'s, Tree>>,
    ) -> Step {
        let State::Open(session) = &self.state else {
            unreachable!("only open ones ask")
        };
        let mut from = Reader::of_request(frame);
        let Ok(header) = RequestHeader::read(&mut from) else {
            return Step::End(Next::Close(Closing::Now));
        };
        let op = OpCode::from_i32(header.op);
        match op {
            Some(OpCode::Auth) => return self.auth(header.xid, from, out),
            Some(OpCode::Sasl) => return self.sasl(header.xid, from, out),
            _ => {}
        }
        if !self.may_ask() {
            let refused = ErrorCode::SessionClosedRequireSaslAuth;
            reply::header(out, header.xid, 0, refused);
            self.sent();
            return Step::End(Next::Close(Closing::Flush));
        }
        let settings = &shared.settings;
        let large = settings.large_request_threshold >= 0
            && frame.len() as i64 > settings.large_request_threshold;
        if large {
            let under_way = shared.large_request_bytes.load(Ordering::Relaxed);
            if under_way + frame.len() as i64 > settings.large_request_max_bytes {
                bump_shared(&shared.stats.events.large_requests_rejected);
                return Step::End(Next::Close(Closing::LargeRequest {
                    length: frame.len(),
                }));
            }
        }
        if session.is_closing() {
            return Step::Done;
        }
        let class = match op {
            None | Some(OpCode::Check) => None,
            Some(op) => Some((op, op.class())),
        };
        // What only a leader can answer goes its way, from a learner a sync as well.
        let read_only = shared.is_read_only();
        let for_the_core = class.filter(|(op, class)| match op {
            OpCode::CloseSession => true,
            _ if read_only => false,
            OpCode::Sync => shared.is_learning(),
            _ => *class == OpClass::Write,
        });
        if let Some((op, _)) = for_the_core {
            let crowded = shared.outstanding.load(Ordering::Relaxed) > settings.outstanding_limit;
            if crowded && self.unanswered > 0 {
                return Step::Blocked;
            }
            shared.sessions.touch(session, self.timeout_ms, now);
            submit.push(Submit::Write(WriteRequest {
                link: self.link.clone(),
                session: session.clone(),
                op,
                xid: header.xid,
                body: from.rest().to_vec(),
                ids: self.ids.clone(),
                received_ms: now.mono_ms,
            }));
            self.unanswered += 1;
            shared.outstanding.fetch_add(1, Ordering::Relaxed);
            if large {
                shared
                    .large_request_bytes
                    .fetch_add(frame.len() as i64, Ordering::Relaxed);
            }
            self.link
                .counters
                .outstanding
                .store(self.unanswered as u64, Ordering::Relaxed);
            if op == OpCode::CloseSession {
                self.state = State::Leaving;
            }
            return Step::Done;
        }
        // Whatever is answered here stands behind the session's own writes. What the core leaves
        // it leaves before it lets go of the tree, so look again once the tree is held.
        if hold.is_none() {
            *hold = Some(shared.tree.read());
            if let Some(next) = self.collect(now, out) {
                return Step::End(next);
            }
        }
        if self.unanswered > 0 {
            *hold = None;
            return Step::Blocked;
        }
        let State::Open(session) = &self.state else {
            unreachable!("collecting leaves an open session open")
        };
        shared.sessions.touch(session, self.timeout_ms, now);
        let tree = hold.as_ref().expect("held since above");
        if read_only && op.is_some_and(wants_leader) {
            let zxid = tree.last_processed_zxid();
            reply::header(out, header.xid, zxid, ErrorCode::NotReadOnly);
            self.sent();
            return Step::Done;
        }
        let Some((op, _)) = class else {
            reply::header(out, header.xid, -1, ErrorCode::Unimplemented);
            self.sent();
            return Step::End(Next::Close(Closing::Flush));
        };
        let reading = Reading {
            settings,
            tree,
            watches: &shared.watches,
            link: &self.link,
            ids: &self.ids,
            session: session.id,
        };
        let xid = if op == OpCode::Ping {
            xid::PING
        } else {
            header.xid
        };
        reading.answer(op, xid, from.rest(), out);
        let answered = Answered {
            op: op.code(),
            xid: header.xid,
            zxid: tree.last_processed_zxid(),
            received_ms: now.mono_ms,
        };
        self.link.counters.answered(&answered, now.mono_ms);
        self.reads += 1;
        Step::Done
    }

    /// Notes a packet that answers no request of a session.
    fn sent(&self) {
        bump(&self.link.counters.sent, 1);
        self.shared.stats.sent(self.link.id, 1);
    }

    fn may_ask(&self) -> bool {
        let enforced = &self.shared.settings.enforced_schemes;
        enforced.is_empty()
            || self
                .ids
                .iter()
                .any(|id| enforced.iter().any(|scheme| scheme == id.scheme()))
    }

    /// Takes effect for the frames behind it; the reply may overtake those of earlier requests.
    fn auth(&mut self, xid: i32, mut from: Reader<'_>, out: &mut Vec<u8>) -> Step {
        let Ok(packet) = AuthPacket::read(&mut from) else {
            return Step::End(Next::Close(Closing::Now));
        };
        self.sent();
        let ids = auth::authenticate(&self.shared.settings, &packet, self.link.peer.ip());
        if ids.is_some_and(|ids| self.link.add_identities(ids)) {
            self.ids = self.link.identities();
            reply::header(out, xid, 0, ErrorCode::Ok);
            Step::Done
        } else {
            reply::header(out, xid, 0, ErrorCode::AuthFailed);
            Step::End(Next::Close(Closing::Flush))
        }
    }

    /// A server without SASL answers as one whose client is done.
    fn sasl(&mut self, xid: i32, mut from: Reader<'_>, out: &mut Vec<u8>) -> Step {
        match SaslRequest::read(&mut from) {
            Ok(SaslRequest { token: Some(_) }) => {
                reply::reply_with_error(out, xid, 0, ErrorCode::Ok, |to| to.buf(None));
                self.sent();
                Step::Done
            }
            _ => Step::End(Next::Close(Closing::Now)),
        }
    }
}

/// What a server without a leader refuses, whatever is asked for (`ReadOnlyRequestProcessor`).
fn wants_leader(op: OpCode) -> bool {
    op.class() == OpClass::Write || matches!(op, OpCode::Sync | OpCode::Check)
}

fn bump_shared(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.closed();
    }
}
