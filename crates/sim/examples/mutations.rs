//! Takes the guards of the protocol away one by one, and counts the seeds until that is found.
//!
//! `mutations [--seeds N]`: at most N seeds for each guard (2000). Needs the feature `mutations`.

use std::process::ExitCode;

use zooid_sim::ensemble::scenarios::{Guard, SCENARIOS, WATCHED, scenario};
use zooid_sim::ensemble::world::Tally;

fn main() -> ExitCode {
    let mut seeds = 2000;
    let mut only = String::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_default();
        match (arg.as_str(), value.parse::<u64>()) {
            ("--seeds", Ok(value)) => seeds = value,
            ("--only", _) => only = value,
            _ => {
                eprintln!("what is {arg}? --seeds N, --only GUARD");
                return ExitCode::from(2);
            }
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = if only.is_empty() { scenarios() } else { 0 };
    println!("{:<34} {:>8} {:>6}  found as", "guard", "scenario", "seeds");
    for (guard, scenarios) in WATCHED {
        let name = match guard {
            #[cfg(feature = "mutations")]
            Guard::Peer(guards) => {
                let names: Vec<String> = guards.iter().map(|one| format!("{one:?}")).collect();
                names.join(" and ")
            }
            Guard::Driver(guard) => format!("{guard:?}"),
        };
        if !name.contains(&only) {
            continue;
        }
        for number in *scenarios {
            let scenario = scenario(*number);
            let found = (1..=seeds).find_map(|seed| {
                let why = scenario.run(seed, Some(*guard)).failure?;
                Some((seed, why))
            });
            match found {
                Some((seed, why)) => {
                    let why = why.lines().next().unwrap_or_default().to_owned();
                    println!("{name:<34} {number:>8} {seed:>6}  {why}");
                }
                None => {
                    missed += 1;
                    println!("{name:<34} {number:>8} {:>6}  NOT FOUND", "-");
                }
            }
        }
    }
    let passed = (WATCHED.len() + SCENARIOS.len()).saturating_sub(missed);
    println!("{passed} passed, {missed} failed");
    ExitCode::from(u8::from(missed > 0))
}

/// Seeds of each scenario with all guards.
const SEEDS: u64 = 12;

/// And with members of Java among the servers.
const MIXED_SEEDS: u64 = 6;

/// Every scenario with all guards: how many fail, or do not see what they are for.
fn scenarios() -> usize {
    let mut failed = 0;
    for scenario in SCENARIOS {
        let mut tally = Tally::default();
        let mut failures = Vec::new();
        for seed in 1..=SEEDS {
            let outcome = scenario.run(seed, None);
            tally.add(&outcome.tally);
            failures.extend(outcome.failure.map(|why| format!("seed {seed}: {why}")));
        }
        let mut mixed = Tally::default();
        for seed in 1..=MIXED_SEEDS {
            let outcome = scenario.run_mixed(seed);
            mixed.add(&outcome.tally);
            failures.extend(
                outcome
                    .failure
                    .map(|why| format!("with members of Java, seed {seed}: {why}")),
            );
        }
        let unseen = scenario
            .marks
            .iter()
            .filter(|mark| !tally.marks.contains_key(**mark));
        failures.extend(unseen.map(|mark| format!("never seen: {mark}")));
        println!(
            "{} {:>2} {}: {:.1} h, {} answered writes; with members of Java {:.1} h, {}",
            if failures.is_empty() { "ok" } else { "FAIL" },
            scenario.number,
            scenario.name,
            tally.hours(),
            tally.answered,
            mixed.hours(),
            mixed.answered
        );
        for failure in &failures {
            println!("    {failure}");
        }
        failed += usize::from(!failures.is_empty());
    }
    failed
}
