//! Clients that come, go and move while members are cut off and come back: what was acknowledged
//! stays, what a session leaves goes, and nothing is counted wrong.

use crate::world::{ClientId, Hello, World, create, settings};
use std::sync::atomic::Ordering;
use zooid_node::Settings;
use zooid_proto::ErrorCode;
use zooid_proto::client::create_mode::{EPHEMERAL, PERSISTENT};
use zooid_proto::client::{Empty, ExistsRequest, SyncRequest};
use zooid_proto::ops::Request;

const STEPS: usize = 300;
const SEEDS: u64 = 12;

/// Random numbers from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as usize % bound
    }
}

struct Run {
    world: World,
    dice: Dice,
    clients: Vec<(ClientId, i64)>,
    /// Paths of requests under way, by client; of persistent nodes only.
    asked: Vec<(ClientId, Vec<Option<String>>)>,
    acknowledged: Vec<String>,
    made: usize,
}

impl Run {
    fn step(&mut self) {
        match self.dice.below(20) {
            0..3 => self.connect(0),
            3..6 if !self.clients.is_empty() => {
                let (_, session) = self.clients[self.dice.below(self.clients.len())];
                self.connect(session);
            }
            6 if !self.world.is_cut() => {
                let at = self.dice.below(3);
                self.world.cut_off(at);
            }
            7 => self.world.heal(),
            8 => {
                let ms = 1 + self.dice.below(5000);
                self.world.pass(ms as i64);
            }
            9 => self.world.pass(20),
            _ if !self.clients.is_empty() => self.ask(),
            _ => {}
        }
        for (client, _) in self.clients.clone() {
            self.take(client);
        }
        let world = &self.world;
        self.clients.retain(|(client, _)| !world.is_over(*client));
    }

    fn connect(&mut self, session: i64) {
        let hello = Hello {
            timeout_ms: 2000 + self.dice.below(8000) as i32,
            session,
            read_only: self.dice.below(2) == 0,
        };
        let at = self.dice.below(3);
        if let Some((client, answer)) = self.world.connect(at, hello)
            && answer.session_id != 0
        {
            self.clients.push((client, answer.session_id));
            self.asked.push((client, Vec::new()));
        }
    }

    fn ask(&mut self) {
        let (client, _) = self.clients[self.dice.below(self.clients.len())];
        let (mut requests, mut paths) = (Vec::new(), Vec::new());
        for _ in 0..=self.dice.below(4) {
            self.made += 1;
            let path = format!("/n-{}", self.made);
            let root = || Some("/".into());
            let request = match self.dice.below(12) {
                0..4 => create(&path, PERSISTENT),
                4..6 => create(&path, EPHEMERAL),
                6 => Request::Sync(SyncRequest { path: root() }),
                7 => Request::CloseSession(Empty {}),
                _ => Request::Exists(ExistsRequest {
                    path: root(),
                    watch: true,
                }),
            };
            let is_kept = matches!(&request, Request::Create(r) if r.flags == PERSISTENT);
            paths.push(is_kept.then_some(path));
            requests.push(request);
        }
        let entry = self.asked.iter_mut().find(|(of, _)| *of == client);
        entry.expect("it is there").1.extend(paths);
        let replies = self.world.ask(client, &requests);
        self.note(client, &replies);
    }

    fn take(&mut self, client: ClientId) {
        let replies = self.world.replies(client);
        self.note(client, &replies);
    }

    fn note(&mut self, client: ClientId, replies: &[(i64, ErrorCode)]) {
        let entry = self.asked.iter_mut().find(|(of, _)| *of == client);
        let asked = &mut entry.expect("it is there").1;
        for ((_, code), path) in replies.iter().zip(asked.drain(..replies.len())) {
            if *code == ErrorCode::Ok {
                self.acknowledged.extend(path);
            }
        }
    }

    /// All come back, and all sessions end.
    fn end(mut self) -> usize {
        self.world.heal();
        self.world.until_whole();
        self.world.pass(30_000);
        let digests: Vec<_> = (0..3)
            .map(|at| self.world.shared(at).tree.read().digest())
            .collect();
        assert_eq!(digests, vec![digests[0]; 3], "the same tree everywhere");
        for at in 0..3 {
            assert_eq!(self.world.sessions(at), (0, 0), "sessions on {at}");
            let shared = self.world.shared(at);
            assert_eq!(shared.outstanding.load(Ordering::Relaxed), 0, "on {at}");
            assert_eq!(shared.digest_mismatches.load(Ordering::Relaxed), 0);
            let tree = shared.tree.read();
            assert_eq!(tree.ephemerals_count(), 0, "nodes without sessions on {at}");
            for path in &self.acknowledged {
                assert!(tree.get(path).is_some(), "{path} is lost on {at}");
            }
        }
        self.acknowledged.len()
    }
}

fn run(seed: u64, settings: &Settings) -> usize {
    let mut run = Run {
        world: World::new(settings),
        dice: Dice(seed),
        clients: Vec::new(),
        asked: Vec::new(),
        acknowledged: Vec::new(),
        made: 0,
    };
    for _ in 0..STEPS {
        run.step();
    }
    run.end()
}

#[test]
fn sessions_of_all_kinds_while_members_come_and_go() {
    let kinds = [(true, true), (true, false), (false, false)];
    let mut acknowledged = 0;
    for seed in 0..SEEDS {
        for (local_sessions, local_sessions_upgrading) in kinds {
            println!("seed {seed}, local {local_sessions}, upgrading {local_sessions_upgrading}");
            acknowledged += run(
                seed,
                &Settings {
                    local_sessions,
                    local_sessions_upgrading,
                    ..settings()
                },
            );
        }
    }
    println!("{acknowledged} nodes acknowledged and found");
    assert!(acknowledged > 100);
}
