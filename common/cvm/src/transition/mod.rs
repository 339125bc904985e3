//! The state transition: what a block does to a state (`spec/04`).
//!
//! A pure function of state and block under a set of rules. [`apply_block`] changes the working state in place;
//! whatever goes wrong, the state afterwards is either that of the specification or the one from before the
//! block.

mod block;
mod execute;
mod look_ahead;
mod multi;
mod signatures;
mod transaction;

pub use block::{BlockOutcome, apply_block, try_block};
pub use signatures::{check_signatures, check_signatures_parallel};
pub use transaction::{QueryError, detached, preview, query};

use cells::{Cell, CellError};

use crate::exit::{Abort, Exit};
use crate::state::ScheduleError;

/// Why a block has no outcome at all: neither a new state nor results. The state is as before the block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A value of the state or the block could not be read. Nothing follows about the block.
    #[error("data needed by the block can't be read: {0}")]
    Data(CellError),
    /// No peer survives this block (`spec/04`, "Fatal").
    #[error("the block can't be applied by any peer: {0}")]
    Fatal(String),
}

/// Why the application of a block stopped.
#[derive(Debug)]
enum Stop {
    /// The block is void and does nothing (`spec/04 §5.1`, `§5.5`).
    Void(String),
    /// The block has no outcome.
    Error(BlockError),
}

impl Stop {
    fn void(why: impl Into<String>) -> Self {
        Self::Void(why.into())
    }

    fn fatal(why: impl Into<String>) -> Self {
        Self::Error(BlockError::Fatal(why.into()))
    }
}

impl From<Abort> for Stop {
    fn from(abort: Abort) -> Self {
        match abort {
            Abort::HostFault(why) => Self::Void(why),
            Abort::Data(error) => Self::Error(BlockError::Data(error)),
            Abort::Fatal(why) => Self::fatal(why),
        }
    }
}

impl From<CellError> for Stop {
    fn from(error: CellError) -> Self {
        match Exit::from(error) {
            Exit::Abort(abort) => (*abort).into(),
            // Reading data can't end in anything else.
            other => Self::fatal(format!("{other:?}")),
        }
    }
}

impl From<ScheduleError> for Stop {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Data(error) => error.into(),
            stuck @ ScheduleError::Stuck { .. } => Self::fatal(stuck.to_string()),
        }
    }
}

/// How a transaction failed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// An error value.
    Error {
        /// Any value but nil.
        code: Cell,
        /// Any value.
        message: Cell,
        /// Lines of the trace.
        trace: cells::Vector,
        /// Where it arose.
        address: Option<u64>,
    },
    /// Out of juice.
    Juice,
}

/// What a juice failure says.
const OUT_OF_JUICE: &str = "Out of juice!";
