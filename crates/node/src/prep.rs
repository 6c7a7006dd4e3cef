//! From a request to a transaction: every check that a write must pass, in the order in which
//! Apache ZooKeeper makes them (`PrepRequestProcessor` in Java).

use crate::acl;
use crate::multi::{self, Undecodable};
use crate::settings::Settings;
use crate::time::Now;
use crate::view::{AclRef, DataRef, Record, View};
use std::borrow::Cow;
use std::sync::Arc;
use zooid_proto::client::{
    CreateRequest, CreateTtlRequest, MultiOp, MultiRequest, ReconfigRequest, create_mode,
};
use zooid_proto::jute::{Buf, List, Str};
use zooid_proto::ops::Request;
use zooid_proto::path;
use zooid_proto::records::{Acl, Id, StatPersisted, perms};
use zooid_proto::txn::{
    CheckVersionTxn, CreateContainerTxn, CreateTtlTxn, CreateTxn, DeleteTxn, LogEntry, SetAclTxn,
    SetDataTxn, Txn, TxnDigest, TxnHeader,
};
use zooid_proto::{ErrorCode, Jute, OpCode};
use zooid_tree::{DIGEST_VERSION, OwnerClass, Tree};
use zooid_zab::Peer;

/// Who asks for a write, and in the name of what.
pub(crate) struct Asker<'r> {
    /// Id of the session; `None` for the server itself.
    pub session: Option<i64>,
    /// Whether the session may ask, and through whom it does: why it may not.
    pub standing: Result<(), ErrorCode>,
    /// The same of an ephemeral node, which only a session that all know of may own.
    pub owning: Result<(), ErrorCode>,
    /// xid of the request.
    pub xid: i32,
    /// Identities of the connection when the request came.
    pub ids: &'r [Id<'static>],
    /// The agreement of this member, for changes of the members; `None` for a server that stands alone.
    pub peer: Option<&'r Peer>,
}

/// A transaction as it is logged.
pub(crate) struct Payload {
    /// Its zxid.
    pub zxid: i64,
    /// Header, record and digest.
    pub bytes: Vec<u8>,
}

impl Payload {
    fn of(entry: &LogEntry<'_>) -> Payload {
        let mut bytes = Vec::with_capacity(256);
        entry.encode(&mut bytes);
        Payload {
            zxid: entry.header.zxid,
            bytes,
        }
    }
}

/// Makes transactions.
pub(crate) struct Prep {
    view: View,
    last_zxid: i64,
}

/// Nodes that cannot be deleted.
const SPECIAL: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", CONFIG];

/// The node that holds the list of members.
const CONFIG: &str = "/zookeeper/config";

impl Prep {
    /// A maker of transactions behind `last_zxid`.
    pub(crate) fn new(last_zxid: i64) -> Prep {
        Prep {
            view: View::default(),
            last_zxid,
        }
    }

    /// The last transaction that was made.
    pub(crate) fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Notes that transactions up to `zxid` are applied.
    pub(crate) fn applied(&mut self, zxid: i64) {
        self.view.applied(zxid);
    }

    /// Makes the transaction of a write request. A request that is refused makes one too: an
    /// error takes its place in the order. Only a body that cannot be decoded gets none, because an
    /// ensemble would hang on what Java makes of it; that of a multi does, as in Java.
    ///
    /// Java logs a transaction of any length, acknowledges it, and cannot start on it
    /// (ZOOKEEPER-4306). Here one that is longer than its reader takes never gets to the log: it is
    /// refused with -5, and a closeSession is logged without its list.
    pub(crate) fn request(
        &mut self,
        settings: &Settings,
        tree: &Tree,
        asker: &Asker<'_>,
        op: OpCode,
        body: &[u8],
        now: Now,
    ) -> Result<Payload, ErrorCode> {
        let decoded = match op {
            OpCode::Multi => decode_multi(body)?,
            _ => Some(Request::decode(op, body).map_err(|_| ErrorCode::MarshallingError)?),
        };
        self.view.begin(tree);
        self.last_zxid += 1;
        let work = &mut Work {
            settings,
            tree,
            asker,
            view: &mut self.view,
            zxid: self.last_zxid,
            now,
        };
        let before = work.view.digest();
        // An error of a multi of reads carries a digest in Java; those of other requests do not.
        let made = match decoded {
            None => Err(ErrorCode::MarshallingError),
            Some(request) => work.make(request),
        };
        let refused = made.is_err();
        let txn = made.unwrap_or_else(|code| {
            work.view.roll_back(work.zxid, before);
            Txn::Error { err: code.code() }
        });
        let entry = self.entry(asker, txn, settings.digest && !refused, now);
        let payload = Payload::of(&entry);
        if payload.bytes.len() <= settings.max_txn_bytes() {
            return Ok(payload);
        }
        let txn = match entry.txn {
            // A session must end. Its nodes are told by its number as well; without a digest
            // nothing follows that a reader could take for the list (`SerializeUtils` in Java).
            Txn::CloseSession { .. } => Txn::CloseSession { paths: None },
            _ => {
                self.view.roll_back(self.last_zxid, before);
                let code = ErrorCode::MarshallingError.code();
                Txn::Error { err: code }
            }
        };
        Ok(Payload::of(&self.entry(asker, txn, false, now)))
    }

    /// Makes the transaction that opens a session.
    pub(crate) fn open_session(
        &mut self,
        settings: &Settings,
        tree: &Tree,
        session: i64,
        timeout_ms: i32,
        now: Now,
    ) -> Payload {
        self.view.begin(tree);
        self.last_zxid += 1;
        let asker = Asker {
            session: Some(session),
            standing: Ok(()),
            owning: Ok(()),
            xid: 0,
            ids: &[],
            peer: None,
        };
        Payload::of(&self.entry(
            &asker,
            Txn::CreateSession { timeout_ms },
            settings.digest,
            now,
        ))
    }

    /// Makes the error that takes the place of a request which cannot be decoded. A learner waits
    /// for it.
    pub(crate) fn refuse(
        &mut self,
        tree: &Tree,
        asker: &Asker<'_>,
        code: ErrorCode,
        now: Now,
    ) -> Payload {
        self.view.begin(tree);
        self.last_zxid += 1;
        Payload::of(&self.entry(asker, Txn::Error { err: code.code() }, false, now))
    }

    fn entry<'b>(
        &self,
        asker: &Asker<'_>,
        txn: Txn<'b>,
        with_digest: bool,
        now: Now,
    ) -> LogEntry<'b> {
        LogEntry {
            header: TxnHeader {
                client_id: asker.session.unwrap_or(0),
                cxid: asker.xid,
                zxid: self.last_zxid,
                time_ms: now.wall_ms,
                kind: txn.kind(),
            },
            txn,
            digest: with_digest.then(|| TxnDigest {
                version: DIGEST_VERSION,
                tree_digest: self.view.digest(),
            }),
        }
    }
}

/// One transaction in the making.
struct Work<'w> {
    settings: &'w Settings,
    tree: &'w Tree,
    asker: &'w Asker<'w>,
    view: &'w mut View,
    zxid: i64,
    now: Now,
}

/// The ttl of creates that have none, ms.
const NO_TTL: i64 = -1;

/// The common part of all creates.
struct Create<'b> {
    path: Str<'b>,
    data: Buf<'b>,
    acl: List<Acl<'b>>,
    flags: i32,
    ttl_ms: i64,
}

impl<'w> Work<'w> {
    fn make<'b>(&mut self, request: Request<'b>) -> Result<Txn<'b>, ErrorCode> {
        match request {
            Request::Multi(multi) => self.multi(multi.ops),
            Request::Create(r) => self.create(OpCode::Create, r.into()),
            Request::Create2(r) => self.create(OpCode::Create2, r.into()),
            Request::CreateContainer(r) => self.create(OpCode::CreateContainer, r.into()),
            Request::CreateTtl(r) => self.create(OpCode::CreateTtl, r.into()),
            Request::Delete(r) => self.delete(r.path, r.version),
            Request::DeleteContainer(r) => self.delete_container(r.path),
            Request::SetData(r) => self.set_data(r.path, r.data, r.version),
            Request::SetAcl(r) => self.set_acl(r.path, r.acl, r.version),
            Request::Reconfig(r) => self.reconfig(r),
            Request::CloseSession(_) => self.close_session(),
            other => unreachable!("{:?} is not a write", other.op()),
        }
    }

    fn session(&self) -> Result<(), ErrorCode> {
        self.asker.standing
    }

    fn allowed(&self, record: &Record, wanted: i32) -> Result<(), ErrorCode> {
        let list = View::acl(self.tree, record);
        if acl::allows(self.settings, list, wanted, self.asker.ids) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    fn existing(&self, path: &str) -> Result<Record, ErrorCode> {
        self.view.get(self.tree, path).ok_or(ErrorCode::NoNode)
    }

    fn is_ephemeral(&self, record: &Record) -> bool {
        let owner = record.stat.as_ref().map_or(0, |stat| stat.ephemeral_owner);
        let class = OwnerClass::of(
            owner,
            self.settings.extended_types,
            self.settings.emulate353,
        );
        matches!(class, OwnerClass::Ephemeral(_))
    }

    fn create<'b>(&mut self, op: OpCode, create: Create<'b>) -> Result<Txn<'b>, ErrorCode> {
        let Create {
            path,
            data,
            acl: list,
            flags,
            ttl_ms,
        } = create;
        if !(create_mode::PERSISTENT..=create_mode::PERSISTENT_SEQUENTIAL_WITH_TTL).contains(&flags)
        {
            return Err(ErrorCode::BadArguments);
        }
        let with_ttl = create_mode::is_ttl(flags);
        if with_ttl && !self.settings.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let ttl_fits = if with_ttl {
            (1..=zooid_tree::owner::MAX_TTL_MS).contains(&ttl_ms)
        } else {
            // Java takes createTTL without a TTL mode when the ttl is negative, and dies of the
            // transaction that it makes.
            ttl_ms < 0 && op != OpCode::CreateTtl
        };
        if !ttl_fits {
            return Err(ErrorCode::BadArguments);
        }
        if create_mode::is_ephemeral(flags) {
            self.asker.owning?;
        } else {
            self.session()?;
        }
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let slash = path::last_slash(&path).filter(|_| !path.contains('\0'));
        let slash = slash.ok_or(ErrorCode::BadArguments)?;
        let list = acl::accept(self.settings, list, self.asker.ids)?;
        let parent_path = path[..slash].to_owned();
        let parent = self.existing(&parent_path)?;
        self.allowed(&parent, perms::CREATE)?;
        let parent_stat = parent.stat.expect("an existing node has a state");
        let path: Cow<'b, str> = if create_mode::is_sequential(flags) {
            Cow::Owned(format!("{path}{:010}", parent_stat.cversion))
        } else {
            path
        };
        path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
        if self.view.get(self.tree, &path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if self.is_ephemeral(&parent) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let bytes = data.as_deref().map_or(0, <[u8]>::len);
        self.quota(&path, bytes as i64, 1)?;
        if is_quota_of_root(&path) {
            return Err(ErrorCode::BadArguments);
        }

        let ephemeral = create_mode::is_ephemeral(flags) && op != OpCode::CreateContainer;
        let owner = match op {
            OpCode::CreateContainer => zooid_tree::owner::CONTAINER_OWNER,
            OpCode::CreateTtl => zooid_tree::owner::ttl_owner(ttl_ms),
            _ if ephemeral => self.asker.session.unwrap_or(0),
            _ => 0,
        };
        let cversion = parent_stat.cversion.wrapping_add(1);
        let before = parent.digest;
        let parent = Record {
            stat: Some(StatPersisted {
                cversion,
                pzxid: self.zxid,
                ..parent_stat
            }),
            children: parent.children + 1,
            ..parent
        };
        self.view
            .push(self.tree, self.zxid, &parent_path, before, parent);
        let node = Record {
            stat: Some(StatPersisted {
                czxid: self.zxid,
                mzxid: self.zxid,
                pzxid: self.zxid,
                ctime: self.now.wall_ms,
                mtime: self.now.wall_ms,
                ephemeral_owner: owner,
                ..StatPersisted::default()
            }),
            children: 0,
            acl: AclRef::Own(list.iter().cloned().map(Jute::into_owned).collect()),
            data: DataRef::Own(data.as_deref().map(Arc::from)),
            digest: 0,
        };
        self.view.push(self.tree, self.zxid, &path, 0, node);

        let acl = Some(list);
        Ok(match op {
            OpCode::CreateContainer => Txn::CreateContainer(CreateContainerTxn {
                path,
                data,
                acl,
                parent_cversion: cversion,
            }),
            OpCode::CreateTtl => Txn::CreateTtl(CreateTtlTxn {
                path,
                data,
                acl,
                parent_cversion: cversion,
                ttl_ms,
            }),
            _ => {
                let txn = CreateTxn {
                    path,
                    data,
                    acl,
                    ephemeral,
                    parent_cversion: cversion,
                };
                // Java keeps the kind of create2 in the log.
                if op == OpCode::Create2 {
                    Txn::Create2(txn)
                } else {
                    Txn::Create(txn)
                }
            }
        })
    }

    /// The path of a node to delete, and its parent's.
    fn deletable<'b>(path: Str<'b>) -> Result<(Cow<'b, str>, String), ErrorCode> {
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let slash = path::last_slash(&path).filter(|_| !path.contains('\0'));
        let slash = slash.ok_or(ErrorCode::BadArguments)?;
        if SPECIAL.contains(&&*path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = path[..slash].to_owned();
        Ok((path, parent))
    }

    fn delete<'b>(&mut self, path: Str<'b>, version: i32) -> Result<Txn<'b>, ErrorCode> {
        self.session()?;
        let (path, parent_path) = Self::deletable(path)?;
        let parent = self.existing(&parent_path)?;
        self.allowed(&parent, perms::DELETE)?;
        let node = self.existing(&path)?;
        next_version(node.stat.map_or(0, |stat| stat.version), version)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.push_delete(&path, &parent_path, node, parent, true);
        Ok(Txn::Delete(DeleteTxn { path }))
    }

    /// Java checks no ACL here, so that any client may delete any empty node; the same right as
    /// for a delete is asked of clients.
    fn delete_container<'b>(&mut self, path: Buf<'b>) -> Result<Txn<'b>, ErrorCode> {
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        let path = match path {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        };
        let (path, parent_path) = Self::deletable(Some(path))?;
        if self.asker.session.is_some() {
            self.session()?;
            let parent = self.existing(&parent_path)?;
            self.allowed(&parent, perms::DELETE)?;
        }
        let node = self.existing(&path)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if self.is_ephemeral(&node) {
            return Err(ErrorCode::BadVersion);
        }
        let parent = self.existing(&parent_path)?;
        self.push_delete(&path, &parent_path, node, parent, true);
        Ok(Txn::DeleteContainer(DeleteTxn { path }))
    }

    fn push_delete(
        &mut self,
        path: &str,
        parent_path: &str,
        node: Record,
        parent: Record,
        lower_children: bool,
    ) {
        let before = parent.digest;
        let stat = parent.stat.expect("an existing node has a state");
        let parent = Record {
            stat: Some(StatPersisted {
                pzxid: self.zxid,
                ..stat
            }),
            children: parent.children - i32::from(lower_children),
            ..parent
        };
        self.view
            .push(self.tree, self.zxid, parent_path, before, parent);
        let before = node.digest;
        self.view.push(
            self.tree,
            self.zxid,
            path,
            before,
            Record { stat: None, ..node },
        );
    }

    fn set_data<'b>(
        &mut self,
        path: Str<'b>,
        data: Buf<'b>,
        version: i32,
    ) -> Result<Txn<'b>, ErrorCode> {
        self.session()?;
        let path = validated(path)?;
        let node = self.existing(&path)?;
        self.allowed(&node, perms::WRITE)?;
        if self.settings.enforce_quota {
            let old = self.view.data_len(self.tree, &path, &node) as i64;
            let new = data.as_deref().map_or(0, <[u8]>::len) as i64;
            self.quota(&path, new - old, 0)?;
        }
        let stat = node.stat.expect("an existing node has a state");
        let version = next_version(stat.version, version)?;
        let before = node.digest;
        let node = Record {
            stat: Some(StatPersisted {
                version,
                mtime: self.now.wall_ms,
                mzxid: self.zxid,
                ..stat
            }),
            data: DataRef::Own(data.as_deref().map(Arc::from)),
            ..node
        };
        self.view.push(self.tree, self.zxid, &path, before, node);
        Ok(Txn::SetData(SetDataTxn {
            path,
            data,
            version,
        }))
    }

    fn set_acl<'b>(
        &mut self,
        path: Str<'b>,
        list: List<Acl<'b>>,
        version: i32,
    ) -> Result<Txn<'b>, ErrorCode> {
        self.session()?;
        let path = validated(path)?;
        let list = acl::accept(self.settings, list, self.asker.ids)?;
        let node = self.existing(&path)?;
        self.allowed(&node, perms::ADMIN)?;
        let stat = node.stat.expect("an existing node has a state");
        let version = next_version(stat.aversion, version)?;
        let before = node.digest;
        let node = Record {
            stat: Some(StatPersisted {
                aversion: version,
                ..stat
            }),
            acl: AclRef::Own(list.iter().cloned().map(Jute::into_owned).collect()),
            ..node
        };
        self.view.push(self.tree, self.zxid, &path, before, node);
        Ok(Txn::SetAcl(SetAclTxn {
            path,
            acl: Some(list),
            version,
        }))
    }

    fn check<'b>(&mut self, path: Str<'b>, version: i32) -> Result<Txn<'b>, ErrorCode> {
        self.session()?;
        let path = validated(path)?;
        let node = self.existing(&path)?;
        self.allowed(&node, perms::READ)?;
        let version = next_version(node.stat.map_or(0, |stat| stat.version), version)?;
        Ok(Txn::Check(CheckVersionTxn { path, version }))
    }

    /// A standalone server has no members to change. As in Java the ACL comes last, so that who may
    /// not change the members still learns whether the change could be made.
    fn reconfig<'b>(&mut self, request: ReconfigRequest<'b>) -> Result<Txn<'b>, ErrorCode> {
        if !self.settings.reconfig {
            return Err(ErrorCode::ReconfigDisabled);
        }
        self.session()?;
        let peer = self.asker.peer.ok_or(ErrorCode::Unimplemented)?;
        let wanted = zooid_zab::ReconfigRequest {
            joining: request.joining.as_deref(),
            leaving: request.leaving.as_deref(),
            members: request.members.as_deref(),
            version: request.config_id,
        };
        let made = peer.reconfigure(&wanted, self.zxid);
        let several = [wanted.joining, wanted.members];
        let several = several.iter().flatten().any(|text| text.contains('|'));
        // Members that run Java cannot read such a list without the setting.
        if several
            && !self.settings.multi_address
            && matches!(made, Ok(_) | Err(ErrorCode::NewConfigNoQuorum))
        {
            return Err(ErrorCode::BadArguments);
        }
        let text = made?;
        let node = self.existing(CONFIG)?;
        self.allowed(&node, perms::WRITE)?;
        let stat = node.stat.expect("an existing node has a state");
        let before = node.digest;
        let node = Record {
            stat: Some(StatPersisted {
                version: -1,
                mtime: self.now.wall_ms,
                mzxid: self.zxid,
                ..stat
            }),
            data: DataRef::Own(Some(text.as_bytes().into())),
            ..node
        };
        self.view.push(self.tree, self.zxid, CONFIG, before, node);
        Ok(Txn::Reconfig(SetDataTxn {
            path: CONFIG.into(),
            data: Some(text.into_bytes().into()),
            version: -1,
        }))
    }

    /// No check of the session: expiry comes this way too, when it is closing already.
    fn close_session<'b>(&mut self) -> Result<Txn<'b>, ErrorCode> {
        let session = self.asker.session.unwrap_or(0);
        let paths = self.view.ephemerals(self.tree, session);
        for path in &paths {
            let node = self.existing(path)?;
            let parent_path = path::parent(path).unwrap_or("/").to_owned();
            let parent = self.existing(&parent_path)?;
            // The count of children stays, as in Java: the parent is deletable only when the end
            // of the session is applied.
            self.push_delete(path, &parent_path, node, parent, false);
        }
        let paths = paths
            .into_iter()
            .map(|path| Some(Cow::Owned(path)))
            .collect();
        Ok(Txn::CloseSession {
            paths: self.settings.close_session_txn.then_some(paths),
        })
    }

    /// The first part that is refused makes errors of all.
    fn multi<'b>(&mut self, ops: Vec<MultiOp<'b>>) -> Result<Txn<'b>, ErrorCode> {
        let before = self.view.digest();
        let mut txns = Vec::with_capacity(ops.len());
        let mut failed = false;
        for op in ops {
            if failed {
                txns.push(Txn::Error {
                    err: ErrorCode::RuntimeInconsistency.code(),
                });
                continue;
            }
            match self.part(op) {
                Ok(txn) => txns.push(txn),
                Err(ErrorCode::MarshallingError) => return Err(ErrorCode::MarshallingError),
                Err(code) => {
                    failed = true;
                    self.view.roll_back(self.zxid, before);
                    txns.push(Txn::Error { err: code.code() });
                }
            }
        }
        Ok(Txn::Multi(txns))
    }

    fn part<'b>(&mut self, op: MultiOp<'b>) -> Result<Txn<'b>, ErrorCode> {
        match op {
            MultiOp::Create(r) | MultiOp::Create2(r) | MultiOp::CreateContainer(r)
                if r.flags == create_mode::CONTAINER =>
            {
                self.create(OpCode::CreateContainer, r.into())
            }
            MultiOp::Create(r) => self.create(OpCode::Create, r.into()),
            MultiOp::Create2(r) => self.create(OpCode::Create2, r.into()),
            MultiOp::CreateContainer(r) => self.create(OpCode::CreateContainer, r.into()),
            // The mode decides, not the operation: a part without a TTL mode loses its ttl.
            MultiOp::CreateTtl(r) if !create_mode::is_ttl(r.flags) => {
                let op = match r.flags {
                    create_mode::CONTAINER => OpCode::CreateContainer,
                    _ => OpCode::Create,
                };
                self.create(op, Create::from(r).without_ttl())
            }
            MultiOp::CreateTtl(r) => self.create(OpCode::CreateTtl, r.into()),
            MultiOp::Delete(r) => self.delete(r.path, r.version),
            MultiOp::SetData(r) => self.set_data(r.path, r.data, r.version),
            MultiOp::Check(r) => self.check(r.path, r.version),
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => Err(ErrorCode::MarshallingError),
        }
    }

    /// Hard limits count against what is applied, not against what is under way, as in Java.
    fn quota(&self, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
        if !self.settings.enforce_quota {
            return Ok(());
        }
        let Some(quota) = self.tree.quota_for(path) else {
            return Ok(());
        };
        let (Some(limits), Some(usage)) = (quota.limits, quota.usage) else {
            return Ok(());
        };
        let exceeded = |limit: i64, used: i64, more: i64| {
            more != 0 && limit > -1 && used.saturating_add(more) > limit
        };
        if exceeded(limits.count_hard_limit(), usage.count(), count)
            || exceeded(limits.byte_hard_limit(), usage.bytes(), bytes)
        {
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }
}

impl<'b> From<CreateRequest<'b>> for Create<'b> {
    fn from(request: CreateRequest<'b>) -> Create<'b> {
        Create {
            path: request.path,
            data: request.data,
            acl: request.acl,
            flags: request.flags,
            ttl_ms: NO_TTL,
        }
    }
}

impl<'b> From<CreateTtlRequest<'b>> for Create<'b> {
    fn from(request: CreateTtlRequest<'b>) -> Create<'b> {
        Create {
            path: request.path,
            data: request.data,
            acl: request.acl,
            flags: request.flags,
            ttl_ms: request.ttl_ms,
        }
    }
}

impl<'b> Create<'b> {
    fn without_ttl(self) -> Create<'b> {
        Create {
            ttl_ms: NO_TTL,
            ..self
        }
    }
}

/// `Ok(None)` is a multi that is refused as a whole, but with a zxid of its own.
fn decode_multi(body: &[u8]) -> Result<Option<Request<'_>>, ErrorCode> {
    match multi::decode(body) {
        Ok(ops) if ops.iter().all(|op| !op.is_read() && has_path(op)) => {
            Ok(Some(Request::Multi(MultiRequest { ops })))
        }
        Ok(_) | Err(Undecodable::Numbered) => Ok(None),
        Err(Undecodable::Unnumbered) => Err(ErrorCode::MarshallingError),
    }
}

fn has_path(op: &MultiOp<'_>) -> bool {
    match op {
        MultiOp::Create(r) | MultiOp::Create2(r) | MultiOp::CreateContainer(r) => r.path.is_some(),
        MultiOp::CreateTtl(r) => r.path.is_some(),
        MultiOp::Delete(r) => r.path.is_some(),
        MultiOp::SetData(r) => r.path.is_some(),
        MultiOp::Check(r) => r.path.is_some(),
        MultiOp::GetData(r) => r.path.is_some(),
        MultiOp::GetChildren(r) => r.path.is_some(),
    }
}

/// A limits node in the room of quotas itself would limit the root: Java dies of it.
fn is_quota_of_root(path: &str) -> bool {
    path == "/zookeeper/quota/zookeeper_limits"
}

fn validated(path: Str<'_>) -> Result<Cow<'_, str>, ErrorCode> {
    let path = path.ok_or(ErrorCode::BadArguments)?;
    path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
    Ok(path)
}

/// The version behind `current`, if `expected` is -1 or the current one. It wraps.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    Ok(current.wrapping_add(1))
}
