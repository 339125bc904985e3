//! The status of a peer (`spec/06 §6.2`).

use cells::{Cell, CellError, Hash, Keyword, Vector};
use crypto::AccountKey;

/// What a peer says of itself. Claims, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Hash of its belief.
    pub belief: Hash,
    /// Hash of the genesis state, the name of the network.
    pub genesis: Hash,
    /// Its key.
    pub peer: AccountKey,
    /// Hash of its consensus state.
    pub state: Hash,
    /// Points of its order: blocks, proposal, consensus, finality.
    pub points: [u64; 4],
}

/// Why a value is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// A part can't be read.
    #[error("status can't be read: {0}")]
    Unreadable(#[from] CellError),
    /// It is neither a vector of nine nor a map.
    #[error("status is neither a vector of nine elements nor a map")]
    Shape,
    /// This entry is absent or of another type.
    #[error("status without a proper {0}")]
    Entry(&'static str),
}

const KEYS: [&str; 9] = [
    "belief",
    "states",
    "genesis",
    "peer",
    "state",
    "consensus-point",
    "proposal-point",
    "block-point",
    "consensus",
];

impl Status {
    /// The vector of nine that peers send.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        let [blocks, proposal, consensus, _] = self.points.map(number);
        let points: Vector = self.points.map(number).into_iter().collect();
        let parts = [
            Cell::from(self.belief),
            Cell::from(self.state),
            Cell::from(self.genesis),
            Cell::from(Hash(self.peer.to_bytes())),
            Cell::from(self.state),
            consensus,
            proposal,
            blocks,
            Cell::from(points),
        ];
        Cell::from(parts.into_iter().collect::<Vector>())
    }

    /// From the value of a status result: a vector of at least nine, or a map of the same names.
    ///
    /// # Errors
    /// When a part that this type has is absent or of another type.
    pub fn read(value: &Cell) -> Result<Self, StatusError> {
        let entry = |i: usize| -> Result<Cell, StatusError> {
            let found = match value {
                Cell::Vector(v) if v.count() >= KEYS.len() as u64 => v.get(i as u64)?,
                Cell::Map(map) => map.get(&Cell::from(Keyword::literal(KEYS[i])))?,
                _ => return Err(StatusError::Shape),
            };
            found.ok_or(StatusError::Entry(KEYS[i]))
        };
        let hash = |i: usize| match entry(i)? {
            Cell::Blob(blob) => blob
                .as_key()
                .map(|key| Hash(*key))
                .ok_or(StatusError::Entry(KEYS[i])),
            _ => Err(StatusError::Entry(KEYS[i])),
        };
        let mut points = [0; 4];
        let Cell::Vector(given) = entry(8)? else {
            return Err(StatusError::Entry(KEYS[8]));
        };
        for (i, point) in points.iter_mut().enumerate() {
            *point = match given.get(i as u64)? {
                Some(Cell::Long(n)) => u64::try_from(n).ok(),
                _ => None,
            }
            .ok_or(StatusError::Entry(KEYS[8]))?;
        }
        Ok(Self {
            belief: hash(0)?,
            genesis: hash(2)?,
            peer: AccountKey::new(hash(3)?.0),
            state: hash(4)?,
            points,
        })
    }
}

fn number(n: u64) -> Cell {
    Cell::Long(i64::try_from(n).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Map;

    const STATUS: Status = Status {
        belief: Hash([1; 32]),
        genesis: Hash([2; 32]),
        peer: AccountKey::new([3; 32]),
        state: Hash([4; 32]),
        points: [9, 7, 5, 3],
    };

    #[test]
    fn a_status_survives_as_a_vector_and_as_a_map() {
        let cell = STATUS.to_cell();
        assert_eq!(Status::read(&cell), Ok(STATUS));
        let Cell::Vector(parts) = cell else {
            panic!("no vector");
        };
        let map = KEYS
            .iter()
            .zip(parts.iter())
            .fold(Map::empty(), |map, (key, part)| {
                let key = Cell::from(Keyword::literal(key));
                map.assoc(key, part.unwrap()).unwrap()
            });
        assert_eq!(Status::read(&Cell::from(map)), Ok(STATUS));
    }

    #[test]
    fn other_values_are_no_status() {
        assert_eq!(Status::read(&Cell::Nil), Err(StatusError::Shape));
        assert_eq!(
            Status::read(&Cell::from(Vector::empty())),
            Err(StatusError::Shape)
        );
        let empty = Cell::from(Map::empty());
        assert_eq!(Status::read(&empty), Err(StatusError::Entry("consensus")));
        let Cell::Vector(parts) = STATUS.to_cell() else {
            panic!("no vector");
        };
        let bad = parts.assoc(3, Cell::Long(1)).unwrap().unwrap();
        assert_eq!(
            Status::read(&Cell::from(bad)),
            Err(StatusError::Entry("peer"))
        );
    }
}
