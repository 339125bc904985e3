//! The `consensusd` process.
#![forbid(unsafe_code)]

fn main() {}
