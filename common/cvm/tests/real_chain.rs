//! The real chain of a live network: its blocks, applied to its genesis, end in the state that its peers agreed on.
//!
//! Skipped, saying so, where the shared data are not beside the workspace.

use std::path::PathBuf;

use cells::{Cell, Decoder, Signed, Vector, decode_message};
use crypto::KeyCache;
use cvm::state::State;
use cvm::transition::{apply_block, check_signatures_parallel};
use cvm::{Machine, Rules};

fn data(name: &str) -> Option<Cell> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no shared data at {}", path.display());
        return None;
    };
    Some(decode_message(&bytes, &Decoder::new()).expect("a cell"))
}

fn field(cell: &Cell, i: u64) -> Cell {
    let Cell::Record(record) = cell else {
        panic!("not a record: {cell}")
    };
    record.field(i).expect("in memory").expect("a field")
}

/// The blocks of the order with the highest consensus point, up to that point.
fn agreed_blocks(belief: &Cell) -> Vec<Signed> {
    let Cell::Index(orders) = field(belief, 0) else {
        panic!("no orders")
    };
    let mut best: (u64, Vector) = (0, Vector::empty());
    for entry in orders.iter() {
        let Cell::Signed(order) = entry.expect("in memory").1 else {
            panic!("unsigned order")
        };
        let order = order.value().expect("in memory");
        let (Cell::Vector(points), Cell::Vector(blocks)) = (field(&order, 1), field(&order, 2))
        else {
            panic!("no order: {order}")
        };
        let point = match points.get(2).expect("in memory") {
            Some(Cell::Long(point)) => point as u64,
            other => panic!("no consensus point: {other:?}"),
        };
        if point > best.0 {
            best = (point, blocks);
        }
    }
    let blocks = best.1.iter().take(best.0 as usize);
    blocks
        .map(|block| match block.expect("in memory") {
            Cell::Signed(block) => block,
            other => panic!("unsigned block: {other}"),
        })
        .collect()
}

#[test]
fn the_blocks_of_the_live_network_end_in_the_state_of_its_peers() {
    let (Some(genesis), Some(belief)) = (
        data("protonet-genesis.cad3"),
        data("protonet-belief-728.cad3"),
    ) else {
        return;
    };
    let blocks = agreed_blocks(&belief);
    assert_eq!(blocks.len(), 728);
    check_signatures_parallel(&blocks, &KeyCache::new(1024), &[3; 32], 2).expect("in memory");
    let mut state = State::from_cell(&genesis).expect("a state");
    let mut machine = Machine::new(Rules::latest());
    for (number, block) in blocks.iter().enumerate() {
        let outcome = apply_block(&mut machine, &mut state, block).expect("an outcome");
        assert_eq!(outcome.invalid, None, "block {number}");
    }
    assert_eq!(state.account_count(), 14_303);
    assert_eq!(
        state.hash().expect("in memory").to_string(),
        "9359348383b11973856e100abf0ab5785fcb8ea6184e011361fc9138b7ba81a8"
    );
}
