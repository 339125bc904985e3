//! The sample file that the reference wrote (spec/07 §9), byte for byte.

use std::collections::HashMap;

use crate::common::disk::Disk;
use etch::{Flags, Key, Options, Reader, Writer, header, records, verify};
use serde_json::Value;

fn lines() -> Vec<Value> {
    include_str!("../vectors/etch-small.jsonl")
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn unhex(v: &Value) -> Vec<u8> {
    let s = v.as_str().unwrap();
    (0..s.len() / 2)
        .map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

struct Listed {
    at: u64,
    key: Key,
    flags: u8,
    memory_size: u64,
    encoding: Vec<u8>,
}

fn listed() -> Vec<Listed> {
    lines()
        .iter()
        .filter(|l| l["kind"] == "record")
        .map(|l| Listed {
            at: l["offset"].as_u64().unwrap(),
            key: unhex(&l["key"]).try_into().unwrap(),
            flags: unhex(&l["flags"])[0],
            memory_size: l["memorySize"].as_u64().unwrap(),
            encoding: unhex(&l["encoding"]),
        })
        .collect()
}

/// Zero fill plus the listed entries.
fn sample() -> Vec<u8> {
    let lines = lines();
    let length = lines[0]["dataLength"].as_u64().unwrap() as usize;
    let mut file = vec![0; length];
    let mut put = |at: usize, b: &[u8]| file[at..at + b.len()].copy_from_slice(b);
    put(0, &unhex(&lines[0]["hex"]));
    for l in &lines {
        let at = || l["offset"].as_u64().unwrap() as usize;
        if l["kind"] == "slot" {
            put(at(), &unhex(&l["value"]));
        }
    }
    for r in listed() {
        let at = r.at as usize;
        put(at, &r.key);
        put(at + 32, &[r.flags]);
        put(at + 33, &r.memory_size.to_be_bytes());
        put(at + 41, &(r.encoding.len() as u16).to_be_bytes());
        put(at + 43, &r.encoding);
    }
    file
}

fn root() -> Key {
    unhex(&lines()[0]["rootHash"]).try_into().unwrap()
}

#[test]
fn the_reference_sample_reads_completely_and_is_clean() {
    let file = sample();
    let image = etch::Image(&file);
    assert_eq!(header(&image).unwrap().root, root());
    assert_eq!(header(&image).unwrap().length, file.len() as u64);
    let report = verify(&image, |_| true).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.sound, 20);
    assert_eq!(report.stats.blocks[..3], [1, 3, 1]);
    assert_eq!(report.stats.extent, file.len() as u64);
    let found: HashMap<u64, _> = records(&image)
        .map(|r| r.unwrap())
        .map(|r| (r.at, r))
        .collect();
    assert_eq!(found.len(), 20);
    for l in listed() {
        let r = &found[&l.at];
        assert_eq!(
            (r.key, r.flags.0, r.memory_size, &r.encoding),
            (l.key, l.flags, l.memory_size, &l.encoding)
        );
        assert_eq!(etch::find(&image, &l.key).unwrap().as_ref(), Some(r));
    }
    assert_eq!(etch::find(&image, &[0; 32]).unwrap(), None);
}

/// The same single stores as the reference made, committed in groups of `group`.
fn write_like_the_reference(group: usize) -> Vec<u8> {
    let disk = Disk::new(vec![vec![], vec![]]);
    let (main, log) = (disk.file(0), disk.file(1));
    let mut w = Writer::open_files(
        main,
        "store".as_ref(),
        log,
        "log".as_ref(),
        Options::default(),
    )
    .unwrap();
    let all = listed();
    let mut n = 0;
    let mut commit = |w: &mut Writer<_>| {
        n += 1;
        if n % group == 0 {
            w.commit().unwrap();
        }
    };
    // 15 single stores with status STORED (the first is an interned constant), the rest written once with its last flags.
    for r in &all {
        let first = if r.flags == 0x23 && r.at < all[15].at {
            0x21
        } else {
            r.flags
        };
        let size = if first == 0x21 { 0 } else { r.memory_size };
        w.put_hashed(r.key, &r.encoding, Flags(first), size)
            .unwrap();
        commit(&mut w);
    }
    // The first two cells of the root map's tree were upgraded when it was persisted.
    for r in &all {
        assert!(w.raise(&r.key, Flags(r.flags), r.memory_size).unwrap());
        commit(&mut w);
    }
    w.set_root(root()).unwrap();
    w.commit().unwrap();
    w.close().unwrap();
    disk.files().swap_remove(0)
}

#[test]
fn the_same_stores_give_the_same_bytes_as_the_reference() {
    let sample = sample();
    for group in [1, 3, 1000] {
        let ours = write_like_the_reference(group);
        assert!(ours.len() >= sample.len());
        let (data, slack) = ours.split_at(sample.len());
        if let Some(at) = (0..sample.len()).find(|i| data[*i] != sample[*i]) {
            panic!("group {group}: first difference at {at:#x}");
        }
        assert!(slack.iter().all(|b| *b == 0));
    }
}

#[test]
fn a_file_from_the_reference_is_taken_over_and_handed_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.etch");
    let sample = sample();
    let mut physical = sample.clone();
    physical.resize(1_114_112, 0);
    std::fs::write(&path, &physical).unwrap();
    let mut w = Writer::open(&path, Options::default()).unwrap();
    assert!(w.recovery().checked && w.recovery().stale_length.is_none());
    assert_eq!(w.durable().length, sample.len() as u64);
    assert_eq!(w.root(), root());
    let (key, _) = w.put(b"\x11\x2a", Flags(0x13), 0).unwrap();
    w.commit().unwrap();
    w.close().unwrap();
    let (r, info) = Reader::inspect(&path).unwrap();
    assert_eq!(info.header.root, root());
    assert_eq!(info.header.length, sample.len() as u64 + 45);
    assert_eq!(r.get(&key).unwrap().unwrap(), b"\x11\x2a");
    for l in listed() {
        assert_eq!(r.get(&l.key).unwrap().unwrap(), l.encoding);
    }
    assert!(verify(&r, |_| true).unwrap().is_clean());
    // Opened again, the log says that nobody else was there: no check.
    let w = Writer::open(&path, Options::default()).unwrap();
    assert!(!w.recovery().checked);
}

#[test]
fn a_reference_file_with_a_stale_length_loses_nothing_and_overwrites_nothing() {
    // As after kill: the header's length is that of an early root, the slots point beyond it (spec/07 §8).
    let all = listed();
    let mut file = sample();
    let stale = all[10].at;
    file[4..12].copy_from_slice(&stale.to_be_bytes());
    file.resize(1_114_112, 0);
    let disk = Disk::new(vec![file, vec![]]);
    let open = || {
        Writer::open_files(
            disk.file(0),
            "store".as_ref(),
            disk.file(1),
            "log".as_ref(),
            Options::default(),
        )
        .unwrap()
    };
    let mut w = open();
    assert_eq!(w.recovery().stale_length, Some(stale));
    assert_eq!(w.durable().length, sample().len() as u64);
    w.put(b"\x11\x2b", Flags(0x13), 0).unwrap();
    w.commit().unwrap();
    // Not closed: the adopted length must survive in the log alone.
    drop(w);
    let w = open();
    assert_eq!(w.recovery().replayed, 1);
    for l in &all {
        assert_eq!(w.get(&l.key).unwrap().unwrap().encoding, l.encoding);
    }
    assert_eq!(w.durable().length, sample().len() as u64 + 45);
}
