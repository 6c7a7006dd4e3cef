//! What a crash may leave: a state that was acknowledged or on its way, whole, and once it was
//! shown to clients it stays.

use crate::dice::Dice;
use crate::disk::{Crash, Disk, FaultyFiles};
use crate::history::{History, State, dump};
use crate::run::choose_step;
use crate::server::{Opened, Options, Server, Step, open};
use zooid_node::Now;
use zooid_node::recover::Mismatches;
use zooid_store::files::Files;
use zooid_store::layout::NamedFile;
use zooid_store::purge::{MIN_RETAIN, verify};

/// What is known of the moment of a crash.
#[derive(Debug, Clone, Copy)]
pub struct Witness<'h> {
    /// The state behind every transaction.
    pub history: &'h History,
    /// Replies up to here may have been sent.
    pub acknowledged: i64,
    /// The last transaction that was made.
    pub made: i64,
}

/// What happens to the disk of a crashed server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is started from.
    Start,
    /// The start is interrupted by a second crash.
    CrashInStart,
    /// The server goes on for a while, then comes a second crash.
    GoOn,
    /// Newest snapshots have rotted, as many as may be with three of them; then comes a purge.
    RotSnapshots,
    /// A bit of a log has rotted.
    RotLog,
}

/// All that can happen next.
pub const THEN: [Then; 5] = [
    Then::Start,
    Then::CrashInStart,
    Then::GoOn,
    Then::RotSnapshots,
    Then::RotLog,
];

/// A crash and what follows.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// What ends the server.
    pub crash: Crash,
    /// What follows.
    pub then: Then,
    /// Where further choices come from.
    pub seed: u64,
    /// The time of the restart.
    pub now: Now,
}

/// How a point ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With the state.
    Recovered,
    /// Rotten data were refused.
    Refused,
}

/// Crashes a disk and starts from it.
pub fn check(
    disk: &Disk,
    point: &Point,
    options: &Options,
    witness: &Witness<'_>,
) -> Result<Outcome, String> {
    let mut dice = Dice::new(point.seed, 20);
    let mut disk = disk.crash(point.crash);
    match point.then {
        Then::CrashInStart => {
            let files = FaultyFiles::new(disk);
            files.record();
            let started = Server::start(files.clone(), options, point.seed, point.now);
            started.map_err(|error| format!("the start that is interrupted: {error}"))?;
            let mut boundaries = files.take_boundaries();
            boundaries.push(files.disk());
            disk = dice.of(&boundaries).crash(any_crash(&mut dice));
        }
        Then::RotSnapshots => rot_snapshots(&mut disk, options, &mut dice),
        Then::RotLog => {
            let Some(name) = rot_log(&mut disk, options, &mut dice) else {
                return Ok(Outcome::Recovered);
            };
            return match open(&FaultyFiles::new(disk), options) {
                Ok(opened) => expect(&opened, options, witness).map(|_| Outcome::Recovered),
                Err(error) if error.contains(&name) => Ok(Outcome::Refused),
                Err(error) => Err(format!("{name} rotted, but: {error}")),
            };
        }
        Then::Start | Then::GoOn => {}
    }
    let files = FaultyFiles::new(disk);
    let first = open(&files, options)?;
    let zxid = expect(&first, options, witness)?;
    // From here on clients may have seen that state.
    let seen = Witness {
        acknowledged: zxid,
        made: zxid,
        ..*witness
    };
    let files = FaultyFiles::new(files.disk().crash(Crash::PowerNothingKept));
    let again = |error| format!("after a second crash behind the recovery: {error}");
    let second = open(&files, options).map_err(again)?;
    expect(&second, options, &seen).map_err(again)?;
    if point.then == Then::RotSnapshots {
        let good = good_snapshots(&files, options).len();
        let mut server = Server::start(files.clone(), options, dice.any(), point.now)?;
        let purged = server.step(Step::Purge, point.now);
        purged.map_err(|error| error.to_string())?;
        let files = FaultyFiles::new(files.disk().crash(Crash::PowerNothingKept));
        let behind = |error| format!("behind a purge among rotten snapshots: {error}");
        let third = open(&files, options).map_err(behind)?;
        expect(&third, options, &seen).map_err(behind)?;
        let left = good_snapshots(&files, options).len();
        if left < good.min(MIN_RETAIN) {
            return Err(behind(format!("of {good} good ones {left} are left")));
        }
    }
    if point.then == Then::GoOn {
        let history = History::from(second.tree.tree);
        go_on(files, point, options, history, dice)
            .map_err(|error| format!("going on behind {zxid:#x}: {error}"))?;
    }
    Ok(Outcome::Recovered)
}

/// A few steps, a crash at one of their operations, a start.
fn go_on(
    files: FaultyFiles,
    point: &Point,
    options: &Options,
    mut history: History,
    mut dice: Dice,
) -> Result<(), String> {
    files.record();
    let mut now = point.now;
    let mut server = Server::start(files.clone(), options, dice.any(), now)?;
    let mut boundaries = Vec::new();
    let steps = 8 + dice.below(40);
    for _ in 0..steps {
        let acknowledged = server.acknowledged();
        let step = choose_step(&mut dice, &mut now);
        server.step(step, now).map_err(|error| error.to_string())?;
        history.note(&server.take_made())?;
        let made = history.last_zxid();
        let before = files.take_boundaries().into_iter();
        boundaries.extend(before.map(|disk| (disk, acknowledged, made)));
    }
    boundaries.push((files.disk(), server.acknowledged(), history.last_zxid()));
    let (disk, acknowledged, made) = dice.of(&boundaries);
    let opened = open(&FaultyFiles::new(disk.crash(any_crash(&mut dice))), options)?;
    let witness = Witness {
        history: &history,
        acknowledged,
        made,
    };
    expect(&opened, options, &witness).map(drop)
}

/// Any crash.
pub fn any_crash(dice: &mut Dice) -> Crash {
    match dice.below(6) {
        0 => Crash::Kill,
        1 => Crash::PowerNothingKept,
        2 => Crash::PowerAllKept,
        _ => Crash::Power(dice.any()),
    }
}

/// Compares what was recovered with what may be; returns its zxid.
pub fn expect(opened: &Opened, options: &Options, witness: &Witness<'_>) -> Result<i64, String> {
    let Witness {
        history,
        acknowledged,
        made,
    } = *witness;
    let tree = &opened.tree.tree;
    let zxid = tree.last_processed_zxid();
    if zxid != opened.recovered.last_zxid {
        let log = opened.recovered.last_zxid;
        return Err(format!("the tree ends at {zxid:#x}, the log at {log:#x}"));
    }
    if zxid < acknowledged {
        return Err(format!(
            "LOST: {acknowledged:#x} was acknowledged, the state ends at {zxid:#x}: {:?}",
            opened.recovered.warnings
        ));
    }
    if zxid > made {
        return Err(format!("{zxid:#x} was never made, only up to {made:#x}"));
    }
    if opened.tree.mismatches != Mismatches::default() {
        return Err(format!("digests differ: {:?}", opened.tree.mismatches));
    }
    if let Some(session) = opened.tree.orphan_sessions.first() {
        return Err(format!("session {session:#x} has nodes and is not there"));
    }
    let state = State::of(tree);
    let expected = history.state(zxid);
    if expected != Some(state) {
        return Err(format!(
            "the state at {zxid:#x} is another one\n--- expected\n{}\n--- found\n{}",
            history.dump(zxid, options.tree()),
            dump(tree)
        ));
    }
    Ok(zxid)
}

fn good_snapshots(files: &FaultyFiles, options: &Options) -> Vec<NamedFile> {
    let mut snapshots = options.dirs.snapshots(files).unwrap_or_default();
    snapshots.retain(|snapshot| verify(files, snapshot));
    snapshots
}

/// Of three good snapshots, the two newest may be lost: a purge keeps what the third one needs.
fn rot_snapshots(disk: &mut Disk, options: &Options, dice: &mut Dice) {
    let snapshots = good_snapshots(&FaultyFiles::new(disk.clone()), options);
    let bad = dice.below(snapshots.len().min(3) as u64) as usize;
    for snapshot in &snapshots[..bad] {
        // Somewhere in the middle: compressed formats have bytes in front that mean nothing.
        let len = snapshot.len as usize;
        for at in len / 2..(len / 2 + 24).min(len) {
            disk.flip(&snapshot.path, at, dice.any() as u8);
        }
    }
    let files = FaultyFiles::new(disk.clone());
    for snapshot in &snapshots[..bad] {
        if verify(&files, snapshot) {
            // Flipped twice, or in a place without meaning: rub it out.
            let _ = files
                .open_write(&snapshot.path)
                .and_then(|mut file| file.set_len(snapshot.len / 2));
        }
    }
    *disk = files.disk().crash(Crash::PowerAllKept);
}

/// Flips one bit of one log; returns its name.
fn rot_log(disk: &mut Disk, options: &Options, dice: &mut Dice) -> Option<String> {
    let files = FaultyFiles::new(disk.clone());
    let mut logs = options.dirs.logs(&files).unwrap_or_default();
    logs.retain(|log| log.len > 0);
    if logs.is_empty() {
        return None;
    }
    let log = dice.of(&logs);
    let content = disk.content(&log.path)?;
    let end = content.iter().rposition(|byte| *byte != 0)? as u64 + 1;
    disk.flip(&log.path, dice.below(end) as usize, dice.any() as u8);
    Some(log.path.display().to_string())
}
