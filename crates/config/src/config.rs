//! The typed configuration that the server runs with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::Membership;

/// The four-letter words that exist.
pub const FOUR_LETTER_WORDS: [&str; 18] = [
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst",
    "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
];

/// Everything that the server needs to know to start. Values are checked: what a field does not
/// allow in its description cannot occur.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The configuration file, as it was named.
    pub file: Option<PathBuf>,
    /// Its text as it is, for the admin command `initial_configuration`; empty without a file.
    pub initial_text: String,
    /// The system properties that a Java server would have from the same sources.
    pub properties: BTreeMap<String, String>,

    /// Directory of the snapshots (in its `version-2`), of `myid` and of `initialize`.
    pub data_dir: PathBuf,
    /// Directory of the transaction logs (in its `version-2`).
    pub data_log_dir: PathBuf,
    /// Whether missing `version-2` directories are made; if not, a missing one is exit code 3.
    pub datadir_autocreate: bool,
    /// Whether an empty database may start without the file `initialize`.
    pub db_autocreate: bool,

    /// Port for clients; 0 takes any free one. `None`: nothing listens.
    pub client_port: Option<u16>,
    /// Host to bind the client port to, not resolved yet, IPv6 without brackets. `None`: all
    /// addresses.
    pub client_port_address: Option<String>,
    /// Length of the accept queue; negative: as the system has it. `conf` shows it as it is.
    pub client_port_listen_backlog: i32,
    /// TCP keep-alive on client connections.
    pub client_tcp_keep_alive: bool,
    /// A connection that opens no session is closed after this many ms.
    pub sessionless_timeout_ms: u64,

    /// The unit of time in ms, at least 1.
    pub tick_time_ms: u32,
    /// Lower bound of session timeouts in ms, never above the upper one; can be negative, which is
    /// no bound.
    pub min_session_timeout_ms: i32,
    /// Upper bound of session timeouts in ms.
    pub max_session_timeout_ms: i32,

    /// Connections per address; 0 and negative: no limit. `conf` shows it as it is.
    pub max_client_cnxns: i32,
    /// Connections in all. `None`: no limit.
    pub max_cnxns: Option<u32>,
    /// The largest packet, string or buffer of a client, in bytes. Negative: nothing is accepted.
    pub jute_max_buffer: i32,

    /// Transaction log.
    pub log: LogConfig,
    /// Snapshots.
    pub snapshot: SnapshotConfig,
    /// Deletion of old files.
    pub purge: PurgeConfig,
    /// Deletion of empty containers and of nodes past their time to live.
    pub container: ContainerConfig,
    /// Whether nodes with a time to live may be made.
    pub extended_types_enabled: bool,
    /// Whether the owner of such nodes is read as version 3.5.3 wrote it.
    pub emulate_353_ttl_nodes: bool,
    /// Whether transactions and snapshots carry a digest.
    pub digest_enabled: bool,
    /// Whether closeSession transactions list the nodes to delete.
    pub close_session_txn_enabled: bool,
    /// Whether writes above a hard quota are refused.
    pub enforce_quota: bool,

    /// Who may do what.
    pub auth: AuthConfig,
    /// Limits of requests under way.
    pub throttle: ThrottleConfig,
    /// Limits of new connections.
    pub connection_throttle: ConnectionThrottleConfig,

    /// Which four-letter words are answered.
    pub four_letter_words: FourLetterWords,
    /// The HTTP admin server.
    pub admin: AdminConfig,
    /// Where metrics go.
    pub metrics: MetricsConfig,
    /// Whether an audit log is asked for.
    pub audit_enabled: bool,

    /// Whether members keep sessions to themselves until those need more.
    pub local_sessions: bool,
    /// Whether a session that a member kept to itself becomes global with its first ephemeral node.
    pub local_sessions_upgrading: bool,
    /// Whether a member that is cut off serves reads.
    pub read_only_mode: bool,
    /// Whether clients may change the members.
    pub reconfig_enabled: bool,
    /// Whether a member may have several addresses.
    pub multi_address_enabled: bool,
    /// Whether one participant alone runs standalone.
    pub standalone_enabled: bool,
    /// The number of this server, from `myid`.
    pub my_id: Option<i64>,
    /// The members, if any are named.
    pub membership: Option<Membership>,
    /// How this server is a member of an ensemble. `None`: it runs standalone.
    pub ensemble: Option<EnsembleConfig>,
    /// The file that the members came from, if not from the configuration file.
    pub dynamic_config_file: Option<PathBuf>,
    /// A newer list of members that was proposed, from the file that ends in `.dynamic.next`.
    pub next_membership: Option<Membership>,
}

/// How a server is a member of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct EnsembleConfig {
    /// Its number.
    pub sid: i64,
    /// Ticks that finding a leader's epoch and catching up may take each; at least 1.
    pub init_limit: u32,
    /// Ticks that a leader and a learner may be out of touch; at least 1.
    pub sync_limit: u32,
    /// Ticks that a learner tries to reach its leader; 0: as `init_limit`.
    pub connect_limit: u32,
    /// Whether it does not vote.
    pub observer: bool,
    /// Where followers take observers. 0: they do not.
    pub observer_master_port: u16,
    /// Longest random wait of an observer before it connects again, ms.
    pub reconnect_delay_ms: u64,
    /// The file that may let one of two voters go on alone.
    pub oracle_path: Option<PathBuf>,
    /// Whether members may connect through all addresses of the machine.
    pub listen_on_all: bool,
    /// How long connecting for votes may take, ms.
    pub election_connect_ms: u32,
    /// First wait for votes, ms; at least 1.
    pub min_notification_ms: u32,
    /// Longest wait for votes, ms; at least 1.
    pub max_notification_ms: u32,
    /// Whether it takes clients while it leads.
    pub leader_serves: bool,
    /// TCP keep-alive on connections for votes.
    pub keep_alive: bool,
    /// How often a port for members is tried. `None`: without an end.
    pub bind_attempts: Option<u32>,
    /// How long a connection for votes may take to say who it is, ms. `None`: `sync_limit`.
    pub greeting_ms: Option<u32>,
    /// Between two tries to reach a leader, ms; at least 1. `None`: as the server likes.
    pub connect_retry_ms: Option<u32>,
    /// How many proposals a member may lack and still get them one by one, at least 500. `None`: as
    /// the server likes.
    pub commit_log_count: Option<u32>,
    /// The fraction of the state up to which a member gets transactions from the log; 0: no limit,
    /// negative: none, never above 1. `None`: as the server likes.
    pub snapshot_size_factor: Option<f64>,
    /// Whether members always get the whole state.
    pub force_snapshot_sync: bool,
    /// How many members may get the state before an observer has to wait; at least 1.
    pub max_snap_syncs: u32,
    /// How many members may get transactions before an observer has to wait; at least 1.
    pub max_diff_syncs: u32,
    /// Whether it writes its log while it is an observer.
    pub observer_logs: bool,
    /// Longest random wait of an observer without a leader, ms.
    pub observer_election_delay_ms: u64,
    /// With several addresses for a member: how long a connection may be without a sign of life,
    /// ms; at least 1. `None`: that is not looked at.
    pub reachability_ms: Option<u32>,
}

/// Transaction log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Step in which a file grows, in bytes. `None`: it is not allocated ahead.
    pub pre_alloc_bytes: Option<u64>,
    /// A file is closed when this many bytes are written to it. `None`: at snapshots only.
    pub size_limit_bytes: Option<u64>,
    /// Whether the log is forced to the disk before a write is acknowledged.
    pub force_sync: bool,
    /// A sync that takes longer, in ms, is counted and logged.
    pub fsync_warning_threshold_ms: i64,
}

/// Snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// A snapshot comes after between half of this and this many transactions; at least 2.
    pub snap_count: u32,
    /// Or after between half of this and this many bytes of log. `None`: not by size.
    pub size_limit_bytes: Option<u64>,
    /// How new ones are compressed.
    pub compression: Compression,
    /// Whether logs without a snapshot are trusted.
    pub trust_empty: bool,
    /// Whether they end with the zxid that they are complete for.
    pub serialize_last_processed_zxid: bool,
}

/// Compression of snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip, with the ending `.gz`.
    Gzip,
    /// Snappy as snappy-java frames it, with the ending `.snappy`.
    Snappy,
}

/// Deletion of old files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeConfig {
    /// Snapshots kept, at least 3.
    pub retain: u32,
    /// Hours between two purges, the first at the start. `None`: never.
    pub interval_hours: Option<u32>,
    /// Whether the file says `autopurge.purgeInterval`, be it 0.
    pub interval_is_set: bool,
}

/// Deletion of empty containers and of nodes past their time to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerConfig {
    /// ms between two searches; 0 or less as it is written.
    pub check_interval_ms: i32,
    /// Deletions in a minute; 0 or less as it is written.
    pub max_per_minute: i32,
    /// A container that never had a child goes after this many ms. `None`: never.
    pub max_never_used_interval_ms: Option<u64>,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// Whether no ACL is checked at all.
    pub skip_acl: bool,
    /// Whether the scheme `digest` exists.
    pub digest_enabled: bool,
    /// The hash function of digest identities.
    pub digest_algorithm: DigestAlgorithm,
    /// The digest identity `user:hash` that is above all ACLs.
    pub super_digest: Option<String>,
    /// Schemes one of which a session must have authenticated by; each is available. `None`: no
    /// session must.
    pub enforced_schemes: Option<Vec<String>>,
}

/// Hash functions of digest identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DigestAlgorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Limits of requests under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleConfig {
    /// Connections are not read from while more requests are under way.
    pub global_outstanding_limit: i32,
    /// Bytes of large requests under way, at least 1.
    pub large_request_max_bytes: u32,
    /// A request of more bytes is large. `None`: none is.
    pub large_request_threshold: Option<u32>,
    /// A request that waited longer, in ms, is answered with an error. `None`: none is.
    pub throttled_op_wait_time_ms: Option<u32>,
}

/// Limits of new connections: a token bucket, and a probability of dropping (BLUE).
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionThrottleConfig {
    /// Size of the bucket, weights taken in. `None`: no limit.
    pub tokens: Option<u32>,
    /// ms between two fillings.
    pub fill_time_ms: i32,
    /// Tokens added, weights taken in.
    pub fill_count: i32,
    /// ms between two changes of the probability. `None`: it stays 0.
    pub freeze_time_ms: Option<u32>,
    /// Step up of the probability.
    pub drop_increase: f64,
    /// Step down of the probability.
    pub drop_decrease: f64,
    /// How full the bucket must be for a step down.
    pub decrease_ratio: f64,
    /// Whether kinds of sessions cost different numbers of tokens; otherwise each costs one.
    pub weight_enabled: bool,
    /// Cost of a new global session, at least 1.
    pub global_session_weight: u32,
    /// Cost of a new local session, at least 1.
    pub local_session_weight: u32,
    /// Cost of a reconnect, at least 1.
    pub renew_session_weight: u32,
}

/// Which four-letter words are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FourLetterWords {
    /// The words, unknown ones included.
    pub words: BTreeSet<String>,
    /// Whether `*` stands in the list: then the word of telnet's close (ff f4 ff fd) counts too.
    pub all: bool,
}

/// The HTTP admin server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Whether it is asked for.
    pub enabled: bool,
    /// Host to bind to.
    pub address: String,
    /// Port; what lies outside 0 to 65535 is kept as it is written.
    pub port: i32,
    /// ms after which an idle connection is closed.
    pub idle_timeout_ms: i32,
    /// Path that the commands are under.
    pub command_url: String,
    /// Whether `snapshot` exists.
    pub snapshot_enabled: bool,
    /// Whether `restore` exists.
    pub restore_enabled: bool,
    /// One snapshot and one restore in this many ms.
    pub rate_limiter_interval_ms: i32,
}

/// Where metrics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The provider that the file names.
    pub provider: MetricsProvider,
    /// Host of the Prometheus exporter.
    pub http_host: String,
    /// Port of the Prometheus exporter; what lies outside 0 to 65535 is kept as it is written.
    pub http_port: i32,
}

/// The providers of metrics that a file can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsProvider {
    /// In the process, for `mntr`.
    Default,
    /// An HTTP endpoint for Prometheus.
    Prometheus,
    /// None.
    Null,
}

impl Config {
    /// The configuration of a start without file, flags and environment: port 2181, data in
    /// `./data`, and the defaults of Apache ZooKeeper (a tick of 3000 ms among them).
    pub fn default_standalone() -> Config {
        let loaded = Config::load(crate::Sources::default());
        loaded
            .expect("the defaults of the table make a configuration")
            .config
    }

    /// Connections per address; `None`: no limit.
    pub fn client_connection_limit(&self) -> Option<u32> {
        positive(self.max_client_cnxns)
    }
}

impl FourLetterWords {
    /// Whether this word is answered.
    pub fn allows(&self, word: &str) -> bool {
        self.words.contains(word)
    }
}

impl DigestAlgorithm {
    /// Reads the name of an algorithm as Java's MessageDigest does, in any case.
    pub fn from_name(name: &str) -> Option<DigestAlgorithm> {
        match name.to_ascii_uppercase().as_str() {
            "SHA" | "SHA1" | "SHA-1" => Some(DigestAlgorithm::Sha1),
            "SHA-224" | "SHA224" => Some(DigestAlgorithm::Sha224),
            "SHA-256" | "SHA256" => Some(DigestAlgorithm::Sha256),
            "SHA-384" | "SHA384" => Some(DigestAlgorithm::Sha384),
            "SHA-512" | "SHA512" => Some(DigestAlgorithm::Sha512),
            _ => None,
        }
    }
}

/// A limit that 0 and negative numbers switch off.
pub(crate) fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number > 0)
}
