//! One cell from arbitrary bytes.
//!
//! - What is accepted encodes to exactly the bytes it came from, with or without a store behind the decoder, and a store
//!   changes neither the value nor what is accepted, except that branches need one.
//! - Hash, memory size, printing, the structural check and the refs answer; nothing panics.
//! - Two cells are equal exactly if their bytes are.
#![no_main]

use std::sync::Arc;

use arbitrary::Unstructured;
use cells::{Cell, CellError, Decoder, Hash, Source, decode_cell, decode_cells};
use convexd_fuzz::{exercise, make};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// A store that proves that it holds nothing.
struct Empty;

impl Source for Empty {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        Err(CellError::Missing(*hash))
    }
}

/// A store that is broken.
struct Broken;

impl Source for Broken {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        Err(CellError::Store {
            hash: *hash,
            reason: "broken".into(),
        })
    }
}

fn check(bytes: &[u8], decoder: &Decoder) -> Option<Cell> {
    let cell = decode_cell(bytes, decoder).ok()?;
    assert_eq!(cell.encode(), bytes, "re-encoding differs");
    assert_eq!(cell.hash(), Hash::of(bytes));
    let again = decode_cell(bytes, decoder).expect("accepted before");
    assert_eq!(again, cell);
    exercise::look(&cell);
    let listed = decode_cells(bytes, decoder).expect("one cell is a list of one");
    assert_eq!(listed, std::slice::from_ref(&cell));
    Some(cell)
}

fuzz_target!(|bytes: &[u8]| {
    let alone = check(bytes, &Decoder::new());
    let empty = check(bytes, &Decoder::with_source(Arc::new(Empty)));
    let broken = check(bytes, &Decoder::with_source(Arc::new(Broken)));
    let generic = check(bytes, &Decoder::with_source(Arc::new(Empty)).generic());
    check(bytes, &Decoder::new().generic());
    if let Some(alone) = &alone {
        assert!(cells::branches(alone).is_empty());
        assert_eq!(empty.as_ref(), Some(alone));
    }
    if let (Some(empty), Some(broken)) = (&empty, &broken) {
        assert_eq!(empty, broken);
    }
    if let Some(empty) = &empty {
        // Without CVM types more is accepted, never less.
        let generic = generic.expect("a cell is also a generic cell");
        assert_eq!(generic.encode(), empty.encode());
        let all: Vec<Cell> = std::iter::once(empty.clone())
            .chain(empty.refs().filter_map(|r| r.get().ok()))
            .collect();
        for a in &all {
            for b in &all {
                assert_eq!(a == b, a.encode() == b.encode());
                assert_eq!(a == b, a.hash() == b.hash());
            }
        }
    }
});

// Now and then the bytes become those of a well-formed value, so that the fuzzer need not find every type by chance.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(16) && size > 8 {
        let made = make::cell(&mut Unstructured::new(&data[..size]), 3).map(|c| c.encode());
        if let Ok(made) = made
            && made.len() <= max_size
        {
            data[..made.len()].copy_from_slice(&made);
            return made.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
});
