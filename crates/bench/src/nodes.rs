//! Making the nodes of a run, and removing all that is below its root.

use crate::frames::{children, create, delete};
use crate::outcome::{Outcome, cpu, name_of};
use crate::plan::{Operation, Plan};
use crate::progress::Progress;
use crate::wire::{CLOSED, Connection, Target};
use anyhow::{Context, bail};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use zooid_proto::ErrorCode;
use zooid_proto::client::GetChildrenResponse;
use zooid_proto::{Jute, Reader};

/// Connections that make nodes, each its share.
const CONNECTIONS: usize = 8;

/// Bytes of requests in one portion, and requests in it: the replies to a portion must fit into
/// the buffers of the system, because nobody reads them while the portion is written.
const PORTION_BYTES: usize = 128 * 1024;
const PORTION: usize = 256;

/// Makes the root, the parents and the nodes; returns how many.
pub(crate) async fn make(
    plan: &Plan,
    target: &Arc<Target>,
    progress: &Progress,
) -> anyhow::Result<u64> {
    progress.phase("fill");
    let mut connection = Connection::open(target).await?;
    let base = plan.base();
    for (at, _) in base.match_indices('/').skip(1) {
        ensure(&mut connection, &base[..at]).await?;
    }
    ensure(&mut connection, &base).await?;
    let nodes = match plan.operation {
        Operation::Storm => 0,
        Operation::Churn | Operation::Fanout => 1,
        _ => plan.keys,
    };
    if plan.per_parent > 0 {
        let parents = (0..nodes).step_by(plan.per_parent);
        let parents = parents.map(|key| create(&plan.parent(key), b""));
        portions(&mut connection, parents, progress).await?;
    }
    connection.close().await?;
    let plan = Arc::new(plan.clone());
    let mut tasks = JoinSet::new();
    for first in 0..CONNECTIONS.min(nodes) {
        let (plan, target, progress) = (plan.clone(), target.clone(), progress.share());
        tasks.spawn(async move {
            let data = vec![b'x'; plan.size];
            let mut connection = Connection::open(&target).await?;
            let keys = (first..nodes).step_by(CONNECTIONS);
            let frames = keys.map(|key| create(&plan.path(key), &data));
            portions(&mut connection, frames, &progress).await?;
            connection.close().await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?.context("the nodes cannot be made")?;
    }
    Ok(nodes as u64)
}

/// The nodes of a plan as a load of its own.
pub(crate) async fn fill(
    plan: &Plan,
    target: &Arc<Target>,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let (start, before) = (Instant::now(), cpu());
    let made = make(plan, target, progress).await?;
    Ok(Outcome {
        requests: made,
        in_all: made,
        elapsed: start.elapsed(),
        cpu: cpu() - before,
        ..Outcome::new()
    })
}

/// Makes a node that may be there already.
async fn ensure(connection: &mut Connection, path: &str) -> anyhow::Result<()> {
    match connection.ask(&create(path, b"")).await? {
        Ok(_) => Ok(()),
        Err(code) if code == ErrorCode::NodeExists.code() => Ok(()),
        Err(code) => bail!(
            "{path} cannot be made: the server answered {}",
            name_of(code)
        ),
    }
}

/// Sends requests that must succeed, many at a time.
async fn portions(
    connection: &mut Connection,
    frames: impl Iterator<Item = Vec<u8>>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut frames = frames.peekable();
    while frames.peek().is_some() {
        let (mut bytes, mut left) = (Vec::new(), 0);
        while bytes.len() < PORTION_BYTES
            && left < PORTION
            && let Some(frame) = frames.next()
        {
            bytes.extend_from_slice(&frame);
            left += 1;
        }
        connection.stream.write_all(&bytes).await.context(CLOSED)?;
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
            bail!("the server answered {}", name_of(code));
        }
    }
    Ok(())
}

/// Removes a node and all that is below it. It is no error if there is none.
pub(crate) async fn remove(target: &Target, root: &str, progress: &Progress) -> anyhow::Result<()> {
    progress.phase("clean up");
    let mut connection = Connection::open(target).await?;
    // A parent stands in front of its children: removed from the back.
    let mut all = vec![root.to_owned()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        next += 1;
        let body = match connection.ask(&children(&path)).await? {
            Ok(body) => body,
            Err(code) if code == ErrorCode::NoNode.code() => return Ok(()),
            Err(code) => bail!("{path}: the server answered {}", name_of(code)),
        };
        let found = GetChildrenResponse::read(&mut Reader::new(&body))?.children;
        let found = found.unwrap_or_default();
        // Most nodes of a run have no children: only those in the way to them are asked.
        let inner = |name: &str| !name.starts_with(['k', 'c']);
        let (inner, leaves): (Vec<_>, Vec<_>) =
            found.into_iter().flatten().partition(|name| inner(name));
        let leaves = leaves.iter().map(|name| delete(&format!("{path}/{name}")));
        portions(&mut connection, leaves, progress).await?;
        all.extend(inner.iter().map(|name| format!("{path}/{name}")));
    }
    let inner = all.iter().rev().map(|path| delete(path));
    portions(&mut connection, inner, progress).await?;
    connection.close().await
}
