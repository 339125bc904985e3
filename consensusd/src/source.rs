//! Where values are read from that are not in memory: cells fetched from others, then the store in force.
//!
//! The store changes under the values: `stored` may be restarted, or move to a new generation. So values hold on to a [`Shelf`], which
//! knows the store of the moment, and not to the store itself.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use cells::{Cell, CellError, Hash, Source};

/// Cells that were fetched and are not in the store yet, and the store.
pub struct Shelf {
    store: RwLock<Option<Arc<dyn Source>>>,
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
    pub fn set_store(&self, store: Arc<dyn Source>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    /// Keeps a fetched cell until [`Shelf::forget`].
    pub fn keep(&self, hash: Hash, cell: Cell) {
        let length = cell.encoded_len();
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        if fetched.cells.insert(hash, cell).is_none() {
            fetched.bytes += length;
        }
    }

    /// Bytes of fetched cells.
    #[must_use]
    pub fn fetched_bytes(&self) -> usize {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        fetched.bytes
    }

    /// A fetched cell.
    #[must_use]
    pub fn fetched(&self, hash: &Hash) -> Option<Cell> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        fetched.cells.get(hash).cloned()
    }

    /// Forgets fetched cells, but those that are still `wanted`: the others that are in use are in the store by now.
    pub fn forget(&self, wanted: impl Fn(&Hash) -> bool) {
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        let fetched = &mut *fetched;
        fetched.cells.retain(|hash, cell| {
            let kept = wanted(hash);
            if !kept {
                fetched.bytes -= cell.encoded_len();
            }
            kept
        });
        if fetched.cells.is_empty() {
            // An empty map keeps its memory.
            *fetched = Fetched::default();
        }
    }

    /// Whether the store has a cell; then it has all below it, since cells are stored after their children.
    ///
    /// # Errors
    /// When the store can't tell.
    pub fn has_stored(&self, hash: &Hash) -> Result<bool, CellError> {
        match self.load_stored(hash) {
            Ok(_) => Ok(true),
            Err(CellError::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn load_stored(&self, hash: &Hash) -> Result<Cell, CellError> {
        let store = {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            store.clone()
        };
        match store {
            Some(store) => store.load(hash),
            None => Err(CellError::Store {
                hash: *hash,
                reason: "there is no store yet".into(),
            }),
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
