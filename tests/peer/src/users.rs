//! The hundred users of `spec/10`, the states that know them, and their transfers.

use std::path::PathBuf;
use std::sync::Arc;

use cells::{Cell, Decoder, Index, Record, RecordKind, Signed, decode_message};
use crypto::{SigningKey, sha3_256};
use cvm::genesis::{Parameters, genesis};
use cvm::state::{Account, PeerStatus, State};

/// Users of a state.
pub const USERS: usize = 100;
/// Coppers of each.
const BALANCE: i64 = 100_000_000_000;
/// Bytes of memory that each may use before paying.
const ALLOWANCE: i64 = 100_000;
/// Hash of the state of the shared vectors with the users and the two peers of the measurements (`spec/10`).
const MEASURED: &str = "9bba1d673c1775ba84ff6eebda671f56e8f213c655d515bc0d9b0b6bf1a05893";
/// Stakes of those two peers.
const STAKES: [i64; 2] = [49_950_000_000_000, 1_000_000_000_000];
/// Amount of the first transfer.
const AMOUNT: i64 = 1_000;

/// A genesis state with users.
#[derive(Debug)]
pub struct Genesis {
    /// The state.
    pub state: State,
    /// The users.
    pub users: Users,
    /// Seed of the peer that has nearly all stake.
    pub peer_seed: [u8; 32],
}

/// The users of a state.
#[derive(Debug, Clone)]
pub struct Users {
    /// Address of the first; the others follow.
    pub first: u64,
    keys: Arc<[SigningKey]>,
}

/// The seed that is the hash of a label.
#[must_use]
pub fn seed(label: &str) -> [u8; 32] {
    sha3_256(label.as_bytes())
}

/// The key of a user.
#[must_use]
pub fn user_key(user: usize) -> SigningKey {
    SigningKey::from_seed(&seed(&format!("perf-user{user}")))
}

/// The state of `spec/10`, from the shared vectors; `None` where there are none.
///
/// # Panics
/// When the vectors are not what they should be.
#[must_use]
pub fn measured() -> Option<Genesis> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/genesis-085.bin");
    let bytes = std::fs::read(path).ok()?;
    let cell = decode_message(&bytes, &Decoder::new()).expect("the genesis state");
    let mut state = State::from_cell(&cell).expect("a state");
    let labels = ["convex-vectors-shared/peer0", "convex-vectors-shared/peer1"];
    let keys = labels.map(|label| *key_of(&seed(label)).as_bytes());
    let controllers = keys.map(|key| {
        state
            .peer(&key)
            .expect("in memory")
            .and_then(|p| p.controller)
    });
    let others: Vec<[u8; 32]> = peer_keys(state.peers());
    for key in others {
        state.remove_peer(&key).expect("in memory");
    }
    for ((key, stake), controller) in keys.iter().zip(STAKES).zip(controllers) {
        let peer = PeerStatus::new(controller.unwrap_or(11), stake);
        state.set_peer(key, &peer).expect("in memory");
    }
    let mut genesis = with_users(state, seed(labels[0]));
    let hash = genesis.state.hash().expect("in memory").to_string();
    assert_eq!(hash, MEASURED, "the state of the measurements");
    Some(genesis)
}

fn peer_keys(peers: &Index) -> Vec<[u8; 32]> {
    let key = |entry: Result<(Cell, Cell), _>| match entry {
        Ok((Cell::Blob(key), _)) => key.to_vec().ok()?.try_into().ok(),
        _ => None,
    };
    peers.iter().filter_map(key).collect()
}

fn key_of(seed: &[u8; 32]) -> crypto::AccountKey {
    SigningKey::from_seed(seed).account_key()
}

/// A new network of one peer, with users.
///
/// # Panics
/// When the genesis can't be made.
#[must_use]
pub fn fresh() -> Genesis {
    let peer_seed = seed("peer-tests/peer");
    let owner = *key_of(&seed("peer-tests/owner")).as_bytes();
    let peer = *key_of(&peer_seed).as_bytes();
    let state = genesis(&Parameters::new(owner, owner, &[peer])).expect("a genesis state");
    with_users(state, peer_seed)
}

fn with_users(mut state: State, peer_seed: [u8; 32]) -> Genesis {
    let first_user = state.account_count();
    for user in 0..USERS {
        let mut account = Account::default();
        (account.balance, account.allowance) = (BALANCE, ALLOWANCE);
        account.set_key(Some(*user_key(user).account_key().as_bytes()));
        state.push_account(account);
    }
    Genesis {
        state,
        users: Users::from(first_user),
        peer_seed,
    }
}

impl Users {
    /// The users whose first has this address.
    #[must_use]
    pub fn from(first: u64) -> Self {
        Self {
            first,
            keys: (0..USERS).map(user_key).collect(),
        }
    }

    /// Address of a user.
    #[must_use]
    pub fn address(&self, user: usize) -> u64 {
        self.first + user as u64
    }

    /// A transfer between users, as `spec/10` has it: number `n` overall is sent by user `n mod 100`.
    #[must_use]
    pub fn transfer(&self, user: usize, sequence: i64) -> Signed {
        let n = (sequence - 1) * USERS as i64 + user as i64;
        let to = self.address((7 * user + 1) % USERS);
        let amount = AMOUNT + n % 10_000;
        self.signed(user, transfer(self.address(user), sequence, to, amount))
    }

    /// A transaction with the signature of a user.
    #[must_use]
    pub fn signed(&self, user: usize, transaction: Cell) -> Signed {
        Signed::sign(&self.keys[user], transaction)
    }
}

/// A transfer.
#[must_use]
pub fn transfer(from: u64, sequence: i64, to: u64, amount: i64) -> Cell {
    Cell::from(Record::of_kind(
        RecordKind::Transfer,
        [
            Cell::Address(from),
            Cell::Long(sequence),
            Cell::Address(to),
            Cell::Long(amount),
        ],
    ))
}

/// An evaluation of a form.
#[must_use]
pub fn invoke(from: u64, sequence: i64, form: Cell) -> Cell {
    Cell::from(Record::of_kind(
        RecordKind::Invoke,
        [Cell::Address(from), Cell::Long(sequence), form],
    ))
}
