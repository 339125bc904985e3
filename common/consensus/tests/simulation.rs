//! Whole networks without a network: peers that propose, merge and exchange beliefs in random order.

mod support;

use cells::{Cell, Signed, Vector};
use consensus::{Belief, Electorate, Intake, Order, common_prefix, executable};
use support::{Rng, T0, belief, block, electorate, finish, key, run, sign};

struct Peer {
    id: u8,
    belief: Belief,
    /// What it has executed, and how much of it.
    settled: Vector,
    position: u64,
    /// Beliefs that are on their way to it.
    inbox: Vec<Belief>,
}

impl Peer {
    fn order(&self) -> Order {
        self.belief.order(&key(self.id)).unwrap().unwrap()
    }
}

struct Network {
    electorate: Electorate,
    peers: Vec<Peer>,
    time: i64,
    proposed: Vec<Signed>,
    /// The longest chain that anybody has executed.
    executed: Vector,
    rng: Rng,
}

impl Network {
    fn new(stakes: &[i64], seed: u64) -> Self {
        let peers = (1..=stakes.len() as u8).map(|id| Peer {
            id,
            belief: belief(&[(id, Order::empty())]),
            settled: Vector::empty(),
            position: 0,
            inbox: Vec::new(),
        });
        Self {
            electorate: electorate(stakes),
            peers: peers.collect(),
            time: T0,
            proposed: Vec::new(),
            executed: Vector::empty(),
            rng: Rng(seed),
        }
    }

    fn propose(&mut self, at: usize) {
        self.time += 1;
        let peer = &mut self.peers[at];
        let block = block(peer.id, self.time);
        let order = peer.order().append(std::slice::from_ref(&block)).unwrap();
        let signed = sign(peer.id, &order);
        peer.belief = peer
            .belief
            .clone()
            .with_order(&key(peer.id), signed)
            .unwrap();
        self.proposed.push(block);
    }

    /// Takes in what has arrived, merges, executes what is final.
    fn merge(&mut self, at: usize) {
        self.time += 1;
        let peer = &mut self.peers[at];
        let before = peer.order();
        let mut intake =
            Intake::new(key(peer.id), self.time, &self.electorate, &peer.belief).unwrap();
        for message in peer.inbox.drain(..) {
            // As bytes, so that nothing is shared between peers.
            let bytes = cells::encode_message(&message.to_cell()).unwrap();
            let message = cells::decode_message(&bytes, &cells::Decoder::new()).unwrap();
            let offers = intake.offers(&message).unwrap();
            assert!(offers.refused.is_empty(), "{:?}", offers.refused);
            for offer in offers.orders {
                assert!(offer.signed().verify());
                intake.accept(offer).unwrap();
            }
        }
        let incoming: Vec<Belief> = intake.finish().into_iter().collect();
        let outcome = run(
            peer.id,
            self.time,
            &self.electorate,
            &peer.belief,
            &incoming,
        )
        .unwrap();
        peer.belief = finish(peer.id, outcome);
        let order = peer.order();
        order.check().unwrap();
        assert!(order.timestamp == before.timestamp || order.timestamp == self.time);
        let range = executable(&order, &peer.settled, peer.position).expect("no fork");
        let agreed = common_prefix(&order.blocks, &self.executed).unwrap();
        assert!(
            agreed >= range.end.min(self.executed.count()),
            "peer {} would execute another chain",
            peer.id
        );
        if range.end > self.executed.count() {
            self.executed = order.blocks.slice(0, range.end).unwrap().unwrap();
        }
        peer.position = range.end;
        peer.settled = order.blocks;
    }

    fn send(&mut self, from: usize, to: usize) {
        let belief = self.peers[from].belief.clone();
        self.peers[to].inbox.push(belief);
    }

    /// One thing that happens to somebody. `reaches` says who hears whom.
    fn step(&mut self, proposals: bool, reaches: &dyn Fn(usize, usize) -> bool) {
        let n = self.peers.len() as u64;
        let at = self.rng.below(n) as usize;
        match self.rng.below(8) {
            0 if proposals => self.propose(at),
            0..=4 => {
                let to = self.rng.below(n) as usize;
                // Messages get lost, and are overtaken by later ones.
                if to != at && reaches(at, to) && !self.rng.one_in(4) {
                    self.send(at, to);
                }
            }
            _ => self.merge(at),
        }
    }

    /// Everybody hears everybody for some rounds.
    fn settle(&mut self, rounds: usize) {
        let n = self.peers.len();
        for _ in 0..rounds {
            self.time += 200;
            for from in 0..n {
                for to in (0..n).filter(|to| *to != from) {
                    self.send(from, to);
                }
            }
            for at in 0..n {
                self.merge(at);
            }
        }
    }

    /// All have one chain of all blocks, each once, all final.
    fn assert_settled(&self) {
        let first = self.peers[0].order();
        for peer in &self.peers {
            let order = peer.order();
            assert_eq!(order.blocks, first.blocks, "chain of peer {}", peer.id);
            assert_eq!(order.point(3) as u64, order.blocks.count());
            assert_eq!(peer.position, order.blocks.count());
        }
        let sorted = |blocks: Vec<Cell>| {
            let mut hashes: Vec<_> = blocks.iter().map(Cell::hash).collect();
            hashes.sort_unstable();
            hashes
        };
        let chain: Result<Vec<Cell>, _> = first.blocks.iter().collect();
        let proposed = self.proposed.iter().cloned().map(Cell::from).collect();
        assert_eq!(sorted(chain.unwrap()), sorted(proposed));
    }
}

fn everybody(_: usize, _: usize) -> bool {
    true
}

#[test]
fn peers_that_hear_each_other_now_and_then_agree_on_one_chain_of_all_blocks() {
    for seed in 0..12 {
        let n = 1 + (seed % 6) as usize;
        let mut network = Network::new(&vec![support::STAKE; n], seed);
        for _ in 0..150 {
            network.step(true, &everybody);
        }
        network.settle(12);
        network.assert_settled();
    }
}

#[test]
fn unequal_stakes_agree_too() {
    for seed in 100..106 {
        let stakes = [9, 1, 4, 2, 7].map(|gold| gold * 1_000_000_000_000);
        let mut network = Network::new(&stakes, seed);
        for _ in 0..150 {
            network.step(true, &everybody);
        }
        network.settle(12);
        network.assert_settled();
    }
}

/// Without more than 0.67 of the weight on one side nothing new becomes final while the network is parted.
#[test]
fn a_parted_network_stands_still_and_agrees_when_it_is_whole_again() {
    for seed in 200..206 {
        let mut network = Network::new(&[support::STAKE; 4], seed);
        let parted = |a: usize, b: usize| (a < 2) == (b < 2);
        for _ in 0..120 {
            network.step(true, &parted);
        }
        assert_eq!(network.executed.count(), 0);
        network.settle(12);
        network.assert_settled();
    }
}

/// Three of four go on; the fourth catches up.
#[test]
fn a_peer_that_was_cut_off_catches_up() {
    for seed in 300..304 {
        let mut network = Network::new(&[support::STAKE; 4], seed);
        let cut = |a: usize, b: usize| a < 3 && b < 3;
        for _ in 0..150 {
            let alone = network.peers[3].order().blocks.count();
            network.step(alone == 0, &cut);
        }
        network.settle(12);
        network.assert_settled();
        assert!(network.executed.count() > 0);
    }
}
