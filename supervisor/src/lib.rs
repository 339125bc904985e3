//! The supervisor of a peer: starts, watches, restarts and stops the workers, owns the control socket, and decides on emergency
//! de-staking (DESIGN §1, §2, §4).
//!
//! | what | where |
//! |---|---|
//! | which processes and channels there are | [`topology`] |
//! | when a worker is started again | [`restart`] |
//! | what is armed, and how it is brought out | [`destake`] |
//! | directories, users, ports, descriptors | [`setup`] |
//! | name servers and hosts for `netd` | [`names`] |
//! | which network this is, when only a peer is named | [`network`] |
//! | the loop that does it all, in one thread | [`peer`] |
//!
//! It reads nothing from the network but one hash that a courier brings, no cells and no secrets: the passphrase and the key store go to `keyd` by descriptor.
#![forbid(unsafe_code)]

pub mod armed;
pub mod clock;
pub mod control;
pub mod destake;
mod durable;
pub mod exit;
pub mod journal;
pub mod names;
pub mod network;
pub mod notify;
pub mod observing;
pub mod peer;
pub mod rescue;
pub mod restart;
pub mod running;
pub mod setup;
pub mod signals;
pub mod topology;
