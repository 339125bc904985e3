//! One value of any type.

use std::fmt;

use crate::node::{self, Node};
use crate::{
    BigInt, Blob, Coded, Hash, Index, Keyword, List, MAX_EMBEDDED, Map, Record, Set, Signed, Str,
    Symbol, Syntax, Vector, tag, vlq,
};

/// One immutable value. Small values sit inline, larger ones behind a shared pointer.
///
/// Equality is equality of encodings (`spec/01 §16`): `1` is not `1.0`, and a NaN equals the NaN with the same
/// bits.
#[derive(Clone)]
pub enum Cell {
    /// `nil`, the absence of a value.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A byte flag other than the booleans, 2..=15.
    Flag(u8),
    /// An integer of 64 bits.
    Long(i64),
    /// An integer of more than 64 bits.
    BigInt(BigInt),
    /// An IEEE-754 double; every bit pattern is a value of its own.
    Double(f64),
    /// A code point, surrogates included.
    Char(u32),
    /// A string of bytes, read as UTF-8.
    Str(Str),
    /// A string of bytes.
    Blob(Blob),
    /// A symbol.
    Symbol(Symbol),
    /// A keyword.
    Keyword(Keyword),
    /// A vector.
    Vector(Vector),
    /// A list.
    List(List),
    /// A hash map.
    Map(Map),
    /// A set.
    Set(Set),
    /// A radix map over byte strings.
    Index(Index),
    /// A value with metadata.
    Syntax(Syntax),
    /// A value with a key and a signature.
    Signed(Signed),
    /// A coded value; most ops are.
    Coded(Coded),
    /// A dense record: transactions, consensus records, functions, some ops.
    Record(Record),
    /// An account number.
    Address(u64),
    /// A special op, 0..=24.
    Special(u8),
    /// A local variable op with its position.
    Local(u64),
    /// A core definition by its code.
    Core(u16),
    /// An extension value without a meaning of its own: tag and number.
    Extension(u8, u64),
}

impl Cell {
    /// The node behind the pointer, for values that have children.
    pub(crate) fn node(&self) -> Option<&dyn Node> {
        Some(match self {
            Self::Str(s) => s.node()?,
            Self::Blob(b) => b.node()?,
            Self::Vector(v) => v.node(),
            Self::List(l) => l.node(),
            Self::Map(m) => m.node(),
            Self::Set(s) => s.node(),
            Self::Index(i) => i.node(),
            Self::Syntax(s) => s.node(),
            Self::Signed(s) => s.node(),
            Self::Coded(c) => c.node(),
            Self::Record(r) => r.node(),
            _ => return None,
        })
    }

    /// True for the types that can own other values.
    pub(crate) fn has_children(&self) -> bool {
        matches!(
            self,
            Self::Str(_)
                | Self::Blob(_)
                | Self::Vector(_)
                | Self::List(_)
                | Self::Map(_)
                | Self::Set(_)
                | Self::Index(_)
                | Self::Syntax(_)
                | Self::Signed(_)
                | Self::Coded(_)
                | Self::Record(_)
        )
    }

    /// Appends the encoding of a value without children.
    pub(crate) fn write_leaf(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.push(tag::NIL),
            Self::Bool(b) => out.push(tag::FLAG + u8::from(*b)),
            Self::Flag(n) => out.push(tag::FLAG + n),
            Self::Long(n) => write_long(out, *n),
            Self::BigInt(n) => n.write(out),
            Self::Double(x) => {
                out.push(tag::DOUBLE);
                out.extend_from_slice(&x.to_bits().to_be_bytes());
            }
            Self::Char(c) => write_char(out, *c),
            Self::Symbol(s) => s.write(out),
            Self::Keyword(k) => k.write(out),
            Self::Address(n) => write_extension(out, tag::ADDRESS, *n),
            Self::Special(n) => write_extension(out, tag::SPECIAL, u64::from(*n)),
            Self::Local(n) => write_extension(out, tag::LOCAL, *n),
            Self::Core(n) => write_extension(out, tag::CORE, u64::from(*n)),
            Self::Extension(t, n) => write_extension(out, *t, *n),
            Self::Str(s) => out.extend_from_slice(s.flat_encoding().unwrap_or_default()),
            Self::Blob(b) => out.extend_from_slice(b.flat_encoding().unwrap_or_default()),
            Self::Vector(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Set(_)
            | Self::Index(_)
            | Self::Syntax(_)
            | Self::Signed(_)
            | Self::Coded(_)
            | Self::Record(_) => {
                out.extend_from_slice(self.node().map_or(&[], |n| node::seal(n).encoding()))
            }
        }
    }

    /// Calls `f` with the encoding of this cell; children that are not embedded appear as hashes.
    pub fn with_encoding<T>(&self, f: impl FnOnce(&[u8]) -> T) -> T {
        if let Some(node) = self.node() {
            return f(node::seal(node).encoding());
        }
        match self {
            Self::Str(s) => f(s.flat_encoding().unwrap_or_default()),
            Self::Blob(b) => f(b.flat_encoding().unwrap_or_default()),
            Self::Symbol(s) => f(s.encoding()),
            Self::Keyword(k) => f(k.encoding()),
            _ => {
                let mut out = Vec::with_capacity(16);
                self.write_leaf(&mut out);
                f(&out)
            }
        }
    }

    /// Encoding of this cell alone; children that are not embedded appear as hashes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.with_encoding(<[u8]>::to_vec)
    }

    /// Bytes of [`Cell::encode`].
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Nil | Self::Bool(_) | Self::Flag(_) => 1,
            Self::Long(n) => 1 + long_len(*n),
            Self::Double(_) => 9,
            Self::BigInt(n) => n.encoded_len(),
            Self::Address(n) | Self::Local(n) | Self::Extension(_, n) => 1 + vlq::len(*n),
            Self::Symbol(s) => s.encoding().len(),
            Self::Keyword(k) => k.encoding().len(),
            _ => match self.node() {
                Some(node) => node::encoded_len(node),
                None => self.with_encoding(<[u8]>::len),
            },
        }
    }

    /// Value id: SHA3-256 of the encoding (`spec/01 §1`). Kept where the value is behind a pointer.
    #[must_use]
    pub fn hash(&self) -> Hash {
        if let Some(node) = self.node() {
            return *node::seal(node).hash();
        }
        match self {
            Self::Nil => Hash::NIL,
            Self::Str(s) => *s.flat_hash(),
            Self::Blob(b) => *b.flat_hash(),
            Self::BigInt(n) => *n.hash(),
            Self::Symbol(s) => *s.hash(),
            Self::Keyword(k) => *k.hash(),
            _ => self.with_encoding(Hash::of),
        }
    }

    /// Encoding of a string or blob that is flat.
    pub(crate) fn flat_encoding(&self) -> Option<&[u8]> {
        match self {
            Self::Str(s) => s.flat_encoding(),
            Self::Blob(b) => b.flat_encoding(),
            _ => None,
        }
    }

    /// True when the hash of a flat string or blob has been computed.
    pub(crate) fn flat_hash_known(&self) -> bool {
        match self {
            Self::Str(s) => s.flat_hash_known(),
            Self::Blob(b) => b.flat_hash_known(),
            _ => false,
        }
    }

    /// Notes the hash of a decoded cell that was computed elsewhere.
    pub(crate) fn set_known_hash(&self, hash: Hash) {
        match self {
            Self::Str(s) => s.set_known_hash(hash),
            Self::Blob(b) => b.set_known_hash(hash),
            _ => {
                if let Some(node) = self.node() {
                    node::seal(node).set_hash(hash);
                }
            }
        }
    }

    /// True when a parent inlines this value: its encoding has at most 140 bytes (`spec/01 §5`).
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        if let Some(node) = self.node() {
            return node::encoded_len(node) <= MAX_EMBEDDED;
        }
        match self {
            Self::Str(s) => s.flat_encoding().is_some_and(|e| e.len() <= MAX_EMBEDDED),
            Self::Blob(b) => b.flat_encoding().is_some_and(|e| e.len() <= MAX_EMBEDDED),
            Self::BigInt(n) => n.encoded_len() <= MAX_EMBEDDED,
            _ => true,
        }
    }

    /// True for values that the CVM hands to programs (`spec/01 §12.5`).
    #[must_use]
    pub fn is_cvm_value(&self) -> bool {
        match self {
            Self::Flag(_) | Self::Extension(..) => false,
            Self::Coded(c) => c.op().is_some(),
            Self::Record(r) => r.kind().is_some(),
            _ => true,
        }
    }

    /// Number of child positions in this cell (`spec/01 §1`).
    #[must_use]
    pub fn ref_count(&self) -> usize {
        self.node().map_or(0, |node| {
            (0..).take_while(|&i| node.ref_at(i).is_some()).count()
        })
    }

    /// Child position `i`, in the order of `spec/01 §7.3`; `None` past the end.
    pub(crate) fn nth_ref(&self, i: usize) -> Option<&crate::Ref> {
        self.node()?.ref_at(i)
    }

    /// The child positions of this cell, in the order of `spec/01 §7.3`.
    pub fn refs(&self) -> impl Iterator<Item = &crate::Ref> {
        let node = self.node();
        (0..).map_while(move |i| node?.ref_at(i))
    }

    /// True for everything but `nil` and `false`.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// True for `nil`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// A byte flag, 0..=15; 0 and 1 are the booleans.
    #[must_use]
    pub fn flag(n: u8) -> Self {
        match n & 0x0f {
            0 => Self::Bool(false),
            1 => Self::Bool(true),
            n => Self::Flag(n),
        }
    }

    /// True when both are the same scalar or the same pointer: a cheap, sufficient test for equality.
    #[must_use]
    pub fn is_identical(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Str(a), Self::Str(b)) => a.ptr_eq(b),
            (Self::Blob(a), Self::Blob(b)) => a.ptr_eq(b),
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Symbol(a), Self::Symbol(b)) => a == b,
            (Self::Keyword(a), Self::Keyword(b)) => a == b,
            (Self::Vector(a), Self::Vector(b)) => a.ptr_eq(b),
            (Self::List(a), Self::List(b)) => a.ptr_eq(b),
            (Self::Map(a), Self::Map(b)) => a.ptr_eq(b),
            (Self::Set(a), Self::Set(b)) => a.ptr_eq(b),
            (Self::Index(a), Self::Index(b)) => a.ptr_eq(b),
            (Self::Syntax(a), Self::Syntax(b)) => a.ptr_eq(b),
            (Self::Signed(a), Self::Signed(b)) => a.ptr_eq(b),
            (Self::Coded(a), Self::Coded(b)) => a.ptr_eq(b),
            (Self::Record(a), Self::Record(b)) => a.ptr_eq(b),
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Flag(a), Self::Flag(b)) | (Self::Special(a), Self::Special(b)) => a == b,
            (Self::Long(a), Self::Long(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::Char(a), Self::Char(b)) => a == b,
            (Self::Address(a), Self::Address(b)) | (Self::Local(a), Self::Local(b)) => a == b,
            (Self::Core(a), Self::Core(b)) => a == b,
            (Self::Extension(s, a), Self::Extension(t, b)) => s == t && a == b,
            _ => false,
        }
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        if std::mem::discriminant(self) != std::mem::discriminant(other) {
            return match (self, other) {
                // An unreduced integer is the small one (see `BigInt`).
                (Self::Long(small), Self::BigInt(large))
                | (Self::BigInt(large), Self::Long(small)) => large.to_long() == Some(*small),
                _ => false,
            };
        }
        if self.is_identical(other) {
            return true;
        }
        match (self.node(), other.node()) {
            (Some(a), Some(b)) => {
                let (a, b) = (node::seal(a), node::seal(b));
                match (a.known_hash(), b.known_hash()) {
                    (Some(a), Some(b)) => a == b,
                    _ => a.encoding() == b.encoding(),
                }
            }
            (None, None) => match (self, other) {
                (Self::Str(a), Self::Str(b)) => a.flat_encoding() == b.flat_encoding(),
                (Self::Blob(a), Self::Blob(b)) => a.flat_encoding() == b.flat_encoding(),
                // For everything else without children, identity has decided.
                _ => false,
            },
            _ => false,
        }
    }
}

impl Eq for Cell {}

impl fmt::Display for Cell {
    /// The printed form of `spec/01 §17`; stands for itself in messages, so what can't be read shows as such.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match crate::print::print(self, crate::print::DEFAULT_LIMIT) {
            Ok(Some(text)) => f.write_str(&String::from_utf8_lossy(&text)),
            Ok(None) => f.write_str("<<Print limit exceeded>>"),
            Err(error) => write!(f, "<<{error}>>"),
        }
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes of the minimal two's complement of `n`; zero has none.
fn long_len(n: i64) -> usize {
    if n == 0 {
        return 0;
    }
    let magnitude_bits = 64 - (if n < 0 { !n } else { n }).leading_zeros() as usize;
    magnitude_bits / 8 + 1
}

fn write_long(out: &mut Vec<u8>, n: i64) {
    let len = long_len(n);
    out.push(tag::INTEGER + len as u8);
    out.extend_from_slice(&n.to_be_bytes()[8 - len..]);
}

fn write_char(out: &mut Vec<u8>, c: u32) {
    let len = match c {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 3,
    };
    out.push(tag::CHAR + len as u8 - 1);
    out.extend_from_slice(&c.to_be_bytes()[4 - len..]);
}

fn write_extension(out: &mut Vec<u8>, tag: u8, number: u64) {
    out.push(tag);
    vlq::write(out, number);
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for Cell {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

from! {
    bool => Bool, i64 => Long, f64 => Double, BigInt => BigInt, Str => Str, Blob => Blob, Symbol => Symbol,
    Keyword => Keyword, Vector => Vector, List => List, Map => Map, Set => Set, Index => Index,
    Syntax => Syntax, Signed => Signed, Coded => Coded, Record => Record,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Str(Str::new(text.as_bytes()))
    }
}

impl From<Hash> for Cell {
    fn from(hash: Hash) -> Self {
        Self::Blob(Blob::new(&hash.0))
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}
