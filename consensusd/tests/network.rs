//! Several peers: they reach the same state, whatever gets lost.

mod support;

use std::collections::HashSet;

use cells::{Cell, Hash, RecordKind, branches, encode_delta};
use support::{Network, Node, STAKE, USER, account_key, genesis, sign, transfer};

fn network(stakes: &[i64]) -> Network {
    let mut network = Network::new(&genesis(6, stakes), stakes.len());
    network.connect();
    network.run(3_000, |nodes| nodes.iter().all(|node| node.ready));
    network
}

fn agree(position: u64) -> impl Fn(&[Node]) -> bool {
    move |nodes| {
        let state = |node: &Node| (node.core.position(), node.core.state().hash());
        nodes[0].core.position() >= position
            && nodes.iter().all(|node| state(node) == state(&nodes[0]))
    }
}

fn executed(user: usize, sequence: i64) -> impl Fn(&[Node]) -> bool {
    move |nodes| {
        let states: Vec<Hash> = nodes.iter().map(|node| node.core.state().hash()).collect();
        states.iter().all(|state| *state == states[0])
            && nodes[0].account(user).sequence >= sequence
    }
}

#[test]
fn four_peers_execute_the_transactions_of_each() {
    let mut network = network(&[STAKE; 4]);
    for peer in 0..4 {
        network.nodes[peer].submit(9, 1, &transfer(peer, 1, 5, 10 + peer as i64));
    }
    network.run(30_000, |nodes| {
        agree(1)(nodes) && nodes.iter().all(|node| node.reply(9, 1).is_some())
    });
    for node in &network.nodes {
        assert!(node.reply(9, 1).unwrap().error.is_nil());
        assert_eq!(node.fatal, None);
        assert_eq!(node.account(4).balance, support::BALANCE + 46);
    }
}

#[test]
fn a_peer_that_was_cut_off_catches_up() {
    let mut network = network(&[STAKE; 4]);
    network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    network.run(30_000, executed(0, 1));
    network.link = Box::new(|from, to| from != 3 && to != 3);
    for sequence in 2..=6 {
        network.nodes[1].submit(9, sequence, &transfer(0, sequence, 5, 1));
        network.run(30_000, |nodes| {
            nodes[..3]
                .iter()
                .all(|node| node.account(0).sequence == sequence)
        });
    }
    assert_eq!(network.nodes[3].account(0).sequence, 1);
    network.link = Box::new(|_, _| true);
    network.run(30_000, executed(0, 6));
    assert!(network.nodes[3].core.counters().acquisitions > 0);
}

#[test]
fn a_peer_that_was_killed_comes_back_and_proposes_again() {
    let mut network = network(&[STAKE; 3]);
    network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    network.run(30_000, executed(0, 1));
    let (now, node) = (network.now, network.nodes.remove(1));
    network.nodes.insert(1, node.crash(now, 0));
    network.connect();
    network.nodes[0].submit(9, 2, &transfer(0, 2, 5, 1));
    network.run(30_000, executed(0, 2));
    network.nodes[1].submit(9, 3, &transfer(0, 3, 5, 1));
    network.run(30_000, executed(0, 3));
    assert!(network.nodes[1].reply(9, 3).unwrap().error.is_nil());
}

#[test]
fn a_peer_with_an_empty_store_replays_the_history() {
    let mut network = network(&[STAKE; 4]);
    for sequence in 1..=40 {
        network.nodes[0].submit(9, sequence, &transfer(0, sequence, 5, 1));
        network.run(30_000, |nodes| nodes[0].account(0).sequence == sequence);
    }
    let fresh = Node::new(3, &genesis(6, &[STAKE; 4]), network.now);
    network.nodes[3] = fresh;
    network.connect();
    network.run(30_000, executed(0, 40));
    assert!(network.nodes[3].core.position() >= 1);
}

#[test]
fn a_peer_without_stake_follows() {
    let mut network = network(&[STAKE, STAKE, 5]);
    network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    network.run(30_000, executed(0, 1));
}

#[test]
fn many_transactions_through_lossy_links_are_all_executed_once() {
    let mut network = network(&[STAKE, 2 * STAKE, 3 * STAKE]);
    let lost = std::cell::Cell::new(1u64);
    network.link = Box::new(move |_, _| {
        lost.set(
            lost.get()
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
        !(lost.get() >> 33).is_multiple_of(4)
    });
    for sequence in 1..=20 {
        for user in 0..3 {
            let transaction = transfer(user, sequence, 5, 1);
            network.nodes[user].submit(9, sequence, &transaction);
        }
        network.run(60_000, |nodes| {
            (0..3).all(|user| nodes[user].reply(9, sequence).is_some())
        });
    }
    network.link = Box::new(|_, _| true);
    network.run(60_000, agree(1));
    for user in 0..3 {
        assert_eq!(network.nodes[0].account(user).sequence, 20);
        let good = network.nodes[user]
            .replies
            .iter()
            .filter(|(_, r)| r.error.is_nil());
        assert_eq!(good.count(), 20);
    }
}

#[test]
fn orders_that_lack_the_same_data_are_all_left_aside() {
    let mut network = network(&[STAKE; 3]);
    network.link = Box::new(|from, to| from != 2 && to != 2);
    // The text is a cell of its own, far below the block.
    let text = Cell::from("a".repeat(300).as_str());
    let fields = [Cell::Address(USER), Cell::Long(1), text.clone()];
    network.nodes[0].submit(9, 1, &sign(0, RecordKind::Invoke, &fields));
    let blocks = |node: &Node, peer| {
        let order = node.core.belief().order(&account_key(peer));
        order.unwrap().map_or(0, |order| order.blocks.count())
    };
    network.run(30_000, |nodes| {
        (0..2).all(|peer| blocks(&nodes[0], peer) == 1)
    });
    let mut cells = Vec::new();
    let mut seen = HashSet::from([text.hash()]);
    let mut stack = vec![network.nodes[0].core.belief().to_cell()];
    while let Some(cell) = stack.pop() {
        let below = branches(&cell).into_iter();
        let below = below.map(|branch| Cell::clone(&branch.load().unwrap()));
        stack.extend(below.filter(|cell| seen.insert(cell.hash())));
        cells.push(cell);
    }
    cells.reverse();
    network.link = Box::new(|_, _| false);
    network.belief(0, 2, &encode_delta(&cells));
    for _ in 0..30 {
        network.nodes[2].step(network.now);
    }
    for peer in 0..2 {
        let blocks = blocks(&network.nodes[2], peer);
        assert_eq!(blocks, 0, "nobody votes on what can't be executed");
    }
}
