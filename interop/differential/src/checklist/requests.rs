//! Requests in one line each.

use zooid_proto::client::*;
use zooid_proto::ops::Request as R;
use zooid_proto::records::{Acl, Id};

pub(super) type Req = R<'static>;

/// The ACL that lets everybody do everything.
pub(super) fn open() -> Option<Vec<Acl<'static>>> {
    acl(&[(31, "world", "anyone")])
}

pub(super) fn acl(entries: &[(i32, &'static str, &'static str)]) -> Option<Vec<Acl<'static>>> {
    Some(
        entries
            .iter()
            .map(|(perms, scheme, id)| Acl::new(*perms, scheme, id))
            .collect(),
    )
}

/// An entry whose scheme or id may be null.
pub(super) fn entry(
    perms: i32,
    scheme: Option<&'static str>,
    id: Option<&'static str>,
) -> Acl<'static> {
    Acl {
        perms,
        id: Id {
            scheme: scheme.map(Into::into),
            id: id.map(Into::into),
        },
    }
}

pub(super) fn body(
    path: &str,
    data: Option<&str>,
    acl: Option<Vec<Acl<'static>>>,
    flags: i32,
) -> CreateRequest<'static> {
    CreateRequest {
        path: Some(path.to_string().into()),
        data: data.map(|data| data.as_bytes().to_vec().into()),
        acl,
        flags,
    }
}

pub(super) fn create(path: &str, data: &str, flags: i32) -> Req {
    R::Create(body(path, Some(data), open(), flags))
}

pub(super) fn create_acl(path: &str, acl: Option<Vec<Acl<'static>>>) -> Req {
    R::Create(body(path, Some(""), acl, 0))
}

pub(super) fn create2(path: &str, data: &str, flags: i32) -> Req {
    R::Create2(body(path, Some(data), open(), flags))
}

pub(super) fn container(path: &str) -> Req {
    R::CreateContainer(body(path, Some(""), open(), create_mode::CONTAINER))
}

pub(super) fn ttl_body(path: &str, flags: i32, ttl_ms: i64) -> CreateTtlRequest<'static> {
    let CreateRequest {
        path, data, acl, ..
    } = body(path, Some(""), open(), 0);
    CreateTtlRequest {
        path,
        data,
        acl,
        flags,
        ttl_ms,
    }
}

pub(super) fn ttl(path: &str, flags: i32, ttl_ms: i64) -> Req {
    R::CreateTtl(ttl_body(path, flags, ttl_ms))
}

fn text(path: &str) -> zooid_proto::Str<'static> {
    Some(path.to_string().into())
}

pub(super) fn delete(path: &str, version: i32) -> Req {
    R::Delete(DeleteRequest {
        path: text(path),
        version,
    })
}

pub(super) fn exists(path: &str, watch: bool) -> Req {
    R::Exists(ExistsRequest {
        path: text(path),
        watch,
    })
}

pub(super) fn get(path: &str, watch: bool) -> Req {
    R::GetData(GetDataRequest {
        path: text(path),
        watch,
    })
}

pub(super) fn set(path: &str, data: &str, version: i32) -> Req {
    R::SetData(SetDataRequest {
        path: text(path),
        data: Some(data.as_bytes().to_vec().into()),
        version,
    })
}

pub(super) fn get_acl(path: &str) -> Req {
    R::GetAcl(GetAclRequest { path: text(path) })
}

pub(super) fn set_acl(path: &str, acl: Option<Vec<Acl<'static>>>, version: i32) -> Req {
    R::SetAcl(SetAclRequest {
        path: text(path),
        acl,
        version,
    })
}

pub(super) fn children(path: &str, watch: bool) -> Req {
    R::GetChildren(GetChildrenRequest {
        path: text(path),
        watch,
    })
}

pub(super) fn children2(path: &str, watch: bool) -> Req {
    R::GetChildren2(GetChildren2Request {
        path: text(path),
        watch,
    })
}

pub(super) fn ephemerals(prefix: &str) -> Req {
    R::GetEphemerals(GetEphemeralsRequest {
        prefix: text(prefix),
    })
}

pub(super) fn count(path: &str) -> Req {
    R::GetAllChildrenNumber(GetAllChildrenNumberRequest { path: text(path) })
}

pub(super) fn sync(path: &str) -> Req {
    R::Sync(SyncRequest { path: text(path) })
}

pub(super) fn ping() -> Req {
    R::Ping(Empty {})
}

pub(super) fn close() -> Req {
    R::CloseSession(Empty {})
}

pub(super) fn who_am_i() -> Req {
    R::WhoAmI(Empty {})
}

pub(super) fn auth(scheme: &'static str, data: &'static str) -> Req {
    R::Auth(AuthPacket {
        kind: 0,
        scheme: Some(scheme.into()),
        auth: Some(data.as_bytes().into()),
    })
}

pub(super) fn add_watch(path: &str, mode: i32) -> Req {
    R::AddWatch(AddWatchRequest {
        path: text(path),
        mode,
    })
}

pub(super) fn check_watch(path: &str, kind: i32) -> Req {
    R::CheckWatches(CheckWatchesRequest {
        path: text(path),
        kind,
    })
}

pub(super) fn remove_watch(path: &str, kind: i32) -> Req {
    R::RemoveWatches(RemoveWatchesRequest {
        path: text(path),
        kind,
    })
}

pub(super) fn set_watches(
    relative_zxid: i64,
    data: &[&str],
    exist: &[&str],
    child: &[&str],
) -> Req {
    let list = |paths: &[&str]| Some(paths.iter().map(|path| text(path)).collect());
    R::SetWatches(SetWatches {
        relative_zxid,
        data: list(data),
        exist: list(exist),
        child: list(child),
    })
}

pub(super) fn reconfig() -> Req {
    R::Reconfig(ReconfigRequest {
        joining: None,
        leaving: None,
        members: None,
        config_id: -1,
    })
}

pub(super) fn multi(ops: Vec<Req>) -> Req {
    R::Multi(MultiRequest {
        ops: ops.into_iter().map(part).collect(),
    })
}

pub(super) fn multi_read(ops: Vec<Req>) -> Req {
    R::MultiRead(MultiRequest {
        ops: ops.into_iter().map(part).collect(),
    })
}

pub(super) fn check(path: &str, version: i32) -> Req {
    R::Check(CheckVersionRequest {
        path: text(path),
        version,
    })
}

fn part(request: Req) -> MultiOp<'static> {
    match request {
        R::Create(body) => MultiOp::Create(body),
        R::Create2(body) => MultiOp::Create2(body),
        R::CreateContainer(body) => MultiOp::CreateContainer(body),
        R::CreateTtl(body) => MultiOp::CreateTtl(body),
        R::Delete(body) => MultiOp::Delete(body),
        R::SetData(body) => MultiOp::SetData(body),
        R::Check(body) => MultiOp::Check(body),
        R::GetData(body) => MultiOp::GetData(body),
        R::GetChildren(body) => MultiOp::GetChildren(body),
        other => unreachable!("{other:?} cannot be part of a multi"),
    }
}
