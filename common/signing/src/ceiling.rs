//! The ceiling: no time above it is signed before the journal holds it on disk.
//!
//! The journal is one number H. A signature of time t needs t ≤ H on disk, and H is written at most [`AHEAD`] beyond the clock,
//! so one sync serves all signatures of the next second. A run signs only times above its *floor*: the later of the H that
//! it finds and the clock of its start plus [`AHEAD`].
//!
//! - A crash: everything signed before is at or below the H on disk, hence at or below the floor, wherever the clock went.
//! - A restored backup, or a lost journal: H is older, but everything signed before was at most [`AHEAD`] beyond the
//!   clock of that moment, hence at or below the floor, if the clock did not step back.

use crate::AHEAD;

/// The ceiling of one run. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    floor: i64,
    durable: i64,
}

impl Ceiling {
    /// At the start of a run: the ceiling found in the journal, if there is one, and the clock.
    #[must_use]
    pub fn start(found: Option<i64>, now: i64) -> Self {
        let clock = now.saturating_add(AHEAD);
        Self {
            floor: found.map_or(clock, |found| found.max(clock)),
            durable: found.unwrap_or(i64::MIN),
        }
    }

    /// Only later times are signed in this run.
    #[must_use]
    pub fn floor(&self) -> i64 {
        self.floor
    }

    /// The ceiling known to be on disk.
    #[must_use]
    pub fn durable(&self) -> i64 {
        self.durable
    }

    /// What has to be on disk before a signature of `time`, which is at most [`AHEAD`] beyond `now`; `None` when it is.
    #[must_use]
    pub fn needed(&self, time: i64, now: i64) -> Option<i64> {
        (time > self.durable).then(|| now.saturating_add(AHEAD))
    }

    /// What to write now, so that the next signatures need not wait: the ceiling is less than half of [`AHEAD`] away.
    #[must_use]
    pub fn extension(&self, now: i64) -> Option<i64> {
        let soon = now.saturating_add(AHEAD / 2);
        (self.durable < soon).then(|| now.saturating_add(AHEAD))
    }

    /// Notes that `ceiling` is on disk, after its sync has returned. A lower one than before changes nothing, and must not
    /// have been written.
    pub fn recorded(&mut self, ceiling: i64) {
        self.durable = self.durable.max(ceiling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_covered_before_it_is_recorded() {
        let mut ceiling = Ceiling::start(None, 10_000);
        assert_eq!(ceiling.floor(), 11_000);
        assert_eq!(ceiling.needed(11_001, 10_001), Some(11_001));
        ceiling.recorded(11_001);
        assert_eq!(ceiling.needed(11_001, 10_001), None);
        assert_eq!(ceiling.needed(11_002, 10_002), Some(11_002));
        ceiling.recorded(5);
        assert_eq!(ceiling.durable(), 11_001);
    }

    #[test]
    fn a_later_run_starts_above_the_ceiling_whatever_the_clock_says() {
        assert_eq!(Ceiling::start(Some(50_000), 10_000).floor(), 50_000);
        assert_eq!(Ceiling::start(Some(50_000), 80_000).floor(), 81_000);
        assert_eq!(Ceiling::start(Some(i64::MAX), i64::MAX).floor(), i64::MAX);
    }

    #[test]
    fn the_ceiling_is_extended_ahead_of_need() {
        let mut ceiling = Ceiling::start(None, 0);
        ceiling.recorded(1_000);
        assert_eq!(ceiling.extension(500), None);
        assert_eq!(ceiling.extension(501), Some(1_501));
    }
}
