//! The Convex virtual machine.
#![forbid(unsafe_code)]

pub mod math;
pub mod numeric;
pub mod reader;
