//! The operations of the client protocol, one line each (`ZooDefs.OpCode` in Java).

use crate::client::*;
use crate::jute::{Jute, JuteError, Reader};

/// What kind of work an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpClass {
    /// Answered from the state of this server.
    Read,
    /// Becomes a transaction.
    Write,
    /// Concerns this server's watches or session only.
    Local,
    /// Concerns the connection and is answered while the frame is read.
    Connection,
}

macro_rules! operations {
    ($($(#[$meta:meta])* $name:ident = $code:literal: $body:ty, $class:ident;)*) => {
        /// What a client asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum OpCode { $($(#[$meta])* $name = $code),* }

        impl OpCode {
            /// All operations that clients may ask for.
            pub const ALL: &'static [OpCode] = &[$(OpCode::$name),*];

            /// The operation of a number, `None` if no client may ask for it.
            pub fn from_i32(code: i32) -> Option<OpCode> {
                match code { $($code => Some(OpCode::$name),)* _ => None }
            }

            /// What kind of work it is.
            pub fn class(self) -> OpClass {
                match self { $(OpCode::$name => OpClass::$class),* }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(OpCode::$name => stringify!($name)),* }
            }
        }

        /// A decoded request.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request<'a> { $($(#[$meta])* $name($body)),* }

        impl<'a> Request<'a> {
            /// Decodes the body behind the header of a request; bytes behind it are ignored.
            pub fn decode(op: OpCode, body: &'a [u8]) -> Result<Request<'a>, JuteError> {
                let from = &mut Reader::of_request(body);
                Ok(match op { $(OpCode::$name => Request::$name(Jute::read(from)?)),* })
            }

            /// The operation.
            pub fn op(&self) -> OpCode {
                match self { $(Request::$name(_) => OpCode::$name),* }
            }

            /// Appends the body.
            pub fn write(&self, to: &mut crate::Writer<'_>) {
                match self { $(Request::$name(body) => body.write(to)),* }
            }
        }
    };
}

operations! {
    /// Creates a node, answers its path.
    Create = 1: CreateRequest<'a>, Write;
    /// Deletes a node.
    Delete = 2: DeleteRequest<'a>, Write;
    /// The state of a node.
    Exists = 3: ExistsRequest<'a>, Read;
    /// Data and state of a node.
    GetData = 4: GetDataRequest<'a>, Read;
    /// Replaces the data of a node.
    SetData = 5: SetDataRequest<'a>, Write;
    /// ACL and state of a node.
    GetAcl = 6: GetAclRequest<'a>, Read;
    /// Replaces the ACL of a node.
    SetAcl = 7: SetAclRequest<'a>, Write;
    /// Names of children.
    GetChildren = 8: GetChildrenRequest<'a>, Read;
    /// Waits until this server has all that the leader had.
    Sync = 9: SyncRequest<'a>, Read;
    /// Keeps the session alive.
    Ping = 11: Empty, Read;
    /// Names of children and state of the parent.
    GetChildren2 = 12: GetChildren2Request<'a>, Read;
    /// Checks a version; inside multi only.
    Check = 13: CheckVersionRequest<'a>, Write;
    /// Several writes as one.
    Multi = 14: MultiRequest<'a>, Write;
    /// Creates a node, answers its path and state.
    Create2 = 15: CreateRequest<'a>, Write;
    /// Changes the members of the ensemble.
    Reconfig = 16: ReconfigRequest<'a>, Write;
    /// Asks whether a watch is registered.
    CheckWatches = 17: CheckWatchesRequest<'a>, Local;
    /// Removes watches.
    RemoveWatches = 18: RemoveWatchesRequest<'a>, Local;
    /// Creates a container node.
    CreateContainer = 19: CreateRequest<'a>, Write;
    /// Deletes an empty container; meant for the sweeper.
    DeleteContainer = 20: DeleteContainerRequest<'a>, Write;
    /// Creates a node with a time to live.
    CreateTtl = 21: CreateTtlRequest<'a>, Write;
    /// Several reads as one.
    MultiRead = 22: MultiRequest<'a>, Read;
    /// Adds an identity to the connection.
    Auth = 100: AuthPacket<'a>, Connection;
    /// Registers watches again after a reconnect.
    SetWatches = 101: SetWatches<'a>, Local;
    /// One step of a SASL exchange.
    Sasl = 102: SaslRequest<'a>, Connection;
    /// Paths owned by this session.
    GetEphemerals = 103: GetEphemeralsRequest<'a>, Read;
    /// Number of all descendants.
    GetAllChildrenNumber = 104: GetAllChildrenNumberRequest<'a>, Read;
    /// Registers watches again, persistent ones too.
    SetWatches2 = 105: SetWatches2<'a>, Local;
    /// Registers a persistent watch.
    AddWatch = 106: AddWatchRequest<'a>, Local;
    /// The identities of the connection.
    WhoAmI = 107: Empty, Read;
    /// Ends the session.
    CloseSession = -11: Empty, Write;
}

impl OpCode {
    /// The number of the wire.
    pub fn code(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;

    #[test]
    fn numbers_map_both_ways() {
        for op in OpCode::ALL {
            assert_eq!(OpCode::from_i32(op.code()), Some(*op));
        }
        for unknown in [0, 10, 23, 99, 108, -1, -9, -10, 888] {
            assert_eq!(OpCode::from_i32(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn requests_survive_the_way() {
        let requests = [
            Request::Create(CreateRequest {
                path: Some("/a".into()),
                data: None,
                acl: Some(vec![crate::records::Acl::new(31, "world", "anyone")]),
                flags: 3,
            }),
            Request::SetData(SetDataRequest {
                path: Some("/a".into()),
                data: Some(b"x".as_slice().into()),
                version: -1,
            }),
            Request::Multi(MultiRequest {
                ops: vec![
                    MultiOp::Delete(DeleteRequest {
                        path: Some("/a".into()),
                        version: 2,
                    }),
                    MultiOp::Check(CheckVersionRequest {
                        path: None,
                        version: 2,
                    }),
                ],
            }),
        ];
        for request in requests {
            let mut out = Vec::new();
            request.write(&mut Writer::wire(&mut out));
            assert_eq!(Request::decode(request.op(), &out), Ok(request.clone()));
            for cut in 0..out.len() {
                assert!(
                    Request::decode(request.op(), &out[..cut]).is_err(),
                    "{request:?} {cut}"
                );
            }
        }
    }
}
