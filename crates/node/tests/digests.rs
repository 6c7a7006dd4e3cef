//! The digest in a log entry covers the whole tree. Data that do not fit it are refused at the
//! start; what Java is known to do wrong, and what others decide behind it, is not.

use std::path::Path;
use std::sync::Arc;
use zooid_node::Settings;
use zooid_node::recover::{RecoveredTree, Recovery};
use zooid_proto::records::StatPersisted;
use zooid_proto::txn::{
    CreateContainerTxn, CreateTxn, LogEntry, SetDataTxn, Txn, TxnDigest, TxnHeader,
};
use zooid_store::DataDirs;
use zooid_store::log::{LogBatch, header};
use zooid_store::mem::MemFiles;
use zooid_store::recover::{RecoverOptions, recover};
use zooid_store::snapshot::{Compression, SnapshotDigest, SnapshotWriter};
use zooid_tree::owner::CONTAINER_OWNER;
use zooid_tree::{DIGEST_VERSION, Tree, TreeOptions, node_digest};

const OPTIONS: TreeOptions = TreeOptions {
    digest_enabled: true,
    extended_types: false,
    emulate353: false,
};

/// A server that logs what it applies, and can be made to log something else.
struct World {
    tree: Tree,
    batch: LogBatch,
    offsets: Vec<usize>,
}

impl World {
    fn new() -> World {
        World {
            tree: Tree::new(OPTIONS),
            batch: LogBatch::default(),
            offsets: Vec::new(),
        }
    }

    fn header(&self, txn: &Txn<'_>) -> TxnHeader {
        TxnHeader {
            client_id: 7,
            cxid: 1,
            zxid: self.tree.last_processed_zxid() + 1,
            time_ms: 1_800_000_000_000,
            kind: txn.kind(),
        }
    }

    /// Applies `txn` and logs `logged` for it.
    fn log_other(&mut self, txn: Txn<'static>, logged: Txn<'static>) {
        let header = self.header(&txn);
        self.tree.apply(&header, &txn, &mut ());
        let digest = self.tree.digest();
        self.log(header.zxid, logged, DIGEST_VERSION, digest);
    }

    /// Applies and logs.
    fn run(&mut self, txn: Txn<'static>) {
        self.log_other(txn.clone(), txn);
    }

    /// Applies, and logs with a digest that is off.
    fn run_off_by(&mut self, txn: Txn<'static>, version: i32, off_by: i64) {
        let header = self.header(&txn);
        self.tree.apply(&header, &txn, &mut ());
        let digest = self.tree.digest().wrapping_add(off_by);
        self.log(header.zxid, txn, version, digest);
    }

    fn log(&mut self, zxid: i64, txn: Txn<'static>, version: i32, tree_digest: i64) {
        let header = TxnHeader {
            zxid,
            ..self.header(&txn)
        };
        let digest = Some(TxnDigest {
            version,
            tree_digest,
        });
        let entry = LogEntry {
            header,
            txn,
            digest,
        };
        self.offsets.push(16 + self.batch.bytes().len());
        self.batch.push_with(|out| entry.encode(out)).unwrap();
    }

    /// The directory that it leaves.
    fn files(&self) -> (MemFiles, DataDirs) {
        let files = MemFiles::default();
        files.put("/data/version-2/log.1", self.bytes());
        (files, DataDirs::new("/data", None))
    }

    fn bytes(&self) -> Vec<u8> {
        [&header(), self.batch.bytes(), &[0; 64]].concat()
    }

    fn start(&self) -> Result<RecoveredTree, String> {
        let (files, dirs) = self.files();
        start(&files, &dirs, true)
    }
}

fn start(files: &MemFiles, dirs: &DataDirs, digest: bool) -> Result<RecoveredTree, String> {
    let settings = Settings {
        digest,
        ..Settings::default()
    };
    let options = RecoverOptions {
        trust_empty: true,
        ..RecoverOptions::default()
    };
    let mut recovery = Recovery::new(&settings, |_| {});
    recover(files, dirs, &options, &mut recovery).map_err(|error| error.to_string())?;
    recovery.finish().map_err(|error| error.to_string())
}

fn create(path: &'static str) -> CreateTxn<'static> {
    CreateTxn {
        path: path.into(),
        data: Some(path.as_bytes().into()),
        acl: None,
        ephemeral: false,
        // Of "/a", "/b" and "/c" the first, second and third child of the root.
        parent_cversion: i32::from(path.as_bytes()[1] - b'a') + 1,
    }
}

fn set(path: &'static str, data: &'static str, version: i32) -> Txn<'static> {
    Txn::SetData(SetDataTxn {
        path: path.into(),
        data: Some(data.as_bytes().into()),
        version,
    })
}

#[test]
fn data_that_are_not_what_was_served_are_refused() {
    let mut world = World::new();
    world.run(Txn::Create(create("/a")));
    world.run(Txn::Create(create("/b")));
    // A checksum that fits, and other data than those that were applied.
    world.log_other(set("/a", "served", 1), set("/a", "logged", 1));
    let expected = world.tree.digest();
    world.run(set("/b", "1", 1));
    world.run(set("/b", "2", 2));
    let (files, dirs) = world.files();
    let before = files.contents();
    let refused = start(&files, &dirs, true).err().expect("refused");
    for part in [
        "log /data/version-2/log.1",
        &format!("offset {} (zxid 0x3)", world.offsets[2]),
        &format!("{expected:#x}"),
        "none behind it agrees",
        "restore the directory from a backup",
        "-Dzookeeper.digest.enabled=false",
    ] {
        assert!(refused.contains(part), "no {part:?} in {refused}");
    }
    assert_eq!(files.contents(), before, "a refused start changed files");
    let accepted = start(&files, &dirs, false).expect("who asks for it gets what is there");
    assert_eq!(
        accepted.tree.get("/a").unwrap().data(),
        Some(&b"logged"[..])
    );
}

#[test]
fn a_digest_that_is_followed_by_good_ones_is_only_told() {
    let mut world = World::new();
    world.run(Txn::Create(create("/a")));
    world.run_off_by(set("/a", "1", 1), DIGEST_VERSION, 5);
    world.run(set("/a", "2", 2));
    let opened = world.start().unwrap();
    let first = opened.mismatches.first.unwrap();
    assert_eq!((opened.mismatches.count, first.zxid), (1, 2));
    assert_eq!(first.expected - first.found, 5);
    // As the last one it decides.
    world.run_off_by(set("/a", "3", 3), DIGEST_VERSION, 5);
    let refused = world.start().err().unwrap();
    assert!(refused.contains("(zxid 0x4)"), "{refused}");
}

#[test]
fn digests_of_another_version_say_nothing() {
    let mut world = World::new();
    world.run(Txn::Create(create("/a")));
    world.run_off_by(set("/a", "1", 1), DIGEST_VERSION + 1, 5);
    assert_eq!(world.start().unwrap().mismatches.count, 0);
}

/// PrepRequestProcessor and DataTree of Java disagree about the owner, and later requests of the
/// same batch are computed from the wrong one.
#[test]
fn wrong_digests_of_java_for_containers_stop_no_start() {
    let container = Txn::CreateContainer(CreateContainerTxn {
        path: "/c".into(),
        data: None,
        acl: None,
        parent_cversion: 3,
    });
    for (txn, owner) in [
        (Txn::Create(create("/c")), CONTAINER_OWNER),
        (container.clone(), 0),
        (container.clone(), 7),
        (
            Txn::Multi(vec![Txn::Create(create("/b")), container.clone()]),
            7,
        ),
    ] {
        let mut world = World::new();
        world.run(Txn::Create(create("/a")));
        let header = world.header(&txn);
        let mut applied = Tree::new(OPTIONS);
        let first = Txn::Create(create("/a"));
        let first_header = TxnHeader {
            zxid: 1,
            ..world.header(&first)
        };
        applied.apply(&first_header, &first, &mut ());
        applied.apply(&header, &txn, &mut ());
        let node = applied.get("/c").unwrap();
        let wrong = StatPersisted {
            ephemeral_owner: owner,
            ..node.persisted()
        };
        let wrong = node_digest("/c", node.data(), &wrong);
        let off_by = (wrong as i64).wrapping_sub(node.digest() as i64);
        assert_ne!(off_by, 0);
        world.run_off_by(txn, DIGEST_VERSION, off_by);
        world.run_off_by(set("/a", "1", 1), DIGEST_VERSION, off_by);
        assert_eq!(world.start().unwrap().mismatches.count, 2);
        // Another one of the same batch adds to it; "/d" has no data, the owner makes a difference.
        let next = Txn::CreateContainer(CreateContainerTxn {
            path: "/d".into(),
            data: None,
            acl: None,
            parent_cversion: 4,
        });
        let header = world.header(&next);
        world.tree.apply(&header, &next, &mut ());
        let node = world.tree.get("/d").unwrap();
        let mut stat = node.persisted();
        stat.ephemeral_owner = 0;
        let more = node_digest("/d", None, &stat).wrapping_sub(node.digest());
        let off_by = off_by.wrapping_add(more as i64);
        let digest = world.tree.digest().wrapping_add(off_by);
        world.log(header.zxid, next, DIGEST_VERSION, digest);
        assert_eq!(world.start().unwrap().mismatches.count, 3);
        // Off by anything else it is another tree.
        world.run_off_by(set("/a", "2", 2), DIGEST_VERSION, off_by + 1);
        assert!(world.start().is_err());
    }
}

#[test]
fn a_part_of_a_log_that_comes_again_may_not_undo_what_followed() {
    let mut world = World::new();
    world.run(Txn::Create(create("/a")));
    world.run(set("/a", "old", 1));
    let part = world.bytes();
    world.run(set("/a", "new", 2));
    let (files, dirs) = world.files();
    files.put("/data/version-2/log.1.bak", part);
    let refused = start(&files, &dirs, true).err().unwrap();
    assert!(refused.contains("(zxid 0x3)"), "{refused}");
    // All of it again is without harm.
    files.put("/data/version-2/log.1.bak", world.bytes());
    assert_eq!(start(&files, &dirs, true).unwrap().mismatches.count, 0);
}

#[test]
fn the_digest_of_a_snapshot_is_decided_by_those_behind_it() {
    let mut world = World::new();
    world.run(Txn::Create(create("/a")));
    let (files, dirs) = world.files();
    let mut walk = world.tree.begin_walk();
    let mut nodes = Vec::new();
    while world.tree.walk_step(&mut walk, 100, &mut nodes) {}
    let acls: Vec<_> = walk.acls.iter().map(|(id, list)| (*id, &**list)).collect();
    let mut writer = SnapshotWriter::create(
        Arc::new(files.clone()),
        Path::new("/data/version-2"),
        1,
        Compression::Plain,
        [].into_iter(),
        acls.into_iter(),
    )
    .unwrap();
    writer.nodes(&nodes).unwrap();
    let wrong = SnapshotDigest {
        zxid: 1,
        version: DIGEST_VERSION,
        value: world.tree.digest() + 1,
    };
    writer.finish(Some(wrong), Some(1)).unwrap();
    let told = start(&files, &dirs, true).unwrap().mismatches;
    assert_eq!((told.count, told.snapshot), (1, Some(1)));
    world.run(set("/a", "1", 1));
    files.put("/data/version-2/log.1", world.bytes());
    let told = start(&files, &dirs, true).unwrap().mismatches;
    assert_eq!((told.count, told.snapshot), (1, None));
}

#[test]
fn digests_are_kept_for_the_hash_command_while_replaying() {
    let mut world = World::new();
    world.run(Txn::Create(create("/a")));
    let mut expected = Vec::new();
    for version in 1..300 {
        world.run(set("/a", "1", version));
        if (version + 1) % 128 == 0 {
            expected.push((i64::from(version) + 1, world.tree.digest()));
        }
    }
    let opened = world.start().unwrap();
    let found: Vec<(i64, i64)> = opened.digest_log.entries().collect();
    assert_eq!((found.len(), found), (2, expected));
}
