//! The initial state of a new network (`spec/04 §12`).
//!
//! Layout, amounts and names are those that clients and reference peers expect; the libraries are our own, in
//! `lisp/`. The state is a function of the [`Parameters`] alone, so everybody who builds it gets the same hash.

mod core_account;
mod layout;
mod libraries;

use cells::{Cell, CellError, Index, Vector};

use crate::context::{Context, Machine, Start};
use crate::exit::Exit;
use crate::reader::ReadError;
use crate::rules::Rules;
use crate::state::{Globals, INITIAL_TIMESTAMP, State};

pub use layout::MAX_PEERS;

/// Juice that one form of a library may use. Nobody pays for it; it ends a form that would not end by itself.
const FORM_LIMIT: u64 = 1_000_000_000;

/// What a genesis state depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Key of the governance accounts #2 to #6.
    pub governance: [u8; 32],
    /// Key of the accounts that are nobody else's: #7, #11, the controller of the first peer, and the reserved users.
    pub genesis: [u8; 32],
    /// The first peers, 1 to [`MAX_PEERS`], in the order of their controllers #12, #13 and so on.
    pub peers: Vec<GenesisPeer>,
    /// Key of the account behind the last controller; the genesis key if there is none.
    pub first_user: Option<[u8; 32]>,
    /// Time of the state, milliseconds since the epoch.
    pub timestamp: i64,
}

/// A peer that exists from the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesisPeer {
    /// Its key. The controllers of all peers but the first have the key of their peer.
    pub key: [u8; 32],
    /// Coppers staked at the beginning; an even share of what is meant for peers if there is none. The difference
    /// to the even share goes to or comes from the balance of the controller.
    pub stake: Option<i64>,
}

impl Parameters {
    /// Parameters with even stakes and the usual time.
    #[must_use]
    pub fn new(governance: [u8; 32], genesis: [u8; 32], peers: &[[u8; 32]]) -> Self {
        Self {
            governance,
            genesis,
            peers: peers
                .iter()
                .map(|&key| GenesisPeer { key, stake: None })
                .collect(),
            first_user: None,
            timestamp: INITIAL_TIMESTAMP,
        }
    }
}

/// Why there is no genesis state.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// No peers, or more than fit before the reserved accounts.
    #[error("a genesis needs 1 to {MAX_PEERS} peers, not {0}")]
    PeerCount(usize),
    /// Two peers with the same key.
    #[error("peers {0} and {1} have the same key")]
    SamePeer(usize, usize),
    /// A stake that is negative or more than the funds of the peer's controller.
    #[error("peer {peer} can stake from 0 to {most} coppers, not {stake}")]
    Stake {
        /// Number of the peer, from 0.
        peer: usize,
        /// The stake asked for.
        stake: i64,
        /// The largest that is possible.
        most: i64,
    },
    /// No stake reaches the minimum, so that no block could ever be valid (`spec/04 §12.1`).
    #[error("no peer has the minimum stake of {0} coppers")]
    NoValidPeer(i64),
    /// A library that can't be read.
    #[error("{file}: {error}")]
    Read {
        /// Its file.
        file: &'static str,
        /// What is wrong in it.
        error: ReadError,
    },
    /// A form of a library that does not evaluate.
    #[error("{file}, form {form} in #{address}: {}", describe(exit))]
    Evaluate {
        /// Its file.
        file: &'static str,
        /// Number of the form, from 0.
        form: usize,
        /// The account that evaluates.
        address: u64,
        /// How it ended.
        exit: Box<Exit>,
    },
    /// Data of a library in a form that is not expected.
    #[error("{file}: {what}")]
    Data {
        /// Its file.
        file: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// A value that can't be built; does not happen with values held in memory.
    #[error(transparent)]
    Cell(#[from] CellError),
}

/// What went wrong, in one line.
fn describe(exit: &Exit) -> String {
    match exit {
        Exit::Error(error) => format!("{} {}", error.code, error.message),
        Exit::Juice => "it does not end".into(),
        other => format!("{other:?}"),
    }
}

/// Builds the state.
///
/// # Errors
/// When the parameters don't make a network.
pub fn genesis(parameters: &Parameters) -> Result<State, GenesisError> {
    let endowment = layout::endow(parameters)?;
    let globals = Globals {
        timestamp: parameters.timestamp,
        ..Globals::default()
    };
    let mut builder = Builder {
        machine: Machine::new(Rules::latest()),
        state: State::new(Vector::empty(), Index::empty(), globals, Index::empty()),
    };
    builder.state = layout::governance_accounts(builder.state, parameters);
    core_account::add(&mut builder)?;
    libraries::add_static(&mut builder)?;
    layout::add_users(&mut builder.state, parameters, &endowment)?;
    libraries::add_standard(&mut builder)?;
    layout::add_reserved(&mut builder.state);
    libraries::add_currencies(&mut builder)?;
    builder.state.settle()?;
    Ok(builder.state)
}

/// The state under construction and what evaluates code in it.
struct Builder {
    machine: Machine,
    state: State,
}

impl Builder {
    /// Evaluates each form of a file in an account, without fees, sequence or memory accounting.
    fn evaluate(
        &mut self,
        file: &'static str,
        source: &str,
        address: u64,
    ) -> Result<(), GenesisError> {
        let forms =
            crate::reader::read_all(source).map_err(|error| GenesisError::Read { file, error })?;
        for (number, form) in forms.iter().enumerate() {
            let start = Start {
                origin: address,
                limit: FORM_LIMIT,
                location: (-1, 0),
                signer: None,
                peer: None,
            };
            Context::new(&mut self.machine, &mut self.state, start)
                .run(&form?)
                .map_err(|exit| GenesisError::Evaluate {
                    file,
                    form: number,
                    address,
                    exit: Box::new(exit),
                })?;
        }
        self.state.settle()?;
        Ok(())
    }
}

/// Reads a file that holds one form of data.
fn read_data(file: &'static str, source: &str) -> Result<Cell, GenesisError> {
    crate::reader::read(source).map_err(|error| GenesisError::Read { file, error })
}

#[cfg(test)]
mod tests;
