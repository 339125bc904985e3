//! How the processes of a peer talk to each other (DESIGN §2): every message, its bounds, and the sockets that carry them.
//!
//! - [`supervision`]: the supervisor and each worker. Datagrams ([`Supervision`]); the only channel on which descriptors are received,
//!   each checked for what it claims to be ([`FdKind`]).
//! - [`net`], [`store`], [`key`]: `netd`, `stored` and `keyd`, each with `consensusd`. Streams ([`Link`]), read without a control buffer.
//! - [`control`]: `convexctl` and the supervisor, over a socket in the file system.
//!
//! A message is a frame: its length in four bytes, little endian, then `postcard`. The length is compared with the bound of its type
//! ([`Bounded::MAX`]) before anything is allocated, and nothing may follow the message in its frame. The first frame in
//! each direction is a [`Hello`]. Whoever receives treats the sender as hostile: a frame that breaks a rule ends the channel.
//!
//! | channel | from | messages | largest |
//! |---|---|---|---|
//! | supervision | supervisor | [`supervision::ToWorker`] | [`supervision::MAX_DATAGRAM`] |
//! | | worker | [`supervision::FromWorker`] | [`supervision::MAX_DATAGRAM`] |
//! | net | netd | [`net::FromNet`] | 50 MB and a head |
//! | | consensusd | [`net::ToNet`] | 50 MB and a head |
//! | store | consensusd | [`store::ToStore`] | 2 MiB and a head |
//! | | stored | [`store::FromStore`] | 4 KiB |
//! | key | consensusd | [`key::ToKey`] | 1 MiB and a head |
//! | | keyd | [`key::FromKey`] | 512 bytes |
//! | control | convexctl | [`control::Request`] | 1 MiB |
//! | | supervisor | [`control::Reply`] | 1 MiB |
#![deny(unsafe_code)]

mod codec;
mod link;
pub mod logging;
mod messages;
#[allow(unsafe_code)]
mod passing;

pub use codec::{Bounded, FrameBuffer, FrameError, decode, encode};
pub use link::{Link, LinkError, Receiver, Sender};
pub use messages::{Bytes, Channel, Epoch, FdKind, Hello, Role, VERSION};
pub use messages::{control, key, net, store, supervision};
pub use passing::{Carries, Received, SUPERVISION_FD, Supervision, SupervisionError};
