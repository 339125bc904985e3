//! Merge of one received belief, as `spec/10` defines the work: N peers, own orders of 10 blocks, received ones with one block more each,
//! all different. Neither the decoding of the beliefs nor signature checks are measured; the weights of the state's peers are.

use std::hint::black_box;

use cells::{Blob, Cell, Decoder, Index, Record, RecordKind, Signed, Vector, decode_message};
use consensus::{Belief, Context, Electorate, Order, merge};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use crypto::{AccountKey, Signature};
use cvm::state::{Block, PeerStatus};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const T0: i64 = 1_735_056_000_000;

/// Signatures are not looked at here, so any bytes do.
fn signed(key: &AccountKey, value: Cell) -> Signed {
    let mark = value.hash().0;
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&mark);
    Signed::new(*key, Signature::new(bytes), value)
}

fn block(key: &AccountKey, time: i64, amount: i64) -> Cell {
    let transfer = [
        Cell::Address(11),
        Cell::Long(1),
        Cell::Address(12),
        Cell::Long(amount),
    ];
    let transfer = Cell::from(Record::of_kind(RecordKind::Transfer, transfer));
    let block = Block {
        timestamp: time,
        transactions: Vector::from_iter([Cell::from(signed(key, transfer))]),
    };
    Cell::from(signed(key, block.to_cell()))
}

/// Peers of a state, and both beliefs as bytes.
fn work(n: usize) -> (Vec<AccountKey>, Index, [Vec<u8>; 2]) {
    let keys: Vec<AccountKey> = (0..n)
        .map(|i| AccountKey::new(cells::Hash::of(&i.to_be_bytes()).0))
        .collect();
    let mut peers = Index::empty();
    for (i, key) in keys.iter().enumerate() {
        let stake = (10_000 + i as i64) * 1_000_000_000;
        let record = PeerStatus::new(11, stake).to_cell();
        peers = peers
            .assoc(Cell::from(Blob::new(key.as_bytes())), record)
            .expect("an index in memory")
            .expect("a key");
    }
    let common: Vector = (0..10).map(|i| block(&keys[0], T0 + i, i)).collect();
    let (mut own, mut received) = (Belief::empty(), Belief::empty());
    for (i, key) in keys.iter().enumerate() {
        let order = |timestamp, blocks: Vector| {
            let empty = Order {
                timestamp,
                ..Order::empty()
            };
            signed(key, empty.with_blocks(blocks).to_cell())
        };
        let more = common
            .clone()
            .push(block(key, T0 + 100 + i as i64, 7))
            .expect("a vector in memory");
        own = own
            .with_order(key, order(T0, common.clone()))
            .expect("an index in memory");
        received = received
            .with_order(key, order(T0 + 1, more))
            .expect("an index in memory");
    }
    let bytes = [own, received].map(|b| cells::encode_message(&b.to_cell()).expect("in memory"));
    (keys, peers, bytes)
}

fn read(bytes: &[u8]) -> Belief {
    let cell = decode_message(bytes, &Decoder::new()).expect("a message");
    Belief::from_cell(&cell).expect("a belief")
}

fn merges(c: &mut Criterion) {
    for n in [10, 100, 1000] {
        let (keys, peers, [own, received]) = work(n);
        c.bench_function(&format!("belief merge of {n} peers"), |b| {
            b.iter_batched(
                || (read(&own), read(&received)),
                |(own, received)| {
                    let electorate = Electorate::new(T0, &peers).expect("peers");
                    let context = Context {
                        key: keys[0],
                        time: T0 + 1000,
                        electorate: &electorate,
                        verify: &|_| true,
                    };
                    let outcome =
                        merge(&context, &own, std::slice::from_ref(&received)).expect("an outcome");
                    assert_eq!(
                        outcome.to_sign().expect("an order").blocks.count(),
                        10 + n as u64
                    );
                    black_box((outcome, own, received))
                },
                BatchSize::LargeInput,
            );
        });
        // What a peer does every few milliseconds: nothing new has come.
        let (own, received) = (read(&own), read(&own));
        let electorate = Electorate::new(T0, &peers).expect("peers");
        c.bench_function(&format!("idle merge of {n} peers"), |b| {
            b.iter(|| {
                let context = Context {
                    key: keys[0],
                    time: T0 + 1000,
                    electorate: &electorate,
                    verify: &|_| true,
                };
                merge(&context, &own, std::slice::from_ref(&received)).expect("an outcome")
            });
        });
    }
}

criterion_group!(benches, merges);
criterion_main!(benches);
