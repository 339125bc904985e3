//! When a worker that ended is started again: a pure policy.

use std::collections::VecDeque;

use sandbox::Ended;

/// Failures within this time make the next start wait, milliseconds.
const RECENT: u64 = 10_000;
/// The first wait; it doubles with each further failure.
const FIRST_WAIT: u64 = 50;
/// The longest wait.
const LONGEST_WAIT: u64 = 5_000;
/// Failures within this time are a crash loop, if there are enough of them.
const LOOP_TIME: u64 = 60_000;
/// So many are.
const LOOP_FAILURES: usize = 20;
/// The wait in a crash loop.
const LOOP_WAIT: u64 = 30_000;

/// So often a worker that has never come to work, and says why, is started again: what it lacks may come, such as a lock that another
/// process is about to give up.
const ATTEMPTS: usize = 8;

/// Exit codes (`sysexits.h`) that a restart does not help: the operator has to do something.
const HOPELESS: [i32; 9] = [64, 65, 66, 67, 69, 72, 73, 77, 78];

/// What to do about a worker that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start it at this time.
    Start {
        /// Milliseconds of the steady clock.
        at: u64,
        /// True when it has failed so often that this is a crash loop; said once for each loop.
        crash_loop: bool,
    },
    /// Stop the peer with this code: it never came to work, and says that it can't.
    GiveUp(i32),
}

/// What is remembered of one worker.
#[derive(Debug, Clone, Default)]
pub struct History {
    failures: VecDeque<u64>,
    looping: bool,
    was_ready: bool,
}

impl History {
    /// It came to work.
    pub fn ready(&mut self) {
        self.was_ready = true;
    }

    /// It ended at `now`, without being asked to.
    pub fn ended(&mut self, how: Ended, now: u64) -> Next {
        if let Ended::Exited(code) = how
            && !self.was_ready
            && HOPELESS.contains(&code)
        {
            return Next::GiveUp(code);
        }
        self.failures.push_back(now);
        if let Ended::Exited(code) = how
            && !self.was_ready
            && self.failures.len() >= ATTEMPTS
        {
            return Next::GiveUp(code);
        }
        while self
            .failures
            .front()
            .is_some_and(|first| now - first > LOOP_TIME)
        {
            self.failures.pop_front();
        }
        if self.failures.len() >= LOOP_FAILURES {
            let crash_loop = !self.looping;
            self.looping = true;
            return Next::Start {
                at: now + LOOP_WAIT,
                crash_loop,
            };
        }
        self.looping = false;
        let recent = self
            .failures
            .iter()
            .filter(|at| now - **at <= RECENT)
            .count();
        let wait = match recent {
            0 | 1 => 0,
            more => (FIRST_WAIT << (more - 2).min(16)).min(LONGEST_WAIT),
        };
        Next::Start {
            at: now + wait,
            crash_loop: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KILLED: Ended = Ended::Killed(9);

    fn wait(history: &mut History, how: Ended, now: u64) -> u64 {
        match history.ended(how, now) {
            Next::Start { at, .. } => at - now,
            Next::GiveUp(code) => panic!("gave up with {code}"),
        }
    }

    #[test]
    fn the_first_failure_is_answered_at_once_and_the_next_ones_ever_later() {
        let mut history = History::default();
        history.ready();
        let waits: Vec<u64> = (0..10)
            .map(|i| wait(&mut history, KILLED, 1000 + i))
            .collect();
        assert_eq!(waits, [0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(wait(&mut history, KILLED, 1000 + RECENT + 100), 0);
    }

    #[test]
    fn a_crash_loop_is_said_once_and_ends_with_time() {
        let mut history = History::default();
        let mut loops = 0;
        for i in 0..50 {
            if let Next::Start {
                crash_loop: true, ..
            } = history.ended(Ended::Aborted, i * 1000)
            {
                loops += 1;
            }
        }
        assert_eq!(loops, 1);
        assert_eq!(
            wait(&mut history, Ended::Aborted, 50_000 + 2 * LOOP_TIME),
            0
        );
    }

    #[test]
    fn a_worker_that_never_worked_and_says_why_ends_the_peer() {
        let mut history = History::default();
        assert_eq!(history.ended(Ended::Exited(78), 5), Next::GiveUp(78));
        assert_eq!(wait(&mut history, Ended::Exited(75), 5), 0);
        history.ready();
        assert_eq!(wait(&mut history, Ended::Exited(78), 20_000), 0);
    }

    #[test]
    fn a_worker_that_never_works_is_tried_some_times() {
        let mut history = History::default();
        for i in 1..ATTEMPTS as u64 {
            wait(&mut history, Ended::Exited(75), i * 1000);
        }
        assert_eq!(history.ended(Ended::Exited(75), 20_000), Next::GiveUp(75));
        let mut history = History::default();
        history.ready();
        for i in 0..20 {
            wait(&mut history, Ended::Exited(75), i * 1000);
        }
    }

    proptest! {
        #[test]
        fn waits_are_bounded(steps in proptest::collection::vec(0u64..20_000, 0..200)) {
            let mut history = History::default();
            let mut now = 0;
            for step in steps {
                now += step;
                let wait = wait(&mut history, KILLED, now);
                prop_assert!(wait <= LOOP_WAIT);
                prop_assert!(history.failures.len() <= 200);
            }
        }
    }
}
