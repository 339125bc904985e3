//! Vectors: sequences in 16-way trees (`spec/01 §7`).
//!
//! Up to 16 elements are one leaf. Beyond, a *packed* tree holds a multiple of 16 elements, and the rest sit in
//! a leaf whose prefix is the packed tree.

use smallvec::SmallVec;
use triomphe::Arc;

use crate::blob::Children;
use crate::node::{self, Cache, Node};
use crate::{Cell, CellError, Ref, tag, vlq};

mod growing;

pub(crate) use growing::Growing;

/// Fan-out of trees and size of leaves.
const WIDTH: u64 = 16;

/// A sequence of values with constant cost at its end.
#[derive(Clone)]
pub struct Vector(Arc<Inner>);

#[derive(Clone)]
pub(crate) struct Inner {
    cache: Cache,
    count: u64,
    /// Packed tree before a leaf of more than 16 elements in all.
    prefix: Option<Ref>,
    /// Elements of a leaf, or children of a tree.
    refs: Children,
    /// The reference holds this as a view (`views.rs`).
    pub(crate) view: bool,
    /// A leaf of the packed tree in or below this node is a view.
    pub(crate) dirty: bool,
}

/// log2 of the elements that each child but the last of a tree over `count` elements holds.
fn shift(count: u64) -> u32 {
    let mut shift = 0;
    while shift < 60 && WIDTH << shift < count {
        shift += 4;
    }
    shift
}

/// True when `count` elements are a tree and not a leaf.
fn is_tree(count: u64) -> bool {
    count > WIDTH && count.is_multiple_of(WIDTH)
}

/// Number of refs in a node of `count` elements, and whether a prefix is among them.
pub(crate) fn ref_shape(count: u64) -> (usize, bool) {
    if is_tree(count) {
        let size = 1u64 << shift(count);
        (count.div_ceil(size) as usize, false)
    } else if count > WIDTH {
        ((count % WIDTH) as usize, true)
    } else {
        (count as usize, false)
    }
}

impl Node for Inner {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(tag::VECTOR);
        self.write_body(out);
    }

    fn head_len(&self) -> Option<usize> {
        Some(1 + vlq::len(self.count))
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        match &self.prefix {
            Some(prefix) if i == 0 => Some(prefix),
            Some(_) => self.refs.get(i - 1),
            None => self.refs.get(i),
        }
    }
}

impl Inner {
    fn new(count: u64, refs: Children, prefix: Option<Ref>) -> Self {
        let mut inner = Self {
            cache: Cache::new(),
            count,
            prefix,
            refs,
            view: false,
            dirty: false,
        };
        inner.dirty = inner.children_dirty();
        inner
    }

    /// Packed trees below this node: children or prefix.
    fn subtrees(&self) -> &[Ref] {
        if is_tree(self.count) {
            &self.refs
        } else {
            self.prefix.as_slice()
        }
    }

    /// The same, each with the index of its first element and its element count.
    pub(crate) fn subtrees_from(&self) -> impl Iterator<Item = (&Ref, u64, u64)> {
        let size = self.subtree_size();
        let packed = self.count - self.count % WIDTH;
        let all = self.subtrees().iter().enumerate();
        all.map(move |(i, r)| {
            let begin = size * i as u64;
            (r, begin, size.min(packed - begin))
        })
    }

    fn subtree_size(&self) -> u64 {
        if is_tree(self.count) {
            1 << shift(self.count)
        } else {
            self.count - self.count % WIDTH
        }
    }

    /// Changes the packed trees below this node, each told the index of its first element.
    pub(crate) fn for_each_subtree(
        &mut self,
        mut change: impl FnMut(&mut Ref, u64) -> Result<(), CellError>,
    ) -> Result<(), CellError> {
        let size = self.subtree_size();
        let subtrees = if is_tree(self.count) {
            &mut self.refs[..]
        } else {
            self.prefix.as_mut_slice()
        };
        for (i, r) in subtrees.iter_mut().enumerate() {
            change(r, size * i as u64)?;
        }
        self.dirty = self.children_dirty();
        Ok(())
    }

    fn children_dirty(&self) -> bool {
        self.subtrees().iter().any(|r| match r.in_memory() {
            Some(Cell::Vector(v)) => v.0.dirty || v.0.view && v.0.count == WIDTH,
            _ => false,
        })
    }

    /// Count and refs: shared with lists and records.
    fn write_body(&self, out: &mut Vec<u8>) {
        vlq::write(out, self.count);
        for child in self.refs.iter().chain(&self.prefix) {
            node::write_ref(out, child);
        }
    }
}

impl Vector {
    /// The vector without elements.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::new(Inner::new(0, Children::new(), None)))
    }

    /// Of these elements.
    #[must_use]
    pub fn from_refs(refs: impl IntoIterator<Item = Ref>) -> Self {
        let mut builder = Builder::default();
        for r in refs {
            builder.push(r);
        }
        builder.finish()
    }

    /// Number of elements.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count
    }

    /// True without an element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// Element `i`; `None` past the end.
    ///
    /// # Errors
    /// When a node or the element can't be read, or the tree is malformed.
    pub fn get(&self, i: u64) -> Result<Option<Cell>, CellError> {
        self.get_ref(i)?.map(|r| r.get()).transpose()
    }

    /// The position of element `i`; `None` past the end.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn get_ref(&self, i: u64) -> Result<Option<Ref>, CellError> {
        if i >= self.0.count {
            return Ok(None);
        }
        find(&self.0, i).map(Some)
    }

    /// Elements of a vector of at most 16, all in one leaf; `None` for larger ones.
    #[must_use]
    pub fn as_leaf(&self) -> Option<&[Ref]> {
        (self.0.count <= WIDTH).then_some(&self.0.refs)
    }

    /// With element `i` replaced; `None` past the end. Nodes that nobody shares are changed in place.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn assoc(mut self, i: u64, value: Cell) -> Result<Option<Self>, CellError> {
        if i >= self.0.count {
            return Ok(None);
        }
        replace(&mut self.0, i, value)?;
        Ok(Some(self))
    }

    /// With `value` at the end.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn push(mut self, value: Cell) -> Result<Self, CellError> {
        self = self.without_view();
        let count = self.0.count;
        if count < WIDTH {
            let inner = own(&mut self.0);
            inner.refs.push(Ref::new(value));
            inner.count += 1;
            return Ok(self);
        }
        if count.is_multiple_of(WIDTH) {
            let refs = [Ref::new(value)].into_iter().collect();
            return Ok(Self(Arc::new(Inner::new(
                count + 1,
                refs,
                Some(Ref::new(Cell::Vector(self))),
            ))));
        }
        let inner = own(&mut self.0);
        inner.refs.push(Ref::new(value));
        inner.count += 1;
        if inner.count.is_multiple_of(WIDTH) {
            // The leaf is full: it becomes the last leaf of the packed tree.
            let leaf = Self(Arc::new(Inner::new(
                WIDTH,
                std::mem::take(&mut inner.refs),
                None,
            )));
            let prefix = inner.prefix.take().ok_or(MALFORMED)?.get()?;
            let Cell::Vector(prefix) = prefix else {
                return Err(MALFORMED);
            };
            return prefix.push_leaf(leaf);
        }
        Ok(self)
    }

    /// A packed vector followed by a full leaf.
    fn push_leaf(mut self, leaf: Self) -> Result<Self, CellError> {
        let count = self.0.count;
        if count == 0 {
            return Ok(leaf);
        }
        if !count.is_multiple_of(WIDTH) {
            return Err(MALFORMED);
        }
        let size = 1u64 << shift(count);
        if count == size * WIDTH || count == WIDTH {
            // Full: one level more.
            let refs = [Ref::new(Cell::Vector(self)), Ref::new(Cell::Vector(leaf))]
                .into_iter()
                .collect();
            return Ok(Self(Arc::new(Inner::new(count + WIDTH, refs, None))));
        }
        let inner = own(&mut self.0);
        inner.count += WIDTH;
        if count.is_multiple_of(size) {
            inner.refs.push(Ref::new(Cell::Vector(leaf)));
        } else {
            let last = inner.refs.last_mut().ok_or(MALFORMED)?;
            let Cell::Vector(child) = last.take()? else {
                return Err(MALFORMED);
            };
            *last = Ref::new(Cell::Vector(child.push_leaf(leaf)?));
        }
        inner.dirty = inner.children_dirty();
        Ok(self)
    }

    /// This followed by `other`.
    ///
    /// # Errors
    /// When a node can't be read, a tree is malformed, or the count would pass 2^63-1.
    pub fn concat(mut self, other: &Self) -> Result<Self, CellError> {
        let other = &other.clone().without_view();
        if self.is_empty() {
            return Ok(other.clone());
        }
        self = self.without_view();
        if other.0.count <= WIDTH {
            for r in &other.0.refs {
                self = self.push_ref(r.clone())?;
            }
            return Ok(self);
        }
        let count = self
            .0
            .count
            .checked_add(other.0.count)
            .filter(|&c| c <= i64::MAX as u64);
        let count = count.ok_or(CellError::Malformed("vector too long"))?;
        Source {
            first: &self,
            second: Some(other),
        }
        .build(0, count)
    }

    fn push_ref(self, r: Ref) -> Result<Self, CellError> {
        let last = self.0.count;
        let mut grown = self.push(Cell::Nil)?;
        put(&mut grown.0, last, r)?;
        Ok(grown)
    }

    /// Elements `start..end`; `None` unless 0 ≤ start ≤ end ≤ count.
    ///
    /// # Errors
    /// When a node can't be read, or the tree is malformed.
    pub fn slice(&self, start: u64, end: u64) -> Result<Option<Self>, CellError> {
        if start > end || end > self.0.count {
            return Ok(None);
        }
        if start == 0 && end == self.0.count {
            return Ok(Some(self.clone()));
        }
        Source {
            first: self,
            second: None,
        }
        .build(start, end - start)
        .map(Some)
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Cell, CellError>> + use<> {
        self.iter_refs().map(|r| r?.get())
    }

    /// The positions of the elements in order.
    pub fn iter_refs(&self) -> impl Iterator<Item = Result<Ref, CellError>> + use<> {
        self.iter_refs_from(0)
    }

    /// The positions of the elements from `start` on. Ends after the first error.
    pub fn iter_refs_from(
        &self,
        start: u64,
    ) -> impl Iterator<Item = Result<Ref, CellError>> + use<> {
        Iter {
            vector: self.clone(),
            at: start,
            leaf: None,
        }
    }

    /// The leaf that holds element `i < count`, and the index of its first element.
    fn leaf_of(&self, i: u64) -> Result<(Self, u64), CellError> {
        let inner = &*self.0;
        if inner.count <= WIDTH {
            return Ok((self.clone(), 0));
        }
        if is_tree(inner.count) {
            let size = 1u64 << shift(inner.count);
            let n = i / size;
            let child = child_vector(inner.refs.get(n as usize), size.min(inner.count - n * size))?;
            let (leaf, begin) = child.leaf_of(i % size)?;
            return Ok((leaf, begin + n * size));
        }
        let packed = inner.count - inner.count % WIDTH;
        if i >= packed {
            Ok((self.clone(), packed))
        } else {
            child_vector(inner.prefix.as_ref(), packed)?.leaf_of(i)
        }
    }

    /// The leaf that holds element `i < count`.
    pub(crate) fn leaf_at(&self, i: u64) -> Result<Self, CellError> {
        self.leaf_of(i).map(|(leaf, _)| leaf)
    }

    /// The refs of this node itself: of a leaf its elements.
    pub(crate) fn own_refs(&self) -> &[Ref] {
        &self.0.refs
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn inner_mut(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    pub(crate) fn node(&self) -> &dyn Node {
        &*self.0
    }

    pub(crate) fn write_body(&self, out: &mut Vec<u8>) {
        self.0.write_body(out);
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Children and prefix with the element count each must have; elements themselves are not listed.
    pub(crate) fn structure(&self) -> Vec<(&Ref, u64)> {
        let inner = &*self.0;
        if is_tree(inner.count) {
            let size = 1u64 << shift(inner.count);
            let count = |i: usize| size.min(inner.count - size * i as u64);
            return inner
                .refs
                .iter()
                .enumerate()
                .map(|(i, r)| (r, count(i)))
                .collect();
        }
        inner
            .prefix
            .iter()
            .map(|p| (p, inner.count - inner.count % WIDTH))
            .collect()
    }
}

const MALFORMED: CellError =
    CellError::Malformed("child of a vector is no vector of the right count");

/// Exclusive access to the node of a vector, see [`own`].
pub(crate) fn own_node(vector: &mut Vector) -> &mut Inner {
    own(&mut vector.0)
}

/// Exclusive access to a node about to change; its cached encoding is dropped.
fn own(inner: &mut Arc<Inner>) -> &mut Inner {
    let inner = Arc::make_mut(inner);
    inner.cache.reset();
    inner.view = false;
    inner
}

fn child_vector(r: Option<&Ref>, count: u64) -> Result<Vector, CellError> {
    match &*r.ok_or(MALFORMED)?.load()? {
        Cell::Vector(v) if v.0.count == count => Ok(v.clone()),
        _ => Err(MALFORMED),
    }
}

/// Which ref of a node leads to element `i`, the index inside, and the count that child must have.
enum Step {
    Element(usize),
    Child(usize, u64, u64),
    Prefix(u64),
}

fn step(inner: &Inner, i: u64) -> Step {
    if is_tree(inner.count) {
        let size = 1u64 << shift(inner.count);
        let n = i / size;
        return Step::Child(n as usize, i % size, size.min(inner.count - n * size));
    }
    let packed = if inner.count <= WIDTH {
        0
    } else {
        inner.count - inner.count % WIDTH
    };
    if i >= packed {
        Step::Element((i - packed) as usize)
    } else {
        Step::Prefix(packed)
    }
}

fn find(inner: &Inner, i: u64) -> Result<Ref, CellError> {
    let (child, i, count) = match step(inner, i) {
        Step::Element(n) => return inner.refs.get(n).cloned().ok_or(MALFORMED),
        Step::Child(n, within, count) => (inner.refs.get(n), within, count),
        Step::Prefix(count) => (inner.prefix.as_ref(), i, count),
    };
    match &*child.ok_or(MALFORMED)?.load()? {
        Cell::Vector(v) if v.0.count == count => find(&v.0, i),
        _ => Err(MALFORMED),
    }
}

fn replace(inner: &mut Arc<Inner>, i: u64, value: Cell) -> Result<(), CellError> {
    put(inner, i, Ref::new(value))
}

fn put(inner: &mut Arc<Inner>, i: u64, value: Ref) -> Result<(), CellError> {
    let step = step(inner, i);
    let inner = own(inner);
    let (child, i, count) = match step {
        Step::Element(n) => {
            *inner.refs.get_mut(n).ok_or(MALFORMED)? = value;
            return Ok(());
        }
        Step::Child(n, within, count) => (inner.refs.get_mut(n), within, count),
        Step::Prefix(count) => (inner.prefix.as_mut(), i, count),
    };
    let child = child.ok_or(MALFORMED)?;
    match child.take()? {
        Cell::Vector(mut v) if v.0.count == count => {
            let done = put(&mut v.0, i, value);
            *child = Ref::new(Cell::Vector(v));
            inner.dirty = inner.dirty && inner.children_dirty();
            done
        }
        other => {
            *child = Ref::new(other);
            Err(MALFORMED)
        }
    }
}

struct Iter {
    vector: Vector,
    at: u64,
    /// Current leaf and the index of its first element.
    leaf: Option<(Vector, u64)>,
}

impl Iterator for Iter {
    type Item = Result<Ref, CellError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.vector.0.count {
            return None;
        }
        let within =
            |(leaf, begin): &(Vector, u64)| leaf.0.refs.get((self.at - begin) as usize).cloned();
        let found = match self.leaf.as_ref().and_then(within) {
            Some(r) => Ok(r),
            None => self.vector.leaf_of(self.at).and_then(|leaf| {
                let r = within(&leaf).ok_or(MALFORMED);
                self.leaf = Some(leaf);
                r
            }),
        };
        match found {
            Ok(r) => {
                self.at += 1;
                Some(Ok(r))
            }
            Err(error) => {
                self.at = self.vector.0.count;
                Some(Err(error))
            }
        }
    }
}

/// One or two vectors laid end to end, from which canonical vectors are built; packed subtrees that already have
/// the right place and count are shared.
struct Source<'a> {
    first: &'a Vector,
    second: Option<&'a Vector>,
}

impl Source<'_> {
    fn build(&self, start: u64, count: u64) -> Result<Vector, CellError> {
        if count <= WIDTH {
            return self.leaf(start, count);
        }
        let rest = count % WIDTH;
        if rest == 0 {
            return self.packed(start, count);
        }
        let prefix = self.packed(start, count - rest)?;
        let refs = self.elements(start + count - rest, rest)?;
        Ok(Vector(Arc::new(Inner::new(
            count,
            refs,
            Some(Ref::new(Cell::Vector(prefix))),
        ))))
    }

    /// A vector of a positive multiple of 16 elements.
    fn packed(&self, start: u64, count: u64) -> Result<Vector, CellError> {
        if let Some(shared) = self.shared(start, count)? {
            return Ok(shared);
        }
        if count == WIDTH {
            return self.leaf(start, count);
        }
        let size = 1u64 << shift(count);
        let mut refs = Children::new();
        let mut at = 0;
        while at < count {
            let child = self.packed(start + at, size.min(count - at))?;
            refs.push(Ref::new(Cell::Vector(child)));
            at += size;
        }
        Ok(Vector(Arc::new(Inner::new(count, refs, None))))
    }

    fn leaf(&self, start: u64, count: u64) -> Result<Vector, CellError> {
        Ok(Vector(Arc::new(Inner::new(
            count,
            self.elements(start, count)?,
            None,
        ))))
    }

    fn elements(&self, start: u64, count: u64) -> Result<Children, CellError> {
        let split = self.first.count();
        let head = split.saturating_sub(start).min(count);
        let mut refs: Children = SmallVec::with_capacity(count as usize);
        for r in self.first.iter_refs_from(start).take(head as usize) {
            refs.push(r?);
        }
        if let Some(second) = self.second.filter(|_| head < count) {
            for r in second
                .iter_refs_from((start + head) - split)
                .take((count - head) as usize)
            {
                refs.push(r?);
            }
        }
        Ok(refs)
    }

    fn shared(&self, start: u64, count: u64) -> Result<Option<Vector>, CellError> {
        let split = self.first.count();
        match self.second {
            _ if start + count <= split => subtree(self.first, start, count),
            Some(second) if start >= split => subtree(second, start - split, count),
            _ => Ok(None),
        }
    }
}

/// The existing packed vector that holds exactly these elements.
fn subtree(vector: &Vector, start: u64, count: u64) -> Result<Option<Vector>, CellError> {
    let inner = &*vector.0;
    if start == 0 && count == inner.count {
        return Ok(Some(vector.clone()));
    }
    if is_tree(inner.count) {
        let size = 1u64 << shift(inner.count);
        let (n, within) = (start / size, start % size);
        let child_count = size.min(inner.count - n * size);
        if within + count > child_count {
            return Ok(None);
        }
        return subtree(
            &child_vector(inner.refs.get(n as usize), child_count)?,
            within,
            count,
        );
    }
    let packed = if inner.count <= WIDTH {
        0
    } else {
        inner.count - inner.count % WIDTH
    };
    if start + count > packed {
        return Ok(None);
    }
    subtree(&child_vector(inner.prefix.as_ref(), packed)?, start, count)
}

/// Builds a vector from its elements in order, leaf by leaf.
#[derive(Default)]
struct Builder {
    tail: Children,
    leaves: Vec<Ref>,
}

impl Builder {
    fn push(&mut self, r: Ref) {
        if self.tail.len() == WIDTH as usize {
            let leaf = Inner::new(WIDTH, std::mem::take(&mut self.tail), None);
            self.leaves
                .push(Ref::new(Cell::Vector(Vector(Arc::new(leaf)))));
        }
        self.tail.push(r);
    }

    fn finish(mut self) -> Vector {
        let tail = self.tail.len() as u64;
        let packed = WIDTH * self.leaves.len() as u64;
        if packed == 0 {
            return Vector(Arc::new(Inner::new(tail, self.tail, None)));
        }
        if tail == WIDTH {
            let leaf = Inner::new(WIDTH, self.tail, None);
            self.leaves
                .push(Ref::new(Cell::Vector(Vector(Arc::new(leaf)))));
            return pack(self.leaves, packed + WIDTH);
        }
        let prefix = Ref::new(Cell::Vector(pack(self.leaves, packed)));
        Vector(Arc::new(Inner::new(packed + tail, self.tail, Some(prefix))))
    }
}

/// The packed vector over full leaves.
fn pack(mut level: Vec<Ref>, count: u64) -> Vector {
    let mut size = WIDTH;
    while level.len() > 1 {
        let above = size * WIDTH;
        let mut at = 0;
        let mut next = Vec::with_capacity(level.len().div_ceil(WIDTH as usize));
        let mut group = Children::new();
        for r in level {
            group.push(r);
            if group.len() == WIDTH as usize {
                // The last child of the last node may be short.
                let node = Inner::new(above.min(count - at), std::mem::take(&mut group), None);
                next.push(Ref::new(Cell::Vector(Vector(Arc::new(node)))));
                at += above;
            }
        }
        match group.len() {
            0 => {}
            // A lone rest is no node of its own: it stands at the level above as it is.
            1 => next.extend(group),
            _ => {
                let node = Inner::new(count - at, group, None);
                next.push(Ref::new(Cell::Vector(Vector(Arc::new(node)))));
            }
        }
        level = next;
        size = above;
    }
    match level.pop().map(|r| r.in_memory().cloned()) {
        Some(Some(Cell::Vector(v))) => v,
        // No leaves: callers always have one.
        _ => Vector::empty(),
    }
}

impl FromIterator<Cell> for Vector {
    fn from_iter<I: IntoIterator<Item = Cell>>(cells: I) -> Self {
        Self::from_refs(cells.into_iter().map(Ref::new))
    }
}

impl PartialEq for Vector {
    fn eq(&self, other: &Self) -> bool {
        Cell::from(self.clone()) == Cell::from(other.clone())
    }
}

impl Eq for Vector {}

impl std::fmt::Debug for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&Cell::from(self.clone()), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: i64) -> Vector {
        (0..n).map(Cell::from).collect()
    }

    #[test]
    fn pushing_gives_the_shape_of_building_at_once() {
        let mut grown = Vector::empty();
        for n in 0..5000i64 {
            if n < 600 || n % 97 == 0 || n % 256 < 2 {
                assert_eq!(grown, numbers(n), "{n}");
            }
            grown = grown.push(Cell::from(n)).unwrap();
        }
    }

    #[test]
    fn memory_sizes_of_the_spec_hold() {
        for (n, bytes) in [(256, 674), (257, 39), (512, 69), (4096, 531)] {
            assert_eq!(Cell::from(numbers(n)).encoded_len(), bytes, "{n}");
        }
    }

    #[test]
    fn slices_joins_and_updates_are_canonical() {
        let v = numbers(1000);
        for (a, b) in [
            (0, 16),
            (16, 32),
            (0, 256),
            (256, 512),
            (3, 700),
            (512, 1000),
            (999, 1000),
            (5, 5),
        ] {
            let slice = v.slice(a, b).unwrap().unwrap();
            assert_eq!(
                slice,
                (a as i64..b as i64).map(Cell::from).collect::<Vector>(),
                "{a}..{b}"
            );
        }
        for cut in [0, 1, 16, 255, 256, 300, 990] {
            let head = v.slice(0, cut).unwrap().unwrap();
            let tail = v.slice(cut, 1000).unwrap().unwrap();
            assert_eq!(head.concat(&tail).unwrap(), v);
        }
        let changed = v.clone().assoc(700, Cell::Nil).unwrap().unwrap();
        let expected: Vector = (0..1000)
            .map(|i| if i == 700 { Cell::Nil } else { Cell::from(i) })
            .collect();
        assert_eq!(changed, expected);
        assert_eq!(v, numbers(1000));
        assert!(v.clone().assoc(1000, Cell::Nil).unwrap().is_none());
        assert!(v.slice(2, 1).unwrap().is_none());
        let all: Result<Vec<_>, _> = v.iter().collect();
        assert_eq!(all.unwrap().len(), 1000);
    }
}
