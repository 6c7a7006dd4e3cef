//! `zooid migrate`: from Apache ZooKeeper to Zooid and back, member by member.
//!
//! - `hosts`: where the members are; `ask`, `observe`, `acls`, `settings`: what is seen of them
//! - `seen`: what was seen, as values
//! - `judge`, `releases`, `whole`, `plan`: what follows from it, without talking to anybody
//! - `follow`: the steps; `print`: reports

mod acls;
mod ask;
mod follow;
mod hosts;
mod judge;
mod observe;
mod plan;
mod print;
mod releases;
mod seen;
mod settings;
#[cfg(test)]
mod testing;
mod whole;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use follow::{Commands, Way};
use judge::{Level, Target, worst};
use observe::{Depth, Observer};
use seen::Ensemble;

/// Move a live ensemble from Apache ZooKeeper to Zooid, or back, member by member.
///
/// Nothing is changed without --yes. To look at an ensemble opens a session at each member, and ends it.
///
/// Ends with 0: safe, whole or done; 1: there is a blocker, or the ensemble is not whole; 2: wrong
/// arguments, or no member could be asked; 3: gave up waiting; 4: a command of the operator failed.
#[derive(Args)]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Look at the ensemble: what it is, what a move would meet, and in which order to replace members.
    Plan(PlanArgs),
    /// Say whether the ensemble is whole: all serve, all are in step, none has other data.
    Check(Common),
    /// Go through the steps: name the next member, wait until it is back, check, name the next.
    ///
    /// May be interrupted anywhere: what is left is read from the ensemble.
    Follow(FollowArgs),
}

#[derive(Args)]
struct Common {
    /// The members, as clients reach them. Those that the ensemble itself names need not be here.
    #[arg(value_name = "HOST:PORT,...", required_unless_present = "config")]
    servers: Option<String>,
    /// zoo.cfg of a member: for its settings, and for the members where none are named.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What members become.
    #[arg(long, value_enum, default_value = "zooid")]
    to: Target,
    /// Port of the admin servers, asked where a four-letter word is not allowed; 0: not asked.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    admin_port: u16,
    /// JSON instead of text: one object, or one per line for follow.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Walk {
    /// An identity to read ACLs with; may be repeated.
    #[arg(long, value_name = "SCHEME:ID")]
    auth: Vec<String>,
    /// Nodes whose ACLs are looked at, at most; 0: none.
    #[arg(long, value_name = "NODES", default_value_t = 5000)]
    max_nodes: u64,
    /// Reads a second for that; each node takes two.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1000)]
    rate: u32,
}

#[derive(Args)]
struct PlanArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    walk: Walk,
}

#[derive(Args)]
struct FollowArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    walk: Walk,
    /// Numbers of followers to replace before the others.
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    first: Vec<i64>,
    /// Replace the members, with the commands given.
    #[arg(long, requires = "start_command")]
    yes: bool,
    /// Stops a member; {id}, {host}, {port}, {from} and {to} are filled in, `sh` runs it.
    #[arg(long, value_name = "COMMAND", requires = "start_command")]
    stop_command: Option<String>,
    /// Starts a member as what it shall become, or stops and starts it where there is no stop command.
    #[arg(long, value_name = "COMMAND")]
    start_command: Option<String>,
    /// Print what --yes would run, and run nothing.
    #[arg(long, requires = "start_command")]
    dry_run: bool,
    /// Go on although there are risks; needed with --yes only.
    #[arg(long)]
    accept_risks: bool,
    /// How long a member, or the ensemble, may take to be back [default: 600 with --yes, else for ever].
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
    /// End after so many steps.
    #[arg(long, value_name = "STEPS")]
    steps: Option<usize>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Good = 0,
    Blocked = 1,
    CannotLook = 2,
    GaveUp = 3,
    CommandFailed = 4,
}

/// Runs the command.
pub(crate) fn run(args: MigrateArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let exit = runtime.block_on(async {
        match args.mode {
            Mode::Plan(args) => plan(args).await,
            Mode::Check(common) => check(common).await,
            Mode::Follow(args) => follow(args).await,
        }
    });
    // What a member never answers does not keep the process.
    runtime.shutdown_background();
    match exit {
        Ok(exit) => Ok(ExitCode::from(exit as u8)),
        Err(what) => {
            eprintln!("zooid migrate: {what}");
            Ok(ExitCode::from(Exit::CannotLook as u8))
        }
    }
}

async fn plan(args: PlanArgs) -> Result<Exit, String> {
    let PlanArgs { common, walk } = args;
    let mut observer = observer(&common)?;
    let seen = look(&mut observer, &common, Some(&walk)).await?;
    let found = judge::judge(&seen, common.to);
    let steps = plan::steps(&seen, common.to, &[]);
    if common.json {
        println!("{:#}", print::json(&seen, &found, &steps, common.to));
    } else {
        print!("{}", print::report(&seen, &found, &steps, common.to));
    }
    Ok(exit_of(worst(&found)))
}

async fn check(common: Common) -> Result<Exit, String> {
    let mut observer = observer(&common)?;
    let (seen, mut found) = follow::confirm(&mut observer).await;
    somebody(&seen)?;
    found.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let steps = plan::steps(&seen, common.to, &[]);
    if common.json {
        println!("{:#}", print::json(&seen, &found, &steps, common.to));
    } else {
        print!("{}", print::findings(&found));
        let whole = worst(&found) < Level::Blocker;
        println!("{}", if whole { "whole" } else { "NOT WHOLE" });
    }
    Ok(exit_of(worst(&found)))
}

async fn follow(args: FollowArgs) -> Result<Exit, String> {
    let FollowArgs {
        common,
        walk,
        first,
        yes,
        stop_command,
        start_command,
        dry_run,
        accept_risks,
        patience,
        steps,
    } = args;
    let mut observer = observer(&common)?;
    let seen = look(&mut observer, &common, Some(&walk)).await?;
    let commands = start_command.map(|start| Commands {
        stop: stop_command,
        start,
    });
    let patience = patience.or(yes.then_some(600)).map(Duration::from_secs);
    let mut way = Way {
        to: common.to,
        first,
        commands: None,
        patience,
        steps,
        config: common.config.clone(),
        json: common.json,
    };
    if dry_run && let Some(commands) = &commands {
        follow::dry_run(&seen, &way, commands);
        return Ok(Exit::Good);
    }
    // What time or the next step mends is waited for; what it does not, forbids to begin.
    let passing = whole::judge(&seen, None);
    let mut lasting = judge::judge(&seen, common.to);
    lasting.retain(|finding| finding.level < Level::Blocker || !passing.contains(finding));
    let worst = worst(&lasting);
    let serious: Vec<_> = lasting
        .into_iter()
        .filter(|finding| finding.level >= Level::Risk)
        .collect();
    if !serious.is_empty() {
        eprint!("{}", print::findings(&serious));
    }
    if worst == Level::Blocker {
        eprintln!("zooid migrate: there are blockers: nothing is begun");
        return Ok(Exit::Blocked);
    }
    if yes && worst == Level::Risk && !accept_risks {
        eprintln!("zooid migrate: there are risks: --accept-risks goes on");
        return Ok(Exit::Blocked);
    }
    way.commands = commands.filter(|_| yes);
    Ok(follow::follow(&mut observer, &way).await)
}

fn observer(common: &Common) -> Result<Observer, String> {
    let file = common.config.as_deref().map(hosts::from_file).transpose()?;
    let file = file.unwrap_or_default();
    let addresses = match &common.servers {
        Some(list) => hosts::parse(list)?,
        None if file.hosts.is_empty() => {
            return Err(
                "the configuration file names no member with a client port: name them \
                        as host:port,..."
                    .to_owned(),
            );
        }
        None => file.hosts,
    };
    let admin_port = Some(common.admin_port).filter(|port| *port > 0);
    Ok(Observer::new(addresses, file.client_port, admin_port))
}

/// Everything that can be seen.
async fn look(
    observer: &mut Observer,
    common: &Common,
    walk: Option<&Walk>,
) -> Result<Ensemble, String> {
    observer.identify().await;
    let mut seen = observer.look(Depth::All).await;
    somebody(&seen)?;
    if let Some(file) = &common.config {
        seen.has_file = true;
        seen.settings = settings::judge(file);
    }
    if let Some(walk) = walk.filter(|walk| walk.max_nodes > 0 && common.to == Target::Zooid) {
        let auth = walk
            .auth
            .iter()
            .map(|word| word.split_once(':').map(|(a, b)| (a.into(), b.into())))
            .collect::<Option<Vec<_>>>()
            .ok_or("--auth: expected scheme:id")?;
        let limits = acls::Limits {
            nodes: walk.max_nodes,
            rate: walk.rate,
            auth,
        };
        // The one that has the least to do.
        let least = seen
            .serving()
            .min_by_key(|(_, server)| (server.leads(), server.connections))
            .map(|(member, _)| member.address.clone());
        if let Some(address) = least {
            seen.acls = Some(acls::walk(&address, &limits).await);
        }
    }
    Ok(seen)
}

/// # Errors
/// Nobody serves: nothing can be said about the ensemble.
fn somebody(seen: &Ensemble) -> Result<(), String> {
    if seen.serving().next().is_some() {
        return Ok(());
    }
    let lines: Vec<String> = seen
        .members
        .iter()
        .filter_map(|member| {
            let trouble = member.server.as_ref().err()?;
            Some(format!("\n  {}: {trouble}", member.name()))
        })
        .collect();
    Err(format!("no member serves:{}", lines.concat()))
}

fn exit_of(worst: Level) -> Exit {
    if worst == Level::Blocker {
        Exit::Blocked
    } else {
        Exit::Good
    }
}
