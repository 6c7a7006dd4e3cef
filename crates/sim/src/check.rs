//! What a crash may leave: a state that was acknowledged or on its way, whole, and once it was
//! shown to clients it stays.

use crate::dice::Dice;
use crate::disk::{Crash, Disk, FaultyFiles, ROT, Rot, SECTOR};
use crate::history::{History, State, dump};
use crate::run::choose_step;
use crate::server::{Opened, Options, Server, Step, open};
use std::ops::Range;
use zooid_node::Now;
use zooid_node::recover::Mismatches;
use zooid_store::files::Files;
use zooid_store::layout::NamedFile;
use zooid_store::log::HEADER_LEN;
use zooid_store::log_reader::LogReader;
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
    /// A part of a log has rotted.
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
    /// A log rotted like this, and was refused, or the damage was in nothing that counts.
    Rotted {
        /// How.
        how: Rot,
        /// Whether it was refused.
        refused: bool,
    },
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
            let Some((name, how)) = rot_log(&mut disk, options, &mut dice) else {
                return Ok(Outcome::Recovered);
            };
            return match open(&FaultyFiles::new(disk), options) {
                Ok(opened) => expect(&opened, options, witness)
                    .map(|_| Outcome::Rotted {
                        how,
                        refused: false,
                    })
                    .map_err(|error| format!("{name} rotted ({how:?}): {error}")),
                Err(error) if error.contains(&name) => Ok(Outcome::Rotted { how, refused: true }),
                Err(error) => Err(format!("{name} rotted ({how:?}), but: {error}")),
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
        disk.rot(&snapshot.path, len / 2..len, dice.of(&ROT), dice.any());
    }
    let files = FaultyFiles::new(disk.clone());
    for snapshot in &snapshots[..bad] {
        if verify(&files, snapshot) {
            // Zeros that were zeros before, or a place without meaning: rub it out.
            let _ = files
                .open_write(&snapshot.path)
                .and_then(|mut file| file.set_len(snapshot.len / 2));
        }
    }
    *disk = files.disk().crash(Crash::PowerAllKept);
}

/// Lets a part of one log rot; its name, and how.
fn rot_log(disk: &mut Disk, options: &Options, dice: &mut Dice) -> Option<(String, Rot)> {
    let files = FaultyFiles::new(disk.clone());
    let mut logs = options.dirs.logs(&files).unwrap_or_default();
    logs.retain(|log| log.len > 0);
    if logs.is_empty() {
        return None;
    }
    let log = dice.of(&logs);
    let content = disk.content(&log.path)?;
    let end = content.iter().rposition(|byte| *byte != 0)? + 1;
    let mut how = dice.of(&ROT);
    let mut range = 0..end;
    if how != Rot::Bit {
        // Nothing in a later file says that there was something.
        let mut later = logs.iter().filter(|later| later.zxid > log.zxid);
        let newest = later.all(|later| last_entry(&files, later).is_none());
        match big_rot(&files, &log, &content, how, newest) {
            Some(entries) => range = entries,
            None => how = Rot::Bit,
        }
    }
    disk.rot(&log.path, range, how, dice.any());
    Some((log.path.display().to_string(), how))
}

/// Where more than a bit may rot. A torn write that nobody was told of is a sector of zeros behind
/// which no entry, or few, follow: nobody can tell rot that looks the same, at the end of the
/// newest log, from it. So the last entry is left out, and all of the newest log if an entry has
/// zeros of its own, or if zeros are what is put there.
fn big_rot(
    files: &FaultyFiles,
    log: &NamedFile,
    content: &[u8],
    how: Rot,
    newest: bool,
) -> Option<Range<usize>> {
    let range = HEADER_LEN as usize..last_entry(files, log)?;
    let hollow = || {
        let mut sectors = content[..range.end].chunks(SECTOR);
        sectors.any(|sector| sector.iter().all(|byte| *byte == 0))
    };
    let ambiguous = newest && (how == Rot::Zeros || hollow());
    (!range.is_empty() && !ambiguous).then_some(range)
}

/// Where the last whole entry of a log starts.
fn last_entry(files: &FaultyFiles, log: &NamedFile) -> Option<usize> {
    let mut reader = LogReader::open(files, &log.path, i32::MAX as usize).ok()?;
    while let Ok(true) = reader.advance() {}
    Some(reader.last_entry()? as usize)
}
