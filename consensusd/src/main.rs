//! `consensusd`: the process around [`consensusd::shell`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Many small values, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    consensusd::shell::run()
}
