//! Tests of the store as its users see it: one binary, one module per idea.

mod common;
mod crash;
mod sample;
