//! Hostile bytes as an Etch file: a damaged store, or bytes that never were one.
//!
//! - Looking up, listing, verifying, following the root, scanning and repairing end with an answer: no panic, no endless
//!   loop, work and memory bounded by the size of the file.
//! - A cell that is handed out has the hash that was asked for.
//! - Opening for writing refuses, or gives a store that takes new cells and loses none that it could show before.
//! - A repaired store is sound throughout, whatever it was made from.
#![no_main]

use arbitrary::{Result, Unstructured};
use convexd_fuzz::disk::MemoryFile;
use convexd_fuzz::make;
use convexd_fuzz::store::{damage, empty, encodings, filled, open, references};
use etch::{
    EMPTY_LENGTH, Flags, Image, Key, ScanLimit, find, header, reach, rebuild, records, scan, verify,
};
use libfuzzer_sys::fuzz_target;

/// Looks at every slot and record.
fn walk(bytes: &[u8]) {
    let image = Image(bytes);
    let report = verify(&image, |_| true).expect("memory does not fail");
    assert!(report.stats.records >= report.sound);
    let seen = report.stats.index_bytes + report.stats.record_bytes;
    assert!(
        seen <= bytes.len() as u64 + EMPTY_LENGTH,
        "more than there is"
    );
    let mut listed = 0;
    for record in records(&image).flatten() {
        assert!(record.at + record.size() <= bytes.len() as u64);
        listed += 1;
    }
    assert!(listed <= report.stats.records);
}

/// Looks keys up and follows them.
fn follow(bytes: &[u8], keys: &[Key]) {
    let image = Image(bytes);
    let root = header(&image).ok().map(|h| h.root);
    for key in keys.iter().chain(&root) {
        if let Ok(Some(record)) = find(&image, key) {
            assert!(record.is_sound() && record.key == *key);
        }
    }
    let roots: Vec<Key> = keys.iter().copied().chain(root).collect();
    let reached = reach(&image, &roots, references).expect("memory does not fail");
    assert!(reached.cells <= bytes.len() as u64);
}

/// Repairs, by the index and without it, into a new store, which must then be sound.
fn repair(bytes: &[u8], limit: Option<ScanLimit>) {
    let image = Image(bytes);
    let (main, log) = empty();
    let mut target = open(&main, &log).expect("a new store");
    let Ok(rebuilt) = rebuild(&image, &mut target, limit, references) else {
        return;
    };
    target.close().expect("space enough");
    let made = main.content();
    let report = verify(&Image(&made), |_| true).expect("memory does not fail");
    assert!(report.is_clean(), "{report:?}");
    assert!(report.sound <= rebuilt.records);
    let root = header(&Image(&made)).expect("a store").root;
    if rebuilt.root_complete && root != etch::NO_ROOT && root != etch::NIL_ROOT {
        let reached = reach(&Image(&made), &[root], references).expect("memory");
        assert!(reached.is_complete());
    }
}

/// Opens it for writing, as a peer would.
fn write(bytes: &[u8], log: Vec<u8>, keys: &[Key]) {
    // With a log that fits, the data ends where both say, and what a slot points to beyond that is damage. Without one the index
    // tells where it ends.
    let data = match header(&Image(bytes)) {
        Ok(header) if !log.is_empty() => &bytes[..bytes.len().min(header.length as usize)],
        _ => bytes,
    };
    let before: Vec<&Key> = keys
        .iter()
        .filter(|k| matches!(find(&Image(data), k), Ok(Some(_))))
        .collect();
    let (main, log) = (MemoryFile::new(bytes.to_vec()), MemoryFile::new(log));
    let Ok(mut writer) = open(&main, &log) else {
        return;
    };
    let new = cells::Cell::from("a cell that was not there").encode();
    let put = writer.put(&new, Flags::new(Flags::STORED, new.len()), 0);
    if let Ok((key, _)) = put
        && writer.commit().is_ok()
    {
        for key in before.into_iter().chain([&key]) {
            let found = writer.get(key).expect("it was readable");
            assert!(found.is_some(), "a write made a cell unreadable");
        }
        if writer.close().is_ok() {
            assert!(matches!(find(&Image(&main.content()), &key), Ok(Some(_))));
        }
    }
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let (kind, steps) = (u.int_in_range(0..=15)?, u.int_in_range(0..=12)?);
    let (main, log, keys) = if kind == 0 {
        // Bytes that never were a store, with or without the magic.
        let mut bytes = u.bytes(u.len().min(2000))?.to_vec();
        bytes.resize(EMPTY_LENGTH as usize, 0);
        (bytes, Vec::new(), vec![[7; 32]])
    } else {
        let (main, log, keys) = filled(&encodings(u)?);
        (main.content(), log.content(), keys)
    };
    let mut bytes = main;
    for _ in 0..steps {
        if damage(u, &mut bytes, &keys).is_err() {
            break;
        }
    }
    follow(&bytes, &keys);
    // One of the slow ones.
    match u.int_in_range(0..=5)? {
        0 => walk(&bytes),
        1 => repair(&bytes, None),
        2 => repair(&bytes, Some(ScanLimit::for_size(bytes.len() as u64))),
        3 => write(&bytes, Vec::new(), &keys),
        4 => write(&bytes, log, &keys),
        _ => {
            let limit = ScanLimit { bytes: 5000 };
            let found = scan(
                &Image(&bytes),
                limit,
                |_| true,
                |_| Ok::<(), etch::Fault>(()),
            );
            found.expect("memory does not fail");
        }
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(&make::stretched(data, 2000)));
});
