//! Making a sound store out of whatever bytes there are: import of foreign stores by their index, and repair that needs no
//! index (spec/07 §8, §12).

use crate::collect::Collector;
use crate::error::Error;
use crate::format::{
    Flags, HEADER_BYTES, Header, Key, MAX_EMBEDDED, MAX_ENCODING, NIL_ROOT, NO_ROOT, RECORD_HEAD,
    RecordHead,
};
use crate::index::{Finding, Walk};
use crate::layer::FileLayer;
use crate::source::{Fault, Record, Source, record};
use crate::verify::KEEP;
use crate::writer::Writer;

/// Bounds the work of a [`scan`] over bytes made to look like records everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimit {
    /// Most encoding bytes that are decoded or hashed.
    pub bytes: u64,
}

impl ScanLimit {
    /// For a file of `size` bytes: every byte in 64 candidates, far more than a file that was not made for it needs.
    pub fn for_size(size: u64) -> ScanLimit {
        ScanLimit {
            bytes: size.saturating_mul(64).saturating_add(64 << 20),
        }
    }
}

/// What a scan did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Records found.
    pub records: u64,
    /// The limit ended the scan here; what lies beyond was not looked at.
    pub stopped_at: Option<u64>,
}

/// Looks at every byte position for a record: plausible head, accepted by `is_cell`, right hash. Calls `found` with each in
/// order of position. Goes on behind a record found, one byte further otherwise.
pub fn scan<S: Source + ?Sized, X: From<Fault>>(
    source: &S,
    limit: ScanLimit,
    is_cell: impl Fn(&[u8]) -> bool,
    mut found: impl FnMut(Record) -> Result<(), X>,
) -> Result<Scanned, X> {
    const WINDOW: u64 = 1 << 20;
    const LONGEST: u64 = RECORD_HEAD + MAX_ENCODING as u64;
    let mut scanned = Scanned::default();
    let size = source.length();
    let mut left = limit.bytes;
    let mut at = HEADER_BYTES;
    let mut window: Vec<u8> = Vec::new();
    let mut window_at = 0;
    let mut window_end = 0;
    while at + RECORD_HEAD < size {
        if at + LONGEST > window_end && window_end < size || at < window_at {
            window_at = at;
            window_end = size.min(at + WINDOW + LONGEST);
            window.resize((window_end - at) as usize, 0);
            source.read(at, &mut window)?;
        }
        let bytes = &window[(at - window_at) as usize..];
        let Some(encoding) = candidate(bytes) else {
            at += 1;
            continue;
        };
        let Some(rest) = left.checked_sub(encoding.len() as u64) else {
            scanned.stopped_at = Some(at);
            return Ok(scanned);
        };
        left = rest;
        if is_cell(encoding) && crypto::sha3_256(encoding)[..] == bytes[..32] {
            let mut head = [0; RECORD_HEAD as usize];
            head.copy_from_slice(&bytes[..RECORD_HEAD as usize]);
            let head = RecordHead::decode(&head);
            let record = Record {
                at,
                key: head.key,
                flags: head.flags,
                memory_size: head.memory_size,
                encoding: encoding.to_vec(),
            };
            at += record.size();
            scanned.records += 1;
            found(record)?;
        } else {
            at += 1;
        }
    }
    Ok(scanned)
}

/// The encoding of the record that `bytes` may begin with: its head must be one that a writer writes (spec/07 §1.3).
fn candidate(bytes: &[u8]) -> Option<&[u8]> {
    let tail = bytes.get(32..RECORD_HEAD as usize)?;
    let length = usize::from(u16::from_be_bytes([tail[9], tail[10]]));
    if length == 0 || length > MAX_ENCODING {
        return None;
    }
    let flags = Flags(tail[0]);
    let kind_fits = match flags.0 & 0x30 {
        0x30 => false,
        0x20 => length > MAX_EMBEDDED,
        0x10 => length <= MAX_EMBEDDED,
        _ => true,
    };
    // Memory sizes saturate at 2^63 - 1.
    if !matches!(flags.status(), 1..=5 | 15) || !kind_fits || tail[1] & 0x80 != 0 {
        return None;
    }
    bytes.get(RECORD_HEAD as usize..RECORD_HEAD as usize + length)
}

/// What a rebuild did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Sound records found in the source.
    pub records: u64,
    /// What was wrong in the source's index, the first thousand. Empty when the index was not used.
    pub findings: Vec<Finding>,
    /// Number of all findings.
    pub finding_count: u64,
    /// Position where a scan ended early by its limit.
    pub stopped_at: Option<u64>,
    /// Root that the source's header names.
    pub root: Option<Key>,
    /// The root's whole tree is in the target, and the target's root is set to it.
    pub root_complete: bool,
    /// Keys below the root that are absent, the first thousand; a peer can fetch them from the network.
    pub missing: Vec<Key>,
    /// Number of those keys.
    pub missing_count: u64,
}

impl Rebuilt {
    fn add(&mut self, at: u64, why: &'static str) {
        self.finding_count += 1;
        if self.findings.len() < KEEP {
            self.findings.push(Finding { at, why });
        }
    }
}

/// Copies every sound record of `source` into the new store `target`: found by the index, or with `limit` given by a
/// scan over all byte positions that uses no index. Then proves the root's tree complete and sets the root; an incomplete
/// root is set too if its own record is there, with status 1, so that the reference does not start from it.
///
/// Nothing of the source is trusted: hashes are computed, encodings judged by `branches` (which must refuse what is not
/// canonical), statuses, verified-signature marks and memory sizes left behind. `source` should give all physical bytes,
/// since the data length in the header of a crashed store is stale.
pub fn rebuild<S: Source + ?Sized, F: FileLayer, E>(
    source: &S,
    target: &mut Writer<F>,
    limit: Option<ScanLimit>,
    branches: impl Fn(&[u8]) -> Result<Vec<Key>, E>,
) -> Result<Rebuilt, Error> {
    let mut rebuilt = Rebuilt::default();
    let name = target.name().to_owned();
    if let Some(limit) = limit {
        let scanned = scan(
            source,
            limit,
            |e| branches(e).is_ok(),
            |record| store(target, &record).map_err(Stop::Target),
        )
        .map_err(|stop| match stop {
            Stop::Target(e) => e,
            Stop::Source(f) => Error::fault(&name, "reading the source of a rebuild")(f),
        })?;
        rebuilt.records = scanned.records;
        rebuilt.stopped_at = scanned.stopped_at;
    } else {
        let fault = |f| Error::fault(&name, "reading the source of an import")(f);
        let mut walk = Walk::new();
        while let Some(visit) = walk.step(source).map_err(fault)? {
            for f in visit.findings {
                rebuilt.add(f.at, f.why);
            }
            for at in visit.records {
                let record = match record(source, at) {
                    Ok(record) => record,
                    Err(Fault::Corrupt { at, why }) => {
                        rebuilt.add(at, why);
                        continue;
                    }
                    Err(e) => return Err(fault(e)),
                };
                if !record.is_sound() {
                    rebuilt.add(
                        at,
                        "the encoding does not have the hash that it is stored under",
                    );
                } else if branches(&record.encoding).is_err() {
                    rebuilt.add(at, "the encoding is not a canonical cell");
                } else {
                    rebuilt.records += 1;
                    store(target, &record)?;
                }
            }
        }
    }
    take_root(source, target, branches, &mut rebuilt)?;
    target.commit()?;
    Ok(rebuilt)
}

enum Stop {
    Target(Error),
    Source(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Source(fault)
    }
}

fn store<F: FileLayer>(target: &mut Writer<F>, record: &Record) -> Result<(), Error> {
    let flags = Flags::new(Flags::STORED, record.encoding.len());
    target.put_hashed(record.key, &record.encoding, flags, 0)?;
    if target.sizes().uncommitted > 8 << 20 {
        target.commit()?;
    }
    Ok(())
}

fn take_root<S: Source + ?Sized, F: FileLayer, E>(
    source: &S,
    target: &mut Writer<F>,
    branches: impl Fn(&[u8]) -> Result<Vec<Key>, E>,
    rebuilt: &mut Rebuilt,
) -> Result<(), Error> {
    let mut b = [0; HEADER_BYTES as usize];
    if source.read(0, &mut b).is_err() {
        return Ok(());
    }
    let Ok(Header { root, .. }) = Header::decode(&b) else {
        return Ok(());
    };
    rebuilt.root = Some(root);
    if root == NO_ROOT || root == NIL_ROOT {
        rebuilt.root_complete = true;
        return target.set_root(root);
    }
    let mut proof = Collector::new(&[root]);
    let persisted = |r: &Record| (Flags::new(Flags::PERSISTED, r.encoding.len()), 0);
    while !proof.step_in_place(target, &branches, persisted, 4096)? {}
    rebuilt.root_complete = proof.is_complete(&root);
    rebuilt.missing = proof.collected().missing.clone();
    rebuilt.missing_count = proof.collected().missing_count;
    if target.flags(&root)?.is_some() {
        target.set_root(root)?;
    }
    Ok(())
}
