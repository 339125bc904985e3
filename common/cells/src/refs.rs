//! Child positions: a value in memory, or a branch that is read when it is needed.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::{Cell, CellError, Hash, deep};

/// Where branches are read from: a store, or the cells of a message.
///
/// An answer must have the asked hash; implementations verify it. `Missing` means proven absent, `Store`
/// means that nothing is known. Sources cache as they see fit and so bound the memory of large states.
pub trait Source: Send + Sync {
    /// The value with this hash.
    ///
    /// # Errors
    /// [`CellError::Missing`] when it is proven absent, [`CellError::Store`] on any failure.
    fn load(&self, hash: &Hash) -> Result<Cell, CellError>;
}

/// A branch that may not be in memory.
pub(crate) struct Lazy {
    hash: Hash,
    source: Option<Arc<dyn Source>>,
    /// Filled for branches that came with the same message; a store keeps its own, bounded cache.
    value: OnceLock<Cell>,
}

impl Lazy {
    pub(crate) fn new(hash: Hash, source: Option<Arc<dyn Source>>) -> Self {
        Self {
            hash,
            source,
            value: OnceLock::new(),
        }
    }

    pub(crate) fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Attaches the value. Its hash has been compared by the caller.
    pub(crate) fn resolve(&self, value: Cell) {
        // A second value with the same hash is the same value.
        let _ = self.value.set(value);
    }

    pub(crate) fn resolved(&self) -> Option<&Cell> {
        self.value.get()
    }

    fn load(&self) -> Result<Loaded<'_>, CellError> {
        match (self.value.get(), &self.source) {
            (Some(cell), _) => Ok(Loaded::Borrowed(cell)),
            (None, Some(source)) => source.load(&self.hash).map(Loaded::Owned),
            (None, None) => Err(CellError::Missing(self.hash)),
        }
    }
}

#[derive(Clone)]
pub(crate) enum Slot {
    Direct(Cell),
    Lazy(Arc<Lazy>),
}

/// A child position of a cell.
///
/// Equality, encoding and hash are those of the child; whether the child is in memory never shows.
#[derive(Clone)]
pub struct Ref(pub(crate) Slot);

/// A child that was loaded: borrowed when it was in memory already.
pub enum Loaded<'a> {
    /// In memory.
    Borrowed(&'a Cell),
    /// Read from the source.
    Owned(Cell),
}

impl std::ops::Deref for Loaded<'_> {
    type Target = Cell;

    fn deref(&self) -> &Cell {
        match self {
            Self::Borrowed(cell) => cell,
            Self::Owned(cell) => cell,
        }
    }
}

impl Loaded<'_> {
    /// The child itself.
    #[must_use]
    pub fn into_cell(self) -> Cell {
        match self {
            Self::Borrowed(cell) => cell.clone(),
            Self::Owned(cell) => cell,
        }
    }
}

impl Ref {
    /// The ref to `nil`.
    pub const NIL: Self = Self(Slot::Direct(Cell::Nil));

    /// Fills a position that holds `nil`, which needs no freeing.
    #[inline(always)]
    pub(crate) fn fill(&mut self, cell: Cell) {
        debug_assert!(self.is_nil());
        std::mem::forget(std::mem::replace(&mut self.0, Slot::Direct(cell)));
    }

    /// A ref to a value in memory.
    #[must_use]
    pub fn new(cell: Cell) -> Self {
        Self(Slot::Direct(cell))
    }

    /// A branch that `source` will be asked for; without a source it is known to be missing.
    #[must_use]
    pub fn branch(hash: Hash, source: Option<Arc<dyn Source>>) -> Self {
        Self(Slot::Lazy(Arc::new(Lazy::new(hash, source))))
    }

    /// The child, without copying where it is in memory.
    ///
    /// # Errors
    /// When the branch is missing or its source fails.
    pub fn load(&self) -> Result<Loaded<'_>, CellError> {
        match &self.0 {
            Slot::Direct(cell) => Ok(Loaded::Borrowed(cell)),
            Slot::Lazy(lazy) => lazy.load(),
        }
    }

    /// The child as a value of its own.
    ///
    /// # Errors
    /// As [`Ref::load`].
    pub fn get(&self) -> Result<Cell, CellError> {
        self.load().map(Loaded::into_cell)
    }

    /// The child when it is in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&Cell> {
        match &self.0 {
            Slot::Direct(cell) => Some(cell),
            Slot::Lazy(lazy) => lazy.resolved(),
        }
    }

    /// Takes the child out for an update in place, leaving `nil` behind.
    pub(crate) fn take(&mut self) -> Result<Cell, CellError> {
        match std::mem::replace(&mut self.0, Slot::Direct(Cell::Nil)) {
            Slot::Direct(cell) => Ok(cell),
            Slot::Lazy(lazy) => {
                let child = lazy.load().map(Loaded::into_cell);
                if child.is_err() {
                    // The parent stays as it was when its child can't be had.
                    self.0 = Slot::Lazy(lazy);
                }
                child
            }
        }
    }

    /// Hash of the child; no branch is read for it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        match &self.0 {
            Slot::Direct(cell) => cell.hash(),
            Slot::Lazy(lazy) => *lazy.hash(),
        }
    }

    /// The hash of a child that was decoded as a branch. Only such children can be shared between parents beyond what
    /// the bytes of a message suggest.
    pub(crate) fn lazy_hash(&self) -> Option<Hash> {
        match &self.0 {
            Slot::Direct(_) => None,
            Slot::Lazy(lazy) => Some(*lazy.hash()),
        }
    }

    /// True when the child is written as a hash (`spec/01 §5`).
    #[must_use]
    pub fn is_branch(&self) -> bool {
        match &self.0 {
            Slot::Direct(cell) => !cell.is_embedded(),
            Slot::Lazy(_) => true,
        }
    }

    /// True when the child is `nil`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self.0, Slot::Direct(Cell::Nil))
    }
}

impl Drop for Ref {
    fn drop(&mut self) {
        let heap = match &self.0 {
            Slot::Direct(cell) => cell.has_children(),
            Slot::Lazy(_) => true,
        };
        if heap {
            deep::release(std::mem::replace(&mut self.0, Slot::Direct(Cell::Nil)));
        }
    }
}

impl From<Cell> for Ref {
    fn from(cell: Cell) -> Self {
        Self::new(cell)
    }
}

impl PartialEq for Ref {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Slot::Direct(a), Slot::Direct(b)) => a == b,
            (Slot::Lazy(a), Slot::Lazy(b)) => a.hash() == b.hash(),
            _ => self.hash() == other.hash(),
        }
    }
}

impl Eq for Ref {}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Slot::Direct(cell) => cell.fmt(f),
            Slot::Lazy(lazy) => write!(f, "<{}>", lazy.hash()),
        }
    }
}
