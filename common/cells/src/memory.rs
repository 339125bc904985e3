//! Memory size: what storing a value costs (`spec/01 §14`).

use std::collections::HashMap;

use crate::node::{self, Node};
use crate::{Cell, CellError, Hash, MAX_EMBEDDED};

/// Bytes added for each cell that is stored on its own.
const OVERHEAD: u64 = 64;
/// Sizes saturate here.
const MAX: u64 = i64::MAX as u64;

fn add(a: u64, b: u64) -> u64 {
    a.saturating_add(b).min(MAX)
}

fn own_cost(encoded_len: usize) -> u64 {
    if encoded_len <= MAX_EMBEDDED {
        0
    } else {
        encoded_len as u64 + OVERHEAD
    }
}

/// Memory size when it needs no walk: of values without children, and where it is known already.
fn shallow(cell: &Cell) -> Option<u64> {
    match cell.node() {
        Some(node) => node.cache().memory(),
        None => Some(own_cost(cell.encoded_len())),
    }
}

/// A node whose children are being summed up.
struct Frame {
    cell: Cell,
    /// Its hash, when it was read from behind a branch.
    branch: Option<Hash>,
    next: usize,
    sum: u64,
}

impl Cell {
    /// Memory size of the value: its own cost and that of everything below, each occurrence counted.
    ///
    /// # Errors
    /// When a branch below can't be read.
    pub fn memory_size(&self) -> Result<u64, CellError> {
        if let Some(size) = shallow(self) {
            return Ok(size);
        }
        if let Some(size) = self.node().and_then(|node| nearby(node, 0)) {
            return Ok(size);
        }
        // A source may hand out a new copy, without its size, each time it is asked for the same branch; values that share
        // their children would then be walked once for each way to them.
        let mut sizes: HashMap<Hash, u64> = HashMap::new();
        let mut stack = vec![Frame {
            cell: self.clone(),
            branch: None,
            next: 0,
            sum: 0,
        }];
        loop {
            let Some(frame) = stack.last_mut() else {
                return Ok(0);
            };
            let Some(node) = frame.cell.node() else {
                return Ok(0);
            };
            let mut below = None;
            while let Some(r) = node.ref_at(frame.next) {
                frame.next += 1;
                let branch = r.lazy_hash();
                if let Some(size) = branch.and_then(|hash| sizes.get(&hash)) {
                    frame.sum = add(frame.sum, *size);
                    continue;
                }
                let child = r.load()?;
                match shallow(&child) {
                    Some(size) => frame.sum = add(frame.sum, size),
                    None => {
                        below = Some((child.into_cell(), branch));
                        break;
                    }
                }
            }
            if let Some((cell, branch)) = below {
                stack.push(Frame {
                    cell,
                    branch,
                    next: 0,
                    sum: 0,
                });
                continue;
            }
            let total = finish(node, frame.sum);
            if let Some(hash) = frame.branch {
                sizes.insert(hash, total);
            }
            stack.pop();
            match stack.last_mut() {
                Some(parent) => parent.sum = add(parent.sum, total),
                None => return Ok(total),
            }
        }
    }

    /// What per-byte charges count: the memory size, and for embedded values their encoding too.
    ///
    /// # Errors
    /// As [`Cell::memory_size`].
    pub fn storage_size(&self) -> Result<u64, CellError> {
        if self.is_nil() {
            return Ok(1);
        }
        let memory = self.memory_size()?;
        Ok(if self.is_embedded() {
            add(memory, self.encoded_len() as u64)
        } else {
            memory
        })
    }
}

fn finish(node: &dyn Node, children: u64) -> u64 {
    let total = add(children, own_cost(node::encoded_len(node)));
    node.cache().set_memory(total);
    total
}

/// [`Cell::memory_size`] of what a type of its own holds; `cell` makes the cell where the walk needs it.
pub(crate) fn of_node(node: &dyn Node, cell: impl FnOnce() -> Cell) -> Result<u64, CellError> {
    match nearby(node, 0) {
        Some(size) => Ok(size),
        None => cell().memory_size(),
    }
}

/// Levels followed by plain recursion.
const RECURSION: u32 = 32;

/// Memory size of a node that is in memory with all that is below it, not too deep; `None` otherwise.
fn nearby(node: &dyn Node, depth: u32) -> Option<u64> {
    if let Some(size) = node.cache().memory() {
        return Some(size);
    }
    if depth >= RECURSION {
        return None;
    }
    let (mut i, mut sum) = (0, 0);
    while let Some(r) = node.ref_at(i) {
        i += 1;
        let child = r.in_memory()?;
        let size = match child.node() {
            Some(below) => nearby(below, depth + 1)?,
            None => own_cost(child.encoded_len()),
        };
        sum = add(sum, size);
    }
    Some(finish(node, sum))
}

#[cfg(test)]
mod tests {
    use crate::{Blob, Coded, Decoder, Index, List, Map, Record, Set, Symbol, Syntax, Vector};
    use crate::{Cell, decode_message, encode_message};

    fn samples() -> Vec<Cell> {
        let mut samples = vec![
            Cell::Nil,
            Cell::Long(-300),
            Cell::Char(0x1_0000),
            Cell::Special(24),
            Cell::Core(300),
            Cell::from(Symbol::literal("name")),
            Cell::from(Blob::new(&[7; 60])),
            Cell::from(Blob::new(&[0x20; 200])),
            Cell::from(Blob::new(&[1; 70_000])),
        ];
        for round in 0..2 {
            let parts = samples.clone();
            let pairs = || parts.iter().cloned().zip(parts.iter().rev().cloned());
            let long: Vector = (0..300).map(Cell::Long).chain(parts.clone()).collect();
            samples.extend([
                Cell::from(parts.iter().cloned().collect::<Vector>()),
                Cell::from(List::from_reversed(parts.iter().cloned().collect())),
                Cell::from(pairs().collect::<Map>()),
                Cell::from(parts.iter().cloned().collect::<Set>()),
                Cell::from(long.clone()),
                Cell::from(List::from_reversed(long.clone())),
                Cell::from(Record::new(0xdb, long).unwrap()),
                Cell::from(
                    (0..40)
                        .map(|i| (Cell::Long(i), parts[i as usize % 9].clone()))
                        .collect::<Map>(),
                ),
                Cell::from(Coded::new(0xcd, parts[5].clone(), parts[7 + round].clone())),
                Cell::from(Syntax::new(parts[6].clone(), pairs().collect())),
                Cell::from(Syntax::new(parts[6].clone(), Map::empty())),
            ]);
            let index = parts
                .iter()
                .enumerate()
                .fold(Index::empty(), |index, (i, part)| {
                    index
                        .assoc(Cell::Address(i as u64 * 77), part.clone())
                        .unwrap()
                        .unwrap()
                });
            samples.push(Cell::from(index));
        }
        samples
    }

    /// Sizes are asked for before there is an encoding, and must be those that it has.
    #[test]
    fn sizes_of_a_new_value_are_those_of_its_bytes() {
        let count = samples().len();
        for i in 0..count {
            let fresh = || samples().swap_remove(i);
            let cell = fresh();
            let (len, embedded, memory) = (
                cell.encoded_len(),
                cell.is_embedded(),
                cell.memory_size().unwrap(),
            );
            assert_eq!(len, fresh().encode().len(), "{cell}");
            assert_eq!(embedded, len <= crate::MAX_EMBEDDED, "{cell}");
            let message = encode_message(&fresh()).unwrap();
            let decoded = decode_message(&message, &Decoder::new()).unwrap();
            assert_eq!(memory, decoded.memory_size().unwrap(), "{cell}");
            assert_eq!(cell.encode(), decoded.encode(), "{cell}");
        }
    }

    /// A value that is changed in place forgets the sizes that it had.
    #[test]
    fn sizes_follow_a_change_in_place() {
        let mut map = Map::empty();
        let mut vector = Vector::empty();
        for i in 0..60i64 {
            let part = Cell::from(Blob::new(&vec![1; 3 * i as usize]));
            map = map.assoc(Cell::Long(i % 40), part.clone()).unwrap();
            vector = vector.push(part).unwrap();
            for cell in [Cell::from(map.clone()), Cell::from(vector.clone())] {
                let sizes = (cell.encoded_len(), cell.memory_size().unwrap());
                let copy =
                    decode_message(&encode_message(&cell).unwrap(), &Decoder::new()).unwrap();
                assert_eq!(sizes, (copy.encode().len(), copy.memory_size().unwrap()));
            }
        }
    }
}
