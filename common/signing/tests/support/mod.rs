//! Values to sign.
#![allow(dead_code, unreachable_pub, clippy::missing_panics_doc)]

use std::cell::RefCell;
use std::collections::HashMap;

use cells::{Cell, Hash, Record, RecordKind, Signed, Vector};
use crypto::{Signature, SigningKey};
use signing::{Identity, Now, Rate, Rates};

pub const T0: i64 = 1_735_056_000_000;

pub fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

pub fn identity() -> Identity {
    // That of `key`, whose derivation is slow without optimisation.
    thread_local!(static KEY: crypto::AccountKey = key().account_key());
    Identity {
        key: KEY.with(|key| *key),
        network: Hash([1; 32]),
    }
}

pub fn at(wall: i64) -> Now {
    Now {
        wall,
        steady: wall as u64,
    }
}

pub fn no_rates() -> Rates {
    let rate = Rate::new(u32::MAX, u32::MAX);
    Rates {
        orders: rate,
        blocks: rate,
        challenges: rate,
        answers: rate,
    }
}

thread_local! {
    static BLOCKS: RefCell<HashMap<u32, Cell>> = RefCell::default();
}

/// A signed block that nobody needs to look into.
pub fn signed_block(id: u32) -> Cell {
    let make = || {
        let block = block(T0 + i64::from(id), [transaction(id, 0)]);
        let signature = Signature::new([id as u8; 64]);
        Cell::from(Signed::new(identity().key, signature, Cell::from(block)))
    };
    BLOCKS.with(|blocks| blocks.borrow_mut().entry(id).or_insert_with(make).clone())
}

/// A transfer, or an invocation with a command of `extra` characters.
pub fn transaction(id: u32, extra: usize) -> Cell {
    let sequence = Cell::Long(i64::from(id));
    let value = if extra == 0 {
        let fields = [
            Cell::Address(11),
            sequence,
            Cell::Address(12),
            Cell::Long(1),
        ];
        Record::of_kind(RecordKind::Transfer, fields)
    } else {
        let command = Cell::from("x".repeat(extra).as_str());
        Record::of_kind(RecordKind::Invoke, [Cell::Address(11), sequence, command])
    };
    let signature = Signature::new([3; 64]);
    Cell::from(Signed::new(
        key().account_key(),
        signature,
        Cell::from(value),
    ))
}

pub fn block(time: i64, transactions: impl IntoIterator<Item = Cell>) -> Record {
    let transactions: Vector = transactions.into_iter().collect();
    Record::of_kind(
        RecordKind::Block,
        [Cell::Long(time), Cell::from(transactions)],
    )
}

pub fn order(time: i64, points: &[i64], blocks: &[u32]) -> Record {
    let points: Vector = points.iter().map(|p| Cell::Long(*p)).collect();
    let blocks: Vector = blocks.iter().map(|id| signed_block(*id)).collect();
    let fields = [Cell::Long(time), Cell::from(points), Cell::from(blocks)];
    Record::of_kind(RecordKind::Order, fields)
}
