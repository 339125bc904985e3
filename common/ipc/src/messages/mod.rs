//! The messages, one file for each channel.

pub mod control;
pub mod key;
pub mod net;
pub mod store;
pub mod supervision;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Bounded;

/// Version of all messages. Processes of different versions refuse each other: they come from one package.
pub const VERSION: u16 = 1;

/// Bytes in a message, encoded as a length and themselves.
pub type Bytes = serde_bytes::ByteBuf;

/// A worker, by its job (DESIGN §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// The only writer of the store.
    Stored,
    /// The only holder of the peer key.
    Keyd,
    /// Consensus and execution.
    Consensusd,
    /// The network.
    Netd,
    /// One attempt to carry a prepared transaction to one peer.
    Rescue,
}

impl Role {
    /// All that run as long as the peer does, in the order in which they are started.
    pub const WORKERS: [Self; 4] = [Self::Stored, Self::Keyd, Self::Consensusd, Self::Netd];

    /// Name of the process, as operators see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Keyd => "keyd",
            Self::Consensusd => "consensusd",
            Self::Netd => "netd",
            Self::Rescue => "rescue",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A channel between two workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Channel {
    /// `netd` and `consensusd`: [`net`].
    Net,
    /// `consensusd` and `stored`: [`store`].
    Store,
    /// `consensusd` and `keyd`: [`key`].
    Key,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Net, Self::Store, Self::Key];

    /// The workers at its ends; `consensusd` is one of them always.
    #[must_use]
    pub const fn ends(self) -> [Role; 2] {
        match self {
            Self::Net => [Role::Netd, Role::Consensusd],
            Self::Store => [Role::Consensusd, Role::Stored],
            Self::Key => [Role::Consensusd, Role::Keyd],
        }
    }
}

/// Which making of a channel this is: one more with each restart of either end. What belongs to an older one is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u32);

/// The first message in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    version: u16,
    channel: Channel,
    epoch: Epoch,
}

impl Hello {
    /// The greeting of this version.
    #[must_use]
    pub const fn new(channel: Channel, epoch: Epoch) -> Self {
        Self {
            version: VERSION,
            channel,
            epoch,
        }
    }
}

impl Bounded for Hello {
    const MAX: usize = 16;
}

/// What a passed descriptor is. The receiver compares it with what the system says of the descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FdKind {
    /// A connected Unix stream socket: one end of a channel.
    Channel,
    /// A listening TCP socket.
    Listener,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A regular file or a pipe with a passphrase.
    Secret,
    /// Memory shared by descriptor (the control page of a store).
    Memory,
}
