//! Whole conversations of an ensemble of 3.9.5, see `testdata/README.md`: everything reads as
//! something, and writes again as the bytes that it was.

use crate::hex;
use zooid_proto::members::Membership;
use zooid_proto::quorum::{
    FromLeader, FromLearner, Limits, PacketDecoder, SnapshotDecoder, SnapshotEncoder, SnapshotItem,
    kind,
};
use zooid_proto::txn::{LogEntry, Txn};
use zooid_proto::vote::{FrameDecoder, Hello, Notification, PeerState};

macro_rules! recorded {
    ($name:literal) => {
        hex(include_str!(concat!(
            "../../testdata/quorum/",
            $name,
            ".hex"
        )))
    };
}

/// The kinds of packets that a learner said, in order.
fn learner(bytes: &[u8]) -> Vec<i32> {
    let mut decoder = PacketDecoder::new(Limits::default());
    decoder.push(bytes);
    let (mut kinds, mut written) = (Vec::new(), Vec::new());
    while let Some(packet) = decoder.next_packet().unwrap() {
        let read = FromLearner::read(packet).unwrap();
        kinds.push(read.kind());
        // Java sends the touches of no session as an empty body, and so does this.
        read.encode(&mut written);
    }
    assert_eq!(decoder.buffered(), 0);
    assert!(written == bytes, "{kinds:?}");
    kinds
}

/// The kinds of packets that a leader said, with the paths of the snapshot among them.
fn leader(bytes: &[u8]) -> (Vec<i32>, Vec<String>, Vec<Txn<'static>>) {
    let mut decoder = PacketDecoder::new(Limits::default());
    decoder.push(bytes);
    let (mut kinds, mut paths, mut txns) = (Vec::new(), Vec::new(), Vec::new());
    let mut written = Vec::new();
    while let Some(packet) = decoder.next_packet().unwrap() {
        let read = FromLeader::read(packet).unwrap();
        kinds.push(read.kind());
        read.encode(&mut written);
        match &read {
            FromLeader::Proposal { zxid, txn } | FromLeader::Inform { zxid, txn } => {
                let entry = LogEntry::decode(txn).unwrap();
                assert_eq!(entry.header.zxid, *zxid);
                let mut again = Vec::new();
                entry.encode(&mut again);
                assert_eq!(again, &txn[..]);
                txns.push(entry.txn.into_owned());
            }
            FromLeader::NewLeader { config, .. } => {
                let text = config.as_deref().expect("3.9.5 sends one");
                let members = Membership::parse(text, false).unwrap();
                assert_eq!(members.to_string(), text);
                assert_eq!((members.participants(), members.observers()), (2, 1));
            }
            FromLeader::Snap { .. } => {
                let mut snapshot = SnapshotDecoder::new(Limits::default());
                snapshot.push(&decoder.take_rest());
                paths = snapshot_paths(&mut snapshot, &mut written);
                decoder.push(&snapshot.take_rest());
            }
            _ => {}
        }
    }
    assert_eq!(decoder.buffered(), 0);
    assert!(written == bytes, "{kinds:?}");
    (kinds, paths, txns)
}

/// Paths of a snapshot, which is written to `out` again.
fn snapshot_paths(decoder: &mut SnapshotDecoder, out: &mut Vec<u8>) -> Vec<String> {
    let (mut sessions, mut acls, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut session_count, mut acl_count) = (0, 0);
    let mut paths = Vec::new();
    let encoder = SnapshotEncoder;
    loop {
        match decoder.next_item().unwrap().expect("the whole snapshot") {
            SnapshotItem::Session(session) => {
                session_count += 1;
                encoder.session(session, &mut sessions);
            }
            SnapshotItem::Acl { id, acl } => {
                acl_count += 1;
                encoder.acl(id, &acl, &mut acls);
            }
            SnapshotItem::Node(node) => {
                encoder.node(&node, &mut nodes);
                paths.push(node.path.into_owned());
            }
            SnapshotItem::End => break,
        }
    }
    encoder.sessions(session_count, out);
    out.append(&mut sessions);
    encoder.acls(acl_count, out);
    out.append(&mut acls);
    out.append(&mut nodes);
    encoder.end(out);
    paths
}

#[test]
fn a_follower_and_its_leader() {
    let said = learner(&recorded!("follower-to-leader"));
    assert_eq!(said[..3], [kind::FOLLOWER_INFO, kind::ACK_EPOCH, kind::ACK]);
    let requests = said.iter().filter(|&&kind| kind == kind::REQUEST).count();
    let (heard, paths, txns) = leader(&recorded!("leader-to-follower"));
    assert_eq!(
        heard[..4],
        [
            kind::LEADER_INFO,
            kind::DIFF,
            kind::NEW_LEADER,
            kind::UP_TO_DATE
        ]
    );
    assert!(paths.is_empty());
    // One sync among the requests, and every other one comes back as a transaction; the second
    // client's, at the observer, come as well.
    let count = |kind| heard.iter().filter(|&&k| k == kind).count();
    assert_eq!(count(kind::SYNC), 1);
    assert_eq!(count(kind::PROPOSAL), count(kind::COMMIT));
    assert!(count(kind::PROPOSAL) >= requests - 1 && requests > 8);
    assert!(
        txns.iter()
            .any(|txn| matches!(txn, Txn::Error { err: -110 }))
    );
    assert!(txns.contains(&Txn::CloseSession {
        paths: Some(vec![Some("/e".into())])
    }));
}

#[test]
fn an_observer_and_its_leader() {
    let said = learner(&recorded!("observer-to-leader"));
    assert_eq!(said[..3], [kind::OBSERVER_INFO, kind::ACK_EPOCH, kind::ACK]);
    let (heard, paths, txns) = leader(&recorded!("leader-to-observer"));
    assert_eq!(
        heard[..4],
        [
            kind::LEADER_INFO,
            kind::SNAP,
            kind::NEW_LEADER,
            kind::UP_TO_DATE
        ]
    );
    assert!(paths.iter().any(|path| path == "/a") && paths[0].is_empty());
    assert!(heard[4..].contains(&kind::INFORM));
    let sequential = |txn: &Txn<'_>| txn.path().is_some_and(|path| path.starts_with("/s00"));
    assert!(txns.iter().any(sequential));
}

#[test]
fn an_election_connection() {
    let opener = recorded!("election-opener");
    let (hello, end) = Hello::read(&opener).unwrap().unwrap();
    assert_eq!(hello.addresses.len(), 1);
    let mut written = Vec::new();
    hello.encode(false, &mut written);
    assert_eq!(written, opener[..end]);
    for frames in [&opener[end..], &recorded!("election-acceptor")] {
        let mut decoder = FrameDecoder::new();
        decoder.push(frames);
        let mut written = Vec::new();
        while let Some(body) = decoder.next_frame().unwrap() {
            let vote = Notification::read(body).unwrap();
            assert!(vote.version == 2 && vote.state != Some(PeerState::Observing));
            let text = vote.config.as_deref().unwrap();
            assert_eq!(Membership::parse(text, false).unwrap().to_string(), text);
            vote.encode_frame(&mut written);
        }
        assert!(!frames.is_empty() && written == frames);
    }
}
