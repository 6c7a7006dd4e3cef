//! What settings mean for a member of an ensemble.

use zooid_config::*;

/// A member of three with these lines in its file, and what is said about them.
fn loaded(lines: &str) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("myid"), "2\n").unwrap();
    let text = format!(
        "dataDir={}\nclientPort=1\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\n\
         server.3=c:1:2\n{lines}\n",
        dir.path().display()
    );
    Config::load(Sources {
        text: Some(text.into_bytes()),
        ..Sources::default()
    })
}

fn member(lines: &str) -> EnsembleConfig {
    let loaded = loaded(lines).unwrap_or_else(|error| panic!("{lines}: {error}"));
    loaded.config.ensemble.expect("a member")
}

/// How many remarks there are.
fn remarks(lines: &str) -> usize {
    loaded(lines).expect(lines).warnings.len()
}

#[test]
fn what_is_not_set_leaves_the_choice_to_the_server() {
    let m = member("");
    assert!(m.leader_serves && m.observer_logs && !m.keep_alive && !m.force_snapshot_sync);
    assert_eq!((m.commit_log_count, m.snapshot_size_factor), (None, None));
    assert_eq!((m.greeting_ms, m.connect_retry_ms), (None, None));
    assert_eq!((m.max_snap_syncs, m.max_diff_syncs), (10, 100));
    assert_eq!(m.bind_attempts, Some(3));
    assert_eq!(m.observer_election_delay_ms, 0);
    assert_eq!(m.reachability_ms, None);
}

#[test]
fn how_members_catch_up() {
    for (lines, count, said) in [
        ("commitLogCount=700", Some(700), 0),
        ("commitLogCount=500", Some(500), 0),
        ("commitLogCount=499", Some(500), 1),
        ("commitLogCount=many", None, 1),
    ] {
        assert_eq!(member(lines).commit_log_count, count, "{lines}");
        assert_eq!(remarks(lines), said, "{lines}");
    }
    for (lines, factor, said) in [
        ("snapshotSizeFactor=0.5", Some(0.5), 0),
        ("snapshotSizeFactor=0.33", Some(0.33), 0),
        ("snapshotSizeFactor=0", Some(0.0), 0),
        ("snapshotSizeFactor=-1", Some(-1.0), 0),
        ("snapshotSizeFactor=1.5", None, 1),
        ("snapshotSizeFactor=NaN", None, 1),
        ("snapshotSizeFactor=x", None, 1),
    ] {
        assert_eq!(member(lines).snapshot_size_factor, factor, "{lines}");
        assert_eq!(remarks(lines), said, "{lines}");
    }
    assert!(member("forceSnapshotSync=true").force_snapshot_sync);
    let limits = member("leader.maxConcurrentSnapSyncs=2\nleader.maxConcurrentDiffSyncs=0");
    assert_eq!((limits.max_snap_syncs, limits.max_diff_syncs), (2, 100));
}

#[test]
fn connections_between_members() {
    for (lines, attempts) in [
        ("electionPortBindRetry=0", None),
        ("electionPortBindRetry=7", Some(7)),
        ("electionPortBindRetry=-1", Some(3)),
    ] {
        assert_eq!(member(lines).bind_attempts, attempts, "{lines}");
    }
    let m = member(
        "tcpKeepAlive=true\nquorumCnxnTimeoutMs=1234\nleaderConnectDelayDuringRetryMs=50\n\
         leaderServes=no",
    );
    assert!(m.keep_alive && !m.leader_serves);
    assert_eq!((m.greeting_ms, m.connect_retry_ms), (Some(1234), Some(50)));
    assert_eq!(member("quorumCnxnTimeoutMs=-5").greeting_ms, None);
}

#[test]
fn several_addresses_are_looked_at() {
    let on = "multiAddress.enabled=true";
    assert_eq!(member(on).reachability_ms, Some(1000));
    let slow = format!("{on}\nmultiAddress.reachabilityCheckTimeoutMs=3000");
    assert_eq!(member(&slow).reachability_ms, Some(3000));
    let off = format!("{on}\nmultiAddress.reachabilityCheckEnabled=false");
    assert_eq!(member(&off).reachability_ms, None);
    let without = "multiAddress.reachabilityCheckTimeoutMs=3000";
    assert_eq!(member(without).reachability_ms, None);
    assert!(loaded("server.3=c:1:2|d:1:2").is_err());
    assert!(loaded(&format!("server.3=c:1:2|d:1:2\n{on}")).is_ok());
}

#[test]
fn observers() {
    for (lines, logs) in [
        ("syncEnabled=false", false),
        ("observer.syncEnabled=false", false),
        ("syncEnabled=false\nobserver.syncEnabled=true", true),
        ("syncEnabled=true\nobserver.syncEnabled=false", false),
    ] {
        assert_eq!(member(lines).observer_logs, logs, "{lines}");
    }
    let delay = "observer.election.DelayMs=200";
    assert_eq!(member(delay).observer_election_delay_ms, 200);
    let negative = "observer.election.DelayMs=-200";
    assert_eq!(member(negative).observer_election_delay_ms, 0);
}
