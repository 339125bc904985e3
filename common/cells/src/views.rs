//! Which vectors the reference holds as views: a defect that shows (`spec/03 §1.6`).
//!
//! A vector that the reference makes of arguments is a view of them, and stays one until it is changed. Where such a
//! vector is appended to another one, whole leaves of it are kept as views inside of the packed tree. Code that later
//! takes that tree leaf by leaf does not expect them and fails. So a vector has two marks here: that it is a view, and
//! that a leaf in its tree is one. The value, its encoding and its hash know nothing of them, and what is decoded has
//! none.

use crate::vector::{Inner, own_node};
use crate::{Cell, CellError, Ref, Vector};

/// Elements of a leaf.
const WIDTH: u64 = 16;

impl Vector {
    /// As a view. Nothing follows from views of less than a leaf, so that those stay as they are.
    #[must_use]
    pub fn into_view(mut self) -> Self {
        if self.count() >= WIDTH && !self.is_view() {
            self.inner_mut().view = true;
        }
        self
    }

    /// True for a view.
    #[must_use]
    pub fn is_view(&self) -> bool {
        self.inner().view
    }

    /// As a vector of its own.
    #[must_use]
    pub fn without_view(mut self) -> Self {
        if self.is_view() {
            self.inner_mut().view = false;
        }
        self
    }

    /// True when elements `start..end` touch a leaf of the packed tree that is a view.
    #[must_use]
    pub fn has_views(&self, start: u64, end: u64) -> bool {
        has_views(self.inner(), start, end)
    }

    /// With the leaves behind element `start` as views. The reference makes leaves of its own of the first two in
    /// every 256 elements.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn with_view_leaves(mut self, start: u64) -> Result<Self, CellError> {
        let packed = self.count() - self.count() % WIDTH;
        if self.count() > WIDTH && start + WIDTH <= packed {
            mark(&mut self, 0, start)?;
        }
        Ok(self)
    }
}

fn has_views(inner: &Inner, start: u64, end: u64) -> bool {
    if !inner.dirty {
        return false;
    }
    inner.subtrees_from().any(|(r, begin, count)| {
        let touched = start < end && start < begin + count && end > begin;
        touched
            && match r.in_memory() {
                Some(Cell::Vector(v)) if v.count() == WIDTH => v.is_view(),
                Some(Cell::Vector(v)) => has_views(
                    v.inner(),
                    start.saturating_sub(begin),
                    (end - begin).min(count),
                ),
                _ => false,
            }
    })
}

/// Marks the leaves from element `start` on in a node whose first element has the index `offset`.
fn mark(vector: &mut Vector, offset: u64, start: u64) -> Result<(), CellError> {
    const MALFORMED: CellError = CellError::Malformed("child of a vector is no vector");
    if offset + vector.count() <= start {
        return Ok(());
    }
    let inner = own_node(vector);
    inner.for_each_subtree(|r: &mut Ref, begin| {
        let first = offset + begin;
        let Cell::Vector(mut child) = r.take()? else {
            return Err(MALFORMED);
        };
        let done = if child.count() == WIDTH {
            if first >= start && first / WIDTH % WIDTH >= 2 {
                child = child.into_view();
            }
            Ok(())
        } else {
            mark(&mut child, first, start)
        };
        *r = Ref::new(Cell::Vector(child));
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longs(n: i64) -> Vector {
        (0..n).map(Cell::Long).collect()
    }

    #[test]
    fn a_change_makes_a_vector_of_its_own() {
        let view = longs(40).into_view();
        assert!(view.is_view());
        assert!(!longs(15).into_view().is_view());
        assert!(!view.clone().push(Cell::Nil).unwrap().is_view());
        assert!(
            !longs(16)
                .into_view()
                .push(Cell::Nil)
                .unwrap()
                .has_views(0, 17)
        );
        assert!(!view.clone().assoc(3, Cell::Nil).unwrap().unwrap().is_view());
        assert!(view.slice(0, 40).unwrap().unwrap().is_view());
        let joined = view.clone().concat(&view).unwrap();
        assert!(!joined.is_view() && !joined.has_views(0, 80));
    }

    #[test]
    fn view_leaves_are_found_where_they_are_until_they_change() {
        for (count, start) in [
            (80i64, 16u64),
            (83, 17),
            (4200, 3),
            (4200, 4090),
            (600, 250),
        ] {
            let vector = longs(count).with_view_leaves(start).unwrap();
            assert_eq!(vector.iter().count() as i64, count);
            let expected = |i: u64| {
                let first = i - i % 16;
                first >= start && first / 16 % 16 >= 2 && first + 16 <= count as u64
            };
            for i in 0..count as u64 {
                assert_eq!(
                    vector.has_views(i, i + 1),
                    expected(i),
                    "{count} {start} {i}"
                );
                assert!(!vector.has_views(i, i));
            }
            let marked = (0..count as u64).filter(|&i| expected(i)).step_by(16);
            let mut changed = vector.clone();
            for i in marked {
                assert!(changed.has_views(0, count as u64));
                changed = changed.assoc(i, Cell::Nil).unwrap().unwrap();
                assert!(!changed.has_views(i, i + 1));
            }
            assert!(!changed.has_views(0, count as u64));
            let mut grown = vector.clone();
            for _ in 0..300 {
                grown = grown.push(Cell::Nil).unwrap();
            }
            let n = count as u64;
            assert_eq!(grown.has_views(0, n), vector.has_views(0, n));
            assert!(!grown.has_views(n, n + 300));
            let own = longs(count);
            assert_eq!(Cell::from(vector), Cell::from(own));
        }
    }
}
