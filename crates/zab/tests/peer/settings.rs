//! What operators set of how members catch up and connect.

use zooid_zab::{ConnId, DiskOp, Effect, FromLog, Input, Params, Port, Role};

use crate::bench::{Bench, ack, boot, commit, hex, newleader, proposal};
use crate::members::{member, reconfig, request};
use crate::world::{World, txn};

const DIFF: &str = "0000000d";
const SNAP: &str = "0000000f";

/// A leader that has 100 transactions, ten of them in memory, and what a learner gets that lacks so
/// many.
fn sent(change: impl Fn(&mut Params), nodes: u64, lacks: i64) -> String {
    let mut boot = boot(3, 3, &[(0x1_0000_0001, 0x1_0000_0064)]);
    boot.recent.drain(..90);
    boot.params.history_entries = 20;
    change(&mut boot.params);
    let mut bench = Bench::lead(boot);
    bench.input(Input::StateSize { nodes });
    let conn = bench.join(1, 1, 1, 1, 0x1_0000_0064 - lacks);
    bench.take(conn)[..8].to_owned()
}

#[test]
fn how_far_a_learner_may_be_behind() {
    let usual = |_: &mut Params| {};
    assert_eq!(sent(usual, 270, 90), DIFF);
    assert_eq!(sent(usual, 269, 90), SNAP);
    assert_eq!(sent(usual, 1, 20), DIFF, "as many as are kept");
    assert_eq!(sent(usual, 1, 21), SNAP);
    assert_eq!(sent(|params| params.history_entries = 90, 1, 90), DIFF);

    let half = |params: &mut Params| params.from_log = FromLog::PerMille(500);
    assert_eq!(sent(half, 180, 90), DIFF);
    assert_eq!(sent(half, 179, 90), SNAP);
    assert_eq!(sent(half, 1, 20), SNAP, "this many are not in memory");
    assert_eq!(sent(half, 1, 10), DIFF);

    let never = |params: &mut Params| params.from_log = FromLog::Never;
    assert_eq!(sent(never, 1 << 40, 11), SNAP);
    assert_eq!(sent(never, 1, 10), DIFF);

    let always = |params: &mut Params| params.from_log = FromLog::Always;
    assert_eq!(sent(always, 1, 90), DIFF);
}

#[test]
fn a_state_is_sent_to_all_where_that_is_asked_for() {
    let force = |params: &mut Params| params.force_snapshot = true;
    for lacks in [0, 5, 90] {
        assert_eq!(sent(force, 1 << 40, lacks), SNAP, "{lacks}");
    }
    let mut boot = boot(3, 3, &[(0x1_0000_0001, 0x1_0000_0064)]);
    boot.params.force_snapshot = true;
    let mut bench = Bench::lead(boot);
    let conn = bench.join(1, 1, 1, 0, 0x1_0000_0065);
    assert!(bench.take(conn).starts_with(SNAP), "in place of TRUNC");
    let zxid = 0x1_0000_0064;
    assert!(bench.done.contains(&Effect::SendSnapshot { conn, zxid }));

    // And an ensemble gets along with it.
    let mut world = World::with(3, 1, |params| params.force_snapshot = true);
    world.start_all();
    let leader = world.settle(10_000);
    world.propose(leader);
    world.deliver();
    world.crash(leader);
    let second = world.settle(10_000);
    world.propose(second);
    world.start(leader);
    world.settle(10_000);
}

/// A leader of 1 and 3, to which server 1 is not up to date yet, and the connections of others.
fn busy(change: impl Fn(&mut Params), position: i64) -> (Bench, ConnId) {
    let mut boot = boot(3, 3, &[(0x1_0000_0005, 0x1_0000_0009)]);
    change(&mut boot.params);
    let mut bench = Bench::lead(boot);
    let conn = bench.join(1, 1, 1, 1, position);
    (bench, conn)
}

#[test]
fn observers_wait_while_others_catch_up() {
    for (position, limits) in [(0x1_0000_0001, (1, 9)), (0x1_0000_0008, (9, 1))] {
        let limit = |params: &mut Params| (params.max_snap_syncs, params.max_diff_syncs) = limits;
        let (mut bench, first) = busy(limit, position);
        let refused = bench.join(2, 7, 1, 1, position);
        assert!(bench.closed(refused), "at 0x{position:x}");
        let voter = bench.join(3, 2, 1, 1, position);
        assert!(!bench.closed(voter), "members that vote need not wait");
        let other = if position == 0x1_0000_0001 {
            0x1_0000_0008
        } else {
            0x1_0000_0001
        };
        let other = bench.join(4, 8, 1, 1, other);
        assert!(!bench.closed(other), "there is a limit for each");
        for done in [first, voter] {
            bench.give(done, &ack(0x2_0000_0000));
        }
        let again = bench.join(5, 7, 1, 1, position);
        assert!(!bench.closed(again));
        assert!(bench.take(again).ends_with(&newleader(0x2_0000_0000)));
        let one_more = bench.join(6, 9, 1, 1, position);
        assert!(bench.closed(one_more), "observers count");
    }
}

#[test]
fn a_connection_for_votes_has_some_time_to_say_who_it_is() {
    for (greeting_ms, patience_ms) in [(300, 300), (0, 10_000)] {
        let mut boot = boot(1, 3, &[]);
        boot.params.greeting_ms = greeting_ms;
        let mut bench = Bench::new(boot);
        let conn = ConnId::accepted(1);
        let port = Port::Election;
        bench.input(Input::Accepted { conn, port });
        bench.pass(patience_ms - 1);
        assert!(!bench.closed(conn), "{greeting_ms}");
        bench.pass(1);
        assert!(bench.closed(conn), "{greeting_ms}");
    }
}

#[test]
fn a_leader_that_refuses_is_tried_again_after_a_pause() {
    let mut boot = boot(1, 3, &[]);
    boot.params.connect_retry_ms = 400;
    let (mut bench, conn) = Bench::follow(boot);
    let dials = bench.quorum.len();
    bench.input(Input::Closed { conn });
    bench.pass(399);
    assert_eq!(bench.quorum.len(), dials);
    bench.pass(1);
    assert_eq!(bench.quorum.len(), dials + 1);
}

#[test]
fn a_leader_whose_votes_are_gone_for_a_moment_is_called_again() {
    let mut boot = boot(1, 3, &[]);
    boot.params.leader_down_ms = 100;
    boot.params.connect_retry_ms = 40;
    let mut bench = Bench::new(boot);
    bench.vote(2, 1, 2, 2, 0, 0);
    bench.vote(3, 2, 1, 2, 0, 0);
    bench.pass(300);
    bench.input(Input::Closed {
        conn: ConnId::accepted(1),
    });
    for refusals in 1..=4 {
        assert!(matches!(bench.role(), Role::Following { leader: 2, .. }));
        let conn = *bench.quorum.last().expect("it dials its leader");
        bench.input(Input::Closed { conn });
        bench.pass(40);
        assert_eq!(bench.quorum.len(), 4.min(refusals + 1));
    }
    assert_eq!(bench.role(), Role::Looking);
}

/// How long an observer that has lost its leader says nothing, ms.
fn silence(seed: u64, delay_ms: u64) -> u64 {
    let mut observer = boot(1, 3, &[]);
    observer.params.seed = seed;
    observer.params.observer_election_delay_ms = delay_ms;
    observer.config = observer
        .config
        .replacen("21121:participant", "21121:observer", 1);
    let mut bench = Bench::new(observer);
    bench.vote(2, 1, 2, 2, 0, 0);
    bench.vote(3, 2, 1, 2, 0, 0);
    bench.pass(300);
    assert!(matches!(bench.role(), Role::Observing { leader: 2, .. }));
    let conn = *bench.quorum.last().expect("it dials its leader");
    bench.input(Input::Dialed { conn });
    // It speaks another protocol.
    let (start, since) = (bench.now, bench.done.len());
    bench.give(conn, "00000011 0000000200000000 00000004 00000001 ffffffff");
    assert_eq!(bench.role(), Role::Looking);
    let vote = |effect: &Effect| matches!(effect, Effect::Send { conn, .. } if bench.election.contains(conn));
    let mut now = start;
    while !bench.done[since..].iter().any(&vote) {
        now += 1;
        assert!(now < start + 20_000, "it looks for a leader again");
        bench.peer.handle(Input::Tick, now);
        while let Some(effect) = bench.peer.poll_effect() {
            bench.done.push(effect);
        }
    }
    now - start
}

#[test]
fn an_observer_may_wait_before_it_looks_for_a_leader() {
    assert!((0..5).all(|seed| silence(seed, 0) < 30));
    let waits: Vec<u64> = (0..10).map(|seed| silence(seed, 5000)).collect();
    assert!(waits.iter().all(|&ms| ms <= 5000), "{waits:?}");
    assert!(waits.iter().any(|&ms| ms > 1000), "{waits:?}");
}

#[test]
fn a_pause_between_tries_does_not_outlast_the_patience_with_a_leader() {
    let mut boot = boot(1, 3, &[]);
    boot.params.connect_retry_ms = 60_000;
    let (mut bench, conn) = Bench::follow(boot);
    bench.input(Input::Closed { conn });
    assert!(matches!(bench.role(), Role::Following { .. }));
    bench.pass(2_100);
    assert_eq!(bench.role(), Role::Looking);
}

fn without_log(params: &mut Params) {
    params.reconfig = true;
    params.observer_logs = false;
}

#[test]
fn an_observer_that_writes_no_log_comes_back_with_what_it_had() {
    let mut world = World::with(3, 1, without_log);
    world.start_all();
    let leader = world.settle(10_000);
    for _ in 0..10 {
        world.propose(leader);
    }
    world.deliver();
    assert_eq!(world.servers[&4].state.len(), 10);
    for sid in 1..=4 {
        let logged = if sid == 4 { 0 } else { 10 };
        assert_eq!(world.servers[&sid].disk.log.len(), logged, "server {sid}");
    }
    // Another epoch, whose history is not on its disk.
    world.crash(leader);
    let second = world.settle(10_000);
    world.propose(second);
    world.deliver();
    assert_eq!(world.servers[&4].state.len(), 11);
    assert_eq!(world.servers[&4].disk.current, 1);
    world.start(leader);
    world.crash(4);
    world.start(4);
    assert_eq!(world.servers[&4].state.len(), 0);
    let leader = world.settle(10_000);
    world.propose(leader);
    world.deliver();
    world.check_same();
    assert_eq!(world.servers[&4].state.len(), 12);
}

/// The connection to server 2, which is elected and has told that it leads into this epoch.
fn led_into(bench: &mut Bench, epoch: i64) -> ConnId {
    bench.vote(2, 1, 2, 2, 0, epoch - 1);
    bench.vote(3, 2, 1, 2, 0, epoch - 1);
    bench.pass(300);
    let conn = *bench.quorum.last().expect("it dials its leader");
    bench.input(Input::Dialed { conn });
    let info = format!("00000011 0000000{epoch}00000000 00000004 00010000 ffffffff");
    bench.give(conn, &info);
    conn
}

/// An observer without a log that is told to go back, as its disk cannot.
#[test]
fn what_is_in_memory_only_is_not_cut() {
    let mut observer = boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0003)]);
    without_log(&mut observer.params);
    observer.config = observer
        .config
        .replacen("21121:participant", "21121:observer", 1);
    let mut bench = Bench::new(observer);
    for (epoch, packet) in [
        (2, "0000000d 0000000100000004 ffffffff ffffffff"),
        (3, "0000000e 0000000100000003 ffffffff ffffffff"),
    ] {
        let conn = led_into(&mut bench, epoch);
        bench.give(conn, packet);
        if epoch == 2 {
            let entry = txn(0x1_0000_0004, 5, &[0; 8]);
            bench.give(conn, &proposal(&entry));
            bench.give(conn, &commit(entry.zxid));
            bench.give(conn, &newleader(0x2_0000_0000));
            assert_eq!(bench.applied(), [0x1_0000_0004]);
            bench.input(Input::Closed { conn });
        } else {
            assert!(bench.closed(conn));
        }
    }
    let promises = [DiskOp::AcceptedEpoch(2), DiskOp::AcceptedEpoch(3)];
    assert_eq!(bench.disk(), promises);
}

/// Its leader counts what it says for a list that was proposed and is not in force.
#[test]
fn an_observer_without_a_log_that_a_proposed_list_makes_a_voter_writes_its_state_first() {
    let mut observer = boot(1, 3, &[(0x1_0000_0001, 0x1_0000_0003)]);
    without_log(&mut observer.params);
    let voter = observer.config.clone();
    let role = ("21121:participant", "21121:observer");
    observer.config = voter.replacen(role.0, role.1, 1);
    let version = voter.rfind("version=").expect("it has one");
    let voter = format!("{}version=100000004", &voter[..version]);
    let mut bench = Bench::new(observer);
    let entry = txn(0x1_0000_0004, 5, &[0; 8]);
    let newleader = |epoch: i64| {
        let (length, list) = (voter.len(), hex(voter.as_bytes()));
        format!("0000000a{:016x}{length:08x}{list}ffffffff", epoch << 32)
    };
    let mut before = 0;
    for epoch in [2, 3] {
        let conn = led_into(&mut bench, epoch);
        bench.take(conn);
        let diff = entry.zxid + epoch - 2;
        bench.give(conn, &format!("0000000d {diff:016x} ffffffff ffffffff"));
        let sent = txn(diff, 5, &[0; 8]);
        bench.give(conn, &proposal(&sent));
        bench.give(conn, &commit(sent.zxid));
        bench.give(conn, &newleader(epoch));
        let ops = bench.disk().split_off(before);
        before += ops.len();
        let at = |op: &DiskOp| ops.iter().position(|one| one == op);
        if epoch == 2 {
            assert_eq!(bench.take(conn), "", "nothing is acknowledged");
            assert!(bench.closed(conn));
            let kept = at(&DiskOp::Keep { zxid: entry.zxid }).expect("it is kept");
            assert_eq!(ops[kept + 1], DiskOp::CurrentEpoch(1));
        } else {
            let logged = at(&DiskOp::Append(sent.clone())).expect("it is logged");
            assert!(at(&DiskOp::CurrentEpoch(3)).is_some_and(|epoch| epoch > logged));
            assert_eq!(bench.take(conn), ack(0x3_0000_0000));
        }
    }
    assert_eq!(bench.applied(), [0x1_0000_0004, 0x1_0000_0005]);
}

#[test]
fn an_observer_without_a_log_writes_its_state_before_it_votes() {
    let mut world = World::empty();
    let members: Vec<String> = (1..=4)
        .map(|sid| match sid {
            4 => member(4).replace(":participant", ":observer"),
            _ => member(sid),
        })
        .collect();
    for sid in 1..=4 {
        let mut params = Params::of(sid);
        without_log(&mut params);
        world.add(params, members.join("\n") + "\nversion=0");
    }
    world.start_all();
    let leader = world.settle(10_000);
    for _ in 0..5 {
        world.propose(leader);
    }
    world.deliver();
    world.crash(leader);
    let second = world.settle(10_000);
    world.start(leader);
    let leader = world.settle(10_000);
    assert_eq!(leader, second);
    assert!(world.servers[&4].disk.log.is_empty());
    let joining = member(4);
    // What it has must be durable before anyone may count on it.
    world.servers.get_mut(&4).unwrap().hold = true;
    let zxid = reconfig(&mut world, leader, &request(Some(&joining), None));
    world.deliver();
    let server = &world.servers[&4];
    let ops: Vec<&DiskOp> = server.held.iter().map(|held| &held.1).collect();
    let keep = DiskOp::Keep { zxid };
    let at = ops.iter().position(|op| **op == keep).expect("it is kept");
    assert_eq!(*ops[at + 1], DiskOp::CurrentEpoch(2));
    assert_eq!(server.role, Role::Looking);
    world.pass(1000);
    assert_eq!(world.servers[&4].role, Role::Looking, "it does not vote");
    world.release_all(4);
    world.settle(10_000);
    let disk = &world.servers[&4].disk;
    assert_eq!(
        (disk.base.len(), disk.base_zxid, disk.current),
        (6, zxid, 2)
    );
    // It counts: with one of the others gone, three of four go on.
    let gone = (1..=3).find(|&sid| sid != leader).unwrap();
    world.crash(gone);
    let leader = world.settle(10_000);
    world.propose(leader);
    world.deliver();
    assert_eq!(world.servers[&4].disk.log.len(), 1);
    world.crash(4);
    world.start(4);
    world.settle(10_000);
    assert_eq!(world.servers[&4].state.len(), 7);
}
