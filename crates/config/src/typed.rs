//! From the texts of all keys to the typed configuration, with the checks of `QuorumPeerConfig`.

use std::path::{Path, PathBuf};

use crate::config::*;
use crate::keys::Key;
use crate::os;
use crate::problem::{Level, Problem};
use crate::registry;
use crate::settings::Settings;
use crate::{Membership, Role};

const AUTH_CLASSES: &str = "org.apache.zookeeper.server.auth.";
const METRICS_CLASSES: [(&str, MetricsProvider); 3] = [
    (
        "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
        MetricsProvider::Default,
    ),
    (
        "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
        MetricsProvider::Prometheus,
    ),
    (
        "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
        MetricsProvider::Null,
    ),
];

/// Makes the configuration; what is wrong is left in the settings' problems.
pub(crate) fn build(settings: &mut Settings, file: Option<&Path>, text: &[u8]) -> Config {
    let s = settings;
    let data_dir = directory(s, Key::DataDir);
    let data_log_dir = if s.value(Key::DataLogDir).is_some() {
        directory(s, Key::DataLogDir)
    } else {
        None
    };
    if s.value(Key::DataDir).is_none() {
        let text = "dataDir is not set: expected the directory of the data, as in dataDir=./data";
        s.problem(None, None, text);
    }
    let data_dir = data_dir.unwrap_or_default();
    let client_port = port(s, Key::ClientPort);
    let client_port_address = s.text(Key::ClientPortAddress).map(without_brackets);
    needs(s, Key::ClientPortAddress, Key::ClientPort);
    needs(s, Key::SecureClientPortAddress, Key::SecureClientPort);
    for key in [Key::SecureClientPort, Key::ObserverMasterPort] {
        port(s, key);
    }
    let (tick_time_ms, min_session_timeout_ms, max_session_timeout_ms) = session_times(s);
    only(
        s,
        Key::ElectionAlg,
        |text| text.parse() == Ok(3),
        "only 3 is supported",
    );
    let role = |text: &str| Role::parse(text).is_some();
    only(s, Key::PeerType, role, "expected participant or observer");
    let jute_max_buffer = s.int(Key::JuteMaxBuffer);
    let mut config = Config {
        file: file.map(Path::to_owned),
        initial_text: String::from_utf8_lossy(text).into_owned(),
        properties: s.properties.clone(),
        data_log_dir: data_log_dir.unwrap_or_else(|| data_dir.clone()),
        datadir_autocreate: s.bool(Key::DatadirAutocreate),
        db_autocreate: s.bool(Key::DbAutocreate),
        client_port,
        client_port_address,
        client_port_listen_backlog: s.int(Key::ClientPortListenBacklog),
        client_tcp_keep_alive: s.bool(Key::ClientTcpKeepAlive),
        sessionless_timeout_ms: at_least_one(s, Key::SessionlessCnxnTimeout).into(),
        tick_time_ms,
        min_session_timeout_ms,
        max_session_timeout_ms,
        max_client_cnxns: s.int(Key::MaxClientCnxns),
        max_cnxns: positive(s.int(Key::MaxCnxns)),
        jute_max_buffer,
        log: log(s),
        snapshot: snapshot(s),
        purge: purge(s),
        container: ContainerConfig {
            check_interval_ms: s.int(Key::ContainerCheckInterval),
            max_per_minute: s.int(Key::ContainerMaxPerMinute),
            max_never_used_interval_ms: positive_long(s.long(Key::ContainerMaxNeverUsed)),
        },
        extended_types_enabled: s.bool(Key::ExtendedTypesEnabled),
        emulate_353_ttl_nodes: s.bool(Key::Emulate353TtlNodes),
        digest_enabled: s.bool(Key::DigestEnabled),
        close_session_txn_enabled: s.bool(Key::CloseSessionTxn),
        enforce_quota: s.bool(Key::EnforceQuota),
        auth: auth(s),
        throttle: throttle(s),
        connection_throttle: connection_throttle(s),
        four_letter_words: four_letter_words(s),
        admin: admin(s),
        metrics: metrics(s),
        audit_enabled: s.bool(Key::AuditEnable),
        local_sessions: s.bool(Key::LocalSessionsEnabled),
        local_sessions_upgrading: s.bool(Key::LocalSessionsUpgradingEnabled),
        read_only_mode: s.bool(Key::ReadOnlyMode),
        reconfig_enabled: s.bool(Key::ReconfigEnabled),
        multi_address_enabled: s.bool(Key::MultiAddressEnabled),
        standalone_enabled: s.bool(Key::StandaloneEnabled),
        my_id: my_id(s, &data_dir),
        membership: None,
        ensemble: None,
        dynamic_config_file: s.path(Key::DynamicConfigFile),
        next_membership: None,
        data_dir,
    };
    config.membership = membership(s, &config);
    config.next_membership = next_membership(s, &config);
    own_client_address(s, &mut config);
    config.ensemble = quorum(s, &config);
    if config.client_port.is_none() && s.problems.is_empty() {
        let text = "no clientPort: nothing listens, and no client can connect";
        s.warn(Level::Danger, None, None, text);
    }
    config
}

/// A directory as Java would find it: the bytes of the file are ISO-8859-1 there. A name that only
/// exists when they are read as UTF-8 is what the operator meant.
fn directory(s: &mut Settings, key: Key) -> Option<PathBuf> {
    let text = s.text(key)?;
    if text.is_empty() {
        s.problem_key(key, "expected a directory");
        return None;
    }
    let path = PathBuf::from(&text);
    if path.is_relative() && !text.starts_with("./") {
        let text = "is relative to the working directory; write ./ before it if that is meant";
        s.warn_key(Level::Warning, key, text);
    }
    let from_file = matches!(s.origin(key), Some(crate::Origin::File { .. }));
    if from_file && !text.is_ascii() && !os::exists(&path) {
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        if let Some(utf8) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            let text = format!(
                "read as UTF-8, {utf8:?}; Apache ZooKeeper reads ISO-8859-1 and would use {text:?}"
            );
            s.warn_key(Level::Warning, key, text);
            return Some(PathBuf::from(utf8));
        }
    }
    Some(path)
}

fn port(s: &mut Settings, key: Key) -> Option<u16> {
    s.value(key)?;
    let port = u16::try_from(s.opt_int(key)?);
    if port.is_err() {
        s.problem_key(key, "port out of range: expected 0 to 65535");
    }
    port.ok()
}

fn without_brackets(host: String) -> String {
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(inner) => inner.to_owned(),
        None => host,
    }
}

fn needs(s: &mut Settings, key: Key, needed: Key) {
    if s.value(key).is_some() && s.value(needed).is_none() {
        let text = format!(
            "{} is set but {} is not",
            key.spec().name,
            needed.spec().name
        );
        s.problem_key(key, text);
    }
}

fn only(s: &mut Settings, key: Key, valid: impl Fn(&str) -> bool, expected: &str) {
    if s.text(key).is_some_and(|text| !valid(&text)) {
        s.problem_key(key, expected);
    }
}

fn session_times(s: &mut Settings) -> (u32, i32, i32) {
    let tick = s.int(Key::TickTime);
    if tick <= 0 {
        s.problem_key(Key::TickTime, "expected at least 1 ms");
        return (1, 2, 20);
    }
    // Java's multiplication overflows silently; a tick so long usually ends in the error below.
    let or_ticks = |written: i32, ticks: i32| match written {
        -1 => tick.wrapping_mul(ticks),
        written => written,
    };
    let min = or_ticks(s.int(Key::MinSessionTimeout), 2);
    let max = or_ticks(s.int(Key::MaxSessionTimeout), 20);
    if min > max {
        let set = [
            Key::MinSessionTimeout,
            Key::MaxSessionTimeout,
            Key::TickTime,
        ];
        let key = set
            .into_iter()
            .find(|&key| s.value(key).is_some())
            .unwrap_or(Key::TickTime);
        let text = format!(
            "minSessionTimeout ({min} ms) must not be larger than maxSessionTimeout ({max} ms)"
        );
        s.problem_key(key, text);
    }
    (tick.unsigned_abs(), min, max)
}

fn log(s: &mut Settings) -> LogConfig {
    let force_sync = s.bool(Key::ForceSync);
    if !force_sync {
        let text = "the log is not forced to the disk: a crash of the machine can lose acknowledged \
                    writes";
        s.warn_key(Level::Danger, Key::ForceSync, text);
    }
    LogConfig {
        pre_alloc_bytes: kib(s.long(Key::PreAllocSize)),
        size_limit_bytes: kib(s.long(Key::TxnLogSizeLimit)),
        force_sync,
        fsync_warning_threshold_ms: s.long(Key::FsyncWarningThreshold),
    }
}

fn snapshot(s: &mut Settings) -> SnapshotConfig {
    let method = s.text(Key::SnapshotCompression).unwrap_or_default();
    let compression = match method.to_ascii_lowercase().as_str() {
        "gz" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "" => Compression::None,
        _ => {
            let text = format!("{method:?} means no compression: expected gz or snappy");
            s.warn_key(Level::Warning, Key::SnapshotCompression, text);
            Compression::None
        }
    };
    if s.long(Key::SnapSizeLimit) == 0 {
        let text = "0 switches this limit off here; Apache ZooKeeper 3.9.5 crashes on it";
        s.warn_key(Level::Warning, Key::SnapSizeLimit, text);
    }
    SnapshotConfig {
        snap_count: at_least(s, Key::SnapCount, 2),
        size_limit_bytes: kib(s.long(Key::SnapSizeLimit)),
        compression,
        trust_empty: s.bool(Key::SnapshotTrustEmpty),
        serialize_last_processed_zxid: s.bool(Key::SerializeLastProcessedZxid),
    }
}

fn purge(s: &mut Settings) -> PurgeConfig {
    PurgeConfig {
        retain: at_least(s, Key::SnapRetainCount, 3),
        interval_hours: positive(s.int(Key::PurgeInterval)),
        interval_is_set: s.value(Key::PurgeInterval).is_some(),
    }
}

fn auth(s: &mut Settings) -> AuthConfig {
    let skip_acl = s.bool(Key::SkipAcl);
    if skip_acl {
        s.warn_key(
            Level::Danger,
            Key::SkipAcl,
            "ACLs are not checked: every client may do all",
        );
    }
    let mut digest_enabled = s.bool(Key::DigestAuthEnabled);
    for provider in s.family(Key::AuthProvider) {
        let key = Some(provider.name.as_str());
        let origin = Some(&provider.origin);
        let text = match provider.text.strip_prefix(AUTH_CLASSES) {
            // Registered by name it exists, whatever the switch says.
            Some("DigestAuthenticationProvider") => {
                digest_enabled = true;
                continue;
            }
            Some("IPAuthenticationProvider") => continue,
            Some("SASLAuthenticationProvider") => {
                let text = "SASL is not built yet, and ignoring this key would weaken the server: \
                            remove it";
                s.problem(origin, Some((&provider.name, &provider.text)), text);
                continue;
            }
            Some("X509AuthenticationProvider") => {
                "has no effect: TLS is not built yet, so nobody has an identity of this scheme"
            }
            Some("EnsembleAuthenticationProvider" | "KeyAuthenticationProvider") => {
                "has no effect: this provider is not built yet; its scheme is refused"
            }
            _ => "has no effect: Java classes cannot be loaded; its scheme is refused, in ACLs too",
        };
        s.warn(Level::Warning, origin, key, text);
    }
    AuthConfig {
        skip_acl,
        digest_enabled,
        digest_algorithm: digest_algorithm(s),
        super_digest: s.text(Key::SuperDigest).filter(|text| !text.is_empty()),
        enforced_schemes: enforced_schemes(s, digest_enabled),
    }
}

fn digest_algorithm(s: &mut Settings) -> DigestAlgorithm {
    let name = s.text(Key::DigestAlg).unwrap_or_else(|| "SHA1".to_owned());
    DigestAlgorithm::from_name(&name).unwrap_or_else(|| {
        let text = format!(
            "unknown hash function: expected one of {}",
            Key::DigestAlg.spec().unit
        );
        s.problem_key(Key::DigestAlg, text);
        DigestAlgorithm::Sha1
    })
}

fn enforced_schemes(s: &mut Settings, digest_enabled: bool) -> Option<Vec<String>> {
    let listed = s.text(Key::EnforceAuthSchemes);
    if !s.bool(Key::EnforceAuthEnabled) {
        if listed.is_some() {
            let text = "has no effect without enforce.auth.enabled=true";
            s.warn_key(Level::Warning, Key::EnforceAuthSchemes, text);
        }
        return None;
    }
    let Some(listed) = listed else {
        let text = "enforce.auth.schemes is not set: expected the schemes that count";
        s.problem_key(Key::EnforceAuthEnabled, text);
        return None;
    };
    let schemes: Vec<String> = crate::java::split(&listed, ',')
        .iter()
        .map(|scheme| scheme.trim().to_owned())
        .collect();
    for scheme in &schemes {
        let available = scheme == "ip" || (scheme == "digest" && digest_enabled);
        if !available {
            let text = format!("scheme {scheme:?} is not available: expected ip or digest");
            s.problem_key(Key::EnforceAuthSchemes, text);
        }
    }
    if schemes.is_empty() {
        s.problem_key(Key::EnforceAuthSchemes, "expected the schemes that count");
    }
    Some(schemes)
}

fn throttle(s: &mut Settings) -> ThrottleConfig {
    let threshold = s.int(Key::LargeRequestThreshold);
    if threshold == 0 || threshold < -1 {
        s.warn_key(
            Level::Warning,
            Key::LargeRequestThreshold,
            "means -1, which is off",
        );
    }
    ThrottleConfig {
        global_outstanding_limit: s.int(Key::GlobalOutstandingLimit),
        large_request_max_bytes: at_least_one(s, Key::LargeRequestMaxBytes),
        large_request_threshold: positive(threshold),
        throttled_op_wait_time_ms: positive(s.int(Key::ThrottledOpWaitTime)),
    }
}

/// BlueThrottle: costs below the cost of a local session are raised to it, and with costs on, the
/// bucket is meant in global sessions.
fn connection_throttle(s: &mut Settings) -> ConnectionThrottleConfig {
    let weight_enabled = s.bool(Key::ConnectionThrottleWeightEnabled);
    let local = at_least_one(s, Key::ConnectionThrottleLocalWeight);
    // Java compares with the cost as it is written, be it invalid; the result is the same.
    let global = at_least_one(s, Key::ConnectionThrottleGlobalWeight).max(local);
    let renew = at_least_one(s, Key::ConnectionThrottleRenewWeight).max(local);
    let unit = if weight_enabled {
        i32::try_from(global).unwrap_or(i32::MAX)
    } else {
        1
    };
    ConnectionThrottleConfig {
        tokens: positive(s.int(Key::ConnectionThrottleTokens).saturating_mul(unit)),
        fill_time_ms: s.int(Key::ConnectionThrottleFillTime),
        fill_count: s.int(Key::ConnectionThrottleFillCount).saturating_mul(unit),
        freeze_time_ms: positive(s.int(Key::ConnectionThrottleFreezeTime)),
        drop_increase: s.double(Key::ConnectionThrottleDropIncrease),
        drop_decrease: s.double(Key::ConnectionThrottleDropDecrease),
        decrease_ratio: s.double(Key::ConnectionThrottleDecreaseRatio),
        weight_enabled,
        global_session_weight: global,
        local_session_weight: local,
        renew_session_weight: renew,
    }
}

fn four_letter_words(s: &mut Settings) -> FourLetterWords {
    let mut known = FourLetterWords {
        words: ["srvr".to_owned()].into(),
        all: false,
    };
    let listed = s.text(Key::FourLetterWhitelist).unwrap_or_default();
    for word in crate::java::split(&listed, ',') {
        match crate::settings::java_trim(word) {
            // Java looks no further: what follows is in the list anyway.
            "*" => {
                known.all = true;
                known.words.extend(FOUR_LETTER_WORDS.map(str::to_owned));
                break;
            }
            "" => {}
            word => {
                if !FOUR_LETTER_WORDS.contains(&word) {
                    let text = format!("{word:?} is no four-letter word: expected some of {}", {
                        FOUR_LETTER_WORDS.join(" ")
                    });
                    s.warn_key(Level::Warning, Key::FourLetterWhitelist, text);
                }
                known.words.insert(word.to_owned());
            }
        }
    }
    if s.bool(Key::ReadOnlyMode) {
        known.words.insert("isro".to_owned());
    }
    known
}

fn admin(s: &mut Settings) -> AdminConfig {
    let or_default =
        |s: &Settings, key: Key| s.text(key).unwrap_or_else(|| key.spec().default.to_owned());
    AdminConfig {
        enabled: s.bool(Key::AdminEnableServer),
        address: or_default(s, Key::AdminServerAddress),
        port: s.int(Key::AdminServerPort),
        idle_timeout_ms: s.int(Key::AdminIdleTimeout),
        command_url: or_default(s, Key::AdminCommandUrl),
        snapshot_enabled: s.bool(Key::AdminSnapshotEnabled),
        restore_enabled: s.bool(Key::AdminRestoreEnabled),
        rate_limiter_interval_ms: s.int(Key::AdminRateLimiterInterval),
    }
}

fn metrics(s: &mut Settings) -> MetricsConfig {
    let class = s.text(Key::MetricsProvider);
    let provider = match &class {
        None => Some(MetricsProvider::Default),
        Some(class) => METRICS_CLASSES
            .iter()
            .find(|(name, _)| name == class)
            .map(|(_, p)| *p),
    };
    if provider.is_none() {
        let names: Vec<&str> = METRICS_CLASSES.iter().map(|(name, _)| *name).collect();
        let text = format!(
            "metrics provider class was not found: expected one of {}",
            names.join(", ")
        );
        s.problem_key(Key::MetricsProvider, text);
    }
    MetricsConfig {
        provider: provider.unwrap_or(MetricsProvider::Default),
        http_host: s
            .text(Key::MetricsHttpHost)
            .unwrap_or_else(|| Key::MetricsHttpHost.spec().default.to_owned()),
        http_port: s.int(Key::MetricsHttpPort),
    }
}

/// The first line of `dataDir/myid`, not trimmed: Java refuses blanks around the number.
fn my_id(s: &mut Settings, data_dir: &Path) -> Option<i64> {
    let path = data_dir.join("myid");
    let text = match os::read_if_file(&path)? {
        Ok(bytes) => crate::properties::latin1(&bytes),
        Err(error) => {
            s.problem(None, None, format!("{}: {error}", path.display()));
            return None;
        }
    };
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    let id = crate::java::decimal(line);
    if id.is_none() {
        let text = format!(
            "{}: {line:?} is not a number, without blanks",
            path.display()
        );
        s.problem(None, None, text);
    }
    // Java's mark for "no number".
    id.filter(|&id| id != -1)
}

fn membership(s: &mut Settings, config: &Config) -> Option<Membership> {
    // The key alone does not switch this on in 3.9.5, to the surprise of those who write it.
    let multi = config.multi_address_enabled;
    let mut membership = Membership::default();
    let families = [Key::Server, Key::Group, Key::Weight];
    let values: Vec<_> = families.into_iter().flat_map(|key| s.family(key)).collect();
    if let Some(path) = &config.dynamic_config_file {
        for value in values {
            let text = "must be in the dynamic configuration file that dynamicConfigFile names";
            s.problem(Some(&value.origin), Some((&value.name, &value.text)), text);
        }
        dynamic_file(s, path, multi, &mut membership);
    } else {
        for value in values {
            if let Err(text) = membership.add(&value.name, &value.text, multi) {
                s.problem(Some(&value.origin), Some((&value.name, &value.text)), text);
            }
        }
    }
    let named = !membership.members.is_empty() || membership.hierarchical;
    (named || config.dynamic_config_file.is_some()).then_some(membership)
}

fn dynamic_file(s: &mut Settings, path: &Path, multi: bool, membership: &mut Membership) {
    let bytes = match os::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return s.problem_key(Key::DynamicConfigFile, format!("cannot be read: {error}"));
        }
    };
    for entry in s.entries(path, &bytes) {
        let origin = crate::Origin::File {
            path: path.to_owned(),
            line: entry.line,
        };
        let key = entry.key.as_str();
        let text = if key == "version" {
            "a dynamic configuration file has no version inside; the ending of its name is it"
                .to_owned()
        } else if !["server.", "group", "weight"]
            .iter()
            .any(|family| key.starts_with(family))
        {
            "unrecognised in a dynamic configuration file: expected server.N, group.G or weight.N"
                .to_owned()
        } else if let Err(text) = membership.add(key, &entry.value, multi) {
            text
        } else {
            continue;
        };
        s.problem(Some(&origin), Some((key, &entry.value)), text);
    }
    let ending = path.to_string_lossy();
    let ending = ending.rsplit_once('.').map_or("", |(_, ending)| ending);
    membership.version = i64::from_str_radix(ending, 16).unwrap_or(0);
}

/// What was proposed last. As in Java it counts only where the list in force has a file of its own.
fn next_membership(s: &mut Settings, config: &Config) -> Option<Membership> {
    config.dynamic_config_file.as_ref()?;
    let mut path = config.file.clone()?.into_os_string();
    path.push(".dynamic.next");
    let path = PathBuf::from(path);
    let read = os::read_if_file(&path)?
        .map_err(|error| error.to_string())
        .and_then(|bytes| {
            let text = crate::properties::latin1(&bytes);
            Membership::parse(&text, true).map_err(|error| error.to_string())
        });
    match read {
        Ok(next) => Some(next),
        Err(error) => {
            let text = format!(
                "{}: {error}: it holds the members that were proposed last; where another member \
                 runs it may be removed",
                path.display()
            );
            s.problem(None, None, text);
            None
        }
    }
}

/// The client address of the own member line, which must not contradict the static one.
fn own_client_address(s: &mut Settings, config: &mut Config) {
    let own = config.my_id.zip(config.membership.as_ref());
    let own = own.and_then(|(id, membership)| membership.members.get(&id));
    let Some(client) = own.and_then(|member| member.client.clone()) else {
        return;
    };
    if let Some(port) = config.client_port {
        // Names are compared as text, and only addresses can contradict each other: what a name
        // stands for is not known here.
        let address = |host: &str| host.parse::<std::net::IpAddr>().ok();
        let fixed = config.client_port_address.as_deref().unwrap_or("0.0.0.0");
        let differ = match (address(fixed), address(&client.host)) {
            (Some(fixed), Some(own)) => !fixed.is_unspecified() && fixed != own,
            _ => false,
        };
        if port != client.port || differ {
            let text = format!(
                "the client address {fixed}:{port} is different from {}:{} in the own member line",
                client.host, client.port
            );
            return s.problem_key(Key::ClientPort, text);
        }
    }
    config.client_port = Some(client.port);
    config.client_port_address = Some(client.host).filter(|host| host != "0.0.0.0");
}

/// The rules of `parseDynamicConfig` and `checkValidity`.
fn quorum(s: &mut Settings, config: &Config) -> Option<EnsembleConfig> {
    let none = Membership::default();
    let membership = config.membership.as_ref().unwrap_or(&none);
    let (participants, observers) = (membership.participants(), membership.observers());
    if let Some(id) = membership.without_group().first() {
        s.problem(
            None,
            None,
            format!("server.{id} is in no group: every voter must be in one"),
        );
    }
    if participants == 0 {
        if !config.standalone_enabled {
            let text = "with false the number of participants must be above 0: expected server.N \
                        lines";
            s.problem_key(Key::StandaloneEnabled, text);
        } else if observers > 0 {
            s.problem(
                None,
                None,
                "server.N: observers without participants are no ensemble",
            );
        }
    } else if participants == 1 && config.standalone_enabled {
        if observers > 0 {
            s.problem(
                None,
                None,
                "server.N: observers without a quorum are no ensemble",
            );
        } else {
            let text = "only one server is named: it runs standalone";
            s.warn(Level::Note, None, Some("server.N"), text);
        }
    }
    let distributed = participants > 1 || (participants > 0 && !config.standalone_enabled);
    if !distributed {
        return None;
    }
    for key in [Key::InitLimit, Key::SyncLimit] {
        if s.int(key) == 0 {
            let text = "not set: expected a number of ticks above 0, an ensemble needs it";
            s.problem_key(key, text);
        }
    }
    match config.my_id {
        None => {
            let text = format!(
                "{}: the file is missing: expected the number of this server",
                config.data_dir.join("myid").display()
            );
            s.problem(None, None, text);
        }
        Some(id) if !membership.members.contains_key(&id) => s.problems.push(Problem {
            origin: None,
            setting: None,
            text: format!("my id {id} is not in the list of members"),
            exit_code: 1,
        }),
        Some(_) => {}
    }
    let sid = config.my_id?;
    let own = membership.members.get(&sid)?;
    let ticks = |s: &Settings, key| u32::try_from(s.int(key)).unwrap_or(0);
    Some(EnsembleConfig {
        sid,
        init_limit: ticks(s, Key::InitLimit).max(1),
        sync_limit: ticks(s, Key::SyncLimit).max(1),
        connect_limit: ticks(s, Key::ConnectToLearnerMasterLimit),
        observer: own.role == Role::Observer,
        observer_master_port: u16::try_from(s.int(Key::ObserverMasterPort)).unwrap_or(0),
        reconnect_delay_ms: u64::try_from(s.int(Key::ObserverReconnectDelay)).unwrap_or(0),
        oracle_path: s.text(Key::OraclePath).map(PathBuf::from),
        listen_on_all: s.bool(Key::QuorumListenOnAllIps),
        election_connect_ms: at_least(s, Key::CnxTimeout, 1),
        min_notification_ms: at_least(s, Key::MinNotificationInterval, 1),
        max_notification_ms: at_least(s, Key::MaxNotificationInterval, 1),
        leader_serves: s.bool(Key::LeaderServes),
        keep_alive: s.bool(Key::TcpKeepAlive),
        bind_attempts: bind_attempts(s),
        greeting_ms: positive(s.int(Key::QuorumCnxnTimeout)),
        connect_retry_ms: if_set(s, Key::LeaderConnectDelay, |s, key| at_least(s, key, 1)),
        commit_log_count: if_set(s, Key::CommitLogCount, |s, key| at_least(s, key, 500)),
        snapshot_size_factor: snapshot_size_factor(s),
        force_snapshot_sync: s.bool(Key::ForceSnapshotSync),
        max_snap_syncs: at_least_one(s, Key::MaxConcurrentSnapSyncs),
        max_diff_syncs: at_least_one(s, Key::MaxConcurrentDiffSyncs),
        observer_logs: if_set(s, Key::ObserverSyncEnabled, |s, key| s.bool(key))
            .unwrap_or(s.bool(Key::SyncEnabled)),
        observer_election_delay_ms: if_set(s, Key::ObserverElectionDelay, |s, key| s.long(key))
            .map_or(0, |ms| u64::try_from(ms).unwrap_or(0)),
        reachability_ms: reachability(s, config),
    })
}

/// A key whose default is not that of Java: what it says where it says something that can be read.
fn if_set<T>(s: &mut Settings, key: Key, read: impl Fn(&mut Settings, Key) -> T) -> Option<T> {
    let text = s.text(key)?;
    key.spec().parse(&text).is_ok().then(|| read(s, key))
}

/// `QuorumCnxManager.Listener`: 0 is without an end, and what is below means the default.
fn bind_attempts(s: &mut Settings) -> Option<u32> {
    match s.int(Key::ElectionPortBindRetry) {
        0 => None,
        _ => Some(at_least_one(s, Key::ElectionPortBindRetry)),
    }
}

/// Java probes addresses where members may have several.
fn reachability(s: &mut Settings, config: &Config) -> Option<u32> {
    let checked = s.bool(Key::MultiAddressReachabilityCheckEnabled);
    let limit_ms = at_least(s, Key::MultiAddressReachabilityCheckTimeout, 1);
    (config.multi_address_enabled && checked).then_some(limit_ms)
}

/// `ZKDatabase`: what is above 1 means the default.
fn snapshot_size_factor(s: &mut Settings) -> Option<f64> {
    let factor = if_set(s, Key::SnapshotSizeFactor, |s, key| s.double(key))?;
    if factor <= 1.0 {
        return Some(factor);
    }
    let text = "is not a fraction up to 1; the default holds";
    s.warn_key(Level::Warning, Key::SnapshotSizeFactor, text);
    None
}

fn kib(number: i64) -> Option<u64> {
    positive_long(number).map(|number| number.saturating_mul(1024))
}

fn positive_long(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|&number| number > 0)
}

/// The number, raised to the least one that the server can work with.
fn at_least(s: &mut Settings, key: Key, least: u32) -> u32 {
    match u32::try_from(s.int(key)) {
        Ok(number) if number >= least => number,
        _ => {
            s.warn_key(Level::Warning, key, format!("raised to {least}, the least"));
            least
        }
    }
}

/// The number, or the default where it is below 1, as Java does with most of these.
fn at_least_one(s: &mut Settings, key: Key) -> u32 {
    positive(s.int(key)).unwrap_or_else(|| {
        let spec: &registry::KeySpec = key.spec();
        let text = format!("must be at least 1; the default holds: {}", spec.default);
        s.warn_key(Level::Warning, key, text);
        spec.default.parse().unwrap_or(1)
    })
}
