//! `consensusd`: the process around [`consensusd`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("consensusd: to be started by the supervisor only");
    ExitCode::from(64)
}
