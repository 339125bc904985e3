//! Conformance runner.
#![forbid(unsafe_code)]

fn main() {}
