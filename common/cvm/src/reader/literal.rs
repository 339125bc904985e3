//! Values of the tokens that stand for themselves (`spec/02 §1.3`, `§1.4`).

use cells::{Blob, Cell, Decoder, Keyword, Str, Symbol, decode_message};
use num_bigint::BigInt;

use super::lexer::{Kind, Token};
use super::{Problem, shorten};
use crate::math;

/// Names of characters after the backslash.
pub(super) const CHARACTER_NAMES: [(&str, u32); 6] = [
    ("newline", 0x0a),
    ("return", 0x0d),
    ("space", 0x20),
    ("tab", 0x09),
    ("formfeed", 0x0c),
    ("backspace", 0x08),
];

/// Decimal digits of the largest magnitude of an integer, 2^32767.
const MAX_DIGITS: usize = 9864;

/// The value of an atom.
pub(super) fn value(text: &str, token: Token) -> Result<Cell, Problem> {
    let source = &text[token.start..token.end];
    let fail = |what: &str| Problem::new(token.start, format!("{what}: {}", shorten(source)));
    match token.kind {
        Kind::Nil => Ok(Cell::Nil),
        Kind::True => Ok(Cell::Bool(true)),
        Kind::False => Ok(Cell::Bool(false)),
        Kind::Double => double(source).ok_or_else(|| fail("bad double format")),
        Kind::Integer => integer(source).ok_or_else(|| fail("bad number format")),
        Kind::Address => address(&source[1..]).ok_or_else(|| fail("bad address format")),
        Kind::Special => match &source[2..] {
            "NaN" => Ok(Cell::Double(math::NAN)),
            "Inf" => Ok(Cell::Double(f64::INFINITY)),
            "-Inf" => Ok(Cell::Double(f64::NEG_INFINITY)),
            _ => Err(fail("invalid special literal")),
        },
        Kind::Intrinsic => symbol(source).ok_or_else(|| fail("bad implicit symbol")),
        Kind::Raw => {
            let bytes =
                hex(&source[2..source.len() - 1]).ok_or_else(|| fail("invalid CAD3 encoding"))?;
            decode_message(&bytes, &Decoder::new()).map_err(|error| {
                Problem::new(token.start, format!("invalid CAD3 encoding: {error}"))
            })
        }
        Kind::Blob => {
            let bytes = hex(&source[2..]).ok_or_else(|| fail("invalid blob syntax"))?;
            Ok(Cell::from(Blob::new(&bytes)))
        }
        Kind::String => Ok(Cell::from(Str::new(&unescape(
            &source[1..source.len() - 1],
        )))),
        Kind::Keyword => Keyword::new(&source.as_bytes()[1..])
            .map(Cell::from)
            .ok_or_else(|| fail("Keyword too long (max 128)")),
        Kind::Symbol => symbol(source).ok_or_else(|| fail("Symbol too long (max 128)")),
        Kind::Slash => symbol(&source[1..]).ok_or_else(|| fail("invalid path symbol")),
        Kind::Resolve => {
            let name = symbol(&source[1..]).ok_or_else(|| fail("invalid @ symbol"))?;
            Ok(call("resolve", [name]))
        }
        Kind::Char => character(&source[1..]).ok_or_else(|| fail("a surrogate is no character")),
        _ => Err(fail("unexpected")),
    }
}

/// The list of a symbol and arguments.
pub(super) fn call<const N: usize>(name: &'static str, args: [Cell; N]) -> Cell {
    let form: cells::List = std::iter::once(Cell::from(Symbol::literal(name)))
        .chain(args)
        .collect();
    form.into()
}

fn symbol(name: &str) -> Option<Cell> {
    Symbol::new(name.as_bytes()).map(Cell::from)
}

/// A guard of `f F d D` is dropped, and so is a control character; any other leaves no number.
fn double(source: &str) -> Option<Cell> {
    let ignored = |c: char| matches!(c, 'f' | 'F' | 'd' | 'D' | '\0'..=' ');
    let number = source.strip_suffix(ignored).unwrap_or(source);
    number
        .ends_with(|c: char| c.is_ascii_digit())
        .then(|| number.parse().ok().map(Cell::Double))
        .flatten()
}

fn integer(source: &str) -> Option<Cell> {
    let (negative, digits) = match source.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, source),
    };
    let digits = digits.trim_start_matches('0');
    if digits.len() > MAX_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if digits.len() < 19 {
        let magnitude = if digits.is_empty() {
            0
        } else {
            digits.parse::<i64>().ok()?
        };
        return Some(Cell::Long(if negative { -magnitude } else { magnitude }));
    }
    let magnitude: BigInt = digits.parse().ok()?;
    Cell::integer(if negative { -magnitude } else { magnitude })
}

fn address(digits: &str) -> Option<Cell> {
    let digits = digits.trim_start_matches('0');
    let number: u64 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    i64::try_from(number)
        .is_ok()
        .then_some(Cell::Address(number))
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

fn character(name: &str) -> Option<Cell> {
    if let Some((_, code)) = CHARACTER_NAMES.iter().find(|(n, _)| *n == name) {
        return Some(Cell::Char(*code));
    }
    let mut chars = name.chars();
    let first = chars.next()?;
    if chars.as_str().is_empty() {
        return Some(Cell::Char(first.into()));
    }
    // Only `u` and four hex digits remain.
    let code = u32::from_str_radix(chars.as_str(), 16).ok()?;
    char::from_u32(code).map(|c| Cell::Char(c.into()))
}

/// The bytes of a string literal without its quotes; the lexer has checked the escapes.
fn unescape(source: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len());
    let mut rest = source;
    while let Some(i) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..i]);
        let escape = &rest.as_bytes()[i + 1..];
        let (c, len) = match escape[0] {
            b'b' => ('\u{8}', 1),
            b't' => ('\t', 1),
            b'n' => ('\n', 1),
            b'f' => ('\u{c}', 1),
            b'r' => ('\r', 1),
            b'u' => unicode(escape),
            b'0'..=b'7' => octal(escape),
            other => (char::from(other), 1),
        };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[i + 1 + len..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Up to three octal digits, and two when the first is above 3.
fn octal(escape: &[u8]) -> (char, usize) {
    let most = if escape[0] <= b'3' { 3 } else { 2 };
    let len = escape
        .iter()
        .take(most)
        .take_while(|b| matches!(b, b'0'..=b'7'))
        .count();
    let code = escape[..len]
        .iter()
        .fold(0u32, |n, b| n << 3 | u32::from(b - b'0'));
    (char::from_u32(code).unwrap_or('?'), len)
}

/// `uXXXX`, or two of them that make a surrogate pair; `?` for a surrogate alone.
fn unicode(escape: &[u8]) -> (char, usize) {
    let unit = |i: usize| -> Option<u16> {
        let digits = std::str::from_utf8(escape.get(i..i + 4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(1).unwrap_or(0);
    let second = if escape.get(5..7) == Some(b"\\u") {
        unit(7)
    } else {
        None
    };
    match char::decode_utf16([first].into_iter().chain(second)).next() {
        Some(Ok(c)) if c.len_utf16() == 2 => (c, 11),
        Some(Ok(c)) => (c, 5),
        _ => ('?', 5),
    }
}
