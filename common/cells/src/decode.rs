//! Bytes to one cell, strictly (`spec/01 §13`). Messages of several cells are in the `message` module.

use std::sync::Arc;

use crypto::{AccountKey, Signature};
use smallvec::SmallVec;

use crate::coded::op_of;
use crate::map::MapEntry;
use crate::node::{Cache, Meta};
use crate::refs::{Slot, Source};
use crate::set::SetEntry;
use crate::trie::{LEAF_MAX, Trie};
use crate::{
    BigInt, Blob, CHUNK, Cell, Coded, DecodeError, Hash, Index, Keyword, List, MAX_EMBEDDED, Map,
    Record, Ref, Set, Signed, Str, Symbol, Syntax, Vector, blob, core_name, index, tag, vector,
    vlq,
};

/// Levels of embedded cells. Each costs at least two of 140 bytes, so nothing legal is deeper.
const MAX_NESTING: u32 = 72;

/// How bytes are decoded.
#[derive(Clone, Default)]
pub struct Decoder {
    pub(crate) source: Option<Arc<dyn Source>>,
    pub(crate) generic: bool,
}

impl Decoder {
    /// For self-contained messages: every branch must come along.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Branches that do not come along stay lazy and are read from `source`.
    #[must_use]
    pub fn with_source(source: Arc<dyn Source>) -> Self {
        Self {
            source: Some(source),
            generic: false,
        }
    }

    /// Without CVM types: records, coded and extension values stay generic, and none is looked into.
    #[must_use]
    pub fn generic(self) -> Self {
        Self {
            generic: true,
            ..self
        }
    }
}

/// Decodes exactly one cell that spans all of `bytes`. Without a source in `decoder` it may have no branch.
///
/// # Errors
/// [`DecodeError::BadFormat`] when the bytes are not one canonical cell; [`DecodeError::Missing`] when a branch
/// that decoding has to look into is absent.
pub fn decode_cell(bytes: &[u8], decoder: &Decoder) -> Result<Cell, DecodeError> {
    let source = &decoder.source;
    let mut branches = 0usize;
    let mut branch = |hash| {
        branches += 1;
        Ref::branch(hash, source.clone())
    };
    let mut reader = Reader::new(bytes, decoder.generic, &mut branch);
    let cell = reader.top()?;
    if reader.position() != bytes.len() {
        return Err(DecodeError::BadFormat("bytes after the end of the cell"));
    }
    if branches > 0 && source.is_none() {
        return Err(DecodeError::BadFormat("branch in a cell without a store"));
    }
    Ok(cell)
}

/// Decodes a cell from a store, whose bytes the caller has found to have this hash. Branches stay lazy.
///
/// # Errors
/// As for [`decode_cell`], except that branches are allowed without a source, where they are missing when used.
pub fn decode_stored(hash: Hash, bytes: &[u8], decoder: &Decoder) -> Result<Cell, DecodeError> {
    let mut branch = |hash| Ref::branch(hash, decoder.source.clone());
    let mut reader = Reader::new(bytes, decoder.generic, &mut branch);
    let cell = reader.top()?;
    if reader.position() != bytes.len() {
        return Err(DecodeError::BadFormat("bytes after the end of the cell"));
    }
    cell.set_known_hash(hash);
    Ok(cell)
}

const fn bad<T>(why: &'static str) -> Result<T, DecodeError> {
    Err(DecodeError::BadFormat(why))
}

const CUT: DecodeError = DecodeError::BadFormat("input ends inside a cell");

/// The keys of a leaf and where their encodings are. Their hashes are computed together.
#[derive(Default)]
struct Keys {
    refs: SmallVec<[Ref; LEAF_MAX]>,
    spans: SmallVec<[(usize, usize); LEAF_MAX]>,
}

impl Keys {
    fn hashes(&self, bytes: &[u8]) -> SmallVec<[Hash; LEAF_MAX]> {
        let mut hashes: SmallVec<[Hash; LEAF_MAX]> = SmallVec::new();
        let mut unknown: SmallVec<[usize; LEAF_MAX]> = SmallVec::new();
        for (i, key) in self.refs.iter().enumerate() {
            let known = known_hash(key);
            if known.is_none() {
                unknown.push(i);
            }
            hashes.push(known.unwrap_or_default());
        }
        let encoding = |i: usize| &bytes[self.spans[i].0..self.spans[i].1];
        let encodings: SmallVec<[&[u8]; LEAF_MAX]> = unknown.iter().map(|&i| encoding(i)).collect();
        for (&i, hash) in unknown.iter().zip(Hash::of_many(&encodings)) {
            hashes[i] = hash;
            match self.refs[i].in_memory() {
                Some(Cell::Symbol(s)) => s.set_known_hash(hash),
                Some(Cell::Keyword(k)) => k.set_known_hash(hash),
                Some(Cell::Blob(b)) if b.as_flat().is_some() => b.set_known_hash(hash),
                Some(Cell::Str(s)) if s.as_flat().is_some() => s.set_known_hash(hash),
                _ => {}
            }
        }
        hashes
    }
}

/// The hash of a child where that takes no hashing.
fn known_hash(child: &Ref) -> Option<Hash> {
    match &child.0 {
        Slot::Lazy(lazy) => Some(*lazy.hash()),
        Slot::Direct(Cell::Nil) => Some(Hash::NIL),
        Slot::Direct(Cell::Symbol(s)) => s.known_hash().copied(),
        Slot::Direct(Cell::Keyword(k)) => k.known_hash().copied(),
        Slot::Direct(_) => None,
    }
}

/// Reads cells from a byte string; every branch met is handed to `branch`, which makes the ref.
pub(crate) struct Reader<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    generic: bool,
    branch: &'b mut dyn FnMut(Hash) -> Ref,
}

impl<'a, 'b> Reader<'a, 'b> {
    pub(crate) fn new(
        bytes: &'a [u8],
        generic: bool,
        branch: &'b mut dyn FnMut(Hash) -> Ref,
    ) -> Self {
        Self {
            bytes,
            at: 0,
            depth: 0,
            generic,
            branch,
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Reads a cell that is no child of another.
    pub(crate) fn top(&mut self) -> Result<Cell, DecodeError> {
        self.depth = 0;
        self.cell()
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(CUT)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.bytes.len())
            .ok_or(CUT)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| CUT)
    }

    fn count(&mut self) -> Result<u64, DecodeError> {
        let (count, len) =
            vlq::read(&self.bytes[self.at..]).ok_or(DecodeError::BadFormat("bad count"))?;
        self.at += len;
        Ok(count)
    }

    /// The cache for a node whose encoding started at `start` and ends here. Only cells that stand alone keep
    /// their bytes; embedded ones are within their parent's.
    fn cache(&self, start: usize) -> Cache {
        if self.depth > 0 {
            return Cache::new();
        }
        Cache::filled(Meta::new(self.bytes[start..self.at].into()))
    }

    /// A child position (`spec/01 §5`).
    fn child(&mut self) -> Result<Ref, DecodeError> {
        match self.bytes.get(self.at) {
            None => Err(CUT),
            Some(&tag::NIL) => {
                self.at += 1;
                Ok(Ref::NIL)
            }
            Some(&tag::BRANCH) => {
                self.at += 1;
                let hash = Hash(self.array()?);
                Ok((self.branch)(hash))
            }
            Some(&tag::SIGNED_KEYLESS) => bad("signed data without its key inside a cell"),
            Some(_) => {
                if self.depth >= MAX_NESTING {
                    return bad("cells nested too deep");
                }
                let start = self.at;
                self.depth += 1;
                let cell = self.cell()?;
                self.depth -= 1;
                if self.at - start > MAX_EMBEDDED {
                    return bad("embedded cell is too long");
                }
                Ok(Ref::new(cell))
            }
        }
    }

    fn children<A: smallvec::Array<Item = Ref>>(
        &mut self,
        n: usize,
    ) -> Result<SmallVec<A>, DecodeError> {
        // Every node has at most 32 children, so this allocates little whatever the input claims.
        let mut refs = SmallVec::with_capacity(n);
        for _ in 0..n {
            refs.push(self.child()?);
        }
        Ok(refs)
    }

    fn cell(&mut self) -> Result<Cell, DecodeError> {
        let start = self.at;
        let first = self.byte()?;
        match first {
            tag::NIL => Ok(Cell::Nil),
            0x10..=0x18 => self.long((first - tag::INTEGER) as usize),
            tag::BIG_INTEGER => self.big_integer(),
            tag::DOUBLE => Ok(Cell::Double(f64::from_bits(u64::from_be_bytes(
                self.array()?,
            )))),
            tag::STRING | tag::BLOB => self.byte_string(start, first),
            tag::SYMBOL => {
                let name = self.name()?;
                Symbol::new(name)
                    .map(Cell::Symbol)
                    .ok_or(DecodeError::BadFormat("bad symbol"))
            }
            tag::KEYWORD => {
                let name = self.name()?;
                Keyword::new(name)
                    .map(Cell::Keyword)
                    .ok_or(DecodeError::BadFormat("bad keyword"))
            }
            0x3c..=0x3e => self.character((first - tag::CHAR) as usize + 1),
            tag::VECTOR => self.vector_body(start).map(Cell::Vector),
            tag::LIST => {
                let reversed = self.vector_parts()?;
                let reversed = Vector::from_parts(reversed.0, reversed.1, reversed.2, Cache::new());
                Ok(Cell::List(List::from_parts(reversed, self.cache(start))))
            }
            tag::MAP => self.map(start).map(Cell::Map),
            tag::SET => self.set(start).map(Cell::Set),
            tag::INDEX => self.index(start).map(Cell::Index),
            tag::SYNTAX => self.syntax(start),
            tag::SIGNED | tag::SIGNED_KEYLESS => self.signed(start, first),
            0xb0..=0xbf => Ok(Cell::flag(first)),
            0xc0..=0xcf => self.coded(start, first),
            0xd0..=0xdf => self.record(start, first),
            0xe0..=0xef => self.extension(first),
            tag::BRANCH => bad("branch outside of a cell"),
            _ => bad("unknown tag"),
        }
    }

    fn long(&mut self, n: usize) -> Result<Cell, DecodeError> {
        let bytes = self.take(n)?;
        let redundant = match bytes {
            [0] => true,
            [0, second, ..] => *second < 0x80,
            [0xff, second, ..] => *second >= 0x80,
            _ => false,
        };
        if redundant {
            return bad("integer is not minimal");
        }
        let sign = if bytes.first().is_some_and(|b| *b >= 0x80) {
            0xff
        } else {
            0
        };
        let mut full = [sign; 8];
        full[8 - n..].copy_from_slice(bytes);
        Ok(Cell::Long(i64::from_be_bytes(full)))
    }

    fn big_integer(&mut self) -> Result<Cell, DecodeError> {
        let n = self.count()?;
        if n > BigInt::MAX_BYTES as u64 {
            return bad("integer is too long");
        }
        BigInt::from_bytes(self.take(n as usize)?)
            .map(Cell::BigInt)
            .ok_or(DecodeError::BadFormat("bad big integer"))
    }

    fn byte_string(&mut self, start: usize, first: u8) -> Result<Cell, DecodeError> {
        let len = self.count()?;
        if len <= CHUNK as u64 {
            self.take(len as usize)?;
            let encoding = &self.bytes[start..self.at];
            return Ok(if first == tag::BLOB {
                Cell::Blob(Blob::from_flat_encoding(encoding, None))
            } else {
                Cell::Str(Str::from_flat_encoding(encoding, None))
            });
        }
        let children: blob::Children = self.children(blob::child_count(len))?;
        if children.iter().any(Ref::is_nil) {
            return bad("nil child in a blob or string");
        }
        let cache = self.cache(start);
        Ok(if first == tag::BLOB {
            Cell::Blob(Blob::from_children(len, children, cache))
        } else {
            Cell::Str(Str::from_children(len, children, cache))
        })
    }

    fn name(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = self.byte()?;
        self.take(n as usize)
    }

    fn character(&mut self, n: usize) -> Result<Cell, DecodeError> {
        let bytes = self.take(n)?;
        let code = bytes.iter().fold(0u32, |code, b| code << 8 | u32::from(*b));
        if (n > 1 && bytes[0] == 0) || code > 0x10_ffff {
            return bad("bad character");
        }
        Ok(Cell::Char(code))
    }

    fn vector_parts(&mut self) -> Result<(u64, blob::Children, Option<Ref>), DecodeError> {
        let count = self.count()?;
        let (n, has_prefix) = vector::ref_shape(count);
        let refs = self.children(n)?;
        let prefix = if has_prefix {
            Some(self.child()?)
        } else {
            None
        };
        Ok((count, refs, prefix))
    }

    fn vector_body(&mut self, start: usize) -> Result<Vector, DecodeError> {
        let (count, refs, prefix) = self.vector_parts()?;
        Ok(Vector::from_parts(count, refs, prefix, self.cache(start)))
    }

    fn tree(&mut self) -> Result<(u8, u16, SmallVec<[Ref; 4]>), DecodeError> {
        let shift = self.byte()?;
        let mask = u16::from_be_bytes(self.array()?);
        Ok((shift, mask, self.children(mask.count_ones() as usize)?))
    }

    fn map(&mut self, start: usize) -> Result<Map, DecodeError> {
        let count = self.count()?;
        if count > LEAF_MAX as u64 {
            let (shift, mask, children) = self.tree()?;
            if shift >= 0x80 {
                return bad("bad shift in a map");
            }
            return Ok(Map(Trie::decoded_tree(
                count,
                shift,
                mask,
                children,
                self.cache(start),
            )));
        }
        let mut keys = Keys::default();
        let mut values: SmallVec<[Ref; LEAF_MAX]> = SmallVec::new();
        for _ in 0..count {
            self.key(&mut keys)?;
            values.push(self.child()?);
        }
        let hashes = keys.hashes(self.bytes);
        if !hashes.is_sorted_by(|a, b| a < b) {
            return bad("map entries out of order");
        }
        let entries = keys.refs.into_iter().zip(values).zip(hashes);
        let entries = entries.map(|((key, value), hash)| MapEntry { hash, key, value });
        Ok(Map(Trie::decoded_leaf(
            entries.collect(),
            self.cache(start),
        )))
    }

    /// A child that orders a leaf by its hash.
    fn key(&mut self, keys: &mut Keys) -> Result<(), DecodeError> {
        let from = self.at;
        keys.refs.push(self.child()?);
        keys.spans.push((from, self.at));
        Ok(())
    }

    fn set(&mut self, start: usize) -> Result<Set, DecodeError> {
        let count = self.count()?;
        if count > LEAF_MAX as u64 {
            let (shift, mask, children) = self.tree()?;
            if children.len() < 2 {
                return bad("set tree with less than two children");
            }
            return Ok(Set(Trie::decoded_tree(
                count,
                shift,
                mask,
                children,
                self.cache(start),
            )));
        }
        let mut keys = Keys::default();
        for _ in 0..count {
            self.key(&mut keys)?;
        }
        let hashes = keys.hashes(self.bytes);
        if !hashes.is_sorted_by(|a, b| a < b) {
            return bad("set elements out of order");
        }
        let entries = keys
            .refs
            .into_iter()
            .zip(hashes)
            .map(|(value, hash)| SetEntry { hash, value });
        Ok(Set(Trie::decoded_leaf(
            entries.collect(),
            self.cache(start),
        )))
    }

    fn index(&mut self, start: usize) -> Result<Index, DecodeError> {
        let count = self.count()?;
        if count == 0 {
            return Ok(Index::decoded_node(
                0,
                None,
                0,
                0,
                SmallVec::new(),
                self.cache(start),
            ));
        }
        if count == 1 {
            let key = self.child()?;
            if key.in_memory().is_some_and(|k| !index::is_key(k)) {
                return bad("key of an index is no byte string");
            }
            let value = self.child()?;
            return Index::decoded_single(key, value, self.cache(start))?
                .ok_or(DecodeError::BadFormat("key of an index is no byte string"));
        }
        let entry = match self.byte()? {
            tag::NIL => None,
            Index::ENTRY => Some((self.child()?, self.child()?)),
            _ => return bad("bad entry marker in an index"),
        };
        let depth = self.byte()?;
        if depth >= 64 {
            return bad("index too deep");
        }
        let mask = u16::from_be_bytes(self.array()?);
        let children = self.children(mask.count_ones() as usize)?;
        Ok(Index::decoded_node(
            count,
            entry,
            depth,
            mask,
            children,
            self.cache(start),
        ))
    }

    fn syntax(&mut self, start: usize) -> Result<Cell, DecodeError> {
        let value = self.child()?;
        let meta = match self.bytes.get(self.at) {
            Some(&tag::NIL) => {
                self.at += 1;
                Map::empty()
            }
            Some(&tag::MAP) => {
                self.at += 1;
                // The map is part of this cell: its depth is ours, but it keeps no encoding of its own.
                self.depth += 1;
                let meta = self.map(self.at)?;
                self.depth -= 1;
                if meta.is_empty() {
                    return bad("empty metadata map");
                }
                meta
            }
            Some(_) => return bad("metadata is no map"),
            None => return Err(CUT),
        };
        Ok(Cell::Syntax(Syntax::from_parts(
            value,
            meta,
            self.cache(start),
        )))
    }

    fn signed(&mut self, start: usize, first: u8) -> Result<Cell, DecodeError> {
        let key = if first == tag::SIGNED {
            Some(AccountKey::from(self.array::<32>()?))
        } else {
            None
        };
        let signature = Signature::from(self.array::<64>()?);
        let value = self.child()?;
        Ok(Cell::Signed(Signed::from_parts(
            key,
            signature,
            value,
            self.cache(start),
        )))
    }

    fn coded(&mut self, start: usize, tag: u8) -> Result<Cell, DecodeError> {
        let code = self.child()?;
        let value = self.child()?;
        let op = if self.generic {
            None
        } else {
            op_of(tag, &code)
        };
        if !self.generic && op.is_none() {
            Coded::load_parts(&code, &value)?;
        }
        let cache = self.cache(start);
        Ok(Cell::Coded(Coded::from_parts(tag, op, code, value, cache)))
    }

    fn record(&mut self, start: usize, tag: u8) -> Result<Cell, DecodeError> {
        let (count, refs, prefix) = self.vector_parts()?;
        let body = Vector::from_parts(count, refs, prefix, Cache::new());
        Ok(Cell::Record(Record::decoded(
            tag,
            body,
            self.cache(start),
            self.generic,
        )?))
    }

    fn extension(&mut self, tag: u8) -> Result<Cell, DecodeError> {
        let n = self.count()?;
        Ok(match tag {
            tag::ADDRESS => Cell::Address(n),
            tag::LOCAL if !self.generic => Cell::Local(n),
            tag::SPECIAL if !self.generic && n < 25 => Cell::Special(n as u8),
            tag::CORE if !self.generic => match u16::try_from(n)
                .ok()
                .filter(|&code| core_name(code).is_some())
            {
                Some(code) => Cell::Core(code),
                None => Cell::Extension(tag, n),
            },
            _ => Cell::Extension(tag, n),
        })
    }
}
