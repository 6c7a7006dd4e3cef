//! Time is an argument: this crate reads no clock.

/// The two clocks of a server at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic clock, ms since any start.
    pub mono_ms: i64,
    /// Wall clock, ms since 1970.
    pub wall_ms: i64,
}
