//! Fixtures in memory, and a state that remembers what the store gave it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use zooid_proto::records::Acl;
use zooid_store::files::Files;
use zooid_store::mem::MemFiles;
use zooid_store::recover::{EntryAt, RecoverOptions, Recovered, Restore, recover};
use zooid_store::snapshot::{SnapshotMeta, SnapshotNode, SnapshotSink};
use zooid_store::{DataDirs, StoreError};

/// Where the fixtures are.
pub(crate) fn fixtures_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/java-3.9.5")
}

/// All fixtures of one server: name and expected.json.
pub(crate) fn fixtures() -> Vec<(String, serde_json::Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(fixtures_dir()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = fixtures_dir().join(&name).join("expected.json");
        if !path.exists() {
            continue;
        }
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        match expected["members"].as_object() {
            None => found.push((name, expected)),
            Some(members) => {
                for (member, expected) in members {
                    let mut expected = expected.clone();
                    expected["javaStarts"] = true.into();
                    found.push((format!("{name}/{member}"), expected));
                }
            }
        }
    }
    assert!(found.len() >= 19, "{} fixtures", found.len());
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The files of a fixture, below `/`; a log that is stored compressed is unpacked.
pub(crate) fn load(fixture: &str) -> (MemFiles, DataDirs) {
    let files = MemFiles::default();
    copy(&fixtures_dir().join(fixture), Path::new("/"), &files);
    let split = files.stat(Path::new("/log")).unwrap().is_some();
    let dirs = DataDirs::new("/data", split.then(|| PathBuf::from("/log")));
    (files, dirs)
}

fn copy(from: &Path, to: &Path, files: &MemFiles) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name), files);
            continue;
        }
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let mut target = to.join(&name);
        if name.starts_with("log.") && name.ends_with(".gz") {
            bytes = unpacked(&bytes);
            target = to.join(name.trim_end_matches(".gz"));
        }
        files.put(target, bytes);
    }
}

/// There is one such log, of 64 MiB: unpacked once.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    static UNPACKED: OnceLock<Vec<u8>> = OnceLock::new();
    let unpack = || {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    };
    UNPACKED.get_or_init(unpack).clone()
}

/// What the store gave.
#[derive(Default, Clone, PartialEq)]
pub(crate) struct Model {
    pub sessions: BTreeMap<i64, i32>,
    pub acls: BTreeSet<i64>,
    pub paths: BTreeSet<String>,
    pub fresh: bool,
    pub snapshot: Option<i64>,
    pub zxids: Vec<i64>,
    pub payloads: Vec<Vec<u8>>,
    /// Number of calls of `begin`.
    pub attempts: usize,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let range = (self.zxids.first(), self.zxids.last());
        write!(
            f,
            "{} nodes, {} entries {range:?}",
            self.paths.len(),
            self.zxids.len()
        )
    }
}

impl SnapshotSink for Model {
    fn session(&mut self, id: i64, timeout_ms: i32) -> Result<(), String> {
        self.sessions.insert(id, timeout_ms);
        Ok(())
    }

    fn acl(&mut self, id: i64, _acl: &[Acl<'_>]) -> Result<(), String> {
        self.acls.insert(id);
        Ok(())
    }

    fn node(&mut self, node: &SnapshotNode<'_>) -> Result<(), String> {
        let parent = node.path.rsplit_once('/').map(|(parent, _)| parent);
        if parent.is_some_and(|parent| !self.paths.contains(parent)) {
            return Err(format!("{} comes before its parent", node.path));
        }
        self.paths.insert(node.path.clone().into_owned());
        Ok(())
    }
}

impl Restore for Model {
    fn begin(&mut self) {
        *self = Model {
            attempts: self.attempts + 1,
            ..Model::default()
        };
    }

    fn end_snapshot(&mut self, zxid: i64, _meta: &SnapshotMeta) -> Result<(), String> {
        self.snapshot = Some(zxid);
        Ok(())
    }

    fn fresh(&mut self) {
        self.fresh = true;
    }

    fn txn(&mut self, at: EntryAt<'_>, payload: &[u8]) -> Result<(), String> {
        self.zxids.push(at.zxid);
        self.payloads.push(payload.to_vec());
        Ok(())
    }
}

/// Recovers with default options.
pub(crate) fn start(files: &MemFiles, dirs: &DataDirs) -> Result<(Model, Recovered), StoreError> {
    start_with(files, dirs, &RecoverOptions::default())
}

/// Recovers.
pub(crate) fn start_with(
    files: &MemFiles,
    dirs: &DataDirs,
    options: &RecoverOptions,
) -> Result<(Model, Recovered), StoreError> {
    dirs.open(files, true)?;
    let mut model = Model::default();
    let recovered = recover(files, dirs, options, &mut model)?;
    recovered.make_good(files, dirs)?;
    Ok((model, recovered))
}

/// A number of expected.json, hexadecimal text or plain.
pub(crate) fn number(value: &serde_json::Value) -> i64 {
    match value.as_str() {
        Some(text) => i64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap(),
        None => value.as_i64().unwrap(),
    }
}

/// Changes the bytes of a file.
pub(crate) fn edit(files: &MemFiles, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = files
        .get(path)
        .unwrap_or_else(|| panic!("{path} is not there"));
    change(&mut bytes);
    files.put(path, bytes);
}

/// A transaction payload: header, then zeros.
pub(crate) fn payload(zxid: i64, extra: usize) -> Vec<u8> {
    let mut bytes = vec![0; 32 + extra];
    bytes[12..20].copy_from_slice(&zxid.to_be_bytes());
    bytes
}
