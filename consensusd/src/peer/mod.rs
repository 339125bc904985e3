//! The peer as a state machine: what happens and the time go in, what is to be done comes out. No clock, thread, socket or file.
//!
//! | part | what it does | rules |
//! |---|---|---|
//! | [`queue`] | transactions that wait, clients that wait | `spec/05 §12` |
//! | `building` | blocks, executed before they are proposed | `spec/05 §11`, `spec/04 §5` |
//! | [`pace`] | when waiting transactions are worth a block | |
//! | `rounds` | merge, own order, signatures | `spec/05 §4`, `§8` |
//! | `executing` | from finality to results | `spec/05 §7` |
//! | [`saving`], `sealing` | what is written down, and what waits for it | DESIGN §2 |
//! | `gossip`, [`acquisition`] | beliefs of others, missing data, polls | `spec/05 §9`, `§17.4` |
//! | `telling` | what others are told of the own belief | `spec/05 §10` |
//! | [`joining`] | the genesis state from others | `spec/05 §14.2` |
//! | [`conduct`] | how others behave, and what they may have us do | `spec/05 §20` |
//! | [`progress`] | how far a peer is that joins or catches up | |
//! | [`connectivity`] | whether consensus is within reach | `spec/05 §4.7` |
//! | `trust` | challenges and their answers | `spec/06 §8` |
//! | `reports` | status for others and for the operator | `spec/06 §6.2` |
//!
//! Order of durability: the belief that names a block reaches `netd` after a batch with both is durable; a result reaches its client after
//! a batch with the state, the results and the position after its block is. Requests to sign overlap the barriers.

pub mod acquisition;
mod building;
pub mod conduct;
pub mod connectivity;
mod cut_off;
pub mod event;
mod executing;
mod gossip;
pub mod joining;
pub mod ledger;
pub mod pace;
pub mod progress;
pub mod queue;
mod reports;
mod rounds;
pub mod saving;
mod sealing;
mod start;
mod telling;
mod trust;

use std::collections::VecDeque;
use std::sync::Arc;

use cells::{Cell, Hash, Map, Vector};
use consensus::Order;
use crypto::AccountKey;
use signing::{Now, Rates, TokenBucket};

pub use connectivity::{Cause, Connectivity, Standing};
pub(crate) use cut_off::not_taken;
pub use event::{
    Action, AlarmKind, Batch, Challenger, Channel, Connection, Event, KeyAnswer, Outgoing, Reach,
    Request, Requester, Results, Submitted, Target, View,
};
pub use ledger::results_of;
pub use reports::Report;
pub use start::StartError;

use crate::source::Shelf;
use building::Making;
use gossip::Gossip;
use joining::Joined;
use ledger::Ledger;
use pace::Pace;
use queue::{Entry, Queue};
use rounds::Pending;
use saving::Saver;
use trust::Asked;

/// What a peer is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The peer key.
    pub key: AccountKey,
    /// Hash of the genesis state.
    pub network: Hash,
    /// Transactions that may wait for a block.
    pub queue: usize,
    /// Bytes of state and orders in memory, about, before they are read from the store again.
    pub memory: u64,
    /// For batch checks of signatures; unknown to others.
    pub seed: [u8; 32],
    /// Threads for signature checks of the blocks of others.
    pub threads: usize,
    /// For how long a sign of life of another peer counts, milliseconds.
    pub window: u64,
}

/// Batches that may wait for the store before the peer stops and waits too.
const MAX_IN_FLIGHT: usize = 8;
/// Milliseconds until something is tried again that failed for the moment.
const RETRY: u64 = 50;

/// A peer.
pub struct Core {
    config: Config,
    shelf: Arc<Shelf>,
    peer: consensus::Peer,
    ledger: Ledger,
    genesis: Cell,
    results: Vector,
    /// The own order when the last block was executed.
    settled: Order,
    /// What else is in the root of the store.
    others: Map,
    started: i64,
    queue: Queue,
    pace: Pace,
    making: Making,
    /// Own blocks that are in the own order and not executed yet.
    unfinal: VecDeque<OwnBlock>,
    round: Option<Pending>,
    /// The next own order needs a time of its own: the signer may not know the one before.
    fresh: bool,
    /// Its time has to be later than this: the signer may have signed something else of that time that we know nothing of.
    fresh_after: i64,
    /// Times (steady milliseconds) before which orders, blocks and executions are not tried.
    order_not_before: u64,
    block_not_before: u64,
    execute_not_before: u64,
    key: Key,
    saver: Saver,
    /// Something changed that is in no batch.
    dirty: bool,
    /// The genesis state is still to be written.
    unwritten_genesis: bool,
    /// What leaves when the next batch is durable.
    withheld: Vec<Outgoing>,
    gossip: Gossip,
    connectivity: Connectivity,
    net: bool,
    /// Read values from the store again as soon as all is written.
    compacting: bool,
    /// Why nothing can be executed any more.
    stuck: Option<String>,
    told: reports::Told,
    counters: Counters,
}

/// An own block in the own order.
struct OwnBlock {
    /// Hash of the signed block.
    hash: Hash,
    entries: Vec<Entry>,
}

/// The signer, as seen from here.
struct Key {
    up: bool,
    locked: bool,
    ticket: u64,
    asked: VecDeque<(u64, Asked)>,
    orders: TokenBucket,
    blocks: TokenBucket,
    challenges: TokenBucket,
    answers: TokenBucket,
    challenged: trust::Challenged,
}

impl Key {
    fn new(now: Now) -> Self {
        let rates = Rates::default().for_asker();
        let bucket = |rate| TokenBucket::new(rate, now.steady);
        Self {
            up: false,
            locked: false,
            ticket: 0,
            asked: VecDeque::new(),
            orders: bucket(rates.orders),
            blocks: bucket(rates.blocks),
            challenges: bucket(rates.challenges),
            answers: bucket(rates.answers),
            challenged: trust::Challenged::default(),
        }
    }

    fn signs(&self) -> bool {
        self.up && !self.locked
    }
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions taken in.
    pub transactions: u64,
    /// Refused because the queue was full.
    pub overloaded: u64,
    /// Own blocks proposed.
    pub proposed: u64,
    /// Transactions taken out because they would have voided their block.
    pub poison: u64,
    /// Blocks executed.
    pub blocks: u64,
    /// Transactions executed.
    pub executed: u64,
    /// Orders of others taken in.
    pub orders: u64,
    /// Acquisitions of missing data.
    pub acquisitions: u64,
    /// Of them, those that failed.
    pub failed_acquisitions: u64,
    /// Own orders signed.
    pub signed_orders: u64,
    /// Refusals of the signer.
    pub refused_signatures: u64,
    /// Times that values were read from the store again to free memory.
    pub compactions: u64,
}

/// When the peer wants to go on without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// After so many milliseconds, if nothing happens before.
    In(u64),
}

impl Core {
    /// Takes over what was done before there was a peer. Nothing has happened since the start but that channels were opened.
    pub fn take_over(&mut self, joined: Joined, now: Now, out: &mut Vec<Action>) {
        self.saver = joined.saver;
        self.gossip.fetcher = joined.fetcher;
        // Answers to what was asked before must not be taken for others.
        self.gossip.tickets = self.gossip.tickets.max(joined.tickets);
        for connection in joined.opened {
            self.handle(Event::Opened(connection), now, out);
        }
        if let Some(reach) = joined.reach {
            self.handle(Event::Reach(reach), now, out);
        }
    }

    /// Takes in what happened. [`Core::advance`] is to follow, after this or after all that has happened.
    pub fn handle(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Transactions(list) => self.submit(list, now, out),
            Event::Belief {
                connection,
                trusted,
                message,
                bytes,
            } => {
                if let Some(key) = trusted {
                    self.connectivity.heard(key, now.steady);
                    self.gossip.last_told = now.steady;
                }
                // What so long a message lacks comes with a poll: nobody is to have us keep it until then.
                let from = trusted.filter(|_| bytes <= gossip::MOST_KEPT);
                self.believe(&message, connection, from, now, out);
            }
            Event::Challenged { to, id, challenge } => {
                self.challenged(to, id, &challenge, now, out)
            }
            Event::Proof { connection, answer } => self.proof(connection, answer, now, out),
            Event::WantChallenge(connection) => {
                self.want_challenge(Challenger::Accepted(connection), now, out);
            }
            Event::Opened(connection) => self.opened(connection, now, out),
            Event::Closed(connection) => self.connection_closed(connection),
            Event::Reach(reach) => self.connectivity.set_reach(reach),
            Event::Answered { ticket, answer } => self.answered(ticket, answer, now, out),
            Event::Signed { ticket, answer } => self.signed(ticket, answer, now, out),
            Event::Durable(sequence) => {
                let refused = self.saver.refuses();
                self.saver.durable_up_to(sequence, &self.shelf, out);
                if refused {
                    self.tell_view(out);
                }
            }
            Event::NotStored { sequence, text } => {
                self.saver.refused(sequence, now.steady + 1_000);
                out.push(Action::Alarm(AlarmKind::Store, text));
                self.tell_view(out);
            }
            Event::Link(Channel::Store, up) => {
                self.saver.link(up);
                self.tell_view(out);
            }
            Event::Link(Channel::Net, up) => self.link_net(up, now, out),
            Event::Link(Channel::Key, up) => self.link_key(up, now, out),
        }
    }

    /// Goes on as far as it gets without waiting; of blocks it executes one at a time.
    pub fn advance(&mut self, now: Now, out: &mut Vec<Action>) -> Next {
        if self.stuck.is_none() {
            self.try_propose(now, out);
            self.try_round(now, out);
        }
        let more = self.try_execute(now, out);
        self.tend_gossip(now, out);
        self.tell_others(now, out);
        self.tend_connectivity(now, out);
        self.try_seal(now, out);
        self.saver.send(now.steady, out);
        self.try_compact(out);
        self.tell(now, out);
        if more {
            Next::Now
        } else {
            Next::In(self.wait(now))
        }
    }

    /// Milliseconds until something is due.
    fn wait(&mut self, now: Now) -> u64 {
        const IDLE: u64 = 1_000;
        let until = |time: u64| time.saturating_sub(now.steady);
        let quiet = !self.dirty && self.saver.in_flight() == 0;
        let mut wait = IDLE
            .min(self.gossip.wait(now, quiet, self.has_old_state(now)))
            .min(self.connectivity.wait(now.steady));
        if self.round.is_none() && !self.compacting {
            let waits = self.wants_fresh() || matches!(self.making, Making::Made(..));
            let order = if self.peer.is_resting() && !waits {
                IDLE
            } else {
                let ahead = self.peer.order().timestamp.saturating_add(1) - now.wall;
                u64::try_from(ahead).unwrap_or(0)
            };
            wait = wait.min(order.max(until(self.order_not_before)).max(1));
        }
        if !self.queue.is_empty() && self.making.is_idle() {
            let pace = self.pace.until(self.queue.len(), now.steady);
            wait = wait.min(until(self.block_not_before.max(pace)).max(1));
        }
        if self.execute_not_before > now.steady {
            wait = wait.min(until(self.execute_not_before));
        }
        match self.saver.retry_at() {
            Some(time) => wait.min(until(time).max(1)),
            None => wait,
        }
    }

    /// Takes transactions of clients into the queue.
    fn submit(&mut self, list: Vec<Submitted>, now: Now, out: &mut Vec<Action>) {
        let mut replies = Vec::new();
        self.pace.arrived(list.len() as u64, now.steady);
        for submitted in list {
            let Requester { connection, id } = submitted.requester;
            if self.connectivity.is_cut_off() {
                replies.push((connection, not_taken(id)));
                continue;
            }
            match self.queue.submit(submitted) {
                Ok(()) => self.counters.transactions += 1,
                Err(reply) => {
                    self.counters.overloaded += 1;
                    replies.push((connection, reply));
                }
            }
        }
        if !replies.is_empty() {
            out.push(Action::Net(Outgoing::Replies(replies)));
        }
    }

    fn link_net(&mut self, up: bool, now: Now, out: &mut Vec<Action>) {
        self.net = up;
        self.gossip.disconnected();
        self.connectivity.disconnected();
        self.key.challenged.clear();
        self.queue.forget_requesters();
        self.told.forget();
        if up {
            self.tell_net_standing(out);
            self.tell(now, out);
        }
    }

    /// True when all that was accepted is executed, written down and answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.unanswered() == 0
            && self.queue.is_empty()
            && self.unfinal.is_empty()
            && self.making.is_idle()
            && self.withheld.is_empty()
            && !self.dirty
            && self.saver.in_flight() == 0
    }

    /// Counters since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes of cells from others that are in memory until the store has them, and what came so far.
    #[must_use]
    pub fn fetched(&self) -> (usize, acquisition::Acquired) {
        let fetcher = &self.gossip.fetcher;
        let bytes = self.shelf.fetched_bytes() + fetcher.held();
        (bytes, fetcher.acquired())
    }

    /// How others behave.
    #[must_use]
    pub fn conduct(&self) -> &conduct::Conduct {
        &self.gossip.conduct
    }

    /// The shelf that values are read from.
    #[must_use]
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// The state after the executed blocks.
    #[must_use]
    pub fn state(&self) -> &Cell {
        self.ledger.state()
    }

    /// The belief with the own order.
    #[must_use]
    pub fn belief(&self) -> &consensus::Belief {
        self.peer.belief()
    }

    /// The own order.
    #[must_use]
    pub fn order(&self) -> &Order {
        self.peer.order()
    }

    /// Number of executed blocks.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.peer.position()
    }
}
