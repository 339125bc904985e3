//! What a state says about a peer and about an account that has to do with it.

use cells::{Cell, CellError, Keyword};
use consensus::{Electorate, MIN_STAKE, decay};
use cvm::state::{PeerStatus, State};
use serde_json::{Value, json};

/// Key of the host in the metadata of a peer.
const URL: &str = "url";

/// An account, and a peer that it has to do with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    /// Coppers of the account.
    pub(crate) balance: i64,
    /// Number of its latest transaction.
    pub(crate) sequence: i64,
    /// The key that signs for it; an actor has none.
    pub(crate) key: Option<[u8; 32]>,
    /// The peer, if there is one with this key.
    pub(crate) peer: Option<Peer>,
    /// Peers of the state.
    pub(crate) peers: u64,
    /// Those of them whose blocks count.
    pub(crate) counting: usize,
}

/// A peer of a state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Peer {
    /// As the state has it.
    pub(crate) record: PeerStatus,
    /// Coppers that are the peer's own; `None` where the network can't tell either (`spec/04 §8.1`).
    pub(crate) own: Option<i64>,
    /// Coppers that all delegators have in it.
    pub(crate) delegated: Option<i64>,
    /// Coppers that the account has delegated.
    pub(crate) by_account: Option<i64>,
    /// What is left of its weight after its silence, 1 for all of it.
    pub(crate) activity: f64,
    /// Milliseconds from its latest block to the time of the state; `None` before the first.
    pub(crate) silent: Option<i64>,
    /// Its part of the weight of all peers.
    pub(crate) share: f64,
    /// Where it says that it is.
    pub(crate) host: Option<String>,
}

impl Standing {
    /// Of an account (`None` of those that are no account) and a peer key in a state.
    pub(crate) fn of(
        state: &State,
        key: &[u8; 32],
        account: u64,
    ) -> Result<Option<Self>, CellError> {
        let Some(found) = state.account(account)? else {
            return Ok(None);
        };
        let electorate = Electorate::of(state)?;
        Ok(Some(Self {
            balance: found.balance,
            sequence: found.sequence,
            key: found.key().copied(),
            peer: Peer::of(state, key, account)?,
            peers: state.peers().count(),
            counting: electorate
                .voters()
                .iter()
                .filter(|voter| voter.is_staked())
                .count(),
        }))
    }
}

impl Peer {
    /// The peer with this key, and what an account has in it.
    pub(crate) fn of(
        state: &State,
        key: &[u8; 32],
        account: u64,
    ) -> Result<Option<Self>, CellError> {
        let Some(record) = state.peer(key)? else {
            return Ok(None);
        };
        let electorate = Electorate::of(state)?;
        let weight = electorate.weight(&crypto::AccountKey::new(*key));
        let now = electorate.time();
        Ok(Some(Self {
            own: record.own_stake().ok(),
            delegated: record.delegated_total().ok(),
            by_account: record.delegated(record.shares_of(account)?).ok(),
            activity: decay(now, record.timestamp),
            silent: (record.timestamp >= 0).then(|| now.saturating_sub(record.timestamp).max(0)),
            share: if electorate.total() > 0.0 {
                weight / electorate.total()
            } else {
                0.0
            },
            host: host(&record)?,
            record,
        }))
    }

    /// Coppers above the shares: fees that the peer has earned and nobody has moved since.
    pub(crate) fn earned(&self) -> i64 {
        let shares = self.record.stake.wrapping_add(self.record.delegated_stake);
        self.record.balance.wrapping_sub(shares)
    }

    /// Whether its blocks and orders count.
    pub(crate) fn counts(&self) -> bool {
        self.own.is_some_and(|own| own >= MIN_STAKE)
    }

    /// For programs; amounts are coppers.
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "controller": self.record.controller,
            "own_stake": self.own,
            "delegated_stake": self.delegated,
            "own_shares": self.record.stake,
            "delegated_shares": self.record.delegated_stake,
            "balance": self.record.balance,
            "earned": self.earned(),
            "counts": self.counts(),
            "activity": self.activity,
            "silent_ms": self.silent,
            "share": self.share,
            "host": self.host,
        })
    }
}

/// The host in the metadata of a peer, as it is there.
fn host(record: &PeerStatus) -> Result<Option<String>, CellError> {
    let Some(metadata) = &record.metadata else {
        return Ok(None);
    };
    Ok(match metadata.get(&Cell::from(Keyword::literal(URL)))? {
        Some(Cell::Str(text)) => Some(String::from_utf8_lossy(&text.to_vec()?).into_owned()),
        _ => None,
    })
}

/// A part of a whole as people read it.
pub(crate) fn percent(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0 %".to_owned(),
        few if few < 0.01 => "less than 0.01 %".to_owned(),
        percent => format!("{percent:.2} %"),
    }
}
