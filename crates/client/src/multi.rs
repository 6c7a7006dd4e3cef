//! Several operations as one.

use zooid_proto::client::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest,
    DeleteRequest, ErrorResponse, GetChildrenRequest, GetChildrenResponse, GetDataRequest,
    GetDataResponse, MultiHeader, MultiOp, SetDataRequest, StatResponse,
};
use zooid_proto::records::{Acl, Stat};
use zooid_proto::{Jute, JuteError, OpCode, Reader};

use crate::types::{CreateMode, Data};

/// One write of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op<'a> {
    /// Creates a node.
    Create {
        /// Path, or the start of it for a sequential node.
        path: &'a str,
        /// Data.
        data: Data<'a>,
        /// Access control list.
        acl: &'a [Acl<'a>],
        /// Kind of node.
        mode: CreateMode,
    },
    /// Deletes a node.
    Delete {
        /// Path.
        path: &'a str,
        /// Expected version, `None` for any.
        version: Option<i32>,
    },
    /// Replaces the data of a node.
    Set {
        /// Path.
        path: &'a str,
        /// New data.
        data: Data<'a>,
        /// Expected version, `None` for any.
        version: Option<i32>,
    },
    /// Fails the multi if the node is missing or has another version.
    Check {
        /// Path.
        path: &'a str,
        /// Expected version, `None` for any.
        version: Option<i32>,
    },
}

impl<'a> Op<'a> {
    /// Creates a node.
    pub fn create(
        path: &'a str,
        data: impl Into<Data<'a>>,
        acl: &'a [Acl<'a>],
        mode: CreateMode,
    ) -> Op<'a> {
        let data = data.into();
        Op::Create {
            path,
            data,
            acl,
            mode,
        }
    }

    /// Deletes a node.
    pub fn delete(path: &'a str, version: Option<i32>) -> Op<'a> {
        Op::Delete { path, version }
    }

    /// Replaces the data of a node.
    pub fn set(path: &'a str, data: impl Into<Data<'a>>, version: Option<i32>) -> Op<'a> {
        let data = data.into();
        Op::Set {
            path,
            data,
            version,
        }
    }

    /// Fails the multi if the node is missing or has another version.
    pub fn check(path: &'a str, version: Option<i32>) -> Op<'a> {
        Op::Check { path, version }
    }

    pub(crate) fn path(&self) -> &'a str {
        match self {
            Op::Create { path, .. }
            | Op::Delete { path, .. }
            | Op::Set { path, .. }
            | Op::Check { path, .. } => path,
        }
    }

    pub(crate) fn is_sequential(&self) -> bool {
        matches!(self, Op::Create { mode, .. } if mode.is_sequential())
    }

    /// The operation of the wire, at the path as the server knows it.
    pub(crate) fn at(self, path: String) -> MultiOp<'static> {
        let path = Some(path.into());
        match self {
            Op::Create {
                data, acl, mode, ..
            } => create(path, data, acl, mode),
            Op::Delete { version, .. } => MultiOp::Delete(DeleteRequest {
                path,
                version: version.unwrap_or(-1),
            }),
            Op::Set { data, version, .. } => MultiOp::SetData(SetDataRequest {
                path,
                data: data.0.into_owned(),
                version: version.unwrap_or(-1),
            }),
            Op::Check { version, .. } => MultiOp::Check(CheckVersionRequest {
                path,
                version: version.unwrap_or(-1),
            }),
        }
    }
}

fn create(
    path: zooid_proto::Str<'static>,
    data: Data<'_>,
    acl: &[Acl<'_>],
    mode: CreateMode,
) -> MultiOp<'static> {
    let (data, flags) = (data.0.into_owned(), mode.flags());
    let acl = Some(acl.iter().cloned().map(Jute::into_owned).collect());
    if let Some(ttl_ms) = mode.ttl_ms() {
        return MultiOp::CreateTtl(CreateTtlRequest {
            path,
            data,
            acl,
            flags,
            ttl_ms,
        });
    }
    let body = CreateRequest {
        path,
        data,
        acl,
        flags,
    };
    match mode {
        CreateMode::Container => MultiOp::CreateContainer(body),
        _ => MultiOp::Create2(body),
    }
}

/// What an operation of a successful multi did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpResult {
    /// A node was created.
    Created {
        /// Its path, with the number of a sequential node.
        path: String,
        /// Its state.
        stat: Stat,
    },
    /// The node was deleted.
    Deleted,
    /// The data was replaced.
    Set(Stat),
    /// The version was right.
    Checked,
}

/// One read of a multi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOp<'a> {
    /// Data and state of a node.
    Get(&'a str),
    /// Names of children.
    GetChildren(&'a str),
}

impl<'a> ReadOp<'a> {
    pub(crate) fn path(self) -> &'a str {
        match self {
            ReadOp::Get(path) | ReadOp::GetChildren(path) => path,
        }
    }

    pub(crate) fn op(self) -> &'static str {
        match self {
            ReadOp::Get(_) => OpCode::GetData.name(),
            ReadOp::GetChildren(_) => OpCode::GetChildren.name(),
        }
    }

    pub(crate) fn at(self, path: String) -> MultiOp<'static> {
        let path = Some(path.into());
        match self {
            ReadOp::Get(_) => MultiOp::GetData(GetDataRequest { path, watch: false }),
            ReadOp::GetChildren(_) => {
                MultiOp::GetChildren(GetChildrenRequest { path, watch: false })
            }
        }
    }
}

/// What a read of a multi found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadResult {
    /// Data and state of a node.
    Data(Option<Vec<u8>>, Stat),
    /// Names of children, in no order.
    Children(Vec<String>),
}

/// One part of a reply to multi or multiRead: `Err` is a code of the wire.
pub(crate) type Part = Result<Found, i32>;

pub(crate) enum Found {
    Write(OpResult),
    Read(ReadResult),
}

pub(crate) fn parts(body: &[u8]) -> Result<Vec<Part>, JuteError> {
    let from = &mut Reader::new(body);
    let mut parts = Vec::new();
    loop {
        let at = from.position();
        let header = MultiHeader::read(from)?;
        if header.done {
            return Ok(parts);
        }
        if header.op == -1 {
            parts.push(Err(ErrorResponse::read(from)?.err));
            continue;
        }
        let found = match OpCode::from_i32(header.op) {
            Some(OpCode::Create) => Found::Write(OpResult::Created {
                path: text(CreateResponse::read(from)?.path),
                stat: Stat::default(),
            }),
            Some(OpCode::Create2) => {
                let body = Create2Response::read(from)?;
                Found::Write(OpResult::Created {
                    path: text(body.path),
                    stat: body.stat,
                })
            }
            Some(OpCode::Delete) => Found::Write(OpResult::Deleted),
            Some(OpCode::Check) => Found::Write(OpResult::Checked),
            Some(OpCode::SetData) => Found::Write(OpResult::Set(StatResponse::read(from)?.stat)),
            Some(OpCode::GetData) => {
                let body = GetDataResponse::read(from)?;
                Found::Read(ReadResult::Data(
                    body.data.map(|data| data.into_owned()),
                    body.stat,
                ))
            }
            Some(OpCode::GetChildren) => {
                let body = GetChildrenResponse::read(from)?;
                let names = body.children.unwrap_or_default();
                Found::Read(ReadResult::Children(names.into_iter().map(text).collect()))
            }
            _ => {
                return Err(JuteError::Unknown {
                    what: "operation in the reply to a multi",
                    value: header.op,
                    at,
                });
            }
        };
        parts.push(Ok(found));
    }
}

fn text(text: zooid_proto::Str<'_>) -> String {
    text.unwrap_or_default().into_owned()
}
