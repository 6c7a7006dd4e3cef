//! The open loop: requests leave at times that were fixed before, whatever the server does, and
//! latencies count from those times. A server that stalls is charged for everyone who would have
//! come meanwhile (no coordinated omission).

use crate::closed::cpu_between;
use crate::frames::{Frames, Parts};
use crate::outcome::{Class, Collector, Outcome, histogram};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::wire::{CLOSED, Connection, Replies, Target};
use crate::{PATIENCE, patiently};
use anyhow::Context;
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The pacer sleeps no shorter: what is due until it wakes leaves together.
const SHORTEST_SLEEP: Duration = Duration::from_micros(20);

/// The pacer may be woken by so much later than asked, ns; the system's own value is 50,000.
const TIMER_SLACK_NS: u64 = 1_000;

/// How long the pacer waits for a connection that takes nothing, at a time.
const BLOCKED: Duration = Duration::from_millis(1);

struct Lane {
    stream: TcpStream,
    /// Due time and class of what is under way, in order.
    sent: Mutex<VecDeque<(Instant, Class)>>,
}

pub(crate) async fn run(
    plan: &Plan,
    target: &Target,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let parts = Parts::new(plan);
    let (mut lanes, mut tasks) = (Vec::new(), JoinSet::new());
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(target).await?);
    }
    let begin = Instant::now();
    let from = begin + plan.warm_up;
    let collector = Arc::new(Collector::new(from, from + plan.duration));
    let done = Arc::new(AtomicBool::new(false));
    for (number, connection) in connections.into_iter().enumerate() {
        let lane = Arc::new(Lane {
            stream: connection.stream,
            sent: Mutex::default(),
        });
        lanes.push(lane.clone());
        let (collector, progress, done) = (collector.clone(), progress.share(), done.clone());
        tasks.spawn(async move {
            read(
                number,
                &lane,
                connection.replies,
                &collector,
                &progress,
                &done,
            )
            .await
        });
    }
    let pacer = Pacer {
        frames: (0..lanes.len()).map(|at| Frames::new(&parts, at)).collect(),
        output: vec![(Vec::new(), 0); lanes.len()],
        lanes,
        rate: plan.rate.expect("only a plan with a rate is paced"),
        late_us: histogram(),
    };
    let cpu = tokio::spawn(cpu_between(from, collector.to));
    let paced = collector.clone();
    let finished = done.clone();
    // A thread: the clock of the runtime has steps of a millisecond.
    let thread = std::thread::Builder::new()
        .name("pacer".into())
        .spawn(move || {
            let late = pacer.run(begin, &paced);
            finished.store(true, Ordering::Release);
            late
        })?;
    let limit = plan.warm_up + plan.duration + PATIENCE;
    patiently("load", limit, async {
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
    .await?;
    let late = thread.join().expect("the pacer does not panic")?;
    let mut outcome = collector.outcome();
    outcome.late_us = Some(late);
    outcome.cpu = cpu.await?;
    Ok(outcome)
}

async fn read(
    number: usize,
    lane: &Lane,
    mut replies: Replies,
    collector: &Collector,
    progress: &Progress,
    done: &AtomicBool,
) -> anyhow::Result<()> {
    let mut answered = Vec::new();
    loop {
        if done.load(Ordering::Acquire) && lane.sent.lock().expect("no panic inside").is_empty() {
            return Ok(());
        }
        // Looks again after a while: the pacer ends without a word.
        let wait = tokio::time::timeout(Duration::from_millis(50), lane.stream.readable());
        let Ok(ready) = wait.await else { continue };
        ready?;
        if !replies.read(&lane.stream)? {
            continue;
        }
        let now = Instant::now();
        let mut unasked = false;
        {
            let mut sent = lane.sent.lock().expect("no panic inside");
            replies.each(|head| match sent.pop_front() {
                Some((due, class)) => answered.push((due, class, head.err)),
                None => unasked = true,
            })?;
        }
        anyhow::ensure!(!unasked, "a reply that nobody asked for");
        progress.add(collector.add(number, now, answered.drain(..)));
    }
}

struct Pacer {
    lanes: Vec<Arc<Lane>>,
    frames: Vec<Frames>,
    /// What each connection has not taken yet, and how much of it was written.
    output: Vec<(Vec<u8>, usize)>,
    rate: f64,
    late_us: Histogram<u64>,
}

impl Pacer {
    fn run(mut self, begin: Instant, collector: &Collector) -> anyhow::Result<Histogram<u64>> {
        // Without the right to it, requests leave a little later; `late` shows it.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(TIMER_SLACK_NS));
        let due = |count: u64| begin + Duration::from_secs_f64(count as f64 / self.rate);
        let mut touched = Vec::new();
        let mut count = 0;
        let mut next = due(0);
        while next < collector.to {
            let now = Instant::now();
            while next <= now && next < collector.to {
                let at = (count % self.lanes.len() as u64) as usize;
                let mut sent = self.lanes[at].sent.lock().expect("no panic inside");
                self.frames[at].next(&mut self.output[at].0, |class| {
                    sent.push_back((next, class));
                });
                drop(sent);
                if !touched.contains(&at) {
                    touched.push(at);
                }
                if next >= collector.from {
                    let late = now.saturating_duration_since(next).as_micros() as u64;
                    self.late_us.saturating_record(late.max(1));
                }
                count += 1;
                next = due(count);
                if touched.len() == self.lanes.len() {
                    break;
                }
            }
            for at in std::mem::take(&mut touched) {
                if !flush(&self.lanes[at].stream, &mut self.output[at])? {
                    touched.push(at);
                }
            }
            let wait = next.saturating_duration_since(Instant::now());
            if !touched.is_empty() {
                std::thread::sleep(BLOCKED.min(wait));
            } else if wait > SHORTEST_SLEEP {
                std::thread::sleep(wait);
            }
        }
        let patience = Instant::now() + PATIENCE;
        while !touched.is_empty() {
            anyhow::ensure!(Instant::now() < patience, "the server takes no requests");
            std::thread::sleep(BLOCKED);
            for at in std::mem::take(&mut touched) {
                if !flush(&self.lanes[at].stream, &mut self.output[at])? {
                    touched.push(at);
                }
            }
        }
        Ok(self.late_us)
    }
}

/// Writes what the connection takes; true when that is all.
fn flush(stream: &TcpStream, output: &mut (Vec<u8>, usize)) -> anyhow::Result<bool> {
    let (bytes, written) = output;
    while *written < bytes.len() {
        match stream.try_write(&bytes[*written..]) {
            Ok(count) => *written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context(CLOSED),
        }
    }
    bytes.clear();
    *written = 0;
    Ok(true)
}
