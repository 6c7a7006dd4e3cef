//! Goes with an operator through the steps. What is done and what is left is read from the ensemble
//! each time, so that it may be interrupted anywhere and begun anew.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::judge::{Finding, Level, Target, unwatched, worst};
use super::observe::{Depth, Observer};
use super::seen::{Ensemble, Seen, Trouble};
use super::{Exit, hosts, plan, print, whole};

/// How often members are asked while somebody waits.
const POLL: Duration = Duration::from_millis(500);
/// How long nothing is looked at closely where that found something wrong: it takes a session at each
/// member.
const AGAIN: Duration = Duration::from_secs(5);
/// How long all members may take to come to one zxid.
const LEVEL: Duration = Duration::from_secs(60);

/// How to follow.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) to: Target,
    /// Numbers of followers that come before the others.
    pub(super) first: Vec<i64>,
    /// Commands that replace members; without them an operator does.
    pub(super) commands: Option<Commands>,
    /// How long a member and the ensemble may take to be back. `None`: for ever.
    pub(super) patience: Option<Duration>,
    /// After how many steps it ends. `None`: when nothing is left.
    pub(super) steps: Option<usize>,
    /// The configuration file that instructions name.
    pub(super) config: Option<PathBuf>,
    pub(super) json: bool,
}

/// Commands with `{id}`, `{host}`, `{port}`, `{from}` and `{to}`, run by `sh`.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    pub(super) stop: Option<String>,
    pub(super) start: String,
}

impl Commands {
    /// The commands for one member. What is filled in is checked when it is read: no shell takes it
    /// for anything else.
    pub(super) fn of(&self, member: &Seen, to: Target) -> (Option<String>, String) {
        let id = member.id.map_or(String::new(), |id| id.to_string());
        let fill = |template: &String| {
            template
                .replace("{id}", &id)
                .replace("{host}", hosts::host_of(&member.address))
                .replace("{port}", hosts::port_of(&member.address))
                .replace("{from}", &to.other().name().to_lowercase())
                .replace("{to}", &to.name().to_lowercase())
        };
        (self.stop.as_ref().map(&fill), fill(&self.start))
    }
}

/// Looks whether the ensemble is whole, with a session at each member and a zxid that all reach.
pub(super) async fn confirm(observer: &mut Observer) -> (Ensemble, Vec<Finding>) {
    // The second look sees those that the first one found.
    let refused = observer.identify().await;
    let mark = {
        let seen = observer.look(Depth::Quick).await;
        let leader = seen.leader().map(|(_, server)| server.zxid);
        leader.or_else(|| seen.serving().map(|(_, server)| server.zxid).max())
    };
    let end = Instant::now() + LEVEL;
    loop {
        let seen = observer.look(Depth::Digests).await;
        let mut found = whole::judge(&seen, mark);
        for (address, why) in &refused {
            let serves = seen
                .serving()
                .find(|(member, _)| member.address == *address);
            if let Some((member, _)) = serves {
                found.push(Finding::new(
                    Level::Blocker,
                    member.name(),
                    format!("takes no session: {why}"),
                    "see its log",
                ));
            }
        }
        found.extend(seen.unknown.iter().map(|id| unwatched(*id)));
        // Only what time mends is worth waiting for.
        let behind = found
            .iter()
            .any(|one| one.level == Level::Blocker && one.about == "zxid");
        if !behind || Instant::now() > end {
            return (seen, found);
        }
        sleep(POLL).await;
    }
}

/// Goes through the steps.
pub(super) async fn follow(observer: &mut Observer, way: &Way) -> Exit {
    let mut done = 0;
    let mut told = String::new();
    let mut waiting_since = Instant::now();
    let mut started = Vec::new();
    let mut closely = Instant::now();
    loop {
        let seen = observer.look(Depth::Quick).await;
        let found = whole::judge(&seen, None);
        let (seen, found) = match worst(&found) {
            Level::Blocker => (seen, found),
            _ if Instant::now() < closely => {
                if gone(way, waiting_since) {
                    return give_up(way, "the ensemble did not become whole");
                }
                sleep(POLL).await;
                continue;
            }
            _ => {
                closely = Instant::now() + AGAIN;
                confirm(observer).await
            }
        };
        if worst(&found) == Level::Blocker {
            let exit = not_whole(way, &seen, found, &mut told, &mut started).await;
            if let Err(exit) = exit {
                return exit;
            }
            if gone(way, waiting_since) {
                return give_up(way, "the ensemble did not become whole");
            }
            sleep(POLL).await;
            continue;
        }
        closely = Instant::now();
        let left = plan::steps(&seen, way.to, &way.first);
        told.clear();
        started.clear();
        say(
            way,
            &format!("whole: {}", summary(&found)),
            json!({"event": "whole", "findings": print::findings_json(&found)}),
        );
        let Some(step) = left.first() else {
            say(
                way,
                &format!("done: every member is {}", way.to.name()),
                json!({"event": "done"}),
            );
            return Exit::Good;
        };
        if way.steps.is_some_and(|steps| done >= steps) {
            say(
                way,
                &format!("{} left; stopping here, as asked", left.len()),
                json!({"event": "stopped", "left": left.len()}),
            );
            return Exit::Good;
        }
        let member = step.member.clone();
        let head = format!(
            "next, {} left: {}, {}, {}: {}",
            left.len(),
            member.name(),
            step.server.mode,
            step.server,
            step.why
        );
        let event = json!({
            "event": "step", "id": member.id, "address": member.address, "role": step.server.mode,
            "kind": print::kind_name(&step.server.kind), "why": step.why, "left": left.len(),
        });
        match &way.commands {
            Some(commands) => {
                say(way, &head, event);
                if let Err(exit) = replace(observer, way, &member, commands).await {
                    return exit;
                }
            }
            None => {
                // What is said on the host of a member needs its directories.
                let all = observer.look(Depth::All).await;
                let server = all
                    .serving()
                    .find(|(one, _)| one.address == member.address)
                    .map(|(_, server)| server);
                let text = print::instructions(&member, server, way.to, way.config.as_deref());
                say(way, &format!("{head}\n{text}"), event);
                if let Err(exit) = wait_for(observer, way, &member).await {
                    return exit;
                }
            }
        }
        done += 1;
        waiting_since = Instant::now();
    }
}

/// Says what is wrong, if that is new. A single member that is down is started where there is a command
/// for that, once: it may be a step that was interrupted, and to start it costs no quorum.
async fn not_whole(
    way: &Way,
    seen: &Ensemble,
    found: Vec<Finding>,
    told: &mut String,
    started: &mut Vec<String>,
) -> Result<(), Exit> {
    let troubles: Vec<Finding> = found
        .into_iter()
        .filter(|one| one.level == Level::Blocker)
        .collect();
    let mut text = print::findings(&troubles);
    let down = alone_down(seen);
    if let (Some(member), None) = (down, &way.commands) {
        text.push_str("  If you are replacing it:\n");
        text.push_str(&print::instructions(
            member,
            None,
            way.to,
            way.config.as_deref(),
        ));
    }
    if text != *told {
        say(
            way,
            &format!("waiting: the ensemble is not whole\n{text}"),
            json!({"event": "waiting", "findings": print::findings_json(&troubles)}),
        );
        *told = text;
    }
    if let (Some(member), Some(commands)) = (down, &way.commands)
        && !started.contains(&member.address)
    {
        started.push(member.address.clone());
        let (_, start) = commands.of(member, way.to);
        run(way, member, "start", &start).await?;
    }
    Ok(())
}

/// Prints what would be run for each step.
pub(super) fn dry_run(seen: &Ensemble, way: &Way, commands: &Commands) {
    for step in plan::steps(seen, way.to, &way.first) {
        let (stop, start) = commands.of(step.member, way.to);
        let text = format!(
            "{}:\n  would run: {}\n  would run: {start}\n  would wait until it is {} and the ensemble is whole",
            step.member.name(),
            stop.as_deref().unwrap_or("(nothing to stop it)"),
            way.to.name()
        );
        say(
            way,
            &text,
            json!({
                "event": "would", "id": step.member.id, "address": step.member.address,
                "stop": stop, "start": start,
            }),
        );
    }
}

async fn replace(
    observer: &Observer,
    way: &Way,
    member: &Seen,
    commands: &Commands,
) -> Result<(), Exit> {
    let (stop, start) = commands.of(member, way.to);
    if let Some(stop) = stop {
        run(way, member, "stop", &stop).await?;
        let since = Instant::now();
        while !is_down(&observer.look(Depth::Quick).await, member) {
            if gone(way, since) {
                return Err(give_up(
                    way,
                    &format!("{} still answers after its stop command", member.name()),
                ));
            }
            sleep(POLL).await;
        }
    }
    run(way, member, "start", &start).await?;
    wait_for(observer, way, member).await
}

/// Waits until a member serves as what it shall be.
async fn wait_for(observer: &Observer, way: &Way, member: &Seen) -> Result<(), Exit> {
    let since = Instant::now();
    let mut told = Vec::new();
    loop {
        let seen = observer.look(Depth::Quick).await;
        let there = seen.serving().any(|(one, server)| {
            one.address == member.address && way.to.is(&server.kind) && server.mode != "read-only"
        });
        // Somebody replaced another one: what is next is another question now.
        let others = seen.serving().filter(|(_, server)| way.to.is(&server.kind));
        let everything = plan::steps(&seen, way.to, &way.first);
        let elsewhere = seen.members.iter().all(|one| one.server.is_ok())
            && everything
                .first()
                .is_some_and(|step| step.member.address != member.address)
            && others.count() > 0
            && everything
                .iter()
                .all(|step| step.member.address != member.address);
        if there || elsewhere {
            return Ok(());
        }
        let down: Vec<String> = seen
            .members
            .iter()
            // In an election nobody serves.
            .filter(|one| matches!(one.server, Err(Trouble::Silent(_))))
            .filter(|one| one.address != member.address)
            .map(Seen::name)
            .collect();
        if down != told {
            if !down.is_empty() {
                say(
                    way,
                    &format!(
                        "CAREFUL: {} went as well; stop nothing else",
                        down.join(", ")
                    ),
                    json!({"event": "careful", "down": down}),
                );
            }
            told = down;
        }
        if gone(way, since) {
            return Err(give_up(
                way,
                &format!("{} did not come back as {}", member.name(), way.to.name()),
            ));
        }
        sleep(POLL).await;
    }
}

async fn run(way: &Way, member: &Seen, what: &str, command: &str) -> Result<(), Exit> {
    say(
        way,
        &format!("{}: {what}: {command}", member.name()),
        json!({"event": what, "id": member.id, "address": member.address, "command": command}),
    );
    // Its words are for people: they do not mix with what is printed here.
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    shell.stdout(std::io::stderr());
    let status = tokio::task::spawn_blocking(move || shell.status()).await;
    let status = status.expect("to run a command does not panic");
    let why = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    say(
        way,
        &format!("{}: the {what} command failed: {why}", member.name()),
        json!({"event": "failed", "id": member.id, "what": what, "why": why}),
    );
    Err(Exit::CommandFailed)
}

fn is_down(seen: &Ensemble, member: &Seen) -> bool {
    let found = seen
        .members
        .iter()
        .find(|one| one.address == member.address);
    found.is_some_and(|one| one.server.is_err())
}

/// The only member that is down, where all others serve and one of them leads.
fn alone_down(seen: &Ensemble) -> Option<&Seen> {
    let mut down = seen.members.iter().filter(|one| one.server.is_err());
    let only = down.next().filter(|_| down.next().is_none())?;
    seen.leader().map(|_| only)
}

/// What is good, in one line.
fn summary(found: &[Finding]) -> String {
    let texts: Vec<String> = found
        .iter()
        .filter(|one| one.level <= Level::Note)
        .map(|one| format!("{}: {}", one.about, one.text))
        .collect();
    texts.join("; ")
}

fn gone(way: &Way, since: Instant) -> bool {
    way.patience
        .is_some_and(|patience| since.elapsed() > patience)
}

fn give_up(way: &Way, what: &str) -> Exit {
    say(
        way,
        &format!("gave up: {what}; the same command goes on from here"),
        json!({"event": "gave up", "why": what}),
    );
    Exit::GaveUp
}

fn say(way: &Way, text: &str, event: Value) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: there is nothing to tell.
    let _ = match way.json {
        true => writeln!(out, "{event}"),
        false => writeln!(out, "{}", text.trim_end()),
    };
    let _ = out.flush();
}
