//! Operations on the bits of Longs; bigger integers are refused.

use cells::Cell;

use super::{NumericError, as_long};

fn long(cell: &Cell, position: usize) -> Result<i64, NumericError> {
    as_long(cell).ok_or_else(|| NumericError::cast(position, "Long"))
}

fn both(a: &Cell, b: &Cell, f: impl FnOnce(i64, i64) -> i64) -> Result<Cell, NumericError> {
    Ok(Cell::Long(f(long(a, 0)?, long(b, 1)?)))
}

/// Bits set in both.
///
/// # Errors
/// [`NumericError::Cast`], the first argument first.
pub fn bit_and(a: &Cell, b: &Cell) -> Result<Cell, NumericError> {
    both(a, b, |a, b| a & b)
}

/// Bits set in one or both.
///
/// # Errors
/// [`NumericError::Cast`], the first argument first.
pub fn bit_or(a: &Cell, b: &Cell) -> Result<Cell, NumericError> {
    both(a, b, |a, b| a | b)
}

/// Bits set in exactly one.
///
/// # Errors
/// [`NumericError::Cast`], the first argument first.
pub fn bit_xor(a: &Cell, b: &Cell) -> Result<Cell, NumericError> {
    both(a, b, |a, b| a ^ b)
}

/// Bits not set.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn bit_not(a: &Cell) -> Result<Cell, NumericError> {
    Ok(Cell::Long(!long(a, 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;

    #[test]
    fn bits_are_those_of_twos_complement() {
        let (a, b) = (Cell::Long(7), Cell::Long(12));
        assert_eq!(bit_and(&a, &b).unwrap(), Cell::Long(4));
        assert_eq!(bit_or(&a, &b).unwrap(), Cell::Long(15));
        assert_eq!(bit_xor(&a, &b).unwrap(), Cell::Long(11));
        assert_eq!(bit_not(&a).unwrap(), Cell::Long(-8));
        assert_eq!(bit_and(&Cell::Long(-1), &b).unwrap(), b);
    }

    #[test]
    fn bigger_integers_and_doubles_have_no_bits() {
        let big = Cell::integer(BigInt::from(1) << 63).unwrap();
        assert!(matches!(
            bit_and(&big, &Cell::Nil),
            Err(NumericError::Cast {
                argument: 0,
                target: "Long",
                ..
            })
        ));
        assert!(matches!(
            bit_or(&Cell::Long(1), &big),
            Err(NumericError::Cast { argument: 1, .. })
        ));
        assert!(bit_not(&Cell::Double(1.0)).is_err());
    }
}
