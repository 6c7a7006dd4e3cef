//! Packets byte by byte as 3.9.5 sends and expects them, from the side of a follower.

use zooid_zab::{ConnId, DiskOp, Effect, Forwarded, Input, Role};

use crate::bench::{
    Bench, SIGNATURE, UPTODATE, ack, bare, boot, commit, hex, newleader, proposal, unhex,
};
use crate::world::{self, txn};

#[test]
fn a_follower_of_an_empty_ensemble() {
    // 19.2
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[]));
    assert_eq!(
        bench.take(conn),
        bare(
            "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff"
        )
    );
    bench.give(conn, "00000011 0000000100000000 00000004 00010000 ffffffff");
    assert_eq!(
        bench.take(conn),
        bare("00000012 0000000000000000 00000004 00000000 ffffffff")
    );
    bench.give(conn, "0000000d 0000000000000000 ffffffff ffffffff");
    bench.give(conn, &newleader(0x1_0000_0000));
    assert_eq!(bench.take(conn), ack(0x1_0000_0000));
    bench.give(conn, UPTODATE);
    assert_eq!(bench.take(conn), ack(0x1_0000_0000));
    bench.give(conn, "00000005 0000000100000000 ffffffff ffffffff");
    assert_eq!(
        bench.take(conn),
        bare("00000005 0000000100000000 00000000 ffffffff")
    );
    assert!(matches!(
        bench.role(),
        Role::Following {
            leader: 2,
            epoch: 1,
            serving: true
        }
    ));
    assert_eq!(
        bench.disk(),
        [DiskOp::AcceptedEpoch(1), DiskOp::CurrentEpoch(1)]
    );
}

#[test]
fn a_follower_that_had_accepted_the_epoch() {
    let mut boot = boot(1, 3, &[(0x2_0000_0001, 0x2_0000_0003)]);
    boot.current_epoch = 2;
    let (mut bench, conn) = Bench::follow(boot);
    bench.take(conn);
    bench.give(conn, "00000011 0000000200000000 00000004 00010000 ffffffff");
    assert_eq!(
        bench.take(conn),
        bare("00000012 0000000200000003 00000004 ffffffff ffffffff")
    );
}

#[test]
fn a_follower_gets_what_it_lacks() {
    // 19.3, with all of its promises on a slow disk.
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0009)]));
    bench.hold = true;
    bench.take(conn);
    bench.give(conn, "00000011 0000000300000000 00000004 00010000 ffffffff");
    assert_eq!(bench.take(conn), "", "a promise waits for the disk");
    bench.release();
    assert_eq!(
        bench.take(conn),
        bare("00000012 0000000100000009 00000004 00000001 ffffffff")
    );
    bench.give(conn, "0000000d 0000000200000004 ffffffff ffffffff");
    bench.give(
        conn,
        "00000002 0000000200000001 00000030
         0300001d887b0000 00000000 0000000200000001 000001a1fc6fabf0 fffffff6
         00004e20  00000002 00000000b5ffde3e  ffffffff
         00000004 0000000200000001 ffffffff ffffffff",
    );
    bench.give(
        conn,
        "00000002 0000000200000002 00000058
         0300001d887b0000 00000001 0000000200000002 000001a1fc6fac2f 00000001
         00000003 2f7431  00000001 31  00000001 0000001f 00000005 776f726c64
         00000006 616e796f6e65  00 00000003
         00000002 0000000147dcf0ee ffffffff
         00000004 0000000200000002 ffffffff ffffffff",
    );
    bench.give(conn, &newleader(0x3_0000_0000));
    // ZOOKEEPER-4643, 4646, 4785: the history first, then the epoch, then the word.
    assert_eq!(bench.take(conn), "", "ACK of NEWLEADER waits for the disk");
    let ops: Vec<String> = bench.disk().iter().map(|op| format!("{op:?}")).collect();
    assert!(ops[1].starts_with("Append") && ops[2].starts_with("Append"));
    assert_eq!(ops[3], "CurrentEpoch(3)");
    assert_eq!(ops.len(), 4);
    bench.release();
    assert_eq!(bench.take(conn), ack(0x3_0000_0000));
    bench.give(conn, UPTODATE);
    assert_eq!(bench.take(conn), ack(0x3_0000_0000));
    assert_eq!(bench.applied(), [0x2_0000_0001, 0x2_0000_0002]);
}

#[test]
fn a_follower_goes_back() {
    // 19.4
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[(0x3_0000_0001, 0x3_0000_0005)]));
    bench.take(conn);
    bench.give(conn, "00000011 0000000400000000 00000004 00010000 ffffffff");
    assert_eq!(
        bench.take(conn),
        bare("00000012 0000000300000005 00000004 00000003 ffffffff")
    );
    bench.hold = true;
    bench.give(conn, "0000000e 0000000300000003 ffffffff ffffffff");
    bench.give(conn, &newleader(0x4_0000_0000));
    assert_eq!(bench.disk().len(), 2, "nothing overtakes the cut");
    bench.hold = false;
    bench.release();
    assert_eq!(bench.take(conn), ack(0x4_0000_0000));
    assert_eq!(bench.peer.status().last_proposed, 0x3_0000_0003);
}

/// 19.5, the stream behind the packet, of an empty database.
fn empty_state() -> String {
    let zeros = "00".repeat(60);
    let config = world::config(3, 0, 0);
    bare(&format!(
        "00000000
         00000001 0000000000000001 00000001 00000001 00000005 776f726c64 00000006 616e796f6e65
         00000000 00000000 ffffffffffffffff {zeros}
         0000000a 2f7a6f6f6b6565706572 00000000 ffffffffffffffff {zeros}
         00000011 2f7a6f6f6b65657065722f636f6e666967 {:08x} {} 0000000000000001
         0000000000000000 0000000000000000 0000000000000000 000001a1fc6cc8b2
         ffffffff 00000000 ffffffff 0000000000000000 0000000000000000
         00000010 2f7a6f6f6b65657065722f71756f7461 00000000 ffffffffffffffff {zeros}
         00000001 2f",
        config.len(),
        hex(config.as_bytes())
    ))
}

#[test]
fn a_follower_gets_the_whole_state_however_it_is_cut() {
    // 19.5
    for cut in [1, 2, 7, 100, 546, 100_000] {
        let (mut bench, conn) = Bench::follow(boot(1, 3, &[]));
        bench.give(conn, "00000011 0000000200000000 00000004 00010000 ffffffff");
        bench.take(conn);
        let stream = format!(
            "0000000f0000000100000000ffffffffffffffff{}{SIGNATURE}{}",
            empty_state(),
            newleader(0x2_0000_0000)
        );
        for part in unhex(&stream).chunks(cut) {
            bench.input(Input::Received { conn, bytes: part });
        }
        let passed: Vec<u8> = bench
            .done
            .iter()
            .filter_map(|effect| match effect {
                Effect::SnapshotBytes(bytes) => Some(bytes.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        let whole = empty_state() + SIGNATURE;
        assert_eq!(hex(&passed), whole, "in parts of {cut}");
        assert_eq!(bench.take(conn), ack(0x2_0000_0000));
        assert_eq!(
            bench.disk(),
            [
                DiskOp::AcceptedEpoch(2),
                DiskOp::InstallSnapshot {
                    zxid: 0x1_0000_0000
                },
                DiskOp::CurrentEpoch(2)
            ]
        );
    }
}

#[test]
fn a_state_with_another_signature_is_not_taken() {
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[]));
    bench.give(conn, "00000011 0000000200000000 00000004 00010000 ffffffff");
    let state = empty_state();
    bench.give(
        conn,
        &format!("0000000f0000000100000000ffffffffffffffff{state}"),
    );
    bench.give(conn, "0000000a42656e57617348656666");
    assert!(bench.done.contains(&Effect::SnapshotAbort));
    assert!(bench.closed(conn));
    assert!(
        !bench
            .disk()
            .iter()
            .any(|op| matches!(op, DiskOp::InstallSnapshot { .. }))
    );
}

#[test]
fn a_state_that_breaks_off_leaves_nothing() {
    // ZOOKEEPER-3642
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0002)]));
    bench.give(conn, "00000011 0000000200000000 00000004 00010000 ffffffff");
    let state = empty_state();
    bench.give(
        conn,
        &format!("0000000f0000000100000009ffffffffffffffff{}", &state[..400]),
    );
    bench.input(Input::Closed { conn });
    assert!(bench.done.contains(&Effect::SnapshotAbort));
    assert_eq!(bench.role(), Role::Looking);
    assert_eq!(bench.peer.status().last_zxid, 0x1_0000_0002);
}

#[test]
fn broadcast_as_a_follower_sees_it() {
    // 19.6
    let (mut bench, conn) = live_follower();
    bench.input(Input::Forward(Forwarded {
        session: 0x0100_001b_5789_0000,
        cxid: 0,
        op: -10,
        body: 10_000i32.to_be_bytes().to_vec(),
        identities: Vec::new(),
    }));
    assert_eq!(
        bench.take(conn),
        bare(
            "00000001 ffffffffffffffff 00000014 0100001b57890000 00000000 fffffff6 00002710 ffffffff"
        )
    );
    bench.hold = true;
    bench.give(
        conn,
        "00000002 0000000100000001 00000030
         0100001b57890000 00000000 0000000100000001 000001a1fc6d641b fffffff6 00002710
         00000002 0000000051c6d660 ffffffff",
    );
    assert_eq!(bench.take(conn), "", "ACK waits for the disk");
    bench.give(conn, &commit(0x1_0000_0001));
    assert_eq!(bench.applied(), [0x1_0000_0001], "COMMIT does not");
    bench.hold = false;
    bench.release();
    assert_eq!(bench.take(conn), ack(0x1_0000_0001));
    let client = || vec![("ip".to_owned(), "127.0.0.1".to_owned())];
    bench.input(Input::Forward(Forwarded {
        session: 0x0100_001b_5789_0000,
        cxid: 1,
        op: 1,
        body: unhex(
            "00000002 2f61 00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64
             00000006 616e796f6e65 00000000",
        ),
        identities: client(),
    }));
    assert_eq!(
        bench.take(conn),
        bare(
            "00000001 ffffffffffffffff 0000003e 0100001b57890000 00000001 00000001
             00000002 2f61 00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64
             00000006 616e796f6e65 00000000
             00000001 00000002 6970 00000009 3132372e302e302e31"
        )
    );
    bench.input(Input::Forward(Forwarded {
        session: 0x0100_001b_5789_0000,
        cxid: 2,
        op: 9,
        body: unhex("00000002 2f61"),
        identities: client(),
    }));
    assert_eq!(
        bench.take(conn),
        bare(
            "00000001 ffffffffffffffff 00000016 0100001b57890000 00000002 00000009
             00000002 2f61 00000001 00000002 6970 00000009 3132372e302e302e31"
        )
    );
    assert_eq!(bench.peer.status().pending_syncs, 1);
    bench.give(conn, "00000007 0000000000000000 ffffffff ffffffff");
    bench.give(conn, "00000007 0000000000000000 ffffffff ffffffff");
    let synced = bench
        .done
        .iter()
        .filter(|effect| **effect == Effect::Synced);
    assert_eq!(synced.count(), 1, "an answer to nothing is none");
    for session in [0x0100_001b_5789_0000, 0x0200_001b_57a0_0000] {
        let timeout_ms = 10_000;
        bench.input(Input::Touch {
            session,
            timeout_ms,
        });
    }
    bench.give(conn, "00000005 0000000100000006 ffffffff ffffffff");
    assert_eq!(
        bench.take(conn),
        bare(
            "00000005 0000000100000006 00000018 0100001b57890000 00002710
             0200001b57a00000 00002710 ffffffff"
        )
    );
    bench.input(Input::AskRevalidation {
        session: 0x0100_001b_5789_0000,
        timeout_ms: 10_000,
    });
    assert_eq!(
        bench.take(conn),
        bare("00000006 ffffffffffffffff 0000000c 0100001b57890000 00002710 ffffffff")
    );
    bench.give(
        conn,
        "00000006 ffffffffffffffff 00000009 0100001b57890000 01 ffffffff",
    );
    assert!(bench.done.contains(&Effect::RevalidationDone {
        session: 0x0100_001b_5789_0000,
        valid: true
    }));
}

fn live_follower() -> (Bench, ConnId) {
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[]));
    bench.give(conn, "00000011 0000000100000000 00000004 00010000 ffffffff");
    bench.give(conn, "0000000d 0000000000000000 ffffffff ffffffff");
    bench.give(conn, &newleader(0x1_0000_0000));
    bench.give(conn, UPTODATE);
    bench.take(conn);
    (bench, conn)
}

#[test]
fn proposals_between_newleader_and_uptodate() {
    // ZOOKEEPER-4394, 4685
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[]));
    bench.give(conn, "00000011 0000000100000000 00000004 00010000 ffffffff");
    bench.take(conn);
    bench.hold = true;
    bench.give(conn, "0000000d 0000000000000000 ffffffff ffffffff");
    bench.give(conn, &newleader(0x1_0000_0000));
    let (one, two) = (txn(0x1_0000_0001, 5, &[1]), txn(0x1_0000_0002, 5, &[2]));
    bench.give(
        conn,
        &(proposal(&one) + &proposal(&two) + &commit(one.zxid)),
    );
    assert_eq!(bench.take(conn), "");
    bench.hold = false;
    bench.release();
    bench.give(conn, UPTODATE);
    let newleader = ack(0x1_0000_0000);
    let acks = [newleader.clone(), ack(one.zxid), ack(two.zxid), newleader].concat();
    assert_eq!(bench.take(conn), acks);
    assert_eq!(bench.applied(), [one.zxid]);
    bench.give(conn, &commit(two.zxid));
    assert_eq!(bench.applied(), [one.zxid, two.zxid]);
}

#[test]
fn a_hole_in_what_the_leader_sends_is_not_logged() {
    // Spec 13 rule 5: a leader's DIFF is not trusted.
    for bad in [0x1_0000_0004, 0x2_0000_0002, 0x1_0000_0002] {
        let (mut bench, conn) = Bench::follow(boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0002)]));
        bench.give(conn, "00000011 0000000300000000 00000004 00010000 ffffffff");
        bench.give(conn, "0000000d 0000000200000004 ffffffff ffffffff");
        bench.give(conn, &proposal(&txn(bad, 5, &[1])));
        assert_eq!(bench.disk(), [DiskOp::AcceptedEpoch(3)]);
        assert!(bench.closed(conn), "after 0x{bad:x}");
    }
}

#[test]
fn a_cut_that_would_leave_what_nobody_was_is_refused() {
    for bad in [0i64, -1, 0x1_0000_0001, 0x2_0000_0003, 0x4_0000_0001] {
        let (mut bench, conn) = Bench::follow(boot(1, 3, &[(0x3_0000_0002, 0x3_0000_0005)]));
        bench.give(conn, "00000011 0000000500000000 00000004 00010000 ffffffff");
        bench.give(conn, &format!("0000000e{bad:016x}ffffffffffffffff"));
        assert_eq!(bench.disk(), [DiskOp::AcceptedEpoch(5)], "0x{bad:x}");
        assert!(bench.closed(conn));
    }
}

#[test]
fn a_commit_out_of_turn_ends_the_server() {
    let (mut bench, conn) = live_follower();
    bench.give(conn, &commit(0x1_0000_0007));
    assert!(matches!(
        bench.role(),
        Role::Following { serving: true, .. }
    ));
    bench.give(conn, &proposal(&txn(0x1_0000_0001, 5, &[])));
    bench.give(conn, &commit(0x1_0000_0002));
    assert!(matches!(
        bench.done.last(),
        Some(Effect::Role(Role::Looking))
    ));
    assert!(
        bench
            .done
            .iter()
            .any(|effect| matches!(effect, Effect::Fatal(_)))
    );
    assert_eq!(bench.applied(), [] as [i64; 0]);
    assert_eq!(bench.peer.poll_timeout(), None);
}

#[test]
fn a_server_whose_data_are_gone_votes_for_nobody() {
    // TRUNC to before all that is left: nothing remains, and its word would stand for data that it
    // has acknowledged and no longer has.
    let (mut bench, conn) = Bench::follow(boot(1, 3, &[(0x3_0000_0001, 0x3_0000_0005)]));
    bench.give(conn, "00000011 0000000400000000 00000004 00010000 ffffffff");
    bench.hold = true;
    bench.give(conn, "0000000e 0000000300000003 ffffffff ffffffff");
    let token = bench.held.pop().expect("the cut is asked for");
    let before = bench.done.len();
    bench.input(Input::CannotTruncate { token });
    assert_eq!(bench.role(), Role::Looking);
    assert_eq!(bench.peer.status().last_zxid, 0);
    let votes: Vec<String> = bench.done[before..]
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { conn, bytes } if bench.election.contains(conn) => Some(hex(bytes)),
            _ => None,
        })
        .collect();
    // State LOOKING, for itself, zxid -1.
    let lost = "000000000000000000000001ffffffffffffffff";
    assert!(
        !votes.is_empty() && votes.iter().all(|vote| vote.contains(lost)),
        "{votes:?}"
    );
}

#[test]
fn a_leader_that_has_ended_is_not_waited_for() {
    for ended in [false, true] {
        let mut bench = Bench::new(boot(1, 3, &[]));
        bench.vote(2, 1, 2, 2, 0, 0);
        bench.vote(3, 2, 1, 2, 0, 0);
        bench.pass(300);
        let conn = *bench.quorum.last().expect("it dials its leader");
        if ended {
            bench.input(Input::Closed {
                conn: ConnId::accepted(1),
            });
        }
        bench.input(Input::Closed { conn });
        let expected = if ended { 1 } else { 2 };
        bench.pass(50);
        let dials = bench.quorum.len();
        assert_eq!(
            dials,
            expected,
            "refused, and its votes {}",
            if ended { "gone" } else { "there" }
        );
        assert_eq!(bench.role() == Role::Looking, ended);
    }
}
