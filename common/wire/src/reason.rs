//! Why messages are dropped and connections closed: one metric each.

macro_rules! reasons {
    ($(#[$doc:meta])* $type:ident { $($name:ident, $metric:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum $type {
            $(#[doc = $text] #[error($text)] $name,)*
        }

        impl $type {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Name in metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $metric,)* }
            }
        }
    };
}

reasons! {
    /// Why a message got no answer and had no effect. The connection stays open.
    DropReason {
        Unknown, "unknown", "no type of message that a peer knows";
        NoId, "no_id", "a request without an id to answer to";
        LatticeValue, "lattice_value", "a message of lattice nodes";
        BadDataRequest, "bad_data_request", "a data request with too many elements or one that is no hash";
        UnexpectedResult, "unexpected_result", "a result that nobody waits for";
        NotForDialler, "not_for_dialler", "a request or belief that came over a connection that this side dialled";
        ChallengeRate, "challenge_rate", "more challenges than the rate allows";
    }
}

reasons! {
    /// Why a connection is closed.
    CloseReason {
        Goodbye, "goodbye", "the other side said goodbye";
        PaddedLength, "padded_length", "the length of a frame starts with zeros";
        FrameTooLong, "frame_too_long", "a frame is longer than allowed";
        SlowFrame, "slow_frame", "a frame took too long to arrive";
        Idle, "idle", "nothing arrived for too long";
        SlowReader, "slow_reader", "the other side does not read its replies";
        QueryWithoutId, "query_without_id", "a query without an id to answer to";
    }
}

impl From<crate::FrameError> for CloseReason {
    fn from(error: crate::FrameError) -> Self {
        match error {
            crate::FrameError::Padded => Self::PaddedLength,
            crate::FrameError::TooLong { .. } => Self::FrameTooLong,
        }
    }
}
