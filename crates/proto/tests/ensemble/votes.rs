//! The election port.

use crate::{CONFIG, hex};
use proptest::prelude::*;
use zooid_proto::vote::{
    ElectionAddress, FrameDecoder, FrameError, Hello, HelloError, MAX_FRAME, Notification,
    NotificationError, PeerState,
};

fn address(host: &str, port: u16) -> ElectionAddress {
    ElectionAddress {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn hello_of_each_release() {
    let v1 = hex("ffffffffffff0000 0000000000000001 0000000f 3132372e302e302e313a3231313231");
    let hello = Hello {
        sid: 1,
        addresses: vec![address("127.0.0.1", 21121)],
    };
    assert_eq!(Hello::read(&v1), Ok(Some((hello.clone(), v1.len()))));
    let mut written = Vec::new();
    hello.encode(false, &mut written);
    assert_eq!(written, v1);
    for length in 0..v1.len() {
        assert_eq!(Hello::read(&v1[..length]), Ok(None), "{length}");
    }
    let longer = [&v1[..], b"more"].concat();
    assert_eq!(Hello::read(&longer), Ok(Some((hello, v1.len()))));

    let v2 = hex("ffffffffffff0001 0000000000000005 00000010 'a:1|[::1]:2|b:33'");
    let hello = Hello {
        sid: 5,
        addresses: vec![address("a", 1), address("::1", 2), address("b", 33)],
    };
    assert_eq!(Hello::read(&v2), Ok(Some((hello.clone(), v2.len()))));
    written.clear();
    hello.encode(true, &mut written);
    assert_eq!(written, v2);
    written.clear();
    hello.encode(false, &mut written);
    assert_eq!(
        written,
        hex("ffffffffffff0000 0000000000000005 00000003 'a:1'")
    );

    let bare = Hello {
        sid: 3,
        addresses: vec![],
    };
    assert_eq!(
        Hello::read(&hex("0000000000000003 00")),
        Ok(Some((bare, 8)))
    );
}

/// ZOOKEEPER-2164: a wildcard says nothing about where the member is.
#[test]
fn wildcards_of_a_hello_are_left_out() {
    let text = "0.0.0.0:1|[::]:2|[0:0:0:0:0:0:0:0]:3|a:4";
    let length = text.len();
    let bytes = hex(&format!(
        "ffffffffffff0001 0000000000000005 {length:08x} '{text}'"
    ));
    let (hello, _) = Hello::read(&bytes).unwrap().unwrap();
    assert_eq!(hello.addresses, [address("a", 4)]);
}

#[test]
fn what_is_no_hello_is_refused_at_once() {
    assert_eq!(
        Hello::read(&hex("fffffffffffeffff")),
        Err(HelloError::Version(-65537))
    );
    assert_eq!(Hello::read(&[0xFF; 8]), Err(HelloError::Version(-1)));
    for length in [0, -1, 2049, i32::MAX] {
        let bytes = hex(&format!("ffffffffffff0000 0000000000000001 {length:08x}"));
        assert_eq!(Hello::read(&bytes), Err(HelloError::Length(length)));
    }
    for text in [
        "a", "a:", "a:b", ":", "|", "a:1:2", "a:70000", "a:-1", "[::1]", "[::1:2",
    ] {
        let length = text.len();
        let bytes = hex(&format!(
            "ffffffffffff0000 0000000000000001 {length:08x} '{text}'"
        ));
        assert!(
            matches!(Hello::read(&bytes), Err(HelloError::Address(_))),
            "{text}"
        );
    }
}

fn looking<'a>() -> Notification<'a> {
    Notification {
        state: Some(PeerState::Looking),
        leader: 1,
        zxid: 0,
        election_epoch: 1,
        peer_epoch: 0,
        version: 2,
        config: Some(CONFIG.into()),
    }
}

fn body(frame: &[u8]) -> Vec<u8> {
    let mut decoder = FrameDecoder::new();
    decoder.push(frame);
    let body = decoder.next_frame().unwrap().unwrap().to_vec();
    assert_eq!(decoder.next_frame(), Ok(None));
    body
}

#[test]
fn notifications_of_3_9_5() {
    let frame = hex(&format!(
        "000000b6  00000000 0000000000000001 0000000000000000 0000000000000001 0000000000000000
         00000002 0000008a '{CONFIG}'"
    ));
    let mut written = Vec::new();
    looking().encode_frame(&mut written);
    assert_eq!(written, frame);
    assert_eq!(Notification::read(&body(&frame)), Ok(looking()));

    let following = Notification {
        state: Some(PeerState::Following),
        leader: 2,
        peer_epoch: 1,
        ..looking()
    };
    let leading = Notification {
        state: Some(PeerState::Leading),
        ..following.clone()
    };
    let observer = Notification {
        leader: i64::MIN,
        zxid: i64::MIN,
        peer_epoch: i64::MIN,
        ..looking()
    };
    let joiner = Notification {
        leader: i64::MIN,
        ..looking()
    };
    for (notification, front) in [
        (
            following,
            "00000001 0000000000000002 0000000000000000 0000000000000001 0000000000000001",
        ),
        (
            leading,
            "00000002 0000000000000002 0000000000000000 0000000000000001 0000000000000001",
        ),
        (
            observer,
            "00000000 8000000000000000 8000000000000000 0000000000000001 8000000000000000",
        ),
        (
            joiner,
            "00000000 8000000000000000 0000000000000000 0000000000000001 0000000000000000",
        ),
    ] {
        let bytes = hex(&format!("000000b6 {front} 00000002 0000008a '{CONFIG}'"));
        written.clear();
        notification.encode_frame(&mut written);
        assert_eq!(written, bytes);
        assert_eq!(Notification::read(&body(&bytes)), Ok(notification));
    }
}

/// The table of lengths that releases have sent.
#[test]
fn notifications_of_each_length() {
    // Version 1 and a round of 7; what follows 40 bytes is a configuration of 1 byte.
    let whole = |version: i32| {
        hex(&format!(
            "00000001 0000000000000002 0000000300000005 0000000000000007 0000000000000009
             {version:08x} 00000001 'x'"
        ))
    };
    let read = |version, length: usize| {
        Notification::read(&whole(version)[..length]).map(Notification::into_owned)
    };
    for length in (0..28).chain(29..40) {
        assert_eq!(
            read(2, length),
            Err(NotificationError::Short(length)),
            "{length}"
        );
    }
    let oldest = read(2, 28).unwrap();
    assert_eq!(
        (oldest.peer_epoch, oldest.version, oldest.config),
        (3, 0, None)
    );
    for version in [1, 2, 77] {
        let old = read(version, 40).unwrap();
        assert_eq!((old.peer_epoch, old.version, old.config), (9, 0, None));
    }
    // Longer, but of a version without configuration: taken as it is.
    for version in [-5, 0, 1] {
        for length in 41..=45 {
            let got = read(version, length).unwrap();
            assert_eq!((got.version, got.config), (version, None));
        }
    }
    for version in [2, 3] {
        for length in 41..44 {
            assert_eq!(read(version, length), Err(NotificationError::Short(length)));
        }
        let short = NotificationError::Config {
            declared: 1,
            length: 44,
        };
        assert_eq!(read(version, 44), Err(short));
        let got = read(version, 45).unwrap();
        assert_eq!((got.version, got.config.as_deref()), (version, Some("x")));
    }
    let mut longer = whole(2);
    longer.extend_from_slice(b"behind");
    assert_eq!(
        Notification::read(&longer).unwrap().config.as_deref(),
        Some("x")
    );
    for declared in [-1, i32::MIN, i32::MAX, 2] {
        let mut lies = whole(2);
        lies[40..44].copy_from_slice(&declared.to_be_bytes());
        assert_eq!(
            Notification::read(&lies),
            Err(NotificationError::Config {
                declared,
                length: 45
            })
        );
    }
}

#[test]
fn a_state_without_meaning_is_told_apart() {
    for state in [-1i32, 4, i32::MAX] {
        let mut bytes = hex("00000000 0000000000000001 0000000000000000 0000000000000001");
        bytes[..4].copy_from_slice(&state.to_be_bytes());
        assert_eq!(Notification::read(&bytes).unwrap().state, None);
    }
}

#[test]
fn a_vote_without_configuration_is_that_of_3_4() {
    let mut written = Vec::new();
    Notification {
        config: None,
        ..looking()
    }
    .encode_frame(&mut written);
    assert_eq!(
        written,
        hex(
            "00000028 00000000 0000000000000001 0000000000000000 0000000000000001 0000000000000000
             00000001"
        )
    );
}

#[test]
fn frames_of_absurd_lengths_end_the_connection() {
    for length in [0, -1, MAX_FRAME as i32 + 1, i32::MAX, i32::MIN] {
        let mut decoder = FrameDecoder::new();
        decoder.push(&length.to_be_bytes());
        assert_eq!(decoder.next_frame(), Err(FrameError(length)));
        assert_eq!(decoder.next_frame(), Err(FrameError(length)));
    }
    let mut decoder = FrameDecoder::new();
    decoder.push(&(MAX_FRAME as i32).to_be_bytes());
    decoder.push(&vec![0; MAX_FRAME - 1]);
    assert_eq!(decoder.next_frame(), Ok(None));
    decoder.push(&[0]);
    assert_eq!(decoder.next_frame().unwrap().unwrap().len(), MAX_FRAME);
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = Hello::read(&bytes);
        let _ = Notification::read(&bytes);
        let mut decoder = FrameDecoder::new();
        decoder.push(&bytes);
        while let Ok(Some(body)) = decoder.next_frame() {
            let _ = Notification::read(body);
        }
    }

    #[test]
    fn no_hello_makes_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 1..60)) {
        let mut bytes = hex("ffffffffffff0001 0000000000000005");
        bytes.extend_from_slice(&(text.len() as i32).to_be_bytes());
        bytes.extend_from_slice(&text);
        let _ = Hello::read(&bytes);
    }

    #[test]
    fn frames_are_found_however_they_arrive(
        sizes in proptest::collection::vec(1usize..200, 0..8),
        cuts in proptest::collection::vec(1usize..90, 1..20),
    ) {
        let bodies: Vec<Vec<u8>> = sizes.iter().map(|&n| vec![n as u8; n]).collect();
        let mut stream = Vec::new();
        for body in &bodies {
            stream.extend_from_slice(&(body.len() as i32).to_be_bytes());
            stream.extend_from_slice(body);
        }
        let mut decoder = FrameDecoder::new();
        let mut found = Vec::new();
        let mut cuts = cuts.iter().cycle();
        while !stream.is_empty() {
            let rest = stream.split_off((*cuts.next().unwrap()).min(stream.len()));
            decoder.push(&std::mem::replace(&mut stream, rest));
            while let Some(body) = decoder.next_frame().unwrap() {
                found.push(body.to_vec());
            }
        }
        prop_assert_eq!(found, bodies);
    }
}
