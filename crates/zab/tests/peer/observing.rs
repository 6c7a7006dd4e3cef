//! Observers at followers (`observerMasterPort`): packets byte by byte as 3.9.5 sends and expects them,
//! and ensembles whose masters come and go.

use zooid_zab::{Boot, ConnId, Effect, Forwarded, Input, Port, Role, Sid};

use crate::bench::{Bench, UPTODATE, ack, bare, boot, commit, hex, newleader, proposal};
use crate::members::config_txn;
use crate::world::{World, config, txn};

const DIFF_1: &str = "0000000d 0000000100000001 ffffffff ffffffff";
const DIFF_3: &str = "0000000d 0000000100000003 ffffffff ffffffff";

fn master(mut boot: Boot) -> Boot {
    boot.params.observer_master_port = 2191;
    boot
}

/// The leader's side of the begin of epoch 2 with a learner that lacks nothing.
fn begin_epoch_2(bench: &mut Bench, leader: ConnId, diff: &str) {
    bench.give(leader, LEADERINFO);
    bench.give(leader, diff);
    bench.give(leader, &newleader(0x2_0000_0000));
    bench.give(leader, UPTODATE);
}

/// A follower in epoch 2 that has (1, 1) to (1, 3), and its leader.
fn follower() -> (Bench, ConnId) {
    let (mut bench, leader) = Bench::follow(master(boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0003)])));
    begin_epoch_2(&mut bench, leader, DIFF_3);
    bench.take(leader);
    assert!(matches!(
        bench.role(),
        Role::Following { serving: true, .. }
    ));
    (bench, leader)
}

/// OBSERVERINFO of server 7, which has accepted epoch 1.
const OBSERVERINFO: &str =
    "00000010 0000000100000000 00000014 0000000000000007 00010000 0000000000000000 ffffffff";
const LEADERINFO: &str = "00000011 0000000200000000 00000004 00010000 ffffffff";

fn ack_epoch(zxid: i64) -> String {
    format!("00000012 {zxid:016x} 00000004 00000001 ffffffff")
}

fn inform(entry: &zooid_zab::Proposal) -> String {
    let (zxid, bytes) = (entry.zxid, &entry.bytes);
    format!(
        "00000008{zxid:016x}{:08x}{}ffffffff",
        bytes.len(),
        hex(bytes)
    )
}

/// An observer at `position`, and what it got up to NEWLEADER.
fn observer(bench: &mut Bench, n: u64, position: i64) -> (ConnId, String) {
    let conn = bench.accept_on(Port::ObserverMaster, n);
    bench.give(conn, OBSERVERINFO);
    assert_eq!(bench.take(conn), bare(LEADERINFO));
    bench.give(conn, &ack_epoch(position));
    let got = bench.take(conn);
    (conn, got)
}

fn live(bench: &mut Bench, n: u64) -> ConnId {
    let (conn, _) = observer(bench, n, 0x1_0000_0003);
    bench.give(conn, &ack(0x2_0000_0000));
    assert_eq!(bench.take(conn), UPTODATE);
    bench.give(conn, &ack(0x2_0000_0000));
    conn
}

#[test]
fn an_observer_gets_what_it_lacks_and_all_that_is_committed() {
    let (mut bench, leader) = follower();
    let (conn, got) = observer(&mut bench, 50, 0x1_0000_0001);
    let mut wanted = bare("0000000d 0000000100000003 ffffffff ffffffff");
    for zxid in [0x1_0000_0002, 0x1_0000_0003] {
        wanted += &(proposal(&txn(zxid, 5, &[0; 8])) + &commit(zxid));
    }
    assert_eq!(got, wanted + &newleader(0x2_0000_0000));
    bench.give(conn, &ack(0x2_0000_0000));
    assert_eq!(bench.take(conn), UPTODATE, "nobody else is waited for");
    bench.give(conn, &ack(0x2_0000_0000));

    let (one, two) = (txn(0x2_0000_0001, 1, b"one"), txn(0x2_0000_0002, 1, b"two"));
    bench.give(leader, &proposal(&one));
    bench.give(leader, &proposal(&two));
    assert_eq!(bench.take(conn), "", "nothing is committed");
    bench.give(leader, &commit(one.zxid));
    assert_eq!(bench.take(conn), inform(&one));
    // One that comes now is at what is committed, not at what is logged.
    let (late, got) = observer_of(&mut bench, 51, 8, 0x1_0000_0003);
    let wanted = bare("0000000d 0000000200000001 ffffffff ffffffff")
        + &proposal(&one)
        + &commit(one.zxid)
        + &newleader(0x2_0000_0000);
    assert_eq!(got, wanted);
    bench.give(leader, &commit(two.zxid));
    assert_eq!(bench.take(conn), inform(&two));
    assert_eq!(bench.take(late), inform(&two), "before its own ACK, too");

    bench.pass(1000);
    assert_eq!(
        bench.take(conn),
        bare("00000005 0000000200000002 ffffffff ffffffff")
    );
    let status = bench.peer.status();
    let synced: Vec<(Sid, bool)> = status
        .learners
        .iter()
        .map(|one| (one.sid, one.synced))
        .collect();
    assert_eq!(synced, [(7, true), (8, false)]);
}

fn observer_of(bench: &mut Bench, n: u64, sid: i64, position: i64) -> (ConnId, String) {
    let conn = bench.accept_on(Port::ObserverMaster, n);
    let info = OBSERVERINFO.replace("0000000000000007", &format!("{sid:016x}"));
    bench.give(conn, &info);
    assert_eq!(bench.take(conn), bare(LEADERINFO));
    bench.give(conn, &ack_epoch(position));
    let got = bench.take(conn);
    (conn, got)
}

#[test]
fn an_observer_without_anything_gets_the_whole_state() {
    let mut boot = boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0003)]);
    // Its log does not reach back.
    boot.log = vec![(0x1_0000_0003, 0x1_0000_0003)];
    boot.recent.drain(..2);
    let (mut bench, leader) = Bench::follow(master(boot));
    begin_epoch_2(&mut bench, leader, DIFF_3);
    let (conn, got) = observer(&mut bench, 50, 0);
    let snap = bare("0000000f 0000000100000003 ffffffff ffffffff");
    assert_eq!(got, snap + &newleader(0x2_0000_0000));
    let zxid = 0x1_0000_0003;
    assert!(bench.done.contains(&Effect::SendSnapshot { conn, zxid }));
}

#[test]
fn an_observer_that_is_ahead_waits_for_its_master() {
    let (mut bench, leader) = follower();
    // Another follower has told it of (2, 1).
    let (conn, got) = observer(&mut bench, 50, 0x2_0000_0001);
    assert_eq!(got, "");
    let (one, two) = (txn(0x2_0000_0001, 1, b"one"), txn(0x2_0000_0002, 1, b"two"));
    bench.give(leader, &proposal(&one));
    bench.give(leader, &commit(one.zxid));
    let wanted = bare("0000000d 0000000200000001 ffffffff ffffffff") + &newleader(0x2_0000_0000);
    assert_eq!(bench.take(conn), wanted);
    bench.give(leader, &proposal(&two));
    bench.give(leader, &commit(two.zxid));
    assert_eq!(bench.take(conn), inform(&two));
    // What is of an older epoch is no more than what any server may have in its log.
    let (_, got) = observer_of(&mut bench, 51, 8, 0x1_0000_0009);
    assert!(
        got.starts_with(&bare("0000000e 0000000100000003 ffffffff ffffffff")),
        "TRUNC"
    );
}

#[test]
fn what_observers_ask_goes_to_the_leader_and_back_in_order() {
    let (mut bench, leader) = follower();
    let conn = live(&mut bench, 50);
    let request = "00000001 ffffffffffffffff 00000014 0700001b57890000 00000000 fffffff6 00002710
         ffffffff";
    bench.give(conn, request);
    assert_eq!(bench.take(leader), bare(request));
    // sync: its own first, then the observer's.
    bench.input(Input::Forward(Forwarded {
        session: 9,
        cxid: 1,
        op: 9,
        body: vec![],
        identities: vec![],
    }));
    let sync = "00000001 ffffffffffffffff 00000010 0700001b57890000 00000001 00000009 ffffffff";
    bench.give(conn, sync);
    assert!(bench.take(leader).ends_with(&bare(sync)));
    assert_eq!(bench.peer.status().pending_syncs, 2);
    let done = "00000007 0000000000000000 ffffffff ffffffff";
    bench.give(leader, done);
    assert_eq!(
        (bench.take(conn), bench.done.last()),
        (String::new(), Some(&Effect::Synced))
    );
    bench.give(leader, done);
    assert_eq!(bench.take(conn), bare(done));

    // Sessions: whose question is answered is told by the order of the questions.
    let question = "00000006 ffffffffffffffff 0000000c 0700001b57890000 00002710 ffffffff";
    bench.give(conn, question);
    bench.input(Input::AskRevalidation {
        session: 0x0700_001b_5789_0000,
        timeout_ms: 10_000,
    });
    assert_eq!(bench.take(leader), bare(question).repeat(2));
    let yes = "00000006 ffffffffffffffff 00000009 0700001b57890000 01 ffffffff";
    bench.give(leader, yes);
    assert_eq!(bench.take(conn), bare(yes));
    let told = |bench: &Bench| {
        let told = bench.done.iter();
        told.filter(|effect| matches!(effect, Effect::RevalidationDone { .. }))
            .count()
    };
    assert_eq!(told(&bench), 0);
    bench.give(leader, yes);
    assert_eq!((bench.take(conn), told(&bench)), (String::new(), 1));
    // A session that lives was heard of, and so is what the observer tells of its clients.
    bench.give(
        conn,
        "00000005 0000000100000003 0000000c 0700001b57890001 00007530 ffffffff",
    );
    bench.give(leader, "00000005 0000000200000000 ffffffff ffffffff");
    assert_eq!(
        bench.take(leader),
        bare(
            "00000005 0000000200000000 00000018 0700001b57890000 00002710
             0700001b57890001 00007530 ffffffff"
        )
    );
}

#[test]
fn a_new_list_of_members_goes_on_to_observers() {
    let mut params = master(boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0003)]));
    params.params.reconfig = true;
    let (mut bench, leader) = Bench::follow(params);
    begin_epoch_2(&mut bench, leader, DIFF_3);
    let conn = live(&mut bench, 50);
    let list = config_txn(0x2_0000_0001, &config(3, 1, 0x2_0000_0001));
    bench.give(leader, &proposal(&list));
    bench.give(
        leader,
        "00000009 0000000200000001 00000008 0000000000000002 ffffffff",
    );
    let bytes = &list.bytes;
    let wanted = format!(
        "00000013{:016x}{:08x}{:016x}{}ffffffff",
        list.zxid,
        bytes.len() + 8,
        2,
        hex(bytes)
    );
    assert_eq!(bench.take(conn), wanted);
}

#[test]
fn who_is_no_observer_or_comes_too_early_is_sent_away() {
    let (mut bench, leader) = follower();
    let conn = bench.accept_on(Port::ObserverMaster, 50);
    bench.give(conn, &OBSERVERINFO.replacen("00000010", "0000000b", 1));
    assert!(bench.closed(conn), "FOLLOWERINFO");
    let conn = live(&mut bench, 51);
    bench.give(conn, &ack(0x2_0000_0001));
    assert!(bench.closed(conn), "observers acknowledge nothing");
    let conn = bench.accept_on(Port::ObserverMaster, 52);
    bench.give(conn, "7fffffff");
    for _ in 0..11 {
        bench.pass(2_000);
        bench.give(leader, "00000005 0000000200000000 ffffffff ffffffff");
    }
    assert!(bench.closed(conn), "silence");
    let conn = live(&mut bench, 53);
    bench.input(Input::Closed { conn: leader });
    assert!(bench.closed(conn), "who has no leader has no observers");
    let early = bench.accept_on(Port::ObserverMaster, 54);
    assert!(bench.closed(early));

    // While it follows, and is not up to date, they may wait for a tick.
    let (mut bench, leader) = Bench::follow(master(boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0001)])));
    let conn = bench.accept_on(Port::ObserverMaster, 50);
    bench.give(conn, OBSERVERINFO);
    assert_eq!(bench.take(conn), "");
    begin_epoch_2(&mut bench, leader, DIFF_1);
    assert_eq!(bench.take(conn), bare(LEADERINFO));
    let (mut bench, _) = Bench::follow(master(boot(1, 3, &[])));
    let conn = bench.accept_on(Port::ObserverMaster, 50);
    bench.give(conn, OBSERVERINFO);
    bench.pass(3_000);
    assert!(bench.closed(conn));

    let (mut bench, _) = Bench::follow(boot(1, 3, &[]));
    let conn = bench.accept_on(Port::ObserverMaster, 50);
    assert!(bench.closed(conn), "without observerMasterPort");
    let mut bench = Bench::lead(master(boot(3, 3, &[])));
    let conn = bench.accept_on(Port::ObserverMaster, 50);
    assert!(bench.closed(conn), "at a leader, as in Java");
}

fn with_masters(voters: i64, observers: i64) -> World {
    World::with(voters, observers, |params| {
        params.observer_master_port = 2191
    })
}

fn master_of(world: &World, observer: Sid) -> Sid {
    let peer = world.servers[&observer].peer.as_ref().unwrap();
    peer.status().master.expect("an observer has one")
}

#[test]
fn observers_are_with_followers_and_survive_them() {
    let mut world = with_masters(5, 3);
    world.start_all();
    let leader = world.settle(30_000);
    let status = |world: &World, sid: Sid| world.servers[&sid].peer.as_ref().unwrap().status();
    let learners = status(&world, leader).learners;
    assert!(
        learners.iter().all(|one| !one.observer),
        "the leader has followers only"
    );
    (0..20).for_each(|_| {
        world.propose(leader);
    });
    world.deliver();
    world.check_same();
    for round in 0..2 {
        let lost = master_of(&world, 6);
        assert_ne!(lost, leader);
        assert!(status(&world, lost).learners.iter().any(|one| one.sid == 6));
        world.crash(lost);
        world.until(10_000, World::is_settled);
        assert!(
            ![lost, leader].contains(&master_of(&world, 6)),
            "round {round}"
        );
        world.propose(leader);
        world.deliver();
        world.check_same();
    }
    // And the leader.
    for sid in 1..=5 {
        if world.servers[&sid].peer.is_none() {
            world.start(sid);
        }
    }
    world.settle(30_000);
    world.crash(leader);
    let second = world.settle(30_000);
    world.propose(second);
    world.deliver();
    world.check_same();
    assert_eq!(world.servers[&8].state.len(), 23);
}

#[test]
fn an_observer_goes_to_all_masters_in_turn_and_waits_before_it_comes_again() {
    let mut observer = master(boot(1, 3, &[]));
    observer.params.reconnect_delay_ms = 60_000;
    observer.config = config(4, 0, 0).replacen("21121:participant", "21121:observer", 1);
    let mut bench = Bench::new(observer);
    bench.vote(2, 1, 2, 2, 0, 0);
    bench.vote(3, 2, 1, 2, 0, 0);
    bench.pass(300);
    assert!(matches!(bench.role(), Role::Observing { leader: 2, .. }));
    let mut tried = Vec::new();
    for _ in 0..3 {
        bench.pass(25);
        let (conn, sid) = dialed(&bench);
        tried.push(sid);
        bench.input(Input::Closed { conn });
    }
    tried.sort_unstable();
    assert_eq!(tried, [2, 3, 4]);
    let (before, started) = (bench.quorum.len(), bench.now);
    while bench.quorum.len() == before {
        bench.pass(25);
        assert!(bench.now < started + 60_100, "it comes again");
    }
    assert!(
        bench.now > started + 100,
        "after {} ms",
        bench.now - started
    );
    let (conn, _) = dialed(&bench);
    bench.input(Input::Dialed { conn });
    let info = "00000010 0000000000000000 00000014 0000000000000001 00010000 0000000000000000
         ffffffff";
    assert_eq!(bench.take(conn), bare(info));
}

/// The last connection that it opened to a master, and to whom.
fn dialed(bench: &Bench) -> (ConnId, Sid) {
    let dials = bench.done.iter().rev();
    let mut masters = dials.filter_map(|effect| match effect {
        Effect::Dial {
            conn,
            sid,
            port: Port::ObserverMaster,
            addresses,
            ..
        } => {
            assert_eq!(addresses, &["127.0.0.1:2191"]);
            Some((*conn, *sid))
        }
        _ => None,
    });
    masters.next().expect("it has dialed")
}
