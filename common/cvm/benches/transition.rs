//! Block application on the workloads of `spec/10`: as there, blocks are decoded before the clock starts and the
//! state hash is computed after each of the ten.
#![allow(
    missing_docs,
    reason = "criterion's macros make public items without documentation"
)]

mod workload;

use std::hint::black_box;
use std::time::{Duration, Instant};

use cells::Cell;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto::KeyCache;
use cvm::state::State;
use cvm::transition::{apply_block, check_signatures_parallel};
use cvm::{Machine, Rules};
use workload::Workload;

/// The allocator of the programs that apply blocks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// When signatures are checked.
#[derive(Debug, Clone, Copy)]
enum Signatures {
    /// Before the clock starts.
    Before,
    /// In the clock, in batches, on this many threads.
    Within(usize),
}

fn run(genesis: &Cell, messages: &[Vec<u8>], signatures: Signatures, expected: &str) -> Duration {
    let blocks: Vec<_> = messages
        .iter()
        .map(|message| workload::decode(message))
        .collect();
    if let Signatures::Before = signatures {
        check_signatures_parallel(&blocks, &KeyCache::new(256), &[7; 32], 2).expect("in memory");
    }
    let mut machine = Machine::new(Rules::latest());
    let mut state = State::from_cell(genesis).expect("a state");
    let cache = KeyCache::new(256);
    let mut hash = None;
    let clock = Instant::now();
    for block in &blocks {
        if let Signatures::Within(threads) = signatures {
            check_signatures_parallel(std::slice::from_ref(block), &cache, &[7; 32], threads)
                .expect("in memory");
        }
        black_box(apply_block(&mut machine, &mut state, block).expect("an outcome"));
        hash = Some(state.hash().expect("in memory"));
    }
    let time = clock.elapsed();
    assert_eq!(
        hash.map(|hash| workload::hex(&hash)).as_deref(),
        Some(expected)
    );
    time
}

fn transition(c: &mut Criterion) {
    let Some(genesis) = workload::genesis() else {
        return;
    };
    let mut group = c.benchmark_group("ten blocks of a thousand");
    group
        .throughput(Throughput::Elements(10_000))
        .sample_size(20);
    for workload in Workload::ALL {
        let messages = workload::blocks(workload);
        for signatures in [
            Signatures::Before,
            Signatures::Within(1),
            Signatures::Within(2),
        ] {
            group.bench_function(format!("{workload:?}, signatures {signatures:?}"), |b| {
                b.iter_custom(|n| {
                    (0..n)
                        .map(|_| run(&genesis, &messages, signatures, workload.final_hash()))
                        .sum()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, transition);
criterion_main!(benches);
