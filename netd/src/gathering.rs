//! When it pays to let requests gather before the next round: under a stream that comes one by one.
//!
//! Each round wakes this process, `consensusd`'s reader and a checking thread, and a signature checked alone costs several times what it
//! costs among others (`spec/01 §11.1`). So while requests keep coming singly, a round begins [`WAIT`] after the last one ended. A request
//! that comes alone, and rounds that are full anyway, are not kept waiting.

/// How long requests gather, milliseconds. `consensusd`'s pace takes a longer silence for the end of a stream.
pub const WAIT: u64 = 2;
/// Requests are counted over so many milliseconds.
const WINDOW: u64 = 50;
/// Requests of a window below which there is no stream: 1,000 a second.
const FEW: u64 = 50;
/// A round with so many requests is full.
const FULL: u64 = 64;

/// The requests of late.
#[derive(Debug, Default)]
pub struct Gathering {
    /// When the current window began (steady milliseconds), and what came in it.
    began: u64,
    count: u64,
    /// Whether the window before was one of a stream.
    stream: bool,
    full: bool,
}

impl Gathering {
    /// A round has passed so many requests on.
    pub fn passed(&mut self, requests: u64, now: u64) {
        let age = now.saturating_sub(self.began);
        if age >= WINDOW {
            // After a pause, what came before it tells nothing.
            self.stream = self.count >= FEW && age < 2 * WINDOW;
            (self.began, self.count) = (now, 0);
        }
        self.count += requests;
        self.full = requests >= FULL;
    }

    /// How long the next round is worth waiting for, milliseconds; zero without a stream.
    #[must_use]
    pub fn wait(&self) -> u64 {
        if self.stream && !self.full { WAIT } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(each: u64, rounds: std::ops::Range<u64>) -> Gathering {
        let mut gathering = Gathering::default();
        for now in rounds {
            gathering.passed(each, now);
        }
        gathering
    }

    #[test]
    fn a_stream_of_single_requests_gathers() {
        assert_eq!(after(5, 1_000..1_200).wait(), WAIT);
    }

    #[test]
    fn few_requests_are_never_kept_waiting() {
        let mut gathering = Gathering::default();
        for now in 1_000..2_000 {
            gathering.passed(u64::from(now % 2 == 0), now);
            assert_eq!(gathering.wait(), 0, "at {now}");
        }
    }

    #[test]
    fn full_rounds_follow_each_other_at_once() {
        let mut gathering = after(5, 1_000..1_200);
        gathering.passed(FULL, 1_200);
        assert_eq!(gathering.wait(), 0);
        gathering.passed(FULL - 1, 1_201);
        assert_eq!(gathering.wait(), WAIT);
    }

    #[test]
    fn a_stream_ends_with_a_window_of_few_requests_or_a_pause() {
        let mut gathering = after(5, 1_000..1_200);
        for now in 1_200..1_300 {
            gathering.passed(0, now);
        }
        assert_eq!(gathering.wait(), 0);
        let mut gathering = after(5, 1_000..1_200);
        gathering.passed(1, 5_000);
        assert_eq!(gathering.wait(), 0);
    }
}
