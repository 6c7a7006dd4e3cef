//! Ensembles under faults, scenario by scenario of the protocol's specification, and what makes the
//! simulator worth believing: the same seed is the same run, and a guard that is missing is found.
//! `docs/zab.md` has the list, with those that are tested elsewhere.

use std::path::Path;

use zooid_sim::ensemble::plan::{Fault, Kind, Plan};
use zooid_sim::ensemble::run::{run, shrink};
use zooid_sim::ensemble::scenarios::{Driver, Guard, SCENARIOS, scenario};

/// A shorter storm than the suite has: these run unoptimised.
fn short(number: u8, seed: u64) -> Plan {
    let mut plan = scenario(number).plan(seed);
    plan.storm_us = plan.storm_us.min(5_000_000);
    plan.faults.retain(|fault| fault.at_us < 5_000_000);
    plan
}

fn survives(number: u8) {
    survives_with(number, short(number, 1));
}

fn survives_with(number: u8, plan: Plan) {
    let outcome = run(&plan, false);
    if let Some(why) = outcome.failure {
        let failure = shrink(&plan, &why, 20);
        panic!(
            "scenario {number}: {}\n{}\n{:#?}",
            failure.why,
            failure.plan.summary(),
            failure.plan.faults
        );
    }
    assert!(outcome.tally.answered > 0, "nobody got an answer");
}

macro_rules! scenarios {
    ($($number:literal $name:ident)*) => {
        $(#[test] fn $name() { survives($number); })*

        #[test]
        fn every_scenario_has_a_test() {
            let named = [$($number),*];
            let all: Vec<u8> = SCENARIOS.iter().map(|scenario| scenario.number).collect();
            assert_eq!(named.as_slice(), all);
        }
    };
}

scenarios! {
    1 s01_power_loss_after_the_acknowledgement_of_a_history
    2 s02_crash_between_history_and_epoch
    3 s03_transactions_under_way_while_a_learner_joins
    4 s04_commit_between_newleader_and_uptodate
    5 s05_a_state_that_breaks_off
    6 s06_a_truncation_and_a_lost_connection
    7 s07_a_tail_that_nobody_else_has
    8 s08_a_truncation_to_where_the_log_was_purged
    9 s09_power_loss_after_a_truncation
    10 s10_a_log_with_a_state_in_the_middle
    11 s11_a_follower_that_leads_without_a_restart
    13 s13_role_changes_while_the_disk_is_busy
    14 s14_a_disk_that_fails
    15 s15_two_candidates_with_one_epoch
    16 s16_learners_that_promised_more
    17 s17_observers_in_discovery
    18 s18_an_observer_becomes_a_voter
    19 s19_split_lost_and_late_votes
    20 s20_votes_without_end
    21 s21_a_voter_changes_its_mind
    22 s22_a_leader_in_a_minority
    23 s23_a_paused_follower
    24 s24_the_numbers_of_an_epoch_run_out
    25 s25_members_change
    26 s26_the_leader_is_removed
    27 s27_epochs_survive_power_loss
    28 s28_sessions_move_and_expire
    29 s29_syncs_while_leaders_change
    30 s30_slow_acknowledgements
    31 s31_members_of_java
}

/// Some of them become voters, and then their disks count (`syncEnabled=false`).
#[test]
fn observers_that_write_no_log() {
    for number in [17, 18] {
        let mut plan = short(number, 1);
        plan.observers_log = false;
        if number == 18 {
            // One of the observers changes its role again and again.
            let first = plan.voters as u64;
            let servers = (plan.voters + plan.observers) as u64;
            let joins = (1 << 32 | 1 << 34..).find(|choice| choice % servers == first);
            plan.faults.extend((2..=9).map(|half| Fault {
                at_us: half * 500_000,
                kind: Kind::Reconfig(joins.expect("one of them")),
                lasts_us: 0,
            }));
            let story = run(&plan, true).story;
            let kept = |line: &&String| line.contains("durable 4: Keep");
            assert!(story.iter().filter(kept).count() > 1, "nobody came to vote");
        }
        survives_with(number, plan);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let plan = short(25, 7);
    let (one, other) = (run(&plan, true), run(&plan, true));
    assert_eq!(one.trace, other.trace);
    assert_eq!(one.story, other.story);
    assert_ne!(one.trace, run(&short(25, 8), false).trace);
}

#[test]
fn a_failure_is_found_again_with_fewer_faults() {
    let found = (1..=20).find_map(|seed| {
        let mut plan = short(14, seed);
        plan.without = Some(Guard::Driver(Driver::DiskErrorEnds));
        let why = run(&plan, false).failure?;
        Some((plan, why))
    });
    let (plan, why) = found.expect("a disk error that nobody notices is found");
    let smaller = shrink(&plan, &why, 40);
    assert!(smaller.plan.faults.len() < plan.faults.len());
    assert!(run(&smaller.plan, false).failure.is_some());
    assert!(!smaller.story.is_empty());
}

/// The test and its file in a row of the list.
fn named(row: &str) -> Option<(&str, &str)> {
    let mut cells = row.split('|').map(str::trim).rev().skip(1);
    let file = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    let test = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    file.ends_with(".rs").then_some((test, file))
}

#[test]
fn every_scenario_is_in_the_list_with_its_test() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file of the repository");
    let page = read(&repo.join("docs/zab.md"));
    let (_, list) = page.split_once("## Scenarios").expect("the list");
    let (list, _) = list.split_once("\n## ").expect("its end");
    for number in 1..=31 {
        let row = list
            .lines()
            .find(|row| row.starts_with(&format!("| {number} |")));
        let row = row.unwrap_or_else(|| panic!("scenario {number} is not in the list"));
        assert!(named(row).is_some(), "scenario {number} has no test");
    }
    let rows: Vec<_> = list.lines().filter_map(named).collect();
    assert!(rows.len() > 30);
    for (test, file) in rows {
        let source = read(&repo.join(file));
        let definition = format!("fn {test}(");
        let by_number = source.lines().any(|line| {
            let mut words = line.split_whitespace();
            let number = words.next().is_some_and(|word| word.parse::<u8>().is_ok());
            number && words.next() == Some(test)
        });
        assert!(
            source.contains(&definition) || by_number,
            "{file} has no {test}"
        );
    }
}
