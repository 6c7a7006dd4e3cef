//! What the logs of the parts say: sums, failed checks, skipped checks.

use std::ops::AddAssign;

/// Numbers of checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The sum of a suite: its last line `N passed, M failed`, and its lines `skip NAME: why`.
pub(crate) fn of_suite(log: &str) -> Option<Tally> {
    let (passed, failed) = log.lines().rev().find_map(|line| {
        let (passed, failed) = line.trim().split_once(" passed, ")?;
        Some((
            passed.parse().ok()?,
            failed.strip_suffix(" failed")?.parse().ok()?,
        ))
    })?;
    Some(Tally {
        passed,
        failed,
        skipped: skips(log).count() as u64,
    })
}

/// The sum of all `test result:` lines of `cargo test`.
pub(crate) fn of_cargo_test(log: &str) -> Option<Tally> {
    let mut sum = None;
    for line in log.lines().filter(|line| line.starts_with("test result: ")) {
        let count = |what: &str| {
            let before = line.split(what).next()?;
            before.split_whitespace().next_back()?.parse::<u64>().ok()
        };
        *sum.get_or_insert(Tally::default()) += Tally {
            passed: count(" passed")?,
            failed: count(" failed")?,
            skipped: count(" ignored")?,
        };
    }
    sum
}

/// The lines that name a check that did not run, and the reason.
pub(crate) fn skips(log: &str) -> impl Iterator<Item = &str> {
    log.lines()
        .filter(|line| line.starts_with("skip ") || line.ends_with(" ... ignored"))
}

/// The lines that name what failed.
pub(crate) fn failures(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| {
        line.starts_with("FAIL ") || line.starts_with("test ") && line.ends_with(" ... FAILED")
    })
}

/// What the panics of `cargo test` say, without backtraces. Of each thread the last one, because
/// proptest panics at every step on its way to the shortest case.
pub(crate) fn panics(log: &str) -> Vec<&str> {
    const LINES: usize = 8;
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut left = 0;
    for line in log.lines() {
        if line.starts_with("thread '")
            && let Some((thread, _)) = line.split_once(" panicked at ")
        {
            found.retain(|(name, _)| *name != thread);
            found.push((thread, Vec::new()));
            left = LINES;
        } else if line.is_empty() || line.starts_with("stack backtrace:") {
            left = 0;
        }
        if left > 0 {
            found.last_mut().expect("a panic has begun").1.push(line);
            left -= 1;
        }
    }
    found.into_iter().flat_map(|(_, lines)| lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_counted_by_its_last_sum() {
        let log = "ok a\nskip b: no such thing\n1 passed, 9 failed\nok c\n12 passed, 3 failed\nbye";
        assert_eq!(
            of_suite(log),
            Some(Tally {
                passed: 12,
                failed: 3,
                skipped: 1
            })
        );
        assert_eq!(of_suite("ok a\nsome passed, none failed\n"), None);
    }

    #[test]
    fn the_results_of_cargo_are_added() {
        let log = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                   test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            of_cargo_test(log),
            Some(Tally {
                passed: 15,
                failed: 2,
                skipped: 1
            })
        );
        assert_eq!(of_cargo_test("error: could not compile"), None);
    }

    #[test]
    fn failures_are_found_in_both_forms() {
        let log = "ok a\nFAIL b: why\ntest c::d ... FAILED\ntest e ... ok\nFAILED";
        let found: Vec<&str> = failures(log).collect();
        assert_eq!(found, ["FAIL b: why", "test c::d ... FAILED"]);
    }

    #[test]
    fn the_last_panic_of_each_test_is_shown() {
        let log = "thread 'a' (12) panicked at a.rs:1:2:\nearlier\n\n\
                   test a ... FAILED\n\nthread 'a' (12) panicked at a.rs:1:2:\nnot so\n\
                   stack backtrace:\n 0: b\n\nthread 'c' panicked at c.rs:3:4:\nbad\n";
        let shown = ["thread 'a' (12) panicked at a.rs:1:2:", "not so"];
        assert_eq!(panics(log)[..2], shown);
        assert_eq!(panics(log).len(), 4);
    }
}
