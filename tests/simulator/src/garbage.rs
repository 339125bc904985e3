//! What no honest peer sends: orders of forms that the rules exclude, crowds of strangers, branches that go on and on.

use cells::{Blob, Cell, Record, Ref, Signed, Vector};
use consensus::Belief;
use crypto::{AccountKey, Signature};

use crate::rng::Rng;

/// Tag of an order (`spec/05 §2`).
const ORDER: u8 = 0xd7;
/// Strangers in one belief.
const CROWD: usize = 300;
/// Values one below the other.
const DEEP: usize = 48;

fn record(time: Cell, points: &[i64], blocks: Vector) -> Cell {
    let points: Vector = points.iter().map(|n| Cell::Long(*n)).collect();
    let fields = [time, Cell::from(points), Cell::from(blocks)];
    let record = Record::new(ORDER, fields.into_iter().collect());
    Cell::from(record.expect("a record of three fields"))
}

/// Something in place of an order with this chain, each turn another.
pub(crate) fn malformed(clock: i64, chain: &Vector, poison: Signed, turn: u64) -> Cell {
    let time = Cell::Long(clock);
    let count = chain.count() as i64;
    let with = |cell: Cell| {
        let longer = chain.clone().push(cell).expect("own blocks");
        record(Cell::Long(clock), &[count + 1, 0, 0, 0], longer)
    };
    match turn % 8 {
        0 => record(time, &[count, count], chain.clone()),
        1 => record(time, &[9, 7, 5, 3], chain.clone()),
        2 => record(time, &[count, 0, -1, 0], chain.clone()),
        3 => record(time, &[0; 12], chain.clone()),
        4 => record(Cell::Nil, &[count, 0, 0, 0], chain.clone()),
        5 => with(Cell::Nil),
        6 => with(Cell::from(poison)),
        _ => Cell::Nil,
    }
}

fn bytes(rng: &mut Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&rng.next().to_be_bytes());
    }
    bytes
}

/// The belief with nil for the order of somebody.
pub(crate) fn with_nil(belief: &Belief, rng: &mut Rng) -> Belief {
    let key = Cell::from(Blob::new(&bytes(rng)));
    let orders = belief.orders().clone().assoc(key, Cell::Nil);
    Belief::new(orders.expect("an own belief").expect("a key"))
}

/// Orders of a crowd that nobody knows.
pub(crate) fn crowd(clock: i64, rng: &mut Rng) -> Vec<(AccountKey, Signed)> {
    let order = record(Cell::Long(clock), &[0; 4], Vector::empty());
    (0..CROWD)
        .map(|_| {
            let key = AccountKey::new(bytes(rng));
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&bytes(rng));
            let signed = Signed::new(key, Signature::new(signature), order.clone());
            (key, signed)
        })
        .collect()
}

/// Values each of which holds the one before, the outermost last.
pub(crate) fn deep(rng: &mut Rng) -> Vec<Cell> {
    let mut all: Vec<Cell> = Vec::with_capacity(DEEP);
    for _ in 0..DEEP {
        // Too long to stand in its parent.
        let filling = [0; 5].map(|_: u8| Ref::new(Cell::from(Blob::new(&bytes(rng)))));
        let below = all.last().cloned().map(Ref::new);
        all.push(Cell::from(Vector::from_refs(
            filling.into_iter().chain(below),
        )));
    }
    all
}
