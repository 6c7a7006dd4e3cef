//! Access control lists, each distinct one kept once.

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use zooid_proto::records::Acl;

/// Stands for a list of the tree that gave it. Readable until the list's last node is gone and
/// another transaction is applied; then it may come to stand for another list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclId(u32);

impl AclId {
    /// No list: everything is allowed. What the server's own nodes have.
    pub const OPEN: AclId = AclId(0);

    /// A snapshot named a list that it does not hold. Nothing is allowed until a transaction
    /// repairs it, as one must before the end of replay (a fuzzy snapshot of Java's may be like
    /// that, a damaged one stays like that).
    pub const UNRESOLVED: AclId = AclId(1);

    /// The number in snapshots: -1 is open.
    pub fn file_id(self) -> i64 {
        if self == AclId::OPEN {
            -1
        } else {
            i64::from(self.0)
        }
    }
}

#[derive(Debug)]
struct Entry {
    /// `None` in a slot that waits for reuse.
    list: Option<Arc<[Acl<'static>]>>,
    uses: u32,
}

/// Lists by id and by value.
#[derive(Debug)]
pub(crate) struct AclTable {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_value: HashTable<u32>,
    /// Without uses since the last [`AclTable::reclaim`].
    unused: Vec<AclId>,
    state: FixedState,
}

impl AclTable {
    pub(crate) fn new(seed: u64) -> AclTable {
        let deny: Arc<[Acl<'static>]> = Arc::new([Acl::new(0, "world", "anyone")]);
        AclTable {
            entries: vec![
                Entry {
                    list: Some(Arc::new([])),
                    uses: 0,
                },
                Entry {
                    list: Some(deny),
                    uses: 0,
                },
            ],
            free: Vec::new(),
            by_value: HashTable::new(),
            unused: Vec::new(),
            state: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn get(&self, id: AclId) -> &Arc<[Acl<'static>]> {
        self.entries[id.0 as usize]
            .list
            .as_ref()
            .expect("an ACL id is not used beyond its list")
    }

    /// Uses of a list.
    pub(crate) fn uses(&self, id: AclId) -> usize {
        self.entries[id.0 as usize].uses as usize
    }

    /// Distinct lists in use, the open one not counted.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - 2 - self.free.len()
    }

    /// Lists in use with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (AclId, &Arc<[Acl<'static>]>)> {
        let lists = self.entries.iter().enumerate().skip(2);
        lists.filter_map(|(id, entry)| match &entry.list {
            Some(list) if entry.uses > 0 => Some((AclId(id as u32), list)),
            _ => None,
        })
    }

    /// One more use of the list; null is open.
    pub(crate) fn intern(&mut self, list: Option<&[Acl<'_>]>) -> AclId {
        let Some(list) = list else {
            return self.add_use(AclId::OPEN);
        };
        let hash = hash_list(&self.state, list);
        let entries = &self.entries;
        let known = self.by_value.find(hash, |&id| {
            let known = entries[id as usize].list.as_deref();
            known.is_some_and(|known| same(known, list))
        });
        if let Some(&id) = known {
            return self.add_use(AclId(id));
        }
        let list: Vec<Acl<'static>> = list.iter().cloned().map(owned).collect();
        let entry = Entry {
            list: Some(list.into()),
            uses: 1,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let (entries, state) = (&self.entries, &self.state);
        self.by_value.insert_unique(hash, id, |&id| {
            let list = entries[id as usize].list.as_deref();
            hash_list(state, list.expect("only lists in place are indexed"))
        });
        AclId(id)
    }

    pub(crate) fn add_use(&mut self, id: AclId) -> AclId {
        self.entries[id.0 as usize].uses += 1;
        id
    }

    /// One use less. The list stays readable until the next [`AclTable::reclaim`].
    pub(crate) fn release(&mut self, id: AclId) {
        let entry = &mut self.entries[id.0 as usize];
        assert!(entry.uses > 0, "an ACL is released as often as it is used");
        entry.uses -= 1;
        if entry.uses == 0 && id > AclId::UNRESOLVED {
            self.unused.push(id);
        }
    }

    /// Drops the lists that lost their last use.
    pub(crate) fn reclaim(&mut self) {
        while let Some(AclId(id)) = self.unused.pop() {
            let entry = &mut self.entries[id as usize];
            if entry.uses > 0 {
                continue;
            }
            // Twice in the queue when it was used again in between.
            let Some(list) = entry.list.take() else {
                continue;
            };
            let hash = hash_list(&self.state, &list);
            if let Ok(found) = self.by_value.find_entry(hash, |&other| other == id) {
                found.remove();
            }
            self.free.push(id);
        }
    }
}

fn hash_list(state: &FixedState, list: &[Acl<'_>]) -> u64 {
    let mut hasher = state.build_hasher();
    for acl in list {
        hasher.write_i32(acl.perms);
        hasher.write(acl.id.scheme().as_bytes());
        hasher.write_u8(0xFF);
        hasher.write(acl.id.name().as_bytes());
        hasher.write_u8(0xFF);
    }
    hasher.finish()
}

fn same(known: &[Acl<'static>], list: &[Acl<'_>]) -> bool {
    fn shorter<'s, 'a>(list: &'s [Acl<'static>]) -> &'s [Acl<'a>] {
        list
    }
    shorter(known) == list
}

fn owned(acl: Acl<'_>) -> Acl<'static> {
    zooid_proto::Jute::into_owned(acl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_share_an_id_until_the_last_use_is_gone() {
        let mut table = AclTable::new(0);
        let all = [Acl::new(31, "world", "anyone")];
        let read = [Acl::new(1, "world", "anyone")];
        let a = table.intern(Some(&all));
        let b = table.intern(Some(&read));
        assert_eq!(
            (table.intern(Some(&all)), a == b, table.len()),
            (a, false, 2)
        );
        assert_eq!(table.intern(None), AclId::OPEN);
        table.release(a);
        table.release(a);
        assert_eq!(
            &table.get(a)[..],
            &all,
            "readable until the next transaction"
        );
        table.reclaim();
        assert_eq!(table.len(), 1);
        let c = table.intern(Some(&[Acl::new(31, "ip", "::1")]));
        assert_eq!((c, a.file_id(), AclId::OPEN.file_id()), (a, 2, -1));
        assert_ne!(table.intern(Some(&all)), a);
    }

    #[test]
    fn a_list_used_again_before_it_is_dropped_survives() {
        let mut table = AclTable::new(0);
        let all = [Acl::new(31, "world", "anyone")];
        let a = table.intern(Some(&all));
        table.release(a);
        assert_eq!(table.intern(Some(&all)), a);
        table.release(a);
        table.reclaim();
        let b = table.intern(Some(&all));
        table.reclaim();
        assert_eq!(&table.get(b)[..], &all);
        assert_eq!((table.uses(b), table.len()), (1, 1));
    }
}
