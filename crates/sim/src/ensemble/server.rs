//! One server: a peer, and what drives it: its disk, its state machine, and, while it leads, what
//! makes transactions of requests.

use std::collections::{BTreeMap, VecDeque};

use zooid_proto::members::{Membership, Role as MemberRole};
use zooid_proto::quorum::FromLeader;
use zooid_proto::zxid::epoch;
use zooid_zab::{Boot, ConnId, DiskOp, Effect, Input, Params, Peer, Port, Proposal, Role, Token};

use super::check::packets::Said;
use super::check::{self};
use super::clients::Waiting;
use super::disk::{Disk, Done};
use super::history::Chain;
use super::lead::{Item, Lead};
use super::machine::Machine;
use super::net::LinkId;
#[cfg(feature = "mutations")]
use super::plan::Member;
use super::plan::Plan;
use super::scenarios::Driver;
use super::world::{Event, World};
use crate::dice::hash;

/// A machine with a disk, and the process on it if there is one.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) disk: Disk,
    /// How often it was started.
    pub(super) life: u64,
    pub(super) process: Option<Process>,
    pub(super) powered: bool,
    /// How many faults make it stand still.
    pub(super) paused: u32,
    /// What would have happened to it meanwhile.
    pub(super) backlog: Vec<Event>,
    /// It crashes after so many effects: whether with its machine, and for how long, µs.
    pub(super) crash_in: Option<(u64, bool, u64)>,
    /// How many faults slow down its disk.
    pub(super) slow_disk: u32,
    /// Its next disk operation fails; it is started again after this time, µs.
    pub(super) disk_error: Option<u64>,
    disk_ops: u64,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) peer: Peer,
    pub(super) machine: Machine,
    pub(super) conns: BTreeMap<ConnId, (LinkId, usize)>,
    pub(super) accepted: u64,
    pub(super) role: Role,
    wake_us: Option<u64>,
    receiving: Option<Vec<u8>>,
    pub(super) lead: Option<Lead>,
    /// Clients that wait for a write: by session and xid.
    pub(super) waiting: BTreeMap<(i64, i32), usize>,
    /// Clients that wait for a sync, in order.
    pub(super) syncs: VecDeque<Waiting>,
    /// Clients that wait to hear of their session.
    pub(super) revalidations: Vec<(i64, usize)>,
    /// The configuration in force.
    pub(super) config: String,
    /// Which epochs learners have accepted, as they have told it.
    told: BTreeMap<i64, i64>,
    /// It has named another leader: nothing may be committed any more.
    pub(super) deposed: bool,
    /// The last zxid that its epoch's leader delivered first.
    stopping: bool,
}

impl Server {
    pub(super) fn new(config: &str, breaks: Option<Driver>) -> Server {
        let mut disk = Disk::new(config);
        disk.breaks = breaks;
        Server {
            disk,
            life: 0,
            process: None,
            powered: true,
            paused: 0,
            backlog: Vec::new(),
            crash_in: None,
            slow_disk: 0,
            disk_error: None,
            disk_ops: 0,
        }
    }

    /// Whether clients are served.
    pub(super) fn serves(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| serving(process.role))
    }

    /// Whether it leads and serves.
    pub(super) fn leads(&self) -> bool {
        let role = self.process.as_ref().map(|process| process.role);
        matches!(role, Some(Role::Leading { serving: true, .. }))
    }
}

/// A peer of the kind that the plan has here.
fn new_peer(plan: &Plan, s: usize, boot: Boot, now_ms: u64) -> Peer {
    #[cfg_attr(
        not(feature = "mutations"),
        allow(unused_mut, reason = "nothing changes it")
    )]
    let mut peer = Peer::new(boot, now_ms);
    #[cfg(feature = "mutations")]
    {
        match plan.kind(s) {
            Member::Zooid => {}
            Member::Java38 => peer.imitate(zooid_zab::java::Java::V3_8),
            Member::Java39 => peer.imitate(zooid_zab::java::Java::V3_9),
        }
        if plan.last_counter > 0 {
            peer.end_epochs_at(plan.last_counter);
        }
    }
    #[cfg(not(feature = "mutations"))]
    assert!(
        !plan.kind(s).is_java() && plan.last_counter == 0,
        "only with the feature `mutations`"
    );
    peer
}

pub(super) fn serving(role: Role) -> bool {
    match role {
        Role::Looking => false,
        Role::Leading { serving, .. }
        | Role::Following { serving, .. }
        | Role::Observing { serving, .. } => serving,
    }
}

const DISK: u64 = 0xD15C;
const START: u64 = 0x57A7;

impl World {
    /// Starts a server from what is durable.
    pub(super) fn start(&mut self, s: usize) {
        if self.servers[s].process.is_some() {
            return;
        }
        let now_ms = self.clock_ms(s);
        let image = &self.servers[s].disk.image;
        let initial = self.epochs.initial(image.current);
        if let Err(error) = check::disk::has_history(image, initial, &mut self.histories) {
            return self.fail(format!("server {} starts: {error}", s + 1));
        }
        self.edit_members(s);
        let server = &mut self.servers[s];
        server.powered = true;
        server.life += 1;
        let image = &server.disk.image;
        let machine = match image.recover(&mut self.histories) {
            Ok(machine) => machine,
            Err(error) => return self.fail(error),
        };
        let choice = hash(self.plan.seed, START, (s as u64) << 32 | server.life);
        let known = choice as usize % (image.log.len() + 1);
        let known = if choice >> 40 & 1 == 0 {
            image.log.len()
        } else {
            known
        };
        let observer = s >= self.plan.voters;
        let mut recent = image.log[image.log.len() - known..].to_vec();
        if image.last_zxid() != recent.last().map_or(0, |txn| txn.zxid) {
            recent.clear();
        }
        let runs = image
            .log
            .chunk_by(|one, next| epoch(one.zxid) == epoch(next.zxid));
        let runs = runs
            .map(|run| (run[0].zxid, run[run.len() - 1].zxid))
            .collect();
        let config = if image.config.contains("version=") {
            image.config.clone()
        } else {
            format!("{}version=0", image.config)
        };
        let boot = Boot {
            params: Params {
                tick_ms: self.plan.tick_ms,
                init_limit: self.plan.init_limit,
                sync_limit: self.plan.sync_limit,
                max_notification_ms: 5000,
                reconfig: self.plan.reconfig,
                observer,
                observer_logs: self.plan.observers_log,
                observer_master_port: if self.plan.masters { 2889 } else { 0 },
                history_entries: self.plan.history_entries,
                seed: choice,
                ..Params::of(s as i64 + 1)
            },
            config: config.clone(),
            next_config: image.next_config.clone(),
            accepted_epoch: image.accepted,
            current_epoch: image.current,
            last_zxid: image.last_zxid(),
            log: runs,
            recent,
            may_have_lost_data: false,
        };
        self.note(|| {
            format!(
                "start {}: accepted {} current {} last {:x}",
                s + 1,
                boot.accepted_epoch,
                boot.current_epoch,
                boot.last_zxid
            )
        });
        self.configurations.starts(s);
        let process = Process {
            peer: new_peer(&self.plan, s, boot, now_ms),
            machine,
            conns: BTreeMap::new(),
            accepted: 0,
            role: Role::Looking,
            wake_us: None,
            receiving: None,
            lead: None,
            waiting: BTreeMap::new(),
            syncs: VecDeque::new(),
            revalidations: Vec::new(),
            config,
            told: BTreeMap::new(),
            deposed: false,
            stopping: false,
        };
        self.servers[s].process = Some(process);
        self.pump(s);
    }

    /// A server that is not in its own list of members does not start: an operator writes a list with
    /// it, as for one that joins.
    fn edit_members(&mut self, s: usize) {
        let own = format!("server.{}=", s + 1);
        let image = &mut self.servers[s].disk.image;
        if image.config.lines().any(|line| line.starts_with(&own)) {
            return;
        }
        let known = self.configurations.newest().unwrap_or(&image.config);
        let lines = known.lines().filter(|line| !line.starts_with("version="));
        let mut text: String = lines.map(|line| format!("{line}\n")).collect();
        if !text.contains(&own) {
            text += &format!("{own}s{0}:2888:3888:participant;s{0}:2181\n", s + 1);
        }
        image.config = text;
        image.next_config = None;
        self.mark("a server that joins");
    }

    /// Ends a process. With its machine (`power`) nobody is told.
    pub(super) fn crash(&mut self, s: usize, power: bool) {
        let Some(process) = self.servers[s].process.take() else {
            return;
        };
        self.leadership_changes(process.role, Role::Looking);
        for (link, side) in process.conns.into_values() {
            if power {
                self.vanish(link, side);
            } else {
                self.close(link, side);
            }
        }
        let choice = hash(self.plan.seed, DISK, self.counter());
        let server = &mut self.servers[s];
        server.powered = !power;
        server.crash_in = None;
        // What has come for its connections is answered by the machine.
        server
            .backlog
            .retain(|event| matches!(event, Event::Link(..)));
        if server.disk.crash(choice) {
            self.mark("a crash that lost what was not durable");
        }
        self.note(|| format!("crash {} {}", s + 1, if power { "(power)" } else { "" }));
        self.clients_lose(s);
    }

    /// Something happens to the peer of a server.
    pub(super) fn input(&mut self, s: usize, input: Input<'_>) {
        let now = self.clock_ms(s);
        let Some(process) = self.servers[s].process.as_mut() else {
            return;
        };
        process.peer.handle(input, now);
        self.pump(s);
    }

    /// Time has passed for a server.
    pub(super) fn wake(&mut self, s: usize, at_us: u64) {
        let process = self.servers[s].process.as_mut();
        if process.is_some_and(|process| process.wake_us.take_if(|wake| *wake == at_us).is_some()) {
            self.input(s, Input::Tick);
        }
    }

    /// Does all that the peer wants done.
    fn pump(&mut self, s: usize) {
        let mut count = 0;
        while let Some(process) = self.servers[s].process.as_mut()
            && let Some(effect) = process.peer.poll_effect()
        {
            count += 1;
            self.tally.effects += 1;
            if count > 200_000 {
                return self.fail(format!("server {}: effects without end", s + 1));
            }
            if let Some((left, power, lasts_us)) = self.servers[s].crash_in {
                if left <= 1 {
                    self.mark("a crash between two effects");
                    let life = self.servers[s].life;
                    self.crash(s, power);
                    self.after(lasts_us, Event::Start(s, life));
                    return;
                }
                self.servers[s].crash_in = Some((left - 1, power, lasts_us));
            }
            self.effect(s, effect);
            if self.failure.is_some() {
                return;
            }
        }
        let Some(process) = self.servers[s].process.as_ref() else {
            return;
        };
        let due = process.peer.poll_timeout().map(|ms| self.at_clock(s, ms));
        let due = due.map(|due| due.max(self.now_us + 1));
        let process = self.servers[s].process.as_mut().expect("it runs");
        if process.wake_us != due {
            // Later than what is awaited already: that one looks again.
            if let Some(due) = due
                && process.wake_us.is_none_or(|wake| due < wake)
            {
                process.wake_us = Some(due);
                self.at(due, Event::Wake(s, due));
            }
        }
    }

    fn effect(&mut self, s: usize, effect: Effect) {
        match effect {
            Effect::Dial {
                conn,
                port,
                addresses,
                timeout_ms,
                ..
            } => self.dial(s, conn, port, &addresses, timeout_ms * 1000),
            Effect::Send { conn, bytes } => {
                if let Some((link, side)) = self.end_of(s, conn) {
                    self.said(s, link, side, &bytes);
                    self.send(link, side, bytes);
                }
            }
            Effect::SendSnapshot { conn, zxid } => self.send_snapshot(s, conn, zxid),
            Effect::SendLog { conn, after, upto } => self.send_log(s, conn, after, upto),
            Effect::Remark { .. } | Effect::BroughtUp(_) => {}
            Effect::Close { conn } => {
                if let Some((link, side)) = self.end_of(s, conn) {
                    self.process(s).conns.remove(&conn);
                    self.close(link, side);
                }
            }
            Effect::Disk { token, op } => self.disk(s, token, op),
            Effect::SnapshotBegin => self.process(s).receiving = Some(Vec::new()),
            Effect::SnapshotBytes(bytes) => match &mut self.process(s).receiving {
                Some(received) => received.extend(bytes),
                None => self.fail("a part of a snapshot that was not begun".into()),
            },
            Effect::SnapshotAbort => {
                self.mark("a snapshot that broke off");
                let part = self.process(s).receiving.take();
                if self.plan.breaks(Driver::BrokenStateDropped) {
                    // As a memory that is filled while the state comes (ZOOKEEPER-3642).
                    let part = part.unwrap_or_default();
                    self.process(s).machine.mix_with(&part);
                }
            }
            Effect::Apply(txn) => self.apply(s, &txn),
            Effect::Role(role) => self.role(s, role),
            Effect::Request { conn, request } => {
                self.lead_item(s, Item::Request(Some(conn), request));
            }
            Effect::Revalidate { conn, session, .. } => {
                self.lead_item(s, Item::Revalidate(conn, session));
            }
            Effect::Touched {
                session,
                timeout_ms,
            } => self.touched(s, session, timeout_ms),
            Effect::Synced => match self.process(s).syncs.pop_front() {
                Some(waiting) => self.client_synced(s, waiting),
                None => self.fail(format!("server {}: a sync that nobody asked for", s + 1)),
            },
            Effect::RevalidationDone { session, valid } => {
                let all = &mut self.process(s).revalidations;
                if let Some(at) = all.iter().position(|(id, _)| *id == session) {
                    let (_, client) = all.remove(at);
                    self.client_revalidated(s, client, session, valid);
                }
            }
            Effect::Config(text) => self.config(s, text),
            Effect::Stopped => {
                self.mark("an orderly stop");
                self.note(|| format!("stopped {}", s + 1));
                let life = self.servers[s].life;
                self.crash(s, false);
                self.after(self.plan.tick_ms * 2000, Event::Start(s, life));
            }
            Effect::Fatal(why) => {
                self.fail(format!("server {} ends: {why}", s + 1));
            }
        }
    }

    /// Asks for an orderly stop.
    pub(super) fn stop(&mut self, s: usize) {
        if let Some(process) = self.servers[s].process.as_mut()
            && !process.stopping
        {
            process.stopping = true;
            self.input(s, Input::Stop);
        }
    }

    fn send_snapshot(&mut self, s: usize, conn: ConnId, zxid: i64) {
        let Some((link, side)) = self.end_of(s, conn) else {
            return;
        };
        let filler = self.plan.filler;
        let machine = &self.process(s).machine;
        let (at, bytes) = (machine.zxid, machine.write(filler));
        if at > zxid || (at < zxid && zooid_proto::zxid::counter(zxid) != 0) {
            return self.fail(format!("D8: a state of {at:x} is sent as {zxid:x}"));
        }
        let talk = self.net.link(link).map(|link| link.talk.sends_snapshot());
        if let Some(Err(error)) = talk {
            return self.fail(error);
        }
        for part in bytes.chunks(256) {
            self.send(link, side, part.to_vec());
        }
    }

    fn send_log(&mut self, s: usize, conn: ConnId, after: i64, upto: i64) {
        let Some((link, side)) = self.end_of(s, conn) else {
            return;
        };
        let txns = self.servers[s].disk.logged(after, upto);
        self.mark("transactions from the log");
        if txns.last().map(|txn| txn.zxid) != Some(upto) {
            return self.fail(format!(
                "server {}: {after:x} to {upto:x} is not in its log",
                s + 1
            ));
        }
        let mut bytes = Vec::new();
        for txn in txns {
            let (zxid, txn) = (txn.zxid, txn.bytes[..].into());
            FromLeader::Proposal { zxid, txn }.encode(&mut bytes);
            FromLeader::Commit { zxid }.encode(&mut bytes);
        }
        self.said(s, link, side, &bytes);
        self.send(link, side, bytes);
    }

    fn disk(&mut self, s: usize, token: Token, op: DiskOp) {
        if let Some(lasts_us) = self.servers[s].disk_error.take() {
            self.mark("a disk that failed");
            if self.plan.breaks(Driver::DiskErrorEnds) {
                self.servers[s].disk.fail_next = true;
                return self.disk(s, token, op);
            }
            let life = self.servers[s].life;
            self.crash(s, false);
            self.after(lasts_us, Event::Start(s, life));
            return;
        }
        if let (DiskOp::AcceptedEpoch(epoch), Role::Leading { .. }) = (&op, self.process(s).role)
            && let Err(error) = self.chooses(s, *epoch)
        {
            return self.fail(format!("server {}: {error}", s + 1));
        }
        let mut state = None;
        if let DiskOp::Keep { .. } = op {
            state = Some(self.process(s).machine.clone());
        }
        if let DiskOp::InstallSnapshot { zxid } = op {
            let received = self.process(s).receiving.take();
            let read = Machine::read(&received.unwrap_or_default());
            match read {
                Ok(machine) if machine.zxid <= zxid => state = Some(machine),
                Ok(machine) => {
                    return self.fail(format!("D8: {:x} installed as {zxid:x}", machine.zxid));
                }
                Err(error) => return self.fail(format!("server {}: {error}", s + 1)),
            }
        }
        let server = &mut self.servers[s];
        server.disk_ops += 1;
        let (quick, slow) = self.plan.disk_us;
        let choice = hash(self.plan.seed ^ DISK, s as u64, server.disk_ops);
        let mut latency = quick + choice % (slow - quick + 1);
        if server.slow_disk > 0 {
            latency += (choice >> 20) % (self.plan.tick_ms * 4_000);
        }
        let kind = match op {
            DiskOp::Truncate { .. } => "TRUNC on disk",
            DiskOp::InstallSnapshot { .. } => "SNAP on disk",
            _ => "",
        };
        let done = server.disk.ask(token, op, state, self.now_us, latency);
        if !kind.is_empty() {
            self.mark(kind);
        }
        let life = self.servers[s].life;
        self.at(done, Event::Disk(s, life));
    }

    /// Which epochs those have accepted that are connected to a server.
    fn told(&mut self, s: usize) -> BTreeMap<i64, i64> {
        let links: Vec<LinkId> = self.process(s).conns.values().map(|end| end.0).collect();
        let introduced = |link: LinkId| self.net.link(link)?.talk.introduced();
        links.into_iter().filter_map(introduced).collect()
    }

    /// A leader chooses its epoch.
    fn chooses(&mut self, s: usize, epoch: i64) -> Result<(), String> {
        let config = self.process(s).config.clone();
        let members = self.configurations.read(&config);
        let mut accepted = self.process(s).told.clone();
        accepted.insert(s as i64 + 1, self.servers[s].disk.image.accepted);
        check::epochs::above_a_quorum(&members, epoch, &accepted)
    }

    /// The next operations are durable.
    pub(super) fn disk_done(&mut self, s: usize) {
        let now = self.now_us;
        while self.servers[s].process.is_some() && self.failure.is_none() {
            let image = &self.servers[s].disk.image;
            let epochs = (image.accepted, image.current);
            let Some((token, op, done)) = self.servers[s].disk.complete(now) else {
                return;
            };
            let image = &self.servers[s].disk.image;
            let mut checked = check::disk::durable(image, &op, epochs);
            if let (Ok(()), DiskOp::CurrentEpoch(epoch)) = (&checked, &op) {
                let initial = self.epochs.initial(*epoch);
                checked = check::disk::has_history(image, initial, &mut self.histories);
            }
            if let Err(error) = checked {
                return self.fail(format!("server {}: {error}", s + 1));
            }
            self.note(|| match &op {
                DiskOp::Append(txn) => format!("durable {}: {:x}", s + 1, txn.zxid),
                op => format!("durable {}: {op:?}", s + 1),
            });
            if done != Done::Durable {
                match self.servers[s].disk.image.recover(&mut self.histories) {
                    Ok(machine) => self.process(s).machine = machine,
                    Err(error) => return self.fail(error),
                }
            }
            if done == Done::Emptied {
                self.mark("a truncation with nothing to go back to");
                self.input(s, Input::CannotTruncate { token });
            } else {
                self.input(s, Input::Persisted { token });
            }
        }
    }

    fn apply(&mut self, s: usize, txn: &Proposal) {
        let replaced =
            |op: &DiskOp| matches!(op, DiskOp::Truncate { .. } | DiskOp::InstallSnapshot { .. });
        if self.servers[s]
            .disk
            .pending
            .iter()
            .any(|pending| replaced(&pending.op))
        {
            return self.fail(format!("server {} applies while its state changes", s + 1));
        }
        let position = self.servers[s]
            .disk
            .image
            .snapshots
            .last()
            .map_or(0, |(zxid, _)| *zxid);
        let process = self.servers[s].process.as_mut().expect("it runs");
        let machine = &mut process.machine;
        // A snapshot may be known by a zxid behind its last transaction: that of its epoch's begin.
        let before = if machine.zxid < position && position < txn.zxid {
            position
        } else {
            machine.zxid
        };
        let (before, role) = (before, process.role);
        let origin = match machine.apply(txn, &mut self.histories) {
            Ok(origin) => origin,
            Err(error) => return self.fail(format!("server {}: {error}", s + 1)),
        };
        let (chain, sum) = (machine.chain, machine.sum());
        let mut checked = self.order.applied(before, txn);
        checked = checked.and_then(|()| self.order.state(chain, sum));
        self.note(|| format!("apply {}: {:x}", s + 1, txn.zxid));
        if let (Ok(()), true) = (&checked, serving(role)) {
            checked = self.deliver(s, chain, Some((txn, origin)));
        }
        if let Err(error) = checked {
            return self.fail(format!("server {}: {error}", s + 1));
        }
        self.lead_applied(s, origin);
        let every = self.plan.snapshot_every;
        if serving(role) && (self.histories.length(chain) + s as u64).is_multiple_of(every) {
            self.after(0, Event::Snapshot(s, self.servers[s].life));
        }
        if serving(role) {
            let key = (origin.0, origin.1);
            if let Some(client) = self.process(s).waiting.remove(&key) {
                self.client_answered(s, client, origin, txn);
            }
        }
    }

    /// A serving server has delivered a history.
    fn deliver(
        &mut self,
        s: usize,
        chain: Chain,
        newest: Option<(&Proposal, super::machine::Origin)>,
    ) -> Result<(), String> {
        if !self.order.deliver(chain, &self.histories)? {
            return Ok(());
        }
        let role = self.process(s).role;
        if !matches!(role, Role::Leading { .. }) {
            return Err(format!(
                "I5: {:x} is delivered before its leader does",
                self.histories.last(chain)
            ));
        }
        let Some((txn, origin)) = newest else {
            return Ok(());
        };
        self.sessions.delivered(txn.zxid, origin)?;
        self.tally.delivered += 1;
        let process = self.servers[s].process.as_ref().expect("it runs");
        if let Role::Leading { epoch: leads, .. } = process.role {
            if process.deposed {
                return Err(format!("R2: {:x} is committed after a hand-over", txn.zxid));
            }
            if epoch(txn.zxid) != leads {
                return Err(format!("I12: {:x} is committed in epoch {leads}", txn.zxid));
            }
            let servers = &self.servers;
            let image = |id: i64| Some(&servers.get(id as usize - 1)?.disk.image);
            for members in self.configurations.needed(&process.config, txn) {
                check::commit::on_a_quorum(&members, txn, image)?;
            }
        }
        Ok(())
    }

    fn role(&mut self, s: usize, role: Role) {
        let old = std::mem::replace(&mut self.process(s).role, role);
        self.note(|| format!("role {}: {role:?}", s + 1));
        self.tally.roles += 1;
        if matches!(role, Role::Leading { serving: false, .. }) {
            self.process(s).told = self.told(s);
        }
        self.leadership_changes(old, role);
        if serving(old) && !serving(role) {
            self.mark("a server that stopped serving");
            self.clients_lose(s);
        }
        if !matches!(role, Role::Leading { .. }) || !serving(role) {
            self.process(s).lead = None;
        }
        if matches!(role, Role::Leading { serving: false, .. })
            && self.plan.breaks(Driver::TruncationDropsStates)
        {
            // As Java does it: with what is not committed.
            let machine = self.process(s).machine.clone();
            self.servers[s].disk.image.snapshot(&machine);
        }
        if !serving(role) || serving(old) {
            return;
        }
        self.process(s).deposed = false;
        let (chain, zxid) = {
            let machine = &self.process(s).machine;
            (machine.chain, machine.zxid)
        };
        let mut checked = Ok(());
        match role {
            Role::Leading { epoch, .. } => {
                self.mark("a leader was established");
                let logged = self.logged_chain(s);
                if logged != chain {
                    checked = Err(format!(
                        "a leader serves with {zxid:x} applied and more in its log: {}",
                        self.histories.tail(logged, 6)
                    ));
                }
                checked = checked
                    .and_then(|()| self.order.established(epoch, chain, &self.histories))
                    .and_then(|()| self.held_by_quorum(s, epoch));
            }
            Role::Following { leader, .. } => {
                self.mark("a follower serves");
                let leads = self.plan.kind(leader as usize - 1).is_java();
                match (self.plan.kind(s).is_java(), leads) {
                    (true, false) => self.mark("a member of Java follows one of Zooid"),
                    (false, true) => self.mark("a member of Zooid follows one of Java"),
                    _ => {}
                }
            }
            Role::Observing { .. } => self.mark("an observer serves"),
            Role::Looking => {}
        }
        checked = checked.and_then(|()| self.deliver(s, chain, None));
        if let Err(error) = checked {
            return self.fail(format!("server {}: {error}", s + 1));
        }
        if let Role::Leading { epoch, .. } = role {
            self.begin_to_lead(s, epoch);
        }
    }

    /// A leader is established: a quorum has its epoch, and with that (D3) its history.
    fn held_by_quorum(&mut self, s: usize, epoch: i64) -> Result<(), String> {
        let config = self.process(s).config.clone();
        let members = self.configurations.read(&config);
        let servers = &self.servers;
        let image = |id: i64| Some(&servers.get(id as usize - 1)?.disk.image);
        check::commit::epoch_on_a_quorum(&members, epoch, image)
    }

    /// The history in the log and snapshots of a server, with what is on its way to the disk.
    fn logged_chain(&mut self, s: usize) -> Chain {
        let disk = &self.servers[s].disk;
        let chain = disk.image.chain(&mut self.histories);
        disk.pending
            .iter()
            .fold(chain, |chain, pending| match &pending.op {
                DiskOp::Append(txn) => self.histories.extend(chain, txn),
                _ => chain,
            })
    }

    fn config(&mut self, s: usize, text: String) {
        self.note(|| format!("config {}: {}", s + 1, text.replace('\n', " ")));
        match self.configurations.in_force(s, &text) {
            Ok(_) => self.process(s).config = text,
            Err(error) => self.fail(error),
        }
    }

    /// Looks at what is sent on a quorum port.
    fn said(&mut self, s: usize, link: LinkId, side: usize, bytes: &[u8]) {
        let (now_life, other) = ((s, self.servers[s].life), self.other_life(link, side));
        let kind = self.plan.kind(s);
        let Some(connection) = self.net.link(link) else {
            return;
        };
        if connection.port == Port::Election {
            self.tally.votes += 1;
            return;
        }
        self.tally.packets += 1;
        let master = connection.port == Port::ObserverMaster;
        let known = connection.talk.introduced();
        let said = match connection.talk.sends(side, bytes, kind) {
            Ok(said) => said,
            Err(error) => {
                return self.fail(format!("server {} side {side}: {error}", s + 1));
            }
        };
        if let (None, Some((sid, accepted))) = (known, connection.talk.introduced())
            && let Some(leader) = self.servers[other.0].process.as_mut()
        {
            leader.told.insert(sid, accepted);
            if matches!(leader.role, Role::Leading { serving: true, epoch } if accepted > epoch) {
                self.mark("a learner that has promised itself to a later epoch");
            }
        }
        for said in said {
            if said != Said::Other {
                self.note(|| format!("say {} -> {}: {said:x?}", s + 1, other.0 + 1));
            }
            let checked = self.weigh(s, said, now_life, other, master);
            if let Err(error) = checked {
                return self.fail(format!("server {}: {error}", s + 1));
            }
        }
    }

    fn weigh(
        &mut self,
        s: usize,
        said: Said,
        me: (usize, u64),
        other: (usize, u64),
        master: bool,
    ) -> Result<(), String> {
        let disk = &self.servers[s].disk;
        match said {
            Said::LeaderInfo(epoch) if !master => check::disk::speaks_of_epoch(disk, epoch)?,
            Said::Syncs(epoch, kind, zxid) => {
                use check::packets::Sync;
                self.mark(match kind {
                    Sync::Diff => "DIFF",
                    Sync::Trunc => "TRUNC",
                    Sync::Snap => "SNAP",
                });
                if !master {
                    self.epochs.leads(epoch, me)?;
                }
                if kind == Sync::Trunc {
                    let chain = self.logged_chain(s);
                    let kept = self.histories.upto(chain, zxid);
                    if self.histories.last(kept) != zxid {
                        let begin = zooid_proto::zxid::counter(zxid) == 0;
                        if !begin {
                            return Err(format!("I11: TRUNC to {zxid:x}, which it has not"));
                        }
                    }
                }
            }
            Said::NewLeader(epoch) if !master => {
                let chain = self.process(s).machine.chain;
                self.epochs.leads(epoch, me)?;
                self.epochs.begins_with(epoch, chain);
            }
            Said::UpToDate(_) => self.mark("UPTODATE"),
            Said::Proposal { initial: true, .. } => self.mark("a proposal in the initial history"),
            Said::Commit { early: true, .. } => {
                self.mark("a commit between NEWLEADER and UPTODATE");
            }
            Said::AckEpoch(epoch, true) => {
                check::disk::speaks_of_epoch(disk, epoch)?;
                if !master {
                    self.epochs.promises(s, epoch, other)?;
                }
            }
            Said::AckEpoch(_, false) => self.mark("an ACKEPOCH that tells only a position"),
            Said::AckHistory(epoch) => {
                let role = self.servers[s].process.as_ref().map(|process| process.role);
                let observes = matches!(role, Some(Role::Observing { .. }));
                if self.plan.observers_log || !observes || self.would_vote(s) {
                    check::disk::acknowledges_history(disk, epoch)?;
                }
            }
            Said::Ack(zxid) => check::disk::acknowledges(disk, zxid)?,
            Said::Activate(zxid, designated) => {
                self.mark("a reconfiguration");
                if designated != s as i64 + 1 && self.servers[s].leads() {
                    self.mark("a leader that hands over");
                    self.process(s).deposed = true;
                }
                self.note(|| format!("activate {}: {zxid:x} leader {designated}", s + 1));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a server is a voter in a list that it has been shown: a leader counts its word for that.
    fn would_vote(&self, s: usize) -> bool {
        let image = &self.servers[s].disk.image;
        let next = image.next_config.as_deref();
        let list = next.and_then(|text| Membership::parse(text, true).ok());
        let own = list.and_then(|list| list.members.get(&(s as i64 + 1)).map(|own| own.role));
        own == Some(MemberRole::Participant)
    }

    fn other_life(&self, link: LinkId, side: usize) -> (usize, u64) {
        let other = self.net.other(link, side).unwrap_or_default();
        (other, self.servers[other].life)
    }

    fn end_of(&self, s: usize, conn: ConnId) -> Option<(LinkId, usize)> {
        self.servers[s].process.as_ref()?.conns.get(&conn).copied()
    }

    #[track_caller]
    pub(super) fn process(&mut self, s: usize) -> &mut Process {
        self.servers[s].process.as_mut().expect("it runs")
    }
}
