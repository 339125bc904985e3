//! Definitions of the core account by symbol.
//!
//! Nearly every symbol that code uses is defined by core, so the way down core's maps is taken once for each symbol
//! and not for each look-up. A table is good for one map only, told by its identity, and direct-mapped, so that it
//! stays small whatever is looked up. What is in it never shows in a result.

use std::cell::RefCell;

use cells::{Cell, CellError, Hash, Map};

/// Symbols that a table remembers at most.
const SLOTS: usize = 1024;

/// Tables of a machine.
#[derive(Debug, Default)]
pub(crate) struct CoreCache {
    environment: RefCell<Table>,
    metadata: RefCell<Table>,
}

impl CoreCache {
    /// What core's environment has for a symbol of this hash.
    pub(crate) fn value(&self, environment: &Map, hash: &Hash) -> Result<Option<Cell>, CellError> {
        self.environment.borrow_mut().get(environment, hash)
    }

    /// What core's metadata have for a symbol of this hash.
    pub(crate) fn meta(&self, metadata: &Map, hash: &Hash) -> Result<Option<Cell>, CellError> {
        self.metadata.borrow_mut().get(metadata, hash)
    }
}

/// Some entries of one map, and keys that it doesn't have.
#[derive(Debug, Default)]
struct Table {
    map: Option<Map>,
    /// Counts the maps so far: slots of a former one are empty.
    round: u64,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    round: u64,
    key: Hash,
    value: Option<Cell>,
}

impl Table {
    fn get(&mut self, map: &Map, hash: &Hash) -> Result<Option<Cell>, CellError> {
        if !self.map.as_ref().is_some_and(|m| m.is_identical(map)) {
            self.map = Some(map.clone());
            self.round += 1;
            self.slots.resize(SLOTS, Slot::default());
        }
        let place = u16::from_le_bytes([hash.0[0], hash.0[1]]) as usize % SLOTS;
        let Some(slot) = self.slots.get_mut(place) else {
            return map.get_by_hash(hash);
        };
        if slot.round != self.round || slot.key != *hash {
            *slot = Slot {
                value: map.get_by_hash(hash)?,
                round: self.round,
                key: *hash,
            };
        }
        Ok(slot.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Symbol;

    #[test]
    fn a_table_answers_as_the_map_whichever_map_is_asked_about() {
        let names: Vec<_> = (0..3000)
            .map(|i| Symbol::new(format!("name{i}").as_bytes()).unwrap())
            .collect();
        let map = |step: usize| -> Map {
            let pairs = names.iter().enumerate().step_by(step);
            pairs
                .map(|(i, name)| (Cell::from(name.clone()), Cell::Long((i * step) as i64)))
                .collect()
        };
        let maps = [map(1), map(2), map(3)];
        let cache = CoreCache::default();
        for round in 0..6 {
            let map = &maps[round % 3];
            for name in names.iter().chain(&names[..50]) {
                let expected = map.get_by_hash(name.hash()).unwrap();
                assert_eq!(cache.value(map, name.hash()).unwrap(), expected);
                assert_eq!(cache.meta(map, name.hash()).unwrap(), expected);
            }
        }
    }
}
