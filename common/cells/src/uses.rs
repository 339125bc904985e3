//! Within which run of the virtual machine a number was used ([`crate::BigInt::signum`]).
//!
//! A peer executes blocks ahead of consensus, throws that away when their order changes, and executes the same cells
//! once more; meanwhile others ask queries of the same state. None of that may decide what a block does. So a use
//! counts in its own run only: the application of one block, or one query. What runs of transitions and other
//! threads note is kept apart, so that queries beside a transition don't disturb it.

use std::cell::Cell as StdCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Outside of runs: one run that never ends, of the other kind.
const NO_RUN: Run = Run {
    number: 1,
    kind: Kind::Other,
};

thread_local! {
    static CURRENT: StdCell<Run> = const { StdCell::new(NO_RUN) };
}

#[derive(Debug, Clone, Copy)]
struct Run {
    number: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Transition,
    Other,
}

/// A run on this thread, until it is dropped. Runs may be nested.
#[derive(Debug)]
#[must_use = "the run ends when this is dropped"]
pub struct UsesOfRun {
    before: Run,
    /// It ends on the thread that it began on.
    here: std::marker::PhantomData<*const ()>,
}

impl UsesOfRun {
    /// The application of a block.
    pub fn transition() -> Self {
        Self::begin(Kind::Transition)
    }

    /// Anything else: a query.
    pub fn other() -> Self {
        Self::begin(Kind::Other)
    }

    fn begin(kind: Kind) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(NO_RUN.number);
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Self {
            before: CURRENT.replace(Run { number, kind }),
            here: std::marker::PhantomData,
        }
    }

    /// A number for the run of this thread that no other one has.
    #[must_use]
    pub fn current() -> u64 {
        CURRENT.get().number
    }
}

impl Drop for UsesOfRun {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// The last runs in which something was used; at first none.
#[derive(Debug, Default)]
pub(crate) struct LastUse {
    transition: AtomicU64,
    other: AtomicU64,
}

impl LastUse {
    fn of(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Transition => &self.transition,
            Kind::Other => &self.other,
        }
    }

    /// Notes a use in the run of this thread.
    pub(crate) fn note(&self) {
        let run = CURRENT.get();
        self.of(run.kind).store(run.number, Ordering::Relaxed);
    }

    /// True when there was a use in the run of this thread.
    pub(crate) fn is_now(&self) -> bool {
        let run = CURRENT.get();
        self.of(run.kind).load(Ordering::Relaxed) == run.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_counts_in_its_own_run_only() {
        let used = LastUse::default();
        assert!(!used.is_now());
        let first = UsesOfRun::transition();
        used.note();
        assert!(used.is_now());
        {
            let _query = UsesOfRun::other();
            assert!(!used.is_now());
            used.note();
            assert!(used.is_now());
        }
        assert!(used.is_now());
        drop(first);
        let _second = UsesOfRun::transition();
        assert!(!used.is_now());
    }

    #[test]
    fn queries_on_other_threads_leave_the_uses_of_a_transition_alone() {
        let used = LastUse::default();
        let _run = UsesOfRun::transition();
        used.note();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _query = UsesOfRun::other();
                assert!(!used.is_now());
                used.note();
            });
        });
        assert!(used.is_now());
    }
}
