//! Core functions that turn a value of one type into one of another (`spec/03 §5.5`).

use cells::{Blob, Cell, Keyword, Str, Symbol};

use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Outcome};
use crate::juice;
use crate::numeric::{self, NumericError};

const NO_NAME: (Code, &str) = (Code::Cast, "x is no string, keyword or symbol");
const BAD_NAME: (Code, &str) = (Code::Argument, "the name does not have 1 to 128 bytes");

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 14,
        symbol: "name",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The name of a keyword or symbol. A string is its own name.",
        returns: "String",
        errors: &[NO_NAME],
        juice: "E:20",
        examples: &[
            ("(name :foo)", "\"foo\""),
            ("(name 'foo)", "\"foo\""),
            ("(name \"\")", "\"\""),
            ("(name 1)", "!:CAST"),
        ],
        run: name,
    },
    Native {
        code: 15,
        symbol: "keyword",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The keyword with the name of a string, symbol or keyword.",
        returns: "Keyword",
        errors: &[NO_NAME, BAD_NAME],
        juice: "E:20",
        examples: &[
            ("(keyword \"foo\")", ":foo"),
            ("(keyword 'foo)", ":foo"),
            ("(keyword \"\")", "!:ARGUMENT"),
            ("(keyword 1)", "!:CAST"),
        ],
        run: keyword,
    },
    Native {
        code: 16,
        symbol: "symbol",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The symbol with the name of a string, keyword or symbol.",
        returns: "Symbol",
        errors: &[NO_NAME, BAD_NAME],
        juice: "E:20",
        examples: &[
            ("(symbol \"foo\")", "foo"),
            ("(symbol :foo)", "foo"),
            ("(symbol \"\")", "!:ARGUMENT"),
            ("(symbol nil)", "!:CAST"),
        ],
        run: symbol,
    },
    Native {
        code: 34,
        symbol: "address",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The address with a number, given as an integer or as a blob of at most 8 bytes; also that of an actor with \
              a scope. There need not be such an account.",
        returns: "Address",
        errors: &[
            (
                Code::Cast,
                "x is no address, vector that starts with one, blob or integer",
            ),
            (Code::Argument, "the number is negative or too big"),
        ],
        juice: "E:20",
        examples: &[
            ("(address 12)", "#12"),
            ("(address 0x00ff)", "#255"),
            ("(address [#12 :scope])", "#12"),
            ("(address -1)", "!:ARGUMENT"),
            ("(address 0xff)", "!:ARGUMENT"),
            ("(address [])", "!:CAST"),
        ],
        run: |ctx, args| convert(ctx, args, numeric::to_address),
    },
    Native {
        code: 35,
        symbol: "blob",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The bytes of a value: those that a string of hexadecimal digits stands for, the name of a keyword or \
              symbol, the 8 bytes of an address, the fewest bytes of an integer, the UTF-8 form of a character, one byte \
              for a boolean.",
        returns: "Blob",
        errors: &[(
            Code::Cast,
            "x has no such form, or is a string of anything but pairs of hexadecimal digits",
        )],
        juice: "E:20+bytes",
        examples: &[
            ("(blob \"cafe\")", "0xcafe"),
            ("(blob #12)", "0x000000000000000c"),
            ("(blob -129)", "0xff7f"),
            ("(blob :abc)", "0x616263"),
            ("(blob \"0x12\")", "!:CAST"),
            ("(blob 1.0)", "!:CAST"),
        ],
        run: blob,
    },
    Native {
        code: 136,
        symbol: "encoding",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The canonical encoding of a value. Parts of it that are large stand in there as their hashes.",
        returns: "Blob",
        errors: &[],
        juice: "P:20+bytes",
        examples: &[
            ("(encoding 1)", "0x1101"),
            ("(encoding [1 2])", "0x800211011102"),
            ("(encoding)", "!:ARITY"),
        ],
        run: encoding,
    },
    Native {
        code: 137,
        symbol: "long",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "An integer of 64 bits: a double without its fraction, the code point of a character, the number of an \
              address, the last 8 bytes of a blob. A blob of fewer bytes is taken as signed.",
        returns: "Long",
        errors: &[
            (Code::Cast, "x is of another type"),
            (
                Code::Argument,
                "the number does not fit in 64 bits, or is infinite or NaN",
            ),
        ],
        juice: "E:20",
        examples: &[
            ("(long -1.7)", "-1"),
            ("(long \\a)", "97"),
            ("(long #12)", "12"),
            ("(long 0xff)", "-1"),
            ("(long 1e30)", "!:ARGUMENT"),
            ("(long 9223372036854775808)", "!:ARGUMENT"),
            ("(long true)", "!:CAST"),
        ],
        run: |ctx, args| convert(ctx, args, numeric::to_long),
    },
    Native {
        code: 138,
        symbol: "int",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "An integer, as `long` gives it but of any size. A blob of more than 8 bytes is read as two's complement; \
              one whose first byte is redundant counts for its last byte only.",
        returns: "Integer",
        errors: &[
            (
                Code::Cast,
                "x is of another type, or a blob of more than 4096 bytes",
            ),
            (Code::Argument, "the number is infinite or NaN"),
        ],
        juice: "E:20",
        examples: &[
            ("(int 1e23)", "100000000000000000000000"),
            ("(int 0x010000000000000000)", "18446744073709551616"),
            ("(int 0x000102030405060708)", "8"),
            ("(int ##Inf)", "!:ARGUMENT"),
            ("(int \"1\")", "!:CAST"),
        ],
        run: |ctx, args| convert(ctx, args, numeric::to_int),
    },
    Native {
        code: 139,
        symbol: "double",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The double nearest to a number.",
        returns: "Double",
        errors: &[(Code::Cast, "x is no number")],
        juice: "E:20",
        examples: &[
            ("(double 3)", "3.0"),
            ("(double 9007199254740993)", "9.007199254740992E15"),
            ("(double \\a)", "!:CAST"),
        ],
        run: |ctx, args| convert(ctx, args, numeric::to_double),
    },
    Native {
        code: 140,
        symbol: "char",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The character with a code point, or the one whose UTF-8 form a blob is.",
        returns: "Character",
        errors: &[
            (Code::Cast, "x is no character, integer or blob"),
            (
                Code::Argument,
                "there is no such code point, or the blob is not exactly one character",
            ),
        ],
        juice: "E:20",
        examples: &[
            ("(char 97)", "\\a"),
            ("(char 0xc3a9)", "\\é"),
            ("(char 1114112)", "!:ARGUMENT"),
            ("(char 0xff)", "!:ARGUMENT"),
            ("(char \"a\")", "!:CAST"),
        ],
        run: |ctx, args| convert(ctx, args, numeric::to_char),
    },
    Native {
        code: 141,
        symbol: "byte",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The lowest 8 bits of an integer, or the last byte of a blob.",
        returns: "Long from 0 to 255",
        errors: &[(Code::Cast, "x is neither an integer nor a blob")],
        juice: "E:20",
        examples: &[
            ("(byte 257)", "1"),
            ("(byte -1)", "255"),
            ("(byte 0x)", "0"),
            ("(byte #12)", "!:CAST"),
        ],
        run: |ctx, args| convert(ctx, args, numeric::to_byte),
    },
];

fn convert(
    ctx: &mut Context<'_>,
    args: &[Cell],
    conversion: fn(&Cell) -> Result<Cell, NumericError>,
) -> Outcome {
    let value = ctx.numeric(args, conversion(&args[0]))?;
    ctx.done(juice::SIMPLE, value)
}

fn name(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let name = match &args[0] {
        Cell::Str(s) => s.clone(),
        Cell::Keyword(k) => Str::new(k.name()),
        Cell::Symbol(s) => Str::new(s.name()),
        _ => return Err(ctx.cast(args, 0, "String")),
    };
    ctx.done(juice::SIMPLE, name)
}

/// The keyword or symbol that `new` makes of the name of the argument.
fn named<T: Into<Cell>>(
    ctx: &mut Context<'_>,
    args: &[Cell],
    wanted: &str,
    new: fn(&[u8]) -> Option<T>,
) -> Outcome {
    let made = match &args[0] {
        // A string in several pieces is too long for a name.
        Cell::Str(s) => s.as_flat().and_then(new),
        Cell::Keyword(k) => new(k.name()),
        Cell::Symbol(s) => new(s.name()),
        _ => return Err(ctx.cast(args, 0, wanted)),
    };
    match made {
        Some(value) => ctx.done(juice::SIMPLE, value),
        None => {
            let text = format!("Invalid {wanted} name, must be between 1 and 128 characters");
            Err(ctx.error(Code::Argument, text.as_str()))
        }
    }
}

fn keyword(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    named(ctx, args, "Keyword", Keyword::new)
}

fn symbol(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    named(ctx, args, "Symbol", Symbol::new)
}

fn blob(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Some(blob) = to_blob(&args[0])? else {
        return Err(ctx.cast(args, 0, "Blob"));
    };
    let cost = juice::linear(juice::BLOB, juice::BYTE, blob.len());
    ctx.done(cost, blob)
}

fn to_blob(cell: &Cell) -> Outcome<Option<Blob>> {
    Ok(Some(match cell {
        Cell::Blob(b) => b.clone(),
        Cell::Str(s) => return parse_hex(s),
        Cell::Keyword(k) => Blob::new(k.name()),
        Cell::Symbol(s) => Blob::new(s.name()),
        Cell::Address(n) | Cell::Extension(_, n) => Blob::new(&n.to_be_bytes()),
        Cell::Long(n) => {
            let bytes = n.to_be_bytes();
            // A leading byte is redundant when the next one has the same sign and the byte is nothing but sign.
            let redundant = bytes
                .windows(2)
                .take_while(|pair| pair[0] == if pair[1] < 0x80 { 0x00 } else { 0xff })
                .count();
            Blob::new(&bytes[redundant..])
        }
        Cell::BigInt(n) => Blob::new(n.bytes()),
        Cell::Char(c) => {
            let mut bytes = Vec::new();
            cells::text::write_code_point(&mut bytes, *c);
            Blob::new(&bytes)
        }
        Cell::Bool(b) => Blob::new(&[u8::from(*b)]),
        _ => return Ok(None),
    }))
}

/// The bytes that pairs of hexadecimal digits stand for; `None` for any other text.
fn parse_hex(text: &Str) -> Outcome<Option<Blob>> {
    if !text.len().is_multiple_of(2) {
        return Ok(None);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
    let text = text.to_vec()?;
    let bytes: Option<Vec<u8>> = text
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect();
    Ok(bytes.map(|bytes| Blob::new(&bytes)))
}

fn encoding(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let encoding = args[0].with_encoding(Blob::new);
    let cost = juice::linear(juice::BLOB, juice::BYTE, encoding.len());
    ctx.precheck(cost)?;
    ctx.done(cost, encoding)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn values_of_the_wrong_type_are_refused() {
        check(&[
            ("(name 0x61)", "!:CAST"),
            ("(keyword #12)", "!:CAST"),
            ("(symbol 0x61)", "!:CAST"),
            ("(address '(#12))", "!:CAST"),
            ("(address [1])", "!:CAST"),
            ("(address 1.0)", "!:CAST"),
            ("(blob nil)", "!:CAST"),
            ("(blob [])", "!:CAST"),
            ("(blob \"abc\")", "!:CAST"),
            ("(blob \"zz\")", "!:CAST"),
            ("(long \"1\")", "!:CAST"),
            ("(int true)", "!:CAST"),
            ("(double #12)", "!:CAST"),
            ("(char \"a\")", "!:CAST"),
            ("(char 1.0)", "!:CAST"),
            ("(byte \\a)", "!:CAST"),
            ("(byte 1.0)", "!:CAST"),
            ("(byte #[b5])", "!:CAST"),
        ]);
    }

    #[test]
    fn values_of_the_right_type_may_still_not_be_acceptable() {
        check(&[
            ("(keyword \"\")", "!:ARGUMENT"),
            ("(symbol (str (hash 0x) (hash 0x) \"x\"))", "!:ARGUMENT"),
            ("(address 9223372036854775808)", "!:ARGUMENT"),
            ("(address 0x000102030405060708)", "!:ARGUMENT"),
            ("(long ##NaN)", "!:ARGUMENT"),
            ("(int ##-Inf)", "!:ARGUMENT"),
            ("(char -1)", "!:ARGUMENT"),
            ("(char 0x)", "!:ARGUMENT"),
            ("(char 0xc080)", "!:ARGUMENT"),
        ]);
    }

    #[test]
    fn names_of_128_bytes_are_the_longest() {
        check(&[("(count (name (keyword (str (hash 0x) (hash 0x)))))", "128")]);
    }

    #[test]
    fn integers_become_their_fewest_bytes() {
        check(&[
            ("(blob 0)", "0x00"),
            ("(blob 127)", "0x7f"),
            ("(blob 128)", "0x0080"),
            ("(blob -1)", "0xff"),
            ("(blob -128)", "0x80"),
            ("(blob 9223372036854775807)", "0x7fffffffffffffff"),
            ("(blob -9223372036854775808)", "0x8000000000000000"),
            ("(blob 99999999999999999999)", "0x056bc75e2d630fffff"),
        ]);
    }

    #[test]
    fn byte_flags_count_as_numbers_where_booleans_do_not() {
        check(&[
            ("(long #[b5])", "5"),
            ("(int #[bf])", "15"),
            ("(long false)", "!:CAST"),
            ("(double #[b5])", "!:CAST"),
        ]);
    }

    #[test]
    fn other_values_become_the_bytes_that_they_are_made_of() {
        check(&[
            ("(blob \"aBcD\")", "0xabcd"),
            ("(blob true)", "0x01"),
            ("(blob (char 233))", "0xc3a9"),
            ("(blob 'abc)", "0x616263"),
            ("(blob 0x12)", "0x12"),
            ("(blob #[e005])", "0x0000000000000005"),
        ]);
    }
}
