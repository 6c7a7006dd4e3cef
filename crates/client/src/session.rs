//! One client session without socket or clock: bytes, requests and times go in, bytes, replies and
//! events come out. What drives it calls [`Session::connected`], [`Session::receive`],
//! [`Session::submit`], [`Session::handle_timeout`] and [`Session::disconnected`], and after each of
//! them empties [`Session::poll_output`] and [`Session::take_bytes`].
//!
//! Times are milliseconds on any clock that does not go backwards.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use zooid_proto::client::{
    AuthPacket, ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, WatcherEvent, xid,
};
use zooid_proto::ops::Request;
use zooid_proto::{ErrorCode, Jute, OpCode, Reader, Writer};

use crate::error::Loss;
use crate::types::{EventKind, SessionCredentials, SessionState, WatchKind, WatchedEvent};
use crate::watches::{Table, WatcherId, Watches};

/// Longest time without a ping, whatever the session timeout; as in Java.
const MAX_PING_INTERVAL_MS: u64 = 10_000;

/// What a session is asked to be.
#[derive(Debug, Clone, Copy)]
pub struct SessionConfig {
    /// Session timeout to ask for, ms. The server answers with what it grants.
    pub timeout_ms: i32,
    /// Time for the server to answer the handshake, ms.
    pub handshake_ms: u64,
    /// Whether a server that only reads will do.
    pub read_only: bool,
    /// Longest frame to accept, bytes. Memory is taken as bytes arrive, not by this length.
    pub max_frame: usize,
    /// A session to attach to again; `None` for a new one.
    pub attach: Option<SessionCredentials>,
}

/// A server's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Last zxid that the server had applied; for a write its own zxid.
    pub zxid: i64,
    /// 0, or an error code.
    pub err: i32,
    /// What follows the header.
    pub body: Bytes,
}

/// What comes out of a session. `T` tells requests apart and is the caller's.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<T> {
    /// A request is answered, or will never be.
    Reply {
        /// What the request was submitted with.
        ticket: T,
        /// The answer.
        result: Result<Reply, Loss>,
    },
    /// An event for each of these watchers.
    Event {
        /// Numbers that the watches were submitted with.
        watchers: Vec<WatcherId>,
        /// What happened.
        event: WatchedEvent,
    },
    /// The session stands differently.
    State(SessionState),
    /// The connection is of no use any more: close it, and connect again unless the state is
    /// final.
    Disconnect {
        /// Why.
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Without a connection.
    Apart,
    /// The handshake is sent.
    Greeting { deadline_ms: u64 },
    /// Attached.
    Up,
    /// For ever without a connection.
    Over(Loss),
}

/// What a good reply makes of the watches.
#[derive(Debug)]
enum WatchChange {
    Add(Table, String, WatcherId),
    /// exists registers on the node, or on its absence.
    AddExists(String, WatcherId),
    Remove(WatchKind, String),
}

#[derive(Debug)]
struct Pending<T> {
    xid: i32,
    op: OpCode,
    /// `None` for what the session itself asked.
    ticket: Option<T>,
    watch: Option<WatchChange>,
}

#[derive(Debug)]
struct Credential<T> {
    scheme: String,
    auth: Vec<u8>,
    ticket: Option<T>,
}

/// One session with a server or an ensemble.
#[derive(Debug)]
pub struct Session<T> {
    config: SessionConfig,
    phase: Phase,
    state: SessionState,
    id: i64,
    password: [u8; 16],
    /// Granted by the server; before that, asked for.
    timeout_ms: u64,
    last_zxid: i64,
    last_xid: i32,
    closing: bool,
    /// Whether a server has ever answered: only then is there something that could expire.
    attached: bool,
    last_sent_ms: u64,
    last_heard_ms: u64,
    received: BytesMut,
    to_send: Vec<u8>,
    /// Sent, in the order in which the replies must come.
    pending: VecDeque<Pending<T>>,
    /// Not sent yet, because there is no connection.
    waiting: VecDeque<(Vec<u8>, Pending<T>)>,
    /// Sent again on each connection.
    credentials: Vec<Credential<T>>,
    /// Positions in `credentials` of the auth packets without reply: these replies have an order
    /// of their own.
    pending_auth: VecDeque<usize>,
    watches: Watches,
    output: VecDeque<Output<T>>,
}

impl<T> Session<T> {
    /// A session that is not connected yet.
    pub fn new(config: SessionConfig) -> Session<T> {
        Session {
            config,
            phase: Phase::Apart,
            state: SessionState::Disconnected,
            id: config.attach.map_or(0, |session| session.id),
            password: config.attach.map_or([0; 16], |session| session.password),
            timeout_ms: u64::try_from(config.timeout_ms).unwrap_or(0),
            last_zxid: 0,
            last_xid: 0,
            closing: false,
            attached: false,
            last_sent_ms: 0,
            last_heard_ms: 0,
            received: BytesMut::new(),
            to_send: Vec::new(),
            pending: VecDeque::new(),
            waiting: VecDeque::new(),
            credentials: Vec::new(),
            pending_auth: VecDeque::new(),
            watches: Watches::default(),
            output: VecDeque::new(),
        }
    }

    /// How the session stands.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// What it takes to attach to this session; id 0 before the first connection.
    pub fn credentials(&self) -> SessionCredentials {
        SessionCredentials {
            id: self.id,
            password: self.password,
        }
    }

    /// The session timeout, ms: granted, or before the first connection asked for.
    pub fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    /// Highest zxid seen in a reply.
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Requests without a reply.
    pub fn outstanding(&self) -> usize {
        self.pending.len() + self.waiting.len()
    }

    /// Whether events for that watcher may still come.
    pub fn is_watching(&self, id: WatcherId) -> bool {
        self.watches.contains(id)
    }

    /// Stops telling a watcher. The server is not asked to: it keeps no count of watchers.
    pub fn forget(&mut self, id: WatcherId) {
        self.watches.forget(id);
    }

    /// A connection is made: says hello, and behind it, without waiting, who we are.
    pub fn connected(&mut self, now_ms: u64) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        assert_eq!(self.phase, Phase::Apart, "connected twice");
        self.phase = Phase::Greeting {
            deadline_ms: now_ms + self.config.handshake_ms,
        };
        self.received.clear();
        self.to_send.clear();
        let hello = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: self.config.timeout_ms,
            session_id: self.id,
            password: Some(self.password.as_slice().into()),
            read_only: Some(self.config.read_only),
        };
        frame(&mut self.to_send, |to| hello.write(to));
        for at in 0..self.credentials.len() {
            self.send_credential(at);
        }
        self.last_sent_ms = now_ms;
    }

    /// Asks for something. `watcher` is who hears of the events if the request registers a watch.
    /// Without a connection the request waits for one.
    pub fn submit(
        &mut self,
        request: &Request<'_>,
        ticket: T,
        watcher: Option<WatcherId>,
        now_ms: u64,
    ) {
        if let Some(loss) = self.refusal() {
            self.output.push_back(Output::Reply {
                ticket,
                result: Err(loss),
            });
            return;
        }
        if let Request::Auth(packet) = request {
            return self.add_credential(packet, ticket, now_ms);
        }
        let watch = watch_change(request, watcher);
        self.send(request, Some(ticket), watch, now_ms);
    }

    /// Ends the session: at the server if there is a connection, else only here.
    pub fn close(&mut self, ticket: Option<T>, now_ms: u64) {
        if let Some(loss) = self.refusal() {
            if let Some(ticket) = ticket {
                let result = Err(loss);
                self.output.push_back(Output::Reply { ticket, result });
            }
            return;
        }
        self.closing = true;
        let end = Request::CloseSession(zooid_proto::client::Empty {});
        self.send(&end, ticket, None, now_ms);
        if self.phase == Phase::Apart {
            self.end(SessionState::Closed, Loss::Closed);
        }
    }

    /// Bytes came from the server.
    pub fn receive(&mut self, bytes: &[u8], now_ms: u64) {
        if !matches!(self.phase, Phase::Greeting { .. } | Phase::Up) {
            return;
        }
        self.received.extend_from_slice(bytes);
        while matches!(self.phase, Phase::Greeting { .. } | Phase::Up) {
            let Some(prefix) = self.received.first_chunk::<4>() else {
                return;
            };
            let length = i32::from_be_bytes(*prefix);
            let Some(length) = usize::try_from(length)
                .ok()
                .filter(|n| *n <= self.config.max_frame)
            else {
                return self.lose(format!("a frame of {length} bytes"));
            };
            if self.received.len() < 4 + length {
                return;
            }
            self.received.advance(4);
            let body = self.received.split_to(length).freeze();
            self.last_heard_ms = now_ms;
            let result = match self.phase {
                Phase::Up => self.on_frame(body),
                _ => self.on_hello(&body, now_ms),
            };
            if let Err(reason) = result {
                self.lose(reason);
            }
        }
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, reason: impl Into<String>) {
        if matches!(self.phase, Phase::Greeting { .. } | Phase::Up) {
            self.lose(reason.into());
        }
    }

    /// When [`Session::handle_timeout`] wants to be called at the latest, ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.phase {
            Phase::Over(_) => None,
            Phase::Greeting { deadline_ms } => Some(deadline_ms),
            Phase::Up => Some(self.ping_at().min(self.silent_at())),
            Phase::Apart => self.attached.then(|| self.expired_at()),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        match self.phase {
            Phase::Greeting { deadline_ms } if now_ms >= deadline_ms => {
                self.lose("no answer to the handshake".into());
            }
            Phase::Up if now_ms >= self.silent_at() => {
                let silence = now_ms - self.last_heard_ms;
                self.lose(format!("nothing heard for {silence} ms"));
            }
            Phase::Up if now_ms >= self.ping_at() => {
                let header = RequestHeader {
                    xid: xid::PING,
                    op: OpCode::Ping.code(),
                };
                frame(&mut self.to_send, |to| header.write(to));
                self.last_sent_ms = now_ms;
            }
            Phase::Apart if self.attached && now_ms >= self.expired_at() => {
                self.end(SessionState::Expired, Loss::Expired);
            }
            _ => {}
        }
    }

    /// The next thing that happened.
    pub fn poll_output(&mut self) -> Option<Output<T>> {
        self.output.pop_front()
    }

    /// Whether there are bytes for the server.
    pub fn has_bytes(&self) -> bool {
        !self.to_send.is_empty()
    }

    /// Moves the bytes for the server behind those in `to`.
    pub fn take_bytes(&mut self, to: &mut Vec<u8>) {
        if to.is_empty() {
            std::mem::swap(to, &mut self.to_send);
        } else {
            to.append(&mut self.to_send);
        }
    }

    /// A ping after a third of the timeout without sends.
    fn ping_at(&self) -> u64 {
        self.last_sent_ms + (self.timeout_ms / 3).min(MAX_PING_INTERVAL_MS)
    }

    /// Another server after two thirds without hearing, so that a third is left to find one.
    fn silent_at(&self) -> u64 {
        self.last_heard_ms + self.timeout_ms * 2 / 3
    }

    /// A server that is not heard may still keep the session: Java gives it a third more.
    fn expired_at(&self) -> u64 {
        self.last_heard_ms + self.timeout_ms * 4 / 3
    }

    fn refusal(&self) -> Option<Loss> {
        match self.phase {
            Phase::Over(loss) => Some(loss),
            _ if self.closing => Some(Loss::Closed),
            _ => None,
        }
    }

    fn send(
        &mut self,
        request: &Request<'_>,
        ticket: Option<T>,
        watch: Option<WatchChange>,
        now_ms: u64,
    ) {
        self.last_xid = self.last_xid.checked_add(1).unwrap_or(1);
        let pending = Pending {
            xid: self.last_xid,
            op: request.op(),
            ticket,
            watch,
        };
        if self.phase == Phase::Up {
            encode(&mut self.to_send, pending.xid, request);
            self.pending.push_back(pending);
            self.last_sent_ms = now_ms;
        } else {
            let mut bytes = Vec::new();
            encode(&mut bytes, pending.xid, request);
            self.waiting.push_back((bytes, pending));
        }
    }

    fn add_credential(&mut self, packet: &AuthPacket<'_>, ticket: T, now_ms: u64) {
        let scheme = packet.scheme.as_deref().unwrap_or_default();
        let auth = packet.auth.as_deref().unwrap_or_default();
        let known = self
            .credentials
            .iter()
            .position(|known| known.scheme == scheme && known.auth == auth);
        let at = match known {
            Some(at) if self.credentials[at].ticket.is_none() => {
                self.credentials[at].ticket = Some(ticket);
                at
            }
            // The same asked twice at once is answered twice.
            _ => {
                self.credentials.push(Credential {
                    scheme: scheme.to_owned(),
                    auth: auth.to_vec(),
                    ticket: Some(ticket),
                });
                self.credentials.len() - 1
            }
        };
        if self.phase != Phase::Apart {
            self.send_credential(at);
            self.last_sent_ms = now_ms;
        }
    }

    fn send_credential(&mut self, at: usize) {
        let credential = &self.credentials[at];
        let packet = Request::Auth(AuthPacket {
            kind: 0,
            scheme: Some(credential.scheme.as_str().into()),
            auth: Some(credential.auth.as_slice().into()),
        });
        encode(&mut self.to_send, xid::AUTH, &packet);
        self.pending_auth.push_back(at);
    }

    fn on_hello(&mut self, body: &Bytes, now_ms: u64) -> Result<(), String> {
        let hello = ConnectResponse::read(&mut Reader::new(body))
            .map_err(|error| format!("an answer to the handshake that makes no sense: {error}"))?;
        if hello.timeout_ms <= 0 {
            self.end(SessionState::Expired, Loss::Expired);
            return Ok(());
        }
        self.phase = Phase::Up;
        self.attached = true;
        self.id = hello.session_id;
        self.password = hello.password;
        self.timeout_ms = u64::from(hello.timeout_ms.unsigned_abs());

        // Watches first: a waiting request may change what they watch.
        for request in self.watches.register_again(self.last_zxid) {
            encode(&mut self.to_send, xid::SET_WATCHES, &request);
            self.pending.push_back(Pending {
                xid: xid::SET_WATCHES,
                op: request.op(),
                ticket: None,
                watch: None,
            });
        }
        for (bytes, pending) in std::mem::take(&mut self.waiting) {
            self.to_send.extend_from_slice(&bytes);
            self.pending.push_back(pending);
        }
        if !self.pending.is_empty() {
            self.last_sent_ms = now_ms;
        }
        self.set_state(if hello.read_only == Some(true) {
            SessionState::ConnectedReadOnly
        } else {
            SessionState::Connected
        });
        Ok(())
    }

    fn on_frame(&mut self, mut frame: Bytes) -> Result<(), String> {
        let header = ReplyHeader::from_bytes(&frame)
            .map_err(|error| format!("a reply without a header: {error}"))?;
        frame.advance(ReplyHeader::MIN_BYTES);
        match header.xid {
            xid::PING => Ok(()),
            xid::NOTIFICATION => self.on_event(header.zxid, &frame),
            xid::AUTH => self.on_auth(header, frame),
            _ => self.on_reply(header, frame),
        }
    }

    fn on_event(&mut self, zxid: i64, body: &Bytes) -> Result<(), String> {
        let event = WatcherEvent::from_bytes(body)
            .map_err(|error| format!("an event that makes no sense: {error}"))?;
        // Kinds of later versions are for clients that asked for them.
        let Some(kind) = EventKind::from_wire(event.kind) else {
            return Ok(());
        };
        let path = event.path.unwrap_or_default().into_owned();
        let watchers = self.watches.fire(kind, &path);
        if !watchers.is_empty() {
            let event = WatchedEvent { kind, path, zxid };
            self.output.push_back(Output::Event { watchers, event });
        }
        Ok(())
    }

    fn on_auth(&mut self, header: ReplyHeader, body: Bytes) -> Result<(), String> {
        let Some(at) = self.pending_auth.pop_front() else {
            return Err("a reply to an auth packet that was not sent".into());
        };
        let ticket = self.credentials[at].ticket.take();
        self.answer(ticket, header, body);
        // As in Java a refused credential ends the session: the server closes the connection, and
        // would refuse it again each time.
        if header.err != ErrorCode::Ok.code() {
            self.end(SessionState::AuthFailed, Loss::AuthFailed);
        }
        Ok(())
    }

    fn answer(&mut self, ticket: Option<T>, header: ReplyHeader, body: Bytes) {
        if let Some(ticket) = ticket {
            let result = Ok(Reply {
                zxid: header.zxid,
                err: header.err,
                body,
            });
            self.output.push_back(Output::Reply { ticket, result });
        }
    }

    fn on_reply(&mut self, header: ReplyHeader, body: Bytes) -> Result<(), String> {
        match self.pending.front() {
            Some(pending) if pending.xid == header.xid => {}
            Some(pending) => {
                let (got, wanted) = (header.xid, pending.xid);
                return Err(format!("a reply to request {got} where {wanted} was next"));
            }
            None => return Err(format!("a reply to request {} not sent", header.xid)),
        }
        let pending = self.pending.pop_front().expect("looked at above");
        self.last_zxid = self.last_zxid.max(header.zxid);
        if let Some(change) = pending.watch {
            self.change_watches(change, header.err);
        }
        self.answer(pending.ticket, header, body);
        if pending.op == OpCode::CloseSession {
            self.end(SessionState::Closed, Loss::Closed);
        }
        Ok(())
    }

    fn change_watches(&mut self, change: WatchChange, err: i32) {
        let missing = err == ErrorCode::NoNode.code();
        match change {
            WatchChange::AddExists(path, id) if missing => {
                self.watches.add(Table::Exist, path, id);
            }
            _ if err != 0 => {}
            WatchChange::AddExists(path, id) => self.watches.add(Table::Data, path, id),
            WatchChange::Add(table, path, id) => self.watches.add(table, path, id),
            WatchChange::Remove(kind, path) => {
                for (kind, watchers) in self.watches.remove(kind, &path) {
                    let path = path.clone();
                    let event = WatchedEvent {
                        kind,
                        path,
                        zxid: -1,
                    };
                    self.output.push_back(Output::Event { watchers, event });
                }
            }
        }
    }

    /// Gives the connection up, but not the session.
    fn lose(&mut self, reason: String) {
        self.phase = Phase::Apart;
        self.received.clear();
        self.to_send.clear();
        if self.closing {
            return self.end(SessionState::Closed, Loss::Closed);
        }
        self.pending_auth.clear();
        self.fail_pending(Loss::Connection);
        self.output.push_back(Output::Disconnect { reason });
        self.set_state(SessionState::Disconnected);
    }

    /// Ends the session for good.
    fn end(&mut self, state: SessionState, loss: Loss) {
        assert!(state.is_final(), "{state:?} is not an end");
        self.phase = Phase::Over(loss);
        self.received.clear();
        for (_, pending) in std::mem::take(&mut self.waiting) {
            self.pending.push_back(pending);
        }
        self.fail_pending(loss);
        self.watches.clear();
        self.set_state(state);
        self.output.push_back(Output::Disconnect {
            reason: format!("the session is over: {state:?}"),
        });
    }

    fn fail_pending(&mut self, loss: Loss) {
        let credentials = self.credentials.iter_mut().map(|c| c.ticket.take());
        let requests = self.pending.drain(..).map(|pending| pending.ticket);
        for ticket in credentials.chain(requests).flatten() {
            let result = Err(loss);
            self.output.push_back(Output::Reply { ticket, result });
        }
    }

    fn set_state(&mut self, state: SessionState) {
        if self.state != state {
            self.state = state;
            self.output.push_back(Output::State(state));
        }
    }
}

fn watch_change(request: &Request<'_>, watcher: Option<WatcherId>) -> Option<WatchChange> {
    let text = |path: &Option<std::borrow::Cow<'_, str>>| path.as_deref().unwrap_or("").to_owned();
    let add = |table, path| watcher.map(|id| WatchChange::Add(table, text(path), id));
    match request {
        Request::Exists(body) if body.watch => {
            watcher.map(|id| WatchChange::AddExists(text(&body.path), id))
        }
        Request::GetData(body) if body.watch => add(Table::Data, &body.path),
        Request::GetChildren(body) if body.watch => add(Table::Child, &body.path),
        Request::GetChildren2(body) if body.watch => add(Table::Child, &body.path),
        Request::AddWatch(body) if body.mode == 0 => add(Table::Persistent, &body.path),
        Request::AddWatch(body) => add(Table::Recursive, &body.path),
        Request::RemoveWatches(body) => {
            watch_kind(body.kind).map(|kind| WatchChange::Remove(kind, text(&body.path)))
        }
        _ => None,
    }
}

fn watch_kind(kind: i32) -> Option<WatchKind> {
    [
        WatchKind::Children,
        WatchKind::Data,
        WatchKind::Any,
        WatchKind::Persistent,
        WatchKind::PersistentRecursive,
    ]
    .into_iter()
    .find(|known| *known as i32 == kind)
}

fn encode(to: &mut Vec<u8>, xid: i32, request: &Request<'_>) {
    let header = RequestHeader {
        xid,
        op: request.op().code(),
    };
    frame(to, |to| {
        header.write(to);
        request.write(to);
    });
}

fn frame(to: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    write(&mut Writer::wire(to));
    let length = i32::try_from(to.len() - start - 4).expect("a request is shorter than 2 GiB");
    to[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests;
