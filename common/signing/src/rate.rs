//! Rates: token buckets whose time is an argument.

/// A sustained rate and how far it may be exceeded for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units each second, for ever.
    pub per_second: u32,
    /// Units at once after a rest.
    pub burst: u32,
}

impl Rate {
    /// `per_second` units each second, `burst` at once.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }
}

/// What is left of a [`Rate`] at a moment. Times are milliseconds of a clock that does not step; one that runs backwards adds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    rate: Rate,
    /// In thousandths of a unit; negative while in debt.
    level: i64,
    last: u64,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: u64) -> Self {
        Self {
            rate,
            level: i64::from(rate.burst) * 1_000,
            last: now,
        }
    }

    fn refill(&mut self, now: u64) {
        let elapsed = i64::try_from(now.saturating_sub(self.last)).unwrap_or(i64::MAX);
        self.last = self.last.max(now);
        let gained = elapsed.saturating_mul(i64::from(self.rate.per_second));
        let full = i64::from(self.rate.burst) * 1_000;
        self.level = self.level.saturating_add(gained).min(full);
    }

    /// Takes `units` if they are there.
    #[must_use]
    pub fn take(&mut self, units: u32, now: u64) -> bool {
        self.refill(now);
        let cost = i64::from(units) * 1_000;
        let enough = self.level >= cost;
        if enough {
            self.level -= cost;
        }
        enough
    }

    /// Takes `units` that were spent already, into debt if need be.
    pub fn spend(&mut self, units: u32, now: u64) {
        self.refill(now);
        self.level = self.level.saturating_sub(i64::from(units) * 1_000);
    }

    /// When the bucket is out of debt: `None` when it is now, [`u64::MAX`] for a rate of zero.
    #[must_use]
    pub fn free_at(&self, now: u64) -> Option<u64> {
        let mut then = *self;
        then.refill(now);
        if then.level >= 0 {
            return None;
        }
        let debt = then.level.unsigned_abs();
        Some(match u64::from(self.rate.per_second) {
            0 => u64::MAX,
            rate => then.last.saturating_add(debt.div_ceil(rate)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = TokenBucket::new(Rate::new(10, 3), 0);
        assert!((0..3).all(|_| bucket.take(1, 0)));
        assert!(!bucket.take(1, 99));
        assert!(bucket.take(1, 100));
        assert!(!bucket.take(1, 100));
        assert!((0..3).all(|_| bucket.take(1, 1_000_000)));
        assert!(!bucket.take(1, 1_000_000));
    }

    #[test]
    fn a_clock_that_runs_backwards_adds_nothing() {
        let mut bucket = TokenBucket::new(Rate::new(1_000, 1), 500);
        assert!(bucket.take(1, 500));
        assert!(!bucket.take(1, 0));
        assert!(!bucket.take(1, 500));
        assert!(bucket.take(1, 501));
    }

    #[test]
    fn debt_says_when_it_is_paid() {
        let mut bucket = TokenBucket::new(Rate::new(100, 10), 0);
        bucket.spend(30, 0);
        assert_eq!(bucket.free_at(0), Some(200));
        assert_eq!(bucket.free_at(199), Some(200));
        assert_eq!(bucket.free_at(200), None);
        let mut never = TokenBucket::new(Rate::new(0, 0), 0);
        never.spend(1, 0);
        assert_eq!(never.free_at(5), Some(u64::MAX));
    }
}
