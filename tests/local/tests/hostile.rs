//! Three peers with three quarters of the stake, and one that lies with the rest: blocks become final all the while, nobody's memory grows, and
//! what was done is counted and told.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cells::{Blob, Cell, Hash, Record, RecordKind, Signed, Vector};
use client::Client;
use consensus::{Belief, Order};
use crypto::{AccountKey, Signature, SigningKey};
use ipc::Role;
use local_networks::{Hostile, Line, Network};
use peer_tests::chain::{Cells, own_order};

/// The peer that lies.
const LIAR: usize = 3;
/// How long a transaction may take while all of this goes on. The liar runs on the same processors.
const WORST: Duration = Duration::from_secs(30);
/// Memory of a process at its worst, MiB.
const MEMORY: u64 = 900;
const HOUR: i64 = 3_600_000;

struct Scene {
    network: Network,
    hostile: Hostile,
    lines: Vec<Line>,
    /// The keys of the others.
    honest: Vec<AccountKey>,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a time").as_millis() as i64
}

impl Scene {
    /// A network of four, of which the last is replaced by one that lies.
    fn start() -> Self {
        let mut network = Network::start(4);
        for peer in 0..4 {
            network.transfer(peer);
        }
        network.agree(4);
        network.kill(LIAR);
        let seed = hex::decode(network.seed(LIAR).to_hex().as_bytes()).expect("a seed");
        let key = SigningKey::from_seed(&seed.try_into().expect("a seed"));
        let mut client = Client::connect(&network.endpoint(0), WORST).expect("a connection");
        let genesis = client.status().expect("a status").genesis;
        let hostile = Hostile::start(key, genesis, &network.endpoint(LIAR));
        let honest = (0..LIAR)
            .map(|peer| network.seed(peer).signing_key().expect("a key"))
            .map(|key| key.account_key())
            .collect();
        let mut scene = Self {
            network,
            hostile,
            lines: Vec::new(),
            honest,
        };
        // All of them find it where the fourth peer was, and learn its key.
        let proofs = &scene.hostile;
        scene.network.wait("the liar to be dialled", |_| {
            (proofs.proofs() >= LIAR).then_some(())
        });
        scene.connect();
        scene
    }

    /// New connections, over which it has proven its key.
    fn connect(&mut self) {
        self.lines.clear();
        for peer in 0..LIAR {
            let mut line = self.hostile.dial(&self.network.endpoint(peer));
            line.prove();
            self.lines.push(line);
        }
    }

    /// What the first of the others has signed last.
    fn chain(&self) -> Order {
        let endpoint = self.network.endpoint(0);
        let cells = Cells::default();
        let mut client = Client::connect(&endpoint, WORST).expect("a connection");
        self.network.wait("an order", |_| {
            own_order(&mut client, &cells).expect("an answer")
        })
    }

    fn belief(&self, own: Signed) -> Belief {
        let belief = Belief::empty().with_order(&self.hostile.key().account_key(), own);
        belief.expect("in memory")
    }

    /// Sends a belief to all.
    fn tell(&mut self, belief: &Belief) {
        self.each(|_, line| line.believe(belief));
    }

    /// Does something with each connection; where it is closed, all are made anew.
    fn each(&mut self, mut act: impl FnMut(usize, &mut Line) -> bool) {
        let mut open = true;
        for (peer, line) in self.lines.iter_mut().enumerate() {
            open &= act(peer, line);
        }
        if !open {
            self.connect();
        }
    }

    /// Transactions at all of the others become final.
    fn goes_on(&mut self, what: &str) {
        let mut slowest = Duration::ZERO;
        for peer in 0..LIAR {
            slowest = slowest.max(self.network.transfer(peer));
        }
        println!(
            "{what}: slowest {slowest:?}, most memory {} MiB",
            self.memory()
        );
        assert!(slowest < WORST, "{what}: {slowest:?}");
    }

    /// The most that any process of the others ever had, MiB.
    fn memory(&self) -> u64 {
        let pids = (0..LIAR).flat_map(|peer| self.network.workers(peer));
        let peaks = pids.map(|(_, pid)| {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kib.expect("the peak of its memory") / 1024
        });
        peaks.max().expect("processes")
    }

    /// A count of all of the others together.
    fn count(&self, role: Role, name: &str) -> u64 {
        (0..LIAR)
            .map(|peer| self.network.counter(peer, role, name))
            .sum()
    }

    fn consensus(&self, name: &str) -> u64 {
        self.count(Role::Consensusd, name)
    }
}

fn record(fields: impl IntoIterator<Item = Cell>) -> Cell {
    let record = Record::new(0xd7, fields.into_iter().collect());
    Cell::from(record.expect("three fields"))
}

fn points(points: &[i64]) -> Cell {
    Cell::from(points.iter().map(|n| Cell::Long(*n)).collect::<Vector>())
}

fn forgeries(scene: &mut Scene) {
    let mut chain = scene.chain();
    for round in 0..60 {
        chain.timestamp = now() - 1;
        let mut belief = Belief::empty();
        for key in &scene.honest {
            let forged = Signed::new(*key, Signature::new([round + 1; 64]), chain.to_cell());
            belief = belief.with_order(key, forged).expect("in memory");
        }
        scene.tell(&belief);
    }
}

/// Two chains of one time, one to each half of the others.
fn forks(scene: &mut Scene) {
    for _ in 0..20 {
        let chain = scene.chain();
        let time = now();
        let fork = |block| {
            let mut order = chain.append(&[block]).expect("in memory");
            order.timestamp = time - 1;
            let count = order.blocks.count() as i64;
            order.points = [count; 4].into();
            order
        };
        let blocks = [1, 2].map(|i| scene.hostile.block(time - i, Vector::empty()));
        let beliefs = blocks.map(|block| scene.belief(scene.hostile.order(&fork(block))));
        scene.each(|peer, line| line.believe(&beliefs[peer % 2]));
    }
    // In the end it takes a side. With a quarter on each of two chains and another quarter on both, both have a half in the eyes of one, and the
    // protocol leaves that so until the weight of who says no more decays.
    let mut order = scene.chain();
    order.timestamp = now() - 1;
    let own = scene.hostile.order(&order);
    let belief = scene.belief(own);
    scene.tell(&belief);
}

fn malformed(scene: &mut Scene) {
    let key = scene.hostile.key().account_key();
    for _ in 0..20 {
        let time = Cell::Long(now() - 1);
        let none = || Cell::from(Vector::empty());
        let poison = Signed::sign(scene.hostile.key(), Cell::Long(7));
        let poisoned = Cell::from(Vector::from_iter([Cell::from(poison)]));
        let orders = [
            record([time.clone(), points(&[0, 0]), none()]),
            record([time.clone(), points(&[9, 7, 5, 3]), none()]),
            record([Cell::Nil, points(&[0; 4]), none()]),
            record([time.clone(), points(&[0; 4]), Cell::Nil]),
            record([time, points(&[1, 0, 0, 0]), poisoned]),
            Cell::Nil,
        ];
        for order in orders {
            let own = Signed::sign(scene.hostile.key(), order);
            let belief = scene.belief(own);
            scene.tell(&belief);
        }
        let own = Cell::from(Blob::new(key.as_bytes()));
        let nil = belief_of(&[(own, Cell::Nil)]);
        scene.tell(&nil);
        let bare = Cell::from(Record::of_kind(RecordKind::Belief, [Cell::Nil]));
        scene.each(|_, line| line.say(&bare.encode()));
    }
}

fn belief_of(entries: &[(Cell, Cell)]) -> Belief {
    let with = |index: cells::Index, (key, value): &(Cell, Cell)| {
        let index = index.assoc(key.clone(), value.clone());
        index.expect("in memory").expect("a key")
    };
    Belief::new(entries.iter().fold(cells::Index::empty(), with))
}

/// Orders of sixty thousand that nobody knows: ten megabytes, which take many times as much when they are decoded.
fn giants(scene: &mut Scene) {
    let order = record([
        Cell::Long(now() - 1),
        points(&[0; 4]),
        Cell::from(Vector::empty()),
    ]);
    let stranger = |i: u32| {
        let key = Hash::of(&i.to_be_bytes()).0;
        let signed = Signed::new(AccountKey::new(key), Signature::new([3; 64]), order.clone());
        (Cell::from(Blob::new(&key)), Cell::from(signed))
    };
    let entries: Vec<(Cell, Cell)> = (0..60_000).map(stranger).collect();
    let belief = belief_of(&entries);
    let message = cells::encode_delta(&cells::novelty(&belief.to_cell(), |_| false));
    assert!(
        (8 << 20..16 << 20).contains(&message.len()),
        "{}",
        message.len()
    );
    for _ in 0..4 {
        scene.each(|_, line| line.say(&message));
    }
    // One that is longer than any may be.
    let mut longer = message;
    longer.resize(17 << 20, 0);
    scene.each(|_, line| {
        line.say(&longer);
        false
    });
}

fn futures(scene: &mut Scene) {
    let mut order = scene.chain();
    for round in 0..50 {
        order.timestamp = now() + HOUR + round;
        let own = scene.hostile.order(&order);
        let belief = scene.belief(own);
        scene.tell(&belief);
    }
}

/// Blocks whose data have no end; the others ask for more and more.
fn endless(scene: &mut Scene) {
    let before = scene.hostile.served();
    for _ in 0..10 {
        let time = now();
        let block = scene.hostile.endless(time - 1);
        let mut order = scene.chain().append(&[block]).expect("in memory");
        order.timestamp = time - 1;
        let own = scene.hostile.order(&order);
        let belief = scene.belief(own);
        scene.tell(&belief);
    }
    let hostile = &scene.hostile;
    scene.network.wait("the liar to be asked", |_| {
        (hostile.served() > before + 100).then_some(())
    });
}

/// As many good beliefs as the connections take.
fn flood(scene: &mut Scene) {
    let order = scene.chain();
    let own = scene.hostile.order(&order);
    let belief = scene.belief(own);
    let message = cells::encode_delta(&cells::novelty(&belief.to_cell(), |_| false));
    for _ in 0..20_000 {
        scene.each(|_, line| line.say(&message));
    }
}

/// Hosts that have no stake, as many as there is place for.
fn sybils(scene: &mut Scene) {
    let order = record([
        Cell::Long(now() - 1),
        points(&[0; 4]),
        Cell::from(Vector::empty()),
    ]);
    let keys = (0..100).map(|i: u8| SigningKey::from_seed(&[i; 32]));
    let mut lines = Vec::new();
    for key in keys {
        let own = Signed::sign(&key, order.clone());
        let belief = Belief::empty().with_order(&key.account_key(), own);
        let belief = belief.expect("in memory");
        for peer in 0..LIAR {
            let mut line = scene.hostile.dial(&scene.network.endpoint(peer));
            for _ in 0..10 {
                line.believe(&belief);
            }
            lines.push(line);
        }
    }
    let others = &scene.network;
    let told = |peer| others.counter(peer, Role::Consensusd, "orders_stranger") > 60_000 + 20;
    scene.network.wait("strangers to be counted", |_| {
        (0..LIAR).all(told).then_some(())
    });
}

#[test]
fn a_quarter_of_the_stake_that_lies_holds_up_nobody_and_takes_no_memory() {
    let began = Instant::now();
    let mut scene = Scene::start();
    scene.goes_on("at first");
    type Attack = (&'static str, fn(&mut Scene), Role, &'static str);
    let attacks: [Attack; 8] = [
        (
            "forged signatures",
            forgeries,
            Role::Consensusd,
            "orders_forged",
        ),
        ("forked orders", forks, Role::Consensusd, "orders_accepted"),
        (
            "malformed orders",
            malformed,
            Role::Consensusd,
            "orders_malformed",
        ),
        (
            "orders of the future",
            futures,
            Role::Consensusd,
            "orders_future",
        ),
        (
            "data without end",
            endless,
            Role::Consensusd,
            "orders_incomplete",
        ),
        ("giant beliefs", giants, Role::Netd, "closed_frame_too_long"),
        (
            "a flood of beliefs",
            flood,
            Role::Netd,
            "beliefs_beyond_rate",
        ),
        (
            "hosts without stake",
            sybils,
            Role::Consensusd,
            "orders_stranger",
        ),
    ];
    for (what, attack, role, counter) in attacks {
        let before = scene.count(role, counter);
        attack(&mut scene);
        scene.goes_on(what);
        let counted = scene.count(role, counter);
        assert!(counted > before, "{what}: {counter} is {counted}");
        assert!(scene.memory() < MEMORY, "{what}: {} MiB", scene.memory());
    }
    assert!(scene.consensus("connections_misused") > 0);
    for peer in 0..LIAR {
        let log = fs::read_to_string(scene.network.directory(peer).join("log")).expect("a log");
        let told = log
            .lines()
            .any(|line| line.contains("sends orders with wrong signatures"));
        assert!(told, "{log}");
        for (restarts, role) in scene.network.restarts(peer) {
            assert_eq!(restarts, 0, "{role:?} of peer {peer} ended\n{log}");
        }
    }
    // All of the others have the same blocks and the same state.
    let (agreed, _) = scene.network.agree(4 + 9 * 3);
    println!("{} blocks, {:?}", agreed.executed, began.elapsed());
}
