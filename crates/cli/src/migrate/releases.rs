//! What is known of the releases of Apache ZooKeeper, beside Zooid in one ensemble.

use super::judge::{Finding, Level, Target};
use super::seen::{Seen, Server, Version};

/// A span of releases and what is known of it.
struct Release {
    /// The first release, and the first behind it that is another matter.
    from: Version,
    to: Version,
    level: Level,
    /// What is known, with the numbers of ZOOKEEPER issues.
    text: &'static str,
    advice: &'static str,
}

const fn release(
    from: (u32, u32, u32),
    to: (u32, u32, u32),
    level: Level,
    text: &'static str,
    advice: &'static str,
) -> Release {
    Release {
        from: Version(from.0, from.1, from.2),
        to: Version(to.0, to.1, to.2),
        level,
        text,
        advice,
    }
}

const LOSES: &str = "may lose acknowledged writes when it crashes while it catches up (4643, 4646, \
    4785), may not be counted afterwards (4685), and fails on writes under way when it joins a Java \
    leader (4394)";
const JOINS_BADLY: &str = "fails on writes under way when it joins a Java leader (4394), not a Zooid \
    leader; must be restarted after a change from observer to voter before it leads (4352)";
const ONE_BY_ONE: &str =
    "go on: the risk is with each restart of Java, and is gone when this member is replaced";

/// All of them, without a gap.
const RELEASES: &[Release] = &[
    release(
        (0, 0, 0),
        (3, 5, 0),
        Level::Blocker,
        "is too old: it does not know the lists of members that Zooid sends",
        "upgrade Java to 3.9.5 first",
    ),
    release(
        (3, 5, 0),
        (3, 6, 0),
        Level::Risk,
        "does not know the transaction that ends a session and lists its nodes; nobody has tried it \
         beside Zooid",
        "upgrade Java to 3.9.5 first",
    ),
    release(
        (3, 6, 0),
        (3, 8, 0),
        Level::Risk,
        "speaks as 3.8 does, and nobody has tried it beside Zooid",
        "upgrade Java to 3.8.5 or 3.9.5 first",
    ),
    release((3, 8, 0), (3, 8, 5), Level::Risk, LOSES, ONE_BY_ONE),
    release((3, 8, 5), (3, 9, 0), Level::Note, JOINS_BADLY, ""),
    release((3, 9, 0), (3, 9, 2), Level::Risk, LOSES, ONE_BY_ONE),
    release((3, 9, 2), (3, 9, 3), Level::Note, JOINS_BADLY, ""),
    release(
        (3, 9, 3),
        (3, 9, 4),
        Level::Risk,
        "has a hole in what it can send to others after it has caught up without a restart since (4925)",
        "restart it before it may lead, or replace it early: --first ID",
    ),
    release(
        (3, 9, 4),
        (3, 10, 0),
        Level::Ok,
        "is what Zooid is tested with",
        "",
    ),
    release(
        (3, 10, 0),
        (u32::MAX, 0, 0),
        Level::Risk,
        "is newer than what Zooid is tested with; it may write member lines that 3.9 cannot read",
        "do not give members a secure client address (the third part of a server.N line)",
    ),
];

/// What is to be said about the release of a Java member.
pub(super) fn judge(member: &Seen, server: &Server, to: Target) -> Option<Finding> {
    let version = server.version;
    let known = RELEASES
        .iter()
        .find(|one| (one.from..one.to).contains(&version))?;
    let level = match to {
        Target::Zooid => known.level,
        // It is there already, and stays.
        Target::Java => known.level.min(Level::Risk),
    };
    let text = format!("Java {version} {}", known.text);
    Some(Finding::new(level, member.name(), text, known.advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_is_in_one_span() {
        for pair in RELEASES.windows(2) {
            assert!(pair[0].from < pair[0].to);
            assert_eq!(pair[0].to, pair[1].from);
        }
    }
}
