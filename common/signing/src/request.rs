//! Matching: what the bytes of a request are.

use cells::tag;
use crypto::AccountKey;

use crate::challenge::ReceivedChallenge;
use crate::{BlockRequest, OrderRequest, Refusal};

/// A request, taken apart. Its shape is right; whether it may be signed is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Sign this order.
    Order(OrderRequest),
    /// Sign this block.
    Block(BlockRequest),
    /// Draw a token and sign a challenge, to the holder of a key or to anybody.
    Challenge {
        /// Key that has to answer.
        target: Option<AccountKey>,
    },
    /// Answer this challenge.
    Answer(ReceivedChallenge),
}

/// What is signed, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An order.
    Order,
    /// A block.
    Block,
    /// A challenge.
    Challenge,
    /// An answer to a challenge.
    Answer,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Order, Self::Block, Self::Challenge, Self::Answer];

    /// Name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Block => "block",
            Self::Challenge => "challenge",
            Self::Answer => "answer",
        }
    }

    /// What the first byte of a request announces.
    const fn of_first_byte(byte: u8) -> Option<Self> {
        match byte {
            0xd7 => Some(Self::Order),
            0xd6 => Some(Self::Block),
            tag::NIL | tag::BLOB => Some(Self::Challenge),
            tag::SIGNED => Some(Self::Answer),
            _ => None,
        }
    }

    /// Largest request of this kind in bytes.
    #[must_use]
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Order => crate::MAX_ORDER_BYTES,
            Self::Block => crate::MAX_BLOCK_BYTES,
            Self::Challenge => 2 + AccountKey::LENGTH,
            Self::Answer => crate::MAX_ANSWER_BYTES,
        }
    }
}

impl Request {
    /// What is asked for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Order(_) => Kind::Order,
            Self::Block(_) => Kind::Block,
            Self::Challenge { .. } => Kind::Challenge,
            Self::Answer(_) => Kind::Answer,
        }
    }
}

/// Decides from the bytes alone what is asked for.
///
/// # Errors
/// A [`Refusal`] that names the first rule of shape that is broken. Memory is bounded by a multiple of the length that the type
/// allows, whatever the bytes are.
pub fn recognise(bytes: &[u8]) -> Result<Request, Refusal> {
    let first = *bytes.first().ok_or(Refusal::Malformed)?;
    let Some(kind) = Kind::of_first_byte(first) else {
        return Err(match first {
            0xd0..=0xd3 => Refusal::Transaction,
            _ => Refusal::UnknownType,
        });
    };
    if bytes.len() > kind.max_bytes() {
        return Err(Refusal::TooLong);
    }
    match kind {
        Kind::Order => OrderRequest::parse(bytes).map(Request::Order),
        Kind::Block => BlockRequest::parse(bytes).map(Request::Block),
        Kind::Answer => ReceivedChallenge::parse(bytes).map(Request::Answer),
        Kind::Challenge => match bytes {
            [tag::NIL] => Ok(Request::Challenge { target: None }),
            [tag::BLOB, 32, key @ ..] => AccountKey::try_from(key)
                .map(|key| Request::Challenge { target: Some(key) })
                .map_err(|_| Refusal::Malformed),
            _ => Err(Refusal::Malformed),
        },
    }
}
