//! The numbers of the rules (`spec/05 §1.1`).

/// Points of an order: blocks, proposal, consensus, finality.
pub const LEVELS: usize = 4;
/// Part of the whole weight that has to be exceeded for a level to move: bits `3fe570a3d70a3d71`.
pub const THRESHOLD: f64 = 0.67;
/// Own stake, in coppers, from which the orders and blocks of a peer count.
pub const MIN_STAKE: i64 = 1_000_000_000_000;
/// Milliseconds for which a peer keeps to its own proposal.
pub const KEEP_PROPOSAL: i64 = 100;
/// Most milliseconds that a block may lie behind the time of the state.
pub const MAX_BACKDATE: i64 = 900_000;
/// Silence in milliseconds after which the weight of a peer begins to decay.
pub const DECAY_DELAY: i64 = 180_000;
/// Milliseconds in which a decaying weight falls to 1/e.
pub const DECAY_TIME: f64 = 300_000.0;
/// What decay leaves of a weight at least, and what a peer has before its first executed block.
pub const DECAY_MIN: f64 = 0.001;
