//! Differential tests against the running reference.
//!
//! [`differential::run`] makes random programs, ops and chains of blocks, gives them to this tree and to the line server
//! around the reference ([`oracle`]), and compares all that consensus sees: values, error codes, juice, logs, states.
//! What differs is made smaller as long as it still differs and shown with the seed that makes it again.
#![forbid(unsafe_code)]

pub mod case;
pub mod chain;
pub mod compare;
pub mod differential;
pub mod form;
pub mod known;
pub mod ops;
pub mod oracle;
pub mod own_peer;
pub mod program;
pub mod recorded;
pub mod rng;
pub mod subject;
pub mod transactions;
