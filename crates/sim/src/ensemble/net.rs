//! The network: connections as byte streams that are cut anywhere, held up, broken, left half open,
//! and whose bytes arrive after their sender has died.

use std::collections::{BTreeMap, VecDeque};

use zooid_zab::{ConnId, Input, Port};

use super::check::packets::Talk;
use super::world::{Event, World};
use crate::dice::{Dice, hash};

/// A connection, by number.
pub(super) type LinkId = u64;

/// What travels.
#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    /// The other side has closed, or is gone.
    End,
}

/// What travels to one side of a connection.
#[derive(Debug, Default)]
struct Pipe {
    pieces: VecDeque<(u64, Piece)>,
    last_us: u64,
    sent: u64,
    /// An [`Event::Link`] is under way for the first piece.
    awaited: bool,
}

/// A connection: side 0 dialed, side 1 accepted.
#[derive(Debug)]
pub(super) struct Link {
    servers: [usize; 2],
    /// Each side's number for it; `None` once that side is gone.
    ends: [Option<ConnId>; 2],
    pub(super) port: Port,
    key: u64,
    pipes: [Pipe; 2],
    accepted: bool,
    /// What the two have said to each other on the quorum port.
    pub(super) talk: Talk,
}

/// All connections, and what stands between servers.
#[derive(Debug)]
pub(super) struct Net {
    links: BTreeMap<LinkId, Link>,
    next: LinkId,
    /// How often each server has dialed each other one.
    dialed: BTreeMap<(usize, usize), u64>,
    /// `blocked[from][to]`: how many faults stop what is sent that way.
    blocked: Vec<Vec<u32>>,
    /// `slow[from][to]`: how many faults hold it up.
    slow: Vec<Vec<u32>>,
}

const WAY: u64 = 0x3A4;

impl Net {
    pub(super) fn new(servers: usize) -> Net {
        Net {
            links: BTreeMap::new(),
            next: 1,
            dialed: BTreeMap::new(),
            blocked: vec![vec![0; servers]; servers],
            slow: vec![vec![0; servers]; servers],
        }
    }

    fn open(&self, from: usize, to: usize) -> bool {
        self.blocked[from][to] == 0
    }

    pub(super) fn link(&mut self, link: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    /// Who is at the other side.
    pub(super) fn other(&self, link: LinkId, side: usize) -> Option<usize> {
        Some(self.links.get(&link)?.servers[1 - side])
    }

    /// The connections between two servers, or of one with anybody.
    pub(super) fn between(&self, one: usize, other: Option<usize>) -> Vec<LinkId> {
        let between = |link: &Link| {
            link.servers.contains(&one) && other.is_none_or(|other| link.servers.contains(&other))
        };
        let links = self.links.iter().filter(|(_, link)| between(link));
        links.map(|(id, _)| *id).collect()
    }
}

impl World {
    /// Opens a connection.
    pub(super) fn dial(
        &mut self,
        from: usize,
        conn: ConnId,
        port: Port,
        addresses: &[String],
        timeout_us: u64,
    ) {
        let host = addresses
            .first()
            .and_then(|address| address.split(':').next());
        let number = host.and_then(|host| host.strip_prefix('s')?.parse::<usize>().ok());
        let Some(to) = number.filter(|n| (1..=self.servers.len()).contains(n)) else {
            self.fail(format!("server {} dials {addresses:?}", from + 1));
            return;
        };
        let to = to - 1;
        let count = self.net.dialed.entry((from, to)).or_default();
        *count += 1;
        let key = hash(hash(self.plan.seed, WAY, *count), from as u64, to as u64);
        let id = self.net.next;
        self.net.next += 1;
        let link = Link {
            servers: [from, to],
            ends: [Some(conn), None],
            port,
            key,
            pipes: Default::default(),
            accepted: false,
            talk: Talk::default(),
        };
        self.net.links.insert(id, link);
        self.conns(from).insert(conn, (id, 0));
        let way = self.way_us(from, to, hash(key, 7, 7));
        self.after(way, Event::DialArrives(id));
        self.after(timeout_us.max(1), Event::DialEnds(id));
    }

    /// A connection reaches its destination.
    pub(super) fn dial_arrives(&mut self, id: LinkId) {
        let Some(link) = self.net.links.get(&id) else {
            return;
        };
        let ([from, to], key) = (link.servers, link.key);
        let open = self.net.open(from, to) && self.net.open(to, from);
        if !open || !self.servers[to].powered {
            // Nobody answers: the time-out ends it.
            self.mark("a dial without an answer");
            return;
        }
        if link.port == Port::ObserverMaster {
            self.mark("an observer goes to a follower");
        }
        let way = self.way_us(to, from, hash(key, 8, 8));
        let Some(process) = self.servers[to].process.as_mut() else {
            self.mark("a refused dial");
            self.after(way, Event::DialEnds(id));
            return;
        };
        process.accepted += 1;
        let conn = ConnId::accepted(process.accepted);
        process.conns.insert(conn, (id, 1));
        let link = self.net.links.get_mut(&id).expect("it was there");
        link.ends[1] = Some(conn);
        link.accepted = true;
        self.after(way, Event::Dialed(id));
        // The system has accepted it; a process that stands still hears of it later.
        self.after(0, Event::Accepted(id));
    }

    /// The accepting side learns of a connection.
    pub(super) fn accepted(&mut self, id: LinkId) {
        let Some(link) = self.net.links.get(&id) else {
            return;
        };
        let port = link.port;
        if let Some(conn) = link.ends[1] {
            self.input(link.servers[1], Input::Accepted { conn, port });
        }
    }

    /// The dialing side learns that it is connected.
    pub(super) fn dialed(&mut self, id: LinkId) {
        let Some(link) = self.net.links.get(&id) else {
            return;
        };
        if let Some(conn) = link.ends[0] {
            self.input(link.servers[0], Input::Dialed { conn });
        }
    }

    /// Who was to answer has not.
    pub(super) fn dial_ends(&mut self, id: LinkId) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        if link.accepted {
            return;
        }
        let (from, conn) = (link.servers[0], link.ends[0].take());
        self.net.links.remove(&id);
        if let Some(conn) = conn {
            self.conns(from).remove(&conn);
            self.input(from, Input::Closed { conn });
        }
    }

    /// Puts bytes on the way.
    pub(super) fn send(&mut self, id: LinkId, side: usize, bytes: Vec<u8>) {
        let (cuts, stalls) = (self.plan.cuts, self.plan.stalls);
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let (from, to) = (link.servers[side], link.servers[1 - side]);
        let pipe = &mut link.pipes[1 - side];
        pipe.sent += 1;
        let key = hash(link.key, 1 - side as u64, pipe.sent);
        let dice = &mut Dice::new(key, 1);
        let mut rest = bytes;
        let mut pieces = Vec::new();
        if dice.once_in(cuts) {
            for _ in 0..1 + dice.below(3) {
                if rest.len() > 1 {
                    let at = 1 + dice.below(rest.len() as u64 - 1) as usize;
                    let tail = rest.split_off(at);
                    pieces.push(std::mem::replace(&mut rest, tail));
                }
            }
        }
        pieces.push(rest);
        for piece in pieces {
            let mut way = self.way_us(from, to, dice.any());
            if dice.once_in(stalls) && !self.calm {
                way += dice.below(self.plan.tick_ms * 1500);
            }
            self.put(id, 1 - side, way, Piece::Bytes(piece));
        }
    }

    /// One side closes; what it sent still arrives.
    pub(super) fn close(&mut self, id: LinkId, side: usize) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        link.ends[side] = None;
        if !link.accepted && side == 0 {
            self.net.links.remove(&id);
            return;
        }
        if link.ends[1 - side].is_none() {
            self.net.links.remove(&id);
            return;
        }
        let (from, to, key) = (link.servers[side], link.servers[1 - side], link.key);
        let way = self.way_us(from, to, hash(key, 9, side as u64));
        self.put(id, 1 - side, way, Piece::End);
    }

    /// One side is gone without a word; whatever is sent to it gets lost.
    pub(super) fn vanish(&mut self, id: LinkId, side: usize) {
        if let Some(link) = self.net.links.get_mut(&id) {
            link.ends[side] = None;
            if link.ends[1 - side].is_none() {
                self.net.links.remove(&id);
            }
        }
    }

    /// A connection breaks for both; `lost` says whether what is under way gets lost.
    pub(super) fn break_link(&mut self, id: LinkId, lost: bool) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        if !link.accepted {
            return;
        }
        for side in 0..2 {
            if lost {
                link.pipes[side].pieces.clear();
            }
        }
        for side in 0..2 {
            self.put(id, side, 1, Piece::End);
        }
    }

    fn put(&mut self, id: LinkId, to: usize, way_us: u64, piece: Piece) {
        let now = self.now_us;
        let link = self.net.links.get_mut(&id).expect("a link that is there");
        let pipe = &mut link.pipes[to];
        let at = (now + way_us).max(pipe.last_us);
        pipe.last_us = at;
        pipe.pieces.push_back((at, piece));
        if !pipe.awaited {
            pipe.awaited = true;
            self.at(at, Event::Link(id, to));
        }
    }

    /// Something arrives at one side.
    pub(super) fn link_due(&mut self, id: LinkId, side: usize) {
        let now = self.now_us;
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let (from, to) = (link.servers[1 - side], link.servers[side]);
        link.pipes[side].awaited = false;
        if self.net.blocked[from][to] > 0 {
            return;
        }
        let Some(conn) = link.ends[side] else {
            // Nobody is there. A machine that runs says so; one without power does not.
            let other = link.ends[1 - side];
            let had_bytes = !link.pipes[side].pieces.is_empty();
            link.pipes[side].pieces.clear();
            if other.is_none() {
                self.net.links.remove(&id);
            } else if had_bytes && self.servers[to].powered {
                let way = self.way_us(to, from, hash(now, id, side as u64));
                self.mark("bytes for a server that died");
                self.put(id, 1 - side, way, Piece::End);
            }
            return;
        };
        let pipe = &mut link.pipes[side];
        let mut bytes = Vec::new();
        let mut ended = false;
        while pipe.pieces.front().is_some_and(|(at, _)| *at <= now) {
            match pipe.pieces.pop_front() {
                Some((_, Piece::Bytes(more))) if bytes.is_empty() => bytes = more,
                Some((_, Piece::Bytes(more))) => bytes.extend(more),
                _ => {
                    ended = true;
                    pipe.pieces.clear();
                }
            }
        }
        if let Some((at, _)) = pipe.pieces.front() {
            pipe.awaited = true;
            let at = *at;
            self.at(at, Event::Link(id, side));
        }
        if !bytes.is_empty() {
            let bytes = &bytes[..];
            self.input(to, Input::Received { conn, bytes });
        }
        if ended && let Some(link) = self.net.links.get_mut(&id) {
            let still = link.ends[side] == Some(conn);
            link.ends[side] = None;
            if link.ends[1 - side].is_none() {
                self.net.links.remove(&id);
            } else {
                // Closed by one, closed for both.
                let way = self.way_us(to, from, hash(now, id, 3));
                self.put(id, 1 - side, way, Piece::End);
            }
            if still && let Some(process) = self.servers[to].process.as_mut() {
                process.conns.remove(&conn);
                self.input(to, Input::Closed { conn });
            }
        }
    }

    /// Stops, or lets through again, what goes from one server to another.
    pub(super) fn block(&mut self, from: usize, to: usize, stop: bool) {
        let count = &mut self.net.blocked[from][to];
        *count = if stop {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        if *count > 0 {
            return;
        }
        let now = self.now_us;
        let mut due = Vec::new();
        for (&id, link) in &mut self.net.links {
            for side in 0..2 {
                let this_way = link.servers[1 - side] == from && link.servers[side] == to;
                let pipe = &mut link.pipes[side];
                if let Some((at, _)) = pipe.pieces.front()
                    && this_way
                    && !pipe.awaited
                {
                    pipe.awaited = true;
                    // Lost packets are sent again after a while.
                    due.push(((now + hash(link.key, 5, now) % 200_000).max(*at), id, side));
                }
            }
        }
        for (at, id, side) in due {
            self.at(at, Event::Link(id, side));
        }
    }

    /// Holds up, or lets go again, what passes between two servers.
    pub(super) fn slow(&mut self, one: usize, other: usize, slow: bool) {
        for (from, to) in [(one, other), (other, one)] {
            let count = &mut self.net.slow[from][to];
            *count = if slow {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        }
    }

    fn way_us(&self, from: usize, to: usize, choice: u64) -> u64 {
        let (shortest, longest) = self.plan.latency_us;
        let way = shortest + choice % (longest - shortest + 1);
        match self.net.slow[from][to] {
            0 => way,
            _ => way + (choice >> 20) % (self.plan.tick_ms * 2_000),
        }
    }

    fn conns(&mut self, server: usize) -> &mut BTreeMap<ConnId, (LinkId, usize)> {
        let process = self.servers[server].process.as_mut();
        &mut process
            .expect("only a running server has connections")
            .conns
    }
}
