//! How many beliefs who may send: strangers all together, and each peer that has proven its key.
//!
//! A peer sends an order a millisecond at most, and hardly ever that many. One that sends more takes the way of the others to consensus.

use std::collections::HashMap;

use crypto::AccountKey;
use signing::{Now, Rate, TokenBucket};

/// Peers that are remembered. Consensus vouches for staked ones only, of which there are far fewer.
const REMEMBERED: usize = 4_096;

/// Beliefs, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeliefRate {
    /// Beliefs.
    pub count: Rate,
    /// Their bytes.
    pub bytes: Rate,
}

#[derive(Debug)]
struct Share {
    count: TokenBucket,
    bytes: TokenBucket,
}

impl Share {
    fn new(rate: BeliefRate, now: Now) -> Self {
        Self {
            count: TokenBucket::new(rate.count, now.steady),
            bytes: TokenBucket::new(rate.bytes, now.steady),
        }
    }

    fn take(&mut self, bytes: usize, now: Now) -> bool {
        if self.bytes.free_at(now.steady).is_some() || !self.count.take(1, now.steady) {
            return false;
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes.spend(bytes, now.steady);
        true
    }
}

/// What is left for whom.
#[derive(Debug)]
pub struct Beliefs {
    strangers: Share,
    of_peer: BeliefRate,
    peers: HashMap<AccountKey, Share>,
}

impl Beliefs {
    /// Full shares for all.
    #[must_use]
    pub fn new(of_strangers: BeliefRate, of_peer: BeliefRate, now: Now) -> Self {
        Self {
            strangers: Share::new(of_strangers, now),
            of_peer,
            peers: HashMap::new(),
        }
    }

    /// Whether a belief of so many bytes may pass.
    pub fn take(&mut self, from: Option<AccountKey>, bytes: usize, now: Now) -> bool {
        let Some(key) = from else {
            return self.strangers.take(bytes, now);
        };
        if self.peers.len() >= REMEMBERED && !self.peers.contains_key(&key) {
            self.peers.clear();
        }
        let full = || Share::new(self.of_peer, now);
        self.peers.entry(key).or_insert_with(full).take(bytes, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steady: u64) -> Now {
        Now { wall: 0, steady }
    }

    fn key(i: u64) -> AccountKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&i.to_be_bytes());
        AccountKey::new(bytes)
    }

    fn beliefs() -> Beliefs {
        let of_strangers = BeliefRate {
            count: Rate::new(1, 2),
            bytes: Rate::new(100, 100),
        };
        let of_peer = BeliefRate {
            count: Rate::new(10, 20),
            bytes: Rate::new(1_000, 1_000),
        };
        Beliefs::new(of_strangers, of_peer, at(0))
    }

    #[test]
    fn who_floods_takes_nothing_from_others() {
        let mut beliefs = beliefs();
        let mut flood = |from, now| {
            (0..1_000)
                .filter(|_| beliefs.take(from, 1, at(now)))
                .count()
        };
        assert_eq!(flood(None, 0), 2);
        assert_eq!(flood(Some(key(1)), 0), 20);
        assert_eq!(flood(Some(key(2)), 0), 20);
        assert_eq!(flood(Some(key(1)), 1_000), 10);
        assert_eq!(flood(None, 1_000), 1);
    }

    #[test]
    fn a_long_one_passes_and_is_paid_for_before_the_next() {
        let mut beliefs = beliefs();
        assert!(beliefs.take(Some(key(1)), 5_000, at(0)));
        assert!(!beliefs.take(Some(key(1)), 1, at(3_900)));
        assert!(beliefs.take(Some(key(1)), 1, at(4_000)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut beliefs = beliefs();
        for i in 0..3 * REMEMBERED as u64 {
            assert!(beliefs.take(Some(key(i)), 1, at(0)));
        }
        assert!(beliefs.peers.len() <= REMEMBERED);
    }
}
