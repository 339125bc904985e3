//! The signer against an independent model, through sequences of requests, crashes and restored backups.

mod support;

use cells::{Cell, Hash, Signed};
use proptest::prelude::*;
use signing::{
    AHEAD, Decision, Refusal, Request, Signer, block_request, challenge, order_request, recognise,
};
use support::{T0, at, block, identity, key, no_rates, order, transaction};

/// Which time a request has.
#[derive(Debug, Clone, Copy)]
enum Time {
    /// That of the last order or block of this run.
    Last,
    /// Milliseconds beyond the clock.
    Clock(i64),
    /// Milliseconds beyond what the clock allows.
    Limit(i64),
    /// Milliseconds beyond the floor of this run.
    Floor(i64),
}

/// What a request makes of the chain that was signed last.
#[derive(Debug, Clone, Copy)]
enum Chain {
    Same,
    Append(u32),
    Cut(u32),
    ChangeAt(u32),
    ChangeAndAppend(u32),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Order(Time, Chain, [u8; 3]),
    Block(Time),
    /// The clock goes on.
    Wait(i64),
    /// The process ends and starts again. With `true`, a ceiling being written got to the disk.
    Crash(bool),
    /// The clock is set back. Not together with backups: nothing can help against both.
    SetBack(i64),
    /// The journal is copied.
    Backup,
    /// The process ends, the copy is put in place of the journal, and it starts again.
    Restore,
}

/// The rules in plain numbers, written without looking at the signer.
struct Model {
    floor: i64,
    order: Option<(i64, [i64; 4], Vec<u32>)>,
    block: Option<i64>,
}

impl Model {
    fn started(journal: Option<i64>, clock: i64) -> Self {
        let by_clock = clock + 1_000;
        Self {
            floor: journal.unwrap_or(by_clock).max(by_clock),
            order: None,
            block: None,
        }
    }

    fn allows_time(&self, time: i64, clock: i64) -> bool {
        self.floor < time && time - clock <= 1_000
    }

    fn allows_order(&self, time: i64, points: [i64; 4], chain: &[u32], clock: i64) -> bool {
        let falling = (0..3).all(|i| points[i] >= points[i + 1]) && points[3] >= 0;
        let shaped = falling && points[0] == chain.len() as i64;
        let next = match &self.order {
            None => true,
            Some((last, ..)) if time != *last => time > *last,
            Some((_, before, old)) => {
                let grown = chain.len() >= old.len() && chain[..old.len()] == old[..];
                grown && points[1..] == before[1..]
            }
        };
        shaped && next && self.allows_time(time, clock)
    }
}

/// Everything ever signed, by all runs.
#[derive(Default)]
struct History {
    orders: Vec<(i64, [i64; 4], Vec<u32>)>,
    /// Run and time.
    blocks: Vec<(u32, i64)>,
}

impl History {
    /// No two different orders of one time, but for blocks appended; block times never fall, and no time is used by two runs.
    fn check(&self) {
        for (i, (time, points, chain)) in self.orders.iter().enumerate() {
            for (other_time, other_points, other) in &self.orders[..i] {
                if time == other_time {
                    assert!(chain.starts_with(other), "two chains at {time}");
                    assert_eq!(
                        points[1..],
                        other_points[1..],
                        "two sets of points at {time}"
                    );
                }
            }
        }
        for pair in self.blocks.windows(2) {
            let ((run, time), (next_run, next)) = (pair[0], pair[1]);
            assert!(
                next > time || (next == time && run == next_run),
                "blocks {pair:?}"
            );
        }
    }
}

struct World {
    signer: Signer,
    model: Model,
    clock: i64,
    disk: Option<i64>,
    backup: Option<i64>,
    in_flight: Option<i64>,
    run: u32,
    last: (i64, Vec<u32>),
    fresh: u32,
    history: History,
}

impl World {
    fn new() -> Self {
        Self {
            signer: Signer::new(identity(), None, no_rates(), at(T0)),
            model: Model::started(None, T0),
            clock: T0,
            disk: None,
            backup: None,
            in_flight: None,
            run: 0,
            last: (T0, Vec::new()),
            fresh: 0,
            history: History::default(),
        }
    }

    fn restart(&mut self) {
        self.run += 1;
        self.in_flight = None;
        self.signer = Signer::new(identity(), self.disk, no_rates(), at(self.clock));
        self.model = Model::started(self.disk, self.clock);
    }

    fn time(&self, time: Time) -> i64 {
        match time {
            Time::Last => self.last.0,
            Time::Clock(ms) => self.clock + ms,
            Time::Limit(ms) => self.clock + AHEAD + ms,
            Time::Floor(ms) => self.model.floor + ms,
        }
    }

    fn new_block(&mut self) -> u32 {
        self.fresh += 1;
        self.fresh
    }

    fn chain(&mut self, chain: Chain) -> Vec<u32> {
        let mut blocks = self.last.1.clone();
        match chain {
            Chain::Same => {}
            Chain::Append(n) => (0..n).for_each(|_| {
                let block = self.new_block();
                blocks.push(block);
            }),
            Chain::Cut(n) => blocks.truncate(blocks.len().saturating_sub(n as usize)),
            Chain::ChangeAt(i) | Chain::ChangeAndAppend(i) => {
                let block = self.new_block();
                if !blocks.is_empty() {
                    let i = i as usize % blocks.len();
                    blocks[i] = block;
                }
            }
        }
        if matches!(chain, Chain::ChangeAndAppend(_)) {
            let block = self.new_block();
            blocks.push(block);
        }
        blocks
    }

    /// Asks until it is signed or refused, syncing the journal when told to.
    fn ask(&mut self, request: &[u8]) -> bool {
        for _ in 0..2 {
            match self.signer.submit(request, [0; 32], at(self.clock)) {
                Decision::Sign(_) => return true,
                Decision::Refuse(reason) => {
                    assert_ne!(reason, Refusal::Malformed);
                    return false;
                }
                Decision::Record(ceiling) => {
                    assert!(ceiling <= self.clock + 1_000, "ceiling too far ahead");
                    assert!(
                        self.disk.is_none_or(|disk| ceiling >= disk),
                        "ceiling falls"
                    );
                    self.disk = Some(ceiling);
                    self.signer.recorded(ceiling);
                }
            }
        }
        panic!("the journal is never enough");
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(ms) => self.clock += ms,
            Step::SetBack(ms) => self.clock -= ms,
            Step::Backup => self.backup = self.disk,
            Step::Restore => {
                self.disk = self.backup;
                self.restart();
            }
            Step::Crash(written) => {
                // A write that was under way when the process died, of a ceiling nobody has used.
                self.in_flight = self.signer.extension(at(self.clock));
                if let (true, Some(ceiling)) = (written, self.in_flight) {
                    self.disk = self.disk.max(Some(ceiling));
                }
                self.restart();
            }
            Step::Block(time) => {
                let time = self.time(time);
                let id = self.new_block();
                let request = block_request(&block(time, [transaction(id, 0)])).unwrap();
                let expected = self.model.allows_time(time, self.clock)
                    && self.model.block.is_none_or(|last| time >= last);
                assert_eq!(self.ask(&request), expected, "block of {time}");
                if expected {
                    self.model.block = Some(time);
                    self.last.0 = time;
                    self.history.blocks.push((self.run, time));
                }
            }
            Step::Order(time, chain, below) => {
                let time = self.time(time);
                let from = self.last.1.len() as u64;
                let chain = self.chain(chain);
                let mut points = [chain.len() as i64, 0, 0, 0];
                for i in 0..3 {
                    // Mostly legal, sometimes above the level below.
                    points[i + 1] = (points[i] + 1 - i64::from(below[i])).max(0);
                }
                let order = order(time, &points, &chain);
                let request = order_request(&order, from).unwrap();
                let expected = self.model.allows_order(time, points, &chain, self.clock);
                assert_eq!(
                    self.ask(&request),
                    expected,
                    "order of {time}: {points:?} {chain:?}"
                );
                if expected {
                    self.model.order = Some((time, points, chain.clone()));
                    self.last = (time, chain.clone());
                    self.history.orders.push((time, points, chain));
                }
            }
        }
    }
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        3 => Just(Time::Last),
        3 => (-3i64..4).prop_map(Time::Clock),
        2 => (-2i64..3).prop_map(Time::Limit),
        2 => (-1i64..3).prop_map(Time::Floor),
    ]
}

fn chain() -> impl Strategy<Value = Chain> {
    prop_oneof![
        1 => Just(Chain::Same),
        4 => (1u32..40).prop_map(Chain::Append),
        1 => (0u32..20).prop_map(Chain::Cut),
        1 => any::<u32>().prop_map(Chain::ChangeAt),
        1 => any::<u32>().prop_map(Chain::ChangeAndAppend),
    ]
}

fn step(backups: bool) -> impl Strategy<Value = Step> {
    let points = prop_oneof![4 => Just([9; 3]), 1 => prop::array::uniform3(0u8..4)];
    let special = if backups {
        prop_oneof![Just(Step::Backup), Just(Step::Restore)].boxed()
    } else {
        (1i64..5_000).prop_map(Step::SetBack).boxed()
    };
    prop_oneof![
        6 => (time(), chain(), points).prop_map(|(t, c, p)| Step::Order(t, c, p)),
        3 => time().prop_map(Step::Block),
        4 => (0i64..1_500).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Crash),
        1 => special,
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    any::<bool>().prop_flat_map(|backups| prop::collection::vec(step(backups), 1..40))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_history_has_two_orders_of_one_time(steps in steps()) {
        let mut world = World::new();
        // Far enough from the start that something can be signed.
        world.clock += 1_001;
        for step in steps {
            world.step(step);
            world.history.check();
        }
    }

    #[test]
    fn recognition_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), tag in 0usize..5) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = [0xd7, 0xd6, 0x90, 0x31, *first][tag];
        }
        let _ = recognise(&bytes);
    }

    #[test]
    fn a_damaged_request_is_refused_or_stands_for_its_own_bytes(
        kind in 0u8..3,
        n in 1u32..60,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let chain: Vec<u32> = (0..n).collect();
        let whole = match kind {
            0 => order_request(&order(T0, &[i64::from(n), 0, 0, 0], &chain), 0).unwrap(),
            1 => {
                let extra = |id: u32| (id as usize * 37) % 200;
                let transactions = (0..n).map(|id| transaction(id, extra(id)));
                block_request(&block(T0, transactions)).unwrap()
            }
            _ => {
                let text = challenge::challenge(&Hash([5; 32]), None, &identity().network);
                Cell::from(Signed::sign(&key(), text)).encode()
            }
        };
        prop_assert!(recognise(&whole).is_ok());
        let mut request = whole.clone();
        for (at, byte) in damage {
            let at = at.index(request.len());
            request[at] = byte;
        }
        let top = match recognise(&request) {
            Ok(Request::Order(order)) => order.value().encode(),
            Ok(Request::Block(block)) => block.value().encode(),
            Ok(Request::Answer(received)) => {
                prop_assert!(request == whole || !received.is_genuine());
                received.encode()
            }
            Ok(Request::Challenge { .. }) | Err(_) => return Ok(()),
        };
        // What is signed is what was asked.
        prop_assert!(request.starts_with(&top));
    }
}
