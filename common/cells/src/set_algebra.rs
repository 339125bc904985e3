//! Union, intersection, difference, slice and subset of sets, exactly as the network has them (`spec/01 §9.6`).
//!
//! The reference works on trees by a running level instead of the shift of each node, so its results can have
//! another shape than the same set built element by element: other bytes, another hash. Those shapes are part of
//! the state of the network. The procedures here follow the published description step by step; do not "repair"
//! them.

use smallvec::SmallVec;

use crate::set::SetEntry;
use crate::trie::{self, Children, LEAF_MAX, MAX_LEVELS, Trie, digits};
use crate::{Cell, CellError, Ref, Set};

type SetTrie = Trie<SetEntry>;

/// A set operation, by which elements it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOp {
    /// Elements of either.
    Union,
    /// Elements of both.
    Intersection,
    /// Elements of the left but not of the right.
    Difference,
    /// Elements of the right but not of the left.
    ReverseDifference,
}

impl SetOp {
    fn keeps_both(self) -> bool {
        matches!(self, Self::Union | Self::Intersection)
    }

    fn keeps_left(self) -> bool {
        matches!(self, Self::Union | Self::Difference)
    }

    fn keeps_right(self) -> bool {
        matches!(self, Self::Union | Self::ReverseDifference)
    }

    /// The same operation with its arguments exchanged.
    fn reversed(self) -> Self {
        match self {
            Self::Difference => Self::ReverseDifference,
            Self::ReverseDifference => Self::Difference,
            same => same,
        }
    }
}

impl Set {
    /// `op` of this and `other`.
    ///
    /// # Errors
    /// [`CellError::Misaligned`] where the reference halts; otherwise when a node can't be read or a tree is
    /// malformed.
    pub fn combine(&self, other: &Self, op: SetOp) -> Result<Self, CellError> {
        let level = self.0.as_tree().map_or(0, |(shift, ..)| u32::from(shift));
        merge(&self.0, &other.0, op, level, &mut Walk::new(self, other)).map(Self)
    }

    /// Elements `start..end` by position; `None` unless 0 ≤ start ≤ end ≤ count.
    ///
    /// # Errors
    /// When a node can't be read or a tree is malformed.
    pub fn slice(&self, start: u64, end: u64) -> Result<Option<Self>, CellError> {
        if start > end || end > self.count() {
            return Ok(None);
        }
        slice(&self.0, start, end, 0).map(|t| Some(Self(t)))
    }

    /// True when every element of `other` is an element of this, as the reference sees it.
    ///
    /// # Errors
    /// When a node can't be read or a tree is malformed.
    pub fn contains_all(&self, other: &Self) -> Result<bool, CellError> {
        contains_all(&self.0, &other.0, &mut Walk::new(self, other))
    }
}

fn check_depth(depth: u32) -> Result<(), CellError> {
    if depth > MAX_LEVELS {
        Err(CellError::Malformed("set tree too deep"))
    } else {
        Ok(())
    }
}

/// Bounds a walk over two trees. A few nodes that share their children can stand for more nodes than anybody can visit,
/// whatever number of elements they claim; of a tree whose elements are all there, each has at most 64 nodes above it.
struct Walk {
    depth: u32,
    steps: u64,
}

/// Steps in which trees that claim fewer elements than they have may still be walked.
const STEPS: u64 = 1 << 14;

impl Walk {
    fn new(a: &Set, b: &Set) -> Self {
        let fewer = a.count().min(b.count());
        Self {
            depth: 0,
            steps: fewer.saturating_add(2).saturating_mul(128).max(STEPS),
        }
    }

    /// One level down, for one pair of nodes.
    fn enter(&mut self) -> Result<(), CellError> {
        self.steps = self.steps.checked_sub(1).ok_or(CellError::Malformed(
            "set tree with more nodes than its elements need",
        ))?;
        check_depth(self.depth)?;
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// Same value, which here is the same hash.
fn equal(a: &SetTrie, b: &SetTrie) -> bool {
    a.ptr_eq(b) || Cell::Set(Set(a.clone())) == Cell::Set(Set(b.clone()))
}

/// `M` of the specification.
fn merge(
    x: &SetTrie,
    y: &SetTrie,
    op: SetOp,
    level: u32,
    walk: &mut Walk,
) -> Result<SetTrie, CellError> {
    if is_nothing(x) || is_nothing(y) {
        // Nothing happens to any element, or the same to all: only what can be wrong with a tree is left to be seen.
        let (tree, kept) = if is_nothing(y) {
            (x, op.keeps_left())
        } else {
            (y, op.keeps_right())
        };
        if tree.as_tree().is_none() {
            check_depth(walk.depth)?;
            return leaf_leaf(x, y, op);
        }
        if let Some(levels) = levels(tree, walk.depth)? {
            check_depth(walk.depth + u32::from(levels))?;
            return Ok(if kept { tree.clone() } else { SetTrie::empty() });
        }
    }
    walk.enter()?;
    let merged = match (x.as_tree(), y.as_tree()) {
        (None, None) => leaf_leaf(x, y, op),
        (None, Some(_)) => tree_leaf(y, x, op.reversed(), level, walk),
        (Some(_), None) => tree_leaf(x, y, op, level, walk),
        (Some((a, ..)), Some((b, ..))) if a != b => Err(CellError::Misaligned),
        (Some(_), Some(_)) => tree_tree(x, y, op, level, walk),
    };
    walk.leave();
    merged
}

fn is_nothing(set: &SetTrie) -> bool {
    set.as_leaf().is_some_and(<[SetEntry]>::is_empty)
}

/// Levels below this tree; `None` where a leaf without elements is in it.
fn levels(tree: &SetTrie, depth: u32) -> Result<Option<u16>, CellError> {
    let Some((_, mask, children)) = tree.as_tree() else {
        return Ok((!is_nothing(tree)).then_some(0));
    };
    if let Some(levels) = tree.node().cache().levels() {
        return Ok(Some(levels));
    }
    check_depth(depth)?;
    let mut most = 0;
    for (_, r) in digits(mask).zip(children) {
        let below = trie::child::<SetEntry>(r)?;
        match levels(&below, depth + 1)? {
            Some(levels) => most = most.max(levels + 1),
            None => return Ok(None),
        }
    }
    tree.node().cache().set_levels(most);
    Ok(Some(most))
}

fn leaf_leaf(a: &SetTrie, b: &SetTrie, op: SetOp) -> Result<SetTrie, CellError> {
    if equal(a, b) {
        return Ok(if op.keeps_both() {
            a.clone()
        } else {
            SetTrie::empty()
        });
    }
    let (left, right) = (
        a.as_leaf().unwrap_or_default(),
        b.as_leaf().unwrap_or_default(),
    );
    let mut kept = Vec::new();
    let (mut i, mut j) = (0, 0);
    loop {
        let (entry, keep) = match (left.get(i), right.get(j)) {
            (None, None) => break,
            (Some(l), None) => {
                i += 1;
                (l, op.keeps_left())
            }
            (None, Some(r)) => {
                j += 1;
                (r, op.keeps_right())
            }
            (Some(l), Some(r)) => match l.hash.cmp(&r.hash) {
                std::cmp::Ordering::Less => {
                    i += 1;
                    (l, op.keeps_left())
                }
                std::cmp::Ordering::Greater => {
                    j += 1;
                    (r, op.keeps_right())
                }
                std::cmp::Ordering::Equal => {
                    i += 1;
                    j += 1;
                    (l, op.keeps_both())
                }
            },
        };
        if keep {
            kept.push(entry.clone());
        }
    }
    if kept.len() == left.len() && kept.iter().zip(left).all(|(k, l)| k.hash == l.hash) {
        return Ok(a.clone());
    }
    // Built by inclusion: what was there twice is there once.
    kept.dedup_by_key(|e| e.hash);
    Ok(SetTrie::from_sorted(kept))
}

fn tree_leaf(
    tree: &SetTrie,
    leaf: &SetTrie,
    op: SetOp,
    level: u32,
    walk: &mut Walk,
) -> Result<SetTrie, CellError> {
    let (_, mask, children) = tree
        .as_tree()
        .ok_or(CellError::Malformed("set tree expected"))?;
    let elements = leaf.as_leaf().unwrap_or_default();
    let mut changed = false;
    let mut parts = Vec::with_capacity(children.len());
    for (digit, r) in digits(mask).zip(children) {
        let before = trie::child::<SetEntry>(r)?;
        let sub: SmallVec<[SetEntry; 1]> = elements
            .iter()
            .filter(|e| e.hash.digit(level as usize) == digit)
            .cloned()
            .collect();
        let after = merge(&before, &SetTrie::leaf(sub), op, level + 1, walk)?;
        changed |= !equal(&before, &after);
        parts.push((digit, after));
    }
    let mut result = if changed {
        assemble(parts, level)?
    } else {
        tree.clone()
    };
    if op.keeps_right() {
        for element in elements
            .iter()
            .filter(|e| mask & (1 << e.hash.digit(level as usize)) == 0)
        {
            result = Set(result).include(element.value.get()?)?.0;
        }
    }
    Ok(result)
}

fn tree_tree(
    a: &SetTrie,
    b: &SetTrie,
    op: SetOp,
    level: u32,
    walk: &mut Walk,
) -> Result<SetTrie, CellError> {
    let (Some((_, a_mask, a_children)), Some((_, b_mask, b_children))) = (a.as_tree(), b.as_tree())
    else {
        return Err(CellError::Malformed("set tree expected"));
    };
    let mut changed = false;
    let mut parts = Vec::new();
    for digit in digits(a_mask | b_mask) {
        let left = child_or_empty(a_mask, a_children, digit)?;
        let right = child_or_empty(b_mask, b_children, digit)?;
        let after = merge(&left, &right, op, level + 1, walk)?;
        changed |= !equal(&left, &after);
        parts.push((digit, after));
    }
    if changed {
        assemble(parts, level)
    } else {
        Ok(a.clone())
    }
}

fn child_or_empty(mask: u16, children: &[Ref], digit: u8) -> Result<SetTrie, CellError> {
    match trie::child_position(mask, digit) {
        None => Ok(SetTrie::empty()),
        Some(i) => trie::child(
            children
                .get(i)
                .ok_or(CellError::Malformed("set tree lacks a child"))?,
        ),
    }
}

/// `Full` of the specification: the level becomes the shift, right or wrong, and a single child stays one.
fn assemble(parts: Vec<(u8, SetTrie)>, level: u32) -> Result<SetTrie, CellError> {
    let parts: Vec<_> = parts.into_iter().filter(|(_, t)| t.count() > 0).collect();
    let count: u64 = parts
        .iter()
        .fold(0, |sum, (_, t)| sum.wrapping_add(t.count()));
    if count <= LEAF_MAX as u64 {
        let mut entries: Vec<SetEntry> = Vec::with_capacity(LEAF_MAX);
        for (_, part) in &parts {
            entries.extend(part.to_entries()?);
        }
        entries.sort_by_key(|e| e.hash);
        return Ok(SetTrie::leaf(entries.into()));
    }
    let mask = parts.iter().fold(0, |mask, (digit, _)| mask | 1 << digit);
    let children: Children = parts
        .into_iter()
        .map(|(_, t)| Ref::new(Cell::Set(Set(t))))
        .collect();
    Ok(SetTrie::tree(count, level as u8, mask, children))
}

/// The positions run over a node that changes under the loop, as in the specification.
fn slice(set: &SetTrie, start: u64, end: u64, depth: u32) -> Result<SetTrie, CellError> {
    check_depth(depth)?;
    let count = end - start;
    if count == set.count() {
        return Ok(set.clone());
    }
    if count == 0 {
        return Ok(SetTrie::empty());
    }
    if let Some(entries) = set.as_leaf() {
        let part = entries
            .get(start as usize..end as usize)
            .ok_or(CellError::Malformed("set leaf too short"))?;
        return Ok(SetTrie::leaf(part.iter().cloned().collect()));
    }
    if count <= LEAF_MAX as u64 {
        let part: Result<Vec<_>, _> = set
            .entries()
            .skip(start as usize)
            .take(count as usize)
            .collect();
        let mut part = part?;
        part.sort_by_key(|e| e.hash);
        return Ok(SetTrie::leaf(part.into()));
    }
    let mut result = set.clone();
    let mut k = set.as_tree().map_or(0, |(_, _, children)| children.len());
    let (mut position, mut i) = (0u64, 0usize);
    while i < k {
        let part = nth_child(&result, i)?;
        let stop = position.wrapping_add(part.count());
        if stop <= start || position >= end {
            result = without_child(&result, i)?;
            k -= 1;
        } else {
            let size = part.count();
            let from = start.saturating_sub(position);
            let to = size.min(end - position);
            let cut = slice(&part, from, to, depth + 1)?;
            if !equal(&cut, &part) {
                result = with_child(&result, i, cut)?;
            }
            i += 1;
        }
        position = stop;
    }
    Ok(result)
}

const NO_CHILD: CellError = CellError::Malformed("set slice went past the children of a node");

fn nth_child(set: &SetTrie, i: usize) -> Result<SetTrie, CellError> {
    let (_, _, children) = set.as_tree().ok_or(NO_CHILD)?;
    trie::child(children.get(i).ok_or(NO_CHILD)?)
}

fn without_child(set: &SetTrie, i: usize) -> Result<SetTrie, CellError> {
    let (shift, mask, children) = set.as_tree().ok_or(NO_CHILD)?;
    if children.len() == 2 {
        return nth_child(set, 1 - i.min(1));
    }
    let digit = digits(mask).nth(i).ok_or(NO_CHILD)?;
    let gone = nth_child(set, i)?.count();
    let rest: Children = children
        .iter()
        .enumerate()
        .filter(|(n, _)| *n != i)
        .map(|(_, r)| r.clone())
        .collect();
    shrink(SetTrie::tree(
        set.count().wrapping_sub(gone),
        shift,
        mask & !(1 << digit),
        rest,
    ))
}

fn with_child(set: &SetTrie, i: usize, part: SetTrie) -> Result<SetTrie, CellError> {
    if part.count() == 0 {
        return without_child(set, i);
    }
    let (shift, mask, children) = set.as_tree().ok_or(NO_CHILD)?;
    let before = nth_child(set, i)?.count();
    let count = set.count().wrapping_sub(before).wrapping_add(part.count());
    let mut children: Children = children.iter().cloned().collect();
    children[i] = Ref::new(Cell::Set(Set(part)));
    shrink(SetTrie::tree(count, shift, mask, children))
}

fn shrink(set: SetTrie) -> Result<SetTrie, CellError> {
    if set.count() <= LEAF_MAX as u64 {
        set.to_leaf()
    } else {
        Ok(set)
    }
}

fn contains_all(a: &SetTrie, b: &SetTrie, walk: &mut Walk) -> Result<bool, CellError> {
    match (a.as_tree(), b.as_tree()) {
        (None, _) => {
            if a.ptr_eq(b) {
                return Ok(true);
            }
            if b.count() > a.count() {
                return Ok(false);
            }
            for element in b.entries() {
                if a.find(&element?.hash, |_| ())?.is_none() {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Some(_), None) => {
            for element in b.as_leaf().unwrap_or_default() {
                if a.find(&element.hash, |_| ())?.is_none() {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Some((_, a_mask, a_children)), Some((_, b_mask, b_children))) => {
            if a_mask & b_mask != b_mask {
                return Ok(false);
            }
            for digit in digits(b_mask) {
                let left = child_or_empty(a_mask, a_children, digit)?;
                let right = child_or_empty(b_mask, b_children, digit)?;
                walk.enter()?;
                if !contains_all(&left, &right, walk)? {
                    return Ok(false);
                }
                walk.leave();
            }
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 20 smallest non-negative integers whose hash starts with digit 0.
    fn a() -> Set {
        (0..)
            .map(Cell::Long)
            .filter(|c| c.hash().digit(0) == 0)
            .take(20)
            .collect()
    }

    fn hash(set: &Set) -> String {
        Cell::from(set.clone()).hash().to_string()
    }

    #[test]
    fn the_defects_of_the_reference_give_its_hashes() {
        let (a, x) = (a(), Cell::Long(4));
        let just_x: Set = [x.clone()].into_iter().collect();
        assert_eq!(
            hash(&a),
            "a969643347322955f356a6a11a2e86d17a67e2cbb7e95933d7feb3e9cdf150e0"
        );
        let canonical = a.clone().include(x.clone()).unwrap();
        assert_eq!(
            hash(&canonical),
            "ae9850e1012a54c726b648d6586a2ab8922dc86ef2c46c57571dc55126447540"
        );
        let union = a.combine(&just_x, SetOp::Union).unwrap();
        assert_eq!(
            hash(&union),
            "30c8c1c64043d963f975457f09acfcc968d4ad44f0515e3d85c53ebc2c7a3040"
        );
        let union = just_x.combine(&a, SetOp::Union).unwrap();
        assert_eq!(hash(&union), hash(&canonical));
        let difference = canonical.combine(&just_x, SetOp::Difference).unwrap();
        assert_eq!(
            hash(&difference),
            "c7c76cded434371b9344cbd33524fe0bbdf65536574381951b40729d3cca87cf"
        );
        assert_eq!(hash(&canonical.exclude(&x).unwrap()), hash(&a));
    }

    #[test]
    fn an_element_filed_in_the_wrong_place_can_be_included_again() {
        let (a, x) = (a(), Cell::Long(4));
        let union = a
            .combine(&[x.clone()].into_iter().collect(), SetOp::Union)
            .unwrap();
        let twice = union.include(x.clone()).unwrap();
        assert_eq!(twice.count(), 22);
        assert_eq!(
            hash(&twice),
            "10b56b3fdbd4bc9c5663ebaa012e3724d24e3a922ca5b6080afdee03cf38fbd0"
        );
        // Either removal takes one of the two.
        assert_eq!(twice.exclude(&x).unwrap().count(), 21);
    }

    #[test]
    fn slices_over_a_vanishing_child_have_too_many_elements() {
        let with = |digit, n| {
            (0..)
                .map(Cell::Long)
                .filter(move |c| c.hash().digit(0) == digit)
                .take(n)
        };
        let set: Set = with(0, 3).chain(with(9, 20)).collect();
        assert_eq!(set.slice(3, 20).unwrap().unwrap().count(), 20);
        assert_eq!(set.slice(6, 23).unwrap().unwrap().count(), 19);
    }

    #[test]
    fn subset_ignores_shifts() {
        let with = |digit, n| {
            (0..)
                .map(Cell::Long)
                .filter(move |c| c.hash().digit(0) == digit)
                .take(n)
        };
        let small: Set = with(0, 20).collect();
        let large: Set = with(0, 20).chain(with(9, 3)).collect();
        assert!(!large.contains_all(&small).unwrap());
        assert!(small.contains_all(&small.clone()).unwrap());
    }
}
