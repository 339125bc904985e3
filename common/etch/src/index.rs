//! Looking a key up in the index, and walking all of it (spec/07 §2). Every loop is bounded by the levels, the size of a
//! block or the size of the file, whatever the bytes say.

use crate::format::{
    EMPTY_LENGTH, INDEX_AT, Key, LAST_LEVEL, RECORD_HEAD, RecordHead, Slot, block_bytes, digit,
    slots,
};
use crate::source::{Fault, Source, in_range};

/// Position of slot `i` of the block at `block`.
pub(crate) fn slot_at(block: u64, i: usize) -> u64 {
    block + i as u64 * 8
}

pub(crate) fn read_slot<S: Source + ?Sized>(
    source: &S,
    block: u64,
    i: usize,
) -> Result<Slot, Fault> {
    Ok(Slot::decode(source.slot(slot_at(block, i))?))
}

/// A pointer from the slot at `from` to `bytes` bytes at `to` stays inside the data.
pub(crate) fn check_pointer<S: Source + ?Sized>(
    source: &S,
    from: u64,
    to: u64,
    bytes: u64,
) -> Result<(), Fault> {
    if to < EMPTY_LENGTH || !in_range(to, bytes as usize, source.length()) {
        return Err(Fault::corrupt(
            from,
            "index slot points outside of the data",
        ));
    }
    Ok(())
}

/// Key of the record at `to`, which the slot at `from` points to.
pub(crate) fn key_at<S: Source + ?Sized>(source: &S, from: u64, to: u64) -> Result<Key, Fault> {
    check_pointer(source, from, to, RECORD_HEAD)?;
    let mut key = [0; 32];
    source.read(to, &mut key)?;
    Ok(key)
}

/// Position of the record with `key`, or `None` when the index proves that there is none.
pub(crate) fn find<S: Source + ?Sized>(source: &S, key: &Key) -> Result<Option<u64>, Fault> {
    let mut block = INDEX_AT;
    for level in 0..=LAST_LEVEL {
        let d = digit(key, level);
        let at = slot_at(block, d);
        match read_slot(source, block, d)? {
            // A slot taken by another digit's chain: no record of this digit can exist.
            Slot::Empty | Slot::Next(_) => return Ok(None),
            Slot::Data(to) => return Ok((key_at(source, at, to)? == *key).then_some(to)),
            Slot::Block(to) => {
                if level == LAST_LEVEL {
                    break;
                }
                check_pointer(source, at, to, block_bytes(level + 1))?;
                block = to;
            }
            Slot::Start(first) => {
                if key_at(source, at, first)? == *key {
                    return Ok(Some(first));
                }
                let n = slots(level);
                for i in 1..n {
                    let j = (d + i) % n;
                    let Slot::Next(to) = read_slot(source, block, j)? else {
                        break;
                    };
                    if key_at(source, slot_at(block, j), to)? == *key {
                        return Ok(Some(to));
                    }
                }
                return Ok(None);
            }
        }
    }
    Err(Fault::corrupt(block, "index deeper than its last level"))
}

/// A rule of the format that the file breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Position of the slot or record concerned.
    pub at: u64,
    /// Rule that is broken.
    pub why: &'static str,
}

/// What a walk over the index counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexStats {
    /// Index blocks by level.
    pub blocks: [u64; 60],
    /// Bytes of all index blocks.
    pub index_bytes: u64,
    /// Records that the index names.
    pub records: u64,
    /// Bytes of those records, their 43-byte heads included.
    pub record_bytes: u64,
    /// Slots that belong to a chain.
    pub chained: u64,
    /// End of the last block or record that the index names.
    pub extent: u64,
}

impl Default for IndexStats {
    fn default() -> IndexStats {
        IndexStats {
            blocks: [0; 60],
            index_bytes: 0,
            records: 0,
            record_bytes: 0,
            chained: 0,
            extent: 0,
        }
    }
}

/// What hangs below one slot of the root block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visit {
    /// Positions of records that lie inside the data and under a slot that fits their key.
    pub(crate) records: Vec<u64>,
    pub(crate) findings: Vec<Finding>,
}

/// Most findings kept below one root slot; more say nothing new.
const MAX_FINDINGS: usize = 1000;
/// Attempts to see the tree below one root slot between two writes.
const ATTEMPTS: usize = 20_000;

/// A walk over the whole index, one slot of the root block at a time.
///
/// Blocks and records of a sound file never overlap, so the bytes visited never exceed the bytes there are. A file whose
/// index is shared or cyclic breaks that and the walk ends there: no set of visited places is needed.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    next: usize,
    /// Digit of the chain that the slot before `next` belongs to.
    chain: Option<usize>,
    pub(crate) stats: IndexStats,
    exhausted: bool,
}

struct Frame {
    block: u64,
    level: u8,
    slots: Vec<u64>,
    next: usize,
    chain: Option<usize>,
}

impl Walk {
    pub(crate) fn new() -> Walk {
        let mut stats = IndexStats {
            index_bytes: block_bytes(0),
            extent: EMPTY_LENGTH,
            ..IndexStats::default()
        };
        stats.blocks[0] = 1;
        Walk {
            next: 0,
            chain: None,
            stats,
            exhausted: false,
        }
    }

    /// Number of root slots done.
    pub(crate) fn done(&self) -> usize {
        self.next
    }

    /// Visits the next root slot that is not empty; `None` after the last one.
    pub(crate) fn step<S: Source + ?Sized>(&mut self, source: &S) -> Result<Option<Visit>, Fault> {
        // Most slots of a small store are empty, and an empty one can't be wrong, moving or not.
        while self.next < slots(0)
            && !self.exhausted
            && matches!(source.slot(slot_at(INDEX_AT, self.next)), Ok(0))
        {
            self.chain = None;
            self.next += 1;
        }
        if self.next >= slots(0) || self.exhausted {
            return Ok(None);
        }
        for _ in 0..ATTEMPTS {
            let before = source.stamp();
            let mut attempt = self.clone();
            let visit = attempt.visit(source);
            let stable = before.is_some() && source.stamp() == before;
            if stable || matches!(&visit, Ok(v) if v.findings.is_empty()) {
                *self = attempt;
                return visit.map(Some);
            }
            std::thread::yield_now();
        }
        Err(Fault::Moving)
    }

    fn visit<S: Source + ?Sized>(&mut self, source: &S) -> Result<Visit, Fault> {
        let mut visit = Visit::default();
        let d = self.next;
        self.next += 1;
        let n = slots(0);
        let mut root_slot = |i: usize| source.slot(slot_at(INDEX_AT, i));
        let (raw, next) = match (root_slot(d), root_slot((d + 1) % n)) {
            (Ok(raw), Ok(next)) => (raw, next),
            (Err(Fault::Corrupt { at, why }), _) | (_, Err(Fault::Corrupt { at, why })) => {
                visit.note(at, why);
                self.exhausted = true;
                return Ok(visit);
            }
            (Err(e), _) | (_, Err(e)) => return Err(e),
        };
        if d == 0 && matches!(Slot::decode(raw), Slot::Next(_)) {
            self.chain = match chain_start(n, d, &mut root_slot) {
                Err(Fault::Corrupt { .. }) => None,
                other => other?,
            };
        }
        let mut path = [0usize; 60];
        let mut stack: Vec<Frame> = Vec::new();
        let mut chain = self.chain;
        self.take(
            source, &mut visit, &mut stack, &mut path, INDEX_AT, 0, d, raw, next, &mut chain,
        )?;
        self.chain = chain;
        while let Some(mut frame) = stack.pop() {
            if frame.next == frame.slots.len() {
                continue;
            }
            let i = frame.next;
            frame.next += 1;
            let raw = frame.slots[i];
            let next = frame.slots[(i + 1) % frame.slots.len()];
            if i == 0 && matches!(Slot::decode(raw), Slot::Next(_)) {
                let all = &frame.slots;
                frame.chain = chain_start(all.len(), 0, &mut |j| Ok(all[j]))?;
            }
            let (block, level, mut chain) = (frame.block, frame.level, frame.chain);
            let slot = stack.len();
            stack.push(frame);
            self.take(
                source, &mut visit, &mut stack, &mut path, block, level, i, raw, next, &mut chain,
            )?;
            stack[slot].chain = chain;
        }
        Ok(visit)
    }

    /// Takes one slot: notes its record, or pushes its block.
    #[allow(clippy::too_many_arguments)] // the state of one walk, passed through one private call
    fn take<S: Source + ?Sized>(
        &mut self,
        source: &S,
        visit: &mut Visit,
        stack: &mut Vec<Frame>,
        path: &mut [usize; 60],
        block: u64,
        level: u8,
        i: usize,
        raw: u64,
        next: u64,
        chain: &mut Option<usize>,
    ) -> Result<(), Fault> {
        let at = slot_at(block, i);
        path[usize::from(level)] = i;
        if self.exhausted {
            return Ok(());
        }
        let result = match Slot::decode(raw) {
            Slot::Empty => {
                *chain = None;
                Ok(())
            }
            Slot::Data(to) => {
                *chain = None;
                self.take_record(source, visit, path, level, at, to)
            }
            Slot::Start(to) => {
                *chain = Some(i);
                self.stats.chained += 1;
                if matches!(Slot::decode(next), Slot::Next(_)) {
                    self.take_record(source, visit, path, level, at, to)
                } else {
                    visit.note(at, "chain of a single record");
                    self.take_record(source, visit, path, level, at, to)
                }
            }
            Slot::Next(to) => {
                self.stats.chained += 1;
                match *chain {
                    Some(start) => {
                        path[usize::from(level)] = start;
                        self.take_record(source, visit, path, level, at, to)
                    }
                    None => Err(Fault::corrupt(at, "continuation of a chain without start")),
                }
            }
            Slot::Block(to) => {
                *chain = None;
                self.take_block(source, stack, level, at, to)
            }
        };
        match result {
            Err(Fault::Corrupt { at, why }) => {
                visit.note(at, why);
                Ok(())
            }
            other => other,
        }
    }

    fn take_block<S: Source + ?Sized>(
        &mut self,
        source: &S,
        stack: &mut Vec<Frame>,
        level: u8,
        at: u64,
        to: u64,
    ) -> Result<(), Fault> {
        if level == LAST_LEVEL {
            return Err(Fault::corrupt(at, "index deeper than its last level"));
        }
        let bytes = block_bytes(level + 1);
        check_pointer(source, at, to, bytes)?;
        self.spend(source, at, bytes)?;
        let slots = (0..slots(level + 1))
            .map(|i| source.slot(slot_at(to, i)))
            .collect::<Result<_, _>>()?;
        self.stats.blocks[usize::from(level) + 1] += 1;
        self.stats.index_bytes += bytes;
        self.stats.extent = self.stats.extent.max(to + bytes);
        stack.push(Frame {
            block: to,
            level: level + 1,
            slots,
            next: 0,
            chain: None,
        });
        Ok(())
    }

    fn take_record<S: Source + ?Sized>(
        &mut self,
        source: &S,
        visit: &mut Visit,
        path: &[usize; 60],
        level: u8,
        at: u64,
        to: u64,
    ) -> Result<(), Fault> {
        check_pointer(source, at, to, RECORD_HEAD)?;
        let head = RecordHead::decode(&source.head(to)?);
        if head.length == 0 || usize::from(head.length) > crate::format::MAX_ENCODING {
            return Err(Fault::corrupt(
                to,
                "record with an impossible encoding length",
            ));
        }
        let size = RECORD_HEAD + u64::from(head.length);
        check_pointer(source, at, to, size)?;
        if (0..=level).any(|l| digit(&head.key, l) != path[usize::from(l)]) {
            return Err(Fault::corrupt(
                at,
                "record under a slot that is not its key's",
            ));
        }
        self.spend(source, at, size)?;
        self.stats.records += 1;
        self.stats.record_bytes += size;
        self.stats.extent = self.stats.extent.max(to + size);
        visit.records.push(to);
        Ok(())
    }

    fn spend<S: Source + ?Sized>(&mut self, source: &S, at: u64, bytes: u64) -> Result<(), Fault> {
        let seen = crate::format::HEADER_BYTES + self.stats.index_bytes + self.stats.record_bytes;
        if seen + bytes > source.length() {
            self.exhausted = true;
            return Err(Fault::corrupt(
                at,
                "index names more bytes than the file has: blocks or records overlap; walk ended",
            ));
        }
        Ok(())
    }
}

impl Visit {
    fn note(&mut self, at: u64, why: &'static str) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { at, why });
        }
    }
}

/// Digit of the chain that slot `i` continues, looking backwards cyclically.
fn chain_start(
    n: usize,
    i: usize,
    slot: &mut dyn FnMut(usize) -> Result<u64, Fault>,
) -> Result<Option<usize>, Fault> {
    for back in 1..n {
        let j = (i + n - back) % n;
        match Slot::decode(slot(j)?) {
            Slot::Next(_) => {}
            Slot::Start(_) => return Ok(Some(j)),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// All records that the index names, in the order of its digits, as positions.
pub(crate) struct Positions<'a, S: Source + ?Sized> {
    source: &'a S,
    walk: Walk,
    ready: Vec<u64>,
}

impl<'a, S: Source + ?Sized> Positions<'a, S> {
    pub(crate) fn new(source: &'a S) -> Self {
        Positions {
            source,
            walk: Walk::new(),
            ready: Vec::new(),
        }
    }
}

impl<S: Source + ?Sized> Iterator for Positions<'_, S> {
    type Item = Result<u64, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(at) = self.ready.pop() {
                return Some(Ok(at));
            }
            match self.walk.step(self.source) {
                Ok(Some(visit)) => {
                    self.ready = visit.records;
                    self.ready.reverse();
                }
                Ok(None) => return None,
                Err(e) => {
                    self.walk.exhausted = true;
                    return Some(Err(e));
                }
            }
        }
    }
}
