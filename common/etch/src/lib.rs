//! The Etch store: a map from cell hash to cell encoding in one append-only file, version 1 of the format that the
//! reference uses (spec/07), with what that format lacks around it: a redo log that makes commits durable, a control page
//! by which readers in other processes know what they see, verification, collection and repair.
//!
//! - [`Writer`] puts cells and commits them; one per store.
//! - [`Reader`] reads while the writer writes, from any thread or process.
//! - [`verify()`], [`Collector`] and [`rebuild()`] check, copy and repair.
//!
//! The bytes on disk and the argument for crash safety are in `docs/store.md`. Nothing here decodes a cell: where the
//! children of one are needed the caller passes a function that lists them.
//!
//! ```
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("peer.etch");
//! let mut writer = etch::Writer::open(&path, etch::Options::default())?;
//! let encoding = [0x11, 0x2a];
//! let (key, _) = writer.put(&encoding, etch::Flags::new(etch::Flags::PERSISTED, encoding.len()), 0)?;
//! writer.set_root(key)?;
//! let durable = writer.commit()?;
//! assert_eq!((durable.sequence, durable.root), (1, key));
//! writer.close()?;
//! let (reader, _) = etch::Reader::inspect(&path)?;
//! assert_eq!(reader.get(&key)?.as_deref(), Some(&encoding[..]));
//! assert_eq!(reader.get(&[9; 32])?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]

mod collect;
mod control;
mod deferred;
mod draft;
mod error;
mod format;
mod index;
mod insert;
mod layer;
mod log;
mod reader;
mod rebuild;
mod recovery;
mod source;
mod staged;
#[allow(unsafe_code)]
mod sys;
mod verify;
mod writer;

pub use collect::{Cells, Collected, Collector};
pub use control::{ControlPage, ControlView, Published, State};
pub use error::Error;
pub use format::{
    EMPTY_LENGTH, Flags, HEADER_BYTES, Header, INDEX_AT, Key, MAGIC, MAX_EMBEDDED, MAX_ENCODING,
    NIL_ROOT, NO_ROOT, RECORD_HEAD, VERSION,
};
pub use index::{Finding, IndexStats};
pub use insert::Put;
pub use layer::{FileLayer, RealFile};
pub use reader::{Inspection, Reader, header};
pub use rebuild::{Rebuilt, ScanLimit, Scanned, rebuild, scan};
pub use recovery::{Recovery, check_magic};
pub use source::{Fault, Image, Record, Source};
pub use verify::{Reach, Report, find, reach, records, verify};
pub use writer::{Durable, MAX_BATCH, Options, Sizes, Writer, log_path};
