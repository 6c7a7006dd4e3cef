//! The tree from a data directory: snapshot first, then the log behind it.

use crate::settings::Settings;
use crate::shared::DigestLog;
use std::collections::VecDeque;
use std::mem;
use std::path::PathBuf;
use zooid_proto::records::Acl;
use zooid_proto::txn::{LogEntry, Txn};
use zooid_proto::zxid;
use zooid_store::recover::{EntryAt, Progress, Restore};
use zooid_store::snapshot::{SnapshotDigest, SnapshotMeta, SnapshotNode, SnapshotSink};
use zooid_tree::owner::CONTAINER_OWNER;
use zooid_tree::{DIGEST_VERSION, LoadError, Tree, TreeLoader, TreeOptions, node_digest};
use zooid_zab::Proposal;

/// Fills a tree from what the store reads.
pub struct Recovery<'p> {
    options: TreeOptions,
    state: State,
    digests: Digests,
    nodes: u64,
    tail: Tail,
    progress: Box<dyn FnMut(Stage<'_>) + Send + 'p>,
}

/// The end of the log, as a member of an ensemble keeps it for others that were away.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    max_entries: usize,
    max_bytes: usize,
    bytes: usize,
    /// The newest entries, without a gap.
    pub recent: VecDeque<Proposal>,
    /// First and last zxid of each run of entries without a gap in one epoch, oldest first; each is
    /// continued by the next.
    pub runs: Vec<(i64, i64)>,
}

impl Tail {
    fn clear(&mut self) {
        self.bytes = 0;
        self.recent.clear();
        self.runs.clear();
    }

    fn note(&mut self, zxid: i64, payload: &[u8]) {
        match self.runs.last_mut() {
            // An entry that comes again (Java logs some twice) is there already.
            Some((_, last)) if zxid <= *last => return,
            Some((_, last)) if zxid == *last + 1 => *last = zxid,
            Some((_, last)) if zxid::follows(*last, zxid) => self.runs.push((zxid, zxid)),
            _ => {
                self.clear();
                self.runs.push((zxid, zxid));
            }
        }
        if self.max_entries == 0 {
            return;
        }
        self.bytes += payload.len();
        self.recent.push_back(Proposal {
            zxid,
            bytes: payload.into(),
        });
        while self.recent.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some(oldest) = self.recent.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes.len();
        }
    }
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

/// Digests that were not those of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mismatches {
    /// How many.
    pub count: u64,
    /// The first one of the log.
    pub first: Option<Mismatch>,
    /// That of the snapshot, unless one of the log agreed behind it. Java notes it while it
    /// applies transactions: the snapshot may hold a part of the next one.
    pub snapshot: Option<i64>,
}

/// A digest in the log that is not that of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The log.
    pub file: PathBuf,
    /// Where its entry starts.
    pub offset: u64,
    /// zxid of the entry.
    pub zxid: i64,
    /// The digest in the entry.
    pub expected: i64,
    /// The digest of the tree.
    pub found: i64,
}

/// A recovered tree.
pub struct RecoveredTree {
    /// The tree.
    pub tree: Tree,
    /// Digests that did not agree during replay, before others did again.
    pub mismatches: Mismatches,
    /// Digests on the way, for the `hash` command.
    pub digest_log: DigestLog,
    /// The end of the log, if it was asked for.
    pub tail: Tail,
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
    /// The state is not the one that was served.
    #[error(
        "log {file} does not fit the data: the digest in the entry at offset {offset} (zxid \
         0x{zxid:x}) is {expected:#x}, that of the tree is {found:#x}, and none behind it agrees: \
         these are not the data that were served; restore the directory from a backup, or, in an \
         ensemble, empty it and let the server fetch everything from the leader; to serve what is \
         there, start once with -Dzookeeper.digest.enabled=false",
        file = .0.file.display(), offset = .0.offset, zxid = .0.zxid, expected = .0.expected,
        found = .0.found
    )]
    Digest(Box<Mismatch>),
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
    pub fn new(settings: &Settings, progress: impl FnMut(Stage<'_>) + Send + 'p) -> Recovery<'p> {
        let options = TreeOptions {
            digest_enabled: settings.digest,
            extended_types: settings.extended_types,
            emulate353: settings.emulate353,
        };
        Recovery {
            options,
            state: State::Replaying(Box::new(Tree::new(options))),
            digests: Digests::default(),
            nodes: 0,
            tail: Tail::default(),
            progress: Box::new(progress),
        }
    }

    /// Keeps the end of the log, up to so many entries and bytes.
    pub fn keep_tail(&mut self, max_entries: usize, max_bytes: usize) {
        self.tail = Tail {
            max_entries,
            max_bytes,
            ..Tail::default()
        };
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
        let (mismatches, digest_log) = self.digests.judge(&tree)?;
        for session in &orphan_sessions {
            let zxid = tree.last_processed_zxid();
            tree.kill_session(*session, zxid, &mut ());
        }
        Ok(RecoveredTree {
            tree: *tree,
            mismatches,
            digest_log,
            tail: self.tail,
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
        self.digests = Digests::default();
        self.nodes = 0;
        self.tail.clear();
    }

    fn end_snapshot(&mut self, zxid: i64, meta: &SnapshotMeta) -> Result<(), String> {
        let empty = State::Loading(Box::new(TreeLoader::new(self.options)));
        let State::Loading(loader) = mem::replace(&mut self.state, empty) else {
            unreachable!("the store begins before it ends");
        };
        let mut tree = loader.finish().map_err(|error| error.to_string())?;
        tree.set_last_processed_zxid(zxid);
        if self.options.digest_enabled {
            self.digests.begin(meta.digest, &tree);
        }
        self.state = State::Replaying(Box::new(tree));
        Ok(())
    }

    fn fresh(&mut self) {
        self.state = State::Replaying(Box::new(Tree::new(self.options)));
    }

    fn txn(&mut self, at: EntryAt<'_>, payload: &[u8]) -> Result<(), String> {
        let State::Replaying(tree) = &mut self.state else {
            unreachable!("the store ends the snapshot before it replays");
        };
        self.tail.note(at.zxid, payload);
        let entry = LogEntry::decode(payload).map_err(|error| error.to_string())?;
        tree.apply(&entry.header, &entry.txn, &mut ());
        if self.options.digest_enabled {
            self.digests.compare(at, &entry, tree);
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        (self.progress)(Stage::Store(*progress));
    }
}

/// Compares what the log says with the tree.
///
/// The digest of an entry covers the whole tree: when the last one agrees, the tree is what was
/// served, whatever was wrong on the way. Java makes some wrong ones (see [`Digests::explained`]),
/// reports them and goes on; so a difference counts only if it lasts to the end.
#[derive(Default)]
struct Digests {
    /// The snapshot may hold parts of transactions up to here; nothing is compared before.
    window: Option<SnapshotDigest>,
    mismatches: Mismatches,
    /// Since then no digest agreed.
    lasting: Option<Mismatch>,
    /// The last one that agreed, unless transactions without a digest changed the tree behind it.
    agreed: Option<Agreed>,
    /// The log that it is in.
    file: PathBuf,
    /// What a digest that is known to be wrong is too much by.
    off_by: i64,
    log: DigestLog,
}

struct Agreed {
    offset: u64,
    zxid: i64,
    digest: i64,
}

impl Digests {
    /// Behind a snapshot.
    fn begin(&mut self, digest: Option<SnapshotDigest>, tree: &Tree) {
        let zxid = tree.last_processed_zxid();
        self.window = digest.filter(|digest| digest.zxid >= zxid && digest.zxid > 0);
        self.end_window(zxid, tree);
    }

    /// Whether there is no window any more, behind comparing at its end.
    fn end_window(&mut self, zxid: i64, tree: &Tree) -> bool {
        match self.window {
            None => true,
            Some(digest) => {
                if zxid >= digest.zxid {
                    self.window = None;
                    let known = digest.version == DIGEST_VERSION && zxid == digest.zxid;
                    if known && digest.value != tree.digest() {
                        self.mismatches.count += 1;
                        self.mismatches.snapshot = Some(zxid);
                    }
                }
                false
            }
        }
    }

    /// Behind a transaction.
    fn compare(&mut self, at: EntryAt<'_>, entry: &LogEntry<'_>, tree: &Tree) {
        // A repeated entry leaves the tree as it was; its digest is that of another moment.
        if at.zxid != tree.last_processed_zxid() || !self.end_window(at.zxid, tree) {
            return;
        }
        self.log.note(at.zxid, tree.digest());
        let Some(digest) = entry.digest.filter(|d| d.version == DIGEST_VERSION) else {
            if !matches!(entry.txn, Txn::Error { .. }) {
                self.agreed = None;
            }
            return;
        };
        let (expected, found) = (digest.tree_digest, tree.digest());
        let off_by = expected.wrapping_sub(found);
        if off_by == 0 {
            self.lasting = None;
            self.mismatches.snapshot = None;
            self.off_by = 0;
            if self.file.as_os_str() != at.file.as_os_str() {
                self.file = at.file.to_path_buf();
            }
            self.agreed = Some(Agreed {
                offset: at.offset,
                zxid: at.zxid,
                digest: expected,
            });
            return;
        }
        let mismatch = Mismatch {
            file: at.file.to_path_buf(),
            offset: at.offset,
            zxid: at.zxid,
            expected,
            found,
        };
        self.agreed = None;
        self.mismatches.count += 1;
        self.mismatches
            .first
            .get_or_insert_with(|| mismatch.clone());
        let more = off_by.wrapping_sub(self.off_by);
        if more == 0 || explained(more, entry, tree) || explained(off_by, entry, tree) {
            self.off_by = off_by;
        } else {
            self.lasting.get_or_insert(mismatch);
        }
    }

    /// Behind everything.
    fn judge(self, tree: &Tree) -> Result<(Mismatches, DigestLog), RecoveryError> {
        if let Some(mismatch) = self.lasting {
            return Err(RecoveryError::Digest(Box::new(mismatch)));
        }
        // Entries that came again, out of their order, may have undone what came behind them.
        if let Some(agreed) = self.agreed
            && agreed.digest != tree.digest()
        {
            return Err(RecoveryError::Digest(Box::new(Mismatch {
                file: self.file,
                offset: agreed.offset,
                zxid: agreed.zxid,
                expected: agreed.digest,
                found: tree.digest(),
            })));
        }
        Ok((self.mismatches, self.log))
    }
}

/// Whether Java made the digest for a node with another owner. `PrepRequestProcessor` takes the
/// owner from the flags of the request, `DataTree` from the kind of the transaction, and create
/// with the flags of a container, or createContainer with those of a create, get through.
fn explained(off_by: i64, entry: &LogEntry<'_>, tree: &Tree) -> bool {
    let parts = match &entry.txn {
        Txn::Multi(parts) => &parts[..],
        one => std::slice::from_ref(one),
    };
    parts.iter().any(|part| {
        let path = match part {
            Txn::Create(txn) | Txn::Create2(txn) => &txn.path,
            Txn::CreateContainer(txn) => &txn.path,
            Txn::CreateTtl(txn) => &txn.path,
            _ => return false,
        };
        let Some(node) = tree.get(path) else {
            return false;
        };
        [0, entry.header.client_id, CONTAINER_OWNER]
            .iter()
            .any(|owner| {
                let mut stat = node.persisted();
                stat.ephemeral_owner = *owner;
                let other = node_digest(path, node.data(), &stat);
                off_by == (other as i64).wrapping_sub(node.digest() as i64)
            })
    })
}
