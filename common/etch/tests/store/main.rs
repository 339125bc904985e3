//! Tests of the store as its users see it: one binary, one module per idea.

mod bad_input;
mod collecting;
mod common;
mod crash;
mod failing;
mod hostile;
mod kill;
mod readers;
mod sample;
