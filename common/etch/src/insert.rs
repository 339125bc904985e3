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
