//! Blocks that are to be signed.

use cells::{Cell, CellError, Decoder, RecordKind, Signed, decode_partial};

use crate::{MAX_BLOCK_TRANSACTIONS, Refusal};

/// A block of 1 to 1,024 elements, each of which was seen to be a signed transaction. The signatures were not checked: a
/// transaction with a wrong one fails alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRequest {
    value: Cell,
    timestamp: i64,
}

impl BlockRequest {
    /// Takes the bytes of a request apart.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let (value, _) = decode_partial(bytes, &Decoder::new())?;
        let Cell::Record(record) = &value else {
            return Err(Refusal::BlockFields);
        };
        let fields = match record.kind() {
            Some(RecordKind::Block) => (record.field(0), record.field(1)),
            _ => return Err(Refusal::BlockFields),
        };
        let (Ok(Some(Cell::Long(timestamp))), transactions) = fields else {
            return Err(Refusal::BlockFields);
        };
        let Some(Cell::Vector(transactions)) = transactions.map_err(|e| unreadable(&e))? else {
            return Err(Refusal::BlockFields);
        };
        if !(1..=MAX_BLOCK_TRANSACTIONS).contains(&transactions.count()) {
            return Err(Refusal::BlockSize);
        }
        for element in transactions.iter() {
            match element.map_err(|e| unreadable(&e))? {
                Cell::Signed(signed) => require_transaction(&signed)?,
                _ => return Err(Refusal::BlockElement),
            }
        }
        Ok(Self { value, timestamp })
    }

    /// The block.
    #[must_use]
    pub fn value(&self) -> &Cell {
        &self.value
    }

    /// Its time in milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }
}

fn require_transaction(signed: &Signed) -> Result<(), Refusal> {
    let value = signed.value_ref().load().map_err(|e| unreadable(&e))?;
    match &*value {
        Cell::Record(r) if r.kind().is_some_and(RecordKind::is_transaction) => Ok(()),
        _ => Err(Refusal::BlockElement),
    }
}

fn unreadable(error: &CellError) -> Refusal {
    match error {
        CellError::Missing(_) => Refusal::Incomplete,
        CellError::Store { .. } | CellError::Malformed(_) | CellError::Misaligned => {
            Refusal::BlockFields
        }
    }
}
