//! Single rules, each with the shortest case that shows it. Numbers are those of the checklist of
//! the client protocol.

mod support;

use support::*;
use zooid_proto::records::{Acl, StatPersisted};
use zooid_proto::txn::Txn;
use zooid_tree::owner::{CONTAINER_OWNER, ttl_owner};
use zooid_tree::{
    AclId, Applied, LoadError, OwnerClass, QuotaStats, Tree, TreeLoader, TreeOptions,
};

struct World {
    tree: Tree,
    zxid: i64,
}

impl World {
    fn new() -> World {
        World {
            tree: Tree::new(OPTIONS),
            zxid: 0,
        }
    }

    fn run<'t>(&mut self, txn: &'t Txn<'_>) -> Applied<'t> {
        self.by(1, txn)
    }

    fn by<'t>(&mut self, session: i64, txn: &'t Txn<'_>) -> Applied<'t> {
        self.zxid += 1;
        self.tree
            .apply(&header(self.zxid, session, txn), txn, &mut ())
    }

    fn ok(&mut self, txns: &[Txn<'_>]) {
        for txn in txns {
            assert_eq!(self.run(txn).err, 0, "{txn:?}");
        }
    }

    fn text(&self, path: &str) -> &str {
        let data = self
            .tree
            .get(path)
            .and_then(|node| node.data())
            .unwrap_or(b"<null>");
        std::str::from_utf8(data).unwrap()
    }

    fn create(&mut self, path: &str, data: &str) {
        assert_eq!(
            self.run(&create(path, Some(data.as_bytes()), false)).err,
            0,
            "{path}"
        );
    }
}

#[test]
fn c28_c50_c53_c54_stats_of_creates_and_deletes() {
    let mut w = World::new();
    let cversion = |w: &World, path| w.tree.get(path).unwrap().stat().cversion;
    assert_eq!((cversion(&w, "/"), cversion(&w, "/zookeeper")), (-1, -2));
    assert_eq!(w.tree.all_descendants("/"), 3);
    assert_eq!(w.tree.all_descendants(""), 3);
    let txn = create("/a", Some(b"12345"), false);
    let stat = w.run(&txn).stat.unwrap();
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (1, 1, 1));
    assert_eq!(
        (stat.version, stat.cversion, stat.aversion, stat.data_length),
        (0, 0, 0, 5)
    );
    assert_eq!((stat.ctime, stat.mtime), (1_000_010, 1_000_010));
    assert_eq!(cversion(&w, "/"), 0);
    w.ok(&[create("/a/b", None, false)]);
    let stat = w.tree.get("/a").unwrap().stat();
    assert_eq!(
        (stat.cversion, stat.pzxid, stat.num_children, stat.version),
        (1, 2, 1, 0)
    );
    w.ok(&[delete("/a/b")]);
    let stat = w.tree.get("/a").unwrap().stat();
    assert_eq!((stat.cversion, stat.pzxid, stat.num_children), (2, 3, 0));
}

#[test]
fn c29_null_data_stay_null() {
    let mut w = World::new();
    w.ok(&[create("/a", None, false)]);
    assert_eq!(w.tree.get("/a").unwrap().data(), None);
    assert_eq!(w.tree.get("/a").unwrap().stat().data_length, 0);
    w.ok(&[set("/a", Some(b""), 1)]);
    assert_eq!(w.tree.get("/a").unwrap().data(), Some(&b""[..]));
}

#[test]
fn c32_c51_owners_that_clients_see() {
    let mut w = World::new();
    let session = 0x1000_0000_0007;
    w.by(session, &create("/e", None, true));
    w.ok(&[container("/c", -1), ttl("/t", 5, -1)]);
    let owner = |w: &World, path| w.tree.get(path).unwrap().stat().ephemeral_owner;
    assert_eq!(
        [owner(&w, "/e"), owner(&w, "/c"), owner(&w, "/t")],
        [session, 0, 0]
    );
    let class = |w: &World, path| w.tree.get(path).unwrap().owner_class();
    assert_eq!(class(&w, "/e"), OwnerClass::Ephemeral(session));
    assert_eq!(
        (class(&w, "/c"), class(&w, "/t")),
        (OwnerClass::Container, OwnerClass::Ttl(5))
    );
    assert_eq!(class(&w, "/"), OwnerClass::Void);
    assert_eq!(
        w.tree.get("/t").unwrap().persisted().ephemeral_owner,
        ttl_owner(5)
    );
}

#[test]
fn c33_c34_c35_what_the_sweeper_takes() {
    let mut w = World::new();
    w.ok(&[
        container("/c", -1),
        container("/c/d", -1),
        container("/new", -1),
        ttl("/t", 100, -1),
    ]);
    let set_at = 1_000_040;
    let reap = |w: &World, now, never_used| {
        let mut paths = w.tree.reap_candidates(now, never_used);
        paths.sort();
        paths
    };
    assert_eq!(reap(&w, set_at + 100, 0), [""; 0]);
    assert_eq!(reap(&w, set_at + 101, 0), ["/t"]);
    // Never used: the inner one and the new one; ttl is refreshed by setData.
    w.ok(&[set("/t", None, 1)]);
    assert_eq!(reap(&w, set_at + 101, 115), ["/c/d"]);
    assert_eq!(reap(&w, set_at + 101, 10), ["/c/d", "/new"]);
    w.ok(&[create("/c/d/x", None, false), create("/t/x", None, false)]);
    assert_eq!(reap(&w, i64::MAX, 0), [""; 0]);
    w.ok(&[delete("/c/d/x"), delete("/t/x")]);
    assert_eq!(reap(&w, set_at, 0), ["/c/d"]);
    assert_eq!(reap(&w, i64::MAX, 0), ["/c/d", "/t"]);
    w.ok(&[delete("/c/d")]);
    assert_eq!(reap(&w, set_at, 0), ["/c"]);
    w.ok(&[delete("/c"), delete("/t")]);
    assert_eq!(reap(&w, i64::MAX, 0), [""; 0]);
}

#[test]
fn c47_set_acl_changes_aversion_only() {
    let mut w = World::new();
    w.ok(&[create("/a", Some(b"x"), false)]);
    let before = w.tree.get("/a").unwrap().stat();
    let list = vec![Acl::new(1, "ip", "::1")];
    let txn = set_acl("/a", list.clone(), 1);
    let after = w.run(&txn).stat.unwrap();
    assert_eq!(
        after,
        zooid_proto::records::Stat {
            aversion: 1,
            ..before
        }
    );
    assert_eq!(w.tree.acl(w.tree.get("/a").unwrap().acl()), list);
}

#[test]
fn c49_versions_are_those_of_the_transaction() {
    let mut w = World::new();
    w.ok(&[create("/a", None, false), set("/a", None, i32::MIN)]);
    assert_eq!(w.tree.get("/a").unwrap().stat().version, i32::MIN);
}

#[test]
fn c88_c93_closing_a_session_removes_what_is_listed_and_what_is_not() {
    let mut w = World::new();
    w.by(7, &Txn::CreateSession { timeout_ms: 4_000 });
    assert_eq!(w.tree.sessions().get(&7), Some(&4_000));
    for path in ["/a", "/b", "/c"] {
        w.by(7, &create(path, None, true));
    }
    w.by(8, &create("/d", None, true));
    assert_eq!(
        (w.tree.ephemerals(7).count(), w.tree.ephemerals_count()),
        (3, 4)
    );
    let paths = Some(vec![
        Some("/b".into()),
        Some("/gone".into()),
        None,
        Some("/x/y".into()),
    ]);
    let mut changes: Vec<zooid_tree::Change> = Vec::new();
    let close = Txn::CloseSession { paths };
    w.tree.apply(&header(9, 7, &close), &close, &mut changes);
    let paths: Vec<&str> = changes.iter().map(|change| &*change.path).collect();
    assert_eq!(paths, ["/b", "/a", "/c"], "listed ones first");
    assert_eq!(
        (w.tree.ephemerals(7).count(), w.tree.ephemerals_count()),
        (0, 1)
    );
    assert_eq!(
        (w.tree.sessions().len(), w.tree.get("/").unwrap().pzxid()),
        (0, 9)
    );
    assert!(w.tree.get("/d").is_some());
    // Without a list: what the tree knows of.
    w.tree.apply(
        &header(10, 8, &close),
        &Txn::CloseSession { paths: None },
        &mut (),
    );
    assert_eq!(
        (
            w.tree.get("/d").is_none(),
            w.tree.ephemeral_sessions().count()
        ),
        (true, 0)
    );
}

#[test]
fn orphans_are_found_and_killed_without_a_transaction() {
    let mut w = World::new();
    w.by(7, &Txn::CreateSession { timeout_ms: 4_000 });
    w.by(7, &create("/a", None, true));
    w.by(8, &create("/b", None, true));
    assert_eq!(w.tree.orphan_sessions(), [8]);
    w.tree.kill_session(8, 3, &mut ());
    assert!(w.tree.get("/b").is_none() && w.tree.get("/a").is_some());
    assert_eq!(
        (w.tree.last_processed_zxid(), w.tree.orphan_sessions().len()),
        (3, 0)
    );
}

#[test]
fn c109_c110_quotas_count_in_place() {
    let mut w = World::new();
    w.create("/q", "12345");
    w.create("/q/a", "123");
    w.create("/zookeeper/quota/q", "");
    assert!(w.tree.quota_for("/q/a").is_none());
    w.create(
        "/zookeeper/quota/q/zookeeper_limits",
        "count=4,bytes=9=;byteHardLimit=15",
    );
    let stats = "/zookeeper/quota/q/zookeeper_stats";
    assert_eq!(w.tree.quota_for("/q").unwrap().usage, None);
    w.create(stats, "count=0,bytes=0");
    assert_eq!(w.text(stats), "count=2,bytes=8");
    let before = (w.tree.get(stats).unwrap().persisted(), w.tree.digest());
    w.ok(&[set("/q/a", Some(b"1"), 1)]);
    assert_eq!(w.text(stats), "count=2,bytes=6");
    assert_eq!(w.tree.get(stats).unwrap().persisted(), before.0);
    w.create("/q/b", "1234");
    assert_eq!(w.text(stats), "count=3,bytes=10");
    w.ok(&[delete("/q/a")]);
    assert_eq!(w.text(stats), "count=2,bytes=9");
    // Not below it, in spite of its name.
    w.create("/qq", "1234");
    assert_eq!(w.text(stats), "count=2,bytes=9");
    let view = w.tree.quota_for("/q/b/deeper/still").unwrap();
    let limits = view.limits.unwrap();
    assert_eq!(
        (view.path.as_str(), limits.count(), limits.bytes()),
        ("/q", 4, 9)
    );
    assert_eq!(
        (limits.byte_hard_limit(), limits.count_hard_limit()),
        (15, -1)
    );
    let usage = view.usage.unwrap();
    assert_eq!(
        (usage.count(), usage.bytes(), usage.byte_hard_limit()),
        (2, 9, -1)
    );
    // Only the deepest counts.
    w.create("/zookeeper/quota/q/b", "");
    w.create("/zookeeper/quota/q/b/zookeeper_limits", "count=1");
    w.create("/zookeeper/quota/q/b/zookeeper_stats", "");
    w.create("/q/b/c", "xy");
    assert_eq!(
        w.text("/zookeeper/quota/q/b/zookeeper_stats"),
        "count=2,bytes=6"
    );
    assert_eq!(w.text(stats), "count=2,bytes=9");
    w.ok(&[
        delete("/zookeeper/quota/q/b/zookeeper_limits"),
        set("/q/b/c", None, 1),
    ]);
    assert_eq!(
        w.text("/zookeeper/quota/q/b/zookeeper_stats"),
        "count=2,bytes=6"
    );
    assert_eq!(w.text(stats), "count=2,bytes=7");
    // Further keys survive; an empty text counts from -1, as in Java.
    w.ok(&[
        set(stats, Some(b"count=1,bytes=2=;x=5"), 1),
        set("/q/b", Some(b""), 1),
    ]);
    assert_eq!(w.text(stats), "count=1,bytes=-2=;x=5");
    w.ok(&[
        set(stats, Some(b""), 1),
        create("/q/n", Some(b"123"), false),
    ]);
    assert_eq!(w.text(stats), "count=0,bytes=2");
}

/// Java ends on these, and on every start thereafter (client protocol 26.3).
#[test]
fn quota_nodes_that_end_a_java_server_are_ignored() {
    let mut w = World::new();
    w.create("/zookeeper/quota/zookeeper_limits", "count=1");
    assert!(!w.tree.has_quotas());
    w.create("/zookeeper/quota/zookeeper_stats", "");
    assert_eq!(
        w.text("/zookeeper/quota/zookeeper_stats"),
        "count=6,bytes=7",
        "all of the tree"
    );
    w.ok(&[delete("/zookeeper/quota/zookeeper_limits")]);
    w.create("/zookeeper/x", "");
    w.create("/zookeeper/x/zookeeper_limits", "");
    w.ok(&[delete("/zookeeper/x/zookeeper_limits")]);
    w.create("/zookeeper/quota/q", "");
    w.create("/zookeeper/quota/q/zookeeper_limits", "");
    let stats = "/zookeeper/quota/q/zookeeper_stats";
    w.create(stats, "");
    assert_eq!(w.text(stats), "count=0,bytes=0");
    for data in [
        Some(&b"nonsense"[..]),
        Some(b"count=x"),
        Some(b"\xff"),
        None,
    ] {
        w.ok(&[
            set(stats, data, 1),
            create("/q", None, false),
            set("/q", Some(b"x"), 1),
        ]);
        w.ok(&[delete("/q")]);
        assert_eq!(w.tree.get(stats).unwrap().data(), data);
        assert_eq!(w.tree.quota_for("/q").unwrap().usage, None);
    }
}

#[test]
fn quota_texts_read_and_write_as_in_java() {
    let text = "count=4,bytes=9=;byteHardLimit=15;countHardLimit=4";
    let stats = QuotaStats::parse(text).unwrap();
    assert_eq!((stats.byte_hard_limit(), stats.count_hard_limit()), (15, 4));
    assert_eq!(stats.to_string(), text);
    for (text, written) in [
        ("", "count=-1,bytes=-1"),
        (",", "count=-1,bytes=-1"),
        ("bytes=5", "count=-1,bytes=5"),
        ("bytes=5;;,count=+7,", "count=7,bytes=5"),
        ("count==5", "count=-1,bytes=-1"),
        ("zz=1,count=2,aa=3", "count=2,bytes=-1=;aa=3;zz=1"),
    ] {
        let stats = QuotaStats::parse(text).map(|stats| stats.to_string());
        assert_eq!(stats.as_deref(), Some(written), "{text:?}");
    }
    for text in [
        "count",
        "count=",
        "=",
        ",count=1",
        "count=1,x",
        "count= 1",
        "count=1.5",
    ] {
        assert_eq!(QuotaStats::parse(text), None, "{text:?}");
    }
}

#[test]
fn c114_equal_lists_are_kept_once() {
    let mut w = World::new();
    let before = w.tree.acl_count();
    for i in 0..100 {
        w.create(&format!("/same{i}"), "");
        let own = Some(vec![
            Acl::new(31, "ip", "::1"),
            Acl::new(i, "world", "anyone"),
        ]);
        w.ok(&[create_with(&format!("/own{i}"), None, false, own, -1)]);
    }
    assert_eq!(w.tree.acl_count(), before + 101);
    for i in 0..100 {
        w.ok(&[delete(&format!("/own{i}")), delete(&format!("/same{i}"))]);
    }
    w.ok(&[Txn::Error { err: 0 }]);
    assert_eq!(w.tree.acl_count(), before);
    let txn = create_with("/open", None, false, None, -1);
    w.ok(&[txn]);
    assert_eq!(w.tree.get("/open").unwrap().acl(), AclId::OPEN);
    assert_eq!(w.tree.acl(AclId::OPEN), []);
}

/// The create of the log repairs what a fuzzy snapshot misses; until then nothing is allowed.
#[test]
fn nodes_without_their_list_wait_for_their_create() {
    let mut loader = TreeLoader::new(OPTIONS);
    let stat = StatPersisted::default();
    loader.add_acl(3, open_acl());
    for (path, acl) in [("", -1), ("/a", 3), ("/b", 4), ("/c", 4), ("/d", 5)] {
        loader.add_node(path, None, acl, &stat).unwrap();
    }
    let mut w = World {
        tree: loader.finish().unwrap(),
        zxid: 0,
    };
    assert_eq!((w.tree.unresolved_acls(), w.tree.acl_count()), (3, 1));
    assert_eq!(w.tree.unresolved_paths(9), ["/b", "/c", "/d"]);
    let acl = w.tree.get("/b").unwrap().acl();
    assert_eq!(acl, AclId::UNRESOLVED);
    assert!(w.tree.acl(acl).iter().all(|acl| acl.perms == 0) && !w.tree.acl(acl).is_empty());
    w.ok(&[set("/b", Some(b"x"), 1), delete("/c")]);
    assert_eq!(w.run(&create("/b", Some(b"other"), false)).err, -110);
    assert_eq!((w.text("/b"), w.tree.unresolved_acls()), ("x", 1));
    assert_eq!(w.tree.acl(w.tree.get("/b").unwrap().acl()), open_acl());
    w.ok(&[set_acl("/d", open_acl(), 1)]);
    assert_eq!((w.tree.unresolved_acls(), w.tree.acl_count()), (0, 1));
}

#[test]
fn creating_what_is_there_corrects_the_parent_for_plain_creates_only() {
    let mut w = World::new();
    w.ok(&[create("/a", None, false), create("/a/b", None, false)]);
    let parent = |w: &World| {
        let stat = w.tree.get("/a").unwrap().persisted();
        (stat.cversion, stat.pzxid)
    };
    assert_eq!(parent(&w), (1, 2));
    let again = create_with("/a/b", None, false, None, 5);
    let Txn::Create(create) = again.clone() else {
        unreachable!()
    };
    assert_eq!(w.run(&Txn::Create2(create)).err, -110);
    assert_eq!(parent(&w), (1, 2));
    assert_eq!(w.run(&again).err, -110);
    assert_eq!(parent(&w), (5, 4));
    w.run(&create_with("/a/b", None, false, None, 5));
    assert_eq!(parent(&w), (5, 4));
    // Deleting what is gone raises pzxid, and never lowers it.
    assert_eq!((w.run(&delete("/a/x")).err, parent(&w)), (-101, (5, 6)));
    w.zxid = 1;
    assert_eq!((w.run(&delete("/a/x")).err, parent(&w)), (-101, (5, 6)));
    assert_eq!(w.run(&delete("/x/y")).err, -101);
    assert_eq!(w.tree.last_processed_zxid(), 6);
}

#[test]
fn a_failed_multi_reports_as_in_java() {
    let mut w = World::new();
    let fail = |err| Txn::Error { err };
    let txn = Txn::Multi(vec![
        create("/a", None, false),
        fail(-103),
        delete("/a"),
        fail(-2),
    ]);
    let applied = w.run(&txn);
    let parts: Vec<_> = applied
        .multi
        .iter()
        .map(|part| (part.kind, part.err))
        .collect();
    assert_eq!(
        (applied.err, parts),
        (-103, vec![(-1, 0), (-1, -103), (-1, -2), (-1, -2)])
    );
    assert!(w.tree.get("/a").is_none());
    let txn = Txn::Multi(vec![
        create("/a", None, false),
        check("/a"),
        set("/a", Some(b"x"), 1),
    ]);
    let applied = w.run(&txn);
    let parts: Vec<_> = applied
        .multi
        .iter()
        .map(|part| (part.kind, part.err, part.path))
        .collect();
    let path = Some("/a");
    assert_eq!(
        (applied.err, parts),
        (0, vec![(1, 0, path), (13, 0, path), (5, 0, path)])
    );
    let stat = applied.multi[2].stat.unwrap();
    assert_eq!(
        (stat.version, stat.mzxid, applied.multi[1].stat),
        (1, 2, None)
    );
}

#[test]
fn transactions_that_no_server_makes_do_no_harm() {
    let mut w = World::new();
    w.ok(&[create("/a", None, false), create("/a/b", None, false)]);
    let digest = w.tree.digest();
    for path in ["", "/", "a", "//", "//a", "/a//b", "a/b", "/zz/"] {
        assert_ne!(w.run(&create(path, None, false)).err, 0, "{path:?}");
        assert_ne!(w.run(&delete(path)).err, 0, "{path:?}");
    }
    let paths = Some(vec![Some("/".into()), Some("".into()), Some("a".into())]);
    w.run(&Txn::CloseSession { paths });
    assert_eq!(w.run(&Txn::Multi(vec![Txn::Multi(vec![])])).err, -8);
    assert_eq!((w.tree.len(), w.tree.digest()), (6, digest));
    // A name may be empty, if nobody checks.
    w.ok(&[
        create("/a/", Some(b"x"), false),
        create("/a//c", None, false),
    ]);
    assert_eq!((w.text("/a/"), w.tree.all_descendants("/a")), ("x", 3));
    // Not empty: no leader says so; its children go with it.
    w.ok(&[delete("/a")]);
    assert_eq!((w.tree.len(), w.tree.get("/a//c").is_none()), (4, true));
}

#[test]
fn the_configuration_node_is_overwritten_locally() {
    let mut w = World::new();
    let digest = w.tree.digest();
    w.tree.set_config(b"server.1=...", 0x100000000, 77);
    let stat = w.tree.get("/zookeeper/config").unwrap().persisted();
    assert_eq!(
        (stat.version, stat.mzxid, stat.mtime, stat.aversion),
        (-1, 1 << 32, 77, -1)
    );
    assert_eq!((w.tree.digest(), w.tree.last_processed_zxid()), (digest, 0));
}

#[test]
fn snapshots_that_are_no_trees_are_named() {
    let stat = StatPersisted::default();
    let add = |nodes: &[&str]| {
        let mut loader = TreeLoader::new(OPTIONS);
        nodes
            .iter()
            .try_for_each(|path| loader.add_node(path, None, -1, &stat))?;
        loader.finish().map(|tree| tree.len())
    };
    assert_eq!(add(&["", "/a", "/a/b"]), Ok(3));
    assert_eq!(add(&[]), Err(LoadError::NoRoot));
    for nodes in [&["/a"][..], &["", "/a/b"], &["", "a"], &["", "//a"]] {
        let path = nodes[nodes.len() - 1].to_owned();
        assert_eq!(add(nodes), Err(LoadError::NoParent(path)));
    }
    for nodes in [&["", ""][..], &["", "/a", "/a"], &["", "/"]] {
        let path = nodes[nodes.len() - 1].to_owned();
        assert_eq!(add(nodes), Err(LoadError::Twice(path)));
    }
    let owner = ttl_owner(5) | 1 << 41;
    let illegal = StatPersisted {
        ephemeral_owner: owner,
        ..stat
    };
    for extended_types in [true, false] {
        let options = TreeOptions {
            extended_types,
            ..OPTIONS
        };
        let mut loader = TreeLoader::new(options);
        loader.add_node("", None, -1, &stat).unwrap();
        let path = "/a".to_owned();
        let expected = match extended_types {
            true => Err(LoadError::IllegalOwner { path, owner }),
            false => Ok(()),
        };
        assert_eq!(loader.add_node("/a", None, -1, &illegal), expected);
    }
}

#[test]
fn loading_rebuilds_what_is_not_stored() {
    let mut loader = TreeLoader::new(OPTIONS);
    let owned = |ephemeral_owner| StatPersisted {
        ephemeral_owner,
        ..StatPersisted::default()
    };
    loader.add_session(7, 4_000);
    for (path, data, owner) in [
        ("", &b""[..], 0),
        ("/e", b"", 7),
        ("/c", b"", CONTAINER_OWNER),
        ("/t", b"", ttl_owner(9)),
        ("/zookeeper", b"", 0),
        ("/zookeeper/quota", b"", 0),
        ("/zookeeper/quota/t", b"", 0),
        ("/zookeeper/quota/t/zookeeper_limits", b"count=5", 0),
        ("/zookeeper/quota/t/zookeeper_stats", b"count=7=;x=1", 0),
        ("/t/x", b"12", 0),
    ] {
        loader
            .add_node(path, Some(data), -1, &owned(owner))
            .unwrap();
    }
    let tree = loader.finish().unwrap();
    assert_eq!(
        (
            tree.ephemerals(7).collect::<Vec<_>>(),
            tree.sessions().len()
        ),
        (vec!["/e".into()], 1)
    );
    let usage = tree.quota_for("/t").unwrap().usage.unwrap();
    assert_eq!(usage.to_string(), "count=2,bytes=2");
    assert_eq!(tree.reap_candidates(10, 5), ["/c"]);
    assert!(tree.digest() != 0);
    let off = TreeOptions {
        digest_enabled: false,
        ..OPTIONS
    };
    assert_eq!(Tree::new(off).digest(), 0);
}

#[test]
fn sizes_are_counted_as_in_java() {
    let mut w = World::new();
    let size = w.tree.approximate_data_size();
    assert_eq!((size, w.tree.node_count(), w.tree.len()), (44, 5, 4));
    // UTF-16 units of the path: 1 + 1 + 2.
    w.ok(&[create("/ä🐘", Some(b"12345"), false)]);
    assert_eq!(w.tree.approximate_data_size(), size + 9);
    w.ok(&[set("/ä🐘", Some(b"1"), 1)]);
    assert_eq!(w.tree.approximate_data_size(), size + 5);
    w.ok(&[delete("/ä🐘")]);
    assert_eq!(w.tree.approximate_data_size(), size);
}
