//! One peer, and a test as the other side of all its connections.

use zooid_proto::quorum::{FromLearner, LearnerInfo};
use zooid_zab::{Boot, ConnId, DiskOp, Effect, Input, Params, Peer, Port, Proposal, Role};

use crate::world::{self, txn};

/// A peer with a disk that is done at once, unless it is held, and all that it has done.
pub(crate) struct Bench {
    pub(crate) peer: Peer,
    pub(crate) now: u64,
    pub(crate) done: Vec<Effect>,
    /// What it sent on the quorum port since the test has asked.
    pub(crate) sent: Vec<(ConnId, Vec<u8>)>,
    pub(crate) hold: bool,
    pub(crate) held: Vec<u64>,
    pub(crate) election: Vec<ConnId>,
    pub(crate) quorum: Vec<ConnId>,
}

pub(crate) fn boot(sid: i64, voters: i64, log: &[(i64, i64)]) -> Boot {
    let mut recent = Vec::new();
    for &(first, last) in log {
        recent.extend((first..=last).map(|zxid| txn(zxid, 5, &[0; 8])));
    }
    let last_zxid = log.last().map_or(0, |run| run.1);
    Boot {
        params: Params::of(sid),
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
    pub(crate) fn new(boot: Boot) -> Bench {
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

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.peer.handle(input, self.now);
        self.effects();
    }

    pub(crate) fn effects(&mut self) {
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

    pub(crate) fn release(&mut self) {
        for token in std::mem::take(&mut self.held) {
            self.input(Input::Persisted { token });
        }
    }

    /// The disk operations so far.
    pub(crate) fn disk(&self) -> Vec<DiskOp> {
        let ops = self.done.iter().filter_map(|effect| match effect {
            Effect::Disk { op, .. } => Some(op.clone()),
            _ => None,
        });
        ops.collect()
    }

    pub(crate) fn applied(&self) -> Vec<i64> {
        let applied = self.done.iter().filter_map(|effect| match effect {
            Effect::Apply(proposal) => Some(proposal.zxid),
            _ => None,
        });
        applied.collect()
    }

    pub(crate) fn role(&self) -> Role {
        self.peer.status().role
    }

    /// What was sent on one connection since the last time.
    pub(crate) fn take(&mut self, conn: ConnId) -> String {
        let mut text = String::new();
        self.sent.retain(|(to, bytes)| {
            if *to == conn {
                text += &hex(bytes);
            }
            *to != conn
        });
        text
    }

    pub(crate) fn give(&mut self, conn: ConnId, packet: &str) {
        let bytes = unhex(packet);
        self.input(Input::Received {
            conn,
            bytes: &bytes,
        });
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(due) = self.peer.poll_timeout().filter(|&due| due <= end) {
            self.now = due.max(self.now + 1);
            self.input(Input::Tick);
        }
        self.now = end;
    }

    /// An election connection of a server with a larger number, which says how it votes.
    pub(crate) fn vote(
        &mut self,
        from: i64,
        n: u64,
        state: i32,
        leader: i64,
        zxid: i64,
        epoch: i64,
    ) {
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
        let frame = notification(3, state, [leader, zxid, 1, epoch]);
        self.input(Input::Received {
            conn,
            bytes: &frame,
        });
    }

    /// Makes server 1 follow 2, which leads; its connection to it.
    pub(crate) fn follow(boot: Boot) -> (Bench, ConnId) {
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
    pub(crate) fn lead(boot: Boot) -> Bench {
        let (zxid, epoch) = (boot.last_zxid, boot.current_epoch);
        let mut bench = Bench::new(boot);
        for conn in bench.election.clone() {
            bench.input(Input::Dialed { conn });
        }
        let conn = bench.election[0];
        // Server 1 votes as this one does; both have seen the better vote.
        let frame = notification(3, 0, [3, zxid, 1, epoch]);
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

    pub(crate) fn accept(&mut self, n: u64) -> ConnId {
        self.accept_on(Port::Quorum, n)
    }

    pub(crate) fn accept_on(&mut self, port: Port, n: u64) -> ConnId {
        let conn = ConnId::accepted(n);
        self.quorum.push(conn);
        self.input(Input::Accepted { conn, port });
        conn
    }

    /// Takes server `sid` through the handshake of a leader whose epoch will be `epoch`, up to its
    /// position.
    pub(crate) fn join(
        &mut self,
        n: u64,
        sid: i64,
        accepted: i64,
        current: i32,
        zxid: i64,
    ) -> ConnId {
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

    pub(crate) fn closed(&self, conn: ConnId) -> bool {
        self.done.contains(&Effect::Close { conn })
    }
}

/// A vote on the wire, of a server that knows `voters`: leader, zxid, round and epoch.
pub(crate) fn notification(voters: i64, state: i32, vote: [i64; 4]) -> Vec<u8> {
    let config = world::config(voters, 0, 0);
    let mut body = state.to_be_bytes().to_vec();
    for field in vote {
        body.extend_from_slice(&field.to_be_bytes());
    }
    body.extend_from_slice(&2i32.to_be_bytes());
    body.extend_from_slice(&(config.len() as i32).to_be_bytes());
    body.extend_from_slice(config.as_bytes());
    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
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

pub(crate) fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

pub(crate) fn newleader(zxid: i64) -> String {
    let config = world::config(3, 0, 0);
    format!(
        "0000000a{zxid:016x}{:08x}{}ffffffff",
        config.len(),
        hex(config.as_bytes())
    )
}

pub(crate) fn ack(zxid: i64) -> String {
    format!("00000003{zxid:016x}ffffffffffffffff")
}

pub(crate) fn proposal(entry: &Proposal) -> String {
    let (zxid, bytes) = (entry.zxid, &entry.bytes);
    format!(
        "00000002{zxid:016x}{:08x}{}ffffffff",
        bytes.len(),
        hex(bytes)
    )
}

pub(crate) fn commit(zxid: i64) -> String {
    format!("00000004{zxid:016x}ffffffffffffffff")
}

pub(crate) const UPTODATE: &str = "0000000cffffffffffffffffffffffffffffffff";

/// What ends a whole state.
pub(crate) const SIGNATURE: &str = "0000000a42656e57617348657265";

impl Bench {
    /// Server 5 of five, elected by 1 and 2.
    pub(crate) fn lead_of_five() -> Bench {
        let mut bench = Bench::new(boot(5, 5, &[]));
        for conn in bench.election.clone() {
            bench.input(Input::Dialed { conn });
        }
        let frame = notification(5, 0, [5, 0, 1, 0]);
        for conn in [bench.election[0], bench.election[1]] {
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
