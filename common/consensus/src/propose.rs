//! Own blocks: when a peer may publish, and what (`spec/05 §11`).

use cells::Signed;
use crypto::AccountKey;
use cvm::state::{Block, MAX_TRANSACTIONS};

use crate::{Electorate, MIN_STAKE};

/// Whether a peer may publish blocks: it is alone, or holds the minimum with what was delegated to it. The coins that it owns may
/// still be too few for its blocks to count (`spec/05 §3`).
#[must_use]
pub fn is_ready(electorate: &Electorate, key: &AccountKey) -> bool {
    electorate.voters().len() <= 1
        || electorate
            .voter(key)
            .is_some_and(|peer| peer.balance >= MIN_STAKE)
}

/// The time for new blocks at `now`: not before the own recorded time or the own last block, since such blocks would be invalid after
/// a clock was set back (`spec/05 §20` number 14).
#[must_use]
pub fn block_time(electorate: &Electorate, key: &AccountKey, last: Option<i64>, now: i64) -> i64 {
    let recorded = electorate.voter(key).map_or(now, |peer| peer.timestamp);
    now.max(recorded).max(last.unwrap_or(now))
}

/// Transactions in their order as blocks of at most 1,024; none without transactions, since empty blocks are never proposed.
#[must_use]
pub fn blocks(time: i64, transactions: &[Signed]) -> Vec<Block> {
    transactions
        .chunks(MAX_TRANSACTIONS as usize)
        .map(|some| Block {
            timestamp: time,
            transactions: some.iter().cloned().map(cells::Cell::from).collect(),
        })
        .collect()
}
