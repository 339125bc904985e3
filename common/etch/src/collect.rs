//! Copying what is reachable from given roots into another store, and proving what is complete in one store. Children
//! before parents, without recursion.

use std::collections::HashSet;

use crate::error::Error;
use crate::format::{Flags, Key};
use crate::layer::FileLayer;
use crate::reader::Reader;
use crate::source::{Image, Record};
use crate::verify::KEEP;
use crate::writer::Writer;

/// Cells by key, hash verified; `Ok(None)` = proven absent.
pub trait Cells {
    /// The record of `key`.
    fn cell(&self, key: &Key) -> Result<Option<Record>, Error>;
}

impl Cells for Reader {
    fn cell(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.get_record(key)
    }
}

impl<F: FileLayer> Cells for Writer<F> {
    fn cell(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.get(key)
    }
}

impl Cells for Image<'_> {
    fn cell(&self, key: &Key) -> Result<Option<Record>, Error> {
        crate::verify::find(self, key).map_err(Error::fault(
            std::path::Path::new("(memory)"),
            "reading a cell",
        ))
    }
}

/// What a collection did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Cells written or raised in the target.
    pub cells: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Keys that are referred to but absent, damaged or not decodable in the source, the first thousand.
    pub missing: Vec<Key>,
    /// Number of those keys.
    pub missing_count: u64,
}

enum Todo {
    Enter(Key),
    /// All children are done. The encoding is empty where keeping it would take too much memory.
    Leave(Record),
}

/// A copy in progress. Work is done in steps, so that the thread that owns the target can put new cells in between.
///
/// A cell of status ≥ 3 in the target is taken as complete there and not descended into. So the target must be a new store
/// into which everything else is put with status 1 while the collection lasts. Cells whose tree is incomplete get status 1.
pub struct Collector {
    todo: Vec<Todo>,
    held: usize,
    incomplete: HashSet<Key>,
    collected: Collected,
}

/// Encodings kept on the way down, in bytes; the rest is read again on the way up.
const HOLD: usize = 16 << 20;
/// The target's batch is committed beyond this size.
const BATCH: u64 = 8 << 20;

impl Collector {
    /// Starts at `roots`, in this order.
    pub fn new(roots: &[Key]) -> Collector {
        Collector {
            todo: roots.iter().rev().map(|k| Todo::Enter(*k)).collect(),
            held: 0,
            incomplete: HashSet::new(),
            collected: Collected::default(),
        }
    }

    /// Adds a root while the collection runs; it is taken next.
    pub fn add_root(&mut self, root: Key) {
        self.todo.push(Todo::Enter(root));
    }

    /// Nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.todo.is_empty()
    }

    /// What was done so far.
    pub fn collected(&self) -> &Collected {
        &self.collected
    }

    /// The whole tree under `key` was found, as far as the work is done.
    pub fn is_complete(&self, key: &Key) -> bool {
        !self.incomplete.contains(key)
    }

    /// Copies up to about `limit` cells from `source`. `marks` says which flags and memory size (0 = not known) a complete
    /// cell gets. Full batches are committed; the last one is the caller's to commit. Returns whether all is done.
    pub fn step<C, F, E>(
        &mut self,
        source: &C,
        target: &mut Writer<F>,
        branches: impl Fn(&[u8]) -> Result<Vec<Key>, E>,
        mut marks: impl FnMut(&Record) -> (Flags, u64),
        limit: usize,
    ) -> Result<bool, Error>
    where
        C: Cells + ?Sized,
        F: FileLayer,
    {
        self.run(
            |key, _| source.cell(key),
            target,
            |e: &[u8]| branches(e).ok(),
            &mut marks,
            limit,
        )
    }

    /// Proves completeness within one store: cells whose whole tree is there get what `marks` says, others are left alone.
    /// The store must not hold any status ≥ 3 that was not proven.
    pub fn step_in_place<F, E>(
        &mut self,
        store: &mut Writer<F>,
        branches: impl Fn(&[u8]) -> Result<Vec<Key>, E>,
        mut marks: impl FnMut(&Record) -> (Flags, u64),
        limit: usize,
    ) -> Result<bool, Error>
    where
        F: FileLayer,
    {
        self.run(
            |key, store: &Writer<F>| store.get(key),
            store,
            |e: &[u8]| branches(e).ok(),
            &mut marks,
            limit,
        )
    }

    fn run<F: FileLayer>(
        &mut self,
        read: impl Fn(&Key, &Writer<F>) -> Result<Option<Record>, Error>,
        target: &mut Writer<F>,
        branches: impl Fn(&[u8]) -> Option<Vec<Key>>,
        marks: &mut dyn FnMut(&Record) -> (Flags, u64),
        limit: usize,
    ) -> Result<bool, Error> {
        for _ in 0..limit {
            match self.todo.pop() {
                None => return Ok(true),
                Some(Todo::Enter(key)) => {
                    if self.incomplete.contains(&key)
                        || target
                            .flags(&key)?
                            .is_some_and(|f| f.status() >= Flags::PERSISTED)
                    {
                        continue;
                    }
                    let record = match read(&key, target) {
                        Ok(Some(record)) => record,
                        Ok(None) | Err(Error::Corrupt { .. }) => {
                            self.miss(key);
                            continue;
                        }
                        Err(e) => {
                            self.todo.push(Todo::Enter(key));
                            return Err(e);
                        }
                    };
                    let Some(children) = branches(&record.encoding) else {
                        self.miss(key);
                        continue;
                    };
                    let mut parent = record;
                    if self.held + parent.encoding.len() <= HOLD {
                        self.held += parent.encoding.len();
                    } else {
                        parent.encoding = Vec::new();
                    }
                    self.todo.push(Todo::Leave(parent));
                    self.todo
                        .extend(children.into_iter().rev().map(Todo::Enter));
                }
                Some(Todo::Leave(mut record)) => {
                    let key = record.key;
                    self.held -= record.encoding.len();
                    if record.encoding.is_empty() {
                        match read(&key, target) {
                            Ok(Some(again)) => record = again,
                            Ok(None) | Err(Error::Corrupt { .. }) => {
                                self.miss(key);
                                continue;
                            }
                            Err(e) => {
                                self.todo.push(Todo::Leave(record));
                                return Err(e);
                            }
                        }
                    }
                    let complete = self.incomplete.is_empty()
                        || branches(&record.encoding)
                            .is_some_and(|c| c.iter().all(|k| !self.incomplete.contains(k)));
                    let (flags, memory_size) = if complete {
                        marks(&record)
                    } else {
                        self.incomplete.insert(key);
                        (Flags::new(Flags::STORED, record.encoding.len()), 0)
                    };
                    target.put_hashed(key, &record.encoding, flags, memory_size)?;
                    self.collected.cells += 1;
                    self.collected.bytes += record.size();
                    if target.sizes().uncommitted > BATCH {
                        target.commit()?;
                    }
                }
            }
        }
        Ok(self.todo.is_empty())
    }

    fn miss(&mut self, key: Key) {
        if self.incomplete.insert(key) {
            self.collected.missing_count += 1;
            if self.collected.missing.len() < KEEP {
                self.collected.missing.push(key);
            }
        }
    }
}
