//! `zooid verify`: reads a data directory whole, changes nothing, says what is good in it and
//! whether a server would start.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zooid_config::{Config, Sources};
use zooid_node::recover::{RecoveredTree, Recovery};
use zooid_proto::records::Acl;
use zooid_proto::txn::LogEntry;
use zooid_proto::zxid::epoch;
use zooid_store::layout::{LOCK_FILE, NamedFile};
use zooid_store::log_reader::{EndReason, LogReader};
use zooid_store::recover::{Base, RecoverOptions, Recovered, Warning, recover};
use zooid_store::snapshot::{SnapshotNode, SnapshotSink, passes_precheck, read_file};
use zooid_store::{CorruptLog, DataDirs, Files, OsFiles, StoreError};

/// Directories that are looked for when the given one holds nothing.
const VERSION_DIR: &str = "version-2";

/// Verifies the directories of a configuration; `log_dir` replaces its dataLogDir. Ends with 0
/// where a server would start on what is there, with 1 where it would not, or would hold something
/// else than what was logged.
pub(crate) fn run(sources: Sources, log_dir: Option<PathBuf>) -> ExitCode {
    let config = match Config::load(sources) {
        Ok(loaded) => loaded.config,
        Err(error) => {
            eprintln!("zooid: {error}");
            return ExitCode::FAILURE;
        }
    };
    let log_dir = log_dir.unwrap_or_else(|| config.data_log_dir.clone());
    let log_dir = (log_dir != config.data_dir).then_some(log_dir);
    let dirs = DataDirs::new(config.data_dir.clone(), log_dir);
    let mut text = String::new();
    let good = verify(&OsFiles, &dirs, &config, &mut text);
    print!("{text}");
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Writes what it finds into `text`; whether a server would start on it.
fn verify(files: &dyn Files, dirs: &DataDirs, config: &Config, text: &mut String) -> bool {
    match look(files, dirs, config, text) {
        Ok(good) => good,
        Err(error) => {
            let _ = writeln!(text, "the server would NOT start: {error}");
            false
        }
    }
}

fn look(
    files: &dyn Files,
    dirs: &DataDirs,
    config: &Config,
    text: &mut String,
) -> Result<bool, StoreError> {
    for dir in [dirs.data_dir(), dirs.data_log_dir()] {
        let wrong = match files.stat(dir) {
            Err(error) => error.to_string(),
            Ok(None) => "there is no such directory".to_owned(),
            Ok(Some(meta)) if !meta.is_dir => "is not a directory".to_owned(),
            Ok(Some(_)) => continue,
        };
        let _ = writeln!(text, "{}: {wrong}", dir.display());
        return Ok(false);
    }
    running(dirs, text);
    let (snapshots, logs) = (dirs.snapshots(files)?, dirs.logs(files)?);
    if snapshots.is_empty() && logs.is_empty() && dirs.data_dir().ends_with(VERSION_DIR) {
        let parent = dirs.data_dir().parent().unwrap_or(Path::new("."));
        let _ = writeln!(
            text,
            "{} is the inner directory: verify {}, as dataDir says",
            dirs.data_dir().display(),
            parent.display()
        );
        return Ok(false);
    }
    for snapshot in &snapshots {
        let _ = writeln!(text, "{}", snapshot_line(files, snapshot));
    }
    let mut last = None;
    for (at, log) in logs.iter().enumerate() {
        let newest = at + 1 == logs.len();
        let _ = writeln!(text, "{}", log_line(files, log, newest, &mut last));
    }
    dirs.check_separation(files)?;

    let settings = zooid_server::settings::of(config);
    let options = RecoverOptions {
        trust_empty: config.snapshot.trust_empty,
        autocreate: config.db_autocreate,
        max_payload: i32::MAX as usize,
    };
    let mut recovery = Recovery::new(&settings, |_| {});
    let recovered = recover(files, dirs, &options, &mut recovery)?;
    let tree = match recovery.finish() {
        Ok(tree) => tree,
        Err(error) => {
            let dir = dirs.data_dir().display();
            let _ = writeln!(text, "the server would NOT start: {dir}: {error}");
            return Ok(false);
        }
    };
    Ok(verdict(dirs, &recovered, &tree, text))
}

/// A server that writes makes files look unfinished.
fn running(dirs: &DataDirs, text: &mut String) {
    let lock = dirs.data_dir().join(LOCK_FILE);
    let pid = std::fs::read_to_string(&lock).unwrap_or_default();
    let pid = pid.trim();
    if !pid.is_empty() && Path::new("/proc").join(pid).exists() {
        let _ = writeln!(
            text,
            "note: process {pid} may be serving from here ({}): what it is writing looks \
             unfinished",
            lock.display()
        );
    }
}

fn snapshot_line(files: &dyn Files, snapshot: &NamedFile) -> String {
    let mut counts = Counts::default();
    let found = match passes_precheck(files, snapshot) {
        Ok(true) => match read_file(files, &snapshot.path, &mut counts) {
            Ok(_) => format!("good, {} nodes, {} sessions", counts.nodes, counts.sessions),
            Err(StoreError::CorruptSnapshot { offset, what, .. }) => {
                format!("DAMAGED at byte {offset} of its content: {what}")
            }
            Err(error) => format!("UNREADABLE: {error}"),
        },
        Ok(false) => "UNFINISHED: it does not end (or start) like a whole snapshot".to_owned(),
        Err(error) => format!("UNREADABLE: {error}"),
    };
    format!(
        "snapshot {} (zxid {:#x}, {} bytes): {found}",
        snapshot.path.display(),
        snapshot.zxid,
        snapshot.len
    )
}

/// Counts what a snapshot holds.
#[derive(Default)]
struct Counts {
    sessions: u64,
    nodes: u64,
}

impl SnapshotSink for Counts {
    fn session(&mut self, _id: i64, _timeout_ms: i32) -> Result<(), String> {
        self.sessions += 1;
        Ok(())
    }
    fn acl(&mut self, _id: i64, _acl: &[Acl<'_>]) -> Result<(), String> {
        Ok(())
    }
    fn node(&mut self, _node: &SnapshotNode<'_>) -> Result<(), String> {
        self.nodes += 1;
        Ok(())
    }
}

/// Reads a log by itself; `last` is the last zxid of the one before.
fn log_line(files: &dyn Files, log: &NamedFile, newest: bool, last: &mut Option<i64>) -> String {
    let mut entries = 0_u64;
    let mut range: Option<(i64, i64)> = None;
    let mut remarks = Vec::new();
    let read = read_log(files, log, |zxid, offset, undecoded| {
        entries += 1;
        if let Some(previous) = *last
            && epoch(previous) == epoch(zxid)
            && zxid > previous + 1
        {
            remarks.push(format!(
                "transactions between {previous:#x} and {zxid:#x} are MISSING before offset {offset}"
            ));
        }
        if let Some(error) = undecoded {
            remarks.push(format!(
                "the entry at offset {offset} (zxid {zxid:#x}) does NOT DECODE: {error}"
            ));
        }
        *last = Some(last.map_or(zxid, |last| last.max(zxid)));
        range = Some((range.map_or(zxid, |(first, _)| first), zxid));
    });
    match read {
        Ok(None) if log.len == 0 => remarks.push("empty".to_owned()),
        Ok(None) => {}
        Ok(Some(offset)) if newest => {
            remarks.push(format!("ends with an unfinished write at offset {offset}"));
        }
        Ok(Some(offset)) => remarks.push(format!("ends INSIDE an entry at offset {offset}")),
        // The newest log may end in a torn batch; whether it does, the recovery knows.
        Err(StoreError::CorruptLog(damage)) => {
            let CorruptLog {
                offset, zxid, what, ..
            } = *damage;
            let zxid = zxid.map_or(String::new(), |zxid| format!(" (zxid {zxid:#x})"));
            remarks.push(format!("not good at offset {offset}{zxid}: {what}"));
        }
        Err(error) => remarks.push(format!("UNREADABLE: {error}")),
    }
    if remarks.is_empty() {
        remarks.push("good".to_owned());
    }
    let range = range.map_or("no entry".to_owned(), |(first, last)| {
        format!("{entries} entries, zxid {first:#x} to {last:#x}")
    });
    format!(
        "log {} ({} bytes): {range}; {}",
        log.path.display(),
        log.len,
        remarks.join("; ")
    )
}

/// Shows each entry to `see`; the offset of an entry that was not written to its end.
fn read_log(
    files: &dyn Files,
    log: &NamedFile,
    mut see: impl FnMut(i64, u64, Option<String>),
) -> Result<Option<u64>, StoreError> {
    if log.len == 0 {
        return Ok(None);
    }
    let mut reader = LogReader::open(files, &log.path, i32::MAX as usize)?;
    while let Some(entry) = reader.next_entry()? {
        let undecoded = LogEntry::decode(entry.payload).err();
        let undecoded = undecoded.map(|error| error.to_string());
        see(entry.zxid, entry.offset, undecoded);
    }
    Ok(reader.end().and_then(|end| match end.reason {
        EndReason::Eof if end.offset == reader.file_len() => None,
        EndReason::ZeroLength => None,
        EndReason::Eof | EndReason::NoEndByte => Some(end.offset),
    }))
}

fn verdict(
    dirs: &DataDirs,
    recovered: &Recovered,
    tree: &RecoveredTree,
    text: &mut String,
) -> bool {
    for warning in &recovered.warnings {
        let repair = match warning {
            Warning::TornTail(_) => " (a starting server cuts it off)",
            Warning::EmptyLog(_) => " (a starting server removes it)",
            _ => "",
        };
        let _ = writeln!(text, "warning: {warning}{repair}");
    }
    if let Some(first) = &tree.mismatches.first {
        let _ = writeln!(
            text,
            "warning: {} digests in the log differ from the tree, the first at offset {} of {} \
             (zxid {:#x}); behind that they agree",
            tree.mismatches.count,
            first.offset,
            first.file.display(),
            first.zxid
        );
    }
    if let Some(zxid) = tree.mismatches.snapshot {
        let _ = writeln!(
            text,
            "warning: the digest in the snapshot (zxid {zxid:#x}) differs from its tree, and no \
             transaction behind it decides"
        );
    }
    for session in &tree.orphan_sessions {
        let _ = writeln!(
            text,
            "warning: the ephemeral nodes of the unknown session {session:#x} would be removed"
        );
    }
    let from = match &recovered.base {
        Base::Snapshot { file, .. } => format!("{}", file.path.display()),
        Base::New => "nothing, as a new database".to_owned(),
        Base::Trusted => "the logs alone (snapshot.trust.empty)".to_owned(),
        Base::Uninitialised => {
            let _ = writeln!(
                text,
                "the server would start without data and take no part: {} is empty, and \
                 zookeeper.db.autocreate is off; create {} to let it",
                dirs.data_dir().display(),
                dirs.initialize_marker().display()
            );
            return true;
        }
    };
    let state = format!(
        "from {from} and {} log entries, up to zxid {:#x}, with {} nodes and {} sessions",
        recovered.log.entries,
        recovered.last_zxid,
        tree.tree.len(),
        tree.tree.sessions().len()
    );
    let _ = writeln!(text, "the server would start {state}");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str, properties: &[&str]) -> (bool, String) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/java-3.9.5");
        let dir = root.join(name).join("data");
        let sources = Sources {
            data_dir: Some(dir.clone()),
            system_properties: properties
                .iter()
                .filter_map(|word| zooid_config::SystemProperty::from_word(word))
                .collect(),
            ..Sources::default()
        };
        let config = Config::load(sources).unwrap().config;
        let mut text = String::new();
        let good = verify(&OsFiles, &DataDirs::new(dir, None), &config, &mut text);
        (good, text)
    }

    const TTL: &[&str] = &["-Dzookeeper.extendedTypesEnabled=true"];

    #[test]
    fn damage_in_the_middle_is_named_with_file_offset_zxid_and_help() {
        let (good, text) = fixture("corrupt-crc-middle", TTL);
        assert!(!good, "{text}");
        for part in [
            "log.1",
            "offset 3580",
            "zxid 0x",
            "would NOT start",
            "backup",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn a_hole_is_named() {
        let (good, text) = fixture("corrupt-zxid-gap", TTL);
        assert!(!good && text.contains("MISSING"), "{text}");
    }

    #[test]
    fn what_is_not_there_is_no_database() {
        let (good, text) = fixture("no-such-fixture", &[]);
        assert!(!good && text.contains("no such directory"), "{text}");
    }
}
