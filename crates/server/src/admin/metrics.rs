//! The metrics of a server, one line each: name, source, what it says. `mntr` derives from the
//! table.
//!
//! The names are Java's. A name is in the table when its value is measured here, or when it is
//! about something that a standalone server of Zooid does not have, and so 0 is the truth.

use crate::admin::commands::Ask;
use crate::admin::java;
use crate::state::{Seen, Server};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use zooid_node::stats::SummaryView;
use zooid_tree::{QuotaStats, Tree};
use zooid_zab::{LearnerStatus, Role};

/// The role of a server in one word.
pub fn mode(server: &Server) -> &'static str {
    match server.seen().map(|seen| seen.status.role) {
        Some(_) if server.shared.is_read_only() => "read-only",
        None => "standalone",
        Some(Role::Leading { .. }) => "leader",
        Some(Role::Observing { .. }) => "observer",
        // One that looks for a leader answers nothing of the kind.
        Some(Role::Following { .. } | Role::Looking) => "follower",
    }
}

/// What a member is like that has a leader; one that has none shows nothing of the ensemble.
pub fn member(server: &Server) -> Option<Seen> {
    server.seen().filter(|_| !server.shared.is_read_only())
}

/// Role and progress of a member (`QuorumPeer.getDetailedState` in Java).
pub fn peer_state(seen: &Seen) -> String {
    let role = match seen.status.role {
        Role::Looking => return "looking".to_owned(),
        Role::Leading { .. } => "leading",
        Role::Following { .. } => "following",
        Role::Observing { .. } => "observing",
    };
    format!("{role} - {}", seen.status.progress.name())
}

/// Calls `to` with what only members of an ensemble have.
fn members(ask: &Ask<'_>, to: &mut impl FnMut(&str, Number)) {
    let Some(seen) = member(ask.server) else {
        return;
    };
    let status = &seen.status;
    to("quorum_size", int(status.quorum_size));
    let learners = &status.learners;
    let count = |of: fn(&&LearnerStatus) -> bool| {
        size(learners.iter().filter(|one| one.synced).filter(of).count())
    };
    match status.role {
        Role::Leading { .. } => {}
        Role::Following { .. } if is_observer_master(ask.server) => {
            return to("synced_observers", count(|one| one.observer));
        }
        _ => return,
    }
    to("learners", size(learners.len()));
    to("synced_followers", count(|one| !one.observer && one.voting));
    to(
        "synced_non_voting_followers",
        count(|one| !one.observer && !one.voting),
    );
    to("synced_observers", count(|one| one.observer));
    to("pending_syncs", int(status.pending_syncs));
    let since = seen.leading_since_ms.unwrap_or(ask.now.mono_ms);
    to("leader_uptime", Number::Int(ask.now.mono_ms - since));
    let [last, min, max] = ask.server.shared.proposal_sizes.get();
    to("last_proposal_size", Number::Int(last));
    to("min_proposal_size", Number::Int(min));
    to("max_proposal_size", Number::Int(max));
    for one in learners {
        let (queued, ack_ms) = ask.server.shared.ensemble.learner(one.sid);
        basic(&format!("{}_learner_handler_qp_size", one.sid), &queued, to);
        advanced(
            &format!("{}_learner_handler_qp_time_ms", one.sid),
            &ack_ms,
            to,
        );
        // There from the first acknowledgement on, as in Java.
        if ack_ms.count > 0 {
            advanced(&format!("{}_ack_latency", one.sid), &ack_ms, to);
        }
    }
}

/// Whether it serves observers while it follows.
fn is_observer_master(server: &Server) -> bool {
    let ensemble = server.config.ensemble.as_ref();
    ensemble.is_some_and(|ensemble| ensemble.observer_master_port != 0)
}

/// A metric.
pub struct Metric {
    /// Its name, without prefix.
    pub name: &'static str,
    /// What it says; times are ms.
    pub help: &'static str,
    /// Where it comes from.
    pub source: Source,
}

/// Kinds of metrics, with their value now.
pub enum Source {
    /// A state.
    Gauge(fn(&Ask<'_>) -> Number),
    /// A state for each key.
    Gauges(fn(&Ask<'_>) -> BTreeMap<String, i64>),
    /// A number of events since the start or the last reset.
    Counter(fn(&Server) -> u64),
    /// Samples since the start or the last reset.
    Basic(fn(&Server) -> SummaryView),
    /// The same with percentiles.
    Advanced(fn(&Server) -> SummaryView),
}

/// A value, written as Java writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(value) => value.fmt(f),
            Number::Float(value) => java::double(*value).fmt(f),
        }
    }
}

/// Calls `to` with every line of `mntr` that comes from the table: name without prefix, value.
pub fn each(ask: &Ask<'_>, mut to: impl FnMut(&str, Number)) {
    members(ask, &mut to);
    for Metric { name, source, .. } in METRICS {
        match source {
            Source::Gauge(value) => to(name, value(ask)),
            Source::Gauges(values) => {
                for (key, value) in values(ask) {
                    to(&format!("{key}_{name}"), Number::Int(value));
                }
            }
            Source::Counter(value) => to(name, int(value(ask.server))),
            Source::Basic(view) => basic(name, &view(ask.server), &mut to),
            Source::Advanced(view) => advanced(name, &view(ask.server), &mut to),
        }
    }
}

fn advanced(name: &str, view: &SummaryView, to: &mut impl FnMut(&str, Number)) {
    basic(name, view, to);
    for (rank, value) in ["p50", "p95", "p99", "p999"].iter().zip(view.percentiles) {
        to(&format!("{rank}_{name}"), Number::Int(value));
    }
}

fn basic(name: &str, view: &SummaryView, to: &mut impl FnMut(&str, Number)) {
    let avg = Number::Float(java::rounded_to_4(view.avg()));
    to(&format!("avg_{name}"), avg);
    to(&format!("min_{name}"), Number::Int(view.min));
    to(&format!("max_{name}"), Number::Int(view.max));
    to(&format!("cnt_{name}"), int(view.count));
    to(&format!("sum_{name}"), Number::Int(view.sum));
}

/// Sets everything to zero that is counted: gauges go on.
pub fn reset(server: &Server) {
    server.shared.stats.reset();
    server.shared.proposal_sizes.reset();
    server.shared.ensemble.reset();
    server.shared.load_ms.reset();
    server.shared.digest_mismatches.store(0, Ordering::Relaxed);
    server.snapshots.time_ms.reset();
    server.disk.reset();
}

macro_rules! metrics {
    ($($kind:ident $name:ident, $source:expr, $help:expr;)*) => {
        /// All metrics, by kind in the order of Java.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: stringify!($name),
            help: $help,
            source: Source::$kind($source),
        }),*];
    };
}

const MEMBERS: &str = "Between members of an ensemble; a standalone server has none.";
const COMMITS: &str = "In the commit stage of an ensemble; a standalone server has none.";
const OBSERVERS: &str = "At a server of observers; a standalone server has none.";
const TLS: &str = "TLS of clients and members; there is none yet.";
const ADMIN: &str = "The HTTP admin server; there is none yet.";
const NO_CACHE: &str = "Lookups in a cache of replies; there is no cache.";
const NO_STAGE: &str =
    "In a stage in front of the pipeline that holds requests back; there is none.";
const DEAD: &str = "Watches of closed connections; they go at once, not later in bulk.";
const NETTY: &str = "Buffers of Netty; there are none.";
const JVM: &str = "Pauses of the Java virtual machine; there is none.";
const PREP: &str =
    "In a queue or a thread of its own in front of the log; writes are checked where they arrive.";
const FATAL: &str = "Errors that a server survives badly; this one stops.";

metrics! {
    Gauge avg_latency, |ask| Number::Float(java::rounded_to_4(ask.server.shared.stats.totals().latency_avg_ms())), "Mean time of a request.";
    Gauge min_latency, |ask| Number::Int(ask.server.shared.stats.totals().latency_min_ms), "Shortest time of a request.";
    Gauge max_latency, |ask| Number::Int(ask.server.shared.stats.totals().latency_max_ms), "Longest time of a request.";
    Gauge packets_received, |ask| int(ask.server.shared.stats.totals().received), "Packets received.";
    Gauge packets_sent, |ask| int(ask.server.shared.stats.totals().sent), "Packets sent.";
    Gauge num_alive_connections, |ask| size(ask.server.shared.links.read().len()), "Connections.";
    Gauge outstanding_requests, |ask| size(ask.server.shared.outstanding.load(Ordering::Relaxed)), "Requests in the pipeline.";
    Gauge uptime, |ask| Number::Int(ask.now.mono_ms - ask.server.started.mono_ms), "Time since the server began to serve.";
    Gauge znode_count, |ask| size(ask.server.shared.tree.read().node_count()), "Nodes, the root twice.";
    Gauge ephemerals_count, |ask| size(ask.server.shared.tree.read().ephemerals_count()), "Ephemeral nodes.";
    Gauge approximate_data_size, |ask| Number::Int(ask.server.shared.tree.read().approximate_data_size()), "Length of all paths and data, bytes.";
    Gauge watch_count, |ask| size(ask.server.shared.watches.lock().watch_count()), "Watches of data and of children.";
    Gauge global_sessions, |ask| size(global_sessions(ask)), "Sessions that all members know of.";
    Gauge local_sessions, |ask| size(ask.server.shared.sessions.local_len()), "Sessions that no other member knows of.";
    Gauge connection_drop_probability, |ask| Number::Float(ask.server.shared.throttle.lock().drop_probability()), "How likely a handshake is refused, 0 to 1.";
    Gauge open_file_descriptor_count, |_| size(open_files()), "Open files and sockets.";
    Gauge max_file_descriptor_count, |_| int(files_allowed()), "How many of them there may be.";
    Gauge last_client_response_size, |ask| Number::Int(ask.server.shared.stats.totals().response_last), "Bytes of the last replies that left together.";
    Gauge min_client_response_size, |ask| Number::Int(ask.server.shared.stats.totals().response_min), "The fewest of them.";
    Gauge max_client_response_size, |ask| Number::Int(ask.server.shared.stats.totals().response_max), "The most of them.";
    Gauge auth_failed_count, |_| Number::Int(0), TLS;
    Gauge outstanding_tls_handshake, |_| Number::Int(0), TLS;
    Gauge non_mtls_remote_conn_count, |_| Number::Int(0), TLS;
    Gauge non_mtls_local_conn_count, |_| Number::Int(0), TLS;
    Gauges quota_count_limit_per_namespace, |ask| quotas(ask, LIMITS, |q| first_set(q.count_hard_limit(), q.count())), "Nodes that quotas allow.";
    Gauges quota_bytes_limit_per_namespace, |ask| quotas(ask, LIMITS, |q| first_set(q.byte_hard_limit(), q.bytes())), "Bytes that quotas allow.";
    Gauges quota_count_usage_per_namespace, |ask| quotas(ask, STATS, QuotaStats::count), "Nodes that count for quotas.";
    Gauges quota_bytes_usage_per_namespace, |ask| quotas(ask, STATS, QuotaStats::bytes), "Bytes that count for quotas.";

    Counter bytes_received_count, |server| server.shared.stats.totals().received_bytes, "Bytes of packets received.";
    Counter response_bytes, |server| server.shared.stats.totals().reply_bytes, "Bytes of replies.";
    Counter watch_bytes, |server| event(&server.shared.stats.events.watch_bytes), "Bytes of events of watches.";
    Counter connection_rejected, |server| event(&server.shared.stats.events.connections_rejected), "Connections closed because there were too many.";
    Counter sessionless_connections_expired, |server| event(&server.shared.stats.events.sessionless_expired), "Connections closed because they opened no session.";
    Counter cnxn_closed_without_zk_server_running, |server| event(&server.shared.stats.events.closed_not_serving), "Connections closed because there is no leader.";
    Counter prep_processor_request_queued, none, PREP;
    Counter outstanding_changes_queued, none, PREP;
    Counter outstanding_changes_removed, none, PREP;
    Counter stale_replies, none, NO_STAGE;
    Counter connection_request_count, |server| event(&server.shared.stats.events.connection_requests), "Handshakes.";
    Counter connection_drop_count, |server| event(&server.shared.stats.events.connections_dropped), "Handshakes that the token bucket refused.";
    Counter connection_revalidate_count, |server| event(&server.shared.stats.events.revalidations), "Handshakes that asked for a session of before.";
    Counter stale_sessions_expired, |server| event(&server.shared.stats.events.sessions_expired), "Sessions that expired.";
    Counter large_requests_rejected, |server| event(&server.shared.stats.events.large_requests_rejected), "Connections closed for a large request.";
    Counter throttled_ops, |server| event(&server.shared.stats.events.throttled_ops), "Writes refused because they waited too long.";
    Counter sync_processor_request_queued, |server| server.disk.transactions.load(Ordering::Relaxed), "Transactions handed over to be logged.";
    Counter digest_mismatches_count, |server| server.shared.digest_mismatches.load(Ordering::Relaxed), "Transactions behind which the tree was not as the log says.";
    Counter looking_count, |server| server.seen().map_or(0, |seen| seen.elections), "How often a leader was looked for.";
    Counter diff_count, |server| server.seen().map_or(0, |seen| seen.status.diffs_sent), "Learners that were sent what they lacked.";
    Counter snap_count, |server| server.seen().map_or(0, |seen| seen.status.snapshots_sent), "Learners that were sent a whole state.";
    Counter commit_count, |server| event(&server.shared.ensemble.commits), "Transactions that this leader committed.";
    Counter proposal_count, |server| event(&server.shared.ensemble.proposals), "Transactions that this leader proposed.";
    Counter quit_leading_due_to_disloyal_voter, none, MEMBERS;
    Counter learner_proposal_received_count, |server| event(&server.shared.ensemble.learner_proposals), "Proposals that this follower got.";
    Counter learner_commit_received_count, |server| event(&server.shared.ensemble.learner_commits), "Commits that this learner got.";
    Counter skip_learner_request_to_next_processor_count, none, MEMBERS;
    Counter revalidate_count, |server| event(&server.shared.ensemble.revalidations), "Sessions that came back to learners of this leader.";
    Counter ensemble_auth_success, none, MEMBERS;
    Counter ensemble_auth_fail, none, MEMBERS;
    Counter ensemble_auth_skip, none, MEMBERS;
    Counter request_commit_queued, none, COMMITS;
    Counter requests_not_forwarded_to_commit_processor, none, COMMITS;
    Counter stale_requests, none, NO_STAGE;
    Counter stale_requests_dropped, none, NO_STAGE;
    Counter request_throttle_wait_count, none, NO_STAGE;
    Counter response_packet_cache_hits, none, NO_CACHE;
    Counter response_packet_cache_misses, none, NO_CACHE;
    Counter response_packet_get_children_cache_hits, none, NO_CACHE;
    Counter response_packet_get_children_cache_misses, none, NO_CACHE;
    Counter add_dead_watcher_stall_time, none, DEAD;
    Counter dead_watchers_queued, none, DEAD;
    Counter dead_watchers_cleared, none, DEAD;
    Counter unrecoverable_error_count, none, FATAL;
    Counter snapshot_error_count, none, ADMIN;
    Counter restore_error_count, none, ADMIN;
    Counter snapshot_rate_limited_count, none, ADMIN;
    Counter restore_rate_limited_count, none, ADMIN;
    Counter insecure_admin_count, none, ADMIN;
    Counter unsuccessful_handshake, none, TLS;
    Counter tls_handshake_exceeded, none, TLS;

    Basic fsynctime, |server| server.disk.sync_ms.view(), "Syncs of the log.";
    Basic snapshottime, |server| server.snapshots.time_ms.view(), "Writing a snapshot.";
    Basic dbinittime, |server| server.shared.load_ms.view(), "Loading the data at the start.";
    Basic sync_processor_queue_size, |server| server.disk.queue_size.view(), "Transactions that wait for the log.";
    Basic sync_processor_batch_size, |server| server.disk.batch_size.view(), "Transactions of one sync.";
    Basic startup_txns_loaded, |server| server.shared.stats.events.startup_txns.view(), "Transactions loaded at the start.";
    Basic startup_snap_load_time, |server| server.shared.stats.events.startup_ms.view(), "Loading snapshot and log at the start.";
    Basic startup_txns_load_time, no_samples, "The log is loaded with the snapshot: see startup_snap_load_time.";
    Basic connection_token_deficit, |server| server.shared.stats.events.token_deficit.view(), "Tokens that were missing at a handshake.";
    Basic node_created_watch_count, |server| server.shared.stats.events.fired[0].view(), "Watches that the creation of a node fired.";
    Basic node_deleted_watch_count, |server| server.shared.stats.events.fired[1].view(), "Watches that the end of a node fired.";
    Basic node_changed_watch_count, |server| server.shared.stats.events.fired[2].view(), "Watches that a change of data fired.";
    Basic node_children_watch_count, |server| server.shared.stats.events.fired[3].view(), "Watches that a change of children fired.";
    Basic prep_processor_queue_size, no_samples, PREP;
    Basic prep_process_time, no_samples, PREP;
    Basic proposal_process_time, no_samples, PREP;
    Basic sync_process_time, no_samples, PREP;
    Basic restore_time, no_samples, ADMIN;
    Basic follower_sync_time, |server| server.shared.ensemble.follower_sync_ms.view(), "From following to serving.";
    Basic observer_sync_time, |server| server.shared.ensemble.observer_sync_ms.view(), "The same of an observer.";
    Basic election_time, |server| server.shared.ensemble.election_ms.view(), "Elections.";
    Basic unavailable_time, |server| server.shared.ensemble.unavailable_ms.view(), "Without a leader.";
    Basic leader_unavailable_time, |server| server.shared.ensemble.leader_unavailable_ms.view(), "The same, of those who came to lead.";
    Basic inflight_snap_count, |server| server.shared.ensemble.inflight_snaps.view(), "Learners that are sent a whole state at a time.";
    Basic inflight_diff_count, |server| server.shared.ensemble.inflight_diffs.view(), "Learners that are sent what they lack at a time.";
    Basic learner_request_processor_queue_size, no_samples, MEMBERS;
    Basic socket_closing_time, no_samples, MEMBERS;
    Basic requests_in_session_queue, no_samples, COMMITS;
    Basic pending_session_queue_size, no_samples, COMMITS;
    Basic reads_after_write_in_session_queue, no_samples, COMMITS;
    Basic reads_issued_from_session_queue, no_samples, COMMITS;
    Basic session_queues_drained, no_samples, COMMITS;
    Basic concurrent_request_processing_in_commit_processor, no_samples, COMMITS;
    Basic time_waiting_empty_pool_in_commit_processor_read_ms, no_samples, COMMITS;
    Basic write_batch_time_in_commit_processor, no_samples, COMMITS;
    Basic commit_process_time, no_samples, COMMITS;
    Basic read_commit_proc_req_queued, no_samples, COMMITS;
    Basic write_commit_proc_req_queued, no_samples, COMMITS;
    Basic commit_commit_proc_req_queued, no_samples, COMMITS;
    Basic read_commit_proc_issued, no_samples, COMMITS;
    Basic write_commit_proc_issued, no_samples, COMMITS;
    Basic netty_queued_buffer_capacity, no_samples, NETTY;

    Advanced readlatency, reads, "Requests that are answered from the tree.";
    Advanced updatelatency, |server| server.shared.stats.updates.view(), "Writes and handshakes.";
    Advanced sync_processor_queue_time_ms, |server| server.disk.queue_ms.view(), "Transactions: wait for the log.";
    Advanced sync_processor_queue_flush_time_ms, |server| server.disk.flush_ms.view(), "Writes of the log with their syncs.";
    Advanced sync_processor_queue_and_flush_time_ms, |server| server.disk.queue_and_flush_ms.view(), "Transactions: from being handed over to being safe.";
    Advanced read_commitproc_time_ms, no_samples, COMMITS;
    Advanced write_commitproc_time_ms, no_samples, COMMITS;
    Advanced local_write_committed_time_ms, no_samples, COMMITS;
    Advanced server_write_committed_time_ms, no_samples, COMMITS;
    Advanced read_final_proc_time_ms, no_samples, COMMITS;
    Advanced write_final_proc_time_ms, no_samples, COMMITS;
    Advanced proposal_latency, |server| server.shared.ensemble.proposal_ms.view(), "From the making of a transaction to its proposal here.";
    Advanced proposal_ack_creation_latency, |server| server.shared.ensemble.ack_creation_ms.view(), "To its being safe on the disk here.";
    Advanced commit_propagation_latency, |server| server.shared.ensemble.commit_ms.view(), "To its commit here, on a learner.";
    Advanced quorum_ack_latency, |server| server.shared.ensemble.quorum_ack_ms.view(), "To its being safe on a quorum.";
    Advanced propagation_latency, |server| server.shared.ensemble.applied_ms.view(), "From the making of a transaction to its being applied here.";
    Advanced om_proposal_process_time_ms, no_samples, OBSERVERS;
    Advanced om_commit_process_time_ms, no_samples, OBSERVERS;
    Advanced request_throttle_queue_time_ms, no_samples, NO_STAGE;
    Advanced dead_watchers_cleaner_latency, no_samples, DEAD;
    Advanced prep_processor_queue_time_ms, no_samples, PREP;
    Advanced close_session_prep_time, no_samples, PREP;
    Advanced jvm_pause_time_ms, no_samples, JVM;
}

fn global_sessions(ask: &Ask<'_>) -> usize {
    let sessions = &ask.server.shared.sessions;
    sessions.len().saturating_sub(sessions.local_len())
}

fn none(_: &Server) -> u64 {
    0
}

fn event(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// All of them 0: a read is answered in the step that takes it from its connection.
fn reads(server: &Server) -> SummaryView {
    SummaryView {
        count: server.shared.stats.totals().reads,
        ..SummaryView::default()
    }
}

fn no_samples(_: &Server) -> SummaryView {
    SummaryView::default()
}

fn int(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn size(value: usize) -> Number {
    int(value as u64)
}

fn open_files() -> usize {
    // The list itself is open while it is read.
    std::fs::read_dir("/dev/fd").map_or(0, |files| files.count().saturating_sub(1))
}

fn files_allowed() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

const QUOTAS: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

/// A hard limit counts before a soft one.
fn first_set(hard: i64, soft: i64) -> i64 {
    if hard > -1 { hard } else { soft }
}

/// Sums over the quotas of each top directory (`QuotaMetricsUtils`).
fn quotas(ask: &Ask<'_>, leaf: &str, value: fn(&QuotaStats) -> i64) -> BTreeMap<String, i64> {
    let tree = ask.server.shared.tree.read();
    let mut sums = BTreeMap::new();
    if !tree.has_quotas() {
        return sums;
    }
    leaves(&tree, &mut |path| {
        let Some(top) = path
            .strip_prefix(QUOTAS)
            .and_then(|path| path.strip_suffix(leaf))
        else {
            return;
        };
        let namespace = top.split('/').nth(1).filter(|name| !name.is_empty());
        let data = tree.get(path).and_then(|node| node.data());
        if let (Some(namespace), Some(stats)) = (namespace, QuotaStats::of_data(data)) {
            *sums.entry(namespace.to_owned()).or_default() += value(&stats);
        }
    });
    sums
}

/// Paths of the nodes without children below the room of quotas.
fn leaves(tree: &Tree, visit: &mut impl FnMut(&str)) {
    let mut paths = vec![QUOTAS.to_owned()];
    while let Some(path) = paths.pop() {
        let Some(node) = tree.get(&path) else {
            continue;
        };
        if node.child_count() == 0 {
            visit(&path);
        }
        paths.extend(node.children().map(|name| format!("{path}/{name}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_single_and_kinds_in_order() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        let rank = |metric: &Metric| match metric.source {
            Source::Gauge(_) => 0,
            Source::Gauges(_) => 1,
            Source::Counter(_) => 2,
            Source::Basic(_) => 3,
            Source::Advanced(_) => 4,
        };
        assert!(METRICS.is_sorted_by_key(rank));
    }
}
