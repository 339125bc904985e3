//! Integers beyond 64 bits (`spec/01 §4.1`).

use std::sync::OnceLock;

use num_bigint::{BigInt as Number, Sign};
use triomphe::Arc;

use crate::uses::LastUse;
use crate::{Cell, Hash, tag, vlq};

/// An integer outside the range of [`Cell::Long`], of at most 4,096 bytes.
///
/// The exception is [`BigInt::unreduced`]: a product that fits in 64 bits and is not known to. It is equal to
/// that [`Cell::Long`] and encoded like it; only operations that ask for the small form tell them apart.
#[derive(Clone)]
pub struct BigInt(Arc<Inner>);

struct Inner {
    /// Made when it is first asked for.
    number: OnceLock<Number>,
    /// True for the result of a computation, false for what came as bytes.
    computed: bool,
    used: LastUse,
    /// Minimal two's complement; 9..=4096 bytes but for unreduced numbers.
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
        Some(Self(Arc::new(Inner {
            number: OnceLock::new(),
            computed: false,
            used: LastUse::default(),
            bytes: bytes.into(),
            hash: OnceLock::new(),
        })))
    }

    /// `number` in the large form whatever its size; `None` beyond 4,096 bytes.
    ///
    /// Some operations of the reference leave a small result in this form, where `long` casts, division and
    /// look-ups can see it (`spec/03 §2`).
    #[must_use]
    pub fn unreduced(number: Number) -> Option<Self> {
        // Two's complement needs at most one byte more than the magnitude.
        if number.bits() > 8 * Self::MAX_BYTES as u64 {
            return None;
        }
        let bytes = number.to_signed_bytes_be();
        (bytes.len() <= Self::MAX_BYTES).then(|| {
            Self(Arc::new(Inner {
                number: OnceLock::from(number),
                computed: true,
                used: LastUse::default(),
                bytes: bytes.into(),
                hash: OnceLock::new(),
            }))
        })
    }

    /// The number as the [`Cell::Long`] that it is equal to; `None` unless it is unreduced.
    #[must_use]
    pub fn to_long(&self) -> Option<i64> {
        if self.0.bytes.len() > 8 {
            None
        } else {
            let sign = match self.0.bytes.first() {
                Some(0x80..) => -1,
                _ => 0,
            };
            let n = self.0.bytes.iter();
            Some(n.fold(sign, |n, byte| n << 8 | i64::from(*byte)))
        }
    }

    /// The value as a number.
    ///
    /// Asking for it shows in [`BigInt::signum`], so it is for what computes with the number, compares or prints it.
    /// What looks at the value otherwise goes by [`BigInt::bytes`] or [`BigInt::to_long`].
    #[must_use]
    pub fn number(&self) -> &Number {
        if self.has_two_signs() && !self.0.computed {
            self.0.used.note();
        }
        self.0
            .number
            .get_or_init(|| Number::from_signed_bytes_be(&self.0.bytes))
    }

    /// The sign as the reference has it: −1, 0 or 1.
    ///
    /// As long as nobody has asked for the number, it goes by the first byte alone, which is 0 for a positive number
    /// whose highest bit fills a byte: a defect that the network has agreed on. What was computed has its number from
    /// the start. For what came as bytes, asking counts until the end of the run ([`crate::UsesOfRun`]). All that share
    /// the value share that, too, and what is decoded anew starts anew.
    #[must_use]
    pub fn signum(&self) -> i64 {
        if self.has_two_signs() && !self.0.computed && !self.0.used.is_now() {
            return 0;
        }
        match self.number().sign() {
            Sign::Minus => -1,
            Sign::NoSign => 0,
            Sign::Plus => 1,
        }
    }

    /// True for the numbers whose [`BigInt::signum`] can change. It goes by the value alone.
    #[must_use]
    pub fn has_two_signs(&self) -> bool {
        self.0.bytes.len() > 8 && self.0.bytes.first() == Some(&0)
    }

    /// Minimal two's complement, big-endian.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(crate) fn encoded_len(&self) -> usize {
        if let Some(n) = self.to_long() {
            return Cell::Long(n).encoded_len();
        }
        1 + vlq::len(self.0.bytes.len() as u64) + self.0.bytes.len()
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Some(n) = self.to_long() {
            return Cell::Long(n).write_leaf(out);
        }
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
        BigInt::unreduced(number).map(Self::BigInt)
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

    #[test]
    fn an_unreduced_number_is_equal_to_the_small_one_in_every_respect_but_its_form() {
        for n in [0, 1, -1, i64::MIN, i64::MAX] {
            let small = Cell::Long(n);
            let large = Cell::BigInt(BigInt::unreduced(Number::from(n)).unwrap());
            assert_eq!(small, large);
            assert_eq!(large, small);
            assert_eq!(small.encode(), large.encode());
            assert_eq!(small.encoded_len(), large.encoded_len());
            assert_eq!(small.hash(), large.hash());
            assert_ne!(large, Cell::Long(n.wrapping_add(1)));
        }
        let big = Cell::integer(Number::from(i64::MAX) + 1).unwrap();
        assert_ne!(big, Cell::Long(i64::MIN));
    }

    #[test]
    fn the_sign_of_a_number_from_bytes_is_that_of_its_first_byte_until_it_is_asked_for() {
        let two63: &[u8] = &[0, 0x80, 0, 0, 0, 0, 0, 0, 0];
        for (bytes, before, after) in [
            (two63, 0, 1),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], 1, 1),
            (&[0x7f, 0, 0, 0, 0, 0, 0, 0, 0], 1, 1),
            (&[0xff, 0, 0, 0, 0, 0, 0, 0, 0], -1, -1),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0, 0], -1, -1),
        ] {
            let n = BigInt::from_bytes(bytes).unwrap();
            let copy = n.clone();
            let text = [
                Cell::BigInt(n.clone()).hash().to_string(),
                format!("{:?}", n.to_long()),
            ];
            assert!(n == BigInt::unreduced(Number::from_signed_bytes_be(bytes)).unwrap());
            assert_eq!((n.signum(), n.has_two_signs()), (before, before != after));
            {
                let _run = crate::UsesOfRun::transition();
                assert_eq!(n.signum(), before);
                assert_eq!(copy.number(), &Number::from_signed_bytes_be(bytes));
                assert_eq!((n.signum(), n.has_two_signs()), (after, before != after));
            }
            assert_eq!(n.signum(), before);
            assert_eq!(text[0], Cell::BigInt(n).hash().to_string());
        }
        let computed = BigInt::unreduced(Number::from(1u64 << 63)).unwrap();
        assert_eq!(computed.signum(), 1);
        let again = BigInt::from_bytes(computed.bytes()).unwrap();
        assert_eq!(again.signum(), 0);
        let product = BigInt::unreduced(Number::from(0)).unwrap();
        assert_eq!((product.signum(), product.has_two_signs()), (0, false));
    }
}
