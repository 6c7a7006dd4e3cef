//! A load generator for any ZooKeeper server.
//!
//! - [`plan`]: what to ask for, and where the nodes are
//! - `closed`: connections with a fixed number of requests under way; `open`: requests at times that
//!   were fixed before, whatever the server does
//! - `fanout`, `sessions`, `watches`: changes that many wait for, sessions in numbers, watches in numbers
//! - `nodes`: making the nodes, and removing what a run left
//! - `frames`, `wire`: requests from parts made ahead, and replies that are looked at no further
//!   than their header, so that the generator costs less than the server it measures
//! - [`echo`]: the server that knows only frames: what the machine and this generator allow at most
//! - [`outcome`]: what a run gave, with the processor time of the generator itself

mod closed;
pub mod echo;
mod fanout;
mod frames;
mod nodes;
mod open;
pub mod outcome;
pub mod plan;
mod progress;
mod sessions;
mod watches;
mod wire;

use anyhow::{Context, bail};
pub use outcome::Outcome;
pub use plan::{Operation, Plan};
use progress::Progress;
use std::sync::Arc;
use std::time::Duration;
use wire::{Connection, Target};

/// A server that answers nothing for so long will not any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a plan: makes the nodes below its root, asks, hands the outcome to `report`, waits for
/// `held` if the plan holds, and removes what it made.
///
/// Fails when the server cannot be reached, refuses to make the nodes, or ends a connection. An error
/// in a reply of the load itself is counted, not a failure.
pub async fn run(
    plan: &Plan,
    report: impl FnOnce(&Outcome) -> anyhow::Result<()>,
    held: impl Future<Output = ()>,
) -> anyhow::Result<Outcome> {
    plan.check()?;
    let target = Arc::new(Target::new(&plan.server, plan.timeout_ms).await?);
    // What the run itself cannot work without comes first: a wrong address is an error at once.
    Connection::open(&target)
        .await
        .with_context(|| format!("no session with {}", plan.server))?
        .close()
        .await?;
    let progress = Progress::start(plan.progress);
    let outcome = load(plan, &target, &progress, report, held).await;
    let cleaned = if plan.keeps() {
        Ok(())
    } else {
        nodes::remove(&target, &plan.root, &progress).await
    };
    progress.stop();
    let outcome = outcome?;
    cleaned.with_context(|| format!("{} could not be removed again", plan.root))?;
    Ok(outcome)
}

async fn load(
    plan: &Plan,
    target: &Arc<Target>,
    progress: &Progress,
    report: impl FnOnce(&Outcome) -> anyhow::Result<()>,
    held: impl Future<Output = ()>,
) -> anyhow::Result<Outcome> {
    if plan.makes_nodes() {
        nodes::make(plan, target, progress).await?;
    }
    progress.phase("load");
    let mut open = Vec::new();
    let outcome = match plan.operation {
        Operation::Fill => nodes::fill(plan, target, progress).await?,
        Operation::Fanout => fanout::run(plan, target, progress).await?,
        Operation::Storm => sessions::storm(plan, target, progress, &mut open).await?,
        Operation::Churn => sessions::churn(plan, target, progress).await?,
        Operation::Watches => watches::run(plan, target, progress, &mut open).await?,
        _ if plan.rate.is_some() => open::run(plan, target, progress).await?,
        _ => closed::run(plan, target, progress).await?,
    };
    report(&outcome)?;
    if plan.hold {
        sessions::hold(&mut open, held).await?;
    }
    sessions::close(open, plan.connections).await?;
    Ok(outcome)
}

/// Fails with what was waited for when it takes longer than `limit` beyond any good reason.
async fn patiently<T>(
    what: &str,
    limit: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => bail!("{what}: the server does not answer any more"),
    }
}
