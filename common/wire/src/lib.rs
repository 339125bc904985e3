//! The peer protocol of `spec/06` without sockets, clocks or stores: bytes and the time go in, actions come out.
//!
//! - [`FrameReader`] and [`frame`]: the byte stream as messages.
//! - [`Header`]: what a message is and which id it has, from its first bytes. [`Message`]: its content as a type.
//! - [`Reply`]: results, with the codes and texts of `spec/06 §6`. [`Status`]: the status of a peer. [`answer_data`]: cells by hash.
//! - [`Acceptor`] and [`Dialler`]: one connection from either side.
//!
//! Whatever is dropped, refused or closed has a reason that is data ([`DropReason`], [`CloseReason`]), one metric each.
//!
//! # Bounds
//!
//! | what | bound |
//! |---|---|
//! | a frame | [`MAX_MESSAGE`] = 50,000,000 bytes; lower by kind and connection ([`FrameLimits`]); memory grows with what arrived |
//! | length prefix | 4 bytes, no padding |
//! | time of a frame | [`AcceptorConfig::frame_time`] and its length at [`AcceptorConfig::frame_rate`] |
//! | status, ping, goodbye, lattice messages | [`FrameLimits::request`] |
//! | data request | [`MAX_HASHES`] = 254 hashes |
//! | answer to a data request | the limit given, at most [`MAX_MESSAGE`]; what does not fit is left out |
//! | challenge | a signed vector of at most 140 bytes |
//! | unread replies of a connection | [`AcceptorConfig::reply_buffer`]; beyond it the connection is closed |
//! | requests of a dialler without an answer | [`DiallerConfig::max_pending`], each for [`DiallerConfig::timeout`] |
//!
//! The memory of all connections together is for the owner to bound: [`Acceptor::held`] and [`Acceptor::unwritten`] say what each takes.
//!
//! # Deliberate differences from the reference
//!
//! | case | reference 0.8.5 | here |
//! |---|---|---|
//! | length with a leading `80`, or of more than 32 bits | accepted | the connection is closed |
//! | query of fewer than four elements that has an id | the connection is closed | `:FORMAT` "Bad Message Format!" |
//! | undecodable message | text and a trace of its insides | text only; some texts are this decoder's own |
//! | challenge with a wrong signature | answered | refused by the one who signs |
//! | challenge whose token or context is no hash | answered | `:UNEXPECTED` |
//! | answer to a challenge | matched by its connection, signature not checked | matched by its id, signature checked ([`signing::challenge::proven_key`]) |
//! | unread replies, slow frames, floods | without limit | bounded, with a reason that is counted |
#![forbid(unsafe_code)]

mod acceptor;
mod challenge;
mod data;
mod dialler;
mod frame;
mod header;
mod message;
mod outbox;
mod reason;
mod reply;
mod status;

pub use acceptor::{Acceptor, AcceptorConfig, Action, Forward};
pub use challenge::check_challenge;
pub use data::{AnswerError, DataRequest, MAX_HASHES, answer_data};
pub use dialler::{Dialler, DiallerAction, DiallerConfig, RequestError};
pub use frame::{FrameError, FrameLimits, FrameReader, frame};
pub use header::{Header, Kind};
pub use message::{Message, Unusable, Why};
pub use reason::{CloseReason, DropReason};
pub use reply::{Code, Reply};
pub use signing::Now;
pub use status::{Status, StatusError};

pub use cells::MAX_MESSAGE;

/// Default TCP port (`spec/06 §1`).
pub const DEFAULT_PORT: u16 = 18_888;
