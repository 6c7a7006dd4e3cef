//! All that goes into a [`Peer`](crate::Peer) and all that comes out of it, on one page.
//!
//! Whoever drives a peer carries out its effects **in order**: what is sent on one connection
//! leaves in that order, transactions are applied in that order, and disk operations are done in
//! that order. Time is an argument, monotonic, in ms.

use std::sync::Arc;

/// The number of a server, the `N` of `server.N`.
pub type Sid = i64;

/// A connection to another server, on either port. Those that the peer dials it numbers itself;
/// accepted ones are numbered by the driver with [`ConnId::accepted`]. No number is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl ConnId {
    const ACCEPTED: u64 = 1 << 63;

    /// The `n`th connection that a driver accepted.
    pub fn accepted(n: u64) -> ConnId {
        ConnId(n | Self::ACCEPTED)
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// Votes.
    Election,
    /// A leader and its learners.
    Quorum,
    /// A follower and its observers (`observerMasterPort`).
    ObserverMaster,
}

/// Disk operations are numbered in the order in which they were asked for.
pub type Token = u64;

/// A transaction as the leader made it: header, record and digest are kept byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its zxid.
    pub zxid: i64,
    /// Header, record and, from 3.6 on, digest.
    pub bytes: Arc<[u8]>,
}

/// A request of a client as a learner passes it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Session of the client.
    pub session: i64,
    /// xid of the request.
    pub cxid: i32,
    /// Operation.
    pub op: i32,
    /// The record of the request.
    pub body: Vec<u8>,
    /// scheme and id of each identity that the client has.
    pub identities: Vec<(String, String)>,
}

/// What a disk operation does. Each is done when it, and all before it, are durable, names in
/// directories included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskOp {
    /// Replace the file `acceptedEpoch`.
    AcceptedEpoch(i64),
    /// Replace the file `currentEpoch`.
    CurrentEpoch(i64),
    /// Append to the log.
    Append(Proposal),
    /// Forget all behind `zxid`: log entries, snapshots, and in memory. When it is done the state
    /// machine is that of exactly `zxid`. Where no snapshot is left to get there from, the driver
    /// answers [`Input::CannotTruncate`] and has discarded everything.
    Truncate {
        /// The last transaction to keep.
        zxid: i64,
    },
    /// The state received by [`Effect::SnapshotBegin`] and so on becomes *the* state: durable as a
    /// snapshot, older logs and snapshots are of no use any more and go away.
    InstallSnapshot {
        /// The last transaction that is in it.
        zxid: i64,
    },
    /// The state as it is, with all up to `zxid`, becomes durable as a snapshot; older logs and
    /// snapshots go away: an observer that has written no log votes now.
    Keep {
        /// The last transaction that is in it.
        zxid: i64,
    },
    /// Write the newest configuration that was seen, with its version (`.dynamic.next`). One that is
    /// not newer than that in force takes the place of a proposal that came to nothing.
    NextConfig(String),
    /// The configuration is in force: write the dynamic file and remove the next one.
    CommitConfig(String),
}

/// What happens to a peer.
#[derive(Debug)]
pub enum Input<'a> {
    /// Another server has opened a connection.
    Accepted {
        /// The connection.
        conn: ConnId,
        /// On which port.
        port: Port,
    },
    /// [`Effect::Dial`] has succeeded.
    Dialed {
        /// The connection.
        conn: ConnId,
    },
    /// Bytes have arrived, cut anywhere.
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The connection is gone, or could not be opened. Never said of one that the peer closed.
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// The disk operation and all before it are done.
    Persisted {
        /// The operation.
        token: Token,
    },
    /// The answer to [`DiskOp::Truncate`] if nothing is left: the server is empty now.
    CannotTruncate {
        /// The operation.
        token: Token,
    },
    /// Leading: a transaction that the state machine made. Its zxid is one more than the last one.
    Propose(Proposal),
    /// Leading: a `sync` of a learner has its turn behind what was proposed before it (see
    /// [`Effect::Request`]).
    LearnerSync {
        /// The connection of the learner.
        conn: ConnId,
    },
    /// Leading: the answer to [`Effect::Revalidate`].
    Revalidated {
        /// The connection of the learner.
        conn: ConnId,
        /// The session.
        session: i64,
        /// Whether it is alive and now belongs to that learner.
        valid: bool,
    },
    /// Learning: a client's write or `sync` for the leader.
    Forward(Forwarded),
    /// Learning: a client comes back to a session: does the leader know it?
    AskRevalidation {
        /// The session.
        session: i64,
        /// The timeout asked for, ms.
        timeout_ms: i32,
    },
    /// Learning: a client was heard of; the leader is told with the next answer to its ping.
    Touch {
        /// The session.
        session: i64,
        /// Its timeout, ms.
        timeout_ms: i32,
    },
    /// Log entries up to here have been purged: they cannot be sent to learners any more.
    LogStartsAt {
        /// The first that is left.
        zxid: i64,
    },
    /// How many nodes the state has: what it costs to send it whole. Until this is said, a learner is
    /// brought up from the log wherever that is possible.
    StateSize {
        /// Roughly.
        nodes: u64,
    },
    /// What the oracle of two voters says now, if there is one: whether this server may decide alone
    /// (`oraclePath`). To be said when it changes; until it is said, it may not.
    Oracle {
        /// Whether it may.
        alone: bool,
    },
    /// Time has passed; [`Peer::poll_timeout`](crate::Peer::poll_timeout) says when it matters.
    Tick,
    /// Stop in an orderly way: a leader lets its followers have everything first. Done with
    /// [`Effect::Stopped`].
    Stop,
}

/// How a learner was brought to where the leader is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// Its connection.
    pub conn: ConnId,
    /// Its number.
    pub learner: Sid,
    /// Whether it is an observer.
    pub observer: bool,
    /// DIFF, TRUNC or SNAP.
    pub kind: &'static str,
    /// The last transaction that it had.
    pub from: i64,
    /// The one that it had to go back to, where that is another one.
    pub back_to: Option<i64>,
    /// The last one of what it was sent.
    pub to: i64,
    /// How many transactions it was sent.
    pub entries: u64,
    /// Their bytes, without those that the driver has read from the log or made of the state.
    pub bytes: u64,
    /// From the decision to the acknowledgement, ms.
    pub ms: u64,
    /// Whether it has acknowledged all of it.
    pub done: bool,
}

/// What a peer wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open a connection to one of the addresses (`host:port`; names are resolved anew each time):
    /// the first that answers. [`Input::Dialed`] or [`Input::Closed`] follow.
    Dial {
        /// The connection.
        conn: ConnId,
        /// Which server.
        sid: Sid,
        /// For what.
        port: Port,
        /// Where it may be.
        addresses: Vec<String>,
        /// To give up after, ms.
        timeout_ms: u64,
    },
    /// Send bytes.
    Send {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Send the state as it is now, that is with everything that was applied before this effect,
    /// as a SNAP stream from the first session to the signature
    /// ([`SnapshotEncoder`](zooid_proto::quorum::SnapshotEncoder)).
    SendSnapshot {
        /// The connection.
        conn: ConnId,
        /// The last transaction that is in it.
        zxid: i64,
    },
    /// Send transactions from the log, each as PROPOSAL and COMMIT.
    SendLog {
        /// The connection.
        conn: ConnId,
        /// Those behind this one,
        after: i64,
        /// up to this one and with it.
        upto: i64,
    },
    /// Who is at the other end of a connection does not do as a member does: something for operators,
    /// and said before the connection is closed for it. It may happen again and again, and is not worth
    /// a line each time.
    Remark {
        /// The connection.
        conn: ConnId,
        /// Which member it says it is, if it is one.
        sid: Option<Sid>,
        /// What it does, or who it is.
        what: String,
    },
    /// A learner has got what it lacked, or will not get it on this connection: for operators.
    BroughtUp(SyncReport),
    /// Close a connection after what was sent has left. Nothing is heard of it any more.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// Do something on the disk.
    Disk {
        /// Its number.
        token: Token,
        /// What.
        op: DiskOp,
    },
    /// A whole state is coming from the leader; what is there stays until
    /// [`DiskOp::InstallSnapshot`].
    SnapshotBegin,
    /// A part of the stream, cut anywhere, its signature with it
    /// ([`SnapshotDecoder`](zooid_proto::quorum::SnapshotDecoder)).
    SnapshotBytes(Vec<u8>),
    /// The stream broke off: forget what has come of it.
    SnapshotAbort,
    /// Apply a transaction to the state machine.
    Apply(Proposal),
    /// The role has changed. Any role but [`Role::Leading`], [`Role::Following`] and
    /// [`Role::Observing`] with `serving` ends the service: clients are disconnected, requests
    /// under way are forgotten, no snapshot may be begun.
    Role(Role),
    /// Leading: a write or `sync` of a learner's client, in the order of that connection. A `sync`
    /// comes back as [`Input::LearnerSync`] at its turn, a write as [`Input::Propose`].
    Request {
        /// The connection of the learner: the owner of the session while it asks.
        conn: ConnId,
        /// The request.
        request: Forwarded,
    },
    /// Leading: is this session alive? If so it belongs to the learner from now on.
    Revalidate {
        /// The connection of the learner.
        conn: ConnId,
        /// The session.
        session: i64,
        /// Its timeout, ms.
        timeout_ms: i32,
    },
    /// Leading: a learner has heard of a session.
    Touched {
        /// The session.
        session: i64,
        /// Its timeout, ms.
        timeout_ms: i32,
    },
    /// Learning: the oldest `sync` under way is done.
    Synced,
    /// Learning: the answer to [`Input::AskRevalidation`].
    RevalidationDone {
        /// The session.
        session: i64,
        /// Whether it is alive.
        valid: bool,
    },
    /// The configuration in force has changed: its text, for `/zookeeper/config` and the addresses
    /// to listen on.
    Config(String),
    /// [`Input::Stop`] is done.
    Stopped,
    /// The server must end: nothing that it could still say would be true.
    Fatal(String),
}

/// What a server is in its ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Looking for a leader.
    Looking,
    /// A leader; `serving` once a quorum has its history.
    Leading {
        /// Its epoch; the one before while it is not agreed on.
        epoch: i64,
        /// Whether clients are served.
        serving: bool,
    },
    /// A follower, also of a leader that does not count its vote.
    Following {
        /// The leader.
        leader: Sid,
        /// Its epoch.
        epoch: i64,
        /// Whether clients are served.
        serving: bool,
    },
    /// An observer.
    Observing {
        /// The leader.
        leader: Sid,
        /// Its epoch.
        epoch: i64,
        /// Whether clients are served.
        serving: bool,
    },
}
