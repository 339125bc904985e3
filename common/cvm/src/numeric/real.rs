//! Functions on doubles; integers are converted first.

use cells::Cell;

use super::{CastWording, Number, NumericError};
use crate::math;

fn apply(cell: &Cell, f: impl FnOnce(f64) -> f64) -> Result<Cell, NumericError> {
    let x = Number::argument(cell, 0)?.to_double();
    Ok(Cell::Double(math::canonical(f(x))))
}

/// `/`: the first argument divided by the others as doubles, or the reciprocal of a single one.
///
/// # Errors
/// [`NumericError::Cast`]; no argument at all is one too.
pub fn divide(args: &[Cell]) -> Result<Cell, NumericError> {
    let [first, rest @ ..] = args else {
        return Err(NumericError::cast(0, "Number"));
    };
    let mut quotient = Number::argument(first, 0)?.to_double();
    if rest.is_empty() {
        quotient = 1.0 / quotient;
    }
    for (i, cell) in rest.iter().enumerate() {
        quotient /= Number::argument(cell, i + 1)?.to_double();
    }
    Ok(Cell::Double(math::canonical(quotient)))
}

/// The greatest whole double that is not above the number.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn floor(cell: &Cell) -> Result<Cell, NumericError> {
    apply(cell, f64::floor)
}

/// The least whole double that is not below the number.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn ceil(cell: &Cell) -> Result<Cell, NumericError> {
    apply(cell, f64::ceil)
}

/// The square root, correctly rounded; NaN below zero.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn sqrt(cell: &Cell) -> Result<Cell, NumericError> {
    apply(cell, f64::sqrt)
}

/// [`math::exp`].
///
/// # Errors
/// [`NumericError::Cast`].
pub fn exp(cell: &Cell) -> Result<Cell, NumericError> {
    match Number::of(cell) {
        Some(_) => apply(cell, math::exp),
        None => Err(NumericError::cast_worded(
            0,
            "Double",
            CastWording::Position,
        )),
    }
}

/// [`math::pow`].
///
/// # Errors
/// [`NumericError::Cast`].
pub fn pow(base: &Cell, exponent: &Cell) -> Result<Cell, NumericError> {
    let double = |cell, i| {
        Number::of(cell)
            .map(Number::to_double)
            .ok_or_else(|| NumericError::cast_worded(i, "Double", CastWording::Neither))
    };
    // Both are made doubles, which shows in big ones, before either is refused.
    let (x, y) = (double(base, 0), double(exponent, 1));
    let (x, y) = (x?, y?);
    Ok(Cell::Double(math::canonical(math::pow(x, y))))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Function = fn(&Cell) -> Result<Cell, NumericError>;

    #[test]
    fn real_functions_agree_with_the_published_examples() {
        // spec/03 §11, codes 163-166
        let cases: [(Function, f64, &str); 12] = [
            (floor, 1.5, "1.0"),
            (floor, -1.5, "-2.0"),
            (floor, f64::NAN, "##NaN"),
            (floor, -0.5, "-1.0"),
            (ceil, 1.5, "2.0"),
            (ceil, -0.5, "-0.0"),
            (sqrt, 2.0, "1.4142135623730951"),
            (sqrt, -1.0, "##NaN"),
            (sqrt, -0.0, "-0.0"),
            (exp, 1.0, "2.7182818284590455"),
            (exp, 710.0, "##Inf"),
            (exp, -746.0, "0.0"),
        ];
        for (function, x, expected) in cases {
            assert_eq!(
                function(&Cell::Double(x)).unwrap().to_string(),
                expected,
                "{x}"
            );
        }
        assert_eq!(
            floor(&Cell::Long(9_007_199_254_740_993))
                .unwrap()
                .to_string(),
            "9.007199254740992E15"
        );
    }

    #[test]
    fn division_by_zero_is_infinite() {
        let text = |args: &[Cell]| divide(args).unwrap().to_string();
        assert_eq!(text(&[Cell::Long(0)]), "##Inf");
        assert_eq!(text(&[Cell::Double(-0.0)]), "##-Inf");
        assert_eq!(text(&[Cell::Long(0), Cell::Long(0)]), "##NaN");
        assert_eq!(
            text(&[Cell::Long(1), Cell::Long(2), Cell::Long(4)]),
            "0.125"
        );
        assert!(matches!(
            divide(&[Cell::Long(1), Cell::Nil]),
            Err(NumericError::Cast { argument: 1, .. })
        ));
    }

    #[test]
    fn powers_of_integers_are_doubles() {
        assert_eq!(
            pow(&Cell::Long(2), &Cell::Long(-1074)).unwrap().to_string(),
            "4.9E-324"
        );
        assert_eq!(
            pow(&Cell::Long(10), &Cell::Long(309)).unwrap().to_string(),
            "##Inf"
        );
        assert_eq!(
            pow(&Cell::Double(f64::NAN), &Cell::Long(0))
                .unwrap()
                .to_string(),
            "1.0"
        );
    }

    #[test]
    fn messages_differ_as_those_of_the_network_do() {
        let message = |error: NumericError| error.message("Keyword");
        assert_eq!(
            message(sqrt(&Cell::Nil).unwrap_err()),
            "Can't convert argument at position 1 (with type Keyword) to type Number"
        );
        assert_eq!(
            message(exp(&Cell::Nil).unwrap_err()),
            "Can't convert argument at position 1 to type Double"
        );
        assert_eq!(
            message(pow(&Cell::Nil, &Cell::Nil).unwrap_err()),
            "Can't convert value(s) to type Double"
        );
    }
}
