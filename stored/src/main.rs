//! `stored`: the only writer of the Etch file (DESIGN §1).
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// glibc's would ask the system for its processors when a second thread allocates, which the sandbox does not let through.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    stored::run()
}
