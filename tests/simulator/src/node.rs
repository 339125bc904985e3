//! One peer of the world: its loop's memory, its connections and the part it plays.

use std::collections::VecDeque;
use std::rc::Rc;

use cells::Signed;
use consensus::Peer;
use crypto::SigningKey;

use crate::config::{Config, START};
use crate::liar::Liar;
use crate::store::Id;

/// A belief on its way.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) from: usize,
    pub(crate) belief: Id,
    pub(crate) cells: Rc<[Id]>,
}

/// How a peer takes part.
pub(crate) enum Role {
    Honest,
    /// Deaf until this time.
    Stale(u64),
    Offline,
    Liar(Box<Liar>),
    /// An instance of a peer of which another runs.
    Twin,
    /// Its chain lacks what it executed.
    Broken,
}

pub(crate) struct Link {
    pub(crate) to: usize,
    pub(crate) latency: u64,
    /// Arrival of the last message: connections keep the order.
    pub(crate) busy: u64,
}

pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) signer: SigningKey,
    pub(crate) role: Role,
    /// Error of the clock.
    pub(crate) skew: i64,
    pub(crate) links: Vec<Link>,
    pub(crate) inbox: VecDeque<Message>,
    pub(crate) transactions: Vec<Signed>,
    pub(crate) fresh: bool,
    pub(crate) wake: Option<u64>,
    pub(crate) last_round: Option<u64>,
    pub(crate) last_broadcast: Option<u64>,
    pub(crate) last_poll: u64,
    pub(crate) asked_until: u64,
    /// The belief, the public one, and the executed chain: in the store.
    pub(crate) belief: Id,
    pub(crate) public: Id,
    pub(crate) settled: Id,
    /// Rank that decides its side of a cut.
    pub(crate) rank: u64,
}

impl Node {
    pub(crate) fn hears(&self, now: u64) -> bool {
        match self.role {
            Role::Honest | Role::Liar(_) | Role::Twin => true,
            Role::Stale(until) => now >= until,
            Role::Offline | Role::Broken => false,
        }
    }

    pub(crate) fn is_honest(&self) -> bool {
        matches!(self.role, Role::Honest | Role::Stale(_))
    }

    pub(crate) fn clock(&self, now: u64) -> i64 {
        START + now as i64 + self.skew
    }
}

/// The parts that peers play, the last first: those at the end of the list of peers are the special ones.
pub(crate) fn roles(config: &Config) -> Vec<Role> {
    let liars = config.malicious + config.sybils;
    let liars = config.malice.iter().cycle().take(liars);
    let mut roles: Vec<Role> = (0..config.twins).map(|_| Role::Twin).collect();
    roles.extend(liars.map(|m| Role::Liar(Box::new(Liar::new(*m)))));
    let thaw = config.load / 2;
    roles.extend((0..config.stale).map(|_| Role::Stale(thaw)));
    roles.extend((0..config.offline).map(|_| Role::Offline));
    roles.truncate(config.peers);
    let honest = config.peers - roles.len();
    roles.extend((0..honest).map(|_| Role::Honest));
    roles
}
