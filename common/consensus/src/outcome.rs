//! What a merge did, as data: the belief that it leads to, and the reasons.

use cells::{Cell, CellError, Hash, Index, Signed};
use crypto::AccountKey;

use crate::belief::insert;
use crate::{Belief, BeliefFault, BlockFault, Order, OrderFault};

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The own belief has no order of the merging peer.
    #[error("the own belief has no own order")]
    NoOwnOrder,
    /// The own order is malformed.
    #[error("the own order is unusable: {0}")]
    OwnOrder(OrderFault),
    /// The own belief is malformed.
    #[error("the own belief is unusable: {0}")]
    OwnBelief(BeliefFault),
    /// Data that were there before can't be read any more. Says nothing about anybody's order.
    #[error("data needed by the merge can't be read: {0}")]
    Data(#[from] CellError),
    /// The signed value is not the order that the merge asked to sign, or another key signed it.
    #[error("the signature is not that of the merged order by the own key")]
    WrongSignature,
    /// Another round of the same peer ended after this one had begun.
    #[error("another round ended meanwhile")]
    Stale,
}

/// Why an order plays no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// The key is none of a peer of the state.
    #[error("not a registered peer")]
    Unregistered,
    /// The peer's own stake is below the minimum.
    #[error("own stake below the minimum")]
    Understaked,
    /// The time of the order lies after the time of the merge.
    #[error("from the future: {0}")]
    Future(i64),
    /// Another key signed it than the one that it stands under.
    #[error("signed by another key")]
    WrongKey,
    /// The signature is wrong, or was not checked.
    #[error("signature not known to be right")]
    BadSignature,
    /// Malformed, or a part of it can't be read.
    #[error("{0}")]
    Fault(OrderFault),
    /// Its chain leaves the own chain below the own consensus point (`spec/05 §4.3`).
    #[error("shares {common} blocks with the own chain, of which {consensus} are in consensus")]
    Conflict {
        /// Leading blocks in common with the own chain.
        common: u64,
        /// Own consensus point.
        consensus: i64,
    },
}

/// An order that the merge left aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The key that it stood under; `None` for a key that can't be one of a peer.
    pub key: Option<AccountKey>,
    /// True when it was part of the own belief and left it.
    pub held: bool,
    /// Why.
    pub reason: DropReason,
}

/// What became of the own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nobody's order counts: the own belief stays as it is (`spec/05 §4.5`).
    NoVote,
    /// Chain and points are as before.
    Unchanged,
    /// Points moved or blocks were added; at least what was proposed stays.
    Advanced,
    /// Another chain takes the place of the own proposal.
    Switched,
    /// Another chain won, but the own proposal is too young to be left (`spec/05 §4.8`).
    Held,
    /// The own order would change, but is not older than the clock: only [`crate::Peer::round`] says so.
    Early,
}

/// The outcome of a merge.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub(crate) key: AccountKey,
    pub(crate) before: Belief,
    pub(crate) orders: Index,
    /// The order to sign, when the own order changes.
    pub(crate) to_sign: Option<Order>,
    /// What became of the own order.
    pub decision: Decision,
    /// Peers whose orders were added or replaced.
    pub adopted: Vec<AccountKey>,
    /// Orders left aside, with the reason.
    pub dropped: Vec<Dropped>,
    /// Number of blocks of the winning chain that the vote chose.
    pub chain: u64,
    /// Blocks of other chains that were appended to it, by the hash of the signed block.
    pub appended: Vec<Hash>,
    /// Blocks of other chains that were not, and why.
    pub refused: Vec<(Hash, BlockFault)>,
    /// Weight of the orders that were counted.
    pub considered: f64,
    /// Weight of all peers.
    pub total: f64,
}

impl Outcome {
    /// The new own order, of the time of the merge, when there is one: it has to be signed.
    #[must_use]
    pub fn to_sign(&self) -> Option<&Order> {
        self.to_sign.as_ref()
    }

    /// Hashes of branches that orders and blocks were left aside for.
    #[must_use]
    pub fn missing(&self) -> Vec<Hash> {
        let orders = self.dropped.iter().filter_map(|d| match &d.reason {
            DropReason::Fault(OrderFault::Data(CellError::Missing(hash))) => Some(*hash),
            _ => None,
        });
        let blocks = self.refused.iter().filter_map(|(_, fault)| match fault {
            BlockFault::Data(CellError::Missing(hash)) => Some(*hash),
            _ => None,
        });
        orders.chain(blocks).collect()
    }

    /// The belief with the own order as signed.
    ///
    /// # Errors
    /// [`MergeError::WrongSignature`] when something else was signed than [`Outcome::to_sign`], or by another key. The signature itself is
    /// not checked.
    pub fn signed(self, signed: Signed) -> Result<Belief, MergeError> {
        let Some(order) = &self.to_sign else {
            return Err(MergeError::WrongSignature);
        };
        if signed.key() != Some(&self.key) || signed.value_ref().hash() != order.to_cell().hash() {
            return Err(MergeError::WrongSignature);
        }
        Ok(Belief::new(insert(self.orders, &self.key, signed)?))
    }

    /// The belief with the own order as it was: nothing changed it, or nobody can sign. The own belief itself when nothing changed.
    #[must_use]
    pub fn unsigned(self) -> Belief {
        let same = self.orders.is_identical(self.before.orders())
            || Cell::from(self.orders.clone()) == Cell::from(self.before.orders().clone());
        if same {
            self.before
        } else {
            Belief::new(self.orders)
        }
    }
}
