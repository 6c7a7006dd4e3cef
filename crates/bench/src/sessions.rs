//! Sessions in numbers: many at once, or one after the other.

use crate::frames::get;
use crate::outcome::{Class, Collector, Outcome, cpu, histogram};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::wire::{Connection, Target};
use crate::{PATIENCE, closed, patiently};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Handshakes under way where nothing else is said.
const AT_A_TIME: usize = 64;

/// Sessions that are held live on pings this often. The shortest usual session timeout is 4 s.
const PING: Duration = Duration::from_secs(3);

/// Opens sessions with some handshakes under way at a time; with how long each took, us.
pub(crate) async fn open_many(
    count: usize,
    target: &Arc<Target>,
    progress: &Progress,
) -> anyhow::Result<(Vec<Connection>, Histogram<u64>)> {
    open_with(count, 0, AT_A_TIME, target, progress).await
}

async fn open_with(
    count: usize,
    abandon: usize,
    at_a_time: usize,
    target: &Arc<Target>,
    progress: &Progress,
) -> anyhow::Result<(Vec<Connection>, Histogram<u64>)> {
    let taken = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..at_a_time.min(count) {
        let (taken, target, progress) = (taken.clone(), target.clone(), progress.share());
        tasks.spawn(async move {
            let mut open = Vec::new();
            let mut latency_us = histogram();
            loop {
                let number = taken.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok((open, latency_us));
                }
                let start = Instant::now();
                let mut connection = Connection::open(&target).await?;
                let us = start.elapsed().as_micros() as u64;
                latency_us.saturating_record(us.max(1));
                progress.add(1);
                if number < abandon {
                    // A reset: a goodbye would keep the port taken for a minute, and ports end.
                    connection.stream.set_zero_linger()?;
                } else {
                    connection.replies.shrink();
                    open.push(connection);
                }
            }
        });
    }
    let (mut open, mut latency_us) = (Vec::with_capacity(count - abandon), histogram());
    while let Some(done) = tasks.join_next().await {
        let (some, part) = done??;
        open.extend(some);
        latency_us.add(&part)?;
    }
    Ok((open, latency_us))
}

/// New sessions as quickly as the server gives them.
pub(crate) async fn storm(
    plan: &Plan,
    target: &Arc<Target>,
    progress: &Progress,
    open: &mut Vec<Connection>,
) -> anyhow::Result<Outcome> {
    let (start, before) = (Instant::now(), cpu());
    let (count, abandon) = (plan.sessions, plan.abandon);
    let opened = open_with(count, abandon, plan.connections, target, progress).await?;
    let elapsed = start.elapsed();
    *open = opened.0;
    Ok(Outcome {
        requests: plan.sessions as u64,
        in_all: plan.sessions as u64,
        elapsed,
        writes_us: opened.1,
        cpu: cpu() - before,
        more: vec![("connected", open.len() as f64)],
        ..Outcome::new()
    })
}

/// Sessions that come, ask once, and go.
pub(crate) async fn churn(
    plan: &Plan,
    target: &Arc<Target>,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let from = Instant::now() + plan.warm_up;
    let collector = Arc::new(Collector::new(from, from + plan.duration));
    let mut tasks = JoinSet::new();
    for number in 0..plan.connections {
        let (target, progress) = (target.clone(), progress.share());
        let (collector, ask) = (collector.clone(), get(&plan.path(0), false));
        tasks.spawn(async move {
            loop {
                let start = Instant::now();
                if start >= collector.to {
                    return anyhow::Ok(());
                }
                let mut connection = Connection::open(&target).await?;
                let err = connection.ask(&ask).await?.err().unwrap_or(0);
                connection.close().await?;
                let session = std::iter::once((start, Class::Write, err));
                progress.add(collector.add(number, Instant::now(), session));
            }
        });
    }
    let cpu = tokio::spawn(closed::cpu_between(from, collector.to));
    let limit = plan.warm_up + plan.duration + PATIENCE;
    patiently("churn", limit, async {
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    })
    .await?;
    let mut outcome = collector.outcome();
    outcome.cpu = cpu.await?;
    Ok(outcome)
}

/// Keeps sessions alive until `held` is over.
pub(crate) async fn hold(
    open: &mut [Connection],
    held: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut held = std::pin::pin!(held);
    loop {
        for connection in &mut *open {
            connection.ping().await?;
        }
        tokio::select! {
            () = &mut held => return Ok(()),
            () = tokio::time::sleep(PING) => {}
        }
    }
}

/// Ends sessions, some at a time.
pub(crate) async fn close(open: Vec<Connection>, at_a_time: usize) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let mut shares: Vec<Vec<Connection>> = Vec::new();
    shares.resize_with(at_a_time, Vec::new);
    for (number, connection) in open.into_iter().enumerate() {
        shares[number % at_a_time].push(connection);
    }
    for share in shares {
        tasks.spawn(async move {
            for connection in share {
                connection.close().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
