//! Vectors leaf by leaf: up to 16 elements at a time, looked at where they lie.

use crate::{CellError, Ref, Vector};

/// Some elements of a vector that follow each other.
pub struct Leaf(Vector);

impl Leaf {
    /// The positions of the elements.
    #[must_use]
    pub fn refs(&self) -> &[Ref] {
        self.0.own_refs()
    }
}

impl Vector {
    /// The leaves in order; together they hold all elements. Ends after the first error.
    pub fn leaves(&self) -> impl Iterator<Item = Result<Leaf, CellError>> + use<> {
        let vector = self.clone();
        let mut at = 0;
        std::iter::from_fn(move || {
            if at >= vector.count() {
                return None;
            }
            let leaf = vector.leaf_at(at);
            at = match &leaf {
                Ok(leaf) if !leaf.own_refs().is_empty() => at + leaf.own_refs().len() as u64,
                _ => vector.count(),
            };
            Some(leaf.map(Leaf))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Cell, Vector};

    #[test]
    fn leaves_hold_all_elements_in_order() {
        for count in (0..70).chain([255, 256, 257, 272, 300, 4096, 4099]) {
            let vector: Vector = (0..count).map(Cell::Long).collect();
            let mut found = Vec::new();
            for leaf in vector.leaves() {
                let leaf = leaf.unwrap();
                assert!((1..=16).contains(&leaf.refs().len()));
                found.extend(leaf.refs().iter().map(|r| r.get().unwrap()));
            }
            assert_eq!(found, (0..count).map(Cell::Long).collect::<Vec<_>>());
        }
    }
}
