//! Collection into a new file, import and repair.

use std::collections::HashSet;

use crate::common::disk::{Disk, DiskFile};
use crate::common::{Rng, branches, cell, sha3};
use etch::{
    Collector, Flags, Image, Key, Options, ScanLimit, Writer, header, reach, rebuild, records,
    verify,
};

fn new() -> (Disk, Writer<DiskFile>) {
    let disk = Disk::new(vec![vec![], vec![]]);
    let w = Writer::open_files(
        disk.file(0),
        "s".as_ref(),
        disk.file(1),
        "l".as_ref(),
        Options::default(),
    )
    .unwrap();
    (disk, w)
}

/// A random graph of cells with much sharing: keys in post-order.
fn graph(w: &mut Writer<DiskFile>, rng: &mut Rng, cells: usize) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for i in 0..cells {
        let n = (rng.below(6) as usize).min(i);
        let children: Vec<Key> = (0..n)
            .map(|_| keys[i - 1 - rng.below((i as u64).min(40)) as usize])
            .collect();
        let filler = rng.below(200) as usize + 1;
        let e = cell(&children, &rng.bytes(filler));
        let status = [1, 3, 4][rng.below(3) as usize];
        keys.push(w.put(&e, Flags::new(status, e.len()), 0).unwrap().0);
    }
    w.commit().unwrap();
    keys
}

fn below(image: &Image<'_>, root: &Key) -> HashSet<Key> {
    let mut seen = HashSet::new();
    let mut todo = vec![*root];
    while let Some(k) = todo.pop() {
        if seen.insert(k) {
            todo.extend(branches(&etch::find(image, &k).unwrap().unwrap().encoding).unwrap());
        }
    }
    seen
}

#[test]
fn a_collection_copies_what_is_reachable_and_nothing_else() {
    let mut rng = Rng(1);
    let (disk, mut w) = new();
    let keys = graph(&mut w, &mut rng, 1500);
    let root = keys[700];
    w.set_root(root).unwrap();
    w.commit().unwrap();
    let (target_disk, mut target) = new();
    let mut c = Collector::new(&[root]);
    let mut steps = 0;
    // While it runs, new cells go to the target with status 1, one of them in the middle of the tree.
    let odd = w.get(&keys[650]).unwrap().unwrap().encoding;
    target.put(&odd, Flags::new(1, odd.len()), 0).unwrap();
    let marks = |r: &etch::Record| (Flags(r.flags.0 & 0x30 | r.flags.status().max(3)), 0);
    while !c.step(&w, &mut target, branches, marks, 100).unwrap() {
        steps += 1;
    }
    assert!(steps > 3);
    assert!(c.is_done() && c.is_complete(&root));
    target.set_root(root).unwrap();
    target.close().unwrap();
    w.close().unwrap();
    let (source, copy) = (disk.files(), target_disk.files());
    let (source, copy) = (Image(&source[0]), Image(&copy[0]));
    let expected = below(&source, &root);
    let got: Vec<etch::Record> = records(&copy).map(Result::unwrap).collect();
    let got_keys: HashSet<Key> = got.iter().map(|r| r.key).collect();
    assert_eq!(got_keys.len(), got.len());
    let mut with_odd = expected.clone();
    with_odd.insert(sha3(&odd));
    assert!(
        got_keys == with_odd,
        "{} cells, expected {}",
        got_keys.len(),
        with_odd.len()
    );
    assert!(verify(&copy, |_| true).unwrap().is_clean());
    assert_eq!(header(&copy).unwrap().root, root);
    // Children before parents, complete trees only have status ≥ 3, announced stays announced.
    let at: std::collections::HashMap<Key, u64> = got.iter().map(|r| (r.key, r.at)).collect();
    for r in got.iter().filter(|r| expected.contains(&r.key)) {
        let from = etch::find(&source, &r.key).unwrap().unwrap();
        assert_eq!(r.flags.status(), from.flags.status().max(3));
        // The one put in between came before its children, which is why it had status 1.
        for child in branches(&r.encoding)
            .unwrap()
            .into_iter()
            .filter(|_| r.encoding != odd)
        {
            assert!(at[&child] < at[&r.key]);
        }
    }
    let reached = reach(&copy, &[root], branches).unwrap();
    assert!(reached.is_complete());
    assert_eq!(reached.cells, expected.len() as u64);
}

#[test]
fn a_very_deep_chain_of_cells_is_copied_without_recursion() {
    let (_, mut w) = new();
    let mut last: Option<Key> = None;
    for i in 0..20_000u32 {
        let e = cell(last.as_slice(), &i.to_be_bytes());
        last = Some(w.put(&e, Flags(0x11), 0).unwrap().0);
    }
    w.commit().unwrap();
    let root = last.unwrap();
    let (_, mut target) = new();
    let mut c = Collector::new(&[root]);
    while !c
        .step(&w, &mut target, branches, |_| (Flags(0x13), 0), 1000)
        .unwrap()
    {}
    assert_eq!(c.collected().cells, 20_000);
    assert_eq!(reach(&target, &[root], branches).unwrap().cells, 20_000);
}

#[test]
fn a_missing_child_is_reported_and_its_ancestors_are_not_called_complete() {
    let (_, mut w) = new();
    let lost = [0xab; 32];
    let bad = cell(&[lost], b"bad");
    let (bad_key, _) = w.put(&bad, Flags(0x11), 0).unwrap();
    let good = cell(&[], b"good");
    let (good_key, _) = w.put(&good, Flags(0x11), 0).unwrap();
    let root = cell(&[good_key, bad_key], b"root");
    let (root_key, _) = w.put(&root, Flags(0x11), 0).unwrap();
    w.commit().unwrap();
    let (_, mut target) = new();
    let mut c = Collector::new(&[root_key, bad_key]);
    while !c
        .step(&w, &mut target, branches, |_| (Flags(0x13), 0), 1)
        .unwrap()
    {}
    assert_eq!(c.collected().missing, [lost]);
    assert!(!c.is_complete(&root_key) && c.is_complete(&good_key));
    let status = |k: &Key| target.flags(k).unwrap().unwrap().status();
    assert_eq!(
        (status(&good_key), status(&bad_key), status(&root_key)),
        (3, 1, 1)
    );
    let r = reach(&target, &[root_key], branches).unwrap();
    assert_eq!((r.cells, r.missing), (3, vec![lost]));
}

/// A store with a root, its keys, and its file with a stale length, every second root slot wiped and garbage behind the end.
fn damaged() -> (Vec<u8>, Key, Vec<Key>) {
    let mut rng = Rng(6);
    let (disk, mut w) = new();
    let keys = graph(&mut w, &mut rng, 600);
    let root = keys[599];
    w.set_root(root).unwrap();
    w.close().unwrap();
    let mut file = disk.files().swap_remove(0);
    file[4..12].copy_from_slice(&etch::EMPTY_LENGTH.to_be_bytes());
    for slot in (0..65536).step_by(2) {
        file[44 + 8 * slot..52 + 8 * slot].fill(0);
    }
    file.extend(rng.bytes(3000));
    (file, root, keys)
}

#[test]
fn repair_without_an_index_finds_every_record() {
    let (file, root, keys) = damaged();
    let (disk, mut target) = new();
    let limit = Some(ScanLimit::for_size(file.len() as u64));
    let done = rebuild(&Image(&file), &mut target, limit, branches).unwrap();
    assert_eq!(done.records, keys.len() as u64);
    assert_eq!(
        (done.root, done.root_complete, done.stopped_at),
        (Some(root), true, None)
    );
    for k in &keys {
        assert!(target.get(k).unwrap().is_some());
    }
    target.close().unwrap();
    let files = disk.files();
    let image = Image(&files[0]);
    assert!(verify(&image, |_| true).unwrap().is_clean());
    assert_eq!(header(&image).unwrap().root, root);
    // What the root reaches is proven complete; nothing else claims to be, whatever the source said.
    let reached = below(&image, &root);
    for r in records(&image).map(Result::unwrap) {
        assert_eq!(
            r.flags.status(),
            if reached.contains(&r.key) { 3 } else { 1 }
        );
        assert_eq!(r.memory_size, 0);
    }
}

#[test]
fn import_takes_what_the_index_names_and_reports_the_rest() {
    let (file, root, keys) = damaged();
    let (_, mut target) = new();
    let done = rebuild(&Image(&file), &mut target, None, branches).unwrap();
    assert!(done.records > 0 && done.records < keys.len() as u64);
    assert_eq!(done.root, Some(root));
    assert!(!done.root_complete);
    assert!(done.missing_count > 0);
}

#[test]
fn import_believes_no_flag_and_no_size() {
    let (disk, mut w) = new();
    let lost = [0xcd; 32];
    let e = cell(&[lost], &[7; 200]);
    // The source claims: persisted, signature verified, size 12345.
    let (key, _) = w.put(&e, Flags(0x63), 12345).unwrap();
    w.set_root(key).unwrap();
    w.close().unwrap();
    let files = disk.files();
    let (_, mut target) = new();
    let done = rebuild(&Image(&files[0]), &mut target, None, branches).unwrap();
    let r = target.get(&key).unwrap().unwrap();
    assert_eq!((r.flags.0, r.memory_size), (0x21, 0));
    assert_eq!(done.missing, [lost]);
    assert!(!done.root_complete);
    assert_eq!(target.root(), key);
}
