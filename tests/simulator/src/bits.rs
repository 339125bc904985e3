//! Sets of small numbers.

#[derive(Debug, Clone, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn has(&self, i: u32) -> bool {
        let word = self.0.get(i as usize / 64).copied().unwrap_or(0);
        word >> (i % 64) & 1 == 1
    }

    /// False when it was there before.
    pub(crate) fn insert(&mut self, i: u32) -> bool {
        let at = i as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        let bit = 1 << (i % 64);
        let fresh = self.0[at] & bit == 0;
        self.0[at] |= bit;
        fresh
    }

    /// Keeps what `other` has too.
    pub(crate) fn keep(&mut self, other: &Self) {
        for (i, word) in self.0.iter_mut().enumerate() {
            *word &= other.0.get(i).copied().unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_inserted_and_kept() {
        let (mut a, mut b) = (Bits::default(), Bits::default());
        assert!(a.insert(3) && a.insert(200) && !a.insert(3));
        assert!(b.insert(200) && b.insert(1000));
        a.keep(&b);
        assert_eq!(
            [a.has(3), a.has(200), a.has(1000), a.has(9)],
            [false, true, false, false]
        );
    }
}
