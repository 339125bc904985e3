//! What a peer key may sign.
//!
//! A signer is asked with bytes. First they are *matched*: [`recognise`] decides from the bytes alone what they are; nothing
//! but an order, a block, a challenge and the answer to a challenge has a place here, so a transaction can't be passed
//! off as anything else. Then they are *authorised*: [`authorise`] compares them with what was signed before, the clock and
//! the identity of the signer. Both are pure functions. [`Signer`] joins them with rates, counts and the ceiling of the journal;
//! the process around it owns the key, the clock, the random numbers and the file.
//!
//! # What is asked, and how large it may be
//!
//! A request is a message of cells (`spec/01 §13.3`): a top cell, then other cells that it refers to, each with its length.
//!
//! | first byte | asks for | cells that must come along | largest |
//! |---|---|---|---|
//! | `d7` | the signature of this Order | the vector of its blocks: root and right edge, and for a pure append the nodes above the appended blocks | [`MAX_ORDER_BYTES`] |
//! | `d6` | the signature of this Block | all nodes of its vector, every signed transaction and the transaction in it; nothing below | [`MAX_BLOCK_BYTES`] |
//! | `90` | the answer to this signed challenge | none | [`MAX_ANSWER_BYTES`] |
//! | `00`, `31 20` key | a challenge to anybody, or to the holder of that key | none | 34 |
//!
//! # Rules
//!
//! *Orders* have four points c0 ≥ c1 ≥ c2 ≥ c3 ≥ 0 with c0 the number of blocks. *Blocks* have 1 to 1,024 elements, all signed
//! transactions. Times of both are at most [`AHEAD`] beyond the clock and later than everything that an earlier run may have
//! signed (see [`Ceiling`]). An order is later than the last one; with the time of the last one, it is the last one with blocks
//! appended and all else the same. A block is not before the last one. *Challenges* name this network and carry a token that the
//! signer drew. *Answers* go to challenges with a good signature that name this key or none, and this network or none.
//!
//! After a start, nothing of the next [`AHEAD`] milliseconds of the clock can be signed: a signer that asks no more than its journal and
//! clock can't know what a lost journal had signed.
//!
//! Some refusals say that the asking process is broken or in other hands ([`Suspicion::Alarming`]). So that no stranger can cause
//! one, that process checks first what comes from strangers: it keeps to [`Rates::for_asker`], and passes a challenge on
//! only for its own key and network and when [`challenge::ReceivedChallenge::is_genuine`].
//!
//! An order of a new time may have any blocks: a change of chain and receding points are legal (`spec/05 §4.7`). Neither
//! orders nor blocks name a network, so nothing can be checked there.
#![forbid(unsafe_code)]

mod authorise;
mod block;
mod build;
mod ceiling;
pub mod challenge;
mod order;
mod rate;
mod refusal;
mod request;
mod signer;

pub use authorise::{Approval, Identity, Memory, authorise};
pub use block::BlockRequest;
pub use build::{block_request, order_request};
pub use ceiling::Ceiling;
pub use order::OrderRequest;
pub use rate::{Rate, TokenBucket};
pub use refusal::{Refusal, Suspicion};
pub use request::{Kind, Request, recognise};
pub use signer::{Counts, Decision, Now, Rates, Signer};

/// How far beyond the clock a signed time may lie, and the ceiling of the journal, in milliseconds.
pub const AHEAD: i64 = 1_000;
/// Most transactions of a block (`spec/05 §1.1`).
pub const MAX_BLOCK_TRANSACTIONS: u64 = 1_024;
/// Most blocks that one request may append to an order of unchanged time. The reference cuts at most 30 at once.
pub const MAX_APPENDED: u64 = 256;
/// Largest request for an order: a right edge of 15 nodes and the leaves of [`MAX_APPENDED`] blocks, 130 bytes each.
pub const MAX_ORDER_BYTES: usize = 1 << 16;
/// Largest request for a block: 1,024 transactions of at most 974 bytes (six fields of 140, their signature, lengths), and 69 nodes.
pub const MAX_BLOCK_BYTES: usize = 1 << 20;
/// Largest request for an answer: a signature over an embedded value.
pub const MAX_ANSWER_BYTES: usize = 97 + cells::MAX_EMBEDDED;
