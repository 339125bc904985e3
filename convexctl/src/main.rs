//! The `convexctl` process.
#![forbid(unsafe_code)]

fn main() {}
