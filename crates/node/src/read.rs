//! What is answered from the state of this server: reads, and everything about watches. All of it
//! runs while the tree is held for reading, so that a value and the watch on it belong together.

use crate::acl;
use crate::auth;
use crate::link::Link;
use crate::multi;
use crate::reply;
use crate::settings::Settings;
use parking_lot::Mutex;
use std::borrow::Cow;
use zooid_proto::client::{
    ClientInfo, ErrorResponse, GetAclResponse, MultiHeader, MultiOp, SetWatches2, SyncResponse,
    WhoAmIResponse, event,
};
use zooid_proto::jute::{List, Str};
use zooid_proto::ops::Request;
use zooid_proto::records::{Id, perms};
use zooid_proto::{ErrorCode, Jute, OpCode, Writer};
use zooid_tree::{Mode, NodeRef, Tree, WatchType, Watches};

/// What a read may look at.
pub(crate) struct Reading<'r> {
    pub settings: &'r Settings,
    pub tree: &'r Tree,
    pub watches: &'r Mutex<Watches>,
    pub link: &'r Link,
    pub ids: &'r [Id<'static>],
    pub session: i64,
}

/// The key under which a watch on no path at all is kept: nobody watches such a path.
const NULL_PATH: &str = "\0no path\u{1}";

impl Reading<'_> {
    /// Answers a request. Events that setWatches catches up with go in front of the reply.
    pub(crate) fn answer(&self, op: OpCode, xid: i32, body: &[u8], out: &mut Vec<u8>) -> ErrorCode {
        let zxid = self.tree.last_processed_zxid();
        if op == OpCode::MultiRead {
            return self.multi_read(body, xid, zxid, out);
        }
        let request = match Request::decode(op, body) {
            Ok(request) => request,
            Err(_) => {
                reply::header(out, xid, zxid, ErrorCode::MarshallingError);
                return ErrorCode::MarshallingError;
            }
        };
        match request {
            Request::SetWatches(r) => {
                let all = SetWatches2 {
                    relative_zxid: r.relative_zxid,
                    data: r.data,
                    exist: r.exist,
                    child: r.child,
                    persistent: Some(vec![]),
                    recursive: Some(vec![]),
                };
                self.set_watches(all, xid, zxid, out)
            }
            Request::SetWatches2(r) => self.set_watches(r, xid, zxid, out),
            request => reply::reply(out, xid, zxid, |out| self.body(request, out)),
        }
    }

    fn body(&self, request: Request<'_>, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        match request {
            Request::Ping(_) => Ok(()),
            Request::Exists(r) => self.exists(r.path, r.watch, out),
            Request::GetData(r) => self.get_data(r.path, r.watch, out),
            Request::GetChildren(r) => self.get_children(r.path, r.watch, out).map(drop),
            Request::GetChildren2(r) => {
                let node = self.get_children(r.path, r.watch, out)?;
                node.write_stat(out);
                Ok(())
            }
            Request::GetAcl(r) => self.get_acl(r.path, out),
            Request::GetAllChildrenNumber(r) => {
                let path = r.path.ok_or(ErrorCode::MarshallingError)?;
                self.readable(&path)?;
                // Java looks for paths that start with this one and a slash: "" finds the root too.
                let total = self.tree.all_descendants(&path) + usize::from(path.is_empty());
                Writer::wire(out).i32(i32::try_from(total).unwrap_or(i32::MAX));
                Ok(())
            }
            Request::GetEphemerals(r) => {
                self.get_ephemerals(r.prefix, out);
                Ok(())
            }
            Request::Sync(r) => {
                SyncResponse { path: r.path }.write(&mut Writer::wire(out));
                Ok(())
            }
            Request::WhoAmI(_) => {
                let infos = self.ids.iter().map(|id| ClientInfo {
                    scheme: id.scheme.clone(),
                    user: Some(auth::user_of(id).into()),
                });
                WhoAmIResponse {
                    infos: Some(infos.collect()),
                }
                .write(&mut Writer::wire(out));
                Ok(())
            }
            Request::AddWatch(r) => {
                let mode = match r.mode {
                    0 => Mode::Persistent,
                    1 => Mode::Recursive,
                    _ => return Err(ErrorCode::MarshallingError),
                };
                self.watch(r.path.as_deref().unwrap_or(NULL_PATH), mode);
                ErrorResponse { err: 0 }.write(&mut Writer::wire(out));
                Ok(())
            }
            Request::CheckWatches(r) => {
                let kind = WatchType::from_i32(r.kind).ok_or(ErrorCode::MarshallingError)?;
                let path = r.path.as_deref().unwrap_or(NULL_PATH);
                found(self.watches.lock().contains(self.link.id, path, kind))
            }
            Request::RemoveWatches(r) => {
                let kind = WatchType::from_i32(r.kind).ok_or(ErrorCode::MarshallingError)?;
                let path = r.path.as_deref().unwrap_or(NULL_PATH);
                found(self.watches.lock().remove(self.link.id, path, kind))
            }
            other => unreachable!("{:?} is not answered here", other.op()),
        }
    }

    fn watch(&self, path: &str, mode: Mode) {
        self.watches.lock().add(self.link.id, path, mode);
    }

    fn allows(&self, node: &NodeRef<'_>, wanted: i32) -> bool {
        acl::allows(self.settings, self.tree.acl(node.acl()), wanted, self.ids)
    }

    fn readable(&self, path: &str) -> Result<NodeRef<'_>, ErrorCode> {
        let node = self.tree.get(path).ok_or(ErrorCode::NoNode)?;
        if self.allows(&node, perms::READ) {
            Ok(node)
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// The watch is registered also when the node is missing: that is what it is for.
    fn exists(&self, path: Str<'_>, watch: bool, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let node = match self.readable(&path) {
            Err(ErrorCode::NoNode) => None,
            other => Some(other?),
        };
        if watch {
            self.watch(&path, Mode::StdData);
        }
        node.ok_or(ErrorCode::NoNode)?.write_stat(out);
        Ok(())
    }

    fn get_data(&self, path: Str<'_>, watch: bool, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let node = self.readable(&path)?;
        if watch {
            self.watch(&path, Mode::StdData);
        }
        Writer::wire(out).buf(node.data());
        node.write_stat(out);
        Ok(())
    }

    fn get_children(
        &self,
        path: Str<'_>,
        watch: bool,
        out: &mut Vec<u8>,
    ) -> Result<NodeRef<'_>, ErrorCode> {
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let node = self.readable(&path)?;
        if watch {
            self.watch(&path, Mode::StdChild);
        }
        let mut to = Writer::wire(out);
        to.count(Some(node.child_count()));
        for name in node.children_bytes() {
            to.buf(Some(name));
        }
        Ok(node)
    }

    fn get_acl(&self, path: Str<'_>, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let node = self.tree.get(&path).ok_or(ErrorCode::NoNode)?;
        if !self.allows(&node, perms::READ | perms::ADMIN) {
            return Err(ErrorCode::NoAuth);
        }
        let list = self.tree.acl(node.acl());
        let list = if list.is_empty() {
            acl::open()
        } else if self.allows(&node, perms::ADMIN) {
            list.to_vec()
        } else {
            acl::masked(list)
        };
        GetAclResponse {
            acl: Some(list),
            stat: node.stat(),
        }
        .write(&mut Writer::wire(out));
        Ok(())
    }

    fn get_ephemerals(&self, prefix: Str<'_>, out: &mut Vec<u8>) {
        let prefix = prefix.as_deref().unwrap_or("");
        // Java trims as it does everywhere: all characters up to the blank.
        let all = matches!(prefix.trim_matches(|c| c <= ' '), "" | "/");
        let paths: Vec<Str<'_>> = self
            .tree
            .ephemerals(self.session)
            .filter(|path| all || path.starts_with(prefix))
            .map(|path| Some(Cow::Owned(path)))
            .collect();
        Some(paths).write(&mut Writer::wire(out));
    }

    /// An operation that fails does not touch the others.
    fn multi_read(&self, body: &[u8], xid: i32, zxid: i64, out: &mut Vec<u8>) -> ErrorCode {
        let Ok(ops) = multi::decode(body) else {
            reply::header(out, xid, zxid, ErrorCode::MarshallingError);
            return ErrorCode::MarshallingError;
        };
        let mut parts = Vec::new();
        let mut err = ErrorCode::Ok;
        for op in ops {
            let code = op.op().code();
            let mut body = Vec::new();
            let result = match op {
                MultiOp::GetData(r) => self.get_data(r.path, false, &mut body),
                MultiOp::GetChildren(r) => self.get_children(r.path, false, &mut body).map(drop),
                _ => Err(ErrorCode::MarshallingError),
            };
            match result {
                Ok(()) => {
                    let to = &mut Writer::wire(&mut parts);
                    MultiHeader {
                        op: code,
                        done: false,
                        err: 0,
                    }
                    .write(to);
                    to.raw(&body);
                }
                // A null path or a write: Java stops here, and answers with what it has.
                Err(ErrorCode::MarshallingError) => {
                    err = ErrorCode::MarshallingError;
                    break;
                }
                Err(code) => {
                    let to = &mut Writer::wire(&mut parts);
                    MultiHeader {
                        op: -1,
                        done: false,
                        err: code.code(),
                    }
                    .write(to);
                    to.i32(code.code());
                }
            }
        }
        reply::reply_with_error(out, xid, zxid, err, |to| {
            to.raw(&parts);
            MultiHeader {
                op: -1,
                done: true,
                err: -1,
            }
            .write(to);
        });
        err
    }

    /// Registers watches again, or says at once what they missed. Those events carry zxid -1 and
    /// are not filtered by ACL, as in Java. A null list or path ends it with an error; what came
    /// before stays.
    fn set_watches(
        &self,
        request: SetWatches2<'_>,
        xid: i32,
        zxid: i64,
        out: &mut Vec<u8>,
    ) -> ErrorCode {
        let since = request.relative_zxid;
        let done = self.catch_up(request.data, out, Mode::StdData, |node| match node {
            None => Some(event::DELETED),
            Some(node) if node.mzxid() > since => Some(event::DATA_CHANGED),
            Some(_) => None,
        });
        let done = done
            .and_then(|()| {
                self.catch_up(request.exist, out, Mode::StdData, |node| {
                    node.map(|_| event::CREATED)
                })
            })
            .and_then(|()| {
                self.catch_up(request.child, out, Mode::StdChild, |node| match node {
                    None => Some(event::DELETED),
                    Some(node) if node.pzxid() > since => Some(event::CHILDREN_CHANGED),
                    Some(_) => None,
                })
            })
            .and_then(|()| self.watch_all(request.persistent, Mode::Persistent))
            .and_then(|()| self.watch_all(request.recursive, Mode::Recursive));
        let err = done.err().unwrap_or(ErrorCode::Ok);
        reply::header(out, xid, zxid, err);
        err
    }

    /// Persistent watches miss nothing that they would be told of; a null path is watched, too.
    fn watch_all(&self, paths: List<Str<'_>>, mode: Mode) -> Result<(), ErrorCode> {
        for path in paths.ok_or(ErrorCode::MarshallingError)? {
            self.watch(path.as_deref().unwrap_or(NULL_PATH), mode);
        }
        Ok(())
    }

    fn catch_up(
        &self,
        paths: List<Str<'_>>,
        out: &mut Vec<u8>,
        mode: Mode,
        missed: impl Fn(Option<NodeRef<'_>>) -> Option<i32>,
    ) -> Result<(), ErrorCode> {
        for path in paths.ok_or(ErrorCode::MarshallingError)? {
            let path = path.ok_or(ErrorCode::MarshallingError)?;
            match missed(self.tree.get(&path)) {
                Some(kind) => reply::notification(out, -1, kind, &path),
                None => self.watch(&path, mode),
            }
        }
        Ok(())
    }
}

fn found(found: bool) -> Result<(), ErrorCode> {
    if found {
        Ok(())
    } else {
        Err(ErrorCode::NoWatcher)
    }
}
