//! Our peers and peers of the reference (0.8.0, with plain transfers, which it executes like 0.8.5) in one network: they agree on order and
//! state, whoever takes in the transactions and whoever is away for a while.

use std::time::{Duration, Instant};

use local_networks::{Network, Reference};

/// A network of which the last peers are the reference's.
struct Mixed {
    network: Network,
    reference: Reference,
    theirs: Vec<(u64, String)>,
}

impl Mixed {
    /// `ours` of our peers and `theirs` of the reference, connected to each other; `None` where the reference can't run.
    fn start(ours: usize, theirs: usize) -> Option<Self> {
        let mut reference = Reference::start()?;
        let mut network = Network::start(ours + theirs);
        // Peers of ours that make place for those of the reference with the same keys.
        let mut endpoints = Vec::new();
        for peer in ours..ours + theirs {
            network.kill(peer);
            let seed = network.seed(peer).to_hex().to_string();
            let (number, endpoint) = reference.peer(&network.genesis(), &seed);
            for our in 0..ours {
                network.configure(our, &network.endpoint(peer), &endpoint);
            }
            endpoints.push((number, endpoint));
        }
        for our in 0..ours {
            network.kill(our);
            network.restart(our);
        }
        let mut mixed = Self {
            network,
            reference,
            theirs: endpoints,
        };
        mixed.connect(ours);
        Some(mixed)
    }

    /// Has the peers of the reference connect to all others.
    fn connect(&mut self, ours: usize) {
        for (number, own) in &self.theirs {
            for our in 0..ours {
                let endpoint = self.network.endpoint(our);
                self.reference
                    .ask(&format!("peer-dial {number} {endpoint}"));
            }
            for (_, other) in self.theirs.iter().filter(|(_, other)| other != own) {
                self.reference.ask(&format!("peer-dial {number} {other}"));
            }
        }
    }

    /// Waits until all have executed the same, and at least so many blocks; answers how many.
    fn agree(&mut self, least: u64) -> (u64, Duration) {
        let began = Instant::now();
        let Self {
            network,
            reference,
            theirs,
        } = self;
        let agreed = network.wait("both kinds to agree", |network| {
            let ours: Option<Vec<_>> = network.standings().into_iter().collect();
            let ours = ours?;
            let first = *ours.first()?;
            let state: String = first.state.iter().map(|b| format!("{b:02x}")).collect();
            let mut all = ours.iter().all(|one| *one == first);
            for (number, _) in &*theirs {
                all &= reference.standing(*number) == (first.executed, state.clone());
            }
            (all && first.executed >= least).then_some(first.executed)
        });
        (agreed, began.elapsed())
    }

    /// Transfers at all in turn; answers the slowest of ours and of theirs.
    fn rounds(&mut self, rounds: usize) -> (Duration, Duration) {
        let mut slowest = (Duration::ZERO, Duration::ZERO);
        for _ in 0..rounds {
            for peer in self.network.running() {
                slowest.0 = slowest.0.max(self.network.transfer(peer));
            }
            for (_, endpoint) in &self.theirs {
                slowest.1 = slowest.1.max(self.network.transfer_to(endpoint));
            }
        }
        slowest
    }
}

#[test]
fn one_peer_of_each_kind_agree_whoever_takes_in_the_transactions() {
    let Some(mut mixed) = Mixed::start(1, 1) else {
        return;
    };
    for least in [10, 20, 30] {
        let (ours, theirs) = mixed.rounds(5);
        let (blocks, took) = mixed.agree(least);
        println!(
            "{blocks} blocks; slowest at ours {ours:?}, at theirs {theirs:?}; agreement after {took:?}"
        );
    }
}

#[test]
fn ours_joins_by_what_a_peer_of_the_reference_has_and_takes_part() {
    let Some(mut mixed) = Mixed::start(1, 1) else {
        return;
    };
    mixed.rounds(30);
    let (blocks, _) = mixed.agree(60);
    mixed.network.kill(0);
    mixed.network.forget_all(0);
    let started = mixed.network.restart(0);
    let (joined, took) = mixed.agree(blocks);
    println!("joined {took:?} after its start, which took {started:?}");
    assert_eq!(joined, blocks);
    mixed.connect(1);
    mixed.rounds(5);
    mixed.agree(blocks + 10);
}

#[test]
fn two_peers_of_each_kind_agree_and_one_of_ours_comes_back() {
    let Some(mut mixed) = Mixed::start(2, 2) else {
        return;
    };
    let (ours, theirs) = mixed.rounds(5);
    let (blocks, took) = mixed.agree(20);
    println!(
        "{blocks} blocks; slowest at ours {ours:?}, at theirs {theirs:?}; agreement after {took:?}"
    );
    for with_store in [true, false] {
        mixed.network.kill(1);
        let (ours, theirs) = mixed.rounds(2);
        if !with_store {
            mixed.network.empty_store(1);
        }
        let started = mixed.network.restart(1);
        let (after, took) = mixed.agree(blocks + 6);
        println!(
            "{after} blocks; slowest at ours {ours:?}, at theirs {theirs:?}; started after {started:?}, with store: {with_store}, agreement after {took:?}"
        );
    }
}
