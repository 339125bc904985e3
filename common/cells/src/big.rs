//! Integers beyond 64 bits (`spec/01 §4.1`).

use std::sync::{Arc, OnceLock};

use num_bigint::BigInt as Number;

use crate::{Cell, Hash, tag, vlq};

/// An integer outside the range of [`Cell::Long`], of at most 4,096 bytes.
#[derive(Clone)]
pub struct BigInt(Arc<Inner>);

struct Inner {
    number: Number,
    /// Minimal two's complement, 9..=4096 bytes.
    bytes: Box<[u8]>,
    hash: OnceLock<Hash>,
}

impl BigInt {
    /// Largest number of bytes of an integer.
    pub const MAX_BYTES: usize = 4096;

    /// From minimal two's complement bytes, 9..=4096 of them; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let redundant = match bytes {
            [0x00, second, ..] => *second < 0x80,
            [0xff, second, ..] => *second >= 0x80,
            _ => false,
        };
        if redundant || !(9..=Self::MAX_BYTES).contains(&bytes.len()) {
            return None;
        }
        let number = Number::from_signed_bytes_be(bytes);
        Some(Self(Arc::new(Inner {
            number,
            bytes: bytes.into(),
            hash: OnceLock::new(),
        })))
    }

    /// The value as a number.
    #[must_use]
    pub fn number(&self) -> &Number {
        &self.0.number
    }

    /// Minimal two's complement, big-endian.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(crate) fn encoded_len(&self) -> usize {
        1 + vlq::len(self.0.bytes.len() as u64) + self.0.bytes.len()
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(tag::BIG_INTEGER);
        vlq::write(out, self.0.bytes.len() as u64);
        out.extend_from_slice(&self.0.bytes);
    }

    pub(crate) fn hash(&self) -> &Hash {
        self.0.hash.get_or_init(|| {
            let mut out = Vec::with_capacity(self.encoded_len());
            self.write(&mut out);
            Hash::of(&out)
        })
    }
}

impl PartialEq for BigInt {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bytes == other.0.bytes
    }
}

impl Eq for BigInt {}

impl Cell {
    /// The integer `number` in its only form: [`Cell::Long`] when it fits in 64 bits.
    ///
    /// `None` beyond 4,096 bytes, where no value exists.
    #[must_use]
    pub fn integer(number: Number) -> Option<Self> {
        if let Ok(n) = i64::try_from(&number) {
            return Some(Self::Long(n));
        }
        // Two's complement needs at most one byte more than the magnitude.
        if number.bits() > 8 * BigInt::MAX_BYTES as u64 {
            return None;
        }
        let bytes = number.to_signed_bytes_be();
        (bytes.len() <= BigInt::MAX_BYTES).then(|| {
            Self::BigInt(BigInt(Arc::new(Inner {
                number,
                bytes: bytes.into(),
                hash: OnceLock::new(),
            })))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_choose_the_small_form_when_they_fit() {
        assert!(matches!(
            Cell::integer(Number::from(i64::MAX)),
            Some(Cell::Long(i64::MAX))
        ));
        let big = Cell::integer(Number::from(i64::MAX) + 1).unwrap();
        assert_eq!(big.encode(), [0x19, 9, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn integers_beyond_4096_bytes_do_not_exist() {
        let limit: Number = Number::from(1) << (8 * 4096 - 1);
        assert!(Cell::integer(&limit - 1).is_some());
        assert!(Cell::integer(limit.clone()).is_none());
        assert!(Cell::integer(-limit.clone()).is_some());
        assert!(Cell::integer(-limit - 1).is_none());
    }
}
