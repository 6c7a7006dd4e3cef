//! Random transactions on the tree and on the plain model, and what follows from their agreement:
//! replay, snapshots by walk, Java's fuzzy snapshots.

mod support;

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::*;
use zooid_proto::Reader;
use zooid_proto::records::Acl;
use zooid_proto::txn::Txn;
use zooid_tree::walk::NodeRecord;
use zooid_tree::{Change, ChangeKind, Tree, TreeLoader};

const PATHS: &[&str] = &[
    "/",
    "/a",
    "/b",
    "/a/a",
    "/a/b",
    "/a/b/c",
    "/a/b/d",
    "/a/b/c/d",
    "/ä",
    "/ä/🐘",
    "/missing/x",
    "/zookeeper/x",
    "/zookeeper/config",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/a/b",
    "/zookeeper/quota/a/b/zookeeper_limits",
    "/zookeeper/quota/a/b/zookeeper_stats",
    "/zookeeper/quota/zookeeper_limits",
    "/zookeeper/quota/zookeeper_stats",
    "/zookeeper/quotas",
    "/zookeeper/quotas/zookeeper_limits",
];

const DATA: &[Option<&[u8]>] = &[
    None,
    Some(b""),
    Some(b"x"),
    Some(b"y"),
    Some(b"some more data"),
    Some(b"count=5,bytes=10"),
    Some(b"count=1,bytes=2=;byteHardLimit=15;countHardLimit=4"),
    Some(b"no numbers"),
];

/// The server neither creates nor deletes these.
const FIXED: &[&str] = &["/", "/zookeeper/config"];

/// In which order the nodes of a session go is free, and the order in which quotas and what they
/// count go shows.
fn owned(path: &str) -> bool {
    !path.starts_with("/zookeeper/quota")
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PATHS)
}

fn free_path() -> impl Strategy<Value = &'static str> {
    path().prop_filter("fixed", |path| !FIXED.contains(path))
}

fn data() -> impl Strategy<Value = Option<&'static [u8]>> {
    prop::sample::select(DATA)
}

fn acl() -> impl Strategy<Value = Option<Vec<Acl<'static>>>> {
    prop::option::weighted(
        0.9,
        (1..4i32, prop::sample::select(vec!["world", "ip"]))
            .prop_map(|(perms, scheme)| vec![Acl::new(perms, scheme, "anyone")]),
    )
}

fn cversion() -> impl Strategy<Value = i32> {
    prop_oneof![4 => Just(-1), 1 => 0..20i32]
}

fn single() -> impl Strategy<Value = Txn<'static>> {
    prop_oneof![
        6 => (free_path(), data(), any::<bool>(), acl(), cversion())
            .prop_map(|(p, d, e, a, c)| create_with(p, d, e && owned(p), a, c)),
        2 => (free_path(), data(), any::<bool>(), acl(), cversion()).prop_map(|(p, d, e, a, c)| {
            let Txn::Create(create) = create_with(p, d, e && owned(p), a, c) else { unreachable!() };
            Txn::Create2(create)
        }),
        1 => (free_path(), cversion()).prop_map(|(p, c)| container(p, c)),
        1 => (free_path(), 1..100i64, cversion()).prop_map(|(p, t, c)| ttl(p, t, c)),
        4 => free_path().prop_map(delete),
        4 => (path(), data(), 0..9i32).prop_map(|(p, d, v)| set(p, d, v)),
        2 => (path(), acl(), 0..9i32).prop_map(|(p, a, v)| set_acl(p, a.unwrap_or_default(), v)),
        1 => path().prop_map(check),
    ]
}

fn txn() -> impl Strategy<Value = Txn<'static>> {
    prop_oneof![
        12 => single(),
        1 => prop::collection::vec(single(), 0..5).prop_map(Txn::Multi),
        1 => (prop::collection::vec(single(), 0..3), prop::collection::vec(single(), 0..2))
            .prop_map(|(mut parts, more)| {
                parts.push(Txn::Error { err: -103 });
                parts.extend(more);
                parts.push(Txn::Error { err: -2 });
                Txn::Multi(parts)
            }),
        1 => Just(Txn::Error { err: -110 }),
        1 => (1000..9000i32).prop_map(|timeout_ms| Txn::CreateSession { timeout_ms }),
        1 => prop::option::of(prop::collection::vec(free_path(), 0..3)).prop_map(|paths| {
            let paths = paths.map(|paths| paths.into_iter().map(|p| Some(p.into())).collect());
            Txn::CloseSession { paths }
        }),
    ]
}

/// Transactions with the session that they come from.
fn txns(max: usize) -> impl Strategy<Value = Vec<(i64, Txn<'static>)>> {
    prop::collection::vec((1..4i64, txn()), 1..max)
}

/// Changed paths that are not below others.
fn tops(changes: &[(ChangeKind, String, i64)]) -> BTreeSet<&str> {
    let below = |path: &str, top: &str| path.strip_prefix(top).is_some_and(|p| p.starts_with('/'));
    let paths = changes.iter().map(|(_, path, _)| &**path);
    paths
        .filter(|path| !changes.iter().any(|(_, top, _)| below(path, top)))
        .collect()
}

fn apply(tree: &mut Tree, model: &mut Model, zxid: i64, session: i64, txn: &Txn<'_>) {
    let header = header(zxid, session, txn);
    let mut changes: Vec<Change> = Vec::new();
    let applied = tree.apply(&header, txn, &mut changes);
    assert_eq!(applied.err, model.apply(&header, txn), "{txn:?}");
    assert_eq!(applied.kind, txn.kind());
    for change in &changes {
        // Readable as long as they are needed.
        tree.acl(change.acl);
        tree.acl(change.parent_acl);
    }
    let changes: Vec<_> = changes
        .iter()
        .map(|c| (c.kind, c.path.to_string(), c.zxid))
        .collect();
    if matches!(txn, Txn::CloseSession { .. }) {
        // The order is free, and with it whether what is below a node goes with it unnoticed.
        assert_eq!(tops(&changes), tops(&model.changes));
    } else {
        assert_eq!(changes, model.changes);
    }
    if let Some(stat) = applied.stat {
        let mut now = applied.path.and_then(|p| tree.get(p)).map(|n| n.stat());
        if let (Some(now), Some(sent)) = (&mut now, created_bytes(txn)) {
            // Quota statistics are counted anew at once; the reply tells of what was sent.
            now.data_length = sent;
        }
        assert_eq!(Some(stat), now);
    }
}

fn created_bytes(txn: &Txn<'_>) -> Option<i32> {
    let data = match txn {
        Txn::Create(create) | Txn::Create2(create) => &create.data,
        Txn::CreateContainer(create) => &create.data,
        Txn::CreateTtl(create) => &create.data,
        _ => return None,
    };
    Some(data.as_deref().map_or(0, |data| data.len() as i32))
}

proptest! {
    // PROPTEST_CASES=5000 for a long run.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(60, |n| n.parse().expect("a number of cases")),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_tree_does_what_the_model_does(txns in txns(80)) {
        let (mut tree, mut model) = (Tree::with_seed(OPTIONS, 9), Model::new());
        for (i, (session, txn)) in txns.iter().enumerate() {
            apply(&mut tree, &mut model, i as i64 + 1, *session, txn);
            model.assert_equals(&tree);
        }
        for path in PATHS {
            let known = model.nodes.contains_key(if *path == "/" { "" } else { path });
            prop_assert_eq!(tree.get(path).is_some(), known);
        }
    }

    #[test]
    fn a_walk_writes_the_tree_as_it_was_when_it_began(
        before in txns(60),
        during in prop::collection::vec((0..4usize, 1..4i64, txn()), 1..60),
        second in 0..60usize,
    ) {
        let (mut tree, mut model) = (Tree::new(OPTIONS), Model::new());
        let mut zxid = 0;
        for (session, txn) in &before {
            zxid += 1;
            apply(&mut tree, &mut model, zxid, *session, txn);
        }
        // Two walks that overlap, begun at different times, and one that is dropped midway.
        let mut walks = vec![(tree.begin_walk(), model.clone(), Vec::new())];
        let mut dropped = Some(tree.begin_walk());
        let mut out = Vec::new();
        for (i, (steps, session, txn)) in during.iter().enumerate() {
            if i == second {
                walks.push((tree.begin_walk(), model.clone(), Vec::new()));
            }
            for (walk, _, bytes) in &mut walks {
                if *steps > 0 && tree.walk_step(walk, *steps, &mut out) {
                    bytes.append(&mut out);
                }
                prop_assert!(out.is_empty());
            }
            if i == 5 {
                dropped = None;
            }
            zxid += 1;
            apply(&mut tree, &mut model, zxid, *session, txn);
        }
        drop(dropped);
        for (mut walk, model, mut bytes) in walks {
            while tree.walk_step(&mut walk, 3, &mut bytes) {}
            prop_assert!(!tree.walk_step(&mut walk, 3, &mut bytes));
            prop_assert_eq!((walk.zxid, walk.digest), (model.last_zxid, model.digest()));
            let mut loader = TreeLoader::with_seed(OPTIONS, 3);
            walk.sessions.iter().for_each(|&(id, ms)| loader.add_session(id, ms));
            walk.acls.iter().for_each(|(id, list)| loader.add_acl(*id, list.to_vec()));
            let mut reader = Reader::new(&bytes);
            let mut nodes = 0;
            let mut read = BTreeMap::new();
            while reader.remaining() > 0 {
                let record = NodeRecord::read(&mut reader).unwrap();
                loader.add_node(&record.path, record.data.as_deref(), record.acl_id, &record.stat).unwrap();
                read.insert(record.path.into_owned(), record.data.map(|d| d.into_owned()));
                nodes += 1;
            }
            prop_assert_eq!(nodes, walk.node_count);
            // Before the loader counts quotas anew.
            for (path, node) in &model.nodes {
                prop_assert_eq!(&read[path], &node.data, "{}", path);
            }
            let mut loaded = loader.finish().unwrap();
            loaded.set_last_processed_zxid(walk.zxid);
            prop_assert_eq!(loaded.unresolved_acls(), 0);
            let mut model = model;
            for path in PATHS {
                // The loader starts the count of every limits node anew.
                if path.ends_with("zookeeper_stats") && let Some(node) = model.nodes.get_mut(*path) {
                    node.data = loaded.get(path).unwrap().data().map(<[u8]>::to_vec);
                }
            }
            // Java finds limits nodes only where they have no children; so can the model.
            model.assert_equals(&loaded);
        }
        model.assert_equals(&tree);
    }

    #[test]
    fn replaying_all_a_second_time_changes_nothing(txns in txns(60)) {
        // Without the older cversions that no leader writes behind newer ones.
        let (mut tree, mut model) = (Tree::new(OPTIONS), Model::new());
        let mut log = Vec::new();
        for (i, (session, txn)) in valid(&txns).into_iter().enumerate() {
            apply(&mut tree, &mut model, i as i64 + 1, session, &txn);
            log.push((session, txn));
        }
        for (i, (session, txn)) in log.iter().enumerate() {
            tree.apply(&header(i as i64 + 1, *session, txn), txn, &mut ());
        }
        // Sessions and stats of nodes are those of the end; so are parents.
        model.assert_equals_but_quotas(&tree);
    }

    #[test]
    fn a_fuzzy_snapshot_and_its_log_give_the_live_tree(
        before in txns(40),
        during in txns(40),
        order in prop::collection::vec(0..3usize, 40),
        after in txns(10),
    ) {
        let mut all = before.clone();
        all.extend(during.iter().cloned());
        all.extend(after.iter().cloned());
        let log = valid(&all);
        let split = valid(&before).len();
        let end = log.len().min(split + during.len());
        let mut live = Model::new();
        for (i, (session, txn)) in log[..split].iter().enumerate() {
            live.apply(&header(i as i64 + 1, *session, txn), txn);
        }
        // As Java does it: sessions and ACLs first, then node by node while transactions go on.
        let mut fuzzy = TreeLoader::new(OPTIONS);
        live.sessions.iter().for_each(|(&id, &ms)| fuzzy.add_session(id, ms));
        let mut table: Vec<Vec<Acl<'static>>> = Vec::new();
        let known: Vec<_> = live.nodes.values().filter_map(|node| node.acl.clone()).collect();
        for acl in &known {
            if !table.contains(acl) {
                fuzzy.add_acl(table.len() as i64 + 1, acl.clone());
                table.push(acl.clone());
            }
        }
        let mut at = split;
        let mut open = vec![String::new()];
        let mut visits = 0;
        while let Some(path) = open.pop() {
            for _ in 0..order[visits % order.len()] {
                if at < end {
                    let (session, txn) = &log[at];
                    at += 1;
                    live.apply(&header(at as i64, *session, txn), txn);
                }
            }
            visits += 1;
            let Some(node) = live.nodes.get(&path) else { continue };
            let id = node.acl.as_ref().map_or(-1, |acl| {
                let at = table.iter().position(|known| known == acl).unwrap_or_else(|| {
                    // Too late for the table.
                    table.push(acl.clone());
                    table.len() - 1
                });
                at as i64 + 1
            });
            fuzzy.add_node(&path, node.data.as_deref(), id, &node.stat).unwrap();
            open.extend(live.children(&path).iter().map(|name| format!("{path}/{name}")));
        }
        for (session, txn) in &log[at..] {
            at += 1;
            live.apply(&header(at as i64, *session, txn), txn);
        }
        let mut tree = fuzzy.finish().unwrap();
        tree.set_last_processed_zxid(split as i64);
        for (i, (session, txn)) in log.iter().enumerate().skip(split) {
            tree.apply(&header(i as i64 + 1, *session, txn), txn, &mut ());
        }
        prop_assert_eq!(tree.unresolved_acls(), 0);
        live.assert_equals_but_quotas(&tree);
    }
}

/// What a leader makes of requests: only transactions that succeed, with the right numbers.
fn valid(txns: &[(i64, Txn<'static>)]) -> Vec<(i64, Txn<'static>)> {
    let mut model = Model::new();
    let mut log = Vec::new();
    for (session, txn) in txns {
        let zxid = log.len() as i64 + 1;
        let mut trial = model.clone();
        let Some(txn) = fit(&mut trial, zxid, *session, txn) else {
            continue;
        };
        let header = header(zxid, *session, &txn);
        model.apply(&header, &txn);
        log.push((*session, txn));
    }
    log
}

fn fit(model: &mut Model, zxid: i64, session: i64, txn: &Txn<'static>) -> Option<Txn<'static>> {
    let mut txn = txn.clone();
    match &mut txn {
        Txn::Create(c) | Txn::Create2(c) => {
            let parent = model.nodes.get(parent(&c.path))?;
            // Quota nodes are left out: Java counts anew at other times than a live server.
            if c.path.starts_with("/zookeeper/quota") || is_session(parent.stat.ephemeral_owner) {
                return None;
            }
            if c.ephemeral && !model.sessions.contains_key(&session) {
                return None;
            }
            c.parent_cversion = parent.stat.cversion + 1;
        }
        Txn::CreateContainer(c) => {
            let parent = model.nodes.get(parent(&c.path))?;
            if c.path.starts_with("/zookeeper/quota") || is_session(parent.stat.ephemeral_owner) {
                return None;
            }
            c.parent_cversion = parent.stat.cversion + 1;
        }
        Txn::CreateTtl(c) => {
            let parent = model.nodes.get(parent(&c.path))?;
            if c.path.starts_with("/zookeeper/quota") || is_session(parent.stat.ephemeral_owner) {
                return None;
            }
            c.parent_cversion = parent.stat.cversion + 1;
        }
        Txn::Delete(d) | Txn::DeleteContainer(d) => {
            model.nodes.get(&*d.path)?;
            if !model.children(&d.path).is_empty() {
                return None;
            }
        }
        Txn::SetData(s) => {
            let key = if s.path == "/" { "" } else { &*s.path };
            s.version = model.nodes.get(key)?.stat.version + 1;
        }
        Txn::SetAcl(s) => {
            let key = if s.path == "/" { "" } else { &*s.path };
            s.version = model.nodes.get(key)?.stat.aversion + 1;
        }
        Txn::Multi(parts) if !parts.iter().any(|part| matches!(part, Txn::Error { .. })) => {
            let mut fitted = Vec::new();
            for part in parts.iter() {
                let part = fit(model, zxid, session, part)?;
                if model.apply(&header(zxid, session, &part), &part) != 0 {
                    return None;
                }
                fitted.push(part);
            }
            return Some(Txn::Multi(fitted));
        }
        Txn::CloseSession { paths } => {
            model.sessions.get(&session)?;
            let owned = model.owned(session).into_iter();
            *paths = Some(owned.map(|path| Some(path.into())).collect());
        }
        Txn::CreateSession { .. } if model.sessions.contains_key(&session) => return None,
        _ => {}
    }
    let err = model.clone().apply(&header(zxid, session, &txn), &txn);
    let expected = match &txn {
        Txn::Error { err } => *err,
        Txn::Multi(_) => err,
        _ => 0,
    };
    (err == expected).then_some(txn)
}

#[test]
fn a_record_of_a_walk_is_that_of_a_snapshot() {
    let mut tree = Tree::new(OPTIONS);
    let txn = create("/a", None, false);
    tree.apply(&header(1, 1, &txn), &txn, &mut ());
    let mut walk = tree.begin_walk();
    let mut bytes = Vec::new();
    while tree.walk_step(&mut walk, 100, &mut bytes) {}
    let mut reader = Reader::new(&bytes);
    let mut paths = Vec::new();
    while reader.remaining() > 0 {
        let record = NodeRecord::read(&mut reader).unwrap();
        paths.push((
            record.path.into_owned(),
            record.acl_id,
            record.data.is_none(),
        ));
    }
    let path = |path: &str, acl, null| (path.to_owned(), acl, null);
    assert_eq!(
        paths,
        [
            path("", -1, false),
            path("/zookeeper", -1, false),
            path("/zookeeper/quota", -1, false),
            path("/zookeeper/config", 2, false),
            path("/a", 3, true),
        ]
    );
    let mut acls = Vec::new();
    for (id, list) in &walk.acls {
        acls.push((*id, list.len(), list[0].perms));
    }
    assert_eq!(acls, [(2, 1, 1), (3, 1, 31)]);
}
