//! Handshake, headers, requests, replies and events between a client and a server.

use crate::jute::{Buf, Jute, JuteError, List, Reader, Str, Writer};
use crate::ops::OpCode;
use crate::records::{Acl, Stat};

/// Special values of the `xid` of a header.
pub mod xid {
    /// A notification.
    pub const NOTIFICATION: i32 = -1;
    /// A ping, whatever xid the request had.
    pub const PING: i32 = -2;
    /// An auth packet of the Java, C and Python clients.
    pub const AUTH: i32 = -4;
    /// setWatches of the Java and C clients.
    pub const SET_WATCHES: i32 = -8;
}

/// A server's first answer: see [`ConnectRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Session timeout that the server settled on, ms; 0 when the session is refused.
    pub timeout_ms: i32,
    /// The session; 0 when it is refused.
    pub session_id: i64,
    /// Proof for attaching to the session again.
    pub password: [u8; 16],
    /// Whether the server is read-only. `None` leaves the field out, for old clients.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// Appends the response, without the length of the frame: 37 bytes, or 36 for old clients.
    pub fn write(&self, to: &mut Writer<'_>) {
        to.i32(0);
        to.i32(self.timeout_ms);
        to.i64(self.session_id);
        to.buf(Some(&self.password));
        if let Some(read_only) = self.read_only {
            to.bool(read_only);
        }
    }

    /// Reads the response of a server.
    pub fn read(from: &mut Reader<'_>) -> Result<ConnectResponse, JuteError> {
        from.i32()?;
        let (timeout_ms, session_id) = (from.i32()?, from.i64()?);
        let at = from.position();
        let raw = from.raw()?.ok_or(JuteError::Null {
            what: "password",
            at,
        })?;
        let password = raw.try_into().map_err(|_| JuteError::Length {
            at,
            length: i32::try_from(raw.len()).unwrap_or(i32::MAX),
        })?;
        let read_only = if from.remaining() > 0 {
            Some(from.bool()?)
        } else {
            None
        };
        Ok(ConnectResponse {
            timeout_ms,
            session_id,
            password,
            read_only,
        })
    }
}

/// A client's first frame. It asks for a new session, or for one that it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Ignored by servers.
    pub protocol_version: i32,
    /// Highest zxid that the client has seen in a reply.
    pub last_zxid_seen: i64,
    /// Wanted session timeout, ms.
    pub timeout_ms: i32,
    /// The session, 0 for a new one.
    pub session_id: i64,
    /// Its password.
    pub password: Buf<'a>,
    /// Whether a read-only server will do. `None`: a client too old to say.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Reads the first frame of a connection. Bytes behind it are ignored.
    pub fn read(from: &mut Reader<'a>) -> Result<ConnectRequest<'a>, JuteError> {
        Ok(ConnectRequest {
            protocol_version: from.i32()?,
            last_zxid_seen: from.i64()?,
            timeout_ms: from.i32()?,
            session_id: from.i64()?,
            password: from.buf()?,
            read_only: if from.remaining() > 0 {
                Some(from.bool()?)
            } else {
                None
            },
        })
    }

    /// Appends the request, without the length of the frame.
    pub fn write(&self, to: &mut Writer<'_>) {
        to.i32(self.protocol_version);
        to.i64(self.last_zxid_seen);
        to.i32(self.timeout_ms);
        to.i64(self.session_id);
        to.buf(self.password.as_deref());
        if let Some(read_only) = self.read_only {
            to.bool(read_only);
        }
    }
}

records! {
    /// A request or reply without a body.
    Empty {}

    /// In front of every request.
    RequestHeader {
        /// Number that the reply repeats.
        xid: i32,
        /// [`OpCode`] as a number.
        op: i32,
    }

    /// In front of every reply and notification.
    ReplyHeader {
        /// Number of the request; -1 for a notification.
        xid: i32,
        /// Last zxid applied by the server, or the zxid of the event.
        zxid: i64,
        /// [`ErrorCode`](crate::ErrorCode) as a number.
        err: i32,
    }

    /// Body of create, create2 and createContainer.
    CreateRequest<'a> {
        /// Path, or the start of it for a sequential node.
        path: Str<'a>,
        /// Data.
        data: Buf<'a>,
        /// Access control list.
        acl: List<Acl<'a>>,
        /// Create mode, see [`create_mode`].
        flags: i32,
    }

    /// Body of createTTL.
    CreateTtlRequest<'a> {
        /// Path, or the start of it for a sequential node.
        path: Str<'a>,
        /// Data.
        data: Buf<'a>,
        /// Access control list.
        acl: List<Acl<'a>>,
        /// Create mode, see [`create_mode`].
        flags: i32,
        /// Time to live, ms, 1 to 2^40 - 1.
        ttl_ms: i64,
    }

    /// Body of delete.
    DeleteRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// Expected version, -1 for any.
        version: i32,
    }

    /// Body of deleteContainer.
    DeleteContainerRequest<'a> {
        /// Path, as bytes.
        path: Buf<'a>,
    }

    /// Body of exists.
    ExistsRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// Whether to register a watch.
        watch: bool,
    }

    /// Body of getData.
    GetDataRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// Whether to register a watch.
        watch: bool,
    }

    /// Body of setData.
    SetDataRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// New data.
        data: Buf<'a>,
        /// Expected version, -1 for any.
        version: i32,
    }

    /// Body of getACL.
    GetAclRequest<'a> {
        /// Path.
        path: Str<'a>,
    }

    /// Body of setACL.
    SetAclRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// New access control list.
        acl: List<Acl<'a>>,
        /// Expected ACL version, -1 for any.
        version: i32,
    }

    /// Body of getChildren.
    GetChildrenRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// Whether to register a watch.
        watch: bool,
    }

    /// Body of getChildren2.
    GetChildren2Request<'a> {
        /// Path.
        path: Str<'a>,
        /// Whether to register a watch.
        watch: bool,
    }

    /// Body of sync.
    SyncRequest<'a> {
        /// Any text; it comes back.
        path: Str<'a>,
    }

    /// Body of check.
    CheckVersionRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// Expected version, -1 for any.
        version: i32,
    }

    /// Body of reconfig.
    ReconfigRequest<'a> {
        /// Members to add or change.
        joining: Str<'a>,
        /// Ids of members to remove.
        leaving: Str<'a>,
        /// All members.
        members: Str<'a>,
        /// Expected version of the configuration, -1 for any.
        config_id: i64,
    }

    /// Body of checkWatches.
    CheckWatchesRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// Kind of watch, 1 to 5.
        kind: i32,
    }

    /// Body of removeWatches.
    RemoveWatchesRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// Kind of watch, 1 to 5.
        kind: i32,
    }

    /// Body of addWatch.
    AddWatchRequest<'a> {
        /// Path.
        path: Str<'a>,
        /// 0 persistent, 1 persistent recursive.
        mode: i32,
    }

    /// Body of auth.
    AuthPacket<'a> {
        /// Ignored.
        kind: i32,
        /// Scheme.
        scheme: Str<'a>,
        /// What the scheme asks for.
        auth: Buf<'a>,
    }

    /// Body of setWatches.
    SetWatches<'a> {
        /// Highest zxid that the client has seen.
        relative_zxid: i64,
        /// Paths with a data watch.
        data: List<Str<'a>>,
        /// Paths with a watch on a missing node.
        exist: List<Str<'a>>,
        /// Paths with a child watch.
        child: List<Str<'a>>,
    }

    /// Body of setWatches2.
    SetWatches2<'a> {
        /// Highest zxid that the client has seen.
        relative_zxid: i64,
        /// Paths with a data watch.
        data: List<Str<'a>>,
        /// Paths with a watch on a missing node.
        exist: List<Str<'a>>,
        /// Paths with a child watch.
        child: List<Str<'a>>,
        /// Paths with a persistent watch.
        persistent: List<Str<'a>>,
        /// Paths with a persistent recursive watch.
        recursive: List<Str<'a>>,
    }

    /// Body of sasl, in both directions.
    SaslRequest<'a> {
        /// Token of the mechanism.
        token: Buf<'a>,
    }

    /// Body of getEphemerals.
    GetEphemeralsRequest<'a> {
        /// Text that the paths start with.
        prefix: Str<'a>,
    }

    /// Body of getAllChildrenNumber.
    GetAllChildrenNumberRequest<'a> {
        /// Path.
        path: Str<'a>,
    }

    /// Reply to create.
    CreateResponse<'a> {
        /// Path of the new node.
        path: Str<'a>,
    }

    /// Reply to create2, createContainer and createTTL.
    Create2Response<'a> {
        /// Path of the new node.
        path: Str<'a>,
        /// State of the new node.
        stat: Stat,
    }

    /// Reply to exists, setData and setACL.
    StatResponse {
        /// State of the node.
        stat: Stat,
    }

    /// Reply to getData.
    GetDataResponse<'a> {
        /// Data.
        data: Buf<'a>,
        /// State of the node.
        stat: Stat,
    }

    /// Reply to getACL.
    GetAclResponse<'a> {
        /// Access control list.
        acl: List<Acl<'a>>,
        /// State of the node.
        stat: Stat,
    }

    /// Reply to getChildren.
    GetChildrenResponse<'a> {
        /// Names.
        children: List<Str<'a>>,
    }

    /// Reply to getChildren2.
    GetChildren2Response<'a> {
        /// Names.
        children: List<Str<'a>>,
        /// State of the parent.
        stat: Stat,
    }

    /// Reply to sync.
    SyncResponse<'a> {
        /// What the request said.
        path: Str<'a>,
    }

    /// Reply to getEphemerals.
    GetEphemeralsResponse<'a> {
        /// Paths.
        ephemerals: List<Str<'a>>,
    }

    /// Reply to getAllChildrenNumber.
    GetAllChildrenNumberResponse {
        /// Number of descendants.
        total: i32,
    }

    /// One identity of a connection.
    ClientInfo<'a> {
        /// Scheme.
        scheme: Str<'a>,
        /// Name.
        user: Str<'a>,
    }

    /// Reply to whoAmI.
    WhoAmIResponse<'a> {
        /// Identities.
        infos: List<ClientInfo<'a>>,
    }

    /// Reply to addWatch, and an error inside a multi.
    ErrorResponse {
        /// Error code.
        err: i32,
    }

    /// Body of a notification.
    WatcherEvent<'a> {
        /// See [`event`].
        kind: i32,
        /// State of the session: always 3, connected.
        state: i32,
        /// Path.
        path: Str<'a>,
    }

    /// In front of every part of a multi.
    MultiHeader {
        /// Operation; -1 for an error or the end.
        op: i32,
        /// Whether this is the end.
        done: bool,
        /// Error code.
        err: i32,
    }
}

/// Kinds of events that servers send.
pub mod event {
    /// A node came into being.
    pub const CREATED: i32 = 1;
    /// A node is gone.
    pub const DELETED: i32 = 2;
    /// A node has new data.
    pub const DATA_CHANGED: i32 = 3;
    /// A node has a child more or less.
    pub const CHILDREN_CHANGED: i32 = 4;
    /// The state that every notification carries.
    pub const STATE_CONNECTED: i32 = 3;
}

/// Values of the `flags` of a create.
pub mod create_mode {
    /// Stays until deleted.
    pub const PERSISTENT: i32 = 0;
    /// Goes with its session.
    pub const EPHEMERAL: i32 = 1;
    /// Stays, and gets a number behind its name.
    pub const PERSISTENT_SEQUENTIAL: i32 = 2;
    /// Goes with its session, and gets a number behind its name.
    pub const EPHEMERAL_SEQUENTIAL: i32 = 3;
    /// Goes some time after its last child.
    pub const CONTAINER: i32 = 4;
    /// Goes when it was childless and untouched for its time to live.
    pub const PERSISTENT_WITH_TTL: i32 = 5;
    /// The same, and gets a number behind its name.
    pub const PERSISTENT_SEQUENTIAL_WITH_TTL: i32 = 6;

    /// Whether `flags` ask for a number behind the name.
    pub fn is_sequential(flags: i32) -> bool {
        matches!(
            flags,
            PERSISTENT_SEQUENTIAL | EPHEMERAL_SEQUENTIAL | PERSISTENT_SEQUENTIAL_WITH_TTL
        )
    }

    /// Whether `flags` ask for a node that goes with its session.
    pub fn is_ephemeral(flags: i32) -> bool {
        matches!(flags, EPHEMERAL | EPHEMERAL_SEQUENTIAL)
    }

    /// Whether `flags` ask for a time to live.
    pub fn is_ttl(flags: i32) -> bool {
        matches!(flags, PERSISTENT_WITH_TTL | PERSISTENT_SEQUENTIAL_WITH_TTL)
    }
}

/// One operation of a multi or multiRead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp<'a> {
    /// create.
    Create(CreateRequest<'a>),
    /// create2.
    Create2(CreateRequest<'a>),
    /// createContainer.
    CreateContainer(CreateRequest<'a>),
    /// createTTL.
    CreateTtl(CreateTtlRequest<'a>),
    /// delete.
    Delete(DeleteRequest<'a>),
    /// setData.
    SetData(SetDataRequest<'a>),
    /// check.
    Check(CheckVersionRequest<'a>),
    /// getData.
    GetData(GetDataRequest<'a>),
    /// getChildren.
    GetChildren(GetChildrenRequest<'a>),
}

impl<'a> MultiOp<'a> {
    /// The operation.
    pub fn op(&self) -> OpCode {
        match self {
            MultiOp::Create(_) => OpCode::Create,
            MultiOp::Create2(_) => OpCode::Create2,
            MultiOp::CreateContainer(_) => OpCode::CreateContainer,
            MultiOp::CreateTtl(_) => OpCode::CreateTtl,
            MultiOp::Delete(_) => OpCode::Delete,
            MultiOp::SetData(_) => OpCode::SetData,
            MultiOp::Check(_) => OpCode::Check,
            MultiOp::GetData(_) => OpCode::GetData,
            MultiOp::GetChildren(_) => OpCode::GetChildren,
        }
    }

    /// Whether the operation only reads.
    pub fn is_read(&self) -> bool {
        matches!(self, MultiOp::GetData(_) | MultiOp::GetChildren(_))
    }

    fn read(op: i32, at: usize, from: &mut Reader<'a>) -> Result<MultiOp<'a>, JuteError> {
        Ok(match OpCode::from_i32(op) {
            Some(OpCode::Create) => MultiOp::Create(Jute::read(from)?),
            Some(OpCode::Create2) => MultiOp::Create2(Jute::read(from)?),
            Some(OpCode::CreateContainer) => MultiOp::CreateContainer(Jute::read(from)?),
            Some(OpCode::CreateTtl) => MultiOp::CreateTtl(Jute::read(from)?),
            Some(OpCode::Delete) => MultiOp::Delete(Jute::read(from)?),
            Some(OpCode::SetData) => MultiOp::SetData(Jute::read(from)?),
            Some(OpCode::Check) => MultiOp::Check(Jute::read(from)?),
            Some(OpCode::GetData) => MultiOp::GetData(Jute::read(from)?),
            Some(OpCode::GetChildren) => MultiOp::GetChildren(Jute::read(from)?),
            _ => {
                return Err(JuteError::Unknown {
                    what: "operation in a multi",
                    value: op,
                    at,
                });
            }
        })
    }

    fn write(&self, to: &mut Writer<'_>) {
        match self {
            MultiOp::Create(body) | MultiOp::Create2(body) | MultiOp::CreateContainer(body) => {
                body.write(to);
            }
            MultiOp::CreateTtl(body) => body.write(to),
            MultiOp::Delete(body) => body.write(to),
            MultiOp::SetData(body) => body.write(to),
            MultiOp::Check(body) => body.write(to),
            MultiOp::GetData(body) => body.write(to),
            MultiOp::GetChildren(body) => body.write(to),
        }
    }

    fn into_owned(self) -> MultiOp<'static> {
        match self {
            MultiOp::Create(body) => MultiOp::Create(body.into_owned()),
            MultiOp::Create2(body) => MultiOp::Create2(body.into_owned()),
            MultiOp::CreateContainer(body) => MultiOp::CreateContainer(body.into_owned()),
            MultiOp::CreateTtl(body) => MultiOp::CreateTtl(body.into_owned()),
            MultiOp::Delete(body) => MultiOp::Delete(body.into_owned()),
            MultiOp::SetData(body) => MultiOp::SetData(body.into_owned()),
            MultiOp::Check(body) => MultiOp::Check(body.into_owned()),
            MultiOp::GetData(body) => MultiOp::GetData(body.into_owned()),
            MultiOp::GetChildren(body) => MultiOp::GetChildren(body.into_owned()),
        }
    }
}

/// Body of multi and multiRead: operations, each behind a [`MultiHeader`], up to the first header
/// that says done (`MultiOperationRecord` in Java).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultiRequest<'a> {
    /// The operations, in order.
    pub ops: Vec<MultiOp<'a>>,
}

impl<'a> MultiRequest<'a> {
    /// Reads one operation after the other until the end, or until `each` returns something.
    pub fn read_each<T>(
        from: &mut Reader<'a>,
        mut each: impl FnMut(MultiOp<'a>) -> Option<T>,
    ) -> Result<Option<T>, JuteError> {
        loop {
            let at = from.position();
            let header = MultiHeader::read(from)?;
            if header.done {
                return Ok(None);
            }
            if let Some(found) = each(MultiOp::read(header.op, at, from)?) {
                return Ok(Some(found));
            }
        }
    }
}

impl<'a> Jute<'a> for MultiRequest<'a> {
    type Owned = MultiRequest<'static>;
    const MIN_BYTES: usize = MultiHeader::MIN_BYTES;

    fn read(from: &mut Reader<'a>) -> Result<Self, JuteError> {
        let mut ops = Vec::new();
        let none: Option<std::convert::Infallible> = MultiRequest::read_each(from, |op| {
            ops.push(op);
            None
        })?;
        debug_assert!(none.is_none());
        Ok(MultiRequest { ops })
    }

    fn write(&self, to: &mut Writer<'_>) {
        for op in &self.ops {
            MultiHeader {
                op: op.op().code(),
                done: false,
                err: -1,
            }
            .write(to);
            op.write(to);
        }
        MultiHeader {
            op: -1,
            done: true,
            err: -1,
        }
        .write(to);
    }

    fn into_owned(self) -> MultiRequest<'static> {
        MultiRequest {
            ops: self.ops.into_iter().map(MultiOp::into_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_golden_handshake() {
        let frame = hex(
            "00000000 0000000000000000 00002710 0000000000000000 00000010
            00000000000000000000000000000000 00",
        );
        let request = ConnectRequest::read(&mut Reader::new(&frame)).unwrap();
        assert_eq!(
            (request.timeout_ms, request.read_only),
            (10_000, Some(false))
        );
        let reply = hex("00000000 00002710 0100001496290000 00000010
            7db9c8cbc679ee4c23897aa17f1e4834 00");
        let response = ConnectResponse::read(&mut Reader::new(&reply)).unwrap();
        assert_eq!(response.session_id, 0x0100_0014_9629_0000);
        let mut out = Vec::new();
        response.write(&mut Writer::wire(&mut out));
        assert_eq!(out, reply);
    }

    #[test]
    fn an_old_client_says_nothing_of_read_only() {
        let frame = hex("00000000 0000000000000000 00002710 0000000000000000 00000000");
        let request = ConnectRequest::read(&mut Reader::new(&frame)).unwrap();
        assert_eq!(request.read_only, None);
        let null = hex("00000000 0000000000000000 00002710 0000000000000000 ffffffff");
        assert_eq!(
            ConnectRequest::read(&mut Reader::new(&null))
                .unwrap()
                .password,
            None
        );
        let below = hex("00000000 0000000000000000 00002710 0000000000000000 fffffffe");
        assert!(ConnectRequest::read(&mut Reader::new(&below)).is_err());
    }
}
