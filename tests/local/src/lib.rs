//! Networks of whole peers on this machine, made by `convexctl local start`, and what tests do to them.
#![forbid(unsafe_code)]

mod archive;
mod control;
mod hostile;
mod mixed;
mod network;
mod parted;
mod programs;
mod reference;
mod relay;
mod theirs;
mod watch;
mod work;

pub use archive::Archive;
pub use hostile::{Hostile, Line};
pub use mixed::{Mixed, register};
pub use network::{Agreement, Network};
pub use parted::Parted;
pub use reference::Reference;
pub use relay::{Manner, Relay};
pub use theirs::{Standing, Theirs};
pub use watch::{Seen, Watch};
pub use work::{Tally, Work};
