//! A leader that leaves clients to others (`leaderServes`).

use crate::world::{NEW, World, create, settings};
use zooid_node::Settings;
use zooid_proto::ErrorCode;
use zooid_proto::client::create_mode::{EPHEMERAL, PERSISTENT};

fn reserved() -> World {
    World::new(&Settings {
        leader_serves: false,
        local_sessions: false,
        ..settings()
    })
}

#[test]
fn a_leader_that_does_not_serve_makes_the_transactions_of_others() {
    let mut world = reserved();
    let leader = world.leader().unwrap();
    assert!(world.connect(leader, NEW).is_none());
    assert!(!world.shared(leader).is_serving() && world.shared(leader).is_running());
    let at = (leader + 1) % 3;
    let (client, _) = world.client(at, NEW);
    let made = world.ask(client, &[create("/a", PERSISTENT), create("/b", EPHEMERAL)]);
    assert!(
        made.iter().all(|reply| reply.1 == ErrorCode::Ok),
        "{made:?}"
    );
    world.pass(1000);
    assert!((0..3).all(|at| world.zxid(at) == world.newest()));
    // A session that nobody is heard of ends, though its leader takes no clients.
    world.pass(60_000);
    assert!(
        world.shared(at).sessions.len() < 2,
        "who says nothing is forgotten"
    );
}

#[test]
fn clients_move_when_their_server_begins_to_lead() {
    let mut world = reserved();
    let before = world.leader().unwrap();
    let others: Vec<usize> = (0..3).filter(|&at| at != before).collect();
    let clients: Vec<_> = others.iter().map(|&at| world.client(at, NEW)).collect();
    world.cut_off(before);
    world.pass(20_000);
    let leader = world.leader().expect("two of three go on");
    let at = others.iter().position(|&at| at == leader).unwrap();
    let (client, session) = clients[at];
    assert!(world.is_over(client));
    assert!(world.connect(leader, NEW).is_none());
    let follower = others[1 - at];
    let back = crate::world::Hello { session, ..NEW };
    let (client, _) = world.client(follower, back);
    assert_eq!(
        world.ask(client, &[create("/c", PERSISTENT)])[0].1,
        ErrorCode::Ok
    );
    // The one that led takes clients again when it follows.
    world.heal();
    world.until_whole();
    assert!(world.shared(before).is_serving());
    world.client(before, NEW);
}
