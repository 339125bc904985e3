//! Orders that are to be signed, and the proof that one only appends to another.
//!
//! A vector of any length is determined by its right edge and what is left of it by hash: pushing an element needs nothing else
//! (`spec/01 §7`). So the signer keeps the right edge of the blocks that it signed last. A request of the same time carries
//! the nodes above the appended blocks; the signer reads the appended elements there, pushes them to its own edge, and compares
//! the hash of what it built with the hash of what it is asked to sign.

use cells::{Cell, CellError, Decoder, RecordKind, Ref, Vector, decode_partial, vlq};

use crate::{MAX_APPENDED, Refusal};

/// Elements of a leaf and children of a node (`spec/01 §7`).
const WIDTH: u64 = 16;

/// An order of the right shape whose blocks came with their right edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    value: Cell,
    timestamp: i64,
    points: [u64; 4],
    blocks: Vector,
    edge: Edge,
}

/// The right edge of a vector of blocks; everything left of it is known by hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge(Vector);

impl OrderRequest {
    /// Takes the bytes of a request apart.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let (value, _) = decode_partial(bytes, &Decoder::new())?;
        let Cell::Record(record) = &value else {
            return Err(Refusal::OrderFields);
        };
        if record.kind() != Some(RecordKind::Order) {
            return Err(Refusal::OrderFields);
        }
        let field = |i| record.field(i).map_err(|e| unreadable(&e));
        let Some(Cell::Long(timestamp)) = field(0)? else {
            return Err(Refusal::OrderFields);
        };
        let Some(Cell::Vector(points)) = field(1)? else {
            return Err(Refusal::OrderFields);
        };
        let points = four_points(&points).ok_or(Refusal::OrderPoints)?;
        let Some(Cell::Vector(blocks)) = field(2)? else {
            return Err(Refusal::OrderFields);
        };
        let falling = points.windows(2).all(|pair| pair[0] >= pair[1]);
        if !falling || points[0] != blocks.count() {
            return Err(Refusal::OrderPoints);
        }
        let edge = Edge::of(&blocks)?;
        Ok(Self {
            value,
            timestamp,
            points,
            blocks,
            edge,
        })
    }

    /// The order.
    #[must_use]
    pub fn value(&self) -> &Cell {
        &self.value
    }

    /// Its time in milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Its points: blocks, proposal, consensus, finality.
    #[must_use]
    pub fn points(&self) -> &[u64; 4] {
        &self.points
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Whether the blocks are those of `last` and at least one more.
    ///
    /// # Errors
    /// When a node above an appended block is missing or malformed, or too many are appended.
    pub(crate) fn appends_to(&self, last: &Edge) -> Result<bool, Refusal> {
        let from = last.0.count();
        let Some(appended) = self.blocks.count().checked_sub(from).filter(|&n| n > 0) else {
            return Ok(false);
        };
        // Before any is visited: nodes that share their children can stand for any number of elements.
        if appended > MAX_APPENDED {
            return Err(Refusal::TooManyAppended);
        }
        let mut grown = last.0.clone();
        let mut elements = self.blocks.iter_refs_from(from);
        loop {
            // At most a leaf at a time: joining more would look left of the edge.
            let some: Result<Vec<Ref>, CellError> =
                elements.by_ref().take(WIDTH as usize).collect();
            let some = some.map_err(|e| unreadable(&e))?;
            if some.is_empty() {
                break;
            }
            grown = grown
                .concat(&Vector::from_refs(some))
                .map_err(|e| unreadable(&e))?;
        }
        Ok(Cell::from(grown).hash() == Cell::from(self.blocks.clone()).hash())
    }
}

/// The points when they are four that are not negative. They are embedded, so that no part of them is out of sight.
fn four_points(points: &Vector) -> Option<[u64; 4]> {
    let mut four = [0; 4];
    let refs = points.as_leaf().filter(|refs| refs.len() == four.len())?;
    for (point, r) in four.iter_mut().zip(refs) {
        let Some(Cell::Long(n)) = r.in_memory() else {
            return None;
        };
        *point = u64::try_from(*n).ok()?;
    }
    Some(four)
}

impl Edge {
    /// The right edge of `blocks`, which has to be in memory down to the last leaf, without anything else that is.
    fn of(blocks: &Vector) -> Result<Self, Refusal> {
        let mut message = Cell::from(blocks.clone()).encode();
        let mut node = blocks.clone();
        loop {
            require_blocks(&node)?;
            let Some((child, count)) = last_child(&node) else {
                break;
            };
            let child = child.load().map_err(|e| unreadable(&e))?.into_cell();
            match &child {
                Cell::Vector(v) if v.count() == count => node = v.clone(),
                _ => return Err(Refusal::OrderBlocks),
            }
            if !child.is_embedded() {
                child.with_encoding(|encoding| {
                    vlq::write(&mut message, encoding.len() as u64);
                    message.extend_from_slice(encoding);
                });
            }
        }
        match decode_partial(&message, &Decoder::new()) {
            Ok((Cell::Vector(edge), _)) => Ok(Self(edge)),
            _ => Err(Refusal::OrderBlocks),
        }
    }
}

/// The child on the right edge and how many elements it must have: the packed tree before a tail, or the last child of a
/// tree. `None` in a leaf without either.
pub(crate) fn last_child(node: &Vector) -> Option<(Ref, u64)> {
    let count = node.count();
    if count <= WIDTH {
        return None;
    }
    let cell = Cell::from(node.clone());
    let tail = count % WIDTH;
    if tail > 0 {
        return cell
            .refs()
            .next()
            .map(|prefix| (prefix.clone(), count - tail));
    }
    // All children but the last hold a full power of 16; the last holds the rest.
    let children = cell.refs().count() as u64;
    let mut size = WIDTH;
    while size.checked_mul(children).is_some_and(|held| held < count) {
        size = size.checked_mul(WIDTH)?;
    }
    let last = cell.refs().last()?.clone();
    Some((last, count - size * (children - 1)))
}

/// Elements in sight are signed data; a signed block of more than 140 bytes is a branch and may be out of sight.
fn require_blocks(node: &Vector) -> Result<(), Refusal> {
    let count = node.count();
    let elements = match count % WIDTH {
        0 if count > WIDTH => return Ok(()),
        0 => count,
        tail => tail,
    };
    let cell = Cell::from(node.clone());
    let skip = usize::from(count > WIDTH);
    let fits = |r: &Ref| match r.in_memory() {
        Some(cell) => matches!(cell, Cell::Signed(_)),
        None => true,
    };
    let all = cell.refs().skip(skip).take(elements as usize).all(fits);
    if all {
        Ok(())
    } else {
        Err(Refusal::OrderBlocks)
    }
}

fn unreadable(error: &CellError) -> Refusal {
    match error {
        CellError::Missing(_) => Refusal::Incomplete,
        CellError::Store { .. } | CellError::Malformed(_) | CellError::Misaligned => {
            Refusal::OrderBlocks
        }
    }
}
