//! Requests: how many, how quick, with many and with few clients.

use anyhow::Result;

use super::load::{Figures, bench};
use super::page::{Goal, Line, figure, median};
use super::server::{Kind, Server, Settings};
use super::{JAVA_FLAGS, Options, fresh};

/// One load: the row it belongs to, its name, its words.
struct Load {
    row: &'static str,
    name: String,
    words: String,
    /// Whether the echo has it as well.
    limit: bool,
}

fn loads(options: &Options) -> Vec<Load> {
    let load = |row, name: String, words: String, limit| Load {
        row,
        name,
        words,
        limit,
    };
    let wide = |row: &'static str, limit| {
        let words = format!("{row} --connections 32 --outstanding 16");
        load(row, format!("{row} 32 x 16"), words, limit)
    };
    let mut all = vec![
        wide("get", true),
        wide("set", false),
        wide("create", false),
        wide("mixed", false),
    ];
    for operation in ["get", "set"] {
        for clients in [1, 10, 100] {
            let words = format!("{operation} --connections {clients} --outstanding 1");
            let name = format!("{operation} {clients} x 1");
            all.push(load("sync", name, words, operation == "get"));
        }
    }
    all.retain(|load| options.wants(load.row));
    all
}

/// The figures of all rounds of one load, by kind of server.
#[derive(Default)]
struct Rounds {
    zooid: Vec<Figures>,
    java: Vec<Figures>,
    echo: Vec<Figures>,
    /// Why there are no lines of it.
    failed: Option<String>,
}

impl Rounds {
    fn of(&mut self, kind: Kind) -> &mut Vec<Figures> {
        match kind {
            Kind::Zooid => &mut self.zooid,
            Kind::Java => &mut self.java,
            Kind::Echo => &mut self.echo,
        }
    }
}

/// A figure of two servers, round by round.
fn pairs(one: &[Figures], other: &[Figures], way: &str) -> Result<Vec<(f64, f64)>> {
    let both = one.iter().zip(other);
    both.map(|(one, other)| Ok((one.get(way)?, other.get(way)?)))
        .collect()
}

/// Runs the rows of requests.
pub(crate) fn run(options: &Options) -> Result<Vec<Line>> {
    let loads = loads(options);
    let mut rounds: Vec<Rounds> = loads.iter().map(|_| Rounds::default()).collect();
    if loads.is_empty() {
        return Ok(Vec::new());
    }
    for round in 1..=options.rounds {
        for kind in [Kind::Zooid, Kind::Java, Kind::Echo] {
            println!(
                "loads, round {round} of {}: {}",
                options.rounds,
                kind.name()
            );
            let settings = Settings {
                java: JAVA_FLAGS,
                ..Settings::default()
            };
            let server = Server::start(kind, &fresh(kind.name())?, settings)?;
            if kind == Kind::Java {
                // It is compiled while it runs.
                bench(&server, "mixed --warm-up 0 --seconds 8")?;
            }
            for (load, rounds) in loads.iter().zip(&mut rounds) {
                if kind != Kind::Echo || load.limit {
                    let words = format!("{} --warm-up 1 --seconds 3", load.words);
                    match bench(&server, &words) {
                        Ok(figures) => rounds.of(kind).push(figures),
                        Err(error) => rounds.failed = Some(format!("{}: {error:#}", kind.name())),
                    }
                }
            }
            server.stop()?;
        }
    }
    let mut lines = Vec::new();
    for (load, rounds) in loads.iter().zip(&rounds) {
        if let Some(why) = &rounds.failed {
            let failed = Line::new(format!("{}: failed", load.name), Goal::None);
            lines.push(failed.from(why));
            continue;
        }
        lines.extend(match load.row {
            "sync" => sync_lines(load, rounds)?,
            _ => wide_lines(load, rounds)?,
        });
    }
    Ok(lines)
}

fn wide_lines(load: &Load, rounds: &Rounds) -> Result<Vec<Line>> {
    let Rounds {
        zooid, java, echo, ..
    } = rounds;
    let name = &load.name;
    let rate = pairs(zooid, java, "rate")?;
    let tail = pairs(zooid, java, "latency_us/p99.9")?;
    let throughput = format!("{name}: throughput, Zooid / Java");
    let slowest = format!("{name}: p99.9, Zooid / Java");
    let mut lines = Vec::new();
    match load.row {
        "get" => {
            lines.push(Line::new(throughput, Goal::AtLeast(8.0)).ratios(&rate, "/s"));
            let limit = format!("{name}: throughput, Zooid / echo");
            let of_limit = pairs(zooid, echo, "rate")?;
            lines.push(Line::new(limit, Goal::AtLeast(0.45)).ratios(&of_limit, "/s"));
            lines.push(generator(name, rounds)?);
            lines.push(Line::new(slowest, Goal::None).ratios(&tail, "us"));
        }
        "mixed" => {
            lines.push(Line::new(throughput, Goal::None).ratios(&rate, "/s"));
            lines.push(Line::new(slowest, Goal::AtMost(0.3)).ratios(&tail, "us"));
        }
        _ => {
            lines.push(Line::new(throughput, Goal::AtLeast(3.0)).ratios(&rate, "/s"));
            lines.push(Line::new(slowest, Goal::None).ratios(&tail, "us"));
        }
    }
    Ok(lines)
}

/// Whether the load generator could have been what was measured: its processor time beside Zooid.
fn generator(name: &str, rounds: &Rounds) -> Result<Line> {
    let cores = |side: &[Figures]| -> Result<Vec<f64>> {
        side.iter().map(|run| run.get("client_cores")).collect()
    };
    let micros = |side: &[Figures]| -> Result<f64> {
        let each = side
            .iter()
            .map(|run| Ok(run.get("client_cores")? / run.get("rate")? * 1e6));
        Ok(median(each.collect::<Result<_>>()?))
    };
    Ok(Line::new(
        format!("{name}: cores that the load generator took beside Zooid"),
        Goal::None,
    )
    .values(cores(&rounds.zooid)?, "cores")
    .from(format!(
        "{} us a request; beside Java {} cores, beside the echo {}",
        figure(micros(&rounds.zooid)?),
        figure(median(cores(&rounds.java)?)),
        figure(median(cores(&rounds.echo)?)),
    )))
}

fn sync_lines(load: &Load, rounds: &Rounds) -> Result<Vec<Line>> {
    let Rounds {
        zooid, java, echo, ..
    } = rounds;
    let name = &load.name;
    let p50 = if load.limit { 0.6 } else { 1.0 };
    let mut lines = vec![
        Line::new(
            format!("{name}: throughput, Zooid / Java"),
            Goal::AtLeast(1.0),
        )
        .ratios(&pairs(zooid, java, "rate")?, "/s"),
        Line::new(format!("{name}: p50, Zooid / Java"), Goal::AtMost(p50))
            .ratios(&pairs(zooid, java, "latency_us/p50")?, "us"),
        Line::new(format!("{name}: p99.9, Zooid / Java"), Goal::None)
            .ratios(&pairs(zooid, java, "latency_us/p99.9")?, "us"),
    ];
    if load.limit {
        lines.push(
            Line::new(format!("{name}: p99.9, Zooid / echo"), Goal::None)
                .ratios(&pairs(zooid, echo, "latency_us/p99.9")?, "us"),
        );
    }
    Ok(lines)
}
