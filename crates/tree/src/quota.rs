//! Quotas: limits of a subtree and how much of them is used, both kept as text in nodes below
//! `/zookeeper/quota`.

use crate::arena::{NodeId, ROOT};
use crate::tree::{Tree, split};
use std::collections::BTreeMap;
use std::fmt;

const ROOM: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// Numbers of a limits or stats node: `count=3,bytes=100`, then, behind one more `=`, further keys
/// (`StatsTrack` in Java).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaStats {
    values: BTreeMap<String, i64>,
}

impl QuotaStats {
    /// Reads the text; `None` when Java would throw. No text at all has no numbers.
    pub fn parse(text: &str) -> Option<QuotaStats> {
        let mut values = BTreeMap::new();
        if text.is_empty() {
            return Some(QuotaStats { values });
        }
        // Java drops empty parts at the end, and runs of separators are one.
        let mut rest = text.trim_end_matches([',', ';']);
        if rest.is_empty() {
            return Some(QuotaStats { values });
        }
        loop {
            let end = rest.find([',', ';']).unwrap_or(rest.len());
            let mut parts = rest[..end].trim_end_matches('=').split('=');
            let (key, value) = (parts.next()?, parts.next()?);
            let value = if value.is_empty() {
                -1
            } else {
                value.parse().ok()?
            };
            values.insert(key.to_owned(), value);
            if end == rest.len() {
                return Some(QuotaStats { values });
            }
            rest = rest[end..].trim_start_matches([',', ';']);
        }
    }

    /// Reads the data of a node; `None` when they are null, not text, or do not parse.
    pub fn of_data(data: Option<&[u8]>) -> Option<QuotaStats> {
        QuotaStats::parse(std::str::from_utf8(data?).ok()?)
    }

    fn counted(count: i64, bytes: i64) -> QuotaStats {
        let values = [("count", count), ("bytes", bytes)];
        QuotaStats {
            values: values.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    fn get(&self, key: &str) -> i64 {
        self.values.get(key).copied().unwrap_or(-1)
    }

    /// Nodes, or the soft limit of nodes; -1: none.
    pub fn count(&self) -> i64 {
        self.get("count")
    }

    /// Bytes of data, or the soft limit of bytes; -1: none.
    pub fn bytes(&self) -> i64 {
        self.get("bytes")
    }

    /// Hard limit of nodes; -1: none.
    pub fn count_hard_limit(&self) -> i64 {
        self.get("countHardLimit")
    }

    /// Hard limit of bytes; -1: none.
    pub fn byte_hard_limit(&self) -> i64 {
        self.get("byteHardLimit")
    }

    fn add(&mut self, count: i64, bytes: i64) {
        let (count, bytes) = (
            self.count().wrapping_add(count),
            self.bytes().wrapping_add(bytes),
        );
        self.values.insert("count".to_owned(), count);
        self.values.insert("bytes".to_owned(), bytes);
    }
}

impl fmt::Display for QuotaStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.count(), self.bytes())?;
        let more = || {
            self.values
                .iter()
                .filter(|(key, _)| *key != "count" && *key != "bytes")
        };
        if more().next().is_some() {
            // Old readers stop here and do not see keys that they do not know.
            write!(f, "=")?;
        }
        more().try_for_each(|(key, value)| write!(f, ";{key}={value}"))
    }
}

/// The quota that counts for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaView {
    /// Top of the subtree.
    pub path: String,
    /// `None`: the limits node holds no such text.
    pub limits: Option<QuotaStats>,
    /// `None`: the stats node is missing or holds no such text.
    pub usage: Option<QuotaStats>,
}

/// Where quotas are set: path to the path of its stats node.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    stats_by_path: BTreeMap<Box<str>, Box<str>>,
}

impl Quotas {
    /// The deepest one at or above a path. Java never lets the root have one.
    fn deepest(&self, path: &str) -> Option<(&str, &str)> {
        let mut at = path;
        while !self.stats_by_path.is_empty() && !at.is_empty() {
            if let Some((top, stats)) = self.stats_by_path.get_key_value(at) {
                return Some((top, stats));
            }
            at = split(at)?.0;
        }
        None
    }

    fn add(&mut self, path: &str) {
        // A limits node directly in the room would be a quota of the root, on which Java ends.
        if !path.is_empty() {
            let stats = format!("{ROOM}{path}/{STATS}");
            self.stats_by_path.insert(path.into(), stats.into());
        }
    }
}

impl Tree {
    /// The quota that counts for a path: the deepest at or above it.
    pub fn quota_for(&self, path: &str) -> Option<QuotaView> {
        let (top, stats) = self.quotas.deepest(path)?;
        let read = |path: &str| QuotaStats::of_data(self.get(path)?.data());
        Some(QuotaView {
            path: top.to_owned(),
            limits: read(&format!("{ROOM}{top}/{LIMITS}")),
            usage: read(stats),
        })
    }

    /// Whether any quota is set.
    pub fn has_quotas(&self) -> bool {
        !self.quotas.stats_by_path.is_empty()
    }

    pub(crate) fn quota_created(&mut self, path: &str, bytes: usize) {
        if let Some((dir, name)) = in_room(path) {
            match name {
                LIMITS => self.quotas.add(dir),
                STATS => self.recount(dir),
                _ => {}
            }
        }
        self.quota_used(path, 1, bytes as i64);
    }

    pub(crate) fn quota_deleted(&mut self, path: &str, bytes: usize) {
        if let Some((dir, LIMITS)) = in_room(path) {
            self.quotas.stats_by_path.remove(dir);
        }
        self.quota_used(path, -1, -(bytes as i64));
    }

    /// Adds to the usage in place: no version, no time, no watch, not in the digest.
    pub(crate) fn quota_used(&mut self, path: &str, count: i64, bytes: i64) {
        let Some((_, stats)) = self.quotas.deepest(path) else {
            return;
        };
        let Some(id) = self.find(stats) else { return };
        // Java ends on text that does not parse, and on every start thereafter. It stays as the
        // client wrote it.
        let Some(mut usage) = QuotaStats::of_data(self.data_of(id)) else {
            return;
        };
        usage.add(count, bytes);
        self.write_usage(id, &usage);
    }

    /// After a snapshot was loaded: finds the quotas and counts what they use.
    pub(crate) fn quota_rebuild(&mut self) {
        let Some(room) = self.find(ROOM) else { return };
        let mut limits = Vec::new();
        self.each_below(room, |id| {
            if self.children_of(id).is_empty() && self.name_of(id) == LIMITS.as_bytes() {
                limits.push(self.path_of(id));
            }
        });
        for path in limits {
            if let Some((top, _)) = in_room(&path) {
                self.recount(top);
                self.quotas.add(top);
            }
        }
    }

    /// Writes a fresh count of a subtree into its stats node, if there is one.
    fn recount(&mut self, top: &str) {
        let (mut count, mut bytes) = (0, 0);
        if let Some(id) = self.find(top) {
            self.each_below(id, |id| {
                count += 1;
                bytes += self.data_len_of(id) as i64;
            });
        }
        if let Some(id) = self.find(&format!("{ROOM}{top}/{STATS}")) {
            self.write_usage(id, &QuotaStats::counted(count, bytes));
        }
    }

    /// The size of the tree's data does not follow, nor does it in Java.
    fn write_usage(&mut self, id: NodeId, usage: &QuotaStats) {
        assert_ne!(id, ROOT, "stats have a path of their own");
        self.keep_for_walks(id);
        let text = usage.to_string();
        self.put_data(id, Some(text.as_bytes()));
    }
}

/// For a path in the room of quotas: the subtree that it is about ("" for the root), and its name.
fn in_room(path: &str) -> Option<(&str, &str)> {
    let (dir, name) = split(path.strip_prefix(ROOM)?)?;
    (dir.is_empty() || dir.starts_with('/')).then_some((dir, name))
}
