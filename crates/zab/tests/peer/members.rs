//! Changes of the members while the ensemble runs.

use zooid_proto::ErrorCode;
use zooid_zab::{Params, Proposal, ReconfigRequest, Role, Sid};

use crate::world::{World, config_of, txn};

const RECONFIG: i32 = 16;

pub(crate) fn member(sid: Sid) -> String {
    format!(
        "server.{sid}=127.0.0.1:{}:{}:participant;127.0.0.1:{}",
        21110 + sid,
        21120 + sid,
        21100 + sid
    )
}

/// Servers with client addresses, of which `voters` are in the ensemble.
fn ensemble(voters: &[Sid]) -> World {
    let mut world = World::empty();
    for &sid in voters {
        add(&mut world, sid, voters);
    }
    world.start_all();
    world
}

fn add(world: &mut World, sid: Sid, list: &[Sid]) {
    let mut params = Params::of(sid);
    params.reconfig = true;
    let lines: Vec<String> = list.iter().map(|&sid| member(sid) + "\n").collect();
    world.add(params, lines.concat() + "version=0");
}

pub(crate) fn request<'a>(
    joining: Option<&'a str>,
    leaving: Option<&'a str>,
) -> ReconfigRequest<'a> {
    ReconfigRequest {
        joining,
        leaving,
        members: None,
        version: -1,
    }
}

/// Has the leader propose it; its zxid.
pub(crate) fn reconfig(world: &mut World, leader: Sid, request: &ReconfigRequest<'_>) -> i64 {
    let peer = world.servers[&leader].peer.as_ref().unwrap();
    let zxid = world.next_zxid(leader);
    let text = peer.reconfigure(request, zxid).expect("it is acceptable");
    assert_eq!(world.propose_kind(leader, RECONFIG, &body(&text)), zxid);
    zxid
}

/// The record of a change of members.
fn body(text: &str) -> Vec<u8> {
    let path = "/zookeeper/config";
    let mut body = (path.len() as i32).to_be_bytes().to_vec();
    body.extend_from_slice(path.as_bytes());
    body.extend_from_slice(&(text.len() as i32).to_be_bytes());
    body.extend_from_slice(text.as_bytes());
    body.extend_from_slice(&(-1i32).to_be_bytes());
    body
}

/// The transaction of a change of members.
pub(crate) fn config_txn(zxid: i64, text: &str) -> Proposal {
    txn(zxid, RECONFIG, &body(text))
}

fn version(world: &World, sid: Sid) -> i64 {
    world.servers[&sid]
        .peer
        .as_ref()
        .unwrap()
        .status()
        .config_version
}

#[test]
fn the_first_leader_gives_the_configuration_a_version() {
    // ZOOKEEPER-1783
    let mut world = ensemble(&[1, 2, 3]);
    world.settle(10_000);
    for sid in 1..=3 {
        assert_eq!(version(&world, sid), 0x1_0000_0000);
        assert!(
            world.servers[&sid]
                .disk
                .config
                .ends_with("version=100000000")
        );
        assert_eq!(world.servers[&sid].disk.next, None);
    }
}

#[test]
fn a_server_joins_and_votes() {
    let mut world = ensemble(&[1, 2, 3]);
    let leader = world.settle(10_000);
    world.propose(leader);
    add(&mut world, 4, &[1, 2, 3, 4]);
    world.start(4);
    world.until(130_000, |world| world.serves(4));
    assert!(matches!(world.servers[&4].role, Role::Following { .. }));
    let joining = member(4);
    let zxid = reconfig(&mut world, leader, &request(Some(&joining), None));
    world.deliver();
    for sid in 1..=4 {
        assert_eq!(version(&world, sid), zxid, "server {sid}");
        assert!(world.servers[&sid].disk.config.contains("server.4="));
    }
    assert_eq!(world.leader(), Some(leader));
    // Of four, two are no quorum: 1 is not enough beside the leader.
    world.crash(2);
    world.crash(4);
    let before = world.committed.len();
    let waiting = world.propose(leader);
    world.deliver();
    assert_eq!(world.committed.len(), before);
    world.start(4);
    let leader = world.settle(130_000);
    assert!(
        world.servers[&leader]
            .state
            .iter()
            .any(|entry| entry.zxid == waiting)
    );
}

#[test]
fn a_leader_that_is_removed_hands_over_without_an_election() {
    let mut world = ensemble(&[1, 2, 3]);
    let leader = world.settle(10_000);
    assert_eq!(leader, 3);
    let begin = world.now;
    let zxid = reconfig(&mut world, leader, &request(None, Some("3")));
    let behind = world.propose(leader);
    world.deliver();
    let new = world.settle(10_000);
    assert!(
        new != 3 && world.now - begin < 100,
        "{} ms",
        world.now - begin
    );
    for sid in 1..=3 {
        assert_eq!(version(&world, sid), zxid);
        // What was behind it is in the new leader's history.
        assert!(
            world.servers[&sid]
                .state
                .iter()
                .any(|entry| entry.zxid == behind)
        );
    }
    assert!(matches!(world.servers[&3].role, Role::Following { .. }));
    world.propose(new);
    world.deliver();
    world.check_same();
}

#[test]
fn a_change_needs_quorums_of_both() {
    // R1: 1, 2, 3 become 3, 4, 5.
    let mut world = ensemble(&[1, 2, 3]);
    let leader = world.settle(10_000);
    for sid in [4, 5] {
        add(&mut world, sid, &[1, 2, 3, sid]);
        world.start(sid);
    }
    world.until(130_000, |world| world.serves(4) && world.serves(5));
    world.split(leader, 4);
    world.deliver();
    let joining = format!("{},{}", member(4), member(5));
    // The disks of the new ones are slow.
    world.servers.get_mut(&5).unwrap().hold = true;
    let before = world.committed.len();
    let peer = world.servers[&leader].peer.as_ref().unwrap();
    assert_eq!(
        peer.reconfigure(&request(Some(&joining), Some("1,2,3")), 1),
        Err(ErrorCode::NewConfigNoQuorum)
    );
    let zxid = reconfig(&mut world, leader, &request(Some(&joining), Some("1,2")));
    world.deliver();
    assert_eq!(world.committed.len(), before, "2 of 3, 4, 5 are needed");
    let behind = world.propose(leader);
    world.deliver();
    assert_eq!(world.committed.len(), before);
    world.release_all(5);
    world.deliver();
    assert!(world.committed.contains_key(&zxid) && world.committed.contains_key(&behind));
    world.heal();
    world.until(130_000, |world| {
        world.serves(4) && version(world, 4) == zxid
    });
}

#[test]
fn a_change_that_is_not_committed_is_found_again() {
    let mut world = ensemble(&[1, 2, 3]);
    let leader = world.settle(10_000);
    for sid in [1, 2] {
        world.servers.get_mut(&sid).unwrap().hold = true;
    }
    let zxid = reconfig(&mut world, leader, &request(None, Some("1")));
    world.deliver();
    assert!(world.servers[&leader].disk.next.is_some());
    assert_eq!(version(&world, leader), 0x1_0000_0000);
    (1..=3).for_each(|sid| world.crash(sid));
    world.start_all();
    // Its server has it in its log and in `.next`, and wins.
    let leader = world.settle(130_000);
    assert_eq!(leader, 3);
    for sid in 1..=3 {
        assert_eq!(version(&world, sid), zxid, "server {sid}");
    }
}

#[test]
fn a_change_that_came_to_nothing_is_forgotten_behind_the_next_leader() {
    let mut world = ensemble(&[1, 2, 3]);
    let leader = world.settle(10_000);
    assert_eq!(leader, 3);
    // It is cut off with a list without 1: in that, nobody but 2 can elect anybody with it.
    world.split(3, 1);
    world.split(3, 2);
    let zxid = reconfig(&mut world, leader, &request(None, Some("1")));
    let next = |world: &World| world.servers[&3].disk.next.clone().unwrap_or_default();
    assert!(next(&world).ends_with(&format!("version={zxid:x}")));
    world.until(130_000, |world| {
        world.serves(1) && world.serves(2) && world.leader() == Some(2)
    });
    world.heal();
    assert_eq!(world.settle(130_000), 2);
    let text = next(&world);
    assert!(text.ends_with("version=100000000"), "{text}");
    world.crash(2);
    world.until(130_000, |world| world.serves(1) && world.serves(3));
    for sid in [1, 3] {
        assert_eq!(version(&world, sid), 0x1_0000_0000, "server {sid}");
    }
    world.crash(3);
    world.start(3);
    world.until(130_000, |world| world.serves(1) && world.serves(3));
    assert_eq!(version(&world, 3), 0x1_0000_0000, "from the disk");
}

#[test]
fn all_members_change_at_once_and_groups_with_them() {
    let mut world = ensemble(&[1, 2, 3]);
    let leader = world.settle(10_000);
    add(&mut world, 4, &[1, 2, 3, 4]);
    world.start(4);
    world.until(130_000, |world| world.serves(4));
    let list = format!("{},{},{}", member(2), member(3), member(4));
    let list = list + ",group.1=2:3:4,weight.2=3";
    let whole = ReconfigRequest {
        members: Some(&list),
        ..request(None, None)
    };
    let zxid = reconfig(&mut world, leader, &whole);
    world.deliver();
    for sid in 1..=4 {
        assert_eq!(version(&world, sid), zxid, "server {sid}");
        let config = &world.servers[&sid].disk.config;
        assert!(
            !config.contains("server.1=") && config.contains("weight.2=3"),
            "{config}"
        );
    }
    assert_eq!(world.leader(), Some(leader));
    let peer = world.servers[&leader].peer.as_ref().unwrap();
    assert_eq!(
        peer.reconfigure(&request(None, Some("4")), zxid + 1),
        Err(ErrorCode::BadArguments),
        "groups are given as a whole"
    );
    // 2 alone has three of five.
    world.crash(1);
    world.crash(3);
    world.crash(4);
    world.until(130_000, |world| world.leader() == Some(2));
}

#[test]
fn groups_and_weights_decide_who_leads_and_what_is_committed() {
    let mut world = World::empty();
    let lines: Vec<String> = (1..=5).map(|sid| member(sid) + "\n").collect();
    let groups = "group.1=1:2:3\ngroup.2=4:5\nweight.5=0\nversion=0";
    for sid in 1..=5 {
        world.add(Params::of(sid), lines.concat() + groups);
    }
    world.start_all();
    assert_eq!(world.settle(10_000), 4, "5 has no weight");
    world.crash(5);
    world.crash(1);
    let written = world.propose(4);
    world.deliver();
    assert!(
        world.committed.contains_key(&written),
        "2, 3 and 4 are both groups"
    );
    world.start(5);
    world.start(1);
    world.until(130_000, World::is_settled);
    // Four of five, and one group of two.
    world.crash(4);
    world.pass(60_000);
    assert_eq!(world.leader(), None);
    world.start(4);
    assert_eq!(world.settle(130_000), 4);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut world = ensemble(&[1, 2, 3]);
    let leader = world.settle(10_000);
    let zxid = world.next_zxid(leader);
    let peer = world.servers[&leader].peer.as_ref().unwrap();
    let ask = |request: &ReconfigRequest<'_>| peer.reconfigure(request, zxid).map(|_| ());
    let no_client = "server.4=127.0.0.1:1:2:participant";
    let clash = "server.4=10.0.0.1:1:2:participant;5,server.5=10.0.0.1:2:3:participant;6";
    for (joining, leaving, error) in [
        // Java fails on what is no number as on a request that cannot be read.
        (None, Some("x"), ErrorCode::MarshallingError),
        (Some("server.x=a:1:2;3"), None, ErrorCode::MarshallingError),
        (Some("server.4"), None, ErrorCode::BadArguments),
        (Some(no_client), None, ErrorCode::BadArguments),
        (Some(clash), None, ErrorCode::BadArguments),
        (None, Some("1,2"), ErrorCode::BadArguments),
    ] {
        assert_eq!(
            ask(&request(joining, leaving)),
            Err(error),
            "{joining:?} {leaving:?}"
        );
    }
    let old = ReconfigRequest {
        version: 7,
        ..request(None, Some("1"))
    };
    assert_eq!(ask(&old), Err(ErrorCode::BadVersion));
    let list = config_of(&[6, 7, 8], 8, 0);
    let whole = |members| {
        ask(&ReconfigRequest {
            members: Some(members),
            ..request(None, None)
        })
    };
    for (members, error) in [
        ("", ErrorCode::BadArguments),
        ("what=ever", ErrorCode::BadArguments),
        ("server.1=a:1:2", ErrorCode::BadArguments),
        ("server.x=a:1:2", ErrorCode::MarshallingError),
        (
            "server.1=a:1:2,server.2=b:1:2,group.1=1",
            ErrorCode::BadArguments,
        ),
        (
            "server.1=a:1:2,server.2=b:1:2,weight.1=x",
            ErrorCode::MarshallingError,
        ),
        ("server.1=a:1:2:observer", ErrorCode::MarshallingError),
        (
            "server.1=a:1:2,server.2=b:1:2:observer",
            ErrorCode::MarshallingError,
        ),
    ] {
        assert_eq!(whole(members), Err(error), "{members:?}");
    }
    let others = ReconfigRequest {
        members: Some(&list),
        ..request(None, None)
    };
    assert_eq!(ask(&others), Err(ErrorCode::NewConfigNoQuorum));
    assert_eq!(ask(&request(None, Some("1"))), Ok(()));
    world.servers.get_mut(&1).unwrap().hold = true;
    world.servers.get_mut(&2).unwrap().hold = true;
    reconfig(&mut world, leader, &request(None, Some("1")));
    let peer = world.servers[&leader].peer.as_ref().unwrap();
    assert_eq!(
        peer.reconfigure(&request(None, Some("2")), zxid + 1),
        Err(ErrorCode::ReconfigInProgress)
    );
}
