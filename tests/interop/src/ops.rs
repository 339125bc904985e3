//! Random ops: trees that the compiler would not make, and compiled ones with changed bytes.
//!
//! A transaction carries ops as they are, so every tree that decodes has to behave as in the reference.

use cells::{Cell, Coded, Keyword, Record, RecordKind, Symbol, Vector};

use crate::program::{Generator, Kind};
use crate::rng::Rng;

/// An op tree.
pub fn tree(rng: &mut Rng, depth: usize) -> Cell {
    if rng.chance(8) {
        return value(rng);
    }
    if depth == 0 {
        return leaf(rng);
    }
    let below = depth - 1;
    match rng.below(22) {
        0..=3 => leaf(rng),
        4 | 5 => record(RecordKind::Do, ops(rng, below, 5)),
        6..=9 => {
            let mut parts = vec![function(rng, below)];
            parts.extend(ops(rng, below, 4));
            record(RecordKind::Apply, parts)
        }
        10 | 11 => record(RecordKind::Cond, ops(rng, below, 6)),
        12 => {
            let body = vector_of_ops(rng, below);
            coded(0, Cell::flag(0xa), body)
        }
        13 => {
            let body = vector_of_ops(rng, below);
            coded(0, Cell::flag(0xb), body)
        }
        14 => {
            let closure = closure(rng, below);
            coded(0, Cell::flag(0xf), closure)
        }
        15 => {
            let position = position(rng);
            let value = tree(rng, below);
            coded(0, Cell::Long(position), value)
        }
        16 | 17 => {
            let account = match rng.below(4) {
                0 => Cell::Nil,
                1 => tree(rng, below),
                _ => constant(Cell::Address([8, 13, 9, 99][rng.below(4)])),
            };
            let symbol = symbol(rng);
            coded(1, account, symbol)
        }
        18 | 19 => {
            let bindings = bindings(rng, 2);
            let body = vector_of_ops(rng, below);
            coded(if rng.chance(50) { 2 } else { 3 }, bindings, body)
        }
        _ => {
            let mut key = symbol(rng);
            if rng.chance(25) {
                key = read("^{:a 1 :static true} g1");
            }
            let value = if rng.chance(15) {
                Cell::Nil
            } else {
                tree(rng, below)
            };
            coded(0xd, key, value)
        }
    }
}

/// `bytes` with a few of them changed.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    const TELLING: &[u8] = &[
        0x00, 0x01, 0x10, 0x11, 0x12, 0x19, 0x1d, 0x20, 0x30, 0x31, 0x32, 0x33, 0x3c, 0x80, 0x81,
        0x82, 0x83, 0x84, 0x88, 0x90, 0xb0, 0xb1, 0xba, 0xbb, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xcd,
        0xd0, 0xda, 0xdb, 0xdc, 0xdd, 0xdf, 0xe5, 0xe6, 0xea, 0xed, 0xff, 0x7f, 0x02, 0x03,
    ];
    for _ in 0..rng.between(1, 3) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.below(bytes.len());
        let telling = TELLING[rng.below(TELLING.len())];
        match rng.below(8) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1..=4 => bytes[at] = telling,
            5 => bytes[at] = bytes[at].wrapping_add(1),
            6 => {
                bytes.remove(at);
            }
            _ => bytes.insert(at, telling),
        }
    }
}

fn read(text: &str) -> Cell {
    cvm::reader::read(text).unwrap_or(Cell::Nil)
}

fn coded(tag: u8, first: Cell, second: Cell) -> Cell {
    Cell::from(Coded::new(tag, first, second))
}

fn constant(value: Cell) -> Cell {
    coded(0, Cell::Bool(false), value)
}

/// A record with the tag of this kind and any parts, fitting or not.
fn record(kind: RecordKind, parts: Vec<Cell>) -> Cell {
    let parts = parts.into_iter().collect();
    Cell::from(Record::new(kind.tag(), parts).expect("all of it is in memory"))
}

/// Any value, literal or not.
fn value(rng: &mut Rng) -> Cell {
    let mut generator = Generator::new(rng, 12);
    let form = generator.form(Kind::Any, 1);
    read(&form.to_string())
}

fn symbol(rng: &mut Rng) -> Cell {
    if rng.chance(6) {
        return value(rng);
    }
    let name = rng.pick(&[
        "g1",
        "g2",
        "count",
        "defined?",
        "if",
        "f",
        "x",
        "*lang*",
        "quasiquote*",
    ]);
    Symbol::new(name.as_bytes()).map_or(Cell::Nil, Cell::from)
}

fn position(rng: &mut Rng) -> i64 {
    match rng.below(12) {
        0 => -1,
        1 => i64::MAX,
        _ => rng.below(4) as i64,
    }
}

fn leaf(rng: &mut Rng) -> Cell {
    match rng.below(8) {
        0 | 1 => Cell::Local(rng.below(4) as u64),
        2 => Cell::Special(rng.below(25) as u8),
        3 => {
            let (code, _) = cells::CORE_NAMES[rng.below(cells::CORE_NAMES.len())];
            constant(Cell::Core(code))
        }
        4 => value(rng),
        _ => constant(value(rng)),
    }
}

fn function(rng: &mut Rng, depth: usize) -> Cell {
    match rng.below(8) {
        0 => tree(rng, depth),
        1 => constant(closure(rng, depth)),
        2 => constant(value(rng)),
        3 => {
            let keyword = Keyword::new(b"a").map_or(Cell::Nil, Cell::from);
            constant(keyword)
        }
        _ => {
            let (code, _) = cells::CORE_NAMES[rng.below(cells::CORE_NAMES.len())];
            constant(Cell::Core(code))
        }
    }
}

fn ops(rng: &mut Rng, depth: usize, most: usize) -> Vec<Cell> {
    let count = if rng.chance(3) {
        rng.between(15, 34)
    } else {
        rng.below(most)
    };
    (0..count)
        .map(|_| tree(rng, if count > 8 { 0 } else { depth }))
        .collect()
}

fn vector_of_ops(rng: &mut Rng, depth: usize) -> Cell {
    if rng.chance(5) {
        return value(rng);
    }
    Cell::from(ops(rng, depth, 5).into_iter().collect::<Vector>())
}

fn bindings(rng: &mut Rng, depth: usize) -> Cell {
    if rng.chance(4) {
        return value(rng);
    }
    let mut names = Vec::new();
    for _ in 0..rng.below(4) {
        names.push(match rng.below(10) {
            0 if depth > 0 => bindings(rng, depth - 1),
            1 => read("&"),
            2 => read("_"),
            3 => value(rng),
            _ => symbol(rng),
        });
    }
    Cell::from(names.into_iter().collect::<Vector>())
}

/// A function, or something that looks like one.
fn closure(rng: &mut Rng, depth: usize) -> Cell {
    if rng.chance(6) {
        return value(rng);
    }
    if rng.chance(12) {
        let functions: Vec<_> = (0..rng.below(3)).map(|_| closure(rng, depth)).collect();
        return record(RecordKind::MultiFn, functions);
    }
    let environment = if rng.chance(60) {
        Cell::from(Vector::empty())
    } else {
        let captured: Vec<_> = (0..rng.below(4)).map(|_| value(rng)).collect();
        Cell::from(captured.into_iter().collect::<Vector>())
    };
    let parameters = bindings(rng, 1);
    let body = tree(rng, depth);
    let mut fields = vec![Cell::flag(0), parameters, environment, body];
    if rng.chance(20) {
        fields.swap(1, 2);
    }
    record(RecordKind::Fn, fields)
}
