//! The four divisions of integers (`spec/03 §2`, division family).
//!
//! What `div` and `mod` do near the limits and for negative divisors is the network's, not mathematics'.

use cells::Cell;
use num_bigint::{BigInt, Sign};

use super::{CastWording, Number, NumericError};

/// The two integers of a division whose divisor isn't zero.
enum Operands<'a> {
    Longs(i64, i64),
    /// A Long by an integer that isn't one.
    LongByBig(i64, &'a BigInt),
    Bigs(&'a BigInt, BigInt),
}

impl<'a> Operands<'a> {
    fn of(dividend: &'a Cell, divisor: &'a Cell, name: &str) -> Result<Self, NumericError> {
        let cast = |argument| NumericError::cast_worded(argument, "Integer", CastWording::Neither);
        let n = Number::of(dividend)
            .filter(|n| !matches!(n, Number::Double(_)))
            .ok_or_else(|| cast(0))?;
        let d = Number::of(divisor)
            .filter(|n| !matches!(n, Number::Double(_)))
            .ok_or_else(|| cast(1))?;
        if super::is_zero(divisor) {
            // The spelling is the network's.
            return Err(NumericError::argument(format!("Divsion by zero in {name}")));
        }
        Ok(match (n, d) {
            (Number::Long(n), Number::Long(d)) => Self::Longs(n, d),
            (Number::Long(n), Number::Big(d)) => Self::LongByBig(n, d.number()),
            (Number::Big(n), Number::Long(d)) => Self::Bigs(n.number(), d.into()),
            (Number::Big(n), Number::Big(d)) => Self::Bigs(n.number(), d.number().clone()),
            (Number::Double(_), _) => return Err(cast(0)),
            (_, Number::Double(_)) => return Err(cast(1)),
        })
    }
}

/// A result, nil beyond 4,096 bytes.
fn integer(n: BigInt) -> Cell {
    Cell::integer(n).unwrap_or(Cell::Nil)
}

/// The quotient, truncated toward zero; nil for a Long by a bigger integer.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] for the divisor zero.
pub fn quot(dividend: &Cell, divisor: &Cell) -> Result<Cell, NumericError> {
    Ok(match Operands::of(dividend, divisor, "quot")? {
        Operands::Longs(n, d) => Cell::Long(n.wrapping_div(d)),
        Operands::LongByBig(..) => Cell::Nil,
        Operands::Bigs(n, d) => integer(n / d),
    })
}

/// The remainder of [`quot`], with the sign of the dividend; nil for a Long by a bigger integer.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] for the divisor zero.
pub fn rem(dividend: &Cell, divisor: &Cell) -> Result<Cell, NumericError> {
    Ok(match Operands::of(dividend, divisor, "rem")? {
        Operands::Longs(n, d) => Cell::Long(n.wrapping_rem(d)),
        Operands::LongByBig(..) => Cell::Nil,
        Operands::Bigs(n, d) => integer(n % d),
    })
}

/// The quotient: rounded down for Longs with a positive divisor, neither down nor Euclidean with a negative one,
/// truncated for bigger integers, nil for a Long by a bigger integer.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] for the divisor zero.
pub fn div(dividend: &Cell, divisor: &Cell) -> Result<Cell, NumericError> {
    Ok(match Operands::of(dividend, divisor, "div")? {
        Operands::Longs(n, d) => {
            let n = if n >= 0 {
                n
            } else {
                n.wrapping_sub(d.wrapping_sub(1))
            };
            Cell::Long(n.wrapping_div(d))
        }
        Operands::LongByBig(..) => Cell::Nil,
        Operands::Bigs(n, d) => integer(n / d),
    })
}

/// The remainder that is not negative.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] for the divisor zero; [`NumericError::HostFault`] for a Long
/// modulo -2^32767, whose magnitude is no integer here.
pub fn modulo(dividend: &Cell, divisor: &Cell) -> Result<Cell, NumericError> {
    Ok(match Operands::of(dividend, divisor, "mod")? {
        Operands::Longs(n, d) => {
            let r = n.wrapping_rem(d);
            Cell::Long(if r < 0 {
                r.wrapping_add(d.wrapping_abs())
            } else {
                r
            })
        }
        Operands::LongByBig(_, d)
            if Cell::integer(BigInt::from(d.magnitude().clone())).is_none() =>
        {
            return Err(NumericError::HostFault("mod"));
        }
        Operands::LongByBig(n, d) => integer(non_negative_remainder(&n.into(), d)),
        Operands::Bigs(n, d) => integer(non_negative_remainder(n, &d)),
    })
}

fn non_negative_remainder(n: &BigInt, d: &BigInt) -> BigInt {
    let r = n % d;
    if r.sign() == Sign::Minus {
        r + BigInt::from(d.magnitude().clone())
    } else {
        r
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Division = fn(&Cell, &Cell) -> Result<Cell, NumericError>;

    fn int(text: &str) -> Cell {
        Cell::integer(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_divisions_agree_with_the_published_examples() {
        const MIN: &str = "-9223372036854775808";
        const MAX: &str = "9223372036854775807";
        const BIG: &str = "9223372036854775808";
        const BELOW: &str = "-9223372036854775809";
        // spec/03 §11, codes 169-172
        let cases: [(Division, &str, &str, &str); 50] = [
            (quot, "7", MIN, "0"),
            (quot, "7", "3", "2"),
            (quot, "-7", "3", "-2"),
            (quot, "7", "-3", "-2"),
            (quot, "-7", "-3", "2"),
            (quot, MIN, "-1", MIN),
            (quot, "5", BIG, "nil"),
            (quot, BIG, "3", "3074457345618258602"),
            (quot, BELOW, "2", "-4611686018427387904"),
            (quot, "18446744073709551616", "2", BIG),
            (quot, BIG, BIG, "1"),
            (rem, "7", "3", "1"),
            (rem, "-7", "3", "-1"),
            (rem, "7", "-3", "1"),
            (rem, "-7", "-3", "-1"),
            (rem, MIN, "-1", "0"),
            (rem, "5", BIG, "nil"),
            (rem, "9223372036854775809", "5", "4"),
            (rem, BELOW, "5", "-4"),
            (div, "7", "3", "2"),
            (div, "-7", "3", "-3"),
            (div, "7", "-3", "-2"),
            (div, "-7", "-3", "1"),
            (div, "-6", "-3", "0"),
            (div, "-6", "3", "-2"),
            (div, "-1", MAX, "-1"),
            (div, MIN, "3", "3074457345618258602"),
            (div, MIN, "-1", "9223372036854775806"),
            (div, MIN, MAX, "0"),
            (div, MIN, MIN, "0"),
            (div, "-5", MIN, "0"),
            (div, "1", BIG, "nil"),
            (div, BIG, "3", "3074457345618258602"),
            (div, BIG, "-3", "-3074457345618258602"),
            (div, BELOW, "3", "-3074457345618258603"),
            (div, BELOW, BIG, "-1"),
            (modulo, "7", "3", "1"),
            (modulo, "-7", "3", "2"),
            (modulo, "7", "-3", "1"),
            (modulo, "-7", "-3", "2"),
            (modulo, "-1", MIN, MAX),
            (modulo, MIN, "-1", "0"),
            (modulo, "5", BIG, "5"),
            (modulo, "-5", BIG, "9223372036854775803"),
            (modulo, BIG, "3", "2"),
            (modulo, BELOW, "-3", "0"),
            (modulo, "5", BELOW, "5"),
            (modulo, "-5", BELOW, "9223372036854775804"),
            (modulo, BIG, "-3", "2"),
            (modulo, BELOW, BELOW, "0"),
        ];
        for (i, (function, n, d, expected)) in cases.into_iter().enumerate() {
            assert_eq!(
                function(&int(n), &int(d)).unwrap().to_string(),
                expected,
                "case {i}: {n} by {d}"
            );
        }
    }

    #[test]
    fn types_are_checked_before_the_zero() {
        for function in [quot as Division, rem, div, modulo] {
            let error = |n, d| function(&n, &d).unwrap_err();
            assert!(matches!(
                error(Cell::Nil, Cell::Long(0)),
                NumericError::Cast { argument: 0, .. }
            ));
            assert!(matches!(
                error(Cell::Long(1), Cell::Double(0.0)),
                NumericError::Cast { argument: 1, .. }
            ));
            assert!(matches!(
                error(Cell::Long(1), Cell::Long(0)),
                NumericError::Argument(_)
            ));
        }
    }

    #[test]
    fn the_smallest_integer_is_a_special_divisor() {
        let m = Cell::integer(-(BigInt::from(1) << 32767u32)).unwrap();
        assert!(quot(&m, &Cell::Long(-1)).unwrap().is_nil());
        assert!(div(&m, &Cell::Long(-1)).unwrap().is_nil());
        assert_eq!(rem(&m, &Cell::Long(-1)).unwrap(), Cell::Long(0));
        assert_eq!(modulo(&m, &m).unwrap(), Cell::Long(0));
        assert_eq!(modulo(&m, &Cell::Long(3)).unwrap(), Cell::Long(1));
        assert!(matches!(
            modulo(&Cell::Long(5), &m),
            Err(NumericError::HostFault("mod"))
        ));
        assert!(matches!(
            modulo(&Cell::Long(0), &m),
            Err(NumericError::HostFault("mod"))
        ));
        let big = int("9223372036854775808");
        assert_eq!(modulo(&big, &m).unwrap(), big);
    }

    proptest! {
        #[test]
        fn a_modulus_is_the_euclidean_one_within_64_bits(n in any::<i64>(), d in any::<i64>()) {
            prop_assume!(d != 0 && d != i64::MIN);
            prop_assert_eq!(modulo(&Cell::Long(n), &Cell::Long(d)).unwrap(), Cell::Long(n.wrapping_rem_euclid(d)));
        }

        #[test]
        fn quotient_and_remainder_make_up_a_big_dividend(
            n in proptest::collection::vec(any::<u8>(), 9..80),
            d in proptest::collection::vec(any::<u8>(), 1..80),
        ) {
            let (n, d) = (BigInt::from_signed_bytes_be(&n), BigInt::from_signed_bytes_be(&d));
            prop_assume!(i64::try_from(&n).is_err() && d.sign() != Sign::NoSign);
            let (n_cell, d_cell) = (Cell::integer(n.clone()).unwrap(), Cell::integer(d.clone()).unwrap());
            prop_assert_eq!(quot(&n_cell, &d_cell).unwrap(), Cell::integer(&n / &d).unwrap());
            prop_assert_eq!(div(&n_cell, &d_cell).unwrap(), Cell::integer(&n / &d).unwrap());
            prop_assert_eq!(rem(&n_cell, &d_cell).unwrap(), Cell::integer(&n % &d).unwrap());
            let m = modulo(&n_cell, &d_cell).unwrap();
            let m = match &m { Cell::Long(m) => BigInt::from(*m), Cell::BigInt(m) => m.number().clone(), _ => panic!() };
            prop_assert!(m.sign() != Sign::Minus && m.magnitude() < d.magnitude());
            prop_assert_eq!((n - m) % d, BigInt::from(0));
        }
    }
}
