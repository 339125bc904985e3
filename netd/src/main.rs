//! The `netd` process.
#![forbid(unsafe_code)]

fn main() {}
