//! Bytes that no client would send: an answer or an end, never a panic, and the same however they
//! are cut.

use crate::driver::{Frame, World, create, frame, get, handshake, set};
use crate::random::{Random, with_seeds};
use zooid_node::{Closing, Settings};
use zooid_proto::ErrorCode;
use zooid_proto::OpCode;
use zooid_proto::client::{
    AddWatchRequest, AuthPacket, CreateTtlRequest, Empty, GetAllChildrenNumberRequest,
    GetChildren2Request, MultiOp, MultiRequest, RemoveWatchesRequest, SetAclRequest, SetWatches2,
    SyncRequest, create_mode,
};
use zooid_proto::ops::Request;
use zooid_proto::records::Acl;

#[test]
fn lengths_beyond_the_limit_end_the_connection() {
    for length in [0, -1, i32::MIN, 0x10_0000, i32::MAX] {
        for established in [false, true] {
            let mut world = World::new(World::settings());
            let peer = if established {
                world.connect(10_000).0
            } else {
                world.accept()
            };
            world.bytes(peer, &length.to_be_bytes());
            let ended = Closing::NotAFrame {
                length,
                established,
            };
            assert_eq!(world.ended(peer), Some(&ended));
            assert_eq!(world.frames(peer), []);
        }
    }
}

/// The length is only compared: the frame is looked at when it is there.
#[test]
fn a_long_frame_is_waited_for() {
    let mut world = World::new(Settings {
        max_frame_bytes: i32::MAX,
        ..World::settings()
    });
    let (peer, _) = world.connect(10_000);
    world.bytes(peer, &i32::MAX.to_be_bytes());
    world.bytes(peer, &[0; 1000]);
    assert_eq!(world.ended(peer), None);
    assert_eq!(world.frames(peer), []);
}

#[test]
fn a_first_frame_that_is_no_handshake_ends_the_connection() {
    for frame in [
        &[0; 27][..],
        &[0x7F; 40],
        b"\0\x12\0\x03\0\0\0\x01\0\x07rdkafka",
    ] {
        let mut world = World::new(World::settings());
        let peer = world.accept();
        world.bytes(peer, &(frame.len() as i32).to_be_bytes());
        world.bytes(peer, frame);
        let length = frame.len();
        assert_eq!(
            world.ended(peer),
            Some(&Closing::NotAHandshake { length }),
            "{frame:?}"
        );
        assert_eq!(world.writing(), [0i64; 0], "{frame:?}");
    }
}

#[test]
fn a_client_of_another_time_is_sent_away() {
    let mut world = World::new(World::settings());
    let peer = world.accept();
    let mut bytes = handshake(10_000, 0, [0; 16]);
    bytes[8..16].copy_from_slice(&77i64.to_be_bytes());
    world.bytes(peer, &bytes);
    let ended = Closing::ClientAhead { seen: 77, have: 0 };
    assert_eq!(world.ended(peer), Some(&ended));
    assert_eq!(world.writing(), [0i64; 0]);
}

/// Every body, cut anywhere: an error in its turn, and the connection goes on.
#[test]
fn a_body_that_ends_too_early_is_refused() {
    for request in samples() {
        let mut whole = Vec::new();
        frame(&mut whole, 1, &request);
        let is_local = matches!(request, Request::Auth(_) | Request::Sasl(_));
        for end in 12..whole.len() {
            if is_local {
                continue;
            }
            let mut world = World::new(World::settings());
            let (peer, _) = world.connect(10_000);
            let mut bytes = ((end - 4) as i32).to_be_bytes().to_vec();
            bytes.extend(&whole[4..end]);
            world.bytes(peer, &bytes);
            world.send(peer, &get("/", false));
            world.sync();
            let frames = world.frames(peer);
            let replies = frames.len() == 2 && frames[1].err() == ErrorCode::Ok;
            let refused = replies && frames[0].err() == ErrorCode::MarshallingError;
            assert!(refused, "{request:?} cut at {end}: {frames:?}");
            assert_eq!(
                world.shared.tree.read().len(),
                4,
                "{request:?} cut at {end}"
            );
        }
    }
}

#[test]
fn counts_that_no_body_could_hold_are_refused() {
    for op in OpCode::ALL {
        // A path, then lengths and counts without end.
        let mut body = vec![0, 0, 0, 1];
        body.extend(op.code().to_be_bytes());
        body.extend([0, 0, 0, 2, b'/', b'a']);
        body.extend([0x7F; 40]);
        let mut world = World::new(World::settings());
        let (peer, _) = world.connect(10_000);
        let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
        bytes.extend(body);
        world.bytes(peer, &bytes);
        world.sync();
        assert!(world.shared.tree.read().get("/a").is_none(), "{op:?}");
    }
}

/// Streams of requests with flipped bits, lost and inserted bytes give the same whole and in
/// pieces.
#[test]
fn noise_gives_the_same_whole_and_in_pieces() {
    with_seeds(400, |seed| {
        let random = &mut Random::new(seed);
        let stream = noisy_stream(random);
        let whole = outcome(&[&stream]);
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + random.below(rest.len().min(60)));
            pieces.push(piece);
            rest = behind;
        }
        let cut = outcome(&pieces);
        assert!(whole == cut, "whole: {whole:?}\nin pieces: {cut:?}");
    });
}

/// What a stream leads to: the bytes sent, the end, the tree.
fn outcome(pieces: &[&[u8]]) -> (Vec<u8>, String, i64, usize) {
    let mut world = World::new(World::settings());
    let peer = world.accept();
    for piece in pieces {
        world.bytes(peer, piece);
    }
    world.sync();
    let output = world.output(peer);
    let ended = format!("{:?}", world.ended(peer));
    let tree = world.shared.tree.read();
    (output, ended, tree.digest(), tree.len())
}

fn noisy_stream(random: &mut Random) -> Vec<u8> {
    let mut stream = handshake(10_000, 0, [0; 16]);
    if random.percent(5) {
        stream.clear();
    }
    let samples = samples();
    for number in 1..=1 + random.below(12) as i32 {
        let mut bytes = Vec::new();
        frame(&mut bytes, number, random.choose(&samples));
        // The length stays right in most of them, so that the damage reaches what is behind it.
        let from = if random.percent(90) { 4 } else { 0 };
        for _ in 0..random.below(4) {
            let place = from + random.below(bytes.len() - from);
            bytes[place] = match random.below(3) {
                0 => bytes[place] ^ (1 << random.below(8)),
                1 => random.next() as u8,
                _ => *random.choose(&[0, 1, 0x7F, 0x80, 0xFF]),
            };
        }
        stream.extend(bytes);
    }
    if random.percent(20) {
        let place = random.below(stream.len());
        let noise = random.bytes(1 + place % 7);
        stream.splice(place..place, noise);
    }
    stream
}

/// Nothing but noise behind a handshake.
#[test]
fn random_bytes_never_panic() {
    with_seeds(400, |seed| {
        let random = &mut Random::new(seed);
        let mut world = World::new(World::settings());
        let (neighbour, _) = world.connect(10_000);
        let peer = if random.percent(50) {
            world.connect(10_000).0
        } else {
            world.accept()
        };
        for _ in 0..20 {
            let length = random.below(120);
            let mut bytes = random.bytes(length);
            if random.percent(70) {
                bytes.splice(0..0, (length as i32).to_be_bytes());
            }
            world.bytes(peer, &bytes);
        }
        world.send(neighbour, &set("/", b"goes on"));
        world.sync();
        let frames = world.frames(neighbour);
        let served = matches!(
            frames.last(),
            Some(Frame::Reply {
                err: ErrorCode::Ok,
                ..
            })
        );
        assert!(served, "{frames:?}");
    });
}

/// One request of each shape.
fn samples() -> Vec<Request<'static>> {
    let acl = || {
        Some(vec![
            Acl::new(31, "world", "anyone"),
            Acl::new(1, "ip", "::1"),
        ])
    };
    let paths = || Some(vec![Some("/a".into()), Some("/b/c".into())]);
    let Request::Create(node) = create("/a", b"data", create_mode::PERSISTENT) else {
        unreachable!("it makes creates");
    };
    let Request::SetData(data) = set("/a", b"more") else {
        unreachable!("it makes setDatas");
    };
    vec![
        create("/a", b"data", create_mode::PERSISTENT),
        create("/a/s-", b"", create_mode::EPHEMERAL_SEQUENTIAL),
        Request::CreateTtl(CreateTtlRequest {
            path: Some("/ttl".into()),
            data: None,
            acl: acl(),
            flags: create_mode::PERSISTENT_WITH_TTL,
            ttl_ms: 1000,
        }),
        set("/a", b"other"),
        get("/a", true),
        Request::SetAcl(SetAclRequest {
            path: Some("/a".into()),
            acl: acl(),
            version: 0,
        }),
        Request::Multi(MultiRequest {
            ops: vec![MultiOp::Create(node), MultiOp::SetData(data)],
        }),
        Request::GetChildren2(GetChildren2Request {
            path: Some("/".into()),
            watch: true,
        }),
        Request::Sync(SyncRequest {
            path: Some("/a".into()),
        }),
        Request::SetWatches2(SetWatches2 {
            relative_zxid: 0,
            data: paths(),
            exist: paths(),
            child: paths(),
            persistent: paths(),
            recursive: paths(),
        }),
        Request::AddWatch(AddWatchRequest {
            path: Some("/a".into()),
            mode: 1,
        }),
        Request::RemoveWatches(RemoveWatchesRequest {
            path: Some("/a".into()),
            kind: 3,
        }),
        Request::GetAllChildrenNumber(GetAllChildrenNumberRequest {
            path: Some("/".into()),
        }),
        Request::Auth(AuthPacket {
            kind: 0,
            scheme: Some("digest".into()),
            auth: Some(b"user:password".as_slice().into()),
        }),
        Request::WhoAmI(Empty {}),
        Request::CloseSession(Empty {}),
    ]
}
