//! What one index has and another hasn't, by their trees.
//!
//! A belief of a thousand orders changes in a few places between two messages. Subtrees are compared by hash, so that those that are
//! equal are neither read nor walked: with branches that are read from a store, only what differs is loaded.

use cells::{Cell, Index, Ref};
use crypto::AccountKey;

use crate::BeliefFault;
use crate::belief::key_of;
use crate::prefix::Hashes;

/// Levels of a canonical index: one for each of 64 hex digits of a key, and the root.
const MAX_LEVELS: usize = 65;

/// Collects entries of `new` that may differ from those of `old`, by ascending key. Ends at the first fault; what was collected before stays.
///
/// Costs what was sent, whatever count is claimed: a node that occurs twice, and keys that do not ascend, are faults.
pub(crate) fn changed(old: &Index, new: &Index) -> (Vec<Ref>, Result<(), BeliefFault>) {
    let mut search = Search {
        found: Vec::new(),
        seen: Hashes::default(),
        last: None,
    };
    let (old, new) = (Cell::from(old.clone()), Cell::from(new.clone()));
    let end = if old == new {
        Ok(())
    } else {
        search.descend(Some(&old), &new, 0)
    };
    (search.found, end)
}

struct Search {
    found: Vec<Ref>,
    /// Branches that were walked.
    seen: Hashes,
    last: Option<Option<AccountKey>>,
}

impl Search {
    fn descend(&mut self, old: Option<&Cell>, new: &Cell, level: usize) -> Result<(), BeliefFault> {
        if level > MAX_LEVELS || !matches!(new, Cell::Index(_)) {
            return Err(BeliefFault::NotABelief);
        }
        let theirs: Vec<&Ref> = new.refs().collect();
        let ours: Vec<&Ref> = old.into_iter().flat_map(Cell::refs).collect();
        let children = match theirs.as_slice() {
            // Keys are no indexes, children always are.
            [key, value, children @ ..] if !matches!(&*key.load()?, Cell::Index(_)) => {
                self.entry(key, value, &ours)?;
                children
            }
            children => children,
        };
        let skipped = theirs.len() - children.len();
        let aligned = ours.len() == theirs.len();
        for (i, child) in children.iter().enumerate() {
            let partner = ours.get(i + skipped).filter(|_| aligned);
            let same = match partner {
                Some(partner) => partner == child,
                None => ours.contains(child),
            };
            if same {
                continue;
            }
            if child.is_branch() && !self.seen.insert(child.hash()) {
                return Err(BeliefFault::Unordered);
            }
            let partner = partner.map(|partner| partner.load()).transpose()?;
            self.descend(partner.as_deref(), &*child.load()?, level + 1)?;
        }
        Ok(())
    }

    fn entry(&mut self, key: &Ref, value: &Ref, ours: &[&Ref]) -> Result<(), BeliefFault> {
        if ours.first() == Some(&key) && ours.get(1) == Some(&value) {
            return Ok(());
        }
        let key = key_of(&*key.load()?);
        if self.last.is_some_and(|last| last >= key) {
            return Err(BeliefFault::Unordered);
        }
        self.last = Some(key);
        self.found.push(value.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use cells::Blob;

    fn key(n: u64) -> Cell {
        Cell::from(Blob::new(&cells::Hash::of(&n.to_be_bytes()).0))
    }

    fn index(entries: impl IntoIterator<Item = (u64, i64)>) -> Index {
        entries.into_iter().fold(Index::empty(), |index, (k, v)| {
            index.assoc(key(k), Cell::Long(v)).unwrap().unwrap()
        })
    }

    /// Read back from bytes, so that nothing is shared in memory.
    fn reread(index: Index) -> Index {
        let bytes = cells::encode_message(&Cell::from(index)).unwrap();
        match cells::decode_message(&bytes, &cells::Decoder::new()).unwrap() {
            Cell::Index(index) => index,
            other => panic!("{other}"),
        }
    }

    fn values(old: &Index, new: &Index) -> Vec<i64> {
        let (found, end) = changed(old, new);
        assert_eq!(end, Ok(()));
        let number = |r: &Ref| match r.get().unwrap() {
            Cell::Long(n) => n,
            other => panic!("{other}"),
        };
        let mut values: Vec<i64> = found.iter().map(number).collect();
        values.sort_unstable();
        values
    }

    #[test]
    fn only_what_differs_is_found_where_the_keys_are_the_same() {
        let old = index((0..1000).map(|k| (k, 0)));
        for changes in [vec![], vec![7], vec![1, 20, 300, 999]] {
            let new = changes.iter().fold(old.clone(), |new, k| {
                let changed = Cell::Long(*k as i64 + 1);
                new.assoc(key(*k), changed).unwrap().unwrap()
            });
            let expected: Vec<i64> = changes.iter().map(|k| *k as i64 + 1).collect();
            assert_eq!(values(&old, &reread(new)), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_entry_that_differs_is_found(
            old in proptest::collection::btree_map(0u64..60, 0i64..3, 0..50),
            new in proptest::collection::btree_map(0u64..60, 0i64..3, 0..50),
        ) {
            // Values that tell which key they belong to.
            let told = |map: &BTreeMap<u64, i64>| index(map.iter().map(|(k, v)| (*k, *k as i64 * 10 + v)));
            let found = values(&told(&old), &reread(told(&new)));
            for value in &found {
                proptest::prop_assert_eq!(new.get(&(*value as u64 / 10)), Some(&(value % 10)));
            }
            for (k, v) in &new {
                if old.get(k) != Some(v) {
                    proptest::prop_assert!(found.contains(&(*k as i64 * 10 + v)));
                }
            }
        }
    }

    /// Entries that are found come in the order of their keys, as the rule wants (`spec/05 §9.2`).
    #[test]
    fn entries_are_found_in_the_order_of_their_keys() {
        let new = index((0..200).map(|k| (k, k as i64)));
        let (found, end) = changed(&Index::empty(), &new);
        assert_eq!(end, Ok(()));
        let in_order: Vec<Cell> = new.iter().map(|entry| entry.unwrap().1).collect();
        let found: Vec<Cell> = found.iter().map(|r| r.get().unwrap()).collect();
        assert_eq!(found, in_order);
    }
}
