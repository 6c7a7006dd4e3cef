//! No transaction gets to the log that Java could not read back (ZOOKEEPER-4306): it would be
//! acknowledged, and stop every start from then on.

use crate::driver::{Frame, World, create, exists};
use zooid_node::Settings;
use zooid_proto::ErrorCode;
use zooid_proto::client::{AuthPacket, CreateRequest, Empty, MultiOp, MultiRequest, create_mode};
use zooid_proto::ops::Request;
use zooid_proto::records::Acl;
use zooid_proto::txn::{LogEntry, Txn};
use zooid_proto::{Jute, Writer};

const FRAME: i32 = 1000;

fn settings() -> Settings {
    Settings {
        max_frame_bytes: FRAME,
        ..World::settings()
    }
}

fn authenticate(world: &mut World, peer: usize, user: &str) {
    let mut body = Vec::new();
    let mut to = Writer::wire(&mut body);
    to.i32(-4);
    to.i32(100);
    AuthPacket {
        kind: 0,
        scheme: Some("digest".into()),
        auth: Some(user.as_bytes().into()),
    }
    .write(&mut to);
    let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
    bytes.extend(body);
    world.bytes(peer, &bytes);
}

fn short_enough(world: &World) {
    for payload in &world.log {
        assert!(payload.len() <= 2 * FRAME as usize, "{}", payload.len());
    }
    assert_eq!(
        world.replayed().digest(),
        world.shared.tree.read().digest(),
        "what is replayed differs from what is served"
    );
}

#[test]
fn a_multi_whose_acls_grow_too_long_is_refused_whole() {
    let mut world = World::new(settings());
    let (client, _) = world.connect(10_000);
    for user in 0..20 {
        authenticate(&mut world, client, &format!("user{user}:password"));
    }
    world.frames(client);
    let part = |at: i32| {
        MultiOp::Create(CreateRequest {
            path: Some(format!("/n{at}").into()),
            data: None,
            acl: Some(vec![Acl::new(31, "auth", "")]),
            flags: create_mode::PERSISTENT,
        })
    };
    // One of them fits, so it is the length alone that is refused.
    for (count, err) in [(5, ErrorCode::MarshallingError), (1, ErrorCode::Ok)] {
        let ops = (0..count).map(part).collect();
        world.send(client, &Request::Multi(MultiRequest { ops }));
        world.sync();
        let frames = world.frames(client);
        assert_eq!(frames[0].err(), err, "{count} parts: {frames:?}");
    }
    world.send(client, &exists("/n1", false));
    assert_eq!(world.frames(client)[0].err(), ErrorCode::NoNode);
    short_enough(&world);
}

#[test]
fn zookeeper_4306_the_end_of_a_session_with_many_nodes_can_be_read_back() {
    for expire in [false, true] {
        let mut world = World::new(settings());
        let (client, response) = world.connect(10_000);
        let (other, _) = world.connect(60_000);
        let name = "e".repeat(50);
        for at in 0..60 {
            world.send(
                client,
                &create(&format!("/{name}{at}"), b"", create_mode::EPHEMERAL),
            );
        }
        world.sync();
        assert!(
            world
                .frames(client)
                .iter()
                .all(|f| f.err() == ErrorCode::Ok)
        );
        if expire {
            world.hang_up(client);
            world.pass(20_000);
        } else {
            world.send(client, &Request::CloseSession(Empty {}));
        }
        // A write behind it is checked against the state that it leaves.
        let again = create(&format!("/{name}0"), b"", create_mode::PERSISTENT);
        world.send(other, &again);
        world.sync();
        let frames = world.frames(other);
        assert!(
            matches!(
                frames[..],
                [Frame::Reply {
                    err: ErrorCode::Ok,
                    ..
                }]
            ),
            "{frames:?}"
        );
        short_enough(&world);
        let ends: Vec<_> = world
            .log
            .iter()
            .map(|payload| LogEntry::decode(payload).unwrap())
            .filter(|entry| matches!(entry.txn, Txn::CloseSession { .. }))
            .collect();
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].header.client_id, response.session_id);
        assert_eq!(ends[0].txn, Txn::CloseSession { paths: None });
        // Java takes what follows a missing list for the list.
        assert_eq!(ends[0].digest, None);
        assert_eq!(world.replayed().ephemerals(response.session_id).count(), 0);
    }
}
