//! The six global values of a state (`spec/04 §2.4`).

use cells::{Cell, CellError, Vector};

use super::size::long_ref;

/// Global values of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Globals {
    /// Time of the state, milliseconds since the epoch.
    pub timestamp: i64,
    /// Never changed by any rule; zero since the beginning.
    pub fees: i64,
    /// Coppers for one unit of juice.
    pub juice_price: i64,
    /// Bytes in the memory pool.
    pub memory_pool: i64,
    /// Coppers in the memory pool.
    pub memory_coins: i64,
    /// Number of the latest executed block; -1 before the first.
    pub block_number: i64,
}

/// Time of a fresh state: 2024-12-24T16:00:00Z (`spec/04 §1.2`).
pub const INITIAL_TIMESTAMP: i64 = 1_735_056_000_000;

impl Default for Globals {
    /// Those of a fresh state.
    fn default() -> Self {
        Self {
            timestamp: INITIAL_TIMESTAMP,
            fees: 0,
            juice_price: 10,
            memory_pool: 1_000_000,
            memory_coins: 1_000_000_000_000,
            block_number: -1,
        }
    }
}

impl Globals {
    fn fields(&self) -> [i64; 6] {
        [
            self.timestamp,
            self.fees,
            self.juice_price,
            self.memory_pool,
            self.memory_coins,
            self.block_number,
        ]
    }

    /// The vector in field 2 of a state.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        Cell::from(Vector::from_iter(self.fields().map(Cell::Long)))
    }

    /// From the vector in field 2 of a state.
    ///
    /// # Errors
    /// [`CellError::Malformed`] unless it holds exactly six integers.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        const MALFORMED: CellError = CellError::Malformed("globals are no vector of six integers");
        let Cell::Vector(vector) = cell else {
            return Err(MALFORMED);
        };
        if vector.count() != 6 {
            return Err(MALFORMED);
        }
        let mut fields = [0; 6];
        for (field, value) in fields.iter_mut().zip(vector.iter()) {
            let Cell::Long(n) = value? else {
                return Err(MALFORMED);
            };
            *field = n;
        }
        let [
            timestamp,
            fees,
            juice_price,
            memory_pool,
            memory_coins,
            block_number,
        ] = fields;
        Ok(Self {
            timestamp,
            fees,
            juice_price,
            memory_pool,
            memory_coins,
            block_number,
        })
    }

    /// Bytes that the vector takes inside the state; six integers are always embedded.
    pub(super) fn ref_len(&self) -> u64 {
        2 + self.fields().map(long_ref).iter().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_globals_have_the_encoding_of_the_specification() {
        let cell = Globals::default().to_cell();
        let hex: String = cell.encode().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "8006160193f965840010110a130f42401600e8d4a5100011ff");
        assert_eq!(Globals::default().ref_len(), 25);
        assert_eq!(Globals::from_cell(&cell), Ok(Globals::default()));
    }

    #[test]
    fn anything_but_six_integers_is_refused() {
        for n in [5, 7] {
            let cell = Cell::from(Vector::from_iter((0..n).map(Cell::Long)));
            assert!(Globals::from_cell(&cell).is_err());
        }
        assert!(Globals::from_cell(&Cell::Nil).is_err());
    }
}
