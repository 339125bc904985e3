//! Networks of whole peers on this machine, made by `convexctl local start`, and what tests do to them.
#![forbid(unsafe_code)]

mod control;
mod network;
mod programs;
mod reference;

pub use network::{Agreement, Network};
pub use reference::Reference;
