//! `consensusd`: beliefs, orders, blocks, the CVM and the state of a peer (DESIGN §1).
//!
//! - [`peer`]: the peer as a state machine without I/O.
//! - [`checking`], [`answering`]: what is done beside it, on other threads: checks of transactions, queries, encoding of results.
//! - [`root`], [`source`]: what it keeps in the store, and how it reads it.
//! - [`shell`]: the process: sandbox, threads, channels, clock.
#![forbid(unsafe_code)]

pub mod answering;
pub mod checking;
pub mod peer;
pub mod root;
pub mod shell;
pub mod source;
