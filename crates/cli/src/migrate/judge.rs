//! From what was seen to what is said about it. A pure function: every judgement is here, in
//! `releases` and in `whole`.

use std::collections::BTreeSet;

use zooid_config::{Class, find};

use super::releases;
use super::seen::{Ensemble, Kind, Seen, Server, Weight};
use super::whole;

/// What the move goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Target {
    /// Every member becomes Zooid.
    Zooid,
    /// Every member becomes Apache ZooKeeper (again).
    Java,
}

/// How much a finding matters, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// The move is possible; something may go wrong or be different.
    Risk,
    /// The move must not begin, or not go on.
    Blocker,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What it is about.
    pub(super) about: String,
    /// What was found, and why it matters.
    pub(super) text: String,
    /// What to do; empty where there is nothing to do.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn new(
        level: Level,
        about: impl Into<String>,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding {
            level,
            about: about.into(),
            text: text.into(),
            advice: advice.into(),
        }
    }
}

impl Target {
    /// Whether a server is what the move goes to.
    pub(super) fn is(self, kind: &Kind) -> bool {
        kind.is_zooid() == (self == Target::Zooid)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Target::Zooid => "Zooid",
            Target::Java => "Java",
        }
    }

    /// What the move comes from.
    pub(super) fn other(self) -> Target {
        match self {
            Target::Zooid => Target::Java,
            Target::Java => Target::Zooid,
        }
    }
}

/// All that is to be said before a move, the worst first.
pub(super) fn judge(seen: &Ensemble, to: Target) -> Vec<Finding> {
    let mut found = whole::judge(seen, None);
    quorum(seen, &mut found);
    for (member, server) in seen.serving() {
        match &server.kind {
            Kind::Java => found.extend(releases::judge(member, server, to)),
            Kind::Zooid(_) => found.push(Finding::new(
                Level::Ok,
                member.name(),
                format!("{server}, as Java {}", server.version),
                "",
            )),
        }
    }
    if to == Target::Zooid {
        settings(seen, &mut found);
        live_settings(seen, &mut found);
        schemes(seen, &mut found);
    } else {
        found.push(Finding::new(
            Level::Note,
            "Java",
            "a Java server takes seconds to start where Zooid takes milliseconds, and a step lasts as \
             long; 3.9.4 and later are without the known defects of synchronisation",
            "start the release that ran before, or 3.9.4 or later",
        ));
    }
    clients(seen, &mut found);
    words(seen, &mut found);
    found.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    found
}

/// The worst of all levels.
pub(super) fn worst(found: &[Finding]) -> Level {
    found
        .iter()
        .map(|finding| finding.level)
        .max()
        .unwrap_or(Level::Ok)
}

/// Whether this build has what a key asks for.
fn is_built(key: &str) -> bool {
    !matches!(find(key).map(|spec| spec.class), Some(Class::NotYet(..)))
}

const SASL_KEY: &str = "java.security.auth.login.config";
const QUORUM_SASL_KEY: &str = "quorum.auth.enableSasl";
const TLS_KEY: &str = "secureClientPort";
const LOCAL_SESSIONS_KEY: &str = "localSessionsEnabled";

/// Of a member that the list of members has without a client address.
pub(super) fn unwatched(id: i64) -> Finding {
    Finding::new(
        Level::Blocker,
        format!("server.{id}"),
        "is a member, and where clients reach it is not known: it cannot be watched",
        "name its host:port, too",
    )
}

fn quorum(seen: &Ensemble, found: &mut Vec<Finding>) {
    found.extend(seen.unknown.iter().map(|id| unwatched(*id)));
    if seen.is_alone() {
        return found.push(Finding::new(
            Level::Risk,
            "ensemble",
            "one server alone: its clients wait while it is replaced",
            "do it when they can wait; their sessions live on if it is back within their timeouts",
        ));
    }
    if seen.membership.is_none() {
        found.push(Finding::new(
            Level::Risk,
            "members",
            "the list of members (/zookeeper/config) could not be read: only those that are named are watched",
            "name all members",
        ));
    }
    let critical: Vec<String> = seen
        .members
        .iter()
        .filter(|member| !seen.is_observer(member) && !seen.has_quorum_without(member))
        .map(Seen::name)
        .collect();
    if critical.is_empty() {
        found.push(Finding::new(
            Level::Ok,
            "quorum",
            "there is one without any single member",
            "",
        ));
    } else {
        found.push(Finding::new(
            Level::Risk,
            "quorum",
            format!(
                "there is none without {}: writes wait while it is replaced",
                critical.join(", nor without ")
            ),
            "add a voter first, or do it when clients can wait",
        ));
    }
}

fn settings(seen: &Ensemble, found: &mut Vec<Finding>) {
    for setting in &seen.settings {
        let (level, advice) = match setting.weight {
            Weight::Refused => (
                Level::Blocker,
                "Zooid does not start with it; keep Java until it does, or do without the setting",
            ),
            Weight::Danger => (Level::Risk, "decide whether you can do without it"),
            Weight::Remark => (Level::Note, ""),
        };
        found.push(Finding::new(
            level,
            "settings",
            setting.text.clone(),
            advice,
        ));
    }
    if !seen.has_file {
        found.push(Finding::new(
            Level::Risk,
            "settings",
            "no configuration file was given, and the servers do not tell all of theirs: TLS and SASL \
             between members are seen nowhere else",
            "name a member's zoo.cfg with --config, or run `zooid check-config zoo.cfg` on each host",
        ));
    } else if seen.settings.is_empty() {
        found.push(Finding::new(
            Level::Ok,
            "settings",
            "Zooid does what the configuration file says",
            "",
        ));
    }
}

/// What the servers themselves tell of their settings.
fn live_settings(seen: &Ensemble, found: &mut Vec<Finding>) {
    for (member, server) in seen.serving() {
        if server.kind.is_zooid() {
            continue;
        }
        let conf = server.conf.told();
        let secure = conf.and_then(|conf| conf.get("secureClientPort"));
        if secure.is_some_and(|port| port != "-1") && !is_built(TLS_KEY) {
            found.push(Finding::new(
                Level::Blocker,
                member.name(),
                "serves clients by TLS, which Zooid does not have yet",
                "keep Java until it has, or move these clients to the plain port first",
            ));
        }
        if server.number("ensemble_auth_success") > Some(0) && !is_built(QUORUM_SASL_KEY) {
            found.push(Finding::new(
                Level::Blocker,
                member.name(),
                "has authenticated other members by SASL, which Zooid does not have yet",
                "keep Java until it has, or switch quorum.auth off with a rolling restart first",
            ));
        }
        if server.number("local_sessions") > Some(0) && !is_built(LOCAL_SESSIONS_KEY) {
            found.push(Finding::new(
                Level::Risk,
                member.name(),
                "has local sessions: Zooid makes all sessions global, each a write for all members",
                "see whether the ensemble bears that many writes: `zooid bench storm`",
            ));
        }
    }
}

/// Schemes that need nothing but what is there.
const PLAIN_SCHEMES: [&str; 5] = ["world", "digest", "ip", "auth", "super"];

fn schemes(seen: &Ensemble, found: &mut Vec<Finding>) {
    let Some(acls) = &seen.acls else {
        return found.push(Finding::new(
            Level::Note,
            "ACLs",
            "were not looked at: whether schemes are in use that Zooid does not have is not known",
            "",
        ));
    };
    for (scheme, nodes) in &acls.schemes {
        let (level, text, advice) = match scheme.as_str() {
            plain if PLAIN_SCHEMES.contains(&plain) => (Level::Ok, "", ""),
            "sasl" if is_built(SASL_KEY) => (Level::Ok, "", ""),
            "x509" if is_built(TLS_KEY) => (Level::Ok, "", ""),
            "sasl" | "x509" => (
                Level::Blocker,
                ", which nobody can authenticate by at a Zooid server yet: their owners lose access",
                "keep Java until they can, or change these ACLs first",
            ),
            _ => (
                Level::Blocker,
                ", which is of a provider of your own: Zooid cannot load Java classes",
                "change these ACLs first, or keep Java",
            ),
        };
        let text = format!("scheme {scheme} on {nodes} nodes{text}");
        found.push(Finding::new(level, "ACLs", text, advice));
    }
    let mut gaps = Vec::new();
    if acls.hidden > 0 {
        gaps.push(format!("{} may not be read", acls.hidden));
    }
    if acls.left > 0 {
        gaps.push(format!("{} or more were left out", acls.left));
    }
    gaps.extend(acls.broken.clone());
    if !gaps.is_empty() {
        found.push(Finding::new(
            Level::Note,
            "ACLs",
            format!(
                "of {} nodes are known; {}",
                acls.nodes - acls.hidden,
                gaps.join("; ")
            ),
            "--auth scheme:id shows more, --max-nodes N looks at more",
        ));
    }
    if acls.ttl_nodes > 0 {
        found.push(Finding::new(
            Level::Note,
            "data",
            "there are nodes with a time to live: each server needs extendedTypesEnabled",
            "where it is a -D word of JVMFLAGS, give it to Zooid, too: it reads JVMFLAGS and java.env",
        ));
    }
}

/// A session must survive that its server goes and comes.
const SHORT_SESSION_MS: u64 = 4000;

fn clients(seen: &Ensemble, found: &mut Vec<Finding>) {
    let told = seen.serving().filter_map(|(_, one)| one.clients.told());
    let (mut sessions, mut shortest, mut operations) = (0, None::<u64>, BTreeSet::new());
    for clients in told {
        sessions += clients.sessions;
        shortest = shortest.into_iter().chain(clients.shortest_ms).min();
        operations.extend(clients.operations.iter().cloned());
    }
    let Some(shortest) = shortest else { return };
    let operations: Vec<String> = operations.into_iter().collect();
    let text = format!(
        "{sessions} sessions, the shortest timeout {shortest} ms; last operations {}",
        operations.join(" ")
    );
    if shortest < SHORT_SESSION_MS {
        found.push(Finding::new(
            Level::Risk,
            "clients",
            format!("{text}: so short a session may expire while its client looks for a server"),
            "name all members in the clients' connect strings",
        ));
    } else {
        found.push(Finding::new(Level::Ok, "clients", text, ""));
    }
}

/// Words whose answers would have said more.
fn words(seen: &Ensemble, found: &mut Vec<Finding>) {
    for (member, server) in seen.serving() {
        let missing = missing_words(server);
        if missing.is_empty() {
            continue;
        }
        found.push(Finding::new(
            Level::Note,
            member.name(),
            format!(
                "does not answer {}: {}",
                missing.join(", "),
                missing
                    .iter()
                    .map(|word| use_of(word))
                    .collect::<Vec<_>>()
                    .join("; ")
            ),
            "4lw.commands.whitelist=srvr,mntr,conf,cons,hash in its zoo.cfg, at its next restart",
        ));
    }
}

fn missing_words(server: &Server) -> Vec<&'static str> {
    let all = [
        ("mntr", server.monitor.is_refused()),
        ("conf", server.conf.is_refused()),
        ("cons", server.clients.is_refused()),
        ("hash", server.digests.is_refused()),
    ];
    all.into_iter()
        .filter_map(|(word, refused)| refused.then_some(word))
        .collect()
}

fn use_of(word: &str) -> &'static str {
    match word {
        "mntr" => "sizes, followers in step and wrong digests are not seen",
        "conf" => "settings are not seen",
        "cons" => "clients are not seen",
        _ => "digests are not compared",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::seen::{Answer, Clients, Setting, Version};
    use crate::migrate::testing::{at, change, end, ensemble, one_blocker, tell};

    fn found(seen: &Ensemble) -> Vec<Finding> {
        judge(seen, Target::Zooid)
    }

    #[test]
    fn nothing_is_wrong_with_a_plain_ensemble() {
        let all = found(&ensemble());
        assert_eq!(worst(&all), Level::Ok, "{all:?}");
    }

    #[test]
    fn a_member_that_is_down_forbids_all() {
        let mut seen = ensemble();
        end(&mut seen, 1);
        one_blocker(&found(&seen), &["server.1"]);
        one_blocker(&judge(&seen, Target::Java), &["server.1"]);
        let mut seen = ensemble();
        seen.unknown = vec![5];
        one_blocker(&found(&seen), &["server.5", "not known"]);
    }

    #[test]
    fn settings_weigh_as_the_start_weighs_them() {
        let mut seen = ensemble();
        seen.settings = [Weight::Refused, Weight::Danger, Weight::Remark]
            .map(|weight| Setting {
                weight,
                text: format!("zoo.cfg:1: {weight:?}"),
            })
            .into();
        let all = found(&seen);
        one_blocker(&all, &["zoo.cfg:1: Refused"]);
        assert_eq!(at(&all, Level::Risk), ["settings: zoo.cfg:1: Danger"]);
        assert_eq!(at(&all, Level::Note), ["settings: zoo.cfg:1: Remark"]);
        // What Zooid does not have is nothing to go back to Java with.
        assert!(worst(&judge(&seen, Target::Java)) < Level::Risk);
        let mut seen = ensemble();
        seen.has_file = false;
        assert_eq!(at(&found(&seen), Level::Risk).len(), 1);
    }

    /// What is not built yet is asked of the table of settings, so that it is no blocker any more when
    /// it is.
    #[test]
    fn what_servers_tell_of_their_settings_counts() {
        let mut seen = ensemble();
        change(&mut seen, 2, |server| {
            server.conf = Answer::Told([("secureClientPort".to_owned(), "2281".to_owned())].into());
        });
        let blockers = at(&found(&seen), Level::Blocker);
        assert_eq!(blockers.is_empty(), is_built(TLS_KEY), "{blockers:?}");
        let mut seen = ensemble();
        tell(&mut seen, 3, "ensemble_auth_success", "2");
        let blockers = at(&found(&seen), Level::Blocker);
        assert_eq!(
            blockers.is_empty(),
            is_built(QUORUM_SASL_KEY),
            "{blockers:?}"
        );
        let mut seen = ensemble();
        tell(&mut seen, 3, "local_sessions", "2");
        let risks = at(&found(&seen), Level::Risk);
        assert_eq!(risks.is_empty(), is_built(LOCAL_SESSIONS_KEY), "{risks:?}");
        for key in [SASL_KEY, QUORUM_SASL_KEY, TLS_KEY, LOCAL_SESSIONS_KEY] {
            assert!(find(key).is_some(), "{key} is not in the table");
        }
    }

    #[test]
    fn schemes_that_nobody_can_authenticate_by_are_blockers() {
        let mut seen = ensemble();
        let acls = seen.acls.as_mut().unwrap();
        for scheme in ["world", "digest", "ip", "vendor"] {
            acls.schemes.insert(scheme.to_owned(), 3);
        }
        (acls.nodes, acls.hidden, acls.left) = (10, 2, 5);
        let all = found(&seen);
        one_blocker(&all, &["vendor", "3 nodes"]);
        assert_eq!(
            at(&all, Level::Note),
            ["ACLs: of 8 nodes are known; 2 may not be read; 5 or more were left out"]
        );
        seen.acls = None;
        assert_eq!(at(&found(&seen), Level::Note).len(), 1);
    }

    #[test]
    fn releases_weigh_what_is_known_of_them() {
        let worst_of = |version, to| {
            let mut seen = ensemble();
            change(&mut seen, 2, |server| server.version = version);
            worst(&judge(&seen, to))
        };
        for (version, expected) in [
            (Version(3, 4, 14), Level::Blocker),
            (Version(3, 5, 10), Level::Risk),
            (Version(3, 8, 4), Level::Risk),
            (Version(3, 8, 6), Level::Note),
            (Version(3, 9, 3), Level::Risk),
            (Version(3, 9, 5), Level::Ok),
            (Version(3, 10, 0), Level::Risk),
        ] {
            assert_eq!(worst_of(version, Target::Zooid), expected, "{version}");
        }
        // It is there already.
        assert_eq!(worst_of(Version(3, 4, 14), Target::Java), Level::Risk);
    }

    #[test]
    fn a_quorum_that_hangs_on_one_member_is_a_risk() {
        let mut seen = ensemble();
        seen.members.remove(1);
        seen.membership = zooid_config::Membership::parse(
            "server.1=a:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n",
            true,
        )
        .ok();
        tell(&mut seen, 3, "synced_followers", "1");
        let risks = at(&found(&seen), Level::Risk);
        assert!(
            risks.len() == 1 && risks[0].contains("server.1") && risks[0].contains("server.3"),
            "{risks:?}"
        );
    }

    #[test]
    fn clients_and_words_are_told() {
        let mut seen = ensemble();
        let clients = |shortest_ms| Clients {
            sessions: 2,
            shortest_ms: Some(shortest_ms),
            operations: ["ADDW".to_owned()].into(),
        };
        change(&mut seen, 1, |server| {
            server.clients = Answer::Told(clients(30_000));
        });
        change(&mut seen, 2, |server| {
            server.clients = Answer::Told(clients(2000));
        });
        let risks = at(&found(&seen), Level::Risk);
        assert!(
            risks.len() == 1 && risks[0].contains("4 sessions") && risks[0].contains("2000 ms"),
            "{risks:?}"
        );
        let mut seen = ensemble();
        change(&mut seen, 4, |server| server.clients = Answer::NotAllowed);
        let notes = at(&found(&seen), Level::Note);
        assert!(
            notes.len() == 1 && notes[0].contains("does not answer cons: clients are not seen"),
            "{notes:?}"
        );
    }
}
