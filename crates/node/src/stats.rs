//! Counters of the whole server. Connections count into stripes, so that no two workers write to
//! one cache line; whoever asks sums the stripes. What few threads measure goes into a [`Summary`].

use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

const STRIPES: usize = 16;

/// Packets and latencies since the start, or since `srst`.
#[derive(Default)]
pub struct Stats {
    stripes: [Stripe; STRIPES],
    /// How long writes and handshakes took, ms.
    pub updates: Summary,
    /// What happens seldom.
    pub events: Events,
}

/// Numbers of events that are no part of the way of a request.
#[derive(Debug, Default)]
pub struct Events {
    /// Handshakes.
    pub connection_requests: AtomicU64,
    /// Handshakes that the token bucket refused.
    pub connections_dropped: AtomicU64,
    /// Handshakes that asked for a session of before.
    pub revalidations: AtomicU64,
    /// Connections closed for a large request.
    pub large_requests_rejected: AtomicU64,
    /// Writes refused because they waited too long.
    pub throttled_ops: AtomicU64,
    /// Sessions that expired.
    pub sessions_expired: AtomicU64,
    /// Connections refused because there were too many.
    pub connections_rejected: AtomicU64,
    /// Connections closed because they opened no session.
    pub sessionless_expired: AtomicU64,
    /// Connections closed because there is no leader, or the server stops.
    pub closed_not_serving: AtomicU64,
    /// Bytes of events.
    pub watch_bytes: AtomicU64,
    /// Watches that fired at once, by event: created, deleted, changed, children.
    pub fired: [Summary; 4],
    /// Tokens that were missing in the bucket at each handshake.
    pub token_deficit: Summary,
    /// Transactions loaded at the start.
    pub startup_txns: Summary,
    /// What that took, with the snapshot, ms.
    pub startup_ms: Summary,
    /// Bytes of the last replies that left together; -1 before the first.
    last_response: LastResponse,
}

#[derive(Debug)]
struct LastResponse(AtomicI64);

impl Default for LastResponse {
    fn default() -> LastResponse {
        LastResponse(AtomicI64::new(-1))
    }
}

#[derive(Default)]
#[repr(align(128))]
struct Stripe {
    received: AtomicU64,
    received_bytes: AtomicU64,
    sent: AtomicU64,
    /// Reads, which are answered as they are read: their latency is 0.
    reads: AtomicU64,
    latency_sum_ms: AtomicI64,
    latency_count: AtomicI64,
    /// One more than the shortest latency, so that 0 means none.
    latency_min_plus_1: AtomicI64,
    latency_max_ms: AtomicI64,
    reply_bytes: AtomicU64,
    /// One more than the shortest replies that left together, so that 0 means none.
    response_min_plus_1: AtomicI64,
    response_max: AtomicI64,
}

/// The sums at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Packets received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets sent.
    pub sent: u64,
    /// Reads answered.
    pub reads: u64,
    /// Shortest latency, ms.
    pub latency_min_ms: i64,
    /// Longest latency, ms.
    pub latency_max_ms: i64,
    /// Sum of latencies, ms.
    pub latency_sum_ms: i64,
    /// Number of latencies.
    pub latency_count: i64,
    /// Bytes sent, but for events of watches.
    pub reply_bytes: u64,
    /// Bytes of replies that left together: the last, -1 before the first,
    pub response_last: i64,
    /// the shortest,
    pub response_min: i64,
    /// and the longest.
    pub response_max: i64,
}

impl Totals {
    /// Mean latency, ms.
    pub fn latency_avg_ms(&self) -> f64 {
        if self.latency_count == 0 {
            0.0
        } else {
            self.latency_sum_ms as f64 / self.latency_count as f64
        }
    }
}

impl Stats {
    fn stripe(&self, conn: u64) -> &Stripe {
        &self.stripes[conn as usize % STRIPES]
    }

    /// Notes packets received by a connection, of `bytes` together.
    pub fn received(&self, conn: u64, packets: u64, bytes: u64) {
        let stripe = self.stripe(conn);
        stripe.received.fetch_add(packets, Ordering::Relaxed);
        stripe.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes packets sent to a connection.
    pub fn sent(&self, conn: u64, packets: u64) {
        self.stripe(conn).sent.fetch_add(packets, Ordering::Relaxed);
    }

    /// Notes bytes that leave on a connection together, and how many of them are events.
    pub fn sent_bytes(&self, conn: u64, bytes: usize, event_bytes: usize) {
        let stripe = self.stripe(conn);
        // Counted as it is shown: the difference of two counters could fall in between.
        let replies = bytes.saturating_sub(event_bytes) as u64;
        stripe.reply_bytes.fetch_add(replies, Ordering::Relaxed);
        let bytes = bytes as i64;
        // Locked instructions are dear, and most replies are as long as others.
        let last = &self.events.last_response.0;
        if last.load(Ordering::Relaxed) != bytes {
            last.store(bytes, Ordering::Relaxed);
        }
        if bytes > stripe.response_max.load(Ordering::Relaxed) {
            stripe.response_max.fetch_max(bytes, Ordering::Relaxed);
        }
        let min = stripe.response_min_plus_1.load(Ordering::Relaxed);
        if min == 0 || bytes + 1 < min {
            stripe
                .response_min_plus_1
                .store(bytes + 1, Ordering::Relaxed);
        }
    }

    /// Notes reads of a connection, answered as they were read, and their replies.
    pub fn reads(&self, conn: u64, count: u64) {
        let stripe = self.stripe(conn);
        stripe.reads.fetch_add(count, Ordering::Relaxed);
        stripe.sent.fetch_add(count, Ordering::Relaxed);
        self.latency(conn, 0, count as i64);
    }

    /// Notes a write or a handshake, answered after `latency_ms`.
    pub fn update(&self, conn: u64, latency_ms: i64) {
        self.updates.add(latency_ms);
        self.latency(conn, latency_ms, 1);
    }

    /// Notes `count` requests answered after `latency_ms` each.
    pub fn latency(&self, conn: u64, latency_ms: i64, count: i64) {
        let stripe = self.stripe(conn);
        stripe.latency_count.fetch_add(count, Ordering::Relaxed);
        // Locked instructions are dear, and most requests take less than a millisecond.
        if latency_ms != 0 {
            stripe
                .latency_sum_ms
                .fetch_add(latency_ms * count, Ordering::Relaxed);
        }
        if latency_ms > stripe.latency_max_ms.load(Ordering::Relaxed) {
            stripe
                .latency_max_ms
                .fetch_max(latency_ms, Ordering::Relaxed);
        }
        let min = stripe.latency_min_plus_1.load(Ordering::Relaxed);
        if min == 0 || latency_ms + 1 < min {
            stripe
                .latency_min_plus_1
                .store(latency_ms + 1, Ordering::Relaxed);
        }
    }

    /// The sums.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            latency_min_ms: i64::MAX,
            response_last: self.events.last_response.0.load(Ordering::Relaxed),
            response_min: i64::MAX,
            response_max: -1,
            ..Totals::default()
        };
        for stripe in &self.stripes {
            totals.received += stripe.received.load(Ordering::Relaxed);
            totals.received_bytes += stripe.received_bytes.load(Ordering::Relaxed);
            totals.reads += stripe.reads.load(Ordering::Relaxed);
            totals.sent += stripe.sent.load(Ordering::Relaxed);
            totals.latency_sum_ms += stripe.latency_sum_ms.load(Ordering::Relaxed);
            totals.latency_count += stripe.latency_count.load(Ordering::Relaxed);
            let max = stripe.latency_max_ms.load(Ordering::Relaxed);
            totals.latency_max_ms = totals.latency_max_ms.max(max);
            totals.reply_bytes += stripe.reply_bytes.load(Ordering::Relaxed);
            let min = stripe.response_min_plus_1.load(Ordering::Relaxed);
            if min > 0 {
                let max = stripe.response_max.load(Ordering::Relaxed);
                totals.response_min = totals.response_min.min(min - 1);
                totals.response_max = totals.response_max.max(max);
            }
            let min = stripe.latency_min_plus_1.load(Ordering::Relaxed);
            if min > 0 {
                totals.latency_min_ms = totals.latency_min_ms.min(min - 1);
            }
        }
        if totals.latency_min_ms == i64::MAX {
            totals.latency_min_ms = 0;
        }
        if totals.response_min == i64::MAX {
            totals.response_min = -1;
        }
        totals
    }

    /// Starts from zero again.
    pub fn reset(&self) {
        self.updates.reset();
        let events = &self.events;
        for counter in [
            &events.connection_requests,
            &events.connections_dropped,
            &events.revalidations,
            &events.large_requests_rejected,
            &events.throttled_ops,
            &events.sessions_expired,
            &events.connections_rejected,
            &events.sessionless_expired,
            &events.closed_not_serving,
            &events.watch_bytes,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        events.fired.iter().for_each(Summary::reset);
        for summary in [
            &events.token_deficit,
            &events.startup_txns,
            &events.startup_ms,
        ] {
            summary.reset();
        }
        events.last_response.0.store(-1, Ordering::Relaxed);
        for stripe in &self.stripes {
            stripe.received.store(0, Ordering::Relaxed);
            stripe.received_bytes.store(0, Ordering::Relaxed);
            stripe.reads.store(0, Ordering::Relaxed);
            stripe.sent.store(0, Ordering::Relaxed);
            stripe.latency_sum_ms.store(0, Ordering::Relaxed);
            stripe.latency_count.store(0, Ordering::Relaxed);
            stripe.latency_min_plus_1.store(0, Ordering::Relaxed);
            stripe.latency_max_ms.store(0, Ordering::Relaxed);
            stripe.reply_bytes.store(0, Ordering::Relaxed);
            stripe.response_min_plus_1.store(0, Ordering::Relaxed);
            stripe.response_max.store(0, Ordering::Relaxed);
        }
    }
}

/// Samples kept for percentiles: with fewer than that they are exact. The number is Java's.
const RESERVOIR: usize = 4096;

/// Count, sum, extremes and percentiles of samples since the start, or since `srst`. For threads
/// that measure now and then: a sample takes a lock, so none is noted on the way of a read.
#[derive(Debug, Default)]
pub struct Summary {
    samples: Mutex<Samples>,
}

#[derive(Debug, Default)]
struct Samples {
    count: u64,
    sum: i64,
    min: i64,
    max: i64,
    /// Each sample so far is in here with the same probability (Vitter's algorithm R).
    reservoir: Vec<i64>,
    /// Random bits need not be good, and a fixed start keeps this crate free of chance.
    random: u64,
}

/// What a [`Summary`] shows at one moment; all zero without a sample.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SummaryView {
    /// Number of samples.
    pub count: u64,
    /// Their sum.
    pub sum: i64,
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
    /// The percentiles 50, 95, 99 and 99.9.
    pub percentiles: [i64; 4],
}

impl SummaryView {
    /// Mean of the samples.
    pub fn avg(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum as f64 / self.count as f64
        }
    }
}

impl Summary {
    /// Notes one sample.
    pub fn add(&self, sample: i64) {
        self.add_many(sample, 1);
    }

    /// Notes the same sample several times.
    pub fn add_many(&self, sample: i64, times: u64) {
        if times == 0 {
            return;
        }
        let samples = &mut *self.samples.lock();
        if samples.count == 0 {
            (samples.min, samples.max) = (sample, sample);
        }
        samples.min = samples.min.min(sample);
        samples.max = samples.max.max(sample);
        samples.sum = samples
            .sum
            .saturating_add(sample.saturating_mul(times as i64));
        for _ in 0..times {
            samples.count += 1;
            samples.keep(sample);
        }
    }

    /// What the samples show.
    pub fn view(&self) -> SummaryView {
        let samples = self.samples.lock();
        let (count, sum, min, max) = (samples.count, samples.sum, samples.min, samples.max);
        let mut sorted = samples.reservoir.clone();
        drop(samples);
        sorted.sort_unstable();
        SummaryView {
            count,
            sum,
            min,
            max,
            percentiles: [0.5, 0.95, 0.99, 0.999].map(|q| percentile(&sorted, q)),
        }
    }

    /// Starts from zero again.
    pub fn reset(&self) {
        *self.samples.lock() = Samples::default();
    }
}

impl Samples {
    fn keep(&mut self, sample: i64) {
        if self.reservoir.len() < RESERVOIR {
            self.reservoir.push(sample);
            return;
        }
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let bits =
            u128::from((self.random ^ (self.random >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9));
        let place = ((bits * u128::from(self.count)) >> 64) as usize;
        if let Some(kept) = self.reservoir.get_mut(place) {
            *kept = sample;
        }
    }
}

/// A percentile of sorted samples, between two of them in proportion, rounded.
fn percentile(sorted: &[i64], quantile: f64) -> i64 {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return 0;
    };
    let at = quantile * (sorted.len() + 1) as f64;
    let below = at as usize;
    if below < 1 {
        return *first;
    }
    if below >= sorted.len() {
        return *last;
    }
    let (low, high) = (sorted[below - 1] as f64, sorted[below] as f64);
    (low + at.fract() * (high - low)).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_samples_around_them() {
        let summary = Summary::default();
        assert_eq!(summary.view(), SummaryView::default());
        for sample in 1..=100 {
            summary.add(sample);
        }
        let view = summary.view();
        assert_eq!(
            (view.min, view.max, view.count, view.sum),
            (1, 100, 100, 5050)
        );
        // 0.5 * 101 = 50.5, between 50 and 51, which rounds up.
        assert_eq!(view.percentiles, [51, 96, 100, 100]);
        summary.reset();
        summary.add_many(-3, 2);
        assert_eq!((summary.view().max, summary.view().sum), (-3, -6));
        assert_eq!(summary.view().percentiles, [-3; 4]);
    }

    #[test]
    fn the_reservoir_stands_for_all_samples() {
        let summary = Summary::default();
        for sample in 0..100_000 {
            summary.add(sample);
        }
        let [median, _, high, _] = summary.view().percentiles;
        assert!((47_000..53_000).contains(&median), "{median}");
        assert!((98_500..99_500).contains(&high), "{high}");
    }

    #[test]
    fn stripes_add_up() {
        let stats = Stats::default();
        let nothing = Totals {
            response_last: -1,
            response_min: -1,
            response_max: -1,
            ..Totals::default()
        };
        assert_eq!(stats.totals(), nothing);
        stats.latency(1, 4, 1);
        stats.latency(2, 8, 2);
        stats.received(1, 3, 60);
        let totals = stats.totals();
        assert_eq!(
            (
                totals.latency_min_ms,
                totals.latency_max_ms,
                totals.received
            ),
            (4, 8, 3)
        );
        assert_eq!(totals.latency_count, 3);
        stats.sent_bytes(1, 20, 0);
        stats.sent_bytes(2, 70, 40);
        stats.sent_bytes(1, 30, 30);
        let totals = stats.totals();
        let response = (
            totals.response_last,
            totals.response_min,
            totals.response_max,
        );
        assert_eq!((response, totals.reply_bytes), ((30, 20, 70), 50));
        stats.reset();
        assert_eq!(stats.totals(), nothing);
    }
}
