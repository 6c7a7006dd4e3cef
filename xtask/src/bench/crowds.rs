//! Many sessions, many watchers, and a server that nobody uses.

use std::time::Duration;

use anyhow::Result;

use super::load::bench;
use super::page::{Goal, Line};
use super::server::{Kind, Server, Settings};
use super::{JAVA_FLAGS, Options, fresh};
use crate::zooid;

const FANOUT: &str = "fanout --connections 10000 --rounds 7 --timeout 120000";

/// Handshakes under way at a time: as many as a crowd of clients has that lost its server, and
/// fewer than any backlog.
const STORM: &str = "storm --sessions 5000 --connections 256 --timeout 120000";

/// Figures of the servers, round by round.
#[derive(Default)]
struct Rounds {
    zooid: Vec<f64>,
    java: Vec<f64>,
    echo: Vec<f64>,
}

impl Rounds {
    fn of(&mut self, kind: Kind) -> &mut Vec<f64> {
        match kind {
            Kind::Zooid => &mut self.zooid,
            Kind::Java => &mut self.java,
            Kind::Echo => &mut self.echo,
        }
    }
}

fn pairs(one: &[f64], other: &[f64]) -> Vec<(f64, f64)> {
    one.iter().copied().zip(other.iter().copied()).collect()
}

/// Runs the rows of crowds.
pub(crate) fn run(options: &Options) -> Result<Vec<Line>> {
    let (mut last, mut storms) = (Rounds::default(), Rounds::default());
    let (fanout, storm) = (options.wants("fanout"), options.wants("storm"));
    if !fanout && !storm {
        return Ok(Vec::new());
    }
    for round in 1..=options.rounds {
        for kind in [Kind::Zooid, Kind::Java, Kind::Echo] {
            println!(
                "crowds, round {round} of {}: {}",
                options.rounds,
                kind.name()
            );
            let settings = Settings {
                java: JAVA_FLAGS,
                ..Settings::default()
            };
            let server = Server::start(kind, &fresh(kind.name())?, settings)?;
            if kind == Kind::Java {
                bench(&server, "mixed --warm-up 0 --seconds 8")?;
            }
            if storm {
                bench(&server, "churn --warm-up 0 --seconds 2")?;
                storms.of(kind).push(bench(&server, STORM)?.get("rate")?);
            }
            if fanout {
                let us = bench(&server, FANOUT)?.get("last_event_us_median")?;
                last.of(kind).push(us / 1000.0);
            }
            server.stop()?;
        }
    }
    let mut lines = Vec::new();
    if fanout {
        let Rounds { zooid, java, echo } = &last;
        let what = "1 change to 10,000 watchers: time to the last event";
        let of = |other: &str| format!("{what}, {other}");
        lines.extend([
            Line::new(of("Java / Zooid"), Goal::AtLeast(5.0)).ratios(&pairs(java, zooid), "ms"),
            Line::new(of("echo / Zooid"), Goal::None).ratios(&pairs(echo, zooid), "ms"),
            Line::new(of("Java / echo: the most there is"), Goal::None)
                .ratios(&pairs(java, echo), "ms"),
        ]);
    }
    if storm {
        let Rounds { zooid, java, echo } = &storms;
        let what = "5,000 new sessions, 256 at a time: sessions a second";
        let of = |other: &str| format!("{what}, {other}");
        lines.extend([
            Line::new(of("Zooid / Java"), Goal::AtLeast(5.0)).ratios(&pairs(zooid, java), "/s"),
            Line::new(of("Zooid / echo"), Goal::None).ratios(&pairs(zooid, echo), "/s"),
            Line::new(of("echo / Java: the most there is"), Goal::None)
                .ratios(&pairs(echo, java), "/s"),
        ]);
    }
    Ok(lines)
}

/// An empty server: memory, binary, start.
pub(crate) fn idle(options: &Options) -> Result<Vec<Line>> {
    if !options.wants("idle") {
        return Ok(Vec::new());
    }
    println!("idle");
    let (mut resident, mut start, mut java) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3.max(options.rounds) {
        let server = Server::start(Kind::Zooid, &fresh("zooid")?, Settings::default())?;
        start.push(server.start.as_secs_f64() * 1e3);
        // What a start leaves to be done is done then.
        std::thread::sleep(Duration::from_secs(1));
        resident.push(server.resident()? as f64 / 1e6);
        server.stop()?;
    }
    let server = Server::start(Kind::Java, &fresh("java")?, Settings::default())?;
    java.push(server.start.as_secs_f64() * 1e3);
    let java_resident = server.resident()? as f64 / 1e6;
    server.stop()?;
    let binary = std::fs::metadata(zooid())?.len() as f64 / 1e6;
    Ok(vec![
        Line::new("idle: resident memory", Goal::AtMost(15.0))
            .values(resident, "MB")
            .from(format!("Java {java_resident:.0} MB")),
        Line::new("release binary", Goal::AtMost(20.0)).values(vec![binary], "MB"),
        Line::new(
            "start of an empty server to its first reply",
            Goal::AtMost(50.0),
        )
        .values(start, "ms")
        .from(format!("Java {:.0} ms", java[0])),
    ])
}
