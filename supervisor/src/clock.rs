//! The two clocks.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the clock that does not step.
#[must_use]
pub fn steady() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // It counts from the start of the machine: never negative.
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Milliseconds since the epoch.
#[must_use]
pub fn wall() -> i64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
