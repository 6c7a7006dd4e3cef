//! Ensembles for tests of judgements.

use super::judge::{Finding, Level};
use super::seen::{Answer, Ensemble, Kind, Monitor, Seen, Server, Trouble, Version};
use zooid_config::Membership;

/// Three Java voters of which the third leads, and a Java observer, all level and whole.
pub(super) fn ensemble() -> Ensemble {
    let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n";
    Ensemble {
        members: vec![
            member(1, "follower"),
            member(2, "follower"),
            member(3, "leader"),
            member(4, "observer"),
        ],
        membership: Some(Membership::parse(text, true).unwrap()),
        acls: Some(super::seen::Acls::default()),
        has_file: true,
        ..Ensemble::default()
    }
}

fn member(id: i64, mode: &str) -> Seen {
    let monitor = "zk_synced_followers\t2\nzk_synced_observers\t1\nzk_digest_mismatches_count\t0\n";
    Seen {
        address: format!("host{id}:2181"),
        id: Some(id),
        server: Ok(Server {
            kind: Kind::Java,
            version: Version(3, 9, 5),
            mode: mode.to_owned(),
            zxid: 0x1_0000_0007,
            nodes: 5,
            connections: 10,
            monitor: Answer::Told(Monitor::parse(monitor)),
            digests: Answer::Told([(0x80, 5)].into()),
            conf: Answer::Told([].into()),
            clients: Answer::Told(super::seen::Clients::default()),
        }),
    }
}

/// Changes a member that serves.
pub(super) fn change(ensemble: &mut Ensemble, id: i64, with: impl FnOnce(&mut Server)) {
    let member = ensemble.members.iter_mut().find(|one| one.id == Some(id));
    with(member.unwrap().server.as_mut().unwrap());
}

/// Sets a value of `mntr`.
pub(super) fn tell(ensemble: &mut Ensemble, id: i64, name: &str, value: &str) {
    change(ensemble, id, |server| {
        let Answer::Told(monitor) = &mut server.monitor else {
            panic!("it tells nothing");
        };
        monitor.0.insert(name.to_owned(), value.to_owned());
    });
}

/// Ends a member.
pub(super) fn end(ensemble: &mut Ensemble, id: i64) {
    let member = ensemble.members.iter_mut().find(|one| one.id == Some(id));
    member.unwrap().server = Err(Trouble::Silent("refused".to_owned()));
}

/// What is found at a level, each as one text.
pub(super) fn at(found: &[Finding], level: Level) -> Vec<String> {
    found
        .iter()
        .filter(|one| one.level == level)
        .map(|one| format!("{}: {}", one.about, one.text))
        .collect()
}

/// There is exactly one blocker, and it says this.
pub(super) fn one_blocker(found: &[Finding], parts: &[&str]) {
    let blockers = at(found, Level::Blocker);
    let [only] = blockers.as_slice() else {
        panic!("expected one blocker: {blockers:?}");
    };
    for part in parts {
        assert!(only.contains(part), "no {part:?} in {only:?}");
    }
}
