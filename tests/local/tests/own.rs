//! Networks of our own peers: they agree, go on without one of them, and take it in again.

use std::time::Duration;

use client::ClientError;
use local_networks::Network;

/// Transactions at every peer in turn; answers the slowest.
fn rounds(network: &mut Network, rounds: usize) -> Duration {
    let peers = network.running();
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        for peer in &peers {
            slowest = slowest.max(network.transfer(*peer));
        }
    }
    slowest
}

#[test]
fn networks_of_one_three_and_seven_peers_agree_on_what_all_of_them_took_in() {
    for peers in [1, 3, 7] {
        let mut network = Network::start(peers);
        let slowest = rounds(&mut network, 4);
        let (agreed, took) = network.agree(4 * peers as u64);
        println!("{peers} peers: slowest {slowest:?}, agreement after {took:?}");
        assert_eq!(agreed.executed, 4 * peers as u64, "a block each");
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    }
}

#[test]
fn four_peers_go_on_without_one_which_catches_up_with_its_store_and_without() {
    let mut network = Network::start(4);
    rounds(&mut network, 2);
    let (mut before, _) = network.agree(8);
    for with_store in [true, false] {
        network.kill(3);
        rounds(&mut network, 3);
        let (after, _) = network.agree(before.executed + 9);
        if !with_store {
            network.empty_store(3);
        }
        let started = network.restart(3);
        let (caught, took) = network.agree(after.executed);
        println!("with its store: {with_store}, started after {started:?}, there after {took:?}");
        assert_eq!(caught, after, "nothing but what the others had");
        rounds(&mut network, 2);
        before = network.agree(after.executed + 8).0;
    }
}

#[test]
fn a_peer_with_nothing_but_key_network_and_hosts_joins_and_takes_part() {
    let mut network = Network::start(4);
    rounds(&mut network, 2);
    network.kill(3);
    rounds(&mut network, 20);
    let (others, _) = network.agree(68);
    network.forget_all(3);
    let started = network.restart(3);
    let (joined, took) = network.agree(others.executed);
    println!("joined {took:?} after its start, which took {started:?}");
    assert_eq!(joined, others);
    network.transfer(3);
    network.agree(others.executed + 1);
}

#[test]
fn of_three_equal_peers_two_are_not_enough_and_go_on_when_the_third_is_back() {
    let mut network = Network::start(3);
    rounds(&mut network, 2);
    let (before, _) = network.agree(6);
    network.kill(2);
    let endpoint = network.endpoint(0);
    let result = network.try_transfer(&endpoint, Duration::from_secs(1));
    assert!(matches!(result, Err(ClientError::Timeout)), "{result:?}");
    let (still, _) = network.agree(6);
    assert_eq!(still, before, "66.7 per cent are less than 67");
    network.restart(2);
    let (after, took) = network.agree(before.executed + 1);
    println!("the waiting block is final {took:?} after the third was back");
    assert_eq!(after.executed, before.executed + 1);
}

/// Where others look for it, nobody listens, so that it proves itself on the connections that it opens, and asks for what nobody sends it
/// (`spec/05 §20` number 10). Without one more peer its vote is needed for every block.
#[test]
fn a_peer_that_nobody_can_dial_takes_part_without_a_stall() {
    let mut network = Network::start(4);
    rounds(&mut network, 2);
    network.agree(8);
    network.kill(3);
    network.kill(2);
    let expected = network.endpoint(3);
    let elsewhere = expected.replace("127.0.0.1", "127.0.0.2");
    network.configure(3, &format!("[\"{expected}\""), &format!("[\"{elsewhere}\""));
    network.configure(
        3,
        &format!(", \"{}\"]", expected.replace("127.0.0.1", "[::1]")),
        "]",
    );
    let started = network.restart(3);
    let mut times: Vec<Duration> = (0..8).map(|_| network.transfer(0)).collect();
    times.sort();
    let (agreed, took) = network.agree(16);
    println!("started after {started:?}, {times:?}, agreement after {took:?}");
    assert_eq!(agreed.executed, 16, "a block each");
    assert!(times[4] < Duration::from_secs(5), "{times:?}");
    // Its own blocks get through as well.
    let mut own: Vec<Duration> = (0..4).map(|_| network.transfer_to(&elsewhere)).collect();
    own.sort();
    println!("its own: {own:?}");
    assert!(own[2] < Duration::from_secs(5), "{own:?}");
    network.agree(20);
}
