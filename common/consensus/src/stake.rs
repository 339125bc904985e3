//! Who votes with how much: the peers of a state with their weights (`spec/05 §3`).

use cells::{Cell, CellError, Index};
use crypto::AccountKey;
use cvm::state::{PeerStatus, State};

use crate::belief::key_of;
use crate::{DECAY_DELAY, DECAY_MIN, DECAY_TIME, MIN_STAKE};

/// The peers of one state, as a merge sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct Electorate {
    time: i64,
    voters: Vec<Voter>,
    total: f64,
}

/// One peer of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Voter {
    /// The key that it signs with.
    pub key: AccountKey,
    /// Coppers that are its own; `None` where the computation of the reference halts (`spec/04 §8.1`).
    pub own_stake: Option<i64>,
    /// Coppers that it holds, delegated ones included.
    pub balance: i64,
    /// Time of its latest executed block in milliseconds since the epoch; -1 before the first.
    pub timestamp: i64,
    /// Weight of its vote: shares with decay.
    pub weight: f64,
}

impl Voter {
    /// Whether orders and blocks of this peer count.
    #[must_use]
    pub fn is_staked(&self) -> bool {
        self.own_stake.is_some_and(|stake| stake >= MIN_STAKE)
    }
}

/// What is left of a weight at state time `now` of a peer whose latest block is from `active` (`spec/05 §3.1`).
///
/// ```
/// assert_eq!(consensus::decay(180_000, 0), 1.0);
/// assert!(consensus::decay(480_000, 0) < 0.368);
/// assert_eq!(consensus::decay(0, -1), 0.001);
/// ```
#[must_use]
pub fn decay(now: i64, active: i64) -> f64 {
    if active < 0 {
        return DECAY_MIN;
    }
    if active >= now {
        return 1.0;
    }
    let silent = now.wrapping_sub(active) as f64 - DECAY_DELAY as f64;
    if silent < 0.0 {
        return 1.0;
    }
    DECAY_MIN.max(cvm::math::exp(-silent / DECAY_TIME))
}

impl Electorate {
    /// Of the peers of a state.
    ///
    /// # Errors
    /// When a peer can't be read.
    pub fn of(state: &State) -> Result<Self, CellError> {
        Self::new(state.globals().timestamp, state.peers())
    }

    /// Of an index of peers at a time in milliseconds since the epoch.
    ///
    /// # Errors
    /// When a peer can't be read, or the index is malformed.
    pub fn new(time: i64, peers: &Index) -> Result<Self, CellError> {
        let mut voters: Vec<Voter> = Vec::new();
        let mut total = 0.0;
        for entry in peers.iter() {
            let (key, value) = entry?;
            let voter = voter(time, &key, &value)?;
            if voters.last().is_some_and(|last| last.key >= voter.key) {
                return Err(CellError::Malformed("keys of peers do not ascend"));
            }
            total += voter.weight;
            voters.push(voter);
        }
        Ok(Self {
            time,
            voters,
            total,
        })
    }

    /// Time of the state.
    #[must_use]
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The peers by ascending key.
    #[must_use]
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// Weight of all peers together, silent and understaked ones included.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// A peer by its key.
    #[must_use]
    pub fn voter(&self, key: &AccountKey) -> Option<&Voter> {
        let i = self.voters.binary_search_by(|v| v.key.cmp(key)).ok()?;
        self.voters.get(i)
    }

    /// Weight of the vote of a key; zero for strangers.
    #[must_use]
    pub fn weight(&self, key: &AccountKey) -> f64 {
        self.voter(key).map_or(0.0, |voter| voter.weight)
    }
}

fn voter(time: i64, key: &Cell, value: &Cell) -> Result<Voter, CellError> {
    let key = key_of(key).ok_or(CellError::Malformed("a peer without a key of 32 bytes"))?;
    let peer = PeerStatus::from_cell(value)?;
    let shares = peer.stake.wrapping_add(peer.delegated_stake);
    Ok(Voter {
        key,
        own_stake: peer.own_stake().ok(),
        balance: peer.balance,
        timestamp: peer.timestamp,
        weight: shares as f64 * decay(time, peer.timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `spec/05 §3.1`, the table: shares 10^13 each, state time T0 + 3,600,000.
    #[test]
    fn weights_decay_as_the_table_of_the_specification_says() {
        let now = 1_735_056_000_000 + 3_600_000;
        let rows: [(i64, u64); 6] = [
            (now, 0x42a2_309c_e540_0000),
            (now - 180_000, 0x42a2_309c_e540_0000),
            (now - 180_001, 0x42a2_3098_ebff_c472),
            (now - 900_000, 0x426a_6703_a44b_c401),
            (now - 3_600_000, 0x4202_a05f_2000_0000),
            (-1, 0x4202_a05f_2000_0000),
        ];
        let mut peers = Index::empty();
        for (i, (active, _)) in rows.iter().enumerate() {
            let mut peer = PeerStatus::new(1, 10_000_000_000_000);
            peer.timestamp = *active;
            let key = AccountKey::new([i as u8; 32]);
            peers = peers
                .assoc(crate::belief::key_cell(&key), peer.to_cell())
                .unwrap()
                .unwrap();
        }
        let electorate = Electorate::new(now, &peers).unwrap();
        for (voter, (active, bits)) in electorate.voters().iter().zip(rows) {
            assert_eq!(voter.weight.to_bits(), bits, "active at {active}");
        }
        assert_eq!(electorate.total().to_bits(), 0x42bc_20c9_902a_4059);
    }
}
