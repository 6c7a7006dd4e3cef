use zooid_proto::client::{
    AddWatchRequest, Empty, ExistsRequest, GetDataRequest, RemoveWatchesRequest, SetDataRequest,
};

use super::*;

const SESSION: i64 = 0x0100_0014_9629_0000;
const PASSWORD: [u8; 16] = [7; 16];
const TIMEOUT_MS: u64 = 9_000;

fn session() -> Session<u32> {
    Session::new(SessionConfig {
        timeout_ms: 10_000,
        handshake_ms: 3_000,
        read_only: false,
        max_frame: 1 << 20,
        attach: None,
    })
}

/// A session whose handshake is done at time 0, with its bytes and outputs taken.
fn attached() -> Session<u32> {
    let mut session = session();
    session.connected(0);
    greet(&mut session, 0);
    session
}

fn greet(session: &mut Session<u32>, now_ms: u64) {
    sent(session);
    session.receive(&hello(TIMEOUT_MS as i32, SESSION), now_ms);
    assert_eq!(outputs(session), [Output::State(SessionState::Connected)]);
}

fn hello(timeout_ms: i32, session_id: i64) -> Vec<u8> {
    let response = ConnectResponse {
        timeout_ms,
        session_id,
        password: PASSWORD,
        read_only: Some(false),
    };
    framed(|to| response.write(to))
}

fn framed(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, write);
    bytes
}

fn reply(xid: i32, zxid: i64, err: i32) -> Vec<u8> {
    framed(|to| ReplyHeader { xid, zxid, err }.write(to))
}

fn event(kind: EventKind, path: &str, zxid: i64) -> Vec<u8> {
    let wire = (1..=4).find(|n| EventKind::from_wire(*n) == Some(kind));
    framed(|to| {
        let header = ReplyHeader {
            xid: -1,
            zxid,
            err: 0,
        };
        header.write(to);
        let body = WatcherEvent {
            kind: wire.expect("an event of the wire"),
            state: 3,
            path: Some(path.into()),
        };
        body.write(to);
    })
}

fn outputs(session: &mut Session<u32>) -> Vec<Output<u32>> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

/// The requests in the bytes for the server, by xid.
fn sent(session: &mut Session<u32>) -> Vec<(i32, Request<'static>)> {
    frames(session)
        .iter()
        .filter_map(|frame| {
            let header = RequestHeader::from_bytes(frame).ok()?;
            let op = OpCode::from_i32(header.op)?;
            let request = Request::decode(op, &frame[8..]).ok()?;
            Some((header.xid, owned(request)))
        })
        .collect()
}

fn frames(session: &mut Session<u32>) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    session.take_bytes(&mut bytes);
    let mut frames = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((prefix, tail)) = rest.split_first_chunk::<4>() {
        let (frame, tail) = tail.split_at(i32::from_be_bytes(*prefix) as usize);
        frames.push(frame.to_vec());
        rest = tail;
    }
    frames
}

fn owned(request: Request<'_>) -> Request<'static> {
    match request {
        Request::GetData(body) => Request::GetData(body.into_owned()),
        Request::Exists(body) => Request::Exists(body.into_owned()),
        Request::SetData(body) => Request::SetData(body.into_owned()),
        Request::SetWatches(body) => Request::SetWatches(body.into_owned()),
        Request::SetWatches2(body) => Request::SetWatches2(body.into_owned()),
        Request::AddWatch(body) => Request::AddWatch(body.into_owned()),
        Request::RemoveWatches(body) => Request::RemoveWatches(body.into_owned()),
        Request::Auth(body) => Request::Auth(body.into_owned()),
        Request::Ping(body) => Request::Ping(body),
        Request::CloseSession(body) => Request::CloseSession(body),
        other => panic!("no test sends {other:?}"),
    }
}

fn get(path: &'static str, watch: bool) -> Request<'static> {
    let path = Some(path.into());
    Request::GetData(GetDataRequest { path, watch })
}

fn exists(path: &'static str) -> Request<'static> {
    Request::Exists(ExistsRequest {
        path: Some(path.into()),
        watch: true,
    })
}

fn add_watch(path: &'static str, mode: i32) -> Request<'static> {
    let path = Some(path.into());
    Request::AddWatch(AddWatchRequest { path, mode })
}

fn auth(name: &'static str) -> Request<'static> {
    Request::Auth(AuthPacket {
        kind: 0,
        scheme: Some("digest".into()),
        auth: Some(name.as_bytes().into()),
    })
}

fn answered(ticket: u32, zxid: i64, err: i32) -> Output<u32> {
    Output::Reply {
        ticket,
        result: Ok(Reply {
            zxid,
            err,
            body: Bytes::new(),
        }),
    }
}

fn lost(ticket: u32, loss: Loss) -> Output<u32> {
    let result = Err(loss);
    Output::Reply { ticket, result }
}

fn told(watchers: &[WatcherId], kind: EventKind, path: &str, zxid: i64) -> Output<u32> {
    let event = WatchedEvent {
        kind,
        path: path.into(),
        zxid,
    };
    let watchers = watchers.to_vec();
    Output::Event { watchers, event }
}

#[test]
fn the_handshake_asks_for_a_new_session_and_keeps_what_was_granted() {
    let mut session = session();
    session.connected(0);
    let frames = frames(&mut session);
    assert_eq!(frames[0].len(), 45);
    let request = ConnectRequest::read(&mut Reader::new(&frames[0])).unwrap();
    assert_eq!((request.session_id, request.timeout_ms), (0, 10_000));
    session.receive(&hello(9_000, SESSION), 1);
    assert_eq!(session.timeout_ms(), 9_000);
    assert_eq!(session.credentials().id, SESSION);

    session.disconnected("gone");
    session.connected(5);
    let again = self::frames(&mut session);
    let request = ConnectRequest::read(&mut Reader::new(&again[0])).unwrap();
    assert_eq!(request.session_id, SESSION);
    assert_eq!(request.password.as_deref(), Some(PASSWORD.as_slice()));
}

#[test]
fn frames_may_arrive_in_any_pieces() {
    let mut session = session();
    session.connected(0);
    session.submit(&get("/a", false), 1, None, 0);
    let mut bytes = hello(9_000, SESSION);
    bytes.extend(reply(1, 5, -101));
    for byte in bytes {
        session.receive(&[byte], 1);
    }
    assert_eq!(
        outputs(&mut session),
        [Output::State(SessionState::Connected), answered(1, 5, -101)]
    );
    assert_eq!(session.last_zxid(), 5);
}

#[test]
fn requests_wait_for_the_handshake_and_are_answered_in_order() {
    let mut session = session();
    session.submit(&get("/a", false), 1, None, 0);
    session.connected(0);
    session.submit(&get("/b", false), 2, None, 0);
    assert_eq!(frames(&mut session).len(), 1, "the handshake only");
    session.receive(&hello(9_000, SESSION), 1);
    let xids: Vec<_> = sent(&mut session).iter().map(|(xid, _)| *xid).collect();
    assert_eq!(xids, [1, 2]);
    outputs(&mut session);
    session.receive(&[reply(1, 5, 0), reply(2, 5, -101)].concat(), 2);
    assert_eq!(
        outputs(&mut session),
        [answered(1, 5, 0), answered(2, 5, -101)]
    );
}

#[test]
fn a_reply_out_of_order_ends_the_connection_but_not_the_session() {
    let mut session = attached();
    session.submit(&get("/a", false), 1, None, 0);
    session.submit(&get("/b", false), 2, None, 0);
    session.receive(&reply(2, 5, 0), 1);
    let outputs = outputs(&mut session);
    assert_eq!(outputs[0], lost(1, Loss::Connection));
    assert_eq!(outputs[1], lost(2, Loss::Connection));
    assert!(
        matches!(&outputs[2], Output::Disconnect { reason } if reason.contains("request 2 where 1")),
        "{outputs:?}"
    );
    assert_eq!(outputs[3], Output::State(SessionState::Disconnected));
}

#[test]
fn frames_that_lie_end_the_connection() {
    for bytes in [
        (-1i32).to_be_bytes().to_vec(),
        (2i32 << 20).to_be_bytes().to_vec(),
        framed(|to| to.i32(1)),
        framed(|to| {
            let header = ReplyHeader {
                xid: -1,
                zxid: 1,
                err: 0,
            };
            header.write(to);
        }),
        reply(xid::AUTH, 0, 0),
        reply(77, 0, 0),
    ] {
        let mut session = attached();
        session.receive(&bytes, 1);
        assert!(
            outputs(&mut session)
                .iter()
                .any(|output| matches!(output, Output::Disconnect { .. })),
            "{bytes:?}"
        );
        assert_eq!(session.state(), SessionState::Disconnected);
    }
}

#[test]
fn pings_after_a_third_gives_up_after_two_thirds_expires_after_four() {
    let mut session = attached();
    assert_eq!(session.poll_timeout(), Some(3_000));
    session.handle_timeout(2_999);
    assert!(!session.has_bytes());
    session.handle_timeout(3_000);
    assert_eq!(sent(&mut session), [(-2, Request::Ping(Empty {}))]);
    session.receive(&reply(-2, 9, 0), 3_100);
    assert_eq!(session.last_zxid(), 0, "pings do not count, as in Java");

    session.submit(&get("/a", false), 1, None, 5_000);
    assert_eq!(session.poll_timeout(), Some(8_000), "sends count as pings");
    sent(&mut session);
    session.handle_timeout(8_000);
    assert_eq!(sent(&mut session).len(), 1);
    assert_eq!(session.poll_timeout(), Some(9_100));
    session.handle_timeout(9_100);
    assert_eq!(outputs(&mut session)[0], lost(1, Loss::Connection));

    assert_eq!(session.poll_timeout(), Some(15_100));
    session.submit(&get("/b", false), 2, None, 10_000);
    session.handle_timeout(15_099);
    assert_eq!(session.state(), SessionState::Disconnected);
    session.handle_timeout(15_100);
    assert_eq!(
        outputs(&mut session)[..2],
        [lost(2, Loss::Expired), Output::State(SessionState::Expired)]
    );
    session.submit(&get("/c", false), 3, None, 16_000);
    assert_eq!(outputs(&mut session), [lost(3, Loss::Expired)]);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_server_that_does_not_greet_is_left() {
    let mut session = session();
    session.connected(100);
    assert_eq!(session.poll_timeout(), Some(3_100));
    session.handle_timeout(3_100);
    assert!(matches!(
        outputs(&mut session)[..],
        [Output::Disconnect { .. }]
    ));
    assert_eq!(session.poll_timeout(), None, "no session that could expire");
}

#[test]
fn a_refused_session_is_over() {
    let mut session = attached();
    session.submit(&get("/a", true), 1, Some(10), 0);
    session.receive(&reply(1, 5, 0), 1);
    session.disconnected("gone");
    session.submit(&get("/b", false), 2, None, 2);
    session.connected(3);
    outputs(&mut session);
    session.receive(&hello(0, 0), 4);
    assert_eq!(
        outputs(&mut session)[..2],
        [lost(2, Loss::Expired), Output::State(SessionState::Expired)]
    );
    assert!(!session.is_watching(10));
}

#[test]
fn one_shot_watches_fire_once_and_only_if_registered() {
    let mut session = attached();
    session.submit(&get("/a", true), 1, Some(10), 0);
    session.submit(&get("/missing", true), 2, Some(11), 0);
    session.submit(&exists("/missing"), 3, Some(12), 0);
    let replies = [reply(1, 5, 0), reply(2, 5, -101), reply(3, 5, -101)];
    session.receive(&replies.concat(), 1);
    outputs(&mut session);
    assert!(session.is_watching(10) && !session.is_watching(11) && session.is_watching(12));

    let change = event(EventKind::NodeDataChanged, "/a", 6);
    session.receive(&[change.clone(), change].concat(), 2);
    session.receive(&event(EventKind::NodeCreated, "/missing", 7), 2);
    assert_eq!(
        outputs(&mut session),
        [
            told(&[10], EventKind::NodeDataChanged, "/a", 6),
            told(&[12], EventKind::NodeCreated, "/missing", 7),
        ]
    );
    assert_eq!(session.last_zxid(), 5, "events do not count, as in Java");
}

#[test]
fn persistent_watches_fire_until_removed() {
    let mut session = attached();
    session.submit(&add_watch("/a", 1), 1, Some(10), 0);
    session.submit(&add_watch("/a", 0), 2, Some(11), 0);
    session.receive(&[reply(1, 5, 0), reply(2, 5, 0)].concat(), 1);
    outputs(&mut session);
    let events = [
        event(EventKind::NodeCreated, "/a/b", 6),
        event(EventKind::NodeChildrenChanged, "/a", 6),
        event(EventKind::NodeDeleted, "/a", 8),
    ];
    session.receive(&events.concat(), 1);
    assert_eq!(
        outputs(&mut session),
        [
            told(&[10], EventKind::NodeCreated, "/a/b", 6),
            told(&[11], EventKind::NodeChildrenChanged, "/a", 6),
            told(&[11, 10], EventKind::NodeDeleted, "/a", 8),
        ]
    );
    let remove = Request::RemoveWatches(RemoveWatchesRequest {
        path: Some("/a".into()),
        kind: WatchKind::Any as i32,
    });
    session.submit(&remove, 3, None, 2);
    session.receive(&reply(3, 8, 0), 3);
    assert_eq!(
        outputs(&mut session),
        [
            told(&[11, 10], EventKind::PersistentWatchRemoved, "/a", -1),
            answered(3, 8, 0)
        ]
    );
}

#[test]
fn a_reconnect_says_who_we_are_and_registers_watches_before_what_waits() {
    let mut session = attached();
    session.submit(&auth("bob:pw"), 1, None, 0);
    session.submit(&get("/a", true), 2, Some(10), 0);
    session.submit(&exists("/missing"), 3, Some(11), 0);
    session.submit(&add_watch("/r", 1), 4, Some(12), 0);
    session.submit(&get("/gone", true), 5, Some(13), 0);
    let replies = [
        reply(xid::AUTH, 0, 0),
        reply(1, 5, 0),
        reply(2, 5, -101),
        reply(3, 6, 0),
    ];
    session.receive(&replies.concat(), 1);
    session.disconnected("gone");
    session.submit(&get("/b", false), 6, None, 2);
    sent(&mut session);
    outputs(&mut session);

    session.connected(3);
    let hello_frames = frames(&mut session);
    assert_eq!(hello_frames.len(), 2, "the handshake and the credential");
    let hello_request = ConnectRequest::read(&mut Reader::new(&hello_frames[0])).unwrap();
    assert_eq!(hello_request.last_zxid_seen, 6);
    session.receive(&hello(9_000, SESSION), 4);
    let requests = sent(&mut session);
    let [(xid::SET_WATCHES, Request::SetWatches2(watches)), (5, _)] = &requests[..] else {
        // Four requests had the numbers 1 to 4: auth has none.
        panic!("{requests:?}")
    };
    assert_eq!(watches.relative_zxid, 6);
    assert_eq!(watches.data, Some(vec![Some("/a".into())]));
    assert_eq!(watches.exist, Some(vec![Some("/missing".into())]));
    assert_eq!(watches.recursive, Some(vec![Some("/r".into())]));
    outputs(&mut session);

    // What was missed comes before the reply to the waiting request.
    let bytes = [
        reply(xid::AUTH, 0, 0),
        event(EventKind::NodeDeleted, "/a", -1),
        reply(xid::SET_WATCHES, 7, 0),
        reply(5, 7, 0),
    ];
    session.receive(&bytes.concat(), 5);
    assert_eq!(
        outputs(&mut session),
        [
            told(&[10], EventKind::NodeDeleted, "/a", -1),
            answered(6, 7, 0)
        ]
    );
}

#[test]
fn a_refused_credential_ends_the_session() {
    let mut session = attached();
    session.submit(&get("/a", false), 1, None, 0);
    session.submit(&auth("bob:pw"), 2, None, 0);
    session.receive(&reply(xid::AUTH, 0, -115), 1);
    assert_eq!(
        outputs(&mut session)[..3],
        [
            answered(2, 0, -115),
            lost(1, Loss::AuthFailed),
            Output::State(SessionState::AuthFailed)
        ]
    );
}

#[test]
fn close_is_the_last_request() {
    let mut session = attached();
    session.submit(&get("/a", false), 1, None, 0);
    session.close(Some(2), 0);
    session.submit(&get("/b", false), 3, None, 0);
    assert_eq!(outputs(&mut session), [lost(3, Loss::Closed)]);
    session.receive(&[reply(1, 5, 0), reply(2, 6, 0)].concat(), 1);
    assert_eq!(
        outputs(&mut session)[..3],
        [
            answered(1, 5, 0),
            answered(2, 6, 0),
            Output::State(SessionState::Closed)
        ]
    );
}

#[test]
fn close_without_a_connection_ends_the_session_here() {
    let mut session = attached();
    session.disconnected("gone");
    outputs(&mut session);
    session.close(Some(1), 1);
    assert_eq!(
        outputs(&mut session)[..2],
        [lost(1, Loss::Closed), Output::State(SessionState::Closed)]
    );
}

#[test]
fn a_forgotten_watcher_hears_nothing_and_is_not_registered_again() {
    let mut session = attached();
    session.submit(&get("/a", true), 1, Some(10), 0);
    session.receive(&reply(1, 5, 0), 1);
    session.forget(10);
    outputs(&mut session);
    session.receive(&event(EventKind::NodeDeleted, "/a", 6), 2);
    assert_eq!(outputs(&mut session), []);
    session.disconnected("gone");
    session.connected(3);
    frames(&mut session);
    session.receive(&hello(9_000, SESSION), 4);
    assert!(!session.has_bytes());
}

#[test]
fn data_that_is_null_stays_null_on_the_way() {
    let mut session = attached();
    let set = Request::SetData(SetDataRequest {
        path: Some("/a".into()),
        data: None,
        version: -1,
    });
    session.submit(&set, 1, None, 0);
    assert_eq!(sent(&mut session), [(1, set)]);
}
