//! What goes wrong in a run, and when: made from the seed before the run begins. Each fault is
//! chosen by itself, so that leaving one out leaves the others as they were.

use std::fmt;

use super::scenarios::{Driver, Guard};
use crate::dice::{Dice, hash};

/// Whom a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// A server, by its place in the list.
    Server(usize),
    /// Whoever leads then; the first one if nobody does.
    Leader,
    /// The `n`th of those that do not lead then.
    Other(usize),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The process is killed; what it sent still arrives, and connections are closed.
    Kill(Whom),
    /// The power of the machine fails: nobody is told.
    Power(Whom),
    /// The power of all machines fails.
    PowerAll,
    /// A process is killed at the `n`th thing that it does from then on.
    KillAtEffect(Whom, u64),
    /// Power fails at the `n`th thing that a server does.
    PowerAtEffect(Whom, u64),
    /// An orderly stop.
    Stop(Whom),
    /// The process stands still; what it is sent waits.
    Pause(Whom),
    /// Nothing passes between a server and all others.
    Isolate(Whom),
    /// Nothing that this server sends arrives.
    Mute(Whom),
    /// Nothing arrives at this server.
    Deaf(Whom),
    /// The servers are cut into two groups: those whose bit is set, and the rest.
    Split(u64),
    /// Nothing passes from one server to another.
    OneWay(usize, usize),
    /// All connections of a server break.
    Reset(Whom),
    /// One connection between two servers breaks.
    Cut(usize, usize),
    /// Everything between two servers takes long.
    SlowLink(usize, usize),
    /// Everything on the disk takes long.
    SlowDisk(Whom),
    /// The next operation on the disk fails.
    DiskError(Whom),
    /// A snapshot is written and old logs are purged.
    Snapshot(Whom),
    /// Somebody who is no peer connects.
    Stranger(Whom),
    /// Members change.
    Reconfig(u64),
}

/// How many kinds there are.
pub const KINDS: usize = 20;

impl Kind {
    /// Its name and number.
    pub fn name(self) -> (usize, &'static str) {
        match self {
            Kind::Kill(_) => (0, "kill"),
            Kind::Power(_) => (1, "power"),
            Kind::PowerAll => (2, "power of all"),
            Kind::KillAtEffect(..) => (3, "kill at a step"),
            Kind::PowerAtEffect(..) => (4, "power at a step"),
            Kind::Stop(_) => (5, "stop"),
            Kind::Pause(_) => (6, "pause"),
            Kind::Isolate(_) => (7, "isolated"),
            Kind::Mute(_) => (8, "mute"),
            Kind::Deaf(_) => (9, "deaf"),
            Kind::Split(_) => (10, "split"),
            Kind::OneWay(..) => (11, "one way"),
            Kind::Reset(_) => (12, "reset"),
            Kind::Cut(..) => (13, "cut"),
            Kind::SlowLink(..) => (14, "slow link"),
            Kind::SlowDisk(_) => (15, "slow disk"),
            Kind::DiskError(_) => (16, "disk error"),
            Kind::Snapshot(_) => (17, "snapshot"),
            Kind::Stranger(_) => (18, "stranger"),
            Kind::Reconfig(_) => (19, "reconfiguration"),
        }
    }
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When, µs.
    pub at_us: u64,
    /// What.
    pub kind: Kind,
    /// Until it is over, or the server starts again, µs.
    pub lasts_us: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at_us as f64 / 1e6, self.lasts_us as f64 / 1e6);
        write!(f, "{at:.3} s: {:?} for {lasts:.3} s", self.kind)
    }
}

/// Whose behaviour a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Member {
    /// Ours.
    #[default]
    Zooid,
    /// That of Apache ZooKeeper 3.8.6.
    Java38,
    /// That of Apache ZooKeeper 3.9.5.
    Java39,
}

impl Member {
    /// Whether it is a Java.
    pub fn is_java(self) -> bool {
        self != Member::Zooid
    }
}

/// Which runs have members of Java.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// None.
    Pure,
    /// Those whose seed says so.
    Some,
    /// All, beside members of Zooid.
    All,
    /// All, and nobody else.
    Java,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All choices come from here.
    pub seed: u64,
    /// Voters; they have the numbers 1 and so on.
    pub voters: usize,
    /// Observers, behind them.
    pub observers: usize,
    /// Weights and groups instead of a majority.
    pub groups: Option<Vec<(Vec<usize>, u64)>>,
    /// Length of a tick.
    pub tick_ms: u64,
    /// `initLimit`
    pub init_limit: u64,
    /// `syncLimit`
    pub sync_limit: u64,
    /// Transactions kept in memory for learners.
    pub history_entries: usize,
    /// The shortest and longest way of a byte, µs.
    pub latency_us: (u64, u64),
    /// One in so many pieces is held up.
    pub stalls: u64,
    /// One in so many messages is cut into pieces.
    pub cuts: u64,
    /// The shortest and longest time of a disk operation, µs.
    pub disk_us: (u64, u64),
    /// How much faster or slower each clock is, in millionths.
    pub clocks: Vec<i64>,
    /// Clients.
    pub clients: usize,
    /// How long a client thinks, µs, at most.
    pub think_us: u64,
    /// How long faults happen, µs.
    pub storm_us: u64,
    /// How long all must be well afterwards, µs.
    pub calm_us: u64,
    /// Whether members change.
    pub reconfig: bool,
    /// After so many transactions a server writes a snapshot and purges what is before it.
    pub snapshot_every: u64,
    /// Bytes that make states longer.
    pub filler: usize,
    /// The servers whose bit is set purge old logs.
    pub purging: u64,
    /// Faults that do not come from the seed.
    pub scripted: Vec<Fault>,
    /// Whose behaviour the servers have; those behind its end are ours.
    pub kinds: Vec<Member>,
    /// Whether observers go to followers.
    pub masters: bool,
    /// Whether observers write their log (`syncEnabled`). What they acknowledge counts nowhere.
    pub observers_log: bool,
    /// An epoch ends with this counter; 0: with the last one that there is.
    pub last_counter: u32,
    /// A guard that is taken away to see whether that is found.
    pub without: Option<Guard>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

const SHAPE: u64 = 0x5AFE;
const FAULTS: u64 = 0xFA17;
const JAVA: u64 = 0x1A7A;
const MASTERS: u64 = 0x0B5E;

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let dice = &mut Dice::new(seed, SHAPE);
        let voters = dice.of(&[3, 3, 3, 3, 5, 5, 7]);
        let observers = dice.of(&[0, 0, 0, 1, 2]);
        let tick_ms = dice.of(&[100, 200, 500, 2000, 2000]);
        let groups = (voters >= 5 && dice.once_in(4)).then(|| grouped(voters, dice));
        let minutes = dice.of(&[1, 2, 5, 20, 60]);
        let storm_us = minutes * 60_000_000;
        let servers = voters + observers;
        let latency_us = dice.of(&[(50, 300), (100, 2_000), (1_000, 30_000), (20_000, 60_000)]);
        let groups_are_none = groups.is_none();
        let mut plan = Plan {
            seed,
            voters,
            observers,
            groups,
            tick_ms,
            init_limit: dice.of(&[5, 10]),
            sync_limit: dice.of(&[2, 5]),
            history_entries: dice.of(&[0, 5, 50, 500]),
            latency_us,
            stalls: dice.of(&[50, 1000, 1_000_000]),
            cuts: dice.of(&[2, 20, 1_000_000]),
            disk_us: dice.of(&[(50, 500), (500, 8_000), (1_000, 60_000)]),
            clocks: (0..servers)
                .map(|_| dice.below(100_000) as i64 - 50_000)
                .collect(),
            clients: dice.of(&[1, 3, 6]),
            think_us: match minutes {
                1 => dice.of(&[3_000, 20_000, 100_000]),
                _ => dice.of(&[20_000, 300_000, 3_000_000]) * minutes,
            },
            storm_us,
            calm_us: tick_ms * 1000 * 100 + 30_000_000,
            reconfig: groups_are_none && dice.once_in(3),
            snapshot_every: dice.of(&[3, 20, 200, 1_000_000]),
            filler: dice.of(&[0, 2_000, 40_000]),
            purging: dice.any() | dice.any(),
            scripted: Vec::new(),
            kinds: Vec::new(),
            observers_log: true,
            masters: observers > 0 && hash(seed, MASTERS, 0).is_multiple_of(2),
            last_counter: 0,
            without: None,
            faults: Vec::new(),
        };
        plan.keep_up();
        plan.faults = faults(&plan, minutes);
        // One in three is mixed.
        if cfg!(feature = "mutations") && hash(seed, JAVA, 0).is_multiple_of(3) {
            plan.mix(Mix::All);
        }
        plan
    }

    /// Makes some of the servers members of Java, or none, or all.
    pub fn mix(&mut self, mix: Mix) {
        let servers = self.servers() as u64;
        let all = (1 << servers) - 1;
        let java = match mix {
            Mix::Pure => 0,
            Mix::Some => return,
            Mix::All => 1 + hash(self.seed, JAVA, 1) % (all - 1),
            Mix::Java => all,
        };
        let member = |n| match (java >> n & 1, hash(self.seed, JAVA, 2 + n) % 2) {
            (0, _) => Member::Zooid,
            (_, 0) => Member::Java38,
            _ => Member::Java39,
        };
        self.kinds = (0..servers).map(member).collect();
    }

    /// Whose behaviour a server has.
    pub fn kind(&self, s: usize) -> Member {
        self.kinds.get(s).copied().unwrap_or(Member::Zooid)
    }

    /// Where ways and disks take longer than the limits allow, nobody could stay up to date.
    fn keep_up(&mut self) {
        let patience_us = self.tick_ms * self.sync_limit * 1000;
        self.latency_us.1 = self.latency_us.1.min(patience_us / 10);
        self.latency_us.0 = self.latency_us.0.min(self.latency_us.1);
        self.disk_us.1 = self.disk_us.1.min(patience_us / 10);
        self.disk_us.0 = self.disk_us.0.min(self.disk_us.1);
    }

    /// The plan of a seed for a short run under one kind of trouble: `shape` changes what it likes,
    /// and `count` faults of the kinds with these numbers are chosen.
    pub fn themed(seed: u64, kinds: &[usize], count: u64, shape: impl Fn(&mut Plan)) -> Plan {
        let mut plan = Plan::of(seed);
        plan.voters = 3;
        plan.observers = 0;
        plan.groups = None;
        plan.tick_ms = plan.tick_ms.min(200);
        plan.latency_us.1 = plan.latency_us.1.min(30_000);
        plan.latency_us.0 = plan.latency_us.0.min(1_000);
        plan.clients = plan.clients.max(3);
        plan.think_us = 100_000;
        plan.storm_us = 60_000_000;
        plan.calm_us = plan.tick_ms * 100_000 + 30_000_000;
        plan.reconfig = false;
        plan.mix(Mix::Pure);
        shape(&mut plan);
        plan.clocks.resize(plan.servers(), 0);
        plan.keep_up();
        let allowed = kinds.iter().fold(0, |mask, kind| mask | 1 << kind);
        plan.faults = choose(&plan, allowed, count);
        plan.faults.append(&mut plan.scripted);
        plan.faults.sort_by_key(|fault| fault.at_us);
        plan
    }

    /// Whether a promise of the driver is broken on purpose.
    pub fn breaks(&self, promise: Driver) -> bool {
        self.without == Some(Guard::Driver(promise))
    }

    /// All servers.
    pub fn servers(&self) -> usize {
        self.voters + self.observers
    }

    /// The members as text, without version.
    pub fn members(&self) -> String {
        let mut text = String::new();
        for n in 1..=self.servers() {
            let role = if n <= self.voters {
                "participant"
            } else {
                "observer"
            };
            text += &format!("server.{n}=s{n}:2888:3888:{role};s{n}:2181\n");
        }
        for (n, (group, _)) in self.groups.iter().flatten().enumerate() {
            let members: Vec<String> = group.iter().map(usize::to_string).collect();
            text += &format!("group.{}={}\n", n + 1, members.join(":"));
        }
        for (group, weight) in self.groups.iter().flatten() {
            for member in group {
                text += &format!("weight.{member}={weight}\n");
            }
        }
        text
    }
}

/// Voters in up to three groups, and the weight of each member of a group.
fn grouped(voters: usize, dice: &mut Dice) -> Vec<(Vec<usize>, u64)> {
    let cut = 1 + dice.below(voters as u64 - 2) as usize;
    let first: Vec<usize> = (1..=cut).collect();
    let second: Vec<usize> = (cut + 1..voters).collect();
    let third = vec![voters];
    let last = dice.below(2);
    let groups = [(first, 1 + dice.below(3)), (second, 1), (third, last)];
    groups
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .collect()
}

fn faults(plan: &Plan, minutes: u64) -> Vec<Fault> {
    let dice = &mut Dice::new(plan.seed, FAULTS);
    // Swarm: only some kinds in each run, so that those go deep.
    let allowed = dice.any() | dice.any();
    let per_minute = dice.of(&[0, 2, 6, 15]);
    choose(plan, allowed, (per_minute * minutes).min(150))
}

/// So many faults of the kinds whose bit is set.
pub fn choose(plan: &Plan, allowed: u64, count: u64) -> Vec<Fault> {
    let allowed = match plan.reconfig {
        true => allowed,
        false => allowed & !(1 << Kind::Reconfig(0).name().0),
    };
    let fault = |n| {
        let mut tries = (1..200).map(|attempt| one_fault(plan, n, attempt));
        tries.find(|fault| allowed >> fault.kind.name().0 & 1 == 1)
    };
    let mut faults: Vec<Fault> = (0..count).filter_map(fault).collect();
    faults.sort_by_key(|fault| fault.at_us);
    faults
}

fn one_fault(plan: &Plan, n: u64, attempt: u64) -> Fault {
    let dice = &mut Dice::new(hash(plan.seed, FAULTS, n), attempt);
    let servers = plan.servers() as u64;
    let tick_us = plan.tick_ms * 1000;
    let server = dice.below(servers) as usize;
    let whom = match dice.below(4) {
        0 | 1 => Whom::Leader,
        2 => Whom::Other(server),
        _ => Whom::Server(server),
    };
    let other = (server + 1 + dice.below(servers.max(2) - 1) as usize) % servers as usize;
    let steps = dice.of(&[1, 5, 20, 60, 200]);
    let step = 1 + dice.below(steps);
    let kind = match dice.below(28) {
        0 | 1 => Kind::Kill(whom),
        2 | 3 => Kind::Power(whom),
        4 => Kind::PowerAll,
        5..=7 => Kind::KillAtEffect(whom, step),
        8..=10 => Kind::PowerAtEffect(whom, step),
        11 => Kind::Stop(whom),
        12 | 13 => Kind::Pause(whom),
        14 => Kind::Isolate(whom),
        15 => Kind::Mute(whom),
        16 => Kind::Deaf(whom),
        17 => Kind::Split(1 + dice.below((1 << servers) - 2)),
        18 => Kind::OneWay(server, other),
        19 => Kind::Reset(whom),
        20 => Kind::Cut(server, other),
        21 => Kind::SlowLink(server, other),
        22 => Kind::SlowDisk(whom),
        23 => Kind::DiskError(whom),
        24 => Kind::Snapshot(whom),
        25 => Kind::Stranger(whom),
        _ => Kind::Reconfig(dice.any()),
    };
    // Several faults close together are worth more than many far apart.
    let burst = hash(plan.seed, FAULTS, 1000 + n / 4) % plan.storm_us;
    let at_us = (burst + dice.below(tick_us * 8)).min(plan.storm_us);
    let scale = dice.of(&[1, 10, 100, 400, 1500]);
    let lasts_us = 1 + tick_us * scale * (50 + dice.below(100)) / 10_000;
    Fault {
        at_us,
        kind,
        lasts_us,
    }
}
