//! Sequences of operations on vectors, lists, maps, sets, blobs and strings against the standard library's collections.
//!
//! After every operation: the same elements in the same order, and the bytes of the value that is built at once from them.
//! Set algebra is compared where the network's defects do not reach (`spec/01 §9.6`): between leaves.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use cells::{Blob, Cell, Hash, List, Map, Set, SetOp, Str, Vector, validate};
use convexd_fuzz::make;
use libfuzzer_sys::fuzz_target;

/// Elements of the largest collection built here.
const MOST: usize = 3000;
/// Bytes of the largest blob.
const LONGEST: usize = 100_000;

fn same(cell: impl Into<Cell>, built: impl Into<Cell>) {
    let (cell, built) = (cell.into(), built.into());
    assert_eq!(
        cell.encode(),
        built.encode(),
        "shape differs from one build"
    );
    validate(&cell).expect("well-formed");
    assert_eq!(cell.memory_size(), built.memory_size());
}

/// Elements: small, often equal, sometimes many.
fn elements(u: &mut Unstructured<'_>) -> Result<Vec<Cell>> {
    if u.ratio(1, 5)? {
        let (n, first) = (u.int_in_range(10..=600)?, u.int_in_range(0..=2000)?);
        return Ok((first..first + n).map(Cell::Long).collect());
    }
    let n = u.int_in_range(0..=4)?;
    (0..n).map(|_| element(u)).collect()
}

fn element(u: &mut Unstructured<'_>) -> Result<Cell> {
    if u.ratio(1, 10)? {
        return make::leaf(u);
    }
    Ok(Cell::Long(u.int_in_range(0..=2600)?))
}

/// A part of something with `count` elements, often at a place where a shape changes.
fn range(u: &mut Unstructured<'_>, count: usize) -> Result<(usize, usize)> {
    let edge = |u: &mut Unstructured<'_>, n: usize| -> Result<usize> {
        let n = u.int_in_range(0..=n)?;
        Ok(if u.arbitrary()? { n / 16 * 16 } else { n })
    };
    let end = edge(u, count)?;
    Ok((edge(u, end)?, end))
}

fn vectors(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut v, mut model) = (Vector::empty(), Vec::<Cell>::new());
    while !u.is_empty() {
        match u.int_in_range(0..=4)? {
            0 => {
                let e = element(u)?;
                v = v.push(e.clone()).expect("in memory");
                model.push(e);
            }
            1 => {
                let more = elements(u)?;
                v = v
                    .concat(&more.iter().cloned().collect())
                    .expect("in memory");
                model.extend(more);
            }
            2 => {
                let (start, end) = range(u, model.len())?;
                v = v
                    .slice(start as u64, end as u64)
                    .expect("in memory")
                    .expect("in range");
                model = model[start..end].to_vec();
            }
            3 if !model.is_empty() => {
                let (i, e) = (u.choose_index(model.len())?, element(u)?);
                v = v
                    .assoc(i as u64, e.clone())
                    .expect("in memory")
                    .expect("in range");
                model[i] = e;
            }
            _ => {
                let i = u.int_in_range(0..=model.len())?;
                assert_eq!(v.get(i as u64).expect("in memory").as_ref(), model.get(i));
                let rest: Vec<_> = v.iter_refs_from(i as u64).collect();
                assert_eq!(rest.len(), model.len() - i);
            }
        }
        if model.len() > MOST {
            break;
        }
        let listed: std::result::Result<Vec<Cell>, _> = v.iter().collect();
        assert_eq!(listed.as_ref(), Ok(&model));
        same(v.clone(), model.iter().cloned().collect::<Vector>());
    }
    Ok(())
}

fn lists(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut l, mut model) = (List::empty(), Vec::<Cell>::new());
    while !u.is_empty() {
        match u.int_in_range(0..=3)? {
            0 => {
                let e = element(u)?;
                l = l.cons(e.clone()).expect("in memory");
                model.insert(0, e);
            }
            1 => {
                let more = elements(u)?;
                l = l
                    .concat(&more.iter().cloned().collect())
                    .expect("in memory");
                model.extend(more);
            }
            2 => {
                let (start, end) = range(u, model.len())?;
                l = l
                    .slice(start as u64, end as u64)
                    .expect("in memory")
                    .expect("in range");
                model = model[start..end].to_vec();
            }
            _ if !model.is_empty() => {
                let (i, e) = (u.choose_index(model.len())?, element(u)?);
                l = l
                    .assoc(i as u64, e.clone())
                    .expect("in memory")
                    .expect("in range");
                model[i] = e;
            }
            _ => assert_eq!(l.get(0), Ok(None)),
        }
        if model.len() > MOST {
            break;
        }
        let listed: std::result::Result<Vec<Cell>, _> = l.iter().collect();
        assert_eq!(listed.as_ref(), Ok(&model));
        same(l.clone(), model.iter().cloned().collect::<List>());
    }
    Ok(())
}

fn maps(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut m, mut model) = (Map::empty(), BTreeMap::<Hash, (Cell, Cell)>::new());
    let put = |model: &mut BTreeMap<Hash, (Cell, Cell)>, key: Cell, value: Cell| {
        model.insert(key.hash(), (key, value));
    };
    while !u.is_empty() {
        match u.int_in_range(0..=5)? {
            0 | 1 => {
                let (key, value) = (element(u)?, element(u)?);
                m = m.assoc(key.clone(), value.clone()).expect("in memory");
                put(&mut model, key, value);
            }
            2 => {
                let key = element(u)?;
                m = m.dissoc(&key).expect("in memory");
                model.remove(&key.hash());
            }
            3 => {
                let (keys, value) = (elements(u)?, element(u)?);
                let other: Map = keys.iter().map(|k| (k.clone(), value.clone())).collect();
                m = m.merge(&other).expect("in memory");
                for key in keys {
                    put(&mut model, key, value.clone());
                }
            }
            4 => {
                let (start, end) = range(u, model.len())?;
                m = m
                    .slice(start as u64, end as u64)
                    .expect("in memory")
                    .expect("in range");
                model = model.into_iter().skip(start).take(end - start).collect();
            }
            _ => {
                let key = element(u)?;
                let found = m.get(&key).expect("in memory");
                assert_eq!(found.as_ref(), model.get(&key.hash()).map(|(_, v)| v));
                let i = u.int_in_range(0..=model.len())?;
                let at = m.entry_at(i as u64).expect("in memory");
                assert_eq!(at.as_ref(), model.values().nth(i));
            }
        }
        if model.len() > MOST {
            break;
        }
        assert_eq!(m.count(), model.len() as u64);
        let listed: std::result::Result<Vec<_>, _> = m.iter().collect();
        assert!(listed.expect("in memory").iter().eq(model.values()));
        same(m.clone(), model.values().cloned().collect::<Map>());
    }
    Ok(())
}

fn sets(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut s, mut model) = (Set::empty(), BTreeMap::<Hash, Cell>::new());
    while !u.is_empty() {
        match u.int_in_range(0..=4)? {
            0 => {
                let e = element(u)?;
                s = s.include(e.clone()).expect("in memory");
                model.insert(e.hash(), e);
            }
            1 => {
                let e = element(u)?;
                s = s.exclude(&e).expect("in memory");
                model.remove(&e.hash());
            }
            2 => {
                for e in elements(u)? {
                    s = s.include(e.clone()).expect("in memory");
                    model.insert(e.hash(), e);
                }
            }
            3 => {
                let (op, other) = (u.int_in_range(0..=3)?, elements(u)?);
                let set: Set = other.iter().cloned().collect();
                if model.len() > 15 || set.count() > 15 {
                    // Only what the defects leave alone: a set and itself.
                    let all = s.combine(&s.clone(), SetOp::Union).expect("aligned");
                    assert_eq!(all, s);
                    let none = s.combine(&s.clone(), SetOp::Difference).expect("aligned");
                    assert!(none.is_empty());
                    assert!(s.contains_all(&s.clone()).expect("in memory"));
                    continue;
                }
                let op = [
                    SetOp::Union,
                    SetOp::Intersection,
                    SetOp::Difference,
                    SetOp::ReverseDifference,
                ][op];
                s = s.combine(&set, op).expect("leaves are aligned");
                let other: BTreeMap<Hash, Cell> =
                    other.into_iter().map(|e| (e.hash(), e)).collect();
                let mut both = model.clone();
                both.extend(other.clone());
                both.retain(|h, _| match op {
                    SetOp::Union => true,
                    SetOp::Intersection => model.contains_key(h) && other.contains_key(h),
                    SetOp::Difference => !other.contains_key(h),
                    SetOp::ReverseDifference => !model.contains_key(h),
                });
                model = both;
            }
            _ => {
                let e = element(u)?;
                let there = model.contains_key(&e.hash());
                assert_eq!(s.contains(&e), Ok(there));
                let i = u.int_in_range(0..=model.len())?;
                let at = s.element_at(i as u64).expect("in memory");
                assert_eq!(at.as_ref(), model.values().nth(i));
            }
        }
        if model.len() > MOST {
            break;
        }
        assert_eq!(s.count(), model.len() as u64);
        let listed: std::result::Result<Vec<_>, _> = s.iter().collect();
        assert!(listed.expect("in memory").iter().eq(model.values()));
        same(s.clone(), model.values().cloned().collect::<Set>());
    }
    Ok(())
}

fn blobs(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut b, mut s, mut model) = (Blob::new(&[]), Str::new(&[]), Vec::<u8>::new());
    while !u.is_empty() {
        match u.int_in_range(0..=2)? {
            0 => {
                let more = if u.ratio(1, 4)? {
                    let (n, first) = (u.int_in_range(1..=20_000)?, u.arbitrary::<u8>()?);
                    (0..n)
                        .map(|i: usize| first.wrapping_add((i / 7) as u8))
                        .collect()
                } else {
                    make::bytes(u, 9000)?
                };
                b = b
                    .concat(&Blob::new(&more))
                    .expect("in memory")
                    .expect("short");
                s = s
                    .concat(&Str::new(&more))
                    .expect("in memory")
                    .expect("short");
                model.extend(more);
            }
            1 => {
                let end = u.int_in_range(0..=model.len())?;
                let start = u.int_in_range(0..=end)? & if u.arbitrary()? { !0 } else { !0xfff };
                b = b
                    .slice(start as u64, end as u64)
                    .expect("in memory")
                    .expect("in range");
                s = s
                    .slice(start as u64, end as u64)
                    .expect("in memory")
                    .expect("in range");
                model = model[start..end].to_vec();
            }
            _ => {
                let i = u.int_in_range(0..=model.len())?;
                assert_eq!(b.byte_at(i as u64), Ok(model.get(i).copied()));
                assert_eq!(s.byte_at(i as u64), Ok(model.get(i).copied()));
                let _ = s.code_point_at(i as u64).expect("in memory");
            }
        }
        if model.len() > LONGEST {
            break;
        }
        assert_eq!(b.to_vec().as_ref(), Ok(&model));
        assert_eq!(s.to_vec().as_ref(), Ok(&model));
        same(b.clone(), Blob::new(&model));
        same(s.clone(), Str::new(&model));
        same(b.to_str().expect("in memory"), s.clone());
        same(s.to_blob().expect("in memory"), b.clone());
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let u = &mut Unstructured::new(rest);
    // The fuzzer's bytes end somewhere; what was done until then is checked.
    let _ = match kind % 5 {
        0 => vectors(u),
        1 => lists(u),
        2 => maps(u),
        3 => sets(u),
        _ => blobs(u),
    };
});
