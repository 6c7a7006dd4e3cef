//! Random crashes, slow disks, cut streams and broken links, and what must hold whatever comes.

use crate::world::{Dice, Disk, World, config};
use zooid_zab::Sid;

#[test]
fn nothing_that_was_committed_is_lost_in_a_storm() {
    let seeds: u64 = match std::env::var("ZAB_STORMS") {
        Ok(seeds) => seeds.parse().expect("a number"),
        Err(_) => 20,
    };
    let first: u64 = match std::env::var("ZAB_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => 1,
    };
    let mut committed = 0;
    for seed in first..first + seeds {
        println!("seed {seed}");
        committed += storm(seed);
    }
    println!("{committed} transactions");
    assert!(
        committed as u64 > seeds,
        "storms that let nothing through show nothing"
    );
}

fn storm(seed: u64) -> usize {
    let dice = &mut Dice(seed);
    let voters = [3, 3, 5][dice.below(3) as usize];
    let observers = dice.below(2) as i64;
    let entries = [2, 10, 500][dice.below(3) as usize];
    let mut world = World::with(voters, observers, |params| {
        params.history_entries = entries;
        // Observers of every second ensemble go to followers.
        params.observer_master_port = (seed % 2) as u16;
        params.seed = seed ^ params.sid as u64;
    });
    let all = voters + observers;
    world.start_all();
    let violence = 1 + dice.below(40);
    for _ in 0..3000 {
        let sid: Sid = 1 + dice.below(all as u64) as Sid;
        let up = world.servers[&sid].peer.is_some();
        match dice.below(1000) {
            n if n < violence => {
                if up {
                    world.crash_amid(sid, dice);
                } else {
                    world.start(sid);
                }
            }
            n if n < 2 * violence => {
                let other = 1 + dice.below(all as u64) as Sid;
                if dice.below(2) == 0 {
                    world.split(sid, other);
                } else {
                    world.heal();
                }
            }
            n if n < 3 * violence => {
                let server = world.servers.get_mut(&sid).unwrap();
                server.hold = dice.below(2) == 0;
                if !server.hold {
                    world.release_all(sid);
                }
            }
            n if n < 200 => world.release(sid, 1 + dice.below(3) as usize),
            n if n < 300 => {
                let longest = [10, 100, 1000][dice.below(3) as usize];
                let ms = dice.below(longest);
                world.skip(ms);
            }
            n if n < 400 => {
                if let Some(leader) = world.leader() {
                    world.propose_kind(leader, 5, &dice.below(u64::MAX).to_be_bytes());
                }
            }
            400 => {
                // A minority gets new disks, all that it had is gone for good: only where it is known.
                let down = world
                    .servers
                    .values()
                    .filter(|server| server.peer.is_none());
                if !up && down.count() as i64 == 1 && sid > voters {
                    world.servers.get_mut(&sid).unwrap().disk = Disk {
                        config: config(voters, observers, 0),
                        ..Disk::default()
                    };
                }
            }
            _ => {
                world.deliver_any(dice);
            }
        }
        world.check_invariants();
    }
    world.heal();
    for sid in 1..=all {
        world.release_all(sid);
        if world.servers[&sid].peer.is_none() {
            world.start(sid);
        }
    }
    // A server that promised itself to an epoch that did not come about is refused until there is
    // another leader (spec, scenario 16).
    world.until(300_000, |world| world.leader().is_some());
    world.pass(130_000);
    if !world.is_settled() {
        let leader = world.leader().expect("a leader stays");
        world.crash(leader);
        world.until(300_000, |world| world.leader().is_some());
        world.start(leader);
    }
    let leader = world.settle(300_000);
    world.propose(leader);
    world.deliver();
    world.check_same();
    let state = &world.servers[&leader].state;
    for (zxid, proposal) in &world.committed {
        assert!(
            state.contains(proposal),
            "0x{zxid:x} was committed, and is lost (D1)"
        );
    }
    world.committed.len()
}
