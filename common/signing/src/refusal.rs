//! Why a signature is refused.

use cells::DecodeError;

macro_rules! refusals {
    ($($name:ident, $metric:literal, $suspicion:ident, $text:literal;)*) => {
        /// Why a signature is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal {
            $(#[doc = $text] #[error($text)] $name,)*
        }

        impl Refusal {
            /// All reasons, in the order of [`Refusal::index`].
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Name in metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $metric,)* }
            }

            /// What the request says about the one who asked.
            #[must_use]
            pub const fn suspicion(self) -> Suspicion {
                match self { $(Self::$name => Suspicion::$suspicion,)* }
            }
        }
    };
}

/// What a refused request says about the process that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Happens to an honest process: a restart, a clock that stepped, a lock by the operator.
    Ordinary,
    /// An honest process checks this before it asks, so this one is broken or in other hands.
    Alarming,
}

// A table, so that code, metrics and documentation can't differ.
refusals! {
    Locked, "locked", Ordinary, "signing is locked";
    TooLong, "too_long", Alarming, "the request is longer than its type allows";
    Malformed, "malformed", Alarming, "the request is no message of canonical cells";
    Transaction, "transaction", Alarming, "the request is a transaction, which a peer key never signs here";
    UnknownType, "unknown_type", Alarming, "the request is no order, block, challenge or challenge answer";
    Incomplete, "incomplete", Alarming, "a cell that has to be looked into is not in the request";
    OrderFields, "order_fields", Alarming, "the fields of the order have other types than an order's";
    OrderPoints, "order_points", Alarming, "the order does not have four points, falling from the number of its blocks";
    OrderBlocks, "order_blocks", Alarming, "the blocks of the order are no well-formed vector of signed blocks";
    TooManyAppended, "too_many_appended", Alarming, "the order appends more blocks than one request may";
    NotAnAppend, "not_an_append", Alarming, "an order of this time is signed, and this one is not that one with blocks appended";
    OrderNotLater, "order_not_later", Ordinary, "an order of a later time is signed";
    BlockFields, "block_fields", Alarming, "the fields of the block have other types than a block's";
    BlockSize, "block_size", Alarming, "the block is empty or has more than 1,024 transactions";
    BlockElement, "block_element", Alarming, "the block has an element that is no signed transaction";
    BlockBeforeLast, "block_before_last", Ordinary, "a block of a later time is signed";
    FromTheFuture, "from_the_future", Ordinary, "the time is more than a second ahead of the clock";
    UnderCeiling, "under_ceiling", Ordinary, "an earlier run may have signed something of this or a later time";
    ChallengeShape, "challenge_shape", Alarming, "the challenge is no signed vector of token, target and network";
    ChallengeSignature, "challenge_signature", Alarming, "the signature of the challenge is wrong";
    WrongTarget, "wrong_target", Alarming, "the challenge is for another key";
    WrongNetwork, "wrong_network", Alarming, "the challenge is for another network";
    Rate, "rate", Alarming, "more requests of this type than the rate allows";
}

impl Refusal {
    /// Position in [`Refusal::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::BadFormat(_) | DecodeError::Store(_) => Self::Malformed,
            DecodeError::Partial(_) | DecodeError::Missing(_) => Self::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        for (i, reason) in Refusal::ALL.iter().enumerate() {
            assert_eq!(reason.index(), i);
            let same = Refusal::ALL.iter().filter(|r| r.name() == reason.name());
            assert_eq!(same.count(), 1, "{reason:?}");
        }
    }
}
