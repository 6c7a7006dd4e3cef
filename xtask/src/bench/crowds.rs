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

/// Runs the rows of crowds.
pub(crate) fn run(options: &Options) -> Result<Vec<Line>> {
    let (mut last, mut storms) = (Vec::new(), Vec::new());
    let (fanout, storm) = (options.wants("fanout"), options.wants("storm"));
    if !fanout && !storm {
        return Ok(Vec::new());
    }
    for round in 1..=options.rounds {
        let (mut events, mut sessions) = ([0.0; 2], [0.0; 2]);
        for (at, kind) in [Kind::Zooid, Kind::Java].into_iter().enumerate() {
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
                sessions[at] = bench(&server, STORM)?.get("rate")?;
            }
            if fanout {
                events[at] = bench(&server, FANOUT)?.get("last_event_us_median")? / 1000.0;
            }
            server.stop()?;
        }
        last.push((events[1], events[0]));
        storms.push((sessions[0], sessions[1]));
    }
    let mut lines = Vec::new();
    if fanout {
        let what = "1 change to 10,000 watchers: time to the last event, Java / Zooid";
        lines.push(Line::new(what, Goal::AtLeast(5.0)).ratios(&last, "ms"));
    }
    if storm {
        let what = "5,000 new sessions, 256 at a time: sessions a second, Zooid / Java";
        lines.push(Line::new(what, Goal::AtLeast(5.0)).ratios(&storms, "/s"));
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
