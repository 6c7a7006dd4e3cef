//! One run: a server that lives several lives on one disk, and a crash at every boundary between
//! two operations of the disk.

use crate::check::{Outcome, Point, THEN, Then, Witness, any_crash, check, expect};
use crate::dice::{Dice, hash};
use crate::disk::{Crash, Disk, Faults, FaultyFiles, Happened, Op, ROT};
use crate::history::History;
use crate::server::{Options, Server, Step, open};
use std::fmt;
use zooid_node::Now;
use zooid_store::DataDirs;
use zooid_store::log::LogOptions;
use zooid_store::snapshot::Compression;

/// Crashes at each boundary.
const CRASHES: u64 = 4;
/// Lives of the server in one run.
const LIVES: u64 = 6;

/// A point that does not hold.
#[derive(Debug)]
pub struct Failure {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the point in the run; `None`: the run itself.
    pub point: Option<u64>,
    /// What happened there.
    pub what: String,
}

/// What runs have seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Crash points.
    pub points: u64,
    /// Boundaries between operations.
    pub boundaries: u64,
    /// Points by crash: process, power with nothing, all or a part kept.
    pub crashes: [u64; 4],
    /// Points by what followed, as in [`THEN`].
    pub then: [u64; 5],
    /// Rotten logs by kind of rot, as in [`ROT`].
    pub rotted: [u64; 4],
    /// Rotten logs that were refused, by kind of rot.
    pub refused: [u64; 4],
    /// Lives that ended because the log could not be written.
    pub stopped: u64,
    /// Lives on a slow disk.
    pub slow: u64,
    /// Operations that failed once.
    pub failed: u64,
    /// Operations refused for want of room.
    pub full: u64,
    /// Writes of which a part was done before an error.
    pub short: u64,
    /// Transactions made.
    pub made: u64,
    /// Transactions acknowledged.
    pub acknowledged: u64,
    /// Rounds of the log.
    pub batches: u64,
    /// Log files ended for a snapshot.
    pub rolls: u64,
    /// Snapshots finished: plain, gz, snappy.
    pub snapshots: [u64; 3],
    /// Snapshots that failed.
    pub failed_snapshots: u64,
    /// Files that purges removed.
    pub purged: u64,
}

/// How the run of a seed is configured.
pub fn options(seed: u64) -> Options {
    let mut dice = Dice::new(seed, 30);
    let split = dice.once_in(3);
    let dirs = DataDirs::new("/data", split.then(|| "/log".into()));
    Options {
        dirs,
        compression: dice.of(&[Compression::Plain, Compression::Gz, Compression::Snappy]),
        log: LogOptions {
            pre_alloc: dice.of(&[0, 1024, 4096, 16 << 10, 64 << 10]),
            size_limit: dice.of(&[None, None, Some(2000), Some(20_000)]),
            force_sync: true,
        },
        snap_count: dice.of(&[8, 20, 40]),
        snap_size: dice.of(&[None, None, Some(30_000)]),
        ..Options::default()
    }
}

/// The next step of a server. Time goes on.
pub fn choose_step(dice: &mut Dice, now: &mut Now) -> Step {
    let ms = dice.below(20) as i64;
    now.mono_ms += ms;
    now.wall_ms += ms;
    match dice.below(64) {
        0..=15 => Step::Ask(1 + dice.below(5)),
        16..=29 => Step::Core,
        30..=49 => Step::Log,
        50..=60 => Step::Snapshot(1 + dice.below(16) as usize),
        61 => Step::Purge,
        _ => {
            let ms = dice.of(&[0, 100, 2500]);
            now.mono_ms += ms;
            now.wall_ms += ms;
            Step::Tick
        }
    }
}

/// Runs a seed with all its points, or with one of them.
pub fn run(seed: u64, only: Option<u64>, tally: &mut Tally) -> Result<(), Failure> {
    let options = options(seed);
    let mut run = Run {
        seed,
        only,
        points: 0,
        history: History::new(options.tree()),
        acknowledged: 0,
        options,
        now: Now {
            mono_ms: 0,
            wall_ms: 1_800_000_000_000,
        },
        tally,
    };
    let result = run.lives();
    run.tally.runs += 1;
    result.map_err(|what| Failure {
        seed,
        point: what.point,
        what: what.what,
    })
}

struct Run<'t> {
    seed: u64,
    only: Option<u64>,
    points: u64,
    options: Options,
    history: History,
    /// By the lives before.
    acknowledged: i64,
    now: Now,
    tally: &'t mut Tally,
}

struct What {
    point: Option<u64>,
    what: String,
}

impl From<String> for What {
    fn from(what: String) -> What {
        What { point: None, what }
    }
}

impl Run<'_> {
    fn lives(&mut self) -> Result<(), What> {
        let mut dice = Dice::new(self.seed, 31);
        let exist: &[&str] = if dice.once_in(2) {
            &[]
        } else {
            &["/data", "/log"]
        };
        let mut disk = Disk::new(self.seed, exist.iter().copied());
        for life in 0..LIVES {
            let mut dice = Dice::new(self.seed, 100 + life);
            let files = FaultyFiles::new(disk);
            let before = files.happened();
            self.life(&files, &mut dice)?;
            self.count_faults(before, files.happened());
            if self.is_done() {
                return Ok(());
            }
            disk = files.disk().crash(any_crash(&mut dice));
        }
        Ok(())
    }

    /// Starts, works, and perhaps stops because of the disk.
    fn life(&mut self, files: &FaultyFiles, dice: &mut Dice) -> Result<(), What> {
        // What the last life left is one of the checked states; which one shows here.
        let copy = FaultyFiles::new(files.disk());
        let opened = open(&copy, &self.options)?;
        let whole = Witness {
            history: &self.history,
            acknowledged: self.acknowledged,
            made: self.history.last_zxid(),
        };
        let zxid = expect(&opened, &self.options, &whole)?;
        self.history.truncate(zxid, self.options.tree());

        files.record();
        let faults = faults(dice, files.ops());
        files.set_faults(faults);
        self.tally.slow += u64::from(faults.slowness > 1);
        // Clocks stand still between two lives at least as long as a reboot takes.
        self.now.wall_ms += 1000;
        let mut busy_us = files.busy_us();
        let started = Server::start(files.clone(), &self.options, dice.any(), self.now);
        // Nobody has seen what is recovered before the start is done.
        self.check_boundaries(files.take_boundaries(), self.acknowledged)?;
        let mut server = match started {
            Ok(server) => server,
            Err(_) if faults != Faults::default() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let steps = 60 + dice.below(140);
        for _ in 0..steps {
            if self.is_done() {
                break;
            }
            let acknowledged = server.acknowledged();
            let step = choose_step(dice, &mut self.now);
            let ended = server.step(step, self.now);
            let slept = (files.busy_us() - busy_us) / 1000;
            self.now.mono_ms += slept as i64;
            self.now.wall_ms += slept as i64;
            busy_us += slept * 1000;
            self.history.note(&server.take_made())?;
            self.check_boundaries(files.take_boundaries(), acknowledged)?;
            if let Err(error) = ended {
                if faults == Faults::default() {
                    return Err(error.to_string().into());
                }
                self.tally.stopped += 1;
                self.after_the_end(&mut server)?;
                break;
            }
        }
        self.check_boundaries(files.take_boundaries(), server.acknowledged())?;
        self.acknowledged = server.acknowledged();
        self.check_boundaries(vec![files.disk()], self.acknowledged)?;
        self.count(&server, zxid);
        Ok(())
    }

    /// The log failed: it takes nothing any more, and only what was durable before is
    /// acknowledged.
    fn after_the_end(&mut self, server: &mut Server) -> Result<(), What> {
        server.files().set_faults(Faults::default());
        let mut last = None;
        for _ in 0..3 {
            for step in [Step::Ask(2), Step::Core] {
                let _ = server.step(step, self.now);
                self.history.note(&server.take_made())?;
            }
            if server.step(Step::Log, self.now).is_ok() {
                return Err("the log was used after an error".to_string().into());
            }
            let acknowledged = server.acknowledged();
            if last.is_some_and(|last| last != acknowledged) {
                return Err("acknowledged after the log failed".to_string().into());
            }
            last = Some(acknowledged);
        }
        Ok(())
    }

    fn check_boundaries(&mut self, disks: Vec<Disk>, acknowledged: i64) -> Result<(), What> {
        for disk in disks {
            self.tally.boundaries += 1;
            for crash in 0..CRASHES {
                let number = self.points;
                self.points += 1;
                if self.only.is_some_and(|only| only != number) {
                    continue;
                }
                let point = self.point(number, crash);
                let witness = Witness {
                    history: &self.history,
                    acknowledged,
                    made: self.history.last_zxid(),
                };
                let outcome = check(&disk, &point, &self.options, &witness);
                self.tally.add(&point, &outcome);
                outcome.map_err(|error| What {
                    point: Some(number),
                    what: format!(
                        "before operation {}, {:?}, then {:?}; {:?}: {error}",
                        disk.ops() + 1,
                        point.crash,
                        point.then,
                        self.options
                    ),
                })?;
            }
        }
        Ok(())
    }

    fn point(&self, number: u64, crash: u64) -> Point {
        let seed = hash(self.seed, 32, number);
        let mut dice = Dice::new(seed, 33);
        Point {
            crash: match crash {
                0 => Crash::Kill,
                1 => Crash::PowerNothingKept,
                _ if dice.once_in(8) => Crash::PowerAllKept,
                _ => Crash::Power(dice.any()),
            },
            then: match dice.below(16) {
                0..=6 => Then::Start,
                7..=8 => Then::CrashInStart,
                9..=11 => Then::GoOn,
                12..=13 => Then::RotSnapshots,
                _ => Then::RotLog,
            },
            seed,
            now: Now {
                mono_ms: 0,
                wall_ms: self.now.wall_ms + 1000,
            },
        }
    }

    fn is_done(&self) -> bool {
        self.only.is_some_and(|only| self.points > only)
    }

    fn count_faults(&mut self, before: Happened, after: Happened) {
        self.tally.failed += after.failed - before.failed;
        self.tally.full += after.full - before.full;
        self.tally.short += after.short - before.short;
    }

    fn count(&mut self, server: &Server, began: i64) {
        let counts = server.counts();
        let tally = &mut *self.tally;
        tally.made += (self.history.last_zxid() - began) as u64;
        tally.acknowledged += (server.acknowledged() - began) as u64;
        tally.batches += counts.batches;
        tally.rolls += counts.rolls;
        let compression = match self.options.compression {
            Compression::Plain => 0,
            Compression::Gz => 1,
            Compression::Snappy => 2,
        };
        tally.snapshots[compression] += counts.snapshots;
        tally.failed_snapshots += counts.failed_snapshots;
        tally.purged += counts.purged;
    }
}

/// What goes wrong in one life: nothing in most of them.
fn faults(dice: &mut Dice, ops: u64) -> Faults {
    let at = ops + 1 + dice.below(300);
    let mut faults = Faults::default();
    match dice.below(12) {
        0 | 1 => faults.fails = Some((Op::Sync, at)),
        2 => {
            let ops = [Op::Create, Op::Write, Op::Rename, Op::Remove, Op::SyncDir];
            faults.fails = Some((dice.of(&ops), at));
        }
        3 | 4 => faults.full_from = Some(at),
        5 => faults.slowness = 1 + dice.below(2000),
        _ => {}
    }
    faults
}

impl Tally {
    fn add(&mut self, point: &Point, outcome: &Result<Outcome, String>) {
        self.points += 1;
        self.crashes[match point.crash {
            Crash::Kill => 0,
            Crash::PowerNothingKept => 1,
            Crash::PowerAllKept => 2,
            Crash::Power(_) => 3,
        }] += 1;
        let then = THEN.iter().position(|then| *then == point.then);
        self.then[then.expect("all are there")] += 1;
        if let Ok(Outcome::Rotted { how, refused }) = outcome {
            let kind = ROT
                .iter()
                .position(|rot| rot == how)
                .expect("all are there");
            self.rotted[kind] += 1;
            self.refused[kind] += u64::from(*refused);
        }
    }

    /// What a long enough series of runs must have seen, and has not.
    pub fn missing(&self) -> Vec<&'static str> {
        let seen = [
            ("a process that was killed", self.crashes[0]),
            ("a power cut that kept nothing", self.crashes[1]),
            ("a power cut that kept everything", self.crashes[2]),
            ("a power cut that kept a part", self.crashes[3]),
            ("a crash in the start", self.then[1]),
            ("a server that went on", self.then[2]),
            ("rotten snapshots", self.then[3]),
            ("rotten logs", self.then[4]),
            ("a log with a rotten bit that was refused", self.refused[0]),
            ("a log with rotten bits that was refused", self.refused[1]),
            (
                "a log with a rotten sector that was refused",
                self.refused[2],
            ),
            (
                "a log with a sector of zeros that was refused",
                self.refused[3],
            ),
            ("a server that stopped because of its log", self.stopped),
            ("a slow disk", self.slow),
            ("an operation that failed", self.failed),
            ("a full disk", self.full),
            ("a short write", self.short),
            ("a roll of the log", self.rolls),
            ("a plain snapshot", self.snapshots[0]),
            ("a gz snapshot", self.snapshots[1]),
            ("a snappy snapshot", self.snapshots[2]),
            ("a snapshot that failed", self.failed_snapshots),
            ("a purged file", self.purged),
        ];
        let unseen = seen.into_iter().filter(|(_, count)| *count == 0);
        unseen.map(|(what, _)| what).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kill, nothing, all, part] = self.crashes;
        let [_, in_start, go_on, rot_snapshots, rot_log] = self.then;
        let [bit, bits, noise, zeros] = self.rotted;
        let [no_bit, no_bits, no_noise, no_zeros] = self.refused;
        let [plain, gz, snappy] = self.snapshots;
        writeln!(
            f,
            "{} crash points at {} boundaries of {} runs",
            self.points, self.boundaries, self.runs
        )?;
        writeln!(
            f,
            "crashes: process {kill}, power {nothing} with nothing kept, {all} with all, {part} \
             with a part"
        )?;
        writeln!(
            f,
            "then: second crash in the start {in_start}, went on and crashed again {go_on}, \
             rotten snapshots {rot_snapshots}, rotten log {rot_log}"
        )?;
        writeln!(
            f,
            "logs rotten and refused: a bit {bit} {no_bit}, bits {bits} {no_bits}, a sector {noise} \
             {no_noise}, a sector of zeros {zeros} {no_zeros}"
        )?;
        writeln!(
            f,
            "disk: {} failed operations, {} refused as full, {} short writes, {} slow lives; {} \
             servers stopped by their log",
            self.failed, self.full, self.short, self.slow, self.stopped
        )?;
        write!(
            f,
            "servers: {} transactions made, {} acknowledged, {} batches, {} rolls, snapshots {} \
             plain, {} gz, {} snappy, {} failed; {} files purged",
            self.made,
            self.acknowledged,
            self.batches,
            self.rolls,
            plain,
            gz,
            snappy,
            self.failed_snapshots,
            self.purged
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        write!(f, "again: crash-points --run {}", self.seed)?;
        if let Some(point) = self.point {
            write!(f, " --point {point}")?;
        }
        Ok(())
    }
}
