//! Orders: what a peer thinks the chain is, and how far it knows others to agree (`spec/05 §2.2`, `§2.5`).

use cells::{Cell, CellError, Record, RecordKind, Ref, Signed, Vector};
use smallvec::SmallVec;

use crate::LEVELS;
use crate::prefix::{common_prefix, same_node};

/// Most consensus points that are looked at; the format demands no number.
const MAX_POINTS: usize = 16;

/// The chain of one peer with its points. Nothing is known about the elements of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Milliseconds since the epoch; changes when a merge changes the order, not when blocks are appended.
    pub timestamp: i64,
    /// Numbers of blocks: all, proposed, in consensus, final. Four in a well-formed order.
    pub points: SmallVec<[i64; LEVELS]>,
    /// Signed blocks, oldest first.
    pub blocks: Vector,
}

/// Why an order is not what the rules demand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderFault {
    /// The value is no order record with an integer, a vector of integers and a vector.
    #[error("not an order")]
    NotAnOrder,
    /// Fewer points than a merge reads, or more than 16.
    #[error("an order with {0} consensus points")]
    Points(u64),
    /// A negative point.
    #[error("an order with the negative point {0}")]
    Negative(i64),
    /// The first point differs from the number of blocks, or a point exceeds the one before.
    #[error("an order whose points do not fall from its number of blocks")]
    Rising,
    /// Parts of the chain that occur more than once: no honest peer proposes a run of 16 blocks twice.
    #[error("an order that repeats parts of its chain")]
    Repeated,
    /// An element of the chain that is no signed block with a vector of transactions: no peer, of the reference or ours, survives its
    /// execution (`spec/04 §5.5`), so that no state depends on taking it in.
    #[error("an order with an element that is no signed block")]
    NotABlock,
    /// A part can't be read or has a wrong shape.
    #[error("an order that can't be read: {0}")]
    Data(#[from] CellError),
}

impl Order {
    /// The order of a peer that knows nothing: time 0, no blocks.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            timestamp: 0,
            points: SmallVec::from_elem(0, LEVELS),
            blocks: Vector::empty(),
        }
    }

    /// From its record, as a merge takes it: at least three points, none negative.
    ///
    /// # Errors
    /// When the cell is no such order, or a field can't be read.
    pub fn from_cell(cell: &Cell) -> Result<Self, OrderFault> {
        let Cell::Record(record) = cell else {
            return Err(OrderFault::NotAnOrder);
        };
        let Some(fields) = record.fields().as_leaf() else {
            return Err(OrderFault::NotAnOrder);
        };
        let (Some(RecordKind::Order), [timestamp, points, blocks]) = (record.kind(), fields) else {
            return Err(OrderFault::NotAnOrder);
        };
        match (&*timestamp.load()?, &*points.load()?, &*blocks.load()?) {
            (Cell::Long(timestamp), Cell::Vector(points), Cell::Vector(blocks)) => Ok(Self {
                timestamp: *timestamp,
                points: read_points(points)?,
                blocks: blocks.clone(),
            }),
            _ => Err(OrderFault::NotAnOrder),
        }
    }

    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let points: Vector = self.points.iter().map(|n| Cell::Long(*n)).collect();
        Cell::from(Record::of_kind(
            RecordKind::Order,
            [
                Cell::Long(self.timestamp),
                Cell::from(points),
                Cell::from(self.blocks.clone()),
            ],
        ))
    }

    /// The rules for a well-formed order: four points c0 ≥ c1 ≥ c2 ≥ c3 ≥ 0 with c0 the number of blocks. The reference does not apply
    /// them to what it receives; we do at intake (`spec/05 §20` number 3).
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check(&self) -> Result<(), OrderFault> {
        if self.points.len() != LEVELS {
            return Err(OrderFault::Points(self.points.len() as u64));
        }
        if let Some(negative) = self.points.iter().find(|n| **n < 0) {
            return Err(OrderFault::Negative(*negative));
        }
        let falling = self.points.windows(2).all(|pair| pair[0] >= pair[1]);
        if falling && u64::try_from(self.points[0]) == Ok(self.blocks.count()) {
            Ok(())
        } else {
            Err(OrderFault::Rising)
        }
    }

    /// A point by its level; 0 where a merge finds none.
    #[must_use]
    pub fn point(&self, level: usize) -> i64 {
        self.points.get(level).copied().unwrap_or(0)
    }

    /// With these blocks: points are lowered where they exceed the number of blocks. The time stays.
    #[must_use]
    pub fn with_blocks(mut self, blocks: Vector) -> Self {
        if same_node(&blocks, &self.blocks) {
            return self;
        }
        let count = i64::try_from(blocks.count()).unwrap_or(i64::MAX);
        self.blocks = blocks;
        let last = self.points.last().copied().unwrap_or(0);
        if count != self.point(0) || count < last {
            let mut limit = count;
            for (level, point) in self.points.iter_mut().enumerate() {
                *point = if level == 0 { count } else { limit.min(*point) };
                limit = *point;
            }
        }
        self
    }

    /// With blocks behind its own. The time stays: others recognise the order as newer by its higher count (`spec/05 §4.8`).
    ///
    /// # Errors
    /// When a node of the chain can't be read.
    pub fn append(&self, blocks: &[Signed]) -> Result<Self, CellError> {
        let new = Vector::from_refs(blocks.iter().map(|b| Ref::new(Cell::from(b.clone()))));
        let all = self.blocks.clone().concat(&new)?;
        Ok(self.clone().with_blocks(all))
    }

    /// Whether this order keeps to what `mine` holds to be in consensus (`spec/05 §2.5`).
    ///
    /// # Errors
    /// When a node of a chain can't be read.
    pub fn is_consistent_with(&self, mine: &Self) -> Result<bool, CellError> {
        let common = common_prefix(&mine.blocks, &self.blocks)?;
        Ok(covers(common, mine.point(2)))
    }

    /// Same points and chain; the times may differ.
    #[must_use]
    pub fn same_consensus(&self, other: &Self) -> bool {
        self.points == other.points && self.blocks == other.blocks
    }

    /// Whether this order takes the place of `old`, of the same peer (`spec/05 §4.2`). Not antisymmetric for equal times.
    ///
    /// # Errors
    /// [`OrderFault::Points`] when equal times make a fourth point needed that is absent.
    pub fn replaces(&self, old: &Self) -> Result<bool, OrderFault> {
        if self.timestamp != old.timestamp {
            return Ok(self.timestamp > old.timestamp);
        }
        if self == old {
            return Ok(false);
        }
        for level in 0..LEVELS {
            match (self.points.get(level), old.points.get(level)) {
                (Some(new), Some(old)) if new > old => return Ok(true),
                (Some(_), Some(_)) => {}
                (None, _) => return Err(OrderFault::Points(self.points.len() as u64)),
                (_, None) => return Err(OrderFault::Points(old.points.len() as u64)),
            }
        }
        Ok(false)
    }
}

/// True when `common` leading blocks reach `point`.
pub(crate) fn covers(common: u64, point: i64) -> bool {
    u64::try_from(point).is_ok_and(|point| common >= point)
}

/// A merge of the reference reads three points of every order, so that fewer abort it (`spec/05 §2.2`).
fn read_points(points: &Vector) -> Result<SmallVec<[i64; LEVELS]>, OrderFault> {
    let count = points.count();
    let Some(refs) = points
        .as_leaf()
        .filter(|refs| (3..=MAX_POINTS).contains(&refs.len()))
    else {
        return Err(OrderFault::Points(count));
    };
    let mut read = SmallVec::new();
    for r in refs {
        match &*r.load()? {
            Cell::Long(n) if *n < 0 => return Err(OrderFault::Negative(*n)),
            Cell::Long(n) => read.push(*n),
            _ => return Err(OrderFault::NotAnOrder),
        }
    }
    Ok(read)
}
