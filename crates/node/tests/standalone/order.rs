//! What comes before what: the disk before replies and events, events before replies, own writes
//! before own reads.

use crate::driver::{Frame, PeerId, World, create, delete, exists, get, handshake, set};
use zooid_node::Closing;
use zooid_proto::ErrorCode;
use zooid_proto::client::{Empty, GetChildrenRequest, MultiOp, MultiRequest, event};
use zooid_proto::client::{SetDataRequest, create_mode};
use zooid_proto::ops::Request;

fn two_clients() -> (World, PeerId, PeerId) {
    let mut world = World::new(World::settings());
    let (one, _) = world.connect(10_000);
    let (two, _) = world.connect(10_000);
    (world, one, two)
}

fn changed(path: &str) -> Frame {
    Frame::Event {
        kind: event::DATA_CHANGED,
        path: path.to_owned(),
    }
}

#[test]
fn a_handshake_is_answered_when_its_session_is_on_disk() {
    let mut world = World::new(World::settings());
    let peer = world.accept();
    world.bytes(peer, &handshake(10_000, 0, [0; 16]));
    assert_eq!(world.frames(peer), []);
    assert_eq!(world.writing(), [1]);
    world.sync_some(1);
    assert!(matches!(&world.frames(peer)[..], [Frame::Connected(_)]));
}

#[test]
fn a_write_is_answered_when_it_is_on_disk() {
    let (mut world, one, two) = two_clients();
    let first = world.send(one, &create("/a", b"1", create_mode::PERSISTENT));
    let second = world.send(one, &set("/a", b"2"));
    let other = world.send(two, &create("/b", b"", create_mode::PERSISTENT));
    assert_eq!(world.writing().len(), 3);
    assert_eq!((world.frames(one), world.frames(two)), (vec![], vec![]));
    world.sync_some(1);
    assert_eq!(xids(&world.frames(one)), [first]);
    assert_eq!(world.frames(two), []);
    world.sync_some(2);
    assert_eq!(xids(&world.frames(one)), [second]);
    assert_eq!(xids(&world.frames(two)), [other]);
}

/// A refusal stands in the log too: it tells of what is in front of it.
#[test]
fn a_refusal_waits_for_what_it_tells_of() {
    let (mut world, one, two) = two_clients();
    world.send(one, &create("/a", b"", create_mode::PERSISTENT));
    world.send(two, &create("/a", b"", create_mode::PERSISTENT));
    world.sync_some(1);
    assert_eq!(world.frames(one).len(), 1);
    assert_eq!(world.frames(two), []);
    world.sync_some(1);
    assert_eq!(world.frames(two)[0].err(), ErrorCode::NodeExists);
}

#[test]
fn an_event_waits_for_the_disk() {
    let (mut world, one, two) = two_clients();
    world.send(one, &create("/a", b"1", create_mode::PERSISTENT));
    world.sync();
    world.send(two, &get("/a", true));
    world.frames(two);
    world.send(one, &set("/a", b"2"));
    assert_eq!(world.frames(two), []);
    world.sync();
    assert_eq!(world.frames(two), [changed("/a")]);
}

#[test]
fn a_read_waits_for_the_writes_of_its_own_session_alone() {
    let (mut world, one, two) = two_clients();
    world.send(one, &create("/a", b"1", create_mode::PERSISTENT));
    world.sync();
    world.frames(one);
    let set_xid = world.send(one, &set("/a", b"2"));
    let own_read = world.send(one, &get("/a", false));
    world.send(two, &get("/a", false));
    assert_eq!(world.frames(one), []);
    assert_eq!(world.frames(two)[0].data().unwrap(), b"1");
    world.sync();
    let frames = world.frames(one);
    assert_eq!(xids(&frames), [set_xid, own_read]);
    assert_eq!(frames[1].data().unwrap(), b"2");
}

#[test]
fn a_ping_waits_as_a_read_does() {
    let (mut world, one, _) = two_clients();
    let set_xid = world.send(one, &set("/a", b""));
    world.send(one, &Request::Ping(Empty {}));
    assert_eq!(world.frames(one), []);
    world.sync();
    assert_eq!(xids(&world.frames(one)), [set_xid, -2]);
}

#[test]
fn an_event_comes_before_the_reply_that_shows_its_change() {
    let (mut world, one, two) = two_clients();
    world.send(one, &create("/a", b"1", create_mode::PERSISTENT));
    world.sync();
    // The client that changes a node sees its own event first.
    world.send(one, &get("/a", true));
    world.frames(one);
    world.send(one, &set("/a", b"2"));
    world.sync();
    let frames = world.frames(one);
    assert_eq!(frames[0], changed("/a"));
    assert_eq!(frames[1].err(), ErrorCode::Ok);
    // And so does another one, even if its read is there when the change is applied.
    world.send(two, &get("/a", true));
    world.frames(two);
    world.send(one, &set("/a", b"3"));
    world.send(two, &set("/b", b""));
    world.send(two, &get("/a", false));
    world.sync();
    let frames = world.frames(two);
    assert_eq!(frames[0], changed("/a"));
    assert_eq!(frames[1].err(), ErrorCode::NoNode);
    assert_eq!(frames[2].data().unwrap(), b"3");
}

#[test]
fn events_of_one_transaction_come_in_the_order_of_its_parts() {
    let (mut world, one, two) = two_clients();
    for path in ["/a", "/b"] {
        world.send(one, &create(path, b"", create_mode::PERSISTENT));
    }
    world.sync();
    for path in ["/b", "/a"] {
        world.send(two, &get(path, true));
    }
    world.frames(two);
    let ops = ["/a", "/b", "/a"].map(|path| {
        MultiOp::SetData(SetDataRequest {
            path: Some(path.into()),
            data: None,
            version: -1,
        })
    });
    world.send(one, &Request::Multi(MultiRequest { ops: ops.into() }));
    world.sync();
    assert_eq!(world.frames(two), [changed("/a"), changed("/b")]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let requests = [
        get("/a", false),
        create("/a", b"1", create_mode::PERSISTENT),
        get("/a", true),
        create("/a", b"1", create_mode::PERSISTENT),
        set("/a", b"2"),
        get("/a", true),
        exists("/b", true),
        create("/b", b"", create_mode::EPHEMERAL),
        Request::GetChildren(GetChildrenRequest {
            path: Some("/".into()),
            watch: true,
        }),
        delete("/a"),
        get("/a", false),
    ];
    use ErrorCode::{NoNode, NodeExists, Ok};
    let errors = [
        NoNode, Ok, Ok, NodeExists, Ok, Ok, NoNode, Ok, Ok, Ok, NoNode,
    ];
    // However slow the disk is.
    for at_once in 1..=6 {
        let (mut world, one, _) = two_clients();
        let sent = world.send_all(one, &requests);
        while !world.writing().is_empty() {
            let count = world.writing().len().min(at_once);
            world.sync_some(count);
        }
        let frames = world.frames(one);
        let (events, replies): (Vec<_>, Vec<_>) = frames
            .iter()
            .enumerate()
            .partition(|(_, frame)| matches!(frame, Frame::Event { .. }));
        let replies: Vec<&Frame> = replies.into_iter().map(|(_, frame)| frame).collect();
        let found: Vec<i32> = replies.iter().map(|frame| frame.xid()).collect();
        assert_eq!(found, sent);
        let found: Vec<ErrorCode> = replies.iter().map(|frame| frame.err()).collect();
        assert_eq!(found, errors);
        let mut zxids: Vec<i64> = Vec::new();
        for frame in &replies {
            if let Frame::Reply { zxid, .. } = frame {
                zxids.push(*zxid);
            }
        }
        assert!(zxids.is_sorted(), "{zxids:?}");
        // Data, creation, deletion, children: each directly in front of the reply to its cause.
        let places: Vec<usize> = events.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [4, 8, 11, 12]);
    }
}

/// How a stream is cut into packets changes nothing.
#[test]
fn requests_may_arrive_byte_by_byte() {
    let (mut world, one, _) = two_clients();
    let mut bytes = Vec::new();
    crate::driver::frame(&mut bytes, 1, &create("/a", b"1", create_mode::PERSISTENT));
    crate::driver::frame(&mut bytes, 2, &get("/a", false));
    for byte in bytes {
        world.bytes(one, &[byte]);
    }
    world.sync();
    let frames = world.frames(one);
    assert_eq!(xids(&frames), [1, 2]);
    assert_eq!(frames[1].data().unwrap(), b"1");
}

#[test]
fn nothing_behind_the_end_of_a_session_is_executed() {
    let (mut world, one, two) = two_clients();
    world.send(two, &exists("/e", true));
    world.frames(two);
    let sent = world.send_all(
        one,
        &[
            create("/e", b"", create_mode::EPHEMERAL),
            Request::CloseSession(Empty {}),
            create("/late", b"", create_mode::PERSISTENT),
            get("/", false),
        ],
    );
    assert_eq!(world.writing().len(), 2);
    world.sync();
    assert_eq!(xids(&world.frames(one)), sent[..2]);
    assert_eq!(world.ended(one), Some(&Closing::Flush));
    let created = Frame::Event {
        kind: event::CREATED,
        path: "/e".to_owned(),
    };
    assert_eq!(world.frames(two), [created]);
    let tree = world.shared.tree.read();
    assert!(tree.get("/e").is_none() && tree.get("/late").is_none());
    assert_eq!(tree.sessions().len(), 1);
}

fn xids(frames: &[Frame]) -> Vec<i32> {
    frames.iter().map(Frame::xid).collect()
}
