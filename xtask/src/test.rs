//! `cargo xtask test`: which parts run, in which order, and what is told of them.

use std::fs;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::lanes;
use crate::parts::{PARTS, Part};
use crate::run::{self, Said, State};
use crate::summary::Tally;
use crate::tools;

/// What the command line and the environment ask for.
pub(crate) struct Wish {
    parts: Vec<&'static Part>,
    list: bool,
    /// The kind of server that the suites run on.
    pub(crate) server: &'static str,
    /// Nothing may be skipped.
    ci: bool,
    /// So many suites run at the same time.
    lanes: usize,
}

/// Two suites keep two processors busy: most of their time they wait.
const LANES: usize = 2;

/// A suite whose server and installs are there, or why it cannot run.
struct Prepared {
    part: &'static Part,
    said: Said,
    state: State,
    took: Duration,
}

/// How a part went.
struct Outcome {
    name: &'static str,
    tally: Tally,
    state: State,
    took: Duration,
}

/// Runs the parts that the arguments name; true when none failed.
pub(crate) fn test(arguments: &[&str]) -> Result<bool> {
    let wish = Wish::read(arguments)?;
    if wish.list {
        for part in &wish.parts {
            println!(
                "{:<13} {} (at most {} min)",
                part.name,
                part.about,
                part.limit_s / 60
            );
        }
        return Ok(true);
    }
    let logs = run::logs();
    fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let start = Instant::now();
    let mut downloads = Some(download_ahead(&wish));
    let mut ready = |part: &Part| {
        if (part.downloads() || part.tools.iter().any(|tool| tools::asks_debian(tool)))
            && let Some(downloads) = downloads.take()
        {
            // Two installs of one suite would be in each other's way, and so would two uses of
            // Debian's package manager.
            if !downloads.is_finished() {
                println!("       waiting for downloads");
            }
            downloads
                .join()
                .expect("the thread of the downloads does not panic");
        }
    };
    let (suites, first): (Vec<&Part>, Vec<&Part>) =
        wish.parts.iter().partition(|part| part.needs_server());
    let mut outcomes: Vec<Outcome> = Vec::new();
    for part in first {
        ready(part);
        println!("       {}: {}", part.name, part.about);
        outcomes.push(examine(prepare(part), &wish));
    }
    let built = !outcomes.iter().any(|o| o.name == "build" && o.failed());
    // Installs first: a compiler beside a suite would take the processors from it.
    let mut prepared = Vec::new();
    for part in suites {
        if built {
            ready(part);
            println!("       {}: install", part.name);
            prepared.push(prepare(part));
        } else {
            prepared.push(Prepared::failed(part, "there is no server to test"));
        }
    }
    outcomes.extend(lanes::run(
        wish.lanes,
        prepared,
        |suite| suite.part.alone(),
        |suite| {
            println!("       {}: {}", suite.part.name, suite.part.about);
            examine(suite, &wish)
        },
    ));
    print_table(&outcomes, start.elapsed());
    Ok(!outcomes.iter().any(Outcome::failed))
}

impl Wish {
    fn read(arguments: &[&str]) -> Result<Wish> {
        let mut wish = Wish {
            parts: Vec::new(),
            list: false,
            server: "zooid",
            ci: std::env::var("CI").is_ok_and(|value| value == "true"),
            lanes: LANES,
        };
        let mut names = Vec::new();
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            match word {
                "--list" => wish.list = true,
                "--lanes" => {
                    let count = words.next().and_then(|count| count.parse().ok());
                    wish.lanes = count.context("--lanes needs a number")?;
                }
                "--against" => match words.next() {
                    Some(&"java") => wish.server = "java",
                    Some(&"zooid") => wish.server = "zooid",
                    _ => bail!("--against needs a kind of server: java or zooid"),
                },
                name if PARTS.iter().any(|part| part.name == name) => names.push(name),
                _ => {
                    let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
                    bail!("unknown part {word}; there are: {}", known.join(" "));
                }
            }
        }
        let named = |part: &Part| names.is_empty() || names.contains(&part.name);
        // A suite must not test yesterday's server.
        let server = std::env::var_os("ZOOID").is_none()
            && PARTS.iter().any(|part| named(part) && part.needs_server());
        wish.parts = PARTS
            .iter()
            .filter(|part| named(part) || server && part.name == "build")
            .collect();
        Ok(wish)
    }
}

impl Outcome {
    fn failed(&self) -> bool {
        matches!(self.state, State::Failed(_))
    }

    fn word(&self) -> &'static str {
        match self.state {
            State::Passed => "ok",
            State::Failed(_) => "FAIL",
            State::Skipped(_) => "skip",
        }
    }
}

/// Runs the installs that only wait for the network while the first parts use the processor. Their
/// failures are told by the parts themselves, which install again.
fn download_ahead(wish: &Wish) -> JoinHandle<()> {
    let parts: Vec<&'static Part> = wish
        .parts
        .iter()
        .copied()
        .filter(|part| part.downloads())
        .collect();
    std::thread::spawn(move || {
        for part in parts {
            if part.tools.iter().all(|tool| tools::is_there(tool)) {
                run::download(part);
            }
        }
    })
}

fn prepare(part: &'static Part) -> Prepared {
    let start = Instant::now();
    let mut said = Said::default();
    let state =
        run::prepare(part, &mut said).unwrap_or_else(|error| State::Failed(format!("{error:#}")));
    Prepared {
        part,
        said,
        state,
        took: start.elapsed(),
    }
}

impl Prepared {
    fn failed(part: &'static Part, why: &str) -> Prepared {
        Prepared {
            part,
            said: Said::default(),
            state: State::Failed(why.to_string()),
            took: Duration::ZERO,
        }
    }
}

/// Runs what is prepared, and tells how it went.
fn examine(prepared: Prepared, wish: &Wish) -> Outcome {
    let Prepared {
        part,
        mut said,
        state,
        took,
    } = prepared;
    let start = Instant::now();
    let (mut tally, mut state) = match state {
        State::Passed => run::attempt(part, wish.server, &mut said)
            .unwrap_or_else(|error| (Tally::default(), State::Failed(format!("{error:#}")))),
        state => (Tally::default(), state),
    };
    // A part that does not count its checks is one check.
    match &state {
        State::Failed(_) if tally.failed == 0 => tally.failed = 1,
        State::Skipped(_) => tally.skipped = 1,
        State::Passed if tally == Tally::default() => tally.passed = 1,
        _ => {}
    }
    if wish.ci && tally.skipped > 0 {
        tally.failed += std::mem::take(&mut tally.skipped);
        state = match state {
            State::Failed(why) => State::Failed(why),
            State::Skipped(why) => State::Failed(format!("skipped, which CI=true forbids: {why}")),
            State::Passed => State::Failed("CI=true forbids to skip checks".to_string()),
        };
    }
    let outcome = Outcome {
        name: part.name,
        tally,
        state,
        took: took + start.elapsed(),
    };
    println!("{}{:<6} {}", said.0, outcome.word(), describe(&outcome));
    outcome
}

fn describe(outcome: &Outcome) -> String {
    let Tally {
        passed,
        failed,
        skipped,
    } = outcome.tally;
    let mut text = format!("{}: {passed} passed, {failed} failed", outcome.name);
    if skipped > 0 {
        text += &format!(", {skipped} skipped");
    }
    text += &format!(" in {}", duration(outcome.took));
    if let State::Failed(why) | State::Skipped(why) = &outcome.state {
        text += &format!(": {why}");
    }
    text
}

fn print_table(outcomes: &[Outcome], took: Duration) {
    println!(
        "\n       {:<13}{:>8}{:>8}{:>8}{:>9}",
        "part", "passed", "failed", "skipped", "time"
    );
    let mut sum = Tally::default();
    for outcome in outcomes {
        let Tally {
            passed,
            failed,
            skipped,
        } = outcome.tally;
        println!(
            "{:<6} {:<13}{passed:>8}{failed:>8}{skipped:>8}{:>9}",
            outcome.word(),
            outcome.name,
            duration(outcome.took)
        );
        sum += outcome.tally;
    }
    println!("{:<44}{:>9}", "", duration(took));
    println!(
        "{} passed, {} failed, {} skipped",
        sum.passed, sum.failed, sum.skipped
    );
}

/// As `4.2s` or `12m 07s`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        seconds => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        Wish::read(arguments)
            .unwrap()
            .parts
            .iter()
            .map(|part| part.name)
            .collect()
    }

    #[test]
    fn parts_run_in_the_order_of_the_table() {
        assert_eq!(names(&["fmt", "tidy"]), ["tidy", "fmt"]);
        assert_eq!(names(&[]).len(), PARTS.len());
    }

    #[test]
    fn suites_follow_what_runs_alone_before_them() {
        let first = PARTS.iter().take_while(|part| !part.needs_server());
        let first: Vec<_> = first.map(|part| part.name).collect();
        assert_eq!(first.first(), Some(&"tidy"));
        assert!(first.contains(&"build"));
        let suites = PARTS.iter().filter(|part| part.needs_server());
        assert_eq!(first.len() + suites.count(), PARTS.len());
    }

    #[test]
    fn a_suite_without_a_server_has_failed() {
        let wish = Wish::read(&["words"]).unwrap();
        let words = PARTS.iter().find(|part| part.name == "words").unwrap();
        let outcome = examine(Prepared::failed(words, "there is no server"), &wish);
        assert!(outcome.failed());
        assert_eq!(outcome.tally.failed, 1);
    }

    #[test]
    fn a_word_that_is_no_part_is_named() {
        let error = Wish::read(&["tidi"]).err().unwrap().to_string();
        assert!(error.contains("unknown part tidi"), "{error}");
        assert!(Wish::read(&["--against", "etcd"]).is_err());
    }

    #[test]
    fn times_are_short() {
        assert_eq!(duration(Duration::from_millis(4230)), "4.2s");
        assert_eq!(duration(Duration::from_secs(727)), "12m 07s");
    }
}
