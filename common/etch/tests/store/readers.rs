//! Readers in threads and in another process, while a writer appends keys that collide: no read may ever be torn, and no
//! key that was published may ever be reported absent.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{Rng, cell, sha3};
use etch::{ControlPage, ControlView, Error, Flags, Key, Options, Reader, State, Writer, verify};

/// Cells whose keys all begin with one of few digits, so that nearly every put changes chains and blocks that others are in.
fn crowded(seed: u64, count: usize) -> Vec<(Key, Vec<u8>)> {
    let mut rng = Rng(seed);
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let e = cell(&[], &rng.bytes(24));
        let k = sha3(&e);
        if k[0] & 0x0f == 7 && k[1] & 0xf8 == 0x40 {
            out.push((k, e));
        }
    }
    out
}

fn options(control: ControlPage) -> Options {
    Options {
        control: Some(control),
        ..Options::default()
    }
}

#[test]
fn threads_read_everything_published_while_chains_collapse_under_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let control = ControlPage::anonymous(0).unwrap();
    let control_file = control.reader_file().unwrap();
    let mut w = Writer::open(&path, options(control)).unwrap();
    let cells = Arc::new(crowded(1, 6000));
    let published = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let view = ControlView::from_file(&control_file).unwrap();
    let reader = Arc::new(Reader::follow(File::open(&path).unwrap(), &path, view).unwrap());
    let threads: Vec<_> = (0..3)
        .map(|t| {
            let (cells, published, stop, reader) = (
                cells.clone(),
                published.clone(),
                stop.clone(),
                reader.clone(),
            );
            std::thread::spawn(move || {
                let mut rng = Rng(t);
                let (mut found, mut absent) = (0u64, 0u64);
                while !stop.load(Ordering::Relaxed) {
                    let n = published.load(Ordering::Acquire);
                    let i = rng.below(cells.len() as u64) as usize;
                    match reader.get(&cells[i].0).unwrap() {
                        Some(e) => {
                            assert_eq!(e, cells[i].1);
                            found += 1;
                        }
                        None => {
                            assert!(i >= n, "published cell {i} of {n} reported absent");
                            absent += 1;
                        }
                    }
                }
                (found, absent)
            })
        })
        .collect();
    let mut rng = Rng(9);
    let mut next = 0;
    while next < cells.len() {
        let n = (rng.below(40) as usize + 1).min(cells.len() - next);
        for (key, e) in &cells[next..next + n] {
            w.put_hashed(*key, e, Flags::new(1, e.len()), 0).unwrap();
        }
        w.commit().unwrap();
        next += n;
        published.store(next, Ordering::Release);
        if w.sizes().log_pending > 128 << 10 {
            w.checkpoint().unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (mut found, mut absent) = (0, 0);
    for t in threads {
        let (f, a) = t.join().unwrap();
        found += f;
        absent += a;
    }
    assert!(found > 0 && absent > 0, "{found} found, {absent} absent");
    // Verification through the same live reader.
    let report = verify(&*reader, |_| true).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.sound, cells.len() as u64);
    assert_eq!(reader.control().unwrap().state(), State::Live);
    let durable = w.close().unwrap();
    let p = reader.control().unwrap().published().unwrap();
    assert_eq!(
        (p.state, p.length, p.durable),
        (State::Closed, durable.length, durable.sequence)
    );
}

#[test]
fn a_walk_over_a_store_in_use_finds_nothing_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let control = ControlPage::anonymous(0).unwrap();
    let view = ControlView::from_file(&control.reader_file().unwrap()).unwrap();
    let mut w = Writer::open(&path, options(control)).unwrap();
    let reader = Reader::follow(File::open(&path).unwrap(), &path, view).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let walker = {
        let done = done.clone();
        std::thread::spawn(move || {
            let mut walks = 0;
            loop {
                let last = done.load(Ordering::Acquire);
                let report = verify(&reader, |_| true).unwrap();
                assert!(report.is_clean(), "{:?}", report.findings);
                walks += 1;
                if last {
                    return (walks, report.sound);
                }
            }
        })
    };
    let cells = crowded(5, 2000);
    for part in cells.chunks(7) {
        for (key, e) in part {
            w.put_hashed(*key, e, Flags::new(1, e.len()), 0).unwrap();
        }
        w.commit().unwrap();
    }
    done.store(true, Ordering::Release);
    let (walks, sound) = walker.join().unwrap();
    assert!(walks >= 1);
    assert_eq!(sound, cells.len() as u64);
}

/// Runs only as the child of the test below.
#[test]
fn child_that_reads() {
    let Some(dir) = std::env::var_os("ETCH_TEST_READ") else {
        return;
    };
    let dir = std::path::PathBuf::from(dir);
    let reader = Reader::follow_path(&dir.join("s.etch"), &dir.join("control")).unwrap();
    let cells = crowded(2, 3000);
    let out = Arc::new(Mutex::new(std::io::stdout()));
    let mut rng = Rng(77);
    let mut found = 0u64;
    writeln!(out.lock().unwrap(), "\nready").unwrap();
    // The parent tells how far it published; everything before that must be there.
    for line in std::io::stdin().lock().lines() {
        let n: usize = line.unwrap().parse().unwrap();
        for _ in 0..50 {
            let i = rng.below(cells.len() as u64) as usize;
            match reader.get(&cells[i].0).unwrap() {
                Some(e) => {
                    assert_eq!(e, cells[i].1);
                    found += 1;
                }
                None => assert!(i >= n, "published cell {i} of {n} reported absent"),
            }
        }
    }
    writeln!(out.lock().unwrap(), "\nfound {found}").unwrap();
}

#[test]
fn another_process_reads_what_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let control = ControlPage::at_path(&dir.path().join("control"), 3).unwrap();
    let mut w = Writer::open(&path, options(control)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "readers::child_that_reads", "--nocapture"])
        .env("ETCH_TEST_READ", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next().unwrap().unwrap() != "ready" {}
    let cells = crowded(2, 3000);
    let mut next = 0;
    for part in cells.chunks(11) {
        for (key, e) in part {
            w.put_hashed(*key, e, Flags::new(1, e.len()), 0).unwrap();
        }
        w.commit().unwrap();
        next += part.len();
        writeln!(to, "{next}").unwrap();
    }
    drop(to);
    let found = lines
        .map(|l| l.unwrap())
        .filter_map(|l| l.strip_prefix("found ").map(|n| n.parse::<u64>().unwrap()))
        .last();
    assert!(child.wait().unwrap().success());
    assert!(found.unwrap() > 0);
}

#[test]
fn absence_is_not_proven_where_it_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let control = ControlPage::anonymous(1).unwrap();
    let file = control.reader_file().unwrap();
    let follow = || {
        let view = ControlView::from_file(&file).unwrap();
        Reader::follow(File::open(&path).unwrap(), &path, view).unwrap()
    };
    File::create(&path).unwrap();
    // No writer yet.
    let started = Instant::now();
    assert!(matches!(
        follow().get(&[1; 32]),
        Err(Error::Unproven { .. })
    ));
    assert!(started.elapsed() < Duration::from_secs(30));
    let mut w = Writer::open(&path, options(control)).unwrap();
    let (key, _) = w.put(b"abc", Flags(0x13), 0).unwrap();
    w.commit().unwrap();
    let reader = follow();
    assert_eq!(reader.get(&[1; 32]).unwrap(), None);
    // An inspection beside the writer finds what the last checkpoint left, but proves no absence.
    w.checkpoint().unwrap();
    let (later, _) = w.put(b"abcd", Flags(0x13), 0).unwrap();
    w.commit().unwrap();
    let (still, info) = Reader::inspect(&path).unwrap();
    assert!(info.in_use && info.log);
    assert_eq!(still.get(&key).unwrap().unwrap(), b"abc");
    assert!(matches!(still.get(&later), Err(Error::Unproven { .. })));
    assert!(matches!(still.get(&[1; 32]), Err(Error::Unproven { .. })));
    assert_eq!(reader.get(&later).unwrap().unwrap(), b"abcd");
    // After the next generation took over.
    w.retire().unwrap();
    assert_eq!(reader.get(&key).unwrap().unwrap(), b"abc");
    assert!(matches!(reader.get(&[1; 32]), Err(Error::Unproven { .. })));
    let (still, info) = Reader::inspect(&path).unwrap();
    assert!(!info.in_use && !info.log);
    assert_eq!(still.get(&[1; 32]).unwrap(), None);
}

#[test]
fn a_dead_writers_page_gives_values_and_proves_no_absence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let control = ControlPage::anonymous(0).unwrap();
    let view = ControlView::from_file(&control.reader_file().unwrap()).unwrap();
    let mut w = Writer::open(&path, options(control)).unwrap();
    let cells = crowded(3, 500);
    for (key, e) in &cells[..400] {
        w.put_hashed(*key, e, Flags::new(1, e.len()), 0).unwrap();
    }
    w.commit().unwrap();
    let reader = Reader::follow(File::open(&path).unwrap(), &path, view).unwrap();
    assert_eq!(reader.get(&cells[450].0).unwrap(), None);
    // It ends without closing: its slots are in the log and in the memory that the reader shares, not in the file.
    drop(w);
    let unproven = |key| matches!(reader.get(key), Err(Error::Unproven { .. }));
    assert!(unproven(&cells[450].0));
    // The next writer replays the log, writes on, and the reader knows nothing of it.
    let control = ControlPage::anonymous(0).unwrap();
    let mut w = Writer::open(&path, options(control)).unwrap();
    assert_eq!(w.recovery().replayed, 1);
    for (key, e) in &cells[400..] {
        w.put_hashed(*key, e, Flags::new(1, e.len()), 0).unwrap();
    }
    w.commit().unwrap();
    w.checkpoint().unwrap();
    assert!(unproven(&[9; 32]));
    for (key, e) in &cells {
        match reader.get(key) {
            Ok(Some(found)) => assert_eq!(found, *e),
            Err(Error::Unproven { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    // Everything that it may miss is there for those who follow the new writer.
    for (key, e) in &cells {
        assert_eq!(w.get(key).unwrap().unwrap().encoding, *e);
    }
}

#[test]
fn two_writers_cannot_publish_in_one_control_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control");
    let first = ControlPage::at_path(&path, 0).unwrap();
    assert!(matches!(
        ControlPage::at_path(&path, 0),
        Err(Error::Locked { .. })
    ));
    drop(first);
    ControlPage::at_path(&path, 0).unwrap();
}

#[test]
fn slots_and_marks_are_right_for_readers_before_and_after_they_reach_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let control = ControlPage::anonymous(0).unwrap();
    let view = ControlView::from_file(&control.reader_file().unwrap()).unwrap();
    let mut w = Writer::open(&path, options(control)).unwrap();
    let reader = Reader::follow(File::open(&path).unwrap(), &path, view).unwrap();
    let cells = crowded(4, 1200);
    let mut rng = Rng(6);
    for (round, part) in cells.chunks(60).enumerate() {
        for (key, e) in part {
            w.put_hashed(*key, e, Flags::new(1, e.len()), 0).unwrap();
        }
        let known = (round + 1) * 60;
        let raised: Vec<Key> = (0..20)
            .map(|_| cells[rng.below(known as u64) as usize].0)
            .collect();
        for key in &raised {
            assert!(w.raise(key, Flags(3), 70 + u64::from(key[9])).unwrap());
        }
        w.commit().unwrap();
        if round % 3 == 2 {
            assert!(w.sizes().deferred > 0);
            w.checkpoint().unwrap();
            assert_eq!(w.sizes().deferred, 0);
        }
        for key in &raised {
            for record in [
                reader.get_record(key).unwrap().unwrap(),
                w.get(key).unwrap().unwrap(),
            ] {
                assert_eq!(record.flags.status(), 3);
                assert_eq!(record.memory_size, 70 + u64::from(key[9]));
            }
        }
        for (i, (key, _)) in cells.iter().enumerate() {
            assert_eq!(reader.get(key).unwrap().is_some(), i < known, "cell {i}");
        }
        let report = verify(&reader, |_| true).unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        assert_eq!(report.sound, known as u64);
    }
}

#[test]
fn a_control_page_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page");
    std::fs::write(&page, b"short").unwrap();
    assert!(matches!(
        ControlView::open(&page),
        Err(Error::Control { .. })
    ));
    std::fs::write(&page, vec![1; 4096]).unwrap();
    assert!(matches!(
        ControlView::open(&page),
        Err(Error::Control { .. })
    ));
    // Anonymous pages are sealed: a reader's descriptor can do no harm.
    let control = ControlPage::anonymous(0).unwrap();
    let reader = control.reader_file().unwrap();
    assert!(reader.set_len(0).is_err());
    assert!((&reader).write(b"x").is_err());
}

#[test]
fn a_reader_sees_corruption_as_failure_and_not_as_absence() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.etch");
    let control = ControlPage::anonymous(0).unwrap();
    let view = ControlView::from_file(&control.reader_file().unwrap()).unwrap();
    let mut w = Writer::open(&path, options(control)).unwrap();
    let (key, _) = w.put(&[9; 200], Flags(0x21), 0).unwrap();
    w.commit().unwrap();
    let reader = Reader::follow(File::open(&path).unwrap(), &path, view).unwrap();
    assert!(reader.get(&key).unwrap().is_some());
    let file = File::options().write(true).open(&path).unwrap();
    file.write_at(&[8], etch::EMPTY_LENGTH + 100).unwrap();
    assert!(matches!(reader.get(&key), Err(Error::Corrupt { .. })));
    assert!(matches!(w.get(&key), Err(Error::Corrupt { .. })));
    assert_eq!(verify(&reader, |_| true).unwrap().finding_count, 1);
    w.checkpoint().unwrap();
    // A slot that points beyond the data.
    let slot = etch::INDEX_AT + u64::from(u16::from_be_bytes([key[0], key[1]])) * 8;
    file.write_at(&(1u64 << 40).to_be_bytes(), slot).unwrap();
    assert!(matches!(reader.get(&key), Err(Error::Corrupt { .. })));
}
