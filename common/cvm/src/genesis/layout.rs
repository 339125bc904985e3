//! Who has what in the beginning: accounts #0 to #7, users, peers and reserved accounts (`spec/04 §12.3`).

use cells::Cell;

use super::{GenesisError, Parameters};
use crate::state::{Account, Globals, MAX_COINS, PeerStatus, State};

/// Coppers in a gold coin.
const GOLD: i64 = 1_000_000_000;
/// Most peers at genesis: their controllers and the first user come before #64.
pub const MAX_PEERS: usize = 51;
/// Effective stake below which a peer's blocks are not valid (`spec/04 §1.2`).
const MINIMUM_STAKE: i64 = 1_000 * GOLD;
/// Memory allowance of users, in bytes.
const USER_ALLOWANCE: i64 = 10_000;

/// Foundation.
const FOUNDATION: u64 = 2;
/// Network governance.
pub(super) const GOVERNANCE: u64 = 6;
/// Network administration.
const ADMIN: u64 = 7;
/// The first user.
pub(super) const USER: u64 = 11;
/// Controller of the first peer.
const FIRST_CONTROLLER: u64 = 12;
/// First account behind the users.
const FIRST_LIBRARY: u64 = 64;
/// First account behind the reserved ones.
const FIRST_CURRENCY: u64 = 128;

/// Coppers that #2 to #7 hold and that are not in circulation.
const HELD_BACK: [(u64, i64); 6] = [
    (FOUNDATION, 1_000_000 * GOLD),
    (3, 248_000_000 * GOLD),
    (4, 740_000_000 * GOLD),
    (5, 10_000_000 * GOLD - 2_000 * GOLD),
    (GOVERNANCE, 1_000 * GOLD),
    (ADMIN, 1_000 * GOLD),
];

/// How the coins in circulation are handed out, in coppers.
pub(super) struct Endowment {
    /// Balance of the first user, before it pays for the currencies.
    user: i64,
    /// For each peer: balance of the controller, and stake.
    peers: Vec<(i64, i64)>,
}

/// Splits `total` evenly over `n`; what doesn't divide goes to the last ones.
fn split(mut total: i64, n: usize) -> impl Iterator<Item = i64> {
    (0..n).map(move |i| {
        let part = total / (n - i) as i64;
        total -= part;
        part
    })
}

/// Works out who gets what: four fifths to users, half of it to the first one, and one fifth to peers.
pub(super) fn endow(parameters: &Parameters) -> Result<Endowment, GenesisError> {
    let keys = &parameters.peers;
    if keys.is_empty() || keys.len() > MAX_PEERS {
        return Err(GenesisError::PeerCount(keys.len()));
    }
    for (i, peer) in keys.iter().enumerate() {
        if let Some(j) = keys[..i].iter().position(|other| other.key == peer.key) {
            return Err(GenesisError::SamePeer(j, i));
        }
    }
    let issued = MAX_COINS
        - HELD_BACK.iter().map(|(_, coins)| coins).sum::<i64>()
        - Globals::default().memory_coins;
    let users = issued / 5 * 4;
    let user = users / 2;
    let mut peers = Vec::with_capacity(keys.len());
    let shares = split(users - user, keys.len()).zip(split(issued - users, keys.len()));
    for (number, ((balance, share), peer)) in shares.zip(keys).enumerate() {
        let funds = balance + share;
        let stake = peer.stake.unwrap_or(share);
        if !(0..=funds).contains(&stake) {
            return Err(GenesisError::Stake {
                peer: number,
                stake,
                most: funds,
            });
        }
        peers.push((funds - stake, stake));
    }
    if peers.iter().all(|&(_, stake)| stake < MINIMUM_STAKE) {
        return Err(GenesisError::NoValidPeer(MINIMUM_STAKE));
    }
    Ok(Endowment { user, peers })
}

fn controlled_by(controller: u64) -> Account {
    let mut account = Account::default();
    account.set_controller(Cell::Address(controller));
    account
}

/// #0 to #7.
pub(super) fn governance_accounts(mut state: State, parameters: &Parameters) -> State {
    // The null account, and `init`.
    state.push_account(Account::default());
    state.push_account(Account::default());
    for (address, balance) in HELD_BACK {
        let mut account = if address == FOUNDATION {
            Account::default()
        } else {
            controlled_by(FOUNDATION)
        };
        account.balance = balance;
        account.set_key(Some(if address == ADMIN {
            parameters.genesis
        } else {
            parameters.governance
        }));
        let pushed = state.push_account(account);
        debug_assert_eq!(pushed, address);
    }
    state
}

/// #11 to #63, and the peers.
pub(super) fn add_users(
    state: &mut State,
    parameters: &Parameters,
    endowment: &Endowment,
) -> Result<(), GenesisError> {
    let mut user = |key: [u8; 32], balance: i64| {
        let mut account = controlled_by(ADMIN);
        account.balance = balance;
        account.allowance = USER_ALLOWANCE;
        account.set_key(Some(key));
        state.push_account(account)
    };
    user(parameters.genesis, endowment.user);
    for (number, (peer, &(balance, _))) in parameters.peers.iter().zip(&endowment.peers).enumerate()
    {
        user(
            if number == 0 {
                parameters.genesis
            } else {
                peer.key
            },
            balance,
        );
    }
    let mut next = user(parameters.first_user.unwrap_or(parameters.genesis), 0) + 1;
    while next < FIRST_LIBRARY {
        next = user(parameters.genesis, 0) + 1;
    }
    for (number, (peer, &(_, stake))) in parameters.peers.iter().zip(&endowment.peers).enumerate() {
        state.set_peer(
            &peer.key,
            &PeerStatus::new(FIRST_CONTROLLER + number as u64, stake),
        )?;
    }
    Ok(())
}

/// The accounts up to #127 that are kept for later.
pub(super) fn add_reserved(state: &mut State) {
    while state.account_count() < FIRST_CURRENCY {
        state.push_account(controlled_by(ADMIN));
    }
}
