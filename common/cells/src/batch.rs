//! Hashing a new value as a whole: level by level from below, the cells of one level together, where the processor
//! hashes several messages at once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::node::{self, Node};
use crate::refs::Slot;
use crate::{Cell, Hash};

/// Nodes below which hashing one by one is as fast.
const WORTHWHILE: usize = 4;
/// Cells that are gathered before they are hashed: enough to fill the levels, few enough to stay in the processor's
/// cache and to need no fresh memory.
const TOGETHER: usize = 4096;

impl Cell {
    /// Computes and keeps the encodings of all new cells of this value and the hashes of those that are branches,
    /// and the hash of the value itself: the same as [`Cell::hash`], faster for values with many new cells.
    #[must_use]
    pub fn hash_all(&self) -> Hash {
        let mut levels = Levels::default();
        levels.add(self);
        if levels.count >= WORTHWHILE {
            levels.hash();
        }
        self.hash()
    }
}

/// Encodes the cells of one level, whose children are encoded and hashed, and hashes those that are branches.
fn hash_level(cells: &[Cell]) {
    let mut open = Vec::with_capacity(cells.len());
    for cell in cells {
        match cell.node() {
            Some(node) => {
                let meta = node::seal(node);
                if !meta.is_embedded() && meta.known_hash().is_none() {
                    open.push((cell, meta.encoding()));
                }
            }
            None => open.extend(cell.flat_encoding().map(|encoding| (cell, encoding))),
        }
    }
    let encodings: Vec<&[u8]> = open.iter().map(|(_, encoding)| *encoding).collect();
    for ((cell, _), hash) in open.iter().zip(Hash::of_many(&encodings)) {
        cell.set_known_hash(hash);
    }
}

/// New cells of a value by their height above the cells that are done. The children of each are done or in a level
/// below it.
#[derive(Default)]
struct Levels {
    cells: Vec<Vec<Cell>>,
    /// Cells in all levels.
    count: usize,
    /// Height of each node in a level, by address: parts that occur twice are looked into once.
    heights: HashMap<usize, usize, BuildHasherDefault<AddressHasher>>,
}

struct Frame {
    cell: Cell,
    next: usize,
    height: usize,
}

impl Levels {
    fn put(&mut self, height: usize, cell: Cell) {
        if self.cells.len() <= height {
            self.cells.resize_with(height + 1, Vec::new);
        }
        self.cells[height].push(cell);
        self.count += 1;
    }

    /// Hashes the gathered cells: they are done then.
    fn hash(&mut self) {
        for level in &mut self.cells {
            hash_level(level);
            level.clear();
        }
        self.heights.clear();
        self.count = 0;
    }

    /// Gathers the new cells below `root`, and hashes them whenever there are many: what is left in the end is not.
    ///
    /// Post-order over an explicit stack: values may be deep.
    fn add(&mut self, root: &Cell) {
        if !is_new(root) {
            return;
        }
        let mut stack = vec![Frame {
            cell: root.clone(),
            next: 0,
            height: 0,
        }];
        while let Some(frame) = stack.last_mut() {
            let child = frame.cell.nth_ref(frame.next);
            let Some(child) = child else {
                let Some(done) = stack.pop() else { break };
                if let Some(node) = done.cell.node() {
                    self.heights.insert(address(node), done.height);
                }
                if let Some(parent) = stack.last_mut() {
                    parent.height = parent.height.max(done.height + 1);
                }
                self.put(done.height, done.cell);
                if self.count >= TOGETHER {
                    self.hash();
                    // What the open cells have below them is done.
                    stack.iter_mut().for_each(|frame| frame.height = 0);
                }
                continue;
            };
            frame.next += 1;
            let Slot::Direct(cell) = &child.0 else {
                continue;
            };
            if !is_new(cell) {
                continue;
            }
            match cell.node() {
                None => {
                    frame.height = frame.height.max(1);
                    let cell = cell.clone();
                    self.put(0, cell);
                }
                Some(node) => match self.heights.get(&address(node)) {
                    Some(height) => frame.height = frame.height.max(height + 1),
                    None => {
                        let cell = cell.clone();
                        stack.push(Frame {
                            cell,
                            next: 0,
                            height: 0,
                        });
                    }
                },
            }
        }
    }
}

/// True for a cell that has something left to compute: a node without its encoding, a node or flat string that is a
/// branch without its hash.
fn is_new(cell: &Cell) -> bool {
    match cell.node() {
        Some(node) => match node.cache().get() {
            None => true,
            Some(meta) => !meta.is_embedded() && meta.known_hash().is_none(),
        },
        None => !cell.is_embedded() && cell.flat_encoding().is_some() && !cell.flat_hash_known(),
    }
}

fn address(node: &dyn Node) -> usize {
    std::ptr::from_ref(node).cast::<()>() as usize
}

/// Addresses are spread well enough by one multiplication.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0 ^ n)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Blob, Map, Vector};

    #[test]
    fn hashing_all_at_once_gives_the_hashes_of_hashing_one_by_one() {
        let build = || {
            let map: Map = (0..200i64)
                .map(|i| (Cell::Long(i), Cell::from(Blob::new(&[i as u8; 150]))))
                .collect();
            let vector: Vector = (0..300i64).map(Cell::from).collect();
            let shared = Cell::from(Vector::from_iter([
                map.clone().into(),
                vector.into(),
                Cell::from("x"),
            ]));
            Cell::from(Vector::from_iter([
                shared.clone(),
                shared,
                map.into(),
                Cell::from(Blob::new(&[1; 10_000])),
            ]))
        };
        let (a, b) = (build(), build());
        assert_eq!(a.hash_all(), b.hash());
        assert_eq!(
            crate::encode_message(&a).unwrap(),
            crate::encode_message(&b).unwrap()
        );
        assert_eq!(a.hash_all(), b.hash());
        for small in [
            Cell::Nil,
            Cell::Long(1),
            Cell::from("a"),
            Cell::from(Blob::new(&[1; 200])),
            Cell::from(Vector::empty()),
        ] {
            assert_eq!(small.hash_all(), small.hash());
        }
    }

    #[test]
    fn parts_shared_many_times_are_met_once() {
        let mut v = Cell::from(Blob::new(&[7; 200]));
        for _ in 0..200 {
            v = Cell::from(Vector::from_iter([
                v.clone(),
                v.clone(),
                v.clone(),
                v.clone(),
                v,
            ]));
        }
        let _ = v.hash_all();
    }

    #[test]
    fn deep_values_are_hashed_without_overflowing_the_stack() {
        let build = || {
            (0..100_000).fold(Cell::from(Blob::new(&[7; 200])), |v, i| {
                Cell::from(Vector::from_iter([
                    v,
                    Cell::from(Blob::new(&[i as u8; 120])),
                ]))
            })
        };
        assert_eq!(build().hash_all(), build().hash());
    }
}
