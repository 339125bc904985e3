//! Bytes to one cell, strictly (`spec/01 §13`). Messages of several cells are in the `message` module.

use std::sync::Arc;

use crypto::{AccountKey, Signature};
use smallvec::SmallVec;

use crate::map::MapEntry;
use crate::node::{Cache, Meta};
use crate::refs::{Slot, Source};
use crate::set::SetEntry;
use crate::trie::{Entry, LEAF_MAX, Trie};
use crate::{
    BigInt, Blob, CHUNK, Cell, DecodeError, Hash, Index, Keyword, List, MAX_EMBEDDED, Map, Record,
    Ref, Set, Signed, Str, Symbol, Syntax, blob, coded, core_name, index, tag, trie, vector, vlq,
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

const CUT: DecodeError = DecodeError::BadFormat("input ends inside a cell");

/// The hash of a child where that takes no hashing.
fn known_hash(child: &Ref) -> Option<&Hash> {
    match &child.0 {
        Slot::Lazy(lazy) => Some(lazy.hash()),
        Slot::Direct(Cell::Nil) => Some(&Hash::NIL),
        Slot::Direct(Cell::Symbol(s)) => s.known_hash(),
        Slot::Direct(Cell::Keyword(k)) => k.known_hash(),
        Slot::Direct(_) => None,
    }
}

/// Decoding stopped; the reader knows why.
struct Refused;

/// Reads cells from a byte string; every branch met is handed to `branch`, which makes the ref.
///
/// Most of the time of decoding goes into moving cells, so each is written once, where it stays: nodes are made before
/// their children, and a child is told its place. A refusal has no size, so that it costs nothing where there is none.
pub(crate) struct Reader<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    generic: bool,
    /// Why decoding stopped; `None` when the input ended.
    why: Option<DecodeError>,
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
            why: None,
            branch,
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Reads a cell that is no child of another.
    pub(crate) fn top(&mut self) -> Result<Cell, DecodeError> {
        self.depth = 0;
        let mut top = Ref::NIL;
        match self.cell(&mut top) {
            Ok(()) => Ok(top.take()?),
            Err(Refused) => Err(self.why.take().unwrap_or(CUT)),
        }
    }

    #[cold]
    fn bad<T>(&mut self, why: &'static str) -> Result<T, Refused> {
        self.fail(DecodeError::BadFormat(why))
    }

    #[cold]
    fn fail<T>(&mut self, why: impl Into<DecodeError>) -> Result<T, Refused> {
        self.why = Some(why.into());
        Err(Refused)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Refused> {
        let byte = *self.bytes.get(self.at).ok_or(Refused)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn take(&mut self, n: usize) -> Result<&'a [u8], Refused> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.bytes.len())
            .ok_or(Refused)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        self.take(N)?.try_into().map_err(|_| Refused)
    }

    #[inline]
    fn count(&mut self) -> Result<u64, Refused> {
        // Most counts have one byte.
        if let Some(&byte) = self.bytes.get(self.at)
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.long_count()
    }

    fn long_count(&mut self) -> Result<u64, Refused> {
        match vlq::read(&self.bytes[self.at..]) {
            Some((count, len)) => {
                self.at += len;
                Ok(count)
            }
            None => self.bad("bad count"),
        }
    }

    /// Fills the cache of a node whose encoding started at `start` and ends here. Only cells that stand alone keep
    /// their bytes; embedded ones are within their parent's.
    #[inline]
    fn keep(&self, start: usize, cache: &mut Cache) {
        if self.depth == 0 {
            *cache = Cache::filled(Meta::new(self.bytes[start..self.at].into()));
        }
    }

    fn cache(&self, start: usize) -> Cache {
        let mut cache = Cache::new();
        self.keep(start, &mut cache);
        cache
    }

    /// A child position (`spec/01 §5`), into `place`, which holds `nil`.
    fn child(&mut self, place: &mut Ref) -> Result<(), Refused> {
        match self.bytes.get(self.at) {
            None => Err(Refused),
            Some(&tag::NIL) => {
                self.at += 1;
                Ok(())
            }
            Some(&tag::BRANCH) => {
                self.at += 1;
                let hash = Hash(self.array()?);
                *place = (self.branch)(hash);
                Ok(())
            }
            Some(&tag::SIGNED_KEYLESS) => self.bad("signed data without its key inside a cell"),
            Some(_) => {
                if self.depth >= MAX_NESTING {
                    return self.bad("cells nested too deep");
                }
                let start = self.at;
                self.depth += 1;
                self.cell(place)?;
                self.depth -= 1;
                if self.at - start > MAX_EMBEDDED {
                    return self.bad("embedded cell is too long");
                }
                Ok(())
            }
        }
    }

    /// A child where there is no place for it yet.
    fn loose_child(&mut self) -> Result<Ref, Refused> {
        let mut child = Ref::NIL;
        self.child(&mut child)?;
        Ok(child)
    }

    fn children<A: smallvec::Array<Item = Ref>>(
        &mut self,
        n: usize,
        places: &mut SmallVec<A>,
    ) -> Result<(), Refused> {
        // Every node has at most 32 children, so this allocates little whatever the input claims.
        places.reserve_exact(n);
        places.extend((0..n).map(|_| Ref::NIL));
        places.iter_mut().try_for_each(|place| self.child(place))
    }

    /// A cell into `place`, which holds `nil`.
    fn cell(&mut self, place: &mut Ref) -> Result<(), Refused> {
        let start = self.at;
        let first = self.byte()?;
        match first {
            tag::NIL => {}
            0x10..=0x18 => place.fill(Cell::Long(self.long((first - tag::INTEGER) as usize)?)),
            tag::BIG_INTEGER => place.fill(Cell::BigInt(self.big_integer()?)),
            tag::DOUBLE => {
                let bits = u64::from_be_bytes(self.array()?);
                place.fill(Cell::Double(f64::from_bits(bits)));
            }
            tag::STRING | tag::BLOB => return self.byte_string(start, first, place),
            tag::SYMBOL => {
                let name = self.name()?;
                match Symbol::new(name) {
                    Some(name) => place.fill(Cell::Symbol(name)),
                    None => return self.bad("bad symbol"),
                }
            }
            tag::KEYWORD => {
                let name = self.name()?;
                match Keyword::new(name) {
                    Some(name) => place.fill(Cell::Keyword(name)),
                    None => return self.bad("bad keyword"),
                }
            }
            0x3c..=0x3e => {
                let code = self.character((first - tag::CHAR) as usize + 1)?;
                place.fill(Cell::Char(code));
            }
            tag::VECTOR => {
                let mut vector = self.vector()?;
                self.keep(start, vector.cache());
                place.fill(Cell::Vector(vector.finish()));
            }
            tag::LIST => {
                let reversed = self.vector()?.finish();
                let list = List::decoded(reversed, |cache| self.keep(start, cache));
                place.fill(Cell::List(list));
            }
            tag::MAP => place.fill(Cell::Map(Map(self.map(start)?))),
            tag::SET => place.fill(Cell::Set(Set(self.set(start)?))),
            tag::INDEX => place.fill(Cell::Index(self.index(start)?)),
            tag::SYNTAX => place.fill(Cell::Syntax(self.syntax(start)?)),
            tag::SIGNED | tag::SIGNED_KEYLESS => {
                place.fill(Cell::Signed(self.signed(start, first)?));
            }
            0xb0 => place.fill(Cell::Bool(false)),
            0xb1 => place.fill(Cell::Bool(true)),
            0xb2..=0xbf => place.fill(Cell::Flag(first & 0x0f)),
            0xc0..=0xcf => return self.coded(start, first, place),
            0xd0..=0xdf => return self.record(start, first, place),
            0xe0..=0xef => return self.extension(first, place),
            tag::BRANCH => return self.bad("branch outside of a cell"),
            _ => return self.bad("unknown tag"),
        }
        Ok(())
    }

    fn long(&mut self, n: usize) -> Result<i64, Refused> {
        let bytes = self.take(n)?;
        let redundant = match bytes {
            [0] => true,
            [0, second, ..] => *second < 0x80,
            [0xff, second, ..] => *second >= 0x80,
            _ => false,
        };
        if redundant {
            return self.bad("integer is not minimal");
        }
        let sign = if bytes.first().is_some_and(|b| *b >= 0x80) {
            -1
        } else {
            0
        };
        Ok(bytes.iter().fold(sign, |n, b| n << 8 | i64::from(*b)))
    }

    fn big_integer(&mut self) -> Result<BigInt, Refused> {
        let n = self.count()?;
        if n > BigInt::MAX_BYTES as u64 {
            return self.bad("integer is too long");
        }
        match BigInt::from_bytes(self.take(n as usize)?) {
            Some(n) => Ok(n),
            None => self.bad("bad big integer"),
        }
    }

    fn byte_string(&mut self, start: usize, first: u8, place: &mut Ref) -> Result<(), Refused> {
        let len = self.count()?;
        if len <= CHUNK as u64 {
            self.take(len as usize)?;
            let encoding = &self.bytes[start..self.at];
            if first == tag::BLOB {
                place.fill(Cell::Blob(Blob::from_flat_encoding(encoding)));
            } else {
                place.fill(Cell::Str(Str::from_flat_encoding(encoding)));
            }
            return Ok(());
        }
        let mut children = blob::Children::new();
        self.children(blob::child_count(len), &mut children)?;
        if children.iter().any(Ref::is_nil) {
            return self.bad("nil child in a blob or string");
        }
        let cache = self.cache(start);
        place.fill(if first == tag::BLOB {
            Cell::Blob(Blob::from_children(len, children, cache))
        } else {
            Cell::Str(Str::from_children(len, children, cache))
        });
        Ok(())
    }

    #[inline]
    fn name(&mut self) -> Result<&'a [u8], Refused> {
        let n = self.byte()?;
        self.take(n as usize)
    }

    fn character(&mut self, n: usize) -> Result<u32, Refused> {
        let bytes = self.take(n)?;
        let code = bytes.iter().fold(0u32, |code, b| code << 8 | u32::from(*b));
        if (n > 1 && bytes[0] == 0) || code > 0x10_ffff {
            return self.bad("bad character");
        }
        Ok(code)
    }

    /// Count and refs of a vector; lists and records have the same.
    fn vector(&mut self) -> Result<vector::Growing, Refused> {
        let count = self.count()?;
        let (n, has_prefix) = vector::ref_shape(count);
        let mut vector = vector::Growing::new(count);
        self.children(n, vector.refs())?;
        if has_prefix {
            self.child(vector.prefix().insert(Ref::NIL))?;
        }
        Ok(vector)
    }

    fn map(&mut self, start: usize) -> Result<Trie<MapEntry>, Refused> {
        let count = self.count()?;
        if count <= LEAF_MAX as u64 {
            return self.leaf(count, start);
        }
        let (shift, mut tree) = self.tree(count)?;
        if shift >= 0x80 {
            return self.bad("bad shift in a map");
        }
        self.keep(start, tree.cache());
        Ok(tree.finish())
    }

    fn set(&mut self, start: usize) -> Result<Trie<SetEntry>, Refused> {
        let count = self.count()?;
        if count <= LEAF_MAX as u64 {
            return self.leaf(count, start);
        }
        let (_, mut tree) = self.tree(count)?;
        if tree.children().is_none_or(|children| children.len() < 2) {
            return self.bad("set tree with less than two children");
        }
        self.keep(start, tree.cache());
        Ok(tree.finish())
    }

    fn tree<E: Entry>(&mut self, count: u64) -> Result<(u8, trie::Growing<E>), Refused> {
        let shift = self.byte()?;
        let mask = u16::from_be_bytes(self.array()?);
        let mut tree = trie::Growing::tree(count, shift, mask);
        if let Some(children) = tree.children() {
            self.children(mask.count_ones() as usize, children)?;
        }
        Ok((shift, tree))
    }

    /// The entries of a map or set of at most [`LEAF_MAX`], in the order of the hashes of their keys.
    fn leaf<E: Entry>(&mut self, count: u64, start: usize) -> Result<Trie<E>, Refused> {
        let mut leaf = trie::Growing::<E>::leaf(count);
        let mut unknown = Unknown::new();
        if let Some(entries) = leaf.entries() {
            entries.reserve_exact(count as usize);
            for i in 0..count as usize {
                entries.push(E::BLANK);
                let (hash, key, value) = entries[i].places();
                let from = self.at;
                self.child(key)?;
                match known_hash(key) {
                    Some(known) => *hash = *known,
                    None => unknown.push((i, from, self.at)),
                }
                if let Some(value) = value {
                    self.child(value)?;
                }
            }
            self.hash_keys(entries, &unknown);
            if !entries.is_sorted_by(|a, b| a.hash() < b.hash()) {
                return self.bad(E::DISORDER);
            }
        }
        self.keep(start, leaf.cache());
        Ok(leaf.finish())
    }

    /// Computes the hashes of keys that aren't known, together.
    fn hash_keys<E: Entry>(&self, entries: &mut [E], unknown: &Unknown) {
        let mut note = |i: usize, hash: Hash| {
            let (place, key, _) = entries[i].places();
            *place = hash;
            match key.in_memory() {
                Some(Cell::Symbol(s)) => s.set_known_hash(hash),
                Some(Cell::Keyword(k)) => k.set_known_hash(hash),
                Some(Cell::Blob(b)) if b.as_flat().is_some() => b.set_known_hash(hash),
                Some(Cell::Str(s)) if s.as_flat().is_some() => s.set_known_hash(hash),
                _ => {}
            }
        };
        match unknown[..] {
            [] => {}
            [(i, from, to)] => note(i, Hash::of(&self.bytes[from..to])),
            _ => {
                let encodings: SmallVec<[&[u8]; LEAF_MAX]> = unknown
                    .iter()
                    .map(|&(_, from, to)| &self.bytes[from..to])
                    .collect();
                for (&(i, ..), hash) in unknown.iter().zip(Hash::of_many(&encodings)) {
                    note(i, hash);
                }
            }
        }
    }

    fn index(&mut self, start: usize) -> Result<Index, Refused> {
        let count = self.count()?;
        let mut children = SmallVec::new();
        if count == 0 {
            return Ok(Index::decoded_node(
                0,
                None,
                0,
                0,
                children,
                self.cache(start),
            ));
        }
        if count == 1 {
            let key = self.loose_child()?;
            if key.in_memory().is_some_and(|k| !index::is_key(k)) {
                return self.bad("key of an index is no byte string");
            }
            let value = self.loose_child()?;
            return match Index::decoded_single(key, value, self.cache(start)) {
                Ok(Some(index)) => Ok(index),
                Ok(None) => self.bad("key of an index is no byte string"),
                Err(error) => self.fail(error),
            };
        }
        let entry = match self.byte()? {
            tag::NIL => None,
            Index::ENTRY => Some((self.loose_child()?, self.loose_child()?)),
            _ => return self.bad("bad entry marker in an index"),
        };
        let depth = self.byte()?;
        if depth >= 64 {
            return self.bad("index too deep");
        }
        let mask = u16::from_be_bytes(self.array()?);
        self.children(mask.count_ones() as usize, &mut children)?;
        Ok(Index::decoded_node(
            count,
            entry,
            depth,
            mask,
            children,
            self.cache(start),
        ))
    }

    fn syntax(&mut self, start: usize) -> Result<Syntax, Refused> {
        let value = self.loose_child()?;
        let meta = match self.bytes.get(self.at) {
            Some(&tag::NIL) => {
                self.at += 1;
                Map::empty()
            }
            Some(&tag::MAP) => {
                self.at += 1;
                // The map is part of this cell: its depth is ours, but it keeps no encoding of its own.
                self.depth += 1;
                let meta = Map(self.map(self.at)?);
                self.depth -= 1;
                if meta.is_empty() {
                    return self.bad("empty metadata map");
                }
                meta
            }
            Some(_) => return self.bad("metadata is no map"),
            None => return Err(Refused),
        };
        Ok(Syntax::from_parts(value, meta, self.cache(start)))
    }

    fn signed(&mut self, start: usize, first: u8) -> Result<Signed, Refused> {
        let key = if first == tag::SIGNED {
            Some(AccountKey::from(self.array::<32>()?))
        } else {
            None
        };
        let signature = Signature::from(self.array::<64>()?);
        let value = self.loose_child()?;
        let cache = self.cache(start);
        Ok(Signed::from_parts(key, signature, value, cache))
    }

    fn coded(&mut self, start: usize, tag: u8, place: &mut Ref) -> Result<(), Refused> {
        let mut coded = coded::Growing::new(tag);
        self.child(coded.code())?;
        self.child(coded.value())?;
        if !self.generic
            && let Err(error) = coded.recognise()
        {
            return self.fail(error);
        }
        self.keep(start, coded.cache());
        place.fill(Cell::Coded(coded.finish()));
        Ok(())
    }

    fn record(&mut self, start: usize, tag: u8, place: &mut Ref) -> Result<(), Refused> {
        let body = self.vector()?.finish();
        match Record::decoded(tag, body, self.generic, |cache| self.keep(start, cache)) {
            Ok(record) => {
                place.fill(Cell::Record(record));
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    fn extension(&mut self, tag: u8, place: &mut Ref) -> Result<(), Refused> {
        let n = self.count()?;
        match tag {
            tag::ADDRESS => place.fill(Cell::Address(n)),
            tag::LOCAL if !self.generic => place.fill(Cell::Local(n)),
            tag::SPECIAL if !self.generic && n < 25 => place.fill(Cell::Special(n as u8)),
            tag::CORE if !self.generic => match u16::try_from(n) {
                Ok(code) if core_name(code).is_some() => place.fill(Cell::Core(code)),
                _ => place.fill(Cell::Extension(tag, n)),
            },
            _ => place.fill(Cell::Extension(tag, n)),
        }
        Ok(())
    }
}

/// Positions in a leaf of keys whose hashes aren't known, and where their encodings begin and end.
type Unknown = SmallVec<[(usize, usize, usize); LEAF_MAX]>;
