//! What a run gave.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use zooid_proto::ErrorCode;

/// Latencies are recorded up to this many microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Places where latencies are collected: enough that workers seldom meet.
const SHARDS: usize = 16;

/// A histogram of microseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 3).expect("the bounds are constants")
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Requests answered while it was measured.
    pub requests: u64,
    /// Requests answered in all, warm-up included; with an error or not.
    pub in_all: u64,
    /// Replies with an error, in all, by code.
    pub errors: BTreeMap<i32, u64>,
    /// How long it was measured.
    pub elapsed: Duration,
    /// Latencies of what reads, microseconds.
    pub reads_us: Histogram<u64>,
    /// Latencies of what writes, microseconds.
    pub writes_us: Histogram<u64>,
    /// By how much requests left later than they should, microseconds. Only if paced.
    pub late_us: Option<Histogram<u64>>,
    /// Processor time of this process while it was measured.
    pub cpu: Duration,
    /// Other figures, by name.
    pub more: Vec<(&'static str, f64)>,
}

impl Outcome {
    /// Nothing yet.
    pub(crate) fn new() -> Outcome {
        Outcome {
            requests: 0,
            in_all: 0,
            errors: BTreeMap::new(),
            elapsed: Duration::ZERO,
            reads_us: histogram(),
            writes_us: histogram(),
            late_us: None,
            cpu: Duration::ZERO,
            more: Vec::new(),
        }
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Reads and writes together.
    pub fn latency_us(&self) -> Histogram<u64> {
        let mut all = self.reads_us.clone();
        all.add(&self.writes_us).expect("the same bounds");
        all
    }

    /// How many errors, and which: `3 (NoNode 2, BadVersion 1)`.
    pub fn errors_in_words(&self) -> String {
        let all: u64 = self.errors.values().sum();
        if all == 0 {
            return "0".into();
        }
        let each: Vec<String> = self
            .errors
            .iter()
            .map(|(code, count)| format!("{} {count}", name_of(*code)))
            .collect();
        format!("{all} ({})", each.join(", "))
    }
}

/// The name of an error code, or its number.
pub(crate) fn name_of(code: i32) -> String {
    ErrorCode::from_i32(code).map_or_else(|| code.to_string(), |code| code.name().to_owned())
}

/// What kind of request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Read,
    Write,
    /// It belongs to another and is not counted itself.
    Uncounted,
}

/// Collects replies from many tasks.
pub(crate) struct Collector {
    shards: Vec<Mutex<Part>>,
    /// Replies in this time are measured.
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

struct Part {
    requests: u64,
    in_all: u64,
    errors: BTreeMap<i32, u64>,
    reads_us: Histogram<u64>,
    writes_us: Histogram<u64>,
}

impl Collector {
    pub(crate) fn new(from: Instant, to: Instant) -> Collector {
        let part = || Part {
            requests: 0,
            in_all: 0,
            errors: BTreeMap::new(),
            reads_us: histogram(),
            writes_us: histogram(),
        };
        Collector {
            shards: (0..SHARDS).map(|_| Mutex::new(part())).collect(),
            from,
            to,
        }
    }

    /// Counts replies that were there at `now`; returns how many counted.
    pub(crate) fn add(
        &self,
        task: usize,
        now: Instant,
        replies: impl Iterator<Item = (Instant, Class, i32)>,
    ) -> u64 {
        let measured = self.from <= now && now < self.to;
        let mut part = self.shards[task % SHARDS].lock().expect("no panic inside");
        let mut counted = 0;
        for (start, class, err) in replies {
            if err != 0 {
                *part.errors.entry(err).or_default() += 1;
            }
            if class == Class::Uncounted {
                continue;
            }
            counted += 1;
            if measured {
                let us = now.saturating_duration_since(start).as_micros() as u64;
                let latencies = match class {
                    Class::Write => &mut part.writes_us,
                    _ => &mut part.reads_us,
                };
                latencies.saturating_record(us.max(1));
            }
        }
        part.in_all += counted;
        if measured {
            part.requests += counted;
        }
        counted
    }

    /// All together.
    pub(crate) fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::new();
        outcome.elapsed = self.to - self.from;
        for shard in &self.shards {
            let part = shard.lock().expect("no panic inside");
            outcome.requests += part.requests;
            outcome.in_all += part.in_all;
            for (code, count) in &part.errors {
                *outcome.errors.entry(*code).or_default() += count;
            }
            outcome
                .reads_us
                .add(&part.reads_us)
                .expect("the same bounds");
            outcome
                .writes_us
                .add(&part.writes_us)
                .expect("the same bounds");
        }
        outcome
    }
}

/// Processor time that this process has used.
pub(crate) fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_answered_in_time_is_measured() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let collector = Collector::new(start + second, start + 2 * second);
        let reply = |class, err| std::iter::once((start, class, err));
        collector.add(0, start, reply(Class::Read, 0));
        collector.add(1, start + second, reply(Class::Read, 0));
        collector.add(2, start + second, reply(Class::Write, -101));
        collector.add(3, start + second, reply(Class::Uncounted, 0));
        collector.add(4, start + 2 * second, reply(Class::Write, 0));
        let outcome = collector.outcome();
        assert_eq!((outcome.requests, outcome.in_all), (2, 4));
        assert_eq!(outcome.reads_us.len(), 1);
        assert_eq!(outcome.writes_us.len(), 1);
        assert_eq!(outcome.errors_in_words(), "1 (NoNode 1)");
        assert_eq!(outcome.rate(), 2.0);
    }
}
