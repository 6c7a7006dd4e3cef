//! What lost data in releases of Apache ZooKeeper, one test for each class that concerns a
//! standalone server. Others are tests of the store and of the node: `docs/past-bugs.md` has them
//! all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use zooid_node::conn::WriteRequest;
use zooid_node::{Append, Link, Now, Submit, Wake};
use zooid_proto::client::{
    CreateRequest, CreateTtlRequest, DeleteRequest, MultiOp, MultiRequest, SetAclRequest,
    SetDataRequest, create_mode,
};
use zooid_proto::records::{Acl, perms};
use zooid_proto::txn::{LogEntry, Txn};
use zooid_proto::{Jute, OpCode, Writer};
use zooid_sim::disk::{Crash, Disk, Faults, FaultyFiles, Op};
use zooid_sim::history::{History, State};
use zooid_sim::server::{Opened, Options, Server, Step, open};
use zooid_store::files::Files;
use zooid_store::log::{LogBatch, LogWriter};
use zooid_store::recover::Base;
use zooid_tree::OwnerClass;

const NOW: Now = Now {
    mono_ms: 1000,
    wall_ms: 1_800_000_000_000,
};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A server, its disk and its history.
struct World {
    options: Options,
    server: Server,
    history: History,
}

impl World {
    fn new(options: Options) -> World {
        let files = FaultyFiles::new(Disk::new(1, ["/data"]));
        let server = Server::start(files, &options, 1, NOW).unwrap();
        let history = History::new(options.tree());
        World {
            options,
            server,
            history,
        }
    }

    fn files(&self) -> FaultyFiles {
        self.server.files().clone()
    }

    fn link(&self) -> Arc<Link> {
        let number = self.server.shared().next_conn();
        let peer = ([127, 0, 0, 1], 1).into();
        Arc::new(Link::new(number, peer, 0, Box::new(Nobody)))
    }

    fn settle(&mut self) {
        self.server.settle(&mut self.history, NOW).unwrap();
    }

    fn open(&mut self) -> i64 {
        let before = self.sessions();
        let link = self.link();
        self.server.submit(
            Submit::Open {
                link,
                timeout_ms: 30_000,
                received_ms: NOW.mono_ms,
            },
            NOW,
        );
        self.settle();
        let new = self.sessions().into_iter().find(|id| !before.contains(id));
        new.expect("a new session")
    }

    fn sessions(&self) -> Vec<i64> {
        let tree = self.server.shared().tree.read();
        tree.sessions().keys().copied().collect()
    }

    /// Asks without waiting.
    fn ask<'b>(&mut self, session: i64, op: OpCode, body: &impl Jute<'b>) {
        let mut bytes = Vec::new();
        body.write(&mut Writer::wire(&mut bytes));
        let link = self.link();
        let session = self.server.shared().sessions.get(session).unwrap();
        let request = WriteRequest {
            ids: link.identities(),
            link,
            session,
            op,
            xid: 1,
            body: bytes,
            received_ms: NOW.mono_ms,
        };
        self.server.submit(Submit::Write(request), NOW);
    }

    fn create(&mut self, session: i64, path: &str, flags: i32) {
        self.ask(session, OpCode::Create, &create(path, flags));
        self.settle();
    }

    fn delete(&mut self, session: i64, path: &str) {
        self.ask(session, OpCode::Delete, &delete(path));
        self.settle();
    }

    fn close(&mut self, session: i64) {
        self.ask(
            session,
            OpCode::CloseSession,
            &zooid_proto::client::Empty {},
        );
        self.settle();
    }

    fn snapshot(&mut self) {
        self.server.start_snapshot().unwrap();
        self.finish_snapshot();
    }

    fn finish_snapshot(&mut self) {
        while self.server.is_writing_snapshot() {
            self.server.step(Step::Snapshot(1), NOW).unwrap();
        }
        assert_eq!(self.server.counts().failed_snapshots, 0);
    }

    fn recover(&self) -> Opened {
        open(
            &FaultyFiles::new(self.files().disk().crash(Crash::PowerNothingKept)),
            &self.options,
        )
        .unwrap()
    }

    /// The last state comes back.
    fn comes_back(&self) {
        let opened = self.recover();
        let zxid = self.history.last_zxid();
        assert_eq!(opened.tree.tree.last_processed_zxid(), zxid);
        assert_eq!(Some(State::of(&opened.tree.tree)), self.history.state(zxid));
        assert_eq!(opened.tree.mismatches.count, 0);
        assert!(opened.tree.orphan_sessions.is_empty());
    }

    /// Makes of the snapshot of now one that Java could have begun behind `zxid` and ended now: it
    /// has effects of everything behind, and replay applies all of that once more.
    fn make_fuzzy(&mut self, zxid: i64) {
        self.snapshot();
        let files = self.files();
        for snapshot in self.options.dirs.snapshots(&files).unwrap() {
            if snapshot.zxid == self.history.last_zxid() {
                let to = snapshot.path.with_file_name(format!("snapshot.{zxid:x}"));
                files.rename(&snapshot.path, &to).unwrap();
            } else if snapshot.zxid > zxid {
                files.remove(&snapshot.path).unwrap();
            }
        }
        files.sync_dir(&self.options.dirs.snap_dir()).unwrap();
    }

    /// What the newest snapshot holds by itself.
    fn snapshot_alone(&self) -> Opened {
        let files = FaultyFiles::new(self.files().disk().crash(Crash::PowerNothingKept));
        for log in self.options.dirs.logs(&files).unwrap() {
            files.remove(&log.path).unwrap();
        }
        open(&files, &self.options).unwrap()
    }

    fn snapshot_alone_is_a_state(&self) {
        let opened = self.snapshot_alone();
        let zxid = opened.tree.tree.last_processed_zxid();
        assert!(zxid > 0);
        assert_eq!(Some(State::of(&opened.tree.tree)), self.history.state(zxid));
        assert!(opened.tree.orphan_sessions.is_empty());
    }
}

/// The words in backticks of the last two columns of a row: a test and its file.
fn named(row: &str) -> Option<(&str, &str)> {
    let mut columns = row
        .strip_prefix('|')?
        .trim_end()
        .trim_end_matches('|')
        .rsplit('|');
    let mut word = || columns.next()?.trim().strip_prefix('`')?.strip_suffix('`');
    let file = word()?;
    Some((word()?, file))
}

#[test]
fn every_test_that_the_list_names_is_there() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file of the repository");
    let list = read(&repo.join("docs/past-bugs.md"));
    let rows: Vec<_> = list.lines().filter_map(named).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for (test, file) in &rows {
        let source = read(&repo.join(file));
        let definitions = [format!("fn {test}()"), format!("def {test}(")];
        let is_there = definitions.iter().any(|one| source.contains(one));
        assert!(is_there, "{file} has no test {test}");
    }
    for (_, file) in &rows {
        for test in read(&repo.join(file)).split("fn zookeeper_").skip(1) {
            let name = test.split('(').next().expect("a name");
            let numbered = name.starts_with(|first: char| first.is_ascii_digit());
            let known = list.contains(&format!("`zookeeper_{name}`"));
            assert!(known || !numbered, "zookeeper_{name} is not in the list");
        }
    }
}

fn create(path: &str, flags: i32) -> CreateRequest<'static> {
    CreateRequest {
        path: Some(path.to_owned().into()),
        data: Some(path.as_bytes().to_vec().into()),
        acl: Some(vec![Acl::new(perms::ALL, "world", "anyone")]),
        flags,
    }
}

fn delete(path: &str) -> DeleteRequest<'static> {
    DeleteRequest {
        path: Some(path.to_owned().into()),
        version: -1,
    }
}

#[test]
fn zookeeper_1573_a_missing_parent_inside_the_window_stops_no_start() {
    let mut world = World::new(Options::default());
    let session = world.open();
    world.create(session, "/a", create_mode::PERSISTENT);
    let begun = world.history.last_zxid();
    world.create(session, "/a/b", create_mode::PERSISTENT);
    world.create(session, "/a/b/c", create_mode::EPHEMERAL);
    world.delete(session, "/a/b/c");
    world.delete(session, "/a/b");
    world.delete(session, "/a");
    // Behind `begun` the log creates children of nodes that the snapshot lacks already.
    world.make_fuzzy(begun);
    world.comes_back();
}

#[test]
fn zookeeper_3125_3145_3249_parents_are_the_same_behind_a_replay() {
    for begun in 1..12 {
        let mut world = World::new(Options::default());
        let (one, other) = (world.open(), world.open());
        world.create(one, "/p", create_mode::PERSISTENT);
        world.create(one, "/p/x", create_mode::PERSISTENT);
        world.create(other, "/p/e", create_mode::EPHEMERAL);
        world.create(other, "/p/s-", create_mode::EPHEMERAL_SEQUENTIAL);
        world.delete(one, "/p/x");
        world.create(one, "/p/x", create_mode::PERSISTENT);
        world.close(other);
        world.delete(one, "/p/x");
        world.create(one, "/p/s-", create_mode::PERSISTENT_SEQUENTIAL);
        world.create(one, "/p/last", create_mode::PERSISTENT);
        world.make_fuzzy(begun);
        world.comes_back();
    }
}

#[test]
fn zookeeper_3127_a_snapshot_has_all_of_a_multi_or_nothing() {
    let mut world = World::new(Options::default());
    let session = world.open();
    world.create(session, "/m", create_mode::PERSISTENT);
    for round in 0..10 {
        world.server.start_snapshot().unwrap();
        let ops = (0..40).map(|i| MultiOp::Create(create(&format!("/m/{round}-{i}"), 0)));
        world.ask(session, OpCode::Multi, &MultiRequest { ops: ops.collect() });
        for _ in 0..round {
            world.server.step(Step::Snapshot(5), NOW).unwrap();
        }
        world.settle();
        world.finish_snapshot();
        world.snapshot_alone_is_a_state();
    }
    world.comes_back();
}

#[test]
fn zookeeper_3144_sessions_and_their_nodes_agree_in_a_snapshot() {
    let mut world = World::new(Options::default());
    let mut sessions: Vec<i64> = (0..8).map(|_| world.open()).collect();
    for (i, session) in sessions.clone().into_iter().enumerate() {
        world.create(session, &format!("/e{i}"), create_mode::EPHEMERAL);
    }
    world.server.start_snapshot().unwrap();
    for i in 0..8 {
        world.server.step(Step::Snapshot(1), NOW).unwrap();
        world.close(sessions.remove(0));
        let new = world.open();
        world.create(new, &format!("/n{i}"), create_mode::EPHEMERAL);
    }
    world.finish_snapshot();
    world.snapshot_alone_is_a_state();
    world.comes_back();
}

#[test]
fn zookeeper_3306_4799_4846_4689_acls_that_change_during_a_snapshot_keep_their_numbers() {
    let mut world = World::new(Options::default());
    let session = world.open();
    let list = |i: usize| {
        let ip = format!("10.0.0.{i}");
        let mut list = vec![Acl::new(perms::ALL, "world", "anyone")];
        let mut own = Acl::new(perms::READ, "ip", "");
        own.id.id = Some(ip.into());
        list.push(own);
        Some(list)
    };
    let set = |world: &mut World, path: String, i: usize| {
        let request = SetAclRequest {
            path: Some(path.into()),
            acl: list(i),
            version: -1,
        };
        world.ask(session, OpCode::SetAcl, &request);
        world.settle();
    };
    for i in 0..10 {
        world.create(session, &format!("/a{i}"), create_mode::PERSISTENT);
        set(&mut world, format!("/a{i}"), i);
    }
    let begun = world.history.last_zxid();
    world.server.start_snapshot().unwrap();
    for i in 0..10 {
        world.server.step(Step::Snapshot(1), NOW).unwrap();
        // Lists come into use, others go out of use, and their numbers may be given again.
        set(&mut world, format!("/a{}", 9 - i), 20 + i);
        world.delete(session, &format!("/a{}", 9 - i));
        world.create(session, &format!("/b{i}"), create_mode::PERSISTENT);
        set(&mut world, format!("/b{i}"), 40 + i);
    }
    world.finish_snapshot();
    world.snapshot_alone_is_a_state();
    world.comes_back();
    world.make_fuzzy(begun);
    world.comes_back();
}

#[test]
fn zookeeper_2355_a_session_whose_end_was_cut_off_keeps_its_nodes() {
    let mut world = World::new(Options::default());
    let session = world.open();
    world.create(session, "/e", create_mode::EPHEMERAL);
    let before = world.history.last_zxid();
    world.close(session);
    world.comes_back();
    let files = FaultyFiles::new(world.files().disk().crash(Crash::PowerNothingKept));
    let log = world.options.dirs.logs(&files).unwrap().pop().unwrap();
    let content = files.disk().content(&log.path).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut whole = files.open_write(&log.path).unwrap();
    whole.set_len(end as u64 - 5).unwrap();
    let opened = open(&files, &world.options).unwrap();
    let tree = &opened.tree.tree;
    assert_eq!(tree.last_processed_zxid(), before);
    assert!(tree.get("/e").is_some() && tree.sessions().contains_key(&session));
    assert_eq!(Some(State::of(tree)), world.history.state(before));
}

fn without_snapshots(world: &World) -> FaultyFiles {
    let files = FaultyFiles::new(world.files().disk().crash(Crash::PowerNothingKept));
    for snapshot in world.options.dirs.snapshots(&files).unwrap() {
        files.remove(&snapshot.path).unwrap();
    }
    files
}

fn some_history() -> World {
    let mut world = World::new(Options::default());
    let session = world.open();
    for i in 0..5 {
        world.create(session, &format!("/{i}"), create_mode::PERSISTENT);
    }
    world
}

#[test]
fn zookeeper_3056_logs_without_a_snapshot_start_when_they_are_trusted() {
    let world = some_history();
    let files = without_snapshots(&world);
    let refused = open(&files, &world.options).err().unwrap();
    assert!(refused.contains("snapshot.trust.empty"), "{refused}");
    let trusting = Options {
        trust_empty: true,
        ..world.options.clone()
    };
    let opened = open(&files, &trusting).unwrap();
    assert_eq!(opened.recovered.base, Base::Trusted);
}

#[test]
fn zookeeper_3644_trusted_logs_are_replayed_from_their_first_entry() {
    let world = some_history();
    let trusting = Options {
        trust_empty: true,
        ..world.options.clone()
    };
    let opened = open(&without_snapshots(&world), &trusting).unwrap();
    let zxid = world.history.last_zxid();
    assert_eq!(opened.recovered.log.range, Some((1, zxid)));
    assert_eq!(
        Some(State::of(&opened.tree.tree)),
        world.history.state(zxid)
    );
}

#[test]
fn zookeeper_3781_a_start_from_trusted_logs_writes_a_snapshot() {
    let world = some_history();
    let files = without_snapshots(&world);
    let trusting = Options {
        trust_empty: true,
        ..world.options.clone()
    };
    let mut server = Server::start(files.clone(), &trusting, 2, NOW).unwrap();
    assert!(server.is_writing_snapshot());
    while server.is_writing_snapshot() {
        server.step(Step::Snapshot(100), NOW).unwrap();
    }
    drop(server);
    // From now on trust is not needed any more.
    let files = FaultyFiles::new(files.disk().crash(Crash::PowerNothingKept));
    let opened = open(&files, &world.options).unwrap();
    let zxid = world.history.last_zxid();
    assert_eq!(
        Some(State::of(&opened.tree.tree)),
        world.history.state(zxid)
    );
}

#[test]
fn zookeeper_3231_a_purge_during_a_snapshot_keeps_what_a_start_needs() {
    let mut world = World::new(Options::default());
    let session = world.open();
    for round in 0..6 {
        world.create(session, &format!("/{round}"), create_mode::PERSISTENT);
        world.server.start_snapshot().unwrap();
        world.server.step(Step::Snapshot(1), NOW).unwrap();
        world.server.step(Step::Purge, NOW).unwrap();
        world.comes_back();
        world.finish_snapshot();
        world.server.step(Step::Purge, NOW).unwrap();
        world.comes_back();
    }
    assert!(world.server.counts().purged > 0);
}

#[test]
fn zookeeper_4882_a_failed_sync_leaves_no_hole() {
    // The process that saw the failure ends; the next one finds entries in the cache that the disk
    // does not have.
    let mut world = World::new(Options::default());
    let session = world.open();
    let files = world.files();
    files.set_faults(Faults {
        fails: Some((Op::Sync, 0)),
        ..Faults::default()
    });
    world.ask(session, OpCode::Create, &create("/a", 0));
    let failed = world.server.settle(&mut world.history, NOW).unwrap_err();
    assert!(failed.contains("sync"), "{failed}");
    assert_eq!(world.server.acknowledged(), world.history.last_zxid() - 1);
    assert!(world.server.step(Step::Log, NOW).is_err());

    let files = FaultyFiles::new(files.disk().crash(Crash::Kill));
    let mut server = Server::start(files.clone(), &world.options, 3, NOW).unwrap();
    let mut history = History::from(open(&copy_of(&files), &world.options).unwrap().tree.tree);
    server.step(Step::Ask(6), NOW).unwrap();
    server.settle(&mut history, NOW).unwrap();
    let zxid = server.acknowledged();
    assert_eq!(zxid, history.last_zxid());
    drop(server);
    let files = FaultyFiles::new(files.disk().crash(Crash::PowerNothingKept));
    let opened = open(&files, &world.options).unwrap();
    assert_eq!(Some(State::of(&opened.tree.tree)), history.state(zxid));
}

fn copy_of(files: &FaultyFiles) -> FaultyFiles {
    FaultyFiles::new(files.disk().crash(Crash::Kill))
}

#[test]
fn zookeeper_2901_times_to_live_are_not_sessions_of_servers_above_127() {
    let options = Options {
        server_id: 200,
        ..Options::default()
    };
    let mut world = World::new(options);
    let session = world.open();
    assert!(session < 0, "{session:#x}");
    world.create(session, "/e", create_mode::EPHEMERAL);
    let request = CreateTtlRequest {
        path: Some("/t".into()),
        data: None,
        acl: Some(vec![Acl::new(perms::ALL, "world", "anyone")]),
        flags: create_mode::PERSISTENT_WITH_TTL,
        ttl_ms: 0xAB_CDEF_0123,
    };
    world.ask(session, OpCode::CreateTtl, &request);
    world.settle();
    world.snapshot();
    let alone = world.snapshot_alone();
    for opened in [alone, world.recover()] {
        let tree = opened.tree.tree;
        let class = |path| tree.get(path).unwrap().owner_class();
        assert_eq!(class("/e"), OwnerClass::Ephemeral(session));
        assert_eq!(class("/t"), OwnerClass::Ttl(0xAB_CDEF_0123));
    }
    world.comes_back();
}

#[test]
fn zookeeper_4743_a_replayed_version_is_that_of_the_transaction() {
    let mut world = World::new(Options::default());
    let session = world.open();
    world.create(session, "/v", create_mode::PERSISTENT);
    let request = SetDataRequest {
        path: Some("/v".into()),
        data: None,
        version: -1,
    };
    world.ask(session, OpCode::SetData, &request);
    world.server.step(Step::Core, NOW).unwrap();
    let made: Vec<Append> = world.server.take_made();
    let last = world.history.last_zxid();
    // As a server with 2^32 changes behind it would have logged it.
    let entry = LogEntry::decode(&made[0].payload).unwrap();
    let Txn::SetData(txn) = &entry.txn else {
        panic!("{:?}", entry.txn)
    };
    for version in [i32::MAX, i32::MIN, -1, 0] {
        let wrapped = LogEntry {
            header: entry.header,
            txn: Txn::SetData(zooid_proto::txn::SetDataTxn {
                version,
                ..txn.clone()
            }),
            digest: None,
        };
        let mut payload = Vec::new();
        wrapped.encode(&mut payload);
        let mut batch = LogBatch::default();
        batch.push(&payload).unwrap();
        let files = FaultyFiles::new(world.files().disk().crash(Crash::PowerNothingKept));
        let dir: PathBuf = world.options.dirs.log_dir();
        let shared = Arc::new(files.clone());
        let mut log = LogWriter::new(shared, dir, world.options.log, Some(last));
        log.write(&batch).unwrap();
        log.sync().unwrap();
        let opened = open(&files, &world.options).unwrap();
        let stat = opened.tree.tree.get("/v").unwrap().persisted();
        assert_eq!(stat.version, version);
    }
}
