//! A member without a leader that serves reads.

use crate::world::{Hello, NEW, World, create, settings};
use zooid_node::Settings;
use zooid_proto::ErrorCode;
use zooid_proto::client::create_mode::{EPHEMERAL, PERSISTENT};
use zooid_proto::client::{Empty, ExistsRequest, SyncRequest};
use zooid_proto::ops::Request;

const CONTENT: Hello = Hello {
    read_only: true,
    ..NEW
};

fn exists(path: &'static str) -> Request<'static> {
    Request::Exists(ExistsRequest {
        path: Some(path.into()),
        watch: true,
    })
}

#[test]
fn a_member_that_is_cut_off_answers_reads() {
    let mut world = World::new(&settings());
    let at = (world.leader().unwrap() + 1) % 3;
    let (writer, global) = world.client(at, NEW);
    world.ask(writer, &[create("/a", EPHEMERAL)]);
    world.cut_off(at);
    // No sooner than after a grace: most elections are over by then.
    world.pass(1000);
    assert!(world.is_over(writer));
    assert!(world.connect(at, CONTENT).is_none());
    world.pass(20_000);
    assert!(world.shared(at).is_read_only());
    let zxid = world.zxid(at);
    let back = |hello: Hello| Hello {
        session: global,
        ..hello
    };
    for hello in [NEW, back(NEW), back(CONTENT)] {
        assert!(world.connect(at, hello).is_none(), "{hello:?}");
    }
    let (client, answer) = world.connect(at, CONTENT).unwrap();
    assert_eq!(answer.read_only, Some(true));
    let sync = Request::Sync(SyncRequest {
        path: Some("/".into()),
    });
    let asked = [exists("/a"), create("/b", PERSISTENT), sync, exists("/b")];
    let expected = [
        (zxid, ErrorCode::Ok),
        (zxid, ErrorCode::NotReadOnly),
        (zxid, ErrorCode::NotReadOnly),
        (zxid, ErrorCode::NoNode),
    ];
    assert_eq!(world.ask(client, &asked), expected);
    let (other, second) = world.client(at, CONTENT);
    let close = Request::CloseSession(Empty {});
    assert_eq!(world.ask(other, &[close]), [(zxid, ErrorCode::Ok)]);
    let hello = Hello {
        session: second,
        ..CONTENT
    };
    let refused = world.connect(at, hello).unwrap().1;
    assert_eq!((refused.session_id, refused.read_only), (0, Some(true)));

    // The others went on; it has their writes when it is back, and its own sessions are over.
    let elsewhere = (0..3).find(|other| *other != at).unwrap();
    let (wrote, _) = world.client(elsewhere, NEW);
    assert_eq!(
        world.ask(wrote, &[create("/c", PERSISTENT)])[0].1,
        ErrorCode::Ok
    );
    world.heal();
    world.until_whole();
    assert!(world.is_over(client));
    assert!(!world.shared(at).is_read_only());
    assert_eq!(world.zxid(at), world.zxid(elsewhere));
    let hello = Hello {
        session: answer.session_id,
        ..CONTENT
    };
    assert_eq!(world.connect(at, hello).unwrap().1.session_id, 0);
    let (client, answer) = world.connect(at, CONTENT).unwrap();
    assert_eq!(answer.read_only, Some(false));
    assert_eq!(
        world.ask(client, &[create("/d", PERSISTENT)])[0].1,
        ErrorCode::Ok
    );
}

#[test]
fn a_silent_session_expires_there_too() {
    let mut world = World::new(&settings());
    let at = (world.leader().unwrap() + 1) % 3;
    world.cut_off(at);
    world.pass(20_000);
    let hello = Hello {
        timeout_ms: 3000,
        ..CONTENT
    };
    let (client, _) = world.client(at, hello);
    world.pass(2000);
    assert!(!world.is_over(client));
    world.pass(3000);
    assert!(world.is_over(client));
    assert_eq!(world.sessions(at), (0, 0));
}

#[test]
fn without_local_sessions_there_are_none() {
    let mut world = World::new(&Settings {
        local_sessions: false,
        ..settings()
    });
    let at = (world.leader().unwrap() + 1) % 3;
    world.cut_off(at);
    world.pass(20_000);
    assert!(world.shared(at).is_read_only());
    assert!(world.connect(at, CONTENT).is_none());
}

#[test]
fn only_who_is_told_to_does() {
    let mut world = World::new(&Settings {
        read_only_mode: false,
        ..settings()
    });
    let at = (world.leader().unwrap() + 1) % 3;
    world.cut_off(at);
    world.pass(60_000);
    assert!(!world.shared(at).is_serving());
}
