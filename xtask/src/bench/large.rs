//! Large trees: what a node costs in memory, how long a start takes, and what a snapshot does to
//! those who are served meanwhile.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::load::bench;
use super::page::{Goal, Line, figure, median};
use super::server::{Kind, Server, Settings};
use super::{Options, fresh, remove};

pub(crate) const MILLION: usize = 1_000_000;

/// No snapshot but at the start.
pub(crate) const NO_SNAPSHOTS: &[&str] = &["snapCount=2000000000", "snapSizeLimitInKb=-1"];

/// One snapshot after the other: with 500 writes a second the next one is due at once.
const SNAPSHOTS: &[&str] = &["snapCount=100", "snapSizeLimitInKb=-1"];

/// The small collector, with room for a million nodes: a large heap would only count against Java.
pub(crate) const JAVA_SMALL: &[&str] = &["-Xmx1g", "-XX:+UseSerialGC"];

/// Enough that Java does not stop to make room.
const JAVA_LARGE: &[&str] = &["-Xms4g", "-Xmx4g", "-XX:+UseSerialGC"];

/// Characters of a path, bytes of data.
pub(crate) const PATH: usize = 40;
pub(crate) const DATA: usize = 100;

/// Nodes in one parent.
pub(crate) const PER_PARENT: usize = 1000;

/// The words that make, or find, a tree of so many nodes.
pub(crate) fn tree(nodes: usize) -> String {
    format!("--root /b --keys {nodes} --per-parent {PER_PARENT} --path-length {PATH} --size {DATA}")
}

/// Bytes of the last names and the data of such a tree.
pub(crate) fn payload(nodes: usize) -> f64 {
    // The parent is `/b/pN`: what is left of the path is the name behind a slash.
    let name = |key: usize| PATH - format!("/b/p{}/", key / PER_PARENT).len();
    let parents = (0..nodes).step_by(PER_PARENT);
    let names: usize = parents
        .map(|key| name(key) * PER_PARENT.min(nodes - key))
        .sum();
    (names + nodes * DATA) as f64
}

/// What a node costs.
pub(crate) fn memory(options: &Options) -> Result<Vec<Line>> {
    if !options.wants("memory") {
        return Ok(Vec::new());
    }
    println!("memory of a million nodes");
    let mut resident = [0.0; 2];
    let mut empty = [0.0; 2];
    for (at, kind) in [Kind::Zooid, Kind::Java].into_iter().enumerate() {
        let settings = Settings {
            lines: NO_SNAPSHOTS,
            java: JAVA_SMALL,
        };
        let folder = fresh(kind.name())?;
        let server = Server::start(kind, &folder, settings)?;
        empty[at] = server.resident()? as f64;
        bench(&server, &format!("fill {}", tree(MILLION)))?;
        resident[at] = server.resident()? as f64;
        server.stop()?;
        remove(&folder)?;
    }
    let nodes = MILLION as f64;
    let beyond = (resident[0] - empty[0] - payload(MILLION)) / nodes;
    let from = format!(
        "{} MB, of those {} MB before the first node and {} MB of names and data",
        figure(resident[0] / 1e6),
        figure(empty[0] / 1e6),
        figure(payload(MILLION) / 1e6)
    );
    let what =
        "1 M nodes (paths of 40 characters, 100 B): resident memory beyond names and data, a node";
    Ok(vec![
        Line::new(what, Goal::AtMost(140.0))
            .values(vec![beyond], "B")
            .from(from),
        Line::new(
            "1 M nodes: resident memory, Zooid / Java",
            Goal::AtMost(0.3),
        )
        .ratios(
            &[(resident[0] / 1e6, resident[1] / 1e6)],
            &format!("MB; Java with {}", JAVA_SMALL.join(" ")),
        ),
    ])
}

/// Makes a folder whose newest snapshot has all nodes: Java takes one at each start.
fn with_snapshot(nodes: usize) -> Result<std::path::PathBuf> {
    let folder = fresh("snapshot")?;
    let settings = Settings {
        lines: NO_SNAPSHOTS,
        java: JAVA_LARGE,
    };
    let server = Server::start(Kind::Zooid, &folder, settings)?;
    bench(&server, &format!("fill {}", tree(nodes)))?;
    server.stop()?;
    Server::start(Kind::Java, &folder, settings)?.stop()?;
    Ok(folder)
}

/// How long a start takes.
pub(crate) fn start(options: &Options) -> Result<Vec<Line>> {
    if !options.wants("start") {
        return Ok(Vec::new());
    }
    println!("start on a million nodes");
    let folder = with_snapshot(MILLION)?;
    let settings = Settings {
        lines: NO_SNAPSHOTS,
        java: JAVA_LARGE,
    };
    let mut pairs = Vec::new();
    for _ in 0..options.rounds.max(3) {
        let mut took = [0.0; 2];
        for (at, kind) in [Kind::Zooid, Kind::Java].into_iter().enumerate() {
            let server = Server::start(kind, &folder, settings)?;
            took[at] = server.start.as_secs_f64();
            server.stop()?;
        }
        pairs.push((took[1], took[0]));
    }
    remove(&folder)?;
    let rate = |(_, zooid): &(f64, f64)| MILLION as f64 / zooid;
    let what = "start on a snapshot of 1 M nodes to the first reply";
    Ok(vec![
        Line::new(format!("{what}: Java / Zooid"), Goal::AtLeast(6.0)).ratios(&pairs, "s"),
        Line::new(format!("{what}: nodes a second"), Goal::AtLeast(500_000.0))
            .values(pairs.iter().map(rate).collect(), "/s"),
    ])
}

/// What snapshots of a million nodes do to others.
pub(crate) fn snapshots(options: &Options) -> Result<Vec<Line>> {
    if !options.wants("snapshot") {
        return Ok(Vec::new());
    }
    let mut lines = snapshot(Kind::Zooid, MILLION, options.rounds)?;
    lines.extend(snapshot(Kind::Java, MILLION, options.rounds)?);
    Ok(lines)
}

/// The same with five million.
pub(crate) fn snapshots_5m(options: &Options) -> Result<Vec<Line>> {
    if !options.wants("snapshot-5m") {
        return Ok(Vec::new());
    }
    snapshot(Kind::Zooid, 5 * MILLION, options.rounds)
}

/// Latencies of a paced load without and with snapshots that follow one another.
fn snapshot(kind: Kind, nodes: usize, rounds: usize) -> Result<Vec<Line>> {
    println!("snapshots of {nodes} nodes: {}", kind.name());
    let folder = fresh("snapshots")?;
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let mut busy = Vec::new();
    let settings = |lines| Settings {
        lines,
        java: JAVA_LARGE,
    };
    let load = format!(
        "mixed --writes 10 --rate 5000 --existing {} --warm-up 3 --seconds 8",
        tree(nodes)
    );
    // The fill may go on while nothing is measured.
    let server = Server::start(kind, &folder, settings(NO_SNAPSHOTS))?;
    bench(&server, &format!("fill {}", tree(nodes)))?;
    server.stop()?;
    for _ in 0..rounds {
        let mut tails = [[0.0; 2]; 2];
        for (at, lines) in [SNAPSHOTS, NO_SNAPSHOTS].into_iter().enumerate() {
            let server = Server::start(kind, &folder, settings(lines))?;
            // Zooid and Java take one at the start as well: that is not the one to measure.
            std::thread::sleep(Duration::from_secs(2));
            let before = (
                server.metric("zk_sum_snapshottime")?,
                server.metric("zk_cnt_snapshottime")?,
            );
            let figures = bench(&server, &load)?;
            tails[at] = [
                figures.get("reads_us/p99.9")?,
                figures.get("writes_us/p99.9")?,
            ];
            if at == 0 {
                let spent = server.metric("zk_sum_snapshottime")? - before.0;
                let count = server.metric("zk_cnt_snapshottime")? - before.1;
                // Warm-up and measurement.
                busy.push((spent / 11e3, count));
            }
            server.stop()?;
            thin(&folder)?;
        }
        reads.push((tails[0][0], tails[1][0]));
        writes.push((tails[0][1], tails[1][1]));
    }
    remove(&folder)?;
    let share = median(busy.iter().map(|(share, _)| 100.0 * share).collect());
    let count = median(busy.iter().map(|(_, count)| *count).collect());
    let goal = if kind == Kind::Zooid {
        Goal::AtMost(1.5)
    } else {
        Goal::None
    };
    let line = |what: &str, pairs: &[(f64, f64)]| {
        let name = format!(
            "{}: p99.9 of {what} at 5000/s while a snapshot of {} M nodes is written, against without",
            if kind == Kind::Zooid { "Zooid" } else { "Java" },
            nodes / MILLION
        );
        let unit = format!("us; {count:.0} snapshots in {share:.0} % of the time");
        Line::new(name, goal).ratios(pairs, &unit)
    };
    Ok(vec![line("reads", &reads), line("writes", &writes)])
}

/// Removes all snapshots but the newest two: many large ones fill the disk.
fn thin(folder: &Path) -> Result<()> {
    let version = folder.join("data/version-2");
    let mut snapshots = Vec::new();
    for entry in std::fs::read_dir(&version)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(zxid) = name.strip_prefix("snapshot.")
            && let Ok(zxid) = u64::from_str_radix(zxid, 16)
        {
            snapshots.push((zxid, version.join(name)));
        }
    }
    snapshots.sort();
    let old = snapshots.len().saturating_sub(2);
    for (_, file) in &snapshots[..old] {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_data_of_a_tree() {
        // /b/p0/ has 6 characters, so a name has 34.
        assert_eq!(payload(10), (10 * 134) as f64);
        // The last 500 are in /b/p10/.
        assert_eq!(payload(10_500), (10_000 * 134 + 500 * 133) as f64);
    }
}
