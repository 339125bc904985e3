//! Whole peers as processes, and what drives them: the users of the measurements of `spec/10`, a replayer of frames, a harness that makes,
//! starts, kills and asks a peer.
#![forbid(unsafe_code)]

pub mod chain;
pub mod control;
pub mod files;
pub mod honest;
pub mod programs;
pub mod reference;
pub mod replay;
pub mod running;
pub mod usage;
pub mod users;
