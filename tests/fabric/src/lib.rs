//! A network of network namespaces: each node has one, with an address of its own, and all packets between them go through a relay in this
//! process, which delays them, loses some, and cuts nodes off from each other.
//!
//! ```text
//!  node 0 ── tun ──┐                 ┌── tun ── node 2
//!                  ├── relay thread ─┤
//!  node 1 ── tun ──┘                 └── tun ── node 3
//! ```
//!
//! What the nodes' programs see is IPv4 as on a bad day: TCP sends again what was lost, and waits ever longer for what was cut. The kernel
//! need not know how to delay (`netem`) for it. It needs Linux, root, `/dev/net/tun` and `ip` of iproute2.

mod node;
mod relay;

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns};

pub use relay::{Conditions, Counts};
use relay::{Relay, Shared};

/// Most nodes: the last byte of an address.
pub const MAX_NODES: usize = 250;

/// Why there is no such network here.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The system refuses.
    #[error("{doing}: {error}; it needs root, /dev/net/tun, and a kernel with network namespaces")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        error: io::Error,
    },
    /// A program is missing, or failed.
    #[error("`ip {arguments}`: {why}; it is in the package iproute2")]
    Ip {
        /// Its arguments.
        arguments: String,
        /// What it said.
        why: String,
    },
}

/// The network. It ends, and what runs in it is without a network, when this is dropped.
#[derive(Debug)]
pub struct Fabric {
    namespaces: Vec<File>,
    shared: Arc<Shared>,
    relay: Relay,
}

impl Fabric {
    /// A network of so many nodes. What is lost and how long what takes depends on `seed` and on the packets.
    ///
    /// # Errors
    /// When this machine has no such networks.
    ///
    /// # Panics
    /// When there are more than [`MAX_NODES`].
    pub fn start(nodes: usize, conditions: Conditions, seed: u64) -> Result<Self, Unavailable> {
        assert!(nodes <= MAX_NODES, "a node for each address");
        let mut namespaces = Vec::new();
        let mut tunnels = Vec::new();
        for number in 0..nodes {
            let (namespace, tunnel) = node::make(address(number))?;
            namespaces.push(namespace);
            tunnels.push(tunnel);
        }
        let shared = Arc::new(Shared::new(nodes, conditions));
        let relay =
            Relay::start(tunnels, shared.clone(), seed).map_err(|error| Unavailable::System {
                doing: "starting the relay",
                error,
            })?;
        Ok(Self {
            namespaces,
            shared,
            relay,
        })
    }

    /// Address of a node.
    #[must_use]
    pub fn address(&self, node: usize) -> Ipv4Addr {
        address(node)
    }

    /// Does something in the namespace of a node: sockets that it makes and programs that it starts are there.
    ///
    /// # Panics
    /// When it panics.
    pub fn inside<T: Send>(&self, node: usize, work: impl FnOnce() -> T + Send) -> T {
        let namespace = &self.namespaces[node];
        let body = || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("the namespace of a node");
            work()
        };
        let done = thread::scope(|scope| scope.spawn(body).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Cuts these nodes off from the others; what was cut before is whole again.
    pub fn part(&self, nodes: &[usize]) {
        self.shared.part(nodes);
    }

    /// Cuts nobody off.
    pub fn heal(&self) {
        self.shared.part(&[]);
    }

    /// What became of the packets so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        self.relay.stop();
    }
}

/// 10.77.0.1 and so on.
fn address(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, node as u8 + 1)
}

/// The node with an address.
fn node_of(address: [u8; 4]) -> Option<usize> {
    match address {
        [10, 77, 0, last] => usize::from(last).checked_sub(1),
        _ => None,
    }
}
