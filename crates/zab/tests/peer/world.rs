//! An ensemble in memory: streams that keep their order, disks that are done at once or when the test
//! says so, and a clock that jumps to what is due next.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use zooid_proto::quorum::{SnapshotDecoder, SnapshotEncoder, SnapshotItem, StreamedNode};
use zooid_proto::records::StatPersisted;
use zooid_zab::{
    Boot, ConnId, DiskOp, Effect, Forwarded, Input, Params, Peer, Port, Proposal, Role, Sid, Token,
};

/// What a disk holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) accepted: i64,
    pub(crate) current: i64,
    pub(crate) base: Vec<Proposal>,
    pub(crate) base_zxid: i64,
    pub(crate) log: Vec<Proposal>,
    pub(crate) config: String,
    pub(crate) next: Option<String>,
    pub(crate) lost: bool,
}

pub(crate) struct Server {
    pub(crate) peer: Option<Peer>,
    pub(crate) params: Params,
    pub(crate) disk: Disk,
    /// What the state machine has applied.
    pub(crate) state: Vec<Proposal>,
    pub(crate) role: Role,
    pub(crate) roles: Vec<Role>,
    /// Disk operations that wait, if they are held.
    pub(crate) held: VecDeque<(Token, DiskOp)>,
    pub(crate) hold: bool,
    incoming: Option<Vec<u8>>,
    pub(crate) synced: u64,
    pub(crate) requests: Vec<(ConnId, Forwarded)>,
    pub(crate) revalidate: Vec<(ConnId, i64)>,
    pub(crate) revalidated: Vec<(i64, bool)>,
    pub(crate) touched: Vec<(i64, i32)>,
    pub(crate) configs: Vec<String>,
    pub(crate) fatal: Option<String>,
    pub(crate) stopped: bool,
    last_proposed: i64,
    /// All that was committed in the order of the state machine, with resets.
    pub(crate) sent_log: u64,
}

enum Event {
    Accepted(ConnId, Port),
    Dialed(ConnId),
    Bytes(ConnId, Vec<u8>),
    Closed(ConnId),
}

impl Event {
    fn conn(&self) -> ConnId {
        match self {
            Event::Accepted(conn, _)
            | Event::Dialed(conn)
            | Event::Bytes(conn, _)
            | Event::Closed(conn) => *conn,
        }
    }
}

/// Random numbers from a seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

pub(crate) struct World {
    pub(crate) servers: BTreeMap<Sid, Server>,
    pub(crate) now: u64,
    queue: VecDeque<(Sid, Event)>,
    ends: BTreeMap<(Sid, ConnId), (Sid, ConnId)>,
    accepted: u64,
    /// Pairs that do not reach each other.
    pub(crate) cut: BTreeSet<(Sid, Sid)>,
    pub(crate) port: BTreeMap<(Sid, ConnId), Port>,
    /// What a leader that served has applied.
    pub(crate) committed: BTreeMap<i64, Proposal>,
    /// Bytes on the quorum port, by sender and receiver.
    pub(crate) wire: Vec<(Sid, Sid, Vec<u8>)>,
}

/// `voters` participants, and observers behind them.
pub(crate) fn config(voters: i64, observers: i64, version: i64) -> String {
    let members: Vec<i64> = (1..=voters + observers).collect();
    config_of(&members, voters, version)
}

pub(crate) fn config_of(sids: &[Sid], voters_upto: i64, version: i64) -> String {
    let mut text = String::new();
    for &sid in sids {
        let role = if sid <= voters_upto {
            "participant"
        } else {
            "observer"
        };
        text += &format!(
            "server.{sid}=127.0.0.1:{}:{}:{role}\n",
            21110 + sid,
            21120 + sid
        );
    }
    text + &format!("version={version:x}")
}

/// A transaction: a header of that zxid and some bytes.
pub(crate) fn txn(zxid: i64, kind: i32, body: &[u8]) -> Proposal {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&7i64.to_be_bytes());
    bytes.extend_from_slice(&1i32.to_be_bytes());
    bytes.extend_from_slice(&zxid.to_be_bytes());
    bytes.extend_from_slice(&1000i64.to_be_bytes());
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(body);
    Proposal {
        zxid,
        bytes: bytes.into(),
    }
}

impl World {
    pub(crate) fn new(voters: i64, observers: i64) -> World {
        World::with(voters, observers, |_| {})
    }

    pub(crate) fn with(voters: i64, observers: i64, change: impl Fn(&mut Params)) -> World {
        let mut world = World::empty();
        for sid in 1..=voters + observers {
            let mut params = Params::of(sid);
            change(&mut params);
            world.add(params, config(voters, observers, 0));
        }
        world
    }

    pub(crate) fn empty() -> World {
        World {
            servers: BTreeMap::new(),
            now: 1000,
            queue: VecDeque::new(),
            ends: BTreeMap::new(),
            accepted: 0,
            cut: BTreeSet::new(),
            port: BTreeMap::new(),
            wire: Vec::new(),
            committed: BTreeMap::new(),
        }
    }

    /// Adds a server; it is not started.
    pub(crate) fn add(&mut self, params: Params, config: String) {
        let sid = params.sid;
        let disk = Disk {
            config,
            ..Disk::default()
        };
        self.servers.insert(sid, Server::new(params, disk));
    }

    pub(crate) fn start(&mut self, sid: Sid) {
        let server = self.servers.get_mut(&sid).unwrap();
        let boot = server.boot();
        server.state = server
            .disk
            .base
            .iter()
            .chain(&server.disk.log)
            .cloned()
            .collect();
        server.role = Role::Looking;
        server.peer = Some(Peer::new(boot, self.now));
        self.effects(sid);
    }

    pub(crate) fn start_all(&mut self) {
        for sid in self.servers.keys().copied().collect::<Vec<_>>() {
            self.start(sid);
        }
    }

    /// The process dies; what its disk has not done is lost.
    pub(crate) fn crash(&mut self, sid: Sid) {
        let server = self.servers.get_mut(&sid).unwrap();
        server.peer = None;
        server.held.clear();
        server.incoming = None;
        server.hold = false;
        self.disconnect(|from, _| from == sid);
        self.queue.retain(|(to, _)| *to != sid);
    }

    /// The process dies after its disk has done a part of what it was asked for.
    pub(crate) fn crash_amid(&mut self, sid: Sid, dice: &mut Dice) {
        let server = self.servers.get_mut(&sid).unwrap();
        let done = dice.below(server.held.len() as u64 + 1);
        for _ in 0..done {
            let (token, op) = server.held.pop_front().expect("they were counted");
            let _ = server.disk_op(token, op);
        }
        self.crash(sid);
    }

    /// Breaks all connections for which it is so, seen from the first of two servers; both hear of it
    /// if they live.
    pub(crate) fn disconnect(&mut self, which: impl Fn(Sid, Sid) -> bool) {
        let gone: Vec<_> = self
            .ends
            .iter()
            .filter(|(from, to)| which(from.0, to.0))
            .map(|(&from, &to)| (from, to))
            .collect();
        for (from, to) in gone {
            if self.ends.remove(&from).is_some() {
                self.ends.remove(&to);
                self.queue.push_back((to.0, Event::Closed(to.1)));
                self.queue.push_back((from.0, Event::Closed(from.1)));
            }
        }
    }

    /// Splits a pair.
    pub(crate) fn split(&mut self, a: Sid, b: Sid) {
        self.cut.insert((a, b));
        self.cut.insert((b, a));
        self.disconnect(|from, to| (from, to) == (a, b) || (from, to) == (b, a));
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn input(&mut self, sid: Sid, input: Input<'_>) {
        let now = self.now;
        let server = self.servers.get_mut(&sid).unwrap();
        if let Some(peer) = &mut server.peer {
            peer.handle(input, now);
            self.effects(sid);
        }
    }

    /// Lets the leader propose; its zxid.
    pub(crate) fn propose(&mut self, sid: Sid) -> i64 {
        self.propose_kind(sid, 5, &[0; 8])
    }

    /// The zxid of the next transaction.
    pub(crate) fn next_zxid(&self, sid: Sid) -> i64 {
        self.servers[&sid].last_proposed + 1
    }

    pub(crate) fn propose_kind(&mut self, sid: Sid, kind: i32, body: &[u8]) -> i64 {
        let server = self.servers.get_mut(&sid).unwrap();
        server.last_proposed += 1;
        let zxid = server.last_proposed;
        self.input(sid, Input::Propose(txn(zxid, kind, body)));
        zxid
    }

    /// The leader that serves.
    pub(crate) fn leader(&self) -> Option<Sid> {
        let serving = self.servers.iter().filter(|(_, server)| {
            server.peer.is_some() && matches!(server.role, Role::Leading { serving: true, .. })
        });
        serving
            .map(|(&sid, _)| sid)
            .max_by_key(|sid| self.epoch(*sid))
    }

    pub(crate) fn epoch(&self, sid: Sid) -> i64 {
        match self.servers[&sid].role {
            Role::Looking => 0,
            Role::Leading { epoch, .. }
            | Role::Following { epoch, .. }
            | Role::Observing { epoch, .. } => epoch,
        }
    }

    pub(crate) fn serves(&self, sid: Sid) -> bool {
        self.servers[&sid].serves()
    }

    /// Delivers all that is under way.
    pub(crate) fn deliver(&mut self) {
        let mut steps = 0;
        while self.deliver_one() {
            steps += 1;
            assert!(steps < 100_000, "it never ends:\n{}", self.describe());
        }
    }

    pub(crate) fn deliver_one(&mut self) -> bool {
        let Some((sid, event)) = self.queue.pop_front() else {
            return false;
        };
        if std::env::var("ZAB_SHOW").is_ok() {
            let what = match &event {
                Event::Accepted(_, port) => format!("accepted {port:?}"),
                Event::Dialed(_) => "dialed".to_owned(),
                Event::Bytes(conn, bytes) => {
                    format!(
                        "{:?} {:x?}",
                        self.port.get(&(sid, *conn)),
                        &bytes[..bytes.len().min(44)]
                    )
                }
                Event::Closed(_) => "closed".to_owned(),
            };
            println!("{} {sid} {:?} {what}", self.now, event.conn());
        }
        match event {
            Event::Accepted(conn, port) => self.input(sid, Input::Accepted { conn, port }),
            Event::Dialed(conn) => self.input(sid, Input::Dialed { conn }),
            Event::Bytes(conn, bytes) => self.input(
                sid,
                Input::Received {
                    conn,
                    bytes: &bytes,
                },
            ),
            Event::Closed(conn) => self.input(sid, Input::Closed { conn }),
        }
        true
    }

    /// Delivers one thing that is under way, or a part of it; what goes over one connection keeps its
    /// order.
    pub(crate) fn deliver_any(&mut self, dice: &mut Dice) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let picked = dice.below(self.queue.len() as u64) as usize;
        let key = |(sid, event): &(Sid, Event)| (*sid, event.conn());
        let wanted = key(&self.queue[picked]);
        let first = self.queue.iter().position(|event| key(event) == wanted);
        let first = first.expect("it was found there");
        if let (sid, Event::Bytes(conn, bytes)) = &mut self.queue[first]
            && bytes.len() > 1
            && dice.below(4) == 0
        {
            let rest = bytes.split_off(1 + dice.below(bytes.len() as u64 - 1) as usize);
            let part = std::mem::replace(bytes, rest);
            let (sid, conn) = (*sid, *conn);
            self.input(sid, Input::Received { conn, bytes: &part });
            return true;
        }
        let event = self.queue.remove(first).expect("it is there");
        self.queue.push_front(event);
        self.deliver_one()
    }

    /// Something that is under way arrives, or a disk does something that was held back. Whether there
    /// was anything.
    pub(crate) fn step(&mut self, dice: &mut Dice) -> bool {
        let busy: Vec<Sid> = self
            .servers
            .iter()
            .filter(|(_, server)| !server.held.is_empty())
            .map(|(&sid, _)| sid)
            .collect();
        let at = dice.below(2 * busy.len() as u64 + self.queue.len() as u64) as usize / 2;
        match busy.get(at) {
            Some(&sid) => {
                self.release(sid, 1);
                true
            }
            None => self.deliver_any(dice),
        }
    }

    /// Time passes until something is due.
    pub(crate) fn jump(&mut self) {
        let peers = self
            .servers
            .values()
            .filter_map(|server| server.peer.as_ref());
        let due = peers
            .filter_map(Peer::poll_timeout)
            .min()
            .expect("peers have timers");
        self.now = due.max(self.now + 1);
        self.tick_all();
    }

    /// Lets so much time pass.
    pub(crate) fn skip(&mut self, ms: u64) {
        self.now += ms;
        self.tick_all();
    }

    /// Lets time pass until `done`.
    ///
    /// # Panics
    /// It is not so within `ms`.
    pub(crate) fn until(&mut self, ms: u64, done: impl Fn(&World) -> bool) {
        let end = self.now + ms;
        loop {
            self.deliver();
            if done(self) {
                return;
            }
            let due = self
                .servers
                .values()
                .filter_map(|server| server.peer.as_ref()?.poll_timeout())
                .min();
            let due = due.unwrap_or(end).max(self.now);
            assert!(due < end, "not within {ms} ms:\n{}", self.describe());
            // Two times the same would be a timer that does nothing.
            self.now = due;
            self.tick_all();
            self.now += 1;
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.deliver();
            self.now = (self.now + 50).min(end);
            self.tick_all();
        }
        self.deliver();
    }

    fn tick_all(&mut self) {
        for sid in self.servers.keys().copied().collect::<Vec<_>>() {
            let now = self.now;
            let peer = self.servers[&sid].peer.as_ref();
            if peer.is_some_and(|peer| peer.poll_timeout().is_some_and(|at| at <= now)) {
                self.input(sid, Input::Tick);
            }
        }
    }

    /// Lets time pass until all servers that run serve one leader, who has the same state as they.
    pub(crate) fn settle(&mut self, ms: u64) -> Sid {
        self.until(ms, World::is_settled);
        self.check_same();
        self.leader().unwrap()
    }

    pub(crate) fn is_settled(&self) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let epoch = self.epoch(leader);
        self.servers.iter().all(|(&sid, server)| {
            server.peer.is_none() || (server.serves() && self.epoch(sid) == epoch)
        })
    }

    /// What holds at every moment.
    pub(crate) fn check_invariants(&self) {
        let mut epochs = BTreeMap::new();
        for (sid, server) in &self.servers {
            assert_eq!(server.fatal, None, "server {sid}");
            let disk = &server.disk;
            assert!(disk.current <= disk.accepted, "D2 of server {sid}");
            for pair in disk.log.windows(2) {
                let (a, b) = (pair[0].zxid, pair[1].zxid);
                assert!(
                    b == a + 1 || (b >> 32 > a >> 32 && b as u32 == 1),
                    "D7 of server {sid}"
                );
            }
            if server.peer.is_some()
                && let Role::Leading {
                    epoch,
                    serving: true,
                } = server.role
            {
                let other = epochs.insert(epoch, sid);
                assert_eq!(other, None, "two leaders of epoch {epoch} (I2)");
            }
        }
    }

    /// All that serve have the same state.
    pub(crate) fn check_same(&self) {
        let mut serving = self.servers.values().filter(|server| server.serves());
        let Some(first) = serving.next() else {
            return;
        };
        for other in serving {
            assert_eq!(
                zxids(&first.state),
                zxids(&other.state),
                "servers {} and {}",
                first.params.sid,
                other.params.sid
            );
            assert_eq!(first.state, other.state);
        }
    }

    /// The disk of a server does what it was asked for and held back, up to `n` of it.
    pub(crate) fn release(&mut self, sid: Sid, n: usize) {
        for _ in 0..n {
            let server = self.servers.get_mut(&sid).unwrap();
            let Some((token, op)) = server.held.pop_front() else {
                return;
            };
            let done = server.disk_op(token, op);
            self.input(sid, done);
        }
    }

    pub(crate) fn release_all(&mut self, sid: Sid) {
        self.servers.get_mut(&sid).unwrap().hold = false;
        self.release(sid, usize::MAX);
    }

    fn effects(&mut self, sid: Sid) {
        loop {
            let server = self.servers.get_mut(&sid).unwrap();
            let Some(peer) = &mut server.peer else {
                return;
            };
            let Some(effect) = peer.poll_effect() else {
                return;
            };
            self.effect(sid, effect);
        }
    }

    fn effect(&mut self, sid: Sid, effect: Effect) {
        let server = self.servers.get_mut(&sid).unwrap();
        match effect {
            Effect::Dial {
                conn,
                sid: to,
                port,
                addresses,
                ..
            } => {
                let there = !addresses.is_empty()
                    && self.servers.get(&to).is_some_and(|to| to.peer.is_some())
                    && !self.cut.contains(&(sid, to));
                if there {
                    self.accepted += 1;
                    let other = ConnId::accepted(self.accepted);
                    self.ends.insert((sid, conn), (to, other));
                    self.ends.insert((to, other), (sid, conn));
                    self.port.insert((sid, conn), port);
                    self.port.insert((to, other), port);
                    self.queue.push_back((to, Event::Accepted(other, port)));
                    self.queue.push_back((sid, Event::Dialed(conn)));
                } else {
                    self.queue.push_back((sid, Event::Closed(conn)));
                }
            }
            Effect::Send { conn, bytes } => self.send(sid, conn, bytes),
            Effect::SendSnapshot { conn, zxid } => {
                let last = server.state.last().map_or(0, |last| last.zxid);
                assert!(zxid >= last, "the state at 0x{last:x} is not of 0x{zxid:x}");
                let bytes = snapshot(&server.state);
                self.send(sid, conn, bytes);
            }
            Effect::SendLog { conn, after, upto } => {
                server.sent_log += 1;
                let mut bytes = Vec::new();
                let entries = server.disk.log.iter();
                let mut sent = 0;
                for entry in entries.filter(|entry| entry.zxid > after && entry.zxid <= upto) {
                    let zxid = entry.zxid;
                    let txn = entry.bytes.as_ref().into();
                    zooid_proto::quorum::FromLeader::Proposal { zxid, txn }.encode(&mut bytes);
                    zooid_proto::quorum::FromLeader::Commit { zxid }.encode(&mut bytes);
                    sent += 1;
                }
                assert!(
                    sent > 0,
                    "nothing in the log from 0x{after:x} to 0x{upto:x}"
                );
                self.send(sid, conn, bytes);
            }
            Effect::Remark { .. } | Effect::BroughtUp(_) => {}
            Effect::Close { conn } => {
                if let Some(other) = self.ends.remove(&(sid, conn)) {
                    self.ends.remove(&other);
                    self.queue.push_back((other.0, Event::Closed(other.1)));
                }
            }
            Effect::Disk { token, op } => {
                if server.hold {
                    server.held.push_back((token, op));
                } else {
                    let done = server.disk_op(token, op);
                    self.input(sid, done);
                }
            }
            Effect::SnapshotBegin => server.incoming = Some(Vec::new()),
            Effect::SnapshotBytes(bytes) => {
                server.incoming.as_mut().unwrap().extend_from_slice(&bytes);
            }
            Effect::SnapshotAbort => {
                assert!(server.incoming.take().is_some());
            }
            Effect::Apply(proposal) => {
                if let Some(last) = server.state.last() {
                    assert!(last.zxid < proposal.zxid, "applied in order");
                }
                match server.role {
                    Role::Leading { serving: true, .. } => {
                        let zxid = proposal.zxid;
                        let before = self.committed.insert(zxid, proposal.clone());
                        assert!(before.is_none(), "0x{zxid:x} is committed twice");
                    }
                    Role::Following { serving: true, .. }
                    | Role::Observing { serving: true, .. } => {
                        let zxid = proposal.zxid;
                        assert_eq!(
                            self.committed.get(&zxid),
                            Some(&proposal),
                            "I3 at 0x{zxid:x}"
                        );
                    }
                    _ => {}
                }
                server.state.push(proposal);
            }
            Effect::Role(role) => {
                server.role = role;
                server.roles.push(role);
                if let Role::Leading {
                    epoch,
                    serving: true,
                } = role
                {
                    server.last_proposed = epoch << 32;
                }
            }
            Effect::Request { conn, request } => server.requests.push((conn, request)),
            Effect::Revalidate { conn, session, .. } => server.revalidate.push((conn, session)),
            Effect::Touched {
                session,
                timeout_ms,
            } => server.touched.push((session, timeout_ms)),
            Effect::Synced => server.synced += 1,
            Effect::RevalidationDone { session, valid } => {
                server.revalidated.push((session, valid));
            }
            Effect::Config(text) => server.configs.push(text),
            Effect::Stopped => server.stopped = true,
            Effect::Fatal(why) => server.fatal = Some(why),
        }
    }

    fn send(&mut self, sid: Sid, conn: ConnId, bytes: Vec<u8>) {
        if let Some(&(to, other)) = self.ends.get(&(sid, conn)) {
            if self.port[&(sid, conn)] == Port::Quorum {
                self.wire.push((sid, to, bytes.clone()));
            }
            self.queue.push_back((to, Event::Bytes(other, bytes)));
        }
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (sid, server) in &self.servers {
            let end = server.state.last().map_or(0, |last| last.zxid);
            text += &format!(
                "{sid}: {:?} 0x{end:x} epochs {} {} fatal {:?} up {}\n",
                server.role,
                server.disk.accepted,
                server.disk.current,
                server.fatal,
                server.peer.is_some()
            );
        }
        text
    }
}

impl Server {
    fn new(params: Params, disk: Disk) -> Server {
        Server {
            peer: None,
            params,
            disk,
            state: Vec::new(),
            role: Role::Looking,
            roles: Vec::new(),
            held: VecDeque::new(),
            hold: false,
            incoming: None,
            synced: 0,
            requests: Vec::new(),
            revalidate: Vec::new(),
            revalidated: Vec::new(),
            touched: Vec::new(),
            configs: Vec::new(),
            fatal: None,
            stopped: false,
            last_proposed: 0,
            sent_log: 0,
        }
    }

    pub(crate) fn serves(&self) -> bool {
        self.peer.is_some()
            && matches!(
                self.role,
                Role::Leading { serving: true, .. }
                    | Role::Following { serving: true, .. }
                    | Role::Observing { serving: true, .. }
            )
    }

    fn boot(&self) -> Boot {
        let disk = &self.disk;
        let mut log: Vec<(i64, i64)> = Vec::new();
        for entry in &disk.log {
            match log.last_mut() {
                Some(run) if run.1 + 1 == entry.zxid => run.1 = entry.zxid,
                _ => log.push((entry.zxid, entry.zxid)),
            }
        }
        Boot {
            params: self.params.clone(),
            config: disk.config.clone(),
            next_config: disk.next.clone(),
            accepted_epoch: disk.accepted,
            current_epoch: disk.current,
            last_zxid: disk.log.last().map_or(disk.base_zxid, |last| last.zxid),
            log,
            recent: disk.log.clone(),
            may_have_lost_data: disk.lost,
        }
    }

    /// Does a disk operation; what it answers.
    fn disk_op(&mut self, token: Token, op: DiskOp) -> Input<'static> {
        let disk = &mut self.disk;
        match op {
            DiskOp::AcceptedEpoch(epoch) => disk.accepted = epoch,
            DiskOp::CurrentEpoch(epoch) => disk.current = epoch,
            DiskOp::Append(proposal) => {
                if let Some(last) = disk.log.last() {
                    assert!(last.zxid < proposal.zxid, "the log is in order");
                }
                disk.log.push(proposal);
            }
            DiskOp::Truncate { zxid } => {
                if disk.base_zxid > zxid {
                    *disk = Disk {
                        base: Vec::new(),
                        base_zxid: 0,
                        log: Vec::new(),
                        lost: true,
                        ..disk.clone()
                    };
                    self.state.clear();
                    return Input::CannotTruncate { token };
                }
                disk.log.retain(|entry| entry.zxid <= zxid);
                self.state = disk.base.iter().chain(&disk.log).cloned().collect();
            }
            DiskOp::InstallSnapshot { zxid } => {
                let bytes = self.incoming.take().expect("a state came before");
                disk.base = read_snapshot(&bytes);
                disk.base_zxid = zxid;
                disk.log.clear();
                disk.lost = false;
                self.state = disk.base.clone();
            }
            DiskOp::Keep { zxid } => {
                assert_eq!(self.state.last().map_or(0, |last| last.zxid), zxid);
                disk.base.clone_from(&self.state);
                disk.base_zxid = zxid;
                disk.log.clear();
            }
            DiskOp::NextConfig(text) => disk.next = Some(text),
            DiskOp::CommitConfig(text) => {
                disk.config = text;
                disk.next = None;
            }
        }
        Input::Persisted { token }
    }
}

pub(crate) fn zxids(state: &[Proposal]) -> Vec<i64> {
    state.iter().map(|entry| entry.zxid).collect()
}

/// A state as a stream: the transactions are the data of the root.
fn snapshot(state: &[Proposal]) -> Vec<u8> {
    let mut data = Vec::new();
    for entry in state {
        data.extend_from_slice(&(entry.bytes.len() as u32).to_be_bytes());
        data.extend_from_slice(&entry.bytes);
    }
    let mut bytes = Vec::new();
    SnapshotEncoder.sessions(0, &mut bytes);
    SnapshotEncoder.acls(0, &mut bytes);
    let node = StreamedNode {
        path: "".into(),
        data: Some(data.into()),
        acl_id: -1,
        stat: StatPersisted::default(),
    };
    SnapshotEncoder.node(&node, &mut bytes);
    SnapshotEncoder.end(&mut bytes);
    bytes
}

fn read_snapshot(bytes: &[u8]) -> Vec<Proposal> {
    let mut decoder = SnapshotDecoder::new(zooid_proto::quorum::Limits::default());
    decoder.push(bytes);
    let mut data = Vec::new();
    while let Some(item) = decoder.next_item().unwrap() {
        if let SnapshotItem::Node(node) = item {
            data = node.data.unwrap().into_owned();
        }
    }
    let mut state = Vec::new();
    let mut rest = data.as_slice();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let bytes = &rest[4..4 + length];
        let zxid = i64::from_be_bytes(bytes[12..20].try_into().unwrap());
        state.push(Proposal {
            zxid,
            bytes: bytes.into(),
        });
        rest = &rest[4 + length..];
    }
    state
}
