//! Ensembles that elect, broadcast, fail and come back, on disks that are done at once.

use crate::world::{self, Dice, World, zxids};
use zooid_zab::{Input, Role};

#[test]
fn three_servers_elect_and_broadcast() {
    let mut world = World::new(3, 0);
    world.start_all();
    let leader = world.settle(5_000);
    assert_eq!(leader, 3);
    for _ in 0..10 {
        world.propose(leader);
    }
    world.deliver();
    world.check_same();
    assert_eq!(world.servers[&1].state.len(), 10);
    assert!(world.now < 1_500, "at {}", world.now);
}

#[test]
fn a_server_alone_leads_itself() {
    let mut world = World::with(1, 0, |params| params.standalone_enabled = false);
    world.start_all();
    assert_eq!(world.settle(5_000), 1);
    world.propose(1);
    assert_eq!(world.servers[&1].state.len(), 1);
}

#[test]
fn the_loss_of_the_leader_costs_nothing_that_was_committed() {
    let mut world = World::new(3, 1);
    world.start_all();
    let first = world.settle(5_000);
    (0..5).for_each(|_| {
        world.propose(first);
    });
    world.deliver();
    world.crash(first);
    let second = world.settle(5_000);
    assert_ne!(first, second);
    assert_eq!(world.servers[&second].state.len(), 5);
    (0..5).for_each(|_| {
        world.propose(second);
    });
    world.deliver();
    world.start(first);
    world.settle(70_000);
    assert_eq!(world.servers[&first].state.len(), 10);
    assert_eq!(world.servers[&4].state.len(), 10);
}

/// Its own attempts to lead ended before they had a quorum. In Java it is out until somebody else ends
/// the epoch.
#[test]
fn a_leader_steps_aside_for_a_voter_that_has_promised_itself_to_a_later_epoch() {
    let mut world = World::new(3, 1);
    world.start_all();
    let leader = world.settle(5_000);
    world.crash(1);
    world.propose(leader);
    world.deliver();
    world.servers.get_mut(&1).unwrap().disk.accepted = 7;
    world.start(1);
    let came = world.now;
    world.pass(5_000);
    assert!(
        !world.serves(1) && world.leader() == Some(leader),
        "not at once"
    );
    let leader = world.settle(20_000);
    assert!(world.now - came < 15_000, "{} ms", world.now - came);
    let epoch = world.epoch(leader);
    assert!(epoch > 7, "epoch {epoch}");
    world.propose(leader);
    world.pass(60_000);
    assert_eq!((world.leader(), world.epoch(leader)), (Some(leader), epoch));
    world.check_same();
    // An observer is not worth an election.
    world.crash(4);
    world.servers.get_mut(&4).unwrap().disk.accepted = 70;
    world.start(4);
    world.pass(60_000);
    assert!(!world.serves(4));
    assert_eq!((world.leader(), world.epoch(leader)), (Some(leader), epoch));
}

#[test]
fn a_leader_cut_off_comes_back_without_its_own_transactions() {
    let mut world = World::new(3, 0);
    world.start_all();
    let old = world.settle(5_000);
    world.propose(old);
    world.deliver();
    (1..=3)
        .filter(|&sid| sid != old)
        .for_each(|sid| world.split(old, sid));
    world.propose(old);
    world.propose(old);
    world.until(60_000, |world| {
        world.leader().is_some_and(|leader| leader != old)
    });
    let new = world.leader().unwrap();
    world.propose(new);
    world.deliver();
    world.until(60_000, |world| world.servers[&old].role == Role::Looking);
    // All that is in its log is its state now.
    assert_eq!(world.servers[&old].state.len(), 3);
    world.heal();
    world.settle(120_000);
    assert_eq!(
        zxids(&world.servers[&old].state),
        [0x1_0000_0001, 0x2_0000_0001]
    );
}

#[test]
fn an_empty_disk_is_filled_by_a_snapshot() {
    let mut world = World::with(3, 0, |params| params.history_entries = 3);
    world.start_all();
    let leader = world.settle(5_000);
    (0..10).for_each(|_| {
        world.propose(leader);
    });
    world.deliver();
    // Restarted, nobody knows whether the log is all there ever was.
    (1..=3).for_each(|sid| world.crash(sid));
    world.servers.get_mut(&1).unwrap().disk = world::Disk {
        config: world::config(3, 0, 0),
        ..world::Disk::default()
    };
    world.start_all();
    let leader = world.settle(60_000);
    assert_eq!(world.servers[&1].state.len(), 10);
    assert!(world.servers[&1].disk.log.is_empty());
    world.propose(leader);
    world.deliver();
    world.check_same();
    assert_eq!(world.servers[&1].disk.log.len(), 1);
}

/// A learner misses twenty transactions, more than the leader has in memory, and comes back. How often it
/// was sent the log: otherwise it was the state.
fn sent_log_to_one_far_behind(nodes: Option<u64>) -> u64 {
    let mut world = World::with(3, 0, |params| params.history_entries = 3);
    world.start_all();
    let leader = world.settle(5_000);
    world.propose(leader);
    world.deliver();
    world.crash(1);
    (0..20).for_each(|_| {
        world.propose(leader);
    });
    world.deliver();
    if let Some(nodes) = nodes {
        world.input(leader, Input::StateSize { nodes });
    }
    world.start(1);
    world.settle(60_000);
    assert_eq!(world.servers[&1].state.len(), 21);
    world.servers[&leader].sent_log
}

#[test]
fn a_learner_far_behind_is_served_from_the_log() {
    assert_eq!(sent_log_to_one_far_behind(None), 1);
}

#[test]
fn a_learner_behind_by_more_than_the_state_is_sent_the_state() {
    assert_eq!(sent_log_to_one_far_behind(Some(60)), 1);
    assert_eq!(sent_log_to_one_far_behind(Some(59)), 0);
}

/// Whatever of votes, acknowledgements, ends of connections and disks comes first: the next leader is
/// there without a wait for votes that cannot come, which would be 200 ms.
#[test]
fn the_end_of_a_leader_costs_no_wait() {
    let mut slow = Vec::new();
    for seed in 1..=400 {
        let mut dice = Dice(seed);
        let mut world = World::new(3, 0);
        world.start_all();
        let old = world.settle(5_000);
        world.pass(5_000);
        for sid in 1..=3 {
            world.servers.get_mut(&sid).unwrap().hold = true;
        }
        for _ in 0..dice.below(4) {
            world.propose(old);
            for _ in 0..dice.below(6) {
                world.step(&mut dice);
            }
        }
        let begin = world.now;
        match dice.below(2) {
            0 => world.crash(old),
            _ => world.input(old, Input::Stop),
        }
        while world.leader().is_none_or(|leader| leader == old) {
            if world.servers[&old].stopped && world.servers[&old].peer.is_some() {
                world.crash(old);
            }
            if !world.step(&mut dice) {
                world.jump();
            }
        }
        let took = world.now - begin;
        if took > 100 {
            slow.push((seed, took));
        }
    }
    assert!(slow.is_empty(), "seeds and ms: {slow:?}");
}

#[test]
fn a_clean_stop_leaves_all_followers_alike() {
    let mut world = World::new(3, 0);
    world.start_all();
    let old = world.settle(5_000);
    world.propose(old);
    world.propose(old);
    world.input(old, Input::Stop);
    world.deliver();
    assert!(world.servers[&old].stopped);
    world.crash(old);
    let begin = world.now;
    let new = world.settle(5_000);
    assert_ne!(old, new);
    assert_eq!(world.servers[&new].state.len(), 2);
    println!("{} ms without a leader", world.now - begin);
}

fn pair() -> World {
    let mut world = World::with(2, 0, |params| params.oracle = true);
    world.start_all();
    world
}

fn oracle(world: &mut World, sid: i64, alone: bool) {
    world.input(sid, Input::Oracle { alone });
}

/// `QuorumOracleMaj`
#[test]
fn an_oracle_lets_the_leader_of_two_go_on_alone() {
    let mut world = pair();
    let leader = world.settle(10_000);
    let other = 3 - leader;
    world.propose(leader);
    world.deliver();
    oracle(&mut world, leader, true);
    // While the other one is there, its word counts.
    world.servers.get_mut(&other).unwrap().hold = true;
    world.propose(leader);
    world.deliver();
    assert_eq!(world.servers[&leader].state.len(), 1);
    // What waited for it goes on without it, but not before it is on the own disk.
    world.servers.get_mut(&leader).unwrap().hold = true;
    world.propose(leader);
    world.deliver();
    world.crash(other);
    world.pass(3_000);
    assert_eq!(world.servers[&leader].state.len(), 2);
    world.release_all(leader);
    world.pass(3_000);
    assert_eq!(world.servers[&leader].state.len(), 3);
    world.pass(30_000);
    assert_eq!(world.leader(), Some(leader));
    // It comes back and gets all of it, and from then on both decide.
    world.start(other);
    assert_eq!(world.settle(20_000), leader);
    assert_eq!(world.servers[&other].state.len(), 3);
    world.split(1, 2);
    oracle(&mut world, leader, false);
    world.until(30_000, |world| world.leader().is_none());
}

#[test]
fn an_oracle_lets_the_follower_of_two_take_over() {
    let mut world = pair();
    let leader = world.settle(10_000);
    let other = 3 - leader;
    world.propose(leader);
    world.deliver();
    world.crash(leader);
    world.pass(30_000);
    assert_eq!(world.leader(), None, "nobody has said that it may");
    oracle(&mut world, other, true);
    world.until(5_000, |world| world.leader() == Some(other));
    world.propose(other);
    world.deliver();
    assert_eq!(world.servers[&other].state.len(), 2);
    // The one of before comes back, whatever its oracle says, and follows.
    for alone in [false, true] {
        world.start(leader);
        oracle(&mut world, leader, alone);
        assert_eq!(world.settle(20_000), other);
        assert_eq!(world.servers[&leader].state.len(), 2);
        world.crash(leader);
        world.pass(1_000);
    }
    // Without its word it stops.
    oracle(&mut world, other, false);
    world.until(5_000, |world| world.leader().is_none());
}
