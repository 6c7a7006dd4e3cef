//! A snapshot of the tree in small steps, between which transactions are applied.
//!
//! The snapshot is exact: the tree as it was when the walk began, not the fuzzy one that Java
//! writes. A transaction that is about to change a node which the walk has not written yet first
//! writes the old state of the node, and of its ancestors if need be, for the walk to take along.
//! One bit per node tells what is still to be written. So ids freed or made meanwhile do no harm,
//! every ACL that is written is in the table taken at the beginning, and the digest of that moment
//! is that of the nodes.

use crate::arena::{NodeId, ROOT};
use crate::tree::Tree;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zooid_proto::Writer;
use zooid_proto::records::{Acl, StatPersisted};
use zooid_proto::{Jute, jute};

/// A step ends when it has written this much, however few nodes that are.
const STEP_BYTES: usize = 1 << 20;

/// A step looks at so many slots for each node it may write, when most of them are vacant.
const SLOTS_PER_NODE: usize = 16;

/// A walk under way, and what was copied when it began. Dropping it ends it.
#[derive(Debug)]
pub struct Walk {
    /// The tree as it was behind this transaction is what the walk writes.
    pub zxid: i64,
    /// Its digest; 0 when digests are off.
    pub digest: i64,
    /// Number of nodes that will be written.
    pub node_count: usize,
    /// Sessions and their timeouts in ms.
    pub sessions: Vec<(i64, i32)>,
    /// All lists that the written nodes have, by the ids that they are written with. Id -1, open,
    /// is not among them.
    pub acls: Vec<(i64, Arc<[Acl<'static>]>)>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// One bit for each slot of the arena when the walk began: not written yet.
    todo: Vec<u64>,
    /// Slots below are written or vacant, but for those in `chain`.
    cursor: usize,
    /// Slots when the walk began.
    end: usize,
    /// Nodes to write next, the last one first.
    chain: Vec<NodeId>,
    /// Written by transactions, to be taken along by the next step.
    kept: Vec<u8>,
    finished: bool,
}

/// The walks of a tree. The locks are for walkers, which share the tree with readers; whoever
/// applies transactions has the tree alone and never waits for them.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    active: Mutex<Vec<Arc<Mutex<State>>>>,
}

impl Walks {
    fn active(&mut self) -> &mut Vec<Arc<Mutex<State>>> {
        let active = self.active.get_mut();
        active.unwrap_or_else(PoisonError::into_inner)
    }

    /// A node was made in a slot; no walk that is under way shall write it.
    pub(crate) fn made(&mut self, id: NodeId) {
        for state in self.active() {
            lock(state).take(id);
        }
    }

    /// Forgets walks that are over or were dropped.
    pub(crate) fn prune(&mut self) {
        let active = self.active();
        if !active.is_empty() {
            active.retain(|state| Arc::strong_count(state) > 1 && !lock(state).finished);
        }
    }
}

impl Tree {
    /// Begins a walk over the tree as it is now. Copies the sessions and the table of ACLs.
    pub fn begin_walk(&self) -> Walk {
        let end = self.nodes.end() as usize;
        let state = Arc::new(Mutex::new(State {
            todo: vec![!0; end.div_ceil(64)],
            cursor: 0,
            end,
            chain: Vec::new(),
            kept: Vec::new(),
            finished: false,
        }));
        lock(&self.walks.active).push(Arc::clone(&state));
        Walk {
            zxid: self.last_zxid,
            digest: self.digest(),
            node_count: self.count,
            sessions: self.sessions.iter().map(|(&id, &ms)| (id, ms)).collect(),
            acls: self
                .acls
                .iter()
                .map(|(id, list)| (id.file_id(), Arc::clone(list)))
                .collect(),
            state,
        }
    }

    /// Appends the records of about `nodes` more nodes: path (the root's is empty), data, ACL id,
    /// stat; parents before children. Returns false when nothing was left to write, so that
    /// `while tree.walk_step(..) { write `out`, clear it }` writes all. A step may append nothing
    /// and return true.
    ///
    /// Records kept by transactions come on top of `nodes`; their number is bounded by what was
    /// changed since the step before.
    ///
    /// # Panics
    /// When the walk was begun on another tree that has less nodes.
    pub fn walk_step(&self, walk: &mut Walk, nodes: usize, out: &mut Vec<u8>) -> bool {
        let mut state = lock(&walk.state);
        if state.finished {
            return false;
        }
        let before = out.len();
        if out.is_empty() {
            std::mem::swap(out, &mut state.kept);
        } else {
            out.append(&mut state.kept);
        }
        let mut looks = nodes.saturating_mul(SLOTS_PER_NODE);
        let mut written = 0;
        while written < nodes && out.len() - before < STEP_BYTES {
            if let Some(id) = state.chain.pop() {
                // A transaction may have been quicker.
                if state.take(id) {
                    self.write_record(id, out);
                    written += 1;
                }
                continue;
            }
            let Some(id) = state.next() else {
                state.finished = out.len() == before;
                break;
            };
            if self.nodes[id].payload.is_vacant() {
                state.take(id);
                looks = looks.saturating_sub(1);
                if looks == 0 {
                    break;
                }
                continue;
            }
            self.push_chain(id, &mut state);
        }
        !state.finished
    }

    /// Hands the state of a node that is about to change to the walks that have not written it.
    pub(crate) fn keep_for_walks(&mut self, id: NodeId) {
        if self.walks.active().is_empty() {
            return;
        }
        let walks = std::mem::take(self.walks.active());
        for state in &walks {
            let mut state = lock(state);
            if !state.is_todo(id) {
                continue;
            }
            let interrupted = std::mem::take(&mut state.chain);
            self.push_chain(id, &mut state);
            let mut kept = std::mem::take(&mut state.kept);
            while let Some(id) = state.chain.pop() {
                if state.take(id) {
                    self.write_record(id, &mut kept);
                }
            }
            state.kept = kept;
            state.chain = interrupted;
        }
        *self.walks.active() = walks;
    }

    /// Queues a node behind those of its ancestors that are not written.
    fn push_chain(&self, id: NodeId, state: &mut State) {
        state.chain.push(id);
        let mut at = id;
        while at != ROOT {
            at = self.nodes[at].parent;
            if !state.is_todo(at) {
                break;
            }
            state.chain.push(at);
        }
    }

    fn write_record(&self, id: NodeId, out: &mut Vec<u8>) {
        let node = &self.nodes[id];
        let mut to = Writer::disk(out);
        if id == ROOT {
            to.str(Some(""));
        } else {
            let (dir, name) = (self.dir_path(node.parent), self.name_of(id));
            to.count(Some(dir.len() + 1 + name.len()));
            to.raw(dir.as_bytes());
            to.raw(b"/");
            to.raw(name);
        }
        to.buf(self.data_of(id));
        to.i64(node.acl.file_id());
        let mut stat = [0; 60];
        let at = &mut 0;
        put(&mut stat, at, &node.czxid.to_be_bytes());
        put(&mut stat, at, &node.mzxid.to_be_bytes());
        put(&mut stat, at, &node.ctime.to_be_bytes());
        put(&mut stat, at, &node.mtime.to_be_bytes());
        put(&mut stat, at, &node.version.to_be_bytes());
        put(&mut stat, at, &node.cversion.to_be_bytes());
        put(&mut stat, at, &node.aversion.to_be_bytes());
        put(&mut stat, at, &self.owner_of(id).to_be_bytes());
        put(&mut stat, at, &node.pzxid.to_be_bytes());
        to.raw(&stat);
    }
}

impl State {
    fn is_todo(&self, id: NodeId) -> bool {
        let id = id as usize;
        id < self.end && self.todo[id / 64] >> (id % 64) & 1 == 1
    }

    /// Whether it was still to be written; now it is not.
    fn take(&mut self, id: NodeId) -> bool {
        let todo = self.is_todo(id);
        if todo {
            self.todo[id as usize / 64] &= !(1 << (id % 64));
        }
        todo
    }

    /// The lowest slot that is not written.
    fn next(&mut self) -> Option<NodeId> {
        let mut word = self.cursor / 64;
        while let Some(&bits) = self.todo.get(word) {
            if bits != 0 {
                self.cursor = word * 64 + bits.trailing_zeros() as usize;
                return (self.cursor < self.end).then_some(self.cursor as NodeId);
            }
            word += 1;
        }
        self.cursor = self.end;
        None
    }
}

fn put(stat: &mut [u8; 60], at: &mut usize, bytes: &[u8]) {
    stat[*at..*at + bytes.len()].copy_from_slice(bytes);
    *at += bytes.len();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One record of a walk, as [`Tree::walk_step`] writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord<'a> {
    /// Full path; "" is the root.
    pub path: std::borrow::Cow<'a, str>,
    /// Data, null or not.
    pub data: jute::Buf<'a>,
    /// Key into the table of ACLs, or -1.
    pub acl_id: i64,
    /// The rest.
    pub stat: StatPersisted,
}

impl<'a> NodeRecord<'a> {
    /// Reads one record.
    pub fn read(from: &mut jute::Reader<'a>) -> Result<NodeRecord<'a>, jute::JuteError> {
        Ok(NodeRecord {
            path: Jute::read(from)?,
            data: from.buf()?,
            acl_id: from.i64()?,
            stat: Jute::read(from)?,
        })
    }
}
