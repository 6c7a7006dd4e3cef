//! The clocks of the machine, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zooid_node::Now;

/// Reads both clocks. The monotonic one starts at zero with the server.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono_ms: self.start.elapsed().as_millis() as i64,
            wall_ms: wall.as_millis() as i64,
        }
    }

    /// The instant of a monotonic time, ms.
    pub fn instant(&self, mono_ms: i64) -> Instant {
        self.start + Duration::from_millis(mono_ms.max(0) as u64)
    }
}
