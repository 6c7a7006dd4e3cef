//! Two servers side by side: every step goes to both, everything that comes back is compared.
//!
//! In place of each server there may be an ensemble. Then the connections are spread over its
//! members, those of both ensembles alike, and every member has applied everything before the next
//! step, so that what a member answers does not hang on how late it is.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use zooid_proto::client::*;
use zooid_proto::records::Acl;
use zooid_proto::{Jute, OpCode, Reader, ops::Request};

use crate::allowed::CONFIG;
use crate::difference::{Difference, compare, signature};
use crate::item::{Hello, Item, Password, Req, SessionNo, Slot, Who, password};
use crate::link::{Got, Link};
use crate::norm::{Body, Mapping, Norm, Session};

/// Connections of a case.
pub(crate) const SLOTS: usize = 5;

/// Session timeout of everything that shall not expire, ms.
pub(crate) const LONG_MS: i32 = 3_600_000;

/// Something that came from a server, and the step that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) origin: Option<usize>,
    pub(crate) norm: Norm,
}

/// How long a member may lag behind the others, far above what a loaded machine needs.
const LEVEL: Duration = Duration::from_secs(60);

/// Instead of the zxid of a server that gives none.
const NO_ZXID: i64 = -1;

struct Conn {
    link: Link,
    /// Steps without an answer, with their operations.
    pending: VecDeque<(Option<usize>, i32)>,
    /// The session asked for, while the handshake is unanswered.
    greeting: Option<Greeting>,
    session: Option<SessionNo>,
    dead: bool,
    got: Vec<Seen>,
}

struct Greeting {
    origin: Option<usize>,
    who: Who,
    wanted: i64,
}

struct Side {
    /// One server, or the members of an ensemble.
    members: Vec<Member>,
    mapping: Mapping,
    slots: Vec<Option<Conn>>,
    /// Highest zxid that any reply showed.
    zxid: i64,
    /// Transactions that delete the ephemeral nodes of a session, in an order that is open.
    closings: HashSet<i64>,
}

/// A server, and the super user's connection to it.
struct Member {
    port: u16,
    control: Link,
    control_id: i64,
}

/// Both servers.
pub(crate) struct Pair {
    sides: [Side; 2],
    /// Send nothing behind a write before its answer.
    lockstep: bool,
}

/// The steps that go out together: one, and the requests glued to it.
pub(crate) fn group_len(items: &[Item]) -> usize {
    let Some(Item::Connect { slot, .. } | Item::Request { slot, .. }) = items.first() else {
        return 1.min(items.len());
    };
    let glued =
        |item: &&Item| matches!(item, Item::Request { slot: s, glued: true, .. } if s == slot);
    1 + items[1..].iter().take_while(glued).count()
}

impl Pair {
    /// Connects to both servers, or to all members of both ensembles, as super user.
    pub(crate) fn connect(ports: &[Vec<u16>; 2], lockstep: bool) -> Result<Pair> {
        let [left, right] = ports.each_ref().map(|ports| Side::connect(ports));
        Ok(Pair {
            sides: [left.context("left")?, right.context("right")?],
            lockstep,
        })
    }

    /// Connects again after a restart of the servers. What the connections got before is taken
    /// with a barrier by the caller.
    pub(crate) fn reconnect(&mut self, ports: &[Vec<u16>; 2]) -> Result<()> {
        for (side, ports) in self.sides.iter_mut().zip(ports) {
            side.slots = no_slots();
            for (member, port) in side.members.iter_mut().zip(ports) {
                member.port = *port;
                member.control = super_session(*port, member.control_id)?.0;
            }
        }
        self.level().map_err(|difference| anyhow!("{difference:?}"))
    }

    /// Waits until all members of each ensemble are where the foremost is.
    fn level(&mut self) -> std::result::Result<(), Difference> {
        let [left, right] = self.sides.each_mut().map(Side::level);
        if left == Ok(()) && right == Ok(()) {
            return Ok(());
        }
        let show = |result: std::result::Result<(), String>| result.err().unwrap_or("level".into());
        Err(Difference {
            signature: "members stay behind".into(),
            origin: None,
            place: "between two steps".into(),
            left: show(left),
            right: show(right),
        })
    }

    /// Forgets the sessions of the case before.
    pub(crate) fn new_case(&mut self) {
        for side in &mut self.sides {
            side.mapping = Mapping::default();
            side.closings.clear();
            side.slots = no_slots();
        }
    }

    /// Whether the reference server still serves the connection.
    pub(crate) fn is_open(&self, slot: Slot) -> bool {
        self.sides[1].slots[slot]
            .as_ref()
            .is_some_and(|conn| !conn.dead)
    }

    /// Plays steps that go out together; `at` is the position of the first one in the case.
    /// Answers what the reference server sent.
    pub(crate) fn play(
        &mut self,
        at: usize,
        group: &[Item],
    ) -> std::result::Result<Vec<Seen>, Difference> {
        match &group[0] {
            Item::Connect { slot, hello } => {
                // The server is about to end these connections: what they got must be here first.
                for other in 0..SLOTS {
                    if self.holds(other, hello.who) {
                        self.requests(other, at, &[], false)?;
                    }
                }
                for side in &mut self.sides {
                    side.greet(*slot, Some(at), hello);
                }
                self.requests(*slot, at + 1, &group[1..], true)?;
            }
            Item::Request { slot, .. } => self.requests(*slot, at, group, false)?,
            Item::Torn { slot, bytes } => {
                for side in &mut self.sides {
                    if let Some(conn) = &mut side.slots[*slot] {
                        conn.link.send(bytes);
                    }
                    side.slots[*slot] = None;
                }
            }
            Item::Drop { slot } => {
                for side in &mut self.sides {
                    side.slots[*slot] = None;
                }
            }
            Item::Barrier => {
                for slot in 0..SLOTS {
                    self.requests(slot, at, &[], false)?;
                }
            }
            Item::Restart => unreachable!("who owns the servers restarts them"),
            Item::Expire { session, open } => {
                let seen = std::thread::scope(|scope| {
                    let wait = |side| scope.spawn(move || Side::expire(side, at, *session, *open));
                    let waiting = self.sides.each_mut().map(wait);
                    waiting.map(|thread| thread.join().expect("waiting does not panic"))
                });
                compare("expiry", group, at, &seen[0], &seen[1])?;
                self.level()?;
            }
            Item::Outlive { slot, open } => {
                let seen = std::thread::scope(|scope| {
                    let wait = |side| scope.spawn(move || Side::outlive(side, at, *slot, *open));
                    let waiting = self.sides.each_mut().map(wait);
                    waiting.map(|thread| thread.join().expect("waiting does not panic"))
                });
                compare("expiry", group, at, &seen[0], &seen[1])?;
                self.level()?;
            }
        }
        self.compare(at, group)
    }

    fn holds(&self, slot: Slot, who: Who) -> bool {
        let session = self.sides[1].slots[slot]
            .as_ref()
            .and_then(|conn| conn.session);
        matches!(who, Who::Attach(number, _) if session == Some(number))
    }

    fn requests(
        &mut self,
        slot: Slot,
        at: usize,
        items: &[Item],
        greeting: bool,
    ) -> std::result::Result<(), Difference> {
        let mut start = 0;
        loop {
            // Behind a handshake nothing is read before it is answered, so an auth may be pipelined.
            let pipelined = |req: &Req| greeting && start == 0 && req.is(OpCode::Auth);
            let mut end = start;
            while let Some(Item::Request { req, .. }) = items.get(end) {
                if req.may_close() && !pipelined(req) {
                    break;
                }
                end += 1;
                if req.is_awaited() || (self.lockstep && req.is_write()) {
                    break;
                }
            }
            for side in &mut self.sides {
                side.send(slot, at + start, &items[start..end], true);
            }
            for side in &mut self.sides {
                side.collect(slot);
            }
            if let Some(Item::Request { req, .. }) = items.get(end)
                && req.may_close()
            {
                for side in &mut self.sides {
                    side.send(slot, at + end, &items[end..=end], false);
                }
                for side in &mut self.sides {
                    side.collect_end(slot);
                }
                end += 1;
            }
            self.level()?;
            start = end;
            if start >= items.len() {
                return Ok(());
            }
        }
    }

    fn compare(&mut self, at: usize, group: &[Item]) -> std::result::Result<Vec<Seen>, Difference> {
        let mut answers = Vec::new();
        for slot in 0..SLOTS {
            let [left, right] = self.sides.each_mut().map(|side| side.take(slot));
            let place = match self.sides[0].members.len() {
                1 => format!("conn {slot}"),
                _ => format!("conn {slot}, member {}", 1 + self.sides[0].member_of(slot)),
            };
            compare(&place, group, at, &left, &right)?;
            answers.extend(right);
        }
        Ok(answers)
    }

    /// Closes all sessions, compares the whole tree and empties it. Items are those of the case.
    pub(crate) fn clean_up(&mut self) -> std::result::Result<(), Difference> {
        self.play(0, &[Item::Barrier])?;
        let mut sessions: Vec<SessionNo> = self.sides[1].mapping.ids.keys().copied().collect();
        sessions.sort_unstable();
        for session in sessions {
            let hello = Hello::plain(Who::Attach(session, Password::Right), LONG_MS);
            let close = Req::new(1, &Request::CloseSession(Empty {}));
            self.play(0, &[Item::Connect { slot: 0, hello }])?;
            self.play(
                0,
                &[Item::Request {
                    slot: 0,
                    glued: false,
                    req: close,
                }],
            )?;
        }
        self.empty_tree()
    }

    /// Cleans up after a difference. An error says that the servers have come apart.
    pub(crate) fn recover(&mut self) -> std::result::Result<(), Difference> {
        for side in &mut self.sides {
            side.slots = no_slots();
        }
        self.clean_up()
    }

    fn empty_tree(&mut self) -> std::result::Result<(), Difference> {
        let mut level = vec!["/".to_string()];
        let mut all = Vec::new();
        while !level.is_empty() {
            let mut asked = Vec::new();
            for path in &level {
                let path = Some(path.into());
                asked.push(Request::GetChildren2(GetChildren2Request {
                    path,
                    watch: false,
                }));
            }
            let mut next = Vec::new();
            for (path, norm) in level.iter().zip(self.ask_everywhere(&asked)?) {
                let Norm::Reply {
                    body: Body::Children2(Some(names), _),
                    ..
                } = norm
                else {
                    continue;
                };
                let base = path.trim_end_matches('/');
                next.extend(names.iter().flatten().map(|name| format!("{base}/{name}")));
            }
            all.append(&mut level);
            level = next;
        }
        let mut asked = Vec::new();
        for path in &all {
            let path = || Some(path.as_str().into());
            asked.push(Request::GetData(GetDataRequest {
                path: path(),
                watch: false,
            }));
            asked.push(Request::GetAcl(GetAclRequest { path: path() }));
        }
        self.ask_everywhere(&asked)?;
        let built_in = ["/", "/zookeeper", "/zookeeper/quota", CONFIG];
        let mut asked = Vec::new();
        for path in all.iter().rev() {
            let path = Some(path.as_str().into());
            if !built_in.contains(&path.as_deref().unwrap_or("")) {
                asked.push(Request::Delete(DeleteRequest { path, version: -1 }));
            }
        }
        self.ask(0, &asked)?;
        let mut asked = Vec::new();
        for path in built_in {
            if path == CONFIG && self.sides[0].members.len() > 1 {
                continue;
            }
            let path = || Some(path.into());
            let perms = if path() == Some(CONFIG.into()) { 1 } else { 31 };
            let acl = Some(vec![Acl::new(perms, "world", "anyone")]);
            asked.push(Request::SetAcl(SetAclRequest {
                path: path(),
                acl,
                version: -1,
            }));
            let data = Some(Vec::new().into());
            asked.push(Request::SetData(SetDataRequest {
                path: path(),
                data,
                version: -1,
            }));
        }
        self.ask(0, &asked)?;
        self.level()
    }

    /// Asks all members the same, which change nothing by it: none may answer otherwise than the
    /// first one, its zxid included.
    fn ask_everywhere(
        &mut self,
        requests: &[Request<'_>],
    ) -> std::result::Result<Vec<Norm>, Difference> {
        let first = self.ask(0, requests)?;
        for member in 1..self.sides[0].members.len() {
            for ((mine, other), request) in
                self.ask(member, requests)?.iter().zip(&first).zip(requests)
            {
                if mine != other {
                    return Err(Difference {
                        signature: format!("members: {}", signature(mine, other)),
                        origin: None,
                        place: format!("after the case, {request:?}, in both ensembles"),
                        left: format!("member {}: {}", member + 1, mine.show()),
                        right: format!("member 1: {}", other.show()),
                    });
                }
            }
        }
        Ok(first)
    }

    /// Asks a member of each side as super user, in segments.
    fn ask(
        &mut self,
        member: usize,
        requests: &[Request<'_>],
    ) -> std::result::Result<Vec<Norm>, Difference> {
        let mut all = Vec::new();
        for chunk in requests.chunks(100) {
            let frames: Vec<Req> = chunk.iter().map(|request| Req::new(0, request)).collect();
            for side in &mut self.sides {
                side.control_send(member, &frames);
            }
            let [left, right] = self
                .sides
                .each_mut()
                .map(|side| side.control_read(member, &frames));
            for ((left, right), request) in left.iter().zip(&right).zip(&frames) {
                if left != right {
                    let shown = Item::Request {
                        slot: SLOTS,
                        glued: false,
                        req: request.clone(),
                    };
                    return Err(Difference {
                        signature: format!("final state: {}", signature(left, right)),
                        origin: None,
                        place: format!(
                            "after the case, {shown} as super user, member {}",
                            member + 1
                        ),
                        left: left.show(),
                        right: right.show(),
                    });
                }
            }
            all.extend(right);
        }
        Ok(all)
    }
}

fn no_slots() -> Vec<Option<Conn>> {
    (0..SLOTS).map(|_| None).collect()
}

/// The zxid in the answer to a ping.
fn zxid_of(answers: &[Norm]) -> i64 {
    match answers {
        [Norm::Reply { zxid, .. }] => *zxid,
        _ => NO_ZXID,
    }
}

fn ping() -> Req {
    Req::new(xid::PING, &Request::Ping(Empty {}))
}

impl Side {
    fn connect(ports: &[u16]) -> Result<Side> {
        let member = |port: &u16| {
            let (control, control_id) = super_session(*port, 0)?;
            Ok(Member {
                port: *port,
                control,
                control_id,
            })
        };
        Ok(Side {
            members: ports.iter().map(member).collect::<Result<_>>()?,
            mapping: Mapping::default(),
            slots: no_slots(),
            zxid: 0,
            closings: HashSet::new(),
        })
    }

    /// Where the connection in a slot goes.
    fn member_of(&self, slot: Slot) -> usize {
        slot % self.members.len()
    }

    /// Waits until all members have applied what any of them has: each tells its zxid in the answer
    /// to a ping.
    fn level(&mut self) -> std::result::Result<(), String> {
        if self.members.len() == 1 {
            return Ok(());
        }
        let frames = [ping()];
        let deadline = Instant::now() + LEVEL;
        loop {
            for member in 0..self.members.len() {
                self.control_send(member, &frames);
            }
            let zxids: Vec<i64> = (0..self.members.len())
                .map(|member| zxid_of(&self.control_read(member, &frames)))
                .collect();
            if zxids.iter().all(|zxid| *zxid == self.zxid) {
                return Ok(());
            }
            if zxids.contains(&NO_ZXID) || Instant::now() >= deadline {
                return Err(format!("zxids {zxids:x?}, of a reply {:x}", self.zxid));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn id(&self, who: Who) -> i64 {
        match who {
            Who::New(_) => 0,
            // The shrinker may have dropped the step that created the session.
            Who::Attach(session, _) => self.mapping.ids.get(&session).copied().unwrap_or(0x77),
            Who::Unknown { id, .. } => id,
        }
    }

    fn greet(&mut self, slot: Slot, origin: Option<usize>, hello: &Hello) {
        self.slots[slot] = None;
        if let Who::Attach(session, shown) = hello.who {
            // See `allowed`: with a wrong password a Java server closes the rightful connection, and
            // a session that moves leaves one behind that ends at its first write.
            let member = self.member_of(slot);
            for other in 0..SLOTS {
                let has = |conn: &Conn| conn.session == Some(session);
                if self.slots[other].as_ref().is_some_and(has)
                    && (shown != Password::Right || self.member_of(other) != member)
                {
                    self.slots[other] = None;
                }
            }
        }
        let wanted = self.id(hello.who);
        let Ok(mut link) = Link::connect(self.members[self.member_of(slot)].port) else {
            return;
        };
        link.send(&hello.frame(self.zxid, wanted, &password(wanted)));
        self.slots[slot] = Some(Conn {
            link,
            pending: VecDeque::new(),
            greeting: Some(Greeting {
                origin,
                who: hello.who,
                wanted,
            }),
            session: None,
            dead: false,
            got: Vec::new(),
        });
    }

    /// Sends requests, and a ping whose answer tells that all is answered.
    fn send(&mut self, slot: Slot, at: usize, items: &[Item], with_ping: bool) {
        let Some(conn) = &mut self.slots[slot] else {
            return;
        };
        if conn.dead {
            return;
        }
        let mut bytes = Vec::new();
        for (i, item) in items.iter().enumerate() {
            if let Item::Request { req, .. } = item {
                req.frame(&mut bytes);
                conn.pending.push_back((Some(at + i), req.op));
            }
        }
        if with_ping {
            ping().frame(&mut bytes);
            conn.pending.push_back((None, OpCode::Ping.code()));
        }
        conn.link.send(&bytes);
    }

    /// Reads until all pings are answered.
    fn collect(&mut self, slot: Slot) {
        let Some(conn) = &self.slots[slot] else {
            return;
        };
        let is_ping = |pending: &&(_, i32)| pending.1 == OpCode::Ping.code();
        let mut pings = conn.pending.iter().filter(is_ping).count();
        while pings > 0 {
            match self.next(slot) {
                Some(Norm::Reply { xid: xid::PING, .. }) => pings -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Reads the answer to a request behind which a server may end the connection, and the end if
    /// the answer says so. A ping behind the request would be answered or not as threads meet.
    fn collect_end(&mut self, slot: Slot) {
        let asked = self.slots[slot]
            .as_ref()
            .and_then(|conn| conn.pending.front().copied());
        loop {
            match self.next(slot) {
                Some(Norm::Reply { err: 0, .. })
                    if asked.is_some_and(|(_, op)| op != OpCode::CloseSession.code()) =>
                {
                    return;
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Takes what comes next on a connection; `None` at its end.
    fn next(&mut self, slot: Slot) -> Option<Norm> {
        let conn = self.slots[slot].as_mut().filter(|conn| !conn.dead)?;
        let frame = match conn.link.recv() {
            Got::Frame(frame) => frame,
            end => {
                conn.got.push(Seen {
                    origin: None,
                    norm: Norm::end(&end),
                });
                conn.dead = true;
                return None;
            }
        };
        if let Some(greeting) = conn.greeting.take() {
            let (norm, id) = self.mapping.handshake(&frame, greeting.wanted);
            if let Norm::Handshake { session, .. } = norm
                && session != Session::Refused
                && let Who::New(number) | Who::Attach(number, _) = greeting.who
            {
                self.mapping.learn(number, id);
                conn.session = Some(number);
            }
            conn.got.push(Seen {
                origin: greeting.origin,
                norm: norm.clone(),
            });
            return Some(norm);
        }
        let event = frame.starts_with(&xid::NOTIFICATION.to_be_bytes());
        let asked = if event {
            None
        } else {
            conn.pending.pop_front()
        };
        let norm = self.mapping.frame(&frame, asked.map(|(_, op)| op));
        if let Norm::Reply { zxid, .. } = norm {
            self.zxid = self.zxid.max(zxid);
            if asked.is_some_and(|(_, op)| op == OpCode::CloseSession.code()) {
                self.closings.insert(zxid);
            }
        }
        conn.got.push(Seen {
            origin: asked.and_then(|(origin, _)| origin),
            norm: norm.clone(),
        });
        Some(norm)
    }

    fn take(&mut self, slot: Slot) -> Vec<Seen> {
        let Some(conn) = &mut self.slots[slot] else {
            return Vec::new();
        };
        let mut got = std::mem::take(&mut conn.got);
        let closings = &self.closings;
        let zxid = |seen: &Seen| match seen.norm {
            Norm::Event { zxid, .. } if closings.contains(&zxid) => Some(zxid),
            _ => None,
        };
        for run in got.chunk_by_mut(|a, b| zxid(a).is_some() && zxid(a) == zxid(b)) {
            run.sort_by(|a, b| a.norm.event_key().cmp(&b.norm.event_key()));
        }
        got
    }

    /// Attaches to the session with the shortest timeout, goes silent, and waits until the server
    /// has closed the session: its zxid moves by one.
    fn expire(&mut self, at: usize, session: SessionNo, open: bool) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut note = |norm| {
            seen.push(Seen {
                origin: Some(at),
                norm,
            })
        };
        for conn in &mut self.slots {
            if conn
                .as_ref()
                .is_some_and(|conn| conn.session == Some(session))
            {
                *conn = None;
            }
        }
        let member = session % self.members.len();
        let before = self.control_zxid(member);
        let hello = Hello::plain(Who::Attach(session, Password::Right), 1);
        let wanted = self.id(hello.who);
        let Ok(mut link) = Link::connect(self.members[member].port) else {
            return seen;
        };
        link.send(&hello.frame(0, wanted, &password(wanted)));
        match link.recv() {
            Got::Frame(frame) => note(self.mapping.handshake(&frame, wanted).0),
            end => note(Norm::end(&end)),
        }
        if !matches!(
            seen[0].norm,
            Norm::Handshake {
                session: Session::Attached,
                ..
            }
        ) {
            return seen;
        }
        let end = open.then(|| Norm::end(&link.recv()));
        drop(link);
        let expired = self.closed_behind(member, before);
        seen.extend(end.into_iter().chain([expired]).map(|norm| Seen {
            origin: Some(at),
            norm,
        }));
        seen
    }

    /// Waits until the session of the connection has expired: the zxid moves by one.
    fn outlive(&mut self, at: usize, slot: Slot, open: bool) -> Vec<Seen> {
        // The shrinker may have dropped the step that opened the connection.
        if self.slots[slot].is_none() {
            return Vec::new();
        }
        let member = self.member_of(slot);
        let before = self.zxid;
        if open {
            while self.next(slot).is_some() {}
        } else {
            self.slots[slot] = None;
        }
        vec![Seen {
            origin: Some(at),
            norm: self.closed_behind(member, before),
        }]
    }

    /// The zxid behind this one, as soon as the member has it: that of the end of a session.
    fn closed_behind(&mut self, member: usize, before: i64) -> Norm {
        let deadline = Instant::now() + LEVEL;
        let mut after = before;
        while after == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
            after = self.control_zxid(member);
        }
        self.closings.insert(after);
        Norm::Reply {
            xid: xid::PING,
            zxid: after,
            err: 0,
            body: Body::None,
        }
    }

    fn control_zxid(&mut self, member: usize) -> i64 {
        let frames = [ping()];
        self.control_send(member, &frames);
        zxid_of(&self.control_read(member, &frames))
    }

    fn control_send(&mut self, member: usize, frames: &[Req]) {
        let mut bytes = Vec::new();
        for req in frames {
            req.frame(&mut bytes);
        }
        self.members[member].control.send(&bytes);
    }

    fn control_read(&mut self, member: usize, frames: &[Req]) -> Vec<Norm> {
        let mut norms = Vec::new();
        for req in frames {
            match self.members[member].control.recv() {
                Got::Frame(frame) => {
                    let norm = self.mapping.frame(&frame, Some(req.op));
                    if let Norm::Reply { zxid, .. } = norm {
                        self.zxid = self.zxid.max(zxid);
                    }
                    norms.push(norm);
                }
                end => {
                    norms.push(Norm::end(&end));
                    return norms;
                }
            }
        }
        norms
    }
}

/// A connection of the super user, in a new session or in the one that it had.
fn super_session(port: u16, id: i64) -> Result<(Link, i64)> {
    let mut link = Link::connect(port)?;
    let who = if id == 0 {
        Who::New(0)
    } else {
        Who::Unknown { id, right: true }
    };
    link.send(&Hello::plain(who, LONG_MS).frame(0, id, &password(id)));
    let Got::Frame(frame) = link.recv() else {
        bail!("no handshake on port {port}")
    };
    let id = ConnectResponse::read(&mut Reader::new(&frame))?.session_id;
    ensure!(id != 0, "no session for the super user on port {port}");
    let auth = AuthPacket {
        kind: 0,
        scheme: Some("digest".into()),
        auth: Some(crate::allowed::SUPER.as_bytes().into()),
    };
    let mut bytes = Vec::new();
    Req::new(xid::AUTH, &Request::Auth(auth)).frame(&mut bytes);
    link.send(&bytes);
    let Got::Frame(frame) = link.recv() else {
        bail!("no answer to auth on port {port}")
    };
    ensure!(
        ReplyHeader::from_bytes(&frame)?.err == 0,
        "no super user on port {port}"
    );
    Ok((link, id))
}
