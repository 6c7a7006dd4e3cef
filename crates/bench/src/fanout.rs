//! One change, and an event to everyone who watches: the time to the last event.

use crate::frames::{get, set};
use crate::outcome::{Outcome, cpu, histogram};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::sessions::{close, open_many};
use crate::wire::{Connection, Target};
use crate::{PATIENCE, patiently};
use anyhow::{Context, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use zooid_proto::client::xid;

/// What all watchers share. Times are nanoseconds since `zero`.
struct Shared {
    zero: Instant,
    changed_ns: AtomicU64,
    armed: AtomicUsize,
    seen: AtomicUsize,
    last_ns: AtomicU64,
    watchers: usize,
    complete: Notify,
}

impl Shared {
    fn now_ns(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    /// One more watcher has got so far; the last one wakes who waits for all.
    fn count(&self, what: &AtomicUsize) {
        if what.fetch_add(1, Ordering::AcqRel) + 1 == self.watchers {
            self.complete.notify_one();
        }
    }

    async fn all(&self, what: &str, of: &AtomicUsize) -> anyhow::Result<()> {
        match tokio::time::timeout(PATIENCE, self.complete.notified()).await {
            Ok(()) => Ok(()),
            Err(_) => bail!(
                "{what}: {} of {} after {} s",
                of.load(Ordering::Acquire),
                self.watchers,
                PATIENCE.as_secs()
            ),
        }
    }
}

pub(crate) async fn run(
    plan: &Plan,
    target: &Arc<Target>,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let path = plan.path(0);
    let connections = open_many(plan.connections, target, progress).await?.0;
    let shared = Arc::new(Shared {
        zero: Instant::now(),
        changed_ns: AtomicU64::new(0),
        armed: AtomicUsize::new(0),
        seen: AtomicUsize::new(0),
        last_ns: AtomicU64::new(0),
        watchers: plan.connections,
        complete: Notify::new(),
    });
    let (round, rounds) = watch::channel(0);
    let mut tasks = JoinSet::new();
    for connection in connections {
        let (shared, rounds, path) = (shared.clone(), rounds.clone(), path.clone());
        tasks.spawn(watcher(connection, shared, rounds, get(&path, true)));
    }
    let change = set(&path, &vec![b'y'; plan.size]);
    let mut setter = Connection::open(target).await?;
    let mut outcome = Outcome::new();
    let mut last_us = histogram();
    for number in 1..=plan.rounds {
        shared.armed.store(0, Ordering::Release);
        shared.seen.store(0, Ordering::Release);
        round.send(number)?;
        shared.all("watches", &shared.armed).await?;
        let before = cpu();
        shared.changed_ns.store(shared.now_ns(), Ordering::Release);
        setter.call(&change).await?;
        shared.all("events", &shared.seen).await?;
        outcome.cpu += cpu() - before;
        let start = shared.changed_ns.load(Ordering::Acquire);
        let took = shared
            .last_ns
            .swap(0, Ordering::AcqRel)
            .saturating_sub(start);
        last_us.saturating_record((took / 1000).max(1));
        outcome.elapsed += Duration::from_nanos(took);
        outcome.requests += plan.connections as u64;
        progress.add(plan.connections as u64);
    }
    // The end of the rounds: a number that no round has.
    round.send(usize::MAX)?;
    let mut ended = Vec::new();
    patiently("fan-out", PATIENCE, async {
        while let Some(done) = tasks.join_next().await {
            let (connection, latencies_us) = done??;
            for us in latencies_us {
                outcome.reads_us.saturating_record(us);
            }
            ended.push(connection);
        }
        Ok(())
    })
    .await?;
    close(ended, 64).await?;
    setter.close().await?;
    outcome.in_all = outcome.requests;
    outcome.more = vec![
        ("changes", plan.rounds as f64),
        ("watchers", plan.connections as f64),
        (
            "last_event_us_median",
            last_us.value_at_quantile(0.5) as f64,
        ),
        ("last_event_us_min", last_us.min() as f64),
        ("last_event_us_max", last_us.max() as f64),
    ];
    Ok(outcome)
}

async fn watcher(
    mut connection: Connection,
    shared: Arc<Shared>,
    mut rounds: watch::Receiver<usize>,
    arm: Vec<u8>,
) -> anyhow::Result<(Connection, Vec<u64>)> {
    let mut latencies_us = Vec::new();
    loop {
        rounds.changed().await.context("the run has failed")?;
        if *rounds.borrow_and_update() == usize::MAX {
            return Ok((connection, latencies_us));
        }
        connection.stream.write_all(&arm).await?;
        let (mut armed, mut event) = (false, false);
        while !armed {
            connection.fill().await?;
            connection
                .replies
                .each(|head| armed |= head.xid != xid::NOTIFICATION)?;
        }
        connection.replies.shrink();
        shared.count(&shared.armed);
        while !event {
            connection.fill().await?;
            connection
                .replies
                .each(|head| event |= head.xid == xid::NOTIFICATION)?;
        }
        let now = shared.now_ns();
        shared.last_ns.fetch_max(now, Ordering::AcqRel);
        let start = shared.changed_ns.load(Ordering::Acquire);
        latencies_us.push((now.saturating_sub(start) / 1000).max(1));
        shared.count(&shared.seen);
    }
}
