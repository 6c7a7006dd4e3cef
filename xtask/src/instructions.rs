//! Counts the instructions of the benches of `crates/microbench` and compares them with those that
//! were noted. A count is the same on a busy machine, so a few per cent show.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};

use crate::{repo, target, tools};

/// What is noted.
const FILE: &str = "bench/instructions.txt";

/// The command that notes what is counted now.
const UPDATE: &str = "cargo xtask bench-instructions --update";

/// Moves up to this many per cent are not told: another layout of the same code is that much.
const QUIET_PERCENT: u64 = 3;

/// What decides how many instructions the allocator takes, apart from the program: memory that it
/// gives back after some time, and a number of arenas that depends on the machine.
const ALLOCATOR: (&str, &str) = (
    "_RJEM_MALLOC_CONF",
    "narenas:1,dirty_decay_ms:-1,muzzy_decay_ms:-1",
);

/// Instructions of one round by the name of its bench.
type Counts = BTreeMap<String, u64>;

/// Counts, and compares with what is noted, or notes it; false when a bench is not noted, or one
/// that is noted is gone.
pub(crate) fn run(update: bool) -> Result<bool> {
    if let Err(reason) = tools::provide("valgrind") {
        bail!("{reason}");
    }
    let path = repo().join(FILE);
    let counts = count_all()?;
    let maker = maker()?;
    if update {
        fs::write(&path, noted(&maker, &counts)).with_context(|| format!("cannot write {FILE}"))?;
        println!("{FILE}: {} benches noted", counts.len());
        return Ok(true);
    }
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {FILE}; this writes it: {UPDATE}"))?;
    let (noted_maker, before) = read(&text)?;
    if noted_maker != maker {
        println!("noted with {noted_maker}, counted with {maker}: all may have moved");
    }
    print!("{}", table(&counts));
    let unknown = unknown(&before, &counts);
    for problem in &unknown {
        println!("{problem}");
    }
    let moves = moves(&before, &counts);
    for line in &moves {
        println!("{line}");
    }
    println!(
        "{} of {} benches moved by more than {QUIET_PERCENT} %",
        moves.len(),
        counts.len()
    );
    if !moves.is_empty() || !unknown.is_empty() {
        println!("this notes the counts of now: {UPDATE}");
    }
    Ok(unknown.is_empty())
}

/// Builds the benches as the server is built, and counts all of them, as many at once as there are
/// processors.
fn count_all() -> Result<Counts> {
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--locked", "--release"]);
    build.args(["--package", "zooid-microbench"]);
    let built = build.current_dir(repo()).status();
    if !built.context("cannot start cargo")?.success() {
        bail!("the benches do not build");
    }
    let list = Command::new(program()).output();
    let list = list.with_context(|| format!("cannot start {}", program().display()))?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut benches = Vec::new();
    for line in list.lines() {
        let (name, rounds) = line.split_once(' ').context("the list of benches")?;
        benches.push((name, rounds.parse::<u64>().context("the list of benches")?));
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut counted = Vec::new();
        while let Some(&(name, rounds)) = benches.get(next.fetch_add(1, Ordering::Relaxed)) {
            counted.push((name.to_owned(), count(name, rounds)?));
        }
        Ok(counted)
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let mut counts = Counts::new();
        for worker in running {
            let counted: Result<_> = worker.join().expect("counting does not panic");
            counts.extend(counted?);
        }
        Ok(counts)
    })
}

/// Instructions of one round: the difference that as many rounds again make.
fn count(name: &str, rounds: u64) -> Result<u64> {
    let (once, twice) = (collect(name, rounds)?, collect(name, 2 * rounds)?);
    let difference = twice.checked_sub(once);
    let difference = difference.with_context(|| format!("{name}: more rounds counted less"))?;
    Ok((difference + rounds / 2) / rounds)
}

/// Instructions of a whole process. Of the environment it gets what both runs get.
fn collect(name: &str, times: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(program()).args([name, &times.to_string()]);
    valgrind.env_clear().env(ALLOCATOR.0, ALLOCATOR.1);
    if let Some(path) = std::env::var_os("PATH") {
        valgrind.env("PATH", path);
    }
    let output = valgrind.output().context("cannot start valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected :")?;
        number.trim().parse().ok()
    });
    match collected {
        Some(collected) if output.status.success() => Ok(collected),
        _ => bail!("{name} {times}: {}\n{}", output.status, text.trim()),
    }
}

fn program() -> PathBuf {
    target().join("release/zooid-microbench")
}

/// What the counts depend on beside the source.
fn maker() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.context("cannot start rustc")?.stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Ok(format!("{} on {}", words.join(" "), std::env::consts::ARCH))
}

fn noted(maker: &str, counts: &Counts) -> String {
    let mut text = format!(
        "# Instructions of one round of each bench of crates/microbench, with\n# {maker}\n# \
         Written by: {UPDATE}\n"
    );
    for (name, count) in counts {
        let _ = writeln!(text, "{name} {count}");
    }
    text
}

/// With what it was counted, and the counts.
fn read(text: &str) -> Result<(String, Counts)> {
    let maker = text.lines().nth(1).unwrap_or_default();
    let maker = maker.trim_start_matches(['#', ' ']).to_owned();
    let mut counts = Counts::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = line.split_once(' ');
        let entry = entry.and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
        let (name, count) = entry.with_context(|| {
            let line = number + 1;
            format!("{FILE}:{line}: not a name and a count; this writes it anew: {UPDATE}")
        })?;
        counts.insert(name, count);
    }
    Ok((maker, counts))
}

/// Benches that only one of the two knows.
fn unknown(before: &Counts, now: &Counts) -> Vec<String> {
    let new = now.keys().filter(|name| !before.contains_key(*name));
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let new = new.map(|name| format!("{name} is not in {FILE}"));
    let gone = gone.map(|name| format!("{name} is in {FILE}, but there is no such bench"));
    new.chain(gone).collect()
}

fn moves(before: &Counts, now: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, &count) in now {
        let Some(&noted) = before.get(name) else {
            continue;
        };
        if count.abs_diff(noted) * 100 > noted * QUIET_PERCENT {
            let percent = (count as f64 / noted as f64 - 1.0) * 100.0;
            lines.push(format!("{name}: {noted} -> {count} ({percent:+.1} %)"));
        }
    }
    lines
}

/// One line a group.
fn table(counts: &Counts) -> String {
    let mut text = String::new();
    let mut last = "";
    for (name, count) in counts {
        let (group, name) = name.split_once('/').unwrap_or(("", name));
        if group == last {
            let _ = write!(text, ", {name} {count}");
        } else {
            let end = if last.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{end}{group}: {name} {count}");
            last = group;
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(entries: &[(&str, u64)]) -> Counts {
        let entries = entries.iter();
        entries.map(|&(name, n)| (name.to_owned(), n)).collect()
    }

    #[test]
    fn what_is_noted_reads_back() {
        let all = counts(&[("b/two", 20), ("a/one", 1)]);
        let text = noted("rustc 1 on x", &all);
        assert!(text.ends_with("\na/one 1\nb/two 20\n"), "{text}");
        assert_eq!(read(&text).unwrap(), ("rustc 1 on x".to_owned(), all));
        let error = read("# a\n# b\na/one many\n").unwrap_err().to_string();
        assert!(error.starts_with("bench/instructions.txt:3: "), "{error}");
    }

    #[test]
    fn moves_are_told_from_three_per_cent_on() {
        let before = counts(&[("a", 1000), ("b", 1000), ("c", 1000)]);
        let now = counts(&[("a", 1030), ("b", 1031), ("c", 500), ("d", 1)]);
        assert_eq!(
            moves(&before, &now),
            ["b: 1000 -> 1031 (+3.1 %)", "c: 1000 -> 500 (-50.0 %)"]
        );
        assert_eq!(moves(&now, &now), [""; 0]);
    }

    #[test]
    fn a_bench_that_is_new_or_gone_is_named() {
        let (before, now) = (counts(&[("a", 1), ("b", 1)]), counts(&[("b", 2), ("c", 1)]));
        assert_eq!(
            unknown(&before, &now),
            [
                "c is not in bench/instructions.txt",
                "a is in bench/instructions.txt, but there is no such bench"
            ]
        );
    }

    #[test]
    fn a_group_is_a_line() {
        let all = counts(&[("a/x", 1), ("a/y", 2), ("b/x", 3)]);
        assert_eq!(table(&all), "a: x 1, y 2\nb: x 3\n");
    }
}
