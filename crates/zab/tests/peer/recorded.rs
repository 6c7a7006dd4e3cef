//! Conversations of servers of 3.9.5 among themselves, as `tests/recorded/record.py` found them on the
//! wire: all of it reads, and writes again as it was; and a peer that is put in the place of one of
//! the two says to the other what that one said.

use zooid_proto::members::Membership;
use zooid_proto::quorum::{
    FromLeader, FromLearner, Limits, PacketDecoder, SnapshotDecoder, SnapshotEncoder, SnapshotItem,
    kind,
};
use zooid_proto::vote::{FrameDecoder, Hello, Notification};
use zooid_zab::{Boot, ConnId, Effect, Input, Port, Proposal, Role};

use crate::bench::{Bench, ack, boot, notification, unhex};

macro_rules! recorded {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../recorded/", $name, ".txt")))),*]
    };
}

/// Follower 1 and observer 4 of leader 2, follower 3 that has nothing and comes back later, and 2 that
/// follows 3 and has transactions which nobody else has.
const CONVERSATIONS: [(&str, &str); 5] = recorded!("empty-diff" "snap" "observer" "diff" "trunc");

const ELECTIONS: [(&str, &str); 3] = recorded!("election-1" "election-2" "election-3");

/// Bytes in one direction after those in the other; `true` for those of the one who connected.
fn pieces(text: &str) -> Vec<(bool, Vec<u8>)> {
    let piece = |line: &str| (line.starts_with('>'), unhex(&line[1..]));
    text.lines().map(piece).collect()
}

fn one_side(text: &str, opener: bool) -> Vec<u8> {
    let own = pieces(text).into_iter().filter(|piece| piece.0 == opener);
    own.flat_map(|piece| piece.1).collect()
}

/// A packet: its kind and zxid, and all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    kind: i32,
    zxid: i64,
    bytes: Vec<u8>,
}

/// Reads what a leader or a learner says, in pieces.
struct Ear {
    learner: bool,
    /// A bench sends no states.
    states: bool,
    decoder: PacketDecoder,
    snapshot: Option<SnapshotDecoder>,
}

impl Ear {
    fn new(learner: bool) -> Ear {
        Ear {
            learner,
            states: true,
            decoder: PacketDecoder::new(Limits::default()),
            snapshot: None,
        }
    }

    /// The packets that are whole by now, written again. A state belongs to its SNAP.
    fn hear(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut all: Vec<Said> = Vec::new();
        match &mut self.snapshot {
            Some(snapshot) => snapshot.push(bytes),
            None => self.decoder.push(bytes),
        }
        loop {
            if let Some(snapshot) = &mut self.snapshot {
                let written = rewritten(snapshot);
                self.decoder.push(&snapshot.take_rest());
                self.snapshot = None;
                all.last_mut().expect("SNAP").bytes.extend(written);
            }
            let Some(packet) = self.decoder.next_packet().unwrap() else {
                return all;
            };
            let (kind, zxid) = (packet.kind, packet.zxid);
            let mut bytes = Vec::new();
            if self.learner {
                FromLearner::read(packet).unwrap().encode(&mut bytes);
            } else {
                FromLeader::read(packet).unwrap().encode(&mut bytes);
            }
            all.push(Said { kind, zxid, bytes });
            if kind == kind::SNAP && self.states {
                let mut snapshot = SnapshotDecoder::new(Limits::default());
                snapshot.push(&self.decoder.take_rest());
                self.snapshot = Some(snapshot);
            }
        }
    }
}

/// A state, which must be there as a whole, read and written again.
fn rewritten(decoder: &mut SnapshotDecoder) -> Vec<u8> {
    let (mut sessions, mut acls, mut nodes) = ((0, Vec::new()), (0, Vec::new()), Vec::new());
    let encoder = SnapshotEncoder;
    loop {
        match decoder.next_item().unwrap().expect("the whole state") {
            SnapshotItem::Session(session) => {
                sessions.0 += 1;
                encoder.session(session, &mut sessions.1);
            }
            SnapshotItem::Acl { id, acl } => {
                acls.0 += 1;
                encoder.acl(id, &acl, &mut acls.1);
            }
            SnapshotItem::Node(node) => encoder.node(&node, &mut nodes),
            SnapshotItem::End => break,
        }
    }
    let mut out = Vec::new();
    encoder.sessions(sessions.0, &mut out);
    out.append(&mut sessions.1);
    encoder.acls(acls.0, &mut out);
    out.append(&mut acls.1);
    out.append(&mut nodes);
    encoder.end(&mut out);
    out
}

/// All that one side says.
fn says(text: &str, learner: bool) -> Vec<Said> {
    let bytes = one_side(text, learner);
    let said = Ear::new(learner).hear(&bytes);
    let again: Vec<u8> = said.iter().flat_map(|said| said.bytes.clone()).collect();
    assert!(again == bytes, "what was read is not what is written");
    said
}

fn kinds(said: &[Said]) -> Vec<(&'static str, String)> {
    let name = |said: &Said| (kind::name(said.kind), format!("{:x}", said.zxid));
    said.iter().map(name).collect()
}

/// What is known of a conversation from its first packets.
struct Talk {
    learner: Vec<Said>,
    leader: Vec<Said>,
    sid: i64,
    leads: i64,
    accepted: i64,
    current: i64,
    position: i64,
    epoch: i64,
    /// The configuration of NEWLEADER.
    config: String,
    config_version: i64,
}

impl Talk {
    fn of(name: &str, text: &str) -> Talk {
        let (learner, leader) = (says(text, true), says(text, false));
        let read = |said: &Said| {
            let mut decoder = PacketDecoder::new(Limits::default());
            decoder.push(&said.bytes);
            let packet = decoder.next_packet().unwrap().expect("a packet");
            match FromLearner::read(packet).unwrap() {
                FromLearner::Info { info, .. } => (
                    info.sid.expect("a number"),
                    info.config_version.expect("a version"),
                ),
                FromLearner::AckEpoch { current_epoch, .. } => {
                    (current_epoch.map_or(-1, i64::from), 0)
                }
                other => panic!("{other:?}"),
            }
        };
        let (sid, config_version) = read(&learner[0]);
        let accepted = learner[0].zxid >> 32;
        let (told, _) = read(&learner[1]);
        let newleader = leader.iter().find(|said| said.kind == kind::NEW_LEADER);
        let newleader = newleader.expect("NEWLEADER");
        let config = String::from_utf8(newleader.bytes[16..newleader.bytes.len() - 4].to_vec());
        Talk {
            sid,
            leads: if name == "trunc" { 3 } else { 2 },
            accepted,
            current: if told < 0 { accepted } else { told },
            position: learner[1].zxid,
            epoch: leader[0].zxid >> 32,
            config: config.expect("text"),
            config_version,
            learner,
            leader,
        }
    }

    /// Server `sid` with the members of this conversation, in a configuration of `version`.
    fn boot(&self, sid: i64, log: &[(i64, i64)], version: i64) -> Boot {
        let mut boot = boot(sid, 3, log);
        let end = self.config.rfind("version=").expect("a version");
        boot.config = format!("{}version={version:x}", &self.config[..end]);
        boot.params.reconfig = true;
        boot
    }
}

/// Makes a peer the simulator's member of Java, which must pass here, too.
#[cfg(feature = "mutations")]
fn imitate(bench: &mut Bench, java: bool) {
    if java {
        bench.peer.imitate(zooid_zab::java::Java::V3_9);
    }
}

/// There are none without the feature.
#[cfg(not(feature = "mutations"))]
fn imitate(_: &mut Bench, _: bool) {}

/// Every conversation, for a peer as it is and for the simulator's member of Java.
fn conversations() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let models = [false, true].into_iter();
    models.flat_map(|java| CONVERSATIONS.map(|(name, text)| (name, text, java)))
}

/// What others vote, on connections that this server has dialed or that they have.
fn vote(bench: &mut Bench, from: i64, n: u64, state: i32, vote: [i64; 4]) {
    let dialed = bench.done.iter().find_map(|effect| match effect {
        Effect::Dial {
            conn, port, sid, ..
        } if *port == Port::Election && *sid == from => Some(*conn),
        _ => None,
    });
    let own = bench.peer.status().sid;
    let [leader, zxid, _, epoch] = vote;
    match dialed.filter(|_| own > from) {
        Some(conn) => {
            bench.input(Input::Dialed { conn });
            let bytes = notification(3, state, vote);
            let bytes = &bytes[..];
            bench.input(Input::Received { conn, bytes });
        }
        None => bench.vote(from, n, state, leader, zxid, epoch),
    }
}

#[test]
fn conversations_write_again_as_they_were() {
    for (name, text) in CONVERSATIONS {
        let talk = Talk::of(name, text);
        assert!(talk.learner.len() > 3 && talk.leader.len() > 5, "{name}");
        let members = Membership::parse(&talk.config, false).unwrap();
        assert_eq!(members.to_string(), talk.config, "{name}");
    }
}

#[test]
fn elections_write_again_as_they_were() {
    for (name, text) in ELECTIONS {
        let opener = one_side(text, true);
        let (hello, end) = Hello::read(&opener).unwrap().expect("a hello");
        let mut written = Vec::new();
        hello.encode(false, &mut written);
        assert_eq!(written, opener[..end], "{name}");
        for frames in [&opener[end..], &one_side(text, false)] {
            let mut decoder = FrameDecoder::new();
            decoder.push(frames);
            let mut written = Vec::new();
            while let Some(body) = decoder.next_frame().unwrap() {
                let vote = Notification::read(body).unwrap();
                assert_eq!(vote.version, 2);
                vote.encode_frame(&mut written);
            }
            assert!(!frames.is_empty() && written == frames, "{name}");
        }
    }
}

/// What a learner says by itself and not for its clients.
fn by_itself(said: &[Said], pings: bool) -> Vec<(&'static str, String)> {
    let own = |said: &&Said| match said.kind {
        kind::REQUEST | kind::REVALIDATE => false,
        kind::PING => pings,
        _ => !pings,
    };
    kinds(&said.iter().filter(own).cloned().collect::<Vec<_>>())
}

#[test]
fn a_learner_in_the_place_of_java_says_the_same() {
    for (name, text, java) in conversations() {
        let talk = Talk::of(name, text);
        let epoch = talk.position >> 32;
        let first = epoch << 32 | 1;
        let log = [(first, talk.position)];
        let log = if talk.position > 0 { &log[..] } else { &[] };
        let mut boot = talk.boot(talk.sid, log, talk.config_version);
        boot.accepted_epoch = talk.accepted;
        boot.current_epoch = talk.current;
        boot.params.observer = name == "observer";
        let mut bench = Bench::new(boot);
        imitate(&mut bench, java);
        for voter in (1..=3).filter(|voter| *voter != talk.sid) {
            let state = if voter == talk.leads { 2 } else { 1 };
            let n = voter as u64;
            vote(&mut bench, voter, n, state, [talk.leads, 0, 1, 0]);
        }
        bench.pass(300);
        let follows = match bench.role() {
            Role::Following { leader, .. } | Role::Observing { leader, .. } => leader,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(follows, talk.leads, "{name}");
        let conn = *bench.quorum.last().expect("it dials its leader");
        bench.input(Input::Dialed { conn });
        let (mut ear, mut said) = (Ear::new(true), Vec::new());
        for (_, bytes) in pieces(text).iter().filter(|piece| !piece.0) {
            bench.input(Input::Received { conn, bytes });
            said.extend(ear.hear(&unhex(&bench.take(conn))));
        }
        for pings in [false, true] {
            let wanted = by_itself(&talk.learner, pings);
            assert_eq!(by_itself(&said, pings), wanted, "{name}");
        }
        assert_eq!(said[..2], talk.learner[..2], "{name}");
        let committed = |said: &&Said| {
            matches!(
                said.kind,
                kind::COMMIT | kind::COMMIT_AND_ACTIVATE | kind::INFORM | kind::INFORM_AND_ACTIVATE
            )
        };
        let committed: Vec<i64> = talk
            .leader
            .iter()
            .filter(committed)
            .map(|said| said.zxid)
            .collect();
        assert_eq!(bench.applied(), committed, "{name}");
    }
}

/// The transaction of a PROPOSAL, INFORM or INFORMANDACTIVATE.
fn transaction(said: &Said) -> Option<Proposal> {
    let mut decoder = PacketDecoder::new(Limits::default());
    decoder.push(&said.bytes);
    match FromLeader::read(decoder.next_packet().ok()??).ok()? {
        FromLeader::Proposal { zxid, txn }
        | FromLeader::Inform { zxid, txn }
        | FromLeader::InformAndActivate { zxid, txn, .. } => Some(Proposal {
            zxid,
            bytes: txn.into_owned().into(),
        }),
        _ => None,
    }
}

/// A leader that has another follower, and all transactions before those of the conversation.
struct Leading {
    bench: Bench,
    helper: ConnId,
    conn: ConnId,
    proposed: i64,
}

impl Leading {
    fn new(name: &str, talk: &Talk, java: bool) -> Leading {
        let first = |said: &Said| transaction(said).map(|txn| txn.zxid);
        let before = talk.epoch - 1;
        let log = match talk.leader.iter().find(|said| said.kind == kind::TRUNC) {
            Some(trunc) => vec![(before << 32 | 1, trunc.zxid)],
            None => Vec::new(),
        };
        let version = match Membership::parse(&talk.config, false).unwrap().version {
            version if version == talk.epoch << 32 => 0,
            version => version,
        };
        let mut bench = Bench::new(talk.boot(talk.leads, &log, version));
        imitate(&mut bench, java);
        let last = log.last().map_or(0, |run| run.1);
        vote(&mut bench, 1, 1, 0, [talk.leads, last, 1, before]);
        bench.pass(300);
        assert!(matches!(bench.role(), Role::Leading { .. }), "{name}");
        let helper = if talk.sid == 1 { 3 } else { 1 };
        let helper = bench.join(50, helper, before, before as i32, last);
        bench.give(helper, &ack(talk.epoch << 32));
        assert!(
            matches!(bench.role(), Role::Leading { serving: true, .. }),
            "{name}: {:?}",
            bench.role()
        );
        let mut leading = Leading {
            bench,
            helper,
            conn: ConnId::accepted(60),
            proposed: talk.epoch << 32,
        };
        let sync = talk.leader.iter().find(|said| {
            matches!(said.kind, kind::DIFF | kind::SNAP) && said.zxid > talk.epoch << 32
        });
        let known = talk.leader.iter().filter_map(transaction);
        let known: Vec<Proposal> = known.collect();
        if let Some(upto) = sync.map(|said| said.zxid) {
            let made_up = |zxid| crate::world::txn(zxid, 5, &[0; 8]);
            while leading.proposed < upto {
                let zxid = leading.proposed + 1;
                let txn = known.iter().find(|txn| txn.zxid == zxid).cloned();
                leading.propose(txn.unwrap_or_else(|| made_up(zxid)));
                leading.agree(zxid);
            }
            if talk.leader.iter().any(|said| said.kind == kind::SNAP) {
                // Java knows of no log behind its snapshot that would be short enough.
                leading.bench.input(Input::LogStartsAt { zxid: upto });
            }
        }
        assert!(
            talk.leader.iter().any(|said| first(said).is_some()),
            "{name}"
        );
        leading.conn = leading.bench.accept(60);
        leading
    }

    fn propose(&mut self, txn: Proposal) {
        self.proposed = txn.zxid;
        self.bench.input(Input::Propose(txn));
    }

    /// The other follower acknowledges.
    fn agree(&mut self, zxid: i64) {
        let helper = self.helper;
        self.bench.give(helper, &ack(zxid));
    }

    /// Does what the state machine of a leader does with what learners ask.
    fn answer(&mut self) {
        for effect in self.bench.done.split_off(0) {
            match effect {
                Effect::Request { conn, request } if request.op == 9 => {
                    self.bench.input(Input::LearnerSync { conn });
                }
                Effect::Revalidate { conn, session, .. } => {
                    let valid = true;
                    self.bench.input(Input::Revalidated {
                        conn,
                        session,
                        valid,
                    });
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_leader_in_the_place_of_java_says_the_same() {
    for (name, text, java) in conversations() {
        let talk = Talk::of(name, text);
        let mut leading = Leading::new(name, &talk, java);
        leading.bench.done.clear();
        let conn = leading.conn;
        let (mut ear, mut said) = (Ear::new(false), Vec::new());
        ear.states = false;
        let mut other = Ear::new(false);
        for (learner, bytes) in pieces(text) {
            if learner {
                let bytes = &bytes[..];
                leading.bench.input(Input::Received { conn, bytes });
            } else {
                for packet in other.hear(&bytes) {
                    if let Some(txn) = transaction(&packet)
                        && txn.zxid > leading.proposed
                    {
                        leading.propose(txn);
                    }
                    if leading.proposed >= packet.zxid && packet.kind != kind::PROPOSAL {
                        leading.agree(packet.zxid);
                    }
                }
            }
            leading.answer();
            let heard = leading.bench.take(conn);
            said.extend(ear.hear(&unhex(&heard)));
        }
        let but_pings = |said: &[Said]| -> Vec<Said> {
            let own = said.iter().filter(|said| said.kind != kind::PING);
            own.cloned().collect()
        };
        let (said, wanted) = (but_pings(&said), but_pings(&talk.leader));
        assert_eq!(kinds(&said), kinds(&wanted), "{name}");
        // Byte by byte, but for the state, which the machine of a leader writes.
        for (said, wanted) in said.iter().zip(&wanted) {
            if wanted.kind != kind::SNAP {
                assert_eq!(said, wanted, "{name}");
            }
        }
    }
}
