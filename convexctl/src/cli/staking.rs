//! Arguments of what changes a stake, and of signing without a network.

use std::path::PathBuf;

use cells::Hash;
use clap::{Args, Subcommand};

use super::{Control, Remote, address, peer_key};
use crate::stake::Host;

/// A peer in the state of a network, and where that state is asked for.
#[derive(Debug, Args)]
pub struct WhichPeer {
    /// Where.
    #[command(flatten)]
    pub at: Remote,
    /// Key of the peer that it is about, 64 hex digits [default: that of the peer of this machine]
    #[arg(long, value_name = "KEY", value_parser = peer_key)]
    pub peer_key: Option<[u8; 32]>,
    /// The network that it has to be: hash of its genesis state [default: that of the peer of this machine, if it is the one]
    #[arg(long, value_name = "HASH")]
    pub network: Option<Hash>,
    /// The peer of this machine.
    #[command(flatten)]
    pub on: Control,
}

/// Who changes something, and how far it goes.
#[derive(Debug, Args)]
pub struct Acting {
    /// The peer.
    #[command(flatten)]
    pub which: WhichPeer,
    /// Account that acts [default: the controller of the peer]
    #[arg(long, value_name = "N", value_parser = address)]
    pub address: Option<u64>,
    /// Key store with the key of the account, which should not be on the machine of the peer [default: that of the user of the local network]
    #[arg(long, value_name = "FILE")]
    pub key_store: Option<PathBuf>,
    /// File with the passphrase, readable by its owner only [default: ask]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Execute it here only, on the state of the network, and show what it does
    #[arg(long)]
    pub dry_run: bool,
    /// Send nothing: write the transaction to a file, for `convexctl sign` on another machine
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "yes"])]
    pub unsigned: Option<PathBuf>,
    /// Don't ask
    #[arg(long)]
    pub yes: bool,
    /// Print JSON; amounts are coppers
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `peer create`.
#[derive(Debug, Args)]
pub struct PeerCreate {
    /// Its own stake, such as 1500, 1,500.5 or 2 diamond; coins unless a unit says otherwise
    #[arg(long, value_name = "AMOUNT", num_args = 1..=2, required = true)]
    pub stake: Vec<String>,
    /// Where others reach it
    #[arg(long, value_name = "HOST:PORT")]
    pub host: Option<Host>,
    /// Accept a stake with which the peer counts for nothing
    #[arg(long)]
    pub below_minimum: bool,
    /// Who, and how.
    #[command(flatten)]
    pub by: Acting,
}

/// Arguments of `peer set-host`.
#[derive(Debug, Args)]
pub struct PeerSetHost {
    /// Where others reach it
    #[arg(value_name = "HOST:PORT")]
    pub host: Host,
    /// Who, and how.
    #[command(flatten)]
    pub by: Acting,
}

/// Arguments of `peer evict`.
#[derive(Debug, Args)]
pub struct PeerEvict {
    /// Who, and how.
    #[command(flatten)]
    pub by: Acting,
}

/// Commands of `stake`.
#[derive(Debug, Subcommand)]
pub enum Stake {
    /// Show what a peer has at stake, of whom, and what that is worth
    Show(StakeShow),
    /// Set the own stake of a peer to an amount; by its controller
    Set(StakeSet),
    /// Take an amount out of the own stake of a peer, or all; by its controller
    Withdraw(StakeWithdraw),
    /// Set what an account delegates to a peer to an amount; 0 takes it back
    Delegate(StakeDelegate),
}

/// Arguments of `stake show`.
#[derive(Debug, Args)]
pub struct StakeShow {
    /// The peer.
    #[command(flatten)]
    pub which: WhichPeer,
    /// Delegators that are listed, those with most first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub delegators: usize,
    /// Print JSON; amounts are coppers
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `stake set`.
#[derive(Debug, Args)]
pub struct StakeSet {
    /// What it is to be, such as 1500, 1,500.5 or 2 diamond; coins unless a unit says otherwise
    #[arg(value_name = "AMOUNT", num_args = 1..=2, required = true)]
    pub amount: Vec<String>,
    /// Accept a stake with which the peer counts for nothing
    #[arg(long)]
    pub below_minimum: bool,
    /// Who, and how.
    #[command(flatten)]
    pub by: Acting,
}

/// Arguments of `stake withdraw`.
#[derive(Debug, Args)]
pub struct StakeWithdraw {
    /// What is taken out: an amount in coins or with a unit, or `all`
    #[arg(value_name = "AMOUNT", num_args = 1..=2, required = true)]
    pub amount: Vec<String>,
    /// Accept a rest with which the peer counts for nothing
    #[arg(long)]
    pub below_minimum: bool,
    /// Who, and how.
    #[command(flatten)]
    pub by: Acting,
}

/// Arguments of `stake delegate`.
#[derive(Debug, Args)]
pub struct StakeDelegate {
    /// What it is to be, not what is added; coins unless a unit says otherwise
    #[arg(value_name = "AMOUNT", num_args = 1..=2, required = true)]
    pub amount: Vec<String>,
    /// Who, and how.
    #[command(flatten)]
    pub by: Acting,
}

/// Arguments of `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// File with transactions, as --unsigned makes it; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Key store with the key of the account
    #[arg(long, value_name = "FILE")]
    pub key_store: PathBuf,
    /// Key in it, in hex [default: the only one]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// File with the passphrase, readable by its owner only [default: ask]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Don't ask
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// File with one signed transaction, as `sign` makes it; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where.
    #[command(flatten)]
    pub at: Remote,
    /// The network that it has to be: hash of its genesis state
    #[arg(long, value_name = "HASH")]
    pub network: Option<Hash>,
    /// The peer with the armed withdrawals that one is reminded of.
    #[command(flatten)]
    pub on: Control,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
