//! The Convex virtual machine.
#![forbid(unsafe_code)]
