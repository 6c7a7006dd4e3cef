//! Sessions of clients: ids, passwords, timeouts (`SessionTrackerImpl` in Java).

use crate::link::{Close, Link};
use crate::time::Now;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use zooid_proto::ErrorCode;

/// Session ids with this value would mark containers, so it is left out.
const CONTAINER_OWNER: i64 = i64::MIN;

/// One session.
pub struct Session {
    /// Its id.
    pub id: i64,
    timeout_ms: AtomicI32,
    /// Monotonic time at which it expires unless touched, ms; a multiple of a tick.
    expires_at_ms: AtomicI64,
    /// The bucket in which [`Expiry`] looks for it; entries in others are left over.
    bucket_ms: AtomicI64,
    /// Writes that wait for the disk. The connection reads no further meanwhile, so that silence
    /// says nothing of the client.
    waiting: AtomicU32,
    state: Mutex<State>,
    /// Whether no other member knows of it (`LocalSessionTracker` in Java).
    local: AtomicBool,
    /// Whether it is among those that the leader is told of next.
    heard: AtomicBool,
}

#[derive(Default)]
struct State {
    closing: bool,
    owner: Owner,
    link: Weak<Link>,
}

/// Through which server a session asks. Only a leader looks at it: what another server passes on
/// for a session that has moved away comes too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// Not known yet: whoever asks first.
    #[default]
    Nobody,
    /// This server.
    Here,
    /// A learner, by the number of its connection.
    Learner(u64),
}

impl Session {
    /// Negotiated timeout, ms.
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms.load(Ordering::Relaxed)
    }

    /// Monotonic time at which it expires unless touched, ms.
    pub fn expires_at_ms(&self) -> i64 {
        self.expires_at_ms.load(Ordering::Relaxed)
    }

    /// Whether no other member knows of it: no transaction tells of its begin or its end.
    pub fn is_local(&self) -> bool {
        self.local.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_write(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_write(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the session may ask through `asker`; one that belongs to nobody is its from now on.
    pub(crate) fn ask(&self, asker: Owner) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(ErrorCode::SessionExpired);
        }
        if state.owner == Owner::Nobody {
            state.owner = asker;
        }
        if state.owner == asker {
            Ok(())
        } else {
            Err(ErrorCode::SessionMoved)
        }
    }

    /// Whether its end has begun.
    pub fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// The connection that it is attached to, if that is still there.
    pub fn link(&self) -> Option<Arc<Link>> {
        self.state.lock().link.upgrade()
    }
}

/// All sessions of a server.
pub struct Sessions {
    tick_ms: i64,
    table: RwLock<Table>,
    /// Sessions whose expiry was set since the buckets were last looked at.
    fresh: Mutex<Vec<Arc<Session>>>,
    /// Whether a leader elsewhere wants to know who was heard of.
    reporting: AtomicBool,
    /// Sessions that were heard of since the last report.
    heard: Mutex<Vec<Arc<Session>>>,
    /// How many are local.
    locals: AtomicUsize,
}

struct Table {
    sessions: HashMap<i64, Arc<Session>, foldhash::fast::FixedState>,
    next_id: i64,
}

/// What a session begins with.
#[derive(Default)]
struct New {
    link: Weak<Link>,
    owner: Owner,
    local: bool,
}

/// Why a session cannot be attached to: unknown, over, or a wrong password. Clients are not told
/// which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl Sessions {
    /// An empty table. `now` seeds the ids: the wall clock does not come back after a reboot, as
    /// the clock that Java uses does.
    pub fn new(server_id: u8, tick_ms: i32, now: Now) -> Sessions {
        let time = ((now.wall_ms as u64) << 24 >> 8) as i64;
        let next_id = time | i64::from(server_id) << 56;
        Sessions {
            tick_ms: i64::from(tick_ms.max(1)),
            table: RwLock::new(Table {
                sessions: HashMap::default(),
                next_id,
            }),
            fresh: Mutex::default(),
            reporting: AtomicBool::new(false),
            heard: Mutex::default(),
            locals: AtomicUsize::new(0),
        }
    }

    /// Makes a session for a connection.
    pub fn create(&self, timeout_ms: i32, link: &Arc<Link>, now: Now) -> Arc<Session> {
        self.create_for(timeout_ms, link, false, now)
    }

    /// The same, and no other member is to know of it.
    pub(crate) fn create_local(&self, timeout_ms: i32, link: &Arc<Link>, now: Now) -> Arc<Session> {
        self.create_for(timeout_ms, link, true, now)
    }

    fn create_for(&self, timeout_ms: i32, link: &Arc<Link>, local: bool, now: Now) -> Arc<Session> {
        let mut table = self.table.write();
        while table.next_id == CONTAINER_OWNER || table.sessions.contains_key(&table.next_id) {
            table.next_id += 1;
        }
        let id = table.next_id;
        table.next_id += 1;
        let session = New {
            link: Arc::downgrade(link),
            owner: Owner::Here,
            local,
        };
        self.insert(&mut table, id, timeout_ms, session, now)
    }

    /// Forgets all sessions but those of `stored`, which get their full timeouts and belong to
    /// nobody: a new term begins. Local ones end with the one before, as in Java. `reporting`: whether [`Sessions::take_heard`] is of use.
    pub fn begin_term(&self, stored: impl Iterator<Item = (i64, i32)>, reporting: bool, now: Now) {
        self.reporting.store(reporting, Ordering::Relaxed);
        self.heard.lock().clear();
        self.fresh.lock().clear();
        let mut table = self.table.write();
        table.sessions.clear();
        self.locals.store(0, Ordering::Relaxed);
        for (id, timeout_ms) in stored {
            self.insert(&mut table, id, timeout_ms, New::default(), now);
        }
    }

    /// Takes over a session found on disk, with a full timeout before it.
    pub fn restore(&self, id: i64, timeout_ms: i32, now: Now) {
        let mut table = self.table.write();
        self.insert(&mut table, id, timeout_ms, New::default(), now);
    }

    /// A session that a learner opens under an id of its own.
    pub(crate) fn open_for_learner(
        &self,
        id: i64,
        timeout_ms: i32,
        learner: u64,
        now: Now,
    ) -> Arc<Session> {
        let mut table = self.table.write();
        let session = New {
            owner: Owner::Learner(learner),
            ..New::default()
        };
        self.insert(&mut table, id, timeout_ms, session, now)
    }

    /// A local session is to be known to all (`upgradeSession` in Java); `false` if it was not
    /// local.
    pub(crate) fn make_global(&self, session: &Arc<Session>, now: Now) -> bool {
        let was_local = session.local.swap(false, Ordering::Relaxed);
        if was_local {
            self.locals.fetch_sub(1, Ordering::Relaxed);
            self.touch(session, session.timeout_ms(), now);
        }
        was_local
    }

    /// Whether this very session is in the table, and not one of a term that is over.
    pub(crate) fn holds(&self, session: &Arc<Session>) -> bool {
        let table = self.table.read();
        let known = table.sessions.get(&session.id);
        known.is_some_and(|known| Arc::ptr_eq(known, session))
    }

    /// A learner's client comes back to a session: it is the learner's if it is alive.
    pub(crate) fn revalidate(&self, id: i64, timeout_ms: i32, learner: u64, now: Now) -> bool {
        let Some(session) = self.get(id).filter(|session| !session.is_local()) else {
            return false;
        };
        let before = {
            let mut state = session.state.lock();
            if state.closing {
                return false;
            }
            self.touch(&session, timeout_ms, now);
            state.owner = Owner::Learner(learner);
            std::mem::take(&mut state.link)
        };
        self.fresh.lock().push(session);
        if let Some(before) = before.upgrade() {
            before.close(Close::Now);
        }
        true
    }

    /// The sessions that were heard of since the last call, with their timeouts in ms.
    pub(crate) fn take_heard(&self) -> Vec<(i64, i32)> {
        let heard = std::mem::take(&mut *self.heard.lock());
        let told = heard.into_iter().map(|session| {
            session.heard.store(false, Ordering::Relaxed);
            (session.id, session.timeout_ms())
        });
        told.collect()
    }

    fn insert(
        &self,
        table: &mut Table,
        id: i64,
        timeout_ms: i32,
        new: New,
        now: Now,
    ) -> Arc<Session> {
        let New { link, owner, local } = new;
        let is_here = owner == Owner::Here;
        if local {
            self.locals.fetch_add(1, Ordering::Relaxed);
        }
        let session = Arc::new(Session {
            id,
            timeout_ms: AtomicI32::new(timeout_ms),
            expires_at_ms: AtomicI64::new(self.expiry(timeout_ms, now)),
            bucket_ms: AtomicI64::new(i64::MAX),
            waiting: AtomicU32::new(0),
            state: Mutex::new(State {
                closing: false,
                owner,
                link,
            }),
            local: AtomicBool::new(local),
            heard: AtomicBool::new(false),
        });
        // Nobody is heard of by a transaction or a term that begins: told to the leader, it would give
        // a whole timeout more to a session that is silent, or has a shorter one elsewhere.
        if is_here {
            self.touch(&session, timeout_ms, now);
        }
        table.sessions.insert(id, session.clone());
        self.fresh.lock().push(session.clone());
        session
    }

    /// Attaches a connection to a session that it had. The connection attached before is closed.
    /// The password is checked first: a wrong one disturbs nobody.
    pub fn attach(
        &self,
        id: i64,
        password_given: &[u8],
        timeout_ms: i32,
        link: &Arc<Link>,
        now: Now,
    ) -> Result<Arc<Session>, Refused> {
        if !is_password(id, password_given) {
            return Err(Refused);
        }
        self.attach_known(id, timeout_ms, link, now)
    }

    /// The same, of a client whose password was looked at before.
    pub(crate) fn attach_known(
        &self,
        id: i64,
        timeout_ms: i32,
        link: &Arc<Link>,
        now: Now,
    ) -> Result<Arc<Session>, Refused> {
        let session = self.get(id).ok_or(Refused)?;
        self.take_over(&session, timeout_ms, link, now)?;
        Ok(session)
    }

    /// Attaches a connection to a session that the leader says is alive.
    pub(crate) fn attach_valid(
        &self,
        id: i64,
        timeout_ms: i32,
        link: &Arc<Link>,
        now: Now,
    ) -> Result<Arc<Session>, Refused> {
        let session = self.get(id).unwrap_or_else(|| {
            let mut table = self.table.write();
            self.insert(&mut table, id, timeout_ms, New::default(), now)
        });
        self.take_over(&session, timeout_ms, link, now)?;
        Ok(session)
    }

    fn take_over(
        &self,
        session: &Arc<Session>,
        timeout_ms: i32,
        link: &Arc<Link>,
        now: Now,
    ) -> Result<(), Refused> {
        let before = {
            let mut state = session.state.lock();
            if state.closing {
                return Err(Refused);
            }
            state.owner = Owner::Here;
            self.touch(session, timeout_ms, now);
            session.timeout_ms.store(timeout_ms, Ordering::Relaxed);
            std::mem::replace(&mut state.link, Arc::downgrade(link))
        };
        // A shorter timeout may expire before the bucket that the session sits in.
        self.fresh.lock().push(session.clone());
        if let Some(before) = before.upgrade().filter(|before| before.id != link.id) {
            before.close(Close::Now);
        }
        Ok(())
    }

    /// Gives a session its full timeout again.
    pub fn touch(&self, session: &Arc<Session>, timeout_ms: i32, now: Now) {
        let expires = self.expiry(timeout_ms, now);
        session.expires_at_ms.store(expires, Ordering::Relaxed);
        if self.reporting.load(Ordering::Relaxed)
            && !session.is_local()
            && !session.heard.load(Ordering::Relaxed)
            && !session.heard.swap(true, Ordering::Relaxed)
        {
            self.heard.lock().push(session.clone());
        }
    }

    /// When a session expires that is heard of now, monotonic, ms.
    fn expiry(&self, timeout_ms: i32, now: Now) -> i64 {
        ((now.mono_ms + i64::from(timeout_ms)) / self.tick_ms + 1) * self.tick_ms
    }

    /// The session of an id.
    pub fn get(&self, id: i64) -> Option<Arc<Session>> {
        self.table.read().sessions.get(&id).cloned()
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.table.read().sessions.len()
    }

    /// Number of those that no other member knows of.
    pub fn local_len(&self) -> usize {
        self.locals.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All sessions, in no order.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.table.read().sessions.values().cloned().collect()
    }

    /// Marks a session as closing; `false` if it was already.
    pub fn begin_close(&self, session: &Session) -> bool {
        !std::mem::replace(&mut session.state.lock().closing, true)
    }

    /// Forgets a session whose end is applied.
    pub fn remove(&self, id: i64) -> Option<Arc<Session>> {
        let session = self.table.write().sessions.remove(&id)?;
        session.state.lock().closing = true;
        if session.is_local() {
            self.locals.fetch_sub(1, Ordering::Relaxed);
        }
        Some(session)
    }
}

/// Sessions by the time at which they expire. Touching a session moves nothing here: a bucket is
/// looked through when its time comes, and sessions touched meanwhile go to a later one.
#[derive(Default)]
pub struct Expiry {
    buckets: BTreeMap<i64, Vec<Arc<Session>>>,
    only_local: bool,
}

impl Expiry {
    /// For a server that does not lead: only its local sessions are its to end.
    pub fn of_local() -> Expiry {
        Expiry {
            only_local: true,
            ..Expiry::default()
        }
    }

    /// Time of the first bucket, monotonic, ms.
    pub fn next(&self) -> Option<i64> {
        self.buckets.keys().next().copied()
    }

    /// Marks the sessions whose time has come as closing, and returns them.
    pub fn due(&mut self, sessions: &Sessions, now: Now) -> Vec<Arc<Session>> {
        let only_local = self.only_local;
        let concerns = |session: &Session| !only_local || session.is_local();
        for session in std::mem::take(&mut *sessions.fresh.lock()) {
            if !concerns(&session) {
                continue;
            }
            let expires = session.expires_at_ms();
            // A bucket before that one will bring it there: a client that comes back all the time
            // must not fill all of them.
            if expires < session.bucket_ms.load(Ordering::Relaxed) {
                self.put(session, expires);
            }
        }
        let mut due = Vec::new();
        while let Some(bucket) = self
            .buckets
            .first_entry()
            .filter(|b| *b.key() <= now.mono_ms)
        {
            let at = *bucket.key();
            for session in bucket.remove() {
                if session.bucket_ms.load(Ordering::Relaxed) != at || !concerns(&session) {
                    continue;
                }
                let mut state = session.state.lock();
                let expires = session.expires_at_ms();
                if state.closing {
                    continue;
                }
                if expires > now.mono_ms {
                    drop(state);
                    self.put(session, expires);
                    continue;
                }
                if session.waiting.load(Ordering::Relaxed) > 0 {
                    drop(state);
                    sessions.touch(&session, session.timeout_ms(), now);
                    let expires = session.expires_at_ms();
                    self.put(session, expires);
                    continue;
                }
                state.closing = true;
                drop(state);
                due.push(session);
            }
        }
        due
    }

    fn put(&mut self, session: Arc<Session>, at_ms: i64) {
        session.bucket_ms.store(at_ms, Ordering::Relaxed);
        self.buckets.entry(at_ms).or_default().push(session);
    }
}

/// Whether a client that comes back to a session knows its password.
pub(crate) fn is_password(id: i64, given: &[u8]) -> bool {
    id != 0 && given == password(id)
}

/// The password of a session: what `java.util.Random`, seeded with the id and a constant, fills 16
/// bytes with. Every server of an ensemble derives the same one.
pub fn password(id: i64) -> [u8; 16] {
    const SUPER_SECRET: i64 = 0xB341_5C00;
    const MULTIPLIER: i64 = 0x5_DEEC_E66D;
    const MASK: i64 = (1 << 48) - 1;
    let mut state = (id ^ SUPER_SECRET ^ MULTIPLIER) & MASK;
    let mut bytes = [0; 16];
    for chunk in bytes.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        chunk.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;
    impl crate::link::Wake for Nobody {
        fn wake(&self) {}
    }

    fn link(id: u64) -> Arc<Link> {
        Arc::new(Link::new(
            id,
            ([127, 0, 0, 1], 1000).into(),
            0,
            Box::new(Nobody),
        ))
    }

    fn at(mono_ms: i64) -> Now {
        Now {
            mono_ms,
            wall_ms: 1_795_236_000_000 + mono_ms,
        }
    }

    #[test]
    fn the_golden_password() {
        let golden = 0x7db9_c8cb_c679_ee4c_2389_7aa1_7f1e_4834_u128.to_be_bytes();
        assert_eq!(password(0x0100_0014_9629_0000), golden);
    }

    #[test]
    fn ids_carry_the_server_in_their_highest_byte() {
        let sessions = Sessions::new(5, 1000, at(0));
        let (a, b) = (
            sessions.create(1, &link(1), at(0)),
            sessions.create(1, &link(2), at(0)),
        );
        assert_eq!((a.id >> 56, b.id), (5, a.id + 1));
    }

    #[test]
    fn a_session_expires_within_a_tick_behind_its_timeout() {
        let sessions = Sessions::new(1, 1000, at(0));
        let mut expiry = Expiry::default();
        let session = sessions.create(4000, &link(1), at(500));
        assert!(expiry.due(&sessions, at(4999)).is_empty());
        sessions.touch(&session, 4000, at(4999));
        assert!(expiry.due(&sessions, at(8999)).is_empty());
        let due = expiry.due(&sessions, at(9000));
        assert_eq!(due.len(), 1);
        assert!(session.is_closing());
        let again = sessions.attach(session.id, &password(session.id), 4000, &link(2), at(9000));
        assert!(again.is_err());
    }

    #[test]
    fn a_session_does_not_expire_while_its_write_waits() {
        let sessions = Sessions::new(1, 1000, at(0));
        let mut expiry = Expiry::default();
        let session = sessions.create(4000, &link(1), at(500));
        session.begin_write();
        assert!(expiry.due(&sessions, at(9000)).is_empty());
        session.end_write();
        assert!(expiry.due(&sessions, at(12_999)).is_empty());
        assert_eq!(expiry.due(&sessions, at(14_000)).len(), 1);
    }

    #[test]
    fn a_shorter_timeout_takes_effect_when_attaching() {
        let sessions = Sessions::new(1, 100, at(0));
        let mut expiry = Expiry::default();
        let session = sessions.create(60_000, &link(1), at(0));
        expiry.due(&sessions, at(0));
        sessions
            .attach(session.id, &password(session.id), 400, &link(2), at(0))
            .ok()
            .unwrap();
        assert_eq!(expiry.due(&sessions, at(600)).len(), 1);
    }

    #[test]
    fn only_sessions_of_clients_here_are_told_to_the_leader() {
        let sessions = Sessions::new(1, 100, at(0));
        sessions.begin_term([(7, 60_000)].into_iter(), true, at(0));
        sessions.restore(8, 60_000, at(0));
        assert!(sessions.take_heard().is_empty());
        let attached = sessions.attach_valid(8, 400, &link(1), at(100));
        assert!(attached.is_ok());
        assert_eq!(sessions.take_heard(), [(8, 400)]);
        let own = sessions.create(4000, &link(2), at(100));
        assert_eq!(sessions.take_heard(), [(own.id, 4000)]);
    }

    #[test]
    fn a_client_that_comes_back_all_the_time_leaves_nothing_behind() {
        let sessions = Sessions::new(1, 100, at(0));
        let mut expiry = Expiry::default();
        let session = sessions.create(5000, &link(1), at(0));
        for round in 0..1000 {
            let timeout_ms = if round % 2 == 0 { 5000 } else { 4000 };
            let now = at(round * 50);
            sessions
                .attach(session.id, &password(session.id), timeout_ms, &link(2), now)
                .ok()
                .unwrap();
            assert!(expiry.due(&sessions, now).is_empty());
            let entries: usize = expiry.buckets.values().map(Vec::len).sum();
            assert!(entries <= 3, "{entries} in round {round}");
        }
        assert_eq!(expiry.due(&sessions, at(60_000)).len(), 1);
        assert!(expiry.buckets.is_empty());
    }

    #[test]
    fn a_wrong_password_disturbs_nobody() {
        let sessions = Sessions::new(1, 100, at(0));
        let rightful = link(1);
        let session = sessions.create(400, &rightful, at(0));
        assert!(
            sessions
                .attach(session.id, &[0; 16], 400, &link(2), at(0))
                .is_err()
        );
        assert!(rightful.collect().is_none());
        sessions
            .attach(session.id, &password(session.id), 400, &link(3), at(0))
            .ok()
            .unwrap();
        assert_eq!(rightful.collect().unwrap().close, Some(Close::Now));
    }
}
