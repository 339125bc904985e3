//! Getting the cells that a message lacks from the peer that sent it (`spec/06 §7.3`).

use std::collections::HashSet;

use cells::{Cell, CellError, Hash};
use wire::{MAX_HASHES, Reply};

use super::event::Target;
use crate::source::Shelf;

/// Bytes that one acquisition may bring.
pub const MAX_BYTES: usize = 128 << 20;
/// Cells that one acquisition may bring: each takes memory beyond its bytes.
const MAX_CELLS: usize = 1 << 20;
/// The same for what one message lacks. A peer that was away for longer gets the rest by a poll.
const MESSAGE_BYTES: usize = 16 << 20;
const MESSAGE_CELLS: usize = 1 << 16;
/// A request for fewer cells follows a single branch.
const FEW: usize = 8;
/// So many such requests in a row are more than trees of orders and blocks have levels.
const STREAK: u32 = 256;

/// What is being acquired.
#[derive(Debug)]
pub struct Acquisition {
    /// Whom is asked.
    pub target: Target,
    root: Root,
    wanted: Vec<Hash>,
    seen: HashSet<Hash>,
    asked: Option<(u64, Vec<Hash>)>,
    bytes: usize,
    cells: usize,
    /// Requests in a row that followed a single branch.
    streak: u32,
}

#[derive(Debug)]
enum Root {
    Message(Cell),
    Hash(Hash),
}

/// Why an acquisition ended without its aim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No answer, an error, or not what was asked for.
    Answer,
    /// More than may be acquired at once.
    TooMuch,
    /// The store fails.
    Store(CellError),
}

impl Acquisition {
    /// Of what `message` lacks.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of_message(message: Cell, target: Target, shelf: &Shelf) -> Result<Self, Failure> {
        let mut new = Self::new(Root::Message(message.clone()), target);
        new.scan(&message, shelf)?;
        Ok(new)
    }

    /// Of the value with this hash.
    #[must_use]
    pub fn of_hash(hash: Hash, target: Target) -> Self {
        let mut new = Self::new(Root::Hash(hash), target);
        new.seen.insert(hash);
        new.wanted.push(hash);
        new
    }

    fn new(root: Root, target: Target) -> Self {
        Self {
            target,
            root,
            wanted: Vec::new(),
            seen: HashSet::new(),
            asked: None,
            bytes: 0,
            cells: 0,
            streak: 0,
        }
    }

    /// True when it has followed a single branch for longer than honest beliefs are deep. It may go on, since a transaction may hold a value
    /// that deep, but nobody has to wait for it.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.streak >= STREAK
    }

    /// Whether a fetched cell is part of it.
    #[must_use]
    pub fn has(&self, hash: &Hash) -> bool {
        self.seen.contains(hash)
    }

    fn is_root(&self, hash: &Hash) -> bool {
        matches!(&self.root, Root::Hash(root) if root == hash)
    }

    fn is_too_much(&self) -> bool {
        let (bytes, cells) = match self.root {
            Root::Message(_) => (MESSAGE_BYTES, MESSAGE_CELLS),
            Root::Hash(_) => (MAX_BYTES, MAX_CELLS),
        };
        self.bytes > bytes || self.cells > cells
    }

    /// Number of the request under way.
    #[must_use]
    pub fn ticket(&self) -> Option<u64> {
        self.asked.as_ref().map(|(ticket, _)| *ticket)
    }

    /// The next request, of number `ticket`; `None` while one is under way, and when nothing is lacking any more.
    pub fn request(&mut self, ticket: u64) -> Option<Vec<Hash>> {
        if self.asked.is_some() || self.wanted.is_empty() {
            return None;
        }
        let from = self.wanted.len().saturating_sub(MAX_HASHES);
        let hashes = self.wanted.split_off(from);
        self.streak = match hashes.len() {
            0..FEW => self.streak.saturating_add(1),
            _ => 0,
        };
        self.asked = Some((ticket, hashes.clone()));
        Some(hashes)
    }

    /// True for what one message lacks.
    #[must_use]
    pub fn is_of_message(&self) -> bool {
        matches!(self.root, Root::Message(_))
    }

    /// True when nothing is lacking.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.asked.is_none() && self.wanted.is_empty()
    }

    /// What was acquired, once it is complete.
    #[must_use]
    pub fn value(&self, shelf: &Shelf) -> Option<Cell> {
        match &self.root {
            Root::Message(cell) => Some(cell.clone()),
            Root::Hash(hash) => shelf.fetched(hash),
        }
    }

    /// Takes in the answer to the request under way.
    ///
    /// # Errors
    /// When it is not what was asked for, or too much.
    pub fn arrived(&mut self, answer: Option<&Reply>, shelf: &Shelf) -> Result<(), Failure> {
        let (_, hashes) = self.asked.take().ok_or(Failure::Answer)?;
        let reply = answer
            .filter(|reply| reply.error.is_nil())
            .ok_or(Failure::Answer)?;
        let Cell::Vector(values) = &reply.value else {
            return Err(Failure::Answer);
        };
        if values.count() != hashes.len() as u64 {
            return Err(Failure::Answer);
        }
        let mut progress = false;
        for (element, hash) in values.iter_refs().zip(&hashes) {
            let element = element.map_err(|_| Failure::Answer)?;
            match element.in_memory() {
                // What is small enough to stand in its parent is nobody's branch; only a belief is asked for by its own hash.
                Some(cell) if cell.is_embedded() && !self.is_root(hash) => {
                    return Err(Failure::Answer);
                }
                Some(cell) if cell.hash() == *hash => {
                    progress = true;
                    self.bytes += cell.encoded_len();
                    self.cells += 1;
                    shelf.keep(*hash, cell.clone());
                    self.scan(cell, shelf)?;
                    if self.is_too_much() {
                        return Err(Failure::TooMuch);
                    }
                }
                // Named but left out, since the answer would have been too long.
                None if element.hash() == *hash => self.wanted.push(*hash),
                _ => return Err(Failure::Answer),
            }
        }
        if progress {
            Ok(())
        } else {
            Err(Failure::Answer)
        }
    }

    fn scan(&mut self, value: &Cell, shelf: &Shelf) -> Result<(), Failure> {
        let lacking = missing(value, shelf, &mut self.seen).map_err(Failure::Store)?;
        self.wanted.extend(lacking);
        Ok(())
    }
}

/// Hashes of branches below `value` that are nowhere: not in memory, not fetched, not stored. What was `seen` is not looked at again.
///
/// # Errors
/// When the store fails.
pub fn missing(
    value: &Cell,
    shelf: &Shelf,
    seen: &mut HashSet<Hash>,
) -> Result<Vec<Hash>, CellError> {
    let mut lacking = Vec::new();
    let mut stack = vec![value.clone()];
    while let Some(cell) = stack.pop() {
        for r in cell.refs() {
            match r.in_memory() {
                Some(child) => {
                    let fresh = child.is_embedded() || seen.insert(child.hash());
                    if fresh && child.refs().next().is_some() {
                        stack.push(child.clone());
                    }
                }
                None => {
                    let hash = r.hash();
                    if !seen.insert(hash) {
                        continue;
                    }
                    match shelf.fetched(&hash) {
                        // An embedded one is the root of an acquisition, and none that is stored as a branch.
                        Some(child) if !child.is_embedded() => stack.push(child),
                        _ if shelf.has_stored(&hash)? => {}
                        _ => lacking.push(hash),
                    }
                }
            }
        }
    }
    Ok(lacking)
}
