//! What a connection and the core share: a mailbox, the identities, a few counters.

use parking_lot::{Mutex, RwLock};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use zooid_proto::records::Id;

use crate::sessions::Session;

/// Number of a connection, never used twice by one server.
pub type ConnId = u64;

/// Wakes whoever drives a connection, so that it looks into its mailbox.
pub trait Wake: Send + Sync {
    /// May be called from any thread, any number of times.
    fn wake(&self);
}

/// The shared half of a connection.
///
/// The core fills the mailbox only while it holds the tree for writing; the connection empties it
/// while it holds the tree for reading. So an event is in the connection's output before the first
/// reply that reveals its change.
pub struct Link {
    /// The connection.
    pub id: ConnId,
    /// Whom it goes to.
    pub peer: SocketAddr,
    /// When it began, wall clock, ms since 1970.
    pub since_ms: i64,
    mailbox: Mutex<Mailbox>,
    /// Whether there is something in the mailbox: saves the lock on the way of a read.
    pending: AtomicBool,
    identities: RwLock<Arc<[Id<'static>]>>,
    /// Bytes that wait for all connections.
    waiting: Arc<AtomicI64>,
    wake: Box<dyn Wake>,
    /// What `cons` shows.
    pub counters: Counters,
}

/// What the core leaves for a connection.
#[derive(Default)]
pub struct Mailbox {
    /// Frames to send, in order.
    pub frames: Vec<u8>,
    /// Events among the frames.
    pub events: u64,
    /// Bytes of the frames that they are.
    pub event_bytes: usize,
    /// Requests that were answered.
    pub answered: Vec<Answered>,
    /// The session that the connection has from now on.
    pub established: Option<Arc<Session>>,
    /// The session that the client came back to is over.
    pub refused: bool,
    /// Whether the connection ends, and how.
    pub close: Option<Close>,
}

/// A request that the core answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// [`OpCode`](zooid_proto::OpCode) as a number, or [`SESSION_OPENED`].
    pub op: i32,
    /// xid of the request.
    pub xid: i32,
    /// zxid of the reply.
    pub zxid: i64,
    /// Monotonic time at which the request was read, ms.
    pub received_ms: i64,
}

/// Bytes that may wait in a mailbox. A client that does not read what it asked for, mostly events,
/// is cut off there: it finds out what it missed when it comes back (Java queues without end).
pub const MAX_WAITING_BYTES: usize = 16 << 20;

/// The same for all connections together: beyond it those lose theirs that have more waiting than
/// [`FEW_WAITING_BYTES`] and are given more. Many deaf clients must not take all memory.
pub const MAX_WAITING_BYTES_IN_ALL: i64 = 1 << 30;

/// What may wait for a client whatever waits for others: a client that reads has no more.
pub const FEW_WAITING_BYTES: usize = 256 << 10;

/// Most identities of a connection: each is compared with each entry of a list, and only adding
/// password after password leads beyond.
pub const MAX_IDENTITIES: usize = 256;

/// The operation that opens a session, in counters.
pub const SESSION_OPENED: i32 = -10;

/// No operation yet, in counters.
pub const NO_OPERATION: i32 = i32::MIN;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// After what is queued has been sent.
    Flush,
    /// At once.
    Now,
    /// At once: more than [`MAX_WAITING_BYTES`] wait for a client that does not read.
    Overflow,
}

/// Counters of one connection.
pub struct Counters {
    /// Frames received.
    pub received: AtomicU64,
    /// Frames sent.
    pub sent: AtomicU64,
    /// Writes and handshakes not answered yet.
    pub outstanding: AtomicU64,
    /// Session, 0 before the handshake is done.
    pub session: AtomicI64,
    /// Negotiated session timeout, ms.
    pub timeout_ms: AtomicI32,
    /// Number of the last operation; [`NO_OPERATION`] before the first, 0 after a reset.
    pub last_op: AtomicI32,
    /// xid of the last request that has one of the client's own; -1 after a reset.
    pub last_xid: AtomicI64,
    /// Last zxid sent; -1 after a reset.
    pub last_zxid: AtomicI64,
    /// Monotonic time of the last reply, ms.
    pub last_reply_ms: AtomicI64,
    /// Latency of the last request, ms.
    pub last_latency_ms: AtomicI64,
    /// Shortest latency, ms; `i64::MAX` after a reset.
    pub min_latency_ms: AtomicI64,
    /// Longest latency, ms.
    pub max_latency_ms: AtomicI64,
    /// Sum of latencies, ms.
    pub latency_sum_ms: AtomicI64,
    /// Number of latencies summed.
    pub latency_count: AtomicI64,
}

impl Counters {
    /// Not what a reset leaves: a fresh connection of Java shows fields that were never written
    /// (`lop=null`, a shortest latency of 0 that stays).
    fn new() -> Counters {
        Counters {
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            outstanding: AtomicU64::new(0),
            session: AtomicI64::new(0),
            timeout_ms: AtomicI32::new(0),
            last_op: AtomicI32::new(NO_OPERATION),
            last_xid: AtomicI64::new(0),
            last_zxid: AtomicI64::new(0),
            last_reply_ms: AtomicI64::new(0),
            last_latency_ms: AtomicI64::new(0),
            min_latency_ms: AtomicI64::new(0),
            max_latency_ms: AtomicI64::new(0),
            latency_sum_ms: AtomicI64::new(0),
            latency_count: AtomicI64::new(0),
        }
    }

    /// Forgets what `crst` forgets.
    pub fn reset(&self) {
        self.received.store(0, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
        self.last_op.store(0, Ordering::Relaxed);
        self.last_xid.store(-1, Ordering::Relaxed);
        self.last_zxid.store(-1, Ordering::Relaxed);
        self.last_reply_ms.store(0, Ordering::Relaxed);
        self.last_latency_ms.store(0, Ordering::Relaxed);
        self.min_latency_ms.store(i64::MAX, Ordering::Relaxed);
        self.max_latency_ms.store(0, Ordering::Relaxed);
        self.latency_sum_ms.store(0, Ordering::Relaxed);
        self.latency_count.store(0, Ordering::Relaxed);
    }

    /// Notes that a request was answered. Only the connection itself writes: plain loads and
    /// stores keep the way of a read free of locked instructions.
    pub(crate) fn answered(&self, answered: &Answered, now_ms: i64) {
        let Answered {
            op,
            xid,
            zxid,
            received_ms,
        } = *answered;
        let latency_ms = (now_ms - received_ms).max(0);
        bump(&self.sent, 1);
        self.last_op.store(op, Ordering::Relaxed);
        // Pings and the like say nothing about what the client did last.
        if xid >= 0 {
            self.last_xid.store(i64::from(xid), Ordering::Relaxed);
        }
        self.last_zxid.store(zxid, Ordering::Relaxed);
        self.last_reply_ms.store(now_ms, Ordering::Relaxed);
        self.last_latency_ms.store(latency_ms, Ordering::Relaxed);
        if latency_ms < self.min_latency_ms.load(Ordering::Relaxed) {
            self.min_latency_ms.store(latency_ms, Ordering::Relaxed);
        }
        if latency_ms > self.max_latency_ms.load(Ordering::Relaxed) {
            self.max_latency_ms.store(latency_ms, Ordering::Relaxed);
        }
        let sum = self.latency_sum_ms.load(Ordering::Relaxed);
        self.latency_sum_ms
            .store(sum + latency_ms, Ordering::Relaxed);
        let count = self.latency_count.load(Ordering::Relaxed);
        self.latency_count.store(count + 1, Ordering::Relaxed);
    }
}

pub(crate) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

impl Link {
    /// A link of a connection that was just accepted.
    pub fn new(id: ConnId, peer: SocketAddr, since_ms: i64, wake: Box<dyn Wake>) -> Link {
        Link {
            id,
            peer,
            since_ms,
            mailbox: Mutex::default(),
            pending: AtomicBool::new(false),
            identities: RwLock::new(Arc::from([crate::auth::ip_identity(peer.ip())])),
            waiting: Arc::default(),
            wake,
            counters: Counters::new(),
        }
    }

    /// Lets what waits for the connection count in `waiting`, too.
    pub fn counted_in(mut self, waiting: Arc<AtomicI64>) -> Link {
        self.waiting = waiting;
        self
    }

    /// The identities of the connection now.
    pub fn identities(&self) -> Arc<[Id<'static>]> {
        self.identities.read().clone()
    }

    /// Adds identities; those that the connection has already stay single. `false`: there would be
    /// more than [`MAX_IDENTITIES`], and none is added.
    pub fn add_identities(&self, ids: Vec<Id<'static>>) -> bool {
        let mut current = self.identities.write();
        let mut all = current.to_vec();
        for id in ids {
            if !all.contains(&id) {
                all.push(id);
            }
        }
        let few = all.len() <= MAX_IDENTITIES;
        if few {
            *current = all.into();
        }
        few
    }

    /// Leaves something for the connection; it is woken by [`Link::wake`]. Returns whether that is
    /// up to the caller: where something waits already, whoever left that wakes the connection. An
    /// end is always told, since a connection that is sending looks for nothing else.
    pub fn post(&self, leave: impl FnOnce(&mut Mailbox)) -> bool {
        let mut mailbox = self.mailbox.lock();
        let before = mailbox.frames.len();
        let events_before = mailbox.event_bytes;
        let is_over = mailbox.close.is_some();
        leave(&mut mailbox);
        if is_over {
            // What a connection ended on is the last that it says.
            mailbox.frames.truncate(before);
            mailbox.event_bytes = events_before;
        }
        let bytes = mailbox.frames.len();
        let more = bytes as i64 - before as i64;
        let all = self.waiting.fetch_add(more, Ordering::Relaxed) + more;
        let too_many = bytes > MAX_WAITING_BYTES
            || more > 0 && all > MAX_WAITING_BYTES_IN_ALL && bytes > FEW_WAITING_BYTES;
        if too_many || mailbox.close == Some(Close::Overflow) {
            self.waiting.fetch_sub(bytes as i64, Ordering::Relaxed);
            mailbox.frames = Vec::new();
            mailbox.event_bytes = 0;
            mailbox.close = Some(Close::Overflow);
        }
        // Only under the lock, so that what waits is always somebody's to wake for.
        let waits = self.pending.load(Ordering::Relaxed);
        self.pending.store(true, Ordering::Release);
        !waits || mailbox.close.is_some()
    }

    /// Whether the connection is to end without sending what it has: the driver looks here while
    /// the client takes nothing.
    pub fn ends_now(&self) -> bool {
        self.pending.load(Ordering::Acquire)
            && matches!(
                self.mailbox.lock().close,
                Some(Close::Now | Close::Overflow)
            )
    }

    /// Wakes the driver of the connection.
    pub fn wake(&self) {
        self.wake.wake();
    }

    /// Ends the connection from outside.
    pub fn close(&self, how: Close) {
        self.post(|mailbox| {
            mailbox.close.get_or_insert(how);
        });
        self.wake();
    }

    /// Whether something waits for the connection.
    pub fn has_mail(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes what was left since the last look.
    pub(crate) fn collect(&self) -> Option<Mailbox> {
        if !self.pending.load(Ordering::Acquire) {
            return None;
        }
        let mut mailbox = self.mailbox.lock();
        self.pending.store(false, Ordering::Relaxed);
        let taken = mailbox.frames.len() as i64;
        self.waiting.fetch_sub(taken, Ordering::Relaxed);
        Some(std::mem::take(&mut *mailbox))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let left = self.mailbox.get_mut().frames.len() as i64;
        self.waiting.fetch_sub(left, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(&self) {}
    }

    fn link() -> Link {
        Link::new(1, ([127, 0, 0, 1], 1).into(), 0, Box::new(Nobody))
    }

    #[test]
    fn the_first_to_leave_something_wakes() {
        let link = link();
        assert!(link.post(|mailbox| mailbox.events += 1));
        assert!(!link.post(|mailbox| mailbox.events += 1));
        assert_eq!(link.collect().unwrap().events, 2);
        assert!(link.post(|mailbox| mailbox.events += 1));
        assert!(link.post(|mailbox| mailbox.close = Some(Close::Now)));
    }

    #[test]
    fn what_waits_for_all_clients_is_bounded() {
        let waiting = Arc::new(AtomicI64::new(0));
        let deaf = link().counted_in(waiting.clone());
        let listens = link().counted_in(waiting.clone());
        let post = |link: &Link, bytes: usize| {
            link.post(|mailbox| mailbox.frames.resize(mailbox.frames.len() + bytes, 7));
        };
        post(&deaf, FEW_WAITING_BYTES);
        post(&listens, 1000);
        // As if others had all of the rest.
        waiting.fetch_add(MAX_WAITING_BYTES_IN_ALL, Ordering::Relaxed);
        post(&listens, 1000);
        assert!(!listens.ends_now() && !deaf.ends_now());
        post(&deaf, 1);
        assert!(deaf.ends_now() && !listens.ends_now());
        waiting.fetch_sub(MAX_WAITING_BYTES_IN_ALL, Ordering::Relaxed);
        assert_eq!(waiting.load(Ordering::Relaxed), 2000);
        assert_eq!(listens.collect().unwrap().frames.len(), 2000);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
        post(&listens, 30);
        drop(listens);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn identities_are_bounded() {
        let link = link();
        let id = |number: usize| vec![crate::auth::ip_identity([10, 0, 1, number as u8].into())];
        for number in 1..MAX_IDENTITIES {
            assert!(link.add_identities(id(number)));
        }
        assert_eq!(link.identities().len(), MAX_IDENTITIES);
        assert!(link.add_identities(id(1)), "it has that one");
        assert!(!link.add_identities(id(0)));
        assert_eq!(link.identities().len(), MAX_IDENTITIES);
    }

    #[test]
    fn what_waits_for_a_client_is_bounded() {
        let link = Link::new(1, ([127, 0, 0, 1], 1).into(), 0, Box::new(Nobody));
        let event = [7; 4096];
        for _ in 0..MAX_WAITING_BYTES / event.len() {
            link.post(|mailbox| mailbox.frames.extend_from_slice(&event));
        }
        assert!(!link.ends_now());
        for _ in 0..3 {
            link.post(|mailbox| mailbox.frames.extend_from_slice(&event));
            assert!(link.ends_now());
        }
        let left = link.collect().unwrap();
        assert_eq!(left.close, Some(Close::Overflow));
        assert_eq!(left.frames.capacity(), 0);
    }

    #[test]
    fn nothing_follows_an_end() {
        let link = link();
        link.post(|mailbox| mailbox.frames.push(1));
        link.close(Close::Flush);
        link.post(|mailbox| mailbox.frames.push(2));
        assert_eq!(link.collect().unwrap().frames, [1]);
    }

    #[test]
    fn an_orderly_end_sends_what_waits() {
        let link = Link::new(1, ([127, 0, 0, 1], 1).into(), 0, Box::new(Nobody));
        link.close(Close::Flush);
        assert!(!link.ends_now());
        let link = Link::new(1, ([127, 0, 0, 1], 1).into(), 0, Box::new(Nobody));
        link.close(Close::Now);
        assert!(link.ends_now());
    }
}
