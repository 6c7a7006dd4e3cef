//! Takes the guards of the protocol away one by one, and counts the seeds until that is found.
//!
//! `mutations [--seeds N]`: at most N seeds for each guard (2000). Needs the feature `mutations`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let mut watched = Vec::new();
    for (guard, scenarios) in WATCHED {
        let name = match guard {
            #[cfg(feature = "mutations")]
            Guard::Peer(guards) => {
                let names: Vec<String> = guards.iter().map(|one| format!("{one:?}")).collect();
                names.join(" and ")
            }
            Guard::Driver(guard) => format!("{guard:?}"),
        };
        if name.contains(&only) {
            watched.extend(
                scenarios
                    .iter()
                    .map(|number| (name.clone(), guard, *number)),
            );
        }
    }
    let found = on_all_processors(&watched, |(_, guard, number)| {
        let scenario = scenario(*number);
        (1..=seeds).find_map(|seed| {
            let why = scenario.run(seed, Some(**guard)).failure?;
            Some((seed, why))
        })
    });
    for ((name, _, number), found) in watched.iter().zip(found) {
        match found {
            Some((seed, why)) => {
                let why = why.lines().next().unwrap_or_default();
                println!("{name:<34} {number:>8} {seed:>6}  {why}");
            }
            None => {
                missed += 1;
                println!("{name:<34} {number:>8} {:>6}  NOT FOUND", "-");
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
    let outcomes = on_all_processors(SCENARIOS, |scenario| {
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
        (tally, mixed, failures)
    });
    for (scenario, (tally, mixed, mut failures)) in SCENARIOS.iter().zip(outcomes) {
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

/// Runs the jobs, as many at a time as there are processors; what they return, in their order.
#[expect(
    clippy::disallowed_methods,
    reason = "each run is in one thread and repeatable"
)]
fn on_all_processors<J: Sync, R: Send>(jobs: &[J], run: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else {
                return done;
            };
            done.push((at, run(job)));
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let ended = running.into_iter();
        ended
            .flat_map(|worker| worker.join().expect("a run tells its panics"))
            .collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
