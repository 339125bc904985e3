//! Cells: the immutable values of the network, their canonical bytes (CAD3), hashes, memory sizes and text.
//!
//! A [`Cell`] is one value of any type; cloning one copies at most a pointer. Collections are persistent trees
//! whose shape is a function of their content (`spec/01 §6`–`§10`), so equal values have equal bytes. A child
//! position ([`Ref`]) holds its value in memory or reads it from a [`Source`] when it is needed; therefore
//! looking into a value can fail, with a [`CellError`].
//!
//! Encoding, hash and memory size are computed once per node and kept. Nothing here recurses deeper than a
//! fixed bound, whatever the depth of the value: decoding, hashing, freeing, printing and comparing all survive
//! chains of any length.
//!
//! ```
//! use cells::{Cell, Vector};
//!
//! let v = Cell::from(Vector::from_iter([1i64, 2, 3].map(Cell::from)));
//! assert_eq!(v.encode(), [0x80, 3, 0x11, 1, 0x11, 2, 0x11, 3]);
//! assert_eq!(v.to_string(), "[1 2 3]");
//! assert_eq!(cells::decode_message(&v.encode(), &cells::Decoder::new()).unwrap(), v);
//! ```
#![forbid(unsafe_code)]

mod batch;
mod big;
mod blob;
mod cell;
mod coded;
mod core_names;
mod decode;
mod deep;
mod double;
mod error;
mod hash;
mod index;
mod keyed;
mod leaves;
mod list;
mod map;
mod memory;
mod message;
mod name;
mod node;
mod novelty;
pub mod print;
mod record;
mod refs;
mod set;
mod set_algebra;
mod signed;
mod syntax;
pub mod tag;
pub mod text;
mod trie;
mod uses;
mod validate;
mod vector;
mod views;
pub mod vlq;

pub use big::BigInt;
pub use blob::{Blob, Str};
pub use cell::Cell;
pub use coded::{Coded, Op};
pub use core_names::{CORE_NAMES, core_code, core_name};
pub use decode::{Decoder, decode_cell, decode_stored};
pub use double::format_double;
pub use error::{CellError, DecodeError};
pub use hash::{Hash, ParseHashError};
pub use index::Index;
pub use keyed::Keyed;
pub use leaves::Leaf;
pub use list::List;
pub use map::Map;
pub use message::{
    branch_hashes, branches, decode_cells, decode_message, decode_partial, encode_cells,
    encode_delta, encode_message,
};
pub use name::{Keyword, Symbol};
pub use novelty::novelty;
pub use record::{Record, RecordKind};
pub use refs::{Loaded, Ref, Source};
pub use set::Set;
pub use set_algebra::SetOp;
pub use signed::{Signed, Verdict};
pub use syntax::Syntax;
pub use uses::UsesOfRun;
pub use validate::{Invalid, validate};
pub use vector::Vector;

/// Longest encoding of a value that is inlined in its parent (`spec/01 §1.1`).
pub const MAX_EMBEDDED: usize = 140;
/// Longest flat blob or string, and the size of a chunk of a larger one.
pub const CHUNK: usize = 4096;
/// Longest self-contained message.
pub const MAX_MESSAGE: usize = 50_000_000;
/// Longest encoding of one cell, as the store's records allow.
pub const MAX_ENCODING: usize = 16_383;
