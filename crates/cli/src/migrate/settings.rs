//! What a configuration file means for Zooid: the same judgement that a start makes.

use std::path::Path;

use zooid_config::{Config, Level, Sources};

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
    let refused = |text: String| Setting {
        weight: Weight::Refused,
        text,
    };
    match Config::load(sources) {
        Err(error) => error
            .problems
            .iter()
            // A file may be looked at on a host that has no data directory.
            .filter(|problem| problem.setting.is_some() || !problem.text.contains("myid"))
            .map(|problem| refused(problem.to_string()))
            .collect(),
        Ok(loaded) => loaded
            .warnings
            .iter()
            .map(|warning| Setting {
                weight: match warning.level {
                    Level::Danger => Weight::Danger,
                    Level::Note | Level::Warning => Weight::Remark,
                },
                text: warning.to_string(),
            })
            .collect(),
    }
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
    fn the_number_of_a_member_is_not_asked_for_on_another_host() {
        assert_eq!(judged(""), []);
    }
}
