//! Several peers: they reach the same state, whatever gets lost.

mod support;

use std::collections::HashSet;

use cells::{Cell, Hash, RecordKind, Signed, branches, encode_delta};
use consensusd::peer::{Event, Outgoing, Request};
use support::{Network, Node, STAKE, USER, account_key, genesis, peer_key, sign, transfer};

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

/// A text that is a cell of its own, far below the block of the transaction that has it.
fn text() -> Cell {
    Cell::from("a".repeat(300).as_str())
}

/// Blocks in the order of a peer, as a node knows it.
fn blocks(node: &Node, peer: usize) -> u64 {
    let order = node.core.belief().order(&account_key(peer));
    order.unwrap().map_or(0, |order| order.blocks.count())
}

/// Three peers of which the last is cut off while the others share a block that can't become final.
fn two_share_a_block() -> Network {
    let mut network = network(&[STAKE; 3]);
    network.link = Box::new(|from, to| from != 2 && to != 2);
    let fields = [Cell::Address(USER), Cell::Long(1), text()];
    network.nodes[0].submit(9, 1, &sign(0, RecordKind::Invoke, &fields));
    network.run(30_000, |nodes| {
        (0..2).all(|peer| blocks(&nodes[0], peer) == 1)
    });
    network
}

/// The belief of a node with all below it but one cell.
fn belief_without(node: &Node, left_out: &Cell) -> Vec<u8> {
    let mut cells = Vec::new();
    let mut seen = HashSet::from([left_out.hash()]);
    let mut stack = vec![node.core.belief().to_cell()];
    while let Some(cell) = stack.pop() {
        let below = branches(&cell).into_iter();
        let below = below.map(|branch| Cell::clone(&branch.load().unwrap()));
        stack.extend(below.filter(|cell| seen.insert(cell.hash())));
        cells.push(cell);
    }
    cells.reverse();
    encode_delta(&cells)
}

#[test]
fn orders_that_lack_the_same_data_are_all_left_aside() {
    let mut network = two_share_a_block();
    let message = belief_without(&network.nodes[0], &text());
    network.link = Box::new(|_, _| false);
    network.belief(0, 2, &message);
    for _ in 0..30 {
        network.nodes[2].step(network.now);
    }
    for peer in 0..2 {
        let blocks = blocks(&network.nodes[2], peer);
        assert_eq!(blocks, 0, "nobody votes on what can't be executed");
    }
}

/// The first block in the order of a node, without its signature.
fn first_block(node: &Node) -> Cell {
    match node.core.order().blocks.get(0) {
        Ok(Some(Cell::Signed(signed))) => signed.value().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Whether a node asks for a cell when somebody who has proven nothing brings it a message.
fn asks_for(mut network: Network, message: &[u8], wanted: Hash) -> bool {
    network.belief_by(0, 2, message, None);
    network.nodes[2].outbox.clear();
    for _ in 0..3 {
        network.nodes[2].step(network.now);
    }
    let asks = |outgoing: &Outgoing| match outgoing {
        Outgoing::Request(_, _, Request::Data(hashes)) => hashes.contains(&wanted),
        _ => false,
    };
    network.nodes[2].outbox.iter().any(asks)
}

#[test]
fn what_an_order_of_a_staked_peer_lacks_is_asked_for_whoever_brought_it() {
    let network = two_share_a_block();
    let message = belief_without(&network.nodes[0], &text());
    assert!(asks_for(network, &message, text().hash()));
    // Without the block, the chain can't even be looked at.
    let network = two_share_a_block();
    let block = first_block(&network.nodes[0]);
    let message = belief_without(&network.nodes[0], &block);
    assert!(asks_for(network, &message, block.hash()));
}

#[test]
fn a_forged_order_makes_nobody_ask_for_anything() {
    let network = two_share_a_block();
    let order = network.nodes[0].core.order().to_cell();
    let block = first_block(&network.nodes[0]);
    // Another has signed it than it says.
    let signature = *Signed::sign(&peer_key(1), order.clone()).signature();
    let forged = Cell::from(Signed::new(account_key(0), signature, order.clone()));
    let message = encode_delta(&[order, forged]);
    assert!(!asks_for(network, &message, block.hash()));
}

#[test]
fn who_is_connected_to_later_is_sent_all_that_is_not_final() {
    let mut network = two_share_a_block();
    // It can't ask for anything.
    network.link = Box::new(|from, to| from == 0 && to == 2);
    network.nodes[0].events.push_back(Event::Closed(2));
    network.nodes[0].events.push_back(Event::Opened(2));
    network.run(1_000, |nodes| {
        (0..2).all(|peer| blocks(&nodes[2], peer) == 1)
    });
}

#[test]
fn when_nothing_moves_all_that_is_not_final_is_told_again() {
    let mut network = two_share_a_block();
    network.link = Box::new(|from, to| from == 0 && to == 2);
    network.run(1_000, |nodes| {
        (0..2).all(|peer| blocks(&nodes[2], peer) == 1)
    });
}

#[test]
fn orders_of_others_are_passed_on_though_the_own_one_stays_the_same() {
    let mut network = network(&[STAKE; 4]);
    network.link = Box::new(|from, to| from.max(to) < 2);
    network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    network.run(30_000, |nodes| blocks(&nodes[0], 1) == 1);
    let (own, signed) = {
        let node = &network.nodes[0];
        let signed = node.core.belief().signed_order(&account_key(1));
        (
            node.core.order().clone(),
            Cell::from(signed.unwrap().unwrap()),
        )
    };
    network.told.clear();
    network.pass(1_000);
    assert_eq!(network.nodes[0].core.order().to_cell(), own.to_cell());
    let told = network.told.iter().any(|(from, body)| {
        let encoding = signed.encode();
        *from == 0 && body.windows(encoding.len()).any(|part| part == encoding)
    });
    assert!(told, "half of the weight changes no order");
}

#[test]
fn others_are_asked_for_their_belief_while_nothing_is_executed_whatever_is_heard() {
    let mut network = two_share_a_block();
    network.link = Box::new(|from, to| from.max(to) < 2);
    let before = network.polls;
    network.pass(6_000);
    let told = network.told.len();
    assert!(told > 20, "all hear of others all the time");
    let polls = network.polls - before;
    assert!((6..40).contains(&polls), "{polls} of three peers");
}

/// A peer that is cut off proposes a block that is too old when it is back (`spec/05 §7.2`): it is void for everybody, and its client is told
/// (`§20` number 15).
#[test]
fn a_block_that_came_too_late_is_void_and_its_clients_are_told() {
    let mut network = network(&[STAKE; 4]);
    for peer in 0..4 {
        network.nodes[peer].submit(9, 1, &transfer(peer, 1, 5, 1));
    }
    network.run(30_000, |nodes| {
        nodes.iter().all(|node| node.reply(9, 1).is_some())
    });
    network.link = Box::new(|from, to| from != 3 && to != 3);
    network.nodes[3].submit(9, 2, &transfer(3, 2, 5, 1));
    network.run(30_000, |nodes| nodes[3].core.order().blocks.count() > 4);
    network.now.wall += 16 * 60_000;
    network.now.steady += 16 * 60_000;
    network.nodes[0].submit(9, 2, &transfer(0, 2, 5, 1));
    network.run(30_000, |nodes| {
        nodes[..3].iter().all(|node| node.account(0).sequence == 2)
    });
    network.link = Box::new(|_, _| true);
    network.run(60_000, |nodes| {
        agree(6)(nodes) && nodes[3].reply(9, 2).is_some()
    });
    let reply = network.nodes[3].reply(9, 2).unwrap().clone();
    assert_eq!(reply.error.to_string(), ":PEER");
    assert_eq!(reply.value, Cell::from("Block too old"));
    assert_eq!(network.nodes[0].account(3).sequence, 1);
    // Once more, and it is done.
    network.nodes[3].submit(9, 3, &transfer(3, 2, 5, 1));
    network.run(60_000, |nodes| nodes[3].reply(9, 3).is_some());
    assert!(network.nodes[3].reply(9, 3).unwrap().error.is_nil());
}
