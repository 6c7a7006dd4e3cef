//! The members, what is between them, and their clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zooid_node::member::Member;
use zooid_node::transfer::{Incoming, Outgoing};
use zooid_node::{Closing, Conn, Link, Next, Now, Settings, Shared, Submit, Wake};
use zooid_proto::client::{ConnectRequest, ConnectResponse, CreateRequest, ReplyHeader, xid};
use zooid_proto::ops::Request;
use zooid_proto::records::Acl;
use zooid_proto::txn::LogEntry;
use zooid_proto::{ErrorCode, Jute, Reader, Writer};
use zooid_tree::{Tree, TreeOptions};
use zooid_zab::{Boot, ConnId, DiskOp, Effect, Input, Params, Port, Proposal, Role};

/// Length of a tick, ms.
pub(crate) const TICK_MS: i32 = 1000;

const OPTIONS: TreeOptions = TreeOptions {
    digest_enabled: true,
    extended_types: false,
    emulate353: false,
};

/// Number of a member: its place, one less than its id.
pub(crate) type At = usize;

pub(crate) struct World {
    members: Vec<Running>,
    pub(crate) now: Now,
    queue: VecDeque<(At, Event)>,
    ends: BTreeMap<(At, ConnId), (At, ConnId)>,
    accepted: u64,
    /// Members that nobody reaches.
    cut: BTreeSet<At>,
    clients: Vec<Client>,
}

struct Running {
    member: Member,
    shared: Arc<Shared>,
    log: Vec<Proposal>,
    /// The state under the log, as it was sent, and its zxid.
    base: Option<(Vec<u8>, i64)>,
    /// One that is on its way.
    incoming: Vec<u8>,
}

enum Event {
    Accepted(ConnId, Port),
    Dialed(ConnId),
    Bytes(ConnId, Vec<u8>),
    Closed(ConnId),
}

struct Client {
    at: At,
    conn: Conn,
    woken: Arc<AtomicBool>,
    input: Vec<u8>,
    output: Vec<u8>,
    next_xid: i32,
    /// Of the reply that is due.
    answered_xid: i32,
    answered_zxid: i64,
    ended: Option<Closing>,
}

/// Number of a client in its world.
pub(crate) type ClientId = usize;

/// What a client says first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hello {
    pub(crate) timeout_ms: i32,
    /// The session to come back to, 0 for a new one.
    pub(crate) session: i64,
    pub(crate) read_only: bool,
}

pub(crate) const NEW: Hello = Hello {
    timeout_ms: 20_000,
    session: 0,
    read_only: false,
};

/// A reply: its zxid and its code.
pub(crate) type Reply = (i64, ErrorCode);

struct Flag(Arc<AtomicBool>);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl World {
    /// Three members that have elected the last of them.
    pub(crate) fn new(settings: &Settings) -> World {
        let now = Now {
            mono_ms: 1_000_000,
            wall_ms: 1_800_000_000_000,
        };
        let members = (0..3).map(|at| Running::new(at, settings, now)).collect();
        let mut world = World {
            members,
            now,
            queue: VecDeque::new(),
            ends: BTreeMap::new(),
            accepted: 0,
            cut: BTreeSet::new(),
            clients: Vec::new(),
        };
        world.until_whole();
        world
    }

    pub(crate) fn shared(&self, at: At) -> &Shared {
        &self.members[at].shared
    }

    pub(crate) fn zxid(&self, at: At) -> i64 {
        self.shared(at).tree.read().last_processed_zxid()
    }

    /// The zxid of the newest transaction. A learner does not know that of an epoch without any.
    pub(crate) fn newest(&self) -> i64 {
        let zxids = (0..self.members.len()).map(|at| self.zxid(at));
        zxids.max().expect("there are three")
    }

    /// Local and global sessions that a member knows.
    pub(crate) fn sessions(&self, at: At) -> (usize, usize) {
        let sessions = &self.shared(at).sessions;
        (sessions.local_len(), sessions.len() - sessions.local_len())
    }

    /// When a member wants to be called, monotonic ms.
    pub(crate) fn next_tick_ms(&self, at: At) -> i64 {
        self.members[at].member.next_tick_ms(self.now)
    }

    pub(crate) fn leader(&self) -> Option<At> {
        self.members.iter().position(|running| {
            matches!(running.member.role(), Role::Leading { serving: true, .. })
        })
    }

    /// Nobody reaches a member any more.
    pub(crate) fn cut_off(&mut self, at: At) {
        self.cut.insert(at);
        let gone: Vec<_> = self.ends.iter().map(|(from, to)| (*from, *to)).collect();
        for (from, to) in gone {
            if (from.0 == at || to.0 == at) && self.ends.remove(&from).is_some() {
                self.queue.push_back((from.0, Event::Closed(from.1)));
            }
        }
        self.settle();
    }

    pub(crate) fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Lets time pass until all serve, one of them as leader.
    pub(crate) fn until_whole(&mut self) {
        for _ in 0..60_000 {
            let serving = |running: &Running| match running.member.role() {
                Role::Looking => false,
                Role::Leading { serving, .. }
                | Role::Following { serving, .. }
                | Role::Observing { serving, .. } => serving,
            };
            if self.members.iter().all(serving) && self.leader().is_some() {
                return;
            }
            self.pass(1);
        }
        panic!("a minute has passed, and not all serve");
    }

    /// Lets time pass; each member is called when it wants to be.
    pub(crate) fn pass(&mut self, ms: i64) {
        let until = self.now.mono_ms + ms;
        self.settle();
        while self.now.mono_ms < until {
            let now = self.now;
            let next = self.members.iter().map(|one| one.member.next_tick_ms(now));
            let next = next.min().expect("there are three");
            let step = (next - now.mono_ms).max(1).min(until - now.mono_ms);
            self.now.mono_ms += step;
            self.now.wall_ms += step;
            for at in 0..self.members.len() {
                let member = &mut self.members[at].member;
                if member.next_tick_ms(self.now) <= self.now.mono_ms {
                    member.tick(self.now);
                }
            }
            self.settle();
        }
    }

    /// A client connects. `None`: the server closed the connection.
    pub(crate) fn connect(&mut self, at: At, hello: Hello) -> Option<(ClientId, ConnectResponse)> {
        let shared = self.members[at].shared.clone();
        let woken = Arc::new(AtomicBool::new(false));
        let wake = Box::new(Flag(woken.clone()));
        let peer = ([127, 0, 0, 1], 40_000).into();
        let link = Link::new(shared.next_conn(), peer, self.now.wall_ms, wake);
        let link = Arc::new(link);
        shared.links.write().insert(link.id, link.clone());
        self.clients.push(Client {
            at,
            conn: Conn::new(shared, link),
            woken,
            input: Vec::new(),
            output: Vec::new(),
            next_xid: 1,
            answered_xid: 1,
            answered_zxid: 0,
            ended: None,
        });
        let client = self.clients.len() - 1;
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: hello.timeout_ms,
            session_id: hello.session,
            password: Some(
                zooid_node::sessions::password(hello.session)
                    .to_vec()
                    .into(),
            ),
            read_only: Some(hello.read_only),
        };
        let mut body = Vec::new();
        request.write(&mut Writer::wire(&mut body));
        self.bytes(client, &[body]);
        let answer = self.frames(client).pop()?;
        let answer = ConnectResponse::read(&mut Reader::new(&answer));
        Some((client, answer.expect("an answer to a handshake")))
    }

    /// A client that is let in.
    pub(crate) fn client(&mut self, at: At, hello: Hello) -> (ClientId, i64) {
        let (client, answer) = self.connect(at, hello).expect("it is let in");
        assert_ne!(answer.session_id, 0, "its session is refused");
        (client, answer.session_id)
    }

    /// Requests that arrive together; their replies, as far as they come without time.
    pub(crate) fn ask(&mut self, client: ClientId, requests: &[Request<'_>]) -> Vec<Reply> {
        let mut bodies = Vec::new();
        for request in requests {
            let mut body = Vec::new();
            let mut to = Writer::wire(&mut body);
            to.i32(self.clients[client].next_xid);
            self.clients[client].next_xid += 1;
            to.i32(request.op().code());
            request.write(&mut to);
            bodies.push(body);
        }
        self.bytes(client, &bodies);
        self.replies(client)
    }

    /// # Panics
    /// Replies are out of order.
    pub(crate) fn replies(&mut self, client: ClientId) -> Vec<Reply> {
        let frames = self.frames(client);
        let client = &mut self.clients[client];
        let mut replies = Vec::new();
        for frame in frames {
            let header = ReplyHeader::read(&mut Reader::new(&frame)).expect("a header");
            if matches!(header.xid, xid::NOTIFICATION | xid::PING) {
                continue;
            }
            assert_eq!(header.xid, client.answered_xid, "the order of requests");
            assert!(header.zxid >= client.answered_zxid, "the state goes back");
            client.answered_xid += 1;
            client.answered_zxid = header.zxid;
            let code = ErrorCode::from_i32(header.err).expect("a known code");
            replies.push((header.zxid, code));
        }
        replies
    }

    /// Whether the server ended a connection.
    pub(crate) fn is_over(&self, client: ClientId) -> bool {
        self.clients[client].ended.is_some()
    }

    fn bytes(&mut self, client: ClientId, bodies: &[Vec<u8>]) {
        let input = &mut self.clients[client].input;
        for body in bodies {
            input.extend((body.len() as i32).to_be_bytes());
            input.extend(body);
        }
        self.drive(client);
        self.settle();
    }

    fn frames(&mut self, client: ClientId) -> Vec<Vec<u8>> {
        let bytes = std::mem::take(&mut self.clients[client].output);
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk() {
            let (body, behind) = behind.split_at(i32::from_be_bytes(*length) as usize);
            frames.push(body.to_vec());
            rest = behind;
        }
        frames
    }

    fn drive(&mut self, client: ClientId) {
        let client = &mut self.clients[client];
        while client.ended.is_none() {
            let mut submits: Vec<Submit> = Vec::new();
            let (now, output) = (self.now, &mut client.output);
            let progress = client
                .conn
                .receive(&client.input, now, output, &mut submits);
            client.input.drain(..progress.consumed);
            for submit in submits {
                self.members[client.at].member.submit(submit, now);
            }
            match progress.next {
                Next::Again => {}
                Next::More | Next::Wait => break,
                Next::Word(_) => client.ended = Some(Closing::Flush),
                Next::Close(closing) => client.ended = Some(closing),
            }
        }
        if client.ended.is_some() {
            client.conn.closed();
        }
    }

    /// Until nothing moves without time.
    fn settle(&mut self) {
        loop {
            for at in 0..self.members.len() {
                self.carry_out(at);
            }
            if let Some((at, event)) = self.queue.pop_front() {
                let now = self.now;
                let member = &mut self.members[at].member;
                match &event {
                    Event::Accepted(conn, port) => {
                        let (conn, port) = (*conn, *port);
                        member.input(Input::Accepted { conn, port }, now);
                    }
                    Event::Dialed(conn) => member.input(Input::Dialed { conn: *conn }, now),
                    Event::Bytes(conn, bytes) => {
                        member.input(Input::Received { conn: *conn, bytes }, now);
                    }
                    Event::Closed(conn) => member.input(Input::Closed { conn: *conn }, now),
                }
                continue;
            }
            let is_woken = |client: &Client| client.woken.swap(false, Ordering::Relaxed);
            let Some(woken) = self.clients.iter().position(is_woken) else {
                return;
            };
            self.drive(woken);
        }
    }

    fn carry_out(&mut self, at: At) {
        while let Some(effect) = self.members[at].member.poll(self.now) {
            match effect {
                Effect::Dial {
                    conn, sid, port, ..
                } => {
                    let to = usize::try_from(sid).expect("small") - 1;
                    if self.cut.contains(&at) || self.cut.contains(&to) {
                        self.queue.push_back((at, Event::Closed(conn)));
                        continue;
                    }
                    self.accepted += 1;
                    let other = ConnId::accepted(self.accepted);
                    self.ends.insert((at, conn), (to, other));
                    self.ends.insert((to, other), (at, conn));
                    self.queue.push_back((to, Event::Accepted(other, port)));
                    self.queue.push_back((at, Event::Dialed(conn)));
                }
                Effect::Send { conn, bytes } => {
                    if let Some((to, conn)) = self.ends.get(&(at, conn)) {
                        self.queue.push_back((*to, Event::Bytes(*conn, bytes)));
                    }
                }
                Effect::Remark { .. } | Effect::BroughtUp(_) => {}
                Effect::Close { conn } => {
                    if let Some((to, other)) = self.ends.remove(&(at, conn)) {
                        self.ends.remove(&(to, other));
                        self.queue.push_back((to, Event::Closed(other)));
                    }
                }
                Effect::Disk { token, op } => {
                    self.members[at].disk(op);
                    let member = &mut self.members[at].member;
                    member.input(Input::Persisted { token }, self.now);
                }
                Effect::SendSnapshot { conn, .. } => {
                    let shared = &self.members[at].shared;
                    let mut outgoing = Outgoing::begin(shared);
                    let mut bytes = Vec::new();
                    while outgoing.step(shared, 100, &mut bytes).expect("it stays") {}
                    if let Some((to, conn)) = self.ends.get(&(at, conn)) {
                        self.queue.push_back((*to, Event::Bytes(*conn, bytes)));
                    }
                }
                Effect::SnapshotBegin | Effect::SnapshotAbort => {
                    self.members[at].incoming.clear();
                }
                Effect::SnapshotBytes(bytes) => self.members[at].incoming.extend(bytes),
                Effect::Role(_) | Effect::Config(_) => {}
                other => panic!("{other:?} is not for histories this short"),
            }
        }
    }
}

impl Running {
    fn new(at: At, settings: &Settings, now: Now) -> Running {
        let settings = Settings {
            server_id: at as u8 + 1,
            ..settings.clone()
        };
        let tick_ms = settings.tick_time_ms as u64;
        let shared = Arc::new(Shared::new(settings, Tree::new(OPTIONS), now));
        let config: String = (1..=3)
            .map(|sid| {
                format!(
                    "server.{sid}=127.0.0.1:{}:{}:participant\n",
                    100 + sid,
                    200 + sid
                )
            })
            .collect();
        let boot = Boot {
            params: Params {
                tick_ms,
                max_notification_ms: 1000,
                seed: at as u64,
                ..Params::of(at as i64 + 1)
            },
            config: config + "version=0",
            next_config: None,
            accepted_epoch: 0,
            current_epoch: 0,
            last_zxid: 0,
            log: Vec::new(),
            recent: Vec::new(),
            may_have_lost_data: false,
        };
        Running {
            member: Member::new(shared.clone(), boot, now),
            shared,
            log: Vec::new(),
            base: None,
            incoming: Vec::new(),
        }
    }

    fn base_tree(&self) -> Tree {
        let Some((bytes, zxid)) = &self.base else {
            return Tree::new(OPTIONS);
        };
        let mut incoming = Incoming::new(&self.shared.settings);
        incoming.take(bytes).expect("it was sent whole");
        incoming.finish(*zxid).expect("it was sent whole")
    }

    fn disk(&mut self, op: DiskOp) {
        match op {
            DiskOp::Append(proposal) => self.log.push(proposal),
            DiskOp::Truncate { zxid } => {
                self.log.retain(|proposal| proposal.zxid <= zxid);
                let mut tree = self.base_tree();
                for proposal in &self.log {
                    let entry = LogEntry::decode(&proposal.bytes).expect("what was logged");
                    tree.apply(&entry.header, &entry.txn, &mut ());
                }
                self.shared.replace_tree(tree);
            }
            DiskOp::InstallSnapshot { zxid } => {
                self.base = Some((std::mem::take(&mut self.incoming), zxid));
                self.log.clear();
                let tree = self.base_tree();
                self.shared.replace_tree(tree);
            }
            _ => {}
        }
    }
}

/// The settings of most tests.
pub(crate) fn settings() -> Settings {
    Settings {
        tick_time_ms: TICK_MS,
        min_session_timeout_ms: 2000,
        local_sessions: true,
        local_sessions_upgrading: true,
        read_only_mode: true,
        ..Settings::default()
    }
}

pub(crate) fn create(path: &str, flags: i32) -> Request<'static> {
    Request::Create(CreateRequest {
        path: Some(path.to_owned().into()),
        data: None,
        acl: Some(vec![Acl::new(31, "world", "anyone")]),
        flags,
    })
}
