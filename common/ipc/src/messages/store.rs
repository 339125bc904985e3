//! Between `consensusd` and `stored`.
//!
//! A batch is any number of [`ToStore::Cells`] and a [`ToStore::Commit`]. `consensusd` keeps each batch until it is durable, and sends
//! what is not again, under the same numbers, after `stored` or it was restarted. Batches become durable in their order.

use serde::{Deserialize, Serialize};

use super::Bytes;
use crate::Bounded;

/// Largest [`ToStore::Cells::cells`] in bytes.
pub const MAX_CELLS: usize = 2 << 20;
/// Batches that may be sent beyond the last durable one.
pub const WINDOW: usize = 16;
/// Room for what is beside the cells.
const HEAD: usize = 256;

/// From `consensusd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToStore {
    /// Cells of the next batch, children first: of each its memory size (8 bytes), the length of its encoding (4 bytes), both little endian,
    /// and the encoding. `stored` computes the hashes itself. The memory size is what the reference records with a cell; nobody here trusts it.
    Cells {
        /// The cells.
        cells: Bytes,
    },
    /// The batch is complete.
    Commit {
        /// Its number: one more than that of the batch before; the first of a run is 1.
        sequence: u64,
        /// The root from this batch on, if it changes.
        root: Option<[u8; 32]>,
    },
}

impl Bounded for ToStore {
    const MAX: usize = MAX_CELLS + HEAD;
}

/// From `stored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromStore {
    /// All batches up to this one are durable, and readable in the map.
    Durable {
        /// Its number.
        sequence: u64,
    },
    /// This batch, and those behind it, were not taken. They are sent again when `retry` says so; nothing acknowledged is lost.
    Refused {
        /// Its number.
        sequence: u64,
        /// Why, and what helps: for people. At most 1,000 bytes.
        text: String,
        /// True when it may work later on (a full disk): send it again after a while.
        retry: bool,
    },
}

impl Bounded for FromStore {
    const MAX: usize = 4096;
}
