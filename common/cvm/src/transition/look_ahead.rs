//! Reading the next transactions of a block side by side.
//!
//! A transaction is a chain of seven or eight small objects, each found through the one before it, and in a block that
//! was decoded a while ago none of them is in the processor's cache. Executed one after the other, every transaction
//! waits for memory once for each of them. Here one step of the way is taken for all transactions of a leaf before the
//! next step, so that the waits of a step overlap. Nothing follows from what is read.

use std::hint::black_box;

use cells::{Cell, Record, Ref, Signed};
use smallvec::SmallVec;

/// One thing for each transaction of a leaf.
type Row<T> = SmallVec<[T; 16]>;

/// Reads what the execution of these transactions is going to read.
pub(super) fn touch(elements: &[Ref]) {
    let signed: Row<&Signed> = elements
        .iter()
        .filter_map(|element| match element.in_memory()? {
            Cell::Signed(signed) => Some(signed),
            _ => None,
        })
        .collect();
    let records: Row<&Record> = signed
        .iter()
        .filter_map(|signed| match signed.value_ref().in_memory()? {
            Cell::Record(record) => Some(record),
            _ => None,
        })
        .collect();
    let fields: Row<&[Ref]> = records
        .iter()
        .filter_map(|record| record.fields().as_leaf())
        .collect();
    let commands: Row<&Cell> = fields
        .iter()
        .filter_map(|fields| fields.get(2)?.in_memory())
        .collect();
    let known = signed
        .iter()
        .filter(|signed| signed.key().is_some())
        .count();
    let bytes: usize = commands.iter().map(|command| command.encoded_len()).sum();
    black_box((known, bytes));
}
