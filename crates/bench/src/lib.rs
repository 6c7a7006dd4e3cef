//! A load generator for any ZooKeeper server: a closed loop of connections, each with a fixed
//! number of requests under way. Frames are made ahead and replies are only looked at for their
//! length and error, so that the generator costs less than the server it measures.

mod wire;

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use wire::{Connection, Frames};

/// Latencies are recorded up to this many microseconds.
const LONGEST_US: u64 = 60_000_000;

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// getData.
    Get,
    /// exists.
    Exists,
    /// getChildren of the parent of all nodes.
    Children,
    /// setData.
    Set,
    /// Create of a new node each time.
    Create,
    /// getData, with a share of setData.
    Mixed {
        /// setData in a hundred requests.
        writes_percent: u32,
    },
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// host:port.
    pub server: String,
    /// What to ask for.
    pub operation: Operation,
    /// Connections, each with a session of its own.
    pub connections: usize,
    /// Requests under way on each.
    pub outstanding: usize,
    /// Bytes of data in each node.
    pub size: usize,
    /// Nodes that reads and sets go to.
    pub keys: usize,
    /// Not measured at the beginning.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Requests answered while it was measured.
    pub requests: u64,
    /// Replies with an error among them.
    pub errors: u64,
    /// How long it was measured.
    pub elapsed: Duration,
    /// Latencies, microseconds.
    pub latency_us: Histogram<u64>,
}

impl Outcome {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs a plan: makes the nodes under a path of its own, asks, and removes them again.
pub async fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    if plan.connections == 0 || plan.outstanding == 0 || plan.keys == 0 {
        bail!("connections, outstanding and keys must be at least 1");
    }
    let root = format!("/zooid-bench-{}", std::process::id());
    let data = vec![b'x'; plan.size];
    let mut admin = Connection::open(&plan.server)
        .await
        .with_context(|| format!("no session with {}", plan.server))?;
    admin.call(&wire::create(&root, b"")).await?;
    for key in 0..plan.keys {
        admin
            .call(&wire::create(&format!("{root}/key-{key}"), &data))
            .await?;
    }
    let outcome = measure(plan, &root, &data).await;
    admin.delete_all(&root).await?;
    admin.close().await?;
    outcome
}

async fn measure(plan: &Plan, root: &str, data: &[u8]) -> anyhow::Result<Outcome> {
    let measuring = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for number in 0..plan.connections {
        let connection = Connection::open(&plan.server).await?;
        let frames = Frames::new(plan, root, data, number);
        let (measuring, stop) = (measuring.clone(), stop.clone());
        let outstanding = plan.outstanding;
        tasks.push(tokio::spawn(loop_of(
            connection,
            frames,
            outstanding,
            measuring,
            stop,
        )));
    }
    tokio::time::sleep(plan.warm_up).await;
    let start = Instant::now();
    measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(plan.duration).await;
    measuring.store(false, Ordering::Relaxed);
    let elapsed = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut outcome = Outcome {
        requests: 0,
        errors: 0,
        elapsed,
        latency_us: Histogram::new_with_max(LONGEST_US, 3)?,
    };
    for task in tasks {
        let part = task.await??;
        outcome.requests += part.latency_us.len();
        outcome.errors += part.errors;
        outcome.latency_us.add(&part.latency_us)?;
    }
    Ok(outcome)
}

struct Part {
    errors: u64,
    latency_us: Histogram<u64>,
}

async fn loop_of(
    mut connection: Connection,
    mut frames: Frames,
    outstanding: usize,
    measuring: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Part> {
    let mut part = Part {
        errors: 0,
        latency_us: Histogram::new_with_max(LONGEST_US, 3)?,
    };
    let mut sent: VecDeque<Instant> = VecDeque::with_capacity(outstanding);
    let mut output = Vec::new();
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping && sent.is_empty() {
            connection.close().await?;
            return Ok(part);
        }
        if !stopping {
            output.clear();
            let now = Instant::now();
            while sent.len() < outstanding {
                frames.next(&mut output);
                sent.push_back(now);
            }
            connection.stream.write_all(&output).await?;
        }
        let errors = &mut part.errors;
        let answered = connection.replies(|err| {
            if err != 0 {
                *errors += 1;
            }
        });
        let answered = answered.await?;
        let now = Instant::now();
        let counts = measuring.load(Ordering::Relaxed);
        for _ in 0..answered {
            let start = sent.pop_front().context("a reply that nobody asked for")?;
            if counts {
                let us = now.duration_since(start).as_micros() as u64;
                part.latency_us.saturating_record(us.max(1));
            }
        }
    }
}
