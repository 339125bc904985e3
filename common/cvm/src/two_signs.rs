//! Where it matters which object a value is: numbers whose sign is read as 0 until somebody computes with them
//! ([`cells::BigInt::signum`]).
//!
//! Whatever holds such a number differs from its equals by who used the number before. So what was prepared from one
//! object must not serve another one, equal as it may be. And the reference prints the expressions that an error
//! passes at once, by which it uses the numbers in them, while here they are printed when somebody wants to read them.
//!
//! What is found out about an op is kept in it, so that an op is searched once, and printed for its numbers once a run.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use cells::{Cell, UsesOfRun};
use smallvec::SmallVec;

use crate::op::{Kind, Op, Ops};

/// Ops and cells that one search looks at. What has more counts as if it had such a number: that costs time and shows
/// in no result.
const SEARCHED: usize = 2048;

/// What is known of an op.
#[derive(Debug, Default)]
pub(crate) struct Found {
    numbers: AtomicU8,
    /// The last run in which its text was made.
    printed: AtomicU64,
}

const NONE: u8 = 1;
const SOME: u8 = 2;

impl Op {
    /// True when it can be told which object the op is, or may be.
    pub(crate) fn shows_object(&self) -> bool {
        Search { left: SEARCHED }.op(self)
    }

    /// True when the op was not printed in this run yet and it can be told that it is now.
    pub(crate) fn is_first_printed(&self) -> bool {
        let run = UsesOfRun::current();
        self.shows_object() && self.found().printed.swap(run, Ordering::Relaxed) != run
    }
}

/// True when it can be told which object a value is, or may be.
pub(crate) fn shows_object(cell: &Cell) -> bool {
    Search { left: SEARCHED }.cell(cell)
}

/// Looks for such numbers in a bounded number of ops and cells.
struct Search {
    left: usize,
}

impl Search {
    fn spent(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// True when the op holds such a number, or may do so: the search has given up, or data can't be read.
    fn op(&mut self, op: &Op) -> bool {
        let found = &op.found().numbers;
        match found.load(Ordering::Relaxed) {
            NONE => return false,
            SOME => return true,
            _ => {}
        }
        let holds = self.spent() || self.kind(op.kind());
        found.store(if holds { SOME } else { NONE }, Ordering::Relaxed);
        holds
    }

    fn kind(&mut self, kind: &Kind) -> bool {
        match kind {
            Kind::Local(_) | Kind::Special(_) | Kind::LookupAt { .. } => false,
            Kind::Fault(_) | Kind::LetFault(_) => false,
            Kind::Constant(value) | Kind::Lambda(value) => self.cell(value),
            Kind::SetLocal { value, .. } => self.op(value),
            Kind::Lookup { address, .. } => address.as_ref().is_some_and(|op| self.op(op)),
            Kind::LookupOdd { address, symbol } => {
                self.cell(symbol) || address.as_ref().is_some_and(|op| self.op(op))
            }
            Kind::Def { key, value, .. } => {
                self.cell(key) || value.as_ref().is_some_and(|op| self.op(op))
            }
            Kind::Do(ops)
            | Kind::Cond(ops)
            | Kind::Invoke(ops)
            | Kind::Query(ops)
            | Kind::Try(ops) => self.ops(ops),
            Kind::Let(parts) => self.cell(&Cell::from(parts.forms.clone())) || self.ops(&parts.ops),
            Kind::Deferred(r) => r.load().map_or(true, |cell| self.cell(&cell)),
        }
    }

    fn ops(&mut self, ops: &Ops) -> bool {
        match ops {
            Ops::Ready(ops) => ops.iter().any(|op| self.op(op)),
            Ops::Many(ops, _) => self.cell(&Cell::from(ops.clone())),
        }
    }

    /// As [`Search::op`], for a value.
    fn cell(&mut self, cell: &Cell) -> bool {
        match cell {
            Cell::BigInt(n) => return n.has_two_signs(),
            Cell::Str(_) | Cell::Blob(_) => return false,
            _ => {}
        }
        let mut stack: SmallVec<[Cell; 16]> = SmallVec::new();
        let mut next = cell.refs().next().is_some().then(|| cell.clone());
        while let Some(cell) = next {
            for r in cell.refs() {
                if self.spent() {
                    return true;
                }
                let Ok(child) = r.load() else { return true };
                match &*child {
                    Cell::BigInt(n) if n.has_two_signs() => return true,
                    Cell::Str(_) | Cell::Blob(_) => {}
                    // Once for all of its places side by side: there may be any number of them.
                    child if stack.last().is_some_and(|last| last.is_identical(child)) => {}
                    child if child.refs().next().is_some() => stack.push(child.clone()),
                    _ => {}
                }
            }
            next = stack.pop();
        }
        false
    }
}

#[cfg(test)]
mod tests;
