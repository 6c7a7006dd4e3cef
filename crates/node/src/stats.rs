//! Counters of the whole server. Connections count into stripes, so that no two workers write to
//! one cache line; whoever asks sums the stripes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

const STRIPES: usize = 16;

/// Packets and latencies since the start, or since `srst`.
#[derive(Default)]
pub struct Stats {
    stripes: [Stripe; STRIPES],
}

#[derive(Default)]
#[repr(align(128))]
struct Stripe {
    received: AtomicU64,
    sent: AtomicU64,
    latency_sum_ms: AtomicI64,
    latency_count: AtomicI64,
    /// One more than the shortest latency, so that 0 means none.
    latency_min_plus_1: AtomicI64,
    latency_max_ms: AtomicI64,
}

/// The sums at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Shortest latency, ms.
    pub latency_min_ms: i64,
    /// Longest latency, ms.
    pub latency_max_ms: i64,
    /// Sum of latencies, ms.
    pub latency_sum_ms: i64,
    /// Number of latencies.
    pub latency_count: i64,
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

    /// Notes packets received by a connection.
    pub fn received(&self, conn: u64, packets: u64) {
        self.stripe(conn)
            .received
            .fetch_add(packets, Ordering::Relaxed);
    }

    /// Notes packets sent to a connection.
    pub fn sent(&self, conn: u64, packets: u64) {
        self.stripe(conn).sent.fetch_add(packets, Ordering::Relaxed);
    }

    /// Notes `count` requests answered after `latency_ms` each.
    pub fn latency(&self, conn: u64, latency_ms: i64, count: i64) {
        let stripe = self.stripe(conn);
        stripe
            .latency_sum_ms
            .fetch_add(latency_ms * count, Ordering::Relaxed);
        stripe.latency_count.fetch_add(count, Ordering::Relaxed);
        stripe
            .latency_max_ms
            .fetch_max(latency_ms, Ordering::Relaxed);
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
            ..Totals::default()
        };
        for stripe in &self.stripes {
            totals.received += stripe.received.load(Ordering::Relaxed);
            totals.sent += stripe.sent.load(Ordering::Relaxed);
            totals.latency_sum_ms += stripe.latency_sum_ms.load(Ordering::Relaxed);
            totals.latency_count += stripe.latency_count.load(Ordering::Relaxed);
            let max = stripe.latency_max_ms.load(Ordering::Relaxed);
            totals.latency_max_ms = totals.latency_max_ms.max(max);
            let min = stripe.latency_min_plus_1.load(Ordering::Relaxed);
            if min > 0 {
                totals.latency_min_ms = totals.latency_min_ms.min(min - 1);
            }
        }
        if totals.latency_min_ms == i64::MAX {
            totals.latency_min_ms = 0;
        }
        totals
    }

    /// Starts from zero again.
    pub fn reset(&self) {
        for stripe in &self.stripes {
            stripe.received.store(0, Ordering::Relaxed);
            stripe.sent.store(0, Ordering::Relaxed);
            stripe.latency_sum_ms.store(0, Ordering::Relaxed);
            stripe.latency_count.store(0, Ordering::Relaxed);
            stripe.latency_min_plus_1.store(0, Ordering::Relaxed);
            stripe.latency_max_ms.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_add_up() {
        let stats = Stats::default();
        assert_eq!(stats.totals(), Totals::default());
        stats.latency(1, 4, 1);
        stats.latency(2, 8, 2);
        stats.received(1, 3);
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
        stats.reset();
        assert_eq!(stats.totals(), Totals::default());
    }
}
