//! Core functions that make and cut text (`spec/03 §3`, `§5.6`).

use cells::{Cell, Str, Vector, print};

use super::bounded_text::{self, STR_LIMIT};
use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Exit, Outcome};
use crate::juice;
use crate::value;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 10,
        symbol: "str",
        kind: Kind::Function,
        arity: Arity::Any,
        params: &["& values"],
        doc: "The texts of values, one after the other. A string and a character stand for themselves, a blob for its \
              hexadecimal digits; anything else is printed.",
        returns: "String",
        errors: &[],
        juice: "E:20+bytes",
        examples: &[
            ("(str \"a\" 1 :b)", "\"a1:b\""),
            ("(str)", "\"\""),
            ("(str nil 0xcafe \\a [\"x\"])", "\"nilcafea[\\\"x\\\"]\""),
        ],
        run: str,
    },
    Native {
        code: 11,
        symbol: "print",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["x"],
        doc: "The text of a value, as a program would have to write it.",
        returns: "String",
        errors: &[],
        juice: "E:20+bytes (text limited to available juice)",
        examples: &[
            ("(print [1 \"a\"])", "\"[1 \\\"a\\\"]\""),
            ("(print 'foo)", "\"foo\""),
            ("(print)", "!:ARITY"),
        ],
        run: print_native,
    },
    Native {
        code: 12,
        symbol: "split",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["text separator"],
        doc: "The pieces of a text between the places where a character stands. There is always at least one; pieces may \
              be empty.",
        returns: "Vector of strings",
        errors: &[(
            Code::Cast,
            "text is no string, or separator no single character",
        )],
        juice: "P:20+bytes then E:+50+50*parts",
        examples: &[
            ("(split \"a,b,,c\" \\,)", "[\"a\" \"b\" \"\" \"c\"]"),
            ("(split \"\" \\a)", "[\"\"]"),
            ("(split \"a b\" 32)", "[\"a\" \"b\"]"),
            ("(split 1 \\a)", "!:CAST"),
            ("(split \"a\" \"ab\")", "!:CAST"),
        ],
        run: split,
    },
    Native {
        code: 13,
        symbol: "join",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["texts separator"],
        doc: "Strings of a vector or list one after the other, with a character between them.",
        returns: "String",
        errors: &[(
            Code::Cast,
            "texts is no vector or list of strings nor nil, or separator no single character",
        )],
        juice: "E:20+bytes",
        examples: &[
            ("(join [\"a\" \"b\"] \\,)", "\"a,b\""),
            ("(join nil \",\")", "\"\""),
            ("(join #{\"a\"} \\,)", "!:CAST"),
            ("(join [\"a\" 1] \\,)", "!:CAST"),
            ("(join [] \"\")", "!:CAST"),
        ],
        run: join,
    },
];

/// Text under construction. What is not affordable any more is counted, not kept: the charge at the end fails
/// anyway.
struct Text {
    bytes: Vec<u8>,
    len: u64,
    affordable: u64,
}

impl Text {
    fn new(ctx: &Context<'_>) -> Self {
        Self {
            bytes: Vec::new(),
            len: 0,
            affordable: ctx.available(),
        }
    }

    fn is_affordable(&self) -> bool {
        self.len <= self.affordable
    }

    fn push(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len() as u64);
        if self.is_affordable() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn push_str(&mut self, text: &Str) -> Outcome<()> {
        if self.len.saturating_add(text.len()) > self.affordable {
            self.len = self.len.saturating_add(text.len());
            return Ok(());
        }
        Ok(text.for_each_chunk(&mut |chunk| self.push(chunk))?)
    }

    fn done(self, ctx: &mut Context<'_>) -> Outcome {
        ctx.charge(juice::string(self.len))?;
        Ok(Cell::from(Str::new(&self.bytes)))
    }
}

fn str(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let mut text = Text::new(ctx);
    for arg in args.iter() {
        if !text.is_affordable() {
            break;
        }
        append(&mut text, arg)?;
    }
    text.done(ctx)
}

/// Appends the text of a value as `str` gives it (`spec/03 §3.3`).
fn append(text: &mut Text, cell: &Cell) -> Outcome<()> {
    match cell {
        Cell::Str(s) => text.push_str(s)?,
        Cell::Blob(blob) => {
            let len = blob.len().saturating_mul(2);
            if text.len.saturating_add(len) > text.affordable {
                text.len = text.len.saturating_add(len);
                return Ok(());
            }
            blob.for_each_chunk(&mut |chunk| {
                for byte in chunk {
                    text.push(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
                }
            })?;
        }
        // A surrogate has no UTF-8 form of its own.
        Cell::Char(0xd800..=0xdfff) => text.push(b"?"),
        Cell::Char(c) => {
            let mut bytes = Vec::new();
            cells::text::write_code_point(&mut bytes, *c);
            text.push(&bytes);
        }
        Cell::Nil
        | Cell::Bool(_)
        | Cell::Long(_)
        | Cell::BigInt(_)
        | Cell::Double(_)
        | Cell::Address(_) => {
            text.push(cell.to_string().as_bytes());
        }
        _ => {
            let printed = match print::print(cell, STR_LIMIT)? {
                Some(printed) => printed,
                None => bounded_text::cut(cell)?,
            };
            text.push(&bounded_text::well_formed(printed));
        }
    }
    Ok(())
}

/// Makes sure that a value has a printed form, cut or not.
///
/// # Errors
/// The host fault where it has none.
pub(crate) fn printable(cell: &Cell) -> Outcome<()> {
    if print::print(cell, STR_LIMIT)?.is_none() {
        bounded_text::cut(cell)?;
    }
    Ok(())
}

fn hex_digit(n: u8) -> u8 {
    b"0123456789abcdef"[usize::from(n & 15)]
}

fn print_native(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    // Longer text could not be paid for.
    let limit = usize::try_from(ctx.available()).unwrap_or(usize::MAX - 1);
    match print::print(&args[0], limit)? {
        Some(text) => ctx.done(juice::string(text.len() as u64), Str::new(&text)),
        None => ctx.charge(juice::MAX).map(|()| Cell::Nil),
    }
}

/// The code point that a separator argument stands for: a character, the number of one, or a string of one.
fn separator(ctx: &Context<'_>, args: &[Cell], i: usize) -> Outcome<u32> {
    let code = match &args[i] {
        Cell::Char(c) => Some(*c),
        Cell::Long(n) => u32::try_from(*n).ok().filter(|n| *n <= 0x10_ffff),
        Cell::Str(s) if s.len() <= 4 => {
            let code = s.code_point_at(0)?;
            code.filter(|c| cells::text::code_point_len(*c) as u64 == s.len())
        }
        _ => None,
    };
    code.ok_or_else(|| ctx.cast(args, i, "Character"))
}

fn split(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let Cell::Str(text) = &args[0] else {
        return Err(ctx.cast(args, 0, "String"));
    };
    let separator = separator(ctx, args, 1)?;
    let scan = juice::string(text.len());
    ctx.precheck(scan)?;
    let bytes = text.to_vec()?;
    let mut parts: Vec<Cell> = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let found = cells::text::code_point(&bytes[at..]);
        let next = at + found.map_or(1, cells::text::code_point_len);
        if found == Some(separator) {
            parts.push(Cell::from(Str::new(&bytes[start..at])));
            start = next;
            // Nothing but the charge at the end is left to fail, so it may fail now.
            ctx.precheck(split_cost(scan, parts.len()))?;
        }
        at = next;
    }
    parts.push(Cell::from(Str::new(bytes.get(start..).unwrap_or(&[]))));
    let cost = split_cost(scan, parts.len());
    ctx.done(cost, parts.into_iter().collect::<Vector>())
}

fn split_cost(scan: u64, parts: usize) -> u64 {
    scan.saturating_add(juice::build(parts as u64))
        .min(juice::MAX)
}

/// Far more strings than a text that can be paid for is made of; only shared cells hold more.
const MAX_JOINED: u64 = 1 << 22;

fn join(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    if !args[0].is_nil() && !value::is_sequence(&args[0]) {
        return Err(ctx.cast(args, 0, "Sequence"));
    }
    let code = separator(ctx, args, 1)?;
    let mut between = Vec::new();
    cells::text::write_code_point(&mut between, code);
    let mut text = Text::new(ctx);
    let mut first = true;
    let mut add = |element: Cell| -> Outcome<bool> {
        let Cell::Str(s) = element else {
            return Ok(false);
        };
        if !std::mem::take(&mut first) {
            text.push(&between);
        }
        text.push_str(&s)?;
        Ok(true)
    };
    // All elements are looked at, even when the text is too long already: a wrong one decides the outcome.
    let mut all = true;
    let count = value::count(&args[0])?.unwrap_or(0);
    for i in 0..count {
        if i >= MAX_JOINED {
            return Err(Exit::host_fault(
                "more strings to join than anybody pays for",
            ));
        }
        let element = value::element(&args[0], i)?.unwrap_or(Cell::Nil);
        if !add(element)? {
            all = false;
            break;
        }
    }
    if !all {
        return Err::<Cell, Exit>(ctx.error(Code::Cast, "Element in join is not a String."));
    }
    text.done(ctx)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn wrong_arguments_give_the_first_error_in_order() {
        check(&[
            ("(print)", "!:ARITY"),
            ("(split \"a\")", "!:ARITY"),
            ("(split 1 :a)", "!:CAST"),
            ("(split \"a\" \"\")", "!:CAST"),
            ("(split \"a\" -1)", "!:CAST"),
            ("(split \"a\" 1114112)", "!:CAST"),
            ("(split \"a\" true)", "!:CAST"),
            ("(join [])", "!:ARITY"),
            ("(join :a \\,)", "!:CAST"),
            ("(join (hash-map) \\,)", "!:CAST"),
            ("(join [\"a\"] :b)", "!:CAST"),
            ("(join [\"a\" \\b] \\,)", "!:CAST"),
        ]);
    }

    #[test]
    fn text_of_values_follows_their_types() {
        check(&[
            (
                "(str 1 \"a\" \\b :c 'd 0xef #12 1.5 nil true)",
                "\"1ab:cdef#121.5niltrue\"",
            ),
            ("(str [\\a \"b\" 0xef])", "\"[\\\\a \\\"b\\\" 0xef]\""),
            ("(str (char 55296))", "\"?\""),
            (
                "(blob (encoding (str [(char 55296)])))",
                "0x30065b5cefbfbd5d",
            ),
            ("(str #[e005])", "\"#[e005]\""),
            ("(print \"a\\\"b\")", "\"\\\"a\\\\\\\"b\\\"\""),
        ]);
    }

    #[test]
    fn text_is_split_at_characters_not_at_bytes() {
        check(&[
            ("(split \"\u{e9}a\" (char 233))", "[\"\" \"a\"]"),
            // The first byte of a character stands for nothing, and the next position is tried.
            (
                "(map encoding (split (str (slice \"\u{e9}\" 0 1) \"A\" (slice \"\u{e9}\" 1 2)) \\A))",
                "[0x3001c3 0x3001a9]",
            ),
            // An overlong form is passed by the length of its character, so its last byte stays.
            ("(count (split \"aXbX\" \\X))", "3"),
            ("(split (join [\"a\" \"b\"] 55296) 55296)", "[\"a\" \"b\"]"),
        ]);
    }

    #[test]
    fn joining_undoes_splitting() {
        check(&[
            ("(join (split \"a,,b,\" \\,) \\,)", "\"a,,b,\""),
            ("(join '(\"a\" \"b\") 44)", "\"a,b\""),
            ("(join [] \\,)", "\"\""),
        ]);
    }

    #[test]
    fn text_that_can_not_be_paid_for_ends_all_juice() {
        // Doubles a string until it is longer than all juice.
        let grow =
            |body: &str| format!("(loop [s \"0123456789abcdef\"] (do {body} (recur (str s s))))");
        check(&[
            (&grow("nil"), "!:JUICE"),
            (&grow("(print s)"), "!:JUICE"),
            (
                &grow("(join [s s s s s s s s s s s s s s s s] \\,)"),
                "!:JUICE",
            ),
            (&grow("(split s 48)"), "!:JUICE"),
            // A wrong element decides before the charge.
            (
                "(let [s (loop [i 0 s \"01234567\"] (cond (< i 17) (recur (inc i) (str s s)) s))] \
              (join [s s s s s s s s s s s 1] \\,))",
                "!:CAST",
            ),
        ]);
    }
}
