//! Casts of arguments, with the errors that natives raise for them.

use cells::{Blob, Cell, Symbol, Vector};

use crate::context::Context;
use crate::exit::{Code, Exit, Outcome};
use crate::value;

impl Context<'_> {
    /// The error that a value which is no argument by itself, or whose position does not matter, can't be used as a
    /// `wanted`.
    pub(crate) fn cast_value(&self, value: &Cell, wanted: &str) -> Exit {
        let text = format!(
            "Can't convert value of type {} to type {wanted}",
            value::type_name(value)
        );
        self.error(Code::Cast, text.as_str())
    }

    /// A copy of `cell` when it is the buffer that an enclosing `reduce` is about to overwrite, else `cell` itself.
    /// For functions whose result is a copy even if nothing changes (`spec/03 §1.6`).
    pub(crate) fn independent(&self, cell: Cell) -> Cell {
        match (&self.view, &cell) {
            (Some(view), Cell::Vector(vector)) if view.is_identical(&cell) => {
                let elements = vector.as_leaf().unwrap_or_default().iter().cloned();
                Vector::from_refs(elements).into()
            }
            _ => cell,
        }
    }

    /// The error that a position lies outside a collection.
    pub(crate) fn out_of_bounds(&self, position: i64) -> Exit {
        self.error(Code::Bounds, format!("Index: {position}").as_str())
    }

    /// Argument `i` as a Long, else `CAST`.
    ///
    /// # Errors
    /// `CAST`.
    pub fn long(&self, args: &[Cell], i: usize) -> Outcome<i64> {
        args.get(i)
            .and_then(value::long)
            .ok_or_else(|| self.cast(args, i, "Long"))
    }

    /// Argument `i` as the number of an address, else `CAST`.
    ///
    /// # Errors
    /// `CAST`.
    pub fn address(&self, args: &[Cell], i: usize) -> Outcome<u64> {
        match args.get(i) {
            Some(Cell::Address(n)) => Ok(*n),
            _ => Err(self.cast(args, i, "Address")),
        }
    }

    /// Argument `i` as a symbol, else `CAST`.
    ///
    /// # Errors
    /// `CAST`.
    pub fn symbol(&self, args: &[Cell], i: usize) -> Outcome<Symbol> {
        match args.get(i) {
            Some(Cell::Symbol(s)) => Ok(s.clone()),
            _ => Err(self.cast(args, i, "Symbol")),
        }
    }

    /// Argument `i` as a blob, else `CAST`.
    ///
    /// # Errors
    /// `CAST`.
    pub fn blob<'b>(&self, args: &'b [Cell], i: usize) -> Outcome<&'b Blob> {
        match args.get(i) {
            Some(Cell::Blob(b)) => Ok(b),
            _ => Err(self.cast(args, i, "Blob")),
        }
    }

    /// Argument `i` as a blob of 32 bytes, else `CAST`.
    ///
    /// # Errors
    /// `CAST`.
    pub fn key(&self, args: &[Cell], i: usize) -> Outcome<[u8; 32]> {
        match args.get(i) {
            Some(Cell::Blob(b)) => b
                .as_key()
                .copied()
                .ok_or_else(|| self.cast(args, i, "AccountKey")),
            _ => Err(self.cast(args, i, "AccountKey")),
        }
    }
}

/// Takes an argument out: what nobody else holds can then be changed in place.
pub(super) fn take(arg: &mut Cell) -> Cell {
    std::mem::replace(arg, Cell::Nil)
}
