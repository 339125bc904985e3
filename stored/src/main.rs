//! The `stored` process.
#![forbid(unsafe_code)]

fn main() {}
