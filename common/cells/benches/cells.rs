//! Cells beside their limits: raw SHA3-256 over the same bytes for everything that hashes, a plain copy for what
//! does not. `benches/README.md` says how to run the same work on the reference.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;

use cells::{Blob, Cell, Decoder, Hash, Keyword, Map, Str, Vector, decode_message, encode_message};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sha3::{Digest, Sha3_256};

/// The allocator of the programs that decode for a living.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn raw_sha3(bytes: &[u8]) -> [u8; 32] {
    Sha3_256::digest(bytes).into()
}

/// The encode workload of `spec/10`: 10,000 maps of four entries, all new.
fn customers() -> Cell {
    let (id, name, tags, key) = (
        Keyword::literal("id"),
        Keyword::literal("name"),
        Keyword::literal("tags"),
        Keyword::literal("key"),
    );
    (0..10_000i64)
        .map(|i| {
            let text = format!(
                "customer number {i} of the workload, with a padding text of some length to exceed the limit"
            );
            let entries = [
                (Cell::from(id.clone()), Cell::Long(i)),
                (Cell::from(name.clone()), Cell::from(Str::new(text.as_bytes()))),
                (Cell::from(tags.clone()), [i % 7, i % 11, i % 13].map(Cell::Long).into_iter().collect::<Vector>().into()),
                (Cell::from(key.clone()), Blob::new(&raw_sha3(format!("k{i}").as_bytes())).into()),
            ];
            Cell::from(entries.into_iter().collect::<Map>())
        })
        .collect::<Vector>()
        .into()
}

/// The cells of a message, each as it is hashed.
fn parts(message: &[u8]) -> Vec<&[u8]> {
    let top = decode_message(message, &Decoder::new())
        .expect("a message")
        .encoded_len();
    let (mut at, mut parts) = (top, vec![&message[..top]]);
    while at < message.len() {
        let (len, prefix) = cells::vlq::read(&message[at..]).expect("a length");
        at += prefix;
        parts.push(&message[at..at + len as usize]);
        at += len as usize;
    }
    parts
}

/// The genesis state of the live network, where the shared data are present.
fn genesis() -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/protonet-genesis.cad3");
    std::fs::read(path).ok()
}

fn hashing(c: &mut Criterion) {
    let message = encode_message(&customers()).expect("in memory");
    let parts = parts(&message);
    let bytes: usize = parts.iter().map(|p| p.len()).sum();
    let mut group = c.benchmark_group("hash");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("limit: raw sha3 of the cells, one by one", |b| {
        b.iter(|| {
            parts
                .iter()
                .map(|p| raw_sha3(p)[0])
                .fold(0, u8::wrapping_add)
        });
    });
    group.bench_function("cell hashes, one by one", |b| {
        b.iter(|| {
            parts
                .iter()
                .map(|p| Hash::of(p).0[0])
                .fold(0, u8::wrapping_add)
        });
    });
    group.bench_function("cell hashes, many at once", |b| {
        b.iter(|| Hash::of_many(&parts))
    });
    group.finish();
}

fn coding(c: &mut Criterion) {
    let fresh = customers();
    let message = encode_message(&fresh).expect("in memory");
    let mut group = c.benchmark_group("message");
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("encode new values, hashing included", |b| {
        b.iter_batched(
            customers,
            |cell| encode_message(&cell).expect("in memory"),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("encode again", |b| {
        b.iter(|| encode_message(&fresh).expect("in memory"))
    });
    group.bench_function("limit: copy", |b| b.iter(|| black_box(message.clone())));
    group.bench_function("decode, hashing included", |b| {
        b.iter_with_large_drop(|| decode_message(&message, &Decoder::new()).expect("a message"));
    });
    group.finish();
    let Some(genesis) = genesis() else {
        eprintln!("the genesis benchmark needs ../shared/data: left out");
        return;
    };
    let parts = parts(&genesis);
    let mut group = c.benchmark_group("genesis");
    group.throughput(Throughput::Bytes(genesis.len() as u64));
    group.bench_function("decode, hashing included", |b| {
        b.iter_batched(
            || (),
            |()| decode_message(&genesis, &Decoder::new()).expect("a state"),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("limit: raw sha3 of its cells, one by one", |b| {
        b.iter(|| {
            parts
                .iter()
                .map(|p| raw_sha3(p)[0])
                .fold(0, u8::wrapping_add)
        });
    });
    group.finish();
}

fn collections(c: &mut Criterion) {
    const N: i64 = 10_000;
    let keys: Vec<Cell> = (0..N)
        .map(|i| Cell::from(Blob::new(&raw_sha3(&i.to_be_bytes()))))
        .collect();
    keys.iter().for_each(|k| {
        black_box(k.hash());
    });
    let mut group = c.benchmark_group("collections of 10,000");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("vector: push one by one", |b| {
        b.iter(|| {
            (0..N).fold(Vector::empty(), |v, i| {
                v.push(Cell::Long(i)).expect("in memory")
            })
        });
    });
    group.bench_function("limit: std Vec push", |b| {
        b.iter(|| {
            (0..N).fold(Vec::new(), |mut v, i| {
                v.push(Cell::Long(i));
                v
            })
        });
    });
    group.bench_function("map: insert one by one, hashes known", |b| {
        b.iter(|| {
            keys.iter().fold(Map::empty(), |m, k| {
                m.assoc(k.clone(), Cell::Nil).expect("in memory")
            })
        });
    });
    group.bench_function("limit: std HashMap insert", |b| {
        b.iter(|| {
            keys.iter().fold(HashMap::new(), |mut m, k| {
                m.insert(k.hash(), k.clone());
                m
            })
        });
    });
    let map: Map = keys.iter().map(|k| (k.clone(), Cell::Nil)).collect();
    group.bench_function("map: look up", |b| {
        b.iter(|| {
            keys.iter()
                .filter(|k| map.contains(k).expect("in memory"))
                .count()
        });
    });
    group.finish();
}

fn transfer(c: &mut Criterion) {
    // A signed transfer as it comes from a client.
    let tx = cells::Record::of_kind(
        cells::RecordKind::Transfer,
        [
            Cell::Address(42),
            Cell::Long(8),
            Cell::Address(13),
            Cell::Long(1_000_000_000),
        ],
    );
    let signed = cells::Signed::sign(&crypto::SigningKey::from_seed(&[7; 32]), tx.into());
    let bytes = Cell::from(signed).encode();
    let mut group = c.benchmark_group("transfer");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode one", |b| {
        b.iter(|| decode_message(&bytes, &Decoder::new()).expect("a cell"))
    });
    group.finish();
}

criterion_group!(benches, hashing, coding, collections, transfer);
criterion_main!(benches);
