//! The tree as readers see it.

use crate::acl::{AclId, AclTable};
use crate::arena::{Ext, NONE, Node, NodeId, ROOT, Slab};
use crate::digest::{child_digest, node_digest};
use crate::index::{PathHash, PathIndex};
use crate::owner::OwnerClass;
use crate::payload::{Moved, Payload, Payloads};
use crate::quota::Quotas;
use crate::walk::Walks;
use std::collections::{BTreeMap, BTreeSet};
use zooid_proto::path::last_slash;
use zooid_proto::records::{Acl, Stat, StatPersisted, perms};

/// What decides how a tree reads and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeOptions {
    /// `zookeeper.digest.enabled`. Without it the digest is 0.
    pub digest_enabled: bool,
    /// `zookeeper.extendedTypesEnabled`.
    pub extended_types: bool,
    /// `zookeeper.emulate353TTLNodes`.
    pub emulate353: bool,
}

impl Default for TreeOptions {
    fn default() -> Self {
        TreeOptions {
            digest_enabled: true,
            extended_types: false,
            emulate353: false,
        }
    }
}

/// All nodes and sessions. Changed by [`Tree::apply`](crate::apply) only.
#[derive(Debug)]
pub struct Tree {
    pub(crate) options: TreeOptions,
    pub(crate) nodes: Slab<Node>,
    pub(crate) exts: Slab<Ext>,
    pub(crate) payloads: Payloads,
    pub(crate) index: PathIndex,
    pub(crate) acls: AclTable,
    pub(crate) sessions: BTreeMap<i64, i32>,
    /// A session stays here, without paths, when its last ephemeral node is deleted before its
    /// end: Java's `dump` shows it.
    pub(crate) ephemerals: BTreeMap<i64, BTreeSet<NodeId>>,
    pub(crate) ephemeral_count: usize,
    pub(crate) containers: BTreeSet<NodeId>,
    pub(crate) ttls: BTreeSet<NodeId>,
    pub(crate) quotas: Quotas,
    pub(crate) last_zxid: i64,
    pub(crate) digest: u64,
    pub(crate) count: usize,
    pub(crate) data_size: i64,
    pub(crate) walks: Walks,
}

impl Tree {
    /// A tree as a new server has it: `/`, `/zookeeper`, `/zookeeper/quota`, `/zookeeper/config`.
    pub fn new(options: TreeOptions) -> Tree {
        Tree::with_seed(options, 0)
    }

    /// The same, with a seed for its hash tables: where clients choose paths, they should not know
    /// it. It shows in no result.
    pub fn with_seed(options: TreeOptions, seed: u64) -> Tree {
        let mut tree = Tree::bare(options, seed, Some(b""), AclId::OPEN);
        let fresh = StatPersisted::default();
        let read = [Acl::new(perms::READ, "world", "anyone")];
        let config_acl = tree.acls.intern(Some(&read));
        let config_stat = StatPersisted {
            aversion: -1,
            ..StatPersisted::default()
        };
        for (path, acl, stat) in [
            ("/zookeeper", AclId::OPEN, &fresh),
            ("/zookeeper/quota", AclId::OPEN, &fresh),
            ("/zookeeper/config", config_acl, &config_stat),
        ] {
            let (dir, name) = split(path).expect("an absolute path");
            let parent = tree.find_dir(dir).expect("in order from the root");
            let hash = tree.index.hash(path);
            let place = Place {
                parent,
                path,
                name,
                hash,
            };
            tree.attach(place, Some(b""), acl, stat);
        }
        tree
    }

    /// The root alone.
    pub(crate) fn bare(options: TreeOptions, seed: u64, data: Option<&[u8]>, acl: AclId) -> Tree {
        let mut tree = Tree {
            options,
            nodes: Slab::default(),
            exts: Slab::default(),
            payloads: Payloads::default(),
            index: PathIndex::new(seed),
            acls: AclTable::new(seed),
            sessions: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            ephemeral_count: 0,
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            quotas: Quotas::default(),
            last_zxid: 0,
            digest: 0,
            count: 1,
            // Java counts the root under both of its names, "" and "/".
            data_size: 1 + data.map_or(0, |data| data.len() as i64),
            walks: Walks::default(),
        };
        tree.acls.add_use(acl);
        let payload = tree.payloads.add(ROOT, b"", data);
        let root = tree.nodes.insert(Node {
            acl,
            parent: ROOT,
            ext: NONE,
            payload,
            ..Node::default()
        });
        assert_eq!(root, ROOT, "the root is the first node");
        tree.add_digest(ROOT);
        tree
    }

    /// The node at a path; "" is an alias of `/`, as in Java.
    pub fn get(&self, path: &str) -> Option<NodeRef<'_>> {
        let id = self.find(path)?;
        Some(self.node(id))
    }

    /// The list behind an id: empty when open.
    pub fn acl(&self, id: AclId) -> &[Acl<'static>] {
        self.acls.get(id)
    }

    /// Distinct lists in use.
    pub fn acl_count(&self) -> usize {
        self.acls.len()
    }

    /// Nodes whose list a snapshot did not hold and no transaction repaired. After replay every
    /// such node is damage.
    pub fn unresolved_acls(&self) -> usize {
        self.acls.uses(AclId::UNRESOLVED)
    }

    /// Paths of those nodes, at most `limit`.
    pub fn unresolved_paths(&self, limit: usize) -> Vec<String> {
        if self.unresolved_acls() == 0 {
            return Vec::new();
        }
        (0..self.nodes.end())
            .filter(|&id| {
                let node = &self.nodes[id];
                !node.payload.is_vacant() && node.acl == AclId::UNRESOLVED
            })
            .take(limit)
            .map(|id| self.path_of(id))
            .collect()
    }

    /// Nodes below a path at any depth; 0 when there is no such node. Costs a walk over the
    /// directories and nodes below it, nothing for the root.
    pub fn all_descendants(&self, path: &str) -> usize {
        let Some(id) = self.find(path) else { return 0 };
        if id == ROOT {
            return self.count - 1;
        }
        let mut found = 0;
        self.each_below(id, |_| found += 1);
        found - 1
    }

    /// zxid of the last transaction that was applied.
    pub fn last_processed_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Sets it, as after loading a snapshot or the start of an epoch.
    pub fn set_last_processed_zxid(&mut self, zxid: i64) {
        self.last_zxid = zxid;
    }

    /// Sum of [`node_digest`] over all nodes; 0 when digests are off.
    pub fn digest(&self) -> i64 {
        self.digest as i64
    }

    /// Number of nodes as Java counts them, the root twice: 5 in a new tree.
    pub fn node_count(&self) -> usize {
        self.count + 1
    }

    /// Number of nodes, each once.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never: there is a root.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Characters of all paths and bytes of all data, as Java counts them.
    pub fn approximate_data_size(&self) -> i64 {
        self.data_size
    }

    /// Number of ephemeral nodes.
    pub fn ephemerals_count(&self) -> usize {
        self.ephemeral_count
    }

    /// Paths of a session's ephemeral nodes, in no particular order, the same on every server that
    /// applied the same transactions to the same tree.
    pub fn ephemerals(&self, session: i64) -> impl Iterator<Item = String> + '_ {
        let ids = self.ephemerals.get(&session);
        ids.into_iter().flatten().map(|&id| self.path_of(id))
    }

    /// Sessions that own or owned ephemeral nodes, as `dump` lists them.
    pub fn ephemeral_sessions(&self) -> impl Iterator<Item = i64> + '_ {
        self.ephemerals.keys().copied()
    }

    /// Sessions with their timeouts in ms.
    pub fn sessions(&self) -> &BTreeMap<i64, i32> {
        &self.sessions
    }

    /// Sessions that own ephemeral nodes and are not in the session table. After recovery a
    /// standalone server or leader ends them with [`Tree::kill_session`](crate::apply).
    pub fn orphan_sessions(&self) -> Vec<i64> {
        let owners = self.ephemerals.keys().copied();
        owners
            .filter(|id| !self.sessions.contains_key(id))
            .collect()
    }

    /// Containers that are empty after use (or never used for longer than `max_never_used_ms`, if
    /// that is not 0) and nodes without children whose time to live is over at `now_ms`. Costs a
    /// visit of every container and TTL node.
    pub fn reap_candidates(&self, now_ms: i64, max_never_used_ms: i64) -> Vec<String> {
        let containers = self.containers.iter().filter(|&&id| {
            let node = &self.nodes[id];
            let idle = now_ms.saturating_sub(node.mtime);
            node.cversion > 0 || (max_never_used_ms != 0 && idle > max_never_used_ms)
        });
        let ttls = self.ttls.iter().filter(|&&id| {
            let idle = now_ms.saturating_sub(self.nodes[id].mtime);
            matches!(self.class_of(id), OwnerClass::Ttl(ttl) if ttl != 0 && idle > ttl)
        });
        containers
            .chain(ttls)
            .filter(|&&id| self.children_of(id).is_empty())
            .map(|&id| self.path_of(id))
            .collect()
    }

    pub(crate) fn node(&self, id: NodeId) -> NodeRef<'_> {
        NodeRef {
            tree: self,
            node: &self.nodes[id],
            id,
        }
    }

    pub(crate) fn find(&self, path: &str) -> Option<NodeId> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        self.find_hashed(path, self.index.hash(path))
    }

    /// The same for any path but the root's, whose hash is known.
    pub(crate) fn find_hashed(&self, path: &str, hash: PathHash) -> Option<NodeId> {
        let (dir, name) = split(path)?;
        let is_it = |id| self.nodes[id].tag == hash.tag() && self.is_at(id, dir, name);
        self.index.find(hash, is_it)
    }

    /// The node at the part of a path before its last slash, where only "" is the root.
    pub(crate) fn find_dir(&self, dir: &str) -> Option<NodeId> {
        if dir == "/" { None } else { self.find(dir) }
    }

    fn is_at(&self, id: NodeId, dir: &str, name: &str) -> bool {
        let node = &self.nodes[id];
        self.payloads.name(node.payload) == name.as_bytes() && self.dir_path(node.parent) == dir
    }

    /// The path of a node that has children.
    pub(crate) fn dir_path(&self, id: NodeId) -> &str {
        match self.nodes[id].ext {
            NONE => "",
            ext => &self.exts[ext].path,
        }
    }

    pub(crate) fn path_of(&self, id: NodeId) -> String {
        if id == ROOT {
            return "/".to_owned();
        }
        let node = &self.nodes[id];
        let (dir, name) = (self.dir_path(node.parent), text(self.name_of(id)));
        let mut path = String::with_capacity(dir.len() + 1 + name.len());
        path.push_str(dir);
        path.push('/');
        path.push_str(name);
        path
    }

    pub(crate) fn name_of(&self, id: NodeId) -> &[u8] {
        self.payloads.name(self.nodes[id].payload)
    }

    pub(crate) fn data_of(&self, id: NodeId) -> Option<&[u8]> {
        self.payloads.view(self.nodes[id].payload).data
    }

    /// Bytes of data, 0 for null.
    pub(crate) fn data_len_of(&self, id: NodeId) -> usize {
        self.payloads.data_len(self.nodes[id].payload)
    }

    /// Other data and nothing else: no version, no digest.
    pub(crate) fn put_data(&mut self, id: NodeId, data: Option<&[u8]>) {
        let (payload, moved) = self.payloads.set_data(id, self.nodes[id].payload, data);
        self.nodes[id].payload = payload;
        self.note_moved(moved);
    }

    fn note_moved(&mut self, moved: Option<Moved>) {
        if let Some(moved) = moved {
            moved.apply(&mut self.nodes[moved.owner].payload);
        }
    }

    pub(crate) fn children_of(&self, id: NodeId) -> &[NodeId] {
        match self.nodes[id].ext {
            NONE => &[],
            ext => &self.exts[ext].children,
        }
    }

    pub(crate) fn owner_of(&self, id: NodeId) -> i64 {
        match self.nodes[id].ext {
            NONE => 0,
            ext => self.exts[ext].owner,
        }
    }

    pub(crate) fn class(&self, owner: i64) -> OwnerClass {
        OwnerClass::of(owner, self.options.extended_types, self.options.emulate353)
    }

    pub(crate) fn class_of(&self, id: NodeId) -> OwnerClass {
        self.class(self.owner_of(id))
    }

    pub(crate) fn persisted(&self, id: NodeId) -> StatPersisted {
        let node = &self.nodes[id];
        StatPersisted {
            czxid: node.czxid,
            mzxid: node.mzxid,
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            cversion: node.cversion,
            aversion: node.aversion,
            ephemeral_owner: self.owner_of(id),
            pzxid: node.pzxid,
        }
    }

    /// Visits a node and all nodes below it, parents first.
    pub(crate) fn each_below(&self, top: NodeId, mut visit: impl FnMut(NodeId)) {
        let mut open = vec![top];
        while let Some(id) = open.pop() {
            visit(id);
            open.extend_from_slice(self.children_of(id));
        }
    }

    pub(crate) fn digest_of(&self, id: NodeId) -> u64 {
        let node = &self.nodes[id];
        let payload = self.payloads.view(node.payload);
        let (data, stat) = (payload.data, self.persisted(id));
        if id == ROOT {
            return node_digest("", data, &stat);
        }
        child_digest(self.dir_path(node.parent), payload.name, data, &stat)
    }

    pub(crate) fn add_digest(&mut self, id: NodeId) {
        if self.options.digest_enabled {
            self.digest = self.digest.wrapping_add(self.digest_of(id));
        }
    }

    fn subtract_digest(&mut self, id: NodeId) {
        if self.options.digest_enabled {
            self.digest = self.digest.wrapping_sub(self.digest_of(id));
        }
    }

    /// Must precede every change of what files hold of a node; [`Tree::changed`] must follow.
    pub(crate) fn before_change(&mut self, id: NodeId) {
        self.keep_for_walks(id);
        self.subtract_digest(id);
    }

    pub(crate) fn changed(&mut self, id: NodeId) {
        self.add_digest(id);
    }

    /// Adds a node that is not there below one that is.
    pub(crate) fn attach(
        &mut self,
        place: Place<'_>,
        data: Option<&[u8]>,
        acl: AclId,
        stat: &StatPersisted,
    ) -> NodeId {
        let Place {
            parent,
            path,
            name,
            hash,
        } = place;
        let dir = self.ext_for_children(parent);
        let pos = u32::try_from(self.exts[dir].children.len()).expect("fewer than 2^32 nodes");
        let ext = match stat.ephemeral_owner {
            0 => NONE,
            owner => self.exts.insert(Ext {
                owner,
                ..Ext::default()
            }),
        };
        let id = self.nodes.insert(Node {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            pzxid: stat.pzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            acl: self.acls.add_use(acl),
            parent,
            pos,
            ext,
            tag: hash.tag(),
            payload: Payload::default(),
        });
        self.nodes[id].payload = self.payloads.add(id, name.as_bytes(), data);
        self.walks.made(id);
        self.exts[dir].children.push(id);
        let nodes = &self.nodes;
        self.index.insert(hash, id, |id| nodes[id].tag);
        self.count += 1;
        self.data_size += (utf16_len(path) + data.map_or(0, <[u8]>::len)) as i64;
        match self.class(stat.ephemeral_owner) {
            OwnerClass::Void | OwnerClass::Illegal => {}
            OwnerClass::Container => drop(self.containers.insert(id)),
            OwnerClass::Ttl(_) => drop(self.ttls.insert(id)),
            OwnerClass::Ephemeral(session) => {
                self.ephemerals.entry(session).or_default().insert(id);
                self.ephemeral_count += 1;
            }
        }
        self.add_digest(id);
        id
    }

    /// Removes a node without children. Its ACL stays readable until the next transaction.
    pub(crate) fn detach(&mut self, id: NodeId, path: &str, hash: PathHash) {
        assert!(
            id != ROOT && self.children_of(id).is_empty(),
            "only leaves go"
        );
        self.before_change(id);
        match self.class_of(id) {
            OwnerClass::Void | OwnerClass::Illegal => {}
            OwnerClass::Container => drop(self.containers.remove(&id)),
            OwnerClass::Ttl(_) => drop(self.ttls.remove(&id)),
            OwnerClass::Ephemeral(session) => {
                if let Some(ids) = self.ephemerals.get_mut(&session) {
                    ids.remove(&id);
                }
                self.ephemeral_count -= 1;
            }
        }
        self.index.remove(hash, id);
        let data_len = self.data_len_of(id);
        let node = self.nodes.remove(id);
        let moved = self.payloads.remove(node.payload);
        self.note_moved(moved);
        if node.ext != NONE {
            self.exts.remove(node.ext);
        }
        self.acls.release(node.acl);
        self.count -= 1;
        self.data_size -= (utf16_len(path) + data_len) as i64;
        self.forget_child(node.parent, node.pos);
    }

    /// The extension of a node that is about to get a child.
    fn ext_for_children(&mut self, id: NodeId) -> u32 {
        let mut ext = self.nodes[id].ext;
        if ext == NONE {
            ext = self.exts.insert(Ext::default());
            self.nodes[id].ext = ext;
        }
        if self.exts[ext].path.is_empty() && id != ROOT {
            self.exts[ext].path = self.path_of(id).into();
        }
        ext
    }

    fn forget_child(&mut self, parent: NodeId, pos: u32) {
        let ext = self.nodes[parent].ext;
        let children = &mut self.exts[ext].children;
        children.swap_remove(pos as usize);
        if let Some(&moved) = children.get(pos as usize) {
            self.nodes[moved].pos = pos;
        } else if children.is_empty() {
            if self.exts[ext].owner == 0 {
                self.exts.remove(ext);
                self.nodes[parent].ext = NONE;
            } else {
                self.exts[ext].path = Box::default();
                self.exts[ext].children = Vec::new();
            }
        } else if children.capacity() > 64 && children.len() < children.capacity() / 4 {
            let half = children.capacity() / 2;
            children.shrink_to(half);
        }
    }
}

/// Where a new node goes.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) parent: NodeId,
    pub(crate) path: &'p str,
    /// The last part of the path.
    pub(crate) name: &'p str,
    pub(crate) hash: PathHash,
}

/// A node for reading.
#[derive(Debug, Clone, Copy)]
pub struct NodeRef<'t> {
    tree: &'t Tree,
    node: &'t Node,
    id: NodeId,
}

impl<'t> NodeRef<'t> {
    /// The data, null or not.
    pub fn data(&self) -> Option<&'t [u8]> {
        self.tree.data_of(self.id)
    }

    /// The stat as clients see it.
    pub fn stat(&self) -> Stat {
        let children = self.child_count() as i32;
        Stat {
            czxid: self.node.czxid,
            mzxid: self.node.mzxid,
            ctime: self.node.ctime,
            mtime: self.node.mtime,
            version: self.node.version,
            cversion: client_cversion(self.node.cversion, children),
            aversion: self.node.aversion,
            ephemeral_owner: self.owner_class().session(),
            data_length: self.tree.data_len_of(self.id) as i32,
            num_children: children,
            pzxid: self.node.pzxid,
        }
    }

    /// Appends the 68 bytes of [`NodeRef::stat`].
    pub fn write_stat(&self, out: &mut Vec<u8>) {
        let children = self.child_count() as i32;
        let mut bytes = [0; 68];
        let mut longs = |at: usize, long: i64| {
            bytes[at..at + 8].copy_from_slice(&long.to_be_bytes());
        };
        longs(0, self.node.czxid);
        longs(8, self.node.mzxid);
        longs(16, self.node.ctime);
        longs(24, self.node.mtime);
        longs(44, self.owner_class().session());
        longs(60, self.node.pzxid);
        let mut ints = |at: usize, int: i32| {
            bytes[at..at + 4].copy_from_slice(&int.to_be_bytes());
        };
        ints(32, self.node.version);
        ints(36, client_cversion(self.node.cversion, children));
        ints(40, self.node.aversion);
        ints(52, self.tree.data_len_of(self.id) as i32);
        ints(56, children);
        out.extend_from_slice(&bytes);
    }

    /// The stat as files keep it.
    pub fn persisted(&self) -> StatPersisted {
        self.tree.persisted(self.id)
    }

    /// Which list guards the node; see [`Tree::acl`].
    pub fn acl(&self) -> AclId {
        self.node.acl
    }

    /// Number of children.
    pub fn child_count(&self) -> usize {
        self.tree.children_of(self.id).len()
    }

    /// Names of the children, in no particular order.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &'t str> + use<'t> {
        let tree = self.tree;
        let ids = tree.children_of(self.id).iter();
        ids.map(move |&id| text(tree.name_of(id)))
    }

    /// The same as UTF-8 bytes, for writing without a check of each.
    pub fn children_bytes(&self) -> impl ExactSizeIterator<Item = &'t [u8]> + use<'t> {
        let tree = self.tree;
        let ids = tree.children_of(self.id).iter();
        ids.map(move |&id| tree.name_of(id))
    }

    /// How long the node lives.
    pub fn owner_class(&self) -> OwnerClass {
        self.tree.class_of(self.id)
    }

    /// Full path.
    pub fn path(&self) -> String {
        self.tree.path_of(self.id)
    }

    /// Time of the last change of data, ms since 1970.
    pub fn mtime(&self) -> i64 {
        self.node.mtime
    }

    /// zxid of the last change of data.
    pub fn mzxid(&self) -> i64 {
        self.node.mzxid
    }

    /// zxid of the last create or delete of a child.
    pub fn pzxid(&self) -> i64 {
        self.node.pzxid
    }

    /// What the node adds to the digest of the tree, also when digests are off.
    pub fn digest(&self) -> u64 {
        self.tree.digest_of(self.id)
    }
}

/// Creates plus deletes of children, from creates and what is left (`DataNode.copyStat` in Java);
/// negative at first for nodes whose children the server made.
fn client_cversion(creates: i32, children: i32) -> i32 {
    creates.wrapping_mul(2).wrapping_sub(children)
}

/// The path of the directory ("" for the root) and the name.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let slash = last_slash(path)?;
    Some((&path[..slash], &path[slash + 1..]))
}

/// Names come from valid text.
pub(crate) fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).expect("a name is a part of a path, which is text")
}

/// Java counts the length of text in UTF-16 units.
fn utf16_len(text: &str) -> usize {
    let starts = text.bytes().filter(|b| b & 0xC0 != 0x80).count();
    starts + text.bytes().filter(|&b| b >= 0xF0).count()
}
