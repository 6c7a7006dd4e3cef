//! Crash points without end, or one of them again.
//!
//! `crash-points [--points N] [--seed S]`: runs until N points were checked; run `i` has the seed
//! S + i. `crash-points --run SEED [--point N]`: one run, or one point of it.

use std::process::ExitCode;
use zooid_sim::run::{Failure, Tally, run};

fn main() -> ExitCode {
    let mut points = 100_000;
    let mut seed = 1;
    let (mut only_run, mut only_point) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let Some(value) = args.next().and_then(|value| value.parse::<u64>().ok()) else {
            eprintln!("{arg} needs a number");
            return ExitCode::from(2);
        };
        match arg.as_str() {
            "--points" => points = value,
            "--seed" => seed = value,
            "--run" => only_run = Some(value),
            "--point" => only_point = Some(value),
            _ => {
                eprintln!("what is {arg}? --points N, --seed S, --run SEED, --point N");
                return ExitCode::from(2);
            }
        }
    }
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    if let Some(seed) = only_run {
        failures.extend(run(seed, only_point, &mut tally).err());
    } else {
        println!("seed {seed}, {points} points");
        while tally.points < points && failures.len() < 5 {
            failures.extend(run(seed, None, &mut tally).err());
            seed += 1;
        }
    }
    println!("{tally}");
    report(&tally, &failures, only_run.is_none() && points >= 100_000)
}

fn report(tally: &Tally, failures: &[Failure], whole: bool) -> ExitCode {
    for failure in failures {
        println!("FAIL {failure}");
    }
    let missing = if whole && failures.is_empty() {
        tally.missing()
    } else {
        Vec::new()
    };
    for what in &missing {
        println!("FAIL never seen: {what}");
    }
    let failed = (failures.len() + missing.len()) as u64;
    println!(
        "{} passed, {failed} failed",
        tally.points - failures.len() as u64
    );
    ExitCode::from(u8::from(failed > 0))
}
