//! Batches, barriers and answers, on a real store in a folder.

use std::path::{Path, PathBuf};

use etch::{FileLayer, Options, Reader, RealFile, Writer};
use ipc::store::FromStore;
use stored::cells::{NewCell, push};
use stored::keeper::{GATHER, Keeper, Trouble, Violation};

const PLENTY: u64 = u64::MAX;
const RESERVE: u64 = 1 << 20;

fn open(folder: &Path) -> (Keeper, PathBuf) {
    let file = folder.join("s.etch");
    let writer = Writer::open(&file, Options::default()).unwrap();
    (Keeper::new(writer, RESERVE), file)
}

fn encoding(n: u32, length: usize) -> Vec<u8> {
    n.to_le_bytes().into_iter().cycle().take(length).collect()
}

/// A message with cells, and their keys.
fn message(numbers: std::ops::Range<u32>) -> (Vec<u8>, Vec<[u8; 32]>) {
    let mut bytes = Vec::new();
    let mut keys = Vec::new();
    for n in numbers {
        let encoding = encoding(n, 10 + n as usize % 300);
        keys.push(crypto::sha3_256(&encoding));
        push(
            &mut bytes,
            NewCell {
                memory_size: u64::from(n),
                encoding: &encoding,
            },
        );
    }
    (bytes, keys)
}

fn has<F: FileLayer>(keeper: &Keeper<F>, key: &[u8; 32]) -> bool {
    keeper.writer().get(key).unwrap().is_some()
}

#[test]
fn batches_that_wait_together_become_durable_by_one_barrier_and_one_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut keeper, file) = open(dir.path());
    let mut all = Vec::new();
    for n in 0..5 {
        let (bytes, keys) = message(n * 100..n * 100 + 100);
        let added = keeper.cells(&bytes).unwrap();
        assert_eq!((added.cells, added.new), (100, 100));
        keeper.commit(u64::from(n) + 7, Some(keys[3])).unwrap();
        all.extend(keys);
    }
    assert_eq!(keeper.waiting(), 5);
    assert_eq!(keeper.writer().durable().sequence, 0);
    assert_eq!(
        keeper.flush(PLENTY).unwrap(),
        Some(FromStore::Durable { sequence: 11 })
    );
    assert_eq!(keeper.flush(PLENTY).unwrap(), None);
    assert_eq!(keeper.writer().durable().sequence, 1);
    assert_eq!(keeper.writer().root(), all[403]);
    // Again, as after a restart of the sender: nothing is new.
    keeper.begin();
    let added = keeper.cells(&message(0..100).0).unwrap();
    assert_eq!((added.cells, added.new), (100, 0));
    keeper.commit(1, None).unwrap();
    assert_eq!(
        keeper.flush(PLENTY).unwrap(),
        Some(FromStore::Durable { sequence: 1 })
    );
    keeper.close().unwrap();
    let (reader, info) = Reader::inspect(&file).unwrap();
    assert!(!info.in_use && !info.log);
    for (n, key) in all.iter().enumerate() {
        let record = reader.get_record(key).unwrap().unwrap();
        assert_eq!(record.memory_size, n as u64);
        assert_eq!(record.flags.status(), 3);
    }
}

#[test]
fn a_batch_without_room_is_refused_and_comes_again_with_those_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut keeper, _) = open(dir.path());
    let batch = |n: u32| message(n * 10..n * 10 + 10);
    for n in 1..=2 {
        keeper.cells(&batch(n).0).unwrap();
        keeper.commit(u64::from(n), None).unwrap();
    }
    // A part of the third is there already.
    keeper.cells(&batch(3).0).unwrap();
    match keeper.flush(RESERVE).unwrap().unwrap() {
        FromStore::Refused {
            sequence: 1,
            text,
            retry: true,
        } => assert!(text.contains("free space"), "{text}"),
        other => panic!("{other:?}"),
    }
    // Sent before the sender knew: the rest of the third, and a fourth.
    keeper.cells(&message(900..903).0).unwrap();
    keeper.commit(3, None).unwrap();
    keeper.cells(&batch(4).0).unwrap();
    keeper.commit(4, None).unwrap();
    assert_eq!((keeper.waiting(), keeper.flush(PLENTY).unwrap()), (0, None));
    assert!(!has(&keeper, &batch(4).1[0]));
    // And then all again.
    for n in 1..=4 {
        keeper.cells(&batch(n).0).unwrap();
        keeper.commit(u64::from(n), None).unwrap();
    }
    assert_eq!(
        keeper.flush(PLENTY).unwrap(),
        Some(FromStore::Durable { sequence: 4 })
    );
    for n in 1..=4 {
        for key in batch(n).1 {
            assert!(has(&keeper, &key));
        }
    }
}

#[test]
fn what_no_honest_sender_does_is_a_violation_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (mut keeper, _) = open(dir.path());
    let (bytes, keys) = message(0..10);
    keeper.cells(&bytes).unwrap();
    keeper.commit(5, None).unwrap();
    let violation = |result: Result<(), Trouble>| match result {
        Err(Trouble::Violation(violation)) => violation,
        other => panic!("{other:?}"),
    };
    for wrong in [5, 4, 7, 0, u64::MAX] {
        assert!(matches!(
            violation(keeper.commit(wrong, None)),
            Violation::Sequence { expected: 6, .. }
        ));
    }
    let missing = violation(keeper.commit(6, Some([7; 32])));
    assert!(matches!(missing, Violation::Root(_)));
    let cut = keeper.cells(&bytes[..bytes.len() - 1]).map(|_| ());
    assert!(matches!(violation(cut), Violation::Cells(_)));
    keeper.begin();
    assert!(!has(&keeper, &keys[0]));
    assert_eq!(keeper.flush(PLENTY).unwrap(), None);
    // A new channel may begin with any number but the last there is.
    assert!(matches!(
        violation(keeper.commit(u64::MAX, None)),
        Violation::Sequence { .. }
    ));
    keeper.commit(3, None).unwrap();
}

#[test]
fn gathering_ends_when_there_is_enough_for_a_barrier() {
    let dir = tempfile::tempdir().unwrap();
    let (mut keeper, _) = open(dir.path());
    let mut sequence = 0;
    let mut n = 0;
    while !keeper.is_due() {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            let encoding = encoding(n, 16_000);
            n += 1;
            push(
                &mut bytes,
                NewCell {
                    memory_size: 0,
                    encoding: &encoding,
                },
            );
        }
        keeper.cells(&bytes).unwrap();
        assert!(!keeper.is_due() || sequence > 0);
        sequence += 1;
        keeper.commit(sequence, None).unwrap();
    }
    let gathered = keeper.writer().sizes().uncommitted;
    assert!((GATHER..2 * GATHER).contains(&gathered), "{gathered}");
    assert_eq!(
        keeper.flush(PLENTY).unwrap(),
        Some(FromStore::Durable { sequence })
    );
}

#[test]
fn a_store_that_fails_for_good_says_from_where_on() {
    /// A file whose barrier fails from a certain point on.
    struct Failing(RealFile, std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl FileLayer for Failing {
        fn read_at(&self, at: u64, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0.read_at(at, buf)
        }
        fn write_at(&self, at: u64, buf: &[u8]) -> std::io::Result<usize> {
            self.0.write_at(at, buf)
        }
        fn sync(&self) -> std::io::Result<()> {
            if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(std::io::Error::from_raw_os_error(5));
            }
            self.0.sync()
        }
        fn size(&self) -> std::io::Result<u64> {
            self.0.size()
        }
        fn reserve(&self, from: u64, to: u64) -> std::io::Result<()> {
            self.0.reserve(from, to)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let file = |name: &str| {
        let file = RealFile::open(&dir.path().join(name), true).unwrap().0;
        Failing(file, broken.clone())
    };
    let (store, log) = (file("s"), file("s.redo"));
    let writer = Writer::open_files(
        store,
        "/data/s".as_ref(),
        log,
        "/data/s.redo".as_ref(),
        Options::default(),
    )
    .unwrap();
    let mut keeper = Keeper::new(writer, RESERVE);
    assert_eq!(
        keeper.give_up(&etch::Error::BatchFull(1)),
        None,
        "nothing was asked for"
    );
    let (bytes, keys) = message(0..10);
    keeper.cells(&bytes).unwrap();
    keeper.commit(1, None).unwrap();
    assert!(matches!(
        keeper.flush(PLENTY).unwrap(),
        Some(FromStore::Durable { sequence: 1 })
    ));
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    keeper.cells(&message(10..20).0).unwrap();
    keeper.commit(2, None).unwrap();
    keeper.commit(3, None).unwrap();
    let Err(Trouble::Store(error)) = keeper.flush(PLENTY) else {
        panic!("a barrier that failed is no barrier");
    };
    match keeper.give_up(&error).unwrap() {
        FromStore::Refused {
            sequence: 2,
            text,
            retry: false,
        } => assert!(text.contains("check the disk"), "{text}"),
        other => panic!("{other:?}"),
    }
    // What was acknowledged is there for whoever opens it next.
    drop(keeper);
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    let writer = Writer::open(&dir.path().join("s"), Options::default()).unwrap();
    assert!(keys.iter().all(|key| writer.get(key).unwrap().is_some()));
}
