//! Numbers: arithmetic, comparison and casts on cells (`spec/03 §2`, `§5.3`–`§5.5`).
//!
//! The tower has two kinds: exact integers of at most 4,096 bytes and IEEE doubles. Integers that fit in 64 bits are
//! [`Cell::Long`]; operations on those take a fast path and promote on overflow. Mixed operations convert to double.
//! A result that is NaN is always the standard one.
//!
//! Arity and juice are the caller's; only [`precost`] serves the latter. Where the reference's behaviour isn't what
//! arithmetic would lead one to expect, the rule is cited.

mod arithmetic;
mod bits;
mod cast;
mod compare;
mod division;
mod real;

use std::cmp::Ordering;

use cells::{Cell, CellError};
use num_bigint::{BigInt, Sign};
use thiserror::Error;

pub use arithmetic::{abs, add, dec, inc, multiply, precost, signum, subtract};
pub use bits::{bit_and, bit_not, bit_or, bit_xor};
pub use cast::{to_address, to_byte, to_char, to_double, to_int, to_long};
pub use compare::{Relation, compare_all, max, min, not_equal};
pub use division::{div, modulo, quot, rem};
pub use real::{ceil, divide, exp, floor, pow, sqrt};

/// Why an operation has no result.
#[derive(Debug, Error)]
pub enum NumericError {
    /// Error code `:CAST`: an argument is of the wrong type.
    #[error("argument {argument} can't be converted to type {target}")]
    Cast {
        /// Which argument, from 0.
        argument: usize,
        /// The type that was asked for.
        target: &'static str,
        /// What the message mentions.
        wording: CastWording,
    },
    /// Error code `:ARGUMENT`, with its message.
    #[error("{0}")]
    Argument(String),
    /// The reference fails with an internal exception here, which drops the whole block (`spec/03 §1.6`).
    #[error("host fault in {0}")]
    HostFault(&'static str),
    /// Data of an argument is not available.
    #[error(transparent)]
    Cell(#[from] CellError),
}

/// The forms that the message of a cast error takes. Messages are part of results, so all are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastWording {
    /// The position and the type of the argument.
    PositionAndType,
    /// The position only.
    Position,
    /// The type only.
    Type,
    /// Neither, for functions that convert several arguments at once.
    Neither,
}

impl NumericError {
    /// The message of the error value, given the name of the type of the offending argument.
    #[must_use]
    pub fn message(&self, type_name: &str) -> String {
        match self {
            Self::Cast {
                argument,
                target,
                wording,
            } => {
                let position = argument + 1;
                match wording {
                    CastWording::PositionAndType => {
                        format!(
                            "Can't convert argument at position {position} (with type {type_name}) to type {target}"
                        )
                    }
                    CastWording::Position => {
                        format!("Can't convert argument at position {position} to type {target}")
                    }
                    CastWording::Type => {
                        format!("Can't convert value of type {type_name} to type {target}")
                    }
                    CastWording::Neither => format!("Can't convert value(s) to type {target}"),
                }
            }
            _ => self.to_string(),
        }
    }

    fn cast(argument: usize, target: &'static str) -> Self {
        Self::Cast {
            argument,
            target,
            wording: CastWording::PositionAndType,
        }
    }

    fn cast_worded(argument: usize, target: &'static str, wording: CastWording) -> Self {
        Self::Cast {
            argument,
            target,
            wording,
        }
    }

    fn argument(message: impl Into<String>) -> Self {
        Self::Argument(message.into())
    }

    /// An integer beyond 4,096 bytes.
    fn out_of_integers() -> Self {
        Self::argument("Invalid numeric result")
    }
}

/// A cell seen as a number.
#[derive(Clone, Copy)]
enum Number<'a> {
    Long(i64),
    /// A bigger one. Nothing asks for its number before it computes with it: that shows (`cells::BigInt::signum`).
    Big(&'a cells::BigInt),
    Double(f64),
}

impl<'a> Number<'a> {
    fn of(cell: &'a Cell) -> Option<Self> {
        match cell {
            Cell::Long(n) => Some(Self::Long(*n)),
            Cell::Double(x) => Some(Self::Double(*x)),
            Cell::BigInt(n) => Some(Self::Big(n)),
            _ => None,
        }
    }

    /// The argument at `position` (from 0), which must be a number.
    fn argument(cell: &'a Cell, position: usize) -> Result<Self, NumericError> {
        Self::of(cell).ok_or_else(|| NumericError::cast(position, "Number"))
    }

    fn to_double(self) -> f64 {
        match self {
            Self::Long(n) => n as f64,
            Self::Big(n) => big_to_double(n.number()),
            Self::Double(x) => x,
        }
    }
}

/// True for integers of any size and doubles, NaN included.
#[must_use]
pub fn is_number(cell: &Cell) -> bool {
    Number::of(cell).is_some()
}

/// True for integers of any size.
#[must_use]
pub fn is_integer(cell: &Cell) -> bool {
    matches!(cell, Cell::Long(_) | Cell::BigInt(_))
}

/// The value of an integer of 64 bits.
#[must_use]
pub fn as_long(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Long(n) => Some(*n),
        Cell::BigInt(n) => n.to_long(),
        _ => None,
    }
}

/// True for the numbers 0, 0.0 and -0.0; false for anything else, numbers or not.
#[must_use]
pub fn is_zero(cell: &Cell) -> bool {
    match Number::of(cell) {
        Some(Number::Long(n)) => n == 0,
        Some(Number::Big(n)) => n.number().sign() == Sign::NoSign,
        Some(Number::Double(x)) => x == 0.0,
        None => false,
    }
}

/// True for the standard NaN only, not for one with other bits (`spec/03 §5.3`).
#[must_use]
pub fn is_nan(cell: &Cell) -> bool {
    matches!(cell, Cell::Double(x) if x.to_bits() == crate::math::NAN.to_bits())
}

/// Integers compare exactly, all else as doubles; `None` when a NaN is involved. What is beside a NaN on the left is
/// not looked at.
fn compare(a: Number<'_>, b: Number<'_>) -> Option<Ordering> {
    match (a, b) {
        (Number::Long(a), Number::Long(b)) => Some(a.cmp(&b)),
        (Number::Long(a), Number::Big(b)) => Some(BigInt::from(a).cmp(b.number())),
        (Number::Big(a), Number::Long(b)) => Some(a.number().cmp(&BigInt::from(b))),
        (Number::Big(a), Number::Big(b)) => Some(a.number().cmp(b.number())),
        (Number::Double(a), _) if a.is_nan() => None,
        _ => a.to_double().partial_cmp(&b.to_double()),
    }
}

/// The double nearest to `n`, ties to even; infinite beyond the range.
fn big_to_double(n: &BigInt) -> f64 {
    let magnitude = n.magnitude();
    let bits = magnitude.bits();
    // The top 64 bits, the lowest of which also stands for everything below: enough to round once and right.
    let shift = bits.saturating_sub(64);
    let mut top = (magnitude >> shift).iter_u64_digits().next().unwrap_or(0);
    if shift > 0
        && magnitude
            .trailing_zeros()
            .is_some_and(|zeros| zeros < shift)
    {
        top |= 1;
    }
    let x = if shift > 1023 {
        f64::INFINITY
    } else {
        // 2^shift from its exponent field; the product is exact or infinite.
        top as f64 * f64::from_bits((shift + 1023) << 52)
    };
    if n.sign() == Sign::Minus { -x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_big_integer_becomes_the_nearest_double() {
        for (text, double) in [
            ("123456789012345678901234567890", 1.234_567_890_123_456_8e29),
            ("9223372036854775808", 9.223_372_036_854_776e18),
            ("-36893488147419107329", -3.689_348_814_741_911e19),
        ] {
            assert_eq!(big_to_double(&text.parse().unwrap()), double);
        }
        assert_eq!(big_to_double(&(BigInt::from(1) << 1024)), f64::INFINITY);
        assert_eq!(
            big_to_double(&((BigInt::from(1) << 1024) - (BigInt::from(1) << 970))),
            f64::INFINITY
        );
        assert_eq!(
            big_to_double(&((BigInt::from(1) << 1024) - (BigInt::from(1) << 970) - 1)),
            f64::MAX
        );
        assert_eq!(
            big_to_double(&-(BigInt::from(1) << 32767u32)),
            f64::NEG_INFINITY
        );
    }

    #[test]
    fn only_the_standard_nan_is_a_nan() {
        assert!(is_nan(&Cell::Double(crate::math::NAN)));
        assert!(!is_nan(&Cell::Double(f64::from_bits(
            0x7ff8_0000_0000_0001
        ))));
        assert!(!is_nan(&Cell::Nil));
    }

    proptest! {
        #[test]
        fn conversion_to_double_rounds_as_reading_the_decimal_does(
            digits in proptest::collection::vec(any::<u32>(), 1..34),
            negative: bool,
        ) {
            let n = BigInt::from_slice(if negative { Sign::Minus } else { Sign::Plus }, &digits);
            prop_assert_eq!(big_to_double(&n).to_bits(), n.to_string().parse::<f64>().unwrap().to_bits());
        }
    }
}
