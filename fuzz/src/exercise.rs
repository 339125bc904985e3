//! Everything that a program can do with a value it was handed. On a malformed one operations may fail; they must not
//! panic, nor run longer than the value's bytes and a small number justify.

use cells::{Cell, CellError, Index, Set, SetOp, print, validate};

/// Most steps of an iteration: a value may claim any number of elements.
const STEPS: usize = 300;

/// Largest count of a collection that is taken as a whole. A few nodes that share their children can stand for any number of
/// elements, and work on all of them takes its time; whoever calls such an operation charges for the count first.
const COPIED: u64 = 1 << 16;

/// Positions worth trying in something that claims `count` elements.
fn positions(count: u64) -> [u64; 6] {
    [
        0,
        1,
        count / 2,
        count.saturating_sub(1),
        count,
        count.saturating_add(1),
    ]
}

/// What every value can do. Returns whether the value is well-formed.
pub fn look(cell: &Cell) -> bool {
    let encoding = cell.encode();
    assert_eq!(encoding.len(), cell.encoded_len());
    assert_eq!(cell.hash(), cells::Hash::of(&encoding));
    assert_eq!(cell.refs().count(), cell.ref_count());
    let copy = cell.clone();
    let sized = cell.memory_size();
    assert_eq!(copy.memory_size(), sized);
    let _ = cell.storage_size();
    for limit in [0, 64, 4096] {
        if let Ok(Some(text)) = print::print(cell, limit) {
            assert!(text.len() <= limit, "text longer than its limit");
        }
    }
    assert_eq!(*cell, copy);
    validate(cell).is_ok()
}

/// A result of an operation is a value with bytes and a hash.
fn settle<T: Into<Cell>>(result: Result<Option<T>, CellError>) {
    if let Ok(Some(value)) = result {
        let cell: Cell = value.into();
        let encoding = cell.encode();
        assert_eq!(cell.hash(), cells::Hash::of(&encoding));
    }
}

fn set_algebra(a: &Set, b: &Set) {
    for op in [
        SetOp::Union,
        SetOp::Intersection,
        SetOp::Difference,
        SetOp::ReverseDifference,
    ] {
        settle(a.combine(b, op).map(Some));
    }
    let _ = a.contains_all(b);
}

fn index(i: &Index, other: &Cell, odd: bool) {
    let _ = i.get(other);
    let _ = i.get_bytes(&[0x11; 32]);
    settle(i.clone().assoc(other.clone(), Cell::Nil));
    settle(i.clone().dissoc(other).map(Some));
    for entry in i.iter().take(STEPS).flatten() {
        // A key that was listed may be in the wrong place of a malformed index, but never harms.
        let _ = i.get(&entry.0);
        settle(i.clone().dissoc(&entry.0).map(Some));
        settle(i.clone().assoc(entry.0, Cell::Long(1)));
    }
    for n in positions(i.count()) {
        let _ = i.entry_at(n);
    }
    settle(
        i.filter_values::<CellError>(&mut |value| Ok(value.is_truthy() != odd))
            .map(Some),
    );
    if let Cell::Index(other) = other
        && i.count().max(other.count()) <= COPIED
    {
        settle(i.clone().merge(other).map(Some));
        settle(other.clone().merge(i).map(Some));
    }
}

/// Every operation of the value's type, with `other` as the second operand.
pub fn operate(cell: &Cell, other: &Cell) {
    let n = cell.encoded_len() as u64;
    match cell {
        Cell::Vector(v) => {
            for i in positions(v.count()) {
                let _ = v.get(i);
                let _ = v.get_ref(i);
                settle(v.clone().assoc(i, other.clone()));
                settle(v.slice(i, i.saturating_add(20)));
                if v.count() <= COPIED {
                    settle(v.slice(0, i));
                    settle(v.slice(i, v.count()));
                }
                v.iter_refs_from(i).take(STEPS).for_each(drop);
            }
            settle(v.clone().push(other.clone()).map(Some));
            v.iter().take(STEPS).for_each(drop);
            if let Cell::Vector(other) = other
                && v.count().max(other.count()) <= COPIED
            {
                settle(v.clone().concat(other).map(Some));
                settle(other.clone().concat(v).map(Some));
            }
        }
        Cell::List(l) => {
            for i in positions(l.count()) {
                let _ = l.get(i);
                settle(l.clone().assoc(i, other.clone()));
                settle(l.slice(i, i.saturating_add(20)));
                if l.count() <= COPIED {
                    settle(l.slice(0, i));
                    settle(l.slice(i, l.count()));
                }
            }
            settle(l.clone().cons(other.clone()).map(Some));
            l.iter().take(STEPS).for_each(drop);
            if let Cell::List(other) = other
                && l.count().max(other.count()) <= COPIED
            {
                settle(l.concat(other).map(Some));
            }
        }
        Cell::Map(m) => {
            let _ = m.get(other);
            settle(m.clone().assoc(other.clone(), Cell::Nil).map(Some));
            settle(m.clone().dissoc(other).map(Some));
            for (key, value) in m.iter().take(STEPS).flatten() {
                let _ = m.get(&key);
                settle(m.clone().dissoc(&key).map(Some));
                settle(m.clone().assoc(key, value).map(Some));
            }
            for i in positions(m.count()) {
                let _ = m.entry_at(i);
                if m.count() <= COPIED {
                    settle(m.slice(0, i));
                    settle(m.slice(i, m.count()));
                }
            }
            if let Cell::Map(other) = other
                && m.count().max(other.count()) <= COPIED
            {
                settle(m.clone().merge(other).map(Some));
                settle(other.clone().merge(m).map(Some));
            }
        }
        Cell::Set(s) => {
            let _ = s.contains(other);
            settle(s.clone().include(other.clone()).map(Some));
            settle(s.clone().exclude(other).map(Some));
            for element in s.iter().take(STEPS).flatten() {
                let _ = s.contains(&element);
                settle(s.clone().exclude(&element).map(Some));
                settle(s.clone().include(element).map(Some));
            }
            for i in positions(s.count()) {
                let _ = s.element_at(i);
                if s.count() <= COPIED {
                    settle(s.slice(0, i));
                    settle(s.slice(i, s.count()));
                }
            }
            if s.count() > COPIED {
                return;
            }
            let few: Set = (0..20)
                .map(|i| Cell::Long(n as i64 + i))
                .chain(s.iter().take(5).flatten())
                .collect();
            set_algebra(s, &few);
            set_algebra(&few, s);
            if let Cell::Set(other) = other
                && other.count() <= COPIED
            {
                set_algebra(s, other);
                set_algebra(other, s);
            }
        }
        Cell::Index(i) => {
            index(i, other, true);
            index(i, other, false);
            if i.count() <= COPIED {
                for k in positions(i.count()) {
                    settle(i.slice(0, k));
                    settle(i.slice(k, i.count()));
                }
            }
        }
        Cell::Blob(b) => {
            for i in positions(b.len()) {
                let _ = b.byte_at(i);
                settle(b.slice(i, i.saturating_add(5000)));
                if b.len() <= COPIED {
                    settle(b.slice(0, i));
                    settle(b.slice(i, b.len()));
                }
            }
            if b.len() <= COPIED {
                settle(b.concat(b));
                if let Ok(bytes) = b.to_vec() {
                    assert_eq!(bytes.len() as u64, b.len());
                }
                settle(b.to_str().map(Some));
            }
            if let Cell::Blob(other) = other
                && b.len().max(other.len()) <= COPIED
            {
                settle(b.concat(other));
                settle(other.concat(b));
            }
        }
        Cell::Str(s) => {
            for i in positions(s.len()) {
                let _ = s.byte_at(i);
                let _ = s.code_point_at(i);
                settle(s.slice(i, i.saturating_add(5000)));
                if s.len() <= COPIED {
                    settle(s.slice(0, i));
                    settle(s.slice(i, s.len()));
                }
            }
            if s.len() <= COPIED {
                settle(s.concat(s));
                let _ = s.to_vec();
                settle(s.to_blob().map(Some));
            }
        }
        Cell::Syntax(s) => {
            let _ = s.value();
            let _ = s.meta().count();
        }
        Cell::Signed(s) => {
            let _ = s.value();
            let _ = s.verify();
            let _ = s.message();
        }
        Cell::Record(r) => {
            for i in positions(r.fields().count()) {
                let _ = r.field(i);
                settle(r.with_field(i, other.clone()));
            }
        }
        Cell::Coded(c) => {
            let _ = (c.op(), c.code().load().is_ok(), c.value().load().is_ok());
        }
        _ => {}
    }
}

/// Looks at a value and, up to a number, at the values below it, with every operation.
pub fn all(top: &Cell) {
    let mut waiting = vec![top.clone()];
    let mut previous = Cell::Long(7);
    let mut seen = 0;
    while let Some(cell) = waiting.pop() {
        look(&cell);
        operate(&cell, &previous);
        seen += 1;
        if seen + waiting.len() < 24 {
            waiting.extend(cell.refs().take(20).filter_map(|r| r.get().ok()));
        }
        previous = cell;
    }
}
