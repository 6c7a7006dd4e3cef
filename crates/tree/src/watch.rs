//! Who is told about a change (`WatchManager` in Java, both of its tables in one).
//!
//! A watch is a connection at a path, with up to four flags: once for data, once for children,
//! persistent, recursive. Java keeps two tables, of data watches and child watches; a persistent
//! watch is always in both, a recursive one in the table of data watches only, so flags suffice.

use crate::acl::AclId;
use crate::apply::{Change, ChangeKind};
use crate::arena::Slab;
use crate::index::PathIndex;
use crate::tree::split;
use foldhash::quality::FixedState;
use hashbrown::HashMap;
use std::sync::Arc;
use zooid_proto::client::event;

/// A connection, as the server numbers them.
pub type ConnId = u64;

/// How long and how far a watch sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One change of a node: exists and getData.
    StdData,
    /// One change of the children of a node: getChildren.
    StdChild,
    /// All changes of a node and its children: addWatch 0.
    Persistent,
    /// All changes of a node and everything below it: addWatch 1.
    Recursive,
}

/// What checkWatches and removeWatches speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum WatchType {
    /// One-time watches of children.
    Children = 1,
    /// One-time watches of data.
    Data = 2,
    /// All.
    Any = 3,
    /// Persistent watches.
    Persistent = 4,
    /// Persistent recursive watches.
    PersistentRecursive = 5,
}

impl WatchType {
    /// The type that a number stands for on the wire.
    pub fn from_i32(value: i32) -> Option<WatchType> {
        Some(match value {
            1 => WatchType::Children,
            2 => WatchType::Data,
            3 => WatchType::Any,
            4 => WatchType::Persistent,
            5 => WatchType::PersistentRecursive,
            _ => return None,
        })
    }

    fn flags(self) -> u32 {
        match self {
            WatchType::Children => CHILD_ONCE,
            WatchType::Data => DATA_ONCE,
            WatchType::Any => ALL,
            WatchType::Persistent => PERSISTENT,
            WatchType::PersistentRecursive => RECURSIVE,
        }
    }
}

/// An event for one connection, still to be filtered by its right to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Whom to tell.
    pub conn: ConnId,
    /// One of [`event`].
    pub event_type: i32,
    /// Which node it happened to.
    pub path: Arc<str>,
    /// The list that must allow the connection to read. Readable until the next transaction is
    /// applied.
    pub acl: AclId,
}

/// Numbers for `wchs`. Like Java's it leaves out watches of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchSummary {
    /// Connections with data watches.
    pub connections: usize,
    /// Paths with data watches.
    pub paths: usize,
    /// Data watches.
    pub watches: usize,
}

const DATA_ONCE: u32 = 1;
const CHILD_ONCE: u32 = 2;
const PERSISTENT: u32 = 4;
const RECURSIVE: u32 = 8;
const ALL: u32 = 15;

/// Java's tables in terms of flags.
const DATA_TABLE: u32 = DATA_ONCE | PERSISTENT | RECURSIVE;
const CHILD_TABLE: u32 = CHILD_ONCE | PERSISTENT;

/// All watches of a server.
#[derive(Debug)]
pub struct Watches {
    slots: HashMap<ConnId, u32, FixedState>,
    conns: Slab<Conn>,
    index: PathIndex,
    paths: Slab<Watched>,
    /// Watches of paths with more than one.
    crowds: Slab<Vec<Watch>>,
    recursive: usize,
    data: WatchSummary,
    child_watches: usize,
    /// Counts triggers, so that a connection is told once of each.
    trigger: u64,
}

#[derive(Debug, Default)]
struct Conn {
    id: ConnId,
    /// Last trigger that told it.
    told: u64,
    /// Paths that it watches, in no order; watches know their place in it.
    paths: Vec<u32>,
    data_watches: u32,
}

#[derive(Debug, Default)]
struct Watched {
    path: Box<str>,
    data_watches: u32,
    by: By,
}

#[derive(Debug)]
enum By {
    One(Watch),
    /// Index of a crowd, sorted by connection.
    Many(u32),
}

impl Default for By {
    fn default() -> Self {
        By::One(Watch::new(0, 0))
    }
}

const _: () = assert!(size_of::<Watched>() <= 32);

#[derive(Debug, Clone, Copy)]
struct Watch {
    /// Slot of the connection.
    conn: u32,
    /// Four flags, and above them the place in the connection's list of paths.
    word: u32,
}

impl Watch {
    fn new(conn: u32, place: usize) -> Watch {
        assert!(place < 1 << 28, "a connection has fewer than 2^28 watches");
        let word = (place as u32) << 4;
        Watch { conn, word }
    }

    fn flags(self) -> u32 {
        self.word & ALL
    }

    fn place(self) -> usize {
        (self.word >> 4) as usize
    }

    fn set_flags(&mut self, flags: u32) {
        self.word = self.word & !ALL | flags;
    }
}

/// Which node of a change an event is about.
#[derive(Clone, Copy)]
enum About {
    Node,
    Parent,
}

impl Default for Watches {
    fn default() -> Self {
        Watches::new()
    }
}

impl Watches {
    /// Without a watch.
    pub fn new() -> Watches {
        Watches::with_seed(0)
    }

    /// The same, with a seed for hash tables that shows in no result but the order of listings.
    pub fn with_seed(seed: u64) -> Watches {
        Watches {
            slots: HashMap::with_hasher(FixedState::with_seed(seed)),
            conns: Slab::default(),
            index: PathIndex::new(seed),
            paths: Slab::default(),
            crowds: Slab::default(),
            recursive: 0,
            data: WatchSummary::default(),
            child_watches: 0,
            trigger: 0,
        }
    }

    /// Registers a watch; once more changes nothing. The path is compared as text: "" is not `/`.
    pub fn add(&mut self, conn: ConnId, path: &str, mode: Mode) {
        let flag = match mode {
            Mode::StdData => DATA_ONCE,
            Mode::StdChild => CHILD_ONCE,
            Mode::Persistent => PERSISTENT,
            Mode::Recursive => RECURSIVE,
        };
        let slot = self.slot(conn);
        let place = self.conns[slot].paths.len();
        let mut new = Watch::new(slot, place);
        new.set_flags(flag);
        let (id, before) = match self.find(path) {
            None => (self.insert_path(path, new), 0),
            Some(id) => (id, self.join(id, new)),
        };
        if before == 0 {
            self.conns[slot].paths.push(id);
        }
        self.count(slot, id, before, before | flag);
    }

    /// Removes the watches of a type; false when there were none.
    pub fn remove(&mut self, conn: ConnId, path: &str, what: WatchType) -> bool {
        let Some((slot, id)) = self.locate(conn, path) else {
            return false;
        };
        let before = self.flags(id, slot);
        let after = before & !what.flags();
        if before == after {
            return false;
        }
        self.count(slot, id, before, after);
        if after == 0 {
            self.leave(id, slot);
        } else if let Some(watch) = self.watch_mut(id, slot) {
            watch.set_flags(after);
        }
        true
    }

    /// Whether there are watches of a type.
    pub fn contains(&self, conn: ConnId, path: &str, what: WatchType) -> bool {
        let found = self.locate(conn, path);
        found.is_some_and(|(slot, id)| self.flags(id, slot) & what.flags() != 0)
    }

    /// Removes all that a connection watches.
    pub fn remove_conn(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.remove(&conn) else {
            return;
        };
        while let Some(&id) = self.conns[slot].paths.last() {
            self.count(slot, id, self.flags(id, slot), 0);
            self.leave(id, slot);
        }
        self.conns.remove(slot);
    }

    /// Appends whom to tell of a change. One-time watches that saw it are gone, also those whose
    /// event will be filtered.
    pub fn trigger(&mut self, change: &Change, fired: &mut Vec<Fired>) {
        let mut parent: Option<Arc<str>> = None;
        self.run(change, |conn, event_type, about, acl| {
            let path = match about {
                About::Node => &change.path,
                About::Parent => parent.get_or_insert_with(|| parent_path(&change.path).into()),
            };
            let path = Arc::clone(path);
            fired.push(Fired {
                conn,
                event_type,
                path,
                acl,
            });
        });
    }

    /// Watches of data and of children together, a persistent watch in both.
    pub fn watch_count(&self) -> usize {
        self.data.watches + self.child_watches
    }

    /// Numbers for `wchs`.
    pub fn summary(&self) -> WatchSummary {
        self.data
    }

    /// Connections and the paths of their data watches, for `wchc`.
    pub fn by_connection(&self) -> impl Iterator<Item = (ConnId, Vec<&str>)> {
        let conns = self.slots.iter().map(|(&id, &slot)| (id, slot));
        conns
            .filter(|&(_, slot)| self.conns[slot].data_watches > 0)
            .map(move |(id, slot)| {
                let paths = self.conns[slot].paths.iter();
                let data = paths.filter(move |&&path| self.flags(path, slot) & DATA_TABLE != 0);
                (id, data.map(|&path| &*self.paths[path].path).collect())
            })
    }

    /// Paths with data watches and the connections that have them, for `wchp`.
    pub fn by_path(&self) -> impl Iterator<Item = (&str, Vec<ConnId>)> {
        let paths = (0..self.paths.end()).map(|id| &self.paths[id]);
        paths
            .filter(|watched| watched.data_watches > 0)
            .map(|watched| {
                let watches = self.watches(watched).iter();
                let data = watches.filter(|watch| watch.flags() & DATA_TABLE != 0);
                let conns = data.map(|watch| self.conns[watch.conn].id);
                (&*watched.path, conns.collect())
            })
    }

    fn run(&mut self, change: &Change, mut tell: impl FnMut(ConnId, i32, About, AclId)) {
        if self.slots.is_empty() {
            return;
        }
        let path = &*change.path;
        match change.kind {
            ChangeKind::DataChanged => {
                self.next_trigger();
                self.fire_data(path, &mut |conn| {
                    tell(conn, event::DATA_CHANGED, About::Node, change.acl);
                });
                return;
            }
            ChangeKind::Created => {
                self.next_trigger();
                self.fire_data(path, &mut |conn| {
                    tell(conn, event::CREATED, About::Node, change.acl);
                });
            }
            ChangeKind::Deleted => {
                self.next_trigger();
                let mut deleted = |conn| tell(conn, event::DELETED, About::Node, change.acl);
                self.fire_data(path, &mut deleted);
                // Still the same trigger: who was told above is not told again.
                self.fire_at(path, CHILD_TABLE, &mut deleted);
            }
        }
        self.next_trigger();
        self.fire_at(parent_path(path), CHILD_TABLE, &mut |conn| {
            tell(
                conn,
                event::CHILDREN_CHANGED,
                About::Parent,
                change.parent_acl,
            );
        });
    }

    fn next_trigger(&mut self) {
        self.trigger += 1;
    }

    fn fire_data(&mut self, path: &str, tell: &mut impl FnMut(ConnId)) {
        self.fire_at(path, DATA_TABLE, tell);
        if self.recursive == 0 {
            return;
        }
        let mut at = path;
        while at.len() > 1 {
            at = parent_path(at);
            let Some(id) = self.find(at) else { continue };
            for watch in watches_of(&self.crowds, &self.paths[id]) {
                if watch.flags() & RECURSIVE != 0 {
                    tell_once(&mut self.conns[watch.conn], self.trigger, tell);
                }
            }
        }
    }

    /// Tells everybody who watches a path in one of Java's tables, and ends their one-time
    /// watches there.
    fn fire_at(&mut self, path: &str, table: u32, tell: &mut impl FnMut(ConnId)) {
        let Some(id) = self.find(path) else { return };
        let once = table & (DATA_ONCE | CHILD_ONCE);
        let mut leaving = false;
        for i in 0..self.watches(&self.paths[id]).len() {
            let watch = self.watches(&self.paths[id])[i];
            let before = watch.flags();
            if before & table == 0 {
                continue;
            }
            tell_once(&mut self.conns[watch.conn], self.trigger, tell);
            if before & once != 0 {
                let after = before & !once;
                self.count(watch.conn, id, before, after);
                self.watches_mut(id)[i].set_flags(after);
                leaving |= after == 0;
            }
        }
        if leaving {
            self.drop_flagless(id);
        }
    }

    /// Removes the watches of a path that have no flag left, in one pass.
    fn drop_flagless(&mut self, id: u32) {
        let crowd = match self.paths[id].by {
            By::One(watch) => {
                self.forget_place(watch);
                self.remove_path(id);
                return;
            }
            By::Many(crowd) => crowd,
        };
        let mut watches = std::mem::take(&mut self.crowds[crowd]);
        watches.retain(|watch| {
            let stays = watch.flags() != 0;
            if !stays {
                self.forget_place(*watch);
            }
            stays
        });
        self.put_crowd(id, crowd, watches);
    }

    /// Removes one watch of a path.
    fn leave(&mut self, id: u32, slot: u32) {
        let watch = *self
            .watch_mut(id, slot)
            .expect("connections list what they watch");
        self.forget_place(watch);
        match self.paths[id].by {
            By::One(_) => self.remove_path(id),
            By::Many(crowd) => {
                let mut watches = std::mem::take(&mut self.crowds[crowd]);
                let at = watches.binary_search_by_key(&slot, |watch| watch.conn);
                watches.remove(at.expect("found just now"));
                self.put_crowd(id, crowd, watches);
            }
        }
    }

    /// Puts what is left of a crowd back in its smallest form.
    fn put_crowd(&mut self, id: u32, crowd: u32, mut watches: Vec<Watch>) {
        match watches[..] {
            [] => {
                self.crowds.remove(crowd);
                self.remove_path(id);
            }
            [watch] => {
                self.crowds.remove(crowd);
                self.paths[id].by = By::One(watch);
            }
            _ => {
                if watches.len() < watches.capacity() / 4 {
                    watches.shrink_to(watches.capacity() / 2);
                }
                self.crowds[crowd] = watches;
            }
        }
    }

    /// Takes a path out of a connection's list. The last path of the list moves to its place.
    fn forget_place(&mut self, watch: Watch) {
        let paths = &mut self.conns[watch.conn].paths;
        let place = watch.place();
        paths.swap_remove(place);
        if let Some(&moved) = paths.get(place) {
            let moved = self.watch_mut(moved, watch.conn);
            let moved = moved.expect("connections list what they watch");
            let flags = moved.flags();
            *moved = Watch::new(watch.conn, place);
            moved.set_flags(flags);
        } else if paths.capacity() > 64 && paths.len() < paths.capacity() / 4 {
            let half = paths.capacity() / 2;
            paths.shrink_to(half);
        }
    }

    /// Adds a watch to a path that has some; returns the flags that the connection had there.
    fn join(&mut self, id: u32, new: Watch) -> u32 {
        match self.paths[id].by {
            By::One(one) if one.conn != new.conn => {
                let mut pair = vec![one, new];
                pair.sort_unstable_by_key(|watch| watch.conn);
                self.paths[id].by = By::Many(self.crowds.insert(pair));
                return 0;
            }
            By::One(_) => {}
            By::Many(crowd) => {
                let watches = &mut self.crowds[crowd];
                if let Err(at) = watches.binary_search_by_key(&new.conn, |watch| watch.conn) {
                    watches.insert(at, new);
                    return 0;
                }
            }
        }
        let watch = self.watch_mut(id, new.conn).expect("found just now");
        let before = watch.flags();
        watch.set_flags(before | new.flags());
        before
    }

    /// Keeps the totals when the flags of a watch change.
    fn count(&mut self, slot: u32, id: u32, before: u32, after: u32) {
        let step = |mask: u32| i32::from(after & mask != 0) - i32::from(before & mask != 0);
        self.recursive = self.recursive.wrapping_add_signed(step(RECURSIVE) as isize);
        self.child_watches = self
            .child_watches
            .wrapping_add_signed(step(CHILD_TABLE) as isize);
        let data = step(DATA_TABLE);
        if data == 0 {
            return;
        }
        self.data.watches = self.data.watches.wrapping_add_signed(data as isize);
        for (watches, total) in [
            (
                &mut self.conns[slot].data_watches,
                &mut self.data.connections,
            ),
            (&mut self.paths[id].data_watches, &mut self.data.paths),
        ] {
            let had = *watches > 0;
            *watches = watches.wrapping_add_signed(data);
            let change = isize::from(*watches > 0) - isize::from(had);
            *total = total.wrapping_add_signed(change);
        }
    }

    fn slot(&mut self, conn: ConnId) -> u32 {
        let conns = &mut self.conns;
        *self.slots.entry(conn).or_insert_with(|| {
            conns.insert(Conn {
                id: conn,
                ..Conn::default()
            })
        })
    }

    fn locate(&self, conn: ConnId, path: &str) -> Option<(u32, u32)> {
        let slot = *self.slots.get(&conn)?;
        let id = self.find(path)?;
        Some((slot, id))
    }

    fn find(&self, path: &str) -> Option<u32> {
        self.index
            .find(self.index.hash(path), |id| &*self.paths[id].path == path)
    }

    fn insert_path(&mut self, path: &str, watch: Watch) -> u32 {
        let hash = self.index.hash(path);
        let id = self.paths.insert(Watched {
            path: path.into(),
            data_watches: 0,
            by: By::One(watch),
        });
        let (paths, hasher) = (&self.paths, self.index.hasher());
        self.index
            .insert(hash, id, |id| hasher.hash(&paths[id].path).tag());
        id
    }

    fn remove_path(&mut self, id: u32) {
        let watched = self.paths.remove(id);
        assert_eq!(watched.data_watches, 0, "nobody watches {}", watched.path);
        self.index.remove(self.index.hash(&watched.path), id);
    }

    fn watches<'w>(&'w self, watched: &'w Watched) -> &'w [Watch] {
        watches_of(&self.crowds, watched)
    }

    fn watches_mut(&mut self, id: u32) -> &mut [Watch] {
        match &mut self.paths[id].by {
            By::One(watch) => std::slice::from_mut(watch),
            By::Many(crowd) => &mut self.crowds[*crowd],
        }
    }

    fn watch_mut(&mut self, id: u32, slot: u32) -> Option<&mut Watch> {
        let watches = self.watches_mut(id);
        let at = watches
            .binary_search_by_key(&slot, |watch| watch.conn)
            .ok()?;
        Some(&mut watches[at])
    }

    /// The flags of a connection at a path, 0 without a watch.
    fn flags(&self, id: u32, slot: u32) -> u32 {
        let watches = self.watches(&self.paths[id]);
        let at = watches.binary_search_by_key(&slot, |watch| watch.conn);
        at.map_or(0, |at| watches[at].flags())
    }
}

fn watches_of<'w>(crowds: &'w Slab<Vec<Watch>>, watched: &'w Watched) -> &'w [Watch] {
    match &watched.by {
        By::One(watch) => std::slice::from_ref(watch),
        By::Many(crowd) => &crowds[*crowd],
    }
}

fn tell_once(conn: &mut Conn, trigger: u64, tell: &mut impl FnMut(ConnId)) {
    if conn.told != trigger {
        conn.told = trigger;
        tell(conn.id);
    }
}

/// The parent of a path; that of a top-level node is `/`.
fn parent_path(path: &str) -> &str {
    match split(path) {
        None | Some(("", _)) => "/",
        Some((dir, _)) => dir,
    }
}
