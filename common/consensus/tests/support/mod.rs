//! A small world for tests: peers with keys, a state, blocks and beliefs.
#![allow(dead_code)]

use cells::{Blob, Cell, Index, Signed, Vector};
use consensus::{Belief, Context, Electorate, MergeError, Order, Outcome, merge};
use crypto::{AccountKey, SigningKey};
use cvm::state::{Block, PeerStatus};

pub(crate) const T0: i64 = 1_735_056_000_000;
pub(crate) const STAKE: i64 = 10_000_000_000_000;

/// Peer `i` has the seed `i`, as in the golden vectors.
pub(crate) fn signer(i: u8) -> SigningKey {
    let mut seed = [0; 32];
    seed[31] = i;
    SigningKey::from_seed(&seed)
}

pub(crate) fn key(i: u8) -> AccountKey {
    signer(i).account_key()
}

/// Peers 1, 2, … with these stakes, all active at the time of the state.
pub(crate) fn electorate(stakes: &[i64]) -> Electorate {
    let mut peers = Index::empty();
    for (i, stake) in stakes.iter().enumerate() {
        let mut peer = PeerStatus::new(1, *stake);
        peer.timestamp = T0;
        let key = Cell::from(Blob::new(key(i as u8 + 1).as_bytes()));
        peers = peers.assoc(key, peer.to_cell()).unwrap().unwrap();
    }
    Electorate::new(T0, &peers).unwrap()
}

/// An empty block: the format allows it, and it is told by its time.
pub(crate) fn block(peer: u8, time: i64) -> Signed {
    let block = Block {
        timestamp: time,
        transactions: Vector::empty(),
    };
    Signed::sign(&signer(peer), block.to_cell())
}

pub(crate) fn chain(blocks: &[Signed]) -> Vector {
    blocks.iter().cloned().map(Cell::from).collect()
}

pub(crate) fn order(timestamp: i64, points: [i64; 4], blocks: &[Signed]) -> Order {
    Order {
        timestamp,
        points: points.into_iter().collect(),
        blocks: chain(blocks),
    }
}

pub(crate) fn sign(peer: u8, order: &Order) -> Signed {
    Signed::sign(&signer(peer), order.to_cell())
}

pub(crate) fn belief(orders: &[(u8, Order)]) -> Belief {
    orders
        .iter()
        .fold(Belief::empty(), |belief, (peer, order)| {
            belief.with_order(&key(*peer), sign(*peer, order)).unwrap()
        })
}

pub(crate) fn run(
    peer: u8,
    time: i64,
    electorate: &Electorate,
    own: &Belief,
    incoming: &[Belief],
) -> Result<Outcome, MergeError> {
    let context = Context {
        key: key(peer),
        time,
        electorate,
        verify: &Signed::verify,
    };
    merge(&context, own, incoming)
}

/// The belief after a merge, signed where it has to be.
pub(crate) fn finish(peer: u8, outcome: Outcome) -> Belief {
    match outcome.to_sign().cloned() {
        Some(order) => outcome.signed(sign(peer, &order)).unwrap(),
        None => outcome.unsigned(),
    }
}

/// A small generator of random numbers, the same everywhere.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
