//! Zooid beside Apache ZooKeeper, in turn on the same disk and cores: ratios with their spread.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{repo, target, tools, zooid};

/// Rounds: each runs all loads on both servers.
const ROUNDS: usize = 3;

/// Seconds of each load, behind its warm-up.
const SECONDS: &str = "3";

/// Seconds of warm-up of each load.
const WARM_UP: &str = "1";

/// Loads: operation, connections, requests under way on each.
const LOADS: &[(&str, &str, &str)] = &[
    ("get", "32", "16"),
    ("set", "32", "16"),
    ("create", "32", "16"),
    ("mixed", "32", "16"),
    ("get", "1", "1"),
    ("get", "10", "1"),
    ("get", "100", "1"),
    ("set", "1", "1"),
    ("set", "10", "1"),
    ("set", "100", "1"),
];

/// What one load gave.
#[derive(Debug, Clone, Copy)]
struct Figure {
    rate: f64,
    p50_us: f64,
    p999_us: f64,
}

/// Runs all rounds and writes `bench/RESULTS.md`.
pub(crate) fn compare() -> Result<bool> {
    for tool in ["java", "mvn"] {
        if let Err(reason) = tools::provide(tool) {
            bail!("{reason}");
        }
    }
    if std::env::var_os("ZOOID").is_none() {
        succeed(Command::new("cargo").args(["build", "--release", "--package", "zooid-cli"]))?;
    }
    succeed(&mut Command::new(repo().join("interop/oracle/install")))?;
    let mut figures = vec![[Vec::new(), Vec::new()]; LOADS.len()];
    for round in 1..=ROUNDS {
        for (kind, server) in ["zooid", "java"].into_iter().enumerate() {
            println!("round {round} of {ROUNDS}: {server}");
            let folder = target().join(format!("bench/{server}"));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder)?;
            let port = free_port()?;
            control("start", &[server, &port, path(&folder)?])?;
            let done = run_loads(&port, kind, &mut figures);
            control("stop", &[path(&folder)?])?;
            done?;
        }
    }
    let page = page(&figures)?;
    let file = repo().join("bench/RESULTS.md");
    std::fs::write(&file, &page)?;
    println!("{page}\nwritten to bench/RESULTS.md");
    Ok(true)
}

fn run_loads(port: &str, kind: usize, figures: &mut [[Vec<Figure>; 2]]) -> Result<()> {
    // A Java server needs some seconds of load before it is compiled; both get them.
    load(port, "mixed", "32", "16", "5")?;
    for (at, (operation, connections, outstanding)) in LOADS.iter().enumerate() {
        figures[at][kind].push(load(port, operation, connections, outstanding, SECONDS)?);
    }
    Ok(())
}

fn load(port: &str, operation: &str, conns: &str, outstanding: &str, secs: &str) -> Result<Figure> {
    let output = Command::new(zooid())
        .args([
            "bench",
            "--json",
            "--server",
            &format!("127.0.0.1:{port}"),
            operation,
        ])
        .args(["--connections", conns, "--outstanding", outstanding])
        .args(["--seconds", secs, "--warm-up", WARM_UP])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("zooid bench {operation} ended with {}", output.status);
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let number = |value: &serde_json::Value| value.as_f64().context("zooid bench prints no number");
    Ok(Figure {
        rate: number(&json["rate"])?,
        p50_us: number(&json["latency_us"]["p50"])?,
        p999_us: number(&json["latency_us"]["p99.9"])?,
    })
}

fn page(figures: &[[Vec<Figure>; 2]]) -> Result<String> {
    let mut page = String::from("# Zooid beside Apache ZooKeeper 3.9.5\n\n");
    page.push_str(
        "Made by `cargo xtask bench-compare`. Both servers have the same `zoo.cfg`, their ",
    );
    page.push_str("data on the same disk, fsync on, and share the cores with the load generator. ");
    page.push_str("Ratios are the median of the rounds, with the lowest and highest; absolute ");
    page.push_str("figures are medians of a noisy machine and mean little by themselves.\n\n");
    writeln!(page, "- machine: {}", machine()?)?;
    writeln!(
        page,
        "- versions: {}; {}",
        first_line(&zooid_version()?),
        java_version()?
    )?;
    writeln!(
        page,
        "- rounds: {ROUNDS}, each load {SECONDS} s behind {WARM_UP} s, 100 B of data, 1000 nodes\n"
    )?;
    page.push_str("| load | connections x outstanding | Zooid /s | Java /s | throughput ratio | p50 ratio | p99.9 ratio |\n");
    page.push_str("|---|---|---|---|---|---|---|\n");
    for ((operation, conns, outstanding), [zooid, java]) in LOADS.iter().zip(figures) {
        let ratio = |of: fn(&Figure) -> f64| {
            let pairs = zooid.iter().zip(java).map(|(z, j)| of(z) / of(j).max(1e-9));
            spread(pairs.collect())
        };
        let rate = |side: &[Figure]| median(side.iter().map(|figure| figure.rate).collect());
        writeln!(
            page,
            "| {operation} | {conns} x {outstanding} | {:.0} | {:.0} | {} | {} | {} |",
            rate(zooid),
            rate(java),
            ratio(|figure| figure.rate),
            ratio(|figure| figure.p50_us),
            ratio(|figure| figure.p999_us),
        )?;
    }
    Ok(page)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    format!(
        "{:.2} ({:.2}-{:.2})",
        values[last.div_ceil(2)],
        values[0],
        values[last]
    )
}

fn machine() -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!("{cores} cores of {model}, Linux {}", kernel.trim()))
}

fn zooid_version() -> Result<String> {
    let output = Command::new(zooid()).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn java_version() -> Result<String> {
    let output = Command::new("java").arg("-version").output()?;
    let version = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(format!(
        "Apache ZooKeeper 3.9.5 on {}, -Xmx512m",
        first_line(&version)
    ))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("unknown")
}

fn free_port() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port()
        .to_string())
}

fn path(folder: &Path) -> Result<&str> {
    folder.to_str().context("the target folder is not UTF-8")
}

fn control(verb: &str, arguments: &[&str]) -> Result<()> {
    succeed(
        Command::new(repo().join("interop/server.sh"))
            .arg(verb)
            .args(arguments)
            .env("ZOOID", zooid())
            .env("INTEROP_OUT", target().join("interop")),
    )
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.current_dir(repo()).status()?;
    if !status.success() {
        bail!("{:?} ended with {status}", command.get_program());
    }
    Ok(())
}
