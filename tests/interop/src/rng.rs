//! A small generator of random numbers whose stream is fixed for ever: a seed and a case number name a case.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The stream of one case.
    #[must_use]
    pub fn of_case(seed: u64, case: u64) -> Self {
        let mut rng = Self(seed ^ 0x6a09_e667_f3bc_c908);
        let first = rng.next_u64();
        Self(first ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is above 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next_u64() % n as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// One of these numbers.
    pub fn pick_long(&mut self, from: &[i64]) -> i64 {
        from[self.below(from.len())]
    }

    /// A number with about as many bits as a uniformly drawn count of them up to `bits`.
    pub fn magnitude(&mut self, bits: usize) -> u64 {
        let n = self.below(bits + 1);
        if n == 0 {
            0
        } else {
            self.next_u64() >> (64 - n)
        }
    }
}
