//! Clients: sessions that write, read, sync, and move from server to server when theirs is gone.

use zooid_proto::txn::kind;
use zooid_zab::{Forwarded, Input, Proposal};

use super::check::clients::{self as check, Before};
use super::lead::{EXPIRED, Item};
use super::machine::Origin;
use super::request::{SYNC, Write};
use super::world::{Event, World};
use crate::dice::{Dice, hash};

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    session: Option<i64>,
    sessions: i64,
    timeout_ms: i32,
    cxid: i32,
    /// The newest state that it has seen.
    seen: i64,
    server: Option<usize>,
    pending: Option<Pending>,
    steps: u64,
    /// Writes and syncs that were answered.
    pub(super) answered: u64,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pending {
    what: Asked,
    since_us: u64,
    before: Before,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Write(i32),
    Sync(u64),
    Session,
}

/// A sync under way: of which client, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    client: usize,
    number: u64,
}

const CLIENT: u64 = 0xC11E;

impl Client {
    pub(super) fn new(timeout_ms: i32) -> Client {
        Client {
            session: None,
            sessions: 0,
            timeout_ms,
            cxid: 0,
            seen: 0,
            server: None,
            pending: None,
            steps: 0,
            answered: 0,
        }
    }
}

impl World {
    /// A client does its next step.
    pub(super) fn client(&mut self, c: usize) {
        let client = &mut self.clients[c];
        client.steps += 1;
        let choice = hash(hash(self.plan.seed, CLIENT, c as u64), 0, client.steps);
        let dice = &mut Dice::new(choice, 1);
        let patience_us = self.plan.tick_ms * 1000 * 8 + 2_000_000;
        let now = self.now_us;
        let mut wait = 1 + dice.below(self.plan.think_us);
        // When the storm is over clients are lively, whatever they were before.
        let lively = 1 + self.plan.calm_us / 40;
        wait = wait.min(self.plan.storm_us.saturating_sub(now) + lively);
        if self.calm {
            wait = wait.max(150_000);
        }
        if let Some(pending) = &client.pending {
            if now - pending.since_us > patience_us {
                self.client_gives_up(c);
            }
            // Also a sign of life.
            self.client_touches(c);
            wait = wait.min(self.plan.tick_ms * 1000);
        } else if client.server.is_none() {
            self.client_attaches(c, dice.below(self.servers.len() as u64) as usize);
            wait = wait.min(self.plan.tick_ms * 500);
        } else if !self.quiet {
            self.client_asks(c, dice);
        } else {
            self.client_touches(c);
        }
        self.after(wait, Event::Client(c));
    }

    fn client_attaches(&mut self, c: usize, s: usize) {
        let server = &self.servers[s];
        let zxid = server
            .process
            .as_ref()
            .map_or(0, |process| process.machine.zxid);
        if !server.serves() || server.paused > 0 || zxid < self.clients[c].seen {
            return;
        }
        let client = &mut self.clients[c];
        client.server = Some(s);
        let Some(session) = client.session else {
            client.sessions += 1;
            client.cxid = 0;
            let session = (c as i64 + 1) << 32 | client.sessions;
            client.session = Some(session);
            let timeout_ms = client.timeout_ms;
            self.client_writes(c, &Write::Open { timeout_ms });
            return;
        };
        let timeout_ms = client.timeout_ms;
        self.client_waits(c, Asked::Session);
        if self.servers[s].leads() {
            let valid = self.own(s, session, None);
            self.client_revalidated(s, c, session, valid);
        } else {
            self.process(s).revalidations.push((session, c));
            let ask = Input::AskRevalidation {
                session,
                timeout_ms,
            };
            self.input(s, ask);
        }
    }

    fn client_asks(&mut self, c: usize, dice: &mut Dice) {
        let value = dice.any();
        match dice.below(24) {
            0 => {
                // Moves, with a request under way or without.
                if dice.once_in(2) {
                    self.client_writes(c, &Write::Set { key: 0, value });
                }
                self.client_gives_up(c);
            }
            1 => {
                self.client_writes(c, &Write::Close);
            }
            2 | 3 => {
                let n = self.clients[c].cxid as u64;
                self.client_writes(c, &Write::Ephemeral { n });
            }
            4 | 5 => {
                let key = dice.below(6);
                self.client_writes(c, &Write::Delete { key });
            }
            6..=9 => self.client_syncs(c),
            10..=12 => self.client_reads(c),
            _ => {
                let key = dice.below(6);
                self.client_writes(c, &Write::Set { key, value });
            }
        }
    }

    fn client_reads(&mut self, c: usize) {
        let client = &mut self.clients[c];
        let Some(process) = client.server.and_then(|s| self.servers[s].process.as_ref()) else {
            return;
        };
        let checked = check::read(process.machine.zxid, client.seen);
        client.seen = process.machine.zxid;
        self.tally.reads += 1;
        if let Err(error) = checked {
            self.fail(error);
        }
        self.client_touches(c);
    }

    fn client_touches(&mut self, c: usize) {
        let client = &self.clients[c];
        let (Some(session), Some(s)) = (client.session, client.server) else {
            return;
        };
        if self.servers[s].paused > 0 {
            return;
        }
        let timeout_ms = client.timeout_ms;
        if self.servers[s].leads() {
            self.touched(s, session, timeout_ms);
        } else if self.servers[s].serves() {
            let touch = Input::Touch {
                session,
                timeout_ms,
            };
            self.input(s, touch);
        }
    }

    fn client_waits(&mut self, c: usize, what: Asked) {
        self.clients[c].pending = Some(Pending {
            what,
            since_us: self.now_us,
            before: Before {
                answered: self.answered,
                leadership: self.leadership(),
            },
        });
    }

    fn client_writes(&mut self, c: usize, write: &Write) {
        let client = &mut self.clients[c];
        let (Some(session), Some(s)) = (client.session, client.server) else {
            return;
        };
        if self.servers[s].paused > 0 {
            // It waits in the socket; here the client gives up soon.
            return self.client_waits(c, Asked::Write(-1));
        }
        client.cxid += 1;
        let cxid = client.cxid;
        self.client_waits(c, Asked::Write(cxid));
        self.tally.writes += 1;
        self.process(s).waiting.insert((session, cxid), c);
        let request = Forwarded {
            session,
            cxid,
            op: write.op(),
            body: write.body(),
            identities: vec![("ip".into(), "127.0.0.1".into())],
        };
        self.ask_leader(s, request);
    }

    fn client_syncs(&mut self, c: usize) {
        let client = &self.clients[c];
        let (Some(session), Some(s)) = (client.session, client.server) else {
            return;
        };
        if self.servers[s].paused > 0 {
            return;
        }
        let waiting = Waiting {
            client: c,
            number: client.steps,
        };
        let cxid = client.cxid;
        self.client_waits(c, Asked::Sync(waiting.number));
        if self.servers[s].leads() {
            return self.client_synced(s, waiting);
        }
        self.process(s).syncs.push_back(waiting);
        let request = Forwarded {
            session,
            cxid,
            op: SYNC,
            body: vec![0, 0, 0, 1, b'/'],
            identities: Vec::new(),
        };
        self.ask_leader(s, request);
    }

    fn ask_leader(&mut self, s: usize, request: Forwarded) {
        if self.servers[s].leads() {
            self.lead_item(s, Item::Request(None, request));
        } else {
            self.input(s, Input::Forward(request));
        }
    }

    /// A sync has ended at a server.
    pub(super) fn client_synced(&mut self, s: usize, waiting: Waiting) {
        let zxid = self.process(s).machine.zxid;
        let leadership = self.leadership();
        let client = &mut self.clients[waiting.client];
        let Some(pending) = client.pending else {
            return;
        };
        if client.server != Some(s) || pending.what != Asked::Sync(waiting.number) {
            return;
        }
        client.pending = None;
        client.answered += 1;
        let checked = check::read(zxid, client.seen)
            .and_then(|()| check::sync(pending.before, leadership, zxid));
        client.seen = zxid;
        self.tally.syncs += 1;
        match checked {
            Ok(true) => self.tally.strict_syncs += 1,
            Ok(false) => self.mark("a sync while leaders changed"),
            Err(error) => self.fail(format!("client {}: {error}", waiting.client)),
        }
    }

    /// A server has applied the write of a client of its own.
    pub(super) fn client_answered(&mut self, s: usize, c: usize, origin: Origin, txn: &Proposal) {
        let (session, cxid, txn_kind) = origin;
        let client = &mut self.clients[c];
        let Some(pending) = client.pending else {
            return;
        };
        let asked = client.server == Some(s) && client.session == Some(session);
        if !asked || pending.what != Asked::Write(cxid) {
            return;
        }
        client.pending = None;
        let checked = check::write(pending.before, txn.zxid, client.seen);
        client.seen = txn.zxid;
        self.answered = self.answered.max(txn.zxid);
        if txn_kind == kind::ERROR {
            self.tally.refused += 1;
            if txn.bytes.ends_with(&EXPIRED.to_be_bytes()) {
                client.session = None;
            }
            client.server = None;
        } else {
            self.tally.answered += 1;
            client.answered += 1;
            if txn_kind == kind::CLOSE_SESSION {
                client.session = None;
                client.server = None;
            }
        }
        if let Err(error) = checked {
            self.fail(format!("client {c}: {error}"));
        }
    }

    /// Whether a session may go on at a server.
    pub(super) fn client_revalidated(&mut self, s: usize, c: usize, session: i64, valid: bool) {
        let client = &mut self.clients[c];
        let waits = client
            .pending
            .is_some_and(|pending| pending.what == Asked::Session);
        if client.server != Some(s) || client.session != Some(session) || !waits {
            return;
        }
        client.pending = None;
        if !valid {
            client.session = None;
            client.server = None;
        }
    }

    fn client_gives_up(&mut self, c: usize) {
        let client = &mut self.clients[c];
        let server = client.server.take();
        if client.pending.take().is_some() {
            self.tally.unknown += 1;
        }
        if let Some(process) = server.and_then(|s| self.servers[s].process.as_mut()) {
            process.waiting.retain(|_, waiting| *waiting != c);
            process.revalidations.retain(|(_, waiting)| *waiting != c);
        }
    }

    /// A server serves no longer: its clients have lost it, and what they asked for may have
    /// happened or not.
    pub(super) fn clients_lose(&mut self, s: usize) {
        for c in 0..self.clients.len() {
            if self.clients[c].server == Some(s) {
                self.client_gives_up(c);
            }
        }
        if let Some(process) = self.servers[s].process.as_mut() {
            process.waiting.clear();
            process.syncs.clear();
            process.revalidations.clear();
        }
    }
}
