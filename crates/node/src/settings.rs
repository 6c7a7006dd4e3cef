//! What an operator can set of the behaviour of one server.

use crate::throttle::ThrottleSettings;

/// Settings of a server without sockets. The configuration file is read elsewhere.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Length of a tick, ms: session expiry is rounded up to it.
    pub tick_time_ms: i32,
    /// Shortest session timeout granted, ms.
    pub min_session_timeout_ms: i32,
    /// Longest session timeout granted, ms.
    pub max_session_timeout_ms: i32,
    /// Highest byte of the session ids made here: 1 for a standalone server.
    pub server_id: u8,
    /// Whether sessions are known to one member only until they need more
    /// (`localSessionsEnabled`). Not for a server that stands alone: there is nobody to hide from.
    pub local_sessions: bool,
    /// Whether a local session that wants an ephemeral node becomes a global one.
    pub local_sessions_upgrading: bool,
    /// Whether a member without a leader serves reads (`readonlymode.enabled`).
    pub read_only_mode: bool,
    /// Whether a member takes clients while it leads (`leaderServes`).
    pub leader_serves: bool,
    /// Longest frame accepted from a client, bytes (`jute.maxbuffer`).
    pub max_frame_bytes: i32,
    /// Whether nodes may have a time to live (`zookeeper.extendedTypesEnabled`).
    pub extended_types: bool,
    /// Whether TTL nodes of 3.5.3 are understood (`zookeeper.emulate353TTLNodes`).
    pub emulate353: bool,
    /// Whether ACLs are stored but not checked (`zookeeper.skipACL`).
    pub skip_acl: bool,
    /// `user:base64` of the digest identity that may do everything.
    pub super_digest: Option<String>,
    /// Whether the digest scheme is offered.
    pub digest_auth: bool,
    /// Hash of the digest scheme.
    pub digest_algorithm: DigestAlgorithm,
    /// Schemes of which a connection must have an identity before it is served; empty: none.
    pub enforced_schemes: Vec<String>,
    /// Whether hard quotas refuse writes.
    pub enforce_quota: bool,
    /// Whether transactions carry the digest of the tree.
    pub digest: bool,
    /// Whether closeSession transactions list the nodes to delete.
    pub close_session_txn: bool,
    /// Whether reconfig is answered at all.
    pub reconfig: bool,
    /// Whether a member may have several addresses (`zookeeper.multiAddress.enabled`).
    pub multi_address: bool,
    /// Requests in the pipeline above which connections with unanswered requests are not read.
    pub outstanding_limit: usize,
    /// Requests longer than this count against `large_request_max_bytes`; negative: off.
    pub large_request_threshold: i64,
    /// Bytes of large requests that may be in the pipeline.
    pub large_request_max_bytes: i64,
    /// A write that waited longer before it was looked at is refused, ms; 0: never.
    pub throttled_op_wait_ms: i64,
    /// How many may connect.
    pub connection_throttle: ThrottleSettings,
    /// How often containers and TTL nodes are looked through, ms; 0: never.
    pub container_check_interval_ms: i64,
    /// How many of them are deleted in a minute.
    pub container_max_per_minute: usize,
    /// Age at which a container that never had a child goes, ms; 0: never.
    pub container_max_never_used_ms: i64,
}

/// Hash functions of the digest scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-1, the default.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Settings {
    /// Bytes of the longest transaction that may be logged: what Java reads back with the same
    /// settings (`jute.maxbuffer`, and the same again as `jute.maxbuffer.extrasize`).
    pub fn max_txn_bytes(&self) -> usize {
        2 * usize::try_from(self.max_frame_bytes).unwrap_or(0)
    }
}

impl Default for Settings {
    /// The defaults of Apache ZooKeeper 3.9.5.
    fn default() -> Self {
        Settings {
            tick_time_ms: 3000,
            min_session_timeout_ms: 6000,
            max_session_timeout_ms: 60_000,
            server_id: 1,
            local_sessions: false,
            local_sessions_upgrading: false,
            read_only_mode: false,
            leader_serves: true,
            max_frame_bytes: 0xF_FFFF,
            extended_types: false,
            emulate353: false,
            skip_acl: false,
            super_digest: None,
            digest_auth: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            enforced_schemes: Vec::new(),
            enforce_quota: false,
            digest: true,
            close_session_txn: true,
            reconfig: false,
            multi_address: false,
            outstanding_limit: 1000,
            large_request_threshold: -1,
            large_request_max_bytes: 100 * 1024 * 1024,
            throttled_op_wait_ms: 0,
            connection_throttle: ThrottleSettings::default(),
            container_check_interval_ms: 60_000,
            container_max_per_minute: 10_000,
            container_max_never_used_ms: 0,
        }
    }
}
