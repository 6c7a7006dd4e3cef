//! What a configuration file means for Zooid: the same judgement that a start makes.

use std::path::Path;

use zooid_config::{Level, Sources, examine};

use super::seen::{Setting, Weight};
use crate::javaenv;

/// Reads a member's configuration file with the environment that stands beside it.
pub(super) fn judge(file: &Path) -> Vec<Setting> {
    // The variables of the operator's own shell are not those of the server.
    let mut env = Vec::new();
    javaenv::add(file, &mut env);
    let sources = Sources {
        file: Some(file.to_owned()),
        env,
        ..Sources::default()
    };
    let examined = examine(sources);
    let problems = examined
        .problems
        .iter()
        // A file may be looked at on a host that has no data directory.
        .filter(|problem| problem.setting.is_some() || !problem.text.contains("myid"))
        .map(|problem| Setting {
            weight: Weight::Refused,
            text: problem.to_string(),
        });
    let warnings = examined.warnings.iter().map(|warning| Setting {
        weight: match warning.level {
            Level::Danger => Weight::Danger,
            Level::Note | Level::Warning => Weight::Remark,
        },
        text: warning.to_string(),
    });
    let blind = examined.config.filter(|config| !config.digest_enabled);
    let blind = blind.map(|_| Setting {
        weight: Weight::Danger,
        text: "digest.enabled=false: members' data cannot be compared".to_owned(),
    });
    problems.chain(warnings).chain(blind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(more: &str) -> Vec<Setting> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zoo.cfg");
        let text = format!(
            "dataDir=/var/lib/zk-not-here\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n\
             server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n{more}"
        );
        std::fs::write(&file, text).unwrap();
        judge(&file)
    }

    #[test]
    fn what_stops_a_start_is_named_with_its_line() {
        let found = judged("quorum.auth.enableSasl=true\n");
        let [only] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(only.weight, Weight::Refused);
        assert!(
            only.text.contains("zoo.cfg:8: quorum.auth.enableSasl"),
            "{only:?}"
        );
    }

    #[test]
    fn without_digests_nothing_can_be_compared() {
        let found = judged("digest.enabled=false\n");
        assert!(found.iter().any(|one| one.weight == Weight::Danger));
    }

    #[test]
    fn remarks_are_made_on_another_host_too() {
        let found = judged("jvm.pause.monitor=true\n");
        assert!(
            found
                .iter()
                .any(|one| one.text.contains("jvm.pause.monitor")),
            "{found:?}"
        );
    }

    #[test]
    fn the_number_of_a_member_is_not_asked_for_on_another_host() {
        assert_eq!(judged(""), []);
    }
}
