//! New cells of a value: what has to be stored or sent before the value itself can be (`spec/01 §13.5`, §18).

use std::collections::HashSet;

use crate::refs::Slot;
use crate::{Cell, Hash};

/// A cell on the way, with the next of its refs to look into.
struct Frame {
    cell: Cell,
    next: usize,
}

/// The branches below `root` that are in memory and not `known`, children before parents, each once; `root` last,
/// embedded or not, unless it is known.
///
/// A branch that was never read from its source is taken for known to that source, and so is everything below a
/// cell that is `known`.
pub fn novelty(root: &Cell, mut known: impl FnMut(&Hash) -> bool) -> Vec<Cell> {
    let mut found = Vec::new();
    if root.is_nil() || known(&root.hash()) {
        return found;
    }
    let mut seen = HashSet::new();
    let mut stack = vec![Frame {
        cell: root.clone(),
        next: 0,
    }];
    while let Some(frame) = stack.last_mut() {
        let Some(r) = frame.cell.nth_ref(frame.next) else {
            // Embedded cells are part of their parents.
            let done = stack.pop().map(|frame| frame.cell);
            found.extend(done.filter(|cell| stack.is_empty() || !cell.is_embedded()));
            continue;
        };
        frame.next += 1;
        let child = match &r.0 {
            Slot::Direct(cell) => cell,
            Slot::Lazy(lazy) => match lazy.resolved() {
                Some(cell) => cell,
                None => continue,
            },
        };
        let embedded = child.is_embedded();
        if embedded && !child.has_children() {
            continue;
        }
        if !embedded {
            let hash = child.hash();
            if !seen.insert(hash) || known(&hash) {
                continue;
            }
        }
        let cell = child.clone();
        stack.push(Frame { cell, next: 0 });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Blob, Vector, decode_message, encode_delta};

    fn blob(n: u8) -> Cell {
        Cell::from(Blob::new(&[n; 200]))
    }

    #[test]
    fn children_come_before_parents_each_once_and_the_root_last() {
        let inner = Cell::from(Vector::from_iter([
            blob(1),
            blob(2),
            blob(1),
            blob(3),
            blob(4),
            blob(5),
        ]));
        let root = Cell::from(Vector::from_iter([inner.clone(), blob(2)]));
        let cells = novelty(&root, |_| false);
        assert_eq!(
            cells,
            [
                blob(1),
                blob(2),
                blob(3),
                blob(4),
                blob(5),
                inner.clone(),
                root.clone()
            ]
        );
        assert_eq!(
            decode_message(&encode_delta(&cells), &Default::default()).unwrap(),
            root
        );
        let known = inner.hash();
        assert_eq!(novelty(&root, |h| *h == known), [blob(2), root.clone()]);
        let known = root.hash();
        assert!(novelty(&root, |h| *h == known).is_empty());
    }
}
