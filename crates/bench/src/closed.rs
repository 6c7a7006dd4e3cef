//! The closed loop: each connection has a fixed number of requests under way.

use crate::frames::{Frames, Parts};
use crate::outcome::{Class, Collector, Outcome, cpu};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::wire::{CLOSED, Connection, Target};
use crate::{PATIENCE, patiently};
use anyhow::Context;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::task::JoinSet;

pub(crate) async fn run(
    plan: &Plan,
    target: &Target,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let parts = Parts::new(plan);
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(target).await?);
    }
    let from = Instant::now() + plan.warm_up;
    let collector = Arc::new(Collector::new(from, from + plan.duration));
    let mut tasks = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let frames = Frames::new(&parts, number);
        let each = Loop {
            number,
            outstanding: plan.outstanding,
            collector: collector.clone(),
            progress: progress.share(),
        };
        tasks.spawn(each.run(connection, frames));
    }
    let limit = plan.warm_up + plan.duration + PATIENCE;
    let cpu = tokio::spawn(cpu_between(from, collector.to));
    patiently("load", limit, async {
        while let Some(done) = tasks.join_next().await {
            done??.close().await?;
        }
        Ok(())
    })
    .await?;
    let mut outcome = collector.outcome();
    outcome.cpu = cpu.await?;
    Ok(outcome)
}

/// Processor time of this process between two moments.
pub(crate) async fn cpu_between(from: Instant, to: Instant) -> Duration {
    tokio::time::sleep_until(from.into()).await;
    let before = cpu();
    tokio::time::sleep_until(to.into()).await;
    cpu() - before
}

struct Loop {
    number: usize,
    outstanding: usize,
    collector: Arc<Collector>,
    progress: Progress,
}

impl Loop {
    async fn run(
        self,
        mut connection: Connection,
        mut frames: Frames,
    ) -> anyhow::Result<Connection> {
        let mut sent: VecDeque<(Instant, Class)> = VecDeque::with_capacity(2 * self.outstanding);
        let mut answered: Vec<(Instant, Class, i32)> = Vec::with_capacity(2 * self.outstanding);
        let (mut output, mut written) = (Vec::new(), 0);
        loop {
            let now = Instant::now();
            if now < self.collector.to {
                while sent.len() < self.outstanding {
                    frames.next(&mut output, |class| sent.push_back((now, class)));
                }
            } else if sent.is_empty() {
                return Ok(connection);
            }
            if written < output.len() {
                match connection.stream.try_write(&output[written..]) {
                    Ok(count) => written += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error).context(CLOSED),
                }
            }
            if written == output.len() {
                output.clear();
                written = 0;
                connection.fill().await?;
            } else {
                // The server may wait for its replies to be read before it reads the rest.
                let both = Interest::READABLE | Interest::WRITABLE;
                if !connection.stream.ready(both).await?.is_readable()
                    || !connection.replies.read(&connection.stream)?
                {
                    continue;
                }
            }
            let mut unasked = false;
            connection.replies.each(|head| match sent.pop_front() {
                Some((start, class)) => answered.push((start, class, head.err)),
                None => unasked = true,
            })?;
            anyhow::ensure!(!unasked, "a reply that nobody asked for");
            let replies = answered.drain(..);
            let counted = self.collector.add(self.number, Instant::now(), replies);
            self.progress.add(counted);
        }
    }
}
