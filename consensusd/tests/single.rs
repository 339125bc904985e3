//! One peer alone: from a transaction to its result, and through crashes.

mod support;

use cells::Cell;
use consensusd::checking::Arrived;
use consensusd::peer::{Channel, Event};
use support::{BALANCE, Network, Node, STAKE, genesis, poison, transfer};

fn alone(users: usize) -> Network {
    let mut network = Network::new(&genesis(users, &[STAKE]), 1);
    network.run(100, |nodes| nodes[0].ready);
    network
}

fn answered(ids: std::ops::Range<i64>) -> impl Fn(&[Node]) -> bool {
    move |nodes| ids.clone().all(|id| nodes[0].reply(1, id).is_some())
}

#[test]
fn a_transaction_becomes_a_block_and_its_result_comes_back() {
    let mut network = alone(2);
    let began = network.now.steady;
    network.nodes[0].submit(1, 7, &transfer(0, 1, 2, 500));
    network.run(200, answered(7..8));
    let reply = network.nodes[0].reply(1, 7).unwrap();
    assert_eq!(reply.value, Cell::Long(500));
    assert!(reply.error.is_nil());
    assert!(
        reply.info.to_string().contains(":loc [0 0]"),
        "{}",
        reply.info
    );
    assert_eq!(network.nodes[0].account(1).balance, BALANCE + 500);
    assert_eq!(network.nodes[0].account(0).sequence, 1);
    // Three merges after the proposal, each in a millisecond of its own.
    assert!(
        network.now.steady - began <= 6,
        "{}",
        network.now.steady - began
    );
}

#[test]
fn a_result_leaves_only_when_state_and_results_are_durable() {
    let mut network = alone(2);
    network.nodes[0].auto_commit = false;
    network.nodes[0].submit(1, 1, &transfer(0, 1, 2, 500));
    network.run(200, |nodes| nodes[0].core.position() == 1);
    // Whatever happens, without an acknowledgement nothing leaves.
    for _ in 0..50 {
        network.nodes[0].step(network.now);
        network.now.steady += 1;
        network.now.wall += 1;
    }
    assert!(network.nodes[0].replies.is_empty());
    while network.nodes[0].reply(1, 1).is_none() {
        assert!(network.nodes[0].commit_one());
        network.nodes[0].step(network.now);
    }
    // What is durable then is the state after the block.
    let genesis = genesis(2, &[STAKE]);
    let node = network.nodes.remove(0).crash(network.now, 0);
    assert_eq!(node.core.position(), 1);
    assert_ne!(node.core.state().hash(), genesis.hash());
    assert_eq!(node.account(1).balance, BALANCE + 500);
}

#[test]
fn many_transactions_share_blocks_and_keep_their_order() {
    let mut network = alone(4);
    for sequence in 1..=600 {
        for user in 0..4 {
            let id = sequence * 4 + user as i64;
            network.nodes[0].submit(1, id, &transfer(user, sequence, 1, 1));
        }
    }
    network.run(3_000, answered(4..2_404));
    let node = &network.nodes[0];
    assert!(node.replies.iter().all(|(_, reply)| reply.error.is_nil()));
    assert_eq!(node.account(3).sequence, 600);
    assert!(
        node.core.counters().blocks <= 6,
        "{:?}",
        node.core.counters()
    );
}

#[test]
fn the_same_transaction_twice_is_executed_once_and_answered_twice() {
    let mut network = alone(2);
    let transaction = transfer(0, 1, 2, 500);
    network.nodes[0].submit(1, 1, &transaction);
    network.nodes[0].submit(2, 9, &transaction);
    network.run(200, |nodes| {
        nodes[0].reply(1, 1).is_some() && nodes[0].reply(2, 9).is_some()
    });
    let node = &network.nodes[0];
    assert_eq!(
        node.reply(1, 1).unwrap().value,
        node.reply(2, 9).unwrap().value
    );
    assert_eq!(node.account(1).balance, BALANCE + 500);
    // A third time it is old.
    network.nodes[0].submit(3, 3, &transaction);
    let text = network.nodes[0].reply(3, 3).unwrap().value.to_string();
    assert!(text.contains("Old sequence number"), "{text}");
}

#[test]
fn a_transaction_that_would_void_its_block_costs_nobody_else_anything() {
    let mut network = alone(8);
    let mut id = 0;
    for round in 1..=5 {
        for user in 0..8 {
            id += 1;
            let transaction = if user == 3 {
                poison(user, 1)
            } else {
                transfer(user, round, 1, 1)
            };
            network.nodes[0].submit(1, id, &transaction);
        }
    }
    network.run(2_000, |nodes| {
        let done = nodes[0].replies.len();
        done == 5 * 8
    });
    let node = &network.nodes[0];
    for (i, (_, reply)) in node.replies.iter().enumerate() {
        let Cell::Long(id) = reply.id else { panic!() };
        let poisoned = (id - 1) % 8 == 3;
        assert_eq!(reply.error.is_nil(), !poisoned, "{i} {reply:?}");
        if poisoned {
            assert_eq!(reply.error.to_string(), ":PEER");
        }
    }
    assert_eq!(node.account(7).sequence, 5);
    assert_eq!(node.account(3).sequence, 0);
    // Without peers that void blocks, no block was void.
    assert!(node.core.counters().poison >= 1);
}

#[test]
fn a_full_queue_is_told_at_once() {
    let genesis = genesis(2, &[STAKE]);
    let mut network = Network::new(&genesis, 1);
    network.nodes[0] = Node::with_config(0, &genesis, network.now, |config| config.queue = 10);
    network.run(100, |nodes| nodes[0].ready);
    for id in 1..=25 {
        network.nodes[0].submit(1, id, &transfer(0, id, 2, 1));
    }
    network.run(2_000, answered(1..26));
    let node = &network.nodes[0];
    let overloaded = node
        .replies
        .iter()
        .filter(|(_, reply)| reply.error.to_string() == ":LOAD")
        .count();
    assert_eq!(overloaded, 15);
}

#[test]
fn checks_answer_with_the_codes_and_texts_of_the_network() {
    let mut network = alone(2);
    let node = &mut network.nodes[0];
    let mut id = 0;
    let mut text = |node: &mut Node, transaction: &cells::Signed| {
        id += 1;
        node.submit(1, id, transaction);
        let reply = node.reply(1, id).expect("an answer at once");
        format!("{} {}", reply.error, reply.value)
    };
    let mut stranger = transfer(0, 1, 2, 1);
    stranger = cells::Signed::new(
        *stranger.key().unwrap(),
        *stranger.signature(),
        transfer(0, 2, 2, 1).value().unwrap(),
    );
    assert_eq!(text(node, &stranger), ":SIGNATURE \"Bad Signature!\"");
    assert_eq!(
        text(node, &transfer(0, 0, 2, 1)),
        ":SEQUENCE \"Old sequence number\""
    );
    let other = support::sign(
        0,
        cells::RecordKind::Transfer,
        &[
            Cell::Address(2),
            Cell::Long(1),
            Cell::Address(1),
            Cell::Long(1),
        ],
    );
    assert_eq!(text(node, &other), ":SIGNATURE \"Wrong key for account\"");
    assert_eq!(
        text(node, &transfer(50, 1, 2, 1)),
        ":NOBODY \"Account does not exist\""
    );
    let actor = support::sign(
        0,
        cells::RecordKind::Transfer,
        &[
            Cell::Address(0),
            Cell::Long(1),
            Cell::Address(1),
            Cell::Long(1),
        ],
    );
    assert_eq!(
        text(node, &actor),
        ":STATE \"Cannot run external transaction for actor account\""
    );
    let odd = cells::Signed::sign(&support::user_key(0), Cell::Long(5));
    assert_eq!(text(node, &odd), ":FORMAT \"Bad Message Format!\"");
    let call = support::sign(
        0,
        cells::RecordKind::Call,
        &[
            Cell::Address(1),
            Cell::Long(1),
            Cell::Address(2),
            Cell::Long(0),
            Cell::Nil,
            Cell::Nil,
        ],
    );
    assert!(text(node, &call).starts_with(":PEER"));
    // Rubbish has no id to answer to, or is answered without one.
    for body in [
        vec![],
        vec![0xff],
        vec![0x80, 2, 0x33, 2, b'T', b'X', 0x11, 4],
    ] {
        node.submit_raw(&[Arrived {
            connection: 5,
            body,
        }]);
    }
    let rubbish: Vec<String> = node
        .replies
        .iter()
        .filter(|(connection, _)| *connection == 5)
        .map(|(_, reply)| reply.error.to_string())
        .collect();
    assert_eq!(rubbish, [":FORMAT", ":FORMAT", ":FORMAT"]);
}

#[test]
fn a_peer_without_stake_says_so() {
    let mut network = Network::new(&genesis(1, &[1_000, STAKE]), 1);
    network.run(100, |nodes| nodes[0].ready);
    network.nodes[0].submit(1, 1, &transfer(0, 1, 1, 1));
    let reply = network.nodes[0].reply(1, 1).unwrap();
    assert_eq!(reply.error.to_string(), ":STATE");
    let report = network.nodes[0].core.report(network.now);
    assert!(
        report
            .hindrance
            .unwrap()
            .contains("not sufficiently staked")
    );
}

#[test]
fn a_new_signer_gets_an_order_of_a_new_time() {
    let mut network = alone(2);
    network.nodes[0].submit(1, 1, &transfer(0, 1, 2, 1));
    network.run(200, answered(1..2));
    let now = network.now;
    network.nodes[0].restart_signer(now);
    network.nodes[0].submit(1, 2, &transfer(0, 2, 2, 1));
    network.run(1_000, answered(2..3));
    assert!(network.nodes[0].reply(1, 2).unwrap().error.is_nil());
    // Its first second is over.
    assert!(network.now.wall > now.wall + 1_000);
    assert!(network.nodes[0].core.report(network.now).signing);
}

#[test]
fn a_locked_signer_is_told_and_an_unlocked_one_goes_on() {
    let mut network = alone(2);
    network.nodes[0].submit(1, 1, &transfer(0, 1, 2, 1));
    network.run(200, answered(1..2));
    network.nodes[0].signs = false;
    network.nodes[0].submit(1, 2, &transfer(0, 2, 2, 1));
    network.run(200, |nodes| {
        let report = nodes[0].core.report(support_now());
        !report.signing && report.hindrance.is_some_and(|why| why.contains("locked"))
    });
    network.nodes[0].signs = true;
    let up = Event::Link(Channel::Key, true);
    network.nodes[0].events.push_back(up);
    network.run(1_000, answered(2..3));
    assert!(network.nodes[0].reply(1, 2).unwrap().error.is_nil());
}

fn support_now() -> signing::Now {
    signing::Now { wall: 0, steady: 0 }
}

/// A model: whatever is killed when, what was acknowledged is there exactly once, and the state is that of an undisturbed run.
#[test]
fn crashes_at_any_moment_lose_nothing_that_was_acknowledged() {
    for seed in 0..40u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = move |n: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) % n
        };
        let mut network = alone(3);
        network.nodes[0].auto_commit = false;
        let mut sequence = [0i64; 3];
        let mut acknowledged = [0i64; 3];
        let mut id = 0;
        for _ in 0..300 {
            match draw(12) {
                0..=2 => {
                    let user = draw(3) as usize;
                    sequence[user] += 1;
                    id += 1;
                    let transaction = transfer(user, sequence[user], 1, 1);
                    network.nodes[0].submit(user as u64, id, &transaction);
                }
                3..=5 => {
                    network.nodes[0].commit_one();
                }
                6 => {
                    let keep = draw(4) as usize;
                    let now = network.now;
                    let node = network.nodes.remove(0).crash(now, keep);
                    network.nodes.push(node);
                    network.nodes[0].auto_commit = false;
                    network.nodes[0].step(now);
                    // Clients ask where they are, as they do after a silence.
                    for user in 0..3 {
                        sequence[user] = network.nodes[0].account(user).sequence;
                        assert!(sequence[user] >= acknowledged[user], "seed {seed}: lost");
                    }
                }
                7 => {
                    let keep = draw(3) as usize;
                    network.nodes[0].restart_store(keep);
                }
                8 if draw(6) == 0 => {
                    let now = network.now;
                    network.nodes[0].restart_signer(now);
                }
                _ => {
                    network.now.steady += 1;
                    network.now.wall += 1;
                }
            }
            network.nodes[0].step(network.now);
            assert_eq!(network.nodes[0].fatal, None);
            for (connection, reply) in std::mem::take(&mut network.nodes[0].replies) {
                if reply.error.is_nil() {
                    acknowledged[connection as usize] += 1;
                }
            }
        }
        // In the end everything is executed, once.
        network.nodes[0].auto_commit = true;
        network.run(5_000, |nodes| {
            let report = nodes[0].core.report(support_now());
            report.queue == 0
                && report.points[0] == report.points[3]
                && report.executed == report.points[0]
        });
        let mut total = 0;
        for (user, acknowledged) in acknowledged.iter().enumerate() {
            let account = network.nodes[0].account(user);
            assert!(account.sequence >= *acknowledged, "seed {seed}");
            total += account.sequence;
        }
        // Replayed from what is written down, the chain leads to the same state.
        let blocks = network.nodes[0].core.order().blocks.clone();
        let mut state = cvm::state::State::from_cell(&genesis(3, &[STAKE])).unwrap();
        let mut machine = cvm::Machine::new(cvm::Rules::latest());
        let mut done = 0;
        for block in blocks.iter() {
            let Cell::Signed(block) = block.unwrap() else {
                panic!()
            };
            let outcome = cvm::transition::apply_block(&mut machine, &mut state, &block).unwrap();
            assert_eq!(outcome.invalid, None);
            done += outcome.results.iter().filter(|r| r.error.is_nil()).count();
        }
        assert_eq!(done as i64, total, "seed {seed}");
        assert_eq!(state.hash().unwrap(), network.nodes[0].core.state().hash());
    }
}

#[test]
fn memory_is_given_back_when_values_are_many() {
    let genesis = genesis(50, &[STAKE]);
    let mut network = Network::new(&genesis, 1);
    network.nodes[0] = Node::with_config(0, &genesis, network.now, |config| config.memory = 0);
    network.run(100, |nodes| nodes[0].ready);
    let mut id = 0;
    for round in 0..12 {
        for sequence in 1..=40 {
            for user in 0..50 {
                id += 1;
                let transaction = transfer(user, round * 40 + sequence, 1, 1);
                network.nodes[0].submit(1, id, &transaction);
            }
        }
        network.run(20_000, |nodes| nodes[0].replies.len() as i64 == id);
    }
    assert!(
        network.nodes[0]
            .replies
            .iter()
            .all(|(_, r)| r.error.is_nil())
    );
    assert!(network.nodes[0].core.counters().compactions >= 1);
    assert_eq!(network.nodes[0].account(49).sequence, 480);
}
