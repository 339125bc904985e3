//! The structural check of a whole value (`spec/01 §13.9`).
//!
//! The decoder lets malformed trees pass, since the network only trips over them when it uses them. This check
//! finds them at once; it is for imports, tools and tests, not for the consensus path.

use std::collections::HashSet;

use crate::set::SetEntry;
use crate::trie::{Entry, Trie};
use crate::{Cell, CellError, Coded, Index, Op, Record, RecordKind, Ref, Vector, index};

/// Why a value is not well-formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A part can't be read.
    #[error("value can't be read: {0}")]
    Unreadable(#[from] CellError),
    /// A part breaks a rule.
    #[error("invalid value: {0}")]
    Structure(&'static str),
}

/// Most coppers there can be.
const MAX_SUPPLY: i64 = 1_000_000_000_000_000_000;

/// Checks `cell` and everything below it.
///
/// # Errors
/// The first rule that is broken, or a part that can't be read.
pub fn validate(cell: &Cell) -> Result<(), Invalid> {
    let mut stack = vec![cell.clone()];
    // A few branches that share their children can stand for more nodes than anybody can visit.
    let mut seen = HashSet::new();
    while let Some(cell) = stack.pop() {
        shape(&cell)?;
        for r in cell.refs() {
            if r.lazy_hash().is_some_and(|hash| !seen.insert(hash)) {
                continue;
            }
            let child = r.load()?;
            if child.has_children() {
                stack.push(child.into_cell());
            }
        }
    }
    Ok(())
}

fn require(condition: bool, rule: &'static str) -> Result<(), Invalid> {
    if condition {
        Ok(())
    } else {
        Err(Invalid::Structure(rule))
    }
}

fn shape(cell: &Cell) -> Result<(), Invalid> {
    match cell {
        Cell::Vector(v) => vector(v),
        Cell::List(l) => vector(l.reversed()),
        Cell::Map(m) => trie(&m.0),
        Cell::Set(s) => trie::<SetEntry>(&s.0),
        Cell::Index(i) => index_shape(i),
        Cell::Blob(b) => b
            .tree_shape()
            .map_or(Ok(()), |(refs, capacity)| chunks(refs, capacity, b.len())),
        Cell::Str(s) => s
            .tree_shape()
            .map_or(Ok(()), |(refs, capacity)| chunks(refs, capacity, s.len())),
        Cell::Syntax(s) => require(
            !matches!(s.value()?, Cell::Syntax(_)),
            "syntax object inside a syntax object",
        ),
        Cell::Coded(c) => coded(c),
        Cell::Record(r) => {
            vector(r.fields())?;
            record(r)
        }
        _ => Ok(()),
    }
}

fn vector(v: &Vector) -> Result<(), Invalid> {
    for (r, count) in v.structure() {
        let fits = matches!(&*r.load()?, Cell::Vector(child) if child.count() == count);
        require(fits, "node of a vector with another type or count")?;
    }
    Ok(())
}

fn chunks(refs: &[Ref], capacity: u64, len: u64) -> Result<(), Invalid> {
    for (i, r) in refs.iter().enumerate() {
        let expected = capacity.min(len - capacity * i as u64);
        let fits = matches!(&*r.load()?, Cell::Blob(child) if child.len() == expected);
        require(fits, "chunk of another type or length")?;
    }
    Ok(())
}

/// A trie is well-formed when it is the one that its own entries make.
fn trie<E: Entry + 'static>(t: &Trie<E>) -> Result<(), Invalid> {
    if t.as_leaf().is_some() {
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in t.entries() {
        let entry = entry?;
        let ascending = entries
            .last()
            .is_none_or(|last: &E| last.hash() < entry.hash());
        require(ascending, "entries of a map or set out of order")?;
        require(
            (entries.len() as u64) < t.count(),
            "counts of a map or set do not add up",
        )?;
        entries.push(entry);
    }
    let canonical = E::wrap(Trie::from_sorted(entries));
    require(
        canonical == E::wrap(t.clone()),
        "map or set tree of another shape than its entries make",
    )
}

fn index_shape(i: &Index) -> Result<(), Invalid> {
    let (depth, entry, mask, children) = i.parts();
    if i.count() <= 1 {
        return match entry {
            Some(e) => require(
                index::is_key(&*e.key.load()?),
                "key of an index is no byte string",
            ),
            None => Ok(()),
        };
    }
    require(
        children.len() >= if entry.is_some() { 1 } else { 2 },
        "index node with too few children",
    )?;
    require(
        mask.count_ones() as usize == children.len(),
        "mask of an index does not match its children",
    )?;
    let mut count = u64::from(entry.is_some());
    let mut prefix: Option<Vec<u8>> = None;
    if let Some(e) = entry {
        let digits = index::key_digits(&*e.key.load()?)?
            .ok_or(Invalid::Structure("key of an index is no byte string"))?;
        require(digits.len() == depth, "entry of an index at another depth")?;
        prefix = Some(digits);
    }
    for (digit, r) in crate::trie::digits(mask).zip(children) {
        let Cell::Index(child) = r.get()? else {
            return Err(Invalid::Structure("child of an index is no index"));
        };
        require(child.count() > 0, "empty child of an index")?;
        let (child_depth, ..) = child.parts();
        require(child_depth > depth, "child of an index is not deeper")?;
        count = count
            .checked_add(child.count())
            .ok_or(Invalid::Structure("counts of an index overflow"))?;
        let (key, _) = first_entry(&child)?;
        let digits = index::key_digits(&key)?
            .ok_or(Invalid::Structure("key of an index is no byte string"))?;
        require(
            digits.len() >= child_depth && digits[depth] == digit,
            "child of an index under another digit",
        )?;
        match &prefix {
            Some(prefix) => require(
                digits[..depth] == prefix[..depth],
                "keys of an index differ in their prefix",
            )?,
            None => prefix = Some(digits),
        }
    }
    require(count == i.count(), "counts of an index do not add up")
}

/// The first entry below, without trusting counts.
fn first_entry(i: &Index) -> Result<(Cell, Cell), Invalid> {
    i.iter()
        .next()
        .ok_or(Invalid::Structure("index without entries"))?
        .map_err(Invalid::from)
}

/// True for cells that can stand where an op must.
fn is_op(cell: &Cell) -> bool {
    match cell {
        Cell::Special(_) | Cell::Local(_) => true,
        Cell::Coded(c) => c.op().is_some(),
        Cell::Record(r) => r.kind().is_some_and(RecordKind::is_op),
        _ => false,
    }
}

fn all_ops(v: &Vector) -> Result<(), Invalid> {
    for op in v.iter() {
        require(is_op(&op?), "op with an operand that is no op")?;
    }
    Ok(())
}

fn vector_at(r: &Ref, rule: &'static str) -> Result<Vector, Invalid> {
    match &*r.load()? {
        Cell::Vector(v) => Ok(v.clone()),
        _ => Err(Invalid::Structure(rule)),
    }
}

fn coded(c: &Coded) -> Result<(), Invalid> {
    match c.op() {
        Some(Op::Try | Op::Query) => {
            all_ops(&vector_at(c.value(), "op without its vector of ops")?)
        }
        Some(Op::Let | Op::Loop) => {
            vector_at(c.code(), "let or loop without its bindings")?;
            all_ops(&vector_at(c.value(), "op without its vector of ops")?)
        }
        Some(Op::Set(_)) => require(
            is_op(&*c.value().load()?),
            "op with an operand that is no op",
        ),
        _ => Ok(()),
    }
}

fn long(r: &Record, i: u64) -> Result<i64, Invalid> {
    match r.field(i)? {
        Some(Cell::Long(n)) => Ok(n),
        _ => Err(Invalid::Structure("record field is no integer")),
    }
}

fn field(r: &Record, i: u64) -> Result<Cell, Invalid> {
    r.field(i)?
        .ok_or(Invalid::Structure("record lacks a field"))
}

fn record(r: &Record) -> Result<(), Invalid> {
    let amount = |n: i64| (0..=MAX_SUPPLY).contains(&n);
    match r.kind() {
        Some(RecordKind::Do | RecordKind::Apply | RecordKind::Cond) => all_ops(r.fields()),
        Some(RecordKind::Transfer) => {
            require(amount(long(r, 3)?), "amount out of range")?;
            require(
                matches!(field(r, 2)?, Cell::Address(_)),
                "transfer without a target",
            )
        }
        Some(RecordKind::Call) => {
            require(amount(long(r, 3)?), "offer out of range")?;
            require(!field(r, 2)?.is_nil(), "call without a target")
        }
        Some(RecordKind::Belief) => require(
            matches!(field(r, 0)?, Cell::Index(_)),
            "orders of a belief are no index",
        ),
        Some(RecordKind::Block) => match field(r, 1)? {
            Cell::Vector(v) => require(v.count() <= 1024, "block with too many transactions"),
            _ => Err(Invalid::Structure("transactions of a block are no vector")),
        },
        Some(RecordKind::Order) => order(r),
        Some(RecordKind::Account) => {
            require(long(r, 0)? >= 0, "negative sequence")?;
            require(amount(long(r, 2)?), "balance out of range")
        }
        Some(RecordKind::Peer) => require(
            long(r, 1)? >= 0 && long(r, 3)? >= 0 && long(r, 6)? >= 0,
            "negative stake or balance",
        ),
        Some(RecordKind::Result) => {
            require(
                matches!(field(r, 0)?, Cell::Nil | Cell::Long(_)),
                "result id is no integer",
            )?;
            require(
                matches!(field(r, 3)?, Cell::Nil | Cell::Vector(_)),
                "result log is no vector",
            )?;
            require(
                matches!(field(r, 4)?, Cell::Nil | Cell::Map(_)),
                "result info is no map",
            )
        }
        Some(RecordKind::BlockResult) => match field(r, 1)? {
            Cell::Nil => Ok(()),
            Cell::Vector(results) => {
                for result in results.iter() {
                    let fits =
                        matches!(&result?, Cell::Record(r) if r.kind() == Some(RecordKind::Result));
                    require(fits, "block result with something that is no result")?;
                }
                Ok(())
            }
            _ => Err(Invalid::Structure("results of a block are no vector")),
        },
        _ => Ok(()),
    }
}

fn order(r: &Record) -> Result<(), Invalid> {
    let points = field(r, 1)?;
    require(points.is_embedded(), "consensus points are not embedded")?;
    let Cell::Vector(points) = points else {
        return Err(Invalid::Structure("consensus points are no vector"));
    };
    let Cell::Vector(blocks) = field(r, 2)? else {
        return Err(Invalid::Structure("blocks of an order are no vector"));
    };
    let mut last: Option<i64> = None;
    for point in points.iter() {
        let Cell::Long(point) = point? else {
            return Err(Invalid::Structure("consensus point is no integer"));
        };
        match last {
            None => require(
                u64::try_from(point) == Ok(blocks.count()),
                "first consensus point is not the block count",
            )?,
            Some(last) => require(point <= last, "consensus points increase")?,
        }
        last = Some(point);
    }
    require(last.is_none_or(|p| p >= 0), "negative consensus point")
}
