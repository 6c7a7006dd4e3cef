//! A server whose disk, clock and sockets are the test.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zooid_node::{Append, Closing, Conn, Core, Link, Next, Now, Settings, Shared, Submit, Wake};
use zooid_proto::client::{
    ConnectRequest, ConnectResponse, CreateRequest, DeleteRequest, ExistsRequest, GetDataRequest,
    ReplyHeader, SetDataRequest, WatcherEvent, xid,
};
use zooid_proto::ops::Request;
use zooid_proto::records::Acl;
use zooid_proto::txn::LogEntry;
use zooid_proto::{ErrorCode, Jute, Reader, Writer};
use zooid_tree::{Tree, TreeOptions};

pub(crate) const OPTIONS: TreeOptions = TreeOptions {
    digest_enabled: true,
    extended_types: true,
    emulate353: false,
};

/// A server and its clients. Nothing moves unless a test moves it.
pub(crate) struct World {
    pub shared: Arc<Shared>,
    core: Core,
    pub now: Now,
    peers: Vec<Peer>,
    /// Whether what connections submit stays on its way to the core.
    pub held: bool,
    submitted: VecDeque<Submit>,
    /// Transactions that the log thread would be writing.
    writing: VecDeque<Append>,
    /// What is on disk.
    pub log: Vec<Arc<[u8]>>,
}

/// Number of a client in its world.
pub(crate) type PeerId = usize;

struct Peer {
    conn: Conn,
    woken: Arc<AtomicBool>,
    input: Vec<u8>,
    output: Vec<u8>,
    next_xid: i32,
    ended: Option<Closing>,
}

struct Flag(Arc<AtomicBool>);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a client receives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    Connected(ConnectResponse),
    Reply {
        xid: i32,
        zxid: i64,
        err: ErrorCode,
        body: Vec<u8>,
    },
    Event {
        kind: i32,
        path: String,
    },
}

impl World {
    pub(crate) fn new(settings: Settings) -> World {
        World::around(Tree::new(OPTIONS), settings)
    }

    pub(crate) fn around(tree: Tree, settings: Settings) -> World {
        let now = Now {
            mono_ms: 1_000_000,
            wall_ms: 1_800_000_000_000,
        };
        let shared = Arc::new(Shared::new(settings, tree, now));
        World {
            core: Core::new(shared.clone(), now),
            shared,
            now,
            peers: Vec::new(),
            held: false,
            submitted: VecDeque::new(),
            writing: VecDeque::new(),
            log: Vec::new(),
        }
    }

    /// The settings of most tests.
    pub(crate) fn settings() -> Settings {
        Settings {
            extended_types: true,
            ..Settings::default()
        }
    }

    /// A connection without a handshake.
    pub(crate) fn accept(&mut self) -> PeerId {
        let woken = Arc::new(AtomicBool::new(false));
        let wake = Box::new(Flag(woken.clone()));
        let peer = ([127, 0, 0, 1], 40_000).into();
        let link = Link::new(self.shared.next_conn(), peer, self.now.wall_ms, wake);
        let link = Arc::new(link);
        self.shared.links.write().insert(link.id, link.clone());
        self.peers.push(Peer {
            conn: Conn::new(self.shared.clone(), link),
            woken,
            input: Vec::new(),
            output: Vec::new(),
            next_xid: 1,
            ended: None,
        });
        self.peers.len() - 1
    }

    /// A client with a session; what is under way is on disk then.
    pub(crate) fn connect(&mut self, timeout_ms: i32) -> (PeerId, ConnectResponse) {
        self.attach(timeout_ms, 0, [0; 16])
    }

    /// A client that asks for a session that it had.
    pub(crate) fn attach(
        &mut self,
        timeout_ms: i32,
        session_id: i64,
        password: [u8; 16],
    ) -> (PeerId, ConnectResponse) {
        let peer = self.accept();
        self.bytes(peer, &handshake(timeout_ms, session_id, password));
        self.sync();
        match &self.frames(peer)[..] {
            [Frame::Connected(response)] => (peer, response.clone()),
            other => panic!("{other:?} in place of an answer to the handshake"),
        }
    }

    /// Bytes arrive from a client.
    pub(crate) fn bytes(&mut self, peer: PeerId, bytes: &[u8]) {
        self.peers[peer].input.extend_from_slice(bytes);
        self.drive(peer);
        self.settle();
    }

    /// A request arrives. Returns its xid.
    pub(crate) fn send(&mut self, peer: PeerId, request: &Request<'_>) -> i32 {
        self.send_all(peer, std::slice::from_ref(request))[0]
    }

    /// Requests arrive together.
    pub(crate) fn send_all(&mut self, peer: PeerId, requests: &[Request<'_>]) -> Vec<i32> {
        let mut bytes = Vec::new();
        let mut xids = Vec::new();
        for request in requests {
            let xid = self.peers[peer].next_xid;
            self.peers[peer].next_xid += 1;
            frame(&mut bytes, xid, request);
            xids.push(xid);
        }
        self.bytes(peer, &bytes);
        xids
    }

    /// The connection of a client breaks.
    pub(crate) fn hang_up(&mut self, peer: PeerId) {
        self.peers[peer].conn.closed();
        self.peers[peer].ended = Some(Closing::Now);
    }

    /// Whether the server ended a connection, and how.
    pub(crate) fn ended(&self, peer: PeerId) -> Option<&Closing> {
        self.peers[peer].ended.as_ref()
    }

    /// What a client received since the last call.
    pub(crate) fn frames(&mut self, peer: PeerId) -> Vec<Frame> {
        let bytes = std::mem::take(&mut self.peers[peer].output);
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk() {
            let (body, behind) = behind.split_at(i32::from_be_bytes(*length) as usize);
            frames.push(decode(body));
            rest = behind;
        }
        assert!(rest.is_empty(), "half a frame was sent");
        frames
    }

    /// Bytes that a client received since the last call.
    pub(crate) fn output(&mut self, peer: PeerId) -> Vec<u8> {
        std::mem::take(&mut self.peers[peer].output)
    }

    /// The zxids that the log thread is writing.
    pub(crate) fn writing(&self) -> Vec<i64> {
        self.writing.iter().map(|append| append.zxid).collect()
    }

    /// The first `count` of the transactions under way are on disk.
    pub(crate) fn sync_some(&mut self, count: usize) {
        let done: Vec<Append> = self.writing.drain(..count).collect();
        let Some(last) = done.last().map(|append| append.zxid) else {
            return;
        };
        self.log
            .extend(done.into_iter().map(|append| append.payload));
        self.core.durable(last);
        self.settle();
    }

    /// All that is under way is on disk, and what follows from it too.
    pub(crate) fn sync(&mut self) {
        self.held = false;
        self.settle();
        while !self.writing.is_empty() {
            self.sync_some(self.writing.len());
        }
    }

    /// Time goes by, in steps of a tick.
    pub(crate) fn pass(&mut self, ms: i64) {
        let until = self.now.mono_ms + ms;
        while self.now.mono_ms < until {
            let step = (self.core.next_tick_ms(self.now) - self.now.mono_ms).max(1);
            let step = step.min(until - self.now.mono_ms);
            self.now.mono_ms += step;
            self.now.wall_ms += step;
            self.core.tick(self.now);
            self.settle();
        }
    }

    /// The tree that a start would make of the log.
    pub(crate) fn replayed(&self) -> Tree {
        let mut tree = Tree::new(OPTIONS);
        for payload in &self.log {
            let entry = LogEntry::decode(payload).expect("what was logged can be read");
            tree.apply(&entry.header, &entry.txn, &mut ());
        }
        tree
    }

    fn settle(&mut self) {
        loop {
            while !self.held
                && let Some(submit) = self.submitted.pop_front()
            {
                self.core.submit(submit, self.now);
            }
            self.core.advance();
            self.writing.extend(self.core.take_appends());
            let woken = self
                .peers
                .iter()
                .position(|peer| peer.woken.swap(false, Ordering::Relaxed));
            let Some(peer) = woken else {
                break;
            };
            self.drive(peer);
        }
    }

    fn drive(&mut self, peer: PeerId) {
        let peer = &mut self.peers[peer];
        while peer.ended.is_none() {
            let mut submit: Vec<Submit> = Vec::new();
            let before = peer.output.len();
            let progress = peer
                .conn
                .receive(&peer.input, self.now, &mut peer.output, &mut submit);
            // Replies to requests that have the xid of events look like them here.
            let events = event_bytes(&peer.output[before..]);
            assert!(progress.event_bytes <= events, "only what is sent counts");
            peer.input.drain(..progress.consumed);
            self.submitted.extend(submit);
            match progress.next {
                Next::Again => {}
                Next::More | Next::Wait => break,
                Next::Word(_) => peer.ended = Some(Closing::Flush),
                Next::Close(closing) => peer.ended = Some(closing),
            }
        }
        if peer.ended.is_some() {
            peer.conn.closed();
        }
    }
}

pub(crate) fn handshake(timeout_ms: i32, session_id: i64, password: [u8; 16]) -> Vec<u8> {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms,
        session_id,
        password: Some(password.to_vec().into()),
        read_only: Some(false),
    };
    let mut body = Vec::new();
    request.write(&mut Writer::wire(&mut body));
    let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

pub(crate) fn frame(out: &mut Vec<u8>, xid: i32, request: &Request<'_>) {
    let mut body = Vec::new();
    let mut to = Writer::wire(&mut body);
    to.i32(xid);
    to.i32(request.op().code());
    request.write(&mut to);
    out.extend((body.len() as i32).to_be_bytes());
    out.extend(body);
}

/// Bytes of these frames that are events.
fn event_bytes(mut frames: &[u8]) -> usize {
    let mut bytes = 0;
    while let Some((length, rest)) = frames.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        if rest.starts_with(&xid::NOTIFICATION.to_be_bytes()) {
            bytes += 4 + length;
        }
        frames = &rest[length..];
    }
    bytes
}

fn decode(body: &[u8]) -> Frame {
    let mut from = Reader::new(body);
    // The answer to a handshake is the only frame that starts with a protocol version of 0 and
    // has this length.
    if body.len() == 37 && body.starts_with(&[0; 4]) {
        return Frame::Connected(ConnectResponse::read(&mut from).expect("an answer"));
    }
    let header = ReplyHeader::read(&mut from).expect("a header");
    if header.xid == xid::NOTIFICATION {
        let event = WatcherEvent::read(&mut from).expect("an event");
        return Frame::Event {
            kind: event.kind,
            path: event.path.expect("events have a path").into_owned(),
        };
    }
    Frame::Reply {
        xid: header.xid,
        zxid: header.zxid,
        err: ErrorCode::from_i32(header.err).expect("a known error"),
        body: from.rest().to_vec(),
    }
}

impl Frame {
    pub(crate) fn xid(&self) -> i32 {
        match self {
            Frame::Reply { xid, .. } => *xid,
            other => panic!("{other:?} is no reply"),
        }
    }

    pub(crate) fn err(&self) -> ErrorCode {
        match self {
            Frame::Reply { err, .. } => *err,
            other => panic!("{other:?} is no reply"),
        }
    }

    /// The data in the reply to a getData.
    pub(crate) fn data(&self) -> Option<Vec<u8>> {
        match self {
            Frame::Reply {
                err: ErrorCode::Ok,
                body,
                ..
            } => {
                let data = Reader::new(body).buf().expect("data come first");
                data.map(|data| data.into_owned())
            }
            other => panic!("{other:?} has no data"),
        }
    }
}

pub(crate) fn create(path: &str, data: &[u8], flags: i32) -> Request<'static> {
    Request::Create(CreateRequest {
        path: Some(path.to_owned().into()),
        data: Some(data.to_vec().into()),
        acl: Some(vec![Acl::new(31, "world", "anyone")]),
        flags,
    })
}

pub(crate) fn delete(path: &str) -> Request<'static> {
    Request::Delete(DeleteRequest {
        path: Some(path.to_owned().into()),
        version: -1,
    })
}

pub(crate) fn set(path: &str, data: &[u8]) -> Request<'static> {
    Request::SetData(SetDataRequest {
        path: Some(path.to_owned().into()),
        data: Some(data.to_vec().into()),
        version: -1,
    })
}

pub(crate) fn get(path: &str, watch: bool) -> Request<'static> {
    Request::GetData(GetDataRequest {
        path: Some(path.to_owned().into()),
        watch,
    })
}

pub(crate) fn exists(path: &str, watch: bool) -> Request<'static> {
    Request::Exists(ExistsRequest {
        path: Some(path.to_owned().into()),
        watch,
    })
}
