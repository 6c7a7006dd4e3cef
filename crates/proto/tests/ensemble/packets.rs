//! Packets of the quorum port, one by one.

use crate::{CONFIG, hex};
use zooid_proto::Jute;
use zooid_proto::quorum::{
    BodyError, ForwardedRequest, FromLeader, FromLearner, LearnerInfo, QuorumPacket, Touch, kind,
};
use zooid_proto::records::Id;
use zooid_proto::txn::{LogEntry, Txn};

/// The packet of `text` reads as `expected`, and `expected` writes the same bytes.
fn learner(text: &str, expected: &FromLearner<'_>) {
    let bytes = hex(text);
    let packet = QuorumPacket::from_bytes(&bytes).unwrap();
    assert_eq!(packet.kind, expected.kind());
    assert_eq!(FromLearner::read(packet.clone()).as_ref(), Ok(expected));
    // Owned bodies take another way.
    assert_eq!(
        FromLearner::read(packet.into_owned()).map(FromLearner::into_owned),
        Ok(expected.clone().into_owned())
    );
    let mut written = Vec::new();
    expected.encode(&mut written);
    assert_eq!(written, bytes);
}

fn leader(text: &str, expected: &FromLeader<'_>) {
    let bytes = hex(text);
    let packet = QuorumPacket::from_bytes(&bytes).unwrap();
    assert_eq!(packet.kind, expected.kind());
    assert_eq!(FromLeader::read(packet.clone()).as_ref(), Ok(expected));
    assert_eq!(
        FromLeader::read(packet.into_owned()).map(FromLeader::into_owned),
        Ok(expected.clone().into_owned())
    );
    let mut written = Vec::new();
    expected.encode(&mut written);
    assert_eq!(written, bytes);
}

/// A PROPOSAL whose transaction is decoded and written again, too.
fn proposal(text: &str) -> LogEntry<'static> {
    let bytes = hex(text);
    let FromLeader::Proposal { zxid, txn } =
        FromLeader::read(QuorumPacket::from_bytes(&bytes).unwrap()).unwrap()
    else {
        panic!("a proposal")
    };
    leader(
        text,
        &FromLeader::Proposal {
            zxid,
            txn: txn.clone(),
        },
    );
    let entry = LogEntry::decode(&txn).unwrap();
    assert_eq!(entry.header.zxid, zxid);
    let mut written = Vec::new();
    entry.encode(&mut written);
    assert_eq!(written, &txn[..]);
    LogEntry {
        header: entry.header,
        txn: entry.txn.into_owned(),
        digest: entry.digest,
    }
}

#[test]
fn handshake_with_an_empty_diff() {
    learner(
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
        &FromLearner::Info {
            observer: false,
            accepted_epoch: 0,
            info: LearnerInfo::new(1, 0),
        },
    );
    leader(
        "00000011 0000000100000000 00000004 00010000 ffffffff",
        &FromLeader::LeaderInfo {
            epoch: 1,
            protocol_version: 0x10000,
        },
    );
    learner(
        "00000012 0000000000000000 00000004 00000000 ffffffff",
        &FromLearner::AckEpoch {
            last_zxid: 0,
            current_epoch: Some(0),
        },
    );
    learner(
        "00000012 0000000200000003 00000004 ffffffff ffffffff",
        &FromLearner::AckEpoch {
            last_zxid: 0x2_0000_0003,
            current_epoch: None,
        },
    );
    leader(
        "0000000d 0000000000000000 ffffffff ffffffff",
        &FromLeader::Diff { zxid: 0 },
    );
    leader(
        &format!("0000000a 0000000100000000 0000008a '{CONFIG}' ffffffff"),
        &FromLeader::NewLeader {
            zxid: 1 << 32,
            config: Some(CONFIG.into()),
        },
    );
    learner(
        "00000003 0000000100000000 ffffffff ffffffff",
        &FromLearner::Ack { zxid: 1 << 32 },
    );
    leader(
        "0000000c ffffffffffffffff ffffffff ffffffff",
        &FromLeader::UpToDate,
    );
    leader(
        "00000005 0000000100000000 ffffffff ffffffff",
        &FromLeader::Ping { zxid: 1 << 32 },
    );
    learner(
        "00000005 0000000100000000 00000000 ffffffff",
        &FromLearner::Ping {
            zxid: 1 << 32,
            touched: vec![],
        },
    );
    learner(
        "00000010 0000000000000000 00000014 0000000000000004 00010000 0000000100000000 ffffffff",
        &FromLearner::Info {
            observer: true,
            accepted_epoch: 0,
            info: LearnerInfo::new(4, 1 << 32),
        },
    );
}

#[test]
fn diff_with_proposals() {
    leader(
        "0000000d 0000000200000004 ffffffff ffffffff",
        &FromLeader::Diff {
            zxid: 0x2_0000_0004,
        },
    );
    let entry = proposal(
        "00000002 0000000200000001 00000030
         0300001d887b0000 00000000 0000000200000001 000001a1fc6fabf0 fffffff6
         00004e20  00000002 00000000b5ffde3e  ffffffff",
    );
    assert_eq!(entry.txn, Txn::CreateSession { timeout_ms: 20_000 });
    assert_eq!(entry.digest.unwrap().tree_digest, 0xb5ff_de3e);
    let entry = proposal(
        "00000002 0000000200000002 00000058
         0300001d887b0000 00000001 0000000200000002 000001a1fc6fac2f 00000001
         00000003 2f7431  00000001 31
         00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65  00 00000003
         00000002 0000000147dcf0ee ffffffff",
    );
    let Txn::Create(create) = entry.txn else {
        panic!("a create")
    };
    assert_eq!((&*create.path, create.parent_cversion), ("/t1", 3));
    leader(
        "00000004 0000000200000001 ffffffff ffffffff",
        &FromLeader::Commit {
            zxid: 0x2_0000_0001,
        },
    );
}

#[test]
fn trunc_and_snap() {
    leader(
        "0000000e 0000000300000003 ffffffff ffffffff",
        &FromLeader::Trunc {
            zxid: 0x3_0000_0003,
        },
    );
    leader(
        "0000000f 0000000100000000 ffffffff ffffffff",
        &FromLeader::Snap { zxid: 1 << 32 },
    );
}

#[test]
fn broadcast() {
    let session_id = 0x0100_001b_5789_0000;
    let other = 0x0200_001b_57a0_0000;
    let authinfo = Some(vec![Id {
        scheme: Some("ip".into()),
        id: Some("127.0.0.1".into()),
    }]);
    learner(
        "00000001 ffffffffffffffff 00000014 0100001b57890000 00000000 fffffff6 00002710 ffffffff",
        &FromLearner::Request(ForwardedRequest {
            session_id,
            cxid: 0,
            op: -10,
            body: 10_000i32.to_be_bytes().to_vec().into(),
            authinfo: None,
        }),
    );
    let create = "00000002 2f61 00000005 68656c6c6f
                  00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000000";
    learner(
        &format!(
            "00000001 ffffffffffffffff 0000003e 0100001b57890000 00000001 00000001 {create}
             00000001 00000002 6970 00000009 3132372e302e302e31"
        ),
        &FromLearner::Request(ForwardedRequest {
            session_id,
            cxid: 1,
            op: 1,
            body: hex(create).into(),
            authinfo: authinfo.clone(),
        }),
    );
    learner(
        "00000001 ffffffffffffffff 00000016 0100001b57890000 00000002 00000009 00000002 2f61
         00000001 00000002 6970 00000009 3132372e302e302e31",
        &FromLearner::Request(ForwardedRequest {
            session_id,
            cxid: 2,
            op: 9,
            body: hex("00000002 2f61").into(),
            authinfo,
        }),
    );
    leader(
        "00000007 0000000000000000 ffffffff ffffffff",
        &FromLeader::Sync,
    );
    let refused = proposal(
        "00000002 0000000100000003 00000024
         0100001b57890000 00000003 0000000100000003 000001a1fc6d6450 ffffffff ffffff92 ffffffff",
    );
    assert_eq!(
        (refused.txn, refused.digest),
        (Txn::Error { err: -110 }, None)
    );
    proposal(
        "00000002 0000000100000006 0000003f
         0200001b57a00000 00000001 0000000100000006 000001a1fc6d6473 00000005
         00000002 2f61 00000005 776f726c64 00000001  00000002 0000000250168e27 ffffffff",
    );
    let closed = proposal(
        "00000002 0000000100000008 00000036
         0100001b57890000 00000002 0000000100000008 000001a1fc6d782c fffffff5
         00000001 00000002 2f65  00000002 00000000b5ffde3e ffffffff",
    );
    assert_eq!(
        closed.txn,
        Txn::CloseSession {
            paths: Some(vec![Some("/e".into())])
        }
    );
    let touch = |session_id| Touch {
        session_id,
        timeout_ms: 10_000,
    };
    learner(
        "00000005 0000000100000006 00000018 0100001b57890000 00002710 0200001b57a00000 00002710
         ffffffff",
        &FromLearner::Ping {
            zxid: 0x1_0000_0006,
            touched: vec![touch(session_id), touch(other)],
        },
    );
    learner(
        "00000006 ffffffffffffffff 0000000c 0100001b57890000 00002710 ffffffff",
        &FromLearner::Revalidate(touch(session_id)),
    );
    leader(
        "00000006 ffffffffffffffff 00000009 0100001b57890000 01 ffffffff",
        &FromLeader::Revalidated {
            session_id,
            valid: true,
        },
    );
}

#[test]
fn observer_and_reconfig() {
    let set = "0400002183440000 00000004 0000000100000004 000001a1fc742af6 00000005
               00000004 2f6f6273 00000001 78 00000001  00000002 0000000218e1ca53";
    leader(
        &format!("00000008 0000000100000004 0000003d {set} ffffffff"),
        &FromLeader::Inform {
            zxid: 0x1_0000_0004,
            txn: hex(set).into(),
        },
    );
    leader(
        "00000009 0000000100000007 00000008 0000000000000001 ffffffff",
        &FromLeader::CommitAndActivate {
            zxid: 0x1_0000_0007,
            designated_leader: 1,
        },
    );
    let config = "x".repeat(250);
    let reconfig = format!(
        "010000216f520000 00000001 0000000100000007 000001a1fc743f22 00000010
         00000011 2f7a6f6f6b65657065722f636f6e666967 000000fa '{config}' ffffffff
         00000002 0000000218e1ca53"
    );
    let txn = hex(&reconfig);
    let Txn::Reconfig(set) = LogEntry::decode(&txn).unwrap().txn else {
        panic!("a reconfig")
    };
    assert_eq!((set.version, set.data.unwrap().len()), (-1, 250));
    leader(
        &format!("00000013 0000000100000007 0000014b 0000000000000001 {reconfig} ffffffff"),
        &FromLeader::InformAndActivate {
            zxid: 0x1_0000_0007,
            designated_leader: 1,
            txn: txn.clone().into(),
        },
    );
}

fn packet(kind: i32, data: Option<&[u8]>) -> QuorumPacket<'_> {
    QuorumPacket {
        kind,
        zxid: 5 << 32,
        data: data.map(Into::into),
        authinfo: None,
    }
}

#[test]
fn older_learners_say_less_of_themselves() {
    let whole = hex("0000000000000007 00010000 0000000000000009");
    let info = |length: Option<usize>| {
        let packet = packet(kind::FOLLOWER_INFO, length.map(|n| &whole[..n]));
        match FromLearner::read(packet) {
            Ok(FromLearner::Info {
                observer: false,
                accepted_epoch: 5,
                info,
            }) => (info.sid, info.protocol_version, info.config_version),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(info(None), (None, 1, None));
    assert_eq!(info(Some(7)), (Some(0), 1, None));
    assert_eq!(info(Some(8)), (Some(7), 1, None));
    assert_eq!(info(Some(11)), (Some(7), 1, None));
    assert_eq!(info(Some(12)), (Some(7), 0x10000, None));
    assert_eq!(info(Some(19)), (Some(7), 0x10000, None));
    assert_eq!(info(Some(20)), (Some(7), 0x10000, Some(9)));
}

#[test]
fn null_and_empty_bodies_are_one() {
    for data in [None, Some(&[][..])] {
        let newleader = packet(kind::NEW_LEADER, data);
        assert_eq!(
            FromLeader::read(newleader),
            Ok(FromLeader::NewLeader {
                zxid: 5 << 32,
                config: None
            })
        );
        let ping = packet(kind::PING, data);
        assert_eq!(
            FromLearner::read(ping.clone()),
            Ok(FromLearner::Ping {
                zxid: 5 << 32,
                touched: vec![]
            })
        );
        assert_eq!(
            FromLeader::read(ping),
            Ok(FromLeader::Ping { zxid: 5 << 32 })
        );
        let ack = packet(kind::ACK, data);
        assert_eq!(
            FromLearner::read(ack),
            Ok(FromLearner::Ack { zxid: 5 << 32 })
        );
    }
    // One byte is no configuration either.
    assert!(matches!(
        FromLeader::read(packet(kind::NEW_LEADER, Some(b"x"))),
        Ok(FromLeader::NewLeader { config: None, .. })
    ));
}

#[test]
fn short_bodies_are_refused_and_long_ones_are_not() {
    let body = [0; 64];
    let learner = [
        (kind::ACK_EPOCH, 4),
        (kind::REVALIDATE, 12),
        (kind::REQUEST, 16),
    ];
    let leader = [
        (kind::LEADER_INFO, 4),
        (kind::COMMIT_AND_ACTIVATE, 8),
        (kind::INFORM_AND_ACTIVATE, 8),
        (kind::REVALIDATE, 9),
    ];
    let expected = |kind, wanted, length| BodyError {
        kind,
        length,
        wanted,
    };
    for (kind, wanted) in learner {
        for length in 0..wanted {
            let error = FromLearner::read(packet(kind, Some(&body[..length]))).unwrap_err();
            assert_eq!(error, expected(kind, wanted, length));
        }
        assert!(FromLearner::read(packet(kind, None)).is_err());
        assert!(FromLearner::read(packet(kind, Some(&body[..wanted]))).is_ok());
        assert!(FromLearner::read(packet(kind, Some(&body))).is_ok());
    }
    for (kind, wanted) in leader {
        for length in 0..wanted {
            let error = FromLeader::read(packet(kind, Some(&body[..length]))).unwrap_err();
            assert_eq!(error, expected(kind, wanted, length));
        }
        assert!(FromLeader::read(packet(kind, None)).is_err());
        assert!(FromLeader::read(packet(kind, Some(&body[..wanted]))).is_ok());
        assert!(FromLeader::read(packet(kind, Some(&body))).is_ok());
    }
    assert!(FromLearner::read(packet(kind::PING, Some(&body[..24]))).is_ok());
    assert_eq!(
        FromLearner::read(packet(kind::PING, Some(&body[..25]))),
        Err(expected(kind::PING, 36, 25))
    );
}

#[test]
fn kinds_of_the_other_direction_are_other() {
    for kind in [
        kind::PROPOSAL,
        kind::COMMIT,
        kind::UP_TO_DATE,
        kind::SNAP,
        0,
        20,
        -1,
    ] {
        assert_eq!(
            FromLearner::read(packet(kind, None)),
            Ok(FromLearner::Other { kind })
        );
    }
    for kind in [
        kind::REQUEST,
        kind::ACK,
        kind::FOLLOWER_INFO,
        kind::ACK_EPOCH,
        0,
        20,
    ] {
        assert_eq!(
            FromLeader::read(packet(kind, None)),
            Ok(FromLeader::Other { kind })
        );
    }
}
