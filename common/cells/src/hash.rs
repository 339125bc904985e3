//! Value ids: the SHA3-256 of a cell's encoding (`spec/01 §1`).

use std::fmt;

/// SHA3-256 of the encoding of a value: its identity (`spec/01 §1`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hash of `nil`, the single byte `00`.
    pub const NIL: Self = Self([
        0x5d, 0x53, 0x46, 0x9f, 0x20, 0xfe, 0xf4, 0xf8, 0xea, 0xb5, 0x2b, 0x88, 0x04, 0x4e, 0xde,
        0x69, 0xc7, 0x7a, 0x6a, 0x68, 0xa6, 0x07, 0x28, 0x60, 0x9f, 0xc4, 0xa6, 0x5f, 0xf5, 0x31,
        0xe7, 0xd0,
    ]);

    /// Number of hex digits in a hash.
    pub const DIGITS: usize = 64;

    /// The SHA3-256 of `encoding`.
    #[must_use]
    pub fn of(encoding: &[u8]) -> Self {
        Self(crypto::sha3_256(encoding))
    }

    /// The SHA3-256 of each of `encodings`, several at once where the processor can.
    #[must_use]
    pub fn of_many(encodings: &[&[u8]]) -> Vec<Self> {
        if let [one] = encodings {
            return vec![Self::of(one)];
        }
        let mut out = vec![[0u8; 32]; encodings.len()];
        crypto::sha3_256_many(encodings, &mut out);
        out.into_iter().map(Self).collect()
    }

    /// Hex digit `k` (0..=63), high nibble of a byte first.
    ///
    /// Digits past the end read as 0: a hostile trie may name a shift of 64 or more
    /// (`spec/01 §8.5`).
    #[must_use]
    pub fn digit(&self, k: usize) -> u8 {
        match self.0.get(k / 2) {
            Some(b) if k.is_multiple_of(2) => b >> 4,
            Some(b) => b & 0x0f,
            None => 0,
        }
    }

    /// How many leading hex digits `self` and `other` share (0..=64).
    #[must_use]
    pub fn common_prefix(&self, other: &Self) -> usize {
        common_digits(&self.0, &other.0)
    }
}

/// Leading hex digits that two byte strings share, up to the end of the shorter one.
pub(crate) fn common_digits(a: &[u8], b: &[u8]) -> usize {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    match (a.get(same), b.get(same)) {
        (Some(x), Some(y)) if x >> 4 == y >> 4 => 2 * same + 1,
        _ => 2 * same,
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        let mut out = [0u8; 32];
        if text.len() != 64 {
            return Err(ParseHashError);
        }
        for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).ok_or(ParseHashError);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(out))
    }
}

/// The text is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hex digits")]
pub struct ParseHashError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nil_hash_is_the_hash_of_its_one_byte() {
        assert_eq!(Hash::of(&[0]), Hash::NIL);
    }

    #[test]
    fn digits_run_from_the_high_nibble() {
        let h: Hash = format!("0123{}", "0".repeat(60)).parse().unwrap();
        assert_eq!([0, 1, 2, 3].map(|k| h.digit(k)), [0, 1, 2, 3]);
        assert_eq!(h.digit(64), 0);
    }

    #[test]
    fn common_prefix_counts_hex_digits() {
        assert_eq!(common_digits(&[0x12, 0x34], &[0x12, 0x35]), 3);
        assert_eq!(common_digits(&[0x12], &[0x12, 0x35]), 2);
        assert_eq!(common_digits(&[0x12], &[0x22]), 0);
        let h = Hash::NIL;
        assert_eq!(h.common_prefix(&h), 64);
    }
}
