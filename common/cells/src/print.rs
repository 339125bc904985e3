//! Text of values (`spec/01 §17`), within a limit and without recursion.

use std::fmt::Write;

use crate::text::{code_point, code_point_len, write_code_point};
use crate::{Cell, CellError, Coded, Op, Record, RecordKind, Ref, Str, core_name, format_double};

/// Bytes that printing may produce unless said otherwise.
pub const DEFAULT_LIMIT: usize = 65_536;

/// Symbols of the special ops by number.
pub const SPECIAL_NAMES: [&str; 25] = [
    "*juice*",
    "*caller*",
    "*address*",
    "*memory*",
    "*balance*",
    "*origin*",
    "*result*",
    "*timestamp*",
    "*depth*",
    "*offer*",
    "*state*",
    "*holdings*",
    "*sequence*",
    "*key*",
    "*juice-price*",
    "*scope*",
    "*juice-limit*",
    "*controller*",
    "*env*",
    "*parent*",
    "*nop*",
    "*memory-price*",
    "*signer*",
    "*peer*",
    "*location*",
];

/// Prints `cell`; `None` when the text would be longer than `limit` bytes.
///
/// # Errors
/// When a branch can't be read, or an op holds operands that have no printed form.
pub fn print(cell: &Cell, limit: usize) -> Result<Option<Vec<u8>>, CellError> {
    let mut printer = Printer {
        out: Vec::new(),
        work: vec![Work::Cell(cell.clone())],
    };
    while let Some(work) = printer.work.pop() {
        printer.step(work, limit)?;
        if printer.out.len() > limit {
            return Ok(None);
        }
    }
    Ok(Some(printer.out))
}

type Cells = Box<dyn Iterator<Item = Result<Cell, CellError>>>;
type Entries = Box<dyn Iterator<Item = Result<(Cell, Cell), CellError>>>;

/// What is still to be printed, the next piece last.
enum Work {
    Text(&'static str),
    Cell(Cell),
    Ref(Ref),
    /// Values with a separator before each; with the flag, not before the first.
    Cells(Cells, &'static str, bool),
    Entries(Entries, bool),
    /// Bindings of a `let` or `loop` with their initialisers, then the body.
    Bindings {
        names: Cells,
        ops: Cells,
        first: bool,
    },
    /// Members of a multi-function.
    Functions(Cells, bool),
    /// A value that has a printed form here only if it is of the right kind.
    Operand(Ref, fn(&Cell) -> bool),
}

struct Printer {
    out: Vec<u8>,
    work: Vec<Work>,
}

const MALFORMED: CellError = CellError::Malformed("op whose operands have no printed form");

impl Printer {
    fn push(&mut self, pieces: impl IntoIterator<Item = Work, IntoIter: DoubleEndedIterator>) {
        self.work.extend(pieces.into_iter().rev());
    }

    fn step(&mut self, work: Work, limit: usize) -> Result<(), CellError> {
        match work {
            Work::Text(text) => self.out.extend_from_slice(text.as_bytes()),
            Work::Ref(r) => self.work.push(Work::Cell(r.get()?)),
            Work::Cell(cell) => self.cell(&cell, limit)?,
            Work::Cells(mut cells, separator, first) => {
                if let Some(cell) = cells.next() {
                    if !first {
                        self.out.extend_from_slice(separator.as_bytes());
                    }
                    self.work.push(Work::Cells(cells, separator, false));
                    self.work.push(Work::Cell(cell?));
                }
            }
            Work::Entries(mut entries, first) => {
                if let Some(entry) = entries.next() {
                    let (key, value) = entry?;
                    if !first {
                        self.out.push(b',');
                    }
                    self.work.push(Work::Entries(entries, false));
                    self.push([Work::Cell(key), Work::Text(" "), Work::Cell(value)]);
                }
            }
            Work::Bindings {
                mut names,
                mut ops,
                first,
            } => match names.next() {
                Some(name) => {
                    let (name, op) = (name?, ops.next().ok_or(MALFORMED)??);
                    self.work.push(Work::Bindings {
                        names,
                        ops,
                        first: false,
                    });
                    let gap = if first { "" } else { " " };
                    self.push([
                        Work::Text(gap),
                        Work::Cell(name),
                        Work::Text(" "),
                        Work::Cell(op),
                        Work::Text(" "),
                    ]);
                }
                None => self.operands("] ", ops),
            },
            Work::Operand(r, fits) => {
                let cell = r.get()?;
                if !fits(&cell) {
                    return Err(MALFORMED);
                }
                self.work.push(Work::Cell(cell));
            }
            Work::Functions(mut functions, first) => {
                if let Some(function) = functions.next() {
                    self.work.push(Work::Functions(functions, false));
                    if !first {
                        self.out.push(b' ');
                    }
                    match function? {
                        Cell::Record(r) if r.kind() == Some(RecordKind::Fn) => {
                            self.push([
                                Work::Text("("),
                                field(&r, 1, is_vector)?,
                                Work::Text(" "),
                                field(&r, 3, is_op)?,
                                Work::Text(")"),
                            ]);
                        }
                        _ => self.out.extend_from_slice(b"nil"),
                    }
                }
            }
        }
        Ok(())
    }

    fn cell(&mut self, cell: &Cell, limit: usize) -> Result<(), CellError> {
        match cell {
            Cell::Nil => self.text("nil"),
            Cell::Bool(b) => self.text(if *b { "true" } else { "false" }),
            Cell::Long(n) => self.format(format_args!("{n}")),
            Cell::BigInt(n) => self.format(format_args!("{}", n.number())),
            Cell::Double(x) => self.text(&format_double(*x)),
            Cell::Char(c) => self.character(*c),
            Cell::Str(s) => self.string(s, limit)?,
            Cell::Blob(b) => {
                self.text("0x");
                if b.len() > limit as u64 {
                    return self.overflow(limit);
                }
                b.for_each_chunk(&mut |chunk| hex(&mut self.out, chunk))?;
            }
            Cell::Symbol(s) => self.out.extend_from_slice(s.name()),
            Cell::Keyword(k) => {
                self.out.push(b':');
                self.out.extend_from_slice(k.name());
            }
            Cell::Vector(v) => self.sequence("[", Box::new(v.iter()), "]"),
            Cell::List(l) => self.sequence("(", Box::new(l.iter()), ")"),
            Cell::Map(m) => self.entries("{", Box::new(m.iter())),
            Cell::Index(i) => self.entries("#Index {", Box::new(i.iter())),
            Cell::Set(s) => {
                self.push([
                    Work::Text("#{"),
                    Work::Cells(Box::new(s.iter()), ",", true),
                    Work::Text("}"),
                ]);
            }
            Cell::Syntax(s) => {
                self.text("^");
                self.push([
                    Work::Cell(Cell::Map(s.meta().clone())),
                    Work::Text(" "),
                    Work::Cell(s.value()?),
                ]);
            }
            Cell::Signed(s) => {
                self.text("#Signed {:public-key ");
                match s.key() {
                    None => self.text("nil"),
                    Some(key) => {
                        self.text("0x");
                        hex(&mut self.out, key.as_bytes());
                    }
                }
                self.text(",:signature 0x");
                hex(&mut self.out, s.signature().as_bytes());
                self.push([
                    Work::Text(",:value "),
                    Work::Ref(s.value_ref().clone()),
                    Work::Text("}"),
                ]);
            }
            Cell::Address(n) => self.format(format_args!("#{n}")),
            Cell::Special(n) => self.text(SPECIAL_NAMES.get(*n as usize).ok_or(MALFORMED)?),
            Cell::Local(n) => self.format(format_args!("%{n}")),
            Cell::Core(code) => self.text(core_name(*code).ok_or(MALFORMED)?),
            Cell::Coded(c) => match c.op() {
                Some(op) => self.coded(c, op)?,
                None => self.raw(cell),
            },
            Cell::Record(r) => match r.kind() {
                Some(kind) => self.record(r, kind)?,
                None => self.raw(cell),
            },
            Cell::Flag(_) | Cell::Extension(..) => self.raw(cell),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn format(&mut self, args: std::fmt::Arguments<'_>) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text.write_fmt(args);
        self.text(&text);
    }

    /// Makes the output longer than the limit without producing it.
    fn overflow(&mut self, limit: usize) -> Result<(), CellError> {
        self.out.resize(limit + 1, b' ');
        Ok(())
    }

    fn raw(&mut self, cell: &Cell) {
        self.text("#[");
        cell.with_encoding(|encoding| hex(&mut self.out, encoding));
        self.text("]");
    }

    fn sequence(&mut self, open: &'static str, cells: Cells, close: &'static str) {
        self.push([
            Work::Text(open),
            Work::Cells(cells, " ", true),
            Work::Text(close),
        ]);
    }

    /// Operands, each after a space.
    fn operands(&mut self, open: &'static str, ops: Cells) {
        self.push([
            Work::Text(open),
            Work::Cells(ops, " ", false),
            Work::Text(")"),
        ]);
    }

    fn entries(&mut self, open: &'static str, entries: Entries) {
        self.push([
            Work::Text(open),
            Work::Entries(entries, true),
            Work::Text("}"),
        ]);
    }

    fn character(&mut self, c: u32) {
        self.out.push(b'\\');
        match c {
            0x0a => self.text("newline"),
            0x0d => self.text("return"),
            0x20 => self.text("space"),
            0x09 => self.text("tab"),
            _ => write_code_point(&mut self.out, c),
        }
    }

    fn string(&mut self, s: &Str, limit: usize) -> Result<(), CellError> {
        self.out.push(b'"');
        match s.as_flat() {
            Some(bytes) => {
                let mut i = 0;
                while i < bytes.len() {
                    i += escape(&mut self.out, &bytes[i..]);
                }
            }
            // In a tree of chunks, bytes beyond ASCII are copied as they are.
            None if s.len() > limit as u64 => return self.overflow(limit),
            None => s.for_each_chunk(&mut |chunk| {
                for byte in chunk {
                    if *byte < 0x80 {
                        escape(&mut self.out, &[*byte]);
                    } else {
                        self.out.push(*byte);
                    }
                }
            })?,
        }
        self.out.push(b'"');
        Ok(())
    }

    fn coded(&mut self, coded: &Coded, op: Op) -> Result<(), CellError> {
        let (code, value) = (coded.code().clone(), coded.value().clone());
        match op {
            Op::Constant => self.work.push(Work::Ref(value)),
            Op::Lambda => self.work.push(Work::Operand(value, is_closure)),
            Op::Try => self.operands("(try", strict(ops(&value)?)),
            Op::Query => self.operands("(query", ops(&value)?),
            Op::Set(n) => {
                self.format(format_args!("(set! %{n} "));
                self.push([Work::Ref(value), Work::Text(")")]);
            }
            Op::Lookup => {
                let name = Work::Operand(value, |cell| matches!(cell, Cell::Symbol(_)));
                if code.is_nil() {
                    self.work.push(name);
                } else {
                    self.push([Work::Operand(code, is_op), Work::Text("/"), name]);
                }
            }
            Op::Def => self.push([
                Work::Text("(def "),
                Work::Operand(code, |cell| !cell.is_nil()),
                Work::Text(" "),
                Work::Ref(value),
                Work::Text(")"),
            ]),
            Op::Let | Op::Loop => {
                let (names, ops) = (ops(&code)?, strict(ops(&value)?));
                self.text(if op == Op::Let { "(let [" } else { "(loop [" });
                self.work.push(Work::Bindings {
                    names,
                    ops,
                    first: true,
                });
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record, kind: RecordKind) -> Result<(), CellError> {
        let fields = || Box::new(record.fields().iter());
        match kind {
            RecordKind::Do => self.operands("(do", fields()),
            RecordKind::Cond => self.operands("(cond", fields()),
            RecordKind::Apply => self.sequence("(", fields(), ")"),
            RecordKind::Fn => {
                self.push([
                    Work::Text("(fn "),
                    field(record, 1, is_vector)?,
                    Work::Text(" "),
                    field(record, 3, is_op)?,
                    Work::Text(")"),
                ]);
            }
            RecordKind::MultiFn => self.push([
                Work::Text("(fn "),
                Work::Functions(fields(), true),
                Work::Text(")"),
            ]),
            _ => {
                let is_result = kind == RecordKind::Result;
                let mut pieces = vec![Work::Text(if is_result { "#Result {" } else { "{" })];
                for (name, value) in kind.fields().iter().zip(record.fields().iter_refs()) {
                    let value = value?;
                    if is_result && value.is_nil() && *name != "result" {
                        continue;
                    }
                    if pieces.len() > 1 {
                        pieces.push(Work::Text(","));
                    }
                    pieces.extend([
                        Work::Text(":"),
                        Work::Text(name),
                        Work::Text(" "),
                        Work::Ref(value),
                    ]);
                }
                pieces.push(Work::Text("}"));
                self.push(pieces);
            }
        }
        Ok(())
    }
}

fn field(record: &Record, i: u64, fits: fn(&Cell) -> bool) -> Result<Work, CellError> {
    let field = record.fields().get_ref(i)?.ok_or(MALFORMED)?;
    Ok(Work::Operand(field, fits))
}

fn is_vector(cell: &Cell) -> bool {
    matches!(cell, Cell::Vector(_))
}

fn is_closure(cell: &Cell) -> bool {
    matches!(cell, Cell::Record(r) if matches!(r.kind(), Some(RecordKind::Fn | RecordKind::MultiFn)))
}

/// True for ops (`spec/02 §6`).
fn is_op(cell: &Cell) -> bool {
    match cell {
        Cell::Special(_) | Cell::Local(_) => true,
        Cell::Coded(coded) => coded.op().is_some(),
        Cell::Record(record) => record.kind().is_some_and(RecordKind::is_op),
        _ => false,
    }
}

/// Operands of an op that takes nothing but ops, where others make anything a constant.
fn strict(operands: Cells) -> Cells {
    Box::new(
        operands
            .map(|operand| operand.and_then(|o| if is_op(&o) { Ok(o) } else { Err(MALFORMED) })),
    )
}

/// The ops in a vector operand.
fn ops(r: &Ref) -> Result<Cells, CellError> {
    match &*r.load()? {
        Cell::Vector(v) => Ok(Box::new(v.iter())),
        _ => Err(MALFORMED),
    }
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        bytes
            .iter()
            .flat_map(|b| [DIGITS[(b >> 4) as usize], DIGITS[(b & 15) as usize]]),
    );
}

/// Prints the character at the start of flat string content; returns how many bytes it took.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let escaped: &[u8] = match bytes[0] {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        0x09 => b"\\t",
        0x08 => b"\\b",
        0x0a => b"\\n",
        0x0d => b"\\r",
        0x0c => b"\\f",
        first if first < 0x80 => &[first],
        _ => {
            return match code_point(bytes) {
                Some(code) => {
                    // An overlong form is cut to the length of its code point.
                    let n = code_point_len(code).min(bytes.len());
                    out.extend_from_slice(&bytes[..n]);
                    n
                }
                None => {
                    out.extend_from_slice(&[0xef, 0xbf, 0xbd]);
                    2
                }
            };
        }
    };
    out.extend_from_slice(escaped);
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{List, Map, Vector};

    fn text(cell: impl Into<Cell>) -> Vec<u8> {
        print(&cell.into(), DEFAULT_LIMIT).unwrap().unwrap()
    }

    #[test]
    fn broken_utf8_prints_as_the_network_does() {
        let s = |bytes: &[u8]| text(Str::new(bytes));
        assert_eq!(s(&[0x61, 0xff, 0x62]), b"\"a\xef\xbf\xbd\"");
        assert_eq!(s(&[0xff, 0x63, 0x64]), b"\"\xef\xbf\xbdd\"");
        assert_eq!(s(&[0xc0, 0x80]), b"\"\xc0\xef\xbf\xbd\"");
        assert_eq!(s(b"a\"\\\n"), b"\"a\\\"\\\\\\n\"");
    }

    #[test]
    fn the_limit_is_the_longest_text() {
        let v = Cell::from(Vector::from_iter([Cell::Long(1), Cell::Long(2)]));
        assert!(print(&v, 5).unwrap().is_some());
        assert!(print(&v, 4).unwrap().is_none());
    }

    #[test]
    fn values_nested_deep_print_or_pass_the_limit_without_overflowing_the_stack() {
        let mut v = Cell::from(Vector::empty());
        for _ in 0..200_000 {
            v = Cell::from(Vector::from_iter([v]));
        }
        assert!(print(&v, DEFAULT_LIMIT).unwrap().is_none());
        assert_eq!(print(&v, 1_000_000).unwrap().unwrap().len(), 400_002);
    }

    #[test]
    fn collections_have_their_brackets_and_separators() {
        let map: Map = [(Cell::Long(1), Cell::Long(2))].into_iter().collect();
        assert_eq!(text(map), b"{1 2}");
        assert_eq!(
            text(List::from_iter([Cell::Long(1), Cell::Nil])),
            b"(1 nil)"
        );
        assert_eq!(text(Cell::Char(0x20)), b"\\space");
        assert_eq!(text(Cell::Extension(0xe0, 5)), b"#[e005]");
    }
}
