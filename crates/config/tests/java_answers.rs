//! Whole configurations against the answers of Apache ZooKeeper 3.9.5 (`QuorumPeerConfig.parse`):
//! the rules of sections 2, 3, 7 and 11 of the configuration reference, one case each.

use std::fmt::Write as _;
use std::fs;

use zooid_config::{Config, Sources};

/// Name, files and answer of each case; made by `JavaConfigs.java` beside it.
const ANSWERS: &str = include_str!("data/java-configs.jsonl");

/// Where Zooid answers differently on purpose: the case, what it says, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    (
        "secure port",
        "TLS is not built yet",
        "refused until it is built",
    ),
    (
        "sslQuorum true",
        "TLS is not built yet",
        "refused until it is built",
    ),
    (
        "negative tick with timeouts",
        "at least 1 ms",
        "no server can run with it",
    ),
    (
        "member trailing blank",
        "",
        "a blank at the end means nothing",
    ),
    (
        "dynamic blank at the end",
        "",
        "a blank at the end means nothing",
    ),
    (
        "member many addresses by key",
        "",
        "the key says what is wanted",
    ),
];

#[test]
fn sections_2_3_7_and_11_configurations_mean_what_they_mean_in_java() {
    let base = tempfile::tempdir().unwrap();
    let mut different = String::new();
    for (index, line) in ANSWERS.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = row[0].as_str().unwrap();
        let java = row[2].as_str().unwrap();
        let dir = base.path().join(index.to_string());
        let place = dir.to_str().unwrap();
        fs::create_dir_all(dir.join("data")).unwrap();
        for (file, text) in row[1].as_object().unwrap() {
            let file = if file == "myid" { "data/myid" } else { file };
            fs::write(
                dir.join(file),
                text.as_str().unwrap().replace("$DIR", place),
            )
            .unwrap();
        }
        let sources = Sources {
            file: Some(dir.join("zoo.cfg")),
            ..Sources::default()
        };
        let answer = match Config::load(sources) {
            Ok(loaded) => meaning(&loaded.config).replace(place, "$DIR"),
            Err(error) => format!("fails: {error}"),
        };
        let same = match DIFFERENT.iter().find(|(case, ..)| *case == name) {
            Some((_, "", _)) => !answer.starts_with("fails") && java.starts_with("fails"),
            Some((_, says, _)) => answer.contains(says) && !java.starts_with("fails"),
            None if java.starts_with("fails") => answer.starts_with("fails"),
            None => answer == java,
        };
        if !same {
            writeln!(different, "{name}\n  Java:  {java}\n  Zooid: {answer}").unwrap();
        }
    }
    assert!(different.is_empty(), "{different}");
}

/// What the Java program beside the answers prints of a configuration.
fn meaning(config: &Config) -> String {
    let or_none = |number: Option<i64>| number.map_or("none".to_owned(), |n| n.to_string());
    let mut text = format!(
        "{} port={} tick={} min={} max={} cnxns={} backlog={} retain={} id={} members={} \
         data={} log={} properties:",
        match config.ensemble {
            None => "standalone",
            Some(_) => "ensemble",
        },
        or_none(config.client_port.map(i64::from)),
        config.tick_time_ms,
        config.min_session_timeout_ms,
        config.max_session_timeout_ms,
        config.max_client_cnxns,
        config.client_port_listen_backlog,
        config.purge.retain,
        or_none(config.my_id),
        config
            .membership
            .as_ref()
            .map_or(0, |membership| membership.members.len()),
        config.data_dir.display(),
        config.data_log_dir.display(),
    );
    for name in config.properties.keys() {
        write!(text, " {name}").unwrap();
    }
    text
}
