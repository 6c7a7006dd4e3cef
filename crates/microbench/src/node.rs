//! A whole server without sockets: frames of a client in, replies out. Writes go through a log in
//! memory.

use crate::Times;
use crate::samples::{self, NODES, PARENT, TIME_MS};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use zooid_node::log::{Log, SnapshotRule};
use zooid_node::snapshot::SnapshotTask;
use zooid_node::{Conn, Core, Link, Next, Now, Settings, Shared, Submit, Wake};
use zooid_proto::Writer;
use zooid_proto::client::{
    AddWatchRequest, ConnectRequest, DeleteRequest, Empty, ExistsRequest, GetChildrenRequest,
};
use zooid_proto::ops::Request;
use zooid_store::Files;
use zooid_store::mem::MemFiles;
use zooid_store::snapshot::Compression;

const NOW: Now = Now {
    mono_ms: 1000,
    wall_ms: TIME_MS,
};

/// Bytes of a reply with nothing but its header.
const HEAD: usize = 20;

/// Bytes of a stat.
const STAT: usize = 68;

/// Requests that a client sends at once where it sends many.
const MANY: usize = 64;

/// A server with one client.
struct World {
    shared: Arc<Shared>,
    core: Core,
    log: Log,
    conn: Conn,
    out: Vec<u8>,
    submits: Vec<Submit>,
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

impl World {
    fn new() -> World {
        World::with(NODES)
    }

    fn with(nodes: u64) -> World {
        let tree = samples::tree_of(nodes);
        let shared = Arc::new(Shared::new(Settings::default(), tree, NOW));
        let conn = connect(&shared);
        let mut world = World {
            core: Core::new(shared.clone(), NOW),
            log: Log::new(
                crate::log::writer(Path::new("/log")),
                SnapshotRule::new(u64::MAX, None, 1),
            ),
            shared,
            conn,
            out: Vec::with_capacity(1 << 16),
            submits: Vec::with_capacity(MANY),
        };
        let mut handshake = vec![0; 4];
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 30_000,
            session_id: 0,
            password: Some([0; 16].as_slice().into()),
            read_only: Some(false),
        }
        .write(&mut Writer::wire(&mut handshake));
        let length = handshake.len() as u32 - 4;
        handshake[..4].copy_from_slice(&length.to_be_bytes());
        world.write(&handshake, 4 + 4 + 4 + 8 + 4 + 16 + 1);
        world
    }

    /// Gives bytes to the server and expects as many bytes of replies, before anything is logged.
    fn read(&mut self, input: &[u8], expected: usize) {
        self.out.clear();
        self.receive(input);
        assert_eq!(black_box(&self.out).len(), expected);
    }

    /// The same, with all that a write does until its reply is there.
    fn write(&mut self, input: &[u8], expected: usize) {
        self.out.clear();
        self.receive(input);
        for submit in self.submits.drain(..) {
            self.core.submit(submit, NOW);
        }
        let appends = self.core.take_appends();
        self.log.push(&appends).expect("they are short");
        self.log.write().expect("memory takes all");
        let durable = self.log.sync().expect("memory is durable");
        self.core.durable(durable.expect("something was written"));
        self.receive(&[]);
        assert_eq!(black_box(&self.out).len(), expected);
    }

    fn receive(&mut self, input: &[u8]) {
        let (out, submits) = (&mut self.out, &mut self.submits);
        let progress = self.conn.receive(black_box(input), NOW, out, submits);
        assert!(progress.consumed == input.len() && progress.next == Next::More);
    }
}

fn connect(shared: &Arc<Shared>) -> Conn {
    let peer = ([127, 0, 0, 1], 40_000).into();
    let id = shared.next_conn();
    let link = Arc::new(Link::new(id, peer, TIME_MS, Box::new(Nobody)));
    shared.links.write().insert(id, link.clone());
    Conn::new(shared.clone(), link)
}

fn frames(requests: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    requests.into_iter().collect()
}

pub(crate) fn get(times: Times) {
    let mut world = World::new();
    let frames = frames(
        samples::paths()
            .iter()
            .map(|path| samples::frame(1, &samples::get_request(path))),
    );
    times.each(|round| {
        let frame = &frames[round as usize % frames.len()];
        world.read(frame, HEAD + 4 + samples::DATA.len() + STAT);
    });
}

pub(crate) fn get_many(times: Times) {
    let mut world = World::new();
    let frames: Vec<u8> = samples::paths()[..MANY]
        .iter()
        .flat_map(|path| samples::frame(1, &samples::get_request(path)))
        .collect();
    times.each(|_| world.read(&frames, MANY * (HEAD + 4 + samples::DATA.len() + STAT)));
}

pub(crate) fn exists(times: Times) {
    let mut world = World::new();
    let path = samples::path(1);
    let request = Request::Exists(ExistsRequest {
        path: Some((&*path).into()),
        watch: false,
    });
    let frame = samples::frame(1, &request);
    times.each(|_| world.read(&frame, HEAD + STAT));
}

pub(crate) fn children(times: Times) {
    let mut world = World::new();
    let request = Request::GetChildren(GetChildrenRequest {
        path: Some(PARENT.into()),
        watch: false,
    });
    let frame = samples::frame(1, &request);
    times.each(|_| world.read(&frame, HEAD + 4 + NODES as usize * (4 + 12)));
}

pub(crate) fn ping(times: Times) {
    let mut world = World::new();
    let frame = samples::frame(-2, &Request::Ping(Empty {}));
    times.each(|_| world.read(&frame, HEAD));
}

pub(crate) fn set(times: Times) {
    let mut world = World::new();
    let frames = frames(samples::paths().iter().map(|path| set_frame(path)));
    times.each(|round| world.write(&frames[round as usize % frames.len()], HEAD + STAT));
}

pub(crate) fn set_many(times: Times) {
    let mut world = World::new();
    let frames: Vec<u8> = samples::paths()[..MANY]
        .iter()
        .flat_map(|path| set_frame(path))
        .collect();
    times.each(|_| world.write(&frames, MANY * (HEAD + STAT)));
}

pub(crate) fn create(times: Times) {
    let mut world = World::new();
    let frames = frames((0..times.most).map(|n| {
        let path = samples::path(NODES + n);
        samples::frame(1, &samples::create_request(&path))
    }));
    let reply = HEAD + 4 + samples::path(0).len();
    times.each(|round| world.write(&frames[round as usize], reply));
}

pub(crate) fn delete(times: Times) {
    let mut world = World::with(times.most);
    let frames = frames((0..times.most).map(|n| {
        let request = Request::Delete(DeleteRequest {
            path: Some(samples::path(n).into()),
            version: -1,
        });
        samples::frame(1, &request)
    }));
    times.each(|round| world.write(&frames[round as usize], HEAD));
}

pub(crate) fn multi(times: Times) {
    let mut world = World::new();
    let paths = samples::paths();
    let frame = samples::frame(1, &samples::multi_request(&paths));
    let reply = HEAD + 10 * (9 + STAT) + 9;
    times.each(|_| world.write(&frame, reply));
}

/// The client that sets has a persistent watch: the event comes before the reply.
pub(crate) fn watched_set(times: Times) {
    let mut world = World::new();
    let path = samples::path(1);
    let watch = Request::AddWatch(AddWatchRequest {
        path: Some((&*path).into()),
        mode: 0,
    });
    world.read(&samples::frame(1, &watch), HEAD + 4);
    let frame = set_frame(&path);
    let event = HEAD + 4 + 4 + 4 + path.len();
    times.each(|_| world.write(&frame, event + HEAD + STAT));
}

pub(crate) fn snapshot(times: Times) {
    let world = World::new();
    let dir = Path::new("/data");
    times.each(|_| {
        let files = Arc::new(MemFiles::default());
        files.create_dirs(dir).expect("memory takes all");
        let begun = SnapshotTask::begin(&world.shared, files, dir, Compression::Plain);
        let mut task = begun.expect("memory takes all");
        while task.step(&world.shared, 128).expect("memory takes all") {}
        let file = task.finish(&world.shared, true).expect("memory takes all");
        assert!(black_box(file).len > NODES * 200);
    });
}

fn set_frame(path: &str) -> Vec<u8> {
    samples::frame(1, &Request::SetData(samples::set_request(path)))
}
