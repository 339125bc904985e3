//! The stores of all peers in one: each cell is kept once, and each peer sees those that it made or was sent.
//!
//! A cell is decoded from its encoding, with branches that are looked up when they are needed. A peer that lacks a cell gets
//! [`CellError::Missing`] just as it would with a store of its own, but a thousand peers share one copy of what they all have; also
//! the verdict on a signature, so that each is checked once and not a thousand times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cells::{Cell, CellError, Decoder, Hash, Source};

use crate::bits::Bits;

/// Number of a cell.
pub(crate) type Id = u32;

struct Slot {
    hash: Hash,
    cell: Cell,
    /// Bytes of the encoding, with the length that precedes it in a message.
    size: u64,
    branches: Box<[Id]>,
}

#[derive(Default)]
struct Inner {
    slots: Vec<Option<Slot>>,
    free: Vec<Id>,
    by_hash: HashMap<Hash, Id>,
    /// By peer: the cells that it has.
    has: Vec<Bits>,
    /// By peer: those that it has with all below.
    whole: Vec<Bits>,
    /// By peer: those that it sent to its connections; a liar has two sides.
    announced: Vec<[Bits; 2]>,
    reader: usize,
}

/// All cells of a run.
#[derive(Clone)]
pub(crate) struct Store(Arc<Shared>);

struct Shared(Mutex<Inner>);

impl Source for Shared {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        let inner = lock(self);
        let found = inner
            .by_hash
            .get(hash)
            .filter(|id| inner.has[inner.reader].has(**id))
            .and_then(|id| inner.slots[*id as usize].as_ref());
        found.map_or(Err(CellError::Missing(*hash)), |slot| Ok(slot.cell.clone()))
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn slot(&self, id: Id) -> &Slot {
        self.slots[id as usize]
            .as_ref()
            .expect("a cell that is referred to is kept")
    }

    /// True when the peer has the cell and all below it.
    fn is_whole(&mut self, peer: usize, root: Id) -> bool {
        let mut stack = vec![(root, 0)];
        while let Some((id, next)) = stack.pop() {
            if self.whole[peer].has(id) {
                continue;
            }
            if !self.has[peer].has(id) {
                return false;
            }
            match self.slot(id).branches.get(next).copied() {
                Some(below) => stack.extend([(id, next + 1), (below, 0)]),
                None => {
                    self.whole[peer].insert(id);
                }
            }
        }
        true
    }

    /// Children before parents: the cells below `root` and itself that `wanted` names. Nothing below others is looked at.
    fn below(&mut self, root: Id, mut wanted: impl FnMut(&mut Self, Id) -> bool) -> Vec<Id> {
        let mut found = Vec::new();
        if !wanted(self, root) {
            return found;
        }
        let mut stack = vec![(root, 0)];
        while let Some((id, next)) = stack.pop() {
            match self.slot(id).branches.get(next).copied() {
                Some(below) => {
                    stack.push((id, next + 1));
                    if wanted(self, below) {
                        stack.push((below, 0));
                    }
                }
                None => found.push(id),
            }
        }
        found
    }
}

impl Store {
    pub(crate) fn new(peers: usize) -> Self {
        let sets = || vec![Bits::default(); peers];
        let inner = Inner {
            has: sets(),
            whole: sets(),
            announced: vec![Default::default(); peers],
            ..Inner::default()
        };
        Self(Arc::new(Shared(Mutex::new(inner))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }

    /// From now on branches are read as this peer sees them.
    pub(crate) fn read_as(&self, peer: usize) {
        self.inner().reader = peer;
    }

    /// Notes a cell that `peer` made, with all below it.
    pub(crate) fn put(&self, peer: usize, cell: &Cell) -> Id {
        let new = cells::novelty(cell, |hash| self.inner().by_hash.contains_key(hash));
        let decoder = Decoder::with_source(self.0.clone());
        for cell in new {
            let encoding = cell.encode();
            let decoded = cells::decode_cell(&encoding, &decoder).expect("a cell of ours");
            let mut inner = self.inner();
            let branches = cells::branches(&decoded)
                .iter()
                .map(|r| inner.by_hash[&r.hash()])
                .collect();
            let hash = cell.hash();
            let size = encoding.len() as u64;
            let slot = Slot {
                hash,
                size: size + cells::vlq::len(size) as u64,
                branches,
                cell: decoded,
            };
            let id = match inner.free.pop() {
                Some(id) => id,
                None => {
                    inner.slots.push(None);
                    Id::try_from(inner.slots.len() - 1).expect("fewer cells than numbers")
                }
            };
            inner.slots[id as usize] = Some(slot);
            inner.by_hash.insert(hash, id);
        }
        let mut inner = self.inner();
        let id = inner.by_hash[&cell.hash()];
        inner.below(id, |inner, id| {
            inner.has[peer].insert(id);
            inner.whole[peer].insert(id)
        });
        id
    }

    /// The cell as any peer that has it sees it.
    pub(crate) fn cell(&self, id: Id) -> Cell {
        self.inner().slot(id).cell.clone()
    }

    /// Notes that `peer` was sent these cells.
    pub(crate) fn give(&self, peer: usize, cells: &[Id]) {
        let mut inner = self.inner();
        for id in cells {
            inner.has[peer].insert(*id);
        }
    }

    /// True when `peer` has all below a cell that it has been sent.
    pub(crate) fn is_whole(&self, peer: usize, cell: &Cell) -> bool {
        let mut inner = self.inner();
        let mut whole = |hash: &Hash| {
            let id = inner.by_hash.get(hash).copied();
            id.is_some_and(|id| inner.is_whole(peer, id))
        };
        match cell.is_embedded() {
            true => cells::branches(cell).iter().all(|r| whole(&r.hash())),
            false => whole(&cell.hash()),
        }
    }

    /// The cells of a message that announces `root`, and its bytes (`spec/05 §10`).
    pub(crate) fn announce(
        &self,
        peer: usize,
        side: usize,
        root: Id,
        hidden: &[Id],
    ) -> (Vec<Id>, u64) {
        let mut inner = self.inner();
        let mut cells = inner.below(root, |inner, id| {
            !hidden.contains(&id) && inner.announced[peer][side].insert(id)
        });
        if cells.last() != Some(&root) {
            cells.push(root);
        }
        let size = cells.iter().map(|id| inner.slot(*id).size).sum();
        (cells, size)
    }

    /// What `by` lacks of `root` and `of` has, with its bytes.
    pub(crate) fn lacking(&self, by: usize, of: usize, root: Id, hidden: &[Id]) -> (Vec<Id>, u64) {
        let mut inner = self.inner();
        let mut seen = Bits::default();
        let mut cells = inner.below(root, |inner, id| {
            !hidden.contains(&id)
                && seen.insert(id)
                && inner.has[of].has(id)
                && !inner.is_whole(by, id)
        });
        cells.retain(|id| !inner.has[by].has(*id));
        let size = cells.iter().map(|id| inner.slot(*id).size).sum();
        (cells, size)
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.inner().by_hash.len()
    }

    /// Forgets everything that is not below these roots. Nobody will ask for it again.
    pub(crate) fn keep(&self, roots: impl IntoIterator<Item = Id>) {
        let mut inner = self.inner();
        let mut live = Bits::default();
        for root in roots {
            inner.below(root, |_, id| live.insert(id));
        }
        for id in 0..inner.slots.len() as Id {
            if live.has(id) {
                continue;
            }
            if let Some(slot) = inner.slots[id as usize].take() {
                inner.by_hash.remove(&slot.hash);
                inner.free.push(id);
            }
        }
        let inner = &mut *inner;
        let announced = inner.announced.iter_mut().flatten();
        let sets = inner.has.iter_mut().chain(&mut inner.whole);
        sets.chain(announced).for_each(|set| set.keep(&live));
    }

    /// Lets go of all cells, which hold the store as their source.
    pub(crate) fn clear(&self) {
        let slots = std::mem::take(&mut self.inner().slots);
        drop(slots);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Blob, Ref, Vector};

    fn blob(n: u8) -> Cell {
        Cell::from(Blob::new(&[n; 200]))
    }

    fn sample() -> Cell {
        Cell::from(Vector::from_iter([blob(1), blob(2)]))
    }

    fn read(cell: &Cell) -> Vec<Result<Cell, CellError>> {
        cell.refs().map(Ref::get).collect()
    }

    #[test]
    fn a_peer_sees_what_it_made_or_was_sent() {
        let store = Store::new(2);
        let root = store.put(0, &sample());
        store.read_as(0);
        let cell = store.cell(root);
        assert_eq!(read(&cell), [Ok(blob(1)), Ok(blob(2))]);
        assert!(store.is_whole(0, &cell));
        assert!(store.is_whole(0, &Cell::Long(1)));

        store.read_as(1);
        store.give(1, &[root]);
        let missing = |n| Err(CellError::Missing(blob(n).hash()));
        assert_eq!(read(&cell), [missing(1), missing(2)]);
        assert!(!store.is_whole(1, &cell));
        let (lacking, size) = store.lacking(1, 0, root, &[]);
        assert_eq!((lacking.len(), size), (2, 2 * (203 + 2)));
        store.give(1, &lacking[..1]);
        assert_eq!(read(&cell), [Ok(blob(1)), missing(2)]);
        store.give(1, &lacking);
        assert!(store.is_whole(1, &cell));
        store.clear();
    }

    #[test]
    fn cells_are_announced_once_and_the_root_always() {
        let store = Store::new(2);
        let root = store.put(0, &sample());
        assert_eq!(store.announce(0, 0, root, &[]).0.len(), 3);
        assert_eq!(store.announce(0, 0, root, &[]).0, [root]);
        let hidden = store.put(1, &blob(2));
        store.put(1, &sample());
        assert_eq!(store.announce(1, 0, root, &[hidden]).0.len(), 2);
        store.clear();
    }

    #[test]
    fn what_nobody_can_reach_is_forgotten_and_its_number_used_again() {
        let store = Store::new(1);
        let root = store.put(0, &sample());
        store.put(0, &blob(9));
        assert_eq!(store.len(), 4);
        store.keep([root]);
        assert_eq!(store.len(), 3);
        assert!(!store.is_whole(0, &blob(9)));
        let again = store.put(0, &blob(7));
        assert_eq!(again as usize, 3);
        assert_eq!(store.announce(0, 0, again, &[]).0, [again]);
        store.clear();
    }
}
