//! How costs grow: nodes, sessions, watches, children of one node, bytes of one value. Each part
//! makes points from small to large, plots in `bench/` and a table in `bench/SCALE.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::large::{JAVA_SMALL, MILLION, NO_SNAPSHOTS, payload, tree};
use super::load::{Held, bench};
use super::page::{date, figure, machine};
use super::plot::{Curve, short, svg};
use super::server::{Kind, Server, Settings};
use super::{fresh, prepare, remove};
use crate::repo;

/// Where the table is written; the plots are beside it.
const FILE: &str = "bench/SCALE.md";

/// A snapshot after the first writes.
const SNAPSHOT_SOON: &[&str] = &["snapCount=100", "snapSizeLimitInKb=-1"];

/// Descriptors that a server and a load generator need beside those of sessions.
const OTHER_FILES: usize = 2000;

/// A snapshot that takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(300);

struct Options {
    largest: usize,
    only: Vec<String>,
}

/// What a part gives: one plot, and its table.
struct Plot {
    file: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
    curves: Vec<Curve>,
    note: String,
}

impl Plot {
    fn new(file: &'static str, title: &'static str, x: &'static str, y: &'static str) -> Plot {
        Plot {
            file,
            title,
            x,
            y,
            curves: Vec::new(),
            note: String::new(),
        }
    }

    fn add(&mut self, curve: &str, x: usize, y: f64) {
        let at = self.curves.iter().position(|other| other.name == curve);
        let at = at.unwrap_or_else(|| {
            self.curves.push(Curve {
                name: curve.into(),
                points: Vec::new(),
            });
            self.curves.len() - 1
        });
        self.curves[at].points.push((x as f64, y));
    }
}

type Part = (&'static str, fn(&Options) -> Result<Vec<Plot>>);

const PARTS: &[Part] = &[
    ("nodes", nodes),
    ("sessions", sessions),
    ("watches", watches),
    ("children", children),
    ("values", values),
];

/// Runs the parts and writes plots and table.
pub(crate) fn scale(words: &[&str]) -> Result<bool> {
    let mut options = Options {
        largest: MILLION,
        only: Vec::new(),
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "--large" => options.largest = 10 * MILLION,
            "--quick" => options.largest = MILLION / 10,
            "--only" => {
                let name = rest.next().context("--only PART")?;
                if !PARTS.iter().any(|part| part.0 == *name) {
                    let names: Vec<&str> = PARTS.iter().map(|part| part.0).collect();
                    bail!("no part {name}; there are {}", names.join(", "));
                }
                options.only.push((*name).to_owned());
            }
            other => bail!("unknown option: {other} (--large, --quick, --only PART)"),
        }
    }
    prepare()?;
    let mut text = format!(
        "# How costs grow\n\nMade by `cargo xtask bench-scale {}`, {}, on {}. Both axes of the plots are \
         logarithmic:\nwhat grows as fast as the size is a line of slope one.\n",
        words.join(" "),
        date()?,
        machine()?
    );
    let mut whole = true;
    for (name, part) in PARTS {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        match part(&options) {
            Ok(plots) => {
                for plot in plots {
                    let file = repo().join("bench").join(plot.file);
                    std::fs::write(&file, svg(plot.title, plot.x, plot.y, &plot.curves))?;
                    text.push_str(&section(&plot));
                }
            }
            // What fails must not lose the others.
            Err(error) => {
                eprintln!("{name} failed: {error:#}");
                let _ = write!(text, "\n**{name} failed: {error:#}**\n");
                whole = false;
            }
        }
        // What is measured is kept. A part alone leaves the table of all.
        if options.only.is_empty() {
            std::fs::write(repo().join(FILE), &text)?;
        }
    }
    println!("{text}");
    Ok(whole)
}

fn section(plot: &Plot) -> String {
    let mut text = format!(
        "\n## {}\n\n![{}]({})\n\n| {} |",
        plot.title, plot.title, plot.file, plot.x
    );
    for curve in &plot.curves {
        let _ = write!(text, " {} |", curve.name);
    }
    let _ = write!(text, "\n|{}\n", "---|".repeat(plot.curves.len() + 1));
    let mut sizes: Vec<f64> = Vec::new();
    for (size, _) in plot.curves.iter().flat_map(|curve| &curve.points) {
        if !sizes.contains(size) {
            sizes.push(*size);
        }
    }
    for size in sizes {
        let _ = write!(text, "| {} |", short(size));
        for curve in &plot.curves {
            let point = curve.points.iter().find(|point| point.0 == size);
            let _ = write!(
                text,
                " {} |",
                point.map_or(String::new(), |point| figure(point.1))
            );
        }
        text.push('\n');
    }
    let _ = writeln!(text, "\nIn {}. {}", plot.y, plot.note);
    text
}

/// Ten times as many each time, up to the largest.
fn tens(first: usize, last: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(first), |size| Some(size * 10)).take_while(move |size| *size <= last)
}

fn server(kind: Kind, folder: &Path, lines: &[&str]) -> Result<Server> {
    let java = JAVA_SMALL;
    Server::start(kind, folder, Settings { lines, java })
}

fn megabytes(bytes: f64) -> f64 {
    bytes / 1e6
}

fn nodes(options: &Options) -> Result<Vec<Plot>> {
    let mut memory = Plot::new("nodes-memory.svg", "Memory of nodes", "nodes", "MB");
    let mut start = Plot::new("nodes-start.svg", "Start and snapshot", "nodes", "ms");
    let mut reads = Plot::new(
        "nodes-get.svg",
        "One get after the other",
        "nodes",
        "us, p50",
    );
    memory.note = "Resident memory of the server beyond an empty one, after the nodes were made; \
                   paths of 40 characters, 100 B of data."
        .into();
    start.note =
        "A start goes from the process to the first reply, on a snapshot of all nodes.".into();
    for kind in [Kind::Zooid, Kind::Java] {
        // Java with ten million nodes wants a heap of its own, and time.
        let largest = match kind {
            Kind::Java => options.largest.min(MILLION),
            _ => options.largest,
        };
        let name = if kind == Kind::Java { "Java" } else { "Zooid" };
        for size in tens(1_000, largest) {
            println!("{name}: {size} nodes");
            let folder = fresh("scale")?;
            let running = server(kind, &folder, NO_SNAPSHOTS)?;
            let empty = running.resident()? as f64;
            bench(&running, &format!("fill {}", tree(size)))?;
            let full = running.resident()? as f64;
            memory.add(name, size, megabytes(full - empty));
            if kind == Kind::Zooid {
                memory.add("names and data", size, megabytes(payload(size)));
            }
            let words = format!(
                "get --existing -c 1 -o 1 --warm-up 0.5 --seconds 1 {}",
                tree(size)
            );
            let p50 = bench(&running, &words)?.get("latency_us/p50")?;
            reads.add(name, size, p50);
            running.stop()?;

            let running = server(kind, &folder, SNAPSHOT_SOON)?;
            let before = running.metric("zk_cnt_snapshottime")?;
            let spent = running.metric("zk_sum_snapshottime")?;
            let words = format!(
                "set --existing -c 4 --warm-up 0 --seconds 0.2 {}",
                tree(size)
            );
            bench(&running, &words)?;
            let count = next_snapshot(&running, before)? - before;
            let took = (running.metric("zk_sum_snapshottime")? - spent) / count;
            start.add(&format!("{name}: snapshot"), size, took);
            running.stop()?;

            let running = server(kind, &folder, NO_SNAPSHOTS)?;
            start.add(
                &format!("{name}: start"),
                size,
                running.start.as_secs_f64() * 1e3,
            );
            running.stop()?;
            remove(&folder)?;
        }
    }
    Ok(vec![memory, start, reads])
}

/// Waits for a snapshot that was not there; returns how many there are.
fn next_snapshot(running: &Server, before: f64) -> Result<f64> {
    let begin = Instant::now();
    loop {
        let count = running.metric("zk_cnt_snapshottime")?;
        if count > before {
            return Ok(count);
        }
        if begin.elapsed() > PATIENCE {
            bail!("no snapshot was written");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sessions(options: &Options) -> Result<Vec<Plot>> {
    let mut memory = Plot::new(
        "sessions-memory.svg",
        "Memory of idle sessions",
        "sessions",
        "MB",
    );
    let mut rate = Plot::new(
        "sessions-rate.svg",
        "New sessions",
        "sessions",
        "sessions/s",
    );
    let room = open_files()?.saturating_sub(OTHER_FILES);
    memory.note = format!(
        "This machine lets a process have {room} connections: beyond that the connections of \
         sessions were cut and the sessions stayed."
    );
    for size in tens(1_000, options.largest.min(MILLION / 10)) {
        println!("{size} sessions");
        let folder = fresh("scale")?;
        let running = server(Kind::Zooid, &folder, NO_SNAPSHOTS)?;
        let empty = running.resident()? as f64;
        let abandon = size.saturating_sub(room);
        let words = format!(
            "storm --sessions {size} --abandon {abandon} -c 256 --timeout 600000 --root /b --keep"
        );
        let held = Held::start(&running, &words)?;
        let full = running.resident()? as f64;
        let there = running.metric("zk_global_sessions")?;
        if there < size as f64 {
            bail!("{there} sessions where {size} were made");
        }
        memory.add("Zooid", size, megabytes(full - empty));
        rate.add("Zooid", size, held.figures.get("rate")?);
        drop(held);
        running.stop()?;
        remove(&folder)?;
    }
    Ok(vec![memory, rate])
}

/// How many files a process may open.
fn open_files() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    // The hard limit: a server raises the soft one to it, or has it from the start.
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok())
        .context("/proc/self/limits has no number of open files")
}

/// Connections that watch.
const WATCHERS: usize = 100;

fn watches(options: &Options) -> Result<Vec<Plot>> {
    let mut memory = Plot::new("watches-memory.svg", "Memory of watches", "watches", "MB");
    let mut rate = Plot::new("watches-rate.svg", "New watches", "watches", "watches/s");
    memory.note = format!("{WATCHERS} sessions watch all nodes each; the nodes do not count.");
    for size in tens(1_000, 10 * options.largest.min(MILLION)) {
        println!("{size} watches");
        let folder = fresh("scale")?;
        let running = server(Kind::Zooid, &folder, NO_SNAPSHOTS)?;
        let shape = tree(size / WATCHERS);
        bench(&running, &format!("fill {shape}"))?;
        let before = running.resident()? as f64;
        let words = format!("watches --existing -c {WATCHERS} --timeout 600000 {shape}");
        let held = Held::start(&running, &words)?;
        let there = running.metric("zk_watch_count")?;
        if there != size as f64 {
            bail!("{there} watches where {size} were set");
        }
        memory.add(
            "Zooid",
            size,
            megabytes(running.resident()? as f64 - before),
        );
        rate.add("Zooid", size, held.figures.get("rate")?);
        drop(held);
        running.stop()?;
        remove(&folder)?;
    }
    Ok(vec![memory, rate])
}

fn children(options: &Options) -> Result<Vec<Plot>> {
    let name = "Children of one node";
    let mut plot = Plot::new("children.svg", name, "children", "us, p50");
    plot.note = "One request after the other.".into();
    for kind in [Kind::Zooid, Kind::Java] {
        let name = if kind == Kind::Java { "Java" } else { "Zooid" };
        for size in tens(100, options.largest.min(MILLION / 10)) {
            println!("{name}: {size} children");
            let folder = fresh("scale")?;
            let running = server(kind, &folder, NO_SNAPSHOTS)?;
            let shape = format!("--root /b --keys {size}");
            bench(&running, &format!("fill {shape}"))?;
            for (operation, curve) in [("children", "getChildren"), ("create", "create")] {
                let words =
                    format!("{operation} --existing -c 1 -o 1 --warm-up 0.5 --seconds 1 {shape}");
                let p50 = bench(&running, &words)?.get("latency_us/p50")?;
                plot.add(&format!("{name}: {curve}"), size, p50);
            }
            running.stop()?;
            remove(&folder)?;
        }
    }
    Ok(vec![plot])
}

fn values(_: &Options) -> Result<Vec<Plot>> {
    let mut plot = Plot::new("values.svg", "Bytes of a value", "bytes", "MB/s");
    plot.note = "4 connections with 4 requests under way each.".into();
    for kind in [Kind::Zooid, Kind::Java] {
        let name = if kind == Kind::Java { "Java" } else { "Zooid" };
        let folder = fresh("scale")?;
        let running = server(kind, &folder, NO_SNAPSHOTS)?;
        for size in tens(100, MILLION) {
            println!("{name}: values of {size} bytes");
            for operation in ["get", "set"] {
                let words = format!(
                    "{operation} -c 4 -o 4 --keys 16 --size {size} --warm-up 0.5 --seconds 1"
                );
                let rate = bench(&running, &words)?.get("rate")?;
                plot.add(
                    &format!("{name}: {operation}"),
                    size,
                    megabytes(rate * size as f64),
                );
            }
        }
        running.stop()?;
        remove(&folder)?;
    }
    Ok(vec![plot])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_tenfold_up_to_the_largest() {
        assert_eq!(tens(10, 1000).collect::<Vec<_>>(), [10, 100, 1000]);
        assert_eq!(tens(10, 999).collect::<Vec<_>>(), [10, 100]);
    }

    #[test]
    fn a_table_has_a_row_for_each_size() {
        let mut plot = Plot::new("a.svg", "A", "nodes", "MB");
        plot.add("Zooid", 1000, 1.5);
        plot.add("Java", 1000, 20.0);
        plot.add("Zooid", 10_000, 15.0);
        let text = section(&plot);
        assert!(text.contains("| nodes | Zooid | Java |"), "{text}");
        assert!(text.contains("| 1 k | 1.50 | 20.0 |"), "{text}");
        assert!(text.contains("| 10 k | 15.0 |  |"), "{text}");
    }
}
