//! Stores that change hands: between peers of the reference and ours while their network goes on, and as a start for who joins.

use std::fs;

use local_networks::{Manner, Mixed, Network, Relay};

/// A round of transactions at all that run, after which all agree.
fn calm(mixed: &mut Mixed, what: &str) -> u64 {
    for (peer, tally) in mixed.round(20, |_, _| {}) {
        if !tally.is_clean() {
            for our in mixed.network.running() {
                let status = mixed.network.status(our);
                let counters = status.workers.into_iter().map(|worker| worker.counters);
                let counters: Vec<_> = counters.flatten().filter(|(_, n)| *n > 0).collect();
                println!("{our}: {:?} {counters:?}", status.consensus);
                println!("{}", mixed.network.log(our));
            }
            panic!("{what}: peer {peer}: {tally:?}");
        }
    }
    let (blocks, took) = mixed.agree(1);
    assert_eq!(mixed.same_order(), blocks);
    println!("{what}: {blocks} blocks, all agree after {took:?}");
    blocks
}

/// Where a peer has begun, as its log says.
fn began_at(network: &Network, peer: usize) -> u64 {
    let log = network.log(peer);
    let (_, rest) = log.split_once("EVENT=started position=").expect("a start");
    let digits = rest.split(' ').next().expect("a number");
    digits.parse().expect("a number")
}

#[test]
fn the_store_of_a_peer_of_the_reference_is_taken_over_by_ours_and_given_back() {
    let Some(mut mixed) = Mixed::start(&[31, 24], &[26, 22]) else {
        return;
    };
    let before = calm(&mut mixed, "two of each kind");
    // The first of the reference's ends, and ours goes on in its place: with its key, its host and its store.
    mixed.theirs[0].stop();
    let file = mixed.theirs[0].store().to_owned();
    mixed.network.give_store(2, &file);
    mixed.network.forget_genesis(2);
    mixed.network.restart(2);
    mixed.ours_is(2, true);
    let (blocks, took) = mixed.agree(before);
    println!("taken over: there with {blocks} blocks after {took:?}");
    let began = began_at(&mixed.network, 2);
    assert!(
        began >= before - 1 && began <= blocks,
        "it began at {began}"
    );
    assert!(!mixed.network.log(2).contains("genesis_acquired"));
    let held = calm(&mut mixed, "three of ours and one of theirs");
    // And back.
    mixed.network.stop(2);
    mixed.ours_is(2, false);
    fs::copy(mixed.network.store(2), &file).expect("a copy");
    assert!(mixed.theirs[0].resume());
    let at_first = mixed.theirs[0].standing().expect("it runs").executed;
    assert!(at_first >= held, "it began at {at_first} of {held}");
    calm(&mut mixed, "two of each kind again");
    mixed.verify();
}

#[test]
fn who_joins_with_the_store_of_another_peer_fetches_next_to_nothing() {
    let mut network = Network::start(3);
    for round in 0..30 {
        network.transfer(round % 2);
    }
    let (others, _) = network.agree(30);
    // With an empty store, for comparison.
    network.kill(2);
    network.forget_all(2);
    let plain = Relay::to(network.endpoint(0), Manner::Plain);
    network.name_peers(2, &[plain.endpoint()]);
    network.restart(2);
    network.agree(others.executed);
    let all = plain.bytes();
    network.kill(2);
    network.stop(1);
    network.give_store(2, &network.store(1));
    let second = Relay::to(network.endpoint(0), Manner::Plain);
    network.name_peers(2, &[second.endpoint()]);
    network.restart(2);
    let (joined, took) = network.agree(others.executed);
    assert_eq!(joined, others);
    let bytes = second.bytes();
    println!("{bytes} bytes instead of {all}, there after {took:?}");
    // Beliefs and statuses go on all the time.
    assert!(bytes * 4 < all, "{bytes} bytes instead of {all}");
    network.restart(1);
    network.transfer(2);
    network.agree(others.executed + 1);
}
