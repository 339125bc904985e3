//! A peer over its rounds: what it signs, shows and executes.

mod support;

use std::sync::Arc;

use cells::{Signed, Vector};
use consensus::{Answer, Belief, Decision, Electorate, Input, MergeError, Order, Peer, Round};
use support::{STAKE, T0, belief, block, electorate, finish, key, order, run, sign};

fn voters(n: usize) -> Arc<Electorate> {
    Arc::new(electorate(&vec![STAKE; n]))
}

fn answer(peer: u8, round: &Round) -> Answer {
    round
        .to_sign()
        .map_or(Answer::None, |order| Answer::Signed(sign(peer, order)))
}

/// Takes in what others say, as a daemon does.
fn incoming(peer: &Peer, now: i64, message: &Belief) -> Option<Belief> {
    let mut intake = peer.intake(now);
    for offer in intake.offers(&message.to_cell()).unwrap().orders {
        assert!(offer.signed().verify());
        assert!(intake.accept(offer).unwrap());
    }
    intake.finish()
}

fn play(peer: &mut Peer, id: u8, now: i64, input: Input) -> Option<Decision> {
    let round = peer.round(now, input).unwrap();
    let decision = round.outcome().map(|outcome| outcome.decision);
    let answer = answer(id, &round);
    peer.complete(round, answer).unwrap();
    decision
}

/// A peer that was stopped with this belief and nothing executed.
fn stopped(belief: Belief, n: usize) -> Peer {
    Peer::restored(key(1), voters(n), belief, Vector::empty(), 0).unwrap()
}

#[test]
fn a_round_is_a_merge_with_own_blocks_behind_it() {
    let own = belief(&[(1, order(T0, [0; 4], &[]))]);
    let other = belief(&[(2, order(T0 + 1, [1, 0, 0, 0], &[block(2, T0)]))]);
    let mine = block(1, T0 + 2);
    let merged = finish(
        1,
        run(1, T0 + 9, &voters(3), &own, std::slice::from_ref(&other)).unwrap(),
    );
    let order = merged.order(&key(1)).unwrap().unwrap();
    let both = order.append(std::slice::from_ref(&mine)).unwrap();
    let expected = merged.with_order(&key(1), sign(1, &both)).unwrap();

    let mut peer = stopped(own, 3);
    let input = Input {
        incoming: incoming(&peer, T0 + 9, &other),
        blocks: vec![mine],
        fresh: false,
    };
    let round = peer.round(T0 + 9, input).unwrap();
    let answer = answer(1, &round);
    let step = peer.complete(round, answer).unwrap();
    assert!(step.own_changed && step.changed);
    assert_eq!(peer.belief(), &expected);
    assert_eq!(peer.public_belief().unwrap(), expected);
    assert_eq!(peer.order(), &both);
}

#[test]
fn blocks_alone_keep_the_time_of_the_order_and_fresh_orders_get_a_new_one() {
    let mut peer = stopped(belief(&[(1, order(T0, [0; 4], &[]))]), 3);
    play(&mut peer, 1, T0 + 5, Input::default());
    assert!(peer.is_resting());
    let blocks = vec![block(1, T0 + 5)];
    let round = peer
        .round(
            T0 + 5,
            Input {
                blocks,
                ..Input::default()
            },
        )
        .unwrap();
    assert_eq!(round.to_sign().unwrap().timestamp, T0);
    assert_eq!(round.appended_from(), 0);
    let given = answer(1, &round);
    peer.complete(round, given).unwrap();
    let fresh = Input {
        fresh: true,
        ..Input::default()
    };
    let round = peer.round(T0 + 6, fresh).unwrap();
    assert_eq!(round.to_sign().unwrap().timestamp, T0 + 6);
    assert_eq!(round.to_sign().unwrap().blocks, peer.order().blocks);
    assert_eq!(round.appended_from(), 1);
}

/// Two orders of one time would make others flip between them (`spec/05 §20` number 17).
#[test]
fn a_merge_waits_until_the_clock_has_passed_the_own_order() {
    let own = belief(&[(1, order(T0 + 50, [1, 0, 0, 0], &[block(1, T0)]))]);
    let mut peer = stopped(own, 1);
    for early in [T0 - 1, T0 + 50] {
        assert_eq!(
            play(&mut peer, 1, early, Input::default()),
            Some(Decision::Early)
        );
        assert_eq!(peer.order().points[..], [1, 0, 0, 0]);
        assert!(!peer.is_resting());
    }
    assert_eq!(
        play(&mut peer, 1, T0 + 51, Input::default()),
        Some(Decision::Advanced)
    );
    assert_eq!(peer.order().points[..], [1, 1, 1, 1]);
}

#[test]
fn a_round_ends_where_merges_one_by_one_end_and_asks_for_one_signature() {
    for (voters, points) in [(1, [2; 4]), (2, [2, 1, 1, 0]), (3, [2, 0, 0, 0])] {
        let voters = self::voters(voters);
        let blocks = [block(1, T0), block(1, T0 + 1)];
        let own = belief(&[
            (1, order(T0, [1, 0, 0, 0], &blocks[..1])),
            (2, order(T0, [1, 1, 0, 0], &blocks[..1])),
        ]);
        let mut peer = Peer::restored(key(1), voters.clone(), own, Vector::empty(), 0).unwrap();
        let input = Input {
            blocks: vec![blocks[1].clone()],
            ..Input::default()
        };
        let mut single = finish(1, run(1, T0 + 9, &voters, peer.belief(), &[]).unwrap());
        let appended = single.order(&key(1)).unwrap().unwrap();
        let appended = appended.append(&blocks[1..]).unwrap();
        single = single.with_order(&key(1), sign(1, &appended)).unwrap();
        loop {
            let outcome = run(1, T0 + 9, &voters, &single, &[]).unwrap();
            if outcome.to_sign().is_none() {
                break;
            }
            single = finish(1, outcome);
        }
        play(&mut peer, 1, T0 + 9, input);
        assert!(peer.is_resting());
        assert_eq!(peer.order().blocks.count(), 2);
        assert_eq!(
            peer.order().points,
            single.order(&key(1)).unwrap().unwrap().points
        );
        assert_eq!(peer.order().points[..], points);
    }
}

#[test]
fn a_peer_at_rest_is_woken_by_orders_blocks_and_another_electorate() {
    let mut peer = stopped(belief(&[(1, order(T0, [0; 4], &[]))]), 2);
    assert_eq!(
        play(&mut peer, 1, T0 + 1, Input::default()),
        Some(Decision::Unchanged)
    );
    assert!(peer.is_resting());
    assert_eq!(play(&mut peer, 1, T0 + 2, Input::default()), None);
    let other = belief(&[(2, order(T0 + 1, [1, 0, 0, 0], &[block(2, T0)]))]);
    let input = Input {
        incoming: incoming(&peer, T0 + 3, &other),
        ..Input::default()
    };
    assert_eq!(play(&mut peer, 1, T0 + 3, input), Some(Decision::Advanced));
    // The same again is nothing new.
    assert!(incoming(&peer, T0 + 4, &other).is_none());
    while !peer.is_resting() {
        let now = peer.order().timestamp + 1;
        play(&mut peer, 1, now, Input::default());
    }
    // With one peer less, what there is becomes final. A round that began before doesn't hide that.
    let round = peer.round(T0 + 50, Input::default()).unwrap();
    peer.executed(Vector::empty(), 0, voters(1)).unwrap();
    peer.complete(round, Answer::None).unwrap();
    assert!(!peer.is_resting());
    while !peer.is_resting() {
        let now = peer.order().timestamp + 1;
        play(&mut peer, 1, now, Input::default());
    }
    assert_eq!(peer.executable().unwrap().range, 0..1);
}

#[test]
fn a_peer_without_a_signer_follows_and_shows_nothing_of_it() {
    let signed = belief(&[(1, order(T0, [0; 4], &[]))]);
    let mut peer = stopped(signed.clone(), 4);
    let said = [block(2, T0)];
    let points = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]];
    for (i, points) in (1..).zip(points) {
        let now = T0 + 10 * i;
        let orders = [2, 3, 4].map(|peer| (peer, order(now - 1, points, &said)));
        let input = Input {
            incoming: incoming(&peer, now, &belief(&orders)),
            ..Input::default()
        };
        let round = peer.round(now, input).unwrap();
        assert!(round.to_sign().is_some());
        let step = peer.complete(round, Answer::Follow).unwrap();
        assert!(step.own_changed);
        let public = peer.public_belief().unwrap();
        assert_eq!(public.orders().count(), 4);
        assert_eq!(
            public.signed_order(&key(1)).unwrap().map(|s| s.verify()),
            Some(true)
        );
        assert_eq!(public.order(&key(1)), signed.order(&key(1)));
    }
    assert_eq!(peer.executable().unwrap().range, 0..1);
    // What it held without a signature comes back after a restart, and is not shown then either.
    let again = stopped(peer.belief().clone(), 4);
    assert_eq!(again.order(), peer.order());
    assert_eq!(again.public_belief().unwrap().orders().count(), 3);
    let fresh = Input {
        fresh: true,
        ..Input::default()
    };
    play(&mut peer, 1, T0 + 99, fresh);
    assert_eq!(peer.public_belief().unwrap(), *peer.belief());
    assert_eq!(peer.order().timestamp, T0 + 99);
}

#[test]
fn a_refused_signature_leaves_the_own_order_and_keeps_what_others_said() {
    let mut peer = stopped(belief(&[(1, order(T0, [0; 4], &[]))]), 2);
    let other = belief(&[(2, order(T0 + 1, [1, 0, 0, 0], &[block(2, T0)]))]);
    let input = Input {
        incoming: incoming(&peer, T0 + 3, &other),
        blocks: vec![block(1, T0 + 3)],
        fresh: false,
    };
    let round = peer.round(T0 + 3, input).unwrap();
    let wrong = Answer::Signed(sign(1, &Order::empty()));
    assert_eq!(
        peer.complete(round.clone(), wrong).unwrap_err(),
        MergeError::WrongSignature
    );
    let by_another = Answer::Signed(sign(2, round.to_sign().unwrap()));
    assert_eq!(
        peer.complete(round.clone(), by_another).unwrap_err(),
        MergeError::WrongSignature
    );
    let step = peer.complete(round.clone(), Answer::None).unwrap();
    assert!(!step.own_changed && step.changed);
    assert_eq!(peer.order(), &order(T0, [0; 4], &[]));
    assert_eq!(peer.belief().orders().count(), 2);
    assert_eq!(
        peer.belief().order(&key(1)).unwrap().as_ref(),
        Some(peer.order())
    );
    assert!(!peer.is_resting());
    // What was not signed is asked for again.
    let again = peer.round(T0 + 4, Input::default()).unwrap();
    assert_eq!(again.to_sign().unwrap().blocks.count(), 1);
    let stale = answer(1, &round);
    assert_eq!(peer.complete(round, stale).unwrap_err(), MergeError::Stale);
}

#[test]
fn a_new_peer_says_nothing_before_it_has_signed() {
    let mut peer = Peer::new(key(1), voters(1));
    assert!(peer.public_belief().unwrap().orders().is_empty());
    play(&mut peer, 1, T0, Input::default());
    assert!(peer.public_belief().unwrap().orders().is_empty());
    let fresh = Input {
        fresh: true,
        ..Input::default()
    };
    play(&mut peer, 1, T0 + 1, fresh);
    assert_eq!(
        peer.public_belief().unwrap(),
        belief(&[(1, order(T0 + 1, [0; 4], &[]))])
    );
}

#[test]
fn a_joining_peer_executes_what_its_source_has_as_final_and_then_votes_for_it() {
    let chain = [block(2, T0), block(2, T0 + 1)];
    // The clock of the source is ahead.
    let remote = belief(&[(2, order(T0 + 500, [2, 2, 2, 1], &chain))]);
    let mut peer = Peer::joining(key(1), voters(2), &remote, &key(2)).unwrap();
    assert_eq!(peer.public_belief().unwrap(), remote);
    let work = peer.executable().unwrap();
    assert_eq!(work.range, 0..1);
    let hashes: Vec<_> = work.blocks().map(|b| b.unwrap().hash()).collect();
    assert_eq!(hashes, [cells::Cell::from(chain[0].clone()).hash()]);
    peer.executed(work.chain, 1, voters(2)).unwrap();
    let fresh = Input {
        fresh: true,
        ..Input::default()
    };
    play(&mut peer, 1, T0 + 100, fresh);
    assert_eq!(peer.order().points[..], [2, 2, 2, 2]);
    assert_eq!(peer.order().timestamp, T0 + 100);
    assert_eq!(peer.public_belief().unwrap().orders().count(), 2);
    assert_eq!(peer.executable().unwrap().range, 1..2);
}

#[test]
fn what_was_executed_stays_executed() {
    let (a, b) = (block(1, T0), block(1, T0 + 1));
    let own = belief(&[(1, order(T0, [1, 1, 1, 1], std::slice::from_ref(&a)))]);
    let mut peer = stopped(own, 1);
    let work = peer.executable().unwrap();
    assert_eq!(work.range, 0..1);
    let chain = |blocks: &[Signed]| support::chain(blocks);
    assert!(peer.executed(work.chain.clone(), 2, voters(1)).is_err());
    peer.executed(work.chain, 1, voters(1)).unwrap();
    assert!(
        peer.executed(chain(std::slice::from_ref(&b)), 1, voters(1))
            .is_err()
    );
    assert!(peer.executed(chain(&[a, b]), 0, voters(1)).is_err());
    assert_eq!(peer.position(), 1);
}

#[test]
fn own_blocks_do_not_go_back_in_time() {
    let mut peer = stopped(belief(&[(1, order(T0, [0; 4], &[]))]), 1);
    let transaction = block(2, T0);
    let time = |peer: &Peer, now| peer.blocks(now, std::slice::from_ref(&transaction))[0].timestamp;
    assert_eq!(time(&peer, T0 + 30), T0 + 30);
    let input = Input {
        blocks: vec![block(1, T0 + 30)],
        ..Input::default()
    };
    play(&mut peer, 1, T0 + 30, input);
    assert_eq!(time(&peer, T0 + 10), T0 + 30);
    assert_eq!(time(&peer, T0 + 31), T0 + 31);
    assert!(peer.blocks(T0 + 31, &[]).is_empty());
}
