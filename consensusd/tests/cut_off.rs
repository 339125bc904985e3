//! Networks that fall apart: who can't take part in consensus says so, and goes on when it can again.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cells::Cell;
use consensusd::answering::{Answerer, WhenCutOff};
use consensusd::checking::Arrived;
use consensusd::peer::{Cause, Event, Reach, Standing};
use support::{Network, Node, STAKE, genesis, transfer};
use wire::{Code, Message, Reply};

const WINDOW: u64 = 10_000;

/// A network whose first peers can be cut off from the others.
struct Parted {
    network: Network,
    minority: Arc<AtomicUsize>,
}

impl Parted {
    fn start(stakes: &[i64]) -> Self {
        let mut network = Network::new(&genesis(6, stakes), stakes.len());
        network.connect();
        let minority = Arc::new(AtomicUsize::new(0));
        let cut = minority.clone();
        network.link = Box::new(move |from, to| {
            let cut = cut.load(Ordering::Relaxed);
            (from < cut) == (to < cut)
        });
        let mut parted = Self { network, minority };
        parted.tell_reach(stakes.len() - 1, 20);
        parted.network.pass(2 * WINDOW);
        assert_eq!(parted.standings(), vec![Standing::Connected; stakes.len()]);
        parted
    }

    fn tell_reach(&mut self, named: usize, target: usize) {
        for node in &mut self.network.nodes {
            node.events.push_back(Event::Reach(Reach { named, target }));
        }
    }

    fn part(&mut self, minority: usize) {
        self.minority.store(minority, Ordering::Relaxed);
    }

    fn standings(&self) -> Vec<Standing> {
        let now = self.network.now;
        let standing = |node: &Node| node.core.report(now).standing;
        self.network.nodes.iter().map(standing).collect()
    }

    fn reply(&self, peer: usize, id: i64) -> Option<&Reply> {
        self.network.nodes[peer].reply(9, id)
    }

    fn agree_on(&mut self, user: usize, sequence: i64) {
        self.network.run(60_000, |nodes| {
            let state = nodes[0].core.state().hash();
            nodes.iter().all(|node| {
                node.core.state().hash() == state && node.account(user).sequence >= sequence
            })
        });
    }
}

fn is(reply: Option<&Reply>, code: Code) -> bool {
    reply.is_some_and(|reply| reply.error == Cell::from(code))
}

fn changes(network: &Network) -> Vec<usize> {
    let count = |node: &Node| node.standings.len();
    network.nodes.iter().map(count).collect()
}

#[test]
fn a_minority_answers_network_while_the_majority_goes_on_and_healing_ends_it() {
    let mut parted = Parted::start(&[STAKE; 7]);
    parted.part(2);
    // One that comes before the minority knows how it is: it goes into a block.
    parted.network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    parted.network.nodes[3].submit(9, 1, &transfer(1, 1, 5, 1));
    parted.network.pass(WINDOW + 1_000);
    let cut_off = Standing::CutOff(Cause::Silence);
    assert_eq!(parted.standings()[..2], [cut_off; 2]);
    assert_eq!(parted.standings()[2..], [Standing::Connected; 5]);
    assert!(
        is(parted.reply(0, 1), Code::Timeout),
        "its block may become final yet"
    );
    assert_eq!(
        parted.reply(3, 1).map(|reply| &reply.error),
        Some(&Cell::Nil)
    );

    // Another is answered at once, and is in no block.
    parted.network.nodes[1].submit(9, 2, &transfer(2, 1, 5, 1));
    assert!(is(parted.reply(1, 2), Code::Network));
    parted.network.nodes[3].submit(9, 2, &transfer(1, 2, 5, 1));
    parted.network.pass(10 * WINDOW);
    assert_eq!(
        parted.reply(3, 2).map(|reply| &reply.error),
        Some(&Cell::Nil)
    );
    assert_eq!(parted.network.nodes[0].account(1).sequence, 0);

    parted.part(0);
    parted.network.pass(5_000);
    assert_eq!(parted.standings(), [Standing::Connected; 7]);
    parted.agree_on(0, 1);
    parted.agree_on(1, 2);
    parted.network.nodes[1].submit(9, 3, &transfer(2, 1, 5, 1));
    parted.agree_on(2, 1);
    assert_eq!(
        parted.reply(1, 3).map(|reply| &reply.error),
        Some(&Cell::Nil)
    );
    assert_eq!(
        changes(&parted.network),
        [3, 3, 1, 1, 1, 1, 1],
        "no flapping"
    );
}

#[test]
fn of_two_halves_neither_goes_on_and_both_do_afterwards() {
    let mut parted = Parted::start(&[STAKE; 4]);
    parted.part(2);
    parted.network.pass(WINDOW + 1_000);
    assert_eq!(parted.standings(), [Standing::CutOff(Cause::Silence); 4]);
    parted.part(0);
    parted.network.pass(5_000);
    assert_eq!(parted.standings(), [Standing::Connected; 4]);
    parted.network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    parted.agree_on(0, 1);
}

#[test]
fn who_has_most_of_the_stake_is_never_cut_off() {
    let mut parted = Parted::start(&[10 * STAKE, STAKE, STAKE]);
    parted.part(1);
    parted.network.pass(5 * WINDOW);
    let cut_off = Standing::CutOff(Cause::Silence);
    assert_eq!(parted.standings(), [Standing::Connected, cut_off, cut_off]);
    parted.network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    parted
        .network
        .run(30_000, |nodes| nodes[0].reply(9, 1).is_some());
    parted.part(0);
    parted.network.pass(5_000);
    assert_eq!(parted.standings(), [Standing::Connected; 3]);
    parted.agree_on(0, 1);
}

#[test]
fn an_idle_network_stays_connected() {
    for link in [true, false] {
        // Connections both ways, or only those that each opened itself.
        let mut parted = Parted::start(&[STAKE; 4]);
        if !link {
            parted.network.broadcasts = false;
        }
        parted.network.pass(600_000);
        assert_eq!(changes(&parted.network), [1; 4]);
    }
}

#[test]
fn with_more_peers_than_connections_what_waits_tells() {
    let mut parted = Parted::start(&[STAKE; 7]);
    // Each has other peers than these two for all it knows.
    parted.tell_reach(100, 1);
    parted.part(2);
    parted.network.pass(3 * WINDOW);
    assert_eq!(parted.standings(), [Standing::Connected; 7]);
    parted.network.nodes[0].submit(9, 1, &transfer(0, 1, 5, 1));
    parted.network.pass(3 * WINDOW);
    assert_eq!(
        parted.standings()[0],
        Standing::CutOff(Cause::Standstill),
        "a block waits there"
    );
    assert!(is(parted.reply(0, 1), Code::Timeout));
    parted.part(0);
    parted.network.pass(5_000);
    assert_eq!(parted.standings(), [Standing::Connected; 7]);
    parted.agree_on(0, 1);
}

#[test]
fn who_is_alone_knows_it_however_many_peers_there_are() {
    let mut parted = Parted::start(&[STAKE; 7]);
    parted.tell_reach(100, 1);
    parted.part(1);
    parted.network.pass(WINDOW + 1_000);
    assert_eq!(parted.standings()[0], Standing::CutOff(Cause::Silence));
}

#[test]
fn who_starts_alone_is_joining_for_a_while_and_cut_off_then() {
    let mut parted = Parted::start(&[STAKE; 4]);
    parted.part(1);
    let (now, node) = (parted.network.now, parted.network.nodes.remove(0));
    parted.network.nodes.insert(0, node.crash(now, 0));
    parted.network.pass(WINDOW - 1_000);
    assert_eq!(parted.standings()[0], Standing::Joining);
    parted.network.pass(2_000);
    assert_eq!(parted.standings()[0], Standing::CutOff(Cause::Silence));
    // Its belief has recent orders of all: of before.
    parted.part(0);
    parted.network.connect();
    parted.network.pass(5_000);
    assert_eq!(parted.standings(), [Standing::Connected; 4]);
}

#[test]
fn who_slept_asks_before_it_judges() {
    let mut parted = Parted::start(&[STAKE; 4]);
    // Nothing ran for an hour, of any process.
    parted.network.now.steady += 3_600_000;
    parted.network.now.wall += 3_600_000;
    parted.network.pass(2 * WINDOW);
    assert_eq!(changes(&parted.network), [1; 4]);
}

#[test]
fn queries_meanwhile_are_refused_or_marked_as_the_operator_chose() {
    let mut parted = Parted::start(&[STAKE; 4]);
    let query = Message::Query {
        id: 7,
        form: Cell::from("five"),
        address: Some(support::USER),
    };
    let request = Arrived {
        connection: 1,
        body: query.encode().unwrap(),
    };
    let ask = |parted: &Parted, when| {
        let node = &parted.network.nodes[0];
        let mut answerer = Answerer::new(node.core.shelf().clone(), when);
        answerer
            .answer(node.view.as_ref().unwrap(), &request)
            .unwrap()
    };
    let before = ask(&parted, WhenCutOff::Refuse);
    // This state has no libraries: any answer of the machine will do.
    assert!(!is(Some(&before), Code::Network));
    assert_eq!(before, ask(&parted, WhenCutOff::Stale));
    parted.part(1);
    parted.network.pass(WINDOW + 1_000);
    assert!(is(Some(&ask(&parted, WhenCutOff::Refuse)), Code::Network));
    let stale = ask(&parted, WhenCutOff::Stale);
    assert_eq!(stale, before.clone().stale().unwrap());
    assert_ne!(stale.info, Cell::Nil);
    parted.part(0);
    parted.network.pass(5_000);
    assert_eq!(ask(&parted, WhenCutOff::Refuse), before);
}
