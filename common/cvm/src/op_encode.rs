//! From prepared ops to op cells (`spec/02 §6`).

use cells::{Cell, Coded, Record, RecordKind, Vector, tag};

use crate::op::{Kind, Op, Ops};

/// The cell of an op that the compiler made.
pub(crate) fn encode(kind: &Kind) -> Cell {
    match kind {
        Kind::Constant(value) => coded(tag::CODED, Cell::Bool(false), value.clone()),
        Kind::Local(position) => Cell::Local(*position),
        Kind::Special(code) => Cell::Special(*code),
        Kind::SetLocal { position, value } => {
            coded(tag::CODED, Cell::Long(*position), value.cell().clone())
        }
        Kind::Lookup { address, symbol } => {
            let address = address.as_ref().map_or(Cell::Nil, |op| op.cell().clone());
            coded(tag::LOOKUP, address, Cell::from(symbol.clone()))
        }
        Kind::LookupAt { address, symbol } => {
            let address = coded(tag::CODED, Cell::Bool(false), Cell::Address(*address));
            coded(tag::LOOKUP, address, Cell::from(symbol.clone()))
        }
        Kind::Def { key, value, .. } => coded(
            tag::DEF,
            key.clone(),
            value.as_ref().map_or(Cell::Nil, |op| op.cell().clone()),
        ),
        Kind::Do(ops) => record(RecordKind::Do, ops),
        Kind::Cond(ops) => record(RecordKind::Cond, ops),
        Kind::Invoke(ops) => record(RecordKind::Apply, ops),
        Kind::Query(ops) => coded(
            tag::CODED,
            Cell::flag(tag::CODE_QUERY & 0x0f),
            Cell::from(vector(ops)),
        ),
        Kind::Try(ops) => coded(
            tag::CODED,
            Cell::flag(tag::CODE_TRY & 0x0f),
            Cell::from(vector(ops)),
        ),
        Kind::Let(parts) => {
            let tag = if parts.looped { tag::LOOP } else { tag::LET };
            coded(
                tag,
                Cell::from(parts.forms.clone()),
                Cell::from(vector(&parts.ops)),
            )
        }
        Kind::Lambda(function) => coded(
            tag::CODED,
            Cell::flag(tag::CODE_LAMBDA & 0x0f),
            function.clone(),
        ),
        // These come from cells only, and carry theirs.
        Kind::Deferred(_) | Kind::LookupOdd { .. } | Kind::Fault(_) | Kind::LetFault(_) => {
            Cell::Nil
        }
    }
}

fn coded(tag: u8, code: Cell, value: Cell) -> Cell {
    Cell::from(Coded::new(tag, code, value))
}

fn record(kind: RecordKind, ops: &Ops) -> Cell {
    let ops = vector(ops);
    match Record::new(kind.tag(), ops) {
        Ok(record) => Cell::from(record),
        // Only fields whose type matters are read, and those of these ops have none.
        Err(_) => Cell::Nil,
    }
}

fn vector(ops: &Ops) -> Vector {
    match ops {
        Ops::Ready(ops) => ops.iter().map(Op::cell).cloned().collect(),
        Ops::Many(ops, _) => ops.clone(),
    }
}
