//! A peer among hostile ones: what they send costs them more than it, and others are heard all the same.

mod support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use cells::{
    Blob, Cell, Decoder, Hash, Record, RecordKind, Ref, Signed, Source, Vector, decode_partial,
};
use consensus::{Belief, Order};
use consensusd::checking::Arrived;
use consensusd::peer::acquisition::MAX_HELD;
use consensusd::peer::conduct::Fault;
use consensusd::peer::{Connection, Event, Outgoing, Request, Target};
use crypto::Signature;
use cvm::state::Block;
use signing::Now;
use signing::challenge::ReceivedChallenge;
use support::{Node, STAKE, T0, account_key, genesis, peer_key, transfer};
use wire::{DataRequest, Message, Reply, answer_data};

/// The connections that this peer has opened: to a hostile peer, and to an honest one.
const HOSTILE: Connection = 21;
const HONEST: Connection = 23;
/// The hostile peer.
const LIAR: usize = 1;

/// A peer, what it asks for, and a store that a hostile peer answers from.
struct Scene {
    node: Node,
    now: Now,
    store: HashMap<Hash, Vec<u8>>,
    /// Answers that arrive with the next millisecond.
    later: Vec<Event>,
    /// Requests for data that the hostile peer answered.
    served: usize,
    /// Most bytes of fetched cells.
    most: usize,
    /// Requests to the honest peer, none of which is answered.
    honest: Vec<Request>,
    closed: Vec<(Connection, String)>,
    verified: Vec<(Connection, bool)>,
    challenges: Vec<(Connection, Vec<u8>)>,
    status: Option<Reply>,
}

impl Scene {
    /// Of peers with these stakes, of which the first is the one that is looked at.
    fn new(stakes: &[i64]) -> Self {
        let now = Now {
            wall: T0 + 10_000,
            steady: 10_000,
        };
        let mut scene = Self {
            // Nobody answers here, which is another matter: `cut_off.rs`.
            node: Node::with_config(0, &genesis(6, stakes), now, |config| {
                config.window = 3_600_000;
            }),
            now,
            store: HashMap::new(),
            later: Vec::new(),
            served: 0,
            most: 0,
            honest: Vec::new(),
            closed: Vec::new(),
            verified: Vec::new(),
            challenges: Vec::new(),
            status: None,
        };
        scene.pass(50);
        scene
    }

    fn open(&mut self) {
        for connection in [HOSTILE, HONEST] {
            self.node.events.push_back(Event::Opened(connection));
        }
        self.pass(50);
    }

    /// Lets so many milliseconds pass.
    fn pass(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.step();
            self.now.steady += 1;
            self.now.wall += 1;
            self.node.events.extend(self.later.drain(..));
        }
    }

    fn step(&mut self) {
        while self.node.step(self.now) {
            for outgoing in std::mem::take(&mut self.node.outbox) {
                self.take(outgoing);
            }
        }
    }

    fn take(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Request(ticket, Target::Opened(HOSTILE), Request::Data(hashes)) => {
                self.served += 1;
                self.most = self.most.max(self.node.core.fetched().0);
                let answer = Some(self.answer(&hashes));
                self.later.push(Event::Answered { ticket, answer });
            }
            Outgoing::Request(ticket, Target::Opened(HOSTILE), Request::Status)
                if self.status.is_some() =>
            {
                let answer = self.status.clone();
                let event = Event::Answered { ticket, answer };
                self.node.events.push_back(event);
            }
            Outgoing::Request(ticket, Target::Opened(HOSTILE), Request::Challenge(challenge)) => {
                let challenge = ReceivedChallenge::parse(&challenge).unwrap();
                let answer = Signed::sign(&peer_key(LIAR), challenge.answer());
                let answer = Some(Reply::ok(0, Cell::from(answer)));
                let event = Event::Answered { ticket, answer };
                self.node.events.push_back(event);
            }
            Outgoing::Request(_, Target::Opened(HONEST), request) => self.honest.push(request),
            Outgoing::Close(connection, reason) => self.closed.push((connection, reason)),
            Outgoing::Verified(connection, key) => self.verified.push((connection, key.is_some())),
            Outgoing::Challenge(connection, Some(challenge)) => {
                self.challenges.push((connection, challenge));
            }
            _ => {}
        }
    }

    fn decoder(&self) -> Decoder {
        let source: Arc<dyn Source> = self.node.core.shelf().clone();
        Decoder::with_source(source)
    }

    fn answer(&self, hashes: &[Hash]) -> Reply {
        let request = DataRequest {
            id: Cell::Long(0),
            hashes: hashes.to_vec(),
        };
        let body = answer_data(&request, 8 << 20, |hash| {
            Ok::<_, Infallible>(self.store.get(hash).cloned())
        });
        match Message::decode(&body.unwrap(), &self.decoder()).unwrap() {
            Ok(Message::Result(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// A belief arrives as these cells, the first of which is the belief.
    fn hear(&mut self, connection: Connection, trusted: Option<usize>, cells: &[Cell]) {
        let body = cells::encode_delta(&cells.iter().rev().cloned().collect::<Vec<_>>());
        let (message, _) = decode_partial(&body, &self.decoder()).unwrap();
        self.node.events.push_back(Event::Belief {
            connection,
            trusted: trusted.map(account_key),
            message,
            bytes: body.len(),
        });
    }

    fn counted(&self, fault: Fault) -> u64 {
        let mut named = self.node.core.conduct().named();
        named.find(|(name, _)| *name == fault.name()).unwrap().1
    }
}

/// Cells each of which has nothing but the one before, and a blob of so many bytes of its own.
fn chain(length: usize, weight: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::with_capacity(2 * length);
    let mut below = None;
    for i in 0..length {
        let mut bytes = vec![7; weight];
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        let blob = Cell::from(Blob::new(&bytes));
        let branch = below.map(|hash| Ref::branch(hash, None));
        // Enough of its own to be a branch, the last one too.
        let padding = Ref::new(Cell::from(Blob::new(&[9; 120])));
        let cell = [Ref::new(blob.clone()), padding];
        let cell = cell.into_iter().chain(branch);
        cells.push(blob);
        cells.push(Cell::from(Vector::from_refs(cell)));
        below = cells.last().map(Cell::hash);
    }
    cells
}

fn order(peer: usize, time: i64, blocks: &[Cell]) -> Signed {
    let order = Order {
        timestamp: time,
        points: [blocks.len() as i64, 0, 0, 0].into(),
        blocks: blocks.iter().cloned().collect(),
    };
    Signed::sign(&peer_key(peer), order.to_cell())
}

/// A signed block whose only transaction is this.
fn block(peer: usize, time: i64, transaction: Ref) -> Cell {
    let block = Block {
        timestamp: time,
        transactions: Vector::from_refs([transaction]),
    };
    Cell::from(Signed::sign(&peer_key(peer), block.to_cell()))
}

fn belief(orders: &[(usize, Signed)]) -> Belief {
    let with = |belief: Belief, (peer, order): &(usize, Signed)| {
        belief
            .with_order(&account_key(*peer), order.clone())
            .unwrap()
    };
    orders.iter().fold(Belief::empty(), with)
}

/// The belief with all below it that is in memory.
fn whole(belief: &Belief) -> Vec<Cell> {
    let mut cells = cells::novelty(&belief.to_cell(), |_| false);
    let top = belief.to_cell();
    cells.retain(|cell| *cell != top);
    cells.push(top);
    cells.reverse();
    cells
}

/// What a hostile peer's belief lacks, with a branch that goes on and on.
fn endless(scene: &mut Scene, length: usize, weight: usize) -> Belief {
    let chain = chain(length, weight);
    let top = chain.last().unwrap().hash();
    scene.store = chain.iter().map(|c| (c.hash(), c.encode())).collect();
    let branch = Ref::branch(top, None);
    let time = scene.now.wall - 1;
    belief(&[(LIAR, order(LIAR, time, &[block(LIAR, time, branch)]))])
}

#[test]
fn a_message_whose_data_have_no_end_is_given_up_and_others_are_asked_meanwhile() {
    let mut scene = Scene::new(&[STAKE; 4]);
    scene.open();
    let endless = endless(&mut scene, 100_000, 60);
    scene.hear(HOSTILE, Some(LIAR), &whole(&endless));
    scene.honest.clear();
    scene.pass(30_000);
    assert!(scene.served > 2_000, "{}", scene.served);
    let polls = scene.honest.iter().filter(|r| matches!(r, Request::Status));
    assert!(polls.count() >= 1, "{:?}", scene.honest);
    scene.pass(40_000);
    let served = scene.served;
    scene.pass(10_000);
    assert_eq!(scene.served, served, "it goes on after a minute");
    assert_eq!(scene.node.core.fetched().0, 0);
    assert!(scene.node.core.counters().failed_acquisitions > 0);
    assert_eq!(scene.node.core.counters().orders, 0);
    // The peer works as before.
    scene.node.submit(1, 1, &transfer(0, 1, 2, 5));
    scene.pass(100);
    assert_eq!(scene.node.core.order().blocks.count(), 1);
}

#[test]
fn a_message_brings_no_more_than_its_part() {
    let mut scene = Scene::new(&[STAKE; 4]);
    scene.open();
    let endless = endless(&mut scene, 6_000, 4_000);
    scene.hear(HOSTILE, Some(LIAR), &whole(&endless));
    scene.pass(6_000);
    let (held, acquired) = scene.node.core.fetched();
    let bytes = acquired.bytes;
    assert!((8 << 20..17 << 20).contains(&bytes), "{bytes}");
    // What is whole goes to the store at once.
    assert!(scene.most < 4 << 20, "{}", scene.most);
    assert_eq!(held, 0);
}

#[test]
fn a_connection_to_a_peer_whose_belief_has_no_end_is_closed() {
    let mut scene = Scene::new(&[STAKE; 4]);
    // Links of 2 KB each, nothing of which can be stored before the end is there.
    let filler: Vec<Cell> = (0..14).map(|_| Cell::from(Blob::new(&[5; 130]))).collect();
    let mut chain: Vec<Cell> = Vec::new();
    for i in 0..40_000 {
        let own = [Cell::Long(i)].into_iter().chain(filler.iter().cloned());
        let below = chain.last().map(|link| Ref::branch(link.hash(), None));
        let refs = own.map(Ref::new).chain(below);
        chain.push(Cell::from(Vector::from_refs(refs)));
    }
    let top = chain.last().unwrap().hash();
    scene.store = chain.iter().map(|c| (c.hash(), c.encode())).collect();
    let status = wire::Status {
        belief: top,
        genesis: scene.node.network,
        peer: account_key(LIAR),
        state: top,
        points: [0; 4],
    };
    scene.status = Some(Reply::ok(0, status.to_cell()));
    scene.open();
    while scene.closed.is_empty() && scene.now.steady < 100_000 {
        scene.pass(1);
    }
    assert_eq!(scene.closed.len(), 1, "{} served", scene.served);
    assert_eq!(scene.closed[0].0, HOSTILE);
    assert!(scene.most <= MAX_HELD + (1 << 20), "{}", scene.most);
}

/// Beside an endless branch, values are let go from memory, and blocks are made and executed.
#[test]
fn an_endless_branch_does_not_keep_a_peer_from_giving_memory_back() {
    let now = Now {
        wall: T0 + 10_000,
        steady: 10_000,
    };
    let mut scene = Scene::new(&[STAKE, consensus::MIN_STAKE]);
    scene.node = Node::with_config(
        0,
        &genesis(6, &[STAKE, consensus::MIN_STAKE]),
        now,
        |config| {
            config.memory = 1;
        },
    );
    scene.now = now;
    scene.pass(50);
    scene.open();
    let endless = endless(&mut scene, 100_000, 60);
    scene.hear(HOSTILE, Some(LIAR), &whole(&endless));
    scene.pass(2_000);
    let text = Cell::from(Blob::new(&[3; 4_000]));
    let mut sequence = 0;
    while scene.node.core.counters().compactions == 0 {
        sequence += 1;
        assert!(sequence < 2_000, "nothing is let go");
        let fields = [
            Cell::Address(support::USER),
            Cell::Long(sequence),
            text.clone(),
        ];
        let invoke = support::sign(0, RecordKind::Invoke, &fields);
        scene.node.submit(9, sequence, &invoke);
        scene.pass(10);
    }
    assert!(scene.node.core.counters().executed > 100);
    let served = scene.served;
    scene.pass(10);
    assert!(scene.served > served, "the branch goes on");
}

/// A branch that is small enough to stand in its parent is one that no store keeps: taken for there, it would be gone with the next start.
#[test]
fn a_branch_to_an_embedded_value_is_never_complete() {
    let mut scene = Scene::new(&[STAKE; 4]);
    scene.open();
    let small = Cell::from(Vector::from_iter([Cell::Long(1)]));
    scene.store.insert(small.hash(), small.encode());
    let time = scene.now.wall - 1;
    let filling = Ref::new(Cell::from(Blob::new(&[1; 200])));
    let parent = Cell::from(Vector::from_refs([
        filling,
        Ref::branch(small.hash(), None),
    ]));
    let orders = [(
        LIAR,
        order(LIAR, time, &[block(LIAR, time, Ref::new(parent))]),
    )];
    for _ in 0..3 {
        scene.hear(HOSTILE, Some(LIAR), &whole(&belief(&orders)));
        scene.pass(100);
    }
    assert_eq!(scene.served, 3);
    assert_eq!(scene.node.core.counters().failed_acquisitions, 3);
    assert_eq!(scene.node.core.counters().orders, 0);
}

#[test]
fn forgeries_cost_few_checks_and_then_the_connection() {
    const PEERS: usize = 60;
    let mut scene = Scene::new(&[STAKE; PEERS]);
    let time = scene.now.wall - 1;
    let forged = |peer: usize| {
        let value = order(peer, time, &[]).value().unwrap();
        let signature = Signature::new([peer as u8 + 1; 64]);
        (peer, Signed::new(account_key(peer), signature, value))
    };
    let all: Vec<(usize, Signed)> = (1..PEERS).map(forged).collect();
    let message = belief(&all);
    for round in 1..=40 {
        // Anew each time, so that no verdict is known.
        scene.hear(77, None, &whole(&message));
        scene.pass(1);
        assert_eq!(scene.counted(Fault::Forged), round);
    }
    assert_eq!(scene.node.core.counters().orders, 0);
    let closed: Vec<Connection> = scene.closed.iter().map(|(c, _)| *c).collect();
    assert_eq!(closed, [77; 40 - 16]);
    // What stands before the first forgery is taken in, what comes after it is not.
    let mut mixed = all;
    mixed.sort_by_key(|(peer, _)| account_key(*peer));
    let first = mixed[0].0;
    mixed[0].1 = order(first, time, &[]);
    let last = mixed[PEERS - 2].0;
    mixed[PEERS - 2].1 = order(last, time, &[]);
    scene.hear(78, None, &whole(&belief(&mixed)));
    scene.pass(20);
    assert_eq!(scene.node.core.counters().orders, 1);
    let held = scene.node.core.belief().signed_order(&account_key(first));
    let held = held.unwrap().map(|order| Cell::from(order).hash());
    assert_eq!(held, Some(Cell::from(mixed[0].1.clone()).hash()));
}

/// Short points, a time ahead, a stranger and nil: each is counted, and the good order beside them is taken in.
#[test]
fn malformed_orders_cost_nobody_but_who_signed_them() {
    let mut scene = Scene::new(&[STAKE, STAKE, STAKE, STAKE, STAKE, 5]);
    let time = scene.now.wall - 1;
    let fields = [
        Cell::Long(time),
        Cell::from((0..2).map(Cell::Long).collect::<Vector>()),
        Cell::from(Vector::empty()),
    ];
    let short = Cell::from(Record::of_kind(RecordKind::Order, fields));
    let short = Signed::sign(&peer_key(1), short);
    let future = order(2, time + 3_600_000, &[]);
    let good = order(3, time, &[]);
    let stranger = order(9, time, &[]);
    let poor = order(5, time, &[]);
    let orders = [(1, short), (2, future), (3, good), (9, stranger), (5, poor)];
    let nil_key = Cell::from(Blob::new(account_key(4).as_bytes()));
    let index = belief(&orders).orders().clone();
    let index = index.assoc(nil_key, Cell::Nil).unwrap().unwrap();
    scene.hear(9, None, &whole(&Belief::new(index)));
    scene.pass(20);
    assert_eq!(scene.node.core.counters().orders, 1);
    let counts = [
        (Fault::Malformed, 2),
        (Fault::Future, 1),
        (Fault::Stranger, 2),
        (Fault::Forged, 0),
    ];
    for (fault, count) in counts {
        assert_eq!(scene.counted(fault), count, "{fault:?}");
    }
    // A belief without an index of orders is a message that says nothing.
    scene.hear(
        9,
        None,
        &[Cell::from(Record::of_kind(RecordKind::Belief, [Cell::Nil]))],
    );
    scene.pass(20);
    assert_eq!(scene.counted(Fault::Malformed), 3);
    assert!(scene.closed.is_empty() && scene.node.fatal.is_none());
}

/// The reference waits for a trusted belief before it looks at one of who has proven nothing (`spec/05 §20` number 9).
#[test]
fn a_belief_of_who_has_proven_nothing_is_merged_at_once() {
    let mut scene = Scene::new(&[STAKE, STAKE]);
    let time = scene.now.wall - 1;
    let good = order(
        1,
        time,
        &[block(1, time, Ref::new(Cell::from(transfer(1, 1, 2, 5))))],
    );
    scene.hear(9, None, &whole(&belief(&[(1, good)])));
    scene.pass(1);
    assert_eq!(scene.node.core.order().blocks.count(), 1);
}

/// What was announced before is not sent again: only a question brings it (`spec/05 §20` number 8).
#[test]
fn who_is_connected_to_is_asked_for_its_status_at_once() {
    let mut scene = Scene::new(&[STAKE; 2]);
    scene.node.events.push_back(Event::Opened(HONEST));
    scene.step();
    let asked = |r: &&Request| matches!(r, Request::Status);
    assert_eq!(scene.honest.iter().filter(asked).count(), 1);
}

#[test]
fn a_key_without_stake_gives_no_trust() {
    let mut scene = Scene::new(&[STAKE, STAKE, 5]);
    for (peer, trusted) in [(1, true), (2, false), (7, false)] {
        let connection = 100 + peer as Connection;
        let wanted = Event::WantChallenge(connection);
        scene.node.events.push_back(wanted);
        scene.pass(2);
        let (of, challenge) = scene.challenges.pop().unwrap();
        assert_eq!(of, connection);
        let challenge = ReceivedChallenge::parse(&challenge).unwrap();
        let answer = Some(Signed::sign(&peer_key(peer), challenge.answer()));
        let event = Event::Proof { connection, answer };
        scene.node.events.push_back(event);
        scene.pass(2);
        assert_eq!(scene.verified.pop(), Some((connection, trusted)));
    }
}

/// In the reference such a message takes all others down that were drained with it (`spec/05 §20` number 20).
#[test]
fn a_transaction_without_a_usable_id_costs_nobody_else_anything() {
    let mut scene = Scene::new(&[STAKE]);
    let message = |id: Cell, transaction: Signed| {
        let tag = Cell::from(cells::Keyword::literal("TX"));
        let parts = [tag, id, Cell::from(transaction)];
        cells::encode_message(&Cell::from(Vector::from_iter(parts))).unwrap()
    };
    let useless = [Cell::Nil, Cell::from("one"), Cell::from(Vector::empty())];
    let mut bodies: Vec<Vec<u8>> = (1..=8)
        .map(|i| message(Cell::Long(i), transfer(0, i, 2, 5)))
        .collect();
    for id in useless {
        bodies.insert(3, message(id, transfer(1, 1, 2, 5)));
    }
    let arrived: Vec<Arrived> = (0..)
        .zip(bodies)
        .map(|(connection, body)| Arrived { connection, body })
        .collect();
    scene.node.submit_raw(&arrived);
    scene.pass(200);
    let done = scene
        .node
        .replies
        .iter()
        .filter(|(_, reply)| reply.error.is_nil());
    assert_eq!(done.count(), 8);
}
