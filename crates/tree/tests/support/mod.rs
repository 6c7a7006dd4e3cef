//! A tree as plain as can be: a map from path to node, the rules of replay written out, nothing
//! kept that can be computed.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use zooid_proto::records::{Acl, Stat, StatPersisted};
use zooid_proto::txn::{
    CheckVersionTxn, CreateContainerTxn, CreateTtlTxn, CreateTxn, DeleteTxn, SetAclTxn, SetDataTxn,
    Txn, TxnHeader,
};
use zooid_tree::{ChangeKind, QuotaStats, Tree, TreeOptions, node_digest};

pub const OPTIONS: TreeOptions = TreeOptions {
    digest_enabled: true,
    extended_types: true,
    emulate353: false,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelNode {
    pub data: Option<Vec<u8>>,
    /// `None`: open.
    pub acl: Option<Vec<Acl<'static>>>,
    pub stat: StatPersisted,
}

#[derive(Debug, Clone, Default)]
pub struct Model {
    /// The root is "".
    pub nodes: BTreeMap<String, ModelNode>,
    pub sessions: BTreeMap<i64, i32>,
    pub quotas: BTreeSet<String>,
    pub last_zxid: i64,
    pub changes: Vec<(ChangeKind, String, i64)>,
}

impl Model {
    pub fn new() -> Model {
        let mut model = Model::default();
        for path in ["", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            let config = path == "/zookeeper/config";
            model.nodes.insert(
                path.to_owned(),
                ModelNode {
                    data: Some(Vec::new()),
                    acl: config.then(|| vec![Acl::new(1, "world", "anyone")]),
                    stat: StatPersisted {
                        aversion: if config { -1 } else { 0 },
                        ..StatPersisted::default()
                    },
                },
            );
        }
        model
    }

    pub fn children(&self, path: &str) -> BTreeSet<String> {
        let below = format!("{path}/");
        let paths = self.nodes.keys().filter_map(|p| p.strip_prefix(&below));
        paths
            .filter(|name| !name.contains('/'))
            .map(str::to_owned)
            .collect()
    }

    pub fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let children = self.children(path).len() as i32;
        Stat {
            czxid: node.stat.czxid,
            mzxid: node.stat.mzxid,
            ctime: node.stat.ctime,
            mtime: node.stat.mtime,
            version: node.stat.version,
            cversion: node.stat.cversion * 2 - children,
            aversion: node.stat.aversion,
            ephemeral_owner: if is_session(node.stat.ephemeral_owner) {
                node.stat.ephemeral_owner
            } else {
                0
            },
            data_length: node.data.as_ref().map_or(0, Vec::len) as i32,
            num_children: children,
            pzxid: node.stat.pzxid,
        }
    }

    pub fn digest(&self) -> i64 {
        let digests = self
            .nodes
            .iter()
            .map(|(path, node)| node_digest(path, node.data.as_deref(), &node.stat));
        digests.fold(0u64, u64::wrapping_add) as i64
    }

    pub fn owned(&self, session: i64) -> BTreeSet<String> {
        let nodes = self.nodes.iter();
        nodes
            .filter(|(_, node)| node.stat.ephemeral_owner == session)
            .map(|(path, _)| path.clone())
            .collect()
    }

    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn<'_>) -> i32 {
        self.changes.clear();
        let err = self.part(header, txn);
        self.last_zxid = self.last_zxid.max(header.zxid);
        err
    }

    fn part(&mut self, header: &TxnHeader, txn: &Txn<'_>) -> i32 {
        match txn {
            Txn::Create(c) => {
                let owner = if c.ephemeral { header.client_id } else { 0 };
                let err = self.create(header, &c.path, &c.data, &c.acl, owner, c.parent_cversion);
                if err == -110 {
                    let parent = parent(&c.path);
                    self.raise(parent, c.parent_cversion, header.zxid);
                }
                err
            }
            Txn::Create2(c) => {
                let owner = if c.ephemeral { header.client_id } else { 0 };
                self.create(header, &c.path, &c.data, &c.acl, owner, c.parent_cversion)
            }
            Txn::CreateContainer(c) => self.create(
                header,
                &c.path,
                &c.data,
                &c.acl,
                i64::MIN,
                c.parent_cversion,
            ),
            Txn::CreateTtl(c) => {
                let owner = (0xFF << 56) | c.ttl_ms;
                self.create(header, &c.path, &c.data, &c.acl, owner, c.parent_cversion)
            }
            Txn::Delete(d) | Txn::DeleteContainer(d) => self.delete(header.zxid, &d.path),
            Txn::SetData(s) | Txn::Reconfig(s) => {
                let key = if s.path == "/" { "" } else { &*s.path };
                let Some(node) = self.nodes.get_mut(key) else {
                    return -101;
                };
                let len = |data: Option<usize>| data.unwrap_or(0) as i64;
                let before = len(node.data.as_ref().map(Vec::len));
                node.data = s.data.as_ref().map(|data| data.to_vec());
                node.stat.version = s.version;
                node.stat.mzxid = header.zxid;
                node.stat.mtime = header.time_ms;
                let grown = len(s.data.as_ref().map(|data| data.len())) - before;
                self.use_quota(&s.path, 0, grown);
                self.log(ChangeKind::DataChanged, &s.path, header.zxid);
                0
            }
            Txn::SetAcl(s) => {
                let key = if s.path == "/" { "" } else { &*s.path };
                let Some(node) = self.nodes.get_mut(key) else {
                    return -101;
                };
                node.acl = owned_acl(&s.acl);
                node.stat.aversion = s.version;
                0
            }
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(header.client_id, *timeout_ms);
                0
            }
            Txn::CloseSession { paths } => {
                for path in paths.iter().flatten().flatten() {
                    self.delete(header.zxid, path);
                }
                // The order of the rest is free.
                for path in self.owned(header.client_id) {
                    self.delete(header.zxid, &path);
                }
                self.sessions.remove(&header.client_id);
                0
            }
            Txn::Check(_) => 0,
            Txn::Error { err } => *err,
            Txn::Multi(parts) => {
                let failed = parts.iter().find_map(|part| match part {
                    Txn::Error { err } => Some(*err),
                    _ => None,
                });
                let mut first = failed.unwrap_or(0);
                for part in parts.iter().filter(|_| failed.is_none()) {
                    let err = self.part(header, part);
                    first = if first == 0 { err } else { first };
                }
                first
            }
        }
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: &Option<std::borrow::Cow<'_, [u8]>>,
        acl: &Option<Vec<Acl<'_>>>,
        owner: i64,
        parent_cversion: i32,
    ) -> i32 {
        if !self.nodes.contains_key(parent(path)) {
            return -101;
        }
        if let Some(node) = self.nodes.get_mut(path) {
            node.acl = owned_acl(acl);
            return -110;
        }
        self.raise(parent(path), parent_cversion, header.zxid);
        let node = ModelNode {
            data: data.as_ref().map(|data| data.to_vec()),
            acl: owned_acl(acl),
            stat: StatPersisted {
                czxid: header.zxid,
                mzxid: header.zxid,
                pzxid: header.zxid,
                ctime: header.time_ms,
                mtime: header.time_ms,
                ephemeral_owner: owner,
                ..StatPersisted::default()
            },
        };
        let bytes = node.data.as_ref().map_or(0, Vec::len) as i64;
        self.nodes.insert(path.to_owned(), node);
        // Not `/zookeeper/quotas/...`.
        if let Some(quota) = path.strip_prefix("/zookeeper/quota")
            && quota.starts_with('/')
        {
            if let Some(top) = quota.strip_suffix("/zookeeper_limits") {
                if !top.is_empty() {
                    self.quotas.insert(top.to_owned());
                }
            } else if let Some(top) = quota.strip_suffix("/zookeeper_stats") {
                self.recount(top);
            }
        }
        self.use_quota(path, 1, bytes);
        self.log(ChangeKind::Created, path, header.zxid);
        0
    }

    fn raise(&mut self, parent: &str, cversion: i32, zxid: i64) {
        let parent = self.nodes.get_mut(parent).unwrap();
        let cversion = match cversion {
            -1 => parent.stat.cversion + 1,
            cversion => cversion,
        };
        if cversion > parent.stat.cversion {
            parent.stat.cversion = cversion;
            parent.stat.pzxid = zxid;
        }
    }

    fn delete(&mut self, zxid: i64, path: &str) -> i32 {
        let Some(parent) = self.nodes.get_mut(parent(path)) else {
            return -101;
        };
        parent.stat.pzxid = parent.stat.pzxid.max(zxid);
        if !self.nodes.contains_key(path) {
            return -101;
        }
        let below = format!("{path}/");
        let gone: Vec<String> = self
            .nodes
            .keys()
            .filter(|p| *p == path || p.starts_with(&below))
            .cloned()
            .collect();
        for gone in gone.into_iter().rev() {
            let node = self.nodes.remove(&gone).unwrap();
            if let Some(quota) = gone.strip_prefix("/zookeeper/quota")
                && let Some(top) = quota.strip_suffix("/zookeeper_limits")
            {
                self.quotas.remove(top);
            }
            let bytes = node.data.as_ref().map_or(0, Vec::len) as i64;
            self.use_quota(&gone, -1, -bytes);
        }
        self.log(ChangeKind::Deleted, path, zxid);
        0
    }

    fn use_quota(&mut self, path: &str, count: i64, bytes: i64) {
        let mut tops: Vec<&String> = self.quotas.iter().collect();
        tops.sort_by_key(|top| std::cmp::Reverse(top.len()));
        let Some(top) = tops
            .into_iter()
            .find(|top| path == *top || path.starts_with(&format!("{top}/")))
        else {
            return;
        };
        let stats = format!("/zookeeper/quota{top}/zookeeper_stats");
        let Some(node) = self.nodes.get_mut(&stats) else {
            return;
        };
        let Some(usage) = QuotaStats::of_data(node.data.as_deref()) else {
            return;
        };
        let text = usage.to_string();
        let rest = text
            .split_once('=')
            .unwrap()
            .1
            .split_once("bytes=")
            .unwrap()
            .1;
        let rest = rest.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit());
        let (count, bytes) = (usage.count() + count, usage.bytes() + bytes);
        node.data = Some(format!("count={count},bytes={bytes}{rest}").into_bytes());
    }

    fn recount(&mut self, top: &str) {
        let below = format!("{top}/");
        let counted = self
            .nodes
            .iter()
            .filter(|(p, _)| *p == top || p.starts_with(&below));
        let sizes: Vec<usize> = counted
            .map(|(_, node)| node.data.as_ref().map_or(0, Vec::len))
            .collect();
        let text = format!(
            "count={},bytes={}",
            sizes.len(),
            sizes.iter().sum::<usize>()
        );
        let stats = format!("/zookeeper/quota{top}/zookeeper_stats");
        if let Some(node) = self.nodes.get_mut(&stats) {
            node.data = Some(text.into_bytes());
        }
    }

    fn log(&mut self, kind: ChangeKind, path: &str, zxid: i64) {
        self.changes.push((kind, path.to_owned(), zxid));
    }

    /// Compares all that a reader can see.
    pub fn assert_equals(&self, tree: &Tree) {
        for (path, node) in &self.nodes {
            let path = &**path;
            let found = tree
                .get(path)
                .unwrap_or_else(|| panic!("{path:?} is missing"));
            assert_eq!(found.data(), node.data.as_deref(), "data of {path:?}");
            assert_eq!(found.stat(), self.stat(path), "stat of {path:?}");
            assert_eq!(found.persisted(), node.stat, "stored stat of {path:?}");
            assert_eq!(
                tree.acl(found.acl()),
                node.acl.as_deref().unwrap_or(&[]),
                "ACL of {path:?}"
            );
            let children: BTreeSet<String> = found.children().map(str::to_owned).collect();
            assert_eq!(children, self.children(path), "children of {path:?}");
            assert_eq!(found.child_count(), children.len());
            let mut bytes = Vec::new();
            found.write_stat(&mut bytes);
            let mut expected = Vec::new();
            zooid_proto::Jute::write(&found.stat(), &mut zooid_proto::Writer::wire(&mut expected));
            assert_eq!(bytes, expected);
            let below = format!("{path}/");
            let below = self.nodes.keys().filter(|p| p.starts_with(&below)).count();
            assert_eq!(tree.all_descendants(path), below, "descendants of {path:?}");
        }
        assert_eq!(tree.len(), self.nodes.len());
        assert_eq!(tree.digest(), self.digest(), "digest");
        assert_eq!(tree.sessions(), &self.sessions, "sessions");
        assert_eq!(tree.last_processed_zxid(), self.last_zxid);
        let owners: BTreeSet<i64> = self
            .nodes
            .values()
            .map(|node| node.stat.ephemeral_owner)
            .collect();
        let mut ephemerals = 0;
        for owner in owners.into_iter().filter(|owner| is_session(*owner)) {
            let paths: BTreeSet<String> = tree.ephemerals(owner).collect();
            assert_eq!(paths, self.owned(owner), "ephemeral nodes of {owner:#x}");
            ephemerals += paths.len();
        }
        assert_eq!(tree.ephemerals_count(), ephemerals);
        let lists: BTreeSet<String> = self
            .nodes
            .values()
            .flat_map(|node| &node.acl)
            .map(|acl| format!("{acl:?}"))
            .collect();
        assert!(tree.acl_count() >= lists.len());
        assert_eq!(tree.has_quotas(), !self.quotas.is_empty());
        for top in &self.quotas {
            assert_eq!(
                tree.quota_for(top).map(|quota| quota.path).as_ref(),
                Some(top)
            );
        }
    }
}

/// 0, containers and TTL nodes are nobody's.
pub fn is_session(owner: i64) -> bool {
    owner > 0
}

pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn owned_acl(acl: &Option<Vec<Acl<'_>>>) -> Option<Vec<Acl<'static>>> {
    let acl = acl.as_ref()?;
    Some(
        acl.iter()
            .cloned()
            .map(zooid_proto::Jute::into_owned)
            .collect(),
    )
}

pub fn header(zxid: i64, session: i64, txn: &Txn<'_>) -> TxnHeader {
    TxnHeader {
        client_id: session,
        cxid: 1,
        zxid,
        time_ms: 1_000_000 + zxid * 10,
        kind: txn.kind(),
    }
}

pub fn create(path: &str, data: Option<&[u8]>, ephemeral: bool) -> Txn<'static> {
    create_with(path, data, ephemeral, Some(open_acl()), -1)
}

pub fn open_acl() -> Vec<Acl<'static>> {
    vec![Acl::new(31, "world", "anyone")]
}

pub fn create_with(
    path: &str,
    data: Option<&[u8]>,
    ephemeral: bool,
    acl: Option<Vec<Acl<'static>>>,
    parent_cversion: i32,
) -> Txn<'static> {
    Txn::Create(CreateTxn {
        path: path.to_owned().into(),
        data: data.map(|data| data.to_vec().into()),
        acl,
        ephemeral,
        parent_cversion,
    })
}

pub fn container(path: &str, parent_cversion: i32) -> Txn<'static> {
    Txn::CreateContainer(CreateContainerTxn {
        path: path.to_owned().into(),
        data: None,
        acl: Some(open_acl()),
        parent_cversion,
    })
}

pub fn ttl(path: &str, ttl_ms: i64, parent_cversion: i32) -> Txn<'static> {
    Txn::CreateTtl(CreateTtlTxn {
        path: path.to_owned().into(),
        data: Some(b"ttl"[..].into()),
        acl: Some(open_acl()),
        parent_cversion,
        ttl_ms,
    })
}

pub fn delete(path: &str) -> Txn<'static> {
    Txn::Delete(DeleteTxn {
        path: path.to_owned().into(),
    })
}

pub fn set(path: &str, data: Option<&[u8]>, version: i32) -> Txn<'static> {
    Txn::SetData(SetDataTxn {
        path: path.to_owned().into(),
        data: data.map(|data| data.to_vec().into()),
        version,
    })
}

pub fn set_acl(path: &str, acl: Vec<Acl<'static>>, version: i32) -> Txn<'static> {
    Txn::SetAcl(SetAclTxn {
        path: path.to_owned().into(),
        acl: Some(acl),
        version,
    })
}

pub fn check(path: &str) -> Txn<'static> {
    Txn::Check(CheckVersionTxn {
        path: path.to_owned().into(),
        version: 1,
    })
}

impl Model {
    /// As [`Model::assert_equals`], for trees in which the usage of quotas was counted at another
    /// time.
    pub fn assert_equals_but_quotas(&self, tree: &Tree) {
        assert!(self.quotas.is_empty() && !tree.has_quotas());
        self.assert_equals(tree);
    }
}
