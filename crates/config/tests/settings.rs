//! What settings mean, where they may stand, and what is said about them; the numbers are sections
//! of the configuration reference.

use std::path::PathBuf;

use zooid_config::*;

/// Loads a file with a data directory and these lines after it: line 2 is the first of them.
fn with_file(lines: &str) -> Result<Loaded, ConfigError> {
    Config::load(sources(lines, &[], &[]))
}

fn sources(lines: &str, words: &[&str], env: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some(PathBuf::from("zoo.cfg")),
        text: Some(format!("dataDir=/nowhere\n{lines}\nclientPort=2181\n").into_bytes()),
        system_properties: words
            .iter()
            .map(|word| SystemProperty::from_word(word).unwrap())
            .collect(),
        env: env
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect(),
        ..Sources::default()
    }
}

fn config(lines: &str) -> Config {
    with_file(lines)
        .unwrap_or_else(|error| panic!("{lines}: {error}"))
        .config
}

fn property(word: &str) -> Config {
    Config::load(sources("", &[word], &[]))
        .unwrap_or_else(|e| panic!("{word}: {e}"))
        .config
}

fn errors(lines: &str) -> String {
    with_file(lines).expect_err(lines).to_string()
}

/// All remarks as text, one a line.
fn remarks(lines: &str) -> String {
    let loaded = with_file(lines).unwrap_or_else(|error| panic!("{lines}: {error}"));
    let remarks: Vec<String> = loaded.warnings.iter().map(Warning::to_string).collect();
    remarks.join("\n")
}

#[test]
fn a_start_without_anything_has_the_defaults_of_apache_zookeeper() {
    let c = Config::default_standalone();
    assert_eq!((c.client_port, c.tick_time_ms), (Some(2181), 3000));
    assert_eq!(
        (c.min_session_timeout_ms, c.max_session_timeout_ms),
        (6000, 60_000)
    );
    assert_eq!(
        (c.data_dir.as_path(), &c.data_log_dir),
        ("./data".as_ref(), &c.data_dir)
    );
    assert_eq!(
        (c.max_client_cnxns, c.client_connection_limit(), c.max_cnxns),
        (60, Some(60), None)
    );
    assert_eq!(c.jute_max_buffer, 0xfffff);
    assert_eq!(c.log.pre_alloc_bytes, Some(64 << 20));
    assert_eq!((c.log.size_limit_bytes, c.log.force_sync), (None, true));
    assert_eq!(c.log.fsync_warning_threshold_ms, 1000);
    assert_eq!(
        (c.snapshot.snap_count, c.snapshot.size_limit_bytes),
        (100_000, Some(4 << 30))
    );
    assert_eq!(c.snapshot.compression, Compression::None);
    assert_eq!(
        (
            c.purge.retain,
            c.purge.interval_hours,
            c.purge.interval_is_set
        ),
        (3, None, false)
    );
    assert_eq!(
        (c.container.check_interval_ms, c.container.max_per_minute),
        (60_000, 10_000)
    );
    assert_eq!(c.container.max_never_used_interval_ms, None);
    assert!(c.digest_enabled && c.close_session_txn_enabled && c.auth.digest_enabled);
    assert!(c.snapshot.serialize_last_processed_zxid && c.datadir_autocreate && c.db_autocreate);
    assert!(!c.extended_types_enabled && !c.enforce_quota && !c.auth.skip_acl);
    assert!(!c.reconfig_enabled && !c.read_only_mode && c.standalone_enabled);
    assert_eq!(
        (&c.auth.super_digest, &c.auth.enforced_schemes),
        (&None, &None)
    );
    assert_eq!(c.auth.digest_algorithm, DigestAlgorithm::Sha1);
    assert_eq!(c.throttle.global_outstanding_limit, 1000);
    assert_eq!(
        (
            c.throttle.large_request_max_bytes,
            c.throttle.large_request_threshold
        ),
        { (100 << 20, None) }
    );
    assert_eq!(
        (
            c.throttle.throttled_op_wait_time_ms,
            c.sessionless_timeout_ms
        ),
        (None, 10_000)
    );
    assert_eq!(
        (
            c.connection_throttle.tokens,
            c.connection_throttle.freeze_time_ms
        ),
        (None, None)
    );
    assert!(c.four_letter_words.allows("srvr") && !c.four_letter_words.allows("ruok"));
    assert_eq!((c.admin.enabled, c.admin.port), (true, 8080));
    assert_eq!(c.admin.command_url, "/commands");
    assert_eq!(
        (c.metrics.provider, c.metrics.http_port),
        (MetricsProvider::Default, 7000)
    );
    let loaded = Config::load(Sources::default()).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn section_1_the_file_is_stronger_than_a_property_and_options_are_stronger_than_both() {
    let loaded = Config::load(sources("snapCount=7", &["-Dzookeeper.snapCount=9"], &[])).unwrap();
    assert_eq!(loaded.config.snapshot.snap_count, 7);
    assert_eq!(loaded.config.properties["zookeeper.snapCount"], "7");
    let said = loaded.warnings[0].to_string();
    assert!(said.contains("zoo.cfg:2 is stronger"), "{said}");

    let mut all = sources("dataLogDir=/log", &[], &[]);
    all.data_dir = Some(PathBuf::from("/option"));
    all.client_port = Some(99);
    let c = Config::load(all).unwrap().config;
    assert_eq!(
        (c.data_dir, c.data_log_dir),
        ("/option".into(), "/log".into())
    );
    assert_eq!(c.client_port, Some(99));
}

#[test]
fn section_1_a_property_does_not_replace_a_key_that_only_the_file_has() {
    let loaded = Config::load(sources(
        "",
        &["-Dzookeeper.tickTime=1", "-DclientPort=1"],
        &[],
    ));
    let loaded = loaded.unwrap();
    assert_eq!(
        (loaded.config.tick_time_ms, loaded.config.client_port),
        (3000, Some(2181))
    );
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(
        loaded.warnings[0].text.contains("configuration file"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn section_1_multi_address_is_a_key_and_a_property() {
    let line = "server.1=127.0.0.1:1:2|127.0.0.1:3:4";
    assert!(with_file(line).is_err());
    let word = "-Dzookeeper.multiAddress.enabled=true";
    assert!(Config::load(sources(line, &[word], &[])).is_ok());
    let key = format!("{line}\nmultiAddress.enabled=true");
    assert!(with_file(&key).is_ok());
    let error = Config::load(sources("", &["-Dzookeeper.multiAddress.enabled=x"], &[]));
    assert!(error.is_err());
}

#[test]
fn section_1_the_fsync_threshold_has_two_property_names() {
    assert_eq!(
        property("-Dfsync.warningthresholdms=5")
            .log
            .fsync_warning_threshold_ms,
        5
    );
    let both = [
        "-Dfsync.warningthresholdms=5",
        "-Dzookeeper.fsync.warningthresholdms=6",
    ];
    let c = Config::load(sources("", &both, &[])).unwrap().config;
    assert_eq!(c.log.fsync_warning_threshold_ms, 6);
    let c = Config::load(sources("fsync.warningthresholdms=7", &both, &[]))
        .unwrap()
        .config;
    assert_eq!(c.log.fsync_warning_threshold_ms, 7);
}

#[test]
fn section_2_numbers_in_the_property_form_are_lenient() {
    for (lines, expected) in [
        ("snapCount=abc", 100_000),
        ("snapCount=0x10", 16),
        ("snapCount=#10", 16),
        ("snapCount=010", 8),
        ("snapCount=1", 2),
        ("snapCount=-5", 2),
        ("snapCount=", 100_000),
        ("snapCount=99999999999", 100_000),
    ] {
        assert_eq!(config(lines).snapshot.snap_count, expected, "{lines}");
        assert!(remarks(lines).contains("zoo.cfg:2: snapCount: "), "{lines}");
    }
    assert_eq!(config("snapCount=50").snapshot.snap_count, 50);
    assert_eq!(remarks("snapCount=50"), "");
    // FilePadding reads decimal only.
    assert_eq!(
        config("preAllocSize=0x10").log.pre_alloc_bytes,
        Some(64 << 20)
    );
    assert_eq!(
        config("preAllocSize=16").log.pre_alloc_bytes,
        Some(16 << 10)
    );
    assert_eq!(config("preAllocSize=0").log.pre_alloc_bytes, None);
}

#[test]
fn section_2_some_properties_stop_the_start_when_they_are_no_number() {
    for lines in [
        "connection_throttle_drop_increase=x",
        "connection_throttle_drop_decrease=x",
        "connection_throttle_decrease_ratio=0,5",
        "pathStats.sampleRate=often",
        "admin.rateLimiterIntervalInMS=5m",
        "multiAddress.reachabilityCheckTimeoutMs=1s",
    ] {
        let error = errors(lines);
        assert!(
            error.starts_with(&format!("zoo.cfg:2: {lines}: expected ")),
            "{error}"
        );
    }
    // An election only: a standalone Java server does not read it.
    assert!(remarks("cnxTimeout=5s").contains("cnxTimeout"));
}

#[test]
fn section_2_booleans_in_the_property_form_are_lenient() {
    for (value, expected) in [("true", true), ("TRUE", true), ("yes", false), ("1", false)] {
        let lines = format!("extendedTypesEnabled={value}");
        assert_eq!(config(&lines).extended_types_enabled, expected, "{lines}");
        assert_eq!(remarks(&lines).is_empty(), expected, "{lines}");
    }
    assert!(!config("digest.enabled=yes").digest_enabled);
}

#[test]
fn section_2_yes_and_no_are_matched_exactly() {
    for (lines, expected) in [
        ("forceSync=no", false),
        ("forceSync=No", true),
        ("forceSync=false", true),
    ] {
        assert_eq!(config(lines).log.force_sync, expected, "{lines}");
        assert!(!remarks(lines).is_empty(), "{lines}");
    }
    for (lines, expected) in [
        ("skipACL=yes", true),
        ("skipACL=YES", false),
        ("skipACL=true", false),
    ] {
        assert_eq!(config(lines).auth.skip_acl, expected, "{lines}");
        assert!(!remarks(lines).is_empty(), "{lines}");
    }
    assert!(!config("admin.enableServer=false").admin.enabled);
    assert!(config("admin.enableServer=False").admin.enabled);
}

#[test]
fn section_2_an_unknown_key_is_named_once_with_the_nearest_known_one() {
    assert_eq!(
        remarks("tickTme=2000"),
        "zoo.cfg:2: tickTme: unknown, has no effect; did you mean tickTime?"
    );
    assert_eq!(remarks("entirelyUnheardOf=1").lines().count(), 1);
    let c = config("tickTme=2000");
    assert_eq!(c.properties["zookeeper.tickTme"], "2000");
    assert!(remarks("tickTime=1000\ntickTime=2000").contains("zoo.cfg:3: tickTime: replaces"));
}

#[test]
fn section_2_a_byte_order_mark_is_dangerous_and_said_to_be() {
    let text = b"\xef\xbb\xbftickTime=2000\ndataDir=/d\nclientPort=1\n".to_vec();
    let sources = Sources {
        text: Some(text),
        ..Sources::default()
    };
    let loaded = Config::load(sources).unwrap();
    assert_eq!(loaded.config.tick_time_ms, 3000);
    assert_eq!(loaded.warnings[0].level, Level::Danger);
    assert!(loaded.warnings[0].text.contains("byte order mark"));
}

#[test]
fn section_2_a_path_in_utf_8_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("données");
    std::fs::create_dir(&data).unwrap();
    let text = format!("dataDir={}\nclientPort=1\n", data.display());
    let sources = Sources {
        text: Some(text.into_bytes()),
        ..Sources::default()
    };
    let loaded = Config::load(sources).unwrap();
    assert_eq!(loaded.config.data_dir, data);
    assert!(
        loaded.warnings[0].text.contains("UTF-8"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn section_2_a_missing_file_is_exit_code_2() {
    let sources = Sources {
        file: Some("/no/zoo.cfg".into()),
        ..Sources::default()
    };
    let error = Config::load(sources).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/no/zoo.cfg: the configuration file is missing"
    );
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn section_3_errors_name_place_key_value_and_what_was_expected() {
    assert_eq!(
        errors("tickTime=2s"),
        "zoo.cfg:2: tickTime=2s: expected a whole number of at most 32 bits (ms, at least 1)"
    );
    assert_eq!(
        errors("reconfigEnabled=on"),
        "zoo.cfg:2: reconfigEnabled=on: expected true or false"
    );
    let all = errors("initLimit=x\nclientPortListenBacklog=y\nserver.1=a:1");
    assert_eq!(all.lines().count(), 3, "{all}");
}

#[test]
fn section_3_a_server_that_is_no_member_ends_with_1_in_java() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("myid"), "9\n").unwrap();
    let text = format!(
        "dataDir={}\nclientPort=1\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\n",
        dir.path().display()
    );
    let sources = Sources {
        text: Some(text.into_bytes()),
        ..Sources::default()
    };
    let error = Config::load(sources).unwrap_err();
    assert!(
        error
            .problems
            .iter()
            .any(|p| p.exit_code == 1 && p.text.contains("my id 9"))
    );
}

#[test]
fn section_4_1_without_a_client_port_nothing_listens() {
    let text = b"dataDir=/d\n".to_vec();
    let loaded = Config::load(Sources {
        text: Some(text),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(loaded.config.client_port, None);
    assert_eq!(loaded.warnings[0].level, Level::Danger);
    let c = config("clientPortAddress=[::1]");
    assert_eq!(c.client_port_address.as_deref(), Some("::1"));
}

#[test]
fn section_4_2_log_and_snapshots() {
    let c = config("snapSizeLimitInKb=0\ntxnLogSizeLimitInKb=100");
    assert_eq!(
        (c.snapshot.size_limit_bytes, c.log.size_limit_bytes),
        (None, Some(102_400))
    );
    assert!(remarks("snapSizeLimitInKb=0").contains("crashes"));
    for (value, compression) in [
        ("gz", Compression::Gzip),
        ("GZ", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::None),
        ("", Compression::None),
    ] {
        let lines = format!("snapshot.compression.method={value}");
        assert_eq!(config(&lines).snapshot.compression, compression, "{lines}");
    }
    let c = config("autopurge.snapRetainCount=1\nautopurge.purgeInterval=24");
    assert_eq!((c.purge.retain, c.purge.interval_hours), (3, Some(24)));
    assert!(config("autopurge.purgeInterval=0").purge.interval_is_set);
    assert_eq!(
        config("snapSizeLimitInKb=9223372036854775807")
            .snapshot
            .size_limit_bytes,
        {
            Some(u64::MAX)
                .filter(|_| true)
                .map(|_| (i64::MAX as u64).saturating_mul(1024))
        }
    );
}

#[test]
fn section_4_3_sessions_and_connections() {
    let c = property("-Djute.maxbuffer=0x200000");
    assert_eq!(c.jute_max_buffer, 0x20_0000);
    assert_eq!(config("maxCnxns=-1").max_cnxns, None);
    assert_eq!(config("maxCnxns=5").max_cnxns, Some(5));
    assert_eq!(config("maxClientCnxns=-1").client_connection_limit(), None);
    assert_eq!(
        config("nio.sessionlessCnxnTimeout=0").sessionless_timeout_ms,
        10_000
    );
    let c = property("-Dznode.container.maxNeverUsedIntervalMs=7");
    assert_eq!(c.container.max_never_used_interval_ms, Some(7));
}

#[test]
fn section_4_4_throttling() {
    let c = config("largeRequestThreshold=0\nlargeRequestMaxBytes=-1").throttle;
    assert_eq!(
        (c.large_request_threshold, c.large_request_max_bytes),
        (None, 104_857_600)
    );
    let c = config(
        "connection_throttle_tokens=10\nconnection_throttle_fill_count=2\n\
         connection_throttle_weight_enabled=true\nconnection_throttle_local_session_weight=4",
    )
    .connection_throttle;
    // A global session costs at least what a local one does, and the bucket counts global ones.
    assert_eq!((c.global_session_weight, c.renew_session_weight), (4, 4));
    assert_eq!((c.tokens, c.fill_count), (Some(40), 8));
    let c = config("connection_throttle_tokens=10").connection_throttle;
    assert_eq!(
        (c.tokens, c.drop_increase, c.drop_decrease),
        (Some(10), 0.02, 0.002)
    );
}

#[test]
fn section_4_9_authentication() {
    let digest = "DigestAuthenticationProvider.superDigest=super:abc=";
    assert_eq!(
        config(digest).auth.super_digest.as_deref(),
        Some("super:abc=")
    );
    let c = config("DigestAuthenticationProvider.digestAlg=sha-256");
    assert_eq!(c.auth.digest_algorithm, DigestAlgorithm::Sha256);
    assert!(errors("DigestAuthenticationProvider.digestAlg=ROT13").contains("SHA-256"));
    let c = config("enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip");
    assert_eq!(c.auth.enforced_schemes.unwrap(), ["digest", "ip"]);
    for lines in [
        "enforce.auth.enabled=true",
        "enforce.auth.enabled=true\nenforce.auth.schemes=",
        "enforce.auth.enabled=true\nenforce.auth.schemes=sasl",
        "enforce.auth.enabled=true\nenforce.auth.schemes=digest,world",
        "enforce.auth.enabled=true\nenforce.auth.schemes=digest\n\
         DigestAuthenticationProvider.enabled=false",
    ] {
        assert!(errors(lines).contains("enforce.auth"), "{lines}");
    }
    let again = "DigestAuthenticationProvider.enabled=false\n\
                 authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider";
    assert!(config(again).auth.digest_enabled);
    assert!(remarks("authProvider.9=com.example.Auth").contains("authProvider.9"));
}

#[test]
fn section_4_12_four_letter_words() {
    let words = config("4lw.commands.whitelist=stat, ruok,").four_letter_words;
    assert!(words.allows("stat") && words.allows("ruok") && words.allows("srvr"));
    assert!(!words.allows("mntr") && !words.all);
    let words = config("4lw.commands.whitelist=*").four_letter_words;
    assert!(FOUR_LETTER_WORDS.iter().all(|word| words.allows(word)) && words.all);
    assert!(
        property("-Dreadonlymode.enabled=true")
            .four_letter_words
            .allows("isro")
    );
    assert!(remarks("4lw.commands.whitelist=status").contains("no four-letter word"));
}

#[test]
fn section_4_13_metrics_providers() {
    let class = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
    let lines = format!("metricsProvider.className={class}\nmetricsProvider.httpPort=7001");
    let c = config(&lines).metrics;
    assert_eq!(
        (c.provider, c.http_port),
        (MetricsProvider::Prometheus, 7001)
    );
    let lines = format!("metricsProvider.className={class}\nmetricsProvider.httpPort=x");
    assert!(errors(&lines).contains("metricsProvider.httpPort=x"));
    assert!(
        !config("metricsProvider.own=1")
            .properties
            .contains_key("zookeeper.own")
    );
}

#[test]
fn section_5_the_names_of_the_manual_do_not_work() {
    for (manual, works) in MANUAL_NAMES {
        let said = remarks(&format!("{manual}=5"));
        assert!(said.contains(&format!("did you mean {works}?")), "{said}");
    }
    assert!(remarks("zookeeper.snapCount=5").contains("did you mean snapCount?"));
}

#[test]
fn section_6_some_properties_do_not_come_from_the_file() {
    for key in [
        "jute.maxbuffer",
        "readonlymode.enabled",
        "znode.container.checkIntervalMs",
        "znode.container.maxPerMinute",
        "znode.container.maxNeverUsedIntervalMs",
        "leader.nodelay",
        "java.security.auth.login.config",
    ] {
        let said = remarks(&format!("{key}=1"));
        assert!(said.contains(&format!("-D{key}=")), "{key}: {said}");
    }
    assert_eq!(config("jute.maxbuffer=1").jute_max_buffer, 0xfffff);
    assert!(!config("readonlymode.enabled=true").read_only_mode);
    let loaded = Config::load(sources("", &["-Dzookeeper.jute.maxbuffer=1"], &[])).unwrap();
    assert_eq!(loaded.config.jute_max_buffer, 0xfffff);
    assert!(
        loaded.warnings[0].text.contains("say -Djute.maxbuffer="),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn section_10_flags_of_the_environment() {
    let env = [
        (
            "SERVER_JVMFLAGS",
            "-Xmx1000m -Dzookeeper.snapCount=5 -Djute.maxbuffer=2000000",
        ),
        (
            "JVMFLAGS",
            "-Dzookeeper.snapCount=6 -Dcom.sun.management.jmxremote -XX:+UseG1GC",
        ),
        ("ZOO_DATADIR_AUTOCREATE_DISABLE", "1"),
    ];
    let loaded = Config::load(sources("", &[], &env)).unwrap();
    assert_eq!(loaded.config.snapshot.snap_count, 6);
    assert_eq!(loaded.config.jute_max_buffer, 2_000_000);
    assert!(!loaded.config.datadir_autocreate);
    let said: Vec<String> = loaded.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].contains("-Xmx1000m -XX:+UseG1GC"), "{said:?}");
    let loaded = Config::load(sources("", &["zookeeper.snapCount=8"], &env)).unwrap();
    assert_eq!(loaded.config.snapshot.snap_count, 8);
    let loaded = Config::load(sources("datadir.autocreate=true", &[], &env)).unwrap();
    assert!(loaded.config.datadir_autocreate);
}

#[test]
fn section_10_the_directory_of_the_scripts() {
    let env = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect()
    };
    let path = config_file_from_environment(&env(&[("ZOOCFGDIR", "/conf")]));
    assert_eq!(path, Some("/conf/zoo.cfg".into()));
    let path = config_file_from_environment(&env(&[("ZOOCFGDIR", "/conf"), ("ZOOCFG", "a.cfg")]));
    assert_eq!(path, Some("/conf/a.cfg".into()));
    assert_eq!(
        config_file_from_environment(&env(&[("ZOOCFG", "a.cfg")])),
        None
    );
}

#[test]
fn section_13_4_what_would_weaken_the_server_stops_the_start() {
    for lines in [
        "secureClientPort=2281",
        "client.portUnification=true",
        "sslQuorum=true",
        "portUnification=true",
        "ssl.crl=true",
        "ssl.quorum.ocsp=true",
        "ssl.context.supplier.class=a.B",
        "sessionRequireClientSASLAuth=true",
        "quorum.auth.enableSasl=true",
        "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
    ] {
        let error = errors(lines);
        assert!(
            error.starts_with(&format!("zoo.cfg:2: {lines}: ")),
            "{error}"
        );
        assert!(error.contains("not built yet"), "{error}");
    }
    let word = "-Djava.security.auth.login.config=/jaas.conf";
    let error = Config::load(sources("", &[word], &[])).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    for lines in [
        "sslQuorum=false",
        "ssl.crl=false",
        "quorum.auth.enableSasl=false",
    ] {
        assert_eq!(remarks(lines), "", "{lines}");
    }
}

#[test]
fn section_13_5_dangerous_values_are_called_so() {
    for lines in ["forceSync=no", "skipACL=yes", "audit.enable=true"] {
        let loaded = with_file(lines).unwrap();
        let dangers = loaded.warnings.iter().filter(|w| w.level == Level::Danger);
        assert_eq!(dangers.count(), 1, "{lines}: {:?}", loaded.warnings);
    }
}

#[test]
fn section_13_6_keys_without_effect_say_why_once() {
    for spec in KEYS {
        let Class::NoEffect(reason) = spec.class else {
            continue;
        };
        if spec.form == Form::CommandLine {
            continue;
        }
        let name = spec.names()[0].replace('*', "x");
        let value = match spec.kind {
            Kind::Bool if spec.default == "true" => "false",
            Kind::Bool => "true",
            Kind::StrictDouble => "0.5",
            _ => "17",
        };
        let said = remarks(&format!("{name}={value}"));
        assert_eq!(
            said,
            format!("zoo.cfg:2: {name}: has no effect here: {reason}")
        );
    }
}

#[test]
fn the_report_shows_errors_then_remarks_then_what_differs() {
    let lines = "tickTime=2000\nsnapCount=5\nDigestAuthenticationProvider.superDigest=super:x\n\
                 maxClientCnxns=60\nleaderServes=no\nflushDelay=7";
    let report = check(sources(lines, &["-Dzookeeper.enforceQuota=true"], &[]));
    assert_eq!(report.exit_code, 0, "{}", report.text);
    assert_eq!(
        report.text,
        "note: zoo.cfg:7: flushDelay: has no effect here: all that waits is flushed at once, \
         without a timer or a limit of requests\n\
         set, other than the default:\n  \
           dataDir=/nowhere  (zoo.cfg:1)\n  \
           clientPort=2181  (zoo.cfg:8)\n  \
           tickTime=2000  (zoo.cfg:2, default 3000)\n  \
           snapCount=5  (zoo.cfg:3, default 100000)\n  \
           flushDelay=7  (zoo.cfg:7, default 0)\n  \
           enforceQuota=true  (-Dzookeeper.enforceQuota (command line), default false)\n  \
           leaderServes=no  (zoo.cfg:6, default yes)\n  \
           DigestAuthenticationProvider.superDigest=***  (zoo.cfg:4)\n\
         zoo.cfg: ok, 1 remark\n"
    );
    let report = check(sources("tickTime=x\nreconfigEnabled=y", &[], &[]));
    assert_eq!(report.exit_code, 2);
    assert_eq!(
        report
            .text
            .lines()
            .filter(|line| line.starts_with("error: "))
            .count(),
        2
    );
    assert!(
        report
            .text
            .ends_with("zoo.cfg: 2 errors, the server does not start\n")
    );
}

#[test]
fn passwords_are_not_shown() {
    let report = check(sources(
        "ssl.keyStore.password=geheim\nsuperUser=x",
        &[],
        &[],
    ));
    assert!(!report.text.contains("geheim"), "{}", report.text);
}

/// Every key with values that are wrong in some way: an answer, never a panic, and each error says
/// where it is.
#[test]
fn no_value_of_any_key_makes_the_server_panic() {
    let values = [
        "",
        "-1",
        "0",
        "1",
        "true",
        "no",
        "*",
        ",",
        ":",
        ";",
        "|",
        "[",
        "]",
        "é",
        "1.5",
        "NaN",
        "=",
        "9223372036854775807",
        "-2147483648",
        "2147483647",
        "a:1:2",
        "[::1]:1:2;3",
        "\u{0}",
    ];
    for spec in KEYS {
        for name in spec.names() {
            let name = name.replace('*', "1");
            for value in values {
                let loaded = with_file(&format!("{name}={value}"));
                if let Err(error) = loaded {
                    assert!(error.to_string().contains(&name), "{name}={value}: {error}");
                }
                let word = format!("-D{}={value}", spec.properties().first().unwrap_or(&name));
                let _ = check(sources("", &[&word.replace('*', "1")], &[]));
            }
        }
    }
}

/// Java rewrites zoo.cfg when the members change: a date in a comment, keys in any order, and the
/// members in a file whose name ends with the version.
#[test]
fn section_13_6_a_file_that_java_has_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let dynamic = dir.path().join("zoo.cfg.dynamic.20000001f");
    let members = "server.1=127.0.0.1:2888:3888:participant;127.0.0.1:2181";
    std::fs::write(&dynamic, members).unwrap();
    std::fs::write(dir.path().join("myid"), "1").unwrap();
    let text = format!(
        "#Sun Mar 01 10:00:00 UTC 2026\nreconfigEnabled=true\ninitLimit=10\nsyncLimit=5\n\
         dataDir={}\ntickTime=2000\n4lw.commands.whitelist=*\ndynamicConfigFile={}\n",
        dir.path().display(),
        dynamic.display()
    );
    let sources = Sources {
        text: Some(text.into_bytes()),
        ..Sources::default()
    };
    let c = Config::load(sources).unwrap().config;
    let membership = c.membership.unwrap();
    assert_eq!(
        (membership.version, membership.members.len()),
        (0x2_0000_001f, 1)
    );
    assert_eq!(
        membership.to_string(),
        format!("{members}\nversion=20000001f")
    );
    assert_eq!(
        (c.client_port, c.client_port_address.as_deref()),
        (Some(2181), Some("127.0.0.1"))
    );
    assert!(c.reconfig_enabled);
}
