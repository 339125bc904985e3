//! Cells in an Etch store: values whose branches are read when they are needed, and batches of new ones.
//!
//! [`StoreSource`] makes a store the [`Source`] of lazy values, with a cache of bounded size, so that a state much
//! larger than memory can be worked on. [`put`] adds what is new of a value to the open batch of a writer.
//!
//! ```
//! use cells::{Cell, Vector};
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("peer.etch");
//! let mut writer = etch::Writer::open(&path, etch::Options::default())?;
//! let value = Cell::from(Vector::from_iter((0..1000i64).map(Cell::from)));
//! cellstore::put_root(&mut writer, &value, |_| false)?;
//! writer.commit()?;
//! writer.close()?;
//!
//! let source = cellstore::StoreSource::new(etch::Reader::inspect(&path)?.0, 1024);
//! let root = source.root()?;
//! assert_eq!(root.hash(), value.hash());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod put;
mod source;

pub use put::{PutError, Stored, branches, put, put_root};
pub use source::StoreSource;
