//! The tree from a data directory: snapshot first, then the log behind it.

use crate::settings::Settings;
use std::mem;
use zooid_proto::records::Acl;
use zooid_proto::txn::LogEntry;
use zooid_store::recover::{Progress, Restore};
use zooid_store::snapshot::{SnapshotMeta, SnapshotNode, SnapshotSink};
use zooid_tree::{DIGEST_VERSION, LoadError, Tree, TreeLoader, TreeOptions};

/// Fills a tree from what the store reads.
pub struct Recovery<'p> {
    options: TreeOptions,
    state: State,
    /// Digests are not compared up to here: the snapshot may hold parts of these transactions.
    window_zxid: i64,
    mismatches: Mismatches,
    nodes: u64,
    progress: Box<dyn FnMut(Stage<'_>) + 'p>,
}

/// How far a recovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    /// What the store says.
    Store(Progress<'a>),
    /// So many nodes of the snapshot were read.
    Nodes(u64),
}

/// Nodes between two reports.
const NODES_PER_REPORT: u64 = 1 << 16;

enum State {
    Loading(Box<TreeLoader>),
    Replaying(Box<Tree>),
}

/// Transactions whose digest was not that of the tree behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mismatches {
    /// How many.
    pub count: u64,
    /// zxid of the first.
    pub first_zxid: i64,
}

/// A recovered tree.
pub struct RecoveredTree {
    /// The tree.
    pub tree: Tree,
    /// Digests that did not agree during replay.
    pub mismatches: Mismatches,
    /// Sessions that owned nodes without being in the session table, now removed with them.
    pub orphan_sessions: Vec<i64>,
}

/// Why the data cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A snapshot taken by Java under load lacked ACLs, and no transaction behind it brought them.
    #[error(
        "{count} nodes have an ACL that neither the snapshot nor the log holds, the first is \
         {first}: the data are damaged; start from an older snapshot with its logs, or from \
         another member's data"
    )]
    UnresolvedAcls {
        /// How many nodes.
        count: usize,
        /// One of them.
        first: String,
    },
    /// The nodes would be taken for ephemeral ones and deleted.
    #[error(
        "the data hold nodes with a time to live (owner 0x{owner:x}), and \
         extendedTypesEnabled is off: Apache ZooKeeper would delete them; set \
         extendedTypesEnabled=true (or -Dzookeeper.extendedTypesEnabled=true)"
    )]
    TtlNodes {
        /// Owner of one of them.
        owner: i64,
    },
}

impl<'p> Recovery<'p> {
    /// A recovery that tells `progress` how far it is.
    pub fn new(settings: &Settings, progress: impl FnMut(Stage<'_>) + 'p) -> Recovery<'p> {
        let options = TreeOptions {
            digest_enabled: settings.digest,
            extended_types: settings.extended_types,
            emulate353: settings.emulate353,
        };
        Recovery {
            options,
            state: State::Replaying(Box::new(Tree::new(options))),
            window_zxid: 0,
            mismatches: Mismatches::default(),
            nodes: 0,
            progress: Box::new(progress),
        }
    }

    /// The tree, once the store is done: sessions that own nodes but are not in the session table
    /// are removed, as a starting standalone server does.
    pub fn finish(self) -> Result<RecoveredTree, RecoveryError> {
        let State::Replaying(mut tree) = self.state else {
            unreachable!("the store ends a snapshot before it is done");
        };
        if tree.unresolved_acls() > 0 {
            let first = tree.unresolved_paths(1).pop().unwrap_or_default();
            return Err(RecoveryError::UnresolvedAcls {
                count: tree.unresolved_acls(),
                first,
            });
        }
        let orphan_sessions = tree.orphan_sessions();
        let ttl_owner = orphan_sessions
            .iter()
            .find(|owner| (**owner as u64) >> 56 == 0xFF);
        if let Some(owner) = ttl_owner.filter(|_| !self.options.extended_types) {
            return Err(RecoveryError::TtlNodes { owner: *owner });
        }
        for session in &orphan_sessions {
            let zxid = tree.last_processed_zxid();
            tree.kill_session(*session, zxid, &mut ());
        }
        Ok(RecoveredTree {
            tree: *tree,
            mismatches: self.mismatches,
            orphan_sessions,
        })
    }

    /// The tree of a state that another server sent.
    pub(crate) fn into_tree(self) -> Tree {
        match self.state {
            State::Replaying(tree) => *tree,
            State::Loading(_) => unreachable!("the state was ended"),
        }
    }

    fn loader(&mut self) -> &mut TreeLoader {
        match &mut self.state {
            State::Loading(loader) => loader,
            State::Replaying(_) => unreachable!("the store begins before it fills"),
        }
    }
}

impl SnapshotSink for Recovery<'_> {
    fn session(&mut self, id: i64, timeout_ms: i32) -> Result<(), String> {
        self.loader().add_session(id, timeout_ms);
        Ok(())
    }

    fn acl(&mut self, id: i64, acl: &[Acl<'_>]) -> Result<(), String> {
        self.loader().add_acl(id, acl.to_vec());
        Ok(())
    }

    fn node(&mut self, node: &SnapshotNode<'_>) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes.is_multiple_of(NODES_PER_REPORT) {
            (self.progress)(Stage::Nodes(self.nodes));
        }
        self.loader()
            .add_node(&node.path, node.data, node.acl_id, &node.stat)
            .map_err(|error: LoadError| error.to_string())
    }
}

impl Restore for Recovery<'_> {
    fn begin(&mut self) {
        self.state = State::Loading(Box::new(TreeLoader::new(self.options)));
        self.window_zxid = 0;
        self.nodes = 0;
        self.mismatches = Mismatches::default();
    }

    fn end_snapshot(&mut self, zxid: i64, meta: &SnapshotMeta) -> Result<(), String> {
        let empty = State::Loading(Box::new(TreeLoader::new(self.options)));
        let State::Loading(loader) = mem::replace(&mut self.state, empty) else {
            unreachable!("the store begins before it ends");
        };
        let mut tree = loader.finish().map_err(|error| error.to_string())?;
        tree.set_last_processed_zxid(zxid);
        self.window_zxid = meta.digest.map_or(0, |digest| digest.zxid);
        self.state = State::Replaying(Box::new(tree));
        Ok(())
    }

    fn fresh(&mut self) {
        self.state = State::Replaying(Box::new(Tree::new(self.options)));
    }

    fn txn(&mut self, zxid: i64, payload: &[u8]) -> Result<(), String> {
        let State::Replaying(tree) = &mut self.state else {
            unreachable!("the store ends the snapshot before it replays");
        };
        let entry = LogEntry::decode(payload).map_err(|error| error.to_string())?;
        tree.apply(&entry.header, &entry.txn, &mut ());
        // A repeated entry leaves the tree as it was; its digest is that of another moment.
        let comparable = self.options.digest_enabled
            && zxid > self.window_zxid
            && zxid == tree.last_processed_zxid();
        if let Some(digest) = entry
            .digest
            .filter(|d| comparable && d.version == DIGEST_VERSION)
            && digest.tree_digest != tree.digest()
        {
            if self.mismatches.count == 0 {
                self.mismatches.first_zxid = zxid;
            }
            self.mismatches.count += 1;
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        (self.progress)(Stage::Store(*progress));
    }
}
