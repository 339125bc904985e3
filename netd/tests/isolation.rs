//! Whom a peer that is cut off tries to reach: a policy without sockets and clock.

use std::collections::HashSet;

use netd::endpoint::Endpoint;
use netd::outgoing::{
    Candidate, Key, MAX_WAIT, MAX_WAIT_CUT_OFF, Outgoing, OutgoingConfig, Step, Unwanted,
};
use netd::remembered::{MOST, Remembered};

fn endpoint(i: u64) -> Endpoint {
    format!("10.0.{}.{}:18888", i / 250, i % 250)
        .parse()
        .unwrap()
}

fn key(i: u64) -> Key {
    let mut key = [1; 32];
    key[..8].copy_from_slice(&i.to_be_bytes());
    key
}

fn candidate(i: u64) -> Candidate {
    Candidate {
        endpoint: endpoint(i),
        key: key(i),
        stake: 10,
    }
}

fn config(target: usize, seeds: &[u64]) -> OutgoingConfig {
    OutgoingConfig {
        own: [0; 32],
        target,
        configured: seeds.iter().copied().map(endpoint).collect(),
        local: false,
    }
}

/// The policy, the time, and hosts of which some answer.
struct World {
    policy: Outgoing,
    now: u64,
    random: u64,
    next: u64,
    /// Numbers of the hosts that answer.
    there: HashSet<u64>,
    /// Attempts, by host.
    dialled: Vec<u64>,
    closed: Vec<Unwanted>,
    open: HashSet<(u64, u64)>,
}

impl World {
    fn new(target: usize, seeds: &[u64], there: impl IntoIterator<Item = u64>) -> Self {
        Self {
            policy: Outgoing::new(config(target, seeds), 0),
            now: 0,
            random: 7,
            next: 0,
            there: there.into_iter().collect(),
            dialled: Vec::new(),
            closed: Vec::new(),
            open: HashSet::new(),
        }
    }

    fn name(&mut self, hosts: impl IntoIterator<Item = u64>) {
        self.policy.set_candidates(hosts.into_iter().map(candidate));
    }

    fn draw(random: &mut u64) -> u64 {
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*random ^ *random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ z >> 31
    }

    fn cut_off(&mut self, cut_off: bool) {
        let random = &mut self.random;
        self.policy
            .set_cut_off(cut_off, self.now, || Self::draw(random));
    }

    /// Takes all steps of so many milliseconds; who answers proves its key.
    fn pass(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.now < until {
            self.now += 500;
            self.turn();
        }
    }

    fn turn(&mut self) {
        loop {
            let random = &mut self.random;
            let Some(step) = self.policy.step(self.now, || Self::draw(random)) else {
                return;
            };
            match step {
                Step::Dial {
                    endpoint: at,
                    key: expected,
                    ..
                } => {
                    self.next += 1;
                    let host = (0..10_000).find(|i| endpoint(*i) == at).unwrap();
                    self.dialled.push(host);
                    self.policy.dialled(self.next, at, expected);
                    if self.there.contains(&host) {
                        self.policy.established(self.next, self.now);
                        self.open.insert((self.next, host));
                        if let Some(why) = self.policy.proven(self.next, key(host)) {
                            self.close(self.next, why);
                        }
                    } else {
                        let random = Self::draw(&mut self.random);
                        self.policy.closed(self.next, self.now, random);
                    }
                }
                Step::Close(number, why) => self.close(number, why),
            }
        }
    }

    fn close(&mut self, number: u64, why: Unwanted) {
        self.closed.push(why);
        self.open.retain(|(open, _)| *open != number);
        let random = Self::draw(&mut self.random);
        self.policy.closed(number, self.now, random);
    }

    fn hosts(&self) -> HashSet<u64> {
        self.open.iter().map(|(_, host)| *host).collect()
    }
}

#[test]
fn who_is_away_is_tried_every_few_seconds_while_the_peer_is_cut_off() {
    let mut world = World::new(4, &[9], []);
    world.name([1, 2]);
    // Long enough for the longest waits.
    world.pass(600_000);
    world.dialled.clear();
    world.pass(600_000);
    let usual = world.dialled.iter().filter(|host| **host == 9).count() as u64;
    assert!(usual < 600_000 / MAX_WAIT * 2, "{usual}");
    world.cut_off(true);
    world.dialled.clear();
    world.pass(MAX_WAIT_CUT_OFF + 500);
    let soon: HashSet<u64> = world.dialled.iter().copied().collect();
    assert_eq!(
        soon,
        HashSet::from([1, 2, 9]),
        "nobody waits for an old failure"
    );
    world.dialled.clear();
    world.pass(60_000);
    let tried = |host| world.dialled.iter().filter(|h| **h == host).count() as u64;
    for host in [1, 2, 9] {
        let least = 60_000 / (MAX_WAIT_CUT_OFF * 3 / 2 + 500);
        assert!(
            (least..=30).contains(&tried(host)),
            "{host}: {}",
            tried(host)
        );
    }
}

#[test]
fn a_list_of_liars_does_not_keep_a_peer_among_themselves() {
    let mut world = World::new(4, &[], 0..2_000);
    world.name(1..5);
    world.pass(10_000);
    assert_eq!(world.hosts(), HashSet::from([1, 2, 3, 4]));
    // The state names others now; they are there, and lead nowhere.
    world.name(100..1_000);
    world.pass(60_000);
    assert!(world.hosts().iter().all(|host| *host >= 100));
    world.closed.clear();
    world.cut_off(true);
    world.pass(60_000);
    let remembered = world.hosts().iter().filter(|host| **host < 5).count();
    assert_eq!(remembered, 4, "{:?}", world.hosts());
    let turnover = world
        .closed
        .iter()
        .filter(|why| **why == Unwanted::Turnover);
    assert!(turnover.count() >= 8, "{:?}", world.closed);
    // Afterwards, things are as before.
    world.cut_off(false);
    world.pass(5_000);
    assert!(world.hosts().iter().all(|host| *host >= 100));
    assert_eq!(world.hosts().len(), 4);
}

#[test]
fn a_lower_target_closes_connections_and_a_higher_one_opens_some() {
    let mut world = World::new(8, &[], 0..100);
    world.name(1..51);
    world.pass(5_000);
    assert_eq!(world.hosts().len(), 8);
    for target in [3, 12, 1] {
        world.policy.configure(config(target, &[]));
        world.pass(5_000);
        assert_eq!(world.hosts().len(), target);
    }
    // Seeds of the operator stay, however many they are.
    world.policy.configure(config(1, &[60, 61, 62]));
    world.pass(5_000);
    assert!([60, 61, 62].iter().all(|seed| world.hosts().contains(seed)));
    world.pass(60_000);
    assert_eq!(world.hosts().len(), 3);
}

#[test]
fn remembered_are_those_that_proved_themselves_last_each_once() {
    let mut remembered = Remembered::default();
    for i in 0..1_000 {
        remembered.note(endpoint(i % 200), key(i % 200));
    }
    let found: Vec<Endpoint> = remembered.iter().map(|(at, _)| at.clone()).collect();
    let last: Vec<Endpoint> = (200 - MOST as u64..200).map(endpoint).collect();
    assert_eq!(found, last);
    // One that has moved, and another that has its place.
    remembered.note(endpoint(7), key(199));
    remembered.note(endpoint(198), key(8));
    assert_eq!(remembered.iter().count(), MOST);
    let last: Vec<_> = remembered.iter().skip(MOST - 2).cloned().collect();
    assert_eq!(last, [(endpoint(7), key(199)), (endpoint(198), key(8))]);
}
