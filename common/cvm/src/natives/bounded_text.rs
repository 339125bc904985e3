//! The text of a value too long for `str`: what of it is written before the limit (`spec/03 §3.3`).
//!
//! Consensus-relevant down to the byte, therefore a printer of its own: [`cells::print`] tells only that a text is
//! too long. A value notices when it has been written that the limit is passed, and then whatever contains it stops;
//! separators and opening brackets are not looked at. Strings, blobs and big integers are cut to the room that is
//! left. The walk keeps its own stack, so values nested deep are no danger.

use cells::{Cell, CellError, Coded, Op, Record, RecordKind, Ref, Str, print, text};

use crate::exit::{Exit, Outcome};

/// Bytes of text that `str` makes of a value.
pub(super) const STR_LIMIT: usize = print::DEFAULT_LIMIT;

/// What shows that text is missing.
const MARK: &[u8] = b"<<Print limit exceeded>>";

type Cells = Box<dyn Iterator<Item = Result<Cell, CellError>>>;
type Entries = Box<dyn Iterator<Item = Result<(Cell, Cell), CellError>>>;

/// What is still to be written, the next piece last.
enum Work {
    Text(&'static str),
    Cell(Cell),
    /// A value that has a printed form here only if it is of the right kind.
    Operand(Cell, fn(&Cell) -> bool),
    /// Stop when the limit is passed.
    Check,
    /// Where a stop inside what came before ends: the reference goes on here regardless.
    Resume,
    /// Values, each but the first after the separator.
    Cells(Cells, &'static str),
    /// Values after the first.
    More(Cells, &'static str),
    Entries(Entries, bool),
    /// Names and initialisers of a `let` or `loop`, then the body.
    Bindings {
        names: Cells,
        ops: Cells,
        gap: &'static str,
    },
}

struct Walk {
    out: Vec<u8>,
    work: Vec<Work>,
}

/// The text of `cell` up to the limit of `str`, with a mark at the end if there is more.
pub(super) fn cut(cell: &Cell) -> Outcome<Vec<u8>> {
    let mut walk = Walk {
        out: Vec::new(),
        work: vec![Work::Cell(cell.clone())],
    };
    let mut complete = true;
    while let Some(work) = walk.work.pop() {
        complete = walk.step(work)?;
        if !complete {
            walk.unwind();
        }
    }
    if !complete {
        walk.out.extend_from_slice(MARK);
    }
    Ok(walk.out)
}

const MALFORMED: CellError = CellError::Malformed("op whose operands have no printed form");

fn malformed() -> Exit {
    Exit::from(MALFORMED)
}

impl Walk {
    fn push<const N: usize>(&mut self, pieces: [Work; N]) {
        self.work.extend(pieces.into_iter().rev());
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn fits(&self) -> bool {
        self.out.len() <= STR_LIMIT
    }

    fn room(&self) -> usize {
        STR_LIMIT.saturating_sub(self.out.len())
    }

    /// Drops what a stop leaves unwritten.
    fn unwind(&mut self) {
        while let Some(work) = self.work.pop() {
            if matches!(work, Work::Resume) {
                return;
            }
        }
    }

    /// Does one piece of work; false for a stop.
    fn step(&mut self, work: Work) -> Outcome<bool> {
        match work {
            Work::Text(text) => self.text(text),
            Work::Operand(cell, fits) => {
                if !fits(&cell) {
                    return Err(malformed());
                }
                return self.cell(&cell);
            }
            Work::Cell(cell) => return self.cell(&cell),
            Work::Check => return Ok(self.fits()),
            Work::Resume => {}
            Work::Cells(mut cells, separator) => {
                if let Some(cell) = cells.next() {
                    self.push([Work::Cell(cell?), Work::More(cells, separator)]);
                }
            }
            Work::More(mut cells, separator) => {
                if let Some(cell) = cells.next() {
                    self.push([
                        Work::Text(separator),
                        Work::Cell(cell?),
                        Work::More(cells, separator),
                    ]);
                }
            }
            Work::Entries(mut entries, first) => {
                if let Some(entry) = entries.next() {
                    let (key, value) = entry?;
                    self.text(if first { "" } else { "," });
                    self.push([
                        Work::Cell(key),
                        Work::Text(" "),
                        Work::Cell(value),
                        Work::Entries(entries, false),
                    ]);
                }
            }
            Work::Bindings {
                mut names,
                mut ops,
                gap,
            } => match names.next() {
                Some(name) => {
                    let op = ops.next().ok_or_else(malformed)??;
                    self.push([
                        Work::Text(gap),
                        Work::Cell(name?),
                        Work::Text(" "),
                        Work::Cell(op),
                        Work::Text(" "),
                        Work::Bindings {
                            names,
                            ops,
                            gap: " ",
                        },
                    ]);
                }
                None => self.operands("] ", ops),
            },
        }
        Ok(true)
    }

    fn cell(&mut self, cell: &Cell) -> Outcome<bool> {
        match cell {
            Cell::Str(s) => return self.string(s),
            Cell::Blob(b) => {
                self.text("0x");
                let whole = (self.room() / 2) as u64;
                let shown = b.slice(0, b.len().min(whole))?.ok_or_else(malformed)?;
                shown.for_each_chunk(&mut |chunk| {
                    for byte in chunk {
                        self.out.extend_from_slice(format!("{byte:02x}").as_bytes());
                    }
                })?;
                return Ok(b.len() <= whole && self.fits());
            }
            Cell::BigInt(n) => {
                let room = self.room();
                // The reference does not even begin unless there is room for a digit for every two bytes.
                if n.bytes().len() > room.saturating_mul(2) {
                    return Ok(false);
                }
                let digits = n.number().to_string();
                self.out
                    .extend_from_slice(&digits.as_bytes()[..digits.len().min(room)]);
                return Ok(digits.len() <= room);
            }
            Cell::Vector(v) => self.sequence("[", Box::new(v.iter()), "]"),
            Cell::List(l) => self.sequence("(", Box::new(l.iter()), ")"),
            Cell::Set(s) => self.push([
                Work::Text("#{"),
                Work::Cells(Box::new(s.iter()), ","),
                Work::Text("}"),
                Work::Check,
            ]),
            Cell::Map(m) => self.entries("{", Box::new(m.iter())),
            Cell::Index(i) => self.entries("#Index {", Box::new(i.iter())),
            Cell::Syntax(s) => self.push([
                Work::Text("^"),
                Work::Cell(Cell::from(s.meta().clone())),
                Work::Text(" "),
                Work::Cell(s.value()?),
            ]),
            Cell::Coded(c) => match c.op() {
                Some(op) => self.coded(c, op)?,
                None => return self.leaf(cell),
            },
            Cell::Record(r) => match r.kind() {
                Some(kind) => self.record(r, kind)?,
                None => return self.leaf(cell),
            },
            _ => return self.leaf(cell),
        }
        Ok(true)
    }

    /// A value that is written as a whole.
    fn leaf(&mut self, cell: &Cell) -> Outcome<bool> {
        // Bounded by the size of one encoding: these have no parts that print.
        let text = print::print(cell, usize::MAX - 1)?.ok_or_else(malformed)?;
        self.out.extend_from_slice(&text);
        Ok(self.fits())
    }

    fn string(&mut self, s: &Str) -> Outcome<bool> {
        if s.len().saturating_add(2) <= self.room() as u64 {
            return self.leaf(&Cell::from(s.clone()));
        }
        if self.room() > 0 {
            let shown = self.room() as u64 - 1;
            self.out.push(b'"');
            match s.as_flat() {
                Some(bytes) => {
                    // A character that begins before the cut is written whole.
                    let mut i = 0;
                    while i < bytes.len() && (i as u64) < shown {
                        i += self.character(&bytes[i..]);
                    }
                }
                None => {
                    let shown = s.slice(0, shown.min(s.len()))?.ok_or_else(malformed)?;
                    shown.for_each_chunk(&mut |chunk| {
                        for byte in chunk {
                            if byte.is_ascii() {
                                self.character(&[*byte]);
                            } else {
                                self.out.push(*byte);
                            }
                        }
                    })?;
                }
            }
        }
        Ok(false)
    }

    /// Writes the first character of a string; returns how many bytes of it that was (`spec/03 §3.1`).
    fn character(&mut self, bytes: &[u8]) -> usize {
        let escaped: &[u8] = match bytes[0] {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            0x0c => b"\\f",
            _ => {
                let Some(code) = text::code_point(bytes) else {
                    self.text("\u{fffd}");
                    return 2;
                };
                let n = text::code_point_len(code).min(bytes.len());
                self.out.extend_from_slice(&bytes[..n]);
                return n;
            }
        };
        self.out.extend_from_slice(escaped);
        1
    }

    fn sequence(&mut self, open: &'static str, cells: Cells, close: &'static str) {
        self.push([
            Work::Text(open),
            Work::Cells(cells, " "),
            Work::Text(close),
            Work::Check,
        ]);
    }

    fn entries(&mut self, open: &'static str, entries: Entries) {
        self.push([
            Work::Text(open),
            Work::Entries(entries, true),
            Work::Text("}"),
            Work::Check,
        ]);
    }

    /// An op with operands, each after a space.
    fn operands(&mut self, open: &'static str, ops: Cells) {
        self.push([
            Work::Text(open),
            Work::More(ops, " "),
            Work::Text(")"),
            Work::Check,
        ]);
    }

    fn coded(&mut self, coded: &Coded, op: Op) -> Outcome<()> {
        let value = || coded.value().get();
        match op {
            Op::Constant => self.work.push(Work::Cell(value()?)),
            Op::Lambda => self
                .work
                .push(Work::Operand(value()?, crate::call::is_closure)),
            Op::Try => self.operands("(try", strict(ops(coded.value())?)),
            Op::Query => self.operands("(query", ops(coded.value())?),
            Op::Set(n) => {
                self.text(&format!("(set! %{n} "));
                self.push([Work::Cell(value()?), Work::Text(")"), Work::Check]);
            }
            Op::Lookup => {
                let address = coded.code().get()?;
                let name = Work::Operand(value()?, |cell| matches!(cell, Cell::Symbol(_)));
                if address.is_nil() {
                    self.work.push(name);
                } else {
                    let address = Work::Operand(address, crate::op::is_op);
                    self.push([address, Work::Text("/"), name]);
                }
            }
            Op::Def => self.push([
                Work::Text("(def "),
                Work::Operand(coded.code().get()?, |cell| !cell.is_nil()),
                Work::Resume,
                Work::Text(" "),
                Work::Cell(value()?),
                Work::Text(")"),
                Work::Check,
            ]),
            Op::Let | Op::Loop => {
                let (names, ops) = (ops(coded.code())?, strict(ops(coded.value())?));
                self.text(if op == Op::Let { "(let [" } else { "(loop [" });
                self.work.push(Work::Bindings {
                    names,
                    ops,
                    gap: "",
                });
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record, kind: RecordKind) -> Outcome<()> {
        let fields = || Box::new(record.fields().iter());
        match kind {
            RecordKind::Do => self.operands("(do", fields()),
            RecordKind::Cond => self.operands("(cond", fields()),
            RecordKind::Apply => self.sequence("(", fields(), ")"),
            RecordKind::Fn => {
                self.push([Work::Resume, Work::Text(")"), Work::Check]);
                self.function(record)?;
                self.work.push(Work::Text("(fn "));
            }
            RecordKind::MultiFn => {
                self.push([Work::Check, Work::Text(")"), Work::Check]);
                for (i, member) in record
                    .fields()
                    .iter()
                    .enumerate()
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                {
                    self.work.push(Work::Text(")"));
                    match member? {
                        Cell::Record(r) if r.kind() == Some(RecordKind::Fn) => self.function(&r)?,
                        _ => return Err(malformed()),
                    }
                    self.work.push(Work::Text(if i == 0 { "(" } else { " (" }));
                }
                self.work.push(Work::Text("(fn "));
            }
            _ => {
                let is_result = kind == RecordKind::Result;
                let mut entries = Vec::new();
                for (i, name) in kind.fields().iter().enumerate() {
                    let value = record.field(i as u64)?.unwrap_or(Cell::Nil);
                    if !(is_result && value.is_nil() && *name != "result") {
                        entries.push(Ok((Cell::from(cells::Keyword::literal(name)), value)));
                    }
                }
                self.entries(
                    if is_result { "#Result {" } else { "{" },
                    Box::new(entries.into_iter()),
                );
            }
        }
        Ok(())
    }

    /// Parameters and body. The bracket behind the parameters is not looked at.
    fn function(&mut self, record: &Record) -> Outcome<()> {
        let Some(Cell::Vector(params)) = record.field(1)? else {
            return Err(malformed());
        };
        let body = record.field(3)?.ok_or_else(malformed)?;
        self.push([
            Work::Text("["),
            Work::Cells(Box::new(params.iter()), " "),
            Work::Text("] "),
            Work::Operand(body, crate::op::is_op),
        ]);
        Ok(())
    }
}

/// The ops in a vector operand.
fn ops(r: &Ref) -> Outcome<Cells> {
    match r.get()? {
        Cell::Vector(v) => Ok(Box::new(v.iter())),
        _ => Err(malformed()),
    }
}

/// Operands of an op that takes nothing but ops, where others make anything a constant.
fn strict(operands: Cells) -> Cells {
    Box::new(operands.map(|operand| {
        operand.and_then(|o| match crate::op::is_op(&o) {
            true => Ok(o),
            false => Err(MALFORMED),
        })
    }))
}

/// Bytes as well-formed UTF-8: each maximal piece that is not becomes U+FFFD. A surrogate is one piece, unlike in
/// [`String::from_utf8_lossy`].
pub(super) fn well_formed(bytes: Vec<u8>) -> Vec<u8> {
    let mut rest = match std::str::from_utf8(&bytes) {
        Ok(_) => return bytes,
        Err(_) => bytes.as_slice(),
    };
    let mut out = Vec::with_capacity(rest.len() + 16);
    while let Err(error) = std::str::from_utf8(rest) {
        let (good, bad) = rest.split_at(error.valid_up_to());
        out.extend_from_slice(good);
        out.extend_from_slice("\u{fffd}".as_bytes());
        let skip = match bad {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => error.error_len().unwrap_or(bad.len()),
        };
        rest = &bad[skip..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Bytes of `(str [t x])` where t is a string of `n` ones, and what comes after the ones.
    fn printed(n: usize, x: &str) -> (usize, String) {
        let ones = "1".repeat(n);
        let program = format!(
            "(let [r (str [\"{ones}\" {x}])] [(count r) (slice r (- (count r) 80) (count r))])"
        );
        let outcome = testing::eval(&program);
        let (count, end) = outcome
            .split_once(' ')
            .unwrap_or_else(|| panic!("{x}: {outcome}"));
        let end = end
            .trim_start_matches('"')
            .trim_end_matches(']')
            .trim_end_matches('"');
        // The printed value is quoted, with the quotes inside escaped.
        let end = end.replace("\\\"", "\"").replace("\\\\", "\\");
        (
            count[1..].parse().unwrap(),
            end.trim_start_matches('1').to_owned(),
        )
    }

    #[test]
    fn text_stops_after_the_element_that_passes_the_limit() {
        // Length of the string before, element, text after the string without the mark.
        let table = [
            (65_525, "12345 6", "\" 12345 6]"),
            (65_526, "12345 6", "\" 12345 6"),
            (65_528, "12345 6", "\" 12345"),
            (65_533, "12345 6", "\" 12345"),
            (65_534, "12345 6", ""),
            (65_533, ":abcdef", "\" :abcdef"),
            (65_533, "nil true", "\" nil"),
            (65_524, "[] [] []", "\" [] [] []]"),
            (65_527, "[] [] []", "\" [] [] []"),
            (65_530, "[] [] []", "\" [] []"),
            (65_528, "(hash-map 1 2)", "\" {1 2}"),
            (65_529, "(hash-map 1 2)", "\" {1 2"),
            (65_531, "(hash-map 1 2)", "\" {1"),
            (65_518, "(index :a 1 :b 2)", "\" #Index {:a 1,:b"),
            (65_530, "(syntax 1)", "\" ^{}"),
        ];
        for (n, x, end) in table {
            let expected = format!("{end}<<Print limit exceeded>>");
            assert_eq!(printed(n, x).1, expected, "{n} {x}");
        }
    }

    #[test]
    fn text_that_fits_exactly_is_whole() {
        assert_eq!(printed(65_530, "1"), (65_536, "\" 1]".to_owned()));
        assert_eq!(
            printed(65_524, "12345 6"),
            (65_536, "\" 12345 6]".to_owned())
        );
    }

    #[test]
    fn strings_blobs_and_big_integers_are_cut_to_the_room_left() {
        let table = [
            (65_524, "\"abcdef\"", "\" \"abcdef\"]"),
            (65_525, "\"abcdef\"", "\" \"abcdef"),
            (65_528, "\"abcdef\"", "\" \"abc"),
            (65_531, "\"abcdef\"", "\" \""),
            (65_533, "\"abcdef\"", "\" "),
            (65_522, "0x11223344", "\" 0x11223344]"),
            (65_523, "0x11223344", "\" 0x112233"),
            (65_529, "0x11223344", "\" 0x"),
            (65_513, "9223372036854775808", "\" 9223372036854775808]"),
            (65_514, "9223372036854775808", "\" 922337203685477580"),
            (65_527, "9223372036854775808", "\" 92233"),
            (65_528, "9223372036854775808", "\" "),
            (65_527, "-9223372036854775808000", "\" -9223"),
            (
                65_523,
                "10000000000000000000000000000000000000000",
                "\" 100000000",
            ),
            (65_524, "10000000000000000000000000000000000000000", "\" "),
        ];
        for (n, x, end) in table {
            assert_eq!(
                printed(n, x).1,
                format!("{end}<<Print limit exceeded>>"),
                "{n} {x}"
            );
        }
    }

    #[test]
    fn a_character_at_the_cut_is_whole_in_a_short_string_and_bytes_in_a_long_one() {
        let end = |n: usize, text: &[u8]| {
            let ones = Cell::from("1".repeat(n).as_str());
            let value = cells::Vector::from_iter([ones, Cell::from(Str::new(text))]);
            let text = cut(&Cell::from(value)).unwrap();
            text[n + 4..text.len() - MARK.len()].to_vec()
        };
        // Room for the quote and three bytes: the cut is in the second character.
        assert_eq!(
            end(65_528, "\u{e9}\u{e9}".as_bytes()),
            "\"\u{e9}\u{e9}".as_bytes()
        );
        assert_eq!(end(65_528, b"a\xffbcd"), "\"a\u{fffd}".as_bytes());
        assert_eq!(end(65_528, b"a\"b\nc"), b"\"a\\\"b");
        assert_eq!(
            end(65_528, "\u{e9}".repeat(3000).as_bytes()),
            b"\"\xc3\xa9\xc3"
        );
    }

    #[test]
    fn functions_and_definitions_go_on_where_the_reference_does() {
        let table = [
            (65_527, "(fn [x] 1)", "\" (fn [x)"),
            (65_526, "(fn [x] 1)", "\" (fn [x] 1)"),
            (65_524, "(fn [x [y z] & r] 1)", "\" (fn [x [y)"),
            (
                65_514,
                "(fn [] (do 1 (fn [y] 2) 3))",
                "\" (fn [] (do 1 (fn [y))",
            ),
            (65_526, "(fn ([x] 1) ([y z] 2))", "\" (fn ([x"),
            (65_522, "(fn ([x] 1) ([y z] 2))", "\" (fn ([x] 1) ([y"),
            (65_512, "(fn ([x] 1) ([y z] 2))", "\" (fn ([x] 1) ([y z] 2)"),
            (
                65_511,
                "(fn ([x] 1) ([y z] 2))",
                "\" (fn ([x] 1) ([y z] 2))",
            ),
            (65_524, "(compile '(def ^{:a 1} abc 12))", "\" (def ^{:a 12"),
            (
                65_521,
                "(compile '(def ^{:a 1} abc 12))",
                "\" (def ^{:a 1} 12",
            ),
            (
                65_519,
                "(compile '(let [a 1 b 2] a b))",
                "\" (let [a 1  b 2",
            ),
            (
                65_513,
                "(compile '(let [a 1 b 2] a b))",
                "\" (let [a 1  b 2 ]  %0",
            ),
            (65_526, "(compile '(cond 1 2 3))", "\" (cond 1"),
            (65_525, "(compile '(query 1 2))", "\" (query 1"),
            (65_527, "(compile '(try 1 2))", "\" (try 1"),
            (
                65_510,
                "(compile '(let [a 1] (set! a 2)))",
                "\" (let [a 1 ]  (set! %0 2",
            ),
            (65_531, "(compile '#8/foo)", "\" #8"),
            (65_527, "(compile '#8/foo)", "\" #8/foo"),
        ];
        for (n, x, end) in table {
            assert_eq!(
                printed(n, x).1,
                format!("{end}<<Print limit exceeded>>"),
                "{n} {x}"
            );
        }
    }

    #[test]
    fn values_nested_deep_are_cut_without_overflowing_the_stack() {
        let mut v = Cell::from(cells::Vector::empty());
        for _ in 0..200_000 {
            v = Cell::from(cells::Vector::from_iter([v]));
        }
        let text = cut(&v).unwrap();
        // Nothing is looked at before the innermost value is written.
        assert_eq!(text.len(), 200_002 + MARK.len());
    }

    #[test]
    fn bytes_that_are_no_utf8_become_replacement_characters_by_maximal_pieces() {
        let table: [(&[u8], &str); 9] = [
            (b"a", "a"),
            (b"\xed\xa0\x80b", "\u{fffd}b"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xed\xa0A", "\u{fffd}A"),
            (b"\xedA", "\u{fffd}A"),
            (b"\xf0\x9f\x98A", "\u{fffd}A"),
            (b"\xe2\x82A", "\u{fffd}A"),
            (b"\x82\xac", "\u{fffd}\u{fffd}"),
            (b"\xf0\x82\xac", "\u{fffd}\u{fffd}\u{fffd}"),
        ];
        for (bytes, text) in table {
            assert_eq!(well_formed(bytes.to_vec()), text.as_bytes(), "{bytes:x?}");
        }
    }
}
