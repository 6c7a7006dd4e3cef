//! Random clients on a disk of random speed: every digest in the log is that of the tree, and the
//! log alone gives the tree that clients saw.

use crate::driver::{Frame, PeerId, World};
use crate::random::{Random, with_seeds};
use std::sync::atomic::Ordering;
use zooid_node::{Closing, Settings};
use zooid_proto::ErrorCode;
use zooid_proto::client::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, Empty, GetDataRequest,
    MultiOp, MultiRequest, SetAclRequest, SetDataRequest, create_mode,
};
use zooid_proto::ops::Request;
use zooid_proto::records::Acl;
use zooid_proto::txn::LogEntry;
use zooid_tree::Tree;

const CLIENTS: usize = 5;
const STEPS: usize = 600;

#[test]
fn the_log_tells_what_clients_saw() {
    with_seeds(24, |seed| {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        run.end();
    });
}

struct Run {
    random: Random,
    world: World,
    clients: Vec<PeerId>,
    /// xids of each client that wait for their reply.
    waiting: Vec<Vec<i32>>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut world = World::new(Settings {
            tick_time_ms: 500,
            min_session_timeout_ms: 1000,
            container_check_interval_ms: 5000,
            // Sometimes the pipeline is full.
            outstanding_limit: 20,
            ..World::settings()
        });
        let clients: Vec<PeerId> = (0..CLIENTS).map(|_| world.connect(20_000).0).collect();
        Run {
            random: Random::new(seed),
            waiting: vec![Vec::new(); clients.len()],
            world,
            clients,
        }
    }

    fn step(&mut self) {
        self.world.held = self.random.percent(30);
        match self.random.below(100) {
            0..70 => {
                let client = self.random.below(CLIENTS);
                let count = 1 + self.random.below(6);
                let requests: Vec<_> = (0..count).map(|_| self.request()).collect();
                let sent = self.world.send_all(self.clients[client], &requests);
                self.waiting[client].extend(sent);
            }
            70..73 => self.leave(),
            73..76 => {
                let ms = self.random.below(3000) as i64;
                self.world.pass(ms);
            }
            _ => {
                let writing = self.world.writing().len();
                let count = self.random.below(writing + 1);
                self.world.sync_some(count);
            }
        }
        self.take_replies();
        let mismatches = self.world.shared.digest_mismatches.load(Ordering::Relaxed);
        assert_eq!(mismatches, 0, "digests differ from the tree");
    }

    /// A client goes: politely with writes under way, or without a word. Another one comes.
    fn leave(&mut self) {
        let client = self.random.below(CLIENTS);
        let peer = self.clients[client];
        if self.random.percent(60) {
            let mut requests: Vec<_> = (0..4).map(|_| self.request()).collect();
            requests.push(Request::CloseSession(Empty {}));
            self.world.send_all(peer, &requests);
            if self.random.percent(50) {
                self.world.sync();
                let ended = self.world.ended(peer);
                assert!(matches!(ended, Some(Closing::Flush | Closing::Now)));
            }
        } else {
            self.world.hang_up(peer);
        }
        self.world.frames(peer);
        self.waiting[client].clear();
        // Short enough to expire within a run.
        let timeout_ms = 1000 + self.random.below(9000) as i32;
        self.clients[client] = self.world.connect(timeout_ms).0;
    }

    fn take_replies(&mut self) {
        for client in 0..CLIENTS {
            let frames = self.world.frames(self.clients[client]);
            let replies = frames
                .iter()
                .filter(|frame| matches!(frame, Frame::Reply { .. }));
            for reply in replies {
                let wanted = self.waiting[client].remove(0);
                assert_eq!(reply.xid(), wanted, "replies in the order of requests");
                let served = reply.err() != ErrorCode::Unimplemented
                    && reply.err() != ErrorCode::MarshallingError;
                assert!(served, "{reply:?}");
            }
            if self.world.ended(self.clients[client]).is_some() {
                // Expired.
                self.waiting[client].clear();
                self.clients[client] = self.world.connect(20_000).0;
            }
        }
    }

    fn end(mut self) {
        self.world.sync();
        self.take_replies();
        for (client, waiting) in self.waiting.iter().enumerate() {
            assert!(waiting.is_empty(), "client {client} waits for {waiting:?}");
        }
        let outstanding = self.world.shared.outstanding.load(Ordering::Relaxed);
        assert_eq!(outstanding, 0, "requests that nobody waits for");
        let mut zxid = 0;
        let mut digests = 0;
        let mut replayed = Tree::new(crate::driver::OPTIONS);
        for payload in &self.world.log {
            let entry = LogEntry::decode(payload).expect("an entry");
            assert_eq!(entry.header.zxid, zxid + 1, "no number is left out");
            zxid += 1;
            replayed.apply(&entry.header, &entry.txn, &mut ());
            if let Some(digest) = entry.digest {
                digests += 1;
                assert_eq!(digest.tree_digest, replayed.digest(), "{zxid:#x}");
            }
        }
        assert!(digests > 300, "only {digests} digests");
        let tree = self.world.shared.tree.read();
        assert_eq!(replayed.last_processed_zxid(), tree.last_processed_zxid());
        assert_eq!(replayed.sessions(), tree.sessions());
        assert_eq!(replayed.len(), tree.len());
        assert_same(&replayed, &tree, "/");
        let owners: Vec<i64> = tree.ephemeral_sessions().collect();
        for owner in owners {
            assert!(tree.sessions().contains_key(&owner), "{owner:#x} is over");
        }
    }

    fn path(&mut self) -> String {
        // Few, so that requests meet.
        let parent = *self.random.choose(&["", "/a", "/b", "/a/deep", "/c"]);
        let name = *self.random.choose(&["a", "b", "c", "deep", "x", "y", "z"]);
        format!("{parent}/{name}")
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        let length = self.random.below(50);
        (!self.random.percent(20)).then(|| self.random.bytes(length))
    }

    fn acl(&mut self) -> Option<Vec<Acl<'static>>> {
        let lists = [
            vec![Acl::new(31, "world", "anyone")],
            vec![Acl::new(31, "ip", "127.0.0.1")],
            vec![
                Acl::new(15, "world", "anyone"),
                Acl::new(16, "ip", "127.0.0.0/8"),
            ],
        ];
        Some(self.random.choose(&lists).clone())
    }

    fn version(&mut self) -> i32 {
        *self.random.choose(&[-1, -1, -1, 0, 1, 2])
    }

    fn create(&mut self) -> CreateRequest<'static> {
        CreateRequest {
            path: Some(self.path().into()),
            data: self.data().map(Into::into),
            acl: self.acl(),
            flags: *self.random.choose(&[
                create_mode::PERSISTENT,
                create_mode::PERSISTENT,
                create_mode::EPHEMERAL,
                create_mode::PERSISTENT_SEQUENTIAL,
                create_mode::EPHEMERAL_SEQUENTIAL,
            ]),
        }
    }

    fn delete(&mut self) -> DeleteRequest<'static> {
        DeleteRequest {
            path: Some(self.path().into()),
            version: self.version(),
        }
    }

    fn set(&mut self) -> SetDataRequest<'static> {
        SetDataRequest {
            path: Some(self.path().into()),
            data: self.data().map(Into::into),
            version: self.version(),
        }
    }

    fn request(&mut self) -> Request<'static> {
        match self.random.below(100) {
            0..25 => Request::Create(self.create()),
            25..30 => Request::Create2(self.create()),
            30..34 => Request::CreateContainer(CreateRequest {
                flags: create_mode::CONTAINER,
                ..self.create()
            }),
            34..38 => {
                let create = self.create();
                Request::CreateTtl(CreateTtlRequest {
                    path: create.path,
                    data: create.data,
                    acl: create.acl,
                    flags: create_mode::PERSISTENT_WITH_TTL,
                    ttl_ms: 1 + self.random.below(20_000) as i64,
                })
            }
            38..55 => Request::Delete(self.delete()),
            55..70 => Request::SetData(self.set()),
            70..75 => Request::SetAcl(SetAclRequest {
                path: Some(self.path().into()),
                acl: self.acl(),
                version: self.version(),
            }),
            75..88 => {
                let ops = (0..self.random.below(6)).map(|_| self.part()).collect();
                Request::Multi(MultiRequest { ops })
            }
            _ => Request::GetData(GetDataRequest {
                path: Some(self.path().into()),
                watch: self.random.percent(30),
            }),
        }
    }

    fn part(&mut self) -> MultiOp<'static> {
        match self.random.below(100) {
            0..45 => MultiOp::Create(self.create()),
            45..60 => MultiOp::Delete(self.delete()),
            60..90 => MultiOp::SetData(self.set()),
            _ => MultiOp::Check(CheckVersionRequest {
                path: Some(self.path().into()),
                version: self.version(),
            }),
        }
    }
}

fn assert_same(expected: &Tree, found: &Tree, path: &str) {
    let node = expected.get(path).expect("a walk over what is there");
    let other = found
        .get(path)
        .unwrap_or_else(|| panic!("{path} is missing"));
    assert_eq!(other.data(), node.data(), "{path}");
    assert_eq!(other.persisted(), node.persisted(), "{path}");
    let lists = (found.acl(other.acl()), expected.acl(node.acl()));
    assert_eq!(lists.0, lists.1, "{path}");
    for child in node.children() {
        let child = format!("{}/{child}", path.trim_end_matches('/'));
        assert_same(expected, found, &child);
    }
}
