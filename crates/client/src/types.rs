//! The values that the public API takes and gives.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use zooid_proto::client::{create_mode, event};

/// Data of a node on its way to the server. A node may hold null, which is not the same as no
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data<'a>(pub(crate) Option<Cow<'a, [u8]>>);

impl Data<'_> {
    /// Null.
    pub const NULL: Data<'static> = Data(None);
}

impl<'a> From<&'a [u8]> for Data<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Data(Some(bytes.into()))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Data<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Data(Some(bytes.as_slice().into()))
    }
}

impl<'a> From<&'a str> for Data<'a> {
    fn from(text: &'a str) -> Self {
        Data(Some(text.as_bytes().into()))
    }
}

impl From<Vec<u8>> for Data<'static> {
    fn from(bytes: Vec<u8>) -> Self {
        Data(Some(bytes.into()))
    }
}

impl<'a> From<Option<&'a [u8]>> for Data<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        Data(bytes.map(Into::into))
    }
}

/// What kind of node a create makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent,
    /// Stays until deleted; the server appends ten digits to the name.
    PersistentSequential,
    /// Goes with the session.
    Ephemeral,
    /// Goes with the session; the server appends ten digits to the name.
    EphemeralSequential,
    /// Goes some time after its last child.
    Container,
    /// Goes when it was childless and unchanged for that long: 1 ms to 2^40 - 1 ms.
    Ttl(Duration),
    /// The same; the server appends ten digits to the name.
    SequentialTtl(Duration),
}

impl CreateMode {
    pub(crate) fn flags(self) -> i32 {
        match self {
            CreateMode::Persistent => create_mode::PERSISTENT,
            CreateMode::PersistentSequential => create_mode::PERSISTENT_SEQUENTIAL,
            CreateMode::Ephemeral => create_mode::EPHEMERAL,
            CreateMode::EphemeralSequential => create_mode::EPHEMERAL_SEQUENTIAL,
            CreateMode::Container => create_mode::CONTAINER,
            CreateMode::Ttl(_) => create_mode::PERSISTENT_WITH_TTL,
            CreateMode::SequentialTtl(_) => create_mode::PERSISTENT_SEQUENTIAL_WITH_TTL,
        }
    }

    pub(crate) fn is_sequential(self) -> bool {
        create_mode::is_sequential(self.flags())
    }

    /// The time to live, ms; `None` for the other modes.
    pub(crate) fn ttl_ms(self) -> Option<i64> {
        match self {
            CreateMode::Ttl(ttl) | CreateMode::SequentialTtl(ttl) => {
                Some(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
            }
            _ => None,
        }
    }
}

/// What happened to a node, or to a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The node came into being.
    NodeCreated,
    /// The node is gone.
    NodeDeleted,
    /// The node has new data.
    NodeDataChanged,
    /// The node has a child more or less.
    NodeChildrenChanged,
    /// The watch on data or existence was removed; nothing follows.
    DataWatchRemoved,
    /// The watch on children was removed; nothing follows.
    ChildWatchRemoved,
    /// The persistent watch was removed; nothing follows.
    PersistentWatchRemoved,
}

impl EventKind {
    /// The kind that a number of the wire stands for.
    pub(crate) fn from_wire(kind: i32) -> Option<EventKind> {
        match kind {
            event::CREATED => Some(EventKind::NodeCreated),
            event::DELETED => Some(EventKind::NodeDeleted),
            event::DATA_CHANGED => Some(EventKind::NodeDataChanged),
            event::CHILDREN_CHANGED => Some(EventKind::NodeChildrenChanged),
            _ => None,
        }
    }

    /// Whether a watch ends with this event whatever its mode.
    pub fn is_removal(self) -> bool {
        matches!(
            self,
            EventKind::DataWatchRemoved
                | EventKind::ChildWatchRemoved
                | EventKind::PersistentWatchRemoved
        )
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a watch reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedEvent {
    /// What happened.
    pub kind: EventKind,
    /// The node. With a recursive watch this may be a descendant of the watched node.
    pub path: String,
    /// zxid of the change; -1 when the event was found while registering the watch again after a
    /// reconnect, for removals, and from servers before 3.9.
    pub zxid: i64,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// Not connected: at the start, or again. Requests wait.
    Disconnected,
    /// Connected.
    Connected,
    /// Connected to a server that only reads.
    ConnectedReadOnly,
    /// The session is over, its ephemeral nodes and watches are gone. Final.
    Expired,
    /// A server refused the credentials. Final.
    AuthFailed,
    /// Closed by this client. Final.
    Closed,
}

impl SessionState {
    /// Whether nothing can come behind this state.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            SessionState::Expired | SessionState::AuthFailed | SessionState::Closed
        )
    }

    /// Whether requests are answered now.
    pub fn is_connected(self) -> bool {
        matches!(
            self,
            SessionState::Connected | SessionState::ConnectedReadOnly
        )
    }
}

/// How a persistent watch behaves. It stays until removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddWatchMode {
    /// Reports changes of the node and of its list of children.
    Persistent,
    /// Reports creation, deletion and new data of the node and of all below it.
    PersistentRecursive,
}

/// Which watches of a path to remove or to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum WatchKind {
    /// One-shot watches on children.
    Children = 1,
    /// One-shot watches on data or existence.
    Data = 2,
    /// All.
    Any = 3,
    /// Persistent watches.
    Persistent = 4,
    /// Persistent recursive watches.
    PersistentRecursive = 5,
}

/// What it takes to attach to a session again, from this or another process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionCredentials {
    /// The session.
    pub id: i64,
    /// Its password.
    pub password: [u8; 16],
}

impl fmt::Debug for SessionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionCredentials(0x{:x})", self.id)
    }
}

/// A change of the members of an ensemble: some of them, or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconfig<'a> {
    /// `server.N=…` of those that join or change, separated by commas.
    pub joining: Option<&'a str>,
    /// Numbers of those that leave, separated by commas.
    pub leaving: Option<&'a str>,
    /// All members instead, separated by commas or as lines.
    pub members: Option<&'a str>,
    /// The version that the list must have, `None` for any.
    pub version: Option<i64>,
}

/// One identity of a connection, as `who_am_i` reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Scheme.
    pub scheme: String,
    /// Name under that scheme.
    pub user: String,
}
