//! The process that holds the peer key (DESIGN §4).
//!
//! What may be signed is decided by `signing`, without clocks or files; this is the shell around it: the key in locked memory, the clock,
//! random tokens, the journal on disk, and one loop over three kinds of descriptors.
//!
//! | part | what it is |
//! |---|---|
//! | [`audit`] | what was refused, raised, locked and unlocked, in a file that only grows |
//! | [`journal`] | the ceiling on disk: two slots, of which a torn write damages one |
//! | [`signatory`] | a request in, an answer out |
//! | [`unlock`] | from the key store and a passphrase to the key |
//! | `key_link` | the stream to `consensusd`, which may be hostile: bounded in both directions and never waited for |
//! | `worker` | start, sandbox, loop, end |
//!
//! One thread, so that nothing is between the check of a request and the memory of what was signed. A `consensusd` that sends garbage
//! loses its channel, one that does not read its answers gets no more of them, and neither keeps an order of the
//! supervisor waiting for longer than a few requests take.
#![forbid(unsafe_code)]

pub mod audit;
mod failure;
pub mod journal;
mod key_link;
pub mod signatory;
pub mod unlock;
mod worker;

pub use failure::Failure;
pub use worker::run;
