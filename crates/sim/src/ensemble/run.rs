//! One run, its failure, and what of its plan the failure needs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::plan::Plan;
use super::world::{Tally, World};

/// A run that did not go as it must.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What went wrong.
    pub why: String,
    /// The plan, perhaps with fewer faults.
    pub plan: Plan,
    /// What happened, the last part of it.
    pub story: Vec<String>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What it did.
    pub tally: Tally,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// A sum over all that happened.
    pub trace: u64,
    /// What happened, if it was to be told.
    pub story: Vec<String>,
}

/// Runs a plan to its end.
pub fn run(plan: &Plan, story: bool) -> Outcome {
    let mut world = World::new(plan.clone(), story);
    let ended = catch_unwind(AssertUnwindSafe(|| while world.step() {}));
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let why = format!("panic: {}", text.unwrap_or_default());
        if let Some(story) = &mut world.story {
            story.push(why.clone());
        }
        world.failure.get_or_insert(why);
    }
    Outcome {
        tally: world.tally,
        failure: world.failure,
        trace: world.trace,
        story: world.story.unwrap_or_default(),
    }
}

/// Leaves out faults as long as the run still fails in the same manner; at most `runs` runs.
pub fn shrink(plan: &Plan, why: &str, runs: usize) -> Failure {
    let manner = manner(why);
    let mut best = plan.clone();
    let mut left = runs;
    let mut size = best.faults.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < best.faults.len() && left > 0 {
            let mut fewer = best.clone();
            let end = (at + size).min(fewer.faults.len());
            fewer.faults.drain(at..end);
            left -= 1;
            if run(&fewer, false)
                .failure
                .is_some_and(|why| self::manner(&why) == manner)
            {
                best = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    let again = run(&best, true);
    Failure {
        seed: best.seed,
        why: again.failure.unwrap_or_else(|| why.to_owned()),
        plan: best,
        story: again.story,
    }
}

/// The kind of a failure: its words without numbers.
fn manner(why: &str) -> String {
    let words = why
        .split_whitespace()
        .filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    let invariant = why
        .split(':')
        .find(|part| part.trim().len() <= 3)
        .unwrap_or_default();
    let words: Vec<&str> = words.take(3).collect();
    format!("{invariant} {}", words.join(" "))
}
