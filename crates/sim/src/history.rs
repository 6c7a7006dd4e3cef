//! The state behind every transaction, from a tree of its own to which nothing but the
//! transactions themselves are applied.

use foldhash::quality::FixedState;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hash, Hasher};
use zooid_node::Append;
use zooid_proto::txn::LogEntry;
use zooid_tree::{Tree, TreeOptions};

/// What one state looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The digest that transactions carry.
    pub digest: i64,
    /// Hash of every node, with all that belongs to it, and every session.
    pub content: u64,
}

/// States by zxid, from one state on.
#[derive(Debug)]
pub struct History {
    first: i64,
    states: Vec<State>,
    payloads: Vec<Append>,
    tree: Tree,
}

impl History {
    /// The history of a new server.
    pub fn new(options: TreeOptions) -> History {
        History::from(Tree::new(options))
    }

    /// The history that goes on from a tree.
    pub fn from(tree: Tree) -> History {
        History {
            first: tree.last_processed_zxid(),
            states: vec![State::of(&tree)],
            payloads: Vec::new(),
            tree,
        }
    }

    /// Notes transactions in the moment in which they are made. Their digests were made without
    /// applying anything, and must be those of the tree behind them.
    pub fn note(&mut self, appends: &[Append]) -> Result<(), String> {
        for append in appends {
            let entry = LogEntry::decode(&append.payload).map_err(|error| error.to_string())?;
            self.tree.apply(&entry.header, &entry.txn, &mut ());
            let state = State::of(&self.tree);
            if append.zxid != self.last_zxid() + 1 {
                return Err(format!("{:#x} behind {:#x}", append.zxid, self.last_zxid()));
            }
            if let Some(digest) = entry.digest
                && digest.tree_digest != state.digest
            {
                return Err(format!("the digest of {:#x} is wrong", append.zxid));
            }
            self.states.push(state);
            self.payloads.push(append.clone());
        }
        Ok(())
    }

    /// The state behind a zxid.
    pub fn state(&self, zxid: i64) -> Option<State> {
        let index = usize::try_from(zxid.checked_sub(self.first)?).ok()?;
        self.states.get(index).copied()
    }

    /// The last transaction made.
    pub fn last_zxid(&self) -> i64 {
        self.first + self.states.len() as i64 - 1
    }

    /// Forgets what is behind a zxid: it was never acknowledged and is lost. For a history from
    /// the beginning only.
    pub fn truncate(&mut self, zxid: i64, options: TreeOptions) {
        assert_eq!(self.first, 0, "the tree cannot be made again");
        if zxid == self.last_zxid() {
            return;
        }
        let mut payloads = std::mem::take(&mut self.payloads);
        payloads.truncate(zxid as usize);
        *self = History::new(options);
        self.note(&payloads).expect("it was noted before");
    }

    /// What is behind a zxid, to read.
    pub fn dump(&self, zxid: i64, options: TreeOptions) -> String {
        if self.first != 0 {
            return format!("(the history begins at {:#x})\n", self.first);
        }
        let mut tree = Tree::new(options);
        for append in &self.payloads[..zxid as usize] {
            let entry = LogEntry::decode(&append.payload).expect("it was noted before");
            tree.apply(&entry.header, &entry.txn, &mut ());
        }
        dump(&tree)
    }
}

impl State {
    /// The state of a tree.
    pub fn of(tree: &Tree) -> State {
        let build = FixedState::with_seed(0);
        let mut content = 0u64;
        let mut hasher = build.build_hasher();
        tree.sessions().hash(&mut hasher);
        (tree.len(), tree.node_count(), tree.ephemerals_count()).hash(&mut hasher);
        tree.approximate_data_size().hash(&mut hasher);
        content = content.wrapping_add(hasher.finish());
        each_node(tree, |path, node| {
            let mut hasher = build.build_hasher();
            path.hash(&mut hasher);
            node.data().hash(&mut hasher);
            let stat = node.persisted();
            [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime].hash(&mut hasher);
            [stat.version, stat.cversion, stat.aversion].hash(&mut hasher);
            stat.ephemeral_owner.hash(&mut hasher);
            for acl in tree.acl(node.acl()) {
                (acl.perms, acl.id.scheme(), acl.id.name()).hash(&mut hasher);
            }
            content = content.wrapping_add(hasher.finish());
        });
        State {
            digest: tree.digest(),
            content,
        }
    }
}

/// A tree as text, one line for each session and node.
pub fn dump(tree: &Tree) -> String {
    let mut lines: Vec<String> = tree
        .sessions()
        .iter()
        .map(|(id, ms)| format!("session {id:#x} {ms} ms"))
        .collect();
    each_node(tree, |path, node| {
        let mut line = format!("{path} {:?}", node.persisted());
        let _ = write!(line, " {:?} {:?}", node.data(), tree.acl(node.acl()));
        lines.push(line);
    });
    lines.sort();
    lines.join("\n")
}

fn each_node(tree: &Tree, mut visit: impl FnMut(&str, &zooid_tree::NodeRef<'_>)) {
    let mut todo = vec!["/".to_owned()];
    while let Some(path) = todo.pop() {
        let node = tree.get(&path).expect("a child of a node");
        visit(&path, &node);
        let dir = path.trim_end_matches('/');
        todo.extend(node.children().map(|child| format!("{dir}/{child}")));
    }
}
