//! Connections for votes, one for each pair of servers: `QuorumCnxManager` without sockets.
//!
//! Of the two that a pair may open, the one of the server with the larger number stays. The other
//! server may only ring: it connects, says who it is, and is called back.
//!
//! Java connects when it has something to say. Here connections are kept up while nothing happens,
//! so that votes flow at once when a leader dies. A Java server sees a connection like any other.
//!
//! A connection that is up takes what is sent at once; there is no queue behind it but the driver's.
//! Without one, the newest message waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zooid_proto::vote::{ElectionAddress, FrameDecoder, Hello, MAX_HELLO_ADDRESSES};

use crate::boot::Params;
use crate::io::{ConnId, Effect, Port, Sid};
use crate::out::Out;
use crate::quorum::Verifier;

/// Pause before a server is dialed again, ms; doubles from the first to the second.
const REDIAL_MS: (u64, u64) = (20, 500);

/// The longest pause while nobody waits for votes, ms.
const REDIAL_IDLE_MS: u64 = 2000;

/// The time to open a connection at first, ms; doubles with each failure up to that of the settings.
/// What is lost in a network that heals meanwhile is not waited for in full.
const FIRST_ATTEMPT_MS: u64 = 1000;

/// How long a server that calls itself is waited for before it is rung up, ms: two that start at the
/// same time would otherwise close the first connection for the second.
const RING_AFTER_MS: u64 = 30;

/// A connection that is younger is not closed because the other side rings: it did so before it knew,
/// ms.
const YOUNG_MS: u64 = 100;

/// A connection that has lasted so long proves that the other side wants it, ms.
const LASTING_MS: u64 = 1000;

/// Accepted connections that have not said who they are. The oldest has to go for another one.
const MAX_GREETINGS: usize = 64;

/// Servers that are in no configuration here: those that are about to join.
const MAX_STRANGERS: usize = 32;

/// What happens on connections.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// There is a connection with a server, and what is sent to it leaves.
    Up(Sid),
    /// It is not up, but someone is there.
    Awaited(Sid),
    /// It broke, or nobody answers.
    Down(Sid),
    /// A frame has arrived.
    Frame {
        /// From whom.
        sid: Sid,
        /// Whether it is the first one on its connection.
        first: bool,
        /// The notification.
        body: Vec<u8>,
    },
}

#[derive(Debug)]
enum Conn {
    /// Accepted; who it is comes with its first bytes.
    Greeting { since: u64, bytes: Vec<u8> },
    /// Being opened.
    Dialing(Sid),
    /// In use.
    Link {
        sid: Sid,
        frames: FrameDecoder,
        heard: bool,
    },
}

/// What is known of another server.
#[derive(Debug, Default)]
struct Other {
    /// Connection in use, and since when.
    link: Option<(ConnId, u64)>,
    /// Connection being opened, and since when.
    dialing: Option<(ConnId, u64)>,
    /// The newest message that found no connection.
    waiting: Option<Vec<u8>>,
    /// Where it says that it can be reached.
    announced: Vec<String>,
    /// When to dial, if there is reason to.
    dial_at: u64,
    /// The pause after the next failure.
    pause: u64,
    /// How often in a row dialing has failed.
    failures: u32,
    /// It rang: it is to be called back.
    rang: bool,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Links {
    sid: Sid,
    connect_timeout_ms: u64,
    greeting_timeout_ms: u64,
    /// Where to reach members: in the committed configuration, then in the newer one.
    addresses: BTreeMap<Sid, Vec<String>>,
    hello: Vec<u8>,
    /// Whom to stay connected with.
    wanted: BTreeSet<Sid>,
    /// Whether votes are waited for.
    urgent: bool,
    conns: BTreeMap<ConnId, Conn>,
    others: BTreeMap<Sid, Other>,
    events: Vec<LinkEvent>,
}

impl Links {
    pub(crate) fn new(params: &Params) -> Links {
        Links {
            sid: params.sid,
            connect_timeout_ms: params.election_connect_ms,
            greeting_timeout_ms: match params.greeting_ms {
                0 => params.tick_ms.saturating_mul(params.sync_limit).max(1),
                ms => ms,
            },
            addresses: BTreeMap::new(),
            hello: params.sid.to_be_bytes().to_vec(),
            wanted: BTreeSet::new(),
            urgent: false,
            conns: BTreeMap::new(),
            others: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Takes addresses from the configurations.
    pub(crate) fn configure(&mut self, committed: &Verifier, seen: Option<&Arc<Verifier>>) {
        self.addresses.clear();
        for verifier in [Some(committed), seen.map(Arc::as_ref)]
            .into_iter()
            .flatten()
        {
            for member in verifier.membership().members.values() {
                let known = self.addresses.entry(member.id).or_default();
                for address in &member.addresses {
                    let address = ElectionAddress {
                        host: address.host.clone(),
                        port: address.election_port,
                    }
                    .to_string();
                    if !known.contains(&address) {
                        known.push(address);
                    }
                }
            }
        }
        let own = [Some(committed), seen.map(Arc::as_ref)]
            .into_iter()
            .flatten()
            .find_map(|verifier| verifier.member(self.sid));
        if let Some(own) = own {
            let addresses = own.addresses.iter().map(|address| ElectionAddress {
                host: address.host.clone(),
                port: address.election_port,
            });
            self.greet_with(addresses.collect());
        }
    }

    fn greet_with(&mut self, mut addresses: Vec<ElectionAddress>) {
        let length = |addresses: &[ElectionAddress]| -> usize {
            addresses.iter().map(|a| a.to_string().len() + 1).sum()
        };
        // Releases before 3.6 read one address only; several are configured only where all are newer.
        while length(&addresses) > MAX_HELLO_ADDRESSES {
            addresses.pop();
        }
        if addresses.is_empty() {
            return;
        }
        let multi = addresses.len() > 1;
        self.hello.clear();
        let sid = self.sid;
        Hello { sid, addresses }.encode(multi, &mut self.hello);
    }

    /// Whom to stay connected with from now on, and whether votes are waited for.
    pub(crate) fn want(&mut self, wanted: BTreeSet<Sid>, urgent: bool, now: u64, out: &mut Out) {
        let begins = urgent && !self.urgent;
        let ring_after = if urgent {
            RING_AFTER_MS
        } else {
            REDIAL_IDLE_MS
        };
        self.wanted = wanted;
        self.wanted.remove(&self.sid);
        self.urgent = urgent;
        for &sid in &self.wanted {
            let unknown = !self.others.contains_key(&sid);
            let other = self.others.entry(sid).or_default();
            if begins || unknown {
                (other.pause, other.failures) = (0, 0);
                other.dial_at = if sid > self.sid {
                    now.saturating_add(ring_after)
                } else {
                    now
                };
            }
        }
        self.dial_all(now, out);
    }

    /// Forgets what found no connection: it is not true any more.
    pub(crate) fn forget_waiting(&mut self) {
        for other in self.others.values_mut() {
            other.waiting = None;
        }
    }

    /// Closes everything.
    pub(crate) fn reset(&mut self, out: &mut Out) {
        for &conn in self.conns.keys() {
            out.close(conn);
        }
        self.conns.clear();
        self.others.clear();
        self.events.clear();
    }

    pub(crate) fn owns(&self, conn: ConnId) -> bool {
        self.conns.contains_key(&conn)
    }

    /// Sends a frame, or keeps it for the next connection in place of an older one.
    pub(crate) fn send(&mut self, sid: Sid, frame: Vec<u8>, now: u64, out: &mut Out) {
        let known = self.others.contains_key(&sid) || self.addresses.contains_key(&sid);
        if !known {
            return;
        }
        let other = self.others.entry(sid).or_default();
        match other.link {
            Some((conn, _)) => out.send(conn, frame),
            None => {
                other.waiting = Some(frame);
                self.dial(sid, now, out);
            }
        }
    }

    pub(crate) fn accepted(&mut self, conn: ConnId, now: u64, out: &mut Out) {
        let greetings = self.conns.iter().filter_map(|(&conn, state)| match state {
            Conn::Greeting { since, .. } => Some((*since, conn)),
            _ => None,
        });
        let (count, oldest) = (greetings.clone().count(), greetings.min());
        if let Some((_, oldest)) = oldest.filter(|_| count >= MAX_GREETINGS) {
            self.refuse(oldest, None, "many connections say nothing", out);
        }
        let bytes = Vec::new();
        self.conns
            .insert(conn, Conn::Greeting { since: now, bytes });
    }

    pub(crate) fn dialed(&mut self, conn: ConnId, now: u64, out: &mut Out) {
        let Some(&Conn::Dialing(sid)) = self.conns.get(&conn) else {
            return;
        };
        let other = self.others.entry(sid).or_default();
        (other.dialing, other.failures) = (None, 0);
        out.send(conn, self.hello.clone());
        if sid < self.sid {
            self.conns.remove(&conn);
            self.register(conn, sid, &[], now, out);
            return;
        }
        // It calls back; if it does not, it is rung up again.
        self.conns.remove(&conn);
        out.close(conn);
        self.events.push(LinkEvent::Awaited(sid));
        self.postpone(sid, now, out);
    }

    pub(crate) fn received(&mut self, conn: ConnId, arrived: &[u8], now: u64, out: &mut Out) {
        match self.conns.get_mut(&conn) {
            Some(Conn::Greeting { bytes, .. }) => {
                bytes.extend_from_slice(arrived);
                match Hello::read(bytes) {
                    Ok(None) => {}
                    Ok(Some((hello, length))) => {
                        let rest = bytes.split_off(length);
                        self.greeted(conn, hello, &rest, now, out);
                    }
                    Err(error) => self.refuse(conn, None, &error.to_string(), out),
                }
            }
            Some(Conn::Link { frames, .. }) => {
                frames.push(arrived);
                self.read_frames(conn, now, out);
            }
            // Nobody answers a greeting.
            Some(Conn::Dialing(_)) | None => {}
        }
    }

    /// Whether the connection was one of these.
    pub(crate) fn closed(&mut self, conn: ConnId, now: u64, out: &mut Out) -> bool {
        match self.conns.remove(&conn) {
            None => return false,
            Some(Conn::Greeting { .. }) => {}
            Some(Conn::Dialing(sid)) => {
                let other = self.others.entry(sid).or_default();
                other.dialing = None;
                other.failures = other.failures.saturating_add(1);
                self.events.push(LinkEvent::Down(sid));
                self.postpone(sid, now, out);
            }
            Some(Conn::Link { sid, .. }) => {
                self.unlink(sid, now, out);
                self.events.push(LinkEvent::Down(sid));
            }
        }
        true
    }

    /// When [`Links::tick`] matters.
    pub(crate) fn next_timeout(&self) -> Option<u64> {
        let greetings = self.conns.values().filter_map(|conn| match conn {
            Conn::Greeting { since, .. } => Some(since.saturating_add(self.greeting_timeout_ms)),
            _ => None,
        });
        let strangers = self.conns.values().filter_map(|conn| match conn {
            Conn::Link {
                sid, heard: false, ..
            } if !self.addresses.contains_key(sid) => {
                let (_, since) = self.others.get(sid)?.link?;
                Some(since.saturating_add(self.greeting_timeout_ms))
            }
            _ => None,
        });
        let dials = self
            .others
            .iter()
            .filter(|&(&sid, other)| self.has_reason(sid, other))
            .map(|(_, other)| other.dial_at);
        greetings.chain(strangers).chain(dials).min()
    }

    pub(crate) fn tick(&mut self, now: u64, out: &mut Out) {
        let silent: Vec<ConnId> = self
            .conns
            .iter()
            .filter_map(|(&conn, state)| match state {
                Conn::Greeting { since, .. }
                    if now >= since.saturating_add(self.greeting_timeout_ms) =>
                {
                    Some(conn)
                }
                _ => None,
            })
            .collect();
        for conn in silent {
            self.refuse(conn, None, "it does not say who it is", out);
        }
        self.end_strangers(now, out);
        self.dial_all(now, out);
    }

    /// What has happened, oldest first.
    pub(crate) fn take_events(&mut self) -> Vec<LinkEvent> {
        std::mem::take(&mut self.events)
    }

    fn greeted(&mut self, conn: ConnId, hello: Hello, rest: &[u8], now: u64, out: &mut Out) {
        let sid = hello.sid;
        if sid == self.sid {
            let why = format!("it says that it is server {sid}, as this one (myid)");
            return self.refuse(conn, None, &why, out);
        }
        // `Long.MAX_VALUE` was for observers without a number.
        if sid < 0 || sid == i64::MAX {
            return self.refuse(conn, None, "it has no number", out);
        }
        let stranger = |sid: &Sid| !self.addresses.contains_key(sid);
        let strangers = self.others.keys().filter(|sid| stranger(sid)).count();
        if stranger(&sid) && !self.others.contains_key(&sid) && strangers >= MAX_STRANGERS {
            let why = "there are too many servers of no list of members";
            return self.refuse(conn, None, why, out);
        }
        let other = self.others.entry(sid).or_default();
        other.announced = hello.addresses.iter().map(|a| a.to_string()).collect();
        self.conns.remove(&conn);
        if sid > self.sid {
            return self.register(conn, sid, rest, now, out);
        }
        out.close(conn);
        let young = |&(_, since): &(ConnId, u64)| now < since.saturating_add(YOUNG_MS);
        if other.link.iter().chain(&other.dialing).any(young) {
            return;
        }
        // It can be reached now; an older attempt may wait for a packet that was lost.
        if let Some((stuck, _)) = other.dialing.take() {
            self.conns.remove(&stuck);
            out.close(stuck);
        }
        // It would not ring if it had a connection.
        if let Some((old, _)) = other.link.take() {
            self.conns.remove(&old);
            out.close(old);
        }
        other.rang = true;
        other.dial_at = now;
        self.events.push(LinkEvent::Awaited(sid));
        self.dial(sid, now, out);
    }

    /// The connection is the one of the pair.
    fn register(&mut self, conn: ConnId, sid: Sid, rest: &[u8], now: u64, out: &mut Out) {
        let old = self.others.get(&sid).and_then(|other| other.link);
        if let Some((old, since)) = old
            && now >= since.saturating_add(LASTING_MS)
        {
            let what = format!(
                "replaced: server {sid} has connected anew: it was cut off, or two servers have its \
                 number (myid)"
            );
            self.remark(old, Some(sid), what, out);
        }
        let other = self.others.entry(sid).or_default();
        let old = other.link.replace((conn, now)).map(|(old, _)| old);
        // To ring now would make it close this one.
        let dialing = other.dialing.take().map(|(dialing, _)| dialing);
        for superfluous in [old, dialing].into_iter().flatten() {
            self.conns.remove(&superfluous);
            out.close(superfluous);
        }
        other.rang = false;
        let mut frames = FrameDecoder::new();
        frames.push(rest);
        let heard = false;
        self.conns.insert(conn, Conn::Link { sid, frames, heard });
        self.events.push(LinkEvent::Up(sid));
        self.read_frames(conn, now, out);
    }

    /// A message that waited, for a connection that has come up.
    pub(crate) fn take_waiting(&mut self, sid: Sid) -> Option<Vec<u8>> {
        self.others.get_mut(&sid)?.waiting.take()
    }

    fn read_frames(&mut self, conn: ConnId, now: u64, out: &mut Out) {
        let Some(Conn::Link { sid, frames, heard }) = self.conns.get_mut(&conn) else {
            return;
        };
        let sid = *sid;
        let broken = loop {
            match frames.next_frame() {
                Ok(None) => break None,
                Ok(Some(body)) => {
                    let first = !std::mem::replace(heard, true);
                    let body = body.to_vec();
                    self.events.push(LinkEvent::Frame { sid, first, body });
                }
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = broken {
            self.refuse(conn, Some(sid), &error.to_string(), out);
            self.unlink(sid, now, out);
        }
    }

    /// The connection with a server is no more.
    fn unlink(&mut self, sid: Sid, now: u64, out: &mut Out) {
        let Some(other) = self.others.get_mut(&sid) else {
            return;
        };
        let lasted = other
            .link
            .take()
            .map_or(0, |(_, since)| now.saturating_sub(since));
        if lasted >= LASTING_MS {
            other.pause = 0;
            other.dial_at = now;
            if sid > self.sid {
                let ring_after = if self.urgent {
                    RING_AFTER_MS
                } else {
                    REDIAL_IDLE_MS
                };
                other.dial_at = now.saturating_add(ring_after);
            }
            self.dial(sid, now, out);
        } else {
            self.postpone(sid, now, out);
        }
        self.forget_stranger(sid);
    }

    /// Dials again later, and later each time.
    fn postpone(&mut self, sid: Sid, now: u64, out: &mut Out) {
        let (first, longest) = REDIAL_MS;
        let longest = if self.urgent { longest } else { REDIAL_IDLE_MS };
        let other = self.others.entry(sid).or_default();
        let pause = other.pause.clamp(first, longest);
        other.pause = pause * 2;
        // So that two do not go on in step.
        other.dial_at = now.saturating_add(pause + out.random(pause / 4 + 1));
        if !self.wanted.contains(&sid) {
            // Who rang and does not answer rings again.
            other.rang = false;
            other.waiting = None;
        }
        self.forget_stranger(sid);
    }

    fn forget_stranger(&mut self, sid: Sid) {
        let idle = |other: &Other| other.link.is_none() && other.dialing.is_none() && !other.rang;
        if !self.addresses.contains_key(&sid) && self.others.get(&sid).is_some_and(idle) {
            self.others.remove(&sid);
        }
    }

    /// Whether a connection is missing.
    fn has_reason(&self, sid: Sid, other: &Other) -> bool {
        other.link.is_none()
            && other.dialing.is_none()
            && (other.rang || other.waiting.is_some() || self.wanted.contains(&sid))
    }

    fn dial_all(&mut self, now: u64, out: &mut Out) {
        let due: Vec<Sid> = self
            .others
            .iter()
            .filter(|&(&sid, other)| now >= other.dial_at && self.has_reason(sid, other))
            .map(|(&sid, _)| sid)
            .collect();
        for sid in due {
            self.dial(sid, now, out);
        }
    }

    /// Dials a server if it is time to.
    fn dial(&mut self, sid: Sid, now: u64, out: &mut Out) {
        let Some(other) = self.others.get(&sid) else {
            return;
        };
        if now < other.dial_at || !self.has_reason(sid, other) {
            return;
        }
        let configured = self.addresses.get(&sid);
        let mut addresses = Vec::new();
        // Who rings knows best where it is.
        let announced = Some(&other.announced).filter(|_| other.rang || configured.is_none());
        for address in announced.into_iter().chain(configured).flatten() {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        if addresses.is_empty() {
            return self.postpone(sid, now, out);
        }
        let timeout_ms = (FIRST_ATTEMPT_MS << other.failures.min(8)).min(self.connect_timeout_ms);
        let conn = out.dial(sid, Port::Election, addresses, timeout_ms);
        self.conns.insert(conn, Conn::Dialing(sid));
        self.others.entry(sid).or_default().dialing = Some((conn, now));
    }

    /// Servers of no list of members that greet and then say nothing would take the places of those
    /// that are about to join.
    fn end_strangers(&mut self, now: u64, out: &mut Out) {
        let silent: Vec<Sid> = self
            .conns
            .values()
            .filter_map(|state| match state {
                Conn::Link {
                    sid, heard: false, ..
                } if self.is_silent_stranger(*sid, now) => Some(*sid),
                _ => None,
            })
            .collect();
        for sid in silent {
            let why = format!("server {sid} is in no list of members, and says nothing");
            self.refuse_link(sid, &why, now, out);
        }
    }

    /// Closes the connection with a server.
    pub(crate) fn refuse_link(&mut self, sid: Sid, why: &str, now: u64, out: &mut Out) {
        let link = self.others.get(&sid).and_then(|other| other.link);
        if let Some((conn, _)) = link {
            self.refuse(conn, Some(sid), why, out);
            self.unlink(sid, now, out);
            self.events.push(LinkEvent::Down(sid));
        }
    }

    fn is_silent_stranger(&self, sid: Sid, now: u64) -> bool {
        let since = self.others.get(&sid).and_then(|other| other.link);
        !self.addresses.contains_key(&sid)
            && since.is_some_and(|(_, since)| now >= since.saturating_add(self.greeting_timeout_ms))
    }

    /// Closes a connection that is not one of another server. `sid`: who it says it is.
    fn refuse(&mut self, conn: ConnId, sid: Option<Sid>, why: &str, out: &mut Out) {
        self.conns.remove(&conn);
        self.remark(conn, sid, format!("refused: {why}"), out);
        out.close(conn);
    }

    fn remark(&self, conn: ConnId, sid: Option<Sid>, what: String, out: &mut Out) {
        let sid = sid.filter(|sid| self.addresses.contains_key(sid));
        out.push(Effect::Remark { conn, sid, what });
    }
}
