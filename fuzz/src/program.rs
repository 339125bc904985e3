//! Programs from the fuzzer's bytes: nested calls of core functions and special forms, many of which mean something.

use arbitrary::{Result, Unstructured};
use cells::{Cell, List, Symbol, Vector};
use cvm::Rules;

use crate::make;

/// Names that programs bind and use.
const NAMES: [&str; 6] = ["a", "b", "f", "g", "&", "count"];

/// Numbers at which something changes.
const NUMBERS: [i64; 14] = [
    0,
    1,
    2,
    -1,
    11,
    12,
    255,
    256,
    4096,
    1_000_000,
    1_000_000_000_000_000_000,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
];

fn symbol(name: &str) -> Cell {
    Cell::from(Symbol::new(name.as_bytes()).expect("a short name"))
}

fn name(u: &mut Unstructured<'_>) -> Result<Cell> {
    Ok(symbol(u.choose(&NAMES)?))
}

fn native(u: &mut Unstructured<'_>) -> Result<Cell> {
    let natives: Vec<_> = Rules::latest().natives().collect();
    Ok(symbol(u.choose(&natives)?.symbol))
}

fn atom(u: &mut Unstructured<'_>) -> Result<Cell> {
    Ok(match u.int_in_range(0..=9)? {
        0..=2 => name(u)?,
        3 | 4 => Cell::Long(*u.choose(&NUMBERS)?),
        5 => Cell::Address(u.int_in_range(0..=17)?),
        6 => symbol(u.choose(&cvm::SPECIALS)?),
        7 => native(u)?,
        _ => make::leaf(u)?,
    })
}

fn list(items: impl IntoIterator<Item = Cell>) -> Cell {
    Cell::from(items.into_iter().collect::<List>())
}

fn forms(u: &mut Unstructured<'_>, depth: u32, most: usize) -> Result<Vec<Cell>> {
    let n = u.int_in_range(0..=most)?;
    (0..n).map(|_| form(u, depth)).collect()
}

/// `(head [name value ...] body ...)`.
fn binding(u: &mut Unstructured<'_>, head: &str, depth: u32) -> Result<Cell> {
    let mut bindings = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        bindings.extend([name(u)?, form(u, depth)?]);
    }
    let bindings = Cell::from(bindings.into_iter().collect::<Vector>());
    let body = forms(u, depth, 3)?;
    Ok(list([symbol(head), bindings].into_iter().chain(body)))
}

/// A form, nested at most `depth` levels.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn form(u: &mut Unstructured<'_>, depth: u32) -> Result<Cell> {
    if depth == 0 || u.is_empty() {
        return atom(u);
    }
    let depth = depth - 1;
    Ok(match u.int_in_range(0..=19)? {
        0 | 1 => atom(u)?,
        2 => binding(u, "let", depth)?,
        3 => binding(u, "loop", depth)?,
        4 => {
            let parameters = (0..u.int_in_range(0..=3)?)
                .map(|_| name(u))
                .collect::<Result<Vector>>()?;
            let body = forms(u, depth, 3)?;
            list(
                [symbol("fn"), Cell::from(parameters)]
                    .into_iter()
                    .chain(body),
            )
        }
        5 => list([symbol("def"), name(u)?, form(u, depth)?]),
        6 => list([symbol("quote"), form(u, depth)?]),
        7 => Cell::from(forms(u, depth, 5)?.into_iter().collect::<Vector>()),
        8 => {
            let keys = forms(u, depth, 4)?;
            let value = form(u, depth)?;
            Cell::Map(keys.into_iter().map(|k| (k, value.clone())).collect())
        }
        9 => Cell::Set(forms(u, depth, 5)?.into_iter().collect()),
        10 => {
            // Whatever is at hand, called.
            let head = form(u, depth)?;
            list([head].into_iter().chain(forms(u, depth, 4)?))
        }
        11 => make::cell(u, 2)?,
        _ => {
            let head = native(u)?;
            list([head].into_iter().chain(forms(u, depth, 4)?))
        }
    })
}
