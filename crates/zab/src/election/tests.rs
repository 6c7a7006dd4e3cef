//! The bytes that Java sends and takes, and connections.

use zooid_proto::vote::Hello;

use super::*;
use crate::io::{Effect, Port, Sid};
use crate::vote_testing::{config, params, read_frame, vote};

/// A server, its words and its connections.
pub(super) struct Server {
    pub(super) elections: Elections,
    pub(super) out: Out,
    pub(super) now: u64,
    pub(super) events: Vec<ElectionEvent>,
    accepted: u64,
}

impl Server {
    fn new(sid: Sid, committed: Arc<Verifier>) -> Server {
        Server {
            elections: Elections::new(&params(sid), committed, None),
            out: Out::new(1),
            now: 0,
            events: Vec::new(),
            accepted: 0,
        }
    }

    fn looking(sid: Sid, committed: Arc<Verifier>) -> Server {
        let mut server = Server::new(sid, committed);
        server.look(0, false);
        server
    }

    fn look(&mut self, zxid: i64, observer: bool) {
        let standing = Standing {
            zxid,
            current_epoch: 0,
            observer,
        };
        let events = self.elections.look(standing, self.now, &mut self.out);
        self.events.extend(events);
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.out.pop()).collect()
    }

    /// Those that are being dialed.
    fn dials(&mut self) -> Vec<(Sid, ConnId)> {
        let dial = |effect| match effect {
            Effect::Dial {
                conn,
                sid,
                port: Port::Election,
                ..
            } => Some((sid, conn)),
            _ => None,
        };
        self.effects().into_iter().filter_map(dial).collect()
    }

    fn dialed(&mut self, conn: ConnId) {
        let events = self.elections.dialed(conn, self.now, &mut self.out);
        self.events.extend(events);
    }

    fn accept(&mut self) -> ConnId {
        self.accepted += 1;
        let conn = ConnId::accepted(self.accepted);
        self.elections.accepted(conn, self.now, &mut self.out);
        conn
    }

    fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        if self.elections.owns(conn) {
            let events = self
                .elections
                .received(conn, bytes, self.now, &mut self.out);
            self.events.extend(events);
        }
    }

    fn close(&mut self, conn: ConnId) {
        let events = self.elections.closed(conn, self.now, &mut self.out);
        self.events.extend(events.expect("one of its own"));
    }

    /// A connection from another server.
    fn call(&mut self, sid: Sid) -> ConnId {
        let conn = self.accept();
        self.receive(conn, &hello(sid));
        conn
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(at) = self.elections.next_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            let events = self.elections.tick(self.now, &mut self.out);
            self.events.extend(events);
        }
        self.now = end;
    }
}

fn hello(sid: Sid) -> Vec<u8> {
    hex(&format!(
        "ffffffffffff0000 {sid:016x} 0000000f 3132372e302e302e313a3231313231"
    ))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(text, 16).expect("two digits")
    };
    digits.chunks(2).map(byte).collect()
}

/// What is sent on each connection in a row, as one.
fn sends(effects: &[Effect]) -> Vec<(ConnId, Vec<u8>)> {
    let mut all: Vec<(ConnId, Vec<u8>)> = Vec::new();
    for effect in effects {
        if let Effect::Send { conn, bytes } = effect {
            match all.last_mut().filter(|(last, _)| last == conn) {
                Some((_, sent)) => sent.extend_from_slice(bytes),
                None => all.push((*conn, bytes.clone())),
            }
        }
    }
    all
}

fn closes(effects: &[Effect]) -> Vec<ConnId> {
    let close = |effect| match effect {
        &Effect::Close { conn } => Some(conn),
        _ => None,
    };
    effects.iter().filter_map(close).collect()
}

/// The configuration of the recorded bytes.
fn recorded() -> Arc<Verifier> {
    config(3, 0, 0)
}

const RECORDED_CONFIG: &str = "
    7365727665722e313d3132372e302e302e313a32313131313a32313132313a7061727469636970616e740a
    7365727665722e323d3132372e302e302e313a32313131323a32313132323a7061727469636970616e740a
    7365727665722e333d3132372e302e302e313a32313131333a32313132333a7061727469636970616e740a
    76657273696f6e3d30";

fn recorded_frame(header: &str) -> Vec<u8> {
    hex(&format!(
        "000000b6 {header} 00000002 0000008a {RECORDED_CONFIG}"
    ))
}

const FIRST_VOTE: &str =
    "00000000 0000000000000001 0000000000000000 0000000000000001 0000000000000000";

#[test]
fn the_first_bytes_are_those_of_java() {
    let mut server = Server::looking(2, recorded());
    let &[(1, conn)] = &server.dials()[..] else {
        panic!("it dials smaller numbers only")
    };
    server.dialed(conn);
    let effects = server.effects();
    let own = "00000000 0000000000000002 0000000000000000 0000000000000001 0000000000000000";
    let greeting = hex("ffffffffffff0000 0000000000000002 0000000f 3132372e302e302e313a3231313232");
    let expected = [greeting, recorded_frame(own)].concat();
    assert_eq!(sends(&effects), [(conn, expected)]);

    let mut server = Server::looking(1, recorded());
    let conn = server.call(2);
    let first = recorded_frame(FIRST_VOTE);
    assert_eq!(sends(&server.effects()), [(conn, first)]);
}

#[test]
fn recorded_answers_of_a_follower_and_a_leader_are_given_and_understood() {
    let following = "00000001 0000000000000002 0000000000000000 0000000000000001 0000000000000001";
    let leading = "00000002 0000000000000002 0000000000000000 0000000000000001 0000000000000001";
    let established = vote(2, 0, 1, 1);
    for (sid, state, answer) in [
        (1, PeerState::Following, following),
        (2, PeerState::Leading, leading),
    ] {
        let mut server = Server::new(sid, recorded());
        server
            .elections
            .settle(state, established, 0, &mut server.out);
        let conn = server.call(3);
        server.effects();
        let asking = "00000000 0000000000000003 0000000000000000 0000000000000001 0000000000000000";
        server.receive(conn, &recorded_frame(asking));
        let answer = recorded_frame(answer);
        assert_eq!(sends(&server.effects()), [(conn, answer)]);
    }
    let mut server = Server::looking(3, recorded());
    for (sid, conn) in server.dials() {
        server.dialed(conn);
        let answer = if sid == 1 { following } else { leading };
        for byte in recorded_frame(answer) {
            server.receive(conn, &[byte]);
        }
    }
    let joins = ElectionEvent::Decided {
        state: PeerState::Following,
        vote: established,
    };
    assert_eq!(server.events, [joins]);
}

#[test]
fn an_observer_and_a_joining_server_ask_as_in_java() {
    let observer = "00000000 8000000000000000 8000000000000000 0000000000000001 8000000000000000";
    let joining = "00000000 8000000000000000 0000000000000000 0000000000000001 0000000000000000";
    for (sid, members, is_observer, expected) in [
        (4, config(3, 1, 0), true, observer),
        (5, config(3, 1, 0), false, joining),
    ] {
        let mut server = Server::new(sid, members);
        server.look(0, is_observer);
        let dials = server.dials();
        assert_eq!(dials.len(), 3, "all voters");
        server.dialed(dials[0].1);
        let effects = server.effects();
        let (_, sent) = &sends(&effects)[0];
        let (greeting, length) = Hello::read(sent).unwrap().unwrap();
        assert_eq!(greeting.sid, sid);
        let frame = &sent[length..];
        assert_eq!(frame[4..40], hex(expected));
    }
}

/// Server 2 of three with 1 gone and 3 connected, which votes for 3.
#[test]
fn an_election_among_two_whose_third_is_refused_takes_one_exchange() {
    let mut server = Server::looking(2, recorded());
    let &[(1, dial)] = &server.dials()[..] else {
        panic!("it dials 1")
    };
    let conn = server.call(3);
    server.close(dial);
    let for_three = "00000000 0000000000000003 0000000000000000 0000000000000001 0000000000000000";
    server.receive(conn, &recorded_frame(for_three));
    assert_eq!(server.events, [], "these may be old words");
    let effects = server.effects();
    let (_, answer) = sends(&effects).pop().expect("an answer");
    assert!(answer.ends_with(&recorded_frame(for_three)));
    server.receive(conn, &recorded_frame(for_three));
    let joins = ElectionEvent::Decided {
        state: PeerState::Following,
        vote: vote(3, 0, 1, 0),
    };
    assert_eq!((server.now, &server.events[..]), (0, &[joins][..]));
}

#[test]
fn a_smaller_server_rings_and_is_called_back() {
    let mut server = Server::looking(1, recorded());
    assert_eq!(server.dials(), [], "2 and 3 may be calling");
    server.wait(50);
    let dials = server.dials();
    assert_eq!(dials.len(), 2);
    server.dialed(dials[0].1);
    let effects = server.effects();
    assert_eq!(sends(&effects), [(dials[0].1, hello(1))]);
    assert_eq!(closes(&effects), [dials[0].1]);
    let conn = server.call(3);
    let effects = server.effects();
    assert_eq!(closes(&effects), [dials[1].1], "3 has called by itself");
    assert_eq!(sends(&effects)[0].0, conn);
}

#[test]
fn who_has_a_leader_rings_late() {
    let mut server = Server::new(1, recorded());
    let following = vote(2, 0, 1, 1);
    server
        .elections
        .settle(PeerState::Following, following, 0, &mut server.out);
    server.wait(1999);
    assert_eq!(server.dials(), [], "2 and 3 call when they like");
    server.wait(1);
    assert_eq!(server.dials().len(), 2, "it may be Java, which does not");
}

#[test]
fn a_larger_server_calls_back_who_rings_and_not_twice() {
    let mut server = Server::new(3, recorded());
    let following = vote(2, 0, 1, 1);
    server
        .elections
        .settle(PeerState::Following, following, 0, &mut server.out);
    server.effects();
    let rang = server.call(1);
    assert_eq!(closes(&server.effects()), [rang]);
    server.wait(3000);
    server.effects();
    // A server of no configuration is called where it says it is.
    let rang = server.accept();
    let mut greeting = Vec::new();
    let (hello, _) = Hello::read(&hello(0)).unwrap().unwrap();
    hello.encode(false, &mut greeting);
    server.receive(rang, &greeting);
    let effects = server.effects();
    let dial = effects.iter().find_map(|effect| match effect {
        Effect::Dial { sid, addresses, .. } => Some((*sid, addresses.clone())),
        _ => None,
    });
    assert_eq!(dial, Some((0, vec!["127.0.0.1:21121".to_owned()])));
    server.call(0);
    assert_eq!(server.dials(), [], "it is being called");
}

#[test]
fn a_newer_connection_replaces_an_older_one() {
    let mut server = Server::looking(1, recorded());
    let old = server.call(2);
    server.effects();
    let new = server.call(2);
    let effects = server.effects();
    assert_eq!(closes(&effects), [old]);
    assert_eq!(sends(&effects).len(), 1, "the proposal again");
    assert!(server.elections.owns(new) && !server.elections.owns(old));
}

/// The first connection of a pair is not closed by a ring that was under way.
#[test]
fn a_ring_does_not_close_a_young_connection_but_an_old_one() {
    let mut server = Server::looking(3, recorded());
    let dials = server.dials();
    let link = dials[0].1;
    server.dialed(link);
    server.effects();
    let ring = server.call(1);
    assert_eq!(closes(&server.effects()), [ring]);
    assert!(server.elections.owns(link));
    server.wait(200);
    server.effects();
    let ring = server.call(1);
    let effects = server.effects();
    assert_eq!(closes(&effects), [ring, link]);
    let dials = |effect: &&Effect| matches!(effect, Effect::Dial { sid: 1, .. });
    assert_eq!(effects.iter().filter(dials).count(), 1);
}

#[test]
fn a_server_that_is_not_there_is_dialed_less_and_less_often() {
    let mut server = Server::looking(3, recorded());
    let mut dials = 0;
    for _ in 0..1000 {
        for (_, conn) in server.dials() {
            dials += 1;
            server.close(conn);
        }
        server.wait(10);
    }
    assert!((30..60).contains(&dials), "{dials} in 10 s for 2 servers");
    let idle = vote(3, 0, 1, 1);
    server
        .elections
        .settle(PeerState::Leading, idle, server.now, &mut server.out);
    let mut dials = 0;
    for _ in 0..1000 {
        for (_, conn) in server.dials() {
            dials += 1;
            server.close(conn);
        }
        server.wait(10);
    }
    assert!((8..14).contains(&dials), "{dials} in 10 s, idle");
}

#[test]
fn what_is_no_server_is_refused_or_timed_out() {
    for bad in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &hello(1),
        &hello(i64::MAX),
        &hello(i64::MIN),
        &hex("ffffffffffff0000 0000000000000002 7fffffff"),
        &hex("ffffffffffff0000 0000000000000002 00000000"),
        &hex("ffffffffffff0007 0000000000000002"),
        &[&hello(2)[..], &hex("7fffffff")].concat(),
        &[&hello(2)[..], &hex("00000000")].concat(),
    ] {
        let mut server = Server::looking(1, recorded());
        let conn = server.accept();
        server.receive(conn, bad);
        // The request of a browser is the number of a server, as in 3.4, and garbage behind it.
        assert!(!server.elections.owns(conn), "{bad:02x?}");
        assert!(closes(&server.effects()).contains(&conn), "{bad:02x?}");
    }
    let mut server = Server::looking(1, recorded());
    let silent = server.accept();
    let slow = server.accept();
    server.receive(slow, &hello(2)[..12]);
    server.wait(9_999);
    assert!(server.elections.owns(silent) && server.elections.owns(slow));
    server.wait(1);
    assert!(!server.elections.owns(silent) && !server.elections.owns(slow));
}

/// Whoever waited for it hears at once that it is gone, not with the next event of another connection.
#[test]
fn a_link_that_is_refused_for_what_it_says_is_down() {
    let mut server = Server::looking(1, recorded());
    let conn = server.accept();
    server.receive(conn, &hello(2));
    assert!(server.elections.owns(conn) && !server.elections.is_down(2));
    server.receive(conn, &hex("00000004 7fffffff"));
    assert!(!server.elections.owns(conn) && server.elections.is_down(2));
}

#[test]
fn the_silent_do_not_keep_others_out() {
    let mut server = Server::looking(1, recorded());
    let silent: Vec<ConnId> = (0..200)
        .map(|_| {
            server.wait(1);
            server.accept()
        })
        .collect();
    let kept = silent.iter().filter(|&&c| server.elections.owns(c)).count();
    assert_eq!(kept, 64);
    let conn = server.call(3);
    assert!(server.elections.owns(conn));
    for sid in 100..200 {
        server.call(sid);
    }
    let own = |n| server.elections.owns(ConnId::accepted(n));
    assert_eq!((202..=301).filter(|&n| own(n)).count(), 32, "strangers");
    let conn = server.call(2);
    assert!(server.elections.owns(conn));
}

/// Addresses that are wildcards say nothing to another machine.
#[test]
fn zookeeper_2164_wildcards_in_a_greeting_are_not_dialed() {
    let mut server = Server::new(3, recorded());
    let ring = server.accept();
    let wildcard = b"0.0.0.0:21121";
    let mut greeting = hex("ffffffffffff0000 0000000000000001 0000000d");
    greeting.extend_from_slice(wildcard);
    server.receive(ring, &greeting);
    let effects = server.effects();
    let dial = effects.iter().find_map(|effect| match effect {
        Effect::Dial { addresses, .. } => Some(addresses.clone()),
        _ => None,
    });
    assert_eq!(dial, Some(vec!["127.0.0.1:21121".to_owned()]));
}

#[test]
fn new_members_begin_anew() {
    let mut server = Server::looking(2, recorded());
    let conn = server.call(3);
    server.effects();
    let seen = Some(config(5, 0, 9));
    let (now, out) = (server.now, &mut server.out);
    assert!(!server.elections.reconfigure(recorded(), seen, now, out));
    assert!(server.elections.owns(conn));
    assert!(
        server
            .elections
            .reconfigure(config(5, 0, 9), None, now, out)
    );
    assert!(!server.elections.owns(conn));
    let effects = server.effects();
    assert!(closes(&effects).contains(&conn));
    server.look(0, false);
    let conn = server.call(5);
    let effects = server.effects();
    let mut sent = sends(&effects).into_iter().filter(|&(to, _)| to == conn);
    let (_, frame) = sent.next().expect("a proposal");
    assert_eq!(read_frame(&frame), (PeerState::Looking, vote(2, 0, 1, 0)));
}

/// Bytes of all kinds, cut anywhere, from a generator whose seed is told.
#[test]
fn no_bytes_end_a_server() {
    let valid = [hello(1), hello(3), hello(77), recorded_frame(FIRST_VOTE)];
    for seed in 0..300 {
        println!("seed {seed}");
        let mut dice = Out::new(seed);
        let mut server = Server::looking(2, recorded());
        for _ in 0..40 {
            let mut bytes = Vec::new();
            for _ in 0..dice.random(6) {
                if dice.random(4) == 0 {
                    bytes.extend((0..dice.random(60)).map(|n| (n * 97) as u8));
                } else {
                    bytes.extend(&valid[dice.random(4) as usize]);
                }
            }
            for _ in 0..dice.random(3) {
                let at = dice.random(bytes.len() as u64 + 1) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = dice.random(256) as u8;
                }
            }
            let mut conn = server.accept();
            if dice.random(3) == 0
                && let Some(&(_, dial)) = server.dials().first()
                && server.elections.owns(dial)
            {
                server.dialed(dial);
                conn = dial;
            }
            while !bytes.is_empty() {
                let cut = 1 + dice.random(bytes.len() as u64) as usize;
                let rest = bytes.split_off(cut);
                server.receive(conn, &bytes);
                bytes = rest;
            }
            server.wait(dice.random(300));
            if server.elections.owns(conn) && dice.random(2) == 0 {
                server.close(conn);
            }
            if let Some(ElectionEvent::NewerConfig(_)) = server.events.last() {
                break;
            }
        }
    }
}
