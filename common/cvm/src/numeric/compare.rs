//! Comparison of numbers across the tower (`spec/03 §2`, `§5.3`).

use std::cmp::Ordering;

use cells::Cell;

use super::{Number, NumericError, compare};
use crate::math;

/// What each neighbouring pair has to satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Relation {
    fn holds(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else {
            return false;
        };
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// True when all neighbours satisfy the relation. Arguments after the first pair that doesn't are not looked at.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn compare_all(args: &[Cell], relation: Relation) -> Result<bool, NumericError> {
    let [first, rest @ ..] = args else {
        return Ok(true);
    };
    let mut left = Number::argument(first, 0)?;
    for (i, cell) in rest.iter().enumerate() {
        let right = Number::argument(cell, i + 1)?;
        if !relation.holds(compare(left, right)) {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

/// `!=`: the opposite of `==`.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn not_equal(args: &[Cell]) -> Result<bool, NumericError> {
    Ok(!compare_all(args, Relation::Equal)?)
}

/// The least argument, the earliest of equal ones; NaN from the first pair with a NaN on.
///
/// # Errors
/// [`NumericError::Cast`] for any argument that isn't a number, or without arguments.
pub fn min(args: &[Cell]) -> Result<Cell, NumericError> {
    extreme(args, Ordering::Less)
}

/// The greatest argument, the earliest of equal ones; NaN from the first pair with a NaN on.
///
/// # Errors
/// [`NumericError::Cast`] for any argument that isn't a number, or without arguments.
pub fn max(args: &[Cell]) -> Result<Cell, NumericError> {
    extreme(args, Ordering::Greater)
}

fn extreme(args: &[Cell], better: Ordering) -> Result<Cell, NumericError> {
    const NAN: Cell = Cell::Double(math::NAN);
    let [first, rest @ ..] = args else {
        return Err(NumericError::cast(0, "Number"));
    };
    Number::argument(first, 0)?;
    let mut best = first;
    for (i, cell) in rest.iter().enumerate() {
        let challenger = Number::argument(cell, i + 1)?;
        // The best so far is on the left: once it is a NaN, no number is looked at.
        match compare(Number::argument(best, 0)?, challenger) {
            None => best = &NAN,
            Some(ordering) if ordering.reverse() == better => best = cell,
            Some(_) => {}
        }
    }
    Ok(best.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Relation::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    const NAN: Cell = Cell::Double(math::NAN);

    fn big(n: i64) -> Cell {
        Cell::integer(BigInt::from(i64::MAX) + n).unwrap()
    }

    #[test]
    fn integers_compare_exactly_and_mixed_pairs_as_doubles() {
        let holds = |r, a: &Cell, b: &Cell| compare_all(&[a.clone(), b.clone()], r).unwrap();
        assert!(holds(Equal, &Cell::Long(1), &Cell::Double(1.0)));
        assert!(holds(
            Equal,
            &Cell::Long(9_007_199_254_740_993),
            &Cell::Double(9_007_199_254_740_992.0)
        ));
        assert!(holds(Equal, &Cell::Double(0.0), &Cell::Double(-0.0)));
        assert!(!holds(Equal, &Cell::Long(i64::MAX), &big(1)));
        assert!(holds(
            Equal,
            &Cell::Long(i64::MAX),
            &Cell::Double(9_223_372_036_854_775_808.0)
        ));
        assert!(holds(
            Equal,
            &big(1),
            &Cell::Double(9_223_372_036_854_775_808.0)
        ));
        assert!(holds(Less, &Cell::Long(-1), &big(1)));
        assert!(holds(Greater, &Cell::Double(f64::INFINITY), &big(1)));
        for relation in [Equal, Less, LessOrEqual, Greater, GreaterOrEqual] {
            assert!(!holds(relation, &NAN, &NAN));
            assert!(!holds(relation, &Cell::Long(1), &NAN));
        }
    }

    #[test]
    fn a_chain_ends_at_the_first_pair_that_fails() {
        let one = Cell::Long(1);
        assert!(!compare_all(&[one.clone(), Cell::Long(2), Cell::Nil], Equal).unwrap());
        assert!(not_equal(&[one.clone(), Cell::Long(2), Cell::Nil]).unwrap());
        let error = compare_all(&[one.clone(), one, Cell::Nil], Equal).unwrap_err();
        assert!(matches!(error, NumericError::Cast { argument: 2, .. }));
        assert!(compare_all(&[], Less).unwrap());
        assert!(!not_equal(&[]).unwrap());
        assert!(compare_all(std::slice::from_ref(&NAN), Less).unwrap());
        assert!(compare_all(&[Cell::Nil], Less).is_err());
    }

    #[test]
    fn the_earlier_of_equal_numbers_wins() {
        let text = |result: Result<Cell, NumericError>| result.unwrap().to_string();
        assert_eq!(text(max(&[Cell::Long(2), Cell::Double(2.0)])), "2");
        assert_eq!(text(min(&[Cell::Double(1.0), Cell::Long(1)])), "1.0");
        assert_eq!(text(min(&[Cell::Double(0.0), Cell::Double(-0.0)])), "0.0");
        assert_eq!(text(max(&[Cell::Double(-0.0), Cell::Double(0.0)])), "-0.0");
        assert_eq!(
            text(max(&[Cell::Long(i64::MAX), big(1)])),
            "9223372036854775808"
        );
        assert_eq!(
            text(min(&[Cell::Long(3), Cell::Long(1), Cell::Long(2)])),
            "1"
        );
    }

    #[test]
    fn a_nan_spreads_but_does_not_hide_a_wrong_type() {
        assert_eq!(max(&[NAN, Cell::Long(1), Cell::Long(2)]).unwrap(), NAN);
        assert_eq!(min(&[Cell::Long(1), NAN]).unwrap(), NAN);
        let odd = Cell::Double(f64::from_bits(0x7ff8_0000_0000_0001));
        assert_eq!(max(std::slice::from_ref(&odd)).unwrap(), odd);
        assert_eq!(max(&[odd.clone(), odd]).unwrap(), NAN);
        assert!(matches!(
            max(&[NAN, Cell::Long(1), Cell::Nil]),
            Err(NumericError::Cast { argument: 2, .. })
        ));
    }

    proptest! {
        #[test]
        fn the_extremes_are_those_of_the_order(values in proptest::collection::vec(any::<i64>(), 1..8)) {
            let args: Vec<Cell> = values.iter().copied().map(Cell::Long).collect();
            prop_assert_eq!(min(&args).unwrap(), Cell::Long(*values.iter().min().unwrap()));
            prop_assert_eq!(max(&args).unwrap(), Cell::Long(*values.iter().max().unwrap()));
            prop_assert_eq!(compare_all(&args, LessOrEqual).unwrap(), values.is_sorted());
        }
    }
}
