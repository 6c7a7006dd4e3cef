//! A walk over access control lists that a live ensemble does not feel: one request at a time, so many
//! a second, so many nodes at most.

use std::collections::{BTreeSet, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use zooid_client::{Client, Error, ErrorCode, Options, Stat};

use super::seen::Acls;

/// How far and how fast.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Nodes to look at.
    pub(super) nodes: u64,
    /// Requests a second.
    pub(super) rate: u32,
    /// Identities to read with, `scheme` and `id`.
    pub(super) auth: Vec<(String, String)>,
}

/// Nodes that have their own rules: none of them is a client's.
const SYSTEM: &str = "/zookeeper";
/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(500);

/// Walks from the root, level by level, through one member.
pub(super) async fn walk(address: &str, limits: &Limits) -> Acls {
    let mut found = Acls::default();
    let options = Options {
        patience: Duration::ZERO,
        ..Options::default()
    };
    let client = match Client::connect(address, options).await {
        Ok(client) => client,
        Err(error) => {
            found.broken = Some(error.to_string());
            return found;
        }
    };
    for (scheme, id) in &limits.auth {
        if let Err(error) = client.add_auth(scheme, id.as_bytes()).await {
            found.broken = Some(format!("--auth {scheme}:…: {error}"));
            return found;
        }
    }
    if let Err(error) = visit(&client, limits, &mut found).await {
        found.broken = Some(error.to_string());
    }
    let _ = tokio::time::timeout(Duration::from_secs(5), client.close()).await;
    found
}

async fn visit(client: &Client, limits: &Limits, found: &mut Acls) -> Result<(), Error> {
    let mut pace = interval(Duration::from_secs(1) / limits.rate.max(1));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shows = std::io::stderr().is_terminal();
    let mut told = Instant::now();
    let mut waiting = VecDeque::from(["/".to_owned()]);
    while let Some(path) = waiting.pop_front() {
        if path == SYSTEM {
            continue;
        }
        if found.nodes >= limits.nodes {
            found.left += waiting.len() as u64 + 1;
            break;
        }
        pace.tick().await;
        match client.get_acl(&path).await {
            Ok((acl, stat)) => {
                found.nodes += 1;
                count_owner(&stat, found);
                let schemes = acl.iter().filter_map(|one| one.id.scheme.as_deref());
                let schemes: BTreeSet<_> = schemes.map(str::to_owned).collect();
                for scheme in schemes {
                    *found.schemes.entry(scheme).or_default() += 1;
                }
            }
            Err(error) if error.code() == Some(ErrorCode::NoAuth) => {
                found.nodes += 1;
                found.hidden += 1;
            }
            // It went while we walked.
            Err(error) if error.is_no_node() => continue,
            Err(error) => return Err(error),
        }
        pace.tick().await;
        match client.get_children(&path).await {
            Ok((children, _)) => {
                let parent = if path == "/" { "" } else { &path };
                let room = limits.nodes as usize * 2;
                for child in children {
                    if waiting.len() >= room {
                        found.left += 1;
                    } else {
                        waiting.push_back(format!("{parent}/{child}"));
                    }
                }
            }
            Err(error) if error.code() == Some(ErrorCode::NoAuth) || error.is_no_node() => {}
            Err(error) => return Err(error),
        }
        if shows && told.elapsed() > PROGRESS {
            told = Instant::now();
            eprint!("\r{} nodes, {} known to come  ", found.nodes, waiting.len());
            let _ = std::io::stderr().flush();
        }
    }
    if shows {
        eprint!("\r\x1b[K");
    }
    Ok(())
}

/// The owner of a container, and the marks of the owner of a node with a time to live
/// (`EphemeralType` in Java).
const CONTAINER: i64 = i64::MIN;
const EXTENDED: i64 = 0xff;

fn count_owner(stat: &Stat, found: &mut Acls) {
    if stat.ephemeral_owner == CONTAINER {
        found.containers += 1;
    } else if (stat.ephemeral_owner >> 56) & 0xff == EXTENDED {
        found.ttl_nodes += 1;
    }
}
