//! Prepared ops by hash, in bounded memory.
//!
//! A cache only: what is in it never shows in a result.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use cells::{Cell, Hash};

use crate::call::Closure;
use crate::op::Op;

/// Ops kept at most, over all entries; about 100 bytes each.
const MAX_WEIGHT: usize = 200_000;

/// Hashes are uniform already, so their first bytes serve.
#[derive(Default)]
pub(crate) struct HashPrefix(u64);

impl Hasher for HashPrefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// A map that forgets its oldest entries.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, (V, usize), BuildHasherDefault<HashPrefix>>,
    order: VecDeque<K>,
    weight: usize,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::default(),
            order: VecDeque::new(),
            weight: 0,
        }
    }
}

impl<K: Copy + Eq + std::hash::Hash, V: Clone> Bounded<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.map.get(key).map(|(value, _)| value.clone())
    }

    fn insert(&mut self, key: K, value: V, weight: usize) {
        if self.map.insert(key, (value, weight)).is_some() {
            return;
        }
        self.order.push_back(key);
        self.weight += weight;
        while self.weight > MAX_WEIGHT {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some((_, weight)) = self.map.remove(&oldest) {
                self.weight -= weight;
            }
        }
    }
}

/// Prepared ops by the hash of their cell, and functions by those of their parameters and body.
#[derive(Debug, Default)]
pub(crate) struct OpCache {
    ops: Bounded<Hash, Op>,
    closures: Bounded<(Hash, Hash), Arc<Closure>>,
}

impl OpCache {
    /// The op made of a cell with this hash: of this very cell, where that makes a difference (`two_signs`).
    pub(crate) fn op(&self, hash: &Hash, cell: &Cell) -> Option<Op> {
        let op = self.ops.get(hash)?;
        (!op.shows_object() || op.cell().is_identical(cell)).then_some(op)
    }

    pub(crate) fn insert_op(&mut self, hash: Hash, op: Op, weight: usize) {
        self.ops.insert(hash, op, weight);
    }

    pub(crate) fn closure(&self, key: &(Hash, Hash)) -> Option<Arc<Closure>> {
        self.closures.get(key)
    }

    pub(crate) fn insert_closure(
        &mut self,
        key: (Hash, Hash),
        closure: Arc<Closure>,
        weight: usize,
    ) {
        self.closures.insert(key, closure, weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_entries_leave_when_the_cache_is_full() {
        let mut cache = Bounded::<Hash, u64>::default();
        for i in 0..100u64 {
            cache.insert(Hash::of(&i.to_be_bytes()), i, MAX_WEIGHT / 10);
        }
        assert!(cache.weight <= MAX_WEIGHT);
        assert_eq!(cache.map.len(), 10);
        assert_eq!(cache.get(&Hash::of(&99u64.to_be_bytes())), Some(99));
        assert_eq!(cache.get(&Hash::of(&0u64.to_be_bytes())), None);
    }
}
