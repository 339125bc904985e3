//! The open batch: what was put but not committed, laid over the store file.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::deferred::Table;
use crate::format::{Flags, Key, RECORD_HEAD};
use crate::insert::Space;
use crate::layer::{FileLayer, read_exact};
use crate::log::{KEPT, Patch};
use crate::source::{Fault, Source, in_range};

/// Hashes positions by one multiplication with a number that nobody outside knows: they follow from keys, and keys come from
/// strangers.
#[derive(Clone, Debug)]
pub(crate) struct Multiplier(u64);

impl Default for Multiplier {
    fn default() -> Multiplier {
        Multiplier(RandomState::new().hash_one(0u8) | 1)
    }
}

impl BuildHasher for Multiplier {
    type Hasher = Product;
    fn build_hasher(&self) -> Product {
        Product(self.0)
    }
}

/// See [`Multiplier`].
pub(crate) struct Product(u64);

impl Hasher for Product {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }
    fn write_u64(&mut self, n: u64) {
        let wide = u128::from(n) * u128::from(self.0);
        self.0 = wide as u64 ^ (wide >> 64) as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Changes of the open batch.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// What goes after the committed length.
    pub(crate) appended: Vec<u8>,
    /// How many of these were sent ahead to the log and the store file. What changes there afterwards is a patch too.
    pub(crate) sent: usize,
    /// How many of these the store file has.
    pub(crate) in_file: usize,
    /// What changes below the committed length, or in what was sent ahead, by position. Ranges never overlap: slots, flags
    /// and memory sizes have fixed places.
    pub(crate) patches: HashMap<u64, Patch, Multiplier>,
    pub(crate) root: Option<Key>,
}

impl Staged {
    pub(crate) fn is_empty(&self) -> bool {
        self.appended.is_empty() && self.patches.is_empty() && self.root.is_none()
    }

    /// Bytes that a commit would write to the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.appended.len() as u64 + self.patches.len() as u64 * 17
    }

    /// The changes, those below the committed length first, and how many these are.
    pub(crate) fn patches(&self, length: u64) -> (Vec<Patch>, usize) {
        let mut patches: Vec<Patch> = self.patches.values().copied().collect();
        let late: Vec<Patch> = patches.extract_if(.., |p| p.at >= length).collect();
        let below = patches.len();
        patches.extend(late);
        (patches, below)
    }

    /// An empty batch in the memory of a committed one.
    pub(crate) fn reuse(mut self) -> Staged {
        self.appended.clear();
        self.appended.shrink_to(KEPT);
        self.patches.clear();
        self.patches.shrink_to(KEPT / 64);
        self.sent = 0;
        self.in_file = 0;
        self.root = None;
        self
    }
}

/// The store as it will be when the open batch is committed.
pub(crate) struct View<'a, F: FileLayer, B> {
    pub(crate) main: &'a F,
    /// Committed length: what lies below is in the file, what lies above in the batch.
    pub(crate) length: u64,
    /// Committed changes that the file does not have yet.
    pub(crate) table: &'a Table,
    pub(crate) staged: B,
}

impl<F: FileLayer, B: std::ops::Deref<Target = Staged>> View<'_, F, B> {
    fn overlay(&self, at: u64, buf: &mut [u8]) {
        if let Some(p) = self.staged.patches.get(&at) {
            buf[..usize::from(p.len)].copy_from_slice(p.bytes());
        }
    }
}

impl<F: FileLayer, B: std::ops::Deref<Target = Staged>> Source for View<'_, F, B> {
    fn length(&self) -> u64 {
        self.length + self.staged.appended.len() as u64
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Fault> {
        if at >= self.length {
            if !in_range(at, buf.len(), self.length()) {
                return Err(Fault::corrupt(at, "pointer beyond the end of the data"));
            }
            let at = (at - self.length) as usize;
            buf.copy_from_slice(&self.staged.appended[at..at + buf.len()]);
            return Ok(());
        }
        if !in_range(at, buf.len(), self.length) {
            return Err(Fault::corrupt(at, "range crosses the end of the data"));
        }
        read_exact(self.main, at, buf).map_err(Fault::Io)
    }

    fn slot(&self, at: u64) -> Result<u64, Fault> {
        if at < self.length {
            if let Some(p) = self.staged.patches.get(&at) {
                return Ok(u64::from_be_bytes(p.bytes));
            }
            if let Some(raw) = self.table.slot(at) {
                return Ok(raw);
            }
        }
        let mut b = [0; 8];
        self.read(at, &mut b)?;
        Ok(u64::from_be_bytes(b))
    }

    fn head(&self, at: u64) -> Result<[u8; RECORD_HEAD as usize], Fault> {
        let mut b = [0; RECORD_HEAD as usize];
        self.read(at, &mut b)?;
        if at < self.length {
            self.table.overlay_marks(at, &mut b);
            self.overlay(at + 32, &mut b[32..33]);
            self.overlay(at + 33, &mut b[33..41]);
        }
        Ok(b)
    }
}

impl<F: FileLayer> View<'_, F, &mut Staged> {
    fn change(&mut self, at: u64, bytes: &[u8]) {
        if at >= self.length {
            let i = (at - self.length) as usize;
            self.staged.appended[i..i + bytes.len()].copy_from_slice(bytes);
        }
        if at < self.length + self.staged.sent as u64 {
            let mut patch = Patch {
                at,
                len: bytes.len() as u8,
                bytes: [0; 8],
            };
            patch.bytes[..bytes.len()].copy_from_slice(bytes);
            self.staged.patches.insert(at, patch);
        }
    }
}

impl<F: FileLayer> Space for View<'_, F, &mut Staged> {
    fn append(&mut self, parts: &[&[u8]]) -> u64 {
        let at = self.length();
        for part in parts {
            self.staged.appended.extend_from_slice(part);
        }
        at
    }

    fn set_slot(&mut self, at: u64, raw: u64) {
        self.change(at, &raw.to_be_bytes());
    }

    fn set_marks(&mut self, at: u64, flags: Flags, memory_size: Option<u64>) {
        self.change(at + 32, &[flags.0]);
        if let Some(size) = memory_size {
            self.change(at + 33, &size.to_be_bytes());
        }
    }
}
