//! Sums, differences and products, and what the juice for them depends on.

use cells::Cell;
use num_bigint::{BigInt, Sign};

use super::{CastWording, Number, NumericError};
use crate::math;

/// Juice that `+`, `-` and `*` charge before they start: after each argument, the size of the largest number so far
/// (`spec/03 §2`). A size is 8, or the bytes of a bigger integer.
///
/// # Errors
/// [`NumericError::Cast`] for the first argument that isn't a number.
pub fn precost(args: &[Cell]) -> Result<u64, NumericError> {
    let (mut largest, mut total) = (0u64, 0u64);
    for (i, cell) in args.iter().enumerate() {
        let size = match cell {
            Cell::Long(_) | Cell::Double(_) => 8,
            Cell::BigInt(n) => n.bytes().len().max(8) as u64,
            _ => return Err(NumericError::cast(i, "Number")),
        };
        largest = largest.max(size);
        total = total.saturating_add(largest);
    }
    Ok(total)
}

/// The integer `n`, or `None` beyond 4,096 bytes.
fn integer(n: BigInt) -> Option<Cell> {
    Cell::integer(n)
}

fn double(x: f64) -> Cell {
    Cell::Double(math::canonical(x))
}

/// One step of a fold; `None` when the integer result is beyond 4,096 bytes.
fn combine(
    a: &Cell,
    b: &Cell,
    position: usize,
    long: fn(i64, i64) -> Option<i64>,
    big: fn(BigInt, BigInt) -> Option<Cell>,
    float: fn(f64, f64) -> f64,
) -> Result<Option<Cell>, NumericError> {
    let a = Number::argument(a, position.saturating_sub(1))?;
    let b = Number::argument(b, position)?;
    Ok(match (a, b) {
        (Number::Long(a), Number::Long(b)) => match long(a, b) {
            Some(n) => Some(Cell::Long(n)),
            None => big(a.into(), b.into()),
        },
        (Number::Long(a), Number::Big(b)) => big(a.into(), b.number().clone()),
        (Number::Big(a), Number::Long(b)) => big(a.number().clone(), b.into()),
        (Number::Big(a), Number::Big(b)) => big(a.number().clone(), b.number().clone()),
        _ => Some(double(float(a.to_double(), b.to_double()))),
    })
}

/// The sum, from the left; 0 without arguments. A single argument is returned as it is.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] when a partial sum exceeds 4,096 bytes.
pub fn add(args: &[Cell]) -> Result<Cell, NumericError> {
    let [first, rest @ ..] = args else {
        return Ok(Cell::Long(0));
    };
    Number::argument(first, 0)?;
    let mut sum = first.clone();
    for (i, cell) in rest.iter().enumerate() {
        sum = combine(
            &sum,
            cell,
            i + 1,
            i64::checked_add,
            |a, b| integer(a + b),
            |a, b| a + b,
        )?
        .ok_or_else(NumericError::out_of_integers)?;
    }
    Ok(sum)
}

/// The first argument less the others, or the negation of a single one.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] when the result exceeds 4,096 bytes;
/// [`NumericError::HostFault`] when a partial one does. No argument at all is a cast error.
pub fn subtract(args: &[Cell]) -> Result<Cell, NumericError> {
    let [first, rest @ ..] = args else {
        return Err(NumericError::cast(0, "Number"));
    };
    let number = Number::argument(first, 0)?;
    if rest.is_empty() {
        return negate(number).ok_or_else(NumericError::out_of_integers);
    }
    let mut difference = Some(first.clone());
    for (i, cell) in rest.iter().enumerate() {
        // The reference carries a missing number into the next step.
        let left = difference.ok_or(NumericError::HostFault("-"))?;
        difference = combine(
            &left,
            cell,
            i + 1,
            i64::checked_sub,
            |a, b| integer(a - b),
            |a, b| a - b,
        )?;
    }
    difference.ok_or_else(NumericError::out_of_integers)
}

fn negate(number: Number<'_>) -> Option<Cell> {
    match number {
        Number::Long(n) => match n.checked_neg() {
            Some(n) => Some(Cell::Long(n)),
            None => integer(-BigInt::from(n)),
        },
        Number::Big(n) => integer(-n.number()),
        Number::Double(x) => Some(double(-x)),
    }
}

/// The product, from the left; 1 without arguments. A single argument is returned as it is.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] when a partial product exceeds 4,096 bytes.
pub fn multiply(args: &[Cell]) -> Result<Cell, NumericError> {
    let [first, rest @ ..] = args else {
        return Ok(Cell::Long(1));
    };
    Number::argument(first, 0)?;
    let mut product = first.clone();
    for (i, cell) in rest.iter().enumerate() {
        product = combine(
            &product,
            cell,
            i + 1,
            i64::checked_mul,
            // A product with a bigger integer keeps the large form, even when it has become small.
            |a, b| cells::BigInt::unreduced(a * b).map(Cell::BigInt),
            |a, b| a * b,
        )?
        .ok_or_else(NumericError::out_of_integers)?;
    }
    Ok(product)
}

/// One more; nil beyond 4,096 bytes.
///
/// # Errors
/// [`NumericError::Cast`] for all but integers.
pub fn inc(cell: &Cell) -> Result<Cell, NumericError> {
    step(cell, 1)
}

/// One less; nil beyond 4,096 bytes.
///
/// # Errors
/// [`NumericError::Cast`] for all but integers.
pub fn dec(cell: &Cell) -> Result<Cell, NumericError> {
    step(cell, -1)
}

fn step(cell: &Cell, by: i64) -> Result<Cell, NumericError> {
    let wide = match Number::of(cell) {
        Some(Number::Long(n)) => match n.checked_add(by) {
            Some(n) => return Ok(Cell::Long(n)),
            None => BigInt::from(n) + by,
        },
        Some(Number::Big(n)) => n.number() + by,
        _ => return Err(NumericError::cast(0, "Long")),
    };
    Ok(integer(wide).unwrap_or(Cell::Nil))
}

/// The magnitude.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] for -2^32767.
pub fn abs(cell: &Cell) -> Result<Cell, NumericError> {
    match Number::argument(cell, 0)? {
        Number::Double(x) => Ok(double(x.abs())),
        Number::Long(n) if n < 0 => {
            negate(Number::Long(n)).ok_or_else(NumericError::out_of_integers)
        }
        Number::Big(n) if n.number().sign() == Sign::Minus => {
            negate(Number::Big(n)).ok_or_else(NumericError::out_of_integers)
        }
        _ => Ok(cell.clone()),
    }
}

/// −1, 0 or 1 for an integer; −1.0, 1.0, the zero itself or NaN for a double. Of some positive integers it is 0 until
/// they are computed with: [`cells::BigInt::signum`].
///
/// # Errors
/// [`NumericError::Cast`].
pub fn signum(cell: &Cell) -> Result<Cell, NumericError> {
    Ok(match Number::of(cell) {
        Some(Number::Long(n)) => Cell::Long(n.signum()),
        Some(Number::Big(n)) => Cell::Long(n.signum()),
        Some(Number::Double(x)) => Cell::Double(math::signum(x)),
        None => return Err(NumericError::cast_worded(0, "Number", CastWording::Type)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Integers around the limits of 64 bits and of any size up to 100 bytes.
    fn integers() -> impl Strategy<Value = BigInt> {
        prop_oneof![
            any::<i64>().prop_map(BigInt::from),
            (-3i64..3).prop_map(BigInt::from),
            (-3i64..3, any::<bool>()).prop_map(|(n, low)| BigInt::from(if low {
                i64::MIN
            } else {
                i64::MAX
            }) + n),
            proptest::collection::vec(any::<u8>(), 1..100)
                .prop_map(|b| BigInt::from_signed_bytes_be(&b)),
        ]
    }

    fn cell(n: &BigInt) -> Cell {
        Cell::integer(n.clone()).unwrap()
    }

    proptest! {
        #[test]
        fn integer_arithmetic_is_exact(a in integers(), b in integers(), c in integers()) {
            let args = [cell(&a), cell(&b), cell(&c)];
            prop_assert_eq!(add(&args).unwrap(), cell(&(&a + &b + &c)));
            prop_assert_eq!(subtract(&args).unwrap(), cell(&(&a - &b - &c)));
            prop_assert_eq!(multiply(&args).unwrap(), cell(&(&a * &b * &c)));
            prop_assert_eq!(subtract(&args[..1]).unwrap(), cell(&-&a));
            prop_assert_eq!(inc(&args[0]).unwrap(), cell(&(&a + 1)));
            prop_assert_eq!(dec(&args[0]).unwrap(), cell(&(&a - 1)));
            prop_assert_eq!(abs(&args[0]).unwrap(), cell(&BigInt::from(a.magnitude().clone())));
            prop_assert_eq!(signum(&args[0]).unwrap(), Cell::Long(match a.sign() { Sign::Minus => -1, Sign::NoSign => 0, Sign::Plus => 1 }));
        }

        #[test]
        fn a_double_makes_the_result_a_double(a in any::<i64>(), x in any::<f64>()) {
            let args = [Cell::Long(a), Cell::Double(x)];
            prop_assert_eq!(add(&args).unwrap(), Cell::Double(math::canonical(a as f64 + x)));
            prop_assert_eq!(subtract(&args).unwrap(), Cell::Double(math::canonical(a as f64 - x)));
            prop_assert_eq!(multiply(&args).unwrap(), Cell::Double(math::canonical(a as f64 * x)));
        }
    }

    /// -2^32767, the smallest integer.
    fn smallest() -> Cell {
        Cell::integer(-(BigInt::from(1) << 32767u32)).unwrap()
    }

    #[test]
    fn results_beyond_4096_bytes_are_errors_or_nil() {
        let (m, one) = (smallest(), Cell::Long(1));
        assert!(matches!(
            add(&[m.clone(), Cell::Long(-1), one.clone()]),
            Err(NumericError::Argument(_))
        ));
        assert!(matches!(
            multiply(&[m.clone(), Cell::Long(2), Cell::Long(0)]),
            Err(NumericError::Argument(_))
        ));
        assert!(matches!(
            subtract(std::slice::from_ref(&m)),
            Err(NumericError::Argument(_))
        ));
        assert!(matches!(
            subtract(&[m.clone(), one.clone()]),
            Err(NumericError::Argument(_))
        ));
        assert!(matches!(abs(&m), Err(NumericError::Argument(_))));
        assert!(dec(&m).unwrap().is_nil());
        assert!(!inc(&m).unwrap().is_nil());
    }

    #[test]
    fn a_partial_difference_beyond_4096_bytes_is_a_host_fault() {
        let m = smallest();
        for args in [
            vec![m.clone(), Cell::Long(1), Cell::Long(1)],
            vec![m.clone(), Cell::Long(1), Cell::Double(1.0)],
            vec![Cell::Long(1), m.clone(), Cell::Long(5), Cell::Long(1)],
            vec![Cell::Long(0), m.clone(), m.clone()],
        ] {
            assert!(matches!(subtract(&args), Err(NumericError::HostFault("-"))));
        }
    }

    #[test]
    fn zeros_keep_the_sign_that_ieee_gives_them() {
        let sum = |args: &[Cell]| add(args).unwrap().to_string();
        assert_eq!(sum(&[Cell::Long(0), Cell::Double(-0.0)]), "0.0");
        assert_eq!(sum(&[Cell::Double(-0.0)]), "-0.0");
        assert_eq!(sum(&[Cell::Double(-0.0), Cell::Double(-0.0)]), "-0.0");
        assert_eq!(subtract(&[Cell::Double(0.0)]).unwrap().to_string(), "-0.0");
        assert_eq!(
            multiply(&[Cell::Long(0), Cell::Double(-1.5)])
                .unwrap()
                .to_string(),
            "-0.0"
        );
    }

    #[test]
    fn the_cost_follows_the_largest_number_so_far() {
        let big = Cell::integer(BigInt::from(1) << 63).unwrap();
        assert_eq!(precost(&[]).unwrap(), 0);
        assert_eq!(precost(&[Cell::Long(1), Cell::Double(2.0)]).unwrap(), 16);
        assert_eq!(precost(&[big.clone(), Cell::Long(-1)]).unwrap(), 18);
        assert_eq!(precost(&[Cell::Long(-1), big]).unwrap(), 17);
        assert!(matches!(
            precost(&[Cell::Long(1), Cell::Nil]),
            Err(NumericError::Cast { argument: 1, .. })
        ));
    }

    #[test]
    fn a_lone_argument_passes_even_with_odd_nan_bits() {
        let odd = Cell::Double(f64::from_bits(0x7ff8_0000_0000_0001));
        assert_eq!(add(std::slice::from_ref(&odd)).unwrap(), odd);
        assert_eq!(multiply(std::slice::from_ref(&odd)).unwrap(), odd);
        assert_eq!(
            subtract(std::slice::from_ref(&odd)).unwrap(),
            Cell::Double(math::NAN)
        );
        assert_eq!(abs(&odd).unwrap(), Cell::Double(math::NAN));
        assert_eq!(signum(&odd).unwrap(), Cell::Double(math::NAN));
    }
}
