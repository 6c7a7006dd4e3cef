//! Takes the guards of the protocol away one by one, and counts the seeds until that is found.
//!
//! `mutations [--seeds N]`: at most N seeds for each guard (300). Needs the feature `mutations`.

use std::process::ExitCode;

use zooid_sim::ensemble::scenarios::{Guard, WATCHED, scenario};

fn main() -> ExitCode {
    let mut seeds = 300;
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
    let mut missed = 0;
    println!("{:<24} {:>8} {:>6}  found as", "guard", "scenario", "seeds");
    for (guard, scenarios) in WATCHED {
        let name = match guard {
            #[cfg(feature = "mutations")]
            Guard::Peer(guards) => format!("{:?}", guards[0]),
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
                    println!("{name:<24} {number:>8} {seed:>6}  {why}");
                }
                None => {
                    missed += 1;
                    println!("{name:<24} {number:>8} {:>6}  NOT FOUND", "-");
                }
            }
        }
    }
    println!("{} guards, {missed} not found", WATCHED.len());
    ExitCode::from(u8::from(missed > 0))
}
