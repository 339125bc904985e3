//! How much of something may be on its way at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for so many bytes.
#[derive(Clone)]
pub(crate) struct Room {
    size: usize,
    taken: Arc<AtomicUsize>,
}

/// A part of a [`Room`], free again when this is dropped.
pub(crate) struct Taken {
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Room {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            taken: Arc::default(),
        }
    }

    /// Takes room, if there is any: something that is larger than all of it finds place when there is nothing else.
    pub(crate) fn take(&self, bytes: usize) -> Option<Taken> {
        let fits = |taken| (taken == 0 || taken + bytes <= self.size).then_some(taken + bytes);
        let order = Ordering::Relaxed;
        self.taken.fetch_update(order, order, fits).ok()?;
        Some(Taken {
            bytes,
            taken: self.taken.clone(),
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_given_back_and_never_too_small_for_one() {
        let room = Room::new(10);
        let large = room.take(100);
        assert!(large.is_some() && room.take(1).is_none());
        drop(large);
        let (six, four) = (room.take(6), room.take(4));
        assert!(six.is_some() && four.is_some() && room.take(1).is_none());
        drop(six);
        assert!(room.take(7).is_none() && room.take(6).is_some());
    }
}
