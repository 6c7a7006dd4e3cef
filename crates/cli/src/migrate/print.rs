//! Reports for people, and the same as JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::judge::{Finding, Level, Target, worst};
use super::plan::Step;
use super::seen::{Ensemble, Kind, Seen, Server};

/// Width of the text behind a level.
const WIDTH: usize = 96;

/// A whole report.
pub(super) fn report(seen: &Ensemble, found: &[Finding], steps: &[Step<'_>], to: Target) -> String {
    let mut out = members(seen);
    let _ = write!(out, "\n{}", sizes(seen));
    let _ = write!(out, "\nFindings\n{}", findings(found));
    if steps.is_empty() {
        let _ = writeln!(out, "\nNothing to do: every member is {}.", to.name());
    } else {
        let _ = writeln!(out, "\nOrder, one at a time");
        for (at, step) in steps.iter().enumerate() {
            let name = step.member.name();
            let _ = writeln!(out, "  {}. {name}, {}: {}", at + 1, step.server, step.why);
        }
    }
    let count = |level| found.iter().filter(|one| one.level == level).count();
    let _ = match worst(found) {
        Level::Blocker => writeln!(
            out,
            "\nNOT SAFE: {}. Nothing may be stopped before that is gone.",
            counted(count(Level::Blocker), "blocker")
        ),
        _ if steps.is_empty() => Ok(()),
        Level::Risk => writeln!(
            out,
            "\nPossible, with {}: read them first. Then: zooid migrate follow",
            counted(count(Level::Risk), "risk")
        ),
        _ => writeln!(out, "\nSafe. Next: zooid migrate follow"),
    };
    out
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn members(seen: &Ensemble) -> String {
    let rows: Vec<[String; 5]> = seen
        .members
        .iter()
        .map(|member| match &member.server {
            Ok(server) => [
                member.name(),
                server.to_string(),
                server.mode.clone(),
                format!("0x{:x}", server.zxid),
                server.connections.to_string(),
            ],
            Err(trouble) => [
                member.name(),
                "?".to_owned(),
                trouble.to_string(),
                String::new(),
                String::new(),
            ],
        })
        .collect();
    let head = ["member", "kind", "role", "zxid", "connections"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            // What a member says instead of a role does not make the table wide.
            *width = (*width).max(cell.chars().count().min(30));
        }
    }
    let mut out = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

/// Sizes that a member tells, and their names in `mntr`.
const SIZES: [(&str, &str); 6] = [
    ("nodes", "znode_count"),
    ("bytes of paths and data", "approximate_data_size"),
    ("sessions", "global_sessions"),
    ("local sessions", "local_sessions"),
    ("ephemeral nodes", "ephemerals_count"),
    ("watches", "watch_count"),
];

/// The largest value of any member: watches and local sessions are each member's own, and are added.
fn size(seen: &Ensemble, name: &str) -> Option<i64> {
    let values = seen.serving().filter_map(|(_, server)| server.number(name));
    if matches!(name, "watch_count" | "local_sessions") {
        let values: Vec<i64> = values.collect();
        return (!values.is_empty()).then(|| values.iter().sum());
    }
    values.max()
}

fn sizes(seen: &Ensemble) -> String {
    let parts: Vec<String> = SIZES
        .iter()
        .filter_map(|(title, name)| Some(format!("{} {title}", size(seen, name)?)))
        .collect();
    match parts.is_empty() {
        true => {
            let nodes = seen.serving().map(|(_, server)| server.nodes).max();
            format!("Size: {} nodes\n", nodes.unwrap_or(0))
        }
        false => format!("Size: {}\n", parts.join(", ")),
    }
}

/// A line and more for each finding.
pub(super) fn findings(found: &[Finding]) -> String {
    let mut out = String::new();
    for finding in found {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Risk => "RISK",
            Level::Blocker => "BLOCKER",
        };
        wrap(
            &mut out,
            &format!("  {level:8}"),
            &format!("{}: {}", finding.about, finding.text),
        );
        if !finding.advice.is_empty() {
            wrap(&mut out, "            -> ", &finding.advice);
        }
    }
    out
}

fn wrap(out: &mut String, head: &str, text: &str) {
    let mut line = head.to_owned();
    let indent = head.chars().count();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + word.chars().count() >= WIDTH + 12 {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent);
            empty = true;
        }
        line.push_str(if empty { "" } else { " " });
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{line}");
}

/// The same report as JSON.
pub(super) fn json(seen: &Ensemble, found: &[Finding], steps: &[Step<'_>], to: Target) -> Value {
    let sizes: serde_json::Map<String, Value> = SIZES
        .iter()
        .map(|(_, name)| ((*name).to_owned(), json!(size(seen, name))))
        .collect();
    json!({
        "to": to.name().to_lowercase(),
        "safe": worst(found) < Level::Blocker,
        "members": seen.members.iter().map(member_json).collect::<Vec<_>>(),
        "sizes": sizes,
        "acls": seen.acls.as_ref().map(|acls| json!({
            "nodes": acls.nodes,
            "hidden": acls.hidden,
            "left": acls.left,
            "schemes": acls.schemes,
            "ttl_nodes": acls.ttl_nodes,
            "containers": acls.containers,
        })),
        "findings": findings_json(found),
        "steps": steps.iter().map(|step| json!({
            "id": step.member.id,
            "address": step.member.address,
            "role": step.server.mode,
            "why": step.why,
        })).collect::<Vec<_>>(),
    })
}

fn member_json(member: &Seen) -> Value {
    match &member.server {
        Ok(server) => json!({
            "id": member.id,
            "address": member.address,
            "kind": kind_name(&server.kind),
            "version": server.version.to_string(),
            "zooid_version": match &server.kind {
                Kind::Zooid(version) => Some(version),
                Kind::Java => None,
            },
            "role": server.mode,
            "zxid": format!("0x{:x}", server.zxid),
            "connections": server.connections,
        }),
        Err(trouble) => json!({
            "id": member.id,
            "address": member.address,
            "trouble": trouble.to_string(),
        }),
    }
}

pub(super) fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Java => "java",
        Kind::Zooid(_) => "zooid",
    }
}

pub(super) fn findings_json(found: &[Finding]) -> Vec<Value> {
    found
        .iter()
        .map(|finding| {
            json!({
                "level": match finding.level {
                    Level::Ok => "ok",
                    Level::Note => "note",
                    Level::Risk => "risk",
                    Level::Blocker => "blocker",
                },
                "about": finding.about,
                "text": finding.text,
                "advice": finding.advice,
            })
        })
        .collect()
}

/// What an operator does on the host of a member.
pub(super) fn instructions(
    member: &Seen,
    server: Option<&Server>,
    to: Target,
    config: Option<&Path>,
) -> String {
    let file = config.map_or("zoo.cfg".to_owned(), |file| file.display().to_string());
    let data = server
        .and_then(|server| server.conf.told())
        .and_then(|conf| conf.get("dataDir"))
        .map(|dir| dir.trim_end_matches("/version-2").to_owned());
    let (stop, start) = match to {
        Target::Zooid => (
            "zkServer.sh stop   (or: systemctl stop zookeeper)",
            format!("zooid serve --config {file}   (or: systemctl start zooid)"),
        ),
        Target::Java => (
            "systemctl stop zooid   (or: send the process SIGTERM)",
            format!("zkServer.sh start {file}   (or: systemctl start zookeeper)"),
        ),
    };
    let mut out = format!("  on {}:\n", super::hosts::host_of(&member.address));
    let mut line = |what: &str, command: &str| {
        let _ = writeln!(out, "    {what:15}{command}");
    };
    if to == Target::Zooid {
        line("look before:", &format!("zooid check-config {file}"));
    }
    line(&format!("stop {}:", to.other().name()), stop);
    if to == Target::Zooid {
        line("look again:", &format!("zooid verify --config {file}"));
    }
    line(&format!("start {}:", to.name()), &start);
    let data = data.map_or(String::new(), |data| format!(" ({data})"));
    let _ = writeln!(
        out,
        "    The configuration file and the data directory{data} stay as they are."
    );
    out
}
