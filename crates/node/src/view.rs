//! The tree as it will be when all transactions under way are applied (`outstandingChanges` in
//! Java). Writes are checked against it.

use hashbrown::hash_map::EntryRef;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::sync::Arc;
use zooid_proto::records::{Acl, StatPersisted};
use zooid_tree::{AclId, Tree, node_digest};

/// What a node will be.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its stored state; `None` when it will be gone.
    pub stat: Option<StatPersisted>,
    /// Number of children.
    pub children: i32,
    pub acl: AclRef,
    pub data: DataRef,
    /// What it adds to the digest of the tree.
    pub digest: u64,
}

/// Where an ACL is. One that is still in the tree is not copied: it stays the node's as long as a
/// record says so, because a pending setACL makes a record with a list of its own.
#[derive(Debug, Clone)]
pub(crate) enum AclRef {
    Tree(AclId),
    Own(Arc<[Acl<'static>]>),
}

/// Where data are; the same holds as for [`AclRef`].
#[derive(Debug, Clone)]
pub(crate) enum DataRef {
    Tree,
    Own(Option<Arc<[u8]>>),
}

/// The changes under way.
#[derive(Debug, Default)]
pub(crate) struct View {
    by_path: HashMap<Arc<str>, VecDeque<(i64, Record)>, foldhash::fast::FixedState>,
    order: VecDeque<(i64, Arc<str>)>,
    /// Those of the changes that leave a node with an owner, by owner: many sessions may end at
    /// once, and none of them may look through the changes of all.
    owned: HashMap<i64, VecDeque<Arc<str>>, foldhash::fast::FixedState>,
    /// Digest of the tree behind the last change under way.
    digest: u64,
}

impl View {
    /// The node at `path`, if it will be there. `""` is the root.
    pub(crate) fn get(&self, tree: &Tree, path: &str) -> Option<Record> {
        let path = if path.is_empty() { "/" } else { path };
        if let Some((_, record)) = self.by_path.get(path).and_then(VecDeque::back) {
            return record.stat.is_some().then(|| record.clone());
        }
        let node = tree.get(path)?;
        Some(Record {
            stat: Some(node.persisted()),
            children: i32::try_from(node.child_count()).unwrap_or(i32::MAX),
            acl: AclRef::Tree(node.acl()),
            data: DataRef::Tree,
            digest: node.digest(),
        })
    }

    /// Bytes of data of a record.
    pub(crate) fn data_len(&self, tree: &Tree, path: &str, record: &Record) -> usize {
        match &record.data {
            DataRef::Own(data) => data.as_deref().map_or(0, <[u8]>::len),
            DataRef::Tree => tree
                .get(path)
                .and_then(|node| node.data())
                .map_or(0, <[u8]>::len),
        }
    }

    /// The ACL of a record.
    pub(crate) fn acl<'v>(tree: &'v Tree, record: &'v Record) -> &'v [Acl<'static>] {
        match &record.acl {
            AclRef::Tree(id) => tree.acl(*id),
            AclRef::Own(list) => list,
        }
    }

    /// Begins a transaction: the digest is the tree's own while nothing is under way.
    pub(crate) fn begin(&mut self, tree: &Tree) {
        if self.order.is_empty() {
            self.digest = tree.digest() as u64;
        }
    }

    /// Digest of the tree behind all changes under way.
    pub(crate) fn digest(&self) -> i64 {
        self.digest as i64
    }

    /// Adds a change of the transaction `zxid`. `before` is the digest of the node until now.
    pub(crate) fn push(
        &mut self,
        tree: &Tree,
        zxid: i64,
        path: &str,
        before: u64,
        mut record: Record,
    ) {
        let path = if path.is_empty() { "/" } else { path };
        record.digest = match (&record.stat, &record.data) {
            (None, _) => 0,
            (Some(stat), DataRef::Own(data)) => node_digest(path, data.as_deref(), stat),
            (Some(stat), DataRef::Tree) => {
                let data = tree.get(path).and_then(|node| node.data());
                node_digest(path, data, stat)
            }
        };
        self.digest = self.digest.wrapping_sub(before).wrapping_add(record.digest);
        let mut records = match self.by_path.entry_ref(path) {
            EntryRef::Occupied(records) => records,
            EntryRef::Vacant(place) => place.insert_entry(VecDeque::new()),
        };
        let key = records.key().clone();
        if let Some(owner) = record.owner() {
            self.owned.entry(owner).or_default().push_back(key.clone());
        }
        records.get_mut().push_back((zxid, record));
        self.order.push_back((zxid, key));
    }

    /// Takes back all changes of the transaction `zxid`, which must be the last one.
    pub(crate) fn roll_back(&mut self, zxid: i64, digest: i64) {
        while self.order.back().is_some_and(|(last, _)| *last == zxid) {
            let (_, path) = self.order.pop_back().expect("looked at just now");
            self.drop_record(&path, VecDeque::pop_back, VecDeque::pop_back);
        }
        self.digest = digest as u64;
    }

    /// Forgets the changes of transactions up to `zxid`: they are in the tree.
    pub(crate) fn applied(&mut self, zxid: i64) {
        while self.order.front().is_some_and(|(first, _)| *first <= zxid) {
            let (_, path) = self.order.pop_front().expect("looked at just now");
            self.drop_record(&path, VecDeque::pop_front, VecDeque::pop_front);
        }
    }

    fn drop_record(
        &mut self,
        path: &str,
        pop: impl FnOnce(&mut VecDeque<(i64, Record)>) -> Option<(i64, Record)>,
        pop_owned: impl FnOnce(&mut VecDeque<Arc<str>>) -> Option<Arc<str>>,
    ) {
        let EntryRef::Occupied(mut records) = self.by_path.entry_ref(path) else {
            unreachable!("every change has a record");
        };
        let dropped = pop(records.get_mut());
        if records.get().is_empty() {
            records.remove();
        }
        if let Some(owner) = dropped.and_then(|(_, record)| record.owner()) {
            let paths = self
                .owned
                .get_mut(&owner)
                .expect("every owned record is listed");
            pop_owned(paths);
            if paths.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }

    /// The ephemeral nodes that a session will own: those of the tree, less what is being
    /// deleted, and what is being created.
    pub(crate) fn ephemerals(&self, tree: &Tree, session: i64) -> Vec<String> {
        let last = |path: &str| Some(&self.by_path.get(path)?.back()?.1);
        let mut paths: Vec<String> = tree
            .ephemerals(session)
            .filter(|path| last(path).is_none_or(|record| record.owner() == Some(session)))
            .collect();
        let Some(owned) = self.owned.get(&session) else {
            return paths;
        };
        let mut known: HashSet<String, foldhash::fast::FixedState> =
            paths.iter().cloned().collect();
        for path in owned {
            // Somebody may have deleted it, or made it anew, since.
            let owns = last(path).is_some_and(|record| record.owner() == Some(session));
            if owns && known.insert(path.to_string()) {
                paths.push(path.to_string());
            }
        }
        paths
    }
}

impl Record {
    /// The mark of an owner, if the node will be there and has one.
    fn owner(&self) -> Option<i64> {
        let stat = self.stat.as_ref()?;
        (stat.ephemeral_owner != 0).then_some(stat.ephemeral_owner)
    }
}
