//! What time does: sessions expire, containers and old nodes are swept, servers start again.

use crate::driver::{Frame, World, create, exists, get, set};
use std::sync::atomic::Ordering;
use zooid_node::{Closing, Settings};
use zooid_proto::ErrorCode;
use zooid_proto::client::{
    CreateRequest, CreateTtlRequest, Empty, MultiOp, MultiRequest, create_mode, event,
};
use zooid_proto::ops::Request;
use zooid_proto::records::Acl;
use zooid_tree::OwnerClass;

fn settings() -> Settings {
    Settings {
        tick_time_ms: 1000,
        min_session_timeout_ms: 2000,
        ..World::settings()
    }
}

#[test]
fn a_silent_session_expires_with_its_nodes() {
    let mut world = World::new(settings());
    let (silent, response) = world.connect(4000);
    let (other, _) = world.connect(60_000);
    world.send(silent, &create("/e", b"", create_mode::EPHEMERAL));
    world.sync();
    world.send(other, &exists("/e", true));
    world.frames(other);
    world.frames(silent);

    world.pass(3900);
    assert_eq!(world.writing(), [0i64; 0]);
    world.pass(1200);
    // The end of a session is a transaction as any other: nothing is seen of it before it is on
    // disk, but the session takes nothing more.
    assert_eq!(world.writing().len(), 1);
    assert_eq!(world.frames(other), []);
    assert_eq!(world.ended(silent), None);
    let (_, refused) = world.attach(4000, response.session_id, response.password);
    assert_eq!((refused.session_id, refused.timeout_ms), (0, 0));
    world.sync();
    let deleted = Frame::Event {
        kind: event::DELETED,
        path: "/e".to_owned(),
    };
    assert_eq!(world.frames(other), [deleted]);
    assert_eq!(world.ended(silent), Some(&Closing::Now));
    let (_, refused) = world.attach(4000, response.session_id, response.password);
    assert_eq!(refused.session_id, 0);
}

#[test]
fn whatever_a_client_sends_keeps_its_session() {
    let requests = [
        Request::Ping(Empty {}),
        get("/", false),
        set("/missing", b""),
    ];
    for request in requests {
        let mut world = World::new(settings());
        let (client, _) = world.connect(4000);
        for _ in 0..10 {
            world.pass(3500);
            world.send(client, &request);
            world.sync();
            assert_eq!(world.frames(client).len(), 1);
        }
        assert_eq!(world.ended(client), None);
    }
}

/// A request that arrives behind the expiry must not slip in front of the end.
#[test]
fn an_expired_session_writes_nothing_more() {
    let mut world = World::new(settings());
    let (client, _) = world.connect(4000);
    world.pass(5200);
    assert_eq!(world.writing().len(), 1);
    world.send(client, &create("/late", b"", create_mode::PERSISTENT));
    world.send(client, &Request::CloseSession(Empty {}));
    world.sync();
    assert!(world.shared.tree.read().get("/late").is_none());
    assert_eq!(world.frames(client), []);
    assert_eq!(world.ended(client), Some(&Closing::Now));
    assert_eq!(world.shared.tree.read().sessions().len(), 0);
}

#[test]
fn a_session_that_is_closed_while_it_expires_ends_once() {
    let mut world = World::new(settings());
    let (client, _) = world.connect(4000);
    world.send(client, &create("/e", b"", create_mode::EPHEMERAL));
    world.sync();
    world.frames(client);
    world.held = true;
    world.send(client, &Request::CloseSession(Empty {}));
    world.pass(5200);
    assert_eq!(world.writing().len(), 1);
    world.sync();
    assert_eq!(world.log.len(), 3);
    assert_eq!(world.ended(client), Some(&Closing::Now));
    assert!(world.shared.tree.read().get("/e").is_none());
    assert_eq!(world.shared.outstanding.load(Ordering::Relaxed), 0);
}

#[test]
fn a_session_moves_to_its_newest_connection() {
    let mut world = World::new(settings());
    let (old, response) = world.connect(10_000);
    world.send(old, &create("/e", b"", create_mode::EPHEMERAL));
    world.sync();
    let (new, again) = world.attach(8000, response.session_id, response.password);
    assert_eq!(again.session_id, response.session_id);
    assert_eq!(again.timeout_ms, 8000);
    assert_eq!(world.ended(old), Some(&Closing::Now));
    world.send(new, &get("/e", false));
    assert_eq!(world.frames(new)[0].err(), ErrorCode::Ok);
    // A wrong password changes nothing.
    let (_, refused) = world.attach(8000, response.session_id, [7; 16]);
    assert_eq!(refused.session_id, 0);
    assert_eq!(world.ended(new), None);
}

#[test]
fn a_start_gives_each_session_its_time_again() {
    let mut world = World::new(settings());
    let (client, response) = world.connect(4000);
    world.send(client, &create("/e", b"", create_mode::EPHEMERAL));
    world.sync();
    let mut again = World::around(world.replayed(), settings());
    again.pass(3000);
    let (client, attached) = again.attach(4000, response.session_id, response.password);
    assert_eq!(attached.session_id, response.session_id);
    again.send(client, &get("/e", false));
    assert_eq!(again.frames(client)[0].err(), ErrorCode::Ok);
    again.hang_up(client);
    again.pass(6000);
    again.sync();
    assert!(again.shared.tree.read().get("/e").is_none());
    let (_, gone) = again.attach(4000, response.session_id, response.password);
    assert_eq!(gone.session_id, 0);
}

/// The mode decides what a part of a multi makes; a ttl that does not belong to it is lost, where
/// the operation by itself would be refused for it.
#[test]
fn a_part_that_makes_no_ttl_node_loses_its_ttl() {
    let mut world = World::new(settings());
    let (client, _) = world.connect(60_000);
    let part = |path: &'static str, flags| {
        MultiOp::CreateTtl(CreateTtlRequest {
            path: Some(path.into()),
            data: None,
            acl: Some(vec![Acl::new(31, "world", "anyone")]),
            flags,
            ttl_ms: 5000,
        })
    };
    let ops = vec![
        part("/plain", create_mode::PERSISTENT),
        part("/container", create_mode::CONTAINER),
        part("/ttl", create_mode::PERSISTENT_WITH_TTL),
    ];
    world.send(client, &Request::Multi(MultiRequest { ops }));
    world.sync();
    assert_eq!(world.frames(client)[0].err(), ErrorCode::Ok);
    let tree = world.shared.tree.read();
    let class = |path| tree.get(path).map(|node| node.owner_class());
    assert_eq!(class("/plain"), Some(OwnerClass::Void));
    assert_eq!(class("/container"), Some(OwnerClass::Container));
    assert_eq!(class("/ttl"), Some(OwnerClass::Ttl(5000)));
}

#[test]
fn used_containers_and_old_nodes_are_swept() {
    let mut world = World::new(Settings {
        container_check_interval_ms: 10_000,
        ..settings()
    });
    let (client, _) = world.connect(60_000);
    let acl = || Some(vec![Acl::new(31, "world", "anyone")]);
    for path in ["/used", "/in-use", "/fresh"] {
        world.send(
            client,
            &Request::CreateContainer(CreateRequest {
                path: Some(path.into()),
                data: None,
                acl: acl(),
                flags: create_mode::CONTAINER,
            }),
        );
    }
    for (path, ttl_ms) in [("/short", 5000), ("/long", 500_000)] {
        world.send(
            client,
            &Request::CreateTtl(CreateTtlRequest {
                path: Some(path.into()),
                data: None,
                acl: acl(),
                flags: create_mode::PERSISTENT_WITH_TTL,
                ttl_ms,
            }),
        );
    }
    for path in ["/used/child", "/in-use/child"] {
        world.send(client, &create(path, b"", create_mode::PERSISTENT));
    }
    world.send(client, &crate::driver::delete("/used/child"));
    world.sync();
    world.send(client, &exists("/used", true));
    world.frames(client);
    world.pass(9000);
    assert_eq!(world.writing(), [0i64; 0]);
    world.pass(2000);
    assert_eq!(world.writing().len(), 2);
    assert_eq!(world.frames(client), []);
    world.sync();
    let deleted = Frame::Event {
        kind: event::DELETED,
        path: "/used".to_owned(),
    };
    assert_eq!(world.frames(client), [deleted]);
    let tree = world.shared.tree.read();
    for (path, there) in [
        ("/used", false),
        ("/in-use", true),
        ("/fresh", true),
        ("/short", false),
        ("/long", true),
    ] {
        assert_eq!(tree.get(path).is_some(), there, "{path}");
    }
}

/// A container that gets a child while its deletion is being logged must stay whole.
#[test]
fn a_child_comes_too_late_for_a_container_that_is_being_swept() {
    let mut world = World::new(Settings {
        container_check_interval_ms: 10_000,
        ..settings()
    });
    let (client, _) = world.connect(60_000);
    let container = CreateRequest {
        path: Some("/c".into()),
        data: None,
        acl: Some(vec![Acl::new(31, "world", "anyone")]),
        flags: create_mode::CONTAINER,
    };
    world.send(client, &Request::CreateContainer(container));
    world.send(client, &create("/c/child", b"", create_mode::PERSISTENT));
    world.send(client, &crate::driver::delete("/c/child"));
    world.sync();
    world.pass(11_000);
    assert_eq!(world.writing().len(), 1);
    world.frames(client);
    world.send(client, &create("/c/child", b"", create_mode::PERSISTENT));
    world.sync();
    assert_eq!(world.frames(client)[0].err(), ErrorCode::NoNode);
    assert!(world.shared.tree.read().get("/c").is_none());
}

/// A lock that is given back and taken by another while nothing of it is on disk yet.
#[test]
fn the_end_of_a_session_spares_what_another_made_in_its_place() {
    let mut world = World::new(settings());
    let (first, _) = world.connect(60_000);
    let (second, response) = world.connect(60_000);
    world.send(first, &create("/lock", b"", create_mode::EPHEMERAL));
    world.sync();
    world.send(first, &crate::driver::delete("/lock"));
    world.send(second, &create("/lock", b"", create_mode::EPHEMERAL));
    world.send(first, &create("/own", b"", create_mode::EPHEMERAL));
    world.send(first, &set("/own", b"more"));
    world.send(first, &Request::CloseSession(Empty {}));
    world.sync();
    let tree = world.shared.tree.read();
    assert_eq!(
        tree.ephemerals(response.session_id).collect::<Vec<_>>(),
        ["/lock"]
    );
    assert!(tree.get("/lock").is_some());
    assert!(tree.get("/own").is_none());
    assert_eq!(world.shared.digest_mismatches.load(Ordering::Relaxed), 0);
}
