//! Append, commit and random read, each beside its limit: the same bytes as a raw file write with a barrier, a raw copy,
//! raw SHA3-256 of the same encodings.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use etch::{ControlPage, ControlView, Flags, Key, Options, Reader, Writer};

/// A block's worth: 4,000 cells of 125 bytes, 500 KB of encodings.
const CELLS: usize = 4000;
const CELL_BYTES: usize = 125;

fn encoding(n: u64) -> Vec<u8> {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..CELL_BYTES)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x as u8
        })
        .collect()
}

fn batch(from: u64) -> Vec<(Key, Vec<u8>)> {
    (from..from + CELLS as u64)
        .map(encoding)
        .map(|e| (crypto::sha3_256(&e), e))
        .collect()
}

/// On the disk that holds the build, not on a memory file system, which knows no barrier.
fn dir() -> tempfile::TempDir {
    let base = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&base).unwrap();
    tempfile::tempdir_in(base).unwrap()
}

fn open(dir: &tempfile::TempDir, control: Option<ControlPage>) -> Writer {
    let options = Options {
        control,
        ..Options::default()
    };
    Writer::open(&dir.path().join("bench.etch"), options).unwrap()
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(CELLS as u64));
    let dir = dir();
    let mut writer = open(&dir, None);
    let mut next = 0;
    group.bench_function("put of 4,000 known hashes, then abort", |b| {
        b.iter_batched(
            || {
                next += CELLS as u64;
                batch(next)
            },
            |cells| {
                for (key, e) in &cells {
                    writer.put_hashed(*key, e, Flags(0x11), 0).unwrap();
                }
                writer.abort();
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("limit: copy of the same encodings", |b| {
        let cells = batch(0);
        b.iter(|| {
            let mut all = Vec::with_capacity(CELLS * (CELL_BYTES + 43));
            for (key, e) in &cells {
                all.extend_from_slice(key);
                all.extend_from_slice(e);
            }
            black_box(all.len())
        });
    });
    group.finish();
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.throughput(Throughput::Elements(CELLS as u64));
    group.sample_size(20);
    group.measurement_time(Duration::from_secs(8));
    let dir = dir();
    let mut writer = open(&dir, Some(ControlPage::anonymous(0).unwrap()));
    let raw = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(dir.path().join("raw"))
        .unwrap();
    let bytes = vec![0x5a; CELLS * (CELL_BYTES + 43 + 17)];
    // As the log: the same place again and again, so that the file's size does not change.
    let barrier = || {
        raw.write_all_at(&bytes, 0).unwrap();
        raw.sync_data().unwrap();
    };
    barrier();
    raw.sync_all().unwrap();
    let mut next = 0;
    // Disks of virtual machines change their speed by the second: commits and raw barriers in turn tell their ratio.
    let mut in_turn: Vec<[Duration; 2]> = Vec::new();
    // Only the work of the store counts: making the cells and the checkpoints between are left out.
    let mut timed = |iterations: u64, with_put: bool| {
        let mut total = Duration::ZERO;
        for _ in 0..iterations {
            next += CELLS as u64;
            let cells = batch(next);
            let start = Instant::now();
            for (key, e) in &cells {
                writer.put_hashed(*key, e, Flags(0x11), 0).unwrap();
            }
            let put = Instant::now();
            writer.commit().unwrap();
            let commit = put.elapsed();
            total += if with_put { start.elapsed() } else { commit };
            let raw = Instant::now();
            barrier();
            in_turn.push([commit, raw.elapsed()]);
            if writer.checkpoint_due() {
                writer.checkpoint().unwrap();
            }
        }
        total
    };
    group.bench_function("put and commit of a block's cells", |b| {
        b.iter_custom(|n| timed(n, true));
    });
    group.bench_function("commit alone", |b| b.iter_custom(|n| timed(n, false)));
    let [commits, barriers] = [0, 1].map(|i| {
        let mut list: Vec<Duration> = in_turn.iter().map(|pair| pair[i]).collect();
        list.sort_unstable();
        list.get(list.len() / 2).copied().unwrap_or_default()
    });
    println!(
        "in turn, medians: commit {commits:?}, raw write and barrier of the same bytes {barriers:?}"
    );
    group.bench_function("limit: raw write and fdatasync of the same bytes", |b| {
        b.iter(barrier);
    });
    group.bench_function("limit: raw appending write and fdatasync", |b| {
        let mut file = File::create(dir.path().join("appended")).unwrap();
        b.iter(|| {
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
        });
    });
    group.finish();
}

/// Commits of small batches and raw writes with a barrier of the bytes that such a commit appends, in turn.
fn small(_: &mut Criterion) {
    const ROUNDS: usize = 2000;
    for cells in [10, 100, 1000, CELLS] {
        let dir = dir();
        let mut writer = open(&dir, Some(ControlPage::anonymous(0).unwrap()));
        let raw = File::create(dir.path().join("raw")).unwrap();
        let bytes = vec![0x5a; cells * (CELL_BYTES + 43 + 17)];
        raw.write_all_at(&bytes, 0).unwrap();
        raw.sync_all().unwrap();
        // The store as it is after a while: its first level filled, the log's blocks used before.
        let mut next = 0;
        while next < 200_000 {
            for (key, e) in batch(next) {
                writer.put_hashed(key, &e, Flags(0x11), 0).unwrap();
            }
            writer.commit().unwrap();
            next += CELLS as u64;
        }
        writer.checkpoint().unwrap();
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..ROUNDS.min(1_200_000 / cells) {
            let batch: Vec<_> = (next..next + cells as u64)
                .map(encoding)
                .map(|e| (crypto::sha3_256(&e), e))
                .collect();
            next += cells as u64;
            let start = Instant::now();
            for (key, e) in &batch {
                writer.put_hashed(*key, e, Flags(0x11), 0).unwrap();
            }
            let put = start.elapsed();
            writer.commit().unwrap();
            let commit = start.elapsed() - put;
            let start = Instant::now();
            raw.write_all_at(&bytes, 0).unwrap();
            raw.sync_data().unwrap();
            for (list, time) in times.iter_mut().zip([put, commit, start.elapsed()]) {
                list.push(time);
            }
            if writer.checkpoint_due() {
                writer.checkpoint().unwrap();
            }
        }
        let [put, commit, barrier] = times.map(|mut list| {
            list.sort_unstable();
            list[list.len() / 2]
        });
        println!(
            "in turn, medians, {cells} cells: put {put:?}, commit {commit:?}, raw write and barrier {barrier:?}: {:.2}",
            commit.as_secs_f64() / barrier.as_secs_f64()
        );
    }
}

fn read(c: &mut Criterion) {
    const STORED: u64 = 200_000;
    let dir = dir();
    let control = ControlPage::anonymous(0).unwrap();
    let view = ControlView::from_file(&control.reader_file().unwrap()).unwrap();
    let mut writer = open(&dir, Some(control));
    let keys: Vec<Key> = (0..STORED)
        .map(|n| {
            let key = writer.put(&encoding(n), Flags(0x11), 0).unwrap().0;
            if n % 10_000 == 0 {
                writer.commit().unwrap();
            }
            key
        })
        .collect();
    writer.commit().unwrap();
    let path = writer.name().to_owned();
    let reader = Reader::follow(File::open(&path).unwrap(), &path, view).unwrap();
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(1));
    let mut i = 0;
    let mut pick = move || {
        i = (i + 0x9e37_79b1) % STORED as usize;
        i
    };
    group.bench_function("random cell of 200,000, hash verified", |b| {
        b.iter(|| reader.get(&keys[pick()]).unwrap().unwrap());
    });
    group.bench_function("proven absent", |b| {
        b.iter(|| {
            let mut key = keys[pick()];
            key[31] ^= 1;
            assert!(reader.get(&key).unwrap().is_none());
        });
    });
    group.bench_function("writer's own read", |b| {
        b.iter(|| writer.get(&keys[pick()]).unwrap().unwrap());
    });
    let all: Vec<Vec<u8>> = (0..10_000).map(encoding).collect();
    group.bench_function("limit: SHA3-256 of the encoding", |b| {
        b.iter(|| crypto::sha3_256(&all[pick() % 10_000]));
    });
    group.bench_function("limit: copy of the encoding", |b| {
        b.iter(|| all[pick() % 10_000].clone());
    });
    group.finish();
}

criterion_group!(benches, append, commit, small, read);
criterion_main!(benches);
