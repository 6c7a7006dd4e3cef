//! The random streams. A generator looks at what the reference server answered, so that paths
//! exist, versions are near the right ones and sequential names are known; what it makes is
//! concrete and can be played again without it.

use std::collections::HashMap;

use zooid_proto::client::*;
use zooid_proto::records::{Acl, Id};
use zooid_proto::{Buf, OpCode, Str, ops::Request};

use crate::allowed;
use crate::item::{Hello, Item, Password, Req, SessionNo, Shape, Slot, Who};
use crate::norm::{Body, Norm, Session};
use crate::pair::{Pair, SLOTS, Seen};
use crate::rng::Rng;
use crate::variant::Variant;
use crate::vocabulary::{HARD_LIMITS, LIMITS, PATHS, QUOTA, RESERVED, UNKNOWN_OPS, WEIRD};

/// Sizes of what one group may send, so that no socket buffer fills up while nobody reads.
const GROUP_BYTES: usize = 48 * 1024;

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    version: i32,
    aversion: i32,
}

/// One case in the making.
pub(crate) struct Generator<'v> {
    rng: Rng,
    variant: &'v Variant,
    /// The servers are members of ensembles.
    ensemble: bool,
    known: HashMap<String, Known>,
    paths: Vec<String>,
    xid: i32,
    sessions: usize,
    slots: [Option<SessionNo>; SLOTS],
    lost: Vec<SessionNo>,
    zxid: i64,
    /// Paths that were watched lately.
    watched: Vec<Str<'static>>,
    steps: usize,
    /// Whether the servers shall restart once in this case.
    restarts: bool,
    /// How locked away nodes tend to be in this case, percent.
    locked: usize,
}

impl<'v> Generator<'v> {
    pub(crate) fn new(rng: Rng, variant: &'v Variant, ensemble: bool) -> Self {
        let mut rng = rng;
        let restarts = rng.percent(if ensemble { 25 } else { 6 });
        let locked = *rng.pick(&[0, 5, 15, 40]);
        Generator {
            rng,
            variant,
            ensemble,
            known: HashMap::new(),
            paths: Vec::new(),
            xid: 0,
            sessions: 0,
            slots: [None; SLOTS],
            lost: Vec::new(),
            zxid: 0,
            watched: Vec::new(),
            steps: 0,
            restarts,
            locked,
        }
    }

    /// The next steps, to be played together.
    pub(crate) fn next(&mut self, pair: &Pair) -> Vec<Item> {
        for slot in 0..SLOTS {
            if self.slots[slot].is_some() && !pair.is_open(slot) {
                self.lost.extend(self.slots[slot].take());
            }
        }
        let open: Vec<Slot> = (0..SLOTS).filter(|slot| pair.is_open(*slot)).collect();
        let free: Vec<Slot> = (0..SLOTS).filter(|slot| !pair.is_open(*slot)).collect();
        if open.is_empty()
            || (!free.is_empty() && self.rng.percent(if open.len() < 3 { 40 } else { 8 }))
        {
            let slot = *self.rng.pick(&free);
            return self.connect(slot);
        }
        if self.restarts && self.steps > 30 && self.rng.percent(5) {
            self.restarts = false;
            return vec![Item::Restart];
        }
        self.steps += 1;
        let slot = *self.rng.pick(&open);
        match self.rng.below(1000) {
            0..15 => self.connect(slot),
            15..35 => vec![Item::Drop { slot }],
            35..40 => vec![Item::Torn {
                slot,
                bytes: self.torn(),
            }],
            40..43 if self.variant.expiry && !self.ensemble => match self.some_session() {
                Some(session) => vec![Item::Expire {
                    session,
                    open: self.rng.percent(50),
                }],
                None => vec![Item::Barrier],
            },
            43..200 => vec![Item::Barrier],
            _ => self.requests(slot),
        }
    }

    /// The first of so many sessions, which no other step has.
    pub(crate) fn sessions(&mut self, count: usize) -> SessionNo {
        self.sessions += count;
        self.sessions - count
    }

    /// Takes what the reference server answered.
    pub(crate) fn learn(&mut self, group: &[Item], at: usize, answers: &[Seen]) {
        for seen in answers {
            let Some(item) = seen.origin.and_then(|origin| group.get(origin - at)) else {
                continue;
            };
            match (item, &seen.norm) {
                (Item::Connect { slot, hello }, Norm::Handshake { session, .. }) => {
                    self.slots[*slot] = match hello.who {
                        Who::New(number) | Who::Attach(number, _)
                            if *session != Session::Refused =>
                        {
                            Some(number)
                        }
                        _ => None,
                    };
                }
                (
                    Item::Request { req, .. },
                    Norm::Reply {
                        zxid, err: 0, body, ..
                    },
                ) => {
                    self.zxid = self.zxid.max(*zxid);
                    if let Some(request) = req.decode() {
                        self.note(&request, body);
                    }
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, request: &Request<'_>, body: &Body) {
        match (request, body) {
            (Request::Delete(r), _) => self.forget(r.path.as_deref()),
            (Request::SetData(r), Body::Stat(stat)) => self.remember(r.path.as_deref(), stat),
            (Request::SetAcl(r), Body::Stat(stat)) => self.remember(r.path.as_deref(), stat),
            (Request::Exists(r), Body::Stat(stat)) => self.remember(r.path.as_deref(), stat),
            (Request::GetData(r), Body::Data(_, stat)) => self.remember(r.path.as_deref(), stat),
            (Request::GetAcl(r), Body::Acl(_, stat)) => self.remember(r.path.as_deref(), stat),
            (_, Body::Path(path)) if !matches!(request, Request::Sync(_)) => {
                self.remember(path.as_deref(), &Default::default());
            }
            (_, Body::Create2(path, stat)) => self.remember(path.as_deref(), stat),
            (Request::Multi(multi), Body::Multi(parts)) => {
                for (op, (header, part)) in multi.ops.iter().zip(parts) {
                    if header.err != 0 {
                        return;
                    }
                    match (op, part) {
                        (MultiOp::Delete(r), _) => self.forget(r.path.as_deref()),
                        (MultiOp::SetData(r), Body::Stat(stat)) => {
                            self.remember(r.path.as_deref(), stat)
                        }
                        (_, Body::Path(path)) => {
                            self.remember(path.as_deref(), &Default::default())
                        }
                        (_, Body::Create2(path, stat)) => self.remember(path.as_deref(), stat),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, path: Option<&str>, stat: &zooid_proto::records::Stat) {
        let Some(path) = path else { return };
        let known = Known {
            version: stat.version,
            aversion: stat.aversion,
        };
        if self.known.insert(path.to_string(), known).is_none() {
            self.paths.push(path.to_string());
        }
    }

    fn forget(&mut self, path: Option<&str>) {
        if let Some(path) = path
            && self.known.remove(path).is_some()
        {
            self.paths.retain(|p| p != path);
        }
    }

    fn some_session(&mut self) -> Option<SessionNo> {
        let mut all: Vec<SessionNo> = self.slots.iter().flatten().copied().collect();
        all.extend(self.lost.iter().rev().take(3));
        if all.is_empty() {
            None
        } else {
            Some(*self.rng.pick(&all))
        }
    }

    fn connect(&mut self, slot: Slot) -> Vec<Item> {
        let who = match (self.rng.below(100), self.some_session()) {
            (0..25, Some(session)) => Who::Attach(session, Password::Right),
            (25..32, Some(session)) => {
                let others = [
                    Password::Wrong,
                    Password::Null,
                    Password::Empty,
                    Password::Short,
                    Password::Long,
                ];
                Who::Attach(session, *self.rng.pick(&others))
            }
            (32..36, _) => Who::Unknown {
                id: *self.rng.pick(&[
                    1,
                    -1,
                    0x0123_4567_89AB_CDEF,
                    i64::MIN,
                    0x0100_0000_0000_0007,
                ]),
                right: self.rng.percent(60),
            },
            _ => {
                self.sessions += 1;
                Who::New(self.sessions - 1)
            }
        };
        if let Some(session) = self.slots[slot].take() {
            self.lost.push(session);
        }
        let timeouts: &[i32] = if self.variant.expiry {
            &[600_000, 1_000_000, 3_600_000, i32::MAX]
        } else {
            &[600_000, 3_600_000, i32::MAX, 0, -1, -5, 1, i32::MIN]
        };
        let mut hello = Hello::plain(who, *self.rng.pick(timeouts));
        if self.rng.percent(15) {
            hello.read_only = *self.rng.pick(&[None, Some(true)]);
        }
        if self.rng.percent(5) {
            hello.protocol_version = self.rng.next() as i32;
        }
        if self.rng.percent(10) {
            hello.ahead = Some(*self.rng.pick(&[0, -1, 0, 1, 1 << 32, i64::MAX >> 1]));
        }
        if self.rng.percent(4) && hello.read_only.is_some() {
            hello.tail = vec![7; self.rng.below(20)];
        }
        if self.rng.percent(3) {
            hello.cut = Some(self.rng.below(46));
        }
        let mut group = vec![Item::Connect { slot, hello }];
        if self.rng.percent(40) {
            let (glued, xid) = (true, xid::AUTH);
            let req = Req {
                xid,
                ..Req::new(0, &self.auth(true))
            };
            group.push(Item::Request { slot, glued, req });
        }
        if self.rng.percent(20) {
            for _ in 0..self.rng.below(4) {
                let req = self.request();
                if !req.may_close() {
                    group.push(Item::Request {
                        slot,
                        glued: true,
                        req,
                    });
                }
            }
        }
        group
    }

    fn torn(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.request().frame(&mut bytes);
        // A complete frame may be executed or not when the connection drops behind it.
        bytes.truncate(self.rng.below(bytes.len().min(40)));
        bytes
    }

    fn requests(&mut self, slot: Slot) -> Vec<Item> {
        let count = match self.rng.below(10) {
            0..2 => 1,
            2..5 => 2 + self.rng.below(6),
            _ => 10 + self.rng.below(50),
        };
        let mut group = Vec::new();
        if self
            .rng
            .permille(if self.variant.lockstep { 80 } else { 15 })
        {
            group.extend(self.quota(slot));
        }
        let mut bytes = 0;
        while group.len() < count && bytes < GROUP_BYTES {
            let req = self.request();
            bytes += req.body.len();
            // What ends a connection is rare, so that groups live long enough.
            let ends = req.may_close() && !req.is(OpCode::Auth);
            if ends && !self.rng.percent(15) {
                continue;
            }
            group.push(Item::Request {
                slot,
                glued: !group.is_empty(),
                req,
            });
            if ends {
                break;
            }
        }
        group
    }

    /// All that makes a quota work.
    fn quota(&mut self, slot: Slot) -> Vec<Item> {
        let path = *self.rng.pick(&["/a", "/a", "/b", "/a/x"]);
        let hard = self.variant.lockstep && self.rng.percent(80);
        let limits = *self.rng.pick(if hard { HARD_LIMITS } else { LIMITS });
        let steps = [
            ("/zookeeper/quota/a".to_string(), ""),
            (format!("/zookeeper/quota{path}"), ""),
            (format!("/zookeeper/quota{path}/zookeeper_limits"), limits),
            (
                format!("/zookeeper/quota{path}/zookeeper_stats"),
                "count=0,bytes=0",
            ),
        ];
        let mut group = Vec::new();
        for (path, data) in steps {
            let request = Request::Create(CreateRequest {
                path: Some(path.into()),
                data: Some(data.as_bytes().into()),
                acl: Some(vec![Acl::new(31, "world", "anyone")]),
                flags: 0,
            });
            let req = Req::new(self.next_xid(), &request);
            group.push(Item::Request {
                slot,
                glued: !group.is_empty(),
                req,
            });
        }
        group
    }

    fn next_xid(&mut self) -> i32 {
        self.xid += 1;
        if self.rng.permille(5) {
            // -1 marks events and -2 pings.
            return *self.rng.pick(&[0, -77, -4, -8, i32::MAX, i32::MIN, 1]);
        }
        self.xid
    }

    fn request(&mut self) -> Req {
        loop {
            let xid = self.next_xid();
            let typed = self.typed();
            let mut req = if self.rng.percent(50) {
                Req::new(xid, &typed)
            } else {
                Req::new_utf8(xid, &typed)
            };
            if self.rng.permille(5) {
                req.op = *self.rng.pick(UNKNOWN_OPS);
            }
            if self.rng.permille(25) {
                self.damage(&mut req);
            }
            if allowed::is_allowed(&req, self.variant.lockstep)
                && (!self.ensemble || allowed::is_allowed_in_ensembles(&req))
            {
                self.note_watch(&req);
                return req;
            }
        }
    }

    fn damage(&mut self, req: &mut Req) {
        let body = &mut req.body;
        match self.rng.below(20) {
            0..8 => body.truncate(self.rng.below(body.len() + 1)),
            8..12 => body.extend((0..1 + self.rng.below(9)).map(|i| i as u8)),
            12..17 if body.len() >= 4 => {
                let at = self.rng.below(body.len() - 3);
                let lie =
                    *self
                        .rng
                        .pick(&[-1, -2, 0, 1, 5, 0x10_0000, 0x20_0000, i32::MAX, i32::MIN]);
                body[at..at + 4].copy_from_slice(&lie.to_be_bytes());
            }
            12..18 if !body.is_empty() => {
                let at = self.rng.below(body.len());
                body[at] = self.rng.next() as u8;
            }
            18 => req.shape = Shape::Cut(self.rng.below(8)),
            _ => {
                let lengths = [-1, -2, i32::MIN, i32::MAX, 0, 3, 7, 0x10_0000, 0x0fff_ffff];
                req.shape = Shape::Length(*self.rng.pick(&lengths));
            }
        }
    }

    fn typed(&mut self) -> Request<'static> {
        const WEIGHTS: &[(usize, OpCode)] = &[
            (150, OpCode::Create),
            (60, OpCode::Create2),
            (20, OpCode::CreateContainer),
            (30, OpCode::CreateTtl),
            (110, OpCode::Delete),
            (90, OpCode::SetData),
            (45, OpCode::SetAcl),
            (90, OpCode::Exists),
            (90, OpCode::GetData),
            (30, OpCode::GetAcl),
            (50, OpCode::GetChildren),
            (50, OpCode::GetChildren2),
            (15, OpCode::GetEphemerals),
            (12, OpCode::GetAllChildrenNumber),
            (12, OpCode::Sync),
            (10, OpCode::Ping),
            (2, OpCode::Check),
            (90, OpCode::Multi),
            (25, OpCode::MultiRead),
            (15, OpCode::SetWatches),
            (15, OpCode::SetWatches2),
            (30, OpCode::AddWatch),
            (20, OpCode::CheckWatches),
            (20, OpCode::RemoveWatches),
            (12, OpCode::Auth),
            (2, OpCode::Sasl),
            (8, OpCode::WhoAmI),
            (5, OpCode::Reconfig),
            (6, OpCode::CloseSession),
        ];
        let weights: Vec<usize> = WEIGHTS.iter().map(|(weight, _)| *weight).collect();
        let watch = self.rng.percent(30);
        match WEIGHTS[self.rng.weighted(&weights)].1 {
            OpCode::Create => Request::Create(self.create()),
            OpCode::Create2 => Request::Create2(self.create()),
            OpCode::CreateContainer => {
                let flags = if self.rng.percent(80) {
                    create_mode::CONTAINER
                } else {
                    self.flags()
                };
                Request::CreateContainer(CreateRequest {
                    flags,
                    ..self.create()
                })
            }
            OpCode::CreateTtl => Request::CreateTtl(self.create_ttl()),
            OpCode::Delete => Request::Delete(self.delete()),
            OpCode::SetData => Request::SetData(self.set_data()),
            OpCode::SetAcl => {
                let path = self.path();
                let version = self.version(&path, |known| known.aversion);
                Request::SetAcl(SetAclRequest {
                    path,
                    acl: self.acl(),
                    version,
                })
            }
            OpCode::Exists => Request::Exists(ExistsRequest {
                path: self.path(),
                watch,
            }),
            OpCode::GetData => Request::GetData(GetDataRequest {
                path: self.path(),
                watch,
            }),
            OpCode::GetAcl => Request::GetAcl(GetAclRequest { path: self.path() }),
            OpCode::GetChildren => Request::GetChildren(GetChildrenRequest {
                path: self.path(),
                watch,
            }),
            OpCode::GetChildren2 => Request::GetChildren2(GetChildren2Request {
                path: self.path(),
                watch,
            }),
            OpCode::GetEphemerals => {
                let prefixes = [
                    None,
                    Some(""),
                    Some(" "),
                    Some("/"),
                    Some(" / "),
                    Some("/a"),
                    Some("/b"),
                    Some("/a/x"),
                ];
                let prefix = self.rng.pick(&prefixes).map(Into::into);
                Request::GetEphemerals(GetEphemeralsRequest { prefix })
            }
            OpCode::GetAllChildrenNumber => {
                Request::GetAllChildrenNumber(GetAllChildrenNumberRequest { path: self.path() })
            }
            OpCode::Sync => Request::Sync(SyncRequest { path: self.path() }),
            OpCode::Ping => Request::Ping(Empty {}),
            OpCode::Check => Request::Check(self.check()),
            OpCode::Multi => Request::Multi(self.multi(false)),
            OpCode::MultiRead => Request::MultiRead(self.multi(true)),
            OpCode::SetWatches => Request::SetWatches(SetWatches {
                relative_zxid: self.relative(),
                data: self.path_list(),
                exist: self.path_list(),
                child: self.path_list(),
            }),
            OpCode::SetWatches2 => Request::SetWatches2(SetWatches2 {
                relative_zxid: self.relative(),
                data: self.path_list(),
                exist: self.path_list(),
                child: self.path_list(),
                persistent: self.path_list(),
                recursive: self.path_list(),
            }),
            OpCode::AddWatch => {
                let mode = *self.rng.pick(&[0, 0, 0, 0, 1, 1, 1, 1, 2, -1]);
                Request::AddWatch(AddWatchRequest {
                    path: self.path(),
                    mode,
                })
            }
            OpCode::CheckWatches => {
                let kind = self.watch_kind();
                Request::CheckWatches(CheckWatchesRequest {
                    path: self.watched_path(),
                    kind,
                })
            }
            OpCode::RemoveWatches => {
                let kind = self.watch_kind();
                Request::RemoveWatches(RemoveWatchesRequest {
                    path: self.watched_path(),
                    kind,
                })
            }
            OpCode::Auth => self.auth(false),
            OpCode::Sasl => Request::Sasl(SaslRequest { token: self.data() }),
            OpCode::Reconfig => {
                let words = [
                    None,
                    Some(""),
                    Some("1"),
                    Some("server.1=127.0.0.1:1:2;3"),
                    Some("x"),
                ];
                let mut word = || -> Str<'static> { self.rng.pick(&words).map(Into::into) };
                Request::Reconfig(ReconfigRequest {
                    joining: word(),
                    leaving: word(),
                    members: word(),
                    config_id: -1,
                })
            }
            OpCode::CloseSession => Request::CloseSession(Empty {}),
            _ => Request::WhoAmI(Empty {}),
        }
    }

    fn create(&mut self) -> CreateRequest<'static> {
        let path = self.path();
        CreateRequest {
            data: self.data_for(&path),
            path,
            acl: self.acl(),
            flags: self.flags(),
        }
    }

    fn create_ttl(&mut self) -> CreateTtlRequest<'static> {
        let CreateRequest {
            path, data, acl, ..
        } = self.create();
        let flags = if self.rng.percent(85) {
            5 + self.rng.below(2) as i32
        } else {
            self.flags()
        };
        let ttls = [
            1,
            1000,
            86_400_000,
            (1 << 40) - 1,
            1 << 40,
            0,
            -1,
            -100,
            i64::MAX,
            i64::MIN,
        ];
        let ttl_ms = if self.rng.percent(70) {
            ttls[self.rng.below(4)]
        } else {
            *self.rng.pick(&ttls)
        };
        CreateTtlRequest {
            path,
            data,
            acl,
            flags,
            ttl_ms,
        }
    }

    fn delete(&mut self) -> DeleteRequest<'static> {
        let path = self.path();
        DeleteRequest {
            version: self.version(&path, |known| known.version),
            path,
        }
    }

    fn set_data(&mut self) -> SetDataRequest<'static> {
        let path = self.path();
        SetDataRequest {
            data: self.data_for(&path),
            version: self.version(&path, |known| known.version),
            path,
        }
    }

    fn check(&mut self) -> CheckVersionRequest<'static> {
        let path = self.path();
        CheckVersionRequest {
            version: self.version(&path, |known| known.version),
            path,
        }
    }

    fn multi(&mut self, reads: bool) -> MultiRequest<'static> {
        let strange = self.rng.percent(5);
        let plausible = self.rng.percent(60);
        let count = *self.rng.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 5, 8]);
        let ops = (0..count).map(|_| {
            let read = if strange { self.rng.percent(50) } else { reads };
            if read {
                let watch = self.rng.percent(20);
                return if self.rng.percent(50) {
                    MultiOp::GetData(GetDataRequest {
                        path: self.path(),
                        watch,
                    })
                } else {
                    MultiOp::GetChildren(GetChildrenRequest {
                        path: self.path(),
                        watch,
                    })
                };
            }
            if plausible {
                return self.plausible_part();
            }
            match self.rng.below(100) {
                0..30 => MultiOp::Create(self.create()),
                30..40 => MultiOp::Create2(self.create()),
                40..45 => MultiOp::CreateContainer(CreateRequest {
                    flags: 4,
                    ..self.create()
                }),
                45..50 => MultiOp::CreateTtl(self.create_ttl()),
                50..68 => MultiOp::Delete(self.delete()),
                68..88 => MultiOp::SetData(self.set_data()),
                _ => MultiOp::Check(self.check()),
            }
        });
        MultiRequest { ops: ops.collect() }
    }

    /// A part that mostly succeeds, so that whole multis do.
    fn plausible_part(&mut self) -> MultiOp<'static> {
        let known = match self.paths.len() {
            0 => "/a".to_string(),
            _ => self.rng.pick(&self.paths).clone(),
        };
        let path: Str<'static> = Some(known.clone().into());
        let version = -1;
        match self.rng.below(10) {
            0..4 => {
                let parent = if self.rng.percent(50) {
                    String::new()
                } else {
                    known
                };
                let path: Str<'static> = Some(format!("{parent}/m{}", self.xid % 7).into());
                let acl = Some(vec![Acl::new(31, "world", "anyone")]);
                let flags = *self.rng.pick(&[0, 0, 1, 2, 3]);
                let body = CreateRequest {
                    data: self.data_for(&path),
                    path,
                    acl,
                    flags,
                };
                if self.rng.percent(60) {
                    MultiOp::Create(body)
                } else {
                    MultiOp::Create2(body)
                }
            }
            4..6 => MultiOp::Delete(DeleteRequest { path, version }),
            6..9 => MultiOp::SetData(SetDataRequest {
                data: self.data_for(&path),
                path,
                version,
            }),
            _ => MultiOp::Check(CheckVersionRequest { path, version }),
        }
    }

    fn path(&mut self) -> Str<'static> {
        let path: String = match self.rng.below(1000) {
            0..20 => (*self.rng.pick(WEIRD)).into(),
            20..35 => (*self.rng.pick(RESERVED)).into(),
            35..75 => (*self.rng.pick(QUOTA)).into(),
            75..80 => return None,
            80..400 if !self.paths.is_empty() => {
                let known = self.rng.pick(&self.paths).clone();
                if self.rng.percent(10) && known.len() < 60 {
                    format!("{known}/n")
                } else {
                    known
                }
            }
            _ => (*self.rng.pick(PATHS)).into(),
        };
        Some(path.into())
    }

    fn watched_path(&mut self) -> Str<'static> {
        if self.watched.is_empty() || self.rng.percent(30) {
            return self.path();
        }
        self.rng.pick(&self.watched).clone()
    }

    fn note_watch(&mut self, req: &Req) {
        let path = match req.decode() {
            Some(Request::AddWatch(r)) => r.path,
            Some(Request::GetData(r)) if r.watch => r.path,
            Some(Request::Exists(r)) if r.watch => r.path,
            Some(Request::GetChildren(r)) if r.watch => r.path,
            Some(Request::GetChildren2(r)) if r.watch => r.path,
            _ => return,
        };
        self.watched.push(path.map(|path| path.into_owned().into()));
        if self.watched.len() > 8 {
            self.watched.remove(0);
        }
    }

    fn path_list(&mut self) -> Option<Vec<Str<'static>>> {
        if self.rng.permille(15) {
            return None;
        }
        Some((0..self.rng.below(4)).map(|_| self.path()).collect())
    }

    fn relative(&mut self) -> i64 {
        match self.rng.below(10) {
            0..2 => 0,
            2..4 => i64::MAX,
            _ => self.zxid - self.rng.below(40) as i64,
        }
    }

    fn watch_kind(&mut self) -> i32 {
        *self.rng.pick(&[1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 0, 6])
    }

    fn version(&mut self, path: &Str<'_>, of: fn(&Known) -> i32) -> i32 {
        let right = path
            .as_deref()
            .and_then(|path| self.known.get(path))
            .map_or(0, of);
        match self.rng.below(20) {
            0..9 => -1,
            9..16 => right,
            16 => right + 1,
            17 => right - 1,
            18 => -2,
            _ => *self.rng.pick(&[57, i32::MAX, i32::MIN]),
        }
    }

    fn flags(&mut self) -> i32 {
        match self.rng.below(100) {
            0..45 => 0,
            45..65 => 1,
            65..78 => 2,
            78..90 => 3,
            90..93 => 4,
            93..96 => *self.rng.pick(&[5, 6]),
            _ => *self.rng.pick(&[7, -1, 6789, i32::MIN]),
        }
    }

    fn data_for(&mut self, path: &Str<'_>) -> Buf<'static> {
        match path.as_deref() {
            Some(path) if path.ends_with("/zookeeper_limits") && self.rng.percent(90) => {
                Some(self.rng.pick(LIMITS).as_bytes().into())
            }
            Some(path) if path.ends_with("/zookeeper_stats") => Some(
                self.rng
                    .pick(&["count=0,bytes=0", "count=3,bytes=17", "count=-1,bytes=-1"])
                    .as_bytes()
                    .into(),
            ),
            _ => self.data(),
        }
    }

    fn data(&mut self) -> Buf<'static> {
        let length = match self.rng.below(1000) {
            0..80 => return None,
            80..180 => 0,
            180..960 => 1 + self.rng.below(24),
            960..998 => 100 + self.rng.below(3000),
            _ => 30_000,
        };
        let start = self.rng.below(26);
        let bytes: Vec<u8> = (0..length)
            .map(|i| b'a' + ((start + i) % 26) as u8)
            .collect();
        Some(bytes.into())
    }

    fn auth(&mut self, good: bool) -> Request<'static> {
        let mut packets: Vec<(Str<'static>, Buf<'static>)> = Vec::new();
        let mut add = |scheme: &'static str, auth: &'static str| {
            packets.push((Some(scheme.into()), Some(auth.as_bytes().into())));
        };
        add("digest", "u1:p1");
        add("digest", "u2:p2");
        add("digest", "u1:p1");
        add("digest", "u1:wrong");
        add("ip", "");
        if self.rng.percent(20) {
            add("digest", allowed::SUPER);
        }
        if !good && self.rng.percent(50) {
            add("digest", "");
            add("digest", "nocolon");
            add("digest", "a:b:c");
            add("world", "anyone");
            add("super", "x");
            add("auth", "");
            add("sasl", "x");
            add("x509", "x");
            add("nonsense", "x");
            add("", "x");
            packets.push((None, Some(b"x".as_slice().into())));
            packets.push((Some("digest".into()), None));
            packets.push((Some("ip".into()), None));
            packets.push((None, None));
        }
        let (scheme, auth) = self.rng.pick(&packets).clone();
        Request::Auth(AuthPacket {
            kind: 0,
            scheme,
            auth,
        })
    }

    fn acl(&mut self) -> Option<Vec<Acl<'static>>> {
        if !self.rng.percent(self.locked) && !self.rng.percent(8) {
            return Some(vec![Acl::new(31, "world", "anyone")]);
        }
        match self.rng.below(100) {
            0..3 => return None,
            3..6 => return Some(Vec::new()),
            _ => {}
        }
        let count = *self.rng.pick(&[1, 1, 1, 2, 2, 3]);
        Some((0..count).map(|_| self.acl_entry()).collect())
    }

    fn acl_entry(&mut self) -> Acl<'static> {
        let perms = match self.rng.below(10) {
            0..4 => 31,
            4..9 => self.rng.below(32) as i32,
            _ => *self.rng.pick(&[0, 32, 63, -1, i32::MAX]),
        };
        // Digests of u1:p1 and u2:p2.
        const GOOD: &[(&str, &str)] = &[
            ("world", "anyone"),
            ("world", "anyone"),
            ("auth", ""),
            ("auth", "whatever"),
            ("digest", "u1:fpT/y03U+EjItKZOSLGvjnJlyng="),
            ("digest", "u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE="),
            ("ip", "127.0.0.1"),
            ("ip", "127.0.0.0/8"),
            ("ip", "10.0.0.1"),
            ("ip", "::1"),
        ];
        const BAD: &[(&str, &str)] = &[
            ("world", "other"),
            ("world", ""),
            ("digest", "a"),
            ("digest", "a:"),
            ("digest", ":b"),
            ("digest", "a:b:"),
            ("digest", "a:b:c"),
            ("digest", ""),
            ("ip", "127.0.0.1/33"),
            ("ip", "10.0.0.1/-1"),
            ("ip", "::1/256"),
            ("ip", "::1/128"),
            ("ip", "1:2:3:4:5:6:7:8"),
            ("ip", "::ffff:1.2.3.4"),
            ("ip", "300.1.1.1"),
            ("ip", "1.2.3"),
            ("ip", "127.0.0.1/"),
            ("ip", "127.0.0.1/0"),
            ("ip", "127.0.0.1/x"),
            ("ip", ""),
            ("sasl", "user"),
            ("sasl", "user/host@REALM"),
            ("sasl", "@"),
            ("sasl", ""),
            ("x509", "CN=me"),
            ("x509", "me"),
            ("super", ""),
            ("nonsense", "x"),
            ("", ""),
        ];
        if self.rng.percent(4) {
            let schemes = [
                None,
                Some("world"),
                Some("digest"),
                Some("ip"),
                Some("auth"),
            ];
            let scheme = self.rng.pick(&schemes).map(Into::into);
            return Acl {
                perms,
                id: Id { scheme, id: None },
            };
        }
        let list = if self.rng.percent(90) { GOOD } else { BAD };
        let (scheme, id) = self.rng.pick(list);
        Acl::new(perms, scheme, id)
    }
}
