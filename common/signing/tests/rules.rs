//! Each rule, by an example that keeps it and one that breaks it.

mod support;

use cells::{Cell, Hash, Record, RecordKind, Signed, Vector};
use crypto::SigningKey;
use signing::{
    AHEAD, Decision, Kind, MAX_ORDER_BYTES, Rate, Rates, Refusal, Signer, Suspicion, block_request,
    challenge, order_request, recognise,
};
use support::{T0, at, block, identity, key, no_rates, order, signed_block, transaction};

/// A signer that may sign every time from `T0` on, at clock `T0`.
fn signer() -> Signer {
    let mut signer = Signer::new(identity(), None, no_rates(), at(T0 - AHEAD - 1));
    signer.recorded(T0 + AHEAD);
    signer
}

fn submit(signer: &mut Signer, request: &[u8], wall: i64) -> Result<(), Refusal> {
    match signer.submit(request, [9; 32], at(wall)) {
        Decision::Sign(_) => Ok(()),
        Decision::Refuse(reason) => Err(reason),
        Decision::Record(ceiling) => panic!("has to record {ceiling}"),
    }
}

fn ids(n: u32) -> Vec<u32> {
    (0..n).collect()
}

fn asks(time: i64, points: &[i64], blocks: &[u32], from: u64) -> Vec<u8> {
    order_request(&order(time, points, blocks), from).unwrap()
}

#[test]
fn what_is_approved_is_signed_over_the_ref_form_of_the_value() {
    let order = order(T0, &[40, 0, 0, 0], &ids(40));
    let request = order_request(&order, 0).unwrap();
    let Decision::Sign(approval) = signer().submit(&request, [0; 32], at(T0)) else {
        panic!("refused");
    };
    let signature = key().sign(&approval.message(&identity().key));
    let signed = Signed::new(identity().key, signature, Cell::from(order));
    assert!(signed.verify());
    assert_eq!((approval.kind(), approval.time()), (Kind::Order, Some(T0)));
}

#[test]
fn an_order_of_one_time_may_only_grow_at_its_end() {
    for n in [
        0, 1, 15, 16, 17, 31, 32, 33, 47, 255, 256, 257, 272, 511, 512, 4096, 4100,
    ] {
        let mut signer = signer();
        let points = [i64::from(n), 0, 0, 0];

        // A long chain comes with its right edge only.

        let first = asks(T0, &points, &ids(n), u64::from(n));
        assert!(first.len() <= 6_000, "{n}: {}", first.len());
        assert_eq!(submit(&mut signer, &first, T0), Ok(()), "{n}");
        assert_eq!(submit(&mut signer, &first, T0), Ok(()), "again, {n}");
        for more in [1, 2, 16, 17, 40] {
            let grown = [i64::from(n + more), 0, 0, 0];
            let mut signer = signer.clone();
            // Only the nodes above the appended blocks come along.
            let request = asks(T0, &grown, &ids(n + more), u64::from(n));
            assert_eq!(submit(&mut signer, &request, T0), Ok(()), "{n}+{more}");
            let next = [i64::from(n + more + 1), 0, 0, 0];
            let request = asks(T0, &next, &ids(n + more + 1), u64::from(n + more));
            assert_eq!(submit(&mut signer, &request, T0), Ok(()), "{n}+{more}+1");
        }
        if n > 0 {
            let mut other = ids(n + 1);
            other[n as usize / 2] = 1_000_000;
            let request = asks(T0, &[i64::from(n + 1), 0, 0, 0], &other, 0);
            let refused = submit(&mut signer, &request, T0);
            let expected = if request.len() > MAX_ORDER_BYTES {
                Refusal::TooLong
            } else {
                Refusal::NotAnAppend
            };
            assert_eq!(refused, Err(expected), "{n}");
            // The same attempt with the nodes of the change left out.
            let request = asks(T0, &[i64::from(n + 1), 0, 0, 0], &other, u64::from(n));
            assert_eq!(
                submit(&mut signer, &request, T0),
                Err(Refusal::NotAnAppend),
                "{n}"
            );
            let request = asks(T0, &[i64::from(n - 1), 0, 0, 0], &ids(n - 1), u64::from(n));
            assert_eq!(
                submit(&mut signer, &request, T0),
                Err(Refusal::NotAnAppend),
                "{n}"
            );
        }
        let request = asks(T0, &[i64::from(n + 1), 1, 0, 0], &ids(n + 1), u64::from(n));
        let refused = submit(&mut signer, &request, T0);
        assert_eq!(refused, Err(Refusal::NotAnAppend), "a point moved, {n}");
    }
}

#[test]
fn an_order_of_a_later_time_may_change_its_chain_and_recede() {
    let mut signer = signer();
    let first = asks(T0, &[3, 3, 2, 1], &[1, 2, 3], 0);
    assert_eq!(submit(&mut signer, &first, T0), Ok(()));
    let other = asks(T0 + 1, &[2, 1, 0, 0], &[8, 9], 0);
    assert_eq!(submit(&mut signer, &other, T0), Ok(()));
    assert_eq!(submit(&mut signer, &first, T0), Err(Refusal::OrderNotLater));
}

#[test]
fn points_are_four_and_fall_from_the_number_of_blocks() {
    for points in [
        &[2, 0, 0][..],
        &[2, 0, 0, 0, 0],
        &[2, 0, 1, 0],
        &[2, 3, 0, 0],
        &[1, 1, 0, 0],
        &[3, 0, 0, 0],
        &[2, 0, 0, -1],
        &[],
    ] {
        let request = asks(T0, points, &[1, 2], 0);
        let refused = submit(&mut signer(), &request, T0);
        assert_eq!(refused, Err(Refusal::OrderPoints), "{points:?}");
    }
    assert_eq!(
        submit(&mut signer(), &asks(T0, &[2, 2, 2, 2], &[1, 2], 0), T0),
        Ok(())
    );
}

#[test]
fn nodes_that_the_proof_needs_have_to_come_along() {
    let order = order(T0, &[300, 0, 0, 0], &ids(300));
    let alone = Cell::from(order).encode();
    assert_eq!(recognise(&alone), Err(Refusal::Incomplete));
    let mut signer = signer();
    assert_eq!(
        submit(&mut signer, &asks(T0, &[300, 0, 0, 0], &ids(300), 300), T0),
        Ok(())
    );
    // The edge alone does not show which blocks were appended.
    let request = asks(T0, &[400, 0, 0, 0], &ids(400), 400);
    assert_eq!(submit(&mut signer, &request, T0), Err(Refusal::Incomplete));
    let request = asks(T0, &[600, 0, 0, 0], &ids(600), 600);
    assert_eq!(
        submit(&mut signer, &request, T0),
        Err(Refusal::TooManyAppended)
    );
}

#[test]
fn elements_in_sight_are_signed_data() {
    let fields = |element| {
        [
            Cell::Long(T0),
            Cell::from([1, 0, 0, 0].map(Cell::Long).into_iter().collect::<Vector>()),
            Cell::from([element].into_iter().collect::<Vector>()),
        ]
    };
    let bad = Record::of_kind(RecordKind::Order, fields(Cell::Long(5)));
    let request = order_request(&bad, 0).unwrap();
    assert_eq!(recognise(&request), Err(Refusal::OrderBlocks));
    let good = Record::of_kind(RecordKind::Order, fields(signed_block(5)));
    assert!(recognise(&order_request(&good, 0).unwrap()).is_ok());
}

#[test]
fn times_are_bounded_by_the_clock_and_by_the_earlier_run() {
    let mut signer = Signer::new(identity(), Some(T0 + 500), no_rates(), at(T0));
    signer.recorded(i64::MAX);
    for (time, expected) in [
        (0, Err(Refusal::UnderCeiling)),
        (-5, Err(Refusal::UnderCeiling)),
        (T0 + AHEAD, Err(Refusal::UnderCeiling)),
        (T0 + AHEAD + 6, Err(Refusal::FromTheFuture)),
        (i64::MAX, Err(Refusal::FromTheFuture)),
        (T0 + AHEAD + 5, Ok(())),
    ] {
        let request = asks(time, &[0; 4], &[], 0);
        assert_eq!(
            submit(&mut signer, &request, T0 + 5),
            expected,
            "order of {time}"
        );
        let request = block_request(&block(time, [transaction(1, 0)])).unwrap();
        assert_eq!(
            submit(&mut signer, &request, T0 + 5),
            expected,
            "block of {time}"
        );
    }
}

#[test]
fn the_journal_comes_before_the_signature() {
    let mut signer = Signer::new(identity(), None, no_rates(), at(T0 - 5_000));
    let request = asks(T0, &[0; 4], &[], 0);
    let ask = |signer: &mut Signer| signer.submit(&request, [0; 32], at(T0));
    assert_eq!(ask(&mut signer), Decision::Record(T0 + AHEAD));
    assert_eq!(ask(&mut signer), Decision::Record(T0 + AHEAD));
    signer.recorded(T0 - 1);
    assert_eq!(ask(&mut signer), Decision::Record(T0 + AHEAD));
    signer.recorded(T0 + AHEAD);
    assert!(matches!(ask(&mut signer), Decision::Sign(_)));
    assert_eq!(signer.counts().signed(Kind::Order), 1);
}

#[test]
fn blocks_have_1_to_1024_signed_transactions() {
    let ask = |transactions: Vec<Cell>| {
        let request = block_request(&block(T0, transactions)).unwrap();
        submit(&mut signer(), &request, T0)
    };
    let many = |n: u32, extra| (0..n).map(|i| transaction(i, extra)).collect::<Vec<_>>();
    for extra in [0, 20, 80, 130, 200, 5_000] {
        assert_eq!(ask(many(1, extra)), Ok(()), "{extra}");
        assert_eq!(ask(many(1_024, extra)), Ok(()), "{extra}");
    }
    assert_eq!(ask(many(1_025, 0)), Err(Refusal::BlockSize));
    assert_eq!(ask(vec![]), Err(Refusal::BlockSize));
    let of = |value: Cell| Cell::from(Signed::sign(&key(), value));
    assert_eq!(ask(vec![of(Cell::Long(1))]), Err(Refusal::BlockElement));
    assert_eq!(
        ask(vec![of(Cell::from(block(T0, [])))]),
        Err(Refusal::BlockElement)
    );
    let unsigned = block(T0, [Cell::Long(1)]);
    assert_eq!(
        recognise(&Cell::from(unsigned).encode()),
        Err(Refusal::BlockElement)
    );
    let unseen = Cell::from(block(T0, many(3, 200))).encode();
    assert_eq!(recognise(&unseen), Err(Refusal::Incomplete));
}

#[test]
fn the_largest_block_fits_a_request() {
    // The longest transaction: a call, whose origin, sequence and offer are short by their types.
    let wide = Cell::from("x".repeat(137).as_str());
    assert_eq!(wide.encoded_len(), cells::MAX_EMBEDDED);
    let one = |n: i64| {
        let fields = [
            Cell::Address(i64::MAX as u64),
            Cell::Long(i64::MAX - n),
            wide.clone(),
            Cell::Long(i64::MAX),
            wide.clone(),
            wide.clone(),
        ];
        let call = Record::of_kind(RecordKind::Call, fields);
        Cell::from(Signed::sign(&key(), Cell::from(call)))
    };
    let request = block_request(&block(T0, (0..1_024).map(one))).unwrap();
    assert_eq!(submit(&mut signer(), &request, T0), Ok(()));
}

#[test]
fn a_block_is_not_before_the_last_one() {
    let mut signer = signer();
    let ask = |id, time| block_request(&block(time, [transaction(id, 0)])).unwrap();
    assert_eq!(submit(&mut signer, &ask(1, T0 + 5), T0), Ok(()));
    assert_eq!(submit(&mut signer, &ask(2, T0 + 5), T0), Ok(()));
    assert_eq!(
        submit(&mut signer, &ask(3, T0 + 4), T0),
        Err(Refusal::BlockBeforeLast)
    );
}

#[test]
fn transactions_and_other_values_are_recognised_as_such() {
    for tag in 0xd0..=0xd3u8 {
        assert_eq!(recognise(&[tag, 3]), Err(Refusal::Transaction));
    }
    let Cell::Signed(signed) = transaction(1, 0) else {
        panic!("not signed");
    };
    let bare = signed.value().unwrap().encode();
    assert_eq!(recognise(&bare), Err(Refusal::Transaction));
    // Signed, it could only be a challenge, and is none.
    let refused = recognise(&Cell::from(signed).encode());
    assert_eq!(refused, Err(Refusal::ChallengeShape));
    for other in [&[0x80, 0][..], &[0x20; 33], &[0xd4, 1, 0x84, 0], &[0xff]] {
        assert_eq!(recognise(other), Err(Refusal::UnknownType), "{other:?}");
    }
    for malformed in [
        &[][..],
        &[0, 0],
        &[0x31, 32, 1],
        &[0xd7, 3],
        &[0xd6],
        &[0x90, 1],
    ] {
        assert_eq!(
            recognise(malformed),
            Err(Refusal::Malformed),
            "{malformed:?}"
        );
    }
    let long = [&[0xd7][..], &[0; MAX_ORDER_BYTES]].concat();
    assert_eq!(recognise(&long), Err(Refusal::TooLong));
}

#[test]
fn challenges_carry_the_drawn_token_and_this_network() {
    let target = SigningKey::from_seed(&[8; 32]).account_key();
    let to = [&[0x31, 32][..], target.as_bytes()].concat();
    for (request, target) in [(&[0][..], None), (&to, Some(target))] {
        let Decision::Sign(approval) = signer().submit(request, [5; 32], at(T0)) else {
            panic!("refused");
        };
        let value = challenge::challenge(&Hash([5; 32]), target.as_ref(), &identity().network);
        assert_eq!(*approval.value(), value);
        assert_eq!(approval.time(), None);
    }
}

#[test]
fn answers_go_to_genuine_challenges_of_this_key_and_network() {
    let other = SigningKey::from_seed(&[8; 32]);
    let us = identity();
    let nil = || Cell::Nil;
    let own = || Cell::from(Hash(us.key.to_bytes()));
    let token = || Cell::from(Hash([5; 32]));
    let network = || Cell::from(us.network);
    let foreign = || Cell::from(Hash([2; 32]));
    let sign =
        |parts: Vec<Cell>| Signed::sign(&other, Cell::from(parts.into_iter().collect::<Vector>()));
    let ask = |parts| submit(&mut signer(), &Cell::from(sign(parts)).encode(), T0);
    for good in [
        vec![token(), own(), network()],
        vec![token(), nil(), network()],
        vec![token(), own()],
        vec![token(), nil()],
        vec![token(), nil(), nil()],
    ] {
        assert_eq!(ask(good), Ok(()));
    }
    for (bad, reason) in [
        (vec![token(), foreign(), network()], Refusal::WrongTarget),
        (vec![token(), own(), foreign()], Refusal::WrongNetwork),
        (vec![token()], Refusal::ChallengeShape),
        (
            vec![token(), own(), network(), nil()],
            Refusal::ChallengeShape,
        ),
        (vec![nil(), own(), network()], Refusal::ChallengeShape),
        (
            vec![Cell::Long(1), own(), network()],
            Refusal::ChallengeShape,
        ),
        (
            vec![token(), Cell::Long(1), network()],
            Refusal::ChallengeShape,
        ),
        (vec![token(), own(), Cell::Long(1)], Refusal::ChallengeShape),
    ] {
        assert_eq!(ask(bad), Err(reason));
    }
    let mut forged = Cell::from(sign(vec![token(), own(), network()])).encode();
    forged[40] ^= 1;
    assert_eq!(
        submit(&mut signer(), &forged, T0),
        Err(Refusal::ChallengeSignature)
    );
}

#[test]
fn an_answer_proves_the_key_to_its_challenger_only() {
    let us = identity();
    let peer = SigningKey::from_seed(&[8; 32]);
    let token = Hash([5; 32]);
    let text = challenge::challenge(&token, None, &us.network);
    let received = challenge::ReceivedChallenge::read(&Signed::sign(&key(), text)).unwrap();
    let answer = Signed::sign(&peer, received.answer());
    let proves = |answer: &Signed, token, to| challenge::proven_key(answer, token, to, &us.network);
    assert_eq!(proves(&answer, &token, &us.key), Some(peer.account_key()));
    assert_eq!(proves(&answer, &Hash([6; 32]), &us.key), None);
    let other = peer.account_key();
    assert_eq!(proves(&answer, &token, &other), None);
    let elsewhere = challenge::proven_key(&answer, &token, &us.key, &Hash([2; 32]));
    assert_eq!(elsewhere, None);
    let forged = Signed::new(
        peer.account_key(),
        crypto::Signature::new([0xaa; 64]),
        received.answer(),
    );
    assert_eq!(proves(&forged, &token, &us.key), None);
}

#[test]
fn refusals_are_counted_and_a_locked_signer_refuses_all() {
    let rates = Rates {
        challenges: Rate::new(1, 2),
        ..no_rates()
    };
    let mut signer = Signer::new(identity(), None, rates, at(T0));
    assert_eq!(submit(&mut signer, &[0], T0), Ok(()));
    assert_eq!(submit(&mut signer, &[0], T0), Ok(()));
    assert_eq!(submit(&mut signer, &[0], T0), Err(Refusal::Rate));
    assert_eq!(submit(&mut signer, &[0], T0 + 1_000), Ok(()));
    assert_eq!(submit(&mut signer, &[0xd1], T0), Err(Refusal::Transaction));
    assert_eq!(signer.counts().refused(Refusal::Rate), 1);
    assert_eq!(signer.counts().refused(Refusal::Transaction), 1);
    assert_eq!(signer.counts().signed(Kind::Challenge), 3);
    assert_eq!(Refusal::Transaction.suspicion(), Suspicion::Alarming);
    signer.lock();
    assert_eq!(submit(&mut signer, &[0], T0 + 9_000), Err(Refusal::Locked));
    assert_eq!(signer.extension(at(T0 + 9_000)), None);
}
