//! The commands of development: `cargo xtask help`.
//!
//! `parts` is the table of what `test` runs with `run`, suites side by side in `lanes`; `job` bounds a
//! process in time, `summary` reads the sums from logs, `tools` finds or installs programs, `tidy` holds the rules of
//! the house.

mod bench;
mod demo;
mod fuzz;
mod instructions;
mod job;
mod lanes;
mod parts;
mod run;
mod sim;
mod summary;
mod test;
mod tidy;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask test [PART...] [--list] [--against java] [--lanes COUNT]
    installs what the tests need and runs them: all parts, or the named ones.
    --list            says what the parts are
    --against java    runs the suites of interop/ on Apache ZooKeeper instead, which shows that
                      the suites are right
    --lanes 1         so many suites at the same time, else 2: they mostly wait
    With CI=true in the environment nothing may be skipped. ZOOID=FILE tests that binary instead
    of building one.

cargo xtask tidy
    checks the rules of the house: who may know whom, sizes of files, links, foreign hosts

cargo xtask fuzz [TARGET...] [--for TIME] [--replay FILE]
    runs the fuzz targets of fuzz/, all or the named ones, from the kept corpus: a fixed number of
    executions each, always the same
    --for 10m         each target so long (s, m, h), with new inputs every time
    --replay FILE     one target, one input

cargo xtask demo kafka
    a real Apache Kafka on Zooid: downloads, builds, runs, tells what it sees

cargo xtask bench-compare [--quick] [--only ROW]... [--rounds COUNT]
    Zooid, Apache ZooKeeper and a bare echo in turn under the same loads; writes
    bench/RESULTS.md, with --quick bench/QUICK.md, or with --only prints some rows. `bench-compare rows` says what the rows are.

cargo xtask bench-scale [--large] [--quick] [--only PART]...
    how costs grow with nodes, sessions, watches, children and values; writes bench/SCALE.md
    and plots beside it. With --large up to ten million nodes.

cargo xtask bench-instructions [--update]
    counts the instructions of small pieces (crates/microbench) and compares them with
    bench/instructions.txt, or notes them there";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// True when everything that was checked is as it should be.
fn run(arguments: &[String]) -> Result<bool> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => test::test(rest),
        ["tidy"] => tidy::print(),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["demo", "kafka"] => demo::kafka(),
        ["bench-compare", "rows"] => {
            print!("{}", bench::rows());
            Ok(true)
        }
        ["bench-compare", rest @ ..] => bench::compare(rest),
        ["bench-scale", rest @ ..] => bench::scale(rest),
        ["sim", rest @ ..] => sim::sim(rest),
        ["bench-instructions"] => instructions::run(false),
        ["bench-instructions", "--update"] => instructions::run(true),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(true)
        }
        _ => bail!("unknown command: {}\n\n{HELP}", words.join(" ")),
    }
}

/// The root of the repository. `cargo run` says where it is; what was compiled in is wrong when two
/// clones build into one folder.
fn repo() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = xtask.parent().expect("xtask is a folder of the repository");
    root.to_path_buf()
}

/// Where cargo builds, and where logs and downloads of the tests go.
fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => repo().join(folder),
        None => repo().join("target"),
    }
}

/// The binary under test.
fn zooid() -> PathBuf {
    match std::env::var_os("ZOOID") {
        Some(file) => std::env::current_dir().unwrap_or_default().join(file),
        None => target().join("release/zooid"),
    }
}
