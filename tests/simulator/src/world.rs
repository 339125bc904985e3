//! The world: events in the order of their times, and what each does to a peer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use cells::{Cell, CellError, Hash, Signed};
use consensus::{Answer, Belief, DropReason, Input, MIN_STAKE, OrderFault, Peer, ProgressError};
use crypto::{AccountKey, SigningKey};

use crate::config::{Config, IDLE, POLL, POLL_DELAY, QUEUE, REBROADCAST, START};
use crate::ledger::Ledger;
use crate::liar::Scene;
use crate::node::{Link, Message, Node, Role, roles};
use crate::report::{Report, Violation};
use crate::rng::Rng;
use crate::store::{Id, Store};
use crate::transaction;

/// Cells in the common store from which it is looked through for those that nobody needs.
const CROWDED: usize = 200_000;
/// For how long a peer waits for a status (`spec/05 §1.2`).
const PATIENCE: u64 = 2_000;
/// Hashes of one request for data.
const REQUEST: usize = 254;

enum Event {
    Wake(usize),
    Arrive(usize, Message),
    /// A question of the first for the belief of the second.
    Asked(usize, usize),
    Propose,
    Restart(usize),
}

struct Proposal {
    time: u64,
    /// Honest peers that executed it.
    executed: usize,
}

pub(crate) struct World<'a> {
    config: &'a Config,
    rng: Rng,
    now: u64,
    sequence: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// By number; what happened is gone.
    pending: HashMap<usize, Event>,
    nodes: Vec<Node>,
    keys: Vec<AccountKey>,
    store: Store,
    crowded: usize,
    ledger: Ledger,
    proposals: HashMap<Hash, Proposal>,
    report: Report,
}

fn seed(run: u64, peer: usize) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&run.to_be_bytes());
    seed[24..].copy_from_slice(&(peer as u64 + 1).to_be_bytes());
    seed
}

/// Whom a peer connects to: drawn by stake (`spec/05 §17.3`).
fn choose(mut others: Vec<(usize, i64)>, count: usize, rng: &mut Rng) -> Vec<usize> {
    if others.windows(2).all(|pair| pair[0].1 == pair[1].1) {
        rng.shuffle(&mut others);
        return others.into_iter().take(count).map(|(i, _)| i).collect();
    }
    let mut chosen = Vec::new();
    while chosen.len() < count && !others.is_empty() {
        let total: i64 = others.iter().map(|(_, stake)| stake).sum();
        let mut place = rng.below(total.unsigned_abs()) as i64;
        let drawn = others.iter().position(|(_, stake)| {
            place -= stake;
            place < 0
        });
        chosen.push(others.swap_remove(drawn.unwrap_or(0)).0);
    }
    chosen
}

impl<'a> World<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        let mut rng = Rng::new(config.seed);
        let peers = config.peers;
        let twins = config.twins.min(peers);
        // The second instances of twins come last.
        let n = peers + twins;
        let signer = |i: usize| SigningKey::from_seed(&seed(config.seed, i));
        let signers: Vec<SigningKey> = (0..peers).chain(peers - twins..peers).map(signer).collect();
        let keys: Vec<AccountKey> = signers.iter().map(SigningKey::account_key).collect();
        let first_sybil = peers - (twins + config.sybils).min(peers);
        let stake = |i: usize| match config.steepness {
            _ if (first_sybil..peers - twins).contains(&i) => MIN_STAKE,
            0 => 10 * MIN_STAKE,
            steepness => {
                // The same on every machine.
                let part = cvm::math::pow(i as f64 + 1.0, f64::from(steepness) / 100.0);
                ((100.0 * MIN_STAKE as f64 / part) as i64).max(MIN_STAKE)
            }
        };
        let stakes: Vec<_> = keys.iter().copied().zip((0..peers).map(stake)).collect();
        let ledger = Ledger::new(START, &stakes);
        let store = Store::new(n);
        let mut ranks: Vec<u64> = (0..(peers - twins) as u64).collect();
        rng.shuffle(&mut ranks);
        ranks.resize(peers, 0);
        ranks.resize(n, peers as u64);
        let mut roles = roles(config);
        let nodes: Vec<Node> = signers
            .into_iter()
            .enumerate()
            .map(|(i, signer)| {
                let others = (0..n).filter(|j| *j != i);
                let others: Vec<_> = others.map(|j| (j, stake(j.min(peers - 1)))).collect();
                let links = choose(others, config.degree, &mut rng);
                let links = links.into_iter().map(|to| Link {
                    to,
                    latency: rng.between(config.latency.0, config.latency.1),
                    busy: 0,
                });
                let links = links.collect();
                let peer = Peer::new(keys[i], ledger.electorate(0));
                let belief = store.put(i, &peer.belief().to_cell());
                Node {
                    signer,
                    links,
                    belief,
                    public: belief,
                    settled: belief,
                    peer,
                    role: roles.pop().unwrap_or(Role::Twin),
                    skew: rng.between(0, 2 * config.skew) as i64 - config.skew as i64,
                    inbox: VecDeque::new(),
                    transactions: Vec::new(),
                    fresh: true,
                    wake: None,
                    last_round: None,
                    last_broadcast: None,
                    last_poll: 0,
                    asked_until: 0,
                    rank: ranks[i],
                }
            })
            .collect();
        let mut world = Self {
            config,
            rng,
            now: 0,
            sequence: 0,
            events: BinaryHeap::new(),
            pending: HashMap::new(),
            nodes,
            keys,
            store,
            crowded: CROWDED,
            ledger,
            proposals: HashMap::new(),
            report: Report::default(),
        };
        world.plan();
        world
    }

    /// What happens whatever peers do.
    fn plan(&mut self) {
        for i in 0..self.nodes.len() {
            if !matches!(self.nodes[i].role, Role::Offline) {
                self.report.honest += usize::from(self.nodes[i].is_honest());
                let at = self.rng.below(IDLE);
                self.wake_at(i, at);
            }
        }
        for at in (IDLE..self.config.load).step_by(self.config.interval.max(1) as usize) {
            self.at(at, Event::Propose);
        }
        for _ in 0..self.config.restarts {
            let at = self.rng.below(self.config.load);
            let peer = self.rng.below(self.nodes.len() as u64) as usize;
            self.at(at, Event::Restart(peer));
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        let number = self.sequence as usize;
        self.pending.insert(number, event);
        self.events.push(Reverse((time, self.sequence, number)));
    }

    fn wake_at(&mut self, i: usize, time: u64) {
        let time = time.max(self.now);
        if self.nodes[i].wake.is_none_or(|planned| planned > time) {
            self.nodes[i].wake = Some(time);
            self.at(time, Event::Wake(i));
        }
    }

    pub(crate) fn run(mut self) -> Report {
        let end = self.config.load + self.config.drain;
        while let Some(Reverse((time, _, number))) = self.events.pop() {
            if time > end || (time > self.config.load && self.is_done()) {
                break;
            }
            self.now = time;
            match self.pending.remove(&number).expect("a planned event") {
                Event::Wake(i) if self.nodes[i].wake == Some(time) => {
                    self.nodes[i].wake = None;
                    self.round(i);
                }
                Event::Wake(_) => {}
                Event::Arrive(to, message) => self.arrive(to, message),
                Event::Asked(by, of) => self.answer(by, of),
                Event::Propose => self.propose(),
                Event::Restart(i) => self.restart(i),
            }
            if self.store.len() > self.crowded {
                self.tidy();
            }
        }
        self.finish()
    }

    fn is_done(&self) -> bool {
        self.report.settled + self.report.void == self.report.proposed
            && self.nodes.iter().all(|node| {
                !node.is_honest()
                    || (node.peer.position() == self.ledger.len() && node.transactions.is_empty())
            })
    }

    fn finish(mut self) -> Report {
        let behind = self.nodes.iter().filter(|node| {
            matches!(node.role, Role::Broken)
                || node.is_honest() && node.peer.position() < self.ledger.len()
        });
        self.report.behind = behind.count();
        self.report.time = self.now;
        self.report.executed = self.ledger.len();
        self.report.finality.sort_unstable();
        self.report.everywhere.sort_unstable();
        let hashes: Vec<u8> = self.ledger.chain().iter().flat_map(|h| h.0).collect();
        self.report.history = Some(Hash::of(&hashes));
        self.store.clear();
        self.report
    }

    // What happens to a peer.

    fn propose(&mut self) {
        let able: Vec<usize> = (0..self.nodes.len())
            .filter(|i| self.nodes[*i].is_honest() && self.nodes[*i].hears(self.now))
            .collect();
        if able.is_empty() {
            return;
        }
        let i = able[self.rng.below(able.len() as u64) as usize];
        for _ in 0..self.config.transactions.max(1) {
            let mark = self.rng.next();
            let node = &mut self.nodes[i];
            node.transactions.push(transaction(&node.signer, mark));
        }
        self.wake_soon(i);
    }

    /// As soon as the time between two rounds is over.
    fn wake_soon(&mut self, i: usize) {
        let earliest = self.nodes[i]
            .last_round
            .map_or(0, |t| t + self.config.round);
        self.wake_at(i, earliest);
    }

    fn arrive(&mut self, to: usize, message: Message) {
        let node = &mut self.nodes[to];
        if !node.hears(self.now) || node.inbox.len() >= QUEUE {
            self.report.lost += 1;
            return;
        }
        node.inbox.push_back(message);
        self.wake_soon(to);
    }

    /// What survives is in the store: the belief, and how far it has executed.
    fn restart(&mut self, i: usize) {
        if !self.nodes[i].is_honest() || !self.nodes[i].hears(self.now) {
            return;
        }
        self.store.read_as(i);
        let node = &mut self.nodes[i];
        let belief = Belief::from_cell(&self.store.cell(node.belief)).expect("an own belief");
        let Cell::Vector(settled) = self.store.cell(node.settled) else {
            // It has executed nothing and knows what a new peer does.
            return;
        };
        node.peer = Peer::restored(
            *node.peer.key(),
            node.peer.electorate().clone(),
            belief,
            settled,
            node.peer.position(),
        )
        .expect("an own belief");
        node.inbox.clear();
        node.transactions.clear();
        node.fresh = true;
        self.wake_soon(i);
    }

    /// One turn of the loop, as the consensus crate describes it.
    fn round(&mut self, i: usize) {
        if matches!(self.nodes[i].role, Role::Broken) {
            return;
        }
        if !self.nodes[i].hears(self.now) {
            self.broadcast(i);
            self.wake_at(i, self.now + REBROADCAST);
            return;
        }
        self.store.read_as(i);
        self.nodes[i].last_round = Some(self.now);
        self.report.rounds.0 += 1;
        let own_changed = self.merge(i);
        self.execute(i);
        if matches!(self.nodes[i].role, Role::Broken) {
            return;
        }
        let quiet = self.nodes[i]
            .last_broadcast
            .is_none_or(|last| self.now > last + REBROADCAST);
        if own_changed || quiet {
            self.broadcast(i);
        }
        self.poll(i);
        let node = &self.nodes[i];
        let next = if node.peer.is_resting() && !node.fresh {
            let broadcast = node.last_broadcast.unwrap_or(self.now) + REBROADCAST + 1;
            broadcast.min(node.last_poll + POLL)
        } else {
            self.now + self.config.round.max(1)
        };
        self.wake_at(i, next);
    }

    fn merge(&mut self, i: usize) -> bool {
        let now = self.now;
        let clock = self.nodes[i].clock(now);
        let incoming = self.take_in(i, clock);
        let node = &mut self.nodes[i];
        let blocks: Vec<Signed> = node
            .peer
            .blocks(clock, &node.transactions)
            .iter()
            .map(|block| Signed::sign(&node.signer, block.to_cell()))
            .collect();
        let input = Input {
            incoming,
            blocks: blocks.clone(),
            fresh: node.fresh,
        };
        let round = node.peer.round(clock, input).expect("an own belief");
        self.report.rounds.1 += u64::from(round.outcome().is_some());
        let answer = match (round.to_sign(), &node.role) {
            (None, _) => Answer::None,
            (Some(_), Role::Liar(_)) => Answer::Follow,
            (Some(order), _) => {
                self.report.signatures += 1;
                node.fresh &= order.timestamp != clock;
                Answer::Signed(Signed::sign(&node.signer, order.to_cell()))
            }
        };
        if matches!(node.role, Role::Liar(_)) {
            node.fresh = false;
        }
        let step = node
            .peer
            .complete(round, answer)
            .expect("what was asked for");
        if !blocks.is_empty() {
            node.transactions.clear();
        }
        for block in blocks {
            let hash = Cell::from(block).hash();
            self.report.proposed += 1;
            let proposal = Proposal {
                time: now,
                executed: 0,
            };
            self.proposals.insert(hash, proposal);
        }
        if step.changed {
            node.belief = self.store.put(i, &node.peer.belief().to_cell());
        }
        step.own_changed
    }

    /// Intake of what has arrived (`spec/05 §9.2`).
    fn take_in(&mut self, i: usize, clock: i64) -> Option<Belief> {
        let messages = std::mem::take(&mut self.nodes[i].inbox);
        let mut ask = None;
        let mut intake = self.nodes[i].peer.intake(clock);
        for message in messages {
            self.store.give(i, &message.cells);
            let offers = intake.offers(&self.store.cell(message.belief));
            let offers = offers.expect("a store that does not fail");
            for refused in &offers.refused {
                if is_missing(&refused.reason) {
                    ask = Some(message.from);
                }
                *self
                    .report
                    .refused
                    .entry(name(&refused.reason))
                    .or_default() += 1;
            }
            for offer in offers.orders {
                let signed = offer.signed().clone();
                if !signed.verify() {
                    *self
                        .report
                        .refused
                        .entry("with a bad signature")
                        .or_default() += 1;
                    break;
                }
                if !self.store.is_whole(i, &Cell::from(signed)) {
                    ask = Some(message.from);
                    *self.report.refused.entry(MISSING).or_default() += 1;
                    continue;
                }
                let taken = intake.accept(offer).expect("an own belief");
                self.report.accepted += u64::from(taken);
            }
        }
        let incoming = intake.finish();
        if let Some(of) = ask.filter(|_| self.config.ask) {
            self.ask(i, of);
        }
        incoming
    }

    fn execute(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        let work = match node.peer.executable() {
            Ok(work) => work,
            Err(ProgressError::Fork { .. }) => {
                if node.is_honest() {
                    self.report.forks += 1;
                }
                node.role = Role::Broken;
                return;
            }
            Err(error) => panic!("own chain: {error}"),
        };
        if work.range.is_empty() {
            return;
        }
        let honest = node.is_honest();
        let count = self.report.honest;
        for (number, block) in work.range.clone().zip(work.blocks()) {
            let block = block
                .and_then(|r| r.get())
                .expect("a block of the own chain");
            let Ok(counts) = self.ledger.execute(number, &block) else {
                if honest {
                    let (time, peer) = (self.now, i);
                    let violation = Violation { time, peer, number };
                    self.report.violations.push(violation);
                }
                node.role = Role::Broken;
                return;
            };
            if !honest {
                continue;
            }
            if let Some(proposal) = self.proposals.get_mut(&block.hash()) {
                let took = (self.now - proposal.time) as u32;
                self.report.finality.push(took);
                proposal.executed += 1;
                if proposal.executed == count {
                    self.report.everywhere.push(took);
                    self.report.settled += u64::from(counts);
                    self.report.void += u64::from(!counts);
                }
            }
        }
        let electorate = self.ledger.electorate(work.range.end);
        node.settled = self.store.put(i, &Cell::from(work.chain.clone()));
        let executed = node.peer.executed(work.chain, work.range.end, electorate);
        executed.expect("the own chain");
    }

    // Between peers.

    fn broadcast(&mut self, i: usize) {
        self.nodes[i].last_broadcast = Some(self.now);
        let (shown, hidden) = self.shown(i);
        let announce = |(side, belief): (usize, &Belief)| {
            let id = self.store.put(i, &belief.to_cell());
            let (cells, bytes) = self.store.announce(i, side, id, &hidden);
            let message = Message {
                from: i,
                belief: id,
                cells: cells.into(),
            };
            (message, bytes)
        };
        let messages: Vec<_> = shown.iter().enumerate().map(announce).collect();
        self.nodes[i].public = messages[0].0.belief;
        for link in 0..self.nodes[i].links.len() {
            let to = self.nodes[i].links[link].to;
            let (message, bytes) = &messages[to % messages.len()];
            self.report.messages.0 += 1;
            self.report.messages.1 += bytes;
            if self.is_cut(i, to) || self.rng.below(1000) < self.config.loss {
                self.report.lost += 1;
                continue;
            }
            let link = &mut self.nodes[i].links[link];
            let jitter = self.rng.between(0, link.latency / 5);
            link.busy = link.busy.max(self.now + link.latency + jitter);
            let (at, message) = (link.busy, message.clone());
            self.at(at, Event::Arrive(to, message));
        }
    }

    /// What others get to see, and what is kept from them. A liar shows something else to each half of the network.
    fn shown(&mut self, i: usize) -> (Vec<Belief>, Vec<Id>) {
        let node = &mut self.nodes[i];
        let Role::Liar(liar) = &mut node.role else {
            let public = node.peer.public_belief().expect("an own belief");
            return (vec![public], Vec::new());
        };
        let scene = Scene {
            now: self.now,
            clock: START + self.now as i64,
            peer: &node.peer,
            number: i,
            signer: &node.signer,
            keys: &self.keys,
            ledger: &self.ledger,
            store: &self.store,
        };
        self.store.read_as(i);
        let beliefs = liar.beliefs(&scene, &mut self.rng);
        (beliefs.into(), liar.hidden())
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.config.partitions.iter().any(|cut| {
            let whole = (self.config.peers - self.config.twins.min(self.config.peers)) as u64;
            let first = |i: usize| self.nodes[i].rank * 100 < cut.percent * whole;
            (cut.from..cut.to).contains(&self.now) && first(a) != first(b)
        })
    }

    /// A peer whose state is old asks a random one (`spec/05 §17.4`).
    fn poll(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        if self.now < node.last_poll + POLL {
            return;
        }
        node.last_poll = self.now;
        let old = node.peer.electorate().time() + POLL_DELAY < node.clock(self.now);
        if old && !node.links.is_empty() {
            let link = self.rng.below(node.links.len() as u64) as usize;
            let of = node.links[link].to;
            self.ask(i, of);
        }
    }

    fn ask(&mut self, by: usize, of: usize) {
        if self.nodes[by].asked_until > self.now {
            return;
        }
        self.nodes[by].asked_until = self.now + PATIENCE;
        self.report.polls.0 += 1;
        let after = self.delay();
        self.at(self.now + after, Event::Asked(by, of));
    }

    fn delay(&mut self) -> u64 {
        self.rng
            .between(self.config.latency.0, self.config.latency.1)
    }

    /// Status, then all that the other lacks, up to 254 cells each way and back.
    fn answer(&mut self, by: usize, of: usize) {
        let silent = matches!(self.nodes[of].role, Role::Offline | Role::Broken);
        if silent || self.is_cut(by, of) {
            return;
        }
        let hidden = match &self.nodes[of].role {
            Role::Liar(liar) => liar.hidden(),
            _ => Vec::new(),
        };
        let belief = self.nodes[of].public;
        let (cells, bytes) = self.store.lacking(by, of, belief, &hidden);
        self.report.polls.1 += bytes;
        let trips = 1 + 2 * cells.len().div_ceil(REQUEST) as u64;
        let after = self.delay() * trips;
        self.nodes[by].asked_until = self.now + after;
        let message = Message {
            from: of,
            belief,
            cells: cells.into(),
        };
        self.at(self.now + after, Event::Arrive(by, message));
    }

    /// Lets the store forget what nobody has or waits for.
    fn tidy(&mut self) {
        let held = self.nodes.iter().flat_map(|node| {
            let own = [node.belief, node.public, node.settled];
            own.into_iter().chain(node.inbox.iter().map(|m| m.belief))
        });
        let hidden = self.nodes.iter().filter_map(|node| match &node.role {
            Role::Liar(liar) => Some(liar.hidden()),
            _ => None,
        });
        let travelling = self.pending.values().filter_map(|event| match event {
            Event::Arrive(_, message) => Some(message.belief),
            _ => None,
        });
        let roots: Vec<Id> = held.chain(hidden.flatten()).chain(travelling).collect();
        self.store.keep(roots);
        self.crowded = CROWDED.max(2 * self.store.len());
    }
}

const MISSING: &str = "with data missing";

fn is_missing(reason: &DropReason) -> bool {
    matches!(
        reason,
        DropReason::Fault(OrderFault::Data(CellError::Missing(_)))
    )
}

fn name(reason: &DropReason) -> &'static str {
    match reason {
        DropReason::Fault(OrderFault::Data(_)) => MISSING,
        DropReason::Fault(_) => "malformed",
        DropReason::Future(_) => "from the future",
        DropReason::BadSignature => "with a bad signature",
        DropReason::Unregistered | DropReason::Understaked => "of strangers",
        DropReason::WrongKey | DropReason::Conflict { .. } => "in conflict",
    }
}
