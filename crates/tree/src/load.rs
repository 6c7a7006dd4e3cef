//! The tree from the sections of a snapshot.

use crate::acl::AclId;
use crate::arena::{NodeId, ROOT};
use crate::owner::OwnerClass;
use crate::tree::{Place, Tree, TreeOptions, split};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use zooid_proto::records::{Acl, StatPersisted};

/// Why a snapshot is no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Java asks for parents first, too.
    #[error("node {0:?} comes before its parent")]
    NoParent(String),
    /// The same path twice.
    #[error("node {0:?} is there twice")]
    Twice(String),
    /// The extended node type is unknown; Java stops on it.
    #[error("node {path:?} has the owner {owner:#x}, an extended type that is not known")]
    IllegalOwner {
        /// The node.
        path: String,
        /// What is stored for it.
        owner: i64,
    },
    /// No node has the empty path.
    #[error("there is no root")]
    NoRoot,
}

/// Takes what a snapshot holds, in its order: sessions, ACLs, nodes.
#[derive(Debug)]
pub struct TreeLoader {
    options: TreeOptions,
    seed: u64,
    sessions: BTreeMap<i64, i32>,
    lists: HashMap<i64, Vec<Acl<'static>>, foldhash::quality::FixedState>,
    ids: HashMap<i64, AclId, foldhash::quality::FixedState>,
    tree: Option<Tree>,
    /// The directory of the last node, which is mostly that of the next one.
    dir: (String, NodeId),
}

impl TreeLoader {
    /// A loader for a tree with these options.
    pub fn new(options: TreeOptions) -> TreeLoader {
        TreeLoader::with_seed(options, 0)
    }

    /// The same, with a seed as in [`Tree::with_seed`].
    pub fn with_seed(options: TreeOptions, seed: u64) -> TreeLoader {
        TreeLoader {
            options,
            seed,
            sessions: BTreeMap::new(),
            lists: HashMap::default(),
            ids: HashMap::default(),
            tree: None,
            dir: (String::new(), ROOT),
        }
    }

    /// A session and its timeout in ms; the last one of an id counts.
    pub fn add_session(&mut self, id: i64, timeout_ms: i32) {
        self.sessions.insert(id, timeout_ms);
    }

    /// A list of the table of ACLs. Lists that no node has are dropped.
    pub fn add_acl(&mut self, id: i64, list: Vec<Acl<'_>>) {
        let list = list.into_iter().map(zooid_proto::Jute::into_owned);
        self.lists.insert(id, list.collect());
    }

    /// A node; the path of the root is empty. An ACL id that is not in the table is no error but
    /// leaves the node [unresolved](AclId::UNRESOLVED).
    pub fn add_node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError> {
        let class = OwnerClass::of(
            stat.ephemeral_owner,
            self.options.extended_types,
            self.options.emulate353,
        );
        if class == OwnerClass::Illegal {
            return Err(LoadError::IllegalOwner {
                path: path.to_owned(),
                owner: stat.ephemeral_owner,
            });
        }
        let Some(tree) = &mut self.tree else {
            return self.add_root(path, data, acl_id, stat);
        };
        let no_parent = || LoadError::NoParent(path.to_owned());
        if path.is_empty() || path == "/" {
            return Err(LoadError::Twice(path.to_owned()));
        }
        let (dir, name) = split(path).ok_or_else(no_parent)?;
        let parent = if dir == self.dir.0 {
            self.dir.1
        } else {
            let id = tree.find_dir(dir).ok_or_else(no_parent)?;
            self.dir.0.clear();
            self.dir.0.push_str(dir);
            self.dir.1 = id;
            id
        };
        let hash = tree.index.hash(path);
        if tree.find_hashed(path, hash).is_some() {
            return Err(LoadError::Twice(path.to_owned()));
        }
        let acl = acl_of(tree, &self.lists, &mut self.ids, acl_id);
        let place = Place {
            parent,
            path,
            name,
            hash,
        };
        tree.attach(place, data, acl, stat);
        Ok(())
    }

    /// The tree, with its quotas counted anew. Its last processed zxid is still to be set: the
    /// zxid in the name of the snapshot.
    pub fn finish(self) -> Result<Tree, LoadError> {
        let mut tree = self.tree.ok_or(LoadError::NoRoot)?;
        tree.sessions = self.sessions;
        for &acl in self.ids.values() {
            tree.acls.release(acl);
        }
        tree.acls.reclaim();
        tree.quota_rebuild();
        Ok(tree)
    }

    fn add_root(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError> {
        if !path.is_empty() {
            return Err(LoadError::NoParent(path.to_owned()));
        }
        let mut tree = Tree::bare(self.options, self.seed, data, AclId::OPEN);
        let acl = acl_of(&mut tree, &self.lists, &mut self.ids, acl_id);
        tree.make_root(acl, stat);
        self.tree = Some(tree);
        Ok(())
    }
}

/// The id of a list in the tree. The loader itself is one use of each until it is finished.
fn acl_of(
    tree: &mut Tree,
    lists: &HashMap<i64, Vec<Acl<'static>>, foldhash::quality::FixedState>,
    ids: &mut HashMap<i64, AclId, foldhash::quality::FixedState>,
    acl_id: i64,
) -> AclId {
    if acl_id == -1 {
        return AclId::OPEN;
    }
    *ids.entry(acl_id)
        .or_insert_with(|| match lists.get(&acl_id) {
            Some(list) => tree.acls.intern(Some(list)),
            None => tree.acls.add_use(AclId::UNRESOLVED),
        })
}

impl Tree {
    fn make_root(&mut self, acl: AclId, stat: &StatPersisted) {
        self.before_change(ROOT);
        let before = self.nodes[ROOT].acl;
        self.acls.add_use(acl);
        self.acls.release(before);
        let root = &mut self.nodes[ROOT];
        root.acl = acl;
        root.czxid = stat.czxid;
        root.mzxid = stat.mzxid;
        root.pzxid = stat.pzxid;
        root.ctime = stat.ctime;
        root.mtime = stat.mtime;
        root.version = stat.version;
        root.cversion = stat.cversion;
        root.aversion = stat.aversion;
        self.changed(ROOT);
    }
}
