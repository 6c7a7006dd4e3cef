//! The watches of a session, as far as the client must know them: whom to tell of an event, and
//! what to register again after a reconnect (`ZKWatchManager` in Java).

use std::borrow::Cow;
use std::collections::BTreeMap;

use zooid_proto::client::{SetWatches, SetWatches2};
use zooid_proto::ops::Request;
use zooid_proto::path;

use crate::types::{EventKind, WatchKind};

/// Bytes of paths in one setWatches request, as in Java: far enough below the limit of a frame.
const SET_WATCHES_BYTES: usize = 128 * 1024;

/// Who wants to hear of an event; the numbers are the caller's.
pub type WatcherId = u64;

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Change or deletion of a node that exists.
    Data,
    /// Creation of a node that does not exist.
    Exist,
    /// Change of the list of children.
    Child,
    /// All of these, until removed.
    Persistent,
    /// All of these for a subtree, until removed.
    Recursive,
}

const TABLES: [Table; 5] = [
    Table::Data,
    Table::Exist,
    Table::Child,
    Table::Persistent,
    Table::Recursive,
];

/// All watches of a session, by table and path.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    tables: [BTreeMap<String, Vec<WatcherId>>; 5],
    /// Where each watcher stands.
    places: BTreeMap<WatcherId, (usize, String)>,
}

impl Watches {
    pub(crate) fn add(&mut self, table: Table, path: String, id: WatcherId) {
        let table = table as usize;
        self.places.insert(id, (table, path.clone()));
        self.tables[table].entry(path).or_default().push(id);
    }

    pub(crate) fn contains(&self, id: WatcherId) -> bool {
        self.places.contains_key(&id)
    }

    pub(crate) fn forget(&mut self, id: WatcherId) {
        let Some((table, path)) = self.places.remove(&id) else {
            return;
        };
        if let Some(ids) = self.tables[table].get_mut(&path) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.tables[table].remove(&path);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Watches::default();
    }

    /// Whom an event of the server concerns; one-shot watches are used up.
    pub(crate) fn fire(&mut self, kind: EventKind, path: &str) -> Vec<WatcherId> {
        let mut told = Vec::new();
        match kind {
            EventKind::NodeCreated | EventKind::NodeDataChanged => {
                self.take(Table::Data, path, &mut told);
                self.take(Table::Exist, path, &mut told);
            }
            EventKind::NodeDeleted => {
                self.take(Table::Data, path, &mut told);
                self.take(Table::Exist, path, &mut told);
                self.take(Table::Child, path, &mut told);
            }
            EventKind::NodeChildrenChanged => self.take(Table::Child, path, &mut told),
            _ => return told,
        }
        self.look(Table::Persistent, path, &mut told);
        // Recursive watches hear of each child itself, so not of the list of children.
        if kind != EventKind::NodeChildrenChanged && !self.table(Table::Recursive).is_empty() {
            let mut ancestor = Some(path);
            while let Some(path) = ancestor {
                self.look(Table::Recursive, path, &mut told);
                ancestor = path::parent(path);
            }
        }
        told
    }

    /// Takes away all watches of a kind on a path; gives what their watchers are to be told.
    pub(crate) fn remove(
        &mut self,
        kind: WatchKind,
        path: &str,
    ) -> Vec<(EventKind, Vec<WatcherId>)> {
        let groups: &[(EventKind, &[Table])] = &[
            (EventKind::ChildWatchRemoved, &[Table::Child]),
            (EventKind::DataWatchRemoved, &[Table::Data, Table::Exist]),
            (
                EventKind::PersistentWatchRemoved,
                match kind {
                    WatchKind::Persistent => &[Table::Persistent],
                    WatchKind::PersistentRecursive => &[Table::Recursive],
                    _ => &[Table::Persistent, Table::Recursive],
                },
            ),
        ];
        let wanted = match kind {
            WatchKind::Children => &groups[..1],
            WatchKind::Data => &groups[1..2],
            WatchKind::Persistent | WatchKind::PersistentRecursive => &groups[2..],
            WatchKind::Any => groups,
        };
        let mut removed = Vec::new();
        for (event, tables) in wanted {
            let mut ids = Vec::new();
            for table in *tables {
                self.take(*table, path, &mut ids);
            }
            if !ids.is_empty() {
                removed.push((*event, ids));
            }
        }
        removed
    }

    /// The requests that register everything again, in chunks. The older operation is used where
    /// it suffices, because servers before 3.6 know no other.
    pub(crate) fn register_again(&self, last_zxid: i64) -> Vec<Request<'_>> {
        let mut requests = Vec::new();
        let mut chunk: [Vec<_>; 5] = Default::default();
        let mut bytes = 0;
        for table in TABLES {
            for path in self.table(table).keys() {
                if bytes > 0 && bytes + path.len() > SET_WATCHES_BYTES {
                    requests.push(set_watches(std::mem::take(&mut chunk), last_zxid));
                    bytes = 0;
                }
                bytes += path.len() + 4;
                chunk[table as usize].push(Some(Cow::Borrowed(path.as_str())));
            }
        }
        if bytes > 0 {
            requests.push(set_watches(chunk, last_zxid));
        }
        requests
    }

    fn table(&self, table: Table) -> &BTreeMap<String, Vec<WatcherId>> {
        &self.tables[table as usize]
    }

    fn take(&mut self, table: Table, path: &str, to: &mut Vec<WatcherId>) {
        for id in self.tables[table as usize].remove(path).unwrap_or_default() {
            self.places.remove(&id);
            to.push(id);
        }
    }

    fn look(&self, table: Table, path: &str, to: &mut Vec<WatcherId>) {
        to.extend(self.table(table).get(path).into_iter().flatten());
    }
}

fn set_watches<'a>(chunk: [Vec<Option<Cow<'a, str>>>; 5], relative_zxid: i64) -> Request<'a> {
    let [data, exist, child, persistent, recursive] = chunk;
    let (data, exist, child) = (Some(data), Some(exist), Some(child));
    if persistent.is_empty() && recursive.is_empty() {
        Request::SetWatches(SetWatches {
            relative_zxid,
            data,
            exist,
            child,
        })
    } else {
        Request::SetWatches2(SetWatches2 {
            relative_zxid,
            data,
            exist,
            child,
            persistent: Some(persistent),
            recursive: Some(recursive),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_find_their_watchers() {
        let mut watches = Watches::default();
        watches.add(Table::Data, "/a".into(), 1);
        watches.add(Table::Child, "/a".into(), 2);
        watches.add(Table::Exist, "/b".into(), 3);
        watches.add(Table::Persistent, "/a".into(), 4);
        watches.add(Table::Recursive, "/".into(), 5);
        watches.add(Table::Recursive, "/a/b".into(), 6);

        assert_eq!(watches.fire(EventKind::NodeDataChanged, "/a"), [1, 4, 5]);
        assert_eq!(watches.fire(EventKind::NodeDataChanged, "/a"), [4, 5]);
        assert_eq!(watches.fire(EventKind::NodeChildrenChanged, "/a"), [2, 4]);
        assert_eq!(watches.fire(EventKind::NodeCreated, "/b"), [3, 5]);
        assert_eq!(watches.fire(EventKind::NodeCreated, "/a/b/c"), [6, 5]);
        assert_eq!(watches.fire(EventKind::NodeDeleted, "/ab"), [5]);
        watches.forget(5);
        assert!(watches.fire(EventKind::NodeDeleted, "/ab").is_empty());
        assert!(!watches.contains(1) && watches.contains(4));
    }

    #[test]
    fn removal_takes_what_was_asked_for() {
        let mut watches = Watches::default();
        watches.add(Table::Data, "/a".into(), 1);
        watches.add(Table::Exist, "/a".into(), 2);
        watches.add(Table::Child, "/a".into(), 3);
        watches.add(Table::Persistent, "/a".into(), 4);
        watches.add(Table::Recursive, "/a".into(), 5);
        assert_eq!(
            watches.remove(WatchKind::Data, "/a"),
            [(EventKind::DataWatchRemoved, vec![1, 2])]
        );
        assert_eq!(
            watches.remove(WatchKind::PersistentRecursive, "/a"),
            [(EventKind::PersistentWatchRemoved, vec![5])]
        );
        assert_eq!(
            watches.remove(WatchKind::Any, "/a"),
            [
                (EventKind::ChildWatchRemoved, vec![3]),
                (EventKind::PersistentWatchRemoved, vec![4])
            ]
        );
        assert!(watches.register_again(0).is_empty());
    }

    #[test]
    fn many_watches_are_registered_again_in_chunks() {
        let mut watches = Watches::default();
        for n in 0..3000 {
            watches.add(Table::Data, format!("/{}{n:04}", "x".repeat(100)), n);
        }
        watches.add(Table::Recursive, "/r".into(), 9999);
        let requests = watches.register_again(7);
        assert!(requests.len() > 2);
        let mut paths = 0;
        for request in &requests[..requests.len() - 1] {
            let Request::SetWatches(body) = request else {
                panic!("{request:?}")
            };
            assert_eq!(body.relative_zxid, 7);
            paths += body.data.as_ref().unwrap().len();
        }
        let Some(Request::SetWatches2(last)) = requests.last() else {
            panic!("the recursive watch is missing")
        };
        assert_eq!(paths + last.data.as_ref().unwrap().len(), 3000);
        assert_eq!(last.recursive.as_ref().unwrap().len(), 1);
    }
}
