//! The limits of this process in one place: those of the settings, and those that nobody has to choose.

use ipc::supervision::NetdSettings;
use wire::{AcceptorConfig, DiallerConfig};

use crate::admission::AdmissionLimits;
use crate::beliefs::BeliefRate;
use crate::flow::Room;
use signing::Rate;

/// Limits. Times are milliseconds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Accepted connections.
    pub admission: AdmissionLimits,
    /// Of each of them.
    pub acceptor: AcceptorConfig,
    /// Of connections to other peers.
    pub dialler: DiallerConfig,
    /// Time for a connection to another peer to be established (`spec/06 §9.5`).
    pub connect: u64,
    /// Bytes that all connections together may hold.
    pub memory: usize,
    /// Requests that consensus has and has not answered: 10,000 and 30,000 in the queues of the reference (`spec/06 §12`).
    pub room: Room,
    /// Bytes for consensus that may wait before requests have to.
    pub link: usize,
    /// Time that a request waits for room, before the answer is `:LOAD` (`spec/06 §12`).
    pub patience: u64,
    /// Data requests that wait for the store, in all.
    pub data: usize,
    /// Data requests of one connection that wait for the store.
    pub data_per_connection: usize,
    /// Longest answer to a data request. 254 cells of the longest encoding have 4.2 MB.
    pub data_answer: usize,
    /// Time in which a connection has to take some of its replies.
    pub unread: u64,
    /// Beliefs of connections that have proven no key, all together.
    pub beliefs: BeliefRate,
    /// Beliefs of each peer that has proven its key.
    pub peer_beliefs: BeliefRate,
    /// Bytes that may wait for a connection to another peer before it counts as lagging, and gets the newest belief only.
    pub lag: usize,
    /// Time between two looks at all connections.
    pub sweep: u64,
}

impl Limits {
    /// Those of the settings.
    #[must_use]
    pub fn new(settings: &NetdSettings) -> Self {
        Self {
            admission: AdmissionLimits {
                total: settings.connections,
                per_origin: settings.connections_per_address,
            },
            acceptor: AcceptorConfig {
                idle: Some(settings.idle).filter(|idle| *idle > 0),
                ..AcceptorConfig::default()
            },
            dialler: DiallerConfig::default(),
            connect: 8_000,
            memory: usize::try_from(settings.memory).unwrap_or(usize::MAX),
            room: Room {
                count: 40_000,
                bytes: 64 << 20,
            },
            link: 4 << 20,
            patience: 8_000,
            data: 1_024,
            data_per_connection: 16,
            data_answer: 8 << 20,
            unread: 30_000,
            beliefs: BeliefRate {
                count: Rate::new(300, 600),
                bytes: Rate::new(8 << 20, 32 << 20),
            },
            peer_beliefs: BeliefRate {
                count: Rate::new(1_000, 2_000),
                bytes: Rate::new(16 << 20, 64 << 20),
            },
            lag: 64 << 10,
            sweep: 1_000,
        }
    }
}
