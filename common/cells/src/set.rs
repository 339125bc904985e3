//! Sets (`spec/01 §9`).

use crate::node::Node;
use crate::trie::{Entry, Trie};
use crate::{Cell, CellError, Hash, Ref, tag};

/// A set of any values, in the order of their hashes.
#[derive(Clone)]
pub struct Set(pub(crate) Trie<SetEntry>);

/// An element with its hash.
#[derive(Clone)]
pub(crate) struct SetEntry {
    pub(crate) hash: Hash,
    pub(crate) value: Ref,
}

impl SetEntry {
    pub(crate) fn new(value: Ref) -> Self {
        Self {
            hash: value.hash(),
            value,
        }
    }
}

impl Entry for SetEntry {
    const TAG: u8 = tag::SET;
    const REFS: usize = 1;
    const BLANK: Self = Self {
        hash: Hash([0; 32]),
        value: Ref::NIL,
    };
    const DISORDER: &'static str = "set elements out of order";

    fn hash(&self) -> &Hash {
        &self.hash
    }

    fn places(&mut self) -> (&mut Hash, &mut Ref, Option<&mut Ref>) {
        (&mut self.hash, &mut self.value, None)
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        (i == 0).then_some(&self.value)
    }

    fn update(&mut self, _: Self) {}

    fn wrap(trie: Trie<Self>) -> Cell {
        Cell::Set(Set(trie))
    }

    fn unwrap(cell: &Cell) -> Option<&Trie<Self>> {
        match cell {
            Cell::Set(set) => Some(&set.0),
            _ => None,
        }
    }

    fn unwrap_owned(cell: Cell) -> Result<Trie<Self>, Cell> {
        match cell {
            Cell::Set(set) => Ok(set.0),
            other => Err(other),
        }
    }
}

impl Set {
    /// The set without elements.
    #[must_use]
    pub fn empty() -> Self {
        Self(Trie::empty())
    }

    /// Number of elements.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// True without an element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// True when `value` is an element.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn contains(&self, value: &Cell) -> Result<bool, CellError> {
        self.contains_hash(&value.hash())
    }

    /// True when the value with this hash is an element.
    ///
    /// # Errors
    /// As [`Set::contains`].
    pub fn contains_hash(&self, hash: &Hash) -> Result<bool, CellError> {
        Ok(self.0.find(hash, |_| ())?.is_some())
    }

    /// The element with this hash.
    ///
    /// # Errors
    /// When a node or the element can't be read, or the tree is malformed.
    pub fn get_by_hash(&self, hash: &Hash) -> Result<Option<Cell>, CellError> {
        self.0.find(hash, |e| e.value.get())?.transpose()
    }

    /// With `value`.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn include(self, value: Cell) -> Result<Self, CellError> {
        let entry = SetEntry::new(Ref::new(value));
        // Not membership: in a tree of another than the canonical shape (`spec/01 §9.6`) the way of an insertion can
        // miss an element that a look-up finds, and the element is then there twice.
        if self.0.insertion_meets(&entry.hash)? {
            return Ok(self);
        }
        self.0.insert(entry).map(Self)
    }

    /// Without `value`.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn exclude(self, value: &Cell) -> Result<Self, CellError> {
        self.0.remove(&value.hash()).map(Self)
    }

    /// Element `i` in hash order; `None` past the end.
    ///
    /// # Errors
    /// When a node or the element can't be read, or the tree is malformed.
    pub fn element_at(&self, i: u64) -> Result<Option<Cell>, CellError> {
        self.0.entry_at(i)?.map(|e| e.value.get()).transpose()
    }

    /// The elements in hash order. Ends after the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<Cell, CellError>> + use<> {
        self.0.entries().map(|e| e?.value.get())
    }

    pub(crate) fn node(&self) -> &dyn Node {
        self.0.node()
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl FromIterator<Cell> for Set {
    fn from_iter<I: IntoIterator<Item = Cell>>(values: I) -> Self {
        Self(Trie::from_entries(
            values.into_iter().map(|v| SetEntry::new(Ref::new(v))),
        ))
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        Cell::from(self.clone()) == Cell::from(other.clone())
    }
}

impl Eq for Set {}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&Cell::from(self.clone()), f)
    }
}
