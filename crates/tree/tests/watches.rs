//! Who is told about what: the matrix of watch kinds and changes, and random use compared with two
//! plain tables in the manner of Java's `WatchManager`.
//!
//! Numbers are those of the checklist of the client protocol.

mod support;

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::*;
use zooid_proto::client::event::{CHILDREN_CHANGED, CREATED, DATA_CHANGED, DELETED};
use zooid_proto::records::Acl;
use zooid_proto::txn::Txn;
use zooid_tree::{AclId, Change, ChangeKind, ConnId, Mode, Tree, WatchSummary, WatchType, Watches};

/// A tree with watches, and connection 1 that sees events.
struct World {
    tree: Tree,
    watches: Watches,
    zxid: i64,
}

impl World {
    fn new() -> World {
        World {
            tree: Tree::new(OPTIONS),
            watches: Watches::with_seed(5),
            zxid: 0,
        }
    }

    fn with(paths: &[&str]) -> World {
        let mut world = World::new();
        for path in paths {
            world.run(&create(path, Some(b""), false));
        }
        world
    }

    fn watch(mut self, path: &str, modes: &[Mode]) -> World {
        for mode in modes {
            self.watches.add(1, path, *mode);
        }
        self
    }

    /// Events with their connections.
    fn events(&mut self, txn: &Txn<'_>) -> Vec<(ConnId, i32, String)> {
        self.zxid += 1;
        let mut changes: Vec<Change> = Vec::new();
        self.tree
            .apply(&header(self.zxid, 9, txn), txn, &mut changes);
        let mut fired = Vec::new();
        for change in &changes {
            assert_eq!(change.zxid, self.zxid, "82");
            self.watches.trigger(change, &mut fired);
        }
        fired
            .iter()
            .map(|f| (f.conn, f.event_type, f.path.to_string()))
            .collect()
    }

    /// Events of connection 1.
    fn run(&mut self, txn: &Txn<'_>) -> Vec<(i32, String)> {
        let events = self.events(txn).into_iter();
        events
            .filter(|event| event.0 == 1)
            .map(|event| (event.1, event.2))
            .collect()
    }
}

fn ev(kind: i32, path: &str) -> (i32, String) {
    (kind, path.to_owned())
}

const NODE: &str = "/a/b";
const CHILD: &str = "/a/b/c";

/// A world in which the parent exists, and the node too if asked.
fn world(exists: bool, modes: &[Mode]) -> World {
    let world = World::with(if exists { &["/a", NODE] } else { &["/a"] });
    world.watch(NODE, modes)
}

#[test]
fn matrix_of_section_18_2() {
    use Mode::*;
    let none: Vec<(i32, String)> = Vec::new();
    // exists on a missing node.
    let mut w = world(false, &[StdData]);
    assert_eq!(w.run(&create(NODE, None, false)), [ev(CREATED, NODE)]);
    assert_eq!(w.run(&set(NODE, None, 1)), none, "gone");
    // Data watch on a node that is there.
    let mut w = world(true, &[StdData]);
    assert_eq!(w.run(&create(CHILD, None, false)), none);
    assert_eq!(w.run(&set(CHILD, None, 1)), none);
    assert_eq!(w.run(&delete(CHILD)), none);
    assert_eq!(w.run(&set_acl(NODE, open_acl(), 1)), none);
    assert_eq!(w.run(&set(NODE, None, 1)), [ev(DATA_CHANGED, NODE)]);
    assert_eq!(w.run(&set(NODE, None, 2)), none, "gone");
    let mut w = world(true, &[StdData]);
    assert_eq!(w.run(&delete(NODE)), [ev(DELETED, NODE)]);
    assert_eq!(w.run(&create(NODE, None, false)), none, "gone");
    // Child watch.
    let mut w = world(true, &[StdChild]);
    assert_eq!(w.run(&set(NODE, None, 1)), none);
    assert_eq!(w.run(&set_acl(NODE, open_acl(), 1)), none);
    assert_eq!(
        w.run(&create(CHILD, None, false)),
        [ev(CHILDREN_CHANGED, NODE)]
    );
    assert_eq!(w.run(&delete(CHILD)), none, "gone");
    let mut w = world(true, &[StdChild]);
    assert_eq!(w.run(&delete(NODE)), [ev(DELETED, NODE)]);
    // Persistent.
    let mut w = world(false, &[Persistent]);
    for _ in 0..2 {
        assert_eq!(w.run(&create(NODE, None, false)), [ev(CREATED, NODE)]);
        assert_eq!(w.run(&set(NODE, None, 1)), [ev(DATA_CHANGED, NODE)]);
        assert_eq!(
            w.run(&create(CHILD, None, false)),
            [ev(CHILDREN_CHANGED, NODE)]
        );
        assert_eq!(w.run(&set(CHILD, None, 1)), none);
        assert_eq!(w.run(&set_acl(NODE, open_acl(), 1)), none);
        assert_eq!(w.run(&delete(CHILD)), [ev(CHILDREN_CHANGED, NODE)]);
        assert_eq!(w.run(&delete(NODE)), [ev(DELETED, NODE)], "once");
    }
    // Recursive.
    let mut w = world(false, &[Recursive]);
    for _ in 0..2 {
        assert_eq!(w.run(&create(NODE, None, false)), [ev(CREATED, NODE)]);
        assert_eq!(w.run(&set(NODE, None, 1)), [ev(DATA_CHANGED, NODE)]);
        assert_eq!(w.run(&create(CHILD, None, false)), [ev(CREATED, CHILD)]);
        assert_eq!(w.run(&set(CHILD, None, 1)), [ev(DATA_CHANGED, CHILD)]);
        assert_eq!(w.run(&set_acl(CHILD, open_acl(), 1)), none);
        assert_eq!(w.run(&delete(CHILD)), [ev(DELETED, CHILD)]);
        assert_eq!(w.run(&delete(NODE)), [ev(DELETED, NODE)]);
    }
    // Persistent and recursive at once.
    let mut w = world(false, &[Persistent, Recursive]);
    assert_eq!(w.run(&create(NODE, None, false)), [ev(CREATED, NODE)]);
    assert_eq!(w.run(&set(NODE, None, 1)), [ev(DATA_CHANGED, NODE)]);
    let child = [ev(CREATED, CHILD), ev(CHILDREN_CHANGED, NODE)];
    assert_eq!(w.run(&create(CHILD, None, false)), child);
    assert_eq!(w.run(&set(CHILD, None, 1)), [ev(DATA_CHANGED, CHILD)]);
    let child = [ev(DELETED, CHILD), ev(CHILDREN_CHANGED, NODE)];
    assert_eq!(w.run(&delete(CHILD)), child);
    assert_eq!(w.run(&delete(NODE)), [ev(DELETED, NODE)]);
}

#[test]
fn c66_c67_multi_fires_op_by_op_and_a_failed_one_not_at_all() {
    let mut w = World::new()
        .watch("/", &[Mode::Persistent])
        .watch("/a", &[Mode::StdData]);
    let both = Txn::Multi(vec![create("/a", None, false), delete("/a")]);
    let children = || ev(CHILDREN_CHANGED, "/");
    assert_eq!(w.run(&both), [ev(CREATED, "/a"), children(), children()]);
    let failed = Txn::Multi(vec![create("/a", None, false), Txn::Error { err: -103 }]);
    assert_eq!(w.run(&failed), []);
}

#[test]
fn c74_data_and_child_watch_see_one_deletion() {
    let mut w = world(true, &[Mode::StdData, Mode::StdChild]);
    assert_eq!(w.run(&delete(NODE)), [ev(DELETED, NODE)]);
    assert_eq!(w.watches.watch_count(), 0);
    assert_eq!(w.run(&create(NODE, None, false)), []);
    // Another connection with a child watch only is told nevertheless.
    let mut w = world(true, &[Mode::StdData]);
    w.watches.add(2, NODE, Mode::StdChild);
    let told = [(1, DELETED, NODE.to_owned()), (2, DELETED, NODE.to_owned())];
    assert_eq!(w.events(&delete(NODE)), told);
}

#[test]
fn c75_child_watch_is_silent_for_data() {
    let mut w = World::with(&["/a", NODE, CHILD]).watch(NODE, &[Mode::StdChild]);
    assert_eq!(w.run(&set(NODE, None, 1)), []);
    assert_eq!(w.run(&set(CHILD, None, 1)), []);
    assert_eq!(w.run(&delete(CHILD)), [ev(CHILDREN_CHANGED, NODE)]);
    assert_eq!(w.run(&create(CHILD, None, false)), []);
}

#[test]
fn c76_persistent_watch_sees_six_events() {
    let mut w = world(false, &[Mode::Persistent]);
    let mut seen = Vec::new();
    for txn in [
        create(NODE, None, false),
        create(CHILD, None, false),
        set(NODE, None, 1),
        delete(CHILD),
        delete(NODE),
        create(NODE, None, false),
    ] {
        seen.extend(w.run(&txn).into_iter().map(|event| event.0));
    }
    let expected = [
        CREATED,
        CHILDREN_CHANGED,
        DATA_CHANGED,
        CHILDREN_CHANGED,
        DELETED,
        CREATED,
    ];
    assert_eq!(seen, expected);
}

#[test]
fn c77_recursive_watch_never_says_children_changed() {
    let mut w = World::with(&["/a"]).watch("/a/b", &[Mode::Recursive]);
    let mut seen = Vec::new();
    for txn in [
        create("/a/b", None, false),
        create("/a/b/c", None, false),
        create("/a/b/c/d", None, false),
        set("/a/b/c/d", None, 1),
        delete("/a/b/c/d"),
        create("/a/bb", None, false),
    ] {
        seen.extend(w.run(&txn));
    }
    let expected = [
        ev(CREATED, "/a/b"),
        ev(CREATED, "/a/b/c"),
        ev(CREATED, "/a/b/c/d"),
        ev(DATA_CHANGED, "/a/b/c/d"),
        ev(DELETED, "/a/b/c/d"),
    ];
    assert_eq!(seen, expected, "and nothing of /a/bb");
}

#[test]
fn c78_recursive_watch_on_the_root_sees_all() {
    let mut w = World::new().watch("/", &[Mode::Recursive]);
    assert_eq!(w.run(&create("/a", None, false)), [ev(CREATED, "/a")]);
    assert_eq!(w.run(&create("/a/b", None, false)), [ev(CREATED, "/a/b")]);
    assert_eq!(w.run(&set("/", None, 1)), [ev(DATA_CHANGED, "/")]);
}

#[test]
fn c79_three_modes_on_one_path_tell_once() {
    let modes = [
        Mode::StdData,
        Mode::StdChild,
        Mode::Persistent,
        Mode::Recursive,
    ];
    let mut w = world(true, &modes);
    assert_eq!(w.run(&set(NODE, None, 1)), [ev(DATA_CHANGED, NODE)]);
    assert_eq!(w.run(&delete(NODE)), [ev(DELETED, NODE)]);
    let mut w = world(true, &modes)
        .watch("/", &[Mode::Recursive])
        .watch("/a", &[Mode::Recursive]);
    assert_eq!(w.run(&set(NODE, None, 1)), [ev(DATA_CHANGED, NODE)]);
}

#[test]
fn c80_removing_one_type_leaves_the_others() {
    let mut w = world(true, &[Mode::StdData, Mode::Persistent]);
    assert!(w.watches.contains(1, NODE, WatchType::Data));
    assert!(w.watches.remove(1, NODE, WatchType::Data));
    assert!(!w.watches.remove(1, NODE, WatchType::Data), "no watcher");
    assert!(!w.watches.contains(1, NODE, WatchType::Data));
    assert_eq!(w.run(&set(NODE, None, 1)), [ev(DATA_CHANGED, NODE)]);
    assert_eq!(
        w.run(&create(CHILD, None, false)),
        [ev(CHILDREN_CHANGED, NODE)]
    );
    // Persistent leaves both tables.
    assert!(w.watches.remove(1, NODE, WatchType::Persistent));
    assert_eq!(w.run(&delete(CHILD)), []);
    assert_eq!(w.watches.watch_count(), 0);
    for (mode, what) in [
        (Mode::StdData, WatchType::Data),
        (Mode::StdChild, WatchType::Children),
        (Mode::Persistent, WatchType::Persistent),
        (Mode::Recursive, WatchType::PersistentRecursive),
    ] {
        let mut watches = Watches::new();
        watches.add(1, NODE, mode);
        watches.add(1, NODE, mode);
        watches.add(2, NODE, Mode::StdData);
        for other in 1..=5 {
            let other = WatchType::from_i32(other).unwrap();
            let expected = other == what || other == WatchType::Any;
            assert_eq!(
                watches.contains(1, NODE, other),
                expected,
                "{mode:?} {other:?}"
            );
            assert!(!watches.contains(1, "/a", other) && !watches.contains(3, NODE, other));
        }
        assert!(watches.remove(1, NODE, WatchType::Any));
        assert!(!watches.contains(1, NODE, WatchType::Any));
        assert!(watches.contains(2, NODE, WatchType::Any));
    }
    assert_eq!(
        (WatchType::from_i32(0), WatchType::from_i32(6)),
        (None, None)
    );
}

#[test]
fn c82_events_carry_the_zxid_that_the_node_shows() {
    let mut w = World::with(&["/a"]).watch("/a", &[Mode::Persistent]);
    w.run(&create("/a/b", None, false));
    assert_eq!(w.tree.get("/a").map(|node| node.pzxid()), Some(w.zxid));
    w.run(&set("/a", None, 1));
    assert_eq!(w.tree.get("/a").map(|node| node.mzxid()), Some(w.zxid));
    w.run(&delete("/a/b"));
    assert_eq!(w.tree.get("/a").map(|node| node.pzxid()), Some(w.zxid));
}

/// The filter itself is the server's; here, that it gets the right list.
#[test]
fn c86_c87_events_name_the_list_that_must_allow_reading() {
    let secret = vec![Acl::new(31, "digest", "me:x")];
    let mut w = World::new()
        .watch("/", &[Mode::Recursive])
        .watch("/a", &[Mode::Persistent]);
    let lists = |w: &mut World, txn: &Txn<'_>| {
        w.zxid += 1;
        let mut changes: Vec<Change> = Vec::new();
        w.tree.apply(&header(w.zxid, 9, txn), txn, &mut changes);
        let mut fired = Vec::new();
        changes
            .iter()
            .for_each(|change| w.watches.trigger(change, &mut fired));
        let lists = fired
            .iter()
            .map(|f| (f.event_type, w.tree.acl(f.acl).to_vec()));
        lists.collect::<Vec<_>>()
    };
    let create =
        |path, acl: &[Acl<'static>]| create_with(path, None, false, Some(acl.to_vec()), -1);
    assert_eq!(
        lists(&mut w, &create("/a", &secret)),
        [(CREATED, secret.clone())]
    );
    let below = [(CREATED, open_acl()), (CHILDREN_CHANGED, secret.clone())];
    assert_eq!(lists(&mut w, &create("/a/b", &open_acl())), below);
    assert_eq!(
        lists(&mut w, &set("/a", None, 1)),
        [(DATA_CHANGED, secret.clone())]
    );
    let below = [(DELETED, open_acl()), (CHILDREN_CHANGED, secret.clone())];
    assert_eq!(lists(&mut w, &delete("/a/b")), below);
    // The last one of a list that is gone with its node.
    assert_eq!(lists(&mut w, &delete("/a")), [(DELETED, secret)]);
    // A one-time watch is used up whether or not its event gets through.
    w.watches.add(2, "/x", Mode::StdData);
    w.run(&support::create("/x", None, false));
    assert!(!w.watches.contains(2, "/x", WatchType::Data));
}

#[test]
fn c89_a_closed_connection_watches_nothing() {
    let mut w = world(true, &[Mode::StdData, Mode::Persistent]).watch("/", &[Mode::Recursive]);
    w.watches.add(2, NODE, Mode::StdData);
    w.watches.remove_conn(1);
    w.watches.remove_conn(1);
    let told = [(2, DATA_CHANGED, NODE.to_owned())];
    assert_eq!(w.events(&set(NODE, None, 1)), told);
    assert_eq!(
        (w.watches.watch_count(), w.watches.by_connection().count()),
        (0, 0)
    );
}

#[test]
fn the_alias_of_the_root_is_no_watch_of_the_root() {
    let mut w = World::new().watch("", &[Mode::Persistent]);
    assert_eq!(w.run(&set("/", None, 1)), []);
    assert_eq!(w.run(&create("/a", None, false)), []);
}

#[test]
fn summaries_speak_of_data_watches_only() {
    let mut watches = Watches::new();
    watches.add(7, "/a", Mode::StdData);
    watches.add(7, "/a", Mode::Persistent);
    watches.add(7, "/b", Mode::StdChild);
    watches.add(8, "/c", Mode::StdChild);
    watches.add(9, "/a", Mode::Recursive);
    let summary = WatchSummary {
        connections: 2,
        paths: 1,
        watches: 2,
    };
    assert_eq!(watches.summary(), summary);
    assert_eq!(watches.watch_count(), 5, "two of data; three of children");
    let mut by_connection: Vec<_> = watches.by_connection().collect();
    by_connection.sort_unstable();
    assert_eq!(by_connection, [(7, vec!["/a"]), (9, vec!["/a"])]);
    assert_eq!(watches.by_path().collect::<Vec<_>>(), [("/a", vec![7, 9])]);
}

/// Java's two tables: path, connection, modes.
#[derive(Default)]
struct Tables {
    data: BTreeMap<String, BTreeMap<ConnId, BTreeSet<u8>>>,
    child: BTreeMap<String, BTreeMap<ConnId, BTreeSet<u8>>>,
}

const STD: u8 = 0;
const PER: u8 = 1;
const REC: u8 = 2;

type Table = BTreeMap<String, BTreeMap<ConnId, BTreeSet<u8>>>;

fn put(table: &mut Table, conn: ConnId, path: &str, mode: u8) {
    table
        .entry(path.to_owned())
        .or_default()
        .entry(conn)
        .or_default()
        .insert(mode);
}

fn take(table: &mut Table, conn: ConnId, path: &str, modes: &[u8]) -> bool {
    let Some(conns) = table.get_mut(path) else {
        return false;
    };
    let Some(had) = conns.get_mut(&conn) else {
        return false;
    };
    let before = had.len();
    had.retain(|mode| !modes.contains(mode));
    let removed = had.len() < before;
    if had.is_empty() {
        conns.remove(&conn);
    }
    if conns.is_empty() {
        table.remove(path);
    }
    removed
}

fn fire(table: &mut Table, path: &str) -> BTreeSet<ConnId> {
    let mut told = BTreeSet::new();
    let mut at = path.to_owned();
    loop {
        for (conn, modes) in table.get(&at).into_iter().flatten() {
            if at == path || modes.contains(&REC) {
                told.insert(*conn);
            }
        }
        if at == "/" {
            break;
        }
        at = match parent(&at) {
            "" => "/".to_owned(),
            parent => parent.to_owned(),
        };
    }
    for conn in &told {
        take(table, *conn, path, &[STD]);
    }
    told
}

impl Tables {
    fn add(&mut self, conn: ConnId, path: &str, mode: Mode) {
        match mode {
            Mode::StdData => put(&mut self.data, conn, path, STD),
            Mode::StdChild => put(&mut self.child, conn, path, STD),
            Mode::Persistent => {
                put(&mut self.data, conn, path, PER);
                put(&mut self.child, conn, path, PER);
            }
            Mode::Recursive => put(&mut self.data, conn, path, REC),
        }
    }

    fn remove(&mut self, conn: ConnId, path: &str, what: WatchType) -> bool {
        match what {
            WatchType::Children => take(&mut self.child, conn, path, &[STD]),
            WatchType::Data => take(&mut self.data, conn, path, &[STD]),
            WatchType::Persistent => {
                let data = take(&mut self.data, conn, path, &[PER]);
                data | take(&mut self.child, conn, path, &[PER])
            }
            WatchType::PersistentRecursive => take(&mut self.data, conn, path, &[REC]),
            WatchType::Any => {
                let data = take(&mut self.data, conn, path, &[STD, PER, REC]);
                data | take(&mut self.child, conn, path, &[STD, PER])
            }
        }
    }

    fn trigger(&mut self, change: &Change) -> Vec<(ConnId, i32, String)> {
        let path = &*change.path;
        let above = match parent(path) {
            "" => "/",
            parent => parent,
        };
        let mut events = Vec::new();
        let mut tell = |conns: &BTreeSet<ConnId>, kind, path: &str| {
            events.extend(conns.iter().map(|conn| (*conn, kind, path.to_owned())));
        };
        match change.kind {
            ChangeKind::DataChanged => tell(&fire(&mut self.data, path), DATA_CHANGED, path),
            ChangeKind::Created => tell(&fire(&mut self.data, path), CREATED, path),
            ChangeKind::Deleted => {
                let first = fire(&mut self.data, path);
                let second = fire(&mut self.child, path);
                tell(&(&first | &second), DELETED, path);
            }
        }
        if change.kind != ChangeKind::DataChanged {
            tell(&fire(&mut self.child, above), CHILDREN_CHANGED, above);
        }
        events
    }

    fn size(table: &Table) -> usize {
        table.values().map(BTreeMap::len).sum()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(ConnId, &'static str, Mode),
    Remove(ConnId, &'static str, WatchType),
    Close(ConnId),
    Change(ChangeKind, &'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let conn = 1..6 as ConnId;
    let path = prop::sample::select(vec!["/", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f"]);
    let modes = vec![
        Mode::StdData,
        Mode::StdChild,
        Mode::Persistent,
        Mode::Recursive,
    ];
    let mode = prop::sample::select(modes);
    let what = (1..=5).prop_map(|n| WatchType::from_i32(n).unwrap());
    let kinds = vec![
        ChangeKind::Created,
        ChangeKind::Deleted,
        ChangeKind::DataChanged,
    ];
    let kind = prop::sample::select(kinds);
    prop_oneof![
        10 => (conn.clone(), path.clone(), mode).prop_map(|(c, p, m)| Step::Add(c, p, m)),
        4 => (conn.clone(), path.clone(), what).prop_map(|(c, p, w)| Step::Remove(c, p, w)),
        1 => conn.prop_map(Step::Close),
        8 => (kind, path).prop_map(|(k, p)| Step::Change(k, p)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn watches_do_what_two_tables_do(steps in prop::collection::vec(step(), 1..120)) {
        let (mut watches, mut tables) = (Watches::new(), Tables::default());
        for step in steps {
            match step {
                Step::Add(conn, path, mode) => {
                    watches.add(conn, path, mode);
                    tables.add(conn, path, mode);
                }
                Step::Remove(conn, path, what) => {
                    let removed = watches.remove(conn, path, what);
                    prop_assert_eq!(removed, tables.remove(conn, path, what));
                }
                Step::Close(conn) => {
                    watches.remove_conn(conn);
                    for table in [&mut tables.data, &mut tables.child] {
                        table.values_mut().for_each(|conns| drop(conns.remove(&conn)));
                        table.retain(|_, conns| !conns.is_empty());
                    }
                }
                // The root is only ever set.
                Step::Change(kind, path) if path != "/" || kind == ChangeKind::DataChanged => {
                    let change = Change {
                        kind,
                        path: path.into(),
                        acl: AclId::OPEN,
                        parent_acl: AclId::OPEN,
                        zxid: 1,
                    };
                    let mut fired = Vec::new();
                    watches.trigger(&change, &mut fired);
                    let mut events: Vec<_> =
                        fired.iter().map(|f| (f.conn, f.event_type, f.path.to_string())).collect();
                    let mut expected = tables.trigger(&change);
                    // The order among connections is free.
                    events.sort_by_key(|event| event.0);
                    expected.sort_by_key(|event| event.0);
                    prop_assert_eq!(events, expected);
                }
                Step::Change(..) => {}
            }
            let sizes = Tables::size(&tables.data) + Tables::size(&tables.child);
            prop_assert_eq!(watches.watch_count(), sizes);
            let conns: BTreeSet<ConnId> =
                tables.data.values().flat_map(|conns| conns.keys().copied()).collect();
            let summary = WatchSummary {
                connections: conns.len(),
                paths: tables.data.len(),
                watches: Tables::size(&tables.data),
            };
            prop_assert_eq!(watches.summary(), summary);
            let by_path: BTreeMap<String, BTreeSet<ConnId>> = watches
                .by_path()
                .map(|(path, conns)| (path.to_owned(), conns.into_iter().collect()))
                .collect();
            let expected = tables.data.iter();
            let expected: BTreeMap<String, BTreeSet<ConnId>> = expected
                .map(|(path, conns)| (path.clone(), conns.keys().copied().collect()))
                .collect();
            prop_assert_eq!(by_path, expected);
        }
    }
}

#[test]
fn a_crowd_at_one_path_is_told_and_leaves() {
    let mut watches = Watches::new();
    for conn in (0..10_000).rev() {
        watches.add(conn, "/a", Mode::StdData);
        watches.add(conn, "/other", Mode::StdChild);
    }
    let change = Change {
        kind: ChangeKind::DataChanged,
        path: "/a".into(),
        acl: AclId::OPEN,
        parent_acl: AclId::OPEN,
        zxid: 1,
    };
    let mut fired = Vec::new();
    watches.trigger(&change, &mut fired);
    let conns: BTreeSet<ConnId> = fired.iter().map(|fired| fired.conn).collect();
    assert_eq!((fired.len(), conns.len()), (10_000, 10_000));
    assert_eq!(
        (watches.summary(), watches.watch_count()),
        (WatchSummary::default(), 10_000)
    );
    (0..10_000).for_each(|conn| watches.remove_conn(conn));
    assert_eq!(watches.watch_count(), 0);
}
