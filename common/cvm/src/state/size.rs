//! Memory size of the accounts vector without walking it (`spec/01 §14`, `spec/04 §4.5`).
//!
//! The size of a vector is the sum over its elements plus, for every node that is not embedded, the length of
//! the node's encoding plus 64. An account takes at least 11 bytes in its parent, so a full leaf of 16 is never
//! embedded: its own ref is always 33 bytes. Hence
//!
//! - a full leaf contributes 2 + (bytes that its accounts take in it) + 64;
//! - the nodes above full leaves depend on the number of accounts only;
//! - the last, partial leaf has to be looked at, together with its ref to the packed tree.
//!
//! Between two states the sums over untouched accounts cancel, so a transaction is charged after looking at the
//! accounts that it changed.

use cells::{Cell, CellError, tag};

/// Bytes of a ref to a branch.
const BRANCH: u64 = 33;
/// Longest embedded encoding.
const EMBEDDED: u64 = cells::MAX_EMBEDDED as u64;
/// Memory charged for a stored cell on top of its encoding.
const OVERHEAD: u64 = 64;
/// Elements of a leaf and children of a tree node.
const WIDTH: u64 = 16;

/// Bytes that an integer takes in its parent.
pub(super) fn long_ref(n: i64) -> u64 {
    match n {
        0 => 1,
        n => 2 + u64::from((64 - (if n < 0 { !n } else { n }).leading_zeros()) / 8),
    }
}

/// Bytes that a cell of this encoding length takes in its parent.
pub(super) fn ref_len(encoded: u64) -> u64 {
    if encoded <= EMBEDDED { encoded } else { BRANCH }
}

/// What a cell of this encoding length contributes to the memory size, apart from its children.
pub(super) fn own_memory(encoded: u64) -> u64 {
    if encoded <= EMBEDDED {
        0
    } else {
        encoded + OVERHEAD
    }
}

/// Encoding length of a cell that has no branch below it; `None` when it may have one.
fn branchless_len(cell: &Cell) -> Option<u64> {
    // A ref to a branch begins with this byte: where it occurs nowhere, there is none.
    cell.with_encoding(|bytes| (!bytes.contains(&tag::BRANCH)).then_some(bytes.len() as u64))
}

/// Memory size of a cell (`spec/01 §14`).
pub(super) fn memory_size(cell: &Cell) -> Result<i64, CellError> {
    Ok(i64::try_from(cell.memory_size()?).unwrap_or(i64::MAX))
}

/// Storage size of a cell: what the bytes of a transaction are charged by (`spec/04 §4.5`).
pub(crate) fn storage_size(cell: &Cell) -> Result<i64, CellError> {
    let storage = match branchless_len(cell) {
        Some(len) if len <= EMBEDDED => len,
        Some(len) => len + OVERHEAD,
        None => cell.storage_size()?,
    };
    Ok(i64::try_from(storage).unwrap_or(i64::MAX))
}

/// Bytes of a full leaf of accounts that take `payload` bytes in it.
pub(super) fn full_leaf(payload: u64) -> u64 {
    own_memory(2 + payload)
}

/// First account that is not in a full leaf.
pub(super) fn tail_start(count: u64) -> u64 {
    count - count % WIDTH
}

/// Encoding length and memory size of the nodes of an accounts vector, leaving out full leaves and accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes that the root takes in the state.
    pub(super) ref_len: u64,
    /// Memory of all nodes that are no full leaves.
    pub(super) memory: u64,
}

/// Of a vector of `count` accounts, the last `count % 16` of which take `tail` bytes in their leaf.
pub(super) fn shape(count: u64, tail: u64) -> Shape {
    let packed = tail_start(count);
    if packed == count {
        return packed_shape(count);
    }
    let prefix = packed_shape(packed);
    let prefix_ref = if packed == 0 { 0 } else { prefix.ref_len };
    let encoded = 1 + count_len(count) + tail + prefix_ref;
    Shape {
        ref_len: ref_len(encoded),
        memory: prefix.memory + own_memory(encoded),
    }
}

/// Of a vector of full leaves only.
fn packed_shape(count: u64) -> Shape {
    match count {
        0 => Shape {
            ref_len: 2,
            memory: 0,
        },
        WIDTH => Shape {
            ref_len: BRANCH,
            memory: 0,
        },
        _ => {
            let mut child = WIDTH;
            while child < 1 << 60 && child * WIDTH < count {
                child *= WIDTH;
            }
            let (whole, rest) = (count / child, count % child);
            let each = packed_shape(child);
            let mut encoded = 1 + count_len(count) + whole * each.ref_len;
            let mut memory = whole * each.memory;
            if rest > 0 {
                let last = packed_shape(rest);
                encoded += last.ref_len;
                memory += last.memory;
            }
            Shape {
                ref_len: ref_len(encoded),
                memory: memory + own_memory(encoded),
            }
        }
    }
}

/// Bytes of an element count.
fn count_len(count: u64) -> u64 {
    u64::from((64 - count.max(1).leading_zeros()).div_ceil(7))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Blob, Vector};

    /// A stand-in for an account: an embedded value of `bytes` bytes.
    fn element(bytes: u64) -> Cell {
        let header = if bytes < 130 { 2 } else { 3 };
        Cell::from(Blob::new(&vec![7; bytes as usize - header]))
    }

    #[test]
    fn node_sizes_equal_a_walk_over_the_real_vector() {
        let counts = (0..70).chain([
            255, 256, 257, 272, 288, 512, 1024, 4095, 4096, 4097, 4112, 4368, 5000, 65552,
        ]);
        for count in counts {
            for bytes in [11, 40, 140] {
                let vector = Cell::from(Vector::from_iter((0..count).map(|_| element(bytes))));
                let tail = bytes * (count % WIDTH);
                let shape = shape(count, tail);
                let leaves = count / WIDTH * full_leaf(bytes * WIDTH);
                assert_eq!(
                    shape.memory + leaves,
                    vector.memory_size().unwrap(),
                    "{count} of {bytes} bytes"
                );
                assert_eq!(
                    shape.ref_len,
                    ref_len(vector.encoded_len() as u64),
                    "{count} of {bytes} bytes"
                );
            }
        }
    }

    #[test]
    fn integer_lengths_are_those_of_the_encoding() {
        for shift in 0..64 {
            for n in [
                (1i64 << shift).wrapping_sub(1),
                1i64 << shift,
                !(1i64 << shift),
                (1i64 << shift).wrapping_neg(),
            ] {
                assert_eq!(long_ref(n), Cell::Long(n).encoded_len() as u64, "{n}");
            }
        }
    }

    #[test]
    fn count_lengths_are_those_of_the_encoding() {
        for n in [0, 1, 127, 128, 16_383, 16_384, 1 << 35, u64::MAX] {
            assert_eq!(count_len(n), cells::vlq::len(n) as u64, "{n}");
        }
    }

    #[test]
    fn sizes_without_a_walk_equal_those_with_one() {
        let blob = |n: usize, byte: u8| Cell::from(Blob::new(&vec![byte; n]));
        let nest = |parts: &[Cell]| Cell::from(Vector::from_iter(parts.iter().cloned()));
        let small = blob(60, 0x20);
        let large = blob(200, 7);
        for cell in [
            Cell::Nil,
            Cell::Long(0x20),
            blob(5000, 0),
            nest(std::slice::from_ref(&small)),
            nest(std::slice::from_ref(&large)),
            nest(&[
                nest(&[large.clone(), large.clone()]),
                small.clone(),
                small.clone(),
                small,
            ]),
            large,
        ] {
            assert_eq!(
                storage_size(&cell).unwrap(),
                cell.storage_size().unwrap() as i64,
                "{cell}"
            );
        }
    }
}
