//! A real process that writes is killed by SIGKILL again and again, with a reader in this process watching. What it
//! acknowledged before must be there, to the reader at once and to the next writer.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Rng, cell, sha3};
use etch::{ControlPage, Error, Flags, Key, Options, Reader, Writer, verify};

/// The n-th cell of the run; both processes know it.
fn nth(n: u64) -> (Key, Vec<u8>) {
    let mut rng = Rng(n);
    let len = rng.below(300) as usize + 9;
    let e = cell(&[], &rng.bytes(len));
    (sha3(&e), e)
}

/// A dead writer may leave the index half changed: then a reader may fail to prove anything, but it must never say absent.
fn must_be_there(reader: &Reader, n: u64) {
    let (key, e) = nth(n);
    match reader.get(&key) {
        Ok(Some(found)) => assert_eq!(found, e),
        Err(Error::Unproven { .. }) => {}
        other => panic!("cell {n}: {other:?}"),
    }
}

fn open(dir: &Path) -> Writer {
    let control = ControlPage::at_path(&dir.join("control"), 0).unwrap();
    let options = Options {
        control: Some(control),
        checkpoint_bytes: 64 << 10,
        ..Options::default()
    };
    Writer::open(&dir.join("s.etch"), options).unwrap()
}

/// Runs only as the child of the test below: commits batches and says what is durable, until it is killed.
#[test]
fn child_that_writes() {
    let Some(dir) = std::env::var_os("ETCH_TEST_KILL") else {
        return;
    };
    let mut n: u64 = std::env::var("ETCH_TEST_FROM").unwrap().parse().unwrap();
    let mut w = open(dir.as_ref());
    let mut rng = Rng(n);
    let mut out = std::io::stdout();
    writeln!(out, "\nready").unwrap();
    // Bounded, should nobody kill it.
    for _ in 0..100_000 {
        let mut root = None;
        for _ in 0..rng.below(30) + 1 {
            let (key, e) = nth(n);
            w.put_hashed(key, &e, Flags::new(1, e.len()), 0).unwrap();
            root = Some(key);
            n += 1;
        }
        w.set_root(root.unwrap()).unwrap();
        w.commit().unwrap();
        writeln!(out, "durable {n}").unwrap();
        if w.checkpoint_due() && rng.below(2) == 0 {
            w.checkpoint().unwrap();
        }
    }
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let long = std::env::var_os("CONVEXD_LONG").is_some_and(|v| v == "1");
    let kills = if long { 1000 } else { 20 };
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let mut rng = Rng(4);
    let mut durable: u64 = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_writes", "--nocapture"])
            .env("ETCH_TEST_KILL", dir.path())
            .env("ETCH_TEST_FROM", durable.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = Arc::new(
            Reader::follow_path(&dir.path().join("s.etch"), &dir.path().join("control")).unwrap(),
        );
        let stop = Arc::new(AtomicBool::new(false));
        // A second reader that never rests.
        let watcher = {
            let (reader, stop, upto) = (reader.clone(), stop.clone(), durable);
            std::thread::spawn(move || {
                let mut rng = Rng(upto);
                while !stop.load(Ordering::Relaxed) && upto > 0 {
                    must_be_there(&reader, rng.below(upto));
                }
            })
        };
        let mut acks = rng.below(40) + 1;
        while acks > 0 {
            let line = lines
                .next()
                .expect("the child writes until it is killed")
                .unwrap();
            if let Some(n) = line.strip_prefix("durable ") {
                durable = n.parse().unwrap();
                acks -= 1;
                // Durable and readable in the map at once.
                let (key, e) = nth(durable - 1);
                assert_eq!(reader.get(&key).unwrap().unwrap(), e);
            }
        }
        child.kill().unwrap();
        // What it still managed to say counts too.
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("durable ") {
                durable = n.parse().unwrap();
            }
        }
        child.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
        // The newest cells, and of the older ones so many that the work does not grow with the square of the kills.
        let looked_at: Vec<u64> = (durable.saturating_sub(3000)..durable)
            .chain((0..2000).map(|_| rng.below(durable)))
            .collect();
        // The dead writer's readers go on having everything.
        for &n in &looked_at {
            must_be_there(&reader, n);
        }
        let w = open(dir.path());
        for &n in &looked_at {
            assert_eq!(w.get(&nth(n).0).unwrap().unwrap().encoding, nth(n).1);
        }
        if kill % 2 == 0 && (kill < 20 || kill % 100 == 0) {
            w.close().unwrap();
            let (still, info) = Reader::inspect(&dir.path().join("s.etch")).unwrap();
            assert!(!info.in_use && !info.log);
            assert!(verify(&still, |_| true).unwrap().is_clean());
        }
    }
    assert!(durable > 0);
}
