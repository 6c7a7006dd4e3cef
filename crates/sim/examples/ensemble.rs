//! Ensembles until the time is over, or one of them again.
//!
//! `ensemble [--for SECONDS] [--runs N] [--upto M] [--seed S] [--threads N]`: run `i` has the seed S + i.
//! Without `--upto`, N runs at most, until the time is over; with it, N runs whatever time they take,
//! and then others until the time is over, M in all at most. `--java none|some|mixed|only`: members of
//! Java in no run, in those whose seed says so, beside others in all, alone in all (with the feature
//! `mutations`).
//! `ensemble --run SEED`: one run, with all that happened in it. `--shrink SEED` leaves out what the
//! failure of that run does not need. `--tail N`: how many lines of the story are printed.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use zooid_sim::ensemble::plan::{Mix, Plan};
use zooid_sim::ensemble::run::{Failure, run, shrink};
use zooid_sim::ensemble::world::Tally;

/// After so many hours everything that can be seen must have been seen.
const ENOUGH_HOURS: f64 = 300.0;

/// Failures after which a series ends.
const ENOUGH: usize = 3;

fn main() -> ExitCode {
    let (mut seconds, mut seed, mut threads, mut tail) = (60, 1, 1, 60);
    let mut runs = u64::MAX;
    let (mut only, mut small) = (None, None);
    let (mut upto, mut mix) = (0, Mix::Some);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_default();
        if arg == "--java" {
            mix = match value.as_str() {
                "none" => Mix::Pure,
                "some" => Mix::Some,
                "mixed" => Mix::All,
                "only" => Mix::Java,
                _ => {
                    eprintln!("--java none|some|mixed|only");
                    return ExitCode::from(2);
                }
            };
            continue;
        }
        let Ok(value) = value.parse::<u64>() else {
            eprintln!("{arg} needs a number");
            return ExitCode::from(2);
        };
        match arg.as_str() {
            "--for" => seconds = value,
            "--runs" => runs = value,
            "--upto" => upto = value,
            "--seed" => seed = value,
            "--threads" => threads = value,
            "--tail" => tail = value as usize,
            "--run" => only = Some(value),
            "--shrink" => small = Some(value),
            _ => {
                eprintln!(
                    "what is {arg}? --for S, --runs N, --upto N, --seed N, --threads N, --java WHO, \
                     --run N, --shrink N"
                );
                return ExitCode::from(2);
            }
        }
    }
    std::panic::set_hook(Box::new(|info| {
        if let Some(place) = info.location() {
            eprintln!("panic at {place}");
        }
    }));
    if let Some(seed) = only {
        return one(&plan(seed, mix), tail);
    }
    if let Some(seed) = small {
        let plan = plan(seed, mix);
        return match run(&plan, false).failure {
            Some(why) => {
                tell(&shrink(&plan, &why, 200), tail);
                ExitCode::FAILURE
            }
            None => {
                println!("seed {seed} does not fail");
                ExitCode::SUCCESS
            }
        };
    }
    let seeds = Seeds {
        always: seed..seed.saturating_add(runs.min(upto)),
        end: seed.saturating_add(if upto > 0 { upto } else { runs }),
    };
    series(seconds, &seeds, mix, threads, tail)
}

/// The seeds of a series: the first ones whatever time it takes, then others until time is over.
struct Seeds {
    always: Range<u64>,
    end: u64,
}

fn plan(seed: u64, mix: Mix) -> Plan {
    let mut plan = Plan::of(seed);
    plan.mix(mix);
    plan
}

fn one(plan: &Plan, tail: usize) -> ExitCode {
    println!("{}", plan.summary());
    for fault in &plan.faults {
        println!("  {fault}");
    }
    let outcome = run(plan, true);
    let from = outcome.story.len().saturating_sub(tail);
    for line in &outcome.story[from..] {
        println!("{line}");
    }
    println!("{}", outcome.tally);
    println!("trace {:016x}", outcome.trace);
    match outcome.failure {
        Some(why) => {
            println!("FAIL {why}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

/// All that the threads of a series share.
struct Series {
    next: AtomicU64,
    tally: Mutex<Tally>,
    runs: AtomicU64,
    failures: Mutex<Vec<(u64, String)>>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "each run is in one thread and repeatable; the series is bounded by real time"
)]
fn series(seconds: u64, seeds: &Seeds, mix: Mix, threads: u64, tail: usize) -> ExitCode {
    let started = std::time::Instant::now();
    let seed = seeds.always.start;
    println!("seed {seed}, {seconds} s on {threads} threads");
    let all = Series {
        next: AtomicU64::new(seed),
        tally: Mutex::default(),
        runs: AtomicU64::new(0),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = all.next.fetch_add(1, Ordering::Relaxed);
                    let late = started.elapsed().as_secs() >= seconds;
                    if seed >= seeds.end || late && !seeds.always.contains(&seed) {
                        return;
                    }
                    let outcome = run(&plan(seed, mix), false);
                    all.runs.fetch_add(1, Ordering::Relaxed);
                    all.tally.lock().expect("no panic").add(&outcome.tally);
                    if let Some(why) = outcome.failure {
                        let mut failures = all.failures.lock().expect("no panic");
                        failures.push((seed, why));
                        if failures.len() >= ENOUGH {
                            return;
                        }
                    }
                    if all.failures.lock().expect("no panic").len() >= ENOUGH {
                        return;
                    }
                }
            });
        }
    });
    let tally = all.tally.into_inner().expect("no panic");
    let failures = all.failures.into_inner().expect("no panic");
    let runs = all.runs.into_inner();
    println!("{runs} runs from seed {seed} on");
    println!("{tally}");
    let mut failed = failures.len();
    for (n, (seed, why)) in failures.iter().enumerate() {
        println!("FAIL seed {seed}: {why}");
        if n == 0 {
            tell(&shrink(&plan(*seed, mix), why, 100), tail);
        }
    }
    if failures.is_empty() && tally.hours() > ENOUGH_HOURS {
        for what in tally.missing() {
            println!("FAIL never seen: {what}");
            failed += 1;
        }
    }
    println!("{} passed, {failed} failed", runs - failures.len() as u64);
    ExitCode::from(u8::from(failed > 0))
}

fn tell(failure: &Failure, tail: usize) {
    println!("{}", failure.plan.summary());
    println!("what the failure of seed {} needs:", failure.seed);
    for fault in &failure.plan.faults {
        println!("  {fault}");
    }
    let from = failure.story.len().saturating_sub(tail);
    for line in &failure.story[from..] {
        println!("{line}");
    }
    println!("FAIL {}", failure.why);
    println!(
        "again: ensemble --run {0}, ensemble --shrink {0}",
        failure.seed
    );
}
