//! Plays whole networks of peers: the consensus crate as a daemon drives it, in a world without time, sockets or chance.
//!
//! Every peer is a [`consensus::Peer`] with a loop around it that has the timers of `spec/05 §1.2`. What is simulated are the clocks,
//! each with an error of its own, the connections (latency, loss, cuts), the stores (a peer reads only cells that it made or was sent, so
//! that a lost message has the consequences it has: branches that can't be read, until the next poll), transactions, and of the states
//! what decides votes. Orders and blocks are signed for real; each signature is verified once for all peers.
//!
//! Some peers may be slow, restarted, silent or lying, see [`Malice`]. A run tells whether two honest peers executed different blocks,
//! whether all blocks became final, how long that took and what it cost. It depends on its [`Config`] alone.
#![forbid(unsafe_code)]

mod bits;
pub mod charts;
mod config;
mod garbage;
mod ledger;
mod liar;
mod node;
mod report;
mod rng;
mod store;
mod svg;
mod world;

use cells::{Cell, Record, RecordKind, Signed};
use crypto::SigningKey;

pub use config::{Config, Malice, Partition};
pub use report::{Report, Violation};

/// Plays a network. When that panics, the arguments that do it again are told first.
#[must_use]
pub fn run(config: &Config) -> Report {
    let _told = Told(config);
    world::World::new(config).run()
}

/// Tells what was played when that ends in a panic.
struct Told<'a>(&'a Config);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed: {:?}", self.0.seed, self.0);
        }
    }
}

/// A transfer: what blocks are full of.
fn transaction(signer: &SigningKey, mark: u64) -> Signed {
    let fields = [
        Cell::Address(11),
        Cell::Long(mark as i64),
        Cell::Address(12),
        Cell::Long(1),
    ];
    let transfer = Record::of_kind(RecordKind::Transfer, fields);
    Signed::sign(signer, Cell::from(transfer))
}
