//! Belief merge: how a peer finds out what the others think, and what it says next (`spec/05`).
//!
//! Everything here is a pure function: time is an argument, signatures are made and checked elsewhere, and what happened is returned as
//! data. A merge costs what is new, not what the chain has grown to: chains are compared by the hashes of their trees.
//!
//! # The rule, step by step
//!
//! | step | rule | where |
//! |---|---|---|
//! | weights | shares with decay of silent peers, `spec/05 §3` | [`Electorate`] |
//! | intake | which orders of a message may enter, `§9.2`; stricter than the reference where it may be, `§20` | [`Intake`] |
//! | collect | newer orders of staked peers replace older ones, none from the future, `§4.2` | [`merge`] |
//! | drop forks | orders that leave the own chain below the own consensus point go, `§4.3` | [`DropReason::Conflict`] |
//! | vote | block by block, the one with most weight; one chain with more than half wins at once; ties go to the lowest hash, `§4.4`, `§4.5` | [`Outcome::chain`] |
//! | append | valid blocks of losing chains behind the winner, by time, `§4.6`, `§7.2` | [`check_block`], [`Outcome::appended`] |
//! | levels | proposal, consensus, finality: where more than 0.67 of all weight agree on the level below, `§4.7` | [`Order::points`] |
//! | adopt | the changed order gets the time of the merge; a proposal is kept for 100 ms, `§4.8` | [`Decision`], [`Outcome::to_sign`] |
//! | publish | new blocks go behind the own order, whose time stays, `§2.5`, `§11` | [`Order::append`], [`propose`] |
//! | execute | from the executed position to finality, never back, `§7.4` | [`executable`] |
//!
//! Levels may recede and a chain may be left: the protocol says so, and nothing here holds a promise that it doesn't demand.
//! What is final and executed is safe all the same, because [`executable`] refuses a chain without it.
//!
//! # Hostile orders
//!
//! A staked peer can sign anything. An order may claim 2^60 blocks with a few hundred bytes of nodes that refer to each other:
//! common prefixes cost a path, and a repeated node is walked once. Such a chain is refused at intake, since no honest peer proposes
//! the same 16 blocks twice. What is malformed or absent is left aside with a reason and the missing hash; only a failing store ends a merge.
//! Where the reference's merge aborts on an order with fewer than three points, ours leaves that order aside.
#![forbid(unsafe_code)]

mod belief;
mod block;
mod intake;
mod merge;
mod order;
mod outcome;
mod prefix;
mod progress;
pub mod propose;
mod rules;
mod stake;
mod vote;

pub use belief::{Belief, BeliefEntry, BeliefFault};
pub use block::{BlockFault, check_block};
pub use intake::{Intake, Offer, Offers};
pub use merge::{Context, merge};
pub use order::{Order, OrderFault};
pub use outcome::{Decision, DropReason, Dropped, MergeError, Outcome};
pub use prefix::common_prefix;
pub use progress::{ProgressError, executable, joining_order};
pub use rules::{
    DECAY_DELAY, DECAY_MIN, DECAY_TIME, KEEP_PROPOSAL, LEVELS, MAX_BACKDATE, MIN_STAKE, THRESHOLD,
};
pub use stake::{Electorate, Voter, decay};
