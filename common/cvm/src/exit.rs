//! How execution ends other than with a value (`spec/02 §10.1`, `§11`, `§13`).

use std::sync::OnceLock;

use cells::{Cell, CellError, Keyword, Symbol, Vector};

use crate::op::Op;
use crate::two_signs;

/// A value, or why there is none.
pub type Outcome<T = Cell> = Result<T, Exit>;

/// An exceptional result.
#[derive(Debug)]
pub enum Exit {
    /// An error value; the only kind that `try` catches.
    Error(Box<ErrorValue>),
    /// The juice limit was hit. Uncatchable.
    Juice,
    /// `return`.
    Return(Cell),
    /// `halt`.
    Halt(Cell),
    /// `rollback`.
    Rollback(Cell),
    /// `recur`; its arguments wait in the context.
    Recur,
    /// `tailcall*`; its target and arguments wait in the context.
    Tailcall,
    /// `reduced`.
    Reduced(Cell),
    /// Execution can't go on; the block has no result of the ordinary kind.
    Abort(Box<Abort>),
}

/// Why execution was abandoned altogether.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Abort {
    /// The reference ends in a host exception here: the whole block is void (`spec/02 §11`, `spec/04 §5.5`).
    #[error("host fault: {0}")]
    HostFault(String),
    /// Data of the state could not be read. Says nothing about the block.
    #[error(transparent)]
    Data(CellError),
    /// The reference does not survive this; there is no defined result (`spec/04`, "Fatal").
    #[error("fatal: {0}")]
    Fatal(String),
}

impl Exit {
    /// A condition of `spec/02 §11`; `why` is informative.
    #[must_use]
    pub fn host_fault(why: impl Into<String>) -> Self {
        Self::Abort(Box::new(Abort::HostFault(why.into())))
    }

    /// A condition that the reference does not survive.
    #[must_use]
    pub fn fatal(why: impl Into<String>) -> Self {
        Self::Abort(Box::new(Abort::Fatal(why.into())))
    }
}

impl From<CellError> for Exit {
    fn from(error: CellError) -> Self {
        Self::Abort(Box::new(match error {
            CellError::Missing(_) | CellError::Store { .. } => Abort::Data(error),
            CellError::Malformed(_) => Abort::HostFault(error.to_string()),
            CellError::Misaligned => Abort::Fatal(error.to_string()),
        }))
    }
}

/// An error of the virtual machine (`spec/02 §13.1`). Only its code is visible to programs.
#[derive(Debug)]
pub struct ErrorValue {
    /// Any value but nil; a keyword for every error that the machine itself raises.
    pub code: Cell,
    /// Any value.
    pub message: Cell,
    /// Account that executed when it arose; none for errors made at a boundary.
    pub address: Option<u64>,
    /// What the error passed on its way out, innermost first.
    pub trace: Vec<Trace>,
}

/// Bytes of code that a line of a trace shows at most.
const TRACE_LIMIT: usize = 8192;

/// One station of an error on its way out. Kept as what it is about; made into text only for a Result.
#[derive(Debug)]
pub enum Trace {
    /// A core function by its code.
    Core(u16),
    /// An invocation.
    Expression(Op),
    /// An invocation whose function position was no function.
    FunctionOf(Op),
    /// An actor call: target and function.
    Actor(Cell, Symbol),
    /// A form that did not compile.
    Compiling(Cell),
}

impl Trace {
    /// As a part of an error. The reference makes the text now, which shows in the numbers that it prints.
    pub(crate) fn noted(self) -> Self {
        let tells = match &self {
            Self::Core(_) => false,
            Self::Expression(op) | Self::FunctionOf(op) => op.is_first_printed(),
            Self::Actor(cell, _) | Self::Compiling(cell) => two_signs::shows_object(cell),
        };
        if tells {
            let _ = self.text();
        }
        self
    }

    /// The line of text for a Result.
    #[must_use]
    pub fn text(&self) -> String {
        let brief = |cell: &Cell| crate::value::bounded_text(cell, TRACE_LIMIT);
        match self {
            Self::Core(code) => format!(
                "In core function: {}",
                cells::core_name(*code).unwrap_or("?")
            ),
            Self::Expression(op) => format!("In expression: {}", brief(op.cell())),
            Self::FunctionOf(op) => format!(
                "Trying to get function for expression: {}",
                brief(op.cell())
            ),
            Self::Actor(target, name) => format!(
                "Calling Actor {} with function ({name:?} ...)",
                brief(target)
            ),
            Self::Compiling(form) => format!("Compiling:{}", brief(form)),
        }
    }
}

impl ErrorValue {
    /// The trace as a Result shows it.
    #[must_use]
    pub fn trace_cells(&self) -> Vector {
        self.trace
            .iter()
            .map(|t| Cell::from(t.text().as_str()))
            .collect()
    }
}

macro_rules! codes {
    ($($name:ident = $text:literal: $doc:literal;)*) => {
        /// Error codes that the machine raises (`spec/02 §13.2`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $doc] $name,)* }

        impl Code {
            /// Every code, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name without its colon.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

codes! {
    Arity = "ARITY": "Wrong number of arguments.";
    Cast = "CAST": "A value of the wrong type.";
    Argument = "ARGUMENT": "A value of the right type that is not acceptable.";
    Bounds = "BOUNDS": "A position outside a collection.";
    Compile = "COMPILE": "A form that can't be compiled.";
    Syntax = "SYNTAX": "A special form of the wrong shape.";
    Expand = "EXPAND": "A form that can't be expanded.";
    Undeclared = "UNDECLARED": "A symbol that nobody defines.";
    Depth = "DEPTH": "Execution nested too deep.";
    Nobody = "NOBODY": "No such account.";
    State = "STATE": "The state does not permit this.";
    Funds = "FUNDS": "Not enough coins.";
    Trust = "TRUST": "Not allowed to do this.";
    Exception = "EXCEPTION": "A control value reached a boundary.";
    Juice = "JUICE": "Out of juice, or the fee can't be paid.";
    Memory = "MEMORY": "Memory can't be bought.";
    Assert = "ASSERT": "A failed assertion.";
    Child = "CHILD": "A failed part of a multi transaction.";
    Sequence = "SEQUENCE": "A transaction out of sequence.";
    Signature = "SIGNATURE": "A bad signature.";
    Peer = "PEER": "A block that was not executed.";
}

impl Code {
    /// The code as programs see it.
    #[must_use]
    pub fn cell(self) -> Cell {
        static CELLS: OnceLock<Vec<Cell>> = OnceLock::new();
        let cells = CELLS.get_or_init(|| {
            Self::ALL
                .iter()
                .map(|code| Cell::from(Keyword::literal(code.name())))
                .collect()
        });
        cells[self as usize].clone()
    }
}
