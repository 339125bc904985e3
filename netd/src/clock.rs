//! The time.

use std::time::{Instant, SystemTime};

use signing::Now;

/// Reads both clocks of the system: the one on the wall, and one that does not step.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Steady time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let milliseconds = |time: std::time::Duration| time.as_millis();
        Now {
            wall: i64::try_from(milliseconds(wall)).unwrap_or(i64::MAX),
            steady: u64::try_from(milliseconds(self.start.elapsed())).unwrap_or(u64::MAX),
        }
    }
}
