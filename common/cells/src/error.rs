//! What can go wrong when a value is looked into or decoded.

use crate::Hash;

/// Why a value could not be looked into.
///
/// A cell that decoded may still hold children that are absent or of the wrong type; both show when they are
/// used, not earlier (`spec/01 §13.8`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// The store proved that it does not hold this branch, or no store stands behind the value.
    #[error("missing data: {0}")]
    Missing(Hash),
    /// The store failed to answer. Says nothing about whether the branch exists.
    #[error("store failure at {hash}: {reason}")]
    Store {
        /// The branch that was asked for.
        hash: Hash,
        /// What the store said.
        reason: std::sync::Arc<str>,
    },
    /// A child has a type, count or shape that its parent rules out.
    #[error("malformed structure: {0}")]
    Malformed(&'static str),
    /// Set algebra over trees whose shifts differ: the reference halts here (`spec/01 §9.6`).
    #[error("set operation over misaligned trees")]
    Misaligned,
}

/// Why bytes were refused by the decoder (`spec/01 §13`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not a canonical encoding.
    #[error("bad format: {0}")]
    BadFormat(&'static str),
    /// A self-contained message lacks this branch.
    #[error("partial message: {0} is not in it")]
    Partial(Hash),
    /// A branch that decoding itself has to look into is not available.
    #[error("missing data: {0}")]
    Missing(Hash),
    /// The store behind the decoder failed, or holds something malformed.
    #[error("store failure while decoding: {0}")]
    Store(CellError),
}

impl From<CellError> for DecodeError {
    fn from(error: CellError) -> Self {
        match error {
            CellError::Missing(hash) => Self::Missing(hash),
            other => Self::Store(other),
        }
    }
}
