//! Changes of committed slots, flags and memory sizes that are durable in the redo log and not yet in the store file.
//!
//! A commit changes thousands of slots of 8 bytes at scattered places. Each would be a system call of its own, and together
//! they took ten times as long as the barrier. So a commit puts them into this table, which readers share by the memory
//! of the control page and look into first; the writer carries them over to the store file at a checkpoint, in order of
//! position, so that neighbours and repeated changes cost one call. `docs/store.md` argues why that is safe.
//!
//! Words, after the page of [`control`](crate::control):
//!
//! | word | content |
//! |---|---|
//! | control page, 10 | odd multiplier of the hash, chosen at random |
//! | control page, 11 | number of entries |
//! | control page, 12 | 1 = some entry is of flags or a memory size |
//! | 512 + 2 i | position, with the highest bit set where the change is of one byte; 0 = free |
//! | 513 + 2 i | the new bytes, big-endian, from the highest byte on |

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::layer::FileLayer;
use crate::log::Patch;
use crate::sys::SharedWords;
use crate::writer::apply_patches;

/// Words of the control page, which the table follows.
pub(crate) const PAGE_WORDS: usize = 512;
const MULTIPLIER: usize = 10;
const COUNT: usize = 11;
const MARKS: usize = 12;
/// Entries of the table, as a power of two.
const BITS: u32 = 19;
const ENTRIES: usize = 1 << BITS;
/// Most entries in use: half, so that probes stay short.
pub(crate) const MOST: usize = ENTRIES / 2;
/// Words of the control page and the table.
pub(crate) const WORDS: usize = PAGE_WORDS + 2 * ENTRIES;

const ONE_BYTE: u64 = 1 << 63;

/// The table as anybody sees it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    words: Arc<SharedWords>,
}

impl Table {
    pub(crate) fn new(words: Arc<SharedWords>) -> Table {
        Table { words }
    }

    /// A multiplier that nobody outside knows: positions depend on keys, and keys come from strangers.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        if self.words.load(MULTIPLIER, Ordering::Relaxed) == 0 {
            let (word, _) = crate::sys::random()?
                .split_first_chunk::<8>()
                .map_or(([0; 8], &[][..]), |(w, rest)| (*w, rest));
            let odd = u64::from_ne_bytes(word) | 1;
            self.words.store(MULTIPLIER, odd, Ordering::Release);
        }
        Ok(())
    }

    fn first(&self, key: u64) -> usize {
        let multiplier = self.words.load(MULTIPLIER, Ordering::Relaxed);
        (key.wrapping_mul(multiplier) >> (64 - BITS)) as usize
    }

    fn get(&self, key: u64) -> Option<u64> {
        if self.words.load(COUNT, Ordering::Acquire) == 0 {
            return None;
        }
        let first = self.first(key);
        for i in 0..ENTRIES {
            let at = PAGE_WORDS + 2 * ((first + i) % ENTRIES);
            match self.words.load(at, Ordering::Acquire) {
                0 => break,
                k if k == key => return Some(self.words.load(at + 1, Ordering::Acquire)),
                _ => {}
            }
        }
        None
    }

    /// The slot at `at`, if it changed since the last checkpoint.
    pub(crate) fn slot(&self, at: u64) -> Option<u64> {
        self.get(at)
    }

    /// Lays changed flags and memory size over the head of the record at `at`.
    pub(crate) fn overlay_marks(&self, at: u64, head: &mut [u8]) {
        if self.words.load(MARKS, Ordering::Acquire) == 0 {
            return;
        }
        if let Some(flags) = self.get((at + 32) | ONE_BYTE) {
            head[32] = flags.to_be_bytes()[0];
        }
        if let Some(size) = self.get(at + 33) {
            head[33..41].copy_from_slice(&size.to_be_bytes());
        }
    }
}

/// The table as the writer sees it.
#[derive(Debug)]
pub(crate) struct Deferred {
    pub(crate) table: Table,
    /// Entries in use, in the order in which they were taken.
    used: Vec<u32>,
    /// Most of them.
    most: usize,
}

impl Deferred {
    /// Takes the table over, emptying it: what an earlier writer left there is in the store file by now.
    pub(crate) fn take(table: Table, most: usize) -> Deferred {
        if table.words.load(COUNT, Ordering::Relaxed) != 0 {
            for i in 0..ENTRIES {
                table.words.store(PAGE_WORDS + 2 * i, 0, Ordering::Relaxed);
            }
        }
        let deferred = Deferred {
            table,
            used: Vec::new(),
            most,
        };
        deferred.set_counts(0, false);
        deferred
    }

    /// A table that only this writer sees.
    pub(crate) fn private(most: usize) -> io::Result<Deferred> {
        let table = Table::new(Arc::new(SharedWords::private(WORDS)?));
        table.prepare()?;
        Ok(Deferred::take(table, most))
    }

    fn set_counts(&self, count: usize, marks: bool) {
        let words = &self.table.words;
        words.store(MARKS, u64::from(marks), Ordering::Release);
        words.store(COUNT, count as u64, Ordering::Release);
    }

    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }

    /// There is room for `count` more changes.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.used.len() + count <= self.most
    }

    /// Takes changes in. The caller has made sure that there is room, and has told readers that the index is moving.
    pub(crate) fn add(&mut self, patches: &[Patch]) {
        let words = &self.table.words;
        // A memory size never changes without the flags.
        let marks = patches.iter().any(|p| p.len == 1) || words.load(MARKS, Ordering::Relaxed) != 0;
        // The number first: should the writer die here, its successor knows that there is something to clear.
        self.set_counts(self.used.len() + patches.len(), marks);
        for p in patches {
            let key = if p.len == 1 { p.at | ONE_BYTE } else { p.at };
            let value = u64::from_be_bytes(p.bytes);
            let mut i = self.table.first(key);
            loop {
                let at = PAGE_WORDS + 2 * i;
                let found = words.load(at, Ordering::Relaxed);
                if found == 0 || found == key {
                    // The value first: a reader that sees the position takes it.
                    words.store(at + 1, value, Ordering::Release);
                    if found == 0 {
                        words.store(at, key, Ordering::Release);
                        self.used.push(i as u32);
                    }
                    break;
                }
                i = (i + 1) % ENTRIES;
            }
        }
        self.set_counts(self.used.len(), marks);
    }

    /// Writes all changes into the store file and empties the table. No reader is disturbed: an entry goes only when the
    /// file says the same. After an error everything is still in the table.
    pub(crate) fn drain<F: FileLayer>(&mut self, main: &F) -> io::Result<()> {
        if self.used.is_empty() {
            return Ok(());
        }
        let words = &self.table.words;
        let mut patches: Vec<Patch> = self
            .used
            .iter()
            .map(|i| {
                let at = PAGE_WORDS + 2 * *i as usize;
                let key = words.load(at, Ordering::Relaxed);
                Patch {
                    at: key & !ONE_BYTE,
                    len: if key & ONE_BYTE == 0 { 8 } else { 1 },
                    bytes: words.load(at + 1, Ordering::Relaxed).to_be_bytes(),
                }
            })
            .collect();
        apply_patches(main, &mut patches)?;
        for i in self.used.drain(..) {
            words.store(PAGE_WORDS + 2 * i as usize, 0, Ordering::Release);
        }
        self.set_counts(0, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::sync::Mutex;

    /// A file in memory.
    struct Bytes(Mutex<Vec<u8>>);

    impl FileLayer for Bytes {
        fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
            buf.copy_from_slice(&self.0.lock().unwrap()[at as usize..at as usize + buf.len()]);
            Ok(buf.len())
        }
        fn write_at(&self, at: u64, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap()[at as usize..at as usize + buf.len()].copy_from_slice(buf);
            Ok(buf.len())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn size(&self) -> io::Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }
        fn reserve(&self, _: u64, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    fn patch(at: u64, value: u64) -> Patch {
        Patch {
            at,
            len: 8,
            bytes: value.to_be_bytes(),
        }
    }

    #[test]
    fn the_last_change_of_each_position_is_found_and_reaches_the_file() {
        let mut deferred = Deferred::private(MOST).unwrap();
        let file = Bytes(Mutex::new(vec![7; 1 << 20]));
        let mut model = file.0.lock().unwrap().clone();
        let mut x = 1u64;
        let mut random = |below: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x % below
        };
        for round in 0..4 {
            let mut last = HashMap::new();
            for _ in 0..50 {
                // Some positions again and again, many next to each other; all at the unaligned places of the format.
                let mut patches: Vec<Patch> = (0..400)
                    .map(|_| {
                        let span = if random(2) == 0 { 300 } else { 100_000 };
                        patch(44 + 8 * random(span), random(u64::MAX))
                    })
                    .collect();
                patches.sort_unstable_by_key(|p| p.at);
                patches.dedup_by_key(|p| p.at);
                assert!(deferred.has_room(patches.len()));
                deferred.add(&patches);
                for p in patches {
                    last.insert(p.at, u64::from_be_bytes(p.bytes));
                }
            }
            assert_eq!(deferred.len(), last.len());
            for (at, value) in &last {
                assert_eq!(deferred.table.slot(*at), Some(*value));
                model[*at as usize..*at as usize + 8].copy_from_slice(&value.to_be_bytes());
            }
            assert_eq!(deferred.table.slot(43), None, "round {round}");
            deferred.drain(&file).unwrap();
            assert!(*file.0.lock().unwrap() == model, "round {round}");
            assert_eq!(deferred.len(), 0);
            assert!(last.keys().all(|at| deferred.table.slot(*at).is_none()));
            let words = &deferred.table.words;
            let free = |i| words.load(PAGE_WORDS + 2 * i, Ordering::Relaxed) == 0;
            assert!((0..ENTRIES).all(free));
        }
    }

    #[test]
    fn flags_lie_over_the_head_of_their_record_alone() {
        let mut deferred = Deferred::private(MOST).unwrap();
        let flags = Patch {
            at: 1032,
            len: 1,
            bytes: [0x23, 0, 0, 0, 0, 0, 0, 0],
        };
        deferred.add(&[flags, patch(1033, 99), patch(32 + 500, 5)]);
        let mut head = [0xaa; 43];
        deferred.table.overlay_marks(1000, &mut head);
        assert_eq!(head[32], 0x23);
        assert_eq!(head[33..41], 99u64.to_be_bytes());
        assert!(head[..32].iter().chain(&head[41..]).all(|b| *b == 0xaa));
        // A slot where another record would have its flags is no flag.
        let mut head = [0xaa; 43];
        deferred.table.overlay_marks(500, &mut head);
        assert_eq!(head, [0xaa; 43]);
        let file = Bytes(Mutex::new(vec![7; 2000]));
        deferred.drain(&file).unwrap();
        let bytes = file.0.lock().unwrap();
        assert_eq!(bytes[1032..1041], [0x23, 0, 0, 0, 0, 0, 0, 0, 99]);
        assert_eq!(bytes[1041], 7);
    }

    #[test]
    fn what_a_dead_writer_left_is_cleared_however_far_it_came() {
        let words = Arc::new(SharedWords::private(WORDS).unwrap());
        let table = Table::new(words.clone());
        table.prepare().unwrap();
        let mut first = Deferred::take(table.clone(), MOST);
        first.add(&[patch(100, 1), patch(200, 2)]);
        drop(first);
        let second = Deferred::take(table.clone(), MOST);
        assert_eq!((table.slot(100), table.slot(200)), (None, None));
        // This one dies in the middle: the number is set, one entry is there, the other is not.
        second.set_counts(2, false);
        words.store(PAGE_WORDS + 2 * table.first(400), 400, Ordering::Relaxed);
        assert!(table.slot(400).is_some());
        let mut third = Deferred::take(table.clone(), MOST);
        assert_eq!(table.slot(400), None);
        third.add(&[patch(300, 3)]);
        assert_eq!((table.slot(100), table.slot(400)), (None, None));
        assert_eq!(table.slot(300), Some(3));
        // A successor hashes as this one did: readers go on with the page.
        table.prepare().unwrap();
        assert_eq!(table.slot(300), Some(3));
    }
}
