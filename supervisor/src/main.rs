//! The `supervisor` process.
#![forbid(unsafe_code)]

fn main() {}
