//! Beliefs: the orders of all peers that one peer knows (`spec/05 §2.3`).

use cells::{Blob, Cell, CellError, Hash, Index, Record, RecordKind, Signed};
use crypto::AccountKey;

use crate::{Order, OrderFault};

/// Orders by the key of the peer that signed them. Unsigned itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belief {
    orders: Index,
}

/// Why a cell is no belief.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeliefFault {
    /// No record with an index of orders.
    #[error("not a belief")]
    NotABelief,
    /// Keys that do not ascend: the index is malformed, and what it claims to hold may have no end.
    #[error("a belief whose keys do not ascend")]
    Unordered,
    /// A part can't be read or has a wrong shape.
    #[error("a belief that can't be read: {0}")]
    Data(#[from] CellError),
}

/// An entry of a belief, of which nothing is known but its place.
#[derive(Debug, Clone)]
pub struct BeliefEntry {
    /// The key of the index; `None` when it is not 32 bytes long.
    pub key: Option<AccountKey>,
    /// What is there instead of a signed order, perhaps.
    pub value: Cell,
}

impl Belief {
    /// Without orders.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Index::empty())
    }

    /// Of orders by key.
    #[must_use]
    pub fn new(orders: Index) -> Self {
        Self { orders }
    }

    /// From its record. The orders are not looked at.
    ///
    /// # Errors
    /// When the cell is no belief, or its index can't be read.
    pub fn from_cell(cell: &Cell) -> Result<Self, BeliefFault> {
        match cell {
            Cell::Record(record) if record.kind() == Some(RecordKind::Belief) => {
                match record.field(0)? {
                    Some(Cell::Index(orders)) => Ok(Self::new(orders)),
                    _ => Err(BeliefFault::NotABelief),
                }
            }
            _ => Err(BeliefFault::NotABelief),
        }
    }

    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        Cell::from(Record::of_kind(
            RecordKind::Belief,
            [Cell::from(self.orders.clone())],
        ))
    }

    /// The orders by key.
    #[must_use]
    pub fn orders(&self) -> &Index {
        &self.orders
    }

    /// The signed order of a peer; `None` also when something else stands there.
    ///
    /// # Errors
    /// When a node or the value can't be read.
    pub fn signed_order(&self, key: &AccountKey) -> Result<Option<Signed>, CellError> {
        Ok(match self.orders.get(&key_cell(key))? {
            Some(Cell::Signed(signed)) => Some(signed),
            _ => None,
        })
    }

    /// The order of a peer.
    ///
    /// # Errors
    /// When something stands there that is no order, or it can't be read.
    pub fn order(&self, key: &AccountKey) -> Result<Option<Order>, OrderFault> {
        self.orders
            .get(&key_cell(key))?
            .map(|value| match value {
                Cell::Signed(signed) => Order::from_cell(&*signed.value_ref().load()?),
                _ => Err(OrderFault::NotAnOrder),
            })
            .transpose()
    }

    /// With the order of a peer added or replaced.
    ///
    /// # Errors
    /// When a node can't be read.
    pub fn with_order(self, key: &AccountKey, order: Signed) -> Result<Self, CellError> {
        let orders = insert(self.orders, key, order)?;
        Ok(Self { orders })
    }

    /// The cells of an announcement (`spec/05 §10`): those in memory that were not announced before, children first, the belief itself last and
    /// always. `cells::encode_delta` makes the message of them. Also what is to be stored, asked with what is stored already.
    #[must_use]
    pub fn announcement(&self, announced: impl FnMut(&Hash) -> bool) -> Vec<Cell> {
        let belief = self.to_cell();
        let mut cells = cells::novelty(&belief, announced);
        if cells.last() != Some(&belief) {
            cells.push(belief);
        }
        cells
    }

    /// The entries by ascending key.
    ///
    /// A canonical index has ascending keys, so the first that does not ascend ends the iteration with an error: whatever a
    /// malformed index claims, it costs no more than the entries that were really sent.
    pub fn entries(&self) -> impl Iterator<Item = Result<BeliefEntry, BeliefFault>> + use<> {
        let mut last: Option<Option<AccountKey>> = None;
        let mut failed = false;
        self.orders.iter().map_while(move |entry| {
            if failed {
                return None;
            }
            let entry = entry.map_err(BeliefFault::Data).and_then(|(key, value)| {
                let key = key_of(&key);
                // Keys that are not keys of peers can't be ordered; more than one in a row is as suspect.
                if last.is_some_and(|last| last >= key) {
                    return Err(BeliefFault::Unordered);
                }
                last = Some(key);
                Ok(BeliefEntry { key, value })
            });
            failed = entry.is_err();
            Some(entry)
        })
    }
}

/// The key of an index entry.
pub(crate) fn key_cell(key: &AccountKey) -> Cell {
    Cell::from(Blob::new(key.as_bytes()))
}

/// The peer that an index key names.
pub(crate) fn key_of(cell: &Cell) -> Option<AccountKey> {
    match cell {
        Cell::Blob(blob) => blob.as_flat()?.try_into().ok().map(AccountKey::new),
        _ => None,
    }
}

pub(crate) fn insert(orders: Index, key: &AccountKey, order: Signed) -> Result<Index, CellError> {
    orders
        .assoc(key_cell(key), Cell::from(order))?
        .ok_or(CellError::Malformed("a blob is no index key"))
}
