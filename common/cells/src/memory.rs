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
        Some(node) => node::seal(node).memory(),
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
    let meta = node::seal(node);
    let total = add(children, own_cost(meta.encoding().len()));
    meta.set_memory(total);
    total
}
