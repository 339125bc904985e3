//! The process that writes the store (DESIGN §1, §3).
//!
//! `consensusd` sends batches of cells; here they are hashed, put into the Etch file with its redo log, and acknowledged when they are
//! durable and readable in the map. Everybody else reads that map, by descriptors that this process hands to the supervisor.
//!
//! | part | what it is |
//! |---|---|
//! | [`cells`] | from the bytes of a message to cells |
//! | [`keeper`] | from messages to batches, barriers and answers |
//! | [`files`] | the files in the store directory, and who may use them |
//! | `writing` | the thread that owns the store |
//! | `reading` | one thread for each channel to `consensusd`, which may be hostile |
//! | `checking` | the thread that compares all cells with their keys while batches go on |
//! | `worker` | start, sandbox, orders of the supervisor, end |
#![forbid(unsafe_code)]

pub mod cells;
mod checking;
mod failure;
pub mod files;
mod gauges;
pub mod keeper;
mod reading;
mod worker;
mod writing;

pub use failure::Failure;
pub use worker::run;
