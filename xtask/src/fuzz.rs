//! The fuzz targets of `fuzz/`: built with the flags of libFuzzer on the stable toolchain, run from
//! the kept corpus.
//!
//! A run of the tests is bounded in executions and has a fixed seed, so that what passed once
//! passes again; a run with `--for` goes where chance leads it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::test::duration;
use crate::{lanes, repo, target, tools};

struct Target {
    name: &'static str,
    /// Executions in the tests: at most ten seconds on a machine that does nothing else.
    runs: u32,
}

const fn fuzzed(name: &'static str, runs: u32) -> Target {
    Target { name, runs }
}

const TARGETS: &[Target] = &[
    fuzzed("frames", 30_000),
    fuzzed("handshake", 50_000),
    fuzzed("log", 15_000),
    fuzzed("snapshot_plain", 30_000),
    fuzzed("snapshot_gz", 30_000),
    fuzzed("snapshot_snappy", 40_000),
    fuzzed("config", 500),
    fuzzed("quota", 200_000),
    fuzzed("acl", 400_000),
    fuzzed("path", 400_000),
];

/// What `cargo fuzz` gives to rustc, without the sanitizer, which needs a nightly toolchain.
const RUSTFLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Longest input, bytes: the bounds on memory are made for such.
const MAX_LEN: &str = "-max_len=8192";

/// Most seconds of a target in the tests, on however slow a machine.
const MOST_S: u32 = 60;

struct Wish {
    targets: Vec<&'static Target>,
    /// Seconds for each target.
    for_s: Option<u64>,
    replay: Option<PathBuf>,
}

/// Builds and runs; true when no input failed.
pub(crate) fn fuzz(arguments: &[&str]) -> Result<bool> {
    let wish = Wish::read(arguments)?;
    for tool in ["c++", "clippy"] {
        if let Err(reason) = tools::provide(tool) {
            bail!("{reason}");
        }
    }
    let host = host()?;
    let start = Instant::now();
    let build = ["build", "--bins"];
    let clippy = ["clippy", "--all-targets"];
    cargo(&host, &build, &[])?;
    println!("built in {}", duration(start.elapsed()));
    let bins = folder().join(&host).join("release");
    if let (Some(file), [target]) = (&wish.replay, &wish.targets[..]) {
        let status = Command::new(bins.join(target.name)).arg(file).status()?;
        return Ok(status.success());
    }
    let (mut passed, mut failed) = (0, 0);
    if wish.for_s.is_none() {
        cargo(&host, &clippy, &["--", "-D", "warnings"])?;
        println!("ok clippy");
        passed += 1;
    }
    // Each keeps one processor busy.
    let lanes = std::thread::available_parallelism().map_or(1, usize::from);
    let fuzzed = |target: &Target| {
        let start = Instant::now();
        let outcome = run(target, &bins, wish.for_s)?;
        match &outcome {
            Ok(stats) => {
                let took = duration(start.elapsed());
                println!("ok {}: {stats} in {took}", target.name);
            }
            Err(why) => println!("FAIL {}: {why}", target.name),
        }
        Ok(outcome.is_ok())
    };
    for outcome in lanes::run(lanes, wish.targets, |_| false, fuzzed) {
        let outcome: Result<bool> = outcome;
        match outcome? {
            true => passed += 1,
            false => failed += 1,
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// Runs one target; what it did, or what failed.
fn run(target: &Target, bins: &Path, for_s: Option<u64>) -> Result<Result<String, String>> {
    let name = target.name;
    let kept = repo().join("fuzz/corpus").join(name);
    let found = folder().join("corpus").join(name);
    let artifacts = repo().join("fuzz/artifacts").join(name);
    if for_s.is_none() && found.exists() {
        // What other runs found would make this one another.
        fs::remove_dir_all(&found)?;
    }
    // Relative names in a configuration lead nowhere from there.
    let nowhere = folder().join("nowhere");
    for folder in [&found, &artifacts, &nowhere] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let log = folder().join(format!("{name}.log"));
    let file = File::create(&log).with_context(|| log.display().to_string())?;
    let mut command = Command::new(bins.join(name));
    command
        .args([MAX_LEN, "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    match for_s {
        Some(seconds) => command
            .arg(format!("-max_total_time={seconds}"))
            .arg("-timeout=20"),
        // Values that are compared may be addresses, which differ from run to run.
        None => command
            .args(["-seed=1", "-use_cmp=0", "-timeout=200"])
            .arg(format!("-runs={}", target.runs))
            .arg(format!("-max_total_time={MOST_S}")),
    };
    let status = command
        .args([&found, &kept])
        .current_dir(&nowhere)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("cannot start {name}"))?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let stats = stats(&text);
    if status.success() {
        return Ok(stats.ok_or_else(|| format!("said nothing of its end ({})", log.display())));
    }
    let mut why = format!("ended with {status} (log: {})", log.display());
    // The input in hexadecimal is for machines, the list of functions is the fuzzer's.
    let telling = |line: &&str| {
        line.contains("panicked at")
            || line.starts_with("==")
            || line.contains("allocation of")
            || line.contains("Base64:")
    };
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| telling(line)) {
        why += &format!("\n  {line}");
        if line.contains("panicked at") {
            why += &format!("\n  {}", lines.get(at + 1).unwrap_or(&""));
        }
    }
    if let Some((_, input)) = text.rsplit_once("Test unit written to ") {
        let input = input.lines().next().unwrap_or_default();
        why += &format!("\n  again: cargo xtask fuzz {name} --replay {input}");
    }
    Ok(Err(why))
}

/// Executions and coverage from what libFuzzer prints at the end.
fn stats(log: &str) -> Option<String> {
    let done = log.lines().rev().find(|line| line.contains("\tDONE "))?;
    let mut words = done.split_whitespace();
    let runs = words.next()?.trim_start_matches('#').to_owned();
    let coverage = words.skip_while(|word| *word != "cov:").nth(1)?.to_owned();
    let corpus = log.lines().find(|line| line.contains("\tINITED "))?;
    let inited = corpus.split_whitespace().next()?.trim_start_matches('#');
    Some(format!(
        "{runs} executions, the first {inited} for the corpus, {coverage} edges covered"
    ))
}

/// A command of cargo on the folder `fuzz`, with the flags that make targets of programs.
fn cargo(host: &str, words: &[&str], behind: &[&str]) -> Result<()> {
    let status = Command::new("cargo")
        .args(words)
        // Not `--locked`: a crate that gets a library need not think of this workspace.
        .args(["--quiet", "--release", "--target", host])
        .args(behind)
        .current_dir(repo().join("fuzz"))
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\x1f"))
        .env("CARGO_TARGET_DIR", folder())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", words.join(" "));
    }
    Ok(())
}

/// Named to cargo, so that build scripts and macros do without the flags.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc -vV does not name the host")
}

fn folder() -> PathBuf {
    target().join("fuzz")
}

impl Wish {
    fn read(arguments: &[&str]) -> Result<Wish> {
        let mut wish = Wish {
            targets: Vec::new(),
            for_s: None,
            replay: None,
        };
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            match word {
                "--for" => {
                    let time = words.next().and_then(|time| seconds(time));
                    wish.for_s = Some(time.context("--for needs a time: 90s, 10m or 1h")?);
                }
                "--replay" => {
                    let file = words.next().context("--replay needs a file")?;
                    wish.replay = Some(file.into());
                }
                name => match TARGETS.iter().find(|target| target.name == name) {
                    Some(target) => wish.targets.push(target),
                    None => {
                        let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                        bail!("unknown target {name}; there are: {}", known.join(" "));
                    }
                },
            }
        }
        if wish.replay.is_some() && wish.targets.len() != 1 {
            bail!("--replay needs one target");
        }
        if wish.targets.is_empty() {
            wish.targets = TARGETS.iter().collect();
        }
        Ok(wish)
    }
}

/// The seconds of `90s`, `10m` or `1h`.
fn seconds(time: &str) -> Option<u64> {
    let unit = match time.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: u64 = time[..time.len() - 1].parse().ok()?;
    number.checked_mul(unit)
}

/// Targets in the folder that no run would find, and those of the table that are not there.
pub(crate) fn differences() -> std::io::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut there = Vec::new();
    for entry in fs::read_dir(repo().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if let Some(name) = path.file_stem() {
            there.push(name.to_string_lossy().into_owned());
        }
    }
    for name in &there {
        if !TARGETS.iter().any(|target| target.name == name) {
            problems.push(format!(
                "fuzz/fuzz_targets/{name}.rs: not in the table of xtask/src/fuzz.rs"
            ));
        }
    }
    for Target { name, .. } in TARGETS {
        if !there.iter().any(|found| found == name) {
            problems.push(format!(
                "xtask/src/fuzz.rs: there is no fuzz/fuzz_targets/{name}.rs"
            ));
        }
        if fs::read_dir(repo().join("fuzz/corpus").join(name)).is_err() {
            problems.push(format!("fuzz/corpus/{name}: no inputs are kept"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("2h"), Some(7200));
        for wrong in ["", "s", "5", "1d", "-1s", "99999999999999999999h"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_is_replayed_on_one_target() {
        assert!(Wish::read(&["--replay", "x"]).is_err());
        assert!(Wish::read(&["frames", "--replay", "x"]).is_ok());
        assert!(Wish::read(&["frame"]).is_err());
        assert_eq!(Wish::read(&["--for", "1h"]).unwrap().for_s, Some(3600));
    }

    #[test]
    fn the_end_of_a_run_is_read() {
        let log = "#17\tINITED cov: 9 ft: 1 corp: 1/1b exec/s: 0 rss: 29Mb\n\
                   #300\tDONE   cov: 12 ft: 8 corp: 4/8b lim: 63 exec/s: 6 rss: 31Mb\n\
                   Done 300 runs in 9 second(s)\n";
        assert_eq!(
            stats(log).unwrap(),
            "300 executions, the first 17 for the corpus, 12 edges covered"
        );
        assert_eq!(stats("#17\tINITED cov: 9"), None);
    }
}
