//! Peers that proved who they are, for when those of the state turn out to be none: a list of hosts alone, from whoever registered them, could
//! keep a peer among themselves.

use crate::endpoint::Endpoint;
use crate::outgoing::Key;

/// Peers that are remembered; who proved itself longest ago makes place.
pub const MOST: usize = 64;

/// Hosts and keys, the one that proved itself last at the end.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    peers: Vec<(Endpoint, Key)>,
}

impl Remembered {
    /// A staked peer has proven its key at this host.
    pub fn note(&mut self, endpoint: Endpoint, key: Key) {
        self.peers
            .retain(|(at, who)| *at != endpoint && *who != key);
        if self.peers.len() >= MOST {
            self.peers.remove(0);
        }
        self.peers.push((endpoint, key));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(Endpoint, Key)> {
        self.peers.iter()
    }
}
