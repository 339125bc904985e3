//! `netd`: the peer protocol on TCP, and in its other role the courier of a rescue (DESIGN §1).
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// That of libc reads a file when a second thread allocates, which ends a process in its sandbox.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    netd::start::main(std::env::args().skip(1))
}
