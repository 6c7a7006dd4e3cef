//! What runs have done, added up and told.

use std::fmt;

use super::plan::{Fault, KINDS, Kind, Plan, Whom};
use super::world::Tally;

/// What a long series of runs must have seen.
const MUST: &[&str] = &[
    "DIFF",
    "TRUNC",
    "SNAP",
    "TRUNC on disk",
    "SNAP on disk",
    "UPTODATE",
    "a leader was established",
    "a follower serves",
    "an observer serves",
    "a server that stopped serving",
    "a crash between two effects",
    "a crash that lost what was not durable",
    "a disk that failed",
    "an orderly stop",
    "a snapshot",
    "a purged log",
    "transactions from the log",
    "a proposal in the initial history",
    "a commit between NEWLEADER and UPTODATE",
    "an ACKEPOCH that tells only a position",
    "bytes for a server that died",
    "a refused dial",
    "a dial without an answer",
    "a sync through the leader",
    "a sync while leaders changed",
    "a session that moved",
    "a session that had gone",
    "a session that expired",
    "a refused write",
    "a reconfiguration",
    "a leader that hands over",
    "a server that joins",
    "an observer goes to a follower",
];

/// The same, where members of Java can be.
const MIXED: &[&str] = &[
    "a member of Java follows one of Zooid",
    "a member of Zooid follows one of Java",
    "a run with members of Java",
];

impl Tally {
    /// Adds another run.
    pub fn add(&mut self, other: &Tally) {
        self.time_us += other.time_us;
        self.mixed_us += other.mixed_us;
        for (sum, count) in self.faults.iter_mut().zip(other.faults) {
            *sum += count;
        }
        self.effects += other.effects;
        self.votes += other.votes;
        self.packets += other.packets;
        self.roles += other.roles;
        self.proposed += other.proposed;
        self.delivered += other.delivered;
        self.writes += other.writes;
        self.answered += other.answered;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.reads += other.reads;
        self.syncs += other.syncs;
        self.strict_syncs += other.strict_syncs;
        self.recovery_us = self.recovery_us.max(other.recovery_us);
        for (what, count) in &other.marks {
            *self.marks.entry(what).or_default() += count;
        }
    }

    /// Hours of ensembles.
    pub fn hours(&self) -> f64 {
        self.time_us as f64 / 3.6e9
    }

    /// What must have been seen, and was not.
    pub fn missing(&self) -> Vec<String> {
        let mixed = if cfg!(feature = "mutations") {
            MIXED
        } else {
            &[]
        };
        let all = MUST.iter().chain(mixed);
        let marks = all.filter(|mark| !self.marks.contains_key(**mark));
        let names = fault_names();
        let faults = (0..KINDS).filter(|n| self.faults[*n] == 0);
        let faults = faults.map(|n| format!("fault: {}", names[n]));
        marks.map(|mark| (*mark).to_owned()).chain(faults).collect()
    }
}

fn fault_names() -> Vec<&'static str> {
    let who = Whom::Leader;
    let all = [
        Kind::Kill(who),
        Kind::Power(who),
        Kind::PowerAll,
        Kind::KillAtEffect(who, 1),
        Kind::PowerAtEffect(who, 1),
        Kind::Stop(who),
        Kind::Pause(who),
        Kind::Isolate(who),
        Kind::Mute(who),
        Kind::Deaf(who),
        Kind::Split(1),
        Kind::OneWay(0, 1),
        Kind::Reset(who),
        Kind::Cut(0, 1),
        Kind::SlowLink(0, 1),
        Kind::SlowDisk(who),
        Kind::DiskError(who),
        Kind::Snapshot(who),
        Kind::Stranger(who),
        Kind::Reconfig(0),
    ];
    all.iter().map(|kind| kind.name().1).collect()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = fault_names();
        let faults: Vec<String> = (0..KINDS)
            .map(|n| format!("{} {}", names[n], self.faults[n]))
            .collect();
        writeln!(
            f,
            "{:.1} ensemble-hours ({:.1} of them with members of Java), {} faults: {}",
            self.hours(),
            self.mixed_us as f64 / 3.6e9,
            self.faults.iter().sum::<u64>(),
            faults.join(", ")
        )?;
        writeln!(
            f,
            "peers: {} effects, {} packets, {} votes, {} changes of role",
            self.effects, self.packets, self.votes, self.roles
        )?;
        writeln!(
            f,
            "requests: {} writes ({} answered, {} refused), {} reads, {} syncs ({} of them had to \
             see everything), {} without an outcome; {} transactions made, {} delivered",
            self.writes,
            self.answered,
            self.refused,
            self.reads,
            self.syncs,
            self.strict_syncs,
            self.unknown,
            self.proposed,
            self.delivered
        )?;
        let well = self.recovery_us as f64 / 1e6;
        writeln!(f, "longest way back after a storm: {well:.3} s")?;
        write!(f, "seen:")?;
        for (what, count) in &self.marks {
            write!(f, "\n  {count:>9} {what}")?;
        }
        Ok(())
    }
}

impl Plan {
    /// A line about the run.
    pub fn summary(&self) -> String {
        let last = self.faults.iter().map(|fault: &Fault| fault.at_us).max();
        format!(
            "seed {}: {} voters, {} observers, groups {:?}, tick {} ms, limits {}/{}, memory {}, \
             ways {:?} us, disk {:?} us, {} clients, {} faults until {} s of {} s, reconfig {}, \
             masters {}, {:?}",
            self.seed,
            self.voters,
            self.observers,
            self.groups,
            self.tick_ms,
            self.init_limit,
            self.sync_limit,
            self.history_entries,
            self.latency_us,
            self.disk_us,
            self.clients,
            self.faults.len(),
            last.unwrap_or(0) / 1_000_000,
            self.storm_us / 1_000_000,
            self.reconfig,
            self.masters,
            self.kinds
        )
    }
}
