//! A sequence of operations on an index against a sorted map over keys cut to 32 bytes (`spec/01 §10`).
//!
//! After every operation: the same entries in the same order, and the bytes of the index that is built at once from them,
//! in either order. The value filter keeps everything that passes, in a shape of its own.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use cells::{Cell, CellError, Index, validate};
use convexd_fuzz::make;
use libfuzzer_sys::fuzz_target;

/// By the bytes of the key that count: the stored key and its value.
type Model = BTreeMap<Vec<u8>, (Cell, Cell)>;

fn cut(key: &Cell) -> Vec<u8> {
    let mut bytes = match key {
        Cell::Blob(b) => b.to_vec().expect("in memory"),
        Cell::Str(s) => s.to_vec().expect("in memory"),
        Cell::Symbol(s) => s.name().to_vec(),
        Cell::Keyword(k) => k.name().to_vec(),
        Cell::Address(n) => n.to_be_bytes().to_vec(),
        other => unreachable!("{other} is made as a key"),
    };
    bytes.truncate(32);
    bytes
}

fn build<'a>(entries: impl Iterator<Item = &'a (Cell, Cell)>) -> Index {
    entries.fold(Index::empty(), |index, (key, value)| {
        index
            .assoc(key.clone(), value.clone())
            .expect("in memory")
            .expect("a key")
    })
}

fn compare(index: &Index, model: &Model) {
    assert_eq!(index.count(), model.len() as u64);
    let entries: Vec<(Cell, Cell)> = index
        .iter()
        .collect::<std::result::Result<_, _>>()
        .expect("in memory");
    assert!(entries.iter().eq(model.values()), "other entries");
    let cell = Cell::from(index.clone());
    let encoding = cell.encode();
    assert_eq!(
        encoding,
        Cell::from(build(model.values())).encode(),
        "shape differs from one build"
    );
    assert_eq!(
        encoding,
        Cell::from(build(model.values().rev())).encode(),
        "shape differs from the build in reverse"
    );
    validate(&cell).expect("well-formed");
}

fn value(u: &mut Unstructured<'_>) -> Result<Cell> {
    if u.ratio(1, 8)? {
        return make::leaf(u);
    }
    Ok(Cell::Long(u.int_in_range(0..=9)?))
}

/// A key, often one that is there.
fn key(u: &mut Unstructured<'_>, model: &Model) -> Result<Cell> {
    if !model.is_empty() && u.arbitrary()? {
        let i = u.choose_index(model.len())?;
        return Ok(model.values().nth(i).expect("in range").0.clone());
    }
    Ok(match make::index_key(u)? {
        // Where a key of several chunks goes depends on what is there, in the reference and here (`Key::matched`): no law of maps holds.
        Cell::Blob(long) if long.as_flat().is_none() => {
            let first = long.slice(0, 40).expect("in memory").expect("in range");
            Cell::Blob(first)
        }
        key => key,
    })
}

fn step(u: &mut Unstructured<'_>, index: &mut Index, model: &mut Model) -> Result<()> {
    let before = index.clone();
    match u.int_in_range(0..=11)? {
        0..=4 => {
            let (key, value) = (key(u, model)?, value(u)?);
            *index = before
                .assoc(key.clone(), value.clone())
                .expect("in memory")
                .expect("a key");
            model.insert(cut(&key), (key, value));
        }
        5..=7 => {
            let key = key(u, model)?;
            *index = before.dissoc(&key).expect("in memory");
            model.remove(&cut(&key));
        }
        8 => {
            let key = key(u, model)?;
            let found = index.entry_of(&key).expect("in memory");
            assert_eq!(found.as_ref(), model.get(&cut(&key)));
            let found = index.get_bytes(&cut(&key)).expect("in memory");
            assert_eq!(found.as_ref(), model.get(&cut(&key)).map(|(_, v)| v));
            let i = u.int_in_range(0..=model.len())?;
            let at = index.entry_at(i as u64).expect("in memory");
            assert_eq!(at.as_ref(), model.values().nth(i));
        }
        9 => {
            let end = u.int_in_range(0..=model.len())?;
            let start = u.int_in_range(0..=end)?;
            *index = index
                .slice(start as u64, end as u64)
                .expect("in memory")
                .expect("in range");
            *model = std::mem::take(model)
                .into_iter()
                .skip(start)
                .take(end - start)
                .collect();
        }
        10 => {
            let mut other = Model::new();
            for _ in 0..u.int_in_range(0..=5)? {
                let (key, value) = (key(u, model)?, value(u)?);
                other.insert(cut(&key), (key, value));
            }
            *index = before.merge(&build(other.values())).expect("in memory");
            model.append(&mut other);
        }
        _ => {
            let limit = u.int_in_range(0..=10)?;
            let pass = |value: &Cell| matches!(value, Cell::Long(n) if *n < limit);
            let kept = index
                .filter_values::<CellError>(&mut |value| Ok(pass(value)))
                .expect("in memory");
            for (k, (_, v)) in model.iter().filter(|(_, (_, v))| pass(v)) {
                assert_eq!(kept.get_bytes(k).expect("in memory").as_ref(), Some(v));
            }
            let mut listed = 0;
            for entry in kept.iter() {
                let (key, value) = entry.expect("in memory");
                assert_eq!(model.get(&cut(&key)), Some(&(key, value)));
                listed += 1;
            }
            assert_eq!(kept.count(), listed);
            if model.values().all(|(_, v)| pass(v)) {
                assert_eq!(kept, *index);
            }
        }
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let u = &mut Unstructured::new(data);
    let (mut index, mut model) = (Index::empty(), Model::new());
    // A version that is kept shows whether a later change in place reached it.
    let mut kept = None;
    while !u.is_empty() && step(u, &mut index, &mut model).is_ok() {
        compare(&index, &model);
        if model.len() == 5 {
            kept = Some((
                index.clone(),
                Cell::from(index.clone()).encode(),
                model.clone(),
            ));
        }
    }
    if let Some((index, encoding, model)) = kept {
        assert_eq!(Cell::from(index.clone()).encode(), encoding);
        compare(&index, &model);
    }
});
