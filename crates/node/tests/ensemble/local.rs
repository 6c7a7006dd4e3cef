//! Sessions that one member knows, and how they become everybody's.

use crate::world::{Hello, NEW, World, create, settings};
use std::sync::atomic::Ordering;
use zooid_node::Settings;
use zooid_proto::ErrorCode;
use zooid_proto::client::create_mode::{EPHEMERAL, PERSISTENT};
use zooid_proto::client::{CreateRequest, Empty, MultiOp, MultiRequest};
use zooid_proto::ops::Request;

const CLOSE: Request<'static> = Request::CloseSession(Empty {});

fn again(session: i64) -> Hello {
    Hello { session, ..NEW }
}

#[test]
fn a_local_session_makes_no_transaction_and_is_known_to_its_member_only() {
    let mut world = World::new(&settings());
    for at in 0..3 {
        let zxid = world.newest();
        let (client, session) = world.client(at, NEW);
        assert_eq!(session >> 56, at as i64 + 1);
        for other in 0..3 {
            let expected = (usize::from(other == at), 0);
            assert_eq!(world.sessions(other), expected, "of {at} on {other}");
            if other != at {
                let refused = world.connect(other, again(session)).unwrap().1;
                assert_eq!(refused.session_id, 0);
            }
        }
        let path = format!("/of-{at}");
        let (_, code) = world.ask(client, &[create(&path, PERSISTENT)])[0];
        assert_eq!(code, ErrorCode::Ok);
        let (back, same) = world.client(at, again(session));
        assert_eq!(same, session);
        assert!(world.is_over(client));
        assert_eq!(world.ask(back, &[CLOSE]), [(zxid + 1, ErrorCode::Ok)]);
        assert!(world.is_over(back));
        assert_eq!(world.connect(at, again(session)).unwrap().1.session_id, 0);
        assert_eq!(world.sessions(at), (0, 0));
        assert_eq!(world.newest(), zxid + 1);
    }
}

#[test]
fn the_first_ephemeral_node_makes_it_global() {
    let mut world = World::new(&settings());
    for at in 0..3 {
        let zxid = world.newest();
        let (client, session) = world.client(at, NEW);
        let asked = [create("/a", EPHEMERAL), create("/b", EPHEMERAL)];
        let replies = world.ask(client, &asked);
        let expected = [(zxid + 2, ErrorCode::Ok), (zxid + 3, ErrorCode::Ok)];
        assert_eq!(replies, expected, "on {at}");
        for other in 0..3 {
            assert_eq!(world.sessions(other), (0, 1), "of {at} on {other}");
        }
        let (moved, same) = world.client((at + 1) % 3, again(session));
        assert_eq!(same, session);
        // A word of the connection that it had does nothing, and gets no answer.
        assert_eq!(world.ask(client, &[create("/late", PERSISTENT)]), []);
        assert!(world.is_over(client));
        assert_eq!(
            world.ask(moved, &[create("/c", EPHEMERAL)])[0].1,
            ErrorCode::Ok
        );
        world.ask(moved, &[CLOSE]);
        for other in 0..3 {
            let tree = world.shared(other).tree.read();
            for path in ["/a", "/b", "/c", "/late"] {
                assert!(tree.get(path).is_none(), "{path} is left on {other}");
            }
            drop(tree);
            assert_eq!(world.sessions(other), (0, 0));
        }
    }
}

#[test]
fn without_upgrades_ephemeral_nodes_are_refused() {
    let mut world = World::new(&Settings {
        local_sessions_upgrading: false,
        ..settings()
    });
    let part = |path: &str, flags| {
        let Request::Create(part) = create(path, flags) else {
            unreachable!("it is a create");
        };
        part
    };
    for at in 0..3 {
        let (client, _) = world.client(at, NEW);
        let container: CreateRequest<'_> = part("/n", EPHEMERAL);
        let requests = [
            create("/n", EPHEMERAL),
            Request::Create2(part("/n", EPHEMERAL)),
            Request::CreateContainer(container),
            create(&format!("/y-{at}"), PERSISTENT),
            Request::Multi(MultiRequest {
                ops: vec![MultiOp::Create(part("/n", EPHEMERAL))],
            }),
        ];
        let codes: Vec<_> = world.ask(client, &requests).iter().map(|r| r.1).collect();
        let refused = ErrorCode::EphemeralOnLocalSession;
        let expected = [
            refused,
            refused,
            ErrorCode::SessionExpired,
            ErrorCode::Ok,
            ErrorCode::Ok,
        ];
        assert_eq!(codes, expected, "on {at}");
        assert!(world.shared(0).tree.read().get("/n").is_none());
        assert_eq!(world.sessions(at), (1, 0));
        world.ask(client, &[CLOSE]);
    }
}

#[test]
fn its_member_ends_a_silent_one() {
    let mut world = World::new(&settings());
    let short = Hello {
        timeout_ms: 3000,
        ..NEW
    };
    let zxid = world.newest();
    let silent: Vec<_> = (0..3).map(|at| world.client(at, short)).collect();
    let global: Vec<_> = (0..3).map(|at| world.client(at, short)).collect();
    let paths = ["/g-0", "/g-1", "/g-2"];
    for ((client, _), path) in global.iter().zip(paths) {
        world.ask(*client, &[create(path, EPHEMERAL)]);
    }
    let (alive, _) = world.client(0, short);
    for _ in 0..5 {
        world.pass(1000);
        world.ask(alive, &[Request::Ping(Empty {})]);
    }
    assert!(!world.is_over(alive));
    for (at, (client, session)) in silent.into_iter().enumerate() {
        assert!(world.is_over(client), "the silent one of {at}");
        assert_eq!(world.connect(at, again(session)).unwrap().1.session_id, 0);
    }
    for (at, (client, _)) in global.into_iter().enumerate() {
        assert!(world.is_over(client), "the global one of {at}");
        assert!(world.shared(at).tree.read().get(paths[at]).is_none());
        assert_eq!(world.sessions(at), (usize::from(at == 0), 0));
    }
    // Three that became global, with a node each, and ended.
    assert_eq!(world.newest(), zxid + 9);
}

#[test]
fn a_term_ends_local_sessions_and_keeps_global_ones() {
    let mut world = World::new(&settings());
    let leader = world.leader().unwrap();
    let stays = (leader + 1) % 3;
    let (_, local) = world.client(stays, NEW);
    let (client, global) = world.client(stays, NEW);
    world.ask(client, &[create("/g", EPHEMERAL)]);
    world.cut_off(leader);
    world.pass(10_000);
    assert_ne!(world.leader(), None);
    assert_eq!(world.connect(stays, again(local)).unwrap().1.session_id, 0);
    assert_eq!(world.client(stays, again(global)).1, global);
}

#[test]
fn who_has_lost_the_lead_ends_no_session() {
    let mut world = World::new(&Settings {
        local_sessions: false,
        read_only_mode: false,
        ..settings()
    });
    let leader = world.leader().unwrap();
    world.client(leader, NEW);
    world.cut_off(leader);
    world.pass(60_000);
    let expired = &world.shared(leader).stats.events.sessions_expired;
    assert_eq!(expired.load(Ordering::Relaxed), 0);
    assert_eq!(world.sessions(leader), (0, 1));
}

#[test]
fn time_does_not_pile_up_on_a_learner() {
    let mut world = World::new(&settings());
    let follower = (world.leader().unwrap() + 1) % 3;
    // Behind the interval at which a leader looks for containers, nothing is due but ticks.
    world.pass(100_000);
    let before = world.now.mono_ms;
    let next = world.next_tick_ms(follower);
    assert!(next > before, "at {before} it wants to be called at {next}");
}
