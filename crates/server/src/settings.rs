//! From the configuration to the settings of the node.

use zooid_config::{Config, ConnectionThrottleConfig};
use zooid_node::throttle::ThrottleSettings;
use zooid_node::{DigestAlgorithm, Settings};

/// The settings that a configuration gives a server.
pub fn of(config: &Config) -> Settings {
    let throttle = &config.throttle;
    let is_member = config.ensemble.is_some();
    Settings {
        tick_time_ms: i32::try_from(config.tick_time_ms).unwrap_or(i32::MAX),
        min_session_timeout_ms: config.min_session_timeout_ms,
        max_session_timeout_ms: config.max_session_timeout_ms,
        server_id: 1,
        local_sessions: is_member && config.local_sessions,
        local_sessions_upgrading: config.local_sessions_upgrading,
        read_only_mode: is_member && config.read_only_mode,
        leader_serves: config
            .ensemble
            .as_ref()
            .is_none_or(|member| member.leader_serves),
        max_frame_bytes: config.jute_max_buffer,
        extended_types: config.extended_types_enabled,
        emulate353: config.emulate_353_ttl_nodes,
        skip_acl: config.auth.skip_acl,
        super_digest: config.auth.super_digest.clone(),
        digest_auth: config.auth.digest_enabled,
        digest_algorithm: match config.auth.digest_algorithm {
            zooid_config::DigestAlgorithm::Sha1 => DigestAlgorithm::Sha1,
            zooid_config::DigestAlgorithm::Sha224 => DigestAlgorithm::Sha224,
            zooid_config::DigestAlgorithm::Sha384 => DigestAlgorithm::Sha384,
            zooid_config::DigestAlgorithm::Sha256 => DigestAlgorithm::Sha256,
            zooid_config::DigestAlgorithm::Sha512 => DigestAlgorithm::Sha512,
        },
        enforced_schemes: config.auth.enforced_schemes.clone().unwrap_or_default(),
        enforce_quota: config.enforce_quota,
        digest: config.digest_enabled,
        close_session_txn: config.close_session_txn_enabled,
        reconfig: config.reconfig_enabled,
        multi_address: config.multi_address_enabled,
        outstanding_limit: usize::try_from(throttle.global_outstanding_limit).unwrap_or(0),
        large_request_threshold: throttle.large_request_threshold.map_or(-1, i64::from),
        large_request_max_bytes: i64::from(throttle.large_request_max_bytes),
        throttled_op_wait_ms: throttle.throttled_op_wait_time_ms.map_or(0, i64::from),
        connection_throttle: connection_throttle(
            &config.connection_throttle,
            is_member && config.local_sessions,
        ),
        container_check_interval_ms: i64::from(config.container.check_interval_ms),
        container_max_per_minute: usize::try_from(config.container.max_per_minute).unwrap_or(1),
        container_max_never_used_ms: config
            .container
            .max_never_used_interval_ms
            .map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX)),
    }
}

fn connection_throttle(config: &ConnectionThrottleConfig, local: bool) -> ThrottleSettings {
    let weight = |weight: u32| {
        if config.weight_enabled {
            i64::from(weight)
        } else {
            1
        }
    };
    ThrottleSettings {
        tokens: config.tokens.map_or(0, i64::from),
        fill_time_ms: i64::from(config.fill_time_ms),
        fill_count: i64::from(config.fill_count),
        freeze_time_ms: config.freeze_time_ms.map(i64::from),
        drop_increase: config.drop_increase,
        drop_decrease: config.drop_decrease,
        decrease_ratio: config.decrease_ratio,
        new_session: weight(if local {
            config.local_session_weight
        } else {
            config.global_session_weight
        }),
        renew_session: weight(config.renew_session_weight),
    }
}
