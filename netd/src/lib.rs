//! The network side of a peer: the protocol of `spec/06` on TCP, and the courier of a rescue.
//!
//! Nothing here is trusted by anybody: whatever is passed on is decoded and checked again by who receives it. Pure parts, which know no
//! socket and no clock:
//!
//! - [`cidr`], [`admission`]: who may connect, and how many.
//! - [`flow`]: how much each connection may ask of consensus; [`gathering`]: when requests are worth waiting for.
//! - [`endpoint`], [`outgoing`]: which peers to be connected to.
//! - [`names`]: the addresses of host names.
//! - [`counters`], [`limits`]: what is counted, and where the limits are.
//! - [`rescue::steps`]: one attempt to bring a transaction to a peer.
//!
//! Around them the shell: [`server`] is the loop, [`accepted`] and [`dialled`] are its connections, [`link`] is the channel to consensus,
//! [`data`] the thread that reads the store, [`start`] what happens before the sandbox closes.
//!
//! # Bounds
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | connections, in all and of one address (IPv6: /64) | settings | closed at once without a byte |
//! | descriptors | settings, and what the system grants | the newest is accepted and closed |
//! | memory of all connections | settings | the connection that holds most is closed |
//! | messages and bytes of a connection per second | [`wire::AcceptorConfig`] | it is read later |
//! | requests that consensus has, their bytes | [`limits::Limits::room`]; of one connection a quarter of what is free | it is not read; after 8 s `:LOAD` |
//! | bytes on their way to consensus | [`limits::Limits::link`] | requests wait, beliefs are dropped |
//! | beliefs of strangers | a rate for all together, a quarter of that way | dropped |
//! | beliefs of a peer that has proven its key | a rate for each, half of that way | dropped |
//! | data requests at the store | 1,024; 16 of one connection | it is not read; after 8 s `:LOAD` |
//! | unread replies | 1 MiB | the connection is not read; after 30 s without progress, or 16 MiB, closed |
//! | a frame, its time, silence | [`wire::AcceptorConfig`], settings | closed |
//! | beliefs for a peer that lags behind | the newest | the older ones are skipped |
//! | look-ups of names, their servers, time, answers, what is remembered | see [`names`] | the peer is tried again later |
#![forbid(unsafe_code)]

pub mod accepted;
pub mod admission;
pub mod beliefs;
pub mod chance;
pub mod cidr;
pub mod clock;
pub mod counters;
pub mod data;
pub mod dialled;
pub mod endpoint;
pub mod flow;
pub mod gathering;
pub mod hub;
pub mod limits;
pub mod link;
pub mod names;
pub mod out_buffer;
pub mod outgoing;
pub mod remembered;
pub mod rescue;
pub mod server;
pub mod slab;
pub mod start;
