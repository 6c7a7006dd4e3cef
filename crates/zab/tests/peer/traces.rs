//! Packets byte by byte as 3.9.5 sends and expects them: one peer, and the test as its other side.

use zooid_proto::quorum::{FromLearner, LearnerInfo};
use zooid_zab::{
    Boot, ConnId, DiskOp, Effect, Forwarded, Input, Peer, Port, Proposal, ReconfigRequest, Role,
};

use crate::world::{self, txn};

/// A peer with a disk that is done at once, unless it is held, and all that it has done.
struct Bench {
    peer: Peer,
    now: u64,
    done: Vec<Effect>,
    /// What it sent on the quorum port since the test has asked.
    sent: Vec<(ConnId, Vec<u8>)>,
    hold: bool,
    held: Vec<u64>,
    election: Vec<ConnId>,
    quorum: Vec<ConnId>,
}

fn boot(sid: i64, voters: i64, log: &[(i64, i64)]) -> Boot {
    let mut recent = Vec::new();
    for &(first, last) in log {
        recent.extend((first..=last).map(|zxid| txn(zxid, 5, &[0; 8])));
    }
    let last_zxid = log.last().map_or(0, |run| run.1);
    Boot {
        params: world::params(sid),
        config: world::config(voters, 0, 0),
        next_config: None,
        accepted_epoch: last_zxid >> 32,
        current_epoch: last_zxid >> 32,
        last_zxid,
        log: log.to_vec(),
        recent,
        may_have_lost_data: false,
    }
}

impl Bench {
    fn new(boot: Boot) -> Bench {
        let now = 1000;
        let mut bench = Bench {
            peer: Peer::new(boot, now),
            now,
            done: Vec::new(),
            sent: Vec::new(),
            hold: false,
            held: Vec::new(),
            election: Vec::new(),
            quorum: Vec::new(),
        };
        bench.effects();
        bench
    }

    fn input(&mut self, input: Input<'_>) {
        self.peer.handle(input, self.now);
        self.effects();
    }

    fn effects(&mut self) {
        while let Some(effect) = self.peer.poll_effect() {
            match &effect {
                Effect::Dial { conn, port, .. } => match port {
                    Port::Election => self.election.push(*conn),
                    _ => self.quorum.push(*conn),
                },
                Effect::Send { conn, bytes } if self.quorum.contains(conn) => {
                    self.sent.push((*conn, bytes.clone()));
                }
                Effect::Disk { token, .. } => {
                    let token = *token;
                    if self.hold {
                        self.held.push(token);
                    } else {
                        self.peer.handle(Input::Persisted { token }, self.now);
                    }
                }
                _ => {}
            }
            self.done.push(effect);
        }
    }

    fn release(&mut self) {
        for token in std::mem::take(&mut self.held) {
            self.input(Input::Persisted { token });
        }
    }

    /// The disk operations so far.
    fn disk(&self) -> Vec<DiskOp> {
        let ops = self.done.iter().filter_map(|effect| match effect {
            Effect::Disk { op, .. } => Some(op.clone()),
            _ => None,
        });
        ops.collect()
    }

    fn applied(&self) -> Vec<i64> {
        let applied = self.done.iter().filter_map(|effect| match effect {
            Effect::Apply(proposal) => Some(proposal.zxid),
            _ => None,
        });
        applied.collect()
    }

    fn role(&self) -> Role {
        self.peer.status().role
    }

    /// What was sent on one connection since the last time.
    fn take(&mut self, conn: ConnId) -> String {
        let mut text = String::new();
        self.sent.retain(|(to, bytes)| {
            if *to == conn {
                text += &hex(bytes);
            }
            *to != conn
        });
        text
    }

    fn give(&mut self, conn: ConnId, packet: &str) {
        let bytes = unhex(packet);
        self.input(Input::Received {
            conn,
            bytes: &bytes,
        });
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(due) = self.peer.poll_timeout().filter(|&due| due <= end) {
            self.now = due.max(self.now + 1);
            self.input(Input::Tick);
        }
        self.now = end;
    }

    /// An election connection of a server with a larger number, which says how it votes.
    fn vote(&mut self, from: i64, n: u64, state: i32, leader: i64, zxid: i64, epoch: i64) {
        let conn = ConnId::accepted(n);
        let port = Port::Election;
        if !self.election.contains(&conn) {
            self.election.push(conn);
            self.input(Input::Accepted { conn, port });
            let address = format!("127.0.0.1:{}", 21120 + from);
            let mut hello = (-65536i64).to_be_bytes().to_vec();
            hello.extend_from_slice(&from.to_be_bytes());
            hello.extend_from_slice(&(address.len() as i32).to_be_bytes());
            hello.extend_from_slice(address.as_bytes());
            self.input(Input::Received {
                conn,
                bytes: &hello,
            });
        }
        let config = world::config(3, 0, 0);
        let mut body = state.to_be_bytes().to_vec();
        for field in [leader, zxid, 1, epoch] {
            body.extend_from_slice(&field.to_be_bytes());
        }
        body.extend_from_slice(&2i32.to_be_bytes());
        body.extend_from_slice(&(config.len() as i32).to_be_bytes());
        body.extend_from_slice(config.as_bytes());
        let mut frame = (body.len() as i32).to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        self.input(Input::Received {
            conn,
            bytes: &frame,
        });
    }

    /// Makes server 1 follow 2, which leads; its connection to it.
    fn follow(boot: Boot) -> (Bench, ConnId) {
        let mut bench = Bench::new(boot);
        bench.vote(2, 1, 2, 2, 0, 0);
        bench.vote(3, 2, 1, 2, 0, 0);
        bench.pass(300);
        assert!(
            matches!(bench.role(), Role::Following { leader: 2, .. }),
            "{:?}",
            bench.role()
        );
        let conn = *bench.quorum.last().expect("it dials its leader");
        bench.input(Input::Dialed { conn });
        (bench, conn)
    }

    /// Makes server 3 lead, elected by 1.
    fn lead(boot: Boot) -> Bench {
        let (zxid, epoch) = (boot.last_zxid, boot.current_epoch);
        let mut bench = Bench::new(boot);
        for conn in bench.election.clone() {
            bench.input(Input::Dialed { conn });
        }
        let conn = bench.election[0];
        // Server 1 votes as this one does; both have seen the better vote.
        let mut body = 0i32.to_be_bytes().to_vec();
        for field in [3, zxid, 1, epoch] {
            body.extend_from_slice(&field.to_be_bytes());
        }
        let config = world::config(3, 0, 0);
        body.extend_from_slice(&2i32.to_be_bytes());
        body.extend_from_slice(&(config.len() as i32).to_be_bytes());
        body.extend_from_slice(config.as_bytes());
        let mut frame = (body.len() as i32).to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        bench.input(Input::Received {
            conn,
            bytes: &frame,
        });
        bench.pass(300);
        assert!(
            matches!(bench.role(), Role::Leading { .. }),
            "{:?}",
            bench.role()
        );
        bench
    }

    fn accept(&mut self, n: u64) -> ConnId {
        let conn = ConnId::accepted(n);
        self.quorum.push(conn);
        self.input(Input::Accepted {
            conn,
            port: Port::Quorum,
        });
        conn
    }

    /// Takes server `sid` through the handshake of a leader whose epoch will be `epoch`, up to its
    /// position.
    fn join(&mut self, n: u64, sid: i64, accepted: i64, current: i32, zxid: i64) -> ConnId {
        let conn = self.accept(n);
        let mut bytes = Vec::new();
        FromLearner::Info {
            observer: sid > 3,
            accepted_epoch: accepted,
            info: LearnerInfo::new(sid, 0),
        }
        .encode(&mut bytes);
        self.input(Input::Received {
            conn,
            bytes: &bytes,
        });
        let leader_info = self.take(conn);
        assert!(
            leader_info.starts_with("00000011"),
            "LEADERINFO: {leader_info}"
        );
        let mut bytes = Vec::new();
        FromLearner::AckEpoch {
            last_zxid: zxid,
            current_epoch: Some(current),
        }
        .encode(&mut bytes);
        self.input(Input::Received {
            conn,
            bytes: &bytes,
        });
        conn
    }

    fn closed(&self, conn: ConnId) -> bool {
        self.done.contains(&Effect::Close { conn })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("hex");
        u8::from_str_radix(text, 16).expect("hex")
    };
    digits.chunks(2).map(pair).collect()
}

fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

fn newleader(zxid: i64) -> String {
    let config = world::config(3, 0, 0);
    format!(
        "0000000a{zxid:016x}{:08x}{}ffffffff",
        config.len(),
        hex(config.as_bytes())
    )
}

fn ack(zxid: i64) -> String {
    format!("00000003{zxid:016x}ffffffffffffffff")
}

fn proposal(entry: &Proposal) -> String {
    let (zxid, bytes) = (entry.zxid, &entry.bytes);
    format!(
        "00000002{zxid:016x}{:08x}{}ffffffff",
        bytes.len(),
        hex(bytes)
    )
}

fn commit(zxid: i64) -> String {
    format!("00000004{zxid:016x}ffffffffffffffff")
}

const UPTODATE: &str = "0000000cffffffffffffffffffffffffffffffff";

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

const SIGNATURE: &str = "0000000a42656e57617348657265";

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
        assert_eq!(hex(&passed), empty_state(), "in parts of {cut}");
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
    assert_eq!(sent, begin.clone() + SIGNATURE + &newleader(0x2_0000_0000));
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

impl Bench {
    /// Server 5 of five, elected by 1 and 2.
    fn lead_of_five() -> Bench {
        let mut bench = Bench::new(boot(5, 5, &[]));
        for conn in bench.election.clone() {
            bench.input(Input::Dialed { conn });
        }
        let config = world::config(5, 0, 0);
        let supporters = [bench.election[0], bench.election[1]];
        for conn in supporters {
            let mut body = 0i32.to_be_bytes().to_vec();
            for field in [5i64, 0, 1, 0] {
                body.extend_from_slice(&field.to_be_bytes());
            }
            body.extend_from_slice(&2i32.to_be_bytes());
            body.extend_from_slice(&(config.len() as i32).to_be_bytes());
            body.extend_from_slice(config.as_bytes());
            let mut frame = (body.len() as i32).to_be_bytes().to_vec();
            frame.extend_from_slice(&body);
            bench.input(Input::Received {
                conn,
                bytes: &frame,
            });
        }
        bench.pass(300);
        assert!(matches!(bench.role(), Role::Leading { .. }));
        for (n, sid) in [(101, 1), (102, 2)] {
            let conn = bench.accept(n);
            let mut bytes = Vec::new();
            FromLearner::Info {
                observer: false,
                accepted_epoch: 0,
                info: LearnerInfo::new(sid, 0),
            }
            .encode(&mut bytes);
            bench.input(Input::Received {
                conn,
                bytes: &bytes,
            });
            bench.input(Input::Closed { conn });
        }
        bench
    }
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
