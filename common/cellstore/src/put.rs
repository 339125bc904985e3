//! Adding values to the open batch of a writer.

use cells::{Cell, CellError, DecodeError, Hash, branch_hashes, novelty};
use etch::{Error, FileLayer, Flags, Key, Writer};

/// What was added to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Key of the value.
    pub key: Key,
    /// Cells that were new to the caller; the store may have had some of them.
    pub cells: u64,
}

/// Adds what is new of `cell` to the open batch: the cell and all branches below it that are in memory and not
/// `known`, children first (`spec/07 §3.1`). `known` cells, and branches that were never read from their source,
/// must be in the store already.
///
/// # Errors
/// When the writer refuses, or a memory size can't be told because a branch can't be read.
pub fn put<F: FileLayer>(
    writer: &mut Writer<F>,
    cell: &Cell,
    known: impl FnMut(&Hash) -> bool,
) -> Result<Stored, PutError> {
    let key = cell.hash().0;
    let new = novelty(cell, known);
    for cell in &new {
        // The reference computes with a recorded size: exact or not at all (`spec/07 §12`).
        let memory_size = cell.memory_size()?;
        cell.with_encoding(|encoding| {
            let flags = Flags::new(Flags::PERSISTED, encoding.len());
            writer.put_hashed(cell.hash().0, encoding, flags, memory_size)
        })?;
    }
    Ok(Stored {
        key,
        cells: new.len() as u64,
    })
}

/// [`put`] of `cell`, which becomes the root.
///
/// # Errors
/// As [`put`].
pub fn put_root<F: FileLayer>(
    writer: &mut Writer<F>,
    cell: &Cell,
    known: impl FnMut(&Hash) -> bool,
) -> Result<Stored, PutError> {
    let stored = put(writer, cell, known)?;
    writer.set_root(stored.key)?;
    Ok(stored)
}

/// The branches that the encoding of a cell refers to: what the store's collection, check and repair ask for.
///
/// # Errors
/// When the bytes are not one canonical cell.
pub fn branches(encoding: &[u8]) -> Result<Vec<Key>, DecodeError> {
    Ok(branch_hashes(encoding)?
        .into_iter()
        .map(|hash| hash.0)
        .collect())
}

/// Why a value was not added.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] Error),
    /// Part of the value can't be read.
    #[error("value can't be stored: {0}")]
    Value(#[from] CellError),
}
