//! What members count and measure.

use crate::world::{NEW, World, create, settings};
use std::sync::atomic::Ordering;
use zooid_node::ensemble_stats::EnsembleStats;
use zooid_proto::client::create_mode::PERSISTENT;

#[test]
fn a_leader_counts_what_it_makes_and_its_learners_what_they_get() {
    let mut world = World::new(&settings());
    let leader = world.leader().unwrap();
    let counts = |stats: &EnsembleStats| {
        [
            &stats.proposals,
            &stats.commits,
            &stats.learner_proposals,
            &stats.learner_commits,
        ]
        .map(|counter| counter.load(Ordering::Relaxed))
    };
    let times = |stats: &EnsembleStats| {
        [
            &stats.quorum_ack_ms,
            &stats.ack_creation_ms,
            &stats.proposal_ms,
            &stats.commit_ms,
            &stats.applied_ms,
        ]
        .map(|summary| summary.view().count)
    };
    let before: Vec<_> = (0..3)
        .map(|at| counts(&world.shared(at).ensemble))
        .collect();
    let (client, _) = world.client((leader + 1) % 3, NEW);
    for number in 0..5 {
        world.ask(client, &[create(&format!("/n-{number}"), PERSISTENT)]);
    }
    for (at, before) in before.into_iter().enumerate() {
        let stats = &world.shared(at).ensemble;
        let now = counts(stats);
        let more: Vec<_> = now.iter().zip(before).map(|(now, was)| now - was).collect();
        let (expected, timed) = if at == leader {
            ([5, 5, 0, 0], [5, 5, 0, 0, 5])
        } else {
            ([0, 0, 5, 5], [0, 5, 5, 5, 5])
        };
        assert_eq!(more, expected, "on {at}");
        assert_eq!(times(stats), timed, "on {at}");
        assert_eq!(stats.election_ms.view().count, 1, "on {at}");
        assert_eq!(stats.unavailable_ms.view().count, 1, "on {at}");
        let led = stats.leader_unavailable_ms.view().count;
        let followed = stats.follower_sync_ms.view().count;
        assert_eq!([led, followed], if at == leader { [1, 0] } else { [0, 1] });
    }
    let moved = world.client((leader + 1) % 3, NEW);
    world.ask(moved.0, &[create("/e", 1)]);
    let back = crate::world::Hello {
        session: moved.1,
        ..NEW
    };
    world.client((leader + 2) % 3, back);
    let asked = &world.shared(leader).ensemble.revalidations;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    world.shared(leader).ensemble.reset();
    assert_eq!(counts(&world.shared(leader).ensemble), [0; 4]);
}
