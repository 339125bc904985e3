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
//! # How a daemon drives it
//!
//! [`Peer`] holds what lies between two rounds; the daemon has the clock, the connections, the store, the signer and the CVM.
//! It begins with [`Peer::new`] in a new network, [`Peer::joining`] or [`Peer::restored`], and sets [`Input::fresh`] for the first order.
//!
//! 1. Wait for messages, transactions or 30 ms. With nothing new and [`Peer::is_resting`], a round would change nothing.
//! 2. [`Peer::intake`] at the time of the clock. For each message [`Intake::offers`]; verify the signatures of all offers, many at once, with
//!    the verdict noted in [`Offer::signed`]; store what is new below them, and leave out offers with data missing; [`Intake::accept`] the
//!    others. [`Offers::refused`] says what was wrong with the rest: a bad signature is the sender's fault if it verified its own, a
//!    missing hash can be asked for.
//! 3. [`Peer::blocks`] for waiting transactions; have the blocks signed and stored.
//! 4. [`Peer::round`] with both. If it has something [`Round::to_sign`], store the cells of that order, have it signed, and
//!    [`Peer::complete`] the round with the [`Answer`]. The merge and own blocks make one order with one signature.
//! 5. Store [`Peer::belief`], and only when that is durable, send [`Peer::public_belief`] by [`Belief::announcement`]: at once when
//!    [`Step::own_changed`], else after 300 ms.
//! 6. [`Peer::executable`] names the blocks to execute, perhaps by another thread with the [`Executable`]; [`Peer::executed`] brings the
//!    outcome back. The peer merges with the state that it has until then. A fork is the end of the peer: alert, don't retry.
//!
//! Only [`Peer::complete`] and [`Peer::executed`] change a peer. A round whose answer was lost is simply begun again, with `fresh`.
//! Without a signer the peer follows by [`Answer::Follow`].
//!
//! ```
//! use std::sync::Arc;
//! use cells::Signed;
//! use consensus::{Answer, Electorate, Input, Peer};
//! # use cells::{Blob, Cell, Index, Vector};
//! # use cvm::state::{Block, PeerStatus};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let signer = crypto::SigningKey::from_seed(&[1; 32]);
//! let key = signer.account_key();
//! # let peers = Index::empty()
//! #     .assoc(Cell::from(Blob::new(key.as_bytes())), PeerStatus::new(11, 1 << 50).to_cell())?
//! #     .ok_or("a key")?;
//! let mut peer = Peer::new(key, Arc::new(Electorate::new(1_000, &peers)?));
//! # let transaction = Signed::sign(&signer, Cell::Long(1));
//! let blocks = peer.blocks(2_000, &[transaction]);
//! let blocks = blocks.iter().map(|block| Signed::sign(&signer, block.to_cell())).collect();
//! let mut input = Input { blocks, fresh: true, ..Input::default() };
//! for now in 2_000.. {
//!     let round = peer.round(now, std::mem::take(&mut input))?;
//!     let answer = match round.to_sign() {
//!         Some(order) => Answer::Signed(Signed::sign(&signer, order.to_cell())),
//!         None => Answer::None,
//!     };
//!     peer.complete(round, answer)?;
//!     let work = peer.executable()?;
//!     if !work.range.is_empty() {
//!         assert_eq!((now, work.range.clone()), (2_000, 0..1));
//!         let electorate = peer.electorate().clone(); // of the state after the blocks
//!         peer.executed(work.chain, work.range.end, electorate)?;
//!         break;
//!     }
//! }
//! assert_eq!(peer.position(), 1);
//! # Ok(())
//! # }
//! ```
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
mod changed;
mod intake;
mod merge;
mod order;
mod outcome;
mod peer;
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
pub use peer::{Answer, Executable, Input, Peer, Round, Step};
pub use prefix::common_prefix;
pub use progress::{ProgressError, executable, joining_order};
pub use rules::{
    DECAY_DELAY, DECAY_MIN, DECAY_TIME, KEEP_PROPOSAL, LEVELS, MAX_BACKDATE, MIN_STAKE, THRESHOLD,
};
pub use stake::{Electorate, Voter, decay};
