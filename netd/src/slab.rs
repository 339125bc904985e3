//! The accepted connections, by number.

use ipc::net::Connection;

use crate::accepted::Accepted;

/// Bits of a number that say at which place its connection is; the lowest tells accepted (0) from dialled (1) ones.
const PLACE_BITS: u32 = 25;
const PLACES: u64 = 1 << (PLACE_BITS - 1);
/// The lowest bit of the numbers of dialled connections.
const DIALLED: u64 = 1;
/// Numbers below this one belong to no connection.
pub const FIRST: Connection = 1 << PLACE_BITS;

/// Gives numbers, each once: also those of an earlier run are hardly ever given again.
#[derive(Debug, Clone)]
pub struct Numbers {
    serial: u64,
}

impl Numbers {
    /// Begins at a place that `random` chooses.
    #[must_use]
    pub fn new(random: u64) -> Self {
        // There is room for 2^38 connections, of which a quarter may be left out.
        let bits = 64 - PLACE_BITS - 3;
        Self {
            serial: (random >> (64 - bits)) + 1,
        }
    }

    fn next(&mut self, low: u64) -> Connection {
        self.serial += 1;
        self.serial << PLACE_BITS | low
    }

    /// For a connection that is dialled.
    pub fn dialled(&mut self) -> Connection {
        self.next(DIALLED)
    }
}

/// True for numbers of dialled connections.
#[must_use]
pub const fn is_dialled(number: Connection) -> bool {
    number & DIALLED != 0
}

/// The connections. A number leads to its place without a search, and never to another connection.
#[derive(Debug, Default)]
pub struct Slab {
    places: Vec<Option<Box<Accepted>>>,
    free: Vec<u32>,
    open: usize,
}

impl Slab {
    fn place(number: Connection) -> usize {
        ((number & (FIRST - 1)) >> 1) as usize
    }

    /// Puts in the connection that `make` makes of its number. `None` when there are as many as can be told apart.
    pub fn insert(
        &mut self,
        numbers: &mut Numbers,
        make: impl FnOnce(Connection) -> Accepted,
    ) -> Option<&mut Accepted> {
        let place = match self.free.pop() {
            Some(place) => place as usize,
            None if (self.places.len() as u64) < PLACES => {
                self.places.push(None);
                self.places.len() - 1
            }
            None => return None,
        };
        let number = numbers.next((place as u64) << 1);
        self.open += 1;
        Some(self.places[place].insert(Box::new(make(number))))
    }

    /// The connection of this number.
    pub fn get(&mut self, number: Connection) -> Option<&mut Accepted> {
        let entry = self.places.get_mut(Self::place(number))?.as_mut()?;
        (entry.number == number).then_some(&mut **entry)
    }

    /// Takes a connection out.
    pub fn remove(&mut self, number: Connection) -> Option<Box<Accepted>> {
        let place = Self::place(number);
        let entry = self
            .places
            .get_mut(place)?
            .take_if(|entry| entry.number == number)?;
        self.free.push(place as u32);
        self.open -= 1;
        Some(entry)
    }

    /// All connections.
    pub fn iter(&mut self) -> impl Iterator<Item = &mut Accepted> {
        self.places
            .iter_mut()
            .filter_map(|entry| entry.as_deref_mut())
    }

    /// Number of connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_are_given_once_and_fit_wherever_they_begin() {
        for random in [0, 1, u64::MAX / 3, u64::MAX] {
            let mut numbers = Numbers::new(random);
            let mut seen = HashSet::new();
            for place in 0..1000u64 {
                assert!(seen.insert(numbers.next(place << 1)));
                let dialled = numbers.dialled();
                assert!(is_dialled(dialled) && seen.insert(dialled));
            }
            assert!(seen.iter().all(|n| *n >= FIRST && *n < u64::MAX >> 1));
        }
    }
}
