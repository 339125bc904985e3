//! Decoded keys, kept between checks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::{AccountKey, Signature, VerifyingKey};

/// Shards, so that threads rarely wait for each other. A power of two.
const SHARDS: usize = 16;

/// A bounded, thread-safe memory of decoded keys, including those that don't decode.
///
/// It never holds more than the capacity it was made with, whatever keys the network sends: each shard has two
/// generations, and when the young one is full it becomes the old one and the previous old one is dropped. A key
/// that is used at least once in a generation moves along, so keys in regular use survive a flood of strange ones.
///
/// A cache only saves time; results are the same with any capacity and any content.
#[derive(Debug)]
pub struct KeyCache {
    shards: [Mutex<Generations>; SHARDS],
}

/// `None` stands for a key by which no signature is valid.
type Entries = HashMap<AccountKey, Option<VerifyingKey>>;

#[derive(Debug)]
struct Generations {
    young: Entries,
    old: Entries,
    /// Keys in one generation.
    limit: usize,
}

impl KeyCache {
    /// A cache of at most `capacity` keys (rounded up to a multiple of 32; about 300 bytes each when full).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let limit = capacity.div_ceil(2 * SHARDS).max(1);
        let shard = |_| {
            Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
                limit,
            })
        };
        Self {
            shards: std::array::from_fn(shard),
        }
    }

    /// The decoded form of `key`, `None` when no signature by it is valid (rule 3 of spec/01 §11.1).
    #[must_use]
    pub fn decode(&self, key: &AccountKey) -> Option<VerifyingKey> {
        // Which shard isn't secret: a flood aimed at one shard evicts only there, and the limit holds anyway.
        let shard = &self.shards[usize::from(key.as_bytes()[0]) % SHARDS];
        if let Some(found) = shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .find(key)
        {
            return found;
        }
        // Decoded outside the lock; two threads may do the same work once.
        let decoded = VerifyingKey::decode(key);
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(*key, decoded);
        decoded
    }

    /// Whether `signature` is valid for `message` under `key`; as [`crate::verify`] but decodes a key once.
    #[must_use]
    pub fn verify(&self, key: &AccountKey, message: &[u8], signature: &Signature) -> bool {
        self.decode(key)
            .is_some_and(|key| key.verify(message, signature))
    }

    /// Keys held at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        let held = |shard: &Mutex<Generations>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(held).sum()
    }

    /// Whether no key is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Generations {
    fn find(&mut self, key: &AccountKey) -> Option<Option<VerifyingKey>> {
        if let Some(found) = self.young.get(key) {
            return Some(*found);
        }
        let found = self.old.remove(key)?;
        self.insert(*key, found);
        Some(found)
    }

    fn insert(&mut self, key: AccountKey, decoded: Option<VerifyingKey>) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, decoded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    fn key(i: u32) -> AccountKey {
        AccountKey::new(crate::sha3_256(&i.to_le_bytes()))
    }

    #[test]
    fn a_flood_of_keys_never_exceeds_the_capacity() {
        let cache = KeyCache::new(64);
        for i in 0..2_000 {
            let _ = cache.decode(&key(i));
            assert!(cache.len() <= 64);
        }
        assert!(!cache.is_empty());
    }

    #[test]
    fn a_key_in_use_survives_a_flood() {
        let cache = KeyCache::new(64);
        let used = SigningKey::from_seed(&[1; 32]).account_key();
        let shard = &cache.shards[usize::from(used.as_bytes()[0]) % SHARDS];
        let _ = cache.decode(&used);
        for i in 0..1_000 {
            let held = shard.lock().unwrap().find(&used);
            assert_eq!(
                held,
                Some(VerifyingKey::decode(&used)),
                "after {i} strange keys"
            );
            let _ = cache.decode(&key(i));
        }
    }

    #[test]
    fn undecodable_keys_are_remembered_too() {
        let cache = KeyCache::new(64);
        let mut not_on_curve = [0; 32];
        not_on_curve[0] = 2;
        let bad = AccountKey::new(not_on_curve);
        assert_eq!(cache.decode(&bad), None);
        assert_eq!(cache.len(), 1);
        assert_eq!(cache.decode(&bad), None);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn threads_share_one_cache() {
        let cache = KeyCache::new(64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..300 {
                        assert_eq!(cache.decode(&key(i)), VerifyingKey::decode(&key(i)));
                    }
                });
            }
        });
        assert!(cache.len() <= 64);
    }
}
