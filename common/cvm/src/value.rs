//! Cells seen as the CVM's types (`spec/03 §1.8`): what many core functions and data functions share.
//!
//! Collections are taken by value where they change, so that what nobody else holds is changed in place.

use cells::{
    Blob, Cell, CellError, Index, Keyword, List, Map, Record, RecordKind, Ref, Set, Str, Symbol,
    Vector, text,
};

/// Name of a value's type, as error messages give it.
#[must_use]
pub fn type_name(cell: &Cell) -> &'static str {
    match cell {
        Cell::Nil => "Nil",
        Cell::Bool(_) => "Boolean",
        Cell::Long(_) | Cell::BigInt(_) => "Integer",
        Cell::Double(_) => "Double",
        Cell::Char(_) => "Character",
        Cell::Str(_) => "String",
        Cell::Blob(_) => "Blob",
        Cell::Symbol(_) => "Symbol",
        Cell::Keyword(_) => "Keyword",
        Cell::Vector(_) => "Vector",
        Cell::List(_) => "List",
        Cell::Map(_) => "Map",
        Cell::Set(_) => "Set",
        Cell::Index(_) => "Index",
        Cell::Syntax(_) => "Syntax",
        Cell::Signed(_) => "SignedData",
        Cell::Address(_) => "Address",
        Cell::Core(_) => "Function",
        Cell::Special(_) | Cell::Local(_) => "Op",
        Cell::Coded(c) if c.op().is_some() => "Op",
        Cell::Record(r) => match r.kind() {
            Some(RecordKind::Fn | RecordKind::MultiFn) => "Function",
            Some(kind) if kind.is_op() => "Op",
            Some(kind) if kind.is_transaction() => "Transaction",
            Some(_) => "Record",
            None => "CAD3",
        },
        Cell::Flag(_) | Cell::Extension(..) | Cell::Coded(_) => "Any",
    }
}

// ---- records ---------------------------------------------------------------------------------------------

/// A clone, without a call for the values that are copied most.
#[inline]
pub(crate) fn copy(cell: &Cell) -> Cell {
    match cell {
        Cell::Nil => Cell::Nil,
        Cell::Bool(b) => Cell::Bool(*b),
        Cell::Long(n) => Cell::Long(*n),
        Cell::Address(n) => Cell::Address(*n),
        Cell::Core(code) => Cell::Core(*code),
        other => other.clone(),
    }
}

/// Bytes of a value's text in a message at most: errors are cheap to raise, so their texts have to be short.
const MESSAGE_LIMIT: usize = 1024;

/// A value as it stands in a message.
#[must_use]
pub fn brief_text(cell: &Cell) -> String {
    bounded_text(cell, MESSAGE_LIMIT)
}

/// The printed form of a value, if it is not longer than `limit` bytes.
pub(crate) fn bounded_text(cell: &Cell, limit: usize) -> String {
    match cells::print::print(cell, limit) {
        Ok(Some(text)) => String::from_utf8_lossy(&text).into_owned(),
        Ok(None) => "<<Print limit exceeded>>".into(),
        Err(error) => format!("<<{error}>>"),
    }
}

/// A value in the middle of a message: strings without their quotes, characters as they are.
#[must_use]
pub fn plain_text(cell: &Cell) -> String {
    match cell {
        Cell::Str(s) if s.len() <= MESSAGE_LIMIT as u64 => s.as_flat().map_or_else(
            || brief_text(cell),
            |b| String::from_utf8_lossy(b).into_owned(),
        ),
        Cell::Char(c) => {
            let mut text = Vec::new();
            cells::text::write_code_point(&mut text, *c);
            String::from_utf8_lossy(&text).into_owned()
        }
        Cell::Nil => "null".into(),
        _ => brief_text(cell),
    }
}

/// Field names of a record that works as a map of names: accounts, peers, transactions and the like.
#[must_use]
pub fn record_fields(record: &Record) -> Option<&'static [&'static str]> {
    record
        .kind()
        .map(RecordKind::fields)
        .filter(|fields| !fields.is_empty())
}

/// Number of entries of a record that works as a map; `None` for functions and ops.
///
/// A record without a meaning, which only a message can bring in, has its fields as entries under their positions,
/// but no key finds them.
#[must_use]
pub fn record_count(record: &Record) -> Option<u64> {
    match record.kind() {
        None => Some(record.fields().count()),
        Some(_) => record_fields(record).map(|fields| fields.len() as u64),
    }
}

/// The key of entry `i` of a record.
fn record_key(record: &Record, i: u64) -> Cell {
    record_fields(record)
        .and_then(|fields| fields.get(i as usize))
        .map_or(Cell::Long(i as i64), |name| Keyword::literal(name).into())
}

/// Entry `i` of a record that works as a map.
fn record_entry(record: &Record, i: u64) -> Result<Option<(Cell, Cell)>, CellError> {
    if record_count(record).is_none_or(|n| i >= n) {
        return Ok(None);
    }
    let value = record.field(i)?.unwrap_or(Cell::Nil);
    Ok(Some((record_key(record, i), value)))
}

/// Position of the field with this name.
fn record_position(record: &Record, key: &Cell) -> Option<u64> {
    let Cell::Keyword(name) = key else {
        return None;
    };
    record_fields(record)?
        .iter()
        .position(|field| field.as_bytes() == name.name())
        .map(|i| i as u64)
}

/// The entries `start..end` of a record as a hash map.
///
/// # Errors
/// When a field can't be read.
pub fn record_part(record: &Record, start: u64, end: u64) -> Result<Map, CellError> {
    let mut map = Map::empty();
    for i in start..end {
        if let Some((key, value)) = record_entry(record, i)? {
            map = map.assoc(key, value)?;
        }
    }
    Ok(map)
}

/// A record as the hash map of its entries: what it becomes when it is changed.
///
/// # Errors
/// When a field can't be read.
pub fn record_to_map(record: &Record) -> Result<Map, CellError> {
    record_part(record, 0, record_count(record).unwrap_or(0))
}

// ---- types -----------------------------------------------------------------------------------------------

/// True for records that work as maps.
#[must_use]
pub fn is_record_map(cell: &Cell) -> bool {
    matches!(cell, Cell::Record(r) if record_count(r).is_some())
}

/// True for vectors and lists.
#[must_use]
pub fn is_sequence(cell: &Cell) -> bool {
    matches!(cell, Cell::Vector(_) | Cell::List(_))
}

/// True for hash maps, indexes and records.
#[must_use]
pub fn is_map(cell: &Cell) -> bool {
    matches!(cell, Cell::Map(_) | Cell::Index(_)) || is_record_map(cell)
}

/// True for sequences, sets and maps.
#[must_use]
pub fn is_data_structure(cell: &Cell) -> bool {
    is_sequence(cell) || matches!(cell, Cell::Set(_)) || is_map(cell)
}

/// A Long: an integer of 64 bits, also one that arithmetic has left in the large form (`spec/03 §2`).
#[must_use]
pub fn long(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Long(n) => Some(*n),
        Cell::BigInt(n) => n.to_long(),
        _ => None,
    }
}

/// A key as a position in a sequence.
fn position(key: &Cell) -> Option<u64> {
    long(key).and_then(|i| u64::try_from(i).ok())
}

// ---- counting and positions ------------------------------------------------------------------------------

/// Number of elements of a countable value, 0 for nil; `None` for anything else. Text counts bytes.
///
/// # Errors
/// None at present; kept for values whose count has to be read.
pub fn count(cell: &Cell) -> Result<Option<u64>, CellError> {
    Ok(Some(match cell {
        Cell::Nil => 0,
        Cell::Vector(v) => v.count(),
        Cell::List(l) => l.count(),
        Cell::Set(s) => s.count(),
        Cell::Map(m) => m.count(),
        Cell::Index(i) => i.count(),
        Cell::Record(r) => return Ok(record_count(r)),
        Cell::Str(s) => s.len(),
        Cell::Blob(b) => b.len(),
        Cell::Symbol(s) => s.name().len() as u64,
        Cell::Keyword(k) => k.name().len() as u64,
        Cell::Address(_) | Cell::Extension(..) => 8,
        _ => return Ok(None),
    }))
}

/// Element `i` of a data structure; entries of maps are vectors of two. `None` past the end.
///
/// # Errors
/// When it can't be read.
pub fn element(cell: &Cell, i: u64) -> Result<Option<Cell>, CellError> {
    let pair = |entry: Option<(Cell, Cell)>| entry.map(|(key, value)| entry_cell(key, value));
    match cell {
        Cell::Vector(v) => v.get(i),
        Cell::List(l) => l.get(i),
        Cell::Set(s) => s.element_at(i),
        Cell::Map(m) => m.entry_at(i).map(pair),
        Cell::Index(m) => m.entry_at(i).map(pair),
        Cell::Record(r) => record_entry(r, i).map(pair),
        _ => Ok(None),
    }
}

/// Element `i` of a countable value: of a data structure as [`element`], of a blob or address the byte, of text the
/// character that starts at byte `i`, or nil where none starts. `None` past the end.
///
/// # Errors
/// When it can't be read.
pub fn nth(cell: &Cell, i: u64) -> Result<Option<Cell>, CellError> {
    let byte = |b: Option<u8>| b.map(|b| Cell::Long(b.into()));
    match cell {
        Cell::Blob(b) => Ok(byte(b.byte_at(i)?)),
        Cell::Address(n) | Cell::Extension(_, n) => {
            Ok(byte(n.to_be_bytes().get(i as usize).copied()))
        }
        Cell::Str(s) if i < s.len() => Ok(Some(character(s.code_point_at(i)?))),
        Cell::Symbol(s) => Ok(character_at(s.name(), i)),
        Cell::Keyword(k) => Ok(character_at(k.name(), i)),
        _ => element(cell, i),
    }
}

fn character(code: Option<u32>) -> Cell {
    code.map_or(Cell::Nil, Cell::Char)
}

fn character_at(bytes: &[u8], i: u64) -> Option<Cell> {
    let rest = bytes.get(i as usize..)?;
    (!rest.is_empty()).then(|| character(text::code_point(&rest[..rest.len().min(4)])))
}

/// Hands every element of a countable value to `f`, in order, as [`nth`] gives them. The caller bounds the count.
///
/// # Errors
/// When one can't be read, and those of `f`.
pub fn for_each<E: From<CellError>>(
    cell: &Cell,
    mut f: impl FnMut(Cell) -> Result<(), E>,
) -> Result<(), E> {
    match cell {
        Cell::Vector(v) => v.iter().try_for_each(|x| f(x?)),
        Cell::List(l) => l.iter().try_for_each(|x| f(x?)),
        Cell::Set(s) => s.iter().try_for_each(|x| f(x?)),
        _ if is_map(cell) => for_each_entry(cell, |key, value| f(entry_cell(key, value))),
        Cell::Blob(b) => b
            .to_vec()?
            .into_iter()
            .try_for_each(|b| f(Cell::Long(b.into()))),
        Cell::Str(s) => each_character(&s.to_vec()?, f),
        Cell::Symbol(s) => each_character(s.name(), f),
        Cell::Keyword(k) => each_character(k.name(), f),
        _ => {
            for i in 0..count(cell)?.unwrap_or(0) {
                if let Some(x) = nth(cell, i)? {
                    f(x)?;
                }
            }
            Ok(())
        }
    }
}

fn each_character<E>(bytes: &[u8], mut f: impl FnMut(Cell) -> Result<(), E>) -> Result<(), E> {
    (0..bytes.len()).try_for_each(|i| {
        let end = bytes.len().min(i + 4);
        f(character(text::code_point(&bytes[i..end])))
    })
}

/// Hands every entry of a map, index or record to `f`, in order.
///
/// # Errors
/// When one can't be read, and those of `f`.
pub fn for_each_entry<E: From<CellError>>(
    map: &Cell,
    mut f: impl FnMut(Cell, Cell) -> Result<(), E>,
) -> Result<(), E> {
    match map {
        Cell::Map(m) => m.iter().try_for_each(|entry| {
            let (key, value) = entry?;
            f(key, value)
        }),
        Cell::Index(m) => m.iter().try_for_each(|entry| {
            let (key, value) = entry?;
            f(key, value)
        }),
        Cell::Record(r) => {
            for i in 0..record_count(r).unwrap_or(0) {
                if let Some((key, value)) = record_entry(r, i)? {
                    f(key, value)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The elements of a countable value as a vector; a vector is returned as it is. The caller bounds the count.
///
/// # Errors
/// When an element can't be read.
pub fn to_vector(cell: &Cell) -> Result<Vector, CellError> {
    if let Cell::Vector(v) = cell {
        return Ok(v.clone());
    }
    let mut refs = Vec::new();
    for_each(cell, |x| {
        refs.push(Ref::new(x));
        Ok::<_, CellError>(())
    })?;
    Ok(Vector::from_refs(refs))
}

/// An entry of a map as a value.
#[must_use]
pub fn entry_cell(key: Cell, value: Cell) -> Cell {
    Cell::from([key, value].into_iter().collect::<Vector>())
}

/// Key and value of an entry: a vector of exactly two.
fn entry_parts(cell: &Cell) -> Result<Option<(Cell, Cell)>, CellError> {
    match cell {
        Cell::Vector(pair) if pair.count() == 2 => Ok(pair.get(0)?.zip(pair.get(1)?)),
        _ => Ok(None),
    }
}

// ---- keys ------------------------------------------------------------------------------------------------

/// What a data structure holds at a key, `true` for a member of a set; `None` when there is nothing, and for
/// anything but a data structure.
///
/// # Errors
/// When it can't be read.
pub fn get(cell: &Cell, key: &Cell) -> Result<Option<Cell>, CellError> {
    match cell {
        Cell::Map(m) => m.get(key),
        Cell::Index(i) => i.get(key),
        Cell::Set(s) => Ok(s.contains(key)?.then_some(Cell::Bool(true))),
        Cell::Vector(_) | Cell::List(_) => match position(key) {
            Some(i) => element(cell, i),
            None => Ok(None),
        },
        Cell::Record(r) => match record_position(r, key) {
            Some(i) => r.field(i),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// A data structure with `value` at a key, for a set with or without the key; `None` when it does not take the key
/// or the value, and for anything but a data structure. A record becomes a map.
///
/// # Errors
/// When something can't be read.
pub fn assoc(collection: Cell, key: Cell, value: Cell) -> Result<Option<Cell>, CellError> {
    let position = position(&key);
    Ok(match collection {
        Cell::Map(m) => Some(m.assoc(key, value)?.into()),
        Cell::Index(m) => m.assoc(key, value)?.map(Cell::from),
        Cell::Vector(v) => match position {
            Some(i) => v.assoc(i, value)?.map(Cell::from),
            None => None,
        },
        Cell::List(l) => match position {
            Some(i) => l.assoc(i, value)?.map(Cell::from),
            None => None,
        },
        Cell::Set(s) => match value {
            Cell::Bool(true) => Some(s.include(key)?.into()),
            Cell::Bool(false) => Some(s.exclude(&key)?.into()),
            _ => None,
        },
        Cell::Record(r) if record_count(&r).is_some() => {
            Some(record_to_map(&r)?.assoc(key, value)?.into())
        }
        _ => None,
    })
}

/// As [`assoc`] with an entry of another map, of which a map takes the key, too ([`Map::assoc_entry`]).
///
/// # Errors
/// When something can't be read.
pub fn assoc_entry(collection: Cell, key: Cell, value: Cell) -> Result<Option<Cell>, CellError> {
    match collection {
        Cell::Map(m) => Ok(Some(m.assoc_entry(key, value)?.into())),
        other => assoc(other, key, value),
    }
}

/// A map, index or record without a key; anything else as it is. A record that has the key becomes a map.
///
/// # Errors
/// When something can't be read.
pub fn dissoc(map: Cell, key: &Cell) -> Result<Cell, CellError> {
    Ok(match map {
        Cell::Map(m) => m.dissoc(key)?.into(),
        Cell::Index(m) => m.dissoc(key)?.into(),
        Cell::Record(r) if record_position(&r, key).is_some() => {
            record_to_map(&r)?.dissoc(key)?.into()
        }
        other => other,
    })
}

/// Adds an element the way `conj` does; `None` when the data structure does not take it.
///
/// # Errors
/// When something can't be read.
pub fn conj(collection: Cell, value: Cell) -> Result<Option<Cell>, CellError> {
    match collection {
        Cell::Vector(v) => Ok(Some(v.push(value)?.into())),
        Cell::List(l) => Ok(Some(l.cons(value)?.into())),
        Cell::Set(s) => Ok(Some(s.include(value)?.into())),
        map if is_map(&map) => match entry_parts(&value)? {
            Some((key, value)) => assoc_entry(map, key, value),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

// ---- parts -----------------------------------------------------------------------------------------------

/// A data structure of the same type without elements; a record gives a map.
#[must_use]
pub fn empty_like(cell: &Cell) -> Option<Cell> {
    Some(match cell {
        Cell::Vector(_) => Cell::from(Vector::empty()),
        Cell::List(_) => Cell::from(List::empty()),
        Cell::Set(_) => Cell::from(Set::empty()),
        Cell::Map(_) => Cell::from(Map::empty()),
        Cell::Index(_) => Cell::from(Index::empty()),
        _ if is_record_map(cell) => Cell::from(Map::empty()),
        _ => return None,
    })
}

/// The value of a countable type without elements, nil where the type has none (names, addresses); `None` for what
/// can't be counted.
#[must_use]
pub fn empty(cell: &Cell) -> Option<Cell> {
    match cell {
        Cell::Nil | Cell::Symbol(_) | Cell::Keyword(_) | Cell::Address(_) | Cell::Extension(..) => {
            Some(Cell::Nil)
        }
        Cell::Str(_) => Some(Cell::from(Str::new(b""))),
        Cell::Blob(_) => Some(Cell::from(Blob::new(b""))),
        _ => empty_like(cell),
    }
}

/// The elements `start..end` of a countable value, as a value of the same type where there is one: a record gives a
/// map, an address a blob, a name without characters nil. `None` unless 0 ≤ start ≤ end ≤ count.
///
/// # Errors
/// When something can't be read.
pub fn slice(cell: &Cell, start: u64, end: u64) -> Result<Option<Cell>, CellError> {
    Ok(match cell {
        Cell::Vector(v) => v.slice(start, end)?.map(Cell::from),
        Cell::List(l) => l.slice(start, end)?.map(Cell::from),
        Cell::Set(s) => s.slice(start, end)?.map(Cell::from),
        Cell::Map(m) => m.slice(start, end)?.map(Cell::from),
        Cell::Index(m) => m.slice(start, end)?.map(Cell::from),
        Cell::Str(s) => s.slice(start, end)?.map(Cell::from),
        Cell::Blob(b) => b.slice(start, end)?.map(Cell::from),
        Cell::Symbol(s) => bytes_of(s.name(), start, end).map(|b| Symbol::new(b).into()),
        Cell::Keyword(k) => bytes_of(k.name(), start, end).map(|b| Keyword::new(b).into()),
        Cell::Address(n) | Cell::Extension(_, n) => {
            bytes_of(&n.to_be_bytes(), start, end).map(|b| Blob::new(b).into())
        }
        Cell::Record(r) if record_count(r).is_some_and(|n| start <= end && end <= n) => {
            Some(record_part(r, start, end)?.into())
        }
        _ => None,
    })
}

fn bytes_of(bytes: &[u8], start: u64, end: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_maps_are_vectors_of_two() {
        let map = Map::empty().assoc(Cell::Long(1), Cell::Long(2)).unwrap();
        let entry = element(&Cell::from(map), 0).unwrap().unwrap();
        assert_eq!(entry.to_string(), "[1 2]");
    }

    #[test]
    fn an_index_takes_only_keys_made_of_bytes() {
        let index = Cell::from(Index::empty());
        assert_eq!(
            conj(index.clone(), entry_cell(Cell::Long(1), Cell::Nil)).unwrap(),
            None
        );
        assert!(
            conj(index, entry_cell(Cell::from("a"), Cell::Nil))
                .unwrap()
                .is_some()
        );
    }
}
