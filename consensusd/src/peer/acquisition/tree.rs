//! What is lacking of one value, and what is there of it but can't be stored yet.
//!
//! A cell goes to the store when all below it is there, so that whatever the store has is whole, and nothing of it is ever fetched
//! again. Until then it is held here. Lacking cells are asked for from the last one found on: that goes down before it goes sideways,
//! and what is held is about the way from the top to where the work is, however large the value.

use std::collections::{HashMap, HashSet};

use cells::{Cell, CellError, Hash};

use super::super::event::Connection;
use crate::source::Shelf;

/// Bytes of cells that are held. A value that came as one message has less (`spec/06 §2`); an endless chain ends here.
pub const MAX_HELD: usize = 64 << 20;
/// Cells that are held or lacking.
pub const MAX_NODES: usize = 1 << 19;
/// Beyond these, little is asked for at once, so that the work goes down rather than sideways.
const MUCH_HELD: usize = 8 << 20;
const MANY_LACKING: usize = 1 << 16;

/// Why a cell was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// More is held than any real value needs.
    TooMuch,
    /// A branch is small enough to stand in its parent.
    Malformed,
    /// The store fails.
    Store(CellError),
}

/// The lacking part of one value.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: HashMap<Hash, Node>,
    /// Those that nobody was asked for, the most urgent last.
    wanted: Vec<Hash>,
    /// Of them, those that somebody said not to have.
    scarce: Vec<Hash>,
    /// The value itself, when only its hash was known: it may be small all the same.
    top: Option<Hash>,
    held: usize,
    /// Part of the value that is there, from 0 to 1, by guess: each cell counts as much as its siblings.
    done: f64,
}

#[derive(Debug)]
struct Node {
    /// Who waits for it.
    parents: Vec<Hash>,
    /// It, once it is there.
    cell: Option<Cell>,
    /// Children that are not whole.
    missing: usize,
    weight: f64,
    /// Who said not to have it.
    without: Vec<Connection>,
}

impl Tree {
    /// Of the value with this hash.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of_hash(hash: Hash, shelf: &Shelf) -> Result<Self, Failure> {
        let mut tree = Self {
            top: Some(hash),
            ..Self::default()
        };
        tree.want_all([hash].into(), None, 1.0, shelf)?;
        Ok(tree)
    }

    /// Of what `value` lacks, which is in memory in part.
    ///
    /// # Errors
    /// When the store fails, or too much is lacking.
    pub fn of_value(value: &Cell, shelf: &Shelf) -> Result<Self, Failure> {
        let mut tree = Self::default();
        let lacking = missing(value, shelf, &mut HashSet::new()).map_err(Failure::Store)?;
        let share = 1.0 / lacking.len().max(1) as f64;
        tree.want_all(lacking.into_iter().collect(), None, share, shelf)?;
        Ok(tree)
    }

    /// True when nothing is lacking.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Part of the value that is there, from 0 to 1, by guess.
    #[must_use]
    pub fn done(&self) -> f64 {
        self.done.clamp(0.0, 1.0)
    }

    /// Bytes of cells that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// True when little should be asked for at once.
    #[must_use]
    pub fn is_broad(&self) -> bool {
        self.held > MUCH_HELD || self.nodes.len() > MANY_LACKING
    }

    /// Takes out up to `most` lacking cells to ask `source` for. Those that are being asked for already are left to their answers.
    pub fn take(
        &mut self,
        source: Connection,
        most: usize,
        asked: impl Fn(&Hash) -> bool,
    ) -> Vec<Hash> {
        let mut taken = Vec::new();
        let mut left = Vec::new();
        while taken.len() < most
            && let Some(hash) = self.scarce.pop()
        {
            match self.nodes.get(&hash) {
                Some(node) if node.cell.is_none() && !asked(&hash) => {
                    if node.without.contains(&source) {
                        left.push(hash);
                    } else if !taken.contains(&hash) {
                        taken.push(hash);
                    }
                }
                _ => {}
            }
        }
        self.scarce.append(&mut left);
        while taken.len() < most
            && let Some(hash) = self.wanted.pop()
        {
            let lacking = self.nodes.get(&hash).is_some_and(|n| n.cell.is_none());
            if lacking && !asked(&hash) {
                taken.push(hash);
            }
        }
        taken
    }

    /// Number of cells that nobody is asked for, at most.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.wanted.len()
    }

    /// True when there are some that not everybody has.
    #[must_use]
    pub fn has_scarce(&self) -> bool {
        !self.scarce.is_empty()
    }

    /// Nobody is being asked for this cell any more, and it did not come; `without` has said not to have it. False when it does not
    /// belong here.
    pub fn lacks(&mut self, hash: &Hash, without: Option<Connection>) -> bool {
        let Some(node) = self.nodes.get_mut(hash).filter(|n| n.cell.is_none()) else {
            return false;
        };
        if let Some(source) = without
            && !node.without.contains(&source)
        {
            node.without.push(source);
        }
        if node.without.is_empty() {
            self.wanted.push(*hash);
        } else {
            self.scarce.push(*hash);
        }
        true
    }

    /// A cell that none of these has.
    #[must_use]
    pub fn unobtainable(&self, sources: &[Connection]) -> Option<Hash> {
        let nobody = |hash: &&Hash| {
            self.nodes
                .get(*hash)
                .is_some_and(|node| sources.iter().all(|s| node.without.contains(s)))
        };
        self.scarce.iter().find(nobody).copied()
    }

    /// Takes in a cell whose hash is right; those that are whole by it are added to `whole`, children first, and put on the shelf.
    /// False when it does not belong here.
    ///
    /// # Errors
    /// When the store fails, too much is held, or the cell is none that has a hash of its own: then this is of no more use.
    pub fn offer(
        &mut self,
        hash: Hash,
        cell: &Cell,
        shelf: &Shelf,
        whole: &mut Vec<Cell>,
    ) -> Result<bool, Failure> {
        let Some(node) = self.nodes.get_mut(&hash).filter(|n| n.cell.is_none()) else {
            return Ok(false);
        };
        if cell.is_embedded() && self.top != Some(hash) {
            return Err(Failure::Malformed);
        }
        let weight = node.weight;
        node.cell = Some(cell.clone());
        let children = branches(cell);
        let share = weight / (children.len() + 1) as f64;
        self.done += share;
        let missing = self.want_all(children, Some(hash), share, shelf)?;
        if missing == 0 {
            self.complete(hash, shelf, whole);
            return Ok(true);
        }
        if let Some(node) = self.nodes.get_mut(&hash) {
            node.missing = missing;
        }
        self.held += cell.encoded_len();
        if self.held > MAX_HELD || self.nodes.len() > MAX_NODES {
            return Err(Failure::TooMuch);
        }
        Ok(true)
    }

    /// Notes that `parent` waits for those of `hashes` that are not whole; answers how many they are.
    fn want_all(
        &mut self,
        hashes: HashSet<Hash>,
        parent: Option<Hash>,
        weight: f64,
        shelf: &Shelf,
    ) -> Result<usize, Failure> {
        let mut missing = 0;
        for hash in hashes {
            if let Some(node) = self.nodes.get_mut(&hash) {
                node.parents.extend(parent);
                match node.cell {
                    None => node.weight += weight,
                    Some(_) => self.done += weight,
                }
                missing += 1;
                continue;
            }
            if shelf.has(&hash).map_err(Failure::Store)? {
                self.done += weight;
                continue;
            }
            if self.nodes.len() >= MAX_NODES {
                return Err(Failure::TooMuch);
            }
            let node = Node {
                parents: parent.into_iter().collect(),
                cell: None,
                missing: 0,
                weight,
                without: Vec::new(),
            };
            self.nodes.insert(hash, node);
            self.wanted.push(hash);
            missing += 1;
        }
        Ok(missing)
    }

    /// All below this cell is whole: so is it, and perhaps those that waited for it.
    fn complete(&mut self, hash: Hash, shelf: &Shelf, whole: &mut Vec<Cell>) {
        let mut stack = vec![hash];
        while let Some(hash) = stack.pop() {
            let Some(node) = self.nodes.remove(&hash) else {
                continue;
            };
            let Some(cell) = node.cell else {
                continue;
            };
            if shelf.keep(hash, cell.clone()) {
                whole.push(cell);
            }
            for parent in node.parents {
                if let Some(waiting) = self.nodes.get_mut(&parent) {
                    waiting.missing -= 1;
                    if waiting.missing == 0 {
                        self.held -= waiting.cell.as_ref().map_or(0, Cell::encoded_len);
                        stack.push(parent);
                    }
                }
            }
        }
    }
}

/// The branches of a cell, those of its embedded parts included.
fn branches(cell: &Cell) -> HashSet<Hash> {
    let mut found = HashSet::new();
    let mut stack = vec![cell.clone()];
    while let Some(cell) = stack.pop() {
        for r in cell.refs() {
            if r.is_branch() {
                found.insert(r.hash());
            } else if let Some(child) = r.in_memory()
                && child.ref_count() > 0
            {
                stack.push(child.clone());
            }
        }
    }
    found
}

/// True when a branch came along with the cell.
pub(super) fn has_branch_in_memory(cell: &Cell) -> bool {
    let mut stack = vec![cell.clone()];
    while let Some(cell) = stack.pop() {
        for r in cell.refs() {
            match r.in_memory() {
                Some(_) if r.is_branch() => return true,
                Some(child) if child.ref_count() > 0 => stack.push(child.clone()),
                _ => {}
            }
        }
    }
    false
}

/// Hashes of branches below `value` that are nowhere: not in memory, not on the shelf, not in the store. What was `seen` is not looked
/// at again.
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
                    if fresh && child.ref_count() > 0 {
                        stack.push(child.clone());
                    }
                }
                None => {
                    let hash = r.hash();
                    if seen.insert(hash) && !shelf.has(&hash)? {
                        lacking.push(hash);
                    }
                }
            }
        }
    }
    Ok(lacking)
}
