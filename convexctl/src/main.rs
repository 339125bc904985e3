//! `convexctl`: the operator's hand: control socket, remote peers, offline tools (DESIGN §1).
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Decoding and replaying a chain is hundreds of thousands of small allocations, some freed by another thread than
/// made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    convexctl::main(std::env::args_os())
}
