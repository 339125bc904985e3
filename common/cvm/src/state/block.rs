//! Blocks (`spec/04 §2.6`).

use cells::{Cell, CellError, RecordKind, Vector};

/// Most transactions of a valid block (`spec/04 §1.2`).
pub const MAX_TRANSACTIONS: u64 = 1024;

/// What a peer proposes to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Signed transactions; nothing is known about the elements.
    pub transactions: Vector,
}

impl Block {
    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let fields = [
            Cell::Long(self.timestamp),
            Cell::from(self.transactions.clone()),
        ];
        Cell::from(cells::Record::of_kind(RecordKind::Block, fields))
    }

    /// From its record.
    ///
    /// # Errors
    /// When a field can't be read, or the cell is no block with a vector of transactions.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        const MALFORMED: CellError = CellError::Malformed("no block with a vector of transactions");
        let [timestamp, transactions] = super::record_fields(cell, RecordKind::Block, MALFORMED)?;
        match (timestamp, transactions) {
            (Cell::Long(timestamp), Cell::Vector(transactions)) => Ok(Self {
                timestamp,
                transactions,
            }),
            _ => Err(MALFORMED),
        }
    }
}
