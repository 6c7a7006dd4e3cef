//! Figures: Zooid beside Apache ZooKeeper and beside a bare echo (`compare`), and how costs grow
//! with sizes (`scale`).
//!
//! `server` starts what is measured, `load` runs `zooid bench`; `loads`, `large` and `crowds` hold
//! the rows of the comparison, `page` prints them; `scale` makes the plots with `plot`.

mod crowds;
mod large;
mod load;
mod loads;
mod page;
mod plot;
mod scale;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use page::Page;
pub(crate) use scale::scale;

use crate::{repo, target, tools};

/// What Java runs with under load: of the collectors and heaps that were tried on two cores, the
/// quickest.
const JAVA_FLAGS: &[&str] = &["-Xms1g", "-Xmx1g", "-XX:+UseSerialGC"];

/// Rows by name, with what they say in `--help`, and whether `--quick` has them.
const ROWS: &[(&str, &str, bool)] = &[
    ("get", "getData, 32 x 16, beside Java and the echo", true),
    ("set", "setData, 32 x 16", true),
    ("create", "create, 32 x 16", true),
    ("mixed", "90 getData to 10 setData, 32 x 16", true),
    (
        "sync",
        "1, 10 and 100 clients, each one request at a time",
        true,
    ),
    ("memory", "resident memory of a million nodes", false),
    ("start", "the start on a snapshot of a million nodes", false),
    (
        "snapshot",
        "latency while a snapshot of a million nodes is written",
        false,
    ),
    ("snapshot-5m", "the same with five million nodes", false),
    ("fanout", "one change to 10,000 watchers", true),
    ("storm", "5,000 new sessions", true),
    ("idle", "an empty server: memory, binary, start", true),
];

type Part = fn(&Options) -> Result<Vec<page::Line>>;

/// What is run, one after the other.
const PARTS: &[(&str, Part)] = &[
    ("loads", loads::run),
    ("crowds", crowds::run),
    ("memory", large::memory),
    ("start", large::start),
    ("snapshot", large::snapshots),
    ("snapshot-5m", large::snapshots_5m),
    ("idle", crowds::idle),
];

/// What a comparison is asked for.
pub(crate) struct Options {
    quick: bool,
    only: Vec<String>,
    rounds: usize,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Options> {
        let mut options = Options {
            quick: false,
            only: Vec::new(),
            rounds: 0,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--quick" => options.quick = true,
                "--only" => {
                    let row = words.next().context("--only ROW")?;
                    if !ROWS.iter().any(|(name, _, _)| name == row) {
                        let names: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
                        bail!("no row {row}; there are {}", names.join(", "));
                    }
                    options.only.push((*row).to_owned());
                }
                "--rounds" => {
                    let count = words.next().context("--rounds COUNT")?;
                    options.rounds = count.parse().context("--rounds COUNT")?;
                }
                other => bail!("unknown option: {other} (--quick, --only ROW, --rounds COUNT)"),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 1 } else { 3 };
        }
        Ok(options)
    }

    /// Whether a row is asked for.
    fn wants(&self, name: &str) -> bool {
        let quick = ROWS.iter().any(|row| row.0 == name && row.2);
        if self.only.is_empty() {
            !self.quick || quick
        } else {
            self.only.iter().any(|only| only == name)
        }
    }

    /// The command that does the same.
    fn command(&self) -> String {
        let mut text = "cargo xtask bench-compare".to_owned();
        if self.quick {
            text += " --quick";
        }
        for row in &self.only {
            text += &format!(" --only {row}");
        }
        text + &format!(" --rounds {}", self.rounds)
    }
}

/// Runs the rows that are asked for; without `--only` it writes `bench/RESULTS.md`, with
/// `--quick` `bench/QUICK.md`.
pub(crate) fn compare(words: &[&str]) -> Result<bool> {
    let options = Options::parse(words)?;
    prepare()?;
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    let mut page = Page::new(&options.command())?;
    for (name, part) in PARTS {
        // What fails must not lose the others.
        match part(&options) {
            Ok(more) => lines.extend(more),
            Err(error) => {
                eprintln!("{name} failed: {error:#}");
                failed.push(format!("{name} failed: {error:#}"));
            }
        }
        page.set(&lines, &failed)?;
        // What is measured is kept, should a later row fail. Some rows alone leave the page of all.
        if options.only.is_empty() {
            page.write(options.quick)?;
        }
    }
    println!("{}", page.text());
    Ok(failed.is_empty())
}

/// Builds what is measured, and fetches the oracle.
fn prepare() -> Result<()> {
    for tool in ["java", "mvn"] {
        if let Err(reason) = tools::provide(tool) {
            bail!("{reason}");
        }
    }
    if std::env::var_os("ZOOID").is_none() {
        succeed(Command::new("cargo").args(["build", "--release", "--package", "zooid-cli"]))?;
    }
    if std::env::var_os("BENCH_ECHO").is_none() {
        let build = [
            "build",
            "--release",
            "--package",
            "zooid-bench",
            "--example",
            "echo",
        ];
        succeed(Command::new("cargo").args(build))?;
    }
    succeed(Command::new(repo().join("interop/oracle/install")).env("INTEROP_OUT", interop_out()))
}

fn interop_out() -> PathBuf {
    std::env::var_os("INTEROP_OUT").map_or_else(|| target().join("interop"), PathBuf::from)
}

/// The bare echo server.
fn echo() -> PathBuf {
    std::env::var_os("BENCH_ECHO")
        .map_or_else(|| target().join("release/examples/echo"), PathBuf::from)
}

/// An empty folder for a server. All are on one disk.
fn fresh(name: &str) -> Result<PathBuf> {
    let folder = target().join("bench").join(name);
    remove(&folder)?;
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.current_dir(repo()).status()?;
    if !status.success() {
        bail!("{:?} ended with {status}", command.get_program());
    }
    Ok(())
}

/// The help of `bench-compare`.
pub(crate) fn rows() -> String {
    let row = |(name, about, quick): &(&str, &str, bool)| {
        let mark = if *quick { " (quick)" } else { "" };
        format!("    {name:<16}  {about}{mark}\n")
    };
    ROWS.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose_rows() {
        let all = Options::parse(&[]).expect("nothing is fine");
        assert!(all.wants("memory") && all.wants("get") && all.rounds == 3);
        let quick = Options::parse(&["--quick"]).expect("known");
        assert!(!quick.wants("memory") && quick.wants("get") && quick.rounds == 1);
        let only = Options::parse(&["--only", "idle", "--rounds", "5"]).expect("known");
        assert!(only.wants("idle") && !only.wants("get") && only.rounds == 5);
        assert_eq!(
            only.command(),
            "cargo xtask bench-compare --only idle --rounds 5"
        );
        assert!(Options::parse(&["--only", "nothing"]).is_err());
        assert!(Options::parse(&["--loud"]).is_err());
    }
}
