//! Operations waiting for their time (`spec/04 §5.4`).

use cells::{Blob, Cell, CellError, Index, Vector};

use super::State;
use super::journal::Undo;

/// Entries that the reference takes from one key.
const PER_KEY: u64 = 100;

/// Why due operations could not be collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// More than 100 operations under one due key: the reference loops for ever here (`spec/04 §5.4`).
    #[error("{count} operations are scheduled for time {time}: no peer can advance this state")]
    Stuck {
        /// The due time, milliseconds since the epoch.
        time: i64,
        /// Operations under it.
        count: u64,
    },
    /// The schedule can't be read.
    #[error(transparent)]
    Data(#[from] CellError),
}

fn key(time: i64) -> Cell {
    Cell::from(Blob::new(&time.to_be_bytes()))
}

impl State {
    /// The schedule: time as 8 bytes → vector of `[address op]`.
    #[must_use]
    pub fn schedule(&self) -> &Index {
        &self.schedule
    }

    /// Adds an operation behind those of the same time.
    ///
    /// # Errors
    /// When a node of the schedule can't be read.
    pub fn schedule_op(&mut self, time: i64, address: u64, op: Cell) -> Result<(), CellError> {
        let key = key(time);
        let entries = match self.schedule.get(&key)? {
            None => Vector::empty(),
            Some(Cell::Vector(entries)) => entries,
            Some(_) => return Err(MALFORMED),
        };
        let entries = entries.push(Cell::from(Vector::from_iter([Cell::Address(address), op])))?;
        let schedule = self
            .schedule
            .clone()
            .assoc(key, Cell::from(entries))?
            .ok_or(MALFORMED)?;
        self.journal.push(Undo::Schedule(std::mem::replace(
            &mut self.schedule,
            schedule,
        )));
        Ok(())
    }

    /// Takes all operations that are due at `now` out of the schedule, in order of time, then of insertion.
    ///
    /// # Errors
    /// [`ScheduleError::Stuck`] as there; otherwise when the schedule can't be read or is malformed.
    pub fn take_due(&mut self, now: i64) -> Result<Vec<(u64, Cell)>, ScheduleError> {
        let mut due = Vec::new();
        let mut schedule = self.schedule.clone();
        while let Some((key, entries)) = schedule.entry_at(0)? {
            let Cell::Blob(time) = &key else {
                return Err(MALFORMED.into());
            };
            let time = time
                .as_flat()
                .and_then(|b| <[u8; 8]>::try_from(b).ok())
                .ok_or(MALFORMED)?;
            let time = i64::from_be_bytes(time);
            if time > now {
                break;
            }
            let Cell::Vector(entries) = entries else {
                return Err(MALFORMED.into());
            };
            if entries.count() > PER_KEY {
                return Err(ScheduleError::Stuck {
                    time,
                    count: entries.count(),
                });
            }
            for entry in entries.iter() {
                due.push(entry_parts(&entry?)?);
            }
            schedule = schedule.dissoc(&key)?;
        }
        if !due.is_empty() {
            self.journal.push(Undo::Schedule(std::mem::replace(
                &mut self.schedule,
                schedule,
            )));
        }
        Ok(due)
    }
}

const MALFORMED: CellError =
    CellError::Malformed("entry of the schedule is no [address op] under a time");

fn entry_parts(entry: &Cell) -> Result<(u64, Cell), CellError> {
    let Cell::Vector(parts) = entry else {
        return Err(MALFORMED);
    };
    match (parts.get(0)?, parts.get(1)?) {
        (Some(Cell::Address(address)), Some(op)) => Ok((address, op)),
        _ => Err(MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Globals;

    fn empty() -> State {
        State::new(
            Vector::empty(),
            Index::empty(),
            Globals::default(),
            Index::empty(),
        )
    }

    /// `spec/04 §5.4`.
    #[test]
    fn due_operations_come_in_order_of_time_then_of_insertion_and_leave_the_rest() {
        let mut state = empty();
        for (time, op) in [(7, 1), (5, 2), (7, 3), (9, 4), (300, 5)] {
            state.schedule_op(time, 11, Cell::Long(op)).unwrap();
        }
        let due: Vec<_> = state
            .take_due(9)
            .unwrap()
            .into_iter()
            .map(|(_, op)| op)
            .collect();
        assert_eq!(due, [2, 1, 3, 4].map(Cell::Long));
        assert_eq!(state.schedule().count(), 1);
        assert_eq!(state.take_due(299), Ok(Vec::new()));
    }

    #[test]
    fn the_key_is_the_time_as_eight_big_endian_bytes() {
        let mut state = empty();
        state.schedule_op(1_735_056_000_001, 11, Cell::Nil).unwrap();
        let (key, value) = state.schedule().entry_at(0).unwrap().unwrap();
        let hex: String = key.encode().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            (hex.as_str(), value.to_string().as_str()),
            ("310800000193f9658401", "[[#11 nil]]")
        );
    }

    /// `spec/04 §5.4`, the defect.
    #[test]
    fn a_hundred_operations_of_one_time_run_and_one_more_is_fatal() {
        let mut state = empty();
        for _ in 0..100 {
            state.schedule_op(5, 11, Cell::Nil).unwrap();
        }
        let mark = state.mark();
        assert_eq!(state.take_due(5).unwrap().len(), 100);
        state.rollback(mark);
        state.schedule_op(5, 11, Cell::Nil).unwrap();
        assert_eq!(
            state.take_due(5),
            Err(ScheduleError::Stuck {
                time: 5,
                count: 101
            })
        );
    }
}
