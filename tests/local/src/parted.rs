//! A network of which each peer is in a network namespace of its own.

use std::fs;
use std::time::{Duration, Instant};

use client::ClientError;
use fabric::{Conditions, Fabric};
use ipc::supervision::Standing;
use wire::Reply;

use crate::{Network, Watch, control, register};

/// Stake of each peer, coppers.
const STAKE: i64 = 1_000_000_000_000_000;
/// Where each peer listens, at the address of its namespace.
const PORT: u16 = 18_888;

/// The network, and what is between its peers.
#[derive(Debug)]
pub struct Parted {
    network: Network,
    fabric: Fabric,
}

impl Parted {
    /// So many peers, which know each other by the state alone. A sign of life counts for `window`. `None`, with a word about it, where there
    /// are no network namespaces.
    ///
    /// # Panics
    /// When the peers don't start.
    #[must_use]
    pub fn start(
        peers: usize,
        window: Duration,
        conditions: Conditions,
        seed: u64,
    ) -> Option<Self> {
        let fabric = match Fabric::start(peers, conditions, seed) {
            Ok(fabric) => fabric,
            Err(why) => {
                eprintln!("skipped: {why}");
                return None;
            }
        };
        let host = |peer| format!("{}:{PORT}", fabric.address(peer));
        let mut network = Network::prepare(peers, |state, keys| {
            for (peer, (key, _)) in keys.iter().enumerate() {
                register(state, key, &host(peer), STAKE);
            }
        });
        for peer in 0..peers {
            let path = network.directory(peer).join("convexd.toml");
            let text = fs::read_to_string(&path).expect("a configuration");
            let mut lines: Vec<String> = text
                .lines()
                .map(|line| match line.split_once(" = ") {
                    Some(("listen", _)) => format!("listen = [{:?}]", host(peer)),
                    Some(("peers", _)) => "peers = []".to_owned(),
                    Some(("public-host", _)) => format!("public-host = {:?}", host(peer)),
                    _ => line.to_owned(),
                })
                .collect();
            lines.push(format!(
                "[consensus]\nwindow = \"{} ms\"\n",
                window.as_millis()
            ));
            fs::write(path, lines.join("\n")).expect("a configuration");
            fabric.inside(peer, || network.restart(peer));
        }
        Some(Self { network, fabric })
    }

    /// The peers.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What is between them.
    #[must_use]
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// Compares states from now on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let peers = self.network.running();
        let run = |peer: &usize| self.network.directory(*peer).join("run");
        Watch::start(peers.iter().map(run).collect())
    }

    /// Whether a peer says that it is cut off, once it says anything.
    #[must_use]
    pub fn standing(&self, peer: usize) -> Option<Standing> {
        let status = control::status(&self.network.directory(peer).join("run")).ok()?;
        Some(status.consensus?.standing)
    }

    /// Waits until exactly these peers are cut off, and the others connected; answers how long that took.
    pub fn wait_until_cut_off(&self, cut_off: &[usize]) -> Duration {
        let began = Instant::now();
        let what = format!("exactly {cut_off:?} to be cut off");
        self.network.wait(&what, |network| {
            let is = |peer: &usize| match self.standing(*peer)? {
                Standing::Joining => None,
                standing => Some(standing.is_cut_off()),
            };
            let all: Option<Vec<bool>> = network.running().iter().map(is).collect();
            let wanted = (0..).map(|peer| cut_off.contains(&peer));
            all?.into_iter()
                .eq(wanted.take(network.running().len()))
                .then_some(())
        });
        began.elapsed()
    }

    /// Sends a transfer of the user to a peer, from beside it; answers what that said, and how long it took.
    ///
    /// # Errors
    /// When there was no answer in time.
    pub fn transfer(
        &mut self,
        peer: usize,
        patience: Duration,
    ) -> Result<(Reply, Duration), ClientError> {
        let endpoint = format!("{}:{PORT}", self.fabric.address(peer));
        let (network, began) = (&mut self.network, Instant::now());
        let reply = self
            .fabric
            .inside(peer, || network.try_transfer(&endpoint, patience))?;
        Ok((reply, began.elapsed()))
    }

    /// The last transfer was not taken: the next has its sequence number.
    pub fn take_back(&mut self) {
        self.network.take_back();
    }
}
