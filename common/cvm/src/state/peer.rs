//! Peers: own and delegated stake, and what each of both is worth (`spec/04 §2.3`, `§8`).

use cells::{Cell, CellError, Index, Map, Record, RecordKind};

/// A multiplication by a negative number of shares or coins: the reference halts the block here
/// (`spec/04 §8.1`, `§11` number 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Negative multiplicand!")]
pub struct NegativeStake;

/// floor(a·b/c), or -1 when that doesn't fit in 63 bits.
fn mul_div(a: i64, b: i64, c: i64) -> Result<i64, NegativeStake> {
    if a < 0 || b < 0 || c <= 0 {
        return Err(NegativeStake);
    }
    let quotient = i128::from(a) * i128::from(b) / i128::from(c);
    Ok(i64::try_from(quotient).unwrap_or(-1))
}

/// What the state knows about a peer.
///
/// `stake` and `delegated_stake` count shares, `balance` counts coins; rewards raise only the balance, so that
/// a share grows in value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The account that decides about the peer; `None` only in a hand-made state.
    pub controller: Option<u64>,
    /// Own shares.
    pub stake: i64,
    /// Shares by delegator. An empty index at creation, `None` after the last delegator has left.
    pub stakes: Option<Index>,
    /// All delegated shares; negative after withdrawals that took rewards along (`spec/04 §8.6`).
    pub delegated_stake: i64,
    /// What the peer says about itself.
    pub metadata: Option<Map>,
    /// Time of its latest executed block, -1 before the first.
    pub timestamp: i64,
    /// Coins held for the peer and its delegators.
    pub balance: i64,
}

impl PeerStatus {
    /// A peer as `create-peer` makes it (`spec/04 §2.3`).
    #[must_use]
    pub fn new(controller: u64, stake: i64) -> Self {
        Self {
            controller: Some(controller),
            stake,
            stakes: Some(Index::empty()),
            delegated_stake: 0,
            metadata: None,
            timestamp: -1,
            balance: stake,
        }
    }

    /// Coins that belong to all delegators.
    ///
    /// # Errors
    /// [`NegativeStake`]: a host fault.
    pub fn delegated_total(&self) -> Result<i64, NegativeStake> {
        let shares = self.stake.wrapping_add(self.delegated_stake);
        if shares <= 0 {
            Ok(0)
        } else {
            mul_div(self.balance, self.delegated_stake, shares)
        }
    }

    /// Coins that belong to the peer itself: what `get-peer-stake` answers.
    ///
    /// # Errors
    /// [`NegativeStake`]: a host fault.
    pub fn own_stake(&self) -> Result<i64, NegativeStake> {
        Ok(self.balance.wrapping_sub(self.delegated_total()?))
    }

    /// Shares of one delegator.
    ///
    /// # Errors
    /// When the index of stakes can't be read.
    pub fn shares_of(&self, delegator: u64) -> Result<i64, CellError> {
        let Some(stakes) = &self.stakes else {
            return Ok(0);
        };
        Ok(match stakes.get(&Cell::Address(delegator))? {
            Some(Cell::Long(n)) => n,
            _ => 0,
        })
    }

    /// Coins that `shares` of a delegator are worth: what `get-stake` answers.
    ///
    /// # Errors
    /// [`NegativeStake`]: a host fault.
    pub fn delegated(&self, shares: i64) -> Result<i64, NegativeStake> {
        if self.delegated_stake <= 0 || shares == 0 {
            return Ok(0);
        }
        mul_div(self.delegated_total()?, shares, self.delegated_stake)
    }

    /// Sets the own shares; the balance follows (`spec/04 §8.3`). An equal number leaves the record as it is.
    pub fn set_stake(&mut self, stake: i64) {
        if stake == self.stake {
            return;
        }
        self.balance = self.balance.wrapping_add(stake.wrapping_sub(self.stake));
        self.stake = stake;
        self.normalise();
    }

    /// Sets the shares of one delegator while `delta` coins move into the peer's balance (`spec/04 §8.4`).
    ///
    /// # Errors
    /// When the index of stakes can't be read.
    pub fn set_delegated(
        &mut self,
        delegator: u64,
        shares: i64,
        delta: i64,
    ) -> Result<(), CellError> {
        let key = Cell::Address(delegator);
        let stakes = self.stakes.take().unwrap_or_else(Index::empty);
        let stakes = if shares == 0 {
            stakes.dissoc(&key)?
        } else {
            stakes
                .assoc(key, Cell::Long(shares))?
                .ok_or(CellError::Malformed("an address is no index key"))?
        };
        self.stakes = (!stakes.is_empty()).then_some(stakes);
        self.delegated_stake = self.delegated_stake.wrapping_add(delta);
        self.balance = self.balance.wrapping_add(delta);
        self.normalise();
        Ok(())
    }

    /// Every stake change writes absent metadata as an empty map (`spec/04 §8.1`).
    fn normalise(&mut self) {
        self.metadata.get_or_insert_with(Map::empty);
    }

    /// The record.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        Cell::from(Record::of_kind(
            RecordKind::Peer,
            [
                self.controller.map_or(Cell::Nil, Cell::Address),
                Cell::Long(self.stake),
                Cell::from(self.stakes.clone()),
                Cell::Long(self.delegated_stake),
                Cell::from(self.metadata.clone()),
                Cell::Long(self.timestamp),
                Cell::Long(self.balance),
            ],
        ))
    }

    /// From its record.
    ///
    /// # Errors
    /// When a field can't be read, or has a type that no rule produces.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        const MALFORMED: CellError = CellError::Malformed("no peer record");
        let fields = super::record_fields(cell, RecordKind::Peer, MALFORMED)?;
        let long = |i: usize| match fields[i] {
            Cell::Long(n) => Ok(n),
            _ => Err(MALFORMED),
        };
        let [controller, _, stakes, _, metadata, _, _] = &fields;
        Ok(Self {
            controller: match controller {
                Cell::Address(a) => Some(*a),
                Cell::Nil => None,
                _ => return Err(MALFORMED),
            },
            stake: long(1)?,
            stakes: match stakes {
                Cell::Index(i) => Some(i.clone()),
                Cell::Nil => None,
                _ => return Err(MALFORMED),
            },
            delegated_stake: long(3)?,
            metadata: match metadata {
                Cell::Map(m) => Some(m.clone()),
                Cell::Nil => None,
                _ => return Err(MALFORMED),
            },
            timestamp: long(5)?,
            balance: long(6)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(cell: &Cell) -> String {
        cell.encode().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The peer of the minimal genesis, `spec/04 §13.1`.
    #[test]
    fn a_new_peer_has_an_empty_index_of_stakes_and_no_metadata() {
        let peer = PeerStatus::new(11, 2_000_000_000_000);
        assert_eq!(
            hex(&peer.to_cell()),
            "d907ea0b1601d1a94a20008400100011ff1601d1a94a2000"
        );
        assert_eq!(PeerStatus::from_cell(&peer.to_cell()), Ok(peer));
    }

    /// `spec/04 §2.3`, `§8.1`: the two forms of "empty".
    #[test]
    fn the_last_delegator_leaves_nil_stakes_and_a_map_of_metadata_behind() {
        let mut peer = PeerStatus::new(11, 5);
        peer.set_delegated(12, 7, 7).unwrap();
        assert_eq!(
            (peer.delegated_stake, peer.balance, peer.shares_of(12)),
            (7, 12, Ok(7))
        );
        assert_eq!(peer.metadata, Some(Map::empty()));
        peer.set_delegated(12, 0, -7).unwrap();
        assert_eq!(
            (peer.delegated_stake, peer.balance, peer.stakes.clone()),
            (0, 5, None)
        );
    }

    /// `spec/04 §8.6`, the worked table.
    #[test]
    fn rewards_make_shares_and_coins_diverge_as_the_table_says() {
        let mut peer = PeerStatus::new(12, 99_900_000_000_000);
        peer.set_delegated(11, 99_900_000_000_000, 99_900_000_000_000)
            .unwrap();
        peer.balance = 199_800_019_595_325;
        let shares = peer.shares_of(11).unwrap();
        assert_eq!(peer.delegated(shares), Ok(99_900_009_797_662));
        assert_eq!(peer.own_stake(), Ok(99_900_009_797_663));

        peer.balance = 199_800_019_616_850;
        let delta = 50_000_000_000_000 - peer.delegated(shares).unwrap();
        assert_eq!(delta, -49_900_009_808_425);
        peer.set_delegated(11, 50_000_000_000_000, delta).unwrap();
        peer.balance += 12_225;
        assert_eq!(
            (peer.delegated_stake, peer.balance),
            (49_999_990_191_575, 149_900_009_820_650)
        );

        assert_eq!(
            150_000_000_000_000 - peer.own_stake().unwrap(),
            50_099_986_918_314
        );
        peer.set_stake(150_000_000_000_000);
        peer.balance += 16_825;
        assert_eq!(peer.balance, 200_000_009_837_475);

        let shares = peer.shares_of(11).unwrap();
        let delta = -peer.delegated(shares).unwrap();
        assert_eq!(delta, -50_000_004_911_474);
        peer.set_delegated(11, 0, delta).unwrap();
        assert_eq!(peer.delegated_stake, -14_719_899);
        assert_eq!(peer.own_stake(), Err(NegativeStake));
        assert_eq!(peer.delegated(0), Ok(0));
    }

    /// `spec/04 §8.3`.
    #[test]
    fn setting_the_stake_to_its_own_number_of_shares_leaves_the_record_untouched() {
        let mut peer = PeerStatus::new(12, 100);
        peer.balance = 130;
        peer.set_stake(100);
        assert_eq!((peer.stake, peer.balance, peer.metadata), (100, 130, None));
    }
}
