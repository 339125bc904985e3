//! `convexctl stake`, and of `convexctl peer` what changes the peer in the state of the network.
//!
//! The key that decides about a stake is that of the controller account, not that of the peer. Every change is executed here first,
//! by our own machine on the cells of a state of the network; what is shown beforehand is what that execution came to.

mod change;
mod effect;
mod send;
mod show;
mod standing;

use cells::Hash;
use ipc::control::{PeerStatus, Reply, Request};

use crate::amount::Amount;
use crate::chain::{Chain, Snapshot};
use crate::cli;
use crate::control::{Connection, run_directory, unexpected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

use change::Change;
pub use change::Host;
use standing::Standing;

pub(crate) fn run(command: cli::Stake, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        cli::Stake::Show(args) => show::run(&args, out),
        cli::Stake::Set(args) => {
            let stake = amount(&args.amount)?;
            send::run(&args.by, args.below_minimum, &Change::Stake(stake), out)
        }
        cli::Stake::Withdraw(args) => {
            let change = match args.amount.as_slice() {
                [all] if all == "all" => Change::Stake(Amount::ZERO),
                texts => match amount(texts)? {
                    Amount::ZERO => return Err(Failure::usage("nothing is to be withdrawn")),
                    part => Change::Withdraw(part),
                },
            };
            send::run(&args.by, args.below_minimum, &change, out)
        }
        cli::Stake::Delegate(args) => {
            let stake = amount(&args.amount)?;
            send::run(&args.by, false, &Change::Delegate(stake), out)
        }
    }
}

pub(crate) fn create(args: &cli::PeerCreate, out: &mut Out) -> Result<Exit, Failure> {
    let change = Change::Create {
        stake: amount(&args.stake)?,
        host: args.host.clone(),
    };
    send::run(&args.by, args.below_minimum, &change, out)
}

pub(crate) fn evict(args: &cli::PeerEvict, out: &mut Out) -> Result<Exit, Failure> {
    send::run(&args.by, false, &Change::Evict, out)
}

pub(crate) fn set_host(args: &cli::PeerSetHost, out: &mut Out) -> Result<Exit, Failure> {
    send::run(&args.by, false, &Change::Host(args.host.clone()), out)
}

/// An amount that may be two arguments, a number and its unit.
fn amount(texts: &[String]) -> Result<Amount, Failure> {
    texts.join(" ").parse().map_err(Failure::usage)
}

/// The peer that is meant, and what is known of the one on this machine.
struct Target {
    key: [u8; 32],
    /// The network that it has to be, and who says so.
    network: Option<(Hash, &'static str)>,
}

impl Target {
    fn of(which: &cli::WhichPeer) -> Result<Self, Failure> {
        let given = which.network.map(|network| (network, "--network"));
        if let Some(key) = which.peer_key {
            return Ok(Self {
                key,
                network: given,
            });
        }
        let status = match Connection::open(&run_directory(&which.on)) {
            Ok(mut connection) => status(&mut connection)?,
            Err(failure) => {
                return Err(
                    Failure::usage("no peer is named, and none runs on this machine")
                        .remedy(format!("name one with --peer-key KEY ({})", failure.cause)),
                );
            }
        };
        Ok(Self {
            key: status.key,
            network: given.or(Some((Hash(status.network), "the peer of this machine"))),
        })
    }

    fn check_network(&self, chain: &Chain) -> Result<(), Failure> {
        match self.network {
            Some((wanted, who)) if wanted != chain.network => Err(Failure::new(
                Exit::Negative,
                format!(
                    "{} is of the network {}, and {who} says {wanted}",
                    chain.host, chain.network
                ),
            )
            .remedy("name a peer of the right network with --peer HOST:PORT")),
            _ => Ok(()),
        }
    }
}

fn status(connection: &mut Connection) -> Result<Box<PeerStatus>, Failure> {
    match connection.call(&Request::Status)? {
        Reply::Status(status) => Ok(status),
        other => Err(unexpected(&other)),
    }
}

/// The standing of an account and a peer in a snapshot.
fn standing(
    chain: &Chain,
    snapshot: &Snapshot,
    key: &[u8; 32],
    account: u64,
) -> Result<Standing, Failure> {
    let found =
        Standing::of(&snapshot.state, key, account).map_err(|error| chain.unread(&error))?;
    found.ok_or_else(|| {
        Failure::new(
            Exit::Negative,
            format!("there is no account #{account} in this network"),
        )
        .remedy("check --address and --peer")
    })
}
