//! Adding records to the index: which slots change and what is appended, in the order of spec/07 §3, so that the same
//! stores give the same bytes as in the reference.

use crate::format::{
    Flags, INDEX_AT, Key, LAST_LEVEL, RecordHead, Slot, block_bytes, digit, slots,
};
use crate::index::{check_pointer, key_at, read_slot, slot_at};
use crate::source::{Fault, Source};

/// A source that can grow at its end and change in place.
pub(crate) trait Space: Source {
    /// Appends bytes and returns their position.
    fn append(&mut self, parts: &[&[u8]]) -> u64;
    /// Sets the slot at `at`.
    fn set_slot(&mut self, at: u64, raw: u64);
    /// Sets flags and memory size of the record at `at`, each when given.
    fn set_marks(&mut self, at: u64, flags: Flags, memory_size: Option<u64>);
}

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The cell is new.
    New,
    /// The cell was there and its flags or memory size rose.
    Raised,
    /// The cell was there and nothing changed.
    Present,
}

/// A cell to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRecord<'a> {
    pub(crate) key: Key,
    pub(crate) flags: Flags,
    /// 0 = not known; written only with status ≥ 3 (spec/07 §1.3).
    pub(crate) memory_size: u64,
    pub(crate) encoding: &'a [u8],
}

const TOO_DEEP: &str = "index deeper than its last level: two records with one key";

fn set<S: Space>(space: &mut S, block: u64, i: usize, slot: Slot) {
    space.set_slot(slot_at(block, i), slot.encode());
}

fn append_record<S: Space>(space: &mut S, new: &NewRecord<'_>) -> u64 {
    let memory_size = if new.flags.status() >= Flags::PERSISTED {
        new.memory_size
    } else {
        0
    };
    let head = RecordHead {
        key: new.key,
        flags: new.flags,
        memory_size,
        length: new.encoding.len() as u16,
    };
    space.append(&[&head.encode(), new.encoding])
}

fn append_block<S: Space>(space: &mut S, level: u8) -> u64 {
    const ZERO: [u8; 2048] = [0; 2048];
    space.append(&[&ZERO[..block_bytes(level) as usize]])
}

fn update<S: Space>(space: &mut S, at: u64, new: &NewRecord<'_>) -> Result<Put, Fault> {
    let old = RecordHead::decode(&space.head(at)?);
    let flags = old.flags.merge(new.flags);
    if flags == old.flags {
        return Ok(Put::Present);
    }
    let fill = old.memory_size == 0 && flags.status() >= Flags::PERSISTED && new.memory_size != 0;
    space.set_marks(at, flags, fill.then_some(new.memory_size));
    Ok(Put::Raised)
}

/// Stores one record. The encoding's length (1 to 16383) is the caller's to check.
pub(crate) fn insert<S: Space>(space: &mut S, new: &NewRecord<'_>) -> Result<Put, Fault> {
    let mut block = INDEX_AT;
    let mut level = 0;
    loop {
        let n = slots(level);
        let d = digit(&new.key, level);
        let at = slot_at(block, d);
        match read_slot(space, block, d)? {
            Slot::Empty => {
                let to = append_record(space, new);
                set(space, block, d, Slot::Data(to));
                return Ok(Put::New);
            }
            Slot::Block(to) => {
                if level == LAST_LEVEL {
                    return Err(Fault::corrupt(at, TOO_DEEP));
                }
                check_pointer(space, at, to, block_bytes(level + 1))?;
                block = to;
                level += 1;
            }
            Slot::Data(old) => {
                let old_key = key_at(space, at, old)?;
                if old_key == new.key {
                    return update(space, old, new);
                }
                let next = (d + 1) % n;
                if read_slot(space, block, next)? == Slot::Empty {
                    set(space, block, d, Slot::Start(old));
                    let to = append_record(space, new);
                    set(space, block, next, Slot::Next(to));
                    return Ok(Put::New);
                }
                if level == LAST_LEVEL {
                    return Err(Fault::corrupt(at, TOO_DEEP));
                }
                let child = append_block(space, level + 1);
                set(space, child, digit(&old_key, level + 1), Slot::Data(old));
                set(space, block, d, Slot::Block(child));
                block = child;
                level += 1;
            }
            Slot::Start(first) => {
                if key_at(space, at, first)? == new.key {
                    return update(space, first, new);
                }
                for i in 1..n {
                    let j = (d + i) % n;
                    match read_slot(space, block, j)? {
                        Slot::Next(to) => {
                            if key_at(space, slot_at(block, j), to)? == new.key {
                                return update(space, to, new);
                            }
                        }
                        Slot::Empty => {
                            let to = append_record(space, new);
                            set(space, block, j, Slot::Next(to));
                            return Ok(Put::New);
                        }
                        _ => break,
                    }
                }
                let to = append_record(space, new);
                collapse(space, block, level, d, Some((to, new.key)))?;
                return Ok(Put::New);
            }
            Slot::Next(_) => {
                let start = chain_start(space, block, level, d)?;
                collapse(space, block, level, start, None)?;
                let to = append_record(space, new);
                set(space, block, d, Slot::Data(to));
                return Ok(Put::New);
            }
        }
    }
}

/// First slot of the chain that slot `d` continues.
fn chain_start<S: Space>(space: &S, block: u64, level: u8, d: usize) -> Result<usize, Fault> {
    let n = slots(level);
    for back in 1..n {
        let j = (d + n - back) % n;
        match read_slot(space, block, j)? {
            Slot::Next(_) => {}
            Slot::Start(_) => return Ok(j),
            _ => break,
        }
    }
    Err(Fault::corrupt(
        slot_at(block, d),
        "continuation of a chain without start",
    ))
}

/// Moves the chain that starts at slot `start` into a new block of the next level, `first` (already appended) before it.
fn collapse<S: Space>(
    space: &mut S,
    block: u64,
    level: u8,
    start: usize,
    first: Option<(u64, Key)>,
) -> Result<(), Fault> {
    if level == LAST_LEVEL {
        return Err(Fault::corrupt(slot_at(block, start), TOO_DEEP));
    }
    let child = append_block(space, level + 1);
    if let Some((to, key)) = first {
        set(space, child, digit(&key, level + 1), Slot::Data(to));
    }
    let n = slots(level);
    for i in 0..n {
        let j = (start + i) % n;
        let to = match read_slot(space, block, j)? {
            Slot::Start(to) if i == 0 => to,
            Slot::Next(to) if i > 0 => to,
            _ => break,
        };
        let key = key_at(space, slot_at(block, j), to)?;
        reinsert(space, child, level + 1, to, &key)?;
        if i > 0 {
            set(space, block, j, Slot::Empty);
        }
    }
    set(space, block, start, Slot::Block(child));
    Ok(())
}

/// Puts a pointer to an existing record into a block made by a collapse; such blocks never hold chains.
fn reinsert<S: Space>(
    space: &mut S,
    mut block: u64,
    mut level: u8,
    to: u64,
    key: &Key,
) -> Result<(), Fault> {
    loop {
        let d = digit(key, level);
        let at = slot_at(block, d);
        match read_slot(space, block, d)? {
            Slot::Empty => {
                set(space, block, d, Slot::Data(to));
                return Ok(());
            }
            Slot::Block(child) if level < LAST_LEVEL => {
                check_pointer(space, at, child, block_bytes(level + 1))?;
                block = child;
                level += 1;
            }
            Slot::Data(old) if level < LAST_LEVEL => {
                let old_key = key_at(space, at, old)?;
                let child = append_block(space, level + 1);
                set(space, child, digit(&old_key, level + 1), Slot::Data(old));
                set(space, block, d, Slot::Block(child));
                block = child;
                level += 1;
            }
            Slot::Start(_) | Slot::Next(_) => {
                return Err(Fault::corrupt(at, "chain in a block made by a collapse"));
            }
            Slot::Block(_) | Slot::Data(_) => return Err(Fault::corrupt(at, TOO_DEEP)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::format::{EMPTY_LENGTH, Header, RECORD_HEAD};
    use crate::index::{Walk, find};
    use crate::source::{Image, record};

    /// A store in memory that takes any key, so that collisions can be made at will.
    struct Memory(Vec<u8>);

    impl Memory {
        fn new() -> Memory {
            let mut bytes = vec![0; EMPTY_LENGTH as usize];
            bytes[..44].copy_from_slice(&Header::EMPTY.encode());
            Memory(bytes)
        }

        fn put(&mut self, key: Key, encoding: &[u8]) -> Put {
            let new = NewRecord {
                key,
                flags: Flags(1),
                memory_size: 0,
                encoding,
            };
            insert(self, &new).unwrap()
        }
    }

    impl Source for Memory {
        fn length(&self) -> u64 {
            self.0.len() as u64
        }
        fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Fault> {
            Image(&self.0).read(at, buf)
        }
    }

    impl Space for Memory {
        fn append(&mut self, parts: &[&[u8]]) -> u64 {
            let at = self.length();
            parts.iter().for_each(|p| self.0.extend_from_slice(p));
            at
        }
        fn set_slot(&mut self, at: u64, raw: u64) {
            self.0[at as usize..at as usize + 8].copy_from_slice(&raw.to_be_bytes());
        }
        fn set_marks(&mut self, at: u64, flags: Flags, memory_size: Option<u64>) {
            self.0[at as usize + 32] = flags.0;
            if let Some(size) = memory_size {
                self.0[at as usize + 33..at as usize + 41].copy_from_slice(&size.to_be_bytes());
            }
        }
    }

    /// Keys from few values per byte, differing first at any depth, around the wrap of the blocks too.
    fn key() -> impl Strategy<Value = Key> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(0x10), Just(0xff), Just(0xfe)];
        (
            prop_oneof![
                Just([0u8, 0u8]),
                Just([0, 1]),
                Just([0xff, 0xff]),
                Just([0xff, 0xfe])
            ],
            proptest::collection::vec(byte, 30),
            0usize..31,
        )
            .prop_map(|(first, rest, same)| {
                let mut k = [0; 32];
                k[..2].copy_from_slice(&first);
                // Long common prefixes: all bytes up to some depth are zero.
                k[2 + same.min(30)..].copy_from_slice(&rest[same.min(30)..]);
                k
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn the_index_is_a_map_whatever_the_keys_collide_in(
            keys in proptest::collection::vec(key(), 1..120),
            absent in proptest::collection::vec(key(), 30),
        ) {
            let mut memory = Memory::new();
            let mut model: HashMap<Key, Vec<u8>> = HashMap::new();
            for (i, k) in keys.iter().enumerate() {
                let encoding = vec![i as u8; i % 7 + 1];
                let put = memory.put(*k, &encoding);
                if model.contains_key(k) {
                    prop_assert_eq!(put, Put::Present);
                } else {
                    prop_assert_eq!(put, Put::New);
                    model.insert(*k, encoding);
                }
            }
            for (k, encoding) in &model {
                let at = find(&memory, k).unwrap().expect("stored key");
                prop_assert_eq!(&record(&memory, at).unwrap().encoding, encoding);
            }
            for k in absent {
                prop_assert_eq!(find(&memory, &k).unwrap().is_some(), model.contains_key(&k));
            }
            // The rules of spec/07 §1.2 hold, every record is named once, nothing lies between.
            let mut walk = Walk::new();
            let mut records = 0;
            while let Some(visit) = walk.step(&memory).unwrap() {
                prop_assert_eq!(&visit.findings, &vec![]);
                records += visit.records.len();
            }
            prop_assert_eq!(records, model.len());
            prop_assert_eq!(walk.stats.extent, memory.length());
            prop_assert_eq!(
                44 + walk.stats.index_bytes + walk.stats.record_bytes,
                memory.length()
            );
        }
    }

    #[test]
    fn two_keys_that_differ_in_the_last_digit_only_go_to_the_last_level() {
        let mut memory = Memory::new();
        // Keys in the neighbour slots of every level force blocks where chains would do.
        for byte in 0..31 {
            for step in [1, 0x10] {
                let mut k = [0x77; 32];
                k[byte] += step;
                assert_eq!(memory.put(k, &[1]), Put::New);
            }
        }
        for b in 0..=255u8 {
            let mut k = [0x77; 32];
            k[31] = b;
            assert_eq!(memory.put(k, &[b]), Put::New);
        }
        for b in 0..=255u8 {
            let mut k = [0x77; 32];
            k[31] = b;
            let at = find(&memory, &k).unwrap().unwrap();
            assert_eq!(record(&memory, at).unwrap().encoding, [b]);
        }
        let mut walk = Walk::new();
        while let Some(visit) = walk.step(&memory).unwrap() {
            assert_eq!(visit.findings, []);
        }
        assert_eq!(walk.stats.blocks[59], 16);
    }

    #[test]
    fn flags_rise_and_the_memory_size_is_filled_once() {
        let mut memory = Memory::new();
        let mut put = |flags, memory_size| {
            let new = NewRecord {
                key: [5; 32],
                flags: Flags(flags),
                memory_size,
                encoding: &[1, 2],
            };
            let put = insert(&mut memory, &new).unwrap();
            let r = record(&memory, EMPTY_LENGTH).unwrap();
            (put, r.flags.0, r.memory_size)
        };
        assert_eq!(put(0x21, 99), (Put::New, 0x21, 0));
        assert_eq!(put(0x21, 99), (Put::Present, 0x21, 0));
        assert_eq!(put(0x23, 0), (Put::Raised, 0x23, 0));
        // Equal flags: no write at all, even where a size is missing.
        assert_eq!(put(0x23, 99), (Put::Present, 0x23, 0));
        assert_eq!(put(0x24, 99), (Put::Raised, 0x24, 99));
        assert_eq!(put(0x43, 7), (Put::Raised, 0x64, 99));
    }

    #[test]
    fn a_damaged_index_refuses_an_insert_and_is_not_followed_for_ever() {
        // A root slot that points to itself as a block of every level, and a chain without start.
        let mut memory = Memory::new();
        let at = crate::index::slot_at(INDEX_AT, 0x0505);
        memory.set_slot(at, Slot::Block(44).encode());
        let new = |key| NewRecord {
            key,
            flags: Flags(1),
            memory_size: 0,
            encoding: &[1],
        };
        assert!(insert(&mut memory, &new([5; 32])).is_err());
        assert!(find(&memory, &[5; 32]).is_err());
        memory.set_slot(at, Slot::Next(EMPTY_LENGTH - RECORD_HEAD).encode());
        assert!(insert(&mut memory, &new([5; 32])).is_err());
        assert_eq!(find(&memory, &[5; 32]).unwrap(), None);
        for i in 0..65536 {
            memory.set_slot(
                crate::index::slot_at(INDEX_AT, i),
                Slot::Next(EMPTY_LENGTH).encode(),
            );
        }
        assert!(insert(&mut memory, &new([5; 32])).is_err());
    }
}
