//! When waiting transactions are worth a block: at once where few come, a little later where many do.
//!
//! A block costs about the same with one transaction as with fifty: two signatures, two durable batches, a dozen wake-ups. So a single
//! transaction never waits, and a stream of them is cut into a block for each [`LONGEST`] rather than for each round trip to the disk.

use std::collections::VecDeque;

/// The longest wait of a transaction for others, milliseconds.
pub const LONGEST: u64 = 20;
/// Over so many milliseconds arrivals are counted.
const WINDOW: u64 = 100;
/// Arrivals in the window below which nothing waits.
const FEW: u64 = 100;
/// Arrivals in the window for each millisecond of waiting: the longest wait is that of 5,000 a second.
const EACH: u64 = 25;
/// So many waiting transactions are a block worth making at once.
const ENOUGH: usize = 256;
/// When nothing came for more than so many milliseconds, whoever sends waits for results: so nothing more is to be waited for.
/// `netd` lets a stream gather for two milliseconds at a time.
const QUIET: u64 = 3;

/// The arrivals of late, and the last proposal.
#[derive(Default)]
pub struct Pace {
    /// Arrivals by millisecond.
    arrivals: VecDeque<(u64, u64)>,
    count: u64,
    proposed: u64,
}

impl Pace {
    /// So many transactions came. Times are steady milliseconds.
    pub fn arrived(&mut self, count: u64, now: u64) {
        if count == 0 {
            return;
        }
        match self.arrivals.back_mut() {
            Some((time, there)) if *time >= now => *there += count,
            _ => self.arrivals.push_back((now, count)),
        }
        self.count += count;
        self.forget(now);
    }

    /// A block is proposed.
    pub fn proposed(&mut self, now: u64) {
        self.proposed = now;
    }

    /// Until when `waiting` transactions wait for more. Not later than now means not at all.
    pub fn until(&mut self, waiting: usize, now: u64) -> u64 {
        self.forget(now);
        if self.count < FEW || waiting >= ENOUGH {
            return now;
        }
        let due = self.proposed + LONGEST.min(self.count / EACH);
        let quiet = self
            .arrivals
            .back()
            .map_or(now, |(last, _)| last + QUIET + 1);
        due.min(quiet)
    }

    fn forget(&mut self, now: u64) {
        while let Some((time, count)) = self.arrivals.front().copied()
            && time + WINDOW <= now
        {
            self.count -= count;
            self.arrivals.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_transactions_never_wait() {
        let mut pace = Pace::default();
        for now in 1_000..2_000 {
            if now % 2 == 0 {
                pace.arrived(1, now);
                assert_eq!(pace.until(1, now), now);
                pace.proposed(now);
            }
        }
    }

    #[test]
    fn a_stream_is_cut_into_a_block_each_longest_wait() {
        let mut pace = Pace::default();
        let (mut waiting, mut blocks) = (0, 0);
        for now in 1_000..2_000 {
            pace.arrived(5, now);
            waiting += 5;
            if pace.until(waiting, now) <= now {
                pace.proposed(now);
                (waiting, blocks) = (0, blocks + 1);
            }
        }
        assert!((50..=75).contains(&blocks), "{blocks}");
    }

    #[test]
    fn senders_that_wait_for_results_are_not_kept_waiting() {
        let mut pace = Pace::default();
        pace.arrived(200, 1_000);
        pace.proposed(1_000);
        pace.arrived(200, 1_003);
        assert!(pace.until(200, 1_003 + QUIET) > 1_003 + QUIET);
        assert!(pace.until(200, 1_003 + QUIET + 1) <= 1_003 + QUIET + 1);
    }

    #[test]
    fn many_waiting_transactions_are_proposed_at_once() {
        let mut pace = Pace::default();
        pace.arrived(1_000, 1_000);
        pace.proposed(1_000);
        assert_eq!(pace.until(ENOUGH, 1_000), 1_000);
        assert!(pace.until(ENOUGH - 1, 1_000) > 1_000);
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let mut pace = Pace::default();
        pace.arrived(1_000, 1_000);
        pace.proposed(1_050);
        assert_eq!(pace.until(1, 1_100), 1_100);
        assert_eq!(pace.count, 0);
    }
}
