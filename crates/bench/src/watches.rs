//! Watches in numbers: one of each connection on each node, which stay.

use crate::frames::exists;
use crate::outcome::{Outcome, cpu, name_of};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::sessions::open_many;
use crate::wire::{Connection, Target};
use anyhow::bail;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

/// Requests sent before their replies are read: the replies fit into the buffers of the system.
const PORTION: usize = 500;

pub(crate) async fn run(
    plan: &Plan,
    target: &Arc<Target>,
    progress: &Progress,
    open: &mut Vec<Connection>,
) -> anyhow::Result<Outcome> {
    let connections = open_many(plan.connections, target, progress).await?.0;
    let (start, before) = (Instant::now(), cpu());
    let plan = Arc::new(plan.clone());
    let mut tasks = JoinSet::new();
    for connection in connections {
        tasks.spawn(register(connection, plan.clone(), progress.share()));
    }
    while let Some(done) = tasks.join_next().await {
        open.push(done??);
    }
    let watches = (plan.connections * plan.keys) as u64;
    Ok(Outcome {
        requests: watches,
        in_all: watches,
        elapsed: start.elapsed(),
        cpu: cpu() - before,
        ..Outcome::new()
    })
}

async fn register(
    mut connection: Connection,
    plan: Arc<Plan>,
    progress: Progress,
) -> anyhow::Result<Connection> {
    let mut first = 0;
    while first < plan.keys {
        let keys = first..plan.keys.min(first + PORTION);
        first = keys.end;
        let mut left = keys.len();
        let frames: Vec<u8> = keys.flat_map(|key| exists(&plan.path(key), true)).collect();
        connection.stream.write_all(&frames).await?;
        let mut refused = None;
        while left > 0 {
            connection.fill().await?;
            connection.replies.each(|head| {
                left -= 1;
                progress.add(1);
                if head.err != 0 {
                    refused = Some(head.err);
                }
            })?;
        }
        if let Some(code) = refused {
            bail!("exists: the server answered {}", name_of(code));
        }
    }
    connection.replies.shrink();
    Ok(connection)
}
