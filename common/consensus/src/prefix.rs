//! Vectors of blocks compared and walked by their trees.
//!
//! An order carries every block since the beginning, so nothing here may cost as much as its length. Subtrees are compared by
//! hash: a common prefix costs a path. Nodes that a hostile vector refers to again and again are walked once, so a walk costs what
//! was really sent, whatever count is claimed (`spec/01 §7`).

use std::collections::HashSet;

use cells::{Cell, CellError, Hash, Keyed, Ref, Vector};

/// A set of hashes that others have chosen.
pub(crate) type Hashes = HashSet<Hash, Keyed>;

/// Elements of a leaf and children of a node.
const WIDTH: u64 = 16;
const MALFORMED: CellError = CellError::Malformed("child of a vector of blocks has a wrong count");

/// True when both are the same node in memory: sufficient for equality.
pub(crate) fn same_node(a: &Vector, b: &Vector) -> bool {
    Cell::from(a.clone()).is_identical(&Cell::from(b.clone()))
}

/// Elements below each child but the last of a packed tree; 1 for a leaf.
fn child_size(count: u64) -> u64 {
    let mut size = 1u64;
    while size <= u64::MAX >> 8 && size * WIDTH < count {
        size *= WIDTH;
    }
    size
}

fn child(r: &Ref, count: u64) -> Result<Vector, CellError> {
    match &*r.load()? {
        Cell::Vector(v) if v.count() == count => Ok(v.clone()),
        _ => Err(MALFORMED),
    }
}

/// The part of a vector that is a tree of full leaves, `None` when it has none.
fn packed(v: &Vector) -> Result<Option<Vector>, CellError> {
    let count = v.count();
    let tail = count % WIDTH;
    if count < WIDTH {
        return Ok(None);
    }
    if tail == 0 {
        return Ok(Some(v.clone()));
    }
    let cell = Cell::from(v.clone());
    let prefix = cell.refs().next().ok_or(MALFORMED)?;
    child(prefix, count - tail).map(Some)
}

/// Leading elements that two packed trees share.
fn packed_prefix(a: &Vector, b: &Vector) -> Result<u64, CellError> {
    let (size_a, size_b) = (child_size(a.count()), child_size(b.count()));
    if same_node(a, b) {
        return Ok(a.count());
    }
    let (cell_a, cell_b) = (Cell::from(a.clone()), Cell::from(b.clone()));
    // The lower tree can only be like the start of the first child of the higher one.
    if size_a > size_b {
        let first = child(cell_a.refs().next().ok_or(MALFORMED)?, size_a)?;
        return packed_prefix(&first, b);
    }
    if size_b > size_a {
        let first = child(cell_b.refs().next().ok_or(MALFORMED)?, size_b)?;
        return packed_prefix(a, &first);
    }
    let mut common = 0;
    for (x, y) in cell_a.refs().zip(cell_b.refs()) {
        let count_a = size_a.min(a.count().saturating_sub(common));
        let count_b = size_a.min(b.count().saturating_sub(common));
        if x == y {
            if count_a != count_b {
                return Err(MALFORMED);
            }
            common += count_a;
        } else if size_a == 1 {
            return Ok(common);
        } else {
            return Ok(common + packed_prefix(&child(x, count_a)?, &child(y, count_b)?)?);
        }
    }
    Ok(common)
}

/// Number of leading elements that are equal (`spec/05 §2.5`).
///
/// # Errors
/// When a node on the way can't be read or is malformed.
pub fn common_prefix(a: &Vector, b: &Vector) -> Result<u64, CellError> {
    if same_node(a, b) {
        return Ok(a.count());
    }
    let whole = |v: &Vector| v.count() - v.count() % WIDTH;
    let shared = whole(a).min(whole(b));
    if shared > 0
        && let (Some(x), Some(y)) = (packed(a)?, packed(b)?)
    {
        let common = packed_prefix(&x, &y)?;
        if common < shared {
            return Ok(common);
        }
    }
    if a.count().min(b.count()) == shared {
        return Ok(shared);
    }
    // What is left of the shorter vector is shorter than a leaf.
    let (rest_a, rest_b) = (leaf_at(a, shared)?, leaf_at(b, shared)?);
    let equal = elements(&rest_a).zip(elements(&rest_b));
    Ok(shared + equal.take_while(|(x, y)| x == y).count() as u64)
}

/// The leaf that begins with element `at`, a multiple of 16 that is not beyond the packed part; nil at the very end.
fn leaf_at(v: &Vector, at: u64) -> Result<Cell, CellError> {
    let tail = v.count() % WIDTH;
    if at >= v.count() - tail {
        return Ok(if tail > 0 {
            Cell::from(v.clone())
        } else {
            Cell::Nil
        });
    }
    let mut node = packed(v)?.ok_or(MALFORMED)?;
    let mut at = at;
    while node.count() > WIDTH {
        let size = child_size(node.count());
        let below = size.min(node.count() - at / size * size);
        let cell = Cell::from(node);
        let r = cell.refs().nth((at / size) as usize).ok_or(MALFORMED)?;
        node = child(r, below)?;
        at %= size;
    }
    Ok(Cell::from(node))
}

/// The elements of a leaf, or of the tail of a longer vector.
fn elements(leaf: &Cell) -> impl Iterator<Item = &Ref> {
    let skipped = match leaf {
        Cell::Vector(v) => usize::from(v.count() > WIDTH),
        _ => 0,
    };
    leaf.refs().skip(skipped)
}

/// Calls `visit` with the elements from number `from` on, in order, except those below a node that was seen before.
/// True when there was such a node.
///
/// # Errors
/// When a node can't be read or is malformed, or `visit` fails.
pub(crate) fn walk<E: From<CellError>>(
    v: &Vector,
    from: u64,
    seen: &mut Hashes,
    visit: &mut dyn FnMut(&Ref) -> Result<(), E>,
) -> Result<bool, E> {
    if from >= v.count() {
        return Ok(false);
    }
    let whole = v.count() - v.count() % WIDTH;
    let mut repeated = false;
    if from < whole
        && let Some(tree) = packed(v)?
    {
        repeated = walk_tree(&tree, 0, from, seen, visit)?;
    }
    for element in v.iter_refs_from(from.max(whole)) {
        visit(&element?)?;
    }
    Ok(repeated)
}

fn walk_tree<E: From<CellError>>(
    tree: &Vector,
    start: u64,
    from: u64,
    seen: &mut Hashes,
    visit: &mut dyn FnMut(&Ref) -> Result<(), E>,
) -> Result<bool, E> {
    let cell = Cell::from(tree.clone());
    let size = child_size(tree.count());
    let mut repeated = false;
    let mut at = start;
    for r in cell.refs() {
        let count = size.min((start + tree.count()).saturating_sub(at));
        if at + count > from {
            if size == 1 {
                visit(r)?;
            } else if at >= from && seen.contains(&r.hash()) {
                repeated = true;
            } else {
                repeated |= walk_tree(&child(r, count)?, at, from, seen, visit)?;
                // Only now: a node that could not be walked is none that needs no second look.
                if at >= from {
                    seen.insert(r.hash());
                }
            }
        }
        at += count;
    }
    Ok(repeated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(range: std::ops::Range<u64>) -> Vector {
        range.map(|i| Cell::Long(i as i64)).collect()
    }

    /// Like `numbers`, read back from bytes, so that nothing is shared in memory.
    fn reread(v: &Vector) -> Vector {
        let bytes = cells::encode_message(&Cell::from(v.clone())).unwrap();
        match cells::decode_message(&bytes, &cells::Decoder::new()).unwrap() {
            Cell::Vector(v) => v,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_common_prefix_is_that_of_the_elements() {
        let lengths = [
            0u64, 1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 272, 300, 4096, 4097, 4200,
        ];
        for a in lengths {
            for b in lengths {
                let (x, y) = (numbers(0..a), reread(&numbers(0..b)));
                assert_eq!(common_prefix(&x, &y).unwrap(), a.min(b), "{a} {b}");
                for at in [0, 1, 15, 16, 200, 256, 4095] {
                    if at < b {
                        let y = y.clone().assoc(at, Cell::Nil).unwrap().unwrap();
                        let expected = a.min(b).min(at);
                        assert_eq!(common_prefix(&x, &y).unwrap(), expected, "{a} {b} {at}");
                        assert_eq!(common_prefix(&y, &x).unwrap(), expected, "{b} {a} {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_walk_meets_every_element_from_its_start_on() {
        for count in [0u64, 1, 16, 17, 40, 256, 300, 4096, 4500] {
            let v = numbers(0..count);
            for from in [0, 1, 15, 16, 17, 255, 257, 4096, 5000] {
                let mut met = Vec::new();
                let repeated = walk(&v, from, &mut Hashes::default(), &mut |r: &Ref| {
                    met.push(r.get()?);
                    Ok::<(), CellError>(())
                });
                assert_eq!(repeated, Ok(false));
                let expected: Vec<Cell> = (from..count).map(|i| Cell::Long(i as i64)).collect();
                assert_eq!(met, expected, "{count} from {from}");
            }
        }
    }

    /// 2^40 elements of a few nodes.
    #[test]
    fn a_vector_of_endlessly_repeated_nodes_is_walked_once() {
        let mut node = Cell::from(
            (0..16)
                .map(|_| Cell::from(cells::Blob::new(&[7; 100])))
                .collect::<Vector>(),
        );
        let mut bytes = Vec::new();
        let mut count = 16u64;
        for _ in 0..9 {
            count *= 16;
            let mut encoding = vec![0x80];
            cells::vlq::write(&mut encoding, count);
            for _ in 0..16 {
                encoding.push(0x20);
                encoding.extend_from_slice(&node.hash().0);
            }
            let below = node.encode();
            let mut tail = Vec::new();
            cells::vlq::write(&mut tail, below.len() as u64);
            tail.extend_from_slice(&below);
            tail.extend_from_slice(&bytes);
            bytes = tail;
            let whole = [encoding.as_slice(), &bytes].concat();
            node = cells::decode_message(&whole, &cells::Decoder::new()).unwrap();
        }
        let Cell::Vector(v) = node else {
            panic!("no vector")
        };
        assert_eq!(v.count(), 1 << 40);
        let mut met = 0;
        let repeated = walk(&v, 3, &mut Hashes::default(), &mut |_: &Ref| {
            met += 1;
            Ok::<(), CellError>(())
        });
        assert_eq!(repeated, Ok(true));
        assert!(met < 400, "{met}");
        assert_eq!(common_prefix(&v, &numbers(0..100)), Ok(0));
        assert_eq!(common_prefix(&v, &v.clone()), Ok(1 << 40));
    }
}
