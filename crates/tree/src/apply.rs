//! What a transaction does to the tree (`DataTree.processTxn` in Java), live and in replay.
//!
//! Transactions were checked by who made them, so nothing is refused here for its version, rights
//! or children. What remains are the tolerances of replay: a snapshot may already hold a part of
//! what the transactions behind its zxid do, and applying them again must end in the same tree.

use crate::acl::AclId;
use crate::arena::NodeId;
use crate::index::PathHash;
use crate::owner::{CONTAINER_OWNER, ttl_owner};
use crate::tree::{Place, Tree, split};
use std::sync::Arc;
use zooid_proto::records::{Acl, Stat, StatPersisted};
use zooid_proto::txn::{SetDataTxn, Txn, TxnHeader};
use zooid_proto::{Buf, ErrorCode};

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was made.
    Created,
    /// It is gone.
    Deleted,
    /// Its data were replaced.
    DataChanged,
}

/// What watches need to know, in the order in which it happened. The ACLs are readable until the
/// next transaction is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Arc<str>,
    /// Who may read the node, or might when it was deleted.
    pub acl: AclId,
    /// Who may read its parent. Open for changes of data, which no watch of the parent sees.
    pub parent_acl: AclId,
    /// zxid of the transaction.
    pub zxid: i64,
}

/// Receives changes while a transaction is applied.
pub trait Changes {
    /// One more change.
    fn change(&mut self, kind: ChangeKind, path: &str, acl: AclId, parent_acl: AclId, zxid: i64);
}

impl Changes for Vec<Change> {
    fn change(&mut self, kind: ChangeKind, path: &str, acl: AclId, parent_acl: AclId, zxid: i64) {
        self.push(Change {
            kind,
            path: path.into(),
            acl,
            parent_acl,
            zxid,
        });
    }
}

/// Nobody watches, as in recovery.
impl Changes for () {
    fn change(&mut self, _: ChangeKind, _: &str, _: AclId, _: AclId, _: i64) {}
}

/// What a reply needs to know (`ProcessTxnResult` in Java).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied<'t> {
    /// Kind of the transaction. In a failed multi, -1 for every part.
    pub kind: i32,
    /// 0, or why it had no effect. In live use, what an error transaction carries.
    pub err: i32,
    /// The path of the transaction, with the number of a sequential node.
    pub path: Option<&'t str>,
    /// Right after creates, setData and setACL.
    pub stat: Option<Stat>,
    /// The parts of a multi.
    pub multi: Vec<Applied<'t>>,
}

/// The transaction that something belongs to.
#[derive(Clone, Copy)]
struct At {
    zxid: i64,
    time_ms: i64,
    session: i64,
}

struct NewNode<'n> {
    path: &'n str,
    data: Option<&'n [u8]>,
    acl: Option<&'n [Acl<'n>]>,
    owner: i64,
    parent_cversion: i32,
    /// Only plain creates correct the parent when the node is there already.
    corrects_parent: bool,
}

fn created_data<'t>(txn: &'t Txn<'_>) -> Option<&'t Buf<'t>> {
    match txn {
        Txn::Create(create) | Txn::Create2(create) => Some(&create.data),
        Txn::CreateContainer(create) => Some(&create.data),
        Txn::CreateTtl(create) => Some(&create.data),
        _ => None,
    }
}

impl Tree {
    /// Applies a transaction and appends what it changed. Lists of nodes that lost their ACL in
    /// the previous transaction become unreadable.
    pub fn apply<'t>(
        &mut self,
        header: &TxnHeader,
        txn: &'t Txn<'_>,
        changes: &mut impl Changes,
    ) -> Applied<'t> {
        self.acls.reclaim();
        self.walks.prune();
        let at = At {
            zxid: header.zxid,
            time_ms: header.time_ms,
            session: header.client_id,
        };
        let applied = self.apply_part(at, txn, changes);
        // Once, and last: a snapshot named by this zxid must hold all of the transaction.
        self.last_zxid = self.last_zxid.max(header.zxid);
        applied
    }

    /// Removes a session and its ephemeral nodes without a transaction, as recovery does with
    /// owners that are not in the session table. Their parents get `zxid`.
    pub fn kill_session(&mut self, session: i64, zxid: i64, changes: &mut impl Changes) {
        self.acls.reclaim();
        self.walks.prune();
        let at = At {
            zxid,
            time_ms: 0,
            session,
        };
        self.close_session(at, None::<std::iter::Empty<&str>>, changes);
    }

    /// Writes the configuration of an ensemble into `/zookeeper/config`, as every member does for
    /// itself at its start and at the end of its synchronisation. `config_version` is a zxid.
    pub fn set_config(&mut self, data: &[u8], config_version: i64, now_ms: i64) {
        let at = At {
            zxid: config_version,
            time_ms: now_ms,
            session: 0,
        };
        if let Some(id) = self.find("/zookeeper/config") {
            self.replace_data(id, "/zookeeper/config", Some(data), -1, at);
        }
    }

    fn apply_part<'t>(
        &mut self,
        at: At,
        txn: &'t Txn<'_>,
        changes: &mut impl Changes,
    ) -> Applied<'t> {
        let mut applied = Applied {
            kind: txn.kind(),
            path: txn.path(),
            ..Applied::default()
        };
        let result = match txn {
            Txn::Create(create) | Txn::Create2(create) => {
                let new = NewNode {
                    path: &create.path,
                    data: create.data.as_deref(),
                    acl: create.acl.as_deref(),
                    owner: if create.ephemeral { at.session } else { 0 },
                    parent_cversion: create.parent_cversion,
                    corrects_parent: matches!(txn, Txn::Create(_)),
                };
                self.create(at, new, changes)
            }
            Txn::CreateContainer(create) => {
                let new = NewNode {
                    path: &create.path,
                    data: create.data.as_deref(),
                    acl: create.acl.as_deref(),
                    owner: CONTAINER_OWNER,
                    parent_cversion: create.parent_cversion,
                    corrects_parent: false,
                };
                self.create(at, new, changes)
            }
            Txn::CreateTtl(create) => {
                let new = NewNode {
                    path: &create.path,
                    data: create.data.as_deref(),
                    acl: create.acl.as_deref(),
                    owner: ttl_owner(create.ttl_ms),
                    parent_cversion: create.parent_cversion,
                    corrects_parent: false,
                };
                self.create(at, new, changes)
            }
            Txn::Delete(delete) | Txn::DeleteContainer(delete) => {
                self.delete(at, &delete.path, changes).map(|()| None)
            }
            Txn::SetData(set) | Txn::Reconfig(set) => self.set_data(at, set, changes),
            Txn::SetAcl(set) => self.set_acl(&set.path, set.acl.as_deref(), set.version),
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(at.session, *timeout_ms);
                Ok(None)
            }
            Txn::CloseSession { paths } => {
                let paths = paths.as_deref().map(|paths| paths.iter().flatten());
                self.close_session(at, paths.map(|paths| paths.map(AsRef::as_ref)), changes);
                Ok(None)
            }
            Txn::Check(_) => Ok(None),
            Txn::Error { err } => {
                applied.err = *err;
                Ok(None)
            }
            Txn::Multi(parts) => {
                self.multi(at, parts, changes, &mut applied);
                Ok(None)
            }
        };
        match result {
            Ok(id) => {
                applied.stat = id.map(|id| self.node(id).stat());
                // A node of quota statistics is counted anew as soon as it is made; as in Java the
                // reply tells of the data that were sent.
                if let (Some(stat), Some(data)) = (&mut applied.stat, created_data(txn)) {
                    stat.data_length = data.as_deref().map_or(0, <[u8]>::len) as i32;
                }
            }
            Err(err) => applied.err = err.code(),
        }
        applied
    }

    /// Nothing of a multi with an error in it is applied: what came before the first reports 0,
    /// what came behind reports its own code or -2.
    fn multi<'t>(
        &mut self,
        at: At,
        parts: &'t [Txn<'_>],
        changes: &mut impl Changes,
        applied: &mut Applied<'t>,
    ) {
        let is_error = |part: &Txn<'_>| matches!(part, Txn::Error { .. });
        let first_error = parts.iter().position(is_error);
        applied.multi.reserve_exact(parts.len());
        for (i, part) in parts.iter().enumerate() {
            let result = match (first_error, part) {
                (None, Txn::Multi(_)) => Applied {
                    kind: part.kind(),
                    err: ErrorCode::BadArguments.code(),
                    ..Applied::default()
                },
                (None, _) => self.apply_part(at, part, changes),
                (Some(first), _) => Applied {
                    kind: zooid_proto::txn::kind::ERROR,
                    err: match part {
                        Txn::Error { err } => *err,
                        _ if i < first => 0,
                        _ => ErrorCode::RuntimeInconsistency.code(),
                    },
                    ..Applied::default()
                },
            };
            if applied.err == 0 {
                applied.err = result.err;
            }
            applied.multi.push(result);
        }
    }

    fn create(
        &mut self,
        at: At,
        new: NewNode<'_>,
        changes: &mut impl Changes,
    ) -> Result<Option<NodeId>, ErrorCode> {
        let (dir, name) = split_below_root(new.path)?;
        let parent = self.find_dir(dir).ok_or(ErrorCode::NoNode)?;
        let hash = self.index.hash(new.path);
        if let Some(id) = self.find_hashed(new.path, hash) {
            // A fuzzy snapshot may hold the node without the list that its ACL id stands for.
            self.replace_acl(id, new.acl);
            if new.corrects_parent {
                self.raise_cversion(parent, new.parent_cversion, at.zxid);
            }
            return Err(ErrorCode::NodeExists);
        }
        self.raise_cversion(parent, new.parent_cversion, at.zxid);
        let stat = StatPersisted {
            czxid: at.zxid,
            mzxid: at.zxid,
            ctime: at.time_ms,
            mtime: at.time_ms,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeral_owner: new.owner,
            pzxid: at.zxid,
        };
        let acl = self.acls.intern(new.acl);
        let place = Place {
            parent,
            path: new.path,
            name,
            hash,
        };
        let id = self.attach(place, new.data, acl, &stat);
        self.acls.release(acl);
        self.quota_created(new.path, new.data.map_or(0, <[u8]>::len));
        let parent_acl = self.nodes[parent].acl;
        changes.change(ChangeKind::Created, new.path, acl, parent_acl, at.zxid);
        Ok(Some(id))
    }

    /// A cversion never goes back: replay may create again what was created and deleted before
    /// the snapshot reached the parent.
    fn raise_cversion(&mut self, parent: NodeId, cversion: i32, zxid: i64) {
        let now = self.nodes[parent].cversion;
        let cversion = if cversion == -1 {
            now.wrapping_add(1)
        } else {
            cversion
        };
        if cversion > now {
            self.before_change(parent);
            self.nodes[parent].cversion = cversion;
            self.nodes[parent].pzxid = zxid;
            self.changed(parent);
        }
    }

    fn delete(&mut self, at: At, path: &str, changes: &mut impl Changes) -> Result<(), ErrorCode> {
        let (dir, _) = split_below_root(path)?;
        let parent = self.find_dir(dir).ok_or(ErrorCode::NoNode)?;
        // Also when the node is gone: a fuzzy snapshot may have met the parent before it went.
        if at.zxid > self.nodes[parent].pzxid {
            self.before_change(parent);
            self.nodes[parent].pzxid = at.zxid;
            self.changed(parent);
        }
        let hash = self.index.hash(path);
        let id = self.find_hashed(path, hash).ok_or(ErrorCode::NoNode)?;
        let (acl, parent_acl) = (self.nodes[id].acl, self.nodes[parent].acl);
        self.remove_below(id);
        self.remove_leaf(id, path, hash);
        changes.change(ChangeKind::Deleted, path, acl, parent_acl, at.zxid);
        Ok(())
    }

    /// Children of a deleted node exist in replay only, when a fuzzy snapshot holds those of a
    /// later node of the same path; their own transactions, still to come, make them again.
    fn remove_below(&mut self, top: NodeId) {
        if self.children_of(top).is_empty() {
            return;
        }
        let mut below = Vec::new();
        self.each_below(top, |id| below.push(id));
        for &id in below[1..].iter().rev() {
            let path = self.path_of(id);
            let hash = self.index.hash(&path);
            self.remove_leaf(id, &path, hash);
        }
    }

    fn remove_leaf(&mut self, id: NodeId, path: &str, hash: PathHash) {
        let bytes = self.data_len_of(id);
        self.detach(id, path, hash);
        self.quota_deleted(path, bytes);
    }

    fn set_data(
        &mut self,
        at: At,
        set: &SetDataTxn<'_>,
        changes: &mut impl Changes,
    ) -> Result<Option<NodeId>, ErrorCode> {
        let id = self.find(&set.path).ok_or(ErrorCode::NoNode)?;
        self.replace_data(id, &set.path, set.data.as_deref(), set.version, at);
        let (acl, open) = (self.nodes[id].acl, AclId::OPEN);
        changes.change(ChangeKind::DataChanged, &set.path, acl, open, at.zxid);
        Ok(Some(id))
    }

    fn replace_data(&mut self, id: NodeId, path: &str, data: Option<&[u8]>, version: i32, at: At) {
        self.before_change(id);
        let before = self.data_len_of(id) as i64;
        self.put_data(id, data);
        let node = &mut self.nodes[id];
        node.version = version;
        node.mzxid = at.zxid;
        node.mtime = at.time_ms;
        self.changed(id);
        let grown = data.map_or(0, <[u8]>::len) as i64 - before;
        self.data_size += grown;
        self.quota_used(path, 0, grown);
    }

    fn set_acl(
        &mut self,
        path: &str,
        acl: Option<&[Acl<'_>]>,
        aversion: i32,
    ) -> Result<Option<NodeId>, ErrorCode> {
        let id = self.find(path).ok_or(ErrorCode::NoNode)?;
        self.before_change(id);
        self.nodes[id].aversion = aversion;
        self.changed(id);
        self.replace_acl(id, acl);
        Ok(Some(id))
    }

    fn replace_acl(&mut self, id: NodeId, acl: Option<&[Acl<'_>]>) {
        self.keep_for_walks(id);
        let acl = self.acls.intern(acl);
        let before = std::mem::replace(&mut self.nodes[id].acl, acl);
        self.acls.release(before);
    }

    /// `paths`: what the transaction lists; what the session owns beyond that goes too.
    fn close_session<'p>(
        &mut self,
        at: At,
        paths: Option<impl Iterator<Item = &'p str>>,
        changes: &mut impl Changes,
    ) {
        for path in paths.into_iter().flatten() {
            // Missing nodes are ignored.
            let _ = self.delete(at, path, changes);
        }
        while let Some(&id) = self.ephemerals.get(&at.session).and_then(|ids| ids.first()) {
            let path = self.path_of(id);
            let gone = self.delete(at, &path, changes);
            assert_eq!(gone, Ok(()), "an indexed ephemeral node exists");
        }
        self.ephemerals.remove(&at.session);
        self.sessions.remove(&at.session);
    }
}

/// The root is neither created nor deleted, and what has no slash is nowhere.
fn split_below_root(path: &str) -> Result<(&str, &str), ErrorCode> {
    match split(path) {
        None => Err(ErrorCode::NoNode),
        Some(("", "")) => Err(ErrorCode::BadArguments),
        Some(parts) => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TreeOptions;
    use zooid_proto::txn::CreateTxn;

    #[test]
    fn a_create_changes_node_parent_and_digest_as_java_has_it() {
        let mut tree = Tree::new(TreeOptions::default());
        assert_eq!((tree.digest(), tree.node_count()), (0x51C6_D660, 5));
        assert_eq!(tree.approximate_data_size(), 44);
        let txn = Txn::Create(CreateTxn {
            path: "/t4".into(),
            data: Some(b""[..].into()),
            acl: Some(vec![Acl::new(31, "world", "anyone")]),
            ephemeral: false,
            parent_cversion: 1,
        });
        let header = TxnHeader {
            client_id: 1,
            cxid: 1,
            zxid: 2,
            time_ms: 1_795_236_150_324,
            kind: txn.kind(),
        };
        let mut changes = Vec::new();
        let applied = tree.apply(&header, &txn, &mut changes);
        assert_eq!((applied.err, applied.path), (0, Some("/t4")));
        assert_eq!(tree.digest(), 0x7681_C339);
        assert_eq!((changes.len(), &*changes[0].path), (1, "/t4"));
        assert_eq!(tree.get("/").map(|root| root.stat().cversion), Some(0));
    }
}
