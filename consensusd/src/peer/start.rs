//! How a peer begins: with a network, or where it stopped (`spec/05 §14`, `§15.2`).

use std::sync::Arc;

use cells::{Cell, CellError, Hash, Vector};
use consensus::{Electorate, MergeError, Order};
use signing::Now;

use super::building::Making;
use super::gossip::Gossip;
use super::ledger::Ledger;
use super::queue::Queue;
use super::reports::Told;
use super::saving::Saver;
use super::{Config, Core, Counters, Key};
use crate::root::{self, PeerData, RootError};
use crate::source::Shelf;

/// Why a peer can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the store has is of no use.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The store is of another network.
    #[error("the store holds the network {found}, not {expected}")]
    OtherNetwork {
        /// That of the settings.
        expected: Hash,
        /// That of the store.
        found: Hash,
    },
    /// The genesis state is not that of the network.
    #[error("the genesis state has the hash {found}, not {expected}")]
    OtherGenesis {
        /// That of the settings.
        expected: Hash,
        /// That of the state.
        found: Hash,
    },
    /// The store is empty and there is no genesis state.
    #[error("the store is empty, and no genesis state was given")]
    NoGenesis,
    /// The belief in the store is unusable.
    #[error("the belief in the store: {0}")]
    Belief(#[from] MergeError),
    /// A part can't be read.
    #[error("the state can't be read: {0}")]
    Data(#[from] CellError),
}

/// The consensus part of a peer as it was written down.
pub(super) fn restored(
    config: &Config,
    electorate: Arc<Electorate>,
    data: &PeerData,
    settled: Vector,
) -> Result<consensus::Peer, MergeError> {
    let belief = data.belief.clone();
    let restored = consensus::Peer::restored(
        config.key,
        electorate.clone(),
        belief,
        settled,
        data.position,
    );
    match restored {
        // It had no reason to sign anything yet.
        Err(MergeError::NoOwnOrder) if data.position == 0 => {
            Ok(consensus::Peer::new(config.key, electorate))
        }
        other => other,
    }
}

impl Core {
    /// A peer on what its store has; without anything there, on `genesis`, which is asked for only then.
    ///
    /// # Errors
    /// When there is nothing to begin with, or it can't be read.
    pub fn start(
        config: Config,
        shelf: Arc<Shelf>,
        root: &Cell,
        genesis: impl FnOnce() -> Option<Cell>,
        now: Now,
    ) -> Result<Self, StartError> {
        let others = root::entries(root)?;
        let expected = config.network;
        let (data, unwritten_genesis) = match root::read(&others, &config.key)? {
            Some(data) => {
                let found = data.genesis.hash();
                if found != expected {
                    return Err(StartError::OtherNetwork { expected, found });
                }
                (data, false)
            }
            None => {
                let genesis = genesis().ok_or(StartError::NoGenesis)?;
                let found = genesis.hash_all();
                if found != expected {
                    return Err(StartError::OtherGenesis { expected, found });
                }
                let state = cvm::state::State::from_cell(&genesis)?;
                let data = PeerData {
                    belief: consensus::Belief::empty(),
                    genesis: genesis.clone(),
                    state: genesis,
                    position: 0,
                    order: Order::empty(),
                    results: Vector::empty(),
                    timestamp: state.globals().timestamp,
                };
                (data, true)
            }
        };
        let ledger = Ledger::new(data.state.clone(), config.seed, config.threads)?;
        let settled = data.order.blocks.clone();
        let peer = restored(&config, ledger.electorate().clone(), &data, settled)?;
        let connectivity = super::Connectivity::new(config.window, now.steady);
        Ok(Self {
            queue: Queue::new(config.queue),
            pace: super::pace::Pace::default(),
            config,
            shelf,
            peer,
            ledger,
            genesis: data.genesis,
            results: data.results,
            settled: data.order,
            others,
            started: data.timestamp,
            making: Making::Idle,
            unfinal: std::collections::VecDeque::new(),
            round: None,
            fresh: true,
            fresh_after: now.wall,
            order_not_before: 0,
            block_not_before: 0,
            execute_not_before: 0,
            key: Key::new(now),
            saver: Saver::default(),
            dirty: true,
            unwritten_genesis,
            withheld: Vec::new(),
            gossip: Gossip::default(),
            connectivity,
            net: false,
            compacting: false,
            stuck: None,
            told: Told::default(),
            counters: Counters::default(),
        })
    }

    /// True when what the peer began with is in the store already, so that it is at work at once.
    #[must_use]
    pub fn is_ready_at_once(&self) -> bool {
        !self.unwritten_genesis
    }
}
