//! Reading values from a store, branch by branch.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use cells::{Cell, CellError, Decoder, Hash, Source, decode_stored};

/// Slots of the cache under one lock.
const SHARD: usize = 64;

type Shard = [Option<(Hash, Cell)>; SHARD];

/// A store as the source of lazy values. Shared by all values read through it.
pub struct StoreSource {
    reader: etch::Reader,
    /// Direct-mapped by hash: a cell evicts the one in its place, so nothing grows whatever is read.
    cache: Box<[Mutex<Shard>]>,
    /// What the values read hold on to.
    holds: Weak<dyn Source>,
}

impl StoreSource {
    /// A source over `reader` that keeps up to `cells` decoded cells (rounded up), each of at most 16 KiB encoded.
    #[must_use]
    pub fn new(reader: etch::Reader, cells: usize) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self::build(reader, cells, this.clone()))
    }

    /// As [`StoreSource::new`], for values that hold on to another source than this one: to one that asks whichever store is in force
    /// when the value is looked into.
    #[must_use]
    pub fn held_by(reader: etch::Reader, cells: usize, holds: Weak<dyn Source>) -> Arc<Self> {
        Arc::new(Self::build(reader, cells, holds))
    }

    fn build(reader: etch::Reader, cells: usize, holds: Weak<dyn Source>) -> Self {
        let shards = cells.div_ceil(SHARD).max(1);
        Self {
            reader,
            cache: (0..shards)
                .map(|_| Mutex::new([const { None }; SHARD]))
                .collect(),
            holds,
        }
    }

    /// The reader of the store.
    #[must_use]
    pub fn reader(&self) -> &etch::Reader {
        &self.reader
    }

    /// The value of the root: `nil` when none was ever set.
    ///
    /// # Errors
    /// [`CellError::Missing`] when the record of the root is proven absent, [`CellError::Store`] on any failure.
    pub fn root(&self) -> Result<Cell, CellError> {
        match self.reader.root() {
            Ok(etch::NO_ROOT | etch::NIL_ROOT) => Ok(Cell::Nil),
            Ok(root) => self.load(&Hash(root)),
            Err(error) => Err(failure(Hash::NIL, &error)),
        }
    }

    fn slot(&self, hash: &Hash) -> (&Mutex<Shard>, usize) {
        let [a, b, c, d, e, f, g, h, ..] = hash.0;
        let mix = u64::from_le_bytes([a, b, c, d, e, f, g, h]) as usize;
        (&self.cache[mix / SHARD % self.cache.len()], mix % SHARD)
    }
}

fn failure(hash: Hash, reason: &dyn std::fmt::Display) -> CellError {
    CellError::Store {
        hash,
        reason: reason.to_string().into(),
    }
}

impl Source for StoreSource {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        let (shard, i) = self.slot(hash);
        {
            // A panic elsewhere leaves a slot whole: it is only ever replaced.
            let slots = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, cell)) = slots[i].as_ref().filter(|(h, _)| h == hash) {
                return Ok(cell.clone());
            }
        }
        let encoding = match self.reader.get(&hash.0) {
            Ok(Some(encoding)) => encoding,
            Ok(None) => return Err(CellError::Missing(*hash)),
            Err(error) => return Err(failure(*hash, &error)),
        };
        let source = self.holds.upgrade();
        let decoder = source.map_or_else(Decoder::new, Decoder::with_source);
        let cell =
            decode_stored(*hash, &encoding, &decoder).map_err(|error| failure(*hash, &error))?;
        let evicted = {
            let mut slots = shard.lock().unwrap_or_else(PoisonError::into_inner);
            slots[i].replace((*hash, cell.clone()))
        };
        // Freed outside of the lock: it may own more than itself.
        drop(evicted);
        Ok(cell)
    }
}
