//! What look-ups found, for as long as the answers say, within bounds.

use std::collections::HashMap;
use std::net::IpAddr;

/// Names that are remembered.
const MAX_NAMES: usize = 1_024;
/// Shortest time that anything is remembered, seconds: nobody makes us ask for the same name all the time.
const LEAST: u32 = 10;
/// Longest time for addresses, seconds.
const MOST: u32 = 3_600;
/// Longest time for names that have none, seconds: a peer that just got a name is to be found soon.
const MOST_NOTHING: u32 = 300;

#[derive(Debug, Clone)]
struct Entry {
    addresses: Vec<IpAddr>,
    until: u64,
}

/// Addresses by name; a name may have none. Times are steady milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache {
    entries: HashMap<String, Entry>,
}

impl Cache {
    /// What is known of a name.
    #[must_use]
    pub(super) fn get(&self, name: &str, now: u64) -> Option<&[IpAddr]> {
        let entry = self.entries.get(name).filter(|entry| entry.until > now)?;
        Some(&entry.addresses)
    }

    /// Remembers what was found, for so many seconds.
    pub(super) fn put(&mut self, name: &str, addresses: Vec<IpAddr>, seconds: u32, now: u64) {
        if self.entries.len() >= MAX_NAMES && !self.entries.contains_key(name) {
            self.make_room(now);
        }
        let most = if addresses.is_empty() {
            MOST_NOTHING
        } else {
            MOST
        };
        let until = now + u64::from(seconds.clamp(LEAST, most)) * 1_000;
        self.entries
            .insert(name.to_owned(), Entry { addresses, until });
    }

    /// Drops what is over, else what is over first.
    fn make_room(&mut self, now: u64) {
        self.entries.retain(|_, entry| entry.until > now);
        if self.entries.len() >= MAX_NAMES {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.until);
            if let Some(name) = first.map(|(name, _)| name.clone()) {
                self.entries.remove(&name);
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<IpAddr> {
        vec!["192.0.2.1".parse().unwrap()]
    }

    #[test]
    fn times_of_answers_are_bounded_at_both_ends() {
        for (seconds, addresses, kept) in [
            (0, some(), LEAST),
            (60, some(), 60),
            (u32::MAX, some(), MOST),
            (0, Vec::new(), LEAST),
            (u32::MAX, Vec::new(), MOST_NOTHING),
        ] {
            let mut cache = Cache::default();
            cache.put("a.example", addresses.clone(), seconds, 5);
            let end = 5 + u64::from(kept) * 1_000;
            assert_eq!(cache.get("a.example", end - 1), Some(&addresses[..]));
            assert_eq!(cache.get("a.example", end), None);
        }
    }

    #[test]
    fn the_number_of_names_is_bounded_and_the_oldest_go_first() {
        let mut cache = Cache::default();
        for i in 0..5_000u32 {
            cache.put(&format!("{i}.example"), some(), 100 + i, 0);
        }
        assert_eq!(cache.entries.len(), MAX_NAMES);
        assert!(cache.get("4999.example", 1).is_some());
        assert!(cache.get("0.example", 1).is_none());
        // A name that is there already takes no place of another.
        cache.put("4999.example", some(), 1, 0);
        assert_eq!(cache.entries.len(), MAX_NAMES);
    }
}
