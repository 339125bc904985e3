//! Speed of hashing and of signature checks, beside the plain libraries.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{
    AccountKey, KeyCache, Signature, SignedMessage, SigningKey, VerifyingKey, sha3_256,
    sha3_256_many, verify, verify_batch,
};

fn hashing(c: &mut Criterion) {
    let one_by_one = |inputs: &[&[u8]], out: &mut [[u8; 32]], hash: fn(&[u8]) -> [u8; 32]| {
        for (input, digest) in inputs.iter().zip(out) {
            *digest = hash(input);
        }
    };
    let plain = |data: &[u8]| -> [u8; 32] {
        use sha3::Digest;
        sha3::Sha3_256::digest(data).into()
    };
    // 1,000 messages of one length, and a mixture like that of real cells.
    let uniform = |length: usize| vec![vec![0x5a; length]; 1_000];
    let mixture = (0..1_000)
        .map(|i| vec![i as u8; 30 + i * 7919 % 271])
        .collect();
    let sets = [
        ("100 bytes", uniform(100)),
        ("140 bytes", uniform(140)),
        ("30 to 300 bytes", mixture),
    ];
    for (name, messages) in sets {
        let inputs: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut out = vec![[0; 32]; inputs.len()];
        let mut group = c.benchmark_group(format!("sha3, 1000 messages of {name}"));
        group.throughput(Throughput::Bytes(
            messages.iter().map(|m| m.len() as u64).sum(),
        ));
        group.bench_function("sha3 crate", |b| {
            b.iter(|| one_by_one(&inputs, &mut out, plain))
        });
        group.bench_function("single", |b| {
            b.iter(|| one_by_one(&inputs, &mut out, sha3_256))
        });
        group.bench_function("many", |b| b.iter(|| sha3_256_many(&inputs, &mut out)));
        group.finish();
    }
    let mut group = c.benchmark_group("sha3, few messages of 140 bytes");
    for count in [2, 3, 4, 8, 16] {
        let inputs = vec![[0x5a; 140].as_slice(); count];
        let mut out = vec![[0; 32]; count];
        group.throughput(Throughput::Bytes(140 * count as u64));
        group.bench_function(format!("{count} single"), |b| {
            b.iter(|| one_by_one(&inputs, &mut out, sha3_256));
        });
        group.bench_function(format!("{count} many"), |b| {
            b.iter(|| sha3_256_many(&inputs, &mut out));
        });
    }
    group.finish();
}

struct Signed {
    key: AccountKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Signed {
    fn item(&self) -> SignedMessage<'_> {
        SignedMessage {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }
}

/// `count` signatures over 100-byte messages by `keys` signers in turn.
fn signed(count: usize, keys: usize) -> Vec<Signed> {
    let signers: Vec<_> = (0..keys)
        .map(|i| SigningKey::from_seed(&sha3_256(&i.to_le_bytes())))
        .collect();
    let sign = |i: usize| {
        let signer = &signers[i % keys];
        let message = vec![i as u8; 100];
        Signed {
            key: signer.account_key(),
            signature: signer.sign(&message),
            message,
        }
    };
    (0..count).map(sign).collect()
}

fn signatures(c: &mut Criterion) {
    let mut group = c.benchmark_group("ed25519");
    group.throughput(Throughput::Elements(1));
    let one = &signed(1, 1)[0];
    let plain = ed25519_dalek::VerifyingKey::from_bytes(one.key.as_bytes()).unwrap();
    let plain_signature = ed25519_dalek::Signature::from_bytes(one.signature.as_bytes());
    group.bench_function("ed25519-dalek, decoded key", |b| {
        use ed25519_dalek::Verifier;
        b.iter(|| {
            plain
                .verify(black_box(&one.message), &plain_signature)
                .is_ok()
        });
    });
    group.bench_function("single", |b| {
        b.iter(|| verify(&one.key, black_box(&one.message), &one.signature));
    });
    let decoded = VerifyingKey::decode(&one.key).unwrap();
    group.bench_function("single, decoded key", |b| {
        b.iter(|| decoded.verify(black_box(&one.message), &one.signature));
    });
    let cache = KeyCache::new(10_000);
    group.bench_function("single, key cache", |b| {
        b.iter(|| cache.verify(&one.key, black_box(&one.message), &one.signature));
    });
    let signer = SigningKey::from_seed(&[7; 32]);
    group.bench_function("sign", |b| b.iter(|| signer.sign(black_box(&one.message))));

    for (count, keys) in [
        (8, 8),
        (64, 64),
        (64, 10),
        (256, 256),
        (1_000, 10),
        (1_000, 1_000),
        (4_000, 100),
    ] {
        let batch = signed(count, keys);
        let items: Vec<_> = batch.iter().map(Signed::item).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("batch of {count}, {keys} keys"), |b| {
            b.iter(|| assert!(!verify_batch(&cache, &[9; 32], &items).contains(&false)));
        });
    }
    for bad in [1, 10, 1_000] {
        let mut batch = signed(1_000, 10);
        for i in 0..bad {
            batch[i * 997 % 1_000].message.push(0);
        }
        let items: Vec<_> = batch.iter().map(Signed::item).collect();
        group.throughput(Throughput::Elements(1_000));
        group.bench_function(format!("batch of 1000, 10 keys, {bad} bad"), |b| {
            b.iter(|| verify_batch(&cache, &[9; 32], &items));
        });
    }
    let batch = signed(64, 64);
    let items: Vec<_> = batch.iter().map(Signed::item).collect();
    group.throughput(Throughput::Elements(64));
    group.bench_function("batch of 64, 64 keys never seen", |b| {
        b.iter_batched(
            || KeyCache::new(10_000),
            |cache| verify_batch(&cache, &[9; 32], &items),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = hashing, signatures
}
criterion_main!(benches);
