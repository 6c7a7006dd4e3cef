//! Data directories of Apache ZooKeeper 3.9.5, opened as a starting server opens them: exactly
//! the expected tree, or a refusal that says where and what to do.

use base64::Engine;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use zooid_node::Settings;
use zooid_node::recover::{Mismatches, RecoveredTree, Recovery};
use zooid_proto::records::Stat;
use zooid_proto::txn::LogEntry;
use zooid_store::log_reader::LogReader;
use zooid_store::recover::{Base, RecoverOptions, Recovered, Warning, recover};
use zooid_store::{DataDirs, OsFiles, purge, truncate};
use zooid_tree::{NodeRef, Tree, TreeOptions};

/// Longer than any entry of a fixture.
const MAX_PAYLOAD: usize = 1 << 20;

/// A copy of one directory, with the settings that its server had.
struct Fixture {
    name: String,
    _copy: tempfile::TempDir,
    dir: PathBuf,
    settings: Settings,
    options: RecoverOptions,
    dirs: DataDirs,
    expected: Value,
}

impl Fixture {
    fn new(name: &str) -> Fixture {
        let original = all().join(name);
        let copy = tempfile::tempdir().expect("a temporary directory");
        let expected = fs::read(original.join("expected.json")).unwrap_or_else(|_| b"{}".to_vec());
        let dir = copy.path().join("copy");
        copy_tree(&original, &dir);
        let config = fs::read_to_string(dir.join("zoo.cfg")).expect("every directory has one");
        let config: BTreeMap<&str, &str> = config
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let log = config.get("dataLogDir").map(|log| dir.join(log));
        Fixture {
            name: name.to_owned(),
            dirs: DataDirs::new(dir.join(config["dataDir"]), log),
            settings: Settings {
                extended_types: config.get("extendedTypesEnabled") == Some(&"true"),
                ..Settings::default()
            },
            options: RecoverOptions::default(),
            expected: serde_json::from_slice(&expected).expect("expected.json is JSON"),
            dir,
            _copy: copy,
        }
    }

    fn start(&self) -> Result<(Recovered, RecoveredTree), String> {
        let mut recovery = Recovery::new(&self.settings, |_| {});
        let recovered = recover(&OsFiles, &self.dirs, &self.options, &mut recovery)
            .map_err(|error| error.to_string())?;
        let tree = recovery.finish().map_err(|error| error.to_string())?;
        recovered
            .make_good(&OsFiles, &self.dirs)
            .map_err(|error| error.to_string())?;
        Ok((recovered, tree))
    }

    /// Starts and compares everything that expected.json says.
    fn start_as_expected(&self) -> Recovered {
        let name = &self.name;
        let (recovered, tree) = self
            .start()
            .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(tree.mismatches, Mismatches::default(), "{name}");
        assert_eq!(tree.orphan_sessions, [0i64; 0], "{name}");
        assert_nodes(name, &tree.tree, &self.expected["nodes"]);
        assert_state(name, &tree.tree, &self.expected);
        assert_eq!(
            recovered.last_zxid,
            tree.tree.last_processed_zxid(),
            "{name}"
        );
        recovered
    }

    /// A file of a directory that keeps snapshots and logs together.
    fn file(&self, name: &str) -> PathBuf {
        self.dirs.snap_dir().join(name)
    }

    fn names(&self) -> Vec<String> {
        contents(&self.dirs.snap_dir())
            .into_keys()
            .map(|path| path.to_str().expect("ASCII names").to_owned())
            .collect()
    }
}

fn all() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/java-3.9.5")
}

/// Copies a directory; logs that are stored compressed to save room are unpacked.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the copy can be made");
    for entry in fs::read_dir(from).expect("the fixtures are part of the repository") {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().expect("it came from a directory");
        let target = to.join(name);
        let text = name.to_str().expect("ASCII names");
        if path.is_dir() {
            copy_tree(&path, &target);
        } else if text.starts_with("log.") && text.ends_with(".gz") {
            let mut bytes = Vec::new();
            let file = fs::File::open(&path).expect("readable");
            flate2::read::GzDecoder::new(file)
                .read_to_end(&mut bytes)
                .expect("a gzip file");
            fs::write(target.with_extension(""), bytes).expect("room for the copy");
        } else {
            fs::copy(&path, &target).expect("room for the copy");
        }
    }
}

/// All files below a directory.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("a readable directory").path();
        let name = PathBuf::from(path.file_name().expect("it came from a directory"));
        if path.is_dir() {
            let below = contents(&path);
            found.extend(
                below
                    .into_iter()
                    .map(|(path, bytes)| (name.join(path), bytes)),
            );
        } else {
            found.insert(name, fs::read(&path).expect("readable"));
        }
    }
    found
}

/// A number, or a string of hex digits.
fn number(value: &Value) -> i64 {
    match value.as_str() {
        None => value.as_i64().expect("a number"),
        Some(hex) => u64::from_str_radix(hex.trim_start_matches("0x"), 16).expect("hex") as i64,
    }
}

fn assert_nodes(name: &str, tree: &Tree, nodes: &Value) {
    let nodes = nodes.as_object().expect("the nodes");
    assert_eq!(tree.len(), nodes.len(), "{name}: number of nodes");
    for (path, expected) in nodes {
        let node = tree
            .get(path)
            .unwrap_or_else(|| panic!("{name}: {path} is missing"));
        assert_node(&format!("{name} {path}"), tree, node, expected);
    }
}

fn assert_node(name: &str, tree: &Tree, node: NodeRef<'_>, expected: &Value) {
    let base64 = base64::engine::general_purpose::STANDARD;
    let data = expected["data_b64"]
        .as_str()
        .map(|text| base64.decode(text).expect("base64"));
    assert_eq!(node.data(), data.as_deref(), "{name}: data");
    let stat = &expected["stat"];
    let int = |field: &str| number(&stat[field]) as i32;
    let found = node.stat();
    let wanted = Stat {
        czxid: number(&stat["czxid"]),
        mzxid: number(&stat["mzxid"]),
        ctime: number(&stat["ctime"]),
        // A member sets that of /zookeeper/config by its own clock: it is not listed.
        mtime: match &stat["mtime"] {
            Value::Null if name.ends_with(" /zookeeper/config") => found.mtime,
            mtime => number(mtime),
        },
        version: int("version"),
        cversion: int("cversion"),
        aversion: int("aversion"),
        ephemeral_owner: number(&stat["ephemeralOwner"]),
        data_length: int("dataLength"),
        num_children: int("numChildren"),
        pzxid: number(&stat["pzxid"]),
    };
    assert_eq!(found, wanted, "{name}: stat");
    let raw = &expected["raw"];
    if !raw.is_null() {
        let stored = node.persisted();
        let found = (stored.ephemeral_owner, i64::from(stored.cversion));
        let wanted = (number(&raw["ephemeralOwner"]), number(&raw["cversion"]));
        assert_eq!(found, wanted, "{name}: stored owner and cversion");
    }
    let mut acl: Vec<(i64, &str, &str)> = tree
        .acl(node.acl())
        .iter()
        .map(|acl| (i64::from(acl.perms), acl.id.scheme(), acl.id.name()))
        .collect();
    if acl.is_empty() {
        // A node without a list is open, and clients are told so.
        acl.push((31, "world", "anyone"));
    }
    let wanted: Vec<(i64, &str, &str)> = expected["acl"]
        .as_array()
        .expect("an ACL")
        .iter()
        .map(|acl| {
            let text = |field: &str| acl[field].as_str().expect("text");
            (number(&acl["perms"]), text("scheme"), text("id"))
        })
        .collect();
    assert_eq!(acl, wanted, "{name}: ACL");
}

/// Sessions, last zxid, digest.
fn assert_state(name: &str, tree: &Tree, expected: &Value) {
    let sessions: BTreeMap<i64, i32> = expected["sessions"]
        .as_object()
        .expect("the sessions")
        .iter()
        .map(|(id, ms)| (number(&id.as_str().into()), number(ms) as i32))
        .collect();
    assert_eq!(tree.sessions(), &sessions, "{name}: sessions");
    let last = number(&expected["lastZxid"]);
    assert_eq!(tree.last_processed_zxid(), last, "{name}: last zxid");
    if let Some(digest) = expected["treeDigest"].as_i64() {
        assert_eq!(tree.digest(), digest, "{name}: digest");
    }
}

fn names_of_all() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(all())
        .expect("the fixtures are part of the repository")
        .map(|entry| entry.expect("a readable directory"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("ASCII names"))
        .filter(|name| name != "ensemble")
        .collect();
    names.sort();
    names
}

/// Java refuses these for a weakness of its own: the data are whole.
const JAVA_ALONE_REFUSES: [&str; 2] = ["digest-off-lastzxid-on", "fuzzy-snapshot-acl-fatal"];

#[test]
fn every_directory_that_can_be_trusted_gives_the_expected_tree() {
    let mut started = 0;
    for name in names_of_all() {
        let fixture = Fixture::new(&name);
        let java_starts = fixture.expected["javaStarts"].as_bool().expect("a verdict");
        if !java_starts && !JAVA_ALONE_REFUSES.contains(&name.as_str()) {
            continue;
        }
        fixture.start_as_expected();
        let after_first = fixture.names();
        fixture.start_as_expected();
        assert_eq!(fixture.names(), after_first, "{name}: a second start");
        started += 1;
    }
    assert_eq!(started, 15);
}

#[test]
fn directories_that_cannot_be_trusted_are_refused_and_left_alone() {
    let cases = [
        ("corrupt-crc-middle", "log.1", "checksum"),
        ("corrupt-torn-sector", "log.1", "checksum"),
        ("corrupt-zxid-gap", "log.1f", "behind 0x1c are missing"),
    ];
    for (name, file, what) in cases {
        let fixture = Fixture::new(name);
        assert_eq!(fixture.expected["javaStarts"], false, "{name}");
        let before = contents(&fixture.dir);
        let Err(refusal) = fixture.start() else {
            panic!("{name} was accepted");
        };
        // A gap shows at the first entry of the file behind it.
        let offset = fixture.expected["damagedOffset"].as_i64().unwrap_or(16);
        let last_good = &fixture.expected["lastZxidBeforeDamage"];
        for part in [
            fixture.file(file).to_str().expect("UTF-8"),
            &format!("at offset {offset} "),
            what,
            last_good.as_str().expect("a zxid"),
            "restore the",
            "from a backup",
        ] {
            assert!(refusal.contains(part), "{name}: no {part:?} in: {refusal}");
        }
        let unchanged = contents(&fixture.dir) == before;
        assert!(unchanged, "{name}: files were changed");
    }
}

#[test]
fn what_a_crash_left_unfinished_is_told_and_taken_away() {
    for name in ["torn-tail-truncated", "torn-tail-padded"] {
        let recovered = Fixture::new(name).start_as_expected();
        let torn = recovered.torn_tail.expect("the last entry is half there");
        assert_eq!((torn.offset, torn.last_zxid), (6527, Some(0x37)), "{name}");
    }
    let fixture = Fixture::new("empty-tail-log");
    let recovered = fixture.start_as_expected();
    assert_eq!(recovered.empty_log, Some(fixture.file("log.39")));
    assert!(!fixture.file("log.39").exists());
}

#[test]
fn damaged_snapshots_are_passed_over_and_named() {
    let fixture = Fixture::new("bad-newest-snapshots");
    let recovered = fixture.start_as_expected();
    assert_eq!(base(&recovered), fixture.file("snapshot.47"));
    let told: Vec<String> = recovered.warnings.iter().map(Warning::to_string).collect();
    for file in ["snapshot.89", "snapshot.6a"] {
        let named = told.iter().any(|warning| warning.contains(file));
        assert!(named, "{file}: {told:?}");
    }
}

#[test]
fn compressed_snapshots_are_used() {
    for (name, file) in [
        ("standalone-gz", "snapshot.38.gz"),
        ("standalone-snappy", "snapshot.38.snappy"),
    ] {
        let fixture = Fixture::new(name);
        assert_eq!(base(&fixture.start_as_expected()), fixture.file(file));
    }
}

fn base(recovered: &Recovered) -> &Path {
    match &recovered.base {
        Base::Snapshot { file, .. } => &file.path,
        other => panic!("started from {other:?}"),
    }
}

#[test]
fn members_of_an_ensemble_open_alone() {
    let expected = fs::read(all().join("ensemble/expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let members = expected["members"].as_object().expect("the members");
    assert_eq!(members.len(), 3);
    for (member, state) in members {
        let name = format!("ensemble/{member}");
        let fixture = Fixture::new(&name);
        let (recovered, tree) = fixture.start().unwrap_or_else(|no| panic!("{name}: {no}"));
        assert_eq!(tree.mismatches, Mismatches::default(), "{name}");
        assert_nodes(&name, &tree.tree, &expected["nodes"]);
        assert_state(&name, &tree.tree, state);
        assert_eq!(recovered.last_zxid >> 32, 2, "{name}: epoch");
    }
}

/// Apache ZooKeeper starts here, and deletes the nodes.
#[test]
fn ttl_nodes_are_not_lost_when_their_switch_is_off() {
    let mut fixture = Fixture::new("standalone-all");
    fixture.settings.extended_types = false;
    let before = contents(&fixture.dir);
    let Err(refusal) = fixture.start() else {
        panic!("the nodes would be taken for ephemeral ones");
    };
    assert!(
        refusal.contains("time to live") && refusal.contains("extendedTypesEnabled=true"),
        "{refusal}"
    );
    assert!(contents(&fixture.dir) == before, "files were changed");
}

/// Whether the data are served is decided before anything is repaired.
#[test]
fn a_refused_start_cuts_no_torn_tail_off() {
    for name in ["torn-tail-truncated", "torn-tail-padded", "empty-tail-log"] {
        let mut fixture = Fixture::new(name);
        fixture.settings.extended_types = false;
        let before = contents(&fixture.dir);
        let refusal = fixture.start().err().expect("TTL nodes are there");
        assert!(refusal.contains("time to live"), "{name}: {refusal}");
        assert!(
            contents(&fixture.dir) == before,
            "{name}: files were changed"
        );
    }
}

#[test]
fn logs_without_their_snapshot_need_the_word_of_an_operator() {
    let mut fixture = Fixture::new("standalone-all");
    fs::remove_file(fixture.file("snapshot.0")).expect("it was copied");
    let before = contents(&fixture.dir);
    let Err(refusal) = fixture.start() else {
        panic!("nobody said that the log is complete");
    };
    assert!(refusal.contains("snapshot.trust.empty=true"), "{refusal}");
    assert!(contents(&fixture.dir) == before, "files were changed");
    fixture.options.trust_empty = true;
    assert_eq!(fixture.start_as_expected().base, Base::Trusted);
}

#[test]
fn a_copied_log_is_replayed_twice_without_harm() {
    let fixture = Fixture::new("standalone-all");
    fs::copy(fixture.file("log.1"), fixture.file("log.1.bak")).expect("room for the copy");
    let recovered = fixture.start_as_expected();
    assert!(recovered.log.backwards > 0);
}

#[test]
fn a_truncated_directory_does_not_come_back() {
    let fixture = Fixture::new("standalone-snapshot");
    let expected = tree_at(&fixture.file("log.1"), 0x20);
    truncate::truncate(&OsFiles, &fixture.dirs, 0x20, MAX_PAYLOAD).expect("it can be cut");
    let (_, tree) = fixture.start().expect("it starts");
    assert_same(&expected, &tree.tree, "/");
    assert_eq!(tree.tree.len(), expected.len());
    assert_eq!(tree.tree.digest(), expected.digest());
    assert_eq!(tree.tree.sessions(), expected.sessions());
    assert_eq!(tree.tree.last_processed_zxid(), 0x20);
}

/// The tree of a new server behind the first transactions of a log.
fn tree_at(log: &Path, zxid: i64) -> Tree {
    let mut tree = Tree::new(TreeOptions {
        digest_enabled: true,
        extended_types: true,
        emulate353: false,
    });
    let mut reader = LogReader::open(&OsFiles, log, MAX_PAYLOAD).expect("a log");
    while let Some(entry) = reader.next_entry().expect("an undamaged log") {
        if entry.zxid > zxid {
            break;
        }
        let entry = LogEntry::decode(entry.payload).expect("an entry");
        tree.apply(&entry.header, &entry.txn, &mut ());
    }
    tree
}

fn assert_same(expected: &Tree, found: &Tree, path: &str) {
    let node = expected.get(path).expect("a walk over what is there");
    let other = found
        .get(path)
        .unwrap_or_else(|| panic!("{path} is missing"));
    assert_eq!(other.data(), node.data(), "{path}");
    assert_eq!(other.persisted(), node.persisted(), "{path}");
    let lists = (found.acl(other.acl()), expected.acl(node.acl()));
    assert_eq!(lists.0, lists.1, "{path}");
    for child in node.children() {
        let child = format!("{}/{child}", path.trim_end_matches('/'));
        assert_same(expected, found, &child);
    }
}

#[test]
fn a_purge_keeps_what_the_oldest_kept_snapshot_needs() {
    let fixture = Fixture::new("rolled-logs");
    let verify = |file: &_| purge::verify(&OsFiles, file);
    purge::purge(&OsFiles, &fixture.dirs, 3, verify).expect("it can be purged");
    let logs = ["log.2c", "log.49", "log.6c", "log.8b"];
    let snapshots = ["snapshot.47", "snapshot.6a", "snapshot.89"];
    assert_eq!(fixture.names(), [&logs[..], &snapshots[..]].concat());
    fixture.start_as_expected();
    // Each of the older ones leads to the same tree.
    for newest in ["snapshot.89", "snapshot.6a"] {
        fs::remove_file(fixture.file(newest)).expect("it was kept");
        fixture.start_as_expected();
    }
}
