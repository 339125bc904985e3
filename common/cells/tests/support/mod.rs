//! Random values of every type.

use cells::{
    BigInt, Blob, Cell, Coded, DecodeError, Decoder, Index, Keyword, List, Map, Record, RecordKind,
    Set, Signed, Str, Symbol, Syntax, Vector, decode_cell,
};
use crypto::{AccountKey, Signature};
use proptest::collection::vec;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z]{1,12}".prop_map(String::into_bytes),
        vec(any::<u8>(), 1..=128)
    ]
}

/// Byte strings around the sizes where the shape changes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        4 => vec(any::<u8>(), 130..145),
        1 => (4090usize..4110).prop_map(|n| vec![7; n]),
        1 => (any::<u8>(), 8190usize..70_000).prop_map(|(b, n)| (0..n).map(|i| b.wrapping_add(i as u8)).collect()),
    ]
}

pub(crate) fn integer() -> impl Strategy<Value = Cell> {
    prop_oneof![
        any::<i64>().prop_map(Cell::Long),
        (-300i64..300).prop_map(Cell::Long),
        vec(any::<u8>(), 9..200)
            .prop_filter_map("redundant", |b| BigInt::from_bytes(&b).map(Cell::BigInt)),
    ]
}

/// A value without children.
pub(crate) fn leaf() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Nil),
        (0u8..16).prop_map(Cell::flag),
        integer(),
        any::<u64>().prop_map(|bits| Cell::Double(f64::from_bits(bits))),
        (0u32..=0x10_ffff).prop_map(Cell::Char),
        bytes().prop_map(|b| Cell::Blob(Blob::new(&b))),
        bytes().prop_map(|b| Cell::Str(Str::new(&b))),
        name().prop_filter_map("name", |n| Symbol::new(&n).map(Cell::Symbol)),
        name().prop_filter_map("name", |n| Keyword::new(&n).map(Cell::Keyword)),
        (0u64..1 << 63).prop_map(Cell::Address),
        (0u8..25).prop_map(Cell::Special),
        (0u64..1000).prop_map(Cell::Local),
        proptest::sample::select(cells::CORE_NAMES).prop_map(|(code, _)| Cell::Core(code)),
        (0u64..1000).prop_map(|n| Cell::Extension(0xe0, n)),
    ]
}

/// A value that can be the key of an index.
pub(crate) fn index_key() -> impl Strategy<Value = Cell> {
    prop_oneof![
        4 => vec(0u8..4, 0..5).prop_map(|b| Cell::Blob(Blob::new(&b))),
        2 => vec(any::<u8>(), 28..40).prop_map(|b| Cell::Blob(Blob::new(&b))),
        1 => vec(0u8..2, 30..35).prop_map(|b| Cell::Str(Str::new(&b))),
        1 => (0u64..600).prop_map(Cell::Address),
        1 => "[a-c]{1,3}".prop_map(|n| Cell::Keyword(Keyword::new(n.as_bytes()).unwrap())),
    ]
}

/// Any value, nested up to a few levels, wide enough for trees.
pub(crate) fn cell() -> impl Strategy<Value = Cell> {
    leaf().prop_recursive(4, 200, 40, |inner| {
        let cells = vec(inner.clone(), 0..40);
        let pairs = vec((inner.clone(), inner.clone()), 0..30);
        prop_oneof![
            cells
                .clone()
                .prop_map(|c| Cell::Vector(c.into_iter().collect())),
            cells
                .clone()
                .prop_map(|c| Cell::List(c.into_iter().collect::<List>())),
            cells
                .clone()
                .prop_map(|c| Cell::Set(c.into_iter().collect::<Set>())),
            pairs.prop_map(|p| Cell::Map(p.into_iter().collect::<Map>())),
            vec((index_key(), inner.clone()), 0..30).prop_map(|entries| {
                Cell::Index(entries.into_iter().fold(Index::empty(), |index, (k, v)| {
                    index.assoc(k, v).unwrap().unwrap()
                }))
            }),
            (inner.clone(), vec((inner.clone(), inner.clone()), 0..4)).prop_map(|(value, meta)| {
                Cell::Syntax(Syntax::new(value, meta.into_iter().collect()))
            }),
            (any::<[u8; 32]>(), any::<[u8; 32]>(), inner.clone()).prop_map(|(key, half, value)| {
                let signature = [half, half].concat().try_into().unwrap();
                Cell::Signed(Signed::new(
                    AccountKey::new(key),
                    Signature::new(signature),
                    value,
                ))
            }),
            (0xc1u8..=0xc3, inner.clone(), inner.clone())
                .prop_map(|(tag, a, b)| Cell::Coded(Coded::new(tag, a, b))),
            (0xd0u8..=0xdf, vec(inner, 0..10)).prop_map(|(tag, fields)| {
                let fields: Vector = fields.into_iter().collect();
                let record = Cell::Record(Record::new(tag, fields.clone()).unwrap());
                match decode_cell(&record.encode(), &Decoder::new()) {
                    // A field that decides the kind is a branch: only a store can help (`spec/01 §13.2`), which
                    // `hostile.rs` tests. No field decides what a `do` is.
                    Err(DecodeError::Missing(_)) => {
                        Cell::Record(Record::new(RecordKind::Do.tag(), fields).unwrap())
                    }
                    _ => record,
                }
            }),
        ]
    })
}
