//! Indexes: radix maps over byte strings, in the order of their keys (`spec/01 §10`).

use std::collections::HashMap;

use smallvec::SmallVec;
use triomphe::Arc;

use crate::hash::common_digits;
use crate::memory;
use crate::node::{self, Cache, Node};
use crate::trie::{MAX_LEVELS, child_position, digits};
use crate::{Cell, CellError, Hash, Ref, tag, vlq};

/// Hex digits of a key that count.
const MAX_DIGITS: usize = 64;

const CHILD: CellError = CellError::Malformed("child of an index is no index");
const KEY: CellError = CellError::Malformed("key of an index is no byte string");
const SHORT: CellError = CellError::Malformed("counts of an index do not add up");
const DEEP: CellError = CellError::Malformed("index too deep");

/// A map from byte strings to any values.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Ref,
    pub(crate) value: Ref,
}

type Children = SmallVec<[Ref; 2]>;

#[derive(Clone)]
struct Inner {
    cache: Cache,
    count: u64,
    /// Digits that all keys share; of a single key all of its digits.
    depth: u8,
    entry: Option<Entry>,
    mask: u16,
    children: Children,
}

impl Node for Inner {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(tag::INDEX);
        vlq::write(out, self.count);
        let entry = |out: &mut Vec<u8>, e: &Entry| {
            node::write_ref(out, &e.key);
            node::write_ref(out, &e.value);
        };
        match (self.count, &self.entry) {
            (0, _) => return,
            (1, Some(e)) => return entry(out, e),
            (_, None) => out.push(tag::NIL),
            (_, Some(e)) => {
                out.push(Index::ENTRY);
                entry(out, e);
            }
        }
        out.push(self.depth);
        out.extend_from_slice(&self.mask.to_be_bytes());
        self.children.iter().for_each(|r| node::write_ref(out, r));
    }

    fn head_len(&self) -> Option<usize> {
        let count = 1 + vlq::len(self.count);
        match (self.count, &self.entry) {
            (0, _) => None,
            (1, Some(_)) => self.children.is_empty().then_some(count),
            // Whether there is an entry, depth and mask.
            _ => Some(count + 1 + 1 + 2),
        }
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        match (&self.entry, i) {
            (Some(e), 0) => Some(&e.key),
            (Some(e), 1) => Some(&e.value),
            (Some(_), i) => self.children.get(i - 2),
            (None, i) => self.children.get(i),
        }
    }
}

/// The part of a key that counts: its first 32 bytes.
#[derive(Clone, Copy)]
struct Key {
    bytes: [u8; 32],
    len: usize,
    /// Of a blob or string of more than one chunk.
    chunked: bool,
}

impl Key {
    fn new(bytes: &[u8]) -> Self {
        let len = bytes.len().min(32);
        let mut key = Self {
            bytes: [0; 32],
            len,
            chunked: false,
        };
        key.bytes[..len].copy_from_slice(&bytes[..len]);
        key
    }

    fn chunked(bytes: &[u8]) -> Self {
        Self {
            chunked: true,
            ..Self::new(bytes)
        }
    }

    /// Digits, at most `limit`, that count as common with `other` when this key is inserted.
    ///
    /// The reference doesn't look into the chunks of a long key and takes all digits for common: the key goes where
    /// its own digits lead from the first entry that it meets, or takes the place of another key of 32 bytes or more.
    fn matched(&self, other: &Self, limit: usize) -> usize {
        if self.chunked {
            return limit.min(self.digits());
        }
        common_digits(self.bytes(), other.bytes())
            .min(limit)
            .min(self.digits())
    }

    /// `None` for a value that can't be a key.
    fn of(cell: &Cell) -> Result<Option<Self>, CellError> {
        Ok(Some(match cell {
            Cell::Blob(b) => match b.as_flat() {
                Some(bytes) => Self::new(bytes),
                None => Self::chunked(&b.slice(0, 32)?.ok_or(KEY)?.to_vec()?),
            },
            Cell::Str(s) => match s.as_flat() {
                Some(bytes) => Self::new(bytes),
                None => Self::chunked(&s.slice(0, 32)?.ok_or(KEY)?.to_vec()?),
            },
            Cell::Symbol(s) => Self::new(s.name()),
            Cell::Keyword(k) => Self::new(k.name()),
            Cell::Address(n) | Cell::Extension(_, n) => Self::new(&n.to_be_bytes()),
            _ => return Ok(None),
        }))
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Effective length in hex digits, at most 64.
    fn digits(&self) -> usize {
        2 * self.len
    }

    fn digit(&self, i: usize) -> u8 {
        let byte = self.bytes.get(i / 2).copied().unwrap_or(0);
        if i.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 0x0f
        }
    }
}

/// True for values that can be keys of an index (`spec/01 §10.1`).
pub(crate) fn is_key(cell: &Cell) -> bool {
    matches!(
        cell,
        Cell::Blob(_)
            | Cell::Str(_)
            | Cell::Symbol(_)
            | Cell::Keyword(_)
            | Cell::Address(_)
            | Cell::Extension(..)
    )
}

fn own(inner: &mut Arc<Inner>) -> &mut Inner {
    let inner = Arc::make_mut(inner);
    inner.cache.reset();
    inner
}

fn child(r: &Ref) -> Result<Index, CellError> {
    match &*r.load()? {
        Cell::Index(index) => Ok(index.clone()),
        _ => Err(CHILD),
    }
}

impl Index {
    /// Marks a node with an entry of its own.
    pub(crate) const ENTRY: u8 = 0x80;

    fn make(count: u64, depth: usize, entry: Option<Entry>, mask: u16, children: Children) -> Self {
        Self(Arc::new(Inner {
            cache: Cache::new(),
            count,
            depth: depth as u8,
            entry,
            mask,
            children,
        }))
    }

    /// The index without entries.
    #[must_use]
    pub fn empty() -> Self {
        Self::make(0, 0, None, 0, Children::new())
    }

    fn single(key: Key, entry: Entry) -> Self {
        Self::make(1, key.digits(), Some(entry), 0, Children::new())
    }

    /// Number of entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count
    }

    /// True without an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The value of `key`; `None` also when `key` can't be a key.
    ///
    /// # Errors
    /// When a node, a key or the value can't be read, or the tree is malformed.
    pub fn get(&self, key: &Cell) -> Result<Option<Cell>, CellError> {
        Ok(self.entry_of(key)?.map(|(_, value)| value))
    }

    /// The value of the key with these bytes.
    ///
    /// # Errors
    /// As [`Index::get`].
    pub fn get_bytes(&self, key: &[u8]) -> Result<Option<Cell>, CellError> {
        find(self, &Key::new(key))?
            .map(|e| e.value.get())
            .transpose()
    }

    /// The stored key and the value of `key`; `None` also when `key` can't be a key.
    ///
    /// # Errors
    /// As [`Index::get`].
    pub fn entry_of(&self, key: &Cell) -> Result<Option<(Cell, Cell)>, CellError> {
        let Some(key) = Key::of(key)? else {
            return Ok(None);
        };
        find(self, &key)?
            .map(|e| Ok((e.key.get()?, e.value.get()?)))
            .transpose()
    }

    /// With `value` at `key`; the stored key is replaced too. `None` when `key` can't be a key.
    ///
    /// # Errors
    /// When a node or a key can't be read, or the tree is malformed.
    pub fn assoc(mut self, key: Cell, value: Cell) -> Result<Option<Self>, CellError> {
        let Some(k) = Key::of(&key)? else {
            return Ok(None);
        };
        insert(
            &mut self,
            &k,
            Entry {
                key: Ref::new(key),
                value: Ref::new(value),
            },
            0,
        )?;
        Ok(Some(self))
    }

    /// Without `key`.
    ///
    /// # Errors
    /// When a node or a key can't be read, or the tree is malformed.
    pub fn dissoc(mut self, key: &Cell) -> Result<Self, CellError> {
        let Some(key) = Key::of(key)? else {
            return Ok(self);
        };
        if find(&self, &key)?.is_some() {
            remove(&mut self, &key, 0)?;
        }
        Ok(self)
    }

    /// With the entries of `other`, which win.
    ///
    /// # Errors
    /// When a node or a key of either can't be read, or a tree is malformed.
    pub fn merge(self, other: &Self) -> Result<Self, CellError> {
        let mut merged = self;
        for entry in other.entries() {
            let entry = entry?;
            let key = Key::of(&*entry.key.load()?)?.ok_or(KEY)?;
            insert(&mut merged, &key, entry, 0)?;
        }
        Ok(merged)
    }

    /// Entry `i` in key order; `None` past the end.
    ///
    /// # Errors
    /// When a node or part of the entry can't be read, or the tree is malformed.
    pub fn entry_at(&self, i: u64) -> Result<Option<(Cell, Cell)>, CellError> {
        if i >= self.count() {
            return Ok(None);
        }
        let (mut node, mut i) = (self.clone(), i);
        loop {
            if let Some(e) = &node.0.entry {
                if i == 0 {
                    return Ok(Some((e.key.get()?, e.value.get()?)));
                }
                i -= 1;
            }
            let mut found = None;
            for r in &node.0.children {
                let c = child(r)?;
                if i < c.count() {
                    found = Some(c);
                    break;
                }
                i -= c.count();
            }
            node = found.ok_or(SHORT)?;
        }
    }

    /// Entries `start..end` in key order; `None` unless 0 ≤ start ≤ end ≤ count.
    ///
    /// # Errors
    /// When a node or a key can't be read, or the tree is malformed.
    pub fn slice(&self, start: u64, end: u64) -> Result<Option<Self>, CellError> {
        if start > end || end > self.count() {
            return Ok(None);
        }
        // The shape depends on the keys alone, so the cheaper of two ways may be taken.
        if end - start < self.count() / 2 {
            let mut part = Self::empty();
            for entry in self
                .entries()
                .skip(start as usize)
                .take((end - start) as usize)
            {
                let entry = entry?;
                let key = Key::of(&*entry.key.load()?)?.ok_or(KEY)?;
                insert(&mut part, &key, entry, 0)?;
            }
            return Ok(Some(part));
        }
        let mut part = self.clone();
        for _ in end..self.count() {
            let last = part.count().checked_sub(1).ok_or(SHORT)?;
            part = part.without_entry_at(last)?;
        }
        for _ in 0..start {
            part = part.without_entry_at(0)?;
        }
        Ok(Some(part))
    }

    /// Without entry `i`. In a malformed tree its key may lead elsewhere: that is an error, since a loop that waits
    /// for the count to fall would otherwise run as often as the tree claims to have entries.
    fn without_entry_at(self, i: u64) -> Result<Self, CellError> {
        let (key, _) = self.entry_at(i)?.ok_or(SHORT)?;
        let before = self.count();
        let rest = self.dissoc(&key)?;
        if rest.count() < before {
            Ok(rest)
        } else {
            Err(SHORT)
        }
    }

    /// Keeps the entries whose value passes `keep`, in the order and with the promotions that belief merge
    /// depends on (`spec/01 §10.4`, value filter). `keep` must depend on the value alone: what is below one branch is
    /// filtered once, however often a hostile tree refers to it.
    ///
    /// # Errors
    /// When a node, key or value can't be read, or the tree is malformed, or `keep` fails.
    pub fn filter_values<E: From<CellError>>(
        &self,
        keep: &mut dyn FnMut(&Cell) -> Result<bool, E>,
    ) -> Result<Self, E> {
        filter(self, keep, &mut HashMap::new(), 0)
    }

    /// Keys and values in key order. Ends after the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Cell, Cell), CellError>> + use<> {
        self.entries().map(|e| {
            let e = e?;
            Ok((e.key.get()?, e.value.get()?))
        })
    }

    fn entries(&self) -> Entries {
        Entries {
            stack: vec![(self.clone(), 0, self.count())],
        }
    }

    /// Bytes of the encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        node::encoded_len(self.node())
    }

    /// What [`Cell::memory_size`] is of this value.
    ///
    /// # Errors
    /// As there.
    pub fn memory_size(&self) -> Result<u64, CellError> {
        memory::of_node(self.node(), || Cell::from(self.clone()))
    }

    /// What [`Cell::is_identical`] is of these values.
    #[must_use]
    pub fn is_identical(&self, other: &Self) -> bool {
        self.ptr_eq(other)
    }

    pub(crate) fn node(&self) -> &dyn Node {
        &*self.0
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// An index of one entry that was decoded. A key that is a branch has at least 32 bytes.
    pub(crate) fn decoded_single(
        key: Ref,
        value: Ref,
        cache: Cache,
    ) -> Result<Option<Self>, CellError> {
        let depth = match &key.0 {
            crate::refs::Slot::Lazy(_) => MAX_DIGITS,
            crate::refs::Slot::Direct(cell) => match Key::of(cell)? {
                Some(key) => key.digits(),
                None => return Ok(None),
            },
        };
        let entry = Some(Entry { key, value });
        let inner = Inner {
            cache,
            count: 1,
            depth: depth as u8,
            entry,
            mask: 0,
            children: Children::new(),
        };
        Ok(Some(Self(Arc::new(inner))))
    }

    /// A node of several entries that was decoded; nothing about its parts has been checked.
    pub(crate) fn decoded_node(
        count: u64,
        entry: Option<(Ref, Ref)>,
        depth: u8,
        mask: u16,
        children: Children,
        cache: Cache,
    ) -> Self {
        let entry = entry.map(|(key, value)| Entry { key, value });
        Self(Arc::new(Inner {
            cache,
            count,
            depth,
            entry,
            mask,
            children,
        }))
    }

    /// Depth, own entry, mask and children: for the structural check.
    pub(crate) fn parts(&self) -> (usize, Option<&Entry>, u16, &[Ref]) {
        (
            self.0.depth as usize,
            self.0.entry.as_ref(),
            self.0.mask,
            &self.0.children,
        )
    }

    /// Some key below: all share the first `depth` digits.
    fn prefix(&self) -> Result<Key, CellError> {
        let mut node = self.clone();
        loop {
            if let Some(e) = &node.0.entry {
                return Key::of(&*e.key.load()?)?.ok_or(KEY);
            }
            let next = child(
                node.0
                    .children
                    .first()
                    .ok_or(CellError::Malformed("index without entries"))?,
            )?;
            node = next;
        }
    }
}

/// The bytes of a key, cut to 32, for the structural check.
pub(crate) fn key_digits(cell: &Cell) -> Result<Option<Vec<u8>>, CellError> {
    Ok(Key::of(cell)?.map(|k| (0..k.digits()).map(|i| k.digit(i)).collect()))
}

fn find(index: &Index, key: &Key) -> Result<Option<Entry>, CellError> {
    let mut node = index.clone();
    loop {
        let depth = node.0.depth as usize;
        if node.0.count == 0 || key.digits() < depth {
            return Ok(None);
        }
        if key.digits() == depth || depth >= MAX_DIGITS {
            let Some(entry) = &node.0.entry else {
                return Ok(None);
            };
            let present = Key::of(&*entry.key.load()?)?.ok_or(KEY)?;
            return Ok((present.bytes() == key.bytes()).then(|| entry.clone()));
        }
        let Some(i) = child_position(node.0.mask, key.digit(depth)) else {
            return Ok(None);
        };
        let next = child(node.0.children.get(i).ok_or(CHILD)?)?;
        node = next;
    }
}

fn insert(index: &mut Index, key: &Key, entry: Entry, level: u32) -> Result<(), CellError> {
    if level > MAX_LEVELS {
        return Err(DEEP);
    }
    if index.is_empty() {
        *index = Index::single(*key, entry);
        return Ok(());
    }
    let depth = index.0.depth as usize;
    let prefix = index.prefix()?;
    let matched = key.matched(&prefix, depth);
    if matched < depth {
        // The key leaves the common prefix of this node: a node above takes both.
        let old_digit = prefix.digit(matched);
        let old = Ref::new(Cell::Index(index.clone()));
        let count = index.count() + 1;
        *index = if matched == key.digits() {
            Index::make(
                count,
                matched,
                Some(entry),
                1 << old_digit,
                [old].into_iter().collect(),
            )
        } else {
            let new_digit = key.digit(matched);
            let new = Ref::new(Cell::Index(Index::single(*key, entry)));
            let children = if old_digit < new_digit {
                [old, new]
            } else {
                [new, old]
            };
            Index::make(
                count,
                matched,
                None,
                1 << old_digit | 1 << new_digit,
                children.into_iter().collect(),
            )
        };
        return Ok(());
    }
    let inner = own(&mut index.0);
    if key.digits() == depth {
        inner.count += u64::from(inner.entry.is_none());
        inner.entry = Some(entry);
        return Ok(());
    }
    let digit = key.digit(depth);
    let Some(i) = child_position(inner.mask, digit) else {
        let at = (inner.mask & ((1 << digit) - 1)).count_ones() as usize;
        let new = Ref::new(Cell::Index(Index::single(*key, entry)));
        inner.children.insert(at.min(inner.children.len()), new);
        inner.mask |= 1 << digit;
        inner.count += 1;
        return Ok(());
    };
    let slot = inner.children.get_mut(i).ok_or(CHILD)?;
    match slot.take()? {
        Cell::Index(mut below) => {
            let before = below.count();
            let done = insert(&mut below, key, entry, level + 1);
            inner.count = inner.count.wrapping_add(below.count().wrapping_sub(before));
            *slot = Ref::new(Cell::Index(below));
            done
        }
        foreign => {
            *slot = Ref::new(foreign);
            Err(CHILD)
        }
    }
}

/// Removes a key that is known to be there.
fn remove(index: &mut Index, key: &Key, level: u32) -> Result<(), CellError> {
    if level > MAX_LEVELS {
        return Err(DEEP);
    }
    if index.count() <= 1 {
        *index = Index::empty();
        return Ok(());
    }
    let depth = index.0.depth as usize;
    if key.digits() == depth {
        return remove_own_entry(index);
    }
    let inner = own(&mut index.0);
    let digit = key.digit(depth);
    let i = child_position(inner.mask, digit).ok_or(CHILD)?;
    let mut below = child(inner.children.get(i).ok_or(CHILD)?)?;
    remove(&mut below, key, level + 1)?;
    replace_child(index, digit, below)
}

fn remove_own_entry(index: &mut Index) -> Result<(), CellError> {
    if let [only] = &index.0.children[..] {
        let only = child(only)?;
        *index = only;
        return Ok(());
    }
    if index.0.children.is_empty() {
        *index = Index::empty();
        return Ok(());
    }
    let inner = own(&mut index.0);
    inner.count -= u64::from(inner.entry.is_some());
    inner.entry = None;
    Ok(())
}

/// Puts the changed child of `digit` back, promoting or shrinking the node where too little is left.
fn replace_child(index: &mut Index, digit: u8, below: Index) -> Result<(), CellError> {
    let inner = own(&mut index.0);
    let i = child_position(inner.mask, digit).ok_or(CHILD)?;
    let slot = inner.children.get_mut(i).ok_or(CHILD)?;
    let before = child(slot)?.count();
    inner.count = inner.count.wrapping_sub(before).wrapping_add(below.count());
    if below.count() > 0 {
        *slot = Ref::new(Cell::Index(below));
        return Ok(());
    }
    inner.children.remove(i);
    inner.mask &= !(1 << digit);
    match (&inner.entry, &inner.children[..]) {
        (None, [only]) => {
            let only = child(only)?;
            *index = only;
        }
        (Some(entry), []) => {
            let entry = entry.clone();
            let key = Key::of(&*entry.key.load()?)?.ok_or(KEY)?;
            *index = Index::single(key, entry);
        }
        (None, []) => *index = Index::empty(),
        _ => {}
    }
    Ok(())
}

/// What the value filter made of the nodes behind branches; `None` where nothing changed.
type Filtered = HashMap<Hash, Option<Index>>;

fn filter<E: From<CellError>>(
    index: &Index,
    keep: &mut dyn FnMut(&Cell) -> Result<bool, E>,
    done: &mut Filtered,
    level: u32,
) -> Result<Index, E> {
    if level > MAX_LEVELS {
        return Err(DEEP.into());
    }
    // After a promotion the remaining digits are applied to the promoted node.
    let mut result = index.clone();
    for digit in digits(u16::MAX) {
        let Some(i) = child_position(result.0.mask, digit) else {
            continue;
        };
        let slot = result.0.children.get(i).ok_or(CHILD)?;
        let branch = slot.lazy_hash();
        let changed = match branch.and_then(|hash| done.get(&hash)) {
            Some(known) => known.clone(),
            None => {
                let before = child(slot)?;
                let after = filter(&before, keep, done, level + 1)?;
                let changed = (!after.ptr_eq(&before)).then_some(after);
                if let Some(hash) = branch {
                    done.insert(hash, changed.clone());
                }
                changed
            }
        };
        if let Some(after) = changed {
            replace_child(&mut result, digit, after)?;
        }
    }
    let own_value = result.0.entry.as_ref().map(|e| e.value.get()).transpose()?;
    if let Some(value) = own_value
        && !keep(&value)?
    {
        remove_own_entry(&mut result)?;
    }
    Ok(result)
}

/// Iterator in key order: the entry of a node before its children. Ends after the first error.
///
/// Positions go by the counts that nodes claim, as for maps.
struct Entries {
    /// Node, next step (0 is its entry, i its child i-1), positions left in it.
    stack: Vec<(Index, usize, u64)>,
}

impl Entries {
    fn fail(&mut self, error: CellError) -> Option<Result<Entry, CellError>> {
        self.stack.clear();
        Some(Err(error))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, CellError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (node, step, left) = self.stack.last_mut()?;
            if *left == 0 {
                self.stack.pop();
                continue;
            }
            *step += 1;
            if *step == 1 {
                if let Some(entry) = node.0.entry.clone() {
                    *left -= 1;
                    return Some(Ok(entry));
                }
                continue;
            }
            let below = match node.0.children.get(*step - 2).map(child) {
                None => return self.fail(SHORT),
                Some(Err(error)) => return self.fail(error),
                Some(Ok(below)) => below,
            };
            let positions = below.count().min(*left);
            *left -= positions;
            self.stack.push((below, 0, positions));
        }
    }
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        Cell::from(self.clone()) == Cell::from(other.clone())
    }
}

impl Eq for Index {}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&Cell::from(self.clone()), f)
    }
}

#[cfg(test)]
mod tests;
