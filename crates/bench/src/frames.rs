//! Requests put together from parts that were made ahead.

use crate::outcome::Class;
use crate::plan::{Operation, Plan};
use std::sync::Arc;
use zooid_proto::client::{
    CreateRequest, DeleteRequest, ExistsRequest, GetChildrenRequest, GetDataRequest, MultiOp,
    MultiRequest, RequestHeader, SetDataRequest,
};
use zooid_proto::ops::{OpCode, Request};
use zooid_proto::records::{Acl, perms};
use zooid_proto::{Jute, Writer};

/// A whole frame of one request; its xid is 1.
pub(crate) fn framed(request: &Request<'_>) -> Vec<u8> {
    let mut frame = vec![0; 4];
    let to = &mut Writer::wire(&mut frame);
    RequestHeader {
        xid: 1,
        op: request.op().code(),
    }
    .write(to);
    request.write(to);
    let length = i32::try_from(frame.len() - 4).expect("a request is shorter than 2 GiB");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A create of an open, persistent node.
pub(crate) fn create(path: &str, data: &[u8]) -> Vec<u8> {
    framed(&Request::Create(CreateRequest {
        path: Some(path.into()),
        data: Some(data.into()),
        acl: Some(vec![Acl::new(perms::ALL, "world", "anyone")]),
        flags: 0,
    }))
}

pub(crate) fn delete(path: &str) -> Vec<u8> {
    framed(&Request::Delete(DeleteRequest {
        path: Some(path.into()),
        version: -1,
    }))
}

pub(crate) fn set(path: &str, data: &[u8]) -> Vec<u8> {
    framed(&Request::SetData(SetDataRequest {
        path: Some(path.into()),
        data: Some(data.into()),
        version: -1,
    }))
}

pub(crate) fn get(path: &str, watch: bool) -> Vec<u8> {
    framed(&Request::GetData(GetDataRequest {
        path: Some(path.into()),
        watch,
    }))
}

pub(crate) fn exists(path: &str, watch: bool) -> Vec<u8> {
    framed(&Request::Exists(ExistsRequest {
        path: Some(path.into()),
        watch,
    }))
}

pub(crate) fn children(path: &str) -> Vec<u8> {
    framed(&Request::GetChildren(GetChildrenRequest {
        path: Some(path.into()),
        watch: false,
    }))
}

/// A request whose path is still open: what comes behind the path, and the number of the operation.
struct Shape {
    op: i32,
    tail: Vec<u8>,
}

/// Bytes of length, xid and operation in front of the path.
const HEAD: usize = 12;

impl Shape {
    /// From a frame with an empty path.
    fn new(op: OpCode, frame: &[u8]) -> Shape {
        Shape {
            op: op.code(),
            tail: frame[HEAD + 4..].to_vec(),
        }
    }

    /// Appends a frame; the path has its length in front.
    fn put(&self, path: &[u8], out: &mut Vec<u8>) {
        let length = HEAD - 4 + path.len() + self.tail.len();
        let length = i32::try_from(length).expect("a request is shorter than 2 GiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
        out.extend_from_slice(&self.op.to_be_bytes());
        out.extend_from_slice(path);
        out.extend_from_slice(&self.tail);
    }
}

/// Paths with their lengths in front, one behind the other.
struct Paths {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Paths {
    fn new(paths: impl Iterator<Item = String>) -> Paths {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for path in paths {
            put_path(&path, &mut bytes);
            ends.push(bytes.len());
        }
        Paths { bytes, ends }
    }

    fn get(&self, number: usize) -> &[u8] {
        let number = number % self.ends.len();
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[number]]
    }
}

fn put_path(path: &str, out: &mut Vec<u8>) {
    let length = i32::try_from(path.len()).expect("a path is short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(path.as_bytes());
}

/// What all connections of a run share.
pub(crate) struct Parts {
    operation: Operation,
    paths: Paths,
    read: Shape,
    set: Shape,
    create: Shape,
    delete: Shape,
    multis: Vec<Vec<u8>>,
    root: String,
    connections: usize,
}

/// Different multis of a run.
const MULTIS: usize = 64;

impl Parts {
    pub(crate) fn new(plan: &Plan) -> Arc<Parts> {
        let data = vec![b'x'; plan.size];
        let (op, read) = match plan.operation {
            Operation::Exists => (OpCode::Exists, exists("", false)),
            Operation::Children => (OpCode::GetChildren, children("")),
            _ => (OpCode::GetData, get("", false)),
        };
        let paths = match plan.operation {
            Operation::Children => Paths::new(std::iter::once(plan.parent(0))),
            _ => Paths::new((0..plan.keys).map(|key| plan.path(key))),
        };
        let multis = match plan.operation {
            Operation::Multi => (0..MULTIS).map(|at| multi(plan, at, &data)).collect(),
            _ => Vec::new(),
        };
        Arc::new(Parts {
            operation: plan.operation,
            paths,
            read: Shape::new(op, &read),
            set: Shape::new(OpCode::SetData, &set("", &data)),
            create: Shape::new(OpCode::Create, &create("", &data)),
            delete: Shape::new(OpCode::Delete, &delete("")),
            multis,
            root: plan.root.clone(),
            connections: plan.connections,
        })
    }
}

fn multi(plan: &Plan, number: usize, data: &[u8]) -> Vec<u8> {
    let op = |at: usize| {
        MultiOp::SetData(SetDataRequest {
            path: Some(plan.path((number * plan.multi + at) % plan.keys).into()),
            data: Some(data.into()),
            version: -1,
        })
    };
    framed(&Request::Multi(MultiRequest {
        ops: (0..plan.multi).map(op).collect(),
    }))
}

/// The requests of one connection.
pub(crate) struct Frames {
    parts: Arc<Parts>,
    connection: usize,
    count: u64,
}

impl Frames {
    pub(crate) fn new(parts: &Arc<Parts>, connection: usize) -> Frames {
        Frames {
            parts: parts.clone(),
            connection,
            count: 0,
        }
    }

    /// Appends the next request. A request that belongs to another stands in front of it: then
    /// `class` is called more than once.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>, mut class: impl FnMut(Class)) {
        let parts = &*self.parts;
        let count = self.count;
        self.count += 1;
        // Spread over the keys, each connection in an order of its own.
        let key = (count.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
            + self.connection * (parts.paths.ends.len() / parts.connections).max(1);
        match parts.operation {
            Operation::Set => {
                parts.set.put(parts.paths.get(key), out);
                class(Class::Write);
            }
            Operation::Mixed { writes_percent } if is_write(count, writes_percent) => {
                parts.set.put(parts.paths.get(key), out);
                class(Class::Write);
            }
            Operation::Create => {
                parts.create.put(&self.new_path(count), out);
                class(Class::Write);
            }
            Operation::Delete => {
                let path = self.new_path(count);
                parts.create.put(&path, out);
                class(Class::Uncounted);
                parts.delete.put(&path, out);
                class(Class::Write);
            }
            Operation::Multi => {
                out.extend_from_slice(&parts.multis[key % MULTIS]);
                class(Class::Write);
            }
            _ => {
                parts.read.put(parts.paths.get(key), out);
                class(Class::Read);
            }
        }
    }

    fn new_path(&self, count: u64) -> Vec<u8> {
        let mut path = Vec::new();
        put_path(
            &format!("{}/c{}-{count}", self.parts.root, self.connection),
            &mut path,
        );
        path
    }
}

/// Writes are spread evenly: never all of them at once, whatever the share.
fn is_write(count: u64, percent: u32) -> bool {
    let percent = u64::from(percent);
    (count + 1) * percent / 100 != count * percent / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_from_parts_are_whole_frames() {
        let plan = |operation| Plan {
            root: "/b".into(),
            keys: 1,
            connections: 1,
            size: 3,
            ..Plan::new("", operation)
        };
        let first = |operation| {
            let mut out = Vec::new();
            Frames::new(&Parts::new(&plan(operation)), 0).next(&mut out, |_| {});
            out
        };
        assert_eq!(first(Operation::Get), get("/b/k0", false));
        assert_eq!(first(Operation::Exists), exists("/b/k0", false));
        assert_eq!(first(Operation::Children), children("/b"));
        assert_eq!(first(Operation::Set), set("/b/k0", b"xxx"));
        assert_eq!(first(Operation::Create), create("/b/c0-0", b"xxx"));
        let pair = [create("/b/c0-0", b"xxx"), delete("/b/c0-0")].concat();
        assert_eq!(first(Operation::Delete), pair);
    }

    #[test]
    fn the_share_of_writes_is_exact() {
        for percent in [0, 1, 10, 33, 100] {
            let writes = (0..1000).filter(|count| is_write(*count, percent)).count();
            assert_eq!(writes, percent as usize * 10);
        }
    }
}
