//! Whether an ensemble is whole: all members serve, one leads, all are level, none differs.

use super::judge::{Finding, Level};
use super::seen::{Ensemble, Seen, Server};
use zooid_proto::zxid::counter;

/// What is to be said about it; a blocker means that it is not whole. `mark` is a zxid that all must
/// have reached.
pub(super) fn judge(seen: &Ensemble, mark: Option<i64>) -> Vec<Finding> {
    let mut found = Vec::new();
    for member in &seen.members {
        if let Err(trouble) = &member.server {
            found.push(Finding::new(
                Level::Blocker,
                member.name(),
                trouble.to_string(),
                "bring it back first: never two members at once",
            ));
        }
    }
    // Who leads may be one that nobody has named.
    if !seen.is_alone() && seen.unknown.is_empty() {
        roles(seen, &mut found);
    }
    level(seen, mark, &mut found);
    digests(seen, &mut found);
    found
}

fn roles(seen: &Ensemble, found: &mut Vec<Finding>) {
    let leaders = seen.serving().filter(|(_, one)| one.leads()).count();
    let Some((leader, server)) = seen.leader() else {
        let text = match leaders {
            0 => "nobody leads",
            _ => "more than one says that it leads: an election is not over yet",
        };
        return found.push(Finding::new(Level::Blocker, "leader", text, "wait"));
    };
    for (member, one) in seen.serving() {
        let observer = seen.is_observer(member);
        let expected = match observer {
            _ if member == leader => continue,
            true => "observer",
            false => "follower",
        };
        if one.mode != expected {
            found.push(Finding::new(
                Level::Blocker,
                member.name(),
                format!(
                    "says that it is {}, and should be {expected}",
                    article(&one.mode)
                ),
                "see its log",
            ));
        }
    }
    let synced = ["synced_followers", "synced_observers"].map(|name| server.number(name));
    // A server that is no voter, and no observer either, is neither.
    let observers = seen.members.iter().filter(|one| seen.is_observer(one));
    let observers = observers.count() as i64;
    let others = seen.members.len() as i64 - 1 - observers;
    match synced {
        [Some(followers), with_observers] => {
            let with_observers = with_observers.unwrap_or(0);
            let text = format!(
                "{followers} of {others} followers and {with_observers} of {observers} observers are in step"
            );
            let whole = followers >= others && with_observers >= observers;
            let level = if whole { Level::Ok } else { Level::Blocker };
            found.push(Finding::new(level, leader.name(), text, ""));
        }
        [None, _] => found.push(Finding::new(
            Level::Note,
            leader.name(),
            "leads, and does not tell who is in step: its mntr is not allowed; zxids are compared instead",
            "",
        )),
    }
}

fn article(mode: &str) -> String {
    match mode {
        "leader" => "the leader".to_owned(),
        "read-only" => "read-only".to_owned(),
        mode if mode.starts_with('o') => format!("an {mode}"),
        mode => format!("a {mode}"),
    }
}

fn level(seen: &Ensemble, mark: Option<i64>, found: &mut Vec<Finding>) {
    let Some(mark) = mark else { return };
    let behind: Vec<String> = seen
        .serving()
        .filter(|(_, one)| one.zxid < mark)
        .map(|(member, one)| format!("{} is at 0x{:x}", member.name(), one.zxid))
        .collect();
    found.push(if behind.is_empty() {
        Finding::new(Level::Ok, "zxid", format!("all are at 0x{mark:x}"), "")
    } else {
        let text = format!("not all are at 0x{mark:x}: {}", behind.join(", "));
        Finding::new(Level::Blocker, "zxid", text, "wait; see their logs")
    });
}

fn digests(seen: &Ensemble, found: &mut Vec<Finding>) {
    for (member, server) in seen.serving() {
        if let Some(wrong) = server
            .number("digest_mismatches_count")
            .filter(|wrong| *wrong > 0)
        {
            found.push(Finding::new(
                Level::Blocker,
                member.name(),
                format!("{wrong} transactions left its data other than the leader's: they DIFFER"),
                "find out which member is right; then stop this one, empty its version-2 directories, \
                 and start it: it gets the state of the leader",
            ));
        }
    }
    let all: Vec<(&Seen, &Server)> = seen.serving().collect();
    let mut common = None;
    let mut differ = false;
    for (at, (member, server)) in all.iter().enumerate() {
        for (other, beside) in &all[at + 1..] {
            let (Some(own), Some(its)) = (server.digests.told(), beside.digests.told()) else {
                continue;
            };
            // The newest that both have: older ones may be of a history that was truncated.
            let Some((zxid, digest)) = own.iter().rev().find(|(zxid, _)| its.contains_key(zxid))
            else {
                continue;
            };
            if its[zxid] == *digest {
                common = common.max(Some(*zxid));
                continue;
            }
            differ = true;
            found.push(Finding::new(
                Level::Blocker,
                member.name(),
                format!(
                    "has the digest {digest} at zxid 0x{zxid:x}, {} has {}: their data DIFFER",
                    other.name(),
                    its[zxid]
                ),
                "find out which of them is right; then stop the other, empty its version-2 directories, \
                 and start it: it gets the state of the leader",
            ));
        }
    }
    if differ || all.len() < 2 {
        return;
    }
    // It has made all transactions of its epoch, and each 128th leaves a digest.
    let off = seen.leader().is_some_and(|(_, one)| {
        counter(one.zxid) >= 128 && one.digests.told().is_some_and(|own| own.is_empty())
    });
    if off {
        return found.push(Finding::new(
            Level::Risk,
            "digests",
            "the leader makes none: members' data cannot be compared",
            "do without digest.enabled=false, if it is there",
        ));
    }
    let silent: Vec<String> = all
        .iter()
        .filter(|(_, one)| {
            one.number("digest_mismatches_count").is_none() && one.digests.told().is_none()
        })
        .map(|(member, _)| member.name())
        .collect();
    let mut text = match common {
        Some(zxid) => format!("equal, last at zxid 0x{zxid:x}"),
        None => "no transaction left any member's data other than the leader's".to_owned(),
    };
    if silent.is_empty() {
        return found.push(Finding::new(Level::Ok, "digests", text, ""));
    }
    if silent.len() + 1 >= all.len() {
        "cannot be compared".clone_into(&mut text);
    }
    found.push(Finding::new(
        Level::Note,
        "digests",
        format!(
            "{text}; neither mntr nor hash is told by {}",
            silent.join(", ")
        ),
        "4lw.commands.whitelist=srvr,mntr,conf,cons,hash in its zoo.cfg, at its next restart",
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::judge::worst;
    use crate::migrate::seen::Answer;
    use crate::migrate::testing::{at, change, end, ensemble, one_blocker, tell};

    const MARK: Option<i64> = Some(0x1_0000_0007);

    #[test]
    fn a_whole_ensemble_is_whole() {
        let found = judge(&ensemble(), MARK);
        assert_eq!(worst(&found), Level::Ok, "{found:?}");
        assert!(at(&found, Level::Ok).iter().any(|one| one.contains("0x80")));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut seen = ensemble();
        end(&mut seen, 2);
        one_blocker(&judge(&seen, MARK), &["server.2", "refused"]);

        let mut seen = ensemble();
        tell(&mut seen, 3, "synced_followers", "1.0");
        one_blocker(&judge(&seen, MARK), &["server.3", "1 of 2 followers"]);

        let mut seen = ensemble();
        tell(&mut seen, 3, "synced_observers", "0");
        one_blocker(&judge(&seen, MARK), &["0 of 1 observers"]);

        let mut seen = ensemble();
        change(&mut seen, 1, |server| server.zxid -= 1);
        one_blocker(&judge(&seen, MARK), &["server.1", "0x100000006"]);
        assert_eq!(worst(&judge(&seen, None)), Level::Ok);

        let mut seen = ensemble();
        change(&mut seen, 1, |server| server.mode = "read-only".to_owned());
        one_blocker(&judge(&seen, MARK), &["server.1", "read-only"]);
    }

    #[test]
    fn one_leads() {
        let mut seen = ensemble();
        change(&mut seen, 3, |server| server.mode = "follower".to_owned());
        one_blocker(&judge(&seen, MARK), &["nobody leads"]);
        let mut seen = ensemble();
        change(&mut seen, 1, |server| server.mode = "leader".to_owned());
        one_blocker(&judge(&seen, MARK), &["more than one"]);
    }

    #[test]
    fn other_data_are_seen_in_both_ways() {
        let mut seen = ensemble();
        tell(&mut seen, 1, "digest_mismatches_count", "4");
        one_blocker(
            &judge(&seen, MARK),
            &["server.1", "4 transactions", "DIFFER"],
        );

        let mut seen = ensemble();
        for id in [2, 3] {
            change(&mut seen, id, |server| {
                server.digests = Answer::NotAllowed;
            });
        }
        change(&mut seen, 4, |server| {
            server.digests = Answer::Told([(0x80, 6)].into());
        });
        one_blocker(&judge(&seen, MARK), &["digest 5", "0x80", "has 6"]);
        // They were of a history that is gone: what counts is what both had last.
        for id in [1, 4] {
            change(&mut seen, id, |server| {
                let Answer::Told(digests) = &mut server.digests else {
                    panic!("it tells no digest");
                };
                digests.insert(0x1_0000_0080, 7);
            });
        }
        assert_eq!(worst(&judge(&seen, MARK)), Level::Ok);
    }

    #[test]
    fn digests_that_nobody_makes_prove_nothing() {
        let mut seen = ensemble();
        for id in 1..=4 {
            change(&mut seen, id, |server| {
                server.digests = Answer::Told([].into());
            });
        }
        assert_eq!(worst(&judge(&seen, MARK)), Level::Ok);
        change(&mut seen, 3, |server| server.zxid = 0x1_0000_0080);
        assert_eq!(at(&judge(&seen, MARK), Level::Risk).len(), 1);
    }

    #[test]
    fn who_tells_nothing_is_not_taken_for_good() {
        let mut seen = ensemble();
        for id in 1..=4 {
            change(&mut seen, id, |server| {
                server.digests = Answer::NotAllowed;
                server.monitor = Answer::NotAllowed;
            });
        }
        let notes = at(&judge(&seen, MARK), Level::Note);
        assert!(notes.iter().any(|one| one.contains("who is in step")));
        assert!(notes.iter().any(|one| one.contains("cannot be compared")));
    }
}
