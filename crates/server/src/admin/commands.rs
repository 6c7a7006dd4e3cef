//! The commands that operators have, one entry each.

use crate::COMPATIBLE_VERSION;
use crate::admin::connections::{self, brief, full};
use crate::admin::{environment, java, metrics};
use crate::state::Server;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use zooid_config::{MemberAddress, Membership, Role as MemberRole};
use zooid_node::{Link, Now};
use zooid_zab::Role;

/// A command.
pub struct Command {
    /// Its four-letter word.
    pub word: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// What it answers while the server does not serve; `None`: the same as ever.
    pub not_serving: Option<&'static str>,
    /// Its answer; `None` closes the connection without one.
    pub text: fn(&Ask<'_>) -> Option<String>,
}

/// One call of a command.
pub struct Ask<'a> {
    /// The server that is asked.
    pub server: &'a Server,
    /// The connection that asks.
    pub link: &'a Arc<Link>,
    /// What came behind the word.
    pub rest: &'a [u8],
    /// When.
    pub now: Now,
}

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

macro_rules! commands {
    ($($word:literal, $not_serving:expr, $purpose:literal, $text:expr;)*) => {
        /// All commands, by word.
        pub const COMMANDS: &[Command] = &[$(Command {
            word: $word,
            purpose: $purpose,
            not_serving: $not_serving,
            text: $text,
        }),*];
    };
}

commands! {
    "conf", Some(NOT_SERVING), "The configuration that the server runs with.", |ask| Some(conf(ask));
    "cons", Some(NOT_SERVING), "All connections, with their sessions and counters.", |ask| Some(cons(ask));
    "crst", Some(NOT_SERVING), "Sets the counters of all connections to zero.", |ask| Some(crst(ask));
    "dirs", Some(NOT_SERVING), "Bytes in the snapshot and the log directory.", |ask| Some(dirs(ask));
    "dump", Some(NOT_SERVING), "Sessions, ephemeral nodes and connections, by the time of their end.", |ask| Some(connections::dump(ask));
    "envi", None, "The environment of the process.", |_| Some(environment::text());
    "gtmk", None, "The trace mask.", |_| Some(TRACE_MASK.load(Ordering::Relaxed).to_string());
    "hash", Some(NOT_SERVING.trim_ascii_end()), "The history of digests of the tree.", |ask| Some(hash(ask));
    "isro", Some("null"), "Whether the server takes writes (rw) or is read-only (ro).", |ask| Some(isro(ask));
    "mntr", Some(NOT_SERVING), "All metrics, one in a line.", |ask| Some(mntr(ask));
    "ruok", None, "Whether the process answers.", |_| Some("imok".to_owned());
    "srst", Some(NOT_SERVING), "Sets the counters of the server to zero.", |ask| Some(srst(ask));
    "srvr", Some(NOT_SERVING), "State and counters of the server.", |ask| Some(srvr(ask));
    "stat", Some(NOT_SERVING), "State and counters of the server, and its connections in brief.", |ask| Some(stat(ask));
    "stmk", None, "Sets the trace mask to the eight bytes behind the word. Nothing is traced.", stmk;
    "wchc", Some(NOT_SERVING), "Watches by session. Costly where there are many.", |ask| Some(wchc(ask));
    "wchp", Some(NOT_SERVING), "Watches by path. Costly where there are many.", |ask| Some(wchp(ask));
    "wchs", Some(NOT_SERVING), "How many watches there are.", |ask| Some(wchs(ask));
}

/// The command of a word.
pub fn find(word: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.word == word)
}

/// What `gtmk` and `stmk` are about. It switches nothing, and is kept because scripts read back
/// what they set. Its first value is Java's (`ZooTrace`).
static TRACE_MASK: AtomicI64 = AtomicI64::new(0b1_0011_0010);

/// Appends a line to a text; Java's `println` ends it the same way on Linux.
macro_rules! line {
    ($to:expr, $($text:tt)*) => {
        writeln!($to, $($text)*).expect("a string takes all")
    };
}
pub(crate) use line;

/// What behind `srvr` asks for one line more, which tells Zooid from Java: nothing else does where only
/// this word is allowed. Java answers as ever.
const OWN_NAME: &[u8] = b"zooid";

fn srvr(ask: &Ask<'_>) -> String {
    let mut out = version(ask);
    counters(ask, &mut out);
    if ask.rest.trim_ascii() == OWN_NAME {
        line!(out, "Zooid version: {}", crate::VERSION);
    }
    out
}

fn stat(ask: &Ask<'_>) -> String {
    let mut out = version(ask);
    line!(out, "Clients:");
    for link in connections::sorted(ask.server) {
        line!(out, "{}", brief(&link, ask.link));
    }
    line!(out, "");
    counters(ask, &mut out);
    out
}

fn version(ask: &Ask<'_>) -> String {
    let mut out = String::new();
    line!(out, "Zookeeper version: {COMPATIBLE_VERSION}");
    if ask.server.shared.is_read_only() {
        line!(out, "READ-ONLY mode; serving only read-only clients");
    }
    out
}

fn isro(ask: &Ask<'_>) -> String {
    let read_only = ask.server.shared.is_read_only();
    if read_only { "ro" } else { "rw" }.to_owned()
}

fn counters(ask: &Ask<'_>, out: &mut String) {
    let shared = &ask.server.shared;
    let totals = shared.stats.totals();
    line!(
        out,
        "Latency min/avg/max: {}/{}/{}",
        totals.latency_min_ms,
        java::double(java::rounded_to_4(totals.latency_avg_ms())),
        totals.latency_max_ms
    );
    line!(out, "Received: {}", totals.received);
    line!(out, "Sent: {}", totals.sent);
    line!(out, "Connections: {}", shared.links.read().len());
    let outstanding = shared.outstanding.load(Ordering::Relaxed);
    line!(out, "Outstanding: {outstanding}");
    let (zxid, nodes) = {
        let tree = shared.tree.read();
        (tree.last_processed_zxid(), tree.node_count())
    };
    line!(out, "Zxid: 0x{zxid:x}");
    let mode = metrics::mode(ask.server);
    line!(out, "Mode: {mode}");
    line!(out, "Node count: {nodes}");
    if mode == "leader" {
        let [last, min, max] = shared.proposal_sizes.get();
        line!(out, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
}

fn cons(ask: &Ask<'_>) -> String {
    let mut out = String::new();
    for link in connections::sorted(ask.server) {
        line!(out, "{}", full(&link, ask.link));
    }
    line!(out, "");
    out
}

fn crst(ask: &Ask<'_>) -> String {
    for link in ask.server.shared.links.read().values() {
        link.counters.reset();
    }
    "Connection stats reset.\n".to_owned()
}

fn srst(ask: &Ask<'_>) -> String {
    metrics::reset(ask.server);
    "Server stats reset.\n".to_owned()
}

fn conf(ask: &Ask<'_>) -> String {
    let (server, config) = (ask.server, &ask.server.config);
    let settings = &server.shared.settings;
    let (snapshots, logs) = (server.dirs.snap_dir(), server.dirs.log_dir());
    let mut out = String::new();
    line!(out, "clientPort={}", server.client_address.read().port());
    line!(out, "secureClientPort=-1");
    line!(out, "dataDir={}", absolute(&snapshots));
    line!(out, "dataDirSize={}", bytes_in(&snapshots));
    line!(out, "dataLogDir={}", absolute(&logs));
    line!(out, "dataLogSize={}", bytes_in(&logs));
    line!(out, "tickTime={}", settings.tick_time_ms);
    line!(out, "maxClientCnxns={}", config.max_client_cnxns);
    line!(out, "minSessionTimeout={}", settings.min_session_timeout_ms);
    line!(out, "maxSessionTimeout={}", settings.max_session_timeout_ms);
    line!(
        out,
        "clientPortListenBacklog={}",
        config.client_port_listen_backlog
    );
    let Some(member) = &config.ensemble else {
        line!(out, "serverId=0");
        return out;
    };
    line!(out, "serverId={}", member.sid);
    line!(out, "initLimit={}", member.init_limit);
    line!(out, "syncLimit={}", member.sync_limit);
    line!(out, "electionAlg=3");
    let members = {
        let tree = server.shared.tree.read();
        let node = tree.get("/zookeeper/config");
        let text = node.and_then(|node| node.data());
        String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
    };
    let in_force = Membership::parse(&members, true).unwrap_or_default();
    let own = in_force.members.get(&member.sid);
    let addresses = own.map(|own| &own.addresses[..]);
    let ports = |port: fn(&MemberAddress) -> u16| {
        let ports = addresses.unwrap_or_default().iter();
        ports
            .map(|address| port(address).to_string())
            .collect::<Vec<_>>()
            .join("|")
    };
    line!(
        out,
        "electionPort={}",
        ports(|address| address.election_port)
    );
    line!(out, "quorumPort={}", ports(|address| address.quorum_port));
    let observes = own.map_or(member.observer, |own| own.role == MemberRole::Observer);
    line!(out, "peerType={}", i32::from(observes));
    if !server.shared.is_read_only() {
        line!(out, "membership: ");
        out.push_str(&members);
    }
    out
}

fn dirs(ask: &Ask<'_>) -> String {
    let dirs = &ask.server.dirs;
    let (data, log) = (bytes_in(&dirs.snap_dir()), bytes_in(&dirs.log_dir()));
    format!("datadir_size: {data}\nlogdir_size: {log}\n")
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

/// Lengths of all files below a directory: preallocated ones count in full. Files come and go
/// meanwhile; what cannot be seen has no bytes.
fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn hash(ask: &Ask<'_>) -> String {
    let mut out = String::new();
    for (zxid, digest) in ask.server.shared.digest_log.lock().entries() {
        line!(out, "{zxid:x}: {digest}");
    }
    out
}

fn mntr(ask: &Ask<'_>) -> String {
    let mut out = String::new();
    line!(out, "zk_version\t{COMPATIBLE_VERSION}");
    line!(out, "zk_server_state\t{}", metrics::mode(ask.server));
    if let Some(seen) = metrics::member(ask.server) {
        line!(out, "zk_peer_state\t{}", metrics::peer_state(&seen));
        if let Role::Observing { .. } = seen.status.role {
            // -1 while it looks for one, as in Java.
            let master = seen.status.master.unwrap_or(-1);
            line!(out, "zk_observer_master_id\t{master}");
        }
    }
    metrics::each(ask, |name, value| line!(out, "zk_{name}\t{value}"));
    out
}

fn stmk(ask: &Ask<'_>) -> Option<String> {
    // Java takes what has arrived with the word, and closes when that is not enough.
    let mask = i64::from_be_bytes(*ask.rest.first_chunk()?);
    TRACE_MASK.store(mask, Ordering::Relaxed);
    Some(mask.to_string())
}

fn wchs(ask: &Ask<'_>) -> String {
    let watches = ask.server.shared.watches.lock().summary();
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        watches.connections, watches.paths, watches.watches
    )
}

fn wchc(ask: &Ask<'_>) -> String {
    let shared = &ask.server.shared;
    let mut out = String::new();
    let watches = shared.watches.lock();
    let links = shared.links.read();
    for (conn, paths) in watches.by_connection() {
        let Some(link) = links.get(&conn) else {
            continue;
        };
        line!(out, "{}", connections::session(link));
        for path in paths {
            line!(out, "\t{path}");
        }
    }
    line!(out, "");
    out
}

fn wchp(ask: &Ask<'_>) -> String {
    let shared = &ask.server.shared;
    let mut out = String::new();
    let watches = shared.watches.lock();
    let links = shared.links.read();
    for (path, conns) in watches.by_path() {
        line!(out, "{path}");
        for link in conns.iter().filter_map(|conn| links.get(conn)) {
            line!(out, "\t{}", connections::session(link));
        }
    }
    line!(out, "");
    out
}
