//! Ops, prepared for execution.
//!
//! An op cell is taken apart once into a tree of [`Op`]s; the compiler makes such trees directly, and their cells
//! only when somebody looks at them. What an op cell may contain is checked when it is executed, not when it is
//! decoded (`spec/02 §6`, `§11`), so a tree can hold parts that fault.

use std::sync::{Arc, OnceLock};

use cells::{Cell, CellError, Map, Ref, Symbol, Vector};

use crate::two_signs::Found;

/// An op: shared, immutable.
#[derive(Debug, Clone)]
pub struct Op(Arc<Node>);

#[derive(Debug)]
struct Node {
    kind: Kind,
    cell: OnceLock<Cell>,
    found: Found,
}

/// What an op does.
#[derive(Debug)]
pub(crate) enum Kind {
    Constant(Cell),
    Local(u64),
    Special(u8),
    SetLocal {
        position: i64,
        value: Op,
    },
    Lookup {
        address: Option<Op>,
        symbol: Symbol,
    },
    /// A look-up in an account known in advance.
    LookupAt {
        address: u64,
        symbol: Symbol,
    },
    /// A look-up of something that is no symbol.
    LookupOdd {
        address: Option<Op>,
        symbol: Cell,
    },
    /// `target` is `None` for a key that faults.
    Def {
        key: Cell,
        target: Option<DefTarget>,
        value: Option<Op>,
    },
    Do(Ops),
    Cond(Ops),
    Invoke(Ops),
    Query(Ops),
    Try(Ops),
    Let(Box<Let>),
    Lambda(Cell),
    /// An op that has not been taken apart yet.
    Deferred(Ref),
    /// Executing this is a host fault.
    Fault(&'static str),
    /// A `let` or `loop` that faults once it is paid for.
    LetFault(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct DefTarget {
    /// A symbol, or nil, which can be defined like one.
    pub(crate) key: Cell,
    pub(crate) meta: Option<Map>,
}

/// `let` or `loop`.
#[derive(Debug)]
pub(crate) struct Let {
    pub(crate) looped: bool,
    pub(crate) forms: Vector,
    /// The forms, taken apart; empty when there are too many to keep.
    pub(crate) patterns: Box<[Pattern]>,
    pub(crate) ops: Ops,
}

impl Let {
    pub(crate) fn pattern(&self, i: u64) -> Result<Pattern, CellError> {
        match self.patterns.get(i as usize) {
            Some(pattern) => Ok(pattern.clone()),
            None => Ok(Pattern::of(self.forms.get(i)?.unwrap_or(Cell::Nil))),
        }
    }
}

/// A binding form.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// A symbol.
    Name,
    /// The symbol `_`.
    Ignore,
    /// Anything else.
    Other(Cell),
}

impl Pattern {
    pub(crate) fn of(form: Cell) -> Self {
        match &form {
            Cell::Symbol(s) if s.name() == b"_" => Self::Ignore,
            Cell::Symbol(_) => Self::Name,
            _ => Self::Other(form),
        }
    }
}

/// The children of an op.
#[derive(Debug)]
pub(crate) enum Ops {
    /// Taken apart.
    Ready(Box<[Op]>),
    /// Too many to keep; each is taken apart when it is executed.
    Many(Vector, Casting),
}

/// What a child that is no op means (`spec/02 §6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Casting {
    /// A constant of itself.
    Constant,
    /// A host fault when executed.
    Fault,
}

impl Ops {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Ready(ops) => ops.len() as u64,
            Self::Many(ops, _) => ops.count(),
        }
    }

    /// As [`Op::moved`].
    fn moved(&self, from: u64, to: u64) -> Option<Self> {
        let Self::Ready(ops) = self else {
            return None;
        };
        let moved: Vec<Option<Op>> = ops.iter().map(|op| op.moved(from, to)).collect();
        if moved.iter().all(Option::is_none) {
            return None;
        }
        let all = ops.iter().zip(moved);
        let all = all.map(|(old, new)| new.unwrap_or_else(|| old.clone()));
        Some(Self::Ready(all.collect()))
    }
}

impl Op {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Arc::new(Node {
            kind,
            cell: OnceLock::new(),
            found: Found::default(),
        }))
    }

    pub(crate) fn with_cell(kind: Kind, cell: Cell) -> Self {
        Self(Arc::new(Node {
            kind,
            cell: OnceLock::from(cell),
            found: Found::default(),
        }))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// What was found out about numbers with two signs in it.
    pub(crate) fn found(&self) -> &Found {
        &self.0.found
    }

    /// The op as a value.
    #[must_use]
    pub fn cell(&self) -> &Cell {
        self.0
            .cell
            .get_or_init(|| crate::op_encode::encode(&self.0.kind))
    }

    /// The op with look-ups in the account `to` in place of those in `from`. Constants, functions among them, stay.
    /// For ops that the compiler made: their depth is bounded.
    pub(crate) fn relocated(&self, from: u64, to: u64) -> Self {
        self.moved(from, to).unwrap_or_else(|| self.clone())
    }

    /// As [`Op::relocated`]; `None` where there is no such look-up.
    fn moved(&self, from: u64, to: u64) -> Option<Self> {
        let one = |op: &Self| op.moved(from, to);
        let kind = match &self.0.kind {
            Kind::LookupAt { address, symbol } if *address == from => Kind::LookupAt {
                address: to,
                symbol: symbol.clone(),
            },
            Kind::Lookup {
                address: Some(address),
                symbol,
            } => Kind::Lookup {
                address: Some(one(address)?),
                symbol: symbol.clone(),
            },
            Kind::Def {
                key,
                target,
                value: Some(value),
            } => Kind::Def {
                key: key.clone(),
                target: target.clone(),
                value: Some(one(value)?),
            },
            Kind::SetLocal { position, value } => Kind::SetLocal {
                position: *position,
                value: one(value)?,
            },
            Kind::Do(ops) => Kind::Do(ops.moved(from, to)?),
            Kind::Cond(ops) => Kind::Cond(ops.moved(from, to)?),
            Kind::Invoke(ops) => Kind::Invoke(ops.moved(from, to)?),
            Kind::Query(ops) => Kind::Query(ops.moved(from, to)?),
            Kind::Try(ops) => Kind::Try(ops.moved(from, to)?),
            Kind::Let(parts) => Kind::Let(Box::new(Let {
                looped: parts.looped,
                forms: parts.forms.clone(),
                patterns: parts.patterns.clone(),
                ops: parts.ops.moved(from, to)?,
            })),
            _ => return None,
        };
        Some(Self::new(kind))
    }

    /// The value, if the op is a constant.
    #[must_use]
    pub(crate) fn constant(&self) -> Option<&Cell> {
        match &self.0.kind {
            Kind::Constant(value) => Some(value),
            _ => None,
        }
    }
}

/// True when a cell is an op.
#[must_use]
pub fn is_op(cell: &Cell) -> bool {
    match cell {
        Cell::Special(_) | Cell::Local(_) => true,
        Cell::Coded(c) => c.op().is_some(),
        Cell::Record(r) => r.kind().is_some_and(cells::RecordKind::is_op),
        _ => false,
    }
}
