//! Symbols and keywords (`spec/01 §4.6`).

use std::cell::RefCell;
use std::sync::OnceLock;

use smallvec::SmallVec;
use triomphe::Arc;

use crate::{Cell, Hash, tag};

struct Inner {
    /// Tag, length byte, name: the encoding.
    encoding: SmallVec<[u8; 40]>,
    hash: OnceLock<Hash>,
}

/// Names seen lately by this thread, so that the hash of a common symbol is computed once and not for each of
/// its uses. Direct-mapped: a name evicts the one in its place, so hostile input can't make it grow.
struct Recent([Option<Arc<Inner>>; Recent::SLOTS]);

impl Recent {
    const SLOTS: usize = 4096;

    /// A fast mix of tag and name: nothing but speed depends on it.
    fn slot(tag: u8, name: &[u8]) -> usize {
        let mut mix = u64::from(tag) ^ (name.len() as u64) << 8;
        let mut chunks = name.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            mix = (mix ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29);
        }
        let rest = chunks
            .remainder()
            .iter()
            .fold(0u64, |rest, &b| rest << 8 | u64::from(b));
        mix = (mix ^ rest).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mix >> 40) as usize % Self::SLOTS
    }
}

thread_local! {
    static RECENT: RefCell<Box<Recent>> = RefCell::new(Box::new(Recent([const { None }; Recent::SLOTS])));
}

/// The shared node of a name.
fn intern(tag: u8, name: &[u8]) -> Arc<Inner> {
    RECENT.with(|recent| {
        let slot = &mut recent.borrow_mut().0[Recent::slot(tag, name)];
        match slot {
            Some(inner) if inner.encoding[0] == tag && inner.encoding[2..] == *name => {
                inner.clone()
            }
            _ => slot.insert(Arc::new(Inner::new(tag, name))).clone(),
        }
    })
}

impl Inner {
    fn new(tag: u8, name: &[u8]) -> Self {
        let mut encoding = SmallVec::with_capacity(name.len() + 2);
        encoding.push(tag);
        encoding.push(name.len() as u8);
        encoding.extend_from_slice(name);
        Self {
            encoding,
            hash: OnceLock::new(),
        }
    }
}

macro_rules! name_type {
    ($name:ident, $tag:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone)]
        pub struct $name(Arc<Inner>);

        impl $name {
            /// Longest name in bytes.
            pub const MAX_BYTES: usize = 128;

            /// From the bytes of its name, 1..=128 of them, with no other restriction; `None` otherwise.
            #[must_use]
            pub fn new(name: &[u8]) -> Option<Self> {
                (1..=Self::MAX_BYTES)
                    .contains(&name.len())
                    .then(|| Self(intern($tag, name)))
            }

            /// From a name in the program text. Empty and oversized names are a mistake of the caller.
            ///
            /// # Panics
            /// When `name` is empty or longer than 128 bytes.
            #[must_use]
            pub fn literal(name: &'static str) -> Self {
                Self::new(name.as_bytes()).expect("a literal name has 1..=128 bytes")
            }

            /// The bytes of the name.
            #[must_use]
            pub fn name(&self) -> &[u8] {
                &self.0.encoding[2..]
            }

            /// SHA3-256 of the encoding, kept.
            #[must_use]
            pub fn hash(&self) -> &Hash {
                self.0.hash.get_or_init(|| Hash::of(&self.0.encoding))
            }

            /// The hash when it has been computed.
            pub(crate) fn known_hash(&self) -> Option<&Hash> {
                self.0.hash.get()
            }

            /// Notes the hash that was computed elsewhere.
            pub(crate) fn set_known_hash(&self, hash: Hash) {
                // Another thread may have been first, with the same hash.
                let _ = self.0.hash.set(hash);
            }

            pub(crate) fn encoding(&self) -> &[u8] {
                &self.0.encoding
            }

            pub(crate) fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0.encoding);
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0.encoding == other.0.encoding
            }
        }

        impl Eq for $name {}

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.name().hash(state);
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&Cell::from(self.clone()), f)
            }
        }
    };
}

name_type!(Symbol, tag::SYMBOL, "A symbol: a name in a program.");
name_type!(
    Keyword,
    tag::KEYWORD,
    "A keyword: a name that stands for itself."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_1_to_128_bytes_of_any_kind() {
        assert!(Symbol::new(b"").is_none());
        assert!(Symbol::new(&[0xff; 128]).is_some());
        assert!(Keyword::new(&[b'a'; 129]).is_none());
    }

    #[test]
    fn a_symbol_and_a_keyword_of_one_name_differ() {
        let (s, k) = (
            Cell::from(Symbol::literal("a")),
            Cell::from(Keyword::literal("a")),
        );
        assert_ne!(s, k);
        assert_eq!(s.encode(), [0x32, 1, b'a']);
        assert_eq!(k.encode(), [0x33, 1, b'a']);
        assert_eq!(s, Cell::from(Symbol::literal("a")));
    }
}
