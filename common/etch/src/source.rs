//! Where the bytes of a store come from: a slice, a map that somebody else writes, the writer's file with its open batch.

use std::io;

use crate::format::{Flags, Key, RECORD_HEAD, RecordHead};

/// Why bytes could not be had or made no sense. Without the file name, which the caller adds.
#[derive(Debug)]
pub enum Fault {
    /// The format's rules are broken at this position.
    Corrupt {
        /// Position in the file.
        at: u64,
        /// Rule that is broken.
        why: &'static str,
    },
    /// The system could not read.
    Io(io::Error),
    /// The source kept changing while it was read, so what looked wrong may not be.
    Moving,
}

impl Fault {
    pub(crate) fn corrupt(at: u64, why: &'static str) -> Fault {
        Fault::Corrupt { at, why }
    }
}

/// Random access to the bytes of a store.
///
/// Bytes that never change after they are written (keys, lengths, encodings) are read by [`read`](Source::read); those
/// that may change in place (slots, flags, memory sizes) have their own methods, so that an open batch can overlay them.
pub trait Source {
    /// Bytes that may be read: 0 to this.
    fn length(&self) -> u64;

    /// Fills `buf` from `at`; a range that does not lie below [`length`](Source::length) is corrupt, not a panic.
    fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Fault>;

    /// The raw index slot at `at`.
    fn slot(&self, at: u64) -> Result<u64, Fault> {
        let mut b = [0; 8];
        self.read(at, &mut b)?;
        Ok(u64::from_be_bytes(b))
    }

    /// The first 43 bytes of the record at `at`.
    fn head(&self, at: u64) -> Result<[u8; RECORD_HEAD as usize], Fault> {
        let mut b = [0; RECORD_HEAD as usize];
        self.read(at, &mut b)?;
        Ok(b)
    }

    /// A number that changes whenever the content changes in place; `None` while a change is under way.
    /// What was read between two equal answers was read from one state.
    fn stamp(&self) -> Option<u64> {
        Some(0)
    }
}

/// `at..at + len` lies below `length`.
pub(crate) fn in_range(at: u64, len: usize, length: u64) -> bool {
    at.checked_add(len as u64).is_some_and(|end| end <= length)
}

impl<S: Source + ?Sized> Source for &S {
    fn length(&self) -> u64 {
        (**self).length()
    }
    fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Fault> {
        (**self).read(at, buf)
    }
    fn slot(&self, at: u64) -> Result<u64, Fault> {
        (**self).slot(at)
    }
    fn head(&self, at: u64) -> Result<[u8; RECORD_HEAD as usize], Fault> {
        (**self).head(at)
    }
    fn stamp(&self) -> Option<u64> {
        (**self).stamp()
    }
}

/// A store held in memory, for instance bytes from a fuzzer.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a>(pub &'a [u8]);

impl Source for Image<'_> {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Fault> {
        if !in_range(at, buf.len(), self.length()) {
            return Err(Fault::corrupt(at, "pointer beyond the end of the data"));
        }
        let at = at as usize;
        buf.copy_from_slice(&self.0[at..at + buf.len()]);
        Ok(())
    }
}

/// A record as read, hash not yet compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position of the record in the file.
    pub at: u64,
    /// Key it is stored under.
    pub key: Key,
    /// Flags byte as found: a hint at best.
    pub flags: Flags,
    /// Memory size as found, 0 = not recorded: a hint at best.
    pub memory_size: u64,
    /// Encoding of the cell.
    pub encoding: Vec<u8>,
}

impl Record {
    /// Bytes of the record in the file.
    pub fn size(&self) -> u64 {
        RECORD_HEAD + self.encoding.len() as u64
    }

    /// The key is the SHA3-256 of the encoding.
    pub fn is_sound(&self) -> bool {
        crypto::sha3_256(&self.encoding) == self.key
    }
}

/// Reads the record at `at` without comparing its hash.
pub(crate) fn record<S: Source + ?Sized>(source: &S, at: u64) -> Result<Record, Fault> {
    let head = RecordHead::decode(&source.head(at)?);
    if head.length == 0 || usize::from(head.length) > crate::format::MAX_ENCODING {
        return Err(Fault::corrupt(
            at,
            "record with an impossible encoding length",
        ));
    }
    let mut encoding = vec![0; usize::from(head.length)];
    source.read(at + RECORD_HEAD, &mut encoding)?;
    Ok(Record {
        at,
        key: head.key,
        flags: head.flags,
        memory_size: head.memory_size,
        encoding,
    })
}
