//! A standalone server without sockets, disk or clock, that an input drives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zooid_node::sessions::password;
use zooid_node::{Append, Conn, Core, Link, Next, Now, Settings, Shared, Wake};
use zooid_proto::Writer;
use zooid_proto::client::ConnectRequest;
use zooid_proto::txn::LogEntry;
use zooid_tree::{Tree, TreeOptions};

use crate::Bytes;

/// Connections that an input may use.
const CONNECTIONS: usize = 3;

/// Bytes of output after which a connection is given up, as one whose client does not read.
const MOST_OUTPUT: usize = 1 << 20;

/// Session timeout that connections ask for, ms.
const TIMEOUT_MS: i32 = 10_000;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A server, its connections, and what it logged.
pub struct Server {
    shared: Arc<Shared>,
    core: Core,
    now: Now,
    conns: BTreeMap<usize, Client>,
    /// Logged and not yet durable.
    pending: Option<i64>,
    log: Vec<Append>,
}

struct Client {
    conn: Conn,
    input: Vec<u8>,
    over: bool,
}

impl Server {
    /// An empty server.
    pub fn new(settings: Settings) -> Server {
        let now = Now {
            mono_ms: 1000,
            wall_ms: 1_800_000_000_000,
        };
        let tree = Tree::new(tree_options(&settings));
        let shared = Arc::new(Shared::new(settings, tree, now));
        Server {
            core: Core::new(shared.clone(), now),
            shared,
            now,
            conns: BTreeMap::new(),
            pending: None,
            log: Vec::new(),
        }
    }

    /// The settings that a byte chooses.
    pub fn settings(byte: u8) -> Settings {
        let bit = |n: u8| byte >> n & 1 == 1;
        Settings {
            extended_types: !bit(0),
            enforce_quota: bit(1),
            skip_acl: bit(2),
            digest: !bit(3),
            close_session_txn: !bit(4),
            emulate353: bit(5),
            super_digest: bit(6)
                .then(|| zooid_node::auth::digest_of(zooid_node::DigestAlgorithm::Sha1, "super:x")),
            enforced_schemes: if byte == u8::MAX {
                vec!["digest".to_owned()]
            } else {
                Vec::new()
            },
            container_check_interval_ms: 1000,
            // Small enough for an input to reach it.
            max_frame_bytes: 3000,
            outstanding_limit: 20,
            ..Settings::default()
        }
    }

    /// The number that the first session of each of these servers has.
    pub fn first_session() -> i64 {
        let mut server = Server::new(Settings::default());
        server.receive(0, &[], true);
        server.session(0).expect("there is one")
    }

    fn session(&self, which: usize) -> Option<i64> {
        let client = self.conns.get(&which)?;
        Some(client.conn.link().counters.session.load(Ordering::Relaxed))
    }

    /// Does what the input says: pieces of a kind, a connection, a length and so many bytes.
    pub fn drive(&mut self, mut input: Bytes<'_>) {
        while !input.is_empty() {
            let what = input.byte();
            let which = usize::from(what >> 4) % CONNECTIONS;
            match what % 8 {
                // A request as it is, a request of which the server hears later, and bytes that
                // are cut anywhere.
                kind @ 0..=3 => {
                    let len = input.short();
                    let bytes = input.take(len);
                    let settle = kind % 2 == 0;
                    if kind < 2 {
                        let head = i32::try_from(bytes.len()).expect("a short piece");
                        self.receive(which, &head.to_be_bytes(), false);
                    }
                    self.receive(which, bytes, settle);
                }
                4 => self.settle(),
                5 => self.tick(i64::from(input.byte()) * 100),
                6 => {
                    self.conns.remove(&which);
                }
                _ => self.reattach(which),
            }
        }
        self.settle();
        self.check();
    }

    /// Bytes on a connection that has no session: what it is answered, if anything.
    pub fn greet(&mut self, which: usize, bytes: &[u8]) {
        self.open(which);
        self.push(which, bytes);
        self.settle();
    }

    /// Bytes on a connection, which gets a session first.
    pub fn receive(&mut self, which: usize, bytes: &[u8], settle: bool) {
        if self.conns.get(&which).is_none_or(|client| client.over) {
            self.connect(which, 0);
        }
        self.push(which, bytes);
        if settle {
            self.settle();
        }
    }

    /// Closes the connection and takes its session over with a new one.
    fn reattach(&mut self, which: usize) {
        let session = self.session(which);
        self.conns.remove(&which);
        self.connect(which, session.unwrap_or(0));
    }

    fn connect(&mut self, which: usize, session_id: i64) {
        self.open(which);
        let mut frame = vec![0; 4];
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: TIMEOUT_MS,
            session_id,
            password: Some(password(session_id).to_vec().into()),
            read_only: Some(false),
        }
        .write(&mut Writer::wire(&mut frame));
        let len = i32::try_from(frame.len() - 4).expect("a short frame");
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.push(which, &frame);
        self.settle();
    }

    fn open(&mut self, which: usize) {
        let peer = ([127, 0, 0, 1], 40_000).into();
        let id = self.shared.next_conn();
        let link = Arc::new(Link::new(id, peer, self.now.wall_ms, Box::new(Nobody)));
        self.shared.links.write().insert(id, link.clone());
        let client = Client {
            conn: Conn::new(self.shared.clone(), link),
            input: Vec::new(),
            over: false,
        };
        self.conns.insert(which, client);
    }

    fn push(&mut self, which: usize, bytes: &[u8]) {
        if let Some(client) = self.conns.get_mut(&which) {
            client.input.extend_from_slice(bytes);
        }
        self.read(which);
    }

    fn read(&mut self, which: usize) {
        let Some(client) = self.conns.get_mut(&which) else {
            return;
        };
        if client.over {
            return;
        }
        let mut sent = 0;
        loop {
            let (mut out, mut submit) = (Vec::new(), Vec::new());
            let progress = client
                .conn
                .receive(&client.input, self.now, &mut out, &mut submit);
            whole_frames(&out);
            sent += out.len();
            client.input.drain(..progress.consumed);
            for submit in submit {
                self.core.submit(submit, self.now);
            }
            match progress.next {
                Next::Again if sent < MOST_OUTPUT => {}
                Next::More | Next::Wait => return,
                Next::Again | Next::Word(_) | Next::Close(_) => {
                    client.over = true;
                    client.input = Vec::new();
                    return;
                }
            }
        }
    }

    /// Time passes.
    fn tick(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.core.tick(self.now);
        self.settle();
    }

    /// The log is synced, and everything is answered.
    fn settle(&mut self) {
        loop {
            self.core.advance();
            let appends = self.core.take_appends();
            if let Some(last) = appends.last() {
                self.pending = Some(last.zxid);
            }
            self.log.extend(appends);
            if let Some(zxid) = self.pending.take() {
                self.core.durable(zxid);
            }
            let mut waiting: Vec<usize> = self.conns.keys().copied().collect();
            waiting.retain(|which| {
                let client = &self.conns[which];
                !client.over && client.conn.link().has_mail()
            });
            if waiting.is_empty() && !self.core.has_appends() && self.core.in_flight() == 0 {
                return;
            }
            for which in waiting {
                self.read(which);
            }
        }
    }

    /// What must be true of a server whatever it was asked: what it did is what it logged, the log
    /// can be read back, and sessions end with their connections.
    pub fn check(&mut self) {
        let mismatches = self.shared.digest_mismatches.load(Ordering::Relaxed);
        assert_eq!(mismatches, 0, "the tree differs from what was predicted");
        let mut replayed = Tree::new(tree_options(&self.shared.settings));
        for append in &self.log {
            let entry = LogEntry::decode(&append.payload).expect("what was logged can be read");
            assert_eq!(entry.header.zxid, append.zxid);
            replayed.apply(&entry.header, &entry.txn, &mut ());
            if let Some(digest) = entry.digest {
                assert_eq!(digest.tree_digest, replayed.digest(), "{entry:?}");
            }
        }
        same(&replayed, &self.shared.tree.read());

        self.conns.clear();
        assert!(self.shared.links.read().is_empty());
        self.tick(10 * i64::from(TIMEOUT_MS.max(60_000)));
        assert!(
            self.shared.sessions.is_empty(),
            "sessions outlive their time"
        );
        let tree = self.shared.tree.read();
        assert_eq!(
            tree.ephemerals_count(),
            0,
            "ephemerals outlive their sessions"
        );
        assert_eq!(self.shared.outstanding.load(Ordering::Relaxed), 0);
    }
}

fn tree_options(settings: &Settings) -> TreeOptions {
    TreeOptions {
        digest_enabled: settings.digest,
        extended_types: settings.extended_types,
        emulate353: settings.emulate353,
    }
}

fn same(a: &Tree, b: &Tree) {
    assert_eq!(a.last_processed_zxid(), b.last_processed_zxid());
    assert_eq!(a.digest(), b.digest());
    assert_eq!(a.node_count(), b.node_count());
    assert_eq!(a.sessions(), b.sessions());
    assert_eq!(a.ephemerals_count(), b.ephemerals_count());
}

/// A client must be able to read what it is sent.
fn whole_frames(mut out: &[u8]) {
    while let Some((head, rest)) = out.split_first_chunk::<4>() {
        let len = usize::try_from(i32::from_be_bytes(*head)).expect("a length");
        out = rest.get(len..).expect("a whole frame");
    }
    assert!(out.is_empty(), "half a frame: {out:?}");
}
