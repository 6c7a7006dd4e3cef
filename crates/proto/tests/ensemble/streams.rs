//! Packets and snapshots in streams that arrive in pieces, lie, or end.

use crate::{CONFIG, hex};
use proptest::prelude::*;
use zooid_proto::Jute;
use zooid_proto::quorum::{
    FromLeader, FromLearner, Limits, PacketDecoder, QuorumPacket, SnapshotDecoder, SnapshotEncoder,
    SnapshotItem, SnapshotStreamError, StreamError, StreamedNode, Touch,
};
use zooid_proto::records::{Acl, Id, StatPersisted};

/// The snapshot of an empty database, 547 bytes.
fn empty_snapshot() -> Vec<u8> {
    let zeros = "00".repeat(60);
    hex(&format!(
        "00000000
         00000001 0000000000000001 00000001 00000001 00000005 'world' 00000006 'anyone'
         00000000 00000000 ffffffffffffffff {zeros}
         0000000a '/zookeeper' 00000000 ffffffffffffffff {zeros}
         00000011 '/zookeeper/config' 0000008a '{CONFIG}' 0000000000000001
         0000000000000000 0000000000000000 0000000000000000 000001a1fc6cc8b2
         ffffffff 00000000 ffffffff 0000000000000000 0000000000000000
         00000010 '/zookeeper/quota' 00000000 ffffffffffffffff {zeros}
         00000001 '/' 0000000a 'BenWasHere'"
    ))
}

/// All items, written again.
fn read_snapshot(
    decoder: &mut SnapshotDecoder,
    paths: &mut Vec<String>,
) -> Result<bool, SnapshotStreamError> {
    while let Some(item) = decoder.next_item()? {
        match item {
            SnapshotItem::End => return Ok(true),
            SnapshotItem::Node(node) => paths.push(node.path.into_owned()),
            SnapshotItem::Session(_) | SnapshotItem::Acl { .. } => {}
        }
    }
    Ok(false)
}

#[test]
fn a_snapshot_of_3_9_5_is_read_byte_by_byte_and_written_again() {
    let bytes = empty_snapshot();
    assert_eq!(bytes.len(), 547);
    let mut stream = bytes.clone();
    stream.extend_from_slice(&hex("0000000a 0000000100000000 ffffffff ffffffff"));

    let mut decoder = SnapshotDecoder::new(Limits::default());
    let mut paths = Vec::new();
    for (index, byte) in stream.iter().enumerate() {
        decoder.push(&[*byte]);
        let done = read_snapshot(&mut decoder, &mut paths).unwrap();
        assert_eq!(done, index == 546, "{index}");
    }
    assert_eq!(
        paths,
        ["", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"]
    );
    assert_eq!(decoder.next_item(), Ok(None));
    let mut packets = PacketDecoder::new(Limits::default());
    packets.push(&decoder.take_rest());
    assert_eq!(
        FromLeader::read(packets.next_packet().unwrap().unwrap()),
        Ok(FromLeader::NewLeader {
            zxid: 1 << 32,
            config: None
        })
    );

    let mut decoder = SnapshotDecoder::new(Limits::default());
    decoder.push(&bytes);
    let (encoder, mut written) = (SnapshotEncoder, Vec::new());
    encoder.sessions(0, &mut written);
    encoder.acls(1, &mut written);
    while let Some(item) = decoder.next_item().unwrap() {
        match item {
            SnapshotItem::Session(session) => encoder.session(session, &mut written),
            SnapshotItem::Acl { id, acl } => encoder.acl(id, &acl, &mut written),
            SnapshotItem::Node(node) => encoder.node(&node, &mut written),
            SnapshotItem::End => encoder.end(&mut written),
        }
    }
    assert_eq!(written, bytes);
}

#[test]
fn a_snapshot_with_another_signature_is_refused() {
    let mut bytes = empty_snapshot();
    *bytes.last_mut().unwrap() = b'E';
    let mut decoder = SnapshotDecoder::new(Limits::default());
    decoder.push(&bytes);
    assert_eq!(
        read_snapshot(&mut decoder, &mut Vec::new()),
        Err(SnapshotStreamError::Signature("BenWasHerE".to_owned()))
    );
}

#[test]
fn lengths_beyond_the_limit_are_refused_before_their_bytes_arrive() {
    assert_eq!(Limits::default().field, 2 * 0xF_FFFF);
    assert_eq!(Limits::new(100, None).field, 1124);
    assert_eq!(Limits::new(100, Some(5000)).field, 5100);
    let limit = Limits::new(100, None).field;
    let front = hex("00000002 0000000100000001");
    for length in [-2, limit as i32 + 1, i32::MAX, i32::MIN] {
        let mut decoder = PacketDecoder::new(Limits::new(100, None));
        decoder.push(&front);
        decoder.push(&length.to_be_bytes());
        let expected = StreamError::Length {
            what: "a body",
            length: i64::from(length),
            limit,
        };
        assert_eq!(decoder.next_packet(), Err(expected));
        assert_eq!(decoder.next_packet(), Err(expected));

        let mut decoder = SnapshotDecoder::new(Limits::new(100, None));
        decoder.push(&hex("00000000 00000000"));
        decoder.push(&length.to_be_bytes());
        assert!(decoder.next_item().is_err(), "{length}");
    }
    let mut decoder = PacketDecoder::new(Limits::new(100, None));
    decoder.push(&front);
    decoder.push(&(limit as i32).to_be_bytes());
    decoder.push(&vec![0; limit]);
    assert_eq!(decoder.next_packet(), Ok(None));
    decoder.push(&[0xFF; 4]);
    assert_eq!(
        decoder.next_packet().unwrap().unwrap().data.unwrap().len(),
        limit
    );
}

/// A list of two thousand million identities is bounded by what arrives, and that by the limit.
#[test]
fn identities_are_bounded_together() {
    let mut decoder = PacketDecoder::new(Limits::new(100, None));
    decoder.push(&hex("00000001 0000000000000000 ffffffff 7fffffff"));
    for arrived in 0..200 {
        match decoder.next_packet() {
            Ok(None) => decoder.push(&hex("00000000 ffffffff")),
            Ok(Some(packet)) => panic!("{packet:?}"),
            Err(StreamError::Length { what, limit, .. }) => {
                assert_eq!((what, limit), ("identities", 1124));
                assert_eq!(arrived, 1124 / 8 + 1);
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no limit");
}

#[test]
fn a_negative_count_of_identities_is_an_empty_list() {
    let mut decoder = PacketDecoder::new(Limits::default());
    decoder.push(&hex("00000001 0000000000000000 ffffffff fffffffe 0000"));
    let packet = decoder.next_packet().unwrap().unwrap();
    assert_eq!(packet.authinfo, Some(vec![]));
    assert_eq!(decoder.buffered(), 2);
}

#[test]
fn what_follows_snap_is_handed_over() {
    let mut stream = Vec::new();
    FromLeader::Snap { zxid: 9 }.encode(&mut stream);
    stream.extend_from_slice(&empty_snapshot()[..100]);
    let mut decoder = PacketDecoder::new(Limits::default());
    decoder.push(&stream);
    let packet = decoder.next_packet().unwrap().unwrap();
    assert_eq!(FromLeader::read(packet), Ok(FromLeader::Snap { zxid: 9 }));
    assert_eq!(decoder.take_rest(), &empty_snapshot()[..100]);
    assert_eq!(decoder.buffered(), 0);
    stream.clear();
    FromLeader::UpToDate.encode(&mut stream);
    decoder.push(&stream);
    assert!(decoder.next_packet().unwrap().is_some());
}

fn packet() -> impl Strategy<Value = QuorumPacket<'static>> {
    let data = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60));
    let text = || proptest::option::of("[a-z:]{0,6}");
    let ids = proptest::collection::vec((text(), text()), 0..4);
    let kind = prop_oneof![1..=19i32, any::<i32>()];
    (kind, any::<i64>(), data, proptest::option::of(ids)).prop_map(|(kind, zxid, data, ids)| {
        QuorumPacket {
            kind,
            zxid,
            data: data.map(Into::into),
            authinfo: ids.map(|ids| {
                ids.into_iter()
                    .map(|(scheme, id)| Id {
                        scheme: scheme.map(Into::into),
                        id: id.map(Into::into),
                    })
                    .collect()
            }),
        }
    })
}

/// Hands `stream` over in pieces; returns what was found until an error or the end.
fn pieces(stream: &[u8], cuts: &[usize]) -> Vec<QuorumPacket<'static>> {
    let mut decoder = PacketDecoder::new(Limits::new(200, None));
    let mut found = Vec::new();
    let mut rest = stream;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*cut).min(rest.len()));
        rest = behind;
        decoder.push(piece);
        loop {
            match decoder.next_packet() {
                Ok(Some(packet)) => found.push(packet.into_owned()),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

proptest! {
    #[test]
    fn packets_are_found_however_they_arrive(
        packets in proptest::collection::vec(packet(), 0..6),
        cuts in proptest::collection::vec(1usize..40, 1..20),
    ) {
        let mut stream = Vec::new();
        for packet in &packets {
            packet.write(&mut zooid_proto::Writer::wire(&mut stream));
        }
        prop_assert_eq!(pieces(&stream, &cuts), packets);
    }

    #[test]
    fn damaged_packets_never_panic_and_pieces_change_nothing(
        packets in proptest::collection::vec(packet(), 1..6),
        cuts in proptest::collection::vec(1usize..40, 1..20),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut stream = Vec::new();
        for packet in &packets {
            packet.write(&mut zooid_proto::Writer::wire(&mut stream));
        }
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        stream.truncate(keep.index(stream.len() + 1));
        let whole = pieces(&stream, &[stream.len().max(1)]);
        prop_assert_eq!(&pieces(&stream, &cuts), &whole);
        for packet in whole {
            // What reads as something writes as that again.
            if let Ok(read) = FromLearner::read(packet.clone())
                && !matches!(read, FromLearner::Other { .. })
                && !matches!(read, FromLearner::Info { info, .. } if info.sid.is_none())
            {
                let mut written = Vec::new();
                read.encode(&mut written);
                let again = FromLearner::read(QuorumPacket::from_bytes(&written).unwrap());
                prop_assert_eq!(again, Ok(read));
            }
            if let Ok(read) = FromLeader::read(packet)
                && !matches!(read, FromLeader::Other { .. })
            {
                let mut written = Vec::new();
                read.encode(&mut written);
                let again = FromLeader::read(QuorumPacket::from_bytes(&written).unwrap());
                prop_assert_eq!(again, Ok(read));
            }
        }
    }

    #[test]
    fn damaged_snapshots_never_panic(
        cuts in proptest::collection::vec(1usize..100, 1..20),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut stream = Vec::new();
        let encoder = SnapshotEncoder;
        encoder.sessions(2, &mut stream);
        for session_id in [1, 2] {
            encoder.session(Touch { session_id, timeout_ms: 5 }, &mut stream);
        }
        encoder.acls(1, &mut stream);
        encoder.acl(1, &[Acl::new(31, "world", "anyone"), Acl::new(1, "ip", "::")], &mut stream);
        for path in ["", "/a", "/a/b"] {
            let node = StreamedNode {
                path: path.into(),
                data: None,
                acl_id: 1,
                stat: StatPersisted::default(),
            };
            encoder.node(&node, &mut stream);
        }
        encoder.end(&mut stream);
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let read = |cuts: &[usize]| {
            let mut decoder = SnapshotDecoder::new(Limits::new(200, None));
            let mut paths = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                rest = behind;
                decoder.push(piece);
                match read_snapshot(&mut decoder, &mut paths) {
                    Ok(true) => return (paths, Some(true)),
                    Ok(false) if rest.is_empty() => return (paths, Some(false)),
                    Ok(false) => {}
                    Err(_) => return (paths, None),
                }
            }
            unreachable!("cuts are not empty")
        };
        prop_assert_eq!(read(&cuts), read(&[stream.len()]));
    }
}
