//! Checking a store: the index by the rules of the format, every record by its hash, and the tree under a root.

use std::collections::HashMap;

use crate::collect::Cells;
use crate::error::Error;
use crate::format::Key;
use crate::index::{self, Finding, IndexStats, Positions, Walk};
use crate::source::{Fault, Record, Source, record};

/// Findings and missing keys that a report keeps; all are counted.
pub(crate) const KEEP: usize = 1000;

/// Result of [`verify`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Size statistics of the index.
    pub stats: IndexStats,
    /// Records whose encoding has the hash that it is stored under.
    pub sound: u64,
    /// Encoding bytes of those.
    pub encoding_bytes: u64,
    /// Broken rules, the first thousand.
    pub findings: Vec<Finding>,
    /// Number of all broken rules.
    pub finding_count: u64,
}

impl Report {
    /// Nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.finding_count == 0
    }

    fn add(&mut self, finding: Finding) {
        self.finding_count += 1;
        if self.findings.len() < KEEP {
            self.findings.push(finding);
        }
    }
}

/// Walks the whole index and hashes every record. Works on a store in use through a [`Reader`](crate::Reader), and on any
/// bytes: what is wrong is reported, never trusted. `progress` is told the number of root slots done, of 65,536, from time to
/// time; it returns `false` to stop early.
pub fn verify<S: Source + ?Sized>(
    source: &S,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Report, Fault> {
    let mut report = Report::default();
    let mut walk = Walk::new();
    let mut batch: Vec<Record> = Vec::new();
    let mut held = 0;
    while let Some(visit) = walk.step(source)? {
        for finding in visit.findings {
            report.add(finding);
        }
        for at in visit.records {
            match record(source, at) {
                Ok(r) => {
                    held += r.size();
                    batch.push(r);
                    // Several records are hashed side by side.
                    if held > 64 << 10 {
                        hash(&mut batch, &mut report);
                        held = 0;
                    }
                }
                Err(Fault::Corrupt { at, why }) => report.add(Finding { at, why }),
                Err(e) => return Err(e),
            }
        }
        if !progress(walk.done()) {
            break;
        }
    }
    hash(&mut batch, &mut report);
    report.stats = walk.stats;
    Ok(report)
}

fn hash(batch: &mut Vec<Record>, report: &mut Report) {
    let inputs: Vec<&[u8]> = batch.iter().map(|r| &r.encoding[..]).collect();
    let mut hashes = vec![[0; 32]; inputs.len()];
    crypto::sha3_256_many(&inputs, &mut hashes);
    for (r, hash) in batch.iter().zip(hashes) {
        if hash == r.key {
            report.sound += 1;
            report.encoding_bytes += r.encoding.len() as u64;
        } else {
            report.add(Finding {
                at: r.at,
                why: "the encoding does not have the hash that it is stored under",
            });
        }
    }
    batch.clear();
}

/// All records that the index names, in the order of their keys' digits, hashes not yet compared. An error about one
/// record does not end the iteration; what lies under a wrong slot is left out (see [`verify`]).
pub fn records<S: Source + ?Sized>(source: &S) -> impl Iterator<Item = Result<Record, Fault>> + '_ {
    Positions::new(source).map(move |at| record(source, at?))
}

/// Looks a key up in bytes that nobody changes. The hash is verified.
pub fn find<S: Source + ?Sized>(source: &S, key: &Key) -> Result<Option<Record>, Fault> {
    let Some(at) = index::find(source, key)? else {
        return Ok(None);
    };
    let record = record(source, at)?;
    if record.key != *key || !record.is_sound() {
        return Err(Fault::corrupt(
            at,
            "the encoding does not have the hash that it is stored under",
        ));
    }
    Ok(Some(record))
}

/// Result of [`reach`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Distinct cells reached.
    pub cells: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Keys that are referred to but absent or damaged, the first thousand.
    pub missing: Vec<Key>,
    /// Number of references to absent or damaged cells.
    pub missing_count: u64,
}

impl Reach {
    /// The whole tree is there.
    pub fn is_complete(&self) -> bool {
        self.missing_count == 0
    }

    fn miss(&mut self, key: Key) {
        self.missing_count += 1;
        if self.missing.len() < KEEP {
            self.missing.push(key);
        }
    }
}

/// Follows all references from `roots`. Every cell met is read and its hash compared. Memory: 1/43 of the part of the file
/// that the tree lies in, and the references waiting.
pub fn reach<C: Cells + ?Sized, E>(
    cells: &C,
    roots: &[Key],
    branches: impl Fn(&[u8]) -> Result<Vec<Key>, E>,
) -> Result<Reach, Error> {
    let mut reach = Reach::default();
    let mut seen = Seen::default();
    let mut waiting: Vec<Key> = roots.to_vec();
    while let Some(key) = waiting.pop() {
        let record = match cells.cell(&key) {
            Ok(Some(record)) => record,
            Ok(None) | Err(Error::Corrupt { .. }) => {
                reach.miss(key);
                continue;
            }
            Err(e) => return Err(e),
        };
        if !seen.insert(record.at) {
            continue;
        }
        match branches(&record.encoding) {
            Ok(children) => waiting.extend(children),
            Err(_) => reach.miss(key),
        }
        reach.cells += 1;
        reach.bytes += record.size();
    }
    Ok(reach)
}

/// Positions of records seen: one byte per 43 bytes of file, since records of a sound file start at least that far apart.
/// Where two start closer (only by intent), the second is kept apart.
#[derive(Default)]
struct Seen {
    pages: HashMap<u64, Box<[u8]>>,
    crowded: std::collections::HashSet<u64>,
}

impl Seen {
    fn insert(&mut self, at: u64) -> bool {
        const PAGE: u64 = 4096;
        let (cell, place) = (at / 43, (at % 43) as u8 + 1);
        let page = self
            .pages
            .entry(cell / PAGE)
            .or_insert_with(|| vec![0; PAGE as usize].into());
        let slot = &mut page[(cell % PAGE) as usize];
        if *slot == 0 {
            *slot = place;
            return true;
        }
        *slot != place && self.crowded.insert(at)
    }
}
