//! Packets byte by byte as 3.9.5 sends and expects them, from the side of a leader.

use zooid_zab::{ConnId, Effect, Forwarded, Input, Port, Proposal, ReconfigRequest, Role};

use crate::bench::{
    Bench, UPTODATE, ack, bare, boot, commit, newleader, notification, proposal, unhex,
};
use crate::world::{self, txn};

#[test]
fn a_leader_of_an_empty_ensemble() {
    // 19.2 from the other side, with a disk that takes its time.
    let mut bench = Bench::lead(boot(3, 3, &[]));
    bench.hold = true;
    let conn = bench.accept(1);
    bench.give(
        conn,
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    );
    assert_eq!(bench.take(conn), "", "LEADERINFO waits for the disk");
    bench.release();
    assert_eq!(
        bench.take(conn),
        bare("00000011 0000000100000000 00000004 00010000 ffffffff")
    );
    bench.give(conn, "00000012 0000000000000000 00000004 00000000 ffffffff");
    let expected = bare("0000000d 0000000000000000 ffffffff ffffffff") + &newleader(0x1_0000_0000);
    assert_eq!(bench.take(conn), expected);
    bench.give(conn, &ack(0x1_0000_0000));
    assert_eq!(
        bench.take(conn),
        "",
        "UPTODATE waits for the leader's own word"
    );
    assert!(matches!(bench.role(), Role::Leading { serving: false, .. }));
    bench.hold = false;
    bench.release();
    assert_eq!(bench.take(conn), UPTODATE);
    bench.give(conn, &ack(0x1_0000_0000));
    assert!(matches!(
        bench.role(),
        Role::Leading {
            epoch: 1,
            serving: true
        }
    ));
    bench.pass(1000);
    assert_eq!(
        bench.take(conn),
        bare("00000005 0000000100000000 ffffffff ffffffff")
    );
    // 19.6
    bench.give(
        conn,
        "00000001 ffffffffffffffff 00000014 0100001b57890000 00000000 fffffff6 00002710 ffffffff",
    );
    let wanted = Effect::Request {
        conn,
        request: Forwarded {
            session: 0x0100_001b_5789_0000,
            cxid: 0,
            op: -10,
            body: vec![0, 0, 0x27, 0x10],
            identities: Vec::new(),
        },
    };
    assert_eq!(bench.done.last(), Some(&wanted));
    let bytes = unhex(
        "0100001b57890000 00000000 0000000100000001 000001a1fc6d641b fffffff6 00002710
         00000002 0000000051c6d660",
    );
    bench.hold = true;
    let one = Proposal {
        zxid: 0x1_0000_0001,
        bytes: bytes.into(),
    };
    bench.input(Input::Propose(one.clone()));
    assert_eq!(bench.take(conn), proposal(&one));
    bench.input(Input::LearnerSync { conn });
    bench.give(conn, &ack(one.zxid));
    assert_eq!(bench.take(conn), "", "one of three is no quorum");
    bench.hold = false;
    bench.release();
    let sync = bare("00000007 0000000000000000 ffffffff ffffffff");
    assert_eq!(bench.take(conn), commit(one.zxid) + &sync);
    bench.input(Input::LearnerSync { conn });
    assert_eq!(bench.take(conn), sync);
    bench.give(
        conn,
        "00000005 0000000100000006 00000018 0100001b57890000 00002710
         0200001b57a00000 00002710 ffffffff",
    );
    let touched = bench
        .done
        .iter()
        .filter(|effect| matches!(effect, Effect::Touched { .. }));
    assert_eq!(touched.count(), 2);
    bench.give(
        conn,
        "00000006 ffffffffffffffff 0000000c 0100001b57890000 00002710 ffffffff",
    );
    let session = 0x0100_001b_5789_0000;
    let timeout_ms = 10_000;
    assert_eq!(
        bench.done.last(),
        Some(&Effect::Revalidate {
            conn,
            session,
            timeout_ms
        })
    );
    let valid = true;
    bench.input(Input::Revalidated {
        conn,
        session,
        valid,
    });
    assert_eq!(
        bench.take(conn),
        bare("00000006 ffffffffffffffff 00000009 0100001b57890000 01 ffffffff")
    );
}

#[test]
fn a_leader_sends_what_is_lacking_and_cuts_what_is_too_much() {
    // 19.3, 19.4
    let log = [
        (0x1_0000_0001, 0x1_0000_0009),
        (0x2_0000_0001, 0x2_0000_0004),
    ];
    let mut bench = Bench::lead(boot(3, 3, &log));
    let conn = bench.join(1, 1, 1, 1, 0x1_0000_0009);
    let mut expected = bare("0000000d 0000000200000004 ffffffff ffffffff");
    for zxid in 0x2_0000_0001..=0x2_0000_0004 {
        expected += &proposal(&txn(zxid, 5, &[0; 8]));
        expected += &commit(zxid);
    }
    expected += &newleader(0x3_0000_0000);
    assert_eq!(bench.take(conn), expected);
    let conn = bench.join(2, 2, 2, 1, 0x2_0000_0006);
    let expected = bare("0000000e 0000000200000004 ffffffff ffffffff") + &newleader(0x3_0000_0000);
    assert_eq!(bench.take(conn), expected);
}

#[test]
fn a_leader_sends_its_state_to_who_is_too_far_behind() {
    let mut bench = Bench::lead(boot(3, 3, &[(0x1_0000_0005, 0x1_0000_0009)]));
    let conn = bench.join(1, 1, 1, 1, 0x1_0000_0003);
    let begin = bare("0000000f 0000000100000009 ffffffff ffffffff");
    let sent = bench.take(conn);
    assert_eq!(sent, begin.clone() + &newleader(0x2_0000_0000));
    let at = |wanted: &Effect| bench.done.iter().position(|effect| effect == wanted);
    let zxid = 0x1_0000_0009;
    let state = at(&Effect::SendSnapshot { conn, zxid }).expect("the state is sent");
    let packet = Effect::Send {
        conn,
        bytes: unhex(&begin),
    };
    assert!(
        at(&packet).expect("SNAP is sent") < state,
        "SNAP goes before the state"
    );
}

#[test]
fn a_leader_that_knows_less_is_not_followed() {
    let mut bench = Bench::lead(boot(3, 3, &[(0x1_0000_0001, 0x1_0000_0009)]));
    let conn = bench.join(1, 1, 1, 1, 0x1_0000_000a);
    assert!(bench.closed(conn));
    // One that tells its position only is neither counted nor refused.
    let conn = bench.accept(7);
    bench.give(
        conn,
        "0000000b 0000000200000000 00000014 0000000000000002 00010000 0000000000000000 ffffffff",
    );
    bench.take(conn);
    bench.give(conn, "00000012 0000000200000003 00000004 ffffffff ffffffff");
    assert!(!bench.closed(conn));
    assert_eq!(bench.take(conn), "");
}

#[test]
fn outstanding_proposals_go_behind_newleader_and_count_after_it() {
    // Spec 13 rule 4 (ZOOKEEPER-4394), 4685
    let mut bench = Bench::lead(boot(3, 3, &[]));
    let first = bench.join(1, 1, 0, 0, 0);
    bench.give(first, &ack(0x1_0000_0000));
    bench.take(first);
    let one = txn(0x1_0000_0001, 5, &[1]);
    bench.hold = true;
    bench.input(Input::Propose(one.clone()));
    let second = bench.join(2, 2, 1, 0, 0);
    let expected = bare("0000000d 0000000000000000 ffffffff ffffffff")
        + &newleader(0x1_0000_0000)
        + &proposal(&one);
    assert_eq!(bench.take(second), expected);
    bench.give(second, &ack(one.zxid));
    bench.give(first, &ack(one.zxid));
    assert_eq!(
        bench.applied(),
        [] as [i64; 0],
        "its history is not known to be there"
    );
    bench.give(second, &ack(0x1_0000_0000));
    assert_eq!(bench.applied(), [one.zxid]);
    assert_eq!(bench.take(second), UPTODATE.to_owned() + &commit(one.zxid));
}

#[test]
fn an_acknowledgement_does_not_outlive_what_it_was_for() {
    // A follower of five acknowledges, reconnects and is cut back: its old word must not count.
    let mut bench = Bench::lead_of_five();
    let first = bench.join(1, 1, 0, 0, 0);
    let second = bench.join(2, 2, 0, 0, 0);
    for conn in [first, second] {
        bench.give(conn, &ack(0x1_0000_0000));
    }
    let one = txn(0x1_0000_0001, 5, &[1]);
    bench.input(Input::Propose(one.clone()));
    bench.give(first, &ack(one.zxid));
    bench.input(Input::Closed { conn: first });
    let again = bench.join(9, 1, 1, 1, one.zxid);
    assert!(bench.take(again).starts_with("0000000d") || !bench.closed(again));
    bench.give(second, &ack(one.zxid));
    assert_eq!(bench.applied(), [] as [i64; 0]);
    bench.give(again, &ack(0x1_0000_0000));
    bench.give(again, &ack(one.zxid));
    assert_eq!(bench.applied(), [one.zxid]);
}

#[test]
fn strangers_are_refused() {
    let mut bench = Bench::lead(boot(3, 3, &[]));
    for (n, packet) in [
        // Another protocol, a client, absurd lengths, the leader's number, a packet out of turn, no
        // number, an epoch that leaves no other.
        "474554202f20485454502f312e310d0a0d0a",
        "0000000b0000000000000000ffffff00",
        "0000000b00000000000000007fffffff",
        "0000000b 0000000000000000 00000014 0000000000000003 00010000 0000000000000000 ffffffff",
        "00000003 0000000000000000 ffffffff ffffffff",
        "0000000b 0000000000000000 ffffffff ffffffff",
        "0000000b 7fffffff00000000 00000014 0000000000000002 00010000 0000000000000000 ffffffff",
        "0000000b 0000000000000000 00000014 0000000000000002 00000001 0000000000000000 ffffffff",
        "0000000b 0000000000000000 00000014 0000000000000002 00010000 0000000000000009 ffffffff",
    ]
    .into_iter()
    .enumerate()
    {
        let conn = bench.accept(100 + n as u64);
        bench.give(conn, packet);
        assert!(bench.closed(conn), "{packet}");
    }
    let silent = bench.accept(200);
    bench.pass(19_000);
    let own = bench.accept(201);
    bench.give(own, "");
    bench.pass(2_500);
    assert!(bench.closed(silent) || bench.role() == Role::Looking);
}

#[test]
fn two_servers_with_one_number_do_not_disturb_each_other() {
    let mut bench = Bench::lead(boot(3, 3, &[]));
    let first = bench.join(1, 1, 0, 0, 0);
    bench.give(first, &ack(0x1_0000_0000));
    bench.take(first);
    let twin = bench.accept(2);
    bench.give(
        twin,
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    );
    assert_eq!(bench.take(twin), "", "the first is alive");
    assert!(!bench.closed(first));
    bench.input(Input::Closed { conn: first });
    assert!(
        bench.take(twin).starts_with("00000011"),
        "now it is its turn"
    );
}

#[test]
fn a_learner_that_comes_early_is_parked() {
    let mut bench = Bench::new(boot(3, 3, &[]));
    let conn = bench.accept(50);
    bench.give(
        conn,
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    );
    let flood = bench.accept(51);
    bench.give(flood, &"00".repeat(5000));
    assert!(bench.closed(flood) && !bench.closed(conn));
    for conn in bench.election.clone() {
        bench.input(Input::Dialed { conn });
    }
    let votes = bench.election[0];
    let config = world::config(3, 0, 0);
    let mut body = 0i32.to_be_bytes().to_vec();
    for field in [3i64, 0, 1, 0] {
        body.extend_from_slice(&field.to_be_bytes());
    }
    body.extend_from_slice(&2i32.to_be_bytes());
    body.extend_from_slice(&(config.len() as i32).to_be_bytes());
    body.extend_from_slice(config.as_bytes());
    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    bench.input(Input::Received {
        conn: votes,
        bytes: &frame,
    });
    bench.pass(300);
    assert_eq!(
        bench.take(conn),
        bare("00000011 0000000100000000 00000004 00010000 ffffffff")
    );
}

#[test]
fn who_says_who_it_is_keeps_its_place_before_those_that_say_nothing() {
    let mut bench = Bench::new(boot(3, 3, &[]));
    let member = bench.accept(1000);
    bench.give(member, "0000000b");
    let silent: Vec<ConnId> = (1..=200).map(|n| bench.accept(1000 + n)).collect();
    assert!(!bench.closed(member));
    let kept = silent.iter().filter(|&&conn| !bench.closed(conn)).count();
    assert_eq!(kept, 127);
}

/// Server 1 introduces itself with this accepted epoch, and goes.
fn comes_with(bench: &mut Bench, n: u64, accepted: i64) {
    let conn = bench.accept(n);
    let info = format!(
        "0000000b {:016x} 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
        accepted << 32
    );
    bench.give(conn, &info);
    bench.input(Input::Closed { conn });
}

/// A leader of epoch 1 that has been visited every so many ms for a minute by a voter with this
/// accepted epoch: whether it leads still, and how often it spoke of it.
fn visited(accepted: i64, every_ms: u64) -> (bool, usize) {
    let mut bench = Bench::lead_of_five();
    let followers = [(1, 2), (2, 3)].map(|(n, sid)| bench.join(n, sid, 0, 0, 0));
    for conn in followers {
        bench.give(conn, &ack(0x1_0000_0000));
    }
    let begin = bench.now;
    let mut next = 1000;
    while bench.now < begin + 60_000 && matches!(bench.role(), Role::Leading { .. }) {
        if (bench.now - begin).is_multiple_of(every_ms) {
            next += 1;
            comes_with(&mut bench, next, accepted);
        }
        bench.pass(500);
        for conn in followers {
            bench.give(conn, "00000005 0000000000000000 ffffffff ffffffff");
        }
    }
    let spoke = |effect: &&Effect| matches!(effect, Effect::Remark { what, .. } if what.contains("promised"));
    let remarks = bench.done.iter().filter(spoke).count();
    (matches!(bench.role(), Role::Leading { .. }), remarks)
}

#[test]
fn a_leader_steps_aside_only_for_who_keeps_coming_with_what_can_be() {
    assert_eq!(visited(7, 2000), (false, 0));
    assert_eq!(visited(7, 20_000), (true, 0), "now and then");
    let last = i64::from(i32::MAX) - 3;
    assert_eq!(
        visited(last, 2000),
        (true, 1),
        "no failed elections explain it"
    );
}

#[test]
fn reconfiguration_is_refused_where_it_is_off() {
    let bench = Bench::lead(boot(3, 3, &[]));
    let request = ReconfigRequest {
        version: -1,
        ..ReconfigRequest::default()
    };
    assert_eq!(
        bench.peer.reconfigure(&request, 1),
        Err(zooid_proto::ErrorCode::ReconfigDisabled)
    );
}

#[test]
fn a_learner_that_waits_for_the_others_may_be_silent() {
    let mut bench = Bench::lead_of_five();
    let conn = bench.join(1, 1, 0, 0, 0);
    bench.join(2, 2, 0, 0, 0);
    bench.give(conn, &ack(0x1_0000_0000));
    // Longer than syncLimit, shorter than initLimit: the second loads its state.
    bench.pass(15_000);
    assert!(!bench.closed(conn));
    assert!(matches!(bench.role(), Role::Leading { serving: false, .. }));
    bench.pass(6_000);
    assert!(bench.closed(conn));
    assert_eq!(bench.role(), Role::Looking);
}

#[test]
fn a_leader_whose_only_follower_dies_before_it_is_established_does_not_wait_for_init_limit() {
    let mut bench = Bench::lead(boot(3, 3, &[]));
    let conn = bench.join(1, 1, 0, 0, 0);
    bench.input(Input::Closed { conn });
    bench.pass(1_500);
    assert!(matches!(bench.role(), Role::Leading { serving: false, .. }));
    bench.pass(1_000);
    assert_eq!(bench.role(), Role::Looking);
    // One that comes back in time is waited for.
    let mut bench = Bench::lead(boot(3, 3, &[]));
    let conn = bench.join(1, 1, 0, 0, 0);
    bench.input(Input::Closed { conn });
    bench.pass(1_500);
    bench.join(4, 1, 0, 0, 0);
    bench.pass(3_000);
    assert!(matches!(bench.role(), Role::Leading { serving: false, .. }));
}

/// What is sent on connections for votes.
fn votes_sent(bench: &Bench, since: usize) -> usize {
    let election = |effect: &&Effect| matches!(effect, Effect::Send { conn, .. } if bench.election.contains(conn));
    bench.done[since..].iter().filter(election).count()
}

#[test]
fn a_leader_that_stops_answers_no_votes() {
    let mut bench = Bench::lead(boot(3, 3, &[]));
    bench.hold = true;
    let learner = bench.accept(1);
    bench.give(
        learner,
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    );
    let since = bench.done.len();
    bench.input(Input::Stop);
    let closed: Vec<_> = bench.done[since..]
        .iter()
        .filter_map(|effect| match effect {
            Effect::Close { conn } => Some(*conn),
            _ => None,
        })
        .collect();
    let at = |conn| closed.iter().position(|&one| one == conn);
    let votes = at(bench.election[0]).expect("the connection for votes is closed");
    assert!(votes < at(learner).expect("that of the learner, too"));
    let late = ConnId::accepted(9);
    bench.input(Input::Accepted {
        conn: late,
        port: Port::Election,
    });
    assert_eq!(bench.done.last(), Some(&Effect::Close { conn: late }));
    assert_eq!(votes_sent(&bench, since), 0);
    assert!(!bench.done.contains(&Effect::Stopped), "the disk has work");
    bench.release();
    assert_eq!(bench.done.last(), Some(&Effect::Stopped));
}

#[test]
fn a_leader_that_has_given_up_is_nobodys_leader() {
    let mut bench = Bench::lead(boot(3, 3, &[]));
    let conn = bench.election[0];
    let vote = |bench: &mut Bench, round| {
        let since = bench.done.len();
        let frame = notification(3, 0, [1, 0, round, 0]);
        bench.input(Input::Received {
            conn,
            bytes: &frame,
        });
        votes_sent(bench, since)
    };
    assert_eq!(vote(&mut bench, 1), 1, "it leads");
    bench.hold = true;
    let learner = bench.accept(1);
    bench.give(
        learner,
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    );
    // Its supporter is in a later round: it answers that it leads, and then does so no more.
    vote(&mut bench, 2);
    assert_eq!(bench.role(), Role::Looking);
    assert_eq!(vote(&mut bench, 2), 0, "it leads no more");
    let since = bench.done.len();
    bench.release();
    assert!(votes_sent(&bench, since) > 0, "it votes");
}
