//! Hostile bytes as the redo log of a sound store: damaged logs, and logs whose checksums are right but whose content is
//! not.
//!
//! - Recovery refuses or gives a store: no panic, no endless loop, memory bounded by the files.
//! - A store that opened opens again after it was closed, with the same root and length, and goes on taking cells.
//! - A log that was only cut short or damaged, none of it forged, never takes away what the store file itself holds, and
//!   every commit whose frame is whole is there.
#![no_main]

use arbitrary::{Result, Unstructured};
use convexd_fuzz::disk::MemoryFile;
use convexd_fuzz::make;
use convexd_fuzz::store::{encodings, filled, neighbours, open};
use etch::{EMPTY_LENGTH, Flags, HEADER_BYTES, Image, Key, find};
use libfuzzer_sys::fuzz_target;

const PAGE: usize = 4096;
const SECRET: [u8; 32] = [9; 32];

/// A number: the expected one, one near it, or any.
fn number(u: &mut Unstructured<'_>, expected: u64) -> Result<u64> {
    Ok(match u.int_in_range(0..=11)? {
        0 => u.arbitrary()?,
        1 => expected
            .wrapping_add(u.int_in_range(0..=2)?)
            .wrapping_sub(1),
        2 => 1 << u.int_in_range(0..=63)?,
        _ => expected,
    })
}

/// Fields of the log's base, in the order of its bytes.
struct Base {
    epoch: u64,
    sequence: u64,
    length: u64,
    root: Key,
}

fn page(content: &[u8]) -> Vec<u8> {
    let mut page = content.to_vec();
    page.resize(content.len().next_multiple_of(PAGE), 0);
    page
}

/// A log header with the right checksum.
fn forged_base(u: &mut Unstructured<'_>, main: &[u8]) -> Result<(Vec<u8>, Base)> {
    let word = |at: usize| {
        main[at..at + 8]
            .iter()
            .fold(0, |n, b| n << 8 | u64::from(*b))
    };
    let length = number(u, word(4))?;
    let mut root: Key = [0; 32];
    root.copy_from_slice(&main[12..HEADER_BYTES as usize]);
    let base = Base {
        epoch: number(u, 4)?,
        sequence: number(u, 7)?,
        length,
        root,
    };
    let mut b = b"EtchLog2".to_vec();
    b.extend_from_slice(&base.epoch.to_be_bytes());
    b.extend_from_slice(&base.sequence.to_be_bytes());
    b.extend_from_slice(&base.length.to_be_bytes());
    b.extend_from_slice(&base.root);
    b.extend_from_slice(&number(u, main.len() as u64)?.to_be_bytes());
    b.extend_from_slice(&SECRET);
    b.extend_from_slice(&number(u, word(4))?.to_be_bytes());
    b.resize(128, 0);
    let sum = blake3::hash(&b);
    b.extend_from_slice(sum.as_bytes());
    Ok((page(&b), base))
}

/// A frame with the right checksum after `base`, and the state after it.
fn forged_frame(u: &mut Unstructured<'_>, base: &mut Base) -> Result<Vec<u8>> {
    let n = u.int_in_range(0..=600)?;
    let mut appended = u.bytes(n.min(u.len()))?.to_vec();
    appended.resize(n, 0);
    let patches = u.int_in_range(0..=4)?;
    let mut b = b"EtchFrm2".to_vec();
    b.extend_from_slice(&number(u, base.epoch)?.to_be_bytes());
    b.extend_from_slice(&number(u, base.sequence.wrapping_add(1))?.to_be_bytes());
    b.extend_from_slice(&number(u, base.length)?.to_be_bytes());
    b.extend_from_slice(&number(u, n as u64)?.to_be_bytes());
    b.extend_from_slice(&number(u, patches)?.to_be_bytes());
    b.extend_from_slice(&if u.arbitrary()? { base.root } else { [3; 32] });
    b.resize(120, 0);
    b.extend_from_slice(&appended);
    for _ in 0..patches {
        let at = u.int_in_range(0..=EMPTY_LENGTH + 2000)?;
        b.extend_from_slice(&number(u, at)?.to_be_bytes());
        b.push(u.int_in_range(0..=9)?);
        b.extend_from_slice(&u.arbitrary::<[u8; 8]>()?);
    }
    let mut sum = blake3::Hasher::new_keyed(&SECRET);
    sum.update(&b[120..]).update(&b[..88]);
    let sum = *sum.finalize().as_bytes();
    b[88..120].copy_from_slice(&sum);
    base.sequence = base.sequence.wrapping_add(1);
    base.length = base.length.wrapping_add(n as u64);
    Ok(page(&b))
}

/// Opens the store, if it opens, and uses it.
///
/// With a `forged` log the index may be damaged: then cells are unreadable, never absent.
fn recover(main: &MemoryFile, log: &MemoryFile, forged: bool) {
    let there = |found: std::result::Result<Option<etch::Record>, etch::Error>| match found {
        Ok(found) => assert!(found.is_some(), "a cell that was put is absent"),
        Err(error) => assert!(forged, "a cell that was put is unreadable: {error}"),
    };
    let Ok(mut writer) = open(main, log) else {
        return;
    };
    let root = writer.root();
    let new = &neighbours()[20];
    let flags = Flags::new(Flags::STORED, new.len());
    if let Ok((key, _)) = writer.put(new, flags, 0)
        && let Ok(durable) = writer.commit()
    {
        assert_eq!(durable.root, root);
        there(writer.get(&key));
        // The process dies here: what was committed is in the log.
        drop(writer);
        let Ok(again) = open(main, log) else {
            panic!("a committed store does not open");
        };
        assert_eq!(again.durable(), durable);
        there(again.get(&key));
        let closed = again.close().expect("nothing fails");
        let reopened = open(main, log).expect("a closed store");
        assert_eq!(
            (reopened.root(), reopened.durable().length),
            (root, closed.length)
        );
    }
}

/// A log as its writer made it, then damaged by chance.
fn damaged(u: &mut Unstructured<'_>, cells: &[Vec<u8>]) -> Result<()> {
    let (main, log, keys) = filled(cells);
    let held = main.content();
    // Commits that are only in the log: the store file is taken from before them.
    let mut writer = open(&main, &log).expect("a closed store");
    let mut commits = Vec::new();
    for new in &neighbours()[21..] {
        let flags = Flags::new(Flags::STORED, new.len());
        let (key, _) = writer.put(new, flags, 0).expect("a new cell");
        commits.push((writer.commit().expect("space enough"), key));
    }
    drop(writer);
    let main = MemoryFile::new(if u.arbitrary()? { held } else { main.content() });
    let mut bytes = log.content();
    let whole = bytes.clone();
    for _ in 0..u.int_in_range(0..=4)? {
        let at = if u.arbitrary()? {
            u.int_in_range(0..=bytes.len())?
        } else {
            // Near the start of a page, where the heads are.
            (PAGE * u.int_in_range(0..=6)? + u.int_in_range(0..=170)?).min(bytes.len())
        };
        if u.ratio(1, 4)? {
            bytes.truncate(at);
        } else if at < bytes.len() {
            bytes[at] ^= u.arbitrary::<u8>()?;
        }
    }
    let untouched = bytes == whole;
    let before = main.content();
    let log = MemoryFile::new(bytes);
    match open(&main, &log) {
        Ok(writer) => {
            for key in &keys {
                if matches!(find(&Image(&before), key), Ok(Some(_))) {
                    assert!(writer.get(key).expect("it was readable").is_some());
                }
            }
            let durable = writer.durable();
            // Acknowledged commits come back without gaps: all up to the one that recovery reached.
            for (commit, key) in &commits {
                if commit.sequence <= durable.sequence && commit.length <= durable.length {
                    assert!(writer.get(key).expect("committed").is_some());
                }
            }
            if untouched {
                assert_eq!(durable, commits.last().expect("some commits").0);
            }
            drop(writer);
            recover(&main, &log, false);
        }
        Err(error) => assert!(!untouched, "a log as written: {error}"),
    }
    Ok(())
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let kind = u.int_in_range(0..=4)?;
    let mut cells = encodings(u)?;
    cells.truncate(20);
    if kind == 0 {
        return damaged(u, &cells);
    }
    let (main, old_log, _) = filled(&cells);
    let log = if kind == 1 {
        // Nothing but the fuzzer's bytes after the magic.
        let mut b = b"EtchLog2".to_vec();
        b.extend_from_slice(u.bytes(u.len())?);
        b
    } else {
        let content = main.content();
        let (first, mut base) = forged_base(u, &content)?;
        let (mut b, second) = (first, forged_base(u, &content)?);
        if u.ratio(1, 3)? {
            b.extend(second.0);
            if second.1.epoch > base.epoch {
                base = second.1;
            }
        } else {
            b.resize(2 * PAGE, 0);
        }
        for _ in 0..u.int_in_range(0..=4)? {
            match forged_frame(u, &mut base) {
                Ok(frame) => b.extend(frame),
                Err(_) => break,
            }
        }
        if u.ratio(1, 8)? {
            b.extend(old_log.content());
        }
        b
    };
    recover(&main, &MemoryFile::new(log), true);
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(&make::stretched(data, 3000)));
});
