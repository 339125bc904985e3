//! What every cell with children shares: its encoding, hash and memory size, computed once.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use once_cell::race::OnceBox;

use crate::refs::Slot;
use crate::{Cell, Hash, MAX_EMBEDDED, Ref, tag};

/// Marks a memory size that has not been computed; real sizes saturate at 2^63-1.
const UNKNOWN: u64 = u64::MAX;

/// Bytes of a ref to a branch.
const BRANCH_LEN: usize = 1 + size_of::<Hash>();

/// Facts about a cell that follow from its encoding.
pub(crate) struct Meta {
    encoding: Box<[u8]>,
    hash: OnceLock<Hash>,
}

impl Meta {
    pub(crate) fn new(encoding: Box<[u8]>) -> Self {
        Self {
            encoding,
            hash: OnceLock::new(),
        }
    }

    pub(crate) fn encoding(&self) -> &[u8] {
        &self.encoding
    }

    pub(crate) fn hash(&self) -> &Hash {
        self.hash.get_or_init(|| Hash::of(&self.encoding))
    }

    pub(crate) fn known_hash(&self) -> Option<&Hash> {
        self.hash.get()
    }

    pub(crate) fn set_hash(&self, hash: Hash) {
        // Another thread may have been first, with the same hash.
        let _ = self.hash.set(hash);
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.encoding.len() <= MAX_EMBEDDED
    }
}

/// The cache of a node: empty until the first use of its encoding or sizes.
///
/// The sizes are kept apart: transactions are charged by them, long before anybody wants encoding or hash.
pub(crate) struct Cache {
    meta: OnceBox<Meta>,
    /// Bytes of the encoding; 0, which no encoding has, is unknown.
    len: AtomicU32,
    /// Of sets: levels below this node, all of which were found to be as they should be, plus one; 0 is unknown.
    levels: AtomicU16,
    memory: AtomicU64,
}

impl Cache {
    pub(crate) const fn new() -> Self {
        Self {
            meta: OnceBox::new(),
            len: AtomicU32::new(0),
            levels: AtomicU16::new(0),
            memory: AtomicU64::new(UNKNOWN),
        }
    }

    pub(crate) fn filled(meta: Meta) -> Self {
        Self {
            meta: OnceBox::with_value(Box::new(meta)),
            ..Self::new()
        }
    }

    pub(crate) fn get(&self) -> Option<&Meta> {
        self.meta.get()
    }

    fn len(&self) -> Option<usize> {
        match self.len.load(Ordering::Relaxed) {
            0 => self.get().map(|meta| meta.encoding().len()),
            len => Some(len as usize),
        }
    }

    pub(crate) fn levels(&self) -> Option<u16> {
        self.levels.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(crate) fn set_levels(&self, levels: u16) {
        self.levels.store(levels + 1, Ordering::Relaxed);
    }

    pub(crate) fn memory(&self) -> Option<u64> {
        Some(self.memory.load(Ordering::Relaxed)).filter(|&m| m != UNKNOWN)
    }

    pub(crate) fn set_memory(&self, memory: u64) {
        self.memory.store(memory, Ordering::Relaxed);
    }

    /// Forgets everything, before the node is changed in place.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

impl Clone for Cache {
    /// A copied node is about to be changed: it starts without a cache.
    fn clone(&self) -> Self {
        Self::new()
    }
}

/// A cell that has children or whose encoding is worth keeping.
pub(crate) trait Node {
    fn cache(&self) -> &Cache;
    /// Appends the encoding. All children in memory are sealed already.
    fn write(&self, out: &mut Vec<u8>);
    /// Child position `i`, in the order of `spec/01 §7.3`; `None` past the end.
    fn ref_at(&self, i: usize) -> Option<&Ref>;
    /// Bytes of the encoding apart from the child positions, each of which is in it once; `None` where only the
    /// encoding itself can tell.
    fn head_len(&self) -> Option<usize>;
}

/// Bytes of the encoding, which is not made for it where the sizes of the children tell.
pub(crate) fn encoded_len(node: &dyn Node) -> usize {
    len_nested(node, 0)
}

fn len_nested(node: &dyn Node, depth: u32) -> usize {
    if let Some(len) = node.cache().len() {
        return len;
    }
    let Some(mut len) = node.head_len().filter(|_| depth < RECURSION) else {
        return seal(node).encoding().len();
    };
    let mut i = 0;
    while let Some(child) = node.ref_at(i) {
        i += 1;
        len += match &child.0 {
            Slot::Lazy(_) => BRANCH_LEN,
            Slot::Direct(cell) => {
                let own = match cell.node() {
                    Some(below) => len_nested(below, depth + 1),
                    None => cell.encoded_len(),
                };
                if own <= MAX_EMBEDDED { own } else { BRANCH_LEN }
            }
        };
    }
    // An encoding too long to be counted here is asked for again.
    node.cache()
        .len
        .store(u32::try_from(len).unwrap_or(0), Ordering::Relaxed);
    len
}

/// Seals `node` and everything below it: afterwards its meta data exist.
pub(crate) fn seal(node: &dyn Node) -> &Meta {
    match node.cache().get() {
        Some(meta) => meta,
        None => seal_nested(node, 0),
    }
}

/// Levels sealed by plain recursion before an explicit stack takes over.
const RECURSION: u32 = 64;

fn seal_nested(node: &dyn Node, depth: u32) -> &Meta {
    let mut i = 0;
    while let Some(child) = node.ref_at(i) {
        i += 1;
        let Slot::Direct(cell) = &child.0 else {
            continue;
        };
        let Some(below) = cell.node().filter(|n| n.cache().get().is_none()) else {
            continue;
        };
        if depth < RECURSION {
            seal_nested(below, depth + 1);
        } else {
            seal_deep(cell);
        }
    }
    seal_one(node)
}

/// Post-order over an explicit stack, for chains deeper than the call stack may carry.
fn seal_deep(root: &Cell) {
    let unsealed = |cell: &Cell| cell.node().is_some_and(|n| n.cache().get().is_none());
    let mut stack = vec![root.clone()];
    while let Some(top) = stack.last() {
        let Some(node) = top.node().filter(|n| n.cache().get().is_none()) else {
            stack.pop();
            continue;
        };
        let mut i = 0;
        let mut pending = Vec::new();
        while let Some(child) = node.ref_at(i) {
            i += 1;
            if let Slot::Direct(cell) = &child.0
                && unsealed(cell)
            {
                pending.push(cell.clone());
            }
        }
        if pending.is_empty() {
            seal_one(node);
            stack.pop();
        } else {
            stack.append(&mut pending);
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Encodes a node whose children are sealed.
fn seal_one(node: &dyn Node) -> &Meta {
    let encoding = SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut out) => {
            out.clear();
            node.write(&mut out);
            out.as_slice().into()
        }
        Err(_) => {
            let mut out = Vec::new();
            node.write(&mut out);
            out.into_boxed_slice()
        }
    });
    node.cache()
        .meta
        .get_or_init(|| Box::new(Meta::new(encoding)))
}

/// Appends a child in ref form (`spec/01 §5`): inline when embedded, else `20` and its hash.
pub(crate) fn write_ref(out: &mut Vec<u8>, child: &Ref) {
    match &child.0 {
        Slot::Lazy(lazy) => write_branch(out, lazy.hash()),
        Slot::Direct(cell) => write_child(out, cell),
    }
}

/// [`write_ref`] for a child in memory.
pub(crate) fn write_child(out: &mut Vec<u8>, cell: &Cell) {
    if let Some(node) = cell.node() {
        let meta = seal(node);
        if meta.is_embedded() {
            out.extend_from_slice(meta.encoding());
        } else {
            write_branch(out, meta.hash());
        }
    } else if cell.is_embedded() {
        cell.write_leaf(out);
    } else {
        write_branch(out, &cell.hash());
    }
}

fn write_branch(out: &mut Vec<u8>, hash: &Hash) {
    out.push(tag::BRANCH);
    out.extend_from_slice(&hash.0);
}
