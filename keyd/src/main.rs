//! The `keyd` process.
#![forbid(unsafe_code)]

fn main() {}
