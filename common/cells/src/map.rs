//! Hash maps (`spec/01 §8`).

use crate::memory;
use crate::node::{self, Node};
use crate::trie::{Entry, Trie};
use crate::{Cell, CellError, Hash, Ref, tag};

/// A map from any values to any values, in the order of the key hashes.
#[derive(Clone)]
pub struct Map(pub(crate) Trie<MapEntry>);

/// Key and value, with the hash of the key.
#[derive(Clone)]
pub(crate) struct MapEntry {
    pub(crate) hash: Hash,
    pub(crate) key: Ref,
    pub(crate) value: Ref,
}

impl MapEntry {
    pub(crate) fn new(key: Ref, value: Ref) -> Self {
        Self {
            hash: key.hash(),
            key,
            value,
        }
    }
}

impl Entry for MapEntry {
    const TAG: u8 = tag::MAP;
    const REFS: usize = 2;
    const BLANK: Self = Self {
        hash: Hash([0; 32]),
        key: Ref::NIL,
        value: Ref::NIL,
    };
    const DISORDER: &'static str = "map entries out of order";

    fn hash(&self) -> &Hash {
        &self.hash
    }

    fn places(&mut self) -> (&mut Hash, &mut Ref, Option<&mut Ref>) {
        (&mut self.hash, &mut self.key, Some(&mut self.value))
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        match i {
            0 => Some(&self.key),
            1 => Some(&self.value),
            _ => None,
        }
    }

    fn update(&mut self, newer: Self) {
        // An equal value stays the object that it was.
        if !shows_object(&self.value) || self.value != newer.value {
            self.value = newer.value;
        }
    }

    fn wrap(trie: Trie<Self>) -> Cell {
        Cell::Map(Map(trie))
    }

    fn unwrap(cell: &Cell) -> Option<&Trie<Self>> {
        match cell {
            Cell::Map(map) => Some(&map.0),
            _ => None,
        }
    }

    fn unwrap_owned(cell: Cell) -> Result<Trie<Self>, Cell> {
        match cell {
            Cell::Map(map) => Ok(map.0),
            other => Err(other),
        }
    }
}

/// True when it can be told which object a value is, by a number close to its top with two signs
/// ([`crate::BigInt::has_two_signs`]). Looked for in few cells, since this is asked at every change of a map.
fn shows_object(value: &Ref) -> bool {
    fn shows(cell: &Cell, levels: u32) -> bool {
        match cell {
            Cell::BigInt(n) => n.has_two_signs(),
            Cell::Str(_) | Cell::Blob(_) => false,
            _ if levels == 0 => false,
            _ => cell
                .refs()
                .take(8)
                .filter_map(Ref::in_memory)
                .any(|child| shows(child, levels - 1)),
        }
    }
    value.in_memory().is_some_and(|cell| shows(cell, 2))
}

impl Map {
    /// The map without entries.
    #[must_use]
    pub fn empty() -> Self {
        Self(Trie::empty())
    }

    /// Number of entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// True without an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// When a node or the value can't be read, or the tree is malformed.
    pub fn get(&self, key: &Cell) -> Result<Option<Cell>, CellError> {
        self.get_by_hash(&key.hash())
    }

    /// The value of the key with this hash.
    ///
    /// # Errors
    /// As [`Map::get`].
    pub fn get_by_hash(&self, hash: &Hash) -> Result<Option<Cell>, CellError> {
        self.0.find(hash, |e| e.value.get())?.transpose()
    }

    /// Key and value of the key with this hash.
    ///
    /// # Errors
    /// As [`Map::get`].
    pub fn entry_by_hash(&self, hash: &Hash) -> Result<Option<(Cell, Cell)>, CellError> {
        self.0
            .find(hash, |e| Ok((e.key.get()?, e.value.get()?)))?
            .transpose()
    }

    /// True when `key` has an entry.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn contains(&self, key: &Cell) -> Result<bool, CellError> {
        Ok(self.0.find(&key.hash(), |_| ())?.is_some())
    }

    /// With `value` at `key`. A present key keeps its own object. Unshared nodes change in place.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn assoc(self, key: Cell, value: Cell) -> Result<Self, CellError> {
        self.0
            .insert(MapEntry::new(Ref::new(key), Ref::new(value)))
            .map(Self)
    }

    /// As [`Map::assoc`] with an entry, the way `conj` and `merge` do: a present key is replaced by the new one, unless
    /// the value stays.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn assoc_entry(mut self, key: Cell, value: Cell) -> Result<Self, CellError> {
        let key = Ref::new(key);
        if shows_object(&key)
            && let Some(old) = self.get_by_hash(&key.hash())?
            && old != value
        {
            self = Self(self.0.remove(&key.hash())?);
        }
        self.0.insert(MapEntry::new(key, Ref::new(value))).map(Self)
    }

    /// Without `key`.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn dissoc(self, key: &Cell) -> Result<Self, CellError> {
        self.0.remove(&key.hash()).map(Self)
    }

    /// With the entries of `other`, which win.
    ///
    /// # Errors
    /// When a node of either can't be read, or a tree is malformed.
    pub fn merge(self, other: &Self) -> Result<Self, CellError> {
        let mut merged = self.0;
        for entry in other.0.entries() {
            merged = merged.insert(entry?)?;
        }
        Ok(Self(merged))
    }

    /// Entry `i` in hash order; `None` past the end.
    ///
    /// # Errors
    /// When a node or part of the entry can't be read, or the tree is malformed.
    pub fn entry_at(&self, i: u64) -> Result<Option<(Cell, Cell)>, CellError> {
        self.0
            .entry_at(i)?
            .map(|e| Ok((e.key.get()?, e.value.get()?)))
            .transpose()
    }

    /// Entries `start..end` in hash order; `None` unless 0 ≤ start ≤ end ≤ count.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn slice(&self, start: u64, end: u64) -> Result<Option<Self>, CellError> {
        if start > end || end > self.count() {
            return Ok(None);
        }
        self.0.slice(start, end).map(|t| Some(Self(t)))
    }

    /// Keys and values in hash order. Ends after the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Cell, Cell), CellError>> + use<> {
        self.0.entries().map(|e| {
            let e = e?;
            Ok((e.key.get()?, e.value.get()?))
        })
    }

    /// Positions of keys and values in hash order. Ends after the first error.
    pub fn iter_refs(&self) -> impl Iterator<Item = Result<(Ref, Ref), CellError>> + use<> {
        self.0.entries().map(|e| e.map(|e| (e.key, e.value)))
    }

    /// Bytes of the encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        node::encoded_len(self.node())
    }

    /// What [`Cell::memory_size`] is of this value.
    ///
    /// # Errors
    /// As there.
    pub fn memory_size(&self) -> Result<u64, CellError> {
        memory::of_node(self.node(), || Cell::from(self.clone()))
    }

    /// What [`Cell::is_identical`] is of these values.
    #[must_use]
    pub fn is_identical(&self, other: &Self) -> bool {
        self.ptr_eq(other)
    }

    pub(crate) fn node(&self) -> &dyn Node {
        self.0.node()
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl FromIterator<(Cell, Cell)> for Map {
    /// Of entries with one key the last value counts.
    fn from_iter<I: IntoIterator<Item = (Cell, Cell)>>(entries: I) -> Self {
        let entries = entries
            .into_iter()
            .map(|(k, v)| MapEntry::new(Ref::new(k), Ref::new(v)));
        Self(Trie::from_entries(entries))
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        Cell::from(self.clone()) == Cell::from(other.clone())
    }
}

impl Eq for Map {}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&Cell::from(self.clone()), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixteenth_entry_makes_a_tree_of_the_published_bytes() {
        let map: Map = (0..16i64).map(|i| (Cell::from(i), Cell::from(i))).collect();
        let hash = Cell::from(map.clone()).hash().to_string();
        assert_eq!(
            hash,
            "15cff5dcc775a401cf5ed49ca2597ca36c9a2d741634dd81a89909700cd870fd"
        );
        let mut grown = Map::empty();
        for i in 0..16i64 {
            grown = grown.assoc(Cell::from(i), Cell::from(i)).unwrap();
        }
        assert_eq!(grown, map);
        let back = grown.dissoc(&Cell::from(15i64)).unwrap();
        let hash = Cell::from(back).hash().to_string();
        assert_eq!(
            hash,
            "78641e77e84fe881604b552123585a8593b6ea447412f32e164349820bcc5939"
        );
    }
}
