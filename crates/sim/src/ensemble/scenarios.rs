//! The scenarios of the protocol's specification, by number, each a kind of run that finds the
//! mistake it is named after: which guard it watches, and what must have been seen.

#[cfg(feature = "mutations")]
use zooid_zab::mutations::Guard as Peer;

use super::plan::{Fault, Kind, Mix, Plan, Whom};
use super::run::{Outcome, run};
use crate::dice::hash;

/// A guard of the protocol that a test takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// One in the peers, and others that would hide its absence.
    #[cfg(feature = "mutations")]
    Peer(&'static [Peer]),
    /// One in what drives a peer.
    Driver(Driver),
}

/// A promise of those that drive a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A truncation is durable when it says so.
    TruncationDurable,
    /// A truncation drops states that have what is cut.
    TruncationDropsStates,
    /// A state that broke off leaves nothing.
    BrokenStateDropped,
    /// A disk that fails ends the server.
    DiskErrorEnds,
    /// An epoch is durable when it says so: file and name.
    EpochDurable,
}

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its number in the specification.
    pub number: u8,
    /// What happens.
    pub name: &'static str,
    /// Kinds of faults, by number.
    pub kinds: &'static [usize],
    /// How many.
    pub count: u64,
    /// What is special about the ensemble.
    pub shape: fn(&mut Plan),
    /// What some of the runs must see.
    pub marks: &'static [&'static str],
}

impl Scenario {
    /// The plan of a seed.
    pub fn plan(&self, seed: u64) -> Plan {
        Plan::themed(
            seed << 8 | u64::from(self.number),
            self.kinds,
            self.count,
            self.shape,
        )
    }

    /// Runs a seed with members of Java (needs the feature `mutations`).
    pub fn run_mixed(&self, seed: u64) -> Outcome {
        let mut plan = self.plan(seed);
        plan.mix(Mix::All);
        run(&plan, false)
    }

    /// Runs a seed, with a guard taken away.
    pub fn run(&self, seed: u64, without: Option<Guard>) -> Outcome {
        let mut plan = self.plan(seed);
        plan.without = without;
        #[cfg(feature = "mutations")]
        match without {
            Some(Guard::Peer([one])) => zooid_zab::mutations::take_away(Some(*one)),
            Some(Guard::Peer([one, other, ..])) => {
                zooid_zab::mutations::take_both_away(*one, *other);
            }
            _ => {}
        }
        let outcome = run(&plan, false);
        #[cfg(feature = "mutations")]
        zooid_zab::mutations::take_away(None);
        outcome
    }
}

/// The scenario of a number.
pub fn scenario(number: u8) -> &'static Scenario {
    let found = SCENARIOS.iter().find(|scenario| scenario.number == number);
    found.expect("a scenario that is there")
}

const KILL: usize = 0;
const POWER: usize = 1;
const POWER_ALL: usize = 2;
const KILL_AT: usize = 3;
const POWER_AT: usize = 4;
const STOP: usize = 5;
const PAUSE: usize = 6;
const ISOLATE: usize = 7;
const MUTE: usize = 8;
const DEAF: usize = 9;
const SPLIT: usize = 10;
const ONE_WAY: usize = 11;
const RESET: usize = 12;
const CUT: usize = 13;
const SLOW_LINK: usize = 14;
const SLOW_DISK: usize = 15;
const DISK_ERROR: usize = 16;
const SNAPSHOT: usize = 17;
const RECONFIG: usize = 19;

fn plain(_: &mut Plan) {}

fn fault(at_us: u64, kind: Kind, lasts_us: u64) -> Fault {
    Fault {
        at_us,
        kind,
        lasts_us,
    }
}

/// Much under way all the time.
fn busy(plan: &mut Plan) {
    plan.think_us = 4_000;
    plan.clients = 6;
    plan.storm_us = 20_000_000;
}

fn busy_slow_disk(plan: &mut Plan) {
    busy(plan);
    plan.disk_us = (5_000, 20_000);
}

fn forgetful(plan: &mut Plan) {
    plan.snapshot_every = 3;
    plan.history_entries = 0;
}

fn from_memory(plan: &mut Plan) {
    plan.snapshot_every = 1_000_000;
    plan.history_entries = 500;
}

fn from_log(plan: &mut Plan) {
    plan.snapshot_every = 40;
    plan.history_entries = 0;
}

fn with_observers(plan: &mut Plan) {
    plan.observers = 2;
}

fn members_change(plan: &mut Plan) {
    plan.voters = 5;
    plan.reconfig = true;
    plan.think_us = 20_000;
}

/// The list. `docs/zab.md` tells what is tested elsewhere.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        number: 1,
        name: "a synchronised quorum loses power after its acknowledgement",
        kinds: &[POWER_AT, POWER_ALL, POWER],
        count: 25,
        shape: busy_slow_disk,
        marks: &["DIFF", "a crash that lost what was not durable"],
    },
    Scenario {
        number: 2,
        name: "a crash between the history and its epoch",
        kinds: &[POWER_AT, KILL_AT, POWER_ALL],
        count: 25,
        shape: busy_slow_disk,
        marks: &[
            "a proposal in the initial history",
            "a crash between two effects",
        ],
    },
    Scenario {
        number: 3,
        name: "transactions are under way while a learner is synchronised",
        kinds: &[KILL, RESET],
        count: 20,
        shape: busy,
        marks: &["DIFF"],
    },
    Scenario {
        number: 4,
        name: "a commit between NEWLEADER and UPTODATE",
        kinds: &[KILL, RESET, SLOW_DISK],
        count: 20,
        shape: busy,
        marks: &["a commit between NEWLEADER and UPTODATE"],
    },
    Scenario {
        number: 5,
        name: "a state that breaks off",
        kinds: &[RESET],
        count: 5,
        shape: |plan| {
            forgetful(plan);
            plan.voters = 5;
            plan.purging = 0b10000;
            plan.filler = 40_000;
            plan.stalls = 50;
            plan.think_us = 20_000;
            // One falls behind; while it is sent a state its leader dies, and the next one has a log.
            for n in 0..9 {
                let at_us = n * 6_000_000 + 2_000_000;
                let wait_us = hash(plan.seed, n, 5) % 400_000;
                plan.scripted.extend([
                    fault(at_us + 1_900_000, Kind::SlowLink(0, 4), 1_000_000),
                    fault(at_us, Kind::Kill(Whom::Server(0)), 2_000_000),
                    fault(
                        at_us + 2_000_000 + wait_us,
                        Kind::Kill(Whom::Leader),
                        500_000,
                    ),
                    // The one that purges is to lead again.
                    fault(at_us + 3_500_000, Kind::Reset(Whom::Leader), 1_000),
                ]);
            }
        },
        marks: &["SNAP", "a snapshot that broke off"],
    },
    Scenario {
        number: 6,
        name: "a truncation, and a connection that is lost before NEWLEADER",
        kinds: &[ISOLATE, SPLIT, RESET, KILL_AT],
        count: 30,
        shape: busy,
        marks: &["TRUNC"],
    },
    Scenario {
        number: 7,
        name: "a tail that nobody else has, and a leader that nobody follows",
        kinds: &[ISOLATE, SPLIT, POWER_AT, KILL_AT],
        count: 30,
        shape: |plan| {
            busy(plan);
            plan.snapshot_every = 1_000_000;
        },
        marks: &["TRUNC on disk"],
    },
    Scenario {
        number: 8,
        name: "a truncation to where the log has been purged",
        kinds: &[ISOLATE, SPLIT, POWER_AT, SNAPSHOT],
        count: 30,
        shape: |plan| {
            busy(plan);
            forgetful(plan);
        },
        marks: &["SNAP", "a purged log"],
    },
    Scenario {
        number: 9,
        name: "power is lost right after a truncation",
        kinds: &[ISOLATE],
        count: 5,
        shape: |plan| {
            plan.think_us = 1_500_000;
            plan.clients = 4;
            for n in 0..16 {
                let at_us = n * 3_600_000 + 2_000_000;
                let wait_us = hash(plan.seed, n, 9) % 700_000;
                plan.scripted.extend([
                    fault(at_us, Kind::Isolate(Whom::Leader), 1_100_000),
                    fault(at_us + 1_100_000 + wait_us, Kind::PowerAll, 1_000),
                ]);
            }
        },
        marks: &["TRUNC on disk"],
    },
    Scenario {
        number: 10,
        name: "a log with a state in the middle is never served across it",
        kinds: &[KILL, POWER, KILL_AT],
        count: 3,
        shape: |plan| {
            from_log(plan);
            plan.think_us = 20_000;
            plan.voters = 5;
            plan.purging = 0b00111;
            // Two fall behind; one comes back and leads; then comes the other.
            let kill = |s, at_us, lasts_us| fault(at_us, Kind::Kill(Whom::Server(s)), lasts_us);
            let second = 1_000_000;
            plan.scripted = vec![
                kill(3, 15 * second, 15 * second),
                kill(4, 15 * second, 35 * second),
                kill(2, 40 * second, 5 * second),
                kill(1, 40 * second, second),
                kill(0, 40 * second, second),
            ];
        },
        marks: &["SNAP", "transactions from the log"],
    },
    Scenario {
        number: 11,
        name: "a follower that was synchronised leads without a restart",
        kinds: &[KILL, RESET, STOP],
        count: 30,
        shape: from_memory,
        marks: &["DIFF", "a leader was established"],
    },
    Scenario {
        number: 13,
        name: "roles change while the disk is busy",
        kinds: &[RESET, ISOLATE, CUT, SLOW_DISK],
        count: 40,
        shape: busy_slow_disk,
        marks: &["a server that stopped serving"],
    },
    Scenario {
        number: 14,
        name: "a disk that fails",
        kinds: &[DISK_ERROR, RESET],
        count: 20,
        shape: busy,
        marks: &["a disk that failed"],
    },
    Scenario {
        number: 15,
        name: "candidates with one epoch, and followers that crash between promise and answer",
        kinds: &[POWER_AT, KILL_AT, ISOLATE, SPLIT, SPLIT],
        count: 60,
        shape: |plan| {
            plan.voters = 5;
            plan.disk_us = (5_000, 20_000);
            plan.storm_us = 40_000_000;
            // Three agree on an epoch, and one of the other two comes to hear of it late; then the one
            // that led is gone, and those who have not heard of it choose the same number.
            for n in 0..60 {
                let pick = |of, bound| hash(plan.seed, 15 << 8 | n, of) % bound;
                let at_us = n * 600_000 + pick(0, 100_000);
                let until_us = 100_000 + pick(1, 300_000);
                let (gone, late) = (pick(2, 5), pick(3, 4));
                let late = (gone + 1 + late) % 5;
                let third = (0..5).filter(|s| *s != gone && *s != late);
                let third = third
                    .clone()
                    .nth(pick(4, 3) as usize)
                    .expect("one of three");
                plan.scripted.extend([
                    fault(
                        at_us,
                        Kind::SlowLink(gone as usize, late as usize),
                        until_us,
                    ),
                    fault(
                        at_us,
                        Kind::Split(1 << gone | 1 << late | 1 << third),
                        until_us,
                    ),
                    fault(at_us + until_us, Kind::Split(1 << gone), 600_000 - until_us),
                ]);
            }
        },
        marks: &["an ACKEPOCH that tells only a position"],
    },
    Scenario {
        number: 16,
        name: "learners that have promised more than their leader has",
        kinds: &[ISOLATE, SPLIT, ONE_WAY, KILL],
        count: 30,
        shape: |plan| plan.voters = 5,
        marks: &["a leader was established"],
    },
    Scenario {
        number: 17,
        name: "observers take part in the discovery of an epoch",
        kinds: &[KILL, ISOLATE, SPLIT, POWER],
        count: 30,
        shape: with_observers,
        marks: &["an observer serves"],
    },
    Scenario {
        number: 18,
        name: "an observer becomes a voter",
        kinds: &[RECONFIG, POWER_AT, KILL],
        count: 30,
        shape: |plan| {
            members_change(plan);
            plan.voters = 3;
            plan.observers = 2;
        },
        marks: &["a reconfiguration", "an observer serves"],
    },
    Scenario {
        number: 19,
        name: "votes are split, lost, late",
        kinds: &[CUT, ONE_WAY, MUTE, DEAF, PAUSE, KILL],
        count: 30,
        shape: |plan| plan.think_us = 20_000,
        marks: &["a leader was established"],
    },
    Scenario {
        number: 20,
        name: "votes without end",
        kinds: &[RESET, KILL],
        count: 10,
        shape: |plan| {
            plan.voters = 5;
            plan.storm_us = 20_000_000;
            // Each time it comes back it tells all others of its vote, while they elect.
            for n in 0..60 {
                let kill = Kind::Kill(Whom::Server(4));
                plan.scripted.push(fault(n * 300_000, kill, 60_000));
            }
            for n in 0..10 {
                plan.scripted
                    .push(fault(n * 2_000_000, Kind::Kill(Whom::Leader), 700_000));
            }
        },
        marks: &["a leader was established", "a follower serves"],
    },
    Scenario {
        number: 21,
        name: "a voter changes its mind",
        kinds: &[KILL_AT, RESET, CUT, PAUSE],
        count: 30,
        shape: |plan| plan.voters = 5,
        marks: &["a leader was established"],
    },
    Scenario {
        number: 22,
        name: "a leader in a minority goes on",
        kinds: &[ISOLATE, SPLIT, MUTE, DEAF],
        count: 25,
        shape: busy,
        marks: &["TRUNC", "a dial without an answer"],
    },
    Scenario {
        number: 23,
        name: "a paused follower resumes when its leader is gone",
        kinds: &[PAUSE, KILL, POWER],
        count: 30,
        shape: busy,
        marks: &["bytes for a server that died"],
    },
    Scenario {
        number: 24,
        name: "the numbers of an epoch run out",
        kinds: &[KILL, RESET],
        count: 5,
        shape: |plan| {
            busy(plan);
            // Not after 2^32.
            plan.last_counter = if cfg!(feature = "mutations") { 40 } else { 0 };
        },
        marks: &["an epoch without numbers"],
    },
    Scenario {
        number: 25,
        name: "members change while everything breaks",
        kinds: &[RECONFIG, KILL, KILL_AT, POWER_AT, ISOLATE],
        count: 40,
        shape: members_change,
        marks: &["a reconfiguration", "a server that joins"],
    },
    Scenario {
        number: 26,
        name: "the leader is removed while writes are under way behind it",
        kinds: &[RECONFIG],
        count: 30,
        shape: |plan| {
            busy(plan);
            plan.reconfig = true;
            plan.voters = 5;
        },
        marks: &["a leader that hands over"],
    },
    Scenario {
        number: 27,
        name: "an epoch file is not what was written",
        kinds: &[POWER, POWER_ALL, POWER_AT],
        count: 30,
        shape: plain,
        marks: &["a leader was established"],
    },
    Scenario {
        number: 28,
        name: "sessions move, expire, and end during a fail-over",
        kinds: &[KILL, ISOLATE, SLOW_LINK, PAUSE],
        count: 25,
        shape: |plan| plan.think_us = 20_000,
        marks: &[
            "a session that moved",
            "a session that expired",
            "a refused write",
        ],
    },
    Scenario {
        number: 29,
        name: "syncs while leaders change",
        kinds: &[KILL, RESET, ISOLATE],
        count: 30,
        shape: busy,
        marks: &["a sync through the leader"],
    },
    Scenario {
        number: 30,
        name: "a follower that is slow to acknowledge",
        kinds: &[SLOW_DISK, SLOW_LINK, PAUSE],
        count: 30,
        shape: busy,
        marks: &["a server that stopped serving"],
    },
    Scenario {
        number: 31,
        name: "members of Java beside those of Zooid",
        kinds: &[KILL, POWER, KILL_AT, POWER_AT, ISOLATE, SPLIT, RESET, STOP],
        count: 30,
        shape: |plan| {
            busy(plan);
            plan.voters = 5;
            plan.observers = (plan.seed % 2) as usize;
            if cfg!(feature = "mutations") {
                plan.mix(Mix::All);
            }
        },
        marks: &[
            "a member of Java follows one of Zooid",
            "a member of Zooid follows one of Java",
            "a commit between NEWLEADER and UPTODATE",
        ],
    },
];

/// A guard, and the scenarios in which its absence is found.
pub const WATCHED: &[(Guard, &[u8])] = &[
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::AckAfterFlush]), &[1]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::HistoryAckAfterFlush]), &[1]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::EpochAfterHistory]), &[2]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::OwnAckAfterFlush]), &[1]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::OutstandingForwarded]), &[3]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::OutstandingBehind]), &[4]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::EarlyCommitKept]), &[4]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::BarrierAtState]), &[10]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::QuietBeforeVote]), &[13]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::PromiseAfterFlush]), &[15]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::LeaderInfoAfterFlush]), &[15]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::NoSecondPromise]), &[15]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::EpochAboveAll]), &[16]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::VotersOnly]), &[17]),
    #[cfg(feature = "mutations")]
    (
        Guard::Peer(&[Peer::PositionsCompared, Peer::BestVoteWins]),
        &[19],
    ),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::CommitNeedsQuorum]), &[22]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::HistoryNeedsQuorum]), &[7]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::ServeAfterUpToDate]), &[6]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::LonelyLeaderStops]), &[22]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::SilentLeaderLeft]), &[23]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::BothQuorums]), &[25]),
    #[cfg(feature = "mutations")]
    (Guard::Peer(&[Peer::HandOverEnds]), &[26]),
    (Guard::Driver(Driver::BrokenStateDropped), &[5]),
    (Guard::Driver(Driver::TruncationDurable), &[9]),
    (Guard::Driver(Driver::TruncationDropsStates), &[7]),
    (Guard::Driver(Driver::DiskErrorEnds), &[14]),
    (Guard::Driver(Driver::EpochDurable), &[27]),
];
