//! Transactions (`spec/04 §3.1`).

use cells::{Cell, CellError, Record, RecordKind};

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Runs an op, or a form.
    Invoke {
        /// The op or form.
        command: Cell,
    },
    /// Moves coins.
    Transfer {
        /// Should be an address; anything decodes.
        target: Cell,
        /// Coppers.
        amount: i64,
    },
    /// Calls a function of an actor.
    Call {
        /// Address, or vector of address and scope.
        target: Cell,
        /// Coppers.
        offer: i64,
        /// Should be a symbol.
        function: Cell,
        /// Should be a vector.
        args: Cell,
    },
    /// Runs several transactions.
    Multi {
        /// When to go on.
        mode: Mode,
        /// Should be a vector of transactions.
        transactions: Cell,
    },
}

/// When a Multi goes on after a child (`spec/04 §3.6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Always.
    Any,
    /// While children succeed; an error undoes all.
    All,
    /// Until the first success.
    First,
    /// Until the first failure.
    Until,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The account that it acts for.
    pub origin: u64,
    /// Must be the account's plus one.
    pub sequence: i64,
    /// What it does.
    pub kind: Kind,
}

const MALFORMED: CellError = CellError::Malformed("no transaction record");

impl Transaction {
    /// The transaction in a cell; `None` when the cell is none.
    ///
    /// # Errors
    /// When a field can't be read.
    pub fn from_cell(cell: &Cell) -> Result<Option<Self>, CellError> {
        let Cell::Record(record) = cell else {
            return Ok(None);
        };
        let Some(kind) = record.kind().filter(|kind| kind.is_transaction()) else {
            return Ok(None);
        };
        // A transaction has few fields: they lie side by side.
        let fields = record.fields().as_leaf().ok_or(MALFORMED)?;
        let field = |i: usize| fields.get(i).ok_or(MALFORMED)?.get();
        let long = |i: usize| match &*fields.get(i).ok_or(MALFORMED)?.load()? {
            Cell::Long(n) => Ok(*n),
            _ => Err(MALFORMED),
        };
        let kind = match kind {
            RecordKind::Invoke => Kind::Invoke { command: field(2)? },
            RecordKind::Transfer => Kind::Transfer {
                target: field(2)?,
                amount: long(3)?,
            },
            RecordKind::Call => Kind::Call {
                target: field(2)?,
                offer: long(3)?,
                function: field(4)?,
                args: field(5)?,
            },
            RecordKind::Multi => {
                let mode = match long(2)? {
                    0 => Mode::Any,
                    1 => Mode::All,
                    2 => Mode::First,
                    3 => Mode::Until,
                    _ => return Err(MALFORMED),
                };
                Kind::Multi {
                    mode,
                    transactions: field(3)?,
                }
            }
            _ => return Ok(None),
        };
        let Cell::Address(origin) = *fields.first().ok_or(MALFORMED)?.load()? else {
            return Err(MALFORMED);
        };
        Ok(Some(Self {
            origin,
            sequence: long(1)?,
            kind,
        }))
    }

    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let (kind, fields) = match &self.kind {
            Kind::Invoke { command } => (RecordKind::Invoke, vec![command.clone()]),
            Kind::Transfer { target, amount } => (
                RecordKind::Transfer,
                vec![target.clone(), Cell::Long(*amount)],
            ),
            Kind::Call {
                target,
                offer,
                function,
                args,
            } => (
                RecordKind::Call,
                vec![
                    target.clone(),
                    Cell::Long(*offer),
                    function.clone(),
                    args.clone(),
                ],
            ),
            Kind::Multi { mode, transactions } => (
                RecordKind::Multi,
                vec![Cell::Long(*mode as i64), transactions.clone()],
            ),
        };
        let head = [Cell::Address(self.origin), Cell::Long(self.sequence)];
        Cell::from(Record::of_kind(kind, head.into_iter().chain(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_read_as_it_was_written() {
        let invoke = Kind::Invoke {
            command: Cell::Long(1),
        };
        let kinds = [
            invoke.clone(),
            Kind::Transfer {
                target: Cell::Address(12),
                amount: 5,
            },
            Kind::Call {
                target: Cell::Address(9),
                offer: 7,
                function: Cell::Symbol(cells::Symbol::literal("f")),
                args: Cell::from(cells::Vector::empty()),
            },
            Kind::Multi {
                mode: Mode::Until,
                transactions: Cell::from(cells::Vector::empty()),
            },
        ];
        for kind in kinds {
            let transaction = Transaction {
                origin: 11,
                sequence: 3,
                kind,
            };
            let read = Transaction::from_cell(&transaction.to_cell()).unwrap();
            assert_eq!(read, Some(transaction));
        }
    }
}
