//! Time, and all that is in it: one queue of events, one of which happens after the other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::check::epochs::Epochs;
use super::check::order::Order;
use super::check::reconfig::Configurations;
use super::check::sessions::Sessions;
use super::clients::Client;
use super::history::Histories;
use super::lead::Item;
use super::net::{LinkId, Net};
use super::plan::{KINDS, Kind, Plan, Whom};
use super::scenarios::Guard;
use super::server::{Server, serving};
use crate::dice::hash;
use zooid_proto::members::Membership;
use zooid_zab::{Input, Port, Role};

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A connection reaches its destination.
    DialArrives(LinkId),
    /// Who dialed learns that it has.
    Dialed(LinkId),
    /// Who was dialed learns of it.
    Accepted(LinkId),
    /// Who dialed gives up.
    DialEnds(LinkId),
    /// Something arrives at one side.
    Link(LinkId, usize),
    /// A peer wanted to be woken now.
    Wake(usize, u64),
    /// Disk operations of a life are durable.
    Disk(usize, u64),
    /// A leader does what it has to do.
    Lead(usize, u64),
    /// A leader looks for old sessions.
    Expire(usize, u64),
    /// A server starts again, if it has not since.
    Start(usize, u64),
    /// A fault of the plan begins.
    Fault(usize),
    /// A fault that lasts is over.
    FaultEnds(usize),
    /// A client does something.
    Client(usize),
    /// All faults are over.
    Calm,
    /// A server writes a snapshot.
    Snapshot(usize, u64),
    /// Clients ask for nothing more.
    Quiet,
    /// The end.
    End,
}

/// What a run has done.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Simulated time of ensembles, µs.
    pub time_us: u64,
    /// That of them with members of Java.
    pub mixed_us: u64,
    /// Faults by kind.
    pub faults: [u64; KINDS],
    /// Effects of peers.
    pub effects: u64,
    /// Messages on the election ports.
    pub votes: u64,
    /// Messages on the quorum ports.
    pub packets: u64,
    /// Changes of roles.
    pub roles: u64,
    /// Transactions that leaders made.
    pub proposed: u64,
    /// Transactions that were delivered.
    pub delivered: u64,
    /// Writes of clients.
    pub writes: u64,
    /// Writes that were answered.
    pub answered: u64,
    /// Writes that were refused.
    pub refused: u64,
    /// Requests whose outcome the client never learnt.
    pub unknown: u64,
    /// Reads.
    pub reads: u64,
    /// Syncs that ended.
    pub syncs: u64,
    /// Those of them that had to see everything.
    pub strict_syncs: u64,
    /// The longest time from calm to all being well, µs.
    pub recovery_us: u64,
    /// What was seen, and how often.
    pub marks: BTreeMap<&'static str, u64>,
}

/// An ensemble, its network, its clients.
#[derive(Debug)]
pub struct World {
    pub(super) plan: Plan,
    pub(super) now_us: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    next: u64,
    counter: u64,
    pub(super) servers: Vec<Server>,
    pub(super) net: Net,
    pub(super) clients: Vec<Client>,
    pub(super) histories: Histories,
    pub(super) order: Order,
    pub(super) epochs: Epochs,
    pub(super) sessions: Sessions,
    pub(super) configurations: Configurations,
    /// The newest write that any client had an answer to.
    pub(super) answered: i64,
    leadership_changes: u64,
    struck: Vec<Vec<usize>>,
    pub(super) calm: bool,
    /// Clients ask for nothing more.
    pub(super) quiet: bool,
    well_us: Option<u64>,
    answered_at_calm: Vec<u64>,
    pub(super) tally: Tally,
    /// Why the run is over.
    pub(super) failure: Option<String>,
    /// A sum over all that happened.
    pub(super) trace: u64,
    /// What happened, if it is to be told.
    pub(super) story: Option<Vec<String>>,
}

/// More events than any run has: something goes round in circles.
const TOO_MANY: u64 = 15_000_000;

impl World {
    /// An ensemble that has not started.
    pub fn new(plan: Plan, story: bool) -> World {
        let members = plan.members();
        let servers = plan.servers();
        let breaks = match plan.without {
            Some(Guard::Driver(promise)) => Some(promise),
            _ => None,
        };
        let timeout = |c: u64| {
            let long = plan.think_us / 1000 * 4;
            (plan.tick_ms * 10 + if c.is_multiple_of(2) { long } else { 0 }) as i32
        };
        let mut world = World {
            now_us: 0,
            queue: BinaryHeap::new(),
            next: 0,
            counter: 0,
            servers: (0..servers)
                .map(|_| Server::new(&members, breaks))
                .collect(),
            net: Net::new(servers),
            clients: (0..plan.clients as u64)
                .map(|c| Client::new(timeout(c)))
                .collect(),
            histories: Histories::default(),
            order: Order::default(),
            epochs: Epochs::default(),
            sessions: Sessions::new(plan.masters),
            configurations: Configurations::default(),
            answered: 0,
            leadership_changes: 0,
            struck: vec![Vec::new(); plan.faults.len()],
            calm: false,
            quiet: false,
            well_us: None,
            answered_at_calm: Vec::new(),
            tally: Tally::default(),
            failure: None,
            trace: plan.seed,
            story: story.then(Vec::new),
            plan,
        };
        for s in 0..servers {
            let late = hash(world.plan.seed, 0xB007, s as u64) % 1_000_000;
            world.at(late, Event::Start(s, 0));
        }
        for c in 0..world.plan.clients {
            world.at(1000 * c as u64, Event::Client(c));
        }
        for n in 0..world.plan.faults.len() {
            world.at(world.plan.faults[n].at_us, Event::Fault(n));
        }
        let calm = world.plan.storm_us;
        world.at(calm, Event::Calm);
        let end = calm + world.plan.calm_us;
        world.at(end - world.plan.tick_ms * 4000 - 5_000_000, Event::Quiet);
        world.at(end, Event::End);
        world
    }

    /// Lets the next thing happen. False when the run is over.
    pub fn step(&mut self) -> bool {
        let Some(Reverse((at, n, event))) = self.queue.pop() else {
            return false;
        };
        self.now_us = at;
        self.trace = hash(self.trace, at, self.event_sum(event));
        if n > TOO_MANY {
            self.fail("L1: events without end".into());
        }
        self.happen(event);
        let now = self.now_us;
        if self.calm && self.well_us.is_none() && self.is_well() {
            self.well_us = Some(now);
        }
        event != Event::End && self.failure.is_none()
    }

    fn happen(&mut self, event: Event) {
        if let Some(s) = self.concerns(event)
            && self.servers[s].paused > 0
        {
            self.servers[s].backlog.push(event);
            return;
        }
        let lives = |world: &World, s: usize, life| {
            world.servers[s].life == life && world.servers[s].process.is_some()
        };
        let now = self.now_us;
        match event {
            Event::DialArrives(link) => self.dial_arrives(link),
            Event::Dialed(link) => self.dialed(link),
            Event::Accepted(link) => self.accepted(link),
            Event::DialEnds(link) => self.dial_ends(link),
            Event::Link(link, side) => self.link_due(link, side),
            Event::Wake(s, at) => self.wake(s, at),
            Event::Disk(s, life) if lives(self, s, life) => self.disk_done(s),
            Event::Lead(s, life) if lives(self, s, life) => self.lead_due(s),
            Event::Expire(s, life) if lives(self, s, life) => self.expire(s),
            Event::Snapshot(s, life) if lives(self, s, life) => {
                let choice = hash(self.plan.seed, now, s as u64);
                self.snapshot(s, choice);
            }
            Event::Disk(..) | Event::Lead(..) | Event::Expire(..) | Event::Snapshot(..) => {}
            Event::Start(s, life) => {
                if self.servers[s].life == life {
                    self.start(s);
                }
            }
            Event::Fault(n) => self.strike(n),
            Event::FaultEnds(n) => self.relent(n),
            Event::Client(c) => self.client(c),
            Event::Calm => self.calm(),
            Event::Quiet => self.quiet = true,
            Event::End => self.end(),
        }
    }

    /// The server whose process must run for this.
    fn concerns(&self, event: Event) -> Option<usize> {
        match event {
            Event::Dialed(link) => self.net.other(link, 1),
            Event::DialEnds(link) => self.net.other(link, 1),
            Event::Accepted(link) => self.net.other(link, 0),
            Event::Link(link, side) => self.net.other(link, 1 - side),
            Event::Wake(s, _)
            | Event::Disk(s, _)
            | Event::Lead(s, _)
            | Event::Expire(s, _)
            | Event::Snapshot(s, _) => Some(s),
            _ => None,
        }
    }

    fn event_sum(&self, event: Event) -> u64 {
        let (kind, a, b) = match event {
            Event::DialArrives(link) => (1, link, 0),
            Event::Dialed(link) => (2, link, 0),
            Event::DialEnds(link) => (3, link, 0),
            Event::Link(link, side) => (4, link, side as u64),
            Event::Wake(s, at) => (5, s as u64, at),
            Event::Disk(s, life) => (6, s as u64, life),
            Event::Lead(s, life) => (7, s as u64, life),
            Event::Expire(s, life) => (8, s as u64, life),
            Event::Start(s, life) => (9, s as u64, life),
            Event::Fault(n) => (10, n as u64, 0),
            Event::FaultEnds(n) => (11, n as u64, 0),
            Event::Client(c) => (12, c as u64, 0),
            Event::Calm => (13, 0, 0),
            Event::Quiet => (14, 0, 0),
            Event::End => (15, 0, 0),
            Event::Accepted(link) => (16, link, 0),
            Event::Snapshot(s, life) => (17, s as u64, life),
        };
        hash(kind, a, b) ^ self.tally.effects
    }

    /// Something will happen at a time.
    pub(super) fn at(&mut self, at_us: u64, event: Event) {
        self.next += 1;
        let at_us = at_us.max(self.now_us);
        self.queue.push(Reverse((at_us, self.next, event)));
    }

    /// Something will happen in a while.
    pub(super) fn after(&mut self, wait_us: u64, event: Event) {
        self.at(self.now_us + wait_us, event);
    }

    /// A number that was not given before.
    pub(super) fn counter(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The clock of a server, ms.
    pub(super) fn clock_ms(&self, s: usize) -> u64 {
        let faster = self.plan.clocks[s];
        let now = self.now_us as i128;
        let clock = now + now * i128::from(faster) / 1_000_000;
        1000 * s as u64 + (clock / 1000) as u64
    }

    /// When the clock of a server will show `ms`.
    pub(super) fn at_clock(&self, s: usize, ms: u64) -> u64 {
        let clock_us = i128::from(ms.saturating_sub(1000 * s as u64)) * 1000;
        let rate = 1_000_000 + i128::from(self.plan.clocks[s]);
        (clock_us * 1_000_000 / rate) as u64 + 2
    }

    /// Something that a long series of runs must have seen.
    pub(super) fn mark(&mut self, what: &'static str) {
        *self.tally.marks.entry(what).or_default() += 1;
    }

    /// Tells what happens, if somebody listens.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            let at = self.now_us;
            story.push(format!(
                "{:>5}.{:06} {}",
                at / 1_000_000,
                at % 1_000_000,
                what()
            ));
        }
    }

    /// Something is not as it must be.
    pub(super) fn fail(&mut self, why: String) {
        self.note(|| format!("FAIL {why}"));
        self.failure.get_or_insert(why);
    }

    /// How often leadership has changed, and whether one server leads alone.
    pub(super) fn leadership(&self) -> (u64, bool) {
        let leaders = self.servers.iter().filter(|server| server.leads()).count();
        (self.leadership_changes, leaders == 1)
    }

    pub(super) fn leadership_changes(&mut self, old: Role, new: Role) {
        let leads = |role| matches!(role, Role::Leading { .. }) && serving(role);
        if leads(old) != leads(new) {
            self.leadership_changes += 1;
        }
    }

    fn strike(&mut self, n: usize) {
        let fault = self.plan.faults[n];
        let (number, name) = fault.kind.name();
        let servers = self.servers.len();
        let s = match fault.kind {
            Kind::Kill(whom)
            | Kind::Power(whom)
            | Kind::KillAtEffect(whom, _)
            | Kind::PowerAtEffect(whom, _)
            | Kind::Stop(whom)
            | Kind::Pause(whom)
            | Kind::Isolate(whom)
            | Kind::Mute(whom)
            | Kind::Deaf(whom)
            | Kind::Reset(whom)
            | Kind::SlowDisk(whom)
            | Kind::DiskError(whom)
            | Kind::Snapshot(whom)
            | Kind::Stranger(whom) => self.who(whom),
            _ => 0,
        };
        self.note(|| format!("fault {n}: {name} {:?} -> {}", fault.kind, s + 1));
        self.tally.faults[number] += 1;
        let others = |s| (0..servers).filter(move |other| *other != s);
        let mut struck = vec![s];
        match fault.kind {
            Kind::Kill(_) | Kind::Power(_) => {
                let life = self.servers[s].life;
                self.crash(s, matches!(fault.kind, Kind::Power(_)));
                self.after(fault.lasts_us, Event::Start(s, life));
            }
            Kind::PowerAll => {
                for s in 0..servers {
                    let life = self.servers[s].life;
                    self.crash(s, true);
                    let later = hash(self.plan.seed, n as u64, s as u64) % 2_000_000;
                    self.after(fault.lasts_us + later, Event::Start(s, life));
                }
            }
            Kind::KillAtEffect(_, steps) => {
                self.servers[s].crash_in = Some((steps, false, fault.lasts_us));
            }
            Kind::PowerAtEffect(_, steps) => {
                self.servers[s].crash_in = Some((steps, true, fault.lasts_us));
            }
            Kind::Stop(_) => self.stop(s),
            Kind::Pause(_) => self.servers[s].paused += 1,
            Kind::Isolate(_) => others(s).for_each(|other| {
                self.block(s, other, true);
                self.block(other, s, true);
            }),
            Kind::Mute(_) => others(s).for_each(|other| self.block(s, other, true)),
            Kind::Deaf(_) => others(s).for_each(|other| self.block(other, s, true)),
            Kind::Split(group) => self.split(group, true),
            Kind::OneWay(from, to) => self.block(from, to, true),
            Kind::Reset(_) => {
                for link in self.net.between(s, None) {
                    self.break_link(link, fault.lasts_us.is_multiple_of(2));
                }
            }
            Kind::Cut(one, other) => {
                let links = self.net.between(one, Some(other));
                let choice = fault.lasts_us as usize;
                if let Some(link) = links.get(choice % links.len().max(1)) {
                    self.break_link(*link, choice.is_multiple_of(3));
                }
            }
            Kind::SlowLink(one, other) => self.slow(one, other, true),
            Kind::SlowDisk(_) => self.servers[s].slow_disk += 1,
            Kind::DiskError(_) => self.servers[s].disk_error = Some(fault.lasts_us),
            Kind::Snapshot(_) => self.snapshot(s, fault.lasts_us),
            Kind::Stranger(_) => self.stranger(s, fault.lasts_us),
            Kind::Reconfig(choice) => {
                if let Some(leader) = self.servers.iter().position(Server::leads) {
                    self.lead_item(leader, Item::Reconfig(choice));
                }
            }
        }
        if matches!(fault.kind, Kind::OneWay(..) | Kind::SlowLink(..)) {
            struck.clear();
        }
        self.struck[n] = struck;
        self.after(fault.lasts_us, Event::FaultEnds(n));
    }

    fn relent(&mut self, n: usize) {
        let Some(s) = self.struck[n].first().copied().or(Some(0)) else {
            return;
        };
        let fault = self.plan.faults[n];
        let servers = self.servers.len();
        let others = |s| (0..servers).filter(move |other| *other != s);
        match fault.kind {
            Kind::Pause(_) => {
                self.servers[s].paused = self.servers[s].paused.saturating_sub(1);
                if self.servers[s].paused == 0 {
                    self.note(|| format!("resume {}", s + 1));
                    for event in std::mem::take(&mut self.servers[s].backlog) {
                        self.at(self.now_us, event);
                    }
                }
            }
            Kind::Isolate(_) => others(s).for_each(|other| {
                self.block(s, other, false);
                self.block(other, s, false);
            }),
            Kind::Mute(_) => others(s).for_each(|other| self.block(s, other, false)),
            Kind::Deaf(_) => others(s).for_each(|other| self.block(other, s, false)),
            Kind::Split(group) => self.split(group, false),
            Kind::OneWay(from, to) => self.block(from, to, false),
            Kind::SlowLink(one, other) => self.slow(one, other, false),
            Kind::SlowDisk(_) => {
                self.servers[s].slow_disk = self.servers[s].slow_disk.saturating_sub(1);
            }
            Kind::DiskError(_) => self.servers[s].disk_error = None,
            Kind::KillAtEffect(..) | Kind::PowerAtEffect(..) => self.servers[s].crash_in = None,
            _ => {}
        }
    }

    fn split(&mut self, group: u64, stop: bool) {
        let side = |s: usize| group >> s & 1;
        for from in 0..self.servers.len() {
            for to in 0..self.servers.len() {
                if side(from) != side(to) {
                    self.block(from, to, stop);
                }
            }
        }
    }

    fn who(&self, whom: Whom) -> usize {
        let leader = self.servers.iter().position(Server::leads);
        match whom {
            Whom::Server(s) => s,
            Whom::Leader => leader.unwrap_or(0),
            Whom::Other(n) if Some(n) == leader => (n + 1) % self.servers.len(),
            Whom::Other(n) => n,
        }
    }

    /// A serving server keeps its state and perhaps forgets old logs.
    pub(super) fn snapshot(&mut self, s: usize, choice: u64) {
        let server = &mut self.servers[s];
        if !server.serves() || server.paused > 0 || !server.disk.pending.is_empty() {
            return;
        }
        let machine = server.process.as_ref().expect("it serves").machine.clone();
        if machine.zxid > server.disk.image.last_zxid() {
            return;
        }
        server.disk.image.snapshot(&machine);
        self.mark("a snapshot");
        if self.plan.purging >> s & 1 == 1 {
            let keep = 1 + choice as usize / 2 % 2;
            let zxid = self.servers[s].disk.image.purge(keep);
            self.mark("a purged log");
            self.input(s, Input::LogStartsAt { zxid });
        }
    }

    /// Somebody who is no peer says something.
    fn stranger(&mut self, s: usize, choice: u64) {
        if self.servers[s].paused > 0 {
            return;
        }
        let Some(process) = self.servers[s].process.as_mut() else {
            return;
        };
        process.accepted += 1;
        let conn = zooid_zab::ConnId::accepted(process.accepted);
        let port = if choice.is_multiple_of(2) {
            Port::Election
        } else {
            Port::Quorum
        };
        self.input(s, Input::Accepted { conn, port });
        let length = choice % 100;
        let byte = |n| match choice % 3 {
            0 => 0xff,
            1 => hash(choice, 1, n) as u8,
            _ => b'G',
        };
        let bytes: Vec<u8> = (0..length).map(byte).collect();
        let bytes = &bytes[..];
        if !bytes.is_empty() && !choice.is_multiple_of(5) {
            self.input(s, Input::Received { conn, bytes });
        }
        if choice % 7 > 2 {
            self.input(s, Input::Closed { conn });
        }
    }

    fn calm(&mut self) {
        self.note(|| "calm".into());
        for n in 0..self.plan.faults.len() {
            if self.plan.faults[n].at_us + self.plan.faults[n].lasts_us > self.now_us {
                self.relent(n);
                self.plan.faults[n].lasts_us = 0;
            }
        }
        for s in 0..self.servers.len() {
            self.servers[s].crash_in = None;
            self.servers[s].disk_error = None;
            self.start(s);
        }
        self.calm = true;
        self.answered_at_calm = self.clients.iter().map(|client| client.answered).collect();
    }

    /// F1 and the first half of L1: one leads, all follow it.
    fn is_well(&self) -> bool {
        let leader = self.servers.iter().position(Server::leads);
        let Some(leader) = leader else {
            return false;
        };
        self.servers
            .iter()
            .enumerate()
            .filter(|(s, _)| self.is_member(*s) && !self.stays_out(*s))
            .all(|(s, server)| {
                let role = server.process.as_ref().map(|process| process.role);
                match role {
                    Some(Role::Leading { serving, .. }) => serving && s == leader,
                    // Its follower knows who leads now.
                    Some(Role::Observing { serving, .. }) if self.plan.masters => serving,
                    Some(
                        Role::Following {
                            leader: follows,
                            serving,
                            ..
                        }
                        | Role::Observing {
                            leader: follows,
                            serving,
                            ..
                        },
                    ) => serving && follows == leader as i64 + 1,
                    _ => false,
                }
            })
    }

    /// Whether a server is in the newest configuration that is in force.
    fn is_member(&self, s: usize) -> bool {
        self.configurations.newest().is_none_or(|newest| {
            let line = format!("server.{}=", s + 1);
            newest.lines().any(|own| own.starts_with(&line))
        })
    }

    /// Whether a server may be out until the next election.
    fn stays_out(&self, s: usize) -> bool {
        self.waits_for_an_epoch(s) || self.waits_for_a_list(s)
    }

    /// Whether a server has promised itself to a newer epoch than that of the leader, as one does whose
    /// leader ended before it had a quorum. A leader of Zooid steps aside for it.
    fn waits_for_an_epoch(&self, s: usize) -> bool {
        self.servers.iter().enumerate().any(|(leader, server)| {
            let role = server.process.as_ref().map(|process| process.role);
            self.plan.kind(leader).is_java()
                && matches!(role, Some(Role::Leading { serving: true, epoch })
                    if self.servers[s].disk.image.accepted > epoch)
        })
    }

    /// Whether a member of Java that was a leader, or one of its followers, asks the members of a list
    /// that nobody will commit whom to follow.
    fn waits_for_a_list(&self, s: usize) -> bool {
        let role = self.servers[s].process.as_ref().map(|process| process.role);
        self.plan.kind(s).is_java() && role == Some(Role::Looking) && self.has_a_dead_list(s)
    }

    /// Whether a server has a list of members that is newer than all that are in force, when nobody
    /// asks for changes any more.
    fn has_a_dead_list(&self, s: usize) -> bool {
        let version = |text: &str| Membership::parse(text, true).map_or(0, |list| list.version);
        let newest = self.configurations.newest().map_or(0, version);
        let next = self.servers[s].disk.image.next_config.as_deref();
        next.map_or(0, version) > newest
    }

    /// L1: in the end all is well, all have one state, and clients have got on.
    fn end(&mut self) {
        self.tally.time_us += self.now_us;
        if self.plan.kinds.iter().any(|kind| kind.is_java()) {
            self.mark("a run with members of Java");
            self.tally.mixed_us += self.now_us;
        }
        if !self.is_well() {
            let roles: Vec<String> = self
                .servers
                .iter()
                .map(|server| format!("{:?}", server.process.as_ref().map(|process| process.role)))
                .collect();
            return self.fail(format!("L1: long after the storm: {}", roles.join(", ")));
        }
        for s in 0..self.servers.len() {
            if !self.is_member(s) {
                continue;
            }
            if self.waits_for_an_epoch(s) {
                self.mark("a member that waits for an epoch");
            } else if self.waits_for_a_list(s) {
                self.mark("a member of Java that waits for a list");
            } else if self.has_a_dead_list(s) {
                let why = format!("L1: server {} has a list that nobody will commit", s + 1);
                return self.fail(why);
            }
        }
        let chains: Vec<u64> = self
            .servers
            .iter()
            .enumerate()
            .filter(|(s, _)| self.is_member(*s) && !self.stays_out(*s))
            .filter_map(|(_, server)| Some(server.process.as_ref()?.machine.chain))
            .collect();
        if chains.iter().any(|chain| *chain != chains[0]) {
            let tails: Vec<String> = chains
                .iter()
                .map(|chain| self.histories.tail(*chain, 3))
                .collect();
            return self.fail(format!("L1: at rest with {}", tails.join(", ")));
        }
        for (c, client) in self.clients.iter().enumerate() {
            if client.answered <= self.answered_at_calm[c] {
                return self.fail(format!("L1: client {c} got no answer after the storm"));
            }
        }
        let well = self.well_us.unwrap_or(self.now_us) - self.plan.storm_us;
        self.tally.recovery_us = well;
    }
}
