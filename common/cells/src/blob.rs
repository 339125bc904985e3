//! Blobs and strings: bytes, flat up to one chunk and 16-way trees of chunks beyond (`spec/01 §6`).

use std::sync::OnceLock;

use smallvec::SmallVec;
use triomphe::{Arc, UniqueArc};

use crate::node::{self, Cache, Node};
use crate::{CHUNK, Cell, CellError, Hash, Ref, tag, vlq};

/// Children of a tree node.
pub(crate) type Children = SmallVec<[Ref; 4]>;

#[derive(Clone)]
enum Inner {
    Flat {
        /// Tag, count and bytes: keys and signatures fit inline.
        encoding: SmallVec<[u8; 72]>,
        hash: OnceLock<Hash>,
    },
    Tree(Tree),
}

#[derive(Clone)]
struct Tree {
    cache: Cache,
    tag: u8,
    len: u64,
    children: Children,
}

/// log2 of the chunks that one child of a tree over `len` bytes holds (`spec/01 §6`).
fn shift(len: u64) -> u32 {
    let chunks = (len - 1) / CHUNK as u64 + 1;
    let mut shift = 0;
    // chunks < 2^52, so this ends at 48.
    while 16u64 << shift < chunks {
        shift += 4;
    }
    shift
}

/// Bytes that each child but the last holds, for a tree over `len` bytes.
fn capacity(len: u64) -> u64 {
    // len < 2^63, so shift <= 48 and this fits.
    (CHUNK as u64) << shift(len)
}

/// Number of children of a tree over `len` bytes.
pub(crate) fn child_count(len: u64) -> usize {
    ((len - 1) / capacity(len) + 1) as usize
}

impl Node for Tree {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag);
        vlq::write(out, self.len);
        for child in &self.children {
            node::write_ref(out, child);
        }
    }

    fn head_len(&self) -> Option<usize> {
        Some(1 + vlq::len(self.len))
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        self.children.get(i)
    }
}

impl Inner {
    fn flat(tag: u8, bytes: &[u8]) -> Self {
        debug_assert!(bytes.len() <= CHUNK);
        let mut head = [tag, 0, 0];
        let n = if bytes.len() < 0x80 {
            head[1] = bytes.len() as u8;
            2
        } else {
            head[1] = 0x80 | (bytes.len() >> 7) as u8;
            head[2] = (bytes.len() & 0x7f) as u8;
            3
        };
        let mut encoding = SmallVec::with_capacity(n + bytes.len());
        encoding.extend_from_slice(&head[..n]);
        encoding.extend_from_slice(bytes);
        Self::Flat {
            encoding,
            hash: OnceLock::new(),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Flat { encoding, .. } => flat_bytes(encoding).len() as u64,
            Self::Tree(tree) => tree.len,
        }
    }
}

/// The content of a flat encoding.
fn flat_bytes(encoding: &[u8]) -> &[u8] {
    let head = if encoding[1] < 0x80 { 2 } else { 3 };
    &encoding[head..]
}

/// A string of bytes; the type of keys, hashes and signatures too.
#[derive(Clone)]
pub struct Blob(Arc<Inner>);

/// A string of text, in bytes that need not be valid UTF-8.
#[derive(Clone)]
pub struct Str(Arc<Inner>);

macro_rules! byte_string {
    ($name:ident, $tag:expr) => {
        impl $name {
            /// From its bytes, in canonical shape.
            #[must_use]
            pub fn new(bytes: &[u8]) -> Self {
                Self(build_from_bytes($tag, bytes))
            }

            /// Length in bytes.
            #[must_use]
            pub fn len(&self) -> u64 {
                self.0.len()
            }

            /// True without a byte.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The bytes when they lie in one piece: always up to 4,096 bytes.
            #[must_use]
            pub fn as_flat(&self) -> Option<&[u8]> {
                self.flat_encoding().map(flat_bytes)
            }

            /// All bytes, copied. The caller bounds [`Self::len`] first.
            ///
            /// # Errors
            /// When a chunk can't be read or is malformed.
            pub fn to_vec(&self) -> Result<Vec<u8>, CellError> {
                let mut out =
                    Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0).min(1 << 20));
                self.for_each_chunk(&mut |chunk| out.extend_from_slice(chunk))?;
                Ok(out)
            }

            /// Calls `f` with the content, chunk by chunk.
            ///
            /// # Errors
            /// When a chunk can't be read or is malformed.
            pub fn for_each_chunk(&self, f: &mut dyn FnMut(&[u8])) -> Result<(), CellError> {
                walk(&self.0, f)
            }

            /// The byte at `i`; `None` past the end.
            ///
            /// # Errors
            /// When a chunk can't be read or is malformed.
            pub fn byte_at(&self, i: u64) -> Result<Option<u8>, CellError> {
                if i >= self.len() {
                    return Ok(None);
                }
                byte_at(&self.0, i).map(Some)
            }

            /// Bytes `start..end`; `None` unless 0 ≤ start ≤ end ≤ length.
            ///
            /// # Errors
            /// When a chunk can't be read or is malformed.
            pub fn slice(&self, start: u64, end: u64) -> Result<Option<Self>, CellError> {
                if start > end || end > self.len() {
                    return Ok(None);
                }
                if start == 0 && end == self.len() {
                    return Ok(Some(self.clone()));
                }
                let rope = Rope(&[Segment {
                    bytes: &self.0,
                    start,
                    len: end - start,
                }]);
                rope.build($tag, 0, end - start)
                    .map(|inner| Some(Self(inner)))
            }

            /// This followed by `other`; `None` when the length would pass 2^63-1.
            ///
            /// # Errors
            /// When a chunk can't be read or is malformed.
            pub fn concat(&self, other: &Self) -> Result<Option<Self>, CellError> {
                let (a, b) = (self.len(), other.len());
                if a == 0 {
                    return Ok(Some(other.clone()));
                }
                if b == 0 {
                    return Ok(Some(self.clone()));
                }
                if a + b > i64::MAX as u64 {
                    return Ok(None);
                }
                let rope = Rope(&[
                    Segment {
                        bytes: &self.0,
                        start: 0,
                        len: a,
                    },
                    Segment {
                        bytes: &other.0,
                        start: 0,
                        len: b,
                    },
                ]);
                rope.build($tag, 0, a + b).map(|inner| Some(Self(inner)))
            }

            pub(crate) fn node(&self) -> Option<&dyn Node> {
                match &*self.0 {
                    Inner::Flat { .. } => None,
                    Inner::Tree(tree) => Some(tree),
                }
            }

            pub(crate) fn flat_encoding(&self) -> Option<&[u8]> {
                match &*self.0 {
                    Inner::Flat { encoding, .. } => Some(encoding),
                    Inner::Tree(_) => None,
                }
            }

            pub(crate) fn flat_hash(&self) -> &Hash {
                match &*self.0 {
                    Inner::Flat { encoding, hash } => hash.get_or_init(|| Hash::of(encoding)),
                    Inner::Tree(tree) => node::seal(tree).hash(),
                }
            }

            /// True when the hash of a flat value has been computed.
            pub(crate) fn flat_hash_known(&self) -> bool {
                matches!(&*self.0, Inner::Flat { hash, .. } if hash.get().is_some())
            }

            /// Notes the hash of a decoded value.
            pub(crate) fn set_known_hash(&self, known: Hash) {
                match &*self.0 {
                    Inner::Flat { hash, .. } => {
                        // A second hash of the same bytes is the same hash.
                        let _ = hash.set(known);
                    }
                    Inner::Tree(tree) => node::seal(tree).set_hash(known),
                }
            }

            pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0)
            }

            /// A flat value from its encoding, which has been checked.
            #[inline]
            pub(crate) fn from_flat_encoding(bytes: &[u8]) -> Self {
                let mut inner = UniqueArc::new(Inner::Flat {
                    encoding: SmallVec::new(),
                    hash: OnceLock::new(),
                });
                // Into its place: a value of this size is better not moved.
                if let Inner::Flat { encoding, .. } = &mut *inner {
                    encoding.extend_from_slice(bytes);
                }
                Self(inner.shareable())
            }

            /// A tree from the children that were decoded, [`child_count`] of them.
            pub(crate) fn from_children(len: u64, children: Children, cache: Cache) -> Self {
                Self(Arc::new(Inner::Tree(Tree {
                    cache,
                    tag: $tag,
                    len,
                    children,
                })))
            }

            /// Number of children of a tree, and the bytes in each but the last; `None` when flat.
            pub(crate) fn tree_shape(&self) -> Option<(&[Ref], u64)> {
                match &*self.0 {
                    Inner::Flat { .. } => None,
                    Inner::Tree(tree) => Some((&tree.children, capacity(tree.len))),
                }
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Cell::from(self.clone()) == Cell::from(other.clone())
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&Cell::from(self.clone()), f)
            }
        }
    };
}

byte_string!(Blob, tag::BLOB);
byte_string!(Str, tag::STRING);

impl Blob {
    /// The bytes when there are exactly 32: a key or a hash.
    #[must_use]
    pub fn as_key(&self) -> Option<&[u8; 32]> {
        self.as_flat()?.try_into().ok()
    }

    /// The same bytes as text.
    ///
    /// # Errors
    /// When a chunk can't be read or is malformed.
    pub fn to_str(&self) -> Result<Str, CellError> {
        retag(&self.0, tag::STRING).map(Str)
    }
}

impl Str {
    /// The same bytes as a blob.
    ///
    /// # Errors
    /// When a chunk can't be read or is malformed.
    pub fn to_blob(&self) -> Result<Blob, CellError> {
        retag(&self.0, tag::BLOB).map(Blob)
    }
}

fn retag(inner: &Arc<Inner>, tag: u8) -> Result<Arc<Inner>, CellError> {
    match &**inner {
        Inner::Flat { encoding, .. } => Ok(Arc::new(Inner::flat(tag, flat_bytes(encoding)))),
        Inner::Tree(tree) => Ok(Arc::new(Inner::Tree(Tree {
            tag,
            ..tree.clone()
        }))),
    }
}

fn build_from_bytes(tag: u8, bytes: &[u8]) -> Arc<Inner> {
    if bytes.len() <= CHUNK {
        return Arc::new(Inner::flat(tag, bytes));
    }
    let len = bytes.len() as u64;
    // The capacity of a child is below the length of the slice, so it fits in a usize.
    let children = bytes
        .chunks(capacity(len) as usize)
        .map(|part| Ref::new(Cell::Blob(Blob(build_from_bytes(tag::BLOB, part)))))
        .collect();
    Arc::new(Inner::Tree(Tree {
        cache: Cache::new(),
        tag,
        len,
        children,
    }))
}

/// The blob in child `i`, which must hold `len` bytes.
fn child(tree: &Tree, i: usize, len: u64) -> Result<Arc<Inner>, CellError> {
    let child = tree
        .children
        .get(i)
        .ok_or(CellError::Malformed("blob tree lacks a child"))?
        .load()?;
    match &*child {
        Cell::Blob(blob) if blob.len() == len => Ok(blob.0.clone()),
        _ => Err(CellError::Malformed(
            "child of a blob tree is no blob of the right length",
        )),
    }
}

fn child_len(tree: &Tree, i: usize) -> u64 {
    let capacity = capacity(tree.len);
    (tree.len - capacity * i as u64).min(capacity)
}

/// Recursion here and below is bounded by the height of the tree, which shrinks with each checked length.
fn walk(inner: &Inner, f: &mut dyn FnMut(&[u8])) -> Result<(), CellError> {
    match inner {
        Inner::Flat { encoding, .. } => f(flat_bytes(encoding)),
        Inner::Tree(tree) => {
            for i in 0..tree.children.len() {
                walk(&*child(tree, i, child_len(tree, i))?, f)?;
            }
        }
    }
    Ok(())
}

fn byte_at(inner: &Inner, i: u64) -> Result<u8, CellError> {
    match inner {
        Inner::Flat { encoding, .. } => flat_bytes(encoding)
            .get(i as usize)
            .copied()
            .ok_or(CellError::Malformed("blob is too short")),
        Inner::Tree(tree) => {
            let capacity = capacity(tree.len);
            let n = (i / capacity) as usize;
            byte_at(&*child(tree, n, child_len(tree, n))?, i % capacity)
        }
    }
}

/// Part of a byte string.
struct Segment<'a> {
    bytes: &'a Arc<Inner>,
    start: u64,
    len: u64,
}

/// Segments laid end to end, from which canonical trees are built. Subtrees that already have the right place
/// and length are shared, the rest is copied.
struct Rope<'a>(&'a [Segment<'a>]);

impl Rope<'_> {
    fn build(&self, tag: u8, offset: u64, len: u64) -> Result<Arc<Inner>, CellError> {
        if tag == tag::BLOB
            && let Some(shared) = self.shared(offset, len)?
        {
            return Ok(shared);
        }
        if len <= CHUNK as u64 {
            let mut bytes = Vec::with_capacity(len as usize);
            self.copy(offset, len, &mut bytes)?;
            return Ok(Arc::new(Inner::flat(tag, &bytes)));
        }
        let capacity = capacity(len);
        let mut children = Children::new();
        let mut at = 0;
        while at < len {
            let part = self.build(tag::BLOB, offset + at, capacity.min(len - at))?;
            children.push(Ref::new(Cell::Blob(Blob(part))));
            at += capacity;
        }
        Ok(Arc::new(Inner::Tree(Tree {
            cache: Cache::new(),
            tag,
            len,
            children,
        })))
    }

    /// The existing blob that covers exactly this range.
    fn shared(&self, offset: u64, len: u64) -> Result<Option<Arc<Inner>>, CellError> {
        let mut begin = 0;
        for segment in self.0 {
            if offset >= begin && offset + len <= begin + segment.len {
                return subtree(segment.bytes, offset - begin + segment.start, len);
            }
            begin += segment.len;
        }
        Ok(None)
    }

    fn copy(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), CellError> {
        let mut begin = 0;
        for segment in self.0 {
            let from = offset.max(begin);
            let to = (offset + len).min(begin + segment.len);
            if from < to {
                copy(segment.bytes, from - begin + segment.start, to - from, out)?;
            }
            begin += segment.len;
        }
        Ok(())
    }
}

fn subtree(inner: &Arc<Inner>, offset: u64, len: u64) -> Result<Option<Arc<Inner>>, CellError> {
    match &**inner {
        Inner::Flat { encoding, .. } => Ok((offset == 0
            && len == inner.len()
            && encoding[0] == tag::BLOB)
            .then(|| inner.clone())),
        Inner::Tree(tree) => {
            if offset == 0 && len == tree.len {
                return Ok((tree.tag == tag::BLOB).then(|| inner.clone()));
            }
            let capacity = capacity(tree.len);
            let (i, within) = ((offset / capacity) as usize, offset % capacity);
            if within + len > child_len(tree, i) {
                return Ok(None);
            }
            subtree(&child(tree, i, child_len(tree, i))?, within, len)
        }
    }
}

fn copy(inner: &Inner, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), CellError> {
    match inner {
        Inner::Flat { encoding, .. } => {
            let bytes = flat_bytes(encoding)
                .get(offset as usize..(offset + len) as usize)
                .ok_or(CellError::Malformed("blob is too short"))?;
            out.extend_from_slice(bytes);
        }
        Inner::Tree(tree) => {
            let capacity = capacity(tree.len);
            let (mut at, end) = (offset, offset + len);
            while at < end {
                let i = (at / capacity) as usize;
                let stop = end.min(capacity * (i as u64 + 1));
                copy(
                    &*child(tree, i, child_len(tree, i))?,
                    at % capacity,
                    stop - at,
                    out,
                )?;
                at = stop;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_follows_the_length_alone() {
        for (len, capacity, children) in [
            (4097u64, 4096u64, 2usize),
            (8192, 4096, 2),
            (65536, 4096, 16),
            (65537, 65536, 2),
            (131_072, 65536, 2),
            (1_048_576, 65536, 16),
            (1_048_577, 1_048_576, 2),
        ] {
            assert_eq!(
                (super::capacity(len), child_count(len)),
                (capacity, children),
                "{len}"
            );
        }
        assert!(child_count(i64::MAX as u64) <= 16);
    }

    #[test]
    fn slices_and_joins_have_the_shape_of_new_values() {
        let bytes: Vec<u8> = (0..200_000u32).map(|i| (i * 7 % 251) as u8).collect();
        let whole = Blob::new(&bytes);
        for (start, end) in [
            (0, 4096),
            (4096, 8192),
            (65536, 131_072),
            (1, 70_000),
            (100, 100),
            (65536, 200_000),
        ] {
            let part = whole.slice(start, end).unwrap().unwrap();
            assert_eq!(
                part,
                Blob::new(&bytes[start as usize..end as usize]),
                "{start}..{end}"
            );
        }
        for cut in [1u64, 4096, 65536, 100_000] {
            let a = whole.slice(0, cut).unwrap().unwrap();
            let b = whole.slice(cut, 200_000).unwrap().unwrap();
            assert_eq!(a.concat(&b).unwrap().unwrap(), whole);
        }
        assert!(whole.slice(2, 1).unwrap().is_none());
        assert!(whole.slice(0, 200_001).unwrap().is_none());
        assert_eq!(whole.byte_at(123_456).unwrap(), Some(bytes[123_456]));
        assert_eq!(whole.to_str().unwrap().to_blob().unwrap(), whole);
        assert_eq!(
            whole.to_str().unwrap().slice(0, 65536).unwrap().unwrap(),
            Str::new(&bytes[..65536])
        );
    }
}
