//! Whether a block counts in a state (`spec/05 §7.2`).

use cells::{CellError, Signed};
use cvm::state::{Block, MAX_TRANSACTIONS};

use crate::{Electorate, MAX_BACKDATE};

/// Why a block does not count. The texts of the first five are those of its results.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// The signer is no peer.
    #[error("Missing Peer!")]
    MissingPeer,
    /// The signer's own stake is below the minimum.
    #[error("Insufficient Stake!")]
    InsufficientStake,
    /// Older than the signer's latest executed block.
    #[error("Block out of order")]
    OutOfOrder,
    /// Too far behind the time of the state.
    #[error("Block too old")]
    TooOld,
    /// More than 1,024 transactions.
    #[error("Illegal Block Size!")]
    Size,
    /// An element of a chain that is no signed block with a vector of transactions.
    #[error("not a signed block")]
    NotABlock,
    /// A part can't be read.
    #[error("a block that can't be read: {0}")]
    Data(#[from] CellError),
}

/// The block, if it would be executed in this state. Neither signatures nor transactions are looked at; there is no upper limit on the time.
///
/// # Errors
/// The first condition that it fails.
pub fn check_block(electorate: &Electorate, signed: &Signed) -> Result<Block, BlockFault> {
    let block = match signed.value_ref().load() {
        Ok(value) => Block::from_cell(&value),
        Err(error) => Err(error),
    };
    let block = block.map_err(|error| match error {
        CellError::Malformed(_) => BlockFault::NotABlock,
        other => BlockFault::Data(other),
    })?;
    let peer = signed.key().and_then(|key| electorate.voter(key));
    let peer = peer.ok_or(BlockFault::MissingPeer)?;
    if !peer.is_staked() {
        return Err(BlockFault::InsufficientStake);
    }
    if block.timestamp < peer.timestamp {
        return Err(BlockFault::OutOfOrder);
    }
    if block.timestamp < electorate.time().saturating_sub(MAX_BACKDATE) {
        return Err(BlockFault::TooOld);
    }
    if block.transactions.count() > MAX_TRANSACTIONS {
        return Err(BlockFault::Size);
    }
    Ok(block)
}
