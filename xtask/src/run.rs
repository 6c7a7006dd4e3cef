//! Runs one part: its tools, its process, its log, and what the log says.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::job::{self, Ended};
use crate::parts::{Kind, Part};
use crate::summary::{self, Tally};
use crate::test::duration;
use crate::{repo, target, tidy, tools, zooid};

/// Lines of a log that are shown when its part failed.
const TAIL: usize = 50;
/// Characters of such a line. Frames that are printed in full fill screens.
const WIDTH: usize = 300;
/// Failed checks that are named above the end of the log.
const NAMED_FAILURES: usize = 40;
/// Marks the processes of a suite, so that those that it leaves behind can be found.
const MARK: &str = "XTASK_SUITE";

/// The end of a part; why it failed or did not run.
pub(crate) enum State {
    Passed,
    Failed(String),
    Skipped(String),
}

/// What is told of a part when it has ended: in one piece, because another one may run beside it.
#[derive(Default)]
pub(crate) struct Said(pub(crate) String);

impl Said {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

/// The folder of the logs.
pub(crate) fn logs() -> PathBuf {
    target().join("xtask")
}

/// Provides the tools of a part, and what the `install` of a suite makes: `Passed` when it can run.
/// Two of these at the same time would be in each other's way.
///
/// # Errors
/// When the install cannot be started.
pub(crate) fn prepare(part: &Part, said: &mut Said) -> Result<State> {
    for tool in part.tools {
        if let Err(reason) = tools::provide(tool) {
            return Ok(State::Skipped(reason));
        }
    }
    if let Kind::Suite { .. } = part.kind {
        return Ok(install(part, said)?.1);
    }
    Ok(State::Passed)
}

/// Runs a part that is prepared.
///
/// # Errors
/// When it failed before it could be counted.
pub(crate) fn attempt(part: &Part, server: &str, said: &mut Said) -> Result<(Tally, State)> {
    match &part.kind {
        Kind::Tidy => {
            let report = tidy::check()?;
            let state = match report.problems.as_slice() {
                [] => State::Passed,
                problems => State::Failed(problems.join("\n       ")),
            };
            Ok((report.tally, state))
        }
        Kind::Command(words) => finish(part, part.name, program(words), uncounted, said),
        Kind::Report(words) => report(part, words, said),
        Kind::Checks(words) => finish(part, part.name, program(words), summary::of_suite, said),
        Kind::CargoTest(words) => finish(
            part,
            part.name,
            program(words),
            summary::of_cargo_test,
            said,
        ),
        Kind::Install => install(part, said),
        Kind::Suite { .. } => suite(part, server, said),
    }
}

fn report(part: &Part, words: &[&str], said: &mut Said) -> Result<(Tally, State)> {
    let outcome = finish(part, part.name, program(words), uncounted, said)?;
    // The end of a failure's log is shown anyway.
    if let State::Passed = outcome.1 {
        let path = logs().join(format!("{}.log", part.name));
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            said.line(&format!("       {}", cut(line)));
        }
    }
    Ok(outcome)
}

/// Runs the `install` of a suite without a word.
pub(crate) fn download(part: &Part) {
    if let Ok(log) = File::create(logs().join(format!("{}-download.log", part.name))) {
        let limit = Duration::from_secs(part.limit_s);
        let _ = job::run(step(part, "install"), &log, limit, |_| ());
    }
}

fn install(part: &Part, said: &mut Said) -> Result<(Tally, State)> {
    let (tally, state) = finish(
        part,
        &format!("{}-install", part.name),
        step(part, "install"),
        uncounted,
        said,
    )?;
    Ok(match state {
        State::Failed(why) => (tally, State::Failed(format!("its install {why}"))),
        state => (tally, state),
    })
}

fn suite(part: &Part, server: &str, said: &mut Said) -> Result<(Tally, State)> {
    let mark = format!("{}.{}", part.name, std::process::id());
    let mut command = step(part, "run");
    command.env("SERVER", server).env(MARK, &mark);
    let outcome = finish(part, part.name, command, summary::of_suite, said);
    for process in job::end_marked(MARK, &mark) {
        said.line(&format!(
            "       {} left a process behind, ended now: {process}",
            part.name
        ));
    }
    outcome
}

fn uncounted(_log: &str) -> Option<Tally> {
    Some(Tally::default())
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir(repo())
        .env("PATH", tools::path());
    command
}

/// `install` or `run` of a suite.
fn step(part: &Part, name: &str) -> Command {
    let folder = repo().join("interop").join(part.name);
    let mut command = Command::new(folder.join(name));
    command
        .current_dir(folder)
        .env("ZOOID", zooid())
        .env("INTEROP_OUT", target().join("interop"));
    command
}

/// Runs a command into the log of that name and judges both.
fn finish(
    part: &Part,
    log_name: &str,
    command: Command,
    count: impl Fn(&str) -> Option<Tally>,
    said: &mut Said,
) -> Result<(Tally, State)> {
    let path = logs().join(format!("{log_name}.log"));
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let read = || String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
    let name = command.get_program().to_string_lossy().into_owned();
    let ended = job::run(
        command,
        &log,
        Duration::from_secs(part.limit_s),
        |elapsed| {
            let text = read();
            let last: String = text
                .lines()
                .next_back()
                .unwrap_or_default()
                .chars()
                .take(80)
                .collect();
            println!("       {}: {} ... {last}", part.name, duration(elapsed));
        },
    )
    .with_context(|| format!("cannot start {name}"))?;

    let text = read();
    let tally = count(&text);
    let why = match (ended, tally) {
        (Ended::TimedOut, _) => Some(format!("was ended after {} min", part.limit_s / 60)),
        (Ended::With(status), _) if !status.success() => Some(format!("ended with {status}")),
        (Ended::With(_), None) => Some("gave no sum of its checks".to_string()),
        (Ended::With(_), Some(tally)) if tally.failed > 0 => Some("has failures".to_string()),
        (Ended::With(_), Some(_)) => None,
    };
    let tally = tally.unwrap_or_default();
    for skip in summary::skips(&text) {
        said.line(&format!("       {skip}"));
    }
    Ok(match why {
        None => (tally, State::Passed),
        Some(why) => {
            show(&text, said);
            (
                tally,
                State::Failed(format!("{why} (log: {})", path.display())),
            )
        }
    })
}

fn show(log: &str, said: &mut Said) {
    for line in summary::failures(log).take(NAMED_FAILURES) {
        said.line(&format!("     ! {}", cut(line)));
    }
    // The end of a log of `cargo test` is about other tests.
    let mut lines = summary::panics(log);
    if lines.is_empty() {
        lines = log.lines().collect();
        lines.drain(..lines.len().saturating_sub(TAIL));
    }
    for line in lines.into_iter().take(TAIL) {
        said.line(&format!("     | {}", cut(line)));
    }
}

fn cut(line: &str) -> String {
    line.chars().take(WIDTH).collect()
}
