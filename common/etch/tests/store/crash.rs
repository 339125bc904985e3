//! The power goes at every point of long random runs, on a disk that keeps any part of what was not synced. Whatever the
//! disk looks like then: every acknowledged cell is there, the root is an acknowledged one or one that was being
//! committed, the index is clean, and the store goes on working.

use std::collections::HashMap;

use crate::common::disk::{Aftermath, Disk, DiskFile, Fault, Op};
use crate::common::{Rng, cell, sha3};
use etch::{Flags, Image, Key, NO_ROOT, Options, Writer, header, verify};

/// Few changed slots wait, so that they reach the store file at checkpoints, before a commit and right after its barrier. Most
/// batches are sent ahead in several pieces, some in none.
fn options(checkpoint_bytes: u64) -> Options {
    Options {
        checkpoint_bytes,
        most_deferred: if checkpoint_bytes == 20_000 {
            12
        } else {
            1 << 18
        },
        ahead_bytes: if checkpoint_bytes == 4096 {
            64 << 10
        } else {
            200
        },
        ..Options::default()
    }
}

fn open(disk: &Disk, checkpoint_bytes: u64) -> Result<Writer<DiskFile>, etch::Error> {
    Writer::open_files(
        disk.file(0),
        "store".as_ref(),
        disk.file(1),
        "log".as_ref(),
        options(checkpoint_bytes),
    )
}

/// What a run had acknowledged after a number of disk operations.
struct Ack {
    ops: usize,
    cells: usize,
    /// Position of the acknowledged root in the run's list of roots.
    root: usize,
    sequence: u64,
}

struct Run {
    start: Vec<Vec<u8>>,
    history: Vec<Op>,
    /// Cells in the order they were put.
    cells: Vec<Key>,
    acks: Vec<Ack>,
    /// Roots in the order of the commits that set them.
    roots: Vec<Key>,
}

/// Cells whose keys collide in their first bytes, so that chains and blocks come and go: found by trying.
fn colliding(rng: &mut Rng, count: usize) -> Vec<Vec<u8>> {
    let mut by_digit: HashMap<[u8; 1], Vec<Vec<u8>>> = HashMap::new();
    let mut out = Vec::new();
    while out.len() < count {
        let n = rng.below(60) as usize + 1;
        let filler = rng.bytes(n + 8);
        let e = cell(&[], &filler);
        let k = sha3(&e);
        // Two of 256 values of the first byte, few of the second: neighbours and equals abound.
        if k[0] & 0x7f == 0x11 && k[1] < 8 {
            by_digit.entry([k[1]]).or_default().push(e.clone());
            out.push(e);
        }
    }
    out
}

fn run(rng: &mut Rng, pool: &[Vec<u8>], start: Vec<Vec<u8>>, commits: usize) -> Run {
    let disk = Disk::new(start.clone());
    disk.0.lock().unwrap().keep_history = true;
    let checkpoint_bytes = [4096, 20_000, 1 << 20][rng.below(3) as usize];
    let mut w = open(&disk, checkpoint_bytes).unwrap();
    let mut run = Run {
        start,
        history: Vec::new(),
        cells: Vec::new(),
        acks: Vec::new(),
        roots: vec![w.root()],
    };
    let ops = |d: &Disk| d.0.lock().unwrap().history.len();
    run.acks.push(Ack {
        ops: ops(&disk),
        cells: 0,
        root: 0,
        sequence: w.durable().sequence,
    });
    for _ in 0..commits {
        for _ in 0..rng.below(12) {
            let e = if rng.below(2) == 0 {
                pool[rng.below(pool.len() as u64) as usize].clone()
            } else {
                let n = rng.below(600) as usize + 1;
                cell(&[], &rng.bytes(n))
            };
            let status = [1, 3, 4][rng.below(3) as usize];
            let (key, _) = w
                .put(&e, Flags::new(status, e.len()), rng.below(1000))
                .unwrap();
            run.cells.push(key);
        }
        // A batch that is given up leaves its beginning in both files; one that a checkpoint interrupts begins anew.
        if rng.below(12) == 0 {
            w.abort();
            run.cells.truncate(run.acks.last().map_or(0, |a| a.cells));
        } else if rng.below(12) == 0 {
            w.checkpoint().unwrap();
        }
        if rng.below(3) == 0 && !run.cells.is_empty() {
            let root = run.cells[rng.below(run.cells.len() as u64) as usize];
            w.set_root(root).unwrap();
            run.roots.push(root);
        }
        let durable = w.commit().unwrap();
        run.acks.push(Ack {
            ops: ops(&disk),
            cells: run.cells.len(),
            root: run.roots.len() - 1,
            sequence: durable.sequence,
        });
        if w.checkpoint_due() && rng.below(2) == 0 {
            w.checkpoint().unwrap();
        }
        if rng.below(40) == 0 {
            w.close().unwrap();
            w = open(&disk, checkpoint_bytes).unwrap();
        }
    }
    w.close().unwrap();
    run.history = std::mem::take(&mut disk.0.lock().unwrap().history);
    run
}

/// Everything that must hold for a disk found after a cut with `ack` as the last acknowledgement.
fn check(run: &Run, ack: &Ack, files: Vec<Vec<u8>>, rng: &mut Rng, what: &str) {
    let mut disk = Disk::new(files);
    // Sometimes the recovery is cut too, perhaps more than once.
    for _ in 0..3 {
        if rng.below(2) == 0 {
            break;
        }
        let start = disk.files();
        disk.0.lock().unwrap().keep_history = true;
        disk.fail_at(rng.below(14), Fault::Cut);
        let survived = open(&disk, 1 << 20).map(drop);
        let history = std::mem::take(&mut disk.0.lock().unwrap().history);
        let mut after = Aftermath::new(start);
        history.iter().for_each(|op| after.advance(op));
        disk = Disk::new(after.cut(rng));
        if survived.is_ok() {
            break;
        }
    }
    let mut w = open(&disk, 1 << 20).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(
        w.durable().sequence >= ack.sequence,
        "{what}: sequence went back"
    );
    for key in &run.cells[..ack.cells] {
        match w.get(key) {
            Ok(Some(_)) => {}
            other => panic!("{what}: acknowledged cell: {other:?}"),
        }
    }
    assert!(
        run.roots[ack.root..].contains(&w.root()),
        "{what}: root {:?}",
        w.root()
    );
    if w.root() != NO_ROOT {
        assert!(w.get(&w.root()).unwrap().is_some(), "{what}: root's record");
    }
    // It goes on working.
    let mut more = Vec::new();
    for _ in 0..8 {
        let n = rng.below(200) as usize + 1;
        let e = cell(&[], &rng.bytes(n));
        more.push(w.put(&e, Flags::new(1, e.len()), 0).unwrap().0);
    }
    w.set_root(more[0]).unwrap();
    w.commit().unwrap();
    w.close().unwrap();
    // A plain file of version 1, clean by its own rules, with everything in it.
    let files = disk.files();
    let image = Image(&files[0]);
    let report = verify(&image, |_| true).unwrap();
    assert!(report.is_clean(), "{what}: {:?}", report.findings);
    assert_eq!(
        header(&image).unwrap().length,
        report.stats.extent,
        "{what}"
    );
    assert_eq!(header(&image).unwrap().root, more[0], "{what}");
    for key in more.iter().chain(&run.cells[..ack.cells]) {
        assert!(etch::find(&image, key).unwrap().is_some(), "{what}");
    }
}

fn cut_everywhere(seed: u64, runs: usize, commits: usize, cuts: u64) -> u64 {
    let mut rng = Rng(seed);
    let pool = colliding(&mut rng, 300);
    let mut points = 0;
    let mut start = vec![vec![], vec![]];
    for r in 0..runs {
        let run = run(&mut rng, &pool, start, commits);
        let mut after = Aftermath::new(run.start.clone());
        for (i, op) in run.history.iter().enumerate() {
            after.advance(op);
            // Before the first acknowledgement there is nothing to lose, but it must open all the same.
            let none = Ack {
                ops: 0,
                cells: 0,
                root: 0,
                sequence: 0,
            };
            let ack = run.acks.iter().rfind(|a| a.ops <= i + 1).unwrap_or(&none);
            for c in 0..cuts {
                let files = after.cut(&mut rng);
                check(
                    &run,
                    ack,
                    files,
                    &mut rng,
                    &format!("seed {seed} run {r} op {i} cut {c}"),
                );
                points += 1;
            }
        }
        // The next run goes on from what this one left.
        let mut last = Aftermath::new(run.start);
        run.history.iter().for_each(|op| last.advance(op));
        start = last.cut(&mut rng);
    }
    points
}

fn long() -> bool {
    std::env::var_os("CONVEXD_LONG").is_some_and(|v| v == "1")
}

#[test]
fn a_cut_at_any_point_loses_nothing_acknowledged() {
    let (runs, commits, cuts) = if long() { (5, 150, 3) } else { (3, 50, 2) };
    let mut points = 0;
    for seed in [1, 2] {
        points += cut_everywhere(seed, runs, commits, cuts);
    }
    println!("{points} cuts");
    assert!(points >= 1000, "only {points} cuts were tried");
}
