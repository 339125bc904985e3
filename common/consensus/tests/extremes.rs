//! Orders with any numbers in them, blocks of any kind, and messages with bytes changed: answered, never a panic.

mod support;

use std::sync::{Arc, OnceLock};

use cells::{Blob, Cell, Decoder, Index, Record, Signed, Vector, Verdict};
use consensus::{Answer, Belief, Electorate, Input, LEVELS, Peer};
use cvm::state::{Block, PeerStatus};
use proptest::prelude::*;
use support::{STAKE, T0, belief, block, electorate, key, order, run, sign, signer};

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(i64::MIN),
        Just(i64::MAX),
        Just(-1),
        Just(0),
        T0 - 5..T0 + 5,
        0i64..6,
        any::<i64>(),
    ]
}

/// What may stand where a block is expected.
fn element() -> impl Strategy<Value = Cell> {
    prop_oneof![
        4 => (1u8..5, number()).prop_map(|(peer, time)| Cell::from(block(peer, time))),
        1 => Just(Cell::Nil),
        1 => number().prop_map(Cell::Long),
        1 => number().prop_map(|n| Cell::from(Signed::sign(&signer(2), Cell::Long(n)))),
        1 => number().prop_map(|time| {
            let transactions = Vector::from_iter([Cell::Nil, Cell::Nil, Cell::Nil]);
            let block = Block { timestamp: time, transactions };
            Cell::from(Signed::sign(&signer(3), block.to_cell()))
        }),
    ]
}

fn any_order() -> impl Strategy<Value = Cell> {
    // None: as the rules want them, so that intake lets some through.
    let points = proptest::option::of(proptest::collection::vec(number(), 0..7));
    let blocks = proptest::collection::vec(element(), 0..40);
    (number(), points, blocks).prop_map(|(time, points, blocks)| {
        let falling = || {
            [0, 2, 4, 6]
                .map(|n| (blocks.len() as i64 - n).max(0))
                .into()
        };
        let points = points.unwrap_or_else(falling);
        let points: Vector = points.into_iter().map(Cell::Long).collect();
        let blocks: Vector = blocks.into_iter().collect();
        let fields = [Cell::Long(time), Cell::from(points), Cell::from(blocks)];
        Cell::from(Record::new(0xd7, fields.into_iter().collect()).unwrap())
    })
}

/// Peers with any stakes and times.
fn any_electorate() -> impl Strategy<Value = Electorate> {
    let peer = (number(), number(), number(), number());
    (number(), proptest::collection::vec(peer, 4)).prop_map(|(now, list)| {
        let mut peers = Index::empty();
        for (i, (stake, delegated, balance, timestamp)) in (1u8..).zip(list) {
            let mut peer = PeerStatus::new(1, stake);
            peer.delegated_stake = delegated;
            peer.balance = balance;
            peer.timestamp = timestamp;
            let key = Cell::from(Blob::new(key(i).as_bytes()));
            peers = peers.assoc(key, peer.to_cell()).unwrap().unwrap();
        }
        Electorate::new(now, &peers).unwrap()
    })
}

/// A peer takes in a message, merges until it rests, and executes what it may.
fn live(electorate: Electorate, own: Belief, now: i64, message: &Cell) {
    let electorate = Arc::new(electorate);
    let mut peer = Peer::restored(key(1), electorate, own, Vector::empty(), 0).unwrap();
    let mut intake = peer.intake(now);
    for offer in intake.offers(message).unwrap().orders {
        assert!(offer.order().check().is_ok());
        let _ = offer.signed().verify();
        let _ = intake.accept(offer).unwrap();
    }
    let mut incoming = intake.finish();
    for i in 0..12 {
        let input = Input {
            incoming: incoming.take(),
            blocks: vec![block(1, now.saturating_sub(i))],
            fresh: i % 3 == 0,
        };
        let round = peer.round(now.saturating_add(i), input).unwrap();
        let answer = round.to_sign().map_or(Answer::None, |order| {
            assert!(order.check().is_ok());
            let signed = Signed::sign(&signer(1), order.to_cell());
            assert_eq!(signed.verdict(), Verdict::Good);
            Answer::Signed(signed)
        });
        peer.complete(round, answer).unwrap();
        let work = peer.executable().unwrap();
        assert_eq!(
            work.blocks().count() as u64,
            work.range.end - work.range.start
        );
        let electorate = peer.electorate().clone();
        peer.executed(work.chain, work.range.end, electorate)
            .unwrap();
    }
}

/// A message of a belief with long chains, whole.
fn sample() -> &'static [u8] {
    static SAMPLE: OnceLock<Vec<u8>> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let blocks: Vec<Signed> = (0..20).map(|i| block(2, T0 + i)).collect();
        let said = |n: usize| order(T0 + 1, [n as i64, 3, 2, 0], &blocks[..n]);
        let message = belief(&[(2, said(20)), (3, said(18)), (4, said(5))]);
        cells::encode_message(&message.to_cell()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn orders_with_any_numbers_are_answered(
        electorate in any_electorate(),
        own in 0usize..3,
        now in number(),
        orders in proptest::collection::vec((1u8..5, any_order()), 1..5),
    ) {
        let count = own as i64;
        let blocks: Vec<Signed> = (0..count).map(|i| block(1, T0 + i)).collect();
        let mine = belief(&[(1, order(T0, [count; LEVELS], &blocks))]);
        let message = orders.iter().fold(Belief::empty(), |belief, (peer, order)| {
            let signed = Signed::sign(&signer(*peer), order.clone());
            belief.with_order(&key(*peer), signed).unwrap()
        });
        // Straight to the merge too, which also takes what intake refuses.
        let outcome = run(1, now, &electorate, &mine, std::slice::from_ref(&message)).unwrap();
        if let Some(order) = outcome.to_sign().cloned() {
            prop_assert_eq!(order.check(), Ok(()));
            let merged = outcome.signed(sign(1, &order)).unwrap();
            prop_assert!(run(1, now, &electorate, &merged, &[]).is_ok());
        }
        live(electorate, mine, now, &message.to_cell());
    }

    #[test]
    fn messages_with_bytes_changed_are_answered(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = sample().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok((message, _)) = cells::decode_partial(&bytes, &Decoder::new()) {
            let mine = belief(&[(1, order(T0, [0; LEVELS], &[]))]);
            live(electorate(&[STAKE; 4]), mine.clone(), T0 + 50, &message);
            if let Ok(message) = Belief::from_cell(&message) {
                let _ = run(1, T0 + 50, &electorate(&[STAKE; 4]), &mine, &[message]).unwrap();
            }
        }
    }
}
