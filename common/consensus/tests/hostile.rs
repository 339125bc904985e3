//! What a hostile peer can sign, and what a message can lack: reasons, never panics, and never more work than was sent.

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use cells::{
    Blob, Cell, CellError, Decoder, Hash, Index, Record, RecordKind, Ref, Signed, Source, Vector,
    vlq,
};
use consensus::{
    Belief, BlockFault, Decision, DropReason, Electorate, Intake, MergeError, Offers, Order,
    OrderFault, ProgressError, executable,
};
use crypto::Signature;
use support::{STAKE, T0, belief, block, chain, electorate, finish, key, order, run, sign, signer};

fn three() -> Electorate {
    electorate(&[STAKE; 3])
}

fn own() -> Belief {
    belief(&[(1, order(T0, [0; 4], &[]))])
}

/// A belief with any value under the key of peer 2.
fn claims(value: Cell) -> Belief {
    let key = Cell::from(Blob::new(key(2).as_bytes()));
    Belief::new(Index::empty().assoc(key, value).unwrap().unwrap())
}

fn claims_signed(value: Cell) -> Belief {
    claims(Cell::from(Signed::sign(&signer(2), value)))
}

fn record(fields: [Cell; 3]) -> Cell {
    Cell::from(Record::new(0xd7, fields.into_iter().collect()).unwrap())
}

fn points(n: &[i64]) -> Cell {
    Cell::from(n.iter().map(|i| Cell::Long(*i)).collect::<Vector>())
}

/// The only reason to drop an order in a merge at T0 + 100 that changes nothing.
fn reason(incoming: Belief) -> DropReason {
    let outcome = run(1, T0 + 100, &three(), &own(), &[incoming]).unwrap();
    assert!(outcome.to_sign().is_none());
    let [dropped] = &outcome.dropped[..] else {
        panic!("{:?}", outcome.dropped)
    };
    let reason = dropped.reason.clone();
    assert_eq!(finish(1, outcome), own());
    reason
}

fn offers(message: &Cell) -> Offers {
    let electorate = three();
    let intake = Intake::new(key(1), T0 + 100, &electorate, &own()).unwrap();
    intake.offers(message).unwrap()
}

/// The reason for which intake refuses an order of peer 2.
fn refusal(order: Cell) -> DropReason {
    let offers = offers(&Cell::from(Signed::sign(&signer(2), order)));
    assert!(offers.orders.is_empty());
    let [refused] = &offers.refused[..] else {
        panic!("{:?}", offers.refused)
    };
    assert_eq!(refused.key, Some(key(2)));
    refused.reason.clone()
}

#[test]
fn values_of_wrong_types_are_left_aside() {
    let not_an_order = DropReason::Fault(OrderFault::NotAnOrder);
    for value in [
        Cell::Nil,
        Cell::Long(1),
        Cell::from("x"),
        Cell::from(Index::empty()),
    ] {
        assert_eq!(reason(claims(value.clone())), not_an_order);
        assert_eq!(reason(claims_signed(value.clone())), not_an_order);
        assert_eq!(refusal(value), not_an_order);
    }
    let good = points(&[0; 4]);
    for fields in [
        [Cell::Nil, good.clone(), Cell::from(Vector::empty())],
        [Cell::Long(1), Cell::Nil, Cell::from(Vector::empty())],
        [Cell::Long(1), good, Cell::Nil],
    ] {
        assert_eq!(reason(claims_signed(record(fields))), not_an_order);
    }
}

/// Whoever executes one of these ends, in the reference and here: a chain with one is no chain to agree on.
#[test]
fn a_chain_with_what_nobody_survives_is_refused_at_intake() {
    let vectorless = [Cell::Long(T0), Cell::Nil];
    let vectorless = Cell::from(Record::of_kind(RecordKind::Block, vectorless));
    for value in [vectorless, Cell::Nil, Cell::Long(5)] {
        let poison = Signed::sign(&signer(2), value);
        let good = order(T0 + 1, [2, 0, 0, 0], &[block(2, T0), poison]);
        let fault = DropReason::Fault(OrderFault::NotABlock);
        assert_eq!(refusal(good.to_cell()), fault);
    }
    let mut bare = order(T0 + 1, [1, 0, 0, 0], &[block(2, T0)]);
    bare.blocks = [Cell::Long(7)].into_iter().collect();
    let fault = DropReason::Fault(OrderFault::NotABlock);
    assert_eq!(refusal(bare.to_cell()), fault);
}

#[test]
fn points_of_a_wrong_number_or_sign_are_left_aside() {
    let with = |n: &[i64]| record([Cell::Long(T0), points(n), Cell::from(Vector::empty())]);
    for n in [0, 1, 2, 17, 300] {
        let fault = DropReason::Fault(OrderFault::Points(n));
        let order = with(&vec![0; n as usize]);
        assert_eq!(reason(claims_signed(order.clone())), fault);
        assert_eq!(refusal(order), fault);
    }
    assert_eq!(
        reason(claims_signed(with(&[0, 0, -1, 0]))),
        DropReason::Fault(OrderFault::Negative(-1))
    );
    // A merge takes these, as the reference does; intake doesn't (spec/05 §20 number 3).
    for (n, fault) in [
        (&[0, 0, 0][..], OrderFault::Points(3)),
        (&[0; 5], OrderFault::Points(5)),
        (&[9, 7, 5, 3], OrderFault::Rising),
        (&[0, 0, 1, 0], OrderFault::Rising),
    ] {
        let incoming = claims_signed(with(n));
        let outcome = run(1, T0 + 100, &three(), &own(), &[incoming]).unwrap();
        assert_eq!(outcome.adopted, [key(2)]);
        assert_eq!(refusal(with(n)), DropReason::Fault(fault));
    }
}

#[test]
fn an_order_counts_for_its_signer_only_and_with_a_good_signature() {
    let good = order(T0 + 1, [1, 0, 0, 0], &[block(2, T0)]);
    let elsewhere = claims(Cell::from(sign(3, &good)));
    assert_eq!(reason(elsewhere), DropReason::WrongKey);
    let forged = Signed::new(key(2), Signature::new([7; 64]), good.to_cell());
    assert_eq!(
        reason(claims(Cell::from(forged.clone()))),
        DropReason::BadSignature
    );
    let mut future = good.clone();
    future.timestamp = T0 + 101;
    assert_eq!(
        reason(claims(Cell::from(sign(2, &future)))),
        DropReason::Future(T0 + 101)
    );

    // Intake doesn't take what nobody has checked.
    let electorate = three();
    let mut intake = Intake::new(key(1), T0 + 100, &electorate, &own()).unwrap();
    let known = intake.offers(&Cell::from(forged)).unwrap();
    assert_eq!(known.refused[0].reason, DropReason::BadSignature);
    let unchecked = Signed::new(key(2), Signature::new([8; 64]), good.to_cell());
    let offer = intake
        .offers(&Cell::from(unchecked))
        .unwrap()
        .orders
        .remove(0);
    assert!(!intake.accept(offer.clone()).unwrap());
    assert!(!offer.signed().verify());
    assert!(!intake.accept(offer).unwrap());
    assert!(intake.finish().is_none());
}

#[test]
fn strangers_and_the_understaked_are_told_apart_before_anything_is_read() {
    let electorate = electorate(&[STAKE, consensus::MIN_STAKE - 1]);
    for (peer, expected) in [(2, DropReason::Understaked), (3, DropReason::Unregistered)] {
        let incoming = belief(&[(peer, order(T0, [1, 0, 0, 0], &[block(peer, T0)]))]);
        let outcome = run(
            1,
            T0 + 100,
            &electorate,
            &own(),
            std::slice::from_ref(&incoming),
        )
        .unwrap();
        assert_eq!(outcome.dropped[0].reason, expected);
        let intake = Intake::new(key(1), T0 + 100, &electorate, &own()).unwrap();
        let offers = intake.offers(&incoming.to_cell()).unwrap();
        assert_eq!(offers.refused[0].reason, expected);
    }
}

/// Two orders of one time by one peer: whichever has a higher point somewhere replaces the other, also in turn (spec/05 §20 number 17).
#[test]
fn equivocation_flips_an_order_but_never_counts_twice() {
    let (a, b) = (block(2, T0), block(2, T0 + 1));
    let more = belief(&[(2, order(T0 + 9, [2, 0, 0, 0], &[a.clone(), b]))]);
    let voted = belief(&[(2, order(T0 + 9, [1, 1, 0, 0], &[a]))]);
    let electorate = three();
    let both = [more.clone(), voted.clone()];
    let outcome = run(1, T0 + 100, &electorate, &own(), &both).unwrap();
    assert_eq!(outcome.adopted, [key(2), key(2)]);
    assert_eq!(outcome.considered, 2.0 * STAKE as f64);
    let merged = finish(1, outcome);
    assert_eq!(
        merged.order(&key(2)).unwrap(),
        voted.order(&key(2)).unwrap()
    );
    let again = finish(
        1,
        run(
            1,
            T0 + 100,
            &electorate,
            &merged,
            std::slice::from_ref(&more),
        )
        .unwrap(),
    );
    assert_eq!(again.order(&key(2)).unwrap(), more.order(&key(2)).unwrap());
}

/// A chain that leaves what we hold to be in consensus plays no part, wherever it stands.
#[test]
fn a_fork_below_the_consensus_point_leaves_the_belief() {
    let (a, b) = (block(2, T0), block(3, T0 + 1));
    let mine = order(T0, [1, 1, 1, 0], std::slice::from_ref(&a));
    let fork = order(T0, [1, 1, 1, 1], std::slice::from_ref(&b));
    let own = belief(&[(1, mine), (2, fork.clone())]);
    let incoming = belief(&[(3, fork)]);
    let outcome = run(1, T0 + 100, &three(), &own, &[incoming]).unwrap();
    let conflict = DropReason::Conflict {
        common: 0,
        consensus: 1,
    };
    let told: Vec<_> = outcome
        .dropped
        .iter()
        .map(|d| (d.key, d.held, d.reason.clone()))
        .collect();
    let mut expected = vec![
        (Some(key(2)), true, conflict.clone()),
        (Some(key(3)), false, conflict),
    ];
    expected.sort_by_key(|(key, ..)| *key);
    assert_eq!(told, expected);
    assert_eq!(finish(1, outcome).orders().count(), 1);
}

/// With its first block replaced, a long chain has all its other nodes in common with ours: they are in the store, at no cost to the sender.
#[test]
fn a_fork_of_a_long_history_is_dropped_unread() {
    let history: Vec<Signed> = (0..500).map(|i| block(2, T0 - 1000 + i)).collect();
    let mine = order(T0, [500; 4], &history);
    let own = belief(&[(1, mine.clone())]);
    let blocks = mine.blocks.assoc(0, Cell::from(block(3, T0))).unwrap();
    let fork = Order {
        timestamp: T0 + 1,
        points: [500; 4].into(),
        blocks: blocks.unwrap(),
    };
    let incoming = belief(&[(2, fork)]).to_cell();
    let parts = cells::novelty(&incoming, |_| false);
    let unread: HashSet<Hash> = history
        .iter()
        .map(|block| Cell::from(block.clone()).hash())
        .collect();
    // Any block of the history would end in an error.
    let shelf = Arc::new_cyclic(|this| Shelf {
        cells: parts.iter().map(|c| (c.hash(), c.encode())).collect(),
        broken: unread,
        this: this.clone(),
    });
    let decoder = Decoder::with_source(shelf);
    let message = cells::decode_cell(&incoming.encode(), &decoder).unwrap();
    let electorate = three();
    let intake = Intake::new(key(1), T0 + 100, &electorate, &own).unwrap();
    assert_eq!(intake.offers(&message).unwrap().orders.len(), 1);
    let received = Belief::from_cell(&message).unwrap();
    let outcome = run(1, T0 + 100, &electorate, &own, &[received]).unwrap();
    let conflict = DropReason::Conflict {
        common: 0,
        consensus: 500,
    };
    assert_eq!(outcome.dropped[0].reason, conflict);
}

/// Blocks that would be void are not carried over, whatever else the chain of the loser holds.
#[test]
fn blocks_that_do_not_count_are_refused_with_their_reason() {
    let not_a_block = Cell::from(Signed::sign(&signer(3), Cell::Long(5)));
    let loser: Vector = [
        Cell::from(block(3, T0)),
        Cell::from(block(9, T0)),
        Cell::from(block(3, T0 - 1)),
        Cell::Long(4),
        not_a_block,
    ]
    .into_iter()
    .collect();
    let winner = order(T0 + 1, [1, 0, 0, 0], &[block(2, T0)]);
    let lost = Order {
        points: [5, 0, 0, 0].into(),
        blocks: loser,
        ..order(T0 + 1, [0; 4], &[])
    };
    let electorate = electorate(&[STAKE, 3 * STAKE, STAKE]);
    let incoming = belief(&[(2, winner), (3, lost)]);
    let outcome = run(1, T0 + 100, &electorate, &own(), &[incoming]).unwrap();
    assert_eq!(outcome.decision, Decision::Advanced);
    assert_eq!(outcome.chain, 1);
    assert_eq!(outcome.appended, [Cell::from(block(3, T0)).hash()]);
    let faults: Vec<BlockFault> = outcome
        .refused
        .iter()
        .map(|(_, fault)| fault.clone())
        .collect();
    assert_eq!(
        faults,
        [
            BlockFault::MissingPeer,
            BlockFault::OutOfOrder,
            BlockFault::NotABlock,
            BlockFault::NotABlock
        ]
    );
}

/// An order of 2^40 blocks in a message of a few kilobytes: nodes that refer to one another.
fn endless(first: &[Signed]) -> Cell {
    let leaf = |blocks: &[Signed]| {
        Cell::from(
            (0..16)
                .map(|i| Cell::from(blocks[i % blocks.len()].clone()))
                .collect::<Vector>(),
        )
    };
    let mut node = leaf(first);
    let mut below: Vec<Vec<u8>> = vec![node.encode()];
    let mut count = 16u64;
    for _ in 0..9 {
        count *= 16;
        let mut encoding = vec![0x80];
        vlq::write(&mut encoding, count);
        for _ in 0..16 {
            encoding.push(0x20);
            encoding.extend_from_slice(&node.hash().0);
        }
        let mut message = encoding.clone();
        for cell in below.iter().rev() {
            vlq::write(&mut message, cell.len() as u64);
            message.extend_from_slice(cell);
        }
        node = cells::decode_message(&message, &Decoder::new()).unwrap();
        below.push(encoding);
    }
    let Cell::Vector(blocks) = node else {
        panic!("no vector")
    };
    assert_eq!(blocks.count(), 1 << 40);
    let order = Order {
        timestamp: T0 + 1,
        points: [1 << 40, 0, 0, 0].into(),
        blocks,
    };
    order.to_cell()
}

#[test]
fn a_chain_that_repeats_itself_is_refused_at_intake() {
    let order = endless(&[block(2, T0), block(2, T0 + 1)]);
    assert_eq!(refusal(order), DropReason::Fault(OrderFault::Repeated));
}

/// A merge that meets one all the same is done in no time, whether the chain wins or loses.
#[test]
fn a_merge_of_endless_chains_costs_what_was_sent() {
    let claim = |peer: u8, order: &Cell| {
        let signed = Signed::sign(&signer(peer), order.clone());
        Belief::empty().with_order(&key(peer), signed).unwrap()
    };
    let (a, b) = (
        endless(&[block(2, T0)]),
        endless(&[block(3, T0), block(3, T0 + 1)]),
    );
    let incoming = [claim(2, &a), claim(3, &b)];
    for stakes in [
        [STAKE; 3],
        [STAKE, STAKE, 9 * STAKE],
        [9 * STAKE, STAKE, STAKE],
    ] {
        let outcome = run(1, T0 + 100, &electorate(&stakes), &own(), &incoming).unwrap();
        assert!(outcome.dropped.is_empty());
        let order = outcome.to_sign().unwrap();
        assert_eq!(order.check(), Ok(()));
        assert!(order.blocks.count() <= (1 << 40) + 2);
    }
}

/// Index nodes that refer to the same child over and over, and claim 2^40 entries.
#[test]
fn a_belief_that_repeats_its_entries_ends_at_the_first_repetition() {
    let signed = Cell::from(sign(2, &order(T0, [0; 4], &[])));
    let mut node = claims(signed).to_cell();
    let Cell::Record(record) = &node else {
        panic!("no record")
    };
    node = record.field(0).unwrap().unwrap();
    let mut below: Vec<Vec<u8>> = vec![];
    let mut count = 1u64;
    let mut wide = node.clone();
    for depth in (0..10u8).rev() {
        count *= 16;
        let mut encoding = vec![0x84];
        vlq::write(&mut encoding, count);
        encoding.extend_from_slice(&[0x00, depth, 0xff, 0xff]);
        for _ in 0..16 {
            if wide.is_embedded() {
                encoding.extend_from_slice(&wide.encode());
            } else {
                encoding.push(0x20);
                encoding.extend_from_slice(&wide.hash().0);
            }
        }
        if !wide.is_embedded() {
            below.push(wide.encode());
        }
        let mut message = encoding.clone();
        for cell in below.iter().rev() {
            vlq::write(&mut message, cell.len() as u64);
            message.extend_from_slice(cell);
        }
        wide = cells::decode_partial(&message, &Decoder::new()).unwrap().0;
    }
    let Cell::Index(orders) = wide else {
        panic!("no index")
    };
    assert_eq!(orders.count(), 1 << 40);
    let hostile = Belief::new(orders);
    assert!(hostile.entries().count() <= 2);
    let outcome = run(
        1,
        T0 + 100,
        &three(),
        &own(),
        std::slice::from_ref(&hostile),
    )
    .unwrap();
    assert_eq!(outcome.dropped.len(), 1);
    assert!(offers(&hostile.to_cell()).refused.len() == 1);
    let as_own = run(1, T0 + 100, &three(), &hostile, &[]);
    assert!(as_own.is_err());
}

/// Knows some cells by their bytes, and fails for others.
struct Shelf {
    cells: HashMap<Hash, Vec<u8>>,
    broken: HashSet<Hash>,
    this: Weak<Self>,
}

impl Source for Shelf {
    fn load(&self, hash: &Hash) -> Result<Cell, CellError> {
        if self.broken.contains(hash) {
            let reason = "read error".into();
            return Err(CellError::Store {
                hash: *hash,
                reason,
            });
        }
        let bytes = self.cells.get(hash).ok_or(CellError::Missing(*hash))?;
        let this = self.this.upgrade().ok_or(CellError::Missing(*hash))?;
        cells::decode_cell(bytes, &Decoder::with_source(this)).map_err(|error| match error {
            cells::DecodeError::Missing(hash) => CellError::Missing(hash),
            cells::DecodeError::Store(error) => error,
            _ => CellError::Malformed("a cell of the test"),
        })
    }
}

/// Every branch of a message in turn is absent, and then unreadable.
#[test]
fn whatever_is_missing_is_named_and_a_failing_store_is_an_error() {
    let mine = own();
    let blocks: Vec<Signed> = (0..40).map(|i| block(2, T0 + i)).collect();
    let heavy = |peer: u8, n: usize| {
        order(T0 + 2, [n as i64, 0, 0, 0], &blocks[..n])
            .append(&[block(peer, T0 + 50)])
            .unwrap()
    };
    let incoming = belief(&[(2, heavy(2, 40)), (3, heavy(3, 35))]).to_cell();
    let parts = cells::novelty(&incoming, |_| false);
    let electorate = electorate(&[STAKE, 5 * STAKE, STAKE]);
    let mut refused = 0;
    for absent in &parts {
        if absent == &incoming {
            continue;
        }
        let hash = absent.hash();
        for broken in [false, true] {
            let others = parts.iter().filter(|c| c.hash() != hash);
            let shelf = Arc::new_cyclic(|this| Shelf {
                cells: others.map(|c| (c.hash(), c.encode())).collect(),
                broken: broken.then_some(hash).into_iter().collect(),
                this: this.clone(),
            });
            let decoder = Decoder::with_source(shelf);
            let Ok(message) = cells::decode_cell(&incoming.encode(), &decoder) else {
                continue;
            };
            let belief = Belief::from_cell(&message);
            let Ok(belief) = belief else { continue };
            let merged = run(1, T0 + 100, &electorate, &mine, &[belief]);
            let intake = Intake::new(key(1), T0 + 100, &electorate, &mine).unwrap();
            let offered = intake.offers(&message);
            if broken {
                let fails = |e: &MergeError| matches!(e, MergeError::Data(CellError::Store { .. }));
                // A merge may not need it; intake reads every block.
                assert!(merged.is_ok() || merged.as_ref().is_err_and(fails));
                assert!(offered.as_ref().is_err_and(fails), "{absent}");
                continue;
            }
            let missing = DropReason::Fault(OrderFault::Data(CellError::Missing(hash)));
            let offered = offered.unwrap();
            assert!(
                offered.refused.iter().any(|d| d.reason == missing),
                "{absent}"
            );
            let outcome = merged.unwrap();
            refused += usize::from(outcome.missing().contains(&hash));
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn an_own_belief_that_is_unusable_is_an_error() {
    let electorate = three();
    let nobody = belief(&[(2, order(T0, [0; 4], &[]))]);
    let error = run(1, T0, &electorate, &nobody, &[]).unwrap_err();
    assert_eq!(error, MergeError::NoOwnOrder);
    assert!(Intake::new(key(1), T0, &electorate, &nobody).is_err());
    let short = record([Cell::Long(T0), points(&[0; 3]), Cell::from(Vector::empty())]);
    let own = Belief::empty()
        .with_order(&key(1), Signed::sign(&signer(1), short))
        .unwrap();
    let error = run(1, T0, &electorate, &own, &[]).unwrap_err();
    assert_eq!(error, MergeError::OwnOrder(OrderFault::Points(3)));
    let gone = Ref::branch(Hash([9; 32]), None);
    let blocks = Vector::from_refs([gone]);
    assert!(blocks.get(0).is_err());
}

#[test]
fn only_the_merged_order_signed_by_the_own_key_completes_a_merge() {
    let electorate = three();
    let incoming = belief(&[(2, order(T0 + 1, [1, 0, 0, 0], &[block(2, T0)]))]);
    let outcome = run(1, T0 + 100, &electorate, &own(), &[incoming]).unwrap();
    let wanted = outcome.to_sign().cloned().unwrap();
    assert_eq!(wanted.timestamp, T0 + 100);
    for wrong in [sign(2, &wanted), sign(1, &order(T0 + 100, [0; 4], &[]))] {
        assert_eq!(
            outcome.clone().signed(wrong).unwrap_err(),
            MergeError::WrongSignature
        );
    }
    // Without a signature the own order stays, and what others say is kept.
    let unsigned = outcome.unsigned();
    assert_eq!(
        unsigned.order(&key(1)).unwrap(),
        own().order(&key(1)).unwrap()
    );
    assert_eq!(unsigned.orders().count(), 2);
}

#[test]
fn a_chain_without_the_executed_blocks_is_a_fork_whatever_its_finality() {
    let (a, b) = (block(2, T0), block(3, T0));
    let settled = chain(std::slice::from_ref(&a));
    let fork = order(T0, [1, 0, 0, 0], &[b]);
    let error = executable(&fork, &settled, 1).unwrap_err();
    assert_eq!(
        error,
        ProgressError::Fork {
            common: 0,
            position: 1
        }
    );
    let receded = order(T0, [1, 1, 0, 0], std::slice::from_ref(&a));
    assert_eq!(executable(&receded, &settled, 1), Ok(1..1));
    let ahead = order(T0, [2, 2, 2, 2], &[a.clone(), block(2, T0 + 1)]);
    assert_eq!(executable(&ahead, &settled, 1), Ok(1..2));
    // Points beyond the chain execute nothing that isn't there.
    let claims = Order {
        points: [1 << 40; 4].into(),
        ..order(T0, [0; 4], std::slice::from_ref(&a))
    };
    assert_eq!(executable(&claims, &settled, 0), Ok(0..1));
}

#[test]
fn blocks_are_cut_and_timed_as_the_rules_say() {
    let electorate = three();
    let transaction = block(2, T0);
    let many = vec![transaction; 2050];
    let counts: Vec<u64> = consensus::propose::blocks(T0, &many)
        .iter()
        .map(|b| b.transactions.count())
        .collect();
    assert_eq!(counts, [1024, 1024, 2]);
    assert!(consensus::propose::blocks(T0, &[]).is_empty());
    let time = |last, now| consensus::propose::block_time(&electorate, &key(1), last, now);
    assert_eq!(
        (
            time(None, T0 - 5),
            time(Some(T0 + 7), T0 + 1),
            time(None, T0 + 1)
        ),
        (T0, T0 + 7, T0 + 1)
    );
    assert!(consensus::propose::is_ready(&electorate, &key(1)));
    assert!(!consensus::propose::is_ready(&electorate, &key(9)));
}
