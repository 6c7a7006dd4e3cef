//! What a leading server makes of requests: transactions in order, sessions and their owners.

use std::collections::{BTreeMap, VecDeque};

use zooid_proto::members::{Membership, Role};
use zooid_proto::txn::kind;
use zooid_proto::zxid::make;
use zooid_zab::{ConnId, Forwarded, Input, ReconfigRequest};

use super::machine::Origin;
use super::request::{SYNC, Write, transaction};
use super::world::{Event, World};
use crate::dice::hash;

/// Something for the leader to do in its turn.
#[derive(Debug)]
pub(super) enum Item {
    /// A request of a learner, or of a client of its own.
    Request(Option<ConnId>, Forwarded),
    /// Is the session alive?
    Revalidate(ConnId, i64),
    /// A session has not been heard of for too long.
    Expire(i64),
    /// Members change.
    Reconfig(u64),
}

/// A session as the leader sees it.
#[derive(Debug)]
struct Session {
    timeout_ms: i32,
    expires_us: u64,
    /// Whose it is; `None` until somebody asks.
    owner: Option<Option<ConnId>>,
}

/// A leader that serves.
#[derive(Debug)]
pub(super) struct Lead {
    proposed: i64,
    sessions: BTreeMap<i64, Session>,
    queue: VecDeque<Item>,
    awaited: bool,
}

const MOVED: i32 = -118;
/// The error for a session that is gone.
pub(super) const EXPIRED: i32 = -112;
const LEAD: u64 = 0x1EAD;

impl World {
    /// A server begins to lead: all sessions get their whole timeout again.
    pub(super) fn begin_to_lead(&mut self, s: usize, epoch: i64) {
        let (now, life) = (self.now_us, self.servers[s].life);
        let process = self.process(s);
        let session = |(id, timeout_ms): (&i64, &i32)| {
            let session = Session {
                timeout_ms: *timeout_ms,
                expires_us: now + *timeout_ms as u64 * 1000,
                owner: None,
            };
            (*id, session)
        };
        process.lead = Some(Lead {
            proposed: make(epoch, 0),
            sessions: process.machine.sessions.iter().map(session).collect(),
            queue: VecDeque::new(),
            awaited: false,
        });
        self.after(self.plan.tick_ms * 1000, Event::Expire(s, life));
    }

    /// Puts something behind what the leader has to do.
    pub(super) fn lead_item(&mut self, s: usize, item: Item) {
        let life = self.servers[s].life;
        let Some(lead) = self.process(s).lead.as_mut() else {
            return self.fail(format!("server {} does not lead, and gets {item:?}", s + 1));
        };
        lead.queue.push_back(item);
        if !std::mem::replace(&mut lead.awaited, true) {
            let wait = hash(self.plan.seed, LEAD, self.counter()) % 200;
            self.after(wait, Event::Lead(s, life));
        }
    }

    /// The leader does what it has to do.
    pub(super) fn lead_due(&mut self, s: usize) {
        let lead = |world: &mut World| world.servers[s].process.as_mut()?.lead.as_mut().map(|_| ());
        if let Some(process) = self.servers[s].process.as_mut()
            && let Some(lead) = process.lead.as_mut()
        {
            lead.awaited = false;
        }
        while lead(self).is_some() && self.failure.is_none() {
            let item = self
                .process(s)
                .lead
                .as_mut()
                .expect("it leads")
                .queue
                .pop_front();
            match item {
                None => return,
                Some(Item::Request(owner, request)) if request.op == SYNC => {
                    if let Some(conn) = owner {
                        self.mark("a sync through the leader");
                        self.input(s, Input::LearnerSync { conn });
                    }
                }
                Some(Item::Request(owner, request)) => self.prepare(s, owner, &request),
                Some(Item::Revalidate(conn, session)) => {
                    let valid = self.own(s, session, Some(conn));
                    self.mark(if valid {
                        "a session that moved"
                    } else {
                        "a session that had gone"
                    });
                    let answer = Input::Revalidated {
                        conn,
                        session,
                        valid,
                    };
                    self.input(s, answer);
                }
                Some(Item::Reconfig(choice)) => self.reconfigure(s, choice),
                Some(Item::Expire(session)) => {
                    let lead = self.process(s).lead.as_mut().expect("it leads");
                    if lead.sessions.remove(&session).is_some() {
                        self.mark("a session that expired");
                        self.propose(s, session, 0, &Write::Close);
                    }
                }
            }
        }
    }

    /// A session belongs to this learner, or to the leader itself, from now on, if it is alive.
    pub(super) fn own(&mut self, s: usize, session: i64, owner: Option<ConnId>) -> bool {
        let now = self.now_us;
        let Some(lead) = self.process(s).lead.as_mut() else {
            return false;
        };
        let Some(session) = lead.sessions.get_mut(&session) else {
            return false;
        };
        session.owner = Some(owner);
        session.expires_us = now + session.timeout_ms as u64 * 1000;
        true
    }

    /// A session was heard of.
    pub(super) fn touched(&mut self, s: usize, session: i64, timeout_ms: i32) {
        let now = self.now_us;
        if let Some(lead) = self.process(s).lead.as_mut()
            && let Some(session) = lead.sessions.get_mut(&session)
        {
            session.expires_us = now + timeout_ms as u64 * 1000;
        }
    }

    /// Looks for sessions that have not been heard of.
    pub(super) fn expire(&mut self, s: usize) {
        let (now, life) = (self.now_us, self.servers[s].life);
        let Some(process) = self.servers[s].process.as_ref() else {
            return;
        };
        let Some(lead) = &process.lead else {
            return;
        };
        let old = lead
            .sessions
            .iter()
            .filter(|(_, session)| session.expires_us <= now);
        let old: Vec<i64> = old.map(|(id, _)| *id).collect();
        for session in old {
            self.lead_item(s, Item::Expire(session));
        }
        self.after(self.plan.tick_ms * 1000, Event::Expire(s, life));
    }

    /// The leader has applied a transaction.
    pub(super) fn lead_applied(&mut self, s: usize, (session, _, txn): Origin) {
        if let Some(lead) = self.process(s).lead.as_mut()
            && txn == kind::CLOSE_SESSION
        {
            lead.sessions.remove(&session);
        }
    }

    fn prepare(&mut self, s: usize, owner: Option<ConnId>, request: &Forwarded) {
        let now = self.now_us;
        let Some(write) = Write::read(request.op, &request.body) else {
            return self.fail(format!("a request that cannot be read: {request:?}"));
        };
        let lead = self.process(s).lead.as_mut().expect("it leads");
        let known = lead.sessions.get_mut(&request.session);
        let refused = match (&write, known) {
            (Write::Open { timeout_ms }, None) => {
                let session = Session {
                    timeout_ms: *timeout_ms,
                    expires_us: now + *timeout_ms as u64 * 1000,
                    owner: Some(owner),
                };
                lead.sessions.insert(request.session, session);
                None
            }
            (Write::Open { .. }, Some(_)) => None,
            (_, None) => Some(EXPIRED),
            (Write::Close, Some(_)) => {
                lead.sessions.remove(&request.session);
                None
            }
            (_, Some(session)) => {
                let owns = *session.owner.get_or_insert(owner) == owner;
                session.expires_us = now + session.timeout_ms as u64 * 1000;
                (!owns).then_some(MOVED)
            }
        };
        let write = match refused {
            Some(error) => {
                self.mark("a refused write");
                Write::Refused { error }
            }
            None => write,
        };
        self.propose(s, request.session, request.cxid, &write);
    }

    /// An operator changes the members: one leaves, comes back, or changes its role.
    fn reconfigure(&mut self, s: usize, choice: u64) {
        let text = self.process(s).config.clone();
        let Ok(members) = Membership::parse(&text, true) else {
            return self.fail(format!("a configuration that cannot be read: {text}"));
        };
        let n = choice % self.servers.len() as u64 + 1;
        let leaving = n.to_string();
        let line = |role| format!("server.{n}=s{n}:2888:3888:{role};s{n}:2181");
        let joining = match members.members.get(&(n as i64)).map(|member| member.role) {
            Some(Role::Participant) => line("observer"),
            Some(Role::Observer) | None => line("participant"),
        };
        let leaves = members.members.contains_key(&(n as i64)) && choice >> 32 & 1 == 0;
        let all = format!("{joining},{}", others(&text, n).join(","));
        let version = if choice >> 33 & 1 == 0 {
            -1
        } else {
            members.version
        };
        let whole = choice >> 34 & 3 == 0 && !leaves;
        let request = ReconfigRequest {
            joining: (!leaves && !whole).then_some(joining.as_str()),
            leaving: leaves.then_some(leaving.as_str()),
            members: whole.then_some(all.as_str()),
            version,
        };
        let process = self.process(s);
        let zxid = process.lead.as_ref().expect("it leads").proposed + 1;
        match process.peer.reconfigure(&request, zxid) {
            Ok(text) => {
                let end = text.rfind("version=").unwrap_or(text.len());
                let members = text[..end].to_owned();
                self.propose(s, 0, 0, &Write::Reconfig { members });
            }
            Err(error) => {
                self.mark("a refused reconfiguration");
                self.note(|| format!("refused {}: {request:?}: {error:?}", s + 1));
            }
        }
    }

    fn propose(&mut self, s: usize, session: i64, cxid: i32, write: &Write) {
        let time_ms = (self.now_us / 1000) as i64;
        let lead = self.process(s).lead.as_mut().expect("it leads");
        let before = lead.proposed;
        lead.proposed += 1;
        let txn = transaction(lead.proposed, session, cxid, time_ms, write);
        if let Err(error) = self.order.broadcast(&txn, before) {
            return self.fail(format!("server {}: {error}", s + 1));
        }
        self.note(|| format!("propose {}: {:x} {write:?}", s + 1, txn.zxid));
        self.tally.proposed += 1;
        let last = self.plan.last_counter;
        if last > 0 && zooid_proto::zxid::counter(txn.zxid) == last {
            self.mark("an epoch without numbers");
        }
        self.input(s, Input::Propose(txn));
    }
}

/// The lines of all members but one.
fn others(text: &str, n: u64) -> Vec<&str> {
    let own = format!("server.{n}=");
    let lines = text.lines().filter(|line| line.starts_with("server."));
    lines.filter(|line| !line.starts_with(&own)).collect()
}
