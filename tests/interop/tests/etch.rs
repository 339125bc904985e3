//! One store file, to and fro: this tree writes it, the reference reads all of it and goes on writing, this tree checks
//! all of it and goes on. Says so and does nothing where the reference can't run.

use std::path::{Path, PathBuf};

use cells::{Blob, Cell, Map, Vector};
use etch::{Key, Options, Reader, Writer, verify};
use interop::oracle::Oracle;
use interop::rng::Rng;
use interop::subject;
use serde_json::Value;

/// A value of many cells: a map of maps, vectors, blobs of several chunks and long strings, all from `seed`.
fn value(seed: u64, entries: i64) -> Cell {
    let mut rng = Rng::of_case(seed, 0);
    let mut bytes = |n: usize| -> Vec<u8> { (0..n).map(|_| rng.below(256) as u8).collect() };
    let mut map = Map::empty();
    for i in 0..entries {
        let entry = match i % 5 {
            0 => Cell::from(Blob::new(&bytes(200))),
            1 => Cell::from(Blob::new(&bytes(if i % 100 == 1 { 20_000 } else { 5 }))),
            2 => Cell::from("text ".repeat(1 + bytes(1)[0] as usize).as_str()),
            3 => Cell::from(Vector::from_iter((0..i % 700).map(|n| Cell::from(n * i)))),
            _ => Cell::from(Blob::new(&bytes(139))),
        };
        map = map.assoc(Cell::from(i), entry).expect("in memory");
    }
    Cell::from(map)
}

/// Every key that the file names.
fn keys(file: &Path) -> Vec<Key> {
    let (reader, info) = Reader::inspect(file).expect("a store");
    assert!(!info.in_use && !info.log);
    let report = verify(&reader, |_| true).expect("readable");
    assert!(report.is_clean(), "{:?}", report.findings);
    let keys: Vec<Key> = etch::records(&reader)
        .map(|record| record.expect("a sound record").key)
        .collect();
    assert_eq!(keys.len() as u64, report.sound);
    keys
}

struct Reference {
    oracle: Oracle,
    folder: PathBuf,
}

impl Reference {
    fn ask(&mut self, request: String) -> Value {
        let mut answers = self.oracle.ask(&[request]).expect("an answer");
        let answer = answers.remove(0);
        assert!(answer.get("fail").is_none(), "{answer}");
        answer
    }

    /// The reference has every key of `file` with the same encoding, and everything below the root `cell`. It reads a
    /// copy, since it changes what it opens.
    fn has_all(&mut self, file: &Path, cell: &Cell, keys: &[Key]) {
        let (copy, list) = (self.folder.join("copy.etch"), self.folder.join("keys"));
        std::fs::copy(file, &copy).expect("a copy");
        std::fs::write(&list, keys.concat()).expect("a list");
        let found = self.ask(format!("etch-get {} {}", copy.display(), list.display()));
        assert_eq!(found["found"], keys.len(), "{found}");
        let (reader, _) = Reader::inspect(file).expect("a store");
        let all: Vec<u8> = keys
            .iter()
            .flat_map(|key| reader.get(key).expect("readable").expect("there"))
            .collect();
        assert_eq!(found["sha3"], hex::encode(crypto::sha3_256(&all)));

        let root = self.ask(format!("etch-read {}", copy.display()));
        assert_eq!(root["root"], cell.hash().to_string(), "{}", root["root"]);
        assert_eq!(root["hash"], cell.hash().to_string());
        let message = subject::sorted_message(cell).expect("in memory");
        assert_eq!(root["mc_len"], message.len());
        assert_eq!(root["mc_sha3"], hex::encode(crypto::sha3_256(&message)));
    }
}

#[test]
fn a_store_goes_from_this_tree_to_the_reference_and_back_with_every_cell_in_it() {
    let Some(oracle) = Oracle::chosen() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut reference = Reference {
        oracle,
        folder: folder.path().to_owned(),
    };
    let file = folder.path().join("peer.etch");
    let mut expected = std::collections::HashSet::new();
    for round in 0..3 {
        // This tree writes, in many commits, and closes.
        let mut writer = Writer::open(&file, Options::default()).expect("a store");
        let recovery = writer.recovery().clone();
        assert_eq!((recovery.created, recovery.replayed), (round == 0, 0));
        for part in 0..4 {
            let lost = value(100 + 10 * round + part, 300);
            cellstore::put(&mut writer, &lost, |_| false).expect("put");
            writer.commit().expect("commit");
        }
        let ours = value(2 * round, 4000);
        let stored = cellstore::put_root(&mut writer, &ours, |_| false).expect("put");
        assert!(stored.cells > 2000, "{stored:?}");
        writer.close().expect("close");
        let all = keys(&file);
        expected.extend(all.iter().copied());
        assert_eq!(all.len(), expected.len(), "a cell was lost or doubled");
        reference.has_all(&file, &ours, &all);

        // The reference goes on in the same file.
        let theirs = value(2 * round + 1, 2000);
        let message = folder.path().join("message");
        let bytes = subject::sorted_message(&theirs).expect("in memory");
        std::fs::write(&message, bytes).expect("a file");
        let written = reference.ask(format!(
            "etch-write {} @{}",
            file.display(),
            message.display()
        ));
        assert_eq!(written["root"], theirs.hash().to_string());

        // And back: everything of both is there, as a writer and as a reader sees it.
        let writer = Writer::open(&file, Options::default()).expect("a store");
        // Somebody else wrote last, and left the length as it is.
        assert!(writer.recovery().checked);
        assert_eq!(writer.recovery().stale_length, None);
        assert_eq!(writer.root(), theirs.hash().0);
        let mut open = vec![theirs.clone()];
        while let Some(cell) = open.pop() {
            let key = cell.hash().0;
            let record = writer.get(&key).expect("readable").expect("there");
            assert_eq!(record.encoding, cell.encode());
            if expected.insert(key) {
                let below = cells::branches(&cell);
                open.extend(below.iter().map(|r| r.get().expect("in memory")));
            }
        }
        for key in &expected {
            assert!(writer.get(key).expect("readable").is_some());
        }
        drop(writer);
        let all = keys(&file);
        assert_eq!(all.len(), expected.len(), "a cell was lost or doubled");
        reference.has_all(&file, &theirs, &all);
    }
    println!("{} cells went to and fro", expected.len());
}
