//! From an order to the blocks that may be executed, and from a remote order to an own one (`spec/05 §7.4`, `§14.2`).

use std::ops::Range;

use cells::{CellError, Vector};
use crypto::AccountKey;

use crate::prefix::common_prefix;
use crate::{Belief, Order, OrderFault};

/// Why no block may be executed. A fork can't be healed: what was executed stays executed (`spec/05 §6`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgressError {
    /// The own chain no longer has the blocks that were executed.
    #[error(
        "fork: the own chain shares {common} blocks with the executed one, of which {position} were executed"
    )]
    Fork {
        /// Leading blocks in common.
        common: u64,
        /// Number of executed blocks.
        position: u64,
    },
    /// A node of a chain can't be read.
    #[error("a chain that can't be read: {0}")]
    Data(#[from] CellError),
}

/// Numbers of the blocks to execute: from the executed position to the finality of the own order. Empty when finality has receded or there
/// is nothing new. The test for a fork comes first, even then.
///
/// `settled` is the chain in force when the last block was executed, `position` of whose blocks were.
///
/// # Errors
/// [`ProgressError::Fork`], which is fatal for the peer.
pub fn executable(
    order: &Order,
    settled: &Vector,
    position: u64,
) -> Result<Range<u64>, ProgressError> {
    let common = common_prefix(&order.blocks, settled)?;
    if common < position {
        return Err(ProgressError::Fork { common, position });
    }
    let end = u64::try_from(order.point(3)).unwrap_or(0);
    Ok(position..end.min(order.blocks.count()).max(position))
}

/// The first own order of a peer that joins by a remote peer's belief: that peer's order, to be signed by the own key. Empty when it has none.
///
/// # Errors
/// When the remote order is malformed or can't be read.
pub fn joining_order(remote: &Belief, remote_key: &AccountKey) -> Result<Order, OrderFault> {
    let order = remote.order(remote_key)?.unwrap_or_else(Order::empty);
    order.check()?;
    Ok(order)
}
