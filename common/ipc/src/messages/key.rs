//! Between `consensusd` and `keyd`.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::Bytes;
use crate::Bounded;

/// Largest request in bytes (`signing::MAX_BLOCK_BYTES`).
pub const MAX_REQUEST: usize = 1 << 20;

/// From `consensusd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToKey {
    /// A number by which the answer is told; answers come in the order of requests.
    pub ticket: u64,
    /// What to sign, as `signing` describes it.
    pub request: Bytes,
}

impl Bounded for ToKey {
    const MAX: usize = MAX_REQUEST + 64;
}

/// From `keyd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromKey {
    /// The number of the request.
    pub ticket: u64,
    /// What came of it.
    pub answer: Answer,
}

impl Bounded for FromKey {
    const MAX: usize = 512;
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The signature over the encoding of the value. Of an own challenge, which `keyd` completes, the value itself as well.
    Signed {
        /// 64 bytes.
        signature: ByteArray<64>,
        /// The encoding of the signed value where the asker can't know it, else empty.
        value: Bytes,
    },
    /// Not signed.
    Refused {
        /// The name of the reason in `signing::Refusal`, for logs and counters.
        reason: String,
    },
    /// Nothing is signed: no passphrase yet, or by order.
    Locked,
}
