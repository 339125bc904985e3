//! `^meta value` (`spec/02 §1.5`).

use cells::{Cell, CellError, Keyword, List, Map, Record, Set, Syntax, Vector};

/// `value` with the metadata that the form `meta` describes, over the metadata it may have.
///
/// `budget` is the number of cells that may still be looked at, and shrinks.
pub(super) fn annotate(meta: Cell, value: Cell, budget: &mut usize) -> Result<Cell, String> {
    let unreadable = |error: CellError| error.to_string();
    let meta = match strip(meta, budget)? {
        Cell::Map(map) => map,
        keyword @ Cell::Keyword(_) => Map::from_iter([(keyword, Cell::Bool(true))]),
        tag => Map::from_iter([(Keyword::literal("tag").into(), tag)]),
    };
    Ok(match value {
        Cell::Syntax(syntax) => {
            let merged = syntax.meta().clone().merge(&meta).map_err(unreadable)?;
            Syntax::new(syntax.value().map_err(unreadable)?, merged).into()
        }
        value => Syntax::new(value, meta).into(),
    })
}

/// How to put the parts of a cell together again.
#[derive(Clone, Copy)]
enum Shape {
    Vector,
    List,
    Set,
    Map,
}

enum Step {
    Visit(Cell),
    Build(Shape, usize),
}

/// `cell` without syntax wrappers at any depth. Indexes and records become hash maps on the way.
fn strip(cell: Cell, budget: &mut usize) -> Result<Cell, String> {
    let mut done: Vec<Cell> = Vec::new();
    let mut steps = vec![Step::Visit(cell)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Build(shape, count) => {
                let parts = done.split_off(done.len() - count).into_iter();
                done.push(build(shape, parts));
            }
            Step::Visit(cell) => {
                *budget = budget.checked_sub(1).ok_or("metadata is too large")?;
                match parts(&cell, *budget).map_err(|error| error.to_string())? {
                    Parts::None => done.push(cell),
                    Parts::Wrapped(inner) => steps.push(Step::Visit(inner)),
                    Parts::TooMany => return Err("metadata is too large".into()),
                    Parts::Some(shape, parts) => {
                        steps.push(Step::Build(shape, parts.len()));
                        steps.extend(parts.into_iter().rev().map(Step::Visit));
                    }
                }
            }
        }
    }
    done.pop().ok_or_else(|| "metadata is missing".into())
}

enum Parts {
    None,
    Wrapped(Cell),
    Some(Shape, Vec<Cell>),
    TooMany,
}

fn parts(cell: &Cell, budget: usize) -> Result<Parts, CellError> {
    let (shape, count) = match cell {
        Cell::Syntax(syntax) => return Ok(Parts::Wrapped(syntax.value()?)),
        Cell::Vector(v) => (Shape::Vector, v.count()),
        Cell::List(l) => (Shape::List, l.count()),
        Cell::Set(s) => (Shape::Set, s.count()),
        Cell::Map(m) => (Shape::Map, m.count()),
        Cell::Index(i) => (Shape::Map, i.count()),
        Cell::Record(r) if !field_names(r).is_empty() => (Shape::Map, r.fields().count()),
        _ => return Ok(Parts::None),
    };
    if count > budget as u64 {
        return Ok(Parts::TooMany);
    }
    let mut parts = Vec::new();
    match cell {
        Cell::Vector(v) => v
            .iter()
            .try_for_each(|part| part.map(|part| parts.push(part)))?,
        Cell::List(l) => l
            .iter()
            .try_for_each(|part| part.map(|part| parts.push(part)))?,
        Cell::Set(s) => s
            .iter()
            .try_for_each(|part| part.map(|part| parts.push(part)))?,
        Cell::Map(m) => m
            .iter()
            .try_for_each(|entry| entry.map(|(k, v)| parts.extend([k, v])))?,
        Cell::Index(i) => i
            .iter()
            .try_for_each(|entry| entry.map(|(k, v)| parts.extend([k, v])))?,
        Cell::Record(r) => {
            for (name, value) in field_names(r).iter().zip(r.fields().iter()) {
                parts.extend([Keyword::literal(name).into(), value?]);
            }
        }
        _ => {}
    }
    Ok(Parts::Some(shape, parts))
}

/// The names of the fields of a record that is a map; none for functions and ops.
fn field_names(record: &Record) -> &'static [&'static str] {
    record.kind().map_or(&[], cells::RecordKind::fields)
}

fn build(shape: Shape, mut parts: impl Iterator<Item = Cell>) -> Cell {
    match shape {
        Shape::Vector => parts.collect::<Vector>().into(),
        Shape::List => parts.collect::<List>().into(),
        Shape::Set => parts.collect::<Set>().into(),
        Shape::Map => std::iter::from_fn(|| parts.next().zip(parts.next()))
            .collect::<Map>()
            .into(),
    }
}
