//! Joining a network: by one address alone, with interruptions, and from peers some of which are of no use.

use std::fs;

use ipc::Role;
use local_networks::{Agreement, Manner, Network, Relay};

/// A network whose last peer is down and has forgotten everything, and what the others have.
fn without_the_last(peers: usize, rounds: usize) -> (Network, usize, Agreement) {
    let mut network = Network::start(peers);
    let last = peers - 1;
    network.transfer(0);
    network.agree(1);
    network.kill(last);
    for round in 0..rounds {
        network.transfer(round % last);
    }
    let (others, _) = network.agree(rounds as u64 + 1);
    network.forget_all(last);
    (network, last, others)
}

/// All that a peer has stored and written down is gone again.
fn forget(network: &Network, peer: usize) {
    network.empty_store(peer);
    let record = network.directory(peer).join("keyd/network");
    if record.exists() {
        fs::remove_file(record).expect("the record is removed");
    }
}

#[test]
fn a_peer_joins_by_one_address_alone_and_its_network_is_the_same_ever_after() {
    let (mut network, last, others) = without_the_last(3, 6);
    let hash = network.status(0).network;
    let source = network.endpoint(0);
    network.name_peers(last, &[&source]);
    network.remove_setting(last, "network =");
    network.restart(last);
    let (joined, took) = network.agree(others.executed);
    println!("joined after {took:?}");
    assert_eq!(joined, others);
    network.transfer(last);
    network.agree(others.executed + 1);
    let status = network.status(last);
    assert_eq!(status.network, hash);
    let by = status.network_by.expect("nobody vouches for it");
    assert!(by.starts_with(&source), "{by}");
    assert!(network.log(last).contains("EVENT=network_trusted"));
    // Whoever answers there from now on.
    let other = Network::start(1);
    assert_ne!(other.status(0).network, hash);
    network.kill(last);
    network.name_peers(last, &[&other.endpoint(0)]);
    network.restart(last);
    let status = network.status(last);
    assert_eq!((status.network, status.network_by), (hash, Some(by)));
    network.agree(others.executed + 1);
}

#[test]
fn a_join_that_is_killed_again_and_again_goes_on_where_it_was() {
    let (mut network, last, others) = without_the_last(3, 40);
    // How much it is.
    let plain = Relay::to(network.endpoint(0), Manner::Plain);
    network.name_peers(last, &[plain.endpoint()]);
    network.restart(last);
    network.agree(others.executed);
    network.kill(last);
    let all = plain.bytes();
    // The same again, within ten seconds, and with interruptions.
    forget(&network, last);
    let slow = Relay::to(network.endpoint(0), Manner::Slow(all / 10));
    network.name_peers(last, &[slow.endpoint()]);
    network.restart(last);
    let at = |network: &Network, tenths: u64| {
        network.wait("a part of it", |_| {
            (slow.bytes() >= all * tenths / 10).then_some(())
        });
    };
    at(&network, 2);
    let joining = network.status(last).consensus.and_then(|c| c.joining);
    let joining = joining.expect("it joins");
    assert!(
        joining.cells > 0 && joining.bytes > 0 && joining.sources == 1,
        "{joining:?}"
    );
    network.kill(last);
    network.restart(last);
    for (tenths, role) in [(3, Role::Stored), (4, Role::Netd), (5, Role::Consensusd)] {
        at(&network, tenths);
        network.kill_worker(last, role);
    }
    at(&network, 7);
    network.kill(last);
    network.restart(last);
    let (joined, took) = network.agree(others.executed);
    assert_eq!(joined, others);
    let again = slow.bytes();
    println!("{all} bytes without interruption, {again} with five; there {took:?} after the last");
    assert!(again < all * 2, "{again} bytes where {all} are enough");
    network.transfer(last);
    network.agree(others.executed + 1);
}

#[test]
fn one_good_source_is_enough_among_others_that_spoil_swallow_or_lack_the_data() {
    let (mut network, last, others) = without_the_last(3, 10);
    let stranger = Network::start(1);
    let good = Relay::to(network.endpoint(1), Manner::Plain);
    for manner in [Manner::Spoils, Manner::Mute] {
        let bad = Relay::to(network.endpoint(0), manner);
        network.name_peers(
            last,
            &[bad.endpoint(), &stranger.endpoint(0), good.endpoint()],
        );
        network.restart(last);
        let (joined, took) = network.agree(others.executed);
        println!("beside one that {manner:?}, joined after {took:?}");
        assert_eq!(joined, others);
        assert!(bad.bytes() > 0, "it was not even asked");
        network.kill(last);
        forget(&network, last);
    }
}
