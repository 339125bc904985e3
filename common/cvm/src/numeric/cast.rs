//! Conversions to numbers, characters and addresses (`spec/03 §5.5`).

use cells::{Blob, Cell, format_double};
use num_bigint::BigInt;

use super::{Number, NumericError, as_long};
use crate::math;

/// The last `N` bytes of a blob, fewer when it is shorter.
fn last_bytes<const N: usize>(blob: &Blob) -> Result<([u8; N], usize), NumericError> {
    let len = blob.len().min(N as u64);
    let mut out = [0; N];
    for (slot, i) in out.iter_mut().zip(blob.len() - len..) {
        *slot = blob.byte_at(i)?.unwrap_or(0);
    }
    Ok((out, len as usize))
}

/// The last 8 bytes, big-endian; shorter blobs are sign-extended.
fn blob_to_long(blob: &Blob) -> Result<i64, NumericError> {
    let (bytes, len) = last_bytes::<8>(blob)?;
    if len == 0 {
        return Ok(0);
    }
    Ok(i64::from_be_bytes(bytes) >> (8 * (8 - len)))
}

/// The integer part of a finite double. Beyond 64 bits it is that of the shortest decimal, not of the exact value
/// (`spec/03 §2`).
fn double_to_integer(x: f64) -> Result<Cell, NumericError> {
    const TWO63: f64 = 9_223_372_036_854_775_808.0;
    if !x.is_finite() {
        return Err(NumericError::argument("Out of range"));
    }
    if x.abs() <= TWO63 {
        // Saturates at 2^63, as the rule says.
        return Ok(Cell::Long(x as i64));
    }
    // Doubles of this size print as d.dddE…, with fewer digits than places before the point.
    let text = format_double(x);
    let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Option<BigInt> = format!("{whole}{fraction}").parse().ok();
    let places = exponent
        .parse::<u32>()
        .ok()
        .and_then(|e| e.checked_sub(fraction.len() as u32));
    digits
        .zip(places)
        .and_then(|(digits, places)| Cell::integer(digits * BigInt::from(10).pow(places)))
        .ok_or_else(|| NumericError::argument("Out of range"))
}

/// What [`to_long`] and [`to_int`] do alike.
fn small_cast(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Long(n) => Some(*n),
        Cell::Char(c) => Some(i64::from(*c)),
        // Byte flags other than the booleans count as their number.
        Cell::Flag(n) => Some(i64::from(*n)),
        Cell::Address(n) => i64::try_from(*n).ok(),
        _ => None,
    }
}

/// `long`: from a number, a character, an address or a blob.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] beyond 64 bits.
pub fn to_long(cell: &Cell) -> Result<Cell, NumericError> {
    if let Some(n) = small_cast(cell) {
        return Ok(Cell::Long(n));
    }
    let number = match cell {
        Cell::Blob(blob) => return Ok(Cell::Long(blob_to_long(blob)?)),
        Cell::Double(x) => double_to_integer(*x)?,
        Cell::BigInt(_) => cell.clone(),
        _ => return Err(NumericError::cast(0, "Long")),
    };
    as_long(&number)
        .map(Cell::Long)
        .ok_or_else(|| NumericError::argument("Out of range"))
}

/// `int`: as [`to_long`], without the limit of 64 bits.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] for a double that isn't finite.
pub fn to_int(cell: &Cell) -> Result<Cell, NumericError> {
    if let Some(n) = small_cast(cell) {
        return Ok(Cell::Long(n));
    }
    match cell {
        Cell::BigInt(_) => Ok(cell.clone()),
        Cell::Double(x) => double_to_integer(*x),
        Cell::Blob(blob) if blob.len() <= 8 => Ok(Cell::Long(blob_to_long(blob)?)),
        Cell::Blob(blob) => {
            let (b0, b1) = (blob.byte_at(0)?.unwrap_or(0), blob.byte_at(1)?.unwrap_or(0));
            // A redundant sign byte leaves only the last byte of the blob: a defect that the network has agreed on.
            if matches!(b0, 0x00 | 0xff) && (b0 ^ b1) < 0x80 {
                let ([last], _) = last_bytes::<1>(blob)?;
                return Ok(Cell::Long(i64::from(last as i8)));
            }
            blob.as_flat()
                .and_then(cells::BigInt::from_bytes)
                .map(Cell::BigInt)
                .ok_or_else(|| NumericError::cast(0, "Integer"))
        }
        _ => Err(NumericError::cast(0, "Integer")),
    }
}

/// `double`: the nearest double of a number; NaN becomes the standard one.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn to_double(cell: &Cell) -> Result<Cell, NumericError> {
    let number = Number::of(cell).ok_or_else(|| NumericError::cast(0, "Double"))?;
    Ok(Cell::Double(math::canonical(number.to_double())))
}

/// `byte`: the low 8 bits of an integer or the last byte of a blob, as a Long from 0 to 255.
///
/// # Errors
/// [`NumericError::Cast`].
pub fn to_byte(cell: &Cell) -> Result<Cell, NumericError> {
    let byte = match cell {
        Cell::Long(n) => *n as u8,
        Cell::BigInt(n) => n.bytes().last().copied().unwrap_or(0),
        Cell::Blob(blob) => last_bytes::<1>(blob)?.0[0],
        _ => return Err(NumericError::cast(0, "Long")),
    };
    Ok(Cell::Long(i64::from(byte)))
}

/// `char`: the code point of an integer, or the character whose UTF-8 form a blob is. Surrogates are accepted.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] when there is no such code point.
pub fn to_char(cell: &Cell) -> Result<Cell, NumericError> {
    match cell {
        Cell::Char(_) => Ok(cell.clone()),
        Cell::Long(_) | Cell::BigInt(_) => as_long(cell)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n <= 0x10_ffff)
            .map(Cell::Char)
            .ok_or_else(|| NumericError::argument(format!("Invalid code point: {cell}"))),
        Cell::Blob(blob) => blob
            .as_flat()
            .and_then(decode_char)
            .map(Cell::Char)
            .ok_or_else(|| NumericError::argument("Not a valid UTF-8 character")),
        _ => Err(NumericError::cast(0, "Character")),
    }
}

/// The code point whose shortest UTF-8 form `bytes` is, surrogates included.
fn decode_char(bytes: &[u8]) -> Option<u32> {
    let (lead_bits, least) = match (bytes.len(), *bytes.first()?) {
        (1, 0x00..=0x7f) => (0x7f, 0),
        (2, 0xc0..=0xdf) => (0x1f, 0x80),
        (3, 0xe0..=0xef) => (0x0f, 0x800),
        (4, 0xf0..=0xf7) => (0x07, 0x1_0000),
        _ => return None,
    };
    let mut code = u32::from(bytes[0] & lead_bits);
    for &byte in &bytes[1..] {
        if byte & 0xc0 != 0x80 {
            return None;
        }
        code = code << 6 | u32::from(byte & 0x3f);
    }
    (least..=0x10_ffff).contains(&code).then_some(code)
}

/// `address`: of an address, a vector that starts with one, a blob of at most 8 bytes or an integer.
///
/// # Errors
/// [`NumericError::Cast`]; [`NumericError::Argument`] when the number is no address.
pub fn to_address(cell: &Cell) -> Result<Cell, NumericError> {
    let cast = || NumericError::cast(0, "Address");
    match cell {
        Cell::Address(_) => Ok(cell.clone()),
        Cell::Vector(vector) => match vector.get(0)? {
            Some(address @ Cell::Address(_)) => Ok(address),
            _ => Err(cast()),
        },
        Cell::Blob(blob) => {
            let number = if blob.len() <= 8 {
                u64::try_from(blob_to_long(blob)?).ok()
            } else {
                None
            };
            number
                .map(Cell::Address)
                .ok_or_else(|| NumericError::argument("Blob not convertible a valid Address"))
        }
        Cell::Long(_) | Cell::BigInt(_) => as_long(cell)
            .and_then(|n| u64::try_from(n).ok())
            .map(Cell::Address)
            .ok_or_else(|| NumericError::argument("Integer value is not a valid Address")),
        _ => Err(cast()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Vector;

    type Cast = fn(&Cell) -> Result<Cell, NumericError>;

    fn big(text: &str) -> Cell {
        Cell::integer(text.parse().unwrap()).unwrap()
    }

    fn blob(hex: &str) -> Cell {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        Cell::from(Blob::new(&bytes))
    }

    /// The printed result, or the error code.
    fn text(result: Result<Cell, NumericError>) -> String {
        match result {
            Ok(cell) => cell.to_string(),
            Err(NumericError::Cast { .. }) => ":CAST".into(),
            Err(NumericError::Argument(_)) => ":ARGUMENT".into(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn casts_agree_with_the_published_examples() {
        // spec/03 §11, codes 34 and 137-141
        let cases: Vec<(Cast, Cell, &str)> = vec![
            (to_long, Cell::Double(1.9), "1"),
            (to_long, Cell::Double(-1.9), "-1"),
            (to_long, Cell::Double(f64::NAN), ":ARGUMENT"),
            (to_long, Cell::Double(f64::INFINITY), ":ARGUMENT"),
            (to_long, Cell::Double(1e300), ":ARGUMENT"),
            (to_long, big("9223372036854775808"), ":ARGUMENT"),
            (
                to_long,
                Cell::Double(9.223_372_036_854_776e18),
                "9223372036854775807",
            ),
            (
                to_long,
                Cell::Double(-9.223_372_036_854_776e18),
                "-9223372036854775808",
            ),
            (to_long, Cell::Double(9.3e18), ":ARGUMENT"),
            (to_long, Cell::Char(97), "97"),
            (to_long, Cell::Bool(true), ":CAST"),
            (to_long, Cell::Address(12), "12"),
            (to_long, blob(""), "0"),
            (to_long, blob("ff"), "-1"),
            (to_long, blob("0080"), "128"),
            (to_long, blob("80000000"), "-2147483648"),
            (to_long, blob("8000000000000000"), "-9223372036854775808"),
            (to_long, blob("010000000000000002"), "2"),
            (to_long, Cell::from("1"), ":CAST"),
            (to_long, Cell::Nil, ":CAST"),
            (to_int, Cell::Double(1e23), "100000000000000000000000"),
            (
                to_int,
                Cell::Double(9.223_372_036_854_776e18),
                "9223372036854775807",
            ),
            (
                to_int,
                Cell::Double(9.223_372_036_854_778e18),
                "9223372036854778000",
            ),
            (to_int, Cell::Double(9.3e18), "9300000000000000000"),
            (to_int, Cell::Double(-9.3e18), "-9300000000000000000"),
            (
                to_int,
                Cell::Double(1.234_567_890_123_456_8e20),
                "123456789012345680000",
            ),
            (to_int, Cell::Double(f64::NEG_INFINITY), ":ARGUMENT"),
            (to_int, blob("ffff"), "-1"),
            (to_int, blob("8000000000000000"), "-9223372036854775808"),
            (to_int, blob("008000000000000000"), "9223372036854775808"),
            (to_int, blob("010000000000000002"), "18446744073709551618"),
            (to_int, blob("000102030405060708"), "8"),
            (to_int, blob("ff0102030405060708"), "-18374120213919168760"),
            (to_int, blob("ff8102030405060708"), "8"),
            (to_int, blob("00000102030405060708"), "8"),
            (to_int, blob(&"11".repeat(4097)), ":CAST"),
            (to_int, Cell::Bool(true), ":CAST"),
            (
                to_double,
                big("9223372036854775808"),
                "9.223372036854776E18",
            ),
            (
                to_double,
                Cell::Long(9_007_199_254_740_993),
                "9.007199254740992E15",
            ),
            (to_double, Cell::Char(97), ":CAST"),
            (to_byte, Cell::Long(256), "0"),
            (to_byte, Cell::Long(-1), "255"),
            (to_byte, big("9223372036854776063"), "255"),
            (to_byte, big("-9223372036854775809"), "255"),
            (to_byte, blob(""), "0"),
            (to_byte, blob("1234"), "52"),
            (to_byte, Cell::Address(12), ":CAST"),
            (to_byte, Cell::Double(1.5), ":CAST"),
            (to_char, Cell::Long(97), "\\a"),
            (to_char, Cell::Long(1_114_112), ":ARGUMENT"),
            (to_char, Cell::Long(-1), ":ARGUMENT"),
            (to_char, big("9223372036854775808"), ":ARGUMENT"),
            (to_char, Cell::Double(97.0), ":CAST"),
            (to_char, Cell::from("a"), ":CAST"),
            (to_char, blob("e282ac"), "\\€"),
            (to_char, blob(""), ":ARGUMENT"),
            (to_char, blob("6161"), ":ARGUMENT"),
            (to_char, blob("ff"), ":ARGUMENT"),
            (to_char, blob("c080"), ":ARGUMENT"),
            (to_char, blob("f0808080"), ":ARGUMENT"),
            (to_char, blob("f4908080"), ":ARGUMENT"),
            (to_address, blob("ff"), ":ARGUMENT"),
            (to_address, blob("00ff"), "#255"),
            (to_address, blob("0000000000000000ff"), ":ARGUMENT"),
            (to_address, blob(""), "#0"),
            (to_address, Cell::Long(-1), ":ARGUMENT"),
            (to_address, big("9223372036854775808"), ":ARGUMENT"),
            (
                to_address,
                Cell::from(Vector::from_iter([Cell::Address(1), Cell::Nil])),
                "#1",
            ),
            (to_address, Cell::from(Vector::empty()), ":CAST"),
            (to_address, Cell::Double(1.0), ":CAST"),
        ];
        for (i, (cast, cell, expected)) in cases.into_iter().enumerate() {
            assert_eq!(text(cast(&cell)), expected, "case {i}: {cell}");
        }
    }

    #[test]
    fn blobs_of_surrogates_and_of_the_last_code_point_are_characters() {
        assert_eq!(to_char(&blob("eda080")).unwrap(), Cell::Char(0xd800));
        assert_eq!(to_char(&blob("f48fbfbf")).unwrap(), Cell::Char(0x10_ffff));
    }

    #[test]
    fn the_largest_double_becomes_its_shortest_decimal() {
        let n = text(to_int(&Cell::Double(f64::MAX)));
        assert_eq!(n.len(), 309);
        assert_eq!(n.trim_end_matches('0'), "17976931348623157");
    }
}
