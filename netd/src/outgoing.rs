//! Which other peers to be connected to (`spec/06 §9.5`): a policy without sockets, clock or chance of its own.
//!
//! Peers of the configuration come first, then peers of the state, drawn by stake. Who can't be reached is left alone for a while that
//! doubles up to [`MAX_WAIT`] and is never quite the same. The own peer is no candidate: not by its key, and not by a host that turned out
//! to be ourselves. Now and then, a connection to a peer of little stake makes place for another.
//!
//! While the peer is cut off ([`Outgoing::set_cut_off`]), what it is connected to does not lead to the others, whatever it is: nobody is left
//! alone for longer than [`MAX_WAIT_CUT_OFF`], connections make place more often and whatever their stake, and peers that proved who they are
//! before ([`crate::remembered`]) are tried as well, beyond the target.

use std::collections::{BTreeMap, HashMap, HashSet};

use ipc::net::Connection;

use crate::endpoint::{Endpoint, may_dial};
use crate::remembered::Remembered;

/// A peer key.
pub type Key = [u8; 32];

/// Longest wait before a host is tried again, milliseconds, give or take half of it. A network that was away is back in use soon
/// after it is there again.
pub const MAX_WAIT: u64 = 30_000;
/// The same while the peer is cut off.
pub const MAX_WAIT_CUT_OFF: u64 = 4_000;
/// Wait after the first failure, milliseconds.
const FIRST_WAIT: u64 = 500;
/// A connection that lasted so long, in milliseconds, was no failure.
const LASTED: u64 = 60_000;
/// Attempts at once.
const ATTEMPTS: usize = 8;
/// Time between two thoughts of giving up a connection for another, milliseconds.
const TURNOVER: u64 = 20_000;
/// The same while the peer is cut off.
const TURNOVER_CUT_OFF: u64 = 5_000;
/// Connections to remembered peers beyond the target, while the peer is cut off.
const SPARE: usize = 4;

/// Settings of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingConfig {
    /// Own key.
    pub own: Key,
    /// Connections to keep.
    pub target: usize,
    /// Peers that are wanted whatever the state says.
    pub configured: Vec<Endpoint>,
    /// The network of this peer is on this machine.
    pub local: bool,
}

/// A peer of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub endpoint: Endpoint,
    /// Who is expected there.
    pub key: Key,
    /// Its stake.
    pub stake: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Connect, and look the name up first if it is one; say so by [`Outgoing::dialled`] at once.
    Dial {
        /// Where.
        endpoint: Endpoint,
        /// Who is expected there.
        key: Option<Key>,
        /// How often it failed before.
        failures: u32,
    },
    /// Close a connection; then say so by [`Outgoing::closed`].
    Close(Connection, Unwanted),
}

/// Why a connection is not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unwanted {
    /// Its peer is not in the state any more.
    #[error("the peer has left the network")]
    Left,
    /// There are more than are wanted.
    #[error("there are more connections than wanted")]
    Surplus,
    /// It makes place for another.
    #[error("another peer has its turn")]
    Turnover,
    /// The key that it proved is another than the state says.
    #[error("another peer than expected answers there")]
    OtherKey,
    /// It leads to this peer itself.
    #[error("this peer itself answers there")]
    Myself,
    /// There is a connection to this peer already.
    #[error("the peer is connected already")]
    Twice,
}

#[derive(Debug, Clone)]
struct Open {
    endpoint: Endpoint,
    key: Option<Key>,
    configured: bool,
    /// When it was established; `None` while it is being dialled.
    since: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Past {
    failures: u32,
    not_before: u64,
}

/// The policy. Times are milliseconds of a clock that does not step; `random` is any number, each time another.
#[derive(Debug, Clone)]
pub struct Outgoing {
    config: OutgoingConfig,
    candidates: Vec<Candidate>,
    past: HashMap<Endpoint, Past>,
    /// Hosts where this peer itself answers.
    own: HashSet<Endpoint>,
    open: BTreeMap<Connection, Open>,
    next_turnover: u64,
    remembered: Remembered,
    cut_off: bool,
}

impl Outgoing {
    /// Nothing open, nothing known of the state.
    #[must_use]
    pub fn new(config: OutgoingConfig, now: u64) -> Self {
        Self {
            config,
            candidates: Vec::new(),
            past: HashMap::new(),
            own: HashSet::new(),
            open: BTreeMap::new(),
            next_turnover: now + TURNOVER,
            remembered: Remembered::default(),
            cut_off: false,
        }
    }

    /// Whether consensus is out of reach.
    pub fn set_cut_off(&mut self, cut_off: bool, now: u64, mut random: impl FnMut() -> u64) {
        if cut_off && !self.cut_off {
            for past in self.past.values_mut() {
                let soon = now + random() % MAX_WAIT_CUT_OFF;
                past.not_before = past.not_before.min(soon);
            }
            self.next_turnover = self.next_turnover.min(now + TURNOVER_CUT_OFF);
        }
        self.cut_off = cut_off;
    }

    /// Other settings.
    pub fn configure(&mut self, config: OutgoingConfig) {
        for open in self.open.values_mut() {
            open.configured = config.configured.contains(&open.endpoint);
        }
        self.config = config;
        self.own.clear();
        self.forget();
    }

    /// The peers of the state; replaces the former ones. What can't be dialled is left out.
    pub fn set_candidates(&mut self, candidates: impl IntoIterator<Item = Candidate>) {
        let local = self.config.local;
        let own = self.config.own;
        let may = |endpoint: &Endpoint| match endpoint.addresses() {
            Some(addresses) => addresses.iter().any(|a| may_dial(a.ip(), local)),
            // Looked at again when the name is resolved.
            None => true,
        };
        self.candidates = candidates
            .into_iter()
            .filter(|c| c.key != own && c.stake > 0 && may(&c.endpoint))
            .collect();
        self.forget();
    }

    /// Drops what is remembered of hosts that nobody names any more: the state can name any number of them.
    fn forget(&mut self) {
        let named: HashSet<&Endpoint> = self
            .candidates
            .iter()
            .map(|c| &c.endpoint)
            .chain(&self.config.configured)
            .chain(self.remembered.iter().map(|(endpoint, _)| endpoint))
            .collect();
        self.past.retain(|endpoint, _| named.contains(endpoint));
        self.own.retain(|endpoint| named.contains(endpoint));
    }

    /// What to do now; to be asked again until there is nothing.
    pub fn step(&mut self, now: u64, mut random: impl FnMut() -> u64) -> Option<Step> {
        if let Some(step) = self.close_who_left().or_else(|| self.close_surplus()) {
            return Some(step);
        }
        let dialling = self.open.values().filter(|o| o.since.is_none()).count();
        if dialling < ATTEMPTS {
            if let Some(endpoint) = self.configured_to_dial(now) {
                let failures = self.past(&endpoint).failures;
                let key = self.candidates.iter().find(|c| c.endpoint == endpoint);
                return Some(Step::Dial {
                    key: key.map(|c| c.key),
                    endpoint,
                    failures,
                });
            }
            let wanted = match self.open.len() {
                open if open < self.config.target => self.draw(now, random()),
                _ => None,
            };
            let wanted = wanted.map(|c| (c.endpoint, c.key));
            if let Some((endpoint, key)) = wanted.or_else(|| self.recall(now, random())) {
                return Some(Step::Dial {
                    failures: self.past(&endpoint).failures,
                    endpoint,
                    key: Some(key),
                });
            }
        }
        self.turn_over(now, random)
    }

    /// A remembered peer that is not connected, while the peer is cut off.
    fn recall(&self, now: u64, random: u64) -> Option<(Endpoint, Key)> {
        if !self.cut_off || self.open.len() >= self.config.target + SPARE {
            return None;
        }
        let open = |key: &Key| self.open.values().any(|o| o.key == Some(*key));
        let due = |(endpoint, key): &&(Endpoint, Key)| !open(key) && self.is_due(endpoint, now);
        let due: Vec<_> = self.remembered.iter().filter(due).collect();
        let place = (random % due.len().max(1) as u64) as usize;
        due.get(place).map(|found| (*found).clone())
    }

    /// One connection beyond the target, that of the least stake: after a target that was lowered, or after the peer was cut off.
    fn close_surplus(&self) -> Option<Step> {
        if self.cut_off || self.open.len() <= self.config.target {
            return None;
        }
        let stake = |open: &Open| {
            let of = |key: Key| self.candidates.iter().find(|c| c.key == key);
            open.key.and_then(of).map_or(0, |c| c.stake)
        };
        let established = self
            .open
            .iter()
            .filter(|(_, o)| !o.configured && o.since.is_some());
        let (number, _) = established.min_by_key(|(_, open)| stake(open))?;
        Some(Step::Close(*number, Unwanted::Surplus))
    }

    fn past(&self, endpoint: &Endpoint) -> Past {
        self.past.get(endpoint).copied().unwrap_or_default()
    }

    fn close_who_left(&self) -> Option<Step> {
        // An empty list means that consensus has not spoken yet; that of a peer that is cut off may be out of date.
        if self.candidates.is_empty() || self.cut_off {
            return None;
        }
        let left = |open: &Open| {
            let known = |key: &Key| self.candidates.iter().any(|c| c.key == *key);
            !open.configured && open.key.is_some_and(|key| !known(&key))
        };
        let (number, _) = self.open.iter().find(|(_, open)| left(open))?;
        Some(Step::Close(*number, Unwanted::Left))
    }

    fn is_due(&self, endpoint: &Endpoint, now: u64) -> bool {
        self.past(endpoint).not_before <= now
            && !self.own.contains(endpoint)
            && !self.open.values().any(|open| open.endpoint == *endpoint)
    }

    fn configured_to_dial(&self, now: u64) -> Option<Endpoint> {
        let due = |endpoint: &&Endpoint| self.is_due(endpoint, now);
        self.config.configured.iter().find(due).cloned()
    }

    /// A peer of the state that is not connected, by stake.
    fn draw(&self, now: u64, random: u64) -> Option<Candidate> {
        let open_keys: HashSet<Key> = self.open.values().filter_map(|o| o.key).collect();
        let due: Vec<&Candidate> = self
            .candidates
            .iter()
            .filter(|c| !open_keys.contains(&c.key) && self.is_due(&c.endpoint, now))
            .collect();
        let total: u128 = due.iter().map(|c| u128::from(c.stake)).sum();
        let mut place = (u128::from(random) * total) >> 64;
        let drawn = due.into_iter().find(|c| {
            let stake = u128::from(c.stake);
            let found = place < stake;
            place = place.saturating_sub(stake);
            found
        });
        drawn.cloned()
    }

    /// Gives up one connection for another, the rarer the larger the stake of its peer is.
    fn turn_over(&mut self, now: u64, mut random: impl FnMut() -> u64) -> Option<Step> {
        if now < self.next_turnover || self.open.len() < self.config.target {
            return None;
        }
        self.next_turnover = now
            + match self.cut_off {
                true => TURNOVER_CUT_OFF,
                false => TURNOVER,
            };
        let replaceable: Vec<(Connection, Key)> = self
            .open
            .iter()
            .filter(|(_, open)| !open.configured && open.since.is_some())
            .filter_map(|(number, open)| Some((*number, open.key?)))
            .collect();
        let place = (random() % (replaceable.len().max(1) as u64)) as usize;
        let (number, key) = *replaceable.get(place)?;
        // Nobody to replace it by: then it stays.
        self.draw(now, random())?;
        if self.cut_off {
            // None of them leads to the others, be its stake what it may.
            return Some(Step::Close(number, Unwanted::Turnover));
        }
        let stake = |key: &Key| {
            self.candidates
                .iter()
                .find(|c| c.key == *key)
                .map(|c| c.stake)
        };
        let total: u128 = self.candidates.iter().map(|c| u128::from(c.stake)).sum();
        let keep = u128::from(stake(&key)?) * self.config.target as u128;
        let thrown = (u128::from(random()) * total) >> 64;
        (thrown >= keep).then_some(Step::Close(number, Unwanted::Turnover))
    }

    /// A connection to this host is being made.
    pub fn dialled(&mut self, number: Connection, endpoint: Endpoint, key: Option<Key>) {
        let configured = self.config.configured.contains(&endpoint);
        let open = Open {
            endpoint,
            key,
            configured,
            since: None,
        };
        self.open.insert(number, open);
    }

    /// It is established.
    pub fn established(&mut self, number: Connection, now: u64) {
        if let Some(open) = self.open.get_mut(&number) {
            open.since = Some(now);
        }
    }

    /// The peer at the other end has proven its key. `Some` when it is not wanted.
    pub fn proven(&mut self, number: Connection, key: Key) -> Option<Unwanted> {
        let twice = self
            .open
            .iter()
            .any(|(other, open)| *other != number && open.key == Some(key) && open.since.is_some());
        let open = self.open.get_mut(&number)?;
        if key == self.config.own {
            self.own.insert(open.endpoint.clone());
            return Some(Unwanted::Myself);
        }
        if open.key.is_some_and(|expected| expected != key) && !open.configured {
            return Some(Unwanted::OtherKey);
        }
        open.key = Some(key);
        if self.candidates.iter().any(|c| c.key == key) {
            self.remembered.note(open.endpoint.clone(), key);
        }
        twice.then_some(Unwanted::Twice)
    }

    /// A connection is closed, or was not established.
    pub fn closed(&mut self, number: Connection, now: u64, random: u64) {
        if let Some(open) = self.open.remove(&number) {
            if open
                .since
                .is_some_and(|since| now.saturating_sub(since) >= LASTED)
            {
                self.past.remove(&open.endpoint);
            }
            self.wait(open.endpoint, now, random);
        }
    }

    fn wait(&mut self, endpoint: Endpoint, now: u64, random: u64) {
        let past = self.past.entry(endpoint).or_default();
        let doubled = FIRST_WAIT << past.failures.min(16);
        let most = match self.cut_off {
            true => MAX_WAIT_CUT_OFF,
            false => MAX_WAIT,
        };
        let wait = doubled.min(most);
        past.failures = past.failures.saturating_add(1);
        past.not_before = now + wait / 2 + random % wait;
    }

    /// Hosts of others that are known, and how many connections are wanted.
    #[must_use]
    pub fn reach(&self) -> (usize, usize) {
        let candidates = self.candidates.iter().map(|c| &c.endpoint);
        let named: HashSet<&Endpoint> = candidates
            .chain(&self.config.configured)
            .filter(|endpoint| !self.own.contains(*endpoint))
            .collect();
        (named.len(), self.config.target)
    }

    /// Connections that are established.
    #[must_use]
    pub fn established_count(&self) -> usize {
        self.open.values().filter(|o| o.since.is_some()).count()
    }

    /// Whether a host comes from the configuration.
    #[must_use]
    pub fn is_configured(&self, endpoint: &Endpoint) -> bool {
        self.config.configured.contains(endpoint)
    }

    /// Whether an address of a host may be connected to.
    #[must_use]
    pub fn may_dial(&self, endpoint: &Endpoint, address: std::net::IpAddr) -> bool {
        self.is_configured(endpoint) || may_dial(address, self.config.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Key = [0; 32];

    fn endpoint(i: u64) -> Endpoint {
        format!("10.0.{}.{}:18888", i / 250, i % 250)
            .parse()
            .unwrap()
    }

    fn candidate(i: u64, stake: u64) -> Candidate {
        let mut key = [1; 32];
        key[..8].copy_from_slice(&i.to_be_bytes());
        Candidate {
            endpoint: endpoint(i),
            key,
            stake,
        }
    }

    fn policy(target: usize, configured: &[u64]) -> Outgoing {
        let config = OutgoingConfig {
            own: OWN,
            target,
            configured: configured.iter().copied().map(endpoint).collect(),
            local: false,
        };
        Outgoing::new(config, 0)
    }

    /// A generator that is good enough to be fair.
    fn chance(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        }
    }

    /// Takes all steps there are; connections succeed where `works` says so.
    fn run(
        policy: &mut Outgoing,
        now: u64,
        next: &mut Connection,
        random: &mut impl FnMut() -> u64,
        works: impl Fn(&Endpoint) -> bool,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(step) = policy.step(now, &mut *random) {
            match &step {
                Step::Dial { endpoint, key, .. } => {
                    *next += 1;
                    policy.dialled(*next, endpoint.clone(), *key);
                    if works(endpoint) {
                        policy.established(*next, now);
                    } else {
                        policy.closed(*next, now, random());
                    }
                }
                Step::Close(number, _) => policy.closed(*number, now, random()),
            }
            steps.push(step);
            assert!(steps.len() < 1000);
        }
        steps
    }

    #[test]
    fn configured_peers_come_first_and_the_target_is_kept() {
        let mut policy = policy(4, &[100, 101]);
        let mut random = chance(1);
        let steps = run(&mut policy, 0, &mut 0, &mut random, |_| true);
        assert_eq!(steps.len(), 2, "no candidates yet");
        policy.set_candidates((1..50).map(|i| candidate(i, 10)));
        let steps = run(&mut policy, 1, &mut 10, &mut random, |_| true);
        assert_eq!(steps.len(), 2);
        assert_eq!(policy.established_count(), 4);
        policy.closed(1, 10_000, 0);
        assert_eq!(
            run(&mut policy, 10_001, &mut 20, &mut random, |_| true).len(),
            1
        );
    }

    #[test]
    fn the_own_peer_is_no_candidate_by_key_and_by_answer() {
        let mut policy = policy(4, &[7]);
        policy.set_candidates([Candidate {
            key: OWN,
            ..candidate(1, 10)
        }]);
        let mut random = chance(2);
        let steps = run(&mut policy, 0, &mut 0, &mut random, |_| true);
        assert_eq!(steps.len(), 1);
        assert_eq!(policy.proven(1, OWN), Some(Unwanted::Myself));
        policy.closed(1, 100, 0);
        for now in [1_000, 100_000, 1_000_000] {
            assert_eq!(run(&mut policy, now, &mut 5, &mut random, |_| true), []);
        }
    }

    #[test]
    fn waits_double_up_to_half_a_minute_and_are_never_quite_the_same() {
        let mut policy = policy(1, &[1]);
        let mut random = chance(3);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..40 {
            assert_eq!(
                run(&mut policy, now, &mut 0, &mut random, |_| false).len(),
                1
            );
            let next = policy.past(&endpoint(1)).not_before;
            waits.push(next - now);
            assert_eq!(
                run(&mut policy, next - 1, &mut 0, &mut random, |_| false),
                []
            );
            now = next;
        }
        assert!(waits[0] < 1_000 && waits.iter().all(|w| *w < MAX_WAIT * 3 / 2));
        let last: HashSet<u64> = waits[10..].iter().copied().collect();
        assert!(last.len() > 20 && last.iter().all(|w| *w >= MAX_WAIT / 2));
        // One that lasted starts afresh.
        policy.dialled(99, endpoint(1), None);
        policy.established(99, now);
        policy.closed(99, now + LASTED, 0);
        assert_eq!(policy.past(&endpoint(1)).failures, 1);
    }

    #[test]
    fn peers_are_drawn_by_stake() {
        let mut heavy = 0;
        for seed in 0..1000 {
            let mut policy = policy(1, &[]);
            policy.set_candidates([candidate(1, 900), candidate(2, 100), candidate(3, 0)]);
            let steps = run(&mut policy, 0, &mut 0, &mut chance(seed), |_| true);
            let [
                Step::Dial {
                    endpoint: drawn, ..
                },
            ] = &steps[..]
            else {
                panic!("{steps:?}");
            };
            assert_ne!(*drawn, endpoint(3));
            heavy += u32::from(*drawn == endpoint(1));
        }
        assert!((850..950).contains(&heavy), "{heavy}");
    }

    /// A thousand hosts that an attacker pays the least for, among twenty of others.
    #[test]
    fn hosts_of_little_stake_get_the_connections_that_it_buys() {
        let mut honest = 0;
        for seed in 0..50 {
            let mut policy = policy(10, &[]);
            let cheap = (100..1_100).map(|i| candidate(i, 1));
            policy.set_candidates((1..21).map(|i| candidate(i, 1_000)).chain(cheap));
            run(&mut policy, 0, &mut 0, &mut chance(seed), |_| true);
            assert_eq!(policy.established_count(), 10);
            let large: Vec<Endpoint> = (1..21).map(endpoint).collect();
            let open = policy.open.values();
            honest += open.filter(|open| large.contains(&open.endpoint)).count();
        }
        // 1 in 21 of the stake, more of what is left after each draw.
        assert!(honest > 50 * 10 * 85 / 100, "{honest}");
    }

    #[test]
    fn wrong_double_and_departed_peers_are_not_kept() {
        let mut policy = policy(3, &[]);
        let mut random = chance(5);
        policy.set_candidates((1..4).map(|i| candidate(i, 10)));
        run(&mut policy, 0, &mut 0, &mut random, |_| true);
        let key_of = |policy: &Outgoing, n: u64| policy.open[&n].key.unwrap();
        let (one, two) = (key_of(&policy, 1), key_of(&policy, 2));
        assert_eq!(policy.proven(1, one), None);
        assert_eq!(policy.proven(1, two), Some(Unwanted::OtherKey));
        assert_eq!(policy.proven(1, [9; 32]), Some(Unwanted::OtherKey));
        policy.dialled(50, endpoint(200), None);
        policy.established(50, 0);
        assert_eq!(policy.proven(50, one), Some(Unwanted::Twice));
        policy.closed(50, 1, 0);
        let others = policy.candidates.iter().filter(|c| c.key != two);
        let others: Vec<Candidate> = others.cloned().collect();
        policy.set_candidates(others);
        let left = policy.step(2, &mut random);
        assert_eq!(left, Some(Step::Close(2, Unwanted::Left)));
    }

    #[test]
    fn small_peers_have_their_turn_and_large_ones_stay() {
        let mut policy = policy(5, &[]);
        let mut random = chance(6);
        // One peer has half of all stake.
        let others = (2..102).map(|i| candidate(i, 10));
        policy.set_candidates([candidate(1, 1_000)].into_iter().chain(others));
        let mut next = 0;
        run(&mut policy, 0, &mut next, &mut random, |_| true);
        let mut seen = HashSet::new();
        let mut closed = 0;
        for round in 1..400 {
            let steps = run(
                &mut policy,
                round * TURNOVER,
                &mut next,
                &mut random,
                |_| true,
            );
            closed += steps
                .iter()
                .filter(|s| matches!(s, Step::Close(..)))
                .count();
            seen.extend(policy.open.values().map(|o| o.endpoint.clone()));
            assert_eq!(policy.established_count(), 5);
        }
        assert!(closed > 200, "{closed}");
        assert!(seen.len() > 80, "{}", seen.len());
        assert!(policy.open.values().any(|o| o.endpoint == endpoint(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded_by_what_is_named() {
        let mut policy = policy(2, &[]);
        let mut random = chance(7);
        for round in 0..20 {
            policy.set_candidates((round * 100..round * 100 + 100).map(|i| candidate(i, 10)));
            run(&mut policy, round * 1_000_000, &mut 0, &mut random, |_| {
                false
            });
            assert!(policy.past.len() <= 100);
        }
    }

    #[test]
    fn hosts_of_strangers_that_may_not_be_dialled_are_left_out() {
        let mut policy = policy(5, &[]);
        let strange = [
            "127.0.0.1:1",
            "[::1]:1",
            "0.0.0.0:1",
            "169.254.1.1:1",
            "localhost:1",
        ];
        policy.set_candidates(strange.iter().zip(1..).map(|(text, i)| Candidate {
            endpoint: text.parse().unwrap(),
            ..candidate(i, 10)
        }));
        assert_eq!(policy.step(0, chance(8)), None);
    }
}
