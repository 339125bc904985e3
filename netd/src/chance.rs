//! Numbers that nobody else foresees: seeded by the system once, before the sandbox closes.

use std::hash::{BuildHasher, Hasher, RandomState};

/// SplitMix64. For jitter, choices and connection numbers; not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Seeded by the system.
    #[must_use]
    pub fn new() -> Self {
        // The keys of a hash table's hasher are random numbers of the system.
        Self(RandomState::new().build_hasher().finish())
    }

    /// Seeded by `seed`, for repeatable runs.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
