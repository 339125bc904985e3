//! Where values are read from that are not in memory: cells fetched from others, then the store in force.
//!
//! The store changes under the values: `stored` may be restarted, or move to a new generation. So values hold on to a [`Shelf`], which
//! knows the store of the moment, and not to the store itself.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use cells::{Cell, CellError, Hash, Source};
use cellstore::StoreSource;
use etch::Flags;

/// A store that knows which of its cells are whole.
pub trait Store: Source {
    /// Whether the store has a cell, and all below it. Those of this peer are stored after their children and marked so; a file that comes
    /// from a peer of the reference may have others.
    ///
    /// # Errors
    /// When the store can't tell.
    fn has_whole(&self, hash: &Hash) -> Result<bool, CellError>;
}

impl Store for StoreSource {
    fn has_whole(&self, hash: &Hash) -> Result<bool, CellError> {
        match self.reader().get_record(&hash.0) {
            Ok(record) => Ok(record.is_some_and(|r| r.flags.status() >= Flags::PERSISTED)),
            Err(error) => Err(CellError::Store {
                hash: *hash,
                reason: error.to_string().into(),
            }),
        }
    }
}

fn no_store(hash: &Hash) -> CellError {
    CellError::Store {
        hash: *hash,
        reason: "there is no store yet".into(),
    }
}

/// Cells that were fetched and are not in the store yet, and the store.
pub struct Shelf {
    store: RwLock<Option<Arc<dyn Store>>>,
    fetched: RwLock<Fetched>,
    this: Weak<Self>,
}

#[derive(Default)]
struct Fetched {
    cells: HashMap<Hash, Cell>,
    bytes: usize,
}

impl Shelf {
    /// An empty one.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            store: RwLock::new(None),
            fetched: RwLock::default(),
            this: this.clone(),
        })
    }

    /// What values read through a store on this shelf hold on to.
    #[must_use]
    pub fn as_source(&self) -> Weak<dyn Source> {
        self.this.clone()
    }

    /// The store from now on. Its values are to hold on to [`Shelf::as_source`].
    pub fn set_store(&self, store: Arc<dyn Store>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    /// Keeps a fetched cell, all of which is on the shelf or in the store, until [`Shelf::drop`]. False when it is here already.
    pub fn keep(&self, hash: Hash, cell: Cell) -> bool {
        let length = cell.encoded_len();
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        let new = fetched.cells.insert(hash, cell).is_none();
        if new {
            fetched.bytes += length;
        }
        new
    }

    /// Bytes of fetched cells that are not durable yet.
    #[must_use]
    pub fn fetched_bytes(&self) -> usize {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        fetched.bytes
    }

    fn fetched(&self, hash: &Hash) -> Option<Cell> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        fetched.cells.get(hash).cloned()
    }

    /// Drops fetched cells: the store has them.
    pub fn drop(&self, hashes: &[Hash]) {
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        for hash in hashes {
            if let Some(cell) = fetched.cells.remove(hash) {
                fetched.bytes -= cell.encoded_len();
            }
        }
    }

    /// Whether a cell is here, on the shelf or in the store, with all below it.
    ///
    /// # Errors
    /// When the store can't tell.
    pub fn has(&self, hash: &Hash) -> Result<bool, CellError> {
        if self.fetched(hash).is_some() {
            return Ok(true);
        }
        match self.store() {
            Some(store) => store.has_whole(hash),
            None => Err(no_store(hash)),
        }
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone()
    }

    fn load_stored(&self, hash: &Hash) -> Result<Cell, CellError> {
        match self.store() {
            Some(store) => store.load(hash),
            None => Err(no_store(hash)),
        }
    }
}

impl Source for Shelf {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        match self.fetched(hash) {
            Some(cell) => Ok(cell),
            None => self.load_stored(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Vector;

    #[test]
    fn a_cell_that_the_store_has_without_what_is_below_it_is_not_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peer.etch");
        let child = Cell::from("b".repeat(200).as_str());
        let parent = Cell::from([child.clone()].into_iter().collect::<Vector>());
        let status = |status, cell: &Cell| Flags::new(status, cell.encoded_len());
        let mut writer = etch::Writer::open(&path, etch::Options::default()).unwrap();
        writer.put(&parent.encode(), status(1, &parent), 0).unwrap();
        writer.commit().unwrap();
        writer.close().unwrap();
        let has = || {
            let shelf = Shelf::new();
            let reader = etch::Reader::inspect(&path).unwrap().0;
            shelf.set_store(StoreSource::held_by(reader, 64, shelf.as_source()));
            [&parent, &child].map(|cell| shelf.has(&cell.hash()).unwrap())
        };
        // As a peer of the reference leaves it that was interrupted.
        assert_eq!(has(), [false, false]);
        let mut writer = etch::Writer::open(&path, etch::Options::default()).unwrap();
        for cell in [&child, &parent] {
            let whole = status(Flags::PERSISTED, cell);
            writer.put(&cell.encode(), whole, 0).unwrap();
        }
        writer.commit().unwrap();
        writer.close().unwrap();
        assert_eq!(has(), [true, true]);
    }
}
