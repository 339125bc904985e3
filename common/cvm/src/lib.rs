//! The Convex virtual machine: reader, compiler, execution, core functions, and the state transition.
//!
//! Everything here is a pure function of its arguments: no clock, no randomness, no I/O beyond reading branches of
//! the state through [`cells::Source`]. Results equal the reference's to the bit (`spec/02`–`spec/04`).
//!
//! A [`Machine`] holds the [`Rules`] in force and a cache; a [`Context`] executes code on a [`state::State`].
#![forbid(unsafe_code)]

mod actor;
mod bind;
mod call;
mod compile;
mod context;
mod core_cache;
mod env;
mod exec;
mod exit;
mod expand;
pub mod genesis;
pub mod juice;
mod locals;
pub mod math;
mod memo;
mod names;
pub mod natives;
pub mod numeric;
mod op;
mod op_cache;
mod op_encode;
mod op_prepare;
pub mod reader;
mod rules;
mod scopes;
mod special;
pub mod state;
pub mod transition;
mod two_signs;
pub mod value;

#[cfg(test)]
pub(crate) mod testing;

pub use call::{is_callable, is_function};
pub use context::{Args, Context, Machine, Start};
pub use env::CORE;
pub use exit::{Abort, Code, ErrorValue, Exit, Outcome, Trace};
pub use op::{Op, is_op};
pub use rules::Rules;
pub use special::{SPECIALS, special_code};
