//! The path-compressed hash trie behind maps and sets (`spec/01 §8, §9`).
//!
//! Up to 15 entries are a leaf in hash order. A tree node tells its entries apart by the hex digit of their
//! hashes at `shift`, the number of digits that all of them share; so the shape depends on the keys alone.

use smallvec::SmallVec;
use triomphe::{Arc, UniqueArc};

use crate::node::{self, Cache, Node};
use crate::{Cell, CellError, Hash, Ref, vlq};

/// Most entries of a leaf.
pub(crate) const LEAF_MAX: usize = 15;

/// Levels an operation follows. Well-formed tries have at most 64, but the decoder lets chains of nodes pass
/// (`spec/01 §8.5`), and the reference follows those as far as its stack goes.
pub(crate) const MAX_LEVELS: u32 = 2048;

const CHILD: CellError = CellError::Malformed("child of a map or set tree has the wrong type");
const EMPTY: CellError = CellError::Malformed("map or set tree without entries");
const SHORT: CellError = CellError::Malformed("counts of a map or set tree do not add up");
const DEEP: CellError = CellError::Malformed("map or set tree too deep");

/// What a trie holds: a key and perhaps a value.
pub(crate) trait Entry: Clone {
    /// Tag of the cell.
    const TAG: u8;
    /// Refs of one entry, in encoding order.
    const REFS: usize;
    /// Nothing but `nil`, before it is decoded.
    const BLANK: Self;
    /// What is wrong with a leaf whose keys are not in the order of their hashes.
    const DISORDER: &'static str;
    /// Hash of the key.
    fn hash(&self) -> &Hash;
    /// Where the hash of the key, the key and the value belong.
    fn places(&mut self) -> (&mut Hash, &mut Ref, Option<&mut Ref>);
    fn ref_at(&self, i: usize) -> Option<&Ref>;
    /// Takes the value of `newer`, keeping the key.
    fn update(&mut self, newer: Self);
    fn wrap(trie: Trie<Self>) -> Cell;
    fn unwrap(cell: &Cell) -> Option<&Trie<Self>>;
    /// As [`Entry::unwrap`], consuming; gives a foreign cell back.
    fn unwrap_owned(cell: Cell) -> Result<Trie<Self>, Cell>;
}

pub(crate) type Children = SmallVec<[Ref; 4]>;

#[derive(Clone)]
pub(crate) struct Trie<E: Entry>(Arc<Inner<E>>);

#[derive(Clone)]
struct Inner<E> {
    cache: Cache,
    count: u64,
    body: Body<E>,
}

#[derive(Clone)]
enum Body<E> {
    Leaf(SmallVec<[E; 1]>),
    Tree {
        shift: u8,
        mask: u16,
        children: Children,
    },
}

impl<E: Entry> Node for Inner<E> {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(E::TAG);
        vlq::write(out, self.count);
        match &self.body {
            Body::Leaf(entries) => {
                for entry in entries {
                    (0..E::REFS)
                        .filter_map(|i| entry.ref_at(i))
                        .for_each(|r| node::write_ref(out, r));
                }
            }
            Body::Tree {
                shift,
                mask,
                children,
            } => {
                out.push(*shift);
                out.extend_from_slice(&mask.to_be_bytes());
                children.iter().for_each(|r| node::write_ref(out, r));
            }
        }
    }

    fn head_len(&self) -> Option<usize> {
        let shape = match &self.body {
            Body::Leaf(_) => 0,
            Body::Tree { .. } => 3,
        };
        Some(1 + vlq::len(self.count) + shape)
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        match &self.body {
            Body::Leaf(entries) => entries.get(i / E::REFS)?.ref_at(i % E::REFS),
            Body::Tree { children, .. } => children.get(i),
        }
    }
}

/// A trie whose parts are being decoded into their places: children may be of any type and number.
pub(crate) struct Growing<E>(UniqueArc<Inner<E>>);

impl<E: Entry> Growing<E> {
    fn new(count: u64, body: Body<E>) -> Self {
        Self(UniqueArc::new(Inner {
            cache: Cache::new(),
            count,
            body,
        }))
    }

    #[inline]
    pub(crate) fn leaf(count: u64) -> Self {
        Self::new(count, Body::Leaf(SmallVec::new()))
    }

    pub(crate) fn tree(count: u64, shift: u8, mask: u16) -> Self {
        Self::new(
            count,
            Body::Tree {
                shift,
                mask,
                children: Children::new(),
            },
        )
    }

    /// The entries of a leaf; `None` of a tree.
    #[inline]
    pub(crate) fn entries(&mut self) -> Option<&mut SmallVec<[E; 1]>> {
        match &mut self.0.body {
            Body::Leaf(entries) => Some(entries),
            Body::Tree { .. } => None,
        }
    }

    /// The children of a tree; `None` of a leaf.
    pub(crate) fn children(&mut self) -> Option<&mut Children> {
        match &mut self.0.body {
            Body::Leaf(_) => None,
            Body::Tree { children, .. } => Some(children),
        }
    }

    #[inline]
    pub(crate) fn cache(&mut self) -> &mut Cache {
        &mut self.0.cache
    }

    #[inline]
    pub(crate) fn finish(self) -> Trie<E> {
        Trie(self.0.shareable())
    }
}

/// Position of `digit` among the children of a node with `mask`; `None` when it has no child.
pub(crate) fn child_position(mask: u16, digit: u8) -> Option<usize> {
    let bit = 1u16 << digit;
    (mask & bit != 0).then(|| (mask & (bit - 1)).count_ones() as usize)
}

/// The digits in `mask`, ascending.
pub(crate) fn digits(mask: u16) -> impl Iterator<Item = u8> {
    (0..16u8).filter(move |d| mask & (1 << d) != 0)
}

fn own<E: Entry>(inner: &mut Arc<Inner<E>>) -> &mut Inner<E> {
    let inner = Arc::make_mut(inner);
    inner.cache.reset();
    inner
}

/// A child of a tree node, as the trie it must be.
pub(crate) fn child<E: Entry>(r: &Ref) -> Result<Trie<E>, CellError> {
    E::unwrap(&*r.load()?).cloned().ok_or(CHILD)
}

impl<E: Entry> Trie<E> {
    fn make(count: u64, body: Body<E>) -> Self {
        Self(Arc::new(Inner {
            cache: Cache::new(),
            count,
            body,
        }))
    }

    pub(crate) fn empty() -> Self {
        Self::leaf(SmallVec::new())
    }

    /// A leaf of at most 15 entries in hash order.
    pub(crate) fn leaf(entries: SmallVec<[E; 1]>) -> Self {
        Self::make(entries.len() as u64, Body::Leaf(entries))
    }

    /// A tree node as given; the caller answers for its shape.
    pub(crate) fn tree(count: u64, shift: u8, mask: u16, children: Children) -> Self {
        Self::make(
            count,
            Body::Tree {
                shift,
                mask,
                children,
            },
        )
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.count
    }

    pub(crate) fn node(&self) -> &dyn Node
    where
        E: 'static,
    {
        &*self.0
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The entries of a leaf.
    pub(crate) fn as_leaf(&self) -> Option<&[E]> {
        match &self.0.body {
            Body::Leaf(entries) => Some(entries),
            Body::Tree { .. } => None,
        }
    }

    /// Shift, mask and children of a tree.
    pub(crate) fn as_tree(&self) -> Option<(u8, u16, &[Ref])> {
        match &self.0.body {
            Body::Leaf(_) => None,
            Body::Tree {
                shift,
                mask,
                children,
            } => Some((*shift, *mask, children)),
        }
    }

    /// Calls `f` with the entry of this key hash.
    pub(crate) fn find<T>(
        &self,
        hash: &Hash,
        f: impl FnOnce(&E) -> T,
    ) -> Result<Option<T>, CellError> {
        let mut trie = self;
        loop {
            let next = match &trie.0.body {
                Body::Leaf(entries) => {
                    return Ok(entries.iter().find(|e| e.hash() == hash).map(f));
                }
                Body::Tree {
                    shift,
                    mask,
                    children,
                } => match child_position(*mask, hash.digit(*shift as usize)) {
                    None => return Ok(None),
                    Some(i) => children.get(i).ok_or(CHILD)?,
                },
            };
            match next.in_memory() {
                Some(cell) => trie = E::unwrap(cell).ok_or(CHILD)?,
                None => return child::<E>(next)?.find_from_store(hash, f),
            }
        }
    }

    /// [`Trie::find`] below a node that is not in memory: owned step by step, so that no depth is too deep.
    fn find_from_store<T>(
        self,
        hash: &Hash,
        f: impl FnOnce(&E) -> T,
    ) -> Result<Option<T>, CellError> {
        let mut trie = self;
        loop {
            let next = match &trie.0.body {
                Body::Leaf(entries) => return Ok(entries.iter().find(|e| e.hash() == hash).map(f)),
                Body::Tree {
                    shift,
                    mask,
                    children,
                } => match child_position(*mask, hash.digit(*shift as usize)) {
                    None => return Ok(None),
                    Some(i) => child::<E>(children.get(i).ok_or(CHILD)?)?,
                },
            };
            trie = next;
        }
    }

    /// Hash of the first key.
    fn first_hash(&self) -> Result<Hash, CellError> {
        let mut trie = self.clone();
        loop {
            let next = match &trie.0.body {
                Body::Leaf(entries) => return entries.first().map(|e| *e.hash()).ok_or(EMPTY),
                Body::Tree { children, .. } => child::<E>(children.first().ok_or(EMPTY)?)?,
            };
            trie = next;
        }
    }

    /// With `entry` added, or its value in place of the present one. Unshared nodes change in place.
    pub(crate) fn insert(mut self, entry: E) -> Result<Self, CellError> {
        insert(&mut self, entry, 0)?;
        Ok(self)
    }

    /// True when an insertion of this key hash would find it in place.
    pub(crate) fn insertion_meets(&self, hash: &Hash) -> Result<bool, CellError> {
        let mut trie = self.clone();
        for _ in 0..=MAX_LEVELS {
            let below = match trie.as_tree() {
                None => {
                    let entries = trie.as_leaf().unwrap_or_default();
                    return Ok(entries.binary_search_by(|e| e.hash().cmp(hash)).is_ok());
                }
                Some((shift, mask, children)) => {
                    if hash.common_prefix(&trie.first_hash()?) < shift as usize {
                        return Ok(false);
                    }
                    match child_position(mask, hash.digit(shift as usize)) {
                        None => return Ok(false),
                        Some(i) => child::<E>(children.get(i).ok_or(CHILD)?)?,
                    }
                }
            };
            trie = below;
        }
        Err(DEEP)
    }

    /// Without the entry of this key hash.
    pub(crate) fn remove(mut self, hash: &Hash) -> Result<Self, CellError> {
        if self.find(hash, |_| ())?.is_some() {
            remove(&mut self, hash, 0)?;
        }
        Ok(self)
    }

    /// The canonical trie of entries in strictly ascending hash order.
    pub(crate) fn from_sorted(entries: Vec<E>) -> Self {
        if entries.len() <= LEAF_MAX {
            return Self::leaf(entries.into());
        }
        let count = entries.len() as u64;
        let (first, last) = (&entries[0], &entries[entries.len() - 1]);
        let shift = first.hash().common_prefix(last.hash());
        let mut mask = 0;
        let mut children = Children::new();
        let mut group: Vec<E> = Vec::new();
        let mut digit = first.hash().digit(shift);
        for entry in entries {
            let d = entry.hash().digit(shift);
            if d != digit {
                mask |= 1 << digit;
                children.push(Ref::new(E::wrap(Self::from_sorted(std::mem::take(
                    &mut group,
                )))));
                digit = d;
            }
            group.push(entry);
        }
        mask |= 1 << digit;
        children.push(Ref::new(E::wrap(Self::from_sorted(group))));
        Self::tree(count, shift as u8, mask, children)
    }

    /// From entries in any order; of entries with one key the last counts, the first keeps its key.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = E>) -> Self {
        let mut entries: Vec<E> = entries.into_iter().collect();
        entries.sort_by(|a, b| a.hash().cmp(b.hash()));
        let mut merged: Vec<E> = Vec::with_capacity(entries.len());
        for entry in entries {
            match merged.last_mut() {
                Some(last) if last.hash() == entry.hash() => last.update(entry),
                _ => merged.push(entry),
            }
        }
        Self::from_sorted(merged)
    }

    /// Entry `i` in hash order; `None` past the end.
    pub(crate) fn entry_at(&self, i: u64) -> Result<Option<E>, CellError> {
        if i >= self.0.count {
            return Ok(None);
        }
        let (mut trie, mut i) = (self.clone(), i);
        'down: loop {
            let next = match &trie.0.body {
                Body::Leaf(entries) => return Ok(entries.get(i as usize).cloned()),
                Body::Tree { children, .. } => {
                    let mut found = None;
                    for r in children {
                        let c = child::<E>(r)?;
                        if i < c.count() {
                            found = Some(c);
                            break;
                        }
                        i -= c.count();
                    }
                    found.ok_or(SHORT)?
                }
            };
            trie = next;
            continue 'down;
        }
    }

    /// Entries `start..end` in hash order, for 0 ≤ start ≤ end ≤ count, in canonical shape.
    pub(crate) fn slice(&self, start: u64, end: u64) -> Result<Self, CellError> {
        slice(self, start, end, 0)
    }

    /// The entries in hash order.
    pub(crate) fn entries(&self) -> Entries<E> {
        Entries {
            stack: vec![(self.clone(), 0, self.count())],
        }
    }

    /// A leaf of all entries. They are sorted, as a tree can hold them in another order (`spec/01 §9.6`).
    pub(crate) fn to_leaf(&self) -> Result<Self, CellError> {
        let mut entries = self.to_entries()?;
        entries.sort_by(|a, b| a.hash().cmp(b.hash()));
        Ok(Self::leaf(entries.into()))
    }

    /// All entries in hash order.
    pub(crate) fn to_entries(&self) -> Result<Vec<E>, CellError> {
        self.entries().collect()
    }
}

fn insert<E: Entry>(trie: &mut Trie<E>, entry: E, level: u32) -> Result<(), CellError> {
    if level > MAX_LEVELS {
        return Err(DEEP);
    }
    if let Some((shift, mask, _)) = trie.as_tree() {
        let prefix = entry.hash().common_prefix(&trie.first_hash()?);
        if prefix < shift as usize {
            // The key leaves the common path above this node: a fork takes its place.
            let old_digit = trie.first_hash()?.digit(prefix);
            let new_digit = entry.hash().digit(prefix);
            let count = trie.count() + 1;
            let old = Ref::new(E::wrap(trie.clone()));
            let new = Ref::new(E::wrap(Trie::leaf(SmallVec::from_elem(entry, 1))));
            let children = if old_digit < new_digit {
                [old, new]
            } else {
                [new, old]
            };
            let mask = 1 << old_digit | 1 << new_digit;
            *trie = Trie::tree(count, prefix as u8, mask, children.into_iter().collect());
            return Ok(());
        }
        let digit = entry.hash().digit(shift as usize);
        let inner = own(&mut trie.0);
        let Body::Tree {
            mask: own_mask,
            children,
            ..
        } = &mut inner.body
        else {
            return Err(CHILD);
        };
        let Some(i) = child_position(mask, digit) else {
            let at = (mask & ((1 << digit) - 1)).count_ones() as usize;
            children.insert(
                at.min(children.len()),
                Ref::new(E::wrap(Trie::leaf(SmallVec::from_elem(entry, 1)))),
            );
            *own_mask |= 1 << digit;
            inner.count += 1;
            return Ok(());
        };
        let slot = children.get_mut(i).ok_or(CHILD)?;
        return match E::unwrap_owned(slot.take()?) {
            Ok(mut below) => {
                let before = below.count();
                let done = insert(&mut below, entry, level + 1);
                inner.count = inner.count.wrapping_add(below.count().wrapping_sub(before));
                *slot = Ref::new(E::wrap(below));
                done
            }
            Err(foreign) => {
                *slot = Ref::new(foreign);
                Err(CHILD)
            }
        };
    }
    let inner = own(&mut trie.0);
    let Body::Leaf(entries) = &mut inner.body else {
        return Err(CHILD);
    };
    match entries.binary_search_by(|e| e.hash().cmp(entry.hash())) {
        Ok(i) => entries[i].update(entry),
        Err(i) => {
            entries.insert(i, entry);
            inner.count += 1;
            if entries.len() > LEAF_MAX {
                let entries = std::mem::take(entries);
                *trie = Trie::from_sorted(entries.into_vec());
            }
        }
    }
    Ok(())
}

/// Removes an entry that is known to be there.
fn remove<E: Entry>(trie: &mut Trie<E>, hash: &Hash, level: u32) -> Result<(), CellError> {
    if level > MAX_LEVELS {
        return Err(DEEP);
    }
    let inner = own(&mut trie.0);
    match &mut inner.body {
        Body::Leaf(entries) => {
            // One only: a set can hold an element twice (`spec/01 §9.6`).
            if let Some(i) = entries.iter().position(|e| e.hash() == hash) {
                entries.remove(i);
            }
            inner.count = entries.len() as u64;
            return Ok(());
        }
        Body::Tree {
            shift,
            mask,
            children,
        } => {
            let digit = hash.digit(*shift as usize);
            let i = child_position(*mask, digit).ok_or(CHILD)?;
            let slot = children.get_mut(i).ok_or(CHILD)?;
            let mut below = E::unwrap_owned(slot.take()?).map_err(|_| CHILD)?;
            remove(&mut below, hash, level + 1)?;
            inner.count = inner.count.wrapping_sub(1);
            if below.count() == 0 {
                children.remove(i);
                *mask &= !(1 << digit);
            } else {
                *slot = Ref::new(E::wrap(below));
            }
            if children.len() == 1 {
                let only = child::<E>(&children[0])?;
                *trie = only;
                return Ok(());
            }
        }
    }
    if trie.count() <= LEAF_MAX as u64 {
        *trie = trie.to_leaf()?;
    }
    Ok(())
}

fn slice<E: Entry>(trie: &Trie<E>, start: u64, end: u64, level: u32) -> Result<Trie<E>, CellError> {
    if start == 0 && end == trie.count() {
        return Ok(trie.clone());
    }
    if level > MAX_LEVELS {
        return Err(DEEP);
    }
    match &trie.0.body {
        Body::Leaf(entries) => {
            let part = entries.get(start as usize..end as usize).ok_or(EMPTY)?;
            Ok(Trie::leaf(part.iter().cloned().collect()))
        }
        Body::Tree {
            shift,
            mask,
            children,
        } => {
            let (mut kept, mut kept_mask, mut begin) = (Children::new(), 0u16, 0u64);
            for (digit, r) in digits(*mask).zip(children) {
                let below = child::<E>(r)?;
                let stop = begin + below.count();
                if start < stop && end > begin {
                    let part = slice(
                        &below,
                        start.max(begin) - begin,
                        end.min(stop) - begin,
                        level + 1,
                    )?;
                    kept.push(Ref::new(E::wrap(part)));
                    kept_mask |= 1 << digit;
                }
                begin = stop;
            }
            if kept.len() == 1 {
                return child(&kept[0]);
            }
            let part = Trie::tree(end - start, *shift, kept_mask, kept);
            if end - start <= LEAF_MAX as u64 {
                return Ok(Trie::leaf(part.to_entries()?.into()));
            }
            Ok(part)
        }
    }
}

/// Iterator over entries in hash order. Ends after the first error.
///
/// Positions go by the counts that nodes claim, as everywhere in the network: where a malformed tree has more
/// entries than it claims the rest does not exist, where it has fewer reading on is an error.
pub(crate) struct Entries<E: Entry> {
    /// Node, next child or entry, positions left in it.
    stack: Vec<(Trie<E>, usize, u64)>,
}

impl<E: Entry> Entries<E> {
    fn fail(&mut self, error: CellError) -> Option<Result<E, CellError>> {
        self.stack.clear();
        Some(Err(error))
    }
}

impl<E: Entry> Iterator for Entries<E> {
    type Item = Result<E, CellError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (trie, i, left) = self.stack.last_mut()?;
            if *left == 0 {
                self.stack.pop();
                continue;
            }
            match &trie.0.body {
                Body::Leaf(entries) => {
                    let Some(entry) = entries.get(*i).cloned() else {
                        return self.fail(SHORT);
                    };
                    *i += 1;
                    *left -= 1;
                    return Some(Ok(entry));
                }
                Body::Tree { children, .. } => {
                    let below = match children.get(*i).map(child::<E>) {
                        None => return self.fail(SHORT),
                        Some(Err(error)) => return self.fail(error),
                        Some(Ok(below)) => below,
                    };
                    let positions = below.count().min(*left);
                    *i += 1;
                    *left -= positions;
                    self.stack.push((below, 0, positions));
                }
            }
        }
    }
}
