//! Lists: sequences with constant cost at the front, stored as the reversed vector (`spec/01 §7.5`).

use triomphe::{Arc, UniqueArc};

use crate::node::{Cache, Node};
use crate::{Cell, CellError, Ref, Vector, tag};

/// A list of values.
#[derive(Clone)]
pub struct List(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    cache: Cache,
    /// The elements, last first.
    reversed: Vector,
}

impl Node for Inner {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(tag::LIST);
        self.reversed.write_body(out);
    }

    fn head_len(&self) -> Option<usize> {
        self.reversed.node().head_len()
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        self.reversed.node().ref_at(i)
    }
}

impl List {
    /// The list without elements.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_reversed(Vector::empty())
    }

    /// The list of the elements of `reversed`, last one first.
    #[must_use]
    pub fn from_reversed(reversed: Vector) -> Self {
        Self::decoded(reversed, |_| ())
    }

    /// A list that was decoded; `fill` may fill the cache.
    #[inline]
    pub(crate) fn decoded(reversed: Vector, fill: impl FnOnce(&mut Cache)) -> Self {
        let mut inner = UniqueArc::new(Inner {
            cache: Cache::new(),
            reversed,
        });
        fill(&mut inner.cache);
        Self(inner.shareable())
    }

    /// The elements as a vector, last one first.
    #[must_use]
    pub fn reversed(&self) -> &Vector {
        &self.0.reversed
    }

    /// Number of elements.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.reversed.count()
    }

    /// True without an element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Element `i`; `None` past the end.
    ///
    /// # Errors
    /// As [`Vector::get`].
    pub fn get(&self, i: u64) -> Result<Option<Cell>, CellError> {
        if i >= self.count() {
            return Ok(None);
        }
        self.0.reversed.get(self.count() - 1 - i)
    }

    /// With element `i` replaced; `None` past the end.
    ///
    /// # Errors
    /// As [`Vector::assoc`].
    pub fn assoc(self, i: u64, value: Cell) -> Result<Option<Self>, CellError> {
        if i >= self.count() {
            return Ok(None);
        }
        let at = self.count() - 1 - i;
        Ok(self
            .into_reversed()
            .assoc(at, value)?
            .map(Self::from_reversed))
    }

    /// With `value` at the front.
    ///
    /// # Errors
    /// As [`Vector::push`].
    pub fn cons(self, value: Cell) -> Result<Self, CellError> {
        self.into_reversed().push(value).map(Self::from_reversed)
    }

    /// Elements `start..end`; `None` unless 0 ≤ start ≤ end ≤ count.
    ///
    /// # Errors
    /// As [`Vector::slice`].
    pub fn slice(&self, start: u64, end: u64) -> Result<Option<Self>, CellError> {
        let n = self.count();
        if start > end || end > n {
            return Ok(None);
        }
        if start == 0 && end == n {
            return Ok(Some(self.clone()));
        }
        Ok(self
            .0
            .reversed
            .slice(n - end, n - start)?
            .map(Self::from_reversed))
    }

    /// This followed by `other`.
    ///
    /// # Errors
    /// As [`Vector::concat`].
    pub fn concat(&self, other: &Self) -> Result<Self, CellError> {
        other
            .0
            .reversed
            .clone()
            .concat(&self.0.reversed)
            .map(Self::from_reversed)
    }

    /// The elements in order, front first.
    pub fn iter(&self) -> impl Iterator<Item = Result<Cell, CellError>> + use<> {
        let reversed = self.0.reversed.clone();
        let leaf: Option<Vec<Ref>> = reversed.as_leaf().map(<[Ref]>::to_vec);
        (0..self.count()).rev().map(move |i| match &leaf {
            Some(refs) => refs[i as usize].get(),
            None => reversed
                .get(i)?
                .ok_or(CellError::Malformed("list lost an element")),
        })
    }

    fn into_reversed(self) -> Vector {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => inner.reversed,
            Err(shared) => shared.reversed.clone(),
        }
    }

    pub(crate) fn node(&self) -> &dyn Node {
        &*self.0
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl FromIterator<Cell> for List {
    fn from_iter<I: IntoIterator<Item = Cell>>(cells: I) -> Self {
        let mut refs: Vec<Ref> = cells.into_iter().map(Ref::new).collect();
        refs.reverse();
        Self::from_reversed(Vector::from_refs(refs))
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other) || self.0.reversed == other.0.reversed
    }
}

impl Eq for List {}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&Cell::from(self.clone()), f)
    }
}
