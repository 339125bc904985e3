//! Arbitrary and mutated bytes: no panic, no endless loop, memory bounded by the file.

use crate::common::disk::Disk;
use crate::common::{Rng, branches, cell, sha3};
use etch::{
    Error, Fault, Flags, Image, Key, Options, ScanLimit, Writer, find, header, reach, rebuild,
    records, scan, verify,
};

fn writer() -> Writer<crate::common::disk::DiskFile> {
    let disk = Disk::new(vec![vec![], vec![]]);
    Writer::open_files(
        disk.file(0),
        "target".as_ref(),
        disk.file(1),
        "target.redo".as_ref(),
        Options::default(),
    )
    .unwrap()
}

/// A store of a tree with chains and blocks, and its root.
fn good(seed: u64, cells: usize) -> (Vec<u8>, Key, Vec<Key>) {
    let disk = Disk::new(vec![vec![], vec![]]);
    let mut w = Writer::open_files(
        disk.file(0),
        "s".as_ref(),
        disk.file(1),
        "l".as_ref(),
        Options::default(),
    )
    .unwrap();
    let mut rng = Rng(seed);
    let mut keys: Vec<Key> = Vec::new();
    for _ in 0..cells {
        let n = rng.below(4).min(keys.len() as u64);
        let children: Vec<Key> = (0..n)
            .map(|_| keys[rng.below(keys.len() as u64) as usize])
            .collect();
        let filler = rng.below(90) as usize + 1;
        let e = cell(&children, &rng.bytes(filler));
        keys.push(w.put(&e, Flags::new(3, e.len()), 0).unwrap().0);
    }
    let root = *keys.last().unwrap();
    w.set_root(root).unwrap();
    w.commit().unwrap();
    w.close().unwrap();
    (disk.files().swap_remove(0), root, keys)
}

/// Everything that looks at bytes looks at these; returns the sound records that a verification counts.
fn look(file: &[u8], keys: &[Key]) -> u64 {
    let image = Image(file);
    let _ = header(&image);
    let report = verify(&image, |_| true).unwrap();
    assert!(report.stats.index_bytes + report.stats.record_bytes <= file.len() as u64 + 600_000);
    for r in records(&image).flatten() {
        assert!(r.at + r.size() <= file.len() as u64);
    }
    for k in keys {
        if let Ok(Some(r)) = find(&image, k) {
            assert_eq!(sha3(&r.encoding), *k);
        }
    }
    let reached = reach(&image, keys, branches).unwrap();
    assert!(reached.cells <= file.len() as u64 / 43);
    report.sound
}

#[test]
fn random_bytes_are_read_without_harm() {
    let mut rng = Rng(1);
    for n in [0, 1, 43, 44, 100, 5000, 524_332, 530_000] {
        let mut file = rng.bytes(n);
        look(&file, &[[0; 32], [255; 32]]);
        let head = [0xe7, 0xc6, 0, 1];
        let m = n.min(4);
        file[..m].copy_from_slice(&head[..m]);
        look(&file, &[[3; 32]]);
        let _ = Writer::open_files(
            Disk::new(vec![file.clone(), vec![]]).file(0),
            "s".as_ref(),
            Disk::new(vec![vec![]]).file(0),
            "l".as_ref(),
            Options::default(),
        );
    }
}

#[test]
fn mutated_stores_are_read_repaired_and_refused_without_harm() {
    let (file, root, keys) = good(7, 400);
    let image = Image(&file);
    assert!(reach(&image, &[root], branches).unwrap().is_complete());
    let used: Vec<usize> = (0..65536)
        .filter(|i| file[44 + 8 * i..52 + 8 * i] != [0; 8])
        .collect();
    let mut rng = Rng(2);
    let rounds = if std::env::var_os("CONVEXD_LONG").is_some_and(|v| v == "1") {
        3000
    } else {
        60
    };
    for round in 0..rounds {
        let mut bad = file.clone();
        for _ in 0..rng.below(20) + 1 {
            match rng.below(5) {
                // A used slot gets another type or target.
                0 => {
                    let at = 44 + 8 * used[rng.below(used.len() as u64) as usize];
                    bad[at] = (rng.next() as u8) & 0xc0;
                }
                1 => {
                    let at = 44 + 8 * used[rng.below(used.len() as u64) as usize];
                    let to = rng.below(file.len() as u64) | rng.below(4) << 62;
                    bad[at..at + 8].copy_from_slice(&to.to_be_bytes());
                }
                // A random slot points somewhere.
                2 => {
                    let at = 44 + 8 * rng.below(65536) as usize;
                    let to = rng.below(file.len() as u64) | rng.below(4) << 62;
                    bad[at..at + 8].copy_from_slice(&to.to_be_bytes());
                }
                // Bytes of records and blocks change.
                3 => {
                    let at = 524_332 + rng.below(file.len() as u64 - 524_332) as usize;
                    bad[at] = rng.next() as u8;
                }
                // The header.
                _ => {
                    let at = rng.below(44) as usize;
                    bad[at] ^= 1 << rng.below(8);
                }
            }
        }
        look(&bad, &keys[..50]);
        let disk = Disk::new(vec![bad.clone(), vec![]]);
        if let Ok(mut w) = Writer::open_files(
            disk.file(0),
            "s".as_ref(),
            disk.file(1),
            "l".as_ref(),
            Options::default(),
        ) {
            for n in 0..50u8 {
                // May meet damage that opening does not see (only slots and heads are checked), never a panic.
                let _ = w.put(&[0, n, round as u8], Flags(1), 0);
            }
            let _ = w.commit();
        }
        if round % 10 == 0 {
            let mut target = writer();
            let done = rebuild(&Image(&bad), &mut target, None, branches).unwrap();
            assert!(done.records <= 400 + 50);
            let mut target = writer();
            rebuild(
                &Image(&bad),
                &mut target,
                Some(ScanLimit::for_size(bad.len() as u64)),
                branches,
            )
            .unwrap();
        }
    }
}

#[test]
fn shared_and_cyclic_blocks_end_the_walk() {
    let (mut file, ..) = good(3, 10);
    // Blocks of level 1 whose slots all point to themselves as blocks: 256^58 paths.
    let at = file.len() as u64;
    file.resize(file.len() + 2048, 0);
    let raw = (at | 1 << 62).to_be_bytes();
    for i in 0..256 {
        file[at as usize + 8 * i..at as usize + 8 * i + 8].copy_from_slice(&raw);
    }
    for i in 0..65536 {
        file[44 + 8 * i..52 + 8 * i].copy_from_slice(&raw);
    }
    let report = verify(&Image(&file), |_| true).unwrap();
    assert!(!report.is_clean());
    assert!(matches!(
        find(&Image(&file), &[1; 32]),
        Err(Fault::Corrupt { .. })
    ));
}

#[test]
fn a_scan_over_bytes_made_to_look_like_records_ends_at_its_limit() {
    // Every position has a plausible head with the longest length.
    let mut file = vec![0x01; 700_000];
    for i in (0..file.len() - 1).step_by(2) {
        file[i] = 0x21;
        file[i + 1] = 0x21;
    }
    let limit = ScanLimit { bytes: 50 << 20 };
    let done = scan(&Image(&file), limit, |_| true, |_| Ok::<(), Error2>(())).unwrap();
    assert_eq!(done.records, 0);
    assert!(done.stopped_at.is_some());
}

/// The scan's caller chooses its error.
#[derive(Debug)]
enum Error2 {
    Fault,
}

impl From<Fault> for Error2 {
    fn from(_: Fault) -> Error2 {
        Error2::Fault
    }
}

#[test]
fn a_log_of_random_or_mutated_bytes_is_refused_or_replayed_without_harm() {
    let disk = Disk::new(vec![vec![], vec![]]);
    let mut rng = Rng(11);
    let open = |disk: &Disk| {
        Writer::open_files(
            disk.file(0),
            "s".as_ref(),
            disk.file(1),
            "l".as_ref(),
            Options::default(),
        )
    };
    let mut w = open(&disk).unwrap();
    for n in 0..5u8 {
        w.put(&[0, n, 7], Flags(1), 0).unwrap();
        w.commit().unwrap();
    }
    drop(w);
    let files = disk.files();
    for _ in 0..300 {
        let mut f = files.clone();
        for _ in 0..rng.below(4) + 1 {
            // Headers and frames, not the empty rest.
            let at = [0, 4096, 8192, 12288, 16384][rng.below(5) as usize] + rng.below(200) as usize;
            f[1][at] = rng.next() as u8;
        }
        if rng.below(10) == 0 {
            let n = rng.below(f[1].len() as u64) as usize;
            f[1].truncate(n);
        }
        match open(&Disk::new(f)) {
            Ok(w) => assert!(w.durable().length >= etch::EMPTY_LENGTH),
            Err(e) => assert!(
                matches!(e, Error::LogDamaged { .. } | Error::LogMismatch { .. }),
                "{e}"
            ),
        }
    }
}
