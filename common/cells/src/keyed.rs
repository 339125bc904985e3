//! Tables by hash, fast and safe with hashes that an enemy has chosen.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Spreads hashes and keys over a table. They look random already, but those of a hostile message may be any bytes,
/// chosen to meet in one place: so they are mixed with a secret of this table.
///
/// ```
/// use std::collections::HashMap;
/// let mut heights: HashMap<cells::Hash, u64, cells::Keyed> = HashMap::default();
/// heights.insert(cells::Hash::of(b"genesis"), 0);
/// ```
#[derive(Debug, Clone)]
pub struct Keyed(u64);

impl Default for Keyed {
    fn default() -> Self {
        Self::new()
    }
}

impl Keyed {
    /// With a secret of its own.
    #[must_use]
    pub fn new() -> Self {
        // Without any data, what a random state gives depends on its secret alone.
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Keyed {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer {
            key: self.0 | 1,
            state: self.0.rotate_left(32),
        }
    }
}

/// One hash in the making.
#[derive(Debug)]
pub struct Mixer {
    key: u64,
    state: u64,
}

impl Mixer {
    /// Multiplies to 128 bits and folds the halves, so that each bit of the result depends on all of the input.
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        self.state = (product >> 64) as u64 ^ product as u64 ^ self.key.rotate_left(23);
    }
}

impl Hasher for Mixer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words
            .iter()
            .for_each(|word| self.mix(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }

    fn finish(&self) -> u64 {
        // Once more, for the last word has seen only one multiplication.
        let mut last = Self {
            key: self.key.swap_bytes() | 1,
            state: self.state,
        };
        last.mix(self.key);
        last.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Hash;

    /// Hashes that differ in few bits, wherever those are, meet no more often than random ones would.
    #[test]
    fn hashes_that_are_nearly_alike_are_spread() {
        let keyed = Keyed::new();
        for at in 0..31 {
            let places: HashSet<u64> = (0..=u16::MAX)
                .map(|n| {
                    let mut hash = Hash([0x55; 32]);
                    hash.0[at..at + 2].copy_from_slice(&n.to_le_bytes());
                    keyed.hash_one(hash) % (1 << 16)
                })
                .collect();
            // A random function hits 63% of the places.
            assert!(places.len() > 35_000, "{} places at {at}", places.len());
        }
    }

    #[test]
    fn tables_do_not_share_their_secret() {
        let hash = Hash::NIL;
        let seen: HashSet<u64> = (0..8).map(|_| Keyed::new().hash_one(hash)).collect();
        assert!(seen.len() > 1);
    }
}
